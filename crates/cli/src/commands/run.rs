//! `run`: runs a task once, to its end.

use std::sync::Arc;

use tidelock_activities::{Control, Engine, Options, RunError, RunReport, SystemClock};
use tidelock_model::definition::{Definition, Task};
use tidelock_model::{Diagnostics, Oid};

use crate::args::Run;
use crate::commands::apply;
use crate::config::Session;
use crate::definitions::{self, Argument, Given, Known};
use crate::failure::{Exit, Failure};
use crate::output::{progress, summary};
use crate::registry::Registry;
use crate::repository;
use crate::stop;
use crate::validate::{self, Tasks};

pub(super) async fn run(session: &Session, arguments: &Run) -> Result<Exit, Failure> {
    // Everything that can be wrong is found out with the repository as it is; only then is anything written.
    let look = repository::look(session)?;
    let (task, source) = match definitions::find::<Task>(session, &*look, &arguments.task).await? {
        Argument::Given(task, given) => {
            let found = validate::validate(session, &look, &given, Tasks::Left).await?;
            let mut found = validate::refuse_errors(found)?;
            // Whether the task's resource can be reached is about to be seen.
            found.retain(|d| d.code != "resource-not-reachable");
            (task, Source::File { given, found })
        }
        Argument::Stored(task, stored) => (task, Source::Repository { oid: stored.oid, found: stored.diagnostics }),
    };
    drop(look);
    let repo = repository::open(session)?;
    let registry = Arc::new(Registry::new(session));
    let engine = Engine { repo: Arc::clone(&repo), connectors: Arc::clone(&registry) as _, clock: Arc::new(SystemClock) };
    let options = Options {
        profile: arguments.profile,
        mode: arguments.mode,
        workers: arguments.workers.map(usize::from),
        chunk: arguments.chunk.map(|chunk| usize::try_from(chunk).unwrap_or(usize::MAX)),
        explaining: false,
    };
    let known = Known { given: source.given(), repo: Arc::clone(&repo), sources: session.sources.clone() };
    let cancel = stop::on_request(&session.output);
    let prepared = match tidelock_activities::prepare(&engine, &known, &task, &options).await {
        Ok(prepared) => prepared,
        Err(error) => return ended(session, Err(error), source.found()),
    };
    let oid = match &source {
        Source::Repository { oid, .. } => oid.clone(),
        Source::File { given, .. } => {
            let applied = apply::store(session, &*repo, given).await?;
            task_oid(given, &applied)?
        }
    };
    let found = source.found();
    session.output.findings(&found);
    let progress = progress::shown(&session.output);
    let control = Control { cancel, progress: Arc::clone(&progress), until_idle: arguments.until_idle };
    let watcher = tokio::spawn(progress::sources(session.output.clone(), move || registry.listening()));
    let outcome = tidelock_activities::execute(&engine, prepared, oid, &control).await;
    watcher.abort();
    // The bar goes with it.
    drop((control, progress));
    let shown = found.clone();
    ended_after(session, outcome, found, &shown)
}

/// Where the task comes from, and what was found about it.
enum Source {
    File { given: Given, found: Diagnostics },
    Repository { oid: Oid, found: Diagnostics },
}

impl Source {
    fn given(&self) -> Option<&Given> {
        match self {
            Self::File { given, .. } => Some(given),
            Self::Repository { .. } => None,
        }
    }

    fn found(&self) -> Diagnostics {
        match self {
            Self::File { found, .. } | Self::Repository { found, .. } => found.clone(),
        }
    }
}

/// The OID that the file's only task is stored under.
fn task_oid(given: &Given, applied: &[apply::AppliedObject]) -> Result<Oid, Failure> {
    let at = given.objects.iter().position(|object| matches!(object.definition, Definition::Task(_)));
    match at.and_then(|at| applied.get(at)) {
        Some(task) => Ok(task.oid.clone()),
        None => Err(Failure::fatal("repository", "the task was not stored")),
    }
}

fn ended(session: &Session, outcome: Result<RunReport, RunError>, found: Diagnostics) -> Result<Exit, Failure> {
    ended_after(session, outcome, found, &[])
}

/// Prints how a run ended, with what was found before it; what was `shown` of that is not shown again.
fn ended_after(
    session: &Session,
    outcome: Result<RunReport, RunError>,
    mut found: Diagnostics,
    shown: &[tidelock_model::Diagnostic],
) -> Result<Exit, Failure> {
    let mut report = match outcome {
        Ok(report) => report,
        Err(RunError::NotBegun(report)) => *report,
        Err(RunError::Definition { error, diagnostics }) => {
            let failure = Failure { error, ..Failure::definition(diagnostics) };
            return Err(failure.after(found));
        }
        Err(RunError::Repo(error)) => return Err(Failure::repository(&error, &session.database)),
    };
    let exit = Exit::of_run(report.status, report.run_status);
    found.retain(|d| !report.diagnostics.contains(d));
    report.diagnostics.splice(0..0, found);
    let output = &session.output;
    if output.is_json() {
        output.document(&report)?;
        return Ok(exit);
    }
    let unseen: Diagnostics = report.diagnostics.iter().chain(&report.error).filter(|d| !shown.contains(d)).cloned().collect();
    output.findings(&unseen);
    output.say(&summary::render(&report, output.paint()))?;
    Ok(exit)
}
