//! RabbitMQ and NATS, of which all tests of a run share one each.

use std::process::Command;

use anyhow::Result;
use tidelock_servers::{Nats, Program, RabbitMq, is_long_run};

use super::packages;
use crate::shell;

/// Both, running until the value is dropped.
pub(crate) struct Brokers {
    /// The RabbitMQ.
    rabbitmq: RabbitMq,
    /// The NATS server.
    nats: Nats,
}

/// Sees to it that the servers are installed which tests start: RabbitMQ, NATS, and slapd with its tools; for the long run also 389
/// Directory Server.
///
/// # Errors
///
/// They are missing, and this is no Debian where we may install them.
pub(crate) fn need() -> Result<()> {
    let more = if is_long_run() { Program::LONG_RUN } else { &[] };
    let missing = || Program::ALL.iter().chain(more).filter(|program| program.path().is_none());
    let mut packages: Vec<_> = missing().map(|program| program.package()).collect();
    packages.dedup();
    packages::need("the tests", &packages, || missing().next().map(ToString::to_string))
}

/// Starts both, after [`need`].
///
/// # Errors
///
/// One does not start.
pub(crate) fn start() -> Result<Brokers> {
    need()?;
    eprintln!("servers: starting RabbitMQ and NATS for the tests");
    Ok(Brokers { rabbitmq: RabbitMq::start()?, nats: Nats::start()? })
}

/// `cargo xtask with-servers`: runs a command that finds both in its environment.
///
/// # Errors
///
/// A server does not start, or the command fails.
pub(crate) fn with(command: &[String]) -> Result<()> {
    let brokers = start()?;
    for (name, value) in brokers.environment() {
        eprintln!("{name}={value}");
    }
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    shell::run(Command::new(program).args(arguments).envs(brokers.environment()))
}

impl Brokers {
    /// What tells tests where they are.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.rabbitmq.environment().into_iter().chain(self.nats.environment())
    }
}
