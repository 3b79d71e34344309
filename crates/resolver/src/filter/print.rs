//! The query language, written.

use std::fmt::{self, Write};

use tidelock_model::QName;
use tidelock_model::filter::path::is_identifier;
use tidelock_model::filter::{
    Comparison, Filter, FilterExpression, FuzzyMethod, ItemPath, Literal, Operand, Operator, OrgPosition, OwnerClause, RefClause,
    RefValue,
};

use super::names::{holds_names, only_name};

/// Writes a filter in the query language, in one line unless it holds a text of several.
///
/// Reading it back gives the same filter. Three things have no words of their own and read back as something that means the same:
/// conjunctions and disjunctions of fewer than two parts, references with several unlike values, and lists without a value. An
/// expression that only documents can say is written as a placeholder.
#[must_use]
pub fn print(filter: &Filter) -> String {
    let mut text = String::new();
    // Writing to a `String` does not fail.
    let _ = Printer { out: &mut text }.filter(filter, Around::Nothing);
    text
}

/// What a filter stands in, which decides whether it needs brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    And,
    Or,
}

struct Printer<'a> {
    out: &'a mut String,
}

impl Printer<'_> {
    fn filter(&mut self, filter: &Filter, around: Around) -> fmt::Result {
        match filter {
            Filter::And(parts) | Filter::Or(parts) => {
                let and = matches!(filter, Filter::And(_));
                if parts.is_empty() {
                    return self.out.write_str(if and { ". all" } else { ". none" });
                }
                let brackets = if and { around == Around::And } else { around != Around::Nothing };
                self.bracketed(brackets, |printer| {
                    for (at, part) in parts.iter().enumerate() {
                        if at > 0 {
                            printer.out.write_str(if and { " and " } else { " or " })?;
                        }
                        printer.filter(part, if and { Around::And } else { Around::Or })?;
                    }
                    Ok(())
                })
            }
            Filter::Not(part) => match &**part {
                Filter::Value(_) | Filter::Substring(_) | Filter::Fuzzy(_) | Filter::Exists(_) => self.clause(part, true, around),
                Filter::Ref(clause) if uniform(clause).is_some() => self.clause(part, true, around),
                part => {
                    self.out.write_str("not ")?;
                    self.bracketed(true, |printer| printer.filter(part, Around::Nothing))
                }
            },
            clause => self.clause(clause, false, around),
        }
    }

    fn bracketed(&mut self, brackets: bool, content: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        if !brackets {
            return content(self);
        }
        self.out.write_str("(")?;
        content(self)?;
        self.out.write_str(")")
    }

    /// A clause, negated at its operator if that is asked for.
    fn clause(&mut self, clause: &Filter, negated: bool, around: Around) -> fmt::Result {
        let not = if negated { "not " } else { "" };
        match clause {
            Filter::Value(clause) => {
                let operator = match clause.operator {
                    Operator::Equal if negated => "!=".to_owned(),
                    Operator::Equal => "=".to_owned(),
                    Operator::AnyIn => format!("{not}anyIn"),
                    Operator::Order(Comparison::Less) => format!("{not}<"),
                    Operator::Order(Comparison::LessOrEqual) => format!("{not}<="),
                    Operator::Order(Comparison::Greater) => format!("{not}>"),
                    Operator::Order(Comparison::GreaterOrEqual) => format!("{not}>="),
                };
                if let (Operator::AnyIn, Operand::Values(values)) = (clause.operator, &clause.operand)
                    && values.is_empty()
                {
                    return self.out.write_str(if negated { ". all" } else { ". none" });
                }
                self.head(&clause.path, &operator, clause.matching.as_ref())?;
                self.operand(&clause.operand, holds_names(&clause.path))
            }
            Filter::Substring(clause) => {
                let operator = match (clause.at_start, clause.at_end) {
                    (true, false) => format!("{not}startsWith"),
                    (false, true) => format!("{not}endsWith"),
                    (false, false) => format!("{not}contains"),
                    (true, true) => format!("{not}="),
                };
                self.head(&clause.path, &operator, clause.matching.as_ref())?;
                self.operand(&clause.operand, false)
            }
            Filter::Fuzzy(clause) => {
                let (operator, limit) = match clause.method {
                    FuzzyMethod::Levenshtein(limit) => ("levenshtein", limit.to_string()),
                    FuzzyMethod::Similarity(limit) => ("similarity", limit.to_string()),
                };
                write!(self.out, "{} {not}{operator} (", clause.path)?;
                self.operand(&clause.operand, false)?;
                write!(self.out, ", {limit}, {})", clause.inclusive)
            }
            Filter::Exists(clause) => match &clause.filter {
                None => write!(self.out, "{} {not}exists", clause.path),
                Some(filter) => {
                    write!(self.out, "{} {not}matches ", clause.path)?;
                    self.bracketed(true, |printer| printer.filter(filter, Around::Nothing))
                }
            },
            Filter::Ref(clause) => self.reference(clause, not, around),
            Filter::OwnedBy(clause) => self.owner("ownedBy", clause),
            Filter::ReferencedBy(clause) => self.owner("referencedBy", clause),
            Filter::Org(clause) => {
                let (words, oid) = match &clause.position {
                    OrgPosition::Root => return self.out.write_str(". isRoot"),
                    OrgPosition::Subtree(oid) => (". inOrg ", oid),
                    OrgPosition::OneLevel(oid) => (". inOrg[ONE_LEVEL] ", oid),
                    OrgPosition::Ancestors(oid) => (". inOrg[ANCESTORS] ", oid),
                };
                self.out.write_str(words)?;
                self.string(&oid.to_string())
            }
            Filter::InOid(clause) => {
                let words = if clause.of_owner { ". ownedByOid " } else { ". inOid " };
                if let Some(expression) = &clause.expression {
                    self.out.write_str(words)?;
                    return self.expression(expression);
                }
                if clause.oids.is_empty() {
                    return self.out.write_str(". none");
                }
                self.out.write_str(words)?;
                self.list(&clause.oids, |printer, oid| printer.string(&oid.to_string()))
            }
            Filter::FullText(clause) => {
                self.out.write_str(". fullText ")?;
                self.operand(&clause.operand, false)
            }
            Filter::Type(clause) => {
                self.out.write_str(". type ")?;
                self.name(&clause.type_name)
            }
            Filter::All => self.out.write_str(". all"),
            Filter::None => self.out.write_str(". none"),
            Filter::Undefined => self.out.write_str(". undefined"),
            Filter::And(_) | Filter::Or(_) | Filter::Not(_) => self.filter(clause, around),
        }
    }

    /// Path, operator, matching rule.
    fn head(&mut self, path: &ItemPath, operator: &str, matching: Option<&QName>) -> fmt::Result {
        write!(self.out, "{path} {operator}")?;
        if let Some(rule) = matching {
            self.out.write_str("[")?;
            self.name(rule)?;
            self.out.write_str("]")?;
        }
        self.out.write_str(" ")
    }

    fn reference(&mut self, clause: &RefClause, not: &str, around: Around) -> fmt::Result {
        let Some(shared) = uniform(clause) else {
            // No words for this: several conditions, one of which must hold.
            let alternatives =
                clause.values.iter().map(|value| Filter::Ref(RefClause { values: vec![value.clone()], ..clause.clone() }));
            return self.filter(&Filter::Or(alternatives.collect()), around);
        };
        write!(self.out, "{} {not}matches (", clause.path)?;
        let oids: Vec<_> = clause.values.iter().filter_map(|value| value.oid.as_ref()).collect();
        let mut joint = "";
        if !oids.is_empty() || clause.expression.is_some() {
            self.out.write_str("oid = ")?;
            match &clause.expression {
                Some(expression) => self.expression(expression)?,
                None => self.list(&oids, |printer, oid| printer.string(&oid.to_string()))?,
            }
            joint = " and ";
        }
        for (item, name) in [("targetType", &shared.target_type), ("relation", &shared.relation)] {
            if let Some(name) = name {
                write!(self.out, "{joint}{item} = ")?;
                self.name(name)?;
                joint = " and ";
            }
        }
        if let Some(target) = &clause.target {
            write!(self.out, "{joint}@ matches ")?;
            self.bracketed(true, |printer| printer.filter(target, Around::Nothing))?;
        }
        self.out.write_str(")")
    }

    fn owner(&mut self, words: &str, clause: &OwnerClause) -> fmt::Result {
        write!(self.out, ". {words}")?;
        let mut joint = " (";
        for (item, name) in [("@type", &clause.owner_type), ("@relation", &clause.relation)] {
            if let Some(name) = name {
                write!(self.out, "{joint}{item} = ")?;
                self.name(name)?;
                joint = " and ";
            }
        }
        if let Some(path) = &clause.path {
            write!(self.out, "{joint}@path = {path}")?;
            joint = " and ";
        }
        if let Some(filter) = &clause.filter {
            self.out.write_str(joint)?;
            joint = " and ";
            // Parts of a conjunction join the others; everything else is one part among them.
            self.filter(filter, if matches!(**filter, Filter::And(_)) { Around::Nothing } else { Around::And })?;
        }
        self.out.write_str(if joint == " and " { ")" } else { "" })
    }

    fn operand(&mut self, operand: &Operand, names: bool) -> fmt::Result {
        match operand {
            Operand::Values(values) if values.is_empty() => self.out.write_str("null"),
            Operand::Values(values) => self.list(values, |printer, value| printer.literal(value, names)),
            Operand::Path(path) => write!(self.out, "{path}"),
            Operand::Expression(expression) => self.expression(expression),
        }
    }

    /// One value alone, several in brackets.
    fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T) -> fmt::Result) -> fmt::Result {
        self.bracketed(values.len() != 1, |printer| {
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    printer.out.write_str(", ")?;
                }
                write(printer, value)?;
            }
            Ok(())
        })
    }

    fn literal(&mut self, literal: &Literal, names: bool) -> fmt::Result {
        match literal {
            Literal::QName(name) if names => self.name(name),
            Literal::Number(number) => self.out.write_str(number),
            Literal::Boolean(_) => self.out.write_str(&literal.text()),
            Literal::String(_) | Literal::QName(_) => self.string(&literal.text()),
        }
    }

    fn name(&mut self, name: &QName) -> fmt::Result {
        write!(self.out, "{}", ItemPath::item(name.clone()))
    }

    fn expression(&mut self, expression: &FilterExpression) -> fmt::Result {
        match expression {
            FilterExpression::Script { language, code } => {
                if let Some(language) = language.as_deref().filter(|language| is_identifier(language)) {
                    self.out.write_str(language)?;
                }
                self.quoted(code, '`')
            }
            FilterExpression::Constant(name) => self.word("@", name),
            FilterExpression::Placeholder(None) => self.out.write_str("?"),
            FilterExpression::Placeholder(Some(name)) => self.word(":", name),
            FilterExpression::Element(_) => self.out.write_str("? /* an expression of the document */"),
        }
    }

    fn word(&mut self, sign: &str, word: &str) -> fmt::Result {
        self.out.write_str(sign)?;
        if is_identifier(word) { self.out.write_str(word) } else { self.string(word) }
    }

    fn string(&mut self, text: &str) -> fmt::Result {
        let quote = if text.contains('"') && !text.contains('\'') && !text.contains(['\n', '\r']) && !text.ends_with('\\') {
            '\''
        } else {
            '"'
        };
        self.quoted(text, quote)
    }

    /// The inverse of the reader's `quoted`.
    fn quoted(&mut self, text: &str, quote: char) -> fmt::Result {
        if text.contains(['\n', '\r']) || text.ends_with('\\') {
            let body = text.trim_end_matches(quote);
            let longest = body.split(|c| c != quote).map(str::len).max().unwrap_or(0);
            let fence = quote.to_string().repeat(longest.max(2) + 1);
            return write!(self.out, "{fence}\n{text}{fence}");
        }
        self.out.write_char(quote)?;
        for c in text.chars() {
            if c == quote {
                self.out.write_char('\\')?;
            }
            self.out.write_char(c)?;
        }
        self.out.write_char(quote)
    }
}

