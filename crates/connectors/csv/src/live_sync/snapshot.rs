//! Snapshots: the rows of the file at one moment, sorted by identifier, in a file of their own.
//!
//! The file is a sequence of blocks, each with a checksum: the first says what it was taken of ([`Header`]), then come records, and
//! the last says how many there are. So one that lacks its end is no snapshot, and nothing is believed of one that is damaged.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use twox_hash::XxHash3_64;

use crate::live_sync::disk::{self, Step};
use crate::source::Digest;

/// What the file begins with; the number is that of the format.
const MAGIC: &[u8; 16] = b"tidelock-csv-1\r\n";

/// About how much is read or written at once.
const BLOCK: usize = 128 << 10;

/// The longest block: a row is limited to less.
const LONGEST: usize = 128 << 20;

/// In front of a block: its length, and its checksum.
const HEAD: usize = 4 + 8;

/// What a block is, as its first byte says.
const HEADER: u8 = b'h';
const RECORDS: u8 = b'r';
const END: u8 = b'e';

/// What a snapshot was taken of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The file. None of a state that no file was in.
    pub(crate) source: Option<Digest>,
    /// A digest of the settings that decide how the file is read.
    pub(crate) settings: u128,
    /// What it was made of beside the file, as [`crate::live_sync::store`] writes it; empty if there was nothing.
    pub(crate) made_of: Box<str>,
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
}

/// What is known of a row, or of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// The row was read. Its fields are those of the object.
    Good = 0,
    /// The object is there, and nobody knows what it is like. The fields are the message that says why.
    Doubtful = 1,
    /// A row that may be that of any object, as the message says in place of its fields. It has no key.
    Stranger = 2,
    /// A row that is no object's, as the message says in place of its fields. It has no key.
    Nobody = 3,
    /// The object was doubtful before, and may be one of the strangers now. There are no fields.
    Lost = 4,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The normalized identifier.
    pub(crate) key: &'a [u8],
    /// The row's number in the file.
    pub(crate) row: u64,
    pub(crate) standing: Standing,
    /// How long each field is, and then their texts; or else a message.
    pub(crate) fields: &'a [u8],
}

/// A snapshot being written. Dropped before it is published, it is gone.
pub(crate) struct Writer {
    path: PathBuf,
    file: Arc<File>,
    header: Header,
    blocks: Blocks,
    /// The last record: another one of the same identifier may follow.
    pending: Option<Pending>,
    published: bool,
}

struct Pending {
    key: Vec<u8>,
    row: u64,
    standing: Standing,
    fields: Vec<u8>,
}

/// A snapshot, or a run of records, being read.
pub(crate) struct Reader {
    file: Arc<File>,
    /// Where the next block is.
    at: u64,
    block: Vec<u8>,
    /// Where in the block the next record is.
    next: usize,
    count: u64,
    ended: bool,
    key: Range<usize>,
    fields: Range<usize>,
    row: u64,
    standing: Standing,
}

/// Records being written to a place in a file, block by block.
pub(crate) struct Blocks {
    file: Arc<File>,
    at: u64,
    block: Vec<u8>,
    count: u64,
}

impl Writer {
    /// Begins a snapshot at a place where there is nothing.
    pub(crate) fn create(path: PathBuf, header: Header) -> io::Result<Self> {
        let file = Arc::new(disk::create(&path)?);
        let blocks = Blocks::at(Arc::clone(&file), 0);
        let mut writer = Self { path, file, header, blocks, pending: None, published: false };
        writer.blocks.at = writer.write_header()?;
        Ok(writer)
    }

    /// Adds a record, in the order of keys and, of one key, of rows. Good ones of one key that say the same are one; otherwise
    /// nobody can tell which is right.
    pub(crate) fn push(&mut self, record: Record<'_>) -> io::Result<()> {
        let Record { key, row, standing, fields } = record;
        if let Some(pending) = &mut self.pending {
            if pending.key == key && !key.is_empty() {
                match (pending.standing, standing) {
                    (Standing::Good, Standing::Good) if pending.fields == fields => {}
                    (Standing::Good, Standing::Good) => {
                        let message = format!("row {row}: the same identifier as in row {}, and other content", pending.row);
                        (pending.standing, pending.fields) = (Standing::Doubtful, message.into_bytes());
                    }
                    (Standing::Good, _) => (pending.standing, pending.fields) = (standing, fields.to_vec()),
                    _ => {}
                }
                return Ok(());
            }
            self.blocks.push(pending.record())?;
        }
        let pending = self.pending.get_or_insert_with(|| Pending { key: Vec::new(), row, standing, fields: Vec::new() });
        pending.key.clear();
        pending.key.extend_from_slice(key);
        pending.fields.clear();
        pending.fields.extend_from_slice(fields);
        (pending.row, pending.standing) = (row, standing);
        Ok(())
    }

