//! The scan of what is due: whose objects it tries again, what ends it, and what its definition may say.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use expect_test::expect;
use support::brittle::{Brittle, Kill};
use support::timed::{QUICK, Timed, findings, flow, import, run, scan, triggers, troubled};
use support::{CLASS, RESOURCE, World, activity, read, summary, whole};
use tidelock_activities::{
    Connectors, Definitions, Mode, OpenError, Options, ResourceEntry, RunReport, RunStatus, explain, prepare,
};
use tidelock_connector_api::memory::{Call, Faults, Memory};
use tidelock_connector_api::{Connector, ErrorKind, async_trait};
use tidelock_model::definition::Definition;
use tidelock_model::object::Schema;
use tidelock_model::{Diagnostics, Oid, Timestamp};
use tidelock_repo::{Batch, NewTrigger, ObjectKey, Repo, Retry, ShadowRef, TriggerChange};

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
