//! Reading ahead what is stored of the objects of changes, while changes before them are still being committed.
//!
//! A commit may overtake what was read. So each commit leaves word of what it touched, and what was read before it of that counts for
//! nothing: it is read again when its turn comes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidelock_connector_api::Modification;
use tidelock_model::object::{Focus, Shadow};
use tidelock_model::{Items, Value};
use tidelock_repo::{
    Batch, Error, FocusChange, FocusKey, FocusRef, KnownShadow, ShadowChange, ShadowKey, ShadowRef, StoredShadow,
};

use crate::changes::{Incoming, Subject};
use crate::part::Part;
use crate::source::FoundObject;

/// Below so many changes nothing is gained by reading ahead.
const WORTHWHILE: usize = 256;

/// How many bytes of values wait for their turn at most, when all that may be read ahead is. What is too big is read in its turn.
const BYTES: usize = 16 << 20;

/// In how many places what was read ahead is at the same time, a chunk of it each: with the reader, on its way, waiting, being decided,
/// and being committed.
const PLACES: usize = 5;

/// How many commits are remembered. What was read before that is read again.
const REMEMBERED: u64 = 32;

/// What is stored of an object, as it was after so many commits.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) known: KnownShadow,
    pub(crate) stored: StoredShadow,
    pub(crate) since: u64,
    /// What the change makes of that, if all that matters is known.
    pub(crate) object: Option<FoundObject>,
}

impl Snapshot {
    /// Whether this is how it still is.
    pub(crate) fn holds(&self, commits: &Commits) -> bool {
        commits.have_left(self.known.key, self.stored.owner.as_ref().map(|owner| owner.key), self.since)
    }
}

/// What the commits of a part have touched.
#[derive(Default)]
pub(crate) struct Commits(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many there have been.
    count: u64,
    /// The last one that touched each of these.
    shadows: HashMap<ShadowKey, u64>,
    foci: HashMap<FocusKey, u64>,
    /// What the last ones touched, oldest first.
    recent: VecDeque<Touch>,
}

/// What a batch makes of what is stored, for as long as it is being committed.
pub(crate) struct Effects {
    /// The shadows that it writes; none where more than that becomes of one.
    shadows: HashMap<ShadowKey, Option<ShadowChange>>,
    /// The foci that it writes; none of those that go.
    foci: HashMap<FocusKey, Option<Focus>>,
}

impl Effects {
    /// What comes of a batch.
    pub(crate) fn of(batch: &Batch) -> Self {
        let mut shadows: HashMap<ShadowKey, Option<ShadowChange>> = HashMap::with_capacity(batch.shadows.len());
        for change in &batch.shadows {
            if let Some(key) = change.key {
                // One that is written twice is for the repository to say.
                shadows.entry(key).and_modify(|change| *change = None).or_insert_with(|| Some(change.clone()));
            }
        }
        shadows.extend(failed(batch).map(|key| (key, None)));
        let mut foci: HashMap<FocusKey, Option<Focus>> = HashMap::with_capacity(batch.foci.len());
        for change in &batch.foci {
            match change {
                FocusChange::Create(_) => {}
                FocusChange::Update { key, focus, .. } => drop(foci.insert(*key, Some(focus.clone()))),
                FocusChange::Delete { key, .. } => drop(foci.insert(*key, None)),
            }
        }
        Self { shadows, foci }
    }

    /// How what was stored before, or is stored by now, will be: whether that can be said.
    fn come_over(&self, snapshot: &mut Snapshot) -> bool {
        let Snapshot { known, stored, object, .. } = snapshot;
        let Some(owner) = &mut stored.owner else { return !self.shadows.contains_key(&known.key) };
        let (shadow, focus) = (self.shadows.get(&known.key), self.foci.get(&owner.key));
        match shadow {
            None if focus.is_none() => return true,
            // A shadow that is not written loses its fingerprint when its owner changes.
            None | Some(None) => return false,
            Some(Some(change)) => {
                if change.owner != Some(FocusRef::Stored(owner.key)) || change.shadow.dead || change.fingerprint.is_none() {
                    return false;
                }
                known.fingerprint = change.fingerprint;
                stored.shadow = Shadow { owner: stored.shadow.owner.take(), ..change.shadow.clone() };
            }
        }
        *object = None;
        match focus {
            None => true,
            Some(None) => false,
            Some(Some(focus)) => {
                owner.focus = focus.clone();
                true
            }
        }
    }
}

