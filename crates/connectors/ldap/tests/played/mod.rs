//! A server that is played by another implementation of the protocol.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use ldap3_proto::LdapCodec;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapMsg, LdapOp, LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
};
use tidelock_ldap::LdapConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

/// What identifies the one object that there mostly is.
pub const UUID: &str = "11111111-2222-4333-8444-555555555555";

/// The control that asks for content synchronization.
const SYNC: &str = "1.3.6.1.4.1.4203.1.9.1.1";

/// A server that answers each search with what a function makes of it; an unbind among the answers cuts the connection.
pub async fn server<F>(answer: F) -> LdapConfig
where
    F: Fn(&LdapSearchRequest, &[LdapControl]) -> Vec<(LdapOp, Vec<LdapControl>)> + Clone + Send + 'static,
{
    writable(answer, |_| None).await
}

/// The same, with an answer to everything else that it is asked for; where there is none, it is silent.
pub async fn writable<F, W>(answer: F, write: W) -> LdapConfig
where
    F: Fn(&LdapSearchRequest, &[LdapControl]) -> Vec<(LdapOp, Vec<LdapControl>)> + Clone + Send + 'static,
    W: Fn(&LdapMsg) -> Option<LdapOp> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer.clone(), write.clone()));
        }
    });
    let mut config = LdapConfig::new("127.0.0.1", port, "dc=x");
    (config.timeout, config.read_timeout, config.attempts) = (Duration::from_secs(2), Duration::from_secs(2), 1);
    config
}

async fn serve<F, W>(stream: TcpStream, answer: F, write: W)
where
    F: Fn(&LdapSearchRequest, &[LdapControl]) -> Vec<(LdapOp, Vec<LdapControl>)>,
    W: Fn(&LdapMsg) -> Option<LdapOp>,
{
    let mut framed = Framed::new(stream, LdapCodec::default());
    while let Some(Ok(message)) = framed.next().await {
        let LdapOp::SearchRequest(request) = &message.op else {
            if let Some(op) = write(&message) {
                let _ = framed.send(LdapMsg { msgid: message.msgid, op, ctrl: vec![] }).await;
            }
            continue;
        };
        let answers = match &*request.base {
            "" => vec![
                (
                    entry("", &[("subschemaSubentry", &["cn=schema"]), ("supportedControl", &["1.2.840.113556.1.4.319", SYNC])]),
                    vec![],
                ),
                done(),
            ],
            "cn=schema" => vec![(schema(), vec![]), done()],
            _ => answer(request, &message.ctrl),
        };
        for (op, ctrl) in answers {
            if op == LdapOp::UnbindRequest {
                return;
            }
            if framed.send(LdapMsg { msgid: message.msgid, op, ctrl }).await.is_err() {
                return;
            }
        }
    }
}

fn schema() -> LdapOp {
    entry(
        "cn=schema",
        &[
            (
                "attributeTypes",
                &[
                    "( 2.5.4.0 NAME 'objectClass' EQUALITY objectIdentifierMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.38 )",
                    "( 2.5.4.31 NAME 'member' SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )",
                    "( 1.1 NAME 'level' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )",
                    "( 2.5.4.35 NAME 'userPassword' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )",
                ],
            ),
            ("objectClasses", &["( 2.5.6.9 NAME 'group' STRUCTURAL MUST objectClass MAY ( member $ level $ userPassword ) )"]),
        ],
    )
}

pub fn entry(dn: &str, attributes: &[(&str, &[&str])]) -> LdapOp {
    let attribute = |(name, values): &(&str, &[&str])| LdapPartialAttribute {
        atype: (*name).to_owned(),
        vals: values.iter().map(|value| value.as_bytes().to_vec()).collect(),
    };
    LdapOp::SearchResultEntry(LdapSearchResultEntry { dn: dn.to_owned(), attributes: attributes.iter().map(attribute).collect() })
}

pub fn result(code: LdapResultCode) -> LdapOp {
    LdapOp::SearchResultDone(LdapResult { code, matcheddn: String::new(), message: String::new(), referral: vec![] })
}

pub fn done() -> (LdapOp, Vec<LdapControl>) {
    (result(LdapResultCode::Success), vec![])
}
