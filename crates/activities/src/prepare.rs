//! Making a task ready to run: everything that can be wrong with its definitions is found here.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use async_trait::async_trait;
use tidelock_connector_api::{Connector, ErrorKind, TokenPrecision};
use tidelock_model::definition::{Activity, AdministrativeAvailability, Resource, ResourceObjectSet, Task, Work};
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, Severity, Timestamp};
use tidelock_repo::{IndexedItem, OperationStatus, ResultFilter};
use tidelock_resolver::channel::Channel;
use tidelock_resolver::object_set::{self, ActivityKind, FailedObjects, ObjectSet, Profile};
use tidelock_resolver::policy::ResourcePolicy;
use tidelock_resolver::{cached, compile, correlate, fingerprint};

use crate::ahead::Commits;
use crate::connectors::{OpenError, ResourceEntry};
use crate::engine::Engine;
use crate::error::RunError;
use crate::error_handling::ErrorHandling;
use crate::part::{self, Part};
use crate::plan::{Outline, Plan, PlannedStep, plan};
use crate::report::{ActivityReport, Counts, Mode, RunReport, RunStatus, Status, TaskRef, TaskState};
use crate::run::{End, Run};
use crate::tokens::{Following, Pace, Position};
use crate::trigger_scan::{self, Scan};
use crate::unused;

/// How many objects make a chunk, unless somebody says otherwise.
const CHUNK: usize = 1000;

/// The largest chunk: what is in flight stays small whatever is asked for.
const LARGEST_CHUNK: usize = 20_000;

/// Where the definitions that a task refers to are found.
#[async_trait]
pub trait Definitions: Send + Sync {
    /// The resource with this OID, or none.
    ///
    /// # Errors
    /// Failures of the repository.
    async fn resource(&self, oid: &Oid) -> Result<Option<ResourceEntry>, tidelock_repo::Error>;
}

/// What changes how a task runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The rules by which object sets are resolved.
    pub profile: Profile,
    /// The mode; none leaves it to the task.
    pub mode: Option<Mode>,
    /// How many workers; none leaves it to the task.
    pub workers: Option<usize>,
    /// How many objects make a chunk; none is the default.
    pub chunk: Option<usize>,
    /// Whether it shall only be said what would be done: what the resource cannot do is no error then.
    pub explaining: bool,
}

/// A task that can run.
pub struct Prepared {
    pub(crate) task_name: String,
    pub(crate) mode: Mode,
    pub(crate) outline: Outline,
    pub(crate) steps: Vec<Step>,
    pub(crate) profile: Profile,
    task_oid: Option<Oid>,
    pub(crate) chunk: usize,
    diagnostics: Diagnostics,
}

/// One activity that does something, with the objects it is for.
pub(crate) struct Step {
    /// Where it is among the activities of the task.
    pub(crate) path: Arc<str>,
    /// The path of the activity that it is a part of, or its own.
    pub(crate) group: Arc<str>,
    pub(crate) activity: ActivityKind,
    pub(crate) mode: Mode,
    /// Whether it is left out.
    pub(crate) skipped: bool,
    /// How old shadows are that a cleanup is for.
    pub(crate) interval: Option<tidelock_model::definition::Duration>,
    /// How changes are followed, by activities that take them over; none where the resource cannot be used now.
    pub(crate) following: Option<Following>,
    /// The objects as the definition has them.
    pub(crate) given: ResourceObjectSet,
    /// Where to find them.
    pub(crate) reach: Reach,
    workers: usize,
    errors: ErrorHandling,
}

/// Where the objects of a step are.
pub(crate) enum Reach {
    /// On a resource; or why they cannot be found there now.
    Resource(Result<StepScope, Unusable>),
    /// Wherever one is due to be tried again.
    Due(Scan),
}

/// The objects of a step.
pub(crate) struct StepScope {
    pub(crate) target: Arc<Target>,
    pub(crate) set: ObjectSet,
}

/// A resource that is opened.
pub(crate) struct Target {
    pub(crate) oid: Oid,
    pub(crate) resource: Resource,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) policy: Arc<ResourcePolicy>,
}

/// Why a resource cannot be used now. Its definition is not at fault.
#[derive(Clone, Debug)]
pub(crate) struct Unusable {
    pub(crate) status: Status,
    pub(crate) run_status: RunStatus,
    pub(crate) error: Diagnostic,
}

