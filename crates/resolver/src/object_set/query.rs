//! The query of an object set: what it says of resource, class, kind and intent, and what is left of it for the resource.

use std::sync::Arc;

use tidelock_model::definition::{self, At, OrderDirection, QueryApplication};
use tidelock_model::filter::tree::{ExistsClause, WrittenAt};
use tidelock_model::filter::{BoundFilter, Filter, ItemPath};
use tidelock_model::name::ns;
use tidelock_model::object::ObjectClass;
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, QName};

use crate::compile::names;
use crate::filter::{self, Purpose, Split};
use crate::matrix::QueryUse;
use crate::object_set::definition::{Coordinates, Resolved, resolve};
use crate::object_set::{Paging, PostFilter, Resolution, ShadowScope};
use crate::policy::ResourcePolicy;

pub(super) use crate::filter::print;

/// A configured query, taken apart.
pub(super) struct Configured {
    pub(super) application: QueryApplication,
    filter: Filter,
    on_resource: Filter,
    coordinates: Coordinates,
    paging: Option<definition::Paging>,
    place: Place,
}

impl Resolution<'_> {
    /// The configured query, if there is one that matters to this activity or to a sibling of it.
    pub(super) fn query(&mut self, resource: Option<&Oid>) -> Result<Option<Configured>, Diagnostic> {
        let Some(query) = &self.set.query else { return Ok(None) };
        let (default, used) = match self.rules.query {
            QueryUse::Used(default) => (default, true),
            QueryUse::Own => (QueryApplication::Append, false),
            QueryUse::Missing | QueryUse::Ignored => return Ok(None),
        };
        let not_understood = query.rest.iter().find(|node| node.local() != "description");
        if let (None, None, Some(node)) = (&query.filter, &query.paging, not_understood) {
            let message = "what is in the query is not understood, and without it all objects would be meant";
            return Err(Diagnostic::error("query-syntax", &node.place, message)
                .with_help(format!("a query has a 'filter' and a 'paging', in the namespace {}", ns::QUERY)));
        }
        let application = self.set.query_application.as_ref().map_or(default, |application| application.value);
        let place = query.filter.as_ref().map_or(&query.place, |filter| &filter.place);
        let filter = query.filter.as_ref().map_or(Ok(Filter::All), filter::read)?;
        let Split { coordinates, on_resource } = filter::split(&filter, place)?;
        match (&coordinates.resource, resource) {
            (Some(other), Some(resource)) if other.value != *resource => {
                return Err(Diagnostic::error(
                    "not-supported",
                    &other.place,
                    "the query is about another resource than 'resourceRef'",
                )
                .with_help("refer to the same resource in both"));
            }
            _ => {}
        }
        let complete = coordinates.resource.is_some() && (coordinates.kind.is_some() || coordinates.object_class.is_some());
        if used && application == QueryApplication::Replace && !complete {
            let how = match self.set.query_application {
                Some(_) => "a replacing query",
                None => "the query, which replaces kind, intent and class unless 'queryApplication' says otherwise,",
            };
            return Err(Diagnostic::error(
                "query-without-coordinates",
                place,
                format!("{how} must say which resource, and which kind or object class it is about"),
            )
            .with_help(
                "say 'append' in 'queryApplication', or begin the query with: resourceRef matches (oid = '…') and kind = '…' and intent = '…'",
            ));
        }
        let coordinates = Coordinates {
            kind: coordinates.kind,
            intent: coordinates.intent.map(|At { value, place }| At { value: value.into_string(), place }),
            class: coordinates.object_class,
        };
        Ok(Some(Configured { application, filter, on_resource, coordinates, paging: query.paging.clone(), place: place.clone() }))
    }
}

impl Configured {
    /// Whether a search by this query alone would know its class.
    pub(super) fn names_class(&self) -> bool {
        self.coordinates.kind.is_some() || self.coordinates.class.is_some()
    }

