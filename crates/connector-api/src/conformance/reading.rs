//! Reading streams to their end, with patience that has one.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tidelock_model::object::{ObjectClass, ResourceObject, ValueType};
use tidelock_model::value::{Items, Value};

use super::{Fixture, Outcome, Violation, ensure};
use crate::{Completeness, Error, ErrorKind, Found, Result as ConnectorResult, SearchRequest};

/// How long the suite waits for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A name that no resource has.
pub(super) const UNKNOWN: &str = "no-such-name-7f3a";

/// What a search gave.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<ResourceObject>,
    /// The errors of single objects.
    pub(super) errors: Vec<Error>,
    /// The verdict.
    pub(super) verdict: Option<Completeness>,
    /// The error that ended the stream, if one did.
    pub(super) error: Option<Error>,
    /// How many items came after the verdict, or after the error.
    pub(super) after_end: usize,
}

/// The next item of a stream, if it comes in time.
pub(super) async fn next<T>(stream: &mut BoxStream<'_, T>) -> Result<Option<T>, Violation> {
    let waiting = tokio::time::timeout(PATIENCE, stream.next()).await;
    waiting.map_err(|_| Violation::from(format!("the stream gave nothing for {} seconds", PATIENCE.as_secs())))
}

/// A search, read to the end of its stream.
pub(super) async fn list(fixture: &Fixture, request: SearchRequest) -> Result<Listing, Violation> {
    let mut stream = fixture.connector().search(request);
    let mut listing = Listing::default();
    while let Some(item) = next(&mut stream).await? {
        if listing.verdict.is_some() || listing.error.is_some() {
            listing.after_end += 1;
        }
        match item {
            Ok(Found::Object(object)) => listing.objects.push(object),
            Ok(Found::End(verdict)) => listing.verdict = Some(verdict),
            Err(error) if error.kind() == ErrorKind::InvalidData => listing.errors.push(error),
            Err(error) => listing.error = Some(error),
        }
    }
    Ok(listing)
}

/// The objects of a class, of a search that must be complete.
pub(super) async fn objects(fixture: &Fixture, class: &ObjectClass) -> Result<Vec<ResourceObject>, Violation> {
    let listing = list(fixture, SearchRequest::new(class.name.clone())).await?;
    if let Some(error) = listing.error {
        return Err(error.into());
    }
    ensure!(
        listing.verdict == Some(Completeness::Complete),
        "the search of '{}' is not complete: {:?}",
        class.name,
        listing.verdict
    );
    ensure!(listing.objects.len() >= 2, "the fixture has fewer than two objects of class '{}' to look at", class.name);
    Ok(listing.objects)
}

/// The classes that have objects of their own.
pub(super) async fn classes(fixture: &Fixture) -> Result<Vec<Arc<ObjectClass>>, Violation> {
    let mut classes = fixture.connector().schema().await?.classes;
    classes.retain(|class| !class.auxiliary);
    ensure!(!classes.is_empty(), "the schema has no class");
    Ok(classes)
}

/// The first class that has objects of its own.
pub(super) async fn first_class(fixture: &Fixture) -> Result<Arc<ObjectClass>, Violation> {
    Ok(classes(fixture).await?.swap_remove(0))
}

/// Holds an object against its class.
pub(super) fn fits(class: &ObjectClass, object: &ResourceObject) -> Outcome {
    let name = &class.name;
    ensure!(object.class == *name, "an object of '{}' is said to be of '{name}'", object.class);
    ensure!(!object.identifier.is_empty(), "an object of '{name}' has an empty identifier");
    let primary = object.attributes.get(&class.primary_identifier);
    let identifier = class.normalize_identifier(&object.identifier);
    ensure!(
        primary.len() == 1 && primary[0].to_text().is_some_and(|value| class.normalize_identifier(&value) == identifier),
        "an object's identifier is not the value of its attribute '{}'",
        class.primary_identifier
    );
    Ok(())
}

/// Holds attributes against their class.
pub(super) fn attributes_fit(class: &ObjectClass, attributes: &Items) -> Outcome {
    for (name, values) in attributes.iter() {
        let Some(attribute) = class.attribute(name) else {
            return Err(Violation::from(format!("an object has an attribute '{name}', which '{}' lacks", class.name)));
        };
        ensure!(!values.is_empty(), "the attribute '{name}' is there without a value");
        ensure!(values.len() == 1 || attribute.multi_valued, "'{name}' has several values, and is not multi-valued");
        let typed = values.iter().all(|value| is_of(value, attribute.value_type));
        ensure!(typed, "a value of '{name}' is not of its type, {:?}", attribute.value_type);
    }
    for attribute in &class.attributes {
        let missing = attribute.required && attributes.get(&attribute.name).is_empty();
        ensure!(!missing, "an object lacks the required attribute '{}'", attribute.name);
    }
    Ok(())
}

/// Holds an error against the kind it must be of.
pub(super) fn is_kind<T>(result: ConnectorResult<T>, kind: ErrorKind, what: &str) -> Outcome {
    match result {
        Ok(_) => Err(Violation::from(format!("{what} succeeds"))),
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Violation::from(format!("{what} is {:?}, not {kind:?}: {error}", error.kind()))),
    }
}

fn is_of(value: &Value, value_type: ValueType) -> bool {
    matches!(
        (value, value_type),
        (Value::String(_), ValueType::String)
            | (Value::Integer(_), ValueType::Integer)
            | (Value::Float(_), ValueType::Float)
            | (Value::Boolean(_), ValueType::Boolean)
            | (Value::DateTime(_), ValueType::DateTime)
            | (Value::Binary(_), ValueType::Binary)
    )
}
