//! Content synchronization with servers that do as OpenLDAP does not, or only seldom.

#![allow(clippy::unwrap_used)]

mod played;

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapIntermediateResponse as Info, LdapOp, LdapResultCode, LdapSearchRequest, LdapSearchResultReference, SyncRequestMode,
    SyncStateValue,
};
use played::{UUID, done, entry, result, server};
use tidelock_connector_api::{ChangeKind, ChangesRequest, Connector, Error, ErrorKind, SyncEvent, Token};
use tidelock_ldap::{Ldap, LdapConfig, Referrals, SynchronizationStrategy};

const OTHER: &str = "99999999-2222-4333-8444-555555555555";

type Answers = Vec<(LdapOp, Vec<LdapControl>)>;

/// What is asked for by content synchronization: the cookie, and whether further changes are wanted as they happen. None for
/// another search.
fn sync(controls: &[LdapControl]) -> Option<(Option<Vec<u8>>, bool)> {
    controls.iter().find_map(|control| match control {
        LdapControl::SyncRequest { mode, cookie, .. } => Some((cookie.clone(), *mode == SyncRequestMode::RefreshAndPersist)),
        _ => None,
    })
}

fn person(id: &str) -> LdapOp {
    entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[id]), ("nsUniqueId", &[id])])
}

fn state(state: SyncStateValue, id: &str) -> Vec<LdapControl> {
    vec![LdapControl::SyncState { state, entry_uuid: id.parse().unwrap(), cookie: None }]
}

fn ended(cookie: &[u8]) -> (LdapOp, Vec<LdapControl>) {
    let control = LdapControl::SyncDone { cookie: Some(cookie.to_vec()), refresh_deletes: true };
    (result(LdapResultCode::Success), vec![control])
}

fn info(info: Info) -> (LdapOp, Vec<LdapControl>) {
    (LdapOp::IntermediateResponse(info), vec![])
}

fn deleted(id: &str, cookie: &[u8]) -> (LdapOp, Vec<LdapControl>) {
    info(Info::SyncInfoIdSet { cookie: Some(cookie.to_vec()), refresh_deletes: true, syncuuids: vec![id.parse().unwrap()] })
}

/// One that asks for content synchronization and nothing else.
fn strictly(mut config: LdapConfig) -> Ldap {
    config.synchronization = SynchronizationStrategy::Syncrepl;
    Ldap::new(config)
}

/// The changes after a token: what they are about, and errors.
async fn pull(connector: &Ldap, after: Token) -> (Vec<String>, Vec<Error>, Option<Token>) {
    let (mut changes, mut errors, mut end) = (Vec::new(), Vec::new(), None);
    let mut stream = connector.live_sync().unwrap().changes(ChangesRequest::new(after));
    while let Some(event) = stream.next().await {
        match event {
            Ok(SyncEvent::Change(change, _)) => {
                let kind = if matches!(change.kind, ChangeKind::Deleted(_)) { "gone " } else { "" };
                changes.push(format!("{kind}{}", change.identifier));
            }
            Ok(SyncEvent::End(token)) => end = Some(token),
            Ok(SyncEvent::Present(_)) => {}
            Err(error) => errors.push(error),
        }
    }
    (changes, errors, end)
}

async fn token(connector: &Ldap) -> Token {
    connector.live_sync().unwrap().current_token(None).await.unwrap()
}

/// A server that answers to content synchronization from a position as a function says, and shows one person otherwise.
async fn following<F>(answer: F) -> LdapConfig
where
    F: Fn(&[u8], bool) -> Answers + Clone + Send + 'static,
{
    server(move |_: &LdapSearchRequest, controls| match sync(controls) {
        None => vec![(person(UUID), vec![]), done()],
        Some((None, _)) => vec![(person(UUID), state(SyncStateValue::Add, UUID)), ended(b"old")],
        Some((Some(cookie), persist)) => answer(&cookie, persist),
    })
    .await
}

