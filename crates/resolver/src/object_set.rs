//! Which objects an activity works on: a task's object set, resolved against a resource.

use std::fmt;
use std::sync::Arc;

use tidelock_model::definition::{OperationStatus, QueryApplication, ResourceObjectSet};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{Intent, Kind, ObjectClass, TypeId};
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, Timestamp};

use crate::base_context::BaseContext;
use crate::matrix::{self, Cell, Check, OptionUse, QueryUse, Rules, Source};
use crate::policy::ResourcePolicy;

mod definition;
mod options;
mod query;

use definition::{Coordinates, Resolved};

/// The activities that have an object set, with the parts of a reconciliation one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActivityKind {
    /// Takes everything on the resource for new.
    Import,
    /// Classifies shadows anew.
    ShadowReclassification,
    /// First part of a reconciliation: pending operations.
    OperationCompletion,
    /// Second part of a reconciliation: what is on the resource.
    ResourceObjects,
    /// Third part of a reconciliation: shadows whose objects were not met.
    RemainingShadows,
    /// Takes over the changes since the last time.
    LiveSynchronization,
    /// Takes over changes as the resource sends them.
    AsynchronousUpdate,
    /// Removes old shadows whose objects are gone.
    ShadowCleanup,
    /// Carries on what is pending.
    ShadowRefresh,
    /// Tries again what failed and is due.
    TriggerScan,
}

/// By which rules object sets are resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// As midPoint's documentation has it.
    #[default]
    Documented,
    /// As midPoint 4.8 and later do it.
    Midpoint48,
}

/// The part of a resource that a set is in.
#[derive(Clone, Debug, PartialEq)]
pub enum Scope {
    /// The objects of a type, by its index in the policy.
    Type(usize),
    /// The objects of a class.
    Class(Arc<ObjectClass>),
    /// All objects.
    Resource,
}

/// A resolved object set.
#[derive(Clone, Debug)]
pub struct ObjectSet {
    /// Which part of the resource is meant.
    pub scope: Scope,
    /// The class of the objects; none for all classes.
    pub class: Option<Arc<ObjectClass>>,
    /// The type that the scope stands for.
    pub object_type: Option<TypeId>,
    /// What the resource is asked for, in activities that search there: the type's delineation, and the query's part of it.
    pub search: BoundFilter,
    /// The part of the resource's tree to search.
    pub base_context: Option<BaseContext>,
    /// The query that kind, intent and class stand for.
    pub base_query: String,
    /// The query that is in effect; none in activities that do not search.
    pub query: Option<String>,
    /// How a query and the rest go together; none where there can be no query.
    pub query_application: Option<QueryApplication>,
    /// The order and the portion of what is found.
    pub paging: Option<Paging>,
    /// What is checked of every object before it is processed.
    pub post_filter: PostFilter,
    /// Which shadows are meant, in activities that go through shadows.
    pub shadow_filter: ShadowScope,
    /// How the objects are found among the shadows, in activities that search on the resource: of use where the resource is
    /// not asked, or asked for single objects only.
    pub cached: CachedScope,
    /// Whether objects are taken as the repository knows them, without reading the resource.
    pub no_fetch: bool,
    /// Which objects are left out because they did not fail.
    pub failed: Option<FailedObjects>,
    /// The items of the set that this activity, or this part of it, makes no use of.
    pub ignored: Vec<&'static str>,
    /// Warnings.
    pub diagnostics: Diagnostics,
}

/// The order and the portion of what a search finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// The attribute to sort by.
    pub order_by: Option<Arc<str>>,
    /// Whether large values come first.
    pub descending: bool,
    /// How many objects are left out at the beginning.
    pub offset: u64,
    /// The most objects that are wanted.
    pub max_size: Option<u64>,
}

/// What is checked of every object, again, before it is processed. What is none is not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostFilter {
    /// The kind.
    pub kind: Option<Kind>,
    /// The intent.
    pub intent: Option<Intent>,
    /// The class, without regard to inheritance.
    pub class: Option<Arc<str>>,
    /// Whether objects without a type pass unchecked: they will be excluded later on, for want of a type.
    pub passes_unclassified: bool,
}

