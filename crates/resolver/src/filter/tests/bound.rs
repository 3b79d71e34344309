//! Filters bound to an object class.

use std::cmp::Ordering;
use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;
use tidelock_model::filter::{Comparison, Filter, Literal, Operand, Operator, ValueClause};
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, ValueType};
use tidelock_model::{Items, Place, Value};

use super::{filter, line};
use crate::filter::{Evaluator, Purpose, bind};

fn class() -> ObjectClass {
    let mut class = ObjectClass::new("person", "uid");
    let types = [
        ("cn", ValueType::String, MatchingRule::StringIgnoreCase),
        ("dn", ValueType::String, MatchingRule::DistinguishedName),
        ("level", ValueType::Integer, MatchingRule::Exact),
        ("rate", ValueType::Float, MatchingRule::Exact),
        ("active", ValueType::Boolean, MatchingRule::Exact),
        ("since", ValueType::DateTime, MatchingRule::Exact),
        ("photo", ValueType::Binary, MatchingRule::Exact),
    ];
    for (name, value_type, matching_rule) in types {
        class.attributes.push(AttributeDefinition { value_type, matching_rule, ..AttributeDefinition::text(name) });
    }
    class.naming_attribute = "cn".into();
    class
}

fn check(query: &str, purpose: Purpose, expected: &Expect) {
    let said = match bind(&filter(query), &class(), &Place::default(), purpose) {
        Ok(bound) => format!("{bound:?}"),
        Err(error) => line(&error),
    };
    expected.assert_eq(said.trim_end());
}

