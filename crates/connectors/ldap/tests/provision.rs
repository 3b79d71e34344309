//! Changing a real server.

#![allow(clippy::unwrap_used)]

mod played;
mod slapd;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapMsg, LdapOp, LdapResult, LdapResultCode};
use played::{UUID, done, entry, writable};

use slapd::proxy::Proxy;
use slapd::{ADMIN, PASSWORD, SUFFIX, Setup, Slapd, config, group, people};
use tidelock_connector_api::{AddRequest, Connector, ErrorKind, Modification, ModifyRequest, Password};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource, When};
use tidelock_model::Value;
use tidelock_model::value::{Items, Values};

const PERSON: &str = "inetOrgPerson";

fn as_admin(mut config: LdapConfig) -> Ldap {
    config.bind = Some(Bind { name: ADMIN.to_owned(), password: PasswordSource::Text(PASSWORD.into()) });
    Ldap::new(config)
}

fn values(texts: &[&str]) -> Values {
    texts.iter().map(|text| Value::from(*text)).collect()
}

fn items(pairs: &[(&str, &[&str])]) -> Items {
    pairs.iter().map(|(name, texts)| ((*name).into(), values(texts))).collect()
}

fn person(name: &str) -> Items {
    items(&[("dn", &[&format!("uid={name},ou=people,{SUFFIX}")]), ("sn", &["S"]), ("cn", &["C"])])
}

async fn attribute(connector: &Ldap, class: &str, identifier: &str, name: &str) -> Option<Vec<Value>> {
    let found = connector.get_many(class, &[identifier]).await.unwrap().remove(0).unwrap();
    found.map(|object| object.attributes.get(name).to_vec())
}

