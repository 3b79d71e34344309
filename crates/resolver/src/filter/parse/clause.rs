//! A clause of the query language: a path, an operator or named filter, and its argument.

use tidelock_model::filter::{Comparison, path::identifier_length};
use tidelock_model::filter::{
    ExistsClause, Filter, FilterExpression, FullTextClause, FuzzyClause, FuzzyMethod, InOidClause, ItemPath, Literal, Operand,
    Operator, OrgClause, OrgPosition, OwnerClause, PathStep, SubstringClause, TypeClause, ValueClause, WrittenAt,
};
use tidelock_model::{Oid, QName};

use super::Parser;
use super::lexical::{Fault, Read};
use crate::filter::names::{Verb, check_matching_rule, holds_names, only_name, verb_help};
use crate::filter::nested;

impl<'a> Parser<'a> {
    /// A clause. The cursor is at its path.
    pub(super) fn clause(&mut self) -> Read<Filter> {
        let start = self.cursor.at;
        let path = self.clause_path()?;
        self.cursor.skip_space()?;
        let negated = self.cursor.eat_word("not", "NOT");
        self.cursor.skip_space()?;
        let verb_at = self.cursor.at;
        let verb = self.verb(start)?;
        let verb_text = &self.cursor.text[verb_at..self.cursor.at];
        if verb.of_the_object() && !path.is_empty() {
            return Err(Fault::new(verb_at, format!("'{verb_text}' is about the object itself, not about an item of it"))
                .with_help(format!("write . {verb_text}")));
        }
        let brackets = self.brackets(verb, verb_text)?;
        let place = self.written_at(start);
        self.cursor.skip_space()?;
        let filter = self.argument(path, verb, verb_text, brackets, place)?;
        Ok(if negated { filter.negated() } else { filter })
    }

