//! Whatever comes, nothing panics; and every form says what was meant by it.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use tidelock_connector_api::{Change, ChangeKind, Modification};
use tidelock_messages::{Decoder, MessageFormat};
use tidelock_model::object::{ObjectClass, ResourceObject, ValueType};
use tidelock_model::value::{Items, Value, Values};

use crate::common;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| common::decoder(common::OWN, ""));
/// Every form, with everything that can be configured for it.
static DECODERS: LazyLock<Vec<Decoder>> = LazyLock::new(|| {
    let mapping = "<conf:mapping><each>a</each><classPath>c</classPath><changePath>o</changePath><identifierPath>i</identifierPath>
        <attributesPath>b</attributesPath><attribute><name>mail</name><path>b/c</path><unit>days</unit></attribute></conf:mapping>";
    let mapped = common::decoder(&format!("{}{mapping}", common::OWN), "");
    let xsd = common::decoder("", common::XSD);
    let formats = [MessageFormat::UcfChange, MessageFormat::Json, MessageFormat::Debezium, MessageFormat::Auto];
    formats.into_iter().flat_map(|format| [DECODER.clone(), xsd.clone()].map(|d| d.with_format(format))).chain([mapped]).collect()
});

/// What messages are made of, in the wrong order.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "7",
    "-1e300",
    "\"class\"",
    "\"person\"",
    "\"id\"",
    "\"change\"",
    "\"full\"",
    "\"delta\"",
    "\"attributes\"",
    "\"mail\"",
    "\"add\"",
    "\"op\"",
    "\"c\"",
    "\"after\"",
    "\"source\"",
    "\"table\"",
    "\"payload\"",
    "\"schema\"",
    "\"fields\"",
    "\"ucfChange\"",
    "\"objectClass\"",
    "\"path\"",
    "attributes/ri:mail",
    "<ucfChange>",
    "</ucfChange>",
    "<objectClass>",
    "</objectClass>",
    "<a>",
    "</a>",
    "<a b='c'/>",
    "\n",
    "  ",
    "- ",
    "a: ",
    "&x",
    "*x",
    "\u{0}",
    "é",
    "&lt;",
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body: Vec<u8>) {
        for decoder in &*DECODERS {
            drop(decoder.changes(&body, None));
        }
    }

    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40), kind in 0..4usize) {
        let body: String = pieces.concat();
        let content_type = [None, Some("text/xml"), Some("application/json"), Some("application/yaml; charset=utf-8")][kind];
        for decoder in &*DECODERS {
            drop(decoder.changes(body.as_bytes(), content_type));
        }
    }

    #[test]
    fn a_spoilt_message_is_an_error_or_changes(change in change(), at: prop::sample::Index, byte: u8) {
        for text in [plain(&change).to_string(), ucf_xml(&change)] {
            let mut body = text.into_bytes();
            let at = at.index(body.len());
            body[at] = byte;
            for decoder in &*DECODERS {
                drop(decoder.changes(&body, None));
            }
        }
    }

    #[test]
    fn the_plain_form_says_what_was_meant(changes in prop::collection::vec(change(), 1..4)) {
        let message = Json::Array(changes.iter().map(plain).collect()).to_string();
        prop_assert_eq!(DECODER.changes(message.as_bytes(), None).unwrap(), changes);
    }

    #[test]
    fn ucf_changes_say_what_was_meant(change in change()) {
        // A deletion says no more than which object it was.
        let expected = match &change.kind {
            ChangeKind::Deleted(_) => Change { kind: ChangeKind::Deleted(None), ..change.clone() },
            _ => change.clone(),
        };
        let xml = DECODER.changes(ucf_xml(&change).as_bytes(), Some("application/xml")).unwrap();
        prop_assert_eq!(&xml[..], std::slice::from_ref(&expected));
        let json = DECODER.changes(ucf_json(&change).to_string().as_bytes(), Some("application/json")).unwrap();
        prop_assert_eq!(&json[..], std::slice::from_ref(&expected));
    }

    #[test]
    fn rows_say_what_was_meant(change in change(), envelope: bool) {
        let class = change.class.clone().unwrap();
        let (op, before, after) = match &change.kind {
            ChangeKind::Full(object) => ("c", Json::Null, row(&object.attributes)),
            ChangeKind::Deleted(Some(was)) => ("d", row(was), Json::Null),
            // Rows have no other changes.
            _ => return Ok(()),
        };
        let payload = json!({"op": op, "before": before, "after": after, "source": {"table": &*class}});
        let message = if envelope { json!({"schema": {"fields": []}, "payload": payload}) } else { payload };
        prop_assert_eq!(DECODER.changes(message.to_string().as_bytes(), None).unwrap(), vec![change]);
    }
}

