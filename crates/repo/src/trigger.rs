//! Triggers: what is to be done with a shadow at some later time.

use tidelock_model::{Oid, Timestamp};

use crate::{ShadowKey, ShadowRef};

/// A handle of a stored trigger, of use with the repository that gave it. It never comes to mean another one.
///
/// Handles are ordered as triggers fall due: by time, those of the same time by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TriggerKey {
    /// When the trigger is due.
    pub at: Timestamp,
    /// What tells it from all others.
    pub number: i64,
}

/// That the processing of an object is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Retry {
    /// When.
    pub at: Timestamp,
    /// Which retry it will be; 1 for the first.
    pub attempt: u32,
    /// How long after it the next one is to come, in milliseconds.
    pub interval_millis: i64,
    /// How many retries there may be; none for any number.
    pub limit: Option<u32>,
    /// The task that failed.
    pub task: Oid,
    /// The activity in the task; empty for the root.
    pub activity: Box<str>,
}

/// A trigger as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTrigger {
    /// Its handle.
    pub key: TriggerKey,
    /// The shadow it is kept with.
    pub shadow: ShadowKey,
    /// What is to be done.
    pub retry: Retry,
}

/// A trigger to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrigger {
    /// The shadow it is kept with.
    pub shadow: ShadowRef,
    /// What is to be done.
    pub retry: Retry,
}

/// A change of one trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerChange {
    /// A new trigger. It takes the place of the one that its shadow has of the same task and activity.
    Add(NewTrigger),
    /// The trigger goes. One that is gone already, or had its place taken, is no error.
    Remove(TriggerKey),
}
