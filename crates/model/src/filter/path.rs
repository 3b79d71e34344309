//! Paths to items: `attributes/ri:uid`, `$focus/activation/administrativeStatus`, `assignment[1]/targetRef/@/name`.

use std::fmt;
use std::sync::Arc;

use crate::document::Scope;
use crate::name::{QName, ns};
use crate::value::key_for;

/// The way from an object, or from a variable's value, to an item in it.
///
/// A path without steps is the object itself (`.`), or the whole value of the variable. Equality is exact;
/// [`ItemPath::matches`] is the lenient comparison that definitions need.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct ItemPath {
    /// The variable whose value the path begins at (`$focus`); none begins at the object.
    pub variable: Option<QName>,
    /// The steps from there.
    pub steps: Vec<PathStep>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// Into the item of this name.
    Name(QName),
    /// From a reference to the object it means (`@`).
    Dereference,
    /// To the identifier of a container value (`#`).
    Identifier,
    /// Up to the container around (`..`).
    Parent,
    /// To the container value with this identifier (`[1]`).
    Value(i64),
}

/// A text that is no item path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct NotAPath {
    /// Where in the text it went wrong, in bytes.
    pub offset: usize,
    /// What went wrong.
    pub kind: NotAPathKind,
}

/// What keeps a text from being an item path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPathKind {
    /// Something else stands where a step should.
    #[error("a step of an item path is expected here, and there is {0}")]
    NoStep(String),
    /// A prefix that means nothing here.
    #[error("the prefix '{0}' is not declared here")]
    UndeclaredPrefix(String),
    /// The path is complete, and the text goes on.
    #[error("the item path ends before {0}")]
    Rest(String),
    /// A bracket or brace without its counterpart.
    #[error("this '{0}' is never closed")]
    Unclosed(char),
    /// A container value's identifier that is no whole number.
    #[error("the identifier of a container value is a whole number")]
    NoValueIdentifier,
    /// More steps than anything has.
    #[error("an item path has at most {} steps", ItemPath::MAX_STEPS)]
    TooLong,
}

impl ItemPath {
    /// The most steps that a path may have.
    pub const MAX_STEPS: usize = 64;

    /// The path of no steps: the object itself.
    #[must_use]
    pub const fn empty() -> Self {
        Self { variable: None, steps: Vec::new() }
    }

    /// The path of these names, none of which has a namespace.
    #[must_use]
    pub fn of(names: &[&str]) -> Self {
        Self { variable: None, steps: names.iter().map(|name| PathStep::Name(QName::local_only(*name))).collect() }
    }

    /// The path to one item.
    #[must_use]
    pub fn item(name: QName) -> Self {
        Self { variable: None, steps: vec![PathStep::Name(name)] }
    }

    /// Reads a whole text as a path. `resolve` gives the namespace of a prefix.
    ///
    /// Besides the query language's form, leading declarations as in `declare namespace x='urn:x'; x:badge` are understood.
    ///
    /// # Errors
    /// [`NotAPath`] with the offset of what is wrong.
    pub fn parse(text: &str, resolve: &mut dyn FnMut(&str) -> Option<Arc<str>>) -> Result<Self, NotAPath> {
        let mut declared = Vec::new();
        let start = declarations(text, &mut declared)?;
        let mut lookup = |prefix: &str| {
            declared.iter().rev().find(|(known, _)| *known == prefix).map(|(_, uri)| Arc::from(*uri)).or_else(|| resolve(prefix))
        };
        let body = &text[start..];
        let (mut path, length) = Self::scan(body, &mut lookup).map_err(|error| error.shifted(start))?;
        let rest = &body[length..];
        if !rest.trim_end().is_empty() {
            return Err(NotAPath { offset: start + length, kind: NotAPathKind::Rest(first_char(rest)) });
        }
        if let Some((_, default)) = declared.iter().rev().find(|(prefix, _)| prefix.is_empty()) {
            for step in &mut path.steps {
                if let PathStep::Name(name) = step
                    && name.namespace().is_none()
                {
                    *name = QName::new(default, Arc::clone(name.local_arc()));
                }
            }
        }
        Ok(path)
    }

