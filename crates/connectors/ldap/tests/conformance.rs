//! The connector against the conformance suite, with a real server behind it.

#![allow(clippy::unwrap_used)]

mod slapd;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use slapd::{SUFFIX, Setup, Slapd, group, people};
use tidelock_connector_api::conformance::{Fixture, Step};
use tidelock_ldap::Ldap;

tidelock_connector_api::conformance_tests!(fixture());

fn fixture() -> Fixture {
    let content = people(0..5) + &group("a", 0..3) + &group("b", 1..4);
    let server = Arc::new(Slapd::with(Setup::default(), &content));
    let connector = Ldap::new(server.config());
    let next = Arc::new(AtomicUsize::new(1000));
    Fixture::new(connector)
        .offering_live_sync()
        .offering_async_updates()
        .offering_provision()
        .keeping(Arc::clone(&server))
        .changing(move |step| {
            let identifier = change(&server, step, next.fetch_add(1, Relaxed));
            std::future::ready(Some(identifier))
        })
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
