//! `token`: the synchronization token of a live-synchronization task's object set.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use tidelock_activities::{
    Clock, Definitions, Engine, Named, Options, Position, RunError, SystemClock, prepare, token_of_text, token_text,
};
use tidelock_model::definition::{Activity, Definition, Task, WorkKind};
use tidelock_model::{Diagnostic, Oid, Place};
use tidelock_repo::{Batch, Repo, StoredToken, TokenChange};

use crate::args;
use crate::commands::apply;
use crate::config::Session;
use crate::definitions::{self, Argument, Known};
use crate::failure::{Exit, Failure};
use crate::output::text::clean;
use crate::output::{FAINT, Paint, STRONG};
use crate::registry::Registry;
use crate::repository;
use crate::validate::{self, Tasks};

pub(super) async fn token(session: &Session, action: &args::Token) -> Result<Exit, Failure> {
    match action {
        args::Token::Show { task } => show(session, task).await,
        args::Token::Set { task, value: Some(text), .. } => {
            let token = token_of_text(text).ok_or_else(|| {
                Failure::usage("the token is not bytes in base64", "write it as `tidelock token show` prints it")
            })?;
            change(session, task, Change::To(token)).await
        }
        args::Token::Set { task, value: None, .. } => change(session, task, Change::Back).await,
        args::Token::Reset { task } => change(session, task, Change::Reset).await,
    }
}

/// What becomes of a token.
enum Change {
    /// It is this one.
    To(Box<[u8]>),
    /// It is the one before.
    Back,
    /// There is none.
    Reset,
}

async fn show(session: &Session, task: &str) -> Result<Exit, Failure> {
    let target = Target::find(session, task).await?;
    let repo = repository::look(session)?;
    let tokens = target.position.tokens(&*repo).await.map_err(|error| Failure::repository(&error, &session.database))?;
    print(session, &target, &tokens, "")
}

async fn change(session: &Session, task: &str, change: Change) -> Result<Exit, Failure> {
    let failed = |error: tidelock_repo::Error| Failure::repository(&error, &session.database);
    let target = Target::find(session, task).await?;
    let repo = repository::open(session)?;
    // A run that is under way would write its own over it.
    let _guard = repo.lock_for_run().await.map_err(failed)?;
    let tokens = target.position.tokens(&*repo).await.map_err(failed)?;
    if target.only_listens && tokens.is_empty() {
        let why = "it listens, and no source of its has given one: the source keeps the position itself";
        return Err(no_token(target.task.name.as_deref(), &target.place, why));
    }
    let goes_on = "The next run takes over what has changed after this token.";
    let (value, said) = match change {
        Change::To(token) => (Some(token), goes_on),
        Change::Back => match tokens.get(1) {
            Some(before) => (Some(before.value.clone()), goes_on),
            None => {
                return Err(Failure::usage(
                    "there is no token before the present one",
                    "see what there is with `tidelock token show`",
                ));
            }
        },
        Change::Reset => (
            None,
            "The next run takes the position of its moment and processes nothing. What has changed until then is found only by a \
             reconciliation: run one after that.",
        ),
    };
    let token = TokenChange { key: target.position.key.clone(), value, at: SystemClock.now(), run: 0 };
    repo.commit(Batch { token: Some(token), ..Batch::default() }).await.map_err(failed)?;
    let tokens = target.position.tokens(&*repo).await.map_err(failed)?;
    print(session, &target, &tokens, said)
}

/// The task that is meant, and whose token it moves.
struct Target {
    task: Named,
    place: Place,
    resource: Named,
    position: Position,
    /// Whether it is for changes that are pushed, of which most sources keep the position themselves.
    only_listens: bool,
}

impl Target {
    /// Finds the task. A file is applied.
    async fn find(session: &Session, argument: &str) -> Result<Self, Failure> {
        let look = repository::look(session)?;
        match definitions::find::<Task>(session, &*look, argument).await? {
            Argument::Stored(task, stored) => Self::of(session, look, &task, Some(stored.oid)).await,
            Argument::Given(task, given) => {
                let found = validate::refuse_errors(validate::validate(session, &look, &given, Tasks::Prepared).await?)?;
                session.output.findings_beside(&found);
                drop(look);
                let repo = repository::open(session)?;
                let applied = apply::store(session, &*repo, &given).await?;
                let at = given.objects.iter().position(|object| matches!(object.definition, Definition::Task(_)));
                let oid = at.and_then(|at| applied.get(at)).map(|task| task.oid.clone());
                Self::of(session, repo, &task, oid).await
            }
        }
    }

