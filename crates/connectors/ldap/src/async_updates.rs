//! Changes as they happen: content synchronization that persists (RFC 4533, 3.4).

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{StreamExt, stream};
use tidelock_connector_api::{
    Acknowledge, AsyncUpdates, BoxStream, Change, Delivery, Error, ErrorKind, Listening, ListeningStatus, Result, Token,
    async_trait,
};
use tokio::time::timeout;

use crate::client::{Lease, Pool, is_passing};
use crate::connector::Ldap;
use crate::error::{code, not_ldap, silent};
use crate::live_sync::below::Below;
use crate::live_sync::names::MAX_NAMES_OF_COOKIE;
use crate::live_sync::subject::{Changed, Subject, full};
use crate::live_sync::syncrepl::{EntryId, Info, Presence, StateKind, begin, current, info, is_refusal, pass_over, sync_state};
use crate::live_sync::token::expired;
use crate::live_sync::{CookiePosition, Position, Strategy, UNSOUND_ON_389, strategy};
use crate::message::{Message, answer};

/// After how much silence the server is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(60);

/// How many changes of the refresh stage are delivered at once.
const BATCH: usize = 500;

/// How long is waited at most between two tries to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl AsyncUpdates for Ldap {
    /// The deliveries after the last one that was settled in this process; without one, from now on.
    fn deliveries(&self) -> BoxStream<'_, Result<Delivery>> {
        self.deliveries_after(None)
    }

    /// The first deliveries bring what has changed since the token; the last of them has the token after it. Where the server has
    /// forgotten what was deleted, they tell what is left. From then on each change is a delivery with a token of its own. A connection
    /// that breaks is made again.
    fn deliveries_after(&self, token: Option<Token>) -> BoxStream<'_, Result<Delivery>> {
        self.listening.set(Listening::Reconnecting);
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
                        Err(error) => {
                            listener.status.set(Listening::Down);
                            Some((Err(error), None))
                        }
                    }
                })
                .boxed(),
                Err(error) => {
                    self.listening.set(Listening::Down);
                    stream::iter([Err(error)]).boxed()
                }
            })
            .boxed()
    }

    /// Both go by the server's cookie.
    fn continues_live_sync(&self) -> bool {
        true
    }

    fn status(&self) -> Listening {
        self.listening.get()
    }
}

/// One that follows the server.
struct Listener {
    pool: Arc<Pool>,
    subject: Subject,
    status: Arc<ListeningStatus>,
    settled: Arc<Settled>,
    generation: u64,
    /// The position after everything that was delivered: the one to begin again from.
    position: CookiePosition,
    /// The position after everything that was received, once that is delivered. A server may name it before what leads to it.
    next_cookie: Option<Vec<u8>>,
    lease: Option<Lease>,
    stage: Stage,
    /// Whether what is delivered next is the first that a connection brings.
    begins: bool,
    presence: Presence,
    /// What was received and not delivered.
    changes: Vec<Change>,
    /// Entries that are left, as was received and not delivered; none where the server has named none.
    left: Option<Vec<Box<str>>>,
    /// What was received and cannot be read.
    unreadable: Vec<Error>,
    /// What is below entries that have changed.
    below: Below,
    /// Deliveries to be made before anything else.
    outbox: VecDeque<Parcel>,
    /// Since when there is no connection, and how often one was tried since.
    broken: Option<(Instant, u32)>,
}

