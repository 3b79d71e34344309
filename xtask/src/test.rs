//! `cargo xtask test`: every test there is, in one go.

use anyhow::{Result, bail};

use crate::{bench, servers, shell};

/// How to run the tests.
pub(crate) struct Options {
    /// Use cargo-nextest where it is installed.
    pub(crate) nextest: bool,
}

/// Builds the binary that the end-to-end tests drive, runs all tests, and the benchmark in small.
///
/// # Errors
///
/// Something failed. What comes after a failure still runs, so that one run tells all.
pub(crate) fn run(options: Options) -> Result<()> {
    shell::need_sqlite3()?;
    // One of each serves all tests: it takes seconds to start.
    let brokers = servers::brokers::start()?;
    // The end-to-end tests belong to a package of their own, and cargo would not build another package's binary for them.
    shell::run(&mut shell::cargo(["build", "--package", "tidelock", "--locked"]))?;

    let everything = ["--workspace", "--all-features", "--locked", "--no-fail-fast"];
    let nextest = options.nextest && shell::works(&mut shell::cargo(["nextest", "--version"]));
    let tests = if nextest {
        let ordinary = shell::run(shell::cargo(["nextest", "run"]).args(everything).envs(brokers.environment()));
        // Documentation's examples are not nextest's business.
        let examples = shell::run(shell::cargo(["test", "--doc"]).args(everything));
        ordinary.and(examples)
    } else {
        shell::run(shell::cargo(["test"]).args(everything).envs(brokers.environment()))
    };
    drop(brokers);
    let smoke = bench::import::smoke();

    match (tests, smoke) {
        (Ok(()), Ok(())) => {
            eprintln!("test: everything passed");
            Ok(())
        }
        (Err(err), Ok(())) | (Ok(()), Err(err)) => Err(err),
        (Err(tests), Err(smoke)) => bail!("{tests:#}\nand the benchmark in small failed: {smoke:#}"),
    }
}
