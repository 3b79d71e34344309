//! Live synchronization: the changes since a token.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use tidelock_connector_api::{ChangesRequest, Error, ErrorKind, LiveSync, SyncEvent, Token, TokenPrecision};
use tidelock_model::{Diagnostic, Place};
use tidelock_repo::{Batch, StoredToken, TokenChange};
use tokio::sync::mpsc;

use crate::changes::{self, Incoming, Stride};
use crate::error::RunError;
use crate::feed::Feed;
use crate::part::Part;
use crate::presence::Presence;
use crate::report::{Mode, RunStatus, TokenMove};
use crate::run::{End, OnStop, Run};
use crate::synchronize::Work;
use crate::tokens::{Earlier, Following, Why, token_text};
use crate::watermark::Watermark;

/// How many changes are checked together, at most.
const GROUP: usize = 64;

/// What the reader sends.
enum Pulled {
    /// A change, and the token behind it.
    Change(Incoming, Option<Token>),
    /// These objects exist, and have not changed.
    Present(Vec<Box<str>>),
    /// That was all.
    End(Token),
    /// That was all that is wanted at once.
    Enough,
    /// The source broke off.
    Failed(Error),
}

/// Takes over the changes since the stored token. Where there is none, the token of this moment is stored, and nothing done.
pub(crate) async fn synchronize(run: &mut Run<'_>, part: &Arc<Part>, following: &Following) -> Result<End, RunError> {
    let began = Instant::now();
    run.begin(&part.path, None);
    let end = follow(run, part, following).await?;
    run.end(&part.path, began, &end);
    run.save().await?;
    Ok(end)
}

async fn follow(run: &mut Run<'_>, part: &Arc<Part>, following: &Following) -> Result<End, RunError> {
    let Some(live) = part.connector.live_sync() else { return Ok(End::of_error(&no_live_sync(), &part.place)) };
    let repo = Arc::clone(&run.original);
    let held = following.position.held(&*repo).await?;
    let stored = held.tokens.into_iter().next();
    let before = stored.as_ref().map(|stored| token_text(&stored.value));
    run.report(part).token = Some(TokenMove { before: before.clone(), after: before });
    let end = match stored {
        None => begin(run, part, following, live, &held.others).await?,
        Some(stored) => {
            if let Some(earlier) = held.of.filter(|earlier| earlier.why == Why::Wider) {
                run.notes.push(goes_on(following, earlier, &part.place));
            }
            go_on(run, part, following, live, stored).await?
        }
    };
    clear_away(run, part, following, held.of).await?;
    Ok(end)
}

/// Takes over the changes since a token.
async fn go_on(
    run: &mut Run<'_>,
    part: &Arc<Part>,
    following: &Following,
    live: &dyn LiveSync,
    stored: StoredToken,
) -> Result<End, RunError> {
    let mut request = ChangesRequest::new(Token::new(stored.value));
    if let Some(class) = &part.set.class {
        request = request.with_class(Arc::clone(&class.name));
    }
    let most = following.most;
    let reader = Arc::clone(part);
    let mut feed = Feed::start(part.chunk, |send| async move { read(&reader, request, most, send).await });
    let is_precise = live.token_precision() == TokenPrecision::PerChange;
    let presence = Presence::begin(part);
    let mut pulling = Pulling { part, following, is_precise, changes: VecDeque::new(), presence, stride: Stride::default() };
    let end = loop {
        let events = tokio::select! {
            biased;
            () = run.control.cancel.cancelled() => break End::Interrupted,
            events = feed.next(part.chunk) => events,
        };
        if let Some(end) = pulling.take(run, events).await? {
            break end;
        }
    };
    feed.stop().await;
    Ok(end)
}

/// The first run takes the token of this moment. The tokens of these other object sets are no help to it.
async fn begin(
    run: &mut Run<'_>,
    part: &Arc<Part>,
    following: &Following,
    live: &dyn LiveSync,
    others: &[Box<str>],
) -> Result<End, RunError> {
    if following.moves {
        let class = part.set.class.as_ref().map(|class| &*class.name);
        match live.current_token(class).await {
            Ok(token) => run.move_token(part, following, &token).await?,
            Err(error) => return Ok(End::of_error(&error, &part.place)),
        }
    }
    let message = match following.moves {
        true => "the task had no synchronization token: that of this moment was stored, and nothing was processed",
        false => "the task has no synchronization token, and in this mode none is stored: nothing was processed",
    };
    let help = match following.moves {
        true => {
            "the next run takes over what changes from now on; what is on the resource already, an import or a reconciliation takes over"
        }
        false => "run the task in the mode 'full'",
    };
    run.notes.push(Diagnostic::info("first-token", &part.place, message).with_help(help));
    if !others.is_empty() {
        run.notes.push(begins_beside(following, others, &part.place));
    }
    Ok(End::Complete)
}

