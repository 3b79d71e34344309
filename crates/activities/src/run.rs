//! Running a prepared task.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_connector_api::{Error, ErrorKind};
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, Timestamp};
use tidelock_repo::{Batch, IndexedItem, Repo};
use tidelock_resolver::object_set::ActivityKind;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::ahead::{Effects, Touch};
use crate::engine::Engine;
use crate::error::{Category, RunError};
use crate::error_handling::Tally;
use crate::part::Part;
use crate::prepare::{Prepared, Reach, Step};
use crate::progress::Progress;
use crate::report::{ActivityReport, Counts, Mode, RunReport, RunStatus, Status, TaskRef, TaskState};
use crate::state::{RealizationOf, TaskRecord};
use crate::statistics::{Outcome, Passage, Statistics};
use crate::synchronize::{Circumstances, Decided, ItemError, Stop, Work, failed_alone};
use crate::tokens::token_text;
use crate::{listen, live_sync, objects, shadows, trigger_scan};

/// How often a single object is decided again after somebody else was faster.
const MOST_ATTEMPTS: u32 = 3;

/// How a run is watched and stopped.
#[derive(Clone)]
pub struct Control {
    /// Cancelling it ends the run after the chunk in flight, in a state that can be resumed.
    pub cancel: CancellationToken,
    /// Is told how far the run is.
    pub progress: Arc<dyn Progress>,
    /// How long a listening activity waits for something to arrive before it ends; none if it listens until it is cancelled.
    pub until_idle: Option<Duration>,
}

/// Runs a prepared task to its end. The task must be stored, under this OID.
///
/// # Errors
/// [`RunError::Repo`] where the repository fails so that not even the outcome can be stored, or is locked.
pub async fn execute(engine: &Engine, prepared: Prepared, task: Oid, control: &Control) -> Result<RunReport, RunError> {
    let _guard = engine.repo.lock_for_run().await?;
    // A preview does everything, on a copy. Where all is a preview, nothing at all is kept.
    let is_preview = prepared.steps.iter().all(|step| step.skipped || step.mode == Mode::Preview);
    let home = if is_preview { engine.repo.scratch().await? } else { Arc::clone(&engine.repo) };
    let activity = prepared.outline.activity.clone();
    let of = RealizationOf { activity, mode: prepared.mode, set: prepared.set_text() };
    let stored = home.task_state(&task).await?;
    let began = engine.clock.now();
    // What takes over changes, or tries again what is due, begins anew each time: it has nothing to go through to the end.
    let goes_on = prepared.steps.iter().any(|step| !step.follows() && matches!(step.reach, Reach::Resource(_)));
    let record = TaskRecord::begin(stored.as_deref().filter(|_| goes_on), of, began);
    let original = Arc::clone(&engine.repo);
    let engine = Engine { repo: Arc::clone(&home), ..engine.clone() };
    let copy = is_preview.then(|| Arc::clone(&home));
    let (indexed, tally) = (Vec::new(), Tally::default());
    let notes = Diagnostics::new();
    let mut run = Run { engine, control, task, record, began, home, original, copy, number: 0, indexed, tally, done: 0, notes };
    let mut end = End::Complete;
    for step in &prepared.steps {
        end = run.step(&prepared, step).await?;
        if !matches!(end, End::Complete) {
            break;
        }
    }
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

/// Adds to a batch what is to be stored once so many objects, from the first, are settled.
pub(crate) type Mark<'m> = &'m (dyn Fn(usize, &mut Batch) + Send + Sync);

/// What becomes of a failure that ends the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnStop {
    /// It is counted, and kept with its object.
    Commit,
    /// It is as if the object had not come: it will be tried again.
    Hold,
}

/// A commit that is under way.
pub(crate) struct Commit {
    /// The one task that makes it. Where nobody is interested any longer, it is broken off, as a commit is that is waited for.
    task: JoinSet<Result<(), tidelock_repo::Error>>,
    outcome: Option<Result<(), tidelock_repo::Error>>,
    count: Counted,
    /// What it makes of what is stored.
    pub(crate) effects: Effects,
}

/// What counts once a batch is committed.
struct Counted {
    record: TaskRecord,
    tally: Tally,
    objects: u64,
    touch: Option<Touch>,
}

impl Commit {
    /// The failures so far, once it has ended.
    pub(crate) fn tally(&self) -> &Tally {
        &self.count.tally
    }

