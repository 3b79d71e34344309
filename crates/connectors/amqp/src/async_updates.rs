//! Listening to a queue.
//!
//! # Order, and what happens to it when a connection breaks
//!
//! A broker delivers the messages of a queue in their order to its only consumer, and takes back in their order what the
//! consumer's channel did not acknowledge when that ends. Three things keep that order up to the engine:
//!
//! * We are the only consumer: the queue is consumed exclusively. RabbitMQ enforces that for classic queues; for quorum queues
//!   it is our own doing, that nothing is consumed while the broker counts another consumer. This matters most when a connection
//!   broke, or the broker was restarted: until it notices that the old consumer is dead, a quorum queue would deliver the
//!   messages after those that the dead one had. The count drops when these are back in their place, and not before. A queue
//!   that is still being recovered looks empty; so it is looked at twice, and must hold at least what we had.
//! * A connection has one channel and one consumer, and is never repaired: after a break there is another one. So everything
//!   that was not acknowledged comes again, first and in order, before anything new; deliveries that were received and not yet
//!   given to the engine are dropped, as they come again too. Nothing of an old connection follows anything of a new one.
//! * A delivery belongs to its connection. Acknowledged after that broke, it is an error, and never an acknowledgement of
//!   another message that happens to have the same tag on the new connection.
//!
//! What is in the engine's hands when a connection breaks comes a second time. With identities, the engine knows what it has
//! applied, and passes over it. Without (a message has no `message-id`), an object goes through its last changes again, in
//! their order, and ends where it was: changes are states, or deltas that say what is added and removed.
//!
//! # Listening again
//!
//! A new listener takes over from the one before: first the old connection is closed, so that the broker takes back what is
//! still in flight there, in its place; the old stream ends. A dropped stream stops the deliveries, while its connection stays
//! for as long as deliveries are in somebody's hands, who may still settle them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use lapin::Consumer;
use lapin::message::Delivery as Message;
use tidelock_connector_api::{
    Acknowledge, AsyncUpdates, BoxStream, Delivery, Error, ErrorKind, Listening, OnFailure, Result, async_trait,
};
use tidelock_messages::Decoder;

use crate::client::{Broker, Session};
use crate::config::AmqpConfig;
use crate::connector::Amqp;
use crate::dead_letters::{DeadLetters, Letter};
use crate::error::{Step, explain, is_passing, printable};
use crate::message::{changes, deliveries_before, identity};

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A connection that held for so long is a good one: attempts count anew after it.
const GOOD: Duration = Duration::from_secs(30);

/// How long after the first look at a queue the second one is.
const SECOND_LOOK: Duration = Duration::from_millis(300);

/// How long a queue may take to be recovered, after a broker was restarted.
const RECOVERY: Duration = Duration::from_secs(15);

/// How long a queue that was listened to may be missing: somebody may be declaring it in another form.
const DECLARING: Duration = Duration::from_secs(5);

/// From how many deliveries on a message is in danger: RabbitMQ's own limit is 20, and somebody has to have time to act.
const MANY: u64 = 10;

/// What a connector, its streams and their deliveries share.
pub(crate) struct Shared {
    pub(crate) broker: Broker,
    pub(crate) decoder: Decoder,
    pub(crate) on_failure: OnFailure,
    dead_letters: DeadLetters,
    /// The number of the latest listener.
    latest: AtomicU64,
    state: Mutex<State>,
}

struct State {
    status: Listening,
    /// The connection of the latest listener, while anybody needs it.
    session: Weak<Session>,
}

/// One that follows the queue.
struct Listener {
    shared: Arc<Shared>,
    number: u64,
    connected: Option<Connected>,
    /// The attempts since there was a good connection last.
    attempts: u32,
    /// When it broke; none while nothing is amiss.
    broken: Option<Instant>,
    /// Whether there ever was a connection.
    begun: bool,
    /// How many messages the connection had that broke.
    outstanding: usize,
}