/// A warning that what other object sets have taken over is not what this one needs.
fn begins_beside(following: &Following, others: &[Box<str>], place: &Place) -> Diagnostic {
    let message = format!(
        "the object set '{}' is new, and begins at this moment; tokens are there of '{}', and what has changed since these is not \
         taken over",
        following.position.key.set,
        others.join("', '")
    );
    Diagnostic::warning("other-tokens", place, message).with_help(
        "if this task goes on with the work of another one, or its object set was changed, run a reconciliation now: it finds what \
         has changed in between; a new task beside others needs nothing",
    )
}

/// A word on whose token an object set begins with that has none.
fn goes_on(following: &Following, earlier: &Earlier, place: &Place) -> Diagnostic {
    let message = format!(
        "the object set '{}' had no synchronization token: it goes on from that of '{}', which has all of its objects",
        following.position.key.set, earlier.key.set
    );
    Diagnostic::info("token-of-wider-set", place, message).with_help(
        "from now on it has its own; `tidelock token reset TASK` would let it begin at the moment of its next run instead",
    )
}

/// Tells the connector what it need not keep any longer, once the token has moved, or has become that of another object set.
async fn clear_away(
    run: &mut Run<'_>,
    part: &Arc<Part>,
    following: &Following,
    earlier: Option<&Earlier>,
) -> Result<(), RunError> {
    let mut has_moved = run.report(part).token.as_ref().is_some_and(|token| token.before != token.after);
    if let Some(earlier) = earlier.filter(|earlier| earlier.why == Why::Respelt)
        && !run.original.tokens(&following.position.key).await?.is_empty()
    {
        // Nobody asks for it under that name any more.
        let token = Some(TokenChange { key: earlier.key.clone(), value: None, at: part.now(), run: part.run });
        run.original.commit(Batch { token, ..Batch::default() }).await?;
        has_moved = true;
    }
    let Some(live) = part.connector.live_sync().filter(|_| has_moved) else { return Ok(()) };
    let tokens = run.original.tokens_of(&part.resource).await?;
    let tokens: Vec<Token> = tokens.into_iter().map(|stored| Token::new(stored.value)).collect();
    if let Err(error) = live.retain(&tokens).await {
        let message = format!("what the resource keeps for older tokens could not be cleared away: {}", error.full_message());
        run.notes.push(Diagnostic::warning("not-cleared-away", &part.place, message).with_help("the next run tries it again"));
    }
    Ok(())
}

/// Reads changes, and checks them.
async fn read(part: &Arc<Part>, request: ChangesRequest, most: Option<u64>, send: mpsc::Sender<Pulled>) {
    let Some(live) = part.connector.live_sync() else { return };
    // Checking needs nobody else, so that several groups can be checked at once; they are sent in order.
    let groups = live.changes(request).ready_chunks(part.chunk.min(GROUP)).map(|events| {
        let part = Arc::clone(part);
        async move { tokio::spawn(async move { events.into_iter().map(|event| take(&part, event)).collect::<Vec<_>>() }).await }
    });
    let mut groups = std::pin::pin!(groups.buffered(part.workers.max(1)));
    let mut count = 0;
    while let Some(group) = groups.next().await {
        let group = group.unwrap_or_else(|panic| {
            vec![Pulled::Failed(Error::new(ErrorKind::Unexpected, "checking changes failed").with_source(panic))]
        });
        for pulled in group {
            let is_last = matches!(pulled, Pulled::End(_) | Pulled::Failed(_));
            // What the token does not pass makes no batch: the next one would begin with the same again, and never come to the end.
            count += u64::from(matches!(&pulled, Pulled::Change(_, token) if token.is_some()));
            // Nobody listening is nobody's loss.
            if send.send(pulled).await.is_err() || is_last {
                return;
            }
            if most.is_some_and(|most| count >= most) {
                let _ = send.send(Pulled::Enough).await;
                return;
            }
        }
    }
}

/// Checks what came.
fn take(part: &Part, event: Result<SyncEvent, Error>) -> Pulled {
    match event {
        Ok(SyncEvent::Change(change, token)) => Pulled::Change(changes::take(part, change), token),
        Ok(SyncEvent::Present(identifiers)) => Pulled::Present(identifiers),
        Ok(SyncEvent::End(token)) => Pulled::End(token),
        Err(error) if error.kind() == ErrorKind::InvalidData => Pulled::Change(changes::unreadable(part, &error), None),
        Err(error) => Pulled::Failed(error),
    }
}

