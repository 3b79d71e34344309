//! Taking over the changes since a token.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use expect_test::expect;
use support::scripted::Scripted;
use support::{ALL, RESOURCE, World, live_sync, summary, task, work};
use tidelock_activities::{Mode, Options, RunStatus};
use tidelock_connector_api::memory::{self, Call, ChangeStyle, Faults};
use tidelock_connector_api::{Change, ChangeKind, Error, ErrorKind, SyncEvent, Token, TokenPrecision};

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

const SET: &str = "class=AccountObjectClass";

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
async fn changes_that_no_token_passes_make_no_batch() {
    let world = begun(precise()).await;
    for number in 0..3 {
        world.put(&format!("p{number}"), &format!("number=1{number}"));
    }
    world.resource.set_faults(Faults::new().unreadable("p0").unreadable("p1"));
    let batch = support::activity(&format!(
        "{}<controlFlow><errorHandling><entry><reaction><ignore/></reaction></entry></errorHandling></controlFlow>",
        work("liveSynchronization", ALL, "<batchSize>2</batchSize>")
    ));
    let report = world.run(&batch, &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.failure), (1, 2));
    assert_eq!(world.token(SET).await.as_deref(), Some("memory/5"));
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

/// A world whose resource tells of changes by a script.
fn scripted() -> (World, Arc<Scripted>) {
    let plain = World::new();
    let scripted = Arc::new(Scripted::new(plain.resource.clone()));
    let repo = Arc::new(tidelock_repo::memory::Memory::new());
    (World::around(RESOURCE, repo, plain.resource.clone(), scripted.clone()), scripted)
}

fn end(token: &str) -> Result<SyncEvent, Error> {
    Ok(SyncEvent::End(Token::new(token.as_bytes())))
}

fn present(identifiers: &[&str]) -> Result<SyncEvent, Error> {
    Ok(SyncEvent::Present(identifiers.iter().map(|&identifier| identifier.into()).collect()))
}

fn noted(identifier: &str) -> Result<SyncEvent, Error> {
    let class = Some(support::CLASS.into());
    Ok(SyncEvent::Change(Change { class, identifier: identifier.into(), kind: ChangeKind::Notification }, None))
}

/// Three people, one of whom is gone by the next run, which is to be this.
async fn thinned(script: Vec<Result<SyncEvent, Error>>) -> (World, Arc<Scripted>) {
    let (world, source) = scripted();
    for (uid, number) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    world.run(&live_sync(), &Options::default()).await;
    world.run(&support::reconciliation(), &Options::default()).await;
    world.remove("bob");
    source.pulled.lock().unwrap().push_back(script);
    (world, source)
}

#[tokio::test]
async fn who_is_not_heard_of_and_still_there_is_taken_over_as_they_are() {
    let (world, _) = thinned(vec![present(&["ann"]), end("7")]).await;
    world.put("cyd", "number=33");
    let report = world.run(&live_sync(), &Options::default()).await;
    assert!(world.dump().await.contains("33"), "{}{}", summary(&report), world.dump().await);
    assert_eq!((report.progress.success, report.progress.skip), (2, 0));
}

