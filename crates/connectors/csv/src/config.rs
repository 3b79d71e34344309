//! The connector's configuration: its options, and how they are read from a resource definition.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use encoding_rs::{Encoding, UTF_8};
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::{Diagnostic, Diagnostics, Place, QName};

use crate::connector::Csv;
use crate::multivalue::Splitter;
use crate::record::Dialect;

/// The namespace of the configuration properties.
pub const BUNDLE_NAMESPACE: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/com.evolveum.polygon.connector-csv/com.evolveum.polygon.connector.csv.CsvConnector";

/// Everything that can be configured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CsvConfig {
    /// The file.
    pub path: PathBuf,
    /// Its encoding, where no byte order mark says another.
    pub encoding: &'static Encoding,
    /// How fields and records are told apart.
    pub dialect: Dialect,
    /// Whether every line ends with a delimiter that begins no field.
    pub trailing_delimiter: bool,
    /// Whether spaces at both ends of a value are taken away, inside quotes as well.
    pub trim: bool,
    /// Whether lines with nothing but blank fields are passed over rather than reported.
    pub ignore_empty_lines: bool,
    /// Whether the first record names the columns; without, they are `col0`, `col1` and so on.
    pub header: bool,
    /// The column of the primary identifier.
    pub unique_attribute: Arc<str>,
    /// The column that names objects; none means the primary identifier.
    pub name_attribute: Option<Arc<str>>,
    /// A column that is never read.
    pub password_attribute: Option<Arc<str>>,
    /// How cells with several values are split; none means that there are none.
    pub multi_value: Option<MultiValue>,
    /// Whether identifiers that differ in case only are the same.
    pub ignore_identifier_case: bool,
    /// Whether a file with a header and no rows is a complete answer: a resource without objects.
    pub allow_empty: bool,
}

/// Cells with several values.
#[derive(Clone, Debug)]
pub struct MultiValue {
    /// What stands between the values.
    pub splitter: Splitter,
    /// The columns that are split; none means every one but the identifiers.
    pub columns: Option<Vec<Arc<str>>>,
}

/// One property as a definition gives it.
pub(crate) struct Property<'a> {
    pub(crate) name: &'a QName,
    pub(crate) values: Vec<(&'a str, &'a Place)>,
    pub(crate) place: &'a Place,
}

/// What we do with a property.
enum Use {
    /// It is honoured.
    Honoured,
    /// It concerns writing only, which makes no difference to reading.
    Writing,
    /// It is decided elsewhere: the program says where snapshots are kept, and which are still needed.
    Elsewhere,
    /// It would make a difference, and does not.
    NotSupported,
    /// The same, if it says `true`.
    NotSupportedIfTrue,
}

const PROPERTIES: &[(&str, Use)] = &[
    ("allowEmpty", Use::Honoured),
    ("auxiliary", Use::NotSupportedIfTrue),
    ("commentMarker", Use::Honoured),
    ("container", Use::NotSupportedIfTrue),
    ("encoding", Use::Honoured),
    ("escape", Use::Honoured),
    ("fieldDelimiter", Use::Honoured),
    ("filePath", Use::Honoured),
    ("headerExists", Use::Honoured),
    ("ignoreEmptyLines", Use::Honoured),
    ("ignoreIdentifierCase", Use::Honoured),
    ("ignoreSurroundingSpaces", Use::Honoured),
    ("lastLoginDateAttribute", Use::NotSupported),
    ("lastLoginDateFormat", Use::NotSupported),
    ("multivalueAttributes", Use::Honoured),
    ("multivalueDelimiter", Use::Honoured),
    ("nameAttribute", Use::Honoured),
    ("objectClassDefinition", Use::NotSupported),
    ("passwordAttribute", Use::Honoured),
    ("preserveOldSyncFiles", Use::Elsewhere),
    ("quote", Use::Honoured),
    ("quoteMode", Use::Writing),
    ("readOnly", Use::Writing),
    ("recordSeparator", Use::Writing),
    ("tmpFolder", Use::Elsewhere),
    ("trailingDelimiter", Use::Honoured),
    ("trim", Use::Honoured),
    ("uniqueAttribute", Use::Honoured),
];

const QUOTE_MODES: [&str; 5] = ["ALL", "MINIMAL", "NON_NUMERIC", "NONE", "ALL_NON_NULL"];

