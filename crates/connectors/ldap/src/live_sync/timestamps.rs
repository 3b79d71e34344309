//! Changes by the time stamps of entries, for servers that offer nothing better.
//!
//! Time is the server's: the latest stamp that was seen, as long as the server's clock has not reached an earlier time: an entry can
//! be stamped by another server whose clock is ahead, and what changes until then would be lost. Where the server does not show its
//! clock, ours stands for it. Stamps are coarse, and entries do not always appear in the order of theirs, so each run begins a little
//! before the end of the last one, and passes over what it has seen.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use tidelock_connector_api::{Completeness, Error, ErrorKind, Result, SyncEvent};

use super::Position;
use super::below::{Below, SUBORDINATES};
use super::names::{MAX_NAMES, Names, Remembered};
use super::subject::{Changed, Subject, full, nothing_left};
use super::token::{TimePosition, digest};
use crate::ber::Malformed;
use crate::client::Pool;
use crate::clock::{now, server_time};
use crate::error::not_ldap;
use crate::filter::Filter;
use crate::message::{Message, Search};
use crate::schema::DN;
use crate::search::Walk;
use crate::value::{parse_time, write_time};

/// How far back each run begins.
const OVERLAP: i64 = 60_000;

/// How many entries a token remembers at most. Beyond that, some are given twice.
const MAX_SEEN: usize = 10_000;

/// A run on its way.
pub(super) struct Scan {
    pool: Arc<Pool>,
    subject: Subject,
    after: TimePosition,
    seen: HashSet<u64>,
    /// What is in reach of the next run's overlap, with its stamps.
    recent: Vec<(i64, u64)>,
    latest: i64,
    clock: Clock,
    below: Below,
    /// Whether anything is left.
    left: bool,
    stage: Stage,
}

enum Stage {
    Begin,
    Changes(Box<Walk>),
    Below,
    Left(Box<Walk>),
}

/// What time it was when a run began.
#[derive(Clone, Copy, Default)]
struct Clock {
    /// By the server's clock, as far as it shows it.
    theirs: i64,
    ours: i64,
}

impl Clock {
    async fn read(pool: &Arc<Pool>) -> Self {
        let theirs = server_time(pool).await;
        let ours = now();
        Self { theirs: theirs.unwrap_or(ours), ours }
    }

    /// From when on changes are to be read. A server's clock that was set back stamps what is new before what is old: then so much of
    /// its time counts as has passed by ours.
    fn since(self, after: &TimePosition) -> i64 {
        let passed = self.ours.saturating_sub(after.taken).max(0);
        after.latest.min(self.theirs.saturating_sub(passed)).saturating_sub(OVERLAP).max(0)
    }
}

impl Scan {
    pub(super) fn new(pool: Arc<Pool>, subject: Subject, after: TimePosition) -> Self {
        let seen = after.seen.iter().copied().collect();
        let latest = after.latest;
        let below = Below::new(Arc::clone(&after.names), MAX_NAMES);
        Self {
            pool,
            subject,
            after,
            seen,
            recent: Vec::new(),
            latest,
            clock: Clock::default(),
            below,
            left: false,
            stage: Stage::Begin,
        }
    }

