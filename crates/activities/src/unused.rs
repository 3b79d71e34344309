//! Saying which items of a task make no difference to how it runs.
//!
//! What no activity knows is reported by whoever reads definitions; object sets are the resolver's.

use tidelock_model::definition::{
    Activity, ActivityTailoring, ControlFlow, Distribution, Execution, Recurrence, ResourceObjectSet, Task, Work, WorkKind,
};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics, Place};

use crate::plan::MOST_WORKERS;

/// Items of a task that decided, in older forms or in midPoint, how it is run.
const OF_A_TASK: [(&str, &str); 5] = [
    ("errorHandlingStrategy", "say it in the activity, as controlFlow/errorHandling"),
    ("workManagement", "objects need not be divided for a single process"),
    ("executionConstraints", "the task runs where it is told to"),
    ("threadStopAction", "a task that was stopped goes on when it is run again"),
    ("cleanupAfterCompletion", "the task stays until it is deleted"),
];

/// Reports the items of a task that make no difference.
pub(crate) fn report_task(task: &Task, diagnostics: &mut Diagnostics) {
    // To run once is what it does.
    if let Some(schedule) = &task.schedule
        && (schedule.interval.is_some()
            || schedule.cron_like_pattern.is_some()
            || schedule.earliest_start_time.is_some()
            || schedule.latest_start_time.is_some()
            || schedule.recurrence.as_ref().is_some_and(|recurrence| recurrence.value == Recurrence::Recurring))
    {
        let message = "'schedule' has no effect yet: the task runs when it is told to";
        let help = "run it from the scheduler of the system, as with cron or a systemd timer";
        diagnostics.push(Diagnostic::info("not-supported", &schedule.place, message).with_help(help));
    }
    for (item, instead) in OF_A_TASK {
        if let Some(node) = task.rest.iter().find(|node| node.local() == item) {
            diagnostics.push(
                Diagnostic::warning("ignored-item", &node.place, format!("'{item}' of a task is ignored")).with_help(instead),
            );
        }
    }
    if let (Some(handler), Some(_)) = (&task.handler_uri, &task.activity)
        && (Task { activity: None, ..task.clone() }).modern().is_some()
    {
        ignored("handlerUri", &handler.place, "the activity says what is done", diagnostics);
    }
}

/// Reports the items of an activity that make no difference.
pub(crate) fn report(activity: &Activity, diagnostics: &mut Diagnostics) {
    if let (Some(older), Some(_)) = (&activity.execution_mode, activity.execution.as_ref().and_then(|e| e.mode.as_ref())) {
        ignored("executionMode", &older.place, "execution/mode goes before it", diagnostics);
    }
    of_execution(activity.execution.as_ref(), diagnostics);
    of_control_flow(activity.control_flow.as_ref(), false, diagnostics);
    of_distribution(activity.distribution.as_ref(), false, diagnostics);
    of_reporting(activity.reporting.as_ref(), diagnostics);
    for change in activity.tailoring.iter().flat_map(|tailoring| &tailoring.change) {
        of_tailoring(change, diagnostics);
    }
    if let Some(work) = &activity.work {
        of_work(work, diagnostics);
    }
}

fn of_tailoring(change: &ActivityTailoring, diagnostics: &mut Diagnostics) {
    if let (Some(older), Some(_)) = (&change.execution_mode, change.execution.as_ref().and_then(|e| e.mode.as_ref())) {
        ignored("executionMode", &older.place, "execution/mode goes before it", diagnostics);
    }
    let mut previews = change.reference.iter().filter(|reference| reference.value.ends_with("Preview"));
    let mode = change.execution.as_ref().and_then(|e| e.mode.as_ref()).or(change.execution_mode.as_ref());
    if let (Some(preview), Some(mode)) = (previews.next(), mode)
        && mode.as_str() != "preview"
    {
        let why = format!("'{}' is always a preview", preview.value.chars().take(60).collect::<String>());
        ignored("mode", &mode.place, &why, diagnostics);
    }
    of_execution(change.execution.as_ref(), diagnostics);
    of_control_flow(change.control_flow.as_ref(), true, diagnostics);
    of_distribution(change.distribution.as_ref(), true, diagnostics);
    of_reporting(change.reporting.as_ref(), diagnostics);
}

fn of_execution(execution: Option<&Execution>, diagnostics: &mut Diagnostics) {
    if let Some(node) = execution.and_then(|execution| execution.rest.iter().find(|n| n.local() == "createSimulationResult")) {
        let message = "'createSimulationResult' is not supported yet: a preview is shown by the report of its run";
        diagnostics.push(Diagnostic::warning("not-supported", &node.place, message).with_help("remove it"));
    }
}

