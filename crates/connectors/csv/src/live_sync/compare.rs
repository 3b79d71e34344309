//! What two snapshots differ in.

use std::cmp::Ordering;
use std::sync::Arc;

use tidelock_connector_api::{About, Change, ChangeKind, Error, Result, SyncEvent};
use tidelock_model::object::ResourceObject;
use tokio::sync::mpsc;

use crate::live_sync::snapshot::{Reader, Record, Standing, damaged, read_fields};
use crate::live_sync::store::{Snapshot, Store, unknown_row};
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

/// Tells the changes from one snapshot to another, those of identifiers after one; then what cannot be told of, so that it is in
/// nobody's way; and the end.
pub(crate) fn compare(store: &Store, base: &Snapshot, target: &Snapshot, after: Option<&str>, events: &mut Events) -> Result<()> {
    store.hold(base);
    store.hold(target);
    let (old, new) = (Side::open(store, base)?, Side::open(store, target)?);
    let columns = Correspondence::of(&base.header.columns, &target.header.columns);
    let mut comparison = Comparison { store, base, target, columns, old, new };
    // Rows that are no object's are told of at last.
    comparison.old.skip(store, "")?;
    comparison.new.skip(store, "")?;
    if let Some(after) = after {
        let (old, new) = (comparison.old.skip(store, after)?, comparison.new.skip(store, after)?);
        if !(old || new) {
            return Err(unknown_row());
        }
    }
    while events.is_listening {
        let order = match (comparison.old.is_there, comparison.new.is_there) {
            (false, false) => {
                if comparison.new.has_bad {
                    tell_of_bad(store, target, events)?;
                }
                events.push(Ok(SyncEvent::End(Position::At(target.id.clone()).to_token())));
                return Ok(());
            }
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (true, true) => comparison.old.reader.key().cmp(comparison.new.reader.key()),
        };
        if let Some(event) = comparison.event(order)? {
            events.push(Ok(event));
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

/// Tells of every row that could not be read, or not be told from another one.
fn tell_of_bad(store: &Store, snapshot: &Snapshot, events: &mut Events) -> Result<()> {
    let mut reader = store.records(snapshot)?;
    while events.is_listening && reader.next().map_err(|error| store.cannot_read(error))? {
        let record = reader.record();
        let about = match record.standing {
            Standing::Good | Standing::Lost => continue,
            Standing::Doubtful => About::Object(text(record.key)),
            Standing::Stranger => About::Anything,
            Standing::Nobody => About::NoObject,
        };
        events.push(Err(Error::invalid_data(text(record.fields)).about(about)));
    }
    Ok(())
}

struct Comparison<'a> {
    store: &'a Store,
    base: &'a Snapshot,
    target: &'a Snapshot,
    columns: Correspondence,
    old: Side,
    new: Side,
}

/// Which columns of two snapshots are the same.
struct Correspondence {
    /// All of them, in the same order.
    are_equal: bool,
    /// Where each new one is among the old ones.
    old_of_new: Vec<Option<usize>>,
    /// Whether each old one is among the new ones.
    is_kept: Vec<bool>,
}

/// One of two snapshots, with the record at hand.
struct Side {
    reader: Reader,
    columns: Columns,
    class: Arc<str>,
    is_there: bool,
    /// Whether there were rows so far that could not be read.
    has_bad: bool,
}

impl Correspondence {
    fn of(old: &[String], new: &[String]) -> Self {
        Self {
            are_equal: old == new,
            old_of_new: new.iter().map(|name| old.iter().position(|other| other == name)).collect(),
            is_kept: old.iter().map(|name| new.contains(name)).collect(),
        }
    }
}

impl Comparison<'_> {
    /// What there is to tell of the records at hand: the old one alone, both, or the new one alone.
    fn event(&self, order: Ordering) -> Result<Option<SyncEvent>> {
        let old = self.old.reader.record();
        if order.is_lt() {
            let kept = self.old.object(self.store)?;
            let identifier = kept.as_ref().map_or_else(|| text(old.key), |object| object.identifier.clone());
            let kind = ChangeKind::Deleted(kept.map(|object| object.attributes));
            return Ok(Some(self.change(old.key, identifier, kind)));
        }
        let new = self.new.reader.record();
        if order.is_eq() && old.standing == Standing::Good && new.standing == Standing::Good && self.is_same(old, new)? {
            return Ok(None);
        }
        let Some(object) = self.new.object(self.store)? else { return Ok(None) };
        Ok(Some(self.change(new.key, object.identifier.clone(), ChangeKind::Full(object))))
    }

    fn change(&self, key: &[u8], identifier: Box<str>, kind: ChangeKind) -> SyncEvent {
        let position = Position::Within { base: self.base.id.clone(), target: self.target.id.clone(), last: text(key) };
        let change = Change { class: Some(Arc::clone(&self.old.class)), identifier, kind };
        SyncEvent::Change(change, Some(position.to_token()))
    }

    /// Whether two rows say the same: a column that is empty says no more than one that is not there.
    fn is_same(&self, old: Record<'_>, new: Record<'_>) -> Result<bool> {
        let Correspondence { are_equal, old_of_new, is_kept } = &self.columns;
        if *are_equal {
            return Ok(old.fields == new.fields);
        }
        let (old, new) = (self.old.fields(self.store)?, self.new.fields(self.store)?);
        let same = old_of_new.iter().zip(&new).all(|(at, field)| at.map_or("", |at| old[at]) == *field);
        Ok(same && is_kept.iter().zip(&old).all(|(is_kept, field)| *is_kept || field.is_empty()))
    }
}

impl Side {
    fn open(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let names = &snapshot.header.columns;
        let columns = match names.as_slice() {
            // A file without anything, where that is allowed.
            [] => Columns::default(),
            names => Columns::new(&store.config, names.iter().map(String::as_str))?,
        };
        let reader = store.records(snapshot)?;
        let mut side = Self { reader, columns, class: OBJECT_CLASS.into(), is_there: true, has_bad: false };
        side.next(store)?;
        Ok(side)
    }

    fn next(&mut self, store: &Store) -> Result<()> {
        self.is_there = self.is_there && self.reader.next().map_err(|error| store.cannot_read(error))?;
        let standing = self.reader.record().standing;
        self.has_bad |= self.is_there && !matches!(standing, Standing::Good | Standing::Lost);
        Ok(())
    }

    /// Passes over everything up to a key; whether the key itself was there.
    fn skip(&mut self, store: &Store, last: &str) -> Result<bool> {
        let mut is_there = false;
        while self.is_there && *self.reader.key() <= *last.as_bytes() {
            is_there = *self.reader.key() == *last.as_bytes();
            self.next(store)?;
        }
        Ok(is_there)
    }

    fn fields(&self, store: &Store) -> Result<Vec<&str>> {
        read_fields(self.reader.record().fields, self.columns.names.len()).ok_or_else(|| store.cannot_read(damaged()))
    }

    /// The object of the record at hand; none where nothing of it could be read.
    fn object(&self, store: &Store) -> Result<Option<ResourceObject>> {
        let record = self.reader.record();
        if record.standing != Standing::Good {
            return Ok(None);
        }
        let object = object(&store.config, &self.columns, &self.class, self.fields(store)?.into_iter());
        Ok(Some(object.with_origin(format!("row {}", record.row))))
    }
}

/// A text of ours; what is not one was not written by us.
fn text(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
