//! Compositions, tailoring, error handling, older forms: what a task's definition comes to.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use expect_test::expect;
use support::{ALL, World, activity, import, reconciliation, summary, task, whole, work};
use tidelock_activities::{Explanation, Mode, Options, explain};
use tidelock_connector_api::memory::Faults;

fn outline(explanation: &Explanation) -> String {
    fn one(out: &mut String, explanation: &Explanation, depth: usize) {
        let path = explanation.path.as_deref().unwrap_or("-");
        out.push_str(&format!("{:1$}{path} {2}\n", "", depth * 2, explanation.activity));
        explanation.activities.iter().for_each(|part| one(out, part, depth + 1));
    }
    let mut out = String::new();
    one(&mut out, explanation, 0);
    out
}

fn part(items: &str, what: &str) -> String {
    format!("<activity>{items}{}</activity>", work(what, ALL, ""))
}

fn composition(parts: &[String]) -> String {
    activity(&format!("<composition>{}</composition>", parts.concat()))
}

fn on_failure(entries: &str) -> String {
    let flow = format!("<controlFlow><errorHandling>{entries}</errorHandling></controlFlow>");
    activity(&format!("{}{flow}", work("import", ALL, "")))
}

fn tailored(changes: &str) -> String {
    activity(&format!("{}<tailoring>{changes}</tailoring>", work("reconciliation", ALL, "")))
}

/// Names of three of four objects are taken.
async fn troubled() -> World {
    let world = World::new();
    for (at, uid) in ["a", "b", "c", "d"].into_iter().enumerate() {
        world.put(uid, &format!("number={at}"));
        if uid != "b" {
            world.user(uid, "").await;
        }
    }
    world
}

