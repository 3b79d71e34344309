//! What entries are called that have others below them.
//!
//! When such an entry is renamed or moved, so is everything below it, and no server says so. Nor does a server say what an entry was
//! called before. So a position remembers it: as long as an entry is called what it was called when what is below it was told last,
//! there is nothing below to be told because of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidelock_connector_api::Result;

use super::below::{SUBORDINATES, has_below, has_others_below};
use super::subject::Subject;
use super::token::digest;
use crate::client::Pool;
use crate::dn::Dn;
use crate::error::not_ldap;
use crate::message::Message;
use crate::search::Walk;

/// How many entries a position in time remembers at most. What is below others is read again whenever they change.
pub(crate) const MAX_NAMES: usize = 5000;

/// The same of a cookie, of which there is one behind each change that is pushed.
pub(crate) const MAX_NAMES_OF_COOKIE: usize = 1000;

/// Entries, by digests of their identifiers, with digests of their names. Shared, since a position seldom differs in them from the one
/// before it.
pub(crate) type Remembered = Arc<BTreeMap<u64, u64>>;

/// What an entry is called, beside what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// The same; or nothing is below it, so that it does not matter.
    AsBefore,
    /// Something else, or it was not known, and is remembered from now on.
    Otherwise,
    /// Nobody knows, and it cannot be remembered either.
    Unknown,
}

/// What entries are called that have others below them.
pub(crate) struct Names {
    remembered: Remembered,
    most: usize,
    /// Whose name it is, by the digest of the name.
    called: HashMap<u64, u64>,
    /// Those of them that were heard of since.
    met: HashSet<u64>,
    /// Under which texts nothing has to be found out, as long as nobody is called otherwise: digests of what follows the first comma.
    sure: HashSet<u64>,
}

impl Names {
    pub(crate) fn new(remembered: Remembered, most: usize) -> Self {
        let called = remembered.iter().map(|(key, name)| (*name, *key)).collect();
        Self { remembered, most, called, met: HashSet::new(), sure: HashSet::new() }
    }

    /// What all entries are called at the moment.
    pub(crate) async fn read(pool: &Arc<Pool>, subject: &Subject, most: usize) -> Result<Self> {
        let mut names = Self::new(Remembered::default(), most);
        for_each_above(pool, subject, |message| names.look(pool, subject, message).map(drop)).await?;
        Ok(names)
    }

    pub(crate) fn remembered(&self) -> Remembered {
        Arc::clone(&self.remembered)
    }

    /// Whether one that is remembered is called so.
    pub(crate) fn has(&self, name: u64) -> bool {
        self.called.contains_key(&name)
    }

    /// Looks at an entry, and remembers what it is called.
    pub(crate) fn look(&mut self, pool: &Arc<Pool>, subject: &Subject, message: &Message) -> Result<Called> {
        let broken = |_| not_ldap(&pool.config().server());
        let without = |is_above| if is_above { Called::Unknown } else { Called::AsBefore };
        let is_above = has_below(message).map_err(broken)?;
        if !is_above && self.remembered.is_empty() {
            return Ok(Called::AsBefore);
        }
        // One that does not show its identifier cannot be remembered.
        let Ok(identifier) = subject.identifier(pool.config(), message) else { return Ok(without(is_above)) };
        let entry = message.entry().map_err(broken)?;
        let name = std::str::from_utf8(entry.dn).ok().and_then(Dn::parse);
        Ok(match name.filter(|_| is_above) {
            Some(name) => self.remember(key(&identifier), name_digest(&name, subject)),
            None => {
                self.forget(&identifier);
                without(is_above)
            }
        })
    }

    fn remember(&mut self, key: u64, name: u64) -> Called {
        let before = self.remembered.get(&key).copied();
        if before.is_none() && self.remembered.len() >= self.most {
            return Called::Unknown;
        }
        self.met.insert(key);
        if let Some(before) = before.filter(|before| *before != name) {
            self.leave(key, before);
        }
        self.called.insert(name, key);
        if before == Some(name) {
            return Called::AsBefore;
        }
        self.sure.clear();
        Arc::make_mut(&mut self.remembered).insert(key, name);
        Called::Otherwise
    }

    /// Forgets an entry: it is gone, or nothing is below it.
    pub(crate) fn forget(&mut self, identifier: &str) {
        let key = key(identifier);
        if let Some(name) = self.remembered.get(&key).copied() {
            Arc::make_mut(&mut self.remembered).remove(&key);
            self.leave(key, name);
        }
    }

    /// An entry is not called so any longer.
    fn leave(&mut self, key: u64, name: u64) {
        if self.called.get(&name) == Some(&key) {
            self.called.remove(&name);
            self.sure.clear();
        }
    }

