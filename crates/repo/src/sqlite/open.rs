//! Opening the file: whose it is, how it is set up, and its migrations.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};

use super::checkpoint::{self, Checkpoints};
use super::failure::{Attempt, Failure, explain_result};
use super::{Db, Mode};
use crate::{Error, ErrorKind, Result};

/// "Tide" in the header of every file of ours.
pub(super) const APPLICATION_ID: i32 = 0x5469_6465;

/// What each version adds to the one before; the first makes the tables.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("schema-2.sql"), include_str!("schema-3.sql")];

/// How large the pages of a new file are, in bytes. What changes is spread: a few small rows on many pages, each of which is written whole
/// to the log and to its place, so that half of SQLite's usual size writes hardly more than half as much.
pub(super) const PAGE: i32 = 2048;

/// What the writer keeps in memory, in KiB; it serves the data path's reads as well.
const WRITER_CACHE: i32 = 32 * 1024;
const READER_CACHE: i32 = 4 * 1024;

const STATEMENTS: usize = 96;

/// The connection that writes, and serves the data path; none for [`Mode::ReadOnly`]. Then the one that commands read with.
pub(super) fn open(path: &Path, mode: Mode, patience: Duration) -> Result<(Option<(Db, Checkpoints)>, Db)> {
    inspect(path, mode)?;
    let writer = match mode {
        Mode::ReadOnly => None,
        Mode::ReadWrite => Some(explain_result(writer(path, patience), "open the repository", path)?),
    };
    let reader = explain_result(reader(path, patience), "open the repository", path)?;
    Ok((writer, reader))
}

/// Refuses what is no repository of ours, without SQLite: already by opening, that may change a file.
fn inspect(path: &Path, mode: Mode) -> Result<()> {
    let file = path.display();
    let unreadable = |err: io::Error| {
        Error::new(ErrorKind::Storage, format!("cannot read the repository {file}"))
            .with_help("see that the file and its folder may be read by this user")
            .with_source(err)
    };
    let missing = || {
        Error::new(ErrorKind::Storage, format!("there is no repository {file}"))
            .with_help("a repository is made when something is first stored, as by `tidelock apply`")
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            return match mode {
                Mode::ReadWrite => Ok(()),
                Mode::ReadOnly => Err(missing()),
            };
        }
        Err(err) => return Err(unreadable(err)),
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a folder" } else { "not a regular file" };
        return Err(Error::new(ErrorKind::Storage, format!("the repository {file} is {what}")).with_help("name a file"));
    }
    if metadata.len() == 0 {
        return match mode {
            Mode::ReadWrite => Ok(()),
            Mode::ReadOnly => Err(missing()),
        };
    }
    let mut head = Vec::with_capacity(HEAD);
    File::open(path).and_then(|open| open.take(HEAD as u64).read_to_end(&mut head)).map_err(unreadable)?;
    match whose(&head, &beside(path)) {
        Whose::Ours(version) if version > newest() => Err(newer(path)),
        Whose::Ours(_) => Ok(()),
        Whose::Nobodys if matches!(mode, Mode::ReadWrite) => Ok(()),
        Whose::Nobodys => Err(missing()),
        Whose::NotOurs => Err(Error::new(ErrorKind::NotOurs, format!("{file} is not a repository of Tidelock"))
            .with_help("name another file, or move this one away; it has not been changed")),
    }
}

/// The bytes of SQLite's header, and those of the first page's header after it.
const HEAD: usize = 108;

enum Whose {
    /// Ours, of a version.
    Ours(i64),
    /// A database without content.
    Nobodys,
    NotOurs,
}

/// Reads SQLite's file header: the offsets are those of its format's documentation.
fn whose(head: &[u8], beside: &[std::path::PathBuf]) -> Whose {
    let number = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    if head.len() < HEAD || !head.starts_with(b"SQLite format 3\0") {
        return Whose::NotOurs;
    }
    if number(68) == APPLICATION_ID.cast_unsigned() {
        return Whose::Ours(i64::from(number(60).cast_signed()));
    }
    let (pages, entries) = (number(28), u16::from_be_bytes([head[103], head[104]]));
    if number(68) == 0 && pages <= 1 && entries == 0 && !beside.iter().any(|path| path.exists()) {
        return Whose::Nobodys;
    }
    Whose::NotOurs
}

/// The files in which SQLite keeps what is not in the database file yet.
fn beside(path: &Path) -> [std::path::PathBuf; 2] {
    ["-wal", "-journal"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        name.into()
    })
}

pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn newer(path: &Path) -> Error {
    Error::new(ErrorKind::Newer, format!("the repository {} was written by a newer version of Tidelock", path.display()))
        .with_help("use that version, or a copy of the repository from before it")
}

fn writer(path: &Path, patience: Duration) -> Attempt<(Db, Checkpoints)> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // It counts for a file that is empty.
    connection.pragma_update(None, "page_size", PAGE)?;
    set_up(&connection, patience, WRITER_CACHE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    migrate(&connection, path)?;
    write_ahead(&connection, path, patience)?;
    // The log is used again from its start once all of it is moved.
    connection.pragma_update(None, "journal_size_limit", checkpoint::KEPT_BYTES)?;
    let checkpoints = Checkpoints::begin(&mut connection, path)?;
    Ok((Db::new(connection), checkpoints))
}

fn reader(path: &Path, patience: Duration) -> Attempt<Db> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    set_up(&connection, patience, READER_CACHE)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > newest() {
        return Err(newer(path).into());
    }
    if version < newest() {
        // Who reads changes nothing, and yet must see what the next writer will: every command reads before it writes.
        let copy = copy(&connection)?;
        migrate(&copy.connection, path)?;
        return Ok(copy);
    }
    Ok(Db::new(connection))
}

/// A copy in a file that has no name and is gone with the connection.
pub(super) fn copy(source: &Connection) -> Attempt<Db> {
    // An empty name is SQLite's word for such a file.
    let mut connection = Connection::open("")?;
    let StepResult::Done = Backup::new(source, &mut connection)?.step(-1)? else {
        // Not an error of the call: it could be made again.
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None).into());
    };
    set_up(&connection, Duration::ZERO, WRITER_CACHE)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(Db::new(connection))
}

fn set_up(connection: &Connection, patience: Duration, cache: i32) -> Attempt<()> {
    connection.busy_timeout(patience)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Plans do not depend on the values bound: else SQLite prepares some statements anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    rusqlite::vtab::array::load_module(connection)?;
    Ok(())
}

/// Brings the tables up to date, in one transaction. Safe where several processes start at once: the others wait, and
/// find nothing left to do.
fn migrate(connection: &Connection, path: &Path) -> Attempt<()> {
    let version = |connection: &Connection| -> Attempt<i64> {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > newest() { Err(newer(path).into()) } else { Ok(version) }
    };
    if version(connection)? == newest() {
        return Ok(());
    }
    let transaction = rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let done = usize::try_from(version(&transaction)?).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    // With the tables and not before: while the file is empty it is nobody's.
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()?;
    Ok(())
}

/// Switches to the write-ahead log. Only after the first migration, so that the file's own header says whose it is.
fn write_ahead(connection: &Connection, path: &Path, patience: Duration) -> Attempt<()> {
    let start = Instant::now();
    loop {
        let switched = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match switched {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                let message = format!("the repository {} lies where no write-ahead log is possible", path.display());
                return Err(Error::new(ErrorKind::Storage, message).with_help("put it on a local disk").into());
            }
            // SQLite does not wait by itself for this.
            Err(err) if err.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(err) => return Err(Failure::Sqlite(err)),
        }
    }
}
