//! Messages that a stream discards before they are taken: nobody goes on as if nothing had been lost.

use async_nats::jetstream::stream::RetentionPolicy;
use tidelock_connector_api::{AsyncUpdates, Delivery, ErrorKind, Listening, Token};
use tidelock_nats::Nats as Connector;
use tidelock_servers::Nats;

use crate::order::{acknowledge, check, numbers};
use crate::stream::{Stream, full, id, ids, listen, next, take};

/// A stream that keeps so many messages.
async fn keeping(most: i64) -> Stream {
    let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
    stream.limit(|config| config.max_messages = most).await;
    stream
}

/// Takes so many messages, whose effects are committed, and acknowledges them; the position behind them.
async fn settled(connector: &Connector, token: Option<Token>, count: usize) -> Option<Token> {
    let mut deliveries = listen(connector, token);
    let taken = take(&mut deliveries, count).await;
    let token = taken.last().and_then(|last| last.token.clone());
    acknowledge(taken).await;
    token
}

async fn expect_expired(connector: &Connector, token: Option<Token>) {
    let error = next(&mut listen(connector, token)).await.err().unwrap();
    assert_eq!((error.kind(), connector.status()), (ErrorKind::TokenExpired, Listening::Down), "{error:?}");
    assert!(error.full_message().contains("discarded messages before they were taken"), "{error:?}");
}

async fn expect_next(connector: &Connector, token: Option<Token>, expected: &str) -> Delivery {
    let delivery = next(&mut listen(connector, token)).await.unwrap();
    assert_eq!(id(&delivery), expected);
    delivery
}

#[test]
fn a_position_whose_next_messages_are_gone_has_expired() {
    check(async {
        let stream = keeping(5).await;
        stream.publish_all(numbers(1..=4)).await;
        let connector = stream.connector();
        let token = settled(&connector, None, 4).await;
        // Everything before the first one that is left was taken.
        stream.publish_all(numbers(5..=9)).await;
        expect_next(&connector, token.clone(), "p5").await;
        // Now the fifth is gone.
        stream.publish_all(numbers(10..=10)).await;
        expect_expired(&connector, token).await;
        // Whoever begins anew begins with what there is.
        expect_next(&connector, None, "p6").await;
    });
}

#[test]
fn a_purged_stream_is_no_other_than_one_that_discards() {
    check(async {
        let stream = keeping(-1).await;
        stream.publish_all(numbers(1..=3)).await;
        let connector = stream.connector();
        let token = settled(&connector, None, 2).await;
        stream.purge().await;
        expect_expired(&connector, token).await;
        // What was taken may go: nothing is missing.
        stream.publish_all(numbers(4..=4)).await;
        let token = settled(&connector, None, 1).await;
        stream.purge().await;
        stream.publish_all(numbers(5..=5)).await;
        expect_next(&connector, token, "p5").await;
    });
}

#[test]
fn messages_that_are_discarded_while_somebody_listens_are_noticed() {
    check(async {
        let stream = keeping(5).await;
        stream.publish_all(numbers(1..=5)).await;
        // So that the server gives no more than one at a time.
        let connector = stream.connector_with(|config| config.prefetch = 1);
        let mut deliveries = listen(&connector, None);
        let first = next(&mut deliveries).await.unwrap();
        stream.publish_all(numbers(6..=9)).await;
        first.acknowledge().await.unwrap();
        let error = loop {
            match next(&mut deliveries).await {
                // The server may have looked at it before.
                Ok(delivery) => {
                    assert_eq!(id(&delivery), "p2");
                    delivery.acknowledge().await.unwrap();
                }
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), connector.status()), (ErrorKind::TokenExpired, Listening::Down), "{error:?}");
    });
}

#[test]
fn messages_that_somebody_removes_one_by_one_are_passed_over() {
    check(async {
        let stream = keeping(-1).await;
        stream.publish_all(numbers(1..=6)).await;
        let connector = stream.connector_with(|config| config.prefetch = 1);
        for number in [2, 5] {
            stream.delete(number).await;
        }
        let mut deliveries = listen(&connector, None);
        let mut token = None;
        for expected in ["p1", "p3"] {
            let delivery = next(&mut deliveries).await.unwrap();
            assert_eq!(id(&delivery), expected);
            token = delivery.token.clone();
            delivery.acknowledge().await.unwrap();
        }
        drop(deliveries);
        let mut deliveries = listen(&connector, token);
        let fourth = next(&mut deliveries).await.unwrap();
        assert_eq!(id(&fourth), "p4");
        fourth.acknowledge().await.unwrap();
        assert_eq!(id(&next(&mut deliveries).await.unwrap()), "p6");
    });
}

#[test]
fn what_is_discarded_of_other_subjects_is_not_missing_where_the_consumer_has_gone_through_it() {
    check(async {
        let stream = keeping(3).await;
        let connector = stream.connector_with(|config| config.filters = vec![format!("{}.ours", config.stream)]);
        stream.publish("ours", full("p1")).await;
        let token = settled(&connector, None, 1).await;
        for number in 2..=6 {
            stream.publish("others", full(&format!("p{number}"))).await;
        }
        assert_eq!(stream.first().await, 4);
        // Nothing was delivered since, and whether anything was to be is not known: nobody has looked.
        expect_expired(&connector, token.clone()).await;

        // Somebody who listens has looked.
        stream.publish("ours", full("p7")).await;
        let token = settled(&connector, None, 1).await;
        for number in 8..=12 {
            stream.publish("others", full(&format!("p{number}"))).await;
        }
        let mut deliveries = listen(&connector, None);
        tokio::select! {
            given = next(&mut deliveries) => panic!("{:?}", given.map(|given| id(&given))),
            () = stream.expect_looked_at(12) => {}
        }
        drop(deliveries);
        assert!(stream.first().await > 8);
        stream.publish("ours", full("p13")).await;
        expect_next(&connector, token, "p13").await;
    });
}

#[test]
fn what_was_given_and_is_gone_before_it_was_taken_is_missing() {
    check(async {
        let stream = keeping(3).await;
        let connector = stream.connector_with(|config| config.filters = vec![format!("{}.ours", config.stream)]);
        for number in 1..=2 {
            stream.publish("ours", full(&format!("p{number}"))).await;
        }
        let mut deliveries = listen(&connector, None);
        let mut taken = take(&mut deliveries, 2).await;
        let token = taken[0].token.clone();
        acknowledge(taken.drain(..1).collect()).await;
        drop((taken, deliveries));
        for number in 3..=6 {
            stream.publish("others", full(&format!("p{number}"))).await;
        }
        let mut deliveries = listen(&connector, None);
        tokio::select! {
            given = next(&mut deliveries) => panic!("{:?}", given.map(|given| id(&given))),
            () = stream.expect_looked_at(6) => {}
        }
        drop(deliveries);
        expect_expired(&connector, token).await;
    });
}

#[test]
fn a_stream_that_keeps_the_last_of_each_subject_drops_the_others_by_intention() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        stream.limit(|config| config.max_messages_per_subject = 1).await;
        for subject in ["a", "b"] {
            stream.publish(subject, full("p1")).await;
        }
        let connector = stream.connector();
        let token = settled(&connector, None, 2).await;
        for number in 3..=6 {
            stream.publish(if number % 2 == 0 { "b" } else { "a" }, full(&format!("p{number}"))).await;
        }
        let mut deliveries = listen(&connector, token);
        assert_eq!(ids(&take(&mut deliveries, 2).await), ["p5", "p6"]);
    });
}
