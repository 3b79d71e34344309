//! Telling somebody who waits how far a run is.

/// Is told how far a run is. Called from the run itself, once for each chunk: it must be quick.
pub trait Progress: Send + Sync {
    /// A part of the run begins; `expected` objects, where that is known. The path is empty for a simple activity.
    fn begin(&self, path: &str, expected: Option<u64>);

    /// This many objects of the current part are done, so far.
    fn advance(&self, done: u64);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _path: &str, _expected: Option<u64>) {}

    fn advance(&self, _done: u64) {}
}
