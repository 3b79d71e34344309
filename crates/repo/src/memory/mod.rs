//! A repository that lives as long as the process.
//!
//! It keeps no index of any kind: every answer is found by looking through all there is. That makes it the yardstick
//! for the others, and fit for what is small.

mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tidelock_model::object::{Focus, FocusType};
use tidelock_model::{Oid, Timestamp};

use self::state::{Row, State};
use crate::inbox::in_force;
use crate::run_lock::RunLock;
use crate::{
    Applied, Batch, Error, ErrorKind, FocusKey, InboxEntry, IndexedItem, KnownShadow, ObjectKey, ObjectType, OperationResult,
    Remaining, Repo, Result, ResultFilter, RunGuard, ShadowFilter, ShadowKey, ShadowRef, StoredFocus, StoredObject, StoredShadow,
    StoredToken, StoredTrigger, SyncLevel, TokenKey, TokenSet, TriggerKey,
};

/// A repository in memory.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
    lock: RunLock,
}

impl Memory {
    /// An empty repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A state is only ever replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stored_focus(&self, id: i64) -> Option<StoredFocus> {
        self.foci.get(&id).map(|focus| StoredFocus { key: FocusKey(id), focus: (**focus).clone() })
    }

    fn stored_shadow(&self, id: i64, row: &Row) -> StoredShadow {
        let mut shadow = row.shadow.clone();
        shadow.owner = row.focus.and_then(|focus| self.foci.get(&focus)).map(|focus| focus.oid.clone());
        StoredShadow { key: ShadowKey(id), shadow, owner: None }
    }

    fn results(&self, shadow: ShadowKey) -> Vec<OperationResult> {
        let mut results = self.shadows.get(&shadow.0).map(|row| row.results.clone()).unwrap_or_default();
        for result in &mut results {
            result.shadow = ShadowRef::Stored(shadow);
        }
        results
    }

    fn with_owner(&self, id: i64, row: &Row) -> StoredShadow {
        StoredShadow { owner: row.focus.and_then(|focus| self.stored_focus(focus)), ..self.stored_shadow(id, row) }
    }
}

#[async_trait]
impl Repo for Memory {
    async fn apply(&self, objects: Vec<StoredObject>, foci: Vec<(Option<Oid>, Focus)>) -> Result<Vec<(Oid, Applied)>> {
        let mut state = self.state();
        let (new, applied) = state.with_objects(objects, foci)?;
        *state = new;
        Ok(applied)
    }

    async fn object(&self, object_type: &ObjectType, key: &ObjectKey) -> Result<Option<StoredObject>> {
        let meant = |object: &&StoredObject| {
            object.object_type == *object_type
                && match key {
                    ObjectKey::Oid(oid) => object.oid.as_ref() == Some(oid),
                    ObjectKey::Name(name) => object.name == *name,
                }
        };
        Ok(self.state().objects.values().find(meant).cloned())
    }

    async fn objects(&self, object_type: &ObjectType) -> Result<Vec<StoredObject>> {
        Ok(self.state().objects.values().filter(|object| object.object_type == *object_type).cloned().collect())
    }

    async fn focus(&self, focus_type: FocusType, key: &ObjectKey) -> Result<Option<StoredFocus>> {
        let state = self.state();
        let meant = |focus: &Focus| {
            focus.focus_type == focus_type
                && match key {
                    ObjectKey::Oid(oid) => focus.oid == *oid,
                    ObjectKey::Name(name) => !name.is_empty() && focus.name() == name,
                }
        };
        Ok(state.foci.iter().find(|(_, focus)| meant(focus)).and_then(|(id, _)| state.stored_focus(*id)))
    }

    async fn foci(&self, focus_type: FocusType, after: Option<FocusKey>, limit: usize) -> Result<Vec<StoredFocus>> {
        let state = self.state();
        let foci = state.foci.iter().filter(|(id, focus)| focus.focus_type == focus_type && after.is_none_or(|key| **id > key.0));
        Ok(foci.take(limit).filter_map(|(id, _)| state.stored_focus(*id)).collect())
    }

