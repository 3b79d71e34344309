//! Which focus an object belongs to.
//!
//! The repository is asked for candidates by one item of each rule ([`search_key`]); whatever it gives is checked against the
//! whole rule ([`rule_matches`]), and a [`Correlator`] weighs what the rules of one tier after the other have found.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tidelock_model::object::{FocusType, MatchingRule, ResourceObject};
use tidelock_model::{Items, Place, Value};

use crate::policy::ResourcePolicy;

/// How owners are found. Without a rule there are none.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationPolicy {
    /// Where it is defined.
    pub place: Place,
    /// The rules, in the order in which they are asked.
    pub tiers: Vec<Tier>,
    /// From this confidence on (inclusive) a candidate is the owner.
    pub definite: f64,
    /// From this confidence on (inclusive) a candidate counts at all.
    pub candidate: f64,
}

/// Rules that are asked before a decision is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    /// The rules, in the order in which they are weighed.
    pub rules: Vec<Rule>,
}

/// One way to recognize an owner: all of its items must agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What its author calls it, or a number.
    pub name: Arc<str>,
    /// Where it is defined.
    pub place: Place,
    /// What a match adds to a candidate's confidence.
    pub weight: f64,
    /// The rules, asked earlier, that make this one count for nothing where they have matched the same candidate.
    pub ignore_if_matched_by: Vec<Arc<str>>,
    /// What must agree; never empty. The repository is asked by the first.
    pub items: Vec<RuleItem>,
}

/// One item of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleItem {
    /// Where it is defined.
    pub place: Place,
    /// The path of keys in the focus.
    pub path: Box<[Arc<str>]>,
    /// Which values count as the same.
    pub rule: MatchingRule,
    /// What it is compared with.
    pub source: ItemSource,
}

/// Where the value comes from that an item is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemSource {
    /// The same item of what the mappings before correlation give.
    PreFocus,
    /// An attribute of the object.
    Attribute(Arc<str>),
}

/// Why correlation cannot say anything about an object. No value is in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({place})")]
pub struct CorrelationError {
    /// What is wrong.
    pub message: String,
    /// The rule or item that cannot be asked.
    pub place: Place,
}

/// What correlation has found. `K` is whatever the caller tells candidates apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correlation<K = usize> {
    /// This one.
    Owner(K),
    /// Nobody.
    None,
    /// One of these perhaps, the likeliest first.
    Uncertain(Vec<K>),
}

/// Whether another tier is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exactly one candidate is the owner.
    Decided,
    /// The next tier is needed.
    Continue,
}

/// An item of foci that owners are sought by: which foci, the path of keys, and which values count as the same.
pub type Indexed = (FocusType, Box<[Arc<str>]>, MatchingRule);

/// The most candidates that one rule may have.
pub const MOST_CANDIDATES: usize = 100;

/// Sums of weights such as 0.7 + 0.1 + 0.2 are meant to reach 1.
const TOLERANCE: f64 = 1e-9;

/// Weighs candidates, rule by rule and tier by tier.
#[derive(Clone, Debug)]
pub struct Correlator<'a, K> {
    policy: &'a CorrelationPolicy,
    candidates: BTreeMap<K, Candidate<'a>>,
}

#[derive(Clone, Debug, Default)]
struct Candidate<'a> {
    confidence: f64,
    matched_by: Vec<&'a str>,
}

impl CorrelationPolicy {
    /// A policy without rules: no object has an owner.
    #[must_use]
    pub fn none(place: &Place) -> Self {
        Self { place: place.clone(), tiers: Vec::new(), definite: 1.0, candidate: 0.0 }
    }
}

impl<'a, K: Ord + Clone> Correlator<'a, K> {
    /// Starts without candidates.
    #[must_use]
    pub const fn new(policy: &'a CorrelationPolicy) -> Self {
        Self { policy, candidates: BTreeMap::new() }
    }

    /// Takes in the candidates that a rule has matched. Rules come in the order of the policy.
    pub fn matched(&mut self, rule: &'a Rule, candidates: impl IntoIterator<Item = K>) {
        for key in candidates {
            let candidate = self.candidates.entry(key).or_default();
            if candidate.matched_by.contains(&&*rule.name) {
                continue;
            }
            let ignored = rule.ignore_if_matched_by.iter().any(|earlier| candidate.matched_by.contains(&&**earlier));
            candidate.matched_by.push(&rule.name);
            if !ignored {
                candidate.confidence = (candidate.confidence + rule.weight).min(1.0);
            }
        }
    }