/// What makes a delivery.
struct Parcel {
    changes: Result<Vec<Change>>,
    left: Option<Vec<Box<str>>>,
    /// Whether there is a position after it.
    position: bool,
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
        let (position, stage) = match token {
            Some(token) => match subject.position(&token)? {
                Position::Cookie(position) => (position, Stage::Refresh),
                Position::Time(_) => return Err(expired("it was made by another strategy")),
            },
            None => (current(&ldap.pool, &subject).await?, Stage::Begin),
        };
        let generation = ldap.settled.begin();
        Ok(Self {
            pool: Arc::clone(&ldap.pool),
            subject,
            status: Arc::clone(&ldap.listening),
            settled: Arc::clone(&ldap.settled),
            generation,
            next_cookie: None,
            lease: None,
            stage,
            begins: false,
            presence: Presence::default(),
            changes: Vec::new(),
            left: None,
            unreadable: Vec::new(),
            below: below(&position),
            position,
            outbox: VecDeque::new(),
            broken: None,
        })
    }

    /// The next delivery. A connection that breaks is made again, for as long as is configured.
    async fn next(&mut self) -> Result<Delivery> {
        if self.stage == Stage::Begin {
            self.stage = Stage::Refresh;
            return Ok(self.wrap(Parcel { changes: Ok(Vec::new()), left: None, position: true }));
        }
        loop {
            let error = match self.follow().await {
                Ok(delivery) => {
                    self.broken = None;
                    self.status.set(Listening::Alive);
                    return Ok(delivery);
                }
                Err(error) => error,
            };
            let (since, tries) = self.broken.unwrap_or((Instant::now(), 0));
            if !is_passing(&error) || since.elapsed() >= self.pool.config().reconnect_timeout {
                return Err(error);
            }
            tracing::warn!(error = error.full_message(), tries, "the connection to the directory is lost");
            self.status.set(Listening::Reconnecting);
            self.broken = Some((since, tries.saturating_add(1)));
            // What was received and not delivered comes again.
            self.lease = None;
            self.next_cookie = None;
            self.changes.clear();
            self.left = None;
            self.unreadable.clear();
            self.below = below(&self.position);
            self.stage = Stage::Refresh;
            tokio::time::sleep(wait(tries)).await;
        }
    }

    async fn follow(&mut self) -> Result<Delivery> {
        loop {
            if let Some(parcel) = self.outbox.pop_front() {
                return Ok(self.wrap(parcel));
            }
            // Everything that came before the position must be known; of the refresh stage that is so at its end.
            if self.stage == Stage::Persist && !self.below.is_empty() {
                let mut found = Vec::new();
                let all = self.below.fill(&self.pool, &mut self.subject, &mut found).await?;
                self.add(found);
                if all || self.received() >= BATCH {
                    self.send(all);
                }
                continue;
            }
            let mut lease = match self.lease.take() {
                Some(lease) => lease,
                None => {
                    (self.begins, self.presence) = (true, Presence::default());
                    begin(&self.pool, &self.subject, Some(&self.position.cookie), true).await?
                }
            };
            let message = match self.stage {
                Stage::Persist => hear(&mut lease, self.pool.config().timeout).await?,
                _ => lease.next(Some(self.pool.config().read_timeout)).await?,
            };
            if message.tag == answer::DONE {
                lease.ended();
                return Err(self.ended(&message));
            }
            let is_position = self.take(&message).await;
            self.lease = Some(lease);
            let is_position = is_position?;
            if self.stage == Stage::Persist && !self.below.is_empty() {
                continue;
            }
            if is_position || self.received() >= BATCH || !self.unreadable.is_empty() {
                self.send(is_position);
            }
        }
    }

    /// Takes a message. Whether nothing else is before the position after it.
    async fn take(&mut self, message: &Message) -> Result<bool> {
        let server = self.pool.config().server();
        let broken = |_| not_ldap(&server);
        match message.tag {
            answer::ENTRY => {
                let state = sync_state(message).map_err(broken)?.ok_or_else(|| not_ldap(&server))?;
                self.presence.name();
                match state.kind {
                    StateKind::Present => self.present(&[state.id])?,
                    StateKind::Deleted => self.gone(vec![state.id]).await?,
                    StateKind::Changed => {
                        self.below.look(&self.pool, &self.subject, message).await?;
                        let changed = match self.stage {
                            Stage::Persist => self.subject.read(&self.pool, message).await?,
                            // Several changes of an entry may have gathered, of which only the last one is named after somebody.
                            Stage::Begin | Stage::Refresh => self.subject.make(&self.pool, message).await?,
                        };
                        match changed {
                            Changed::Object(object) => {
                                self.subject.check(&object, state.id)?;
                                self.changes.push(full(object));
                            }
                            Changed::Failed(error) => self.unreadable.push(error),
                            Changed::Left => self.changes.push(self.subject.deleted(self.subject.called(state.id))),
                            Changed::Ignored | Changed::Foreign => self.leave_out(state.id),
                        }
                    }
                }
                self.keep(state.cookie);
                Ok(self.stage == Stage::Persist)
            }
            answer::INTERMEDIATE => match info(message).map_err(broken)? {
                Some(Info::NewCookie(cookie)) => {
                    self.keep(Some(cookie));
                    Ok(self.stage == Stage::Persist)
                }
                Some(Info::Identifiers { deleted, cookie, ids }) => {
                    self.presence.name();
                    if deleted {
                        self.gone(ids).await?
                    } else {
                        self.present(&ids)?
                    }
                    self.keep(cookie);
                    Ok(self.stage == Stage::Persist)
                }
                Some(Info::PhaseEnd { present, done, cookie }) => {
                    self.keep(cookie);
                    self.presence.end_phase(present);
                    if done {
                        let moved = self.next_cookie.as_ref().is_some_and(|next| *next != self.position.cookie);
                        if let Some(last) = self.presence.end(&self.pool, &self.subject, true, moved).await? {
                            self.left.get_or_insert_default().extend(last);
                            self.below.names_mut().forget_unmet();
                        }
                        self.stage = Stage::Persist;
                    }
                    Ok(done)
                }
                None => Ok(false),
            },
            answer::REFERENCE => pass_over(&self.pool).map(|()| false),
            _ => Err(not_ldap(&server)),
        }
    }

    /// Entries are there, and as they were.
    fn present(&mut self, ids: &[EntryId]) -> Result<()> {
        if self.stage == Stage::Persist {
            let message = format!("{} names entries that are left where only changes are to come", self.pool.config().server());
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        let called = self.presence.say(&self.subject, ids);
        self.below.names_mut().meet(&called);
        self.left.get_or_insert_default().extend(called);
        Ok(())
    }

    /// An entry is there, and its change is left out.
    fn leave_out(&mut self, id: EntryId) {
        if self.stage == Stage::Refresh {
            self.presence.leave_out(id);
        }
    }

    async fn gone(&mut self, ids: Vec<EntryId>) -> Result<()> {
        let changes = self.subject.gone(&self.pool, ids, &mut self.below).await?;
        self.add(changes);
        Ok(())
    }

    fn add(&mut self, changes: Vec<Result<Change>>) {
        for change in changes {
            match change {
                Ok(change) => self.changes.push(change),
                Err(error) => self.unreadable.push(error),
            }
        }
    }

    /// How much was received and not delivered.
    fn received(&self) -> usize {
        self.changes.len() + self.left.as_ref().map_or(0, Vec::len)
    }

    /// Sends what was received. What cannot be read is told of in a delivery of its own.
    fn send(&mut self, position: bool) {
        let (changes, left) = (mem::take(&mut self.changes), self.left.take());
        if !changes.is_empty() || left.is_some() || self.unreadable.is_empty() {
            self.outbox.push_back(Parcel { changes: Ok(changes), left, position: false });
        }
        let unreadable = self.unreadable.drain(..).map(|error| Parcel { changes: Err(error), left: None, position: false });
        self.outbox.extend(unreadable);
        if let Some(last) = self.outbox.back_mut() {
            last.position = position;
        }
    }

    fn wrap(&mut self, parcel: Parcel) -> Delivery {
        let Parcel { changes, left, position } = parcel;
        let token = position.then(|| {
            self.position.cookie = self.next_cookie.take().unwrap_or(mem::take(&mut self.position.cookie));
            self.position.names = self.below.names().remembered();
            self.subject.token(&Position::Cookie(self.position.clone()))
        });
        let number = self.settled.deliver(self.generation, token.clone());
        let acknowledge = Settle { settled: Arc::clone(&self.settled), generation: self.generation, number };
        let mut delivery = Delivery::new(None, changes, Box::new(acknowledge));
        delivery.begins = mem::take(&mut self.begins);
        delivery.size = left.iter().flatten().map(|identifier| identifier.len()).sum();
        (delivery.present, delivery.token) = (left, token);
        delivery
    }

    fn keep(&mut self, cookie: Option<Vec<u8>>) {
        if let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) {
            self.next_cookie = Some(cookie);
        }
    }

    /// The server has ended what should have no end.
    fn ended(&self, message: &Message) -> Error {
        match message.outcome() {
            // Once it has brought us up to date, it says no more by that than that it has to do so again.
            Ok(outcome) if outcome.code == code::REFRESH_REQUIRED && self.stage == Stage::Persist => {
                Error::unreachable(format!("the server stopped telling changes: {}", outcome.describe()))
            }
            Ok(outcome) if is_refusal(&outcome) => expired(&outcome.describe()),
            Ok(outcome) if outcome.is_success() => Error::unreachable("the server stopped telling changes"),
            Ok(outcome) => outcome.error("cannot follow the changes"),
            Err(_) => not_ldap(&self.pool.config().server()),
        }
    }
}

/// What is below entries that are renamed after a position.
fn below(position: &CookiePosition) -> Below {
    Below::new(Arc::clone(&position.names), MAX_NAMES_OF_COOKIE)
}

/// How long to wait after so many tries: twice as long each time, and not quite, so that many listeners do not all come at once.
fn wait(tries: u32) -> Duration {
    let full = Duration::from_millis(100 << tries.min(10)).min(LONGEST_WAIT);
    // The clock's small digits are as good as chance.
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    full.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
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
