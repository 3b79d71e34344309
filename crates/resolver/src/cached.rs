//! What can be decided by the attributes that are kept with shadows, where the resource is not asked.

use std::sync::Arc;

use tidelock_model::filter::BoundFilter;

use crate::correlate::ItemSource;
use crate::mapping::MappingSource;
use crate::policy::{ResourcePolicy, TypePolicy};

/// The attributes that matter to synchronizing objects of a type, and that its shadows do not keep; each once.
#[must_use]
pub fn missing(type_: &TypePolicy) -> Vec<&str> {
    let mapped = type_.inbound.iter().filter_map(|mapping| match &mapping.source {
        MappingSource::Attribute(name) => Some(name),
        MappingSource::Constant(_) => None,
    });
    let rules = type_.correlation.tiers.iter().flat_map(|tier| &tier.rules);
    let compared = rules.flat_map(|rule| &rule.items).filter_map(|item| match &item.source {
        ItemSource::Attribute(name) => Some(name),
        ItemSource::PreFocus => None,
    });
    let mut read: Vec<&Arc<str>> = mapped.chain(compared).collect();
    attributes(&type_.protected, &mut read);
    let mut missing: Vec<&str> = Vec::new();
    for name in read.into_iter().filter(|name| !type_.stored.contains(name)) {
        if !missing.contains(&&**name) {
            missing.push(name);
        }
    }
    missing
}

/// Whether the type of an object can be told by its identifiers alone, which is what the shadow of an unclassified one keeps.
#[must_use]
pub fn can_classify(policy: &ResourcePolicy, class: &str) -> bool {
    policy.types.iter().filter(|type_| *type_.class.name == *class).all(|type_| {
        let mut read = Vec::new();
        attributes(&type_.delineation, &mut read);
        read.extend(type_.base_context.iter().filter_map(|base| base.identifier.as_ref()));
        read.into_iter().all(|name| *name == type_.class.primary_identifier || *name == type_.class.naming_attribute)
    })
}

fn attributes<'f>(filter: &'f BoundFilter, into: &mut Vec<&'f Arc<str>>) {
    match filter {
        BoundFilter::All | BoundFilter::None => {}
        BoundFilter::And(parts) | BoundFilter::Or(parts) => parts.iter().for_each(|part| attributes(part, into)),
        BoundFilter::Not(part) => attributes(part, into),
        BoundFilter::Attribute { name, .. } => into.push(name),
    }
}
