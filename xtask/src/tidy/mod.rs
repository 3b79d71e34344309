//! `cargo xtask tidy`: the project's own rules, those that a compiler does not know.
//!
//! [`edges`] holds who may depend on whom, [`sources`] what the files may say.

mod edges;
mod sources;

use anyhow::{Result, bail};

use crate::{metadata, shell};

/// Checks all rules and names every place that breaks one.
pub(crate) fn run() -> Result<()> {
    let mut problems = edges::check(&metadata::read()?);
    problems.extend(sources::check(&shell::root())?);
    if !problems.is_empty() {
        bail!("{} against the project's rules:\n  {}", count(problems.len()), problems.join("\n  "));
    }
    eprintln!("tidy: all well");
    Ok(())
}

fn count(problems: usize) -> String {
    if problems == 1 { "one thing is".to_owned() } else { format!("{problems} things are") }
}
