//! Taking a snapshot: reading the file, and sorting it with a bounded amount of memory.

use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use tidelock_connector_api::{About, Completeness, Error, Found, Result};
use tokio::sync::mpsc;

use crate::config::CsvConfig;
use crate::connector::no_thread;
use crate::live_sync::snapshot::{Header, Reader, Standing, Writer};
use crate::reader::{self, Cursor, Entry, Page};
use crate::schema::identifier_rule;

/// How many pages the reader may be ahead of the sorting.
const PAGES_AHEAD: usize = 4;

/// How many runs are merged at once.
const FAN_IN: usize = 64;

/// What was read of a file, beside its rows.
pub(crate) struct Taken {
    /// The snapshot, not yet at its place.
    pub(crate) writer: Writer,
    /// Whether there were rows of which nobody can say which objects they stand for: one that is missed may be one of them.
    pub(crate) has_strangers: bool,
    /// What was wrong with rows that are not in the snapshot.
    pub(crate) errors: Vec<Error>,
}

/// The most errors of rows without an identifier that are kept.
const MOST_ERRORS: usize = 1000;

/// Reads the file into a snapshot that is written under a name of `temporary`. `memory` is about how many bytes of rows are sorted at
/// once.
///
/// # Errors
/// The file cannot be read, or not to its end; the snapshot cannot be written.
pub(crate) fn take(config: &CsvConfig, header: &Header, memory: usize, temporary: &dyn Fn() -> PathBuf) -> Result<Taken> {
    let mut sorter = Sorter { header, memory, temporary, buffer: Buffer::default(), chain: None, runs: Runs(Vec::new()) };
    let (mut has_strangers, mut errors) = (false, Vec::new());
    let verdict = thread::scope(|scope| {
        let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
        let reading = move || reader::search(config, None, &sender);
        thread::Builder::new().name("csv".to_owned()).spawn_scoped(scope, reading).map_err(no_thread)?;
        while let Some(mut page) = pages.blocking_recv() {
            if let Some(verdict) = sort_page(config, &mut sorter, &mut page, &mut has_strangers, &mut errors)? {
                return Ok(verdict);
            }
        }
        Err(Error::unreachable("reading the file broke off"))
    })?;
    match verdict {
        Completeness::Complete => {}
        Completeness::Incomplete { message, .. } => {
            return Err(Error::unreachable(format!("{} was not read to its end: {message}", config.path.display())));
        }
    }
    let writer = sorter.finish().map_err(cannot_write)?;
    Ok(Taken { writer, has_strangers, errors })
}

/// Hands over the rows of a page; the verdict if the file ends with it.
fn sort_page(
    config: &CsvConfig,
    sorter: &mut Sorter<'_>,
    page: &mut Page,
    has_strangers: &mut bool,
    errors: &mut Vec<Error>,
) -> Result<Option<Completeness>> {
    let columns = std::sync::Arc::clone(&page.columns);
    let rule = identifier_rule(config);
    let mut cursor = Cursor::default();
    while let Some((entry, fields)) = page.take(&mut cursor) {
        match entry {
            Entry::Row(row) => {
                let identifier = config.value(fields.iter().nth(columns.unique).unwrap_or_default());
                let key = rule.normalize(identifier);
                // A password is never kept.
                let kept = |(at, text)| if Some(at) == columns.password { "" } else { text };
                let fields = || fields.iter().enumerate().map(kept);
                sorter.push(key.as_bytes(), row, Standing::Good, |into| write_fields(into, fields())).map_err(cannot_write)?;
            }
            Entry::Item(Ok(Found::End(verdict))) => return Ok(Some(verdict)),
            Entry::Item(Ok(Found::Object(_))) => {}
            Entry::Item(Err(error)) if error.kind() == tidelock_connector_api::ErrorKind::InvalidData => match error.what() {
                About::Object(identifier) => {
                    let key = rule.normalize(identifier).into_owned();
                    let message = error.to_string();
                    let write = |into: &mut Vec<u8>| into.extend_from_slice(message.as_bytes());
                    sorter.push(key.as_bytes(), 0, Standing::Doubtful, write).map_err(cannot_write)?;
                }
                about => {
                    *has_strangers |= *about == About::Anything;
                    if errors.len() < MOST_ERRORS {
                        errors.push(error);
                    }
                }
            },
            Entry::Item(Err(error)) => return Err(error),
        }
    }
    Ok(None)
}

pub(crate) fn cannot_write(error: io::Error) -> Error {
    Error::unreachable("cannot write a snapshot of the file").with_source(error)
}

/// Sorts records: as long as they come in order, they are written as they come.
struct Sorter<'a> {
    header: &'a Header,
    memory: usize,
    temporary: &'a dyn Fn() -> PathBuf,
    buffer: Buffer,
    /// What came in order, from the first record.
    chain: Option<Writer>,
    runs: Runs,
}

/// Sorted files. They go with the value.
struct Runs(Vec<PathBuf>);

/// Records in memory.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    entries: Vec<Place>,
}

/// Where a record is.
#[derive(Clone, Copy)]
struct Place {
    /// The first bytes of its key, so that most comparisons need no more.
    prefix: u64,
    start: usize,
    key: u32,
    fields: u32,
    row: u64,
    standing: Standing,
}

