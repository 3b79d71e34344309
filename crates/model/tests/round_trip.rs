//! Whatever a tree holds, every format keeps it.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tidelock_model::definition::{
    Definition, FocusObject, content_from_json, content_from_json_str, content_to_json, content_to_json_string, read_file, write,
};
use tidelock_model::document::{Attribute, Format, Node};
use tidelock_model::name::ns;
use tidelock_model::object::FocusType;
use tidelock_model::{Items, Oid, QName, Reference, Timestamp, Value, Values};

fn name() -> impl Strategy<Value = QName> + Clone {
    let local = prop_oneof![
        "[a-d]",
        "[a-zA-Zé_][a-zA-Z0-9._-]{0,5}",
        Just("filter".to_owned()),
        Just("query".to_owned()),
        Just("xRef".to_owned()),
        Just("type".to_owned()),
        Just("oid".to_owned())
    ];
    let namespace = prop_oneof![
        4 => Just(ns::COMMON),
        1 => Just(ns::QUERY),
        1 => Just(ns::RI),
        1 => Just(ns::ICFC),
        1 => Just("urn:x"),
        1 => Just("http://example.org/a/b"),
    ];
    (namespace, local).prop_map(|(namespace, local)| QName::new(namespace, local))
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        "[a-z]{1,5}",
        "[ -~]{1,20}",
        "[ -~\n]{1,30}",
        "( {0,3}[a-z:#-]{0,6}\n){1,4}",
        "\\PC{1,10}",
        Just("ri:x c:y zz:q".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("12".to_owned()),
        Just("- x".to_owned()),
        Just("a: b # c".to_owned()),
        Just("\t\r\n]]>&<\u{85}\u{2028}\u{FEFF}".to_owned()),
        Just(" a\n  b".to_owned()),
    ]
    .prop_map(|text: String| text.chars().filter(|c| !matches!(c, '\u{FFFE}' | '\u{FFFF}')).collect())
}

fn attribute() -> impl Strategy<Value = Attribute> + Clone {
    let name = prop_oneof![
        Just(QName::local_only("oid")),
        Just(QName::local_only("type")),
        Just(QName::local_only("relation")),
        Just(QName::local_only("id")),
        Just(QName::local_only("version")),
        Just(QName::local_only("other")),
        Just(QName::new("urn:x", "a")),
    ];
    (name, text()).prop_map(|(name, value)| Attribute { name, value: value.into(), place: Default::default() })
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = (
        name(),
        proptest::option::of(text()),
        proptest::collection::vec(attribute(), 0..3),
        proptest::option::of(name()),
        any::<bool>(),
    )
        .prop_map(|(name, text, attributes, typed, literal)| {
            let mut node = Node::new(name);
            node.text = text.filter(|t| !t.is_empty()).map(Into::into);
            node.literal = literal;
            for attribute in attributes {
                if !node.attributes.iter().any(|a| a.name == attribute.name) {
                    node.attributes.push(attribute);
                }
            }
            if let Some(typed) = typed {
                let value = typed.to_uri().into();
                node.attributes.push(Attribute { name: QName::new(ns::XSI, "type"), value, place: Default::default() });
            }
            node
        })
        .boxed();
    leaf.clone().prop_recursive(5, 40, 5, move |inner| {
        (leaf.clone(), proptest::collection::vec(inner, 0..5)).prop_map(|(mut node, mut children)| {
            // The formats with keys keep the order within a name.
            children.sort_by(|a, b| a.name.cmp(&b.name));
            node.children = children;
            node.text = node.text.filter(|text| node.children.is_empty() || !text.trim().is_empty());
            node
        })
    })
}

/// Objects of a type that has no meaning here: whole trees.
fn object() -> impl Strategy<Value = Definition> {
    node().prop_map(|mut node| {
        node.name = QName::common("archetype");
        node.attributes.retain(|a| a.name.namespace() != Some(ns::XSI));
        node.children.push(Node::leaf(QName::common("zz"), "x"));
        node.text = None;
        Definition::Other(tidelock_model::definition::OtherObject::new(node))
    })
}

fn value() -> impl Strategy<Value = Value> {
    let qname = prop_oneof![name(), "[a-z]{1,4}".prop_map(QName::local_only)];
    let leaf = prop_oneof![
        text().prop_map(Value::string),
        Just(Value::string("")),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
        any::<f64>().prop_filter("not equal to itself", |f| !f.is_nan()).prop_map(Value::Float),
        (-30_000_000_000_000i64..200_000_000_000_000).prop_map(|t| Value::DateTime(Timestamp::from_millis(t))),
        proptest::collection::vec(any::<u8>(), 1..9).prop_map(|bytes| Value::Binary(bytes.into())),
        qname.clone().prop_map(Value::QName),
        ("[a-z0-9-]{1,9}", proptest::option::of(qname.clone()), proptest::option::of(qname)).prop_map(
            |(oid, target_type, relation)| {
                Value::Reference(Box::new(Reference { oid: Oid::new(&oid), target_type, relation }))
            }
        ),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        items(inner).prop_filter("an empty map is an empty text", |i| !i.is_empty()).prop_map(|i| Value::Container(Box::new(i)))
    })
}

fn items(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Items> {
    let key = prop_oneof![
        "[a-d]{1,2}",
        Just("validTo".to_owned()),
        Just("jpegPhoto".to_owned()),
        Just("urn:x#floor".to_owned()),
        Just("iteration".to_owned())
    ];
    let values = proptest::collection::vec(value, 1..3).prop_map(Values::from_vec);
    proptest::collection::vec((key, values), 0..5)
        .prop_map(|items| items.into_iter().map(|(key, values)| (key.as_str().into(), values)).collect())
}

fn survives(definitions: &[Definition]) -> Result<(), TestCaseError> {
    for format in [Format::Xml, Format::Yaml, Format::Json] {
        let written = write(definitions, format);
        let (again, diagnostics) = read_file(written.as_bytes(), None, format);
        prop_assert!(!diagnostics.iter().any(|d| d.is_error()), "{:?}: {:?}\n{}", format, diagnostics, written);
        prop_assert!(again == definitions, "{:?}:\n{}\n--- again\n{}", format, written, write(&again, format));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_keeps_a_whole_tree(objects in proptest::collection::vec(object(), 1..3)) {
        survives(&objects)?;
    }

    #[test]
    fn every_format_keeps_a_focus(content in items(value())) {
        let user = FocusObject { place: Default::default(), oid: Some(Oid::new("u").into()), focus_type: FocusType::User, content };
        survives(&[Definition::Focus(Box::new(user))])?;
    }

    #[test]
    fn json_keeps_the_content_of_a_focus(content in items(value())) {
        let mut text = String::new();
        content_to_json_string(&content, &mut text);
        prop_assert_eq!(content_from_json_str(&text), Some(content.clone()));
        prop_assert_eq!(content_from_json(&content_to_json(&content)), Some(content));
    }
}
