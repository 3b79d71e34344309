//! What is read of a configuration, and what is said about it.

use std::fmt::Write as _;

use crate::common::{OWN, SOURCE, XSD, configure, show_diagnostics};
use expect_test::{Expect, expect};
use tidelock_messages::{Settings, SourceKind};

/// What a configuration comes to, or what is wrong with it.
fn check(configuration: &str, schema: &str, expected: Expect) {
    expected.assert_eq(&match configure(configuration, schema) {
        Ok((configuration, diagnostics)) => {
            let mut text = show_diagnostics(&diagnostics);
            writeln!(text, "{} {:?}", configuration.source.kind.as_str(), configuration.on_failure)
                .expect("texts take everything");
            for class in &configuration.schema.classes {
                let (id, naming) = (&class.primary_identifier, &class.naming_attribute);
                write!(text, "{} id={id} name={naming} default={}:", class.name, class.default_account).expect("as above");
                for a in &class.attributes {
                    let (many, must) = (if a.multi_valued { "*" } else { "" }, if a.required { "!" } else { "" });
                    let rule = a.matching_rule.as_str();
                    write!(text, " {}{many}{must}/{:?}/{rule}", a.name, a.value_type).expect("as above");
                }
                text.push('\n');
            }
            text
        }
        Err(diagnostics) => show_diagnostics(&diagnostics),
    });
}

