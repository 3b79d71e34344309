//! The connector's configuration: its options, and how they are read from a resource definition.

mod read;
#[cfg(test)]
mod tests;
mod uri;

use std::path::Path;
use std::time::Duration;

use tidelock_connector_api::OnFailure;
pub use tidelock_connector_api::tls::Trust;
use tidelock_messages::{Secret, SourceKind};
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics};

use crate::connector::Amqp;

/// Everything that can be configured of the broker and its queue.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AmqpConfig {
    /// The broker's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whose certificates are believed; none for connections in the clear.
    pub trust: Option<Trust>,
    /// The virtual host.
    pub virtual_host: String,
    /// Who we are.
    pub username: String,
    /// Where our password is.
    pub password: Secret,
    /// The queue.
    pub queue: String,
    /// How many messages are with us at most that are not acknowledged.
    pub prefetch: u16,
    /// Whether nobody else may consume from the queue, so that the order of changes is kept.
    pub exclusive: bool,
    /// Where rejected messages go; none leaves that to the broker.
    pub dead_letters: Option<DeadLetterTarget>,
    /// Where the identity of a message is.
    pub identity: Identity,
    /// After how much silence each side sends a sign of life. A connection that is silent for twice as long is dead.
    pub heartbeat: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long it is tried to have a broken connection back.
    pub reconnect_timeout: Duration,
}

/// Where rejected messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterTarget {
    /// The exchange; the empty one takes the routing key for a queue's name.
    pub exchange: String,
    /// The routing key; none for the one that the message came with.
    pub routing_key: Option<String>,
}

/// Where the identity of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// In its property `message-id`, together with `app-id` where there is one.
    MessageId,
    /// Nowhere: publishers give identities that are not unique.
    None,
}

impl AmqpConfig {
    /// The defaults, for a queue of a broker without encryption.
    pub fn new(host: impl Into<String>, port: u16, queue: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port,
            trust: None,
            virtual_host: "/".to_owned(),
            username: "guest".to_owned(),
            password: Secret::Text("guest".into()),
            queue: queue.into(),
            // With 10, midPoint's default, a commit would hold ten changes.
            prefetch: 200,
            exclusive: true,
            dead_letters: None,
            identity: Identity::MessageId,
            heartbeat: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            reconnect_timeout: Duration::from_secs(600),
        }
    }

    /// The broker and its port, for people.
    #[must_use]
    pub fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Opens the connector that a definition configures. The object classes are those of the definition's `schema` element, where
/// the configuration itself has none. Relative file paths are relative to `base`, the definition's folder.
///
/// Nothing is connected yet: a broker that does not answer is noticed by [`tidelock_connector_api::Connector::test`].
///
/// # Errors
/// Everything that is wrong with the configuration, each with its place and cure. What is merely doubtful comes with the
/// connector, as its [`Amqp::warnings`].
pub fn open(configuration: &ConnectorConfiguration, schema: Option<&Node>, base: &Path) -> Result<Amqp, Diagnostics> {
    let (messages, mut diagnostics) = tidelock_messages::read(configuration, schema, base)?;
    if messages.source.kind != SourceKind::Amqp091 {
        let place = &messages.source.node.place;
        let error = Diagnostic::error("unsupported-source", place, "this is no source of AMQP 0-9-1");
        diagnostics.push(error.with_help("give an amqp091, as in <sources><amqp091>…</amqp091></sources>"));
        return Err(diagnostics);
    }
    let (config, found) = read::read(&messages.source.node, base);
    diagnostics.extend(found);
    if messages.on_failure == OnFailure::Skip && config.as_ref().is_some_and(|config| config.dead_letters.is_none()) {
        let message = "rejected messages are lost, unless the queue has a dead-letter exchange of its own, which cannot be seen";
        let warning = Diagnostic::warning("no-dead-letters", &messages.source.node.place, message);
        diagnostics.push(warning.with_help("name a queue in 'deadLetterQueue', or the exchange in 'deadLetterExchange'"));
    }
    match config.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)) {
        Some(config) => Ok(Amqp::new(config, messages.decoder, messages.on_failure).with_warnings(diagnostics)),
        None => Err(diagnostics),
    }
}
