//! The characters of the query language: space, comments, texts, scripts, numbers and words.

use tidelock_model::filter::path::identifier_length;

/// What is wrong with a query, and where, in bytes from its start.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// The result of reading a part. The error is boxed, as it is rare and large.
pub(super) type Read<T> = Result<T, Box<Fault>>;

impl Fault {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { at, code: super::SYNTAX, message: message.into(), help: None })
    }

    pub(super) fn with_help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = Some(help.into());
        self
    }
}

/// A place in a query.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn peek_second(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at + 1).copied()
    }

    /// Passes over this ASCII character, if it is there.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Passes over space and comments.
    pub(super) fn skip_space(&mut self) -> Read<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.peek_second() == Some(b'/') => {
                    self.at += self.rest().find('\n').unwrap_or(self.rest().len());
                }
                Some(b'/') if self.peek_second() == Some(b'*') => match self.rest()[2..].find("*/") {
                    Some(length) => self.at += length + 4,
                    None => return Err(Fault::new(self.at, "this comment is never closed").with_help("close it with */")),
                },
                Some(byte) if !byte.is_ascii() => match self.rest().chars().next() {
                    // A no-break space that came with a pasted query is meant as a space.
                    Some(c) if c.is_whitespace() || c == '\u{feff}' => self.at += c.len_utf8(),
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
    }

    /// The word here, which is not passed over. Empty if there is none.
    pub(super) fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..identifier_length(rest)]
    }

    /// Passes over this word, if it is the whole one here.
    pub(super) fn eat_word(&mut self, lower: &str, upper: &str) -> bool {
        // Cheaper than finding the word's end: it hardly ever begins like this.
        if !self.rest().starts_with(lower) && !self.rest().starts_with(upper) {
            return false;
        }
        let whole = self.word().len() == lower.len();
        self.at += if whole { lower.len() } else { 0 };
        whole
    }

    /// A text in single, double or triple quotes, or a script in back-ticks. The cursor is at the first quote.
    ///
    /// In a single line only the quote itself can be escaped, with a backslash; any other backslash is one. Three quotes and
    /// the end of the line begin a text of several lines, in which nothing is escaped and which three quotes end; more quotes at
    /// the beginning need as many at the end, so that any text can be written.
    pub(super) fn quoted(&mut self) -> Read<String> {
        let open = self.at;
        let quote = self.text.as_bytes()[open];
        let rest = self.rest().as_bytes();
        let fence = rest.iter().take_while(|b| **b == quote).count();
        if fence >= 3 && quote != b'\'' {
            let after = &rest[fence..];
            let line_end = if after.starts_with(b"\n") { 1 } else { 2 * usize::from(after.starts_with(b"\r\n")) };
            if line_end > 0 {
                return self.multi_line(open, quote, fence, open + fence + line_end);
            }
        }
        let mut content = String::new();
        let mut from = open + 1;
        let mut at = from;
        loop {
            match self.text.as_bytes().get(at) {
                Some(b'\\') if self.text.as_bytes().get(at + 1) == Some(&quote) => {
                    content.push_str(&self.text[from..at]);
                    // The quote is the first character of what comes next.
                    from = at + 1;
                    at += 2;
                }
                Some(byte) if *byte == quote => {
                    content.push_str(&self.text[from..at]);
                    self.at = at + 1;
                    return Ok(content);
                }
                None | Some(b'\n' | b'\r') => return Err(never_closed(open, quote)),
                Some(_) => at += 1,
            }
        }
    }

    fn multi_line(&mut self, open: usize, quote: u8, fence: usize, start: usize) -> Read<String> {
        let bytes = self.text.as_bytes();
        let mut run = 0;
        for at in start..=bytes.len() {
            if bytes.get(at) == Some(&quote) {
                run += 1;
            } else if run >= fence {
                // Of a longer run the last quotes close; those before them belong to the text.
                self.at = at;
                return Ok(self.text[start..at - fence].to_owned());
            } else {
                run = 0;
            }
        }
        Err(Fault::new(open, "this text of several lines is never closed")
            .with_help(format!("close it with {}", char::from(quote).to_string().repeat(fence))))
    }

    /// A number, in the characters it is written with. The cursor is at its sign or first digit.
    pub(super) fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        let length = number_length(self.rest());
        if length == 0 {
            return Err(Fault::new(start, "a number is expected here, and there is '-'"));
        }
        self.at += length;
        // `.` and `-` may stand in words, so a date or an address without quotes is caught here and not one word later.
        if self.rest().chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | ':')) {
            return Err(Fault::new(start, "a number must end where it ends: other characters follow it at once")
                .with_help("put dates, times and texts into quotes"));
        }
        Ok(&self.text[start..self.at])
    }

    /// What a message calls whatever is at a place.
    pub(super) fn found(&self, at: usize) -> String {
        let rest = &self.text[at..];
        let word = identifier_length(rest);
        match rest.chars().next() {
            None => "the end".to_owned(),
            Some(_) if word > 0 => format!("'{}'", rest[..word].chars().take(40).collect::<String>()),
            Some('"' | '\'') => "a text".to_owned(),
            Some('`') => "a script".to_owned(),
            Some('0'..='9') => "a number".to_owned(),
            Some(c) => format!("'{}'", c.escape_debug()),
        }
    }
}

/// Whether a text is a number as the query language writes it.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && number_length(text) == text.len()
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(sign);
    if whole == 0 {
        return 0;
    }
    let mut length = sign + whole;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        length += if fraction > 0 { fraction + 1 } else { 0 };
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        length += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    length
}

fn never_closed(open: usize, quote: u8) -> Box<Fault> {
    let quote = char::from(quote);
    Fault::new(open, format!("this {quote} is never closed on its line")).with_help(if quote == '\'' {
        "close it, or use \"\"\" and a new line to begin a text of several lines; a text cannot end in a backslash here"
            .to_owned()
    } else {
        format!("close it, or use {quote}{quote}{quote} and a new line to begin several lines")
    })
}
