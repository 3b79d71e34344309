//! Taking messages over: deciding about their changes, committing that, and settling them with their source.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tidelock_connector_api::{Delivery, Error, ErrorKind, OnFailure, Token};
use tidelock_model::{Diagnostic, Place};
use tidelock_repo::{Batch, InboxEntry, InboxMarks};
use tokio::task::JoinSet;

use super::group::{Group, Resolved};
use super::reader::{Arrived, named};
use crate::ahead;
use crate::changes::{self, Incoming, Stride};
use crate::error::RunError;
use crate::feed::Held;
use crate::inbox::Inbox;
use crate::live_sync::change;
use crate::part::Part;
use crate::presence::Presence;
use crate::report::{Mode, RunStatus};
use crate::run::{Commit, End, OnStop, Run, Worked};
use crate::synchronize::{Decided, ItemError, Stop, Work};
use crate::tokens::{Following, token_text};

/// How many groups of messages are acknowledged at the same time, while further ones are taken over.
const GROUPS: usize = 8;

/// How long the end of listening waits for the last acknowledgements. Messages that are not acknowledged come again, and are
/// recognized.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait before a message is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Somebody who takes messages over.
pub(super) struct Listener<'a> {
    part: &'a Arc<Part>,
    following: &'a Following,
    inbox: Inbox,
    on_failure: OnFailure,
    /// Whether messages are settled. Where nothing is kept of what is done, they stay with the source.
    settles: bool,
    acknowledging: JoinSet<()>,
    stride: Stride,
    /// The last messages that were taken over, for as long as they are being committed.
    under_way: Option<UnderWay>,
    /// Who was heard of since the source began to tell what has changed.
    presence: Presence,
    /// What has arrived, and is not taken over yet.
    waiting: Vec<Arrived>,
    /// Messages that stay with the source.
    kept: Vec<Delivery>,
}

/// Messages that are being committed.
struct UnderWay {
    commit: Commit,
    group: Group,
    /// All their changes.
    resolved: Resolved,
}

/// What has become of what was under way.
pub(super) enum Landing {
    /// It is committed, as it was decided; or there was nothing.
    Committed,
    /// It is committed, in another way.
    Changed,
    /// It could not be, which is the end.
    Ended(End),
}

impl Landing {
    /// The end of the activity, if this is one.
    pub(super) fn end(self) -> Option<End> {
        match self {
            Self::Committed | Self::Changed => None,
            Self::Ended(end) => Some(end),
        }
    }
}

