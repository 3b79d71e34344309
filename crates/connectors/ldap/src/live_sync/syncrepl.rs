//! Content synchronization (RFC 4533): the refresh stage, in both of its phases.

use std::sync::Arc;

use tidelock_connector_api::{Change, Error, ErrorKind, Result, SyncEvent, Token};
use tidelock_model::Value;

use super::below::Below;
use super::names::{MAX_NAMES_OF_COOKIE, Names};
use super::subject::{Changed, Subject, full, nothing_left};
use super::token::expired;
use super::{CookiePosition, Position};
use crate::ber::{Malformed, Reader, tag};
use crate::client::{Lease, Pool, backoff, is_passing};
use crate::config::Referrals;
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::message::{Control, ExtendedAnswer, Message, Outcome, Request, Scope, Search, answer, oid};
use crate::root_dse::RootDse;
use crate::search::{elsewhere, entries};
use crate::value::{Form, unique_id_text, uuid_text};

/// How many events are handed over at once at most.
const BATCH: usize = 512;

/// What the server calls an entry by for its whole life: on most, its `entryUUID`.
pub(crate) type EntryId = [u8; 16];

/// Whether a server lets changes be asked for by content synchronization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Given,
    Missing,
    /// It has it, and not for us.
    Refused(String),
    /// It calls entries by something else than we do.
    ByOtherIdentifiers,
}

/// What the server says of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyncState {
    pub(crate) kind: StateKind,
    pub(crate) id: EntryId,
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
        ids: Vec<EntryId>,
    },
}

/// What ends a refresh.
struct Done {
    cookie: Option<Vec<u8>>,
    /// What was not named is *not* gone.
    refresh_deletes: bool,
}

/// What the refresh stage says of entries that it tells no change of: nothing, or, in the present phase, that they are left.
#[derive(Default)]
pub(crate) struct Presence {
    /// Entries are there whose changes are left out: they must not seem to be gone.
    left_out: Vec<EntryId>,
    /// Whether anything was named.
    named: bool,
    /// Whether some entry was said to be there and as it was.
    said: bool,
    /// Whether the server said that the present phase is over.
    ended: bool,
}

impl Presence {
    /// The server names an entry, or several.
    pub(crate) fn name(&mut self) {
        self.named = true;
    }

    /// Entries are there, and as they were. Gives how they are called.
    pub(crate) fn say(&mut self, subject: &Subject, ids: &[EntryId]) -> Vec<Box<str>> {
        self.said = true;
        ids.iter().map(|id| subject.called(*id)).collect()
    }

    /// An entry is there, and its change is left out.
    pub(crate) fn leave_out(&mut self, id: EntryId) {
        self.left_out.push(id);
    }

    /// A phase is over.
    pub(crate) fn end_phase(&mut self, present: bool) {
        self.ended |= present;
    }

    /// The refresh stage is over. Where it accounts for every entry, gives the last ones that are left. `deletes` is whether the server
    /// says at last that it has named all that are gone, `moved` whether its position is another one now.
    pub(crate) async fn end(
        &mut self,
        pool: &Arc<Pool>,
        subject: &Subject,
        deletes: bool,
        moved: bool,
    ) -> Result<Option<Vec<Box<str>>>> {
        let accounts = !deletes || self.ended;
        if self.said && !accounts {
            let server = pool.config().server();
            let message = format!("{server} names entries that are left, and does not say that they are all");
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        // Where nothing has happened, nothing is named: that is not the same as nothing being left.
        if !accounts || !(self.named || moved) {
            return Ok(None);
        }
        if !pool.config().allow_empty && !subject.is_visible(pool).await? {
            return Err(nothing_left());
        }
        Ok(Some(std::mem::take(&mut self.left_out).into_iter().map(|id| subject.called(id)).collect()))
    }
}

/// A refresh on its way.
pub(crate) struct Refresh {
    pool: Arc<Pool>,
    subject: Subject,
    /// The position after what was given.
    cookie: Vec<u8>,
    new_cookie: bool,
    lease: Option<Lease>,
    presence: Presence,
    below: Below,
    /// What comes last, but for the position, once the server has said that it was all.
    last: Option<Vec<SyncEvent>>,
}

impl Refresh {
    pub(super) fn new(pool: Arc<Pool>, subject: Subject, after: CookiePosition) -> Self {
        Self {
            pool,
            subject,
            cookie: after.cookie,
            new_cookie: false,
            lease: None,
            presence: Presence::default(),
            below: Below::new(after.names, MAX_NAMES_OF_COOKIE),
            last: None,
        }
    }

