#![allow(clippy::unwrap_used)]

use std::path::Path;

use expect_test::{Expect, expect};
use tidelock_model::definition::{At, ConnectorConfiguration, Property};
use tidelock_model::{Place, QName};

use super::*;

fn configuration(lines: &str) -> ConnectorConfiguration {
    let mut configuration = ConnectorConfiguration::default();
    for (number, line) in lines.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let (name, values) = line.split_once(" = ").unwrap_or((line, ""));
        let place = Place { file: None, line: number as u32 + 1, column: 1 };
        let values = values.split(" | ").map(|value| At { value: value.to_owned(), place: place.clone() }).collect();
        configuration.properties.push(Property::new(QName::new(BUNDLE_NAMESPACE, name), values));
    }
    configuration
}

/// What is said of a configuration, or what it amounts to.
fn check(lines: &str, expected: Expect) {
    let shown = match open(&configuration(lines), Path::new("/definitions")) {
        Ok(ldap) => {
            let mut shown: String = ldap.warnings().iter().map(show).collect();
            let config = ldap.config();
            shown += &format!(
                "{} {:?} {:?} {:?} below '{}' {:?} {:?} {}\n",
                config.server(),
                config.security,
                config.trust,
                config.bind,
                config.base_context,
                config.scope,
                config.paging,
                config.page_size
            );
            shown
        }
        Err(diagnostics) => diagnostics.iter().map(show).collect(),
    };
    expected.assert_eq(&shown);
}

fn show(diagnostic: &Diagnostic) -> String {
    let help = diagnostic.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    let help: String = help.chars().take(150).collect();
    format!("{}: {:?} {}: {}{help}\n", diagnostic.place.line, diagnostic.severity, diagnostic.code, diagnostic.message)
}

