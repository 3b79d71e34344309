//! The query language: read, written, bound to a schema, taken apart, and evaluated in memory.
//!
//! [`parse()`] and [`print()`] are the text form, [`from_node`] and [`to_xml`] that of documents. What reaches a connector is
//! [`bind()`]'s result. A filter on shadows is first [`split()`] into the coordinates (which resource, which type) and
//! the conditions that the resource itself can answer. [`Evaluator`] is for objects in memory.

mod bind;
mod document;
mod evaluate;
mod fuzzy;
mod names;
mod nested;
mod parse;
mod print;
mod split;
#[cfg(test)]
mod tests;
mod to_document;

pub use bind::{Purpose, bind};
pub use document::{from_node, read};
pub use evaluate::{Evaluator, Subject};
pub use parse::{MAX_DEPTH, MAX_LENGTH, parse};
pub use print::print;
pub use split::{Coordinates, Split, split};
pub use to_document::{to_node, to_xml};

/// The code of everything that is wrong with the form of a query.
pub(crate) const SYNTAX: &str = "query-syntax";
