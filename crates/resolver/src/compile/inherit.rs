//! Object types that inherit from others.

use std::collections::{HashMap, HashSet};

use tidelock_model::definition::{
    Activation, AttributeItem, Correlation, Correlators, Delineation, FocusSpecification, Mapping, ObjectTypeDefinition,
    Synchronization, nearest,
};
use tidelock_model::object::{Intent, Kind, TypeId};
use tidelock_model::{Diagnostic, Diagnostics};

/// Comparing names costs their product: a file with more errors than this is beyond suggestions.
const MOST_SUGGESTIONS: usize = 20;

/// The most types that one can inherit from, one from the other.
const DEEPEST: usize = 32;

/// The object types with everything that they inherit, abstract ones left out, in the order of the definition.
pub(super) fn flatten(types: &[ObjectTypeDefinition], diagnostics: &mut Diagnostics) -> Vec<ObjectTypeDefinition> {
    let mut by_id: HashMap<TypeId, usize> = HashMap::new();
    let mut repeated: HashSet<usize> = HashSet::new();
    for (index, type_) in types.iter().enumerate() {
        let id = type_.type_id();
        if let Some(earlier) = by_id.get(&id).and_then(|index| types.get(*index)) {
            repeated.insert(index);
            diagnostics.push(
                Diagnostic::error(
                    "duplicate-object-type",
                    &type_.place,
                    format!("{id} is defined a second time; the first is in line {}", earlier.place.line),
                )
                .with_help("give one of them another intent"),
            );
        } else {
            by_id.insert(id, index);
        }
    }
    let mut flat = Vec::with_capacity(types.len());
    // Of a cycle, and of what inherits from one, is spoken once.
    let mut in_cycles: HashSet<usize> = HashSet::new();
    let mut errors = 0;
    for (index, type_) in types.iter().enumerate() {
        if repeated.contains(&index) || type_.abstract_.as_ref().is_some_and(|flag| flag.value) {
            continue;
        }
        if errors >= super::MOST_ERRORS {
            break;
        }
        match chain(types, &by_id, index, errors < MOST_SUGGESTIONS, &mut in_cycles) {
            Ok(chain) => {
                let mut chain = chain.into_iter().rev().filter_map(|index| types.get(index)).map(normal);
                let Some(root) = chain.next() else { continue };
                flat.push(chain.fold(root, inherit));
            }
            Err(error) => {
                errors += error.iter().len();
                diagnostics.extend(error);
            }
        }
    }
    flat
}

/// A type and those that it inherits from, the nearest first. No error for what has been said of another type.
fn chain(
    types: &[ObjectTypeDefinition],
    by_id: &HashMap<TypeId, usize>,
    index: usize,
    with_suggestion: bool,
    in_cycles: &mut HashSet<usize>,
) -> Result<Vec<usize>, Option<Diagnostic>> {
    let mut chain = vec![index];
    let mut here = index;
    while let Some((type_, super_)) = types.get(here).and_then(|type_| Some((type_, type_.super_.as_ref()?))) {
        if let Some(elsewhere) = super_.rest.iter().find(|node| matches!(node.local(), "resourceRef" | "objectClassName")) {
            return Err(Some(super::names::refused(
                "inheriting from anything but a type of the same resource",
                &elsewhere.place,
                "copy what is inherited into this type",
            )));
        }
        let wanted = TypeId {
            kind: super_.kind.as_ref().map_or(Kind::Account, |kind| kind.value),
            intent: super_.intent.as_ref().map_or_else(Intent::default_intent, |intent| intent.value.clone()),
        };
        let Some(next) = by_id.get(&wanted).copied() else {
            let known: Vec<String> = by_id.keys().filter(|_| with_suggestion).map(ToString::to_string).collect();
            let error = Diagnostic::error(
                "unknown-object-type",
                &super_.place,
                format!("{} inherits from {wanted}, which is not defined", type_.type_id()),
            );
            return Err(Some(match nearest(&wanted.to_string(), known.iter().map(String::as_str)) {
                Some(near) => error.with_help(format!("did you mean {near}?")),
                None => error.with_help("define that type, or remove 'super'"),
            }));
        };
        if chain.contains(&next) || chain.len() >= DEEPEST {
            let is_known = chain.iter().any(|index| in_cycles.contains(index));
            in_cycles.extend(&chain);
            let id = types.get(next).map(|type_| type_.type_id().to_string()).unwrap_or_default();
            let what = if chain.contains(&next) { "inherits from itself" } else { "is inherited from through too many types" };
            return Err((!is_known).then(|| {
                Diagnostic::error("cyclic-super", &super_.place, format!("{id} {what}"))
                    .with_help("remove one of the 'super' items")
            }));
        }
        chain.push(next);
        here = next;
    }
    Ok(chain)
}

/// The same type with everything at its present place.
fn normal(type_: &ObjectTypeDefinition) -> ObjectTypeDefinition {
    let mut type_ = type_.clone();
    let mut delineation =
        type_.delineation.take().unwrap_or_else(|| Delineation { place: type_.place.clone(), ..Delineation::default() });
    delineation.object_class = delineation.object_class.or(type_.object_class.take());
    delineation.auxiliary_object_class.append(&mut type_.auxiliary_object_class);
    delineation.base_context = delineation.base_context.or(type_.base_context.take());
    delineation.search_hierarchy_scope = delineation.search_hierarchy_scope.or(type_.search_hierarchy_scope.take());
    type_.delineation = Some(delineation);
    type_
}

