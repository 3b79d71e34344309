//! The items of a `nats` source, read.

use std::net::IpAddr;
use std::path::Path;

use async_nats::ServerAddr;
use tidelock_messages::{Settings, Text};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics};

use super::{Begin, Login, NatsConfig, Trust};
use crate::subject;

const URL_HELP: &str = "write it as in tls://nats.example.org, or nats://localhost:4222";

/// Reads the element of a source. The configuration is there unless an essential item is missing; it may be used only where
/// nothing that was found is an error.
pub(super) fn read(node: &Node, base: &Path) -> (Option<NatsConfig>, Diagnostics) {
    let mut settings = Settings::new("the NATS source", node, base);
    let servers = servers(&mut settings);
    let stream = name(&mut settings, "stream", "name the stream that messages come from");
    let consumer = name(&mut settings, "consumer", "name the durable consumer; it is made where it does not exist");
    let config = match (servers.first(), stream, consumer) {
        (Some((server, _)), Some(stream), Some(consumer)) => Some(NatsConfig::new(server.clone(), stream, consumer)),
        _ => None,
    };
    // Where one is missing, the rest is looked at all the same: for whatever else is wrong.
    let complete = config.is_some();
    let fallback = || "nats://localhost".parse().ok().map(|server: ServerAddr| NatsConfig::new(server, "", ""));
    let Some(mut config) = config.or_else(fallback) else { return (None, settings.finish()) };
    config.servers = servers.iter().map(|(server, _)| server.clone()).collect();
    config.login = login(&mut settings);
    encryption(&mut settings, &servers, &mut config);
    for filter in settings.texts("filterSubject") {
        match subject::is_filter(filter.text) {
            true => config.filters.push(filter.text.to_owned()),
            false => {
                let message = format!("'{}' is no subject", shorten(filter.text));
                settings.bad(filter.place, message, "write it as in hr.people.* or hr.>");
            }
        }
    }
    config.begin = settings.choice("deliverPolicy", config.begin, &[("all", Begin::All), ("new", Begin::New)]);
    config.prefetch = settings.number("prefetch", config.prefetch.into(), 1..=20_000) as u32;
    config.ack_wait = settings.duration("ackWait", config.ack_wait);
    if let Some(dead) = settings.text("deadLetterSubject") {
        if !subject::is_filter(dead.text) || dead.text.contains(['*', '>']) {
            let message = format!("'{}' is no subject that messages can be sent to", shorten(dead.text));
            settings.bad(dead.place, message, "write it as in hr.dead, without wildcards");
        }
        config.dead_letters = Some(dead.text.to_owned());
    }
    config.connect_timeout = settings.duration("connectTimeout", config.connect_timeout);
    config.request_timeout = settings.duration("requestTimeout", config.request_timeout);
    config.reconnect_timeout = settings.duration("reconnectTimeout", config.reconnect_timeout);
    (complete.then_some(config), settings.finish())
}

fn servers<'n>(settings: &mut Settings<'n>) -> Vec<(ServerAddr, Text<'n>)> {
    let mut servers = Vec::new();
    let given = settings.texts("url");
    if given.is_empty() {
        let _ = settings.required("url", URL_HELP);
    }
    for text in given {
        let server = text.text.parse::<ServerAddr>().ok().filter(|server| !server.is_websocket());
        match server.filter(|server| matches!(server.scheme(), "nats" | "tls") && !server.host().is_empty()) {
            None => settings.bad(text.place, "the value of 'url' is no address of a NATS server", URL_HELP),
            Some(server) if server.has_user_pass() || server.username().is_some() => {
                let help = "move them to 'username' and 'password', 'passwordFile' or 'passwordVariable'";
                settings.bad(text.place, "'url' has credentials, and is shown where they would not be", help);
            }
            Some(server) => servers.push((server, text)),
        }
    }
    servers
}

/// A name of a stream or a consumer.
fn name(settings: &mut Settings<'_>, item: &str, help: &str) -> Option<String> {
    const MAX_NAME: usize = 255;
    let text = settings.required(item, help)?;
    let fine = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '*' | '>' | '/' | '\\');
    if text.text.len() > MAX_NAME || !text.text.chars().all(fine) {
        let message = format!("'{}' is not a value of '{item}'", shorten(text.text));
        settings.bad(text.place, message, "names have no spaces, points, stars, slashes and angle brackets");
    }
    Some(text.text.to_owned())
}

fn login(settings: &mut Settings<'_>) -> Login {
    let username = settings.text("username");
    let password = settings.secret("password");
    let others = [
        settings.secret("token").map(Login::Token),
        settings.secret("nkeySeed").map(Login::NKey),
        settings.secret("credentials").map(Login::Credentials),
    ];
    let password = match (username, password) {
        (Some(username), Some(password)) => Some(Login::Password(username.text.to_owned(), password)),
        (Some(username), None) => {
            let error = Diagnostic::error("missing-property", username.place, "there is a user's name, and no password");
            settings.report(error.with_help("set 'password', 'passwordFile' or 'passwordVariable'"));
            None
        }
        (None, Some(_)) => {
            let error = Diagnostic::error("missing-property", settings.place(), "there is a password, and no user");
            settings.report(error.with_help("set 'username'"));
            None
        }
        (None, None) => None,
    };
    let mut logins = others.into_iter().flatten().chain(password);
    let (first, second) = (logins.next(), logins.next());
    if second.is_some() {
        let place = settings.place();
        settings.bad(place, "it is said in several ways who we are", "keep a password, a token, a key or credentials");
    }
    first.unwrap_or(Login::None)
}

fn encryption(settings: &mut Settings<'_>, servers: &[(ServerAddr, Text<'_>)], config: &mut NatsConfig) {
    config.tls_required = settings.flag("tlsRequired", false) || servers.iter().any(|(server, _)| server.tls_required());
    if let Some(authority) = settings.path("caFile") {
        config.trust = Trust::Authority(authority);
    }
    let (certificate, key) = (settings.path("certificateFile"), settings.path("keyFile"));
    config.certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let place = settings.place();
            settings.bad(place, "'certificateFile' and 'keyFile' belong together", "set both, or neither");
            None
        }
    };
    let remote = servers.iter().find(|(server, _)| !is_local(server.host()));
    if let (Some((server, text)), false) = (remote, config.tls_required) {
        let message = format!("all messages may go to {} in the clear, and a password with them", server.host());
        let warning = Diagnostic::warning("clear-text-password", text.place, message);
        settings.report(warning.with_help("write tls:// in 'url', or set 'tlsRequired' to true"));
    }
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn shorten(value: &str) -> String {
    value.chars().take(80).collect()
}
