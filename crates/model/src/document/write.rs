//! What the writers share: which prefixes are needed where, and the tree that JSON and YAML are written from.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::node::{Attribute, Node};
use crate::document::scope::Scope;
use crate::document::text::{is_name_char, is_name_start};
use crate::document::yaml_nodes::{inherited_namespace, is_reference};
use crate::name::{QName, ns};

/// A value of JSON or YAML.
pub(super) enum Value {
    Text(String),
    /// A number or a truth value, as it is written.
    Literal(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// The prefixes that texts use, and what they must stand for.
pub(super) struct Prefixes {
    /// What each prefix stands for at the root.
    pub(super) hoisted: BTreeMap<String, String>,
    /// Prefixes that stand for different namespaces in different places.
    ambiguous: BTreeSet<String>,
}

impl Prefixes {
    pub(super) fn of(objects: &[Node]) -> Self {
        let mut prefixes = Self { hoisted: BTreeMap::new(), ambiguous: BTreeSet::new() };
        objects.iter().for_each(|object| prefixes.collect(object));
        prefixes
    }

    fn collect(&mut self, node: &Node) {
        for (prefix, uri) in needs(node) {
            match self.hoisted.get(&prefix) {
                Some(known) if *known != uri => drop(self.ambiguous.insert(prefix)),
                Some(_) => {}
                None => drop(self.hoisted.insert(prefix, uri)),
            }
        }
        node.children.iter().for_each(|child| self.collect(child));
    }

    /// Whether a prefix stands for this namespace, or for nothing, wherever texts use it.
    pub(super) fn is_free_for(&self, prefix: &str, namespace: &str) -> bool {
        !self.ambiguous.contains(prefix) && self.hoisted.get(prefix).is_none_or(|uri| uri == namespace)
    }

    /// The bindings that a node needs and that are not in force at it.
    pub(super) fn local(&self, node: &Node) -> Vec<(String, String)> {
        let mut needed = needs(node);
        // A prefix that is ambiguous is declared wherever it is used: what is in force then depends on the node alone.
        needed.retain(|(prefix, _)| self.ambiguous.contains(prefix));
        needed
    }
}

/// The prefixes in a node's own text and attribute values that stand for something.
fn needs(node: &Node) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let values = node.attributes.iter().filter(|a| !is_type(a)).map(|a| &*a.value);
    for text in values.chain(node.text.as_deref()) {
        if text.contains(':') {
            prefixes_in(text, &node.scope, &mut found);
        }
    }
    found
}

fn prefixes_in(text: &str, scope: &Scope, found: &mut Vec<(String, String)>) {
    for (at, _) in text.match_indices(':') {
        let before = &text[..at];
        let run = before.char_indices().rev().take_while(|(_, c)| is_name_char(*c)).last().map_or(at, |(start, _)| start);
        // A text that is a name and no more may go on with anything.
        if !text[at + 1..].starts_with(is_name_start) && !before[..run].trim().is_empty() {
            continue;
        }
        let prefix = before[run..].trim_start_matches(|c| !is_name_start(c));
        if prefix.is_empty() || prefix == "xml" || found.iter().any(|(known, _)| known == prefix) {
            continue;
        }
        if let Some(uri) = scope.lookup(prefix) {
            found.push((prefix.to_owned(), uri.to_owned()));
        }
    }
}

pub(super) fn is_type(attribute: &Attribute) -> bool {
    attribute.name.local() == "type" && attribute.name.namespace() == Some(ns::XSI)
}

/// The objects as a JSON or YAML document.
pub(super) fn tree(objects: &[Node]) -> Value {
    let prefixes = Prefixes::of(objects);
    // Well-known prefixes need no declaration, so they stand for what they always do unless the root says otherwise.
    let context: Vec<_> = prefixes
        .hoisted
        .iter()
        .filter(|(prefix, uri)| ns::of_prefix(prefix) != Some(uri.as_str()))
        .map(|(prefix, uri)| (prefix.clone(), Value::Text(uri.clone())))
        .collect();
    let holder = QName::local_only("");
    let mut root = vec![("@ns".to_owned(), Value::Text(ns::COMMON.to_owned()))];
    if !context.is_empty() {
        root.push(("@context".to_owned(), Value::Map(context)));
    }
    let entry = |object: &Node| (key(&object.name, &holder, &prefixes), value(object, &prefixes, true));
    match objects {
        [object] => root.push(entry(object)),
        _ => {
            root.push(("objects".to_owned(), Value::List(objects.iter().map(|object| Value::Map(vec![entry(object)])).collect())))
        }
    }
    Value::Map(root)
}

fn value(node: &Node, prefixes: &Prefixes, is_object: bool) -> Value {
    let text = node
        .text
        .as_ref()
        .map(|text| if node.literal { Value::Literal(text.to_string()) } else { Value::Text(text.to_string()) });
    let local = prefixes.local(node);
    if node.attributes.is_empty() && node.children.is_empty() && local.is_empty() {
        return text.unwrap_or(Value::Map(Vec::new()));
    }
    let mut map: Vec<(String, Value)> = Vec::new();
    if !local.is_empty() {
        let context = local.into_iter().map(|(prefix, uri)| (prefix, Value::Text(uri))).collect();
        map.push(("@context".to_owned(), Value::Map(context)));
    }
    let has_oid = node.attribute("oid").is_some();
    let reference = is_reference(node.local(), has_oid, is_object);
    for attribute in &node.attributes {
        let plain = attribute.name.namespace().is_none();
        let (name, text) = match attribute.name.local() {
            _ if is_type(attribute) => ("@type".to_owned(), type_text(&attribute.value, prefixes)),
            "id" if plain => ("@id".to_owned(), attribute.value.to_string()),
            "oid" if plain => ("oid".to_owned(), attribute.value.to_string()),
            "version" if plain && is_object => ("version".to_owned(), attribute.value.to_string()),
            name @ ("type" | "relation") if plain && reference => (name.to_owned(), attribute.value.to_string()),
            _ => (format!("@attr:{}", attribute.name.to_uri()), attribute.value.to_string()),
        };
        map.push((name, Value::Text(text)));
    }
    if let Some(text) = text {
        map.push(("@value".to_owned(), text));
    }
    let mut places: BTreeMap<&QName, usize> = BTreeMap::new();
    for child in &node.children {
        let written = value(child, prefixes, false);
        if let Some(&at) = places.get(&child.name) {
            let earlier = &mut map[at].1;
            if let Value::List(values) = earlier {
                values.push(written);
            } else {
                let first = std::mem::replace(earlier, Value::List(Vec::new()));
                *earlier = Value::List(vec![first, written]);
            }
            continue;
        }
        places.insert(&child.name, map.len());
        let name = key(&child.name, &node.name, prefixes);
        // An element whose key would be read as an attribute is said in full.
        let attribute_like = match name.as_str() {
            "oid" => true,
            "version" => is_object,
            "type" | "relation" => reference,
            _ => false,
        };
        let name = if attribute_like { child.name.to_uri() } else { name };
        map.push((name, written));
    }
    Value::Map(map)
}

/// A name as a key below an element.
fn key(name: &QName, parent: &QName, prefixes: &Prefixes) -> String {
    let (namespace, local) = (name.namespace().unwrap_or(ns::COMMON), name.local());
    if local.starts_with('@') || local.contains([':', '/']) || local.trim() != local {
        return format!("{namespace}#{local}");
    }
    if namespace == inherited_namespace(parent) {
        return local.to_owned();
    }
    match ns::prefix_of(namespace) {
        Some(prefix) if prefixes.is_free_for(prefix, namespace) => format!("{prefix}:{local}"),
        _ => format!("{namespace}#{local}"),
    }
}

/// A type, kept as `namespace#local`, in its short form where that means the same.
fn type_text(uri: &str, prefixes: &Prefixes) -> String {
    name_text(&QName::from_uri(uri), |namespace| {
        ns::prefix_of(namespace).filter(|prefix| prefixes.is_free_for(prefix, namespace))
    })
}

/// A name as text that reads as the same name: with a prefix where there is one, else in full.
pub(crate) fn name_text<'p>(name: &QName, prefix_of: impl FnOnce(&str) -> Option<&'p str>) -> String {
    let local = name.local();
    match name.namespace() {
        // JSON and YAML may have a prefix that means nothing there; alone, it would be looked up.
        None if local.contains(':') && !local.contains(['/', '#']) => format!("#{local}"),
        None => local.to_owned(),
        Some(namespace) => match prefix_of(namespace) {
            Some(prefix) if !local.contains('/') => format!("{prefix}:{local}"),
            _ => name.to_uri(),
        },
    }
}