#[test]
fn classes_come_from_the_resource_s_own_schema() {
    check(
        SOURCE,
        XSD,
        expect![[r#"
            amqp091 Stop
            AccountObjectClass id=uid name=name default=true: uid!/String/default name/String/default mail*/String/stringIgnoreCase number/Integer/default active/Boolean/default since/DateTime/default photo/Binary/default
        "#]],
    );
}

#[test]
fn classes_come_from_the_configuration() {
    check(
        &format!("<conf:sources><nats/></conf:sources>{OWN}<conf:errorHandlingAction>skipUpdate</conf:errorHandlingAction>"),
        "",
        expect![[r#"
            nats Skip
            person id=id name=login default=false: id!/String/default login/String/default mail*/String/stringIgnoreCase number/Integer/default salary/String/default active/Boolean/default since/DateTime/default photo/Binary/default
            team id=key name=key default=false: key!/Integer/default title!/String/default
        "#]],
    );
}

#[test]
fn a_failed_message_is_tried_again_where_that_is_configured() {
    check(
        &format!(
            "{SOURCE}<conf:errorHandlingAction>retry</conf:errorHandlingAction><conf:retryInterval>PT5S</conf:retryInterval>
             <conf:retryLimit>3</conf:retryLimit><conf:processTracingConfiguration/>"
        ),
        XSD,
        expect![[r#"
            5 Warning not-supported: messages are not traced: this has no effect (remove 'processTracingConfiguration')
            amqp091 Retry { first: 5s, limit: 3 }
            AccountObjectClass id=uid name=name default=true: uid!/String/default name/String/default mail*/String/stringIgnoreCase number/Integer/default active/Boolean/default since/DateTime/default photo/Binary/default
        "#]],
    );
}

#[test]
fn there_is_exactly_one_source_and_it_is_one_that_is_known() {
    for (sources, expected) in [
        (
            "",
            expect![[r#"
            3 Error missing-property: it is not said where messages come from (give one of amqp091 and nats, as in <sources><amqp091>…</amqp091></sources>)
        "#]],
        ),
        (
            "<conf:sources/>",
            expect![[r#"
            4 Error missing-property: there is no source of messages (give one of amqp091 and nats, as in <sources><amqp091>…</amqp091></sources>)
        "#]],
        ),
        (
            "<conf:sources><jms/><other/></conf:sources>",
            expect![[r#"
            4 Error unsupported-source: messages of JMS are not read (give one of amqp091 and nats, as in <sources><amqp091>…</amqp091></sources>)
            4 Error unsupported-source: sources that are classes of another program are not known here (give one of amqp091 and nats, as in <sources><amqp091>…</amqp091></sources>)
        "#]],
        ),
        (
            "<conf:sources><amqp091/><amqp091/></conf:sources>",
            expect![[r#"
            4 Error several-values: there is more than one source of messages (make a resource of each source)
        "#]],
        ),
    ] {
        check(sources, XSD, expected);
    }
}

#[test]
fn scripts_are_told_of_by_their_language() {
    for (script, expected) in [
        (
            "<script><code>return null</code></script>",
            expect![[r#"
            4 Error unsupported-script-language: messages are transformed by a script in Groovy, and scripts are not supported (say with 'mapping' where a message has its parts, or send messages in a form that is read as it is)
        "#]],
        ),
        (
            "<path>$message</path>",
            expect![[r#"
            4 Error not-supported: messages are transformed by an expression, which is not supported (say with 'mapping' where a message has its parts, or send messages in a form that is read as it is)
        "#]],
        ),
    ] {
        check(&format!("{SOURCE}<conf:transformExpression>{script}</conf:transformExpression>"), XSD, expected);
    }
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    for (items, expected) in [
        (
            "<conf:errorHandlingAktion>retry</conf:errorHandlingAktion>",
            expect![[r#"
            4 Error unknown-property: the connector of messages has no item 'errorHandlingAktion' (did you mean 'errorHandlingAction'?)
        "#]],
        ),
        (
            "<conf:retryInterval>5</conf:retryInterval><conf:retryLimit>0</conf:retryLimit>",
            expect![[r#"
            4 Error bad-value: '5' is not a value of 'retryInterval' (write a length of time of at most a day, such as PT5S or PT10M)
            4 Error bad-value: '0' is not a value of 'retryLimit' (write a number from 1 to 1000)
        "#]],
        ),
        (
            "<conf:format>mapping</conf:format>",
            expect![[r#"
            4 Error missing-property: the format is a mapping, and there is none (say with 'mapping' where messages have their parts)
        "#]],
        ),
        (
            "<conf:mapping><class>Person</class><changeValue><value>x</value><change>y</change></changeValue></conf:mapping>",
            expect![[r#"
                4 Error missing-property: the mapping needs 'change' (say what messages tell with 'change' (full, delta, …), or with 'changePath' where they say it themselves)
                4 Error missing-property: the mapping needs 'identifierPath' (say where messages have the identifier of the object)
                4 Error bad-value: there is no object class 'Person' (the object classes are AccountObjectClass)
                4 Error bad-value: 'changeValue' needs 'changePath' (say where messages have the value)
                4 Error bad-value: 'y' is no change (write one of full, delta, deleted, notification, nothing)
            "#]],
        ),
        (
            "<conf:tables><table><name>t</name><class>AccountObjectClass</class><column><name>c</name></column></table></conf:tables>",
            expect![[r#"
            4 Error bad-value: the object class 'AccountObjectClass' has no attribute 'c' (its attributes are uid, name, mail, number, active, since, photo)
        "#]],
        ),
    ] {
        check(&format!("{SOURCE}{items}"), XSD, expected);
    }
}

#[test]
fn a_schema_must_identify_its_objects() {
    for (schema, expected) in [
        (
            "",
            expect![[r#"
            3 Error missing-property: it is not said which object classes the messages are about (declare them with 'schema' in the configuration, or with an XML Schema in the resource's own 'schema' element)
        "#]],
        ),
        (
            "<schema><definition><schema><complexType name='Address'/></schema></definition></schema>",
            expect![[r#"
            5 Error missing-property: the schema has no object class (declare a class, with the attribute that identifies its objects)
        "#]],
        ),
        (
            "<schema><complexType name='A'><annotation><appinfo><identifier>id</identifier></appinfo></annotation><sequence>
             <element name='x' type='xsd:hexBinary'/></sequence></complexType></schema>",
            expect![[r#"
                6 Error bad-value: 'xsd:hexBinary' is no type of values that is known (types are xsd:string, xsd:int, xsd:long, xsd:double, xsd:boolean, xsd:dateTime and xsd:base64Binary)
                5 Error bad-value: 'id', which 'identifier' names, is no attribute of 'A' (name one of its elements)
            "#]],
        ),
    ] {
        check(SOURCE, schema, expected);
    }
    check(
        &format!("{SOURCE}<conf:schema><class><name>a</name><identifier>id</identifier><attribute><name>id</name><type>text</type>
            <multiValued>true</multiValued></attribute></class><class><name>a</name><identifier>id</identifier></class></conf:schema>"),
        "",
        expect![[r#"
            4 Error bad-value: 'text' is no type of values (write one of string, integer, float, boolean, dateTime, binary)
            4 Error bad-value: 'id' identifies objects, and may have several values (make it single-valued)
            5 Error duplicate: the object class 'a' is there twice (keep one of them)
        "#]],
    );
}

#[test]
fn a_password_is_shown_by_nobody() {
    let source = |password: &str| {
        let (configuration, _) =
            configure(&format!("<conf:sources><nats>{password}</nats></conf:sources>"), XSD).expect("the configuration is right");
        assert!(!format!("{configuration:?}").contains("sesame"));
        configuration.source
    };
    for (given, shown) in [
        ("<password>sesame</password>", "Some(Text(…))"),
        ("<password><clearValue>sesame</clearValue></password>", "Some(Text(…))"),
        ("<passwordFile>p.txt</passwordFile>", "Some(File(/definitions/p.txt))"),
        ("<passwordVariable>P</passwordVariable>", "Some(Variable(P))"),
        ("", "None"),
    ] {
        let source = source(given);
        assert_eq!(source.kind, SourceKind::Nats);
        let mut settings = Settings::new("the source", &source.node, std::path::Path::new("/definitions"));
        assert_eq!(format!("{:?}", settings.secret("password")), shown);
        assert!(settings.finish().is_empty());
    }
    let source =
        source("<password><encryptedData/></password><passwordFile>x</passwordFile><passwordVariable>y</passwordVariable>");
    let mut settings = Settings::new("the source", &source.node, std::path::Path::new("/definitions"));
    settings.secret("password");
    let codes: Vec<_> = settings.finish().into_iter().map(|found| found.code).collect();
    assert_eq!(codes, ["not-supported", "bad-value"]);
}

#[test]
fn items_in_a_container_of_their_own_are_the_same() {
    let container =
        "<c:configurationProperties xmlns:c='http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3'>";
    check(
        &format!("{container}{SOURCE}</c:configurationProperties>"),
        XSD,
        expect![[r#"
            amqp091 Stop
            AccountObjectClass id=uid name=name default=true: uid!/String/default name/String/default mail*/String/stringIgnoreCase number/Integer/default active/Boolean/default since/DateTime/default photo/Binary/default
        "#]],
    );
}
