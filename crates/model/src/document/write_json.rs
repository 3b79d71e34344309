//! Writing JSON.

use crate::document::write::Value;
use crate::document::yaml::is_literal;

pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, 0, &mut out);
    out.push('\n');
    out
}

fn write_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Literal(text) if is_literal(text) => out.push_str(text),
        Value::Text(text) | Value::Literal(text) => write_string(text, out),
        Value::List(values) => write_all(values.iter().map(|value| (None, value)), ['[', ']'], depth, out),
        Value::Map(entries) => write_all(entries.iter().map(|(key, value)| (Some(key), value)), ['{', '}'], depth, out),
    }
}

fn write_all<'v>(
    values: impl ExactSizeIterator<Item = (Option<&'v String>, &'v Value)>,
    [open, close]: [char; 2],
    depth: usize,
    out: &mut String,
) {
    out.push(open);
    let last = values.len();
    for (at, (key, value)) in values.enumerate() {
        new_line(depth + 1, out);
        if let Some(key) = key {
            write_string(key, out);
            out.push_str(": ");
        }
        write_value(value, depth + 1, out);
        if at + 1 < last {
            out.push(',');
        } else {
            new_line(depth, out);
        }
    }
    out.push(close);
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Writes a string in quotes, such that both JSON and YAML read it back.
pub(crate) fn write_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            // All that need escaping are within sixteen bits.
            Some(c) => _ = write!(out, "\\u{:04x}", u32::from(c)),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Besides what JSON asks for: what YAML does not print, or takes for a line end.
fn needs_escape(c: char) -> bool {
    matches!(c, '"' | '\\' | '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}
