//! What two snapshots differ in.

use std::sync::Arc;

use tidelock_connector_api::{About, Change, ChangeKind, Error, Result, SyncEvent};
use tidelock_model::object::ResourceObject;
use tokio::sync::mpsc;

use crate::live_sync::snapshot::{Reader, Record, Standing};
use crate::live_sync::store::{Snapshot, Store};
use crate::live_sync::take::read_fields;
use crate::live_sync::token::Position;
use crate::object::object;
use crate::schema::{Columns, OBJECT_CLASS};

/// How many events are handed over at once.
const PORTION: usize = 256;

/// Events on their way to whoever follows.
pub(crate) struct Events {
    sender: mpsc::Sender<Vec<Result<SyncEvent>>>,
    portion: Vec<Result<SyncEvent>>,
    is_listening: bool,
}

impl Events {
    pub(crate) fn new(sender: mpsc::Sender<Vec<Result<SyncEvent>>>) -> Self {
        Self { sender, portion: Vec::new(), is_listening: true }
    }

    pub(crate) fn push(&mut self, event: Result<SyncEvent>) {
        self.portion.push(event);
        if self.portion.len() >= PORTION {
            self.send();
        }
    }

    /// Hands over what there is.
    pub(crate) fn send(&mut self) {
        if !self.portion.is_empty() {
            self.is_listening = self.sender.blocking_send(std::mem::take(&mut self.portion)).is_ok();
        }
    }
}

/// Tells the changes from one snapshot to another, those of identifiers after one, and the end.
pub(crate) fn compare(store: &Store, base: &Snapshot, target: &Snapshot, after: Option<&str>, events: &mut Events) -> Result<()> {
    let (old, new) = (Side::open(store, base)?, Side::open(store, target)?);
    let same_columns = base.header.columns == target.header.columns;
    let mut comparison = Comparison { store, base, target, same_columns, old, new };
    if let Some(after) = after {
        comparison.old.skip(store, after)?;
        comparison.new.skip(store, after)?;
    }
    while events.is_listening {
        let order = match (comparison.old.is_there, comparison.new.is_there) {
            (false, false) => {
                events.push(Ok(SyncEvent::End(Position::At(target.id.clone()).to_token())));
                return Ok(());
            }
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (true, true) => comparison.old.reader.record.key.cmp(&comparison.new.reader.record.key),
        };
        if let Some(event) = comparison.event(order)? {
            events.push(event);
        }
        if order.is_le() {
            comparison.old.next(store)?;
        }
        if order.is_ge() {
            comparison.new.next(store)?;
        }
    }
    Ok(())
}

struct Comparison<'a> {
    store: &'a Store,
    base: &'a Snapshot,
    target: &'a Snapshot,
    same_columns: bool,
    old: Side,
    new: Side,
}

/// One of two snapshots, with the record at hand.
struct Side {
    reader: Reader,
    columns: Columns,
    names: Vec<String>,
    is_there: bool,
}

impl Comparison<'_> {
    /// What there is to tell of the records at hand: the old one alone, both, or the new one alone.
    fn event(&self, order: std::cmp::Ordering) -> Result<Option<Result<SyncEvent>>> {
        let (old, new) = (&self.old.reader.record, &self.new.reader.record);
        if order.is_lt() {
            let kept = self.old.object(self.store)?;
            let identifier = kept.as_ref().map(|object| object.identifier.clone());
            let identifier = identifier.unwrap_or_else(|| String::from_utf8_lossy(&old.key).into());
            let kind = ChangeKind::Deleted(kept.map(|object| object.attributes));
            return Ok(Some(Ok(self.change(old, identifier, kind))));
        }
        if new.standing == Standing::Doubtful {
            return Ok(Some(Err(self.new.doubt())));
        }
        if order.is_eq() && old.standing == Standing::Good && self.is_same(old, new)? {
            return Ok(None);
        }
        let object = self.new.object(self.store)?.ok_or_else(|| self.store.cannot_read(damage()))?;
        Ok(Some(Ok(self.change(new, object.identifier.clone(), ChangeKind::Full(object)))))
    }

    fn change(&self, record: &Record, identifier: Box<str>, kind: ChangeKind) -> SyncEvent {
        let last = String::from_utf8_lossy(&record.key).into();
        let position = Position::Within { base: self.base.id.clone(), target: self.target.id.clone(), last };
        SyncEvent::Change(Change { class: Some(OBJECT_CLASS.into()), identifier, kind }, Some(position.to_token()))
    }

    /// Whether two rows say the same: a column that is empty says no more than one that is not there.
    fn is_same(&self, old: &Record, new: &Record) -> Result<bool> {
        if self.same_columns {
            return Ok(old.fields == new.fields);
        }
        let read = |record: &Record, side: &Side| -> Result<Vec<(String, String)>> {
            let fields = read_fields(&record.fields, side.names.len()).ok_or_else(|| self.store.cannot_read(damage()))?;
            let named = side.names.iter().zip(fields).filter(|(_, field)| !field.is_empty());
            let mut named: Vec<_> = named.map(|(name, field)| (name.clone(), field.to_owned())).collect();
            named.sort_unstable();
            Ok(named)
        };
        Ok(read(old, &self.old)? == read(new, &self.new)?)
    }
}

impl Side {
    fn open(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let names = snapshot.header.columns.clone();
        let columns = Columns::new(&store.config, names.iter().map(String::as_str))?;
        let mut side = Self { reader: store.records(snapshot)?, columns, names, is_there: true };
        side.next(store)?;
        Ok(side)
    }

    fn next(&mut self, store: &Store) -> Result<()> {
        self.is_there = self.is_there && self.reader.next().map_err(|error| store.cannot_read(error))?;
        Ok(())
    }

    /// Passes over everything up to a key.
    fn skip(&mut self, store: &Store, last: &str) -> Result<()> {
        while self.is_there && *self.reader.record.key <= *last.as_bytes() {
            self.next(store)?;
        }
        Ok(())
    }

    /// The object of the record at hand; none where nothing of it could be read.
    fn object(&self, store: &Store) -> Result<Option<ResourceObject>> {
        let record = &self.reader.record;
        if record.standing == Standing::Doubtful {
            return Ok(None);
        }
        let fields = read_fields(&record.fields, self.names.len()).ok_or_else(|| store.cannot_read(damage()))?;
        let object = object(&store.config, &self.columns, &Arc::from(OBJECT_CLASS), fields.into_iter());
        Ok(Some(object.with_origin(format!("row {}", record.row))))
    }

    /// Why nobody knows what the object of the record at hand is.
    fn doubt(&self) -> Error {
        let record = &self.reader.record;
        let identifier = String::from_utf8_lossy(&record.key).into();
        let message = if record.row == 0 {
            String::from_utf8_lossy(&record.fields).into_owned()
        } else {
            format!("row {}: another row has the same identifier, and other content", record.row)
        };
        Error::invalid_data(message).about(About::Object(identifier))
    }
}

fn damage() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::InvalidData)
}
