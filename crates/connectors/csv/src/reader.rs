//! Rows into objects: one pass over the file, on a thread of its own, handing over a page at a time.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use tidelock_connector_api::{Completeness, Error, Found, IncompleteReason, Result};
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::{MatchingRule, ResourceObject};
use tidelock_model::value::{Items, Value, Values};
use tokio::sync::mpsc::Sender;

use crate::config::CsvConfig;
use crate::multivalue::Splitter;
use crate::record::{Flaw, MAX_FIELDS, MAX_RECORD, Next, Record, Tokenizer};
use crate::schema::{Columns, OBJECT_CLASS};
use crate::source::Source;

/// What is handed over at once.
pub(crate) type Page = Vec<Result<Found>>;

/// How many rows make a page.
const PAGE: usize = 512;

/// How many rows are read before looking whether anybody still listens; more than a page where a filter drops many.
const STRETCH: usize = 16 * PAGE;

/// Reads the file to its end, or until nobody listens. The last item sent is the verdict, or the error that stopped it.
pub(crate) fn search(config: &CsvConfig, filter: &BoundFilter, pages: &Sender<Page>) {
    let end = match read(config, filter, pages) {
        Ok(Some(verdict)) => Ok(Found::End(verdict)),
        Ok(None) => return,
        Err(error) => Err(error),
    };
    // Nobody listening any more is nobody to tell.
    let _ = pages.blocking_send(vec![end]);
}

/// The columns of the file; none if it is empty.
pub(crate) fn columns(config: &CsvConfig) -> Result<Option<Columns>> {
    Reader::open(config)?.columns()
}

/// About how many rows the file has, judging by its first ones.
pub(crate) fn estimate(config: &CsvConfig) -> Result<u64> {
    const SAMPLE: u64 = 64 << 10;
    let mut reader = Reader::open(config)?;
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    let mut more = reader.next()?;
    while more && bytes < SAMPLE {
        rows += 1;
        bytes += reader.record.length();
        more = reader.next()?;
    }
    if more {
        // The length of a text is not that of its file in every encoding; for an estimate it will do.
        rows =
            u64::try_from(u128::from(reader.source.length()) * u128::from(rows) / u128::from(bytes.max(1))).unwrap_or(u64::MAX);
    }
    Ok(rows.saturating_sub(u64::from(config.header)))
}

/// One pass over the file. `None` if nobody listens any more.
fn read(config: &CsvConfig, filter: &BoundFilter, pages: &Sender<Page>) -> Result<Option<Completeness>> {
    let mut reader = Reader::open(config)?;
    let Some(columns) = reader.columns()? else {
        return Ok(Some(reader.verdict(None, None)));
    };
    let mut rows = Rows::new(config, columns, filter);
    let mut seen = 0;
    let mut truncated = None;
    let mut more = true;
    while more {
        rows.refresh();
        let mut page = Page::with_capacity(PAGE);
        for _ in 0..STRETCH {
            if page.len() == PAGE {
                break;
            }
            more = reader.next()?;
            if !more {
                break;
            }
            seen += 1;
            match rows.object(&reader) {
                Ok(Some(object)) => page.push(Ok(Found::Object(object))),
                Ok(None) => {}
                Err(problem) => {
                    let place = place(&reader.record);
                    if !reader.record.terminated && problem.may_be_a_cut() {
                        truncated = Some(format!("the file seems to end within {place}: {problem}"));
                    }
                    page.push(Err(Error::invalid_data(format!("{place}: {problem}"))));
                }
            }
        }
        let listening = if page.is_empty() { !pages.is_closed() } else { pages.blocking_send(page).is_ok() };
        if !listening {
            return Ok(None);
        }
    }
    Ok(Some(reader.verdict(Some(seen), truncated)))
}

/// The file, record by record.
struct Reader<'a> {
    config: &'a CsvConfig,
    source: Source,
    tokenizer: Tokenizer,
    record: Record,
    /// Whether the record at hand is still to be given: the first one, where there is no header.
    held: bool,
}

