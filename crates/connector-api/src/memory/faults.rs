//! How a resource in memory fails.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{ErrorKind, IncompleteReason};

/// What makes a stream wait before each of its items: a paused clock's sleep, a gate that the test opens.
pub type Delay = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A method that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`crate::Connector::schema`].
    Schema,
    /// [`crate::Connector::search`]: its stream is nothing but the error.
    Search,
    /// [`crate::Connector::get_many`].
    GetMany,
    /// [`crate::LiveSync::current_token`].
    CurrentToken,
    /// [`crate::LiveSync::changes`]: its stream is nothing but the error.
    Changes,
    /// [`crate::AsyncUpdates::deliveries`]: its stream is nothing but the error.
    Deliveries,
    /// [`crate::Acknowledge::acknowledge`]: the message will be delivered again.
    Acknowledge,
    /// [`crate::Acknowledge::reject`]: the message will be delivered again.
    Reject,
}

/// Ways of failing. None of them changes the objects; without any, nothing fails.
#[derive(Clone, Default)]
pub struct Faults {
    calls: HashMap<(Call, u64), ErrorKind>,
    items: HashMap<usize, ErrorKind>,
    unreadable: HashSet<Box<str>>,
    repeated: HashSet<Box<str>>,
    end: Option<(usize, Option<IncompleteReason>)>,
    changes_end: Option<usize>,
    seed: Option<u64>,
    delay: Option<Delay>,
}

impl Faults {
    /// No fault.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The n-th call of a method, from 1, fails.
    #[must_use]
    pub fn fail_call(mut self, call: Call, number: u64, kind: ErrorKind) -> Self {
        self.calls.insert((call, number), kind);
        self
    }

    /// The n-th item of every search and every stream of changes, from 1, is an error instead. One of
    /// [`ErrorKind::InvalidData`] stands for that item; any other ends the stream.
    #[must_use]
    pub fn fail_item(mut self, number: usize, kind: ErrorKind) -> Self {
        self.items.insert(number, kind);
        self
    }

    /// The object cannot be read: an error item stands for it in searches and changes.
    #[must_use]
    pub fn unreadable(mut self, identifier: &str) -> Self {
        self.unreadable.insert(identifier.into());
        self
    }

    /// The object comes twice in searches, and messages about it are delivered twice to whoever listens, if they are not settled by
    /// then. Streams of changes never repeat one: by their contract they give exactly what has changed.
    #[must_use]
    pub fn repeated(mut self, identifier: &str) -> Self {
        self.repeated.insert(identifier.into());
        self
    }

    /// Searches end after so many items: incomplete for a reason, or without any verdict.
    #[must_use]
    pub fn end_search_after(mut self, items: usize, reason: Option<IncompleteReason>) -> Self {
        self.end = Some((items, reason));
        self
    }

    /// Streams of changes break off after so many items, without a word that these were all; so do those of messages, as if the source
    /// had closed.
    #[must_use]
    pub fn end_changes_after(mut self, items: usize) -> Self {
        self.changes_end = Some(items);
        self
    }

    /// Searches give the objects in another order, always the same one for a seed; so do changes of different objects, and messages
    /// about them. Changes that carry tokens are told in their own order all the same, as the tokens tell it.
    #[must_use]
    pub fn reordered(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Searches, streams of changes and those of messages wait before each item.
    #[must_use]
    pub fn delayed(mut self, delay: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        self.delay = Some(Arc::new(delay));
        self
    }

    pub(super) fn of_call(&self, call: Call, number: u64) -> Option<ErrorKind> {
        self.calls.get(&(call, number)).copied()
    }

    pub(super) fn of_item(&self, number: usize) -> Option<ErrorKind> {
        self.items.get(&number).copied()
    }

    pub(super) fn is_unreadable(&self, identifier: &str) -> bool {
        self.unreadable.contains(identifier)
    }

    pub(super) fn is_repeated(&self, identifier: &str) -> bool {
        self.repeated.contains(identifier)
    }

    pub(super) fn end(&self) -> Option<(usize, Option<IncompleteReason>)> {
        self.end
    }

    pub(super) fn changes_end(&self) -> Option<usize> {
        self.changes_end
    }

    pub(super) fn delay(&self) -> Option<Delay> {
        self.delay.clone()
    }

    /// Which of these messages, each of which could come next, does.
    pub(super) fn choose<T>(&self, mut ready: impl Iterator<Item = T>, number: impl Fn(&T) -> u64) -> Option<T> {
        match self.seed {
            None => ready.next(),
            Some(seed) => ready.min_by_key(|message| scatter(seed, &number(message).to_string())),
        }
    }

    /// Reorders what has different keys; what has the same key stays in its order.
    pub(super) fn reorder<T>(&self, items: &mut Vec<T>, key: impl Fn(&T) -> String) {
        let Some(seed) = self.seed else { return };
        let mut groups: Vec<(String, Vec<T>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for item in items.drain(..) {
            let key = key(&item);
            let at = *places.entry(key.clone()).or_insert(groups.len());
            match groups.get_mut(at) {
                Some((_, group)) => group.push(item),
                None => groups.push((key, vec![item])),
            }
        }
        groups.sort_by_key(|(key, _)| scatter(seed, key));
        items.extend(groups.into_iter().flat_map(|(_, group)| group));
    }
}

/// A number that depends on every byte of the key and on the seed (FNV-1a).
fn scatter(seed: u64, key: &str) -> u64 {
    key.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        .rotate_left(32)
}