impl<'a> Listener<'a> {
    pub(super) fn new(part: &'a Arc<Part>, following: &'a Following, inbox: Inbox, on_failure: OnFailure) -> Self {
        Self {
            part,
            following,
            inbox,
            on_failure,
            settles: part.mode == Mode::Full,
            acknowledging: JoinSet::new(),
            stride: Stride::default(),
            under_way: None,
            presence: Presence::begin(part),
            waiting: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// These have arrived, and wait.
    pub(super) fn receive(&mut self, arrived: Vec<Arrived>) {
        self.waiting.extend(arrived);
    }

    /// How many more may wait.
    pub(super) fn room(&self) -> usize {
        self.part.chunk.saturating_sub(self.waiting.len())
    }

    /// Whether what waits is to be taken over now. While something is being committed, it should be as much at least, if there is more
    /// to come: else commits would become ever smaller.
    pub(super) fn has_enough(&self, closed: bool) -> bool {
        let least = self.under_way.as_ref().filter(|_| !closed).map_or(1, |under_way| under_way.group.messages.len());
        self.waiting.len() >= least.clamp(1, self.part.chunk)
    }

    /// How many messages stay with the source.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Whether something is being committed.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Takes over what waits. Gives the end, if that is among it, or if a failure is one.
    pub(super) async fn take(&mut self, run: &mut Run<'_>) -> Result<Option<End>, RunError> {
        let mut group = Group::default();
        for one in std::mem::take(&mut self.waiting) {
            match one {
                Arrived::Message(delivery, changes, held) => {
                    // A message that comes again has to see what became of it before. Where the source begins, and where it says who
                    // is left, everything before has to be taken over.
                    let is_under_way = |id| self.under_way.as_ref().is_some_and(|under_way| under_way.group.has(id));
                    let is_again = delivery.id.as_ref().is_some_and(|id| group.has(id) || is_under_way(id));
                    if (is_again || delivery.begins || delivery.present.is_some() || self.presence.is_whole())
                        && let Some(end) = self.take_whole(run, std::mem::take(&mut group)).await?
                    {
                        self.kept.push(delivery);
                        return Ok(Some(end));
                    }
                    if delivery.begins {
                        self.presence = Presence::begin(self.part);
                    }
                    if delivery.present.is_some() || self.presence.is_whole() {
                        match self.take_presence(run, delivery, changes, held).await? {
                            None => continue,
                            end => return Ok(end),
                        }
                    }
                    let settled = delivery.id.as_ref().map_or(0, |id| self.inbox.settled(&id.0));
                    group.add(delivery, changes, held, settled);
                }
                Arrived::Failed(error) => {
                    let end = self.take_whole(run, group).await?;
                    return Ok(Some(end.unwrap_or_else(|| End::of_error(&error, &self.part.place))));
                }
            }
        }
        self.take_group(run, group).await
    }

    /// Takes over messages, and waits until they are committed.
    async fn take_whole(&mut self, run: &mut Run<'_>, group: Group) -> Result<Option<End>, RunError> {
        Ok(match self.take_group(run, group).await? {
            None => self.land(run).await?.end(),
            end => end,
        })
    }

    /// Takes over messages that have arrived together. Where one commit is all that takes, it is under way afterwards.
    async fn take_group(&mut self, run: &mut Run<'_>, mut group: Group) -> Result<Option<End>, RunError> {
        match self.decide(run, &mut group).await? {
            Ok(Some((resolved, mut decided))) => {
                self.mark(&group, &resolved.owners, &mut decided.batch);
                let commit = run.begin_commit(self.part, decided);
                self.under_way = Some(UnderWay { commit, group, resolved });
                Ok(None)
            }
            Ok(None) => self.take_apart(run, group).await,
            Err(end) => {
                self.kept.extend(group.into_deliveries());
                Ok(Some(end))
            }
        }
    }

    /// Decides about all changes of these messages, if one commit is enough for them. Nothing is under way afterwards.
    ///
    /// The inner error is the end of the activity.
    async fn decide(
        &mut self,
        run: &mut Run<'_>,
        group: &mut Group,
    ) -> Result<Result<Option<(Resolved, Decided)>, End>, RunError> {
        // What can be decided meanwhile is decided meanwhile.
        let mut whole = None;
        if self.is_under_way() {
            whole = match self.decide_whole(run, group).await? {
                Ok(whole) => whole,
                Err(end) => return Ok(Err(end)),
            };
        }
        match self.land(run).await? {
            Landing::Committed => {}
            Landing::Changed => {
                if let Some((resolved, _)) = whole.take() {
                    group.put_back(resolved, 0);
                }
                group.forget();
            }
            Landing::Ended(end) => return Ok(Err(end)),
        }
        match whole {
            _ if run.is_cancelled() => Ok(Err(End::Interrupted)),
            None => self.decide_whole(run, group).await,
            whole => Ok(Ok(whole)),
        }
    }

    /// Takes over messages one chunk after the other.
    async fn take_apart(&mut self, run: &mut Run<'_>, mut group: Group) -> Result<Option<End>, RunError> {
        let end = self.process_all(run, &mut group).await?;
        self.close(run, group).await?;
        Ok(end)
    }

    /// Takes over a message that is among those that account for every object. It is not done with, nor does the token move, before
    /// that is so of what it says of who is left.
    async fn take_presence(
        &mut self,
        run: &mut Run<'_>,
        mut delivery: Delivery,
        changes: Vec<Incoming>,
        held: Held,
    ) -> Result<Option<End>, RunError> {
        let present = delivery.present.take().unwrap_or_default();
        let is_last = delivery.token.is_some();
        let settled = delivery.id.as_ref().map_or(0, |id| self.inbox.settled(&id.0));
        let mut group = Group::default();
        let presence = group.open();
        group.add(delivery, changes, held, settled);
        let mut end = self.process_all(run, &mut group).await?;
        if end.is_none() && run.is_cancelled() {
            end = Some(End::Interrupted);
        }
        if end.is_none() {
            self.presence.note(run, self.part, &present).await?;
            if is_last {
                end = Some(self.presence.end(run, self.part).await?).filter(|end| !matches!(end, End::Complete));
                self.presence = Presence::begin(self.part);
            }
        }
        if end.is_none() {
            group.settle(&[presence]);
        }
        self.close(run, group).await?;
        Ok(end)
    }

    /// Moves the token as far as that was not done with the changes, and settles what is done with.
    async fn close(&mut self, run: &mut Run<'_>, mut group: Group) -> Result<(), RunError> {
        if self.settles
            && let Some(token) = group.watermark.reached(&[]).filter(|token| !is_stored(run, self.part, token))
        {
            // The last messages had nothing to commit their token with.
            let token = Some(change(self.part, self.following, token));
            run.commit_alone(self.part, Batch { token, ..Batch::default() }).await?;
        }
        self.settle(&mut group, &[]).await;
        // What is left is given back to the source when nobody listens any longer.
        self.kept.extend(group.into_deliveries());
        Ok(())
    }

    /// Processes all changes, as long as nothing ends that.
    async fn process_all(&mut self, run: &mut Run<'_>, group: &mut Group) -> Result<Option<End>, RunError> {
        let mut end = None;
        while end.is_none() && !group.pending.is_empty() {
            end = if run.is_cancelled() { Some(End::Interrupted) } else { self.process(run, group).await? };
        }
        Ok(end)
    }

    /// Waits until the commit has ended that is under way, if there is one.
    ///
    /// # Cancellation
    /// It goes on.
    pub(super) async fn ends(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            under_way.commit.ends().await;
        }
    }

    /// Settles what was under way, once it is committed. What could not be committed is taken apart.
    pub(super) async fn land(&mut self, run: &mut Run<'_>) -> Result<Landing, RunError> {
        let part = self.part;
        let Some(UnderWay { commit, mut group, resolved }) = self.under_way.take() else { return Ok(Landing::Committed) };
        let Some(error) = run.end_commit(part, commit).await? else {
            let owners = &resolved.owners;
            self.stride.learn(part, owners.len(), owners.len());
            self.settle(&mut group, owners).await;
            self.close(run, group).await?;
            return Ok(Landing::Committed);
        };
        tracing::debug!(%error, "some changes could not be committed together");
        group.put_back(resolved, 0);
        // What is stored is another thing than was thought.
        group.forget();
        let end = self.take_apart(run, group).await?;
        Ok(end.map_or(Landing::Changed, Landing::Ended))
    }

    /// Decides about all changes of these messages, as they are once what is under way is committed. None where that cannot be done,
    /// or needs more than one commit.
    ///
    /// The inner error is the end of the activity.
    async fn decide_whole(
        &mut self,
        run: &Run<'_>,
        group: &mut Group,
    ) -> Result<Result<Option<(Resolved, Decided)>, End>, RunError> {
        let part = self.part;
        let changes = group.pending.len();
        if !self.settles
            || changes == 0
            || (part.results.is_some() && self.under_way.is_some())
            || self.stride.of(part, group.pending.iter().map(|(_, change)| change), part.chunk) < changes
        {
            return Ok(Ok(None));
        }
        if let Some(under_way) = &self.under_way {
            match ahead::foresee(part, &mut group.pending, &under_way.commit.effects).await {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(None)),
                Err(error) => {
                    // Who reads it in its turn will hear of it.
                    tracing::debug!(%error, "nothing was read ahead");
                    return Ok(Ok(None));
                }
            }
        }
        let resolved = match self.resolve(group, changes).await? {
            Ok(resolved) => resolved,
            Err(end) => return Ok(Err(end)),
        };
        if self.under_way.is_some() && !resolved.work.needs_nothing_read() {
            group.put_back(resolved, 0);
            return Ok(Ok(None));
        }
        let tally = self.under_way.as_ref().map_or(run.tally(), |under_way| under_way.commit.tally());
        Ok(Ok(match run.decide_whole(part, &resolved.work, tally).await? {
            Some(decided) => Some((resolved, decided)),
            None => {
                group.put_back(resolved, 0);
                None
            }
        }))
    }

