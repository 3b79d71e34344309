//! Queues of real brokers: how messages get into them, how the engine reaches them, and what is left in them.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tidelock_servers::{Nats, PASSWORD, RabbitMq, USER};
use tokio::runtime::Runtime;

use crate::live::ASYNC;
use crate::random::Random;

/// A queue of RabbitMQ, or a stream of NATS, for one test alone.
pub struct Queue {
    name: String,
    url: String,
    port: u16,
    way: Way,
    runtime: Runtime,
    /// More items of the connector's source, such as `<reconnectTimeout>PT1S</reconnectTimeout>`.
    pub items: String,
}

enum Way {
    RabbitMq { channel: Channel, _connection: Connection },
    Nats { context: async_nats::jetstream::Context },
}

impl Way {
    async fn rabbitmq(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self::RabbitMq { channel, _connection: connection }
    }

    async fn nats(url: &str) -> Self {
        let options = async_nats::ConnectOptions::with_user_and_password(USER.into(), PASSWORD.into());
        Self::Nats { context: async_nats::jetstream::new(options.connect(url).await.unwrap()) }
    }
}

/// A message: its identity, and its body.
pub type Message = (String, String);

impl Queue {
    /// A quorum queue, with a second one for its dead letters.
    #[must_use]
    pub fn rabbitmq(server: &RabbitMq) -> Self {
        let runtime = runtime();
        let way = runtime.block_on(Way::rabbitmq(server.url()));
        Self::new(runtime, way, server.url(), server.port())
    }

    /// A stream in files, and one for its dead letters.
    #[must_use]
    pub fn nats(server: &Nats) -> Self {
        let runtime = runtime();
        let way = runtime.block_on(Way::nats(server.url()));
        Self::new(runtime, way, server.url(), server.port())
    }

    fn new(runtime: Runtime, way: Way, url: &str, port: u16) -> Self {
        let queue = Self { name: name(), url: url.to_owned(), port, way, runtime, items: String::new() };
        queue.declare();
        queue
    }

    /// Makes it, and what its dead letters go to, unless they are there.
    pub fn declare(&self) {
        let Self { name, way, .. } = self;
        self.runtime.block_on(async {
            match way {
                Way::RabbitMq { channel, .. } => {
                    let mut arguments = FieldTable::default();
                    arguments.insert("x-queue-type".into(), text("quorum"));
                    declare(channel, &dead(name), arguments.clone()).await;
                    arguments.insert("x-dead-letter-exchange".into(), text(""));
                    arguments.insert("x-dead-letter-routing-key".into(), text(&dead(name)));
                    declare(channel, name, arguments).await;
                }
                Way::Nats { context } => {
                    for (name, subject) in [(name.clone(), name.clone()), (dead(name), format!("{name}.dead"))] {
                        let config =
                            async_nats::jetstream::stream::Config { name, subjects: vec![subject], ..Default::default() };
                        let _ = context.get_or_create_stream(config).await.unwrap();
                    }
                }
            }
        });
    }