/// A change that every form can say.
fn change() -> impl Strategy<Value = Change> {
    let classes = DECODER.schema().classes.clone();
    prop::sample::select(classes).prop_flat_map(|class| {
        let identifier = value(class.attribute(&class.primary_identifier).unwrap().value_type);
        let attributes: Vec<_> = class.attributes.iter().filter(|a| *a.name != *class.primary_identifier).cloned().collect();
        let values: Vec<_> = attributes
            .iter()
            .map(|attribute| {
                let least = usize::from(attribute.required);
                prop::collection::vec(value(attribute.value_type), least..=if attribute.multi_valued { 3 } else { 1 })
            })
            .collect();
        (Just(class), identifier, values, prop::collection::vec(0..4u8, attributes.len()), 0..4u8).prop_map(move |parts| {
            let (class, identifier, values, ways, kind) = parts;
            let named = attributes.iter().map(|a| Arc::clone(&a.name)).zip(values.into_iter().map(Values::from_vec));
            build(&class, &identifier, named.collect(), &ways, kind)
        })
    })
}

fn build(class: &Arc<ObjectClass>, identifier: &Value, named: Vec<(Arc<str>, Values)>, ways: &[u8], kind: u8) -> Change {
    let text: Box<str> = identifier.to_text().unwrap().into();
    let mut items = Items::new();
    items.set(Arc::clone(&class.primary_identifier), Values::from_iter([identifier.clone()]));
    named.iter().for_each(|(name, values)| items.set(Arc::clone(name), values.clone()));
    let kind = match kind {
        0 => ChangeKind::Full(ResourceObject::new(Arc::clone(&class.name), text.clone(), items)),
        1 => ChangeKind::Deleted(Some(items)),
        2 => ChangeKind::Notification,
        _ => ChangeKind::Delta(
            named
                .into_iter()
                .zip(ways)
                .filter_map(|((name, values), way)| match way {
                    0 => None,
                    1 if !values.is_empty() => Some(Modification::Add(name, values)),
                    2 if !values.is_empty() => Some(Modification::Remove(name, values)),
                    _ => Some(Modification::Replace(name, values)),
                })
                .collect(),
        ),
    };
    Change { class: Some(Arc::clone(&class.name)), identifier: text, kind }
}

