//! The results that are kept with shadows: a short list for each.

use std::collections::HashMap;

use rusqlite::{Connection, Row, ToSql, params_from_iter};
use serde::{Deserialize, Serialize};
use tidelock_model::{Oid, Timestamp};

use super::Db;
use super::column::{Code, OidColumn, text};
use super::failure::{Attempt, corrupt};
use super::names::Names;
use super::read::{Conditions, array, place};
use crate::{OperationResult, OperationStatus, ResultFilter, ShadowKey, ShadowRef};

const OF_A_SHADOW: usize = 5;
const OF_A_TASK: usize = 3;

/// A result as it is kept: number, activity, time and status, and the message if there is one.
#[derive(Serialize, Deserialize)]
struct Kept(i64, i64, i64, i64, #[serde(default, skip_serializing_if = "Option::is_none")] Option<Box<str>>);

/// What is kept with a shadow from now on.
#[derive(Clone, Default)]
pub(super) struct Written {
    /// The list, as it is stored.
    pub(super) list: String,
    /// Whether the object failed, so that it has to be looked at again.
    pub(super) failed: bool,
}

/// What is kept with each shadow of which there are new results.
pub(super) struct AllWritten {
    pub(super) of_stored: Vec<(i64, Written)>,
    /// By the place of the shadow in the batch.
    pub(super) of_new: HashMap<usize, Written>,
}

pub(super) const KEPT: &str = "SELECT n.id, n.results FROM rarray(?1) a CROSS JOIN shadow_seen n ON n.id = a.value";

/// Adds new results to those that are kept, of which the oldest make room. Says it of the stored shadows in the order of their numbers.
///
/// `stored` gives the number of a shadow of the batch that is stored already.
pub(super) fn add(
    db: &Connection,
    names: &mut Names,
    results: &[OperationResult],
    stored: impl Fn(usize) -> Attempt<Option<i64>>,
) -> Attempt<AllWritten> {
    let (mut of_stored, mut of_new) = (Vec::with_capacity(results.len()), Vec::new());
    for result in results {
        match result.shadow {
            ShadowRef::Stored(key) => of_stored.push((key.0, result)),
            ShadowRef::New(place) => match stored(place)? {
                Some(id) => of_stored.push((id, result)),
                None => of_new.push((place, result)),
            },
        }
    }
    // Those of one shadow stay in their order.
    of_stored.sort_by_key(|(shadow, _)| *shadow);
    of_new.sort_by_key(|(place, _)| *place);
    let mut before = HashMap::with_capacity(of_stored.len());
    if !of_stored.is_empty() {
        let mut asked: Vec<i64> = of_stored.iter().map(|(shadow, _)| *shadow).collect();
        asked.dedup();
        let mut statement = db.prepare_cached(KEPT)?;
        let mut rows = statement.query([array(asked)])?;
        while let Some(row) = rows.next()? {
            before.insert(row.get::<_, i64>(0)?, kept(row, 1)?);
        }
    }
    let mut written = AllWritten { of_stored: Vec::with_capacity(before.len()), of_new: HashMap::new() };
    for same in of_stored.chunk_by(|(a, _), (b, _)| a == b) {
        let shadow = same[0].0;
        let before = before.remove(&shadow).unwrap_or_default();
        written.of_stored.push((shadow, together(db, names, before, same.iter().map(|(_, result)| *result))?));
    }
    for same in of_new.chunk_by(|(a, _), (b, _)| a == b) {
        written.of_new.insert(same[0].0, together(db, names, Vec::new(), same.iter().map(|(_, result)| *result))?);
    }
    Ok(written)
}

fn together<'r>(
    db: &Connection,
    names: &mut Names,
    before: Vec<Kept>,
    new: impl Iterator<Item = &'r OperationResult>,
) -> Attempt<Written> {
    let (mut all, mut failed) = (before, false);
    for result in new {
        let activity = names.activity_id(db, &result.task, &result.activity)?;
        failed |= result.status.is_failure();
        let nr = all.first().map_or(1, |Kept(nr, ..)| nr + 1);
        all.insert(0, Kept(nr, activity, result.at.as_millis(), result.status.code(), result.message.clone()));
        make_room(db, names, &mut all, &result.task)?;
    }
    // A list of numbers and text can always be written.
    Ok(Written { list: serde_json::to_string(&all).map_err(|_| corrupt("a result"))?, failed })
}

