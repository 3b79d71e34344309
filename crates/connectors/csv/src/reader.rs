//! Reading rows: one pass over the file, on a thread of its own, handing over a page at a time.
//!
//! The rows are checked here, but become objects only where they are wanted ([`crate::object`]): an object is a dozen
//! allocations, which are dear where one thread makes and another frees them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tidelock_connector_api::{About, Completeness, Error, Found, IncompleteReason, Result};
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::MatchingRule;
use tokio::sync::mpsc::Sender;

use crate::config::CsvConfig;
use crate::record::{Flaw, MAX_FIELDS, MAX_RECORD, Next, Record, Tokenizer};
use crate::schema::Columns;
use crate::source::{Digest, Source};

/// Rows that are handed over at once.
pub(crate) struct Page {
    /// The columns of each row.
    pub(crate) columns: Arc<Columns>,
    /// The fields of all rows, one behind the other.
    text: String,
    /// Where each field ends.
    ends: Vec<usize>,
    /// What was found, in order.
    entries: Vec<Entry>,
}

/// One thing found.
pub(crate) enum Entry {
    /// The row of this number, as many fields as there are columns.
    Row(u64),
    /// What stands for a row that is bad, or the end.
    Item(Result<Found>),
}

/// How many rows make a page.
const PAGE: usize = 512;

/// How much text makes a page, be the rows ever so few.
const PAGE_TEXT: usize = 1 << 20;

/// How many rows are read before looking whether anybody still listens; more than a page where a filter drops many.
const STRETCH: usize = 16 * PAGE;

/// Reads the file to its end, or until nobody listens. The last item sent is the verdict, or the error that stopped it.
pub(crate) fn search(config: &CsvConfig, wanted: Option<&Wanted>, pages: &Sender<Page>) {
    let end = match read(config, wanted, pages) {
        Ok(Some(verdict)) => Ok(Found::End(verdict)),
        Ok(None) => return,
        Err(error) => Err(error),
    };
    let mut page = Page::new(&Arc::default());
    page.entries.push(Entry::Item(end));
    // Nobody listening any more is nobody to tell.
    let _ = pages.blocking_send(page);
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
fn read(config: &CsvConfig, wanted: Option<&Wanted>, pages: &Sender<Page>) -> Result<Option<Completeness>> {
    let mut rows = Rows::open(config)?;
    let columns = rows.columns();
    let mut more = true;
    while more {
        let mut page = Page::new(&columns);
        for _ in 0..STRETCH {
            if page.is_full() {
                break;
            }
            match rows.next()? {
                Some(Row::Good { identifier, text, record }) => {
                    if wanted.is_none_or(|wanted| wanted.has(identifier)) {
                        page.push(text, record);
                    }
                }
                Some(Row::Bad(_, error)) => page.entries.push(Entry::Item(Err(error))),
                None => {
                    more = false;
                    break;
                }
            }
        }
        let listening = if page.entries.is_empty() { !pages.is_closed() } else { pages.blocking_send(page).is_ok() };
        if !listening {
            return Ok(None);
        }
    }
    Ok(Some(rows.verdict()))
}

/// The rows of the file, one after the other, and whether they were all.
pub(crate) struct Rows<'a> {
    reader: Reader<'a>,
    columns: Option<Arc<Columns>>,
    seen: u64,
    truncated: Option<String>,
}

/// What a row of the file is.
pub(crate) enum Row<'r> {
    /// One that can be read.
    Good {
        /// Its identifier, never blank.
        identifier: &'r str,
        /// Its fields, one behind the other; [`Record::field`] takes one out.
        text: &'r str,
        record: &'r Record,
    },
    /// One that cannot: its number, and the error that stands for it.
    Bad(u64, Error),
}

impl<'a> Rows<'a> {
    pub(crate) fn open(config: &'a CsvConfig) -> Result<Self> {
        Self::of(Reader::open(config)?)
    }

    /// The same, making a digest of the bytes on the way.
    pub(crate) fn open_digesting(config: &'a CsvConfig) -> Result<Self> {
        let mut reader = Reader::open(config)?;
        reader.source.make_digest();
        Self::of(reader)
    }

    fn of(mut reader: Reader<'a>) -> Result<Self> {
        let columns = reader.columns()?.map(Arc::new);
        Ok(Self { reader, columns, seen: 0, truncated: None })
    }

    /// The columns; none of them if the file has not even a header.
    pub(crate) fn columns(&self) -> Arc<Columns> {
        self.columns.clone().unwrap_or_default()
    }

    /// The next row; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        let Some(columns) = &self.columns else { return Ok(None) };
        if !self.reader.next()? {
            return Ok(None);
        }
        self.seen += 1;
        let Reader { config, record, source, .. } = &self.reader;
        match row(config, source, record, columns) {
            Ok((text, identifier)) => Ok(Some(Row::Good { identifier, text, record })),
            Err(problem) => {
                let place = place(record);
                if !record.terminated && problem.may_be_a_cut() {
                    self.truncated = Some(format!("the file seems to end within {place}: {problem}"));
                }
                let about = about(config, record, columns, &problem);
                Ok(Some(Row::Bad(record.row, Error::invalid_data(format!("{place}: {problem}")).about(about))))
            }
        }
    }

    /// Whether these were all rows of a file that was whole. To be asked at the end.
    pub(crate) fn verdict(&self) -> Completeness {
        self.reader.verdict(self.columns.as_ref().map(|_| self.seen), self.truncated.clone())
    }

    /// The digest and the number of the bytes that were read. To be asked at the end.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.reader.source.digest()
    }
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
        let cells = (0..self.record.fields).map(|index| self.config.value(self.record.field(text, index)));
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