impl CsvConfig {
    /// The defaults, for a file and its identifier column.
    pub fn new(path: impl Into<PathBuf>, unique_attribute: impl Into<Arc<str>>) -> Self {
        Self {
            path: path.into(),
            encoding: UTF_8,
            dialect: Dialect {
                delimiter: b';',
                quote: Some(b'"'),
                escape: Some(b'\\'),
                comment: Some(b'#'),
                ignore_surrounding_spaces: false,
            },
            trailing_delimiter: false,
            trim: false,
            ignore_empty_lines: true,
            header: true,
            unique_attribute: unique_attribute.into(),
            name_attribute: None,
            password_attribute: None,
            multi_value: None,
            ignore_identifier_case: false,
            allow_empty: false,
        }
    }

    /// A cell, or a part of one, as a value.
    pub(crate) fn value<'a>(&self, cell: &'a str) -> &'a str {
        if self.trim { cell.trim_matches(|c: char| c <= ' ') } else { cell }
    }
}

/// Opens the connector that a definition configures. A relative file path is relative to `base`, the definition's folder.
///
/// Nothing is read yet: a missing file is noticed by [`tidelock_connector_api::Connector::test`].
///
/// # Errors
/// Everything that is wrong with the configuration, each with its place and cure. What is merely doubtful comes with the
/// connector, as its [`Csv::warnings`].
pub fn open(configuration: &ConnectorConfiguration, base: &Path) -> Result<Csv, Diagnostics> {
    let properties: Vec<Property<'_>> = configuration
        .properties
        .iter()
        .map(|property| Property {
            name: &property.name,
            values: property.values.iter().map(|value| (value.value.as_str(), &value.place)).collect(),
            place: &property.place,
        })
        .collect();
    match read(&properties, &configuration.place, base) {
        (Some(config), warnings) => Ok(Csv::new(config).with_warnings(warnings)),
        (None, diagnostics) => Err(diagnostics),
    }
}

/// Reads properties, a relative file path being relative to `base`. Warnings come with the configuration; with an error
/// among the findings there is none.
pub(crate) fn read(properties: &[Property<'_>], place: &Place, base: &Path) -> (Option<CsvConfig>, Diagnostics) {
    let mut reader = Reader { properties: Vec::new(), diagnostics: Vec::new() };
    for property in properties {
        reader.admit(property);
    }
    let config = reader.config(place, base);
    let usable = !reader.diagnostics.iter().any(Diagnostic::is_error);
    (usable.then_some(config), reader.diagnostics)
}

struct Reader<'a> {
    properties: Vec<&'a Property<'a>>,
    diagnostics: Diagnostics,
}

impl<'a> Reader<'a> {
    /// Takes a property up, or says why not.
    fn admit(&mut self, property: &'a Property<'a>) {
        let name = property.name.local();
        let place = property.place;
        if property.name.namespace().is_some_and(|namespace| namespace != BUNDLE_NAMESPACE) {
            self.diagnostics.push(
                Diagnostic::warning(
                    "ignored-item",
                    place,
                    format!("the property '{name}' is of another namespace than the CSV connector's, and is ignored"),
                )
                .with_help(format!("put it into the namespace {BUNDLE_NAMESPACE}")),
            );
            return;
        }
        let Some((_, usage)) = PROPERTIES.iter().find(|(known, _)| *known == name) else {
            let mut error =
                Diagnostic::error("unknown-property", place, format!("the CSV connector has no configuration property '{name}'"));
            if let Some(nearest) = nearest(name, PROPERTIES.iter().map(|(known, _)| *known)) {
                error = error.with_help(format!("did you mean '{nearest}'?"));
            } else {
                error = error.with_help(format!(
                    "its properties are {}",
                    PROPERTIES.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ")
                ));
            }
            self.diagnostics.push(error);
            return;
        };
        if self.properties.iter().any(|earlier| earlier.name.local() == name) {
            let error = Diagnostic::error("several-values", place, format!("the property '{name}' is given twice"));
            self.diagnostics.push(error.with_help("keep one of them"));
            return;
        }
        if matches!(usage, Use::Elsewhere) {
            let message =
                format!("the property '{name}' is not used: snapshots for live synchronization are kept with the repository");
            let help = format!("remove '{name}': a snapshot is kept as long as a synchronization token needs it, and no longer");
            self.diagnostics.push(Diagnostic::warning("not-supported", place, message).with_help(help));
        }
        let supported = match usage {
            Use::Honoured | Use::Writing | Use::Elsewhere => true,
            Use::NotSupported => false,
            Use::NotSupportedIfTrue => !property.values.iter().any(|(value, _)| value.trim().eq_ignore_ascii_case("true")),
        };
        if !supported {
            let warning = Diagnostic::warning("not-supported", place, format!("the property '{name}' has no effect yet"));
            self.diagnostics.push(warning.with_help(format!("remove '{name}' if reading the file does not depend on it")));
        }
        self.properties.push(property);
    }

