//! The messages that have been taken over: one row for each commit.

use std::borrow::Cow;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tidelock_model::Oid;

use super::Db;
use super::column::{OidColumn, text};
use super::failure::{Attempt, Failure, corrupt};
use crate::inbox::in_force;
use crate::{INBOX_KEPT, InboxEntry, InboxMarks};

/// After how many marks it is seen to it that old ones go. Until then there may be as many too many.
const BETWEEN_PRUNINGS: i64 = 1024;

/// A mark in a row.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Mark<'a> {
    Settled(Cow<'a, str>),
    Partly(Cow<'a, str>, u32),
}

impl<'a> From<&'a InboxEntry> for Mark<'a> {
    fn from(entry: &'a InboxEntry) -> Self {
        let message = Cow::Borrowed(&*entry.message);
        if entry.is_settled() { Self::Settled(message) } else { Self::Partly(message, entry.changes) }
    }
}

impl From<Mark<'_>> for InboxEntry {
    fn from(mark: Mark<'_>) -> Self {
        match mark {
            Mark::Settled(message) => Self::settled(message),
            Mark::Partly(message, changes) => Self { message: message.into(), changes },
        }
    }
}

/// The marks that count, newest first.
pub(super) fn read(db: &Db, resource: &Oid) -> Attempt<Vec<InboxEntry>> {
    let mut statement = db.connection.prepare_cached("SELECT messages FROM inbox WHERE resource = ?1 ORDER BY upto DESC")?;
    let rows = statement.query_and_then([OidColumn::from(resource)], |row| -> Attempt<Vec<InboxEntry>> {
        let marks: Vec<Mark<'_>> = serde_json::from_str(text(row, 0)?).map_err(|_| corrupt("the inbox"))?;
        Ok(marks.into_iter().rev().map(Into::into).collect())
    })?;
    let marks = rows.flat_map(|row| -> Box<dyn Iterator<Item = Result<InboxEntry, Failure>>> {
        match row {
            Ok(marks) => Box::new(marks.into_iter().map(Ok)),
            Err(err) => Box::new(std::iter::once(Err(err))),
        }
    });
    in_force(marks)
}

/// Writes the marks of a commit.
pub(super) fn mark(db: &Connection, marks: &InboxMarks) -> Attempt<()> {
    if marks.messages.is_empty() {
        return Ok(());
    }
    let resource = OidColumn::from(&marks.resource);
    let before: i64 = db
        .prepare_cached("SELECT coalesce(max(upto), 0) FROM inbox WHERE resource = ?1")?
        .query_row([&resource], |row| row.get(0))?;
    let upto = before + marks.messages.len() as i64;
    let messages: Vec<Mark<'_>> = marks.messages.iter().map(Into::into).collect();
    let messages = serde_json::to_string(&messages).map_err(|_| corrupt("the inbox"))?;
    db.prepare_cached("INSERT INTO inbox (resource, upto, messages) VALUES (?1, ?2, ?3)")?
        .execute((&resource, upto, messages))?;
    if upto / BETWEEN_PRUNINGS > before / BETWEEN_PRUNINGS {
        db.prepare_cached("DELETE FROM inbox WHERE resource = ?1 AND upto <= ?2")?
            .execute((&resource, upto - INBOX_KEPT as i64))?;
    }
    Ok(())
}
