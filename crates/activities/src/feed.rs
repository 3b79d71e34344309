//! Reading a source of changes ahead of whoever processes them.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// What a task of its own reads from a source. Reading ends with this.
pub(crate) struct Feed<T> {
    receive: mpsc::Receiver<T>,
    task: JoinHandle<()>,
}

/// How many bytes may be in memory of what is read ahead and not done with: few big messages, or many small ones.
pub(crate) struct Budget {
    bytes: usize,
    left: Arc<Semaphore>,
}

/// A part of a budget, for as long as this is kept.
pub(crate) type Held = Option<OwnedSemaphorePermit>;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes, left: Arc::new(Semaphore::new(bytes)) }
    }

    /// Waits until so many bytes are left. What is bigger than everything waits for everything.
    pub(crate) async fn hold(&self, bytes: usize) -> Held {
        let bytes = u32::try_from(bytes.min(self.bytes)).unwrap_or(u32::MAX);
        // Nobody closes it.
        Arc::clone(&self.left).acquire_many_owned(bytes).await.ok()
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Starts to read, so many ahead at most.
    pub(crate) fn start<F>(ahead: usize, read: impl FnOnce(mpsc::Sender<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (send, receive) = mpsc::channel(ahead);
        Self { receive, task: tokio::spawn(read(send)) }
    }

    /// What there is by now, so many at most, in order; waits only where there is nothing. Nothing comes at the end of the source.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn next(&mut self, most: usize) -> Vec<T> {
        let mut some = Vec::new();
        self.receive.recv_many(&mut some, most).await;
        some
    }

    /// Ends the reading, and waits until the source is let go.
    pub(crate) async fn stop(mut self) {
        self.receive.close();
        self.task.abort();
        // It was told to end, whatever it was doing.
        let _ = (&mut self.task).await;
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_too_much_waits_until_something_is_done_with() {
        let budget = Budget::new(100);
        let hold = |bytes| budget.hold(bytes).now_or_never().flatten();
        let (first, second) = (hold(60), hold(40));
        assert!(first.is_some() && second.is_some() && hold(1).is_none());
        // Of some, it is not known how big they are.
        assert!(hold(0).is_some());
        drop(first);
        assert!(hold(61).is_none());
        assert!(hold(60).is_some());
        assert!(hold(1_000_000).is_none());
        drop(second);
        assert!(hold(1_000_000).is_some());
    }
}
