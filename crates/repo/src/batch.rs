//! What one transaction writes.

use tidelock_model::object::{Focus, Shadow};
use tidelock_model::{Items, Oid, Timestamp};

use crate::repo::{Fingerprint, FocusKey, ShadowKey};
use crate::{InboxMarks, TokenChange, TriggerChange};

/// Everything one chunk of work has to write. It is stored whole or not at all.
///
/// Order of effect: foci, then shadows, then seen marks, then operation results, then triggers, then inbox marks, then the
/// token, then the task's state; each in the order of its list, so that a name or identifier given up by one entry is free
/// for the next.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Foci that somebody else must not have changed since they were read, though this batch does not write them.
    pub expected: Vec<(FocusKey, u64)>,
    /// Foci to create, update or delete.
    pub foci: Vec<FocusChange>,
    /// Shadows to create or update.
    pub shadows: Vec<ShadowChange>,
    /// Marks on shadows that were met.
    pub seen: Vec<SeenMark>,
    /// Results of processing, kept with their shadows, at most five for each and three of one task.
    pub results: Vec<OperationResult>,
    /// Triggers to add or remove.
    pub triggers: Vec<TriggerChange>,
    /// Messages whose changes are applied once this batch is stored.
    pub inbox: Option<InboxMarks>,
    /// The token that is reached once this batch is stored.
    pub token: Option<TokenChange>,
    /// The new state of a task; opaque here.
    pub task_state: Option<(Oid, String)>,
}

/// A change of one focus.
#[derive(Clone, Debug)]
pub enum FocusChange {
    /// A new focus; it is stored with the version it has, 1 or more.
    Create(Focus),
    /// New content for a focus, stored with the version that the content names. Fingerprints of all its shadows are forgotten, those that the
    /// same batch writes excepted.
    Update {
        /// Which focus.
        key: FocusKey,
        /// The version it was read with, which must still be the stored one.
        expected: u64,
        /// The content that it has in this version.
        before: Items,
        /// The new content; its `version` is the new one, greater than `expected`. One batch can hold several changes in one.
        focus: Focus,
    },
    /// The focus goes; its shadows lose their link and their fingerprint, and stay.
    Delete {
        /// Which focus.
        key: FocusKey,
        /// The version it was read with, which must still be the stored one.
        version: u64,
    },
}

/// A change of one shadow: all of its row.
#[derive(Clone, Debug)]
pub struct ShadowChange {
    /// Which shadow; none to create it.
    pub key: Option<ShadowKey>,
    /// What it is from now on. `owner`, `synchronized` and `fully_synchronized` in it are ignored: see `owner` here and [`SeenMark`].
    pub shadow: Shadow,
    /// The focus that owns it.
    pub owner: Option<FocusRef>,
    /// What it was made from; none if the next run must look at it again.
    pub fingerprint: Option<Fingerprint>,
}

/// A focus, stored or of this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FocusRef {
    /// A focus that is stored.
    Stored(FocusKey),
    /// The focus that this entry of `Batch::foci` creates.
    New(usize),
}

/// A shadow, stored or of this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowRef {
    /// A shadow that is stored.
    Stored(ShadowKey),
    /// The shadow that this entry of `Batch::shadows` creates.
    New(usize),
}

/// That a run has met a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenMark {
    /// Which shadow.
    pub shadow: ShadowRef,
    /// The run (see [`crate::Repo::next_run`]).
    pub run: u32,
    /// When: becomes the shadow's `synchronized`.
    pub at: Timestamp,
    /// Whether it was fully synchronized: `at` becomes its `fully_synchronized` as well.
    pub fully: bool,
}

/// The result of processing one object in a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationResult {
    /// The shadow it is kept with.
    pub shadow: ShadowRef,
    /// The task.
    pub task: Oid,
    /// The activity in the task, such as `resourceObjects`; empty for the root.
    pub activity: Box<str>,
    /// When.
    pub at: Timestamp,
    /// How it ended.
    pub status: OperationStatus,
    /// What went wrong; holds no attribute value.
    pub message: Option<Box<str>>,
}

/// How the processing of an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationStatus {
    /// All done.
    Success,
    /// Done, with something to look at.
    Warning,
    /// A part failed.
    PartialError,
    /// It failed.
    FatalError,
}

impl OperationStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Success, Self::Warning, Self::PartialError, Self::FatalError];

    /// The name in definitions and reports: `fatal_error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Warning => "warning",
            Self::PartialError => "partial_error",
            Self::FatalError => "fatal_error",
        }
    }
}
