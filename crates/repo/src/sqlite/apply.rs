//! Storing definitions and foci that a user gives.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tidelock_model::Oid;
use tidelock_model::object::Focus;
use uuid::Uuid;

use super::Db;
use super::column::{Code, OidColumn, StoredOid, items_text};
use super::commit::{content, follow, forget_fingerprints, insert_focus, next_focus, old_focus, write_content};
use super::failure::Attempt;
use super::index::{self, Index};
use crate::{Applied, Error, ErrorKind, StoredObject};

/// Stores definitions and foci.
///
/// First it is found out which stored object each one means, then the names of those that get another one are taken
/// away, then all are written: so names can be exchanged.
pub(super) fn apply(db: &mut Db, objects: &[StoredObject], foci: &[(Option<Oid>, Focus)]) -> Attempt<Vec<(Oid, Applied)>> {
    let Db { connection, index, .. } = db;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    index.refresh(&transaction)?;
    let mut claimed = HashSet::new();
    let object_targets = object_targets(&transaction, objects, &mut claimed)?;
    let focus_targets = focus_targets(&transaction, foci, &mut claimed)?;
    for (object, target) in objects.iter().zip(&object_targets) {
        if let Some((id, _)) = target {
            transaction
                .prepare_cached("UPDATE object SET name = NULL WHERE id = ?1 AND name IS NOT ?2")?
                .execute((id, &object.name))?;
        }
    }
    for ((_, focus), target) in foci.iter().zip(&focus_targets) {
        if let Some((id, _)) = target {
            transaction
                .prepare_cached("UPDATE focus SET name = NULL WHERE id = ?1 AND name IS NOT ?2")?
                .execute((id, focus.name()))?;
        }
    }
    let mut applied = Vec::with_capacity(objects.len() + foci.len());
    for (object, target) in objects.iter().zip(object_targets) {
        applied.push(write_object(&transaction, object, target)?);
    }
    for ((oid, focus), target) in foci.iter().zip(focus_targets) {
        applied.push(write_focus(&transaction, index, oid.as_ref(), focus, target)?);
    }
    transaction.commit()?;
    Ok(applied)
}

/// The stored object that an applied one means: number and OID.
type Target = Option<(i64, Oid)>;

