//! What a connector is: the traits, requests and errors that stand between Tidelock and a connected system.
//!
//! A connector knows object classes and attributes by the resource's own names. It never sees kinds, intents, shadows or
//! foci. The least connector is two methods, [`Connector::schema`] and [`Connector::search`]; every further ability is a
//! facet that the connector returns if, and only if, it has it.

mod async_updates;
mod change;
mod connector;
mod error;
mod finding;
mod live_sync;
mod provision;
mod search;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "tls")]
pub mod tls;

pub use async_trait::async_trait;
pub use async_updates::{Acknowledge, AsyncUpdates, Delivery, Listening, ListeningStatus, MessageId, OnFailure};
pub use change::{Change, ChangeKind};
pub use connector::Connector;
pub use error::{About, Error, ErrorKind, Result};
pub use finding::Finding;
pub use futures::stream::BoxStream;
pub use live_sync::{ChangeStream, ChangesRequest, LiveSync, SyncEvent, Token, TokenPrecision};
pub use provision::{AddRequest, Modification, ModifyRequest, Password, Provision};
pub use search::{Completeness, Container, ContainerScope, Found, IncompleteReason, ObjectStream, SearchRequest, stream_of};