    fn config(&mut self, place: &Place, base: &Path) -> CsvConfig {
        let path = self.required("filePath", place, "name the CSV file, relative to the definition's folder or absolute");
        let unique =
            self.required("uniqueAttribute", place, "name the column whose value identifies an object for its whole life");
        // Where one is missing, the rest is looked at all the same: for whatever else is wrong.
        let (unique, unique_place) = unique.unwrap_or(("", place));
        let mut config = CsvConfig::new(base.join(path.map_or("", |(path, _)| path)), unique);

        if let Some((name, place)) = self.text("encoding") {
            match encoding(name) {
                Some(encoding) => config.encoding = encoding,
                None => self.bad(
                    place,
                    format!("'{}' is not an encoding", shorten(name)),
                    "encodings are named as on the web: utf-8, windows-1252, iso-8859-2, utf-16le",
                ),
            }
        }
        let dialect = config.dialect.clone();
        config.dialect = Dialect {
            delimiter: self.character("fieldDelimiter", Some(dialect.delimiter)).unwrap_or(dialect.delimiter),
            quote: self.character("quote", dialect.quote),
            escape: self.character("escape", dialect.escape),
            comment: self.character("commentMarker", dialect.comment),
            ignore_surrounding_spaces: self.flag("ignoreSurroundingSpaces", false),
        };
        self.check_dialect(&config.dialect, place);
        if let Some((mode, place)) = self.text("quoteMode").filter(|(mode, _)| !QUOTE_MODES.contains(mode)) {
            self.bad(
                place,
                format!("'{}' is not a quote mode", shorten(mode)),
                format!("quote modes are {}", QUOTE_MODES.join(", ")),
            );
        }
        config.trailing_delimiter = self.flag("trailingDelimiter", false);
        config.trim = self.flag("trim", false);
        config.ignore_empty_lines = self.flag("ignoreEmptyLines", true);
        config.header = self.flag("headerExists", true);
        config.ignore_identifier_case = self.flag("ignoreIdentifierCase", false);
        config.allow_empty = self.flag("allowEmpty", false);
        self.flag("readOnly", false);
        config.name_attribute = self.text("nameAttribute").map(|(name, _)| name.into());
        if let Some((password, place)) = self.text("passwordAttribute") {
            if password == unique || config.name_attribute.as_deref() == Some(password) {
                self.bad(place, "the password column is the identifier column as well", "name another column");
            }
            config.password_attribute = Some(password.into());
        }
        config.multi_value = self.multi_value(unique, unique_place);
        config
    }

    fn multi_value(&mut self, unique: &str, unique_place: &Place) -> Option<MultiValue> {
        let names = self.property("multivalueAttributes");
        let Some((delimiter, place)) = self.raw_text("multivalueDelimiter") else {
            if let Some(names) = names.filter(|names| !names.values.is_empty()) {
                self.bad(
                    names.place,
                    "'multivalueAttributes' needs a 'multivalueDelimiter'",
                    "say what stands between two values of a cell",
                );
            }
            return None;
        };
        let splitter = match Splitter::new(delimiter) {
            Ok(splitter) => splitter,
            Err((message, help)) => {
                self.bad(place, message, help);
                return None;
            }
        };
        let mut columns = Vec::new();
        for (value, _) in names.iter().flat_map(|names| &names.values) {
            splitter.split(value, |name| columns.push(Arc::from(name.trim())));
        }
        if columns.iter().any(|column| **column == *unique) {
            let place = names.map_or(unique_place, |names| names.place);
            self.bad(place, "the unique attribute cannot have several values", "take it off the list");
        }
        Some(MultiValue { splitter, columns: (!columns.is_empty()).then_some(columns) })
    }

