//! How our side classifies resource objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What a resource object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Belongs to a person or a machine that logs in.
    Account,
    /// Gives rights to its members: a group, a role.
    Entitlement,
    /// Anything else, such as an organizational unit.
    Generic,
    /// A relation between objects that is an object itself.
    Association,
    /// Background work of the resource.
    Work,
    /// Not classified. Never written by a user: definitions that say so are refused.
    Unknown,
}

/// A flavour of a kind, such as `default` or `admin`. Case-sensitive, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Intent(Arc<str>);

/// An object type: a kind and an intent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId {
    /// The kind.
    pub kind: Kind,
    /// The intent.
    pub intent: Intent,
}

/// A text that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a kind; kinds are account, entitlement, generic, association and work")]
pub struct NotAKind(String);

impl Kind {
    /// Every kind that a definition may name.
    pub const ALL: [Self; 5] = [Self::Account, Self::Entitlement, Self::Generic, Self::Association, Self::Work];

    /// The name in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Entitlement => "entitlement",
            Self::Generic => "generic",
            Self::Association => "association",
            Self::Work => "work",
            Self::Unknown => "unknown",
        }
    }
}

impl Intent {
    /// The intent of types and tasks that name none in a `schemaHandling`.
    pub const DEFAULT: &'static str = "default";
    /// The reserved intent of objects that could not be classified.
    pub const UNKNOWN: &'static str = "unknown";

    /// An intent; none for an empty text.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The intent `default`.
    #[must_use]
    pub fn default_intent() -> Self {
        Self(Self::DEFAULT.into())
    }

    /// The name in definitions.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Kind {
    type Err = NotAKind;

    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL
            .into_iter()
            .chain([Self::Unknown])
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| NotAKind(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.intent)
    }
}
