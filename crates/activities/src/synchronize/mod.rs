//! The one path that every object goes through: what is known of it, what it is, whose it is, what is done about it.
//!
//! A chunk is decided object by object, in order, each seeing what the ones before it did; its reads and its writes are
//! for the chunk as a whole. Where an object would need a read that was not made, the chunk is cut before it.

mod correlation;
mod found;
mod missed;
mod overlay;
mod reaction;
mod writer;

use tidelock_model::object::Situation;
use tidelock_repo::{Batch, IndexedItem, StoredShadow};

use crate::error::Category;
use crate::error_handling::Tally;
use crate::part::Part;
use crate::run::End;
use crate::source::Item;
use crate::statistics::{Passage, Statistics};
use crate::synchronize::overlay::Overlay;
use crate::synchronize::writer::{Anchor, Writer};
use crate::triggers::Due;

/// Objects to be synchronized.
pub(crate) enum Work {
    /// Objects that were found, or are told to have changed or gone.
    Found(Vec<Item>),
    /// Shadows that were not met, with what the resource itself has said of their objects.
    Missed(Vec<Missed>),
    /// Objects that failed, and are tried again.
    Due(Due),
}

/// A shadow that was not met.
pub(crate) struct Missed {
    pub(crate) stored: StoredShadow,
    pub(crate) trace: Trace,
}

/// What there is of the object of a shadow.
pub(crate) enum Trace {
    /// Nothing: it is gone.
    Gone,
    /// All of it: it is there.
    There,
    /// It is there, and another shadow stands for it: its resource identifies it otherwise than it did.
    Double,
    /// It cannot be said.
    Unknown(ItemError),
    /// The shadow is not one of those that are meant.
    NotMeant,
}

/// What deciding depends on beside the objects.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The items that foci are found by.
    pub(crate) indexed: &'a [IndexedItem],
    /// Why the repository would not take what was decided before, about a single object: nothing but the failure is then
    /// recorded.
    pub(crate) refused: Option<&'a ItemError>,
    /// The failures so far, as far as they count.
    pub(crate) tally: &'a Tally,
    /// Whether what was read of the objects before may have been overtaken, so that all is to be read again.
    pub(crate) anew: bool,
}

/// What is to be committed for some objects of a chunk.
pub(crate) struct Decided {
    /// What to write.
    pub(crate) batch: Batch,
    /// What became of the objects, once it is written.
    pub(crate) statistics: Statistics,
    /// How many objects, from the first, this is for. Never none of some.
    pub(crate) taken: usize,
    /// The places of those among them that failed, in order.
    pub(crate) failed: Vec<usize>,
    /// The failures so far, those of these objects included.
    pub(crate) tally: Tally,
    /// The failure of the last of these objects, if that ends the part.
    pub(crate) stop: Option<Stop>,
}

/// A failure that ends a part.
pub(crate) struct Stop {
    pub(crate) end: End,
    pub(crate) error: ItemError,
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
            Self::Missed(shadows) => shadows.len(),
            Self::Due(due) => due.items.len(),
        }
    }

    /// Whether some objects, from this one on, were made from what is stored.
    pub(crate) fn depends_on_stored(&self, from: usize) -> bool {
        match self {
            Self::Found(items) => items[from..].iter().any(|item| match item {
                Item::Object(found) => found.made_from.is_some(),
                item => matches!(item, Item::Again(..)),
            }),
            _ => false,
        }
    }

    /// Whether all that is stored of the objects, and needed, is here.
    pub(crate) fn needs_nothing_read(&self) -> bool {
        matches!(self, Self::Found(items) if items.iter().all(Item::needs_nothing_read))
    }

    /// What was found, or is told of.
    pub(crate) fn into_found(self) -> Vec<Item> {
        match self {
            Self::Found(items) | Self::Due(Due { items, .. }) => items,
            Self::Missed(_) => Vec::new(),
        }
    }

    /// Decides about a range of the objects.
    pub(crate) async fn decide(
        &self,
        part: &Part,
        given: Circumstances<'_>,
        range: std::ops::Range<usize>,
    ) -> Result<Decided, tidelock_repo::Error> {
        match self {
            Self::Found(items) => found::decide(part, given, &items[range]).await,
            Self::Missed(shadows) => missed::decide(part, given, &shadows[range]).await,
            Self::Due(due) => {
                let mut decided = found::decide(part, given, &due.items[range.clone()]).await?;
                due.settle(part.engine.clock.now(), range.start, &mut decided);
                Ok(decided)
            }
        }
    }

    /// What people call an object, and the situation that is known of it.
    fn describe(&self, at: usize) -> (String, Option<Situation>) {
        match self {
            Self::Found(items) | Self::Due(Due { items, .. }) => match &items[at] {
                Item::Object(found) => (found.display(), None),
                Item::Failed(failed) => (failed.object.clone(), None),
                Item::Gone(gone) => (gone.identifier.to_string(), None),
                Item::Again(subject, _) => (subject.identity().1.to_owned(), None),
                Item::PassedOver(_) => ("an object".to_owned(), None),
            },
            Self::Missed(shadows) => {
                let shadow = &shadows[at].stored.shadow;
                (shadow.identifier.to_string(), shadow.situation)
            }
        }
    }
}

/// Nothing about an object can be stored but that it failed.
pub(crate) fn failed_alone(part: &Part, tally: &Tally, work: &Work, at: usize, error: &ItemError) -> Decided {
    let (object, before) = work.describe(at);
    let mut writer = Writer::new(part, Overlay::new(&[]), tally);
    writer.failure(object, Passage { before, ..Passage::default() }, error, Anchor::Nothing);
    let mut decided = writer.finish(1);
    if let Work::Due(due) = work {
        due.settle(part.engine.clock.now(), at, &mut decided);
    }
    decided
}
