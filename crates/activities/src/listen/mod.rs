//! Asynchronous update: changes as the resource sends them.
//!
//! Messages are taken over in the order in which they arrive. What has arrived by the time is taken over at once: its effects are
//! committed together with marks that it is, and then it is acknowledged, while the next messages are taken over already.
//!
//! Here is how listening goes on, and how it ends; what becomes of messages is [`listener`]'s.

mod group;
mod listener;
mod reader;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidelock_connector_api::{AsyncUpdates, Error, Listening, Token};
use tidelock_model::{Diagnostic, Place};

use self::listener::Listener;
use self::reader::Arrived;
use crate::error::RunError;
use crate::feed::Feed;
use crate::inbox::Inbox;
use crate::part::Part;
use crate::report::{self, Mode, RunStatus, TokenMove};
use crate::run::{End, Run};
use crate::tokens::{Following, token_text};

/// How long a source may take until it is there, where listening is to end when nothing arrives.
const FIRST_CONNECTION: Duration = Duration::from_secs(30);

/// How often it is looked whether it is there.
const LOOK: Duration = Duration::from_millis(20);

/// Listens until it is told to stop, until nothing arrives any longer, or until the source or a failure ends it.
pub(crate) async fn listen(run: &mut Run<'_>, part: &Arc<Part>, following: &Following) -> Result<End, RunError> {
    let began = Instant::now();
    run.begin(&part.path, None);
    let end = match part.connector.async_updates() {
        None => End::of_error(&Error::unsupported("the resource sends no changes"), &part.place),
        Some(source) => receive(run, part, following, source).await?,
    };
    run.end(&part.path, began, &end);
    run.save().await?;
    Ok(end)
}

async fn receive(run: &mut Run<'_>, part: &Arc<Part>, following: &Following, source: &dyn AsyncUpdates) -> Result<End, RunError> {
    let token = following.position.tokens(&*run.original).await?.into_iter().next();
    if let Some(token) = &token {
        let before = Some(token_text(&token.value));
        run.report(part).token = Some(TokenMove { before: before.clone(), after: before });
    }
    let inbox = Inbox::new(run.original.inbox(&part.resource).await?);
    let reader = Arc::clone(part);
    let token = token.map(|token| Token::new(token.value));
    let mut feed = Feed::start(part.chunk, |send| async move { reader::read(&reader, token, send).await });
    let mut listener = Listener::new(part, following, inbox, source.on_failure());
    let end = follow(run, part, &mut listener, &mut feed, source).await;
    // What is under way is committed, whatever happens here, and nobody else is to run before.
    listener.ends().await;
    let end = end?;
    let end = listener.land(run).await?.end().unwrap_or(end);
    // As it was until we let go of it.
    run.report(part).listening = Some(source.status().into());
    listener.finish().await;
    feed.stop().await;
    if part.mode != Mode::Full && listener.kept() > 0 {
        run.notes.push(kept(listener.kept(), part));
    }
    drop(listener);
    Ok(end)
}

/// Takes over what arrives, until something ends that.
async fn follow(
    run: &mut Run<'_>,
    part: &Part,
    listener: &mut Listener<'_>,
    feed: &mut Feed<Arrived>,
    source: &dyn AsyncUpdates,
) -> Result<End, RunError> {
    let mut quiet = Quiet::new(run.control.until_idle);
    let mut closed = false;
    loop {
        if listener.has_enough(closed) {
            if let Some(end) = listener.take(run).await? {
                return Ok(end);
            }
            quiet.broken();
        }
        let (is_under_way, room) = (listener.is_under_way(), listener.room());
        if closed && !is_under_way {
            return Ok(closed_end(source.status(), &part.place));
        }
        tokio::select! {
            biased;
            () = run.control.cancel.cancelled() => return Ok(End::Interrupted),
            () = listener.ends(), if is_under_way => {
                if let Some(end) = listener.land(run).await?.end() {
                    return Ok(end);
                }
                quiet.broken();
            }
            arrived = feed.next(room), if !closed => {
                closed = arrived.is_empty();
                listener.receive(arrived);
            }
            () = quiet.is_long(source), if !is_under_way => return Ok(idle_end(source.status(), &part.place)),
        }
    }
}

/// For how long nothing has arrived. A source that is still being connected to for the first time is given the time for that: a
/// connector gives up by itself.
struct Quiet {
    until: Option<Duration>,
    since: tokio::time::Instant,
    /// Whether the source could have sent something yet.
    met: bool,
}

impl Quiet {
    fn new(until: Option<Duration>) -> Self {
        Self { until, since: tokio::time::Instant::now(), met: false }
    }

    /// Something has arrived.
    fn broken(&mut self) {
        (self.since, self.met) = (tokio::time::Instant::now(), true);
    }

    /// Waits until nothing has arrived for as long as was wanted.
    ///
    /// # Cancellation
    /// The time goes on.
    async fn is_long(&mut self, source: &dyn AsyncUpdates) {
        let Some(until) = self.until else { return std::future::pending().await };
        loop {
            if !self.met && (source.status() == Listening::Alive || self.since.elapsed() >= FIRST_CONNECTION) {
                self.broken();
            }
            let passed = self.since.elapsed();
            if self.met && passed >= until {
                return;
            }
            let left = if self.met { until - passed } else { LOOK };
            tokio::time::sleep(left).await;
        }
    }
}

/// A word on messages that were looked at and stay with the source.
fn kept(many: usize, part: &Part) -> Diagnostic {
    let mode = part.mode.as_str();
    let message =
        format!("in the mode '{mode}' messages stay with their source: {many} of them have arrived, and there may be more");
    Diagnostic::info("messages-kept", &part.place, message).with_help(
        "a source hands out no more than so many messages (its 'prefetch') before the first ones are acknowledged: raise that to \
         look at more of them; the mode 'full' takes over all",
    )
}

/// Nothing has arrived for as long as was wanted: either there is nothing, or it cannot arrive.
fn idle_end(status: Listening, place: &Place) -> End {
    match status {
        Listening::Alive => End::Complete,
        Listening::Reconnecting | Listening::Down => {
            let message = format!("nothing arrives: the connection to the source of changes is {}", status.as_str());
            let diagnostic = Diagnostic::error("resource-unreachable", place, message)
                .with_help("run the task again when the source is back; what it sends until then is not lost");
            End::Broken(RunStatus::TemporaryError, Box::new(diagnostic))
        }
    }
}

/// The source sends nothing any more.
fn closed_end(status: Listening, place: &Place) -> End {
    match status {
        Listening::Alive => End::Complete,
        Listening::Reconnecting | Listening::Down => idle_end(status, place),
    }
}

impl From<Listening> for report::Listening {
    fn from(status: Listening) -> Self {
        match status {
            Listening::Alive => Self::Alive,
            Listening::Reconnecting => Self::Reconnecting,
            Listening::Down => Self::Down,
        }
    }
}
