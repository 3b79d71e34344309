//! The connector's configuration: its options, and how they are read from a resource definition.

mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::ServerAddr;
pub use tidelock_connector_api::tls::Trust;
use tidelock_messages::{Secret, SourceKind};
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics};

use crate::connector::Nats;

/// Everything that can be configured of the server and its stream.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NatsConfig {
    /// The servers of one cluster.
    pub servers: Vec<ServerAddr>,
    /// Who we are.
    pub login: Login,
    /// Whose certificates are believed, where connections are encrypted.
    pub trust: Trust,
    /// Whether connections that the server would not encrypt are refused.
    pub tls_required: bool,
    /// Our own certificate and its key, both in PEM files.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The stream.
    pub stream: String,
    /// The durable consumer. It is made where it does not exist.
    pub consumer: String,
    /// The subjects that are wanted, with wildcards; all, where there is none.
    pub filters: Vec<String>,
    /// Where a consumer that is made begins.
    pub begin: Begin,
    /// How many messages are with us at most that are not acknowledged, for a consumer that is made.
    pub prefetch: u32,
    /// After how long the server sends a message again that is not acknowledged, for a consumer that is made.
    pub ack_wait: Duration,
    /// The subject of rejected messages. A stream must have it.
    pub dead_letters: Option<String>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub request_timeout: Duration,
    /// How long it is tried to have a broken connection back.
    pub reconnect_timeout: Duration,
}

/// Who we are. The `Debug` form shows no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nobody in particular.
    None,
    /// A user with a password.
    Password(String, Secret),
    /// Whoever has the token.
    Token(Secret),
    /// Whoever has the seed of the key.
    NKey(Secret),
    /// The content of a credentials file: a JWT and the seed that belongs to it.
    Credentials(Secret),
}

/// Where a consumer that is made begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the first message that the stream still has.
    All,
    /// With the next message.
    New,
}

impl NatsConfig {
    /// The defaults, for a server without encryption.
    pub fn new(server: ServerAddr, stream: impl Into<String>, consumer: impl Into<String>) -> Self {
        Self {
            servers: vec![server],
            login: Login::None,
            trust: Trust::System,
            tls_required: false,
            certificate: None,
            stream: stream.into(),
            consumer: consumer.into(),
            filters: Vec::new(),
            begin: Begin::All,
            // Bytes are bounded elsewhere; this bounds what one commit can take.
            prefetch: 10_000,
            ack_wait: Duration::from_secs(30),
            dead_letters: None,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            reconnect_timeout: Duration::from_secs(600),
        }
    }

    /// The servers with their ports, for people.
    #[must_use]
    pub fn server(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(|server| format!("{}:{}", server.host(), server.port())).collect();
        servers.join(", ")
    }
}

/// Opens the connector that a definition configures. The object classes are those of the definition's `schema` element, where
/// the configuration itself has none. Relative file paths are relative to `base`, the definition's folder.
///
/// Nothing is connected yet: a server that does not answer is noticed by [`tidelock_connector_api::Connector::test`].
///
/// # Errors
/// Everything that is wrong with the configuration, each with its place and cure. What is merely doubtful comes with the
/// connector, as its [`Nats::warnings`].
pub fn open(configuration: &ConnectorConfiguration, schema: Option<&Node>, base: &Path) -> Result<Nats, Diagnostics> {
    let (messages, mut diagnostics) = tidelock_messages::read(configuration, schema, base)?;
    if messages.source.kind != SourceKind::Nats {
        let place = &messages.source.node.place;
        let error = Diagnostic::error("unsupported-source", place, "this is no source of NATS");
        diagnostics.push(error.with_help("give a nats, as in <sources><nats>…</nats></sources>"));
        return Err(diagnostics);
    }
    let (config, found) = read::read(&messages.source.node, base);
    diagnostics.extend(found);
    match config.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)) {
        Some(config) => Ok(Nats::new(config, messages.decoder, messages.on_failure).with_warnings(diagnostics)),
        None => Err(diagnostics),
    }
}