    /// Whether the tier whose rules have just been taken in has decided.
    #[must_use]
    pub fn end_of_tier(&self) -> Verdict {
        if self.definite().is_some() { Verdict::Decided } else { Verdict::Continue }
    }

    /// What has been found in the end.
    #[must_use]
    pub fn finish(&self) -> Correlation<K> {
        if let Some(owner) = self.definite() {
            return Correlation::Owner(owner.clone());
        }
        let mut options: Vec<_> = self.candidates.iter().filter(|(_, c)| reaches(c.confidence, self.policy.candidate)).collect();
        if options.is_empty() {
            return Correlation::None;
        }
        // The sort is stable: of equals the one with the smaller key comes first.
        options.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));
        Correlation::Uncertain(options.into_iter().map(|(key, _)| key.clone()).collect())
    }

    /// The only candidate that is certain.
    fn definite(&self) -> Option<&K> {
        let mut certain = self.candidates.iter().filter(|(_, c)| reaches(c.confidence, self.policy.definite));
        match (certain.next(), certain.next()) {
            (Some((key, _)), None) => Some(key),
            _ => None,
        }
    }
}

fn reaches(confidence: f64, threshold: f64) -> bool {
    confidence + TOLERANCE >= threshold
}

/// By what the repository is asked for the candidates of a rule: the index of the item in the rule, and the normalized value.
/// None if any item of the rule has nothing to be compared with: the rule then matches nobody.
///
/// # Errors
/// Several values for an item.
pub fn search_key(
    rule: &Rule,
    pre_focus: &Items,
    object: &ResourceObject,
) -> Result<Option<(usize, Box<str>)>, CorrelationError> {
    let mut first = None;
    for item in &rule.items {
        match item.value(pre_focus, object)? {
            None => return Ok(None),
            Some(value) if first.is_none() => first = Some(value.into_owned().into()),
            Some(_) => {}
        }
    }
    Ok(first.map(|value| (0, value)))
}

/// Whether a focus agrees with an object in all items of a rule: just what a search of the repository would say.
#[must_use]
pub fn rule_matches(rule: &Rule, pre_focus: &Items, object: &ResourceObject, candidate: &Items) -> bool {
    rule.items.iter().all(|item| {
        let Ok(Some(wanted)) = item.value(pre_focus, object) else { return false };
        candidate.at_path(&item.path).into_iter().filter_map(Value::to_text).any(|text| item.rule.normalize(&text) == wanted)
    })
}

/// Every item of foci that the repository should be able to search by, each once.
#[must_use]
pub fn indexed_items(policy: &ResourcePolicy) -> Vec<Indexed> {
    let mut indexed = Vec::new();
    for type_ in &policy.types {
        for item in type_.correlation.tiers.iter().flat_map(|tier| &tier.rules).filter_map(|rule| rule.items.first()) {
            let wanted = (type_.focus_type, item.path.clone(), item.rule);
            if !indexed.contains(&wanted) {
                indexed.push(wanted);
            }
        }
    }
    indexed
}

impl RuleItem {
    /// The normalized value that the item of a focus is compared with.
    fn value<'a>(&self, pre_focus: &'a Items, object: &'a ResourceObject) -> Result<Option<Cow<'a, str>>, CorrelationError> {
        let from_focus;
        let values: &[&Value] = match &self.source {
            ItemSource::PreFocus => {
                from_focus = pre_focus.at_path(&self.path);
                &from_focus
            }
            ItemSource::Attribute(name) => {
                from_focus = object.attributes.get(name).iter().collect();
                &from_focus
            }
        };
        match *values {
            [] => Ok(None),
            [value] => {
                let normal = value.to_text().map(|text| match text {
                    Cow::Borrowed(text) => self.rule.normalize(text),
                    Cow::Owned(text) => Cow::Owned(self.rule.normalize(&text).into_owned()),
                });
                // What a rule makes nothing of (`-` among letters and digits) is no reason to take all such for the same person.
                Ok(normal.filter(|text| !text.is_empty()))
            }
            _ => Err(CorrelationError {
                message: format!("'{}' has several values, and correlation can use only one", self.path.join("/")),
                place: self.place.clone(),
            }),
        }
    }
}
