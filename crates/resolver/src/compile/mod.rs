//! Makes a resource definition ready for deciding: everything that can be wrong with it is found here, once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tidelock_model::definition::{
    AttributeItem, CachedAttributes, Caching, CachingStrategy, LegacySynchronization, ObjectSynchronization,
    ObjectTypeDefinition, Resource,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{FocusType, Intent, Kind, ObjectClass, Schema, TypeId};
use tidelock_model::{Diagnostic, Diagnostics, Place};

use crate::digest;
use crate::mapping::{InboundMapping, MappingSource, Range};
use crate::policy::{AttributeCaching, ClassPolicy, ResourcePolicy, TypePolicy};

mod correlation;
mod delineation;
pub(crate) mod expression;
mod inherit;
mod legacy_correlation;
mod mappings;
pub(crate) mod names;
mod synchronization;

/// The most errors that are told. A definition of nonsense costs no more than that many comparisons of names.
const MOST_ERRORS: usize = 1000;

/// Compiles a resource definition against the resource's schema. There is no policy if, and only if, there is an error.
#[must_use]
pub fn compile(resource: &Resource, schema: &Schema) -> (Option<ResourcePolicy>, Diagnostics) {
    let mut compiler = Compiler { resource, schema, diagnostics: Diagnostics::new(), counted: 0, errors: 0 };
    let policy = compiler.run();
    let failed = compiler.diagnostics.iter().any(Diagnostic::is_error);
    (policy.filter(|_| !failed), compiler.diagnostics)
}

/// Where a type has outbound mappings.
fn outbound(type_: &ObjectTypeDefinition) -> impl Iterator<Item = &Place> {
    let activation = type_.activation.iter().flat_map(|activation| {
        let parts = [&activation.administrative_status, &activation.valid_from, &activation.valid_to];
        parts.into_iter().chain([&activation.lockout_status, &activation.existence]).flatten().map(|part| &part.rest)
    });
    let attributes = type_.attribute.iter().map(|attribute| &attribute.rest);
    let credentials = type_.rest.iter().filter(|node| node.local() == "credentials").flat_map(|node| &node.children);
    let items = attributes.chain(activation).flatten().chain(credentials.flat_map(|credential| &credential.children));
    items.filter(|node| node.local() == "outbound").map(|node| &node.place)
}

struct Compiler<'a> {
    resource: &'a Resource,
    schema: &'a Schema,
    diagnostics: Diagnostics,
    /// How many findings have been looked at, and how many of them are errors.
    counted: usize,
    errors: usize,
}

