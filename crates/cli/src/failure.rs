//! Exit statuses, and why a command could not do what was asked.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use tidelock_activities::{RunReport, RunStatus, Status};
use tidelock_connector_api::ErrorKind as ResourceErrorKind;
use tidelock_model::{Diagnostic, Diagnostics, Place};
use tidelock_repo::ErrorKind;

/// How a command ended, for the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, no errors.
    Done = 0,
    /// Finished, some items failed.
    Partial = 1,
    /// Stopped by an error.
    Fatal = 2,
    /// A definition is wrong; nothing was run or stored.
    Definition = 3,
    /// Running again later may succeed.
    Temporary = 4,
    /// Wrong usage.
    Usage = 64,
    /// Interrupted.
    Interrupted = 130,
}

/// Why a command could not do what was asked: one error that stands for all, and everything that was found.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<Diagnostic>,
    /// Everything found, the error among it if it is a finding about a definition.
    pub(crate) diagnostics: Diagnostics,
    /// Nobody reads the output any longer, so there is nothing to print.
    pub(crate) silent: bool,
}

impl Failure {
    /// The command was called in a way that makes no sense.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(Exit::Usage, Diagnostic::error("usage", &Place::default(), message).with_help(help))
    }

    /// The command cannot go on.
    pub(crate) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::Fatal, Diagnostic::error(code, &Place::default(), message))
    }

    /// A definition is wrong. At least one of the findings should be an error; the first one stands for all.
    pub(crate) fn definition(diagnostics: Diagnostics) -> Self {
        let first = diagnostics.iter().find(|d| d.is_error()).or(diagnostics.first()).cloned();
        let error = first.unwrap_or_else(|| Diagnostic::error("definition", &Place::default(), "a definition is wrong"));
        Self { diagnostics, ..Self::new(Exit::Definition, error) }
    }

    /// One definition is wrong, in one way.
    pub(crate) fn of_definition(error: Diagnostic) -> Self {
        Self::definition(vec![error])
    }

    /// One error, and the exit status that it stands for.
    pub(crate) fn of_error(exit: Exit, error: Diagnostic) -> Self {
        Self::new(exit, error)
    }

    /// The repository failed.
    pub(crate) fn repository(error: &tidelock_repo::Error, path: &Path) -> Self {
        let place = Place { file: Some(path.to_string_lossy().into()), ..Place::default() };
        let (exit, code) = match error.kind() {
            ErrorKind::Locked => (Exit::Temporary, "repository-locked"),
            ErrorKind::NotOurs => (Exit::Fatal, "repository-not-ours"),
            ErrorKind::Newer => (Exit::Fatal, "repository-newer"),
            ErrorKind::Duplicate => (Exit::Definition, "duplicate-object"),
            _ => (Exit::Fatal, "repository"),
        };
        let diagnostic = Diagnostic::error(code, &place, with_causes(error));
        let help = error.help().unwrap_or(match error.kind() {
            ErrorKind::Locked => "try again when the other process is done",
            ErrorKind::Duplicate => "give one of the objects another name or OID",
            _ => "see that file and folder can be read and written, and that the disk is not full",
        });
        Self::new(exit, diagnostic.with_help(help))
    }

    /// The resource, or the way to it, failed.
    pub(crate) fn resource(error: &tidelock_connector_api::Error, place: &Place) -> Self {
        let (exit, code) = match error.kind() {
            ResourceErrorKind::Unreachable | ResourceErrorKind::Throttled | ResourceErrorKind::OutcomeUnknown => {
                (Exit::Temporary, "resource-unreachable")
            }
            ResourceErrorKind::Unauthenticated | ResourceErrorKind::Denied => (Exit::Fatal, "resource-denied"),
            ResourceErrorKind::Config => (Exit::Definition, "resource-configuration"),
            ResourceErrorKind::Unsupported => (Exit::Definition, "not-supported"),
            _ => (Exit::Fatal, "resource-error"),
        };
        let help = match exit {
            Exit::Temporary => "try again when the resource is back",
            Exit::Definition => "correct the connector configuration of the resource, or what it points to",
            _ => "look at the resource, and at the rights of the connector's account",
        };
        Self::new(exit, Diagnostic::error(code, place, error.full_message()).with_help(help))
    }

    /// A run that did not begin, or would not.
    pub(crate) fn not_begun(report: RunReport) -> Self {
        let exit = Exit::of_run(report.status, report.run_status);
        match report.error {
            Some(error) => Self::of_error(exit, error),
            None => Self::fatal("resource", "the resource cannot be used now"),
        }
    }

    /// The output cannot be written.
    pub(crate) fn output(error: &io::Error) -> Self {
        let closed = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Self::fatal("output", format!("cannot write the output: {error}"));
        Self { silent: closed, exit: if closed { Exit::Done } else { Exit::Fatal }, ..failure }
    }

    /// The same with more findings before its own.
    pub(crate) fn after(mut self, mut earlier: Diagnostics) -> Self {
        earlier.retain(|d| !self.diagnostics.contains(d));
        earlier.append(&mut self.diagnostics);
        Self { diagnostics: earlier, ..self }
    }

    fn new(exit: Exit, error: Diagnostic) -> Self {
        Self { exit, error: Box::new(error), diagnostics: Vec::new(), silent: false }
    }
}

