//! The one plain tree that JSON, YAML and XML messages are read into, for the forms that know no namespaces.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use tidelock_connector_api::{Error, Result};
use tidelock_model::document::{self, Format, Node};
use tidelock_model::name::ns;

use super::{invalid, shown};

/// A value of a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// A whole number too large for `i64`.
    Unsigned(u64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Tree<'a>>),
    Map(Map<'a>),
}

/// Named values, in their order; names are unique.
pub(super) type Map<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

/// The value of a name.
pub(super) fn get<'t, 'a>(map: &'t Map<'a>, name: &str) -> Option<&'t Tree<'a>> {
    map.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Reads JSON.
pub(super) fn json(body: &[u8]) -> Result<Tree<'_>> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_slice(body).map_err(|error| {
        // Nothing in these texts is of the message: what is expected from a value is anything.
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or("it is not JSON");
        invalid(&format!("line {}, column {}", error.line(), error.column()), format!("it is not JSON: {reason}"))
    })
}

/// Reads XML or YAML as nodes; the diagnostics of the reader may hold content, so they are not repeated.
pub(super) fn nodes(body: &[u8], format: Format) -> Result<Vec<Node>> {
    match document::read(body, None, format) {
        Ok(document) => Ok(document.objects),
        Err(diagnostics) => {
            let place = diagnostics.first().map(|found| format!("line {}, column {}", found.place.line, found.place.column));
            let reason = match (format, diagnostics.first().map(|found| found.code)) {
                (_, Some("undeclared-prefix")) => "a prefix is not declared",
                (Format::Xml, _) => "it is not well-formed XML",
                (Format::Yaml, _) => "it is not well-formed YAML",
                (Format::Json, _) => "it is not well-formed JSON",
            };
            Err(invalid(&place.unwrap_or_default(), reason))
        }
    }
}

/// What roots are as a tree: a map of them by their names.
pub(super) fn of_nodes(nodes: &[Node], format: Format) -> Tree<'_> {
    Tree::Map(children(nodes, format))
}

fn children(nodes: &[Node], format: Format) -> Map<'_> {
    let mut map: Map<'_> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for node in nodes {
        let value = of_node(node, format);
        match places.get(node.local()) {
            None => {
                places.insert(node.local(), map.len());
                map.push((Cow::Borrowed(node.local()), value));
            }
            Some(at) => match &mut map[*at].1 {
                // An item of the list is never a list: nodes have no such thing.
                Tree::List(values) => values.push(value),
                first => *first = Tree::List(vec![std::mem::replace(first, Tree::Null), value]),
            },
        }
    }
    map
}

fn of_node(node: &Node, format: Format) -> Tree<'_> {
    let xml = format == Format::Xml;
    let mut map: Map<'_> = Vec::new();
    for attribute in &node.attributes {
        if attribute.name.namespace() == Some(ns::XSI) {
            if attribute.name.local() == "nil" && matches!(attribute.value.trim(), "true" | "1") {
                return Tree::Null;
            }
            continue;
        }
        let local = attribute.name.local();
        let name = if xml { Cow::Owned(format!("@{local}")) } else { Cow::Borrowed(local) };
        if get(&map, &name).is_none() {
            map.push((name, Tree::Text(Cow::Borrowed(&attribute.value))));
        }
    }
    let text = node.text.as_deref().map(Cow::Borrowed);
    if map.is_empty() && node.children.is_empty() {
        return match text {
            Some(text) => Tree::Text(text),
            None if xml => Tree::Null,
            None => Tree::Text(Cow::Borrowed("")),
        };
    }
    // An attribute and a child are called the same only where somebody means harm; children differ among themselves.
    let attributes = map.len();
    for (name, value) in children(&node.children, format) {
        if map[..attributes].iter().all(|(known, _)| *known != name) {
            map.push((name, value));
        }
    }
    if let Some(text) = text.filter(|text| node.children.is_empty() || !text.trim().is_empty()) {
        map.push((Cow::Borrowed(TEXT), Tree::Text(text)));
    }
    Tree::Map(map)
}

/// The name of the text of an XML element that has attributes as well.
pub(super) const TEXT: &str = "#text";

impl<'a> Tree<'a> {
    /// The map that is expected at a place.
    pub(super) fn map(&self, place: &str) -> Result<&Map<'a>> {
        match self {
            Self::Map(map) => Ok(map),
            _ => Err(invalid(place, "an object is expected here")),
        }
    }

    /// The text that is expected at a place.
    pub(super) fn text(&self, place: &str) -> Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(invalid(place, "a text is expected here")),
        }
    }
}

/// The error for a name that is not known at a place.
pub(super) fn unknown(place: &str, name: &str, known: &[&str]) -> Error {
    invalid(place, format!("'{}' is not known here; known are {}", shown(name), known.join(", ")))
}

impl<'de: 'a, 'a> Deserialize<'de> for Tree<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TreeVisitor;
        impl<'de> Visitor<'de> for TreeVisitor {
            type Value = Tree<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Tree<'de>, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Tree<'de>, E> {
                Ok(Tree::Boolean(flag))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Tree<'de>, E> {
                Ok(Tree::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Tree<'de>, E> {
                Ok(i64::try_from(number).map_or(Tree::Unsigned(number), Tree::Integer))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Tree<'de>, E> {
                Ok(Tree::Float(number))
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tree<'de>, E> {
                Ok(Tree::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree<'de>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Tree::List(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree<'de>, A::Error> {
                // Up to here, comparing is cheaper than hashing.
                const FEW: usize = 16;
                let mut map: Map<'de> = Vec::new();
                let mut seen: HashSet<Box<str>> = HashSet::new();
                while let Some(Key(key)) = entries.next_key()? {
                    if map.len() == FEW {
                        seen.extend(map.iter().map(|(key, _)| Box::from(&**key)));
                    }
                    let known = if map.len() < FEW { get(&map, &key).is_some() } else { !seen.insert(Box::from(&*key)) };
                    if known {
                        return Err(de::Error::custom("a name occurs twice in an object"));
                    }
                    map.push((key, entries.next_value()?));
                }
                Ok(Tree::Map(map))
            }
        }
        deserializer.deserialize_any(TreeVisitor)
    }
}

/// A name, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
