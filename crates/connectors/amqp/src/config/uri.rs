//! Addresses: `amqps://user:password@host:5671/vhost`.

use std::time::Duration;

/// The longest name that the protocol can carry, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// What an address says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) virtual_host: Option<String>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    /// Parameters that have no effect.
    pub(crate) ignored: Vec<String>,
}

/// Reads an address. What is wrong with it is said without repeating it: it may hold a password.
pub(crate) fn parse(text: &str) -> Result<Uri, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it does not begin with amqp:// or amqps://")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "amqp" => false,
        "amqps" => true,
        _ => return Err("it does not begin with amqp:// or amqps://"),
    };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, query)| (rest, query));
    if rest.contains('#') || query.contains('#') {
        return Err("it has a '#', which is written %23");
    }
    if query.contains('@') {
        return Err("it has a '?' before its host, which is written %3F");
    }
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    // A password may hold an '@' that nobody escaped; a host never does.
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (host, port) = match host.strip_prefix('[') {
        Some(host) => {
            let (host, rest) = host.split_once(']').ok_or("its '[' is never closed")?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or("after the ']' there is something that is no port")?),
            };
            (host.to_owned(), port)
        }
        None => match host.split_once(':') {
            Some((host, port)) => (decode(host)?, Some(port)),
            None => (decode(host)?, None),
        },
    };
    let port = match port {
        None | Some("") => 5671 + u16::from(!tls),
        Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("its port is no number from 1 to 65535")?,
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    let (username, password) = match user {
        None => (None, None),
        Some(user) => match user.split_once(':') {
            Some((user, password)) => (Some(decode(user)?), Some(decode(password)?)),
            None => (Some(decode(user)?), None),
        },
    };
    let virtual_host = match path {
        // An address that ends with a slash would, to the letter, name a virtual host without a name. Nobody has one.
        None | Some("") => None,
        Some(path) if path.contains('/') => return Err("its virtual host has a '/', which is written %2F"),
        Some(path) => Some(decode(path)?),
    };
    let mut uri = Uri {
        tls,
        host,
        port,
        username: username.filter(|name| !name.is_empty()),
        password: password.filter(|password| !password.is_empty()),
        virtual_host,
        heartbeat: None,
        connect_timeout: None,
        ignored: Vec::new(),
    };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let number = value.parse::<u32>().ok().filter(|number| *number > 0);
        match name {
            "heartbeat" => {
                let seconds = number.filter(|seconds| *seconds <= 3600).ok_or("its heartbeat is no number from 1 to 3600")?;
                uri.heartbeat = Some(Duration::from_secs(seconds.into()));
            }
            "connection_timeout" => {
                let millis = number.ok_or("its connection_timeout is no number of milliseconds")?;
                uri.connect_timeout = Some(Duration::from_millis(millis.into()));
            }
            other => uri.ignored.push(other.chars().take(40).collect()),
        }
    }
    Ok(uri)
}

/// A text without its `%` escapes.
fn decode(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "it has a '%' that does not begin an escape such as %2F";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(BAD);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| BAD)?);
    }
    String::from_utf8(bytes).map_err(|_| "its escapes are not UTF-8")
}
