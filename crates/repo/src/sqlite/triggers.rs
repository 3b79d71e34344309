//! Retries that shadows wait for.

use rusqlite::{Connection, Params};
use tidelock_model::Timestamp;

use super::Db;
use super::column::timestamp;
use super::failure::{Attempt, corrupt};
use super::names::Names;
use super::read::sql_limit;
use crate::{Retry, ShadowKey, StoredTrigger, TriggerKey};

// In two parts, which SQLite merges: of `(at, id) > (?2, ?3)` it takes the time alone to the index, and each page would
// read again all those of its time that earlier pages have had.
pub(super) const DUE: &str = "
    SELECT id, shadow, task_activity, at, attempt, interval, attempts FROM retry WHERE at = ?2 AND id > ?3 AND at <= ?1
    UNION ALL
    SELECT id, shadow, task_activity, at, attempt, interval, attempts FROM retry WHERE at > ?2 AND at <= ?1
    ORDER BY at, id LIMIT ?4";

/// Triggers that are due.
pub(super) fn due(db: &mut Db, until: Timestamp, after: Option<TriggerKey>, limit: usize) -> Attempt<Vec<StoredTrigger>> {
    let (at, number) = after.map_or((i64::MIN, i64::MIN), |key| (key.at.as_millis(), key.number));
    read(db, DUE, (until.as_millis(), at, number, sql_limit(limit)))
}

/// The triggers of a shadow.
pub(super) fn of_shadow(db: &mut Db, shadow: ShadowKey) -> Attempt<Vec<StoredTrigger>> {
    let sql = "SELECT id, shadow, task_activity, at, attempt, interval, attempts FROM retry WHERE shadow = ?1 ORDER BY at, id";
    read(db, sql, [shadow.0])
}

fn read(db: &mut Db, sql: &str, which: impl Params) -> Attempt<Vec<StoredTrigger>> {
    let Db { connection, names, .. } = db;
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(which)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let activity = names.activity(connection, row.get(2)?)?;
        let at = timestamp(row, 3)?.ok_or_else(|| corrupt("a trigger"))?;
        found.push(StoredTrigger {
            key: TriggerKey { at, number: row.get(0)? },
            shadow: ShadowKey(row.get(1)?),
            retry: Retry {
                at,
                attempt: row.get(4)?,
                interval_millis: row.get(5)?,
                limit: row.get(6)?,
                task: activity.task.clone(),
                activity: activity.activity.clone(),
            },
        });
    }
    Ok(found)
}

/// Adds a trigger to a shadow; one of the same task and activity goes.
pub(super) fn add(db: &Connection, names: &mut Names, shadow: i64, retry: &Retry) -> Attempt<()> {
    let activity = names.activity_id(db, &retry.task, &retry.activity)?;
    // Not an update: who still holds the old one's number must not mean the new one.
    db.prepare_cached(
        "INSERT OR REPLACE INTO retry (shadow, task_activity, at, attempt, interval, attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((shadow, activity, retry.at.as_millis(), retry.attempt, retry.interval_millis, retry.limit))?;
    Ok(())
}

/// Removes a trigger, if it is there.
pub(super) fn remove(db: &Connection, key: TriggerKey) -> Attempt<()> {
    db.prepare_cached("DELETE FROM retry WHERE id = ?1 AND at = ?2")?.execute((key.number, key.at.as_millis()))?;
    Ok(())
}
