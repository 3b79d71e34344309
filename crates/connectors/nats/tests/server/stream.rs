//! A stream of a NATS server, for one test alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_nats::jetstream::stream::{Config, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use futures::StreamExt;
use tidelock_connector_api::{BoxStream, Connector, Delivery, OnFailure, Result, Token};
use tidelock_messages::Decoder;
use tidelock_model::object::Schema;
use tidelock_nats::{Login, Nats, NatsConfig};
use tidelock_servers::{PASSWORD, USER};

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A stream, with another one for dead letters.
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) context: Context,
    url: String,
}

impl Stream {
    pub(crate) async fn of(server: &tidelock_servers::Nats, retention: RetentionPolicy) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("s{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let options = async_nats::ConnectOptions::new().user_and_password(USER.to_owned(), PASSWORD.to_owned());
        let context = jetstream::new(options.connect(server.url()).await.unwrap());
        let stream = Self { name, context, url: server.url().to_owned() };
        stream.make(retention).await;
        let dead = Config { name: format!("{}-dead", stream.name), subjects: vec![stream.dead()], ..Config::default() };
        let _ = stream.context.create_stream(dead).await.unwrap();
        stream
    }

    pub(crate) async fn make(&self, retention: RetentionPolicy) {
        let subjects = vec![format!("{}.>", self.name)];
        let config = Config { name: self.name.clone(), subjects, retention, ..Config::default() };
        let _ = self.context.create_stream(config).await.unwrap();
    }

    /// Changes what it keeps.
    pub(crate) async fn limit(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.context.get_stream(&self.name).await.unwrap().cached_info().config.clone();
        change(&mut config);
        let _ = self.context.update_stream(config).await.unwrap();
    }

    /// Removes all messages.
    pub(crate) async fn purge(&self) {
        let _ = self.context.get_stream(&self.name).await.unwrap().purge().await.unwrap();
    }

    /// Removes one message.
    pub(crate) async fn delete(&self, sequence: u64) {
        assert!(self.context.get_stream(&self.name).await.unwrap().delete_message(sequence).await.unwrap());
    }

    /// The number of its first message.
    pub(crate) async fn first(&self) -> u64 {
        self.context.get_stream(&self.name).await.unwrap().cached_info().state.first_sequence
    }

    pub(crate) async fn remove(&self) {
        let _ = self.context.delete_stream(&self.name).await.unwrap();
    }

    pub(crate) fn dead(&self) -> String {
        format!("dead.{}", self.name)
    }

    pub(crate) fn config(&self) -> NatsConfig {
        let address = self.url.rsplit('@').next().unwrap();
        let mut config = NatsConfig::new(format!("nats://{address}").parse().unwrap(), self.name.clone(), "tidelock");
        config.login = Login::Password(USER.to_owned(), tidelock_messages::Secret::Text(PASSWORD.into()));
        config.dead_letters = Some(self.dead());
        config
    }

    pub(crate) fn connector(&self) -> Nats {
        self.connector_with(|_| {})
    }

    pub(crate) fn connector_with(&self, change: impl FnOnce(&mut NatsConfig)) -> Nats {
        let mut config = self.config();
        change(&mut config);
        let schema = Schema::default().with_class("person", "id", &["id", "name"]);
        Nats::new(config, Decoder::new(Arc::new(schema)), OnFailure::Stop)
    }

    /// Publishes a message, and waits until it is stored.
    pub(crate) async fn publish(&self, subject: &str, body: String) {
        let subject = format!("{}.{subject}", self.name);
        let _ = self.context.publish(subject, body.into()).await.unwrap().await.unwrap();
    }

    /// Publishes changes of objects that are called so, one after the other.
    pub(crate) async fn publish_all(&self, ids: impl IntoIterator<Item = String>) {
        let mut confirmations = Vec::new();
        for id in ids {
            let body = full(&id);
            confirmations.push(self.context.publish(format!("{}.x", self.name), body.into()).await.unwrap());
        }
        for confirmation in confirmations {
            let _ = confirmation.await.unwrap();
        }
    }

    /// Waits until somebody listens.
    pub(crate) async fn expect_listener(&self) {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let began = std::time::Instant::now();
        while !stream.consumer_info("tidelock").await.is_ok_and(|info| info.num_waiting > 0) {
            assert!(began.elapsed() < PATIENCE, "nobody listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the consumer has gone through the messages up to a number.
    pub(crate) async fn expect_looked_at(&self, sequence: u64) {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let began = std::time::Instant::now();
        while stream.consumer_info("tidelock").await.unwrap().delivered.stream_sequence < sequence {
            assert!(began.elapsed() < PATIENCE, "the consumer does not go on");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many messages the consumer has given that are not acknowledged, once that is what is expected.
    pub(crate) async fn expect_unacknowledged(&self, expected: usize) {
        let stream = self.context.get_stream(&self.name).await.unwrap();
        let began = std::time::Instant::now();
        loop {
            let found = stream.consumer_info("tidelock").await.unwrap().num_ack_pending;
            if found == expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{found} messages are not acknowledged, and not {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn full(id: &str) -> String {
    format!(r#"{{"class": "person", "id": "{id}", "change": "full", "attributes": {{"name": "{id}"}}}}"#)
}

pub(crate) type Deliveries<'a> = BoxStream<'a, Result<Delivery>>;

pub(crate) fn listen(connector: &Nats, token: Option<Token>) -> Deliveries<'_> {
    connector.async_updates().unwrap().deliveries_after(token)
}

pub(crate) async fn next(deliveries: &mut Deliveries<'_>) -> Result<Delivery> {
    tokio::time::timeout(PATIENCE, deliveries.next()).await.expect("nothing arrives").expect("the stream ended")
}

/// The identifier of the one object that a delivery is about.
pub(crate) fn id(delivery: &Delivery) -> String {
    let [change] = delivery.changes.as_deref().unwrap() else { panic!("not one change") };
    change.identifier.to_string()
}

/// The identifiers of so many deliveries, which are kept.
pub(crate) async fn take(deliveries: &mut Deliveries<'_>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(deliveries).await.unwrap());
    }
    taken
}

pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(id).collect()
}
