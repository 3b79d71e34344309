//! The inbox: which messages have been taken over, so that one that is delivered again is not applied twice.

use tidelock_model::Oid;

/// How many marks of a resource are kept. Older ones are forgotten.
pub const INBOX_KEPT: usize = 100_000;

/// The mark that changes of a message were applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InboxEntry {
    /// The identity of the message within its resource.
    pub message: Box<str>,
    /// How many of its changes, from the first on, are settled; [`InboxEntry::ALL`] if nothing of it is left to do.
    pub changes: u32,
}

/// Marks on messages of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMarks {
    /// The resource.
    pub resource: Oid,
    /// The marks. A later one of a message supersedes those before it.
    pub messages: Vec<InboxEntry>,
}

impl InboxEntry {
    /// All changes of a message, however many they are.
    pub const ALL: u32 = u32::MAX;

    /// The mark of a message of which nothing is left to do.
    pub fn settled(message: impl Into<Box<str>>) -> Self {
        Self { message: message.into(), changes: Self::ALL }
    }

    /// Whether nothing of the message is left to do.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.changes == Self::ALL
    }
}

/// The marks that count, newest first: of each message the last one, among the last [`INBOX_KEPT`]. Takes all marks, newest first.
#[cfg(any(feature = "memory", feature = "sqlite"))]
pub(crate) fn in_force<E>(marks: impl Iterator<Item = Result<InboxEntry, E>>) -> Result<Vec<InboxEntry>, E> {
    let mut met = std::collections::HashSet::new();
    let mut found = Vec::new();
    for mark in marks.take(INBOX_KEPT) {
        let mark = mark?;
        if met.insert(mark.message.clone()) {
            found.push(mark);
        }
    }
    Ok(found)
}
