//! Values: from the bytes that a server sends to typed values, and back.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use tidelock_model::{Timestamp, Value};

use crate::config::TimestampForm;

/// How the values of an attribute are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text.
    Text,
    /// A distinguished name, as it was written.
    Name,
    /// A whole number.
    Integer,
    /// `TRUE` or `FALSE`.
    Boolean,
    /// A point in time, in GeneralizedTime.
    Time(TimestampForm),
    /// Bytes.
    Binary,
    /// Active Directory's binary UUID.
    Guid,
}

impl Form {
    /// A value out of its bytes. The error says what it is not.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Value, &'static str> {
        let text = || std::str::from_utf8(bytes).map_err(|_| "text in UTF-8");
        Ok(match self {
            Self::Text | Self::Name => Value::string(text()?),
            Self::Integer => Value::Integer(text()?.parse().map_err(|_| "a whole number of 64 bits")?),
            Self::Boolean => match bytes {
                b"TRUE" => Value::Boolean(true),
                b"FALSE" => Value::Boolean(false),
                // Some servers write it as they like.
                _ if bytes.eq_ignore_ascii_case(b"true") => Value::Boolean(true),
                _ if bytes.eq_ignore_ascii_case(b"false") => Value::Boolean(false),
                _ => return Err("TRUE or FALSE"),
            },
            Self::Time(TimestampForm::Text) => Value::string(text()?),
            Self::Time(form) => {
                let millis = parse_time(text()?).ok_or("a point in time")?;
                if form == TimestampForm::UnixEpoch {
                    Value::Integer(millis)
                } else {
                    Value::DateTime(Timestamp::from_millis(millis))
                }
            }
            Self::Binary => Value::Binary(bytes.into()),
            Self::Guid => Value::string(guid_text(bytes).ok_or("a UUID of 16 bytes")?),
        })
    }

    /// A value as bytes. None if it is not of this form.
    pub(crate) fn write(self, value: &Value) -> Option<Vec<u8>> {
        Some(match (self, value) {
            (Self::Text | Self::Name | Self::Time(TimestampForm::Text), Value::String(text)) => text.as_bytes().to_vec(),
            (Self::Integer, Value::Integer(number)) => number.to_string().into_bytes(),
            (Self::Boolean, Value::Boolean(flag)) => if *flag { "TRUE" } else { "FALSE" }.as_bytes().to_vec(),
            (Self::Time(TimestampForm::Native), Value::DateTime(time)) => write_time(time.as_millis())?.into_bytes(),
            (Self::Time(TimestampForm::UnixEpoch), Value::Integer(millis)) => write_time(*millis)?.into_bytes(),
            (Self::Binary, Value::Binary(bytes)) => bytes.to_vec(),
            (Self::Guid, Value::String(text)) => guid_bytes(text)?.to_vec(),
            _ => return None,
        })
    }
}

/// A GeneralizedTime (RFC 4517, 3.3.13) as milliseconds since 1970.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(digits, 10 | 12 | 14) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let part = |from: usize| if from < digits { number(from, from + 2) } else { Some(0) };
    let [month, day, hour, minute, second] = [part(4)?, part(6)?, part(8)?, part(10)?, part(12)?];
    let small = |number: i16| i8::try_from(number).ok();
    let date = Date::new(number(0, 4)?, small(month)?, small(day)?).ok()?;
    // A leap second is the second after it.
    let (second, leap) = if second == 60 { (59, 1000) } else { (second, 0) };
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    let base = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond() + leap;
    let mut rest = &text[digits..];
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix(['.', ',']) {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        // What is finer than a millisecond of an hour cannot be told from zero.
        let digits = &after[..end.min(12)];
        let whole: i64 = digits.parse().ok()?;
        let unit = match text.len() - rest.len() {
            10 => 3_600_000,
            12 => 60_000,
            _ => 1000,
        };
        let scale = 10_i128.pow(u32::try_from(digits.len()).ok()?);
        fraction = i64::try_from(i128::from(whole) * unit / scale).ok()?;
        rest = &after[end..];
    }
    let offset = match rest {
        "Z" => 0,
        _ => {
            let sign = match rest.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let zone = rest.get(1..)?;
            let two = |from: usize| zone.get(from..from + 2)?.parse::<i64>().ok();
            match zone.len() {
                2 => sign * two(0)? * 3_600_000,
                4 => sign * (two(0)? * 60 + two(2)?) * 60_000,
                _ => return None,
            }
        }
    };
    Some(base + fraction - offset)
}

