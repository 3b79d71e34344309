//! Servers that do not behave, and one that gives attributes in pieces: played by another implementation of the protocol.

#![allow(clippy::unwrap_used)]

mod played;

use std::time::Duration;

use futures::StreamExt;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{LdapOp, LdapResultCode, LdapSearchResultReference};
use played::{UUID, done, entry, result, server};
use tidelock_connector_api::{About, Completeness, Connector, Error, ErrorKind, Found, SearchRequest};
use tidelock_ldap::{Ldap, LdapConfig, Referrals};
use tidelock_model::object::ResourceObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn read(config: LdapConfig) -> (Vec<ResourceObject>, Vec<Error>, Option<Completeness>) {
    let connector = Ldap::new(config);
    let mut stream = connector.search(SearchRequest::new("group"));
    let (mut objects, mut errors, mut verdict) = (Vec::new(), Vec::new(), None);
    while let Some(item) = stream.next().await {
        match item {
            Ok(Found::Object(object)) => objects.push(object),
            Ok(Found::End(end)) => verdict = Some(end),
            Err(error) => errors.push(error),
        }
    }
    (objects, errors, verdict)
}

/// Gives the members from `from` on, `size` at a time, of `all`.
fn ranged(from: usize, size: usize, all: usize) -> LdapOp {
    let to = (from + size).min(all);
    let last = if to == all { "*".to_owned() } else { (to - 1).to_string() };
    let name = format!("member;range={from}-{last}");
    let members: Vec<String> = (from..to).map(|number| format!("cn={number}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID]), ("member", &[]), (&name, &members)])
}

#[tokio::test]
async fn an_attribute_that_comes_in_pieces_is_read_to_the_end() {
    let config = server(|request, _| {
        let asked = request.attrs.iter().find_map(|name| name.strip_prefix("member;range=")?.strip_suffix("-*")?.parse().ok());
        vec![(ranged(asked.unwrap_or(0), 1500, 4321), vec![]), done()]
    })
    .await;
    let (objects, errors, verdict) = read(config).await;
    assert_eq!(verdict, Some(Completeness::Complete), "{errors:?}");
    assert_eq!(objects[0].attributes.get("member").len(), 4321);
}

#[tokio::test]
async fn pieces_that_do_not_go_on_are_an_unreadable_object() {
    let config = server(|_, _| vec![(ranged(0, 1500, 4321), vec![]), done()]).await;
    let (objects, errors, verdict) = read(config).await;
    assert_eq!((objects.len(), errors[0].kind(), verdict), (0, ErrorKind::InvalidData, Some(Completeness::Complete)));
    let config = server(|request, _| {
        let first = request.base == "dc=x";
        if first { vec![(ranged(0, 1500, 4321), vec![]), done()] } else { vec![(result(LdapResultCode::NoSuchObject), vec![])] }
    })
    .await;
    let (objects, errors, _) = read(config).await;
    assert_eq!((objects.len(), errors[0].kind()), (0, ErrorKind::InvalidData));
}

#[tokio::test]
async fn a_piece_that_is_not_the_one_that_was_asked_for_is_an_unreadable_object() {
    let bare = || entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
    let whole = || entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID]), ("member", &["cn=0", "cn=1"])]);
    let odd = |range: &str| {
        entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID]), (&*format!("member;range={range}"), &["cn=7"])])
    };
    for (first, then) in [
        (ranged(0, 1500, 4321), bare()),
        (ranged(0, 1500, 4321), whole()),
        (ranged(0, 1500, 4321), ranged(1501, 4000, 4321)),
        (ranged(0, 1500, 4321), ranged(1499, 4000, 4321)),
        (ranged(1, 1500, 4321), ranged(1501, 4000, 4321)),
        (odd("x-*"), bare()),
        (odd("0-x"), bare()),
        (odd("1-*"), bare()),
    ] {
        let config = server(move |request, _| {
            let is_first = request.attrs.iter().all(|name| !name.contains("range="));
            vec![(if is_first { first.clone() } else { then.clone() }, vec![]), done()]
        })
        .await;
        let (objects, errors, verdict) = read(config).await;
        assert_eq!((objects.len(), errors.len(), verdict), (0, 1, Some(Completeness::Complete)), "{objects:?}");
        assert!(matches!(errors[0].what(), About::Object(id) if &**id == UUID), "{errors:?}");
    }
}

#[tokio::test]
async fn a_lost_position_is_no_end() {
    let config = server(|_, controls| {
        let first =
            controls.iter().any(|control| matches!(control, LdapControl::SimplePagedResults { cookie, .. } if cookie.is_empty()));
        let object = entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
        let page = LdapControl::SimplePagedResults { size: 0, cookie: b"next".to_vec() };
        if first { vec![(object, vec![]), (result(LdapResultCode::Success), vec![page])] } else { vec![done()] }
    })
    .await;
    let (objects, errors, verdict) = read(config).await;
    assert_eq!((objects.len(), errors.len()), (1, 0));
    assert!(!verdict.unwrap().is_complete());
}

