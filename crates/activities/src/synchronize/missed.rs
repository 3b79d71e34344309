//! Shadows that were not met: those whose objects are gone die.

use tidelock_model::object::{Exclusion, Situation};
use tidelock_repo::{Error, FocusKey, ShadowKey, ShadowRef, StoredShadow};
use tidelock_resolver::exclusion::exclusion;
use tidelock_resolver::object_set::ActivityKind;
use tidelock_resolver::policy::TypePolicy;
use tidelock_resolver::reaction::react;

use crate::part::Part;
use crate::statistics::{Outcome, Passage};
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::reaction::{Owner, Subject, carry_out};
use crate::synchronize::writer::{Anchor, ShadowDraft, Writer, passage};
use crate::synchronize::{Circumstances, Decided, ItemError, Missed, Trace};

/// Decides about shadows that were not met, in order.
pub(crate) async fn decide(part: &Part, given: Circumstances<'_>, shadows: &[Missed]) -> Result<Decided, Error> {
    // A cleanup touches no focus.
    let reacts = part.activity != ActivityKind::ShadowCleanup;
    let gone = shadows.iter().filter(|missed| reacts && matches!(missed.trace, Trace::Gone));
    let keys: Vec<ShadowKey> = gone.map(|missed| missed.stored.key).collect();
    // As it is by now: an earlier part of the chunk may have deleted the owner.
    let lost = if keys.is_empty() { Vec::new() } else { part.engine.repo.load(&keys).await? };
    let owners: Vec<FocusKey> = lost.iter().flatten().filter_map(|stored| Some(stored.owner.as_ref()?.key)).collect();
    let mut projections = if owners.is_empty() { Vec::new() } else { part.engine.repo.projections(&owners).await? }.into_iter();
    let mut lost = lost.into_iter();
    let mut writer = Writer::new(part, Overlay::new(given.indexed), given.tally);
    let mut died: Vec<ShadowKey> = Vec::new();
    for (at, missed) in shadows.iter().enumerate() {
        writer.turn_to(at);
        let stored = &missed.stored;
        match &missed.trace {
            Trace::Gone if reacts => {
                let Some(stored) = &lost.next().flatten() else {
                    pass_over(&mut writer, stored, Exclusion::SynchronizationNotNeeded);
                    continue;
                };
                if stored.owner.as_ref().is_some_and(|owner| writer.overlay.current(owner).is_none()) {
                    return Ok(writer.finish(at));
                }
                let siblings = stored.owner.as_ref().and_then(|_| projections.next()).unwrap_or_default();
                let has_other = siblings.iter().any(|other| !died.contains(&other.key) && is_alike(stored, other));
                bury(&mut writer, stored, has_other, given.refused);
                died.push(stored.key);
            }
            Trace::Gone | Trace::Double => clean_up(&mut writer, stored, given.refused),
            Trace::There => pass_over(&mut writer, stored, Exclusion::SynchronizationNotNeeded),
            Trace::NotMeant => pass_over(&mut writer, stored, Exclusion::NotApplicableForTask),
            Trace::Unknown(error) => {
                if reacts {
                    writer.result(ShadowRef::Stored(stored.key), Some(error));
                }
                let way = Passage { before: stored.shadow.situation, ..Passage::default() };
                let anchor = Anchor::Shadow(ShadowRef::Stored(stored.key));
                writer.failure(stored.shadow.identifier.to_string(), way, error, anchor);
            }
        }
        if writer.is_stopped() {
            return Ok(writer.finish(at + 1));
        }
    }
    Ok(writer.finish(shadows.len()))
}

fn pass_over(writer: &mut Writer<'_>, stored: &StoredShadow, reason: Exclusion) {
    let way = Passage { before: stored.shadow.situation, exclusion: Some(reason), ..Passage::default() };
    writer.statistics.passed(way, Outcome::Skip);
}

