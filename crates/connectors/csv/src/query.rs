//! Filters, for people.

use tidelock_model::filter::{BoundFilter, Comparison, Condition};
use tidelock_model::value::Value;

/// A filter in words.
pub(crate) fn show(filter: &BoundFilter) -> String {
    match filter {
        BoundFilter::All => "anything".to_owned(),
        BoundFilter::None => "nothing".to_owned(),
        BoundFilter::And(parts) => join(parts, " and "),
        BoundFilter::Or(parts) => join(parts, " or "),
        BoundFilter::Not(part) => format!("not ({})", show(part)),
        BoundFilter::Attribute { name, condition, .. } => match condition {
            Condition::Present => format!("{name} has a value"),
            Condition::AnyOf(values) => match values.as_slice() {
                [value] => format!("{name} = {}", text(value)),
                values => format!("{name} is one of {}", values.iter().map(text).collect::<Vec<_>>().join(", ")),
            },
            Condition::Compare(comparison, value) => format!("{name} {} {}", operator(*comparison), text(value)),
            Condition::Substring { text, at_start, at_end } => match (at_start, at_end) {
                (true, true) => format!("{name} = '{text}'"),
                (true, false) => format!("{name} starts with '{text}'"),
                (false, true) => format!("{name} ends with '{text}'"),
                (false, false) => format!("{name} contains '{text}'"),
            },
        },
    }
}

fn join(parts: &[BoundFilter], word: &str) -> String {
    let part = |part: &BoundFilter| match part {
        BoundFilter::And(_) | BoundFilter::Or(_) => format!("({})", show(part)),
        _ => show(part),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(word)
}

fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn text(value: &Value) -> String {
    format!("'{}'", value.to_text().unwrap_or_default())
}
