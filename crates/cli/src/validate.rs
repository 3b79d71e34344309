//! What is wrong with definitions beyond what their reading finds: among each other, and against resource and repository.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tidelock_activities::{Connectors, Definitions, Engine, OpenError, Options, ResourceEntry, RunError, SystemClock};
use tidelock_connector_api::{Error as ResourceError, ErrorKind};
use tidelock_model::definition::{Activity, At, Definition, Resource, Task, WorkKind};
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, Severity};
use tidelock_repo::Repo;
use tidelock_resolver::compile;
use tidelock_resolver::object_set::{self, ActivityKind, Profile};
use tidelock_resolver::policy::ResourcePolicy;

use crate::config::Session;
use crate::definitions::{Given, GivenObject, Known};
use crate::failure::Failure;
use crate::registry::Registry;

/// Whether tasks are made ready, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tasks {
    /// Every one of them.
    Prepared,
    /// None: somebody else does it.
    Left,
}

/// Checks definitions that could be read; gives all findings, those of the reading first.
///
/// # Errors
/// Failures of the repository. What is wrong with the definitions is a finding.
pub(crate) async fn validate(
    session: &Session,
    repo: &Arc<dyn Repo>,
    given: &Given,
    tasks: Tasks,
) -> Result<Diagnostics, Failure> {
    let mut found = given.diagnostics.clone();
    names(given, &mut found);
    let misread = misread(given);
    let keep = |at: usize, mut found: Diagnostics| {
        if misread.contains(&at) {
            found.retain(|d| !follows(d));
        }
        found
    };
    let registry = Arc::new(Registry::new(session));
    for (at, object) in given.objects.iter().enumerate() {
        if let Definition::Resource(resource) = &object.definition {
            let entry = ResourceEntry { definition: (**resource).clone(), origin: Some(object.origin_text()) };
            found.extend(keep(at, compile_resource(&*registry, &entry).await.1));
        }
    }
    if tasks == Tasks::Prepared {
        let engine = Engine { repo: Arc::clone(repo), connectors: registry, clock: Arc::new(SystemClock) };
        let known = Known { given: Some(given), repo: Arc::clone(repo), sources: session.sources.clone() };
        for (at, object) in given.objects.iter().enumerate() {
            if let Definition::Task(task) = &object.definition {
                let task = check_task(&engine, &known, task).await;
                found.extend(keep(at, task.map_err(|error| Failure::repository(&error, &session.database))?));
            }
        }
    }
    if given.has_errors() {
        // What could not be read cannot be found, and that has been said.
        found.retain(|d| d.code != "unknown-resource");
    }
    Ok(once_each(found))
}

/// The same as an error where there is one among them.
pub(crate) fn refuse_errors(found: Diagnostics) -> Result<Diagnostics, Failure> {
    if found.iter().any(Diagnostic::is_error) { Err(Failure::definition(found)) } else { Ok(found) }
}

/// Everything has a name, and nothing is defined twice.
fn names(given: &Given, found: &mut Diagnostics) {
    let mut oids: HashMap<&Oid, &Place> = HashMap::new();
    let mut names: HashMap<(&str, &str), &Place> = HashMap::new();
    for object in &given.objects {
        let definition = &object.definition;
        let (element, place) = (definition.object_type(), definition.place());
        match definition.name().map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => {
                if let Some(first) = names.insert((element, name), place) {
                    let message = format!("there is a {element} of the name '{name}' already, at {first}");
                    found.push(Diagnostic::error("duplicate-object", place, message).with_help("give one of them another name"));
                }
            }
            None if matches!(definition, Definition::Other(_)) => {
                let shown: String = element.chars().take(60).collect();
                let message = format!("'{shown}' is no object that is known here, and it has no name");
                found.push(
                    Diagnostic::error("unknown-object", place, message).with_help(
                        "objects are resource, task, user, role, org and service; others are stored if they have a name",
                    ),
                );
            }
            None => {
                let message = format!("the {element} has no name");
                found.push(Diagnostic::error("no-name", place, message).with_help("add a 'name'"));
            }
        }
        if let Some(oid) = definition.oid()
            && let Some(first) = oids.insert(oid, place)
        {
            let message = format!("there is an object of the OID {oid} already, at {first}");
            found.push(Diagnostic::error("duplicate-object", place, message).with_help("give one of them another OID, or none"));
        }
    }
}

