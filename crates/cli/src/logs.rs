//! Logs, on standard error, in step with a progress bar that may be there.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::args::Global;
use crate::output::Output;

/// Starts logging: errors with `-q`, warnings by default, more with `-v`. `TIDELOCK_LOG` says otherwise in detail.
pub(crate) fn start(global: &Global, output: &Output) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        (_, _) => "trace",
    };
    // lapin tells of every frame, with what is in messages, and of what our own connector tells of already.
    let usual = || EnvFilter::new(format!("{level},lapin=off"));
    let filter = EnvFilter::try_from_env("TIDELOCK_LOG").unwrap_or_else(|_| usual());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output.colour_on_stderr())
        .with_target(global.verbose > 1)
        .with_writer(BesideTheBar(output.clone()))
        .finish();
    // It fails only where logging has been started already, and then there is nothing to do.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Takes the progress bar away while a line is written.
struct BesideTheBar(Output);

impl<'a> MakeWriter<'a> for BesideTheBar {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

struct Line<'a>(&'a Output);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.beside_the_bar(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
