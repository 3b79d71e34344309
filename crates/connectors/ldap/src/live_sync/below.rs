//! What is below entries that have been renamed.
//!
//! When an entry is renamed or moved, so is everything below it, and no server says so. So what is right below one that is called
//! otherwise than it was is read again; if others are below that in turn, they have been renamed as well, and so on.
//!
//! What an entry was called is remembered (see `names`), and must never be believed wrongly: everything right below it was told under
//! the name that is remembered. It can have another name for a moment, while an entry below it is read. So each name under which
//! something is told is one that is remembered, or it is asked who is called so.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tidelock_connector_api::{Change, Completeness, Error, ErrorKind, Result};

use super::names::{Called, Names, Remembered, name_digest};
use super::subject::{Changed, Subject, full};
use super::token::digest;
use crate::ber::Malformed;
use crate::client::Pool;
use crate::dn::Dn;
use crate::error::not_ldap;
use crate::filter::Filter;
use crate::message::{Message, Request, Scope, Search};
use crate::search::{Walk, first_entry};

/// Says whether others are below an entry (X.501; OpenLDAP).
const HAS_SUBORDINATES: &str = "hasSubordinates";

/// Says how many are (389 Directory Server).
const NUMBER_OF_SUBORDINATES: &str = "numSubordinates";

/// The attributes that say it.
pub(super) const SUBORDINATES: [&str; 2] = [HAS_SUBORDINATES, NUMBER_OF_SUBORDINATES];

/// Entries that are below others that have been renamed.
pub(crate) struct Below {
    names: Names,
    /// The names of those of which the entries below are to be read, and digests of these names.
    waiting: VecDeque<String>,
    queued: HashSet<u64>,
    walk: Option<Box<Walk>>,
    /// Entries that were told under a name that they did not have any longer, with that name.
    again: Vec<(Box<str>, String)>,
}

impl Below {
    /// What entries are called of which others were told, and how many of these are remembered at most.
    pub(crate) fn new(remembered: Remembered, most: usize) -> Self {
        Self {
            names: Names::new(remembered, most),
            waiting: VecDeque::new(),
            queued: HashSet::new(),
            walk: None,
            again: Vec::new(),
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.walk.is_none() && self.again.is_empty()
    }

    /// Looks at an entry that is told.
    pub(crate) async fn look(&mut self, pool: &Arc<Pool>, subject: &Subject, message: &Message) -> Result<()> {
        let name = name(pool, message)?;
        if self.names.look(pool, subject, message)? != Called::AsBefore {
            self.wait(name.clone());
        }
        if !self.names.is_sure(&name) && self.look_above(pool, subject, message).await? {
            self.names.be_sure(&name);
        }
        Ok(())
    }

    /// What is right below the entry of a name is to be read.
    fn wait(&mut self, name: String) {
        if self.queued.insert(digest(name.as_bytes())) {
            self.waiting.push_back(name);
        }
    }

    /// Finds out who is called what nobody who is remembered is called, from right above an entry on. Whether everything there is as its
    /// name says.
    async fn look_above(&mut self, pool: &Arc<Pool>, subject: &Subject, told: &Message) -> Result<bool> {
        let config = pool.config();
        let schema = &subject.directory().subschema;
        let Some(base) = Dn::parse(config.synchronized()) else { return Ok(true) };
        let mut below = told.clone();
        loop {
            let parent = Dn::parse(&name(pool, &below)?).and_then(|name| name.parent());
            let is_ours = |parent: &Dn| parent.is_within(&base, schema) && !base.is_within(parent, schema);
            let Some(parent) = parent.filter(is_ours) else { return Ok(true) };
            if self.names.has(name_digest(&parent, subject)) {
                return Ok(true);
            }
            let mut attributes = vec![&*config.identifier];
            attributes.extend(SUBORDINATES);
            let request = Request::Search(Search::entry(parent.to_text(), &attributes));
            match first_entry(pool, &request).await? {
                Some(above) => {
                    // Of one that cannot be remembered, nothing is believed that could be wrong.
                    if self.names.look(pool, subject, &above)? == Called::Otherwise {
                        self.wait(name(pool, &above)?);
                    }
                    below = above;
                }
                None => return self.doubt(pool, subject, &below).await,
            }
        }
    }

    /// What should be above an entry is not there. It may be hidden from us; else the entry itself is not where it was. Whether it is.
    async fn doubt(&mut self, pool: &Arc<Pool>, subject: &Subject, message: &Message) -> Result<bool> {
        let config = pool.config();
        let Ok(identifier) = subject.identifier(config, message) else { return Ok(true) };
        let name = name(pool, message)?;
        let request = Request::Search(Search::entry(name.as_str(), &[&*config.identifier]));
        let there = first_entry(pool, &request).await?;
        let is_there = there.is_some_and(|there| subject.identifier(config, &there).is_ok_and(|found| found == identifier));
        if !is_there {
            self.again.push((identifier, name));
        }
        Ok(is_there)
    }

    /// Reads on. Whether that was all.
    pub(crate) async fn fill(
        &mut self,
        pool: &Arc<Pool>,
        subject: &mut Subject,
        changes: &mut Vec<Result<Change>>,
    ) -> Result<bool> {
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => {
                let Some(base) = self.waiting.pop_front() else {
                    self.read_again(pool, subject, changes).await?;
                    return Ok(self.is_empty());
                };
                self.queued.remove(&digest(base.as_bytes()));
                let search = Search { base, scope: Scope::One, ..subject.following(pool.config(), &[]) };
                Box::new(Walk::new(Arc::clone(pool), &subject.directory().root, search).of_what_may_vanish())
            }
        };
        let (messages, verdict) = walk.batch().await?;
        for message in &messages {
            self.look(pool, subject, message).await?;
            tell(pool, subject, message, changes).await?;
        }
        match verdict {
            None => self.walk = Some(walk),
            Some(Completeness::Complete) => {}
            Some(Completeness::Incomplete { message, .. }) => {
                let message = format!("what is below an entry that was renamed cannot be read completely: {message}");
                return Err(Error::new(ErrorKind::Unexpected, message));
            }
        }
        Ok(self.is_empty())
    }

