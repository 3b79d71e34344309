//! Points in time.

use std::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. The clock is read outside this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// A text that is no `xsd:dateTime`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a date and time such as 2026-01-31T12:00:00Z")]
pub struct NotATimestamp(String);

impl Timestamp {
    /// The point in time that many milliseconds after the epoch (before it, if negative).
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads an `xsd:dateTime` or a date alone. A value without a zone is taken as UTC.
    ///
    /// # Errors
    /// [`NotATimestamp`] for any other text, and for dates that do not exist.
    pub fn parse(text: &str) -> Result<Self, NotATimestamp> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(timestamp.as_millisecond()));
        }
        let utc =
            |civil: jiff::civil::DateTime| civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().as_millisecond());
        text.parse::<jiff::civil::DateTime>()
            .ok()
            .and_then(utc)
            .or_else(|| {
                text.parse::<jiff::civil::Date>().ok().and_then(|date| utc(date.to_datetime(jiff::civil::Time::midnight())))
            })
            .map(Self)
            .ok_or_else(|| NotATimestamp(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}