fn of_control_flow(flow: Option<&ControlFlow>, is_tailored: bool, diagnostics: &mut Diagnostics) {
    let Some(flow) = flow else { return };
    if let Some(mode) = flow.tailoring_mode.as_ref().filter(|_| !is_tailored) {
        ignored("tailoringMode", &mode.place, "it has a meaning inside of 'tailoring' only", diagnostics);
    }
    if let Some(node) = flow.rest.iter().find(|node| node.local() == "parallelExecution") {
        ignored("parallelExecution", &node.place, "activities run one after another", diagnostics);
    }
}

fn of_distribution(distribution: Option<&Distribution>, is_tailored: bool, diagnostics: &mut Diagnostics) {
    let Some(distribution) = distribution else { return };
    if let Some(mode) = distribution.tailoring_mode.as_ref().filter(|_| !is_tailored) {
        ignored("tailoringMode", &mode.place, "it has a meaning inside of 'tailoring' only", diagnostics);
    }
    if let Some(workers) = distribution.worker_threads.as_ref().filter(|workers| workers.value < 0) {
        ignored("workerThreads", &workers.place, "there cannot be fewer than none", diagnostics);
    }
    if let Some(workers) = distribution.worker_threads.as_ref().filter(|workers| workers.value > MOST_WORKERS as i64) {
        let message = format!("'workerThreads' is {}, and {MOST_WORKERS} is the most: so many are used", workers.value);
        let help = format!("say {MOST_WORKERS} or less");
        diagnostics.push(Diagnostic::warning("ignored-item", &workers.place, message).with_help(help));
    }
}

fn of_reporting(reporting: Option<&Node>, diagnostics: &mut Diagnostics) {
    let items = reporting.iter().flat_map(|node| &node.children);
    for item in items.filter(|item| !matches!(item.local(), "tailoringMode" | "description" | "documentation")) {
        let name: String = item.local().chars().take(60).collect();
        ignored(&format!("reporting/{name}"), &item.place, "every run is reported in the same way", diagnostics);
    }
}

/// What an object set says that can have no effect, whatever the activity.
fn of_set(set: &ResourceObjectSet, diagnostics: &mut Diagnostics) {
    let reference = set.resource_ref.as_ref();
    let other = reference.and_then(|reference| Some((reference, reference.target_type.as_ref()?)));
    if let Some((reference, target)) = other.filter(|(_, target)| !matches!(target.local(), "ResourceType" | "ObjectType")) {
        let name: String = target.local().chars().take(60).collect();
        let message = format!("'resourceRef' says that it means a {name}; a resource is looked for all the same");
        let help = "say 'ResourceType', or leave 'type' out";
        diagnostics.push(Diagnostic::warning("ignored-item", &reference.place, message).with_help(help));
    }
    let selector = set.failed_objects_selector.as_ref();
    if let Some((from, to)) = selector.and_then(|selector| Some((selector.time_from.as_ref()?, selector.time_to.as_ref()?)))
        && from.value > to.value
    {
        let message = "'timeFrom' is later than 'timeTo': no object has failed in between, and none is meant";
        diagnostics.push(Diagnostic::warning("empty-period", &from.place, message).with_help("exchange the two, or remove one"));
    }
}

fn of_work(work: &Work, diagnostics: &mut Diagnostics) {
    if let Some(set) = &work.objects {
        of_set(set, diagnostics);
    }
    let live = work.kind == WorkKind::LiveSynchronization;
    let items = [
        ("batchSize", work.batch_size.as_ref().map(|item| &item.place), live),
        ("updateLiveSyncTokenInDryRun", work.update_live_sync_token_in_dry_run.as_ref().map(|item| &item.place), live),
        ("updateLiveSyncTokenInPreviewMode", work.update_live_sync_token_in_preview_mode.as_ref().map(|item| &item.place), live),
        ("interval", work.interval.as_ref().map(|item| &item.place), work.kind == WorkKind::ShadowCleanup),
    ];
    for (item, place, is_used) in items {
        if let Some(place) = place.filter(|_| !is_used) {
            ignored(item, place, &format!("it means nothing to {}", work.kind), diagnostics);
        }
    }
}

fn ignored(item: &str, place: &Place, why: &str, diagnostics: &mut Diagnostics) {
    let warning = Diagnostic::warning("ignored-item", place, format!("'{item}' is ignored: {why}"));
    diagnostics.push(warning.with_help(format!("remove '{}'", item.rsplit('/').next().unwrap_or(item))));
}
