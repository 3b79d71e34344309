//! What the errors of brokers mean, and which of them pass.

use lapin::ErrorKind as AmqpKind;
use tidelock_connector_api::{Error, ErrorKind};

use crate::config::AmqpConfig;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Connecting, and saying who we are.
    Connect,
    /// Looking at the queue.
    Inspect,
    /// Beginning to consume.
    Consume,
    /// Listening.
    Listen,
    /// Acknowledging messages.
    Acknowledge,
    /// Publishing a dead letter.
    DeadLetter,
}

/// Reply codes of the protocol.
mod code {
    pub(super) const CONNECTION_FORCED: u16 = 320;
    pub(super) const ACCESS_REFUSED: u16 = 403;
    pub(super) const NOT_FOUND: u16 = 404;
    pub(super) const RESOURCE_LOCKED: u16 = 405;
    pub(super) const PRECONDITION_FAILED: u16 = 406;
    pub(super) const RESOURCE_ERROR: u16 = 506;
    pub(super) const NOT_ALLOWED: u16 = 530;
    pub(super) const INTERNAL_ERROR: u16 = 541;
}

/// Whether it may be otherwise in a moment.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Throttled)
}

/// An error of lapin, in terms of what the engine does about it.
pub(crate) fn explain(error: &lapin::Error, step: Step, config: &AmqpConfig) -> Error {
    let doing = doing(step, config);
    let (kind, reason) = match error.kind() {
        AmqpKind::ProtocolError(refusal) => {
            let text = printable(refusal.get_message().as_str());
            let (kind, cure) = meaning(refusal.get_id(), &text, step);
            let cure = if cure.is_empty() { String::new() } else { format!(" ({cure})") };
            (kind, format!("the broker says {text}{cure}"))
        }
        AmqpKind::InvalidProtocolVersion(_) => {
            (ErrorKind::Config, "it does not speak AMQP 0-9-1; name the port that the broker has for that".to_owned())
        }
        AmqpKind::ParsingError(_) if step == Step::Connect => {
            (ErrorKind::Config, "what answers does not speak AMQP 0-9-1; name the port that the broker has for that".to_owned())
        }
        AmqpKind::ParsingError(_) => (ErrorKind::Unexpected, "the broker sends what cannot be understood".to_owned()),
        AmqpKind::AuthProviderError(_) => (ErrorKind::Unauthenticated, "the credentials are not accepted".to_owned()),
        AmqpKind::SerialisationError(_) => (ErrorKind::Unexpected, "a message cannot be written".to_owned()),
        AmqpKind::ChannelsLimitReached => (ErrorKind::Throttled, "the broker allows no more channels".to_owned()),
        AmqpKind::MissingHeartbeatError => (ErrorKind::Unreachable, "the broker is silent for too long".to_owned()),
        AmqpKind::IOError(error) => (ErrorKind::Unreachable, error.to_string()),
        _ => (ErrorKind::Unreachable, "the connection is gone".to_owned()),
    };
    Error::new(kind, format!("{doing}: {reason}"))
}

/// What a refusal means, and what can be done about it. RabbitMQ's codes are few, so that its texts must be looked at, too.
fn meaning(id: u16, text: &str, step: Step) -> (ErrorKind, &'static str) {
    let says = |part: &str| text.contains(part);
    let down = says("is down") || says("inaccessible") || says("stopped by supervisor") || says("not available");
    match id {
        code::ACCESS_REFUSED if step == Step::Connect => (ErrorKind::Unauthenticated, "check 'username' and 'password'"),
        code::ACCESS_REFUSED if says("exclusive use") => (ErrorKind::Throttled, "somebody else consumes from it"),
        code::ACCESS_REFUSED => (ErrorKind::Denied, "give the user the right to it"),
        code::NOT_FOUND if down => (ErrorKind::Unreachable, ""),
        code::NOT_FOUND => (ErrorKind::Config, "check the name"),
        code::RESOURCE_LOCKED => (ErrorKind::Denied, "the queue belongs to another connection alone"),
        code::NOT_ALLOWED if down || says("limit") => (ErrorKind::Throttled, ""),
        code::NOT_ALLOWED if says("access to vhost") => (ErrorKind::Denied, "give the user the right to it"),
        code::NOT_ALLOWED if says("not found") => (ErrorKind::Config, "check 'virtualHost'"),
        code::NOT_ALLOWED => (ErrorKind::Denied, ""),
        // Messages that nobody acknowledged in time, for one.
        code::PRECONDITION_FAILED if matches!(step, Step::Listen | Step::Acknowledge) => (ErrorKind::Unreachable, ""),
        code::CONNECTION_FORCED | code::INTERNAL_ERROR | code::RESOURCE_ERROR => (ErrorKind::Unreachable, ""),
        _ => (ErrorKind::Config, ""),
    }
}

fn doing(step: Step, config: &AmqpConfig) -> String {
    let (server, queue) = (config.server(), printable(&config.queue));
    match step {
        Step::Connect => format!("cannot connect to {server}"),
        Step::Inspect => format!("cannot look at the queue '{queue}' of {server}"),
        Step::Consume => format!("cannot consume from the queue '{queue}' of {server}"),
        Step::Listen => format!("cannot go on listening to the queue '{queue}' of {server}"),
        Step::Acknowledge => format!("cannot acknowledge messages of the queue '{queue}' of {server}, which will come again"),
        Step::DeadLetter => format!("cannot publish a dead letter to {server}"),
    }
}

/// A text of somebody else's, as it may be shown.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