/// Finds the resources, opens their connectors, reads their schemas, compiles their policies and resolves the object set of
/// every step. Stores nothing.
///
/// # Errors
/// [`RunError::Definition`] for wrong definitions; [`RunError::NotBegun`] where the resource of the first step cannot be used
/// now. That of a later one may be back by then, or not.
pub async fn prepare(
    engine: &Engine,
    definitions: &dyn Definitions,
    task: &Task,
    options: &Options,
) -> Result<Prepared, RunError> {
    let mut diagnostics = Diagnostics::new();
    let modern = task.modern();
    if let Some(modern) = &modern {
        diagnostics.extend(modern.diagnostics.iter().cloned());
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(RunError::definition(diagnostics));
        }
    }
    let task = modern.as_ref().map_or(task, |modern| &modern.task);
    unused::report_task(task, &mut diagnostics);
    let planned = activity(task).and_then(|activity| plan(activity, options.mode, options.workers, &mut diagnostics));
    let Plan { outline, steps: planned, mode } = planned.map_err(|error| refused(&mut diagnostics, error))?;
    let task_name = task.name.as_ref().map_or_else(String::new, |name| name.value.clone());
    let task_oid = task.oid.as_ref().map(|oid| oid.value.clone());

    let mut opening = Opening { engine, definitions, explaining: options.explaining, opened: Vec::new() };
    let mut steps = Vec::with_capacity(planned.len());
    for planned in planned {
        let step = opening.step(planned, options.profile, &mut diagnostics).await?;
        if let Some(unusable) = step.reach.unusable()
            && !step.skipped
            && steps.iter().all(|step: &Step| step.skipped)
        {
            return Err(RunError::NotBegun(Box::new(RunReport {
                task: TaskRef { oid: task_oid.as_ref().map(ToString::to_string), name: task_name },
                activity: outline.activity,
                mode,
                status: unusable.status,
                run_status: unusable.run_status,
                task_state: TaskState::Suspended,
                progress: Counts::default(),
                activities: vec![ActivityReport {
                    path: step.path.to_string(),
                    status: unusable.status,
                    ..ActivityReport::default()
                }],
                resumed: false,
                error: Some(unusable.error.clone()),
                diagnostics,
            })));
        }
        steps.push(step);
    }
    Ok(Prepared {
        task_name,
        mode,
        outline,
        steps,
        profile: options.profile,
        task_oid,
        chunk: options.chunk.unwrap_or(CHUNK).clamp(1, LARGEST_CHUNK),
        diagnostics,
    })
}

/// The refusal of a task for this, after what was found before.
fn refused(diagnostics: &mut Diagnostics, error: Diagnostic) -> RunError {
    diagnostics.push(error);
    RunError::definition(std::mem::take(diagnostics))
}

fn left_behind(oid: &Oid, place: &Place) -> Diagnostic {
    let message = format!("objects are due to be tried again whose resource, with OID {oid}, is not defined any more");
    Diagnostic::warning("unknown-resource", place, message).with_help("apply the resource's definition; they wait for it")
}

fn unknown_resource(oid: &Oid, place: &Place) -> Diagnostic {
    Diagnostic::error("unknown-resource", place, format!("there is no resource with OID {oid}"))
        .with_help("apply the resource's definition first (`tidelock apply FILE`), or put it into the same file")
}

fn activity(task: &Task) -> Result<&Activity, Diagnostic> {
    task.activity.as_ref().ok_or_else(|| {
        let error = Diagnostic::error("no-activity", &task.place, "the task has no activity");
        match &task.handler_uri {
            Some(handler) => error.with_help(format!(
                "'handlerUri' is the form of midPoint 4.3, and this one is not known; say what is to be done in 'activity' and its 'work' instead (it is at {})",
                handler.place
            )),
            None => {
                error.with_help("add an 'activity', and in it a 'work' with what is to be done, such as an 'import'")
            }
        }
    })
}

fn in_maintenance(resource: &Resource) -> Option<&Place> {
    let status = resource.administrative_operational_state.as_ref()?.administrative_availability_status.as_ref()?;
    (status.value == AdministrativeAvailability::Maintenance).then_some(&status.place)
}

/// The resources that are opened so far.
struct Opening<'e> {
    engine: &'e Engine,
    definitions: &'e dyn Definitions,
    explaining: bool,
    opened: Vec<(Oid, Result<Arc<Target>, Unusable>)>,
}