#[tokio::test]
async fn an_object_lives() {
    let server = Slapd::with(Setup::default(), &people(0..1));
    let connector = as_admin(server.config());
    let provision = connector.provision().unwrap();
    let request = AddRequest::new(PERSON, person("ann")).with_password(Password::new("first"));
    let id = provision.add(request.clone()).await.unwrap();
    assert_eq!(server.value(&format!("uid=ann,ou=people,{SUFFIX}"), "entryUUID").as_deref(), Some(&*id));
    // Its tool shows passwords in Base64: that of a hash begins with "{SSHA}".
    let stored = server.search(&["-b", &format!("uid=ann,ou=people,{SUFFIX}"), "-s", "base", "userPassword"]);
    assert!(stored.contains("userPassword:: e1NTSEF9"), "{stored}");
    assert_eq!(provision.add(request).await.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let modify = |modifications| ModifyRequest::new(PERSON, id.clone(), modifications);
    let replace =
        vec![Modification::Replace("sn".into(), values(&["Smith"])), Modification::Add("mail".into(), values(&["a@x", "b@x"]))];
    provision.modify(modify(replace)).await.unwrap();
    assert_eq!(attribute(&connector, PERSON, &id, "mail").await.unwrap().len(), 2);

    provision.rename(PERSON, &id, &format!("uid=anna,ou=groups,{SUFFIX}")).await.unwrap();
    assert_eq!(attribute(&connector, PERSON, &id, "dn").await.unwrap(), [Value::from(&*format!("uid=anna,ou=groups,{SUFFIX}"))]);
    assert_eq!(attribute(&connector, PERSON, &id, "uid").await.unwrap(), [Value::from("anna")]);

    provision.set_password(PERSON, &id, &Password::new("second")).await.unwrap();
    let login = async |password: &str| {
        let mut config = server.config();
        config.bind =
            Some(Bind { name: format!("uid=anna,ou=groups,{SUFFIX}"), password: PasswordSource::Text(password.into()) });
        Ldap::new(config).test().await.map_err(|error| error.kind())
    };
    assert_eq!(login("first").await, Err(ErrorKind::Unauthenticated));
    assert_eq!(login("second").await, Ok(()));

    provision.delete(PERSON, &id).await.unwrap();
    assert_eq!(attribute(&connector, PERSON, &id, "uid").await, None);
    assert_eq!(provision.delete(PERSON, &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(provision.modify(modify(vec![])).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_so_already_is_no_error() {
    let server = Slapd::with(Setup::default(), &(people(0..2) + &group("big", 0..20_000)));
    let id = server.value(&format!("cn=big,ou=groups,{SUFFIX}"), "entryUUID").unwrap();
    for permissive in [When::Never, When::Auto, When::Always] {
        let mut config = server.config();
        config.permissive_modify = permissive;
        let connector = as_admin(config);
        let provision = connector.provision().unwrap();
        let member = |number: usize| format!("uid=u{number},ou=people,{SUFFIX}");
        let modifications = vec![
            Modification::Add("member".into(), values(&[&member(7), &member(70_000)])),
            Modification::Remove("member".into(), values(&[&member(8), &member(80_000)])),
        ];
        let request = ModifyRequest::new("groupOfNames", id.as_str(), modifications);
        provision.modify(request.clone()).await.unwrap();
        provision.modify(request).await.unwrap();
        let members = attribute(&connector, "groupOfNames", &id, "member").await.unwrap();
        assert_eq!(members.len(), 20_000, "{permissive:?}");
        assert!(members.contains(&Value::from(&*member(70_000))) && !members.contains(&Value::from(&*member(8))));
        let back = vec![
            Modification::Add("member".into(), values(&[&member(8)])),
            Modification::Remove("member".into(), values(&[&member(70_000)])),
        ];
        provision.modify(ModifyRequest::new("groupOfNames", id.as_str(), back)).await.unwrap();
    }
}

#[tokio::test]
async fn a_condition_that_does_not_hold_changes_nothing() {
    let server = Slapd::with(Setup::default(), &people(0..1));
    let connector = as_admin(server.config());
    let provision = connector.provision().unwrap();
    let id = server.value(&format!("uid=u0,ou=people,{SUFFIX}"), "entryUUID").unwrap();
    let change = |to: &str| ModifyRequest::new(PERSON, id.as_str(), vec![Modification::Replace("sn".into(), values(&[to]))]);
    let wrong = provision.modify(change("x").only_if(items(&[("sn", &["other"])]))).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Conflict);
    assert_eq!(attribute(&connector, PERSON, &id, "sn").await.unwrap(), [Value::from("0")]);
    provision.modify(change("x").only_if(items(&[("sn", &["0"])]))).await.unwrap();
    assert_eq!(attribute(&connector, PERSON, &id, "sn").await.unwrap(), [Value::from("x")]);
}

#[tokio::test]
async fn what_the_server_refuses_is_told_apart() {
    let server = Slapd::with(Setup::default(), &people(0..1));
    let id = server.value(&format!("uid=u0,ou=people,{SUFFIX}"), "entryUUID").unwrap();
    let connector = as_admin(server.config());
    let provision = connector.provision().unwrap();
    let kind = async |modification| {
        provision.modify(ModifyRequest::new(PERSON, id.as_str(), vec![modification])).await.unwrap_err().kind()
    };
    assert_eq!(kind(Modification::Replace("sn".into(), values(&[]))).await, ErrorKind::InvalidData);
    assert_eq!(kind(Modification::Replace("manager".into(), values(&["no name"]))).await, ErrorKind::InvalidData);
    assert_eq!(kind(Modification::Replace("nothing".into(), values(&["x"]))).await, ErrorKind::InvalidData);
    assert_eq!(kind(Modification::Replace("dn".into(), values(&["x"]))).await, ErrorKind::InvalidData);
    let reader = server.connector();
    let denied = reader.provision().unwrap().delete(PERSON, &id).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
    let orphan = items(&[("dn", &[&format!("uid=x,ou=nowhere,{SUFFIX}")]), ("sn", &["S"]), ("cn", &["C"])]);
    assert_eq!(provision.add(AddRequest::new(PERSON, orphan)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_has_an_unknown_outcome() {
    let server = Slapd::start();
    let proxy = Proxy::to(server.port());
    let mut config = config(proxy.port());
    config.timeout = Duration::from_millis(500);
    let connector = as_admin(config);
    connector.schema().await.unwrap();
    proxy.silence();
    let outcome = connector.provision().unwrap().add(AddRequest::new(PERSON, person("bob"))).await.unwrap_err();
    assert_eq!(outcome.kind(), ErrorKind::OutcomeUnknown);
    proxy.heal();
    assert!(server.value(&format!("uid=bob,ou=people,{SUFFIX}"), "uid").is_some());
}

/// A server with one entry, which offers nothing but paged results; and what it is asked to change. Every search finds the entry that has
/// `wanted` in its filter, or none.
async fn plain(level: &'static str, code: LdapResultCode) -> (LdapConfig, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let config = writable(
        move |request, _| {
            let filter = format!("{:?}", request.filter);
            let found = !filter.contains("level") || filter.contains(&format!("\"{level}\""));
            let entry = found.then(|| (entry("cn=a,dc=x", &[("entryUUID", &[UUID]), ("objectClass", &["group"])]), vec![]));
            entry.into_iter().chain([done()]).collect()
        },
        move |message: &LdapMsg| {
            let result = LdapResult { code: code.clone(), matcheddn: String::new(), message: String::new(), referral: vec![] };
            let (shown, answer) = match &message.op {
                LdapOp::ModifyRequest(request) => {
                    let changes =
                        request.changes.iter().map(|change| format!("{:?} {}", change.operation, change.modification.atype));
                    (format!("modify {} {}", request.dn, changes.collect::<Vec<_>>().join(" ")), LdapOp::ModifyResponse(result))
                }
                LdapOp::DelRequest(dn) => (format!("delete {dn}"), LdapOp::DelResponse(result)),
                _ => return None,
            };
            let name = |control: &LdapControl| match control {
                LdapControl::Unknown { oid, .. } => oid.clone(),
                other => format!("{other:?}"),
            };
            let controls = message.ctrl.iter().map(name).collect::<Vec<_>>().join(" ");
            heard.lock().unwrap().push(format!("{shown} [{controls}]"));
            Some(answer)
        },
    )
    .await;
    (config, asked)
}

fn taken(asked: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut asked.lock().unwrap())
}

#[tokio::test]
async fn a_server_that_is_not_told_passwords_gets_them_as_values() {
    let (config, asked) = plain("1", LdapResultCode::Success).await;
    let connector = Ldap::new(config);
    connector.provision().unwrap().set_password("group", UUID, &Password::new("secret")).await.unwrap();
    assert_eq!(taken(&asked), ["modify cn=a,dc=x Replace userPassword []"]);
}

#[tokio::test]
async fn a_tree_is_deleted_where_that_is_wanted_and_offered() {
    let (mut config, asked) = plain("1", LdapResultCode::Success).await;
    for (when, control) in [(When::Never, ""), (When::Auto, ""), (When::Always, "1.2.840.113556.1.4.805")] {
        config.tree_delete = when;
        Ldap::new(config.clone()).provision().unwrap().delete("group", UUID).await.unwrap();
        assert_eq!(taken(&asked), [format!("delete cn=a,dc=x [{control}]")]);
    }
    // What is below is not deleted one by one.
    let (config, asked) = plain("1", LdapResultCode::NotAllowedOnNonLeaf).await;
    let refused = Ldap::new(config).provision().unwrap().delete("group", UUID).await.unwrap_err();
    assert_eq!((refused.kind(), taken(&asked).len()), (ErrorKind::Conflict, 1));
}

#[tokio::test]
async fn without_assertions_an_entry_is_looked_at_before_it_is_changed() {
    let (mut config, asked) = plain("1", LdapResultCode::Success).await;
    config.permissive_modify = When::Never;
    let connector = Ldap::new(config);
    let modify = async |level: i64| {
        let change = vec![Modification::Replace("level".into(), Values::from_iter([Value::Integer(2)]))];
        let only_if = [("level".into(), Values::from_iter([Value::Integer(level)]))].into_iter().collect();
        let request = ModifyRequest::new("group", UUID, change).only_if(only_if);
        connector.provision().unwrap().modify(request).await.map_err(|error| error.kind())
    };
    assert_eq!((modify(7).await, taken(&asked)), (Err(ErrorKind::Conflict), vec![]));
    assert_eq!((modify(1).await, taken(&asked)), (Ok(()), vec!["modify cn=a,dc=x Replace level []".to_owned()]));
}