#[test]
fn what_midpoint_users_write_is_understood() {
    check(
        "host = ldap.example.org
         port = 636
         baseContext = dc=example,dc=org
         connectionSecurity = ssl
         bindDn = cn=idm,dc=example,dc=org
         bindPassword = secret
         passwordHashAlgorithm = SSHA
         vlvSortAttribute = uid,cn
         vlvSortOrderingRule = 2.5.13.3
         operationalAttributes = memberOf | createTimestamp
         pagingStrategy = auto
         pagingBlockSize = 500
         usePermissiveModify = auto
         enableExtraTests = true
         lockoutStrategy = openldap
         referralStrategy = follow
         caFile = ca.pem",
        expect![[r#"
            7: Warning not-supported: the property 'passwordHashAlgorithm' has no effect yet (what happens is what none would mean)
            15: Warning not-supported: the property 'lockoutStrategy' has no effect yet (what happens is what none would mean)
            16: Warning not-supported: the property 'referralStrategy' has no effect yet (what happens is what ignore or throw would mean)
            ldap.example.org:636 Tls Authority("/definitions/ca.pem") Some(Bind { name: "cn=idm,dc=example,dc=org", password: Text(…) }) below 'dc=example,dc=org' Sub Auto 500
        "#]],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    check(
        "hst = x
         port = 0
         baseContext = no name
         connectionSecurity = tls
         synchronizationStrategy = openLdapAccessLog
         additionalSearchFilter = (cn=a
         baseContextsToSynchronize = ou=a,dc=x | ou=b,dc=x
         uidAttribute = entry UUID
         bindPassword = secret",
        expect![[r#"
            1: Error unknown-property: the LDAP connector has no configuration property 'hst' (did you mean 'host'?)
            0: Error missing-property: the LDAP connector needs the property 'host' (name the directory server)
            4: Error bad-value: 'tls' is not a value of 'connectionSecurity' (write one of none, ssl, starttls, ldaps)
            2: Error bad-value: '0' is not a value of 'port' (write a number from 1 to 65535)
            3: Error bad-value: 'no name', the value of 'baseContext', is not a distinguished name (write it as in ou=people,dc=example,dc=org)
            9: Error bad-value: there is a password, and no 'bindDn' that it belongs to (set 'bindDn')
            8: Error bad-value: 'entry UUID', which 'uidAttribute' names, is not a name (names have letters, digits and hyphens)
            6: Error bad-value: 'additionalSearchFilter' is not an LDAP filter: this '(' is never closed at character 6 (write it as in (&(objectClass=person)(mail=*)))
            5: Error not-supported: the synchronization strategy 'openLdapAccessLog' is not supported: content synchronization tells the same without a log of its own (set it to auto, syncrepl or modifyTimestamp)
            7: Error not-supported: changes can be looked for below one entry only (name an entry that is above all of them)
        "#]],
    );
}

#[test]
fn a_password_never_goes_over_a_clear_line_unless_that_is_said() {
    let lines = |host: &str, more: &str| {
        format!("host = {host}\nbaseContext = dc=x\nbindDn = cn=a\nbindPasswordVariable = TIDELOCK_TEST_NO_SUCH_VARIABLE\n{more}")
    };
    check(
        &lines("ldap.example.org", ""),
        expect![[r#"
            0: Error clear-text-bind: the password would go to ldap.example.org in the clear (set 'connectionSecurity' to ssl or starttls; or, if the network is to be trusted, 'allowClearTextBind' to true)
        "#]],
    );
    check(
        &lines("ldap.example.org", "allowClearTextBind = true"),
        expect![[r#"
            ldap.example.org:389 None System Some(Bind { name: "cn=a", password: Variable(TIDELOCK_TEST_NO_SUCH_VARIABLE) }) below 'dc=x' Sub Auto 1000
        "#]],
    );
    check(
        &lines("127.0.0.1", ""),
        expect![[r#"
            127.0.0.1:389 None System Some(Bind { name: "cn=a", password: Variable(TIDELOCK_TEST_NO_SUCH_VARIABLE) }) below 'dc=x' Sub Auto 1000
        "#]],
    );
    let missing = PasswordSource::Variable("TIDELOCK_TEST_NO_SUCH_VARIABLE".to_owned()).read().unwrap_err();
    assert!(missing.to_string().contains("TIDELOCK_TEST_NO_SUCH_VARIABLE"));
}

#[test]
fn certificates_that_are_not_verified_are_warned_of() {
    check(
        "host = h\nbaseContext = dc=x\nconnectionSecurity = starttls\nallowUntrustedSsl = true",
        expect![[r#"
            4: Warning untrusted-server: the server's certificate is not verified: whoever stands between can read the password (name the certificate of the server's authority in 'caFile' instead)
            h:389 StartTls Anybody None below 'dc=x' Sub Auto 1000
        "#]],
    );
}

#[test]
fn what_makes_a_difference_and_is_not_done_is_named() {
    check(
        "host = h
         baseContext = dc=x
         readOperationTimeout = 1000
         writeOperationTimeout = 1000
         enabledCipherSuites = TLS_AES_256_GCM_SHA384
         tcpKeepAlive = true
         referralStrategy = throw
         modifiersNamesToFilterOut = cn=us,dc=x",
        expect![[r#"
            3: Warning not-supported: the property 'readOperationTimeout' has no effect yet
            4: Warning not-supported: the property 'writeOperationTimeout' has no effect yet
            5: Warning not-supported: the property 'enabledCipherSuites' has no effect yet
            8: Warning changes-not-left-out: changes of these are left out while they are listened to; live synchronization leaves none out, since a server names only the last of the changes that an entry has had (there is nothing to be done: an object that is as it was known to be costs next to nothing when it comes back)
            h:389 None System None below 'dc=x' Sub Auto 1000
        "#]],
    );
}

#[test]
fn servers_are_read_in_their_order() {
    let lines = "host = a\nbaseContext = dc=x\nport = 636\nconnectionSecurity = ssl\nservers = host=b; port=1636 | host = c";
    let connector = open(&configuration(lines), Path::new("/")).unwrap();
    let servers: Vec<_> = connector.config().servers().collect();
    assert_eq!(servers, [("a", 636), ("b", 1636), ("c", 636)]);
    check(
        "host = localhost
         baseContext = dc=x
         bindDn = cn=a
         bindPassword = secret
         servers = port=1 | host=b; port=0 | host=c; weight=1",
        expect![[r#"
            5: Error bad-value: a value of 'servers' is no server (write it as in host=second.example.org; port=389)
            5: Error bad-value: a value of 'servers' is no server (write it as in host=second.example.org; port=389)
            5: Warning not-supported: 'weight' in 'servers' has no effect yet (a server has a host and a port; all else is as with the first one)
            5: Error clear-text-bind: the password would go to c in the clear (set 'connectionSecurity' to ssl or starttls)
        "#]],
    );
}
