//! Running a prepared task.

use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Error, ErrorKind};
use tidelock_model::{Diagnostic, Oid, Place};
use tidelock_repo::{Batch, IndexedItem};
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::error::{Category, RunError};
use crate::part::Part;
use crate::prepare::{Kind, Prepared};
use crate::progress::Progress;
use crate::report::{Counts, Mode, RunReport, RunStatus, Status, TaskRef, TaskState};
use crate::state::{RealizationOf, TaskRecord};
use crate::statistics::{Outcome, Passage, Statistics};
use crate::synchronize::{Decided, ItemError, Work};
use crate::{import, reconciliation};

/// How often a single object is decided again after somebody else was faster.
const MOST_ATTEMPTS: u32 = 3;

/// How a run is watched and stopped.
#[derive(Clone)]
pub struct Control {
    /// Cancelling it ends the run after the chunk in flight, in a state that can be resumed.
    pub cancel: CancellationToken,
    /// Is told how far the run is.
    pub progress: Arc<dyn Progress>,
}

/// Runs a prepared task to its end. The task must be stored, under this OID.
///
/// # Errors
/// [`RunError::Repo`] where the repository fails so that not even the outcome can be stored, or is locked.
pub async fn execute(engine: &Engine, prepared: Prepared, task: Oid, control: &Control) -> Result<RunReport, RunError> {
    let _guard = engine.repo.lock_for_run().await?;
    // A preview does everything, on a copy.
    let repo = if prepared.mode == Mode::Preview { engine.repo.scratch().await? } else { Arc::clone(&engine.repo) };
    let engine = Engine { repo, ..engine.clone() };
    let indexed: Vec<IndexedItem> = prepared.indexed_items();
    engine.repo.ensure_indexed(&indexed).await?;

    let of = RealizationOf { activity: prepared.kind.as_str().to_owned(), mode: prepared.mode, set: prepared.set_text() };
    let stored = engine.repo.task_state(&task).await?;
    let record = TaskRecord::begin(stored.as_deref(), of, engine.clock.now());
    let mut run = Run { number: engine.repo.next_run().await?, engine, control, task, record, indexed, done: 0 };
    let end = match prepared.kind {
        Kind::Import => import::run(&mut run, &prepared).await?,
        Kind::Reconciliation => reconciliation::run(&mut run, &prepared).await?,
    };
    run.finish(&prepared, end).await
}

/// How a part of a run ended.
#[derive(Debug)]
pub(crate) enum End {
    /// All of it is done.
    Complete,
    /// Stopped from outside.
    Interrupted,
    /// Broken off.
    Broken(RunStatus, Box<Diagnostic>),
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) engine: Engine,
    pub(crate) control: &'a Control,
    pub(crate) task: Oid,
    pub(crate) number: u32,
    pub(crate) record: TaskRecord,
    indexed: Vec<IndexedItem>,
    /// How many objects of the current part are done.
    done: u64,
}