/// Which shadows of the resource are meant. What is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowScope {
    /// Those of this class.
    pub class: Option<Arc<str>>,
    /// Those of this kind.
    pub kind: Option<Kind>,
    /// Those of this intent.
    pub intent: Option<Intent>,
}

/// The objects of a set, as far as the repository can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedScope {
    /// Class, kind and intent, literally.
    pub shadows: ShadowScope,
    /// The query's conditions on attributes.
    pub conditions: BoundFilter,
}

/// Which objects are left out because they did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedObjects {
    /// How the others are found.
    pub selection: FailedSelection,
    /// The outcomes that count as failures.
    pub statuses: Vec<OperationStatus>,
    /// The tasks in which objects failed; none for the task that asks.
    pub tasks: Vec<Oid>,
    /// They failed not before.
    pub from: Option<Timestamp>,
    /// They failed not after. Where there are no tasks either, none means: before this run.
    pub to: Option<Timestamp>,
}

/// How failed objects are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailedSelection {
    /// Their shadows are sought, and each object is read on the resource.
    Fetch,
    /// They alone are sought, in the repository.
    Narrow,
    /// All objects are read, and the others passed over.
    Filter,
}

/// The identity of a set's resource.
///
/// # Errors
/// `no-resource`.
pub fn resource_oid(set: &ResourceObjectSet) -> Result<&Oid, Diagnostic> {
    let reference = set.resource_ref.as_ref();
    reference.and_then(|reference| reference.oid.as_ref()).ok_or_else(|| match reference {
        None => no_resource(&set.place),
        Some(reference) => {
            Diagnostic::error("no-resource", &reference.place, "'resourceRef' has no OID").with_help(match reference.filter {
                Some(_) => "give the OID of the resource in 'oid': the filter of a reference is not evaluated when a task runs",
                None => "give the OID of the resource in 'oid'",
            })
        }
    })
}

/// The error of an activity that has no object set at all, or one without a resource.
#[must_use]
pub fn no_resource(place: &Place) -> Diagnostic {
    Diagnostic::error("no-resource", place, "the object set names no resource")
        .with_help("add 'resourceRef' with the OID of a resource")
}

/// Resolves an object set for an activity.
///
/// # Errors
/// Everything that is wrong with the set, with the warnings so far.
pub fn resolve(
    activity: ActivityKind,
    set: &ResourceObjectSet,
    policy: &ResourcePolicy,
    profile: Profile,
) -> Result<ObjectSet, Diagnostics> {
    resolve_by(matrix::rules(profile, activity), set, policy)
}

/// Resolves an object set by a line of the matrix.
pub(crate) fn resolve_by(rules: &Rules, set: &ResourceObjectSet, policy: &ResourcePolicy) -> Result<ObjectSet, Diagnostics> {
    let mut resolution = Resolution { rules, set, policy, ignored: Vec::new(), diagnostics: Diagnostics::new() };
    match resolution.run() {
        Ok(set) => Ok(set),
        Err(error) => {
            resolution.diagnostics.push(error);
            Err(resolution.diagnostics)
        }
    }
}

impl PostFilter {
    /// Whether an object may be processed: by its class, and the type it is classified as.
    #[must_use]
    pub fn admits(&self, class: &str, classified: Option<&TypeId>) -> bool {
        let Some(classified) = classified else {
            return self.passes_unclassified || (self.kind.is_none() && self.intent.is_none() && self.admits_class(class));
        };
        self.admits_class(class)
            && self.kind.is_none_or(|kind| kind == classified.kind)
            && self.intent.as_ref().is_none_or(|intent| *intent == classified.intent)
    }

    fn admits_class(&self, class: &str) -> bool {
        self.class.as_ref().is_none_or(|wanted| **wanted == *class)
    }
}

/// One resolution on its way.
struct Resolution<'a> {
    rules: &'a Rules,
    set: &'a ResourceObjectSet,
    policy: &'a ResourcePolicy,
    ignored: Vec<&'static str>,
    diagnostics: Diagnostics,
}

