//! Writing YAML, in block style.

use crate::document::write::Value;
use crate::document::write_json::write_string;
use crate::document::yaml::is_literal;

pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, 0, &mut out);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Writes a value that stands at a depth; what comes before it on its line has been written.
fn write_value(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Literal(text) if is_literal(text) => out.push_str(text),
        Value::Text(text) | Value::Literal(text) => write_scalar(text, depth, out),
        Value::List(values) if values.is_empty() => out.push_str("[]"),
        Value::Map(entries) if entries.is_empty() => out.push_str("{}"),
        Value::List(values) => {
            for (at, value) in values.iter().enumerate() {
                if at > 0 || !out.is_empty() && !out.ends_with("- ") {
                    new_line(depth, out);
                }
                out.push_str("- ");
                write_value(value, depth + 1, out);
            }
        }
        Value::Map(entries) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                // A map in a list begins on the line of its dash.
                if at > 0 || !out.is_empty() && !out.ends_with("- ") {
                    new_line(depth, out);
                }
                if is_plain(key) {
                    out.push_str(key)
                } else {
                    write_string(key, out)
                }
                out.push(':');
                if !matches!(value, Value::List(values) if !values.is_empty())
                    && !matches!(value, Value::Map(entries) if !entries.is_empty())
                {
                    out.push(' ');
                }
                write_value(value, depth + 1, out);
            }
        }
    }
}

fn new_line(depth: usize, out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n("  ", depth));
}

fn write_scalar(text: &str, depth: usize, out: &mut String) {
    if is_plain(text) {
        out.push_str(text);
    } else if is_block(text) {
        out.push('|');
        if text.starts_with(' ') {
            // Else the first line's indentation would be taken for that of the block.
            out.push('2');
        }
        if !text.ends_with('\n') {
            out.push('-');
        }
        for line in text.lines() {
            out.push('\n');
            if !line.is_empty() {
                out.extend(std::iter::repeat_n("  ", depth));
                out.push_str(line);
            }
        }
        out.push('\n');
    } else {
        write_string(text, out);
    }
}

/// Whether a text may stand without quotes and be read as the same text, by every reader of YAML.
fn is_plain(text: &str) -> bool {
    const OTHERWISE: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' '))
        && !text.ends_with(' ')
        && text.len() < 120
        && !OTHERWISE.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text of several lines may be written as a block.
fn is_block(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with(['\n', '\t'])
        && body.chars().all(|c| c == '\n' || !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}'))
        && body.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}
