//! Which type an object is of.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tidelock_model::object::{Intent, Kind, TypeId};
use tidelock_resolver::classify::{Classification, classify};

use crate::support::{object, policy, typed};

fn check(types: &str, objects: &str, expected: Expect) {
    let policy = typed(types);
    let mut text = String::new();
    for line in objects.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (line, current) = match line.split_once(" is ") {
            Some((line, current)) => (line, Some(id(current))),
            None => (line, None),
        };
        let (line, mode) = match line.strip_prefix("forced ") {
            Some(line) => (line, Classification::Forced),
            None => (line, Classification::Keep),
        };
        let object = object(line);
        let found = classify(&policy, &object, current.as_ref(), mode);
        let type_ = found.map_or("none".to_owned(), |index| policy.types[index].id.to_string());
        text += &format!("{} {type_}\n", object.identifier);
    }
    expected.assert_eq(&text);
}

fn id(text: &str) -> TypeId {
    let (kind, intent) = text.split_once('/').unwrap();
    TypeId { kind: kind.parse::<Kind>().unwrap(), intent: Intent::new(intent).unwrap() }
}

#[test]
fn the_only_type_whose_delineation_matches_is_taken() {
    check(
        r#"
        account/default  class=account  where attributes/ri:ou = "people"
        account/service  class=account  where attributes/ri:ou = "svc"
        generic/unit     class=group
        "#,
        "
        account uid=1 ou=svc
        account uid=2 ou=people
        account uid=3 ou=other
        account uid=4
        group   gid=5
        entry   entryUUID=6
        ",
        expect![[r#"
            1 account/service
            2 account/default
            3 none
            4 none
            5 generic/unit
            6 none
        "#]],
    );
}

#[test]
fn ordered_types_come_first_and_in_their_order() {
    check(
        r#"
        account/a  class=account  default
        account/b  class=account  order=20  where ou exists
        account/c  class=account  order=10  where ou = "svc"
        "#,
        "
        account uid=1 ou=svc
        account uid=2 ou=people
        account uid=3
        ",
        expect![[r#"
            1 account/c
            2 account/b
            3 account/a
        "#]],
    );
}

#[test]
fn of_types_without_order_the_default_for_the_class_wins_and_then_the_first() {
    check(
        "
        account/a  class=account
        account/b  class=account  defaultForObjectClass
        group/x    class=group
        "
        .replace("group/x", "entitlement/x")
        .as_str(),
        "account uid=1",
        expect![[r#"
            1 account/b
        "#]],
    );
    check(
        "
        account/a  class=account
        account/b  class=account
        ",
        "account uid=1",
        expect![[r#"
            1 account/a
        "#]],
    );
}

#[test]
fn a_legacy_definition_decides_between_equals() {
    let legacy = "synchronization:\n  objectSynchronization:\n    - kind: account\n      intent: b\n";
    let types = crate::support::types("account/a class=account\naccount/b class=account");
    let policy = policy(&format!("{types}{legacy}"));
    let found = classify(&policy, &object("account uid=1"), None, Classification::Keep).unwrap();
    assert_eq!(policy.types[found].id.to_string(), "account/b");
}

#[test]
fn a_classified_object_stays_what_it_is_while_there_is_such_a_type() {
    check(
        r#"
        account/default  class=account  where ou = "people"
        account/demo     class=account  where ou = "demo"
        "#,
        "
        account uid=1 ou=people is account/demo
        account uid=2 ou=people is account/nonsense
        forced account uid=3 ou=people is account/demo
        ",
        expect![[r#"
            1 account/demo
            2 account/default
            3 account/default
        "#]],
    );
}

#[test]
fn a_type_that_is_not_in_force_keeps_its_objects_and_gets_no_new_ones() {
    check(
        r#"
        account/default  class=account
        account/admin    class=account  order=1  lifecycleState=proposed
        "#,
        "
        account uid=1
        account uid=2 is account/admin
        ",
        expect![[r#"
            1 account/default
            2 account/admin
        "#]],
    );
}

#[test]
fn abstract_types_have_no_objects() {
    check(
        "
        account/base  class=account  abstract  default
        account/real  class=account
        ",
        "
        account uid=1
        account uid=2 is account/base
        ",
        expect![[r#"
            1 account/real
            2 account/real
        "#]],
    );
}

#[test]
fn delineations_compare_exactly_unless_they_name_a_rule() {
    // `mail` ignores case on the resource; a delineation does not, as in midPoint.
    check(
        r#"
        account/exact  class=account  order=1 where mail = "A@x"
        account/loose  class=account  order=2 where mail =[stringIgnoreCase] "a@x"
        "#,
        "
        account uid=1 mail=A@x
        account uid=2 mail=a@X
        ",
        expect![[r#"
            1 account/exact
            2 account/loose
        "#]],
    );
}

#[test]
fn a_base_context_is_judged_by_the_parts_of_the_name() {
    let yaml = |scope: &str, use_: &str| {
        format!(
            r#"
schemaHandling:
  objectType:
    - intent: people
      delineation:
        objectClass: ri:entry
        baseContext:
          objectClass: ri:entry
          filter: {{ text: 'attributes/ri:dn = "ou=People,dc=x"' }}
        searchHierarchyScope: {scope}
        baseContextClassificationUse: {use_}
"#
        )
    };
    let claims = |scope: &str, use_: &str, dn: &str| {
        let object = object(&format!("entry entryUUID=1 {dn}"));
        classify(&policy(&yaml(scope, use_)), &object, None, Classification::Keep).is_some()
    };
    assert!(claims("sub", "ifApplicable", "dn=UID=ann,ou=people,dc=x"));
    assert!(!claims("sub", "ifApplicable", "dn=uid=ann,ou=morepeople,dc=x"));
    assert!(claims("sub", "ifApplicable", ""), "what cannot be judged passes");
    assert!(!claims("sub", "required", ""), "what cannot be judged fails where it must be judged");
    assert!(claims("one", "ignored", "dn=uid=ann,dc=y"));
}

fn any_type() -> impl Strategy<Value = String> {
    (0..6u8, proptest::option::of(0..3u8), any::<bool>(), proptest::option::of(0..3u8)).prop_map(
        |(intent, order, default, ou)| {
            let order = order.map(|order| format!("order={order} ")).unwrap_or_default();
            let default = if default && intent == 0 { "defaultForObjectClass " } else { "" };
            let filter = ou.map(|ou| format!(" where ou = \"{ou}\"")).unwrap_or_default();
            format!("account/t{intent} class=account {order}{default}{filter}")
        },
    )
}

proptest! {
    #[test]
    fn classification_agrees_with_the_rules_said_naively(mut lines in proptest::collection::vec(any_type(), 1..6), ou in 0..4u8) {
        lines.sort_by_key(|line| line.split(' ').next().unwrap().to_owned());
        lines.dedup_by_key(|line| line.split(' ').next().unwrap().to_owned());
        let policy = typed(&lines.join("\n"));
        let object = object(&format!("account uid=1 ou={ou}"));
        let matches: Vec<&String> =
            lines.iter().filter(|line| !line.contains("where") || line.contains(&format!("\"{ou}\""))).collect();
        let order_of = |line: &str| line.split_whitespace().find_map(|w| w.strip_prefix("order=")).map(|o| o.parse::<u8>().unwrap());
        let mut expected = None;
        for order in 0..3 {
            expected = expected.or(matches.iter().find(|line| order_of(line) == Some(order)));
        }
        expected = expected.or(matches.iter().find(|line| line.contains("defaultForObjectClass")));
        expected = expected.or(matches.first());
        let expected = expected.map(|line| line.split(' ').next().unwrap().to_owned());
        let found = classify(&policy, &object, None, Classification::Keep).map(|index| policy.types[index].id.to_string());
        prop_assert_eq!(found, expected);
    }
}
