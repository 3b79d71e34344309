//! Writing a batch: one transaction.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use tidelock_model::Items;
use tidelock_model::object::{Focus, FocusType};

use super::Db;
use super::column::{Code, OidColumn, items_text, text};
use super::failure::{Attempt, conflict, misuse};
use super::index::{self, Index};
use super::names::Names;
use super::read::array;
use super::seen::{Seen, Written, of_batch};
use super::{inbox, seen, tokens, triggers};
use crate::{Batch, FocusChange, FocusRef, NewTrigger, ShadowChange, ShadowRef, TriggerChange};

/// Writes a batch.
pub(super) fn commit(db: &mut Db, batch: &Batch) -> Attempt<()> {
    let Db { connection, names, index } = db;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (key, version) in &batch.expected {
        expect_version(&transaction, key.0, *version)?;
    }
    let foci = write_foci(&transaction, index, batch)?;
    let mut shadows = write_shadows(&transaction, names, &batch.shadows, &foci)?;
    seen::write(&transaction, names, &mut shadows, batch)?;
    write_triggers(&transaction, names, &mut shadows, &batch.triggers)?;
    if let Some(marks) = &batch.inbox {
        inbox::mark(&transaction, marks)?;
    }
    if let Some(change) = &batch.token {
        tokens::change(&transaction, change)?;
    }
    if let Some((task, state)) = &batch.task_state {
        transaction
            .prepare_cached("INSERT INTO task_state (task, state) VALUES (?1, ?2) ON CONFLICT (task) DO UPDATE SET state = ?2")?
            .execute((OidColumn::from(task), state))?;
    }
    transaction.commit()?;
    Ok(())
}

/// A stored focus, without its identity.
pub(super) struct OldFocus {
    pub(super) focus_type: FocusType,
    pub(super) version: u64,
    content: String,
}

fn expect_version(db: &Connection, key: i64, version: u64) -> Attempt<()> {
    let stored: Option<i64> =
        db.prepare_cached("SELECT version FROM focus WHERE id = ?1")?.query_row([key], |row| row.get(0)).optional()?;
    if stored.is_none_or(|stored| u64::try_from(stored) != Ok(version)) {
        return Err(focus_changed());
    }
    Ok(())
}

fn focus_changed() -> super::failure::Failure {
    conflict("a focus has been changed or deleted").into()
}

/// Gives the number of each focus that was created, by its place in the batch.
///
/// First the content of those that change, in the order in which they are stored, so that neighbours are written to the same pages. Then
/// what has to keep the order of the batch: names, which one focus may take over from another.
fn write_foci(db: &Connection, index: &mut Index, batch: &Batch) -> Attempt<Vec<Option<i64>>> {
    let changes = &batch.foci;
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    index.refresh(db)?;
    let mut stored: Vec<(i64, usize)> = changes.iter().zip(0..).filter_map(|(change, at)| Some((key(change)?, at))).collect();
    stored.sort_unstable();
    let mut done = vec![false; changes.len()];
    for same in stored.chunk_by(|(a, _), (b, _)| a == b) {
        // Of one that changes twice, the changes keep their order as well.
        if let [(id, at)] = *same
            && let FocusChange::Update { expected, focus, .. } = &changes[at]
        {
            rewrite_focus(db, id, *expected, focus)?;
            done[at] = true;
        }
    }
    forget_fingerprints(db, stored.iter().map(|(id, _)| *id), &batch.shadows)?;
    let mut created = vec![None; changes.len()];
    let mut next = next_focus(db)?;
    let mut keys = Vec::new();
    for ((change, done), created) in changes.iter().zip(done).zip(&mut created) {
        match change {
            FocusChange::Create(focus) => {
                insert_focus(db, next, focus)?;
                keys.extend(index.keys(focus.focus_type, &focus.content).into_iter().map(|(item, value)| (item, value, next)));
                *created = Some(next);
                next += 1;
            }
            FocusChange::Update { key, expected, before, focus } => {
                if !done {
                    rewrite_focus(db, key.0, *expected, focus)?;
                }
                follow(db, index, key.0, before, focus)?;
            }
            FocusChange::Delete { key, version } => {
                let old = old_focus(db, key.0)?.filter(|old| old.version == *version).ok_or_else(focus_changed)?;
                delete_focus(db, index, key.0, &old)?;
            }
        }
    }
    // In the order of the index, neighbours are written to the same pages.
    keys.sort_unstable();
    index::add_all(db, &keys)?;
    Ok(created)
}

