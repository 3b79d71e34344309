//! Filters evaluated on objects in memory: foci, and shadows as the repository has them.

use std::cmp::Ordering;
use std::sync::Arc;

use tidelock_model::filter::{
    Comparison, ExistsClause, Filter, FuzzyClause, FuzzyMethod, InOidClause, ItemPath, Literal, Operand, Operator, PathStep,
    RefClause, RefValue, SubstringClause, ValueClause,
};
use tidelock_model::name::ns;
use tidelock_model::object::MatchingRule;
use tidelock_model::value::key_for;
use tidelock_model::{Diagnostic, Items, Oid, Place, QName, Reference, Timestamp, Value};

use super::bind::{boolean, has_order, place_of};
use super::fuzzy::{similarity, trigrams, within_distance};
use super::print::name_of;

/// A filter made ready for objects in memory.
///
/// An item with several values meets a condition with any of them; one without values meets none, so that its negation holds.
/// Values are compared by their type: a text in the filter counts as a number, a date or a truth value where the item has one, and
/// a number in the filter makes the item's text count as one. Texts are compared by their characters unless the filter says
/// otherwise. A comparison with another item of the object never holds.
#[derive(Clone, Debug)]
pub struct Evaluator {
    test: Test,
}

/// An object as far as filters look at it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its items.
    pub items: &'a Items,
    /// Its identity, if it has one; without, `inOid` never holds.
    pub oid: Option<&'a Oid>,
    /// The local name of its type, such as `UserType`, if it is known; without, `type` never holds.
    pub type_name: Option<&'a str>,
}

#[derive(Clone, Debug)]
enum Test {
    Always,
    Never,
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Type(QName),
    InOid(Vec<Oid>),
    Item { steps: Box<[Step]>, condition: Condition },
}

/// A step into an item, with the key that it mostly has.
#[derive(Clone, Debug)]
struct Step {
    key: Arc<str>,
    name: QName,
}

#[derive(Clone, Debug)]
enum Condition {
    Present,
    AnyOf { wanted: Vec<Wanted>, rule: MatchingRule },
    Compare { comparison: Comparison, bound: Wanted, rule: MatchingRule, by_time: bool },
    Substring { text: Box<str>, at_start: bool, at_end: bool, rule: MatchingRule },
    Levenshtein { text: Box<str>, limit: u32, inclusive: bool },
    Similarity { groups: Vec<[char; 3]>, limit: f64, inclusive: bool },
    Refers(Vec<RefValue>),
    Within(Box<Test>),
}

/// A value to compare with, in every type that it can be taken for.
#[derive(Clone, Debug)]
struct Wanted {
    /// In the normal form of the clause's rule.
    text: Box<str>,
    integer: Option<i64>,
    float: Option<f64>,
    boolean: Option<bool>,
    time: Option<Timestamp>,
    name: QName,
    /// It was written as a number, so texts are compared with it as numbers.
    is_number: bool,
}

impl Evaluator {
    /// Makes a filter ready.
    ///
    /// # Errors
    /// `unsupported-filter` for what takes more than the object itself: `inOrg`, `ownedBy`, `referencedBy`, `fullText`,
    /// `ownedByOid`, the target of a reference, expressions.
    pub fn new(filter: &Filter) -> Result<Self, Diagnostic> {
        Ok(Self { test: test(filter)?.unwrap_or(Test::Always) })
    }

    /// Whether an object with these items meets the condition. Its identity and type are not known; see [`Evaluator::holds_for`].
    #[must_use]
    pub fn matches(&self, items: &Items) -> bool {
        self.holds_for(&Subject { items, oid: None, type_name: None })
    }

    /// Whether an object meets the condition.
    #[must_use]
    pub fn holds_for(&self, subject: &Subject<'_>) -> bool {
        self.test.holds(subject)
    }
}

