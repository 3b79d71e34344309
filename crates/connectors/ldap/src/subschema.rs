//! What a server publishes of its schema (RFC 4512, 4.1 and 4.2): attribute types and object classes, with the matching rules and
//! syntaxes that the types name.
//!
//! Which types a rule applies to (`matchingRuleUse`) is not read: a type names its own rules, and no others are asked for.
//!
//! Real servers publish descriptions that keep to the grammar loosely: one that cannot be understood is left out, and counted.

use std::collections::{HashMap, HashSet};

use crate::matching::{Sameness, is_known_order};

/// The attribute types and object classes of a server.
#[derive(Debug, Default)]
pub(crate) struct Subschema {
    types: Vec<AttributeType>,
    classes: Vec<Class>,
    types_by_name: HashMap<String, usize>,
    classes_by_name: HashMap<String, usize>,
    /// How many matching rules it has.
    pub(crate) rules: usize,
    /// How many syntaxes it has.
    pub(crate) syntaxes: usize,
    /// The rules for equality that attribute types name, and that are not known to us. Sorted.
    pub(crate) unknown_rules: Vec<String>,
    /// How many descriptions could not be understood.
    pub(crate) skipped: usize,
}

/// The descriptions that a server publishes: the values of the attributes called so.
#[derive(Default)]
pub(crate) struct Descriptions<'a> {
    pub(crate) attribute_types: Vec<&'a [u8]>,
    pub(crate) object_classes: Vec<&'a [u8]>,
    pub(crate) matching_rules: Vec<&'a [u8]>,
    pub(crate) ldap_syntaxes: Vec<&'a [u8]>,
}

/// An attribute type, with what it inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeType {
    pub(crate) oid: String,
    pub(crate) names: Vec<String>,
    superior: Option<String>,
    rules: Rules,
    /// Which values are the same to the server; none where it has no rule for that, or one that is not known.
    pub(crate) equality: Option<Sameness>,
    /// Which parts of values are; none where it cannot be asked for parts.
    pub(crate) substring: Option<Sameness>,
    /// Whether it can be asked for greater and smaller values.
    pub(crate) ordering: bool,
    pub(crate) syntax: Option<String>,
    /// Whether values are no text, and whether they are sent in binary form only, as far as the server says so.
    pub(crate) is_binary: bool,
    pub(crate) is_sent_in_binary: bool,
    pub(crate) single_valued: bool,
    pub(crate) operational: bool,
}

/// The matching rules that an attribute type names.
#[derive(Clone, Debug, Default)]
struct Rules {
    equality: Option<String>,
    ordering: Option<String>,
    substring: Option<String>,
}

/// A matching rule.
#[derive(Default)]
struct Rule {
    oid: String,
    names: Vec<String>,
}

/// A syntax.
#[derive(Default)]
struct Syntax {
    oid: String,
    /// The one that its values have as well.
    substitute: Option<String>,
    is_binary: bool,
    is_sent_in_binary: bool,
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
    /// Reads descriptions.
    pub(crate) fn new(published: &Descriptions<'_>) -> Self {
        let mut schema = Self::default();
        for read in understood(&published.attribute_types, attribute_type, &mut schema.skipped) {
            schema.add_type(read);
        }
        for read in understood(&published.object_classes, class, &mut schema.skipped) {
            schema.add_class(read);
        }
        let rules = understood(&published.matching_rules, rule, &mut schema.skipped);
        let syntaxes = understood(&published.ldap_syntaxes, syntax, &mut schema.skipped);
        schema.inherit();
        schema.resolve(&rules, &syntaxes);
        schema
    }

    /// Forgets that points in time have an order, where others than the server write them: one that compares them as text is right
    /// only about those that are all in one spelling.
    pub(crate) fn forget_orders_of_foreign_times(&mut self) {
        let is_time = |syntax: &Option<String>| syntax.as_deref() == Some("1.3.6.1.4.1.1466.115.121.1.24");
        for foreign in self.types.iter_mut().filter(|found| !found.operational && is_time(&found.syntax)) {
            foreign.ordering = false;
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
        // Names of entries are mostly made of attributes in small letters.
        let at = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => self.types_by_name.get(&name.to_ascii_lowercase()),
            false => self.types_by_name.get(name),
        };
        at.map(|at| &self.types[*at])
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
                here.rules.equality = here.rules.equality.take().or(above.rules.equality);
                here.rules.ordering = here.rules.ordering.take().or(above.rules.ordering);
                here.rules.substring = here.rules.substring.take().or(above.rules.substring);
                here.syntax = here.syntax.take().or(above.syntax);
                superior = above.superior;
            }
        }
    }

    /// Finds out what the rules and syntaxes mean that attribute types name.
    fn resolve(&mut self, rules: &[Rule], syntaxes: &[Syntax]) {
        // A rule is called by any of its names, of which we may know another.
        let all_names = |name: &str| {
            let is_called = |rule: &&Rule| rule.names.iter().chain([&rule.oid]).any(|known| known.eq_ignore_ascii_case(name));
            rules.iter().find(is_called).into_iter().flat_map(|rule| rule.names.iter().chain([&rule.oid])).map(String::as_str)
        };
        let sameness = |name: &str| Sameness::of(name).or_else(|| all_names(name).find_map(Sameness::of));
        let mut unknown = HashSet::new();
        for found in &mut self.types {
            found.equality = found.rules.equality.as_deref().and_then(sameness);
            found.substring = found.rules.substring.as_deref().and_then(sameness);
            found.ordering =
                found.rules.ordering.as_deref().is_some_and(|name| is_known_order(name) || all_names(name).any(is_known_order));
            unknown.extend(found.rules.equality.clone().filter(|_| found.equality.is_none()));
            // A syntax that stands for itself, or in a circle, is looked up once.
            let Some(syntax) = syntaxes.iter().find(|syntax| Some(&syntax.oid) == found.syntax.as_ref()) else { continue };
            (found.is_binary, found.is_sent_in_binary) = (syntax.is_binary, syntax.is_sent_in_binary);
            found.syntax = syntax.substitute.clone().or(found.syntax.take());
        }
        self.unknown_rules = unknown.into_iter().collect();
        self.unknown_rules.sort_unstable();
        (self.rules, self.syntaxes) = (rules.len(), syntaxes.len());
    }
}

