//! midPoint's `ucfChange`, in its three notations.

use expect_test::{Expect, expect};

use crate::common;

fn check(message: &str, expected: Expect) {
    let decoder = common::decoder("", common::XSD);
    expected.assert_eq(&common::shown(&decoder, message.as_bytes(), None));
}

/// A change in XML with the prefixes that such messages declare.
fn xml(content: &str) -> String {
    format!(
        r#"<ucfChange xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
 xmlns:t="http://prism.evolveum.com/xml/ns/public/types-3"
 xmlns:icfs="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/resource-schema-3"
 xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
{content}</ucfChange>"#
    )
}

const CLASS: &str = "<objectClass>ri:AccountObjectClass</objectClass>";
const ANN: &str = "<identifiers><icfs:name>ann</icfs:name><icfs:uid>7</icfs:uid></identifiers>";

#[test]
fn a_created_object_is_whole() {
    check(
        &xml(&format!(
            "{CLASS}<objectDelta><t:changeType>add</t:changeType><t:objectType>ShadowType</t:objectType>
             <t:objectToAdd xsi:type=\"ShadowType\"><attributes><icfs:uid>7</icfs:uid><icfs:name>ann</icfs:name>
             <ri:mail>a@x</ri:mail><ri:mail>b@x</ri:mail><ri:number>5</ri:number><ri:active>true</ri:active>
             <ri:since>2026-01-31T12:00:00Z</ri:since><ri:photo>AQI=</ri:photo></attributes></t:objectToAdd></objectDelta>"
        )),
        expect![[r#"
            AccountObjectClass 7 full uid=String("7") name=String("ann") mail=String("a@x"),String("b@x") number=Integer(5) active=Boolean(true) since=DateTime(Timestamp(1769860800000)) photo=Binary([1, 2])
        "#]],
    );
}

#[test]
fn the_whole_state_is_taken_as_it_is() {
    check(
        &xml(&format!(
            "{CLASS}<object><name>ann</name><kind>account</kind><attributes><icfs:uid>7</icfs:uid><ri:mail/></attributes></object>"
        )),
        expect![[r#"
            AccountObjectClass 7 full uid=String("7")
        "#]],
    );
}

#[test]
fn a_modification_says_which_values_came_and_went() {
    check(
        &xml(&format!(
            "{CLASS}{ANN}<objectDelta><t:changeType>modify</t:changeType><t:objectType>ShadowType</t:objectType>
             <t:itemDelta><t:modificationType>add</t:modificationType><t:path>attributes/ri:mail</t:path>
               <t:value>c@x</t:value><t:value>d@x</t:value></t:itemDelta>
             <t:itemDelta><t:modificationType>delete</t:modificationType><t:path>attributes/mail</t:path><t:value>a@x</t:value>
               </t:itemDelta>
             <t:itemDelta><t:modificationType>replace</t:modificationType><t:path>attributes/ri:number</t:path><t:value>6</t:value>
               <t:estimatedOldValue>5</t:estimatedOldValue></t:itemDelta>
             <t:itemDelta><t:modificationType>replace</t:modificationType><t:path>attributes/ri:since</t:path></t:itemDelta>
             </objectDelta>"
        )),
        expect![[r#"
            AccountObjectClass 7 delta mail+=String("c@x"),String("d@x") mail-=String("a@x") number=Integer(6) since=
        "#]],
    );
}

#[test]
fn a_deletion_and_a_notification_name_their_object() {
    check(
        &xml(&format!("{CLASS}{ANN}<objectDelta><t:changeType>delete</t:changeType></objectDelta>")),
        expect![[r#"
            AccountObjectClass 7 deleted
        "#]],
    );
    check(
        &xml(&format!("{CLASS}{ANN}")),
        expect![[r#"
            AccountObjectClass 7 notification
        "#]],
    );
}

#[test]
fn json_and_yaml_say_the_same() {
    check(
        r#"{"ucfChange": {"objectClass": "ri:AccountObjectClass", "identifiers": {"icfs:uid": "7"},
            "objectDelta": {"changeType": "modify", "itemDelta": [
              {"modificationType": "add", "path": "attributes/ri:mail", "value": ["c@x", {"@type": "xsd:string", "@value": "d@x"}]},
              {"modificationType": "replace", "path": "attributes/ri:number", "value": 6}]}}}"#,
        expect![[r#"
            AccountObjectClass 7 delta mail+=String("c@x"),String("d@x") number=Integer(6)
        "#]],
    );
    check(
        "ucfChange:\n  objectClass: ri:AccountObjectClass\n  object:\n    attributes:\n      icfs:uid: '7'\n      mail: [a@x, b@x]\n",
        expect![[r#"
            AccountObjectClass 7 full uid=String("7") mail=String("a@x"),String("b@x")
        "#]],
    );
    check(
        r#"{"objectClass": "ri:AccountObjectClass", "identifiers": {"uid": "7"}}"#,
        expect![[r#"
            AccountObjectClass 7 notification
        "#]],
    );
}

#[test]
fn a_change_without_class_or_identifier_is_wrong() {
    check(
        &xml(ANN),
        expect![[r#"
        InvalidData: the message is wrong at line 1, column 1: 'objectClass' is missing
    "#]],
    );
    check(
        &xml(&format!("{CLASS}<identifiers><icfs:name>ann</icfs:name></identifiers>")),
        expect![[r#"
            InvalidData: the message is wrong at line 1, column 1: the identifier 'uid' is missing
        "#]],
    );
    check(
        &xml("<objectClass>ri:Nobody</objectClass>"),
        expect![[r#"
        InvalidData: the message is wrong at line 5, column 1: there is no object class 'Nobody'
    "#]],
    );
}

#[test]
fn what_is_not_understood_is_not_passed_over() {
    let modify = |item: &str| {
        xml(&format!(
            "{CLASS}{ANN}<objectDelta><t:changeType>modify</t:changeType><t:itemDelta>{item}</t:itemDelta></objectDelta>"
        ))
    };
    check(
        &modify(
            "<t:modificationType>replace</t:modificationType><t:path>activation/administrativeStatus</t:path><t:value>disabled</t:value>",
        ),
        expect![[r#"
            InvalidData: the message is wrong at line 5, column 233: something other than an attribute is modified
        "#]],
    );
    check(
        &modify("<t:modificationType>replace</t:modificationType><t:path>attributes/ri:shoeSize</t:path><t:value>44</t:value>"),
        expect![[r#"
            InvalidData: the message is wrong at line 5, column 233: the object class 'AccountObjectClass' has no attribute 'shoeSize'
        "#]],
    );
    check(
        &modify("<t:modificationType>replace</t:modificationType><t:path>attributes/ri:number</t:path><t:value>secret</t:value>"),
        expect![[r#"
            InvalidData: the message is wrong at line 5, column 270: 'number' takes whole numbers, and has something else
        "#]],
    );
    check(
        &modify("<t:modificationType>replace</t:modificationType><t:path>attributes/icfs:uid</t:path><t:value>8</t:value>"),
        expect![[r#"
            InvalidData: the message is wrong at line 5, column 124: the identifier itself is changed: send the object as deleted, and then under its new identifier
        "#]],
    );
    check(
        "<ucfChange><secret",
        expect![[r#"
        InvalidData: the message is wrong at line 1, column 12: it is not well-formed XML
    "#]],
    );
    check(
        "<other/>",
        expect![[r#"
        InvalidData: the message is neither a 'ucfChange' nor JSON: a 'mapping' must say what it means
    "#]],
    );
}
