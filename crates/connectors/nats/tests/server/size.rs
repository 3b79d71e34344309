//! How much is in memory at a time, however big messages are.

use async_nats::jetstream::stream::RetentionPolicy;
use tidelock_servers::Nats;

use crate::order::{acknowledge, check};
use crate::stream::{Stream, id, listen, next};

fn big(id: &str, bytes: usize) -> String {
    let name = "n".repeat(bytes);
    format!(r#"{{"class": "person", "id": "{id}", "change": "full", "attributes": {{"name": "{name}"}}}}"#)
}

#[test]
fn big_messages_are_not_all_sent_to_us_at_once() {
    check(async {
        let stream = Stream::of(Nats::shared().unwrap(), RetentionPolicy::Limits).await;
        for number in 1..=40 {
            stream.publish("x", big(&format!("p{number}"), 500_000)).await;
        }
        let connector = stream.connector();
        let mut deliveries = listen(&connector, None);
        let first = next(&mut deliveries).await.unwrap();
        assert!(first.size > 500_000 && first.size < 501_000, "{}", first.size);
        // Four megabytes hold eight of them.
        stream.expect_unacknowledged(8).await;
        let mut kept = vec![first];
        for number in 2..=40 {
            let delivery = next(&mut deliveries).await.unwrap();
            assert_eq!(id(&delivery), format!("p{number}"));
            kept.push(delivery);
        }
        acknowledge(kept).await;
        stream.expect_unacknowledged(0).await;
    });
}

#[test]
fn a_message_that_is_bigger_than_anything_comes_alone_and_in_its_turn() {
    check(async {
        // A server's default is a megabyte.
        let file = tempfile();
        std::fs::write(&file, "max_payload: 8388608\n").unwrap();
        let server = Nats::start_with(&["--config", file.to_str().unwrap()]).unwrap();
        let stream = Stream::of(&server, RetentionPolicy::Limits).await;
        for (number, bytes) in [(1, 10), (2, 5 << 20), (3, 10), (4, 6 << 20), (5, 5 << 20), (6, 10)] {
            stream.publish("x", big(&format!("p{number}"), bytes)).await;
        }
        for listener in ["first", "second"] {
            let connector = stream.connector();
            // The second one reads from the stream what the first one was given.
            let mut deliveries = listen(&connector, None);
            for number in 1..=6 {
                let delivery = next(&mut deliveries).await.unwrap();
                assert_eq!(id(&delivery), format!("p{number}"), "{listener}");
            }
        }
        let _ = std::fs::remove_file(file);
    });
}

fn tempfile() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("tidelock-nats-{}.conf", std::process::id()))
}
