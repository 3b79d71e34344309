//! Taking over changes as the resource sends them.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use support::scripted::{Scripted, Shape};
use support::{CLASS, RESOURCE, World, activity, listening, summary, task, work};
use tidelock_activities::{Mode, Options, RunStatus};
use tidelock_connector_api::memory::{self, Call, ChangeStyle, Faults};
use tidelock_connector_api::{Change, ChangeKind, Delivery, Error, ErrorKind, Listening, OnFailure, SyncEvent, Token};
use tidelock_model::object::ResourceObject;
use tidelock_model::{Items, Oid, Value, Values};

fn pushing() -> World {
    World::changing(memory::Options::default().with_async_updates())
}

/// A change that says nothing but that there is one.
fn note(identifier: &str) -> Change {
    Change { class: Some(CLASS.into()), identifier: identifier.into(), kind: ChangeKind::Notification }
}

fn gone(identifier: &str) -> Change {
    Change { class: None, identifier: identifier.into(), kind: ChangeKind::Deleted(None) }
}

/// The messages that are taken over, with how much of them, newest first.
async fn inbox(world: &World) -> Vec<String> {
    let entries = world.engine.repo.inbox(&Oid::new("hr")).await.unwrap();
    let shown = entries.into_iter().map(|entry| match entry.is_settled() {
        true => format!("{}: all", entry.message),
        false => format!("{}: {}", entry.message, entry.changes),
    });
    shown.collect()
}

#[tokio::test]
async fn changes_are_taken_over_and_acknowledged() {
    for style in [ChangeStyle::Full, ChangeStyle::Delta, ChangeStyle::Notification] {
        let world = World::changing(memory::Options::default().with_async_updates().with_change_style(style));
        world.put("ann", "number=1 mail=ann@x");
        world.put("bob", "number=2");
        world.put("ann", "number=1 mail=ann@y");
        world.remove("bob");
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!(report.run_status, RunStatus::Finished, "{}", summary(&report));
        assert_eq!((report.progress.total(), world.resource.unsettled()), (4, 0), "{style:?}");
        assert!(world.dump().await.contains("ann@y"), "{style:?}");
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!(report.progress.total(), 0, "{style:?}");
    }
}

#[tokio::test]
async fn a_report_says_how_the_connection_was() {
    let world = pushing();
    world.put("ann", "number=1");
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
          listening Alive
    "#]]
    .assert_eq(&summary(&world.run(&listening(), &Options::default()).await));
}

#[tokio::test]
async fn a_message_that_comes_again_is_recognized() {
    let world = pushing();
    world.put("ann", "number=1");
    world.put("ann", "number=1 mail=a@x");
    world.resource.set_faults(Faults::new().fail_call(Call::Acknowledge, 1, ErrorKind::Unreachable));
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.success, world.resource.unsettled()), (2, 1));
    let before = world.dump().await;
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.total(), world.resource.unsettled()), (0, 0));
    assert_eq!(world.dump().await, before);
}

#[tokio::test]
async fn what_was_applied_of_a_message_is_not_applied_again() {
    let world = pushing();
    for (uid, number) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    world.run(&listening(), &Options::default()).await;
    world.resource.publish(Ok(vec![note("ann"), note("bob"), note("cyd")]));
    world.resource.set_faults(Faults::new().unreadable("bob"));
    let report = world.run(&listening(), &Options::default()).await;
    expect![[r#"
        FatalError PermanentError Suspended
        -: FatalError +1 !1 ~0
          linked linked linked -: +1 !0 ~0
          null null null -: +0 !1 ~0
          listening Alive
          bob [Schema] the object could not be read: the object cannot be read, as it was told
        stopped-by-failure: the activity stops at the failure of bob: the object could not be read: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(inbox(&world).await[0], "message-4: 1");
    assert_eq!(world.resource.unsettled(), 1);
    world.resource.set_faults(Faults::new());
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.success, world.resource.unsettled()), (2, 0));
    assert_eq!(inbox(&world).await[0], "message-4: all");
}

#[tokio::test]
async fn a_failure_leaves_the_message_and_those_after_it_with_the_source() {
    let world = pushing();
    world.put("ann", "number=1");
    world.resource.publish(Err(Error::invalid_data("it is no message")));
    world.put("bob", "number=2");
    let report = world.run(&listening(), &Options::default()).await;
    let text = summary(&report);
    assert!(text.contains("message message-2 [Schema] it is no message"), "{text}");
    assert!(text.starts_with("FatalError PermanentError Suspended"), "{text}");
    assert_eq!((report.progress.success, world.resource.unsettled()), (1, 2));
}

