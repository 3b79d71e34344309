//! What fails with NATS, in terms of what the engine will do about it.

use std::error::Error as StdError;

use async_nats::jetstream::ErrorCode;
use async_nats::{ConnectError, ConnectErrorKind};
use tidelock_connector_api::{Error, ErrorKind};

use crate::config::NatsConfig;

/// A connection that could not be made.
pub(crate) fn connecting(error: ConnectError, config: &NatsConfig) -> Error {
    let server = config.server();
    let (kind, message) = match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            (ErrorKind::Unauthenticated, format!("{server} does not accept who we say we are"))
        }
        ConnectErrorKind::ServerParse => (ErrorKind::Config, format!("{server} is no address of a NATS server")),
        ConnectErrorKind::Tls => (ErrorKind::Unreachable, format!("the connection to {server} cannot be encrypted")),
        _ => (ErrorKind::Unreachable, format!("cannot connect to {server}")),
    };
    Error::new(kind, message).with_source(error)
}

/// A request to JetStream that the server answered with an error.
pub(crate) fn answered(error: &async_nats::jetstream::Error, what: &str, config: &NatsConfig) -> Error {
    let NatsConfig { stream, consumer, .. } = config;
    let (kind, message) = match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => {
            (ErrorKind::Config, format!("{what}: there is no stream '{stream}' on {}", config.server()))
        }
        ErrorCode::CONSUMER_NOT_FOUND => (ErrorKind::Config, format!("{what}: there is no consumer '{consumer}' of '{stream}'")),
        _ if error.code() >= 500 => (ErrorKind::Unreachable, format!("{what}: JetStream is not available at the moment")),
        _ => (ErrorKind::Config, format!("{what}: the server refuses")),
    };
    Error::new(kind, message).with_source(error.clone())
}

/// A request that has no answer.
pub(crate) fn unanswered(error: impl StdError + Send + Sync + 'static, what: &str, config: &NatsConfig) -> Error {
    Error::unreachable(format!("{what}: {} does not answer", config.server())).with_source(error)
}

/// Whether it may be over by itself.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Throttled)
}
