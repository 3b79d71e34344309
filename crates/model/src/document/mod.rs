//! The one tree that XML, YAML and JSON files are read into, every node with its place.
//!
//! Reading is strict about form (what is not well-formed is refused, with its place) and knows nothing of what the names mean:
//! that is [`crate::definition`]'s. Whatever is expanded or nested is bounded, so that a hostile file costs no more than its
//! size. The same tree is written back as any of the three.

mod format;
mod node;
mod scope;

pub use format::Format;
pub use node::{Attribute, Node};
pub(crate) use node::{resolve_reporting, same_attributes};
pub use scope::{Scope, UndeclaredPrefix};
