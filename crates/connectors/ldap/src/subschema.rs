//! What a server publishes of its schema (RFC 4512, 4.1 and 4.2): attribute types and object classes.
//!
//! Real servers publish descriptions that keep to the grammar loosely: one that cannot be understood is left out, and counted.

use std::collections::{HashMap, HashSet};

/// The attribute types and object classes of a server.
#[derive(Debug, Default)]
pub(crate) struct Subschema {
    types: Vec<AttributeType>,
    classes: Vec<Class>,
    types_by_name: HashMap<String, usize>,
    classes_by_name: HashMap<String, usize>,
    /// How many descriptions could not be understood.
    pub(crate) skipped: usize,
}

/// An attribute type, with what it inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeType {
    pub(crate) oid: String,
    pub(crate) names: Vec<String>,
    superior: Option<String>,
    pub(crate) equality: Option<String>,
    pub(crate) ordering: Option<String>,
    pub(crate) substring: Option<String>,
    pub(crate) syntax: Option<String>,
    pub(crate) single_valued: bool,
    pub(crate) operational: bool,
}

/// An object class.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    pub(crate) oid: String,
    pub(crate) names: Vec<String>,
    superiors: Vec<String>,
    pub(crate) kind: ClassKind,
    must: Vec<String>,
    may: Vec<String>,
}

/// What an object class is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClassKind {
    /// Others are derived from it.
    Abstract,
    /// An entry is of one of these.
    #[default]
    Structural,
    /// An entry can have it besides.
    Auxiliary,
}

impl AttributeType {
    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.oid)
    }

    /// Whether a name is one of its names, in any case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.names.iter().chain([&self.oid]).any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Class {
    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.oid)
    }
}

impl Subschema {
    /// Reads descriptions: the values of `attributeTypes` and `objectClasses`.
    pub(crate) fn new<'a>(types: impl Iterator<Item = &'a [u8]>, classes: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut schema = Self::default();
        for text in types {
            match std::str::from_utf8(text).ok().and_then(attribute_type) {
                Some(read) => schema.add_type(read),
                None => schema.skipped += 1,
            }
        }
        for text in classes {
            match std::str::from_utf8(text).ok().and_then(class) {
                Some(read) => schema.add_class(read),
                None => schema.skipped += 1,
            }
        }
        schema.inherit();
        schema
    }

    /// Forgets that points in time have an order, where others than the server write them: one that compares them as text is right
    /// only about those that are all in one spelling.
    pub(crate) fn forget_orders_of_foreign_times(&mut self) {
        let is_time = |syntax: &Option<String>| syntax.as_deref() == Some("1.3.6.1.4.1.1466.115.121.1.24");
        for foreign in self.types.iter_mut().filter(|found| !found.operational && is_time(&found.syntax)) {
            foreign.ordering = None;
        }
    }

    pub(crate) fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The class of a name or an object identifier, in any case.
    pub(crate) fn class(&self, name: &str) -> Option<&Class> {
        self.classes_by_name.get(&name.to_ascii_lowercase()).map(|at| &self.classes[*at])
    }

    /// The attribute type of a name or an object identifier, in any case.
    pub(crate) fn attribute_type(&self, name: &str) -> Option<&AttributeType> {
        self.types_by_name.get(&name.to_ascii_lowercase()).map(|at| &self.types[*at])
    }

    /// A class and those that it is derived from, itself first. Ends where a schema goes in circles.
    pub(crate) fn lineage<'a>(&'a self, class: &'a Class) -> Vec<&'a Class> {
        let mut lineage: Vec<&Class> = Vec::new();
        let mut waiting = vec![class];
        while let Some(class) = waiting.pop() {
            if !lineage.iter().any(|known| known.oid == class.oid) {
                lineage.push(class);
                waiting.extend(class.superiors.iter().filter_map(|name| self.class(name)));
            }
        }
        lineage
    }

    /// The attributes of a class and those that it is derived from: the types, and whether each is required. Each once.
    pub(crate) fn attributes<'a>(&'a self, class: &'a Class) -> Vec<(&'a AttributeType, bool)> {
        let mut seen = HashSet::new();
        let lineage = self.lineage(class);
        let must = lineage.iter().flat_map(|class| &class.must).map(|name| (name, true));
        let may = lineage.iter().flat_map(|class| &class.may).map(|name| (name, false));
        must.chain(may)
            .filter_map(|(name, required)| self.attribute_type(name).map(|found| (found, required)))
            .filter(|(found, _)| seen.insert(found.oid.as_str()))
            .collect()
    }

    fn add_type(&mut self, read: AttributeType) {
        let at = self.types.len();
        for name in read.names.iter().chain([&read.oid]) {
            self.types_by_name.entry(name.to_ascii_lowercase()).or_insert(at);
        }
        self.types.push(read);
    }

    fn add_class(&mut self, read: Class) {
        let at = self.classes.len();
        for name in read.names.iter().chain([&read.oid]) {
            self.classes_by_name.entry(name.to_ascii_lowercase()).or_insert(at);
        }
        self.classes.push(read);
    }

    /// Gives attribute types what they inherit: syntax and matching rules of the type that they are derived from.
    fn inherit(&mut self) {
        for at in 0..self.types.len() {
            let mut seen = HashSet::from([at]);
            let mut superior = self.types[at].superior.clone();
            while let Some(above) = superior.and_then(|name| self.types_by_name.get(&name.to_ascii_lowercase()).copied()) {
                if !seen.insert(above) {
                    break;
                }
                let above = self.types[above].clone();
                let here = &mut self.types[at];
                here.equality = here.equality.take().or(above.equality);
                here.ordering = here.ordering.take().or(above.ordering);
                here.substring = here.substring.take().or(above.substring);
                here.syntax = here.syntax.take().or(above.syntax);
                superior = above.superior;
            }
        }
    }
}