impl Run<'_> {
    /// Begins a part, and tells whoever watches.
    pub(crate) fn begin(&mut self, path: &str, expected: Option<u64>) {
        self.done = 0;
        self.record.realization.activity(path);
        self.control.progress.begin(path, expected);
    }

    /// Ends a part that began at this instant.
    pub(crate) fn end(&mut self, path: &str, began: Instant, end: &End) {
        let activity = self.record.realization.activity(path);
        activity.seconds += began.elapsed().as_secs_f64();
        let total = activity.progress.total();
        #[allow(clippy::cast_precision_loss, reason = "a rate needs no more than the digits of a float")]
        let rate = if total > 0 && activity.seconds > 0.0 { total as f64 / activity.seconds } else { 0.0 };
        activity.objects_per_second = rate;
        match end {
            End::Complete => self.record.realization.completed.push(path.to_owned()),
            End::Interrupted => {}
            End::Broken(..) => activity.status = Status::FatalError,
        }
    }

    /// Whether somebody wants the run to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.control.cancel.is_cancelled()
    }

    /// Synchronizes objects and commits them, in order.
    pub(crate) async fn work(&mut self, part: &Part, work: Work) -> Result<(), RunError> {
        if part.mode == Mode::None {
            let mut statistics = Statistics::default();
            statistics.passed_many(Passage::default(), Outcome::Skip, work.len() as u64);
            return Ok(self.commit(part, Decided { batch: Batch::default(), statistics, taken: work.len() }).await?);
        }
        let all = work.len();
        let (mut start, mut size) = (0, all);
        let mut refused: Option<ItemError> = None;
        let mut attempts = 0;
        while start < all {
            let end = all.min(start + size);
            let decided = work.decide(part, &self.indexed, start..end, refused.as_ref()).await?;
            let taken = decided.taken;
            match self.commit(part, decided).await {
                Ok(()) => {
                    start += taken;
                    (size, refused, attempts) = (all, None, 0);
                }
                // One object spoils the transaction of all: narrow down which, so that it fails alone.
                Err(error) if is_about_objects(&error) && end - start > 1 => size = (end - start) / 2,
                Err(error) if error.kind() == tidelock_repo::ErrorKind::Conflict && attempts < MOST_ATTEMPTS => attempts += 1,
                Err(error) if is_about_objects(&error) => {
                    let error = ItemError::new(Category::Application, error.to_string());
                    if refused.is_some() {
                        self.commit(part, failed_alone(&work, start, &error)).await?;
                        start += 1;
                        (size, refused, attempts) = (all, None, 0);
                    } else {
                        refused = Some(error);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Commits what was decided together with the state of the task that has it counted.
    pub(crate) async fn commit(&mut self, part: &Part, mut decided: Decided) -> Result<(), tidelock_repo::Error> {
        let mut record = self.record.clone();
        decided.statistics.add_to(record.realization.activity(part.path));
        decided.batch.task_state = Some((self.task.clone(), record.to_text()));
        self.engine.repo.commit(decided.batch).await?;
        self.record = record;
        self.done += decided.statistics.total();
        self.control.progress.advance(self.done);
        Ok(())
    }

    /// Stores the state of the task alone.
    pub(crate) async fn save(&mut self) -> Result<(), tidelock_repo::Error> {
        let batch = Batch { task_state: Some((self.task.clone(), self.record.to_text())), ..Batch::default() };
        self.engine.repo.commit(batch).await
    }

    async fn finish(mut self, prepared: &Prepared, end: End) -> Result<RunReport, RunError> {
        let activities = self.record.realization.activities.clone();
        let mut progress = Counts::default();
        let mut status = Status::Success;
        for activity in &activities {
            progress += activity.progress;
            status = status.max(activity.status);
        }
        let (run_status, task_state, error) = match end {
            End::Complete => (RunStatus::Finished, TaskState::Closed, None),
            End::Interrupted => (RunStatus::Interrupted, TaskState::Runnable, None),
            End::Broken(run_status, error) => {
                status = Status::FatalError;
                (run_status, TaskState::Suspended, Some(*error))
            }
        };
        self.record.realization.complete = run_status == RunStatus::Finished;
        self.record.run_status = Some(run_status);
        self.record.status = status;
        self.record.task_state = task_state;
        self.save().await?;
        Ok(RunReport {
            task: TaskRef { oid: Some(self.task.to_string()), name: prepared.task_name.clone() },
            activity: prepared.kind.as_str().to_owned(),
            mode: prepared.mode,
            status,
            run_status,
            task_state,
            progress,
            activities,
            error,
            diagnostics: prepared.diagnostics().clone(),
        })
    }
}

impl End {
    /// The end of a part that an error of the resource has broken off.
    pub(crate) fn of_error(error: &Error, place: &Place) -> Self {
        let (run_status, code, help) = match error.kind() {
            ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::OutcomeUnknown => (
                RunStatus::TemporaryError,
                "resource-unreachable",
                "run the task again when the resource is back; what was done is kept",
            ),
            ErrorKind::Unauthenticated | ErrorKind::Denied => {
                (RunStatus::PermanentError, "resource-denied", "check the credentials and rights of the connector's account")
            }
            ErrorKind::Config | ErrorKind::Unsupported => {
                (RunStatus::PermanentError, "resource-configuration", "correct the connector configuration of the resource")
            }
            _ => (RunStatus::PermanentError, "resource-error", "run the task again; if it stays, look at the resource"),
        };
        Self::Broken(run_status, Box::new(Diagnostic::error(code, place, error.full_message()).with_help(help)))
    }
}

fn is_about_objects(error: &tidelock_repo::Error) -> bool {
    matches!(error.kind(), tidelock_repo::ErrorKind::Conflict | tidelock_repo::ErrorKind::Duplicate)
}

/// Nothing about an object can be stored but that it failed.
fn failed_alone(work: &Work, at: usize, error: &ItemError) -> Decided {
    let (object, before) = work.describe(at);
    let mut statistics = Statistics::default();
    statistics.passed(Passage { before, ..Passage::default() }, Outcome::Failure);
    statistics.failed(object, error.category, error.message.clone());
    Decided { batch: Batch::default(), statistics, taken: 1 }
}
