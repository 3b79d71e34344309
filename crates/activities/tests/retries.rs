//! Objects that failed are tried again: `retryLater`, and the scan of what is due.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use expect_test::{Expect, expect};
use support::brittle::{Brittle, Kill};
use support::{ALL, CLASS, RESOURCE, World, activity, read, summary, whole, work};
use tidelock_activities::{
    Clock, Connectors, Control, Definitions, Engine, Mode, NoProgress, OpenError, Options, Prepared, ResourceEntry, RunError,
    RunReport, RunStatus, execute, explain, prepare,
};
use tidelock_connector_api::memory::{self, Call, Faults, Memory};
use tidelock_connector_api::{Connector, ErrorKind, TokenPrecision, async_trait};
use tidelock_model::definition::Definition;
use tidelock_model::object::{FocusType, Schema};
use tidelock_model::{Diagnostics, Oid, Timestamp};
use tidelock_repo::{Batch, FocusChange, NewTrigger, ObjectKey, Repo, Retry, ShadowRef, TriggerChange};
use tokio_util::sync::CancellationToken;

/// A clock that stands still until somebody moves it.
struct Still(AtomicI64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed) * 1000)
    }
}

/// A world in which time is told in seconds.
struct Timed {
    world: World,
    clock: Arc<Still>,
}

impl Timed {
    fn new() -> Self {
        Self::with(World::new())
    }

    fn with(mut world: World) -> Self {
        let clock = Arc::new(Still(AtomicI64::new(0)));
        world.engine.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Self { world, clock }
    }

    fn at(&self, second: i64) -> &Self {
        self.clock.0.store(second, Ordering::Relaxed);
        self
    }

    async fn try_run(&self, name: &str, task: &str, options: &Options) -> Result<RunReport, RunError> {
        let prepared = self.world.prepare(task, options).await?;
        run(&self.world.engine, name, prepared).await
    }

    async fn run(&self, name: &str, task: &str) -> RunReport {
        self.try_run(name, task, &Options::default()).await.unwrap()
    }

    /// An import that tries again what fails.
    async fn import(&self, retry: &str) -> RunReport {
        self.run("import", &import(retry)).await
    }

    async fn scan(&self) -> RunReport {
        self.run("scan", &scan("")).await
    }

    async fn triggers(&self) -> String {
        triggers(&*self.world.engine.repo).await
    }

    /// The user whose name is in the way goes.
    async fn mend(&self, name: &str) {
        let repo = &self.world.engine.repo;
        let user = repo.focus(FocusType::User, &ObjectKey::Name(name.into())).await.unwrap().unwrap();
        let gone = FocusChange::Delete { key: user.key, version: user.focus.version };
        repo.commit(Batch { foci: vec![gone], ..Batch::default() }).await.unwrap();
    }

    /// Which objects are tried again, and when.
    async fn check(&self, expected: Expect) {
        expected.assert_eq(&self.triggers().await);
    }
}

async fn run(engine: &Engine, name: &str, prepared: Prepared) -> Result<RunReport, RunError> {
    let control =
        Control { cancel: CancellationToken::new(), progress: Arc::new(NoProgress), until_idle: Some(Duration::from_millis(20)) };
    execute(engine, prepared, Oid::new(name), &control).await
}