/// What a commit touches of what is stored.
pub(crate) struct Touch {
    shadows: Vec<ShadowKey>,
    foci: Vec<FocusKey>,
}

impl Touch {
    /// What a batch touches.
    pub(crate) fn of(batch: &Batch) -> Self {
        let foci = batch.foci.iter().filter_map(|change| match change {
            FocusChange::Create(_) => None,
            FocusChange::Update { key, .. } | FocusChange::Delete { key, .. } => Some(*key),
        });
        Self {
            shadows: batch.shadows.iter().filter_map(|change| change.key).chain(failed(batch)).collect(),
            foci: foci.collect(),
        }
    }
}

/// The stored shadows whose objects failed: these lose their fingerprints.
fn failed(batch: &Batch) -> impl Iterator<Item = ShadowKey> {
    batch.results.iter().filter(|result| result.status.is_failure()).filter_map(|result| match result.shadow {
        ShadowRef::Stored(key) => Some(key),
        ShadowRef::New(_) => None,
    })
}

impl Commits {
    /// How many there have been.
    pub(crate) fn count(&self) -> u64 {
        self.state().count
    }

    /// Another one has been made.
    pub(crate) fn add(&self, touch: Touch) {
        let mut state = self.state();
        let state = &mut *state;
        state.count += 1;
        state.shadows.extend(touch.shadows.iter().map(|key| (*key, state.count)));
        state.foci.extend(touch.foci.iter().map(|key| (*key, state.count)));
        state.recent.push_back(touch);
        if state.recent.len() as u64 > REMEMBERED
            && let Some(oldest) = state.recent.pop_front()
        {
            let forgotten = state.count - REMEMBERED;
            oldest.shadows.iter().for_each(|key| forget(&mut state.shadows, key, forgotten));
            oldest.foci.iter().for_each(|key| forget(&mut state.foci, key, forgotten));
        }
    }

    /// Whether none but the first so many has touched a shadow or its owner.
    fn have_left(&self, shadow: ShadowKey, owner: Option<FocusKey>, since: u64) -> bool {
        let state = self.state();
        let touched = [state.shadows.get(&shadow), owner.and_then(|owner| state.foci.get(&owner))];
        since + REMEMBERED >= state.count && touched.into_iter().flatten().all(|touched| *touched <= since)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget<K: std::hash::Hash + Eq>(touched: &mut HashMap<K, u64>, key: &K, upto: u64) {
    if touched.get(key).is_some_and(|at| *at <= upto) {
        touched.remove(key);
    }
}

/// A change of which it is asked what is stored of its object.
struct Asked<'c> {
    identifier: Box<str>,
    subject: &'c Subject,
    modifications: &'c [Modification],
    snapshot: &'c mut Option<Box<Snapshot>>,
}

/// Reads what is stored of the objects of these changes, where they say only what is different, if there are enough of them. What cannot
/// be read ahead is read in its turn.
pub(crate) async fn read<'c>(part: &Part, changes: impl Iterator<Item = &'c mut Incoming>) -> Result<(), Error> {
    read_if(part, changes, WORTHWHILE).await
}

