//! Our own plain form.

use expect_test::{Expect, expect};

use crate::common;

fn check(message: &str, expected: Expect) {
    let decoder = common::decoder(common::OWN, "");
    expected.assert_eq(&common::shown(&decoder, message.as_bytes(), None));
}

#[test]
fn each_change_is_said_in_a_word() {
    check(
        r#"[{"class": "person", "id": "7", "change": "full", "attributes":
              {"login": "ann", "mail": ["a@x", "b@x"], "number": 5, "active": false, "since": "2026-01-31", "photo": "AQI=", "salary": null}},
            {"class": "person", "id": "7", "change": "delta", "attributes":
              {"login": "anna", "number": null, "mail": {"add": "c@x", "remove": ["a@x"]}}},
            {"class": "person", "id": "7", "change": "notification"},
            {"class": "person", "id": 7, "change": "deleted"},
            {"class": "team", "change": "deleted", "attributes": {"key": 3, "title": "Ops"}}]"#,
        expect![[r#"
            person 7 full login=String("ann") mail=String("a@x"),String("b@x") number=Integer(5) active=Boolean(false) since=DateTime(Timestamp(1769817600000)) photo=Binary([1, 2]) id=String("7")
            person 7 delta login=String("anna") number= mail-=String("a@x") mail+=String("c@x")
            person 7 notification
            person 7 deleted
            team 3 deleted key=Integer(3) title=String("Ops")
        "#]],
    );
    check("[]", expect![""]);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_without_its_value() {
    for (message, expected) in [
        (
            "",
            expect![[r#"
            InvalidData: the message is empty
        "#]],
        ),
        (
            r#"{"class": "person""#,
            expect![[r#"
            InvalidData: the message is wrong at line 1, column 18: it is not JSON: EOF while parsing an object
        "#]],
        ),
        (
            r#"{"class": "person", "class": "team"}"#,
            expect![[r#"
            InvalidData: the message is wrong at line 1, column 27: it is not JSON: a name occurs twice in an object
        "#]],
        ),
        (
            r#"[{"class": "person", "id": "7"}]"#,
            expect![[r#"
            InvalidData: the message is wrong at /0: 'change' is missing
        "#]],
        ),
        (
            r#"{"class": "robot", "id": "7", "change": "full"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /class: there is no object class 'robot'
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "secret"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /change: this is no change; changes are full, delta, deleted and notification
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /: 'attributes' is missing
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full", "atributes": {}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /: 'atributes' is not known here; known are class, id, change, attributes
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full", "attributes": {"shoeSize": 44}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: the object class 'person' has no attribute 'shoeSize'
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full", "attributes": {"number": "secret"}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: 'number' takes whole numbers, and has something else
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full", "attributes": {"login": ["a", "b"]}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: 'login' takes one value, and has 2
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "full", "attributes": {"id": "8"}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: the attribute 'id' is not the identifier that is given
        "#]],
        ),
        (
            r#"{"class": "team", "id": "3", "change": "full", "attributes": {}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: the required attribute 'title' is missing
        "#]],
        ),
        (
            r#"{"class": "team", "id": "3", "change": "delta", "attributes": {"title": null}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: the required attribute 'title' is removed
        "#]],
        ),
        (
            r#"{"class": "person", "id": "", "change": "deleted"}"#,
            expect![[r#"
            InvalidData: the message is wrong at /id: the identifier is empty
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "notification", "attributes": {}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: a notification brings no attributes: they are read
        "#]],
        ),
        (
            r#"{"class": "person", "id": "7", "change": "delta", "attributes": {"mail": {"set": "x"}}}"#,
            expect![[r#"
            InvalidData: the message is wrong at /attributes: 'set' is not known here; known are add, remove
        "#]],
        ),
        (
            "class: person",
            expect![[r#"
            InvalidData: the message is neither a 'ucfChange' nor JSON: a 'mapping' must say what it means
        "#]],
        ),
    ] {
        check(message, expected);
    }
}

#[test]
fn unknown_attributes_are_passed_over_where_that_is_wanted() {
    let decoder = common::decoder(&format!("{}<conf:unknownAttributes>ignore</conf:unknownAttributes>", common::OWN), "");
    let message = br#"{"class": "person", "id": "7", "change": "full", "attributes": {"shoeSize": 44, "login": "ann"}}"#;
    expect![[r#"
        person 7 full login=String("ann") id=String("7")
    "#]]
    .assert_eq(&common::shown(&decoder, message, None));
}

#[test]
fn a_message_has_its_limits() {
    let decoder = common::decoder(common::OWN, "");
    let deep = "[".repeat(200_000);
    let many = format!("[{}0]", "0,".repeat(20_000));
    let large = vec![b' '; tidelock_messages::MAX_BYTES + 1];
    for (message, expected) in [
        (deep.as_bytes(), "recursion limit exceeded"),
        (many.as_bytes(), "more than 10000 changes"),
        (&large, "8 MiB is the most"),
    ] {
        let shown = common::shown(&decoder, message, None);
        assert!(shown.contains(expected), "{shown}");
    }
}