#[tokio::test]
async fn a_message_that_fails_can_be_rejected_with_the_reason() {
    let world = World::changing(memory::Options::default().with_async_updates().with_on_failure(OnFailure::Skip));
    for (uid, number) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    world.run(&listening(), &Options::default()).await;
    world.resource.set_faults(Faults::new().unreadable("bob"));
    world.resource.publish(Ok(vec![note("ann"), note("bob"), note("cyd")]));
    world.resource.publish(Ok(vec![note("ann")]));
    let report = world.run(&listening(), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +2 !1 ~0
          linked linked linked -: +2 !0 ~0
          null null null -: +0 !1 ~0
          listening Alive
          bob [Schema] the object could not be read: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(world.resource.unsettled(), 0);
    expect![[r#"[(MessageId("message-4"), "schema: the object could not be read: the object cannot be read, as it was told")]"#]]
        .assert_eq(&format!("{:?}", world.resource.rejected()));
    assert_eq!(inbox(&world).await[..2], ["message-5: all", "message-4: all"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_can_be_tried_again_before_those_after_it() {
    let on_failure = OnFailure::Retry { first: Duration::from_secs(60), limit: 2 };
    for (mended_after, expected) in [(1, RunStatus::Finished), (90, RunStatus::Finished), (200, RunStatus::PermanentError)] {
        let world = World::changing(memory::Options::default().with_async_updates().with_on_failure(on_failure));
        world.put("ann", "number=1");
        world.run(&listening(), &Options::default()).await;
        world.put("bob", "number=2");
        world.resource.publish(Ok(vec![note("ann")]));
        world.put("ann", "number=1 mail=a@x");
        world.resource.set_faults(Faults::new().unreadable("ann"));
        let resource = world.resource.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(mended_after)).await;
            resource.set_faults(Faults::new());
        });
        let report = world.run(&listening(), &Options::default()).await;
        let left = if expected == RunStatus::Finished { 0 } else { 2 };
        assert_eq!((report.run_status, world.resource.unsettled()), (expected, left), "{mended_after}");
        let counted = (report.progress.success, report.progress.failure);
        assert_eq!(counted, if left == 0 { (3, 0) } else { (1, 1) }, "{mended_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_read_again_when_its_message_is_tried_again() {
    let on_failure = OnFailure::Retry { first: Duration::from_secs(60), limit: 2 };
    for style in [ChangeStyle::Notification, ChangeStyle::Delta] {
        let told = memory::Options::default().with_async_updates().with_on_failure(on_failure).with_change_style(style);
        let world = World::changing(told);
        world.put("ann", "number=1");
        world.put("bob", "number=2");
        world.run(&listening(), &Options::default()).await;
        world.put("bob", "number=2 mail=b@x");
        world.put("ann", "number=1 mail=a@x");
        world.resource.set_faults(Faults::new().unreadable("ann"));
        let resource = world.resource.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(90)).await;
            resource.set_faults(Faults::new());
        });
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!((report.run_status, world.resource.unsettled()), (RunStatus::Finished, 0), "{style:?}");
        assert_eq!((report.progress.success, report.progress.failure), (2, 0), "{style:?}");
        let dump = world.dump().await;
        assert!(dump.contains("a@x") && dump.contains("b@x"), "{style:?}: {dump}");
    }
}

#[tokio::test]
async fn a_message_without_changes_is_acknowledged() {
    let world = pushing();
    world.resource.publish(Ok(Vec::new()));
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.total(), world.resource.unsettled()), (0, 0));
}

#[tokio::test]
async fn a_deletion_finds_its_class_by_itself_and_one_of_nobody_is_passed_over() {
    let world = pushing();
    world.put("ann", "number=1");
    world.run(&listening(), &Options::default()).await;
    world.resource.publish(Ok(vec![gone("nobody"), gone("ann"), gone("ann")]));
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~2
          null null null synchronizationNotNeeded: +0 !0 ~2
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
          listening Alive
    "#]]
    .assert_eq(&summary(&world.run(&listening(), &Options::default()).await));
}

#[tokio::test]
async fn an_object_that_is_noted_and_not_there_is_gone() {
    let world = pushing();
    world.put("ann", "number=1");
    world.run(&listening(), &Options::default()).await;
    world.remove("ann");
    world.run(&listening(), &Options::default()).await;
    world.put("ann", "number=1");
    world.run(&listening(), &Options::default()).await;
    world.resource.publish(Ok(vec![note("ann")]));
    world.remove("ann");
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.skip), (1, 1), "the deletion itself comes after it");
    assert_eq!(world.dump().await.matches("shadow ann dead").count(), 2);
}