/// Opens the connector, and holds the definition against the schema. There is no policy where that cannot be done.
async fn compile_resource(connectors: &dyn Connectors, entry: &ResourceEntry) -> (Option<ResourcePolicy>, Diagnostics) {
    let resource = &entry.definition;
    let is_set = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|flag| flag.value);
    if is_set(&resource.abstract_) || is_set(&resource.template) {
        // Others complete it.
        return (None, Vec::new());
    }
    let (connector, mut found) = match connectors.open(entry).await {
        Ok(opened) => opened,
        Err(OpenError::Definition(found)) => return (None, found),
        Err(OpenError::Connector(error)) => return (None, vec![not_checked(resource, &error)]),
    };
    let policy = match connector.schema().await {
        Ok(schema) => {
            let (policy, compiled) = compile::compile(resource, &schema);
            found.extend(compiled);
            policy
        }
        Err(error) => {
            found.push(not_checked(resource, &error));
            None
        }
    };
    (policy, found)
}

/// That a resource could not be asked: an error if its configuration is why, else a warning.
fn not_checked(resource: &Resource, error: &ResourceError) -> Diagnostic {
    let place = resource.connector_configuration.as_ref().map_or(&resource.place, |configuration| &configuration.place);
    let message = error.full_message();
    match error.kind() {
        ErrorKind::Config | ErrorKind::Unsupported => Diagnostic::error("resource-configuration", place, message)
            .with_help("correct the connector configuration of the resource, or what it points to"),
        _ => Diagnostic::warning("resource-not-reachable", place, message)
            .with_help("what depends on the resource's schema was not checked; check again when it can be reached"),
    }
}

/// Makes a task ready to run, and does not run it. Of a task that cannot be run yet its object sets are checked.
async fn check_task(engine: &Engine, definitions: &dyn Definitions, task: &Task) -> Result<Diagnostics, tidelock_repo::Error> {
    let (modern, mut found) = match task.modern() {
        Some(modern) => (Some(modern.task), modern.diagnostics),
        None => (None, Diagnostics::new()),
    };
    if let Some(activity) = &modern.as_ref().unwrap_or(task).activity
        && let Some(later) = not_yet(activity)
    {
        found.push(later);
        check_sets(engine, definitions, activity, &mut found).await?;
        return Ok(found);
    }
    // That a resource cannot do what a task needs may change without the definitions.
    let options = Options { explaining: true, ..Options::default() };
    match tidelock_activities::prepare(engine, definitions, task, &options).await {
        Ok(prepared) => Ok(prepared.diagnostics().clone()),
        Err(RunError::Definition { diagnostics, .. }) => Ok(diagnostics),
        Err(RunError::NotBegun(report)) => {
            let mut found = report.diagnostics;
            found.extend(report.error.map(|error| Diagnostic {
                severity: Severity::Warning,
                code: if error.code == "resource-unreachable" { "resource-not-reachable" } else { error.code },
                ..error
            }));
            Ok(found)
        }
        Err(RunError::Repo(error)) => Err(error),
    }
}

/// A word on an activity, or one within it, that midPoint runs and this version does not. Its definition is not wrong because of
/// that.
pub(crate) fn not_yet(activity: &Activity) -> Option<Diagnostic> {
    let (place, name) = tidelock_activities::not_runnable(activity)?;
    Some(
        Diagnostic::warning("not-supported", place, format!("the activity '{name}' cannot be run by this version"))
            .with_help("it is checked and explained, and nothing more; leave it out of what is run here"),
    )
}