    /// Reads a whole text as a path, with the prefixes of a place of a document: in XML, only those declared there.
    ///
    /// # Errors
    /// As [`ItemPath::parse`].
    pub fn parse_in(text: &str, scope: &Scope) -> Result<Self, NotAPath> {
        Self::parse(text, &mut |prefix| scope.lookup(prefix).map(Arc::from))
    }

    /// Reads the path that a text begins with, and says how many bytes it takes.
    ///
    /// # Errors
    /// [`NotAPath`] if the text does not begin with a path, or the path breaks off.
    pub fn scan(text: &str, resolve: &mut dyn FnMut(&str) -> Option<Arc<str>>) -> Result<(Self, usize), NotAPath> {
        let mut scanner = Scanner { text, at: 0, resolve };
        let path = scanner.path()?;
        Ok((path, scanner.at))
    }

    /// Whether both lead to the same item, where names without a namespace match any (see [`QName::matches`]).
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let same_variable = match (&self.variable, &other.variable) {
            (Some(a), Some(b)) => a.matches(b),
            (None, None) => true,
            _ => false,
        };
        same_variable
            && self.steps.len() == other.steps.len()
            && self.steps.iter().zip(&other.steps).all(|(a, b)| match (a, b) {
                (PathStep::Name(a), PathStep::Name(b)) => a.matches(b),
                _ => a == b,
            })
    }

    /// Whether the path has no variable and these names as its steps, whatever their namespaces.
    #[must_use]
    pub fn is(&self, names: &[&str]) -> bool {
        self.variable.is_none()
            && self.steps.len() == names.len()
            && self.steps.iter().zip(names).all(|(step, name)| step.name().is_some_and(|n| n.local() == *name))
    }

    /// Whether it is the object itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variable.is_none() && self.steps.is_empty()
    }

    /// The name of the first step, if that is one.
    #[must_use]
    pub fn first_name(&self) -> Option<&QName> {
        self.steps.first().and_then(PathStep::name)
    }

    /// The name of the last step, if that is one.
    #[must_use]
    pub fn last_name(&self) -> Option<&QName> {
        self.steps.last().and_then(PathStep::name)
    }

    /// The keys for [`crate::Items::at_path`] that the steps are; none if a step is anything but a name. The variable does
    /// not count: whose items they are keys of is the caller's business.
    #[must_use]
    pub fn keys(&self) -> Option<Box<[Arc<str>]>> {
        self.steps.iter().map(|step| step.name().map(key_for)).collect()
    }
}

impl PathStep {
    /// The name, where the step is one.
    #[must_use]
    pub fn name(&self) -> Option<&QName> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

impl NotAPath {
    fn shifted(mut self, by: usize) -> Self {
        self.offset += by;
        self
    }
}

/// Whether a text can stand as a name in a path without quotes.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty() && identifier_length(text) == text.len()
}

/// How many bytes of an identifier a text begins with.
#[must_use]
pub fn identifier_length(text: &str) -> usize {
    let mut length = 0;
    for c in text.chars() {
        let fits = c.is_alphabetic() || c == '_' || (length > 0 && (c.is_alphanumeric() || c == '-' || c == '.'));
        if !fits {
            break;
        }
        length += c.len_utf8();
    }
    length
}

/// Words that mean something else where a path may stand, and so need quotes as names.
const RESERVED: [&str; 9] = ["and", "AND", "or", "OR", "not", "NOT", "true", "false", "null"];

/// What a message calls the beginning of a text.
fn first_char(text: &str) -> String {
    text.chars().next().map_or_else(|| "the end".to_owned(), |c| format!("'{}'", c.escape_debug()))
}

