//! Why a run did not start or broke off, and how failures of objects are sorted.

use serde::{Deserialize, Serialize};
use tidelock_connector_api::ErrorKind;
use tidelock_model::{Diagnostic, Diagnostics};

use crate::report::RunReport;

/// Why there is no report of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A definition is wrong; nothing was run or stored.
    #[error("{error}")]
    Definition {
        /// The error that stands for all: the first.
        error: Box<Diagnostic>,
        /// Everything found, the errors among it.
        diagnostics: Diagnostics,
    },
    /// The run ended before it began, say because the resource cannot be reached. The report says how.
    #[error("the run did not begin")]
    NotBegun(Box<RunReport>),
    /// The repository failed before there was anything to report, or could not be written any longer.
    #[error("{0}")]
    Repo(#[from] tidelock_repo::Error),
}

/// What a failure is about, in midPoint's terms; error handling is configured by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Category {
    /// The resource could not be reached, or the answer got lost.
    Network,
    /// Credentials or rights.
    Security,
    /// A policy forbids it.
    Policy,
    /// The state of the objects forbids it.
    Application,
    /// A threshold was passed.
    PolicyThreshold,
    /// Data that breaks its schema.
    Schema,
    /// The configuration is wrong.
    Configuration,
    /// Something is not offered.
    Unsupported,
    /// Anything else.
    Generic,
}

impl Category {
    /// The name in definitions and reports: `policyThreshold`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Security => "security",
            Self::Policy => "policy",
            Self::Application => "application",
            Self::PolicyThreshold => "policyThreshold",
            Self::Schema => "schema",
            Self::Configuration => "configuration",
            Self::Unsupported => "unsupported",
            Self::Generic => "generic",
        }
    }
}

impl From<ErrorKind> for Category {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::OutcomeUnknown => Self::Network,
            ErrorKind::Unauthenticated | ErrorKind::Denied => Self::Security,
            ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Conflict => Self::Application,
            ErrorKind::InvalidData => Self::Schema,
            ErrorKind::TokenExpired | ErrorKind::Config => Self::Configuration,
            ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Generic,
        }
    }
}

impl RunError {
    /// The error for diagnostics of which at least one is an error.
    pub(crate) fn definition(diagnostics: Diagnostics) -> Self {
        let first = diagnostics.iter().find(|d| d.is_error()).or(diagnostics.first()).cloned();
        let error = first
            .unwrap_or_else(|| Diagnostic::error("definition", &tidelock_model::Place::default(), "the definition is wrong"));
        Self::Definition { error: Box::new(error), diagnostics }
    }
}