    /// Adds the next events, as many as are at hand. Whether they are the last.
    pub(super) async fn fill(&mut self, events: &mut Vec<Result<SyncEvent>>) -> Result<bool> {
        let config = Arc::clone(self.pool.config());
        match mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => {
                self.clock = Clock::read(&self.pool).await;
                // It may have been set back.
                self.latest = self.latest.min(self.clock.theirs);
                let since = write_time(self.clock.since(&self.after)).unwrap_or_default();
                let mut search = self.subject.following(&config, &["modifyTimestamp"]);
                search.filter = search.filter.and(Filter::GreaterOrEqual("modifyTimestamp".to_owned(), since.into_bytes()));
                self.stage = Stage::Changes(Box::new(self.walk(search)));
                Ok(false)
            }
            Stage::Changes(mut walk) => {
                let (messages, verdict) = walk.batch().await?;
                for message in messages {
                    self.take(&message, events).await?;
                }
                match verdict {
                    None => self.stage = Stage::Changes(walk),
                    Some(verdict) => {
                        whole(verdict)?;
                        self.warn();
                        self.stage = Stage::Below;
                    }
                }
                Ok(false)
            }
            Stage::Below => {
                let mut changes = Vec::new();
                let all = self.below.fill(&self.pool, &mut self.subject, &mut changes).await?;
                events.extend(changes.into_iter().map(|change| change.map(|change| SyncEvent::Change(change, None))));
                match all {
                    false => self.stage = Stage::Below,
                    true => {
                        let age = now().saturating_sub(self.after.compared);
                        // A clock that was set back must not keep us from it.
                        if age >= 0 && u128::from(age.unsigned_abs()) < config.comparison_interval.as_millis() {
                            self.end(self.after.compared, events);
                            return Ok(true);
                        }
                        let mut search = self.subject.search(&config, &[]);
                        let by_name = &*config.identifier == DN;
                        search.attributes = vec![if by_name { "1.1".to_owned() } else { config.identifier.to_string() }];
                        self.stage = Stage::Left(Box::new(self.walk(search)));
                    }
                }
                Ok(false)
            }
            Stage::Left(mut walk) => {
                let (messages, verdict) = walk.batch().await?;
                let identifiers: Result<Vec<_>> =
                    messages.iter().map(|message| self.subject.identifier(self.pool.config(), message)).collect();
                let identifiers = identifiers?;
                self.left |= !identifiers.is_empty();
                events.push(Ok(SyncEvent::Present(identifiers)));
                match verdict {
                    None => {
                        self.stage = Stage::Left(walk);
                        Ok(false)
                    }
                    Some(verdict) => {
                        whole(verdict)?;
                        if !self.left && !config.allow_empty {
                            return Err(nothing_left());
                        }
                        self.below.names_mut().forget_missing(&self.pool, &self.subject).await?;
                        self.end(now(), events);
                        Ok(true)
                    }
                }
            }
        }
    }

    async fn take(&mut self, message: &Message, events: &mut Vec<Result<SyncEvent>>) -> Result<()> {
        let stamp = stamp(&self.pool, message)?;
        let digest = entry_digest(&self.pool, message)?;
        self.latest = self.latest.max(stamp.min(self.clock.theirs));
        self.recent.push((stamp, digest));
        if self.recent.len() > 2 * MAX_SEEN {
            self.forget();
        }
        if self.seen.contains(&digest) {
            return Ok(());
        }
        self.below.look(&self.pool, &self.subject, message).await?;
        match self.subject.make(&self.pool, message).await? {
            Changed::Object(object) => events.push(Ok(SyncEvent::Change(full(object), None))),
            Changed::Failed(error) => events.push(Err(error)),
            Changed::Left => {
                let identifier = self.subject.identifier(self.pool.config(), message)?;
                events.push(Ok(SyncEvent::Change(self.subject.deleted(identifier), None)));
            }
            Changed::Ignored | Changed::Foreign => {}
        }
        Ok(())
    }

    fn end(&mut self, compared: i64, events: &mut Vec<Result<SyncEvent>>) {
        self.forget();
        let seen = self.recent.iter().map(|(_, digest)| *digest).collect();
        let names = self.below.names().remembered();
        let position = TimePosition { latest: self.latest, compared, seen, taken: self.clock.ours, names };
        events.push(Ok(SyncEvent::End(self.subject.token(&Position::Time(position)))));
    }

    /// Tells of stamps that cannot be right. Their entries are followed all the same.
    fn warn(&self) {
        let ahead = self.recent.iter().filter(|(stamp, _)| *stamp > self.clock.theirs.saturating_add(OVERLAP)).count();
        if ahead > 0 {
            tracing::warn!(
                entries = ahead,
                "entries of the directory are stamped ahead of time; are the clocks of all servers right?"
            );
        }
    }

    /// Forgets what the next run will not see again.
    fn forget(&mut self) {
        let from = self.latest.saturating_sub(OVERLAP);
        self.recent.retain(|(stamp, _)| *stamp >= from);
        self.recent.sort_unstable();
        let surplus = self.recent.len().saturating_sub(MAX_SEEN);
        self.recent.drain(..surplus);
    }

    fn walk(&self, search: Search) -> Walk {
        Walk::new(Arc::clone(&self.pool), &self.subject.directory().root, search)
    }
}

