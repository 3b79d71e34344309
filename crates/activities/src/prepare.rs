//! Making a task ready to run: everything that can be wrong with its definitions is found here.

use std::sync::Arc;

use async_trait::async_trait;
use tidelock_connector_api::{Connector, ErrorKind, SearchRequest};
use tidelock_model::definition::{
    Activity, AdministrativeAvailability, ExecutionMode, PredefinedConfiguration, ProcessingOption, Resource, ResourceObjectSet,
    Task, Work, WorkKind,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::name::ns;
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, Timestamp};
use tidelock_repo::IndexedItem;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::object_set::{self, ActivityKind, ObjectSet, Profile, Scope};
use tidelock_resolver::policy::ResourcePolicy;
use tidelock_resolver::{compile, correlate, fingerprint};

use crate::connectors::{OpenError, ResourceEntry};
use crate::engine::Engine;
use crate::error::RunError;
use crate::explain::{ClassName, Explanation, Given, Named, TypeName};
use crate::part::Part;
use crate::reconciliation;
use crate::report::{ActivityReport, Counts, Mode, RunReport, RunStatus, Status, TaskRef, TaskState};
use crate::run::{End, Run};

/// How many objects make a chunk, unless somebody says otherwise.
const CHUNK: usize = 1000;

/// The largest chunk: what is in flight stays small whatever is asked for.
const LARGEST_CHUNK: usize = 20_000;

/// The most workers.
const MOST_WORKERS: usize = 64;

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
}

/// A task that can run.
pub struct Prepared {
    pub(crate) task_name: String,
    pub(crate) kind: Kind,
    pub(crate) mode: Mode,
    task_oid: Option<Oid>,
    profile: Profile,
    chunk: usize,
    workers: usize,
    given: ResourceObjectSet,
    resource: Resource,
    resource_oid: Oid,
    connector: Arc<dyn Connector>,
    policy: Arc<ResourcePolicy>,
    parts: Vec<PreparedPart>,
    diagnostics: Diagnostics,
}

/// The activities that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Import,
    Reconciliation,
}

/// One part of an activity, with the objects it is for.
struct PreparedPart {
    path: &'static str,
    activity: ActivityKind,
    set: ObjectSet,
    skipped: bool,
}

