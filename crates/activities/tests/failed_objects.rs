//! Trying again what failed, and working without reading the resource.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;

use expect_test::expect;
use support::{ALL, RESOURCE, World, activity, import, reconciliation, summary, task, work};
use tidelock_activities::{Mode, Options};
use tidelock_connector_api::memory::Faults;

fn retry(work: &str, selector: &str) -> String {
    task(work, &format!("{ALL}<failedObjectsSelector>{selector}</failedObjectsSelector>"))
}

fn unread(work: &str, set: &str) -> String {
    task(work, &format!("{set}<searchOptions><option><options><noFetch>true</noFetch></options></option></searchOptions>"))
}

/// A world in which the import of `b` has failed, for want of a name; and that is mended.
async fn mended() -> World {
    let world = World::new();
    world.user("b", "employeeNumber=99").await;
    for (uid, number) in [("a", 1), ("b", 2), ("c", 3)] {
        world.put(uid, &format!("number={number}"));
    }
    world.run(&import(), &Options::default()).await;
    world.put("b", "number=99");
    world.put("c", "number=4");
    world
}

#[tokio::test]
async fn failed_objects_alone_are_read_again() {
    let world = mended().await;
    let report = world.run(&retry("import", ""), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          unmatched unlinked linked -: +1 !0 ~0
          shadow: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
    assert!(world.dump().await.contains("shadow b account/default linked -> b"));
    let report = world.run(&retry("import", ""), &Options::default()).await;
    assert_eq!(report.progress.total(), 0, "what has succeeded since has not failed");
}

#[tokio::test]
async fn all_objects_can_be_read_and_the_others_passed_over() {
    let world = mended().await;
    let filter = retry("import", "<selectionMethod>filterAfterRetrieval</selectionMethod>");
    let report = world.run(&filter, &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~2
          null null null notApplicableForTask: +0 !0 ~2
          unmatched unlinked linked -: +1 !0 ~0
          shadow: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn statuses_tasks_and_times_say_what_has_failed() {
    for (selector, expected) in [
        ("<status>fatal_error</status>", 1),
        ("<status>partial_error</status>", 0),
        ("<status>success</status>", 2),
        ("<status>success</status><status>fatal_error</status>", 3),
        ("<status>handled_error</status>", 0),
        ("<taskRef oid=\"task\"/>", 1),
        ("<taskRef oid=\"other\"/>", 0),
        ("<taskRef oid=\"other\"/><taskRef oid=\"task\"/>", 1),
        ("<timeFrom>1970-01-01T00:00:00Z</timeFrom>", 1),
        ("<timeFrom>2000-01-01T00:00:00Z</timeFrom>", 0),
        ("<timeTo>1970-01-01T00:00:00Z</timeTo>", 0),
        ("<timeTo>2000-01-01T00:00:00Z</timeTo>", 1),
        ("<selectionMethod>fetchFailedObjects</selectionMethod>", 1),
        ("<selectionMethod>default</selectionMethod>", 1),
    ] {
        let report = mended().await.run(&retry("import", selector), &Options::default()).await;
        assert_eq!(report.progress.total(), expected, "{selector}\n{}", summary(&report));
    }
}

#[tokio::test]
async fn a_success_of_another_task_counts() {
    let world = mended().await;
    // A reconciliation leaves results under the name of its part.
    world.run(&reconciliation(), &Options::default()).await;
    let report = world.run(&retry("import", ""), &Options::default()).await;
    assert_eq!(report.progress.total(), 0);
}

#[tokio::test]
async fn an_unreadable_object_has_failed_until_it_is_read() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "number=2");
    world.run(&import(), &Options::default()).await;
    world.resource.set_faults(Faults::new().unreadable("b"));
    world.run(&import(), &Options::default()).await;
    let report = world.run(&retry("import", ""), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~0
          null null null -: +0 !1 ~0
          b [Schema] the object could not be read: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    world.resource.set_faults(Faults::new());
    // Nothing about it has changed; that it can be read again is recorded nevertheless.
    world.run(&import(), &Options::default()).await;
    let report = world.run(&retry("import", ""), &Options::default()).await;
    assert_eq!(report.progress.total(), 0);
}

#[tokio::test]
async fn a_failed_object_that_has_gone_fails_again() {
    let world = mended().await;
    world.remove("b");
    let report = world.run(&retry("import", ""), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~0
          null null null -: +0 !1 ~0
          b [Application] the object is not on the resource any more
    "#]]
    .assert_eq(&summary(&report));
    let report = world.run(&retry("reconciliation", ""), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        operationCompletion: Success +0 !0 ~0
        resourceObjects: PartialError +0 !1 ~0
          null null null -: +0 !1 ~0
          b [Application] the object is not on the resource any more
        remainingShadows: Success +1 !0 ~0
          unmatched deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn a_dry_run_makes_no_failure_good() {
    let world = mended().await;
    world.run(&import(), &Options { mode: Some(Mode::DryRun), ..Options::default() }).await;
    let report = world.run(&retry("import", ""), &Options::default()).await;
    assert_eq!(report.progress.total(), 1);
}

#[tokio::test]
async fn a_search_on_the_resource_cannot_be_narrowed_by_results() {
    let found =
        World::new().findings(&retry("import", "<selectionMethod>narrowQuery</selectionMethod>"), &Options::default()).await;
    expect![[r#"
        test.xml:3:163: error[bad-value]: 'narrowQuery' is for searches in the repository, and import searches on the resource
          leave 'selectionMethod' out, or choose fetchFailedObjects or filterAfterRetrieval
    "#]]
    .assert_eq(&found);
}

#[tokio::test]
async fn objects_that_are_not_read_are_not_reacted_to() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    world.put("c", "kind=alien");
    world.run(&import(), &Options::default()).await;
    world.put("a", "number=7");
    world.remove("b");
    let report = world.run(&unread("import", ALL), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~1
          linked linked linked -: +2 !0 ~0
          null null null noSynchronizationPolicy: +0 !0 ~1
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1"}
        user b v1 {"name":"b"}
        shadow a account/default linked -> a {"uid":"a"} ["success"]
        shadow b account/contractor linked -> b {"uid":"b"} ["success", "success"]
        shadow c - - -> - {"uid":"c"} []
    "#]]
    .assert_eq(&world.dump().await);
    expect![[r#"
        test.xml:3:140: warning[not-cached]: with 'noFetch', objects of account/default are not reacted to: their shadows do not keep number, mail
          let the resource cache these attributes ('caching'), or remove 'noFetch'
    "#]].assert_eq(&world.findings(&unread("import", ALL), &Options::default()).await);
    let contractors = unread("import", "<kind>account</kind><intent>contractor</intent>");
    let report = world.run(&contractors, &Options::default()).await;
    assert_eq!(report.progress.total(), 1, "kind and intent are taken literally");
}

#[tokio::test]
async fn objects_that_are_known_well_need_not_be_read() {
    let cached = RESOURCE.replace("</schemaHandling>", "</schemaHandling><caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>");
    let world = World::with(&cached, Arc::new(tidelock_repo::memory::Memory::new()));
    world.put("a", "number=1");
    world.run(&import(), &Options { mode: Some(Mode::DryRun), ..Options::default() }).await;
    world.remove("a");
    let report = world.run(&unread("import", ALL), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +1 !0 ~0
          unmatched unmatched linked -: +1 !0 ~0
          shadow: add 0 modify 1 delete 0
          user: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1"}
        shadow a account/default linked -> a {"uid":"a","number":"1"} ["success"]
    "#]]
    .assert_eq(&world.dump().await);
}

#[tokio::test]
async fn an_unread_query_is_about_what_is_cached() {
    let world = World::new();
    world.put("a", "unit=Sales");
    world.put("b", "unit=IT");
    world.run(&import(), &Options::default()).await;
    let set = format!(
        "{ALL}<query><q:filter><q:text>attributes/unit = 'IT'</q:text></q:filter></query><queryApplication>append</queryApplication>"
    );
    let report = world.run(&unread("import", &set), &Options::default()).await;
    assert_eq!(report.progress.total(), 1, "{}", summary(&report));
}

#[tokio::test]
async fn a_cleanup_can_be_about_failed_objects() {
    let world = mended().await;
    world.remove("a");
    world.remove("b");
    let set = format!("{ALL}<failedObjectsSelector/>");
    let report = world.run(&activity(&work("shadowCleanup", &set, "<interval>PT0S</interval>")), &Options::default()).await;
    assert_eq!(report.activities[0].actions.0["shadow"].delete, 1, "{}", summary(&report));
}
