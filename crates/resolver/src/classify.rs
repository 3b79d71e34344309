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
    let mut first = None;
    for (index, type_) in policy.types.iter().enumerate() {
        let turn = type_.turn();
        // Filters cost the most: a type that could not win any more is not asked.
        if first.is_none_or(|(earliest, _)| turn < earliest) && type_.claims(object) {
            first = Some((turn, index));
        }
    }
    first.map(|(_, index)| index)
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
