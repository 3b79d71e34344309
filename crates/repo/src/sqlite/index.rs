//! The index of foci by the values of declared items.

use rusqlite::{Connection, TransactionBehavior};
use tidelock_model::Items;
use tidelock_model::object::FocusType;

use super::Db;
use super::column::{Code, items, matching_rule, text};
use super::failure::{Attempt, corrupt};
use crate::IndexedItem;

const INSERT: &str = "INSERT INTO focus_index (item, value, focus) VALUES (?1, ?2, ?3)";

/// The declared items, as far as this connection knows.
#[derive(Default)]
pub(super) struct Index {
    items: Vec<(i64, IndexedItem)>,
    /// SQLite's `data_version` when `items` was read; it moves when another connection writes.
    read_at: Option<i64>,
}

impl Index {
    /// Reads the declared items again if somebody else may have declared some.
    pub(super) fn refresh(&mut self, db: &Connection) -> Attempt<()> {
        let now: i64 = db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.read_at == Some(now) {
            return Ok(());
        }
        self.items.clear();
        let mut statement = db.prepare_cached("SELECT id, type, path, rule FROM indexed_item ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let path: Vec<String> = serde_json::from_str(text(row, 2)?).map_err(|_| corrupt("an indexed item"))?;
            let rule = matching_rule(text(row, 3)?).ok_or_else(|| corrupt("an indexed item"))?;
            let path = path.into_iter().map(Into::into).collect();
            self.items.push((row.get(0)?, IndexedItem { focus_type: FocusType::of_column(row, 1)?, path, rule }));
        }
        self.read_at = Some(now);
        Ok(())
    }

    /// Forgets all; after a transaction that was rolled back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The number of an item, if it is declared.
    pub(super) fn id_of(&self, item: &IndexedItem) -> Option<i64> {
        self.items.iter().find(|(_, known)| known == item).map(|(id, _)| *id)
    }

    /// Under which keys a focus is found: the number of the item, and the value.
    pub(super) fn keys(&self, focus_type: FocusType, content: &Items) -> Vec<(i64, Box<str>)> {
        self.items
            .iter()
            .filter(|(_, item)| item.focus_type == focus_type)
            .flat_map(|(id, item)| item.keys(content).into_iter().map(|key| (*id, key)))
            .collect()
    }

    /// Has the entries of a focus follow its content.
    pub(super) fn follow(&self, db: &Connection, id: i64, focus_type: FocusType, before: &Items, after: &Items) -> Attempt<()> {
        for (number, item) in self.items.iter().filter(|(_, item)| item.focus_type == focus_type) {
            if before.at_path(&item.path) == after.at_path(&item.path) {
                continue;
            }
            let (old, new) = (item.keys(before), item.keys(after));
            for value in old.iter().filter(|key| !new.contains(key)) {
                remove(db, *number, value, id)?;
            }
            for value in new.iter().filter(|key| !old.contains(key)) {
                add(db, *number, value, id)?;
            }
        }
        Ok(())
    }

    /// Whether a focus type has indexed items at all.
    pub(super) fn covers(&self, focus_type: FocusType) -> bool {
        self.items.iter().any(|(_, item)| item.focus_type == focus_type)
    }
}

/// Declares items that are not declared yet, and indexes the foci that exist.
pub(super) fn ensure(db: &mut Db, wanted: &[IndexedItem]) -> Attempt<()> {
    db.index.refresh(&db.connection)?;
    // Mostly all are declared: no transaction, no wait for other writers.
    if wanted.iter().all(|item| db.index.id_of(item).is_some()) {
        return Ok(());
    }
    let transaction = db.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    db.index.refresh(&transaction)?;
    for item in wanted {
        if db.index.id_of(item).is_none() {
            let id = declare(&transaction, item)?;
            fill(&transaction, id, item)?;
            db.index.items.push((id, item.clone()));
        }
    }
    transaction.commit()?;
    Ok(())
}

fn declare(db: &Connection, item: &IndexedItem) -> Attempt<i64> {
    let path: Vec<&str> = item.path.iter().map(|key| &**key).collect();
    let path = serde_json::to_string(&path).map_err(|_| corrupt("an indexed item"))?;
    db.prepare_cached("INSERT INTO indexed_item (type, path, rule) VALUES (?1, ?2, ?3)")?.execute((
        item.focus_type.code(),
        path,
        item.rule.as_str(),
    ))?;
    Ok(db.last_insert_rowid())
}

fn fill(db: &Connection, id: i64, item: &IndexedItem) -> Attempt<()> {
    let mut foci = db.prepare_cached("SELECT id, content FROM focus WHERE type = ?1 ORDER BY id")?;
    let mut rows = foci.query([item.focus_type.code()])?;
    while let Some(row) = rows.next()? {
        let focus = row.get(0)?;
        for key in item.keys(&items(row, 1)?) {
            add(db, id, &key, focus)?;
        }
    }
    Ok(())
}

/// Adds entries: the number of the item, the value, the number of the focus.
pub(super) fn add_all(db: &Connection, entries: &[(i64, Box<str>, i64)]) -> Attempt<()> {
    if !entries.is_empty() {
        let mut insert = db.prepare_cached(INSERT)?;
        for (item, value, focus) in entries {
            insert.execute((item, value, focus))?;
        }
    }
    Ok(())
}

/// Adds one entry.
pub(super) fn add(db: &Connection, item: i64, value: &str, focus: i64) -> Attempt<()> {
    db.prepare_cached(INSERT)?.execute((item, value, focus))?;
    Ok(())
}

/// Takes one entry away.
fn remove(db: &Connection, item: i64, value: &str, focus: i64) -> Attempt<()> {
    db.prepare_cached("DELETE FROM focus_index WHERE item = ?1 AND value = ?2 AND focus = ?3")?.execute((item, value, focus))?;
    Ok(())
}
