//! What every activity works with.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_model::Timestamp;
use tidelock_repo::Repo;

use crate::connectors::Connectors;

/// The surroundings of every activity.
#[derive(Clone)]
pub struct Engine {
    /// Where everything that outlives a run is kept.
    pub repo: Arc<dyn Repo>,
    /// The way to resources.
    pub connectors: Arc<dyn Connectors>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Tells the time; a test has its own.
pub trait Clock: Send + Sync {
    /// The time now. It may stand still or go back; nothing is lost by that.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
