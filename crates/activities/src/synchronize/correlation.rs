//! Finding the owners of a chunk's objects: one question to the repository for each tier and indexed item.

use std::collections::HashMap;

use tidelock_model::Items;
use tidelock_model::object::{Focus, ResourceObject};
use tidelock_repo::{IndexedItem, StoredFocus};
use tidelock_resolver::correlate::{self, Correlation, Correlator, MOST_CANDIDATES, Rule, Verdict};
use tidelock_resolver::mapping;
use tidelock_resolver::policy::TypePolicy;

use crate::error::Category;
use crate::part::Part;
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::{Cut, ItemError};

/// What the repository is asked: an indexed item, and a value.
type Key = (usize, Box<str>);

/// What the repository said, by indexed item and value.
pub(crate) struct Candidates<'a> {
    items: &'a [IndexedItem],
    found: Vec<HashMap<Box<str>, Vec<StoredFocus>>>,
}

/// An object whose owner is sought.
pub(crate) struct Sought<'a> {
    type_: &'a TypePolicy,
    object: &'a ResourceObject,
    pre_focus: Items,
    /// For each tier, for each rule: the indexed item and value to ask for; none where the rule says nothing.
    keys: Vec<Vec<Option<Key>>>,
    /// How many tiers the repository was asked for.
    asked: usize,
    /// What they said, as long as nothing of this chunk comes in between.
    result: Correlation<Candidate>,
}

impl<'a> Sought<'a> {
    /// Prepares the search for an object's owner.
    ///
    /// An error says why correlation cannot tell anything of it.
    pub(crate) fn new(
        part: &Part,
        items: &[IndexedItem],
        type_: &'a TypePolicy,
        object: &'a ResourceObject,
    ) -> Result<Self, ItemError> {
        let pre_focus = mapping::pre_focus(type_, object, part.channel)
            .map_err(|error| ItemError::new(Category::Schema, error.to_string()))?;
        let key = |rule: &Rule| -> Result<Option<Key>, ItemError> {
            let key = correlate::search_key(rule, &pre_focus, object)
                .map_err(|error| ItemError::new(Category::Unsupported, error.to_string()))?;
            Ok(key.and_then(|(at, value)| {
                let asked = &rule.items[at];
                let is_asked = |item: &IndexedItem| {
                    item.focus_type == type_.focus_type && item.path == asked.path && item.rule == asked.rule
                };
                Some((items.iter().position(is_asked)?, value))
            }))
        };
        let keys =
            type_.correlation.tiers.iter().map(|tier| tier.rules.iter().map(key).collect()).collect::<Result<_, ItemError>>()?;
        Ok(Self { type_, object, pre_focus, keys, asked: 0, result: Correlation::None })
    }

    /// The owner, with what earlier objects of the chunk have done in mind.
    ///
    /// # Errors
    /// [`Cut`] where a tier is needed that the repository was not asked for.
    pub(crate) fn owner(
        &self,
        candidates: &Candidates<'_>,
        overlay: &Overlay<'_>,
    ) -> Result<Result<Correlation<Candidate>, ItemError>, Cut> {
        let asked = || self.keys[..self.asked].iter().flatten().flatten();
        let disturbed = asked().any(|(item, value)| {
            overlay.with_value(*item, value).next().is_some()
                || candidates.of(*item, value).iter().any(|stored| overlay.touches(stored.key))
        });
        if !disturbed {
            return Ok(match asked().any(|(item, value)| candidates.of(*item, value).len() > MOST_CANDIDATES) {
                true => Err(too_many()),
                false => Ok(self.result.clone()),
            });
        }
        let mut correlator = Correlator::new(&self.type_.correlation);
        for tier in 0..self.keys.len() {
            if tier >= self.asked {
                return Err(Cut);
            }
            if let Err(error) = self.weigh(tier, &mut correlator, candidates, overlay) {
                return Ok(Err(error));
            }
            if correlator.end_of_tier() == Verdict::Decided {
                break;
            }
        }
        Ok(Ok(correlator.finish()))
    }

