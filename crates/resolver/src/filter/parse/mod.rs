//! The query language, read: a text becomes a [`Filter`].
//!
//! Recursive descent over the characters. What is nested, and how long a text is, is bounded; every error has its exact place.

pub(super) mod clause;
pub(super) mod lexical;

use std::sync::Arc;

use tidelock_model::document::Scope;
use tidelock_model::filter::{Filter, ItemPath, NotAPath, WrittenAt};
use tidelock_model::name::ns;
use tidelock_model::{Diagnostic, Place};

use self::lexical::{Cursor, Fault, Read};
use super::SYNTAX;

/// How deep brackets may be nested.
pub const MAX_DEPTH: usize = 64;
/// How long a query may be, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// Reads a query.
///
/// `place` is where the text begins: errors are placed relative to it, and the first line and column are assumed where it is not
/// known. `scope` gives the prefixes; the well-known ones need no declaration.
///
/// # Errors
/// `query-syntax`; `undeclared-prefix` and `unknown-matching-rule`.
pub fn parse(text: &str, place: &Place, scope: &Scope) -> Result<Filter, Diagnostic> {
    if text.len() > MAX_LENGTH {
        return Err(Diagnostic::error(SYNTAX, place, format!("a query has at most {MAX_LENGTH} bytes, and this one has more"))
            .with_help("split the set of objects, or move long lists of values into a condition on an item"));
    }
    let mut parser =
        Parser { cursor: Cursor { text, at: 0 }, scope, start: place, mark: (0, 0, 0), depth: 0, pseudo_items: false };
    parser.whole().map_err(|fault| {
        let diagnostic = Diagnostic::error(fault.code, &place_in(text, fault.at, place), fault.message);
        match fault.help {
            Some(help) => diagnostic.with_help(help),
            None => diagnostic,
        }
    })
}

/// Where a byte of a text is, given where the text begins.
fn place_in(text: &str, at: usize, start: &Place) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let lines = before.bytes().filter(|b| *b == b'\n').count();
    let columns = before.rsplit('\n').next().unwrap_or_default().chars().count();
    offset_place(start, lines, columns)
}

