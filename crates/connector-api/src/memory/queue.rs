//! Pushed messages, and who has them.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::Faults;
use crate::{Change, ChangeKind, Error, ErrorKind, MessageId, Result, Token};

/// Messages until they are settled, in the order of publishing.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<Message>,
    rejected: Vec<(MessageId, String)>,
    published: u64,
    listeners: u64,
    closed: bool,
    /// The messages that are to be delivered a second time, to those who have them.
    again: VecDeque<u64>,
    wakers: Vec<Waker>,
}

struct Message {
    number: u64,
    /// What it brings, or why it cannot be read.
    changes: Result<Vec<Change>, (ErrorKind, String)>,
    /// All objects that are left, and the token behind, if that is what it says.
    left: Option<Left>,
    /// The listener that has it.
    with: Option<u64>,
    /// Listeners before this one have had it, and do not get it again.
    since: u64,
}

type Left = (Vec<Box<str>>, Token);

/// What a listener gets.
pub(super) struct Taken {
    pub(super) number: u64,
    pub(super) changes: Result<Vec<Change>>,
    pub(super) left: Option<Left>,
}

impl Queue {
    pub(super) fn publish(&mut self, changes: Result<Vec<Change>>) -> MessageId {
        self.push(changes.map_err(|error| (error.kind(), error.full_message())), None)
    }

    /// Forgets the deletions that nobody has, and says which objects are left instead.
    pub(super) fn forget_deletions(&mut self, left: Left) -> MessageId {
        self.messages.retain(|message| message.with.is_some() || message.left.is_some() || !message.only_deletes());
        self.push(Ok(Vec::new()), Some(left))
    }

    fn push(&mut self, changes: Result<Vec<Change>, (ErrorKind, String)>, left: Option<Left>) -> MessageId {
        self.published += 1;
        self.messages.push_back(Message { number: self.published, changes, left, with: None, since: 0 });
        self.wake();
        id(self.published)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    pub(super) fn unsettled(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn rejected(&self) -> &[(MessageId, String)] {
        &self.rejected
    }

    /// Begins to listen; gives the listener's number.
    pub(super) fn listen(&mut self) -> u64 {
        self.listeners += 1;
        self.listeners
    }

    /// The next message for a listener. A message waits while an earlier one of the same object is not settled and was not
    /// given to the same listener.
    pub(super) fn poll(&mut self, listener: u64, faults: &Faults, context: &Context<'_>) -> Poll<Option<Taken>> {
        while let Some(number) = self.again.pop_front() {
            let theirs = |message: &&Message| message.number == number && message.with == Some(listener);
            if let Some(message) = self.messages.iter().find(theirs) {
                return Poll::Ready(Some(message.taken()));
            }
        }
        let ready = (0..self.messages.len()).filter(|at| {
            let message = &self.messages[*at];
            let waits = |earlier: &Message| earlier.with != Some(listener) && earlier.shares_an_object(message);
            message.with.is_none() && message.since <= listener && !self.messages.iter().take(*at).any(waits)
        });
        let next = faults.choose(ready, |at| self.messages[*at].number);
        if let Some(message) = next.and_then(|at| self.messages.get_mut(at)) {
            message.with = Some(listener);
            if message.changes.iter().flatten().any(|change| faults.is_repeated(&change.identifier)) {
                self.again.push_back(message.number);
            }
            return Poll::Ready(Some(message.taken()));
        }
        if self.closed {
            return Poll::Ready(None);
        }
        self.wakers.push(context.waker().clone());
        Poll::Pending
    }

    /// Settles a message: it is gone.
    pub(super) fn settle(&mut self, number: u64, rejected: Option<&str>) {
        self.messages.retain(|message| message.number != number);
        if let Some(reason) = rejected {
            self.rejected.push((id(number), reason.to_owned()));
        }
        self.wake();
    }

    /// Takes a message back: a later listener gets it.
    pub(super) fn give_back(&mut self, number: u64) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.number == number) {
            message.since = message.with.take().unwrap_or_default() + 1;
        }
        self.wake();
    }

    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Message {
    fn taken(&self) -> Taken {
        let changes = self.changes.clone().map_err(|(kind, text)| Error::new(kind, text));
        Taken { number: self.number, changes, left: self.left.clone() }
    }

    fn only_deletes(&self) -> bool {
        let mut changes = self.changes.iter().flatten();
        self.changes.is_ok() && changes.all(|change| matches!(change.kind, ChangeKind::Deleted(_)))
    }

    fn shares_an_object(&self, other: &Self) -> bool {
        let (Ok(ours), Ok(theirs)) = (&self.changes, &other.changes) else { return false };
        ours.iter().any(|ours| theirs.iter().any(|theirs| ours.identifier == theirs.identifier && ours.class == theirs.class))
    }
}

/// The identity of a message.
pub(super) fn id(number: u64) -> MessageId {
    MessageId(format!("message-{number}").into())
}
