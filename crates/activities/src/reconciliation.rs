//! Reconciliation: every object of the set is synchronized, then the shadows that were not met are looked after.
//!
//! A shadow that was not met is read on the resource before its object is believed to be gone, and only after the reading
//! of the resource came to its end.

use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Error, ErrorKind};
use tidelock_model::Timestamp;
use tidelock_model::object::ResourceObject;

use tidelock_repo::{Remaining, ShadowKey, StoredShadow, SyncLevel};
use tidelock_resolver::channel::Channel;

use crate::error::RunError;
use crate::import;
use crate::part::Part;
use crate::prepare::Prepared;
use crate::report::Mode;
use crate::run::{End, Run};

use crate::synchronize::{ItemError, Work};

/// Paths of the parts, in their order.
pub(crate) const PARTS: [&str; 3] = ["operationCompletion", "resourceObjects", "remainingShadows"];

/// Runs a reconciliation, or goes on with one.
pub(crate) async fn run(run: &mut Run<'_>, prepared: &Prepared) -> Result<End, RunError> {
    for (at, path) in PARTS.into_iter().enumerate() {
        if run.record.realization.is_completed(path) {
            continue;
        }
        if prepared.is_skipped(at) {
            run.record.realization.completed.push(path.to_owned());
            continue;
        }
        let end = match path {
            "operationCompletion" => complete_operations(run, path).await?,
            "resourceObjects" => {
                // Reading starts over whenever it was interrupted, so what counts as not met does too.
                run.record.realization.resource_objects_started = Some(run.engine.clock.now().as_millis());
                run.save().await?;
                let part = prepared.part(run, at, Channel::Reconciliation);
                import::search(run, &part).await?
            }
            _ => {
                let part = prepared.part(run, at, Channel::Reconciliation);
                remaining_shadows(run, &part).await?
            }
        };
        if !matches!(end, End::Complete) {
            return Ok(end);
        }
    }
    Ok(End::Complete)
}

/// Pending operations: there are none as long as nothing writes to resources.
async fn complete_operations(run: &mut Run<'_>, path: &str) -> Result<End, RunError> {
    run.begin(path, Some(0));
    run.end(path, Instant::now(), &End::Complete);
    run.save().await?;
    Ok(End::Complete)
}

async fn remaining_shadows(run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
    let began = Instant::now();
    let until = Timestamp::from_millis(run.record.realization.resource_objects_started.unwrap_or(run.record.realization.started));
    let level = if part.mode == Mode::Full || part.mode == Mode::Preview { SyncLevel::Full } else { SyncLevel::Basic };
    let which = Remaining { filter: part.known_shadows(), level, until, results: None };
    run.begin(part.path, None);
    let mut after: Option<ShadowKey> = None;
    let end = loop {
        if run.is_cancelled() {
            break End::Interrupted;
        }
        let shadows = run.engine.repo.remaining(&which, after, part.chunk).await?;
        let Some(last) = shadows.last() else { break End::Complete };
        after = Some(last.key);
        if let Some(error) = look_after(run, part, shadows).await? {
            break End::of_error(&error, &part.place);
        }
    };
    run.end(part.path, began, &end);
    run.save().await?;
    Ok(end)
}

/// Reads shadows on the resource, and synchronizes those that are gone. Gives the error that ends the run, if there is one.
async fn look_after(run: &mut Run<'_>, part: &Part, shadows: Vec<StoredShadow>) -> Result<Option<Error>, RunError> {
    if part.mode == Mode::None {
        run.work(part, Work::Gone(shadows)).await?;
        return Ok(None);
    }
    let mut gone = Vec::new();
    let mut rest = Rest::default();
    for of_class in shadows.chunk_by(|a, b| a.shadow.class == b.shadow.class) {
        let identifiers: Vec<&str> = of_class.iter().map(|stored| &*stored.shadow.identifier).collect();
        match read(part, &of_class[0].shadow.class, &identifiers).await {
            Ok(found) => {
                for (stored, found) in of_class.iter().zip(found) {
                    match found {
                        Ok(Some(_)) => rest.there.push(stored.clone()),
                        Ok(None) => gone.push(stored.clone()),
                        Err(error) => rest.unknown.push((stored.clone(), error)),
                    }
                }
            }
            Err(error) => return Ok(Some(error)),
        }
    }
    run.pass_over(part, rest).await?;
    if !gone.is_empty() {
        run.work(part, Work::Gone(gone)).await?;
    }
    Ok(None)
}

/// Shadows whose objects are not gone, or not known to be.
#[derive(Default)]
struct Rest {
    there: Vec<StoredShadow>,
    unknown: Vec<(StoredShadow, ItemError)>,
}

/// Reads objects on the resource. One that cannot be read, or may be there for all we know, is an item that failed.
async fn read(part: &Part, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>, ItemError>>, Error> {
    let found = part.connector.get_many(class, identifiers).await?;
    if found.len() != identifiers.len() {
        return Err(Error::new(
            ErrorKind::Unexpected,
            "the connector answered for another number of objects than it was asked for",
        ));
    }
    let failed = |error: Error| {
        let message = format!("whether the object is gone could not be found out: {}", error.full_message());
        ItemError::new(error.kind().into(), message)
    };
    Ok(found.into_iter().map(|found| found.map_err(failed)).collect())
}

impl Run<'_> {
    /// Counts shadows that nothing is done about.
    async fn pass_over(&mut self, part: &Part, rest: Rest) -> Result<(), RunError> {
        if rest.there.is_empty() && rest.unknown.is_empty() {
            return Ok(());
        }
        let decided = crate::synchronize::not_gone(part, &rest.there, &rest.unknown);
        Ok(self.commit(part, decided).await?)
    }
}
