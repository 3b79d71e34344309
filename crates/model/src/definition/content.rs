//! The content of focus objects: from document nodes to items, and back.

use std::sync::Arc;

use smallvec::smallvec;

use crate::definition::base64;
use crate::definition::leaf::qname_text;
use crate::definition::table::{MAX_ITEMS, Reading, shorten};
use crate::diagnostic::Diagnostic;
use crate::document::{Attribute, Node, resolve_reporting};
use crate::name::{QName, ns};
use crate::oid::Oid;
use crate::time::Timestamp;
use crate::value::{Items, Reference, Value, Values, key_for};

/// The key under which a container's `id` is kept.
pub(crate) const ID: &str = "@id";
/// The deepest nesting of containers.
const MAX_DEPTH: usize = 32;

/// The items of an element. Its attributes are the caller's, but for a container's `id`.
pub(crate) fn read_items(node: &Node, depth: usize, reading: &mut Reading) -> Items {
    let mut keys: Vec<(Arc<str>, Values)> = Vec::with_capacity(node.children.len());
    for child in &node.children {
        let Some(value) = read_value(child, depth, reading) else { continue };
        let key = key_for(&child.name);
        match keys.iter().rposition(|(known, _)| *known == key) {
            Some(at) => keys[at].1.push(value),
            None if keys.len() >= MAX_ITEMS => {
                let message = format!("'{}' has more than {MAX_ITEMS} different items", shorten(node.local()));
                reading.report(Diagnostic::error("bad-value", &child.place, message).with_help("use items with several values"));
                break;
            }
            None => keys.push((key, smallvec![value])),
        }
    }
    let mut items = Items::with_capacity(keys.len() + 1);
    if depth > 0
        && let Some(id) = node.attribute_value("id")
    {
        let id = id.parse().map_or_else(|_| Value::string(id), Value::Integer);
        items.push(ID.into(), smallvec![id]);
    }
    for (key, values) in keys {
        items.push(key, values);
    }
    items
}

/// The nodes of items, and the attributes that stand for items.
pub(crate) fn write_items(items: &Items, node: &mut Node) {
    for (key, values) in items.iter() {
        if &**key == ID
            && let Some(id) = values.first().and_then(Value::to_text)
        {
            node.set_attribute("id", &*id);
            continue;
        }
        let name = if key.contains('#') { QName::from_uri(key) } else { QName::common(Arc::clone(key)) };
        node.children.extend(values.iter().map(|value| write_value(value, &name)));
    }
}

/// What an item's values are, where neither the file says it nor text would do.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    DateTime,
    Integer,
    Boolean,
    Binary,
    Container,
}

fn known(name: &QName) -> Option<Known> {
    if name.namespace().is_some_and(|n| n != ns::COMMON) {
        return None;
    }
    Some(match name.local() {
        "validFrom"
        | "validTo"
        | "enableTimestamp"
        | "disableTimestamp"
        | "archiveTimestamp"
        | "validityChangeTimestamp"
        | "lockoutExpirationTimestamp"
        | "createTimestamp"
        | "modifyTimestamp"
        | "requestTimestamp"
        | "createApprovalTimestamp"
        | "certificationFinishedTimestamp"
        | "provisioningTimestamp"
        | "deathTimestamp" => Known::DateTime,
        "iteration" | "displayOrder" | "failedLogins" => Known::Integer,
        "requestable" | "delegable" | "tenant" | "indestructible" => Known::Boolean,
        "jpegPhoto" => Known::Binary,
        "activation" | "assignment" | "inducement" | "credentials" | "extension" | "metadata" => Known::Container,
        _ => return None,
    })
}

fn read_value(node: &Node, depth: usize, reading: &mut Reading) -> Option<Value> {
    if let Some(oid) = node.attribute("oid") {
        return read_reference(node, oid, reading);
    }
    if node.children.is_empty() {
        return read_simple(node, reading);
    }
    if let Some(orig) = node.child("orig")
        && node.children.iter().all(|child| matches!(child.local(), "orig" | "norm" | "lang" | "translation"))
    {
        return Some(Value::string(orig.text()));
    }
    if depth >= MAX_DEPTH {
        let message = format!("'{}' is nested deeper than {MAX_DEPTH} containers", shorten(node.local()));
        reading.report(Diagnostic::error("bad-value", &node.place, message).with_help("flatten the object"));
        return None;
    }
    if node.local().ends_with("Ref") && node.child("filter").is_some() {
        let message = format!("'{}' has no OID, and filters are not resolved in objects", shorten(node.local()));
        reading.report(Diagnostic::warning("not-supported", &node.place, message).with_help("refer to the object by its OID"));
        return None;
    }
    Some(Value::Container(Box::new(read_items(node, depth + 1, reading))))
}

