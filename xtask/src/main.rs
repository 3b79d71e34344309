//! The project's own chores: `cargo xtask check`, `test`, `tidy`, `conformance`, `bench`, `fuzz` and `new-connector`.
//!
//! It needs nothing but a Rust toolchain (and the `sqlite3` shell, for the benchmark's baseline), and knows the project's rules so that
//! no reviewer has to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod check;
mod conformance;
mod fuzz;
mod licences;
mod metadata;
mod new_connector;
mod servers {
    pub(crate) mod brokers;
    mod packages;
}
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, lints, documentation, licences of the dependencies, and the project's own rules.
    Check,
    /// Every test: unit, property, conformance, end to end, documentation, and the benchmark in small.
    Test {
        /// Use `cargo test` even if cargo-nextest is installed.
        #[arg(long)]
        no_nextest: bool,
    },
    /// The project's own rules: who may depend on whom, what the pure crates may not touch, how files open.
    Tidy,
    /// The conformance suites only: of every connector and every repository.
    Conformance,
    /// Measures the engine, against its baseline where there is one.
    Bench {
        #[command(subcommand)]
        name: Benchmark,
    },
    /// Searches for inputs that break the readers of definitions, the query language or the resolver.
    Fuzz {
        /// One target only: definitions_xml, definitions_yaml, definitions_json, filter, resolve or messages.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// Runs a command while a private RabbitMQ and a private NATS server run, whose addresses are in its environment.
    WithServers {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// The baseline of `bench async`: reads and acknowledges messages, and nothing else.
    #[command(hide = true)]
    BareConsumer {
        /// The broker.
        url: String,
        /// The queue, or the stream.
        queue: String,
        /// How many messages.
        count: u64,
    },
    /// Writes a new connector's crate, small but passing its conformance suite, to crates/connectors/NAME.
    NewConnector {
        /// The connector's name: lower-case letters, digits and hyphens.
        name: String,
    },
}

#[derive(Subcommand)]
enum Benchmark {
    /// The first import of an account file, the same again, and a reconciliation of its first revision.
    Import(bench::import::Options),
    /// Live synchronization of an account file of which 1 % has changed, against `sort` and `comm`.
    Live(bench::live::Options),
    /// Changes from the queues of a private RabbitMQ and a private NATS server, against a bare consumer; and how late one takes effect.
    Async(bench::async_updates::Options),
    /// A private slapd: a full read, an import, a refresh after 1 % changed, and how late a change that is listened to takes effect.
    Ldap(bench::ldap::Options),
    /// Decisions one by one (classification, filters), and the check of a folder of 1,000 definition files.
    Resolver(bench::resolver::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("xtask: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Check => check::run(),
        Chore::Test { no_nextest } => test::run(test::Options { nextest: !no_nextest }),
        Chore::Tidy => tidy::run(),
        Chore::Conformance => conformance::run(),
        Chore::Bench { name } => match name {
            Benchmark::Import(options) => bench::import::run(&options),
            Benchmark::Live(options) => bench::live::run(&options),
            Benchmark::Async(options) => bench::async_updates::run(&options),
            Benchmark::Ldap(options) => bench::ldap::run(&options),
            Benchmark::Resolver(options) => bench::resolver::run(&options),
        },
        Chore::BareConsumer { url, queue, count } => bench::broker::bare_consumer(&url, &queue, count),
        Chore::Fuzz { target, seconds } => fuzz::run(&fuzz::Options { target, seconds }),
        Chore::WithServers { command } => servers::brokers::with(&command),
        Chore::NewConnector { name } => new_connector::run(&name),
    }
}
