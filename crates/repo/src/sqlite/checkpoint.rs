//! Moving pages from the write-ahead log to their places in the file, beside whoever writes.
//!
//! SQLite would have the writer do it, in the middle of a commit. Here a thread does, with a connection of its own, from when the log has
//! grown by so much; only where that falls behind does the writer do the rest, or the log would grow for as long as the load lasts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::hooks::Wal;
use rusqlite::{Connection, OpenFlags};

use super::open::PAGE;

/// By how many pages the log has grown when they begin to be moved; what comes again in between is moved once.
const BEGIN: i32 = 32 * 1024;

/// How many pages are in the log at most before the writer itself moves them.
const MOST: i32 = 2 * BEGIN;

/// How large the log's file stays: what a large transaction left is cut off.
pub(super) const KEPT_BYTES: i64 = BEGIN as i64 * PAGE as i64 * 2;

/// Moves pages when there are many. Ends with the value, after the move under way.
pub(super) struct Checkpoints(Arc<Shared>);

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    ends: bool,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Has the log of this file looked after from now on, which this connection writes.
    pub(super) fn begin(writer: &mut Connection, path: &Path) -> rusqlite::Result<Self> {
        let shared = Arc::new(Shared { path: path.to_owned(), state: Mutex::default(), wake: Condvar::new() });
        let asked = Arc::clone(&shared);
        let mut next = BEGIN;
        writer.wal_hook(Some(move |wal: &mut Wal, pages| {
            if pages < next - BEGIN {
                // The log has begun anew.
                next = BEGIN;
            }
            if pages >= next {
                next = pages + BEGIN;
                asked.want();
            }
            if pages >= MOST {
                // What cannot be moved now is moved next time.
                let _ = wal.checkpoint();
            }
            Ok(())
        }))?;
        Ok(Self(shared))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        let thread = {
            let mut state = self.0.state();
            state.ends = true;
            state.thread.take()
        };
        self.0.wake.notify_all();
        if let Some(thread) = thread {
            // A panic of its own has been told of.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn want(self: &Arc<Self>) {
        let mut state = self.state();
        state.wanted = true;
        if state.thread.is_none() && !state.ends {
            let this = Arc::clone(self);
            // Without a thread, the writer does it all.
            state.thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(move || this.work()).ok();
        }
        self.wake.notify_all();
    }

    fn work(&self) {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Without a connection, the writer does it all.
        let Ok(connection) = Connection::open_with_flags(&self.path, flags) else { return };
        loop {
            let mut state = self.state();
            while !state.wanted && !state.ends {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.ends {
                return;
            }
            state.wanted = false;
            drop(state);
            // What cannot be moved now is moved next time.
            let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
