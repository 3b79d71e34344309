//! Changes that the resource pushes.

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
    ///
    /// # Cancellation
    /// Dropping the stream stops listening; deliveries in flight can still be settled or are redelivered.
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>>;

    /// Listens, beginning after the token of a delivery whose effects are committed (see [`Delivery::token`]), or after a token of
    /// [`crate::LiveSync`]. Provided: [`AsyncUpdates::deliveries`], for sources that keep the position themselves.
    ///
    /// * A token from which the source cannot go on is [`crate::ErrorKind::TokenExpired`]: the engine catches up by live
    ///   synchronization or by a reconciliation, and listens after the token that it has then.
    ///
    /// # Cancellation
    /// As with [`AsyncUpdates::deliveries`].
    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        let _ = token;
        self.deliveries()
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
    acknowledge: Box<dyn Acknowledge>,
}

/// How a message is settled at its source.
#[async_trait]
pub trait Acknowledge: Send + Sync {
    /// Tells the source that the message is done with. Called after its effects are committed.
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
        Self { id, changes, token: None, acknowledge }
    }

    /// The same, with the position after it.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
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
