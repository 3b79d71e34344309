//! The snapshots of a file: taking, finding and forgetting them.

use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_connector_api::{Error, ErrorKind, Result};
use twox_hash::XxHash3_128;

use crate::config::CsvConfig;
use crate::live_sync::disk;
use crate::live_sync::merge::{self, Records};
use crate::live_sync::snapshot::{Header, Reader, Writer, is_damage};
use crate::live_sync::take::{self, Taken};
use crate::live_sync::token::{Position, is_name};
use crate::source::{self, Digest};

/// About how many bytes of rows are sorted at once.
const MEMORY: usize = 16 << 20;

/// How the names of snapshots end, and those of what is not yet one.
const SNAPSHOT: &str = "snapshot";
const TEMPORARY: &str = "tmp";

/// What a snapshot was made of that has strangers, and nothing beside the file.
const NOTHING: &str = "-";

/// The snapshots of a file.
pub(crate) struct Store {
    pub(crate) config: Arc<CsvConfig>,
    folder: PathBuf,
    held: Held,
    memory: usize,
    is_wanted: Box<dyn Fn() -> bool + Send>,
}

/// Snapshots of which tokens were given out that may not be stored yet: nobody clears them away meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<Mutex<Vec<Snapshot>>>);

/// One of them. As long as there is this value, nobody clears it away.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) id: Box<str>,
    pub(crate) header: Header,
    file: Arc<File>,
}

/// A look at the file, which takes no longer than it must.
#[derive(Default)]
pub(crate) struct Sight(Option<Digest>);

impl Store {
    pub(crate) fn new(config: Arc<CsvConfig>, folder: PathBuf, held: Held) -> Self {
        Self { config, folder, held, memory: MEMORY, is_wanted: Box::new(|| true) }
    }

    /// The same, breaking off what takes long once nobody wants it any more.
    pub(crate) fn while_wanted(mut self, is_wanted: impl Fn() -> bool + Send + 'static) -> Self {
        self.is_wanted = Box::new(is_wanted);
        self
    }

    /// The same, sorting less at once.
    #[cfg(test)]
    pub(crate) fn with_memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    pub(crate) fn is_wanted(&self) -> bool {
        (self.is_wanted)()
    }

