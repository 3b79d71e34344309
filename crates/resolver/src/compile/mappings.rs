//! The inbound mappings of an object type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tidelock_model::definition::{AttributeItem, EvaluationPhase, Mapping, MappingUse, ObjectTypeDefinition, Strength};
use tidelock_model::document::Node;
use tidelock_model::object::{AttributeDefinition, FocusType, ObjectClass};
use tidelock_model::{Diagnostic, Diagnostics};

use crate::compile::{expression, names};
use crate::focus_items::{ItemType, Target};
use crate::mapping::{InboundMapping, Range};

/// The mappings that are in force, those to one target together.
pub(super) fn compile(
    type_: &ObjectTypeDefinition,
    class: &ObjectClass,
    focus_type: FocusType,
    diagnostics: &mut Diagnostics,
) -> Vec<InboundMapping> {
    let defaults = default_phases(type_);
    let mut mappings: Vec<InboundMapping> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    let mut errors = 0;
    for item in type_.attribute.iter().filter(|item| names::is_visible(item.lifecycle_state.as_ref())) {
        let attribute = match attribute_of(item, class) {
            Ok(attribute) => attribute,
            Err(error) => {
                diagnostics.push(error);
                errors += 1;
                if errors >= super::MOST_ERRORS {
                    break;
                }
                continue;
            }
        };
        if !known.insert(&attribute.name) {
            diagnostics.push(
                Diagnostic::warning(
                    "duplicate-attribute",
                    &item.place,
                    format!("there is an 'attribute' for '{}' already; what both say is taken together", attribute.name),
                )
                .with_help("say everything about an attribute in one place"),
            );
        }
        let in_force = |mapping: &&Mapping| {
            names::is_visible(mapping.lifecycle_state.as_ref()) && mapping.enabled.as_ref().is_none_or(|enabled| enabled.value)
        };
        for mapping in item.inbound.iter().filter(in_force) {
            match one(mapping, item, attribute, class, focus_type, defaults, diagnostics) {
                Ok(mapping) => mappings.push(mapping),
                Err(error) => diagnostics.push(error),
            }
        }
    }
    if let Some(activation) = &type_.activation {
        let parts = [
            &activation.administrative_status,
            &activation.valid_from,
            &activation.valid_to,
            &activation.lockout_status,
            &activation.existence,
        ];
        for mapping in parts.into_iter().flatten().flat_map(|part| &part.inbound) {
            diagnostics.push(
                Diagnostic::warning(
                    "not-supported",
                    &mapping.place,
                    "inbound mappings of the activation are not supported yet; this one has no effect",
                )
                .with_help("map an attribute to $focus/activation/administrativeStatus instead"),
            );
        }
    }
    together(mappings)
}

/// The attribute that an item is about.
pub(super) fn attribute_of<'a>(item: &AttributeItem, class: &'a ObjectClass) -> Result<&'a AttributeDefinition, Diagnostic> {
    let Some(text) = &item.ref_ else {
        return Err(Diagnostic::error("bad-value", &item.place, "'attribute' does not say which attribute it is about")
            .with_help("add 'ref' with the name of the attribute"));
    };
    let path = names::path(text)?;
    let name = names::attribute_name(&path).ok_or_else(|| {
        Diagnostic::error("bad-value", &text.place, "this is no attribute").with_help("write its name, such as ri:uid")
    })?;
    names::attribute(class, name, &text.place)
}

#[derive(Clone, Copy)]
struct Phases {
    clockwork: bool,
    before_correlation: bool,
}

fn default_phases(type_: &ObjectTypeDefinition) -> Phases {
    let configured = type_
        .mappings_evaluation
        .as_ref()
        .and_then(|evaluation| evaluation.inbound.as_ref()?.default_evaluation_phases.as_ref())
        .map(|phases| phases.phase.iter().map(|phase| phase.value).collect::<Vec<_>>())
        .filter(|phases| !phases.is_empty());
    match configured {
        None => Phases { clockwork: true, before_correlation: false },
        Some(phases) => Phases {
            clockwork: phases.contains(&EvaluationPhase::Clockwork),
            before_correlation: phases.contains(&EvaluationPhase::BeforeCorrelation),
        },
    }
}

fn phases(mapping: &Mapping, defaults: Phases) -> Phases {
    match (&mapping.use_, &mapping.evaluation_phases) {
        (Some(use_), _) => Phases {
            clockwork: matches!(use_.value, MappingUse::Synchronization | MappingUse::All),
            before_correlation: matches!(use_.value, MappingUse::Correlation | MappingUse::All),
        },
        (None, Some(phases)) => {
            let evaluated = |phase, default| {
                (default || phases.include.iter().any(|p| p.value == phase)) && !phases.exclude.iter().any(|p| p.value == phase)
            };
            Phases {
                clockwork: evaluated(EvaluationPhase::Clockwork, defaults.clockwork),
                before_correlation: evaluated(EvaluationPhase::BeforeCorrelation, defaults.before_correlation),
            }
        }
        (None, None) => defaults,
    }
}

