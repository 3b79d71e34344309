//! Definition files: the objects in them, read and written.

use crate::definition::focus::FocusObject;
use crate::definition::resource::Resource;
use crate::definition::task::Task;
use crate::diagnostic::Place;
use crate::document::Node;
use crate::oid::Oid;

/// One object of a definition file.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// A resource.
    Resource(Box<Resource>),
    /// A task.
    Task(Box<Task>),
    /// A person, role, organization or service.
    Focus(Box<FocusObject>),
    /// Anything else: stored, and of no further meaning here.
    Other(OtherObject),
}

/// An object of a type that has no typed form here, such as an object template.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherObject {
    /// The element, whole.
    pub node: Node,
    oid: Option<Oid>,
}

impl OtherObject {
    /// The object in an element.
    #[must_use]
    pub fn new(node: Node) -> Self {
        let oid = node.attribute_value("oid").map(str::trim).filter(|oid| !oid.is_empty()).map(Oid::new);
        Self { node, oid }
    }

    /// The OID, where it has one.
    #[must_use]
    pub fn oid(&self) -> Option<&Oid> {
        self.oid.as_ref()
    }

    /// The name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let name = self.node.child("name")?;
        Some(name.child("orig").unwrap_or(name).text().trim()).filter(|name| !name.is_empty())
    }
}

impl Definition {
    /// The OID, where the object has one.
    #[must_use]
    pub fn oid(&self) -> Option<&Oid> {
        let oid = match self {
            Self::Resource(resource) => &resource.oid,
            Self::Task(task) => &task.oid,
            Self::Focus(focus) => &focus.oid,
            Self::Other(other) => return other.oid(),
        };
        oid.as_ref().map(|oid| &oid.value)
    }

    /// The name, where the object has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Resource(resource) => resource.name.as_ref().map(|name| name.as_str()),
            Self::Task(task) => task.name.as_ref().map(|name| name.as_str()),
            Self::Focus(focus) => focus.name(),
            Self::Other(other) => other.name(),
        }
    }

    /// Where the object begins.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Resource(resource) => &resource.place,
            Self::Task(task) => &task.place,
            Self::Focus(focus) => &focus.place,
            Self::Other(other) => &other.node.place,
        }
    }

    /// The type as the element's name has it: `resource`, `task`, `user`, `objectTemplate`.
    #[must_use]
    pub fn object_type(&self) -> &str {
        match self {
            Self::Resource(_) => "resource",
            Self::Task(_) => "task",
            Self::Focus(focus) => focus.focus_type.element_name(),
            Self::Other(other) => other.node.local(),
        }
    }
}