/// Has it known of each of these changes what is stored of its object once a batch is committed, without waiting for that; whether that
/// could be done. What is known then is wrong if the batch is not committed after all.
pub(crate) async fn foresee(part: &Part, changes: &mut VecDeque<(usize, Incoming)>, effects: &Effects) -> Result<bool, Error> {
    if changes.iter().any(|(_, change)| !matches!(change, Incoming::Delta(..))) {
        return Ok(false);
    }
    read_if(part, changes.iter_mut().map(|(_, change)| change), 1).await?;
    for (_, change) in changes {
        let Incoming::Delta(subject, modifications, Some(snapshot)) = change else { return Ok(false) };
        if !effects.come_over(snapshot) || snapshot.known.fingerprint.is_none() || snapshot.stored.owner.is_none() {
            return Ok(false);
        }
        if snapshot.object.is_none() {
            snapshot.object = subject.apply(part, modifications, &snapshot.stored);
        }
        if snapshot.object.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads what is stored of objects of which it is not known, if that is so many.
async fn read_if<'c>(part: &Part, changes: impl Iterator<Item = &'c mut Incoming>, least: usize) -> Result<(), Error> {
    let mut asked: BTreeMap<Arc<str>, Vec<Asked<'_>>> = BTreeMap::new();
    let mut count = 0;
    for change in changes {
        if let Incoming::Delta(subject, modifications, snapshot) = change {
            if snapshot.as_ref().is_some_and(|snapshot| snapshot.holds(&part.commits)) {
                continue;
            }
            let (class, identifier) = subject.identity();
            asked.entry(Arc::clone(class)).or_default().push(Asked {
                identifier: identifier.into(),
                subject,
                modifications,
                snapshot,
            });
            count += 1;
        }
    }
    if count < least {
        return Ok(());
    }
    for (class, asked) in asked {
        let identifiers = asked.iter().map(|one| one.identifier.clone()).collect();
        let since = part.commits.count();
        let read = part.engine.repo.read_ahead(&part.resource, &class, identifiers).await?;
        let mut left = (BYTES / part.chunk / PLACES).saturating_mul(asked.len()).min(BYTES / PLACES);
        for (one, read) in asked.into_iter().zip(read) {
            let read = read.filter(|(_, stored)| take_of(&mut left, weight(stored)));
            *one.snapshot = read.map(|(known, stored)| {
                let is_whole = known.fingerprint.is_some();
                let object = one.subject.apply(part, one.modifications, &stored).filter(|_| is_whole);
                Box::new(Snapshot { known, stored, since, object })
            });
        }
    }
    Ok(())
}

fn take_of(left: &mut usize, bytes: usize) -> bool {
    let fits = bytes <= *left;
    if fits {
        *left -= bytes;
    }
    fits
}

/// About how many bytes of values there are; those of the object come again in what the change makes of it.
fn weight(stored: &StoredShadow) -> usize {
    let owner = stored.owner.as_ref().map_or(0, |owner| bytes(&owner.focus.content));
    2 * bytes(&stored.shadow.attributes) + owner
}

fn bytes(items: &Items) -> usize {
    let of_value = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Binary(content) => content.len(),
        Value::Container(items) => bytes(items),
        _ => size_of::<Value>(),
    };
    items.iter().flat_map(|(_, values)| values).map(of_value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn have_left(commits: &Commits, shadow: i64, owner: i64, since: u64) -> bool {
        commits.have_left(ShadowKey(shadow), Some(FocusKey(owner)), since)
    }

    fn touching(shadow: i64, focus: i64) -> Touch {
        Touch { shadows: vec![ShadowKey(shadow)], foci: vec![FocusKey(focus)] }
    }

    #[test]
    fn what_a_later_commit_touched_counts_for_nothing() {
        let commits = Commits::default();
        commits.add(touching(1, 10));
        let before = commits.count();
        commits.add(touching(2, 20));
        assert!(have_left(&commits, 1, 10, before));
        assert!(!have_left(&commits, 2, 30, before));
        assert!(!have_left(&commits, 3, 20, before));
        assert!(have_left(&commits, 2, 20, commits.count()));
    }

    #[test]
    fn what_is_too_old_to_be_known_counts_for_nothing() {
        let commits = Commits::default();
        for _ in 0..=REMEMBERED {
            commits.add(touching(1, 10));
        }
        assert!(!have_left(&commits, 3, 30, 0));
        assert!(have_left(&commits, 3, 30, 1));
        assert!(!have_left(&commits, 1, 30, 1));
    }
}
