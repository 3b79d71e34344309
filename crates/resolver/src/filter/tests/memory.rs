//! Filters on foci in memory.

use expect_test::{Expect, expect};
use tidelock_model::name::ns;
use tidelock_model::{Items, Oid, QName, Reference, Timestamp, Value};

use super::{filter, line};
use crate::filter::{Evaluator, Subject};

fn items<const N: usize>(items: [(&str, Vec<Value>); N]) -> Items {
    items.into_iter().map(|(key, values)| (key.into(), values.into_iter().collect())).collect()
}

fn container<const N: usize>(content: [(&str, Vec<Value>); N]) -> Value {
    Value::Container(Box::new(items(content)))
}

fn ann() -> Items {
    let boss = Reference { oid: Oid::new("boss"), target_type: Some(QName::common("RoleType")), relation: None };
    let manager = Reference { oid: Oid::new("unit"), target_type: None, relation: Some(QName::new(ns::ORG, "manager")) };
    items([
        ("name", vec!["ann".into()]),
        ("fullName", vec!["Ann Lee".into()]),
        ("emailAddress", vec!["ann@new.org".into(), "ann@old.org".into()]),
        ("employeeNumber", vec!["10".into()]),
        (
            "activation",
            vec![container([
                ("validTo", vec![Value::DateTime(Timestamp::parse("2026-06-30").unwrap())]),
                ("validFrom", vec!["2025-06-30T00:00:00Z".into()]),
                ("administrativeStatus", vec!["enabled".into()]),
            ])],
        ),
        (
            "extension",
            vec![container([
                ("urn:x#floor", vec![Value::Integer(3)]),
                ("rate", vec![Value::Float(0.5)]),
                ("remote", vec![Value::Boolean(true)]),
            ])],
        ),
        (
            "assignment",
            vec![
                container([
                    ("description", vec!["seasonal".into()]),
                    ("order", vec![Value::Integer(1)]),
                    ("targetRef", vec![Value::Reference(Box::new(boss))]),
                ]),
                container([
                    ("description", vec!["fixed".into()]),
                    ("order", vec![Value::Integer(2)]),
                    ("targetRef", vec![Value::Reference(Box::new(manager))]),
                ]),
            ],
        ),
    ])
}

fn holds(query: &str) -> bool {
    let oid = Oid::new("u1");
    let items = ann();
    let subject = Subject { items: &items, oid: Some(&oid), type_name: Some("UserType") };
    Evaluator::new(&filter(query)).unwrap_or_else(|error| panic!("{query}: {error}")).holds_for(&subject)
}

#[test]
fn these_hold() {
    for query in [
        "name = 'ann'",
        "name =[stringIgnoreCase] 'ANN' and fullName contains 'Lee'",
        "fullName =[polyStringNorm] 'ANN,  LEE'",
        "name matches (norm = 'ANN')",
        "emailAddress endsWith '@old.org' and emailAddress endsWith '@new.org'",
        "telephoneNumber not exists and telephoneNumber = null and telephoneNumber != 'x'",
        "employeeNumber > 9 and employeeNumber = 10 and employeeNumber < '9'",
        "activation/validTo < '2027-01-01' and activation/validTo = '2026-06-30T00:00:00Z'",
        "activation/validFrom < '2025-06-30T01:00:00+00:00'",
        "extension/floor = '3' and extension/floor > 2.5 and extension/{urn:x}floor <= 3",
        "extension/rate < 1 and extension/remote = 'true' and extension/remote != false",
        "assignment exists and assignment/description = 'fixed' and assignment/order = 1",
        "assignment matches (description = 'fixed' and order = 2)",
        "not (assignment matches (description = 'fixed' and order = 1))",
        "assignment/targetRef matches (oid = 'boss')",
        "assignment/targetRef matches (targetType = RoleType)",
        "assignment/targetRef matches (relation = manager)",
        "assignment/targetRef not matches (oid = 'unit')",
        "assignment/../name = 'ann'",
        "name levenshtein ('anne', 1) and name not levenshtein ('anne', 1, false)",
        "fullName similarity ('ann leeds', 0.5)",
        ". type UserType and . type FocusType and not (. type RoleType)",
        ". inOid ('u0', 'u1')",
        "name != fullName",
    ] {
        assert!(holds(query), "{query}");
    }
}

#[test]
fn these_do_not_hold() {
    for query in [
        "name = 'Ann'",
        "fullName = 'ann lee'",
        "name = name",
        "missing = 'x'",
        "missing < 5",
        "assignment = 'x'",
        "name/first = 'x'",
        "activation/validTo > 'never'",
        "extension/{urn:y}floor = 3",
        ". inOid 'u2'",
        ". none",
    ] {
        assert!(!holds(query), "{query}");
    }
}

#[test]
fn what_takes_more_than_the_object_is_refused() {
    let check = |query: &str, expected: Expect| expected.assert_eq(line(&Evaluator::new(&filter(query)).unwrap_err()).trim_end());
    check(
        ". inOrg 'o'",
        expect![
            "1:1 [unsupported-filter] 'inOrg' takes more than the object itself, and cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        ". referencedBy (@type = UserType)",
        expect![
            "1:1 [unsupported-filter] 'referencedBy' takes more than the object itself, and cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        ". fullText 'x'",
        expect![
            "1:1 [unsupported-filter] 'fullText' takes more than the object itself, and cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        "linkRef/@/name = 'x'",
        expect![
            "1:1 [unsupported-filter] the path 'linkRef/@/name' cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        "linkRef matches (@ matches (name = 'x'))",
        expect![
            "1:1 [unsupported-filter] 'linkRef' takes more than the object itself, and cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        "name = `x`",
        expect![
            "1:1 [unsupported-filter] the value that 'name' is compared with is an expression, which is not evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        "name = $focus/name",
        expect![
            "1:1 [unsupported-filter] the value that 'name' is compared with is an expression, which is not evaluated here | use comparisons of the object's own items with values"
        ],
    );
    check(
        "name >[uuid] 'x'",
        expect![
            "1:1 [unsupported-filter] the matching rule knows no order | use comparisons of the object's own items with values"
        ],
    );
    check(
        ". = 'x'",
        expect![
            "1:1 [unsupported-filter] the path '.' cannot be evaluated here | use comparisons of the object's own items with values"
        ],
    );
}
