//! Writing the rows of `shadow_seen`: what is kept of every object, and changes with every run.

use rusqlite::Connection;

use super::commit::shadow_gone;
use super::failure::{Attempt, misuse};
use super::names::Names;
use super::results;
use crate::{Batch, Fingerprint, ShadowRef};

/// A shadow of the batch that is being written.
pub(super) struct Written {
    pub(super) id: i64,
    /// For a new one: its row of `shadow_seen`, which is stored once all its marks are known.
    pub(super) seen: Option<Seen>,
}

/// The rest of a row of `shadow_seen`.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) run: u32,
    pub(super) at: Option<i64>,
    pub(super) full_at: Option<i64>,
    pub(super) fingerprint: Option<Fingerprint>,
}

pub(super) fn of_batch(shadows: &mut [Written], at: usize) -> Attempt<&mut Written> {
    Ok(shadows.get_mut(at).ok_or_else(|| misuse("a batch refers to a shadow that it does not have"))?)
}

/// What becomes of a row of `shadow_seen`.
#[derive(Clone, Default)]
struct Mark {
    seen: Option<(u32, i64)>,
    full_at: Option<i64>,
    fingerprint: Option<Option<Fingerprint>>,
    results: Option<String>,
}

/// Writes what is kept in the rows of `shadow_seen`: each once, in the order in which they are stored.
pub(super) fn write(db: &Connection, names: &mut Names, shadows: &mut [Written], batch: &Batch) -> Attempt<()> {
    let mut marks: Vec<(i64, Mark)> = Vec::with_capacity(batch.shadows.len() + batch.seen.len() + batch.results.len());
    for change in &batch.shadows {
        marks.extend(change.key.map(|key| (key.0, Mark { fingerprint: Some(change.fingerprint), ..Mark::default() })));
    }
    for mark in &batch.seen {
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
        marks.push((id, Mark { seen: Some((mark.run, at)), full_at: mark.fully.then_some(at), ..Mark::default() }));
    }
    let mut results = results::add(db, names, &batch.results, |place| {
        let shadow = shadows.get(place).ok_or_else(|| misuse("a batch refers to a shadow that it does not have"))?;
        Ok(shadow.seen.is_none().then_some(shadow.id))
    })?;
    // What has failed is looked at again, whatever else is said of it.
    let of_result = |written: results::Written| Mark {
        fingerprint: written.failed.then_some(None),
        results: Some(written.list),
        ..Mark::default()
    };
    marks.extend(results.of_stored.into_iter().map(|(id, written)| (id, of_result(written))));
    // Those of one shadow stay in their order.
    marks.sort_by_key(|(id, _)| *id);
    let mut met = db.prepare_cached("UPDATE shadow_seen SET run = ?2, at = ?3, full_at = coalesce(?4, full_at) WHERE id = ?1")?;
    let mut more = db.prepare_cached(
        "UPDATE shadow_seen SET run = coalesce(?2, run), at = coalesce(?3, at), full_at = coalesce(?4, full_at),
           fingerprint = iif(?5, ?6, fingerprint), results = coalesce(?7, results) WHERE id = ?1",
    )?;
    for same in marks.chunk_by_mut(|(a, _), (b, _)| a == b) {
        let id = same[0].0;
        let mut whole = Mark::default();
        for (_, mark) in same {
            whole.seen = mark.seen.or(whole.seen);
            whole.full_at = mark.full_at.or(whole.full_at);
            whole.fingerprint = mark.fingerprint.or(whole.fingerprint);
            whole.results = mark.results.take().or(whole.results);
        }
        let (run, at) = whole.seen.unzip();
        let written = match (at, whole.fingerprint, whole.results) {
            (Some(_), None, None) => met.execute((id, run, at, whole.full_at))?,
            (_, fingerprint, results) => {
                more.execute((id, run, at, whole.full_at, fingerprint.is_some(), fingerprint.flatten(), results))?
            }
        };
        if written == 0 {
            return Err(shadow_gone());
        }
    }
    let mut insert = db
        .prepare_cached("INSERT INTO shadow_seen (id, run, at, full_at, fingerprint, results) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (place, shadow) in shadows.iter().enumerate() {
        if let Some(seen) = &shadow.seen {
            let written = results.of_new.remove(&place);
            let fingerprint = seen.fingerprint.filter(|_| !written.as_ref().is_some_and(|written| written.failed));
            let list = written.map(|written| written.list);
            insert.execute((shadow.id, seen.run, seen.at, seen.full_at, fingerprint, list))?;
        }
    }
    Ok(())
}
