//! The resolution matrix against an independent restatement of the rules.

use tidelock_resolver::object_set::{ActivityKind, Profile, resolve};

use crate::oracle::{cases, expected, policy, shown};

#[test]
fn every_combination_is_resolved_by_the_rules() {
    let policy = policy();
    let mut compared = 0;
    for case in cases() {
        let set = case.object_set();
        for profile in [Profile::Documented, Profile::Midpoint48] {
            for activity in ActivityKind::ALL {
                let found = shown(resolve(activity, &set, &policy, profile));
                assert_eq!(found, expected(profile, activity, &case), "{activity:?} {profile} of {case:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 9 * 3 * (5 * 6 * 4 + 2 * 2 * 3) * 20);
}