    async fn of(session: &Session, repo: Arc<dyn Repo>, task: &Task, oid: Option<Oid>) -> Result<Self, Failure> {
        let place = task.activity.as_ref().map_or(&task.place, |activity| &activity.place).clone();
        let name = task.name.as_ref().map(|name| name.value.clone());
        let known = Known { given: None, repo: Arc::clone(&repo), sources: session.sources.clone() };
        let engine = Engine { repo, connectors: Arc::new(Registry::new(session)), clock: Arc::new(SystemClock) };
        // What its object set comes to, the resource's schema says. That the resource cannot be followed, its runs say.
        let options = Options { explaining: true, ..Options::default() };
        let prepared = prepare(&engine, &known, task, &options).await.map_err(|error| match error {
            RunError::Definition { error, diagnostics } => Failure { error, ..Failure::definition(diagnostics) },
            RunError::Repo(error) => Failure::repository(&error, &session.database),
            RunError::NotBegun(report) => Failure::not_begun(*report),
        })?;
        let positions = prepared.positions().map_err(|error| Failure::of_error(Exit::Temporary, error.clone()))?;
        let position = match *positions {
            [] => return Err(no_token(name.as_deref(), &place, "its activity is not a live synchronization")),
            [one] => one.clone(),
            _ => {
                let message = "the task has several live synchronizations, each with a token";
                let error = Diagnostic::error("several-tokens", &place, message);
                return Err(Failure::of_definition(error.with_help("make a task of each, and name one of them")));
            }
        };
        let resource = &position.key.resource;
        let entry = known.resource(resource).await.map_err(|error| Failure::repository(&error, &session.database))?;
        Ok(Self {
            task: Named { oid: oid.map(|oid| oid.to_string()), name },
            place,
            resource: Named {
                oid: Some(resource.to_string()),
                name: entry.and_then(|entry| entry.definition.name).map(|name| name.value),
            },
            position,
            only_listens: !task.activity.as_ref().is_some_and(synchronizes_live),
        })
    }
}

/// Whether an activity, or one within it, is a live synchronization.
fn synchronizes_live(activity: &Activity) -> bool {
    // Documents are nested to a bounded depth, and so are activities.
    activity.work.as_ref().is_some_and(|work| work.kind == WorkKind::LiveSynchronization)
        || activity.composition.iter().flat_map(|composition| &composition.activity).any(synchronizes_live)
}

fn no_token(task: Option<&str>, place: &Place, why: &str) -> Failure {
    let message = format!("the task '{}' has no synchronization token: {why}", task.unwrap_or_default());
    Failure::of_definition(Diagnostic::error("no-token", place, message).with_help("name a task that is a live synchronization"))
}

/// The JSON document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    task: &'a Named,
    resource: &'a Named,
    object_set: &'a str,
    token: Option<String>,
    stored_at: Option<String>,
    /// Those before it, newest first.
    history: Vec<Earlier>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Earlier {
    token: String,
    stored_at: String,
}

impl Earlier {
    fn of(stored: &StoredToken) -> Self {
        Self { token: token_text(&stored.value), stored_at: stored.at.to_string() }
    }
}

fn print(session: &Session, target: &Target, tokens: &[StoredToken], said: &str) -> Result<Exit, Failure> {
    let output = &session.output;
    let mut tokens = tokens.iter().map(Earlier::of);
    let (token, stored_at) = tokens.next().map(|newest| (newest.token, newest.stored_at)).unzip();
    let history = tokens.collect();
    let Target { task, resource, position, .. } = target;
    let document = Document { task, resource, object_set: &position.key.set, token, stored_at, history };
    if output.is_json() {
        output.document(&document)?;
        return Ok(Exit::Done);
    }
    output.say(&render(&document, said, output.paint()))?;
    Ok(Exit::Done)
}

fn render(document: &Document<'_>, said: &str, paint: Paint) -> String {
    let mut out = String::new();
    let task = clean(document.task.name.as_deref().unwrap_or("?"));
    let resource = document.resource.name.as_deref().or(document.resource.oid.as_deref()).unwrap_or("?");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "Token of {} for {}", paint.text(STRONG, task), clean(resource));
    let mut say = |title: &str, value: &str| {
        let _ = writeln!(out, "  {title:<12}{}", clean(value));
    };
    say("Objects", document.object_set);
    match (&document.token, &document.stored_at) {
        (Some(token), Some(at)) => say("Token", &format!("{token}  (since {at})")),
        _ if said.is_empty() => say("Token", "none yet: the first run takes one and processes nothing"),
        _ => say("Token", "none"),
    }
    for (nth, earlier) in document.history.iter().enumerate() {
        say(if nth == 0 { "Before" } else { "" }, &format!("{}  (since {})", earlier.token, earlier.stored_at));
    }
    if !said.is_empty() {
        let _ = writeln!(out, "{}", paint.text(FAINT, said));
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn people_see_the_token_and_those_before_it() {
        let named = |name: &str| Named { oid: None, name: Some(name.to_owned()) };
        let earlier = |token: &str| Earlier { token: token.to_owned(), stored_at: "2026-01-31T12:00:00.000Z".to_owned() };
        let (task, resource) = (named("HR live"), named("HR"));
        let document = Document {
            task: &task,
            resource: &resource,
            object_set: "class = person",
            token: Some("42".to_owned()),
            stored_at: Some("2026-01-31T12:34:56.000Z".to_owned()),
            history: vec![earlier("41"), earlier("base64:/wA=")],
        };
        expect![[r#"
            Token of HR live for HR
              Objects     class = person
              Token       42  (since 2026-01-31T12:34:56.000Z)
              Before      41  (since 2026-01-31T12:00:00.000Z)
                          base64:/wA=  (since 2026-01-31T12:00:00.000Z)
        "#]]
        .assert_eq(&render(&document, "", Paint::PLAIN));
        let none = Document { token: None, stored_at: None, history: Vec::new(), ..document };
        expect![[r#"
            Token of HR live for HR
              Objects     class = person
              Token       none
            It is so.
        "#]]
        .assert_eq(&render(&none, "It is so.", Paint::PLAIN));
    }
}