/// Lets go the results that the first one, of this task, pushes out.
fn make_room(db: &Connection, names: &mut Names, all: &mut Vec<Kept>, task: &Oid) -> Attempt<()> {
    let (mut of_shadow, mut of_task) = (0, 0);
    let mut stay = Vec::with_capacity(all.len());
    for Kept(_, activity, ..) in &*all {
        let same_task = names.activity(db, *activity)?.task == *task;
        let stays = of_shadow < OF_A_SHADOW && !(same_task && of_task == OF_A_TASK);
        of_shadow += usize::from(stays);
        of_task += usize::from(stays && same_task);
        stay.push(stays);
    }
    let mut stay = stay.into_iter();
    all.retain(|_| stay.next().unwrap_or_default());
    Ok(())
}

/// A list from a column; none is empty.
fn kept(row: &Row<'_>, column: usize) -> Attempt<Vec<Kept>> {
    if row.get_ref(column)?.as_str_or_null().map_err(|err| corrupt("a text").with_source(err))?.is_none() {
        return Ok(Vec::new());
    }
    // The cause is kept out: it might quote a message.
    Ok(serde_json::from_str(text(row, column)?).map_err(|_| corrupt("the results of a shadow"))?)
}

/// The results kept with each of these shadows, newest first.
pub(super) fn of(db: &mut Db, shadows: &[ShadowKey]) -> Attempt<Vec<Vec<OperationResult>>> {
    let Db { connection, names, .. } = db;
    let mut found = vec![Vec::new(); shadows.len()];
    let mut statement = connection.prepare_cached(OF)?;
    let mut rows = statement.query([array(shadows.iter().map(|key| key.0))])?;
    while let Some(row) = rows.next()? {
        let shadow = ShadowRef::Stored(ShadowKey(row.get(1)?));
        let mut results = Vec::new();
        for Kept(_, activity, at, status, message) in kept(row, 2)? {
            let activity = names.activity(connection, activity)?;
            results.push(OperationResult {
                shadow,
                task: activity.task.clone(),
                activity: activity.activity.clone(),
                at: Timestamp::from_millis(at),
                status: OperationStatus::from_code(status).ok_or_else(|| corrupt("a result"))?,
                message,
            });
        }
        *place(&mut found, row, 0)? = results;
    }
    Ok(found)
}

pub(super) const OF: &str = "SELECT a.rowid, n.id, n.results FROM rarray(?1) a CROSS JOIN shadow_seen n ON n.id = a.value";

/// Whether each of these shadows has a result that is meant.
pub(super) fn are_there(db: &mut Db, shadows: &[ShadowKey], which: &ResultFilter) -> Attempt<Vec<bool>> {
    let mut conditions = Conditions::default();
    add_condition(&mut conditions, which);
    conditions.values.insert(0, Box::new(array(shadows.iter().map(|key| key.0))));
    let sql = format!("SELECT a.rowid FROM rarray(?) a CROSS JOIN shadow_seen n ON n.id = a.value WHERE {}", conditions.sql());
    let mut found = vec![false; shadows.len()];
    let mut statement = db.connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&conditions.values))?;
    while let Some(row) = rows.next()? {
        *place(&mut found, row, 0)? = true;
    }
    Ok(found)
}

/// That the row `n` of `shadow_seen` has a result that is meant.
pub(super) fn add_condition(conditions: &mut Conditions, which: &ResultFilter) {
    let codes = |meant: &dyn Fn(OperationStatus) -> bool| {
        let statuses = OperationStatus::ALL.into_iter().filter(|status| meant(*status));
        statuses.map(|status| status.code().to_string()).collect::<Vec<_>>().join(", ")
    };
    // Keys of the list grow with age.
    conditions.texts.push(format!(
        "EXISTS (SELECT 1 FROM json_each(n.results) r
           WHERE r.value ->> 1 IN (SELECT id FROM task_activity WHERE task IN rarray(?))
           AND r.value ->> 2 >= ? AND r.value ->> 2 <= ? AND r.value ->> 3 IN ({meant})
           AND NOT EXISTS (SELECT 1 FROM json_each(n.results) later WHERE later.key < r.key
             AND (later.value ->> 1 = r.value ->> 1
               OR (r.value ->> 3 IN ({failures}) AND later.value ->> 3 NOT IN ({failures})))))",
        meant = codes(&|status| which.statuses.contains(&status)),
        failures = codes(&|status| status.is_failure()),
    ));
    let values: [Box<dyn ToSql>; 3] = [
        Box::new(array(which.tasks.iter().map(OidColumn::from))),
        Box::new(which.from.map_or(i64::MIN, Timestamp::as_millis)),
        Box::new(which.to.map_or(i64::MAX, Timestamp::as_millis)),
    ];
    conditions.values.extend(values);
}
