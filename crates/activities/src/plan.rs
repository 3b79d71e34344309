//! What a task's activity comes to: steps that run one after another, and how each of them is run.
//!
//! Compositions and reconciliations are taken apart, and tailoring is applied. Nothing is looked up here.

use std::collections::{HashMap, HashSet};

use tidelock_model::definition::{Activity, Composition, ExecutionMode, PredefinedConfiguration, Work, WorkKind, nearest};
use tidelock_model::{Diagnostic, Diagnostics, Place};
use tidelock_resolver::object_set::ActivityKind;

use crate::error_handling::ErrorHandling;
use crate::report::Mode;
use crate::tailoring::Settings;

/// The most workers.
pub(crate) const MOST_WORKERS: usize = 64;

/// The most activities of a composition, and the most changes of a tailoring.
const MOST_PARTS: usize = 1000;

/// The parts of a reconciliation: what each is called, what it is, and whether it is a preview. Those are left out unless
/// tailoring says otherwise.
const RECONCILIATION: [(&str, ActivityKind, bool); 5] = [
    ("operationCompletion", ActivityKind::OperationCompletion, false),
    ("resourceObjectsPreview", ActivityKind::ResourceObjects, true),
    ("remainingShadowsPreview", ActivityKind::RemainingShadows, true),
    ("resourceObjects", ActivityKind::ResourceObjects, false),
    ("remainingShadows", ActivityKind::RemainingShadows, false),
];

/// What can be run, for those who want something else.
const RUNNABLE: &str = "import, reconciliation, liveSynchronization, asynchronousUpdate, shadowReclassification, shadowCleanup and \
                        triggerScan can be run";

/// What a task does.
pub(crate) struct Plan<'a> {
    /// The activities as they are nested.
    pub(crate) outline: Outline,
    /// Those that do something, in their order.
    pub(crate) steps: Vec<PlannedStep<'a>>,
    /// How the whole is run.
    pub(crate) mode: Mode,
}

/// An activity, and those that it consists of.
pub(crate) struct Outline {
    /// What it is: `import`.
    pub(crate) activity: String,
    /// Where it is among the others; empty for the root.
    pub(crate) path: String,
    /// What it consists of; none of a simple one.
    pub(crate) parts: Vec<Outline>,
}

/// An activity that does something.
pub(crate) struct PlannedStep<'a> {
    /// Where it is among the others.
    pub(crate) path: String,
    /// The path of the activity that has the work: parts of one reconciliation share it.
    pub(crate) group: String,
    pub(crate) activity: ActivityKind,
    pub(crate) work: &'a Work,
    pub(crate) mode: Mode,
    /// Whether it is left out.
    pub(crate) skipped: bool,
    pub(crate) workers: usize,
    pub(crate) errors: ErrorHandling,
}

/// Works out what an activity does. `mode` and `workers` go before what definitions say.
///
/// # Errors
/// What cannot be run, or means nothing.
pub(crate) fn plan<'a>(
    activity: &'a Activity,
    mode: Option<Mode>,
    workers: Option<usize>,
    diagnostics: &mut Diagnostics,
) -> Result<Plan<'a>, Diagnostic> {
    let mut planner = Planner { mode, workers, diagnostics, steps: Vec::new() };
    let root = Settings::of(activity);
    let own = planner.mode_of(&root)?;
    let outline = planner.activity(activity, root, String::new(), false)?;
    let steps = planner.steps;
    // A composition says nothing of how its parts are run; if all are run alike, so is the whole.
    let common = steps.first().map_or(own, |first| first.mode);
    let alike = activity.composition.is_some() && steps.iter().all(|step| step.mode == common);
    Ok(Plan { outline, steps, mode: if alike { common } else { own } })
}

/// Whether an activity can be run, with all that it consists of; if not, the place and the name of what cannot.
#[must_use]
pub fn not_runnable(activity: &Activity) -> Option<(&Place, &str)> {
    if let Some(composition) = &activity.composition {
        // Documents are nested to a bounded depth, and so are activities.
        return composition.activity.iter().find_map(not_runnable);
    }
    let work = activity.work.as_ref()?;
    kinds(&work.kind).is_empty().then(|| (&work.place, work.kind.as_str()))
}

fn kinds(work: &WorkKind) -> &'static [(&'static str, ActivityKind, bool)] {
    match work {
        WorkKind::Import => &[("", ActivityKind::Import, false)],
        WorkKind::Reconciliation => &RECONCILIATION,
        WorkKind::ShadowReclassification => &[("", ActivityKind::ShadowReclassification, false)],
        WorkKind::LiveSynchronization => &[("", ActivityKind::LiveSynchronization, false)],
        WorkKind::AsynchronousUpdate => &[("", ActivityKind::AsynchronousUpdate, false)],
        WorkKind::ShadowCleanup => &[("", ActivityKind::ShadowCleanup, false)],
        WorkKind::TriggerScan => &[("", ActivityKind::TriggerScan, false)],
        _ => &[],
    }
}

