//! Resources, tasks and focus objects: what is read, what is said about it, and that writing loses nothing.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use tidelock_model::definition::{Definition, read_file, write};
use tidelock_model::document::Format;

const RESOURCE: &str = r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" oid="10000000-0000-0000-0000-000000000001" version="3"
    xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3" xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3"
    xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3"
    xmlns:cap="http://midpoint.evolveum.com/xml/ns/public/resource/capabilities-3"
    xmlns:my="http://example.org/my" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <name>HR</name>
  <metadata><createChannel>x</createChannel></metadata>
  <connectorRef type="c:ConnectorType" xmlns:c="http://midpoint.evolveum.com/xml/ns/public/common/common-3">
    <filter><q:equal><q:path>c:connectorType</q:path><q:value>csv</q:value></q:equal></filter>
  </connectorRef>
  <connectorConfiguration xmlns:cfg="http://example.org/bundle/csv">
    <icfc:configurationProperties>
      <cfg:filePath>hr.csv</cfg:filePath>
      <cfg:columns>a</cfg:columns><cfg:columns>b</cfg:columns>
      <cfg:password><clearValue> s e c r e t </clearValue></cfg:password>
      <cfg:host><expression><value>hostname</value></expression></cfg:host>
    </icfc:configurationProperties>
    <icfc:timeouts><icfc:search>10</icfc:search></icfc:timeouts>
  </connectorConfiguration>
  <schemaHandling>
    <objectType id="4">
      <kind>account</kind>
      <intent>main</intent>
      <default>true</default>
      <delineation>
        <objectClass>ri:person</objectClass>
        <filter><q:text>attributes/ri:ou = "staff"</q:text></filter>
        <classificationOrder>10</classificationOrder>
      </delineation>
      <focus><type>UserType</type></focus>
      <attribute>
        <ref>ri:uid</ref>
        <correlator/>
        <inbound>
          <strength>strong</strength>
          <expression>
            <script>
              <code>
                if (uid == null &amp;&amp; x &lt; 2) { return my:thing }
                  return uid
              </code>
            </script>
          </expression>
          <target><path>name</path></target>
        </inbound>
      </attribute>
      <correlation>
        <correlators>
          <items><name>byNumber</name><item><ref>employeeNumber</ref></item><composition><tier>1</tier><weight>0.5</weight></composition></items>
        </correlators>
        <thresholds><definite>0.8</definite></thresholds>
      </correlation>
      <synchronization>
        <reaction>
          <situation>unmatched</situation>
          <situation>deleted</situation>
          <actions><addFocus/><synchronize><order>2</order></synchronize></actions>
        </reaction>
      </synchronization>
    </objectType>
  </schemaHandling>
  <capabilities><configured><cap:liveSync><cap:preciseTokenValue>true</cap:preciseTokenValue></cap:liveSync></configured></capabilities>
  <synchronization><objectSynchronization>
    <objectClass>ri:person</objectClass><enabled>false</enabled>
    <correlation><q:equal><q:path>employeeNumber</q:path><expression><path>$account/attributes/my:nr</path></expression></q:equal></correlation>
    <reaction><situation>linked</situation><synchronize>true</synchronize><action><handlerUri>http://x/action-3#link</handlerUri></action></reaction>
  </objectSynchronization></synchronization>
  <consistency><avoidDuplicateValues xsi:type="xsd:boolean" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">true</avoidDuplicateValues></consistency>
</resource>"#;