    /// The greatest key so far, and the row it is of.
    pub(crate) fn last(&self) -> Option<(&[u8], u64)> {
        self.pending.as_ref().map(|pending| (pending.key.as_slice(), pending.row))
    }

    /// Says what it was taken of, which is known only once everything was read.
    pub(crate) fn taken_of(&mut self, source: Digest) {
        self.header.source = Some(source);
    }

    /// Ends the records, to read them again.
    pub(crate) fn read(&mut self) -> io::Result<(&Header, Reader)> {
        self.end()?;
        let mut reader = Reader::at(Arc::clone(&self.file), MAGIC.len() as u64);
        reader.header()?;
        Ok((&self.header, reader))
    }

    /// Ends it, and gives it its place. When this returns, it is on the disk.
    pub(crate) fn publish(mut self, path: &Path) -> io::Result<(Header, Arc<File>)> {
        self.end()?;
        self.write_header()?;
        disk::publish(&self.file, &self.path, path)?;
        self.published = true;
        Ok((std::mem::take(&mut self.header), Arc::clone(&self.file)))
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(pending) = self.pending.take() {
            self.blocks.push(pending.record())?;
        }
        self.blocks.end().map(drop)
    }

    /// Writes the header to the front, where it always takes as much room; gives the place behind it.
    fn write_header(&self) -> io::Result<u64> {
        let Header { source, settings, made_of, columns } = &self.header;
        let mut block = vec![HEADER, u8::from(source.is_some())];
        let Digest { length, hash } = source.unwrap_or_default();
        block.extend(length.to_le_bytes());
        block.extend(hash.to_le_bytes());
        block.extend(settings.to_le_bytes());
        write_text(&mut block, made_of);
        write_number(&mut block, columns.len() as u64);
        columns.iter().for_each(|column| write_text(&mut block, column));
        let mut bytes = MAGIC.to_vec();
        bytes.extend(head(&block)?);
        bytes.extend(block);
        write_at(&self.file, 0, &bytes)?;
        Ok(bytes.len() as u64)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.published {
            // It is cleared away later if this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Pending {
    fn record(&self) -> Record<'_> {
        Record { key: &self.key, row: self.row, standing: self.standing, fields: &self.fields }
    }
}

impl Blocks {
    /// Records from a place on.
    pub(crate) fn at(file: Arc<File>, at: u64) -> Self {
        Self { file, at, block: Vec::new(), count: 0 }
    }

    pub(crate) fn push(&mut self, record: Record<'_>) -> io::Result<()> {
        if self.block.is_empty() {
            self.block.reserve(BLOCK + BLOCK / 8);
            self.block.extend([0; HEAD]);
            self.block.push(RECORDS);
        }
        write_number(&mut self.block, record.key.len() as u64);
        write_number(&mut self.block, record.fields.len() as u64);
        write_number(&mut self.block, record.row);
        self.block.push(record.standing as u8);
        self.block.extend_from_slice(record.key);
        self.block.extend_from_slice(record.fields);
        self.count += 1;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Ends the records; gives the place behind them.
    pub(crate) fn end(&mut self) -> io::Result<u64> {
        self.flush()?;
        self.block.extend([0; HEAD]);
        self.block.push(END);
        self.block.extend(self.count.to_le_bytes());
        self.flush()?;
        Ok(self.at)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            let head = head(&self.block[HEAD..])?;
            self.block[..HEAD].copy_from_slice(&head);
            write_at(&self.file, self.at, &self.block)?;
            self.at += self.block.len() as u64;
            self.block.clear();
        }
        Ok(())
    }
}

impl Reader {
    /// Opens a snapshot at its first record.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where it is none.
    pub(crate) fn open(file: Arc<File>) -> io::Result<(Header, Self)> {
        let mut magic = [0; MAGIC.len()];
        (&*file).seek(SeekFrom::Start(0))?;
        (&*file).read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        let mut reader = Self::at(file, MAGIC.len() as u64);
        Ok((reader.header()?, reader))
    }

    /// Records from a place on.
    pub(crate) fn at(file: Arc<File>, at: u64) -> Self {
        Self {
            file,
            at,
            block: Vec::new(),
            next: 0,
            count: 0,
            ended: false,
            key: 0..0,
            fields: 0..0,
            row: 0,
            standing: Standing::Good,
        }
    }

    /// The record at hand.
    pub(crate) fn record(&self) -> Record<'_> {
        Record { key: self.key(), row: self.row, standing: self.standing, fields: self.slice(&self.fields) }
    }

    /// The key of the record at hand.
    pub(crate) fn key(&self) -> &[u8] {
        self.slice(&self.key)
    }

