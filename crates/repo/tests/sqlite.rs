//! The clauses, on a SQLite file.
#![allow(clippy::unwrap_used)]

use tidelock_repo::conformance::Fixture;
use tidelock_repo::{Mode, Sqlite};

tidelock_repo::conformance_tests!({
    let folder = tempfile::tempdir().unwrap();
    Fixture::new(Sqlite::open(&folder.path().join("tidelock.db"), Mode::ReadWrite).unwrap()).keeping(folder)
});