    /// The header of a snapshot of the file.
    pub(crate) fn header(&self, columns: Vec<String>) -> Header {
        Header { source: None, settings: settings(&self.config), made_of: Box::default(), columns }
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
                format!("the snapshot '{id}' of the file, which the token names, {why} ({folder})"),
            )
        };
        match self.opened(id) {
            Ok(snapshot) if snapshot.header.settings != settings(&self.config) => {
                Err(expired("was made with other settings of the connector"))
            }
            Ok(snapshot) => Ok(snapshot),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(expired("is not there")),
            Err(error) if is_damage(&error) => Err(expired("is damaged")),
            Err(error) => Err(self.cannot_read(error)),
        }
    }

    fn opened(&self, id: &str) -> io::Result<Snapshot> {
        let file = Arc::new(disk::open(&self.path(id))?);
        let (header, _) = Reader::open(Arc::clone(&file))?;
        Ok(Snapshot { id: id.into(), header, file })
    }

    /// The records of a snapshot.
    pub(crate) fn records(&self, snapshot: &Snapshot) -> Result<Reader> {
        snapshot.records().map_err(|error| self.cannot_read(error))
    }

    /// The error for a snapshot that cannot be read on.
    pub(crate) fn cannot_read(&self, error: io::Error) -> Error {
        let kind = if is_damage(&error) { ErrorKind::TokenExpired } else { ErrorKind::Unreachable };
        Error::new(kind, format!("cannot read a snapshot of the file in {}", self.folder.display())).with_source(error)
    }

    /// Whether the file is as it was when a snapshot was taken.
    pub(crate) fn is_now(&self, snapshot: &Snapshot, sight: &mut Sight) -> Result<bool> {
        self.is_source(&snapshot.header, sight)
    }

    fn is_source(&self, header: &Header, sight: &mut Sight) -> Result<bool> {
        let Some(source) = header.source else { return Ok(false) };
        if source::length(&self.config.path)? != source.length {
            return Ok(false);
        }
        let digest = match sight.0 {
            Some(digest) => digest,
            None => *sight.0.insert(source::digest(&self.config.path)?),
        };
        Ok(digest == source)
    }

    /// A snapshot of the file as it is, to be compared with an older one.
    pub(crate) fn now(&self, base: Option<&Snapshot>, sight: &mut Sight) -> Result<Snapshot> {
        let strangers_of = base.map_or(NOTHING, |base| &base.id);
        // A run that did not come to its end may have taken it.
        let found = self.find(|header| {
            Ok((header.made_of.is_empty() || *header.made_of == *strangers_of) && self.is_source(header, sight)?)
        })?;
        if let Some(snapshot) = found {
            return Ok(snapshot);
        }
        let id = self.begin()?;
        let part = AtomicU64::new(0);
        let temporary = || self.temporary(&format!("{id}-{}", part.fetch_add(1, Ordering::Relaxed)));
        let Taken { mut writer, has_strangers } = take::take(self, &temporary)?;
        if has_strangers {
            writer = self.keep(base, writer, strangers_of, temporary()).map_err(cannot_write)?;
        }
        self.publish(&id, writer)
    }

    /// The same with what there was before and is missed now: of a row of which nobody knows whose it is, nobody knows that either.
    fn keep(&self, base: Option<&Snapshot>, mut new: Writer, made_of: &str, path: PathBuf) -> io::Result<Writer> {
        let (header, rows) = new.read()?;
        let (source, columns) = (header.source, &header.columns);
        let union = merge::union(columns, base.map(|base| base.header.columns.as_slice()).unwrap_or_default());
        let header = Header { made_of: made_of.into(), source, ..self.header(union.clone()) };
        let mut writer = Writer::create(path, header)?;
        let rows = Records::new(rows, columns)?;
        let old = base.map(|base| Records::of_objects(base.records()?, &base.header.columns)).transpose()?;
        merge::keep(old, rows, &union, &mut writer)?;
        Ok(writer)
    }

    /// The state that is `target` up to a key, and `base` beyond it, as a snapshot of its own.
    pub(crate) fn splice(&self, base: &Snapshot, target: &Snapshot, last: &str) -> Result<Snapshot> {
        let made_of = format!("{}:{}:{last}", base.id, target.id);
        // Where the file cannot be read, the run after this one comes here again.
        if let Some(snapshot) = self.find(|header| Ok(*header.made_of == *made_of))? {
            return Ok(snapshot);
        }
        let columns = merge::union(&target.header.columns, &base.header.columns);
        let header = Header { made_of: made_of.into(), ..self.header(columns.clone()) };
        let id = self.begin()?;
        let mut writer = Writer::create(self.temporary(&id), header).map_err(cannot_write)?;
        let (old, new) = (self.records(base)?, self.records(target)?);
        let spliced = Records::of_objects(old, &base.header.columns).and_then(|old| {
            let new = Records::of_objects(new, &target.header.columns)?;
            merge::splice(old, new, last.as_bytes(), &columns, &mut writer)
        });
        match spliced {
            Ok(true) => self.publish(&id, writer),
            Ok(false) => Err(unknown_row()),
            Err(error) if is_damage(&error) => Err(self.cannot_read(error)),
            Err(error) => Err(cannot_write(error)),
        }
    }

    /// Keeps others from clearing a snapshot away whose token is about to be given out, until it was stored.
    pub(crate) fn hold(&self, snapshot: &Snapshot) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|other| other.id != snapshot.id);
        held.push(snapshot.clone());
    }

    /// Clears away what none of these positions needs and nobody uses, and what a process that was ended left behind.
    pub(crate) fn retain(&self, positions: &[Position]) -> Result<()> {
        let is_needed = |id: &str| positions.iter().any(|position| position.needs(id));
        {
            let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever stores tokens says so soon after; the last one may be somebody else's, who has not come to it yet.
            let last = held.pop();
            held.retain(|snapshot| is_needed(&snapshot.id));
            held.extend(last);
        }
        for (path, id, kind) in self.entries()? {
            if kind == TEMPORARY || !is_needed(&id) {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Prepares for a snapshot, and gives it a name.
    fn begin(&self) -> Result<Box<str>> {
        disk::make_folder(&self.folder).map_err(|error| {
            Error::unreachable(format!("cannot make the folder {}", self.folder.display())).with_source(error)
        })?;
        for (path, ..) in self.entries()?.into_iter().filter(|(_, _, kind)| *kind == TEMPORARY) {
            self.remove(&path)?;
        }
        Ok(new_id())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        disk::remove_unused(path)
            .map_err(|error| Error::unreachable(format!("cannot remove {}", path.display())).with_source(error))
    }

    /// Our files in the folder: where they are, how they are called, and how their names end.
    fn entries(&self) -> Result<Vec<(PathBuf, Box<str>, &'static str)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| self.cannot_read(error))?,
        };
        let mut ours = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| self.cannot_read(error))?.path();
            let id = path.file_stem().and_then(|name| name.to_str()).filter(|name| is_name(name)).map(Box::from);
            let ending = path.extension().and_then(|ending| ending.to_str());
            let kind = [SNAPSHOT, TEMPORARY].into_iter().find(|kind| ending == Some(*kind));
            if let (Some(id), Some(kind)) = (id, kind) {
                ours.push((path, id, kind));
            }
        }
        Ok(ours)
    }

    /// A snapshot that was made with these settings, and has a header to be found by.
    fn find(&self, mut is_wanted: impl FnMut(&Header) -> Result<bool>) -> Result<Option<Snapshot>> {
        let settings = settings(&self.config);
        for (_, id, _) in self.entries()?.into_iter().filter(|(_, _, kind)| *kind == SNAPSHOT) {
            // One that cannot be read is not the one; whoever needs it will be told.
            let Ok(snapshot) = self.opened(&id) else { continue };
            if snapshot.header.settings == settings && is_wanted(&snapshot.header)? {
                return Ok(Some(snapshot));
            }
        }
        Ok(None)
    }

    fn publish(&self, id: &str, writer: Writer) -> Result<Snapshot> {
        let (header, file) = writer.publish(&self.path(id)).map_err(cannot_write)?;
        Ok(Snapshot { id: id.into(), header, file })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.{SNAPSHOT}"))
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{TEMPORARY}"))
    }
}

