//! Conditions on resource objects, bound to a schema.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::object::schema::MatchingRule;
use crate::value::{Items, Value};

/// A condition on the attributes of a resource object.
///
/// It has been bound: every attribute exists in the object class, and every value has the attribute's type.
#[derive(Clone, Debug, PartialEq)]
pub enum BoundFilter {
    /// Holds for every object.
    All,
    /// Holds for none.
    None,
    /// Every part holds.
    And(Vec<BoundFilter>),
    /// Some part holds.
    Or(Vec<BoundFilter>),
    /// The part does not hold.
    Not(Box<BoundFilter>),
    /// Some value of an attribute meets a condition.
    Attribute {
        /// The attribute, as the schema names it.
        name: Arc<str>,
        /// How its values are compared.
        rule: MatchingRule,
        /// What must be true of some value.
        condition: Condition,
    },
}

/// What a value must meet. Texts are in the normal form of the clause's matching rule already.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The attribute has a value at all.
    Present,
    /// Equals one of these.
    AnyOf(Vec<Value>),
    /// Stands in this order to a value.
    Compare(Comparison, Value),
    /// Contains a text: at its start, at its end, or anywhere.
    Substring {
        /// The text sought.
        text: Box<str>,
        /// It must be at the start.
        at_start: bool,
        /// It must be at the end.
        at_end: bool,
    },
}

/// An order between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Less than.
    Less,
    /// Less than or equal to.
    LessOrEqual,
    /// Greater than.
    Greater,
    /// Greater than or equal to.
    GreaterOrEqual,
}

impl BoundFilter {
    /// Whether these attributes meet the condition. A multi-valued attribute does so with any of its values.
    #[must_use]
    pub fn matches(&self, attributes: &Items) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::And(parts) => parts.iter().all(|part| part.matches(attributes)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(attributes)),
            Self::Not(part) => !part.matches(attributes),
            Self::Attribute { name, rule, condition } => attributes.get(name).iter().any(|value| condition.holds(value, *rule)),
        }
    }

    /// Both conditions at once, without needless nesting.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (Self::And(mut parts), Self::And(more)) => {
                parts.extend(more);
                Self::And(parts)
            }
            (Self::And(mut parts), filter) => {
                parts.push(filter);
                Self::And(parts)
            }
            (filter, Self::And(mut parts)) => {
                parts.insert(0, filter);
                Self::And(parts)
            }
            (a, b) => Self::And(vec![a, b]),
        }
    }
}

impl Condition {
    fn holds(&self, value: &Value, rule: MatchingRule) -> bool {
        match self {
            Self::Present => true,
            Self::AnyOf(wanted) => wanted.iter().any(|w| equal(value, w, rule)),
            Self::Compare(comparison, bound) => compare(value, bound, rule).is_some_and(|order| comparison.admits(order)),
            Self::Substring { text, at_start, at_end } => {
                value.as_str().is_some_and(|value| rule.has_part(value, text, *at_start, *at_end))
            }
        }
    }
}

impl Comparison {
    /// Whether a value that stands like this to another meets the comparison with it.
    #[must_use]
    pub const fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn equal(value: &Value, wanted: &Value, rule: MatchingRule) -> bool {
    match (value, wanted) {
        (Value::String(a), Value::String(b)) => rule.equals(a, b),
        _ => value == wanted,
    }
}

fn compare(value: &Value, bound: &Value, rule: MatchingRule) -> Option<Ordering> {
    Some(match (value, bound) {
        (Value::String(a), Value::String(b)) => rule.order(a, b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b)?,
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        _ => return None,
    })
}