fn object_targets(db: &Connection, objects: &[StoredObject], claimed: &mut HashSet<Oid>) -> Attempt<Vec<Target>> {
    let mut targets = vec![None; objects.len()];
    let mut named = HashSet::new();
    // Those with an OID first: what they mean is certain, and no name may lead to it.
    for (object, target) in objects.iter().zip(&mut targets) {
        if !named.insert((object.object_type.as_str(), object.name.as_str())) {
            return Err(twice("two of the objects have the same type and name").into());
        }
        let Some(oid) = &object.oid else { continue };
        if !claimed.insert(oid.clone()) {
            return Err(twice("two of the objects have the same OID").into());
        }
        let stored: Option<(i64, String)> = db
            .prepare_cached("SELECT id, type FROM object WHERE oid = ?1")?
            .query_row([OidColumn::from(oid)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if stored.as_ref().is_some_and(|(_, object_type)| object_type != object.object_type.as_str()) || is_focus(db, oid)? {
            return Err(twice("an object of another type has this OID already").into());
        }
        *target = stored.map(|(id, _)| (id, oid.clone()));
    }
    for (object, target) in objects.iter().zip(&mut targets).filter(|(object, _)| object.oid.is_none()) {
        *target = db
            .prepare_cached("SELECT id, oid FROM object WHERE type = ?1 AND name = ?2")?
            .query_row((object.object_type.as_str(), &object.name), |row| Ok((row.get(0)?, row.get::<_, StoredOid>(1)?.0)))
            .optional()?
            .filter(|(_, oid)| !claimed.contains(oid));
    }
    Ok(targets)
}

fn focus_targets(db: &Connection, foci: &[(Option<Oid>, Focus)], claimed: &mut HashSet<Oid>) -> Attempt<Vec<Target>> {
    let mut targets = vec![None; foci.len()];
    let mut named = HashSet::new();
    for ((oid, focus), target) in foci.iter().zip(&mut targets) {
        if !focus.name().is_empty() && !named.insert((focus.focus_type, focus.name())) {
            return Err(twice("two of the objects have the same type and name").into());
        }
        let Some(oid) = oid else { continue };
        if !claimed.insert(oid.clone()) {
            return Err(twice("two of the objects have the same OID").into());
        }
        let stored: Option<(i64, i64)> = db
            .prepare_cached("SELECT id, type FROM focus WHERE oid = ?1")?
            .query_row([OidColumn::from(oid)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if stored.is_some_and(|(_, code)| code != focus.focus_type.code()) || is_object(db, oid)? {
            return Err(twice("an object of another type has this OID already").into());
        }
        *target = stored.map(|(id, _)| (id, oid.clone()));
    }
    for ((_, focus), target) in foci.iter().zip(&mut targets).filter(|((oid, _), _)| oid.is_none()) {
        *target = db
            .prepare_cached("SELECT id, oid FROM focus WHERE type = ?1 AND name = ?2")?
            .query_row((focus.focus_type.code(), focus.name()), |row| Ok((row.get(0)?, row.get::<_, StoredOid>(1)?.0)))
            .optional()?
            .filter(|(_, oid)| !claimed.contains(oid));
    }
    Ok(targets)
}

fn is_focus(db: &Connection, oid: &Oid) -> Attempt<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM focus WHERE oid = ?1")?.exists([OidColumn::from(oid)])?)
}

fn is_object(db: &Connection, oid: &Oid) -> Attempt<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM object WHERE oid = ?1")?.exists([OidColumn::from(oid)])?)
}

fn twice(what: &str) -> Error {
    Error::new(ErrorKind::Duplicate, what).with_help("give each object its own OID, and a name of its own within its type")
}

fn write_object(db: &Connection, object: &StoredObject, target: Target) -> Attempt<(Oid, Applied)> {
    let Some((id, oid)) = target else {
        let oid = object.oid.clone().unwrap_or_else(|| Oid::from_uuid(Uuid::new_v4()));
        db.prepare_cached("INSERT INTO object (type, oid, name, text, origin) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
            object.object_type.as_str(),
            OidColumn::from(&oid),
            &object.name,
            &object.text,
            &object.origin,
        ))?;
        return Ok((oid, Applied::Created));
    };
    let changed = db
        .prepare_cached("UPDATE object SET name = ?2, text = ?3 WHERE id = ?1 AND (name IS NOT ?2 OR text <> ?3)")?
        .execute((id, &object.name, &object.text))?;
    db.prepare_cached("UPDATE object SET origin = ?2 WHERE id = ?1 AND origin IS NOT ?2")?.execute((id, &object.origin))?;
    Ok((oid, if changed == 0 { Applied::Unchanged } else { Applied::Updated }))
}

fn write_focus(db: &Connection, index: &Index, oid: Option<&Oid>, focus: &Focus, target: Target) -> Attempt<(Oid, Applied)> {
    let Some((id, oid)) = target else {
        let oid = oid.cloned().unwrap_or_else(|| Oid::from_uuid(Uuid::new_v4()));
        let id = next_focus(db)?;
        insert_focus(db, id, &Focus { oid: oid.clone(), version: 1, ..focus.clone() })?;
        for (item, value) in index.keys(focus.focus_type, &focus.content) {
            index::add(db, item, &value, id)?;
        }
        return Ok((oid, Applied::Created));
    };
    let old = old_focus(db, id)?.ok_or_else(|| super::failure::corrupt("a focus"))?;
    if old.has_content(&items_text(&focus.content)?) {
        return Ok((oid, Applied::Unchanged));
    }
    let focus = Focus { oid: oid.clone(), version: old.version + 1, ..focus.clone() };
    if !write_content(db, id, old.version, &focus)? {
        return Err(super::failure::corrupt("a focus").into());
    }
    follow(db, index, id, &content(&old)?, &focus)?;
    forget_fingerprints(db, std::iter::once(id), &[])?;
    Ok((oid, Applied::Updated))
}