/// The position of this moment: the latest stamp there is, and what has it or one shortly before.
pub(super) async fn current(pool: &Arc<Pool>, subject: &Subject) -> Result<TimePosition> {
    let root = &subject.directory().root;
    let clock = Clock::read(pool).await;
    let [has, count] = SUBORDINATES;
    let attributes = ["modifyTimestamp", &pool.config().identifier, has, count].map(str::to_owned).to_vec();
    let stamps = Search { attributes, ..subject.following(pool.config(), &[]) };
    let (mut highest, mut names) = (0, Names::new(Remembered::default(), MAX_NAMES));
    let mut walk = Walk::new(Arc::clone(pool), root, stamps);
    loop {
        let (messages, verdict) = walk.batch().await?;
        for message in messages {
            highest = highest.max(stamp(pool, &message)?);
            names.look(pool, subject, &message)?;
        }
        if let Some(verdict) = verdict {
            whole(verdict)?;
            break;
        }
    }
    let latest = highest.min(clock.theirs);
    let mut search = subject.following(pool.config(), &["modifyTimestamp"]);
    let since = write_time(latest.saturating_sub(OVERLAP).max(0)).unwrap_or_default();
    search.filter = search.filter.and(Filter::GreaterOrEqual("modifyTimestamp".to_owned(), since.into_bytes()));
    let mut walk = Walk::new(Arc::clone(pool), root, search);
    let mut seen = Vec::new();
    loop {
        let (messages, verdict) = walk.batch().await?;
        // What came since the latest stamp was looked for is left to the first run.
        for message in messages {
            if stamp(pool, &message)? <= highest && seen.len() < MAX_SEEN {
                seen.push(entry_digest(pool, &message)?);
            }
        }
        if let Some(verdict) = verdict {
            whole(verdict)?;
            let names = names.remembered();
            return Ok(TimePosition { latest, compared: clock.ours, seen, taken: clock.ours, names });
        }
    }
}

/// Tells an entry as it is from what it was: an entry can change twice within the second that stamps tell apart. How much is below it is
/// left out, which others change.
fn entry_digest(pool: &Arc<Pool>, message: &Message) -> Result<u64> {
    let whole = || {
        let mut entry = message.entry()?;
        let mut parts = vec![entry.dn];
        while let Some((name, mut values)) = entry.attribute()? {
            if !SUBORDINATES.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes())) {
                parts.push(name);
                parts.extend(values.all()?);
            }
        }
        let mut text = Vec::with_capacity(message.content.len());
        for part in parts {
            text.extend_from_slice(part);
            // Where one ends and the next begins counts.
            text.extend_from_slice(&part.len().to_be_bytes());
        }
        Ok(digest(&text))
    };
    whole().map_err(|_: Malformed| not_ldap(&pool.config().server()))
}

fn stamp(pool: &Arc<Pool>, message: &Message) -> Result<i64> {
    let values = message.entry().and_then(|entry| entry.values_of("modifyTimestamp"));
    let values = values.map_err(|_| not_ldap(&pool.config().server()))?;
    let stamp = values.first().and_then(|value| std::str::from_utf8(value).ok()).and_then(parse_time);
    stamp.ok_or_else(|| {
        let message = "an entry shows no 'modifyTimestamp'; may the name that is bound with read it?";
        Error::new(ErrorKind::Denied, message)
    })
}

/// Changes that may be missing are worse than none.
fn whole(verdict: Completeness) -> Result<()> {
    match verdict {
        Completeness::Complete => Ok(()),
        Completeness::Incomplete { message, .. } => {
            Err(Error::new(ErrorKind::Unexpected, format!("the changes cannot be read completely: {message}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_clock_that_was_set_back_hides_nothing() {
        // The last run was ten seconds ago. The server's clock was an hour ahead then, and is right now.
        let now = 100 * HOUR;
        let after = TimePosition { latest: now + HOUR, taken: now - 10_000, ..TimePosition::default() };
        let clock = Clock { theirs: now, ours: now };
        assert!(clock.since(&after) <= now - 10_000);
        // Where nothing is wrong, the latest stamp counts.
        let after = TimePosition { latest: now - HOUR, taken: now - 10_000, ..TimePosition::default() };
        assert_eq!(clock.since(&after), now - HOUR - OVERLAP);
        // It does so if our clock is wrong, as long as it goes.
        let clock = Clock { theirs: now, ours: now + HOUR };
        let after = TimePosition { latest: now - 20_000, taken: now + HOUR - 10_000, ..TimePosition::default() };
        assert_eq!(clock.since(&after), now - 20_000 - OVERLAP);
    }
}