    /// Finds out about the first so many of the changes that are to be taken over.
    ///
    /// The inner error is the end of the activity.
    async fn resolve(&self, group: &mut Group, many: usize) -> Result<Result<Resolved, End>, RunError> {
        let (owners, taken): (Vec<usize>, Vec<Incoming>) = group.pending.drain(..many.min(group.pending.len())).unzip();
        let changes = self.retries().then(|| taken.clone());
        Ok(match changes::resolve(self.part, taken).await? {
            Ok(items) => Ok(Resolved { owners, work: Work::Found(items), changes }),
            Err(error) => Err(End::of_error(&error, &self.part.place)),
        })
    }

    /// Adds to a batch that one change of each of these messages is settled with it.
    fn mark(&self, group: &Group, owners: &[usize], batch: &mut Batch) {
        let messages = group.marks(owners);
        if !messages.is_empty() {
            batch.inbox = Some(InboxMarks { resource: self.part.resource.clone(), messages });
        }
        batch.token = group.watermark.reached(owners).map(|token| change(self.part, self.following, token));
    }

    /// Processes the next changes.
    async fn process(&mut self, run: &mut Run<'_>, group: &mut Group) -> Result<Option<End>, RunError> {
        let part = self.part;
        let many = self.stride.of(part, group.pending.iter().map(|(_, change)| change), part.chunk);
        let resolved = match self.resolve(group, many).await? {
            Ok(resolved) => resolved,
            Err(end) => return Ok(Some(end)),
        };
        // What comes after something that is tried again has to wait: it may be about the same object.
        let on_stop = if self.retries() { OnStop::Hold } else { OnStop::Commit };
        let Worked { settled, stop } = self.work(run, group, &resolved.work, &resolved.owners, on_stop).await?;
        let Some(stop) = stop else {
            self.stride.learn(part, resolved.owners.len(), settled);
            group.put_back(resolved, settled);
            return Ok(None);
        };
        let Some(&failed) = resolved.owners.get(settled) else { return Ok(Some(stop.end)) };
        let change = resolved.changes.as_ref().and_then(|changes| changes.get(settled)).cloned();
        group.put_back(resolved, settled + 1);
        match change {
            Some(change) => self.retry(run, group, failed, change, stop).await,
            None => self.fail(run, group, failed, stop).await,
        }
    }

