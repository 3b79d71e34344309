//! A world whose clock stands still until it is moved, and what fails in it and is tried again.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use expect_test::Expect;
use tidelock_activities::{Clock, Control, Engine, NoProgress, Options, Prepared, RunError, RunReport, execute};
use tidelock_model::object::FocusType;
use tidelock_model::{Oid, Timestamp};
use tidelock_repo::{Batch, FocusChange, ObjectKey, Repo, Retry};
use tokio_util::sync::CancellationToken;

use super::{ALL, World, activity, work};
/// A clock that stands still until somebody moves it.
pub struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed) * 1000)
    }
}

/// A world in which time is told in seconds.
pub struct Timed {
    pub world: World,
    clock: Arc<Still>,
}

impl Timed {
    pub fn new() -> Self {
        Self::with(World::new())
    }

    pub fn with(mut world: World) -> Self {
        let clock = Arc::new(Still(AtomicI64::new(0)));
        world.engine.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Self { world, clock }
    }

    pub fn at(&self, second: i64) -> &Self {
        self.clock.0.store(second, Ordering::Relaxed);
        self
    }

    pub async fn try_run(&self, name: &str, task: &str, options: &Options) -> Result<RunReport, RunError> {
        let prepared = self.world.prepare(task, options).await?;
        run(&self.world.engine, name, prepared).await
    }

    pub async fn run(&self, name: &str, task: &str) -> RunReport {
        self.try_run(name, task, &Options::default()).await.unwrap()
    }

    /// An import that tries again what fails.
    pub async fn import(&self, retry: &str) -> RunReport {
        self.run("import", &import(retry)).await
    }

    pub async fn scan(&self) -> RunReport {
        self.run("scan", &scan("")).await
    }

    pub async fn triggers(&self) -> String {
        triggers(&*self.world.engine.repo).await
    }

    /// The user whose name is in the way goes.
    pub async fn mend(&self, name: &str) {
        let repo = &self.world.engine.repo;
        let user = repo.focus(FocusType::User, &ObjectKey::Name(name.into())).await.unwrap().unwrap();
        let gone = FocusChange::Delete { key: user.key, version: user.focus.version };
        repo.commit(Batch { foci: vec![gone], ..Batch::default() }).await.unwrap();
    }

    /// Which objects are tried again, and when.
    pub async fn check(&self, expected: Expect) {
        expected.assert_eq(&self.triggers().await);
    }
}

pub async fn run(engine: &Engine, name: &str, prepared: Prepared) -> Result<RunReport, RunError> {
    let control =
        Control { cancel: CancellationToken::new(), progress: Arc::new(NoProgress), until_idle: Some(Duration::from_millis(20)) };
    execute(engine, prepared, Oid::new(name), &control).await
}

pub async fn triggers(repo: &dyn Repo) -> String {
    let mut text = String::new();
    for trigger in repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 1000).await.unwrap() {
        let stored = repo.load(&[trigger.shadow]).await.unwrap().remove(0).unwrap();
        let Retry { at, attempt, interval_millis, limit, task, activity } = trigger.retry;
        let limit = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
        writeln!(
            text,
            "{} at {}s: {attempt}{limit}, next after {}s ({task}{}{activity})",
            stored.shadow.identifier,
            at.as_millis() / 1000,
            interval_millis / 1000,
            if activity.is_empty() { "" } else { "/" },
        )
        .unwrap();
    }
    text
}

pub fn flow(reaction: &str) -> String {
    format!("<controlFlow><errorHandling><entry><reaction>{reaction}</reaction></entry></errorHandling></controlFlow>")
}

pub fn retry_later(retry: &str) -> String {
    flow(&format!("<retryLater>{retry}</retryLater>"))
}

pub fn import(retry: &str) -> String {
    activity(&format!("{}{}", work("import", ALL, ""), retry_later(retry)))
}

/// A scan of what is due, with these items of its object set.
pub fn scan(set: &str) -> String {
    activity(&format!("<work><triggerScan>{set}</triggerScan></work>"))
}

pub const QUICK: &str = "<initialInterval>PT1M</initialInterval><nextInterval>PT5M</nextInterval>";

/// Two objects: the name of the focus for one of them is taken.
pub async fn troubled() -> Timed {
    let timed = Timed::new();
    timed.world.put("good", "number=1");
    timed.world.put("bad", "number=2");
    timed.world.user("bad", "").await;
    timed
}

/// What is said of a task.
pub async fn findings(task: &str, options: &Options) -> String {
    World::new().findings(task, options).await
}
