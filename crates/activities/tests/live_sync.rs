//! Taking over the changes since a token.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use expect_test::expect;
use support::{ALL, World, live_sync, summary, task, work};
use tidelock_activities::{Mode, Options};
use tidelock_connector_api::memory::{self, ChangeStyle, Faults};
use tidelock_connector_api::{ErrorKind, TokenPrecision};

fn precise() -> memory::Options {
    memory::Options::default().with_live_sync(TokenPrecision::PerChange)
}

fn imprecise() -> memory::Options {
    memory::Options::default().with_live_sync(TokenPrecision::EndOfRun)
}

/// A world in which two people were taken over.
async fn begun(options: memory::Options) -> World {
    let world = World::changing(options);
    world.run(&live_sync(), &Options::default()).await;
    world.put("ann", "number=1 mail=ann@x");
    world.put("bob", "number=2");
    world.run(&live_sync(), &Options::default()).await;
    world
}

const SET: &str = "objectclass=AccountObjectClass";

#[tokio::test]
async fn the_first_run_takes_the_token_of_the_moment_and_nothing_else() {
    let world = World::changing(precise());
    world.put("ann", "number=1");
    let report = world.run(&live_sync(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +0 !0 ~0
          token none -> memory/1
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(report.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["first-token"]);
    assert_eq!(world.dump().await, "");
}

#[tokio::test]
async fn changes_are_taken_over_once() {
    for options in [precise(), imprecise()] {
        for style in [ChangeStyle::Full, ChangeStyle::Delta, ChangeStyle::Notification] {
            let world = begun(options.clone().with_change_style(style)).await;
            world.put("ann", "number=1 mail=ann@y");
            world.put("cyd", "number=3");
            world.put("ann", "number=1 mail=ann@z");
            world.remove("bob");
            let report = world.run(&live_sync(), &Options::default()).await;
            let emails = summary(&report).contains("user: add 1 modify 3") || style != ChangeStyle::Full;
            assert!(emails, "{style:?} {}", summary(&report));
            expect![[r#"
                user ann v3 {"name":"ann","employeeNumber":"1","emailAddress":"ann@z"}
                user bob v2 {"name":"bob","employeeNumber":"2","activation":{"administrativeStatus":"disabled"}}
                user cyd v1 {"name":"cyd","employeeNumber":"3"}
            "#]]
            .assert_eq(&users(&world, style).await);
            let report = world.run(&live_sync(), &Options::default()).await;
            assert_eq!(report.progress.total(), 0, "{style:?}");
        }
    }
}

/// The users; where objects are read, nobody sees what was in between, and versions count less.
async fn users(world: &World, style: ChangeStyle) -> String {
    let dump = world.dump().await;
    let lines = dump.lines().filter(|line| line.starts_with("user")).map(|line| format!("{line}\n"));
    let text: String = lines.collect();
    if style != ChangeStyle::Full { text.replace("ann v2", "ann v3") } else { text }
}

#[tokio::test]
async fn a_run_shows_its_own_work_alone() {
    let world = begun(precise()).await;
    world.put("bob", "number=2 unit=x");
    world.remove("ann");
    let report = world.run(&live_sync(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~0
          linked linked linked -: +1 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 1 delete 1
          user: add 0 modify 2 delete 0
          token memory/2 -> memory/4
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_failure_stops_and_the_token_stays_before_it() {
    for (options, after) in [(precise(), "memory/3"), (imprecise(), "memory/2")] {
        let world = begun(options).await;
        world.put("cyd", "number=3");
        world.put("dan", "");
        world.put("eve", "number=5");
        world.resource.set_faults(Faults::new().unreadable("dan"));
        let report = world.run(&live_sync(), &Options::default()).await;
        let text = summary(&report);
        assert!(text.contains("stopped-by-failure"), "{text}");
        assert!(text.contains("FatalError PermanentError Suspended"), "{text}");
        assert_eq!(world.token(SET).await.as_deref(), Some(after));
        world.resource.set_faults(Faults::new());
        let report = world.run(&live_sync(), &Options::default()).await;
        assert_eq!(world.token(SET).await.as_deref(), Some("memory/5"));
        assert_eq!(report.progress.total(), if after == "memory/3" { 2 } else { 3 });
        assert_eq!(world.dump().await.lines().filter(|line| line.starts_with("user")).count(), 5);
    }
}

#[tokio::test]
async fn a_failure_that_is_ignored_is_passed() {
    let world = begun(precise()).await;
    world.put("cyd", "number=3");
    world.put("dan", "number=4");
    world.resource.set_faults(Faults::new().unreadable("cyd"));
    let ignoring = support::activity(&format!(
        "{}<controlFlow><errorHandling><entry><reaction><ignore/></reaction></entry></errorHandling></controlFlow>",
        work("liveSynchronization", ALL, "")
    ));
    let report = world.run(&ignoring, &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.failure), (1, 1));
    assert_eq!(world.token(SET).await.as_deref(), Some("memory/4"));
}

#[tokio::test]
async fn a_batch_is_as_large_as_it_may_be_and_the_next_one_goes_on() {
    let world = begun(precise()).await;
    for number in 0..5 {
        world.put(&format!("p{number}"), &format!("number=1{number}"));
    }
    let batch = support::activity(&work("liveSynchronization", ALL, "<batchSize>2</batchSize>"));
    for (expected, token) in [(2, "memory/4"), (2, "memory/6"), (1, "memory/7"), (0, "memory/7")] {
        let report = world.run(&batch, &Options::default()).await;
        assert_eq!(report.progress.success, expected);
        assert_eq!(world.token(SET).await.as_deref(), Some(token));
    }
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_before_anything_runs() {
    let none = World::changing(memory::Options::default());
    expect![[r#"
        test.xml:3:82: error[not-supported]: the resource 'HR' cannot say what has changed since the last time
          use a reconciliation, or configure the connector so that it can (see its documentation)
    "#]]
    .assert_eq(&none.findings(&live_sync(), &Options::default()).await);
    let single = World::changing(precise().with_single_classes());
    expect![[r#"
        test.xml:3:65: error[no-object-class]: the resource 'HR' says what has changed for one object class at a time
          add 'kind' and 'intent' of an object type, or 'objectclass'
    "#]]
    .assert_eq(&single.findings(&task("liveSynchronization", ""), &Options::default()).await);
    let batch = |size: &str| support::activity(&work("liveSynchronization", ALL, &format!("<batchSize>{size}</batchSize>")));
    let world = World::changing(imprecise());
    expect![[r#"
        test.xml:3:171: error[batch-size-without-precise-token]: 'batchSize' cannot be used: the resource 'HR' can only go on after all changes of a run
          remove 'batchSize'
    "#]]
    .assert_eq(&world.findings(&batch("10"), &Options::default()).await);
    expect![[r#"
        test.xml:3:171: error[bad-value]: 'batchSize' is negative
          say how many changes one run takes at most; 0, or no 'batchSize', is no limit
    "#]]
    .assert_eq(&world.findings(&batch("-1"), &Options::default()).await);
    expect![""].assert_eq(&world.findings(&batch("0"), &Options::default()).await);
}

#[tokio::test]
async fn a_forgotten_token_asks_for_a_reconciliation_and_stays() {
    let world = begun(precise()).await;
    world.resource.forget_history();
    let report = world.run(&live_sync(), &Options::default()).await;
    expect![[r#"
        FatalError PermanentError Suspended
        -: FatalError +0 !0 ~0
          token memory/2 -> memory/2
        token-expired: the token is not known
    "#]]
    .assert_eq(&summary(&report));
    assert!(report.error.unwrap().help.unwrap().contains("tidelock token reset"));
}

#[tokio::test]
async fn an_unreachable_resource_is_for_later_and_what_was_done_is_kept() {
    let world = begun(precise()).await;
    world.put("cyd", "number=3");
    world.put("dan", "number=4");
    world.resource.set_faults(Faults::new().fail_item(2, ErrorKind::Unreachable));
    let report = world.run(&live_sync(), &Options::default()).await;
    assert!(summary(&report).starts_with("FatalError TemporaryError Suspended"), "{}", summary(&report));
    assert_eq!(world.token(SET).await.as_deref(), Some("memory/3"));
}

#[tokio::test]
async fn a_dry_run_and_a_preview_move_the_token_only_where_the_task_says_so() {
    let flagged = |flag: &str| support::activity(&work("liveSynchronization", ALL, &format!("<{flag}>true</{flag}>")));
    for (mode, flag) in [(Mode::DryRun, "updateLiveSyncTokenInDryRun"), (Mode::Preview, "updateLiveSyncTokenInPreviewMode")] {
        let world = begun(precise()).await;
        world.put("cyd", "number=3");
        let options = Options { mode: Some(mode), ..Options::default() };
        let before = world.dump().await;
        let report = world.run(&live_sync(), &options).await;
        assert_eq!(report.progress.total(), 1, "{mode:?}");
        assert_eq!(world.token(SET).await.as_deref(), Some("memory/2"), "{mode:?}");
        let report = world.run(&flagged(flag), &options).await;
        assert_eq!(report.progress.total(), 1, "{mode:?}");
        assert_eq!(world.token(SET).await.as_deref(), Some("memory/3"), "{mode:?}");
        if mode == Mode::Preview {
            assert_eq!(world.dump().await, before);
        }
    }
    let world = begun(precise()).await;
    world.put("cyd", "number=3");
    let report = world.run(&live_sync(), &Options { mode: Some(Mode::None), ..Options::default() }).await;
    assert_eq!(report.progress.skip, 1);
    assert_eq!(world.token(SET).await.as_deref(), Some("memory/2"));
}

#[tokio::test]
async fn a_first_dry_run_stores_the_token_only_where_the_task_says_so() {
    let world = World::changing(precise());
    let report = world.run(&live_sync(), &Options { mode: Some(Mode::Preview), ..Options::default() }).await;
    assert_eq!(report.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["first-token"]);
    assert_eq!(world.token(SET).await, None);
}