impl Opening<'_> {
    async fn step(
        &mut self,
        planned: PlannedStep<'_>,
        profile: Profile,
        diagnostics: &mut Diagnostics,
    ) -> Result<Step, RunError> {
        let PlannedStep { path, group, activity, work, mode, skipped, workers, errors } = planned;
        if activity == ActivityKind::TriggerScan {
            let given = work.objects.clone().unwrap_or_default();
            let reach = Reach::Due(self.scan(&work.place, &given, profile, diagnostics).await?);
            let (path, group) = (path.into(), group.into());
            let (interval, following) = (None, None);
            return Ok(Step { path, group, activity, mode, skipped, interval, following, given, reach, workers, errors });
        }
        let given = work.objects.clone().ok_or_else(|| refused(diagnostics, object_set::no_resource(&work.place)))?;
        let oid = object_set::resource_oid(&given).map_err(|error| refused(diagnostics, error))?.clone();
        let interval = work.interval.as_ref().map(|interval| interval.value.clone());
        if activity == ActivityKind::ShadowCleanup && interval.is_none() {
            let error = Diagnostic::error("no-interval", &work.place, "the cleanup does not say how old shadows must be")
                .with_help("add 'interval', such as P30D: shadows that were not met for so long are looked after");
            return Err(refused(diagnostics, error));
        }
        let pace = Pace::new(work, mode).map_err(|error| refused(diagnostics, error))?;
        let mut following = None;
        let place = given.resource_ref.as_ref().map_or(&given.place, |reference| &reference.place).clone();
        let scope = match self.target(&oid, &place, diagnostics).await? {
            Err(unusable) => Err(unusable),
            Ok(target) => {
                let set = resolve(activity, &given, &target.policy, profile, diagnostics)?;
                if let Err(error) =
                    can_follow(activity, &target, &set, work, &given).and_then(|()| can_retry(activity, &target, &errors))
                {
                    if !self.explaining {
                        return Err(refused(diagnostics, error));
                    }
                    // Which objects are meant can be said all the same.
                    diagnostics.push(Diagnostic { severity: Severity::Warning, ..error });
                }
                following = pace.map(|pace| pace.from(Position::new(activity, &given, &set, &target)));
                Ok(StepScope { target, set })
            }
        };
        let (path, group) = (path.into(), group.into());
        let reach = Reach::Resource(scope);
        Ok(Step { path, group, activity, mode, skipped, interval, following, given, reach, workers, errors })
    }

    /// A scan of triggers is for one resource if its set names one, else for all that have something due.
    async fn scan(
        &mut self,
        place: &Place,
        given: &ResourceObjectSet,
        profile: Profile,
        diagnostics: &mut Diagnostics,
    ) -> Result<Scan, RunError> {
        let until = self.engine.clock.now();
        // Nothing but the resource counts, so that its definition is not asked.
        let set = resolve(ActivityKind::TriggerScan, given, &ResourcePolicy::default(), profile, diagnostics)?;
        if let Some(reference) = &given.resource_ref {
            let oid = object_set::resource_oid(given).map_err(|error| refused(diagnostics, error))?;
            let target = self.target(oid, &reference.place, diagnostics).await?;
            let scope = target.map(|target| StepScope { target, set: set.clone() });
            return Ok(Scan { until, set, resources: vec![(oid.clone(), scope)] });
        }
        let mut resources = Vec::new();
        for oid in trigger_scan::resources(&*self.engine.repo, until).await? {
            let scope = match self.target(&oid, place, diagnostics).await {
                Ok(target) => target.map(|target| StepScope { target, set: set.clone() }),
                Err(RunError::Definition { error, diagnostics: found }) => {
                    diagnostics.extend(found.into_iter().filter(|d| !d.is_error()));
                    if error.code == "unknown-resource" {
                        diagnostics.push(left_behind(&oid, place));
                        continue;
                    }
                    // One wrong definition does not keep the objects of other resources waiting.
                    Err(Unusable { status: Status::FatalError, run_status: RunStatus::PermanentError, error: *error })
                }
                Err(other) => return Err(other),
            };
            resources.push((oid, scope));
        }
        Ok(Scan { until, set, resources })
    }

    async fn target(
        &mut self,
        oid: &Oid,
        place: &Place,
        diagnostics: &mut Diagnostics,
    ) -> Result<Result<Arc<Target>, Unusable>, RunError> {
        if let Some((_, target)) = self.opened.iter().find(|(known, _)| known == oid) {
            return Ok(target.clone());
        }
        let entry = self.definitions.resource(oid).await?;
        let entry = entry.ok_or_else(|| refused(diagnostics, unknown_resource(oid, place)))?;
        let target = self.open(oid, entry, diagnostics).await?.map(Arc::new);
        self.opened.push((oid.clone(), target.clone()));
        Ok(target)
    }

    async fn open(
        &self,
        oid: &Oid,
        entry: ResourceEntry,
        diagnostics: &mut Diagnostics,
    ) -> Result<Result<Target, Unusable>, RunError> {
        let resource = &entry.definition;
        if let Some(status) = in_maintenance(resource) {
            let error = Diagnostic::warning("resource-in-maintenance", status, "the resource is in maintenance")
                .with_help("run the task again when 'administrativeAvailabilityStatus' is 'operational'");
            return Ok(Err(Unusable { status: Status::Warning, run_status: RunStatus::TemporaryError, error }));
        }
        let connector = match self.engine.connectors.open(&entry).await {
            Ok((connector, warnings)) => {
                diagnostics.extend(warnings);
                connector
            }
            Err(OpenError::Definition(found)) => {
                diagnostics.extend(found);
                return Err(RunError::definition(std::mem::take(diagnostics)));
            }
            Err(OpenError::Connector(error)) => return unusable(resource, &error, diagnostics).map(Err),
        };
        let schema = match connector.schema().await {
            Ok(schema) => schema,
            Err(error) => return unusable(resource, &error, diagnostics).map(Err),
        };
        let (policy, found) = compile::compile(resource, &schema);
        diagnostics.extend(found);
        let Some(policy) = policy else { return Err(RunError::definition(std::mem::take(diagnostics))) };
        Ok(Ok(Target { oid: oid.clone(), resource: entry.definition, connector, policy: Arc::new(policy) }))
    }
}

