//! Changes as they happen: content synchronization that persists (RFC 4533, 3.4).

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tidelock_connector_api::{Acknowledge, AsyncUpdates, BoxStream, Change, Delivery, Error, Result, Token, async_trait};
use tokio::time::timeout;

use crate::client::{Lease, Pool, backoff, is_passing};
use crate::connector::Ldap;
use crate::error::{not_ldap, silent};
use crate::live_sync::subject::{Changed, Subject, full};
use crate::live_sync::syncrepl::{Info, StateKind, begin, current, info, is_refusal, sync_state};
use crate::live_sync::token::expired;
use crate::live_sync::{Position, Strategy, UNSOUND_ON_389, strategy};
use crate::message::{Message, answer};

/// After how much silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// How many changes of the refresh stage are delivered at once.
const BATCH: usize = 500;

impl AsyncUpdates for Ldap {
    /// The deliveries after the last one that was settled in this process; without one, from now on.
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        self.deliveries_after(None)
    }

    /// The first deliveries bring what has changed since the token; the last of them has the token after it. From then on
    /// each change is a delivery with a token of its own. A connection that breaks is made again.
    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        let begin = async move {
            let directory = self.directory().await?;
            if strategy(self, &directory).await? != Strategy::Syncrepl {
                let why =
                    if directory.root.is_389() { UNSOUND_ON_389 } else { "it offers no content synchronization (RFC 4533)" };
                return Err(Error::unsupported(format!("the server does not push changes: {why}")));
            }
            let subject = Subject::new(&self.pool, directory, None).await?;
            Listener::new(self, subject, token).await
        };
        stream::once(begin)
            .flat_map(|begun| match begun {
                Ok(listener) => stream::unfold(Some(listener), |listener| async move {
                    let mut listener = listener?;
                    match listener.next().await {
                        Ok(delivery) => Some((Ok(delivery), Some(listener))),
                        Err(error) => Some((Err(error), None)),
                    }
                })
                .boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }
}

/// One that follows the server.
struct Listener {
    pool: Arc<Pool>,
    subject: Subject,
    settled: Arc<Settled>,
    generation: u64,
    /// The position after everything that was received.
    cookie: Vec<u8>,
    lease: Option<Lease>,
    stage: Stage,
    /// What was received and not delivered.
    changes: Vec<Change>,
    /// An error that stands for one of them.
    unreadable: Option<Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The position is to be made known before anything else.
    Begin,
    /// What has changed since is on its way.
    Refresh,
    /// Changes come as they happen.
    Persist,
}

impl Listener {
    async fn new(ldap: &Ldap, subject: Subject, token: Option<Token>) -> Result<Self> {
        let token = token.or_else(|| ldap.settled.position());
        let (cookie, stage) = match token {
            Some(token) => match subject.position(&token)? {
                Position::Cookie(cookie) => (cookie, Stage::Refresh),
                Position::Time(_) => return Err(expired("it was made by another strategy")),
            },
            None => (current(&ldap.pool, &subject).await?, Stage::Begin),
        };
        let generation = ldap.settled.begin();
        Ok(Self {
            pool: Arc::clone(&ldap.pool),
            subject,
            settled: Arc::clone(&ldap.settled),
            generation,
            cookie,
            lease: None,
            stage,
            changes: Vec::new(),
            unreadable: None,
        })
    }

