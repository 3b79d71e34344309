//! What holds across reading, writing, binding and evaluating.
#![allow(clippy::unwrap_used)]

mod bound;
mod document;
mod generate;
mod memory;
mod split;
mod text;

use tidelock_model::document::Scope;
use tidelock_model::filter::Filter;
use tidelock_model::{Diagnostic, Place};

/// The filter that a text means.
fn filter(text: &str) -> Filter {
    try_filter(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn try_filter(text: &str) -> Result<Filter, Diagnostic> {
    super::parse(text, &Place::default(), &Scope::well_known())
}

/// A diagnostic as a line of text, with its help.
fn line(diagnostic: &Diagnostic) -> String {
    let Place { line, column, .. } = diagnostic.place;
    let help = diagnostic.help.as_deref().map(|help| format!(" | {help}")).unwrap_or_default();
    format!("{line}:{column} [{}] {}{help}\n", diagnostic.code, diagnostic.message)
}
