//! Reading a resource in chunks, ahead of whoever processes them, and checking what it gives.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tidelock_connector_api::{
    About, Completeness, Connector, Error, ErrorKind, Found, IncompleteReason, Modification, SearchRequest,
};
use tidelock_model::Value;
use tidelock_model::object::{AttributeDefinition, Exclusion, ObjectClass, ResourceObject, ValueType};
use tidelock_repo::Fingerprint;
use tokio::sync::mpsc;

use crate::ahead::Snapshot;
use crate::changes::Subject;
use crate::error::Category;
use crate::part::Part;

/// How long an object waits for its chunk to fill.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many chunks are read ahead.
const READ_AHEAD: usize = 2;

/// What the reader sends.
pub(crate) enum Read {
    /// Some items, in the order of the resource.
    Chunk(Vec<Item>),
    /// The end, with the verdict; or the error that ended the search. Nothing comes after it.
    End(Result<Completeness, Error>),
}

/// What stands for one object of the resource.
#[derive(Clone)]
pub(crate) enum Item {
    /// An object that keeps to its schema.
    Object(FoundObject),
    /// An object that could not be read, or breaks its schema.
    Failed(FailedItem),
    /// An object that is gone: the resource says so itself.
    Gone(GoneObject),
    /// Something that is none of this activity's business.
    PassedOver(Exclusion),
    /// A change of an object that an item before it in the chunk is about: what it makes of the object shows once that one is decided.
    Again(Subject, Vec<Modification>),
}

/// An object that is gone.
#[derive(Clone)]
pub(crate) struct GoneObject {
    pub(crate) class: Arc<str>,
    /// The normalized primary identifier.
    pub(crate) identifier: Box<str>,
}

/// An object ready to be looked up.
#[derive(Clone)]
pub(crate) struct FoundObject {
    pub(crate) object: ResourceObject,
    /// The normalized primary identifier.
    pub(crate) identifier: Box<str>,
    pub(crate) fingerprint: Fingerprint,
    /// The change that it was made from, with what is stored. It has to be made anew where that may be another thing by now.
    pub(crate) made_from: Option<Box<MadeFrom>>,
}

/// A change, and what was stored of its object when it was applied to that.
#[derive(Clone)]
pub(crate) struct MadeFrom {
    pub(crate) subject: Subject,
    pub(crate) modifications: Vec<Modification>,
    pub(crate) snapshot: Box<Snapshot>,
}

/// Why an object cannot be processed.
#[derive(Clone)]
pub(crate) struct FailedItem {
    pub(crate) object: String,
    pub(crate) category: Category,
    pub(crate) message: String,
    /// Its class and normalized identifier, where they are known.
    pub(crate) identity: Option<(Arc<str>, Box<str>)>,
}

impl Item {
    /// The class and the normalized identifier of the object, where they are known.
    pub(crate) fn identity(&self) -> Option<(&Arc<str>, &str)> {
        match self {
            Self::Object(found) => Some((&found.object.class, &found.identifier)),
            Self::Failed(failed) => failed.identity.as_ref().map(|(class, identifier)| (class, &**identifier)),
            Self::Gone(gone) => Some((&gone.class, &gone.identifier)),
            Self::Again(subject, _) => Some(subject.identity()),
            Self::PassedOver(_) => None,
        }
    }

    /// Whether all that is stored of its object, and needed, is here.
    pub(crate) fn needs_nothing_read(&self) -> bool {
        match self {
            Self::Object(found) => found.made_from.is_some(),
            Self::Again(..) | Self::PassedOver(_) => true,
            Self::Failed(_) | Self::Gone(_) => false,
        }
    }
}

impl FoundObject {
    /// What people call the object.
    pub(crate) fn display(&self) -> String {
        display(&self.object)
    }
}

/// What people call an object: its identifier, and where it was found.
pub(crate) fn display(object: &ResourceObject) -> String {
    match &object.origin {
        Some(origin) => format!("{} ({origin})", object.identifier),
        None => object.identifier.to_string(),
    }
}

/// Starts to read a search. Dropping the receiver ends it.
pub(crate) fn start(part: &Arc<Part>, request: SearchRequest) -> mpsc::Receiver<Read> {
    let (send, receive) = mpsc::channel(READ_AHEAD);
    let part = Arc::clone(part);
    tokio::spawn(async move { read(&part, request, send).await });
    receive
}