/// A stream of changes that is gone through.
struct Pulling<'a> {
    part: &'a Arc<Part>,
    following: &'a Following,
    /// Whether the token behind a change is one to resume from.
    is_precise: bool,
    /// What is not processed yet, with the tokens behind.
    changes: VecDeque<(Incoming, Option<Token>)>,
    /// Who was heard of.
    presence: Presence,
    stride: Stride,
}

impl Pulling<'_> {
    /// Takes over what has arrived. Gives the end, if that is among it.
    async fn take(&mut self, run: &mut Run<'_>, events: Vec<Pulled>) -> Result<Option<End>, RunError> {
        if events.is_empty() {
            return Ok(Some(broken_off(&self.part.place)));
        }
        for event in events {
            if let Pulled::Change(change, token) = event {
                self.changes.push_back((change, token));
                continue;
            }
            if let Some(end) = self.process(run).await? {
                return Ok(Some(end));
            }
            match event {
                Pulled::Present(identifiers) => self.presence.note(run, self.part, &identifiers).await?,
                Pulled::End(token) => return self.finish(run, &token).await.map(Some),
                Pulled::Failed(error) => return Ok(Some(End::of_error(&error, &self.part.place))),
                Pulled::Enough | Pulled::Change(..) => return Ok(Some(End::Complete)),
            }
        }
        self.process(run).await
    }

    /// Processes the changes so far.
    async fn process(&mut self, run: &mut Run<'_>) -> Result<Option<End>, RunError> {
        let part = self.part;
        while !self.changes.is_empty() {
            if run.is_cancelled() {
                return Ok(Some(End::Interrupted));
            }
            let many = self.stride.of(part, self.changes.iter().map(|(change, _)| change), part.chunk);
            let mut watermark = Watermark::default();
            let mut taken = Vec::with_capacity(many);
            for (change, token) in self.changes.drain(..many.min(self.changes.len())) {
                watermark.add(1, token.filter(|_| self.is_precise));
                taken.push(change);
            }
            let items = match changes::resolve(part, taken).await? {
                Ok(items) => items,
                Err(error) => return Ok(Some(End::of_error(&error, &part.place))),
            };
            let order: Vec<usize> = (0..items.len()).collect();
            let reached = |settled: usize| watermark.reached(order.get(..settled)?).filter(|_| self.following.moves);
            let mark = |settled: usize, batch: &mut Batch| {
                if part.mode != Mode::Preview {
                    batch.token = reached(settled).map(|token| change(part, self.following, token));
                }
            };
            let work = Work::Found(items);
            let worked = run.work_with(part, &work, OnStop::Commit, &mark).await?;
            if part.mode == Mode::Preview
                && let Some(token) = reached(worked.settled)
            {
                run.move_token(part, self.following, token).await?;
            }
            if let Some(stop) = worked.stop {
                return Ok(Some(stop.end));
            }
            self.stride.learn(part, order.len(), worked.settled);
            if let Work::Found(items) = work {
                let rest = changes::again(items, worked.settled).zip(watermark.into_tokens(worked.settled));
                rest.rev().for_each(|one| self.changes.push_front(one));
            }
        }
        Ok(None)
    }

    /// All changes are taken over; so the token moves to the end, once those objects are looked after that nothing was heard of.
    async fn finish(&self, run: &mut Run<'_>, token: &Token) -> Result<End, RunError> {
        let part = self.part;
        let end = self.presence.end(run, part).await?;
        if !matches!(end, End::Complete) {
            return Ok(end);
        }
        if self.following.moves {
            run.move_token(part, self.following, token).await?;
        }
        Ok(End::Complete)
    }
}

impl Run<'_> {
    /// Moves the token, with nothing else. Where all else is done on a copy, the token itself moves all the same.
    async fn move_token(&mut self, part: &Part, following: &Following, token: &Token) -> Result<(), RunError> {
        let batch = Batch { token: Some(change(part, following, token)), ..Batch::default() };
        if part.mode == Mode::Preview {
            self.original.commit(batch).await?;
            self.report(part).token.get_or_insert_default().after = Some(token_text(token.as_bytes()));
        } else {
            self.commit_alone(part, batch).await?;
        }
        Ok(())
    }
}

pub(crate) fn change(part: &Part, following: &Following, token: &Token) -> TokenChange {
    TokenChange { key: following.position.key.clone(), value: Some(token.as_bytes().into()), at: part.now(), run: part.run }
}

fn broken_off(place: &Place) -> End {
    let message = "the changes broke off, without a word that these were all";
    let diagnostic = Diagnostic::error("incomplete-read", place, message)
        .with_help("run the task again: it goes on after the last change that was taken over");
    End::Broken(RunStatus::TemporaryError, Box::new(diagnostic))
}

fn no_live_sync() -> Error {
    Error::unsupported("the resource cannot say what has changed since a time")
}