    /// Synchronizes objects of these messages.
    async fn work(
        &mut self,
        run: &mut Run<'_>,
        group: &mut Group,
        work: &Work,
        owners: &[usize],
        on_stop: OnStop,
    ) -> Result<Worked, RunError> {
        let (this, known): (&Self, &Group) = (self, group);
        let mark = |settled: usize, batch: &mut Batch| {
            if this.settles {
                this.mark(known, &owners[..settled.min(owners.len())], batch);
            }
        };
        let worked = run.work_with(this.part, work, on_stop, &mark).await?;
        self.settle(group, &owners[..worked.settled.min(owners.len())]).await;
        Ok(worked)
    }

    /// One change of each of these messages is settled, and stored as such: messages of which nothing is left are acknowledged.
    async fn settle(&mut self, group: &mut Group, owners: &[usize]) {
        for mark in group.marks(owners) {
            self.inbox.note(mark);
        }
        group.settle(owners);
        let done = group.take_settled();
        if !self.settles {
            self.kept.extend(done);
            return;
        }
        if done.is_empty() {
            return;
        }
        while self.acknowledging.try_join_next().is_some() {}
        while self.acknowledging.len() >= GROUPS {
            self.acknowledging.join_next().await;
        }
        self.acknowledging.spawn(async move {
            for outcome in join_all(done.into_iter().map(Delivery::acknowledge)).await {
                if let Err(error) = outcome {
                    tracing::warn!(error = error.full_message(), "a message was not acknowledged: it may come again");
                }
            }
        });
    }

    /// Whether a failure is tried again.
    fn retries(&self) -> bool {
        self.settles && matches!(self.on_failure, OnFailure::Retry { .. })
    }