/// Milliseconds since 1970 as a GeneralizedTime.
pub(crate) fn write_time(millis: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(TimeZone::UTC).datetime();
    if time.year() < 0 {
        return None;
    }
    let mut text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    match time.millisecond() {
        0 => {}
        millis => text.push_str(&format!(".{millis:03}")),
    }
    text.push('Z');
    Some(text)
}

/// 16 bytes as a UUID in text, in the order of the text.
pub(crate) fn uuid_text(bytes: &[u8]) -> Option<Box<str>> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let hex = |range: std::ops::Range<usize>| bytes[range].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Some(format!("{}-{}-{}-{}-{}", hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)).into())
}

/// 16 bytes as 389 Directory Server writes them in `nsUniqueId`: four groups of eight digits.
pub(crate) fn unique_id_text(bytes: &[u8]) -> Option<Box<str>> {
    let text = uuid_text(bytes)?.replace('-', "");
    Some(format!("{}-{}-{}-{}", &text[..8], &text[8..16], &text[16..24], &text[24..]).into())
}

/// The first three groups of Active Directory's UUIDs are in the other order.
fn guid_order(bytes: &[u8]) -> Option<[u8; 16]> {
    let mut bytes: [u8; 16] = bytes.try_into().ok()?;
    bytes[0..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn guid_text(bytes: &[u8]) -> Option<Box<str>> {
    uuid_text(&guid_order(bytes)?)
}

fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    // Two digits fit into a byte.
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    if digits.len() == 32 { guid_order(&bytes) } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_every_spelling() {
        let shown = |text: &str| parse_time(text).map(|millis| Timestamp::from_millis(millis).to_string());
        for (text, expected) in [
            ("20260131120000Z", "2026-01-31T12:00:00.000Z"),
            ("20260131120000.123456Z", "2026-01-31T12:00:00.123Z"),
            ("20260131120000,5Z", "2026-01-31T12:00:00.500Z"),
            ("202601311230Z", "2026-01-31T12:30:00.000Z"),
            ("2026013112.5Z", "2026-01-31T12:30:00.000Z"),
            ("202601311200.5Z", "2026-01-31T12:00:30.000Z"),
            ("20260131120000+0200", "2026-01-31T10:00:00.000Z"),
            ("20260131120000-0130", "2026-01-31T13:30:00.000Z"),
            ("20260131120000+02", "2026-01-31T10:00:00.000Z"),
            ("20261231235960Z", "2027-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "20260131", "20260230120000Z", "20260131120000", "20260131120000.Z", "2026013112000Z", "20260131120000X"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_comes_back_from_its_text(millis in -62_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(parse_time(&write_time(millis).unwrap()), Some(millis));
        }

        #[test]
        fn no_text_is_too_strange_for_a_time(text in "[0-9.,+Zé-]{0,24}") {
            let _ = parse_time(&text);
        }

        #[test]
        fn a_guid_comes_back(bytes: [u8; 16]) {
            let text = guid_text(&bytes).unwrap();
            prop_assert_eq!(guid_bytes(&text), Some(bytes));
        }
    }

    #[test]
    fn a_guid_is_shown_as_active_directory_shows_it() {
        let bytes = [0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(guid_text(&bytes).as_deref(), Some("12345678-9abc-def0-0102-030405060708"));
    }
}
