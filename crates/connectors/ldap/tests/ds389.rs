//! The connector with a 389 Directory Server behind it. For the long run (`TIDELOCK_LONG=1`); in others the tests say so and end.
//!
//! Its content synchronization is not used, so changes come by time stamps, of which its entries have none finer than seconds.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod slapd;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::StreamExt;
use slapd::reading::{changes, search};
use slapd::{PASSWORD, SUFFIX, certificate, config, group, people};
use tidelock_connector_api::conformance::{CLAUSES, Fixture, Sample, Step};
use tidelock_connector_api::{
    AddRequest, ChangeKind, ChangesRequest, Completeness, Connector, ErrorKind, IncompleteReason, Modification, ModifyRequest,
    Password, SearchRequest, SyncEvent, Token,
};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource, Security, SynchronizationStrategy, Trust};
use tidelock_model::Value;
use tidelock_model::filter::{BoundFilter, Comparison, Condition};
use tidelock_model::value::{Items, Values};
use tidelock_servers::{Directory as _, Ds389, Ds389Setup, is_long_run};

const PERSON: &str = "inetOrgPerson";

/// Whether this run leaves the test out; says so.
fn is_left_out() -> bool {
    if !is_long_run() {
        println!("389 Directory Server is for the long run (TIDELOCK_LONG=1)");
    }
    !is_long_run()
}

fn start(ldif: &str) -> Ds389 {
    Ds389::start(&Ds389Setup::default(), ldif).unwrap()
}

/// A configuration that compares what is left with each run, so that deletions are found at once.
fn often(server: &Ds389) -> LdapConfig {
    let mut config = config(server.port());
    config.comparison_interval = Duration::ZERO;
    config
}

fn as_admin(mut config: LdapConfig) -> LdapConfig {
    config.bind = Some(Bind { name: Ds389::ADMIN.to_owned(), password: PasswordSource::Text(PASSWORD.into()) });
    config
}

fn dn(number: usize) -> String {
    format!("uid=u{number},ou=people,{SUFFIX}")
}

fn describe(number: usize, text: &str) -> String {
    format!("dn: {}\nchangetype: modify\nreplace: description\ndescription: {text}\n", dn(number))
}

fn moved(dn: &str, rdn: &str, above: &str) -> String {
    format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\nnewsuperior: {above}\n")
}

async fn token(connector: &Ldap) -> Token {
    connector.live_sync().unwrap().current_token(Some(PERSON)).await.unwrap()
}

#[test]
fn the_connector_keeps_to_every_clause() {
    if is_left_out() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut broken = Vec::new();
    for clause in CLAUSES {
        let outcome = runtime.block_on(async { clause.check(&fixture().await).await });
        broken.extend(outcome.err().map(|violation| format!("{}: {violation}", clause.name)));
    }
    assert!(!CLAUSES.is_empty() && broken.is_empty(), "{broken:#?}");
}

async fn fixture() -> Fixture {
    let mut setup = Ds389Setup::default();
    setup.certificates = Some(certificate(""));
    let content = people(0..5) + &group("a", 0..3) + &group("b", 1..4);
    let server = Arc::new(Ds389::start(&setup, &content).unwrap());
    let mut config = as_admin(often(&server));
    // It sets passwords only where they cannot be overheard.
    (config.port, config.security) = (server.tls_port().unwrap(), Security::Tls);
    config.trust = Trust::Authority(certificate("ca.pem"));
    let connector = Ldap::new(config);
    // Which facets there are depends on what server it is.
    connector.schema().await.unwrap();
    let next = Arc::new(AtomicUsize::new(1000));
    Fixture::new(connector).offering_live_sync().offering_provision(sample()).keeping(Arc::clone(&server)).changing(move |step| {
        let identifier = change(&server, step, next.fetch_add(1, Relaxed));
        std::future::ready(Some(identifier))
    })
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
    Sample::new(PERSON, draft, rename, "displayName", "mail").with_passwords()
}

/// Makes a change by OpenLDAP's own tools; the identifier of the object.
fn change(server: &Ds389, step: Step, number: usize) -> String {
    let dn_of = |identifier: &str| {
        let found = server.search(&[&format!("(entryUUID={identifier})"), "1.1"]).unwrap();
        found.lines().find_map(|line| line.strip_prefix("dn: ")).unwrap().to_owned()
    };
    match step {
        Step::Add(class) => {
            let (dn, ldif) = match &*class {
                PERSON => (dn(number), people(number..number + 1)),
                _ => (format!("cn=g{number},ou=groups,{SUFFIX}"), group(&format!("g{number}"), 0..2)),
            };
            server.add(&ldif).unwrap();
            server.value(&dn, "entryUUID").unwrap().unwrap()
        }
        Step::Modify(_, identifier) => {
            let dn = dn_of(&identifier);
            server.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: description\ndescription: {number}\n")).unwrap();
            identifier
        }
        Step::Remove(_, identifier) => {
            server.delete(&dn_of(&identifier)).unwrap();
            identifier
        }
    }
}

