//! Messages that the consumer does not give at the moment, read from the stream itself: those that were given before, to a
//! listener that is no more, or over a connection that broke. The server gives them again, but later, and others meanwhile.

use std::collections::VecDeque;

use async_nats::Subject;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RawMessageErrorKind;
use futures::{StreamExt, TryStreamExt, stream};
use tidelock_connector_api::Result;

use crate::client::Session;
use crate::config::NatsConfig;
use crate::error::answered;
use crate::message::Message;
use crate::subject::is_wanted;

/// The most messages that are asked for at a time.
const AT_ONCE: usize = 64;
/// How many are at first, when it is not known how big they are.
const AT_FIRST: usize = 8;
/// How many bytes are asked for at a time, as far as can be told by the biggest message before.
const BYTES: usize = 4 << 20;
/// Up to how many times as many numbers as messages are gone through one by one.
const DENSE: u64 = 10_000;

/// Messages between two numbers of the stream, both included.
#[derive(Debug)]
pub(crate) struct Backlog {
    next: u64,
    last: u64,
    read: VecDeque<Message>,
    at_once: usize,
    /// The size of the biggest message yet.
    biggest: usize,
}

impl Backlog {
    pub(crate) fn new(first: u64, last: u64) -> Self {
        Self { next: first, last, read: VecDeque::new(), at_once: AT_FIRST, biggest: 1 }
    }

    /// The next message; none at the end.
    pub(crate) async fn next(&mut self, session: &Session, config: &NatsConfig, filters: &[String]) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.read.pop_front() {
                return Ok(Some(message));
            }
            if self.next > self.last {
                return Ok(None);
            }
            match filters {
                [filter] if self.last - self.next > DENSE => self.search(session, config, filter).await?,
                filters => self.read_on(session, config, filters).await?,
            }
        }
    }

    /// Reads the messages of the next numbers.
    async fn read_on(&mut self, session: &Session, config: &NatsConfig, filters: &[String]) -> Result<()> {
        let end = self.last.min(self.next.saturating_add(self.at_once as u64 - 1));
        let numbers = self.next..=end;
        let read = stream::iter(numbers.map(|sequence| get(session, config, sequence))).buffered(AT_ONCE);
        let read: Vec<Option<Message>> = read.try_collect().await?;
        self.biggest = read.iter().flatten().map(Message::size).fold(self.biggest, usize::max);
        self.at_once = (BYTES / self.biggest).min(self.at_once * 2).clamp(1, AT_ONCE);
        self.read.extend(read.into_iter().flatten().filter(|message| is_wanted(filters, &message.subject)));
        self.next = end.saturating_add(1);
        Ok(())
    }

    /// Lets the server look for the next message of a subject: there are many of others.
    async fn search(&mut self, session: &Session, config: &NatsConfig, filter: &str) -> Result<()> {
        let stream = session.jetstream.get_stream_no_info(&config.stream).await;
        let stream = stream.map_err(|error| session.silence(error, WHAT, config))?;
        match found(stream.get_first_raw_message_by_subject(filter, self.next).await, session, config)? {
            Some(message) if message.sequence <= self.last => {
                self.next = message.sequence.saturating_add(1);
                self.read.push_back(message);
            }
            _ => self.next = self.last.saturating_add(1),
        }
        Ok(())
    }
}

const WHAT: &str = "cannot read a message of the stream";

/// The message of a number, where the stream still has it.
pub(crate) async fn get(session: &Session, config: &NatsConfig, sequence: u64) -> Result<Option<Message>> {
    let stream = session.jetstream.get_stream_no_info(&config.stream).await;
    let stream = stream.map_err(|error| session.silence(error, WHAT, config))?;
    found(stream.get_raw_message(sequence).await, session, config)
}

fn found(
    read: std::result::Result<StreamMessage, async_nats::jetstream::stream::RawMessageError>,
    session: &Session,
    config: &NatsConfig,
) -> Result<Option<Message>> {
    match read {
        Ok(message) => Ok(Some(Message {
            sequence: message.sequence,
            time: message.time.unix_timestamp_nanos(),
            reply: acknowledgement(config, message.sequence),
            headers: Some(message.headers).filter(|headers| !headers.is_empty()),
            subject: message.subject,
            body: message.payload,
            delivered: 0,
        })),
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(None),
            RawMessageErrorKind::JetStream(answer) if answer.code() == 404 => Ok(None),
            RawMessageErrorKind::JetStream(answer) => Err(answered(&answer, WHAT, config)),
            _ => Err(session.silence(error, WHAT, config)),
        },
    }
}

/// Where a message is acknowledged that did not come with this address. The server goes by the message's number; what follows is
/// for those who receive it.
pub(crate) fn acknowledgement(config: &NatsConfig, sequence: u64) -> Subject {
    format!("$JS.ACK.{}.{}.1.{sequence}.1.0.0", config.stream, config.consumer).into()
}
