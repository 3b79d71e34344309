//! Tokens: a position in a server's history, and which server and which entries it belongs to.
//!
//! A token that was cut, changed, or made for something else must be found out: what a server makes of a position that is not
//! its own ranges from everything once more to nothing at all.

use std::fmt::Write as _;
use std::sync::Arc;

use tidelock_connector_api::{Error, ErrorKind, Token};

use super::names::Remembered;

/// A position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// A cookie of content synchronization (RFC 4533).
    Cookie(CookiePosition),
    /// A moment by the server's clock.
    Time(TimePosition),
}

/// How far changes were told by content synchronization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CookiePosition {
    /// What only the server understands.
    pub(crate) cookie: Vec<u8>,
    /// What entries are called that have others below them.
    pub(crate) names: Remembered,
}

/// How far changes were read by time stamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimePosition {
    /// The latest time stamp that was seen, but no later than the server's clock; milliseconds since 1970.
    pub(crate) latest: i64,
    /// When what is left was compared last, by our own clock; milliseconds since 1970.
    pub(crate) compared: i64,
    /// What was seen of late: digests of entries with all that they have.
    pub(crate) seen: Vec<u64>,
    /// When it was taken, by our own clock; milliseconds since 1970.
    pub(crate) taken: i64,
    /// What entries are called that have others below them.
    pub(crate) names: Remembered,
}

const MARK: &str = "ldap1";

/// Makes a token. `subject` is what it is good for.
pub(super) fn make(subject: u64, position: &Position) -> Token {
    let mut text = format!("{MARK}:{subject:016x}:");
    // Writing to a string cannot fail.
    match position {
        Position::Cookie(CookiePosition { cookie, names }) => {
            text.push_str("cookie:");
            write_hex(cookie, &mut text);
            text.push(':');
            write_names(names, &mut text);
        }
        Position::Time(time) => {
            let _ = write!(text, "time:{}:{}:", time.latest, time.compared);
            for digest in &time.seen {
                write_hex(&digest.to_be_bytes(), &mut text);
            }
            let _ = write!(text, ":{}:", time.taken);
            write_names(&time.names, &mut text);
        }
    }
    let checksum = digest(text.as_bytes());
    let _ = write!(text, ":{checksum:016x}");
    Token::new(text.into_bytes())
}

/// Reads a token. `subject` says what a position must have been made for.
///
/// # Errors
/// [`ErrorKind::TokenExpired`] for any other.
pub(super) fn read(token: &Token, subject: impl FnOnce(&Position) -> u64) -> Result<Position, Error> {
    let text = std::str::from_utf8(token.as_bytes()).ok();
    let checked = text
        .and_then(|text| text.rsplit_once(':'))
        .filter(|(text, checksum)| u64::from_str_radix(checksum, 16) == Ok(digest(text.as_bytes())) && checksum.len() == 16);
    let parsed = checked.and_then(|(text, _)| {
        let mut parts = text.split(':');
        let known = parts.next() == Some(MARK);
        let made_for = u64::from_str_radix(parts.next()?, 16).ok()?;
        position(&mut parts).filter(|_| known).map(|position| (made_for, position))
    });
    let Some((made_for, position)) = parsed else { return Err(expired("it is none of ours")) };
    if made_for != subject(&position) {
        let why = "it belongs to other data: another server or base context, other filters, or a directory that was built anew";
        return Err(expired(why));
    }
    Ok(position)
}

fn position<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Option<Position> {
    match parts.next()? {
        "cookie" => Some(Position::Cookie(CookiePosition {
            cookie: bytes(parts.next()?)?,
            names: names(parts.next().unwrap_or_default())?,
        })),
        "time" => Some(Position::Time(TimePosition {
            latest: parts.next()?.parse().ok()?,
            compared: parts.next()?.parse().ok()?,
            seen: bytes(parts.next()?)?
                .chunks(8)
                .map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes))
                .collect::<Option<_>>()?,
            taken: parts.next()?.parse().ok()?,
            names: names(parts.next().unwrap_or_default())?,
        })),
        _ => None,
    }
}

