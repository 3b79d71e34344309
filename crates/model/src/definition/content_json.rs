//! The content of focus objects as JSON: what the repository stores, and what commands print. The form itself is that of
//! [`crate::json`].

use serde::Deserialize as _;

use crate::value::Items;

/// The items as a JSON value. Null only for a nesting that no definition can have.
#[must_use]
pub fn content_to_json(items: &Items) -> serde_json::Value {
    serde_json::to_value(items).unwrap_or_default()
}

/// Writes the items as JSON to the end of a text.
pub fn content_to_json_string(items: &Items, out: &mut String) {
    // Writing to memory does not fail, and every key is a text.
    out.push_str(&serde_json::to_string(items).unwrap_or_default());
}

/// Reads what [`content_to_json`] makes; none for anything that has no such form.
#[must_use]
pub fn content_from_json(json: &serde_json::Value) -> Option<Items> {
    Items::deserialize(json).ok()
}

/// Reads what [`content_to_json_string`] writes, without a JSON value in between.
#[must_use]
pub fn content_from_json_str(text: &str) -> Option<Items> {
    serde_json::from_str(text).ok()
}
