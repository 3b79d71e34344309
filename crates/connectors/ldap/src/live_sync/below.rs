//! What is below entries that have changed.
//!
//! When an entry is renamed or moved, so is everything below it, and no server says so. So what is below one that has changed is read
//! again, unless it is known that it is called what it was (see `names`).

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tidelock_connector_api::{Change, Completeness, Error, ErrorKind, Result};

use super::subject::{Changed, Subject, full};
use crate::ber::Malformed;
use crate::client::Pool;
use crate::config::LdapConfig;
use crate::dn::Dn;
use crate::error::not_ldap;
use crate::filter::Filter;
use crate::message::{Message, Search};
use crate::search::Walk;
use crate::subschema::Subschema;

/// Says whether others are below an entry (X.501; OpenLDAP).
const HAS_SUBORDINATES: &str = "hasSubordinates";

/// Says how many are (389 Directory Server).
const NUMBER_OF_SUBORDINATES: &str = "numSubordinates";

/// The attributes that say it.
pub(super) const SUBORDINATES: [&str; 2] = [HAS_SUBORDINATES, NUMBER_OF_SUBORDINATES];

/// Entries that are below others that have changed. Their names may have changed with them.
#[derive(Default)]
pub(crate) struct Below {
    waiting: VecDeque<String>,
    /// The names, in normal form, of all that are or were waiting.
    known: HashSet<String>,
    walk: Option<Box<Walk>>,
}

impl Below {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.walk.is_none()
    }

    /// Notes an entry that has changed, if others are below it.
    pub(crate) fn look(&mut self, config: &LdapConfig, message: &Message) -> Result<()> {
        let broken = |_| not_ldap(&config.server());
        if !has_below(message).map_err(broken)? {
            return Ok(());
        }
        let name = String::from_utf8_lossy(message.entry().map_err(broken)?.dn).into_owned();
        // The server spells the name of an entry in one way.
        let schema = Subschema::default();
        let mut above = Dn::parse(&name);
        while let Some(dn) = above {
            if self.known.contains(&dn.normal(&schema)) {
                return Ok(());
            }
            above = dn.parent();
        }
        self.known.extend(Dn::parse(&name).map(|dn| dn.normal(&schema)));
        self.waiting.push_back(name);
        Ok(())
    }

    /// Reads on. Whether that was all.
    pub(crate) async fn fill(
        &mut self,
        pool: &Arc<Pool>,
        subject: &mut Subject,
        changes: &mut Vec<Result<Change>>,
    ) -> Result<bool> {
        let config = Arc::clone(pool.config());
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => {
                let Some(base) = self.waiting.pop_front() else { return Ok(true) };
                let search = Search { base, ..subject.search(&config, &[]) };
                Box::new(Walk::new(Arc::clone(pool), &subject.directory().root, search).of_what_may_vanish())
            }
        };
        let (messages, verdict) = walk.batch().await?;
        let base = Dn::parse(&config.base_context);
        let schema = Arc::clone(&subject.directory().subschema);
        for message in messages {
            let name = message.entry().map_err(|_| not_ldap(&config.server()))?.dn;
            let name = std::str::from_utf8(name).ok().and_then(Dn::parse);
            if name.zip(base.as_ref()).is_some_and(|(name, base)| !name.is_within(base, &schema)) {
                changes.push(Ok(subject.deleted(subject.identifier(&config, &message)?)));
                continue;
            }
            match subject.make(pool, &message).await? {
                Changed::Object(object) => changes.push(Ok(full(object))),
                Changed::Failed(error) => changes.push(Err(error)),
                Changed::Left => changes.push(Ok(subject.deleted(subject.identifier(&config, &message)?))),
                Changed::Ignored | Changed::Foreign => {}
            }
        }
        match verdict {
            None => self.walk = Some(walk),
            Some(Completeness::Complete) => {}
            Some(Completeness::Incomplete { message, .. }) => {
                let message = format!("what is below an entry that has changed cannot be read completely: {message}");
                return Err(Error::new(ErrorKind::Unexpected, message));
            }
        }
        if self.is_empty() {
            self.known.clear();
        }
        Ok(self.is_empty())
    }
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
