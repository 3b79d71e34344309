//! Whatever happens to listeners, connections and acknowledgements: messages come in their order, and none is left out.

use std::sync::Arc;
use std::time::Duration;

use crate::stream::{Stream, full, id, ids, listen, next, take};
use async_nats::jetstream::stream::RetentionPolicy;
use futures::future::join_all;
use tidelock_connector_api::{AsyncUpdates, Connector, Delivery, ErrorKind, Listening, OnFailure, Token};
use tidelock_messages::{Decoder, Secret};
use tidelock_nats::{Begin, Login, Trust};
use tidelock_servers::{Nats, PASSWORD, USER};

const BOTH: [RetentionPolicy; 2] = [RetentionPolicy::Limits, RetentionPolicy::WorkQueue];

pub(crate) fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| format!("p{number}")).collect()
}

pub(crate) fn check<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

pub(crate) async fn acknowledge(deliveries: Vec<Delivery>) {
    for outcome in join_all(deliveries.into_iter().map(Delivery::acknowledge)).await {
        outcome.unwrap();
    }
}

#[test]
fn what_was_given_and_not_acknowledged_comes_before_what_is_new() {
    check(async {
        for retention in BOTH {
            let stream = Stream::of(Nats::shared().unwrap(), retention).await;
            stream.publish_all(numbers(1..=10)).await;
            let connector = stream.connector();
            let mut deliveries = listen(&connector, None);
            let mut taken = take(&mut deliveries, 6).await;
            let rest = taken.split_off(2);
            acknowledge(taken).await;
            drop((deliveries, rest));
            stream.publish_all(numbers(11..=12)).await;
            let mut deliveries = listen(&connector, None);
            let again = take(&mut deliveries, 10).await;
            assert_eq!(ids(&again), numbers(3..=12), "{retention:?}");
            acknowledge(again).await;
            stream.expect_unacknowledged(0).await;
        }
    });
}

#[test]
fn after_a_position_come_exactly_the_messages_behind_it() {
    check(async {
        for retention in BOTH {
            let stream = Stream::of(Nats::shared().unwrap(), retention).await;
            stream.publish_all(numbers(1..=10)).await;
            let connector = stream.connector();
            let mut deliveries = listen(&connector, None);
            let taken = take(&mut deliveries, 10).await;
            let token = taken[6].token.clone();
            // The effects of seven are committed, and no acknowledgement has come through.
            drop((taken, deliveries));
            let mut deliveries = listen(&connector, token.clone());
            let again = take(&mut deliveries, 3).await;
            assert_eq!(ids(&again), numbers(8..=10));
            acknowledge(again).await;
            stream.expect_unacknowledged(0).await;
            drop(deliveries);

            // Acknowledged or not, a position before is one that the stream can be gone through from, while it keeps messages.
            if retention == RetentionPolicy::Limits {
                let mut deliveries = listen(&connector, token);
                assert_eq!(ids(&take(&mut deliveries, 3).await), numbers(8..=10));
            }
        }
    });
}

#[test]
fn a_full_window_of_unacknowledged_messages_does_not_hold_up_the_next_listener() {
    check(async {
        for retention in BOTH {
            let stream = Stream::of(Nats::shared().unwrap(), retention).await;
            stream.publish_all(numbers(1..=60)).await;
            let connector = stream.connector_with(|config| (config.prefetch, config.ack_wait) = (20, Duration::from_secs(3600)));
            let mut deliveries = listen(&connector, None);
            drop(take(&mut deliveries, 20).await);
            drop(deliveries);
            let mut deliveries = listen(&connector, None);
            let mut found = Vec::new();
            for _ in 0..6 {
                let taken = take(&mut deliveries, 10).await;
                found.extend(ids(&taken));
                acknowledge(taken).await;
            }
            assert_eq!(found, numbers(1..=60));
            stream.expect_unacknowledged(0).await;
        }
    });
}

#[test]
fn what_the_server_sends_again_while_it_is_worked_on_is_given_once() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=3)).await;
        let connector = stream.connector_with(|config| config.ack_wait = Duration::from_millis(200));
        let mut deliveries = listen(&connector, None);
        let taken = take(&mut deliveries, 3).await;
        // Meanwhile the server sends them again, several times.
        tokio::select! {
            _ = next(&mut deliveries) => panic!("a message is given twice"),
            () = tokio::time::sleep(Duration::from_millis(1500)) => {}
        }
        acknowledge(taken).await;
        stream.publish_all(numbers(4..=4)).await;
        assert_eq!(id(&next(&mut deliveries).await.unwrap()), "p4");
    });
}

