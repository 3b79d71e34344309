//! What is wrong, or worth knowing, about a definition: always with a place, a code and, where there is one, the cure.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can be used, but probably not as its author meant.
    Warning,
    /// Good to know.
    Info,
}

/// Where in a file something stands. Lines and columns count from 1; columns count characters. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place {
    /// The file as the user named it; none for text that came from elsewhere.
    pub file: Option<Arc<str>>,
    /// The line; 0 where it is not known.
    pub line: u32,
    /// The column; 0 where it is not known.
    pub column: u32,
}

/// One finding about a definition. Its JSON form is the command line's contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// A stable code, such as `no-object-class`.
    pub code: &'static str,
    /// One sentence that says what is wrong, without a final stop.
    pub message: String,
    /// Where.
    #[serde(flatten, serialize_with = "place")]
    pub place: Place,
    /// What to do about it.
    pub help: Option<String>,
}

/// Findings in the order they were made.
pub type Diagnostics = Vec<Diagnostic>;

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, place, message)
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, place, message)
    }

    /// An information at a place.
    pub fn info(code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Info, code, place, message)
    }

    fn new(severity: Severity, code: &'static str, place: &Place, message: impl Into<String>) -> Self {
        Self { severity, code, message: bounded(message.into(), LONGEST), place: place.clone(), help: None }
    }

    /// The same with a cure.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(bounded(help.into(), LONGEST_HELP));
        self
    }

    /// Whether it makes the definition unusable.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The longest message, in bytes. Names and values in a definition may be of any length, and a message is read by people.
const LONGEST: usize = 1000;

/// The longest help, in bytes: it may be a whole definition, rewritten.
const LONGEST_HELP: usize = 100_000;

/// The text, its middle left out where it is too long.
fn bounded(text: String, longest: usize) -> String {
    if text.len() <= longest {
        return text;
    }
    let begin = text.floor_char_boundary(longest / 2);
    let end = text.ceil_char_boundary(text.len() - longest / 2);
    format!("{}…{}", &text[..begin], &text[end..])
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.as_deref().unwrap_or("-"), self.line, self.column)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        write!(f, "{}: {severity}[{}]: {}", self.place, self.code, self.message)
    }
}

impl std::error::Error for Diagnostic {}

fn place<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(Some(3))?;
    map.serialize_entry("file", &place.file.as_deref())?;
    // A finding about a file as a whole is shown at its beginning: editors know no line before the first.
    let first = u32::from(place.file.is_some());
    map.serialize_entry("line", &place.line.max(first))?;
    map.serialize_entry("column", &place.column.max(first))?;
    map.end()
}
