//! Why an operation on the repository failed.

use std::error::Error as StdError;
use std::fmt;

/// The result of an operation on the repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed operation on the repository. Nothing of it was stored. Holds no values of objects.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Somebody changed an object in between. The engine reads again and decides again.
    Conflict,
    /// A unique value (an OID, a name of its type, an identifier among living shadows) is taken. The object is a failed item.
    Duplicate,
    /// Another process holds the repository. Trying later may succeed.
    Locked,
    /// The file is no repository of ours. The command ends.
    NotOurs,
    /// The repository was written by a newer version. The command ends.
    Newer,
    /// The repository cannot be read or written. The run stops.
    Storage,
    /// What is stored does not make sense, or a bug. The run stops.
    Corrupt,
}

impl Error {
    /// A failure of a kind. The message says what was being done, with what.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), help: None, source: None }))
    }

    /// The same with a cure.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
