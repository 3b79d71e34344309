//! The situation of a resource object: how it relates to our foci.

use tidelock_model::object::Situation;

use crate::correlate::Correlation;

/// The situation of an object.
///
/// `gone` is whether the object is no longer on the resource, `linked` whether a focus owns its shadow; `correlation` is what
/// correlation said, or none if it failed or could not be run, which is as uncertain as an object can be.
#[must_use]
pub const fn situation<K>(gone: bool, linked: bool, correlation: Option<&Correlation<K>>) -> Situation {
    match (gone, linked, correlation) {
        (true, _, _) => Situation::Deleted,
        (false, true, _) => Situation::Linked,
        (false, false, Some(Correlation::Owner(_))) => Situation::Unlinked,
        (false, false, Some(Correlation::None)) => Situation::Unmatched,
        (false, false, Some(Correlation::Uncertain(_)) | None) => Situation::Disputed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_situation_follows_from_link_and_correlation() {
        let correlations = [None, Some(Correlation::Owner(1)), Some(Correlation::None), Some(Correlation::Uncertain(vec![1, 2]))];
        for correlation in &correlations {
            for linked in [false, true] {
                assert_eq!(situation(true, linked, correlation.as_ref()), Situation::Deleted);
            }
            assert_eq!(situation(false, true, correlation.as_ref()), Situation::Linked);
        }
        let unlinked = correlations.each_ref().map(|c| situation(false, false, c.as_ref()));
        assert_eq!(unlinked, [Situation::Disputed, Situation::Unlinked, Situation::Unmatched, Situation::Disputed]);
    }
}