/// What an error of a resource means: it is the definition's if the configuration is why.
fn unusable(
    resource: &Resource,
    error: &tidelock_connector_api::Error,
    diagnostics: &mut Diagnostics,
) -> Result<Unusable, RunError> {
    let place = connection_place(resource);
    match End::of_error(error, place) {
        End::Broken(_, diagnostic) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported) => {
            Err(refused(diagnostics, *diagnostic))
        }
        End::Broken(run_status, error) => Ok(Unusable { status: Status::FatalError, run_status, error: *error }),
        End::Complete | End::Interrupted => {
            Err(refused(diagnostics, Diagnostic::error("resource-error", place, error.full_message())))
        }
    }
}

fn connection_place(resource: &Resource) -> &Place {
    resource.connector_configuration.as_ref().map_or(&resource.place, |configuration| &configuration.place)
}

fn resolve(
    activity: ActivityKind,
    given: &ResourceObjectSet,
    policy: &ResourcePolicy,
    profile: Profile,
    diagnostics: &mut Diagnostics,
) -> Result<ObjectSet, RunError> {
    let mut set = match object_set::resolve(activity, given, policy, profile) {
        Ok(set) => set,
        Err(found) => {
            diagnostics.extend(found);
            return Err(RunError::definition(std::mem::take(diagnostics)));
        }
    };
    let options = given.search_options.as_ref().map_or(&given.place, |options| &options.place);
    if set.no_fetch && activity == ActivityKind::ShadowReclassification {
        // Shadows do not keep what their classification depends on.
        set.no_fetch = false;
        let message = "'noFetch' has no effect on shadowReclassification: objects are read, and then classified";
        set.diagnostics.push(Diagnostic::warning("ignored-item", options, message).with_help("remove 'noFetch'"));
    }
    if set.no_fetch && matches!(activity, ActivityKind::Import | ActivityKind::ResourceObjects) {
        warn_of_gaps(&mut set, policy, options);
    }
    // What is said of one step need not be said of the next.
    for diagnostic in &set.diagnostics {
        if !diagnostics.contains(diagnostic) {
            diagnostics.push(diagnostic.clone());
        }
    }
    Ok(set)
}

