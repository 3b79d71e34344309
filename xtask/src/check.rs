//! `cargo xtask check`: everything that can be said of the code without running it.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{licences, metadata, shell, tidy};

/// Format, lints, documentation, licences, and the project's own rules.
///
/// The quick ones come first, so that a misplaced space costs seconds.
pub(crate) fn run() -> Result<()> {
    need("rustfmt", shell::cargo(["fmt", "--version"]))?;
    need("clippy", shell::cargo(["clippy", "--version"]))?;

    shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    licences::check(&metadata::read()?)?;
    shell::run(&mut shell::cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    shell::run(
        shell::cargo(["doc", "--workspace", "--all-features", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    eprintln!("check: all well");
    Ok(())
}

fn need(component: &str, mut probe: Command) -> Result<()> {
    if !shell::works(&mut probe) {
        bail!(
            "the toolchain lacks {component}: run `rustup component add {component}` (or install your distribution's package), then run this again"
        );
    }
    Ok(())
}