struct Planner<'d, 'a> {
    mode: Option<Mode>,
    workers: Option<usize>,
    diagnostics: &'d mut Diagnostics,
    steps: Vec<PlannedStep<'a>>,
}

impl<'a> Planner<'_, 'a> {
    fn activity(
        &mut self,
        activity: &'a Activity,
        settings: Settings,
        path: String,
        skipped: bool,
    ) -> Result<Outline, Diagnostic> {
        let skipped = skipped || settings.is_skipped();
        crate::unused::report(activity, self.diagnostics);
        match (&activity.composition, &activity.work) {
            (Some(composition), Some(_)) => {
                Err(Diagnostic::error("ambiguous-work", &composition.place, "the activity has both a work and a composition")
                    .with_help("leave one of them, or make the work an activity of the composition"))
            }
            (Some(composition), None) => self.composition(activity, composition, path, skipped),
            (None, Some(work)) => self.work(activity, work, &settings, path, skipped),
            (None, None) => Err(Diagnostic::error("no-work", &activity.place, "the activity has no work")
                .with_help("add 'work' with an 'import' or a 'reconciliation'")),
        }
    }

    fn composition(
        &mut self,
        activity: &'a Activity,
        composition: &'a Composition,
        path: String,
        skipped: bool,
    ) -> Result<Outline, Diagnostic> {
        if composition.activity.is_empty() {
            return Err(Diagnostic::error("no-work", &composition.place, "the composition has no activities")
                .with_help("add an 'activity' with its 'work'"));
        }
        too_many(composition.activity.len(), "activities", &composition.place)?;
        let mut children: Vec<&Activity> = composition.activity.iter().collect();
        children.sort_by_key(|child| child.order.as_ref().map_or((true, 0), |order| (false, order.value)));
        let identifiers = identifiers(&children)?;
        let names: Vec<&str> = identifiers.iter().map(String::as_str).collect();
        self.check_references(activity, &names)?;
        let mut parts = Vec::with_capacity(children.len());
        for (child, identifier) in children.into_iter().zip(&identifiers) {
            let mut settings = Settings::of(child);
            settings.tailor(activity, identifier, false);
            parts.push(self.activity(child, settings, joined(&path, identifier), skipped)?);
        }
        Ok(Outline { activity: "composition".to_owned(), path, parts })
    }

    fn work(
        &mut self,
        activity: &'a Activity,
        work: &'a Work,
        settings: &Settings,
        path: String,
        skipped: bool,
    ) -> Result<Outline, Diagnostic> {
        let kinds = kinds(&work.kind);
        if kinds.is_empty() {
            let message = format!("the activity '{}' cannot be run yet", work.kind.as_str());
            return Err(Diagnostic::error("not-supported", &work.place, message).with_help(RUNNABLE));
        }
        let is_simple = matches!(kinds, [("", ..)]);
        let names: Vec<&str> = kinds.iter().map(|(name, ..)| *name).collect();
        self.check_references(activity, if is_simple { &[] } else { &names })?;
        let mut parts = Vec::new();
        for &(name, kind, preview) in kinds {
            let mut settings = settings.clone();
            if preview {
                settings.skip(&work.place);
            }
            if !is_simple {
                settings.tailor(activity, name, preview);
            }
            let step_path = if is_simple { path.clone() } else { joined(&path, name) };
            let mode = if preview { Mode::Preview } else { self.mode_of(&settings)? };
            if matches!(kind, ActivityKind::ShadowReclassification | ActivityKind::TriggerScan) && mode != Mode::Full {
                return Err(self.full_only(&settings, work, mode));
            }
            let left_out = skipped || settings.is_skipped();
            if !(preview && left_out) {
                parts.push(Outline { activity: kind.as_str().to_owned(), path: step_path.clone(), parts: Vec::new() });
            }
            let errors = settings.control_flow.as_ref().and_then(|flow| flow.error_handling.as_ref());
            let step = PlannedStep {
                path: step_path,
                group: path.clone(),
                activity: kind,
                work,
                mode,
                skipped: left_out,
                workers: self.workers.unwrap_or_else(|| settings.workers()).min(MOST_WORKERS),
                errors: self.errors(kind, errors)?,
            };
            self.steps.push(step);
        }
        let activity = work.kind.as_str().to_owned();
        Ok(Outline { activity, path, parts: if is_simple { Vec::new() } else { parts } })
    }

    /// Parts of one activity have the same things said about them: once is enough.
    fn errors(
        &mut self,
        kind: ActivityKind,
        defined: Option<&tidelock_model::definition::ErrorHandling>,
    ) -> Result<ErrorHandling, Diagnostic> {
        let mut found = Diagnostics::new();
        let errors = ErrorHandling::new(kind, defined, &mut found)?;
        found.retain(|diagnostic| !self.diagnostics.contains(diagnostic));
        self.diagnostics.extend(found);
        Ok(errors)
    }

    fn full_only(&self, settings: &Settings, work: &Work, mode: Mode) -> Diagnostic {
        let place = settings.mode.as_ref().filter(|_| self.mode.is_none()).map_or(&work.place, |mode| &mode.place);
        let message = format!("{} cannot be run in the mode '{}'", work.kind, mode.as_str());
        Diagnostic::error("not-supported", place, message).with_help("run it in the mode 'full'")
    }

    fn mode_of(&self, settings: &Settings) -> Result<Mode, Diagnostic> {
        let predefined = settings.configuration.as_ref().and_then(|configuration| configuration.predefined.as_ref());
        if let Some(development) = predefined.filter(|p| p.value == PredefinedConfiguration::Development) {
            return Err(Diagnostic::error(
                "not-supported",
                &development.place,
                "the development configuration cannot be used yet",
            )
            .with_help("remove 'configurationToUse', or say 'production'"));
        }
        if let Some(mode) = self.mode {
            return Ok(mode);
        }
        let Some(mode) = &settings.mode else { return Ok(Mode::Full) };
        match mode.value {
            ExecutionMode::Full => Ok(Mode::Full),
            ExecutionMode::Preview => Ok(Mode::Preview),
            ExecutionMode::DryRun => Ok(Mode::DryRun),
            ExecutionMode::None => Ok(Mode::None),
            ExecutionMode::ShadowManagementPreview | ExecutionMode::BucketAnalysis => {
                let message = format!("the execution mode '{}' is not supported yet", mode.value.as_str());
                Err(Diagnostic::error("not-supported", &mode.place, message).with_help("full, preview, dryRun and none are"))
            }
        }
    }

    /// Tailoring changes parts that there are.
    fn check_references(&mut self, activity: &Activity, names: &[&str]) -> Result<(), Diagnostic> {
        let Some(tailoring) = &activity.tailoring else { return Ok(()) };
        if names.is_empty() {
            let message = "'tailoring' is ignored: the activity has no parts";
            self.diagnostics.push(Diagnostic::warning("ignored-item", &tailoring.place, message).with_help("remove 'tailoring'"));
            return Ok(());
        }
        let references: usize = tailoring.change.iter().map(|change| change.reference.len()).sum();
        too_many(tailoring.change.len() + references, "changes", &tailoring.place)?;
        for reference in tailoring.change.iter().flat_map(|change| &change.reference) {
            if !names.contains(&reference.value.as_str()) {
                let name: String = reference.value.chars().take(60).collect();
                let help = match nearest(&reference.value, names.iter().copied()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("its parts are {}", names.join(", ")),
                };
                let message = format!("the activity has no part '{name}'");
                return Err(Diagnostic::error("unknown-reference", &reference.place, message).with_help(help));
            }
        }
        Ok(())
    }
}

