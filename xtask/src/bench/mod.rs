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

use std::path::PathBuf;

use anyhow::Result;

use crate::{metadata, shell};

/// The binary to measure: the one given, else a release build of this checkout.
fn binary(given: Option<&std::path::Path>) -> Result<PathBuf> {
    if let Some(binary) = given {
        return Ok(std::path::absolute(binary)?);
    }
    shell::run(&mut shell::cargo(["build", "--release", "--locked", "--package", "tidelock"]))?;
    Ok(metadata::read()?.target_directory.join("release").join("tidelock"))
}
