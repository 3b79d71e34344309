//! The one path that every object goes through: what is known of it, what it is, whose it is, what is done about it.
//!
//! A chunk is decided object by object, in order, each seeing what the ones before it did; its reads and its writes are
//! for the chunk as a whole. Where an object would need a read that was not made, the chunk is cut before it.

mod correlation;
mod found;
mod gone;
mod overlay;
mod reaction;
mod writer;

pub(crate) use gone::not_gone;

use tidelock_model::object::Situation;
use tidelock_repo::{Batch, IndexedItem, StoredShadow};

use crate::error::Category;
use crate::part::Part;
use crate::source::Item;
use crate::statistics::Statistics;

/// Objects to be synchronized.
pub(crate) enum Work {
    /// Objects that a search found.
    Found(Vec<Item>),
    /// Shadows whose objects are gone, as the resource itself has said.
    Gone(Vec<StoredShadow>),
}

/// What is to be committed for some objects of a chunk.
pub(crate) struct Decided {
    /// What to write.
    pub(crate) batch: Batch,
    /// What became of the objects, once it is written.
    pub(crate) statistics: Statistics,
    /// How many objects, from the first, this is for. Never none of some.
    pub(crate) taken: usize,
}

/// Why an object failed.
#[derive(Clone, Debug)]
pub(crate) struct ItemError {
    pub(crate) category: Category,
    pub(crate) message: String,
}

/// An object cannot be decided before the ones in front of it are committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl ItemError {
    pub(crate) fn new(category: Category, message: impl Into<String>) -> Self {
        Self { category, message: message.into() }
    }
}

impl Work {
    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Found(items) => items.len(),
            Self::Gone(shadows) => shadows.len(),
        }
    }

    /// Decides about a range of the objects. `refused` is the reason why the repository would not take what was decided
    /// before, about a range of one object: nothing but the failure is then recorded.
    pub(crate) async fn decide(
        &self,
        part: &Part,
        indexed: &[IndexedItem],
        range: std::ops::Range<usize>,
        refused: Option<&ItemError>,
    ) -> Result<Decided, tidelock_repo::Error> {
        match self {
            Self::Found(items) => found::decide(part, indexed, &items[range], refused).await,
            Self::Gone(shadows) => gone::decide(part, indexed, &shadows[range], refused).await,
        }
    }

    /// What people call an object, and the situation that is known of it.
    pub(crate) fn describe(&self, at: usize) -> (String, Option<Situation>) {
        match self {
            Self::Found(items) => match &items[at] {
                Item::Object(found) => (found.display(), None),
                Item::Failed(failed) => (failed.object.clone(), None),
            },
            Self::Gone(shadows) => (shadows[at].shadow.identifier.to_string(), shadows[at].shadow.situation),
        }
    }
}
