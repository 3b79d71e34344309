//! midPoint's `ucfChange`: what became of a resource object, in midPoint's own terms.

use std::sync::Arc;

use tidelock_connector_api::{Change, Modification, Result};
use tidelock_model::document::{Format, Node};
use tidelock_model::filter::ItemPath;
use tidelock_model::name::{QName, ns};
use tidelock_model::object::{AttributeDefinition, ObjectClass};
use tidelock_model::value::{Items, Value, Values};

use super::typed::{of_text, single_where_it_must};
use super::{Decoder, MAX_CHANGES, UnknownAttributes, invalid, object, shown, too_many};

/// The name of a change's element.
pub(super) const ROOT: &str = "ucfChange";

/// Items of a shadow that say nothing about the resource object beyond its attributes.
const OF_THE_SHADOW: &[&str] = &[
    "auxiliaryObjectClass",
    "dead",
    "exists",
    "intent",
    "kind",
    "name",
    "objectClass",
    "primaryIdentifierValue",
    "resourceRef",
    "tag",
];

/// The changes of a message: one, or several in a list.
pub(super) fn changes(decoder: &Decoder, nodes: &[Node], format: Format) -> Result<Vec<Change>> {
    // A change in JSON or YAML may stand alone, without its name: then the roots are its items.
    if nodes.iter().any(|node| node.local() == "objectClass") && !nodes.iter().any(|node| node.local() == ROOT) {
        let mut alone = Node::new(QName::common(ROOT));
        alone.children = nodes.to_vec();
        alone.place = nodes.first().map(|node| node.place.clone()).unwrap_or_default();
        return Ok(vec![change(decoder, &alone, format)?]);
    }
    if nodes.len() > MAX_CHANGES {
        return Err(too_many());
    }
    nodes
        .iter()
        .map(|node| match node.local() {
            ROOT => change(decoder, node, format),
            other => Err(invalid(&place(node), format!("a '{ROOT}' is expected here, and there is '{}'", shown(other)))),
        })
        .collect()
}

fn change(decoder: &Decoder, node: &Node, format: Format) -> Result<Change> {
    only(node, &["objectClass", "identifiers", "objectDelta", "object"])?;
    let at = place(node);
    let class = class(decoder, node)?;
    let identifiers = match child(node, "identifiers")? {
        Some(identifiers) => Some((attributes(decoder, class, identifiers, format)?, place(identifiers))),
        None => None,
    };
    let identifier = identifiers.as_ref().and_then(|(found, _)| found.first(&class.primary_identifier)).cloned();
    let (delta, state) = (child(node, "objectDelta")?, child(node, "object")?);
    let delta = match delta {
        Some(delta) => Some((delta, needed(delta, "changeType")?.text().trim())),
        None => None,
    };
    let must = |identifier: Option<Value>| object::settle(class, identifier, None, &at);
    match (delta, state) {
        (Some((_, "delete")), _) => object::deleted(class, &must(identifier)?, None, &at),
        // Where the whole state is there as well, what led to it does not matter.
        (None | Some((_, "add" | "modify")), Some(state)) => {
            let (found, at) = state_of(decoder, class, state, format)?;
            object::full(class, identifier, found, &at)
        }
        (Some((delta, "add")), None) => {
            let (found, at) = state_of(decoder, class, needed(delta, "objectToAdd")?, format)?;
            object::full(class, identifier, found, &at)
        }
        (Some((delta, "modify")), None) => {
            only(delta, &["changeType", "objectType", "oid", "resourceRef", "itemDelta"])?;
            let mut modifications = Vec::new();
            for item in delta.children_named("itemDelta") {
                modifications.extend(modification(decoder, class, item)?);
            }
            object::delta(class, &must(identifier)?, modifications, &place(delta))
        }
        (Some((delta, _)), _) => Err(invalid(&place(delta), "'changeType' is none of add, modify and delete")),
        (None, None) => object::notification(class, &must(identifier)?, &at),
    }
}

fn class<'d>(decoder: &'d Decoder, node: &Node) -> Result<&'d Arc<ObjectClass>> {
    let named = needed(node, "objectClass")?;
    let name = named.qname().map_err(|_| invalid(&place(named), "the object class is no name, or its prefix is not declared"))?;
    let name = if name.namespace() == Some(ns::COMMON) { QName::local_only(name.local()) } else { name };
    let found = decoder.schema().class_named(&name);
    found.ok_or_else(|| invalid(&place(named), format!("there is no object class '{}'", shown(name.local()))))
}

/// The attributes of a shadow, and where they begin.
fn state_of(decoder: &Decoder, class: &ObjectClass, shadow: &Node, format: Format) -> Result<(Items, String)> {
    for item in &shadow.children {
        let name = item.local();
        let harmless = name == "attributes" || OF_THE_SHADOW.contains(&name) || decoder.unknown == UnknownAttributes::Ignore;
        if !harmless {
            return Err(invalid(&place(item), format!("the item '{}' of an object is not understood", shown(name))));
        }
    }
    let found = needed(shadow, "attributes")?;
    Ok((attributes(decoder, class, found, format)?, place(found)))
}

