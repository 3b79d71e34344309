//! Splitting text into records and fields.
//!
//! This is our own, because what a reader of identities must know is what general readers do not say: the line on which a
//! record starts, whether the last quote was ever closed, whether the last line was ended, and an end to how much one
//! unclosed quote may swallow. The dialect (an escape outside quotes, spaces before a quote) is that of the files we meet.

use std::io;

/// The longest record that is kept; a longer one is skipped, and reported.
pub(crate) const MAX_RECORD: usize = 16 << 20;

/// The most fields of a record that are kept; further ones are only counted.
pub(crate) const MAX_FIELDS: usize = 1 << 14;

/// How fields and records are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Stands between two fields. An ASCII character, as are all that follow.
    pub delimiter: u8,
    /// Encloses fields that hold delimiters or line breaks; doubled, it stands for itself.
    pub quote: Option<u8>,
    /// Takes the special meaning from the delimiter, quote, comment marker, line break or escape that follows it. Before
    /// any other character it is an ordinary one.
    pub escape: Option<u8>,
    /// At the start of a line, makes the line a comment.
    pub comment: Option<u8>,
    /// Whether spaces and tabs around fields, outside their quotes, mean nothing.
    pub ignore_surrounding_spaces: bool,
}

/// One record; reused from record to record.
#[derive(Default)]
pub(crate) struct Record {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// How many fields there are, those beyond [`MAX_FIELDS`] included.
    pub(crate) fields: usize,
    /// The row, counted as a spreadsheet shows it: every record, comment and empty line is one.
    pub(crate) row: u64,
    /// The line on which it starts.
    pub(crate) line: u64,
    /// Whether a line break ended it, rather than the end of the file.
    pub(crate) terminated: bool,
    /// What is wrong with it, where something is.
    pub(crate) flaw: Option<Flaw>,
}

/// Why a record cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The file ends within quotes.
    OpenQuote,
    /// More than [`MAX_RECORD`].
    TooLong,
    /// Something between a closing quote and the delimiter.
    TextAfterQuote,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A record.
    Record,
    /// A line without anything in it.
    Blank,
    /// A comment.
    Comment,
    /// Nothing: the end of the file.
    End,
}

/// Where bytes come from: text in UTF-8, but for what could not be decoded.
pub(crate) trait Text {
    /// The bytes at hand, more of them if there were none; empty at the end only.
    fn fill(&mut self) -> io::Result<&[u8]>;
    /// Moves on.
    fn consume(&mut self, bytes: usize);
}

/// The reader's state between two bytes.
pub(crate) struct Tokenizer {
    dialect: Dialect,
    ends_plain: [bool; 256],
    ends_quoted: [bool; 256],
    state: State,
    line: u64,
    row: u64,
    after_cr: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    RecordStart,
    FieldStart,
    Plain,
    PlainEscape,
    Quoted,
    QuotedEscape,
    QuoteInQuoted,
    AfterQuote,
    Comment,
}

