//! What one step of a run works with, the same from its beginning to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use tidelock_connector_api::{Connector, Container, ContainerScope, SearchRequest};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ObjectClass, ResourceObject};
use tidelock_model::{Oid, Place, Timestamp};
use tidelock_repo::{Remaining, ResultFilter, ShadowFilter};
use tidelock_resolver::base_context::HierarchyScope;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::classify::Classification;
use tidelock_resolver::fingerprint::Salt;
use tidelock_resolver::object_set::{ActivityKind, FailedSelection, ObjectSet, ShadowScope};
use tidelock_resolver::policy::ResourcePolicy;

use crate::ahead::Commits;
use crate::engine::Engine;
use crate::error_handling::ErrorHandling;
use crate::report::Mode;

/// The search for the objects of a set, without its condition.
pub(crate) fn request(set: &ObjectSet, class: &ObjectClass) -> SearchRequest {
    let request = SearchRequest::new(Arc::clone(&class.name));
    let container = set.base_context.as_ref().and_then(|context| {
        let scope = match context.scope {
            HierarchyScope::Sub => ContainerScope::Sub,
            HierarchyScope::One => ContainerScope::One,
        };
        Some(Container { name: context.base.as_ref()?.written().into(), scope })
    });
    match container {
        Some(container) => request.with_container(container),
        None => request,
    }
}

/// A set's condition, divided into what the connector can check and what it cannot.
pub(crate) fn divide(connector: &dyn Connector, set: &ObjectSet) -> (BoundFilter, BoundFilter) {
    match &set.class {
        Some(class) => divided(set.search.clone(), |filter| connector.supports(&class.name, filter)),
        None => (set.search.clone(), BoundFilter::All),
    }
}

fn divided(search: BoundFilter, can: impl Fn(&BoundFilter) -> bool) -> (BoundFilter, BoundFilter) {
    match search {
        search if can(&search) => (search, BoundFilter::All),
        BoundFilter::And(parts) => {
            let (asked, residual): (Vec<_>, Vec<_>) = parts.into_iter().partition(can);
            let all = |parts: Vec<BoundFilter>| parts.into_iter().fold(BoundFilter::All, BoundFilter::and);
            (all(asked), all(residual))
        }
        search => (BoundFilter::All, search),
    }
}

/// One step of a run.
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
    pub(crate) path: Arc<str>,
    /// What is done.
    pub(crate) activity: ActivityKind,
    /// Where the resource's connection is defined.
    pub(crate) place: Place,
    /// The objects that are meant.
    pub(crate) set: ObjectSet,
    /// The part of the set's condition that the connector checks.
    pub(crate) asked: BoundFilter,
    /// The part of it that the connector cannot check.
    pub(crate) residual: BoundFilter,
    /// The results that shadows must have, where only failed objects are meant.
    pub(crate) results: Option<ResultFilter>,
    /// The way by which objects come.
    pub(crate) channel: Channel,
    /// How they are treated.
    pub(crate) mode: Mode,
    /// What their failures do to the rest.
    pub(crate) errors: ErrorHandling,
    /// The number of the run, by which an object met twice is recognized.
    pub(crate) run: u32,
    /// What fingerprints are made with.
    pub(crate) salt: Salt,
    /// How many objects make a chunk.
    pub(crate) chunk: usize,
    /// How many tasks share what can be shared.
    pub(crate) workers: usize,
    /// What it has committed so far.
    pub(crate) commits: Commits,
    /// When the activity began that this is a part of. Seen marks are always later, whatever the clock says.
    pub(crate) started: Timestamp,
    /// The time that marks have at the least, in milliseconds since 1970: no mark is earlier than the ones before it.
    pub(crate) latest_mark: AtomicI64,
}

impl Part {
    /// What the connector is asked: of the set's condition what it can do.
    pub(crate) fn request(&self, class: &ObjectClass) -> SearchRequest {
        request(&self.set, class).with_filter(self.asked.clone())
    }

    /// Whether an object meets the part of the set's condition that the connector was not asked for.
    pub(crate) fn is_meant(&self, object: &ResourceObject) -> bool {
        self.residual.matches(&object.attributes) && self.set.base_context.as_ref().is_none_or(|base| base.admits(object))
    }

    /// The living shadows that a part that goes through shadows is for.
    pub(crate) fn known_shadows(&self) -> ShadowFilter {
        self.shadows_of(&self.set.shadow_filter)
    }

    /// The living shadows of the objects that a search is for, as far as the repository can tell.
    pub(crate) fn cached_shadows(&self) -> Remaining {
        Remaining {
            results: self
                .results
                .clone()
                .filter(|_| self.selects(FailedSelection::Narrow) || self.selects(FailedSelection::Fetch)),
            ..Remaining::all(self.shadows_of(&self.set.cached.shadows))
        }
    }

    /// Whether failed objects alone are meant, and this is how they are found.
    pub(crate) fn selects(&self, selection: FailedSelection) -> bool {
        self.set.failed.as_ref().is_some_and(|failed| failed.selection == selection)
    }

    /// Whether an object that was met before in this run is the same one again, and not another change of it.
    pub(crate) fn meets_once(&self) -> bool {
        !matches!(self.activity, ActivityKind::LiveSynchronization | ActivityKind::AsynchronousUpdate | ActivityKind::TriggerScan)
    }

    /// Whether objects that have a type keep it.
    pub(crate) fn classification(&self) -> Classification {
        match self.activity {
            ActivityKind::ShadowReclassification => Classification::Forced,
            _ => Classification::Keep,
        }
    }

    /// Whether situations are all that is determined.
    pub(crate) fn is_dry(&self) -> bool {
        self.mode == Mode::DryRun
    }

    /// The time for marks: now, later than the activity's beginning, and not before any other mark.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.engine.clock.now().as_millis();
        Timestamp::from_millis(self.latest_mark.fetch_max(now, Relaxed).max(now))
    }

    /// A time that no mark so far is later than, and all marks from now on are.
    pub(crate) fn mark_off(&self) -> Timestamp {
        let now = self.now();
        self.latest_mark.fetch_max(now.as_millis().saturating_add(1), Relaxed);
        now
    }

    fn shadows_of(&self, scope: &ShadowScope) -> ShadowFilter {
        ShadowFilter {
            resource: Some(self.resource.clone()),
            class: scope.class.clone(),
            kind: scope.kind,
            intent: scope.intent.clone(),
            dead: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelock_model::filter::Condition;
    use tidelock_model::object::MatchingRule;

    use super::*;

    #[test]
    fn a_connector_is_asked_for_what_it_can_check_and_the_rest_is_checked_here() {
        let clause =
            |name: &str| BoundFilter::Attribute { name: name.into(), rule: MatchingRule::Exact, condition: Condition::Present };
        let indexed = |filter: &BoundFilter| *filter == clause("uid") || *filter == BoundFilter::All;
        let both = BoundFilter::And(vec![clause("room"), clause("uid")]);
        let either = BoundFilter::Or(vec![clause("room"), clause("uid")]);

        assert_eq!(divided(both.clone(), indexed), (clause("uid"), clause("room")));
        assert_eq!(divided(both.clone(), |_| true), (both, BoundFilter::All));
        assert_eq!(divided(either.clone(), indexed), (BoundFilter::All, either));
        assert_eq!(divided(BoundFilter::All, indexed), (BoundFilter::All, BoundFilter::All));
    }
}