#[tokio::test]
async fn its_content_synchronization_is_not_used_and_whoever_asks_for_it_is_told_why() {
    if is_left_out() {
        return;
    }
    let server = start(&people(0..2));
    let mut config = config(server.port());
    let listener = Ldap::new(config.clone());
    let refused = listener.async_updates().unwrap().deliveries().next().await.unwrap().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.full_message().contains("loses changes"), "{refused:?}");
    // Now it is known what server it is.
    assert!(listener.async_updates().is_none());
    config.synchronization = SynchronizationStrategy::Syncrepl;
    let refused = Ldap::new(config).live_sync().unwrap().current_token(Some(PERSON)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.full_message().contains("modifyTimestamp"), "{refused:?}");
}

#[tokio::test]
async fn everything_is_read_page_by_page() {
    if is_left_out() {
        return;
    }
    let mut setup = Ds389Setup::default();
    setup.global = "nsslapd-sizelimit: 50\n".to_owned();
    let server = Ds389::start(&setup, &people(0..303)).unwrap();
    for (size, expected) in [(1, 303), (7, 303), (49, 303), (50, 50), (1000, 50)] {
        let mut config = config(server.port());
        config.page_size = size;
        let read = search(&Ldap::new(config), SearchRequest::new(PERSON)).await;
        assert!(read.errors.is_empty(), "{:?}", read.errors);
        assert_eq!(read.objects.len(), expected, "pages of {size}");
        // It holds each page to the limit, not all of them together.
        assert_eq!(read.gap(), (expected < 303).then_some(IncompleteReason::Limit), "pages of {size}");
    }
}

#[tokio::test]
async fn a_limit_is_an_incomplete_read_and_never_a_deletion() {
    if is_left_out() {
        return;
    }
    let mut setup = Ds389Setup::default();
    setup.database = "nsslapd-lookthroughlimit: 100\n".to_owned();
    let server = Ds389::start(&setup, &people(0..303)).unwrap();
    let mut config = often(&server);
    for size in [20, 1000] {
        config.page_size = size;
        let read = search(&Ldap::new(config.clone()), SearchRequest::new(PERSON)).await;
        assert!(read.verdict.as_ref().is_none_or(|verdict| !verdict.is_complete()), "{:?}", read.verdict);
        assert!(read.verdict.is_some() || !read.errors.is_empty());
    }
    // The administrator has no limit, and the reader goes on where he was.
    let before = token(&Ldap::new(as_admin(config.clone()))).await;
    server.modify(&describe(1, "changed")).unwrap();
    let found = changes(&Ldap::new(config.clone()), PERSON, &before).await;
    assert!(found.end.is_none() && !found.errors.is_empty(), "what is left cannot be said");
    let found = changes(&Ldap::new(as_admin(config)), PERSON, &before).await;
    assert_eq!((found.shown(), found.present.unwrap().len()), (vec![dn(1)], 303));
}

#[tokio::test]
async fn changes_are_found_by_time_stamps_whatever_happens_to_the_server() {
    if is_left_out() {
        return;
    }
    let mut server = start(&(people(0..20) + &group("a", 0..3)));
    let connector = Ldap::new(often(&server));
    let mut after = token(&connector).await;
    let quiet = changes(&connector, PERSON, &after).await;
    assert!(quiet.changes.is_empty(), "{:?}", quiet.shown());
    // Several times within the second that time stamps tell apart.
    for text in ["once", "twice", "thrice"] {
        server.modify(&describe(2, text)).unwrap();
        let found = changes(&connector, PERSON, &after).await;
        assert_eq!(found.shown(), [dn(2)], "{text} {:?}", found.errors);
        after = found.end.unwrap();
    }
    let mut known = Known::all(&connector).await;
    for round in 0..4 {
        server.modify(&describe(3, &format!("round {round}"))).unwrap();
        server.add(&people(100 + round..101 + round)).unwrap();
        server.modify(&moved(&dn(4 + round), &format!("uid=renamed{round}"), &format!("ou=groups,{SUFFIX}"))).unwrap();
        server.delete(&dn(10 + round)).unwrap();
        match round {
            1 => server.stop().unwrap(),
            2 => server.kill().unwrap(),
            _ => {}
        }
        if (1..3).contains(&round) {
            let down = changes(&connector, PERSON, &after).await;
            assert!(down.end.is_none() && down.present.is_none() && !down.errors.is_empty());
            server.run().unwrap();
        }
        after = known.follow(&connector, &after).await;
        assert_eq!(known.objects, Known::all(&connector).await.objects, "round {round}");
    }
}