async fn read(part: &Arc<Part>, request: SearchRequest, send: mpsc::Sender<Read>) {
    let connector: &dyn Connector = &*part.connector;
    // Checking is the part of the work that needs nobody else, so several chunks can be checked at once; they are sent in order.
    let chunks = tokio_stream::StreamExt::chunks_timeout(connector.search(request), part.chunk, PATIENCE).map(|found| {
        let part = Arc::clone(part);
        async move { tokio::spawn(async move { take(&part, found) }).await }
    });
    let mut chunks = std::pin::pin!(chunks.buffered(part.workers.max(1)));
    while let Some(taken) = chunks.next().await {
        let (items, end) = taken.unwrap_or_else(|panic| {
            (Vec::new(), Some(Err(Error::new(ErrorKind::Unexpected, "checking objects failed").with_source(panic))))
        });
        if !items.is_empty() && send.send(Read::Chunk(items)).await.is_err() {
            return;
        }
        if let Some(end) = end {
            // Nobody listening is nobody's loss.
            let _ = send.send(Read::End(end)).await;
            return;
        }
    }
    let verdict =
        Completeness::incomplete(IncompleteReason::Truncated, "the search broke off without saying whether that was all");
    let _ = send.send(Read::End(Ok(verdict))).await;
}

/// Takes in what the connector gave: up to the end of the search, if it is among it.
fn take(part: &Part, found: Vec<Result<Found, Error>>) -> (Vec<Item>, Option<Result<Completeness, Error>>) {
    let mut items = Vec::with_capacity(found.len());
    for item in found {
        match item {
            Ok(Found::Object(object)) => {
                if part.is_meant(&object) {
                    items.push(admit(part, object));
                }
            }
            Ok(Found::End(verdict)) => return (items, Some(Ok(verdict))),
            Err(error) if error.kind() == ErrorKind::InvalidData => items.push(Item::Failed(FailedItem {
                object: unreadable(&error),
                category: error.kind().into(),
                message: error.full_message(),
                identity: identity(part, &error),
            })),
            Err(error) => return (items, Some(Err(error))),
        }
    }
    (items, None)
}

/// What an unreadable object is called: by its identifier, or by the place with which connectors begin the message.
pub(crate) fn unreadable(error: &Error) -> String {
    match (error.what(), error.to_string().split_once(": ")) {
        (About::Object(identifier), Some((place, _))) => format!("{identifier} ({place})"),
        (About::Object(identifier), None) => identifier.to_string(),
        (_, Some((place, _))) => place.to_owned(),
        (_, None) => "an unreadable object".to_owned(),
    }
}

/// Which object an error is about.
pub(crate) fn identity(part: &Part, error: &Error) -> Option<(Arc<str>, Box<str>)> {
    match (error.what(), &part.set.class) {
        (About::Object(identifier), Some(class)) => {
            Some((Arc::clone(&class.name), class.normalize_identifier(identifier).into()))
        }
        _ => None,
    }
}

/// Checks an object against its schema.
pub(crate) fn admit(part: &Part, object: ResourceObject) -> Item {
    match check(part, &object) {
        Ok(class) => {
            let identifier = class.normalize_identifier(&object.identifier).into();
            let fingerprint = tidelock_resolver::fingerprint::fingerprint(&object, &part.salt);
            Item::Object(FoundObject { object, identifier, fingerprint, made_from: None })
        }
        Err(message) => {
            let class = part.policy.schema.class(&object.class).filter(|_| !object.identifier.is_empty());
            let identity = class.map(|class| (Arc::clone(&class.name), class.normalize_identifier(&object.identifier).into()));
            Item::Failed(FailedItem { object: display(&object), category: Category::Schema, message, identity })
        }
    }
}

fn check<'a>(part: &'a Part, object: &ResourceObject) -> Result<&'a ObjectClass, String> {
    let class =
        part.policy.schema.class(&object.class).ok_or("the resource gave an object of a class that its schema does not have")?;
    if object.identifier.is_empty() {
        return Err("the object has no primary identifier".into());
    }
    let mut guess = 0;
    for (name, values) in object.attributes.iter() {
        // Connectors give attributes in the order of the schema, so the next one is mostly the one after the last.
        let attribute = match class.attributes[guess..].first() {
            Some(next) if Arc::ptr_eq(&next.name, name) || next.name == *name => next,
            _ => {
                // Where some are left out, the next one given is further on, as a rule.
                let (before, after) = class.attributes.split_at(guess.min(class.attributes.len()));
                let at = |attributes: &[AttributeDefinition]| attributes.iter().position(|attribute| attribute.name == *name);
                let known = at(after).map(|further| guess + further).or_else(|| at(before));
                guess = known.ok_or_else(|| format!("the resource gave an attribute '{name}' that its schema does not have"))?;
                &class.attributes[guess]
            }
        };
        guess += 1;
        if values.len() > 1 && !attribute.multi_valued {
            return Err(format!("the attribute '{name}' has several values, though its schema allows one"));
        }
        if !values.iter().all(|value| is_of(value, attribute)) {
            return Err(format!("the attribute '{name}' has a value of another type than its schema says"));
        }
    }
    Ok(class)
}

fn is_of(value: &Value, attribute: &AttributeDefinition) -> bool {
    matches!(
        (attribute.value_type, value),
        (ValueType::String, Value::String(_))
            | (ValueType::Integer, Value::Integer(_))
            | (ValueType::Float, Value::Float(_))
            | (ValueType::Boolean, Value::Boolean(_))
            | (ValueType::DateTime, Value::DateTime(_))
            | (ValueType::Binary, Value::Binary(_))
    )
}