    /// Goes to the next record; false at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where what is read is damaged.
    pub(crate) fn next(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        while self.next >= self.block.len() {
            self.read_block()?;
            match self.block.first() {
                Some(&RECORDS) => self.next = 1,
                Some(&END) if self.block[1..] == self.count.to_le_bytes() => {
                    self.ended = true;
                    return Ok(false);
                }
                _ => return Err(damaged()),
            }
        }
        self.record_at_hand().ok_or_else(damaged)?;
        self.count += 1;
        Ok(true)
    }

    fn record_at_hand(&mut self) -> Option<()> {
        let mut rest = self.block.get(self.next..)?;
        let key = usize::try_from(read_number(&mut rest)?).ok()?;
        let fields = usize::try_from(read_number(&mut rest)?).ok()?;
        self.row = read_number(&mut rest)?;
        let (standing, rest) = rest.split_first()?;
        self.standing = match standing {
            0 => Standing::Good,
            1 => Standing::Doubtful,
            2 => Standing::Stranger,
            3 => Standing::Nobody,
            4 => Standing::Lost,
            _ => return None,
        };
        let start = self.block.len() - rest.len();
        self.key = start..start.checked_add(key)?;
        self.fields = self.key.end..self.key.end.checked_add(fields)?;
        self.next = self.fields.end;
        (self.next <= self.block.len()).then_some(())
    }

    fn header(&mut self) -> io::Result<Header> {
        self.read_block()?;
        let read = |block: &[u8]| -> Option<Header> {
            let mut rest = block.strip_prefix(&[HEADER])?;
            let has_source = *rest.split_off_first()? != 0;
            let length = u64::from_le_bytes(*take(&mut rest)?);
            let hash = u128::from_le_bytes(*take(&mut rest)?);
            let settings = u128::from_le_bytes(*take(&mut rest)?);
            let made_of = read_text(&mut rest)?.into();
            let count = read_number(&mut rest)?;
            let columns = (0..count).map(|_| read_text(&mut rest).map(str::to_owned)).collect::<Option<_>>()?;
            Some(Header { source: has_source.then_some(Digest { length, hash }), settings, made_of, columns })
        };
        let header = read(&self.block).ok_or_else(damaged)?;
        self.block.clear();
        Ok(header)
    }

    fn read_block(&mut self) -> io::Result<()> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.at))?;
        let mut head = [0; HEAD];
        file.read_exact(&mut head)?;
        let (length, checksum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().map_err(|_| damaged())?) as usize;
        if length > LONGEST {
            return Err(damaged());
        }
        // As much as comes: what is damaged may ask for any number of bytes.
        self.block.clear();
        file.take(length as u64).read_to_end(&mut self.block)?;
        if self.block.len() != length || XxHash3_64::oneshot(&self.block).to_le_bytes() != *checksum {
            return Err(damaged());
        }
        self.at += (HEAD + length) as u64;
        self.next = length;
        Ok(())
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.block.get(range.clone()).unwrap_or_default()
    }
}

/// Writes the fields of a record: how long each is, and then their texts.
pub(crate) fn write_fields<'a>(into: &mut Vec<u8>, fields: impl Iterator<Item = &'a str> + Clone) {
    fields.clone().for_each(|text| write_number(into, text.len() as u64));
    fields.for_each(|text| into.extend_from_slice(text.as_bytes()));
}

/// The fields of a record, if it has as many as there are columns.
pub(crate) fn read_fields(mut fields: &[u8], columns: usize) -> Option<Vec<&str>> {
    let mut lengths = Vec::with_capacity(columns);
    for _ in 0..columns {
        lengths.push(usize::try_from(read_number(&mut fields)?).ok()?);
    }
    let mut text = std::str::from_utf8(fields).ok()?;
    let mut read = Vec::with_capacity(columns);
    for length in lengths {
        let (field, rest) = text.split_at_checked(length)?;
        read.push(field);
        text = rest;
    }
    text.is_empty().then_some(read)
}

/// Seven bits to a byte, the last one without the eighth.
fn write_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn read_number(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *from.split_off_first()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_text(into: &mut Vec<u8>, text: &str) {
    write_number(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

fn read_text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(from)?).ok()?;
    std::str::from_utf8(from.split_off(..length)?).ok()
}

fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    from.split_off(..N)?.try_into().ok()
}

/// What stands in front of a block.
fn head(block: &[u8]) -> io::Result<[u8; HEAD]> {
    let length = u32::try_from(block.len()).ok().filter(|length| *length as usize <= LONGEST);
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length.ok_or_else(|| io::Error::other("a row is too long"))?.to_le_bytes());
    head[4..].copy_from_slice(&XxHash3_64::oneshot(block).to_le_bytes());
    Ok(head)
}

fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)?;
    disk::done(Step::Written)
}

/// Whether an error says that what was read is no snapshot, or none any more.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

pub(crate) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}