fn one(
    mapping: &Mapping,
    item: &AttributeItem,
    attribute: &AttributeDefinition,
    class: &ObjectClass,
    focus_type: FocusType,
    defaults: Phases,
    diagnostics: &mut Diagnostics,
) -> Result<InboundMapping, Diagnostic> {
    if let Some(condition) = &mapping.condition {
        return Err(names::refused("the condition of a mapping", &condition.place, "remove the condition, or the mapping"));
    }
    if let Some(time) = mapping.rest.iter().find(|node| matches!(node.local(), "timeFrom" | "timeTo")) {
        return Err(names::refused("a mapping for a limited time", &time.place, "remove the limits, or the mapping"));
    }
    if let Some(source) = mapping.source.first() {
        return Err(names::refused("a source besides the attribute", &source.place, "remove 'source'"));
    }
    let Some(path) = mapping.target.as_ref().and_then(|target| target.path.as_ref()) else {
        let place = mapping.target.as_ref().map_or(&mapping.place, |target| &target.place);
        return Err(Diagnostic::error("no-target", place, "the mapping does not say where its values go")
            .with_help("add 'target' with a 'path' such as $focus/givenName"));
    };
    let target = names::focus_path(path)?;
    let (target_type, multi_valued) = match names::focus_item(focus_type, &target, &path.place, diagnostics) {
        Target::Item { item_type, multi_valued } => (item_type, multi_valued),
        Target::Unknown => (ItemType::Any, false),
        Target::Unmappable => {
            return Err(names::refused(
                &format!("a mapping to '{}'", target.join("/")),
                &path.place,
                "map to an item that has plain values, such as $focus/givenName",
            ));
        }
    };
    let Phases { clockwork, before_correlation } = phases(mapping, defaults);
    let (range, says_set) = range(mapping)?;
    Ok(InboundMapping {
        name: mapping.name.as_ref().map(|name| name.value.as_str().into()),
        place: mapping.place.clone(),
        source: expression::source(mapping.expression.as_ref(), attribute, class)?,
        target,
        target_type,
        multi_valued: multi_valued || (says_set && target_type == ItemType::Any),
        range,
        strength: mapping.strength.as_ref().map_or(Strength::Normal, |strength| strength.value),
        before_correlation: before_correlation || item.correlator.is_some(),
        clockwork,
        channels: names::channel_limit(&mapping.channel, &mapping.except_channel, diagnostics),
    })
}

/// Which of the target's values the mapping may take away, and whether the definition says so itself.
fn range(mapping: &Mapping) -> Result<(Range, bool), Diagnostic> {
    let default = match &mapping.authoritative {
        Some(flag) if !flag.value => Range::None,
        _ => Range::Own,
    };
    let set = mapping.target.as_ref().and_then(|target| target.rest.iter().find(|node| node.local() == "set"));
    let Some(set) = set else { return Ok((default, false)) };
    match set.child("predefined").map(|node| (node.text().trim(), node)) {
        Some(("all", _)) => Ok((Range::All, true)),
        Some(("none", _)) => Ok((Range::None, true)),
        Some((_, node)) => Err(Diagnostic::error("not-supported", &node.place, "this set of values is not supported yet")
            .with_help("use 'all' or 'none'")),
        None => {
            let place = set.children.first().map_or(&set.place, |node: &Node| &node.place);
            Err(names::refused("a condition on the target's values", place, "use 'predefined' with 'all' or 'none'"))
        }
    }
}

/// Mappings to one target next to each other, where the first of them was. If one says that the target has several values, it does.
fn together(mappings: Vec<InboundMapping>) -> Vec<InboundMapping> {
    let mut groups: Vec<Vec<InboundMapping>> = Vec::new();
    let mut by_target: HashMap<Box<[Arc<str>]>, usize> = HashMap::new();
    for mapping in mappings {
        let next = groups.len();
        let at = *by_target.entry(mapping.target.clone()).or_insert(next);
        match groups.get_mut(at) {
            Some(group) => group.push(mapping),
            None => groups.push(vec![mapping]),
        }
    }
    for group in &mut groups {
        let multi_valued = group.iter().any(|mapping| mapping.multi_valued);
        group.iter_mut().for_each(|mapping| mapping.multi_valued = multi_valued);
    }
    groups.into_iter().flatten().collect()
}