struct Connected {
    session: Arc<Session>,
    consumer: Consumer,
    since: Instant,
    /// Whether it was said that the broker may be about to give up messages.
    warned: bool,
}

impl AsyncUpdates for Amqp {
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        stream::once(async { Listener::new(&self.shared).await })
            .flat_map(|listener| {
                stream::unfold(Some(listener), |listener| async move {
                    let mut listener = listener?;
                    match listener.next().await {
                        Ok(Some(delivery)) => Some((Ok(delivery), Some(listener))),
                        Ok(None) => None,
                        Err(error) => Some((Err(error), None)),
                    }
                })
            })
            .boxed()
    }

    fn on_failure(&self) -> OnFailure {
        self.shared.on_failure
    }

    fn status(&self) -> Listening {
        self.shared.status()
    }
}

impl Shared {
    pub(crate) fn new(broker: Broker, decoder: Decoder, on_failure: OnFailure) -> Self {
        Self {
            broker,
            decoder,
            on_failure,
            dead_letters: DeadLetters::default(),
            latest: AtomicU64::new(0),
            state: Mutex::new(State { status: Listening::Down, session: Weak::new() }),
        }
    }

    pub(crate) fn status(&self) -> Listening {
        let state = self.state();
        match state.status {
            // Nobody may have asked for a delivery since it broke.
            Listening::Alive if !state.session.upgrade().is_some_and(|session| session.is_alive()) => Listening::Reconnecting,
            status => status,
        }
    }

