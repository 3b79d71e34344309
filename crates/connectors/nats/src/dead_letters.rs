//! Messages that are rejected, handed to the configured subject with the reason.

use async_nats::{HeaderMap, HeaderValue};
use tidelock_connector_api::{Error, Result};

use crate::client::Session;
use crate::config::NatsConfig;
use crate::message::Message;
use crate::subject;

/// The most characters of a reason that go into a header.
const MAX_REASON: usize = 1000;

/// Publishes a dead letter; returns once a stream has stored it.
pub(crate) async fn publish(session: &Session, config: &NatsConfig, target: &str, message: &Message, reason: &str) -> Result<()> {
    let what = "cannot put a dead letter aside";
    let headers = headers(config, message, reason);
    let publishing = session.jetstream.publish_with_headers(target.to_owned(), headers, message.body.clone());
    let confirmation = publishing.await.map_err(|error| session.silence(error, what, config))?;
    match confirmation.await {
        Ok(_) => Ok(()),
        Err(error) => Err(session.silence(error, what, config)),
    }
}

/// Holds that the subject of dead letters is one that a stream stores, and none that they come back from.
pub(crate) async fn check(session: &Session, config: &NatsConfig, target: &str, filters: &[String]) -> Result<()> {
    let found = session.jetstream.stream_by_subject(target).await;
    let stream = found.map_err(|error| match error.kind() {
        async_nats::jetstream::context::GetStreamByNameErrorKind::NotFound => {
            let message = format!("no stream stores the subject '{target}' of dead letters: make one that does");
            Error::config(message)
        }
        _ => session.silence(error, "cannot look for the stream of dead letters", config),
    })?;
    if stream == config.stream && subject::is_wanted(filters, target) {
        let message = format!("dead letters would come back: the subject '{target}' is among those that are listened to");
        return Err(Error::config(message));
    }
    Ok(())
}

fn headers(config: &NatsConfig, message: &Message, reason: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
        // Those of the server's own are instructions to it, or would be wrong here.
        let name: &str = name.as_ref();
        if !name.to_ascii_lowercase().starts_with("nats-") {
            values.iter().for_each(|value| headers.append(name, value.clone()));
        }
    }
    let line = |text: &str| -> String { text.chars().take(MAX_REASON).map(|c| if c.is_control() { ' ' } else { c }).collect() };
    let mut note = |name: &str, text: String| headers.insert(name, HeaderValue::from(text));
    note("Tidelock-Reason", line(reason));
    note("Tidelock-Stream", line(&config.stream));
    note("Tidelock-Subject", line(&message.subject));
    note("Tidelock-Sequence", message.sequence.to_string());
    // Where the same message is rejected again shortly after, it is stored once.
    note("Nats-Msg-Id", format!("tidelock-dead-{}", line(&message.identity(&config.stream).0)));
    headers
}
