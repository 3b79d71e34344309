//! A small world for the engine: a resource in memory, a repository in memory, a clock that ticks.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "a test may fail loudly, and not every test uses everything")]

pub mod brittle;

pub mod following;

pub mod scripted;

pub mod timed;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tidelock_activities::{
    Clock, Connectors, Control, Definitions, Engine, NoProgress, OpenError, Options, Prepared, ResourceEntry, RunError,
    RunReport, execute, prepare,
};
use tidelock_connector_api::memory::{self, Memory};
use tidelock_connector_api::{Connector, async_trait};
use tidelock_model::definition::{Definition, Resource, read_file};
use tidelock_model::document::Format;
use tidelock_model::object::{Focus, FocusType, Schema};
use tidelock_model::{Diagnostics, Items, Oid, Timestamp, Value, Values};
use tidelock_repo::{Batch, Repo, ShadowFilter, TokenChange, TokenKey};
use tokio_util::sync::CancellationToken;

pub const CLASS: &str = "AccountObjectClass";

/// People with a number and a mail address; contractors by `kind`.
pub const RESOURCE: &str = r#"
<resource oid="hr" xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
          xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3" xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
  <name>HR</name>
  <schemaHandling>
    <objectType>
      <kind>account</kind><intent>default</intent><default>true</default>
      <delineation>
        <objectClass>ri:AccountObjectClass</objectClass>
        <filter><q:text>attributes/ri:kind not exists</q:text></filter>
      </delineation>
      <focus><type>UserType</type></focus>
      <attribute><ref>ri:uid</ref><inbound><strength>weak</strength><target><path>name</path></target></inbound></attribute>
      <attribute><ref>ri:number</ref><inbound><target><path>employeeNumber</path></target><use>all</use></inbound></attribute>
      <attribute><ref>ri:mail</ref><inbound><target><path>emailAddress</path></target><use>all</use></inbound></attribute>
      <attribute><ref>ri:unit</ref><inbound><target><path>organizationalUnit</path></target></inbound></attribute>
      <correlation><correlators>
        <items><item><ref>employeeNumber</ref></item><composition><tier>1</tier></composition></items>
        <items><item><ref>emailAddress</ref></item><composition><tier>2</tier></composition></items>
      </correlators></correlation>
      <synchronization>
        <reaction><situation>linked</situation><actions><synchronize/></actions></reaction>
        <reaction><situation>unlinked</situation><actions><link/></actions></reaction>
        <reaction><situation>unmatched</situation><actions><addFocus/></actions></reaction>
        <reaction><situation>deleted</situation><actions><inactivateFocus/></actions></reaction>
      </synchronization>
    </objectType>
    <objectType>
      <kind>account</kind><intent>contractor</intent>
      <delineation>
        <objectClass>ri:AccountObjectClass</objectClass>
        <filter><q:text>attributes/ri:kind = "contractor"</q:text></filter>
      </delineation>
      <focus><type>UserType</type></focus>
      <attribute><ref>ri:uid</ref><inbound><target><path>name</path></target></inbound></attribute>
      <synchronization>
        <reaction><situation>linked</situation><actions><synchronize/></actions></reaction>
        <reaction><situation>unmatched</situation><actions><addFocus/></actions></reaction>
        <reaction><situation>deleted</situation><actions><deleteFocus/></actions></reaction>
      </synchronization>
    </objectType>
  </schemaHandling>
</resource>"#;

pub struct World {
    pub engine: Engine,
    pub resource: Memory,
    definition: Resource,
    opened: Arc<dyn Connectors>,
}

/// A clock that is a second later at every look.
struct Ticking(AtomicI64);

struct Only(Arc<dyn Connector>);

struct Known(ResourceEntry);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

#[async_trait]
impl Connectors for Only {
    async fn open(&self, _resource: &ResourceEntry) -> Result<(Arc<dyn Connector>, Diagnostics), OpenError> {
        Ok((Arc::clone(&self.0), Vec::new()))
    }
}

#[async_trait]
impl Definitions for Known {
    async fn resource(&self, oid: &Oid) -> Result<Option<ResourceEntry>, tidelock_repo::Error> {
        Ok((oid.to_string() == "hr").then(|| self.0.clone()))
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(RESOURCE, Arc::new(tidelock_repo::memory::Memory::new()))
    }

    pub fn with(definition: &str, repo: Arc<dyn Repo>) -> Self {
        Self::of(definition, repo, memory::Options::default())
    }

    /// A world whose resource tells of changes.
    pub fn changing(options: memory::Options) -> Self {
        Self::of(RESOURCE, Arc::new(tidelock_repo::memory::Memory::new()), options)
    }

    pub fn of(definition: &str, repo: Arc<dyn Repo>, options: memory::Options) -> Self {
        let schema = Schema::default().with_class(CLASS, "uid", &["uid", "number", "mail", "unit", "kind"]);
        let resource = Memory::with_options(schema, options);
        Self::around(definition, repo, resource.clone(), Arc::new(resource))
    }

