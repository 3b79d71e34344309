//! The connector against the conformance suite, with a real server behind it.

#![allow(clippy::unwrap_used)]

mod slapd;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use slapd::{ADMIN, PASSWORD, SUFFIX, Setup, Slapd, group, people};
use tidelock_connector_api::conformance::{Fixture, Sample, Step};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource, Security, Trust};
use tidelock_model::Value;
use tidelock_model::value::{Items, Values};

tidelock_connector_api::conformance_tests!(fixture(false));

/// The same, with everything encrypted.
mod encrypted {
    tidelock_connector_api::conformance_tests!(super::fixture(true));
}

/// The same, where the server forgets what was deleted, and tells what is left.
mod forgetful {
    tidelock_connector_api::conformance_tests!(super::forgetful());
}

fn forgetful() -> Fixture {
    let server = Arc::new(Mutex::new(Slapd::with(Setup::default(), &(people(0..5) + &group("a", 0..3) + &group("b", 1..4)))));
    let connector = Ldap::new(as_administrator(&server.lock().unwrap()));
    let next = AtomicUsize::new(1000);
    Fixture::new(connector)
        .offering_live_sync()
        .offering_async_updates()
        .offering_provision(sample())
        .keeping(Arc::clone(&server))
        .changing(move |step| {
            let mut server = server.lock().unwrap();
            let forgets = matches!(step, Step::Remove(..));
            let identifier = change(&server, step, next.fetch_add(1, Relaxed));
            if forgets {
                server.stop();
                server.run();
            }
            // It does not say that it was removed.
            std::future::ready((!forgets).then_some(identifier))
        })
}

fn fixture(encrypted: bool) -> Fixture {
    let content = people(0..5) + &group("a", 0..3) + &group("b", 1..4);
    let server = Arc::new(Slapd::with(Setup::default(), &content));
    let mut config = as_administrator(&server);
    if encrypted {
        config.port = server.tls_port();
        (config.security, config.trust) = (Security::Tls, Trust::Authority(slapd::certificate("ca.pem")));
    }
    let connector = Ldap::new(config);
    let next = Arc::new(AtomicUsize::new(1000));
    Fixture::new(connector)
        .offering_live_sync()
        .offering_async_updates()
        .offering_provision(sample())
        .keeping(Arc::clone(&server))
        .changing(move |step| {
            let identifier = change(&server, step, next.fetch_add(1, Relaxed));
            std::future::ready(Some(identifier))
        })
}

/// Only the administrator may change entries.
fn as_administrator(server: &Slapd) -> LdapConfig {
    let mut config = server.config();
    config.bind = Some(Bind { name: ADMIN.to_owned(), password: PasswordSource::Text(PASSWORD.into()) });
    config
}

/// People that the suite may add.
fn sample() -> Sample {
    let draft = |number| {
        let text = |name: &str, value: String| (name.into(), Values::from_iter([Value::string(value)]));
        Items::from_iter([
            text("dn", format!("uid=draft{number},ou=people,{SUFFIX}")),
            text("cn", format!("Draft {number}")),
            text("sn", "Draft".to_owned()),
        ])
    };
    let rename = |number| format!("uid=renamed{number},ou=groups,{SUFFIX}");
    Sample::new("inetOrgPerson", draft, rename, "displayName", "mail").with_passwords()
}

/// Makes a change by OpenLDAP's own tools; the identifier of the object.
fn change(server: &Slapd, step: Step, number: usize) -> String {
    let dn_of = |identifier: &str| {
        let found = server.search(&[&format!("(entryUUID={identifier})"), "1.1"]);
        found.lines().find_map(|line| line.strip_prefix("dn: ")).unwrap().to_owned()
    };
    match step {
        Step::Add(class) => {
            let (dn, ldif) = match &*class {
                "inetOrgPerson" => (format!("uid=u{number},ou=people,{SUFFIX}"), people(number..number + 1)),
                _ => (format!("cn=g{number},ou=groups,{SUFFIX}"), group(&format!("g{number}"), 0..2)),
            };
            server.add(&ldif);
            server.value(&dn, "entryUUID").unwrap()
        }
        Step::Modify(_, identifier) => {
            let dn = dn_of(&identifier);
            server.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: description\ndescription: {number}\n"));
            identifier
        }
        Step::Remove(_, identifier) => {
            server.delete(&dn_of(&identifier));
            identifier
        }
    }
}
