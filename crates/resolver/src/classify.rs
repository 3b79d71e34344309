//! Which type an object is of.

use tidelock_model::object::{ResourceObject, TypeId};

use crate::policy::{ResourcePolicy, TypePolicy};

/// Whether an object that is classified stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Classification {
    /// It stays what it is, as long as there is such a type: a change of delineations moves no object.
    #[default]
    Keep,
    /// It is classified anew.
    Forced,
}

/// The index of an object's type; none if no type claims it.
///
/// The same object and the same policy always give the same answer. Of types that match equally, the default of the class
/// wins, then one with a legacy `objectSynchronization`, then the one that is defined first.
#[must_use]
pub fn classify(
    policy: &ResourcePolicy,
    object: &ResourceObject,
    current: Option<&TypeId>,
    mode: Classification,
) -> Option<usize> {
    if mode == Classification::Keep
        && let Some(kept) = current.and_then(|id| policy.type_of(id))
    {
        return Some(kept);
    }
    // Of types with the same turn, `min_by_key` takes the first.
    let claiming = policy.types.iter().enumerate().filter(|(_, type_)| type_.claims(object));
    claiming.min_by_key(|(_, type_)| type_.turn()).map(|(index, _)| index)
}

impl TypePolicy {
    /// Whether an object meets everything that the type asks of its objects.
    #[must_use]
    pub fn claims(&self, object: &ResourceObject) -> bool {
        self.visible
            && *object.class == *self.class.name
            && self.delineation.matches(&object.attributes)
            && self.base_context.as_ref().is_none_or(|base| base.allows_type(object))
    }
}
