//! Content synchronization (RFC 4533): the refresh stage, in both of its phases.

use std::sync::Arc;

use tidelock_connector_api::{Error, ErrorKind, Result, SyncEvent};

use super::Position;
use super::subject::{Changed, Subject, full, nothing_left};
use super::token::expired;
use crate::ber::{Malformed, Reader, tag};
use crate::client::{Lease, Pool, backoff, is_passing};
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::message::{Control, ExtendedAnswer, Message, Outcome, Request, Scope, Search, answer, oid};
use crate::root_dse::RootDse;
use crate::value::uuid_text;

/// How many events are handed over at once at most.
const BATCH: usize = 512;

/// What the server says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncState {
    pub(crate) kind: StateKind,
    /// The entry's `entryUUID`.
    pub(crate) identifier: Box<str>,
    pub(crate) cookie: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// It is there, and as it was.
    Present,
    /// It is there, and may be new or changed.
    Changed,
    /// It is gone.
    Deleted,
}

/// What the server says between entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Info {
    NewCookie(Vec<u8>),
    /// A phase has ended; with `done`, the refresh stage as well.
    PhaseEnd {
        present: bool,
        done: bool,
        cookie: Option<Vec<u8>>,
    },
    /// Entries that are gone, or that are there and as they were.
    Identifiers {
        deleted: bool,
        cookie: Option<Vec<u8>>,
        identifiers: Vec<Box<str>>,
    },
}

/// What ends a refresh.
struct Done {
    cookie: Option<Vec<u8>>,
    /// What was not named is *not* gone.
    refresh_deletes: bool,
}

/// A refresh on its way.
pub(crate) struct Refresh {
    pool: Arc<Pool>,
    subject: Subject,
    /// The position after what was given.
    cookie: Vec<u8>,
    new_cookie: bool,
    lease: Option<Lease>,
    /// Entries are there whose changes are left out: they must not seem to be gone.
    left_out: Vec<Box<str>>,
    /// Whether anything was named.
    named: bool,
    /// Whether some entry was said to be there and as it was.
    present: bool,
    /// Whether the server said that the present phase is over.
    present_ended: bool,
}

impl Refresh {
    pub(super) fn new(pool: Arc<Pool>, subject: Subject, cookie: Vec<u8>) -> Self {
        Self {
            pool,
            subject,
            cookie,
            new_cookie: false,
            lease: None,
            left_out: Vec::new(),
            named: false,
            present: false,
            present_ended: false,
        }
    }

    /// Adds the next events, as many as are at hand. Whether they are the last.
    pub(super) async fn fill(&mut self, events: &mut Vec<Result<SyncEvent>>) -> Result<bool> {
        let patience = Some(self.pool.config().read_timeout);
        let (mut lease, mut message) = match self.lease.take() {
            Some(mut lease) => {
                let message = lease.next(patience).await?;
                (lease, message)
            }
            None => {
                let mut lease = begin(&self.pool, &self.subject, Some(&self.cookie), false).await?;
                match lease.next(patience).await {
                    // Nothing has come yet: a connection that was kept may have been dead, and another one may do.
                    Err(error) if is_passing(&error) => {
                        lease = begin(&self.pool, &self.subject, Some(&self.cookie), false).await?;
                        let message = lease.next(patience).await?;
                        (lease, message)
                    }
                    message => (lease, message?),
                }
            }
        };
        loop {
            if message.tag == answer::DONE {
                lease.ended();
                self.end(&message, events).await?;
                return Ok(true);
            }
            self.take(message, &lease, events).await?;
            match if events.len() < BATCH { lease.next_at_hand()? } else { None } {
                Some(next) => message = next,
                None => {
                    self.lease = Some(lease);
                    return Ok(false);
                }
            }
        }
    }

    async fn take(&mut self, message: Message, lease: &Lease, events: &mut Vec<Result<SyncEvent>>) -> Result<()> {
        match message.tag {
            answer::ENTRY => {
                let state =
                    sync_state(&message).map_err(|_| not_ldap(lease.server()))?.ok_or_else(|| not_ldap(lease.server()))?;
                self.named = true;
                self.keep(state.cookie);
                match state.kind {
                    StateKind::Present => self.present(vec![state.identifier], events),
                    StateKind::Deleted => events.push(Ok(SyncEvent::Change(self.subject.deleted(state.identifier), None))),
                    StateKind::Changed => match self.subject.read(&self.pool, &message).await? {
                        Changed::Object(object) => events.push(Ok(SyncEvent::Change(full(object), None))),
                        Changed::Failed(error) => events.push(Err(error)),
                        Changed::Derived => {
                            events.push(Ok(SyncEvent::Change(self.subject.deleted(state.identifier), None)));
                        }
                        Changed::Ignored | Changed::Foreign => self.left_out.push(state.identifier),
                    },
                }
            }
            answer::INTERMEDIATE => match info(&message).map_err(|_| not_ldap(lease.server()))? {
                Some(Info::NewCookie(cookie)) => self.keep(Some(cookie)),
                Some(Info::PhaseEnd { present, cookie, .. }) => {
                    self.keep(cookie);
                    self.present_ended |= present;
                }
                Some(Info::Identifiers { deleted: true, cookie, identifiers }) => {
                    self.named = true;
                    self.keep(cookie);
                    events.extend(
                        identifiers.into_iter().map(|identifier| Ok(SyncEvent::Change(self.subject.deleted(identifier), None))),
                    );
                }
                Some(Info::Identifiers { deleted: false, cookie, identifiers }) => {
                    self.named = true;
                    self.keep(cookie);
                    self.present(identifiers, events);
                }
                None => {}
            },
            answer::REFERENCE => {
                let message = "a part of the directory is on another server; 'baseContextToSynchronize' must leave it out";
                return Err(Error::unsupported(message));
            }
            _ => return Err(not_ldap(lease.server())),
        }
        Ok(())
    }

