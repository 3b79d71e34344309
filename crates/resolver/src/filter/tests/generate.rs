//! Any filter that the query language can say.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tidelock_model::filter::path::is_identifier;
use tidelock_model::filter::{
    Comparison, ExistsClause, Filter, FilterExpression, FullTextClause, FuzzyClause, FuzzyMethod, InOidClause, ItemPath, Literal,
    Operand, Operator, OrgClause, OrgPosition, OwnerClause, PathStep, RefClause, RefValue, SubstringClause, TypeClause,
    ValueClause, WrittenAt,
};
use tidelock_model::name::ns;
use tidelock_model::{Oid, QName};

use crate::filter::names::MATCHING_RULES;

/// Any text, those that are hard to quote among them.
pub(super) fn text() -> BoxedStrategy<String> {
    prop_oneof![3 => "[a-zA-Z0-9 ]{0,6}", 2 => "[\"'`\\\\\n\r/*x]{0,8}", 1 => "\\PC{0,5}"].boxed()
}

fn name() -> BoxedStrategy<QName> {
    let namespace = prop_oneof![
        4 => Just(""),
        2 => Just(ns::RI),
        1 => Just(ns::COMMON),
        1 => Just("urn:example:x"),
        1 => Just("http://example.org/y/"),
    ];
    let local = prop_oneof![8 => "[a-z]{1,5}", 1 => Just("not".to_owned()), 1 => Just("true".to_owned()), 1 => "[a-z '}é]{1,5}"];
    (namespace, local).prop_map(|(namespace, local)| QName::new(namespace, local)).boxed()
}

/// The name of a type, a relation, a class: an identifier, as everywhere but in paths to odd columns.
fn type_name() -> BoxedStrategy<QName> {
    name().prop_filter("an identifier", |name| is_identifier(name.local())).boxed()
}

/// A path to an item. Names of references and of the parts of references and PolyStrings are too long to come up.
fn path() -> BoxedStrategy<ItemPath> {
    let step = prop_oneof![
        12 => name().prop_map(PathStep::Name),
        1 => Just(PathStep::Dereference),
        1 => Just(PathStep::Parent),
        1 => Just(PathStep::Identifier),
        1 => (0..9_i64).prop_map(PathStep::Value),
    ];
    (prop_oneof![9 => Just(None), 1 => name().prop_map(Some)], vec(step, 1..4))
        .prop_map(|(variable, steps)| ItemPath { variable, steps })
        .boxed()
}

fn item() -> BoxedStrategy<ItemPath> {
    prop_oneof![
        vec(name(), 1..3).prop_map(|names| ItemPath { variable: None, steps: names.into_iter().map(PathStep::Name).collect() }),
        path()
    ]
    .boxed()
}

fn literal() -> BoxedStrategy<Literal> {
    prop_oneof![
        4 => text().prop_map(|text| Literal::String(text.into())),
        1 => any::<i64>().prop_map(Literal::from),
        1 => "-?[0-9]{1,3}\\.[0-9]{1,3}(e-?[0-9])?".prop_map(|number| Literal::Number(number.into())),
        1 => any::<bool>().prop_map(Literal::Boolean),
    ]
    .boxed()
}

fn string() -> BoxedStrategy<Operand> {
    text().prop_map(|text| Operand::Values(vec![Literal::String(text.into())])).boxed()
}

fn expression() -> BoxedStrategy<FilterExpression> {
    prop_oneof![
        (of("[a-z]{1,6}"), text())
            .prop_map(|(language, code)| FilterExpression::Script { language: language.map(Into::into), code: code.into() }),
        text().prop_map(|name| FilterExpression::Constant(name.trim().into())),
        of(text()).prop_map(|name| FilterExpression::Placeholder(name.map(Into::into))),
    ]
    .boxed()
}

fn operand(values: std::ops::Range<usize>) -> BoxedStrategy<Operand> {
    prop_oneof![
        4 => vec(literal(), values).prop_map(Operand::Values),
        1 => path().prop_map(Operand::Path),
        1 => expression().prop_map(Operand::Expression),
    ]
    .boxed()
}

fn rule() -> BoxedStrategy<Option<QName>> {
    of(prop_oneof![
        proptest::sample::select(&MATCHING_RULES[..]).prop_map(QName::local_only),
        proptest::sample::select(&MATCHING_RULES[..]).prop_map(|rule| QName::new(ns::MATCHING_RULE, rule)),
    ])
    .boxed()
}

fn oid() -> BoxedStrategy<Oid> {
    "[a-z0-9-]{1,6}".prop_map(|text| Oid::new(&text)).boxed()
}