#[tokio::test]
async fn a_deletion_that_was_told_before_a_cut_is_told_again() {
    let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&asked);
    // As OpenLDAP does: the position after the deletions comes with them, and the deletions are not all that there is.
    let config = following(move |cookie, _| {
        let mut asked = seen.lock().unwrap();
        asked.push(cookie.to_vec());
        let mut answers = vec![deleted(UUID, b"new")];
        if asked.len() == 1 {
            answers.push((LdapOp::UnbindRequest, vec![]));
        } else {
            answers.push(info(Info::SyncInfoRefreshDelete { cookie: Some(b"newer".to_vec()), done: true }));
        }
        if cookie == b"old" { answers } else { vec![info(Info::SyncInfoRefreshDelete { cookie: None, done: true })] }
    })
    .await;
    let connector = strictly(config);
    let before = token(&connector).await;
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    let delivery = deliveries.next().await.unwrap().unwrap();
    assert_eq!(*asked.lock().unwrap(), [b"old", b"old"]);
    assert_eq!(&*delivery.changes.as_ref().unwrap()[0].identifier, UUID);
    assert!(delivery.token.is_some());
}

#[tokio::test]
async fn a_position_that_the_server_refuses_is_expired() {
    for code in [LdapResultCode::EsyncRefreshRequired, LdapResultCode::UnwillingToPerform] {
        let config = following(move |_, _| vec![(result(code.clone()), vec![])]).await;
        let connector = strictly(config);
        let before = token(&connector).await;
        let (changes, errors, end) = pull(&connector, before.clone()).await;
        assert!(changes.is_empty() && end.is_none());
        assert_eq!(errors[0].kind(), ErrorKind::TokenExpired);
        let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
        assert_eq!(deliveries.next().await.unwrap().err().unwrap().kind(), ErrorKind::TokenExpired);
    }
}