impl<'a> Reader<'a> {
    fn open(config: &'a CsvConfig) -> Result<Self> {
        let source = Source::open(&config.path, config.encoding)?;
        Ok(Self { config, source, tokenizer: Tokenizer::new(&config.dialect), record: Record::default(), held: false })
    }

    /// Goes to the next record; false at the end.
    fn next(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.held) {
            return Ok(true);
        }
        loop {
            let next = self.tokenizer.read(&mut self.source, &mut self.record).map_err(|error| self.source.error(error))?;
            match next {
                Next::Comment => {}
                Next::End => return Ok(false),
                Next::Blank if self.config.ignore_empty_lines => {}
                Next::Blank => {
                    self.record.make_blank();
                    return Ok(true);
                }
                Next::Record => {
                    if self.config.trailing_delimiter {
                        self.record.drop_empty_last_field();
                    }
                    if !(self.config.ignore_empty_lines && self.record.is_blank()) {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Reads the header; none if the file ends before it.
    fn columns(&mut self) -> Result<Option<Columns>> {
        loop {
            if !self.next()? {
                return Ok(None);
            }
            if !self.record.is_blank() {
                break;
            }
        }
        self.held = !self.config.header;
        let path = self.config.path.display();
        let bad = |problem: &dyn std::fmt::Display| Error::config(format!("{path}, {}: {problem}", place(&self.record)));
        let text = text(&self.record, &self.source).map_err(|problem| bad(&problem))?;
        if self.record.fields > MAX_FIELDS {
            return Err(bad(&format_args!("more than {MAX_FIELDS} columns")));
        }
        let cells = (0..self.record.fields).map(|index| value(self.config, self.record.field(text, index)));
        Columns::new(self.config, cells).map(Some)
    }

    /// Whether the file, having been read to its end, was all there; without a number of rows, it lacks even a header.
    fn verdict(&self, rows: Option<u64>, truncated: Option<String>) -> Completeness {
        if let Some(change) = self.source.change() {
            return Completeness::incomplete(IncompleteReason::Changed, change);
        }
        if let Some(message) = truncated {
            return Completeness::incomplete(IncompleteReason::Truncated, message);
        }
        match rows {
            None if self.config.header => {
                Completeness::incomplete(IncompleteReason::Empty, "the file is empty, it has not even a header")
            }
            None | Some(0) if !self.config.allow_empty => {
                Completeness::incomplete(IncompleteReason::Empty, "the file has no rows; if that can be right, set 'allowEmpty'")
            }
            _ => Completeness::Complete,
        }
    }
}

/// How rows become objects.
struct Rows<'a> {
    config: &'a CsvConfig,
    columns: Columns,
    class: Arc<str>,
    filter: &'a BoundFilter,
    wanted: Option<Wanted>,
    splitter: Option<&'a Splitter>,
    origin: String,
}

/// The identifiers that a filter asks for, where it asks for some: most rows can then be passed over unread.
struct Wanted {
    identifiers: HashSet<Box<str>>,
    rule: MatchingRule,
}

impl<'a> Rows<'a> {
    fn new(config: &'a CsvConfig, columns: Columns, filter: &'a BoundFilter) -> Self {
        let wanted = Wanted::of(filter, &columns.names[columns.unique]);
        let splitter = config.multi_value.as_ref().map(|multi| &multi.splitter);
        Self { config, columns, class: OBJECT_CLASS.into(), filter, wanted, splitter, origin: String::new() }
    }

    /// Makes the shared names anew, so that this thread and the one that drops the last page's objects do not count the
    /// same references at the same time.
    fn refresh(&mut self) {
        self.class = OBJECT_CLASS.into();
        for name in &mut self.columns.names {
            *name = Arc::from(&**name);
        }
    }

    /// The object of the record at hand, if it is wanted; or what is wrong with the record.
    fn object(&mut self, reader: &Reader<'_>) -> Result<Option<ResourceObject>, Problem> {
        let record = &reader.record;
        let text = text(record, &reader.source)?;
        let expected = self.columns.names.len();
        if record.fields != expected {
            return Err(Problem::Fields { found: record.fields, expected });
        }
        let cell = |index| value(self.config, record.field(text, index));
        let identifier = cell(self.columns.unique);
        if identifier.trim().is_empty() {
            return Err(Problem::NoIdentifier(Arc::clone(&self.columns.names[self.columns.unique])));
        }
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.has(identifier)) {
            return Ok(None);
        }
        let mut attributes = Items::with_capacity(expected);
        for (index, name) in self.columns.names.iter().enumerate() {
            if Some(index) == self.columns.password {
                continue;
            }
            let cell = cell(index);
            let mut values = Values::new();
            match self.splitter.filter(|_| self.columns.split[index]) {
                Some(splitter) => splitter.split(cell, |part| {
                    let part = value(self.config, part);
                    if !part.is_empty() {
                        values.push(Value::string(part));
                    }
                }),
                None if cell.is_empty() => {}
                None => values.push(Value::string(cell)),
            }
            attributes.push(Arc::clone(name), values);
        }
        if !self.filter.matches(&attributes) {
            return Ok(None);
        }
        self.origin.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.origin, "row {}", record.row);
        Ok(Some(ResourceObject::new(Arc::clone(&self.class), identifier, attributes).with_origin(self.origin.as_str())))
    }
}

impl Wanted {
    fn of(filter: &BoundFilter, unique: &str) -> Option<Self> {
        match filter {
            BoundFilter::Attribute { name, rule, condition: Condition::AnyOf(values) } if **name == *unique => {
                let identifiers = values.iter().map(|value| value.as_str().map(Box::from)).collect::<Option<_>>()?;
                Some(Self { identifiers, rule: *rule })
            }
            BoundFilter::And(parts) => parts.iter().find_map(|part| Self::of(part, unique)),
            _ => None,
        }
    }

