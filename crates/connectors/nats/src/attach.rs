//! Coming to a stream: that it is the one we know, where we are in it, and its durable consumer.

use std::sync::Arc;

use async_nats::jetstream::consumer::pull::Config as PullConfig;
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream::{self, ConsumerErrorKind, RetentionPolicy};
use tidelock_connector_api::{Error, Result};

use crate::client::{Answer, Session};
use crate::config::{Begin, NatsConfig};
use crate::error::answered;
use crate::position::{Position, expired};

/// The most messages that may be unacknowledged at a time. The engine recognizes more than that when they come again.
const MOST_PENDING: i64 = 50_000;

/// A stream and its consumer, as they were when we came.
pub(crate) struct Attached {
    pub(crate) session: Arc<Session>,
    pub(crate) stream: stream::Info,
    pub(crate) consumer: consumer::Info,
    /// The subjects that are wanted; all, where there is none.
    pub(crate) filters: Vec<String>,
}

/// Looks at the stream.
pub(crate) async fn stream(session: &Session, config: &NatsConfig) -> Result<stream::Info> {
    let subject = format!("STREAM.INFO.{}", config.stream);
    session.ask(subject, "cannot listen", config).await?.given()
}

/// Looks at the consumer, where there is one.
pub(crate) async fn consumer(session: &Session, config: &NatsConfig) -> Result<Answer<consumer::Info>> {
    let subject = format!("CONSUMER.INFO.{}.{}", config.stream, config.consumer);
    session.ask(subject, "cannot listen", config).await
}

/// Looks at stream and consumer; makes the consumer where there is none and `position` says where it should begin, or nothing has
/// come of it yet.
pub(crate) async fn attach(session: Arc<Session>, config: &NatsConfig, position: Option<&Position>) -> Result<Attached> {
    let stream = stream(&session, config).await?;
    if let Some(position) = position {
        check_position(&session, config, &stream, position).await?;
    }
    let known = match consumer(&session, config).await? {
        Answer::Given(info) => Some(info),
        Answer::Missing(_) => None,
    };
    if let Some(position) = position {
        check_kept(&stream, known.as_ref(), config, position)?;
    }
    let consumer = match known {
        Some(info) => info,
        None => make(&session, config, &stream, position).await?,
    };
    let filters = filters(&consumer.config);
    check_consumer(config, &consumer.config, &filters)?;
    Ok(Attached { session, stream, consumer, filters })
}

/// Holds that the stream still has what comes after a position, or that it was none of ours.
pub(crate) fn check_kept(
    stream: &stream::Info,
    consumer: Option<&consumer::Info>,
    config: &NatsConfig,
    position: &Position,
) -> Result<()> {
    let first = stream.state.first_sequence;
    if !discards(&stream.config) || first <= position.sequence.saturating_add(1) {
        return Ok(());
    }
    if let Some(info) = consumer
        && !(filters(&info.config).is_empty() && config.filters.is_empty())
    {
        // What was discarded may be of other subjects. Where nothing was delivered since, nothing of ours is among what the
        // consumer has gone through.
        let delivered = &info.delivered;
        if position.delivered == delivered.consumer_sequence && first <= delivered.stream_sequence.saturating_add(1) {
            return Ok(());
        }
    }
    Err(expired(
        "the stream has discarded messages before they were taken, because of its limits, or somebody has purged it: changes are missing",
    ))
}

/// Whether a stream discards messages that nobody has taken. One that keeps the last messages of each subject drops the ones before by
/// intention.
pub(crate) fn discards(stream: &stream::Config) -> bool {
    stream.retention == RetentionPolicy::Limits && stream.max_messages_per_subject <= 0
}

/// Holds that the stream is the one that a position is of, with the same messages up to there.
async fn check_position(session: &Session, config: &NatsConfig, stream: &stream::Info, position: &Position) -> Result<()> {
    if position.stream != config.stream {
        return Err(expired("it is one of another stream"));
    }
    if stream.created.unix_timestamp_nanos() != position.created {
        return Err(expired("the stream was deleted, and made anew"));
    }
    if position.sequence == 0 {
        return Ok(());
    }
    if stream.state.last_sequence < position.sequence {
        return Err(expired("the stream has fewer messages than were received of it: it was restored from an older state"));
    }
    // One that the stream does not have any longer tells nothing.
    match crate::backlog::get(session, config, position.sequence).await? {
        Some(message) if position.time != 0 && message.time != position.time => {
            Err(expired("the stream has another message there: it was restored from an older state"))
        }
        _ => Ok(()),
    }
}