/// A type with what it inherits. What is said of the type itself is not inherited: its name, whether it is abstract, in use, or
/// a default.
fn inherit(parent: ObjectTypeDefinition, child: ObjectTypeDefinition) -> ObjectTypeDefinition {
    ObjectTypeDefinition {
        display_name: child.display_name,
        delineation: merge(parent.delineation, child.delineation, |parent, child| Delineation {
            object_class: child.object_class.or(parent.object_class),
            auxiliary_object_class: appended(parent.auxiliary_object_class, child.auxiliary_object_class),
            base_context: child.base_context.or(parent.base_context),
            search_hierarchy_scope: child.search_hierarchy_scope.or(parent.search_hierarchy_scope),
            filter: appended(parent.filter, child.filter),
            classification_condition: child.classification_condition.or(parent.classification_condition),
            classification_order: child.classification_order.or(parent.classification_order),
            base_context_classification_use: child.base_context_classification_use.or(parent.base_context_classification_use),
            ..child
        }),
        focus: merge(parent.focus, child.focus, |parent, child| FocusSpecification {
            type_: child.type_.or(parent.type_),
            archetype_ref: child.archetype_ref.or(parent.archetype_ref),
            ..child
        }),
        attribute: attributes(parent.attribute, child.attribute),
        activation: merge(parent.activation, child.activation, |parent, child| Activation {
            administrative_status: child.administrative_status.or(parent.administrative_status),
            valid_from: child.valid_from.or(parent.valid_from),
            valid_to: child.valid_to.or(parent.valid_to),
            lockout_status: child.lockout_status.or(parent.lockout_status),
            existence: child.existence.or(parent.existence),
            ..child
        }),
        correlation: merge(parent.correlation, child.correlation, |parent, child| Correlation {
            correlators: merge(parent.correlators, child.correlators, |parent, child| Correlators {
                items: named(parent.items, child.items, |item| item.name.as_ref().map(|name| name.value.clone())),
                scaling: child.scaling.or(parent.scaling),
                rest: appended(parent.rest, child.rest),
                ..child
            }),
            thresholds: child.thresholds.or(parent.thresholds),
            ..child
        }),
        synchronization: merge(parent.synchronization, child.synchronization, |parent, child| Synchronization {
            reaction: named(parent.reaction, child.reaction, |reaction| reaction.name.as_ref().map(|name| name.value.clone())),
            default_settings: child.default_settings.or(parent.default_settings),
            ..child
        }),
        mappings_evaluation: child.mappings_evaluation.or(parent.mappings_evaluation),
        caching: child.caching.or(parent.caching),
        configured_capabilities: child.configured_capabilities.or(parent.configured_capabilities),
        protected: appended(parent.protected, child.protected),
        marking: appended(parent.marking, child.marking),
        ..child
    }
}

/// What is said about one attribute at both places is one.
fn attributes(parent: Vec<AttributeItem>, child: Vec<AttributeItem>) -> Vec<AttributeItem> {
    let key = |item: &AttributeItem| {
        let path = super::names::path(item.ref_.as_ref()?).ok()?;
        super::names::attribute_name(&path).map(|name| name.local().to_owned())
    };
    let mut by_key: HashMap<String, usize> = HashMap::new();
    for (index, item) in parent.iter().enumerate() {
        if let Some(key) = key(item) {
            by_key.entry(key).or_insert(index);
        }
    }
    let mut merged = parent;
    for item in child {
        let same = key(&item).and_then(|key| by_key.get(&key)).and_then(|index| merged.get_mut(*index));
        let Some(inherited) = same else {
            merged.push(item);
            continue;
        };
        let inbound = named(std::mem::take(&mut inherited.inbound), item.inbound, mapping_name);
        *inherited = AttributeItem {
            matching_rule: item.matching_rule.or(inherited.matching_rule.take()),
            tolerant: item.tolerant.or(inherited.tolerant.take()),
            cached: item.cached.or(inherited.cached.take()),
            secondary_identifier: item.secondary_identifier.or(inherited.secondary_identifier.take()),
            correlator: item.correlator.or(inherited.correlator.take()),
            inbound,
            ..item
        };
    }
    merged
}

fn mapping_name(mapping: &Mapping) -> Option<String> {
    mapping.name.as_ref().map(|name| name.value.clone())
}

fn merge<T>(parent: Option<T>, child: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (parent, child) {
        (Some(parent), Some(child)) => Some(both(parent, child)),
        (parent, child) => child.or(parent),
    }
}

fn appended<T>(mut parent: Vec<T>, mut child: Vec<T>) -> Vec<T> {
    parent.append(&mut child);
    parent
}

/// The inherited ones, each replaced where there is one of the same name, and then the others.
fn named<T>(mut parent: Vec<T>, child: Vec<T>, name: impl Fn(&T) -> Option<String>) -> Vec<T> {
    for item in child {
        let same = name(&item).and_then(|wanted| parent.iter().position(|inherited| name(inherited).as_ref() == Some(&wanted)));
        match same.and_then(|at| parent.get_mut(at)) {
            Some(inherited) => *inherited = item,
            None => parent.push(item),
        }
    }
    parent
}