#[tokio::test]
async fn the_parts_of_a_composition_run_in_order() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    let inner = format!("<activity><order>3</order><composition>{}</composition></activity>", part("", "import"));
    let task = composition(&[
        part("", "reconciliation"),
        part("", "reconciliation"),
        part("<identifier>reconciliation:2</identifier><order>2</order>", "shadowReclassification"),
        inner,
        part("<identifier>first</identifier><order>-1</order>", "import"),
    ]);
    let report = world.run(&task, &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        first: Success +2 !0 ~0
          null unmatched linked -: +2 !0 ~0
          shadow: add 2 modify 0 delete 0
          user: add 2 modify 0 delete 0
        reconciliation:2: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
        composition:1/import:1: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
        reconciliation:1/operationCompletion: Success +0 !0 ~0
        reconciliation:1/resourceObjects: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
        reconciliation:1/remainingShadows: Success +0 !0 ~0
        reconciliation:3/operationCompletion: Success +0 !0 ~0
        reconciliation:3/resourceObjects: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
        reconciliation:3/remainingShadows: Success +0 !0 ~0
    "#]]
    .assert_eq(&summary(&report));
    let prepared = world.prepare(&task, &Options::default()).await.unwrap();
    expect![[r#"
        - composition
          first import
          reconciliation:2 shadowReclassification
          composition:1 composition
            composition:1/import:1 import
          reconciliation:1 reconciliation
            reconciliation:1/operationCompletion operationCompletion
            reconciliation:1/resourceObjects resourceObjects
            reconciliation:1/remainingShadows remainingShadows
          reconciliation:3 reconciliation
            reconciliation:3/operationCompletion operationCompletion
            reconciliation:3/resourceObjects resourceObjects
            reconciliation:3/remainingShadows remainingShadows
    "#]]
    .assert_eq(&outline(&explain(&prepared)));
    assert_eq!(report.activity, "composition");
}

#[tokio::test]
async fn a_part_that_does_not_finish_stops_the_others_and_is_gone_on_with() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "number=2");
    let task = composition(&[part("", "import"), part("", "reconciliation"), part("", "import")]);
    world.resource.set_faults(Faults::new().end_search_after(1, None));
    let report = world.run(&task, &Options::default()).await;
    expect![[r#"
        FatalError TemporaryError Suspended
        import:1: FatalError +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
        incomplete-read: the resource was not read to its end: the search broke off without saying whether that was all
    "#]]
    .assert_eq(&summary(&report));
    world.resource.set_faults(Faults::new());
    let report = world.run(&task, &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        import:1: Success +3 !0 ~0
          null unmatched linked -: +2 !0 ~0
          linked linked linked -: +1 !0 ~0
          shadow: add 2 modify 0 delete 0
          user: add 2 modify 0 delete 0
        reconciliation:1/operationCompletion: Success +0 !0 ~0
        reconciliation:1/resourceObjects: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
        reconciliation:1/remainingShadows: Success +0 !0 ~0
        import:2: Success +2 !0 ~0
          linked linked linked -: +2 !0 ~0
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn what_makes_no_composition_is_refused() {
    let world = World::new();
    for (task, expected) in [
        (
            composition(&[]),
            expect![[r#"
            test.xml:3:38: error[no-work]: the composition has no activities
              add an 'activity' with its 'work'
        "#]],
        ),
        (
            composition(&[part("<identifier>x</identifier>", "import"), part("<identifier>x</identifier>", "import")]),
            expect![[r#"
                test.xml:3:244: error[duplicate-identifier]: two activities of the composition have the same identifier
                  give one of them another identifier
            "#]],
        ),
        (
            composition(&[part("<identifier>x/y</identifier>", "import")]),
            expect![[r#"
            test.xml:3:61: error[bad-value]: an identifier is a name without slashes
              give the activity another identifier, or none
        "#]],
        ),
        (
            composition(&[part("", "recomputation")]),
            expect![[r#"
                test.xml:3:67: error[not-supported]: the activity 'recomputation' cannot be run yet
                  import, reconciliation, liveSynchronization, asynchronousUpdate, shadowReclassification, shadowCleanup and triggerScan can be run
            "#]],
        ),
        (
            activity(&format!("{}<composition>{}</composition>", work("import", ALL, ""), part("", "import"))),
            expect![[r#"
            test.xml:3:174: error[ambiguous-work]: the activity has both a work and a composition
              leave one of them, or make the work an activity of the composition
        "#]],
        ),
        (
            activity(&format!(
                "<composition>{}</composition><tailoring><change><reference>imprt:1</reference></change></tailoring>",
                part("", "import")
            )),
            expect![[r#"
                test.xml:3:241: error[unknown-reference]: the activity has no part 'imprt:1'
                  did you mean 'import:1'?
            "#]],
        ),
    ] {
        expected.assert_eq(&world.findings(&task, &Options::default()).await);
    }
}

#[tokio::test]
async fn previews_of_a_reconciliation_run_where_tailoring_wants_them() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "number=2");
    world.run(&import(), &Options::default()).await;
    world.remove("b");
    world.put("c", "number=3");
    let automatic = |part: &str| {
        format!(
            "<change><reference>{part}</reference><controlFlow><processingOption>automatic</processingOption></controlFlow></change>"
        )
    };
    let task = tailored(&(automatic("resourceObjectsPreview") + &automatic("remainingShadowsPreview")));
    let report = world.run(&task, &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        operationCompletion: Success +0 !0 ~0
        resourceObjectsPreview (Preview): Success +2 !0 ~0
          linked linked linked -: +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
        remainingShadowsPreview (Preview): Success +1 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
        resourceObjects: Success +2 !0 ~0
          linked linked linked -: +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
        remainingShadows: Success +1 !0 ~0
          linked deleted deleted -: +1 !0 ~0
          shadow: add 0 modify 0 delete 1
          user: add 0 modify 1 delete 0
    "#]]
    .assert_eq(&summary(&report));
    let prepared = world.prepare(&task, &Options::default()).await.unwrap();
    expect![[r#"
        - reconciliation
          operationCompletion operationCompletion
          resourceObjectsPreview resourceObjects
          remainingShadowsPreview remainingShadows
          resourceObjects resourceObjects
          remainingShadows remainingShadows
    "#]]
    .assert_eq(&outline(&explain(&prepared)));
}

#[tokio::test]
async fn tailoring_overwrites_all_or_what_it_specifies() {
    let handling = "<errorHandling><entry><reaction><stop/></reaction></entry></errorHandling>";
    let change = |mode: &str| {
        format!(
            "<controlFlow>{handling}</controlFlow><tailoring><change><reference>resourceObjects</reference><controlFlow>{mode}<processingOption>process</processingOption></controlFlow></change></tailoring>"
        )
    };
    for (mode, expected) in [
        ("", "Finished"),
        ("<tailoringMode>overwrite</tailoringMode>", "Finished"),
        ("<tailoringMode>overwriteSpecified</tailoringMode>", "PermanentError"),
    ] {
        let world = troubled().await;
        let task = activity(&format!("{}{}", work("reconciliation", ALL, ""), change(mode)));
        let report = world.run(&task, &Options::default()).await;
        assert_eq!(format!("{:?}", report.run_status), expected, "{mode}");
    }
}

#[tokio::test]
async fn tailoring_can_leave_out_parts_and_change_their_modes() {
    let world = World::new();
    world.put("a", "number=1");
    world.run(&import(), &Options::default()).await;
    world.remove("a");
    world.put("b", "number=2");
    let task = tailored(
        "<change><reference>operationCompletion</reference><reference>remainingShadows</reference><controlFlow><processingOption>skip</processingOption></controlFlow></change>
         <change><executionMode>dryRun</executionMode></change>",
    );
    let report = world.run(&task, &Options::default()).await;
    expect![[r#"
        Success Finished Closed
        resourceObjects (DryRun): Success +1 !0 ~0
          null unmatched unmatched -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
    "#]]
    .assert_eq(&summary(&report));
    let skipped = format!("{}<controlFlow><processingOption>skip</processingOption></controlFlow>", work("import", ALL, ""));
    let report = world.run(&activity(&skipped), &Options::default()).await;
    expect![[r#"
        Success Finished Closed
    "#]]
    .assert_eq(&summary(&report));
}

#[tokio::test]
async fn failures_stop_an_activity_where_its_definition_says_so() {
    let entry = |situation: &str, reaction: &str| format!("<entry>{situation}<reaction>{reaction}</reaction></entry>");
    let category = |name: &str| format!("<situation><errorCategory>{name}</errorCategory></situation>");
    let (ignore, stop) = ("<ignore/>", "<stop/>");
    for (entries, failures, successes) in [
        (String::new(), 3, 1),
        (entry("", ignore), 3, 1),
        (entry("", stop), 1, 0),
        ("<entry/>".to_owned(), 1, 0),
        (entry("", ""), 1, 0),
        (entry("", "<stopAfter>2</stopAfter>"), 2, 1),
        (entry("", "<ignore/><stopAfter>3</stopAfter>"), 3, 1),
        (entry("", "<ignore/><stopAfter>4</stopAfter>"), 3, 1),
        (entry("", "<ignore/><stop/>"), 3, 1),
        (entry(&category("network"), stop), 3, 1),
        (entry(&category("application"), stop), 1, 0),
        (entry("<situation><status>partial_error</status></situation>", stop), 3, 1),
        (entry("<situation><status>fatal_error</status><errorCategory>application</errorCategory></situation>", stop), 1, 0),
        (entry("", ignore) + &entry("", stop), 3, 1),
        (format!("<entry><reaction>{ignore}</reaction></entry><entry><order>1</order><reaction>{stop}</reaction></entry>"), 1, 0),
        (entry("", "<retryLater/>"), 3, 1),
    ] {
        for chunk in [1, 3, 100] {
            let world = troubled().await;
            let options = Options { chunk: Some(chunk), ..Options::default() };
            let report = world.run(&on_failure(&entries), &options).await;
            let counted = (report.progress.failure, report.progress.success);
            assert_eq!(counted, (failures, successes), "{entries}\n{}", summary(&report));
        }
    }
}

#[tokio::test]
async fn a_stop_says_at_which_failure_and_by_which_entry() {
    let world = troubled().await;
    let report =
        world.run(&on_failure("<entry><reaction><stopAfter>2</stopAfter></reaction></entry>"), &Options::default()).await;
    expect![[r#"
        FatalError PermanentError Suspended
        -: FatalError +1 !2 ~0
          null unmatched unmatched -: +0 !2 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 3 modify 0 delete 0
          user: add 1 modify 0 delete 0
          a [Application] a focus of the same type has this name already
          c [Application] a focus of the same type has this name already
        stopped-by-failure: the activity stops at the failure of c: a focus of the same type has this name already
    "#]]
    .assert_eq(&summary(&report));
    let error = report.error.unwrap();
    assert_eq!((error.place.line, error.help.is_some()), (3, true), "{error}");
}

#[tokio::test]
async fn a_task_of_midpoint_4_3_runs_as_what_it_stands_for() {
    let world = World::new();
    world.put("a", "number=1");
    world.put("b", "kind=contractor");
    let old = whole(
        r#"<handlerUri>http://midpoint.evolveum.com/xml/ns/public/model/synchronization/task/reconciliation/handler-3</handlerUri>
           <objectRef oid="hr" type="ResourceType"/>
           <extension xmlns:mext="http://midpoint.evolveum.com/xml/ns/public/model/extension-3">
             <mext:kind>account</mext:kind><mext:intent>default</mext:intent>
           </extension>"#,
    );
    expect![[r#"
        test.xml:3:28: info[legacy-task]: the task is in the form of midPoint 4.3, which later versions of midPoint do not know
          write it as
          <?xml version="1.0" encoding="UTF-8"?>
          <task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" oid="task">
            <name>task</name>
            <activity>
              <work>
                <reconciliation>
                  <resourceObjects>
                    <resourceRef oid="hr" type="ResourceType"/>
                    <kind>account</kind>
                    <intent>default</intent>
                  </resourceObjects>
                </reconciliation>
              </work>
            </activity>
          </task>
    "#]]
    .assert_eq(&world.findings(&old, &Options::default()).await);
    let old = world.run(&old, &Options::default()).await;
    let other = World::new();
    other.put("a", "number=1");
    other.put("b", "kind=contractor");
    let new = other.run(&task("reconciliation", "<kind>account</kind><intent>default</intent>"), &Options::default()).await;
    assert_eq!(summary(&old), summary(&new));
    assert_eq!(world.dump().await, other.dump().await);
}

#[tokio::test]
async fn every_item_that_makes_no_difference_is_named() {
    let world = World::new();
    let items = format!(
        r#"<schedule><interval>60</interval></schedule>
           <cleanupAfterCompletion>P1D</cleanupAfterCompletion>
           <handlerUri>http://midpoint.evolveum.com/xml/ns/public/model/synchronization/task/import/handler-3</handlerUri>
           <activity>{}
             <tailoring><change><executionMode>full</executionMode></change></tailoring>
             <executionMode>dryRun</executionMode>
             <execution><mode>full</mode><createSimulationResult>true</createSimulationResult></execution>
             <controlFlow><tailoringMode>overwrite</tailoringMode><parallelExecution>true</parallelExecution>
               <errorHandling><entry><reaction><retryLater><retryLimit>3</retryLimit></retryLater></reaction></entry></errorHandling></controlFlow>
             <distribution><workerThreads>-1</workerThreads></distribution>
             <reporting><logging><bucketCompletion>none</bucketCompletion></logging><itemCounting/></reporting>
           </activity>"#,
        work(
            "import",
            &format!("{ALL}<useRepositoryDirectly>true</useRepositoryDirectly>"),
            "<batchSize>1</batchSize><interval>P1D</interval>"
        )
    );
    expect![[r#"
        test.xml:3:28: info[not-supported]: 'schedule' has no effect yet: the task runs when it is told to
          run it from the scheduler of the system, as with cron or a systemd timer
        test.xml:4:12: warning[ignored-item]: 'cleanupAfterCompletion' of a task is ignored
          the task stays until it is deleted
        test.xml:5:12: warning[ignored-item]: 'handlerUri' is ignored: the activity says what is done
          remove 'handlerUri'
        test.xml:8:14: warning[ignored-item]: 'executionMode' is ignored: execution/mode goes before it
          remove 'executionMode'
        test.xml:9:42: warning[not-supported]: 'createSimulationResult' is not supported yet: a preview is shown by the report of its run
          remove it
        test.xml:10:27: warning[ignored-item]: 'tailoringMode' is ignored: it has a meaning inside of 'tailoring' only
          remove 'tailoringMode'
        test.xml:10:67: warning[ignored-item]: 'parallelExecution' is ignored: activities run one after another
          remove 'parallelExecution'
        test.xml:12:28: warning[ignored-item]: 'workerThreads' is ignored: there cannot be fewer than none
          remove 'workerThreads'
        test.xml:13:25: warning[ignored-item]: 'reporting/logging' is ignored: every run is reported in the same way
          remove 'logging'
        test.xml:13:85: warning[ignored-item]: 'reporting/itemCounting' is ignored: every run is reported in the same way
          remove 'itemCounting'
        test.xml:6:193: warning[ignored-item]: 'batchSize' is ignored: it means nothing to import
          remove 'batchSize'
        test.xml:6:217: warning[ignored-item]: 'interval' is ignored: it means nothing to import
          remove 'interval'
        test.xml:7:14: warning[ignored-item]: 'tailoring' is ignored: the activity has no parts
          remove 'tailoring'
        test.xml:6:124: warning[ignored-item]: 'useRepositoryDirectly' is ignored by import
          remove 'useRepositoryDirectly'
    "#]].assert_eq(&world.findings(&whole(&items), &Options::default()).await);
    let changes = "<change><reference>resourceObjectsPreview</reference><execution><mode>full</mode></execution><reporting><tracing/></reporting></change>";
    expect![[r#"
        test.xml:3:265: warning[ignored-item]: 'mode' is ignored: 'resourceObjectsPreview' is always a preview
          remove 'mode'
        test.xml:3:305: warning[ignored-item]: 'reporting/tracing' is ignored: every run is reported in the same way
          remove 'tracing'
    "#]]
    .assert_eq(&world.findings(&tailored(changes), &Options::default()).await);
}

#[tokio::test]
async fn a_mode_from_outside_is_that_of_every_part() {
    let world = World::new();
    world.put("a", "number=1");
    let before = world.dump().await;
    let preview = Options { mode: Some(Mode::Preview), ..Options::default() };
    let report = world.run(&composition(&[part("", "import"), part("", "reconciliation")]), &preview).await;
    expect![[r#"
        Success Finished Closed
        import:1: Success +1 !0 ~0
          null unmatched linked -: +1 !0 ~0
          shadow: add 1 modify 0 delete 0
          user: add 1 modify 0 delete 0
        reconciliation:1/operationCompletion: Success +0 !0 ~0
        reconciliation:1/resourceObjects: Success +1 !0 ~0
          linked linked linked -: +1 !0 ~0
        reconciliation:1/remainingShadows: Success +0 !0 ~0
    "#]]
    .assert_eq(&summary(&report));
    assert_eq!((report.mode, world.dump().await), (Mode::Preview, before));
    world.run(&reconciliation(), &Options::default()).await;
}

#[tokio::test]
async fn what_can_have_no_effect_is_named() {
    let reference = work("import", ALL, "").replace(r#"<resourceRef oid="hr"/>"#, r#"<resourceRef oid="hr" type="UserType"/>"#);
    let period = "<failedObjectsSelector><timeFrom>2026-02-01T00:00:00Z</timeFrom><timeTo>2026-01-01T00:00:00Z</timeTo></failedObjectsSelector>";
    for (task, expected) in [
        (
            activity(&format!("{}<distribution><workerThreads>65</workerThreads></distribution>", work("import", ALL, ""))),
            expect![[r#"
                test.xml:3:188: warning[ignored-item]: 'workerThreads' is 65, and 64 is the most: so many are used
                  say 64 or less
            "#]],
        ),
        (
            activity(&reference),
            expect![[r#"
            test.xml:3:69: warning[ignored-item]: 'resourceRef' says that it means a UserType; a resource is looked for all the same
              say 'ResourceType', or leave 'type' out
        "#]],
        ),
        (
            task("import", &format!("{ALL}{period}")),
            expect![[r#"
            test.xml:3:163: warning[empty-period]: 'timeFrom' is later than 'timeTo': no object has failed in between, and none is meant
              exchange the two, or remove one
        "#]],
        ),
    ] {
        expected.assert_eq(&World::new().findings(&task, &Options::default()).await);
    }
    let most = format!("{}<distribution><workerThreads>64</workerThreads></distribution>", work("import", ALL, ""));
    assert_eq!(World::new().findings(&activity(&most), &Options::default()).await, "");
}