    /// Whether it is known already that nothing has to be found out about what is above an entry of this name.
    pub(crate) fn is_sure(&self, name: &str) -> bool {
        text_above(name).is_some_and(|above| self.sure.contains(&above))
    }

    /// The same of all that have the same text above, as long as nobody is called otherwise.
    pub(crate) fn be_sure(&mut self, name: &str) {
        if self.sure.len() >= MAX_NAMES {
            self.sure.clear();
        }
        self.sure.extend(text_above(name));
    }

    /// Entries are said to be there, and as they were.
    pub(crate) fn meet(&mut self, identifiers: &[Box<str>]) {
        if !self.remembered.is_empty() {
            self.met.extend(identifiers.iter().map(|identifier| key(identifier)).filter(|key| self.remembered.contains_key(key)));
        }
    }

    /// Forgets those that were not heard of, after all were that are left: what was below them is called gone, and would be missed if
    /// they came back.
    pub(crate) fn forget_unmet(&mut self) {
        self.retain(|key, met| met.contains(&key));
    }

    /// The same, where nobody says who is left: the server is asked.
    pub(crate) async fn forget_missing(&mut self, pool: &Arc<Pool>, subject: &Subject) -> Result<()> {
        if self.remembered.is_empty() {
            return Ok(());
        }
        let mut there = HashSet::new();
        let all = for_each_above(pool, subject, |message| {
            there.extend(subject.identifier(pool.config(), message).ok().map(|identifier| key(&identifier)));
            Ok(())
        });
        let all = all.await?;
        self.retain(|key, _| all && there.contains(&key));
        Ok(())
    }

    /// Forgets those that are called otherwise elsewhere.
    pub(crate) fn keep_same(&mut self, other: &Self) {
        let remembered = self.remembered();
        self.retain(|key, _| other.remembered.get(&key) == remembered.get(&key));
    }

    fn retain(&mut self, is_kept: impl Fn(u64, &HashSet<u64>) -> bool) {
        let met = std::mem::take(&mut self.met);
        if self.remembered.keys().any(|key| !is_kept(*key, &met)) {
            Arc::make_mut(&mut self.remembered).retain(|key, _| is_kept(*key, &met));
            *self = Self::new(self.remembered(), self.most);
        }
        self.met = met;
    }
}

/// A digest of a name, however it is spelled.
pub(crate) fn name_digest(name: &Dn, subject: &Subject) -> u64 {
    digest(name.normal(&subject.directory().subschema).as_bytes())
}

/// A digest of the text above an entry, if the first comma of its name certainly is where that begins: most names differ before it only.
fn text_above(name: &str) -> Option<u64> {
    let (own, above) = name.split_once(',')?;
    (!own.contains(['\\', '"'])).then(|| digest(above.as_bytes()))
}

/// A digest of an identifier, whatever the case of its letters.
fn key(identifier: &str) -> u64 {
    digest(identifier.to_lowercase().as_bytes())
}

/// Reads all entries that have others below them, where changes are looked for. Whether these were all.
async fn for_each_above(pool: &Arc<Pool>, subject: &Subject, mut each: impl FnMut(&Message) -> Result<()>) -> Result<bool> {
    let mut search = subject.search(pool.config(), &[]);
    search.attributes = vec![pool.config().identifier.to_string()];
    search.attributes.extend(SUBORDINATES.map(str::to_owned));
    search.filter = has_others_below();
    let mut walk = Walk::new(Arc::clone(pool), &subject.directory().root, search);
    loop {
        let (messages, verdict) = walk.batch().await?;
        messages.iter().try_for_each(&mut each)?;
        if let Some(verdict) = verdict {
            return Ok(verdict.is_complete());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Held against a plain list of who is called what.
        #[test]
        fn who_is_called_what_is_remembered(steps in proptest::collection::vec((0..4_u64, 0..6_u64), 0..40)) {
            let mut names = Names::new(Remembered::default(), 3);
            let mut expected: BTreeMap<u64, u64> = BTreeMap::new();
            for (who, name) in steps {
                let known = expected.get(&key(&who.to_string())).copied();
                match name {
                    0 => {
                        names.forget(&who.to_string());
                        expected.remove(&key(&who.to_string()));
                    }
                    name => {
                        let is_full = known.is_none() && expected.len() >= 3;
                        let called = match known {
                            None if is_full => Called::Unknown,
                            known if known == Some(name) => Called::AsBefore,
                            _ => Called::Otherwise,
                        };
                        prop_assert_eq!(names.remember(key(&who.to_string()), name), called);
                        if !is_full {
                            expected.insert(key(&who.to_string()), name);
                        }
                    }
                }
                prop_assert_eq!(&*names.remembered(), &expected);
                // Nobody is believed to be called what nobody is called.
                prop_assert!((1..6).all(|name| !names.has(name) || expected.values().any(|known| *known == name)));
            }
        }
    }
}