    /// Waits until it has ended.
    ///
    /// # Cancellation
    /// It goes on.
    pub(crate) async fn ends(&mut self) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = match self.task.join_next().await.map(|ended| ended.map_err(JoinError::try_into_panic)) {
            Some(Ok(outcome)) => Some(outcome),
            Some(Err(Ok(panic))) => resume_unwind(panic),
            // The runtime ends.
            Some(Err(Err(_))) | None => {
                Some(Err(tidelock_repo::Error::new(tidelock_repo::ErrorKind::Storage, "a commit was broken off")))
            }
        };
    }
}

/// How far synchronizing some objects has got.
pub(crate) struct Worked {
    /// How many of them, from the first, are settled. What comes to an end with them is stored.
    pub(crate) settled: usize,
    /// The failure of the next one, if that ends the part. Where there is none, and not all are settled, the next one was made from
    /// what is stored, and has to be made anew.
    pub(crate) stop: Option<Stop>,
}

/// A run under way.
pub(crate) struct Run<'a> {
    /// The surroundings of the current step.
    pub(crate) engine: Engine,
    pub(crate) control: &'a Control,
    pub(crate) task: Oid,
    /// When this run began.
    pub(crate) began: Timestamp,
    /// The number of the current step: what it has met it recognizes by that.
    pub(crate) number: u32,
    pub(crate) record: TaskRecord,
    /// Where the state of the task belongs.
    home: Arc<dyn Repo>,
    /// The repository itself, whatever is done on a copy: where positions in sources of changes are kept.
    pub(crate) original: Arc<dyn Repo>,
    /// What previews work on: those that follow one another see what the ones before did.
    copy: Option<Arc<dyn Repo>>,
    indexed: Vec<IndexedItem>,
    tally: Tally,
    /// How many objects of the current part are done.
    done: u64,
    /// What there is to say beside what definitions gave rise to.
    pub(crate) notes: Diagnostics,
}

