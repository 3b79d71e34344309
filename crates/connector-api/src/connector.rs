//! The trait every connector implements.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::StreamExt;
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::{MatchingRule, ResourceObject, Schema};
use tidelock_model::value::Value;

use crate::{About, AsyncUpdates, Error, ErrorKind, Finding, Found, LiveSync, ObjectStream, Provision, Result, SearchRequest};

/// A connection to a resource, opened from its configuration. Methods may be called concurrently.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Says which object classes and attributes the resource has.
    ///
    /// * There is at least one class; each has a primary identifier among its attributes.
    /// * Two calls on an unchanged resource agree.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] or [`ErrorKind::Config`] where the resource cannot say.
    async fn schema(&self) -> Result<Schema>;

    /// Streams the objects of a class.
    ///
    /// * Every object is of the class asked for and has the primary identifier.
    /// * An unreadable object is one error item of kind [`ErrorKind::InvalidData`], and the search goes on.
    /// * The last item is [`Found::End`] with the verdict; an error of another kind ends the stream without one.
    /// * An unknown class is [`ErrorKind::Unsupported`].
    /// * The objects of one search are all different on a resource that sees to that itself. Where it does not (two rows of a
    ///   file), an object may be repeated: the engine treats the repetition as a failed item.
    ///
    /// # Cancellation
    /// Dropping the stream ends the search.
    fn search(&self, request: SearchRequest) -> ObjectStream<'_>;

    /// Checks that the resource can be reached and used as configured. Provided: reads the schema.
    ///
    /// # Errors
    /// Whatever stands in the way.
    async fn test(&self) -> Result<()> {
        self.schema().await.map(drop)
    }

    /// Whether objects can be read at all, by a search or one by one. Provided: yes. A source that brings changes and nothing else,
    /// such as a queue, says no.
    ///
    /// * Where it says no, [`Connector::search`] and [`Connector::get_many`] are [`ErrorKind::Unsupported`] for every class.
    fn can_read(&self) -> bool {
        true
    }

    /// Reads the objects with these primary identifiers, in the order asked for; none for an object that does not exist.
    /// Provided: one search of the class, which ends early where everything was found.
    ///
    /// * An object that exists is given, as a search would give it; asked for twice, it is given twice.
    /// * `None` means that the resource has no such object: it is said only after a complete read.
    /// * An object that cannot be read, or of which it cannot be said whether it exists, is an error of its own.
    ///
    /// # Errors
    /// Whatever keeps the resource from being asked at all.
    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        let schema = self.schema().await?;
        let class = schema.class(class).ok_or_else(|| Error::unsupported(format!("there is no object class '{class}'")))?;
        let mut wanted: HashMap<Box<str>, Vec<usize>> = HashMap::with_capacity(identifiers.len());
        for (at, identifier) in identifiers.iter().enumerate() {
            wanted.entry(class.normalize_identifier(identifier).into()).or_default().push(at);
        }
        let mut found: Vec<Result<Option<ResourceObject>>> = identifiers.iter().map(|_| Ok(None)).collect();
        let filter = BoundFilter::Attribute {
            name: class.primary_identifier.clone(),
            rule: class.attribute(&class.primary_identifier).map_or(MatchingRule::Exact, |a| a.matching_rule),
            condition: Condition::AnyOf(wanted.keys().map(|identifier| Value::string(identifier.clone())).collect()),
        };
        let mut request = SearchRequest::new(class.name.clone());
        if self.supports(&class.name, &filter) {
            request = request.with_filter(filter);
        }
        let mut stream = self.search(request);
        let mut gaps = false;
        while !wanted.is_empty() {
            match stream.next().await {
                Some(Ok(Found::Object(object))) => {
                    for at in wanted.remove(&*class.normalize_identifier(&object.identifier)).unwrap_or_default() {
                        found[at] = Ok(Some(object.clone()));
                    }
                }
                Some(Ok(Found::End(verdict))) if verdict.is_complete() && !gaps => return Ok(found),
                Some(Err(error)) if error.kind() == ErrorKind::InvalidData => match error.what() {
                    About::Anything => gaps = true,
                    About::Object(identifier) => {
                        for at in wanted.remove(&*class.normalize_identifier(identifier)).unwrap_or_default() {
                            found[at] = Err(Error::invalid_data(error.full_message()).about(error.what().clone()));
                        }
                    }
                    About::NoObject => {}
                },
                Some(Err(error)) => return Err(error),
                Some(Ok(Found::End(_))) | None => break,
            }
        }
        for at in wanted.into_values().flatten() {
            let message = "it cannot be said that the object is missing: the read had gaps";
            found[at] = Err(Error::new(ErrorKind::OutcomeUnknown, message));
        }
        Ok(found)
    }

    /// Whether a search honours this filter completely. Provided: only the filter that lets everything through.
    ///
    /// Where it says no, the engine hands over what is supported and checks the rest itself.
    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        let _ = class;
        *filter == BoundFilter::All
    }

    /// How the resource itself would be asked, for people; none where there is nothing to show.
    fn native_query(&self, request: &SearchRequest) -> Option<String> {
        let _ = request;
        None
    }

    /// How many objects a search would give, where that is known cheaply; an estimate is good enough.
    ///
    /// # Errors
    /// Whatever stands in the way; the engine then goes without.
    async fn count(&self, request: &SearchRequest) -> Result<Option<u64>> {
        let _ = request;
        Ok(None)
    }

    /// The ability to say what changed since a token, if the resource has it.
    fn live_sync(&self) -> Option<&dyn LiveSync> {
        None
    }

    /// The ability to push changes, if the resource has it.
    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        None
    }

    /// The ability to change objects, if the resource has it.
    fn provision(&self) -> Option<&dyn Provision> {
        None
    }

    /// What the resource can do for us: measured now, not assumed. For people who set a resource up. Provided: nothing to tell.
    ///
    /// # Errors
    /// Whatever keeps the resource from being asked at all; what cannot be found out of it is a finding.
    async fn capabilities(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}
