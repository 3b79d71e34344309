//! Our records of resource objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::object::kind::TypeId;
use crate::oid::Oid;
use crate::time::Timestamp;
use crate::value::Items;

/// Our record of a resource object.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// Its identity in the repository.
    pub oid: Oid,
    /// The resource that holds the object.
    pub resource: Oid,
    /// The object class.
    pub class: Arc<str>,
    /// The normalized value of the primary identifier; with resource and class unique among the living.
    pub identifier: Box<str>,
    /// What people call the object: the naming attribute.
    pub name: Box<str>,
    /// How the object is classified; none while it could not be.
    pub object_type: Option<TypeId>,
    /// The attributes kept with the shadow: the identifiers, and what the resource's caching policy asks for.
    pub attributes: Items,
    /// The situation at the last synchronization that determined one.
    pub situation: Option<Situation>,
    /// The focus that owns the object, if one is linked.
    pub owner: Option<Oid>,
    /// Whether the object is gone from the resource. A dead shadow is kept as a record, and never revived.
    pub dead: bool,
    /// When the object was last seen by a synchronization.
    pub synchronized: Option<Timestamp>,
    /// When a reaction last ran without failure in full execution.
    pub fully_synchronized: Option<Timestamp>,
}

/// The relation of a resource object to our foci.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Situation {
    /// A focus owns it.
    Linked,
    /// A focus should own it, and does not yet.
    Unlinked,
    /// No focus corresponds to it.
    Unmatched,
    /// It cannot be said which focus should own it.
    Disputed,
    /// It is gone from the resource.
    Deleted,
}

/// Why synchronization passed an object over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exclusion {
    /// It has been synchronized already.
    Synchronized,
    /// It is protected.
    Protected,
    /// No object type, or a type without a synchronization policy.
    NoSynchronizationPolicy,
    /// The type's synchronization is switched off.
    SynchronizationDisabled,
    /// There is nothing to do for it.
    SynchronizationNotNeeded,
    /// It is outside the task's object set.
    NotApplicableForTask,
    /// The cached copy is too old.
    Expired,
}

/// A text that names no situation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a situation; situations are linked, unlinked, unmatched, disputed and deleted")]
pub struct NotASituation(String);

impl Situation {
    /// Every situation.
    pub const ALL: [Self; 5] = [Self::Linked, Self::Unlinked, Self::Unmatched, Self::Disputed, Self::Deleted];

    /// The name in definitions and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Unlinked => "unlinked",
            Self::Unmatched => "unmatched",
            Self::Disputed => "disputed",
            Self::Deleted => "deleted",
        }
    }
}

impl Exclusion {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synchronized => "synchronized",
            Self::Protected => "protected",
            Self::NoSynchronizationPolicy => "noSynchronizationPolicy",
            Self::SynchronizationDisabled => "synchronizationDisabled",
            Self::SynchronizationNotNeeded => "synchronizationNotNeeded",
            Self::NotApplicableForTask => "notApplicableForTask",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for Situation {
    type Err = NotASituation;

    fn from_str(text: &str) -> Result<Self, NotASituation> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| NotASituation(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