    /// A world whose resource is reached in this way.
    pub fn around(definition: &str, repo: Arc<dyn Repo>, resource: Memory, connector: Arc<dyn Connector>) -> Self {
        let opened: Arc<dyn Connectors> = Arc::new(Only(connector));
        let clock = Arc::new(Ticking(AtomicI64::new(1_000_000)));
        let engine = Engine { repo, connectors: Arc::clone(&opened), clock };
        let Definition::Resource(definition) = read(definition) else { panic!("not a resource") };
        Self { engine, resource, definition: *definition, opened }
    }

    /// Puts an object on the resource, `number=7 mail=x`.
    pub fn put(&self, uid: &str, attributes: &str) {
        let pairs: Vec<(&str, &str)> = attributes.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect();
        self.resource.put(CLASS, uid, &pairs).unwrap();
    }

    pub fn remove(&self, uid: &str) {
        self.resource.remove(CLASS, uid).unwrap();
    }

    /// Puts a user into the repository.
    ///
    /// # Panics
    /// If the name is taken.
    pub async fn user(&self, name: &str, items: &str) {
        self.try_user(name, items).await.unwrap();
    }

    pub async fn try_user(&self, name: &str, items: &str) -> Result<(), tidelock_repo::Error> {
        let mut content: Items = [("name".into(), Values::from_iter([Value::from(name)]))].into_iter().collect();
        for pair in items.split_whitespace() {
            let (key, value) = pair.split_once('=').unwrap();
            content.set(key, Values::from_iter([Value::from(value)]));
        }
        let focus = Focus { oid: Oid::new(name), focus_type: FocusType::User, version: 0, content };
        self.engine.repo.apply(Vec::new(), vec![(Some(Oid::new(name)), focus)]).await.map(drop)
    }

    pub async fn prepare(&self, task: &str, options: &Options) -> Result<Prepared, RunError> {
        let Definition::Task(task) = read(task) else { panic!("not a task") };
        let known = Known(ResourceEntry { definition: self.definition.clone(), origin: None });
        prepare(&self.engine, &known, &task, options).await
    }

    /// What is said against a task, or about it.
    ///
    /// # Panics
    /// Where the task is not even looked at.
    pub async fn findings(&self, task: &str, options: &Options) -> String {
        let diagnostics = match self.prepare(task, options).await {
            Ok(prepared) => prepared.diagnostics().clone(),
            Err(RunError::Definition { diagnostics, .. }) => diagnostics,
            Err(other) => panic!("{other}"),
        };
        let mut text = String::new();
        for d in diagnostics {
            writeln!(text, "{d}").unwrap();
            if let Some(help) = d.help {
                writeln!(text, "  {}", help.replace('\n', "\n  ")).unwrap();
            }
        }
        text
    }

    pub async fn run(&self, task: &str, options: &Options) -> RunReport {
        self.run_until(task, options, CancellationToken::new()).await
    }

    pub async fn run_until(&self, task: &str, options: &Options, cancel: CancellationToken) -> RunReport {
        self.try_run(task, options, cancel).await.unwrap()
    }

    /// Runs a task on a repository that may fail. A listening task ends when nothing more is there.
    pub async fn try_run(&self, task: &str, options: &Options, cancel: CancellationToken) -> Result<RunReport, RunError> {
        self.try_run_on(&self.engine, task, options, cancel).await
    }

    /// The same in other surroundings.
    pub async fn try_run_on(
        &self,
        engine: &Engine,
        task: &str,
        options: &Options,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunError> {
        let Definition::Task(task) = read(task) else { panic!("not a task") };
        let known = Known(ResourceEntry { definition: self.definition.clone(), origin: None });
        let prepared = prepare(engine, &known, &task, options).await?;
        let control = Control { cancel, progress: Arc::new(NoProgress), until_idle: Some(Duration::from_millis(20)) };
        execute(engine, prepared, Oid::new("task"), &control).await
    }

    /// The stored token of a set, as text.
    pub async fn token(&self, set: &str) -> Option<String> {
        let key = TokenKey { resource: Oid::new("hr"), set: set.into() };
        let tokens = self.engine.repo.tokens(&key).await.unwrap();
        tokens.first().map(|token| tidelock_activities::token_text(&token.value))
    }

    /// Sets the token of a set, or resets it, as somebody would do who is no run.
    pub async fn set_token(&self, set: &str, token: Option<&str>) {
        let key = TokenKey { resource: Oid::new("hr"), set: set.into() };
        let token = TokenChange { key, value: token.map(|token| token.as_bytes().into()), at: self.engine.clock.now(), run: 0 };
        self.engine.repo.commit(Batch { token: Some(token), ..Batch::default() }).await.unwrap();
    }

    /// Everything in the repository, generated OIDs and times aside.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        let mut names = std::collections::HashMap::new();
        let mut users = self.engine.repo.foci(FocusType::User, None, 100_000).await.unwrap();
        users.sort_by(|a, b| a.focus.name().cmp(b.focus.name()));
        for user in users {
            names.insert(user.focus.oid.clone(), user.focus.name().to_owned());
            writeln!(
                text,
                "user {} v{} {}",
                user.focus.name(),
                user.focus.version,
                serde_json::to_string(&user.focus.content).unwrap()
            )
            .unwrap();
        }
        let filter = ShadowFilter { dead: true, ..ShadowFilter::default() };
        let mut shadows = self.engine.repo.shadows(&filter, None, 100_000).await.unwrap();
        shadows.sort_by(|a, b| (&a.shadow.identifier, a.shadow.dead).cmp(&(&b.shadow.identifier, b.shadow.dead)));
        for stored in shadows {
            let shadow = stored.shadow;
            let results = self.engine.repo.results(stored.key).await.unwrap();
            writeln!(
                text,
                "shadow {}{} {} {} -> {} {} {:?}",
                shadow.identifier,
                if shadow.dead { " dead" } else { "" },
                shadow.object_type.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                shadow.situation.map_or_else(|| "-".to_owned(), |situation| situation.to_string()),
                shadow.owner.map_or("-", |owner| names.get(&owner).map_or("?", String::as_str)),
                serde_json::to_string(&shadow.attributes).unwrap(),
                results.iter().map(|result| result.status.as_str()).collect::<Vec<_>>(),
            )
            .unwrap();
        }
        text
    }
}