    fn present(&mut self, identifiers: Vec<Box<str>>, events: &mut Vec<Result<SyncEvent>>) {
        self.present = true;
        events.push(Ok(SyncEvent::Present(identifiers)));
    }

    fn keep(&mut self, cookie: Option<Vec<u8>>) {
        if let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) {
            self.new_cookie |= cookie != self.cookie;
            self.cookie = cookie;
        }
    }

    async fn end(&mut self, message: &Message, events: &mut Vec<Result<SyncEvent>>) -> Result<()> {
        let server = self.pool.config().server();
        let outcome = message.outcome().map_err(|_| not_ldap(&server))?;
        if is_refusal(&outcome) {
            return Err(expired(&outcome.describe()));
        }
        outcome.check("cannot read the changes")?;
        let done = sync_done(message).map_err(|_| not_ldap(&server))?.ok_or_else(|| not_ldap(&server))?;
        if done.cookie.as_ref().is_some_and(Vec::is_empty) {
            return Err(expired("the server does not know the position"));
        }
        self.keep(done.cookie);
        let accounted = !done.refresh_deletes || self.present_ended;
        if self.present && !accounted {
            let message = format!("{server} names entries that are left, and does not say that they are all");
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        // Where nothing has happened, nothing is named: that is not the same as nothing being left.
        if accounted && (self.named || self.new_cookie) {
            if !self.pool.config().allow_empty && !self.subject.is_visible(&self.pool).await? {
                return Err(nothing_left());
            }
            events.push(Ok(SyncEvent::Present(std::mem::take(&mut self.left_out))));
        }
        events.push(Ok(SyncEvent::End(self.subject.token(&Position::Cookie(self.cookie.clone())))));
        Ok(())
    }
}

/// Whether a server will not go on from a position. OpenLDAP is unwilling where it went back in time itself: after a crash, or
/// with an older copy of its data.
pub(crate) const fn is_refusal(outcome: &Outcome) -> bool {
    matches!(outcome.code, code::REFRESH_REQUIRED | code::UNWILLING)
}

/// Whether the entries that concern us are open to content synchronization. OpenLDAP offers it as soon as one of its databases
/// has it, and refuses it for others.
pub(crate) async fn is_offered(pool: &Arc<Pool>, root: &RootDse) -> Result<bool> {
    if !root.has_control(oid::SYNC_REQUEST) {
        return Ok(false);
    }
    let nothing = Filter::Not(Box::new(Filter::anything()));
    let search = Search { filter: nothing, scope: Scope::Sub, ..Search::entry(pool.config().synchronized(), &["1.1"]) };
    let answer = pool.ask(&Request::Search(search), &[Control::sync(None, false)]).await?;
    let outcome = answer.outcome().map_err(|_| not_ldap(&pool.config().server()))?;
    if outcome.code == code::CRITICAL_EXTENSION {
        return Ok(false);
    }
    outcome.check("cannot find out how changes can be followed")?;
    Ok(true)
}

/// The position of this moment.
pub(crate) async fn current(pool: &Arc<Pool>, subject: &Subject) -> Result<Vec<u8>> {
    // The position is the server's, whatever is asked for; so ask for nothing.
    let nothing = Filter::Not(Box::new(Filter::anything()));
    let search = Search { filter: nothing, attributes: vec!["1.1".to_owned()], ..subject.search(pool.config(), &[]) };
    if let Some(cookie) = last_cookie(pool, search).await? {
        return Ok(cookie);
    }
    // Where it is bound to what is asked for, it takes everything, though only by name.
    let search = Search { attributes: vec!["1.1".to_owned()], ..subject.search(pool.config(), &[]) };
    last_cookie(pool, search).await?.ok_or_else(|| {
        let message = format!("{} does not tell a position to go on from", pool.config().server());
        Error::new(ErrorKind::Unexpected, message)
    })
}

