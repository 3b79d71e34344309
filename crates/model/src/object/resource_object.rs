//! Objects as a resource gives them.

use std::sync::Arc;

use crate::value::Items;

/// An object as it is on a resource, at the moment of reading.
///
/// Attribute keys are the resource's own names, as its schema lists them.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceObject {
    /// The object class, as the schema names it.
    pub class: Arc<str>,
    /// The value of the primary identifier, as the resource spells it. Never empty.
    pub identifier: Box<str>,
    /// All attributes that were read, the identifiers among them.
    pub attributes: Items,
    /// Where in the resource it was found, for people: `row 17`.
    pub origin: Option<Box<str>>,
}

impl ResourceObject {
    /// An object of a class with an identifier and its attributes.
    pub fn new(class: impl Into<Arc<str>>, identifier: impl Into<Box<str>>, attributes: Items) -> Self {
        Self { class: class.into(), identifier: identifier.into(), attributes, origin: None }
    }

    /// The same, found at a place that people understand.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<Box<str>>) -> Self {
        self.origin = Some(origin.into());
        self
    }
}