impl Sorter<'_> {
    fn push(&mut self, key: &[u8], row: u64, standing: Standing, fields: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.buffer.push(key, row, standing, fields)?;
        if self.buffer.bytes.len() >= self.memory { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.buffer.sort();
        let Some(first) = self.buffer.entries.first() else { return Ok(()) };
        let in_order = |chain: &Writer| chain.last().is_none_or(|last| last <= self.buffer.key(first));
        let goes_on = self.runs.0.is_empty() && self.chain.as_ref().is_none_or(in_order);
        let mut writer = match self.chain.take() {
            Some(chain) if goes_on => chain,
            chain => {
                self.runs.0.extend(chain.map(Writer::finish).transpose()?);
                Writer::create((self.temporary)(), self.header)?
            }
        };
        for place in &self.buffer.entries {
            writer.push(self.buffer.key(place), place.row, place.standing, self.buffer.fields(place))?;
        }
        self.buffer.bytes.clear();
        self.buffer.entries.clear();
        if goes_on {
            self.chain = Some(writer);
        } else {
            self.runs.0.push(writer.finish()?);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Writer> {
        self.flush()?;
        if self.runs.0.is_empty() {
            return match self.chain {
                Some(chain) => Ok(chain),
                None => Writer::create((self.temporary)(), self.header),
            };
        }
        while self.runs.0.len() > FAN_IN {
            let merged = Runs(self.runs.0.drain(..FAN_IN).collect());
            let run = merge(&merged.0, Writer::create((self.temporary)(), self.header)?)?.finish()?;
            // In front: of equal keys the first row comes first.
            self.runs.0.insert(0, run);
        }
        merge(&self.runs.0, Writer::create((self.temporary)(), self.header)?)
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        for run in &self.0 {
            // They are cleared away later if this fails.
            let _ = std::fs::remove_file(run);
        }
    }
}

/// Merges sorted files into one.
fn merge(runs: &[PathBuf], mut writer: Writer) -> io::Result<Writer> {
    let open = |run: &PathBuf| -> io::Result<Option<Reader>> {
        let (_, mut reader) = Reader::open(run)?;
        Ok(reader.next()?.then_some(reader))
    };
    let mut readers: Vec<Reader> = runs.iter().map(open).filter_map(Result::transpose).collect::<io::Result<_>>()?;
    loop {
        let least = (0..readers.len()).min_by(|&a, &b| {
            let (a, b) = (&readers[a].record, &readers[b].record);
            a.key.cmp(&b.key).then(a.row.cmp(&b.row))
        });
        let Some(least) = least else { return Ok(writer) };
        let record = &readers[least].record;
        writer.push(&record.key, record.row, record.standing, &record.fields)?;
        if !readers[least].next()? {
            readers.remove(least);
        }
    }
}

impl Buffer {
    fn push(&mut self, key: &[u8], row: u64, standing: Standing, fields: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        fields(&mut self.bytes);
        let mut prefix = [0; 8];
        let known = key.len().min(8);
        prefix[..known].copy_from_slice(&key[..known]);
        let too_long = |_| io::Error::other("a row is too long");
        self.entries.push(Place {
            prefix: u64::from_be_bytes(prefix),
            start,
            key: u32::try_from(key.len()).map_err(too_long)?,
            fields: u32::try_from(self.bytes.len() - start - key.len()).map_err(too_long)?,
            row,
            standing,
        });
        Ok(())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |place: &Place| &bytes[place.start..place.start + place.key as usize];
        let order = |a: &Place, b: &Place| -> Ordering {
            a.prefix.cmp(&b.prefix).then_with(|| key(a).cmp(key(b))).then_with(|| a.row.cmp(&b.row))
        };
        self.entries.sort_unstable_by(order);
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.start..place.start + place.key as usize]
    }

    fn fields(&self, place: &Place) -> &[u8] {
        let start = place.start + place.key as usize;
        &self.bytes[start..start + place.fields as usize]
    }
}

/// Writes the fields of a record: how long each is, and then their texts.
pub(crate) fn write_fields<'a>(into: &mut Vec<u8>, fields: impl Iterator<Item = &'a str> + Clone) {
    fields.clone().for_each(|text| write_length(into, text.len()));
    fields.for_each(|text| into.extend_from_slice(text.as_bytes()));
}

/// Seven bits to a byte, the last one without the eighth.
fn write_length(into: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        into.push((length & 0x7F) as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
}

/// The fields of a record, if it has as many as there are columns.
pub(crate) fn read_fields(fields: &[u8], columns: usize) -> Option<Vec<&str>> {
    let mut at = 0;
    let mut lengths = Vec::with_capacity(columns);
    for _ in 0..columns {
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let byte = *fields.get(at)?;
            at += 1;
            length |= usize::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        lengths.push(length);
    }
    let text = std::str::from_utf8(fields.get(at..)?).ok()?;
    let mut start = 0;
    let mut read = Vec::with_capacity(columns);
    for length in lengths {
        let end = start + length;
        read.push(text.get(start..end)?);
        start = end;
    }
    (start == text.len()).then_some(read)
}

/// What a file of runs is called while it is written.
pub(crate) fn temporary_name(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.tmp"))
}