/// Whether a resource tells of changes as an activity needs them.
fn can_follow(
    activity: ActivityKind,
    target: &Target,
    set: &ObjectSet,
    work: &Work,
    given: &ResourceObjectSet,
) -> Result<(), Diagnostic> {
    let place = given.resource_ref.as_ref().map_or(&given.place, |reference| &reference.place);
    let name = name_of(target);
    if activity == ActivityKind::AsynchronousUpdate && target.connector.async_updates().is_none() {
        let message = format!("the resource '{name}' does not send changes");
        return Err(Diagnostic::error("not-supported", place, message).with_help(
            "use a liveSynchronization or a reconciliation, or add a connector to the resource that listens to a queue of changes",
        ));
    }
    if activity != ActivityKind::LiveSynchronization {
        return Ok(());
    }
    let Some(live) = target.connector.live_sync() else {
        let message = format!("the resource '{name}' cannot say what has changed since the last time");
        return Err(Diagnostic::error("not-supported", place, message)
            .with_help("use a reconciliation, or configure the connector so that it can (see its documentation)"));
    };
    if set.class.is_none() && !live.all_classes() {
        let message = format!("the resource '{name}' says what has changed for one object class at a time");
        return Err(Diagnostic::error("no-object-class", &given.place, message)
            .with_help("add 'kind' and 'intent' of an object type, or 'objectclass'"));
    }
    let batch = work.batch_size.as_ref().filter(|size| size.value > 0);
    if let Some(size) = batch.filter(|_| live.token_precision() == TokenPrecision::EndOfRun) {
        let message = format!("'batchSize' cannot be used: the resource '{name}' can only go on after all changes of a run");
        return Err(Diagnostic::error("batch-size-without-precise-token", &size.place, message).with_help("remove 'batchSize'"));
    }
    Ok(())
}

/// Whether an object that fails can be tried again later, where that is wanted. It is read for that; the change that failed is not
/// kept.
fn can_retry(activity: ActivityKind, target: &Target, errors: &ErrorHandling) -> Result<(), Diagnostic> {
    let follows = matches!(activity, ActivityKind::LiveSynchronization | ActivityKind::AsynchronousUpdate);
    let Some(place) = errors.retried_at().filter(|_| follows && !target.connector.can_read()) else { return Ok(()) };
    let name = name_of(target);
    let message = format!(
        "'retryLater' cannot be used: objects of the resource '{name}' cannot be read, so that a change that failed would be lost"
    );
    Err(Diagnostic::error("retry-without-read", place, message).with_help(
        "let the source keep the message: remove 'retryLater', and say 'retry' or 'skipUpdate' in the 'errorHandlingAction' of the \
         connector; or make the queue the 'additionalConnector' of a resource whose objects can be read",
    ))
}

/// What people call a resource.
fn name_of(target: &Target) -> String {
    target.resource.name.as_ref().map_or_else(|| target.oid.to_string(), |name| name.value.clone())
}

/// Objects that are not read are known by what their shadows keep, and that may be too little to react to.
fn warn_of_gaps(set: &mut ObjectSet, policy: &ResourcePolicy, place: &Place) {
    let concerned = policy.types.iter().filter(|type_| set.class.as_ref().is_none_or(|class| class.name == type_.class.name));
    for type_ in concerned {
        let missing = cached::missing(type_);
        if !missing.is_empty() {
            let message = format!(
                "with 'noFetch', objects of {} are not reacted to: their shadows do not keep {}",
                type_.id,
                missing.join(", ")
            );
            set.diagnostics.push(
                Diagnostic::warning("not-cached", place, message)
                    .with_help("let the resource cache these attributes ('caching'), or remove 'noFetch'"),
            );
        }
    }
}

impl Prepared {
    /// Warnings about the definitions.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The OID that the task's definition has.
    #[must_use]
    pub fn task_oid(&self) -> Option<&Oid> {
        self.task_oid.as_ref()
    }

    /// How far changes have been taken over, for each activity that does that, in their order; each position once.
    ///
    /// # Errors
    /// Why that cannot be said now: a resource cannot be used.
    pub fn positions(&self) -> Result<Vec<&Position>, &Diagnostic> {
        let mut positions: Vec<&Position> = Vec::new();
        for step in self.steps.iter().filter(|step| step.follows()) {
            if let Some(unusable) = step.reach.unusable() {
                return Err(&unusable.error);
            }
            let position = step.following.as_ref().map(|following| &following.position);
            positions.extend(position.filter(|position| positions.iter().all(|known| known.key != position.key)));
        }
        Ok(positions)
    }