const TASK: &str = r#"
'@ns': http://midpoint.evolveum.com/xml/ns/public/common/common-3
task:
  oid: 20000000-0000-0000-0000-000000000002
  name: Reconcile HR
  ownerRef: { oid: 00000000-0000-0000-0000-000000000002, type: UserType, relation: 'org:default' }
  executionState: runnable
  activity:
    work:
      reconciliation:
        resourceObjects:
          resourceRef: { oid: R, type: ResourceType }
          kind: account
          intent: 'main'
          objectclass: ri:person
          query:
            filter: { text: 'attributes/ri:uid startsWith "a"' }
            paging: { maxSize: 10, orderBy: attributes/ri:uid, orderDirection: descending }
          queryApplication: append
          failedObjectsSelector: { status: [fatal_error, partial_error], timeFrom: '2026-01-31T12:00:00Z' }
    controlFlow:
      errorHandling:
        entry:
          - situation: { errorCategory: network }
            reaction: { retryLater: { initialInterval: PT5M, retryLimit: 3 } }
          - reaction: { ignore: {}, stopAfter: 5 }
    execution: { mode: dryRun, configurationToUse: { predefined: development } }
    distribution: { workerThreads: 4 }
    tailoring:
      change: { reference: remainingShadows, controlFlow: { processingOption: skip } }
  schedule: { recurrence: recurring, interval: 300 }
"#;

const USERS: &str = r#"{ "objects": [
  { "user": { "oid": "30000000-0000-0000-0000-000000000003", "name": { "orig": "Ann", "norm": "ann" },
      "givenName": "Ann", "emailAddress": "ann@example.org", "employeeNumber": 7, "organization": ["a", "b"],
      "activation": { "administrativeStatus": "enabled", "validTo": "2027-01-01T00:00:00Z" },
      "assignment": [ { "@id": 1, "targetRef": { "oid": "r", "type": "c:RoleType", "relation": "org:manager" } }, { "@id": 2, "description": "x y" } ],
      "jpegPhoto": "AP8Q",
      "extension": { "http://example.org/ext#floor": { "@type": "xsd:int", "@value": 3 }, "http://example.org/ext#ratio": { "@type": "xsd:double", "@value": 0.5 } } } },
  { "role": { "name": "boss", "requestable": true } },
  { "objectTemplate": { "oid": "t", "name": "T", "item": [ { "ref": "fullName" }, { "ref": "name" } ] } } ] }"#;

fn read(text: &str) -> (Vec<Definition>, String) {
    let (definitions, diagnostics) = read_file(text.as_bytes(), None, Format::guess(text.as_bytes()));
    let mut findings = String::new();
    for diagnostic in &diagnostics {
        writeln!(findings, "{diagnostic}").unwrap();
        if let Some(help) = &diagnostic.help {
            writeln!(findings, "  help: {help}").unwrap();
        }
    }
    (definitions, findings)
}

fn check_findings(text: &str, expected: Expect) {
    expected.assert_eq(&read(text).1);
}

fn check_written(text: &str, format: Format, expected: Expect) {
    expected.assert_eq(&write(&read(text).0, format));
}

/// A task around the inside of an activity.
fn activity(inside: &str) -> String {
    format!(
        "<task xmlns='http://midpoint.evolveum.com/xml/ns/public/common/common-3'>\n<name>t</name>\n<activity>\n{inside}\n</activity></task>"
    )
}

#[test]
fn nothing_is_said_about_definitions_that_are_right() {
    for text in [RESOURCE, TASK, USERS] {
        check_findings(text, expect![[""]]);
    }
}

#[test]
fn what_is_written_is_read_in_every_format() {
    for text in [RESOURCE, TASK, USERS] {
        let (definitions, _) = read(text);
        assert!(!definitions.is_empty());
        for format in [Format::Xml, Format::Yaml, Format::Json] {
            let written = write(&definitions, format);
            let (again, diagnostics) = read_file(written.as_bytes(), None, format);
            assert!(diagnostics.is_empty(), "{diagnostics:#?}\n{written}");
            assert!(
                again == definitions,
                "{format:?}:\n{written}\n{}\n{}",
                write(&definitions, Format::Xml),
                write(&again, Format::Xml)
            );
            for second in [Format::Xml, Format::Yaml, Format::Json] {
                let written = write(&again, second);
                let (third, diagnostics) = read_file(written.as_bytes(), None, second);
                assert!(diagnostics.is_empty(), "{diagnostics:#?}\n{written}");
                assert!(third == definitions, "{format:?}, {second:?}:\n{written}");
            }
        }
    }
}

