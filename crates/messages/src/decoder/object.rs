//! Changes, made of what was read and held against the schema.

use std::sync::Arc;

use tidelock_connector_api::{Change, ChangeKind, Modification, Result};
use tidelock_model::object::{AttributeDefinition, ObjectClass, ResourceObject};
use tidelock_model::value::{Items, Value, Values};

use super::tree::Tree;
use super::typed::Quantity;
use super::typed::values;
use super::{Decoder, UnknownAttributes, invalid, shown};

impl Decoder {
    /// The class of a name.
    pub(super) fn class(&self, name: &str, place: &str) -> Result<&Arc<ObjectClass>> {
        self.schema.class(name).ok_or_else(|| invalid(place, format!("there is no object class '{}'", shown(name))))
    }

    /// The attribute of a name; none where unknown ones are passed over.
    pub(super) fn attribute<'c>(
        &self,
        class: &'c ObjectClass,
        name: &str,
        place: &str,
    ) -> Result<Option<&'c AttributeDefinition>> {
        match class.attribute(name) {
            Some(attribute) => Ok(Some(attribute)),
            None => self.unknown_attribute(class, name, place).map(|()| None),
        }
    }

    /// Says so, unless unknown attributes are passed over.
    pub(super) fn unknown_attribute(&self, class: &ObjectClass, name: &str, place: &str) -> Result<()> {
        match self.unknown {
            UnknownAttributes::Ignore => Ok(()),
            UnknownAttributes::Error => {
                Err(invalid(place, format!("the object class '{}' has no attribute '{}'", shown(&class.name), shown(name))))
            }
        }
    }
}

/// The identifier that a value is.
pub(super) fn identifier(tree: &Tree<'_>, class: &ObjectClass, quantity: Option<Quantity>, place: &str) -> Result<Value> {
    let primary = primary(class, place)?;
    let mut found = values(tree, primary, quantity, place)?;
    match (found.pop(), found.is_empty()) {
        (Some(value), true) if value.to_text().is_some_and(|text| !text.is_empty()) => Ok(value),
        (_, true) => Err(invalid(place, "the identifier is empty")),
        _ => Err(invalid(place, "there are several identifiers")),
    }
}

fn primary<'c>(class: &'c ObjectClass, place: &str) -> Result<&'c AttributeDefinition> {
    class
        .attribute(&class.primary_identifier)
        .ok_or_else(|| invalid(place, format!("the object class '{}' has no identifier", shown(&class.name))))
}

/// A whole object; its identifier is given, or among its attributes, or both, and then the same.
pub(super) fn full(class: &Arc<ObjectClass>, identifier: Option<Value>, mut attributes: Items, place: &str) -> Result<Change> {
    let identifier = settle(class, identifier, attributes.first(&class.primary_identifier), place)?;
    attributes.set(Arc::clone(&class.primary_identifier), Values::from_iter([identifier.clone()]));
    if let Some(missing) = class.attributes.iter().find(|a| a.required && attributes.get(&a.name).is_empty()) {
        return Err(invalid(place, format!("the required attribute '{}' is missing", shown(&missing.name))));
    }
    let text = text_of(&identifier, place)?;
    let object = ResourceObject::new(Arc::clone(&class.name), text.clone(), attributes);
    Ok(change(class, text, ChangeKind::Full(object)))
}

/// Modifications of an object. They cannot make another object of it.
pub(super) fn delta(
    class: &Arc<ObjectClass>,
    identifier: &Value,
    mut modifications: Vec<Modification>,
    place: &str,
) -> Result<Change> {
    for modification in &modifications {
        let Some(attribute) = class.attribute(modification.attribute()) else { continue };
        let (replaced, removed) = match modification {
            Modification::Replace(_, values) => (Some(values), values.is_empty()),
            Modification::Add(_, values) => (Some(values).filter(|_| *attribute.name == *class.primary_identifier), false),
            Modification::Remove(..) => (None, *attribute.name == *class.primary_identifier),
        };
        if removed && attribute.required {
            return Err(invalid(place, format!("the required attribute '{}' is removed", shown(&attribute.name))));
        }
        if *attribute.name == *class.primary_identifier {
            let same = replaced.is_some_and(|values| values.len() == 1 && same_identifier(class, &values[0], identifier));
            if !same {
                let reason = "the identifier itself is changed: send the object as deleted, and then under its new identifier";
                return Err(invalid(place, reason));
            }
        }
    }
    modifications.retain(|one| **one.attribute() != *class.primary_identifier);
    Ok(change(class, text_of(identifier, place)?, ChangeKind::Delta(modifications)))
}

/// An object that is gone, with what it was where that is known.
pub(super) fn deleted(class: &Arc<ObjectClass>, identifier: &Value, was: Option<Items>, place: &str) -> Result<Change> {
    let was = was.map(|mut was| {
        was.set(Arc::clone(&class.primary_identifier), Values::from_iter([identifier.clone()]));
        was
    });
    Ok(change(class, text_of(identifier, place)?, ChangeKind::Deleted(was)))
}

/// An object about which something has changed.
pub(super) fn notification(class: &Arc<ObjectClass>, identifier: &Value, place: &str) -> Result<Change> {
    Ok(change(class, text_of(identifier, place)?, ChangeKind::Notification))
}

/// The one identifier that two places say.
pub(super) fn settle(class: &ObjectClass, given: Option<Value>, among: Option<&Value>, place: &str) -> Result<Value> {
    match (given, among) {
        (None, None) => Err(invalid(place, format!("the identifier '{}' is missing", shown(&class.primary_identifier)))),
        (Some(given), Some(among)) if !same_identifier(class, &given, among) => Err(invalid(
            place,
            format!("the attribute '{}' is not the identifier that is given", shown(&class.primary_identifier)),
        )),
        (_, Some(among)) => Ok(among.clone()),
        (Some(given), None) => Ok(given),
    }
}

/// Whether two values identify the same object.
pub(super) fn same_identifier(class: &ObjectClass, a: &Value, b: &Value) -> bool {
    match (a.to_text(), b.to_text()) {
        (Some(a), Some(b)) => class.normalize_identifier(&a) == class.normalize_identifier(&b),
        _ => false,
    }
}

fn change(class: &Arc<ObjectClass>, identifier: Box<str>, kind: ChangeKind) -> Change {
    Change { class: Some(Arc::clone(&class.name)), identifier, kind }
}

fn text_of(identifier: &Value, place: &str) -> Result<Box<str>> {
    let text = identifier.to_text().filter(|text| !text.is_empty());
    text.map(|text| text.into_owned().into()).ok_or_else(|| invalid(place, "the identifier is empty"))
}