    async fn shadow(&self, key: &ObjectKey) -> Result<Option<StoredShadow>> {
        let state = self.state();
        let meant = |row: &Row| match key {
            ObjectKey::Oid(oid) => row.shadow.oid == *oid,
            ObjectKey::Name(name) => *row.shadow.name == **name,
        };
        let found = state.shadows.iter().filter(|(_, row)| meant(row)).max_by_key(|(id, row)| (!row.shadow.dead, **id));
        Ok(found.map(|(id, row)| state.with_owner(*id, row)))
    }

    async fn shadows(&self, filter: &ShadowFilter, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        let state = self.state();
        let shadows =
            state.shadows.iter().filter(|(id, row)| filter.matches(&row.shadow) && after.is_none_or(|key| **id > key.0));
        Ok(shadows.take(limit).map(|(id, row)| state.stored_shadow(*id, row)).collect())
    }

    async fn count_shadows(&self, filter: &ShadowFilter) -> Result<u64> {
        Ok(self.state().shadows.values().filter(|row| filter.matches(&row.shadow)).count() as u64)
    }

    async fn projections(&self, foci: &[FocusKey]) -> Result<Vec<Vec<StoredShadow>>> {
        let state = self.state();
        let of_focus = |key: &FocusKey| {
            let shadows = state.shadows.iter().filter(|(_, row)| row.focus == Some(key.0) && !row.shadow.dead);
            shadows.map(|(id, row)| state.stored_shadow(*id, row)).collect()
        };
        Ok(foci.iter().map(of_focus).collect())
    }

    async fn results(&self, shadow: ShadowKey) -> Result<Vec<OperationResult>> {
        Ok(self.state().results(shadow))
    }

    async fn results_of(&self, shadows: &[ShadowKey]) -> Result<Vec<Vec<OperationResult>>> {
        let state = self.state();
        Ok(shadows.iter().map(|shadow| state.results(*shadow)).collect())
    }

    async fn triggers(&self, shadow: ShadowKey) -> Result<Vec<StoredTrigger>> {
        Ok(self.state().triggers.values().filter(|trigger| trigger.shadow == shadow).cloned().collect())
    }

    async fn look_up(&self, resource: &Oid, class: &str, identifiers: Vec<Box<str>>) -> Result<Vec<Option<KnownShadow>>> {
        let state = self.state();
        let living: HashMap<&str, KnownShadow> = state
            .shadows
            .iter()
            .filter(|(_, row)| !row.shadow.dead && row.shadow.resource == *resource && *row.shadow.class == *class)
            .map(|(id, row)| {
                let known = KnownShadow { key: ShadowKey(*id), fingerprint: row.fingerprint, last_run: row.run };
                (&*row.shadow.identifier, known)
            })
            .collect();
        Ok(identifiers.iter().map(|identifier| living.get(&**identifier).cloned()).collect())
    }

    async fn load(&self, shadows: &[ShadowKey]) -> Result<Vec<Option<StoredShadow>>> {
        let state = self.state();
        Ok(shadows.iter().map(|key| state.shadows.get(&key.0).map(|row| state.with_owner(key.0, row))).collect())
    }

    async fn ensure_indexed(&self, items: &[IndexedItem]) -> Result<()> {
        let mut state = self.state();
        for item in items {
            if !state.indexed.contains(item) {
                state.indexed.push(item.clone());
            }
        }
        Ok(())
    }