fn attribute_type(text: &str) -> Option<AttributeType> {
    let mut read = AttributeType::default();
    for (keyword, values) in description(text)? {
        let first = || values.first().cloned();
        match keyword.as_str() {
            "" => read.oid = first()?,
            "NAME" => read.names = values,
            "SUP" => read.superior = first(),
            "EQUALITY" => read.equality = first(),
            "ORDERING" => read.ordering = first(),
            "SUBSTR" => read.substring = first(),
            // The length in braces is a recommendation.
            "SYNTAX" => read.syntax = first().map(|syntax| syntax.split('{').next().unwrap_or_default().to_owned()),
            "SINGLE-VALUE" => read.single_valued = true,
            "USAGE" => read.operational = first().is_some_and(|usage| usage != "userApplications"),
            _ => {}
        }
    }
    Some(read)
}

fn class(text: &str) -> Option<Class> {
    let mut read = Class::default();
    for (keyword, values) in description(text)? {
        match keyword.as_str() {
            "" => read.oid = values.into_iter().next()?,
            "NAME" => read.names = values,
            "SUP" => read.superiors = values,
            "ABSTRACT" => read.kind = ClassKind::Abstract,
            "STRUCTURAL" => read.kind = ClassKind::Structural,
            "AUXILIARY" => read.kind = ClassKind::Auxiliary,
            "MUST" => read.must = values,
            "MAY" => read.may = values,
            _ => {}
        }
    }
    Some(read)
}

