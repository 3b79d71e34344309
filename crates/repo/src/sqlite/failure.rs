//! What SQLite's failures mean to us.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::{Error, ErrorKind, Result};

/// The result of work on a connection, before it is known which file it was.
pub(super) type Attempt<T> = std::result::Result<T, Failure>;

/// A failure of SQLite, or one of ours.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(err: rusqlite::Error) -> Self {
        Self::Sqlite(err)
    }
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::Ours(err)
    }
}

/// What is stored is not what was written.
pub(super) fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what} in the repository cannot be read"))
        .with_help("restore the repository from a copy")
}

/// Somebody else was faster.
pub(super) fn conflict(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what} since it was read"))
}

/// The caller broke the contract of the trait.
pub(super) fn misuse(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what}: this is a bug in Tidelock"))
}

impl Failure {
    /// Says what was being done, and with which file.
    pub(super) fn explain(self, doing: &str, path: &Path) -> Error {
        match self {
            Self::Ours(err) => err,
            Self::Sqlite(err) => explain(err, doing, path),
        }
    }
}

/// Says what was being done, and with which file.
pub(super) fn explain_result<T>(result: Attempt<T>, doing: &str, path: &Path) -> Result<T> {
    result.map_err(|failure| failure.explain(doing, path))
}

fn explain(err: rusqlite::Error, doing: &str, path: &Path) -> Error {
    let file = path.display();
    let rusqlite::Error::SqliteFailure(code, detail) = &err else {
        // The remaining ones are about types and numbers of columns; some quote values, so no source.
        return Error::new(ErrorKind::Corrupt, format!("cannot {doing}: the repository {file} does not hold what it should"))
            .with_help("restore the repository from a copy");
    };
    match code.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return duplicate(detail.as_deref().unwrap_or_default());
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return conflict("an object that this one refers to has gone"),
        _ => {}
    }
    let (kind, message, help) = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => (
            ErrorKind::Locked,
            format!("cannot {doing}: another process holds the repository {file}"),
            "wait until it is done, or stop it, and try again",
        ),
        ErrorCode::NotADatabase => (
            ErrorKind::NotOurs,
            format!("{file} is not a repository of Tidelock"),
            "name another file, or move this one away; it has not been changed",
        ),
        ErrorCode::DatabaseCorrupt => (
            ErrorKind::Corrupt,
            format!("cannot {doing}: the repository {file} is damaged"),
            "restore the file, with its `-wal` file if there is one, from a copy",
        ),
        ErrorCode::DiskFull => (
            ErrorKind::Storage,
            format!("cannot {doing}: no space is left for the repository {file}"),
            "make room, and try again",
        ),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => (
            ErrorKind::Storage,
            format!("cannot {doing}: the repository {file} cannot be opened as needed"),
            "see that the file and its folder exist and may be read and written by this user; also reading makes files beside it",
        ),
        _ => (ErrorKind::Storage, format!("cannot {doing} in the repository {file}"), "see the cause"),
    };
    Error::new(kind, message).with_help(help).with_source(err)
}

/// `detail` is SQLite's "UNIQUE constraint failed: table.column, …", which names columns and no values.
fn duplicate(detail: &str) -> Error {
    let columns = detail.rsplit(": ").next().unwrap_or_default();
    let message = match columns {
        "focus.type, focus.name" => "a focus of the same type has this name already",
        "focus.oid" => "a focus has this OID already",
        "shadow.class, shadow.identifier" => "a living shadow of the same resource and object class has this identifier already",
        "shadow.oid" => "a shadow has this OID already",
        "object.type, object.name" => "an object of the same type has this name already",
        "object.oid" => "an object has this OID already",
        other => return Error::new(ErrorKind::Duplicate, format!("a value that must be unique is taken ({other})")),
    };
    Error::new(ErrorKind::Duplicate, message)
}
