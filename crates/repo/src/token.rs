//! Tokens: how far the changes of an object set have been taken over.

use tidelock_model::{Oid, Timestamp};

/// How many tokens of an object set are kept, the newest included.
pub const TOKENS_KEPT: usize = 5;

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenKey {
    /// The resource whose changes they are.
    pub resource: Oid,
    /// The object set, as a text; equal sets have equal texts. Opaque here.
    pub set: Box<str>,
}

/// A token as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// What the connector gave. Opaque here.
    pub value: Box<[u8]>,
    /// When it was first stored.
    pub at: Timestamp,
    /// The run that gave it; 0 for none.
    pub run: u32,
}

/// An object set of a resource that has a token, or had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet {
    /// The object set, as in [`TokenKey::set`].
    pub set: Box<str>,
    /// Whether it has a token; else it was reset.
    pub has_token: bool,
}

/// The new token of an object set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChange {
    /// Whose it is.
    pub key: TokenKey,
    /// The token, which may be empty; none to forget the one there is, and those before it.
    pub value: Option<Box<[u8]>>,
    /// When.
    pub at: Timestamp,
    /// The run that gives it, whose last token alone is kept: those before it are of earlier runs. 0 for none: somebody set it.
    pub run: u32,
}
