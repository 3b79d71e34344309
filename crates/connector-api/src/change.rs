//! Changes of resource objects.

use std::sync::Arc;

use tidelock_model::object::ResourceObject;
use tidelock_model::value::Items;

use crate::Modification;

/// A change of one resource object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The object class; none where the resource does not say it with a deletion.
    pub class: Option<Arc<str>>,
    /// The primary identifier, as the resource spells it.
    pub identifier: Box<str>,
    /// What changed.
    pub kind: ChangeKind,
}

/// What a change says.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeKind {
    /// The object is now this, whether it is new or not.
    Full(ResourceObject),
    /// These attributes have changed, one modification after the other ([`Modification::apply`]). A resource that knows the new
    /// values only says [`Modification::Replace`]; one that knows single values that came and went says so.
    Delta(Vec<Modification>),
    /// The object is gone. What it was, where the resource still knows.
    Deleted(Option<Items>),
    /// Something about the object has changed: the engine reads it.
    Notification,
}