impl Snapshot {
    fn records(&self) -> io::Result<Reader> {
        Reader::open(Arc::clone(&self.file)).map(|(_, reader)| reader)
    }
}

/// The error for a token that names a row which was not there.
pub(crate) fn unknown_row() -> Error {
    Error::new(ErrorKind::TokenExpired, "the token names a row that was not in the file")
}

pub(crate) fn cannot_write(error: io::Error) -> Error {
    Error::unreachable("cannot write a snapshot of the file").with_source(error)
}

/// A digest of the settings on which it depends what a row says.
fn settings(config: &CsvConfig) -> u128 {
    let CsvConfig {
        encoding,
        dialect,
        trailing_delimiter,
        trim,
        ignore_empty_lines,
        header,
        unique_attribute,
        name_attribute,
        password_attribute,
        multi_value,
        ignore_identifier_case,
        path: _,
        allow_empty: _,
    } = config;
    let text = format!(
        "{} {dialect:?} {trailing_delimiter} {trim} {ignore_empty_lines} {header} {unique_attribute:?} {name_attribute:?} \
         {password_attribute:?} {multi_value:?} {ignore_identifier_case}",
        encoding.name()
    );
    XxHash3_128::oneshot(text.as_bytes())
}

/// A name that no other snapshot has, here or elsewhere. Younger ones have greater numbers.
fn new_id() -> Box<str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{now}-{:016x}", RandomState::new().build_hasher().finish()).into()
}
