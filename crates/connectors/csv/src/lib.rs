//! Tidelock's connector for CSV files.
//!
//! The file is read on a thread of its own, a page of rows at a time, in memory that does not grow with the file. A row
//! that cannot be read is an error item; a file that was cut off, changed while it was read, or is empty makes the search
//! incomplete, so that nothing is taken for deleted because of it. See the `README.md` beside this crate.

mod config;
mod connector;
mod live_sync;
mod multivalue;
mod object;
mod query;
mod reader;
mod record;
mod schema;
mod source;

pub use config::{BUNDLE_NAMESPACE, CsvConfig, MultiValue, open};
pub use connector::Csv;
pub use multivalue::Splitter;
pub use record::Dialect;
pub use schema::OBJECT_CLASS;

#[cfg(test)]
mod tests;
