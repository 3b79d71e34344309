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
fn whatever_a_mapping_does_changes_the_salt() {
    let print = |mapping: &str| {
        let attribute = format!("      attribute: {{ ref: ri:ou, inbound: {{ {mapping} }} }}\n");
        of(&policy(&format!("{}{attribute}", types(TYPE))), "account uid=1")
    };
    let prints = [
        "target: { path: name }",
        "target: { path: givenName }",
        "target: { path: organization }",
        "target: { path: name }, strength: weak",
        "target: { path: name }, strength: strong",
        "target: { path: name }, use: correlation",
        "target: { path: name }, use: all",
        "target: { path: name }, authoritative: false",
        "target: { path: name }, expression: { value: a }",
        "target: { path: name }, expression: { value: b }",
        "target: { path: name }, channel: import",
        "target: { path: name }, exceptChannel: liveSync",
        "target: { path: organization, set: { predefined: all } }",
    ]
    .map(print);
    for (i, a) in prints.iter().enumerate() {
        assert!(prints.iter().skip(i + 1).all(|b| a != b), "{i}");
    }
}

#[test]
fn whatever_tells_a_type_changes_the_salt() {
    let filters = [
        "uid = \"1\"",
        "uid = \"2\"",
        "uid = (\"1\", \"2\")",
        "ou = \"1\"",
        "ou exists",
        "uid startsWith \"1\"",
        "uid endsWith \"1\"",
        "uid contains \"1\"",
        "uid > \"1\"",
        "uid >= \"1\"",
        "not (uid = \"1\")",
        "uid = \"1\" and ou = \"2\"",
        "uid = \"1\" or ou = \"2\"",
    ];
    let prints = filters.map(|filter| of(&typed(&format!("{TYPE} where {filter}")), "account uid=1"));
    for (i, a) in prints.iter().enumerate() {
        assert!(prints.iter().skip(i + 1).all(|b| a != b), "{}", filters[i]);
    }
    let tree = |more: &str| {
        of(
            &policy(&format!("schemaHandling:\n  objectType:\n    delineation:\n      objectClass: ri:entry\n      {more}")),
            "entry entryUUID=1",
        )
    };
    let base =
        |name: &str| format!("baseContext: {{ objectClass: ri:entry, filter: {{ text: 'attributes/ri:dn = \"{name}\"' }} }}");
    let prints = [
        tree("classificationOrder: 1"),
        tree("classificationOrder: 2"),
        tree(&base("dc=x")),
        tree(&base("dc=y")),
        tree(&format!("{}\n      searchHierarchyScope: one", base("dc=x"))),
        tree(&format!("{}\n      baseContextClassificationUse: required", base("dc=x"))),
    ];
    for (i, a) in prints.iter().enumerate() {
        assert!(prints.iter().skip(i + 1).all(|b| a != b), "{i}");
    }
}

#[test]
fn whatever_finds_owners_or_reacts_changes_the_salt() {
    let print = |item: &str| of(&policy(&format!("{}      {item}\n", types(TYPE))), "account uid=1");
    let items = |more: &str| format!("correlation: {{ correlators: {{ items: {{ item: {{ ref: employeeNumber }} {more} }} }} }}");
    let two = |more: &str| {
        format!(
            "correlation: {{ correlators: {{ items: [ {{ name: a, item: {{ ref: employeeNumber }}, composition: {{ tier: 1 }} }}, {{ item: {{ ref: personalNumber }}, {more} }} ] }} }}"
        )
    };
    let reaction = |of: &str| format!("synchronization: {{ reaction: {{ {of} }} }}");
    let prints = [
        print(&items("")),
        print(&items(", name: other")),
        print(&items(", composition: { weight: 0.5 }")),
        print(&two("composition: { tier: 1 }")),
        print(&two("composition: { tier: 2 }")),
        print(&two("composition: { tier: 1, ignoreIfMatchedBy: a }")),
        print("correlation: { correlators: { items: { item: { ref: personalNumber } } } }"),
        print(
            "correlation: { correlators: { items: { item: { ref: employeeNumber, search: { matchingRule: stringIgnoreCase } } } } }",
        ),
        print("correlation: { thresholds: { definite: 0.9 } }"),
        print("correlation: { thresholds: { candidate: 0.9 } }"),
        print(&reaction("situation: linked, actions: { synchronize: {} }")),
        print(&reaction("situation: unmatched, actions: { synchronize: {} }")),
        print(&reaction("situation: linked, actions: { unlink: {} }")),
        print(&reaction("situation: linked, channel: import, actions: { synchronize: {} }")),
        print(&reaction("situation: linked, channel: liveSync, actions: { synchronize: {} }")),
        print("synchronization: {}"),
    ];
    for (i, a) in prints.iter().enumerate() {
        assert!(prints.iter().skip(i + 1).all(|b| a != b), "{i}");
    }
}

#[test]
fn a_purpose_of_its_own_has_fingerprints_of_its_own() {
    let salt = salt(&typed(TYPE), Channel::Import);
    let [plain, preview, other] =
        [salt.clone(), salt.with("preview"), salt.with("other")].map(|salt| fingerprint(&object("account uid=1"), &salt));
    assert!(plain != preview && preview != other && plain != other);
    assert_eq!(preview, fingerprint(&object("account uid=1"), &salt.with("preview")));
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
