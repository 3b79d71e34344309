//! `cargo xtask conformance`: the suites that every connector and every repository passes, and nothing else.

use anyhow::{Result, bail};

use crate::{metadata, shell};

/// Runs the test targets named `conformance` of every package that has one.
///
/// # Errors
///
/// A clause failed, or there is nothing to run: vacuous success is failure.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata::read()?;
    let mut packages = Vec::new();
    for package in metadata.members() {
        let tests = package.manifest_path.with_file_name("tests");
        if tests.join("conformance.rs").is_file() || tests.join("conformance").join("main.rs").is_file() {
            packages.push(package.name.as_str());
        }
    }
    if packages.is_empty() {
        bail!("no package has a test target named `conformance`");
    }
    for package in packages {
        shell::run(&mut shell::cargo(["test", "--locked", "--all-features", "--package", package, "--test", "conformance"]))?;
    }
    Ok(())
}
