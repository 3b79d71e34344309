//! Changes that the resource pushes.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use futures::stream::BoxStream;

use crate::{Change, Result, Token, async_trait};

/// The identity of a message: equal for a message and its redeliveries, different for any two messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub Box<str>);

/// The ability to push changes.
pub trait AsyncUpdates: Send + Sync {
    /// Listens. The stream goes on until the source closes or fails.
    ///
    /// * Changes of one object come in their order.
    /// * A delivery that was dropped, or whose process died, is delivered again to a later listener.
    /// * A delivery that was acknowledged, or rejected, is not.
    /// * Where deliveries say which objects are left, they account for all that there are: see [`Delivery::present`].
    ///
    /// # Cancellation
    /// Dropping the stream stops listening; deliveries in flight can still be settled or are redelivered.
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>>;

    /// Listens, beginning after the token of a delivery whose effects are committed (see [`Delivery::token`]), or after one of
    /// [`crate::LiveSync`] where [`AsyncUpdates::continues_live_sync`]. Provided: [`AsyncUpdates::deliveries`], for sources that keep the position themselves.
    ///
    /// * A token from which the source cannot go on is [`crate::ErrorKind::TokenExpired`]: the engine stops, and somebody has it take
    ///   a new one, and a reconciliation catch up.
    ///
    /// # Cancellation
    /// As with [`AsyncUpdates::deliveries`].
    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        let _ = token;
        self.deliveries()
    }

    /// Whether the tokens of deliveries are those of [`crate::LiveSync`] for all classes, so that either goes on where the other has
    /// stopped: the engine then keeps one token for both. Provided: no, each keeps its own.
    fn continues_live_sync(&self) -> bool {
        false
    }

    /// What a message comes to whose changes cannot be applied, where the activity would stop at it. Provided: [`OnFailure::Stop`].
    fn on_failure(&self) -> OnFailure {
        OnFailure::Stop
    }

    /// How the connection to the source is at the moment. A source that comes back by itself says so here, and its stream goes on.
    /// Provided: [`Listening::Alive`], for sources whose stream ends with the connection.
    fn status(&self) -> Listening {
        Listening::Alive
    }
}

/// What a message comes to whose changes cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// Listening ends; the message stays with the source.
    #[default]
    Stop,
    /// The message is rejected, with the reason; the next one follows.
    Skip,
    /// The message is tried again, after `first`, then after twice as long, and so on; after `limit` retries listening ends and
    /// the message stays with the source.
    Retry {
        /// How long after the failure it is tried again for the first time.
        first: Duration,
        /// How often it is tried again.
        limit: u32,
    },
}

/// How the connection to a source of messages is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Listening {
    /// Messages arrive as the source sends them.
    #[default]
    Alive,
    /// The connection broke; the connector tries to have it back.
    Reconnecting,
    /// There is no connection, and nobody tries to have one.
    Down,
}

impl Listening {
    /// The name in reports: `reconnecting`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Reconnecting => "reconnecting",
            Self::Down => "down",
        }
    }
}

/// How the connection is, as its listener says and everybody else asks: [`Listening::Alive`] until something else is said.
#[derive(Debug, Default)]
pub struct ListeningStatus(AtomicU8);

impl ListeningStatus {
    /// How it is now.
    #[must_use]
    pub fn get(&self) -> Listening {
        match self.0.load(Relaxed) {
            0 => Listening::Alive,
            1 => Listening::Reconnecting,
            _ => Listening::Down,
        }
    }

    /// From now on it is so.
    pub fn set(&self, listening: Listening) {
        let number = match listening {
            Listening::Alive => 0,
            Listening::Reconnecting => 1,
            Listening::Down => 2,
        };
        self.0.store(number, Relaxed);
    }
}

/// A message from the resource. It must be settled; dropping it means *deliver again*.
pub struct Delivery {
    /// The message's identity, where the source gives one.
    pub id: Option<MessageId>,
    /// The changes it brings; a message can bring none.
    pub changes: Result<Vec<Change>>,
    /// The position after this message, where the source leaves it to the engine to keep it: to be committed together with the
    /// message's effects, and given to [`AsyncUpdates::deliveries_after`].
    pub token: Option<Token>,
    /// Whether the source begins here to tell what has changed since the last token: when somebody starts to listen, and again
    /// after a connection that broke. What it told without a token before, it tells once more.
    pub begins: bool,
    /// These objects, by primary identifier, exist and have not changed since the last token, as [`crate::SyncEvent::Present`] says it.
    /// A source that has forgotten which objects were deleted tells which are left instead.
    ///
    /// Where a delivery has such a list, be it an empty one, the deliveries from the last one that [begins](Delivery::begins) up to
    /// the next one with a token account for every object: with that token, and not before, an object is gone that neither a change
    /// nor such a list nor an error among them has named. Where the source begins again before, nothing follows from them.
    pub present: Option<Vec<Box<str>>>,
    /// What people find a message by that has no identity, such as its queue and its number there; nothing of its content.
    pub name: Option<Box<str>>,
    /// How many bytes the message has, so that the engine can bound what it has in memory; 0 where that is not known.
    pub size: usize,
    acknowledge: Box<dyn Acknowledge>,
}

/// How a message is settled at its source.
#[async_trait]
pub trait Acknowledge: Send + Sync {
    /// Tells the source that the message is done with. Called after its effects are committed, for all messages of a commit at
    /// once: a connector that can tell its source of many in one go may wait for the others.
    ///
    /// # Errors
    /// Where the source cannot be told; the message may then be delivered again.
    async fn acknowledge(self: Box<Self>) -> Result<()>;

    /// Tells the source that the message will never be processed, and why. It is not delivered again.
    ///
    /// # Errors
    /// Where the source cannot be told; the message may then be delivered again.
    async fn reject(self: Box<Self>, reason: &str) -> Result<()>;
}

impl Delivery {
    /// A message with its changes and the way to settle it.
    pub fn new(id: Option<MessageId>, changes: Result<Vec<Change>>, acknowledge: Box<dyn Acknowledge>) -> Self {
        Self { id, changes, token: None, begins: false, present: None, name: None, size: 0, acknowledge }
    }

    /// The same, with the position after it.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, as the first one of what has changed since the last token.
    #[must_use]
    pub fn beginning(mut self) -> Self {
        self.begins = true;
        self
    }

    /// The same, with objects that exist and have not changed.
    #[must_use]
    pub fn with_present(mut self, identifiers: Vec<Box<str>>) -> Self {
        self.present = Some(identifiers);
        self
    }

    /// The same, with what people find it by.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same, with the message's size in bytes.
    #[must_use]
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// See [`Acknowledge::acknowledge`].
    ///
    /// # Errors
    /// Where the source cannot be told.
    pub async fn acknowledge(self) -> Result<()> {
        self.acknowledge.acknowledge().await
    }

    /// See [`Acknowledge::reject`].
    ///
    /// # Errors
    /// Where the source cannot be told.
    pub async fn reject(self, reason: &str) -> Result<()> {
        self.acknowledge.reject(reason).await
    }
}