pub fn read(text: &str) -> Definition {
    let (mut definitions, diagnostics) = read_file(text.as_bytes(), Some("test.xml"), Format::Xml);
    assert!(diagnostics.iter().all(|d| !d.is_error()), "{diagnostics:?}");
    assert_eq!(definitions.len(), 1);
    definitions.remove(0)
}

/// A task with this work on this object set.
pub fn task(work: &str, set: &str) -> String {
    activity(&self::work(work, set, ""))
}

/// A task with this activity.
pub fn activity(content: &str) -> String {
    whole(&format!("<activity>{content}</activity>"))
}

/// A task with these items.
pub fn whole(items: &str) -> String {
    format!(
        r#"<task oid="task" xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
             xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3" xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3">
          <name>task</name>{items}</task>"#
    )
}

/// This work on this object set, with more items of the work.
pub fn work(work: &str, set: &str, more: &str) -> String {
    let objects = match work {
        "shadowCleanup" => "shadows",
        "asynchronousUpdate" => "updatedResourceObjects",
        _ => "resourceObjects",
    };
    format!(r#"<work><{work}><{objects}><resourceRef oid="hr"/>{set}</{objects}>{more}</{work}></work>"#)
}

/// All accounts.
pub const ALL: &str = "<objectclass>ri:AccountObjectClass</objectclass>";

pub fn import() -> String {
    task("import", "<objectclass>ri:AccountObjectClass</objectclass>")
}

pub fn reconciliation() -> String {
    task("reconciliation", "<objectclass>ri:AccountObjectClass</objectclass>")
}

pub fn live_sync() -> String {
    task("liveSynchronization", ALL)
}

pub fn listening() -> String {
    task("asynchronousUpdate", "")
}

/// The report without times.
pub fn summary(report: &RunReport) -> String {
    let mut text = format!("{:?} {:?} {:?}\n", report.status, report.run_status, report.task_state);
    for activity in &report.activities {
        let mode = activity.mode.map(|mode| format!(" ({mode:?})")).unwrap_or_default();
        let name = if activity.path.is_empty() { "-" } else { &activity.path }.to_owned() + &mode;
        writeln!(
            text,
            "{name}: {:?} +{} !{} ~{}",
            activity.status, activity.progress.success, activity.progress.failure, activity.progress.skip
        )
        .unwrap();
        for t in &activity.transitions {
            let show = |situation: &Option<String>| situation.as_deref().unwrap_or("null").to_owned();
            writeln!(
                text,
                "  {} {} {} {}: +{} !{} ~{}",
                show(&t.on_processing_start),
                show(&t.on_synchronization_start),
                show(&t.on_synchronization_end),
                t.exclusion.as_deref().unwrap_or("-"),
                t.counts.success,
                t.counts.failure,
                t.counts.skip
            )
            .unwrap();
        }
        for (object, actions) in &activity.actions.0 {
            if (actions.add, actions.modify, actions.delete) != (0, 0, 0) {
                writeln!(text, "  {object}: add {} modify {} delete {}", actions.add, actions.modify, actions.delete).unwrap();
            }
        }
        if let Some(token) = &activity.token {
            let show = |token: &Option<String>| token.as_deref().unwrap_or("none").to_owned();
            writeln!(text, "  token {} -> {}", show(&token.before), show(&token.after)).unwrap();
        }
        if let Some(listening) = &activity.listening {
            writeln!(text, "  listening {listening:?}").unwrap();
        }
        for failure in &activity.failures {
            writeln!(text, "  {} [{:?}] {}", failure.object, failure.category, failure.message).unwrap();
        }
    }
    if let Some(error) = &report.error {
        writeln!(text, "{}: {}", error.code, error.message).unwrap();
    }
    text
}
