//! The `tidelock` command: reads definitions, wires repository, connectors and engine together, and prints.
//!
//! The only crate that prints. What the commands promise to scripts (names, JSON keys, codes, exit statuses) is a contract:
//! see [`args`] for the commands, [`failure`] for the exit statuses.

mod additional;
mod args;
mod commands;
mod config;
mod definitions;
mod failure;
mod logs;
mod output;
mod registry;
mod repository;
mod sources;
mod stop;
mod validate;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// The engine allocates a great deal of small, short-lived things on two threads at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and are no errors. If even this cannot be printed, nobody is listening.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    let output = Output::new(cli.global.format, &cli.global);
    logs::start(&cli.global, &output);
    let exit = match start(cli, &output) {
        Ok(exit) => exit,
        Err(failure) => output.failure(&failure),
    };
    exit.into()
}

fn start(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let session = Session::new(&cli.global, output.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::fatal("runtime", format!("cannot start: {error}")))?;
    let exit = runtime.block_on(commands::dispatch(cli.command, &session));
    // A connector may still be reading on a thread of its own: nobody waits for it any longer.
    runtime.shutdown_background();
    exit
}