/// The test that a filter is; none for what says nothing.
fn test(filter: &Filter) -> Result<Option<Test>, Diagnostic> {
    Ok(Some(match filter {
        Filter::Undefined => return Ok(None),
        Filter::All => Test::Always,
        Filter::None => Test::Never,
        Filter::And(parts) | Filter::Or(parts) => {
            let mut tests = Vec::with_capacity(parts.len());
            for part in parts {
                tests.extend(test(part)?);
            }
            if tests.is_empty() && !parts.is_empty() {
                return Ok(None);
            }
            if matches!(filter, Filter::And(_)) { Test::All(tests) } else { Test::Any(tests) }
        }
        Filter::Not(part) => match test(part)? {
            None => return Ok(None),
            Some(part) => Test::Not(Box::new(part)),
        },
        Filter::Value(clause) => return value(filter, clause).map(Some),
        Filter::Substring(clause) => {
            let condition = substring(filter, clause)?;
            Test::Item { steps: steps(filter, &clause.path)?, condition }
        }
        Filter::Fuzzy(clause) => {
            let condition = likeness(filter, clause)?;
            Test::Item { steps: steps(filter, &clause.path)?, condition }
        }
        Filter::Ref(RefClause { path, values, expression: None, target: None, .. }) => {
            Test::Item { steps: steps(filter, path)?, condition: Condition::Refers(values.clone()) }
        }
        Filter::Exists(ExistsClause { path, filter: inner, .. }) => {
            let condition = match inner {
                None => Condition::Present,
                Some(inner) => Condition::Within(Box::new(test(inner)?.unwrap_or(Test::Always))),
            };
            Test::Item { steps: steps(filter, path)?, condition }
        }
        Filter::Type(clause) => Test::Type(clause.type_name.clone()),
        Filter::InOid(InOidClause { oids, expression: None, of_owner: false, .. }) => Test::InOid(oids.clone()),
        Filter::InOid(_)
        | Filter::Ref(_)
        | Filter::OwnedBy(_)
        | Filter::ReferencedBy(_)
        | Filter::Org(_)
        | Filter::FullText(_) => {
            let name = name_of(filter);
            return Err(unsupported(filter, format!("'{name}' takes more than the object itself, and cannot be evaluated here")));
        }
    }))
}

fn value(filter: &Filter, clause: &ValueClause) -> Result<Test, Diagnostic> {
    let steps = steps(filter, &clause.path)?;
    let rule = rule(filter, clause.matching.as_ref())?;
    let values = match &clause.operand {
        Operand::Values(values) => values,
        Operand::Path(path) if path.variable.is_none() => return Ok(Test::Never),
        Operand::Path(_) | Operand::Expression(_) => return Err(not_evaluated(filter)),
    };
    let condition = match (clause.operator, values.as_slice()) {
        (Operator::Equal, []) => return Ok(Test::Not(Box::new(Test::Item { steps, condition: Condition::Present }))),
        (Operator::Equal | Operator::AnyIn, values) => {
            Condition::AnyOf { wanted: values.iter().map(|value| wanted(value, rule)).collect(), rule }
        }
        (Operator::Order(comparison), [value]) => {
            if clause.matching.as_ref().is_some_and(|rule| !has_order(rule)) {
                return Err(unsupported(filter, "the matching rule knows no order".to_owned()));
            }
            let bound = wanted(value, rule);
            // A date alone or with a time, not any text that happens to begin with a year.
            let by_time = clause.matching.is_none() && bound.time.is_some();
            Condition::Compare { comparison, bound, rule, by_time }
        }
        (Operator::Order(_), _) => {
            return Err(Diagnostic::error(
                "several-values",
                place_of(filter, &Place::default()),
                format!("'{}' must be compared with one value", clause.path),
            ));
        }
    };
    Ok(Test::Item { steps, condition })
}

fn substring(filter: &Filter, clause: &SubstringClause) -> Result<Condition, Diagnostic> {
    let rule = rule(filter, clause.matching.as_ref())?;
    let text = rule.normalize(&single(filter, &clause.operand)?.text()).into();
    Ok(Condition::Substring { text, at_start: clause.at_start, at_end: clause.at_end, rule })
}

fn likeness(filter: &Filter, clause: &FuzzyClause) -> Result<Condition, Diagnostic> {
    let text = single(filter, &clause.operand)?.text();
    Ok(match clause.method {
        FuzzyMethod::Levenshtein(limit) => Condition::Levenshtein { text: text.into(), limit, inclusive: clause.inclusive },
        FuzzyMethod::Similarity(limit) => Condition::Similarity { groups: trigrams(&text), limit, inclusive: clause.inclusive },
    })
}

