//! What one part of a run works with, the same from its beginning to its end.

use std::sync::Arc;

use tidelock_connector_api::{Connector, SearchRequest};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ObjectClass, ResourceObject};
use tidelock_model::{Oid, Place, Timestamp};
use tidelock_repo::ShadowFilter;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::fingerprint::Salt;
use tidelock_resolver::object_set::ObjectSet;
use tidelock_resolver::policy::ResourcePolicy;

use crate::engine::Engine;
use crate::report::Mode;

/// One part of a run.
pub(crate) struct Part {
    /// The surroundings. In a preview, its repository is the copy.
    pub(crate) engine: Engine,
    /// The connection to the resource.
    pub(crate) connector: Arc<dyn Connector>,
    /// The resource.
    pub(crate) resource: Oid,
    /// What its definition says.
    pub(crate) policy: Arc<ResourcePolicy>,
    /// The task.
    pub(crate) task: Oid,
    /// Which part of the task's activity: `resourceObjects`; empty for the whole.
    pub(crate) path: &'static str,
    /// Where the resource's connection is defined.
    pub(crate) place: Place,
    /// The objects that are meant.
    pub(crate) set: ObjectSet,
    /// The part of the set's condition that the connector cannot check.
    pub(crate) residual: BoundFilter,
    /// The way by which objects come.
    pub(crate) channel: Channel,
    /// How they are treated.
    pub(crate) mode: Mode,
    /// The number of the run, by which an object met twice is recognized.
    pub(crate) run: u32,
    /// What fingerprints are made with.
    pub(crate) salt: Salt,
    /// How many objects make a chunk.
    pub(crate) chunk: usize,
    /// How many tasks share what can be shared.
    pub(crate) workers: usize,
    /// When the realization began. Seen marks are always later, whatever the clock says.
    pub(crate) started: Timestamp,
}

impl Part {
    /// What the connector is asked: of the set's condition what it can do.
    pub(crate) fn request(&self, class: &ObjectClass) -> SearchRequest {
        let request = SearchRequest::new(Arc::clone(&class.name));
        if self.residual == BoundFilter::All { request.with_filter(self.set.search.clone()) } else { request }
    }

    /// Whether an object meets the part of the set's condition that the connector was not asked for.
    pub(crate) fn is_meant(&self, object: &ResourceObject) -> bool {
        self.residual.matches(&object.attributes) && self.set.base_context.as_ref().is_none_or(|base| base.admits(object))
    }

    /// The living shadows of the objects that are meant.
    pub(crate) fn known_shadows(&self) -> ShadowFilter {
        ShadowFilter {
            resource: Some(self.resource.clone()),
            class: self.set.shadow_filter.class.clone(),
            kind: self.set.shadow_filter.kind,
            intent: self.set.shadow_filter.intent.clone(),
            dead: false,
        }
    }

    /// The time for marks: now, and later than the realization's beginning.
    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock.now().max(Timestamp::from_millis(self.started.as_millis() + 1))
    }
}
