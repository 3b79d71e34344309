//! What entries are called that have others below them.
//!
//! When such an entry is renamed or moved, so is everything below it, and no server says so. Nor does a server say what an entry was
//! called before. So a position in time remembers it: as long as an entry is called what it was called when what is below it was told
//! last, there is nothing below to be told because of it.
//!
//! That must never be believed wrongly. An entry that has lost all that was below it is forgotten, for nobody notices when it is
//! renamed; and each name below which something was told is one that is remembered, or it is asked who is called so.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidelock_connector_api::Result;

use super::below::{SUBORDINATES, has_below, has_others_below};
use super::subject::Subject;
use super::token::digest;
use crate::client::Pool;
use crate::dn::Dn;
use crate::error::not_ldap;
use crate::message::{Message, Request, Search};
use crate::search::{Walk, first_entry};
use crate::subschema::Subschema;

/// How many entries are remembered at most. Below others, everything is read again when they change.
const MAX_NAMES: usize = 5000;

/// Entries, by digests of their identifiers, with digests of their names. Two entries with the same digest are taken for one that is
/// renamed all the time.
pub(crate) type Remembered = BTreeMap<u32, u64>;

/// What entries are called that have others below them.
#[derive(Default)]
pub(crate) struct Names {
    remembered: Remembered,
    /// The names above what was told, by the digests of their texts.
    above: HashMap<u64, Dn>,
}

impl Names {
    pub(crate) fn new(remembered: Remembered) -> Self {
        Self { remembered, above: HashMap::new() }
    }

    pub(crate) fn remembered(&self) -> Remembered {
        self.remembered.clone()
    }

    /// Looks at an entry that has changed. Whether what is below it has to be told because of that.
    pub(crate) fn look(&mut self, pool: &Arc<Pool>, subject: &Subject, message: &Message) -> Result<bool> {
        let broken = |_| not_ldap(&pool.config().server());
        let is_above = has_below(message).map_err(broken)?;
        // One that does not show its identifier cannot be remembered.
        let Ok(identifier) = subject.identifier(pool.config(), message) else { return Ok(is_above) };
        let entry = message.entry().map_err(broken)?;
        let name = std::str::from_utf8(entry.dn).ok().and_then(Dn::parse);
        Ok(match name.filter(|_| is_above) {
            Some(name) => self.remember(&identifier, &name, &subject.directory().subschema),
            None => {
                self.remembered.remove(&short(&identifier));
                is_above
            }
        })
    }

    /// Whether an entry is called otherwise than it was, as far as that is known.
    fn remember(&mut self, identifier: &str, name: &Dn, schema: &Subschema) -> bool {
        let (key, name) = (short(identifier), digest(name.normal(schema).as_bytes()));
        if self.remembered.len() >= MAX_NAMES && !self.remembered.contains_key(&key) {
            return true;
        }
        self.remembered.insert(key, name) != Some(name)
    }

    /// An entry was told under its name.
    pub(crate) fn told(&mut self, name: &str) {
        // Most names differ in their first part only.
        let Some((_, above)) = name.split_once(',') else { return };
        if let std::collections::hash_map::Entry::Vacant(vacant) = self.above.entry(digest(above.as_bytes()))
            && let Some(parent) = Dn::parse(name).and_then(|name| name.parent())
        {
            vacant.insert(parent);
        }
    }

    /// Finds out who is called what nobody who is remembered is called.
    pub(crate) async fn settle(&mut self, pool: &Arc<Pool>, subject: &Subject) -> Result<()> {
        let config = pool.config();
        let schema = &subject.directory().subschema;
        let Some(base) = Dn::parse(config.synchronized()) else { return Ok(()) };
        let mut known: HashSet<u64> = self.remembered.values().copied().collect();
        for parent in std::mem::take(&mut self.above).into_values() {
            let mut above = Some(parent);
            while let Some(name) = above.filter(|name| name.is_within(&base, schema)) {
                if !known.insert(digest(name.normal(schema).as_bytes())) {
                    break;
                }
                let request = Request::Search(Search::entry(name.to_text(), &[&*config.identifier]));
                if let Some(message) = first_entry(pool, &request).await?
                    && let Ok(identifier) = subject.identifier(config, &message)
                {
                    self.remember(&identifier, &name, schema);
                }
                above = name.parent();
            }
        }
        Ok(())
    }

    /// Forgets entries that are not there any longer, at least not where changes are looked for: what was below them is called gone, and
    /// would be missed if they came back.
    pub(crate) async fn forget_missing(&mut self, pool: &Arc<Pool>, subject: &Subject) -> Result<()> {
        if self.remembered.is_empty() {
            return Ok(());
        }
        let mut search = subject.search(pool.config(), &SUBORDINATES);
        search.attributes.push(pool.config().identifier.to_string());
        search.filter = has_others_below();
        let mut walk = Walk::new(Arc::clone(pool), &subject.directory().root, search);
        let mut there = HashSet::new();
        loop {
            let (messages, verdict) = walk.batch().await?;
            let found = messages.iter().filter_map(|message| subject.identifier(pool.config(), message).ok());
            there.extend(found.map(|identifier| short(&identifier)));
            if let Some(verdict) = verdict {
                self.remembered.retain(|key, _| verdict.is_complete() && there.contains(key));
                return Ok(());
            }
        }
    }
}

/// A short digest of an identifier, whatever the case of its letters.
fn short(identifier: &str) -> u32 {
    let digest = digest(identifier.to_lowercase().as_bytes());
    // Folded, so that all of it counts.
    (digest ^ (digest >> 32)) as u32
}