async fn last_cookie(pool: &Arc<Pool>, search: Search) -> Result<Option<Vec<u8>>> {
    let mut lease = pool.lease().await?;
    lease.begin(&Request::Search(search), &[Control::sync(None, false)]).await?;
    let mut last = None;
    loop {
        let message = lease.next(Some(pool.config().read_timeout)).await?;
        let broken = |_| not_ldap(&pool.config().server());
        let cookie = match message.tag {
            answer::ENTRY => sync_state(&message).map_err(broken)?.and_then(|state| state.cookie),
            answer::INTERMEDIATE => match info(&message).map_err(broken)? {
                Some(Info::NewCookie(cookie)) => Some(cookie),
                Some(Info::PhaseEnd { cookie, .. } | Info::Identifiers { cookie, .. }) => cookie,
                None => None,
            },
            answer::DONE => {
                lease.ended();
                message.outcome().map_err(broken)?.check("cannot begin to follow the changes")?;
                sync_done(&message).map_err(broken)?.and_then(|done| done.cookie)
            }
            _ => None,
        };
        last = cookie.filter(|cookie| !cookie.is_empty()).or(last);
        if message.tag == answer::DONE {
            return Ok(last);
        }
    }
}

/// Asks for the changes; where the server cannot be reached for a moment, again.
pub(crate) async fn begin(pool: &Arc<Pool>, subject: &Subject, cookie: Option<&[u8]>, persist: bool) -> Result<Lease> {
    let request = Request::Search(subject.search(pool.config(), &[]));
    let controls = [Control::sync(cookie, persist)];
    let mut attempt = 0;
    loop {
        attempt += 1;
        let begun = async {
            let mut lease = if persist { pool.lease_apart().await? } else { pool.lease().await? };
            lease.begin(&request, &controls).await?;
            Ok(lease)
        };
        match begun.await {
            Err(error) if is_passing(&error) && attempt < pool.config().attempts => tokio::time::sleep(backoff(attempt)).await,
            begun => return begun,
        }
    }
}

/// What comes with an entry (RFC 4533, 2.3).
pub(crate) fn sync_state(message: &Message) -> Result<Option<SyncState>, Malformed> {
    let Some(value) = message.control(oid::SYNC_STATE)? else { return Ok(None) };
    let mut value = Reader::new(value).sequence()?;
    let kind = match value.enumerated()? {
        0 => StateKind::Present,
        1 | 2 => StateKind::Changed,
        3 => StateKind::Deleted,
        _ => return Err(Malformed),
    };
    let identifier = uuid_text(value.octets()?).ok_or(Malformed)?;
    let cookie = value.optional(tag::OCTET_STRING)?.map(<[u8]>::to_vec);
    Ok(Some(SyncState { kind, identifier, cookie }))
}

/// What comes with the end (RFC 4533, 2.4).
fn sync_done(message: &Message) -> Result<Option<Done>, Malformed> {
    let Some(value) = message.control(oid::SYNC_DONE)? else { return Ok(None) };
    let mut value = Reader::new(value).sequence()?;
    let cookie = value.optional(tag::OCTET_STRING)?.map(<[u8]>::to_vec);
    Ok(Some(Done { cookie, refresh_deletes: value.boolean_or_false()? }))
}

/// What comes in between (RFC 4533, 2.5). None where it is about something else.
pub(crate) fn info(message: &Message) -> Result<Option<Info>, Malformed> {
    let ExtendedAnswer { name, value } = message.intermediate()?;
    if name != Some(oid::SYNC_INFO.as_bytes()) {
        return Ok(None);
    }
    let (kind, content) = Reader::new(value.ok_or(Malformed)?).element()?;
    const NEW_COOKIE: u8 = tag::context(0);
    const REFRESH_DELETE: u8 = tag::constructed(1);
    const REFRESH_PRESENT: u8 = tag::constructed(2);
    const ID_SET: u8 = tag::constructed(3);
    let mut content_reader = Reader::new(content);
    Ok(Some(match kind {
        NEW_COOKIE => Info::NewCookie(content.to_vec()),
        REFRESH_DELETE | REFRESH_PRESENT => {
            let cookie = content_reader.optional(tag::OCTET_STRING)?.map(<[u8]>::to_vec);
            // Left out, it is true.
            let done = content_reader.is_empty() || content_reader.boolean_or_false()?;
            Info::PhaseEnd { present: kind == REFRESH_PRESENT, done, cookie }
        }
        ID_SET => {
            let cookie = content_reader.optional(tag::OCTET_STRING)?.map(<[u8]>::to_vec);
            let deleted = content_reader.boolean_or_false()?;
            let mut set = Reader::new(content_reader.expect(tag::SET)?);
            let mut identifiers = Vec::new();
            while !set.is_empty() {
                identifiers.push(uuid_text(set.octets()?).ok_or(Malformed)?);
            }
            Info::Identifiers { deleted, cookie, identifiers }
        }
        _ => return Err(Malformed),
    }))
}