    /// What is done, to which objects, as text: a realization goes on only for the same.
    pub(crate) fn set_text(&self) -> String {
        let mut text = self.profile.as_str().to_owned();
        for step in self.steps.iter().filter(|step| !step.skipped) {
            let query = match &step.reach {
                Reach::Resource(Ok(scope)) => scope.set.query.as_deref().unwrap_or(&scope.set.base_query),
                Reach::Resource(Err(_)) => "",
                Reach::Due(scan) => &scan.set.base_query,
            };
            text = format!("{text} | {} {} {query}", step.path, step.activity.as_str());
        }
        text
    }

    /// A step's surroundings, ready to run.
    pub(crate) fn part(&self, run: &Run<'_>, step: &Step, scope: &StepScope) -> Arc<Part> {
        let StepScope { target, set } = scope;
        let purpose = format!("{:?}", set.post_filter);
        let (asked, residual) = part::divide(&*target.connector, set);
        let channel = channel(step.activity);
        let started = run.record.realization.started_at(&step.group);
        Arc::new(Part {
            engine: run.engine.clone(),
            connector: Arc::clone(&target.connector),
            resource: target.oid.clone(),
            policy: Arc::clone(&target.policy),
            task: run.task.clone(),
            path: Arc::clone(&step.path),
            activity: step.activity,
            place: connection_place(&target.resource).clone(),
            asked,
            residual,
            results: set.failed.as_ref().map(|failed| result_filter(failed, &run.task, run.began)),
            set: set.clone(),
            channel,
            mode: step.mode,
            errors: step.errors.clone(),
            run: run.number,
            salt: fingerprint::salt(&target.policy, channel).with(&purpose),
            chunk: self.chunk,
            workers: step.workers,
            commits: Commits::default(),
            started,
            latest_mark: AtomicI64::new(started.as_millis().saturating_add(1)),
        })
    }
}

impl Step {
    /// Whether it takes over changes.
    pub(crate) const fn follows(&self) -> bool {
        matches!(self.activity, ActivityKind::LiveSynchronization | ActivityKind::AsynchronousUpdate)
    }
}

impl Reach {
    /// Why there is nothing that could be begun with now.
    fn unusable(&self) -> Option<&Unusable> {
        match self {
            Self::Resource(scope) => scope.as_ref().err(),
            Self::Due(scan) if scan.resources.iter().any(|(_, scope)| scope.is_ok()) => None,
            Self::Due(scan) => scan.resources.first().and_then(|(_, scope)| scope.as_ref().err()),
        }
    }
}

impl StepScope {
    /// The items that foci are found by.
    pub(crate) fn indexed_items(&self) -> Vec<IndexedItem> {
        let indexed = correlate::indexed_items(&self.target.policy).into_iter();
        indexed.map(|(focus_type, path, rule)| IndexedItem { focus_type, path, rule }).collect()
    }
}

const fn channel(activity: ActivityKind) -> Channel {
    match activity {
        ActivityKind::Import => Channel::Import,
        ActivityKind::ShadowReclassification => Channel::ShadowReclassification,
        ActivityKind::ShadowCleanup => Channel::Cleanup,
        ActivityKind::LiveSynchronization => Channel::LiveSync,
        ActivityKind::AsynchronousUpdate => Channel::AsyncUpdate,
        ActivityKind::OperationCompletion
        | ActivityKind::ResourceObjects
        | ActivityKind::RemainingShadows
        | ActivityKind::ShadowRefresh
        | ActivityKind::TriggerScan => Channel::Reconciliation,
    }
}

/// The results that a selection of failed objects is about. Those of this very run are not, unless it is asked for them.
fn result_filter(failed: &FailedObjects, task: &Oid, began: Timestamp) -> ResultFilter {
    use tidelock_model::definition::OperationStatus as Defined;
    let statuses = failed.statuses.iter().filter_map(|status| match status {
        Defined::Success => Some(OperationStatus::Success),
        Defined::Warning => Some(OperationStatus::Warning),
        Defined::PartialError => Some(OperationStatus::PartialError),
        Defined::FatalError => Some(OperationStatus::FatalError),
        // No result has another status.
        _ => None,
    });
    let own = failed.tasks.is_empty();
    ResultFilter {
        tasks: if own { vec![task.clone()] } else { failed.tasks.clone() },
        statuses: statuses.collect(),
        from: failed.from,
        to: failed.to.or(own.then_some(began)),
    }
}