    /// Where the search goes: by the coordinates in the query first, and those of the set where the query is added to them.
    pub(super) fn resolve(
        &self,
        policy: &ResourcePolicy,
        given: &Coordinates,
        found: &Resolved,
        diagnostics: &mut Diagnostics,
    ) -> Result<Resolved, Diagnostic> {
        let own = &self.coordinates;
        let mut effective = own.clone();
        if self.application == QueryApplication::Append {
            if own.kind.is_none() && own.intent.is_none() && own.class.is_none() {
                return Ok(found.clone());
            }
            effective.kind = effective.kind.or_else(|| given.kind.clone());
            effective.intent = effective.intent.or_else(|| given.intent.clone());
            effective.class = effective.class.or_else(|| given.class.clone());
        }
        effective.reject_unknown()?;
        // A search looks at the kind before the class, and does not compare the two.
        if effective.kind.is_some() {
            effective.class = None;
        }
        resolve(policy, &effective, diagnostics)
    }

    /// A warning where the query asks for objects that the check of each object then turns away.
    pub(super) fn contradiction(&self, check: &PostFilter) -> Option<Diagnostic> {
        fn differing<'a>(asked: &'a str, checked: Option<&'a str>) -> Option<(&'a str, &'a str)> {
            checked.filter(|checked| *checked != asked).map(|checked| (asked, checked))
        }
        let Coordinates { kind, intent, class } = &self.coordinates;
        let kind = kind.as_ref().and_then(|kind| {
            Some(("kind", &kind.place, differing(kind.value.as_str(), check.kind.as_ref().map(|kind| kind.as_str()))?))
        });
        let intent = intent.as_ref().and_then(|intent| {
            Some(("intent", &intent.place, differing(intent, check.intent.as_ref().map(|intent| intent.as_str()))?))
        });
        let class = class
            .as_ref()
            .and_then(|class| Some(("objectclass", &class.place, differing(class.value.local(), check.class.as_deref())?)));
        let (item, place, (asked, checked)) = kind.or(intent).or(class)?;
        let message = format!(
            "the query asks for objects of {item} '{asked}', and of what is found only objects of {item} '{checked}' are processed"
        );
        Some(
            Diagnostic::warning("contradicting-query", place, message)
                .with_help(format!("say the same in the query and in '{item}', or leave one of them out")),
        )
    }

    /// The query's conditions on attributes.
    pub(super) fn bind(&self, class: Option<&ObjectClass>) -> Result<BoundFilter, Diagnostic> {
        match class {
            Some(class) => filter::bind(&self.on_resource, class, &self.place, Purpose::Search),
            None => Ok(BoundFilter::All),
        }
    }

    /// The order and the portion.
    pub(super) fn paging(
        &self,
        class: Option<&ObjectClass>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<Paging>, Diagnostic> {
        let Some(paging) = &self.paging else { return Ok(None) };
        if let Some(order) = &paging.order_by {
            let portion = match paging.max_size {
                Some(_) => ", and 'maxSize' counts in that order",
                None => "",
            };
            let message = format!("'orderBy' is not supported yet: objects come in the order of the resource{portion}");
            diagnostics.push(
                Diagnostic::warning("not-supported", &order.place, message)
                    .with_help("remove 'orderBy'; say in the filter which objects are wanted"),
            );
        }
        let order_by = match (&paging.order_by, class) {
            (Some(text), Some(class)) => {
                let path = names::path(text)?;
                let name = names::attribute_name(&path).ok_or_else(|| {
                    Diagnostic::error("bad-value", &text.place, "only attributes can be sorted by")
                        .with_help("write attributes/…")
                })?;
                Some(names::attribute(class, name, &text.place)?.name.clone())
            }
            _ => None,
        };
        Ok(Some(Paging {
            order_by,
            descending: paging.order_direction.as_ref().is_some_and(|direction| direction.value == OrderDirection::Descending),
            offset: paging.offset.as_ref().map(natural).transpose()?.unwrap_or_default(),
            max_size: paging.max_size.as_ref().map(natural).transpose()?,
        }))
    }

    /// The query that is in effect, given that of the rest of the set.
    pub(super) fn effective(&self, base: Filter) -> Filter {
        match self.application {
            QueryApplication::Replace => self.filter.clone(),
            QueryApplication::Append => self.filter.clone().and(base),
        }
    }

    /// Class, kind and intent as the query and the set have them.
    pub(super) fn scope(&self, given: &Coordinates) -> ShadowScope {
        let (own, given) = (self.coordinates.shadows(), given.shadows());
        match self.application {
            QueryApplication::Replace => own,
            QueryApplication::Append => ShadowScope {
                class: own.class.or(given.class),
                kind: own.kind.or(given.kind),
                intent: own.intent.or(given.intent),
            },
        }
    }

    /// The shadows that are meant where shadows are searched; only coordinates can be asked for there.
    pub(super) fn shadows(&self, given: &Coordinates) -> Result<ShadowScope, Diagnostic> {
        if self.on_resource != Filter::All || self.paging.is_some() {
            return Err(names::refused(
                "a query on shadows with more than kind, intent and class",
                &self.place,
                "ask for kind, intent and objectClass only",
            ));
        }
        let own = self.coordinates.shadows();
        if self.application == QueryApplication::Replace {
            return Ok(own);
        }
        let given = given.shadows();
        let contradict = own.kind.is_some() && given.kind.is_some() && own.kind != given.kind
            || own.intent.is_some() && given.intent.is_some() && own.intent != given.intent
            || own.class.is_some() && given.class.is_some() && own.class != given.class;
        if contradict {
            return Err(Diagnostic::error(
                "bad-value",
                &self.place,
                "the query contradicts kind, intent or class of the object set",
            )
            .with_help("say it in one place"));
        }
        Ok(ShadowScope { class: own.class.or(given.class), kind: own.kind.or(given.kind), intent: own.intent.or(given.intent) })
    }
}

