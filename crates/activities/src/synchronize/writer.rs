//! Collecting what a chunk writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidelock_model::object::{Exclusion, Shadow, Situation};
use tidelock_model::{Diagnostic, Items, Oid, Place};
use tidelock_repo::{
    Batch, Fingerprint, FocusKey, NewTrigger, OperationResult, OperationStatus, SeenMark, ShadowChange, ShadowKey, ShadowRef,
    StoredShadow, TriggerChange,
};
use uuid::Uuid;

use crate::error_handling::{Tally, Verdict};
use crate::part::Part;
use crate::report::RunStatus;
use crate::run::End;
use crate::statistics::{Act, Outcome, Passage, SHADOW, Statistics};
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::{Decided, ItemError, Stop};

/// What a chunk writes, and what it counts.
pub(crate) struct Writer<'a> {
    pub(crate) part: &'a Part,
    pub(crate) overlay: Overlay<'a>,
    pub(crate) statistics: Statistics,
    batch: Batch,
    expected: Vec<(FocusKey, u64)>,
    /// Shadows of the batch that have a fingerprint, with the owner as it was when they got it.
    fingerprinted: BTreeMap<usize, (Candidate, Option<u64>)>,
    /// The stored shadows that later items of the chunk are about as well, as they are by now.
    watched: HashMap<ShadowKey, Option<Written>>,
    at: tidelock_model::Timestamp,
    tally: Tally,
    stop: Option<Stop>,
    /// The stored foci of whose shadows this chunk writes some.
    concerned: HashSet<FocusKey>,
    /// The place of the current object in the chunk.
    current: usize,
    failed: Vec<usize>,
}

/// What a retry of a failed object is kept with.
pub(crate) enum Anchor<'a> {
    /// Its shadow.
    Shadow(ShadowRef),
    /// The shadow that it gets for that purpose: nothing is known of it but class and normalized identifier, and it has none yet.
    New(&'a Arc<str>, &'a str),
    /// Nothing: what it is cannot be said.
    Nothing,
}

/// A stored shadow as this chunk leaves it.
struct Written {
    shadow: Shadow,
    owner: Option<Candidate>,
    fingerprint: Option<Fingerprint>,
    /// The version that the owner had.
    version: Option<u64>,
    /// Where it is in the batch, if it is written.
    place: Option<usize>,
}

