//! Tokens: which state of the file is meant.

use tidelock_connector_api::{Error, ErrorKind, Result, Token};

/// What every token of ours begins with.
const MARK: &str = "csv1";

/// A state of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// That of a snapshot.
    At(Box<str>),
    /// That of `target` up to the row `last`, that of `base` beyond it.
    Within { base: Box<str>, target: Box<str>, last: Box<str> },
}

impl Position {
    pub(crate) fn to_token(&self) -> Token {
        Token::new(match self {
            Self::At(snapshot) => format!("{MARK}:{snapshot}").into_bytes(),
            Self::Within { base, target, last } => format!("{MARK}:{base}:{target}:{last}").into_bytes(),
        })
    }

    /// # Errors
    /// [`ErrorKind::TokenExpired`] where the token is none of ours.
    pub(crate) fn of_token(token: &Token) -> Result<Self> {
        let foreign = || Error::new(ErrorKind::TokenExpired, "the token is not one of a CSV file");
        let text = std::str::from_utf8(token.as_bytes()).map_err(|_| foreign())?;
        let mut parts = text.splitn(4, ':');
        if parts.next() != Some(MARK) {
            return Err(foreign());
        }
        // Nothing but what a snapshot is called may come to be the name of a file.
        let mut snapshot = || parts.next().filter(|name| is_name(name)).map(Box::from);
        let base = snapshot().ok_or_else(foreign)?;
        if text.matches(':').count() == 1 {
            return Ok(Self::At(base));
        }
        let target = snapshot().ok_or_else(foreign)?;
        let last = parts.next().ok_or_else(foreign)?.into();
        Ok(Self::Within { base, target, last })
    }

    /// Whether it cannot be resumed from without this snapshot.
    pub(crate) fn needs(&self, snapshot: &str) -> bool {
        match self {
            Self::At(base) => **base == *snapshot,
            Self::Within { base, target, .. } => **base == *snapshot || **target == *snapshot,
        }
    }
}

/// Whether a text can be the name of a snapshot.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_token_says_is_read_back() {
        for position in [
            Position::At("17-ab".into()),
            Position::Within { base: "17-ab".into(), target: "18-cd".into(), last: "a:b\n:c".into() },
            Position::Within { base: "17-ab".into(), target: "18-cd".into(), last: "".into() },
        ] {
            assert_eq!(Position::of_token(&position.to_token()).unwrap(), position);
        }
    }

    #[test]
    fn other_tokens_are_expired() {
        for text in ["", "csv1", "csv1:", "csv1:../x", "csv1:a:b", "csv1:a:../b:c", "csv2:a", "memory/3"] {
            let error = Position::of_token(&Token::new(text.as_bytes())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TokenExpired, "{text}");
        }
    }
}
