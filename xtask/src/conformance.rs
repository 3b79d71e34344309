//! `cargo xtask conformance`: the suites that every connector and every repository passes, and nothing else.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{metadata, servers, shell};

/// Runs every test target that takes a suite.
///
/// # Errors
///
/// A clause failed, or there is nothing to run: vacuous success is failure.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata::read()?;
    let brokers = servers::brokers::start()?;
    let mut found = false;
    for package in metadata.members() {
        for target in targets(&package.manifest_path.with_file_name("tests"))? {
            found = true;
            let mut test = shell::cargo(["test", "--locked", "--all-features", "--package", &package.name, "--test", &target]);
            shell::run(test.envs(brokers.environment()))?;
        }
    }
    if !found {
        bail!("no test takes a conformance suite");
    }
    Ok(())
}

/// The test targets of a package's folder of tests that take a suite.
fn targets(tests: &Path) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    let Ok(entries) = fs::read_dir(tests) else {
        return Ok(targets); // No tests of that kind.
    };
    for entry in entries {
        let path = entry?.path();
        let file = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        if file.extension().is_none_or(|ending| ending != "rs") || !file.is_file() {
            continue;
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if text.contains("conformance_tests!") {
            targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}
