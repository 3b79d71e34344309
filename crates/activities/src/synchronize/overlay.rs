//! The foci that earlier objects of a chunk have made or changed, as later ones must see them.

use std::collections::HashMap;

use tidelock_model::Items;
use tidelock_model::object::Focus;
use tidelock_repo::{FocusChange, FocusKey, FocusRef, IndexedItem, StoredFocus};

/// Tells candidates for ownership apart. Stored ones come before new ones, each kind in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Candidate {
    /// A focus of the repository.
    Stored(FocusKey),
    /// A focus that this chunk creates.
    New(usize),
}

/// The foci that a chunk writes.
pub(crate) struct Overlay<'a> {
    items: &'a [IndexedItem],
    pending: Vec<Pending>,
    by_key: HashMap<FocusKey, usize>,
    /// For each indexed item: which foci of this chunk have a value now.
    by_value: Vec<HashMap<Box<str>, Vec<usize>>>,
}

struct Pending {
    stored: Option<(FocusKey, u64)>,
    /// What it was before this chunk.
    before: Items,
    focus: Focus,
    deleted: bool,
}

impl<'a> Overlay<'a> {
    /// Nothing is written yet. `items` are those that foci are found by.
    pub(crate) fn new(items: &'a [IndexedItem]) -> Self {
        Self { items, pending: Vec::new(), by_key: HashMap::new(), by_value: vec![HashMap::new(); items.len()] }
    }

    /// Whether this chunk writes a stored focus.
    pub(crate) fn touches(&self, key: FocusKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The version that a focus has by now; none if this chunk leaves it alone.
    pub(crate) fn version(&self, candidate: Candidate) -> Option<u64> {
        self.pending.get(self.position(candidate)?).map(|pending| pending.focus.version)
    }

    /// A stored focus as it is by now; none if it was deleted.
    pub(crate) fn current<'b>(&'b self, stored: &'b StoredFocus) -> Option<&'b Focus> {
        match self.by_key.get(&stored.key) {
            Some(&at) => (!self.pending[at].deleted).then(|| &self.pending[at].focus),
            None => Some(&stored.focus),
        }
    }

    /// Where a focus is among those that this chunk writes.
    pub(crate) fn position(&self, candidate: Candidate) -> Option<usize> {
        match candidate {
            Candidate::Stored(key) => self.by_key.get(&key).copied(),
            Candidate::New(at) => Some(at),
        }
    }

    /// The focus at a position, to be told from others.
    pub(crate) fn candidate(&self, at: usize) -> Candidate {
        self.pending[at].stored.map_or(Candidate::New(at), |(key, _)| Candidate::Stored(key))
    }

    /// The focus at a position; none if it was deleted.
    pub(crate) fn pending(&self, at: usize) -> Option<&Focus> {
        self.pending.get(at).filter(|pending| !pending.deleted).map(|pending| &pending.focus)
    }

    /// The foci of this chunk that have a value of an indexed item, among others that once had.
    pub(crate) fn with_value(&self, item: usize, value: &str) -> impl Iterator<Item = (Candidate, &Focus)> {
        let found = self.by_value.get(item).and_then(|values| values.get(value));
        found.into_iter().flatten().filter_map(|&at| {
            let pending = &self.pending[at];
            (!pending.deleted).then(|| (self.candidate(at), &pending.focus))
        })
    }

    /// Creates a focus.
    pub(crate) fn create(&mut self, focus: Focus) -> Candidate {
        let at = self.pending.len();
        self.pending.push(Pending { stored: None, before: Items::new(), focus, deleted: false });
        self.index(at);
        Candidate::New(at)
    }

    /// Gives a stored focus new content.
    pub(crate) fn update(&mut self, stored: &StoredFocus, content: Items) {
        let at = self.pend(stored);
        self.change(at, content);
    }

    /// Gives the focus at a position new content.
    pub(crate) fn update_pending(&mut self, at: usize, content: Items) {
        self.change(at, content);
    }

    /// Deletes a stored focus.
    pub(crate) fn delete(&mut self, stored: &StoredFocus) {
        let at = self.pend(stored);
        self.pending[at].deleted = true;
    }

    /// Deletes the focus at a position; whether that can be done: one that is not stored yet cannot go.
    pub(crate) fn delete_pending(&mut self, at: usize) -> bool {
        let pending = &mut self.pending[at];
        pending.deleted |= pending.stored.is_some();
        pending.deleted
    }

    /// The reference to a candidate for the batch that [`Overlay::into_changes`] gives.
    pub(crate) fn reference(candidate: Candidate) -> FocusRef {
        match candidate {
            Candidate::Stored(key) => FocusRef::Stored(key),
            Candidate::New(at) => FocusRef::New(at),
        }
    }

    /// What is to be written.
    pub(crate) fn into_changes(self) -> Vec<FocusChange> {
        let change = |pending: Pending| match pending.stored {
            None => FocusChange::Create(pending.focus),
            Some((key, version)) if pending.deleted => FocusChange::Delete { key, version },
            Some((key, expected)) => FocusChange::Update { key, expected, before: pending.before, focus: pending.focus },
        };
        self.pending.into_iter().map(change).collect()
    }

    fn pend(&mut self, stored: &StoredFocus) -> usize {
        if let Some(&at) = self.by_key.get(&stored.key) {
            return at;
        }
        let at = self.pending.len();
        self.pending.push(Pending {
            stored: Some((stored.key, stored.focus.version)),
            before: Items::new(),
            focus: stored.focus.clone(),
            deleted: false,
        });
        self.by_key.insert(stored.key, at);
        at
    }

    /// Every change counts as a version, as it would if it were written at once.
    fn change(&mut self, at: usize, content: Items) {
        let Pending { stored, before, focus, .. } = &mut self.pending[at];
        let old = std::mem::replace(&mut focus.content, content);
        if stored.is_some_and(|(_, version)| version == focus.version) {
            *before = old;
        }
        focus.version += 1;
        self.index(at);
    }

    fn index(&mut self, at: usize) {
        let focus = &self.pending[at].focus;
        for (item, values) in self.items.iter().zip(&mut self.by_value) {
            if item.focus_type == focus.focus_type {
                for key in item.keys(&focus.content) {
                    let foci = values.entry(key).or_default();
                    if !foci.contains(&at) {
                        foci.push(at);
                    }
                }
            }
        }
    }
}
