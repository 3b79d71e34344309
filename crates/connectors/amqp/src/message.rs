//! What a message of the broker is to us: its identity, and the changes it brings.

use std::fmt::Write as _;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};
use tidelock_connector_api::{Change, Error, MessageId, Result};
use tidelock_messages::Decoder;

use crate::config::{AmqpConfig, Identity};

/// The identity of a message: `vhost/queue/message-id`, or `vhost/queue/app-id/message-id`; none where it has no `message-id`.
///
/// What a queue of another name brings is another message, even if its publisher counts from one again.
pub(crate) fn identity(config: &AmqpConfig, properties: &BasicProperties) -> Option<MessageId> {
    if config.identity == Identity::None {
        return None;
    }
    let given = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string).filter(|text| !text.is_empty());
    let id = given(properties.message_id())?;
    let mut parts = vec![config.virtual_host.clone(), config.queue.clone()];
    parts.extend(given(properties.app_id()));
    parts.push(id);
    let escaped: Vec<String> = parts.iter().map(|part| escape(part)).collect();
    Some(MessageId(escaped.join("/").into()))
}

/// The changes that a message brings.
pub(crate) fn changes(decoder: &Decoder, properties: &BasicProperties, body: &[u8]) -> Result<Vec<Change>> {
    let encoding = properties.content_encoding().as_ref().map_or("", ShortString::as_str);
    if !["", "identity", "utf-8", "utf8", "binary"].iter().any(|known| known.eq_ignore_ascii_case(encoding)) {
        return Err(Error::invalid_data("the message has a content encoding, such as a compression, that is not supported"));
    }
    decoder.changes(body, properties.content_type().as_ref().map(ShortString::as_str))
}

/// How often a message was delivered before, as quorum queues count.
pub(crate) fn deliveries_before(properties: &BasicProperties) -> Option<u64> {
    match properties.headers().as_ref()?.inner().get("x-delivery-count")? {
        AMQPValue::LongLongInt(count) => u64::try_from(*count).ok(),
        AMQPValue::LongInt(count) => u64::try_from(*count).ok(),
        AMQPValue::LongUInt(count) => Some((*count).into()),
        AMQPValue::ShortInt(count) => u64::try_from(*count).ok(),
        AMQPValue::ShortUInt(count) => Some((*count).into()),
        _ => None,
    }
}

/// A part of an identity, so that parts can be told apart, and it can be shown.
fn escape(part: &str) -> String {
    let mut escaped = String::with_capacity(part.len());
    for c in part.chars() {
        if c == '/' || c == '%' || c.is_control() {
            // Control characters beyond these are rare, and told apart by their number.
            let _ = write!(escaped, "%{:02X}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lapin::types::FieldTable;

    use super::*;

    #[test]
    fn a_quorum_queue_says_how_often_a_message_was_delivered() {
        let counted = |value: AMQPValue| {
            let mut headers = FieldTable::default();
            headers.insert("x-delivery-count".into(), value);
            deliveries_before(&BasicProperties::default().with_headers(headers))
        };
        assert_eq!(deliveries_before(&BasicProperties::default()), None);
        assert_eq!(counted(AMQPValue::LongLongInt(12)), Some(12));
        assert_eq!(counted(AMQPValue::LongUInt(3)), Some(3));
        assert_eq!(counted(AMQPValue::LongLongInt(-1)), None);
        assert_eq!(counted(AMQPValue::Boolean(true)), None);
    }

    fn identified(properties: BasicProperties) -> Option<String> {
        let config = AmqpConfig::new("localhost", 5672, "hr/changes");
        identity(&config, &properties).map(|id| id.0.into())
    }

    #[test]
    fn a_message_is_identified_by_its_queue_application_and_id() {
        let properties = BasicProperties::default();
        assert_eq!(identified(properties.clone()), None);
        assert_eq!(identified(properties.clone().with_message_id("".into())), None);
        assert_eq!(identified(properties.clone().with_message_id("17".into())).unwrap(), "%2F/hr%2Fchanges/17");
        let both = properties.with_message_id("1/7\n".into()).with_app_id("payroll".into());
        assert_eq!(identified(both).unwrap(), "%2F/hr%2Fchanges/payroll/1%2F7%0A");
    }
}