#[tokio::test]
async fn a_dry_run_leaves_the_messages_where_they_are() {
    for mode in [Mode::DryRun, Mode::Preview, Mode::None] {
        let world = pushing();
        world.put("ann", "number=1");
        world.put("bob", "number=2");
        let report = world.run(&listening(), &Options { mode: Some(mode), ..Options::default() }).await;
        assert_eq!((report.progress.total(), world.resource.unsettled()), (2, 2), "{mode:?}");
        assert_eq!(inbox(&world).await, Vec::<String>::new());
        let said: Vec<&str> = report.diagnostics.iter().map(|d| &*d.message).collect();
        assert!(said.len() == 1 && said[0].contains("2 of them have arrived, and there may be more"), "{said:?}");
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!((report.progress.success, world.resource.unsettled()), (2, 0), "{mode:?}");
    }
}

#[tokio::test]
async fn a_source_that_breaks_off_is_for_later_or_for_somebody_to_mend() {
    for (kind, expected) in [
        (ErrorKind::Unreachable, RunStatus::TemporaryError),
        (ErrorKind::Throttled, RunStatus::TemporaryError),
        (ErrorKind::Denied, RunStatus::PermanentError),
        (ErrorKind::NotFound, RunStatus::PermanentError),
        (ErrorKind::Config, RunStatus::PermanentError),
        (ErrorKind::TokenExpired, RunStatus::PermanentError),
    ] {
        let world = pushing();
        world.put("ann", "number=1");
        world.resource.set_faults(Faults::new().fail_call(Call::Deliveries, 1, kind));
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!((report.run_status, world.resource.unsettled()), (expected, 1), "{kind:?}");
    }
}

#[tokio::test]
async fn a_source_that_closes_ends_it() {
    let world = pushing();
    world.put("ann", "number=1");
    world.resource.close();
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.run_status, report.progress.success), (RunStatus::Finished, 1));
}

#[tokio::test]
async fn a_listener_that_is_stopped_can_be_run_again() {
    let world = pushing();
    world.put("ann", "number=1");
    let cancel = tokio_util::sync::CancellationToken::new();
    cancel.cancel();
    let report = world.run_until(&listening(), &Options::default(), cancel).await;
    assert_eq!((report.run_status, world.resource.unsettled()), (RunStatus::Interrupted, 1));
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.resumed, report.progress.success), (false, 1));
}

