//! Shadows whose objects are gone from the resource.

use tidelock_model::object::{Exclusion, Situation};
use tidelock_repo::{Error, FocusKey, IndexedItem, ShadowKey, ShadowRef, StoredShadow};
use tidelock_resolver::exclusion::exclusion;
use tidelock_resolver::policy::TypePolicy;
use tidelock_resolver::reaction::react;

use crate::part::Part;
use crate::report::Mode;
use crate::statistics::{Outcome, Passage};
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::reaction::{Owner, Subject, carry_out};
use crate::synchronize::writer::{ShadowDraft, Writer, passage};
use crate::synchronize::{Decided, ItemError};

/// Decides about shadows whose objects are gone, in order.
pub(crate) async fn decide(
    part: &Part,
    indexed: &[IndexedItem],
    shadows: &[StoredShadow],
    refused: Option<&ItemError>,
) -> Result<Decided, Error> {
    let owners: Vec<FocusKey> = shadows.iter().filter_map(|stored| Some(stored.owner.as_ref()?.key)).collect();
    let mut projections = if owners.is_empty() { Vec::new() } else { part.engine.repo.projections(&owners).await? }.into_iter();
    let mut writer = Writer::new(part, Overlay::new(indexed));
    let mut died: Vec<ShadowKey> = Vec::new();
    for (at, stored) in shadows.iter().enumerate() {
        if stored.owner.as_ref().is_some_and(|owner| writer.overlay.current(owner).is_none()) {
            return Ok(writer.finish(at));
        }
        let siblings = stored.owner.as_ref().and_then(|_| projections.next()).unwrap_or_default();
        let has_other = siblings.iter().any(|other| {
            other.key != stored.key
                && !died.contains(&other.key)
                && other.shadow.resource == stored.shadow.resource
                && other.shadow.object_type == stored.shadow.object_type
        });
        bury(&mut writer, stored, has_other, refused);
        died.push(stored.key);
    }
    Ok(writer.finish(shadows.len()))
}

fn bury(writer: &mut Writer<'_>, stored: &StoredShadow, has_other: bool, refused: Option<&ItemError>) {
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
    let reaction = reaction.filter(|_| part.mode != Mode::DryRun && !has_other);
    let outcome = match (refused, reaction) {
        (Some(error), _) => Err(error.clone()),
        (None, None) => Ok(own),
        (None, Some(reaction)) => respond(writer, type_, stored, &reaction.actions),
    };
    match outcome {
        Ok(owner) => {
            let shadow = write(writer, stored, Some(Situation::Deleted), owner);
            writer.seen(shadow, true);
            let outcome = if reaction.is_some() || part.mode == Mode::DryRun { Outcome::Success } else { Outcome::Skip };
            if outcome == Outcome::Success {
                writer.result(shadow, None);
            }
            writer.statistics.passed(way, outcome);
        }
        Err(error) => {
            // The shadow stays alive, so that the next reconciliation comes back to it.
            let shadow = ShadowRef::Stored(stored.key);
            writer.seen(shadow, false);
            writer.result(shadow, Some(&error));
            writer.failure(stored.shadow.identifier.to_string(), way, &error);
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
    shadow.dead = writer.part.mode != Mode::DryRun;
    writer.shadow(ShadowDraft { stored: Some((stored.key, &stored.shadow, None)), shadow, owner, fingerprint: None })
}

/// What is recorded of shadows that were not met, and are not known to be gone.
pub(crate) fn not_gone(part: &Part, there: &[StoredShadow], unknown: &[(StoredShadow, ItemError)]) -> Decided {
    let mut writer = Writer::new(part, Overlay::new(&[]));
    for stored in there {
        let before = stored.shadow.situation;
        let way = Passage { before, exclusion: Some(Exclusion::SynchronizationNotNeeded), ..Passage::default() };
        writer.statistics.passed(way, Outcome::Skip);
    }
    for (stored, error) in unknown {
        writer.result(ShadowRef::Stored(stored.key), Some(error));
        let way = Passage { before: stored.shadow.situation, ..Passage::default() };
        writer.failure(stored.shadow.identifier.to_string(), way, error);
    }
    writer.finish(there.len() + unknown.len())
}
