//! What a failed object does to the rest of an activity.

use tidelock_model::definition::{self, ErrorCategory, ErrorHandlingEntry, OperationStatus};
use tidelock_model::{Diagnostic, Diagnostics, Place};

use crate::error::Category;

/// What an activity does about failures: the first entry that matches says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorHandling {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    place: Place,
    statuses: Vec<OperationStatus>,
    categories: Vec<ErrorCategory>,
    reaction: Reaction,
    stop_after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    Continue,
    Stop,
}

/// How often each entry has matched; in one run, and not longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(Vec<u64>);

/// What comes after a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The next object.
    Continue,
    /// Nothing; said at this place, or nowhere.
    Stop(Option<Place>),
}

impl ErrorHandling {
    /// Reads what a definition says.
    pub(crate) fn new(defined: Option<&definition::ErrorHandling>, diagnostics: &mut Diagnostics) -> Self {
        let mut entries: Vec<&ErrorHandlingEntry> = defined.map(|defined| defined.entry.iter().collect()).unwrap_or_default();
        entries.sort_by_key(|entry| entry.order.as_ref().map_or((true, 0), |order| (false, order.value)));
        Self { entries: entries.into_iter().map(|entry| Entry::new(entry, diagnostics)).collect() }
    }

    /// What comes after a failure of this category, which counts from now on.
    pub(crate) fn after(&self, category: Category, tally: &mut Tally) -> Verdict {
        tally.0.resize(self.entries.len(), 0);
        let matching = self.entries.iter().zip(&mut tally.0).find(|(entry, _)| entry.matches(category));
        let Some((entry, count)) = matching else {
            return if category == Category::PolicyThreshold { Verdict::Stop(None) } else { Verdict::Continue };
        };
        *count += 1;
        if entry.reaction == Reaction::Stop || entry.stop_after.is_some_and(|most| *count >= most) {
            return Verdict::Stop(Some(entry.place.clone()));
        }
        Verdict::Continue
    }
}

impl Entry {
    fn new(entry: &ErrorHandlingEntry, diagnostics: &mut Diagnostics) -> Self {
        let situation = entry.situation.as_ref();
        let reaction = entry.reaction.as_ref();
        let stop_after = reaction.and_then(|reaction| reaction.stop_after.as_ref());
        Self {
            place: entry.place.clone(),
            statuses: situation.map(|s| s.status.iter().map(|status| status.value).collect()).unwrap_or_default(),
            categories: situation.map(|s| s.error_category.iter().map(|category| category.value).collect()).unwrap_or_default(),
            reaction: match reaction {
                None => Reaction::Stop,
                Some(reaction) if reaction.ignore.is_some() => Reaction::Continue,
                Some(reaction) if reaction.stop.is_some() => Reaction::Stop,
                Some(reaction) => {
                    match &reaction.retry_later {
                        Some(retry) => {
                            let message = "'retryLater' is not supported yet: the object is tried again when the task runs again";
                            diagnostics.push(Diagnostic::warning("not-supported", &retry.place, message).with_help(
                                "to try failed objects alone, make a task with 'failedObjectsSelector' and run it later",
                            ));
                            Reaction::Continue
                        }
                        None if stop_after.is_some() => Reaction::Continue,
                        None => Reaction::Stop,
                    }
                }
            },
            stop_after: stop_after.map(|most| u64::try_from(most.value).unwrap_or_default()),
        }
    }

    /// An object fails altogether, or not at all.
    fn matches(&self, category: Category) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&OperationStatus::FatalError))
            && (self.categories.is_empty() || self.categories.contains(&category.into()))
    }
}

impl From<Category> for ErrorCategory {
    fn from(category: Category) -> Self {
        match category {
            Category::Network => Self::Network,
            Category::Security => Self::Security,
            Category::Policy => Self::Policy,
            Category::Application => Self::Application,
            Category::PolicyThreshold => Self::PolicyThreshold,
            Category::Schema => Self::Schema,
            Category::Configuration => Self::Configuration,
            Category::Unsupported => Self::Unsupported,
            Category::Generic => Self::Generic,
        }
    }
}