#[tokio::test]
async fn a_server_that_calls_entries_by_something_else_is_not_followed_by_that() {
    let config = server(|_, controls| match sync(controls) {
        None => vec![(person(UUID), vec![]), done()],
        Some(_) => vec![(person(UUID), state(SyncStateValue::Add, OTHER)), ended(b"old")],
    })
    .await;
    let refused = strictly(config.clone()).live_sync().unwrap().current_token(None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    // Left to us, something else is done.
    let refused = Ldap::new(config).live_sync().unwrap().current_token(None).await.unwrap_err();
    assert!(refused.to_string().contains("modifyTimestamp"), "{refused}");
}

#[tokio::test]
async fn an_entry_that_is_called_otherwise_is_found_out_later_too() {
    let config = following(|_, persist| {
        let changed = (person(UUID), state(SyncStateValue::Modify, OTHER));
        if persist { vec![changed] } else { vec![changed, ended(b"new")] }
    })
    .await;
    let connector = strictly(config);
    let before = token(&connector).await;
    let (changes, errors, end) = pull(&connector, before.clone()).await;
    assert!(changes.is_empty() && end.is_none());
    assert_eq!(errors[0].kind(), ErrorKind::Config);
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    assert_eq!(deliveries.next().await.unwrap().err().unwrap().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn the_unique_identifier_of_389_directory_server_is_the_same_in_another_spelling() {
    const UNIQUE: &str = "11111111-22224333-84445555-55555555";
    let config = server(|_, controls| match sync(controls) {
        None => vec![(person(UNIQUE), vec![]), done()],
        Some((None, _)) => vec![(person(UNIQUE), state(SyncStateValue::Add, UUID)), ended(b"old")],
        Some(_) => vec![
            (person(UNIQUE), state(SyncStateValue::Modify, UUID)),
            (entry("cn=h,dc=x", &[]), state(SyncStateValue::Delete, OTHER)),
            ended(b"new"),
        ],
    })
    .await;
    let mut config = config;
    config.identifier = "nsUniqueId".into();
    let connector = strictly(config);
    let before = token(&connector).await;
    let (changes, errors, end) = pull(&connector, before).await;
    assert_eq!(changes, [UNIQUE, "gone 99999999-22224333-84445555-55555555"], "{errors:?}");
    assert!(end.is_some());
}

#[tokio::test]
async fn content_synchronization_that_is_not_for_us_is_done_without() {
    let config = server(|_, controls| match sync(controls) {
        None => vec![(person(UUID), vec![]), done()],
        Some(_) => vec![(result(LdapResultCode::InsufficentAccessRights), vec![])],
    })
    .await;
    let refused = strictly(config.clone()).live_sync().unwrap().current_token(None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("content synchronization"), "{refused}");
    let refused = Ldap::new(config).live_sync().unwrap().current_token(None).await.unwrap_err();
    assert!(refused.to_string().contains("modifyTimestamp"), "{refused}");
}

#[tokio::test]
async fn a_part_on_another_server_does_not_keep_the_rest_from_being_followed() {
    let mut config = following(|_, _| {
        let elsewhere = LdapSearchResultReference { uris: vec!["ldap://other/ou=a,dc=x".to_owned()] };
        let elsewhere = (LdapOp::SearchResultReference(elsewhere), state(SyncStateValue::Add, OTHER));
        vec![elsewhere, (person(UUID), state(SyncStateValue::Modify, UUID)), ended(b"new")]
    })
    .await;
    let connector = strictly(config.clone());
    let before = token(&connector).await;
    let (changes, errors, end) = pull(&connector, before.clone()).await;
    assert!(changes == [UUID] && end.is_some(), "{errors:?}");
    config.referrals = Referrals::Throw;
    assert_eq!(pull(&strictly(config), before).await.1[0].kind(), ErrorKind::Unsupported);
}

fn left(ids: &[&str]) -> (LdapOp, Vec<LdapControl>) {
    let syncuuids = ids.iter().map(|id| id.parse().unwrap()).collect();
    info(Info::SyncInfoIdSet { cookie: None, refresh_deletes: false, syncuuids })
}

fn all_left(done: bool) -> (LdapOp, Vec<LdapControl>) {
    info(Info::SyncInfoRefreshPresent { cookie: Some(b"new".to_vec()), done })
}

fn all_deleted() -> (LdapOp, Vec<LdapControl>) {
    info(Info::SyncInfoRefreshDelete { cookie: Some(b"newer".to_vec()), done: true })
}

/// What a listener is told until there is a position or an error: the changes, what is left, and how it ended.
async fn hear(answers: fn() -> Answers) -> (Vec<String>, Option<Vec<String>>, Result<Token, Error>) {
    let connector = strictly(following(move |_, _| answers()).await);
    let before = token(&connector).await;
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    let (mut changes, mut present) = (Vec::new(), None::<Vec<String>>);
    loop {
        let delivery = match deliveries.next().await.unwrap() {
            Ok(delivery) => delivery,
            Err(error) => return (changes, present, Err(error)),
        };
        assert_eq!(delivery.begins, changes.is_empty() && present.is_none());
        for change in delivery.changes.as_ref().unwrap() {
            let kind = if matches!(change.kind, ChangeKind::Deleted(_)) { "gone " } else { "" };
            changes.push(format!("{kind}{}", change.identifier));
        }
        if let Some(more) = &delivery.present {
            present.get_or_insert_default().extend(more.iter().map(|id| id.to_string()));
        }
        if let Some(token) = delivery.token.clone() {
            return (changes, present, Ok(token));
        }
    }
}

#[tokio::test]
async fn a_listener_is_told_what_is_left_in_either_form_and_before_what_is_gone() {
    let nothing: Option<Vec<String>> = None;
    let some = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    let (changes, present, end) = hear(|| vec![left(&[UUID, OTHER]), all_left(true)]).await;
    assert!(changes.is_empty() && present == some(&[UUID, OTHER]) && end.is_ok(), "{end:?}");
    // One by one, with a change among them, and a phase of deletions behind.
    let (changes, present, end) = hear(|| {
        let one = (entry("cn=h,dc=x", &[]), state(SyncStateValue::Present, OTHER));
        vec![one, (person(UUID), state(SyncStateValue::Modify, UUID)), all_left(false), all_deleted()]
    })
    .await;
    assert!(changes == [UUID] && present == some(&[OTHER]) && end.is_ok(), "{changes:?} {present:?} {end:?}");
    // Nothing happened, and nothing is named; but for the position, which says that something has.
    let (_, present, end) = hear(|| vec![info(Info::SyncInfoRefreshPresent { cookie: None, done: true })]).await;
    assert!(present == nothing && end.is_ok(), "{present:?}");
    let (_, present, end) = hear(|| vec![all_left(true)]).await;
    assert!(present == some(&[]) && end.is_ok(), "{present:?}");
    let (_, present, end) = hear(|| vec![deleted(OTHER, b"new"), all_deleted()]).await;
    assert!(present == nothing && end.is_ok(), "{present:?}");
}

#[tokio::test]
async fn a_server_that_does_not_say_that_these_are_all_accounts_for_nothing() {
    for answers in [
        (|| vec![left(&[UUID]), all_deleted()]) as fn() -> Answers,
        || vec![all_deleted(), left(&[UUID])],
        || vec![all_left(true), (person(UUID), state(SyncStateValue::Present, UUID))],
    ] {
        let connector = strictly(following(move |_, _| answers()).await);
        let before = token(&connector).await;
        let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
        let error = loop {
            match deliveries.next().await.unwrap() {
                Ok(delivery) => assert!(delivery.present.is_none_or(|left| left.is_empty()) || delivery.token.is_none()),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        assert!(error.to_string().contains("entries that are left"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_has_to_bring_a_listener_up_to_date_again_is_asked_to() {
    let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let config = following(move |cookie, _| {
        let mut asked = seen.lock().unwrap();
        asked.push(cookie.to_vec());
        let required = (result(LdapResultCode::EsyncRefreshRequired), vec![]);
        match asked.len() {
            1 => vec![info(Info::SyncInfoRefreshDelete { cookie: Some(b"new".to_vec()), done: true }), required],
            2 => {
                vec![left(&[UUID]), info(Info::SyncInfoRefreshPresent { cookie: Some(b"newer".to_vec()), done: true }), required]
            }
            _ => vec![required],
        }
    })
    .await;
    let connector = strictly(config);
    let before = token(&connector).await;
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    for is_left in [false, true] {
        let delivery = deliveries.next().await.unwrap().unwrap();
        assert!(delivery.begins && delivery.token.is_some() && delivery.present.is_some() == is_left);
    }
    // A refusal right at the beginning is one.
    assert_eq!(deliveries.next().await.unwrap().err().unwrap().kind(), ErrorKind::TokenExpired);
    assert_eq!(*asked.lock().unwrap(), [&b"old"[..], b"new", b"newer"]);
}

/// The entry above was called otherwise while the one below it was read, and nothing else is told of that.
#[tokio::test]
async fn an_entry_that_is_told_under_a_name_for_a_moment_is_told_again() {
    let at = |dn: &str| entry(dn, &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
    let unit = entry("cn=unit,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[OTHER]), ("hasSubordinates", &["TRUE"])]);
    let config = server(move |search: &LdapSearchRequest, controls| match (sync(controls), &*search.base) {
        (Some((Some(_), _)), _) => {
            vec![(at("cn=g,cn=moment,dc=x"), state(SyncStateValue::Modify, UUID)), ended(b"new")]
        }
        (Some((None, _)), _) => vec![ended(b"old")],
        (None, "dc=x") if format!("{:?}", search.filter).contains("Subordinates") => vec![(unit.clone(), vec![]), done()],
        (None, "dc=x" | "cn=g,cn=unit,dc=x") => vec![(at("cn=g,cn=unit,dc=x"), vec![]), done()],
        _ => vec![(result(LdapResultCode::NoSuchObject), vec![])],
    })
    .await;
    let connector = strictly(config);
    let before = token(&connector).await;
    let mut told = Vec::new();
    let mut stream = connector.live_sync().unwrap().changes(ChangesRequest::new(before));
    while let Some(event) = stream.next().await {
        if let SyncEvent::Change(change, _) = event.unwrap()
            && let ChangeKind::Full(object) = change.kind
        {
            told.push(object.origin.unwrap());
        }
    }
    assert_eq!(told, ["cn=g,cn=moment,dc=x".into(), "cn=g,cn=unit,dc=x".into()] as [Box<str>; 2]);
}
