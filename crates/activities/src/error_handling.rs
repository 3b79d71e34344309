//! What a failed object does to the rest of an activity.
//!
//! Only failures come here, and an object fails altogether or not at all. That it is to be tried again later is said here; when
//! that is, and what is kept for it, is [`crate::triggers`].

use tidelock_model::definition::{self, ErrorCategory, ErrorHandlingEntry, ErrorReaction, OperationStatus};
use tidelock_model::{Diagnostic, Diagnostics, Place};
use tidelock_resolver::object_set::ActivityKind;

use crate::error::Category;
use crate::triggers::RetryLater;

/// What an activity does about failures: the first entry that matches says it.
#[derive(Clone, Debug)]
pub(crate) struct ErrorHandling {
    entries: Vec<Entry>,
    /// What is done where no entry says anything.
    otherwise: Reaction,
}

#[derive(Clone, Debug)]
struct Entry {
    place: Place,
    statuses: Vec<OperationStatus>,
    categories: Vec<ErrorCategory>,
    reaction: Reaction,
    stop_after: Option<u64>,
}

#[derive(Clone, Debug)]
enum Reaction {
    Continue,
    Stop,
    Retry(RetryLater),
}

/// How often each entry has matched; in one run, and not longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(Vec<u64>);

/// What comes after a failure.
#[derive(Clone, Debug)]
pub(crate) enum Verdict<'a> {
    /// The next object.
    Continue,
    /// The next object, and this one again at some later time; said at this place.
    Retry(&'a RetryLater, &'a Place),
    /// Nothing; said at this place, or nowhere.
    Stop(Option<&'a Place>),
}

impl ErrorHandling {
    /// Reads what a definition says. Where it says nothing, searches go on, and what takes over changes stops: there what comes
    /// after a failure must not get ahead of it.
    ///
    /// # Errors
    /// Numbers and times that mean nothing.
    pub(crate) fn new(
        activity: ActivityKind,
        defined: Option<&definition::ErrorHandling>,
        diagnostics: &mut Diagnostics,
    ) -> Result<Self, Diagnostic> {
        let mut entries: Vec<&ErrorHandlingEntry> = defined.map(|defined| defined.entry.iter().collect()).unwrap_or_default();
        entries.sort_by_key(|entry| entry.order.as_ref().map_or((true, 0), |order| (false, order.value)));
        Ok(Self {
            entries: entries
                .into_iter()
                .map(|entry| Entry::new(activity, entry, diagnostics))
                .collect::<Result<_, Diagnostic>>()?,
            otherwise: match activity {
                ActivityKind::LiveSynchronization | ActivityKind::AsynchronousUpdate => Reaction::Stop,
                _ => Reaction::Continue,
            },
        })
    }

    /// What comes after a failure of this category, which counts from now on.
    ///
    /// An entry that has matched often enough stops before it does what it says: the last object is not tried again.
    pub(crate) fn after(&self, category: Category, tally: &mut Tally) -> Verdict<'_> {
        tally.0.resize(self.entries.len(), 0);
        let matching = self.entries.iter().zip(&mut tally.0).find(|(entry, _)| entry.matches(category));
        let Some((entry, count)) = matching else {
            return match (&self.otherwise, category) {
                (_, Category::PolicyThreshold) | (Reaction::Stop, _) => Verdict::Stop(None),
                _ => Verdict::Continue,
            };
        };
        *count += 1;
        match &entry.reaction {
            _ if entry.stop_after.is_some_and(|most| *count >= most) => Verdict::Stop(Some(&entry.place)),
            Reaction::Stop => Verdict::Stop(Some(&entry.place)),
            Reaction::Continue => Verdict::Continue,
            Reaction::Retry(later) => Verdict::Retry(later, &entry.place),
        }
    }

    /// Whether any failure leads to another try, for which its object needs a shadow.
    pub(crate) fn retries(&self) -> bool {
        self.retried_at().is_some()
    }

    /// The place of the first entry by which a failure leads to another try.
    pub(crate) fn retried_at(&self) -> Option<&Place> {
        self.entries.iter().find(|entry| matches!(entry.reaction, Reaction::Retry(_))).map(|entry| &entry.place)
    }
}

