//! A connection with one channel, and what is done with it.

use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Consumer, ExchangeKind, Result as AmqpResult};
use tidelock_connector_api::{Error, ErrorKind, Result};
use tokio::time::timeout;

use super::broker::{Broker, Line, name};
use super::stream::Scissors;
use crate::acknowledgements::Acknowledgements;
use crate::error::{Step, explain};

/// How long taking leave may take.
const LEAVE: Duration = Duration::from_secs(5);

/// The argument of a consumer that is to end with its queue.
///
/// Before version 4, RabbitMQ moves a consumer whose queue is gone to whatever queue has the name by then, without a word. With mirrored
/// queues that mixes up the order; with a quorum queue, the channel forgets the new queue at once, so that everything it delivers is lost
/// on the way until the connection ends, while the consumer counts as one (`rabbit_channel.erl`, the event `eol`). Classic queues know
/// this argument. Quorum queues refuse it, and are given another reason not to have the consumer moved. Version 4 moves nobody, and
/// passes over the argument.
const ENDS_WITH_QUEUE: &str = "x-cancel-on-ha-failover";

/// On what terms a queue is consumed from.
#[derive(Clone, Copy)]
struct Terms {
    exclusive: bool,
    /// Whether [`ENDS_WITH_QUEUE`] says that the consumer ends with the queue.
    ended_by_argument: bool,
}

/// A connection with one channel. Dropped, it closes both; messages that were not acknowledged then go back to their queue.
pub(crate) struct Session {
    channel: Channel,
    connection: Connection,
    scissors: Scissors,
    pub(crate) acknowledgements: Acknowledgements,
}

/// What a queue holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueState {
    pub(crate) messages: u32,
    pub(crate) consumers: u32,
}

impl Session {
    /// Connects.
    pub(crate) async fn open(broker: &Broker) -> Result<Self> {
        let Line { connection, scissors } = broker.connect().await?;
        let channel = within(broker, Step::Connect, connection.create_channel()).await?;
        Ok(Self { channel, connection, scissors, acknowledgements: Acknowledgements::default() })
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether nothing is known against it.
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// What the queue holds, which must exist.
    pub(crate) async fn inspect(&self, broker: &Broker, queue: &str) -> Result<QueueState> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asking = self.channel.queue_declare(name(queue)?, passive, FieldTable::default());
        let state = within(broker, Step::Inspect, asking).await?;
        Ok(QueueState { messages: state.message_count(), consumers: state.consumer_count() })
    }

    /// Fails unless there is an exchange of this name.
    pub(crate) async fn inspect_exchange(&self, broker: &Broker, exchange: &str) -> Result<()> {
        let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
        // The kind is not looked at.
        let asking = self.channel.exchange_declare(name(exchange)?, ExchangeKind::Direct, passive, FieldTable::default());
        within(broker, Step::DeadLetter, asking).await
    }

    /// Begins to consume from the configured queue, alone if it lets us.
    pub(crate) async fn consume(&mut self, broker: &Broker, exclusive: bool) -> Result<Consumer> {
        let mut terms = Terms { exclusive, ended_by_argument: true };
        loop {
            let refusal = match self.consume_on(broker, terms).await {
                Err(refusal) => refusal,
                consuming => return consuming,
            };
            match refusal.kind() {
                // A queue with a single active consumer refuses exclusive ones, whoever consumes.
                ErrorKind::Throttled if terms.exclusive => terms.exclusive = false,
                ErrorKind::Config if terms.ended_by_argument => terms.ended_by_argument = false,
                _ => return Err(refusal),
            }
            // The refusal has closed the channel.
            self.channel = within(broker, Step::Connect, self.connection.create_channel()).await?;
        }
    }

    async fn consume_on(&self, broker: &Broker, terms: Terms) -> Result<Consumer> {
        let config = broker.config();
        let prefetch = |global| self.channel.basic_qos(config.prefetch, BasicQosOptions { global });
        within(broker, Step::Consume, prefetch(false)).await?;
        let options = BasicConsumeOptions { exclusive: terms.exclusive, ..BasicConsumeOptions::default() };
        let mut arguments = FieldTable::default();
        if terms.ended_by_argument {
            arguments.insert(ENDS_WITH_QUEUE.into(), AMQPValue::Boolean(true));
        }
        let consuming = self.channel.basic_consume(name(&config.queue)?, "".into(), options, arguments);
        let consumer = within(broker, Step::Consume, consuming).await?;
        if !terms.ended_by_argument {
            // With a limit of the whole channel, a quorum queue lets nobody begin to consume, and so nobody be moved to it.
            within(broker, Step::Consume, prefetch(true)).await?;
        }
        Ok(consumer)
    }

    /// Takes leave: once this returns, the broker has taken back what was not acknowledged.
    pub(crate) async fn close(&self) {
        if self.is_alive() {
            // A broker that does not answer is left without its consent.
            let _ = timeout(LEAVE, self.connection.close(200, "OK".into())).await;
        }
        self.cut();
    }

    /// Ends the connection at once.
    pub(crate) fn cut(&self) {
        self.scissors.cut();
    }
}

/// Waits for an answer of the broker, for as long as connecting may take.
async fn within<T>(broker: &Broker, step: Step, asking: impl Future<Output = AmqpResult<T>>) -> Result<T> {
    let config = broker.config();
    let limit = config.connect_timeout;
    let answer = timeout(limit, asking).await;
    let silent = |_| Error::unreachable(format!("{} does not answer within {} s", config.server(), limit.as_secs_f32()));
    answer.map_err(silent)?.map_err(|error| explain(&error, step, config))
}
