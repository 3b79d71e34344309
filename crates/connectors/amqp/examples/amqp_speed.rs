//! Measures the connector against a bare consumer, both on a RabbitMQ of their own:
//! `cargo run --release -p tidelock-amqp --example amqp_speed -- 100000`.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::future::join_all;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tidelock_amqp::{Amqp, AmqpConfig};
use tidelock_connector_api::{AsyncUpdates, Delivery, OnFailure};
use tidelock_messages::{Decoder, Secret};
use tidelock_model::object::Schema;
use tidelock_servers::{PASSWORD, RabbitMq, USER};

const PREFETCH: u16 = 200;

#[tokio::main]
async fn main() {
    let count: usize = std::env::args().nth(1).map_or(50_000, |count| count.parse().unwrap());
    let server = RabbitMq::start().unwrap();
    let connection = Connection::connect(server.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();

    for queue in ["bare", "facet"] {
        fill(&channel, queue, count).await;
    }
    let begun = Instant::now();
    bare(&connection, count).await;
    report("bare consumer, one acknowledgement each", begun, count);
    let begun = Instant::now();
    facet(server.port(), count).await;
    report("the connector, groups acknowledged", begun, count);
}

async fn fill(channel: &Channel, queue: &str, count: usize) {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, arguments).await.unwrap();
    let filler = "x".repeat(400);
    for first in (0..count).step_by(500) {
        for number in first..(first + 500).min(count) {
            let body =
                format!(r#"{{"class": "person", "id": "{number}", "change": "full", "attributes": {{"name": "{filler}"}}}}"#);
            let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(number.to_string().into());
            let options = BasicPublishOptions::default();
            drop(channel.basic_publish("".into(), ShortString::from(queue), options, body.as_bytes(), properties).await.unwrap());
        }
        channel.wait_for_confirms().await.unwrap();
    }
}

async fn bare(connection: &Connection, count: usize) {
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let mut consumer = channel.basic_consume("bare".into(), "".into(), options, FieldTable::default()).await.unwrap();
    for _ in 0..count {
        let message = consumer.next().await.unwrap().unwrap();
        message.ack(BasicAckOptions::default()).await.unwrap();
    }
}

async fn facet(port: u16, count: usize) {
    let mut config = AmqpConfig::new("127.0.0.1", port, "facet");
    (config.username, config.password) = (USER.to_owned(), Secret::Text(PASSWORD.into()));
    config.prefetch = PREFETCH;
    let schema = Schema::default().with_class("person", "id", &["name"]);
    let amqp = Amqp::new(config, Decoder::new(Arc::new(schema)), OnFailure::Stop);
    let mut groups = amqp.deliveries().ready_chunks(PREFETCH.into());
    let mut seen = 0;
    while seen < count {
        let group = groups.next().await.unwrap();
        seen += group.len();
        for outcome in join_all(group.into_iter().map(|delivery| Delivery::acknowledge(delivery.unwrap()))).await {
            outcome.unwrap();
        }
    }
}

fn report(what: &str, begun: Instant, count: usize) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}: {count} messages in {seconds:.2} s, {:.0} a second", count as f64 / seconds);
}