impl Run<'_> {
    /// Runs one activity, unless that has been done, or is not to be done.
    async fn step(&mut self, prepared: &Prepared, step: &Step) -> Result<End, RunError> {
        if self.record.realization.is_completed(&step.path) {
            return Ok(End::Complete);
        }
        if step.skipped {
            self.record.realization.completed.push(step.path.to_string());
            return Ok(End::Complete);
        }
        let scope = match &step.reach {
            Reach::Due(due) => return trigger_scan::scan(self, prepared, step, due).await,
            Reach::Resource(Ok(scope)) => scope,
            Reach::Resource(Err(unusable)) => {
                self.record.realization.activity(&step.path).status = unusable.status;
                return Ok(End::Broken(unusable.run_status, Box::new(unusable.error.clone())));
            }
        };
        if step.follows() {
            // Each run is a new one; what the last one did is done.
            self.record.realization.forget(&step.path);
        }
        if step.activity == ActivityKind::ResourceObjects || step.follows() {
            // Reading starts over whenever it was interrupted, so what counts as not met does too.
            let now = self.engine.clock.now().as_millis();
            self.record.realization.reading_started.insert(step.group.to_string(), now);
        }
        self.enter(prepared, step, scope.indexed_items()).await?;
        let part = prepared.part(self, step, scope);
        match step.activity {
            ActivityKind::OperationCompletion => self.complete_operations(&part).await,
            ActivityKind::RemainingShadows => shadows::remaining(self, &part).await,
            ActivityKind::ShadowCleanup => shadows::cleanup(self, &part, step).await,
            ActivityKind::LiveSynchronization | ActivityKind::AsynchronousUpdate => {
                let Some(following) = &step.following else { return Ok(End::Complete) };
                match step.activity {
                    ActivityKind::LiveSynchronization => live_sync::synchronize(self, &part, following).await,
                    _ => listen::listen(self, &part, following).await,
                }
            }
            _ => objects::synchronize(self, &part).await,
        }
    }

    /// Makes ready for a step that finds foci by these items.
    pub(crate) async fn enter(
        &mut self,
        prepared: &Prepared,
        step: &Step,
        indexed: Vec<IndexedItem>,
    ) -> Result<(), tidelock_repo::Error> {
        self.engine.repo = self.repo_for(step.mode).await?;
        self.indexed = indexed;
        self.engine.repo.ensure_indexed(&self.indexed).await?;
        self.number = self.engine.repo.next_run().await?;
        self.tally = Tally::default();
        self.record.realization.activity(&step.path).mode = (step.mode != prepared.mode).then_some(step.mode);
        self.save().await
    }

    async fn repo_for(&mut self, mode: Mode) -> Result<Arc<dyn Repo>, tidelock_repo::Error> {
        if mode != Mode::Preview {
            self.copy = None;
            return Ok(Arc::clone(&self.home));
        }
        match &self.copy {
            Some(copy) => Ok(Arc::clone(copy)),
            None => {
                let copy = self.home.scratch().await?;
                self.copy = Some(Arc::clone(&copy));
                Ok(copy)
            }
        }
    }

    /// Pending operations: there are none as long as nothing writes to resources.
    async fn complete_operations(&mut self, part: &Part) -> Result<End, RunError> {
        self.begin(&part.path, Some(0));
        self.end(&part.path, Instant::now(), &End::Complete);
        self.save().await?;
        Ok(End::Complete)
    }

    /// Begins a part, and tells whoever watches.
    pub(crate) fn begin(&mut self, path: &str, expected: Option<u64>) {
        self.done = 0;
        let activity = self.record.realization.activity(path);
        // What broke it off before is over.
        activity.status = if activity.progress.failure > 0 { Status::PartialError } else { Status::Success };
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

    /// The report of a part so far.
    pub(crate) fn report(&mut self, part: &Part) -> &mut ActivityReport {
        self.record.realization.activity(&part.path)
    }

    /// Whether somebody wants the run to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.control.cancel.is_cancelled()
    }

    /// Synchronizes objects and commits them, in order. Gives the end of the part if a failure is one.
    pub(crate) async fn work(&mut self, part: &Part, work: Work) -> Result<Option<End>, RunError> {
        let worked = self.work_with(part, &work, OnStop::Commit, &|_, _| {}).await?;
        Ok(worked.stop.map(|stop| stop.end))
    }

    /// Synchronizes objects and commits them, in order, until a failure ends the part.
    ///
    /// `mark` adds to a batch what holds once so many of the objects, from the first, are settled.
    pub(crate) async fn work_with(
        &mut self,
        part: &Part,
        work: &Work,
        on_stop: OnStop,
        mark: Mark<'_>,
    ) -> Result<Worked, RunError> {
        let all = work.len();
        if part.mode == Mode::None {
            let mut statistics = Statistics::default();
            statistics.passed_many(Passage::default(), Outcome::Skip, all as u64);
            let decided = Decided {
                batch: Batch::default(),
                statistics,
                taken: all,
                failed: Vec::new(),
                tally: self.tally.clone(),
                stop: None,
            };
            self.commit(part, decided).await?;
            return Ok(Worked { settled: all, stop: None });
        }
        let (mut start, mut size) = (0, all);
        let mut refused: Option<ItemError> = None;
        let mut attempts = 0;
        while start < all {
            let end = all.min(start + size);
            let anew = attempts > 0 || refused.is_some();
            let given = Circumstances { indexed: &self.indexed, refused: refused.as_ref(), tally: &self.tally, anew };
            let mut decided = work.decide(part, given, start..end).await?;
            let (taken, stop) = (decided.taken, decided.stop.take());
            if stop.is_some() && on_stop == OnStop::Hold {
                if taken <= 1 {
                    return Ok(Worked { settled: start, stop });
                }
                // Those before it are committed without it.
                size = taken - 1;
                continue;
            }
            let settled = start + taken - usize::from(stop.is_some());
            mark(settled, &mut decided.batch);
            match self.commit(part, decided).await {
                Ok(()) => {
                    // What comes behind a cut is for whoever gave the changes to give again, in portions that are decided whole.
                    let is_cut = taken < end - start && !part.meets_once() && matches!(work, Work::Found(_));
                    start += taken;
                    (size, refused, attempts) = (all, None, 0);
                    if stop.is_some() || is_cut || work.depends_on_stored(start) {
                        return Ok(Worked { settled, stop });
                    }
                }
                // One object spoils the transaction of all: narrow down which, so that it fails alone.
                Err(error) if is_about_objects(&error) && end - start > 1 => size = (end - start) / 2,
                Err(error) if error.kind() == tidelock_repo::ErrorKind::Conflict && attempts < MOST_ATTEMPTS => attempts += 1,
                Err(error) if is_about_objects(&error) => {
                    let error = ItemError::new(Category::Application, error.to_string());
                    if refused.is_some() {
                        let mut decided = failed_alone(part, &self.tally, work, start, &error);
                        let stop = decided.stop.take();
                        if stop.is_some() && on_stop == OnStop::Hold {
                            return Ok(Worked { settled: start, stop });
                        }
                        let settled = start + usize::from(stop.is_none());
                        mark(settled, &mut decided.batch);
                        self.commit(part, decided).await?;
                        if stop.is_some() {
                            return Ok(Worked { settled, stop });
                        }
                        start += 1;
                        if work.depends_on_stored(start) {
                            return Ok(Worked { settled, stop: None });
                        }
                        (size, refused, attempts) = (all, None, 0);
                    } else {
                        refused = Some(error);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Worked { settled: all, stop: None })
    }

    /// Commits a batch that is of no object.
    pub(crate) async fn commit_alone(&mut self, part: &Part, batch: Batch) -> Result<(), tidelock_repo::Error> {
        let decided = Decided {
            batch,
            statistics: Statistics::default(),
            taken: 0,
            failed: Vec::new(),
            tally: self.tally.clone(),
            stop: None,
        };
        self.commit(part, decided).await
    }

    /// Commits what was decided together with the state of the task that has it counted.
    async fn commit(&mut self, part: &Part, decided: Decided) -> Result<(), tidelock_repo::Error> {
        let (batch, count) = self.count(part, decided);
        self.engine.repo.commit(batch).await?;
        self.have_counted(part, count);
        Ok(())
    }

    /// Decides about all these objects at once, given the failures before them. None where that needs more than one commit.
    pub(crate) async fn decide_whole(
        &self,
        part: &Part,
        work: &Work,
        tally: &Tally,
    ) -> Result<Option<Decided>, tidelock_repo::Error> {
        let given = Circumstances { indexed: &self.indexed, refused: None, tally, anew: false };
        let decided = work.decide(part, given, 0..work.len()).await?;
        Ok(Some(decided).filter(|decided| decided.taken == work.len() && decided.stop.is_none()))
    }

    /// The failures so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins to commit what was decided. Nothing else may be committed until that has ended.
    pub(crate) fn begin_commit(&self, part: &Part, decided: Decided) -> Commit {
        let (batch, count) = self.count(part, decided);
        let effects = Effects::of(&batch);
        let repo = Arc::clone(&self.engine.repo);
        let mut task = JoinSet::new();
        task.spawn(async move { repo.commit(batch).await });
        Commit { task, outcome: None, effects, count }
    }

    /// Waits until a commit has ended. Gives the error where it is about the objects, which then can be committed in another way.
    pub(crate) async fn end_commit(&mut self, part: &Part, mut commit: Commit) -> Result<Option<tidelock_repo::Error>, RunError> {
        commit.ends().await;
        match commit.outcome {
            Some(Ok(())) => {
                self.have_counted(part, commit.count);
                Ok(None)
            }
            Some(Err(error)) if is_about_objects(&error) => Ok(Some(error)),
            Some(Err(error)) => Err(error.into()),
            None => Ok(None),
        }
    }

    /// What is to be committed, with the state of the task that has it counted.
    fn count(&self, part: &Part, mut decided: Decided) -> (Batch, Counted) {
        let mut record = self.record.clone();
        let activity = record.realization.activity(&part.path);
        decided.statistics.add_to(activity);
        if let Some(token) = &decided.batch.token {
            activity.token.get_or_insert_default().after = token.value.as_deref().map(token_text);
        }
        decided.batch.task_state = Some((self.task.clone(), record.to_text()));
        let touch = (!part.meets_once()).then(|| Touch::of(&decided.batch));
        (decided.batch, Counted { record, tally: decided.tally, objects: decided.statistics.total(), touch })
    }

    fn have_counted(&mut self, part: &Part, count: Counted) {
        if let Some(touch) = count.touch {
            part.commits.add(touch);
        }
        self.record = count.record;
        self.tally = count.tally;
        self.done += count.objects;
        self.control.progress.advance(self.done);
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
        self.engine.repo = Arc::clone(&self.home);
        self.save().await?;
        Ok(RunReport {
            task: TaskRef { oid: Some(self.task.to_string()), name: prepared.task_name.clone() },
            activity: prepared.outline.activity.clone(),
            mode: prepared.mode,
            status,
            run_status,
            task_state,
            progress,
            activities,
            resumed: self.record.resumed,
            error,
            diagnostics: prepared.diagnostics().iter().cloned().chain(self.notes).collect(),
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
            ErrorKind::TokenExpired => (
                RunStatus::PermanentError,
                "token-expired",
                "`tidelock token reset TASK`, run this task once, so that it takes a new position, and then a reconciliation, which finds what was missed",
            ),
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
