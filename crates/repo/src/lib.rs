//! Where shadows, foci, links, operation results, tokens, triggers and the state of tasks live.
//!
//! [`Repo`] is what the engine sees: batch-shaped, transactional, with optimistic versions. The implementations are
//! `Sqlite` (feature `sqlite`) and `Memory` (feature `memory`); the clauses of the trait's documentation are
//! the tests of feature `conformance`, which every implementation passes.

mod batch;
mod error;
mod inbox;
mod object;
mod repo;
mod results;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod run_lock;
mod token;
mod trigger;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use async_trait::async_trait;
pub use batch::{Batch, FocusChange, FocusRef, OperationResult, OperationStatus, SeenMark, ShadowChange, ShadowRef};
pub use error::{Error, ErrorKind, Result};
pub use inbox::{INBOX_KEPT, InboxEntry, InboxMarks};
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
pub use token::{StoredToken, TOKENS_KEPT, TokenChange, TokenKey, TokenSet};
pub use trigger::{NewTrigger, Retry, StoredTrigger, TriggerChange, TriggerKey};