/// The descriptions that can be understood. Counts the others.
fn understood<T>(texts: &[&[u8]], read: impl Fn(&str) -> Option<T>, skipped: &mut usize) -> Vec<T> {
    let understood: Vec<T> = texts.iter().filter_map(|text| std::str::from_utf8(text).ok().and_then(&read)).collect();
    *skipped += texts.len() - understood.len();
    understood
}

fn attribute_type(text: &str) -> Option<AttributeType> {
    let mut read = AttributeType::default();
    for (keyword, values) in description(text)? {
        let first = || values.first().cloned();
        match keyword.as_str() {
            "" => read.oid = first()?,
            "NAME" => read.names = values,
            "SUP" => read.superior = first(),
            "EQUALITY" => read.rules.equality = first(),
            "ORDERING" => read.rules.ordering = first(),
            "SUBSTR" => read.rules.substring = first(),
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

fn rule(text: &str) -> Option<Rule> {
    let mut read = Rule::default();
    for (keyword, values) in description(text)? {
        match keyword.as_str() {
            "" => read.oid = values.into_iter().next()?,
            "NAME" => read.names = values,
            _ => {}
        }
    }
    Some(read)
}

fn syntax(text: &str) -> Option<Syntax> {
    let mut read = Syntax::default();
    for (keyword, values) in description(text)? {
        let is_true = || values.first().is_some_and(|value| value.eq_ignore_ascii_case("TRUE"));
        match keyword.as_str() {
            "X-NOT-HUMAN-READABLE" => read.is_binary = is_true(),
            "X-BINARY-TRANSFER-REQUIRED" => read.is_sent_in_binary = is_true(),
            "" => read.oid = values.into_iter().next()?,
            "X-SUBST" => read.substitute = values.into_iter().next(),
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

    fn bytes<'a>(texts: &[&'a str]) -> Vec<&'a [u8]> {
        texts.iter().map(|text| text.as_bytes()).collect()
    }

    fn schema(types: &[&str], classes: &[&str]) -> Subschema {
        let (attribute_types, object_classes) = (bytes(types), bytes(classes));
        Subschema::new(&Descriptions { attribute_types, object_classes, ..Descriptions::default() })
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
        assert_eq!((cn.name(), cn.equality, cn.substring), ("cn", Some(Sameness::IgnoreCase), Some(Sameness::IgnoreCase)));
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

    #[test]
    fn types_are_what_their_rules_and_syntaxes_say() {
        let schema = Subschema::new(&Descriptions {
            attribute_types: bytes(&[
                "( 1.1 NAME 'a' EQUALITY ourMatch ORDERING 2.5.13.15 SYNTAX 1.9 )",
                "( 1.2 NAME 'b' SUP a EQUALITY strangeMatch SUBSTR 2.5.13.7 ORDERING strangeOrder )",
                "( 1.3 NAME 'c' SUP a SYNTAX 1.8 )",
                "( 1.4 NAME 'd' EQUALITY unpublishedMatch SYNTAX 1.7 )",
            ]),
            matching_rules: bytes(&[
                "( 2.5.13.2 NAME 'ourMatch' SYNTAX 1.9 )",
                "( 1.5 NAME 'strangeMatch' SYNTAX 1.9 )",
                "( 1.6 NAME ( 'strangeOrder' 'integerOrderingMatch' ) SYNTAX 1.9 )",
                "no rule",
            ]),
            ldap_syntaxes: bytes(&[
                "( 1.9 DESC 'Like text' X-SUBST '1.3.6.1.4.1.1466.115.121.1.15' )",
                "( 1.8 X-BINARY-TRANSFER-REQUIRED 'TRUE' X-NOT-HUMAN-READABLE 'TRUE' )",
            ]),
            ..Descriptions::default()
        });
        let shown = |name: &str| {
            let found = schema.attribute_type(name).unwrap();
            (found.equality, found.substring, found.ordering, found.syntax.as_deref().unwrap_or_default())
        };
        assert_eq!(shown("a"), (Some(Sameness::IgnoreCase), None, true, "1.3.6.1.4.1.1466.115.121.1.15"));
        assert_eq!(shown("b"), (None, Some(Sameness::ExactCase), true, "1.3.6.1.4.1.1466.115.121.1.15"));
        assert_eq!(shown("c"), (Some(Sameness::IgnoreCase), None, true, "1.8"));
        let c = schema.attribute_type("c").unwrap();
        assert!(c.is_binary && c.is_sent_in_binary);
        assert_eq!((schema.rules, schema.syntaxes, schema.skipped), (3, 2, 1));
        assert_eq!(schema.unknown_rules, ["strangeMatch", "unpublishedMatch"]);
    }

    proptest! {
        #[test]
        fn no_description_makes_the_reader_panic(text in "[()' $A-Ca-c0-9.]{0,30}|\\( 1 NAME .{0,20}") {
            let all = || bytes(&[&text]);
            Subschema::new(&Descriptions {
                attribute_types: all(),
                object_classes: all(),
                matching_rules: all(),
                ldap_syntaxes: all(),
            });
        }
    }
}
