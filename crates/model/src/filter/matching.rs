//! Comparing texts by a matching rule, without allocation where the texts are ASCII or the rule is the exact one.

use std::cmp::Ordering;

use crate::object::schema::MatchingRule;

impl MatchingRule {
    /// Whether a text counts as the same as one that is in normal form already.
    #[must_use]
    pub fn equals(self, text: &str, normal: &str) -> bool {
        match self {
            Self::Exact => text == normal,
            Self::StringIgnoreCase | Self::Uuid if text.is_ascii() => is_lower_of(text, normal),
            _ => *self.normalize(text) == *normal,
        }
    }

    /// Whether a text contains one that is in normal form already: at its start, at its end, both (so it is all of it), or
    /// anywhere.
    #[must_use]
    pub fn has_part(self, text: &str, normal: &str, at_start: bool, at_end: bool) -> bool {
        let part = |text: &str| match (at_start, at_end) {
            (true, true) => *text == *normal,
            (true, false) => text.starts_with(normal),
            (false, true) => text.ends_with(normal),
            (false, false) => text.contains(normal),
        };
        match self {
            Self::Exact => part(text),
            Self::StringIgnoreCase | Self::Uuid if text.is_ascii() => ascii_part(text, normal, at_start, at_end),
            _ => part(&self.normalize(text)),
        }
    }

    /// How a text stands to one that is in normal form already.
    #[must_use]
    pub fn order(self, text: &str, normal: &str) -> Ordering {
        match self {
            Self::Exact => text.cmp(normal),
            Self::StringIgnoreCase | Self::Uuid if text.is_ascii() => {
                text.bytes().map(|b| b.to_ascii_lowercase()).cmp(normal.bytes())
            }
            _ => (*self.normalize(text)).cmp(normal),
        }
    }
}

/// Whether an ASCII text in lower case is this one.
fn is_lower_of(text: &str, lower: &str) -> bool {
    text.len() == lower.len() && text.bytes().zip(lower.bytes()).all(|(a, b)| a.to_ascii_lowercase() == b)
}

fn ascii_part(text: &str, lower: &str, at_start: bool, at_end: bool) -> bool {
    // A part that is not ASCII may cut through a character of the text, but then the text is not ASCII.
    let Some(spare) = text.len().checked_sub(lower.len()) else { return false };
    let at = |from: usize| text.get(from..from + lower.len()).is_some_and(|part| is_lower_of(part, lower));
    match (at_start, at_end) {
        (true, true) => spare == 0 && at(0),
        (true, false) => at(0),
        (false, true) => at(spare),
        (false, false) => (0..=spare).any(at),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: [MatchingRule; 5] = [
        MatchingRule::Exact,
        MatchingRule::StringIgnoreCase,
        MatchingRule::DistinguishedName,
        MatchingRule::Uuid,
        MatchingRule::PolyStringNorm,
    ];

    proptest! {
        #[test]
        fn the_short_ways_agree_with_the_normal_forms(text in "[aAbBſKßİΣ ,=]{0,6}", wanted in "[aAbBkKsΣσİ ,=]{0,4}") {
            for rule in RULES {
                let (whole, normal) = (rule.normalize(&text), rule.normalize(&wanted));
                prop_assert_eq!(rule.equals(&text, &normal), whole == normal);
                prop_assert_eq!(rule.order(&text, &normal), (*whole).cmp(&*normal));
                prop_assert_eq!(rule.has_part(&text, &normal, false, false), whole.contains(&*normal));
                prop_assert_eq!(rule.has_part(&text, &normal, true, false), whole.starts_with(&*normal));
                prop_assert_eq!(rule.has_part(&text, &normal, false, true), whole.ends_with(&*normal));
                prop_assert_eq!(rule.has_part(&text, &normal, true, true), whole == normal);
            }
        }
    }
}
