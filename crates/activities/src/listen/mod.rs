//! Asynchronous update: changes as the resource sends them.
//!
//! Messages are taken over in the order in which they arrive. What has arrived by the time is taken over at once: its effects are
//! committed together with marks that it is, and then it is acknowledged, while the next messages are taken over already.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use tidelock_connector_api::{AsyncUpdates, BoxStream, Delivery, Error, ErrorKind, Listening, MessageId, OnFailure, Token};
use tidelock_model::{Diagnostic, Place};
use tidelock_repo::{Batch, InboxEntry, InboxMarks};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, unconstrained};

use crate::ahead;
use crate::changes::{self, Incoming, Stride};
use crate::error::RunError;
use crate::feed::{Budget, Feed, Held};
use crate::inbox::Inbox;
use crate::live_sync::change;
use crate::part::Part;
use crate::presence::Presence;
use crate::report::{self, Mode, RunStatus, TokenMove};
use crate::run::{Commit, End, OnStop, Run, Worked};
use crate::synchronize::{Decided, ItemError, Stop, Work};
use crate::tokens::{Following, token_text};
use crate::watermark::Watermark;

/// How many groups of messages are acknowledged at the same time, while further ones are taken over.
const GROUPS: usize = 8;

/// How long the end of listening waits for the last acknowledgements. Messages that are not acknowledged come again, and are
/// recognized.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a source may take until it is there, where listening is to end when nothing arrives.
const FIRST_CONNECTION: Duration = Duration::from_secs(30);

/// How often it is looked whether it is there.
const LOOK: Duration = Duration::from_millis(20);

/// How many messages are read ahead at once.
const AT_ONCE: usize = 500;

/// The longest wait before a message is tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes the messages have at most that are with us, and not taken over. Their changes, as we keep them, take a few times as much.
const BYTES_AHEAD: usize = 16 << 20;

/// What the reader sends.
enum Arrived {
    /// A message, with its changes.
    Message(Delivery, Vec<Incoming>, Held),
    /// The source broke off.
    Failed(Error),
}

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
    let mut feed = Feed::start(part.chunk, |send| async move { read(&reader, token, send).await });
    let mut listener = Listener {
        part,
        following,
        inbox,
        on_failure: source.on_failure(),
        settles: part.mode == Mode::Full,
        acknowledging: JoinSet::new(),
        stride: Stride::default(),
        under_way: None,
        presence: Presence::begin(part),
        kept: Vec::new(),
    };
    let mut quiet = Quiet::new(run.control.until_idle);
    let (mut waiting, mut closed) = (Vec::new(), false);
    let end = loop {
        if listener.has_enough(&waiting) || (closed && !waiting.is_empty()) {
            if let Some(end) = listener.take(run, std::mem::take(&mut waiting)).await? {
                break end;
            }
            quiet.broken();
        }
        let is_under_way = listener.under_way.is_some();
        if closed && !is_under_way {
            break closed_end(source.status(), &part.place);
        }
        tokio::select! {
            biased;
            () = run.control.cancel.cancelled() => break End::Interrupted,
            () = listener.ends(), if is_under_way => {
                if let Some(end) = listener.land(run).await?.end() {
                    break end;
                }
                quiet.broken();
            }
            arrived = feed.next(part.chunk - waiting.len()), if !closed => {
                closed = arrived.is_empty();
                waiting.extend(arrived);
            }
            () = quiet.is_long(source), if !is_under_way => break idle_end(source.status(), &part.place),
        }
    };
    // What is under way is committed, whatever happens here: it is as well to know of it.
    let end = listener.land(run).await?.end().unwrap_or(end);
    listener.kept.extend(waiting.into_iter().filter_map(|arrived| match arrived {
        Arrived::Message(delivery, ..) => Some(delivery),
        Arrived::Failed(_) => None,
    }));
    // As it was until we let go of it.
    run.report(part).listening = Some(source.status().into());
    listener.finish().await;
    feed.stop().await;
    if part.mode != Mode::Full && !listener.kept.is_empty() {
        run.notes.push(kept(listener.kept.len(), part));
    }
    drop(listener);
    Ok(end)
}