impl Entry {
    fn new(activity: ActivityKind, entry: &ErrorHandlingEntry, diagnostics: &mut Diagnostics) -> Result<Self, Diagnostic> {
        let situation = entry.situation.as_ref();
        let reaction = entry.reaction.as_ref();
        let stop_after = reaction.and_then(|reaction| reaction.stop_after.as_ref());
        let read = Self {
            place: entry.place.clone(),
            statuses: situation.map(|s| s.status.iter().map(|status| status.value).collect()).unwrap_or_default(),
            categories: situation.map(|s| s.error_category.iter().map(|category| category.value).collect()).unwrap_or_default(),
            reaction: reaction.map_or(Ok(Reaction::Stop), |reaction| Reaction::new(activity, reaction, diagnostics))?,
            stop_after: match stop_after {
                None => None,
                Some(most) => Some(u64::try_from(most.value).map_err(|_| {
                    Diagnostic::error("bad-value", &most.place, "'stopAfter' is negative")
                        .with_help("say after how many failures the activity stops, from 1 on, or remove 'stopAfter'")
                })?),
            },
        };
        if !read.statuses.is_empty() && !read.statuses.contains(&OperationStatus::FatalError) {
            let place = situation.and_then(|situation| situation.status.first()).map_or(&entry.place, |status| &status.place);
            let message = "the entry never applies: objects fail altogether, which is the status 'fatal_error'";
            diagnostics
                .push(Diagnostic::warning("ignored-item", place, message).with_help("say 'fatal_error', or remove 'status'"));
        }
        Ok(read)
    }

    fn matches(&self, category: Category) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&OperationStatus::FatalError))
            && (self.categories.is_empty() || self.categories.contains(&category.into()))
    }
}

