//! Reading: the data path's look-ups, one statement for each chunk, and what commands list.

use std::rc::Rc;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use tidelock_model::Oid;
use tidelock_model::object::{Focus, FocusType, Shadow, Situation};

use super::Db;
use super::column::{Code, OidColumn, StoredOid, items, text, timestamp};
use super::commit::version;
use super::failure::{Attempt, corrupt};
use super::names::Names;
use super::results;
use crate::{
    Error, ErrorKind, FocusKey, IndexedItem, KnownShadow, ObjectKey, ObjectType, Remaining, ShadowFilter, ShadowKey, StoredFocus,
    StoredObject, StoredShadow, SyncLevel,
};

// ---- the data path -------------------------------------------------------------------------------------------------------

// CROSS JOIN fixes the order: the array leads, whatever the planner believes about its size.
pub(super) const LOOK_UP: &str = "
    SELECT a.rowid, s.id, n.fingerprint, n.run
    FROM rarray(?1) a
    CROSS JOIN shadow s ON s.class = ?2 AND s.identifier = a.value AND s.dead = 0
    CROSS JOIN shadow_seen n ON n.id = s.id";

pub(super) const FIND: &str = "
    SELECT f.id, f.oid, f.type, f.version, f.content, a.rowid
    FROM rarray(?1) a
    CROSS JOIN focus_index i ON i.item = ?2 AND i.value = a.value
    CROSS JOIN focus f ON f.id = i.focus
    ORDER BY a.rowid, i.focus";

/// How many matches too many are passed over before the rest of the values is asked for anew.
const PATIENCE: usize = 32;

/// The living shadow of each identifier.
pub(super) fn look_up(db: &mut Db, resource: &Oid, class: &str, identifiers: Vec<Box<str>>) -> Attempt<Vec<Option<KnownShadow>>> {
    let mut known = vec![None; identifiers.len()];
    let Some(class) = db.names.find_class(&db.connection, resource, class)? else { return Ok(known) };
    // In the order of the index, neighbours are read from the same pages.
    let mut order: Vec<(Box<str>, usize)> = identifiers.into_iter().zip(0..).collect();
    order.sort_unstable();
    let (identifiers, mut places): (Vec<Box<str>>, Vec<usize>) = order.into_iter().unzip();
    let mut statement = db.connection.prepare_cached(LOOK_UP)?;
    let mut rows = statement.query((array(identifiers), class))?;
    while let Some(row) = rows.next()? {
        let shadow = KnownShadow { key: ShadowKey(row.get(1)?), fingerprint: row.get(2)?, last_run: row.get(3)? };
        known[*place(&mut places, row, 0)?] = Some(shadow);
    }
    Ok(known)
}

/// The shadows with these numbers, with their owners.
pub(super) fn load(db: &mut Db, shadows: &[ShadowKey]) -> Attempt<Vec<Option<StoredShadow>>> {
    let Db { connection, names, .. } = db;
    let mut found = vec![None; shadows.len()];
    // In the order in which they are stored, neighbours are read from the same pages.
    let mut order: Vec<(i64, usize)> = shadows.iter().enumerate().map(|(at, key)| (key.0, at)).collect();
    order.sort_unstable();
    let mut statement = connection.prepare_cached(&load_sql())?;
    let mut rows = statement.query([array(order.iter().map(|(id, _)| *id))])?;
    while let Some(row) = rows.next()? {
        let shadow = shadow_with_owner(connection, names, row)?;
        let (_, at) = *place(&mut order, row, WITH_OWNER)?;
        found[at] = Some(shadow);
    }
    Ok(found)
}

pub(super) fn load_sql() -> String {
    format!(
        "SELECT {SHADOW_COLUMNS}, {OWNER_COLUMNS}, a.rowid FROM rarray(?1) a
         CROSS JOIN shadow s ON s.id = a.value
         CROSS JOIN shadow_seen n ON n.id = s.id
         LEFT JOIN focus f ON f.id = s.focus"
    )
}

