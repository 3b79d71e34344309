//! Following a real server.

#![allow(clippy::unwrap_used)]

mod slapd;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use slapd::proxy::Proxy;
use slapd::reading::{changes, pushed, search};
use slapd::{ADMIN, PASSWORD, SUFFIX, Setup, Slapd, config, group, people};
use tidelock_connector_api::{
    Change, ChangeKind, ChangesRequest, Connector, Delivery, ErrorKind, Listening, Modification, ModifyRequest, SearchRequest,
    SyncEvent, Token,
};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource, SynchronizationStrategy};
use tidelock_model::value::{Value, Values};

const PERSON: &str = "inetOrgPerson";

fn dn(number: usize) -> String {
    format!("uid=u{number},ou=people,{SUFFIX}")
}

fn describe(number: usize, text: &str) -> String {
    format!("dn: {}\nchangetype: modify\nreplace: description\ndescription: {text}\n", dn(number))
}

fn by_stamps(mut config: LdapConfig) -> LdapConfig {
    config.synchronization = SynchronizationStrategy::ModifyTimestamp;
    config
}

/// The identifiers of entries that have others below them: the server names them among what is left, as they are followed as well.
fn containers(server: &Slapd) -> Vec<String> {
    let printed = server.search(&["(hasSubordinates=TRUE)", "entryUUID"]);
    printed.lines().filter_map(|line| line.strip_prefix("entryUUID: ")).map(str::to_owned).collect()
}

fn moved(dn: &str, to: &str) -> String {
    let name = dn.split(',').next().unwrap();
    format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {name}\ndeleteoldrdn: 1\nnewsuperior: {to}\n")
}

async fn token(connector: &Ldap) -> Token {
    connector.live_sync().unwrap().current_token(Some(PERSON)).await.unwrap()
}

#[tokio::test]
async fn changes_are_told_by_what_is_there_now() {
    let server = Slapd::with(Setup::default(), &people(0..10));
    let connector = server.connector();
    let before = token(&connector).await;
    let gone = server.value(&dn(1), "entryUUID").unwrap();
    server.delete(&dn(1));
    server.modify(&describe(2, "once"));
    server.modify(&describe(2, "twice"));
    server.add(&people(10..11));
    server.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\nnewsuperior: ou=groups,{SUFFIX}\n",
        dn(3)
    ));
    let found = changes(&connector, PERSON, &before).await;
    let mut expected = vec![format!("gone {gone}"), dn(10), dn(2), format!("uid=renamed,ou=groups,{SUFFIX}")];
    expected.sort();
    let mut shown = found.shown();
    // What comes first below an entry may be told twice, as others may have been there before under another name.
    shown.dedup();
    assert_eq!(shown, expected, "{:?}", found.errors);
    assert_eq!(found.present, None);
    let nothing = changes(&connector, PERSON, &found.end.unwrap()).await;
    assert!(nothing.changes.is_empty() && nothing.present.is_none() && nothing.end.is_some());
}

#[tokio::test]
async fn a_server_that_forgot_deletions_tells_what_is_left() {
    let mut server = Slapd::with(Setup::default(), &people(0..1000));
    let connector = server.connector();
    let before = token(&connector).await;
    let gone = server.value(&dn(1), "entryUUID").unwrap();
    server.delete(&dn(1));
    server.modify(&describe(2, "changed"));
    // It keeps them in mind no longer than it runs.
    server.stop();
    server.run();
    let found = changes(&connector, PERSON, &before).await;
    assert_eq!(found.shown(), [dn(2)], "{:?}", found.errors);
    let mut present = found.present.unwrap();
    present.retain(|left| !containers(&server).contains(left));
    assert!(!present.contains(&gone));
    let changed = server.value(&dn(2), "entryUUID").unwrap();
    let left: std::collections::BTreeSet<_> = present.into_iter().chain([changed]).collect();
    let objects = search(&connector, SearchRequest::new(PERSON)).await.objects;
    assert_eq!(left, objects.into_iter().map(|object| object.identifier.into_string()).collect());
    // One that listens is told the same, and goes on from the position after it.
    let told = pushed(&connector, &before).await;
    assert_eq!(told.shown(), [dn(2)], "{:?}", told.errors);
    let told_left: std::collections::BTreeSet<_> = told.present.unwrap().into_iter().collect();
    let pulled_left = changes(&connector, PERSON, &before).await.present.unwrap();
    assert_eq!(told_left, pulled_left.into_iter().collect());
    let quiet = pushed(&connector, &told.end.unwrap()).await;
    assert!(quiet.changes.is_empty() && quiet.present.is_none() && quiet.end.is_some(), "{:?} {:?}", quiet.shown(), quiet.errors);
}