    /// The next delivery.
    async fn next(&mut self) -> Result<Delivery> {
        if self.stage == Stage::Begin {
            self.stage = Stage::Refresh;
            return Ok(self.deliver(true));
        }
        let mut failures = 0;
        loop {
            match self.follow().await {
                Ok(delivery) => return Ok(delivery),
                Err(error) if is_passing(&error) && failures < self.pool.config().attempts => {
                    failures += 1;
                    // What was received of an unfinished refresh comes again.
                    self.lease = None;
                    self.changes.clear();
                    self.unreadable = None;
                    self.stage = Stage::Refresh;
                    tokio::time::sleep(backoff(failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn follow(&mut self) -> Result<Delivery> {
        if self.unreadable.is_some() {
            return Ok(self.deliver(self.stage == Stage::Persist));
        }
        loop {
            let mut lease = match self.lease.take() {
                Some(lease) => lease,
                None => begin(&self.pool, &self.subject, Some(&self.cookie), true).await?,
            };
            let message = match self.stage {
                Stage::Persist => hear(&mut lease, self.pool.config().timeout).await?,
                _ => lease.next(Some(self.pool.config().read_timeout)).await?,
            };
            if message.tag == answer::DONE {
                lease.ended();
                return Err(self.ended(&message));
            }
            let ready = self.take(&message).await;
            self.lease = Some(lease);
            match ready? {
                Ready::No => {}
                Ready::Changes => return Ok(self.deliver(false)),
                Ready::Position => return Ok(self.deliver(true)),
            }
        }
    }

    async fn take(&mut self, message: &Message) -> Result<Ready> {
        let server = self.pool.config().server();
        let broken = |_| not_ldap(&server);
        match message.tag {
            answer::ENTRY => {
                let state = sync_state(message).map_err(broken)?.ok_or_else(|| not_ldap(&server))?;
                let change = match state.kind {
                    StateKind::Present => return Err(forgotten()),
                    StateKind::Deleted => Some(self.subject.deleted(state.identifier)),
                    StateKind::Changed => match self.subject.read(&self.pool, message).await? {
                        Changed::Object(object) => Some(full(object)),
                        Changed::Failed(error) => {
                            self.unreadable = Some(error);
                            None
                        }
                        Changed::Ignored | Changed::Foreign | Changed::Derived => None,
                    },
                };
                self.changes.extend(change);
                self.keep(state.cookie);
                if self.stage == Stage::Persist {
                    return Ok(Ready::Position);
                }
                let full = self.changes.len() >= BATCH || self.unreadable.is_some();
                Ok(if full { Ready::Changes } else { Ready::No })
            }
            answer::INTERMEDIATE => match info(message).map_err(broken)? {
                Some(Info::NewCookie(cookie)) => {
                    self.keep(Some(cookie));
                    Ok(if self.stage == Stage::Persist { Ready::Position } else { Ready::No })
                }
                Some(Info::Identifiers { deleted: true, cookie, identifiers }) => {
                    self.changes.extend(identifiers.into_iter().map(|identifier| self.subject.deleted(identifier)));
                    self.keep(cookie);
                    Ok(if self.stage == Stage::Persist { Ready::Position } else { Ready::No })
                }
                Some(Info::Identifiers { deleted: false, .. } | Info::PhaseEnd { present: true, .. }) => Err(forgotten()),
                Some(Info::PhaseEnd { present: false, done, cookie }) => {
                    self.keep(cookie);
                    if done {
                        self.stage = Stage::Persist;
                    }
                    Ok(if done { Ready::Position } else { Ready::No })
                }
                None => Ok(Ready::No),
            },
            answer::REFERENCE => {
                let message = "a part of the directory is on another server; 'baseContextToSynchronize' must leave it out";
                Err(Error::unsupported(message))
            }
            _ => Err(not_ldap(&server)),
        }
    }

    /// Makes a delivery of what was received. With `position`, nothing else is before the position after it.
    fn deliver(&mut self, position: bool) -> Delivery {
        match self.unreadable.take() {
            Some(error) if self.changes.is_empty() => self.wrap(Err(error), position),
            // What cannot be read is told of in a delivery of its own.
            unreadable => {
                let last = unreadable.is_none();
                self.unreadable = unreadable;
                let changes = mem::take(&mut self.changes);
                self.wrap(Ok(changes), position && last)
            }
        }
    }

    fn wrap(&self, changes: Result<Vec<Change>>, position: bool) -> Delivery {
        let token = position.then(|| self.subject.token(&Position::Cookie(self.cookie.clone())));
        let number = self.settled.deliver(self.generation, token.clone());
        let acknowledge = Settle { settled: Arc::clone(&self.settled), generation: self.generation, number };
        let delivery = Delivery::new(None, changes, Box::new(acknowledge));
        match token {
            Some(token) => delivery.with_token(token),
            None => delivery,
        }
    }

    fn keep(&mut self, cookie: Option<Vec<u8>>) {
        if let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) {
            self.cookie = cookie;
        }
    }

    /// The server has ended what should have no end.
    fn ended(&self, message: &Message) -> Error {
        match message.outcome() {
            Ok(outcome) if is_refusal(&outcome) => expired(&outcome.describe()),
            Ok(outcome) if outcome.is_success() => Error::unreachable("the server stopped telling changes"),
            Ok(outcome) => outcome.error("cannot follow the changes"),
            Err(_) => not_ldap(&self.pool.config().server()),
        }
    }
}

/// Whether there is something to deliver.
enum Ready {
    No,
    /// Changes, in the middle of a refresh.
    Changes,
    /// Everything up to a position.
    Position,
}

/// The next message, however long it takes. Where nothing comes for long, the server is asked whether it is still there.
async fn hear(lease: &mut Lease, patience: Duration) -> Result<Message> {
    loop {
        if let Ok(message) = timeout(SILENCE, lease.next(None)).await {
            return message;
        }
        let asked = Instant::now();
        lease.knock().await?;
        if let Ok(message) = timeout(patience, lease.next(None)).await {
            return message;
        }
        if lease.last_heard().is_none_or(|heard| heard < asked) {
            return Err(silent(lease.server(), patience));
        }
    }
}

/// The server tells what is left instead of what is gone, which is for a refresh to be compared with.
fn forgotten() -> Error {
    expired("the server has forgotten which entries were deleted since; live synchronization or a reconciliation finds out")
}

/// How far deliveries are settled, for listeners that do not say where they come in.
#[derive(Default)]
pub(crate) struct Settled(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Which listener it is about: the last one.
    generation: u64,
    next: u64,
    /// The deliveries that something before them, or themselves, keeps from being behind us.
    open: BTreeMap<u64, (Option<Token>, bool)>,
    position: Option<Token>,
}

impl Settled {
    /// The position after which nothing is settled.
    fn position(&self) -> Option<Token> {
        self.lock().position.clone()
    }

    fn begin(&self) -> u64 {
        let mut progress = self.lock();
        progress.generation += 1;
        progress.open.clear();
        progress.generation
    }

    fn deliver(&self, generation: u64, token: Option<Token>) -> u64 {
        let mut progress = self.lock();
        progress.next += 1;
        let number = progress.next;
        if generation == progress.generation {
            progress.open.insert(number, (token, false));
        }
        number
    }

    fn settle(&self, generation: u64, number: u64) {
        let mut progress = self.lock();
        if generation != progress.generation {
            return;
        }
        if let Some((_, settled)) = progress.open.get_mut(&number) {
            *settled = true;
        }
        while let Some(first) = progress.open.first_entry().filter(|first| first.get().1) {
            if let (Some(token), _) = first.remove() {
                progress.position = Some(token);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // It is whole after every step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settles a delivery. The server keeps no account of it: the position is ours to keep.
struct Settle {
    settled: Arc<Settled>,
    generation: u64,
    number: u64,
}

#[async_trait]
impl Acknowledge for Settle {
    async fn acknowledge(self: Box<Self>) -> Result<()> {
        self.settled.settle(self.generation, self.number);
        Ok(())
    }

    async fn reject(self: Box<Self>, _reason: &str) -> Result<()> {
        self.settled.settle(self.generation, self.number);
        Ok(())
    }
}