fn single<'a>(filter: &Filter, operand: &'a Operand) -> Result<&'a Literal, Diagnostic> {
    match operand {
        Operand::Values(values) => match values.as_slice() {
            [value] => Ok(value),
            _ => {
                let place = place_of(filter, &Place::default()).clone();
                Err(Diagnostic::error("several-values", &place, "one value is needed here"))
            }
        },
        Operand::Path(_) | Operand::Expression(_) => Err(not_evaluated(filter)),
    }
}

fn rule(filter: &Filter, written: Option<&QName>) -> Result<MatchingRule, Diagnostic> {
    match written {
        None => Ok(MatchingRule::Exact),
        Some(rule) => MatchingRule::from_name(rule.local())
            .ok_or_else(|| unsupported(filter, format!("the matching rule '{}' is not supported", rule.local()))),
    }
}

fn wanted(literal: &Literal, rule: MatchingRule) -> Wanted {
    let text = literal.text();
    let trimmed = text.trim();
    Wanted {
        text: rule.normalize(&text).into(),
        integer: trimmed.parse().ok(),
        float: trimmed.parse().ok().filter(|number: &f64| number.is_finite()),
        boolean: boolean(trimmed),
        time: Timestamp::parse(trimmed).ok(),
        name: match literal {
            Literal::QName(name) => name.clone(),
            _ => QName::from_uri(trimmed),
        },
        is_number: matches!(literal, Literal::Number(_)),
    }
}

/// The path as steps into items. A step up takes back the one before it.
fn steps(filter: &Filter, path: &ItemPath) -> Result<Box<[Step]>, Diagnostic> {
    let mut steps: Vec<Step> = Vec::with_capacity(path.steps.len());
    let plain = path.variable.is_none()
        && path.steps.iter().all(|step| match step {
            PathStep::Name(name) => {
                steps.push(Step { key: key_for(name), name: name.clone() });
                true
            }
            PathStep::Parent => steps.pop().is_some(),
            PathStep::Dereference | PathStep::Identifier | PathStep::Value(_) => false,
        });
    if plain && !steps.is_empty() {
        return Ok(steps.into());
    }
    Err(unsupported(filter, format!("the path '{path}' cannot be evaluated here")))
}

fn not_evaluated(filter: &Filter) -> Diagnostic {
    let name = name_of(filter);
    unsupported(filter, format!("the value that '{name}' is compared with is an expression, which is not evaluated here"))
}

fn unsupported(filter: &Filter, message: String) -> Diagnostic {
    Diagnostic::error("unsupported-filter", place_of(filter, &Place::default()), message)
        .with_help("use comparisons of the object's own items with values")
}

impl Test {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::All(tests) => tests.iter().all(|test| test.holds(subject)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(subject)),
            Self::Not(test) => !test.holds(subject),
            Self::Type(wanted) => subject.type_name.is_some_and(|name| is_of_type(name, wanted)),
            Self::InOid(oids) => subject.oid.is_some_and(|oid| oids.contains(oid)),
            Self::Item { steps, condition } => any_value(subject.items, steps, &mut |value| condition.holds(value)),
        }
    }
}

/// Whether some value at the end of the steps passes, through every value of the containers on the way.
fn any_value(items: &Items, steps: &[Step], passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    let Some((step, further)) = steps.split_first() else { return false };
    let mut values = items.get(&step.key);
    if values.is_empty() {
        values = items.get_matching(&step.name);
    }
    values.iter().any(|value| match value {
        _ if further.is_empty() => passes(value),
        Value::Container(inner) => any_value(inner, further, passes),
        _ => false,
    })
}