/// Type and relation, if all values of the reference share them; only then one clause can say it.
fn uniform(clause: &RefClause) -> Option<RefValue> {
    let shared = clause.values.first().map_or_else(RefValue::default, |first| RefValue { oid: None, ..first.clone() });
    let alike = clause.values.iter().all(|value| {
        value.target_type == shared.target_type
            && value.relation == shared.relation
            && (value.oid.is_some() || clause.values.len() == 1)
    });
    alike.then_some(shared)
}

/// What a message calls a clause: its path, or its kind.
pub(super) fn name_of(filter: &Filter) -> String {
    match filter {
        Filter::OwnedBy(_) => "ownedBy".to_owned(),
        Filter::ReferencedBy(_) => "referencedBy".to_owned(),
        Filter::Org(_) => "inOrg".to_owned(),
        Filter::InOid(_) => "inOid".to_owned(),
        Filter::FullText(_) => "fullText".to_owned(),
        Filter::Type(_) => "type".to_owned(),
        Filter::All => "all".to_owned(),
        Filter::None => "none".to_owned(),
        Filter::Undefined => "undefined".to_owned(),
        Filter::And(_) => "and".to_owned(),
        Filter::Or(_) => "or".to_owned(),
        Filter::Not(part) => name_of(part),
        other => other.path().map_or_else(String::new, |path| match only_name(path) {
            Some(name) => name.to_string(),
            None => path.to_string(),
        }),
    }
}