    fn config(&self) -> &AmqpConfig {
        self.broker.config()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// Takes over from the listener before.
    async fn new(shared: &Arc<Shared>) -> Self {
        let number = shared.latest.fetch_add(1, Ordering::Relaxed) + 1;
        let listener =
            Self { shared: Arc::clone(shared), number, connected: None, attempts: 0, broken: None, begun: false, outstanding: 0 };
        listener.set(Listening::Reconnecting);
        let before = shared.state().session.upgrade();
        if let Some(session) = before {
            session.close().await;
        }
        listener
    }

    /// The next delivery; none once another listener has taken over.
    async fn next(&mut self) -> Result<Option<Delivery>> {
        loop {
            if !self.is_latest() {
                return Ok(None);
            }
            let Some(connected) = &mut self.connected else {
                self.connect().await?;
                continue;
            };
            match connected.consumer.next().await {
                Some(Ok(message)) if message.acker.usable() => return Ok(Some(self.deliver(message))),
                // Its connection is gone: it comes again.
                Some(Ok(_)) => {}
                Some(Err(error)) => self.lost(explain(&error, Step::Listen, self.shared.config()))?,
                None => {
                    let cancelled = connected.session.is_alive();
                    let queue = &self.shared.config().queue;
                    let message = format!("the broker does not deliver from the queue '{queue}' any longer");
                    self.lost(Error::unreachable(message))?;
                    if cancelled {
                        // The queue is gone, and what it had does not come back.
                        self.outstanding = 0;
                    }
                }
            }
        }
    }

    fn deliver(&mut self, message: Message) -> Delivery {
        let Message { delivery_tag, exchange, routing_key, properties, data, .. } = message;
        let config = self.shared.config();
        let id = identity(config, &properties);
        let size = data.len();
        let changes = changes(&self.shared.decoder, &properties, &data);
        if let Some(connected) = &mut self.connected
            && !connected.warned
            && let Some(times) = deliveries_before(&properties).filter(|times| *times >= MANY)
        {
            connected.warned = true;
            tracing::warn!(
                queue = %printable(&config.queue),
                "a message was delivered {times} times before: a queue with a delivery limit gives messages up in the end"
            );
        }
        let name = id.is_none().then(|| {
            let (queue, key) = (printable(&config.queue), printable(routing_key.as_str()));
            format!("delivery {delivery_tag} of the queue '{queue}', with the routing key '{key}'")
        });
        let letter = config.dead_letters.is_some().then_some(Letter { exchange, routing_key, properties, body: data });
        // Without a connection nothing is delivered.
        let session = self.connected.as_ref().map(|connected| Arc::clone(&connected.session));
        if let Some(session) = &session {
            session.acknowledgements.delivered(delivery_tag);
        }
        let handle = Handle { shared: Arc::clone(&self.shared), session, tag: delivery_tag, letter };
        let delivery = Delivery::new(id, changes, Box::new(handle)).with_size(size);
        match name {
            Some(name) => delivery.with_name(name),
            None => delivery,
        }
    }

    /// The connection broke. An error where it is of no use to try again.
    fn lost(&mut self, error: Error) -> Result<()> {
        if let Some(connected) = self.connected.take() {
            connected.session.cut();
            self.outstanding = connected.session.acknowledgements.outstanding();
            if connected.since.elapsed() >= GOOD {
                self.attempts = 0;
                self.broken = None;
            }
        }
        self.broken.get_or_insert_with(Instant::now);
        self.set(Listening::Reconnecting);
        if !is_passing(&error) {
            return Err(self.ended(error));
        }
        if self.is_latest() {
            tracing::warn!(queue = %self.shared.config().queue, "{}; connecting again", error.full_message());
        }
        Ok(())
    }

    /// Connects, as often as it takes and is sensible.
    async fn connect(&mut self) -> Result<()> {
        let config = Arc::clone(self.shared.broker.config());
        loop {
            let error = match self.attempt().await {
                Ok(connected) => {
                    if self.attempts > 0 {
                        tracing::info!(queue = %config.queue, "connected again");
                    }
                    self.begun = true;
                    self.outstanding = 0;
                    self.connected = Some(connected);
                    self.set(Listening::Alive);
                    return Ok(());
                }
                Err(error) => error,
            };
            let broken = *self.broken.get_or_insert_with(Instant::now);
            let pause = pause(self.attempts);
            if broken.elapsed() + pause > self.patience(&error) || !self.is_latest() {
                return Err(self.ended(error));
            }
            if self.attempts == 0 && !self.begun {
                tracing::warn!(queue = %config.queue, "{}; trying again", error.full_message());
            }
            self.attempts = self.attempts.saturating_add(1);
            tokio::time::sleep(pause).await;
        }
    }

    /// How long it is tried again after such an error, counted from the break on.
    fn patience(&self, error: &Error) -> Duration {
        let config = self.shared.config();
        match error.kind() {
            // The queue was there: whoever has deleted it may be about to declare it again.
            ErrorKind::Config if self.begun => DECLARING.min(config.reconnect_timeout),
            _ if !is_passing(error) => Duration::ZERO,
            _ if self.begun => config.reconnect_timeout,
            // A queue that somebody else has may be ours in a moment: a broker takes its time to notice that a consumer is dead.
            ErrorKind::Throttled => config.reconnect_timeout.min(config.heartbeat * 3),
            // A broker that was never reached is not worth waiting for.
            _ => Duration::ZERO,
        }
    }

    /// One attempt. Nothing is consumed while the broker knows of another consumer: even if that is dead, what it had has not
    /// been taken back yet, and would come after what comes now.
    async fn attempt(&self) -> Result<Connected> {
        let broker = &self.shared.broker;
        let config = broker.config();
        let mut session = Session::open(broker).await?;
        let others = self.look(&session).await?;
        let consumer = match session.consume(broker, config.exclusive).await {
            Ok(consumer) => consumer,
            Err(error) => {
                session.close().await;
                return Err(error);
            }
        };
        if config.exclusive && session.inspect(broker, &config.queue).await?.consumers > 1 {
            // Two came at the same time, and a quorum queue does not keep one of them out.
            session.close().await;
            return Err(in_use(config));
        }
        if others > 0 {
            tracing::warn!(queue = %config.queue, others, "others consume from the queue: the order of changes is in danger");
        }
        let session = Arc::new(session);
        self.shared.state().session = Arc::downgrade(&session);
        Ok(Connected { session, consumer, since: Instant::now(), warned: false })
    }

    /// Sees to it that the queue is in order: everything that others had is back in its place. Says how many others consume, if
    /// they may.
    async fn look(&self, session: &Session) -> Result<u32> {
        let broker = &self.shared.broker;
        let config = broker.config();
        let begun = Instant::now();
        let mut in_order = false;
        loop {
            let state = session.inspect(broker, &config.queue).await?;
            if !config.exclusive {
                return Ok(state.consumers);
            }
            if state.consumers > 0 {
                session.close().await;
                return Err(in_use(config));
            }
            let complete = state.messages as usize >= self.outstanding;
            if complete && in_order {
                return Ok(0);
            }
            if begun.elapsed() > RECOVERY {
                // Messages that expired, or that the broker took for poisoned, do not come back.
                tracing::warn!(queue = %config.queue, "messages that were not acknowledged have not come back to the queue");
                return Ok(0);
            }
            in_order = complete;
            tokio::time::sleep(SECOND_LOOK).await;
        }
    }

    fn ended(&self, error: Error) -> Error {
        self.set(Listening::Down);
        error
    }

    fn set(&self, status: Listening) {
        if self.is_latest() {
            self.shared.state().status = status;
        }
    }

    fn is_latest(&self) -> bool {
        self.shared.latest.load(Ordering::Relaxed) == self.number
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.set(Listening::Down);
    }
}

/// What settles a delivery.
struct Handle {
    shared: Arc<Shared>,
    session: Option<Arc<Session>>,
    tag: u64,
    /// The message, where rejecting it needs it.
    letter: Option<Letter>,
}

#[async_trait]
impl Acknowledge for Handle {
    async fn acknowledge(self: Box<Self>) -> Result<()> {
        let session = self.session()?;
        let told = session.acknowledgements.acknowledge(session.channel(), self.tag).await;
        told.map_err(|error| explain(&error, Step::Acknowledge, self.shared.config()))
    }

