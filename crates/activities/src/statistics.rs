//! Counting what a part of a run does.

use tidelock_model::object::{Exclusion, FocusType, Situation};

use crate::error::Category;
use crate::report::{ActivityReport, Counts, Failure, Status, Transition};

/// How many failures a report lists.
const LISTED_FAILURES: usize = 100;

/// What became of some objects; of a chunk, until its transaction is through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    transitions: Vec<(Passage, Counts)>,
    actions: Vec<(&'static str, Act, u64)>,
    failures: Vec<Failure>,
}

/// The way of one object through synchronization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    /// The situation that was stored before.
    pub(crate) before: Option<Situation>,
    /// The situation that was found.
    pub(crate) found: Option<Situation>,
    /// The situation afterwards.
    pub(crate) after: Option<Situation>,
    /// Why it was passed over.
    pub(crate) exclusion: Option<Exclusion>,
}

/// What happened to an object of the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It was created.
    Add,
    /// It was changed.
    Modify,
    /// It was deleted, or died.
    Delete,
}

/// How the processing of one object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure,
    Skip,
}

/// The name of shadows in reports.
pub(crate) const SHADOW: &str = "shadow";

impl Statistics {
    /// One object went this way and ended so.
    pub(crate) fn passed(&mut self, passage: Passage, outcome: Outcome) {
        self.passed_many(passage, outcome, 1);
    }

    /// Many objects did.
    pub(crate) fn passed_many(&mut self, passage: Passage, outcome: Outcome, many: u64) {
        let at = match self.transitions.iter().position(|(p, _)| *p == passage) {
            Some(at) => at,
            None => {
                self.transitions.push((passage, Counts::default()));
                self.transitions.len() - 1
            }
        };
        let counts = &mut self.transitions[at].1;
        match outcome {
            Outcome::Success => counts.success += many,
            Outcome::Failure => counts.failure += many,
            Outcome::Skip => counts.skip += many,
        }
    }

    /// Why an object failed.
    pub(crate) fn failed(&mut self, object: impl Into<String>, category: Category, message: impl Into<String>) {
        if self.failures.len() < LISTED_FAILURES {
            self.failures.push(Failure { object: object.into(), category, message: message.into() });
        }
    }

    /// Something happened to an object of the repository, by the name of its type.
    pub(crate) fn acted(&mut self, object: &'static str, act: Act) {
        match self.actions.iter_mut().find(|(o, a, _)| *o == object && *a == act) {
            Some((_, _, count)) => *count += 1,
            None => self.actions.push((object, act, 1)),
        }
    }

    /// Something happened to a focus.
    pub(crate) fn acted_on_focus(&mut self, focus_type: FocusType, act: Act) {
        self.acted(focus_type.element_name(), act);
    }

    /// How many objects were counted.
    pub(crate) fn total(&self) -> u64 {
        self.transitions.iter().map(|(_, counts)| counts.total()).sum()
    }

    /// Adds all this to a report.
    pub(crate) fn add_to(&self, report: &mut ActivityReport) {
        for (passage, counts) in &self.transitions {
            report.progress += *counts;
            let text = |situation: Option<Situation>| situation.map(|s| s.as_str().to_owned());
            let transition = Transition {
                on_processing_start: text(passage.before),
                on_synchronization_start: text(passage.found),
                on_synchronization_end: text(passage.after),
                exclusion: passage.exclusion.map(|e| e.as_str().to_owned()),
                counts: *counts,
            };
            match report.transitions.iter_mut().find(|t| t.is_same_way(&transition)) {
                Some(known) => known.counts += *counts,
                None => report.transitions.push(transition),
            }
        }
        for (object, act, count) in &self.actions {
            let actions = report.actions.0.entry((*object).to_owned()).or_default();
            match act {
                Act::Add => actions.add += count,
                Act::Modify => actions.modify += count,
                Act::Delete => actions.delete += count,
            }
        }
        let room = LISTED_FAILURES.saturating_sub(report.failures.len());
        report.failures.extend(self.failures.iter().take(room).cloned());
        if report.progress.failure > 0 {
            report.status = report.status.max(Status::PartialError);
        }
    }
}

impl Transition {
    fn is_same_way(&self, other: &Self) -> bool {
        self.on_processing_start == other.on_processing_start
            && self.on_synchronization_start == other.on_synchronization_start
            && self.on_synchronization_end == other.on_synchronization_end
            && self.exclusion == other.exclusion
    }
}
