//! Tidelock's connector for changes from NATS JetStream.
//!
//! A listener gives the messages of a stream in the order of their sequence numbers, each once: it begins after the position
//! that the engine committed, and never gives a message before one with a lower number. Acknowledgements tell the server's
//! durable consumer how far we are, and no more. See the `README.md` beside this crate.

mod acknowledgements;
mod async_updates;
mod attach;
mod backlog;
mod capabilities;
mod client;
mod config;
mod connector;
mod dead_letters;
mod error;
mod message;
mod position;
mod pull;
mod subject;

pub use config::{Begin, Login, NatsConfig, Trust, open};
pub use connector::Nats;