/// Reads the declarations before a path; gives where the path begins.
fn declarations<'a>(text: &'a str, declared: &mut Vec<(&'a str, &'a str)>) -> Result<usize, NotAPath> {
    let offset_of = |rest: &str| text.len() - rest.len();
    let mut rest = text.trim_start();
    while let Some(declaration) = rest.strip_prefix("declare").filter(|after| after.starts_with(char::is_whitespace)) {
        let broken = |at: &str| NotAPath { offset: offset_of(at), kind: NotAPathKind::NoStep("a broken declaration".to_owned()) };
        let after = declaration.trim_start();
        let (prefix, after) = if let Some(after) = after.strip_prefix("default") {
            ("", after.trim_start().strip_prefix("namespace").ok_or_else(|| broken(after))?)
        } else {
            let after = after.strip_prefix("namespace").ok_or_else(|| broken(after))?.trim_start();
            after.split_at(identifier_length(after))
        };
        let after = after.trim_start();
        let after = after.strip_prefix('=').unwrap_or(after).trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"')).ok_or_else(|| broken(after))?;
        let (uri, after) = after[1..].split_once(quote).ok_or_else(|| broken(after))?;
        declared.push((prefix, uri));
        let after = after.trim_start();
        rest = after.strip_prefix(';').ok_or_else(|| broken(after))?.trim_start();
    }
    Ok(offset_of(rest))
}

struct Scanner<'a, 'r> {
    text: &'a str,
    at: usize,
    resolve: &'r mut dyn FnMut(&str) -> Option<Arc<str>>,
}

impl<'a> Scanner<'a, '_> {
    fn path(&mut self) -> Result<ItemPath, NotAPath> {
        let mut path = ItemPath::empty();
        if self.eat('$') {
            path.variable = Some(self.name()?);
            self.values(&mut path)?;
            if !self.slash() {
                return Ok(path);
            }
        }
        loop {
            self.step(&mut path)?;
            self.values(&mut path)?;
            if path.steps.len() > ItemPath::MAX_STEPS {
                return Err(self.error(NotAPathKind::TooLong));
            }
            if !self.slash() {
                return Ok(path);
            }
        }
    }

    /// A slash that another step follows. Two of them, or one with a star, begin a comment.
    fn slash(&mut self) -> bool {
        let rest = self.rest().as_bytes();
        let joins = rest.first() == Some(&b'/') && !matches!(rest.get(1), Some(b'/' | b'*'));
        self.at += usize::from(joins);
        joins
    }

    fn step(&mut self, path: &mut ItemPath) -> Result<(), NotAPath> {
        let step = match self.rest().as_bytes() {
            [b'.', b'.', ..] => self.skip(2, PathStep::Parent),
            [b'.', ..] => {
                self.at += 1;
                return Ok(());
            }
            [b'@', ..] => self.skip(1, PathStep::Dereference),
            [b'#', ..] => self.skip(1, PathStep::Identifier),
            // The values that follow are the step.
            [b'[', ..] => return Ok(()),
            [b'0'..=b'9', ..] => PathStep::Value(self.integer()?),
            _ => PathStep::Name(self.name()?),
        };
        path.steps.push(step);
        Ok(())
    }

    fn values(&mut self, path: &mut ItemPath) -> Result<(), NotAPath> {
        while self.rest().starts_with('[') {
            let open = self.at;
            self.at += 1;
            let value = self.integer()?;
            if !self.eat(']') {
                return Err(NotAPath { offset: open, kind: NotAPathKind::Unclosed('[') });
            }
            path.steps.push(PathStep::Value(value));
            if path.steps.len() > ItemPath::MAX_STEPS {
                return Err(self.error(NotAPathKind::TooLong));
            }
        }
        Ok(())
    }

    fn integer(&mut self) -> Result<i64, NotAPath> {
        let rest = self.rest();
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        let value = rest[..digits].parse().map_err(|_| self.error(NotAPathKind::NoValueIdentifier))?;
        self.at += digits;
        Ok(value)
    }

    fn name(&mut self) -> Result<QName, NotAPath> {
        if self.rest().starts_with('{') {
            return self.expanded_name();
        }
        let first = self.identifier()?;
        let after_colon = self.rest().strip_prefix(':');
        if after_colon.is_none_or(|rest| identifier_length(rest) == 0) {
            return Ok(QName::local_only(first));
        }
        let at = self.at - first.len();
        self.at += 1;
        let local = self.identifier()?;
        match (self.resolve)(first) {
            Some(namespace) => Ok(QName::from_shared(Some(namespace), local.into())),
            None => Err(NotAPath { offset: at, kind: NotAPathKind::UndeclaredPrefix(first.to_owned()) }),
        }
    }

    /// `{namespace}local`, or `{namespace}'any text'`: for names that no well-known prefix or no identifier can say.
    fn expanded_name(&mut self) -> Result<QName, NotAPath> {
        let open = self.at;
        self.at += 1;
        let namespace = self.escaped('}').ok_or(NotAPath { offset: open, kind: NotAPathKind::Unclosed('{') })?;
        let quote = self.at;
        let local = if self.eat('\'') {
            self.escaped('\'').ok_or(NotAPath { offset: quote, kind: NotAPathKind::Unclosed('\'') })?
        } else {
            self.identifier()?.to_owned()
        };
        Ok(QName::new(namespace, local))
    }

    /// The text up to an unescaped end, which is passed over.
    fn escaped(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == end => {
                    self.at += at + c.len_utf8();
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                _ => text.push(c),
            }
        }
        None
    }

    fn identifier(&mut self) -> Result<&'a str, NotAPath> {
        let rest = self.rest();
        match identifier_length(rest) {
            0 => Err(self.error(NotAPathKind::NoStep(first_char(rest)))),
            length => {
                self.at += length;
                Ok(&rest[..length])
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn eat(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn skip(&mut self, bytes: usize, step: PathStep) -> PathStep {
        self.at += bytes;
        step
    }

    fn error(&self, kind: NotAPathKind) -> NotAPath {
        NotAPath { offset: self.at, kind }
    }
}

impl fmt::Display for ItemPath {
    /// The form that [`ItemPath::parse`] reads back exactly, with the well-known prefixes in force.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &mut |namespace| ns::prefix_of(namespace).map(Arc::from))
    }
}

impl ItemPath {
    /// Writes the path with the prefixes that `prefix_of` gives to namespaces; where it gives none, the namespace is written out.
    ///
    /// # Errors
    /// Only those of `f`.
    pub fn write(&self, f: &mut dyn fmt::Write, prefix_of: &mut dyn FnMut(&str) -> Option<Arc<str>>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(".");
        }
        if let Some(variable) = &self.variable {
            f.write_str("$")?;
            write_name(variable, f, prefix_of)?;
        }
        for (at, step) in self.steps.iter().enumerate() {
            if (at > 0 || self.variable.is_some()) && !matches!(step, PathStep::Value(_)) {
                f.write_str("/")?;
            }
            match step {
                PathStep::Name(name) => write_name(name, f, prefix_of)?,
                PathStep::Dereference => f.write_str("@")?,
                PathStep::Identifier => f.write_str("#")?,
                PathStep::Parent => f.write_str("..")?,
                PathStep::Value(value) => write!(f, "[{value}]")?,
            }
        }
        Ok(())
    }
}

