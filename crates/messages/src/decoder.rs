//! What turns the bodies of messages into changes.

mod debezium;
mod kafka;
mod mapping;
mod object;
mod plain;
mod recognize;
mod tree;
mod typed;
mod ucf;

use std::sync::Arc;

use tidelock_connector_api::{Change, Error, Result};
use tidelock_model::document::Format;
use tidelock_model::object::Schema;

pub use self::mapping::{ChangeWord, MappedAttribute, Mapping, Path, Word};
pub use self::typed::Quantity;

/// The largest body that is read.
pub const MAX_BYTES: usize = 8 << 20;
/// The most changes that one message brings.
pub const MAX_CHANGES: usize = 10_000;

/// What turns the bodies of messages into changes of objects of a schema's classes.
///
/// It does no I/O, and no body makes it panic. Its errors say where in a message something is wrong, and what; never what the
/// message holds, names of attributes and classes excepted.
#[derive(Clone, Debug)]
pub struct Decoder {
    schema: Arc<Schema>,
    format: MessageFormat,
    unknown: UnknownAttributes,
    tables: Vec<Table>,
    mapping: Option<Mapping>,
}

/// The form that messages have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MessageFormat {
    /// It is recognized, message by message: by a mapping where there is one, else [`MessageFormat::UcfChange`],
    /// [`MessageFormat::Debezium`] or [`MessageFormat::Json`].
    #[default]
    Auto,
    /// midPoint's `ucfChange`, in XML, JSON or YAML.
    UcfChange,
    /// Our own plain form, in JSON.
    Json,
    /// The change events of Debezium, in JSON.
    Debezium,
    /// Whatever the mapping says, in XML, JSON or YAML.
    Mapping,
}

/// What is done about attributes that the object class lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UnknownAttributes {
    /// The message is an error, which names the attribute.
    #[default]
    Error,
    /// They are passed over.
    Ignore,
}

/// A table whose rows are objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The table's name, alone or with those of its schema and database before it: `public.person`.
    pub name: Box<str>,
    /// The object class.
    pub class: Arc<str>,
    /// The columns that are not simply attributes of the same name.
    pub columns: Vec<Column>,
}

/// A column whose values are those of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name.
    pub name: Box<str>,
    /// The attribute's name.
    pub attribute: Arc<str>,
    /// What its numbers mean, where the event does not say.
    pub quantity: Option<Quantity>,
}

impl Decoder {
    /// Recognizes forms by themselves; attributes that are not in the schema are errors.
    #[must_use]
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema, format: MessageFormat::Auto, unknown: UnknownAttributes::Error, tables: Vec::new(), mapping: None }
    }

    /// The same, expecting one form.
    #[must_use]
    pub fn with_format(mut self, format: MessageFormat) -> Self {
        self.format = format;
        self
    }

    /// The same, treating attributes that the object class lacks otherwise.
    #[must_use]
    pub fn with_unknown_attributes(mut self, unknown: UnknownAttributes) -> Self {
        self.unknown = unknown;
        self
    }

    /// The same, knowing what tables mean. Without any, a table is the class of its name.
    #[must_use]
    pub fn with_tables(mut self, tables: Vec<Table>) -> Self {
        self.tables = tables;
        self
    }

    /// The same with a mapping.
    #[must_use]
    pub fn with_mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = Some(mapping);
        self
    }

    /// The object classes that changes are of.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The changes that a message brings, in their order. The content type, where the message has one, says whether it is XML,
    /// JSON or YAML; otherwise that is guessed.
    ///
    /// # Errors
    /// [`tidelock_connector_api::ErrorKind::InvalidData`] where anything in the message is not as it should be: then none of it
    /// is to be used.
    pub fn changes(&self, body: &[u8], content_type: Option<&str>) -> Result<Vec<Change>> {
        if body.len() > MAX_BYTES {
            let message = format!("the message has {} MiB; {} MiB is the most that is read", body.len() >> 20, MAX_BYTES >> 20);
            return Err(Error::invalid_data(message));
        }
        let changes = recognize::changes(self, body, notation(body, content_type))?;
        if changes.len() > MAX_CHANGES {
            return Err(too_many());
        }
        Ok(changes)
    }
}

fn too_many() -> Error {
    Error::invalid_data(format!("the message brings more than {MAX_CHANGES} changes"))
}

/// The notation of a body.
fn notation(body: &[u8], content_type: Option<&str>) -> Format {
    let content_type = content_type.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = essence.rsplit(['/', '+']).next().unwrap_or_default();
    let is = |name: &str| subtype.eq_ignore_ascii_case(name);
    match () {
        () if is("xml") => Format::Xml,
        () if is("json") => Format::Json,
        () if is("yaml") || is("x-yaml") => Format::Yaml,
        () => Format::guess(body),
    }
}

/// An error in a message, with the place in it.
fn invalid(place: &str, reason: impl AsRef<str>) -> Error {
    Error::invalid_data(format!("the message is wrong at {place}: {}", reason.as_ref()))
}

/// A name out of a message, as it may be shown: short, and without anything that moves a cursor.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
