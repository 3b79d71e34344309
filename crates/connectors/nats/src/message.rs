//! What a message of a stream is to us: its identity, and the changes it brings.

use async_nats::Subject;
use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use tidelock_connector_api::{Change, Error, MessageId, Result};
use tidelock_messages::Decoder;

/// A message as the stream has it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    /// When the server took it, in nanoseconds.
    pub(crate) time: i128,
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) body: Bytes,
    /// Which delivery of the consumer it is; 0 where it was read from the stream itself.
    pub(crate) delivered: u64,
    /// Where it is acknowledged.
    pub(crate) reply: Subject,
}

impl Message {
    /// What is known of a message that the stream has no longer.
    pub(crate) fn gone(sequence: u64, time: i128, reply: Subject) -> Self {
        let (subject, body) = (Subject::from_static(""), Bytes::new());
        Self { sequence, time, subject, headers: None, body, delivered: 0, reply }
    }

    /// The identity: `stream:sequence@time`. With its time, a message is told from another one that has its number in a stream that was
    /// made anew, or restored from an older state.
    pub(crate) fn identity(&self, stream: &str) -> MessageId {
        identity(stream, self.sequence, self.time)
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        let headers = self.headers.iter().flat_map(HeaderMap::iter);
        let size = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
            let name: &str = name.as_ref();
            values.iter().map(|value| name.len() + value.as_str().len()).sum::<usize>()
        };
        self.subject.len() + headers.map(size).sum::<usize>() + self.body.len()
    }

    /// The changes that it brings.
    pub(crate) fn changes(&self, decoder: &Decoder) -> Result<Vec<Change>> {
        let header = |name: &str| self.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
        let encoding = header("Content-Encoding").unwrap_or_default();
        if !["", "identity", "utf-8", "utf8"].iter().any(|known| known.eq_ignore_ascii_case(encoding)) {
            return Err(Error::invalid_data("the message has a content encoding, such as a compression, that is not supported"));
        }
        decoder.changes(&self.body, header("Content-Type"))
    }
}

/// See [`Message::identity`].
pub(crate) fn identity(stream: &str, sequence: u64, time: i128) -> MessageId {
    MessageId(format!("{stream}:{sequence}@{time}").into())
}
