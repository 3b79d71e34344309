//! Where shadows, foci, links, operation results and the state of tasks live.
//!
//! [`Repo`] is what the engine sees: batch-shaped, transactional, with optimistic versions. The implementations are
//! `Sqlite` (feature `sqlite`) and `Memory` (feature `memory`); the clauses of the trait's documentation are
//! the tests of feature `conformance`, which every implementation passes.

mod batch;
mod error;
mod object;
mod repo;
mod results;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod run_lock;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use async_trait::async_trait;
pub use batch::{Batch, FocusChange, FocusRef, OperationResult, OperationStatus, SeenMark, ShadowChange, ShadowRef};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "memory")]
pub use memory::Memory;
pub use object::{Applied, ObjectKey, ObjectType, StoredObject};
pub use repo::{
    Fingerprint, FocusKey, IndexedItem, KnownShadow, Remaining, Repo, RunGuard, ShadowFilter, ShadowKey, StoredFocus,
    StoredShadow, SyncLevel,
};
pub use results::ResultFilter;
#[cfg(feature = "sqlite")]
pub use sqlite::{Mode, Sqlite};
