//! `explain`: which objects a task would process, and why.

use std::fmt::Write;
use std::sync::Arc;

use tidelock_activities::{Engine, Explanation, Given as GivenCoordinates, Named, Options, RunError, SystemClock};
use tidelock_model::definition::{Activity, Task};
use tidelock_model::{Diagnostic, Diagnostics};
use tidelock_resolver::object_set::Profile;

use crate::commands::apply;
use crate::config::Session;
use crate::definitions::{self, Argument, Known};
use crate::failure::{Exit, Failure};
use crate::output::text::{clean, count};
use crate::output::{FAINT, Paint, STRONG};
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
    let output = &session.output;
    if found.iter().any(Diagnostic::is_error) {
        return unresolved(session, &task, profile, found);
    }
    let known = Known { given: given.as_ref(), repo: Arc::clone(&repo), sources: session.sources.clone() };
    let engine = Engine { repo: Arc::clone(&repo), connectors: Arc::new(Registry::new(session)), clock: Arc::new(SystemClock) };
    let options = Options { profile, ..Options::default() };
    match tidelock_activities::prepare(&engine, &known, &task, &options).await {
        Ok(prepared) => {
            let mut explanation = tidelock_activities::explain(&prepared);
            found.retain(|d| !explanation.diagnostics.contains(d));
            explanation.diagnostics.splice(0..0, found);
            if let Some(given) = &given {
                drop((engine, known));
                let repo = repository::open(session)?;
                apply::store(session, &*repo, given).await?;
            }
            if output.is_json() {
                output.document(&explanation)?;
            } else {
                output.findings(&explanation.diagnostics);
                output.say(&render(&explanation, output.paint()))?;
            }
            Ok(Exit::Done)
        }
        Err(RunError::Definition { error, diagnostics }) => {
            found.retain(|d| !diagnostics.contains(d) && *d != *error);
            found.extend(diagnostics);
            if !found.iter().any(Diagnostic::is_error) {
                found.push(*error);
            }
            unresolved(session, &task, profile, found)
        }
        Err(RunError::NotBegun(report)) => {
            let exit = Exit::of_run(report.status, report.run_status);
            let failure = match report.error {
                Some(error) => Failure::of_error(exit, error),
                None => Failure::fatal("resource", "the resource cannot be used now"),
            };
            Err(failure.after(found))
        }
        Err(RunError::Repo(error)) => Err(Failure::repository(&error, &session.database)),
    }
}

/// Explains what can be explained of a task whose object set cannot be resolved.
fn unresolved(session: &Session, task: &Task, profile: Profile, found: Diagnostics) -> Result<Exit, Failure> {
    if !session.output.is_json() {
        return Err(Failure::definition(found));
    }
    let error = found.iter().find(|d| d.is_error()).cloned();
    let explanation = Explanation {
        profile: profile.as_str().to_owned(),
        diagnostics: found,
        error,
        ..task.activity.as_ref().map(given).unwrap_or_default()
    };
    session.output.document(&explanation)?;
    Ok(Exit::Definition)
}

/// What an activity says of its objects.
fn given(activity: &Activity) -> Explanation {
    let work = activity.work.as_ref();
    let set = work.and_then(|work| work.objects.as_ref());
    Explanation {
        activity: work.map(|work| work.kind.as_str().to_owned()).unwrap_or_default(),
        resource: Named {
            oid: set.and_then(|set| set.resource_ref.as_ref()?.oid.as_ref()).map(ToString::to_string),
            ..Named::default()
        },
        given: set.map(given_coordinates).unwrap_or_default(),
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

fn render(explanation: &Explanation, paint: Paint) -> String {
    let mut out = String::new();
    one(&mut out, explanation, paint);
    for part in &explanation.activities {
        out.push('\n');
        // Documents are nested to a bounded depth, and so are activities.
        out.push_str(&render(part, paint));
    }
    out
}

fn one(out: &mut String, explanation: &Explanation, paint: Paint) {
    // A part is known by its path, which mostly says what it is.
    let path = explanation.path.as_deref().filter(|path| path.rsplit('/').next() != Some(&explanation.activity));
    let path = path.map(|path| format!("{}: ", clean(path))).unwrap_or_default();
    let of = match explanation.resource.name.as_deref().or(explanation.resource.oid.as_deref()) {
        Some(resource) => clean(resource).into_owned(),
        None if explanation.activities.is_empty() => "?".to_owned(),
        None => count(explanation.activities.len() as u64, "activity", "activities"),
    };
    let _ = writeln!(out, "{path}{} of {of}", paint.text(STRONG, &explanation.activity));
    let mut say = |title: &str, value: Option<String>| {
        let value = value.filter(|value| !value.is_empty());
        if let Some(value) = value {
            let _ = writeln!(out, "  {title:<12}{}", clean(&value));
        }
    };
    let scope = match (&explanation.scope, &explanation.object_type, &explanation.object_class) {
        (Some(_), Some(t), Some(class)) => Some(format!("objects of type {}/{}, class {}", t.kind, t.intent, class.name)),
        (Some(_), None, Some(class)) => Some(format!("all objects of class {}", class.name)),
        (Some(scope), _, None) if scope == "resource" => Some("all objects of the resource, of all classes".to_owned()),
        _ => None,
    };
    say("Scope", scope);
    say("Given", coordinates(&explanation.given));
    say("Rules", Some(explanation.profile.clone()));
    say("Base query", explanation.base_query.clone());
    let application = explanation.query_application.as_ref().map(|a| format!("  ({a})")).unwrap_or_default();
    say("Query", explanation.query.as_ref().map(|query| format!("{query}{application}")));
    say("Paging", explanation.paging.as_ref().filter(|paging| !paging.is_null()).map(ToString::to_string));
    say("Each object", coordinates(&explanation.post_filter).map(|c| format!("is checked for {c}")));
    say("Asked as", explanation.native.clone());
    say("Ignored", Some(explanation.ignored.join(", ")));
    if explanation.scope.is_none() && explanation.activities.is_empty() {
        let _ = writeln!(out, "  {}", paint.text(FAINT, "no objects of a resource"));
    }
}

fn coordinates(given: &GivenCoordinates) -> Option<String> {
    let parts = [("kind", &given.kind), ("intent", &given.intent), ("objectclass", &given.objectclass)];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tidelock_activities::{ClassName, TypeName};

    use super::*;

    #[test]
    fn people_see_which_objects_are_meant_and_how_they_are_asked_for() {
        let explanation = Explanation {
            activity: "import".to_owned(),
            profile: "documented".to_owned(),
            resource: Named { oid: Some("r".to_owned()), name: Some("HR".to_owned()) },
            given: GivenCoordinates { kind: Some("account".to_owned()), ..GivenCoordinates::default() },
            scope: Some("type".to_owned()),
            object_type: Some(TypeName { kind: "account".to_owned(), intent: "default".to_owned() }),
            object_class: Some(ClassName { namespace: String::new(), name: "person".to_owned() }),
            query: Some("kind = \"account\"".to_owned()),
            query_application: Some("append".to_owned()),
            post_filter: GivenCoordinates { kind: Some("account".to_owned()), ..GivenCoordinates::default() },
            native: Some("(objectClass=person)".to_owned()),
            ..Explanation::default()
        };
        expect![[r#"
            import of HR
              Scope       objects of type account/default, class person
              Given       kind account
              Rules       documented
              Query       kind = "account"  (append)
              Each object is checked for kind account
              Asked as    (objectClass=person)
        "#]]
        .assert_eq(&render(&explanation, Paint::PLAIN));
    }
}
