//! Import: every object of the set is synchronized as if it were new. What is missing is nobody's business here.

use std::sync::Arc;
use std::time::Instant;

use tidelock_connector_api::{Completeness, Error, IncompleteReason, SearchRequest};
use tidelock_model::Diagnostic;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::object_set::Paging;

use crate::error::RunError;
use crate::part::Part;
use crate::prepare::Prepared;
use crate::report::RunStatus;
use crate::run::{End, Run};
use crate::source::{self, Read};
use crate::synchronize::Work;

/// Runs an import.
pub(crate) async fn run(run: &mut Run<'_>, prepared: &Prepared) -> Result<End, RunError> {
    let part = prepared.part(run, 0, Channel::Import);
    search(run, &part).await
}

/// Reads the objects of a part from the resource and synchronizes them, to the end.
pub(crate) async fn search(run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
    let began = Instant::now();
    let Some(class) = &part.set.class else {
        // The resolver lets no such set through.
        return Ok(End::of_error(&Error::unsupported("a search needs an object class"), &part.place));
    };
    let request = part.request(class);
    let expected = part.connector.count(&request).await.ok().flatten();
    run.begin(part.path, expected);
    let end = read(run, part, request).await?;
    run.end(part.path, began, &end);
    run.save().await?;
    Ok(end)
}

async fn read(run: &mut Run<'_>, part: &Arc<Part>, request: SearchRequest) -> Result<End, RunError> {
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
                run.work(part, Work::Found(window.take(items))).await?;
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
    if reason == IncompleteReason::Empty && run.engine.repo.count_shadows(&part.known_shadows()).await? == 0 {
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