/// Reads messages, and checks their changes.
async fn read(part: &Part, token: Option<Token>, send: mpsc::Sender<Arrived>) {
    let Some(source) = part.connector.async_updates() else { return };
    let budget = Budget::new(BYTES_AHEAD);
    let mut stream = source.deliveries_after(token);
    let mut over = None;
    loop {
        let deliveries = next(&mut stream, &budget, &mut over, part.chunk.min(AT_ONCE)).await;
        if deliveries.is_empty() {
            return;
        }
        let mut arrived: Vec<Arrived> = deliveries.into_iter().map(|(delivery, held)| take(part, delivery, held)).collect();
        let changes = arrived.iter_mut().flat_map(|arrived| match arrived {
            Arrived::Message(_, changes, _) => changes.as_mut_slice(),
            Arrived::Failed(_) => &mut [],
        });
        if let Err(error) = ahead::read(part, changes).await {
            // Who reads it in its turn will hear of it.
            tracing::debug!(%error, "nothing was read ahead");
        }
        for arrived in arrived {
            let is_last = matches!(arrived, Arrived::Failed(_));
            // Nobody listening is nobody's loss: what is not settled comes again.
            if send.send(arrived).await.is_err() || is_last {
                return;
            }
        }
    }
}

/// The messages that there are by now, so many at most, and no more bytes than may be in memory; waits only where there is none. `over` is
/// the one that was too much.
async fn next(
    stream: &mut BoxStream<'_, Result<Delivery, Error>>,
    budget: &Budget,
    over: &mut Option<Result<Delivery, Error>>,
    most: usize,
) -> Vec<(Result<Delivery, Error>, Held)> {
    let size = |delivery: &Result<Delivery, Error>| delivery.as_ref().map_or(0, |delivery| delivery.size);
    let mut some = Vec::new();
    let first = match over.take() {
        Some(first) => Some(first),
        None => stream.next().await,
    };
    let Some(first) = first else { return some };
    let held = budget.hold(size(&first)).await;
    some.push((first, held));
    while some.len() < most
        && let Some(Some(delivery)) = unconstrained(stream.next()).now_or_never()
    {
        match unconstrained(budget.hold(size(&delivery))).now_or_never() {
            Some(held) => some.push((delivery, held)),
            None => {
                *over = Some(delivery);
                break;
            }
        }
    }
    some
}

/// Checks the changes of a message.
fn take(part: &Part, delivery: Result<Delivery, Error>, held: Held) -> Arrived {
    match delivery {
        Ok(mut delivery) => {
            let changes = match std::mem::replace(&mut delivery.changes, Ok(Vec::new())) {
                Ok(changes) => changes.into_iter().map(|change| changes::take(part, change)).collect(),
                Err(error) => vec![changes::failed(&named(&delivery), None, error.kind().into(), error.full_message())],
            };
            Arrived::Message(delivery, changes, held)
        }
        Err(error) => Arrived::Failed(error),
    }
}

