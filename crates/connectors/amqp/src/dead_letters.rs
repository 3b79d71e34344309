//! Messages that are rejected, handed to the configured target with the reason.
//!
//! A dead letter is published on a connection of its own: a broker that is short of memory or disk stops reading from
//! connections that publish, and acknowledgements must not wait behind that.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tidelock_connector_api::{Error, Result};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::client::{Broker, Session};
use crate::config::DeadLetterTarget;
use crate::error::{Step, explain, printable};

/// The most characters of a reason that go into a header.
const MAX_REASON: usize = 1000;

/// A message as it came.
pub(crate) struct Letter {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Vec<u8>,
}

/// The way to the target. Its connection is made when it is needed first.
#[derive(Default)]
pub(crate) struct DeadLetters {
    session: Mutex<Option<Session>>,
}

impl DeadLetters {
    /// Publishes a dead letter; returns once the broker has confirmed that it has it.
    pub(crate) async fn publish(&self, broker: &Broker, target: &DeadLetterTarget, letter: &Letter, reason: &str) -> Result<()> {
        let mut kept = self.session.lock().await;
        // A connection that was kept may be gone by now: then it is tried once more with another.
        if let Some(session) = kept.take().filter(Session::is_alive) {
            match confirmed(&session, broker, target, letter, reason).await {
                Ok(published) => {
                    *kept = Some(session);
                    return published;
                }
                Err(error) if session.is_alive() => return Err(error),
                Err(_) => {}
            }
        }
        let session = Session::open(broker).await?;
        let select = session.channel().confirm_select(ConfirmSelectOptions { nowait: false }).await;
        select.map_err(|error| explain(&error, Step::DeadLetter, broker.config()))?;
        let published = confirmed(&session, broker, target, letter, reason).await?;
        *kept = Some(session);
        published
    }
}

/// Publishes, and waits for the confirmation. The outer result says whether the connection can be used any longer.
async fn confirmed(
    session: &Session,
    broker: &Broker,
    target: &DeadLetterTarget,
    letter: &Letter,
    reason: &str,
) -> Result<Result<()>> {
    let config = broker.config();
    let failed = |error: lapin::Error| explain(&error, Step::DeadLetter, config);
    let name = |text: &str| ShortString::try_new(text).map_err(|error| Error::config("a name is too long").with_source(error));
    let exchange = name(&target.exchange)?;
    let routing_key = target.routing_key.as_deref().map_or_else(|| Ok(letter.routing_key.clone()), name)?;
    let properties = properties(letter, &config.queue, reason);
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let channel: &Channel = session.channel();
    let publishing = async {
        let confirm = channel.basic_publish(exchange, routing_key, options, &letter.body, properties).await?;
        confirm.await
    };
    let limit = config.connect_timeout.saturating_mul(3);
    match timeout(limit, publishing).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(Ok(())),
        Ok(Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)))) => {
            let message = "the target of dead letters leads to no queue: bind one to the exchange, or check the routing key";
            Ok(Err(Error::config(message)))
        }
        Ok(Ok(Confirmation::Nack(None))) => Ok(Err(Error::unreachable("the broker does not take a dead letter"))),
        Ok(Ok(Confirmation::NotRequested)) => Err(Error::unreachable("the broker does not confirm dead letters")),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => {
            let message = format!("the broker does not confirm a dead letter within {} s", limit.as_secs_f32());
            Err(Error::unreachable(message))
        }
    }
}

/// The properties of a message, as they are fit for a dead letter.
fn properties(letter: &Letter, queue: &str, reason: &str) -> BasicProperties {
    let from = &letter.properties;
    // Not its expiration, nor the user who published it: only that user may say so.
    let mut properties = BasicProperties::default().with_delivery_mode(2);
    macro_rules! copy {
        ($($get:ident $with:ident),*) => {
            $(if let Some(value) = from.$get().clone() {
                properties = properties.$with(value);
            })*
        };
    }
    copy!(
        content_type with_content_type,
        content_encoding with_content_encoding,
        priority with_priority,
        correlation_id with_correlation_id,
        reply_to with_reply_to,
        message_id with_message_id,
        timestamp with_timestamp,
        kind with_type,
        app_id with_app_id
    );
    let mut headers = FieldTable::default();
    for (name, value) in from.headers().iter().flatten() {
        // RabbitMQ would send copies to the queues that CC and BCC name.
        if !["CC", "BCC", "x-delivery-count"].contains(&name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let mut note = |name: &str, text: &str| {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(text.as_bytes().to_vec())));
    };
    let reason: String = reason.chars().take(MAX_REASON).collect();
    note("x-tidelock-reason", &reason);
    note("x-tidelock-queue", queue);
    note("x-tidelock-exchange", letter.exchange.as_str());
    note("x-tidelock-routing-key", letter.routing_key.as_str());
    if let Some(id) = from.message_id() {
        note("x-tidelock-message-id", &printable(id.as_str()));
    }
    properties.with_headers(headers)
}
