//! How the engine gets at resources, without knowing a single connector.

use std::sync::Arc;

use async_trait::async_trait;
use tidelock_connector_api::{Connector, Error};
use tidelock_model::Diagnostics;
use tidelock_model::definition::Resource;

/// A resource definition, and where it comes from.
#[derive(Clone, Debug)]
pub struct ResourceEntry {
    /// The definition.
    pub definition: Resource,
    /// The file it was read from, to whose folder relative paths inside it refer.
    pub origin: Option<String>,
}

/// Opens connectors; the program that wires the engine says which there are.
#[async_trait]
pub trait Connectors: Send + Sync {
    /// Opens the connector of a resource. Gives the warnings of its configuration along.
    ///
    /// # Errors
    /// [`OpenError`], before anything was asked of the resource itself if the definition is at fault.
    async fn open(&self, resource: &ResourceEntry) -> Result<(Arc<dyn Connector>, Diagnostics), OpenError>;
}

/// Why a connector could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The definition is wrong; at least one of these is an error.
    Definition(Diagnostics),
    /// The resource refused, or is not there.
    Connector(Error),
}