fn value(value_type: ValueType) -> BoxedStrategy<Value> {
    match value_type {
        // Space at the ends, and what XML cannot hold, is not every form's to keep.
        ValueType::String => "[a-zA-Z0-9<&\"'é]([ a-zA-Z0-9<&\"':/#é]{0,8}[a-z0-9>])?".prop_map(Value::string).boxed(),
        ValueType::Integer => any::<i64>().prop_map(Value::Integer).boxed(),
        ValueType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ValueType::DateTime => (-2_000_000_000_000..4_000_000_000_000i64)
            .prop_map(|millis| Value::DateTime(tidelock_model::Timestamp::from_millis(millis)))
            .boxed(),
        ValueType::Binary => prop::collection::vec(any::<u8>(), 1..5).prop_map(|bytes| Value::Binary(bytes.into())).boxed(),
        ValueType::Float => any::<i32>().prop_map(|number| Value::Float(f64::from(number))).boxed(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Binary(bytes) => {
            let mut text = String::new();
            tidelock_model::definition::base64::encode(bytes, &mut text);
            text
        }
        value => value.to_text().unwrap().into_owned(),
    }
}

fn json_of(values: &Values) -> Json {
    let one = |value: &Value| match value {
        Value::Integer(number) => json!(number),
        Value::Boolean(flag) => json!(flag),
        value => json!(text(value)),
    };
    match values.as_slice() {
        [] => Json::Null,
        [value] => one(value),
        values => values.iter().map(one).collect(),
    }
}

fn row(items: &Items) -> Json {
    items.iter().map(|(name, values)| (name.to_string(), json_of(values))).collect::<serde_json::Map<_, _>>().into()
}

/// A change in our own form.
fn plain(change: &Change) -> Json {
    let mut message = json!({"class": change.class.as_deref(), "id": &*change.identifier});
    let (word, attributes) = match &change.kind {
        ChangeKind::Full(object) => ("full", Some(row(&object.attributes))),
        ChangeKind::Deleted(was) => ("deleted", was.as_ref().map(row)),
        ChangeKind::Notification => ("notification", None),
        ChangeKind::Delta(modifications) => {
            let said = modifications.iter().map(|one| match one {
                Modification::Add(name, values) => (name.to_string(), json!({"add": json_of(values)})),
                Modification::Remove(name, values) => (name.to_string(), json!({"remove": json_of(values)})),
                Modification::Replace(name, values) => (name.to_string(), json_of(values)),
            });
            ("delta", Some(said.collect::<serde_json::Map<_, _>>().into()))
        }
    };
    message["change"] = word.into();
    if let Some(attributes) = attributes {
        message["attributes"] = attributes;
    }
    message
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn elements(items: &Items) -> String {
    let mut xml = String::new();
    for (name, values) in items.iter() {
        for value in values {
            write!(xml, "<ri:{name}>{}</ri:{name}>", escaped(&text(value))).unwrap();
        }
    }
    xml
}

/// A change as midPoint has it, in XML.
fn ucf_xml(change: &Change) -> String {
    let class = change.class.as_deref().unwrap();
    let primary = &DECODER.schema().class(class).unwrap().primary_identifier;
    let identifiers = format!("<identifiers><ri:{primary}>{}</ri:{primary}></identifiers>", escaped(&change.identifier));
    let content = match &change.kind {
        ChangeKind::Full(object) => format!("<object><attributes>{}</attributes></object>", elements(&object.attributes)),
        ChangeKind::Deleted(_) => format!("{identifiers}<objectDelta><t:changeType>delete</t:changeType></objectDelta>"),
        ChangeKind::Notification => identifiers,
        ChangeKind::Delta(modifications) => {
            let mut xml = format!("{identifiers}<objectDelta><t:changeType>modify</t:changeType>");
            for (kind, name, values) in modifications.iter().map(ucf_modification) {
                write!(xml, "<t:itemDelta><t:modificationType>{kind}</t:modificationType><t:path>attributes/ri:{name}</t:path>")
                    .unwrap();
                values.iter().for_each(|value| write!(xml, "<t:value>{}</t:value>", escaped(&text(value))).unwrap());
                xml += "</t:itemDelta>";
            }
            xml + "</objectDelta>"
        }
    };
    format!(
        "<ucfChange xmlns='http://midpoint.evolveum.com/xml/ns/public/common/common-3'
          xmlns:t='http://prism.evolveum.com/xml/ns/public/types-3'
          xmlns:ri='http://midpoint.evolveum.com/xml/ns/public/resource/instance-3'>
         <objectClass>ri:{class}</objectClass>{content}</ucfChange>"
    )
}

/// The same in JSON.
fn ucf_json(change: &Change) -> Json {
    let class = change.class.as_deref().unwrap();
    let primary = &DECODER.schema().class(class).unwrap().primary_identifier;
    let mut said = json!({"objectClass": format!("ri:{class}"), "identifiers": {format!("ri:{primary}"): &*change.identifier}});
    match &change.kind {
        ChangeKind::Full(object) => said["object"] = json!({"attributes": row(&object.attributes)}),
        ChangeKind::Deleted(_) => said["objectDelta"] = json!({"changeType": "delete"}),
        ChangeKind::Notification => {}
        ChangeKind::Delta(modifications) => {
            let deltas: Vec<_> = modifications
                .iter()
                .map(ucf_modification)
                .map(|(kind, name, values)| {
                    json!({"modificationType": kind, "path": format!("attributes/ri:{name}"), "value": json_of(values)})
                })
                .collect();
            said["objectDelta"] = json!({"changeType": "modify", "itemDelta": deltas});
        }
    }
    json!({"ucfChange": said})
}

fn ucf_modification(modification: &Modification) -> (&'static str, &Arc<str>, &Values) {
    match modification {
        Modification::Add(name, values) => ("add", name, values),
        Modification::Remove(name, values) => ("delete", name, values),
        Modification::Replace(name, values) => ("replace", name, values),
    }
}
