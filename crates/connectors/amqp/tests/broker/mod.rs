//! Queues of a real RabbitMQ, each for one test alone, and connectors that listen to them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::try_join_all;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tidelock_amqp::{Amqp, AmqpConfig};
use tidelock_connector_api::{BoxStream, Delivery, Error, OnFailure, Result};
use tidelock_messages::{Decoder, Secret};
use tidelock_model::object::Schema;
use tidelock_servers::{PASSWORD, RabbitMq, USER};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A durable queue.
pub struct Queue {
    pub name: String,
    port: u16,
    channel: Channel,
    connection: Connection,
}

/// How a queue keeps its messages.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Classic,
    Quorum,
}

impl Queue {
    /// A quorum queue of the server that all tests share.
    pub async fn new() -> Self {
        Self::of(RabbitMq::shared().unwrap(), Kind::Quorum).await
    }

    pub async fn of(server: &RabbitMq, kind: Kind) -> Self {
        Self::with(server, kind, &[]).await
    }

    /// A queue with arguments of RabbitMQ's own.
    pub async fn with(server: &RabbitMq, kind: Kind, arguments: &[(&str, AMQPValue)]) -> Self {
        let connection = Connection::connect(server.url(), ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let queue = Self { name: name(), port: server.port(), channel, connection };
        queue.declare(&queue.name, kind, arguments).await;
        queue
    }

    pub async fn declare(&self, name: &str, kind: Kind, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text(if matches!(kind, Kind::Classic) { "classic" } else { "quorum" }));
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(ShortString::from(name), options, table).await.unwrap();
    }

    /// A configuration that listens to it.
    pub fn config(&self) -> AmqpConfig {
        config(self.port, &self.name)
    }

    /// A connector that listens to it.
    pub fn connector(&self) -> Amqp {
        connector(self.config())
    }

    /// Publishes a message with an identity, about the object of the same name.
    pub async fn publish(&self, id: &str) {
        self.publish_with(BasicProperties::default().with_message_id(id.into()), &body(id)).await;
    }

    pub async fn publish_with(&self, properties: BasicProperties, body: &[u8]) {
        self.publish_all([(properties, body)]).await;
    }

    /// Publishes many, in their order.
    pub async fn publish_all<B: AsRef<[u8]>>(&self, messages: impl IntoIterator<Item = (BasicProperties, B)>) {
        let mut confirms = Vec::new();
        for (properties, body) in messages {
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let (queue, properties) = (ShortString::from(self.name.as_str()), properties.with_delivery_mode(2));
            confirms.push(self.channel.basic_publish("".into(), queue, options, body.as_ref(), properties).await.unwrap());
        }
        for confirmation in try_join_all(confirms).await.unwrap() {
            assert!(confirmation.is_ack() && confirmation.take_message().is_none(), "a message was not taken");
        }
    }

    /// How many messages wait, those that somebody has left out.
    pub async fn waiting(&self) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let name = ShortString::from(self.name.as_str());
        self.channel.queue_declare(name, options, FieldTable::default()).await.unwrap().message_count()
    }

    /// Waits until so many messages wait.
    pub async fn wait_for(&self, messages: u32) {
        let patience = Instant::now() + PATIENCE;
        while self.waiting().await != messages {
            assert!(Instant::now() < patience, "{} messages wait, not {messages}", self.waiting().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes the first message out of a queue.
    pub async fn take(&self, queue: &str) -> Option<BasicGetMessage> {
        self.channel.basic_get(ShortString::from(queue), BasicGetOptions { no_ack: true }).await.unwrap()
    }

    /// Removes it with everything in it.
    pub async fn delete(&self) {
        let name = ShortString::from(self.name.as_str());
        self.channel.queue_delete(name, QueueDeleteOptions::default()).await.unwrap();
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// A configuration for a queue of a server of this machine.
pub fn config(port: u16, queue: &str) -> AmqpConfig {
    let mut config = AmqpConfig::new("127.0.0.1", port, queue);
    config.username = USER.to_owned();
    config.password = Secret::Text(PASSWORD.into());
    config.connect_timeout = Duration::from_secs(5);
    config
}

pub fn connector(config: AmqpConfig) -> Amqp {
    connector_with(config, OnFailure::Stop)
}

pub fn connector_with(config: AmqpConfig, on_failure: OnFailure) -> Amqp {
    let schema = Schema::default().with_class("person", "id", &["name"]);
    Amqp::new(config, Decoder::new(Arc::new(schema)), on_failure)
}

/// A message about an object.
pub fn body(id: &str) -> Vec<u8> {
    format!(r#"{{"class": "person", "id": "{id}", "change": "full", "attributes": {{"name": "N"}}}}"#).into_bytes()
}

/// The next delivery.
pub async fn next(deliveries: &mut BoxStream<'_, Result<Delivery>>) -> Delivery {
    tokio::time::timeout(PATIENCE, deliveries.next()).await.expect("nothing is delivered").expect("the stream ends").unwrap()
}

/// The error that ends a stream.
pub async fn failure(deliveries: &mut BoxStream<'_, Result<Delivery>>) -> Error {
    let patience = Instant::now() + PATIENCE;
    loop {
        let left = patience.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, deliveries.next()).await.expect("the stream does not end") {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("the stream ends without an error"),
        }
    }
}

/// The object that a delivery is about.
pub fn about(delivery: &Delivery) -> String {
    delivery.changes.as_ref().unwrap()[0].identifier.to_string()
}

pub fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// A name that no other queue has.
pub fn name() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    format!("test-{:016x}", std::collections::hash_map::RandomState::new().build_hasher().finish())
}