fn natural(number: &At<i64>) -> Result<u64, Diagnostic> {
    u64::try_from(number.value).map_err(|_| {
        Diagnostic::error("bad-value", &number.place, format!("{} is negative", number.value)).with_help("give 0 or more")
    })
}

/// The query that coordinates stand for: just those that are given, as they are written.
pub(super) fn base(resource: Option<&Oid>, given: &Coordinates) -> Filter {
    let item = |name: &str| ItemPath::of(&[name]);
    let mut filter = Filter::All;
    if let Some(resource) = resource {
        filter = filter.and(Filter::refers_to(item("resourceRef"), resource.clone()));
    }
    if let Some(kind) = &given.kind {
        filter = filter.and(Filter::equal(item("kind"), kind.as_str()));
    }
    if let Some(intent) = &given.intent {
        filter = filter.and(Filter::equal(item("intent"), intent.as_str()));
    }
    if let Some(class) = &given.class {
        filter = filter.and(Filter::equal_name(item("objectClass"), class.value.clone()));
    }
    filter
}

/// The query for shadows of the resolved class.
pub(super) fn resolved(resource: Option<&Oid>, given: &Coordinates, class: Option<&ObjectClass>) -> Filter {
    let filter = base(resource, &Coordinates { class: None, ..given.clone() });
    match class {
        Some(class) => {
            filter.and(Filter::equal_name(ItemPath::of(&["objectClass"]), QName::new(ns::RI, Arc::clone(&class.name))))
        }
        None => filter,
    }
}

/// The query for shadows that have something pending.
pub(super) fn pending(resource: Option<&Oid>) -> Filter {
    let path = ItemPath::of(&["pendingOperation"]);
    base(resource, &Coordinates::default()).and(Filter::Exists(ExistsClause { path, filter: None, place: WrittenAt::default() }))
}