/// Finds the resource, opens its connector, reads its schema, compiles its policy and resolves the object set of every
/// part. Stores nothing.
///
/// # Errors
/// [`RunError::Definition`] for wrong definitions; [`RunError::NotBegun`] where the resource cannot be used now.
pub async fn prepare(
    engine: &Engine,
    definitions: &dyn Definitions,
    task: &Task,
    options: &Options,
) -> Result<Prepared, RunError> {
    let mut diagnostics = Diagnostics::new();
    let activity = activity(task)?;
    let (work, kind) = work(activity)?;
    let mode = match options.mode {
        Some(mode) => mode,
        None => mode(activity)?,
    };
    let task_ref = TaskRef {
        oid: task.oid.as_ref().map(|oid| oid.value.to_string()),
        name: task.name.as_ref().map_or_else(String::new, |name| name.value.clone()),
    };
    let not_begun = |run_status, status, error: Diagnostic, diagnostics: &Diagnostics| {
        RunError::NotBegun(Box::new(RunReport {
            task: task_ref.clone(),
            activity: kind.as_str().to_owned(),
            mode,
            status,
            run_status,
            task_state: TaskState::Suspended,
            progress: Counts::default(),
            activities: vec![ActivityReport { path: kind.paths()[0].to_owned(), status, ..ActivityReport::default() }],
            error: Some(error),
            diagnostics: diagnostics.clone(),
        }))
    };

    let given = work.objects.clone().ok_or_else(|| one(object_set::no_resource(&work.place)))?;
    let resource_oid = object_set::resource_oid(&given).map_err(one)?.clone();
    let reference_place = given.resource_ref.as_ref().map_or(&given.place, |reference| &reference.place);
    let entry =
        definitions.resource(&resource_oid).await?.ok_or_else(|| one(unknown_resource(&resource_oid, reference_place)))?;
    let resource = &entry.definition;
    if let Some(status) = in_maintenance(resource) {
        let error = Diagnostic::warning("resource-in-maintenance", status, "the resource is in maintenance")
            .with_help("run the task again when 'administrativeAvailabilityStatus' is 'operational'");
        return Err(not_begun(RunStatus::TemporaryError, Status::Warning, error, &diagnostics));
    }
    let place = resource.connector_configuration.as_ref().map_or(&resource.place, |configuration| &configuration.place);
    let refused = |error: &tidelock_connector_api::Error, diagnostics: &Diagnostics| match End::of_error(error, place) {
        End::Broken(_, diagnostic) if matches!(error.kind(), ErrorKind::Config | ErrorKind::Unsupported) => one(*diagnostic),
        End::Broken(run_status, diagnostic) => not_begun(run_status, Status::FatalError, *diagnostic, diagnostics),
        End::Complete | End::Interrupted => one(Diagnostic::error("resource-error", place, error.full_message())),
    };
    let connector = match engine.connectors.open(&entry).await {
        Ok((connector, warnings)) => {
            diagnostics.extend(warnings);
            connector
        }
        Err(OpenError::Definition(found)) => return Err(RunError::definition(found)),
        Err(OpenError::Connector(error)) => return Err(refused(&error, &diagnostics)),
    };
    let schema = connector.schema().await.map_err(|error| refused(&error, &diagnostics))?;
    let (policy, found) = compile::compile(resource, &schema);
    diagnostics.extend(found);
    let Some(policy) = policy else { return Err(RunError::definition(diagnostics)) };
    let parts = parts(activity, kind, &given, &policy, options.profile, &mut diagnostics)?;
    for part in &parts {
        if part.set.paging.as_ref().is_some_and(|paging| paging.order_by.is_some()) {
            let message = "'orderBy' is not supported yet: objects come in the order of the resource";
            diagnostics.push(Diagnostic::warning("not-supported", &given.place, message));
            break;
        }
    }
    if let Some(handling) = activity.control_flow.as_ref().and_then(|flow| flow.error_handling.as_ref()) {
        let message = "'errorHandling' is not supported yet: a failed object is recorded, and the run goes on";
        diagnostics.push(Diagnostic::warning("not-supported", &handling.place, message));
    }
    let workers = activity.distribution.as_ref().and_then(|distribution| distribution.worker_threads.as_ref());
    let workers = options.workers.unwrap_or_else(|| workers.and_then(|workers| usize::try_from(workers.value).ok()).unwrap_or(0));
    Ok(Prepared {
        task_name: task_ref.name.clone(),
        task_oid: task.oid.as_ref().map(|oid| oid.value.clone()),
        kind,
        mode,
        profile: options.profile,
        chunk: options.chunk.unwrap_or(CHUNK).clamp(1, LARGEST_CHUNK),
        workers: workers.min(MOST_WORKERS),
        given,
        resource: entry.definition,
        resource_oid,
        connector,
        policy: Arc::new(policy),
        parts,
        diagnostics,
    })
}

/// A failure that one diagnostic says all about.
fn one(diagnostic: Diagnostic) -> RunError {
    RunError::definition(vec![diagnostic])
}

fn unknown_resource(oid: &Oid, place: &Place) -> Diagnostic {
    Diagnostic::error("unknown-resource", place, format!("there is no resource with OID {oid}"))
        .with_help("apply the resource's definition first (`tidelock apply FILE`), or put it into the same file")
}

fn activity(task: &Task) -> Result<&Activity, RunError> {
    task.activity.as_ref().ok_or_else(|| {
        let error = Diagnostic::error("no-activity", &task.place, "the task has no activity");
        one(match &task.handler_uri {
            Some(handler) => error.with_help(format!(
                "'handlerUri' is the form of midPoint 4.3; say <activity><work>…</work></activity> instead (it is at {})",
                handler.place
            )),
            None => {
                error.with_help("add an 'activity' with its 'work', such as <activity><work><import>…</import></work></activity>")
            }
        })
    })
}

fn work(activity: &Activity) -> Result<(&Work, Kind), RunError> {
    if let Some(composition) = &activity.composition {
        return Err(one(Diagnostic::error("not-supported", &composition.place, "compositions of activities cannot be run yet")
            .with_help("make a task of each activity")));
    }
    let work = activity.work.as_ref().ok_or_else(|| {
        one(Diagnostic::error("no-work", &activity.place, "the activity has no work")
            .with_help("add 'work' with an 'import' or a 'reconciliation'"))
    })?;
    let kind = match work.kind {
        WorkKind::Import => Kind::Import,
        WorkKind::Reconciliation => Kind::Reconciliation,
        _ => {
            let message = format!("the activity '{}' cannot be run yet", work.kind.as_str());
            return Err(one(
                Diagnostic::error("not-supported", &work.place, message).with_help("import and reconciliation can be run")
            ));
        }
    };
    Ok((work, kind))
}