    /// Reads entries again that were told under a name that they did not have any longer.
    async fn read_again(&mut self, pool: &Arc<Pool>, subject: &mut Subject, changes: &mut Vec<Result<Change>>) -> Result<()> {
        let again = std::mem::take(&mut self.again);
        let identifiers: Vec<Box<str>> = again.iter().map(|(identifier, _)| identifier.clone()).collect();
        // Who is not found is gone from where changes are looked for, which the server has yet to say.
        let (found, _) = subject.find(pool, pool.config().synchronized(), &identifiers).await?;
        for message in &found {
            let name = name(pool, message)?;
            // Where a server insists on a name that it does not find itself, there is no more to be found out.
            if again.iter().all(|(_, told)| *told != name) {
                self.look(pool, subject, message).await?;
                tell(pool, subject, message, changes).await?;
            }
        }
        Ok(())
    }
}

/// Tells what an entry is by now.
async fn tell(pool: &Arc<Pool>, subject: &mut Subject, message: &Message, changes: &mut Vec<Result<Change>>) -> Result<()> {
    let config = pool.config();
    let base = Dn::parse(&config.base_context);
    let name = Dn::parse(&name(pool, message)?);
    let schema = &subject.directory().subschema;
    if name.zip(base).is_some_and(|(name, base)| !name.is_within(&base, schema)) {
        changes.push(Ok(subject.deleted(subject.identifier(config, message)?)));
        return Ok(());
    }
    match subject.make(pool, message).await? {
        Changed::Object(object) => changes.push(Ok(full(object))),
        Changed::Failed(error) => changes.push(Err(error)),
        Changed::Left => changes.push(Ok(subject.deleted(subject.identifier(config, message)?))),
        Changed::Ignored | Changed::Foreign => {}
    }
    Ok(())
}

/// The name of an entry, as its server spells it.
fn name(pool: &Arc<Pool>, message: &Message) -> Result<String> {
    let entry = message.entry().map_err(|_| not_ldap(&pool.config().server()))?;
    Ok(String::from_utf8_lossy(entry.dn).into_owned())
}

/// Whether others are below an entry, as the server says it.
pub(super) fn has_below(message: &Message) -> Result<bool, Malformed> {
    let entry = message.entry()?;
    let flag = entry.values_of(HAS_SUBORDINATES)?;
    let number = entry.values_of(NUMBER_OF_SUBORDINATES)?;
    Ok(flag.first().is_some_and(|flag| flag.eq_ignore_ascii_case(b"TRUE"))
        || number.first().is_some_and(|number| *number != b"0"))
}

/// The same for a server to find. Not every one of them knows both.
pub(super) fn has_others_below() -> Filter {
    Filter::Or(vec![
        Filter::equal(HAS_SUBORDINATES, "TRUE"),
        Filter::GreaterOrEqual(NUMBER_OF_SUBORDINATES.to_owned(), b"1".to_vec()),
    ])
}
