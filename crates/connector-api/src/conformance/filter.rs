//! Clauses on filters.

use std::sync::Arc;

use tidelock_model::filter::{BoundFilter, Comparison, Condition};
use tidelock_model::object::{ObjectClass, ResourceObject};
use tidelock_model::value::Value;

use super::reading::{UNKNOWN, classes, list, objects};
use super::{Fixture, Outcome, ensure};
use crate::{Completeness, ErrorKind, SearchRequest};

/// The filter that lets everything through needs no ability.
pub(super) async fn the_filter_that_lets_everything_through_is_supported(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        ensure!(
            fixture.connector().supports(&class.name, &BoundFilter::All),
            "everything of '{}' cannot be asked for",
            class.name
        );
    }
    Ok(())
}

/// A search with a supported filter gives exactly the objects that meet it.
pub(super) async fn a_supported_filter_is_honoured(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let objects = objects(fixture, &class).await?;
        for filter in filters(&class, &objects) {
            if !fixture.connector().supports(&class.name, &filter) {
                continue;
            }
            let listing = list(fixture, SearchRequest::new(class.name.clone()).with_filter(filter.clone())).await?;
            if let Some(error) = listing.error {
                return Err(error.into());
            }
            ensure!(listing.verdict == Some(Completeness::Complete), "a search with {filter:?} is not complete");
            let expected: Vec<_> = objects.iter().filter(|object| filter.matches(&object.attributes)).collect();
            let same = |a: &ResourceObject, b: &ResourceObject| a.identifier == b.identifier && a.attributes == b.attributes;
            let all = expected.iter().all(|object| listing.objects.iter().any(|found| same(found, object)));
            ensure!(
                all && listing.objects.len() == expected.len(),
                "a search of '{}' with {filter:?} gives {} objects, where {} of {} meet it",
                class.name,
                listing.objects.len(),
                expected.len(),
                objects.len()
            );
        }
    }
    Ok(())
}

/// An attribute that the class lacks has no value: a condition on it finds nothing, or is `Unsupported`.
pub(super) async fn a_filter_on_an_unknown_attribute_finds_nothing(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let filter = BoundFilter::Attribute {
            name: UNKNOWN.into(),
            rule: Default::default(),
            condition: Condition::AnyOf(vec!["x".into()]),
        };
        if !fixture.connector().supports(&class.name, &filter) {
            continue;
        }
        let listing = list(fixture, SearchRequest::new(class.name.clone()).with_filter(filter)).await?;
        ensure!(listing.objects.is_empty(), "objects of '{}' have a value of an attribute that does not exist", class.name);
        match listing.error {
            Some(error) if error.kind() != ErrorKind::Unsupported => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Filters that tell the objects apart.
fn filters(class: &ObjectClass, objects: &[ResourceObject]) -> Vec<BoundFilter> {
    let mut filters = vec![BoundFilter::None];
    for attribute in &class.attributes {
        let mut values = objects.iter().flat_map(|object| object.attributes.get(&attribute.name));
        let (first, last) = (values.next(), values.next_back());
        let on =
            |condition| BoundFilter::Attribute { name: Arc::clone(&attribute.name), rule: attribute.matching_rule, condition };
        let normal = |value: &Value| match value {
            Value::String(text) => Value::string(&*attribute.matching_rule.normalize(text)),
            other => other.clone(),
        };
        filters.push(on(Condition::Present));
        filters.push(BoundFilter::Not(Box::new(on(Condition::Present))));
        let Some(first) = first.map(normal) else { continue };
        let last = last.map_or_else(|| first.clone(), normal);
        filters.push(on(Condition::AnyOf(vec![first.clone()])));
        filters.push(on(Condition::AnyOf(vec![first.clone(), last.clone()])));
        filters.push(BoundFilter::Not(Box::new(on(Condition::AnyOf(vec![first.clone()])))));
        let both = vec![on(Condition::AnyOf(vec![first.clone()])), on(Condition::AnyOf(vec![last.clone()]))];
        filters.push(BoundFilter::And(both.clone()));
        filters.push(BoundFilter::Or(both));
        for comparison in [Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual] {
            filters.push(on(Condition::Compare(comparison, last.clone())));
        }
        if let Value::String(text) = &first {
            let start: Box<str> = text.chars().take(2).collect::<String>().into();
            let end: Box<str> = text.char_indices().rev().nth(1).map_or(&**text, |(at, _)| &text[at..]).into();
            filters.push(on(Condition::Substring { text: start, at_start: true, at_end: false }));
            filters.push(on(Condition::Substring { text: end.clone(), at_start: false, at_end: true }));
            filters.push(on(Condition::Substring { text: end, at_start: false, at_end: false }));
        }
    }
    filters
}