impl Record {
    /// The text of the whole record, if all of it is valid; to be handed to [`Record::field`].
    pub(crate) fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        // Two halves of a character on both sides of a delimiter make a valid text, but no valid fields.
        self.ends.iter().all(|end| text.is_char_boundary(*end as usize)).then_some(text)
    }

    /// A field of the record's text; empty beyond the last one.
    pub(crate) fn field<'a>(&self, text: &'a str, index: usize) -> &'a str {
        let start = if index == 0 { Some(0) } else { self.ends.get(index - 1).map(|end| *end as usize) };
        match (start, self.ends.get(index)) {
            (Some(start), Some(end)) => text.get(start..*end as usize).unwrap_or_default(),
            _ => "",
        }
    }

    /// A field of a record that is not all text, if the field is.
    pub(crate) fn readable_field(&self, index: usize) -> Option<&str> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).map(|end| *end as usize))?;
        std::str::from_utf8(self.bytes.get(start..*self.ends.get(index)? as usize)?).ok()
    }

    /// Where the fields end in the record's text.
    pub(crate) fn ends(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().map(|end| *end as usize)
    }

    /// Takes away the last field if it is empty: what a delimiter at the end of the line leaves.
    pub(crate) fn drop_empty_last_field(&mut self) {
        let last_start = self.ends.len().checked_sub(2).map_or(0, |at| self.ends[at]);
        if self.fields > 1 && self.fields == self.ends.len() && self.ends.last() == Some(&last_start) {
            self.ends.pop();
            self.fields -= 1;
        }
    }

    /// Makes it a record of one empty field.
    pub(crate) fn make_blank(&mut self) {
        self.end_field();
    }

    /// Whether there is nothing but spaces in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.flaw.is_none() && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// About how long it is in the file.
    pub(crate) fn length(&self) -> u64 {
        (self.bytes.len() + self.fields) as u64
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.fields = 0;
        self.terminated = true;
        self.flaw = None;
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() <= MAX_RECORD {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.flaw = Some(Flaw::TooLong);
        }
    }

    fn end_field(&mut self) {
        if self.ends.len() < MAX_FIELDS {
            // `append` keeps the length far below the limit of the type.
            self.ends.push(self.bytes.len() as u32);
        }
        self.fields += 1;
    }

    fn trim_end(&mut self) {
        let start = self.ends.last().map_or(0, |end| *end as usize);
        while self.bytes.len() > start && matches!(self.bytes.last(), Some(b' ' | b'\t')) {
            self.bytes.pop();
        }
    }
}

impl Tokenizer {
    pub(crate) fn new(dialect: &Dialect) -> Self {
        let mut dialect = dialect.clone();
        // A quote that escapes is the doubled quote, which is understood anyway.
        if dialect.escape == dialect.quote {
            dialect.escape = None;
        }
        let special = |bytes: &[Option<u8>]| {
            let mut table = [false; 256];
            for byte in bytes.iter().flatten() {
                table[usize::from(*byte)] = true;
            }
            table
        };
        Self {
            ends_plain: special(&[Some(b'\r'), Some(b'\n'), Some(dialect.delimiter), dialect.escape]),
            ends_quoted: special(&[Some(b'\r'), Some(b'\n'), dialect.quote, dialect.escape]),
            dialect,
            state: State::RecordStart,
            line: 1,
            row: 0,
            after_cr: false,
        }
    }

    /// Reads to the end of the next record, blank line or comment.
    pub(crate) fn read(&mut self, text: &mut impl Text, record: &mut Record) -> io::Result<Next> {
        record.clear();
        loop {
            let chunk = text.fill()?;
            let (used, next) = if chunk.is_empty() { (0, Some(self.finish(record))) } else { self.step(chunk, record) };
            text.consume(used);
            if let Some(next) = next {
                self.row += 1;
                record.row = self.row;
                return Ok(next);
            }
        }
    }

