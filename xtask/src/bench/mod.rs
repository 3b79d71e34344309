//! The benchmarks. Where there is a baseline, it and the engine run alternately over the same generated data, and their results must
//! agree.

mod baseline;
mod content;
mod data;
mod definitions;
pub(crate) mod import;
mod measure;
mod report;
pub(crate) mod resolver;