    fn weigh(
        &self,
        tier: usize,
        correlator: &mut Correlator<'a, Candidate>,
        candidates: &Candidates<'_>,
        overlay: &Overlay<'_>,
    ) -> Result<(), ItemError> {
        for (rule, key) in self.type_.correlation.tiers[tier].rules.iter().zip(&self.keys[tier]) {
            let Some((item, value)) = key else { continue };
            let stored = candidates.of(*item, value);
            if stored.len() > MOST_CANDIDATES {
                return Err(too_many());
            }
            let matches = |focus: &Focus| correlate::rule_matches(rule, &self.pre_focus, self.object, &focus.content);
            let stored = stored
                .iter()
                .filter(|stored| overlay.current(stored).is_some_and(matches))
                .map(|stored| Candidate::Stored(stored.key));
            let new = overlay.with_value(*item, value).filter(|(_, focus)| matches(focus)).map(|(candidate, _)| candidate);
            // A focus can come both ways; the correlator counts it once.
            correlator.matched(rule, stored.chain(new));
        }
        Ok(())
    }
}

fn too_many() -> ItemError {
    ItemError::new(Category::Generic, format!("correlation has more than {MOST_CANDIDATES} candidates"))
}

impl<'a> Candidates<'a> {
    /// Nobody was asked yet.
    pub(crate) fn new(items: &'a [IndexedItem]) -> Self {
        Self { items, found: vec![HashMap::new(); items.len()] }
    }

    /// Asks for the owners of many objects, tier by tier, for as long as any is undecided.
    pub(crate) async fn ask(&mut self, part: &Part, sought: &mut [Sought<'_>]) -> Result<(), tidelock_repo::Error> {
        let nothing = Overlay::new(&[]);
        let mut undecided: Vec<(&mut Sought<'_>, Correlator<'_, Candidate>)> = sought
            .iter_mut()
            .map(|sought| {
                let type_ = sought.type_;
                (sought, Correlator::new(&type_.correlation))
            })
            .collect();
        let mut tier = 0;
        loop {
            undecided.retain(|(sought, _)| sought.keys.len() > tier);
            if undecided.is_empty() {
                return Ok(());
            }
            self.ask_for(part, undecided.iter().flat_map(|(sought, _)| sought.keys[tier].iter().flatten())).await?;
            undecided.retain_mut(|(sought, correlator)| {
                sought.asked = tier + 1;
                let weighed = sought.weigh(tier, correlator, self, &nothing);
                sought.result = correlator.finish();
                weighed.is_ok() && correlator.end_of_tier() == Verdict::Continue
            });
            tier += 1;
        }
    }

    /// A candidate as it was stored.
    pub(crate) fn stored(&self, sought: &Sought<'_>, key: tidelock_repo::FocusKey) -> Option<&StoredFocus> {
        sought.keys.iter().flatten().flatten().flat_map(|(item, value)| self.of(*item, value)).find(|stored| stored.key == key)
    }

    /// Every focus that the repository has named.
    pub(crate) fn all(&self) -> impl Iterator<Item = tidelock_repo::FocusKey> {
        self.found.iter().flat_map(HashMap::values).flatten().map(|stored| stored.key)
    }

    fn of(&self, item: usize, value: &str) -> &[StoredFocus] {
        self.found[item].get(value).map_or(&[], Vec::as_slice)
    }

    async fn ask_for<'k>(&mut self, part: &Part, keys: impl Iterator<Item = &'k Key>) -> Result<(), tidelock_repo::Error> {
        let mut wanted: Vec<Vec<Box<str>>> = vec![Vec::new(); self.items.len()];
        for (item, value) in keys {
            if !self.found[*item].contains_key(value) {
                self.found[*item].insert(value.clone(), Vec::new());
                wanted[*item].push(value.clone());
            }
        }
        for (at, values) in wanted.into_iter().enumerate().filter(|(_, values)| !values.is_empty()) {
            let found = part.engine.repo.find(&self.items[at], values.clone(), MOST_CANDIDATES + 1).await?;
            for (value, foci) in values.into_iter().zip(found) {
                if !foci.is_empty() {
                    self.found[at].insert(value, foci);
                }
            }
        }
        Ok(())
    }
}
