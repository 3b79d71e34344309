//! Talking to a server: connections, encryption, and the pool that keeps them.

mod connection;
mod pool;
mod tls;

pub(crate) use pool::{Lease, Pool, backoff, is_passing};