impl Exit {
    /// The exit status of a run.
    pub(crate) fn of_run(status: Status, run_status: RunStatus) -> Self {
        match (run_status, status) {
            (RunStatus::Interrupted, _) => Self::Interrupted,
            (RunStatus::TemporaryError, _) => Self::Temporary,
            (RunStatus::PermanentError | RunStatus::HaltingError, _) | (_, Status::FatalError) => Self::Fatal,
            (RunStatus::Finished, Status::PartialError) => Self::Partial,
            (RunStatus::Finished, Status::Success | Status::Warning) => Self::Done,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::output(&error)
    }
}

/// The message of an error with those of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_of_a_run_follows_its_end_then_its_items() {
        use RunStatus::{Finished, HaltingError, Interrupted, PermanentError, TemporaryError};
        use Status::{FatalError, PartialError, Success, Warning};
        for (run_status, status, exit) in [
            (Finished, Success, 0),
            (Finished, Warning, 0),
            (Finished, PartialError, 1),
            (Finished, FatalError, 2),
            (PermanentError, PartialError, 2),
            (HaltingError, Success, 2),
            (TemporaryError, FatalError, 4),
            (Interrupted, PartialError, 130),
        ] {
            assert_eq!(Exit::of_run(status, run_status) as u8, exit, "{run_status:?} {status:?}");
        }
    }

    #[test]
    fn a_repository_in_use_is_temporary_and_others_are_not() {
        for (kind, exit, code) in [
            (ErrorKind::Locked, Exit::Temporary, "repository-locked"),
            (ErrorKind::NotOurs, Exit::Fatal, "repository-not-ours"),
            (ErrorKind::Newer, Exit::Fatal, "repository-newer"),
            (ErrorKind::Storage, Exit::Fatal, "repository"),
            (ErrorKind::Corrupt, Exit::Fatal, "repository"),
        ] {
            let failure = Failure::repository(&tidelock_repo::Error::new(kind, "it is so"), Path::new("t.db"));
            assert_eq!((failure.exit, failure.error.code), (exit, code));
            assert_eq!(failure.error.place.file.as_deref(), Some("t.db"));
            assert!(failure.error.help.is_some());
        }
    }

    #[test]
    fn what_was_found_earlier_comes_first_and_once() {
        let place = Place::default();
        let (a, b) = (Diagnostic::warning("a", &place, "a"), Diagnostic::error("b", &place, "b"));
        let failure = Failure::definition(vec![b.clone()]).after(vec![a.clone(), b.clone()]);
        assert_eq!(failure.diagnostics, [a, b.clone()]);
        assert_eq!(*failure.error, b);
    }
}
