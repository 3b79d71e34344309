//! Makes a resource definition ready for deciding.

use std::sync::Arc;

use tidelock_model::Diagnostics;
use tidelock_model::definition::Resource;
use tidelock_model::object::Schema;

use crate::policy::{AttributeCaching, ResourcePolicy};

/// Compiles a resource definition against the resource's schema. There is no policy if, and only if, there is an error.
#[must_use]
pub fn compile(_resource: &Resource, schema: &Schema) -> (Option<ResourcePolicy>, Diagnostics) {
    let policy = ResourcePolicy {
        types: Vec::new(),
        classes: Vec::new(),
        schema: Arc::new(schema.clone()),
        caching: AttributeCaching::default(),
    };
    (Some(policy), Diagnostics::new())
}