    /// Goes through a chunk to its end, or to the end of the record; says how far it came.
    fn step(&mut self, chunk: &[u8], record: &mut Record) -> (usize, Option<Next>) {
        let mut at = 0;
        while let Some(&byte) = chunk.get(at) {
            let line_break = matches!(byte, b'\r' | b'\n');
            match self.state {
                State::RecordStart => {
                    record.line = self.line;
                    if line_break {
                        at += 1;
                        if self.line_break(byte) {
                            return (at, Some(Next::Blank));
                        }
                        continue;
                    }
                    self.after_cr = false;
                    self.state = if self.dialect.comment == Some(byte) { State::Comment } else { State::FieldStart };
                }
                State::FieldStart => {
                    if self.dialect.ignore_surrounding_spaces && self.is_space(byte) {
                        at += 1;
                    } else if self.dialect.quote == Some(byte) {
                        at += 1;
                        self.state = State::Quoted;
                    } else {
                        self.state = State::Plain;
                    }
                }
                State::Plain => {
                    at += copy_run(&chunk[at..], &self.ends_plain, record);
                    let Some(&byte) = chunk.get(at) else { break };
                    at += 1;
                    if byte == self.dialect.delimiter || matches!(byte, b'\r' | b'\n') {
                        if self.dialect.ignore_surrounding_spaces {
                            record.trim_end();
                        }
                        if self.end_field(byte, record) {
                            return (at, Some(Next::Record));
                        }
                    } else {
                        self.state = State::PlainEscape;
                    }
                }
                State::PlainEscape => {
                    at += self.escaped(byte, record);
                    self.state = State::Plain;
                }
                State::Quoted => {
                    let run = copy_run(&chunk[at..], &self.ends_quoted, record);
                    self.after_cr &= run == 0;
                    at += run;
                    let Some(&byte) = chunk.get(at) else { break };
                    at += 1;
                    if matches!(byte, b'\r' | b'\n') {
                        self.line_break(byte);
                        record.append(&[byte]);
                    } else {
                        self.after_cr = false;
                        let quote = self.dialect.quote == Some(byte);
                        self.state = if quote { State::QuoteInQuoted } else { State::QuotedEscape };
                    }
                }
                State::QuotedEscape => {
                    at += self.escaped(byte, record);
                    self.state = State::Quoted;
                }
                State::QuoteInQuoted => {
                    if self.dialect.quote == Some(byte) {
                        at += 1;
                        record.append(&[byte]);
                        self.state = State::Quoted;
                    } else {
                        self.state = State::AfterQuote;
                    }
                }
                State::AfterQuote => {
                    if byte == self.dialect.delimiter || line_break {
                        at += 1;
                        if self.end_field(byte, record) {
                            return (at, Some(Next::Record));
                        }
                    } else if self.is_space(byte) {
                        at += 1;
                    } else {
                        record.flaw.get_or_insert(Flaw::TextAfterQuote);
                        self.state = State::Plain;
                    }
                }
                State::Comment => {
                    at += 1;
                    if line_break {
                        self.line_break(byte);
                        self.state = State::RecordStart;
                        return (at, Some(Next::Comment));
                    }
                }
            }
        }
        (at, None)
    }

    /// Ends what was begun when the file ended.
    fn finish(&mut self, record: &mut Record) -> Next {
        let state = std::mem::replace(&mut self.state, State::RecordStart);
        record.terminated = false;
        match state {
            State::RecordStart => return Next::End,
            State::Comment => return Next::Comment,
            State::Quoted | State::QuotedEscape => record.flaw = Some(Flaw::OpenQuote),
            State::PlainEscape => record.append(self.dialect.escape.as_slice()),
            State::Plain if self.dialect.ignore_surrounding_spaces => record.trim_end(),
            State::FieldStart | State::Plain | State::QuoteInQuoted | State::AfterQuote => {}
        }
        record.end_field();
        Next::Record
    }

    /// Ends a field with the delimiter or a line break; whether it was the record's last.
    fn end_field(&mut self, byte: u8, record: &mut Record) -> bool {
        record.end_field();
        if byte == self.dialect.delimiter {
            self.state = State::FieldStart;
            return false;
        }
        self.line_break(byte);
        self.state = State::RecordStart;
        true
    }

    /// Counts a line break; whether it begins one, rather than being the second half of CR LF.
    fn line_break(&mut self, byte: u8) -> bool {
        let second_half = byte == b'\n' && self.after_cr;
        self.after_cr = byte == b'\r';
        if !second_half {
            self.line += 1;
        }
        !second_half
    }

    /// Takes the byte behind an escape; returns how many bytes that were.
    fn escaped(&mut self, byte: u8, record: &mut Record) -> usize {
        let line_break = matches!(byte, b'\r' | b'\n');
        let special = [self.dialect.quote, self.dialect.escape, self.dialect.comment, Some(self.dialect.delimiter)];
        if line_break {
            self.line_break(byte);
        } else if !special.contains(&Some(byte)) {
            record.append(self.dialect.escape.as_slice());
            return 0;
        }
        record.append(&[byte]);
        1
    }

    fn is_space(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t') && byte != self.dialect.delimiter
    }
}

/// Copies what comes before the next byte that matters; returns how much that was.
fn copy_run(bytes: &[u8], ends: &[bool; 256], record: &mut Record) -> usize {
    let run = bytes.iter().position(|byte| ends[usize::from(*byte)]).unwrap_or(bytes.len());
    record.append(&bytes[..run]);
    run
}

#[cfg(test)]
mod tests;