#[tokio::test]
async fn a_listener_is_told_what_is_left_though_it_is_cut_off_and_what_happens_then() {
    let mut server = Slapd::with(Setup { session_log: 0, ..Setup::default() }, &people(0..3000));
    let proxy = Proxy::to(server.port());
    let connector = Ldap::new(config(proxy.port()));
    let before = token(&connector).await;
    for number in 0..40 {
        server.delete(&dn(number));
    }
    server.stop();
    server.run();
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    let (mut left, mut beginnings, mut end) = (std::collections::BTreeSet::new(), 0, None);
    proxy.cut_after(30_000);
    while end.is_none() {
        let delivery = deliveries.next().await.unwrap().unwrap();
        proxy.heal();
        if delivery.begins {
            left.clear();
            beginnings += 1;
        }
        assert!(delivery.present.as_ref().is_none_or(|some| some.len() < 1500), "it comes in pieces");
        left.extend(delivery.present.iter().flatten().cloned());
        end = delivery.token.clone();
        delivery.acknowledge().await.unwrap();
    }
    assert_eq!(beginnings, 2);
    assert_eq!(left.len(), 2960 + containers(&server).len());
    server.modify(&describe(50, "now"));
    assert_eq!(next(&mut deliveries).await, [dn(50)]);
}

#[tokio::test]
async fn a_listener_is_told_what_is_left_where_changes_are_looked_for() {
    let mut server = Slapd::with(Setup::default(), &(people(0..5) + &group("a", 0..2)));
    let mut config = server.config();
    config.synchronization_base = Some(format!("ou=people,{SUFFIX}"));
    let connector = Ldap::new(config);
    let before = token(&connector).await;
    server.delete(&dn(0));
    server.modify(&moved(&dn(1), &format!("ou=groups,{SUFFIX}")));
    server.stop();
    server.run();
    let told = pushed(&connector, &before).await;
    let mut expected: Vec<_> = (2..5).map(|number| server.value(&dn(number), "entryUUID").unwrap()).collect();
    expected.push(server.value(&format!("ou=people,{SUFFIX}"), "entryUUID").unwrap());
    expected.sort();
    let mut left = told.present.unwrap();
    left.sort();
    // What is beyond is for the engine to look up.
    assert_eq!(left, expected);
    assert!(told.changes.is_empty() && told.end.is_some(), "{:?} {:?}", told.changes, told.errors);
}

#[tokio::test]
async fn a_listener_does_not_believe_that_nothing_is_left() {
    let mut server = Slapd::with(Setup::default(), &people(0..2));
    let mut config = server.config();
    config.base_context = format!("ou=people,{SUFFIX}");
    config.bind = None;
    let (strict, before) = (Ldap::new(config.clone()), token(&Ldap::new(config.clone())).await);
    server.delete(&dn(0));
    server.delete(&dn(1));
    server.stop();
    server.run();
    let told = pushed(&strict, &before).await;
    // The entry of the base context is there, and is none that is asked for.
    assert!(told.end.is_none() && told.errors[0].to_string().contains("'allowEmpty'"), "{:?}", told.errors);
    config.allow_empty = true;
    let told = pushed(&Ldap::new(config), &before).await;
    assert!(told.end.is_some() && told.present.is_some() && told.changes.is_empty(), "{:?}", told.errors);
}

#[tokio::test]
async fn nothing_is_left_is_told_apart_from_nothing_has_changed() {
    let mut server = Slapd::with(Setup::default(), &people(0..2));
    let connector = server.connector();
    let before = token(&connector).await;
    server.stop();
    server.run();
    let same = changes(&connector, PERSON, &before).await;
    assert!(same.changes.is_empty() && same.present.is_none(), "{:?} {:?}", same.present, same.errors);
    server.delete(&dn(0));
    server.delete(&dn(1));
    server.stop();
    server.run();
    let mut config = server.config();
    config.allow_empty = true;
    let none = changes(&Ldap::new(config), PERSON, &before).await;
    assert!(none.changes.is_empty() && none.errors.is_empty());
    assert_eq!(none.present, Some(containers(&server)));
}

#[tokio::test]
async fn a_refresh_that_breaks_off_accounts_for_nothing() {
    let mut server = Slapd::with(Setup::default(), &people(0..1000));
    let proxy = Proxy::to(server.port());
    let mut config = config(proxy.port());
    config.attempts = 1;
    let connector = Ldap::new(config);
    let before = token(&connector).await;
    server.delete(&dn(1));
    server.stop();
    server.run();
    for bytes in [100, 1_000, 3_000, 9_000] {
        proxy.cut_after(bytes);
        let found = changes(&connector, PERSON, &before).await;
        assert!(found.end.is_none() && !found.errors.is_empty(), "{bytes}");
        proxy.heal();
    }
    assert_eq!(changes(&connector, PERSON, &before).await.present.unwrap().len(), 999 + containers(&server).len());
}