    /// A change of this message has failed, which is counted. Gives the end, if that is one.
    async fn fail(&mut self, run: &mut Run<'_>, group: &mut Group, failed: usize, stop: Stop) -> Result<Option<End>, RunError> {
        let message = group.messages.get_mut(failed).filter(|_| self.on_failure == OnFailure::Skip);
        let Some(delivery) = message.and_then(|message| message.delivery.take()) else { return Ok(Some(stop.end)) };
        group.pending.retain(|(owner, _)| *owner != failed);
        if !self.settles {
            self.kept.push(delivery);
            group.watermark.close(failed);
            return Ok(None);
        }
        let id = delivery.id.clone();
        let message = named(&delivery);
        if let Err(error) = delivery.reject(&reason(&stop.error)).await {
            return Ok(Some(not_rejected(&message, &error, &self.part.place)));
        }
        group.watermark.close(failed);
        let inbox = id.map(|id| InboxMarks { resource: self.part.resource.clone(), messages: vec![InboxEntry::settled(id.0)] });
        let token = group.watermark.reached(&[]).map(|token| change(self.part, self.following, token));
        for mark in inbox.iter().flat_map(|inbox| &inbox.messages) {
            self.inbox.note(mark.clone());
        }
        if inbox.is_some() || token.is_some() {
            run.commit_alone(self.part, Batch { inbox, token, ..Batch::default() }).await?;
        }
        Ok(None)
    }

    /// Tries a change again, alone, until it succeeds or has failed often enough.
    async fn retry(
        &mut self,
        run: &mut Run<'_>,
        group: &mut Group,
        failed: usize,
        mut change: Incoming,
        first: Stop,
    ) -> Result<Option<End>, RunError> {
        // What is stored may be put right meanwhile.
        change.forget();
        let OnFailure::Retry { first: wait, limit } = self.on_failure else { return Ok(Some(first.end)) };
        let mut wait = wait;
        let mut attempt = 0;
        loop {
            attempt += 1;
            if limit > 0 {
                tokio::select! {
                    biased;
                    () = run.control.cancel.cancelled() => return Ok(Some(End::Interrupted)),
                    () = tokio::time::sleep(wait.min(LONGEST_WAIT)) => {}
                }
                wait = wait.saturating_mul(2);
            }
            let items = match changes::resolve(self.part, vec![change.clone()]).await? {
                Ok(items) => items,
                Err(error) => return Ok(Some(End::of_error(&error, &self.part.place))),
            };
            // The last try counts, however it ends.
            let on_stop = if attempt < limit { OnStop::Hold } else { OnStop::Commit };
            match self.work(run, group, &Work::Found(items), &[failed], on_stop).await?.stop {
                None => return Ok(None),
                Some(stop) if attempt >= limit => return Ok(Some(stop.end)),
                Some(_) => {}
            }
        }
    }

    /// Waits for the acknowledgements that are under way.
    pub(super) async fn finish(&mut self) {
        let all = async { while self.acknowledging.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("the source does not take acknowledgements: messages may come again");
        }
    }
}

/// A message that failed is still with the source, which does not take the rejection. What comes after it may be about the same
/// object, so it has to wait: were it applied now, the message would undo it when it comes again.
fn not_rejected(message: &str, error: &Error, place: &Place) -> End {
    let (status, help) = match error.kind() {
        ErrorKind::Unreachable | ErrorKind::Throttled | ErrorKind::OutcomeUnknown => (
            RunStatus::TemporaryError,
            "run the task again when the source is back: the message comes again, and is tried, or rejected, then",
        ),
        _ => (
            RunStatus::PermanentError,
            "see to it that the source takes rejected messages (its dead-letter target must exist, and be open to the account), then \
             run the task again",
        ),
    };
    let text = format!("{message} failed, and could not be rejected: {}", error.full_message());
    End::Broken(status, Box::new(Diagnostic::error("not-rejected", place, text).with_help(help)))
}

/// Whether a token is the one that is stored.
fn is_stored(run: &mut Run<'_>, part: &Part, token: &Token) -> bool {
    let stored = run.report(part).token.as_ref().and_then(|token| token.after.as_deref());
    stored == Some(&*token_text(token.as_bytes()))
}

/// Why a message is rejected, without anything of its content.
fn reason(error: &ItemError) -> String {
    format!("{}: {}", error.category.as_str(), error.message)
}