fn offset_place(start: &Place, lines: usize, columns: usize) -> Place {
    let [lines, columns] = [lines, columns].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Place {
        file: start.file.clone(),
        line: start.line.max(1).saturating_add(lines),
        column: if lines == 0 { start.column.max(1) } else { 1 }.saturating_add(columns),
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    scope: &'a Scope,
    start: &'a Place,
    /// How far lines and columns have been counted: byte, lines, columns. Clauses come in order, so each byte counts once.
    mark: (usize, usize, usize),
    depth: usize,
    /// Whether `@type` and the like may stand here.
    pseudo_items: bool,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Read<Filter> {
        self.cursor.skip_space()?;
        if self.cursor.peek().is_none() {
            return Err(Fault::new(0, "the query is empty").with_help("a query for every object is '. all'"));
        }
        let filter = self.disjunction()?;
        if self.cursor.peek().is_none() { Ok(filter) } else { Err(self.unexpected("'and', 'or' or the end")) }
    }

    /// Clauses joined by OR, which joins less tightly than AND. Space behind it is passed over.
    fn disjunction(&mut self) -> Read<Filter> {
        let first = self.conjunction()?;
        if !self.cursor.eat_word("or", "OR") {
            return Ok(first);
        }
        let mut parts = vec![first, self.conjunction()?];
        while self.cursor.eat_word("or", "OR") {
            parts.push(self.conjunction()?);
        }
        Ok(Filter::Or(parts))
    }

    fn conjunction(&mut self) -> Read<Filter> {
        let first = self.part()?;
        if !self.cursor.eat_word("and", "AND") {
            return Ok(first);
        }
        let mut parts = vec![first, self.part()?];
        while self.cursor.eat_word("and", "AND") {
            parts.push(self.part()?);
        }
        Ok(Filter::And(parts))
    }

    /// A clause, a filter in brackets, or a negated one. Space around it is passed over.
    fn part(&mut self) -> Read<Filter> {
        self.cursor.skip_space()?;
        let at = self.cursor.at;
        let filter = if self.cursor.peek() == Some(b'(') {
            self.bracketed(false)?
        } else if self.cursor.eat_word("not", "NOT") {
            self.cursor.skip_space()?;
            if self.cursor.peek() != Some(b'(') {
                return Err(Fault::new(at, "'not' needs a filter in brackets behind it")
                    .with_help("write not (a = 1), or put 'not' before the operator: a not = 1"));
            }
            self.bracketed(false)?.negated()
        } else {
            self.clause()?
        };
        self.cursor.skip_space()?;
        Ok(filter)
    }

    /// A filter in brackets, at the first of which the cursor is.
    fn bracketed(&mut self, pseudo_items: bool) -> Read<Filter> {
        let open = self.cursor.at;
        if self.depth == MAX_DEPTH {
            return Err(Fault::new(open, format!("brackets are nested more than {MAX_DEPTH} deep"))
                .with_help("take away brackets that change nothing: 'and' binds tighter than 'or'"));
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.pseudo_items, pseudo_items);
        self.cursor.at += 1;
        let filter = self.disjunction()?;
        self.pseudo_items = outer;
        self.depth -= 1;
        if self.cursor.eat(b')') {
            return Ok(filter);
        }
        Err(match self.cursor.peek() {
            None => Fault::new(open, "this '(' is never closed"),
            Some(_) => self.unexpected("'and', 'or' or ')'"),
        })
    }

    /// What stands here, although only the end of a clause can.
    fn unexpected(&self, expected: &str) -> Box<Fault> {
        let at = self.cursor.at;
        let fault = Fault::new(at, format!("expected {expected}, found {}", self.cursor.found(at)));
        let word = self.cursor.word();
        let rest = self.cursor.rest();
        let lower = word.to_ascii_lowercase();
        let help = if matches!(lower.as_str(), "and" | "or") {
            format!("write '{lower}' all in lower or all in upper case")
        } else if let Some(near) = tidelock_model::definition::nearest(word, ["and", "or"]) {
            format!("did you mean '{near}'?")
        } else if rest.starts_with("&&") || rest.starts_with(',') {
            "join filters with 'and'".to_owned()
        } else if rest.starts_with("||") {
            "join filters with 'or'".to_owned()
        } else if rest.starts_with(')') {
            "this ')' closes nothing".to_owned()
        } else {
            return fault;
        };
        fault.with_help(help)
    }

    /// The path that begins here.
    fn path(&mut self) -> Read<ItemPath> {
        let start = self.cursor.at;
        let scope = self.scope;
        let mut resolve = |prefix: &str| scope.lookup(prefix).or_else(|| ns::of_prefix(prefix)).map(Arc::from);
        match ItemPath::scan(self.cursor.rest(), &mut resolve) {
            Ok((path, length)) => {
                self.cursor.at += length;
                Ok(path)
            }
            Err(NotAPath { offset, kind }) => {
                use tidelock_model::filter::path::NotAPathKind;
                let mut fault = Fault::new(start + offset, kind.to_string());
                if let NotAPathKind::UndeclaredPrefix(prefix) = &kind {
                    fault.code = "undeclared-prefix";
                    fault.help = Some(format!("declare '{prefix}', or write {{namespace}}name"));
                }
                Err(fault)
            }
        }
    }

    /// The place of a byte, which may not be before the last one asked for.
    fn written_at(&mut self, at: usize) -> WrittenAt {
        let (from, mut lines, mut columns) = self.mark;
        for byte in self.cursor.text.as_bytes().get(from..at).unwrap_or_default() {
            match byte {
                b'\n' => (lines, columns) = (lines + 1, 0),
                // The further bytes of a character.
                0x80..0xC0 => {}
                _ => columns += 1,
            }
        }
        self.mark = (at.max(from), lines, columns);
        WrittenAt(offset_place(self.start, lines, columns))
    }
}
