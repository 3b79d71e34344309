//! Objects that failed are tried again (`retryLater`): which, when, how often, and until when.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use expect_test::expect;
use support::brittle::{Brittle, Kill};
use support::timed::{QUICK, Timed, findings, flow, import, retry_later, scan, triggers, troubled};
use support::{ALL, RESOURCE, World, activity, summary, work};
use tidelock_activities::{Mode, Options, RunError, RunStatus};
use tidelock_connector_api::memory::{self, Call, Faults};
use tidelock_connector_api::{ErrorKind, TokenPrecision};
use tidelock_repo::Repo;

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
