//! Changes from message brokers that speak AMQP 0-9-1, such as RabbitMQ.
//!
//! [`open`] reads a configuration (midPoint's `AsyncUpdateConnector` with an `amqp091` source, and our own items);
//! [`AmqpConfig`] is the same in Rust. What messages mean is not decided here but by [`tidelock_messages`]. See the `README.md`
//! beside this crate for what every item means.

mod acknowledgements;
mod async_updates;
mod capabilities;
mod client;
mod config;
mod connector;
mod dead_letters;
mod error;
mod message;

pub use config::{AmqpConfig, DeadLetterTarget, Identity, Trust, open};
pub use connector::Amqp;
