//! How the owners of a type's objects are found.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use tidelock_model::definition::{
    At, AttributeItem, Correlation, CorrelatorComposition, ItemSearch, ItemsCorrelator, ObjectSynchronization,
    ObjectTypeDefinition, nearest,
};
use tidelock_model::document::Node;
use tidelock_model::object::{FocusType, MatchingRule, ObjectClass};
use tidelock_model::{Diagnostic, Diagnostics, Place};

use crate::compile::{legacy_correlation, mappings, names};
use crate::correlate::{CorrelationPolicy, ItemSource, Rule, RuleItem, Tier};
use crate::focus_items::Target;
use crate::mapping::InboundMapping;

/// A rule, and where it stands among the others.
pub(super) struct Ranked {
    pub(super) rule: Rule,
    pub(super) tier: Option<i64>,
    pub(super) order: Option<i64>,
    pub(super) ignore: Vec<At<String>>,
    /// Whether it says how it goes together with others; a rule alone that does not counts fully.
    pub(super) composed: bool,
}

/// The policy of a type: its own, or that of a legacy definition.
pub(super) fn compile(
    type_: &ObjectTypeDefinition,
    legacy: Option<&ObjectSynchronization>,
    class: &ObjectClass,
    focus_type: FocusType,
    inbound: &[InboundMapping],
    diagnostics: &mut Diagnostics,
) -> CorrelationPolicy {
    let place = type_.correlation.as_ref().map_or(&type_.place, |correlation| &correlation.place);
    let mut policy = CorrelationPolicy::none(place);
    let own = type_.correlation.as_ref().filter(|correlation| names::is_visible(correlation.lifecycle_state.as_ref()));
    let mut rules = Vec::new();
    if let Some(correlation) = own {
        refuse_others(correlation, diagnostics);
        thresholds(correlation, &mut policy, diagnostics);
        for correlator in correlation.correlators.iter().flat_map(|correlators| &correlators.items) {
            let enabled = correlator.enabled.as_ref().is_none_or(|flag| flag.value);
            if enabled && names::is_visible(correlator.lifecycle_state.as_ref()) {
                let number = rules.len() + 1;
                rules.extend(items_rule(correlator, number, focus_type, diagnostics));
            }
        }
    }
    for item in type_.attribute.iter().filter(|item| names::is_visible(item.lifecycle_state.as_ref())) {
        if item.correlator.is_some() {
            let number = rules.len() + 1;
            match attribute_rule(item, number, class, focus_type, inbound, diagnostics) {
                Ok(rule) => rules.push(rule),
                Err(error) => diagnostics.push(error),
            }
        }
    }
    let defines_rules = !rules.is_empty() || own.is_some_and(|correlation| correlation.correlators.is_some());
    if !defines_rules && let Some(legacy) = legacy {
        rules = legacy_correlation::rules(legacy, class, focus_type, diagnostics);
    }
    for item in rules.iter().flat_map(|ranked| &ranked.rule.items) {
        if item.source == ItemSource::PreFocus && !inbound.iter().any(|m| m.before_correlation && m.target == item.path) {
            let target = item.path.join("/");
            diagnostics.push(
                Diagnostic::warning(
                    "correlation-item-unmapped",
                    &item.place,
                    format!("no mapping gives '{target}' before correlation, so no owner can be found by it"),
                )
                .with_help(format!("say 'all' in 'use' of the inbound mapping to '{target}'")),
            );
        }
    }
    policy.tiers = tiers(rules, diagnostics);
    policy
}

/// Correlators that we do not run: without them a person who is known would be taken for a new one.
fn refuse_others(correlation: &Correlation, diagnostics: &mut Diagnostics) {
    let Some(correlators) = &correlation.correlators else { return };
    for node in &correlators.rest {
        if matches!(node.local(), "filter" | "expression" | "idMatch" | "composite") {
            diagnostics.push(names::refused(&format!("the correlator '{}'", node.local()), &node.place, "use 'items'"));
        }
    }
    if let Some(scaling) = &correlators.scaling {
        let scale = scaling.child("scale").map(|node| node.text().trim().parse::<f64>());
        if !matches!(scale, None | Some(Ok(1.0))) {
            diagnostics.push(names::refused("scaling confidences", &scaling.place, "choose weights that need no scaling"));
        }
    }
}

fn thresholds(correlation: &Correlation, policy: &mut CorrelationPolicy, diagnostics: &mut Diagnostics) {
    let Some(thresholds) = &correlation.thresholds else { return };
    let mut confidence = |value: &Option<At<f64>>, default: f64| match value {
        None => default,
        Some(at) if (0.0..=1.0).contains(&at.value) => at.value,
        Some(at) => {
            diagnostics.push(
                Diagnostic::error("bad-value", &at.place, format!("{} is no confidence", at.value))
                    .with_help("give a number from 0 to 1"),
            );
            default
        }
    };
    policy.definite = confidence(&thresholds.definite, policy.definite);
    policy.candidate = confidence(&thresholds.candidate, policy.candidate);
}

