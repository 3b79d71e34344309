//! Clauses on searches.

use std::collections::HashSet;

use super::reading::{UNKNOWN, attributes_fit, classes, first_class, fits, is_kind, list, next, objects};
use super::{Fixture, Outcome, ensure};
use crate::{ErrorKind, SearchRequest};

/// There are objects to look at.
pub(super) async fn every_class_has_objects(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        objects(fixture, &class).await?;
    }
    Ok(())
}

/// Every object is of the class asked for and has the primary identifier.
pub(super) async fn every_object_is_of_its_class_and_has_its_identifier(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        for object in objects(fixture, &class).await? {
            fits(&class, &object)?;
        }
    }
    Ok(())
}

/// Every object has attributes of its class only, with values of their types, and those that are required.
pub(super) async fn every_object_fits_the_schema(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        for object in objects(fixture, &class).await? {
            attributes_fit(&class, &object.attributes)?;
        }
    }
    Ok(())
}

/// The objects of one search are all different, on a resource without repetitions such as the fixture's.
pub(super) async fn no_object_comes_twice(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let mut seen = HashSet::new();
        for object in objects(fixture, &class).await? {
            let identifier = class.normalize_identifier(&object.identifier).into_owned();
            ensure!(seen.insert(identifier), "an object of '{}' comes twice", class.name);
        }
    }
    Ok(())
}

/// The last item is the verdict, and there is one only.
pub(super) async fn a_search_ends_with_one_verdict(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let listing = list(fixture, SearchRequest::new(class.name.clone())).await?;
        ensure!(listing.verdict.is_some(), "the search of '{}' ends without a verdict", class.name);
        ensure!(listing.after_end == 0, "something comes after the end of the search of '{}'", class.name);
    }
    Ok(())
}

/// An unreadable object is one error item of kind `InvalidData`, and the search goes on to be complete.
pub(super) async fn an_unreadable_object_is_one_error_and_the_search_goes_on(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let listing = list(fixture, SearchRequest::new(class.name.clone())).await?;
        let (found, declared) = (listing.errors.len(), fixture.unreadable());
        ensure!(found == declared, "{found} objects of '{}' cannot be read, where the fixture has {declared}", class.name);
        if let Some(error) = listing.error {
            return Err(error.into());
        }
        ensure!(listing.verdict.is_some_and(|verdict| verdict.is_complete()), "the search of '{}' is not complete", class.name);
    }
    Ok(())
}

/// An unknown class is `Unsupported`, and nothing else comes.
pub(super) async fn a_search_of_an_unknown_class_is_unsupported(fixture: &Fixture) -> Outcome {
    let listing = list(fixture, SearchRequest::new(UNKNOWN)).await?;
    ensure!(listing.objects.is_empty(), "an unknown class has objects");
    ensure!(listing.verdict.is_none() && listing.after_end == 0, "the search of an unknown class goes on after its error");
    is_kind(listing.error.map_or(Ok(()), Err), ErrorKind::Unsupported, "the search of an unknown class")
}

/// Methods may be called concurrently: two searches, read in turns, give what one alone gives.
pub(super) async fn searches_at_the_same_time_do_not_disturb_each_other(fixture: &Fixture) -> Outcome {
    let class = first_class(fixture).await?;
    let alone = identifiers(objects(fixture, &class).await?);
    let mut streams = [0, 1].map(|_| fixture.connector().search(SearchRequest::new(class.name.clone())));
    let mut found = [Vec::new(), Vec::new()];
    let mut open = true;
    while open {
        open = false;
        for (stream, found) in streams.iter_mut().zip(&mut found) {
            if let Some(item) = next(stream).await? {
                open = true;
                if let Ok(crate::Found::Object(object)) = item {
                    found.push(object);
                }
            }
        }
    }
    for found in found {
        ensure!(identifiers(found) == alone, "two searches at the same time give other objects than one alone");
    }
    Ok(())
}

/// Dropping the stream ends the search, and nothing but the search.
pub(super) async fn a_dropped_search_leaves_the_resource_usable(fixture: &Fixture) -> Outcome {
    let class = first_class(fixture).await?;
    let before = identifiers(objects(fixture, &class).await?);
    drop(fixture.connector().search(SearchRequest::new(class.name.clone())));
    let mut stream = fixture.connector().search(SearchRequest::new(class.name.clone()));
    next(&mut stream).await?;
    drop(stream);
    let after = identifiers(objects(fixture, &class).await?);
    ensure!(before == after, "after a search was dropped, another one gives other objects");
    Ok(())
}

/// An estimate is good enough: between half and twice of what there is.
pub(super) async fn a_count_is_near_the_truth(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let request = SearchRequest::new(class.name.clone());
        let Some(count) = fixture.connector().count(&request).await? else { continue };
        let objects = (objects(fixture, &class).await?.len() + fixture.unreadable()) as u64;
        let near = (objects / 2..=objects.saturating_mul(2)).contains(&count);
        ensure!(near, "there are {objects} objects of '{}', where the count is {count}", class.name);
    }
    Ok(())
}

fn identifiers(objects: Vec<tidelock_model::object::ResourceObject>) -> Vec<Box<str>> {
    let mut identifiers: Vec<_> = objects.into_iter().map(|object| object.identifier).collect();
    identifiers.sort();
    identifiers
}
