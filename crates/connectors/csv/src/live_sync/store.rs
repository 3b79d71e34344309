//! The folder of the snapshots.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use siphasher::sip128::{Hasher128, SipHasher13};
use tidelock_connector_api::{Error, ErrorKind, Result};

use crate::config::CsvConfig;
use crate::live_sync::snapshot::{Header, Reader, Standing, Writer};
use crate::live_sync::take::{self, cannot_write, read_fields, temporary_name, write_fields};
use crate::live_sync::token::{Position, is_name};
use crate::reader;
use crate::source;

/// About how many bytes of rows are sorted at once.
const MEMORY: usize = 24 << 20;

/// How the names of snapshots end.
const SNAPSHOT: &str = "snapshot";

/// The snapshots of a file.
pub(crate) struct Store {
    pub(crate) config: Arc<CsvConfig>,
    folder: PathBuf,
    memory: usize,
}

/// One of them.
pub(crate) struct Snapshot {
    pub(crate) id: Box<str>,
    pub(crate) header: Header,
    path: PathBuf,
}

/// The file as it is.
pub(crate) struct Now {
    pub(crate) snapshot: Snapshot,
    /// What is wrong with rows that are not in the snapshot. It is told each time: no token passes over them for good.
    pub(crate) errors: Vec<Error>,
}

impl Store {
    pub(crate) fn new(config: Arc<CsvConfig>, folder: PathBuf) -> Self {
        Self { config, folder, memory: MEMORY }
    }

