//! The change events of Debezium.

use expect_test::{Expect, expect};

use crate::common;

const TABLES: &str = "<conf:tables><table><name>public.person</name><class>person</class>
<column><name>person_id</name><attribute>id</attribute></column>
<column><name>hired</name><attribute>since</attribute><unit>days</unit></column>
<column><name>pay</name><attribute>salary</attribute><decimalScale>2</decimalScale></column></table>
<table><name>team</name><column><name>team_id</name><attribute>key</attribute></column></table></conf:tables>";

fn check(message: &str, expected: Expect) {
    let decoder = common::decoder(&format!("{}{TABLES}", common::OWN), "");
    expected.assert_eq(&common::shown(&decoder, message.as_bytes(), None));
}

fn event(op: &str, before: &str, after: &str) -> String {
    format!(
        r#"{{"op": "{op}", "before": {before}, "after": {after}, "ts_ms": 5,
            "source": {{"connector": "postgresql", "db": "hr", "schema": "public", "table": "person", "lsn": 7}}}}"#
    )
}

const ANN: &str = r#"{"person_id": 7, "login": "ann", "hired": 19000, "pay": "MDk=", "active": 1}"#;

#[test]
fn a_row_is_an_object() {
    for op in ["c", "r", "u"] {
        check(
            &event(op, "null", ANN),
            expect![[r#"
                person 7 full id=String("7") login=String("ann") since=DateTime(Timestamp(1641600000000)) salary=String("123.45") active=Boolean(true)
            "#]],
        );
    }
    check(
        &event("d", ANN, "null"),
        expect![[r#"
            person 7 deleted id=String("7") login=String("ann") since=DateTime(Timestamp(1641600000000)) salary=String("123.45") active=Boolean(true)
        "#]],
    );
}

#[test]
fn the_schema_part_says_what_numbers_mean() {
    check(
        r#"{"schema": {"type": "struct", "name": "hr.public.person.Envelope", "fields": [
              {"field": "before", "type": "struct", "fields": []},
              {"field": "after", "type": "struct", "fields": [
                {"field": "person_id", "type": "int64"},
                {"field": "since", "type": "int64", "name": "io.debezium.time.MicroTimestamp", "version": 1},
                {"field": "salary", "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}}]}]},
            "payload": {"op": "c", "before": null, "after": {"person_id": 7, "since": 1641600000000000, "salary": "z8c="},
              "source": {"db": "hr", "schema": "public", "table": "person"}}}"#,
        expect![[r#"
            person 7 full id=String("7") since=DateTime(Timestamp(1641600000000)) salary=String("-123.45")
        "#]],
    );
    check(
        &event("c", "null", r#"{"person_id": 7, "salary": {"scale": 1, "value": "ew=="}}"#),
        expect![[r#"
            person 7 full id=String("7") salary=String("12.3")
        "#]],
    );
    check(
        &event("c", "null", r#"{"person_id": 7, "since": 1641600000000000}"#),
        expect![[r#"
            InvalidData: the message is wrong at /after/since: 'since' takes dates with times, and has a number of which it is not said what it counts
        "#]],
    );
}

#[test]
fn what_says_nothing_about_a_row_brings_no_change() {
    for nothing in [
        "",
        "null",
        r#"{"schema": null, "payload": null}"#,
        r#"{"schema": {"name": "io.debezium.connector.common.Heartbeat"}, "payload": {"ts_ms": 5}}"#,
        r#"{"op": "m", "source": {}, "message": {}}"#,
    ] {
        check(nothing, expect![""]);
    }
}

#[test]
fn an_emptied_table_is_an_error_and_not_silence() {
    check(
        &event("t", "null", "null"),
        expect![[r#"
            InvalidData: the message is wrong at /op: the table was emptied at once: a reconciliation must find out which objects are gone
        "#]],
    );
}

#[test]
fn a_row_with_another_identifier_is_another_object() {
    check(
        &event("u", r#"{"person_id": 6, "login": "ann"}"#, r#"{"person_id": 7, "login": "ann"}"#),
        expect![[r#"
            person 6 deleted id=String("6") login=String("ann")
            person 7 full id=String("7") login=String("ann")
        "#]],
    );
}

#[test]
fn a_value_that_the_database_did_not_tell_is_left_as_it_is() {
    check(
        &event("u", "null", r#"{"person_id": 7, "login": "ann", "photo": "__debezium_unavailable_value"}"#),
        expect![[r#"
            person 7 delta login=String("ann")
        "#]],
    );
}

#[test]
fn tables_are_known_by_their_names() {
    let team = |source: &str, id: &str| format!(r#"{{"op": "c", "after": {{"{id}": 3, "title": "Ops"}}, "source": {source}}}"#);
    check(
        &team(r#"{"db": "hr", "table": "team"}"#, "team_id"),
        expect![[r#"
            team 3 full key=Integer(3) title=String("Ops")
        "#]],
    );
    check(
        &team(r#"{"db": "hr", "schema": "private", "table": "person"}"#, "id"),
        expect![[r#"
            InvalidData: the message is wrong at /source: the table 'hr.private.person' is not configured
        "#]],
    );
    check(
        &team(r#"{"db": "hr"}"#, "id"),
        expect![[r#"
            InvalidData: the message is wrong at /source: 'table' is missing
        "#]],
    );
    let decoder = common::decoder(common::OWN, "");
    expect![[r#"
        team 3 full key=Integer(3) title=String("Ops")
    "#]]
    .assert_eq(&common::shown(&decoder, team(r#"{"table": "team"}"#, "key").as_bytes(), None));
}

#[test]
fn a_row_without_what_is_needed_is_wrong() {
    check(
        &event("d", "null", "null"),
        expect![[r#"
        InvalidData: the message is wrong at /before: the event does not say which row was deleted
    "#]],
    );
    check(
        &event("c", "null", r#"{"login": "ann"}"#),
        expect![[r#"
        InvalidData: the message is wrong at /after: the identifier 'id' is missing
    "#]],
    );
    check(
        &event("c", "null", r#"{"person_id": 7, "shoe_size": 44}"#),
        expect![[r#"
        InvalidData: the message is wrong at /after/shoe_size: the object class 'person' has no attribute 'shoe_size'
    "#]],
    );
    check(
        &event("c", "null", r#"{"person_id": 7, "id": 8}"#),
        expect![[r#"
        InvalidData: the message is wrong at /after/id: two columns are the attribute 'id'
    "#]],
    );
    check(
        r#"{"payload": {"ts_ms": 5}}"#,
        expect![[r#"
        InvalidData: the message is wrong at /payload/op: 'op' is missing: this is no change event
    "#]],
    );
}
