//! Changes since a token, pulled.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{Change, Result};

/// A position in a resource's history of changes. Opaque: only the connector that made it reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token(Box<[u8]>);

/// What the tokens of a resource can express. Every connector must decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenPrecision {
    /// Each change carries the token from which the changes after it follow.
    PerChange,
    /// Only the token at the end of a run is one to resume from.
    EndOfRun,
}

/// Which changes are wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChangesRequest {
    /// The object class; none for all of them (see [`LiveSync::all_classes`]).
    pub class: Option<Arc<str>>,
    /// The token after which changes are wanted.
    pub after: Token,
}

/// One item of a stream of changes.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncEvent {
    /// A change; with [`TokenPrecision::PerChange`] the token to resume from after it.
    Change(Change, Option<Token>),
    /// These objects, by primary identifier, exist and have not changed since the token. A resource that has forgotten which
    /// objects were deleted tells which are left instead.
    ///
    /// A stream that has such an item, be it an empty one, accounts for every object that was asked for: at its end, and not
    /// before, an object is gone that neither a change nor such an item nor an error item has named. Where the stream breaks off,
    /// or an error item of it may stand for any object, nothing follows for those that were not named.
    Present(Vec<Box<str>>),
    /// The end: every change that is known was given, and this is the token to resume from. Nothing comes after it.
    End(Token),
}

/// The changes, oldest first per object.
pub type ChangeStream<'a> = BoxStream<'a, Result<SyncEvent>>;

/// The ability to say what changed since a token.
#[async_trait]
pub trait LiveSync: Send + Sync {
    /// What the tokens can express.
    ///
    /// * With [`TokenPrecision::PerChange`], resuming after the token of any change gives exactly the changes after it.
    fn token_precision(&self) -> TokenPrecision;

    /// Whether changes of all classes can be asked for at once. Provided: no.
    fn all_classes(&self) -> bool {
        false
    }

    /// The token of this moment.
    ///
    /// * Changes after it, and only those, follow from it: with none made, [`LiveSync::changes`] is empty.
    ///
    /// # Errors
    /// Whatever stands in the way; [`crate::ErrorKind::Unsupported`] for an unknown class.
    async fn current_token(&self, class: Option<&str>) -> Result<Token>;

    /// Streams the changes after a token, oldest first per object.
    ///
    /// * The stream ends with [`SyncEvent::End`] when no further change is known.
    /// * A token that this resource never issued, or has forgotten, is [`crate::ErrorKind::TokenExpired`].
    /// * An error item of kind [`crate::ErrorKind::InvalidData`] stands for one unreadable change; any other error ends the stream.
    /// * Nothing changed after the token: the stream is only its end.
    /// * An unknown class, and all classes at once where [`LiveSync::all_classes`] says no, are [`crate::ErrorKind::Unsupported`].
    ///
    /// # Cancellation
    /// Dropping the stream loses nothing: the changes are given again.
    fn changes(&self, request: ChangesRequest) -> ChangeStream<'_>;

    /// Says which tokens will be resumed from, from now on: what a connector keeps for others can go. The engine calls it once
    /// tokens are stored. Provided: nothing, for connectors that keep nothing for their tokens.
    ///
    /// # Errors
    /// Where something could not be cleared away; no token suffers from that.
    async fn retain(&self, tokens: &[Token]) -> Result<()> {
        let _ = tokens;
        Ok(())
    }
}

impl Token {
    /// A token of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes that the connector made it of.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ChangesRequest {
    /// The changes of all classes after a token.
    #[must_use]
    pub fn new(after: Token) -> Self {
        Self { class: None, after }
    }

    /// Only the changes of one class.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<Arc<str>>) -> Self {
        self.class = Some(class.into());
        self
    }
}
