//! What the readers share: decoding, places, limits, and which characters and names may be.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place};

/// The largest document that is read.
pub(super) const MAX_BYTES: usize = 64 << 20;
/// The deepest nesting of elements that is read.
pub(super) const MAX_DEPTH: usize = 128;
/// The most attributes of one element, declarations of namespaces included.
pub(super) const MAX_ATTRIBUTES: usize = 256;

/// The most elements and attributes of a document: small ones cost far more memory than their text.
pub(super) const MAX_NODES: usize = 4_000_000;

/// Where byte offsets are in a text. Cheap for offsets that grow.
pub(super) struct Places<'a> {
    text: &'a [u8],
    file: Option<Arc<str>>,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a [u8], file: Option<Arc<str>>) -> Self {
        Self { text, file, offset: 0, line: 1, column: 1 }
    }

    pub(super) fn at(&mut self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        if offset < self.offset {
            (self.offset, self.line, self.column) = (0, 1, 1);
        }
        for byte in &self.text[self.offset..offset] {
            match byte {
                b'\n' => (self.line, self.column) = (self.line.saturating_add(1), 1),
                // A column is a character: the bytes that continue one do not count.
                0x80..=0xBF => {}
                _ => self.column = self.column.saturating_add(1),
            }
        }
        self.offset = offset;
        Place { file: self.file.clone(), line: self.line, column: self.column }
    }
}

/// The text of a document: UTF-8, with or without a byte order mark, within the limit of size.
pub(super) fn decode<'a>(bytes: &'a [u8], file: Option<&Arc<str>>) -> Result<&'a str, Diagnostic> {
    let file = file.cloned();
    if bytes.len() > MAX_BYTES {
        let message = format!("the document has {} MiB; {} MiB is the most that is read", bytes.len() >> 20, MAX_BYTES >> 20);
        return Err(syntax(&Places::new(&[], file).at(0), message, "split it into several files"));
    }
    let utf16 = bytes.starts_with(&[0xFE, 0xFF])
        || bytes.starts_with(&[0xFF, 0xFE])
        || matches!(bytes, [0, first, ..] | [first, 0, ..] if first.is_ascii_graphic());
    if utf16 {
        return Err(syntax(&Places::new(&[], file).at(0), "the document is UTF-16", "save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let place = Places::new(bytes, file).at(error.valid_up_to());
        syntax(&place, "the document is not UTF-8 from here on", "save it as UTF-8; other encodings are not read")
    })
}

/// The document has more than [`MAX_NODES`].
pub(super) fn too_many(place: &Place) -> Diagnostic {
    syntax(place, format!("the document has more than {MAX_NODES} elements"), "split it into several files")
}

/// An error of form, with its cure.
pub(super) fn syntax(place: &Place, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    Diagnostic::error("syntax", place, message).with_help(help)
}

/// Whether XML allows a character at all; texts of JSON and YAML are held to the same.
pub(super) fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..) && !('\u{FFFE}'..='\u{FFFF}').contains(&c)
}

/// Where a text has a character that is not allowed.
pub(super) fn first_forbidden(text: &str) -> Option<usize> {
    // Bytes are enough: what is forbidden is below space, or one of two characters that begin with EF BF.
    text.bytes().enumerate().position(|(at, byte)| match byte {
        b'\t' | b'\n' | b'\r' => false,
        0..0x20 => true,
        0xEF => text.as_bytes()[at..].starts_with(&[0xEF, 0xBF, 0xBE]) || text.as_bytes()[at..].starts_with(&[0xEF, 0xBF, 0xBF]),
        _ => false,
    })
}

/// Whether a text is a name without a colon, as XML has it.
pub(super) fn is_ncname(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

pub(super) fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}'
        | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

pub(super) fn is_name_char(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// A name, with what XML does not allow in one as `_xHHHH_`. Only names from JSON and YAML ever need it. [`plain_name`] is the way back.
pub(super) fn escaped_name(local: &str) -> Cow<'_, str> {
    if is_ncname(local) && !local.contains("_x") {
        return Cow::Borrowed(local);
    }
    let mut name = String::with_capacity(local.len());
    for (at, c) in local.char_indices() {
        let fine = if at == 0 { is_name_start(c) } else { is_name_char(c) };
        if fine && !(c == '_' && escape(&local[at..]).is_some()) {
            name.push(c);
        } else {
            name += &format!("_x{:04X}_", u32::from(c));
        }
    }
    if name.is_empty() { Cow::Borrowed("_") } else { Cow::Owned(name) }
}

/// The name that XML has in this form. What only looks like an escape, and is not written so here, stands for itself.
pub(super) fn plain_name(name: &str) -> Cow<'_, str> {
    if !name.contains("_x") {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let (c, length) = escape(rest).unwrap_or((c, c.len_utf8()));
        plain.push(c);
        rest = &rest[length..];
    }
    // What keys cannot hold either has no way through JSON and YAML.
    let is_key = plain.trim() == plain && !plain.contains('#') && plain.chars().all(is_allowed);
    if is_key && escaped_name(&plain) == name { Cow::Owned(plain) } else { Cow::Borrowed(name) }
}

/// The character that a text begins with in the form `_xHHHH_`, and how long that is.
fn escape(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("_x")?.split_once('_')?.0;
    let is_hex = (4..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    let c = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)?;
    Some((c, digits.len() + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_gives_back_every_name() {
        for name in ["plain", "a b", "{x", "1", "_x0020_", "__x007B_", "_x_x0041_x0041_", "a_x", "é\u{10FFFF}", "_x12_", "a:b"] {
            let escaped = escaped_name(name);
            assert!(is_ncname(&escaped), "{name} as {escaped}");
            assert_eq!(plain_name(&escaped), name, "by {escaped}");
        }
        assert_eq!(escaped_name("a b"), "a_x0020_b");
        // Nothing that is written here: an element of somebody's who likes such names.
        assert_eq!(plain_name("_x0041_"), "_x0041_");
    }
}