impl Compiler<'_> {
    /// A policy as far as one can be made; what is missing has left an error.
    fn run(&mut self) -> Option<ResourcePolicy> {
        let resource = self.resource;
        self.warn_of_inheritance();
        self.note_state(resource.lifecycle_state.as_ref(), "the resource");
        self.note_outbound();
        let handling = resource.schema_handling.as_ref();
        let caching = self.caching(resource.caching.as_ref());
        let definitions =
            handling.map(|handling| inherit::flatten(&handling.object_type, &mut self.diagnostics)).unwrap_or_default();
        let types: Vec<TypePolicy> = definitions.iter().filter_map(|definition| self.type_policy(definition, caching)).collect();
        let classes = handling
            .iter()
            .flat_map(|handling| &handling.object_class)
            .filter(|class| names::is_visible(class.lifecycle_state.as_ref()))
            .filter_map(|class| self.class_policy(class))
            .collect();
        self.check_defaults(&types, &definitions);
        // A type whose filter is wrong takes no more than it should once that is corrected.
        if !self.diagnostics.iter().any(Diagnostic::is_error) {
            self.warn_of_unreachable(&types);
        }
        self.warn_of_unused_legacy(&definitions);
        Some(ResourcePolicy { types, classes, schema: Arc::new(self.schema.clone()), caching })
    }

    fn warn_of_inheritance(&mut self) {
        let super_ = self.resource.super_.as_ref().map(|super_| ("super", &super_.place));
        let template = self.resource.template.as_ref().filter(|flag| flag.value).map(|flag| ("template", &flag.place));
        for (item, place) in super_.into_iter().chain(template) {
            self.diagnostics.push(
                Diagnostic::warning("not-supported", place, format!("'{item}' is not supported yet; it has no effect"))
                    .with_help("copy what is inherited into this resource"),
            );
        }
        if let Some(sorter) = self.legacy().and_then(|legacy| legacy.object_synchronization_sorter.as_ref()) {
            self.diagnostics.push(names::refused(
                "a synchronization sorter",
                &sorter.place,
                "use the delineations of object types",
            ));
        }
    }

    /// What is proposed, say, takes no part, and somebody may have forgotten that.
    fn note_state(&mut self, state: Option<&tidelock_model::definition::At<String>>, what: &str) {
        if let Some(state) = state.filter(|state| !names::is_visible(Some(state))) {
            let shown: String = state.trim().chars().take(40).collect();
            self.diagnostics.push(
                Diagnostic::info(
                    "not-in-use",
                    &state.place,
                    format!("{what} is in the lifecycle state '{shown}', so nothing is synchronized by it"),
                )
                .with_help("change the state to 'active' when it is to be used"),
            );
        }
    }

    /// Whether there are so many errors that more are of no use.
    fn has_enough_errors(&mut self) -> bool {
        self.errors += self.diagnostics[self.counted..].iter().filter(|diagnostic| diagnostic.is_error()).count();
        self.counted = self.diagnostics.len();
        self.errors >= MOST_ERRORS
    }

    /// Whoever compares with midPoint wants to know what does not happen.
    fn note_outbound(&mut self) {
        let types = self.resource.schema_handling.iter().flat_map(|handling| &handling.object_type);
        let mut places = types.flat_map(outbound);
        if let Some(first) = places.next() {
            let count = match places.count() {
                0 => "is one".to_owned(),
                others => format!("are {}, the first of them here", others + 1),
            };
            self.diagnostics.push(
                Diagnostic::info(
                    "not-supported",
                    first,
                    format!("outbound mappings are not evaluated by this version: there {count}"),
                )
                .with_help("nothing needs to be done: objects are taken from the resource, and not given to it"),
            );
        }
    }

    fn legacy(&self) -> Option<&LegacySynchronization> {
        self.resource.synchronization.as_ref()
    }

    /// The legacy settings of a type: the first that name it.
    fn legacy_of(&self, id: &TypeId) -> Option<ObjectSynchronization> {
        self.legacy()?.object_synchronization.iter().find(|entry| legacy_id(entry) == *id).cloned()
    }

    fn type_policy(&mut self, definition: &ObjectTypeDefinition, caching: AttributeCaching) -> Option<TypePolicy> {
        if self.has_enough_errors() {
            return None;
        }
        let id = definition.type_id();
        self.reject_unknown(definition, &id);
        let class = match delineation::class(definition, self.schema, &mut self.diagnostics) {
            Ok(class) => class,
            Err(error) => {
                self.diagnostics.push(error);
                return None;
            }
        };
        let delineated = definition.delineation.as_ref();
        let (delineation, search_filter) = match delineated {
            Some(delineated) => delineation::filters(delineated, &class, &mut self.diagnostics),
            None => (BoundFilter::All, BoundFilter::All),
        };
        let base_context = match delineated.map(|delineated| delineation::base_context(delineated, &class, self.schema)) {
            Some(Ok(base_context)) => base_context,
            Some(Err(error)) => {
                self.diagnostics.push(error);
                None
            }
            None => None,
        };
        let legacy = self.legacy_of(&id);
        let focus_type = self.focus_type(definition, legacy.as_ref());
        let inbound = mappings::compile(definition, &class, focus_type, &mut self.diagnostics);
        let correlation = correlation::compile(definition, legacy.as_ref(), &class, focus_type, &inbound, &mut self.diagnostics);
        let visible = names::is_visible(definition.lifecycle_state.as_ref());
        self.note_state(definition.lifecycle_state.as_ref(), &id.to_string());
        let synchronization_visible = visible && names::is_visible(self.resource.lifecycle_state.as_ref());
        let synchronization =
            synchronization::compile(definition, legacy.as_ref(), synchronization_visible, &mut self.diagnostics);
        let flag = |specific: &Option<tidelock_model::definition::At<bool>>| {
            visible && specific.as_ref().or(definition.default.as_ref()).is_some_and(|flag| flag.value)
        };
        let caching = match &definition.caching {
            Some(own) => self.caching(Some(own)),
            None => caching,
        };
        let mut policy = TypePolicy {
            id,
            display_name: definition.display_name.as_ref().map(|name| name.value.as_str().into()),
            focus_type,
            place: definition.place.clone(),
            visible,
            default_for_kind: flag(&definition.default_for_kind),
            default_for_class: flag(&definition.default_for_object_class),
            legacy: legacy.is_some(),
            delineation,
            base_context,
            order: delineated.and_then(|d| d.classification_order.as_ref()).map(|order| order.value),
            search_filter,
            protected: delineation::protected(definition, &class, &mut self.diagnostics),
            synchronization,
            correlation,
            stored: stored(definition, &class, caching, &inbound),
            inbound,
            class,
            digest: 0,
        };
        policy.digest = digest::of_type(&policy);
        Some(policy)
    }

    fn class_policy(&mut self, definition: &ObjectTypeDefinition) -> Option<ClassPolicy> {
        let class = match delineation::class(definition, self.schema, &mut self.diagnostics) {
            Ok(class) => class,
            Err(error) => {
                self.diagnostics.push(error);
                return None;
            }
        };
        let delineated = definition.delineation.as_ref();
        let search_filter = match delineated {
            Some(delineated) => delineation::filters(delineated, &class, &mut self.diagnostics).1,
            None => BoundFilter::All,
        };
        let base_context = match delineated.map(|delineated| delineation::base_context(delineated, &class, self.schema)) {
            Some(Err(error)) => {
                self.diagnostics.push(error);
                None
            }
            Some(Ok(base_context)) => base_context,
            None => None,
        };
        Some(ClassPolicy { class, search_filter, base_context })
    }

    fn reject_unknown(&mut self, definition: &ObjectTypeDefinition, id: &TypeId) {
        let kind = (id.kind == Kind::Unknown).then_some(("kind", definition.kind.as_ref().map(|kind| &kind.place)));
        let intent =
            (id.intent.as_str() == Intent::UNKNOWN).then_some(("intent", definition.intent.as_ref().map(|intent| &intent.place)));
        for (item, place) in kind.into_iter().chain(intent) {
            self.diagnostics.push(
                Diagnostic::error(
                    "reserved-unknown",
                    place.unwrap_or(&definition.place),
                    format!("the {item} 'unknown' is reserved for objects without a type"),
                )
                .with_help(format!("give the object type another {item}")),
            );
        }
    }

    fn focus_type(&mut self, definition: &ObjectTypeDefinition, legacy: Option<&ObjectSynchronization>) -> FocusType {
        let focus = definition.focus.as_ref();
        if let Some(archetype) = focus.and_then(|focus| focus.archetype_ref.as_ref()) {
            self.diagnostics.push(
                Diagnostic::warning("not-supported", &archetype.place, "archetypes are not supported yet; this has no effect")
                    .with_help("remove 'archetypeRef' if the definition does not depend on it"),
            );
        }
        let name = focus.and_then(|focus| focus.type_.as_ref()).or(legacy.and_then(|legacy| legacy.focus_type.as_ref()));
        match name.map(names::focus_type) {
            None => FocusType::User,
            Some(Ok(focus_type)) => focus_type,
            Some(Err(error)) => {
                self.diagnostics.push(error);
                FocusType::User
            }
        }
    }

    fn caching(&self, caching: Option<&Caching>) -> AttributeCaching {
        let capabilities = self.resource.capabilities.as_ref().and_then(|capabilities| capabilities.configured.as_ref());
        let reads_cache = capabilities.and_then(|configured| configured.read.as_ref()).is_some_and(|read| {
            read.enabled.as_ref().is_none_or(|flag| flag.value) && read.caching_only.as_ref().is_some_and(|flag| flag.value)
        });
        let strategy = caching.and_then(|caching| caching.caching_strategy.as_ref()).map(|strategy| strategy.value);
        match strategy {
            None if reads_cache => AttributeCaching::All,
            None | Some(CachingStrategy::None) => AttributeCaching::Identifiers,
            Some(CachingStrategy::Passive) => {
                let scope = caching.and_then(|caching| caching.scope.as_ref()?.attributes.as_ref()).map(|scope| scope.value);
                match scope {
                    Some(CachedAttributes::None) => AttributeCaching::Identifiers,
                    None | Some(CachedAttributes::Defined) => AttributeCaching::Defined,
                    Some(CachedAttributes::Mapped) => AttributeCaching::Mapped,
                    Some(CachedAttributes::All) => AttributeCaching::All,
                }
            }
        }
    }

    /// At most one default for a kind, and one for a class.
    fn check_defaults(&mut self, types: &[TypePolicy], definitions: &[ObjectTypeDefinition]) {
        let mut kinds: HashSet<Kind> = HashSet::new();
        let mut classes: HashSet<&str> = HashSet::new();
        for type_ in types {
            let definition = definitions.iter().find(|definition| definition.place == type_.place);
            let place = |specific: fn(&ObjectTypeDefinition) -> Option<&tidelock_model::definition::At<bool>>| {
                let flag = definition.and_then(|definition| specific(definition).or(definition.default.as_ref()));
                flag.map_or_else(|| type_.place.clone(), |flag| flag.place.clone())
            };
            if type_.default_for_kind && !kinds.insert(type_.id.kind) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "several-default-object-types",
                        &place(|definition| definition.default_for_kind.as_ref()),
                        format!("{} is another default for the kind '{}'", type_.id, type_.id.kind),
                    )
                    .with_help("leave one type of the kind as its default"),
                );
            }
            if type_.default_for_class && !classes.insert(&type_.class.name) {
                self.diagnostics.push(
                    Diagnostic::error(
                        "several-default-object-types",
                        &place(|definition| definition.default_for_object_class.as_ref()),
                        format!("{} is another default for the object class '{}'", type_.id, type_.class.name),
                    )
                    .with_help("leave one type of the class as its default"),
                );
            }
        }
    }

    /// Types that come after one that takes every object of the class.
    fn warn_of_unreachable(&mut self, types: &[TypePolicy]) {
        let mut turns: Vec<&TypePolicy> = types.iter().filter(|type_| type_.visible).collect();
        // The sort is stable: of equals the first that is defined has the first turn.
        turns.sort_by_key(|type_| type_.turn());
        let mut takers: HashMap<&str, &TypePolicy> = HashMap::new();
        for type_ in turns {
            if let Some(earlier) = takers.get(&*type_.class.name) {
                self.diagnostics.push(
                    Diagnostic::warning(
                        "unreachable-object-type",
                        &type_.place,
                        format!(
                            "no object is ever classified as {}, because {} takes all objects of '{}'",
                            type_.id, earlier.id, type_.class.name
                        ),
                    )
                    .with_help(format!(
                        "add a 'filter' to the delineation of {}, or a smaller 'classificationOrder' to this one",
                        earlier.id
                    )),
                );
            } else if type_.delineation == BoundFilter::All && type_.base_context.is_none() {
                takers.insert(&type_.class.name, type_);
            }
        }
    }

    fn warn_of_unused_legacy(&mut self, definitions: &[ObjectTypeDefinition]) {
        let Some(legacy) = self.resource.synchronization.as_ref() else { return };
        let mut used: HashSet<TypeId> = HashSet::new();
        for entry in &legacy.object_synchronization {
            let id = legacy_id(entry);
            let problem = if !definitions.iter().any(|definition| definition.type_id() == id) {
                format!("there is no object type {id}, so this has no effect")
            } else if !used.insert(id.clone()) {
                format!("{id} has an 'objectSynchronization' before this one, so this has no effect")
            } else {
                continue;
            };
            self.diagnostics.push(
                Diagnostic::warning("unused-synchronization", &entry.place, problem)
                    .with_help("define the object type in 'schemaHandling', or remove this 'objectSynchronization'"),
            );
        }
    }
}