/// A description as its keywords with their values. The object identifier at the beginning has an empty keyword.
fn description(text: &str) -> Option<Vec<(String, Vec<String>)>> {
    let mut tokens = Tokens { rest: text.trim().strip_prefix('(')? };
    let Token::Word(oid) = tokens.next()? else { return None };
    let mut parts: Vec<(String, Vec<String>)> = vec![(String::new(), vec![oid])];
    loop {
        match tokens.next()? {
            Token::Close => return Some(parts),
            Token::Open => {
                let mut values = Vec::new();
                loop {
                    match tokens.next()? {
                        Token::Close => break,
                        Token::Word(word) | Token::Text(word) if word != "$" => values.push(word),
                        Token::Word(_) | Token::Text(_) => {}
                        Token::Open => return None,
                    }
                }
                parts.last_mut()?.1.extend(values);
            }
            Token::Text(text) => parts.last_mut()?.1.push(text),
            Token::Word(word) if is_keyword(&word) => parts.push((word, Vec::new())),
            Token::Word(word) => parts.last_mut()?.1.push(word),
        }
    }
}

fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "NAME",
        "DESC",
        "OBSOLETE",
        "SUP",
        "EQUALITY",
        "ORDERING",
        "SUBSTR",
        "SYNTAX",
        "SINGLE-VALUE",
        "COLLECTIVE",
        "NO-USER-MODIFICATION",
        "USAGE",
        "ABSTRACT",
        "STRUCTURAL",
        "AUXILIARY",
        "MUST",
        "MAY",
    ];
    KEYWORDS.contains(&word) || word.starts_with("X-")
}

enum Token {
    Open,
    Close,
    Word(String),
    /// In quotes.
    Text(String),
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let (token, end) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '$' => (Token::Word("$".to_owned()), 1),
            '\'' => {
                let end = self.rest[1..].find('\'')? + 1;
                (Token::Text(self.rest[1..end].to_owned()), end + 1)
            }
            _ => {
                let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '$' | '\''));
                let end = end.unwrap_or(self.rest.len());
                (Token::Word(self.rest[..end].to_owned()), end)
            }
        };
        self.rest = &self.rest[end..];
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn schema(types: &[&str], classes: &[&str]) -> Subschema {
        Subschema::new(types.iter().map(|text| text.as_bytes()), classes.iter().map(|text| text.as_bytes()))
    }

    #[test]
    fn types_inherit_and_classes_add_up() {
        let schema = schema(
            &[
                "( 2.5.4.41 NAME 'name' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{32768} )",
                "( 2.5.4.3 NAME ( 'cn' 'commonName' ) DESC 'RFC4519: it''s a (name)' SUP name )",
                "( 2.5.4.4 NAME 'sn' SUP name X-ORIGIN ( 'a' 'b' ) )",
                "(1.1 NAME 'level' SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE USAGE directoryOperation)",
                "( broken",
            ],
            &[
                "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
                "( 2.5.6.6 NAME 'person' SUP top STRUCTURAL MUST ( sn $ cn ) MAY level )",
                "( 1.2 NAME 'staff' SUP person MAY (sn$level) )",
                "( 1.3 NAME 'circle' SUP circle AUXILIARY )",
            ],
        );
        let cn = schema.attribute_type("COMMONNAME").unwrap();
        assert_eq!((cn.name(), cn.equality.as_deref()), ("cn", Some("caseIgnoreMatch")));
        assert_eq!(cn.syntax.as_deref(), Some("1.3.6.1.4.1.1466.115.121.1.15"));
        let level = schema.attribute_type("level").unwrap();
        assert!(level.single_valued && level.operational);
        let attributes = |class: &str| {
            let found = schema.attributes(schema.class(class).unwrap());
            found
                .iter()
                .map(|(found, required)| format!("{}{}", found.name(), if *required { "!" } else { "" }))
                .collect::<Vec<_>>()
        };
        assert_eq!(attributes("Staff"), ["sn!", "cn!", "level"]);
        assert_eq!(schema.lineage(schema.class("circle").unwrap()).len(), 1);
        assert_eq!(schema.class("circle").unwrap().kind, ClassKind::Auxiliary);
        assert_eq!(schema.skipped, 1);
    }

    proptest! {
        #[test]
        fn no_description_makes_the_reader_panic(text in "[()' $A-Ca-c0-9.]{0,30}|\\( 1 NAME .{0,20}") {
            schema(&[&text], &[&text]);
        }
    }
}