impl Resolution<'_> {
    fn run(&mut self) -> Result<ObjectSet, Diagnostic> {
        let resource = if matches!(self.rules.activity, ActivityKind::ShadowRefresh | ActivityKind::TriggerScan) {
            self.set.resource_ref.as_ref().and_then(|reference| reference.oid.clone())
        } else {
            Some(resource_oid(self.set)?.clone())
        };
        self.look_through_options();
        self.look_through_foreign();
        let given = self.given()?;
        let query = self.query(resource.as_ref())?;
        let found = self.definition(&given, query.as_ref())?;
        if !self.rules.selects {
            self.note_unselective();
        }
        self.build(resource.as_ref(), &given, found, query)
    }

    /// Kind, intent and class as far as the activity looks at them.
    fn given(&mut self) -> Result<Coordinates, Diagnostic> {
        let set = self.set;
        let mut given = Coordinates { kind: set.kind.clone(), intent: set.intent.clone(), class: set.objectclass.clone() };
        match self.rules.cell(given.which()) {
            Cell::Ignored => {
                given = Coordinates::default();
            }
            Cell::ClassOnly => {
                given.reject_unknown()?;
                if let Some(intent) = given.intent.take() {
                    self.diagnostics.push(
                        Diagnostic::warning(
                            "intent-without-kind",
                            &intent.place,
                            format!("'intent' is ignored without 'kind': {} takes the whole class", self.rules.activity),
                        )
                        .with_help("remove 'intent', or add 'kind'"),
                    );
                    self.ignored.push("intent");
                }
            }
            _ => given.reject_unknown()?,
        }
        Ok(given)
    }

    /// What kind, intent and class mean, by the matrix.
    fn definition(&mut self, given: &Coordinates, query: Option<&query::Configured>) -> Result<Resolved, Diagnostic> {
        let no_class = || {
            Diagnostic::error(
                "no-object-class",
                &self.set.place,
                format!("{} needs to know the class of the objects, and nothing here tells it", self.rules.activity),
            )
            .with_help("add 'kind' and 'intent' of an object type, or 'objectclass'")
        };
        match self.rules.cell(given.which()) {
            Cell::Exact => definition::of_kind_and_intent(self.policy, given, &mut self.diagnostics)?.ok_or_else(no_class),
            Cell::Default if self.rules.source == Source::LiteralShadows => {
                // The default must be there, and then shadows of every intent are meant.
                let mut found = Diagnostics::new();
                let resolved = definition::of_kind(self.policy, given, &mut found)?.ok_or_else(no_class)?;
                self.diagnostics.extend(found.into_iter().map(|found| Diagnostic {
                    message: "without 'intent' shadows of every intent of the kind are meant".to_owned(),
                    help: Some("add 'intent' if those of one object type are meant".to_owned()),
                    ..found
                }));
                Ok(resolved)
            }
            Cell::Default => definition::of_kind(self.policy, given, &mut self.diagnostics)?.ok_or_else(no_class),
            Cell::Class | Cell::ClassOnly => definition::of_class(self.policy, given)?.ok_or_else(no_class),
            Cell::NoKind => {
                let place = given.intent.as_ref().map_or(&self.set.place, |intent| &intent.place);
                Err(Diagnostic::error("intent-without-kind", place, "'intent' means nothing without 'kind'")
                    .with_help("add 'kind', or remove 'intent'"))
            }
            Cell::Whole | Cell::Ignored => Ok(Resolved::whole()),
            Cell::NoClass if query.is_some_and(query::Configured::names_class) => Err(Diagnostic::error(
                "no-object-class",
                &self.set.place,
                format!(
                    "{} needs the class beside the query as well: what is gone cannot be found by a query",
                    self.rules.activity
                ),
            )
            .with_help("say it in the object set, too: 'kind' and 'intent', or 'objectclass'")),
            Cell::NoClass => Err(no_class()),
            Cell::Query => match query {
                Some(query) if query.names_class() => Ok(Resolved::whole()),
                _ => Err(no_class()),
            },
        }
    }

    fn build(
        &mut self,
        resource: Option<&Oid>,
        given: &Coordinates,
        found: Resolved,
        query: Option<query::Configured>,
    ) -> Result<ObjectSet, Diagnostic> {
        let rules = self.rules;
        let base_query = query::base(resource, given);
        let used = query.filter(|_| matches!(rules.query, QueryUse::Used(_)));
        let mut built = ObjectSet {
            scope: Scope::Resource,
            class: None,
            object_type: None,
            search: BoundFilter::All,
            base_context: None,
            base_query: query::print(&base_query),
            query: None,
            query_application: used.as_ref().map(|query| query.application).or(match rules.query {
                QueryUse::Used(default) => Some(self.set.query_application.as_ref().map_or(default, |mode| mode.value)),
                _ => None,
            }),
            paging: None,
            post_filter: self.post_filter(given),
            shadow_filter: ShadowScope::default(),
            cached: CachedScope { shadows: ShadowScope::default(), conditions: BoundFilter::All },
            no_fetch: false,
            failed: None,
            ignored: Vec::new(),
            diagnostics: Diagnostics::new(),
        };
        // A search goes where the query leads, whatever kind, intent and class of the set are.
        let searched = match &used {
            Some(query) => query.resolve(self.policy, given, &found, &mut self.diagnostics)?,
            None => found.clone(),
        };
        if let Some(query) = &used {
            self.diagnostics.extend(query.contradiction(&built.post_filter));
        }
        let scope = if rules.selects { &searched } else { &Resolved::whole() };
        built.scope = scope.scope.clone();
        built.class.clone_from(&scope.class);
        built.object_type = match built.scope {
            Scope::Type(index) => self.policy.types.get(index).map(|type_| type_.id.clone()),
            _ => None,
        };
        built.no_fetch = self.no_fetch()?;
        built.failed = self.failed_objects(built.no_fetch)?;
        match rules.source {
            Source::Search => {
                built.cached.shadows = given.shadows();
                (built.search, built.base_context) = definition::delineation(self.policy, &searched)?;
                let mut effective = base_query;
                if let Some(query) = &used {
                    built.cached.shadows = query.scope(given);
                    built.cached.conditions = query.bind(searched.class.as_deref())?;
                    built.search = built.search.and(built.cached.conditions.clone());
                    built.paging = query.paging(searched.class.as_deref(), &mut self.diagnostics)?;
                    effective = query.effective(effective);
                }
                built.query = Some(query::print(&effective));
            }
            Source::LiteralShadows => {
                built.shadow_filter = match &used {
                    Some(query) => query.shadows(given)?,
                    None => given.shadows(),
                };
                let effective = used.as_ref().map_or_else(|| base_query.clone(), |query| query.effective(base_query.clone()));
                built.query = Some(query::print(&effective));
            }
            Source::ResolvedShadows => {
                built.shadow_filter = given.shadows();
                built.shadow_filter.class = found.class.as_ref().map(|class| Arc::clone(&class.name));
                built.query = Some(query::print(&query::resolved(resource, given, found.class.as_deref())));
            }
            Source::Pending => {
                built.query = Some(query::print(&query::pending(resource)));
            }
            Source::Changes => {}
        }
        built.ignored = std::mem::take(&mut self.ignored);
        built.diagnostics = std::mem::take(&mut self.diagnostics);
        Ok(built)
    }

    fn post_filter(&self, given: &Coordinates) -> PostFilter {
        let class = given.class.as_ref().map(|class| Arc::clone(class.local_arc()));
        match self.rules.check {
            Check::Nothing => PostFilter::default(),
            Check::ClassOnly => PostFilter { class, ..PostFilter::default() },
            check @ (Check::Classified | Check::All) => PostFilter {
                kind: given.kind.as_ref().map(|kind| kind.value),
                intent: given.intent.as_ref().and_then(|intent| Intent::new(intent)),
                class,
                passes_unclassified: check == Check::Classified,
            },
        }
    }

    /// Kind, intent and class have been resolved, and make no difference.
    fn note_unselective(&mut self) {
        let set = self.set;
        let items = [
            ("kind", set.kind.as_ref().map(|item| &item.place)),
            ("intent", set.intent.as_ref().map(|item| &item.place)),
            ("objectclass", set.objectclass.as_ref().map(|item| &item.place)),
        ];
        for (item, place) in items {
            if let Some(place) = place {
                // A part of a reconciliation ignores what other parts use: that is no mistake of the definition.
                let warn = self.rules.query != QueryUse::Own;
                self.ignore(item, place, warn);
            }
        }
    }

    /// The items beside kind, intent and class that have no effect.
    fn look_through_options(&mut self) {
        let set = self.set;
        if let Some(query) = &set.query {
            match self.rules.query {
                QueryUse::Used(_) => {}
                QueryUse::Own => self.ignore("query", &query.place, false),
                QueryUse::Missing => self.lack("query", &query.place),
                QueryUse::Ignored => self.ignore("query", &query.place, true),
            }
        }
        if let Some(application) = &set.query_application
            && self.rules.query == QueryUse::Ignored
        {
            self.ignore("queryApplication", &application.place, true);
        }
        let options = [
            ("searchOptions", set.search_options.as_ref().map(|node| &node.place), self.rules.search_options),
            ("failedObjectsSelector", set.failed_objects_selector.as_ref().map(|s| &s.place), self.rules.failed_objects),
        ];
        for (item, place, use_) in options {
            let Some(place) = place else { continue };
            match use_ {
                OptionUse::Used | OptionUse::NoFetchOnly => {}
                OptionUse::Missing => self.lack(item, place),
                OptionUse::Passed => self.ignore(item, place, false),
                OptionUse::Ignored => self.ignore(item, place, true),
            }
        }
    }

    /// Items of the sets of activities that are about any objects: here only a refresh of shadows is.
    fn look_through_foreign(&mut self) {
        if self.rules.activity == ActivityKind::ShadowRefresh {
            return;
        }
        for item in ["type", "archetypeRef", "objectRef", "useRepositoryDirectly"] {
            if let Some(node) = self.set.rest.iter().find(|node| node.local() == item) {
                self.ignore(item, &node.place, true);
            }
        }
    }

    fn ignore(&mut self, item: &'static str, place: &Place, warn: bool) {
        self.ignored.push(item);
        if warn {
            self.diagnostics.push(
                Diagnostic::warning("ignored-item", place, format!("'{item}' is ignored by {}", self.rules.activity))
                    .with_help(format!("remove '{item}'")),
            );
        }
    }

    fn lack(&mut self, item: &'static str, place: &Place) {
        self.ignored.push(item);
        self.diagnostics.push(
            Diagnostic::warning("not-supported", place, format!("'{item}' is not supported yet; it has no effect"))
                .with_help(format!("remove '{item}' if the task does not depend on it")),
        );
    }
}