/// A shadow as it shall be.
pub(crate) struct ShadowDraft<'s> {
    /// The shadow as stored, if it is.
    pub(crate) stored: Option<(ShadowKey, &'s Shadow, Option<Fingerprint>)>,
    /// What it shall be; the owner is beside it.
    pub(crate) shadow: Shadow,
    /// Whose it shall be.
    pub(crate) owner: Option<Candidate>,
    /// What it was made from, if the next run may pass it over.
    pub(crate) fingerprint: Option<Fingerprint>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(part: &'a Part, overlay: Overlay<'a>, tally: &Tally) -> Self {
        Self {
            part,
            overlay,
            statistics: Statistics::default(),
            batch: Batch::default(),
            expected: Vec::new(),
            fingerprinted: BTreeMap::new(),
            watched: HashMap::new(),
            at: part.now(),
            tally: tally.clone(),
            stop: None,
            concerned: HashSet::new(),
            current: 0,
            failed: Vec::new(),
        }
    }

    /// Writes a shadow, unless it is already so, and says where it is.
    pub(crate) fn shadow(&mut self, draft: ShadowDraft<'_>) -> ShadowRef {
        let ShadowDraft { stored, shadow, owner, fingerprint } = draft;
        let key = stored.map(|(key, _, _)| key);
        if let Some((key, old, old_fingerprint)) = stored {
            let same = is_same(old, &shadow, owner, old.owner.as_ref().is_some());
            if !same {
                self.statistics.acted(SHADOW, if shadow.dead && !old.dead { Act::Delete } else { Act::Modify });
            } else if old_fingerprint == fingerprint && (fingerprint.is_none() || !self.is_changed(owner)) {
                self.note(key, &shadow, owner, fingerprint, None);
                return ShadowRef::Stored(key);
            }
        } else {
            self.statistics.acted(SHADOW, Act::Add);
        }
        // What an item before this one has written is written once, as it is now.
        let earlier = key.and_then(|key| self.watched.get(&key)?.as_ref()?.place);
        let at = earlier.unwrap_or(self.batch.shadows.len());
        match (owner, fingerprint) {
            (Some(owner), Some(_)) => drop(self.fingerprinted.insert(at, (owner, self.overlay.version(owner)))),
            _ => drop(self.fingerprinted.remove(&at)),
        }
        if let Some(Candidate::Stored(owner)) = owner {
            self.concerned.insert(owner);
        }
        if let Some(key) = key {
            self.note(key, &shadow, owner, fingerprint, Some(at));
        }
        let change = ShadowChange { key, shadow, owner: owner.map(Overlay::reference), fingerprint };
        match self.batch.shadows.get_mut(at) {
            Some(place) => *place = change,
            None => self.batch.shadows.push(change),
        }
        key.map_or(ShadowRef::New(at), ShadowRef::Stored)
    }

    /// Remembers what becomes of a stored shadow from now on, for [`Writer::written`].
    pub(crate) fn watch(&mut self, key: ShadowKey) {
        self.watched.insert(key, None);
    }

    /// A watched shadow as this chunk has left it with its owner, who is still the same; and the fingerprint that it would be stored with.
    pub(crate) fn written(&self, key: ShadowKey, owner: FocusKey) -> Option<(&Shadow, Option<Fingerprint>)> {
        let written = self.watched.get(&key)?.as_ref()?;
        let owner = written.owner.filter(|now| *now == Candidate::Stored(owner))?;
        Some((&written.shadow, written.fingerprint.filter(|_| self.overlay.version(owner) == written.version)))
    }

    /// Leaves a shadow as it is stored, with this fingerprint.
    pub(crate) fn leave(&mut self, stored: &StoredShadow, fingerprint: Fingerprint) {
        let owner = stored.owner.as_ref().map(|owner| Candidate::Stored(owner.key));
        self.note(stored.key, &stored.shadow, owner, Some(fingerprint), None);
    }

    fn note(
        &mut self,
        key: ShadowKey,
        shadow: &Shadow,
        owner: Option<Candidate>,
        fingerprint: Option<Fingerprint>,
        place: Option<usize>,
    ) {
        let version = owner.and_then(|owner| self.overlay.version(owner));
        if let Some(watched) = self.watched.get_mut(&key) {
            let place = place.or(watched.as_ref().and_then(|written| written.place));
            *watched = Some(Written { shadow: shadow.clone(), owner, fingerprint, version, place });
        }
    }

    /// Whether this chunk changes an owner, which makes the owner's shadows lose their fingerprints unless they are written.
    pub(crate) fn is_changed(&self, owner: Option<Candidate>) -> bool {
        owner.is_some_and(|owner| self.overlay.position(owner).is_some())
    }

    /// Whether this chunk writes a shadow of a stored focus.
    pub(crate) fn concerns(&self, owner: FocusKey) -> bool {
        self.concerned.contains(&owner)
    }

    /// Marks a shadow as met.
    pub(crate) fn seen(&mut self, shadow: ShadowRef, fully: bool) {
        self.batch.seen.push(SeenMark { shadow, run: self.part.run, at: self.at, fully });
    }

    /// A focus that was looked at must not have changed when this is committed.
    pub(crate) fn expect(&mut self, key: FocusKey, version: u64) {
        self.expected.push((key, version));
    }

    /// Keeps the result of an object with its shadow.
    pub(crate) fn result(&mut self, shadow: ShadowRef, error: Option<&ItemError>) {
        self.batch.results.push(OperationResult {
            shadow,
            task: self.part.task.clone(),
            activity: (*self.part.path).into(),
            at: self.at,
            status: if error.is_some() { OperationStatus::FatalError } else { OperationStatus::Success },
            message: error.map(|error| error.message.as_str().into()),
        });
    }

    /// Turns to the object at this place of the chunk.
    pub(crate) fn turn_to(&mut self, at: usize) {
        self.current = at;
    }

    /// Counts the failure of an object, which may be one too many: see [`Writer::is_stopped`]. Where the object shall be tried
    /// again later, that is written as well.
    pub(crate) fn failure(&mut self, object: String, passage: Passage, error: &ItemError, anchor: Anchor<'_>) {
        let part = self.part;
        self.statistics.passed(passage, Outcome::Failure);
        self.failed.push(self.current);
        match part.errors.after(error.category, &mut self.tally) {
            Verdict::Continue => {}
            // What was only looked at is not done later on.
            Verdict::Retry(..) if part.is_dry() => {}
            Verdict::Retry(later, place) => {
                if let Some(retry) = later.first(part.engine.clock.now(), part.task.clone(), (*part.path).into()) {
                    match self.anchored(anchor, error) {
                        Some(shadow) => self.batch.triggers.push(TriggerChange::Add(NewTrigger { shadow, retry })),
                        None => self.stop_at(&object, error, place, ", which cannot be tried again later without a shadow"),
                    }
                }
            }
            Verdict::Stop(place) => self.stop_at(&object, error, place.unwrap_or(&part.place), ""),
        }
        self.statistics.failed(object, error.category, error.message.clone());
    }

    /// Ends the part at the current object.
    fn stop_at(&mut self, object: &str, error: &ItemError, place: &Place, besides: &str) {
        let message = format!("the activity stops at the failure of {object}{besides}: {}", error.message);
        let diagnostic = Diagnostic::error("stopped-by-failure", place, message)
            .with_help("deal with the failure, or change 'errorHandling' of the activity, and run the task again");
        let end = End::Broken(RunStatus::PermanentError, Box::new(diagnostic));
        self.stop = Some(Stop { end, error: error.clone() });
    }

    /// The shadow that a retry is kept with.
    fn anchored(&mut self, anchor: Anchor<'_>, error: &ItemError) -> Option<ShadowRef> {
        let (class, identifier) = match anchor {
            Anchor::Nothing => return None,
            Anchor::Shadow(shadow) => return Some(shadow),
            Anchor::New(class, identifier) => (class, identifier),
        };
        let shadow = Shadow {
            oid: Oid::from_uuid(Uuid::now_v7()),
            resource: self.part.resource.clone(),
            class: Arc::clone(class),
            identifier: identifier.into(),
            name: identifier.into(),
            object_type: None,
            attributes: Items::new(),
            situation: None,
            owner: None,
            dead: false,
            synchronized: None,
            fully_synchronized: None,
        };
        let shadow = self.shadow(ShadowDraft { stored: None, shadow, owner: None, fingerprint: None });
        self.result(shadow, Some(error));
        Some(shadow)
    }

    /// Counts something that nothing is done about.
    pub(crate) fn pass_over(&mut self, reason: Exclusion) {
        self.statistics.passed(Passage { exclusion: Some(reason), ..Passage::default() }, Outcome::Skip);
    }

    /// Whether the last failure ends the part.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// What is to be committed for this many objects.
    pub(crate) fn finish(mut self, taken: usize) -> Decided {
        // The version of a focus that the batch writes is checked with the writing.
        self.expected.retain(|(key, _)| !self.overlay.touches(*key));
        self.expected.dedup();
        self.batch.expected = self.expected;
        for (at, (owner, version)) in self.fingerprinted {
            // An object after this one has changed the owner, so this one must be looked at again.
            if self.overlay.version(owner) != version {
                self.batch.shadows[at].fingerprint = None;
            }
        }
        self.batch.foci = self.overlay.into_changes();
        Decided { batch: self.batch, statistics: self.statistics, taken, failed: self.failed, tally: self.tally, stop: self.stop }
    }
}

/// Whether a shadow would be written as it is.
fn is_same(old: &Shadow, new: &Shadow, owner: Option<Candidate>, owned: bool) -> bool {
    // A shadow that has an owner keeps it or loses it; only one without an owner gets one.
    owner.is_some() == owned
        && old.situation == new.situation
        && old.dead == new.dead
        && old.object_type == new.object_type
        && old.name == new.name
        && old.attributes == new.attributes
        && old.identifier == new.identifier
}

/// The situations of an object on its way.
pub(crate) fn passage(before: Option<Situation>, found: Option<Situation>, after: Option<Situation>) -> Passage {
    Passage { before, found, after, exclusion: None }
}
