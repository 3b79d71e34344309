//! Asking the server for the messages of a consumer: so many at a time, and so many bytes, whatever is waiting there.

use std::time::Duration;

use async_nats::{Client, StatusCode, Subscriber};
use futures::StreamExt;
use tidelock_connector_api::{Error, Result};
use tokio::time::timeout;

use crate::attach::Attached;
use crate::client::Session;
use crate::config::NatsConfig;

/// How long a request for messages stays with the server.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server gives a sign of life while there are no messages.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The most messages that are asked for at a time.
const BATCH: i64 = 1000;
/// The most bytes that are asked for at a time. A message that is bigger comes alone.
const BYTES: i64 = 4 << 20;

/// Messages of a consumer, in the order in which it gives them.
///
/// There is one request at a time, each with an address of its own. So what the server says of a request is never taken for one of
/// another, and there are never more bytes on the way than one request asks for.
pub(crate) struct Pull {
    client: Client,
    /// Where messages are asked for.
    subject: String,
    limits: Limits,
    request: Option<Request>,
    /// Whether the next message is too big for a request that is limited in bytes.
    big: bool,
}

/// What a request may ask for.
#[derive(Clone, Copy)]
struct Limits {
    messages: usize,
    bytes: usize,
    expires: Duration,
}

/// A request that the server answers.
struct Request {
    answers: Subscriber,
    /// How many messages are still to come.
    messages: usize,
    /// How many bytes are; the server ends a request that has come to its last one without a word.
    bytes: Option<usize>,
    /// Whether any came.
    answered: bool,
}

/// What an answer means that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    /// The server is there.
    Alive,
    /// The request is at its end; there is to be another one.
    Over,
    /// So it is, as the next message has more bytes than are left of it.
    TooBig,
    /// The consumer is gone.
    Deleted,
    /// The server will not give the consumer's messages, now or ever.
    Refused,
    /// The server does not give messages at the moment.
    Unavailable,
}

impl Pull {
    pub(crate) fn new(attached: &Attached, config: &NatsConfig) -> Self {
        let found = &attached.consumer.config;
        // Consumers that others have made may limit what is asked for; 0 is no limit, and so is less.
        let most = |wanted: i64, limit: i64| usize::try_from(if limit > 0 { wanted.min(limit) } else { wanted }).unwrap_or(1);
        let limits = Limits {
            messages: most(most(BATCH, found.max_ack_pending) as i64, found.max_batch),
            bytes: most(BYTES, found.max_bytes),
            expires: if found.max_expires.is_zero() { EXPIRES } else { EXPIRES.min(found.max_expires) },
        };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", config.stream, config.consumer);
        Self { client: attached.session.client.clone(), subject, limits, request: None, big: false }
    }

    /// The next message.
    ///
    /// # Errors
    /// `Config` where it is of no use to try again.
    ///
    /// # Cancellation
    /// What was on the way may be lost: the consumer's count of deliveries tells.
    pub(crate) async fn next(&mut self, session: &Session, config: &NatsConfig) -> Result<async_nats::Message> {
        loop {
            if self.request.is_none() {
                self.request = Some(self.ask().await.map_err(|error| Error::unreachable(WHAT).with_source(error))?);
            }
            let Some(request) = &mut self.request else { continue };
            let answer = timeout(HEARTBEAT * 2, request.answers.next()).await;
            let answer = answer.map_err(|silent| session.silence(silent, WHAT, config))?;
            let Some(message) = answer else {
                return Err(Error::unreachable("the server gives no messages any longer"));
            };
            let text = message.description.as_deref().unwrap_or_default();
            match message.status.filter(|status| *status != StatusCode::OK).map(|status| notice(status, text)) {
                None => {
                    request.answered = true;
                    request.messages = request.messages.saturating_sub(1);
                    request.bytes = request.bytes.map(|left| left.saturating_sub(message.length));
                    if request.messages == 0 || request.bytes == Some(0) {
                        (self.request, self.big) = (None, false);
                    }
                    return Ok(message);
                }
                Some(Notice::Alive) => {}
                Some(Notice::Over) => self.request = None,
                Some(Notice::TooBig) => {
                    self.big = !request.answered;
                    self.request = None;
                }
                Some(Notice::Deleted) => {
                    let NatsConfig { stream, consumer, .. } = config;
                    let message =
                        format!("the consumer '{consumer}' was deleted while it was listened to, or its stream '{stream}' was");
                    return Err(Error::config(message));
                }
                Some(Notice::Refused) => {
                    return Err(Error::config(format!("the server does not give the messages of the consumer: {text}")));
                }
                Some(Notice::Unavailable) => {
                    let why = if text.is_empty() { "there is nobody who gives them" } else { text };
                    return Err(Error::unreachable(format!("{WHAT}: {why}")));
                }
            }
        }
    }

    async fn ask(&self) -> std::result::Result<Request, async_nats::Error> {
        let Limits { messages, bytes, expires } = self.limits;
        let (messages, bytes) = if self.big { (1, None) } else { (messages, Some(bytes)) };
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await?;
        let heartbeat = HEARTBEAT.min(expires / 2);
        // No limit is 0.
        let wanted = format!(
            r#"{{"batch":{messages},"max_bytes":{},"expires":{},"idle_heartbeat":{}}}"#,
            bytes.unwrap_or(0),
            expires.as_nanos(),
            heartbeat.as_nanos()
        );
        self.client.publish_with_reply(self.subject.clone(), inbox, wanted.into()).await?;
        Ok(Request { answers, messages, bytes, answered: false })
    }
}

const WHAT: &str = "no messages can be had";

/// What an answer without a message means. The server's codes are few, so that its texts must be looked at, too.
fn notice(status: StatusCode, text: &str) -> Notice {
    match status {
        StatusCode::IDLE_HEARTBEAT => Notice::Alive,
        // That there is no message, or none came for as long as the request was to stay.
        StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Notice::Over,
        StatusCode::REQUEST_TERMINATED if text.starts_with("Message Size Exceeds") => Notice::TooBig,
        StatusCode::REQUEST_TERMINATED if text == "Batch Completed" => Notice::Over,
        StatusCode::REQUEST_TERMINATED if text == "Consumer Deleted" => Notice::Deleted,
        StatusCode::REQUEST_TERMINATED if text == "Consumer is push based" || text.starts_with("Exceeded MaxRequest") => {
            Notice::Refused
        }
        // "Exceeded MaxWaiting", or that the consumer moves to another server of the cluster.
        StatusCode::REQUEST_TERMINATED | StatusCode::NO_RESPONDERS => Notice::Unavailable,
        // That the request is one that it does not understand, or whatever later servers say.
        _ if status.as_u16() == 400 => Notice::Refused,
        _ => Notice::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_texts_say_whether_to_ask_again() {
        for (status, text, expected) in [
            (100, "Idle Heartbeat", Notice::Alive),
            (404, "No Messages", Notice::Over),
            (408, "Request Timeout", Notice::Over),
            (409, "Batch Completed", Notice::Over),
            (409, "Message Size Exceeds MaxBytes", Notice::TooBig),
            (409, "Consumer Deleted", Notice::Deleted),
            (409, "Exceeded MaxRequestBatch of 10", Notice::Refused),
            (400, "Bad Request", Notice::Refused),
            (409, "Exceeded MaxWaiting", Notice::Unavailable),
            (409, "Leadership Change", Notice::Unavailable),
            (503, "", Notice::Unavailable),
        ] {
            let status = StatusCode::from_u16(status);
            assert_eq!(status.ok().map(|status| notice(status, text)), Some(expected), "{text}");
        }
    }
}
