//! Several values in one cell.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// What stands between the values of a cell: midPoint's regular expression.
#[derive(Clone)]
pub struct Splitter(Kind);

#[derive(Clone)]
enum Kind {
    Literal(char),
    Regex(Regex),
}

impl Splitter {
    /// Reads a delimiter.
    ///
    /// # Errors
    /// A sentence on what is wrong with it, and the cure.
    pub fn new(pattern: &str) -> Result<Self, (String, String)> {
        if let Some(literal) = literal(pattern) {
            return Ok(Self(Kind::Literal(literal)));
        }
        let regex = RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "the delimiter is a regular expression without look-around and back-references; a special character \
                        stands for itself behind a backslash, as in '\\|'";
            (format!("the multi-value delimiter is not a regular expression we can use: {reason}"), help.to_owned())
        })?;
        if regex.is_match("") {
            let help = match pattern {
                "|" | "*" | "?" | "^" | "$" => format!("write '\\{pattern}' for the character itself"),
                _ => "write an expression that matches at least one character".to_owned(),
            };
            return Err(("the multi-value delimiter matches an empty text".to_owned(), help));
        }
        Ok(Self(Kind::Regex(regex)))
    }

    /// The values of a cell, those that are empty left out.
    pub(crate) fn split<'a>(&'a self, cell: &'a str, mut each: impl FnMut(&'a str)) {
        let mut some = |value: &'a str| {
            if !value.is_empty() {
                each(value);
            }
        };
        match &self.0 {
            Kind::Literal(delimiter) => cell.split(*delimiter).for_each(&mut some),
            Kind::Regex(regex) => regex.split(cell).for_each(&mut some),
        }
    }
}

impl fmt::Debug for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Literal(delimiter) => write!(f, "{delimiter:?}"),
            Kind::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

/// The one character that a pattern stands for, if it is that simple.
fn literal(pattern: &str) -> Option<char> {
    let special = |c: char| regex::escape(c.encode_utf8(&mut [0; 4])).len() > c.len_utf8();
    let mut characters = pattern.chars();
    match (characters.next()?, characters.next(), characters.next()) {
        ('\\', Some(c), None) if c.is_ascii_punctuation() => Some(c),
        (c, None, None) if !special(c) => Some(c),
        _ => None,
    }
}
