//! What goes wrong: connections that break, brokers that die or fall silent, queues, rights and passwords that go.

#![allow(clippy::unwrap_used)]

mod broker;

use std::time::{Duration, Instant};

use broker::{Kind, PATIENCE, Queue, about, config, connector, failure, name, next};
use lapin::types::AMQPValue;
use tidelock_amqp::{Amqp, AmqpConfig, DeadLetterTarget};
use tidelock_connector_api::{AsyncUpdates, BoxStream, Connector, Delivery, ErrorKind, Listening, Result};
use tidelock_messages::Secret;
use tidelock_servers::{RabbitMq, USER};

/// A user of the shared server, whose connections can be closed without those of other tests.
fn user(config: &mut AmqpConfig) -> String {
    let user = name();
    let server = RabbitMq::shared().unwrap();
    server.control(&["add_user", &user, "open sesame"]).unwrap();
    server.control(&["set_permissions", &user, ".*", ".*", ".*"]).unwrap();
    config.username = user.clone();
    config.password = Secret::Text("open sesame".into());
    user
}

/// Waits until the connector says that it listens so, while somebody waits for deliveries.
async fn comes_to_be(connector: &Amqp, deliveries: &mut BoxStream<'_, Result<Delivery>>, status: Listening) {
    use futures::StreamExt;
    let patience = Instant::now() + PATIENCE;
    while connector.status() != status {
        assert!(Instant::now() < patience, "{:?} does not come to be {status:?}", connector.status());
        let waiting = tokio::time::timeout(Duration::from_millis(20), deliveries.next()).await;
        assert!(waiting.is_err(), "something is delivered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_again_delivers_everything_in_its_order_again() {
    for (kind, single) in [(Kind::Quorum, false), (Kind::Quorum, true), (Kind::Classic, false)] {
        let mut server = RabbitMq::start().unwrap();
        let queue = Queue::with(&server, kind, &[("x-single-active-consumer", AMQPValue::Boolean(single))]).await;
        // RabbitMQ 3.10 does not find a quorum queue again that it was killed with in its first second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let ids: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
        for id in &ids {
            queue.publish(id).await;
        }
        let mut config = queue.config();
        config.prefetch = 10;
        // With a single active consumer, the broker itself keeps the order.
        config.exclusive = !single;
        let connector = connector(config);
        let mut deliveries = connector.deliveries();
        let mut taken = Vec::new();
        for _ in 0..10 {
            taken.push(next(&mut deliveries).await);
        }
        for delivery in taken.drain(..4) {
            delivery.acknowledge().await.unwrap();
        }
        for _ in 0..4 {
            taken.push(next(&mut deliveries).await);
        }
        // So that the broker has taken note of the acknowledgements.
        queue.wait_for(6).await;
        server.kill().unwrap();
        comes_to_be(&connector, &mut deliveries, Listening::Reconnecting).await;
        for stale in taken {
            let error = stale.acknowledge().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        }
        server.run().unwrap();
        let mut first = next(&mut deliveries).await;
        // A broker that dies may have forgotten acknowledgements that it had taken, and nothing else.
        let begin = ids[..5].iter().position(|id| *id == about(&first)).expect("something was lost, or is out of order");
        for id in &ids[begin..] {
            assert_eq!(about(&first), *id);
            first.acknowledge().await.unwrap();
            if id == &ids[19] {
                break;
            }
            first = next(&mut deliveries).await;
        }
        assert_eq!(connector.status(), Listening::Alive);

        // Gone for longer than anybody waits.
        let mut config = connector.config().clone();
        config.reconnect_timeout = Duration::from_secs(1);
        drop(deliveries);
        let connector = broker::connector(config);
        let mut deliveries = connector.deliveries();
        comes_to_be(&connector, &mut deliveries, Listening::Alive).await;
        server.stop().unwrap();
        let error = failure(&mut deliveries).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        assert_eq!(connector.status(), Listening::Down);
        // Never there: that is said at once.
        let begun = Instant::now();
        let error = failure(&mut connector.deliveries()).await;
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(connector.test().await.unwrap_err().kind(), ErrorKind::Unreachable);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_is_noticed_and_waited_for() {
    let mut server = RabbitMq::start().unwrap();
    let queue = Queue::of(&server, Kind::Quorum).await;
    let mut config = queue.config();
    config.heartbeat = Duration::from_secs(1);
    config.connect_timeout = Duration::from_secs(1);
    let connector = connector(config);
    let mut deliveries = connector.deliveries();
    queue.publish("a").await;
    let held = next(&mut deliveries).await;
    server.suspend().unwrap();
    comes_to_be(&connector, &mut deliveries, Listening::Reconnecting).await;
    // Long enough for attempts that nobody answers.
    let patience = Instant::now() + Duration::from_secs(4);
    while Instant::now() < patience {
        comes_to_be(&connector, &mut deliveries, Listening::Reconnecting).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(connector.test().await.unwrap_err().kind(), ErrorKind::Unreachable);
    server.resume().unwrap();
    let again = next(&mut deliveries).await;
    assert_eq!(again.id, held.id);
    assert!(held.acknowledge().await.is_err());
    again.acknowledge().await.unwrap();
    assert_eq!(connector.status(), Listening::Alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_short_of_memory_still_delivers_and_takes_acknowledgements() {
    let server = RabbitMq::start().unwrap();
    let queue = Queue::of(&server, Kind::Classic).await;
    let dead = name();
    queue.declare(&dead, Kind::Classic, &[]).await;
    for id in ["a", "b", "c", "d"] {
        queue.publish(id).await;
    }
    let mut config = queue.config();
    config.dead_letters = Some(DeadLetterTarget { exchange: String::new(), routing_key: Some(dead) });
    config.connect_timeout = Duration::from_secs(1);
    let connector = connector(config);
    let mut deliveries = connector.deliveries();
    next(&mut deliveries).await.reject("a reason").await.unwrap();
    server.control(&["set_vm_memory_high_watermark", "0"]).unwrap();
    next(&mut deliveries).await.acknowledge().await.unwrap();
    let error = next(&mut deliveries).await.reject("a reason").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    next(&mut deliveries).await.acknowledge().await.unwrap();
    assert_eq!(connector.status(), Listening::Alive);
    server.control(&["set_vm_memory_high_watermark", "0.8"]).unwrap();
    drop(deliveries);
    let mut deliveries = connector.deliveries();
    let delivery = next(&mut deliveries).await;
    assert_eq!(about(&delivery), "c");
    delivery.reject("another reason").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_broker_closes_is_made_again() {
    let queue = Queue::new().await;
    let mut config = queue.config();
    let user = user(&mut config);
    let connector = connector(config);
    let mut deliveries = connector.deliveries();
    let mut identities = Vec::new();
    for id in ["a", "b", "c"] {
        queue.publish(id).await;
        identities.push(next(&mut deliveries).await.id);
    }
    let server = RabbitMq::shared().unwrap();
    server.control(&["close_all_user_connections", &user, "for a test"]).unwrap();
    for id in identities {
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.id, id);
        delivery.acknowledge().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_ends_listening() {
    for kind in [Kind::Classic, Kind::Quorum] {
        let queue = Queue::of(RabbitMq::shared().unwrap(), kind).await;
        let connector = queue.connector();
        let mut deliveries = connector.deliveries();
        comes_to_be(&connector, &mut deliveries, Listening::Alive).await;
        queue.delete().await;
        let error = failure(&mut deliveries).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
        assert!(error.full_message().contains("no queue"), "{error:?}");
        assert_eq!(connector.status(), Listening::Down);
    }
}

/// At once: before version 4, RabbitMQ would have moved whoever listened to the new queue, and lost what that delivers on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_deleted_and_declared_again_is_listened_to() {
    for (kind, single) in [(Kind::Classic, false), (Kind::Quorum, false), (Kind::Quorum, true)] {
        for held in [true, false] {
            let arguments = [("x-single-active-consumer", AMQPValue::Boolean(single))];
            let queue = Queue::with(RabbitMq::shared().unwrap(), kind, &arguments).await;
            let connector = queue.connector();
            let mut deliveries = connector.deliveries();
            queue.publish("a").await;
            let mut before = Some(next(&mut deliveries).await);
            if !held {
                before.take().unwrap().acknowledge().await.unwrap();
            }
            // The connection holds: the broker cancels the consumer, and nothing else.
            queue.delete().await;
            queue.declare(&queue.name, kind, &arguments).await;
            queue.publish("b").await;
            let after = next(&mut deliveries).await;
            assert_eq!((about(&after), connector.status()), ("b".to_owned(), Listening::Alive), "{kind:?} {single} {held}");
            // It is the first one of another connection: who acknowledged this one would acknowledge that one, if they were mistaken
            // for each other.
            if let Some(before) = before {
                assert_eq!(before.acknowledge().await.unwrap_err().kind(), ErrorKind::Unreachable);
            }
            after.acknowledge().await.unwrap();
            drop(deliveries);
            assert_eq!(queue.waiting().await, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_meanwhile_ends_listening() {
    let queue = Queue::new().await;
    let mut config = queue.config();
    let user = user(&mut config);
    let connector = connector(config);
    let mut deliveries = connector.deliveries();
    comes_to_be(&connector, &mut deliveries, Listening::Alive).await;
    let server = RabbitMq::shared().unwrap();
    server.control(&["change_password", &user, "close sesame"]).unwrap();
    server.control(&["close_all_user_connections", &user, "for a test"]).unwrap();
    let error = failure(&mut deliveries).await;
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
    assert!(!error.full_message().contains("sesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_said_with_its_reason_and_never_with_the_password() {
    let queue = Queue::new().await;
    let server = RabbitMq::shared().unwrap();
    let check = async |config: AmqpConfig, kind: ErrorKind, part: &str| {
        let connector = connector(config);
        let tested = connector.test().await.unwrap_err();
        let heard = failure(&mut connector.deliveries()).await;
        for error in [tested, heard] {
            let message = error.full_message();
            assert_eq!(error.kind(), kind, "{message}");
            assert!(message.contains(part), "{message}");
            assert!(!message.contains("sesame"), "{message}");
        }
        assert_eq!(connector.status(), Listening::Down);
    };
    let mut wrong = queue.config();
    wrong.password = Secret::Text("open sesame".into());
    check(wrong, ErrorKind::Unauthenticated, "check 'username' and 'password'").await;

    let mut elsewhere = queue.config();
    elsewhere.virtual_host = "nowhere".to_owned();
    check(elsewhere, ErrorKind::Config, "check 'virtualHost'").await;

    check(config(server.port(), "no-such-queue"), ErrorKind::Config, "no queue 'no-such-queue'").await;

    let mut powerless = queue.config();
    let user = user(&mut powerless);
    server.control(&["set_permissions", &user, "^$", "^$", "^$"]).unwrap();
    // Nobody needs a right to look at a queue, so that only listening shows this.
    let error = failure(&mut connector(powerless.clone()).deliveries()).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    server.control(&["clear_permissions", &user]).unwrap();
    check(powerless, ErrorKind::Denied, "refused").await;

    let mut unset = queue.config();
    unset.password = Secret::Variable("TIDELOCK_TEST_NO_SUCH_VARIABLE".to_owned());
    check(unset, ErrorKind::Config, "TIDELOCK_TEST_NO_SUCH_VARIABLE").await;

    let mut encrypted = queue.config();
    encrypted.trust = Some(tidelock_amqp::Trust::System);
    // A broker that does not know TLS closes the connection, or sends what is no TLS.
    let connector = connector(encrypted);
    let error = connector.test().await.unwrap_err();
    assert!(error.full_message().contains("TLS"), "{error:?}");
    assert_eq!(server.control(&["authenticate_user", USER, "wrong"]).ok(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_something_else_is_named() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut room = [0; 8];
            let _ = stream.read_exact(&mut room).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        }
    });
    let error = connector(config(port, "queue")).test().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
    assert!(error.full_message().contains("AMQP 0-9-1"), "{error:?}");
}
