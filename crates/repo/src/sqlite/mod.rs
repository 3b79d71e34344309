//! The embedded repository: one SQLite file.
//!
//! Two connections: one writes and serves the data path, so that what was just written is at hand in its cache; the
//! other, read-only, serves what commands list. Both work off the async threads, one call at a time each.

mod apply;
mod checkpoint;
mod column;
mod commit;
mod failure;
mod inbox;
mod index;
mod names;
mod open;
mod read;
mod results;
mod seen;
#[cfg(test)]
mod tests;
mod tokens;
mod triggers;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use tidelock_model::object::{Focus, FocusType};
use tidelock_model::{Oid, Timestamp};
use tokio::task;

use self::checkpoint::Checkpoints;
use self::column::OidColumn;
use self::failure::{Attempt, explain_result, misuse};
use self::index::Index;
use self::names::Names;
use crate::run_lock::RunLock;
use crate::{
    Applied, Batch, Error, ErrorKind, FocusKey, InboxEntry, IndexedItem, KnownShadow, ObjectKey, ObjectType, OperationResult,
    Remaining, Repo, Result, ResultFilter, RunGuard, ShadowFilter, ShadowKey, StoredFocus, StoredObject, StoredShadow,
    StoredToken, StoredTrigger, TokenKey, TokenSet, TriggerKey,
};

/// How long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A repository in a SQLite file.
///
/// Calls need a Tokio runtime. A call whose future is dropped may still have its effect.
pub struct Sqlite {
    path: Arc<Path>,
    lock: Lock,
    /// Before the writer: who closes last empties the log into the file, and a reader cannot.
    reader: Arc<Mutex<Db>>,
    /// Before the writer, for the same reason.
    _checkpoints: Option<Checkpoints>,
    writer: Option<Arc<Mutex<Db>>>,
}

/// What a repository is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To read and write; makes the file if there is none.
    ReadWrite,
    /// To read only, even while another process writes. Of a repository of an older version, it is a copy of now that is read.
    ReadOnly,
}

/// What keeps two runs apart.
enum Lock {
    /// A file beside the repository.
    File(PathBuf),
    /// Nobody else has this repository.
    Here(RunLock),
}

/// A connection, and what it has learned.
struct Db {
    connection: Connection,
    names: Names,
    index: Index,
}

impl Sqlite {
    /// Opens the repository in this file, and brings it up to date if it is opened for writing.
    ///
    /// # Errors
    /// * [`ErrorKind::NotOurs`] for a file that is something else; it is not touched.
    /// * [`ErrorKind::Newer`] for a repository of a newer version.
    /// * [`ErrorKind::Locked`] while another process keeps it to itself.
    /// * [`ErrorKind::Storage`] where there is none to read, and where file or folder do not allow it.
    /// * [`ErrorKind::Corrupt`] for a damaged file.
    pub fn open(path: &Path, mode: Mode) -> Result<Self> {
        Self::open_waiting(path, mode, PATIENCE)
    }

