//! Collecting what a chunk writes.

use tidelock_model::Diagnostic;
use tidelock_model::object::{Shadow, Situation};
use tidelock_repo::{
    Batch, Fingerprint, FocusKey, OperationResult, OperationStatus, SeenMark, ShadowChange, ShadowKey, ShadowRef,
};

use crate::error_handling::{Tally, Verdict};
use crate::part::Part;
use crate::report::RunStatus;
use crate::run::End;
use crate::statistics::{Act, Outcome, Passage, SHADOW, Statistics};
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::{Decided, ItemError};

/// What a chunk writes, and what it counts.
pub(crate) struct Writer<'a> {
    pub(crate) part: &'a Part,
    pub(crate) overlay: Overlay<'a>,
    pub(crate) statistics: Statistics,
    batch: Batch,
    expected: Vec<(FocusKey, u64)>,
    /// Shadows of the batch that have a fingerprint, with the owner as it was when they got it.
    fingerprinted: Vec<(usize, Candidate, Option<u64>)>,
    at: tidelock_model::Timestamp,
    tally: Tally,
    stop: Option<End>,
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
            fingerprinted: Vec::new(),
            at: part.now(),
            tally: tally.clone(),
            stop: None,
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
                return ShadowRef::Stored(key);
            }
        } else {
            self.statistics.acted(SHADOW, Act::Add);
        }
        let at = self.batch.shadows.len();
        if let (Some(owner), Some(_)) = (owner, fingerprint) {
            self.fingerprinted.push((at, owner, self.overlay.version(owner)));
        }
        let owner = owner.map(Overlay::reference);
        self.batch.shadows.push(ShadowChange { key, shadow, owner, fingerprint });
        key.map_or(ShadowRef::New(at), ShadowRef::Stored)
    }

    /// Whether this chunk changes an owner, which makes the owner's shadows lose their fingerprints unless they are written.
    pub(crate) fn is_changed(&self, owner: Option<Candidate>) -> bool {
        owner.is_some_and(|owner| self.overlay.position(owner).is_some())
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

    /// Counts the failure of an object, which may be one too many: see [`Writer::is_stopped`].
    pub(crate) fn failure(&mut self, object: String, passage: Passage, error: &ItemError) {
        self.statistics.passed(passage, Outcome::Failure);
        if let Verdict::Stop(place) = self.part.errors.after(error.category, &mut self.tally) {
            let place = place.unwrap_or_else(|| self.part.place.clone());
            let message = format!("the activity stops at the failure of {object}: {}", error.message);
            let diagnostic = Diagnostic::error("stopped-by-failure", &place, message)
                .with_help("deal with the failure, or change 'errorHandling' of the activity, and run the task again");
            self.stop = Some(End::Broken(RunStatus::PermanentError, Box::new(diagnostic)));
        }
        self.statistics.failed(object, error.category, error.message.clone());
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
        for (at, owner, version) in self.fingerprinted {
            // An object after this one has changed the owner, so this one must be looked at again.
            if self.overlay.version(owner) != version {
                self.batch.shadows[at].fingerprint = None;
            }
        }
        self.batch.foci = self.overlay.into_changes();
        Decided { batch: self.batch, statistics: self.statistics, taken, tally: self.tally, stop: self.stop }
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
