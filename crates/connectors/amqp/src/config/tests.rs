#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use tidelock_messages::BUNDLE_NAMESPACE;
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::{self, Format};

use super::uri::parse;
use super::*;

/// What is said of a source, or what it amounts to.
fn check(items: &str, expected: Expect) {
    let xml = format!("<amqp091>{items}</amqp091>");
    let node = document::read(xml.as_bytes(), None, Format::Xml).unwrap().objects.remove(0);
    let (config, diagnostics) = read::read(&node, Path::new("/definitions"));
    let mut shown: String = diagnostics.iter().map(show).collect();
    if let Some(config) = config.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)) {
        shown += &format!("{config:#?}\n");
    }
    expected.assert_eq(&shown);
}

fn show(diagnostic: &Diagnostic) -> String {
    let help = diagnostic.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}: {:?} {}: {}{help}\n", diagnostic.place.line, diagnostic.severity, diagnostic.code, diagnostic.message)
}

/// What an address is taken for.
fn address(text: &str) -> String {
    match parse(text) {
        Ok(uri) => format!(
            "{} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            uri.tls,
            uri.host,
            uri.port,
            uri.username,
            uri.password,
            uri.virtual_host,
            uri.heartbeat,
            uri.connect_timeout,
            uri.ignored
        ),
        Err(reason) => reason.to_owned(),
    }
}

