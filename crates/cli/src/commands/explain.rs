//! `explain`: which objects a task would process, and why.

use std::sync::Arc;

use tidelock_activities::{
    Definitions, Engine, Explanation, Given as GivenCoordinates, Named, Options, RunError, SystemClock, explain_alone,
};
use tidelock_model::definition::{Activity, Task, WorkKind};
use tidelock_model::{Diagnostic, Diagnostics, Oid};
use tidelock_resolver::object_set::Profile;

use crate::commands::apply;
use crate::config::Session;
use crate::definitions::{self, Argument, Known};
use crate::failure::{Exit, Failure};
use crate::output::explanation;
use crate::registry::Registry;
use crate::repository;
use crate::validate::{self, Tasks};

pub(super) async fn explain(session: &Session, argument: &str, profile: Profile) -> Result<Exit, Failure> {
    let repo = repository::look(session)?;
    let (task, given, mut found) = match definitions::find::<Task>(session, &*repo, argument).await? {
        Argument::Given(task, given) => {
            let mut found = validate::validate(session, &repo, &given, Tasks::Left).await?;
            // Whether the task's resource can be reached is about to be seen.
            found.retain(|d| d.code != "resource-not-reachable");
            (task, Some(given), found)
        }
        Argument::Stored(task, stored) => (task, None, stored.diagnostics),
    };
    let known = Known { given: given.as_ref(), repo: Arc::clone(&repo), sources: session.sources.clone() };
    if found.iter().any(Diagnostic::is_error) {
        return unresolved(session, &known, &task, profile, found).await;
    }
    if let Some(explanation) = of_refresh(&task, profile) {
        found.extend(explanation.diagnostics);
        let explanation = Explanation { diagnostics: found, ..explanation };
        drop(known);
        return resolved(session, given.as_ref(), &explanation).await;
    }
    let engine = Engine { repo: Arc::clone(&repo), connectors: Arc::new(Registry::new(session)), clock: Arc::new(SystemClock) };
    let options = Options { profile, explaining: true, ..Options::default() };
    match tidelock_activities::prepare(&engine, &known, &task, &options).await {
        Ok(prepared) => {
            let mut explanation = tidelock_activities::explain(&prepared);
            found.retain(|d| !explanation.diagnostics.contains(d));
            explanation.diagnostics.splice(0..0, found);
            drop((engine, known));
            resolved(session, given.as_ref(), &explanation).await
        }
        Err(RunError::Definition { error, diagnostics }) => {
            found.retain(|d| !diagnostics.contains(d) && *d != *error);
            found.extend(diagnostics);
            if !found.iter().any(Diagnostic::is_error) {
                found.push(*error);
            }
            unresolved(session, &known, &task, profile, found).await
        }
        Err(RunError::NotBegun(report)) => Err(Failure::not_begun(*report).after(found)),
        Err(RunError::Repo(error)) => Err(Failure::repository(&error, &session.database)),
    }
}

/// Stores the definitions that were given, and prints.
async fn resolved(session: &Session, given: Option<&definitions::Given>, explanation: &Explanation) -> Result<Exit, Failure> {
    if let Some(given) = given {
        let repo = repository::open(session)?;
        apply::store(session, &*repo, given).await?;
    }
    let output = &session.output;
    if output.is_json() {
        output.document(explanation)?;
    } else {
        output.findings(&explanation.diagnostics);
        output.say(&explanation::render(explanation, output.paint()))?;
    }
    Ok(Exit::Done)
}

/// A refresh of shadows asks no resource what it has: what it would be for can be said, though it cannot be run.
fn of_refresh(task: &Task, profile: Profile) -> Option<Explanation> {
    let modern = task.modern();
    let activity = modern.as_ref().map_or(task, |modern| &modern.task).activity.as_ref()?;
    let work = activity.work.as_ref().filter(|work| work.kind == WorkKind::ShadowRefresh && activity.composition.is_none())?;
    let mut diagnostics = modern.as_ref().map(|modern| modern.diagnostics.clone()).unwrap_or_default();
    diagnostics.extend(validate::not_yet(activity));
    Some(explain_alone(work, profile, diagnostics))
}

/// Explains what can be explained of a task whose object set cannot be resolved.
async fn unresolved(
    session: &Session,
    known: &Known<'_>,
    task: &Task,
    profile: Profile,
    found: Diagnostics,
) -> Result<Exit, Failure> {
    if !session.output.is_json() {
        return Err(Failure::definition(found));
    }
    let error = found.iter().find(|d| d.is_error()).cloned();
    let modern = task.modern();
    let mut explanation = modern.as_ref().map_or(task, |modern| &modern.task).activity.as_ref().map(given).unwrap_or_default();
    complete(&mut explanation, known, profile).await;
    session.output.document(&Explanation { diagnostics: found, error, ..explanation })?;
    Ok(Exit::Definition)
}

/// Adds what is known beside what the task says: the rules, and the names of resources.
async fn complete(explanation: &mut Explanation, known: &Known<'_>, profile: Profile) {
    profile.as_str().clone_into(&mut explanation.profile);
    if let Some(oid) = explanation.resource.oid.as_deref().map(Oid::new) {
        // There is an error to be shown already; without a name it is shown as well.
        let entry = known.resource(&oid).await.ok().flatten();
        explanation.resource.name = entry.and_then(|entry| Some(entry.definition.name?.value));
    }
    for part in &mut explanation.activities {
        // Documents are nested to a bounded depth, and so are activities.
        Box::pin(complete(part, known, profile)).await;
    }
}

/// What an activity says of its objects.
fn given(activity: &Activity) -> Explanation {
    let work = activity.work.as_ref();
    let set = work.and_then(|work| work.objects.as_ref());
    let composition = activity.composition.as_ref();
    Explanation {
        activity: work
            .map(|work| work.kind.as_str().to_owned())
            .or(composition.map(|_| "composition".to_owned()))
            .unwrap_or_default(),
        path: activity.identifier.as_ref().map(|identifier| identifier.value.clone()),
        resource: Named {
            oid: set.and_then(|set| set.resource_ref.as_ref()?.oid.as_ref()).map(ToString::to_string),
            ..Named::default()
        },
        given: set.map(given_coordinates).unwrap_or_default(),
        activities: composition.iter().flat_map(|composition| &composition.activity).map(given).collect(),
        ..Explanation::default()
    }
}

fn given_coordinates(set: &tidelock_model::definition::ResourceObjectSet) -> GivenCoordinates {
    GivenCoordinates {
        kind: set.kind.as_ref().map(|kind| kind.value.to_string()),
        intent: set.intent.as_ref().map(|intent| intent.value.clone()),
        objectclass: set.objectclass.as_ref().map(|class| class.value.local().to_owned()),
    }
}
