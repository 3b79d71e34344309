//! Snapshots: the rows of the file at one moment, sorted by identifier, in a file of their own.
//!
//! The file begins with what it was taken of ([`Header`]), holds a record for each identifier, and ends with how many there are:
//! one that lacks its end is no snapshot.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What the file begins with; the number is that of the format.
const MAGIC: &[u8; 16] = b"tidelock-csv-1\r\n";

/// Stands where the length of a record would, behind the last one.
const END: u32 = u32::MAX;

/// How much is read or written at once.
const BUFFER: usize = 256 << 10;

/// The longest part of a record: a row is limited to less.
const LONGEST: u32 = 1 << 28;

/// What a snapshot was taken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// A digest of the file's bytes. None of a state that no file was in.
    pub(crate) source: Option<u128>,
    /// A digest of the settings that decide how the file is read.
    pub(crate) settings: u128,
    /// The names of the columns.
    pub(crate) columns: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The normalized identifier.
    pub(crate) key: Vec<u8>,
    /// The row's number in the file.
    pub(crate) row: u64,
    pub(crate) standing: Standing,
    /// How long each field is, and then their texts; empty where nothing of the row could be read.
    pub(crate) fields: Vec<u8>,
}

/// What is known of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was read.
    #[default]
    Good,
    /// It was there, and could not be read, or not told from another one of the same identifier.
    Doubtful,
}

/// A snapshot being written. Dropped before its end, it is gone.
pub(crate) struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    count: u64,
    /// The last record: another one of the same identifier may follow.
    pending: Option<Record>,
    finished: bool,
}

/// A snapshot being read.
pub(crate) struct Reader {
    file: BufReader<File>,
    count: u64,
    ended: bool,
    /// The record at hand.
    pub(crate) record: Record,
}

impl Writer {
    /// Begins a snapshot at a place where there is nothing.
    pub(crate) fn create(path: PathBuf, header: &Header) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = BufWriter::with_capacity(BUFFER, options.open(&path)?);
        out.write_all(MAGIC)?;
        out.write_all(&[u8::from(header.source.is_some())])?;
        out.write_all(&header.source.unwrap_or_default().to_le_bytes())?;
        out.write_all(&header.settings.to_le_bytes())?;
        out.write_all(&length(header.columns.len())?.to_le_bytes())?;
        for column in &header.columns {
            out.write_all(&length(column.len())?.to_le_bytes())?;
            out.write_all(column.as_bytes())?;
        }
        Ok(Self { path, out, count: 0, pending: None, finished: false })
    }

    /// Adds a record, in the order of keys and, of one key, of rows. Two good ones of one key that say the same are one; otherwise
    /// nobody can tell which is right.
    pub(crate) fn push(&mut self, key: &[u8], row: u64, standing: Standing, fields: &[u8]) -> io::Result<()> {
        if let Some(pending) = &mut self.pending {
            if pending.key == key {
                if standing == Standing::Doubtful || pending.fields != fields {
                    pending.standing = Standing::Doubtful;
                }
                return Ok(());
            }
            write(&mut self.out, &mut self.count, pending)?;
        }
        let pending = self.pending.get_or_insert_default();
        pending.key.clear();
        pending.key.extend_from_slice(key);
        pending.fields.clear();
        pending.fields.extend_from_slice(fields);
        (pending.row, pending.standing) = (row, standing);
        Ok(())
    }

    /// The greatest key so far.
    pub(crate) fn last(&self) -> Option<&[u8]> {
        self.pending.as_ref().map(|pending| pending.key.as_slice())
    }

    /// Ends it where it is: something to be read again, that nobody else will hear of.
    pub(crate) fn finish(mut self) -> io::Result<PathBuf> {
        self.end()?;
        self.finished = true;
        Ok(self.path.clone())
    }

    /// Ends it, and gives it its place. When this returns, it is on the disk.
    pub(crate) fn publish(mut self, path: &Path) -> io::Result<()> {
        self.end()?;
        self.out.get_ref().sync_all()?;
        std::fs::rename(&self.path, path)?;
        self.finished = true;
        sync_folder(path)
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(pending) = &self.pending {
            write(&mut self.out, &mut self.count, pending)?;
        }
        self.out.write_all(&END.to_le_bytes())?;
        self.out.write_all(&self.count.to_le_bytes())?;
        self.out.flush()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // It is cleared away later if this fails.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Reader {
    /// Opens a snapshot at its first record.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where it is none.
    pub(crate) fn open(path: &Path) -> io::Result<(Header, Self)> {
        let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(damaged());
        }
        let has_source = take::<1>(&mut file)?[0] != 0;
        let source = u128::from_le_bytes(take(&mut file)?);
        let settings = u128::from_le_bytes(take(&mut file)?);
        let count = u32::from_le_bytes(take(&mut file)?);
        let mut columns = Vec::new();
        for _ in 0..count {
            let mut name = Vec::new();
            let length = u32::from_le_bytes(take(&mut file)?);
            fill(&mut file, &mut name, length)?;
            columns.push(String::from_utf8(name).map_err(|_| damaged())?);
        }
        let header = Header { source: has_source.then_some(source), settings, columns };
        Ok((header, Self { file, count: 0, ended: false, record: Record::default() }))
    }

    /// Goes to the next record; false at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where the snapshot is damaged.
    pub(crate) fn next(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let key = u32::from_le_bytes(take(&mut self.file)?);
        if key == END {
            self.ended = true;
            let whole = u64::from_le_bytes(take(&mut self.file)?) == self.count;
            return if whole { Ok(false) } else { Err(damaged()) };
        }
        let fields = u32::from_le_bytes(take(&mut self.file)?);
        self.record.row = u64::from_le_bytes(take(&mut self.file)?);
        self.record.standing = if take::<1>(&mut self.file)?[0] == 0 { Standing::Good } else { Standing::Doubtful };
        fill(&mut self.file, &mut self.record.key, key)?;
        fill(&mut self.file, &mut self.record.fields, fields)?;
        self.count += 1;
        Ok(true)
    }
}

fn write(out: &mut impl Write, count: &mut u64, record: &Record) -> io::Result<()> {
    let mut head = [0; 17];
    head[..4].copy_from_slice(&length(record.key.len())?.to_le_bytes());
    head[4..8].copy_from_slice(&length(record.fields.len())?.to_le_bytes());
    head[8..16].copy_from_slice(&record.row.to_le_bytes());
    head[16] = u8::from(record.standing == Standing::Doubtful);
    out.write_all(&head)?;
    out.write_all(&record.key)?;
    out.write_all(&record.fields)?;
    *count += 1;
    Ok(())
}

/// Makes sure that a name in a folder is on the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn take<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads so many bytes, as they come: what is damaged may ask for any number of them.
fn fill(file: &mut impl Read, into: &mut Vec<u8>, length: u32) -> io::Result<()> {
    into.clear();
    if length > LONGEST || file.take(u64::from(length)).read_to_end(into)? != length as usize {
        return Err(damaged());
    }
    Ok(())
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or_else(|| io::Error::other("a row is too long"))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is damaged")
}
