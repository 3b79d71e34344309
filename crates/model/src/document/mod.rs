//! The one tree that XML, YAML and JSON files are read into, every node with its place.
//!
//! Reading is strict about form (what is not well-formed is refused, with its place) and knows nothing of what the names mean:
//! that is [`crate::definition`]'s. Whatever is expanded or nested is bounded, so that a hostile file costs no more than its
//! size. The same tree is written back as any of the three.

mod format;
mod node;
mod scope;
mod text;
mod write;
mod write_json;
mod write_xml;
mod write_yaml;
mod xml;
mod yaml;
mod yaml_nodes;

use std::sync::Arc;

pub use format::Format;
pub use node::{Attribute, Node};
pub(crate) use node::{resolve_reporting, same_attributes};
pub use scope::{Scope, UndeclaredPrefix};
pub(crate) use write::name_text;

use crate::diagnostic::Diagnostics;
use crate::name::ns;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Document {
    /// The objects, in their order. What a root `objects` holds counts as if it stood alone.
    pub objects: Vec<Node>,
    /// What is to be said about the file, errors excepted.
    pub diagnostics: Diagnostics,
    /// The notation.
    pub format: Format,
}

/// Reads a file.
///
/// # Errors
/// The first thing that makes it not well-formed (`syntax`, `undeclared-prefix`), with its place.
pub fn read(bytes: &[u8], file: Option<&str>, format: Format) -> Result<Document, Diagnostics> {
    let file: Option<Arc<str>> = file.map(Into::into);
    let file = file.as_ref();
    let read = || {
        let text = text::decode(bytes, file)?;
        match format {
            Format::Xml => xml::read(text, file).map(|(root, diagnostics)| (vec![root], diagnostics)),
            Format::Yaml | Format::Json => yaml::read(text, file, format),
        }
    };
    let (roots, diagnostics) = read().map_err(|diagnostic| vec![diagnostic])?;
    let mut objects = Vec::new();
    roots.into_iter().for_each(|root| unpack(root, &mut objects));
    Ok(Document { objects, diagnostics, format })
}

/// Writes objects as a file: one alone, several in an `objects` element.
#[must_use]
pub fn write(objects: &[Node], format: Format) -> String {
    match format {
        Format::Xml => write_xml::write(objects),
        Format::Yaml => write_yaml::write(&write::tree(objects)),
        Format::Json => write_json::write(&write::tree(objects)),
    }
}

/// Adds an object, or the objects of a list; a list in a list is a part of it.
fn unpack(root: Node, objects: &mut Vec<Node>) {
    if is_list(&root) {
        // The nesting of nodes is bounded.
        root.children.into_iter().for_each(|child| unpack(child, objects));
    } else {
        objects.push(root);
    }
}

fn is_list(root: &Node) -> bool {
    root.local() == "objects" && root.name.namespace().is_none_or(|n| n == ns::COMMON)
}