    async fn reject(self: Box<Self>, reason: &str) -> Result<()> {
        let session = self.session()?;
        let config = self.shared.config();
        let told = match (&config.dead_letters, &self.letter) {
            (Some(target), Some(letter)) => {
                self.shared.dead_letters.publish(&self.shared.broker, target, letter, reason).await?;
                session.acknowledgements.acknowledge(session.channel(), self.tag).await
            }
            _ => session.acknowledgements.reject(session.channel(), self.tag).await,
        };
        told.map_err(|error| explain(&error, Step::Acknowledge, config))
    }
}

impl Handle {
    /// The connection that the delivery came by: only there does its tag mean anything.
    fn session(&self) -> Result<&Session> {
        self.session.as_deref().filter(|session| session.is_alive()).ok_or_else(|| {
            let config = self.shared.config();
            let message =
                format!("the connection to {} broke before a message was acknowledged: it comes again", config.server());
            Error::unreachable(message)
        })
    }
}

/// Somebody else consumes, or did until a moment ago.
fn in_use(config: &AmqpConfig) -> Error {
    let message = format!(
        "cannot consume from the queue '{}' of {}: somebody else consumes from it, and changes would not come in their order \
         (end the other one; a standby of a queue with a single active consumer is configured with exclusiveConsumer false)",
        printable(&config.queue),
        config.server()
    );
    Error::new(ErrorKind::Throttled, message)
}

/// How long to wait before another attempt: twice as long each time, and never in step with others.
fn pause(attempts: u32) -> Duration {
    let longest = Duration::from_millis(200).saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE);
    // Keys that are random are all that is needed here.
    let random = RandomState::new().build_hasher().finish() % 1000;
    longest.mul_f64(0.5 + random as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit_and_are_not_alike() {
        for (attempts, longest) in [(0, 200), (1, 400), (4, 3200), (7, 25_600), (8, 30_000), (4000, 30_000)] {
            let pauses: Vec<_> = (0..50).map(|_| pause(attempts)).collect();
            let longest = Duration::from_millis(longest);
            assert!(pauses.iter().all(|pause| *pause <= longest && *pause >= longest / 2));
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
