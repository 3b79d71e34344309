//! Focus objects as definitions.

use crate::definition::table::At;
use crate::diagnostic::Place;
use crate::object::FocusType;
use crate::oid::Oid;
use crate::value::{Items, Value};

/// A person, role, organization or service as a definition has it.
///
/// Equality leaves the place out.
#[derive(Clone, Debug)]
pub struct FocusObject {
    /// Where it begins.
    pub place: Place,
    /// The OID.
    pub oid: Option<At<Oid>>,
    /// What it is.
    pub focus_type: FocusType,
    /// Everything else, as [`crate::object::Focus`] has it.
    pub content: Items,
}

impl FocusObject {
    /// The `name` item, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.content.first("name").and_then(Value::as_str)
    }
}

impl PartialEq for FocusObject {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid && self.focus_type == other.focus_type && self.content == other.content
    }
}