fn legacy_id(entry: &ObjectSynchronization) -> TypeId {
    TypeId {
        kind: entry.kind.as_ref().map_or(Kind::Account, |kind| kind.value),
        intent: entry.intent.as_ref().map_or_else(Intent::default_intent, |intent| intent.value.clone()),
    }
}

/// The attributes that shadows of a type keep: the identifiers, what caching asks for, and what tells later which values of
/// multi-valued items came from here.
fn stored(
    definition: &ObjectTypeDefinition,
    class: &ObjectClass,
    caching: AttributeCaching,
    inbound: &[InboundMapping],
) -> Vec<Arc<str>> {
    let mut items: HashMap<&str, &AttributeItem> = HashMap::new();
    for item in &definition.attribute {
        if let Ok(attribute) = mappings::attribute_of(item, class) {
            items.entry(&attribute.name).or_insert(item);
        }
    }
    let reads =
        |mapping: &InboundMapping, name: &str| matches!(&mapping.source, MappingSource::Attribute(from) if **from == *name);
    let is_stored = |name: &Arc<str>| {
        if *name == class.primary_identifier || *name == class.naming_attribute {
            return true;
        }
        if inbound.iter().any(|m| m.multi_valued && m.range == Range::Own && reads(m, name)) {
            return true;
        }
        let item = items.get(&**name);
        match (caching, item.and_then(|item| item.cached.as_ref())) {
            (AttributeCaching::Identifiers, _) => false,
            (_, Some(cached)) => cached.value,
            (AttributeCaching::All, None) => true,
            (AttributeCaching::Defined, None) => item.is_some(),
            (AttributeCaching::Mapped, None) => inbound.iter().any(|mapping| reads(mapping, name)),
        }
    };
    class.attributes.iter().map(|attribute| &attribute.name).filter(|name| is_stored(name)).cloned().collect()
}