    fn has(&self, identifier: &str) -> bool {
        self.identifiers.contains(&*self.rule.normalize(identifier))
    }
}

/// What is wrong with a record.
enum Problem {
    Flaw(Flaw),
    Fields { found: usize, expected: usize },
    Undecodable(&'static str),
    NoIdentifier(Arc<str>),
}

impl Problem {
    /// Whether a record at the very end of the file, without a line break, has this problem because the file was cut off.
    fn may_be_a_cut(&self) -> bool {
        match self {
            Self::Flaw(flaw) => *flaw == Flaw::OpenQuote,
            Self::Fields { found, expected } => found < expected,
            Self::Undecodable(_) => true,
            Self::NoIdentifier(_) => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(Flaw::OpenQuote) => f.write_str("a quote is not closed"),
            Self::Flaw(Flaw::TooLong) => write!(f, "longer than {} MiB; is a quote not closed?", MAX_RECORD >> 20),
            Self::Flaw(Flaw::TextAfterQuote) => f.write_str("text after a closing quote"),
            Self::Fields { found: 1, expected } => write!(f, "1 field where the header has {expected}"),
            Self::Fields { found, expected } => write!(f, "{found} fields where the header has {expected}"),
            Self::Undecodable(encoding) => write!(f, "bytes that are not {encoding}; is 'encoding' right?"),
            Self::NoIdentifier(column) => write!(f, "no value in the unique column '{column}'"),
        }
    }
}

/// The text of a record, or what keeps it from being one.
fn text<'a>(record: &'a Record, source: &Source) -> Result<&'a str, Problem> {
    match record.flaw {
        Some(flaw) => Err(Problem::Flaw(flaw)),
        None => record.text().ok_or_else(|| Problem::Undecodable(source.encoding())),
    }
}

/// A cell, or a part of one, as a value.
fn value<'a>(config: &CsvConfig, cell: &'a str) -> &'a str {
    if config.trim { cell.trim_matches(|c: char| c <= ' ') } else { cell }
}

/// Where a record stands, for people.
fn place(record: &Record) -> String {
    if record.row == record.line { format!("row {}", record.row) } else { format!("row {} (line {})", record.row, record.line) }
}
