//! Texts that come from elsewhere, made fit for a terminal; numbers for people.

use std::borrow::Cow;

/// The text without anything that would move the cursor or change colours: control characters are shown as their symbols.
/// What others wrote into a resource must not be able to write over a terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if hidden(c) { symbol(c) } else { c }).collect())
}

fn symbol(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1F => char::from_u32(0x2400 + code).unwrap_or('\u{FFFD}'),
        0x7F => '\u{2421}',
        _ => '\u{FFFD}',
    }
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things: `1 object`, `1,200 objects`.
pub(crate) fn count(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", self::number(number), if number == 1 { singular } else { plural })
}

/// A span of time: `0.42 s`, `3 min 05 s`, `2 h 03 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 99.5 {
        return if seconds < 9.95 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") };
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at least 99.5, and the cast saturates")]
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours} h {minutes:02} min") } else { format!("{minutes} min {rest:02} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(clean("Zoë \u{1b}[31mred\r\n\u{9b}2J\u{202E}"), "Zoë \u{241b}[31mred\u{240d}\u{240a}\u{FFFD}2J\u{FFFD}");
        assert!(matches!(clean("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 0.416, 12.34, 185.2, 7384.0].map(seconds), ["0.00 s", "0.42 s", "12.3 s", "3 min 05 s", "2 h 03 min"]);
        assert_eq!(count(1, "object", "objects"), "1 object");
        assert_eq!(count(2000, "object", "objects"), "2,000 objects");
    }
}
