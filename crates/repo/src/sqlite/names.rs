//! What repeats in rows and is stored once: object classes, object types, activities of tasks.
//!
//! Such rows are never changed nor deleted, so what was read once stays true.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tidelock_model::Oid;
use tidelock_model::object::{Intent, Kind, TypeId};

use super::column::{Code, OidColumn, StoredOid, text};
use super::failure::{Attempt, corrupt};

/// The names that a connection has met. There are few, so they are searched one by one.
#[derive(Default)]
pub(super) struct Names {
    classes: Vec<ClassName>,
    types: Vec<(i64, TypeId)>,
    activities: Vec<Activity>,
}

/// An object class of a resource.
#[derive(Clone)]
pub(super) struct ClassName {
    id: i64,
    pub(super) resource: Oid,
    pub(super) name: Arc<str>,
}

/// An activity of a task.
#[derive(Clone)]
pub(super) struct Activity {
    id: i64,
    pub(super) task: Oid,
    pub(super) activity: Box<str>,
}

impl Names {
    /// Forgets all; after a transaction that was rolled back, which may have numbered some.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The number of a class, if it has one.
    pub(super) fn find_class(&mut self, db: &Connection, resource: &Oid, name: &str) -> Attempt<Option<i64>> {
        if let Some(known) = self.classes.iter().find(|class| &*class.name == name && class.resource == *resource) {
            return Ok(Some(known.id));
        }
        let id = db
            .prepare_cached("SELECT id FROM object_class WHERE resource = ?1 AND name = ?2")?
            .query_row((OidColumn::from(resource), name), |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            self.classes.push(ClassName { id, resource: resource.clone(), name: name.into() });
        }
        Ok(id)
    }

    /// The number of a class, which gets one if it has none.
    pub(super) fn class_id(&mut self, db: &Connection, resource: &Oid, name: &str) -> Attempt<i64> {
        if let Some(id) = self.find_class(db, resource, name)? {
            return Ok(id);
        }
        db.prepare_cached("INSERT INTO object_class (resource, name) VALUES (?1, ?2)")?
            .execute((OidColumn::from(resource), name))?;
        let id = db.last_insert_rowid();
        self.classes.push(ClassName { id, resource: resource.clone(), name: name.into() });
        Ok(id)
    }

    /// The class with a number.
    pub(super) fn class(&mut self, db: &Connection, id: i64) -> Attempt<&ClassName> {
        let at = match self.classes.iter().position(|class| class.id == id) {
            Some(at) => at,
            None => {
                let mut statement = db.prepare_cached("SELECT resource, name FROM object_class WHERE id = ?1")?;
                let mut rows = statement.query([id])?;
                let row = rows.next()?.ok_or_else(|| corrupt("an object class"))?;
                let class = ClassName { id, resource: row.get::<_, StoredOid>(0)?.0, name: text(row, 1)?.into() };
                self.classes.push(class);
                self.classes.len() - 1
            }
        };
        Ok(&self.classes[at])
    }

    /// The number of an object type, which gets one if it has none.
    pub(super) fn type_id(&mut self, db: &Connection, object_type: &TypeId) -> Attempt<i64> {
        if let Some((id, _)) = self.types.iter().find(|(_, known)| known == object_type) {
            return Ok(*id);
        }
        let (kind, intent) = (object_type.kind.code(), object_type.intent.as_str());
        let stored = db
            .prepare_cached("SELECT id FROM object_type WHERE kind = ?1 AND intent = ?2")?
            .query_row((kind, intent), |row| row.get(0))
            .optional()?;
        let id = match stored {
            Some(id) => id,
            None => {
                db.prepare_cached("INSERT INTO object_type (kind, intent) VALUES (?1, ?2)")?.execute((kind, intent))?;
                db.last_insert_rowid()
            }
        };
        self.types.push((id, object_type.clone()));
        Ok(id)
    }

    /// The object type with a number.
    pub(super) fn object_type(&mut self, db: &Connection, id: i64) -> Attempt<&TypeId> {
        let at = match self.types.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                let mut statement = db.prepare_cached("SELECT kind, intent FROM object_type WHERE id = ?1")?;
                let mut rows = statement.query([id])?;
                let row = rows.next()?.ok_or_else(|| corrupt("an object type"))?;
                let intent = Intent::new(text(row, 1)?).ok_or_else(|| corrupt("an intent"))?;
                self.types.push((id, TypeId { kind: Kind::of_column(row, 0)?, intent }));
                self.types.len() - 1
            }
        };
        Ok(&self.types[at].1)
    }

    /// The number of an activity of a task, which gets one if it has none.
    pub(super) fn activity_id(&mut self, db: &Connection, task: &Oid, activity: &str) -> Attempt<i64> {
        if let Some(known) = self.activities.iter().find(|known| &*known.activity == activity && known.task == *task) {
            return Ok(known.id);
        }
        let stored = db
            .prepare_cached("SELECT id FROM task_activity WHERE task = ?1 AND activity = ?2")?
            .query_row((OidColumn::from(task), activity), |row| row.get(0))
            .optional()?;
        let id = match stored {
            Some(id) => id,
            None => {
                db.prepare_cached("INSERT INTO task_activity (task, activity) VALUES (?1, ?2)")?
                    .execute((OidColumn::from(task), activity))?;
                db.last_insert_rowid()
            }
        };
        self.activities.push(Activity { id, task: task.clone(), activity: activity.into() });
        Ok(id)
    }

    /// The activity with a number.
    pub(super) fn activity(&mut self, db: &Connection, id: i64) -> Attempt<&Activity> {
        let at = match self.activities.iter().position(|activity| activity.id == id) {
            Some(at) => at,
            None => {
                let mut statement = db.prepare_cached("SELECT task, activity FROM task_activity WHERE id = ?1")?;
                let mut rows = statement.query([id])?;
                let row = rows.next()?.ok_or_else(|| corrupt("an activity"))?;
                let activity = Activity { id, task: row.get::<_, StoredOid>(0)?.0, activity: text(row, 1)?.into() };
                self.activities.push(activity);
                self.activities.len() - 1
            }
        };
        Ok(&self.activities[at])
    }
}