/// The living shadow of each identifier, with its owner.
pub(super) fn read_ahead(
    db: &mut Db,
    resource: &Oid,
    class: &str,
    identifiers: Vec<Box<str>>,
) -> Attempt<Vec<Option<(KnownShadow, StoredShadow)>>> {
    let mut found = vec![None; identifiers.len()];
    let Some(class) = db.names.find_class(&db.connection, resource, class)? else { return Ok(found) };
    let Db { connection, names, .. } = db;
    // In the order of the index, neighbours are read from the same pages.
    let mut order: Vec<(Box<str>, usize)> = identifiers.into_iter().zip(0..).collect();
    order.sort_unstable();
    let (identifiers, mut places): (Vec<Box<str>>, Vec<usize>) = order.into_iter().unzip();
    let mut statement = connection.prepare_cached(&read_ahead_sql())?;
    let mut rows = statement.query((array(identifiers), class))?;
    while let Some(row) = rows.next()? {
        let stored = shadow_with_owner(connection, names, row)?;
        let known = KnownShadow { key: stored.key, fingerprint: row.get(WITH_OWNER + 1)?, last_run: row.get(WITH_OWNER + 2)? };
        found[*place(&mut places, row, WITH_OWNER)?] = Some((known, stored));
    }
    Ok(found)
}

pub(super) fn read_ahead_sql() -> String {
    format!(
        "SELECT {SHADOW_COLUMNS}, {OWNER_COLUMNS}, a.rowid, n.fingerprint, n.run FROM rarray(?1) a
         CROSS JOIN shadow s ON s.class = ?2 AND s.identifier = a.value AND s.dead = 0
         CROSS JOIN shadow_seen n ON n.id = s.id
         LEFT JOIN focus f ON f.id = s.focus"
    )
}

/// The foci that have each of these values.
pub(super) fn find(db: &mut Db, item: &IndexedItem, values: Vec<Box<str>>, limit: usize) -> Attempt<Vec<Vec<StoredFocus>>> {
    let mut found = vec![Vec::new(); values.len()];
    let snapshot = db.connection.transaction()?;
    db.index.refresh(&snapshot)?;
    let Some(item) = db.index.id_of(item) else {
        return Err(Error::new(ErrorKind::Corrupt, "foci are looked for by an item that is not indexed: this is a bug").into());
    };
    if limit == 0 {
        return Ok(found);
    }
    let values: Vec<Value> = values.into_iter().map(text_value).collect();
    let mut from = 0;
    while from < values.len() {
        let mut statement = snapshot.prepare_cached(FIND)?;
        let rest = Rc::new(if from == 0 { values.clone() } else { values[from..].to_vec() });
        let mut rows = statement.query((rest, item))?;
        let mut too_many = 0;
        let mut go_on_at = values.len();
        while let Some(row) = rows.next()? {
            let at = from + row_number(row, 5)?;
            let foci = found.get_mut(at).ok_or_else(|| corrupt("a row"))?;
            if foci.len() < limit {
                foci.push(focus(row, 0)?);
                too_many = 0;
            } else {
                // A value that a great many have must not be read to its end.
                too_many += 1;
                if too_many > PATIENCE {
                    go_on_at = at + 1;
                    break;
                }
            }
        }
        from = go_on_at;
    }
    Ok(found)
}

/// Living shadows that a run has not met.
pub(super) fn remaining(db: &mut Db, which: &Remaining, after: Option<ShadowKey>, limit: usize) -> Attempt<Vec<StoredShadow>> {
    let Db { connection, names, .. } = db;
    let mut conditions = Conditions::default();
    let stamp = match which.level {
        SyncLevel::Basic => "at",
        SyncLevel::Full => "full_at",
    };
    conditions.add("n.id > ?", after.map_or(i64::MIN, |key| key.0));
    conditions.add(&format!("(n.{stamp} IS NULL OR n.{stamp} <= ?)"), which.until.as_millis());
    conditions.of_filter(&ShadowFilter { dead: false, ..which.filter.clone() });
    if let Some(results) = &which.results {
        results::add_condition(&mut conditions, results);
    }
    // Mostly nearly all have been met, so the narrow table leads.
    let sql = format!(
        "SELECT {SHADOW_COLUMNS}, {OWNER_COLUMNS} FROM shadow_seen n
         CROSS JOIN shadow s ON s.id = n.id
         LEFT JOIN focus f ON f.id = s.focus
         WHERE {} ORDER BY n.id LIMIT ?",
        conditions.sql()
    );
    conditions.values.push(Box::new(sql_limit(limit)));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(shadow_with_owner(connection, names, row)?);
    }
    Ok(found)
}