    /// Adds the next events, as many as are at hand. Whether they are the last.
    pub(super) async fn fill(&mut self, events: &mut Vec<Result<SyncEvent>>) -> Result<bool> {
        if self.last.is_some() {
            let mut changes = Vec::new();
            let all = self.below.fill(&self.pool, &mut self.subject, &mut changes).await?;
            give(changes, events);
            if all {
                events.extend(self.last.take().into_iter().flatten().map(Ok));
                events.push(Ok(SyncEvent::End(self.position())));
            }
            return Ok(all);
        }
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
                self.last = Some(self.end(&message).await?);
                return Ok(false);
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
                self.presence.name();
                self.keep(state.cookie);
                match state.kind {
                    StateKind::Present => self.present(&[state.id], events),
                    StateKind::Deleted => self.gone(vec![state.id], events).await?,
                    StateKind::Changed => {
                        self.below.look(&self.pool, &self.subject, &message).await?;
                        match self.subject.make(&self.pool, &message).await? {
                            Changed::Object(object) => {
                                self.subject.check(&object, state.id)?;
                                events.push(Ok(SyncEvent::Change(full(object), None)));
                            }
                            Changed::Failed(error) => events.push(Err(error)),
                            Changed::Left => {
                                let change = self.subject.deleted(self.subject.called(state.id));
                                events.push(Ok(SyncEvent::Change(change, None)));
                            }
                            Changed::Ignored | Changed::Foreign => self.presence.leave_out(state.id),
                        }
                    }
                }
            }
            answer::INTERMEDIATE => match info(&message).map_err(|_| not_ldap(lease.server()))? {
                Some(Info::NewCookie(cookie)) => self.keep(Some(cookie)),
                Some(Info::PhaseEnd { present, cookie, .. }) => {
                    self.keep(cookie);
                    self.presence.end_phase(present);
                }
                Some(Info::Identifiers { deleted, cookie, ids }) => {
                    self.presence.name();
                    self.keep(cookie);
                    if deleted { self.gone(ids, events).await? } else { self.present(&ids, events) }
                }
                None => {}
            },
            answer::REFERENCE => pass_over(&self.pool)?,
            _ => return Err(not_ldap(lease.server())),
        }
        Ok(())
    }

    fn present(&mut self, ids: &[EntryId], events: &mut Vec<Result<SyncEvent>>) {
        let called = self.presence.say(&self.subject, ids);
        self.below.names_mut().meet(&called);
        events.push(Ok(SyncEvent::Present(called)));
    }

    async fn gone(&mut self, ids: Vec<EntryId>, events: &mut Vec<Result<SyncEvent>>) -> Result<()> {
        give(self.subject.gone(&self.pool, ids, &mut self.below).await?, events);
        Ok(())
    }

    fn keep(&mut self, cookie: Option<Vec<u8>>) {
        if let Some(cookie) = cookie.filter(|cookie| !cookie.is_empty()) {
            self.new_cookie |= cookie != self.cookie;
            self.cookie = cookie;
        }
    }

    /// What comes last, but for the position.
    async fn end(&mut self, message: &Message) -> Result<Vec<SyncEvent>> {
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
        let left = self.presence.end(&self.pool, &self.subject, done.refresh_deletes, self.new_cookie).await?;
        if left.is_some() {
            self.below.names_mut().forget_unmet();
        }
        Ok(left.map(SyncEvent::Present).into_iter().collect())
    }

    /// The position after everything.
    fn position(&self) -> Token {
        let position = CookiePosition { cookie: self.cookie.clone(), names: self.below.names().remembered() };
        self.subject.token(&Position::Cookie(position))
    }
}

fn give(changes: Vec<Result<Change>>, events: &mut Vec<Result<SyncEvent>>) {
    events.extend(changes.into_iter().map(|change| change.map(|change| SyncEvent::Change(change, None))));
}

