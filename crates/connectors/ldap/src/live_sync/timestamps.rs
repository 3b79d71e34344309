//! Changes by the time stamps of entries, for servers that offer nothing better.
//!
//! Time is the server's: the latest stamp that was seen. Stamps are coarse, and entries do not always appear in the order of
//! theirs, so each run begins a little before the end of the last one, and passes over what it has seen.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_connector_api::{Completeness, Error, ErrorKind, Result, SyncEvent};

use super::Position;
use super::subject::{Changed, Subject, full, nothing_left};
use super::token::{TimePosition, digest};
use crate::client::Pool;
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
    /// Whether anything is left.
    left: bool,
    stage: Stage,
}

enum Stage {
    Begin,
    Changes(Box<Walk>),
    Left(Box<Walk>),
}

impl Scan {
    pub(super) fn new(pool: Arc<Pool>, subject: Subject, after: TimePosition) -> Self {
        let seen = after.seen.iter().copied().collect();
        let latest = after.latest;
        Self { pool, subject, after, seen, recent: Vec::new(), latest, left: false, stage: Stage::Begin }
    }

    /// Adds the next events, as many as are at hand. Whether they are the last.
    pub(super) async fn fill(&mut self, events: &mut Vec<Result<SyncEvent>>) -> Result<bool> {
        let config = Arc::clone(self.pool.config());
        match mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => {
                let since = write_time(self.after.latest.saturating_sub(OVERLAP).max(0)).unwrap_or_default();
                let mut search = self.subject.search(&config, &["modifyTimestamp"]);
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
                        self.end(now(), events);
                        Ok(true)
                    }
                }
            }
        }
    }

    async fn take(&mut self, message: &Message, events: &mut Vec<Result<SyncEvent>>) -> Result<()> {
        let stamp = stamp(&self.pool, message)?;
        // All that was sent of it: an entry can change twice within the second that stamps tell apart.
        let digest = digest(&message.content);
        self.latest = self.latest.max(stamp);
        self.recent.push((stamp, digest));
        if self.recent.len() > 2 * MAX_SEEN {
            self.forget();
        }
        if self.seen.contains(&digest) {
            return Ok(());
        }
        match self.subject.read(&self.pool, message).await? {
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
        let position = TimePosition { latest: self.latest, compared, seen };
        events.push(Ok(SyncEvent::End(self.subject.token(&Position::Time(position)))));
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
    let stamps = Search { attributes: vec!["modifyTimestamp".to_owned()], ..subject.search(pool.config(), &[]) };
    let mut latest = 0;
    let mut walk = Walk::new(Arc::clone(pool), root, stamps);
    loop {
        let (messages, verdict) = walk.batch().await?;
        for message in messages {
            latest = latest.max(stamp(pool, &message)?);
        }
        if let Some(verdict) = verdict {
            whole(verdict)?;
            break;
        }
    }
    let mut search = subject.search(pool.config(), &["modifyTimestamp"]);
    let since = write_time(latest.saturating_sub(OVERLAP).max(0)).unwrap_or_default();
    search.filter = search.filter.and(Filter::GreaterOrEqual("modifyTimestamp".to_owned(), since.into_bytes()));
    let mut walk = Walk::new(Arc::clone(pool), root, search);
    let mut seen = Vec::new();
    loop {
        let (messages, verdict) = walk.batch().await?;
        // What came since the latest stamp was looked for is left to the first run.
        for message in messages {
            if stamp(pool, &message)? <= latest && seen.len() < MAX_SEEN {
                seen.push(digest(&message.content));
            }
        }
        if let Some(verdict) = verdict {
            whole(verdict)?;
            return Ok(TimePosition { latest, compared: now(), seen });
        }
    }
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

/// Our own clock; it only says when to compare again.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