#[test]
fn what_midpoint_users_write_is_understood() {
    check(
        "
        <uri>amqp://localhost:5672</uri>
        <username>idm</username>
        <password><clearValue>secret</clearValue></password>
        <virtualHost>hr</virtualHost>
        <queue>changes</queue>
        <prefetch>10</prefetch>
        <connectionHandlingThreads>5</connectionHandlingThreads>",
        expect![[r#"
            8: Warning not-supported: the item 'connectionHandlingThreads' has no effect (remove 'connectionHandlingThreads' if nothing depends on it)
            AmqpConfig {
                host: "localhost",
                port: 5672,
                trust: None,
                virtual_host: "hr",
                username: "idm",
                password: Text(…),
                queue: "changes",
                prefetch: 10,
                exclusive: true,
                dead_letters: None,
                identity: MessageId,
                heartbeat: 30s,
                connect_timeout: 10s,
                reconnect_timeout: 600s,
            }
        "#]],
    );
}

#[test]
fn our_own_items_are_understood() {
    check(
        "
        <uri>amqps://broker.example.org/hr</uri>
        <username>idm</username>
        <passwordVariable>BROKER_PASSWORD</passwordVariable>
        <queue>changes</queue>
        <caFile>ca.pem</caFile>
        <exclusiveConsumer>false</exclusiveConsumer>
        <messageIdentity>none</messageIdentity>
        <deadLetterExchange>dead</deadLetterExchange>
        <heartbeat>5</heartbeat>
        <connectTimeout>PT2S</connectTimeout>
        <reconnectTimeout>PT1H</reconnectTimeout>",
        expect![[r#"
            AmqpConfig {
                host: "broker.example.org",
                port: 5671,
                trust: Some(
                    Authority(
                        "/definitions/ca.pem",
                    ),
                ),
                virtual_host: "hr",
                username: "idm",
                password: Variable(BROKER_PASSWORD),
                queue: "changes",
                prefetch: 200,
                exclusive: false,
                dead_letters: Some(
                    DeadLetterTarget {
                        exchange: "dead",
                        routing_key: None,
                    },
                ),
                identity: None,
                heartbeat: 5s,
                connect_timeout: 2s,
                reconnect_timeout: 3600s,
            }
        "#]],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_no_secret_with_it() {
    check(
        "
        <uri>http://idm:secret@broker</uri>
        <que>changes</que>
        <password>secret</password>
        <prefetch>0</prefetch>
        <deadLetterRoutingKey>a</deadLetterRoutingKey>
        <heartbeat>PT5S</heartbeat>",
        expect![[r#"
            2: Error bad-value: the value of 'uri' is no address of a broker: it does not begin with amqp:// or amqps:// (write it as in amqps://broker.example.org, or amqp://localhost:5672)
            1: Error missing-property: the AMQP source needs the item 'queue' (name the queue that messages come from)
            1: Error missing-property: there is a password, and no user that it belongs to (set 'username')
            5: Error bad-value: '0' is not a value of 'prefetch' (write a number from 1 to 65535)
            6: Error bad-value: there is a 'deadLetterRoutingKey', and no exchange that it is for (set 'deadLetterExchange', or name the queue in 'deadLetterQueue')
            7: Error bad-value: 'PT5S' is not a value of 'heartbeat' (write a number from 1 to 3600)
            3: Error unknown-property: the AMQP source has no item 'que' (its items are caFile, className, connectTimeout, connectionHandlingThreads, deadLetterExchange, deadLetterQueue, deadLetterRoutingKey, exclusiveConsumer, heartbeat, messageIdentity, password, passwordFile, passwordVariable, prefetch, queue, reconnectTimeout, uri, username, virtualHost)
        "#]],
    );
    check(
        "
        <uri>amqp://idm:secret@broker.example.org/?heartbeat=10&amp;cacertfile=ca.pem</uri>
        <queue>changes</queue>
        <deadLetterQueue>changes</deadLetterQueue>
        <caFile>ca.pem</caFile>",
        expect![[r#"
            2: Warning not-supported: the parameter 'cacertfile' of 'uri' has no effect (remove it)
            2: Warning password-in-uri: the password is part of 'uri', which is shown where a password would not be (move it to 'password', 'passwordFile' or 'passwordVariable')
            2: Error bad-value: there is a 'caFile', and the connection is not encrypted (write amqps:// in 'uri')
            4: Error bad-value: rejected messages would go to the end of the queue that they come from, and come again (name another queue in 'deadLetterQueue')
        "#]],
    );
}

#[test]
fn what_goes_over_the_network_in_the_clear_is_warned_of() {
    check(
        "
        <uri>amqp://idm:secret@broker.example.org</uri>
        <queue>changes</queue>
        <deadLetterQueue>dead</deadLetterQueue>",
        expect![[r#"
            2: Warning password-in-uri: the password is part of 'uri', which is shown where a password would not be (move it to 'password', 'passwordFile' or 'passwordVariable')
            2: Warning clear-text-password: the password and all messages go to broker.example.org:5672 in the clear (write amqps:// in 'uri', and the port that the broker has for it)
            AmqpConfig {
                host: "broker.example.org",
                port: 5672,
                trust: None,
                virtual_host: "/",
                username: "idm",
                password: Text(…),
                queue: "changes",
                prefetch: 200,
                exclusive: true,
                dead_letters: Some(
                    DeadLetterTarget {
                        exchange: "",
                        routing_key: Some(
                            "dead",
                        ),
                    },
                ),
                identity: MessageId,
                heartbeat: 30s,
                connect_timeout: 10s,
                reconnect_timeout: 600s,
            }
        "#]],
    );
}

#[test]
fn addresses_are_read_to_the_letter() {
    let read: String = [
        "amqp://localhost",
        "AMQPS://broker.example.org/",
        "amqp://us%65r:p%40ss@[::1]:1234/%2F?heartbeat=5&connection_timeout=250&channel_max=3",
        "amqp://user:p@ss:word@host/hr",
        "amqp://:@host:",
        "amqp://host/a/b",
        "amqp://host/%2",
        "amqp://host/%ff",
        "amqp://host:0",
        "amqp://host:65536",
        "amqp://[::1",
        "amqp://[::1]5672",
        "amqp://user@",
        "amqp://host?heartbeat=0",
        "amqp://user:12?secret@host",
        "amqp:host",
        "",
    ]
    .map(|text| format!("{text} -> {}\n", address(text)))
    .concat();
    expect![[r#"
        amqp://localhost -> false localhost 5672 None None None None None []
        AMQPS://broker.example.org/ -> true broker.example.org 5671 None None None None None []
        amqp://us%65r:p%40ss@[::1]:1234/%2F?heartbeat=5&connection_timeout=250&channel_max=3 -> false ::1 1234 Some("user") Some("p@ss") Some("/") Some(5s) Some(250ms) ["channel_max"]
        amqp://user:p@ss:word@host/hr -> false host 5672 Some("user") Some("p@ss:word") Some("hr") None None []
        amqp://:@host: -> false host 5672 None None None None None []
        amqp://host/a/b -> its virtual host has a '/', which is written %2F
        amqp://host/%2 -> it has a '%' that does not begin an escape such as %2F
        amqp://host/%ff -> its escapes are not UTF-8
        amqp://host:0 -> its port is no number from 1 to 65535
        amqp://host:65536 -> its port is no number from 1 to 65535
        amqp://[::1 -> its '[' is never closed
        amqp://[::1]5672 -> after the ']' there is something that is no port
        amqp://user@ -> it names no host
        amqp://host?heartbeat=0 -> its heartbeat is no number from 1 to 3600
        amqp://user:12?secret@host -> it has a '?' before its host, which is written %3F
        amqp:host -> it does not begin with amqp:// or amqps://
         -> it does not begin with amqp:// or amqps://
    "#]].assert_eq(&read);
}

#[test]
fn the_example_of_the_readme_is_one() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```xml").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    // The classes that another connector would bring.
    let classes = "<async:schema><class><name>person</name><identifier>id</identifier>\
                   <attribute><name>id</name></attribute></class></async:schema></connectorConfiguration>";
    let text = format!(
        r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"><name>queue</name>{}</resource>"#,
        example.replace("</connectorConfiguration>", classes)
    );
    let (definitions, diagnostics) = read_file(text.as_bytes(), None, Format::Xml);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
    let configuration = resource.connector_configuration.as_ref().unwrap();
    let amqp = open(configuration, None, Path::new("/definitions")).map_err(|found| format!("{found:?}")).unwrap();
    assert_eq!(amqp.warnings(), []);
    assert_eq!(amqp.config().virtual_host, "hr");
    let target = DeadLetterTarget { exchange: String::new(), routing_key: Some("person-changes-rejected".to_owned()) };
    assert_eq!(amqp.config().dead_letters, Some(target));
}

#[test]
fn messages_that_are_put_aside_want_a_place() {
    let warnings = |source: &str, action: &str| {
        let text = format!(
            r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:a="{BUNDLE_NAMESPACE}"><name>q</name>
               <connectorConfiguration>
               <a:sources><amqp091><uri>amqp://localhost</uri><queue>q</queue>{source}</amqp091></a:sources>
               <a:schema><class><name>c</name><identifier>id</identifier><attribute><name>id</name></attribute></class></a:schema>
               <a:errorHandlingAction>{action}</a:errorHandlingAction></connectorConfiguration></resource>"#
        );
        let (definitions, _) = read_file(text.as_bytes(), None, Format::Xml);
        let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
        let opened = open(resource.connector_configuration.as_ref().unwrap(), None, Path::new("/"));
        let amqp = opened.map_err(|found| format!("{found:?}")).unwrap();
        amqp.warnings().iter().map(show).collect::<String>()
    };
    expect![[r#"
        3: Warning no-dead-letters: rejected messages are lost, unless the queue has a dead-letter exchange of its own, which cannot be seen (name a queue in 'deadLetterQueue', or the exchange in 'deadLetterExchange')
    "#]]
    .assert_eq(&warnings("", "skipUpdate"));
    assert_eq!(warnings("<deadLetterQueue>d</deadLetterQueue>", "skipUpdate"), "");
    assert_eq!(warnings("", "stopProcessing"), "");
}

#[test]
fn a_source_that_is_another_is_refused() {
    let text = format!(
        r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:a="{BUNDLE_NAMESPACE}"><name>q</name>
           <connectorConfiguration><a:sources><nats><url>nats://localhost</url></nats></a:sources>
           <a:schema><class><name>c</name><identifier>id</identifier><attribute><name>id</name></attribute></class></a:schema>
           </connectorConfiguration></resource>"#
    );
    let (definitions, _) = read_file(text.as_bytes(), None, Format::Xml);
    let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
    let found = open(resource.connector_configuration.as_ref().unwrap(), None, Path::new("/")).map(drop).unwrap_err();
    let found: String = found.iter().map(show).collect();
    expect![[r#"
        2: Error unsupported-source: this is no source of AMQP 0-9-1 (give an amqp091, as in <sources><amqp091>…</amqp091></sources>)
    "#]].assert_eq(&found);
}
