//! Finding shadows by the results that are kept with them.

use tidelock_model::{Oid, Timestamp};

use crate::{OperationResult, OperationStatus};

/// Which results are meant.
///
/// A result that is superseded is never meant: by a later one of the same activity of the same task, or, if it is a failure,
/// by a later success of any task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultFilter {
    /// Those of these tasks.
    pub tasks: Vec<Oid>,
    /// Those with one of these statuses.
    pub statuses: Vec<OperationStatus>,
    /// Those of this time or later.
    pub from: Option<Timestamp>,
    /// Those of this time or earlier.
    pub to: Option<Timestamp>,
}

impl ResultFilter {
    /// Whether any of the results of a shadow is meant, given all of them, newest first.
    #[must_use]
    pub fn matches(&self, results: &[OperationResult]) -> bool {
        results.iter().enumerate().any(|(at, result)| {
            let superseded = |later: &OperationResult| {
                (later.task == result.task && later.activity == result.activity)
                    || (result.status.is_failure() && !later.status.is_failure())
            };
            self.tasks.contains(&result.task)
                && self.statuses.contains(&result.status)
                && self.from.is_none_or(|from| result.at >= from)
                && self.to.is_none_or(|to| result.at <= to)
                && !results[..at].iter().any(superseded)
        })
    }
}

impl OperationStatus {
    /// Whether something did not come about.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::PartialError | Self::FatalError)
    }
}
