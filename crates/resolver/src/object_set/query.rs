//! The query of an object set: what it says of resource, class, kind and intent, and what is left of it for the resource.

use tidelock_model::definition::QueryApplication;
use tidelock_model::filter::{BoundFilter, Filter, ItemPath};
use tidelock_model::object::ObjectClass;
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place};

use crate::object_set::definition::{Coordinates, Resolved};
use crate::object_set::{Paging, Resolution, ShadowScope};
use crate::policy::ResourcePolicy;

/// A configured query, taken apart.
pub(super) struct Configured {
    pub(super) application: QueryApplication,
    place: Place,
}

impl Resolution<'_> {
    /// The configured query, if there is one that matters to this activity or a sibling of it.
    pub(super) fn query(&mut self, _resource: Option<&Oid>, _given: &Coordinates) -> Result<Option<Configured>, Diagnostic> {
        match &self.set.query {
            None => Ok(None),
            Some(query) => Err(Diagnostic::error("not-supported", &query.place, "queries are not supported yet")),
        }
    }
}

impl Configured {
    pub(super) fn names_class(&self) -> bool {
        false
    }

    pub(super) fn resolve(
        &self,
        _policy: &ResourcePolicy,
        _given: &Coordinates,
        found: &Resolved,
        _diagnostics: &mut Diagnostics,
    ) -> Result<Resolved, Diagnostic> {
        Ok(found.clone())
    }

    pub(super) fn bind(&self, _class: Option<&ObjectClass>) -> Result<BoundFilter, Diagnostic> {
        Ok(BoundFilter::All)
    }

    pub(super) fn paging(&self, _class: Option<&ObjectClass>) -> Result<Option<Paging>, Diagnostic> {
        Ok(None)
    }

    pub(super) fn effective(&self, base: Filter) -> Filter {
        base
    }

    pub(super) fn only_coordinates(&self) -> Result<(), Diagnostic> {
        let _ = &self.place;
        Ok(())
    }

    pub(super) fn shadows(&self, given: &Coordinates) -> ShadowScope {
        given.shadows()
    }
}

/// The query that coordinates stand for: just those that are given, as they are written.
pub(super) fn base(resource: Option<&Oid>, given: &Coordinates) -> Filter {
    let mut filter = Filter::All;
    if let Some(resource) = resource {
        filter = filter.and(Filter::refers_to(ItemPath::of(&["resourceRef"]), resource.clone()));
    }
    if let Some(kind) = &given.kind {
        filter = filter.and(Filter::equal(ItemPath::of(&["kind"]), kind.as_str()));
    }
    if let Some(intent) = &given.intent {
        filter = filter.and(Filter::equal(ItemPath::of(&["intent"]), intent.as_str()));
    }
    if let Some(class) = &given.class {
        filter = filter.and(Filter::equal_name(ItemPath::of(&["objectClass"]), class.value.clone()));
    }
    filter
}

/// The query for shadows of the resolved class.
pub(super) fn resolved(resource: Option<&Oid>, given: &Coordinates, class: Option<&ObjectClass>) -> Filter {
    let filter = base(resource, &Coordinates { class: None, ..given.clone() });
    match class {
        Some(class) => filter.and(Filter::equal_name(
            ItemPath::of(&["objectClass"]),
            tidelock_model::QName::new(tidelock_model::name::ns::RI, class.name.clone()),
        )),
        None => filter,
    }
}

/// The query for shadows that have something pending.
pub(super) fn pending(resource: Option<&Oid>) -> Filter {
    base(resource, &Coordinates::default()).and(Filter::Exists(tidelock_model::filter::tree::ExistsClause {
        path: ItemPath::of(&["pendingOperation"]),
        filter: None,
        place: tidelock_model::filter::tree::WrittenAt::default(),
    }))
}

pub(super) fn print(filter: &Filter) -> String {
    format!("{filter:?}")
}
