//! The right to run on a repository that only this process has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind, Result, RunGuard};

/// A lock whose guard may outlive the repository.
#[derive(Clone, Default)]
pub(crate) struct RunLock(Arc<AtomicBool>);

struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl RunLock {
    pub(crate) fn take(&self) -> Result<RunGuard> {
        if self.0.swap(true, Ordering::AcqRel) {
            return Err(Error::new(ErrorKind::Locked, "a task is being run on this repository already")
                .with_help("wait until it is done, or stop it, and try again"));
        }
        Ok(RunGuard::new(Held(Arc::clone(&self.0))))
    }
}
