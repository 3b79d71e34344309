//! When an object need not be looked at again.

use proptest::prelude::*;
use tidelock_model::object::ResourceObject;
use tidelock_model::{Items, Value};
use tidelock_resolver::channel::Channel;
use tidelock_resolver::fingerprint::{fingerprint, salt};
use tidelock_resolver::policy::ResourcePolicy;

use crate::support::{object, policy, typed, types};

const TYPE: &str = "account/default class=account";

fn of(policy: &ResourcePolicy, line: &str) -> [u8; 16] {
    fingerprint(&object(line), &salt(policy, Channel::Import))
}

#[test]
fn order_does_not_count_and_everything_else_does() {
    let policy = typed(TYPE);
    let print = of(&policy, "account uid=1 ou=a groups=x,y");
    assert_eq!(print, of(&policy, "account uid=1 groups=y,x ou=a"));
    assert_eq!(print, of(&policy, "account uid=1 unheard=of ou=a groups=y,x"), "attributes outside of the schema do not count");
    for other in [
        "account uid=2 ou=a groups=x,y",
        "account uid=1 ou=b groups=x,y",
        "account uid=1 ou=a groups=x",
        "account uid=1 ou=a groups=x,y,y",
        "account uid=1 ou=a groups=x,z",
        "account uid=1 login=a groups=x,y",
        "account uid=1 groups=x,y",
        "group uid=1 ou=a groups=x,y",
    ] {
        assert_ne!(print, of(&policy, other), "{other}");
    }
}

#[test]
fn values_of_different_types_differ() {
    let policy = typed(TYPE);
    let with = |value: Value| {
        let mut attributes = Items::new();
        attributes.set("uid", [Value::from("1")].into_iter().collect());
        attributes.set("ou", [value].into_iter().collect());
        fingerprint(&ResourceObject::new("account", "1", attributes), &salt(&policy, Channel::Import))
    };
    let prints = [
        with(Value::from("1")),
        with(Value::Integer(1)),
        with(Value::Boolean(true)),
        with(Value::Float(1.0)),
        with(Value::Binary([b'1'].into())),
    ];
    for (i, a) in prints.iter().enumerate() {
        assert!(prints.iter().skip(i + 1).all(|b| a != b));
    }
}

#[test]
fn whatever_decides_changes_the_salt_and_what_does_not_does_not() {
    let print = |yaml: &str| of(&policy(yaml), "account uid=1");
    let base = types(TYPE);
    assert_eq!(print(&base), print(&format!("{base}      displayName: Accounts\n")));
    assert_eq!(print(&base), print(&format!("description: moved\n{base}")), "places do not count");
    let changes = [
        "      attribute: { ref: ri:uid, inbound: { target: { path: name } } }\n",
        "      synchronization: { reaction: { situation: linked, actions: { synchronize: {} } } }\n",
        "      correlation: { thresholds: { definite: 0.9 } }\n",
        "      focus: { type: RoleType }\n",
        "      lifecycleState: draft\n",
        "      protected: { filter: { text: 'uid = \"1\"' } }\n",
        "    - { kind: generic, delineation: { objectClass: ri:group } }\n",
    ];
    for change in changes {
        assert_ne!(print(&base), print(&format!("{base}{change}")), "{change}");
    }
}

#[test]
fn the_channel_counts_only_where_something_depends_on_it() {
    let base = types(TYPE);
    let prints = |yaml: &str| {
        let policy = policy(yaml);
        [Channel::Import, Channel::LiveSync].map(|channel| fingerprint(&object("account uid=1"), &salt(&policy, channel)))
    };
    let [import, live] = prints(&base);
    assert_eq!(import, live);
    let unlimited = "      attribute: { ref: ri:uid, inbound: { target: { path: name } } }\n";
    let [import, live] = prints(&format!("{base}{unlimited}"));
    assert_eq!(import, live);
    let limited = "      attribute: { ref: ri:uid, inbound: { channel: import, target: { path: name } } }\n";
    let [import, live] = prints(&format!("{base}{limited}"));
    assert_ne!(import, live);
    let reaction = "      synchronization: { reaction: { channel: liveSync, actions: { synchronize: {} } } }\n";
    let [import, live] = prints(&format!("{base}{reaction}"));
    assert_ne!(import, live);
}

#[test]
fn fingerprints_stay_the_same_from_run_to_run() {
    // Stored fingerprints meet later versions: if this changes, every object is looked at again once. Count `DECISIONS` up then.
    let print = of(&typed(TYPE), "account uid=1 ou=a groups=x,y");
    expect_test::expect!["06cabc36"].assert_eq(&print[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

proptest! {
    #[test]
    fn any_order_of_attributes_and_values_gives_the_same(
        attributes in proptest::collection::btree_map("(uid|ou|mail|given|groups|other)", proptest::collection::vec("[a-c]{0,2}", 1..4), 1..6),
        seed in any::<u64>(),
    ) {
        let policy = typed(TYPE);
        let build = |rotate: usize| {
            let mut list: Vec<(String, Vec<String>)> = attributes.clone().into_iter().collect();
            let length = list.len();
            list.rotate_left(rotate % length);
            let mut items = Items::new();
            for (name, mut values) in list {
                let length = values.len();
                values.rotate_left(rotate % length);
                items.set(name, values.iter().map(|value| Value::from(value.as_str())).collect());
            }
            fingerprint(&ResourceObject::new("account", "1", items), &salt(&policy, Channel::Import))
        };
        prop_assert_eq!(build(0), build((seed % 7) as usize));
    }
}