    fn clause_path(&mut self) -> Read<ItemPath> {
        let start = self.cursor.at;
        let rest = self.cursor.rest();
        if let Some(after) = rest.strip_prefix('@')
            && identifier_length(after) > 0
        {
            let name = &rest[..=identifier_length(after)];
            if !self.pseudo_items {
                return Err(Fault::new(
                    start,
                    format!("'{name}' has a meaning only directly in the brackets of ownedBy and referencedBy"),
                )
                .with_help("for the object that a reference means write @/name"));
            }
            self.cursor.at += name.len();
            return Ok(ItemPath::item(QName::local_only(name)));
        }
        match rest.as_bytes().first() {
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' | b'@' | b'#' | b'$' | b'{' | b'[') => {
                let word = self.cursor.word();
                if matches!(word, "and" | "AND" | "or" | "OR") {
                    return Err(Fault::new(start, format!("a filter is expected here, and there is '{word}'")));
                }
                self.path()
            }
            Some(byte) if !byte.is_ascii() && identifier_length(rest) > 0 => self.path(),
            _ => Err(Fault::new(start, format!("a filter is expected here, and there is {}", self.cursor.found(start)))
                .with_help("a filter begins with the name of an item, or with '.' for the object itself")),
        }
    }

    /// The operator or named filter here.
    fn verb(&mut self, clause: usize) -> Read<Verb> {
        let at = self.cursor.at;
        let rest = self.cursor.rest().as_bytes();
        let order = |comparison| Verb::Value(Operator::Order(comparison));
        let (verb, length) = match rest {
            [b'=', b'=', ..] => return Err(Fault::new(at, "there is no operator '=='").with_help("use =")),
            [b'<', b'>', ..] => return Err(Fault::new(at, "there is no operator '<>'").with_help("use !=")),
            [b'~', ..] => {
                return Err(Fault::new(at, "there is no operator '~'").with_help("use contains, startsWith or endsWith"));
            }
            [b'=', ..] => (Verb::Value(Operator::Equal), 1),
            [b'!', b'=', ..] => (Verb::NotEqual, 2),
            [b'<', b'=', ..] => (order(Comparison::LessOrEqual), 2),
            [b'>', b'=', ..] => (order(Comparison::GreaterOrEqual), 2),
            [b'<', ..] => (order(Comparison::Less), 1),
            [b'>', ..] => (order(Comparison::Greater), 1),
            _ => {
                let word = self.cursor.word();
                if word.is_empty() || matches!(word, "and" | "AND" | "or" | "OR") {
                    let path = &self.cursor.text[clause..at];
                    let path: String = path.trim_end().chars().take(60).collect();
                    let found = self.cursor.found(at);
                    return Err(Fault::new(at, format!("'{path}' needs an operator behind it, and there is {found}"))
                        .with_help("operators are = != < <= > >= and names such as contains, startsWith, exists, matches"));
                }
                match Verb::named(word) {
                    Some(verb) => (verb, word.len()),
                    None => {
                        let word: String = word.chars().take(60).collect();
                        let fault = Fault::new(at, format!("there is no filter '{word}'"));
                        return Err(match verb_help(&word) {
                            Some(help) => fault.with_help(help),
                            None => fault,
                        });
                    }
                }
            }
        };
        self.cursor.at += length;
        Ok(verb)
    }

    /// The matching rule, or the scope of `inOrg`, directly behind an operator.
    fn brackets(&mut self, verb: Verb, verb_text: &str) -> Read<Option<QName>> {
        let open = self.cursor.at;
        if !self.cursor.eat(b'[') {
            return Ok(None);
        }
        if !verb.takes_brackets() {
            return Err(Fault::new(open, format!("'{verb_text}' takes no matching rule")));
        }
        self.cursor.skip_space()?;
        let at = self.cursor.at;
        let path = self.path()?;
        let Some(name) = only_name(&path) else {
            return Err(Fault::new(at, "the name of a matching rule is expected here"));
        };
        self.cursor.skip_space()?;
        if !self.cursor.eat(b']') {
            return Err(Fault::new(open, "this '[' is never closed"));
        }
        if verb != Verb::InOrg
            && let Err(help) = check_matching_rule(name)
        {
            let mut fault = Fault::new(at, format!("there is no matching rule '{name}'")).with_help(help);
            fault.code = "unknown-matching-rule";
            return Err(fault);
        }
        Ok(Some(name.clone()))
    }

    fn argument(
        &mut self,
        path: ItemPath,
        verb: Verb,
        verb_text: &str,
        brackets: Option<QName>,
        place: WrittenAt,
    ) -> Read<Filter> {
        Ok(match verb {
            Verb::Value(operator) => Filter::Value(self.value_clause(path, operator, verb_text, brackets, place)?),
            Verb::NotEqual => Filter::Value(self.value_clause(path, Operator::Equal, verb_text, brackets, place)?).negated(),
            Verb::Substring { at_start, at_end } => {
                let at = self.cursor.at;
                let operand = self.operand(verb_text, false, false)?;
                match &operand {
                    Operand::Values(values) if values.is_empty() => return Err(no_null(at, verb_text)),
                    Operand::Path(path) if path.variable.is_none() => return Err(no_item(at, verb_text)),
                    _ => {}
                }
                Filter::Substring(SubstringClause { path, operand, at_start, at_end, matching: brackets, place })
            }
            Verb::Levenshtein | Verb::Similarity => {
                let (operand, method, inclusive) = self.likeness(verb == Verb::Levenshtein, verb_text)?;
                Filter::Fuzzy(FuzzyClause { path, operand, method, inclusive, place })
            }
            Verb::Matches => {
                let at = self.cursor.at;
                let body = self.filter_argument(verb_text, false)?;
                nested::matches(path, body, place).map_err(|problem| Fault::new(at, problem.message).with_help(problem.help))?
            }
            Verb::Exists => Filter::Exists(ExistsClause { path, filter: None, place }),
            Verb::Type => {
                let at = self.cursor.at;
                match self.operand(verb_text, false, true)? {
                    Operand::Values(values) => match values.into_iter().next() {
                        Some(Literal::QName(type_name)) => Filter::Type(TypeClause { type_name, place }),
                        Some(Literal::String(text)) if is_name(text.trim()) => {
                            Filter::Type(TypeClause { type_name: QName::from_uri(text.trim()), place })
                        }
                        _ => return Err(no_type(at)),
                    },
                    _ => return Err(no_type(at)),
                }
            }
            Verb::IsRoot => Filter::Org(OrgClause { position: OrgPosition::Root, place }),
            Verb::InOrg => Filter::Org(OrgClause { position: self.position(verb_text, brackets)?, place }),
            Verb::InOid | Verb::OwnedByOid => {
                let of_owner = verb == Verb::OwnedByOid;
                let (oids, expression) = self.oids(verb_text)?;
                Filter::InOid(InOidClause { oids, expression, of_owner, place })
            }
            Verb::FullText => {
                let at = self.cursor.at;
                let operand = self.operand(verb_text, true, false)?;
                match &operand {
                    Operand::Values(values) if values.is_empty() => return Err(no_null(at, verb_text)),
                    Operand::Path(path) if path.variable.is_none() => return Err(no_item(at, verb_text)),
                    _ => Filter::FullText(FullTextClause { operand, place }),
                }
            }
            Verb::OwnedBy => Filter::OwnedBy(self.owner(verb_text, false, place)?),
            Verb::ReferencedBy => Filter::ReferencedBy(self.owner(verb_text, true, place)?),
            Verb::All => Filter::All,
            Verb::None => Filter::None,
            Verb::Undefined => Filter::Undefined,
        })
    }

    fn value_clause(
        &mut self,
        path: ItemPath,
        operator: Operator,
        verb_text: &str,
        matching: Option<QName>,
        place: WrittenAt,
    ) -> Read<ValueClause> {
        let at = self.cursor.at;
        let set = matches!(operator, Operator::Equal | Operator::AnyIn);
        let operand = self.operand(verb_text, set, holds_names(&path))?;
        match (&operand, operator) {
            (Operand::Values(values), Operator::AnyIn | Operator::Order(_)) if values.is_empty() => {
                return Err(no_null(at, verb_text));
            }
            (Operand::Path(path), Operator::AnyIn) if path.variable.is_none() => {
                return Err(Fault::new(at, "'anyIn' needs values").with_help("write them in brackets: anyIn ('a', 'b')"));
            }
            _ => {}
        }
        Ok(ValueClause { path, operator, operand, matching, place })
    }

    /// What an item is compared with. `null` gives no values.
    fn operand(&mut self, verb_text: &str, set: bool, names: bool) -> Read<Operand> {
        let at = self.cursor.at;
        let expression = |expression| Ok(Operand::Expression(expression));
        match self.cursor.peek() {
            Some(b'(') if set => self.value_set(names).map(Operand::Values),
            Some(b'(') => Err(Fault::new(at, format!("'{verb_text}' takes one value"))
                .with_help("only =, !=, anyIn, inOid and fullText take several")),
            Some(b'?') => {
                self.cursor.at += 1;
                expression(FilterExpression::Placeholder(None))
            }
            Some(b':') => {
                self.cursor.at += 1;
                let name = self.word_or_text("the name of a placeholder")?;
                expression(FilterExpression::Placeholder(Some(name)))
            }
            Some(b'@') if self.names_constant() => {
                self.cursor.at += 1;
                let name = self.word_or_text("the name of a constant")?;
                expression(FilterExpression::Constant(name))
            }
            Some(b'`') => {
                let code = self.cursor.quoted()?.into();
                expression(FilterExpression::Script { language: None, code })
            }
            None | Some(b')' | b',' | b']') => {
                let found = self.cursor.found(at);
                Err(Fault::new(at, format!("'{verb_text}' needs a value behind it, and there is {found}")))
            }
            _ => {
                if let Some(literal) = self.literal()? {
                    return Ok(Operand::Values(vec![literal]));
                }
                let word = self.cursor.word();
                if word == "null" && self.ends_after(word) {
                    self.cursor.at += word.len();
                    return Ok(Operand::Values(Vec::new()));
                }
                if !word.is_empty() && self.cursor.text.as_bytes().get(at + word.len()) == Some(&b'`') {
                    self.cursor.at += word.len();
                    let code = self.cursor.quoted()?.into();
                    return expression(FilterExpression::Script { language: Some(word.into()), code });
                }
                if matches!(word, "and" | "AND" | "or" | "OR" | "not" | "NOT") {
                    return Err(Fault::new(at, format!("'{verb_text}' needs a value behind it, and there is '{word}'"))
                        .with_help(format!("put a text into quotes: '{word}'")));
                }
                let path = self.value_path(verb_text)?;
                Ok(match only_name(&path) {
                    Some(name) if names => Operand::Values(vec![Literal::QName(name.clone())]),
                    _ => Operand::Path(path),
                })
            }
        }
    }

    fn value_path(&mut self, verb_text: &str) -> Read<ItemPath> {
        let at = self.cursor.at;
        let before = self.cursor.found(at);
        let path = self.path().map_err(|fault| {
            if fault.at == at && fault.code == crate::filter::SYNTAX {
                Fault::new(at, format!("'{verb_text}' needs a value behind it, and there is {before}"))
            } else {
                fault
            }
        })?;
        match self.cursor.peek() {
            Some(b':' | b'@') => Err(Fault::new(at, "a value is expected here").with_help("put a text into quotes")),
            _ => Ok(path),
        }
    }

    /// A text, a number or a truth value, if one is here.
    fn literal(&mut self) -> Read<Option<Literal>> {
        Ok(Some(match self.cursor.peek() {
            Some(b'"' | b'\'') => Literal::String(self.cursor.quoted()?.into()),
            Some(b'-' | b'0'..=b'9') => Literal::Number(self.cursor.number()?.into()),
            Some(b't' | b'f') => {
                let word = self.cursor.word();
                if !matches!(word, "true" | "false") || !self.ends_after(word) {
                    return Ok(None);
                }
                self.cursor.at += word.len();
                Literal::Boolean(word == "true")
            }
            _ => return Ok(None),
        }))
    }

    /// Values in brackets, at the first of which the cursor is.
    fn value_set(&mut self, names: bool) -> Read<Vec<Literal>> {
        let open = self.cursor.at;
        self.cursor.at += 1;
        let mut values = Vec::new();
        loop {
            self.cursor.skip_space()?;
            let at = self.cursor.at;
            match self.literal()? {
                Some(literal) => values.push(literal),
                None if self.cursor.peek().is_none() => return Err(Fault::new(open, "this '(' is never closed")),
                None if names => {
                    let path = self.path()?;
                    match only_name(&path) {
                        Some(name) => values.push(Literal::QName(name.clone())),
                        None => return Err(no_literal(at, &self.cursor.found(at))),
                    }
                }
                None => return Err(no_literal(at, &self.cursor.found(at))),
            }
            self.cursor.skip_space()?;
            if self.cursor.eat(b')') {
                return Ok(values);
            }
            if !self.cursor.eat(b',') {
                let at = self.cursor.at;
                return Err(match self.cursor.peek() {
                    None => Fault::new(open, "this '(' is never closed"),
                    Some(_) => Fault::new(at, format!("expected ',' or ')', found {}", self.cursor.found(at))),
                });
            }
        }
    }

    /// The filter in brackets that is a named filter's argument.
    fn filter_argument(&mut self, verb_text: &str, pseudo_items: bool) -> Read<Filter> {
        let at = self.cursor.at;
        if self.cursor.peek() == Some(b'(') {
            return self.bracketed(pseudo_items);
        }
        Err(Fault::new(at, format!("'{verb_text}' needs a filter in brackets behind it, and there is {}", self.cursor.found(at))))
    }

    /// The argument of a fuzzy filter: text, limit, and whether the limit is enough.
    fn likeness(&mut self, levenshtein: bool, verb_text: &str) -> Read<(Operand, FuzzyMethod, bool)> {
        let at = self.cursor.at;
        let usage = || {
            Fault::new(at, format!("'{verb_text}' needs a text and a limit in brackets")).with_help(if levenshtein {
                "write ('text', 2, true)"
            } else {
                "write ('text', 0.5, true)"
            })
        };
        if self.cursor.peek() != Some(b'(') {
            return Err(usage());
        }
        let mut values = self.value_set(false)?.into_iter();
        let (Some(Literal::String(text)), Some(Literal::Number(limit))) = (values.next(), values.next()) else {
            return Err(usage());
        };
        let inclusive = match (values.next(), values.next()) {
            (None, _) => true,
            (Some(Literal::Boolean(inclusive)), None) => inclusive,
            _ => return Err(usage()),
        };
        let method = nested::fuzzy_method(levenshtein, &limit).map_err(|message| Fault::new(at, message))?;
        Ok((Operand::Values(vec![Literal::String(text)]), method, inclusive))
    }

    fn position(&mut self, verb_text: &str, scope: Option<QName>) -> Read<OrgPosition> {
        let at = self.cursor.at;
        let (oids, expression) = self.oids(verb_text)?;
        let (Ok([oid]), None) = (<[Oid; 1]>::try_from(oids), expression) else {
            return Err(Fault::new(at, "'inOrg' takes the identifier of one organization"));
        };
        let scope = scope.as_ref().map_or("SUBTREE", QName::local);
        nested::org_position(scope, oid).ok_or_else(|| {
            Fault::new(at, format!("there is no scope '{scope}'")).with_help("scopes are SUBTREE, ONE_LEVEL and ANCESTORS")
        })
    }

    fn oids(&mut self, verb_text: &str) -> Read<(Vec<Oid>, Option<FilterExpression>)> {
        let at = self.cursor.at;
        match self.operand(verb_text, true, false)? {
            Operand::Values(values) if values.is_empty() => Err(no_null(at, verb_text)),
            Operand::Values(values) => values
                .into_iter()
                .map(|value| match value {
                    Literal::String(text) => {
                        nested::oid(&text).map_err(|problem| Fault::new(at, problem.message).with_help(problem.help))
                    }
                    _ => Err(Fault::new(at, "identifiers of objects are texts").with_help("put them into quotes")),
                })
                .collect::<Read<Vec<Oid>>>()
                .map(|oids| (oids, None)),
            Operand::Expression(expression) => Ok((Vec::new(), Some(expression))),
            Operand::Path(_) => Err(Fault::new(at, "identifiers of objects are texts").with_help("put them into quotes")),
        }
    }

    /// The argument of `ownedBy` and `referencedBy`: a conjunction in which `@type`, `@path` and `@relation` have their meaning.
    fn owner(&mut self, verb_text: &str, relation_allowed: bool, place: WrittenAt) -> Read<OwnerClause> {
        let mut owner = OwnerClause { owner_type: None, path: None, relation: None, filter: None, place };
        if self.cursor.peek() != Some(b'(') {
            return Ok(owner);
        }
        let at = self.cursor.at;
        let mut rest = Vec::new();
        let parts = match self.filter_argument(verb_text, true)? {
            Filter::And(parts) => parts,
            other => vec![other],
        };
        for part in parts {
            match nested::pseudo_item(&part) {
                None => rest.push(part),
                Some(item) => nested::set_pseudo_item(&mut owner, item, relation_allowed)
                    .map_err(|problem| Fault::new(at, problem.message).with_help(problem.help))?,
            }
        }
        if rest.iter().any(nested::has_pseudo_item) {
            return Err(Fault::new(at, "@type, @path and @relation can only be joined by 'and'"));
        }
        owner.filter = match rest.len() {
            0 => None,
            1 => rest.pop().map(Box::new),
            _ => Some(Box::new(Filter::And(rest))),
        };
        Ok(owner)
    }

    fn word_or_text(&mut self, what: &str) -> Read<Box<str>> {
        if matches!(self.cursor.peek(), Some(b'"' | b'\'')) {
            return Ok(self.cursor.quoted()?.into());
        }
        let word = self.cursor.word();
        if word.is_empty() {
            let at = self.cursor.at;
            return Err(Fault::new(at, format!("{what} is expected here, and there is {}", self.cursor.found(at))));
        }
        self.cursor.at += word.len();
        Ok(word.into())
    }

    /// Whether the `@` here begins the name of a constant rather than a path.
    fn names_constant(&self) -> bool {
        let after = self.cursor.rest().get(1..).unwrap_or_default();
        after.starts_with(['"', '\'']) || identifier_length(after) > 0
    }

    /// Whether this word is all that stands here, and no prefix, language or first step of a path.
    fn ends_after(&self, word: &str) -> bool {
        let after = self.cursor.rest().get(word.len()..).unwrap_or_default().as_bytes();
        match after {
            [b':' | b'`' | b'[', ..] => false,
            [b'/', next, ..] => matches!(next, b'/' | b'*'),
            _ => true,
        }
    }
}

fn no_null(at: usize, verb_text: &str) -> Box<Fault> {
    Fault::new(at, format!("'{verb_text}' cannot compare with null")).with_help("for items without a value write 'not exists'")
}

fn no_item(at: usize, verb_text: &str) -> Box<Fault> {
    Fault::new(at, format!("'{verb_text}' cannot compare with another item")).with_help("put a text into quotes")
}

fn no_literal(at: usize, found: &str) -> Box<Fault> {
    Fault::new(at, format!("a text, a number, true or false is expected here, and there is {found}"))
        .with_help("only such values can stand in brackets")
}

/// Whether a text can be the name of a type, in full or without namespace.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn no_type(at: usize) -> Box<Fault> {
    Fault::new(at, "the name of a type is expected here").with_help("write . type UserType")
}

/// Whether a step is a pseudo-property such as `@type`.
pub(in crate::filter) fn is_pseudo(path: &ItemPath) -> bool {
    matches!(path.steps.as_slice(), [PathStep::Name(name)] if name.local().starts_with('@'))
}