    fn open_waiting(path: &Path, mode: Mode, patience: Duration) -> Result<Self> {
        // SQLite takes some relative names for something else: `:memory:`, `file:…`.
        let path = std::path::absolute(path).map_err(|err| {
            Error::new(ErrorKind::Storage, format!("'{}' names no file", path.display()))
                .with_help("name the repository's file")
                .with_source(err)
        })?;
        let (writer, reader) = open::open(&path, mode, patience)?;
        let (writer, checkpoints) = writer.unzip();
        // Whatever way leads to the file, the lock of runs is to be the same.
        let path = path.canonicalize().unwrap_or(path);
        let mut lock = path.as_os_str().to_owned();
        lock.push("-lock");
        Ok(Self {
            path: path.into(),
            lock: Lock::File(lock.into()),
            _checkpoints: checkpoints,
            writer: writer.map(|db| Arc::new(Mutex::new(db))),
            reader: Arc::new(Mutex::new(reader)),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Works on the connection that writes.
    async fn write<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Attempt<T> + Send + 'static,
    {
        let Some(writer) = &self.writer else {
            let message = format!("cannot {doing}: the repository {} is open for reading only", self.path.display());
            return Err(Error::new(ErrorKind::Storage, message).with_help("open it for writing"));
        };
        self.work(writer, doing, move |db| {
            let result = work(db);
            if result.is_err() {
                db.forget();
            }
            result
        })
        .await
    }

    /// Reads for the data path: where what was just written is in the cache.
    async fn read_near<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Attempt<T> + Send + 'static,
    {
        self.work(self.writer.as_ref().unwrap_or(&self.reader), doing, work).await
    }

    /// Reads for commands: beside whatever is being written.
    async fn read_apart<T, F>(&self, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Attempt<T> + Send + 'static,
    {
        self.work(&self.reader, doing, work).await
    }

    async fn work<T, F>(&self, db: &Arc<Mutex<Db>>, doing: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db) -> Attempt<T> + Send + 'static,
    {
        let (db, path) = (Arc::clone(db), Arc::clone(&self.path));
        let done = task::spawn_blocking(move || {
            let mut db = db.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
                // Its transaction was rolled back by the panic; what was learned in it goes too.
                let mut db = poisoned.into_inner();
                db.forget();
                db
            });
            explain_result(work(&mut db), doing, &path)
        });
        match done.await {
            Ok(result) => result,
            Err(err) => Err(misuse(&format!("cannot {doing}, the work broke off")).with_source(err)),
        }
    }
}

impl Db {
    fn new(connection: Connection) -> Self {
        Self { connection, names: Names::default(), index: Index::default() }
    }

    /// Forgets what was learned, which may have been rolled back.
    fn forget(&mut self) {
        self.names.clear();
        self.index.clear();
    }
}

#[async_trait]
impl Repo for Sqlite {
    async fn apply(&self, objects: Vec<StoredObject>, foci: Vec<(Option<Oid>, Focus)>) -> Result<Vec<(Oid, Applied)>> {
        self.write("store objects", move |db| apply::apply(db, &objects, &foci)).await
    }

    async fn object(&self, object_type: &ObjectType, key: &ObjectKey) -> Result<Option<StoredObject>> {
        let (object_type, key) = (object_type.clone(), key.clone());
        self.read_apart("read an object", move |db| read::object(db, &object_type, &key)).await
    }

    async fn objects(&self, object_type: &ObjectType) -> Result<Vec<StoredObject>> {
        let object_type = object_type.clone();
        self.read_apart("read objects", move |db| read::objects(db, &object_type)).await
    }

    async fn focus(&self, focus_type: FocusType, key: &ObjectKey) -> Result<Option<StoredFocus>> {
        let key = key.clone();
        self.read_apart("read a focus", move |db| read::one_focus(db, focus_type, &key)).await
    }

    async fn foci(&self, focus_type: FocusType, after: Option<FocusKey>, limit: usize) -> Result<Vec<StoredFocus>> {
        self.read_apart("read foci", move |db| read::foci(db, focus_type, after, limit)).await
    }

    async fn shadow(&self, key: &ObjectKey) -> Result<Option<StoredShadow>> {
        let key = key.clone();
        self.read_apart("read a shadow", move |db| read::one_shadow(db, &key)).await
    }

    async fn shadows(&self, filter: &ShadowFilter, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        let filter = filter.clone();
        self.read_apart("read shadows", move |db| read::shadows(db, &filter, after, limit)).await
    }

    async fn count_shadows(&self, filter: &ShadowFilter) -> Result<u64> {
        let filter = filter.clone();
        self.read_apart("count shadows", move |db| read::count_shadows(db, &filter)).await
    }

    async fn projections(&self, foci: &[FocusKey]) -> Result<Vec<Vec<StoredShadow>>> {
        let foci = foci.to_vec();
        self.read_near("read shadows of foci", move |db| read::projections(db, &foci)).await
    }

    async fn results(&self, shadow: ShadowKey) -> Result<Vec<OperationResult>> {
        Ok(self.results_of(&[shadow]).await?.pop().unwrap_or_default())
    }

    async fn results_of(&self, shadows: &[ShadowKey]) -> Result<Vec<Vec<OperationResult>>> {
        let shadows = shadows.to_vec();
        self.read_apart("read results", move |db| results::of(db, &shadows)).await
    }

    async fn triggers(&self, shadow: ShadowKey) -> Result<Vec<StoredTrigger>> {
        self.read_apart("read triggers", move |db| triggers::of_shadow(db, shadow)).await
    }

    async fn look_up(&self, resource: &Oid, class: &str, identifiers: Vec<Box<str>>) -> Result<Vec<Option<KnownShadow>>> {
        let (resource, class) = (resource.clone(), Box::<str>::from(class));
        self.read_near("look up shadows", move |db| read::look_up(db, &resource, &class, identifiers)).await
    }

    async fn load(&self, shadows: &[ShadowKey]) -> Result<Vec<Option<StoredShadow>>> {
        let shadows = shadows.to_vec();
        self.read_near("read shadows", move |db| read::load(db, &shadows)).await
    }

    async fn read_ahead(
        &self,
        resource: &Oid,
        class: &str,
        identifiers: Vec<Box<str>>,
    ) -> Result<Vec<Option<(KnownShadow, StoredShadow)>>> {
        let (resource, class) = (resource.clone(), class.to_owned());
        self.read_apart("read shadows ahead", move |db| read::read_ahead(db, &resource, &class, identifiers)).await
    }

    async fn ensure_indexed(&self, items: &[IndexedItem]) -> Result<()> {
        let items = items.to_vec();
        self.write("index foci", move |db| index::ensure(db, &items)).await
    }

    async fn find(&self, item: &IndexedItem, values: Vec<Box<str>>, limit: usize) -> Result<Vec<Vec<StoredFocus>>> {
        let item = item.clone();
        self.read_near("find foci", move |db| read::find(db, &item, values, limit)).await
    }

    async fn have_results(&self, shadows: &[ShadowKey], which: &ResultFilter) -> Result<Vec<bool>> {
        let (shadows, which) = (shadows.to_vec(), which.clone());
        self.read_near("look through results", move |db| results::are_there(db, &shadows, &which)).await
    }

    async fn remaining(&self, which: &Remaining, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        let which = which.clone();
        self.read_near("read remaining shadows", move |db| read::remaining(db, &which, after, limit)).await
    }

    async fn tokens(&self, key: &TokenKey) -> Result<Vec<StoredToken>> {
        let key = key.clone();
        self.read_apart("read tokens", move |db| tokens::of_set(db, &key)).await
    }

    async fn tokens_of(&self, resource: &Oid) -> Result<Vec<StoredToken>> {
        let resource = resource.clone();
        self.read_apart("read tokens", move |db| tokens::of_resource(db, &resource)).await
    }

    async fn token_sets(&self, resource: &Oid) -> Result<Vec<TokenSet>> {
        let resource = resource.clone();
        self.read_apart("read tokens", move |db| tokens::sets(db, &resource)).await
    }

    async fn inbox(&self, resource: &Oid) -> Result<Vec<InboxEntry>> {
        let resource = resource.clone();
        self.read_apart("read the inbox", move |db| inbox::read(db, &resource)).await
    }

    async fn due_triggers(&self, until: Timestamp, after: Option<TriggerKey>, limit: usize) -> Result<Vec<StoredTrigger>> {
        self.read_near("read due triggers", move |db| triggers::due(db, until, after, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        self.write("store changes", move |db| commit::commit(db, &batch)).await
    }

    async fn task_state(&self, task: &Oid) -> Result<Option<String>> {
        let task = task.clone();
        self.read_apart("read the state of a task", move |db| {
            Ok(db
                .connection
                .prepare_cached("SELECT state FROM task_state WHERE task = ?1")?
                .query_row([OidColumn::from(&task)], |row| row.get(0))
                .optional()?)
        })
        .await
    }

    async fn next_run(&self) -> Result<u32> {
        self.write("number a run", |db| {
            let run: i64 = db
                .connection
                .prepare_cached("UPDATE meta SET value = value + 1 WHERE name = 'last_run' RETURNING value")?
                .query_row([], |row| row.get(0))?;
            Ok(u32::try_from(run).map_err(|err| misuse("there have been too many runs").with_source(err))?)
        })
        .await
    }

    async fn scratch(&self) -> Result<Arc<dyn Repo>> {
        let copy = self.read_apart("copy the repository", |db| open::copy(&db.connection)).await?;
        let copy = Arc::new(Mutex::new(copy));
        Ok(Arc::new(Self {
            path: Arc::clone(&self.path),
            lock: Lock::Here(RunLock::default()),
            _checkpoints: None,
            writer: Some(Arc::clone(&copy)),
            reader: copy,
        }))
    }

    async fn lock_for_run(&self) -> Result<RunGuard> {
        let path = match &self.lock {
            Lock::Here(lock) => return lock.take(),
            Lock::File(path) => path.clone(),
        };
        task::spawn_blocking(move || lock(&path).map(RunGuard::new))
            .await
            .unwrap_or_else(|err| Err(misuse("the lock of runs could not be taken").with_source(err)))
    }
}

/// Takes a lock that goes with the process. The file stays: who deletes it might delete another's lock.
fn lock(path: &Path) -> Result<File> {
    let failed = |err: std::io::Error| {
        Error::new(ErrorKind::Storage, format!("cannot lock {}", path.display()))
            .with_help("see that the repository's folder may be written by this user")
            .with_source(err)
    };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("a task is being run on this repository by another process, which holds {}", path.display());
            Err(Error::new(ErrorKind::Locked, message).with_help("wait until it is done, or stop it, and try again"))
        }
        Err(TryLockError::Error(err)) => Err(failed(err)),
    }
}
