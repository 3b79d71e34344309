//! Reading the items of a configuration element one by one: what nobody asked for is unknown.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidelock_model::definition::{self, nearest};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics, Place};

use super::Secret;

/// The items of a configuration element. Each is asked for by its name; what is wrong with it is kept for
/// [`Settings::finish`], and the default returned meanwhile.
#[derive(Debug)]
pub struct Settings<'n> {
    what: &'static str,
    node: &'n Node,
    base: &'n Path,
    asked: Vec<String>,
    diagnostics: Diagnostics,
}

/// A text with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'n> {
    /// The text, without the space around it.
    pub text: &'n str,
    /// Where it stands.
    pub place: &'n Place,
}

/// What every element may have, for people.
const COMMENTS: [&str; 3] = ["name", "description", "documentation"];

impl<'n> Settings<'n> {
    /// The items of an element; `what` names it for people, as in `the AMQP source`. Relative file paths are relative to `base`.
    #[must_use]
    pub fn new(what: &'static str, node: &'n Node, base: &'n Path) -> Self {
        Self { what, node, base, asked: Vec::new(), diagnostics: Vec::new() }
    }

    /// Where the element begins.
    #[must_use]
    pub fn place(&self) -> &'n Place {
        &self.node.place
    }

    /// The one text of an item; none where it is absent or empty.
    pub fn text(&mut self, name: &str) -> Option<Text<'n>> {
        let node = self.node(name)?;
        if let Some(child) = node.children.first() {
            self.bad(&child.place, format!("'{name}' is a text, and has items here"), "write the text itself");
            return None;
        }
        Some(Text { text: node.text().trim(), place: &node.place }).filter(|text| !text.text.is_empty())
    }

    /// The same, of an item that must be there: it is an error where it is not.
    pub fn required(&mut self, name: &str, help: &str) -> Option<Text<'n>> {
        let text = self.text(name);
        let place = self.node.child(name).map_or(self.place(), |node| &node.place);
        if text.is_none() && !self.diagnostics.iter().any(|found| found.is_error() && found.place == *place) {
            let message = format!("{} needs the item '{name}'", self.what);
            self.diagnostics.push(Diagnostic::error("missing-property", place, message).with_help(help));
        }
        text
    }

    /// The texts of an item that may be there several times.
    pub fn texts(&mut self, name: &str) -> Vec<Text<'n>> {
        let nodes = self.nodes(name);
        nodes.map(|node| Text { text: node.text().trim(), place: &node.place }).filter(|text| !text.text.is_empty()).collect()
    }

    /// The elements of an item that may be there several times.
    pub fn nodes(&mut self, name: &str) -> impl Iterator<Item = &'n Node> + use<'n> {
        self.asked.push(name.to_owned());
        let name = name.to_owned();
        self.node.children.iter().filter(move |node| node.local() == name)
    }

    /// The one element of an item.
    pub fn node(&mut self, name: &str) -> Option<&'n Node> {
        let mut nodes = self.nodes(name);
        let (first, second) = (nodes.next(), nodes.next());
        if let Some(second) = second {
            let error = Diagnostic::error("several-values", &second.place, format!("the item '{name}' is given twice"));
            self.diagnostics.push(error.with_help("keep one of them"));
        }
        first
    }

    /// A truth value.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.choice(name, default, &[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    /// One of a few names.
    pub fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(Text { text, place }) = self.text(name) else { return default };
        if let Some((_, choice)) = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(text)) {
            return *choice;
        }
        let known: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
        self.bad(place, format!("'{}' is not a value of '{name}'", shorten(text)), format!("write one of {}", known.join(", ")));
        default
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(Text { text, place }) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let message = format!("'{}' is not a value of '{name}'", shorten(text));
                self.bad(place, message, format!("write a number from {} to {}", range.start(), range.end()));
                default
            }
        }
    }

    /// A length of time as in `PT5S`, of a millisecond to a day.
    pub fn duration(&mut self, name: &str, default: Duration) -> Duration {
        const DAY: u64 = 86_400_000;
        let Some(Text { text, place }) = self.text(name) else { return default };
        let millis = definition::Duration::new(text).filter(|duration| duration.months == 0);
        match millis.and_then(|duration| u64::try_from(duration.millis).ok()).filter(|millis| (1..=DAY).contains(millis)) {
            Some(millis) => Duration::from_millis(millis),
            None => {
                let message = format!("'{}' is not a value of '{name}'", shorten(text));
                self.bad(place, message, "write a length of time of at most a day, such as PT5S or PT10M");
                default
            }
        }
    }

    /// A file's path; a relative one is relative to the definition's folder.
    pub fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|file| self.base.join(file.text))
    }

    /// A secret: in the item itself (as text, or a protected string in the clear), in a file (`…File`), or in an environment
    /// variable (`…Variable`). Given twice, it is an error.
    pub fn secret(&mut self, name: &str) -> Option<Secret> {
        let (file, variable) = (format!("{name}File"), format!("{name}Variable"));
        let help = format!("set one of '{name}', '{file}' and '{variable}'");
        let here = self.node(name).and_then(|node| match self.protected(name, node) {
            Ok(text) => Some((Secret::Text(text.into()), &node.place)).filter(|_| !text.is_empty()),
            Err(error) => {
                self.diagnostics.push(error);
                None
            }
        });
        let place = |this: &Self, name: &str| this.node.child(name).map_or(this.place(), |node| &node.place);
        let in_file = self.path(&file).map(|path| (Secret::File(path), place(self, &file)));
        let in_variable = self.text(&variable).map(|name| (Secret::Variable(name.text.to_owned()), name.place));
        let mut given = [here, in_file, in_variable].into_iter().flatten();
        let (first, second) = (given.next(), given.next());
        if let Some((_, place)) = second {
            self.bad(place, format!("'{name}' is given twice"), help);
        }
        first.map(|(secret, _)| secret)
    }

    /// The text of a protected string.
    fn protected(&self, name: &str, node: &'n Node) -> Result<&'n str, Diagnostic> {
        if node.children.is_empty() {
            return Ok(node.text());
        }
        if let Some(clear) = node.child("clearValue").filter(|clear| clear.children.is_empty()) {
            return Ok(clear.text());
        }
        let message = match node.child("encryptedData") {
            Some(_) => format!("the value of '{name}' is encrypted with a key that is not ours"),
            None => format!("'{name}' has no value that can be understood"),
        };
        let help = format!("enter the value again, in the clear, or use '{name}File' or '{name}Variable'");
        Err(Diagnostic::error("not-supported", &node.place, message).with_help(help))
    }

    /// Items that make no difference to us.
    pub fn needless(&mut self, names: &[&str]) {
        self.asked.extend(names.iter().map(|name| (*name).to_owned()));
    }

    /// Items that would make a difference, and do not: a warning where one is there.
    pub fn not_supported(&mut self, names: &[&str]) {
        for name in names {
            for node in self.nodes(name) {
                let warning = Diagnostic::warning("not-supported", &node.place, format!("the item '{name}' has no effect"));
                self.diagnostics.push(warning.with_help(format!("remove '{name}' if nothing depends on it")));
            }
        }
    }

    /// Keeps an error about a value.
    pub fn bad(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error("bad-value", place, message).with_help(help));
    }

    /// Keeps whatever else was found.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Everything that was found; every item that was not asked for is an error.
    #[must_use]
    pub fn finish(mut self) -> Diagnostics {
        let mut known: Vec<&str> = self.asked.iter().map(String::as_str).collect();
        known.sort_unstable();
        known.dedup();
        for node in &self.node.children {
            let name = node.local();
            if known.contains(&name) || COMMENTS.contains(&name) {
                continue;
            }
            let message = format!("{} has no item '{}'", self.what, shorten(name));
            let help = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("its items are {}", known.join(", ")),
            };
            self.diagnostics.push(Diagnostic::error("unknown-property", &node.place, message).with_help(help));
        }
        // An item that was asked for twice has its error twice.
        let mut found: Diagnostics = Vec::with_capacity(self.diagnostics.len());
        for diagnostic in self.diagnostics {
            if !found.contains(&diagnostic) {
                found.push(diagnostic);
            }
        }
        found
    }
}

pub(crate) fn shorten(value: &str) -> String {
    value.chars().take(80).collect()
}
