//! Values that are a single text in a definition.

use std::sync::Arc;

use crate::definition::nearest::nearest;
use crate::definition::table::{At, Content, Reading, shorten};
use crate::diagnostic::Diagnostic;
use crate::document::{Node, Scope, name_text};
use crate::name::{QName, ns};
use crate::object::{Intent, Kind, Situation};
use crate::oid::Oid;
use crate::time::Timestamp;

/// A value with a text form that stands for itself, without prefixes.
pub(crate) trait Leaf: Sized {
    /// Whether JSON and YAML have it without quotes.
    const LITERAL: bool = false;

    /// Whether it may be written as a PolyString with its parts `orig` and `norm`, as exports have it.
    const POLY: bool = false;

    /// The text without the space around it that means nothing.
    fn bare(text: &str) -> &str {
        text.trim()
    }

    fn parse(text: &str) -> Result<Self, Refused>;
    fn to_text(&self) -> String;
}

/// Why a text is not a value.
#[derive(Debug)]
pub(crate) struct Refused {
    message: String,
    help: String,
}

/// The text of an item path, with the prefixes it may use. Equality is that of the text.
#[derive(Clone)]
pub struct ItemPathText {
    /// The path as it is written: `attributes/ri:uid`.
    pub text: String,
    /// The prefixes in force where it stands.
    pub scope: Arc<Scope>,
}

/// A length of time as `xsd:duration` has it: months and milliseconds, either of which may be zero. Negative durations exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duration {
    /// The calendar part, in months.
    pub months: i64,
    /// The rest. A day is 24 hours.
    pub millis: i64,
    text: Box<str>,
}

impl Refused {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// The text is none of a few names.
    pub(crate) fn one_of(what: &str, text: &str, names: impl Iterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.collect();
        let help = match nearest(text, names.iter().copied()) {
            Some(name) => format!("did you mean '{name}'? Possible values: {}", names.join(", ")),
            None => format!("possible values: {}", names.join(", ")),
        };
        Self::new(format!("'{}' is not {what}", shorten(text)), help)
    }
}

impl Duration {
    /// Reads an `xsd:duration` such as `P30D` or `-PT5M`; weeks are allowed as well.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        // The time library reads other notations too; a definition holds this one.
        if !text.strip_prefix('-').unwrap_or(text).starts_with('P') || text.len() > 64 {
            return None;
        }
        let span: jiff::Span = text.parse().ok()?;
        let months = i64::from(span.get_years()).checked_mul(12)?.checked_add(i64::from(span.get_months()))?;
        let days = i64::from(span.get_weeks()).checked_mul(7)?.checked_add(i64::from(span.get_days()))?;
        let hours = days.checked_mul(24)?.checked_add(i64::from(span.get_hours()))?;
        let minutes = hours.checked_mul(60)?.checked_add(span.get_minutes())?;
        let seconds = minutes.checked_mul(60)?.checked_add(span.get_seconds())?;
        let sub = span
            .get_milliseconds()
            .checked_add(span.get_microseconds() / 1000)?
            .checked_add(span.get_nanoseconds() / 1_000_000)?;
        let millis = seconds.checked_mul(1000)?.checked_add(sub)?;
        Some(Self { months, millis, text: text.into() })
    }

    /// The duration as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The point in time that much later, by the UTC calendar; none outside of the range of time.
    #[must_use]
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        shift(time, self.months, self.millis)
    }

    /// The point in time that much earlier.
    #[must_use]
    pub fn before(&self, time: Timestamp) -> Option<Timestamp> {
        shift(time, self.months.checked_neg()?, self.millis.checked_neg()?)
    }
}

fn shift(time: Timestamp, months: i64, millis: i64) -> Option<Timestamp> {
    let zoned = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
    let months = jiff::Span::new().try_months(months).ok()?;
    let millis = jiff::Span::new().try_milliseconds(millis).ok()?;
    let moved = zoned.checked_add(months).ok()?.checked_add(millis).ok()?;
    Some(Timestamp::from_millis(moved.timestamp().as_millisecond()))
}

impl ItemPathText {
    /// A path that uses well-known prefixes only.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), scope: Scope::well_known() }
    }
}

impl PartialEq for ItemPathText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::fmt::Debug for ItemPathText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Display for ItemPathText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::fmt::Display for Duration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// A node that should hold a text alone.
fn only_text<'a>(node: &'a Node, reading: &mut Reading) -> Option<&'a str> {
    if let Some(child) = node.children.first() {
        let message = format!("'{}' is a simple value, and has '{}' inside", shorten(node.local()), shorten(child.local()));
        reading.report(Diagnostic::error("bad-value", &child.place, message).with_help("write the value alone"));
        return None;
    }
    Some(node.text())
}

/// What a PolyString is in its original form, if the node has it in parts.
fn original(node: &Node) -> Option<&str> {
    let is_part = |child: &Node| matches!(child.local(), "orig" | "norm" | "lang" | "translation");
    node.children.iter().all(is_part).then(|| node.child("orig"))?.filter(|orig| orig.children.is_empty()).map(Node::text)
}

