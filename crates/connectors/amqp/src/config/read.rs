//! The items of an `amqp091` source, read.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tidelock_messages::{Secret, Settings, Text};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics};

use super::uri::{self, MAX_NAME, Uri};
use super::{AmqpConfig, DeadLetterTarget, Identity, Trust};

/// Reads the element of a source. The configuration is there unless an essential item is missing; it may be used only where
/// nothing that was found is an error.
pub(super) fn read(node: &Node, base: &Path) -> (Option<AmqpConfig>, Diagnostics) {
    let mut settings = Settings::new("the AMQP source", node, base);
    let address = address(&mut settings);
    let queue = settings.required("queue", "name the queue that messages come from");
    check_name(&mut settings, "queue", queue);
    let (host, port) = address.as_ref().map_or(("", 0), |(uri, _)| (uri.host.as_str(), uri.port));
    let mut config = AmqpConfig::new(host, port, queue.map_or("", |queue| queue.text));
    if let Some((uri, _)) = &address {
        config.virtual_host = uri.virtual_host.clone().unwrap_or(config.virtual_host);
        config.heartbeat = uri.heartbeat.unwrap_or(config.heartbeat);
        config.connect_timeout = uri.connect_timeout.unwrap_or(config.connect_timeout);
    }
    let virtual_host = settings.text("virtualHost");
    check_name(&mut settings, "virtualHost", virtual_host);
    if let Some(virtual_host) = virtual_host {
        config.virtual_host = virtual_host.text.to_owned();
    }
    credentials(&mut settings, address.as_ref(), &mut config);
    encryption(&mut settings, address.as_ref(), &mut config);
    config.prefetch = settings.number("prefetch", config.prefetch.into(), 1..=65535) as u16;
    config.exclusive = settings.flag("exclusiveConsumer", config.exclusive);
    let identities = [("messageId", Identity::MessageId), ("none", Identity::None)];
    config.identity = settings.choice("messageIdentity", config.identity, &identities);
    dead_letters(&mut settings, &mut config);
    let seconds = config.heartbeat.as_secs();
    config.heartbeat = Duration::from_secs(settings.number("heartbeat", seconds, 1..=3600));
    config.connect_timeout = settings.duration("connectTimeout", config.connect_timeout);
    config.reconnect_timeout = settings.duration("reconnectTimeout", config.reconnect_timeout);
    // One connection needs no threads to choose from.
    settings.not_supported(&["connectionHandlingThreads", "className"]);
    let complete = address.is_some() && queue.is_some();
    (complete.then_some(config), settings.finish())
}

fn address<'n>(settings: &mut Settings<'n>) -> Option<(Uri, Text<'n>)> {
    const HELP: &str = "write it as in amqps://broker.example.org, or amqp://localhost:5672";
    let text = settings.required("uri", HELP)?;
    match uri::parse(text.text) {
        Ok(uri) => {
            for name in &uri.ignored {
                let message = format!("the parameter '{name}' of 'uri' has no effect");
                settings.report(Diagnostic::warning("not-supported", text.place, message).with_help("remove it"));
            }
            Some((uri, text))
        }
        Err(reason) => {
            settings.bad(text.place, format!("the value of 'uri' is no address of a broker: {reason}"), HELP);
            None
        }
    }
}

fn credentials(settings: &mut Settings<'_>, address: Option<&(Uri, Text<'_>)>, config: &mut AmqpConfig) {
    let username = settings.text("username");
    check_name(settings, "username", username);
    let username = username.map(|name| name.text.to_owned());
    let password = settings.secret("password");
    let of_address = address.and_then(|(uri, text)| uri.password.clone().map(|password| (password, text.place)));
    if let Some((_, place)) = &of_address {
        let message = "the password is part of 'uri', which is shown where a password would not be";
        let warning = Diagnostic::warning("password-in-uri", place, message);
        settings.report(warning.with_help("move it to 'password', 'passwordFile' or 'passwordVariable'"));
    }
    let username = username.or_else(|| address.and_then(|(uri, _)| uri.username.clone()));
    let password = password.or_else(|| of_address.map(|(password, _)| Secret::Text(password.into())));
    match (username, password) {
        (Some(username), Some(password)) => (config.username, config.password) = (username, password),
        (None, None) => {}
        (Some(_), None) => missing(settings, "there is a user's name, and no password", "set 'password'"),
        (None, Some(_)) => missing(settings, "there is a password, and no user that it belongs to", "set 'username'"),
    }
}

fn encryption(settings: &mut Settings<'_>, address: Option<&(Uri, Text<'_>)>, config: &mut AmqpConfig) {
    let authority = settings.path("caFile");
    let Some((uri, text)) = address else { return };
    if uri.tls {
        config.trust = Some(authority.map_or(Trust::System, Trust::Authority));
        return;
    }
    if authority.is_some() {
        settings.bad(text.place, "there is a 'caFile', and the connection is not encrypted", "write amqps:// in 'uri'");
    } else if !is_local(&uri.host) {
        let message = format!("the password and all messages go to {} in the clear", config.server());
        let warning = Diagnostic::warning("clear-text-password", text.place, message);
        settings.report(warning.with_help("write amqps:// in 'uri', and the port that the broker has for it"));
    }
}

fn dead_letters(settings: &mut Settings<'_>, config: &mut AmqpConfig) {
    let queue = settings.text("deadLetterQueue");
    let exchange = settings.text("deadLetterExchange");
    let routing_key = settings.text("deadLetterRoutingKey");
    for (name, text) in [("deadLetterQueue", queue), ("deadLetterExchange", exchange), ("deadLetterRoutingKey", routing_key)] {
        check_name(settings, name, text);
    }
    config.dead_letters = match (queue, exchange, routing_key) {
        (None, None, None) => None,
        (Some(queue), None, None) => {
            if queue.text == config.queue {
                let message = "rejected messages would go to the end of the queue that they come from, and come again";
                settings.bad(queue.place, message, "name another queue in 'deadLetterQueue'");
            }
            Some(DeadLetterTarget { exchange: String::new(), routing_key: Some(queue.text.to_owned()) })
        }
        (None, Some(exchange), routing_key) => {
            Some(DeadLetterTarget { exchange: exchange.text.to_owned(), routing_key: routing_key.map(|key| key.text.to_owned()) })
        }
        (Some(queue), ..) => {
            let message = "dead letters go to a queue, or to an exchange, not to both";
            settings.bad(queue.place, message, "keep 'deadLetterQueue', or 'deadLetterExchange' with 'deadLetterRoutingKey'");
            None
        }
        (None, None, Some(key)) => {
            let help = "set 'deadLetterExchange', or name the queue in 'deadLetterQueue'";
            settings.bad(key.place, "there is a 'deadLetterRoutingKey', and no exchange that it is for", help);
            None
        }
    };
}

fn check_name(settings: &mut Settings<'_>, item: &str, name: Option<Text<'_>>) {
    if let Some(name) = name.filter(|name| name.text.len() > MAX_NAME) {
        settings.bad(name.place, format!("the value of '{item}' is too long"), format!("names have at most {MAX_NAME} bytes"));
    }
}

fn missing(settings: &mut Settings<'_>, message: &str, help: &str) {
    let place = settings.place();
    settings.report(Diagnostic::error("missing-property", place, message).with_help(help));
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