#[test]
fn values_get_the_type_of_the_attribute() {
    let check = |query: &str, expected: Expect| check(query, Purpose::Search, &expected);
    check("attributes/ri:level = '5'", expect![[r#"Attribute { name: "level", rule: Exact, condition: AnyOf([Integer(5)]) }"#]]);
    check("level > 5", expect![[r#"Attribute { name: "level", rule: Exact, condition: Compare(Greater, Integer(5)) }"#]]);
    check("rate <= 2.50", expect![[r#"Attribute { name: "rate", rule: Exact, condition: Compare(LessOrEqual, Float(2.5)) }"#]]);
    check("uid = 007", expect![[r#"Attribute { name: "uid", rule: Exact, condition: AnyOf([String("007")]) }"#]]);
    check("active = true", expect![[r#"Attribute { name: "active", rule: Exact, condition: AnyOf([Boolean(true)]) }"#]]);
    check(
        "since >= '2026-01-31'",
        expect![[
            r#"Attribute { name: "since", rule: Exact, condition: Compare(GreaterOrEqual, DateTime(Timestamp(1769817600000))) }"#
        ]],
    );
    check("photo = 'AP8Q'", expect![[r#"Attribute { name: "photo", rule: Exact, condition: AnyOf([Binary([0, 255, 16])]) }"#]]);
    check("level = null", expect![[r#"Not(Attribute { name: "level", rule: Exact, condition: Present })"#]]);
    check(
        "level != ('5', 6)",
        expect![[r#"Not(Attribute { name: "level", rule: Exact, condition: AnyOf([Integer(5), Integer(6)]) })"#]],
    );
    check("level exists", expect![[r#"Attribute { name: "level", rule: Exact, condition: Present }"#]]);
    check(
        ". undefined and uid = 'a' and (. undefined or . undefined)",
        expect![[r#"Attribute { name: "uid", rule: Exact, condition: AnyOf([String("a")]) }"#]],
    );
    check("not (. undefined)", expect!["All"]);
    check("level anyIn (5)", expect![[r#"Attribute { name: "level", rule: Exact, condition: AnyOf([Integer(5)]) }"#]]);
}

#[test]
fn the_rule_is_that_of_the_filter_or_in_searches_of_the_attribute() {
    check(
        "attributes/cn = 'ANN'",
        Purpose::Search,
        &expect![[r#"Attribute { name: "cn", rule: StringIgnoreCase, condition: AnyOf([String("ann")]) }"#]],
    );
    check(
        "attributes/cn = 'ANN'",
        Purpose::InMemory,
        &expect![[r#"Attribute { name: "cn", rule: Exact, condition: AnyOf([String("ANN")]) }"#]],
    );
    check(
        "attributes/cn =[default] 'ANN'",
        Purpose::Search,
        &expect![[r#"Attribute { name: "cn", rule: Exact, condition: AnyOf([String("ANN")]) }"#]],
    );
    check(
        "attributes/uid endsWith[stringIgnoreCase] 'ANN'",
        Purpose::InMemory,
        &expect![[
            r#"Attribute { name: "uid", rule: StringIgnoreCase, condition: Substring { text: "ann", at_start: false, at_end: true } }"#
        ]],
    );
    check(
        "attributes/icfs:name = 'ANN'",
        Purpose::Search,
        &expect![[r#"Attribute { name: "cn", rule: StringIgnoreCase, condition: AnyOf([String("ann")]) }"#]],
    );
    check(
        "attributes/dn endsWith 'ou=A, dc=B'",
        Purpose::Search,
        &expect![[
            r#"Attribute { name: "dn", rule: DistinguishedName, condition: Substring { text: "ou=a,dc=b", at_start: false, at_end: true } }"#
        ]],
    );
}

#[test]
fn another_item_can_be_compared_with_in_memory_only_and_never_holds() {
    check("attributes/uid = attributes/cn", Purpose::InMemory, &expect!["None"]);
    check("attributes/uid != attributes/cn", Purpose::InMemory, &expect!["Not(None)"]);
    check(
        "attributes/uid = attributes/cn",
        Purpose::Search,
        &expect![
            "1:1 [unsupported-filter] 'attributes/uid' is compared with another item, which a resource cannot do | compare with a value; texts go into quotes"
        ],
    );
}

#[test]
fn what_cannot_be_bound_is_named() {
    let check = |query: &str, expected: Expect| check(query, Purpose::Search, &expected);
    check(
        "attributes/udi = 'x'",
        expect!["1:1 [unknown-attribute] the object class 'person' has no attribute 'udi' | did you mean 'uid'?"],
    );
    check(
        "attributes/photograph = 'x'",
        expect![
            "1:1 [unknown-attribute] the object class 'person' has no attribute 'photograph' | its attributes are uid, cn, dn, level, rate, active, since, photo"
        ],
    );
    check(
        "attributes/c:uid = 'x'",
        expect![
            "1:1 [unknown-attribute] the object class 'person' has no attribute 'c:uid' | attributes of a resource are in the namespace 'ri': write attributes/ri:uid"
        ],
    );
    check(
        "activation/administrativeStatus = 'enabled'",
        expect![
            "1:1 [unsupported-filter] 'activation/administrativeStatus' is no attribute, and only attributes are on the resource | write attributes/ri:… for an attribute of the resource"
        ],
    );
    check(
        "level = 'five'",
        expect!["1:1 [bad-value] the value that 'level' is compared with is not a whole number | write a whole number"],
    );
    check(
        "since = 'yesterday'",
        expect![
            "1:1 [bad-value] the value that 'since' is compared with is not a date and time such as 2026-01-31T12:00:00Z | write a date and time such as 2026-01-31T12:00:00Z"
        ],
    );
    check(
        "photo = '*'",
        expect!["1:1 [bad-value] the value that 'photo' is compared with is not bytes in base64 | write bytes in base64"],
    );
    check("active > true", expect!["1:1 [bad-value] the values of 'active' have no order | compare them with = or !="]);
    check(
        "level contains '5'",
        expect!["1:1 [bad-value] the values of 'level' are no texts, so they contain none | compare them with =, < or >"],
    );
    check(
        "uid >[uuid] 'a'",
        expect![
            "1:1 [unsupported-filter] the matching rule 'uuid' knows no order | use the rule default, stringIgnoreCase or one of the polyString rules"
        ],
    );
    check(
        "uid =[exchangeEmailAddresses] 'a'",
        expect![
            "1:1 [unsupported-filter] the matching rule 'exchangeEmailAddresses' is not supported | use default, stringIgnoreCase, distinguishedName, uuid or one of the polyString rules"
        ],
    );
    check(
        "uid = `1`",
        expect![
            "1:1 [unsupported-script-language] 'uid' is compared with the value of a script, and scripts in Groovy are not supported | write the value itself"
        ],
    );
    check(
        "uid = $focus/name",
        expect![
            "1:1 [unsupported-filter] the value that 'uid' is compared with is an expression, which is not evaluated here | write the value itself"
        ],
    );
    check(
        "uid levenshtein ('a', 1)",
        expect![
            "1:1 [unsupported-filter] a resource cannot be asked for 'uid' like this | use comparisons of attributes, contains, startsWith, endsWith and exists"
        ],
    );
    check(
        "attributes matches (uid = 'a')",
        expect![
            "1:1 [unsupported-filter] a resource cannot be asked for 'attributes' like this | use comparisons of attributes, contains, startsWith, endsWith and exists"
        ],
    );
    check(
        ". inOid 'x'",
        expect![
            "1:1 [unsupported-filter] a resource cannot be asked for 'inOid' like this | use comparisons of attributes, contains, startsWith, endsWith and exists"
        ],
    );
    check(
        "linkRef matches (oid = 'x')",
        expect![
            "1:1 [unsupported-filter] a resource cannot be asked for 'linkRef' like this | use comparisons of attributes, contains, startsWith, endsWith and exists"
        ],
    );
}

/// An object with some of the class's attributes.
fn object() -> impl Strategy<Value = Items> {
    let texts = || vec("[aAbB]{0,3}".prop_map(Value::string), 0..3);
    (texts(), texts(), vec((-2..3_i64).prop_map(Value::Integer), 0..3)).prop_map(|(uid, cn, level)| {
        let mut items = Items::new();
        for (key, values) in [("uid", uid), ("cn", cn), ("level", level)] {
            items.set(Arc::from(key), values.into_iter().collect());
        }
        items
    })
}

/// A condition on such objects, in the query language.
fn condition() -> impl Strategy<Value = String> {
    let text = proptest::sample::select(vec!["uid", "cn"]);
    let rule = proptest::sample::select(vec!["", "[stringIgnoreCase]", "[default]", "[polyStringNorm]"]);
    let verb =
        proptest::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith", "not contains"]);
    let order = proptest::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "not >"]);
    let clause = prop_oneof![
        (text.clone(), verb, rule, "[aAbB]{0,2}")
            .prop_map(|(item, verb, rule, value)| format!("attributes/{item} {verb}{rule} '{value}'")),
        ("[aAbB]{0,2}", "[aAbB]{0,2}", text).prop_map(|(a, b, item)| format!("attributes/{item} = ('{a}', '{b}')")),
        (order, -2..3_i64).prop_map(|(verb, value)| format!("attributes/level {verb} {value}")),
        proptest::sample::select(vec![
            "attributes/level exists",
            "attributes/cn not exists",
            "attributes/uid = null",
            ". all",
            ". none",
            "attributes/uid = attributes/cn",
            "attributes/uid != attributes/cn"
        ])
        .prop_map(str::to_owned),
    ];
    clause.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

/// The same question answered in the plainest way, from the unbound filter.
fn holds(filter: &Filter, object: &Items) -> bool {
    let values = |path: &tidelock_model::filter::ItemPath| object.get(path.last_name().unwrap().local()).to_vec();
    let normal =
        |rule: &Option<tidelock_model::QName>, text: &str| match rule.as_ref().map(|rule| rule.local().to_owned()).as_deref() {
            Some("stringIgnoreCase" | "polyStringNorm") => text.to_lowercase(),
            _ => text.to_owned(),
        };
    match filter {
        Filter::All => true,
        Filter::None => false,
        Filter::And(parts) => !parts.iter().any(|part| !holds(part, object)),
        Filter::Or(parts) => parts.iter().filter(|part| holds(part, object)).count() > 0,
        Filter::Not(part) => !holds(part, object),
        Filter::Exists(clause) => !values(&clause.path).is_empty(),
        Filter::Value(ValueClause { operand: Operand::Path(_), .. }) => false,
        Filter::Value(ValueClause { path, operand: Operand::Values(wanted), .. }) if wanted.is_empty() => values(path).is_empty(),
        Filter::Value(ValueClause { path, operator, operand: Operand::Values(wanted), matching, .. }) => {
            values(path).iter().any(|value| {
                wanted.iter().any(|wanted| {
                    let order = match (value, wanted) {
                        (Value::Integer(value), Literal::Number(wanted)) => value.cmp(&wanted.parse().unwrap()),
                        (Value::String(value), wanted) => normal(matching, value).cmp(&normal(matching, &wanted.text())),
                        _ => panic!("not generated"),
                    };
                    match operator {
                        Operator::Equal | Operator::AnyIn => order == Ordering::Equal,
                        Operator::Order(Comparison::Less) => order == Ordering::Less,
                        Operator::Order(Comparison::LessOrEqual) => order != Ordering::Greater,
                        Operator::Order(Comparison::Greater) => order == Ordering::Greater,
                        Operator::Order(Comparison::GreaterOrEqual) => order != Ordering::Less,
                    }
                })
            })
        }
        Filter::Substring(clause) => values(&clause.path).iter().any(|value| {
            let Operand::Values(wanted) = &clause.operand else { panic!("not generated") };
            let (text, wanted) = (normal(&clause.matching, value.as_str().unwrap()), normal(&clause.matching, &wanted[0].text()));
            let mut at = (0..=text.len()).filter(|at| text[*at..].starts_with(&wanted));
            match (clause.at_start, clause.at_end) {
                (false, false) => at.next().is_some(),
                (true, _) => at.next() == Some(0),
                (_, true) => at.any(|at| at + wanted.len() == text.len()),
            }
        }),
        other => panic!("not generated: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn binding_and_evaluating_agree_with_the_plainest_way(query in condition(), object in object()) {
        let read = filter(&query);
        let expected = holds(&read, &object);
        let bound = bind(&read, &class(), &Place::default(), Purpose::InMemory).unwrap();
        prop_assert_eq!(bound.matches(&object), expected, "{} bound: {:?}", query, bound);
        let shadow: Items = [("attributes".into(), [Value::Container(Box::new(object))].into_iter().collect())].into_iter().collect();
        prop_assert_eq!(Evaluator::new(&read).unwrap().matches(&shadow), expected, "{}", query);
    }

    #[test]
    fn binding_any_filter_does_not_panic(filter in super::generate::filter()) {
        for purpose in [Purpose::Search, Purpose::InMemory] {
            let _ = bind(&filter, &class(), &Place::default(), purpose);
        }
        let _ = crate::filter::split(&filter, &Place::default());
        if let Ok(evaluator) = Evaluator::new(&filter) {
            let _ = evaluator.matches(&Items::new());
        }
    }
}
