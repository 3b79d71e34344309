//! Tasks of midPoint 4.3, and what they are today.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use tidelock_model::definition::{Definition, read_file, write};
use tidelock_model::document::Format;

fn check(handler: &str, items: &str, expected: Expect) {
    let text = format!(
        r#"<task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3"
  xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <name>old</name>
  <handlerUri>http://midpoint.evolveum.com/xml/ns/public/model/{handler}/handler-3</handlerUri>
  <objectRef oid="hr" type="ResourceType"/>
  {items}
</task>"#
    );
    let (definitions, found) = read_file(text.as_bytes(), Some("old.yaml"), Format::Xml);
    assert!(found.iter().all(|d| !d.is_error()), "{found:?}");
    let [Definition::Task(task)] = &definitions[..] else { panic!("one task") };
    let Some(modern) = task.modern() else { return expected.assert_eq("not converted") };
    let written = write(&[Definition::Task(Box::new(modern.task))], Format::Yaml);
    let mut shown = written.clone();
    for d in &modern.diagnostics {
        // The cure of the first is the text above.
        let help = d.help.as_deref().filter(|help| !help.contains(written.trim_end())).unwrap_or("the above");
        writeln!(shown, "{d}\n  {help}").unwrap();
    }
    expected.assert_eq(&shown);
}

#[test]
fn a_reconciliation_becomes_an_activity() {
    check(
        "synchronization/task/reconciliation",
        r#"<extension xmlns:mext="http://midpoint.evolveum.com/xml/ns/public/model/extension-3">
             <mext:kind>account</mext:kind><mext:intent>default</mext:intent>
             <mext:objectclass xsi:type="xsd:QName" xmlns:xsd="http://www.w3.org/2001/XMLSchema">ri:AccountObjectClass</mext:objectclass>
             <mext:objectQuery xsi:type="q:QueryType"><q:filter><q:text>attributes/ri:uid = "a"</q:text></q:filter></mext:objectQuery>
             <mext:dryRun>true</mext:dryRun><mext:workerThreads>4</mext:workerThreads><mext:finishOperationsOnly>false</mext:finishOperationsOnly>
             <mext:unheardOf>x</mext:unheardOf>
           </extension>
           <errorHandlingStrategy><entry><situation><errorCategory>network</errorCategory></situation><reaction><stop/></reaction></entry></errorHandlingStrategy>"#,
        expect![[r#"
            "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
            task:
              name: old
              activity:
                work:
                  reconciliation:
                    resourceObjects:
                      resourceRef:
                        oid: hr
                        type: ResourceType
                      kind: account
                      intent: default
                      objectclass: "ri:AccountObjectClass"
                      query:
                        filter:
                          text: "attributes/ri:uid = \"a\""
                execution:
                  mode: dryRun
                controlFlow:
                  errorHandling:
                    entry:
                      situation:
                        errorCategory: network
                      reaction:
                        stop: {}
                distribution:
                  workerThreads: 4
            old.yaml:4:3: info[legacy-task]: the task is in the form of midPoint 4.3, which later versions of midPoint do not know
              the above
            old.yaml:11:14: warning[ignored-item]: 'unheardOf' means nothing to this task
              remove it
        "#]],
    );
}

#[test]
fn a_cleanup_keeps_its_interval_and_its_own_name_for_the_set() {
    check(
        "synchronization/task/delete-not-updated-shadow",
        "<extension><notUpdatedShadowsDuration>P30D</notUpdatedShadowsDuration><kind>accuont</kind></extension>",
        expect![[r#"
            "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
            task:
              name: old
              activity:
                work:
                  shadowCleanup:
                    shadows:
                      resourceRef:
                        oid: hr
                        type: ResourceType
                    interval: P30D
            old.yaml:4:3: info[legacy-task]: the task is in the form of midPoint 4.3, which later versions of midPoint do not know
              the above
            old.yaml:6:73: error[bad-value]: kind: 'accuont' is not a kind
              did you mean 'account'? Possible values: account, entitlement, generic, association, work
        "#]],
    );
}

#[test]
fn a_live_synchronization_keeps_what_it_says_of_its_token() {
    check(
        "synchronization/task/live-sync",
        "<extension><liveSyncBatchSize>10</liveSyncBatchSize><updateLiveSyncTokenInDryRun>true</updateLiveSyncTokenInDryRun><syncToken>7</syncToken><retryLiveSyncErrors>false</retryLiveSyncErrors></extension>",
        expect![[r#"
            "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
            task:
              name: old
              activity:
                work:
                  liveSynchronization:
                    resourceObjects:
                      resourceRef:
                        oid: hr
                        type: ResourceType
                    batchSize: 10
                    updateLiveSyncTokenInDryRun: true
                controlFlow:
                  errorHandling:
                    entry:
                      reaction:
                        ignore: {}
            old.yaml:4:3: info[legacy-task]: the task is in the form of midPoint 4.3, which later versions of midPoint do not know
              the above
        "#]],
    );
}

#[test]
fn a_scan_of_triggers_may_be_of_one_resource() {
    check(
        "trigger/scanner",
        "",
        expect![[r#"
        "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
        task:
          name: old
          activity:
            work:
              triggerScan:
                objects:
                  resourceRef:
                    oid: hr
                    type: ResourceType
        old.yaml:4:3: info[legacy-task]: the task is in the form of midPoint 4.3, which later versions of midPoint do not know
          the above
    "#]],
    );
}

#[test]
fn a_scan_of_triggers_may_be_of_all_resources() {
    let text = r#"<task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3">
      <name>old</name><handlerUri>http://midpoint.evolveum.com/xml/ns/public/model/trigger/scanner/handler-3</handlerUri>
    </task>"#;
    let (definitions, _) = read_file(text.as_bytes(), None, Format::Xml);
    let [Definition::Task(task)] = &definitions[..] else { panic!("one task") };
    let modern = task.modern().unwrap().task;
    assert!(modern.activity.as_ref().unwrap().work.as_ref().unwrap().objects.is_none());
    expect![[r#"
        "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
        task:
          name: old
          activity:
            work:
              triggerScan: {}
    "#]]
    .assert_eq(&write(&[Definition::Task(Box::new(modern))], Format::Yaml));
}

#[test]
fn other_handlers_and_tasks_with_an_activity_stay_as_they_are() {
    check("recompute", "", expect!["not converted"]);
    check("synchronization/task/import", "<activity><work><import/></work></activity>", expect!["not converted"]);
}
