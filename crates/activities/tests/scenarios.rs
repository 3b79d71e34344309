//! What import and reconciliation do, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use expect_test::expect;
use support::{ALL, CLASS, World, import, reconciliation, summary, task};
use tidelock_activities::{Mode, Options};
use tidelock_connector_api::ErrorKind;
use tidelock_connector_api::IncompleteReason;
use tidelock_connector_api::memory::{Call, Faults};

#[tokio::test]
async fn an_import_links_creates_and_leaves_what_is_disputed() {
    let world = World::new();
    world.user("known-by-number", "employeeNumber=1").await;
    world.user("known-by-mail", "emailAddress=two@x").await;
    world.user("twin-a", "emailAddress=three@x").await;
    world.user("twin-b", "emailAddress=three@x").await;
    world.put("a", "number=1 mail=one@x unit=Sales");
    world.put("b", "number=2 mail=two@x");
    world.put("c", "number=3 mail=three@x");
    world.put("d", "number=4 mail=four@x");
    world.put("e", "kind=contractor");
    world.put("f", "kind=alien");
    let report = world.run(&import(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +4 !0 ~2
          null unlinked linked -: +2 !0 ~0
          null disputed disputed -: +0 !0 ~1
          null unmatched linked -: +2 !0 ~0
          null null null noSynchronizationPolicy: +0 !0 ~1
          shadow: add 6 modify 0 delete 0
          user: add 2 modify 2 delete 0
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user d v1 {"name":"d","employeeNumber":"4","emailAddress":"four@x"}
        user e v1 {"name":"e"}
        user known-by-mail v2 {"name":"known-by-mail","emailAddress":"two@x","employeeNumber":"2"}
        user known-by-number v2 {"name":"known-by-number","employeeNumber":"1","emailAddress":"one@x","organizationalUnit":"Sales"}
        user twin-a v1 {"name":"twin-a","emailAddress":"three@x"}
        user twin-b v1 {"name":"twin-b","emailAddress":"three@x"}
        shadow a account/default linked -> known-by-number {"uid":"a","unit":"Sales"} ["success"]
        shadow b account/default linked -> known-by-mail {"uid":"b"} ["success"]
        shadow c account/default disputed -> - {"uid":"c"} []
        shadow d account/default linked -> d {"uid":"d"} ["success"]
        shadow e account/contractor linked -> e {"uid":"e"} ["success"]
        shadow f - - -> - {"uid":"f"} []
    "#]].assert_eq(&world.dump().await);
}

#[tokio::test]
async fn accounts_of_different_types_go_at_once_with_their_only_owner() {
    for chunk in [1, 2] {
        let world = World::new();
        let options = Options { chunk: Some(chunk), ..Options::default() };
        world.put("a", "number=1");
        world.run(&import(), &options).await;
        world.put("b", "number=1");
        world.put("a", "kind=contractor");
        world.run(&task("shadowReclassification", ALL), &options).await;
        for uid in ["a", "b"] {
            world.resource.remove(CLASS, uid).unwrap();
        }
        world.put("c", "number=3");
        let report = world.run(&reconciliation(), &options).await;
        assert_eq!(report.progress.failure, 0, "{}", summary(&report));
        let dump = world.dump().await;
        assert!(dump.contains("shadow a dead") && dump.contains("shadow b dead"), "{dump}");
    }
}

#[tokio::test]
async fn the_same_again_changes_nothing() {
    let world = World::new();
    world.put("a", "number=1 unit=Sales");
    world.put("b", "kind=contractor");
    world.run(&import(), &Options::default()).await;
    let before = world.dump().await;
    let report = world.run(&import(), &Options::default()).await;
    assert_eq!(world.dump().await, before);
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_reconciliation_shows_what_was_added_changed_and_deleted() {
    let world = World::new();
    world.put("a", "number=1 unit=Sales");
    world.put("b", "number=2 unit=Legal");
    world.put("c", "kind=contractor");
    world.put("d", "number=4");
    world.run(&import(), &Options::default()).await;
    world.put("a", "number=1 unit=IT");
    world.remove("b");
    world.remove("c");
    world.put("e", "number=5");
    let report = world.run(&reconciliation(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        operationCompletion: Success +0 !0 ~0
        resourceObjects: Success +3 !0 ~0
          linked linked linked -: +2 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 1 delete 0
          user: add 1 modify 1 delete 0
        remainingShadows: Success +2 !0 ~0
          linked deleted deleted -: +2 !0 ~0
          shadow: add 0 modify 0 delete 2
          user: add 0 modify 1 delete 1
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v2 {"name":"a","employeeNumber":"1","organizationalUnit":"IT"}
        user b v2 {"name":"b","employeeNumber":"2","organizationalUnit":"Legal","activation":{"administrativeStatus":"disabled"}}
        user d v1 {"name":"d","employeeNumber":"4"}
        user e v1 {"name":"e","employeeNumber":"5"}
        shadow a account/default linked -> a {"uid":"a","unit":"IT"} ["success", "success"]
        shadow b dead account/default deleted -> b {"uid":"b","unit":"Legal"} ["success", "success"]
        shadow c dead account/contractor deleted -> - {"uid":"c"} ["success", "success"]
        shadow d account/default linked -> d {"uid":"d"} ["success"]
        shadow e account/default linked -> e {"uid":"e"} ["success"]
    "#]]
    .assert_eq(&world.dump().await);
    let report = world.run(&reconciliation(), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        operationCompletion: Success +0 !0 ~0
        resourceObjects: Success +3 !0 ~0
          linked linked linked -: +3 !0 ~0
        remainingShadows: Success +0 !0 ~0
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_read_that_breaks_off_deletes_nothing() {
    for reason in [None, Some(IncompleteReason::Truncated), Some(IncompleteReason::Limit)] {
        let world = World::new();
        for uid in ["a", "b", "c"] {
            world.put(uid, "unit=Sales");
        }
        world.run(&import(), &Options::default()).await;
        world.remove("b");
        world.resource.set_faults(Faults::new().end_search_after(1, reason));
        let before = world.dump().await;
        let report = world.run(&reconciliation(), &Options::default()).await;
        assert_eq!(world.dump().await, before);
        assert!(summary(&report).contains("incomplete-read"), "{}", summary(&report));
        assert!(summary(&report).starts_with("FatalError TemporaryError Suspended"), "{}", summary(&report));
    }
}

#[tokio::test]
async fn a_resource_that_is_suddenly_empty_deletes_nothing() {
    let world = World::new();
    world.resource.set_faults(Faults::new().end_search_after(0, Some(IncompleteReason::Empty)));
    let report = world.run(&reconciliation(), &Options::default()).await;
    assert!(summary(&report).starts_with("Success Finished"), "nothing was known: {}", summary(&report));

    world.resource.set_faults(Faults::new());
    world.put("a", "unit=Sales");
    world.run(&import(), &Options::default()).await;
    world.resource.set_faults(Faults::new().end_search_after(0, Some(IncompleteReason::Empty)));
    let before = world.dump().await;
    let report = world.run(&reconciliation(), &Options::default()).await;
    assert_eq!(world.dump().await, before);
    assert!(summary(&report).contains("incomplete-read"), "{}", summary(&report));
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_not_taken_for_deleted() {
    let world = World::new();
    for uid in ["a", "b", "c"] {
        world.put(uid, "unit=Sales");
    }
    world.run(&import(), &Options::default()).await;
    world.remove("c");
    world.resource.set_faults(Faults::new().unreadable("b"));
    let report = world.run(&reconciliation(), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        operationCompletion: Success +0 !0 ~0
        resourceObjects: PartialError +1 !1 ~0
          linked linked linked -: +1 !0 ~0
          null null null -: +0 !1 ~0
          b [Schema] the object cannot be read, as it was told
        remainingShadows: PartialError +1 !1 ~0
          linked null null -: +0 !1 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
          b [Schema] whether the object is gone could not be found out: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_resource_that_cannot_be_reached_suspends_the_run() {
    let world = World::new();
    world.put("a", "unit=Sales");
    world.resource.set_faults(Faults::new().fail_call(Call::Search, 1, ErrorKind::Unreachable));
    let report = world.run(&import(), &Options::default()).await;
    expect![[r#"
        FatalError TemporaryError Suspended
        -: FatalError +0 !0 ~0
        resource-unreachable: call 1 of Search fails, as it was told to
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn an_object_met_twice_is_taken_once() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "number=2");
    world.resource.set_faults(Faults::new().repeated("a"));
    for chunk in [1, 100] {
        let options = Options { chunk: Some(chunk), ..Options::default() };
        let report = world.run(&import(), &options).await;
        assert_eq!((report.progress.success, report.progress.failure, report.progress.skip), (2, 0, 1), "{}", summary(&report));
    }
}

#[tokio::test]
async fn a_name_that_is_taken_fails_alone() {
    let world = World::new();
    world.user("b", "employeeNumber=99").await;
    for (uid, number) in [("a", 1), ("b", 2), ("c", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    let report = world.run(&import(), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +2 !1 ~0
          null unmatched linked -: +2 !0 ~0
          null unmatched unmatched -: +0 !1 ~0
          shadow: add 3 modify 0 delete 0
          user: add 2 modify 0 delete 0
          b [Application] a focus of the same type has this name already
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1"}
        user b v1 {"name":"b","employeeNumber":"99"}
        user c v1 {"name":"c","employeeNumber":"3"}
        shadow a account/default linked -> a {"uid":"a"} ["success"]
        shadow b account/default unmatched -> - {"uid":"b"} ["fatal_error"]
        shadow c account/default linked -> c {"uid":"c"} ["success"]
    "#]]
    .assert_eq(&world.dump().await);
}

#[tokio::test]
async fn a_preview_shows_everything_and_stores_nothing() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    let before = world.dump().await;
    let options = Options { mode: Some(Mode::Preview), ..Options::default() };
    let report = world.run(&import(), &options).await;
    assert_eq!(report.activities[0].actions.0["user"].add, 2);
    assert_eq!(world.dump().await, before);
}

#[tokio::test]
async fn a_dry_run_records_situations_and_reacts_to_none() {
    let world = World::new();
    world.user("known", "employeeNumber=1").await;
    world.put("a", "number=1");
    world.put("b", "number=2");
    let options = Options { mode: Some(Mode::DryRun), ..Options::default() };
    let report = world.run(&import(), &options).await;
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~0
          null unlinked unlinked -: +1 !0 ~0
          null unmatched unmatched -: +1 !0 ~0
          shadow: add 2 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user known v1 {"name":"known","employeeNumber":"1"}
        shadow a account/default unlinked -> - {"uid":"a"} []
        shadow b account/default unmatched -> - {"uid":"b"} []
    "#]]
    .assert_eq(&world.dump().await);
    let report = world.run(&import(), &Options::default()).await;
    assert_eq!(report.activities[0].actions.0["user"].add, 1, "{}", summary(&report));
}

#[tokio::test]
async fn only_the_objects_of_the_set_are_processed() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    let set = "<kind>account</kind><intent>contractor</intent>";
    let report = world.run(&task("import", set), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    let set = "<kind>account</kind><intent>default</intent><query><q:filter><q:text>attributes/uid = 'a'</q:text></q:filter></query><queryApplication>append</queryApplication>";
    let report = world.run(&task("import", set), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
}
