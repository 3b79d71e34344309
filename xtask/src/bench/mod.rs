//! The benchmarks. Where there is a baseline, it and the engine run alternately over the same generated data, and their results must
//! agree.

pub(crate) mod async_updates;
mod baseline;
pub(crate) mod broker;
mod content;
mod data;
mod definitions;
pub(crate) mod import;
pub(crate) mod ldap;
pub(crate) mod live;
mod measure;
mod report;
pub(crate) mod resolver;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{metadata, shell};

/// What every benchmark can be told.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// How often each side does each job; the medians are reported. Fewer than three are not a measurement.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Write the figures to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this binary rather than a release build of this checkout.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Keep the data and databases in this folder rather than in a temporary one.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Fail if a target is missed.
    #[arg(long)]
    enforce: bool,
}

/// The binary to measure: the one given, else a release build of this checkout.
fn binary(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(binary) = given {
        return Ok(std::path::absolute(binary)?);
    }
    shell::run(&mut shell::cargo(["build", "--release", "--locked", "--package", "tidelock"]))?;
    Ok(metadata::read()?.target_directory.join("release").join("tidelock"))
}

/// Makes a folder, or empties it.
fn make_empty(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            return Err(err).context(format!("cannot empty {}", folder.display()));
        }
        _ => {}
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