// ---- what commands show --------------------------------------------------------------------------------------------------

/// One definition.
pub(super) fn object(db: &mut Db, object_type: &ObjectType, key: &ObjectKey) -> Attempt<Option<StoredObject>> {
    let (column, key) = key_column(key);
    let sql = format!("SELECT oid, name, text, origin FROM object WHERE type = ?1 AND {column} = ?2");
    let mut statement = db.connection.prepare_cached(&sql)?;
    let mut rows = statement.query((object_type.as_str(), key))?;
    rows.next()?.map(|row| stored_object(object_type, row)).transpose()
}

/// All definitions of a type.
pub(super) fn objects(db: &mut Db, object_type: &ObjectType) -> Attempt<Vec<StoredObject>> {
    let mut statement = db.connection.prepare_cached("SELECT oid, name, text, origin FROM object WHERE type = ?1 ORDER BY id")?;
    let mut rows = statement.query([object_type.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(stored_object(object_type, row)?);
    }
    Ok(found)
}

fn stored_object(object_type: &ObjectType, row: &Row<'_>) -> Attempt<StoredObject> {
    Ok(StoredObject {
        object_type: object_type.clone(),
        oid: Some(row.get::<_, StoredOid>(0)?.0),
        name: row.get(1)?,
        text: row.get(2)?,
        origin: row.get(3)?,
    })
}

/// One focus.
pub(super) fn one_focus(db: &mut Db, focus_type: FocusType, key: &ObjectKey) -> Attempt<Option<StoredFocus>> {
    let (column, key) = key_column(key);
    let sql = format!("SELECT {FOCUS_COLUMNS} FROM focus f WHERE f.type = ?1 AND f.{column} = ?2");
    let mut statement = db.connection.prepare_cached(&sql)?;
    let mut rows = statement.query((focus_type.code(), key))?;
    rows.next()?.map(|row| focus(row, 0)).transpose()
}

/// Foci of a type.
pub(super) fn foci(db: &mut Db, focus_type: FocusType, after: Option<FocusKey>, limit: usize) -> Attempt<Vec<StoredFocus>> {
    // The `+` keeps the planner to the order of numbers: it would sort what an index on the type gives.
    let sql = format!("SELECT {FOCUS_COLUMNS} FROM focus f WHERE f.id > ?1 AND +f.type = ?2 ORDER BY f.id LIMIT ?3");
    let mut statement = db.connection.prepare_cached(&sql)?;
    let mut rows = statement.query((after.map_or(i64::MIN, |key| key.0), focus_type.code(), sql_limit(limit)))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(focus(row, 0)?);
    }
    Ok(found)
}

/// One shadow, with its owner; of several of one name a living one, the youngest.
pub(super) fn one_shadow(db: &mut Db, key: &ObjectKey) -> Attempt<Option<StoredShadow>> {
    let Db { connection, names, .. } = db;
    let (column, key) = key_column(key);
    let sql = format!(
        "SELECT {SHADOW_COLUMNS}, {OWNER_COLUMNS} FROM shadow s
         CROSS JOIN shadow_seen n ON n.id = s.id
         LEFT JOIN focus f ON f.id = s.focus
         WHERE s.{column} = ?1 ORDER BY s.dead, s.id DESC LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([key])?;
    rows.next()?.map(|row| shadow_with_owner(connection, names, row)).transpose()
}

/// Shadows, without the content of their owners.
pub(super) fn shadows(db: &mut Db, filter: &ShadowFilter, after: Option<ShadowKey>, limit: usize) -> Attempt<Vec<StoredShadow>> {
    let Db { connection, names, .. } = db;
    let mut conditions = Conditions::default();
    conditions.add("s.id > ?", after.map_or(i64::MIN, |key| key.0));
    conditions.of_filter(filter);
    let sql = format!(
        "SELECT {SHADOW_COLUMNS} FROM shadow s
         CROSS JOIN shadow_seen n ON n.id = s.id
         LEFT JOIN focus f ON f.id = s.focus
         WHERE {} ORDER BY s.id LIMIT ?",
        conditions.sql()
    );
    conditions.values.push(Box::new(sql_limit(limit)));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(shadow(connection, names, row)?);
    }
    Ok(found)
}