async fn triggers(repo: &dyn Repo) -> String {
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

fn flow(reaction: &str) -> String {
    format!("<controlFlow><errorHandling><entry><reaction>{reaction}</reaction></entry></errorHandling></controlFlow>")
}

fn retry_later(retry: &str) -> String {
    flow(&format!("<retryLater>{retry}</retryLater>"))
}

fn import(retry: &str) -> String {
    activity(&format!("{}{}", work("import", ALL, ""), retry_later(retry)))
}

/// A scan of what is due, with these items of its object set.
fn scan(set: &str) -> String {
    activity(&format!("<work><triggerScan>{set}</triggerScan></work>"))
}

const QUICK: &str = "<initialInterval>PT1M</initialInterval><nextInterval>PT5M</nextInterval>";

/// Two objects: the name of the focus for one of them is taken.
async fn troubled() -> Timed {
    let timed = Timed::new();
    timed.world.put("good", "number=1");
    timed.world.put("bad", "number=2");
    timed.world.user("bad", "").await;
    timed
}

#[tokio::test]
async fn what_fails_is_tried_again_when_its_time_has_come_as_often_as_it_may() {
    let timed = troubled().await;
    let report = timed.import(&format!("{QUICK}<retryLimit>2</retryLimit>")).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +1 !1 ~0
          null unmatched linked -: +1 !0 ~0
          null unmatched unmatched -: +0 !1 ~0
          shadow: add 2 modify 0 delete 0
          user: add 1 modify 0 delete 0
          bad [Application] a focus of the same type has this name already
    "#]]
    .assert_eq(&summary(&report));
    timed
        .check(expect![[r#"
        bad at 60s: 1 of 2, next after 300s (import)
    "#]])
        .await;
    assert_eq!(timed.at(59).scan().await.progress.total(), 0, "it is not due yet");

    let report = timed.at(60).scan().await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~0
          unmatched unmatched unmatched -: +0 !1 ~0
          bad [Application] a focus of the same type has this name already
    "#]]
    .assert_eq(&summary(&report));
    timed
        .check(expect![[r#"
        bad at 360s: 2 of 2, next after 300s (import)
    "#]])
        .await;

    assert_eq!(timed.at(359).scan().await.progress.total(), 0);
    let report = timed.at(1000).scan().await;
    assert_eq!(report.progress.failure, 1);
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn without_a_limit_it_is_tried_for_ever() {
    let timed = troubled().await;
    timed.import("").await;
    for attempt in 1..=10 {
        let text = timed.triggers().await;
        let due = 30 * 60 + (attempt - 1) * 6 * 60 * 60;
        assert_eq!(text, format!("bad at {due}s: {attempt}, next after 21600s (import)\n"));
        assert_eq!(timed.at(due).scan().await.progress.failure, 1);
    }
}

#[tokio::test]
async fn a_limit_of_zero_is_no_retry() {
    let timed = troubled().await;
    let report = timed.import("<retryLimit>0</retryLimit>").await;
    assert_eq!((report.run_status, report.progress.failure), (RunStatus::Finished, 1));
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn what_succeeds_is_not_tried_again() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.mend("bad").await;
    let report = timed.at(60).scan().await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          unmatched unmatched linked -: +1 !0 ~0
          shadow: add 0 modify 1 delete 0
          user: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    timed.check(expect![[""]]).await;
    expect![[r#"
        user bad v1 {"name":"bad","employeeNumber":"2"}
        user good v1 {"name":"good","employeeNumber":"1"}
        shadow bad account/default linked -> bad {"uid":"bad"} ["success", "fatal_error"]
        shadow good account/default linked -> good {"uid":"good"} ["success"]
    "#]]
    .assert_eq(&timed.world.dump().await);
    assert_eq!(timed.at(100_000).scan().await.progress.total(), 0);
}

#[tokio::test]
async fn what_another_activity_has_mended_is_found_to_be_in_order() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.mend("bad").await;
    let report = timed.run("other", &activity(&work("reconciliation", ALL, ""))).await;
    assert_eq!(report.progress.failure, 0, "{}", summary(&report));
    timed
        .check(expect![[r#"
        bad at 60s: 1, next after 300s (import)
    "#]])
        .await;
    let before = timed.world.dump().await;
    let report = timed.at(60).scan().await;
    assert_eq!((report.progress.success, report.progress.total()), (1, 1), "{}", summary(&report));
    timed.check(expect![[""]]).await;
    // Results aside, nothing has changed.
    let bare = |dump: String| dump.replace("\"success\", ", "").replace("\"success\"", "");
    assert_eq!(bare(timed.world.dump().await), bare(before));
}

#[tokio::test]
async fn failing_again_in_the_same_task_begins_anew() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.at(60).scan().await;
    timed.at(100).import(QUICK).await;
    timed
        .check(expect![[r#"
        bad at 160s: 1, next after 300s (import)
    "#]])
        .await;
}

#[tokio::test]
async fn an_object_that_failed_in_two_tasks_is_tried_once_for_both() {
    let timed = troubled().await;
    timed.import(&format!("{QUICK}<retryLimit>1</retryLimit>")).await;
    timed.run("other", &import("<initialInterval>PT30S</initialInterval><nextInterval>PT10M</nextInterval>")).await;
    timed
        .check(expect![[r#"
        bad at 30s: 1, next after 600s (other)
        bad at 60s: 1 of 1, next after 300s (import)
    "#]])
        .await;
    let before = timed.world.resource.calls(Call::GetMany);
    let report = timed.at(60).scan().await;
    assert_eq!((report.progress.failure, report.progress.total()), (1, 1));
    assert_eq!(timed.world.resource.calls(Call::GetMany), before + 1);
    timed
        .check(expect![[r#"
        bad at 660s: 2, next after 600s (other)
    "#]])
        .await;
}

#[tokio::test]
async fn retries_of_one_object_may_be_looked_at_apart() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.run("other", &import(QUICK)).await;
    let options = Options { chunk: Some(1), ..Options::default() };
    timed.at(60).try_run("scan", &scan(""), &options).await.unwrap();
    timed
        .check(expect![[r#"
        bad at 360s: 2, next after 300s (import)
        bad at 360s: 2, next after 300s (other)
    "#]])
        .await;
}

#[tokio::test]
async fn chunks_make_no_difference() {
    let mut dumps = Vec::new();
    for chunk in [1, 3, 1000] {
        let timed = Timed::new();
        for number in 0..10 {
            timed.world.put(&format!("u{number}"), "");
            if number % 2 == 0 {
                timed.world.user(&format!("u{number}"), "").await;
            }
        }
        let options = Options { chunk: Some(chunk), ..Options::default() };
        timed.try_run("import", &import(QUICK), &options).await.unwrap();
        timed.world.remove("u2");
        timed.mend("u4").await;
        timed.world.resource.set_faults(Faults::new().unreadable("u6"));
        timed.at(60).try_run("scan", &scan(""), &options).await.unwrap();
        dumps.push(format!("{}{}", timed.triggers().await, timed.world.dump().await));
    }
    assert_eq!(dumps[0], dumps[1]);
    assert_eq!(dumps[0], dumps[2]);
    assert!(dumps[0].contains("u6 at 360s: 2"), "{}", dumps[0]);
}

#[tokio::test]
async fn the_last_failure_before_a_stop_is_not_tried_again() {
    let timed = troubled().await;
    timed.world.put("worse", "number=3");
    timed.world.user("worse", "").await;
    let task = activity(&format!("{}{}", work("import", ALL, ""), flow("<retryLater/><stopAfter>2</stopAfter>")));
    let report = timed.run("import", &task).await;
    assert_eq!((report.run_status, report.progress.failure), (RunStatus::PermanentError, 2));
    timed
        .check(expect![[r#"
        bad at 1800s: 1, next after 21600s (import)
    "#]])
        .await;
    // Counting begins anew with every run.
    timed.at(10).run("import", &task).await;
    timed
        .check(expect![[r#"
        bad at 1810s: 1, next after 21600s (import)
    "#]])
        .await;
}

#[tokio::test]
async fn what_is_only_looked_at_is_not_tried_again() {
    let timed = Timed::new();
    timed.world.put("bad", "number=1");
    timed.world.resource.set_faults(Faults::new().unreadable("bad"));
    for mode in [Mode::DryRun, Mode::Preview, Mode::None] {
        let options = Options { mode: Some(mode), ..Options::default() };
        let report = timed.try_run("import", &import(""), &options).await.unwrap();
        assert_eq!(report.run_status, RunStatus::Finished, "{}", summary(&report));
    }
    timed.check(expect![[""]]).await;
    expect![[""]].assert_eq(&timed.world.dump().await);
}

#[tokio::test]
async fn an_unreadable_object_gets_a_shadow_to_wait_with() {
    let timed = Timed::new();
    timed.world.put("new", "number=1");
    timed.world.resource.set_faults(Faults::new().unreadable("new"));
    let report = timed.import(QUICK).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~0
          null null null -: +0 !1 ~0
          shadow: add 1 modify 0 delete 0
          new [Schema] the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    timed
        .check(expect![[r#"
        new at 60s: 1, next after 300s (import)
    "#]])
        .await;
    expect![[r#"
        shadow new - - -> - {} ["fatal_error"]
    "#]]
    .assert_eq(&timed.world.dump().await);
    let report = timed.at(60).scan().await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~0
          null null null -: +0 !1 ~0
          new [Schema] the object could not be read: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    timed.world.resource.set_faults(Faults::new());
    let report = timed.at(360).scan().await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 0 modify 1 delete 0
          user: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    timed.check(expect![[""]]).await;
    expect![[r#"
        user new v1 {"name":"new","employeeNumber":"1"}
        shadow new account/default linked -> new {"uid":"new"} ["success", "fatal_error", "fatal_error"]
    "#]]
    .assert_eq(&timed.world.dump().await);
}

#[tokio::test]
async fn what_comes_twice_and_cannot_be_read_waits_once() {
    for chunk in [1, 1000] {
        let timed = Timed::new();
        timed.world.put("a", "number=1");
        timed.world.put("new", "number=2");
        timed.world.resource.set_faults(Faults::new().unreadable("new").repeated("new").repeated("a"));
        let options = Options { chunk: Some(chunk), ..Options::default() };
        let report = timed.try_run("import", &import(QUICK), &options).await.unwrap();
        assert_eq!((report.progress.failure, report.progress.success, report.progress.skip), (2, 1, 1), "{}", summary(&report));
        assert_eq!(timed.triggers().await, "new at 60s: 1, next after 300s (import)\n");
    }
}

#[tokio::test]
async fn an_object_without_identity_cannot_be_tried_again() {
    let timed = troubled().await;
    timed.world.resource.set_faults(Faults::new().fail_item(1, ErrorKind::InvalidData));
    let report = timed.import(QUICK).await;
    assert_eq!(report.run_status, RunStatus::PermanentError);
    expect!["test.xml:3:202: error[stopped-by-failure]: the activity stops at the failure of an unreadable object, which cannot be tried again later without a shadow: item 1 fails, as it was told to"].assert_eq(&report.error.unwrap().to_string());
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn an_object_that_is_gone_by_then_dies() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.world.remove("bad");
    let report = timed.at(60).scan().await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          unmatched deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
    "#]]
    .assert_eq(&summary(&report));
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn nobody_waits_for_a_dead_shadow() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    timed.world.remove("bad");
    timed.run("other", &activity(&work("reconciliation", ALL, ""))).await;
    timed
        .check(expect![[r#"
        bad at 60s: 1, next after 300s (import)
    "#]])
        .await;
    let report = timed.at(60).scan().await;
    assert_eq!((report.progress.skip, report.progress.total()), (1, 1), "{}", summary(&report));
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn what_waits_for_a_resource_that_cannot_be_reached_goes_on_waiting() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    let before = timed.triggers().await;
    for fault in [Call::GetMany, Call::Schema] {
        timed.world.resource.set_faults(Faults::new().fail_call(fault, 1, ErrorKind::Unreachable));
        let report = match timed.at(60).try_run("scan", &scan(""), &Options::default()).await {
            Ok(report) => report,
            Err(RunError::NotBegun(report)) => *report,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(report.run_status, RunStatus::TemporaryError, "{}", summary(&report));
        assert_eq!(report.error.unwrap().code, "resource-unreachable");
        assert_eq!(timed.triggers().await, before);
    }
    timed.world.resource.set_faults(Faults::new());
    let report = timed.scan().await;
    assert_eq!((report.progress.failure, report.progress.total(), report.resumed), (1, 1, false));
}

#[tokio::test]
async fn whether_an_object_is_gone_is_asked_again() {
    let timed = Timed::new();
    timed.world.put("a", "number=1");
    timed.world.run(&support::import(), &Options::default()).await;
    timed.world.remove("a");
    timed.world.resource.set_faults(Faults::new().unreadable("a"));
    let task = activity(&format!("{}{}", work("reconciliation", ALL, ""), retry_later(QUICK)));
    timed.at(10).run("reconciliation", &task).await;
    timed
        .check(expect![[r#"
        a at 70s: 1, next after 300s (reconciliation/remainingShadows)
    "#]])
        .await;
    timed.world.resource.set_faults(Faults::new());
    let report = timed.at(70).scan().await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_scan_may_stop_at_a_failure_of_its_own() {
    let timed = troubled().await;
    timed.world.put("worse", "number=3");
    timed.world.user("worse", "").await;
    timed.import(QUICK).await;
    let task = activity(&format!("<work><triggerScan/></work>{}", flow("<stop/>")));
    let options = Options { chunk: Some(1), ..Options::default() };
    let report = timed.at(60).try_run("scan", &task, &options).await.unwrap();
    assert_eq!((report.run_status, report.progress.failure), (RunStatus::PermanentError, 1));
    timed
        .check(expect![[r#"
        worse at 60s: 1, next after 300s (import)
        bad at 360s: 2, next after 300s (import)
    "#]])
        .await;
}

#[tokio::test]
async fn retries_without_an_interval_do_not_keep_a_scan_from_ending() {
    let timed = troubled().await;
    timed.import("<initialInterval>PT0S</initialInterval><nextInterval>PT0S</nextInterval>").await;
    let options = Options { chunk: Some(1), ..Options::default() };
    let report = timed.try_run("scan", &scan(""), &options).await.unwrap();
    assert_eq!(report.progress.total(), 1);
    timed
        .check(expect![[r#"
        bad at 0s: 2, next after 0s (import)
    "#]])
        .await;
}

#[tokio::test]
async fn every_failure_has_its_retry_wherever_the_process_is_killed() {
    for kill in [Kill::Before, Kill::After] {
        for commits in 0.. {
            let mut timed = troubled().await;
            let whole = Arc::clone(&timed.world.engine.repo);
            let brittle = Arc::new(Brittle::new(Arc::clone(&whole), commits, kill));
            timed.world.engine.repo = Arc::clone(&brittle) as Arc<dyn Repo>;
            let options = Options { chunk: Some(1), ..Options::default() };
            let first = timed.try_run("import", &import(QUICK), &options).await;
            // What is stored of failures is stored with their retries.
            let dump = Timed::with(World::with(RESOURCE, Arc::clone(&whole))).world.dump().await;
            assert_eq!(dump.contains("fatal_error"), !triggers(&*whole).await.is_empty(), "{kill:?} {commits}\n{dump}");
            timed.world.engine.repo = Arc::clone(&whole);
            timed.at(10).try_run("import", &import(QUICK), &options).await.unwrap();
            let found = triggers(&*whole).await;
            // Where nothing but the end of the import was lost, that is made good, and no object is imported again.
            let (first_time, again) = ("bad at 60s: 1, next after 300s (import)\n", "bad at 70s: 1, next after 300s (import)\n");
            assert!(found == again || (found == first_time && commits > 2), "{kill:?} {commits}: {found}");
            if first.is_ok() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn no_retry_is_lost_or_counted_twice_wherever_a_scan_is_killed() {
    for kill in [Kill::Before, Kill::After] {
        for commits in 0.. {
            let mut timed = troubled().await;
            timed.world.put("worse", "number=3");
            timed.world.user("worse", "").await;
            timed.world.put("fleeting", "number=4");
            timed.world.user("fleeting", "").await;
            timed.import(QUICK).await;
            timed.mend("fleeting").await;
            let options = Options { chunk: Some(1), ..Options::default() };
            let whole = Arc::clone(&timed.world.engine.repo);
            let brittle = Arc::new(Brittle::new(Arc::clone(&whole), commits, kill));
            timed.world.engine.repo = Arc::clone(&brittle) as Arc<dyn Repo>;
            let first = timed.at(60).try_run("scan", &scan(""), &options).await;
            assert_eq!(first.is_err(), brittle.is_broken());
            timed.world.engine.repo = Arc::clone(&whole);
            timed.try_run("scan", &scan(""), &options).await.unwrap();
            assert_eq!(
                triggers(&*whole).await,
                "bad at 360s: 2, next after 300s (import)\nworse at 360s: 2, next after 300s (import)\n",
                "{kill:?} {commits}"
            );
            let dump = timed.world.dump().await;
            assert!(dump.contains("user fleeting v1"), "{kill:?} {commits}\n{dump}");
            if first.is_ok() {
                break;
            }
        }
    }
}

/// A live synchronization that tries again what fails.
fn live(retry: &str) -> String {
    activity(&format!("{}{}", work("liveSynchronization", ALL, ""), retry))
}

#[tokio::test]
async fn live_synchronization_stops_at_a_failure_unless_it_is_told_to_try_again() {
    let timed = Timed::with(World::changing(memory::Options::default().with_live_sync(TokenPrecision::PerChange)));
    timed.run("live", &live("")).await;
    timed.world.user("bad", "").await;
    for uid in ["one", "bad", "two"] {
        timed.world.put(uid, "");
    }
    let report = timed.run("live", &live("")).await;
    assert_eq!((report.run_status, report.progress.success), (RunStatus::PermanentError, 1), "{}", summary(&report));
    timed.check(expect![[""]]).await;
    let report = timed.run("live", &live(&retry_later(QUICK))).await;
    assert_eq!((report.run_status, report.progress.failure, report.progress.success), (RunStatus::Finished, 1, 1));
    timed
        .check(expect![[r#"
        bad at 60s: 1, next after 300s (live)
    "#]])
        .await;
    timed.mend("bad").await;
    assert_eq!(timed.at(60).scan().await.progress.success, 1);
    assert_eq!(timed.run("live", &live("")).await.progress.total(), 0);
    timed.check(expect![[""]]).await;
}

#[tokio::test]
async fn a_change_that_failed_is_never_passed_without_its_retry() {
    for precision in [TokenPrecision::PerChange, TokenPrecision::EndOfRun] {
        for kill in [Kill::Before, Kill::After] {
            for commits in 0.. {
                let mut timed = Timed::with(World::changing(memory::Options::default().with_live_sync(precision)));
                timed.run("live", &live("")).await;
                timed.world.user("bad", "").await;
                for uid in ["one", "bad", "two"] {
                    timed.world.put(uid, "");
                }
                let options = Options { chunk: Some(1), ..Options::default() };
                let whole = Arc::clone(&timed.world.engine.repo);
                timed.world.engine.repo = Arc::new(Brittle::new(Arc::clone(&whole), commits, kill));
                let task = live(&retry_later(QUICK));
                let first = timed.try_run("live", &task, &options).await;
                timed.world.engine.repo = Arc::clone(&whole);
                let second = timed.try_run("live", &task, &options).await.unwrap();
                assert_eq!(
                    triggers(&*whole).await,
                    "bad at 60s: 1, next after 300s (live)\n",
                    "{precision:?} {kill:?} {commits}"
                );
                let dump = timed.world.dump().await;
                assert!(dump.contains("user one v1") && dump.contains("user two v1"), "{dump}");
                if precision == TokenPrecision::PerChange {
                    // Each change is taken once, and the failed one has failed once.
                    assert_eq!(dump.matches("fatal_error").count(), 1, "{kill:?} {commits}\n{dump}");
                }
                if first.is_ok() {
                    assert_eq!(second.progress.total(), 0);
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_message_that_failed_is_done_with_once_its_retry_is_there() {
    for kill in [Kill::Before, Kill::After] {
        for commits in 0.. {
            let mut timed = Timed::with(World::changing(memory::Options::default().with_async_updates()));
            timed.world.user("bad", "").await;
            for uid in ["one", "bad", "two"] {
                timed.world.put(uid, "");
            }
            let whole = Arc::clone(&timed.world.engine.repo);
            timed.world.engine.repo = Arc::new(Brittle::new(Arc::clone(&whole), commits, kill));
            let task = activity(&format!("{}{}", support::work("asynchronousUpdate", "", ""), retry_later(QUICK)));
            let first = timed.try_run("async", &task, &Options::default()).await;
            timed.world.engine.repo = Arc::clone(&whole);
            timed.try_run("async", &task, &Options::default()).await.unwrap();
            let dump = timed.world.dump().await;
            assert_eq!(triggers(&*whole).await, "bad at 60s: 1, next after 300s (async)\n", "{kill:?} {commits}");
            assert_eq!(dump.matches("fatal_error").count(), 1, "{kill:?} {commits}\n{dump}");
            assert!(dump.contains("user one v1") && dump.contains("user two v1"), "{dump}");
            assert_eq!(timed.world.resource.unsettled(), 0);
            if first.is_ok() {
                break;
            }
        }
    }
}

/// Resources of the same definition, by their OIDs.
struct Several(HashMap<String, Memory>);

#[async_trait]
impl Connectors for Several {
    async fn open(&self, resource: &ResourceEntry) -> Result<(Arc<dyn Connector>, Diagnostics), OpenError> {
        let oid = resource.definition.oid.as_ref().unwrap().value.to_string();
        Ok((Arc::new(self.0[&oid].clone()), Vec::new()))
    }
}

#[async_trait]
impl Definitions for Several {
    async fn resource(&self, oid: &Oid) -> Result<Option<ResourceEntry>, tidelock_repo::Error> {
        let oid = oid.to_string();
        Ok(self.0.contains_key(&oid).then(|| {
            let Definition::Resource(definition) = read(&RESOURCE.replace("oid=\"hr\"", &format!("oid=\"{oid}\""))) else {
                panic!("not a resource")
            };
            ResourceEntry { definition: *definition, origin: None }
        }))
    }
}

/// The resources `a`, `b` and `c`, each with an object whose retry is due; `c` is not defined any more.
async fn several() -> (Timed, Arc<Several>) {
    let mut timed = Timed::new();
    let schema = || Schema::default().with_class(CLASS, "uid", &["uid", "number", "mail", "unit", "kind"]);
    let new = |oid: &&str| ((*oid).to_owned(), Memory::new(schema()));
    let all = Several(["a", "b", "c"].iter().map(new).collect());
    for (oid, resource) in &all.0 {
        resource.put(CLASS, &format!("u{oid}"), &[]).unwrap();
        timed.world.user(&format!("u{oid}"), "").await;
    }
    timed.world.engine.connectors = Arc::new(Several(all.0.clone()));
    for oid in ["a", "b", "c"] {
        let task = import(QUICK).replace("oid=\"hr\"", &format!("oid=\"{oid}\""));
        let report = several_run(&timed, &all, oid, &task).await;
        assert_eq!(report.progress.failure, 1);
    }
    let left = Several(all.0.into_iter().filter(|(oid, _)| oid != "c").collect());
    (timed, Arc::new(left))
}

async fn several_run(timed: &Timed, definitions: &Several, name: &str, task: &str) -> RunReport {
    let Definition::Task(task) = read(task) else { panic!("not a task") };
    let prepared = prepare(&timed.world.engine, definitions, &task, &Options::default()).await.unwrap();
    run(&timed.world.engine, name, prepared).await.unwrap()
}

#[tokio::test]
async fn a_scan_is_for_all_resources_and_one_that_is_away_does_not_keep_the_others() {
    let (timed, resources) = several().await;
    resources.0["a"].set_faults(Faults::new().fail_call(Call::GetMany, 1, ErrorKind::Unreachable));
    let report = several_run(timed.at(60), &resources, "scan", &scan("")).await;
    assert_eq!((report.run_status, report.progress.failure), (RunStatus::TemporaryError, 1), "{}", summary(&report));
    let said: Vec<String> = report.diagnostics.iter().map(ToString::to_string).collect();
    expect!["test.xml:3:44: warning[unknown-resource]: objects are due to be tried again whose resource, with OID c, is not defined any more"].assert_eq(&said.join("\n"));
    timed
        .check(expect![[r#"
        ua at 60s: 1, next after 300s (a)
        uc at 60s: 1, next after 300s (c)
        ub at 360s: 2, next after 300s (b)
    "#]])
        .await;
}

#[tokio::test]
async fn a_scan_may_be_for_one_resource() {
    let (timed, resources) = several().await;
    let set = r#"<objects><resourceRef oid="b"/></objects>"#;
    let report = several_run(timed.at(60), &resources, "scan", &scan(set)).await;
    assert_eq!((report.run_status, report.progress.total()), (RunStatus::Finished, 1), "{}", summary(&report));
    timed
        .check(expect![[r#"
        ua at 60s: 1, next after 300s (a)
        uc at 60s: 1, next after 300s (c)
        ub at 360s: 2, next after 300s (b)
    "#]])
        .await;
}

#[tokio::test]
async fn a_trigger_that_somebody_else_has_left_is_handled_as_well() {
    let timed = troubled().await;
    timed.world.run(&support::import(), &Options::default()).await;
    let repo = &timed.world.engine.repo;
    let good = repo.shadow(&ObjectKey::Name("good".into())).await.unwrap().unwrap();
    let retry = Retry {
        at: Timestamp::from_millis(0),
        attempt: u32::MAX,
        interval_millis: i64::MAX,
        limit: None,
        task: Oid::new("gone"),
        activity: "x".into(),
    };
    let add = TriggerChange::Add(NewTrigger { shadow: ShadowRef::Stored(good.key), retry });
    repo.commit(Batch { triggers: vec![add], ..Batch::default() }).await.unwrap();
    let report = timed.scan().await;
    assert_eq!((report.progress.success, report.progress.total()), (1, 1));
    timed.check(expect![[""]]).await;
}

/// What is said of a task.
async fn findings(task: &str, options: &Options) -> String {
    World::new().findings(task, options).await
}

#[tokio::test]
async fn a_scan_is_run_in_full_or_not_at_all() {
    for mode in [Mode::Preview, Mode::DryRun, Mode::None] {
        let options = Options { mode: Some(mode), ..Options::default() };
        let found = findings(&scan(""), &options).await;
        assert!(found.starts_with("test.xml:3:44: error[not-supported]: triggerScan cannot be run in the mode"), "{found}");
    }
    let own = activity("<work><triggerScan/></work><execution><mode>preview</mode></execution>");
    expect![[r#"
        test.xml:3:76: error[not-supported]: triggerScan cannot be run in the mode 'preview'
          run it in the mode 'full'
    "#]]
    .assert_eq(&findings(&own, &Options::default()).await);
}

#[tokio::test]
async fn what_makes_no_difference_to_a_scan_is_named() {
    let set = r#"<objects><type>ShadowType</type><resourceRef oid="hr"/><kind>account</kind><intent>default</intent>
      <query><q:filter><q:text>kind = "account"</q:text></q:filter></query></objects>"#;
    let task = activity(&format!("<work><triggerScan>{set}</triggerScan></work>{}", flow("<retryLater/>")));
    expect![[r#"
        test.xml:4:152: warning[ignored-item]: 'retryLater' is ignored by triggerScan: an object is tried again as the task said in which it failed
          remove 'retryLater'; 'ignore' says the same here
        test.xml:4:7: warning[not-supported]: 'query' is not supported yet; it has no effect
          remove 'query' if the task does not depend on it
        test.xml:3:66: warning[ignored-item]: 'type' is ignored by triggerScan
          remove 'type'
        test.xml:3:112: warning[ignored-item]: 'kind' is ignored by triggerScan
          remove 'kind'
        test.xml:3:132: warning[ignored-item]: 'intent' is ignored by triggerScan
          remove 'intent'
    "#]].assert_eq(&findings(&task, &Options::default()).await);
}

#[tokio::test]
async fn a_scan_of_a_resource_that_there_is_not_is_refused() {
    expect![[r#"
        test.xml:3:66: error[unknown-resource]: there is no resource with OID no
          apply the resource's definition first (`tidelock apply FILE`), or put it into the same file
    "#]]
    .assert_eq(&findings(&scan(r#"<objects><resourceRef oid="no"/></objects>"#), &Options::default()).await);
    expect![[r#"
        test.xml:3:66: error[no-resource]: 'resourceRef' has no OID
          give the OID of the resource in 'oid'
    "#]]
    .assert_eq(&findings(&scan("<objects><resourceRef/></objects>"), &Options::default()).await);
}

#[tokio::test]
async fn retries_that_mean_nothing_are_refused() {
    for (retry, expected) in [
        (
            "<initialInterval>-PT1M</initialInterval>",
            expect![[r#"
            test.xml:3:231: error[bad-value]: 'initialInterval' is negative
              say how long to wait, such as <initialInterval>PT1H</initialInterval>
        "#]],
        ),
        (
            "<nextInterval>P1000Y</nextInterval>",
            expect![[r#"
            test.xml:3:231: error[bad-value]: 'nextInterval' is longer than a hundred years
              say how long to wait, such as <nextInterval>PT1H</nextInterval>
        "#]],
        ),
        (
            "<retryLimit>-1</retryLimit>",
            expect![[r#"
            test.xml:3:231: error[bad-value]: 'retryLimit' is negative
              say how often an object is tried again at most, or remove 'retryLimit': then there is no limit
        "#]],
        ),
    ] {
        expected.assert_eq(&findings(&import(retry), &Options::default()).await);
    }
    let negative = activity(&format!("{}{}", work("import", ALL, ""), flow("<retryLater/><stopAfter>-1</stopAfter>")));
    expect![[r#"
        test.xml:3:232: error[bad-value]: 'stopAfter' is negative
          say after how many failures the activity stops, from 1 on, or remove 'stopAfter'
    "#]]
    .assert_eq(&findings(&negative, &Options::default()).await);
}

#[tokio::test]
async fn an_entry_that_never_applies_is_named() {
    let entry = "<controlFlow><errorHandling><entry><situation><status>warning</status></situation><reaction><ignore/></reaction></entry></errorHandling></controlFlow>";
    let task = activity(&format!("{}{entry}", work("import", ALL, "")));
    expect![[r#"
        test.xml:3:220: warning[ignored-item]: the entry never applies: objects fail altogether, which is the status 'fatal_error'
          say 'fatal_error', or remove 'status'
    "#]]
    .assert_eq(&findings(&task, &Options::default()).await);
}

#[tokio::test]
async fn a_scan_explains_what_it_is_for() {
    let world = World::new();
    for set in ["", r#"<objects><resourceRef oid="hr"/></objects>"#] {
        let prepared = world.prepare(&scan(set), &Options::default()).await.unwrap();
        let explained = explain(&prepared);
        let named = !set.is_empty();
        assert_eq!((explained.activity.as_str(), explained.resource.name.is_some()), ("triggerScan", named));
        assert!(explained.shadows.is_some() && explained.error.is_none() && explained.diagnostics.is_empty());
    }
}

#[tokio::test]
async fn a_scanner_of_midpoint_4_3_runs() {
    let timed = troubled().await;
    timed.import(QUICK).await;
    let old = whole("<handlerUri>http://midpoint.evolveum.com/xml/ns/public/model/trigger/scanner/handler-3</handlerUri>");
    let report = timed.at(60).run("scan", &old).await;
    assert_eq!((report.activity.as_str(), report.progress.failure), ("triggerScan", 1));
}
