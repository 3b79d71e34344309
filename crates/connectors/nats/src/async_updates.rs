//! Changes as they arrive: a listener that goes through the stream in its order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tidelock_connector_api::{AsyncUpdates, BoxStream, Delivery, Error, Listening, ListeningStatus, OnFailure, Result, Token};
use tidelock_messages::Decoder;

use crate::acknowledgements::{Desk, Settle, repeat};
use crate::attach::{self, Attached, attach, check_kept, discards, floor};
use crate::backlog::{Backlog, acknowledgement};
use crate::client::Session;
use crate::config::NatsConfig;
use crate::connector::Nats;
use crate::dead_letters;
use crate::error::is_passing;
use crate::message::Message;
use crate::position::Position;
use crate::pull::Pull;

/// The most acknowledgements that are repeated after a break.
const MOST_REPEATED: u64 = 50_000;
/// How long is waited at most between two tries to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl AsyncUpdates for Nats {
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        self.deliveries_after(None)
    }

    /// Without a token, the deliveries begin after the message up to which the durable consumer has everything acknowledged.
    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        let begin = async move { Listener::new(self, token) };
        stream::once(begin)
            .flat_map(|begun| match begun {
                Ok(listener) => stream::unfold(Some(listener), |listener| async move {
                    let mut listener = listener?;
                    match listener.next().await {
                        Ok(delivery) => Some((Ok(delivery), Some(listener))),
                        Err(error) => {
                            listener.status.set(Listening::Down);
                            Some((Err(error), None))
                        }
                    }
                })
                .boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    fn status(&self) -> Listening {
        self.status.get()
    }
}

/// One that goes through the stream. It gives messages in the order of their numbers, each once.
struct Listener {
    config: Arc<NatsConfig>,
    decoder: Decoder,
    status: Arc<ListeningStatus>,
    desk: Arc<Desk>,
    /// The last message that was given, or the one after which it begins; none until the stream has been looked at.
    position: Option<Position>,
    line: Option<Line>,
    /// Since when there is no connection, and how often one was tried since.
    broken: Option<(Instant, u32)>,
}

/// The connection to a stream, and what comes over it.
struct Line {
    attached: Attached,
    broken: BoxFuture<'static, ()>,
    messages: Pull,
    /// The consumer's count of its deliveries: a gap in it says that some were lost on the way.
    delivered: u64,
    /// What is to be read from the stream before anything else.
    backlog: Option<Backlog>,
    /// A message that came, and has to wait for that.
    waiting: Option<Message>,
}

impl Listener {
    fn new(nats: &Nats, token: Option<Token>) -> Result<Self> {
        nats.status.set(Listening::Reconnecting);
        let position = token.as_ref().map(Position::of_token).transpose().inspect_err(|_| nats.status.set(Listening::Down))?;
        Ok(Self {
            config: Arc::clone(&nats.config),
            decoder: nats.decoder.clone(),
            status: Arc::clone(&nats.status),
            desk: Desk::new(Arc::clone(&nats.config)),
            position,
            line: None,
            broken: None,
        })
    }

    /// The next delivery. A connection that breaks is made again; one that cannot be made to begin with is an error.
    async fn next(&mut self) -> Result<Delivery> {
        let mut began = self.line.is_some() || self.broken.is_some();
        loop {
            let error = match self.step().await {
                Ok(Some(message)) => match self.check_gap(&message).await {
                    Ok(()) => return Ok(self.give(message)),
                    Err(error) => error,
                },
                Ok(None) => {
                    began = true;
                    continue;
                }
                Err(error) => error,
            };
            let (since, tries) = self.broken.unwrap_or((Instant::now(), 0));
            self.line = None;
            self.desk.attach(None);
            if !is_passing(&error) || !began || since.elapsed() >= self.config.reconnect_timeout {
                return Err(error);
            }
            tracing::warn!(error = error.full_message(), tries, "the connection to the stream is lost");
            self.status.set(Listening::Reconnecting);
            self.broken = Some((since, tries.saturating_add(1)));
            tokio::time::sleep(backoff(tries)).await;
        }
    }

    /// The next message; none where there was something else to do.
    async fn step(&mut self) -> Result<Option<Message>> {
        let Some(line) = &mut self.line else {
            self.connect().await?;
            return Ok(None);
        };
        if let Some(backlog) = &mut line.backlog {
            let read = backlog.next(&line.attached.session, &self.config, &line.attached.filters);
            let Some(message) = read.await? else {
                line.backlog = None;
                return Ok(None);
            };
            return Ok(Some(message));
        }
        if let Some(message) = line.waiting.take() {
            return Ok(Some(message));
        }
        let arrived = tokio::select! {
            biased;
            () = &mut line.broken => return Err(Error::unreachable("the connection broke")),
            arrived = line.messages.next(&line.attached.session, &self.config) => arrived?,
        };
        self.arrived(arrived).await
    }

    /// Makes a connection, and finds out what is to be caught up with.
    async fn connect(&mut self) -> Result<()> {
        let config = &self.config;
        let session = Arc::new(Session::open(config).await?);
        let attached = attach(Arc::clone(&session), config, self.position.as_ref()).await?;
        if let (Some(target), None) = (&config.dead_letters, self.broken) {
            dead_letters::check(&session, config, target, &attached.filters).await?;
        }
        let info = &attached.consumer;
        let (last, delivered, pending) = (info.delivered.stream_sequence, info.delivered.consumer_sequence, info.num_ack_pending);
        let floor = match &self.position {
            // Where we are counts; the rest is to know what the server may not know.
            Some(position) => info.ack_floor.stream_sequence.min(position.sequence),
            // What the stream does not have any longer is not what this one begins with.
            None => floor(config, info)?.max(attached.stream.state.first_sequence.saturating_sub(1)),
        };
        let position = self.position.get_or_insert_with(|| Position {
            stream: config.stream.clone(),
            created: attached.stream.created.unix_timestamp_nanos(),
            sequence: floor,
            time: 0,
            delivered: 0,
        });
        // What we know to be done with, the server is to know as well: where it does not, it holds others back.
        let done = position.sequence;
        for sequence in floor.max(done.saturating_sub(MOST_REPEATED)).saturating_add(1)..=done {
            if pending > 0 && !self.desk.is_open(sequence) {
                repeat(&session.client, acknowledgement(config, sequence)).await;
            }
        }
        let messages = Pull::new(&attached, config);
        let first = done.saturating_add(1).max(attached.stream.state.first_sequence);
        let backlog = (last >= first).then(|| Backlog::new(first, last));
        self.desk.attach(Some(Arc::clone(&session)));
        let broken = session.broken().boxed();
        self.line = Some(Line { attached, broken, messages, delivered, backlog, waiting: None });
        self.broken = None;
        self.status.set(Listening::Alive);
        Ok(())
    }

    /// A message came over the line. Gives it, if it is its turn.
    async fn arrived(&mut self, message: async_nats::Message) -> Result<Option<Message>> {
        let (Some(line), Some(position)) = (&mut self.line, &mut self.position) else { return Ok(None) };
        let message = jetstream::Message { message, context: line.attached.session.jetstream.clone() };
        let info = match message.info() {
            Ok(info) => info,
            Err(_) => return Err(Error::unreachable("the server sent something that is no message of a stream")),
        };
        let (sequence, delivered) = (info.stream_sequence, info.consumer_sequence);
        let time = info.published.unix_timestamp_nanos();
        let gap = delivered != line.delivered.saturating_add(1);
        line.delivered = delivered;
        let Some(reply) = message.reply.clone() else { return Ok(None) };
        if sequence <= position.sequence {
            if delivered == position.delivered.saturating_add(1) {
                position.delivered = delivered;
            }
            // It was given before, or a server that was killed has forgotten that it was. If it is done with, the server is to know.
            if !self.desk.is_open(sequence) {
                repeat(&line.attached.session.client, reply).await;
            }
            return Ok(None);
        }
        let message = message.message;
        let (subject, headers, body) = (message.subject, message.headers, message.payload);
        let message = Message { sequence, time, subject, headers, body, delivered, reply };
        if gap && sequence - position.sequence > 1 {
            line.backlog = Some(Backlog::new(position.sequence + 1, sequence - 1));
            line.waiting = Some(message);
            return Ok(None);
        }
        Ok(Some(message))
    }

    /// Holds that a message is the next one that there was. What is missing before it was removed alone, which is somebody's
    /// decision; it was not discarded by the stream before it was taken.
    async fn check_gap(&mut self, message: &Message) -> Result<()> {
        let (Some(line), Some(position)) = (&self.line, &self.position) else { return Ok(()) };
        let Attached { session, stream, filters, .. } = &line.attached;
        // Where only some subjects are wanted, numbers are missing as a rule.
        if message.sequence <= position.sequence.saturating_add(1) || !filters.is_empty() || !discards(&stream.config) {
            return Ok(());
        }
        let now = attach::stream(session, &self.config).await?;
        check_kept(&now, None, &self.config, position)?;
        tracing::warn!(after = position.sequence, before = message.sequence, "somebody has removed messages from the stream");
        Ok(())
    }

    /// Makes a delivery of a message whose turn it is.
    fn give(&mut self, message: Message) -> Delivery {
        let config = &self.config;
        self.desk.give(message.sequence);
        let id = message.identity(&config.stream);
        let changes = message.changes(&self.decoder);
        if let Some(position) = &mut self.position {
            (position.sequence, position.time, position.delivered) = (message.sequence, message.time, message.delivered);
        }
        let size = message.size();
        let delivery = Delivery::new(Some(id), changes, Box::new(Settle::new(&self.desk, message))).with_size(size);
        match &self.position {
            Some(position) => delivery.with_token(position.token()),
            None => delivery,
        }
    }
}

/// How long to wait after so many tries: twice as long each time, and not quite, so that many listeners do not all come at once.
fn backoff(tries: u32) -> Duration {
    let full = Duration::from_millis(100 << tries.min(10)).min(LONGEST_WAIT);
    // The clock's small digits are as good as chance.
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    full.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit() {
        for (tries, longest) in [(0, 100), (1, 200), (4, 1600), (6, 6400), (7, 10_000), (u32::MAX, 10_000)] {
            let longest = Duration::from_millis(longest);
            let wait = backoff(tries);
            assert!(wait <= longest && wait >= longest / 2, "{tries}: {wait:?}");
        }
    }
}