/// The stored focus that a change is about.
fn key(change: &FocusChange) -> Option<i64> {
    match change {
        FocusChange::Create(_) => None,
        FocusChange::Update { key, .. } | FocusChange::Delete { key, .. } => Some(key.0),
    }
}

fn rewrite_focus(db: &Connection, id: i64, expected: u64, focus: &Focus) -> Attempt<()> {
    if focus.version > expected && write_content(db, id, expected, focus)? {
        return Ok(());
    }
    match old_focus(db, id)?.filter(|old| old.version == expected) {
        None => Err(focus_changed()),
        Some(_) => Err(misuse("a focus was to change its OID, its type, or not its version").into()),
    }
}

/// The number of the next focus. No number is used twice, or a handle could come to mean another focus.
pub(super) fn next_focus(db: &Connection) -> Attempt<i64> {
    let last: i64 = db
        .prepare_cached(
            "SELECT max(coalesce((SELECT max(id) FROM focus), 0), (SELECT value FROM meta WHERE name = 'focus_floor'))",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(last + 1)
}

/// Inserts a focus, not yet its index entries.
pub(super) fn insert_focus(db: &Connection, id: i64, focus: &Focus) -> Attempt<()> {
    db.prepare_cached("INSERT INTO focus (id, oid, type, name, version, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
        id,
        OidColumn::from(&focus.oid),
        focus.focus_type.code(),
        name_column(focus),
        version_column(focus)?,
        items_text(&focus.content)?,
    ))?;
    Ok(())
}

/// Nameless foci are not each other's namesakes.
pub(super) fn name_column(focus: &Focus) -> Option<&str> {
    Some(focus.name()).filter(|name| !name.is_empty())
}

fn version_column(focus: &Focus) -> Attempt<i64> {
    let version = i64::try_from(focus.version).ok().filter(|version| *version > 0);
    Ok(version.ok_or_else(|| misuse("a focus was to be stored with an impossible version"))?)
}

/// A focus as it is stored.
pub(super) fn old_focus(db: &Connection, id: i64) -> Attempt<Option<OldFocus>> {
    let mut statement = db.prepare_cached("SELECT type, version, content FROM focus WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let read = |row: &Row<'_>| -> Attempt<OldFocus> {
        Ok(OldFocus { focus_type: FocusType::of_column(row, 0)?, version: version(row, 1)?, content: text(row, 2)?.to_owned() })
    };
    rows.next()?.map(read).transpose()
}

impl OldFocus {
    /// Whether the focus has just this content.
    pub(super) fn has_content(&self, content: &str) -> bool {
        self.content == content
    }
}

/// A version from a column.
pub(super) fn version(row: &Row<'_>, column: usize) -> Attempt<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).map_err(|err| super::failure::corrupt("a version").with_source(err))?)
}

/// Gives a focus of this version new content and a new version; whether it is there, and the same focus.
pub(super) fn write_content(db: &Connection, id: i64, expected: u64, focus: &Focus) -> Attempt<bool> {
    let expected = i64::try_from(expected).ok();
    let written = db
        .prepare_cached("UPDATE focus SET content = ?2, version = ?3 WHERE id = ?1 AND version = ?4 AND oid = ?5 AND type = ?6")?
        .execute((
            id,
            items_text(&focus.content)?,
            version_column(focus)?,
            expected,
            OidColumn::from(&focus.oid),
            focus.focus_type.code(),
        ))?;
    Ok(written > 0)
}

