//! The faults of the resource in memory.

#![allow(clippy::unwrap_used)]

use futures::{FutureExt, StreamExt};
use tidelock_connector_api::memory::{Call, Faults, Memory, Options};
use tidelock_connector_api::{
    AsyncUpdates, ChangesRequest, Connector, Error, ErrorKind, Found, IncompleteReason, LiveSync, Result, SearchRequest,
    SyncEvent, Token, TokenPrecision,
};
use tidelock_model::object::Schema;

fn resource() -> Memory {
    let options = Options::default().with_live_sync(TokenPrecision::EndOfRun).with_async_updates();
    let resource = Memory::with_options(Schema::default().with_class("account", "login", &["mail"]), options);
    for identifier in ["a", "b", "c"] {
        resource.put("account", identifier, &[]).unwrap();
    }
    resource
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory does not wait")
}

fn search(resource: &Memory) -> String {
    let show = |item: Result<Found>| match item {
        Ok(Found::Object(object)) => object.identifier.to_string(),
        Ok(Found::End(verdict)) if verdict.is_complete() => "complete".to_owned(),
        Ok(Found::End(_)) => "incomplete".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    now(resource.search(SearchRequest::new("account")).map(show).collect::<Vec<_>>()).join(" ")
}

fn check(faults: Faults, expected: &str) {
    let resource = resource();
    resource.set_faults(faults);
    assert_eq!(search(&resource), expected);
}

#[test]
fn a_search_fails_as_it_is_told_to() {
    check(Faults::new(), "a b c complete");
    check(Faults::new().fail_call(Call::Search, 1, ErrorKind::Throttled), "Throttled");
    check(Faults::new().fail_call(Call::Search, 2, ErrorKind::Throttled), "a b c complete");
    check(Faults::new().fail_item(2, ErrorKind::InvalidData), "a InvalidData c complete");
    check(Faults::new().fail_item(2, ErrorKind::Unreachable), "a Unreachable");
    check(Faults::new().unreadable("c"), "a b InvalidData complete");
    check(Faults::new().repeated("b"), "a b b c complete");
    check(Faults::new().end_search_after(1, Some(IncompleteReason::Limit)), "a incomplete");
    check(Faults::new().end_search_after(2, None), "a b");
}

#[test]
fn another_order_is_always_the_same_for_a_seed_and_some_seed_differs() {
    let order = |seed| {
        let resource = resource();
        resource.set_faults(Faults::new().reordered(seed));
        search(&resource)
    };
    assert!((0..10).all(|seed| order(seed) == order(seed)));
    assert!((0..10).any(|seed| order(seed) != "a b c complete"));
}

#[test]
fn a_stream_of_changes_breaks_off_where_it_is_told_to() {
    for (after, expected) in [(0, 0), (2, 2), (3, 3), (4, 4)] {
        let resource = resource();
        let beginning = Token::new(&b"memory/0"[..]);
        resource.set_faults(Faults::new().end_changes_after(after));
        let items = now(resource.changes(ChangesRequest::new(beginning)).collect::<Vec<_>>());
        assert_eq!((items.len(), items.iter().any(|item| matches!(item, Ok(SyncEvent::End(_))))), (expected, after == 4));
        resource.close();
        assert_eq!(now(resource.deliveries().count()), after.min(3));
    }
}

#[test]
fn messages_come_twice_and_in_another_order_but_those_of_one_object_in_theirs() {
    let order = |faults| {
        let resource = resource();
        resource.put("account", "b", &[("mail", "x")]).unwrap();
        resource.close();
        resource.set_faults(faults);
        let deliveries = now(resource.deliveries().collect::<Vec<_>>());
        let shown = deliveries.iter().map(|delivery| {
            let delivery = delivery.as_ref().unwrap();
            let number = delivery.id.as_ref().unwrap().0.trim_start_matches("message-").to_owned();
            format!("{}{number}", delivery.changes.as_ref().unwrap()[0].identifier)
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order(Faults::new()), "a1 b2 c3 b4");
    assert_eq!(order(Faults::new().repeated("b")), "a1 b2 b2 c3 b4 b4");
    let orders: Vec<String> = (0..20).map(|seed| order(Faults::new().reordered(seed))).collect();
    assert!(orders.iter().all(|order| order.find("b2") < order.find("b4")), "{orders:?}");
    assert!(orders.iter().any(|order| !order.starts_with("a1 b2 c3")), "{orders:?}");
}

#[test]
fn a_delayed_stream_waits_for_what_delays_it() {
    let resource = resource();
    let (open, gate) = futures::channel::oneshot::channel::<()>();
    let gate = gate.map(drop).shared();
    resource.set_faults(Faults::new().delayed(move || gate.clone().boxed()));
    let mut stream = resource.search(SearchRequest::new("account"));
    assert!(stream.next().now_or_never().is_none());
    open.send(()).unwrap();
    assert_eq!(now(stream.collect::<Vec<_>>()).len(), 4);
}

#[test]
fn a_token_from_before_the_history_was_forgotten_is_expired() {
    let resource = resource();
    let before = now(resource.current_token(None)).unwrap();
    resource.forget_history();
    let first = |token| now(resource.changes(ChangesRequest::new(token)).next()).unwrap();
    assert_eq!(first(before).unwrap_err().kind(), ErrorKind::TokenExpired);
    let after = now(resource.current_token(None)).unwrap();
    assert_eq!(first(after.clone()).unwrap(), SyncEvent::End(after.clone()));
    resource.remove("account", "a").unwrap();
    assert!(matches!(first(after).unwrap(), SyncEvent::Change(change, None) if &*change.identifier == "a"));
}

#[test]
fn a_message_of_an_object_waits_for_the_one_before_it() {
    let resource = Memory::with_options(
        Schema::default().with_class("account", "login", &["mail"]),
        Options::default().with_async_updates(),
    );
    resource.put("account", "a", &[]).unwrap();
    resource.put("account", "a", &[("mail", "x")]).unwrap();
    resource.put("account", "b", &[]).unwrap();
    let (mut first, mut second) = (resource.deliveries(), resource.deliveries());
    let held = now(first.next()).unwrap().unwrap();
    let other = now(second.next()).unwrap().unwrap();
    assert_eq!(&*other.changes.as_ref().unwrap()[0].identifier, "b");
    assert!(second.next().now_or_never().is_none());
    now(held.acknowledge()).unwrap();
    assert!(second.next().now_or_never().is_some());
}

#[test]
fn messages_are_counted_until_they_are_settled_and_a_failed_settling_settles_nothing() {
    let resource = resource();
    resource.publish(Err(Error::invalid_data("not JSON")));
    assert_eq!(resource.unsettled(), 4);
    resource.set_faults(Faults::new().fail_call(Call::Acknowledge, 1, ErrorKind::Unreachable));
    let mut stream = resource.deliveries();
    let mut next = || now(stream.next()).unwrap().unwrap();
    assert!(now(next().acknowledge()).is_err());
    now(next().acknowledge()).unwrap();
    now(next().acknowledge()).unwrap();
    let unreadable = next();
    assert_eq!(unreadable.changes.as_ref().unwrap_err().kind(), ErrorKind::InvalidData);
    let id = unreadable.id.clone().unwrap();
    now(unreadable.reject("no use")).unwrap();
    assert_eq!(resource.rejected(), [(id, "no use".to_owned())]);
    assert_eq!((resource.unsettled(), resource.calls(Call::Acknowledge)), (1, 3));
    resource.close();
    assert!(now(stream.next()).is_none());
    assert_eq!(now(resource.deliveries().count()), 1);
}

#[test]
fn what_breaks_the_schema_is_refused() {
    let resource = resource();
    let kind = |result: Result<()>| result.unwrap_err().kind();
    let object = resource.get("account", "a").unwrap();
    assert_eq!(kind(resource.insert(object)), ErrorKind::AlreadyExists);
    assert_eq!(kind(resource.put("group", "a", &[])), ErrorKind::Unsupported);
    assert_eq!(kind(resource.put("account", "", &[])), ErrorKind::InvalidData);
    assert_eq!(kind(resource.remove("account", "z")), ErrorKind::NotFound);
    assert_eq!(kind(resource.update("account", "z", [])), ErrorKind::NotFound);
}