    /// The same, sorting less at once.
    #[cfg(test)]
    pub(crate) fn with_memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// A snapshot by its name.
    ///
    /// # Errors
    /// [`ErrorKind::TokenExpired`] where it is gone, damaged, or of a file that was read in another way.
    pub(crate) fn open(&self, id: &str) -> Result<Snapshot> {
        let expired = |why: &str| {
            let folder = self.folder.display();
            Error::new(
                ErrorKind::TokenExpired,
                format!("the snapshot '{id}' of the file, which the token stands for, {why} ({folder})"),
            )
        };
        let path = self.path(id);
        match Reader::open(&path) {
            Ok((header, _)) if header.settings != self.settings() => {
                Err(expired("was made with other settings of the connector"))
            }
            Ok((header, _)) => Ok(Snapshot { id: id.into(), header, path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(expired("is not there")),
            Err(error) if is_damage(&error) => Err(expired("is damaged")),
            Err(error) => Err(self.cannot_read(error)),
        }
    }

    /// The records of a snapshot.
    pub(crate) fn records(&self, snapshot: &Snapshot) -> Result<Reader> {
        Reader::open(&snapshot.path).map(|(_, reader)| reader).map_err(|error| self.cannot_read(error))
    }

    /// The error for a snapshot that cannot be read on.
    pub(crate) fn cannot_read(&self, error: io::Error) -> Error {
        let kind = if is_damage(&error) { ErrorKind::TokenExpired } else { ErrorKind::Unreachable };
        Error::new(kind, format!("cannot read a snapshot of the file in {}", self.folder.display())).with_source(error)
    }

    /// Whether the file is as it was when a snapshot was taken.
    pub(crate) fn is_now(&self, snapshot: &Snapshot) -> Result<bool> {
        let (_, digest) = source::digest(&self.config.path)?;
        Ok(snapshot.header.source == Some(digest))
    }

    /// A snapshot of the file as it is.
    pub(crate) fn current(&self) -> Result<Snapshot> {
        self.taken(None).map(|now| now.snapshot)
    }

    /// The same, to be compared with an older one.
    pub(crate) fn current_after(&self, base: &Snapshot) -> Result<Now> {
        self.taken(Some(base))
    }

    fn taken(&self, base: Option<&Snapshot>) -> Result<Now> {
        self.make_folder()?;
        let (stamp, digest) = source::digest(&self.config.path)?;
        if let Some(snapshot) = self.find(digest) {
            // A run that did not come to its end has taken it.
            return Ok(Now { snapshot, errors: Vec::new() });
        }
        let Some(columns) = reader::columns(&self.config)? else {
            return Err(Error::unreachable(format!("{} is empty: it has not even a header", self.config.path.display())));
        };
        let columns = columns.names.iter().map(ToString::to_string).collect();
        let header = Header { source: Some(digest), settings: self.settings(), columns };
        let id = new_id();
        let part = AtomicU64::new(0);
        let temporary = || temporary_name(&self.folder, &format!("{id}-{}", part.fetch_add(1, Ordering::Relaxed)));
        let taken = take::take(&self.config, &header, self.memory, &temporary)?;
        if source::stamp(&self.config.path)? != stamp {
            return Err(changed(&self.config));
        }
        if taken.errors.is_empty() {
            return Ok(Now { snapshot: self.publish(&id, header, taken.writer)?, errors: Vec::new() });
        }
        // Not all of the file is in it, so it does not pass for the file when that is looked at again.
        let header = Header { source: None, ..header };
        let rows = taken.writer.finish().map_err(cannot_write)?;
        let written = (|| {
            let (columns, mut rows) = Reader::open(&rows).map(|(read, rows)| (read.columns, rows))?;
            let kept = base.filter(|_| taken.has_strangers);
            let mut old = kept.map(|base| Ok::<_, io::Error>((Reader::open(&base.path)?.1, &base.header.columns))).transpose()?;
            let union = union(&columns, old.as_ref().map(|(_, columns)| columns.as_slice()).unwrap_or_default());
            let header = Header { columns: union, ..header.clone() };
            let writer = Writer::create(temporary(), &header)?;
            // A row of which nobody knows whose it is may be that of any object that seems to be missing.
            let choose = |old: bool, new: bool| if new || !old { Side::New } else { Side::Old };
            let old = old.as_mut().map(|(reader, columns)| (reader, columns.as_slice()));
            Ok((merge(old, (&mut rows, &columns), &header.columns, writer, choose)?, header))
        })();
        let _ = fs::remove_file(&rows);
        let (writer, header) = written.map_err(cannot_write)?;
        Ok(Now { snapshot: self.publish(&id, header, writer)?, errors: taken.errors })
    }

    /// Writes out the state that is `target` up to a key, and `base` beyond it.
    pub(crate) fn write_out(&self, base: &Snapshot, target: &Snapshot, last: &str) -> Result<Snapshot> {
        let id = new_id();
        let header =
            Header { source: None, settings: self.settings(), columns: union(&target.header.columns, &base.header.columns) };
        let (mut old, mut new) = (self.records(base)?, self.records(target)?);
        let written = (|| {
            let writer = Writer::create(temporary_name(&self.folder, &id), &header)?;
            let up_to = last.as_bytes();
            let sides = ((&mut old, base.header.columns.as_slice()), (&mut new, target.header.columns.as_slice()));
            mix(sides.0, sides.1, &header.columns, writer, up_to)
        })();
        self.publish(&id, header, written.map_err(cannot_write)?)
    }

    /// Clears away what none of these positions needs, and what a process that was ended left behind.
    pub(crate) fn retain(&self, positions: &[Position]) -> Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| self.cannot_read(error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| self.cannot_read(error))?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let needless = match path.extension().and_then(|extension| extension.to_str()) {
                Some(SNAPSHOT) => is_name(name) && !positions.iter().any(|position| position.needs(name)),
                Some("tmp") => is_name(name),
                _ => false,
            };
            if needless {
                fs::remove_file(&path)
                    .map_err(|error| Error::unreachable(format!("cannot remove {}", path.display())).with_source(error))?;
            }
        }
        Ok(())
    }

    /// A snapshot that was taken of a file of this digest, and is whole.
    fn find(&self, digest: u128) -> Option<Snapshot> {
        let settings = self.settings();
        fs::read_dir(&self.folder).ok()?.flatten().find_map(|entry| {
            let path = entry.path();
            let id = path.file_stem()?.to_str().filter(|id| is_name(id))?;
            if path.extension()? != SNAPSHOT {
                return None;
            }
            let (header, _) = Reader::open(&path).ok()?;
            let same = header.source == Some(digest) && header.settings == settings;
            same.then(|| Snapshot { id: id.into(), header, path: path.clone() })
        })
    }

