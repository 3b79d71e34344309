//! Reading a source of changes ahead of whoever processes them.

use std::future::Future;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a task of its own reads from a source. Reading ends with this.
pub(crate) struct Feed<T> {
    receive: mpsc::Receiver<T>,
    task: JoinHandle<()>,
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
