//! The people, roles, organizations and services that resource objects belong to.

use std::fmt;
use std::str::FromStr;

use crate::oid::Oid;
use crate::value::{Items, Value};

/// A person, role, organization or service.
///
/// `content` has everything but the OID, in midPoint's terms (`name`, `givenName`, `activation/administrativeStatus`,
/// `extension/…`); structured items are [`Value::Container`]s. Links are not in it: they belong to the shadows.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// Its identity in the repository.
    pub oid: Oid,
    /// What it is.
    pub focus_type: FocusType,
    /// Counts its changes, from 1. A new focus that is not stored yet has 0.
    pub version: u64,
    /// Its items.
    pub content: Items,
}

/// What a focus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FocusType {
    /// A person.
    User,
    /// A role.
    Role,
    /// An organization, or a part of one.
    Org,
    /// A machine, an application.
    Service,
}

/// A text that names no focus type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a focus type; focus types are UserType, RoleType, OrgType and ServiceType")]
pub struct NotAFocusType(String);

impl Focus {
    /// The `name` item, or an empty text while it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.content.first("name").and_then(Value::as_str).unwrap_or_default()
    }
}

impl FocusType {
    /// Every focus type.
    pub const ALL: [Self; 4] = [Self::User, Self::Role, Self::Org, Self::Service];

    /// The type's name in definitions: `UserType`.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::User => "UserType",
            Self::Role => "RoleType",
            Self::Org => "OrgType",
            Self::Service => "ServiceType",
        }
    }

    /// The element's name in definitions, and the name in reports: `user`.
    #[must_use]
    pub const fn element_name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Org => "org",
            Self::Service => "service",
        }
    }
}

impl FromStr for FocusType {
    type Err = NotAFocusType;

    fn from_str(text: &str) -> Result<Self, NotAFocusType> {
        Self::ALL.into_iter().find(|t| t.type_name() == text).ok_or_else(|| NotAFocusType(text.chars().take(40).collect()))
    }
}

impl fmt::Display for FocusType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}
