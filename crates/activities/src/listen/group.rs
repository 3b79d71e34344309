//! Messages that are taken over together: what of them is settled, and what is still to be done.

use std::collections::{HashSet, VecDeque};

use tidelock_connector_api::{Delivery, MessageId};
use tidelock_repo::InboxEntry;

use crate::changes::{self, Incoming};
use crate::feed::Held;
use crate::synchronize::Work;
use crate::watermark::Watermark;

/// Messages that have arrived together, all different.
#[derive(Default)]
pub(super) struct Group {
    pub(super) messages: Vec<Message>,
    identities: HashSet<MessageId>,
    pub(super) watermark: Watermark,
    /// The changes that are to be taken over, each with the number of its message.
    pub(super) pending: VecDeque<(usize, Incoming)>,
    /// What they have of the budget, until all of them are taken over.
    held: Vec<Held>,
}

/// A message, until it is settled.
pub(super) struct Message {
    pub(super) delivery: Option<Delivery>,
    /// How many of its changes were settled when it arrived, or have been since.
    settled: u32,
}

/// Changes of which it has been found out what became of their objects.
pub(super) struct Resolved {
    /// The number of the message of each.
    pub(super) owners: Vec<usize>,
    pub(super) work: Work,
    /// The changes themselves, where what fails is tried again: it is to be found out anew then.
    pub(super) changes: Option<Vec<Incoming>>,
}

impl Group {
    /// Whether a message is among these.
    pub(super) fn has(&self, id: &MessageId) -> bool {
        self.identities.contains(id)
    }

    /// Adds a message, of which so many changes are settled already.
    pub(super) fn add(&mut self, delivery: Delivery, changes: Vec<Incoming>, held: Held, settled: u32) {
        let done = usize::try_from(settled).unwrap_or(usize::MAX);
        let number = self.watermark.add(changes.len().saturating_sub(done), delivery.token.clone());
        self.pending.extend(changes.into_iter().skip(done).map(|change| (number, change)));
        self.identities.extend(delivery.id.clone());
        self.held.push(held);
        self.messages.push(Message { delivery: Some(delivery), settled });
    }

    /// Adds something that is to be done before any message that is added later is settled. Gives its number.
    pub(super) fn open(&mut self) -> usize {
        self.messages.push(Message { delivery: None, settled: 0 });
        self.watermark.add(1, None)
    }

    /// The marks of messages of which one change each is settled.
    pub(super) fn marks(&self, owners: &[usize]) -> Vec<InboxEntry> {
        let mut marks = Vec::new();
        for same in owners.chunk_by(|a, b| a == b) {
            let number = same[0];
            let Some(message) = self.messages.get(number) else { continue };
            let Some(id) = message.delivery.as_ref().and_then(|delivery| delivery.id.clone()) else { continue };
            marks.push(if self.watermark.open_after(number, same) == 0 {
                InboxEntry::settled(id.0)
            } else {
                let more = u32::try_from(same.len()).unwrap_or(u32::MAX);
                InboxEntry { message: id.0, changes: message.settled.saturating_add(more).min(InboxEntry::ALL - 1) }
            });
        }
        marks
    }

    pub(super) fn settle(&mut self, owners: &[usize]) {
        for &number in owners {
            self.watermark.settle(number);
            if let Some(message) = self.messages.get_mut(number) {
                message.settled = message.settled.saturating_add(1).min(InboxEntry::ALL - 1);
            }
        }
    }

    /// Changes that were not processed, from this one on, come before all others again.
    pub(super) fn put_back(&mut self, resolved: Resolved, from: usize) {
        let Resolved { owners, work, changes } = resolved;
        let changes: Vec<Incoming> = match changes {
            Some(changes) => changes.into_iter().skip(from).collect(),
            None => changes::again(work.into_found(), from).collect(),
        };
        owners.into_iter().skip(from).zip(changes).rev().for_each(|one| self.pending.push_front(one));
    }

    /// Forgets what was read ahead of what is to be done.
    pub(super) fn forget(&mut self) {
        self.pending.iter_mut().for_each(|(_, change)| change.forget());
    }

    /// The messages that are not settled.
    pub(super) fn into_deliveries(self) -> impl Iterator<Item = Delivery> {
        self.messages.into_iter().filter_map(|message| message.delivery)
    }

    /// The messages of which nothing is left, nor of those before them; each given once.
    pub(super) fn take_settled(&mut self) -> Vec<Delivery> {
        let watermark = &self.watermark;
        let settled = self.messages.iter_mut().enumerate().take_while(|(number, _)| watermark.open_after(*number, &[]) == 0);
        settled.filter_map(|(_, message)| message.delivery.take()).collect()
    }
}
