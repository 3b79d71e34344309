//! Listening to a RabbitMQ that works: what comes, in which order, and what becomes of it.

#![allow(clippy::unwrap_used)]

mod broker;

use std::time::Duration;

use broker::{Kind, Queue, about, body, connector, connector_with, name, next, text};
use futures::StreamExt;
use futures::future::join_all;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use tidelock_amqp::{DeadLetterTarget, Identity};
use tidelock_connector_api::{AsyncUpdates, Connector, ErrorKind, Listening, OnFailure, SearchRequest};
use tidelock_servers::RabbitMq;

/// Takes so many deliveries, and says what they are about.
async fn take(
    deliveries: &mut tidelock_connector_api::BoxStream<'_, tidelock_connector_api::Result<tidelock_connector_api::Delivery>>,
    count: usize,
) -> (Vec<tidelock_connector_api::Delivery>, Vec<String>) {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(deliveries).await);
    }
    let objects = taken.iter().map(about).collect();
    (taken, objects)
}

fn objects(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("p{number}")).collect()
}

async fn publish(queue: &Queue, numbers: std::ops::Range<usize>) {
    let messages = objects(numbers).into_iter().map(|id| {
        let body = body(&id);
        (BasicProperties::default().with_message_id(id.into()), body)
    });
    queue.publish_all(messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_was_acknowledged_is_gone_in_whatever_groups_and_order_that_was_done() {
    for kind in [Kind::Classic, Kind::Quorum] {
        let queue = Queue::of(RabbitMq::shared().unwrap(), kind).await;
        publish(&queue, 0..300).await;
        let connector = queue.connector();
        let mut deliveries = connector.deliveries();
        let (taken, found) = take(&mut deliveries, 200).await;
        assert_eq!(found, objects(0..200));
        assert_eq!(connector.status(), Listening::Alive);
        // The first hundred in one group, of the second all but every tenth, last first.
        let mut taken: Vec<_> = taken.into_iter().enumerate().collect();
        let second = taken.split_off(100);
        for outcome in join_all(taken.into_iter().map(|(_, delivery)| delivery.acknowledge())).await {
            outcome.unwrap();
        }
        let (kept, settled): (Vec<_>, Vec<_>) = second.into_iter().rev().partition(|(number, _)| number % 10 == 0);
        for outcome in join_all(settled.into_iter().map(|(_, delivery)| delivery.acknowledge())).await {
            outcome.unwrap();
        }
        drop((kept, deliveries));
        assert_eq!(connector.status(), Listening::Down);
        let mut deliveries = connector.deliveries();
        let left: Vec<usize> = (100..200).filter(|number| number % 10 == 0).chain(200..300).collect();
        let (taken, found) = take(&mut deliveries, left.len()).await;
        assert_eq!(found, objects(left));
        join_all(taken.into_iter().map(tidelock_connector_api::Delivery::acknowledge)).await;
        drop(deliveries);
        assert_eq!(queue.waiting().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_messages_come_than_may_be_unacknowledged() {
    let queue = Queue::new().await;
    publish(&queue, 0..10).await;
    let mut config = queue.config();
    config.prefetch = 3;
    let connector = connector(config);
    let mut deliveries = connector.deliveries();
    let (taken, _) = take(&mut deliveries, 3).await;
    let more = tokio::time::timeout(Duration::from_millis(300), deliveries.next()).await;
    assert!(more.is_err());
    join_all(taken.into_iter().map(tidelock_connector_api::Delivery::acknowledge)).await;
    let (_, found) = take(&mut deliveries, 3).await;
    assert_eq!(found, objects(3..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_listener_takes_over_and_gets_what_the_one_before_still_has() {
    let queue = Queue::new().await;
    publish(&queue, 0..5).await;
    let connector = queue.connector();
    let mut first = connector.deliveries();
    let (mut taken, _) = take(&mut first, 3).await;
    taken.remove(0).acknowledge().await.unwrap();
    let mut second = connector.deliveries();
    let (again, found) = take(&mut second, 4).await;
    assert_eq!(found, objects(1..5));
    // What the first listener has is of a connection that is gone; it acknowledges nothing, least of all its namesake.
    for stale in taken {
        assert_eq!(stale.acknowledge().await.unwrap_err().kind(), ErrorKind::Unreachable);
    }
    assert!(first.next().await.is_none());
    assert_eq!(connector.status(), Listening::Alive);
    drop((second, again));
    let mut third = connector.deliveries();
    let (_, found) = take(&mut third, 4).await;
    assert_eq!(found, objects(1..5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_can_be_acknowledged_after_its_stream_was_dropped() {
    let queue = Queue::new().await;
    publish(&queue, 0..3).await;
    let connector = queue.connector();
    let mut deliveries = connector.deliveries();
    let (mut taken, _) = take(&mut deliveries, 2).await;
    drop(deliveries);
    taken.remove(0).acknowledge().await.unwrap();
    drop(taken);
    let mut deliveries = connector.deliveries();
    let (_, found) = take(&mut deliveries, 2).await;
    assert_eq!(found, objects(1..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_of_us_consumes_meanwhile() {
    for kind in [Kind::Classic, Kind::Quorum] {
        let queue = Queue::of(RabbitMq::shared().unwrap(), kind).await;
        publish(&queue, 0..1).await;
        let (one, other) = (queue.connector(), queue.connector());
        let mut first = one.deliveries();
        let taken = next(&mut first).await;
        let mut second = other.deliveries();
        let early = tokio::time::timeout(Duration::from_secs(1), second.next()).await;
        assert!(early.is_err());
        assert_eq!(other.status(), Listening::Reconnecting);
        drop((taken, first));
        assert_eq!(about(&next(&mut second).await), "p0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_waits_for_a_queue_in_vain_says_so() {
    for kind in [Kind::Classic, Kind::Quorum] {
        let queue = Queue::of(RabbitMq::shared().unwrap(), kind).await;
        let one = queue.connector();
        let mut first = one.deliveries();
        publish(&queue, 0..1).await;
        let _taken = next(&mut first).await;
        let mut config = queue.config();
        config.reconnect_timeout = Duration::from_millis(500);
        let other = connector(config);
        let error = broker::failure(&mut other.deliveries()).await;
        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert!(error.full_message().contains("somebody else consumes from it"), "{error:?}");
        assert_eq!(other.status(), Listening::Down);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_a_single_active_consumer_is_listened_to() {
    for kind in [Kind::Classic, Kind::Quorum] {
        let server = RabbitMq::shared().unwrap();
        let queue = Queue::with(server, kind, &[("x-single-active-consumer", AMQPValue::Boolean(true))]).await;
        publish(&queue, 0..2).await;
        let connector = queue.connector();
        let (_, found) = take(&mut connector.deliveries(), 2).await;
        assert_eq!(found, objects(0..2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_message_goes_to_the_dead_letters_with_the_reason() {
    let queue = Queue::new().await;
    let dead = name();
    queue.declare(&dead, Kind::Quorum, &[]).await;
    let elsewhere = name();
    queue.declare(&elsewhere, Kind::Classic, &[]).await;
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), text("north"));
    // Copied, this would send the dead letter to another queue, too.
    headers.insert("BCC".into(), AMQPValue::FieldArray(FieldArray::from(Vec::new())));
    let properties = BasicProperties::default()
        .with_message_id("17".into())
        .with_app_id("payroll".into())
        .with_content_type("application/json".into())
        .with_user_id(tidelock_servers::USER.into())
        .with_headers(headers);
    queue.publish_with(properties.clone(), b"no change at all").await;
    queue.publish_with(properties, b"nor this").await;

    let mut config = queue.config();
    config.dead_letters = Some(DeadLetterTarget { exchange: String::new(), routing_key: Some(dead.clone()) });
    let connector = connector_with(config, OnFailure::Skip);
    connector.test().await.unwrap();
    assert_eq!(connector.on_failure(), OnFailure::Skip);
    let mut deliveries = connector.deliveries();
    for reason in ["it makes no sense", "neither does this"] {
        let delivery = next(&mut deliveries).await;
        assert_eq!(&*delivery.id.as_ref().unwrap().0, &*format!("%2F/{}/payroll/17", queue.name));
        let error = delivery.changes.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(!error.full_message().contains("no change at all"));
        delivery.reject(reason).await.unwrap();
    }
    drop(deliveries);
    assert_eq!(queue.waiting().await, 0);

    let letter = queue.take(&dead).await.unwrap();
    assert_eq!(letter.data, b"no change at all");
    let kept = &letter.properties;
    assert_eq!(kept.message_id().as_ref().unwrap().as_str(), "17");
    assert_eq!(kept.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(*kept.delivery_mode(), Some(2));
    let headers = kept.headers().as_ref().unwrap().inner();
    assert_eq!(headers["x-tidelock-reason"], text("it makes no sense"));
    assert_eq!(headers["x-tidelock-queue"], text(&queue.name));
    assert_eq!(headers["x-tidelock-exchange"], text(""));
    assert_eq!(headers["x-tidelock-routing-key"], text(&queue.name));
    assert_eq!(headers["x-tidelock-message-id"], text("17"));
    assert_eq!(headers["tenant"], text("north"));
    assert!(!headers.contains_key("BCC"));
    let second = queue.take(&dead).await.unwrap();
    assert_eq!(second.properties.headers().as_ref().unwrap().inner()["x-tidelock-reason"], text("neither does this"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_dead_letter_queue_takes_is_not_lost() {
    let queue = Queue::new().await;
    publish(&queue, 0..1).await;
    let mut config = queue.config();
    config.dead_letters = Some(DeadLetterTarget { exchange: String::new(), routing_key: Some(name()) });
    let connector = connector(config);
    assert_eq!(connector.test().await.unwrap_err().kind(), ErrorKind::Config);
    let mut deliveries = connector.deliveries();
    let error = next(&mut deliveries).await.reject("a reason").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    drop(deliveries);
    assert_eq!(about(&next(&mut connector.deliveries()).await), "p0");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_target_of_ours_the_brokers_own_rules_for_dead_letters_hold() {
    let server = RabbitMq::shared().unwrap();
    let dead = Queue::new().await;
    let arguments = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(&dead.name))];
    let queue = Queue::with(server, Kind::Quorum, &arguments).await;
    publish(&queue, 0..1).await;
    let connector = queue.connector();
    let mut deliveries = connector.deliveries();
    next(&mut deliveries).await.reject("a reason").await.unwrap();
    dead.wait_for(1).await;
    assert_eq!(queue.waiting().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_an_identity_has_none() {
    let queue = Queue::new().await;
    queue.publish_with(BasicProperties::default(), &body("a")).await;
    queue.publish("b").await;
    let connector_of_ids = queue.connector();
    let mut deliveries = connector_of_ids.deliveries();
    let first = next(&mut deliveries).await;
    assert_eq!(first.id, None);
    // It can be found all the same.
    let name = format!("delivery 1 of the queue '{0}', with the routing key '{0}'", queue.name);
    assert_eq!(first.name.as_deref(), Some(name.as_str()));
    assert_eq!(first.size, body("a").len());
    let second = next(&mut deliveries).await;
    assert_eq!(&*second.id.as_ref().unwrap().0, &*format!("%2F/{}/b", queue.name));
    assert_eq!(second.name, None);
    drop((first, second, deliveries));
    let mut config = queue.config();
    config.identity = Identity::None;
    let connector = connector(config);
    let (taken, _) = take(&mut connector.deliveries(), 2).await;
    assert!(taken.iter().all(|delivery| delivery.id.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn big_messages_come_and_those_that_are_too_big_say_so() {
    let queue = Queue::new().await;
    let big = |id: &str, size: usize| {
        let name = "n".repeat(size);
        format!(r#"{{"class": "person", "id": "{id}", "change": "full", "attributes": {{"name": "{name}"}}}}"#)
    };
    for (id, size) in [("big", 7 << 20), ("bigger", 9 << 20), ("small", 1)] {
        queue.publish_with(BasicProperties::default().with_message_id(id.into()), big(id, size).as_bytes()).await;
    }
    let connector = queue.connector();
    let mut deliveries = connector.deliveries();
    let delivery = next(&mut deliveries).await;
    assert_eq!(about(&delivery), "big");
    delivery.acknowledge().await.unwrap();
    let delivery = next(&mut deliveries).await;
    assert_eq!(delivery.changes.as_ref().unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(delivery.id.as_ref().unwrap().0.ends_with("/bigger"));
    delivery.reject("too big").await.unwrap();
    assert_eq!(about(&next(&mut deliveries).await), "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_errors_of_their_own() {
    let queue = Queue::new().await;
    let properties = BasicProperties::default().with_message_id("a".into()).with_content_encoding("gzip".into());
    queue.publish_with(properties, &body("a")).await;
    let connector = queue.connector();
    let delivery = next(&mut connector.deliveries()).await;
    assert!(delivery.changes.as_ref().unwrap_err().full_message().contains("content encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_only_sends_changes_says_that_it_cannot_be_searched() {
    let queue = Queue::new().await;
    let connector = queue.connector();
    let error = connector.search(SearchRequest::new("person")).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.full_message().contains("only brings changes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_capabilities_warn_of_others_who_consume() {
    let queue = Queue::new().await;
    publish(&queue, 0..7).await;
    let connector = queue.connector();
    let findings = connector.capabilities().await.unwrap();
    let found = |subject: &str| findings.iter().find(|finding| &*finding.subject == subject).unwrap();
    assert!(found("queue").found.contains("7 messages"));
    assert!(!found("order of changes").doubtful);
    let other = queue.connector();
    let mut deliveries = other.deliveries();
    let _taken = next(&mut deliveries).await;
    let findings = connector.capabilities().await.unwrap();
    let order = findings.iter().find(|finding| &*finding.subject == "order of changes").unwrap();
    assert!(order.doubtful && order.found.contains("1 others"), "{order:?}");
    // Ourselves we do not warn of.
    let findings = other.capabilities().await.unwrap();
    assert!(!findings.iter().find(|finding| &*finding.subject == "order of changes").unwrap().doubtful);
}