#[test]
fn a_resource_is_written_as_yaml() {
    check_written(
        RESOURCE,
        Format::Yaml,
        expect![[r#"
            "@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3"
            "@context":
              my: "http://example.org/my"
            resource:
              oid: "10000000-0000-0000-0000-000000000001"
              version: "3"
              name: HR
              connectorRef:
                type: "c:ConnectorType"
                filter:
                  equal:
                    path: "c:connectorType"
                    value: csv
              connectorConfiguration:
                configurationProperties:
                  "http://example.org/bundle/csv#filePath": hr.csv
                  "http://example.org/bundle/csv#columns":
                    - a
                    - b
                  "http://example.org/bundle/csv#password":
                    clearValue: " s e c r e t "
                  "http://example.org/bundle/csv#host":
                    expression:
                      value: hostname
                timeouts:
                  search: "10"
              schemaHandling:
                objectType:
                  "@id": "4"
                  kind: account
                  intent: main
                  default: true
                  delineation:
                    objectClass: "ri:person"
                    filter:
                      text: "attributes/ri:ou = \"staff\""
                    classificationOrder: 10
                  focus:
                    type: UserType
                  attribute:
                    ref: "ri:uid"
                    correlator: {}
                    inbound:
                      strength: strong
                      expression:
                        script:
                          code: |2-
                                            if (uid == null && x < 2) { return my:thing }
                                              return uid
                      target:
                        path: name
                  correlation:
                    correlators:
                      items:
                        name: byNumber
                        item:
                          ref: employeeNumber
                        composition:
                          tier: 1
                          weight: 0.5
                    thresholds:
                      definite: 0.8
                  synchronization:
                    reaction:
                      situation:
                        - unmatched
                        - deleted
                      actions:
                        addFocus: {}
                        synchronize:
                          order: 2
              capabilities:
                configured:
                  liveSync:
                    preciseTokenValue: true
              synchronization:
                objectSynchronization:
                  objectClass: "ri:person"
                  enabled: false
                  correlation:
                    "q:equal":
                      path: employeeNumber
                      "c:expression":
                        path: "$account/attributes/my:nr"
                  reaction:
                    situation: linked
                    synchronize: true
                    action:
                      handlerUri: "http://x/action-3#link"
              metadata:
                createChannel: x
              consistency:
                avoidDuplicateValues:
                  "@type": "xsd:boolean"
                  "@value": "true"
        "#]],
    );
}

#[test]
fn a_task_is_written_as_xml() {
    check_written(
        TASK,
        Format::Xml,
        expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:org="http://midpoint.evolveum.com/xml/ns/public/common/org-3" xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3" xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3" oid="20000000-0000-0000-0000-000000000002">
          <name>Reconcile HR</name>
          <ownerRef oid="00000000-0000-0000-0000-000000000002" type="UserType" relation="org:default"/>
          <executionState>runnable</executionState>
          <activity>
            <work>
              <reconciliation>
                <resourceObjects>
                  <resourceRef oid="R" type="ResourceType"/>
                  <kind>account</kind>
                  <intent>main</intent>
                  <objectclass>ri:person</objectclass>
                  <query>
                    <q:filter>
                      <q:text>attributes/ri:uid startsWith "a"</q:text>
                    </q:filter>
                    <q:paging>
                      <q:orderBy>attributes/ri:uid</q:orderBy>
                      <q:orderDirection>descending</q:orderDirection>
                      <q:maxSize>10</q:maxSize>
                    </q:paging>
                  </query>
                  <queryApplication>append</queryApplication>
                  <failedObjectsSelector>
                    <status>fatal_error</status>
                    <status>partial_error</status>
                    <timeFrom>2026-01-31T12:00:00.000Z</timeFrom>
                  </failedObjectsSelector>
                </resourceObjects>
              </reconciliation>
            </work>
            <tailoring>
              <change>
                <reference>remainingShadows</reference>
                <controlFlow>
                  <processingOption>skip</processingOption>
                </controlFlow>
              </change>
            </tailoring>
            <execution>
              <mode>dryRun</mode>
              <configurationToUse>
                <predefined>development</predefined>
              </configurationToUse>
            </execution>
            <controlFlow>
              <errorHandling>
                <entry>
                  <situation>
                    <errorCategory>network</errorCategory>
                  </situation>
                  <reaction>
                    <retryLater>
                      <initialInterval>PT5M</initialInterval>
                      <retryLimit>3</retryLimit>
                    </retryLater>
                  </reaction>
                </entry>
                <entry>
                  <reaction>
                    <ignore/>
                    <stopAfter>5</stopAfter>
                  </reaction>
                </entry>
              </errorHandling>
            </controlFlow>
            <distribution>
              <workerThreads>4</workerThreads>
            </distribution>
          </activity>
          <schedule>
            <recurrence>recurring</recurrence>
            <interval>300</interval>
          </schedule>
        </task>
    "#]],
    );
}

#[test]
fn users_are_written_as_xml() {
    check_written(
        USERS,
        Format::Xml,
        expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <objects xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:c="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:ns1="http://example.org/ext" xmlns:org="http://midpoint.evolveum.com/xml/ns/public/common/org-3" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
          <user oid="30000000-0000-0000-0000-000000000003">
            <name>Ann</name>
            <givenName>Ann</givenName>
            <emailAddress>ann@example.org</emailAddress>
            <employeeNumber>7</employeeNumber>
            <organization>a</organization>
            <organization>b</organization>
            <activation>
              <administrativeStatus>enabled</administrativeStatus>
              <validTo>2027-01-01T00:00:00.000Z</validTo>
            </activation>
            <assignment id="1">
              <targetRef oid="r" type="c:RoleType" relation="org:manager"/>
            </assignment>
            <assignment id="2">
              <description>x y</description>
            </assignment>
            <jpegPhoto>AP8Q</jpegPhoto>
            <extension>
              <ns1:floor xsi:type="xsd:long">3</ns1:floor>
              <ns1:ratio xsi:type="xsd:double">0.5</ns1:ratio>
            </extension>
          </user>
          <role>
            <name>boss</name>
            <requestable>true</requestable>
          </role>
          <objectTemplate oid="t">
            <name>T</name>
            <item>
              <ref>fullName</ref>
            </item>
            <item>
              <ref>name</ref>
            </item>
          </objectTemplate>
        </objects>
    "#]],
    );
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", read(RESOURCE).0);
    assert!(!shown.contains("s e c r e t"), "{shown}");
}

#[test]
fn a_property_keeps_its_space_and_its_values() {
    let (definitions, _) = read(RESOURCE);
    let [Definition::Resource(resource)] = &definitions[..] else { panic!("one resource") };
    let configuration = resource.connector_configuration.as_ref().unwrap();
    let values = |name| configuration.property(name).unwrap().values.iter().map(|v| v.as_str()).collect::<Vec<_>>();
    assert_eq!(values("password"), [" s e c r e t "]);
    assert_eq!(values("columns"), ["a", "b"]);
    assert_eq!(values("host"), ["hostname"]);
}

#[test]
fn bad_values_say_what_would_be_right() {
    check_findings(
        &activity(
            "<work><import><resourceObjects>
  <kind>acount</kind>
  <objectclass>nope:person</objectclass>
  <query><filter/><paging><maxSize>ten</maxSize></paging></query>
  <queryApplication>both</queryApplication>
</resourceObjects></import></work>
<execution><mode>dryrun</mode></execution>
<controlFlow><errorHandling><entry><reaction><retryLater><nextInterval>5 minutes</nextInterval></retryLater></reaction></entry></errorHandling></controlFlow>",
        ),
        expect![[r#"
            -:5:3: error[bad-value]: kind: 'acount' is not a kind
              help: did you mean 'account'? Possible values: account, entitlement, generic, association, work
            -:6:3: error[undeclared-prefix]: the prefix 'nope' of 'nope:person' is not declared here
              help: add xmlns:nope="…"
            -:7:27: error[bad-value]: maxSize: 'ten' is not a whole number
              help: write a whole number such as 10
            -:8:3: error[bad-value]: queryApplication: 'both' is not a query application
              help: possible values: append, replace
            -:10:12: error[bad-value]: mode: 'dryrun' is not an execution mode
              help: did you mean 'dryRun'? Possible values: full, preview, shadowManagementPreview, dryRun, none, bucketAnalysis
            -:11:58: error[bad-value]: nextInterval: '5 minutes' is not a duration
              help: write a duration such as P30D, PT12H or PT5M
        "#]],
    );
}

#[test]
fn a_second_value_is_an_error() {
    check_findings(
        &activity("<work><import><resourceObjects><kind>account</kind><kind>generic</kind></resourceObjects></import></work>"),
        expect![[r#"
            -:4:52: error[several-values]: 'kind' is given more than once
              help: it has a single value: leave one
        "#]],
    );
}

#[test]
fn an_activity_has_one_work() {
    check_findings(
        &activity(""),
        expect![[r#"
            -:3:1: error[no-work]: the activity has neither work nor composition
              help: add 'work' with what is to be done, such as an 'import'
        "#]],
    );
    check_findings(
        &activity("<work/>"),
        expect![[r#"
            -:4:1: error[no-work]: the work does not say what is to be done
              help: name it, such as 'import' or 'reconciliation'
        "#]],
    );
    check_findings(
        &activity("<work><import/><reconciliation/></work>"),
        expect![[r#"
        -:4:16: error[ambiguous-work]: there is a second work, 'reconciliation', beside 'import'
          help: leave one, or put several activities into a composition
    "#]],
    );
    check_findings(
        &activity("<work><import/></work><work><import/></work>"),
        expect![[r#"
        -:4:23: error[ambiguous-work]: the activity has a second work
          help: leave one, or put several activities into a composition
    "#]],
    );
    check_findings(
        &activity("<work><reconcilliation/></work>"),
        expect![[r#"
        -:4:7: warning[unknown-item]: 'reconcilliation' is no work that is known here
          help: did you mean 'reconciliation'?
    "#]],
    );
    check_findings(
        &activity("<work><recomputation><objects><type>UserType</type></objects></recomputation></work>"),
        expect![[r#""#]],
    );
}

#[test]
fn unknown_items_get_their_nearest_name() {
    check_findings(
        &activity(
            "<work><import><resourceObjects><objectClass>x</objectClass><x:kind xmlns:x='urn:x'>y</x:kind></resourceObjects></import></work>
<workerThreads>3</workerThreads>
<distribution><buckets/><workerThread>3</workerThread></distribution>
<policies/>
<controlFlow><itemProcessingCondition/></controlFlow>",
        ),
        expect![[r#"
            -:4:32: warning[unknown-item]: 'resourceObjects' has no item 'objectClass'; it is ignored
              help: did you mean 'objectclass'?
            -:4:60: warning[unknown-item]: 'resourceObjects' has no item 'urn:x#kind'; it is ignored
              help: 'kind' is in the namespace http://midpoint.evolveum.com/xml/ns/public/common/common-3; declare another for what is within it only
            -:5:1: warning[unknown-item]: 'activity' has no item 'workerThreads'; it is ignored
            -:6:15: warning[not-supported]: 'buckets' in 'distribution' is not supported yet; it has no effect
              help: remove 'buckets' if the definition does not depend on it
            -:6:25: warning[unknown-item]: 'distribution' has no item 'workerThread'; it is ignored
              help: did you mean 'workerThreads'?
            -:7:1: warning[not-supported]: 'policies' in 'activity' is not supported yet; it has no effect
              help: remove 'policies' if the definition does not depend on it
            -:8:14: warning[not-supported]: 'itemProcessingCondition' in 'controlFlow' is not supported yet; it has no effect
              help: remove 'itemProcessingCondition' if the definition does not depend on it
        "#]],
    );
}

#[test]
fn an_unknown_action_is_an_error() {
    let text = "resource:
  name: r
  schemaHandling:
    objectType:
      synchronization:
        reaction:
          - situation: [linked, lniked]
            actions: { addUser: {}, synchronise: {}, frobnicate: {} }
";
    check_findings(
        text,
        expect![[r#"
        -:7:33: error[bad-value]: situation: 'lniked' is not a situation
          help: did you mean 'linked'? Possible values: linked, unlinked, unmatched, disputed, deleted
        -:8:24: error[unknown-action]: 'addUser' is not an action
          help: did you mean 'addFocus'?
        -:8:37: error[unknown-action]: 'synchronise' is not an action
          help: did you mean 'synchronize'?
        -:8:54: error[unknown-action]: 'frobnicate' is not an action
          help: actions are synchronize, link, unlink, addFocus, deleteFocus, inactivateFocus, deleteResourceObject, inactivateResourceObject, createCorrelationCase
    "#]],
    );
}

#[test]
fn a_root_without_namespace_is_common() {
    check_findings(
        "<user><name>ann</name></user>",
        expect![[r#"
        -:1:1: info[no-namespace]: 'user' has no namespace; it is read as if in the common one
          help: add xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
    "#]],
    );
}

#[test]
fn an_object_says_its_type_somewhere() {
    let typed = "<objects xmlns='http://midpoint.evolveum.com/xml/ns/public/common/common-3' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'>
<object xsi:type='UserType'><name>ann</name></object><object/><usr><name>x</name></usr></objects>";
    let (definitions, findings) = read(typed);
    assert_eq!(definitions.iter().map(Definition::object_type).collect::<Vec<_>>(), ["user", "usr"]);
    expect![[r#"
        -:2:54: error[unknown-object]: an 'object' that does not say its type
          help: add xsi:type, such as c:TaskType
        -:2:63: warning[unknown-item]: 'usr' is stored, but means nothing here
          help: did you mean 'user'?
    "#]]
    .assert_eq(&findings);
}

#[test]
fn an_object_of_json_or_yaml_can_say_its_type_instead_of_standing_under_its_name() {
    for text in [
        r#"{"@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3", "@type": "c:UserType", "oid": "1", "name": "ann"}"#,
        r#"{"@element": "user", "oid": "1", "name": "ann"}"#,
        r#"[{"@type": "UserType", "oid": "1", "name": "ann"}]"#,
        "--- !<http://midpoint.evolveum.com/xml/ns/public/common/common-3/UserType>\noid: 1\nname: ann\n",
    ] {
        let (definitions, findings) = read(text);
        assert_eq!(findings, "", "{text}");
        let [user] = &definitions[..] else { panic!("one object: {text}") };
        assert_eq!((user.object_type(), user.name(), user.oid().is_some()), ("user", Some("ann"), true), "{text}");
    }
    let (definitions, findings) =
        read(r#"{"@ns": "http://midpoint.evolveum.com/xml/ns/public/common/common-3", "user": {"name": "ann"}}"#);
    assert_eq!((definitions.len(), findings), (1, String::new()));
}

#[test]
fn a_type_that_no_element_could_be_called_by_is_none() {
    for odd in ["Ycok#", "#", "a b", "1Type", "c:"] {
        let (definitions, findings) = read(&format!("{{\"@type\": \"{odd}\", \"name\": \"x\"}}"));
        assert!(definitions.is_empty() && findings.contains("error[unknown-object]"), "{odd}: {findings}");
    }
}

#[test]
fn slips_in_the_items_of_a_user_are_noticed_and_own_items_are_not() {
    check_findings(
        r#"{"user": {"name": "ann", "giveName": "Ann", "shoeSize": 38, "http://example.org/own#fulName": "x", "bossRef": {"oid": "1"}}}"#,
        expect![[r#"
            -:1:26: warning[unknown-item]: 'user' has no item 'giveName' in midPoint; it is kept as it is
              help: did you mean 'givenName'?
        "#]],
    );
}

#[test]
fn a_schedule_names_times_that_there_are() {
    let task = |pattern: &str| format!(r#"{{"task": {{"name": "t", "schedule": {{"cronLikePattern": "{pattern}"}}}}}}"#);
    check_findings(&task("0 30 2 * * ?"), expect![[r#""#]]);
    check_findings(
        &task("0 61 2 * * ?"),
        expect![[r#"
        -:1:37: error[bad-value]: cronLikePattern: '61' is not a minute between 0 and 59, nor a range or a step of such
          help: write a pattern such as '0 30 2 * * ?': every night at half past two
    "#]],
    );
    check_findings(
        &task("30 2 * * *"),
        expect![[r#"
        -:1:37: error[bad-value]: cronLikePattern: a pattern has 6 or 7 fields: second, minute, hour, day of the month, month, day of the week, year
          help: write a pattern such as '0 30 2 * * ?': every night at half past two
    "#]],
    );
}

#[test]
fn focus_values_that_are_known_to_be_typed_are_checked() {
    check_findings(
        r#"{"user": {"name": ["a", "b"], "activation": {"validTo": "tomorrow"}, "linkRef": {"oid": "s"}, "managerRef": {"oid": ""},
 "parentOrgRef": {"filter": {"text": "name = 'x'"}}}}"#,
        expect![[r#"
            -:1:46: error[bad-value]: the value of 'validTo' is not a date and time such as 2026-01-31T12:00:00Z
              help: write a date and time such as 2026-01-31T12:00:00Z
            -:1:110: error[bad-value]: 'managerRef' has an empty OID
              help: give the OID of the object it refers to
            -:2:2: warning[not-supported]: 'parentOrgRef' has no OID, and filters are not resolved in objects
              help: refer to the object by its OID
            -:1:70: warning[not-supported]: links are not read from definitions; they have no effect
              help: remove 'linkRef': synchronization makes the links
            -:1:25: error[several-values]: 'name' is given more than once
              help: it has a single value: leave one
        "#]],
    );
}

#[test]
fn prefixes_that_mean_different_things_in_different_places_survive() {
    let text = "<resource xmlns='http://midpoint.evolveum.com/xml/ns/public/common/common-3'><name>r</name><extension>
<a xmlns:p='urn:1'>p:x<b xmlns:p='urn:2'>p:y</b></a><p:c xmlns:p='urn:3' xmlns:ri='urn:4'>ri:z p:z</p:c><d xmlns:q='urn:5' q:e='1'/></extension></resource>";
    let (definitions, findings) = read(text);
    assert_eq!(findings, "");
    for format in [Format::Xml, Format::Yaml, Format::Json] {
        let written = write(&definitions, format);
        let (again, diagnostics) = read_file(written.as_bytes(), None, format);
        assert!(diagnostics.is_empty(), "{diagnostics:?}\n{written}");
        assert!(again == definitions, "{written}");
        let [Definition::Resource(resource)] = &again[..] else { panic!("one resource") };
        let extension = &resource.rest[0];
        let name = |node: &tidelock_model::document::Node, text| node.scope.resolve(text).unwrap().to_uri();
        assert_eq!(name(&extension.children[0], "p:x"), "urn:1#x", "{written}");
        assert_eq!(name(&extension.children[0].children[0], "p:y"), "urn:2#y", "{written}");
        assert_eq!(name(&extension.children[1], "ri:z"), "urn:4#z", "{written}");
    }
}
