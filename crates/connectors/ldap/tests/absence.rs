//! What cannot be seen is not taken for gone.

#![allow(clippy::unwrap_used)]

mod slapd;

use slapd::reading::changes;
use slapd::{SUFFIX, Setup, Slapd, people};
use tidelock_connector_api::{Connector, ErrorKind, Provision, Token};
use tidelock_ldap::{Ldap, LdapConfig, SynchronizationStrategy};

const PERSON: &str = "inetOrgPerson";

/// Rights as they are without any rule, but for some entries.
fn hidden(what: &str) -> String {
    format!("access to {what} by * none\naccess to * by * read\n")
}

fn hidden_base() -> String {
    hidden(&format!("dn.base=\"{SUFFIX}\""))
}

fn hidden_people() -> String {
    hidden(&format!("dn.children=\"ou=people,{SUFFIX}\""))
}

fn dn(number: usize) -> String {
    format!("uid=u{number},ou=people,{SUFFIX}")
}

/// What looking an object up that is not there, or not to be seen, comes to: none where it is said to be missing.
async fn kind(connector: &Ldap, identifier: &str) -> Option<ErrorKind> {
    match connector.get_many(PERSON, &[identifier]).await {
        Ok(found) => match &found[0] {
            Ok(None) => None,
            Ok(Some(_)) => panic!("it is found"),
            Err(error) => Some(error.kind()),
        },
        Err(error) => Some(error.kind()),
    }
}

async fn token(connector: &Ldap) -> Token {
    connector.live_sync().unwrap().current_token(Some(PERSON)).await.unwrap()
}

fn by_name(mut config: LdapConfig) -> Ldap {
    config.identifier = "dn".into();
    Ldap::new(config)
}

#[tokio::test]
async fn a_base_that_cannot_be_read_is_no_missing_object() {
    let mut server = Slapd::with(Setup::default(), &people(0..2));
    let id = server.value(&dn(0), "entryUUID").unwrap();
    let (connector, named) = (server.connector(), by_name(server.config()));
    let mut config = server.config();
    config.base_context = "domainComponent=example, 0.9.2342.19200300.100.1.25=com".into();
    let respelt = by_name(config);
    for connector in [&connector, &named, &respelt] {
        connector.schema().await.unwrap();
    }
    server.configure(&hidden_base());
    assert_eq!(kind(&connector, &id).await, Some(ErrorKind::Config));
    assert_eq!(connector.delete(PERSON, &id).await.unwrap_err().kind(), ErrorKind::Config);
    // Above what is asked for nothing can be seen.
    assert_eq!(kind(&named, SUFFIX).await, Some(ErrorKind::Config));
    assert_eq!(kind(&named, &dn(7)).await, Some(ErrorKind::Config));
    // However the configuration spells it.
    assert_eq!(kind(&respelt, SUFFIX).await, Some(ErrorKind::Config));
    assert_eq!(kind(&respelt, &dn(7)).await, Some(ErrorKind::Config));
}

#[tokio::test]
async fn a_database_out_of_service_is_no_missing_object() {
    let mut server = Slapd::with(Setup::default(), &people(0..2));
    let id = server.value(&dn(0), "entryUUID").unwrap();
    let mut config = server.config();
    config.bind = None;
    let (connector, named) = (Ldap::new(config.clone()), by_name(config));
    let before = token(&connector).await;
    named.schema().await.unwrap();
    server.detach();
    assert_eq!(kind(&connector, &id).await, Some(ErrorKind::Config));
    assert_eq!(kind(&named, &dn(0)).await, Some(ErrorKind::Config));
    assert_eq!(connector.delete(PERSON, &id).await.unwrap_err().kind(), ErrorKind::Config);
    // Neither is it another directory.
    assert_eq!(changes(&connector, PERSON, &before).await.errors[0].kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_object_that_is_missing_is_said_to_be() {
    let server = Slapd::with(Setup::default(), &people(0..2));
    assert_eq!(kind(&server.connector(), "00000000-0000-4000-8000-000000000000").await, None);
    let named = by_name(server.config());
    for missing in [dn(7), format!("uid=x,ou=nowhere,{SUFFIX}")] {
        assert_eq!(kind(&named, &missing).await, None, "{missing}");
    }
    assert_eq!(named.delete(PERSON, &dn(7)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn objects_are_not_missing_where_none_of_their_class_can_be_seen() {
    let mut server = Slapd::with(Setup::default(), &people(0..2));
    let id = server.value(&dn(0), "entryUUID").unwrap();
    server.configure(&hidden_people());
    let mut config = server.config();
    assert_eq!(kind(&Ldap::new(config.clone()), &id).await, Some(ErrorKind::OutcomeUnknown));
    assert_eq!(kind(&by_name(config.clone()), &dn(0)).await, Some(ErrorKind::OutcomeUnknown));
    config.allow_empty = true;
    assert_eq!(kind(&Ldap::new(config.clone()), &id).await, None);
    assert_eq!(kind(&by_name(config), &dn(0)).await, None);
}

#[tokio::test]
async fn nobody_is_left_out_of_what_is_left_because_rights_were_lost() {
    for strategy in [SynchronizationStrategy::Syncrepl, SynchronizationStrategy::ModifyTimestamp] {
        let mut server = Slapd::with(Setup::default(), &people(0..5));
        let mut config = server.config();
        (config.synchronization, config.comparison_interval) = (strategy, std::time::Duration::ZERO);
        let connector = Ldap::new(config.clone());
        let before = token(&connector).await;
        server.delete(&dn(1));
        // It forgets what was deleted, and tells what is left.
        server.configure(&hidden_people());
        let found = changes(&connector, PERSON, &before).await;
        assert!(found.end.is_none() && found.errors.len() == 1, "{strategy:?} {:?}", found.end);
        config.allow_empty = true;
        let found = changes(&Ldap::new(config), PERSON, &before).await;
        assert!(found.end.is_some() && found.errors.is_empty(), "{strategy:?} {:?}", found.errors);
    }
}
