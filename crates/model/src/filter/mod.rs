//! Conditions on objects, as trees.
//!
//! [`tree`] holds conditions as users write them, over [`path`]s to items. [`bound`] holds conditions on resource objects that
//! have been checked against a schema: the only ones that reach a connector. The query language itself, and the binding, are
//! the resolver's.

pub mod bound;
mod matching;
pub mod path;
pub mod tree;

pub use bound::{BoundFilter, Comparison, Condition};
pub use path::{ItemPath, NotAPath, PathStep};
pub use tree::{
    ExistsClause, Filter, FilterExpression, FullTextClause, FuzzyClause, FuzzyMethod, InOidClause, Literal, Operand, Operator,
    OrgClause, OrgPosition, OwnerClause, RefClause, RefValue, SubstringClause, TypeClause, ValueClause, WrittenAt,
};
