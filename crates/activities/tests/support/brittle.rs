//! A repository that breaks off, as a process does that is killed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidelock_model::object::{Focus, FocusType};
use tidelock_model::{Oid, Timestamp};
use tidelock_repo::{
    Applied, Batch, Error, ErrorKind, FocusKey, InboxEntry, IndexedItem, KnownShadow, ObjectKey, ObjectType, OperationResult,
    Remaining, Repo, Result, ResultFilter, RunGuard, ShadowFilter, ShadowKey, StoredFocus, StoredObject, StoredShadow,
    StoredToken, StoredTrigger, TokenKey, TokenSet, TriggerKey, async_trait,
};

/// When the process is killed that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Before the commit: nothing of it is there.
    Before,
    /// After it: all of it is there, and nobody was told.
    After,
}

/// A repository on top of another one. From one commit on, nothing can be done with it any more.
pub struct Brittle {
    inner: Arc<dyn Repo>,
    left: AtomicI64,
    kill: Kill,
    commit_takes: Duration,
    refused: Mutex<VecDeque<bool>>,
    asked: AtomicI64,
}

impl Brittle {
    /// Breaks off at the commit after so many others.
    pub fn new(inner: Arc<dyn Repo>, commits: i64, kill: Kill) -> Self {
        Self {
            inner,
            left: AtomicI64::new(commits),
            kill,
            commit_takes: Duration::ZERO,
            refused: Mutex::default(),
            asked: AtomicI64::new(0),
        }
    }

    /// Never breaks off, and takes its time for each commit, while others may go on.
    pub fn slow(inner: Arc<dyn Repo>, commit_takes: Duration) -> Self {
        Self { commit_takes, ..Self::new(inner, i64::MAX, Kill::Before) }
    }

    /// The same, and takes its time for each commit.
    pub fn slowly(self, commit_takes: Duration) -> Self {
        Self { commit_takes, ..self }
    }

    /// Refuses some of the next commits of objects, as it does where somebody else was faster.
    pub fn refuse(&self, refused: impl IntoIterator<Item = bool>) {
        *self.refused.lock().unwrap() = refused.into_iter().collect();
    }

    /// How many commits of objects it was asked for.
    pub fn asked(&self) -> i64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether it has broken off.
    pub fn is_broken(&self) -> bool {
        self.left.load(Ordering::SeqCst) < 0
    }

    fn alive(&self) -> Result<&dyn Repo> {
        if self.is_broken() { Err(killed()) } else { Ok(&*self.inner) }
    }
}

fn killed() -> Error {
    Error::new(ErrorKind::Storage, "killed")
}

#[async_trait]
impl Repo for Brittle {
    async fn apply(&self, objects: Vec<StoredObject>, foci: Vec<(Option<Oid>, Focus)>) -> Result<Vec<(Oid, Applied)>> {
        self.alive()?.apply(objects, foci).await
    }

    async fn object(&self, object_type: &ObjectType, key: &ObjectKey) -> Result<Option<StoredObject>> {
        self.alive()?.object(object_type, key).await
    }

    async fn objects(&self, object_type: &ObjectType) -> Result<Vec<StoredObject>> {
        self.alive()?.objects(object_type).await
    }

    async fn focus(&self, focus_type: FocusType, key: &ObjectKey) -> Result<Option<StoredFocus>> {
        self.alive()?.focus(focus_type, key).await
    }

    async fn foci(&self, focus_type: FocusType, after: Option<FocusKey>, limit: usize) -> Result<Vec<StoredFocus>> {
        self.alive()?.foci(focus_type, after, limit).await
    }

    async fn shadow(&self, key: &ObjectKey) -> Result<Option<StoredShadow>> {
        self.alive()?.shadow(key).await
    }

    async fn shadows(&self, filter: &ShadowFilter, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        self.alive()?.shadows(filter, after, limit).await
    }

    async fn count_shadows(&self, filter: &ShadowFilter) -> Result<u64> {
        self.alive()?.count_shadows(filter).await
    }

    async fn projections(&self, foci: &[FocusKey]) -> Result<Vec<Vec<StoredShadow>>> {
        self.alive()?.projections(foci).await
    }

    async fn results(&self, shadow: ShadowKey) -> Result<Vec<OperationResult>> {
        self.alive()?.results(shadow).await
    }

    async fn results_of(&self, shadows: &[ShadowKey]) -> Result<Vec<Vec<OperationResult>>> {
        self.alive()?.results_of(shadows).await
    }

    async fn triggers(&self, shadow: ShadowKey) -> Result<Vec<StoredTrigger>> {
        self.alive()?.triggers(shadow).await
    }

    async fn look_up(&self, resource: &Oid, class: &str, identifiers: Vec<Box<str>>) -> Result<Vec<Option<KnownShadow>>> {
        self.alive()?.look_up(resource, class, identifiers).await
    }

    async fn load(&self, shadows: &[ShadowKey]) -> Result<Vec<Option<StoredShadow>>> {
        self.alive()?.load(shadows).await
    }

    async fn ensure_indexed(&self, items: &[IndexedItem]) -> Result<()> {
        self.alive()?.ensure_indexed(items).await
    }

    async fn find(&self, item: &IndexedItem, values: Vec<Box<str>>, limit: usize) -> Result<Vec<Vec<StoredFocus>>> {
        self.alive()?.find(item, values, limit).await
    }

    async fn have_results(&self, shadows: &[ShadowKey], which: &ResultFilter) -> Result<Vec<bool>> {
        self.alive()?.have_results(shadows, which).await
    }

    async fn remaining(&self, which: &Remaining, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        self.alive()?.remaining(which, after, limit).await
    }

    async fn tokens(&self, key: &TokenKey) -> Result<Vec<StoredToken>> {
        self.alive()?.tokens(key).await
    }

    async fn tokens_of(&self, resource: &Oid) -> Result<Vec<StoredToken>> {
        self.alive()?.tokens_of(resource).await
    }

    async fn token_sets(&self, resource: &Oid) -> Result<Vec<TokenSet>> {
        self.alive()?.token_sets(resource).await
    }

    async fn inbox(&self, resource: &Oid) -> Result<Vec<InboxEntry>> {
        self.alive()?.inbox(resource).await
    }

    async fn due_triggers(&self, until: Timestamp, after: Option<TriggerKey>, limit: usize) -> Result<Vec<StoredTrigger>> {
        self.alive()?.due_triggers(until, after, limit).await
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let inner = self.alive()?;
        tokio::time::sleep(self.commit_takes).await;
        let is_of_objects = !batch.shadows.is_empty() || !batch.foci.is_empty();
        self.asked.fetch_add(i64::from(is_of_objects), Ordering::SeqCst);
        if is_of_objects && self.refused.lock().unwrap().pop_front().unwrap_or_default() {
            return Err(Error::new(ErrorKind::Conflict, "somebody else was faster"));
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return inner.commit(batch).await;
        }
        if self.kill == Kill::After {
            inner.commit(batch).await?;
        }
        Err(killed())
    }

    async fn task_state(&self, task: &Oid) -> Result<Option<String>> {
        self.alive()?.task_state(task).await
    }

    async fn next_run(&self) -> Result<u32> {
        self.alive()?.next_run().await
    }

    async fn scratch(&self) -> Result<Arc<dyn Repo>> {
        self.alive()?.scratch().await
    }

    async fn lock_for_run(&self) -> Result<RunGuard> {
        self.alive()?.lock_for_run().await
    }
}
