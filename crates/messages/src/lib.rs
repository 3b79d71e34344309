//! From the messages of queues to changes of resource objects, and the configuration that sources of messages share.
//!
//! Nothing here does I/O but [`Secret::read`]. A connector for a message broker reads its configuration with [`read`], its own
//! items with [`Settings`], and turns the bodies of messages into changes with [`Decoder::changes`]. See the `README.md` beside
//! this crate for the forms that messages may have.

mod config;
mod decoder;
pub mod schema;

pub use config::{BUNDLE_NAMESPACE, Configuration, Secret, Settings, Source, SourceKind, Text, read};
pub use decoder::{
    ChangeWord, Column, Decoder, MAX_BYTES, MAX_CHANGES, MappedAttribute, Mapping, MessageFormat, Path, Quantity, Table,
    UnknownAttributes, Word,
};