/// Each change is held against each part.
fn too_many(count: usize, what: &str, place: &Place) -> Result<(), Diagnostic> {
    if count <= MOST_PARTS {
        return Ok(());
    }
    Err(Diagnostic::error("too-many", place, format!("there are {count} {what}; at most {MOST_PARTS} can be handled"))
        .with_help("make several tasks of it"))
}

fn joined(path: &str, identifier: &str) -> String {
    if path.is_empty() { identifier.to_owned() } else { format!("{path}/{identifier}") }
}

/// What siblings are called: as they say, else by what they do and a number.
fn identifiers(children: &[&Activity]) -> Result<Vec<String>, Diagnostic> {
    let mut taken = HashSet::new();
    for identifier in children.iter().filter_map(|child| child.identifier.as_ref()) {
        if identifier.is_empty() || identifier.contains('/') {
            return Err(Diagnostic::error("bad-value", &identifier.place, "an identifier is a name without slashes")
                .with_help("give the activity another identifier, or none"));
        }
        if !taken.insert(identifier.value.clone()) {
            let message = "two activities of the composition have the same identifier";
            return Err(Diagnostic::error("duplicate-identifier", &identifier.place, message)
                .with_help("give one of them another identifier"));
        }
    }
    let mut last: HashMap<&str, usize> = HashMap::new();
    let mut names = Vec::with_capacity(children.len());
    for child in children {
        if let Some(identifier) = &child.identifier {
            names.push(identifier.value.clone());
            continue;
        }
        let prefix = child.work.as_ref().map_or("composition", |work| work.kind.as_str());
        let number = last.entry(prefix).or_default();
        names.push(loop {
            *number += 1;
            let name = format!("{prefix}:{number}");
            if taken.insert(name.clone()) {
                break name;
            }
        });
    }
    Ok(names)
}
