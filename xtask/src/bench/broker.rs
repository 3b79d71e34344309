//! The brokers of the benchmark: filling queues, and the bare consumer that the engine is held against.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, AckKind, consumer, stream};
use futures::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tidelock_servers::{PASSWORD, USER};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::async_updates::PREFETCH;
use super::measure::{self, Cost};

/// How long a message is.
pub(super) const MESSAGE_BYTES: usize = 500;

/// How long a bare consumer may wait for a message of a queue that is full.
const STALLED: Duration = Duration::from_secs(3);

/// How many messages are sent before their safe arrival is waited for.
const AT_ONCE: usize = 2000;

/// A broker that runs.
pub(super) struct Broker {
    way: Way,
    url: String,
    port: u16,
    runtime: Runtime,
}

enum Way {
    RabbitMq { channel: Channel, _connection: Connection },
    Nats { context: jetstream::Context },
}

impl Broker {
    /// RabbitMQ: quorum queues, persistent messages.
    pub(super) fn rabbitmq(url: &str, port: u16) -> Result<Self> {
        let runtime = runtime()?;
        let way = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default()).await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            anyhow::Ok(Way::RabbitMq { channel, _connection: connection })
        })?;
        Ok(Self { way, url: url.to_owned(), port, runtime })
    }

    /// NATS: streams in files.
    pub(super) fn nats(url: &str, port: u16) -> Result<Self> {
        let runtime = runtime()?;
        let way = runtime.block_on(async { anyhow::Ok(Way::Nats { context: jetstream::new(nats(url).await?) }) })?;
        Ok(Self { way, url: url.to_owned(), port, runtime })
    }

    /// A new queue with these messages. All of them are safe.
    pub(super) fn fill(&self, queue: &str, messages: impl Iterator<Item = Vec<u8>>) -> Result<String> {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let mut arguments = FieldTable::default();
                    arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from("quorum")));
                    let _ = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
                    for (nth, body) in messages.enumerate() {
                        publish(channel, queue, nth as u64, &body).await?;
                        if nth % AT_ONCE == AT_ONCE - 1 {
                            let _ = channel.wait_for_confirms().await?;
                        }
                    }
                    let _ = channel.wait_for_confirms().await?;
                }
                Way::Nats { context } => {
                    let config = stream::Config {
                        name: queue.to_owned(),
                        subjects: vec![queue.to_owned()],
                        // What is acknowledged goes, as from any queue.
                        retention: stream::RetentionPolicy::WorkQueue,
                        ..Default::default()
                    };
                    let _ = context.create_stream(config).await?;
                    let mut underway = Vec::new();
                    for body in messages {
                        underway.push(context.publish(queue.to_owned(), body.into()).await?);
                        if underway.len() >= AT_ONCE {
                            for confirmation in underway.drain(..) {
                                let _ = confirmation.await?;
                            }
                        }
                    }
                    for confirmation in underway {
                        let _ = confirmation.await?;
                    }
                }
            }
            anyhow::Ok(())
        })?;
        Ok(queue.to_owned())
    }

    /// Sends one message, and does not wait until it is safe.
    pub(super) fn send(&self, queue: &str, nth: u64, body: &[u8]) -> Result<()> {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => publish(channel, queue, nth, body).await,
                Way::Nats { context } => {
                    drop(context.publish(queue.to_owned(), body.to_vec().into()).await?);
                    Ok(())
                }
            }
        })
    }

    /// The bare consumer, in a process of its own: reads and acknowledges so many messages, one by one, and nothing else.
    pub(super) fn consume(&self, queue: &str, count: u64) -> Result<Cost> {
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(this);
        command.args(["bare-consumer", &self.url, queue, &count.to_string()]);
        measure::run(&mut command).context("the bare consumer")
    }

    /// Removes a queue.
    pub(super) fn remove(&self, queue: &str) -> Result<()> {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let _ = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
                }
                Way::Nats { context } => {
                    let _ = context.delete_stream(queue).await?;
                }
            }
            Ok(())
        })
    }

    /// What a resource definition says of a queue.
    pub(super) fn source(&self, queue: &str, user: &str, password: &str) -> String {
        let port = self.port;
        match &self.way {
            Way::RabbitMq { .. } => format!(
                "<amqp091><uri>amqp://127.0.0.1:{port}</uri><username>{user}</username>\
                 <password><clearValue>{password}</clearValue></password><queue>{queue}</queue><prefetch>{PREFETCH}</prefetch></amqp091>"
            ),
            Way::Nats { .. } => format!(
                "<nats><url>nats://127.0.0.1:{port}</url><username>{user}</username>\
                 <password><clearValue>{password}</clearValue></password><stream>{queue}</stream><consumer>{}</consumer></nats>",
                durable(queue)
            ),
        }
    }
}

/// `xtask bare-consumer`: reads and acknowledges messages, one by one, under the settings of the engine.
pub(crate) fn bare_consumer(url: &str, queue: &str, count: u64) -> Result<()> {
    runtime()?.block_on(async {
        if url.starts_with("nats:") { bare_nats(url, queue, count).await } else { bare_rabbitmq(url, queue, count).await }
    })
}

async fn bare_rabbitmq(url: &str, queue: &str, count: u64) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let consumer = channel.basic_consume(queue.into(), "bare".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = consumer.await?;
    for _ in 0..count {
        let delivery = deliveries.next().await.context("the queue ended")??;
        let _ = delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn bare_nats(url: &str, queue: &str, count: u64) -> Result<()> {
    let client = nats(url).await?;
    let context = jetstream::new(client.clone());
    let stream = context.get_stream(queue).await?;
    let config = consumer::pull::Config {
        durable_name: Some(durable(queue)),
        ack_policy: consumer::AckPolicy::Explicit,
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.stream().max_messages_per_batch(PREFETCH.into()).messages().await?;
    for _ in 0..count {
        // Now and then the client library's stream stands still until its request has expired, which is no measure of anything.
        let message = timeout(STALLED, messages.next()).await.map_err(|_| anyhow::anyhow!("no message came for a while"))?;
        let message = message.context("the stream ended")??;
        message.ack_with(AckKind::Ack).await.map_err(anyhow::Error::from_boxed)?;
    }
    client.flush().await?;
    // An acknowledgement is on its way; what counts is that it has arrived.
    let began = Instant::now();
    let mut consumer = stream.get_consumer::<consumer::pull::Config>(&durable(queue)).await.map_err(anyhow::Error::from_boxed)?;
    while consumer.info().await?.num_ack_pending > 0 {
        if began.elapsed() > Duration::from_secs(30) {
            bail!("some acknowledgements have not arrived");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn publish(channel: &Channel, queue: &str, nth: u64, body: &[u8]) -> Result<()> {
    let id = format!("{queue}-{nth}");
    let properties =
        BasicProperties::default().with_delivery_mode(2).with_message_id(id.into()).with_content_type("application/json".into());
    drop(channel.basic_publish(ShortString::from(""), queue.into(), BasicPublishOptions::default(), body, properties).await?);
    Ok(())
}

async fn nats(url: &str) -> Result<async_nats::Client> {
    Ok(async_nats::ConnectOptions::with_user_and_password(USER.into(), PASSWORD.into()).connect(url).await?)
}

fn durable(queue: &str) -> String {
    format!("{queue}-consumer")
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