fn place() -> WrittenAt {
    WrittenAt::default()
}

fn clause() -> BoxedStrategy<Filter> {
    let order = prop_oneof![
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual)
    ];
    let equal = (item(), operand(0..4), rule()).prop_map(|(path, operand, matching)| (path, Operator::Equal, operand, matching));
    let any_in = (item(), vec(literal(), 1..4), rule())
        .prop_map(|(path, values, matching)| (path, Operator::AnyIn, Operand::Values(values), matching));
    let ordered = (item(), order, operand(1..2), rule())
        .prop_map(|(path, order, operand, matching)| (path, Operator::Order(order), operand, matching));
    let value = prop_oneof![equal, any_in, ordered].prop_map(|(path, operator, operand, matching)| {
        Filter::Value(ValueClause { path, operator, operand, matching, place: place() })
    });
    let sought = prop_oneof![string(), expression().prop_map(Operand::Expression)];
    let substring = (item(), sought, 0..3, rule()).prop_map(|(path, operand, anchor, matching)| {
        let (at_start, at_end) = (anchor == 1, anchor == 2);
        Filter::Substring(SubstringClause { path, operand, at_start, at_end, matching, place: place() })
    });
    let method = prop_oneof![
        (0..9_u32).prop_map(FuzzyMethod::Levenshtein),
        (0..=100_u32).prop_map(|hundredths| FuzzyMethod::Similarity(f64::from(hundredths) / 100.0))
    ];
    let fuzzy = (item(), string(), method, any::<bool>()).prop_map(|(path, operand, method, inclusive)| {
        Filter::Fuzzy(FuzzyClause { path, operand, method, inclusive, place: place() })
    });
    let position = prop_oneof![
        Just(OrgPosition::Root),
        oid().prop_map(OrgPosition::Subtree),
        oid().prop_map(OrgPosition::OneLevel),
        oid().prop_map(OrgPosition::Ancestors)
    ];
    prop_oneof![
        8 => value.boxed(),
        3 => substring.boxed(),
        2 => fuzzy.boxed(),
        1 => item().prop_map(|path| Filter::Exists(ExistsClause { path, filter: None, place: place() })),
        1 => position.prop_map(|position| Filter::Org(OrgClause { position, place: place() })),
        1 => (vec(oid(), 1..3), any::<bool>())
            .prop_map(|(oids, of_owner)| Filter::InOid(InOidClause { oids, expression: None, of_owner, place: place() })),
        1 => vec(literal(), 1..3)
            .prop_map(|values| Filter::FullText(FullTextClause { operand: Operand::Values(values), place: place() })),
        1 => type_name().prop_map(|type_name| Filter::Type(TypeClause { type_name, place: place() })),
        1 => prop_oneof![Just(Filter::All), Just(Filter::None), Just(Filter::Undefined)],
        1 => type_name().prop_map(|class| Filter::equal_name(ItemPath::of(&["objectClass"]), class)),
    ]
    .boxed()
}

/// Any filter.
pub(super) fn filter() -> BoxedStrategy<Filter> {
    clause().prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let reference = (vec(oid(), 0..3), of(type_name()), of(type_name()), of(boxed.clone())).prop_filter_map(
            "a condition on a reference says something",
            |(oids, target_type, relation, target)| {
                let shared = RefValue { oid: None, target_type, relation };
                let values: Vec<_> = if oids.is_empty() && shared != RefValue::default() {
                    vec![shared]
                } else {
                    oids.into_iter().map(|oid| RefValue { oid: Some(oid), ..shared.clone() }).collect()
                };
                let path = ItemPath::of(&["assignment", "targetRef"]);
                (!values.is_empty() || target.is_some())
                    .then(|| Filter::Ref(RefClause { path, values, expression: None, target, place: place() }))
            },
        );
        let owner = (of(type_name()), of(item()), of(boxed.clone())).prop_map(|(owner_type, path, filter)| OwnerClause {
            owner_type,
            path,
            relation: None,
            filter,
            place: place(),
        })
        .boxed();
        prop_oneof![
            3 => vec(inner.clone(), 2..4).prop_map(Filter::And),
            3 => vec(inner.clone(), 2..4).prop_map(Filter::Or),
            3 => inner.prop_map(Filter::negated),
            1 => (item(), boxed).prop_map(|(path, filter)| Filter::Exists(ExistsClause { path, filter: Some(filter), place: place() })),
            1 => reference.boxed(),
            1 => owner.clone().prop_map(Filter::OwnedBy),
            1 => (owner, of(type_name())).prop_map(|(owner, relation)| Filter::ReferencedBy(OwnerClause { relation, ..owner })),
        ]
    }).boxed()
}