/// Writes a name as it stands in a path.
fn write_name(name: &QName, f: &mut dyn fmt::Write, prefix_of: &mut dyn FnMut(&str) -> Option<Arc<str>>) -> fmt::Result {
    let local = name.local();
    let plain = is_identifier(local);
    match name.namespace() {
        None if plain && !RESERVED.contains(&local) => return f.write_str(local),
        Some(namespace) if plain => {
            if let Some(prefix) = prefix_of(namespace) {
                return write!(f, "{prefix}:{local}");
            }
        }
        _ => {}
    }
    let escape = |text: &str, end: char| text.replace('\\', "\\\\").replace(end, &format!("\\{end}"));
    write!(f, "{{{}}}", escape(name.namespace().unwrap_or_default(), '}'))?;
    if plain && name.namespace().is_some() { f.write_str(local) } else { write!(f, "'{}'", escape(local, '\'')) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<ItemPath, NotAPath> {
        ItemPath::parse_in(text, &Scope::well_known())
    }

    fn name(text: &str) -> PathStep {
        PathStep::Name(QName::local_only(text))
    }

    #[test]
    fn every_kind_of_step_is_read() {
        let path = parse("$focus/assignment[2]/targetRef/@/../#").unwrap();
        assert_eq!(path.variable, Some(QName::local_only("focus")));
        assert_eq!(
            path.steps,
            [
                name("assignment"),
                PathStep::Value(2),
                name("targetRef"),
                PathStep::Dereference,
                PathStep::Parent,
                PathStep::Identifier
            ]
        );
        assert_eq!(parse("assignment/2/description").unwrap(), parse("assignment[2]/description").unwrap());
        assert_eq!(parse(" ./name ").unwrap(), ItemPath::of(&["name"]));
        assert_eq!(parse(".").unwrap(), ItemPath::empty());
    }

    #[test]
    fn prefixes_are_resolved_and_declarations_are_heeded() {
        let uid = parse("attributes/ri:uid").unwrap();
        assert_eq!(uid.last_name(), Some(&QName::new(ns::RI, "uid")));
        assert!(uid.matches(&ItemPath::of(&["attributes", "uid"])));
        let badge = parse("declare namespace x='urn:x'; extension/x:badge").unwrap();
        assert_eq!(badge.last_name(), Some(&QName::new("urn:x", "badge")));
        assert_eq!(parse("declare default namespace \"urn:d\"; badge").unwrap(), ItemPath::item(QName::new("urn:d", "badge")));
    }

    #[test]
    fn what_is_no_path_is_refused_at_its_place() {
        let check = |text: &str, offset: usize, message: &str| {
            let error = parse(text).unwrap_err();
            assert_eq!((error.offset, error.to_string().as_str()), (offset, message), "{text}");
        };
        check("", 0, "a step of an item path is expected here, and there is the end");
        check("a/", 2, "a step of an item path is expected here, and there is the end");
        check("a//b", 1, "the item path ends before '/'");
        check("a b", 1, "the item path ends before ' '");
        check("xx:a", 0, "the prefix 'xx' is not declared here");
        check("attributes/xx:a", 11, "the prefix 'xx' is not declared here");
        check("a[1", 1, "this '[' is never closed");
        check("a[x]", 2, "the identifier of a container value is a whole number");
        check("{urn:x", 0, "this '{' is never closed");
        check("$", 1, "a step of an item path is expected here, and there is the end");
        check(&"a/".repeat(100), 129, "an item path has at most 64 steps");
    }

    #[test]
    fn plain_paths_have_keys() {
        let keys = |text: &str| parse(text).unwrap().keys().map(|keys| keys.iter().map(|k| k.to_string()).collect::<Vec<_>>());
        assert_eq!(keys("activation/c:validTo").unwrap(), ["activation", "validTo"]);
        assert_eq!(keys("extension/{urn:x}badge").unwrap(), ["extension", "urn:x#badge"]);
        assert_eq!(keys("linkRef/@"), None);
    }

    fn any_name() -> impl Strategy<Value = QName> {
        let namespace = prop_oneof![
            Just(String::new()),
            Just(ns::RI.to_owned()),
            Just(ns::COMMON.to_owned()),
            Just("urn:x".to_owned()),
            "[a-z}{\\\\']{1,6}"
        ];
        let local = prop_oneof!["[a-z]{1,6}", Just("not".to_owned()), "\\PC{1,6}"];
        (namespace, local).prop_map(|(namespace, local)| QName::new(namespace, local))
    }

    fn any_path() -> impl Strategy<Value = ItemPath> {
        let step = prop_oneof![
            6 => any_name().prop_map(PathStep::Name),
            1 => Just(PathStep::Dereference),
            1 => Just(PathStep::Identifier),
            1 => Just(PathStep::Parent),
            1 => (0..1000_i64).prop_map(PathStep::Value),
        ];
        (proptest::option::of(any_name()), proptest::collection::vec(step, 0..6))
            .prop_map(|(variable, steps)| ItemPath { variable, steps })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(path in any_path()) {
            prop_assert_eq!(parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_text_of_path_characters_makes_the_reader_panic(text in "[a-c:/@#.$\\[\\]{}'0-9\\\\; ]*") {
            let _ = parse(&text);
        }
    }
}
