//! The configuration that all sources of messages share: midPoint's `AsyncUpdateConnector`, and our own items.

mod read;
mod secret;
mod settings;

use std::sync::Arc;

use tidelock_connector_api::OnFailure;
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::document::Node;
use tidelock_model::object::Schema;

pub use self::read::read;
pub use self::secret::Secret;
pub(crate) use self::settings::shorten;
pub use self::settings::{Settings, Text};
use crate::Decoder;

/// The namespace of the configuration items.
pub const BUNDLE_NAMESPACE: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/builtin-1/bundle/com.evolveum.midpoint.provisioning.ucf.impl.builtin.async.update/AsyncUpdateConnector";

/// How messages come to us, and what is made of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Configuration {
    /// Where messages come from.
    pub source: Source,
    /// What a message comes to whose changes cannot be applied.
    pub on_failure: OnFailure,
    /// The object classes.
    pub schema: Arc<Schema>,
    /// What turns messages into changes.
    pub decoder: Decoder,
}

/// Where messages come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The kind of broker.
    pub kind: SourceKind,
    /// The element with the broker's own items; to be read with [`Settings`].
    pub node: Node,
}

/// A kind of message broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// One that speaks AMQP 0-9-1, such as RabbitMQ.
    Amqp091,
    /// NATS with JetStream.
    Nats,
}

impl SourceKind {
    /// The kinds that are known.
    pub const ALL: [Self; 2] = [Self::Amqp091, Self::Nats];

    /// The name of the element below `sources`: `amqp091`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amqp091 => "amqp091",
            Self::Nats => "nats",
        }
    }

    /// The kind of the first known source that a configuration has, for whoever must choose a connector. [`read`] says what is
    /// wrong where there is none, or several.
    #[must_use]
    pub fn of(configuration: &ConnectorConfiguration) -> Option<Self> {
        let sources = read::items(configuration).filter(|node| node.local() == "sources");
        sources.flat_map(|node| &node.children).find_map(|node| Self::ALL.into_iter().find(|kind| kind.as_str() == node.local()))
    }
}
