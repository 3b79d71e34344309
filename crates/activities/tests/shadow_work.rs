//! What reclassification and cleanup of shadows do, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use expect_test::expect;
use std::sync::Arc;

use support::{ALL, CLASS, RESOURCE, World, activity, import, reconciliation, summary, task, work};
use tidelock_activities::{Mode, Options};
use tidelock_connector_api::memory::{Call, Faults, Memory};
use tidelock_connector_api::{Connector, ErrorKind, ObjectStream, Result, SearchRequest, async_trait};
use tidelock_model::object::{ResourceObject, Schema};

fn in_mode(mode: Mode) -> Options {
    Options { mode: Some(mode), ..Options::default() }
}

fn cleanup(interval: &str) -> String {
    activity(&work("shadowCleanup", ALL, &format!("<interval>{interval}</interval>")))
}

#[tokio::test]
async fn a_reclassification_moves_what_an_import_leaves_where_it_is() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    world.run(&import(), &Options::default()).await;
    world.put("b", "number=2");
    world.run(&import(), &Options::default()).await;
    assert!(world.dump().await.contains("shadow b account/contractor"), "an import keeps types");
    let report = world.run(&task("shadowReclassification", ALL), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
          shadow: add 0 modify 1 delete 0
          user: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1"}
        user b v2 {"name":"b","employeeNumber":"2"}
        shadow a account/default linked -> a {"uid":"a"} ["success", "success"]
        shadow b account/default linked -> b {"uid":"b"} ["success", "success", "success"]
    "#]]
    .assert_eq(&world.dump().await);
    let before = world.dump().await;
    let report = world.run(&import(), &Options::default()).await;
    assert_eq!(report.activities[0].actions, Default::default());
    assert_eq!(world.dump().await, before, "what was reclassified is as an import would have it");
}