impl ActivityKind {
    /// Every activity.
    pub const ALL: [Self; 10] = [
        Self::Import,
        Self::ShadowReclassification,
        Self::OperationCompletion,
        Self::ResourceObjects,
        Self::RemainingShadows,
        Self::LiveSynchronization,
        Self::AsynchronousUpdate,
        Self::ShadowCleanup,
        Self::ShadowRefresh,
        Self::TriggerScan,
    ];

    /// The name in definitions; for a part of a reconciliation, its identifier.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::ShadowReclassification => "shadowReclassification",
            Self::OperationCompletion => "operationCompletion",
            Self::ResourceObjects => "resourceObjects",
            Self::RemainingShadows => "remainingShadows",
            Self::LiveSynchronization => "liveSynchronization",
            Self::AsynchronousUpdate => "asynchronousUpdate",
            Self::ShadowCleanup => "shadowCleanup",
            Self::ShadowRefresh => "shadowRefresh",
            Self::TriggerScan => "triggerScan",
        }
    }
}

impl Profile {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Midpoint48 => "midpoint-4.8",
        }
    }
}

impl fmt::Display for ActivityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            // People know these by the name of the whole.
            Self::OperationCompletion | Self::ResourceObjects | Self::RemainingShadows => "reconciliation",
            other => other.as_str(),
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
