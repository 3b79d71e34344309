//! Going through shadows that were not met for some time: the last part of a reconciliation, and the cleanup of shadows.
//!
//! A shadow that was not met is read on the resource before its object is believed to be gone; in a reconciliation, only after
//! the reading of the resource came to its end. Whose object is still there has been missed by whoever was to tell of it, and is either
//! passed over or taken over as it was read.

use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Error, ErrorKind};
use tidelock_model::Timestamp;
use tidelock_model::object::ResourceObject;
use tidelock_repo::{Remaining, ShadowKey, StoredShadow, SyncLevel};
use tidelock_resolver::object_set::FailedSelection;

use crate::error::RunError;
use crate::part::Part;
use crate::prepare::Step;
use crate::report::Mode;
use crate::run::{End, Run};
use crate::source::{self, Item};
use crate::synchronize::{ItemError, Missed, Trace, Work};

/// What is done with objects that are still there.
#[derive(Clone, Copy)]
pub(crate) enum Left {
    /// They are passed over: whoever reads everything has met what there is to be met.
    PassedOver,
    /// They are taken over: nobody else says what has become of them.
    TakenOver,
}

/// Looks after the shadows that a reconciliation has not met.
pub(crate) async fn remaining(run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
    let level = match part.mode {
        Mode::Full | Mode::Preview => SyncLevel::Full,
        Mode::DryRun | Mode::None => SyncLevel::Basic,
    };
    look_after_all(run, part, level, part.started).await
}

/// Looks after the shadows that were not synchronized for the interval of a cleanup.
pub(crate) async fn cleanup(run: &mut Run<'_>, part: &Arc<Part>, step: &Step) -> Result<End, RunError> {
    let now = Timestamp::from_millis(run.record.realization.started);
    // The sign says nothing: P30D and -P30D are both thirty days ago.
    let until = step.interval.as_ref().and_then(|interval| match interval.before(now) {
        Some(before) if before <= now => Some(before),
        _ => interval.after(now).filter(|after| *after <= now),
    });
    // An interval that reaches beyond all time has nothing behind it but what was never synchronized.
    look_after_all(run, part, SyncLevel::Full, until.unwrap_or(Timestamp::from_millis(i64::MIN))).await
}

async fn look_after_all(run: &mut Run<'_>, part: &Arc<Part>, level: SyncLevel, until: Timestamp) -> Result<End, RunError> {
    let began = Instant::now();
    let results = part.results.clone().filter(|_| part.selects(FailedSelection::Narrow));
    let which = Remaining { filter: part.known_shadows(), level, until, results };
    run.begin(&part.path, None);
    let end = go_through(run, part, &which, Left::PassedOver).await?;
    run.end(&part.path, began, &end);
    run.save().await?;
    Ok(end)
}

/// Reads the objects of these shadows; those that are gone die.
pub(crate) async fn go_through(run: &mut Run<'_>, part: &Arc<Part>, which: &Remaining, left: Left) -> Result<End, RunError> {
    let mut after: Option<ShadowKey> = None;
    loop {
        if run.is_cancelled() {
            return Ok(End::Interrupted);
        }
        let shadows = run.engine.repo.remaining(which, after, part.chunk).await?;
        let Some(last) = shadows.last() else { return Ok(End::Complete) };
        after = Some(last.key);
        let (missed, there) = match look_after(part, shadows, left).await? {
            Ok(looked) => looked,
            Err(error) => return Ok(End::of_error(&error, &part.place)),
        };
        for work in [Work::Missed(missed), Work::Found(there)] {
            if let Some(end) = run.work(part, work).await? {
                return Ok(end);
            }
        }
    }
}

/// Reads shadows on the resource, those of them that are meant. Gives what there is of them, and apart from these the objects that are
/// to be taken over; or the error, if that ends the run.
async fn look_after(
    part: &Part,
    shadows: Vec<StoredShadow>,
    left: Left,
) -> Result<Result<(Vec<Missed>, Vec<Item>), Error>, RunError> {
    if part.mode == Mode::None {
        let missed = shadows.into_iter().map(|stored| Missed { stored, trace: Trace::There }).collect();
        return Ok(Ok((missed, Vec::new())));
    }
    let meant = match part.results.as_ref().filter(|_| part.selects(FailedSelection::Filter)) {
        None => vec![true; shadows.len()],
        Some(results) => {
            let keys: Vec<ShadowKey> = shadows.iter().map(|stored| stored.key).collect();
            part.engine.repo.have_results(&keys, results).await?
        }
    };
    let asked: Vec<StoredShadow> =
        shadows.iter().zip(&meant).filter(|(_, meant)| **meant).map(|(stored, _)| stored.clone()).collect();
    let mut found = match read_each(part, &asked).await {
        Ok(found) => found.into_iter(),
        Err(error) => return Ok(Err(error)),
    };
    let (mut missed, mut there) = (Vec::with_capacity(shadows.len()), Vec::new());
    for (stored, meant) in shadows.into_iter().zip(meant) {
        let trace = match if meant { found.next() } else { None } {
            None => Trace::NotMeant,
            Some(Ok(Some(object))) if is_double(part, &stored, &object).await? => Trace::Double,
            Some(Ok(Some(object))) => match left {
                Left::PassedOver => Trace::There,
                Left::TakenOver => {
                    there.push(source::admit(part, object));
                    continue;
                }
            },
            Some(Ok(None)) => Trace::Gone,
            Some(Err(error)) => {
                let message = format!("whether the object is gone could not be found out: {}", error.full_message());
                Trace::Unknown(ItemError::new(error.kind().into(), message))
            }
        };
        missed.push(Missed { stored, trace });
    }
    Ok(Ok((missed, there)))
}

/// Whether another living shadow stands for the object of a shadow, under the identifier that its resource gives it by now.
async fn is_double(part: &Part, stored: &StoredShadow, object: &ResourceObject) -> Result<bool, RunError> {
    let Some(class) = part.policy.schema.class(&object.class) else { return Ok(false) };
    let identifier = class.normalize_identifier(&object.identifier);
    if *identifier == *stored.shadow.identifier {
        return Ok(false);
    }
    let known = part.engine.repo.look_up(&stored.shadow.resource, &class.name, vec![identifier.into()]).await?;
    Ok(known.into_iter().flatten().any(|other| other.key != stored.key))
}

/// Reads the objects of shadows on the resource, in the same order. One that cannot be read is an error of its own.
pub(crate) async fn read_each(
    part: &Part,
    shadows: &[StoredShadow],
) -> Result<Vec<Result<Option<ResourceObject>, Error>>, Error> {
    let mut all = Vec::with_capacity(shadows.len());
    for of_class in shadows.chunk_by(|a, b| a.shadow.class == b.shadow.class) {
        let identifiers: Vec<&str> = of_class.iter().map(|stored| &*stored.shadow.identifier).collect();
        let found = part.connector.get_many(&of_class[0].shadow.class, &identifiers).await?;
        if found.len() != identifiers.len() {
            return Err(Error::new(
                ErrorKind::Unexpected,
                "the connector answered for another number of objects than it was asked for",
            ));
        }
        all.extend(found);
    }
    Ok(all)
}
