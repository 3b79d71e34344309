//! Clauses on reading single objects.

use super::reading::{UNKNOWN, classes, is_kind, list, objects};
use super::{Fixture, Outcome, Violation, ensure};
use crate::{About, ErrorKind, SearchRequest};

/// A connector that says objects cannot be read answers no question for any; one that says nothing of the kind answers.
pub(super) async fn what_is_said_of_reading_is_true(fixture: &Fixture) -> Outcome {
    let reads = fixture.connector().can_read();
    for class in classes(fixture).await? {
        let searched = list(fixture, SearchRequest::new(class.name.clone())).await?.error;
        let got = fixture.connector().get_many(&class.name, &[UNKNOWN]).await.err();
        for (error, what) in [(searched, "searched"), (got, "got")] {
            let is_read = error.is_none_or(|error| error.kind() != ErrorKind::Unsupported);
            ensure!(is_read == reads, "objects of '{}' can be read: {reads}; can be {what}: {is_read}", class.name);
        }
    }
    Ok(())
}

/// An object that exists is given, as a search would give it; asked for twice, it is given twice.
pub(super) async fn get_gives_each_object_in_the_order_asked_for(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let objects = objects(fixture, &class).await?;
        let (first, last) = (&objects[0], &objects[objects.len() - 1]);
        let asked = [last, first, last];
        let identifiers = asked.map(|object| &*object.identifier);
        let found = fixture.connector().get_many(&class.name, &identifiers).await?;
        ensure!(found.len() == asked.len(), "{} answers to {} identifiers of '{}'", found.len(), asked.len(), class.name);
        for (asked, found) in asked.iter().zip(found) {
            let Some(found) = found? else {
                return Err(Violation::from(format!("an object of '{}' that a search gives cannot be got", class.name)));
            };
            let same = found.class == asked.class && found.identifier == asked.identifier && found.attributes == asked.attributes;
            ensure!(same, "an object of '{}' is another one when it is got than when it is searched for", class.name);
        }
    }
    Ok(())
}

/// `None` says that there is no such object; an unknown outcome, that it may be one of those that cannot be read.
pub(super) async fn get_of_a_missing_object_is_none(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let found = fixture.connector().get_many(&class.name, &[UNKNOWN]).await?;
        ensure!(found.len() == 1, "{} answers to one identifier of '{}'", found.len(), class.name);
        for found in found {
            match found {
                Ok(found) => ensure!(found.is_none(), "an object of '{}' that does not exist is given", class.name),
                Err(error) if error.kind() == ErrorKind::OutcomeUnknown && fixture.unreadable() > 0 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// An object that is there and cannot be read is an error, not missing; the others asked for with it are given.
pub(super) async fn get_of_an_unreadable_object_is_an_error_of_its_own(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let listing = list(fixture, SearchRequest::new(class.name.clone())).await?;
        let Some(readable) = listing.objects.first() else { continue };
        let unreadable = listing.errors.iter().filter_map(|error| match error.what() {
            About::Object(identifier) => Some(&**identifier),
            About::Anything | About::NoObject => None,
        });
        for identifier in unreadable {
            let found = fixture.connector().get_many(&class.name, &[identifier, &readable.identifier]).await?;
            let [unreadable, readable] = found.as_slice() else {
                return Err(Violation::from(format!("{} answers to two identifiers of '{}'", found.len(), class.name)));
            };
            ensure!(unreadable.is_err(), "an object of '{}' that cannot be read is said to be missing, or given", class.name);
            ensure!(matches!(readable, Ok(Some(_))), "an unreadable object of '{}' keeps another one from being got", class.name);
        }
    }
    Ok(())
}

/// An unknown class is `Unsupported`.
pub(super) async fn get_in_an_unknown_class_is_unsupported(fixture: &Fixture) -> Outcome {
    let found = fixture.connector().get_many(UNKNOWN, &["x"]).await;
    is_kind(found, ErrorKind::Unsupported, "reading an object of an unknown class")
}

/// Asking for nothing gives nothing.
pub(super) async fn get_of_nothing_is_nothing(fixture: &Fixture) -> Outcome {
    for class in classes(fixture).await? {
        let found = fixture.connector().get_many(&class.name, &[]).await?;
        ensure!(found.is_empty(), "an object of '{}' is given that nobody asked for", class.name);
    }
    Ok(())
}
