//! Conditions on objects, as trees.
//!
//! [`bound`] holds conditions on resource objects that have been checked against a schema: the only ones that reach a
//! connector. The query language that users write, and the binding, are the resolver's.

pub mod bound;

pub use bound::{BoundFilter, Comparison, Condition};