/// Has name and index entries of a focus follow its content.
pub(super) fn follow(db: &Connection, index: &Index, id: i64, before: &Items, focus: &Focus) -> Attempt<()> {
    // Only where it changes: an update that names a column writes its index even where the value stays.
    if before.get("name") != focus.content.get("name") {
        db.prepare_cached("UPDATE focus SET name = ?2 WHERE id = ?1 AND name IS NOT ?2")?.execute((id, name_column(focus)))?;
    }
    index.follow(db, id, focus.focus_type, before, &focus.content)
}

/// The content of a focus as it is stored.
pub(super) fn content(focus: &OldFocus) -> Attempt<Items> {
    Ok(serde_json::from_str(&focus.content).map_err(|_| super::failure::corrupt("the content of a focus"))?)
}

/// What was made of a focus has to be looked at again: its shadows lose their fingerprints, those excepted that are written anyway.
pub(super) fn forget_fingerprints(db: &Connection, foci: impl Iterator<Item = i64>, written: &[ShadowChange]) -> Attempt<()> {
    let written: HashSet<i64> = written.iter().filter_map(|change| Some(change.key?.0)).collect();
    let mut shadows = db.prepare_cached(SHADOWS_OF)?;
    let mut forget = db.prepare_cached("UPDATE shadow_seen SET fingerprint = NULL WHERE id = ?1 AND fingerprint IS NOT NULL")?;
    let mut rows = shadows.query([array(foci)])?;
    while let Some(row) = rows.next()? {
        let shadow: i64 = row.get(0)?;
        if !written.contains(&shadow) {
            forget.execute([shadow])?;
        }
    }
    Ok(())
}

pub(super) const SHADOWS_OF: &str = "SELECT s.id FROM rarray(?1) a CROSS JOIN shadow s ON s.focus = a.value";

fn delete_focus(db: &Connection, index: &Index, id: i64, old: &OldFocus) -> Attempt<()> {
    if index.covers(old.focus_type) {
        index.follow(db, id, old.focus_type, &content(old)?, &Items::new())?;
    }
    forget_fingerprints(db, std::iter::once(id), &[])?;
    db.prepare_cached("UPDATE shadow SET focus = NULL WHERE focus = ?1")?.execute([id])?;
    db.prepare_cached("DELETE FROM focus WHERE id = ?1")?.execute([id])?;
    db.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'focus_floor' AND value < ?1")?.execute([id])?;
    Ok(())
}

fn write_shadows(db: &Connection, names: &mut Names, changes: &[ShadowChange], foci: &[Option<i64>]) -> Attempt<Vec<Written>> {
    let mut written = Vec::with_capacity(changes.len());
    if changes.is_empty() {
        return Ok(written);
    }
    let mut owners = Vec::with_capacity(changes.len());
    for change in changes {
        owners.push(match change.owner {
            None => None,
            Some(FocusRef::Stored(key)) => Some(key.0),
            Some(FocusRef::New(at)) => match foci.get(at) {
                Some(Some(id)) => Some(*id),
                _ => return Err(misuse("a batch refers to a focus that it does not create").into()),
            },
        });
    }
    // First those that stay where they are, in the order in which they are stored; then what may take over a place from another.
    let mut stored: Vec<(i64, usize)> = changes.iter().enumerate().filter_map(|(at, change)| Some((change.key?.0, at))).collect();
    stored.sort_unstable();
    let mut done = vec![false; changes.len()];
    for same in stored.chunk_by(|(a, _), (b, _)| a == b) {
        // Of one that is written twice, the changes keep their order as well.
        if let [(id, at)] = *same {
            done[at] = update_shadow(db, names, id, &changes[at], owners[at])?;
        }
    }
    let mut next: i64 = db.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM shadow")?.query_row([], |row| row.get(0))?;
    for ((change, owner), done) in changes.iter().zip(owners).zip(done) {
        match change.key {
            None => {
                insert_shadow(db, names, next, change, owner)?;
                written.push(Written { id: next, seen: Some(Seen { fingerprint: change.fingerprint, ..Seen::default() }) });
                next += 1;
            }
            Some(key) => {
                if !done {
                    move_shadow(db, names, key.0, change, owner)?;
                }
                written.push(Written { id: key.0, seen: None });
            }
        }
    }
    Ok(written)
}