/// The shadow dies, and nobody reacts to that: its owner keeps it, as one that it had.
fn clean_up(writer: &mut Writer<'_>, stored: &StoredShadow, refused: Option<&ItemError>) {
    let before = stored.shadow.situation;
    let way = passage(before, Some(Situation::Deleted), Some(Situation::Deleted));
    if let Some(error) = refused {
        let anchor = Anchor::Shadow(ShadowRef::Stored(stored.key));
        writer.failure(stored.shadow.identifier.to_string(), way, error, anchor);
        return;
    }
    if !writer.part.is_dry() {
        let owner = stored.owner.as_ref().map(|owner| Candidate::Stored(owner.key));
        write(writer, stored, Some(Situation::Deleted), owner);
    }
    writer.statistics.passed(way, Outcome::Success);
}

/// Whether the one who has lost the one account still has the other of its type.
pub(crate) fn is_alike(lost: &StoredShadow, other: &StoredShadow) -> bool {
    other.key != lost.key && other.shadow.resource == lost.shadow.resource && other.shadow.object_type == lost.shadow.object_type
}

/// The shadow dies, after the reaction to that.
pub(crate) fn bury(writer: &mut Writer<'_>, stored: &StoredShadow, has_other: bool, refused: Option<&ItemError>) {
    let part = writer.part;
    let before = stored.shadow.situation;
    let type_ = stored.shadow.object_type.as_ref().and_then(|id| part.policy.type_of(id)).map(|at| &part.policy.types[at]);
    let own = stored.owner.as_ref().map(|owner| Candidate::Stored(owner.key));
    if let Some(excluded) = exclusion(type_, None) {
        let shadow = write(writer, stored, before, own);
        writer.seen(shadow, excluded.full);
        writer.statistics.passed(Passage { before, found: None, after: None, exclusion: Some(excluded.reason) }, Outcome::Skip);
        return;
    }
    let Some(type_) = type_ else { return };
    let way = passage(before, Some(Situation::Deleted), Some(Situation::Deleted));
    let reaction = type_.synchronization.as_ref().and_then(|policy| react(policy, Situation::Deleted, part.channel));
    // Who has lost one account of several of a type has still got one.
    let reaction = reaction.filter(|_| !part.is_dry() && !has_other);
    let outcome = match (refused, reaction) {
        (Some(error), _) => Err(error.clone()),
        (None, None) => Ok(own),
        (None, Some(reaction)) => respond(writer, type_, stored, &reaction.actions),
    };
    match outcome {
        Ok(owner) => {
            let shadow = write(writer, stored, Some(Situation::Deleted), owner);
            writer.seen(shadow, true);
            if reaction.is_some() {
                writer.result(shadow, None);
            }
            let outcome = if reaction.is_some() || part.is_dry() { Outcome::Success } else { Outcome::Skip };
            writer.statistics.passed(way, outcome);
        }
        Err(error) => {
            // The shadow stays alive, so that the next reconciliation comes back to it.
            let shadow = ShadowRef::Stored(stored.key);
            writer.seen(shadow, false);
            writer.result(shadow, Some(&error));
            writer.failure(stored.shadow.identifier.to_string(), way, &error, Anchor::Shadow(shadow));
        }
    }
}

fn respond(
    writer: &mut Writer<'_>,
    type_: &TypePolicy,
    stored: &StoredShadow,
    actions: &[tidelock_resolver::reaction::Action],
) -> Result<Option<Candidate>, ItemError> {
    let subject = Subject { type_, attributes: None, old_attributes: None };
    carry_out(writer, &subject, actions, stored.owner.as_ref().map(Owner::Stored), None)
}

fn write(writer: &mut Writer<'_>, stored: &StoredShadow, situation: Option<Situation>, owner: Option<Candidate>) -> ShadowRef {
    let mut shadow = stored.shadow.clone();
    shadow.situation = situation;
    shadow.dead = !writer.part.is_dry();
    writer.shadow(ShadowDraft { stored: Some((stored.key, &stored.shadow, None)), shadow, owner, fingerprint: None })
}