#[tokio::test]
async fn entries_of_a_moved_subtree_are_told_under_their_new_names() {
    if is_left_out() {
        return;
    }
    let unit = |name: &str, above: &str| format!("dn: ou={name},{above}\nobjectClass: organizationalUnit\nou: {name}\n\n");
    let above = format!("ou=a,{SUFFIX}");
    let below = people(0..3).replace("ou=people", "ou=inner,ou=a");
    let server = start(&(unit("a", SUFFIX) + &unit("inner", &above) + &below));
    let connector = Ldap::new(often(&server));
    let before = token(&connector).await;
    server.modify(&moved(&format!("ou=inner,{above}"), "ou=inner", &format!("ou=groups,{SUFFIX}"))).unwrap();
    let found = changes(&connector, PERSON, &before).await;
    // Entries below keep their stamps, and are read again because of the one above them.
    let expected: Vec<_> = (0..3).map(|number| format!("uid=u{number},ou=inner,ou=groups,{SUFFIX}")).collect();
    // Below a unit that has just become one, everything is read.
    let mut shown = found.shown();
    shown.dedup();
    assert_eq!((shown, found.errors.len(), found.present.unwrap().len()), (expected, 0, 3));
    let names = search(&connector, SearchRequest::new(PERSON)).await.names();
    assert!(names.len() == 3 && names.iter().all(|name| name.contains("ou=inner,ou=groups")), "{names:?}");
}

