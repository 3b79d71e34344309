//! The vocabulary of Tidelock: plain values and their XML, YAML and JSON forms.
//!
//! Nothing here does I/O, waits, reads a clock or draws a random number. The folders:
//!
//! * the root: names, values, time, diagnostics;
//! * [`object`]: what a resource holds and what the repository knows (resource objects, shadows, foci, schemas);
//! * [`filter`]: conditions on objects, as trees;
//! * [`document`]: the one tree that XML, YAML and JSON files are read into, every node with its place;
//! * [`definition`]: typed resources, tasks and focus objects, read from that tree and written back to it.

pub mod definition;
pub mod diagnostic;
pub mod document;
pub mod filter;
mod json;
pub mod name;
pub mod object;
pub mod oid;
pub mod time;
pub mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use name::QName;
pub use oid::Oid;
pub use time::Timestamp;
pub use value::{Items, Reference, Value, Values};
