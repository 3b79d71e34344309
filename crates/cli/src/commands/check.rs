//! `check`: validates definitions without storing them.

use std::path::PathBuf;

use tidelock_model::{Diagnostic, Severity};

use crate::config::Session;
use crate::definitions;
use crate::failure::{Exit, Failure};
use crate::output::{BAD, GOOD, text};
use crate::repository;
use crate::validate::{self, Tasks};

pub(super) async fn check(session: &Session, paths: &[PathBuf]) -> Result<Exit, Failure> {
    let given = definitions::read(paths, &session.sources);
    let repo = repository::look(session)?;
    let found = validate::validate(session, &repo, &given, Tasks::Prepared).await?;
    let wrong = found.iter().any(Diagnostic::is_error);
    let output = &session.output;
    if output.is_json() {
        output.document(&found)?;
    } else {
        output.findings(&found);
        let paint = output.paint();
        let many = |severity| found.iter().filter(|d| d.severity == severity).count() as u64;
        let errors = text::count(many(Severity::Error), "error", "errors");
        let warnings = text::count(many(Severity::Warning), "warning", "warnings");
        output.say(&format!(
            "{}, {}: {}, {warnings}",
            text::count(given.files as u64, "file", "files"),
            text::count(given.objects.len() as u64, "object", "objects"),
            paint.text(if wrong { BAD } else { GOOD }, errors),
        ))?;
    }
    Ok(if wrong { Exit::Definition } else { Exit::Done })
}