    /// Removes it with everything in it.
    pub fn delete(&self) {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let _ = channel.queue_delete(self.name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
                }
                Way::Nats { context } => {
                    let _ = context.delete_stream(&self.name).await.unwrap();
                }
            }
        });
    }

    /// Connects to a server that was away.
    pub fn connect_again(&mut self) {
        self.way = self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { .. } => Way::rabbitmq(&self.url).await,
                Way::Nats { .. } => Way::nats(&self.url).await,
            }
        });
    }

    /// Puts messages into it, and waits until they are safe.
    pub fn publish(&self, messages: impl IntoIterator<Item = Message>) {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    for (id, body) in messages {
                        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(id.into());
                        let (exchange, key) = (ShortString::from(""), ShortString::from(self.name.as_str()));
                        let options = BasicPublishOptions::default();
                        drop(channel.basic_publish(exchange, key, options, body.as_bytes(), properties).await.unwrap());
                    }
                    let returned = channel.wait_for_confirms().await.unwrap();
                    assert!(returned.is_empty());
                }
                Way::Nats { context } => {
                    let mut confirmations = Vec::new();
                    for (id, body) in messages {
                        let message = async_nats::jetstream::message::PublishMessage::build().payload(body.into());
                        let message = message.header("Tidelock-Test-Id", id.as_str());
                        confirmations.push(context.send_publish(self.name.clone(), message).await.unwrap());
                    }
                    for confirmation in confirmations {
                        confirmation.await.unwrap();
                    }
                }
            }
        });
    }

    /// How many messages wait for somebody, those that somebody has and did not acknowledge left out.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
                    let queue = channel.queue_declare(self.name.as_str().into(), passive, FieldTable::default()).await.unwrap();
                    queue.message_count().into()
                }
                Way::Nats { context } => {
                    let stream = context.get_stream(&self.name).await.unwrap();
                    let info = stream.consumer_info(self.consumer()).await.unwrap();
                    info.num_pending + info.num_ack_pending as u64
                }
            }
        })
    }

    /// Takes the dead letters: of each all its headers and properties, as text, and its body.
    #[must_use]
    pub fn take_dead_letters(&self) -> Vec<(String, String)> {
        self.runtime.block_on(async {
            let mut letters = Vec::new();
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let queue = ShortString::from(dead(&self.name));
                    while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await.unwrap() {
                        let body = String::from_utf8_lossy(&message.data).into_owned();
                        letters.push((format!("{:?}", message.properties), body));
                    }
                }
                Way::Nats { context } => {
                    let stream = context.get_stream(dead(&self.name)).await.unwrap();
                    for sequence in 1..=stream.cached_info().state.last_sequence {
                        let message = stream.get_raw_message(sequence).await.unwrap();
                        let body = String::from_utf8_lossy(&message.payload).into_owned();
                        letters.push((format!("{:?}", message.headers), body));
                    }
                }
            }
            letters
        })
    }

    /// Removes all messages.
    ///
    /// Whoever goes by positions in the queue has lost them with that: whether this is such a one.
    pub fn purge(&self) -> bool {
        self.runtime.block_on(async {
            match &self.way {
                Way::RabbitMq { channel, .. } => {
                    let _ = channel.queue_purge(self.name.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
                    false
                }
                Way::Nats { context } => {
                    let _ = context.get_stream(&self.name).await.unwrap().purge().await.unwrap();
                    true
                }
            }
        })
    }

    /// The configuration of a connector that reads it: `more` are further items beside the source.
    #[must_use]
    pub fn connection(&self, more: &str) -> String {
        self.connection_of(USER, PASSWORD, more)
    }

    /// The same, as somebody else.
    #[must_use]
    pub fn connection_of(&self, user: &str, password: &str, more: &str) -> String {
        let Self { name, port, items, .. } = self;
        let source = match &self.way {
            Way::RabbitMq { .. } => format!(
                "<amqp091><uri>amqp://127.0.0.1:{port}</uri><username>{user}</username>\
                 <password><clearValue>{password}</clearValue></password><queue>{name}</queue><prefetch>50</prefetch>{items}</amqp091>"
            ),
            Way::Nats { .. } => format!(
                "<nats><url>nats://127.0.0.1:{port}</url><username>{user}</username>\
                 <password><clearValue>{password}</clearValue></password><stream>{name}</stream><consumer>{}</consumer>\
                 <deadLetterSubject>{name}.dead</deadLetterSubject>{items}</nats>",
                self.consumer()
            ),
        };
        format!(
            "<connectorConfiguration><conf:configurationProperties xmlns:conf=\"http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3\" \
             xmlns=\"{ASYNC}\">\n<sources>{source}</sources>\n{more}\n</conf:configurationProperties></connectorConfiguration>"
        )
    }

    fn consumer(&self) -> String {
        format!("{}-tidelock", self.name)
    }
}

/// The object class of the accounts that messages are about.
pub const SCHEMA: &str = "<schema><class><name>AccountObjectClass</name><identifier>id</identifier><defaultAccount>true</defaultAccount>\
    <attribute><name>login</name></attribute><attribute><name>mail</name></attribute><attribute><name>seq</name></attribute></class></schema>";

/// A change in our plain form: the account is now this.
#[must_use]
pub fn full(id: &str, seq: u64) -> String {
    format!(
        "{{\"class\":\"AccountObjectClass\",\"id\":\"{id}\",\"change\":\"full\",\
         \"attributes\":{{\"id\":\"{id}\",\"login\":\"{id}\",\"mail\":\"{id}.{seq}@example.com\",\"seq\":\"{seq}\"}}}}"
    )
}

/// A change in our plain form: these of the account's attributes have changed.
#[must_use]
pub fn delta(id: &str, seq: u64) -> String {
    format!(
        "{{\"class\":\"AccountObjectClass\",\"id\":\"{id}\",\"change\":\"delta\",\
         \"attributes\":{{\"mail\":\"{id}.{seq}@example.com\",\"seq\":\"{seq}\"}}}}"
    )
}

/// A change in our plain form: the account is gone.
#[must_use]
pub fn deleted(id: &str) -> String {
    format!("{{\"class\":\"AccountObjectClass\",\"id\":\"{id}\",\"change\":\"deleted\"}}")
}

/// A change in our plain form: something about the account has changed.
#[must_use]
pub fn notification(id: &str) -> String {
    format!("{{\"class\":\"AccountObjectClass\",\"id\":\"{id}\",\"change\":\"notification\"}}")
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) {
    let _ = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn dead(name: &str) -> String {
    format!("{name}-dead")
}

/// A name that no other test has: the servers are shared.
fn name() -> String {
    format!("test-{:x}", Random::new().seed)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
