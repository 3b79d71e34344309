//! `cargo xtask fuzz`: inputs that nobody would think of, for the readers of definitions and messages, the query language and the
//! resolver.
//!
//! What must hold for them is said in `fuzz/src/lib.rs`. The search begins with the checkout's own definitions.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// What to search, and for how long.
pub(crate) struct Options {
    /// One target; none for all, one after the other.
    pub(crate) target: Option<String>,
    /// How long each target runs.
    pub(crate) seconds: u64,
}

struct Target {
    name: &'static str,
    dictionary: &'static str,
    /// The endings of the definition files it begins with, each with what stands before them in an input.
    begins_with: &'static [(&'static str, &'static [u8])],
}

const TARGETS: [Target; 6] = [
    Target { name: "definitions_xml", dictionary: "definitions", begins_with: &[("xml", b"")] },
    Target { name: "definitions_yaml", dictionary: "definitions", begins_with: &[("yaml", b"")] },
    Target { name: "definitions_json", dictionary: "definitions", begins_with: &[("json", b"")] },
    Target { name: "filter", dictionary: "filter", begins_with: &[] },
    Target { name: "messages", dictionary: "messages", begins_with: &[] },
    Target { name: "resolve", dictionary: "definitions", begins_with: &[("yaml", b"\0"), ("xml", b"\x01"), ("json", b"\x02")] },
];

/// Folders with definitions to begin with.
const DEFINITIONS: [&str; 3] = ["tests/definitions", "examples", "bench/definitions"];

/// Longer inputs are found no better, only later.
const LONGEST: usize = 4096;

/// Runs the targets.
///
/// # Errors
///
/// A tool is missing, or something was found: the search says where it has put the input.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !shell::works(&mut shell::cargo(["fuzz", "--version"])) {
        bail!(
            "fuzzing needs cargo-fuzz and a C++ compiler: run `cargo install cargo-fuzz`, and install g++ or clang, then run this again"
        );
    }
    let wanted = |target: &&Target| options.target.as_ref().is_none_or(|wanted| wanted == target.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        bail!("there is no such target: there are {}", names.join(", "));
    }
    let folder = shell::root().join("fuzz");
    for target in targets {
        let corpus = folder.join("corpus").join(target.name);
        fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        for root in DEFINITIONS {
            seed(&shell::root().join(root), target, &corpus)?;
        }
        // The code is free of `unsafe`: without a sanitizer it runs faster, and on a stable toolchain.
        let mut command = shell::cargo(["fuzz", "run", "--sanitizer", "none", target.name]);
        command.arg(&corpus).args(Some(folder.join("seeds").join(target.name)).filter(|seeds| seeds.is_dir()));
        command.arg("--").arg(format!("-dict={}", folder.join(format!("dictionaries/{}.dict", target.dictionary)).display()));
        command.args([format!("-max_total_time={}", options.seconds), format!("-max_len={LONGEST}")]);
        command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
        shell::run(&mut command).with_context(|| format!("fuzzing {}", target.name))?;
    }
    Ok(())
}

/// Copies the definition files below a folder into a corpus.
fn seed(folder: &Path, target: &Target, corpus: &Path) -> Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .with_context(|| format!("cannot read {}", folder.display()))?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            seed(&path, target, corpus)?;
            continue;
        }
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let Some((_, before)) = target.begins_with.iter().find(|(known, _)| *known == ending) else { continue };
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if content.len() < LONGEST {
            let relative = path.strip_prefix(shell::root()).unwrap_or(&path);
            let name = relative.to_string_lossy().replace(['/', '\\'], "-");
            fs::write(corpus.join(name), [before, content.as_slice()].concat())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_one_of_the_fuzz_package_and_has_its_dictionary() {
        let folder = shell::root().join("fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for target in &TARGETS {
            assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
            assert!(folder.join(format!("fuzz_targets/{}.rs", target.name)).is_file());
            assert!(folder.join(format!("dictionaries/{}.dict", target.dictionary)).is_file());
        }
    }
}
