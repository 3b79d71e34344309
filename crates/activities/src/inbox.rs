//! Which messages have been taken over, as a listener knows it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidelock_repo::{INBOX_KEPT, InboxEntry};

/// The messages that were taken over last, with how many of their changes are settled.
#[derive(Default)]
pub(crate) struct Inbox {
    settled: HashMap<Arc<str>, u32>,
    /// In the order in which they came to be known; the oldest are forgotten, as in the repository.
    order: VecDeque<Arc<str>>,
}

impl Inbox {
    /// The inbox with these marks, newest first.
    pub(crate) fn new(marks: Vec<InboxEntry>) -> Self {
        let mut inbox = Self::default();
        for mark in marks.into_iter().rev() {
            inbox.note(mark);
        }
        inbox
    }

    /// How many changes of a message, from the first on, are settled.
    pub(crate) fn settled(&self, message: &str) -> u32 {
        self.settled.get(message).copied().unwrap_or_default()
    }

    /// Takes a mark that is stored.
    pub(crate) fn note(&mut self, mark: InboxEntry) {
        let message: Arc<str> = mark.message.into();
        if self.settled.insert(Arc::clone(&message), mark.changes).is_none() {
            self.order.push_back(message);
            if self.order.len() > INBOX_KEPT
                && let Some(oldest) = self.order.pop_front()
            {
                self.settled.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(message: &str, changes: u32) -> InboxEntry {
        InboxEntry { message: message.into(), changes }
    }

    #[test]
    fn the_last_mark_of_a_message_counts() {
        let mut inbox = Inbox::new(vec![mark("b", 2), mark("a", InboxEntry::ALL)]);
        assert_eq!((inbox.settled("a"), inbox.settled("b"), inbox.settled("c")), (InboxEntry::ALL, 2, 0));
        inbox.note(mark("b", 3));
        assert_eq!(inbox.settled("b"), 3);
    }

    #[test]
    fn the_oldest_messages_are_forgotten() {
        let mut inbox = Inbox::default();
        for number in 0..=INBOX_KEPT {
            inbox.note(InboxEntry::settled(number.to_string()));
        }
        assert_eq!((inbox.settled("0"), inbox.settled("1")), (0, InboxEntry::ALL));
        assert_eq!(inbox.settled.len(), INBOX_KEPT);
    }
}