#[tokio::test]
async fn a_server_that_cannot_page_after_all_is_read_at_once() {
    let config = server(|_, controls| {
        let object = entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
        if controls.is_empty() {
            vec![(object, vec![]), done()]
        } else {
            vec![(result(LdapResultCode::UnavailableCriticalExtension), vec![])]
        }
    })
    .await;
    let (objects, errors, verdict) = read(config).await;
    assert_eq!((objects.len(), verdict), (1, Some(Completeness::Complete)), "{errors:?}");
}

#[tokio::test]
async fn entries_that_break_their_schema_are_errors_of_their_own() {
    let config = server(|_, _| {
        let good = entry("cn=a,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID]), ("level", &["7"])]);
        let bad = entry("cn=b,dc=x", &[("objectClass", &["group"]), ("entryUUID", &["b"]), ("level", &["secret"])]);
        let nameless = entry("cn=c,dc=x", &[("objectClass", &["group"])]);
        vec![(good, vec![]), (bad, vec![]), (nameless, vec![]), done()]
    })
    .await;
    let (objects, errors, verdict) = read(config).await;
    assert_eq!((objects.len(), verdict), (1, Some(Completeness::Complete)));
    let shown: Vec<_> = errors.iter().map(|error| format!("{error} {:?}", error.what())).collect();
    expect_test::expect![[r#"
        [
            "cn=b,dc=x: a value of 'level' is not a whole number of 64 bits Object(\"b\")",
            "cn=c,dc=x: the entry shows no 'entryUUID', which identifies entries; may the name that is bound with read it? Anything",
        ]
    "#]]
    .assert_debug_eq(&shown);
}

/// A server that answers everything with the same bytes.
async fn parrot(bytes: Vec<u8>, endless: bool) -> LdapConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                while stream.write_all(&bytes).await.is_ok() && endless {}
                // Until the other side hangs up.
                let _ = stream.read(&mut [0; 4096]).await;
            });
        }
    });
    let mut config = LdapConfig::new("127.0.0.1", port, "dc=x");
    (config.timeout, config.read_timeout, config.attempts) = (Duration::from_millis(300), Duration::from_millis(300), 1);
    config
}

#[tokio::test]
async fn what_is_not_ldap_is_said_to_be_none() {
    let answers: [(&[u8], bool, ErrorKind); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, ErrorKind::Unexpected),
        (&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01], true, ErrorKind::Unexpected),
        (&[0x30, 0x80, 0, 0], false, ErrorKind::Unexpected),
        (&[0x30, 3, 2, 1, 1], false, ErrorKind::Unexpected),
        // A message that never ends.
        (&[0x30, 0x84, 0, 0xff, 0xff, 0xff, 2, 1, 1], false, ErrorKind::Unreachable),
        // The notice of disconnection.
        (
            b"\x30\x24\x02\x01\x00\x78\x1f\x0a\x01\x34\x04\x00\x04\x00\x8a\x16\x31.3.6.1.4.1.1466.20036",
            false,
            ErrorKind::Unreachable,
        ),
    ];
    for (bytes, endless, kind) in answers {
        let error = Ldap::new(parrot(bytes.to_vec(), endless).await).schema().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{bytes:x?}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_sends_byte_by_byte_does_not_hold_us() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // A message of some thousand bytes, of which one comes now and then.
            let _ = stream.write_all(&[0x30, 0x82, 0x10, 0, 2, 1, 1, 0x64, 0x82, 0x0f, 0xf9]).await;
            while stream.write_all(&[4]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    let mut config = LdapConfig::new("127.0.0.1", port, "dc=x");
    (config.timeout, config.read_timeout, config.attempts) = (Duration::from_millis(300), Duration::from_millis(300), 1);
    let connector = Ldap::new(config);
    let asked = tokio::time::timeout(Duration::from_secs(5), connector.schema()).await;
    assert_eq!(asked.expect("it is held").unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn parts_on_other_servers_are_passed_over_and_counted_or_are_an_error() {
    let mut config = server(|_, _| {
        let object = entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
        let elsewhere = LdapSearchResultReference { uris: vec!["ldap://other/ou=a,dc=x".to_owned()] };
        vec![(object, vec![]), (LdapOp::SearchResultReference(elsewhere), vec![]), done()]
    })
    .await;
    let (objects, errors, verdict) = read(config.clone()).await;
    assert_eq!((objects.len(), errors.len(), verdict.unwrap().is_complete()), (1, 0, false));
    config.referrals = Referrals::Throw;
    let (_, errors, verdict) = read(config).await;
    assert_eq!((errors[0].kind(), verdict), (ErrorKind::Unsupported, None));
}

#[tokio::test]
async fn passwords_are_not_asked_for() {
    let config = server(|request, _| {
        let asked: Vec<_> = request.attrs.iter().map(String::as_str).collect();
        assert_eq!(asked, ["objectClass", "entryUUID", "member", "level"]);
        let object = entry("cn=g,dc=x", &[("objectClass", &["group"]), ("entryUUID", &[UUID])]);
        vec![(object, vec![]), done()]
    })
    .await;
    let (objects, errors, _) = read(config).await;
    assert_eq!(objects.len(), 1, "{errors:?}");
}