/// The number up to which a consumer has everything acknowledged.
///
/// # Errors
/// Where nothing is acknowledged, and where it began is not known.
pub(crate) fn floor(config: &NatsConfig, info: &consumer::Info) -> Result<u64> {
    if info.num_ack_pending == 0 {
        return Ok(info.delivered.stream_sequence);
    }
    if info.ack_floor.consumer_sequence > 0 {
        return Ok(info.ack_floor.stream_sequence);
    }
    // It has a floor of its own only from the first acknowledgement on.
    match info.config.deliver_policy {
        DeliverPolicy::All => Ok(0),
        DeliverPolicy::ByStartSequence { start_sequence } => Ok(start_sequence.saturating_sub(1)),
        _ => {
            let problem = "nothing of it was ever acknowledged, and where it began is not known: delete it, and it is made anew";
            Err(refused(config, problem))
        }
    }
}

pub(crate) fn filters(config: &consumer::Config) -> Vec<String> {
    let one = Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty());
    one.into_iter().chain(config.filter_subjects.iter().cloned()).collect()
}

/// Holds that a consumer that others have made is one that we can use.
pub(crate) fn check_consumer(config: &NatsConfig, found: &consumer::Config, filters: &[String]) -> Result<()> {
    let sorted = |filters: &[String]| {
        let mut filters = filters.to_vec();
        filters.sort();
        filters
    };
    let problem = if found.deliver_subject.is_some() {
        "it is one that pushes messages"
    } else if found.ack_policy != AckPolicy::Explicit {
        "it does not want each message acknowledged (ack policy 'explicit')"
    } else if found.max_deliver > 0 {
        "it gives up messages after some deliveries: let its 'max deliver' be -1"
    } else if found.headers_only {
        "it gives headers without bodies"
    } else if found.max_ack_pending < 1 || found.max_ack_pending > MOST_PENDING {
        "too many messages may be unacknowledged at a time: let its 'max ack pending' be at most 50000"
    } else if !config.filters.is_empty() && sorted(&config.filters) != sorted(filters) {
        "it has other filter subjects than 'filterSubject' says"
    } else {
        return Ok(());
    };
    Err(refused(config, problem))
}

fn refused(config: &NatsConfig, problem: &str) -> Error {
    let NatsConfig { stream, consumer, .. } = config;
    Error::config(format!("the consumer '{consumer}' of the stream '{stream}' cannot be used: {problem}"))
}

async fn make(
    session: &Session,
    config: &NatsConfig,
    stream: &stream::Info,
    position: Option<&Position>,
) -> Result<consumer::Info> {
    let what = "cannot make the consumer";
    let deliver_policy = match (position, config.begin) {
        // A stream of this kind has no other beginning: what was acknowledged is gone from it.
        _ if stream.config.retention == RetentionPolicy::WorkQueue => DeliverPolicy::All,
        (Some(position), _) => DeliverPolicy::ByStartSequence { start_sequence: position.sequence.saturating_add(1) },
        (None, Begin::All) => DeliverPolicy::All,
        // Not `New`: with a number, it stays known where it began.
        (None, Begin::New) => DeliverPolicy::ByStartSequence { start_sequence: stream.state.last_sequence.saturating_add(1) },
    };
    let (filter_subject, filter_subjects) = match config.filters.as_slice() {
        [one] => (one.clone(), Vec::new()),
        several => (String::new(), several.to_vec()),
    };
    let wanted = PullConfig {
        durable_name: Some(config.consumer.clone()),
        description: Some("where Tidelock is in the stream".to_owned()),
        deliver_policy,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.ack_wait,
        max_deliver: -1,
        filter_subject,
        filter_subjects,
        replay_policy: ReplayPolicy::Instant,
        max_ack_pending: config.prefetch.into(),
        ..PullConfig::default()
    };
    let made = session.jetstream.create_consumer_on_stream(wanted, config.stream.clone()).await;
    match made {
        Ok(consumer) => Ok(consumer.cached_info().clone()),
        Err(error) => Err(match error.kind() {
            ConsumerErrorKind::JetStream(answer) => answered(&answer, what, config),
            ConsumerErrorKind::InvalidName => Error::config(format!("{what}: its name is none")).with_source(error),
            _ => session.silence(error, what, config),
        }),
    }
}
