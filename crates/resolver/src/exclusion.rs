//! Which objects synchronization passes over.

use tidelock_model::object::{Exclusion, ResourceObject};

use crate::policy::TypePolicy;

/// That an object is passed over. Its situation is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Why.
    pub reason: Exclusion,
    /// Whether the object counts as fully synchronized all the same. If not, only the basic timestamp is written.
    pub full: bool,
}

/// Whether an object of a type (none: it could not be classified) is passed over before its situation is looked at.
///
/// Of a gone object only what is still known of it is given: protection is then judged by that.
#[must_use]
pub fn exclusion(type_: Option<&TypePolicy>, object: Option<&ResourceObject>) -> Option<Excluded> {
    let excluded = |reason, full| Some(Excluded { reason, full });
    let Some(type_) = type_ else { return excluded(Exclusion::NoSynchronizationPolicy, true) };
    let Some(synchronization) = &type_.synchronization else {
        return excluded(Exclusion::NoSynchronizationPolicy, type_.visible);
    };
    if !type_.visible || !synchronization.visible {
        return excluded(Exclusion::NoSynchronizationPolicy, false);
    }
    if !synchronization.enabled {
        return excluded(Exclusion::SynchronizationDisabled, true);
    }
    if object.is_some_and(|object| type_.protected.matches(&object.attributes)) {
        return excluded(Exclusion::Protected, true);
    }
    None
}