fn mode(activity: &Activity) -> Result<Mode, RunError> {
    let execution = activity.execution.as_ref();
    if let Some(configuration) = execution.and_then(|execution| execution.configuration_to_use.as_ref())
        && let Some(predefined) = configuration.predefined.as_ref().filter(|p| p.value == PredefinedConfiguration::Development)
    {
        return Err(one(Diagnostic::error(
            "not-supported",
            &predefined.place,
            "the development configuration cannot be used yet",
        )));
    }
    let mode = execution.and_then(|execution| execution.mode.as_ref()).or(activity.execution_mode.as_ref());
    let Some(mode) = mode else { return Ok(Mode::Full) };
    match mode.value {
        ExecutionMode::Full => Ok(Mode::Full),
        ExecutionMode::Preview => Ok(Mode::Preview),
        ExecutionMode::DryRun => Ok(Mode::DryRun),
        ExecutionMode::None => Ok(Mode::None),
        _ => {
            let message = format!("the execution mode '{}' is not supported yet", mode.value.as_str());
            Err(one(Diagnostic::error("not-supported", &mode.place, message).with_help("full, preview, dryRun and none are")))
        }
    }
}

fn in_maintenance(resource: &Resource) -> Option<&Place> {
    let status = resource.administrative_operational_state.as_ref()?.administrative_availability_status.as_ref()?;
    (status.value == AdministrativeAvailability::Maintenance).then_some(&status.place)
}

fn parts(
    activity: &Activity,
    kind: Kind,
    given: &ResourceObjectSet,
    policy: &ResourcePolicy,
    profile: Profile,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<PreparedPart>, RunError> {
    let mut parts = Vec::new();
    for (path, activity_kind) in kind.paths().into_iter().zip(kind.activities()) {
        match object_set::resolve(activity_kind, given, policy, profile) {
            Ok(set) => {
                // What is said of one part need not be said of the next.
                for diagnostic in &set.diagnostics {
                    if !diagnostics.contains(diagnostic) {
                        diagnostics.push(diagnostic.clone());
                    }
                }
                parts.push(PreparedPart { path, activity: activity_kind, set, skipped: is_skipped(activity, path) });
            }
            Err(found) => {
                diagnostics.extend(found);
                return Err(RunError::definition(std::mem::take(diagnostics)));
            }
        }
    }
    Ok(parts)
}

/// Whether the task's tailoring leaves a part out.
fn is_skipped(activity: &Activity, path: &str) -> bool {
    let changes = activity.tailoring.iter().flat_map(|tailoring| &tailoring.change);
    let mut skipped = false;
    for change in changes.filter(|c| c.reference.is_empty() || c.reference.iter().any(|reference| reference.value == path)) {
        if let Some(option) = change.control_flow.as_ref().and_then(|flow| flow.processing_option.as_ref()) {
            skipped = option.value == ProcessingOption::Skip;
        }
    }
    skipped && !path.is_empty()
}

impl Kind {
    /// The name in definitions and reports.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Reconciliation => "reconciliation",
        }
    }

    fn paths(self) -> Vec<&'static str> {
        match self {
            Self::Import => vec![""],
            Self::Reconciliation => reconciliation::PARTS.to_vec(),
        }
    }

    fn activities(self) -> Vec<ActivityKind> {
        match self {
            Self::Import => vec![ActivityKind::Import],
            Self::Reconciliation => {
                vec![ActivityKind::OperationCompletion, ActivityKind::ResourceObjects, ActivityKind::RemainingShadows]
            }
        }
    }
}

impl Prepared {
    /// Warnings about the definitions.
    #[must_use]
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// The items that foci are found by.
    pub(crate) fn indexed_items(&self) -> Vec<IndexedItem> {
        let indexed = correlate::indexed_items(&self.policy).into_iter();
        indexed.map(|(focus_type, path, rule)| IndexedItem { focus_type, path, rule }).collect()
    }

    /// The object set as text: a realization goes on only for the same one.
    pub(crate) fn set_text(&self) -> String {
        let queries: Vec<&str> =
            self.parts.iter().map(|part| part.set.query.as_deref().unwrap_or(&part.set.base_query)).collect();
        format!("{} {}", self.profile.as_str(), queries.join(" | "))
    }