impl Reaction {
    fn new(activity: ActivityKind, reaction: &ErrorReaction, diagnostics: &mut Diagnostics) -> Result<Self, Diagnostic> {
        if reaction.ignore.is_some() {
            return Ok(Self::Continue);
        }
        if reaction.stop.is_some() {
            return Ok(Self::Stop);
        }
        match &reaction.retry_later {
            Some(later) if activity == ActivityKind::TriggerScan => {
                let message =
                    "'retryLater' is ignored by triggerScan: an object is tried again as the task said in which it failed";
                let help = "remove 'retryLater'; 'ignore' says the same here";
                diagnostics.push(Diagnostic::warning("ignored-item", &later.place, message).with_help(help));
                Ok(Self::Continue)
            }
            Some(later) => RetryLater::new(later).map(Self::Retry),
            None if reaction.stop_after.is_some() => Ok(Self::Continue),
            None => Ok(Self::Stop),
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

    use tidelock_model::definition::{Definition, read_file};
    use tidelock_model::document::Format;

    use super::*;

    /// The verdicts on failures of these categories, one after the other: `c`ontinue, `s`top, `r`etry.
    fn check(activity: ActivityKind, entries: &str, failures: &[Category], expected: &str) {
        let text = format!(
            "task: {{ name: t, activity: {{ work: {{ import: {{}} }}, controlFlow: {{ errorHandling: {{ entry: [{entries}] }} }} }} }}"
        );
        let (definitions, found) = read_file(text.as_bytes(), None, Format::Yaml);
        let Some(Definition::Task(task)) = definitions.into_iter().next() else { panic!("{found:?}") };
        let flow = task.activity.unwrap().control_flow.unwrap();
        let errors = ErrorHandling::new(activity, flow.error_handling.as_ref(), &mut Diagnostics::new()).unwrap();
        let mut tally = Tally::default();
        let verdict = |category: &Category| match errors.after(*category, &mut tally) {
            Verdict::Continue => 'c',
            Verdict::Retry(..) => 'r',
            Verdict::Stop(_) => 's',
        };
        assert_eq!(failures.iter().map(verdict).collect::<String>(), expected, "{entries}");
    }

    use ActivityKind::{AsynchronousUpdate, Import, LiveSynchronization, ResourceObjects};
    use Category::{Generic, Network, PolicyThreshold, Schema};

    #[test]
    fn the_default_goes_on_in_a_search_and_stops_where_changes_are_taken_over() {
        check(Import, "", &[Generic, Network, PolicyThreshold], "ccs");
        check(ResourceObjects, "", &[Generic], "c");
        check(LiveSynchronization, "", &[Generic, PolicyThreshold], "ss");
        check(AsynchronousUpdate, "", &[Generic], "s");
    }

    #[test]
    fn the_default_is_for_what_no_entry_matches() {
        let network = "{ situation: { errorCategory: network }, reaction: { ignore: {} } }";
        check(LiveSynchronization, network, &[Network, Schema], "cs");
        check(Import, "{ situation: { errorCategory: policyThreshold }, reaction: { ignore: {} } }", &[PolicyThreshold], "c");
    }

    #[test]
    fn entries_are_asked_by_order_and_those_without_one_last() {
        let entries = "{ reaction: { stop: {} } }, { order: 2, reaction: { ignore: {} } }, \
                       { order: 1, situation: { errorCategory: schema }, reaction: { retryLater: {} } }";
        check(Import, entries, &[Generic, Schema, Network], "crc");
    }

    #[test]
    fn entries_of_the_same_order_are_asked_as_they_are_written() {
        check(Import, "{ order: 1, reaction: { retryLater: {} } }, { order: 1, reaction: { stop: {} } }", &[Generic], "r");
    }

    #[test]
    fn status_and_category_must_both_agree() {
        let entry = |status: &str| {
            format!("{{ situation: {{ status: [{status}], errorCategory: [network, schema] }}, reaction: {{ stop: {{}} }} }}")
        };
        check(Import, &entry("fatal_error"), &[Generic, Schema, Network], "css");
        check(Import, &entry("partial_error"), &[Generic, Schema, Network], "ccc");
        check(Import, &entry("partial_error, fatal_error"), &[Schema], "s");
        check(Import, &entry(""), &[Schema], "s");
    }

    #[test]
    fn ignore_goes_before_stop_and_stop_before_retry() {
        check(Import, "{ reaction: { retryLater: {}, stop: {}, ignore: {} } }", &[Generic], "c");
        check(Import, "{ reaction: { retryLater: {}, stop: {} } }", &[Generic], "s");
        check(Import, "{ reaction: { retryLater: {} } }", &[Generic], "r");
    }

    #[test]
    fn a_missing_reaction_stops_and_an_empty_one_too_unless_it_counts() {
        check(Import, "{}", &[Generic], "s");
        check(Import, "{ reaction: {} }", &[Generic], "s");
        check(Import, "{ reaction: { stopAfter: 3 } }", &[Generic, Generic, Generic], "ccs");
    }

    #[test]
    fn the_last_match_stops_before_its_reaction() {
        check(Import, "{ reaction: { retryLater: {}, stopAfter: 3 } }", &[Generic; 3], "rrs");
        check(Import, "{ reaction: { ignore: {}, stopAfter: 1 } }", &[Generic], "s");
        check(Import, "{ reaction: { ignore: {}, stopAfter: 0 } }", &[Generic], "s");
    }

    #[test]
    fn every_entry_counts_for_itself() {
        let entries = "{ situation: { errorCategory: network }, reaction: { ignore: {}, stopAfter: 2 } }, \
                       { reaction: { ignore: {}, stopAfter: 3 } }";
        check(Import, entries, &[Network, Schema, Schema, Network], "cccs");
        check(Import, entries, &[Schema, Network, Schema, Schema], "cccs");
    }

    #[test]
    fn a_scan_of_triggers_makes_no_triggers() {
        check(ActivityKind::TriggerScan, "{ reaction: { retryLater: {} } }", &[Generic], "c");
    }
}