/// The attributes in a container.
fn attributes(decoder: &Decoder, class: &ObjectClass, container: &Node, format: Format) -> Result<Items> {
    let mut items = Items::new();
    let mut add = |attribute: &AttributeDefinition, value: Value| match items.get_mut(&attribute.name) {
        Some(values) => values.push(value),
        None => items.set(Arc::clone(&attribute.name), Values::from_iter([value])),
    };
    // In JSON and YAML a key such as `oid` is what an attribute is in XML.
    for found in container.attributes.iter().filter(|found| format != Format::Xml && found.name.namespace().is_none()) {
        let at = format!("line {}, column {}", found.place.line, found.place.column);
        if let Some(attribute) = named(decoder, class, &found.name, &at)? {
            add(attribute, typed(attribute, &found.value, &at)?);
        }
    }
    for node in &container.children {
        if let Some(attribute) = named(decoder, class, &node.name, &place(node))?
            && let Some(value) = value(attribute, node)?
        {
            add(attribute, value);
        }
    }
    for (name, values) in items.iter() {
        if let Some(attribute) = class.attribute(name) {
            single_where_it_must(values, attribute, &place(container))?;
        }
    }
    Ok(items)
}

/// The attribute of a name as midPoint has it.
fn named<'c>(decoder: &Decoder, class: &'c ObjectClass, name: &QName, place: &str) -> Result<Option<&'c AttributeDefinition>> {
    let found = match name.namespace() {
        Some(ns::COMMON) => class.attribute_named(&QName::local_only(name.local())),
        _ => class.attribute_named(name),
    };
    match found {
        Some(attribute) => Ok(Some(attribute)),
        None => decoder.unknown_attribute(class, name.local(), place).map(|()| None),
    }
}

fn modification(decoder: &Decoder, class: &ObjectClass, item: &Node) -> Result<Option<Modification>> {
    only(item, &["modificationType", "path", "value", "estimatedOldValue"])?;
    let written = needed(item, "path")?;
    let path = ItemPath::parse_in(written.text().trim(), &written.scope);
    let path = path.map_err(|_| invalid(&place(written), "the path cannot be read"))?;
    let name = match (path.variable.is_none(), path.steps.as_slice()) {
        (true, [container, attribute]) if container.name().is_some_and(|name| name.local() == "attributes") => attribute.name(),
        _ => None,
    };
    let Some(name) = name else {
        // Such as an activation: leaving it out would be to lose a change.
        return match decoder.unknown {
            UnknownAttributes::Ignore => Ok(None),
            UnknownAttributes::Error => Err(invalid(&place(written), "something other than an attribute is modified")),
        };
    };
    let Some(attribute) = named(decoder, class, name, &place(written))? else { return Ok(None) };
    let mut values = Values::new();
    for node in item.children_named("value") {
        values.extend(value(attribute, node)?);
    }
    let name = Arc::clone(&attribute.name);
    let kind = needed(item, "modificationType")?;
    let made = match kind.text().trim() {
        "replace" => {
            single_where_it_must(&values, attribute, &place(item))?;
            Modification::Replace(name, values)
        }
        "add" => {
            single_where_it_must(&values, attribute, &place(item))?;
            Modification::Add(name, values)
        }
        "delete" => Modification::Remove(name, values),
        _ => return Err(invalid(&place(kind), "'modificationType' is none of add, replace and delete")),
    };
    Ok(Some(made))
}

/// A value; none for an empty element.
fn value(attribute: &AttributeDefinition, node: &Node) -> Result<Option<Value>> {
    let node = match node.child("orig") {
        // A PolyString is its original text.
        Some(orig) if node.children.iter().all(|child| matches!(child.local(), "orig" | "norm" | "translation" | "lang")) => orig,
        _ => node,
    };
    if !node.children.is_empty() {
        return Err(invalid(&place(node), format!("'{}' has a structured value, and takes simple ones", shown(&attribute.name))));
    }
    match &node.text {
        Some(text) => typed(attribute, text, &place(node)).map(Some),
        None => Ok(None),
    }
}

fn typed(attribute: &AttributeDefinition, text: &str, place: &str) -> Result<Value> {
    of_text(text, attribute.value_type).map_err(|reason| invalid(place, format!("'{}' {reason}", shown(&attribute.name))))
}

fn needed<'n>(node: &'n Node, name: &str) -> Result<&'n Node> {
    child(node, name)?.ok_or_else(|| invalid(&place(node), format!("'{name}' is missing")))
}

/// The one child of a name.
fn child<'n>(node: &'n Node, name: &str) -> Result<Option<&'n Node>> {
    let mut found = node.children.iter().filter(|child| child.local() == name);
    match (found.next(), found.next()) {
        (_, Some(second)) => Err(invalid(&place(second), format!("'{name}' is there twice"))),
        (first, None) => Ok(first),
    }
}

/// Holds that a node has no other children than these: what is not understood may matter.
fn only(node: &Node, known: &[&str]) -> Result<()> {
    match node.children.iter().find(|child| !known.contains(&child.local())) {
        None => Ok(()),
        Some(other) => {
            let reason = format!("'{}' is not known here; known are {}", shown(other.local()), known.join(", "));
            Err(invalid(&place(other), reason))
        }
    }
}

fn place(node: &Node) -> String {
    format!("line {}, column {}", node.place.line, node.place.column)
}
