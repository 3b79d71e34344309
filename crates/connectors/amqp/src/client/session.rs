//! A connection with one channel, and what is done with it.

use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer, ExchangeKind, Result as AmqpResult};
use tidelock_connector_api::{Error, Result};
use tokio::time::timeout;

use super::broker::{Broker, Line, name};
use super::stream::Scissors;
use crate::acknowledgements::Acknowledgements;
use crate::error::{Step, explain};

/// How long taking leave may take.
const LEAVE: Duration = Duration::from_secs(5);

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

    /// Begins to consume from the configured queue.
    pub(crate) async fn consume(&self, broker: &Broker, exclusive: bool) -> Result<Consumer> {
        let config = broker.config();
        let prefetch = self.channel.basic_qos(config.prefetch, BasicQosOptions { global: false });
        within(broker, Step::Consume, prefetch).await?;
        let options = BasicConsumeOptions { exclusive, ..BasicConsumeOptions::default() };
        let consuming = self.channel.basic_consume(name(&config.queue)?, "".into(), options, FieldTable::default());
        within(broker, Step::Consume, consuming).await
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