impl<T: Leaf> Content for At<T> {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let text = match original(node).filter(|_| T::POLY) {
            Some(text) => text,
            None => only_text(node, reading)?,
        };
        match T::parse(T::bare(text)) {
            Ok(value) => Some(Self { value, place: node.place.clone() }),
            Err(refused) => {
                let message = format!("{}: {}", shorten(node.local()), refused.message);
                reading.report(Diagnostic::error("bad-value", &node.place, message).with_help(refused.help));
                None
            }
        }
    }

    fn write(&self, name: &QName) -> Node {
        let mut node = Node::leaf(name.clone(), self.value.to_text());
        node.literal = T::LITERAL;
        node
    }
}

impl Content for At<QName> {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        only_text(node, reading)?;
        let mut found = Vec::new();
        let value = node.qname_reporting(&mut found);
        reading.extend(found);
        Some(Self { value: value?, place: node.place.clone() })
    }

    fn write(&self, name: &QName) -> Node {
        Node::leaf(name.clone(), qname_text(&self.value))
    }
}

impl Content for At<ItemPathText> {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let text = only_text(node, reading)?.trim().to_owned();
        Some(Self { value: ItemPathText { text, scope: Arc::clone(&node.scope) }, place: node.place.clone() })
    }

    fn write(&self, name: &QName) -> Node {
        let mut node = Node::leaf(name.clone(), self.value.text.as_str());
        node.scope = Arc::clone(&self.value.scope);
        node
    }
}

/// A name as text that well-known prefixes suffice for, such that reading it gives the name again.
pub(crate) fn qname_text(name: &QName) -> String {
    name_text(name, ns::prefix_of)
}

impl Leaf for String {
    const POLY: bool = true;

    /// Several lines, a script say, keep their indentation; a single one is a name, or as good as one.
    fn bare(text: &str) -> &str {
        let trimmed = text.trim();
        if !trimmed.contains('\n') {
            return trimmed;
        }
        let blank = text.len() - text.trim_start().len();
        let first_line = text[..blank].rfind('\n').map_or(0, |end| end + 1);
        text[first_line..].trim_end()
    }

    fn parse(text: &str) -> Result<Self, Refused> {
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl Leaf for Oid {
    fn parse(text: &str) -> Result<Self, Refused> {
        match text {
            "" => Err(Refused::new("an OID cannot be empty", "give an OID, or leave the item out")),
            _ => Ok(Self::new(text)),
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Kind {
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().map_err(|_| Refused::one_of("a kind", text, Self::ALL.iter().map(|kind| kind.as_str())))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Intent {
    fn parse(text: &str) -> Result<Self, Refused> {
        Self::new(text).ok_or_else(|| Refused::new("an intent cannot be empty", "name an intent, or leave the item out"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Situation {
    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse().map_err(|_| Refused::one_of("a situation", text, Self::ALL.iter().map(|situation| situation.as_str())))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for bool {
    const LITERAL: bool = true;

    fn parse(text: &str) -> Result<Self, Refused> {
        match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(Refused::new(format!("'{}' is neither true nor false", shorten(text)), "write true or false")),
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for i64 {
    const LITERAL: bool = true;

    fn parse(text: &str) -> Result<Self, Refused> {
        text.parse()
            .map_err(|_| Refused::new(format!("'{}' is not a whole number", shorten(text)), "write a whole number such as 10"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for f64 {
    const LITERAL: bool = true;

    fn parse(text: &str) -> Result<Self, Refused> {
        match text.parse::<Self>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Refused::new(format!("'{}' is not a number", shorten(text)), "write a number such as 0.8")),
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Timestamp {
    fn parse(text: &str) -> Result<Self, Refused> {
        Self::parse(text)
            .map_err(|refused| Refused::new(refused.to_string(), "write a date and time such as 2026-01-31T12:00:00Z"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Leaf for Duration {
    fn parse(text: &str) -> Result<Self, Refused> {
        Self::new(text).ok_or_else(|| {
            Refused::new(format!("'{}' is not a duration", shorten(text)), "write a duration such as P30D, PT12H or PT5M")
        })
    }

    fn to_text(&self) -> String {
        self.text.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Duration, Leaf};
    use crate::time::Timestamp;

    #[test]
    fn durations_are_those_of_xml_schema() {
        let parts = |text| Duration::new(text).map(|d| (d.months, d.millis));
        assert_eq!(parts("P1Y2M"), Some((14, 0)));
        assert_eq!(parts("P30D"), Some((0, 30 * 86_400_000)));
        assert_eq!(parts("-PT5.25S"), Some((0, -5250)));
        assert_eq!(parts(" P1W "), Some((0, 7 * 86_400_000)));
        for wrong in ["", "P", "PT", "P-1D", "5m", "30", "1 day", "P1D2", "P99999999999999999999D"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn months_follow_the_calendar() {
        let time = |text| Timestamp::parse(text).unwrap();
        let month = Duration::new("P1M").unwrap();
        assert_eq!(month.after(time("2026-01-31T10:00:00Z")), Some(time("2026-02-28T10:00:00Z")));
        assert_eq!(month.before(time("2026-03-31T10:00:00Z")), Some(time("2026-02-28T10:00:00Z")));
        assert_eq!(month.after(Timestamp::from_millis(i64::MAX)), None);
    }

    #[test]
    fn only_texts_of_several_lines_keep_their_indentation() {
        assert_eq!(String::bare("  a b\n"), "a b");
        assert_eq!(String::bare("\n  \n    if (x)\n      y\n  "), "    if (x)\n      y");
    }
}