#[tokio::test]
async fn a_directory_that_was_built_anew_expires_tokens() {
    let first = Slapd::with(Setup::default(), &people(0..2));
    let second = Slapd::with(Setup::default(), &people(0..2));
    let before = token(&first.connector()).await;
    let found = changes(&second.connector(), PERSON, &before).await;
    assert_eq!(found.errors[0].kind(), ErrorKind::TokenExpired);
    let mut other = first.config();
    other.synchronization_base = Some(format!("ou=people,{SUFFIX}"));
    let found = changes(&Ldap::new(other), PERSON, &before).await;
    assert_eq!(found.errors[0].kind(), ErrorKind::TokenExpired);
}

#[tokio::test]
async fn changes_of_our_own_are_left_out_where_they_hide_nobody_elses() {
    let other = format!("uid=u0,ou=people,{SUFFIX}");
    let secret = people(0..1).replace("sn:", &format!("userPassword: {PASSWORD}\nsn:"));
    let rights = "access to * by dn.exact=\"uid=u0,ou=people,dc=example,dc=org\" manage by * read\n";
    let setup = Setup { database: rights, ..Setup::default() };
    let server = Slapd::with(setup, &(secret + &people(1..10)));
    let mut config = server.config();
    config.bind = Some(Bind { name: ADMIN.to_owned(), password: PasswordSource::Text(PASSWORD.into()) });
    let ours = Ldap::new(config.clone());
    config.bind = Some(Bind { name: other, password: PasswordSource::Text(PASSWORD.into()) });
    let theirs = Ldap::new(config);
    let replace = async |connector: &Ldap, number: usize, attribute: &str| {
        let id = server.value(&dn(number), "entryUUID").unwrap();
        let values = Values::from_iter([Value::from("changed")]);
        let request = ModifyRequest::new(PERSON, id.as_str(), vec![Modification::Replace(attribute.into(), values)]);
        connector.provision().unwrap().modify(request).await.unwrap();
    };
    let mut config = server.config();
    // However it is spelled.
    config.ignored_modifiers = vec!["CommonName = Admin,dc=example,dc=org".into()];
    let connector = Ldap::new(config.clone());
    let stamps = Ldap::new(by_stamps(config));
    let (before, stamped) = (token(&connector).await, token(&stamps).await);
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before.clone()));
    assert!(next(&mut deliveries).await.is_empty());
    replace(&theirs, 2, "description").await;
    replace(&ours, 2, "title").await;
    replace(&ours, 3, "title").await;
    replace(&theirs, 4, "title").await;
    let mut heard = Vec::new();
    while heard.last() != Some(&dn(4)) {
        heard.extend(next(&mut deliveries).await);
    }
    assert_eq!(heard, [dn(2), dn(4)]);
    // Nobody can tell whether somebody else has changed these before us.
    for found in [changes(&connector, PERSON, &before).await, changes(&stamps, PERSON, &stamped).await] {
        assert_eq!(found.shown(), [dn(2), dn(3), dn(4)], "{:?}", found.errors);
    }
    // A listener that comes back hears of what has gathered.
    let mut deliveries = connector.async_updates().unwrap().deliveries_after(Some(before));
    assert_eq!(next(&mut deliveries).await.len(), 3);
}