#[tokio::test]
async fn entries_that_were_imported_are_known_by_what_they_have() {
    if is_left_out() {
        return;
    }
    let mut setup = Ds389Setup::default();
    setup.imported = true;
    let server = Ds389::start(&setup, &people(0..3)).unwrap();
    server.add(&people(3..4)).unwrap();
    let mut config = often(&server);
    let read = search(&Ldap::new(config.clone()), SearchRequest::new(PERSON)).await;
    assert_eq!((read.names(), read.kinds()), (vec![dn(3)], vec![ErrorKind::InvalidData; 3]));
    assert!(read.errors.iter().all(|error| error.full_message().contains("entryUUID")), "{:?}", read.errors);
    config.identifier = "nsUniqueId".into();
    let connector = Ldap::new(config);
    let read = search(&connector, SearchRequest::new(PERSON)).await;
    assert_eq!((read.objects.len(), read.verdict), (4, Some(Completeness::Complete)));
    let identifiers: Vec<_> = read.objects.iter().map(|object| &*object.identifier).collect();
    let found = connector.get_many(PERSON, &identifiers).await.unwrap();
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
    let before = token(&connector).await;
    server.modify(&describe(1, "changed")).unwrap();
    server.delete(&dn(2)).unwrap();
    let found = changes(&connector, PERSON, &before).await;
    // A unit that has lost an entry has not changed.
    assert_eq!((found.shown(), found.errors.len(), found.present.unwrap().len()), (vec![dn(1)], 0, 3));
    // The token knows which directory it is of.
    let other = Ds389::start(&setup, &people(0..3)).unwrap();
    let mut config = often(&other);
    config.identifier = "nsUniqueId".into();
    let found = changes(&Ldap::new(config), PERSON, &before).await;
    assert_eq!(found.errors[0].kind(), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn filters_on_times_find_what_they_mean() {
    if is_left_out() {
        return;
    }
    let server = start(&people(0..3));
    // So that not all stamps are the same.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    server.modify(&describe(1, "later")).unwrap();
    let mut config = config(server.port());
    config.operational_attributes = vec!["modifyTimestamp".into()];
    let connector = Ldap::new(config);
    let class = connector.schema().await.unwrap().class(PERSON).unwrap().clone();
    let all = search(&connector, SearchRequest::new(PERSON)).await.objects;
    let stamps: Vec<Value> = all.iter().map(|object| object.attributes.first("modifyTimestamp").unwrap().clone()).collect();
    let rule = class.attribute("modifyTimestamp").unwrap().matching_rule;
    let mut conditions = Vec::new();
    for stamp in stamps {
        conditions.push(Condition::AnyOf(vec![stamp.clone()]));
        for comparison in [Comparison::GreaterOrEqual, Comparison::Greater, Comparison::LessOrEqual, Comparison::Less] {
            conditions.push(Condition::Compare(comparison, stamp.clone()));
        }
    }
    for condition in conditions {
        let filter = BoundFilter::Attribute { name: "modifyTimestamp".into(), rule, condition };
        assert!(connector.supports(PERSON, &filter));
        let expected = all.iter().filter(|object| filter.matches(&object.attributes)).count();
        let found = search(&connector, SearchRequest::new(PERSON).with_filter(filter.clone())).await;
        assert_eq!((found.objects.len(), found.verdict), (expected, Some(Completeness::Complete)), "{filter:?}");
    }
}

#[tokio::test]
async fn without_assertions_a_condition_is_looked_at_beforehand() {
    if is_left_out() {
        return;
    }
    let server = start(&people(0..1));
    let connector = Ldap::new(as_admin(config(server.port())));
    let provision = connector.provision().unwrap();
    let id = server.value(&dn(0), "entryUUID").unwrap().unwrap();
    let values = |text: &str| Values::from_iter([Value::from(text)]);
    let change = |to: &str| ModifyRequest::new(PERSON, id.as_str(), vec![Modification::Replace("sn".into(), values(to))]);
    let only_if = |text: &str| Items::from_iter([("sn".into(), values(text))]);
    let refused = provision.modify(change("x").only_if(only_if("other"))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    provision.modify(change("x").only_if(only_if("0"))).await.unwrap();
    assert_eq!(server.value(&dn(0), "sn").unwrap().as_deref(), Some("x"));
    let items = [("dn", format!("uid=x,ou=nowhere,{SUFFIX}")), ("sn", "S".to_owned()), ("cn", "C".to_owned())];
    let orphan = items.into_iter().map(|(name, value)| (name.into(), values(&value))).collect();
    assert_eq!(provision.add(AddRequest::new(PERSON, orphan)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn without_encryption_no_password_is_set_and_nothing_is_left_of_who_was_to_have_it() {
    if is_left_out() {
        return;
    }
    let server = start(&people(0..1));
    let connector = Ldap::new(as_admin(config(server.port())));
    let provision = connector.provision().unwrap();
    let values = |text: &str| Values::from_iter([Value::from(text)]);
    let items = [("dn", dn(7)), ("sn", "S".to_owned()), ("cn", "C".to_owned())];
    let person: Items = items.iter().map(|(name, value)| ((*name).into(), values(value))).collect();
    let request = AddRequest::new(PERSON, person).with_password(Password::new("secret"));
    let id = server.value(&dn(0), "entryUUID").unwrap().unwrap();
    let refused = [
        provision.add(request).await.unwrap_err(),
        provision.set_password(PERSON, &id, &Password::new("secret")).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.kind(), ErrorKind::Config);
        assert!(refused.full_message().contains("set 'connectionSecurity' to ssl or starttls"), "{refused:?}");
    }
    assert!(!server.search(&["(uid=u7)", "1.1"]).unwrap().contains("dn: "), "the entry is still there");
}

/// What one who only follows changes knows.
struct Known {
    objects: BTreeMap<Box<str>, String>,
}

impl Known {
    /// All there is.
    async fn all(connector: &Ldap) -> Self {
        let read = search(connector, SearchRequest::new(PERSON)).await;
        assert_eq!(read.verdict, Some(Completeness::Complete), "{:?}", read.errors);
        let objects = read.objects.into_iter().map(|object| (object.identifier, format!("{:?}", object.attributes)));
        Self { objects: objects.collect() }
    }

    /// Catches up; the token after that.
    async fn follow(&mut self, connector: &Ldap, after: &Token) -> Token {
        let mut stream = connector.live_sync().unwrap().changes(ChangesRequest::new(after.clone()).with_class(PERSON));
        let (mut named, mut end, mut compared) = (Vec::new(), None, false);
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                SyncEvent::Change(change, _) => {
                    named.push(change.identifier.clone());
                    match change.kind {
                        ChangeKind::Full(object) => {
                            drop(self.objects.insert(change.identifier, format!("{:?}", object.attributes)))
                        }
                        other => panic!("{other:?}"),
                    }
                }
                SyncEvent::Present(identifiers) => {
                    compared = true;
                    named.extend(identifiers);
                }
                SyncEvent::End(token) => end = Some(token),
            }
        }
        assert!(compared, "what is left was not compared");
        self.objects.retain(|identifier, _| named.contains(identifier));
        end.unwrap()
    }
}
