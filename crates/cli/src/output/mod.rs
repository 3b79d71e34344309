//! Everything that is printed: results on standard output, all else on standard error.

pub(crate) mod diagnostics;
pub(crate) mod explanation;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;
use tidelock_model::Diagnostic;

use crate::args::{Format, Global};
use crate::failure::{Exit, Failure};
use crate::sources::Sources;

/// The way to the user. Clones are the same way.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    colour_on_stdout: bool,
    colour_on_stderr: bool,
    sources: Sources,
    bars: MultiProgress,
}

/// Bold.
pub(crate) const STRONG: Style = Style::new().bold();
/// For what is less important.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// For what went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// For what should be looked at.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
/// For what went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

impl Output {
    /// The way to the user of this process.
    pub(crate) fn new(format: Format, global: &Global) -> Self {
        // See no-color.org: any value but an empty one.
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self {
            format,
            quiet: global.quiet,
            colour_on_stdout: wanted && io::stdout().is_terminal(),
            colour_on_stderr: wanted && io::stderr().is_terminal(),
            sources: Sources::default(),
            bars,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(crate) fn colour_on_stderr(&self) -> bool {
        self.colour_on_stderr
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// How results for people are painted.
    pub(crate) fn paint(&self) -> Paint {
        Paint(self.colour_on_stdout)
    }

    /// Standard output, for large results. What it is given must be flushed at the end.
    pub(crate) fn results(&self) -> BufWriter<io::StdoutLock<'static>> {
        BufWriter::with_capacity(1 << 16, io::stdout().lock())
    }

    /// Prints the one JSON document.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<(), Failure> {
        let mut out = self.results();
        serde_json::to_writer_pretty(&mut out, document).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    /// Prints a result for people.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        let mut out = self.results();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') && !text.is_empty() {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Tells people something beside the results; nothing in JSON and with `-q`.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet && !self.is_json() {
            self.on_stderr(text);
        }
    }

    /// Tells something about a result that is not part of it, in JSON as well.
    pub(crate) fn aside(&self, text: &str) {
        self.on_stderr(text);
    }

    /// Says how far something is; nothing with `-q`.
    pub(crate) fn progress(&self, line: &str) {
        if !self.quiet {
            self.on_stderr(line);
        }
    }

    /// Shows findings to people; in JSON they are part of the document.
    pub(crate) fn findings(&self, diagnostics: &[Diagnostic]) {
        if !self.is_json() {
            self.findings_beside(diagnostics);
        }
    }

    /// Shows findings that are in no document: to people, and in JSON as well.
    pub(crate) fn findings_beside(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics.iter().filter(|d| !self.quiet || d.is_error()) {
            self.on_stderr(&diagnostics::render(diagnostic, &self.sources, self.colour_on_stderr));
        }
    }

    /// Says why a command could not do what was asked.
    pub(crate) fn failure(&self, failure: &Failure) -> Exit {
        if failure.silent {
            return failure.exit;
        }
        if self.is_json() {
            let document = json::Wrong { error: &failure.error, diagnostics: &failure.diagnostics };
            // If not even this can be written, the exit status is all that is left to say.
            let _ = self.document(&document);
        } else {
            self.findings(&failure.diagnostics);
            if !failure.diagnostics.contains(&failure.error) {
                self.findings(std::slice::from_ref(&failure.error));
            }
        }
        failure.exit
    }

    /// Takes the progress bar away while something else writes to standard error.
    pub(crate) fn beside_the_bar<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bars.suspend(write)
    }

    /// A line on standard error. Where it cannot be written there is nobody to tell.
    fn on_stderr(&self, text: &str) {
        self.beside_the_bar(|| {
            let mut stderr = io::stderr().lock();
            let _ = writeln!(stderr, "{}", text.trim_end_matches('\n'));
        });
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colours at all.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(false);

    /// The text in a style.
    pub(crate) fn text(self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