#[test]
fn only_the_subjects_that_are_wanted_come_also_after_a_break() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        for number in 1..=6 {
            stream.publish(if number % 2 == 0 { "even.x" } else { "odd" }, full(&format!("p{number}"))).await;
        }
        let connector = stream.connector_with(|config| config.filters = vec![format!("{}.even.*", config.stream)]);
        let mut deliveries = listen(&connector, None);
        assert_eq!(ids(&take(&mut deliveries, 3).await), ["p2", "p4", "p6"]);
        drop(deliveries);
        let mut deliveries = listen(&connector, None);
        assert_eq!(ids(&take(&mut deliveries, 3).await), ["p2", "p4", "p6"]);
        drop(deliveries);
        let connector = stream.connector_with(|config| config.filters = vec![format!("{}.odd", config.stream)]);
        let error = next(&mut listen(&connector, None)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.full_message().contains("other filter subjects"), "{error:?}");
    });
}

#[test]
fn a_first_listener_begins_where_it_is_told_to() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=3)).await;
        let connector = stream.connector_with(|config| config.begin = Begin::New);
        let mut deliveries = listen(&connector, None);
        // Whoever listens must be there before something is new.
        tokio::select! {
            given = next(&mut deliveries) => panic!("{:?}", given.map(|given| id(&given))),
            () = stream.expect_listener() => {}
        }
        stream.publish_all(numbers(4..=5)).await;
        assert_eq!(ids(&take(&mut deliveries, 2).await), numbers(4..=5));
        drop(deliveries);
        // It stays so for the one after it, though nothing is acknowledged.
        let mut deliveries = listen(&connector, None);
        let taken = take(&mut deliveries, 2).await;
        assert_eq!(ids(&taken), numbers(4..=5));
        acknowledge(taken).await;
        drop(deliveries);
        stream.publish_all(numbers(6..=6)).await;
        assert_eq!(id(&next(&mut listen(&connector, None)).await.unwrap()), "p6");
    });
}

#[test]
fn a_rejected_message_is_put_aside_with_the_reason() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::WorkQueue).await;
        stream.publish("x", "{\"class\": \"nonsense\"}".to_owned()).await;
        let connector = stream.connector();
        let mut deliveries = listen(&connector, None);
        let delivery = next(&mut deliveries).await.unwrap();
        let error = delivery.changes.as_ref().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let message = delivery.id.clone().unwrap();
        // The body is read from the stream again: nobody keeps it meanwhile.
        delivery.reject("schema: it is\nnonsense").await.unwrap();
        stream.expect_unacknowledged(0).await;
        let dead = stream.context.get_stream(format!("{}-dead", stream.name)).await.unwrap();
        let letter = dead.get_raw_message(1).await.unwrap();
        let header = |name: &str| letter.headers.get(name).unwrap().to_string();
        assert_eq!(&*letter.payload, b"{\"class\": \"nonsense\"}");
        assert_eq!(header("Tidelock-Reason"), "schema: it is nonsense");
        assert_eq!(header("Tidelock-Subject"), format!("{}.x", stream.name));
        assert_eq!(header("Tidelock-Sequence"), "1");
        assert!(message.0.starts_with(&format!("{}:1@", stream.name)), "{message:?}");
    });
}

#[test]
fn a_rejected_message_that_the_stream_has_no_longer_is_put_aside_without_its_body() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=1)).await;
        let connector = stream.connector();
        let delivery = next(&mut listen(&connector, None)).await.unwrap();
        stream.purge().await;
        delivery.reject("no reason").await.unwrap();
        let dead = stream.context.get_stream(format!("{}-dead", stream.name)).await.unwrap();
        let letter = dead.get_raw_message(1).await.unwrap();
        assert!(letter.payload.is_empty());
        assert_eq!(letter.headers.get("Tidelock-Sequence").unwrap().as_str(), "1");
    });
}

#[test]
fn what_cannot_be_listened_to_is_an_error_that_says_why() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        let connector = stream.connector_with(|config| config.stream = "absent".to_owned());
        for error in [next(&mut listen(&connector, None)).await.err().unwrap(), connector.test().await.err().unwrap()] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.full_message().contains("no stream 'absent'"), "{error:?}");
        }
        assert_eq!(connector.status(), Listening::Down);

        let connector = stream.connector_with(|config| config.login = Login::None);
        assert_eq!(connector.test().await.err().unwrap().kind(), ErrorKind::Unauthenticated);

        let connector = stream.connector_with(|config| config.dead_letters = Some("nobody.stores.this".to_owned()));
        let error = next(&mut listen(&connector, None)).await.err().unwrap();
        assert!(error.kind() == ErrorKind::Config && error.full_message().contains("dead letters"), "{error:?}");
        let connector = stream.connector_with(|config| config.dead_letters = Some(format!("{}.x", config.stream)));
        let error = connector.test().await.err().unwrap();
        assert!(error.full_message().contains("would come back"), "{error:?}");

        let connector = stream.connector_with(|config| config.servers = vec!["nats://127.0.0.1:1".parse().unwrap()]);
        assert_eq!(next(&mut listen(&connector, None)).await.err().unwrap().kind(), ErrorKind::Unreachable);
    });
}