    fn publish(&self, id: &str, header: Header, writer: Writer) -> Result<Snapshot> {
        let path = self.path(id);
        writer.publish(&path).map_err(cannot_write)?;
        Ok(Snapshot { id: id.into(), header, path })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.{SNAPSHOT}"))
    }

    fn make_folder(&self) -> Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&self.folder)
            .map_err(|error| Error::unreachable(format!("cannot make the folder {}", self.folder.display())).with_source(error))
    }

    /// A digest of the settings on which it depends what a row says.
    fn settings(&self) -> u128 {
        let CsvConfig {
            encoding,
            dialect,
            trailing_delimiter,
            trim,
            ignore_empty_lines,
            header,
            unique_attribute,
            password_attribute,
            multi_value,
            ignore_identifier_case,
            path: _,
            name_attribute: _,
            allow_empty: _,
        } = &*self.config;
        let text = format!(
            "{} {dialect:?} {trailing_delimiter} {trim} {ignore_empty_lines} {header} {unique_attribute:?} {password_attribute:?} \
             {multi_value:?} {ignore_identifier_case}",
            encoding.name()
        );
        let mut hasher = SipHasher13::new();
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }
}

/// Which of two records of a key is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// The records of a snapshot, with the names of its columns.
type Records<'a> = (&'a mut Reader, &'a [String]);

/// All records of both, one for each key; which, is said by whether there is an old and a new one.
fn merge(
    old: Option<Records<'_>>,
    new: Records<'_>,
    columns: &[String],
    mut writer: Writer,
    choose: impl Fn(bool, bool) -> Side,
) -> io::Result<Writer> {
    let (new, new_columns) = new;
    let mut more_new = new.next()?;
    let Some((old, old_columns)) = old else {
        while more_new {
            push(&mut writer, new, new_columns, columns)?;
            more_new = new.next()?;
        }
        return Ok(writer);
    };
    let mut more_old = old.next()?;
    while more_old || more_new {
        let has_old = more_old && (!more_new || old.record.key <= new.record.key);
        let has_new = more_new && (!more_old || new.record.key <= old.record.key);
        match choose(has_old, has_new) {
            Side::Old => push(&mut writer, old, old_columns, columns)?,
            Side::New => push(&mut writer, new, new_columns, columns)?,
        }
        if has_old {
            more_old = old.next()?;
        }
        if has_new {
            more_new = new.next()?;
        }
    }
    Ok(writer)
}

/// The new records up to a key, and the old ones beyond it.
fn mix(old: Records<'_>, new: Records<'_>, columns: &[String], mut writer: Writer, up_to: &[u8]) -> io::Result<Writer> {
    let (new, new_columns) = new;
    while new.next()? && *new.record.key <= *up_to {
        push(&mut writer, new, new_columns, columns)?;
    }
    let (old, old_columns) = old;
    while old.next()? {
        if *old.record.key > *up_to {
            push(&mut writer, old, old_columns, columns)?;
        }
    }
    Ok(writer)
}

/// Writes the record at hand for other columns than it has.
fn push(writer: &mut Writer, from: &Reader, has: &[String], wanted: &[String]) -> io::Result<()> {
    let record = &from.record;
    if has == wanted || record.standing == Standing::Doubtful && record.row == 0 {
        return writer.push(&record.key, record.row, record.standing, &record.fields);
    }
    let fields = read_fields(&record.fields, has.len()).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let field = |name: &String| has.iter().position(|column| column == name).map_or("", |at| fields[at]);
    let mut recoded = Vec::new();
    write_fields(&mut recoded, wanted.iter().map(field));
    writer.push(&record.key, record.row, record.standing, &recoded)
}

/// The first columns, and those of the second that are not among them.
fn union(first: &[String], second: &[String]) -> Vec<String> {
    first.iter().chain(second.iter().filter(|name| !first.contains(name))).cloned().collect()
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn changed(config: &CsvConfig) -> Error {
    Error::unreachable(format!("{} changed while it was read", config.path.display()))
}

/// A name that no other snapshot has, here or elsewhere.
fn new_id() -> Box<str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{now}-{:016x}", RandomState::new().build_hasher().finish()).into()
}
