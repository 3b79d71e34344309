//! The connector with real NATS servers behind it.

#![allow(clippy::unwrap_used)]

mod conformance;
mod discarded;
mod order;
mod size;
mod stream;
