//! Telling the server which messages are done with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, Subject};
use bytes::Bytes;
use futures::FutureExt;
use tidelock_connector_api::{Acknowledge, Error, Result, async_trait};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::client::Session;
use crate::config::NatsConfig;
use crate::message::{Message, identity};
use crate::{backlog, dead_letters};

const ACK: Bytes = Bytes::from_static(b"+ACK");
const TERM: Bytes = Bytes::from_static(b"+TERM");

/// The most messages that are acknowledged with one confirmation.
const GROUP: usize = 1000;

/// What a listener and its deliveries share.
pub(crate) struct Desk {
    config: Arc<NatsConfig>,
    /// The connection, while there is one.
    session: Mutex<Option<Arc<Session>>>,
    /// The messages that were given, and neither acknowledged nor rejected.
    open: Mutex<BTreeSet<u64>>,
    queue: mpsc::UnboundedSender<Request>,
}

struct Request {
    client: Client,
    subject: Subject,
    done: oneshot::Sender<bool>,
}

impl Desk {
    pub(crate) fn new(config: Arc<NatsConfig>) -> Arc<Self> {
        let (queue, requests) = mpsc::unbounded_channel();
        // It ends with the last delivery.
        tokio::spawn(acknowledge(requests, config.request_timeout));
        Arc::new(Self { config, session: Mutex::default(), open: Mutex::default(), queue })
    }

    /// Says over which connection messages are acknowledged from now on; none while there is none.
    pub(crate) fn attach(&self, session: Option<Arc<Session>>) {
        *lock(&self.session) = session;
    }

    /// A message is given.
    pub(crate) fn give(&self, sequence: u64) {
        lock(&self.open).insert(sequence);
    }

    /// Whether a message was given, and is neither acknowledged nor rejected.
    pub(crate) fn is_open(&self, sequence: u64) -> bool {
        lock(&self.open).contains(&sequence)
    }

    fn session(&self) -> Result<Arc<Session>> {
        let message = "there is no connection to acknowledge a message over; it comes again, and is recognized";
        lock(&self.session).clone().ok_or_else(|| Error::unreachable(message))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // It is whole after every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Acknowledges what is to be acknowledged, as many as there are at a time. The server takes the acknowledgements of a consumer
/// one after the other, so that the confirmation of the last stands for those before it.
async fn acknowledge(mut requests: mpsc::UnboundedReceiver<Request>, patience: Duration) {
    let mut group = Vec::new();
    loop {
        if requests.recv_many(&mut group, GROUP).await == 0 {
            return;
        }
        let Some(last) = group.pop() else { continue };
        let told = timeout(patience, async {
            for request in &group {
                if request.client.publish(request.subject.clone(), ACK).await.is_err() {
                    return false;
                }
            }
            last.client.request(last.subject.clone(), ACK).await.is_ok()
        });
        let told = told.await.unwrap_or(false);
        for request in group.drain(..).chain([last]) {
            // Who does not wait any longer does not want to know.
            let _ = request.done.send(told);
        }
    }
}

/// Acknowledges a message of which we know that it is done with, and does not wait.
pub(crate) async fn repeat(client: &Client, subject: Subject) {
    drop(client.publish(subject, ACK).await);
}

/// Settles a message. Its body is not kept: whoever rejects the message reads it from the stream again, which has it until then.
pub(crate) struct Settle {
    desk: Arc<Desk>,
    sequence: u64,
    time: i128,
    /// Where it is acknowledged.
    reply: Subject,
}

impl Settle {
    pub(crate) fn new(desk: &Arc<Desk>, message: Message) -> Self {
        let Message { sequence, time, reply, .. } = message;
        Self { desk: Arc::clone(desk), sequence, time, reply }
    }
}

#[async_trait]
impl Acknowledge for Settle {
    async fn acknowledge(self: Box<Self>) -> Result<()> {
        let Self { desk, sequence, reply, .. } = *self;
        // From here on it is done with, whether the server hears of it now or when it sends it again.
        lock(&desk.open).remove(&sequence);
        let session = desk.session()?;
        let (done, confirmed) = oneshot::channel();
        let request = Request { client: session.client.clone(), subject: reply, done };
        let queued = desk.queue.send(request).is_ok();
        match queued && confirmed.map(|confirmed| confirmed.unwrap_or(false)).await {
            true => Ok(()),
            false => Err(Error::unreachable("the server does not confirm an acknowledgement; the message may come again")),
        }
    }

    async fn reject(self: Box<Self>, reason: &str) -> Result<()> {
        let Self { desk, sequence, time, reply } = *self;
        let session = desk.session()?;
        let id = identity(&desk.config.stream, sequence, time);
        match &desk.config.dead_letters {
            Some(target) => {
                let message = backlog::get(&session, &desk.config, sequence).await?.filter(|message| message.time == time);
                if message.is_none() {
                    tracing::warn!(message = &*id.0, "a rejected message is gone from the stream: its dead letter is empty");
                }
                let message = message.unwrap_or_else(|| Message::gone(sequence, time, reply.clone()));
                dead_letters::publish(&session, &desk.config, target, &message, reason).await?;
            }
            None => {
                tracing::warn!(message = &*id.0, reason, "a message is rejected, and no subject of dead letters is configured");
            }
        }
        lock(&desk.open).remove(&sequence);
        let told = timeout(desk.config.request_timeout, session.client.request(reply, TERM)).await;
        match told {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::unreachable("the server does not confirm that a message is rejected; it may come again")),
        }
    }
}
