//! Matching rules (RFC 4517, 4.2): which values a server takes for the same.

use tidelock_model::object::MatchingRule;

/// Which values a rule takes for the same. Rules for substrings say it of parts of values.
///
/// A rule that is not known here is none of these: nothing is asked of a server by it, as it may find too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// Texts in any case, with more or fewer spaces where there are some.
    IgnoreCase,
    /// Texts with more or fewer spaces where there are some.
    ExactCase,
    /// Lists of texts in any case.
    List,
    /// Telephone numbers, with spaces and hyphens wherever they may be.
    Telephone,
    /// Digits, with spaces wherever they may be.
    Numeric,
    /// Whole numbers.
    Integer,
    /// `TRUE` and `FALSE`.
    Boolean,
    /// Classes, attributes and the like, by each of their names.
    Identifier,
    /// Distinguished names.
    Name,
    /// Distinguished names, with or without a number that tells those apart who had them.
    NameWithUid,
    /// UUIDs.
    Uuid,
    /// The same bytes, or the same moment.
    Bytes,
}

/// How a server's rule stands to one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finds {
    /// It finds the same values.
    Same,
    /// It finds these and may find others.
    More,
    /// It may not find all of these.
    Less,
}

/// The rules that are known, by name and object identifier: for whole values, and for parts of them.
const RULES: &[(&str, &str, Sameness)] = &[
    ("objectIdentifierMatch", "2.5.13.0", Sameness::Identifier),
    ("distinguishedNameMatch", "2.5.13.1", Sameness::Name),
    ("caseIgnoreMatch", "2.5.13.2", Sameness::IgnoreCase),
    ("caseIgnoreSubstringsMatch", "2.5.13.4", Sameness::IgnoreCase),
    ("caseExactMatch", "2.5.13.5", Sameness::ExactCase),
    ("caseExactSubstringsMatch", "2.5.13.7", Sameness::ExactCase),
    ("numericStringMatch", "2.5.13.8", Sameness::Numeric),
    ("numericStringSubstringsMatch", "2.5.13.10", Sameness::Numeric),
    ("caseIgnoreListMatch", "2.5.13.11", Sameness::List),
    ("caseIgnoreListSubstringsMatch", "2.5.13.12", Sameness::List),
    ("booleanMatch", "2.5.13.13", Sameness::Boolean),
    ("integerMatch", "2.5.13.14", Sameness::Integer),
    ("bitStringMatch", "2.5.13.16", Sameness::Bytes),
    ("octetStringMatch", "2.5.13.17", Sameness::Bytes),
    ("telephoneNumberMatch", "2.5.13.20", Sameness::Telephone),
    ("telephoneNumberSubstringsMatch", "2.5.13.21", Sameness::Telephone),
    ("uniqueMemberMatch", "2.5.13.23", Sameness::NameWithUid),
    ("generalizedTimeMatch", "2.5.13.27", Sameness::Bytes),
    ("caseExactIA5Match", "1.3.6.1.4.1.1466.109.114.1", Sameness::ExactCase),
    ("caseIgnoreIA5Match", "1.3.6.1.4.1.1466.109.114.2", Sameness::IgnoreCase),
    ("caseIgnoreIA5SubstringsMatch", "1.3.6.1.4.1.1466.109.114.3", Sameness::IgnoreCase),
    ("caseExactIA5SubstringsMatch", "1.3.6.1.4.1.4203.1.2.1", Sameness::ExactCase),
    ("UUIDMatch", "1.3.6.1.1.16.2", Sameness::Uuid),
];

/// The rules for orders that are known: those of whole numbers and of points in time.
const ORDERS: &[(&str, &str)] = &[("integerOrderingMatch", "2.5.13.15"), ("generalizedTimeOrderingMatch", "2.5.13.28")];

impl Sameness {
    /// What the rule of a name or an object identifier takes for the same; none if the rule is not known.
    pub(crate) fn of(rule: &str) -> Option<Self> {
        RULES.iter().find(|(name, oid, _)| name.eq_ignore_ascii_case(rule) || *oid == rule).map(|(_, _, found)| *found)
    }

    /// The rule of ours that comes nearest for texts.
    pub(crate) const fn rule(self) -> MatchingRule {
        match self {
            Self::IgnoreCase | Self::List | Self::Telephone | Self::Identifier => MatchingRule::StringIgnoreCase,
            Self::Uuid => MatchingRule::Uuid,
            Self::Name | Self::NameWithUid => MatchingRule::DistinguishedName,
            Self::ExactCase | Self::Numeric | Self::Integer | Self::Boolean | Self::Bytes => MatchingRule::Exact,
        }
    }

    /// Whether a server that goes by it finds the texts that one of our rules means.
    pub(crate) const fn finds(self, rule: MatchingRule) -> Finds {
        use MatchingRule::{DistinguishedName, Exact, PolyStringNorm, StringIgnoreCase, Uuid};
        match (self, rule) {
            (_, PolyStringNorm) => Finds::Less,
            (Self::IgnoreCase, StringIgnoreCase | Uuid) | (Self::Uuid, StringIgnoreCase | Uuid) => Finds::Same,
            (Self::ExactCase | Self::Bytes | Self::Boolean | Self::Integer, Exact) | (Self::Name, DistinguishedName) => {
                Finds::Same
            }
            (_, Exact) => Finds::More,
            (Self::List | Self::Telephone | Self::Identifier | Self::Boolean, StringIgnoreCase | Uuid) => Finds::More,
            (Self::Numeric | Self::Integer, StringIgnoreCase | Uuid) => Finds::More,
            (Self::NameWithUid, DistinguishedName) => Finds::More,
            _ => Finds::Less,
        }
    }
}

/// Whether the rule of a name or an object identifier is one of the orders that are known.
pub(crate) fn is_known_order(rule: &str) -> bool {
    ORDERS.iter().any(|(name, oid)| name.eq_ignore_ascii_case(rule) || *oid == rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_by_name_and_by_number() {
        for (name, oid, sameness) in RULES {
            assert_eq!((Sameness::of(&name.to_lowercase()), Sameness::of(oid)), (Some(*sameness), Some(*sameness)));
        }
        assert_eq!(Sameness::of("certificateExactMatch"), None);
    }

    /// Whoever compares by our nearest rule is never given too little.
    #[test]
    fn no_rule_misses_what_its_nearest_of_ours_means() {
        for (name, _, sameness) in RULES {
            assert_ne!(sameness.finds(sameness.rule()), Finds::Less, "{name}");
            assert_ne!(sameness.finds(MatchingRule::Exact), Finds::Less, "{name}");
        }
    }
}