    async fn find(&self, item: &IndexedItem, values: Vec<Box<str>>, limit: usize) -> Result<Vec<Vec<StoredFocus>>> {
        let state = self.state();
        if !state.indexed.contains(item) {
            return Err(Error::new(ErrorKind::Corrupt, "foci are looked for by an item that is not indexed: this is a bug"));
        }
        let mut by_value: HashMap<Box<str>, Vec<i64>> = HashMap::new();
        for (id, focus) in state.foci.iter().filter(|(_, focus)| focus.focus_type == item.focus_type) {
            for key in item.keys(&focus.content) {
                by_value.entry(key).or_default().push(*id);
            }
        }
        let of_value = |value: &str| -> Vec<StoredFocus> {
            let foci = by_value.get(value).into_iter().flatten();
            foci.take(limit).filter_map(|id| state.stored_focus(*id)).collect()
        };
        Ok(values.iter().map(|value| of_value(value)).collect())
    }

    async fn have_results(&self, shadows: &[ShadowKey], which: &ResultFilter) -> Result<Vec<bool>> {
        let state = self.state();
        Ok(shadows.iter().map(|key| state.shadows.get(&key.0).is_some_and(|row| which.matches(&row.results))).collect())
    }

    async fn remaining(&self, which: &Remaining, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>> {
        let state = self.state();
        let meant = |row: &Row| {
            let stamp = match which.level {
                SyncLevel::Basic => row.shadow.synchronized,
                SyncLevel::Full => row.shadow.fully_synchronized,
            };
            !row.shadow.dead
                && which.filter.matches(&row.shadow)
                && stamp.is_none_or(|stamp| stamp <= which.until)
                && which.results.as_ref().is_none_or(|results| results.matches(&row.results))
        };
        let shadows = state.shadows.iter().filter(|(id, row)| after.is_none_or(|key| **id > key.0) && meant(row));
        Ok(shadows.take(limit).map(|(id, row)| state.with_owner(*id, row)).collect())
    }

    async fn tokens(&self, key: &TokenKey) -> Result<Vec<StoredToken>> {
        Ok(self.state().tokens.iter().find(|(known, _)| known == key).map(|(_, tokens)| tokens.clone()).unwrap_or_default())
    }

    async fn tokens_of(&self, resource: &Oid) -> Result<Vec<StoredToken>> {
        let state = self.state();
        let of_resource = state.tokens.iter().filter(|(key, _)| key.resource == *resource);
        Ok(of_resource.flat_map(|(_, tokens)| tokens).cloned().collect())
    }

    async fn token_sets(&self, resource: &Oid) -> Result<Vec<TokenSet>> {
        let state = self.state();
        let of_resource = state.tokens.iter().filter(|(key, _)| key.resource == *resource);
        Ok(of_resource.map(|(key, tokens)| TokenSet { set: key.set.clone(), has_token: !tokens.is_empty() }).collect())
    }

    async fn inbox(&self, resource: &Oid) -> Result<Vec<InboxEntry>> {
        let commits = self.state().inbox.get(resource).cloned().unwrap_or_default();
        in_force(commits.iter().rev().flat_map(|marks| marks.iter().rev()).cloned().map(Ok))
    }

    async fn due_triggers(&self, until: Timestamp, after: Option<TriggerKey>, limit: usize) -> Result<Vec<StoredTrigger>> {
        let state = self.state();
        let due =
            state.triggers.values().filter(|trigger| trigger.retry.at <= until && after.is_none_or(|key| trigger.key > key));
        Ok(due.take(limit).cloned().collect())
    }

    async fn commit(&self, batch: Batch) -> Result<()> {
        let mut state = self.state();
        *state = state.with_batch(batch)?;
        Ok(())
    }

    async fn task_state(&self, task: &Oid) -> Result<Option<String>> {
        Ok(self.state().tasks.get(task).cloned())
    }

    async fn next_run(&self) -> Result<u32> {
        let mut state = self.state();
        state.last_run += 1;
        Ok(state.last_run)
    }

    async fn scratch(&self) -> Result<Arc<dyn Repo>> {
        Ok(Arc::new(Self { state: Mutex::new(self.state().clone()), lock: RunLock::default() }))
    }

    async fn lock_for_run(&self) -> Result<RunGuard> {
        self.lock.take()
    }
}