#[tokio::test]
async fn of_whom_nothing_is_heard_is_gone_if_a_read_says_so_too() {
    let (world, source) = thinned(vec![noted("ann"), present(&[]), end("7")]).await;
    let report = world.run(&live_sync(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +3 !0 ~0
          linked linked linked -: +2 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
          token 0 -> 7
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(world.dump().await.matches("dead").count(), 1);
    assert_eq!(source.retained.lock().unwrap().last().unwrap(), &["7", "0"]);
}

#[tokio::test]
async fn those_who_are_named_are_not_read() {
    let (world, _) = thinned(vec![present(&["ann"]), present(&["CYD", "cyd", "nobody"]), end("7")]).await;
    world.resource.set_faults(Faults::new());
    let report = world.run(&live_sync(), &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.skip), (1, 0));
    assert_eq!(world.resource.calls(Call::GetMany), 1);
}

#[tokio::test]
async fn nobody_is_gone_before_the_end_and_the_token_waits_for_that() {
    let broken = || Err(Error::unreachable("the line is cut"));
    for script in [vec![present(&["ann"]), broken()], vec![present(&["ann"])]] {
        let (world, _) = thinned(script).await;
        let report = world.run(&live_sync(), &Options::default()).await;
        assert_eq!(report.run_status, RunStatus::TemporaryError);
        assert!(!world.dump().await.contains("dead"));
        assert_eq!(world.token(SET).await.as_deref(), Some("0"));
    }
    let (world, _) = thinned(vec![present(&["ann"]), end("7")]).await;
    world.resource.set_faults(Faults::new().unreadable("bob"));
    let report = world.run(&live_sync(), &Options::default()).await;
    assert_eq!(report.run_status, RunStatus::PermanentError, "whether one is gone is not known");
    assert_eq!(world.token(SET).await.as_deref(), Some("0"));
}

/// A live synchronization of this set.
fn of(set: &str) -> String {
    task("liveSynchronization", set)
}

const KIND: &str = "<kind>account</kind>";
const TYPE: &str = "<kind>account</kind><intent>default</intent>";
const TYPE_AND_CLASS: &str = "<kind>account</kind><intent>default</intent><objectclass>ri:AccountObjectClass</objectclass>";

#[tokio::test]
async fn a_set_goes_on_however_it_is_written_and_where_it_becomes_smaller() {
    for (before, after, is_smaller) in
        [(TYPE, TYPE_AND_CLASS, false), (TYPE_AND_CLASS, TYPE, false), (KIND, TYPE, true), (ALL, TYPE, true)]
    {
        let world = World::changing(precise());
        world.run(&of(before), &Options::default()).await;
        world.put("ann", "number=1");
        let report = world.run(&of(after), &Options::default()).await;
        assert_eq!(report.progress.success, 1, "{after}");
        let said: Vec<&str> = report.diagnostics.iter().map(|d| d.code).filter(|code| *code != "kind-without-intent").collect();
        assert_eq!(said, if is_smaller { &["token-of-wider-set"][..] } else { &[] }, "{after}");
        // From now on it is the set's own.
        let report = world.run(&of(after), &Options::default()).await;
        assert_eq!((report.progress.total(), report.diagnostics), (0, Vec::new()));
    }
}

#[tokio::test]
async fn a_set_that_becomes_larger_begins_anew_and_says_so() {
    for (before, after, named) in [
        (TYPE, KIND, "class=AccountObjectClass kind=account intent=default"),
        (KIND, ALL, "class=AccountObjectClass kind=account"),
        (ALL, "", SET),
    ] {
        let world = World::changing(precise());
        world.run(&of(before), &Options::default()).await;
        world.put("ann", "number=1");
        let report = world.run(&of(after), &Options::default()).await;
        assert_eq!((report.run_status, report.progress.total()), (RunStatus::Finished, 0));
        let warning = report.diagnostics.iter().find(|d| d.code == "other-tokens").unwrap();
        assert!(warning.message.contains(&format!("tokens are there of '{named}', and")), "{}", warning.message);
        assert!(warning.help.as_ref().unwrap().contains("run a reconciliation"));
    }
}

#[tokio::test]
async fn tokens_from_when_sets_were_told_apart_by_their_words_are_gone_on_from() {
    for (stored, set) in [
        ("kind=account", KIND),
        ("kind=account", TYPE),
        ("kind=account intent=default", TYPE),
        ("kind=account intent=default objectclass=AccountObjectClass", TYPE_AND_CLASS),
        ("objectclass=AccountObjectClass", ALL),
        ("all", ""),
    ] {
        let world = World::changing(precise());
        world.set_token(stored, Some("memory/0")).await;
        world.put("ann", "number=1");
        let report = world.run(&of(set), &Options::default()).await;
        assert_eq!(report.progress.success, 1, "{stored}");
        assert!(summary(&report).contains("token memory/0 -> memory/1"), "{}", summary(&report));
        let is_same = (stored, set) != ("kind=account", TYPE);
        assert_eq!(world.token(stored).await.is_none(), is_same, "what is of the same set need not be kept for it: {stored}");
        assert_eq!(world.run(&of(set), &Options::default()).await.progress.total(), 0);
    }
}

#[tokio::test]
async fn a_set_that_was_reset_begins_anew_whatever_others_have() {
    for run_before in [false, true] {
        let world = World::changing(precise());
        world.run(&live_sync(), &Options::default()).await;
        if run_before {
            world.run(&of(TYPE), &Options::default()).await;
        }
        world.set_token("class=AccountObjectClass kind=account intent=default", None).await;
        world.put("ann", "number=1");
        let report = world.run(&of(TYPE), &Options::default()).await;
        assert_eq!(report.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["first-token"]);
        assert_eq!(report.progress.total(), 0);
        assert_eq!(world.token(SET).await.as_deref(), Some("memory/0"), "and leaves those of the others alone");
    }
}