/// Whether a type is another, or one of its kinds.
fn is_of_type(name: &str, wanted: &QName) -> bool {
    if wanted.namespace().is_some_and(|n| n != ns::COMMON) {
        return false;
    }
    match wanted.local() {
        "ObjectType" | "Object" => true,
        "AssignmentHolderType" => name != "ShadowType",
        "FocusType" => matches!(name, "UserType" | "RoleType" | "OrgType" | "ServiceType" | "ArchetypeType" | "PolicyType"),
        "AbstractRoleType" => matches!(name, "RoleType" | "OrgType" | "ServiceType" | "ArchetypeType" | "PolicyType"),
        wanted => wanted == name,
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Present => true,
            Self::AnyOf { wanted, rule } => wanted.iter().any(|wanted| wanted.equals(value, *rule)),
            Self::Compare { comparison, bound, rule, by_time } => {
                bound.order(value, *rule, *by_time).is_some_and(|order| comparison.admits(order))
            }
            Self::Substring { text, at_start, at_end, rule } => {
                value.as_str().is_some_and(|value| rule.has_part(value, text, *at_start, *at_end))
            }
            Self::Levenshtein { text, limit, inclusive } => {
                value.as_str().is_some_and(|value| within_distance(value, text, *limit, *inclusive))
            }
            Self::Similarity { groups, limit, inclusive } => value.as_str().is_some_and(|value| {
                let similarity = similarity(groups, value);
                similarity > *limit || (*inclusive && similarity >= *limit)
            }),
            Self::Refers(wanted) => match value {
                Value::Reference(reference) => wanted.iter().any(|wanted| refers(reference, wanted)),
                _ => false,
            },
            Self::Within(test) => match value {
                Value::Container(items) => test.holds(&Subject { items, oid: None, type_name: None }),
                _ => false,
            },
        }
    }
}

impl Wanted {
    fn equals(&self, value: &Value, rule: MatchingRule) -> bool {
        match value {
            Value::String(text) => {
                rule.equals(text, &self.text)
                    || (self.is_number && text.trim().parse::<f64>().is_ok_and(|number| Some(number) == self.float))
            }
            Value::Integer(number) => self.order_of_integer(*number).is_some_and(Ordering::is_eq),
            Value::Float(number) => self.float == Some(*number),
            Value::Boolean(flag) => self.boolean == Some(*flag),
            Value::DateTime(time) => self.time == Some(*time),
            Value::QName(name) => self.name.matches(name),
            Value::Binary(_) | Value::Reference(_) | Value::Container(_) => false,
        }
    }

    /// How a value stands to this one; none if they cannot be compared.
    fn order(&self, value: &Value, rule: MatchingRule, by_time: bool) -> Option<Ordering> {
        match value {
            Value::String(text) => {
                if self.is_number
                    && let Ok(number) = text.trim().parse::<f64>()
                {
                    return number.partial_cmp(&self.float?);
                }
                if by_time && let Ok(time) = Timestamp::parse(text) {
                    return Some(time.cmp(&self.time?));
                }
                Some(rule.order(text, &self.text))
            }
            Value::Integer(number) => self.order_of_integer(*number),
            Value::Float(number) => number.partial_cmp(&self.float?),
            Value::DateTime(time) => Some(time.cmp(&self.time?)),
            _ => None,
        }
    }

    fn order_of_integer(&self, number: i64) -> Option<Ordering> {
        match self.integer {
            Some(wanted) => Some(number.cmp(&wanted)),
            // A fraction, or out of range: the loss of precision does not change the order.
            #[allow(clippy::cast_precision_loss)]
            None => (number as f64).partial_cmp(&self.float?),
        }
    }
}

fn refers(reference: &Reference, wanted: &RefValue) -> bool {
    let is_default = |relation: &QName| relation.local() == "default" && relation.namespace().is_none_or(|n| n == ns::ORG);
    let is_any = |relation: &QName| relation.local() == "any";
    let relation = match (&reference.relation, &wanted.relation) {
        (_, Some(wanted)) if is_any(wanted) => true,
        (None, wanted) => wanted.as_ref().is_none_or(is_default),
        (Some(has), None) => is_default(has),
        (Some(has), Some(wanted)) => has.matches(wanted),
    };
    relation
        && wanted.oid.as_ref().is_none_or(|oid| *oid == reference.oid)
        && wanted.target_type.as_ref().is_none_or(|wanted| reference.target_type.as_ref().is_some_and(|has| has.matches(wanted)))
}
