//! Files of the folder of snapshots: who uses which, and what is on the disk.
//!
//! Whoever writes a file has it to itself, and whoever reads one shares it: by locks of the operating system, which go with the
//! process. So nobody clears away what another process is at, and everybody what a process left that was ended.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

/// Something that was done to the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests look at it"))]
pub(crate) enum Step {
    /// A file was begun.
    Created,
    /// Something was written to one.
    Written,
    /// All that was written to one is on the disk.
    Synced,
    /// One has its name.
    Renamed,
    /// Names are on the disk.
    FolderSynced,
    /// One was removed.
    Removed,
}

/// Called after each step. Tests look at the folder here, as a process would find it that comes after one that ended at this moment.
#[cfg(not(test))]
#[allow(clippy::unnecessary_wraps, reason = "in tests, steps fail")]
pub(crate) fn done(_: Step) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use self::watched::{done, watch};

/// Makes a folder that only its owner may look into.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // The folder is made with the one of all resources around it.
    folder.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty()).try_for_each(sync_folder)
}

/// Begins a file, to be written by nobody else.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    lock_if_possible(file.lock())?;
    done(Step::Created)?;
    Ok(file)
}

/// Opens a file, to be removed by nobody.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] also where somebody is just removing it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::NotFound.into()),
        Err(TryLockError::Error(error)) => lock_if_possible(Err(error))?,
        Ok(()) => {}
    }
    // It may have been removed between the two.
    fs::metadata(path)?;
    Ok(file)
}

/// Gives a file that was written its place. When this returns, it is there for good, and nobody removes it.
pub(crate) fn publish(file: &File, from: &Path, to: &Path) -> io::Result<()> {
    file.sync_all()?;
    done(Step::Synced)?;
    fs::rename(from, to)?;
    done(Step::Renamed)?;
    if let Some(folder) = to.parent() {
        sync_folder(folder)?;
    }
    done(Step::FolderSynced)?;
    lock_if_possible(file.unlock())?;
    lock_if_possible(file.lock_shared())?;
    // It may have been removed between the two.
    fs::metadata(to).map(drop)
}

/// Removes a file unless somebody uses it.
pub(crate) fn remove_unused(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| done(Step::Removed)),
    }
}

/// Where a file system knows no locks, one process at a time has to do.
fn lock_if_possible(locked: io::Result<()>) -> io::Result<()> {
    match locked {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        locked => locked,
    }
}

/// Makes sure that the names in a folder are on the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod watched {
    use std::cell::RefCell;
    use std::io;

    use super::Step;

    type Watcher = Box<dyn FnMut(Step) -> io::Result<()>>;

    thread_local! {
        static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    }

    pub(crate) fn done(step: Step) -> io::Result<()> {
        WATCHER.with_borrow_mut(|watcher| watcher.as_mut().map_or(Ok(()), |watcher| watcher(step)))
    }

    /// Does something, with every step of this thread shown to a watcher, who may let it fail.
    pub(crate) fn watch<T>(watcher: impl FnMut(Step) -> io::Result<()> + 'static, work: impl FnOnce() -> T) -> T {
        WATCHER.set(Some(Box::new(watcher)));
        let done = work();
        WATCHER.set(None);
        done
    }
}