fn insert_shadow(db: &Connection, names: &mut Names, id: i64, change: &ShadowChange, owner: Option<i64>) -> Attempt<()> {
    let shadow = &change.shadow;
    let class = names.class_id(db, &shadow.resource, &shadow.class)?;
    let object_type = shadow.object_type.as_ref().map(|object_type| names.type_id(db, object_type)).transpose()?;
    db.prepare_cached(
        "INSERT INTO shadow (id, oid, class, identifier, name, type, situation, focus, dead, attributes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute((
        id,
        OidColumn::from(&shadow.oid),
        class,
        &*shadow.identifier,
        &*shadow.name,
        object_type,
        shadow.situation.map(Code::code),
        owner,
        shadow.dead,
        items_text(&shadow.attributes)?,
    ))?;
    Ok(())
}

/// Writes a shadow anew, if no indexed column changes: an update that names one writes its index even where the value stays.
fn update_shadow(db: &Connection, names: &mut Names, id: i64, change: &ShadowChange, owner: Option<i64>) -> Attempt<bool> {
    let sql = "UPDATE shadow SET name = ?2, type = ?3, situation = ?4, attributes = ?5
               WHERE id = ?1 AND oid = ?6 AND class = ?7 AND identifier = ?8 AND focus IS ?9 AND dead = ?10";
    Ok(rewrite_shadow(sql, db, names, id, change, owner)? > 0)
}

/// Writes a shadow anew, and all about it.
fn move_shadow(db: &Connection, names: &mut Names, id: i64, change: &ShadowChange, owner: Option<i64>) -> Attempt<()> {
    let sql = "UPDATE shadow SET name = ?2, type = ?3, situation = ?4, attributes = ?5, oid = ?6, class = ?7, identifier = ?8,
                 focus = ?9, dead = ?10
               WHERE id = ?1";
    if rewrite_shadow(sql, db, names, id, change, owner)? == 0 { Err(shadow_gone()) } else { Ok(()) }
}

fn rewrite_shadow(
    sql: &str,
    db: &Connection,
    names: &mut Names,
    id: i64,
    change: &ShadowChange,
    owner: Option<i64>,
) -> Attempt<usize> {
    let shadow = &change.shadow;
    let class = names.class_id(db, &shadow.resource, &shadow.class)?;
    let object_type = shadow.object_type.as_ref().map(|object_type| names.type_id(db, object_type)).transpose()?;
    Ok(db.prepare_cached(sql)?.execute((
        id,
        &*shadow.name,
        object_type,
        shadow.situation.map(Code::code),
        items_text(&shadow.attributes)?,
        OidColumn::from(&shadow.oid),
        class,
        &*shadow.identifier,
        owner,
        shadow.dead,
    ))?)
}

pub(super) fn shadow_gone() -> super::failure::Failure {
    conflict("a shadow has been deleted").into()
}

fn write_triggers(db: &Connection, names: &mut Names, shadows: &mut [Written], changes: &[TriggerChange]) -> Attempt<()> {
    for change in changes {
        match change {
            TriggerChange::Remove(key) => triggers::remove(db, *key)?,
            TriggerChange::Add(NewTrigger { shadow, retry }) => {
                let shadow = match shadow {
                    ShadowRef::Stored(key) => key.0,
                    ShadowRef::New(place) => of_batch(shadows, *place)?.id,
                };
                triggers::add(db, names, shadow, retry)?;
            }
        }
    }
    Ok(())
}
