//! Positions in a stream, as tokens: which stream it is, and which message was the last.

use tidelock_connector_api::{Error, ErrorKind, Token};

/// A message of a stream. The times tell it from one of a stream that was made anew, or restored from an older state, and then
/// counts the same numbers again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The stream's name.
    pub(crate) stream: String,
    /// When the stream was made, in nanoseconds.
    pub(crate) created: i128,
    /// The message's number.
    pub(crate) sequence: u64,
    /// When the server took the message, in nanoseconds; 0 where that is not known.
    pub(crate) time: i128,
    /// How many deliveries the consumer had made when it gave the message, all of them of messages up to this one; 0 where that is
    /// not known.
    pub(crate) delivered: u64,
}

impl Position {
    pub(crate) fn token(&self) -> Token {
        let Self { stream, created, sequence, time, delivered } = self;
        let known = if *delivered > 0 { format!("/{delivered}") } else { String::new() };
        Token::new(format!("nats/1/{stream}/{created}/{sequence}/{time}{known}").into_bytes())
    }

    /// The position that a token is; an expired token where it is none of this connector.
    pub(crate) fn of_token(token: &Token) -> Result<Self, Error> {
        Self::parse(token)
            .filter(|position| position.token() == *token)
            .ok_or_else(|| expired("it is no position of a NATS stream"))
    }

    fn parse(token: &Token) -> Option<Self> {
        let text = std::str::from_utf8(token.as_bytes()).ok()?.strip_prefix("nats/1/")?;
        let mut parts = text.split('/');
        let position = Self {
            stream: parts.next()?.to_owned(),
            created: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
            time: parts.next()?.parse().ok()?,
            delivered: parts.next().map_or(Some(0), |part| part.parse().ok())?,
        };
        parts.next().is_none().then_some(position)
    }
}

/// The error for a position from which it cannot be gone on.
pub(crate) fn expired(why: &str) -> Error {
    Error::new(ErrorKind::TokenExpired, format!("the position in the stream cannot be used any longer: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_made(stream in "[^/]*", created: i64, sequence: u64, time: i64, delivered: u64) {
            let position = Position { stream, created: created.into(), sequence, time: time.into(), delivered };
            prop_assert_eq!(Position::of_token(&position.token()).unwrap(), position);
        }

        #[test]
        fn what_is_no_token_is_expired(bytes: Vec<u8>) {
            if let Err(error) = Position::of_token(&Token::new(bytes)) {
                prop_assert_eq!(error.kind(), ErrorKind::TokenExpired);
            }
        }
    }

    #[test]
    fn a_token_has_one_form_only() {
        for wrong in
            ["", "nats/1/s/1/2", "nats/1/s/1/2/3/4/5", "nats/1/s/1/2/3/0", "nats/1/s/01/2/3", "nats/1/s/1/+2/3", "nats/2/s/1/2/3"]
        {
            assert!(Position::of_token(&Token::new(wrong.as_bytes())).is_err(), "{wrong}");
        }
    }
}