#[test]
fn an_encrypted_connection_is_made_with_servers_that_are_believed() {
    let certificate = |name: &str| format!("{}/../ldap/tests/certificates/{name}", env!("CARGO_MANIFEST_DIR"));
    check(async {
        let (own, key) = (certificate("server.pem"), certificate("server.key"));
        let server = Nats::start_with(&["--tls", "--tlscert", &own, "--tlskey", &key]).unwrap();
        let connector = |authority: &str, scheme: &str| {
            let address = format!("{scheme}://localhost:{}", server.port());
            let mut config = tidelock_nats::NatsConfig::new(address.parse().unwrap(), "absent", "tidelock");
            config.login = Login::Password(USER.to_owned(), Secret::Text(PASSWORD.into()));
            config.trust = Trust::Authority(certificate(authority).into());
            config.tls_required = scheme == "tls";
            tidelock_nats::Nats::new(config, Decoder::new(Arc::default()), OnFailure::Stop)
        };
        // The server wants it even where we do not ask for it.
        for scheme in ["tls", "nats"] {
            let error = connector("ca.pem", scheme).test().await.err().unwrap();
            assert!(error.full_message().contains("no stream 'absent'"), "{error:?}");
            let error = connector("other-ca.pem", scheme).test().await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
        }
        assert_eq!(connector("absent.pem", "tls").test().await.err().unwrap().kind(), ErrorKind::Config);
    });
}

#[test]
fn a_stream_that_was_made_anew_is_not_taken_for_the_one_before() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=2)).await;
        let connector = stream.connector();
        let mut deliveries = listen(&connector, None);
        let mut taken = take(&mut deliveries, 2).await;
        let (token, first) = (taken[1].token.clone(), taken[0].id.clone());
        acknowledge(taken.split_off(0)).await;

        // While somebody listens.
        stream.remove().await;
        let error = next(&mut deliveries).await.err().unwrap();
        assert_eq!((error.kind(), connector.status()), (ErrorKind::Config, Listening::Down), "{error:?}");
        drop(deliveries);

        stream.make(RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=3)).await;
        for foreign in [token, Some(Token::new(&b"nonsense"[..]))] {
            assert_eq!(next(&mut listen(&connector, foreign)).await.err().unwrap().kind(), ErrorKind::TokenExpired);
        }
        let delivery = next(&mut listen(&connector, None)).await.unwrap();
        assert_eq!(id(&delivery), "p1");
        assert_ne!(delivery.id, first);
    });
}

#[test]
fn a_consumer_that_was_deleted_is_made_again_where_we_are() {
    check(async {
        for retention in BOTH {
            let stream = Stream::of(Nats::shared().unwrap(), retention).await;
            stream.publish_all(numbers(1..=4)).await;
            let connector = stream.connector();
            let mut deliveries = listen(&connector, None);
            let taken = take(&mut deliveries, 4).await;
            let token = taken[1].token.clone();
            drop((taken, deliveries));
            let _ = stream.context.delete_consumer_from_stream("tidelock", &stream.name).await.unwrap();
            let mut deliveries = listen(&connector, token);
            let taken = take(&mut deliveries, 2).await;
            assert_eq!(ids(&taken), numbers(3..=4));
            acknowledge(taken).await;
            stream.expect_unacknowledged(0).await;
        }
    });
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_listened_to_again() {
    check(async {
        let mut server = Nats::start().unwrap();
        let stream = Stream::of(&server, RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=100)).await;
        let connector = stream.connector_with(|config| config.prefetch = 40);
        let mut deliveries = listen(&connector, None);
        let mut found = Vec::new();
        let taken = take(&mut deliveries, 30).await;
        found.extend(ids(&taken));
        server.kill().unwrap();
        // What is done with meanwhile cannot be said to the server; it finds out.
        for outcome in join_all(taken.into_iter().map(Delivery::acknowledge)).await {
            drop(outcome);
        }
        let waiting = async {
            // What had arrived is given; then there is nothing.
            let mut kept = Vec::new();
            while found.len() < 100 {
                let delivery = next(&mut deliveries).await.unwrap();
                found.push(id(&delivery));
                kept.push(delivery);
                if kept.len() == 10 {
                    for outcome in join_all(kept.drain(..).map(Delivery::acknowledge)).await {
                        drop(outcome);
                    }
                }
            }
        };
        let restarting = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(connector.status(), Listening::Reconnecting);
            tokio::task::block_in_place(|| server.run().unwrap());
        };
        tokio::join!(waiting, restarting);
        assert_eq!(found, numbers(1..=100));
        assert_eq!(connector.status(), Listening::Alive);
        stream.expect_unacknowledged(0).await;
    });
}

