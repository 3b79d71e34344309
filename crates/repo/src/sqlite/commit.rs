//! Writing a batch: one transaction.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use tidelock_model::Oid;
use tidelock_model::object::{Focus, FocusType};

use super::Db;
use super::column::{Code, OidColumn, StoredOid, items_text, text};
use super::failure::{Attempt, conflict, misuse};
use super::index::{self, Index};
use super::names::Names;
use super::{inbox, tokens, triggers};
use crate::{
    Batch, Fingerprint, FocusChange, FocusRef, NewTrigger, OperationResult, SeenMark, ShadowChange, ShadowRef, TriggerChange,
};

const RESULTS_OF_A_SHADOW: usize = 5;
const RESULTS_OF_A_TASK: usize = 3;

/// Writes a batch.
pub(super) fn commit(db: &mut Db, batch: &Batch) -> Attempt<()> {
    let Db { connection, names, index } = db;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (key, version) in &batch.expected {
        expect_version(&transaction, key.0, *version)?;
    }
    let foci = write_foci(&transaction, index, &batch.foci)?;
    let mut shadows = write_shadows(&transaction, names, &batch.shadows, &foci)?;
    mark_seen(&transaction, &mut shadows, &batch.seen)?;
    write_results(&transaction, names, &mut shadows, &batch.results)?;
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
    oid: Oid,
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
fn write_foci(db: &Connection, index: &mut Index, changes: &[FocusChange]) -> Attempt<Vec<Option<i64>>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    index.refresh(db)?;
    let mut created = vec![None; changes.len()];
    let mut next = next_focus(db)?;
    let mut keys = Vec::new();
    for (change, created) in changes.iter().zip(&mut created) {
        match change {
            FocusChange::Create(focus) => {
                insert_focus(db, next, focus)?;
                keys.extend(index.keys(focus.focus_type, &focus.content).into_iter().map(|(item, value)| (item, value, next)));
                *created = Some(next);
                next += 1;
            }
            FocusChange::Update { key, expected, focus } => {
                let old = old_focus(db, key.0)?.filter(|old| old.version == *expected).ok_or_else(focus_changed)?;
                if old.oid != focus.oid || old.focus_type != focus.focus_type || focus.version <= old.version {
                    return Err(misuse("a focus was to change its OID, its type, or not its version").into());
                }
                update_focus(db, index, key.0, &old, focus)?;
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
    let mut statement = db.prepare_cached("SELECT type, version, content, oid FROM focus WHERE id = ?1")?;
    let mut rows = statement.query([id])?;
    let read = |row: &Row<'_>| -> Attempt<OldFocus> {
        Ok(OldFocus {
            focus_type: FocusType::of_column(row, 0)?,
            version: version(row, 1)?,
            content: text(row, 2)?.to_owned(),
            oid: row.get::<_, StoredOid>(3)?.0,
        })
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

/// Gives a focus new content; its version grows, its index entries follow, its shadows must be looked at.
pub(super) fn update_focus(db: &Connection, index: &Index, id: i64, old: &OldFocus, focus: &Focus) -> Attempt<()> {
    db.prepare_cached("UPDATE focus SET content = ?2, version = ?3 WHERE id = ?1")?.execute((
        id,
        items_text(&focus.content)?,
        version_column(focus)?,
    ))?;
    // Apart, and only where needed: an update that names a column writes its index even where the value stays.
    db.prepare_cached("UPDATE focus SET name = ?2 WHERE id = ?1 AND name IS NOT ?2")?.execute((id, name_column(focus)))?;
    if index.covers(old.focus_type) {
        let before = keys_of(index, old)?;
        let after = index.keys(old.focus_type, &focus.content);
        for (item, value) in before.iter().filter(|key| !after.contains(key)) {
            index::remove(db, *item, value, id)?;
        }
        for (item, value) in after.iter().filter(|key| !before.contains(key)) {
            index::add(db, *item, value, id)?;
        }
    }
    forget_fingerprints(db, id)
}

fn keys_of(index: &Index, focus: &OldFocus) -> Attempt<Vec<(i64, Box<str>)>> {
    let content = serde_json::from_str(&focus.content).map_err(|_| super::failure::corrupt("the content of a focus"))?;
    Ok(index.keys(focus.focus_type, &content))
}

fn forget_fingerprints(db: &Connection, focus: i64) -> Attempt<()> {
    db.prepare_cached(
        "UPDATE shadow_seen SET fingerprint = NULL
         WHERE id IN (SELECT id FROM shadow WHERE focus = ?1) AND fingerprint IS NOT NULL",
    )?
    .execute([focus])?;
    Ok(())
}

fn delete_focus(db: &Connection, index: &Index, id: i64, old: &OldFocus) -> Attempt<()> {
    if index.covers(old.focus_type) {
        for (item, value) in keys_of(index, old)? {
            index::remove(db, item, &value, id)?;
        }
    }
    forget_fingerprints(db, id)?;
    db.prepare_cached("UPDATE shadow SET focus = NULL WHERE focus = ?1")?.execute([id])?;
    db.prepare_cached("DELETE FROM focus WHERE id = ?1")?.execute([id])?;
    db.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'focus_floor' AND value < ?1")?.execute([id])?;
    Ok(())
}

/// A shadow of the batch that is being written.
struct Written {
    id: i64,
    /// For a new one: its row of `shadow_seen`, which is stored once all its marks are known.
    seen: Option<Seen>,
    has_result: bool,
}

/// The rest of a row of `shadow_seen`.
#[derive(Default)]
struct Seen {
    run: u32,
    at: Option<i64>,
    full_at: Option<i64>,
    fingerprint: Option<Fingerprint>,
}

fn of_batch(shadows: &mut [Written], at: usize) -> Attempt<&mut Written> {
    Ok(shadows.get_mut(at).ok_or_else(|| misuse("a batch refers to a shadow that it does not have"))?)
}

fn write_shadows(db: &Connection, names: &mut Names, changes: &[ShadowChange], foci: &[Option<i64>]) -> Attempt<Vec<Written>> {
    let mut written = Vec::with_capacity(changes.len());
    if changes.is_empty() {
        return Ok(written);
    }
    let mut next: i64 = db.prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM shadow")?.query_row([], |row| row.get(0))?;
    for change in changes {
        let owner = match change.owner {
            None => None,
            Some(FocusRef::Stored(key)) => Some(key.0),
            Some(FocusRef::New(at)) => match foci.get(at) {
                Some(Some(id)) => Some(*id),
                _ => return Err(misuse("a batch refers to a focus that it does not create").into()),
            },
        };
        match change.key {
            None => {
                insert_shadow(db, names, next, change, owner)?;
                written.push(Written {
                    id: next,
                    seen: Some(Seen { fingerprint: change.fingerprint, ..Seen::default() }),
                    has_result: false,
                });
                next += 1;
            }
            Some(key) => {
                update_shadow(db, names, key.0, change, owner)?;
                written.push(Written { id: key.0, seen: None, has_result: false });
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

fn update_shadow(db: &Connection, names: &mut Names, id: i64, change: &ShadowChange, owner: Option<i64>) -> Attempt<()> {
    let shadow = &change.shadow;
    let class = names.class_id(db, &shadow.resource, &shadow.class)?;
    let object_type = shadow.object_type.as_ref().map(|object_type| names.type_id(db, object_type)).transpose()?;
    let (attributes, oid) = (items_text(&shadow.attributes)?, OidColumn::from(&shadow.oid));
    let columns = (
        id,
        &*shadow.name,
        object_type,
        shadow.situation.map(Code::code),
        &attributes,
        &oid,
        class,
        &*shadow.identifier,
        owner,
        shadow.dead,
    );
    // Mostly no indexed column changes: an update that names one writes its index even where the value stays.
    let same_place = db
        .prepare_cached(
            "UPDATE shadow SET name = ?2, type = ?3, situation = ?4, attributes = ?5
             WHERE id = ?1 AND oid = ?6 AND class = ?7 AND identifier = ?8 AND focus IS ?9 AND dead = ?10",
        )?
        .execute(columns)?;
    if same_place == 0 {
        let moved = db
            .prepare_cached(
                "UPDATE shadow SET name = ?2, type = ?3, situation = ?4, attributes = ?5, oid = ?6, class = ?7, identifier = ?8,
                   focus = ?9, dead = ?10
                 WHERE id = ?1",
            )?
            .execute(columns)?;
        if moved == 0 {
            return Err(shadow_gone());
        }
    }
    db.prepare_cached("UPDATE shadow_seen SET fingerprint = ?2 WHERE id = ?1")?.execute((id, change.fingerprint))?;
    Ok(())
}

fn shadow_gone() -> super::failure::Failure {
    conflict("a shadow has been deleted").into()
}

fn mark_seen(db: &Connection, shadows: &mut [Written], marks: &[SeenMark]) -> Attempt<()> {
    let mut update = db.prepare_cached(
        "UPDATE shadow_seen SET run = ?2, at = ?3, full_at = CASE WHEN ?4 THEN ?3 ELSE full_at END WHERE id = ?1",
    )?;
    for mark in marks {
        let at = mark.at.as_millis();
        let id = match mark.shadow {
            ShadowRef::Stored(key) => key.0,
            ShadowRef::New(place) => match of_batch(shadows, place)? {
                Written { seen: Some(seen), .. } => {
                    (seen.run, seen.at) = (mark.run, Some(at));
                    if mark.fully {
                        seen.full_at = Some(at);
                    }
                    continue;
                }
                Written { id, .. } => *id,
            },
        };
        if update.execute((id, mark.run, at, mark.fully))? == 0 {
            return Err(shadow_gone());
        }
    }
    let mut insert =
        db.prepare_cached("INSERT INTO shadow_seen (id, run, at, full_at, fingerprint) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for shadow in shadows {
        if let Some(seen) = &shadow.seen {
            insert.execute((shadow.id, seen.run, seen.at, seen.full_at, seen.fingerprint))?;
        }
    }
    Ok(())
}

fn write_results(db: &Connection, names: &mut Names, shadows: &mut [Written], results: &[OperationResult]) -> Attempt<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO operation_result (shadow, nr, task_activity, at, status, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for result in results {
        // A new shadow's first result needs no room made.
        let (shadow, first) = match result.shadow {
            ShadowRef::Stored(key) => (key.0, false),
            ShadowRef::New(place) => {
                let shadow = of_batch(shadows, place)?;
                (shadow.id, shadow.seen.is_some() && !std::mem::replace(&mut shadow.has_result, true))
            }
        };
        let activity = names.activity_id(db, &result.task, &result.activity)?;
        let nr = if first { 1 } else { make_room(db, names, shadow, &result.task)? };
        insert.execute((shadow, nr, activity, result.at.as_millis(), result.status.code(), result.message.as_deref()))?;
        if result.status.is_failure() {
            db.prepare_cached("UPDATE shadow_seen SET fingerprint = NULL WHERE id = ?1")?.execute([shadow])?;
        }
    }
    Ok(())
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

/// Deletes the results that a new one of this task pushes out; gives the number of the new one.
fn make_room(db: &Connection, names: &mut Names, shadow: i64, task: &Oid) -> Attempt<i64> {
    let mut statement = db.prepare_cached("SELECT nr, task_activity FROM operation_result WHERE shadow = ?1 ORDER BY nr DESC")?;
    let kept: Vec<(i64, i64)> =
        statement.query_map([shadow], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let (mut of_shadow, mut of_task) = (1, 1);
    for (nr, activity) in &kept {
        let same_task = names.activity(db, *activity)?.task == *task;
        if of_shadow == RESULTS_OF_A_SHADOW || (same_task && of_task == RESULTS_OF_A_TASK) {
            db.prepare_cached("DELETE FROM operation_result WHERE shadow = ?1 AND nr = ?2")?.execute((shadow, nr))?;
        } else {
            of_shadow += 1;
            of_task += usize::from(same_task);
        }
    }
    Ok(kept.first().map_or(1, |(nr, _)| nr + 1))
}