fn read_reference(node: &Node, oid: &Attribute, reading: &mut Reading) -> Option<Value> {
    if oid.value.trim().is_empty() {
        let message = format!("'{}' has an empty OID", shorten(node.local()));
        reading.report(Diagnostic::error("bad-value", &oid.place, message).with_help("give the OID of the object it refers to"));
        return None;
    }
    let mut found = Vec::new();
    let mut name = |attribute: &str| {
        let attribute = node.attribute(attribute)?;
        resolve_reporting(&attribute.value, &node.scope, &attribute.place, &mut found)
    };
    let (target_type, relation) = (name("type"), name("relation"));
    reading.extend(found);
    Some(Value::Reference(Box::new(Reference { oid: Oid::new(oid.value.trim()), target_type, relation })))
}

fn read_simple(node: &Node, reading: &mut Reading) -> Option<Value> {
    let said = node.declared_type().filter(|name| name.namespace() == Some(ns::XSD));
    let known = match said.as_ref().map(QName::local) {
        None => known(&node.name),
        Some("dateTime" | "date") => Some(Known::DateTime),
        Some("int" | "integer" | "long" | "short" | "byte" | "nonNegativeInteger" | "positiveInteger") => Some(Known::Integer),
        Some("boolean") => Some(Known::Boolean),
        Some("base64Binary") => Some(Known::Binary),
        Some("float" | "double" | "decimal") => {
            return parsed(node, read_float(node.text().trim()).map(Value::Float), "a number such as 0.8", reading);
        }
        Some("QName") => {
            let mut found = Vec::new();
            let name = node.qname_reporting(&mut found);
            reading.extend(found);
            return name.map(Value::QName);
        }
        Some(_) => None,
    };
    let text = node.text();
    let word = text.trim();
    match known {
        None => Some(Value::string(text)),
        Some(Known::Container) if word.is_empty() => Some(Value::Container(Box::default())),
        Some(Known::Container) => Some(Value::string(text)),
        Some(Known::DateTime) => parsed(
            node,
            Timestamp::parse(word).ok().map(Value::DateTime),
            "a date and time such as 2026-01-31T12:00:00Z",
            reading,
        ),
        Some(Known::Integer) => parsed(node, word.parse().ok().map(Value::Integer), "a whole number such as 10", reading),
        Some(Known::Boolean) => {
            let value = match word {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            };
            parsed(node, value.map(Value::Boolean), "true or false", reading)
        }
        Some(Known::Binary) => parsed(node, base64::decode(word).map(Value::Binary), "bytes in base64", reading),
    }
}

/// The value, or a finding that does not repeat it: it may be personal.
fn parsed(node: &Node, value: Option<Value>, expected: &str, reading: &mut Reading) -> Option<Value> {
    if value.is_none() {
        let message = format!("the value of '{}' is not {expected}", shorten(node.local()));
        reading.report(Diagnostic::error("bad-value", &node.place, message).with_help(format!("write {expected}")));
    }
    value
}

fn write_value(value: &Value, name: &QName) -> Node {
    let implied = known(name);
    let typed = |text: String, local: &str, kind: Known| {
        let mut node = Node::leaf(name.clone(), text);
        if implied != Some(kind) {
            set_type(&mut node, local);
        }
        node
    };
    match value {
        Value::String(text) => {
            let mut node = Node::leaf(name.clone(), text.clone());
            if implied.is_some() && (implied != Some(Known::Container) || text.is_empty()) {
                set_type(&mut node, "string");
            }
            node
        }
        Value::Integer(number) => typed(number.to_string(), "long", Known::Integer),
        Value::Boolean(flag) => typed(flag.to_string(), "boolean", Known::Boolean),
        Value::DateTime(time) => typed(time.to_string(), "dateTime", Known::DateTime),
        Value::Binary(bytes) => {
            let mut text = String::new();
            base64::encode(bytes, &mut text);
            typed(text, "base64Binary", Known::Binary)
        }
        Value::Float(number) => {
            let mut node = Node::leaf(name.clone(), float_text(*number));
            set_type(&mut node, "double");
            node
        }
        Value::QName(value) => {
            let mut node = Node::leaf(name.clone(), qname_text(value));
            set_type(&mut node, "QName");
            node
        }
        Value::Reference(reference) => {
            let mut node = Node::new(name.clone());
            node.set_attribute("oid", reference.oid.to_string());
            for (attribute, value) in [("type", &reference.target_type), ("relation", &reference.relation)] {
                if let Some(value) = value {
                    node.set_attribute(attribute, qname_text(value));
                }
            }
            node
        }
        Value::Container(items) => {
            let mut node = Node::new(name.clone());
            write_items(items, &mut node);
            node
        }
    }
}

fn set_type(node: &mut Node, local: &str) {
    let name = QName::new(ns::XSI, "type");
    node.attributes.push(Attribute { name, value: format!("{}#{local}", ns::XSD).into(), place: node.place.clone() });
}

/// A number as `xsd:double` has it.
pub(crate) fn float_text(number: f64) -> String {
    match number {
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        number => number.to_string(),
    }
}

/// Reads what [`float_text`] writes.
pub(crate) fn read_float(text: &str) -> Option<f64> {
    match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        text if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}