    /// Whether a part is left out.
    pub(crate) fn is_skipped(&self, at: usize) -> bool {
        self.parts[at].skipped
    }

    /// A part, ready to run.
    pub(crate) fn part(&self, run: &Run<'_>, at: usize, channel: Channel) -> Arc<Part> {
        let part = &self.parts[at];
        let purpose = format!("{:?}", part.set.post_filter);
        let handed_over = part.set.class.as_ref().is_none_or(|class| self.connector.supports(&class.name, &part.set.search));
        Arc::new(Part {
            engine: run.engine.clone(),
            connector: Arc::clone(&self.connector),
            resource: self.resource_oid.clone(),
            policy: Arc::clone(&self.policy),
            place: self.resource.connector_configuration.as_ref().map_or(&self.resource.place, |c| &c.place).clone(),
            task: run.task.clone(),
            path: part.path,
            residual: if handed_over { BoundFilter::All } else { part.set.search.clone() },
            set: part.set.clone(),
            channel,
            mode: self.mode,
            run: run.number,
            salt: fingerprint::salt(&self.policy, channel).with(&purpose),
            chunk: self.chunk,
            workers: self.workers,
            started: Timestamp::from_millis(
                run.record.realization.resource_objects_started.unwrap_or(run.record.realization.started),
            ),
        })
    }

    pub(crate) fn explanation(&self) -> Explanation {
        let mut parts = self.parts.iter().map(|part| self.explain_part(part));
        match self.kind {
            Kind::Import => parts.next().unwrap_or_default(),
            Kind::Reconciliation => {
                // What people ask about is which objects of the resource are meant.
                let parts: Vec<_> = parts.collect();
                let main = parts.iter().find(|part| part.activity == "resourceObjects").cloned().unwrap_or_default();
                Explanation { activity: self.kind.as_str().to_owned(), activities: parts, ..main }
            }
        }
    }

    fn explain_part(&self, part: &PreparedPart) -> Explanation {
        let set = &part.set;
        let searches = matches!(part.activity, ActivityKind::Import | ActivityKind::ResourceObjects);
        let native = set.class.as_ref().filter(|_| searches).and_then(|class| {
            let request = SearchRequest::new(Arc::clone(&class.name)).with_filter(set.search.clone());
            self.connector.native_query(&request)
        });
        Explanation {
            activity: part.activity.as_str().to_owned(),
            profile: self.profile.as_str().to_owned(),
            resource: Named {
                oid: Some(self.resource_oid.to_string()),
                name: self.resource.name.as_ref().map(|name| name.value.clone()),
            },
            given: Given {
                kind: self.given.kind.as_ref().map(|kind| kind.value.to_string()),
                intent: self.given.intent.as_ref().map(|intent| intent.value.clone()),
                objectclass: self.given.objectclass.as_ref().map(|class| class.value.local().to_owned()),
            },
            scope: Some(
                match set.scope {
                    Scope::Type(_) => "type",
                    Scope::Class(_) => "class",
                    Scope::Resource => "resource",
                }
                .to_owned(),
            ),
            object_type: set.object_type.as_ref().map(|id| TypeName { kind: id.kind.to_string(), intent: id.intent.to_string() }),
            object_class: set
                .class
                .as_ref()
                .map(|class| ClassName { namespace: ns::RI.to_owned(), name: class.name.to_string() }),
            base_query: Some(set.base_query.clone()).filter(|query| !query.is_empty()),
            query: set.query.clone(),
            query_application: set.query_application.map(|application| application.as_str().to_owned()),
            paging: set.paging.as_ref().map(|paging| {
                serde_json::json!({
                    "orderBy": paging.order_by.as_deref(), "descending": paging.descending,
                    "offset": paging.offset, "maxSize": paging.max_size,
                })
            }),
            post_filter: Given {
                kind: set.post_filter.kind.map(|kind| kind.to_string()),
                intent: set.post_filter.intent.as_ref().map(ToString::to_string),
                objectclass: set.post_filter.class.as_ref().map(ToString::to_string),
            },
            native,
            ignored: set.ignored.iter().map(|&item| item.to_owned()).collect(),
            diagnostics: self.diagnostics.clone(),
            error: None,
            activities: Vec::new(),
        }
    }

    /// The OID that the task's definition has.
    #[must_use]
    pub fn task_oid(&self) -> Option<&Oid> {
        self.task_oid.as_ref()
    }
}
