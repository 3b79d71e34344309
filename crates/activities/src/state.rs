//! What is remembered of a task between runs, and committed with every chunk.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidelock_model::Timestamp;

use crate::report::{ActivityReport, Mode, RunStatus, Status, TaskState};

/// The state of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskRecord {
    /// What the task is.
    pub(crate) task_state: TaskState,
    /// How the last run ended; none while one is under way, or was killed.
    pub(crate) run_status: Option<RunStatus>,
    /// How the last run went, so far.
    pub(crate) status: Status,
    /// The last realization: begun, and perhaps complete.
    pub(crate) realization: Realization,
    /// Whether this run goes on with a realization that had got somewhere. Of this run alone, so it is not stored.
    #[serde(skip)]
    pub(crate) resumed: bool,
}

/// One going-through of an activity, over as many runs as that takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Realization {
    /// What is realized: a realization goes on only for the same activity, mode and object set.
    pub(crate) of: RealizationOf,
    /// When it began; milliseconds since the epoch.
    pub(crate) started: i64,
    /// Whether all of it is done.
    pub(crate) complete: bool,
    /// When the reading of the resource began last, by the path of the reconciliation; milliseconds since the epoch.
    pub(crate) reading_started: BTreeMap<String, i64>,
    /// Paths of the parts that are done.
    pub(crate) completed: Vec<String>,
    /// What the parts did so far.
    pub(crate) activities: Vec<ActivityReport>,
}

/// What a realization is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RealizationOf {
    pub(crate) activity: String,
    pub(crate) mode: Mode,
    /// The object set, as text.
    pub(crate) set: String,
}

impl TaskRecord {
    /// The record of a run that begins now: the old realization goes on if it is of the same and was not complete.
    pub(crate) fn begin(stored: Option<&str>, of: RealizationOf, now: Timestamp) -> Self {
        let old: Option<Self> = stored.and_then(|text| serde_json::from_str(text).ok());
        let realization = match old {
            Some(record) if !record.realization.complete && record.realization.of == of => record.realization,
            _ => Realization {
                of,
                started: now.as_millis(),
                complete: false,
                reading_started: BTreeMap::new(),
                completed: Vec::new(),
                activities: Vec::new(),
            },
        };
        let resumed = realization.activities.iter().any(|activity| activity.progress.total() > 0);
        Self { task_state: TaskState::Runnable, run_status: None, status: Status::Success, realization, resumed }
    }

    /// The form that the repository keeps.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a record of texts and numbers has a JSON form")
    }
}

impl Realization {
    /// The report of a part, begun if it is not there.
    pub(crate) fn activity(&mut self, path: &str) -> &mut ActivityReport {
        let at = match self.activities.iter().position(|activity| activity.path == path) {
            Some(at) => at,
            None => {
                self.activities.push(ActivityReport { path: path.to_owned(), ..ActivityReport::default() });
                self.activities.len() - 1
            }
        };
        &mut self.activities[at]
    }

    /// Begins the report of a part anew.
    pub(crate) fn forget(&mut self, path: &str) {
        *self.activity(path) = ActivityReport { path: path.to_owned(), ..ActivityReport::default() };
    }

    /// The time before which shadows count as not met by the activity of this path: when the resource was begun to be read, or
    /// when all began.
    pub(crate) fn started_at(&self, group: &str) -> Timestamp {
        Timestamp::from_millis(self.reading_started.get(group).copied().unwrap_or(self.started))
    }

    /// Whether a part is done.
    pub(crate) fn is_completed(&self, path: &str) -> bool {
        self.completed.iter().any(|completed| completed == path)
    }
}
