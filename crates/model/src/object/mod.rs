//! What a resource holds, and what the repository knows.

pub mod focus;
pub mod kind;
pub mod resource_object;
pub mod schema;
pub mod shadow;

pub use focus::{Focus, FocusType};
pub use kind::{Intent, Kind, TypeId};
pub use resource_object::ResourceObject;
pub use schema::{AttributeDefinition, MatchingRule, ObjectClass, Schema, ValueType};
pub use shadow::{Exclusion, Shadow, Situation};
