//! The benchmarks: the engine and its baseline run alternately over the same generated data, and their results must agree.

mod baseline;
mod content;
mod data;
pub(crate) mod import;
mod measure;
mod report;
