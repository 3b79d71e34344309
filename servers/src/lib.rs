//! Private servers for tests and benchmarks: RabbitMQ, NATS JetStream, OpenLDAP's slapd and 389 Directory Server, each with its own folder,
//! at a free port of this machine, gone with the value.
//!
//! A broker takes seconds to start, so the tests of a run share one ([`RabbitMq::shared`], [`Nats::shared`]) and keep apart by
//! the names of their queues and streams; `cargo xtask test` starts both and tells of them in the environment
//! ([`RABBITMQ`], [`NATS`]), and without that each test program starts its own. Tests that stop, kill or suspend a server
//! start one for themselves, and every test of a directory does. 389 Directory Server is for the long run only ([`is_long_run`]).
//!
//! No server outlives the process that started it, however that ends: a watchdog notices.

mod directory;
mod ds389;
mod nats;
mod process;
mod programs;
mod rabbitmq;
mod slapd;

pub use directory::Directory;
pub use ds389::{Ds389, Ds389Setup};
pub use nats::{NATS, Nats};
pub use programs::Program;
pub use rabbitmq::{RABBITMQ, RABBITMQ_FOLDER, RabbitMq};
pub use slapd::{Slapd, SlapdSetup};

/// Who may do everything on every server.
pub const USER: &str = "admin";

/// The password of [`USER`].
pub const PASSWORD: &str = "sesame";

/// Whether this is the long run of the tests, for which `TIDELOCK_LONG` is set (and is not `0`).
#[must_use]
pub fn is_long_run() -> bool {
    std::env::var_os("TIDELOCK_LONG").is_some_and(|long| long != "0")
}