fn items_rule(
    correlator: &ItemsCorrelator,
    number: usize,
    focus_type: FocusType,
    diagnostics: &mut Diagnostics,
) -> Option<Ranked> {
    if let Some(confidence) = &correlator.confidence {
        diagnostics.push(refused_confidence(confidence));
        return None;
    }
    if let Some(node) = correlator.rest.iter().find(|node| node.local() == "super") {
        diagnostics.push(names::refused("inheriting a correlator", &node.place, "copy its items"));
        return None;
    }
    if correlator.item.is_empty() {
        diagnostics.push(
            Diagnostic::error("bad-value", &correlator.place, "the correlator compares nothing")
                .with_help("add 'item' with a 'ref' to an item of the focus"),
        );
        return None;
    }
    let mut items = Vec::with_capacity(correlator.item.len());
    for item in &correlator.item {
        let compiled = match &item.ref_ {
            None => Err(Diagnostic::error("bad-value", &item.place, "the item does not say which item of the focus it is")
                .with_help("add 'ref' with its name")),
            Some(text) => names::focus_path(text).and_then(|path| {
                mappable(focus_type, &path, &text.place, diagnostics)?;
                Ok(RuleItem {
                    place: item.place.clone(),
                    path,
                    rule: search_rule(item.search.as_ref())?,
                    source: ItemSource::PreFocus,
                })
            }),
        };
        match compiled {
            Ok(item) => items.push(item),
            Err(error) => {
                diagnostics.push(error);
                return None;
            }
        }
    }
    let composition = correlator.composition.as_ref();
    Some(Ranked {
        rule: Rule {
            name: correlator.name.as_ref().map_or_else(|| format!("items {number}").into(), |name| name.value.trim().into()),
            place: correlator.place.clone(),
            weight: weight(composition, diagnostics),
            ignore_if_matched_by: Vec::new(),
            items,
        },
        tier: composition.and_then(|c| c.tier.as_ref()).map(|tier| tier.value),
        order: composition.and_then(|c| c.order.as_ref()).map(|order| order.value),
        ignore: composition.map(|c| c.ignore_if_matched_by.clone()).unwrap_or_default(),
        composed: composition.is_some(),
    })
}

/// An attribute that is marked as one that owners are found by.
fn attribute_rule(
    item: &AttributeItem,
    number: usize,
    class: &ObjectClass,
    focus_type: FocusType,
    inbound: &[InboundMapping],
    diagnostics: &mut Diagnostics,
) -> Result<Ranked, Diagnostic> {
    let attribute = mappings::attribute_of(item, class)?;
    let correlator = item.correlator.as_ref();
    let place = correlator.map_or(&item.place, |correlator| &correlator.place);
    let path = match correlator.and_then(|correlator| correlator.focus_item.as_ref()) {
        Some(text) => {
            let path = names::focus_path(text)?;
            mappable(focus_type, &path, &text.place, diagnostics)?;
            path
        }
        None => {
            let is_its_own = |mapping: &&InboundMapping| item.inbound.iter().any(|own| own.place == mapping.place);
            let mut targets: Vec<_> = inbound.iter().filter(is_its_own).map(|mapping| &mapping.target).collect();
            targets.dedup();
            match targets.as_slice() {
                [target] => (*target).clone(),
                _ => {
                    return Err(Diagnostic::error(
                        "bad-value",
                        place,
                        format!("'{}' finds owners, and it is not clear by which item of theirs", attribute.name),
                    )
                    .with_help("add 'focusItem', or leave the attribute just one inbound mapping"));
                }
            }
        }
    };
    let rule = search_rule(correlator.and_then(|correlator| correlator.search.as_ref()))?;
    Ok(Ranked {
        rule: Rule {
            name: format!("{} {number}", attribute.name).into(),
            place: place.clone(),
            weight: 1.0,
            ignore_if_matched_by: Vec::new(),
            items: vec![RuleItem { place: place.clone(), path, rule, source: ItemSource::PreFocus }],
        },
        tier: None,
        order: None,
        ignore: Vec::new(),
        composed: false,
    })
}

/// Refuses items that have no plain values to compare.
pub(super) fn mappable(
    focus_type: FocusType,
    path: &[Arc<str>],
    place: &Place,
    diagnostics: &mut Diagnostics,
) -> Result<(), Diagnostic> {
    match names::focus_item(focus_type, path, place, diagnostics) {
        Target::Unmappable => {
            Err(names::refused(&format!("comparing '{}'", path.join("/")), place, "compare an item that has plain values"))
        }
        Target::Item { .. } | Target::Unknown => Ok(()),
    }
}