#[test]
fn a_server_that_is_silent_is_noticed_and_one_that_stays_away_is_an_error() {
    check(async {
        let mut server = Nats::start().unwrap();
        let stream = Stream::of(&server, RetentionPolicy::Limits).await;
        stream.publish_all(numbers(1..=1)).await;
        let connector = stream.connector_with(|config| {
            config.reconnect_timeout = Duration::from_secs(2);
            (config.connect_timeout, config.request_timeout) = (Duration::from_secs(1), Duration::from_secs(1));
        });
        let mut deliveries = listen(&connector, None);
        let _first = next(&mut deliveries).await.unwrap();
        server.suspend().unwrap();
        let error = next(&mut deliveries).await.err().unwrap();
        assert_eq!((error.kind(), connector.status()), (ErrorKind::Unreachable, Listening::Down), "{error:?}");
        server.resume().unwrap();
    });
}

/// What stands between us and the server, and can cut every connection.
struct Proxy {
    port: u16,
    cut: tokio::sync::watch::Sender<u64>,
}

impl Proxy {
    async fn before(target: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cut, cuts) = tokio::sync::watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut to) = tokio::net::TcpStream::connect(("127.0.0.1", target)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|times| *times += 1);
    }
}

/// Numbers that look like chance, and are the same each time.
fn chance(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

#[test]
fn whatever_breaks_every_message_is_taken_once_and_in_its_turn() {
    check(async {
        let mut server = Nats::start().unwrap();
        for (retention, seed) in [(RetentionPolicy::Limits, 1), (RetentionPolicy::WorkQueue, 2), (RetentionPolicy::Limits, 3)] {
            const COUNT: u32 = 1000;
            let mut state = seed;
            let stream = Stream::of(&server, retention).await;
            stream.publish_all(numbers(1..=COUNT)).await;
            let proxy = Proxy::before(server.port()).await;
            let port = proxy.port;
            let connector = stream.connector_with(move |config| {
                config.servers = vec![format!("nats://127.0.0.1:{port}").parse().unwrap()];
                (config.prefetch, config.ack_wait) = (100, Duration::from_millis(700));
            });
            // What the engine has committed: the effects of messages, and the position after them.
            let mut committed: Vec<String> = Vec::new();
            let mut position: Option<Token> = None;
            while committed.len() < COUNT as usize {
                let mut deliveries = listen(&connector, position.clone());
                let mut acknowledging = Vec::new();
                for _ in 0..chance(&mut state, 40) {
                    let many = (1 + chance(&mut state, 60) as usize).min(COUNT as usize - committed.len());
                    let Ok(group) = tokio::time::timeout(Duration::from_secs(20), async {
                        let mut group = Vec::new();
                        while group.len() < many {
                            group.push(next(&mut deliveries).await.unwrap());
                        }
                        group
                    })
                    .await
                    else {
                        panic!("{} of {COUNT} have arrived", committed.len());
                    };
                    match chance(&mut state, 40) {
                        0 => proxy.cut(),
                        1 if seed == 3 => {
                            server.kill().unwrap();
                            server.run().unwrap();
                        }
                        // It dies before it commits.
                        2 => break,
                        _ => {}
                    }
                    committed.extend(ids(&group));
                    position = group.last().and_then(|last| last.token.clone()).or(position);
                    // Or before it acknowledges, or while it does.
                    match chance(&mut state, 20) {
                        0 => break,
                        1..4 => acknowledging.push(tokio::spawn(join_all(group.into_iter().map(Delivery::acknowledge)))),
                        _ => drop(join_all(group.into_iter().map(Delivery::acknowledge)).await),
                    }
                    if committed.len() == COUNT as usize {
                        break;
                    }
                }
                drop(acknowledging);
            }
            let wrong = committed.iter().zip(numbers(1..=COUNT)).position(|(found, expected)| *found != expected);
            assert_eq!(wrong, None, "{retention:?}: {:?}", wrong.map(|at| &committed[at.saturating_sub(2)..at + 3]));
            // The last acknowledgements come through with the next listener.
            let mut deliveries = listen(&connector, position);
            stream.publish_all(numbers(COUNT + 1..=COUNT + 1)).await;
            let last = next(&mut deliveries).await.unwrap();
            assert_eq!(id(&last), format!("p{}", COUNT + 1));
            last.acknowledge().await.unwrap();
            stream.expect_unacknowledged(0).await;
        }
    });
}
