#![allow(clippy::unwrap_used)]

use expect_test::{Expect, expect};
use tidelock_messages::BUNDLE_NAMESPACE;
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::Format;

use super::*;

const NEEDED: &str = "<url>nats://localhost</url><stream>hr</stream><consumer>tidelock</consumer>";

/// What is said of a source, or what it amounts to.
fn check(source: &str, expected: Expect) {
    let text = format!(
        r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:conf="{BUNDLE_NAMESPACE}">
<name>q</name><connectorConfiguration>
<conf:sources><nats>{source}</nats></conf:sources>
<conf:schema><class><name>person</name><identifier>id</identifier></class></conf:schema></connectorConfiguration></resource>"#
    );
    let (definitions, _) = read_file(text.as_bytes(), None, Format::Xml);
    let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
    let configuration = resource.connector_configuration.as_ref().unwrap();
    let show = |found: &Diagnostic| {
        let help = found.help.as_deref().unwrap_or("NO CURE");
        format!("{} {:?} {}: {} ({help})\n", found.place.line, found.severity, found.code, found.message)
    };
    expected.assert_eq(&match open(configuration, resource.schema(), Path::new("/definitions")) {
        Ok(nats) => {
            let c = nats.config();
            let warnings: String = nats.warnings().iter().map(show).collect();
            format!(
                "{warnings}{} {:?} {:?} {} {:?} stream={} consumer={} {:?} {:?} {} {:?} dead={:?}\n",
                c.server(),
                c.login,
                c.trust,
                c.tls_required,
                c.certificate,
                c.stream,
                c.consumer,
                c.filters,
                c.begin,
                c.prefetch,
                c.ack_wait,
                c.dead_letters
            )
        }
        Err(diagnostics) => diagnostics.iter().map(show).collect(),
    });
}

#[test]
fn little_is_needed() {
    check(
        NEEDED,
        expect![[r#"
            localhost:4222 None System false None stream=hr consumer=tidelock [] All 10000 30s dead=None
        "#]],
    );
}

#[test]
fn everything_can_be_said() {
    check(
        "<url>tls://a.example.org</url><url>tls://b.example.org:4333</url><stream>hr</stream><consumer>tidelock</consumer>
         <username>ann</username><password><clearValue>sesame</clearValue></password><caFile>ca.pem</caFile>
         <certificateFile>me.pem</certificateFile><keyFile>me.key</keyFile><filterSubject>hr.people.*</filterSubject>
         <deliverPolicy>new</deliverPolicy><prefetch>500</prefetch><ackWait>PT1M</ackWait><deadLetterSubject>hr.dead</deadLetterSubject>",
        expect![[r#"
            a.example.org:4222, b.example.org:4333 Password("ann", Text(…)) Authority("/definitions/ca.pem") true Some(("/definitions/me.pem", "/definitions/me.key")) stream=hr consumer=tidelock ["hr.people.*"] New 500 60s dead=Some("hr.dead")
        "#]],
    );
    check(
        &format!("{NEEDED}<credentialsFile>me.creds</credentialsFile>"),
        expect![[r#"
            localhost:4222 Credentials(File(/definitions/me.creds)) System false None stream=hr consumer=tidelock [] All 10000 30s dead=None
        "#]],
    );
    check(
        &format!("{NEEDED}<nkeySeedVariable>SEED</nkeySeedVariable>"),
        expect![[r#"
            localhost:4222 NKey(Variable(SEED)) System false None stream=hr consumer=tidelock [] All 10000 30s dead=None
        "#]],
    );
}

#[test]
fn what_is_wrong_is_told_with_its_cure() {
    check(
        "",
        expect![[r#"
            3 Error missing-property: the NATS source needs the item 'url' (write it as in tls://nats.example.org, or nats://localhost:4222)
        "#]],
    );
    check(
        "<url>nats://ann:sesame@localhost</url><stream>h r</stream><consumer>a.b</consumer><username>ann</username>",
        expect![[r#"
            3 Error bad-value: 'url' has credentials, and is shown where they would not be (move them to 'username' and 'password', 'passwordFile' or 'passwordVariable')
            3 Error bad-value: 'h r' is not a value of 'stream' (names have no spaces, points, stars, slashes and angle brackets)
            3 Error bad-value: 'a.b' is not a value of 'consumer' (names have no spaces, points, stars, slashes and angle brackets)
            3 Error missing-property: there is a user's name, and no password (set 'password', 'passwordFile' or 'passwordVariable')
        "#]],
    );
    check(
        &format!(
            "{NEEDED}<token>t</token><nkeySeed>s</nkeySeed><filterSubject>a..b</filterSubject><deadLetterSubject>a.*</deadLetterSubject>
             <deliverPolicy>last</deliverPolicy><prefetch>0</prefetch><keyFile>k</keyFile><quue>x</quue>"
        ),
        expect![[r#"
            3 Error bad-value: it is said in several ways who we are (keep a password, a token, a key or credentials)
            3 Error bad-value: 'certificateFile' and 'keyFile' belong together (set both, or neither)
            3 Error bad-value: 'a..b' is no subject (write it as in hr.people.* or hr.>)
            4 Error bad-value: 'last' is not a value of 'deliverPolicy' (write one of all, new)
            4 Error bad-value: '0' is not a value of 'prefetch' (write a number from 1 to 20000)
            3 Error bad-value: 'a.*' is no subject that messages can be sent to (write it as in hr.dead, without wildcards)
            4 Error unknown-property: the NATS source has no item 'quue' (its items are ackWait, caFile, certificateFile, connectTimeout, consumer, credentials, credentialsFile, credentialsVariable, deadLetterSubject, deliverPolicy, filterSubject, keyFile, nkeySeed, nkeySeedFile, nkeySeedVariable, password, passwordFile, passwordVariable, prefetch, reconnectTimeout, requestTimeout, stream, tlsRequired, token, tokenFile, tokenVariable, url, username)
        "#]],
    );
}

#[test]
fn a_way_in_the_clear_is_warned_of() {
    check(
        "<url>nats://nats.example.org</url><stream>hr</stream><consumer>t</consumer>",
        expect![[r#"
            3 Warning clear-text-password: all messages may go to nats.example.org in the clear, and a password with them (write tls:// in 'url', or set 'tlsRequired' to true)
            nats.example.org:4222 None System false None stream=hr consumer=t [] All 10000 30s dead=None
        "#]],
    );
}