/// How many shadows there are.
pub(super) fn count_shadows(db: &mut Db, filter: &ShadowFilter) -> Attempt<u64> {
    let mut conditions = Conditions::default();
    conditions.of_filter(filter);
    let sql = format!("SELECT count(*) FROM shadow s WHERE {}", conditions.sql());
    let count: i64 = db.connection.prepare_cached(&sql)?.query_row(params_from_iter(&conditions.values), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The living shadows of each of these foci.
pub(super) fn projections(db: &mut Db, foci: &[FocusKey]) -> Attempt<Vec<Vec<StoredShadow>>> {
    let Db { connection, names, .. } = db;
    let mut found = vec![Vec::new(); foci.len()];
    let mut statement = connection.prepare_cached(&projections_sql())?;
    let mut rows = statement.query([array(foci.iter().map(|key| key.0))])?;
    while let Some(row) = rows.next()? {
        let shadow = shadow(connection, names, row)?;
        place(&mut found, row, SHADOW_ONLY)?.push(shadow);
    }
    Ok(found)
}

pub(super) fn projections_sql() -> String {
    format!(
        "SELECT {SHADOW_COLUMNS}, a.rowid FROM rarray(?1) a
         CROSS JOIN shadow s ON s.focus = a.value AND s.dead = 0
         CROSS JOIN shadow_seen n ON n.id = s.id
         CROSS JOIN focus f ON f.id = s.focus
         ORDER BY a.rowid, s.id"
    )
}

// ---- rows ----------------------------------------------------------------------------------------------------------------

const SHADOW_COLUMNS: &str = "s.id, s.oid, s.class, s.identifier, s.name, s.type, s.situation, s.dead, s.attributes, \
                              n.at, n.full_at, f.oid";
const SHADOW_ONLY: usize = 12;
const OWNER_COLUMNS: &str = "f.id, f.oid, f.type, f.version, f.content";
const WITH_OWNER: usize = SHADOW_ONLY + 5;
const FOCUS_COLUMNS: &str = "f.id, f.oid, f.type, f.version, f.content";

/// A shadow from a row that starts with [`SHADOW_COLUMNS`].
fn shadow(db: &Connection, names: &mut Names, row: &Row<'_>) -> Attempt<StoredShadow> {
    let class = names.class(db, row.get(2)?)?;
    let (resource, class) = (class.resource.clone(), class.name.clone());
    let object_type = match row.get::<_, Option<i64>>(5)? {
        Some(id) => Some(names.object_type(db, id)?.clone()),
        None => None,
    };
    let situation = match row.get::<_, Option<i64>>(6)? {
        Some(code) => Some(Situation::from_code(code).ok_or_else(|| corrupt("a situation"))?),
        None => None,
    };
    let shadow = Shadow {
        oid: row.get::<_, StoredOid>(1)?.0,
        resource,
        class,
        identifier: text(row, 3)?.into(),
        name: text(row, 4)?.into(),
        object_type,
        attributes: items(row, 8)?,
        situation,
        owner: row.get::<_, Option<StoredOid>>(11)?.map(|oid| oid.0),
        dead: row.get(7)?,
        synchronized: timestamp(row, 9)?,
        fully_synchronized: timestamp(row, 10)?,
    };
    Ok(StoredShadow { key: ShadowKey(row.get(0)?), shadow, owner: None })
}

/// A shadow from a row that starts with [`SHADOW_COLUMNS`] and [`OWNER_COLUMNS`].
fn shadow_with_owner(db: &Connection, names: &mut Names, row: &Row<'_>) -> Attempt<StoredShadow> {
    let mut stored = shadow(db, names, row)?;
    if stored.shadow.owner.is_some() {
        stored.owner = Some(focus(row, SHADOW_ONLY)?);
    }
    Ok(stored)
}

/// A focus from the columns from `first` on.
fn focus(row: &Row<'_>, first: usize) -> Attempt<StoredFocus> {
    let focus = Focus {
        oid: row.get::<_, StoredOid>(first + 1)?.0,
        focus_type: FocusType::of_column(row, first + 2)?,
        version: version(row, first + 3)?,
        content: items(row, first + 4)?,
    };
    Ok(StoredFocus { key: FocusKey(row.get(first)?), focus })
}

/// A list as the one parameter of `rarray`, whose `rowid` counts from 1.
pub(super) fn array<T: Into<ArrayValue>>(values: impl IntoIterator<Item = T>) -> Rc<Vec<Value>> {
    Rc::new(values.into_iter().map(|value| value.into().0).collect())
}

pub(super) struct ArrayValue(Value);

impl From<i64> for ArrayValue {
    fn from(number: i64) -> Self {
        Self(Value::Integer(number))
    }
}

impl From<OidColumn> for ArrayValue {
    fn from(oid: OidColumn) -> Self {
        Self(match oid {
            OidColumn::Uuid(uuid) => Value::Blob(uuid.as_bytes().to_vec()),
            OidColumn::Text(text) => Value::Text(text),
        })
    }
}

impl From<Box<str>> for ArrayValue {
    fn from(text: Box<str>) -> Self {
        Self(text_value(text))
    }
}

fn text_value(text: Box<str>) -> Value {
    Value::Text(text.into_string())
}

/// Which entry of the array a row belongs to.
fn row_number(row: &Row<'_>, column: usize) -> Attempt<usize> {
    Ok(usize::try_from(row.get::<_, i64>(column)? - 1).map_err(|err| corrupt("a row").with_source(err))?)
}

pub(super) fn place<'a, T>(places: &'a mut [T], row: &Row<'_>, column: usize) -> Attempt<&'a mut T> {
    Ok(places.get_mut(row_number(row, column)?).ok_or_else(|| corrupt("a row"))?)
}

pub(super) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn key_column(key: &ObjectKey) -> (&'static str, Box<dyn ToSql + '_>) {
    match key {
        ObjectKey::Oid(oid) => ("oid", Box::new(OidColumn::from(oid))),
        ObjectKey::Name(name) => ("name", Box::new(name)),
    }
}

/// Conditions of a query, each with one parameter.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) texts: Vec<String>,
    pub(super) values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn add(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.texts.push(condition.to_owned());
        self.values.push(Box::new(value));
    }

    fn of_filter(&mut self, filter: &ShadowFilter) {
        match (&filter.resource, &filter.class) {
            (Some(resource), Some(class)) => {
                self.add("s.class = (SELECT id FROM object_class WHERE resource = ?", OidColumn::from(resource));
                self.add("name = ?)", class.to_string());
            }
            (Some(resource), None) => {
                self.add("s.class IN (SELECT id FROM object_class WHERE resource = ?)", OidColumn::from(resource));
            }
            (None, Some(class)) => self.add("s.class IN (SELECT id FROM object_class WHERE name = ?)", class.to_string()),
            (None, None) => {}
        }
        if let Some(kind) = filter.kind {
            self.add("s.type IN (SELECT id FROM object_type WHERE kind = ?)", kind.code());
        }
        if let Some(intent) = &filter.intent {
            self.add("s.type IN (SELECT id FROM object_type WHERE intent = ?)", intent.as_str().to_owned());
        }
        if !filter.dead {
            self.texts.push("s.dead = 0".to_owned());
        }
    }

    pub(super) fn sql(&self) -> String {
        if self.texts.is_empty() { "TRUE".to_owned() } else { self.texts.join(" AND ") }
    }
}
