//! Why an operation on a resource failed, in terms of what the engine will do about it.

use std::error::Error as StdError;
use std::fmt;

/// The result of an operation on a resource.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on a resource: what was being done, and why it failed. Never holds secrets or attribute values.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    about: About,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Which object an error item of a search stands for. Whether another object may be missing depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum About {
    /// It may be any object: none can be called missing.
    #[default]
    Anything,
    /// The object with this primary identifier. It is there, though it cannot be read.
    Object(Box<str>),
    /// Nothing that is an object, such as a row without an identifier.
    NoObject,
}

/// What kind of failure it was. A kind exists because the engine acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing was done; the resource cannot be reached. The engine backs off, retries, then suspends the run; tokens stay.
    Unreachable,
    /// The resource asks to slow down. The engine waits and retries.
    Throttled,
    /// The operation may or may not have happened. The engine re-reads before anything else.
    OutcomeUnknown,
    /// The credentials were not accepted. The run is suspended and the operator told.
    Unauthenticated,
    /// The rights do not suffice. The run is suspended and the operator told.
    Denied,
    /// There is no such object. For a change, the engine treats it as a deletion after a re-read.
    NotFound,
    /// An object of that identity exists already. The engine re-reads and decides again.
    AlreadyExists,
    /// Someone else was first. The engine re-reads and decides again.
    Conflict,
    /// The resource broke its own schema or format. The item is recorded as failed, and the run goes on.
    InvalidData,
    /// The token cannot be used any longer. Live synchronization, or listening, stops and asks for a reconciliation.
    TokenExpired,
    /// The class, filter or facet is not offered. A definition error, found before the run starts.
    Unsupported,
    /// The connector cannot be opened with this configuration. The run stops.
    Config,
    /// A bug, or something new. The item is recorded, and the run goes on, up to a threshold.
    Unexpected,
}

impl Error {
    /// A failure of a kind. The message says what was being done, with what; it holds no secret and no attribute value.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), about: About::Anything, source: None }))
    }

    /// [`ErrorKind::Unreachable`] with a message.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreachable, message)
    }

    /// [`ErrorKind::InvalidData`] with a message.
    pub fn invalid_data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidData, message)
    }

    /// [`ErrorKind::Config`] with a message.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// [`ErrorKind::Unsupported`] with a message.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::NotFound`] for an object; the identifier is not repeated.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorKind::NotFound, "no such object")
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same, standing for what is known of the object.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        self.0.about = about;
        self
    }

    /// Which object it stands for.
    #[must_use]
    pub fn what(&self) -> &About {
        &self.0.about
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message with those of its causes, joined by colons: one line for a report.
    #[must_use]
    pub fn full_message(&self) -> String {
        let mut message = self.0.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.full_message())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