/// What people call a message: nothing of its content.
fn named(delivery: &Delivery) -> String {
    match (&delivery.id, &delivery.name) {
        (Some(id), _) => format!("message {}", id.0),
        (None, Some(name)) => format!("a message without an identity: {name}"),
        (None, None) => "a message without an identity".to_owned(),
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

/// Somebody who takes messages over.
struct Listener<'a> {
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

/// Changes of which it has been found out what became of their objects.
struct Resolved {
    /// The number of the message of each.
    owners: Vec<usize>,
    work: Work,
    /// The changes themselves, where what fails is tried again: it is to be found out anew then.
    changes: Option<Vec<Incoming>>,
}

/// What has become of what was under way.
enum Landing {
    /// It is committed, as it was decided; or there was nothing.
    Committed,
    /// It is committed, in another way.
    Changed,
    /// It could not be, which is the end.
    Ended(End),
}

/// Messages that have arrived together, all different.
#[derive(Default)]
struct Group {
    messages: Vec<Message>,
    identities: HashSet<MessageId>,
    watermark: Watermark,
    /// The changes that are to be taken over, each with the number of its message.
    pending: VecDeque<(usize, Incoming)>,
    /// What they have of the budget, until all of them are taken over.
    held: Vec<Held>,
}

/// A message, until it is settled.
struct Message {
    delivery: Option<Delivery>,
    /// How many of its changes were settled when it arrived, or have been since.
    settled: u32,
}

impl Landing {
    /// The end of the activity, if this is one.
    fn end(self) -> Option<End> {
        match self {
            Self::Committed | Self::Changed => None,
            Self::Ended(end) => Some(end),
        }
    }
}

impl Listener<'_> {
    /// Takes over what has arrived. Gives the end, if that is among it, or if a failure is one.
    async fn take(&mut self, run: &mut Run<'_>, arrived: Vec<Arrived>) -> Result<Option<End>, RunError> {
        let mut group = Group::default();
        for one in arrived {
            match one {
                Arrived::Message(delivery, changes, held) => {
                    // A message that comes again has to see what became of it before. Where the source begins, and where it says who
                    // is left, everything before has to be taken over.
                    let is_again = delivery.id.as_ref().is_some_and(|id| group.has(id) || self.is_under_way(id));
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
                    group.add(delivery, changes, settled);
                    group.held.push(held);
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
        // What is to be decided meanwhile is decided meanwhile.
        let mut whole = None;
        if self.under_way.is_some() {
            match self.decide_whole(run, &mut group).await? {
                Ok(decided) => whole = decided,
                Err(end) => {
                    self.kept.extend(group.into_deliveries());
                    return Ok(Some(end));
                }
            }
        }
        match self.land(run).await? {
            Landing::Committed => {}
            Landing::Changed => {
                if let Some((resolved, _)) = whole.take() {
                    group.put_back(resolved, 0);
                }
                group.pending.iter_mut().for_each(|(_, change)| change.forget());
            }
            Landing::Ended(end) => {
                self.kept.extend(group.into_deliveries());
                return Ok(Some(end));
            }
        }
        if whole.is_none() {
            match self.decide_whole(run, &mut group).await? {
                Ok(decided) => whole = decided,
                Err(end) => {
                    self.kept.extend(group.into_deliveries());
                    return Ok(Some(end));
                }
            }
        }
        let Some((resolved, mut decided)) = whole else { return self.take_apart(run, group).await };
        self.mark(&group, &resolved.owners, &mut decided.batch);
        let commit = run.begin_commit(self.part, decided);
        self.under_way = Some(UnderWay { commit, group, resolved });
        Ok(None)
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
        let mut group = Group { held: vec![held], ..Group::default() };
        let presence = group.open();
        group.add(delivery, changes, settled);
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

    /// Whether what has arrived is to be taken over now. While something is being committed, it should be as much at least: else
    /// commits would become ever smaller.
    fn has_enough(&self, waiting: &[Arrived]) -> bool {
        let least = self.under_way.as_ref().map_or(1, |under_way| under_way.group.messages.len());
        waiting.len() >= least.clamp(1, self.part.chunk)
    }

    /// Whether a message is being committed.
    fn is_under_way(&self, id: &MessageId) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.group.has(id))
    }

    /// Waits until what is under way is committed. There must be something.
    ///
    /// # Cancellation
    /// It goes on.
    async fn ends(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            under_way.commit.ends().await;
        }
    }

    /// Settles what was under way, once it is committed. What could not be committed is taken apart.
    async fn land(&mut self, run: &mut Run<'_>) -> Result<Landing, RunError> {
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
        group.pending.iter_mut().for_each(|(_, change)| change.forget());
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
    async fn finish(&mut self) {
        let all = async { while self.acknowledging.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("the source does not take acknowledgements: messages may come again");
        }
    }
}

impl Group {
    /// Whether a message is among these.
    fn has(&self, id: &MessageId) -> bool {
        self.identities.contains(id)
    }

    /// Adds a message, of which so many changes are settled already.
    fn add(&mut self, delivery: Delivery, changes: Vec<Incoming>, settled: u32) {
        let done = usize::try_from(settled).unwrap_or(usize::MAX);
        let number = self.watermark.add(changes.len().saturating_sub(done), delivery.token.clone());
        self.pending.extend(changes.into_iter().skip(done).map(|change| (number, change)));
        self.identities.extend(delivery.id.clone());
        self.messages.push(Message { delivery: Some(delivery), settled });
    }

    /// Adds something that is to be done before any message that is added later is settled. Gives its number.
    fn open(&mut self) -> usize {
        self.messages.push(Message { delivery: None, settled: 0 });
        self.watermark.add(1, None)
    }

    /// The marks of messages of which one change each is settled.
    fn marks(&self, owners: &[usize]) -> Vec<InboxEntry> {
        let mut marks = Vec::new();
        for same in owners.chunk_by(|a, b| a == b) {
            let number = same[0];
            let Some(message) = self.messages.get(number) else { continue };
            let Some(id) = message.delivery.as_ref().and_then(|delivery| delivery.id.clone()) else { continue };
            marks.push(if self.watermark.open_after(number, same) == 0 {
                InboxEntry::settled(id.0)
            } else {
                let more = u32::try_from(same.len()).unwrap_or(u32::MAX);
                InboxEntry { message: id.0, changes: message.settled.saturating_add(more).min(InboxEntry::ALL - 1) }
            });
        }
        marks
    }

    fn settle(&mut self, owners: &[usize]) {
        for &number in owners {
            self.watermark.settle(number);
            if let Some(message) = self.messages.get_mut(number) {
                message.settled = message.settled.saturating_add(1).min(InboxEntry::ALL - 1);
            }
        }
    }

    /// Changes that were not processed, from this one on, come before all others again.
    fn put_back(&mut self, resolved: Resolved, from: usize) {
        let Resolved { owners, work, changes } = resolved;
        let changes: Vec<Incoming> = match changes {
            Some(changes) => changes.into_iter().skip(from).collect(),
            None => changes::again(work.into_found(), from).collect(),
        };
        owners.into_iter().skip(from).zip(changes).rev().for_each(|one| self.pending.push_front(one));
    }

    /// The messages that are not settled.
    fn into_deliveries(self) -> impl Iterator<Item = Delivery> {
        self.messages.into_iter().filter_map(|message| message.delivery)
    }

    /// The messages of which nothing is left, nor of those before them; each given once.
    fn take_settled(&mut self) -> Vec<Delivery> {
        let watermark = &self.watermark;
        let settled = self.messages.iter_mut().enumerate().take_while(|(number, _)| watermark.open_after(*number, &[]) == 0);
        settled.filter_map(|(_, message)| message.delivery.take()).collect()
    }
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

impl From<Listening> for report::Listening {
    fn from(status: Listening) -> Self {
        match status {
            Listening::Alive => Self::Alive,
            Listening::Reconnecting => Self::Reconnecting,
            Listening::Down => Self::Down,
        }
    }
}

#[cfg(test)]
mod tests {
    use tidelock_connector_api::{Acknowledge, Result, async_trait};

    use super::*;

    struct Nothing;

    #[async_trait]
    impl Acknowledge for Nothing {
        async fn acknowledge(self: Box<Self>) -> Result<()> {
            Ok(())
        }

        async fn reject(self: Box<Self>, _reason: &str) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_message_is_called_by_its_identity_or_where_it_can_be_found() {
        let delivery = |id: Option<&str>| Delivery::new(id.map(|id| MessageId(id.into())), Ok(Vec::new()), Box::new(Nothing));
        assert_eq!(named(&delivery(Some("17")).with_name("delivery 3")), "message 17");
        assert_eq!(named(&delivery(None).with_name("delivery 3")), "a message without an identity: delivery 3");
        assert_eq!(named(&delivery(None)), "a message without an identity");
    }
}