#[tokio::test]
async fn a_server_without_content_synchronization_is_followed_by_time_stamps() {
    let server = Slapd::with(Setup { syncprov: false, ..Setup::default() }, &people(0..10));
    let connector = server.connector();
    let mut after = token(&connector).await;
    let quiet = changes(&connector, PERSON, &after).await;
    assert!(quiet.changes.is_empty() && quiet.present.is_none(), "{:?}", quiet.shown());
    // Twice within the second that time stamps tell apart.
    for text in ["once", "twice", "thrice"] {
        server.modify(&describe(2, text));
        let found = changes(&connector, PERSON, &after).await;
        assert_eq!(found.shown(), [dn(2)], "{text} {:?}", found.errors);
        after = found.end.unwrap();
    }
    server.delete(&dn(3));
    let found = changes(&connector, PERSON, &after).await;
    assert!(found.changes.is_empty() && found.present.is_none());
    let mut often = server.config();
    often.comparison_interval = Duration::ZERO;
    let found = changes(&Ldap::new(often), PERSON, &found.end.unwrap()).await;
    assert_eq!(found.present.unwrap().len(), 9);
    let mut config = server.config();
    config.synchronization = SynchronizationStrategy::Syncrepl;
    let error = Ldap::new(config).live_sync().unwrap().current_token(Some(PERSON)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn what_leaves_our_part_of_the_directory_is_gone() {
    let server = Slapd::with(Setup::default(), &people(0..3));
    let mut config = server.config();
    config.base_context = format!("ou=people,{SUFFIX}");
    let connector = Ldap::new(config);
    let before = token(&connector).await;
    let id = server.value(&dn(1), "entryUUID").unwrap();
    server.modify(&moved(&dn(1), &format!("ou=groups,{SUFFIX}")));
    assert_eq!(changes(&connector, PERSON, &before).await.shown(), [format!("gone {id}")]);
}

#[tokio::test]
async fn what_leaves_only_where_changes_are_looked_for_is_still_there() {
    let server = Slapd::with(Setup::default(), &(people(0..3) + &unit("inner", "people") + &people_in("inner", 3..5)));
    let mut config = server.config();
    config.synchronization_base = Some(format!("ou=people,{SUFFIX}"));
    let connector = Ldap::new(config);
    let before = token(&connector).await;
    let updates = connector.async_updates().unwrap();
    let mut deliveries = updates.deliveries_after(Some(before.clone()));
    let groups = format!("ou=groups,{SUFFIX}");
    let gone = server.value(&dn(0), "entryUUID").unwrap();
    server.delete(&dn(0));
    server.modify(&moved(&dn(1), &groups));
    server.modify(&moved(&format!("ou=inner,ou=people,{SUFFIX}"), &groups));
    let expected = [
        format!("gone {gone}"),
        format!("uid=u1,{groups}"),
        format!("uid=u3,ou=inner,{groups}"),
        format!("uid=u4,ou=inner,{groups}"),
    ];
    let found = changes(&connector, PERSON, &before).await;
    let people: Vec<_> = found.shown().into_iter().filter(|shown| !shown.starts_with("gone") || shown.ends_with(&gone)).collect();
    assert_eq!(people, expected, "{:?}", found.errors);
    let mut told = std::collections::BTreeSet::new();
    while !expected.iter().all(|wanted| told.contains(wanted)) {
        told.extend(next(&mut deliveries).await);
    }
}

#[tokio::test]
async fn what_is_below_an_entry_that_is_renamed_or_moved_has_changed() {
    for (strategy, forgetful) in [
        (SynchronizationStrategy::Syncrepl, false),
        (SynchronizationStrategy::Syncrepl, true),
        (SynchronizationStrategy::ModifyTimestamp, false),
    ] {
        let inner = people_in("inner", 3..5) + &people_in("deep,ou=inner", 5..6);
        // They were changed so long ago that nobody looks at them for another reason.
        let inner = inner.replace("sn:", "modifyTimestamp: 20200101000000Z\nsn:");
        let units = unit("inner", "people") + &unit("deep", "inner,ou=people");
        let mut server = Slapd::with(Setup::default(), &(people(0..3) + &units + &inner));
        let mut config = server.config();
        config.synchronization = strategy;
        let connector = Ldap::new(config);
        let before = token(&connector).await;
        server.modify(&format!(
            "dn: ou=inner,ou=people,{SUFFIX}\nchangetype: modrdn\nnewrdn: ou=other\ndeleteoldrdn: 1\n\n\
             dn: ou=other,ou=people,{SUFFIX}\nchangetype: modrdn\nnewrdn: ou=other\ndeleteoldrdn: 1\nnewsuperior: ou=groups,{SUFFIX}\n"
        ));
        if forgetful {
            server.stop();
            server.run();
        }
        let above = format!("ou=other,ou=groups,{SUFFIX}");
        let expected = [format!("uid=u3,{above}"), format!("uid=u4,{above}"), format!("uid=u5,ou=deep,{above}")];
        let found = changes(&connector, PERSON, &before).await;
        assert_eq!(found.shown(), expected, "{strategy:?} {:?}", found.errors);
        let quiet = changes(&connector, PERSON, &found.end.unwrap()).await;
        assert!(quiet.changes.is_empty() && quiet.end.is_some(), "{strategy:?} {:?}", quiet.shown());
        if strategy == SynchronizationStrategy::Syncrepl {
            assert_eq!(pushed(&connector, &before).await.shown(), expected, "{forgetful}");
        }
    }
}

#[tokio::test]
async fn what_is_below_an_entry_that_is_called_what_it_was_has_not_changed() {
    for strategy in [SynchronizationStrategy::Syncrepl, SynchronizationStrategy::ModifyTimestamp] {
        check_renames(strategy).await;
    }
}

async fn check_renames(strategy: SynchronizationStrategy) {
    let inner = people_in("inner", 3..5) + &people_in("deep,ou=inner", 5..6);
    let inner = inner.replace("sn:", "modifyTimestamp: 20200101000000Z\nsn:");
    let units = unit("inner", "people") + &unit("deep", "inner,ou=people");
    let server = Slapd::with(Setup::default(), &(people(0..1) + &units + &inner));
    let mut config = server.config();
    config.synchronization = strategy;
    config.comparison_interval = Duration::ZERO;
    let connector = Ldap::new(config);
    let mut after = token(&connector).await;
    let mut follow = async |change: &str| {
        server.modify(change);
        let mut shown = Vec::new();
        let mut told = vec![changes(&connector, PERSON, &after).await];
        if strategy == SynchronizationStrategy::Syncrepl {
            told.push(pushed(&connector, &after).await);
        }
        for found in told {
            // A server may say that a unit is gone which has nothing below it any longer, and is none of ours.
            shown = found.shown().into_iter().filter(|name| !name.starts_with("gone ")).collect();
            // A unit that has just become one may have what has come below it told again.
            shown.dedup();
            after = found.end.unwrap_or_else(|| panic!("{change} {:?}", found.errors));
        }
        shown
    };
    let describe_unit =
        |dn: &str, text: &str| format!("dn: {dn}\nchangetype: modify\nreplace: description\ndescription: {text}\n");
    let rename = |dn: &str, rdn: &str| format!("dn: {dn}\nchangetype: modrdn\nnewrdn: {rdn}\ndeleteoldrdn: 1\n");
    let people = format!("ou=people,{SUFFIX}");
    let all = |above: &str| ["uid=u3", "uid=u4", "uid=u5,ou=deep"].map(|name| format!("{name},{above},{people}")).to_vec();
    assert_eq!(follow(&describe_unit(&people, "all of them")).await, [""; 0]);
    assert_eq!(follow(&describe_unit(&format!("ou=inner,{people}"), "some")).await, [""; 0]);
    assert_eq!(follow(&rename(&format!("ou=inner,{people}"), "ou=Other")).await, all("ou=Other"));
    // It is called so by now, and so is what is below it.
    assert_eq!(follow(&describe_unit(&format!("ou=other,{people}"), "the same")).await, [""; 0]);
    assert_eq!(follow(&describe_unit(&format!("ou=deep,ou=other,{people}"), "deeper")).await, [""; 0]);
    assert_eq!(follow(&rename(&format!("ou=other,{people}"), "ou=inner")).await, all("ou=inner"));
    assert_eq!(follow(&moved(&format!("ou=deep,ou=inner,{people}"), &people)).await, [format!("uid=u5,ou=deep,{people}")]);
    // One that nobody watches while it has nothing below it is not believed to be called what it was.
    assert_eq!(follow(&moved(&format!("uid=u5,ou=deep,{people}"), &people)).await, [format!("uid=u5,{people}")]);
    assert_eq!(follow(&rename(&format!("ou=deep,{people}"), "ou=else")).await, [""; 0]);
    assert_eq!(
        follow(&moved(&format!("uid=u5,{people}"), &format!("ou=else,{people}"))).await,
        [format!("uid=u5,ou=else,{people}")]
    );
    assert_eq!(follow(&rename(&format!("ou=else,{people}"), "ou=deep")).await, [format!("uid=u5,ou=deep,{people}")]);
}

#[tokio::test]
async fn what_is_taken_out_of_reach_with_an_entry_above_is_gone() {
    let server = Slapd::with(Setup::default(), &(unit("inner", "people") + &people(0..1) + &people_in("inner", 3..5)));
    let mut config = server.config();
    config.base_context = format!("ou=people,{SUFFIX}");
    let connector = Ldap::new(config);
    let before = token(&connector).await;
    let inner = format!("ou=inner,ou=people,{SUFFIX}");
    let mut ids: Vec<_> = ["uid=u3,", "uid=u4,", ""]
        .map(|name| format!("gone {}", server.value(&format!("{name}{inner}"), "entryUUID").unwrap()))
        .into();
    ids.sort();
    server.modify(&moved(&inner, &format!("ou=groups,{SUFFIX}")));
    assert_eq!(changes(&connector, PERSON, &before).await.shown(), ids);
}

#[tokio::test]
async fn who_listens_hears_of_what_is_below_an_entry_that_is_renamed() {
    let server = Slapd::with(Setup::default(), &(people(0..2) + &unit("inner", "people") + &people_in("inner", 10..1300)));
    let connector = server.connector();
    let mut deliveries = connector.async_updates().unwrap().deliveries();
    assert!(next(&mut deliveries).await.is_empty() && next(&mut deliveries).await.is_empty());
    server.modify(&format!("dn: ou=inner,ou=people,{SUFFIX}\nchangetype: modrdn\nnewrdn: ou=other\ndeleteoldrdn: 1\n"));
    let mut told = Vec::new();
    while told.len() < 1290 {
        let delivery = tokio::time::timeout(Duration::from_secs(20), deliveries.next()).await.unwrap().unwrap().unwrap();
        told.extend(delivery.changes.as_ref().unwrap().iter().map(name));
        // The position is behind them all.
        assert_eq!(delivery.token.is_some(), told.len() == 1290, "{}", told.len());
    }
    assert!(told.iter().all(|name| name.ends_with(&format!(",ou=other,ou=people,{SUFFIX}"))));
}

#[tokio::test]
async fn stamps_that_are_an_hour_ahead_hide_no_change() {
    let ahead = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).strftime("%Y%m%d%H%M%SZ").to_string();
    for monitor in ["", "database monitor\n"] {
        // Those of one entry, as of a replica with a wrong clock; then of all, as of a clock that has been put right.
        for wrong in [1, 5] {
            let stamped = people(0..wrong).replace("sn:", &format!("modifyTimestamp: {ahead}\nsn:"));
            let setup = Setup { syncprov: false, global: monitor, ..Setup::default() };
            let server = Slapd::with(setup, &(stamped + &people(wrong..6)));
            let connector = Ldap::new(by_stamps(server.config()));
            let mut after = token(&connector).await;
            for number in [0, 1, 5] {
                server.modify(&describe(number, "now"));
                let found = changes(&connector, PERSON, &after).await;
                assert_eq!(found.shown(), [dn(number)], "{monitor} {wrong} {:?}", found.errors);
                after = found.end.unwrap();
            }
            assert!(changes(&connector, PERSON, &after).await.changes.is_empty());
        }
    }
}

/// The names of what the next delivery brings.
async fn next(deliveries: &mut (impl futures::Stream<Item = tidelock_connector_api::Result<Delivery>> + Unpin)) -> Vec<String> {
    let delivery = tokio::time::timeout(Duration::from_secs(20), deliveries.next()).await.unwrap().unwrap().unwrap();
    delivery.changes.as_ref().unwrap().iter().map(name).collect()
}

/// A unit in LDIF, below another one.
fn unit(name: &str, above: &str) -> String {
    format!("dn: ou={name},ou={above},{SUFFIX}\nobjectClass: organizationalUnit\nou: {name}\n\n")
}

/// People in LDIF, in a unit that is below `ou=people`.
fn people_in(unit: &str, numbers: std::ops::Range<usize>) -> String {
    people(numbers).replace(",ou=people,", &format!(",ou={unit},ou=people,"))
}

#[tokio::test]
async fn tokens_of_one_strategy_are_expired_for_the_other() {
    let server = Slapd::with(Setup::default(), &people(0..2));
    let stamps = Ldap::new(by_stamps(server.config()));
    let found = changes(&stamps, PERSON, &token(&server.connector()).await).await;
    assert_eq!(found.errors[0].kind(), ErrorKind::TokenExpired);
    assert!(stamps.async_updates().is_none());
}

#[tokio::test]
async fn a_listener_hears_of_changes_at_once_and_finds_its_place_again() {
    let mut server = Slapd::with(Setup::default(), &people(0..10));
    let proxy = Proxy::to(server.port());
    let connector = Ldap::new(config(proxy.port()));
    let updates = connector.async_updates().unwrap();
    let mut deliveries = updates.deliveries();
    let first = deliveries.next().await.unwrap().unwrap();
    assert!(first.changes.as_ref().unwrap().is_empty() && first.token.is_some());
    let mut last = first.token.clone();
    first.acknowledge().await.unwrap();
    // Nothing comes before something happens, the end of the refresh aside.
    let mut hear = async |wanted: &str| loop {
        let delivery = tokio::time::timeout(Duration::from_secs(20), deliveries.next()).await.unwrap().unwrap().unwrap();
        let names: Vec<_> = delivery.changes.as_ref().unwrap().iter().map(name).collect();
        last = delivery.token.clone().or(last.take());
        delivery.acknowledge().await.unwrap();
        if !names.is_empty() {
            assert_eq!(names, [wanted]);
            return Instant::now();
        }
    };
    server.modify(&describe(1, "at first"));
    hear(&dn(1)).await;
    for number in 2..6 {
        server.modify(&describe(number, "then"));
        let told = Instant::now();
        assert!(hear(&dn(number)).await - told < Duration::from_secs(2));
    }
    proxy.cut();
    server.modify(&describe(6, "after a cut"));
    hear(&dn(6)).await;
    server.stop();
    server.run();
    server.modify(&describe(7, "after a restart"));
    hear(&dn(7)).await;
    drop(deliveries);
    server.modify(&describe(8, "while nobody listened"));
    let mut deliveries = updates.deliveries_after(last);
    let delivery = deliveries.next().await.unwrap().unwrap();
    assert_eq!(delivery.changes.as_ref().unwrap().iter().map(name).collect::<Vec<_>>(), [dn(8)]);
    assert!(delivery.token.is_some());
}

#[tokio::test]
async fn a_listener_says_when_it_hears_nothing_and_comes_back_by_itself() {
    let mut server = Slapd::with(Setup::default(), &people(0..3));
    let connector = server.connector();
    let updates = connector.async_updates().unwrap();
    let mut deliveries = updates.deliveries();
    assert!(next(&mut deliveries).await.is_empty() && next(&mut deliveries).await.is_empty());
    assert_eq!(updates.status(), Listening::Alive);
    server.stop();
    // For longer than it takes to try it a few times.
    let waited = tokio::time::timeout(Duration::from_secs(4), deliveries.next()).await;
    assert!(waited.is_err(), "it has given up");
    assert_eq!(updates.status(), Listening::Reconnecting);
    server.run();
    while updates.status() != Listening::Alive {
        next(&mut deliveries).await;
    }
    server.modify(&describe(1, "after a break"));
    assert_eq!(next(&mut deliveries).await, [dn(1)]);
}

#[tokio::test]
async fn a_listener_that_cannot_come_back_says_so() {
    let mut server = Slapd::with(Setup::default(), &people(0..3));
    let mut config = server.config();
    (config.attempts, config.reconnect_timeout) = (1, Duration::from_millis(300));
    let connector = Ldap::new(config.clone());
    let updates = connector.async_updates().unwrap();
    let mut deliveries = updates.deliveries();
    assert!(next(&mut deliveries).await.is_empty() && next(&mut deliveries).await.is_empty());
    server.stop();
    assert_eq!(deliveries.next().await.unwrap().err().unwrap().kind(), ErrorKind::Unreachable);
    assert_eq!(updates.status(), Listening::Down);
    let late = Ldap::new(config);
    let updates = late.async_updates().unwrap();
    let mut deliveries = updates.deliveries();
    assert_eq!(updates.status(), Listening::Reconnecting);
    assert_eq!(deliveries.next().await.unwrap().err().unwrap().kind(), ErrorKind::Unreachable);
    assert_eq!(updates.status(), Listening::Down);
}

fn name(change: &Change) -> String {
    match &change.kind {
        ChangeKind::Full(object) => object.origin.clone().unwrap().into_string(),
        _ => format!("gone {}", change.identifier),
    }
}

/// What one who only follows changes knows.
#[derive(Default)]
struct Follower {
    objects: BTreeMap<Box<str>, String>,
    after: Option<Token>,
    /// How often it was told what is left.
    accounts: usize,
}

impl Follower {
    fn take(&mut self, change: Change) {
        match change.kind {
            ChangeKind::Full(object) => drop(self.objects.insert(change.identifier, format!("{:?}", object.attributes))),
            ChangeKind::Deleted(_) => drop(self.objects.remove(&change.identifier)),
            other => panic!("{other:?}"),
        }
    }

    /// Catches up, as far as the connection lets it. Whether that was to the end.
    async fn follow(&mut self, connector: &Ldap) -> bool {
        let mut stream =
            connector.live_sync().unwrap().changes(ChangesRequest::new(self.after.clone().unwrap()).with_class(PERSON));
        let mut named = std::collections::BTreeSet::new();
        let mut accounted = false;
        while let Some(item) = stream.next().await {
            match item {
                Ok(SyncEvent::Change(change, _)) => {
                    named.insert(change.identifier.clone());
                    self.take(change);
                }
                Ok(SyncEvent::Present(identifiers)) => {
                    accounted = true;
                    named.extend(identifiers);
                }
                Ok(SyncEvent::End(token)) => {
                    if accounted {
                        self.objects.retain(|identifier, _| named.contains(identifier));
                    }
                    self.after = Some(token);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::TokenExpired => {
                    drop(stream);
                    // What the engine does: a new position first, then a reconciliation.
                    self.after = Some(token(connector).await);
                    self.objects = truth(connector).await;
                    return true;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}"),
            }
        }
        false
    }

    /// Listens for a while.
    async fn listen(&mut self, connector: &Ldap, proxy: &Proxy, until: Instant) {
        let mut deliveries = connector.async_updates().unwrap().deliveries_after(self.after.clone());
        // What has no position yet is lost if the process dies now.
        let (mut uncommitted, mut left) = (Vec::new(), None::<std::collections::BTreeSet<_>>);
        while let Ok(delivery) = tokio::time::timeout_at(until.into(), deliveries.next()).await {
            proxy.heal();
            let delivery = delivery.unwrap().unwrap();
            if delivery.begins {
                uncommitted.clear();
                left = None;
            }
            uncommitted.extend(delivery.changes.as_ref().unwrap().iter().cloned());
            if let Some(present) = &delivery.present {
                left.get_or_insert_default().extend(present.iter().cloned());
            }
            if let Some(token) = delivery.token.clone() {
                if let Some(mut left) = left.take() {
                    left.extend(uncommitted.iter().map(|change| change.identifier.clone()));
                    self.objects.retain(|identifier, _| left.contains(identifier));
                    self.accounts += 1;
                }
                uncommitted.drain(..).for_each(|change| match change.class.as_deref() {
                    None | Some(PERSON) => self.take(change),
                    Some(_) => {}
                });
                self.after = Some(token);
            }
            delivery.acknowledge().await.unwrap();
        }
    }

    /// Holds what it knows against what is there.
    async fn check(&self, connector: &Ldap, seed: u64) {
        let truth = truth(connector).await;
        let wrong: Vec<_> = self.objects.iter().filter(|(known, as_it_was)| truth.get(*known) != Some(*as_it_was)).collect();
        let missed: Vec<_> = truth.iter().filter(|(there, _)| !self.objects.contains_key(*there)).collect();
        assert!(wrong.is_empty() && missed.is_empty(), "seed {seed}: wrong {wrong:#?} missed {missed:#?}");
    }
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Makes random changes; entries are u0 to u29, in either of two places, or in a unit that is moved about between these.
fn shake(server: &Slapd, numbers: &mut Numbers, steps: usize) {
    let mut ldif = String::new();
    for step in 0..steps {
        let number = numbers.below(30);
        let known = server.search(&[&format!("(uid=u{number})"), "1.1"]);
        let known = known.lines().find_map(|line| line.strip_prefix("dn: ")).map(str::to_owned);
        ldif.clear();
        let inner = server.search(&["(ou=inner)", "1.1"]);
        let inner = inner.lines().find_map(|line| line.strip_prefix("dn: ")).unwrap();
        let above = [inner.to_owned(), format!("ou=people,{SUFFIX}"), format!("ou=groups,{SUFFIX}")];
        let above = above[numbers.below(3)].as_str();
        match (known, numbers.below(7)) {
            (_, 5) if above != inner => server.modify(&moved(inner, above)),
            (_, 6) => {
                server.modify(&format!("dn: {inner}\nchangetype: modify\nreplace: description\ndescription: step {step}\n"))
            }
            (None, _) => server.add(&people(number..number + 1)),
            (Some(dn), 0) => server.delete(&dn),
            (Some(dn), 1) => server.modify(&moved(&dn, above)),
            (Some(dn), _) => {
                server.modify(&format!("dn: {dn}\nchangetype: modify\nreplace: description\ndescription: step {step}\n"));
            }
        }
    }
}

async fn truth(connector: &Ldap) -> BTreeMap<Box<str>, String> {
    let found = search(connector, SearchRequest::new(PERSON)).await;
    assert!(found.verdict.unwrap().is_complete());
    found.objects.into_iter().map(|object| (object.identifier, format!("{:?}", object.attributes))).collect()
}

#[tokio::test]
async fn whatever_happens_who_follows_ends_with_what_is_there() {
    for seed in 1..=6 {
        let mut numbers = Numbers(seed);
        let mut server = Slapd::with(Setup { session_log: 5, ..Setup::default() }, &(unit("inner", "people") + &people(0..20)));
        let proxy = Proxy::to(server.port());
        let mut through = config(proxy.port());
        (through.attempts, through.timeout) = (1, Duration::from_secs(5));
        let connector = Ldap::new(through);
        let mut follower =
            Follower { objects: truth(&connector).await, after: Some(token(&connector).await), ..Follower::default() };
        for _ in 0..12 {
            let steps = numbers.below(9);
            shake(&server, &mut numbers, steps);
            match numbers.below(6) {
                0 => {
                    server.stop();
                    server.run();
                }
                1 => {
                    server.kill();
                    server.run();
                }
                2 => proxy.cut_after(1 + numbers.below(4000) as u64),
                3 => proxy.cut(),
                _ => {}
            }
            follower.follow(&connector).await;
            proxy.heal();
        }
        assert!(follower.follow(&connector).await, "seed {seed}");
        follower.check(&connector, seed).await;
    }
}

#[tokio::test]
async fn whatever_happens_who_listens_ends_with_what_is_there() {
    let mut accounts = 0;
    for session_log in [10_000, 5] {
        let mut numbers = Numbers(7);
        let content = unit("inner", "people") + &people(0..20);
        let mut server = Arc::new(Slapd::with(Setup { session_log, ..Setup::default() }, &content));
        let proxy = Proxy::to(server.port());
        let connector = Ldap::new(config(proxy.port()));
        let mut follower =
            Follower { objects: truth(&connector).await, after: Some(token(&connector).await), ..Follower::default() };
        for round in 0..6 {
            if session_log < 10 {
                shake(&server, &mut Numbers(round + 100), 12);
                let server = Arc::get_mut(&mut server).unwrap();
                server.stop();
                server.run();
            }
            let shaken = Arc::clone(&server);
            let mut own = Numbers(round);
            let shaking = tokio::task::spawn_blocking(move || shake(&shaken, &mut own, 12));
            if numbers.below(2) == 0 {
                proxy.cut_after(2000 + numbers.below(8000) as u64);
            }
            follower.listen(&connector, &proxy, Instant::now() + Duration::from_millis(600)).await;
            proxy.heal();
            shaking.await.unwrap();
        }
        follower.listen(&connector, &proxy, Instant::now() + Duration::from_secs(2)).await;
        follower.check(&connector, 7).await;
        accounts += follower.accounts;
    }
    assert!(accounts > 0, "it is never told what is left");
    let _ = group("unused", [1]);
}
