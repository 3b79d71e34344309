//! Going through the objects of a set: import, reclassification, and the part of a reconciliation that reads the resource.
//!
//! Mostly they are searched for on the resource. Where a task wants that, it is their shadows that are searched for, and each
//! object is read by its identifier, or not at all.

use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Completeness, Error, IncompleteReason, SearchRequest};
use tidelock_model::Diagnostic;
use tidelock_model::object::ResourceObject;
use tidelock_repo::{ShadowFilter, ShadowKey, StoredShadow};
use tidelock_resolver::object_set::{FailedSelection, Paging};

use crate::error::{Category, RunError};
use crate::part::Part;
use crate::report::RunStatus;
use crate::run::{End, Run};
use crate::shadows::read_each;
use crate::source::{self, FailedItem, Item, Read};
use crate::synchronize::Work;

/// Synchronizes the objects of a part, to the end.
pub(crate) async fn synchronize(run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
    let began = Instant::now();
    let end = if part.set.no_fetch || part.selects(FailedSelection::Fetch) {
        run.begin(&part.path, None);
        go_through_shadows(run, part).await?
    } else if let Some(class) = &part.set.class {
        let request = part.request(class);
        let expected = part.connector.count(&request).await.ok().flatten();
        run.begin(&part.path, expected);
        search(run, part, request).await?
    } else {
        // The resolver lets no such set through.
        End::of_error(&Error::unsupported("a search needs an object class"), &part.place)
    };
    run.end(&part.path, began, &end);
    run.save().await?;
    Ok(end)
}

/// Synchronizes the objects whose shadows are meant.
async fn go_through_shadows(run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
    let which = part.cached_shadows();
    let fetches = part.selects(FailedSelection::Fetch);
    let mut window = Window::new(part.set.paging.as_ref());
    let mut after: Option<ShadowKey> = None;
    while !window.is_closed() {
        if run.is_cancelled() {
            return Ok(End::Interrupted);
        }
        let shadows = run.engine.repo.remaining(&which, after, part.chunk).await?;
        let Some(last) = shadows.last() else { break };
        after = Some(last.key);
        let items = if fetches {
            match fetched(part, &shadows).await {
                Ok(items) => items,
                Err(error) => return Ok(End::of_error(&error, &part.place)),
            }
        } else {
            shadows.iter().filter_map(|stored| cached(part, stored)).collect()
        };
        if let Some(end) = run.work(part, Work::Found(window.take(items))).await? {
            return Ok(end);
        }
    }
    Ok(End::Complete)
}

/// The objects of shadows, each read on the resource. One that is not there any more is a failure here: whether it is gone is
/// for a reconciliation to say.
async fn fetched(part: &Part, shadows: &[StoredShadow]) -> Result<Vec<Item>, Error> {
    let mut items = Vec::with_capacity(shadows.len());
    for (stored, found) in shadows.iter().zip(read_each(part, shadows).await?) {
        let failed = |category, message| {
            let shadow = &stored.shadow;
            let identity = Some((Arc::clone(&shadow.class), shadow.identifier.clone()));
            Item::Failed(FailedItem { object: shadow.identifier.to_string(), category, message, identity })
        };
        items.push(match found {
            Ok(Some(object)) if !part.set.cached.conditions.matches(&object.attributes) => continue,
            Ok(Some(object)) => source::admit(part, object),
            Ok(None) => failed(Category::Application, "the object is not on the resource any more".to_owned()),
            Err(error) => failed(error.kind().into(), format!("the object could not be read: {}", error.full_message())),
        });
    }
    Ok(items)
}

/// The object of a shadow as far as the shadow knows it; none if it does not meet the query.
fn cached(part: &Part, stored: &StoredShadow) -> Option<Item> {
    let shadow = &stored.shadow;
    if !part.set.cached.conditions.matches(&shadow.attributes) {
        return None;
    }
    let class = part.policy.schema.class(&shadow.class);
    let identifier = class
        .and_then(|class| shadow.attributes.first(&class.primary_identifier))
        .and_then(|value| value.to_text().map(|text| text.into_owned().into_boxed_str()));
    let object = ResourceObject {
        class: Arc::clone(&shadow.class),
        identifier: identifier.unwrap_or_else(|| shadow.identifier.clone()),
        attributes: shadow.attributes.clone(),
        origin: None,
    };
    Some(source::admit(part, object))
}

async fn search(run: &mut Run<'_>, part: &Arc<Part>, request: SearchRequest) -> Result<End, RunError> {
    let mut chunks = source::start(part, request);
    let mut window = Window::new(part.set.paging.as_ref());
    loop {
        let read = tokio::select! {
            biased;
            () = run.control.cancel.cancelled() => return Ok(End::Interrupted),
            read = chunks.recv() => read,
        };
        match read {
            Some(Read::Chunk(items)) => {
                if let Some(end) = run.work(part, Work::Found(window.take(items))).await? {
                    return Ok(end);
                }
                if window.is_closed() {
                    return Ok(End::Complete);
                }
            }
            Some(Read::End(Ok(Completeness::Complete))) => return Ok(End::Complete),
            Some(Read::End(Ok(Completeness::Incomplete { reason, message }))) => {
                return incomplete(run, part, reason, message).await;
            }
            Some(Read::End(Err(error))) => return Ok(End::of_error(&error, &part.place)),
            None => {
                let message = "the reader of the resource ended unexpectedly".to_owned();
                return incomplete(run, part, IncompleteReason::Truncated, message).await;
            }
        }
    }
}

/// A read that may have missed objects ends the run, so that nobody takes what is missing for deleted.
async fn incomplete(run: &Run<'_>, part: &Part, reason: IncompleteReason, message: String) -> Result<End, RunError> {
    let known = ShadowFilter { resource: Some(part.resource.clone()), ..ShadowFilter::default() };
    if reason == IncompleteReason::Empty && run.engine.repo.count_shadows(&known).await? == 0 {
        return Ok(End::Complete);
    }
    let help = match reason {
        IncompleteReason::Empty => {
            "if the resource is really empty, allow that in its connector configuration (`allowEmpty`); otherwise restore its data and run the task again"
        }
        IncompleteReason::Changed => "run the task again when nobody writes to the resource",
        IncompleteReason::Limit => "raise the limit of the resource, or switch paging on, and run the task again",
        _ => "make sure that the resource is whole and run the task again; what was done is kept",
    };
    let diagnostic =
        Diagnostic::error("incomplete-read", &part.place, format!("the resource was not read to its end: {message}"))
            .with_help(help);
    Ok(End::Broken(RunStatus::TemporaryError, Box::new(diagnostic)))
}

/// The portion of the objects that a task's paging asks for.
struct Window {
    to_skip: u64,
    wanted: Option<u64>,
}

impl Window {
    fn new(paging: Option<&Paging>) -> Self {
        Self { to_skip: paging.map_or(0, |paging| paging.offset), wanted: paging.and_then(|paging| paging.max_size) }
    }

    /// The objects of a chunk that are in the portion.
    fn take<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        let skipped = usize::try_from(self.to_skip).map_or(items.len(), |skip| skip.min(items.len()));
        self.to_skip -= skipped as u64;
        items.drain(..skipped);
        if let Some(wanted) = &mut self.wanted {
            items.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
            *wanted -= items.len() as u64;
        }
        items
    }

    /// Whether all that is wanted is there.
    fn is_closed(&self) -> bool {
        self.wanted == Some(0)
    }
}
