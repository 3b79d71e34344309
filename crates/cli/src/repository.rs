//! Opening the repository that the session names.

use std::path::Path;
use std::sync::Arc;

use tidelock_repo::Repo;
use tidelock_repo::memory::Memory;
use tidelock_repo::sqlite::{Mode, Sqlite};

use crate::config::Session;
use crate::failure::Failure;

/// Opens the repository to read and write. It is made if there is none.
pub(crate) fn open(session: &Session) -> Result<Arc<dyn Repo>, Failure> {
    sqlite(&session.database, Mode::ReadWrite)
}

/// Opens the repository to read only. Where there is none, it is an empty one, and nothing is made.
pub(crate) fn look(session: &Session) -> Result<Arc<dyn Repo>, Failure> {
    // A file without content is what a repository is before its first use.
    if std::fs::metadata(&session.database).is_ok_and(|file| !file.is_file() || file.len() > 0) {
        sqlite(&session.database, Mode::ReadOnly)
    } else {
        Ok(Arc::new(Memory::new()))
    }
}

fn sqlite(path: &Path, mode: Mode) -> Result<Arc<dyn Repo>, Failure> {
    match Sqlite::open(path, mode) {
        Ok(repo) => Ok(Arc::new(repo)),
        Err(error) => Err(Failure::repository(&error, path)),
    }
}
