//! Definitions as they are stored: resources, tasks, templates and the like.

use tidelock_model::Oid;
use tidelock_model::object::FocusType;

/// The type of a stored object, by its element name: `resource`, `task`, `user`, `objectTemplate`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectType(Box<str>);

/// An object that is not a focus, as it is stored: its own text in one of the definition formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// The type.
    pub object_type: ObjectType,
    /// Its identity; an object without one gets one when it is first applied.
    pub oid: Option<Oid>,
    /// Its name, unique among objects of the type.
    pub name: String,
    /// The object's canonical definition text.
    pub text: String,
    /// Where it was read from; relative paths inside the definition are relative to this file's folder. Not part of the
    /// object's content: it is kept up to date without counting as a change.
    pub origin: Option<String>,
}

/// How an object is named in a command or a reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKey {
    /// By identity.
    Oid(Oid),
    /// By name.
    Name(String),
}

/// What became of an applied object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It is new.
    Created,
    /// It replaced an older version.
    Updated,
    /// It was there already, just so.
    Unchanged,
}

impl ObjectType {
    /// The type with this element name.
    pub fn new(element_name: impl Into<Box<str>>) -> Self {
        Self(element_name.into())
    }

    /// The element name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The focus type, where it is one.
    #[must_use]
    pub fn focus_type(&self) -> Option<FocusType> {
        FocusType::ALL.into_iter().find(|t| t.element_name() == &*self.0)
    }
}
