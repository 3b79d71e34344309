//! Single jobs of the connector, for `cargo xtask bench ldap` to measure: `measure JOB PORT BASE BIND_DN PASSWORD [ARGUMENTS]`.
//!
//! * `read CLASS` reads all objects of a class, typed.
//! * `token CLASS FILE` writes the token of now to a file.
//! * `changes CLASS FILE` reads what has changed since that token.
//! * `modify CLASS COUNT RATE` modifies so many objects, so many a second: the n-th gets the `description` `m<n>`. For each it
//!   prints the number, the identifier, and when the server had answered (microseconds since 1970).
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use tidelock_connector_api::{ChangesRequest, Connector, Found, Modification, ModifyRequest, SearchRequest, SyncEvent, Token};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource};
use tidelock_model::{Value, Values};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [job, port, base, name, password, rest @ ..] = arguments.as_slice() else {
        panic!("give a job, the port, the base, a name to bind and its password");
    };
    let mut config = LdapConfig::new("127.0.0.1", port.parse().unwrap(), *base);
    config.bind = Some(Bind { name: (*name).to_owned(), password: PasswordSource::Text((*password).into()) });
    let connector = Ldap::new(config);
    connector.schema().await.unwrap();
    match (*job, rest) {
        ("read", [class]) => println!("{}", read(&connector, class).await),
        ("token", [class, file]) => {
            let token = connector.live_sync().unwrap().current_token(Some(class)).await.unwrap();
            std::fs::write(file, token.as_bytes()).unwrap();
        }
        ("changes", [class, file]) => println!("{}", changes(&connector, class, Token::new(std::fs::read(file).unwrap())).await),
        ("modify", [class, count, rate]) => modify(&connector, class, count.parse().unwrap(), rate.parse().unwrap()).await,
        _ => panic!("there is no such job, or it takes other arguments"),
    }
}

async fn read(connector: &Ldap, class: &str) -> String {
    let (mut objects, mut values) = (0_u64, 0_usize);
    let mut stream = connector.search(SearchRequest::new(class));
    while let Some(item) = stream.next().await {
        match item.unwrap() {
            Found::Object(object) => {
                objects += 1;
                values += object.attributes.iter().map(|(_, values)| values.len()).sum::<usize>();
            }
            Found::End(verdict) => assert!(verdict.is_complete(), "{verdict:?}"),
        }
    }
    format!("{objects} objects, {values} values")
}

async fn changes(connector: &Ldap, class: &str, after: Token) -> String {
    let (mut changes, mut present) = (0_u64, 0_usize);
    let mut stream = connector.live_sync().unwrap().changes(ChangesRequest::new(after).with_class(class));
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            SyncEvent::Change(..) => changes += 1,
            SyncEvent::Present(identifiers) => present += identifiers.len(),
            SyncEvent::End(_) => {}
        }
    }
    format!("{changes} changes, {present} present")
}

async fn modify(connector: &Ldap, class: &str, count: usize, rate: u64) {
    let identifiers = some(connector, class, count).await;
    let provision = connector.provision().unwrap();
    let mut clock = tokio::time::interval(Duration::from_micros(1_000_000 / rate.max(1)));
    for (number, identifier) in identifiers.iter().enumerate() {
        clock.tick().await;
        let values = Values::from_iter([Value::string(format!("m{number}"))]);
        let modification = Modification::Replace("description".into(), values);
        provision.modify(ModifyRequest::new(class, identifier.clone(), vec![modification])).await.unwrap();
        let answered = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        println!("{number} {identifier} {answered}");
        std::io::stdout().flush().unwrap();
    }
}

/// The identifiers of some objects.
async fn some(connector: &Ldap, class: &str, count: usize) -> Vec<Box<str>> {
    let mut identifiers = Vec::with_capacity(count);
    let mut stream = connector.search(SearchRequest::new(class));
    while let Some(Ok(Found::Object(object))) = stream.next().await {
        identifiers.push(object.identifier);
        if identifiers.len() >= count {
            break;
        }
    }
    identifiers
}