fn search_rule(search: Option<&ItemSearch>) -> Result<MatchingRule, Diagnostic> {
    let Some(search) = search else { return Ok(MatchingRule::Exact) };
    if let Some(fuzzy) = &search.fuzzy {
        return Err(names::refused("a fuzzy search for owners", &fuzzy.place, "compare exactly, or by a matching rule"));
    }
    if let Some(confidence) = &search.confidence {
        return Err(refused_confidence(confidence));
    }
    if let Some(index) = &search.index {
        return Err(names::refused("an index of normalized values", &index.place, "use 'matchingRule'"));
    }
    search.matching_rule.as_ref().map_or(Ok(MatchingRule::Exact), names::matching_rule)
}

fn refused_confidence(node: &Node) -> Diagnostic {
    names::refused("computing a confidence", &node.place, "use the 'weight' of 'composition'")
}

fn weight(composition: Option<&CorrelatorComposition>, diagnostics: &mut Diagnostics) -> f64 {
    match composition.and_then(|composition| composition.weight.as_ref()) {
        None => 1.0,
        Some(weight) if weight.value >= 0.0 => weight.value,
        Some(weight) => {
            diagnostics.push(
                Diagnostic::error("bad-value", &weight.place, "a weight cannot be negative")
                    .with_help("give a number from 0 to 1"),
            );
            1.0
        }
    }
}

/// The rules by tiers, those without a tier last; inside of a tier by order, then those that others refer to first.
fn tiers(mut rules: Vec<Ranked>, diagnostics: &mut Diagnostics) -> Vec<Tier> {
    if let [only] = rules.as_mut_slice()
        && !only.composed
    {
        only.rule.weight = 1.0;
    }
    let mut seen: HashMap<Arc<str>, Place> = HashMap::new();
    for ranked in &rules {
        if let Some(earlier) = seen.insert(Arc::clone(&ranked.rule.name), ranked.rule.place.clone()) {
            diagnostics.push(
                Diagnostic::error(
                    "duplicate-name",
                    &ranked.rule.place,
                    format!("the correlator in line {} has the same name", earlier.line),
                )
                .with_help("give one of them another name"),
            );
        }
    }
    let known: Vec<Arc<str>> = rules.iter().map(|ranked| Arc::clone(&ranked.rule.name)).collect();
    rules.sort_by(|a, b| last_if_none(a.tier, b.tier).then_with(|| last_if_none(a.order, b.order)));
    let mut tiers: Vec<(Option<i64>, Tier)> = Vec::new();
    let mut evaluated: Vec<Arc<str>> = Vec::new();
    while !rules.is_empty() {
        // Within equals, a rule goes first if everything that it refers to has gone.
        let head = rules.first().map(|ranked| (ranked.tier, ranked.order));
        let ready = rules
            .iter()
            .take_while(|ranked| Some((ranked.tier, ranked.order)) == head)
            .position(|ranked| ranked.ignore.iter().all(|name| evaluated.iter().any(|done| **done == *name.trim())));
        let mut ranked = rules.remove(ready.unwrap_or(0));
        for name in &ranked.ignore {
            match evaluated.iter().find(|done| ***done == *name.trim()) {
                Some(done) => ranked.rule.ignore_if_matched_by.push(Arc::clone(done)),
                None => diagnostics.push(unevaluated(name, &known)),
            }
        }
        evaluated.push(Arc::clone(&ranked.rule.name));
        match tiers.last_mut().filter(|(tier, _)| *tier == ranked.tier) {
            Some((_, tier)) => tier.rules.push(ranked.rule),
            None => tiers.push((ranked.tier, Tier { rules: vec![ranked.rule] })),
        }
    }
    tiers.into_iter().map(|(_, tier)| tier).collect()
}

fn unevaluated(name: &At<String>, known: &[Arc<str>]) -> Diagnostic {
    if known.iter().any(|known| **known == *name.trim()) {
        return Diagnostic::error(
            "unevaluated-correlator",
            &name.place,
            "the correlator referred to is asked later, so its matches are not known yet",
        )
        .with_help("give it a smaller tier or order");
    }
    let error = Diagnostic::error("unknown-correlator", &name.place, "there is no correlator of this name");
    match nearest(name.trim(), known.iter().map(|known| &**known)) {
        Some(near) => error.with_help(format!("did you mean '{near}'?")),
        None => error.with_help("refer to a correlator by its 'name'"),
    }
}

/// Smaller ones first, none last.
pub(super) fn last_if_none<T: Ord>(a: Option<T>, b: Option<T>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}
