//! How soon changes are heard of: `cargo run --release --example ldap_changes -- PORT BASE CLASS BIND_DN PASSWORD [MODIFICATIONS PER_SECOND]`.
//!
//! Modifies entries at a steady pace, listens meanwhile, and asks for everything that changed afterwards.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tidelock_connector_api::{ChangesRequest, Connector, Found, Modification, ModifyRequest, SearchRequest, SyncEvent};
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource};
use tidelock_model::{Value, Values};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, base, class, name, password, rest @ ..] = arguments.as_slice() else {
        panic!("give the port, the base, the class, a name to bind and its password");
    };
    let number = |at: usize, default: u64| rest.get(at).map_or(default, |text| text.parse().unwrap());
    let (modifications, pace) = (number(0, 1000), number(1, 400));
    let mut config = LdapConfig::new("127.0.0.1", port.parse().unwrap(), base.as_str());
    config.bind = Some(Bind { name: name.clone(), password: PasswordSource::Text(password.as_str().into()) });
    let connector = Arc::new(Ldap::new(config));
    let mut identifiers = Vec::new();
    let mut stream = connector.search(SearchRequest::new(class.as_str()));
    while let Some(Ok(Found::Object(object))) = stream.next().await {
        identifiers.push(object.identifier);
        if identifiers.len() as u64 >= modifications {
            break;
        }
    }
    drop(stream);
    let before = connector.live_sync().unwrap().current_token(Some(class)).await.unwrap();

    let heard: Arc<Mutex<HashMap<Box<str>, Instant>>> = Arc::default();
    let (listening, told) = (Arc::clone(&connector), Arc::clone(&heard));
    let listener = tokio::spawn(async move {
        let mut deliveries = listening.async_updates().unwrap().deliveries();
        while let Some(delivery) = deliveries.next().await {
            let delivery = delivery.unwrap();
            for change in delivery.changes.as_ref().unwrap() {
                told.lock().unwrap().entry(change.identifier.clone()).or_insert_with(Instant::now);
            }
            delivery.acknowledge().await.unwrap();
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut answered = HashMap::new();
    let mut clock = tokio::time::interval(Duration::from_micros(1_000_000 / pace));
    let provision = connector.provision().unwrap();
    for (number, identifier) in identifiers.iter().enumerate() {
        clock.tick().await;
        let values = Values::from_iter([Value::string(format!("{number} {:?}", Instant::now()))]);
        let modification = Modification::Replace("description".into(), values);
        provision.modify(ModifyRequest::new(class.as_str(), identifier.clone(), vec![modification])).await.unwrap();
        answered.insert(identifier.clone(), Instant::now());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    listener.abort();
    report(&answered, &heard.lock().unwrap());

    let begun = Instant::now();
    let mut changed = 0;
    let mut stream = connector.live_sync().unwrap().changes(ChangesRequest::new(before).with_class(class.as_str()));
    while let Some(event) = stream.next().await {
        changed += u64::from(matches!(event.unwrap(), SyncEvent::Change(..)));
    }
    println!("{changed} changes asked for in {:.3} s", begun.elapsed().as_secs_f64());
}

/// Says how long after the server's answer changes were heard of.
fn report(answered: &HashMap<Box<str>, Instant>, heard: &HashMap<Box<str>, Instant>) {
    let mut delays: Vec<f64> = answered
        .iter()
        .filter_map(|(identifier, answered)| heard.get(identifier).map(|heard| heard.saturating_duration_since(*answered)))
        .map(|delay| delay.as_secs_f64() * 1000.0)
        .collect();
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or_default();
    println!(
        "{} of {} heard: p50 {:.2} ms, p99 {:.2} ms, last {:.2} ms",
        delays.len(),
        answered.len(),
        at(0.5),
        at(0.99),
        at(0.9999)
    );
}
