//! Definition files: the objects in them, read and written.

use std::borrow::Cow;

use crate::definition::focus::FocusObject;
use crate::definition::nearest::nearest;
use crate::definition::resource::Resource;
use crate::definition::table::{Reading, shorten};
use crate::definition::task::Task;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::{self, Format, Node};
use crate::name::{QName, ns};
use crate::object::FocusType;
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

/// Reads the objects of a file, with everything that is to be said about them.
///
/// An object with errors may be among them, incomplete: where the findings have an error, none of the objects is to be used.
#[must_use]
pub fn read_file(bytes: &[u8], file: Option<&str>, format: Format) -> (Vec<Definition>, Diagnostics) {
    let document = match document::read(bytes, file, format) {
        Ok(document) => document,
        Err(diagnostics) => return (Vec::new(), diagnostics),
    };
    let mut reading = Reading::default();
    reading.extend(document.diagnostics);
    let definitions = document.objects.iter().filter_map(|node| read(node, &mut reading)).collect();
    (definitions, reading.finish())
}

/// Writes objects as a file. Reading it gives equal objects.
#[must_use]
pub fn write(definitions: &[Definition], format: Format) -> String {
    let nodes: Vec<Node> = definitions.iter().map(Definition::to_node).collect();
    document::write(&nodes, format)
}

impl Definition {
    /// The object as a node of the document tree.
    #[must_use]
    pub fn to_node(&self) -> Node {
        match self {
            Self::Resource(resource) => resource.write(),
            Self::Task(task) => task.write(),
            Self::Focus(focus) => focus.write(),
            Self::Other(other) => other.node.clone(),
        }
    }
}

fn read(node: &Node, reading: &mut Reading) -> Option<Definition> {
    if node.name.namespace().is_some_and(|n| n != ns::COMMON) {
        let message = format!("'{}' is no object of the common namespace", shorten(&node.name.to_short()));
        let help = format!("objects are in {}", ns::COMMON);
        reading.report(Diagnostic::error("unknown-object", &node.place, message).with_help(help));
        return None;
    }
    // An element that is only called an object has a type that says which.
    let declared = node.declared_type().filter(|name| node.local() == "object" && is_plain(name.local()));
    let local = declared.as_ref().map_or_else(|| node.local().to_owned(), element_of_type);
    let focus = FocusType::ALL.into_iter().find(|focus| focus.element_name() == local);
    Some(match (&*local, focus) {
        ("resource", _) => Definition::Resource(Box::new(Resource::read(&retyped(node, &local), reading))),
        ("task", _) => Definition::Task(Box::new(Task::read(&retyped(node, &local), reading))),
        (_, Some(focus)) => Definition::Focus(Box::new(FocusObject::read(node, focus, reading))),
        ("object", _) => {
            let message = "an 'object' that does not say its type";
            reading
                .report(Diagnostic::error("unknown-object", &node.place, message).with_help("add xsi:type, such as c:TaskType"));
            return None;
        }
        _ if node.children.is_empty() && node.text.is_some() => {
            let message = format!("'{}' is no object: it has only text", shorten(&local));
            reading.report(
                Diagnostic::error("unknown-object", &node.place, message).with_help("an object has items, such as a name"),
            );
            return None;
        }
        _ => {
            if let Some(name) = nearest(&local, READ_TYPES.iter().copied()) {
                let message = format!("'{}' is stored, but means nothing here", shorten(&local));
                reading.report(
                    Diagnostic::warning("unknown-item", &node.place, message).with_help(format!("did you mean '{name}'?")),
                );
            }
            Definition::Other(OtherObject::new(retyped(node, &local).into_owned()))
        }
    })
}

/// The objects that have a meaning here.
const READ_TYPES: &[&str] = &["resource", "task", "user", "role", "org", "service"];

/// Whether a name is one that an element can have as it is.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// `TaskType` is what `task` elements hold.
fn element_of_type(name: &QName) -> String {
    let local = name.local().strip_suffix("Type").unwrap_or(name.local());
    let mut letters = local.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// The node under its proper name, without the type that said it.
fn retyped<'n>(node: &'n Node, local: &str) -> Cow<'n, Node> {
    if node.local() == local {
        return Cow::Borrowed(node);
    }
    let mut node = node.clone();
    node.name = QName::common(local);
    node.attributes.retain(|a| a.name.namespace() != Some(ns::XSI));
    Cow::Owned(node)
}