/// How far a page has been taken.
#[derive(Default)]
pub(crate) struct Cursor {
    entry: usize,
    field: usize,
    text: usize,
}

/// The fields of one row.
pub(crate) struct Fields<'a> {
    text: &'a str,
    start: usize,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    /// The fields in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> + Clone {
        let (text, mut start) = (self.text, self.start);
        self.ends.iter().map(move |end| {
            let field = text.get(start..*end).unwrap_or_default();
            start = *end;
            field
        })
    }
}

/// The identifiers that a filter asks for, where it asks for some: most rows can then be passed over unread.
pub(crate) struct Wanted {
    identifiers: HashSet<Box<str>>,
    rule: MatchingRule,
}

impl Page {
    fn new(columns: &Arc<Columns>) -> Self {
        Self { columns: Arc::clone(columns), text: String::new(), ends: Vec::new(), entries: Vec::with_capacity(PAGE) }
    }

    /// What was found at a place of the page, with its fields if it is a row.
    pub(crate) fn take(&mut self, at: &mut Cursor) -> Option<(Entry, Fields<'_>)> {
        let entry = self.entries.get_mut(at.entry)?;
        at.entry += 1;
        let entry = std::mem::replace(entry, Entry::Row(0));
        let fields = if matches!(entry, Entry::Row(_)) { self.columns.names.len() } else { 0 };
        let ends = self.ends.get(at.field..at.field + fields).unwrap_or_default();
        let start = at.text;
        at.field += fields;
        at.text = ends.last().copied().unwrap_or(start);
        Some((entry, Fields { text: &self.text, start, ends }))
    }

    fn is_full(&self) -> bool {
        self.entries.len() == PAGE || self.text.len() >= PAGE_TEXT
    }

    fn push(&mut self, text: &str, record: &Record) {
        let start = self.text.len();
        self.text.push_str(text);
        self.ends.extend(record.ends().map(|end| start + end));
        self.entries.push(Entry::Row(record.row));
    }
}

impl Wanted {
    /// Takes the condition on the identifier out of a filter, where it has one that every object must meet.
    pub(crate) fn split(filter: BoundFilter, unique: &str) -> (Option<Self>, BoundFilter) {
        match filter {
            BoundFilter::And(mut parts) => {
                let found = parts.iter().enumerate().find_map(|(at, part)| Some((at, Self::of(part, unique)?)));
                let wanted = found.map(|(at, wanted)| {
                    parts.remove(at);
                    wanted
                });
                (wanted, BoundFilter::And(parts))
            }
            filter => match Self::of(&filter, unique) {
                Some(wanted) => (Some(wanted), BoundFilter::All),
                None => (None, filter),
            },
        }
    }

    fn of(filter: &BoundFilter, unique: &str) -> Option<Self> {
        let BoundFilter::Attribute { name, rule, condition: Condition::AnyOf(values) } = filter else { return None };
        let texts = values.iter().map(|value| value.as_str().map(Box::from));
        let identifiers = if **name == *unique { texts.collect::<Option<_>>()? } else { return None };
        Some(Self { identifiers, rule: *rule })
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

/// The text and the identifier of a row, or what is wrong with it.
fn row<'r>(config: &CsvConfig, source: &Source, record: &'r Record, columns: &Columns) -> Result<(&'r str, &'r str), Problem> {
    let text = text(record, source)?;
    let expected = columns.names.len();
    if record.fields != expected {
        return Err(Problem::Fields { found: record.fields, expected });
    }
    let identifier = config.value(record.field(text, columns.unique));
    if identifier.trim().is_empty() {
        return Err(Problem::NoIdentifier(Arc::clone(&columns.names[columns.unique])));
    }
    Ok((text, identifier))
}

/// Which object a row stands for that has a problem. A row whose fields may be out of place says nothing of it.
fn about(config: &CsvConfig, record: &Record, columns: &Columns, problem: &Problem) -> About {
    match problem {
        Problem::NoIdentifier(_) => About::NoObject,
        Problem::Undecodable(_) if record.fields == columns.names.len() => {
            let identifier = record.readable_field(columns.unique).map(|field| config.value(field));
            identifier.filter(|identifier| !identifier.trim().is_empty()).map_or(About::Anything, |i| About::Object(i.into()))
        }
        Problem::Undecodable(_) | Problem::Fields { .. } | Problem::Flaw(_) => About::Anything,
    }
}

/// The text of a record, or what keeps it from being one.
fn text<'a>(record: &'a Record, source: &Source) -> Result<&'a str, Problem> {
    match record.flaw {
        Some(flaw) => Err(Problem::Flaw(flaw)),
        None => record.text().ok_or_else(|| Problem::Undecodable(source.encoding())),
    }
}

/// Where a record stands, for people.
fn place(record: &Record) -> String {
    if record.row == record.line { format!("row {}", record.row) } else { format!("row {} (line {})", record.row, record.line) }
}