#[tokio::test]
async fn what_sends_nothing_is_refused() {
    let world = World::new();
    expect![[r#"
        test.xml:3:88: error[not-supported]: the resource 'HR' does not send changes
          use a liveSynchronization or a reconciliation, or add a connector to the resource that listens to a queue of changes
    "#]]
    .assert_eq(&world.findings(&listening(), &Options::default()).await);
}

#[tokio::test]
async fn nothing_is_tried_again_later_that_cannot_be_read() {
    let (world, source) = positioned();
    let later = "<controlFlow><errorHandling><entry><reaction><retryLater/></reaction></entry></errorHandling></controlFlow>";
    for work in [work("asynchronousUpdate", "", ""), work("liveSynchronization", "", "")] {
        let task = activity(&format!("{work}{later}"));
        *source.reads.lock().unwrap() = true;
        assert_eq!(world.findings(&task, &Options::default()).await, "");
        *source.reads.lock().unwrap() = false;
        let refused = world.findings(&task, &Options::default()).await;
        assert!(refused.contains("error[retry-without-read]: 'retryLater' cannot be used"), "{refused}");
        assert!(refused.contains("'retry' or 'skipUpdate'"), "{refused}");
    }
}

/// A world whose source of messages keeps no position itself.
fn positioned() -> (World, Arc<Scripted>) {
    let plain = World::new();
    let scripted = Arc::new(Scripted::new(plain.resource.clone()));
    let repo = Arc::new(tidelock_repo::memory::Memory::new());
    (World::around(RESOURCE, repo, plain.resource.clone(), scripted.clone()), scripted)
}

#[tokio::test]
async fn a_source_that_keeps_no_position_goes_on_after_the_token_that_is_stored() {
    let (world, source) = positioned();
    world.put("ann", "number=1");
    *source.pushed.lock().unwrap() = vec![vec![note("ann")], Vec::new()];
    let report = world.run(&listening(), &Options::default()).await;
    assert!(summary(&report).contains("token none -> 2"), "{}", summary(&report));
    assert_eq!(world.token("all pushed").await.as_deref(), Some("2"));
    source.pushed.lock().unwrap().extend([vec![gone("ann"), note("bob")], vec![note("ann")]]);
    world.resource.set_faults(Faults::new().unreadable("bob"));
    world.run(&listening(), &Options::default()).await;
    assert_eq!(world.token("all pushed").await.as_deref(), Some("2"), "the third message is not done with");
    world.resource.set_faults(Faults::new());
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.total(), world.token("all pushed").await.as_deref()), (2, Some("4")));
    assert_eq!(*source.asked.lock().unwrap(), [None, Some("2".to_owned()), Some("2".to_owned())]);
    assert_eq!(*source.acknowledged.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_is_pulled_and_what_is_pushed_have_a_position_each_unless_one_is_both() {
    let live = task("liveSynchronization", "");
    for shares in [false, true] {
        let (world, source) = positioned();
        *source.shares.lock().unwrap() = shares;
        world.put("ann", "number=1");
        world.run(&live, &Options::default()).await;
        *source.pushed.lock().unwrap() = vec![vec![note("ann")], vec![note("ann")]];
        world.run(&listening(), &Options::default()).await;
        source.pulled.lock().unwrap().push_back(vec![Ok(SyncEvent::End(Token::new(&b"9"[..])))]);
        world.run(&live, &Options::default()).await;
        let tokens = (world.token("all classes").await, world.token("all pushed").await);
        let asked = source.asked.lock().unwrap().clone();
        let text = |text: &str| Some(text.to_owned());
        if shares {
            assert_eq!((tokens, asked), ((text("9"), None), vec![text("0"), text("2")]));
        } else {
            assert_eq!((tokens, asked), ((text("9"), text("2")), vec![None, text("0")]));
        }
    }
}

#[tokio::test]
async fn few_big_messages_are_in_memory_at_a_time() {
    for (mebibytes, most) in [(5, 20), (1000, 20), (0, 60)] {
        let (world, source) = positioned();
        *source.size.lock().unwrap() = mebibytes << 20;
        *source.pushed.lock().unwrap() = vec![vec![gone("ann")]; 60];
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!((report.progress.total(), source.acknowledged.lock().unwrap().len()), (60, 60));
        // Those that are being acknowledged are done with.
        assert!(*source.in_hand.lock().unwrap() <= most, "{mebibytes}: {}", source.in_hand.lock().unwrap());
    }
}

#[tokio::test]
async fn a_position_from_when_there_was_one_for_all_is_gone_on_from_until_it_is_reset() {
    let (world, source) = positioned();
    world.put("ann", "number=1");
    *source.pushed.lock().unwrap() = vec![vec![note("ann")], vec![note("ann")], vec![note("ann")]];
    world.set_token("all", Some("1")).await;
    let report = world.run(&listening(), &Options::default()).await;
    assert!(summary(&report).contains("token 1 -> 3"), "{}", summary(&report));
    assert_eq!(world.token("all").await.as_deref(), Some("1"), "it may be that of a live synchronization");
    world.set_token("all pushed", None).await;
    world.run(&listening(), &Options::default()).await;
    assert_eq!(*source.asked.lock().unwrap(), [Some("1".to_owned()), None]);
}

#[tokio::test]
async fn no_token_passes_a_message_that_could_not_be_rejected() {
    for chunk in [1, 1000] {
        let (world, source) = positioned();
        *source.on_failure.lock().unwrap() = OnFailure::Skip;
        world.put("ann", "number=1");
        world.put("bob", "number=2");
        *source.pushed.lock().unwrap() = vec![vec![note("ann")], vec![note("bob")], vec![note("ann")]];
        world.resource.set_faults(Faults::new().unreadable("bob"));
        let options = Options { chunk: Some(chunk), ..Options::default() };
        let report = world.run(&listening(), &options).await;
        assert_eq!((report.run_status, report.progress.success, report.progress.failure), (RunStatus::PermanentError, 1, 1));
        assert_eq!(world.token("all pushed").await.as_deref(), Some("1"), "{chunk}");
        world.resource.set_faults(Faults::new());
        let report = world.run(&listening(), &options).await;
        assert_eq!((report.progress.success, world.token("all pushed").await.as_deref()), (2, Some("3")), "{chunk}");
    }
}

#[tokio::test]
async fn what_comes_after_a_message_that_cannot_be_rejected_waits_for_it() {
    for (kind, expected) in [
        (ErrorKind::Unreachable, RunStatus::TemporaryError),
        (ErrorKind::Throttled, RunStatus::TemporaryError),
        (ErrorKind::Config, RunStatus::PermanentError),
    ] {
        for chunk in [1, 1000] {
            let world = World::changing(memory::Options::default().with_async_updates().with_on_failure(OnFailure::Skip));
            let options = Options { chunk: Some(chunk), ..Options::default() };
            world.put("ann", "number=1");
            world.run(&listening(), &options).await;
            world.resource.publish(Err(Error::invalid_data("it is no message")));
            world.put("ann", "number=1 mail=a@x");
            world.resource.set_faults(Faults::new().fail_call(Call::Reject, 1, kind));
            let report = world.run(&listening(), &options).await;
            assert_eq!((report.run_status, report.progress.total(), world.resource.unsettled()), (expected, 1, 2), "{kind:?}");
            assert!(!world.dump().await.contains("a@x"), "{kind:?}");
            let error = report.error.unwrap();
            assert_eq!(error.code, "not-rejected");
            assert!(error.message.starts_with("message message-2 failed, and could not be rejected: "), "{}", error.message);
            world.resource.set_faults(Faults::new());
            let report = world.run(&listening(), &options).await;
            assert_eq!((report.run_status, world.resource.unsettled()), (RunStatus::Finished, 0), "{kind:?}");
            assert!(world.dump().await.contains("a@x"), "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_arrives_where_the_connection_is_gone_and_that_is_for_later() {
    for (status, name) in [(Listening::Reconnecting, "reconnecting"), (Listening::Down, "down")] {
        let (world, source) = positioned();
        *source.status.lock().unwrap() = status;
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!(report.run_status, RunStatus::TemporaryError);
        assert!(report.error.unwrap().message.ends_with(name));
        assert_eq!(serde_json::to_value(&report.activities[0]).unwrap()["listening"], name);
    }
}

/// Three people who are known, of whom one is gone. The source keeps no position itself.
async fn thinned() -> (World, Arc<Scripted>) {
    let (world, source) = positioned();
    for (uid, number) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    world.run(&support::reconciliation(), &Options::default()).await;
    world.remove("bob");
    (world, source)
}

fn shape(source: &Scripted, shapes: &[Shape]) {
    *source.shaped.lock().unwrap() = (1..).zip(shapes.iter().copied()).collect();
    source.pushed.lock().unwrap().resize(shapes.len(), Vec::new());
}

fn names(identifiers: &[&str]) -> Vec<Box<str>> {
    identifiers.iter().map(|&identifier| identifier.into()).collect()
}

/// The same, with no position after it.
fn amid(mut delivery: Delivery) -> Delivery {
    delivery.token = None;
    delivery
}

async fn dead(world: &World) -> usize {
    world.dump().await.matches(" dead").count()
}

#[tokio::test]
async fn who_is_not_among_those_left_is_gone_if_a_read_says_so_too() {
    let (world, source) = thinned().await;
    *source.pushed.lock().unwrap() = vec![vec![note("ann")]];
    shape(&source, &[|d| Ok(amid(d).beginning()), |d| Ok(d.with_present(Vec::new()))]);
    let report = world.run(&listening(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +3 !0 ~0
          linked linked linked -: +2 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
          token none -> 2
          listening Alive
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(*source.acknowledged.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn those_who_are_left_are_not_read_however_many_messages_name_them() {
    let (world, source) = thinned().await;
    shape(
        &source,
        &[
            |d| Ok(amid(d).beginning().with_present(names(&["ann"]))),
            |d| Ok(amid(d)),
            |d| Ok(amid(d).with_present(names(&["CYD", "cyd", "nobody"]))),
            |d| Ok(d),
        ],
    );
    world.resource.set_faults(Faults::new());
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.skip, dead(&world).await), (1, 0, 1));
    assert_eq!(world.resource.calls(Call::GetMany), 1);
    assert_eq!(*source.acknowledged.lock().unwrap(), [1, 2, 3, 4]);
}

#[tokio::test]
async fn who_was_heard_of_before_the_source_began_to_tell_may_be_gone() {
    for chunk in [1, 1000] {
        let (world, source) = thinned().await;
        // What comes first of him is old; a list that names him is broken off, and the source begins again.
        let old = ResourceObject::new(CLASS, "bob", Items::from_iter([("uid".into(), Values::from_iter([Value::from("bob")]))]));
        *source.pushed.lock().unwrap() = vec![vec![Change { kind: ChangeKind::Full(old), ..note("bob") }]];
        shape(
            &source,
            &[
                |d| Ok(d),
                |d| Ok(amid(d).beginning().with_present(names(&["bob"]))),
                |d| Ok(amid(d).beginning().with_present(names(&["ann"]))),
                |d| Ok(d.with_present(names(&["cyd"]))),
            ],
        );
        let report = world.run(&listening(), &Options { chunk: Some(chunk), ..Options::default() }).await;
        assert_eq!((report.run_status, dead(&world).await), (RunStatus::Finished, 1), "{chunk}");
        assert_eq!(world.token("all pushed").await.as_deref(), Some("4"));
    }
}

#[tokio::test]
async fn nobody_is_gone_before_the_source_has_told_of_everybody_and_the_token_waits_for_that() {
    // The source breaks off; it goes on, and is listened to no longer.
    let ends: [Shape; 2] = [|_| Err(Error::unreachable("the line is cut")), |d| Ok(amid(d))];
    for end in ends {
        let (world, source) = thinned().await;
        shape(&source, &[|d| Ok(amid(d).beginning().with_present(names(&["ann"]))), end]);
        world.run(&listening(), &Options::default()).await;
        assert_eq!((dead(&world).await, world.token("all pushed").await), (0, None));
        // The same is told again, and to its end.
        shape(&source, &[|d| Ok(amid(d).beginning().with_present(names(&["ann"]))), |d| Ok(d.with_present(names(&["cyd"])))]);
        let report = world.run(&listening(), &Options::default()).await;
        assert_eq!((report.progress.total(), dead(&world).await), (1, 1));
        assert_eq!(world.token("all pushed").await.as_deref(), Some("2"));
    }
}

#[tokio::test]
async fn whether_one_is_gone_must_be_known_before_the_token_moves() {
    let (world, source) = thinned().await;
    shape(&source, &[|d| Ok(d.beginning().with_present(names(&["ann", "cyd"]))), |d| Ok(d)]);
    world.resource.set_faults(Faults::new().unreadable("bob"));
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.run_status, dead(&world).await), (RunStatus::PermanentError, 0));
    assert_eq!((world.token("all pushed").await, source.acknowledged.lock().unwrap().len()), (None, 0));
    world.resource.set_faults(Faults::new());
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.run_status, dead(&world).await), (RunStatus::Finished, 1));
    assert_eq!(world.token("all pushed").await.as_deref(), Some("2"));
    assert_eq!(*source.acknowledged.lock().unwrap(), [1, 2]);
}

#[tokio::test]
async fn an_empty_list_is_no_proof() {
    let (world, source) = thinned().await;
    shape(&source, &[|d| Ok(d.beginning().with_present(Vec::new()))]);
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.skip, dead(&world).await), (3, 0, 1));
}

#[tokio::test]
async fn a_dry_run_says_who_would_be_gone_and_leaves_them() {
    for mode in [Mode::DryRun, Mode::Preview] {
        let (world, source) = thinned().await;
        shape(&source, &[|d| Ok(d.beginning().with_present(names(&["ann", "cyd"])))]);
        let report = world.run(&listening(), &Options { mode: Some(mode), ..Options::default() }).await;
        assert!(summary(&report).contains("linked deleted deleted -: +1"), "{}", summary(&report));
        assert_eq!((dead(&world).await, world.token("all pushed").await), (0, None), "{mode:?}");
        world.run(&listening(), &Options::default()).await;
        assert_eq!((dead(&world).await, world.token("all pushed").await.as_deref()), (1, Some("1")), "{mode:?}");
    }
}

#[tokio::test]
async fn a_change_that_is_passed_over_does_not_take_the_token_past_those_who_are_gone() {
    let (world, source) = thinned().await;
    *source.on_failure.lock().unwrap() = OnFailure::Skip;
    *source.pushed.lock().unwrap() = vec![vec![note("cyd")]];
    shape(&source, &[|d| Ok(d.beginning().with_present(names(&["ann"])))]);
    world.resource.set_faults(Faults::new().unreadable("cyd"));
    // This source takes no message back.
    let report = world.run(&listening(), &Options::default()).await;
    assert_eq!((report.run_status, dead(&world).await), (RunStatus::PermanentError, 0));
    assert_eq!(world.token("all pushed").await, None);
}