    fn check_dialect(&mut self, dialect: &Dialect, place: &Place) {
        let clashes = [
            ("quote", dialect.quote == Some(dialect.delimiter), "fieldDelimiter"),
            ("escape", dialect.escape == Some(dialect.delimiter), "fieldDelimiter"),
            ("commentMarker", dialect.comment == Some(dialect.delimiter), "fieldDelimiter"),
            ("commentMarker", dialect.comment.is_some() && dialect.comment == dialect.quote, "quote"),
            ("commentMarker", dialect.comment.is_some() && dialect.comment == dialect.escape, "escape"),
        ];
        for (name, clash, other) in clashes {
            if clash {
                let place = self.property(name).or_else(|| self.property(other)).map_or(place, |property| property.place);
                self.bad(
                    place,
                    format!("'{name}' and '{other}' are the same character"),
                    "choose different ones; an empty value switches quote, escape or comments off",
                );
            }
        }
    }

    fn property(&self, name: &str) -> Option<&'a Property<'a>> {
        self.properties.iter().copied().find(|property| property.name.local() == name)
    }

    /// The one value of a property, spaces and all.
    fn raw_text(&mut self, name: &str) -> Option<(&'a str, &'a Place)> {
        let property = self.property(name)?;
        if property.values.len() > 1 {
            let error = Diagnostic::error("several-values", property.place, format!("the property '{name}' takes one value"));
            self.diagnostics.push(error.with_help("keep one of them"));
        }
        property.values.first().copied().filter(|(value, _)| !value.is_empty())
    }

    fn text(&mut self, name: &str) -> Option<(&'a str, &'a Place)> {
        self.raw_text(name).map(|(value, place)| (value.trim(), place)).filter(|(value, _)| !value.is_empty())
    }

    fn required(&mut self, name: &str, place: &Place, help: &str) -> Option<(&'a str, &'a Place)> {
        let text = self.text(name);
        if text.is_none() {
            let place = self.property(name).map_or(place, |property| property.place);
            let error = Diagnostic::error("missing-property", place, format!("the CSV connector needs the property '{name}'"));
            self.diagnostics.push(error.with_help(help));
        }
        text
    }

    fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some((value, place)) = self.text(name) else { return default };
        match value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                self.bad(place, format!("'{}' is not a value of '{name}'", shorten(value)), "write true or false");
                default
            }
        }
    }

    /// A property of one character; given and empty, it is none.
    fn character(&mut self, name: &str, default: Option<u8>) -> Option<u8> {
        let Some(property) = self.property(name) else { return default };
        let Some((value, place)) = self.raw_text(name) else {
            if name == "fieldDelimiter" {
                self.bad(
                    property.place,
                    "'fieldDelimiter' is empty",
                    "give the one character between two fields; write \\t for a tab",
                );
            }
            return None;
        };
        let mut characters = if value == "\\t" { "\t".chars() } else { value.chars() };
        match (characters.next(), characters.next()) {
            (Some(c), None) if c.is_ascii() && !matches!(c, '\r' | '\n' | '\0') => Some(c as u8),
            (Some(_), Some(_)) => {
                self.bad(place, format!("'{name}' has more than one character"), "give one ASCII character; write \\t for a tab");
                default
            }
            _ => {
                self.bad(
                    place,
                    format!("'{name}' cannot be this character"),
                    "give one ASCII character that is no line break; write \\t for a tab",
                );
                default
            }
        }
    }

    fn bad(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error("bad-value", place, message).with_help(help));
    }
}

/// The encoding of a name, as the web and as Java spell it.
fn encoding(name: &str) -> Option<&'static Encoding> {
    let lower = name.to_ascii_lowercase();
    let lower = match lower.strip_prefix("iso8859_") {
        Some(part) => format!("iso-8859-{part}"),
        None => lower,
    };
    // A text in "UTF-16" without a mark is big-endian outside the web.
    let label = match lower.as_str() {
        "utf-16" | "utf16" => "utf-16be",
        "utf_8" => "utf-8",
        other => other,
    };
    Encoding::for_label_no_replacement(label.as_bytes())
}

/// The name most like a wrong one, if one is like it at all.
pub(crate) fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_lowercase();
    let limit = (wrong.chars().count() / 3).clamp(1, 4);
    names
        .map(|name| (distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many characters must be put in, taken out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn shorten(value: &str) -> String {
    value.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