/// Checks the object sets of an activity, and of those that it consists of.
async fn check_sets(
    engine: &Engine,
    definitions: &dyn Definitions,
    activity: &Activity,
    found: &mut Diagnostics,
) -> Result<(), tidelock_repo::Error> {
    // Documents are nested to a bounded depth, and so are activities.
    for part in activity.composition.iter().flat_map(|composition| &composition.activity) {
        Box::pin(check_sets(engine, definitions, part, found)).await?;
    }
    let Some(work) = &activity.work else { return Ok(()) };
    let Some(kind) = kind_of(&work.kind) else { return Ok(()) };
    let is_optional = matches!(kind, ActivityKind::ShadowRefresh | ActivityKind::TriggerScan);
    if is_optional && work.objects.as_ref().is_none_or(|set| set.resource_ref.is_none()) {
        // It is for shadows of all resources.
        return Ok(());
    }
    let Some(set) = &work.objects else {
        found.push(object_set::no_resource(&work.place));
        return Ok(());
    };
    let oid = match object_set::resource_oid(set) {
        Ok(oid) => oid,
        Err(missing) => {
            found.push(missing);
            return Ok(());
        }
    };
    let Some(entry) = definitions.resource(oid).await? else {
        let place = set.resource_ref.as_ref().map_or(&set.place, |reference| &reference.place);
        found.push(
            Diagnostic::error("unknown-resource", place, format!("there is no resource with OID {oid}"))
                .with_help("apply the resource's definition as well, or first"),
        );
        return Ok(());
    };
    let (policy, of_resource) = compile_resource(&*engine.connectors, &entry).await;
    found.extend(of_resource);
    if let Some(policy) = policy {
        found.extend(match object_set::resolve(kind, set, &policy, Profile::default()) {
            Ok(set) => set.diagnostics,
            Err(diagnostics) => diagnostics,
        });
    }
    Ok(())
}

fn kind_of(work: &WorkKind) -> Option<ActivityKind> {
    Some(match work {
        WorkKind::Import => ActivityKind::Import,
        WorkKind::Reconciliation => ActivityKind::ResourceObjects,
        WorkKind::LiveSynchronization => ActivityKind::LiveSynchronization,
        WorkKind::AsynchronousUpdate => ActivityKind::AsynchronousUpdate,
        WorkKind::ShadowCleanup => ActivityKind::ShadowCleanup,
        WorkKind::ShadowReclassification => ActivityKind::ShadowReclassification,
        WorkKind::ShadowRefresh => ActivityKind::ShadowRefresh,
        WorkKind::TriggerScan => ActivityKind::TriggerScan,
        WorkKind::Other(_) => return None,
    })
}

/// The objects with items that could not be read, by their index.
fn misread(given: &Given) -> HashSet<usize> {
    let position = |place: &Place| (place.line, place.column);
    let before = |error: &Diagnostic, object: &GivenObject| {
        let place = object.definition.place();
        place.file == error.place.file && position(place) <= position(&error.place)
    };
    let errors = given.diagnostics.iter().filter(|d| d.is_error());
    // An error belongs to the last object that begins before it.
    errors.filter_map(|error| given.objects.iter().rposition(|object| before(error, object))).collect()
}

/// Whether a finding may follow from an item that is there and could not be read, rather than from one that is not there.
fn follows(finding: &Diagnostic) -> bool {
    matches!(
        finding.code,
        "intent-without-kind"
            | "kind-without-intent"
            | "missing-property"
            | "no-activity"
            | "no-interval"
            | "no-object-class"
            | "no-resource"
            | "no-work"
            | "overridden-reaction"
            | "query-without-coordinates"
            | "unreachable-object-type"
    )
}

/// The findings without repetitions: several tasks of one resource find the same, and an error says more than the warning that the
/// same item has no effect.
fn once_each(found: Diagnostics) -> Diagnostics {
    let refused: HashSet<Place> =
        found.iter().filter(|d| d.is_error() && d.code == "not-supported").map(|d| d.place.clone()).collect();
    let mut seen = HashSet::new();
    let mut keep = |d: &Diagnostic| {
        (d.is_error() || d.code != "not-supported" || !refused.contains(&d.place))
            && seen.insert((d.severity as u8, d.place.clone(), d.message.clone()))
    };
    found.into_iter().filter(|d| keep(d)).collect()
}
