//! The scan of triggers: objects whose retries are due are read and synchronized again.
//!
//! A retry that was tried is gone, in the commit that holds what the try did; if that was a failure, the next retry is in the
//! same commit, unless the last one was reached. An object with several retries is tried once for all of them, and each goes on by
//! itself. A scan is for what was due when it was prepared, so it comes to its end however short intervals are.
//!
//! Failures of a scan are counted, and its own `errorHandling` can stop it; that changes nothing of when objects are tried again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Error, ErrorKind};
use tidelock_model::object::Exclusion;
use tidelock_model::{Oid, Timestamp};
use tidelock_repo::{Repo, ShadowKey, StoredShadow, StoredTrigger};
use tidelock_resolver::object_set::ObjectSet;

use crate::error::{Category, RunError};
use crate::part::Part;
use crate::prepare::{Prepared, Step, StepScope, Unusable};
use crate::run::{End, Run};
use crate::shadows::read_each;
use crate::source::{self, FailedItem, GoneObject, Item};
use crate::synchronize::Work;
use crate::triggers::Due;

/// How many triggers are looked at together where nothing is done about them yet.
const PAGE: usize = 1000;

/// What a scan is for.
pub(crate) struct Scan {
    /// What is due at this time or before.
    pub(crate) until: Timestamp,
    /// The set of all objects, or of all those of one resource.
    pub(crate) set: ObjectSet,
    /// The resources with something due, or the one that is asked for; or why they cannot be used now.
    pub(crate) resources: Vec<(Oid, Result<StepScope, Unusable>)>,
}

/// A shadow with its retries that are due.
struct Waiting {
    stored: StoredShadow,
    triggers: Vec<StoredTrigger>,
}

/// The resources of which some object is due, those first whose objects have waited longest.
pub(crate) async fn resources(repo: &dyn Repo, until: Timestamp) -> Result<Vec<Oid>, tidelock_repo::Error> {
    let mut all: Vec<Oid> = Vec::new();
    let mut after = None;
    loop {
        let page = repo.due_triggers(until, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.key);
        for waiting in waiting(repo, page).await? {
            if !all.contains(&waiting.stored.shadow.resource) {
                all.push(waiting.stored.shadow.resource);
            }
        }
    }
}

/// Tries again what is due.
pub(crate) async fn scan(run: &mut Run<'_>, prepared: &Prepared, step: &Step, scan: &Scan) -> Result<End, RunError> {
    let began = Instant::now();
    let usable = || scan.resources.iter().filter_map(|(_, scope)| scope.as_ref().ok());
    run.enter(prepared, step, usable().flat_map(StepScope::indexed_items).collect()).await?;
    // Every scan counts anew.
    run.record.realization.forget(&step.path);
    run.begin(&step.path, None);
    let end = go_through(run, prepared, step, scan).await?;
    run.end(&step.path, began, &end);
    run.save().await?;
    Ok(end)
}

async fn go_through(run: &mut Run<'_>, prepared: &Prepared, step: &Step, scan: &Scan) -> Result<End, RunError> {
    let mut parts: HashMap<&Oid, Arc<Part>> = HashMap::new();
    let mut end = End::Complete;
    for (resource, scope) in &scan.resources {
        match scope {
            Ok(scope) => drop(parts.insert(resource, prepared.part(run, step, scope))),
            // What waits for this resource goes on waiting; the others are not kept by that.
            Err(unusable) => first(&mut end, End::Broken(unusable.run_status, Box::new(unusable.error.clone()))),
        }
    }
    let repo = Arc::clone(&run.engine.repo);
    let mut after = None;
    while !parts.is_empty() {
        let page = repo.due_triggers(scan.until, after, prepared.chunk).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        for (resource, waiting) in by_resource(waiting(&*repo, page).await?) {
            if run.is_cancelled() {
                return Ok(End::Interrupted);
            }
            let Some(part) = parts.get(&resource).cloned() else { continue };
            match read(&part, scan.until, waiting).await {
                Ok(due) => {
                    if let Some(stop) = run.work(&part, Work::Due(due)).await? {
                        return Ok(stop);
                    }
                }
                Err(error) => {
                    first(&mut end, End::of_error(&error, &part.place));
                    parts.remove(&resource);
                }
            }
        }
    }
    Ok(end)
}

/// What breaks off first is what is told.
fn first(end: &mut End, broken: End) {
    if matches!(end, End::Complete) {
        *end = broken;
    }
}

/// The shadows of triggers, each with those of them that are its own. A trigger whose shadow is gone is gone with it.
async fn waiting(repo: &dyn Repo, triggers: Vec<StoredTrigger>) -> Result<Vec<Waiting>, tidelock_repo::Error> {
    let mut keys: Vec<ShadowKey> = Vec::with_capacity(triggers.len());
    let mut own: HashMap<ShadowKey, Vec<StoredTrigger>> = HashMap::with_capacity(triggers.len());
    for trigger in triggers {
        let key = trigger.shadow;
        own.entry(key)
            .or_insert_with(|| {
                keys.push(key);
                Vec::new()
            })
            .push(trigger);
    }
    let stored = repo.load(&keys).await?;
    Ok(stored
        .into_iter()
        .flatten()
        .map(|stored| Waiting { triggers: own.remove(&stored.key).unwrap_or_default(), stored })
        .collect())
}

fn by_resource(waiting: Vec<Waiting>) -> Vec<(Oid, Vec<Waiting>)> {
    let mut groups: Vec<(Oid, Vec<Waiting>)> = Vec::new();
    for waiting in waiting {
        let resource = &waiting.stored.shadow.resource;
        match groups.iter_mut().find(|(known, _)| known == resource) {
            Some((_, group)) => group.push(waiting),
            None => groups.push((resource.clone(), vec![waiting])),
        }
    }
    groups
}

/// Reads the objects of shadows. Gives the error if the resource itself cannot be used.
async fn read(part: &Part, until: Timestamp, mut waiting: Vec<Waiting>) -> Result<Due, Error> {
    // One question for each class; which of several objects comes first makes no difference.
    waiting.sort_by(|a, b| (a.stored.shadow.dead, &a.stored.shadow.class).cmp(&(b.stored.shadow.dead, &b.stored.shadow.class)));
    let alive: Vec<StoredShadow> = waiting.iter().map(|one| &one.stored).filter(|stored| !stored.shadow.dead).cloned().collect();
    let mut found = read_each(part, &alive).await?.into_iter();
    let mut due = Due { items: Vec::with_capacity(waiting.len()), triggers: Vec::with_capacity(waiting.len()), until };
    for one in waiting {
        let shadow = &one.stored.shadow;
        due.items.push(match found.next().filter(|_| !shadow.dead) {
            // Nobody waits for what is dead.
            None => Item::PassedOver(Exclusion::SynchronizationNotNeeded),
            Some(Ok(Some(object))) => source::admit(part, object),
            Some(Ok(None)) => Item::Gone(GoneObject { class: Arc::clone(&shadow.class), identifier: shadow.identifier.clone() }),
            // What the resource itself has come to is not for each of its objects to say.
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Throttled) => return Err(error),
            Some(Err(error)) => Item::Failed(FailedItem {
                object: shadow.identifier.to_string(),
                category: Category::from(error.kind()),
                message: format!("the object could not be read: {}", error.full_message()),
                identity: Some((Arc::clone(&shadow.class), shadow.identifier.clone())),
            }),
        });
        due.triggers.push(one.triggers);
    }
    Ok(due)
}
