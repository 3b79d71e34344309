//! Tokens of object sets, and the few before them.

use rusqlite::{Connection, OptionalExtension, Params};
use tidelock_model::Oid;

use super::Db;
use super::column::{OidColumn, timestamp};
use super::failure::{Attempt, corrupt};
use crate::{StoredToken, TOKENS_KEPT, TokenChange, TokenKey, TokenSet};

/// The tokens of an object set, newest first.
pub(super) fn of_set(db: &Db, key: &TokenKey) -> Attempt<Vec<StoredToken>> {
    let sql = "SELECT t.value, t.at, t.run FROM object_set o CROSS JOIN token t ON t.object_set = o.id
               WHERE o.resource = ?1 AND o.text = ?2 ORDER BY t.nr DESC";
    read(db, sql, (OidColumn::from(&key.resource), &*key.set))
}

/// The tokens of all object sets of a resource.
pub(super) fn of_resource(db: &Db, resource: &Oid) -> Attempt<Vec<StoredToken>> {
    let sql = "SELECT t.value, t.at, t.run FROM object_set o CROSS JOIN token t ON t.object_set = o.id
               WHERE o.resource = ?1 ORDER BY o.id, t.nr DESC";
    read(db, sql, [OidColumn::from(resource)])
}

/// The object sets of a resource that have a token, or had one.
pub(super) fn sets(db: &Db, resource: &Oid) -> Attempt<Vec<TokenSet>> {
    let sql = "SELECT o.text, EXISTS (SELECT 1 FROM token t WHERE t.object_set = o.id) FROM object_set o
               WHERE o.resource = ?1 ORDER BY o.id";
    let mut statement = db.connection.prepare_cached(sql)?;
    let mut rows = statement.query([OidColumn::from(resource)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(TokenSet { set: row.get::<_, String>(0)?.into(), has_token: row.get(1)? });
    }
    Ok(found)
}

fn read(db: &Db, sql: &str, which: impl Params) -> Attempt<Vec<StoredToken>> {
    let mut statement = db.connection.prepare_cached(sql)?;
    let mut rows = statement.query(which)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let value = row.get::<_, Vec<u8>>(0)?.into();
        found.push(StoredToken { value, at: timestamp(row, 1)?.ok_or_else(|| corrupt("a token"))?, run: row.get(2)? });
    }
    Ok(found)
}

/// Writes the new token of an object set, or forgets all of them.
pub(super) fn change(db: &Connection, change: &TokenChange) -> Attempt<()> {
    let (resource, text) = (OidColumn::from(&change.key.resource), &*change.key.set);
    let set: Option<i64> = db
        .prepare_cached("SELECT id FROM object_set WHERE resource = ?1 AND text = ?2")?
        .query_row((&resource, text), |row| row.get(0))
        .optional()?;
    let set = match set {
        Some(set) => set,
        None => {
            db.prepare_cached("INSERT INTO object_set (resource, text) VALUES (?1, ?2)")?.execute((&resource, text))?;
            db.last_insert_rowid()
        }
    };
    let Some(value) = change.value.as_deref() else {
        // The object set keeps its number, and with it its place among the others.
        db.prepare_cached("DELETE FROM token WHERE object_set = ?1")?.execute([set])?;
        return Ok(());
    };
    let newest: Option<(i64, bool, u32)> = db
        .prepare_cached("SELECT nr, value = ?2, run FROM token WHERE object_set = ?1 ORDER BY nr DESC LIMIT 1")?
        .query_row((set, value), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if newest.is_some_and(|(_, same, _)| same) {
        return Ok(());
    }
    // The token of the same run gives way.
    let nr = newest.map_or(1, |(nr, _, run)| if run != 0 && run == change.run { nr } else { nr + 1 });
    db.prepare_cached("INSERT OR REPLACE INTO token (object_set, nr, at, run, value) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        set,
        nr,
        change.at.as_millis(),
        change.run,
        value,
    ))?;
    db.prepare_cached("DELETE FROM token WHERE object_set = ?1 AND nr <= ?2")?.execute((set, nr - TOKENS_KEPT as i64))?;
    Ok(())
}
