//! Talking to a broker: connections, encryption, and how an attempt to have one fails.

mod broker;
mod session;
mod stream;

pub(crate) use broker::Broker;
pub(crate) use session::Session;