/// A part of the directory is on another server. What is there was never told of, so that it is not gone either.
pub(crate) fn pass_over(pool: &Pool) -> Result<()> {
    match pool.config().referrals {
        Referrals::Throw => Err(elsewhere()),
        Referrals::Ignore => {
            tracing::debug!("a part of the directory is on another server, and is not followed");
            Ok(())
        }
    }
}

/// Whether a server will not go on from a position. OpenLDAP is unwilling where it went back in time itself: after a crash, or
/// with an older copy of its data.
pub(crate) const fn is_refusal(outcome: &Outcome) -> bool {
    matches!(outcome.code, code::REFRESH_REQUIRED | code::UNWILLING)
}

/// Whether the entries that concern us are open to content synchronization, tried out with one of them. OpenLDAP offers it as soon as
/// one of its databases has it, and refuses it for others.
pub(crate) async fn offer(pool: &Arc<Pool>, root: &RootDse, form: Form) -> Result<Offer> {
    let config = pool.config();
    if !root.has_control(oid::SYNC_REQUEST) {
        return Ok(Offer::Missing);
    }
    let search = Search {
        scope: Scope::Sub,
        filter: Filter::Present(config.identifier.to_string()),
        size_limit: 1,
        ..Search::entry(config.synchronized(), &[&config.identifier])
    };
    let found = match entries(pool, &Request::Search(search), &[Control::sync(None, false)]).await {
        Ok((found, _)) => found,
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Offer::Missing),
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(Offer::Refused(error.to_string())),
        Err(error) => return Err(error),
    };
    let broken = |_| not_ldap(&config.server());
    for message in &found {
        let Some(state) = sync_state(message).map_err(broken)? else { continue };
        let values = message.entry().and_then(|entry| entry.values_of(&config.identifier)).map_err(broken)?;
        let value = values.first().and_then(|value| form.read(value).ok());
        let is_same = |text: &str| {
            [uuid_text(&state.id), unique_id_text(&state.id)].iter().flatten().any(|id| id.eq_ignore_ascii_case(text))
        };
        if value.as_ref().and_then(Value::as_str).is_some_and(|text| !is_same(text)) {
            return Ok(Offer::ByOtherIdentifiers);
        }
    }
    Ok(Offer::Given)
}

/// The position of this moment, and what entries are called at it. It takes looking twice: who is renamed in between may be called either.
pub(crate) async fn current(pool: &Arc<Pool>, subject: &Subject) -> Result<CookiePosition> {
    let mut names = Names::read(pool, subject, MAX_NAMES_OF_COOKIE).await?;
    let cookie = current_cookie(pool, subject).await?;
    names.keep_same(&Names::read(pool, subject, MAX_NAMES_OF_COOKIE).await?);
    Ok(CookiePosition { cookie, names: names.remembered() })
}

/// The position of this moment by itself.
pub(crate) async fn current_cookie(pool: &Arc<Pool>, subject: &Subject) -> Result<Vec<u8>> {
    let everything = Search { attributes: vec!["1.1".to_owned()], ..subject.following(pool.config(), &[]) };
    // On OpenLDAP the position is the server's, whatever is asked for; so ask for nothing.
    if subject.directory().root.is_openldap() {
        let search = Search { filter: Filter::Not(Box::new(Filter::anything())), ..everything.clone() };
        if let Some(cookie) = last_cookie(pool, search).await? {
            return Ok(cookie);
        }
    }
    // Where it is bound to what is asked for, it takes everything, though only by name.
    last_cookie(pool, everything).await?.ok_or_else(|| {
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
    let request = Request::Search(subject.following(pool.config(), &[]));
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
    let id = value.octets()?.try_into().map_err(|_| Malformed)?;
    let cookie = value.optional(tag::OCTET_STRING)?.map(<[u8]>::to_vec);
    Ok(Some(SyncState { kind, id, cookie }))
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
            let mut ids = Vec::new();
            while !set.is_empty() {
                ids.push(set.octets()?.try_into().map_err(|_| Malformed)?);
            }
            Info::Identifiers { deleted, cookie, ids }
        }
        _ => return Err(Malformed),
    }))
}