#[tokio::test]
async fn an_object_that_no_type_claims_any_longer_loses_its_type() {
    let world = World::new();
    world.put("a", "number=1");
    world.run(&import(), &Options::default()).await;
    world.put("a", "number=1 kind=alien");
    let report = world.run(&task("shadowReclassification", ALL), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +0 !0 ~1
          linked null null noSynchronizationPolicy: +0 !0 ~1
          shadow: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1"}
        shadow a - linked -> a {"uid":"a"} ["success"]
    "#]]
    .assert_eq(&world.dump().await);
}

#[tokio::test]
async fn shadows_of_one_owner_are_reclassified_alike_in_every_chunk() {
    let mut dumps = Vec::new();
    for chunk in [1, 100] {
        let world = World::new();
        let options = Options { chunk: Some(chunk), ..Options::default() };
        world.put("a", "number=3");
        world.put("b", "number=3 mail=x@y");
        for task in [import(), task("shadowReclassification", ALL), reconciliation()] {
            world.run(&task, &options).await;
        }
        dumps.push(world.dump().await);
    }
    assert_eq!(dumps[0], dumps[1]);
}

#[tokio::test]
async fn a_reclassification_is_for_real_or_not_at_all() {
    let world = World::new();
    for mode in [Mode::Preview, Mode::DryRun, Mode::None] {
        let found = world.findings(&task("shadowReclassification", ALL), &in_mode(mode)).await;
        assert!(found.contains("error[not-supported]: shadowReclassification cannot be run in the mode"), "{found}");
    }
    let defined = format!("{}<execution><mode>preview</mode></execution>", work("shadowReclassification", ALL, ""));
    let found = world.findings(&activity(&defined), &Options::default()).await;
    expect![[r#"
        test.xml:3:217: error[not-supported]: shadowReclassification cannot be run in the mode 'preview'
          run it in the mode 'full'
    "#]]
    .assert_eq(&found);
}

#[tokio::test]
async fn a_cleanup_buries_old_shadows_of_objects_that_are_gone() {
    let world = World::new();
    for uid in ["a", "b", "c"] {
        world.put(uid, "number=1 unit=Sales");
    }
    world.put("d", "kind=alien");
    world.run(&import(), &Options::default()).await;
    world.remove("b");
    world.remove("d");
    // A second passes at every look at the clock: nothing is a day old.
    for interval in ["P1D", "-P1D", "P1M", "P9000Y"] {
        let report = world.run(&cleanup(interval), &Options::default()).await;
        assert_eq!(report.progress.total(), 0, "{interval}");
    }
    let report = world.run(&cleanup("-PT0.5S"), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        -: Success +2 !0 ~2
          linked null null synchronizationNotNeeded: +0 !0 ~2
          linked deleted deleted -: +1 !0 ~0
          null deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 2
    "#]]
    .assert_eq(&summary(&report));
    expect![[r#"
        user a v1 {"name":"a","employeeNumber":"1","organizationalUnit":"Sales"}
        shadow a account/default linked -> a {"uid":"a","unit":"Sales"} ["success"]
        shadow b dead account/default deleted -> a {"uid":"b","unit":"Sales"} ["success"]
        shadow c account/default linked -> a {"uid":"c","unit":"Sales"} ["success"]
        shadow d dead - deleted -> - {"uid":"d"} []
    "#]]
    .assert_eq(&world.dump().await);
    let report = world.run(&cleanup("PT0S"), &Options::default()).await;
    assert_eq!((report.progress.success, report.progress.skip), (0, 2), "the dead are left alone");
}

#[tokio::test]
async fn a_cleanup_can_be_tried_first() {
    let world = World::new();
    for uid in ["a", "b"] {
        world.put(uid, "unit=Sales");
    }
    world.run(&import(), &Options::default()).await;
    world.remove("b");
    let before = world.dump().await;
    let preview = world.run(&cleanup("PT0S"), &in_mode(Mode::Preview)).await;
    let dry = world.run(&cleanup("PT0S"), &in_mode(Mode::DryRun)).await;
    assert_eq!(world.dump().await, before);
    assert_eq!((preview.progress.success, preview.activities[0].actions.0["shadow"].delete), (1, 1));
    assert_eq!((dry.progress.success, dry.activities[0].actions.0["shadow"].delete), (1, 0));
    // Neither has hidden anything from the cleanup itself.
    let report = world.run(&cleanup("PT0S"), &Options::default()).await;
    assert_eq!(report.activities[0].actions.0["shadow"].delete, 1);
}

#[tokio::test]
async fn a_cleanup_buries_nothing_that_it_cannot_ask_for() {
    let world = World::new();
    for uid in ["a", "b", "c"] {
        world.put(uid, "unit=Sales");
    }
    world.run(&import(), &Options::default()).await;
    let before = world.dump().await;
    world.resource.set_faults(Faults::new().unreadable("b"));
    let report = world.run(&cleanup("PT0S"), &Options::default()).await;
    expect![[r#"
        PartialError Finished Closed
        -: PartialError +0 !1 ~2
          linked null null synchronizationNotNeeded: +0 !0 ~2
          linked null null -: +0 !1 ~0
          b [Schema] whether the object is gone could not be found out: the object cannot be read, as it was told
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!(world.dump().await, before, "not even a result is kept");
    world.resource.set_faults(Faults::new().fail_call(Call::GetMany, 1, ErrorKind::Unreachable));
    let report = world.run(&cleanup("PT0S"), &Options::default()).await;
    assert!(summary(&report).starts_with("FatalError TemporaryError Suspended"), "{}", summary(&report));
    assert_eq!(world.dump().await, before);
}

#[tokio::test]
async fn a_cleanup_is_for_the_shadows_of_its_set() {
    let world = World::new();
    world.put("a", "unit=Sales");
    world.put("b", "kind=contractor");
    world.run(&import(), &Options::default()).await;
    world.remove("a");
    world.remove("b");
    let contractors = "<kind>account</kind><intent>contractor</intent>";
    let report =
        world.run(&activity(&work("shadowCleanup", contractors, "<interval>PT0S</interval>")), &Options::default()).await;
    assert_eq!(report.progress.total(), 1);
    let report = world.run(&reconciliation(), &Options::default()).await;
    assert_eq!(report.activities[2].progress.success, 1, "the other one is still there: {}", summary(&report));
}

#[tokio::test]
async fn a_cleanup_says_how_old() {
    let world = World::new();
    let found = world.findings(&activity(&work("shadowCleanup", ALL, "")), &Options::default()).await;
    expect![[r#"
        test.xml:3:44: error[no-interval]: the cleanup does not say how old shadows must be
          add 'interval', such as P30D: shadows that were not met for so long are looked after
    "#]]
    .assert_eq(&found);
}

/// A resource that once identified `a` by `old-a`, and still understands that.
struct Renamed(Memory);

#[async_trait]
impl Connector for Renamed {
    async fn schema(&self) -> Result<Schema> {
        self.0.schema().await
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        self.0.search(request)
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        let identifiers: Vec<_> = identifiers.iter().map(|known| known.strip_prefix("old-").unwrap_or(known)).collect();
        self.0.get_many(class, &identifiers).await
    }
}

#[tokio::test]
async fn an_object_that_is_identified_otherwise_than_it_was_keeps_one_shadow_and_its_owner() {
    let schema = Schema::default().with_class(CLASS, "uid", &["uid", "number", "mail", "unit", "kind"]);
    let resource = Memory::new(schema);
    let repo = Arc::new(tidelock_repo::memory::Memory::new());
    let world = World::around(RESOURCE, repo, resource.clone(), Arc::new(Renamed(resource)));
    world.put("old-a", "number=1");
    world.put("old-b", "number=2");
    world.run(&import(), &Options::default()).await;
    for uid in ["a", "b"] {
        world.remove(&format!("old-{uid}"));
    }
    // Nobody has met them under their new identifiers yet.
    world.put("a", "number=1");
    world.put("b", "number=2");
    world.run(&cleanup("PT0S"), &Options::default()).await;
    assert!(!world.dump().await.contains("dead"), "{}", world.dump().await);
    let report = world.run(&reconciliation(), &Options::default()).await;
    assert_eq!(report.progress.failure, 0, "{}", summary(&report));
    expect![[r#"
        user old-a v1 {"name":"old-a","employeeNumber":"1"}
        user old-b v1 {"name":"old-b","employeeNumber":"2"}
        shadow a account/default linked -> old-a {"uid":"a"} ["success"]
        shadow b account/default linked -> old-b {"uid":"b"} ["success"]
        shadow old-a dead account/default deleted -> old-a {"uid":"old-a"} ["success"]
        shadow old-b dead account/default deleted -> old-b {"uid":"old-b"} ["success"]
    "#]]
    .assert_eq(&world.dump().await);
}
