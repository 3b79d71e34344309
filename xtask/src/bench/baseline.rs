//! The baseline: the SQL script an expert writes, run by the `sqlite3` shell, in one durable transaction.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::measure::{self, Cost};
use crate::shell;

/// A fresh repository with the identities known beforehand.
pub(super) fn seed(database: &Path, identities: &Path) -> Result<()> {
    shell::output(script("seed.sqlite.sh").arg(database).arg(identities)).map(drop)
}

/// One run over an account file.
pub(super) fn run(database: &Path, accounts: &Path) -> Result<Cost> {
    measure::run(script("expert.sqlite.sh").arg(database).arg(accounts).arg("FULL")).context("the baseline")
}

fn script(name: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg(shell::root().join("bench").join(name));
    command
}
