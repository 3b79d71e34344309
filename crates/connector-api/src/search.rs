//! Searching a resource: requests, the stream of what is found, and the verdict on whether that was all.

use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::ResourceObject;

use crate::{Error, Result};

/// What to search for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SearchRequest {
    /// The object class, as the schema names it. No inheritance: only objects whose own class this is.
    pub class: Arc<str>,
    /// What objects must meet, as far as the connector said it can filter (see [`crate::Connector::supports`]). The engine
    /// checks whatever it did not hand over, so a connector that supports no filter ignores this.
    pub filter: BoundFilter,
    /// The part of the resource's tree in which objects are wanted. The engine checks that as well, so a connector that knows
    /// no tree ignores this.
    pub container: Option<Container>,
}

/// A part of a resource's tree: what is below an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The object's name, as its naming attribute has it.
    pub name: Box<str>,
    /// How far below it.
    pub scope: ContainerScope,
}

/// How far below an object a part of a tree reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerScope {
    /// To the object itself and everything below.
    Sub,
    /// To what is directly below.
    One,
}

/// What a search yields: the objects found, errors of single objects, and as its last item the verdict.
///
/// A stream that ends without [`Found::End`] counts as incomplete.
pub type ObjectStream<'a> = BoxStream<'a, Result<Found>>;

/// One item of a search.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// An object.
    Object(ResourceObject),
    /// The end: was that all? Nothing comes after it.
    End(Completeness),
}

/// Whether a search gave every object that it should have. Absence is believed only after a complete one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every matching object was given, or stood for by an error item.
    Complete,
    /// Some objects may be missing.
    Incomplete {
        /// What kind of gap it is.
        reason: IncompleteReason,
        /// What happened, in a sentence.
        message: String,
    },
}

/// Why a search may have missed objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncompleteReason {
    /// The source ended before its end: a cut connection, a truncated file.
    Truncated,
    /// The source changed while it was read.
    Changed,
    /// A limit on size or time was reached.
    Limit,
    /// A part of the data is elsewhere and was not read.
    Referral,
    /// The source has no object at all. Believed where no object was known before.
    Empty,
}

impl SearchRequest {
    /// All objects of a class.
    pub fn new(class: impl Into<Arc<str>>) -> Self {
        Self { class: class.into(), filter: BoundFilter::All, container: None }
    }

    /// Only the objects that meet a condition.
    #[must_use]
    pub fn with_filter(mut self, filter: BoundFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Only the objects in a part of the resource's tree.
    #[must_use]
    pub fn with_container(mut self, container: Container) -> Self {
        self.container = Some(container);
        self
    }
}

impl Completeness {
    /// An incomplete search.
    pub fn incomplete(reason: IncompleteReason, message: impl Into<String>) -> Self {
        Self::Incomplete { reason, message: message.into() }
    }

    /// Whether it was all.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

impl fmt::Display for IncompleteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated",
            Self::Changed => "changed",
            Self::Limit => "limit",
            Self::Referral => "referral",
            Self::Empty => "empty",
        })
    }
}

/// The stream of a search that has everything in hand: its objects, then [`Completeness::Complete`].
///
/// A resource that could not be read at all is one error in place of the objects; the search is then *not* complete.
pub fn stream_of<'a, I>(objects: Result<I>) -> ObjectStream<'a>
where
    I: IntoIterator<Item = Result<ResourceObject>>,
    I::IntoIter: Send + 'a,
{
    match objects {
        Ok(objects) => stream::iter(objects)
            .map(|object| object.map(Found::Object))
            .chain(stream::iter([Ok(Found::End(Completeness::Complete))]))
            .boxed(),
        Err(error) => failed(error),
    }
}

fn failed<'a>(error: Error) -> ObjectStream<'a> {
    stream::iter([Err(error)]).boxed()
}
