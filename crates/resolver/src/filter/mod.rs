//! The query language: read, written, bound to a schema, taken apart, and evaluated in memory.
//!
//! [`parse()`] and [`print()`] are the text form, [`from_node`] and [`to_xml`] that of documents. What reaches a connector is
//! [`bind()`]'s result. A filter on shadows is first [`split()`] into the coordinates (which resource, which type) and
//! the conditions that the resource itself can answer. [`Evaluator`] is for objects in memory.

mod bind;
mod names;
mod nested;
mod parse;
mod print;
mod split;

pub use bind::{Purpose, bind};
pub use parse::{MAX_DEPTH, MAX_LENGTH, parse};
pub use print::print;
pub use split::{Coordinates, Split, split};

/// The code of everything that is wrong with the form of a query.
pub(crate) const SYNTAX: &str = "query-syntax";
