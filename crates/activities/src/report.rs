//! What a run did. The JSON form of these types is the command line's contract.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tidelock_model::{Diagnostic, Diagnostics};

use crate::error::Category;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// The task.
    pub task: TaskRef,
    /// The activity, such as `import`.
    pub activity: String,
    /// How it was run.
    pub mode: Mode,
    /// How it went.
    pub status: Status,
    /// How it ended.
    pub run_status: RunStatus,
    /// What the task is now.
    pub task_state: TaskState,
    /// All objects of all parts.
    pub progress: Counts,
    /// The parts, in their order; a simple activity has one, of path `""`.
    pub activities: Vec<ActivityReport>,
    /// Whether it went on with a run that had not come to its end. What that one did is counted as well.
    pub resumed: bool,
    /// Why the run broke off.
    pub error: Option<Diagnostic>,
    /// Warnings about the definitions.
    pub diagnostics: Diagnostics,
}

/// A task, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskRef {
    /// Its OID; none before it is stored.
    pub oid: Option<String>,
    /// Its name.
    pub name: String,
}

/// What one part of a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityReport {
    /// Which part: `resourceObjects`; empty for a simple activity.
    pub path: String,
    /// How it was run, where that is another way than the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How it went.
    pub status: Status,
    /// Its objects.
    pub progress: Counts,
    /// How situations changed.
    pub transitions: Vec<Transition>,
    /// What was changed in the repository.
    pub actions: ActionCounts,
    /// The first hundred failures.
    pub failures: Vec<Failure>,
    /// The synchronization token before and after, in live synchronization.
    pub token: Option<TokenMove>,
    /// How the connection to the source was at the end, of an activity that listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listening: Option<Listening>,
    /// How long it took.
    pub seconds: f64,
    /// How fast it was; 0 for a part without objects.
    pub objects_per_second: f64,
}

/// The synchronization token before and after a run, as [`crate::token_text`] shows it; none where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMove {
    /// The token that the run began with.
    pub before: Option<String>,
    /// The token that is stored now.
    pub after: Option<String>,
}

/// How the connection to a source of changes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Listening {
    /// Changes arrive as the source sends them.
    Alive,
    /// The connection broke; the connector tries to have it back.
    Reconnecting,
    /// There is no connection.
    Down,
}

/// Objects by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Processed without failure.
    pub success: u64,
    /// Failed.
    pub failure: u64,
    /// Passed over.
    pub skip: u64,
}

/// A change of situation, and how often it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The situation that was stored before.
    pub on_processing_start: Option<String>,
    /// The situation that was found.
    pub on_synchronization_start: Option<String>,
    /// The situation after the reaction.
    pub on_synchronization_end: Option<String>,
    /// Why the objects were passed over.
    pub exclusion: Option<String>,
    /// How often.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Changes by type of object: `user`, `role`, `org`, `service`, `shadow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionCounts(pub BTreeMap<String, ObjectActions>);

/// Changes of the objects of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectActions {
    /// Created.
    pub add: u64,
    /// Changed.
    pub modify: u64,
    /// Deleted; of shadows: marked dead.
    pub delete: u64,
}

/// The failure of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The object, as people know it.
    pub object: String,
    /// What it is about.
    pub category: Category,
    /// What went wrong.
    pub message: String,
}

/// How a run treats what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Everything is done.
    #[default]
    Full,
    /// Everything is done on a copy that is thrown away.
    Preview,
    /// Situations are determined and recorded, and nothing else is done.
    DryRun,
    /// Objects are counted.
    None,
}

impl Mode {
    /// The name in definitions and reports: `dryRun`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Preview => "preview",
            Self::DryRun => "dryRun",
            Self::None => "none",
        }
    }
}

/// How something went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Without a failure.
    #[default]
    Success,
    /// With something to look at.
    Warning,
    /// Some objects failed.
    PartialError,
    /// It broke off.
    FatalError,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// At its end.
    Finished,
    /// Broken off; running again may succeed.
    TemporaryError,
    /// Broken off; somebody must do something first.
    PermanentError,
    /// Broken off with all that depends on it.
    HaltingError,
    /// Stopped from outside; it can go on.
    Interrupted,
}

/// What a task is after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskState {
    /// Done.
    Closed,
    /// Waits for somebody.
    Suspended,
    /// Can be run.
    Runnable,
}

/// A text that names no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a mode; modes are full, preview, dryRun and none")]
pub struct NotAMode(String);

impl FromStr for Mode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        match text {
            "full" => Ok(Self::Full),
            "preview" => Ok(Self::Preview),
            "dryRun" => Ok(Self::DryRun),
            "none" => Ok(Self::None),
            _ => Err(NotAMode(text.chars().take(40).collect())),
        }
    }
}

impl Default for ActionCounts {
    /// Users and shadows are always there, so that readers need not ask.
    fn default() -> Self {
        Self(["user", "shadow"].into_iter().map(|name| (name.to_owned(), ObjectActions::default())).collect())
    }
}

impl Counts {
    /// All objects.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.success + self.failure + self.skip
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.success += other.success;
        self.failure += other.failure;
        self.skip += other.skip;
    }
}