/// Tokens of earlier versions have no names.
fn names(hex: &str) -> Option<Remembered> {
    let remembered = |bytes: &[u8]| {
        let (identifier, name) = bytes.split_at_checked(8)?;
        Some((u64::from_be_bytes(identifier.try_into().ok()?), u64::from_be_bytes(name.try_into().ok()?)))
    };
    bytes(hex)?.chunks(16).map(remembered).collect::<Option<_>>().map(Arc::new)
}

fn write_names(names: &Remembered, text: &mut String) {
    for (identifier, name) in &**names {
        write_hex(&identifier.to_be_bytes(), text);
        write_hex(&name.to_be_bytes(), text);
    }
}

/// There may be a token for each of many changes.
fn write_hex(bytes: &[u8], text: &mut String) {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    text.reserve(2 * bytes.len());
    bytes.iter().for_each(|byte| text.extend([digit(byte >> 4), digit(*byte)]));
}

pub(crate) fn expired(why: &str) -> Error {
    Error::new(ErrorKind::TokenExpired, format!("the token cannot be used: {why}"))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    // Two digits fit into a byte.
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

/// FNV-1a: the same on every machine and in every version, which is all that is asked of it.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn positions() -> impl Strategy<Value = Position> {
        let names = || proptest::collection::btree_map(any::<u64>(), any::<u64>(), 0..4).prop_map(Arc::new);
        let time = (any::<i64>(), any::<i64>(), proptest::collection::vec(any::<u64>(), 0..4), any::<i64>(), names());
        prop_oneof![
            (any::<Vec<u8>>(), names()).prop_map(|(cookie, names)| Position::Cookie(CookiePosition { cookie, names })),
            time.prop_map(|(latest, compared, seen, taken, names)| {
                Position::Time(TimePosition { latest, compared, seen, taken, names })
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_position_comes_back_from_its_token(subject: u64, position in positions()) {
            prop_assert_eq!(read(&make(subject, &position), |_| subject).unwrap(), position);
        }

        #[test]
        fn a_token_that_was_changed_is_expired(position in positions(), at: prop::sample::Index, to: u8) {
            let token = make(7, &position);
            let mut bytes = token.as_bytes().to_vec();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to && !bytes[at].eq_ignore_ascii_case(&to));
            bytes[at] = to;
            prop_assert_eq!(read(&Token::new(bytes), |_| 7).unwrap_err().kind(), ErrorKind::TokenExpired);
            prop_assert_eq!(read(&token, |_| 8).unwrap_err().kind(), ErrorKind::TokenExpired);
        }

        #[test]
        fn a_token_of_a_version_that_remembered_no_names_is_read(latest: i64, compared: i64, taken: i64) {
            let text = format!("{MARK}:{:016x}:time:{latest}:{compared}::{taken}", 7);
            let token = Token::new(format!("{text}:{:016x}", digest(text.as_bytes())).into_bytes());
            let expected = TimePosition { latest, compared, taken, ..TimePosition::default() };
            prop_assert_eq!(read(&token, |_| 7).unwrap(), Position::Time(expected));
            let text = format!("{MARK}:{:016x}:cookie:0102", 7);
            let token = Token::new(format!("{text}:{:016x}", digest(text.as_bytes())).into_bytes());
            let expected = CookiePosition { cookie: vec![1, 2], ..CookiePosition::default() };
            prop_assert_eq!(read(&token, |_| 7).unwrap(), Position::Cookie(expected));
        }

        #[test]
        fn no_bytes_are_too_strange_for_a_token(bytes: Vec<u8>) {
            prop_assert_eq!(read(&Token::new(bytes), |_| 7).unwrap_err().kind(), ErrorKind::TokenExpired);
        }
    }
}
