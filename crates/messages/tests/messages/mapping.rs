//! Messages of forms of their own, by a mapping.

use expect_test::{Expect, expect};

use crate::common;

const MAPPING: &str = "<conf:mapping><each>events/event</each>
<classPath>kind</classPath><classValue><value>EMP</value><class>person</class></classValue>
<changePath>op</changePath><changeValue><value>NEW</value><change>full</change></changeValue>
<changeValue><value>UPD</value><change>delta</change></changeValue><changeValue><value>DEL</value><change>deleted</change></changeValue>
<changeValue><value>PING</value><change>nothing</change></changeValue>
<identifierPath>data/@no</identifierPath>
<attribute><name>login</name><path>data/account</path></attribute>
<attribute><name>mail</name><path>data/contact/mail</path></attribute>
<attribute><name>since</name><path>data/hired</path><unit>seconds</unit></attribute></conf:mapping>";

fn check(mapping: &str, message: &str, expected: Expect) {
    let decoder = common::decoder(&format!("{}{mapping}", common::OWN), "");
    expected.assert_eq(&common::shown(&decoder, message.as_bytes(), None));
}

#[test]
fn xml_is_read_by_paths() {
    check(
        MAPPING,
        "<events>
  <event><kind>EMP</kind><op>NEW</op><data no='7'><account>ann</account><contact><mail>a@x</mail><mail>b@x</mail></contact>
    <hired>1641600000</hired></data></event>
  <event><kind>EMP</kind><op>UPD</op><data no='7'><contact><mail>c@x</mail></contact><contact><mail type='work'>d@x</mail></contact>
    <hired/></data></event>
  <event><op>PING</op></event>
  <event><kind>EMP</kind><op>DEL</op><data no='7'/></event>
</events>",
        expect![[r#"
            person 7 full login=String("ann") mail=String("a@x"),String("b@x") since=DateTime(Timestamp(1641600000000)) id=String("7")
            person 7 delta mail=String("c@x"),String("d@x") since=
            person 7 deleted
        "#]],
    );
}

#[test]
fn json_and_yaml_are_read_by_the_same_paths() {
    let json = r#"{"events": {"event": [{"kind": "EMP", "op": "UPD", "data": {"@no": 7, "account": null, "contact": [{"mail": "a@x"}]}}]}}"#;
    check(
        MAPPING,
        json,
        expect![[r#"
            person 7 delta login= mail=String("a@x")
        "#]],
    );
    check(
        "<conf:mapping><class>person</class><change>full</change><identifierPath>no</identifierPath>
         <attribute><name>login</name><path>account</path></attribute></conf:mapping>",
        "no: 7\naccount: ann\n",
        expect![[r#"
            person 7 full login=String("ann") id=String("7")
        "#]],
    );
}

#[test]
fn the_members_of_a_part_are_attributes_of_their_names() {
    let mapping = "<conf:mapping><class>person</class><change>full</change><identifierPath>no</identifierPath>
        <attributesPath>.</attributesPath><attribute><name>login</name><path>account</path></attribute></conf:mapping>";
    check(
        mapping,
        r#"{"no": "7", "account": "ann", "mail": ["a@x"]}"#,
        expect![[r#"
            person 7 full login=String("ann") mail=String("a@x") id=String("7")
        "#]],
    );
    check(
        mapping,
        r#"[{"no": "7", "shoeSize": 44}]"#,
        expect![[r#"
            InvalidData: the message is wrong at /shoeSize: the object class 'person' has no attribute 'shoeSize'
        "#]],
    );
}

#[test]
fn what_the_mapping_does_not_know_is_wrong() {
    for (event, expected) in [
        (
            r#"{"kind": "SECRET", "op": "NEW"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /events/event[0]/kind: this value is not among those that the mapping knows
        "#]],
        ),
        (
            r#"{"kind": "EMP", "op": "SECRET"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /events/event[0]/op: this value is not among those that the mapping knows
        "#]],
        ),
        (
            r#"{"kind": "EMP", "op": "NEW", "data": {}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /events/event[0]/data/@no: the identifier is missing
        "#]],
        ),
        (
            r#"{"kind": "EMP", "op": ["NEW", "UPD"], "data": {"@no": 7}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /events/event[0]/op: there is no simple value
        "#]],
        ),
        (
            r#"{"kind": "EMP", "op": "NEW", "data": {"@no": 7, "account": {"x": 1}}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /events/event[0]/data/account: 'login' has a structured value, and takes simple ones
        "#]],
        ),
    ] {
        check(MAPPING, &format!(r#"{{"events": {{"event": [{event}]}}}}"#), expected);
    }
}
