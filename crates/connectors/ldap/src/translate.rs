//! The engine's filters as LDAP filters.
//!
//! What a server can decide depends on the matching rules that its schema gives an attribute. A part that it cannot decide is
//! left out, so that it finds too much rather than too little; whoever searches checks the rest.

use tidelock_model::filter::{BoundFilter, Comparison, Condition};
use tidelock_model::object::MatchingRule;
use tidelock_model::{Timestamp, Value};

use crate::dn::{Dn, has_case};
use crate::filter::Filter;
use crate::matching::{Finds, Sameness};
use crate::schema::{Attribute, EntryClass, TextSyntax};
use crate::value::Form;

/// What a filter became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Translated {
    /// What to ask the server; none asks for everything.
    pub(crate) filter: Option<Filter>,
    /// Every part of it is asked of the server.
    pub(crate) complete: bool,
    /// The server finds exactly what is meant. Otherwise what it finds is to be checked.
    pub(crate) exact: bool,
    /// The server says yes or no of every entry. What it is undecided about (RFC 4511, 4.5.1.7: a value that does not have the
    /// attribute's syntax) it does not find, whether it is asked for that or for the opposite.
    pub(crate) decided: bool,
}

/// Translates a filter on entries of a class.
pub(crate) fn translate(class: &EntryClass, filter: &BoundFilter) -> Translated {
    match filter {
        BoundFilter::All => everything(),
        BoundFilter::None => exactly(nothing()),
        BoundFilter::And(parts) => {
            let mut whole = everything();
            for part in parts {
                let part = translate(class, part);
                whole.complete &= part.complete;
                whole.exact &= part.exact;
                whole.decided &= part.decided;
                whole.filter = match (whole.filter, part.filter) {
                    (Some(a), Some(b)) => Some(a.and(b)),
                    (a, b) => a.or(b),
                };
            }
            whole
        }
        BoundFilter::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| translate(class, part)).collect();
            let (complete, exact) = (parts.iter().all(|part| part.complete), parts.iter().all(|part| part.exact));
            let decided = parts.iter().all(|part| part.decided);
            // One part that lets everything through does so for all.
            let filters: Option<Vec<_>> = parts.into_iter().map(|part| part.filter).collect();
            Translated { filter: filters.map(any_of), complete, exact, decided }
        }
        BoundFilter::Not(part) => match translate(class, part) {
            Translated { filter: Some(filter), complete: true, exact: true, decided: true } => {
                exactly(Filter::Not(Box::new(filter)))
            }
            Translated { filter: None, complete: true, exact: true, .. } => exactly(nothing()),
            // The opposite of too much would be too little, and so would be that of what the server is undecided about.
            _ => unknown(),
        },
        BoundFilter::Attribute { name, rule, condition } => {
            class.attribute(name).and_then(|attribute| clause(class, attribute, *rule, condition)).unwrap_or_else(unknown)
        }
    }
}

/// The filter that entries with one of these identifiers meet. None where there is none, or the server cannot be asked for it.
pub(crate) fn identified(class: &EntryClass, identifiers: &[&str]) -> Option<Filter> {
    let attribute = class.identifier();
    let name = attribute.asked_as.as_ref()?;
    let values = identifiers.iter().filter_map(|identifier| attribute.form.write(&Value::from(*identifier)));
    let filters: Vec<_> = values.map(|value| Filter::equal(name, value)).collect();
    if filters.is_empty() { None } else { Some(any_of(filters)) }
}

fn everything() -> Translated {
    Translated { filter: None, complete: true, exact: true, decided: true }
}

fn exactly(filter: Filter) -> Translated {
    Translated { filter: Some(filter), complete: true, exact: true, decided: true }
}

fn unknown() -> Translated {
    Translated { filter: None, complete: false, exact: false, decided: false }
}

/// What no entry meets. Not every server knows the empty disjunction (RFC 4526).
fn nothing() -> Filter {
    Filter::Not(Box::new(Filter::anything()))
}

fn any_of(mut filters: Vec<Filter>) -> Filter {
    match filters.len() {
        0 => nothing(),
        1 => filters.remove(0),
        _ => Filter::Or(filters),
    }
}

/// None where the server cannot decide it.
fn clause(class: &EntryClass, attribute: &Attribute, rule: MatchingRule, condition: &Condition) -> Option<Translated> {
    if *condition == Condition::Present && attribute.asked_as.is_none() {
        return Some(everything());
    }
    let name = attribute.asked_as.as_deref()?;
    let translated = |filter, exact, decided| Some(Translated { filter: Some(filter), complete: true, exact, decided });
    match condition {
        Condition::Present => translated(Filter::Present(name.to_owned()), true, true),
        Condition::AnyOf(values) => {
            if let Form::Time(_) = attribute.form {
                let moments: Option<Vec<_>> = values.iter().map(|value| moment(attribute, name, value)).collect();
                return translated(any_of(moments?), false, true);
            }
            let found: Option<Vec<bool>> =
                values.iter().map(|value| is_exact(class, attribute, attribute.equality?, rule, value)).collect();
            let equal = |value| attribute.form.write(value).map(|value| Filter::equal(name, value));
            let decided = values.iter().all(|value| is_legal(class, attribute, value));
            let exact = found?.iter().all(|exact| *exact);
            translated(any_of(values.iter().map(equal).collect::<Option<_>>()?), exact, decided)
        }
        Condition::Compare(comparison, value) => compare(attribute, name, *comparison, value),
        Condition::Substring { text, at_start, at_end } => {
            let value = Value::from(&**text);
            let whole = *at_start && *at_end;
            if attribute.form != Form::Text {
                return None;
            }
            if text.is_empty() {
                return translated(Filter::Present(name.to_owned()), !whole, true);
            }
            let sameness = if whole { attribute.equality? } else { attribute.substring? };
            let exact = is_exact(class, attribute, sameness, rule, &value)?;
            let decided = is_legal(class, attribute, &value);
            let text = text.as_bytes().to_vec();
            if whole {
                return translated(Filter::equal(name, text), exact, decided);
            }
            let (mut initial, mut any, mut last) = (None, Vec::new(), None);
            match (at_start, at_end) {
                (true, _) => initial = Some(text),
                (_, true) => last = Some(text),
                _ => any.push(text),
            }
            translated(Filter::Substring { attribute: name.to_owned(), initial, any, last }, exact, decided)
        }
    }
}

/// Whether the server finds exactly what is meant by a value, or more. None where it may find less.
fn is_exact(class: &EntryClass, attribute: &Attribute, sameness: Sameness, rule: MatchingRule, value: &Value) -> Option<bool> {
    match value {
        // We have it in small letters, and the server may mind.
        Value::String(name) if rule == MatchingRule::DistinguishedName && has_case(name, &class.subschema) => None,
        Value::String(text) => match sameness.finds(rule) {
            // It takes one space for as good as two, and we do not.
            Finds::Same => Some(!matches!(sameness, Sameness::IgnoreCase | Sameness::ExactCase) || !text.contains(' ')),
            Finds::More => Some(false),
            Finds::Less => None,
        },
        _ => Some(attribute.form != Form::Binary || sameness == Sameness::Bytes),
    }
}

/// Whole numbers and points in time: texts have orders in which servers and we may differ.
fn compare(attribute: &Attribute, name: &str, comparison: Comparison, value: &Value) -> Option<Translated> {
    if !attribute.ordering {
        return None;
    }
    let (value, step) = match (attribute.form, value) {
        (Form::Integer | Form::Time(_), Value::Integer(number)) => (*number, Value::Integer as fn(i64) -> Value),
        (Form::Time(_), Value::DateTime(time)) => {
            (time.as_millis(), (|millis| Value::DateTime(Timestamp::from_millis(millis))) as fn(i64) -> Value)
        }
        _ => return None,
    };
    // Times are bounded by whole seconds, generously, and what is found is checked: servers have finer ones than we do, and 389
    // Directory Server compares them as text, in which a fraction comes before the second that it belongs to.
    let is_time = matches!(attribute.form, Form::Time(_));
    let second = |millis: i64| millis.div_euclid(1000).checked_mul(1000);
    let (at_least, bound, exact) = match comparison {
        Comparison::GreaterOrEqual | Comparison::Greater if is_time => (true, second(value.checked_sub(1000)?)?, false),
        Comparison::LessOrEqual | Comparison::Less if is_time => (false, second(value.checked_add(1000)?)?, false),
        Comparison::GreaterOrEqual => (true, value, true),
        Comparison::Greater => (true, value.checked_add(1)?, true),
        Comparison::LessOrEqual => (false, value, true),
        Comparison::Less => (false, value.checked_sub(1)?, true),
    };
    let bound = attribute.form.write(&step(bound))?;
    let name = name.to_owned();
    let filter = if at_least { Filter::GreaterOrEqual(name, bound) } else { Filter::LessOrEqual(name, bound) };
    Some(Translated { filter: Some(filter), complete: true, exact, decided: true })
}

/// Whether a value certainly has the syntax of an attribute. Where servers differ, it does not.
fn is_legal(class: &EntryClass, attribute: &Attribute, value: &Value) -> bool {
    let text = match (attribute.form, value) {
        (Form::Text | Form::Name, Value::String(text)) => text,
        (Form::Integer | Form::Boolean | Form::Binary | Form::Guid, _) => return true,
        _ => return false,
    };
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match attribute.text {
        TextSyntax::Directory => !text.trim().is_empty() && text.chars().all(|c| matches!(c, ' '..='~') || c.is_alphanumeric()),
        TextSyntax::Ascii => is_plain(text),
        TextSyntax::Printable => {
            let is_printable = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+,-./:? =".contains(&byte);
            !text.trim().is_empty() && text.bytes().all(is_printable)
        }
        TextSyntax::Uuid => {
            let groups: Vec<_> = text.split('-').map(str::len).collect();
            groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        }
        TextSyntax::Name => {
            let known = |name: Dn| name.pairs().all(|(name, _)| class.subschema.attribute_type(name).is_some());
            is_plain(text) && Dn::parse(text).is_some_and(known)
        }
        TextSyntax::Other => false,
    }
}

/// A point in time, which is an interval to the server.
fn moment(attribute: &Attribute, name: &str, value: &Value) -> Option<Filter> {
    let from = compare(attribute, name, Comparison::GreaterOrEqual, value)?.filter?;
    let to = compare(attribute, name, Comparison::LessOrEqual, value)?.filter?;
    Some(from.and(to))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::config::TimestampForm;
    use crate::value::{parse_time, write_time};

    fn time() -> Attribute {
        Attribute {
            name: "modifyTimestamp".into(),
            asked_as: Some("modifyTimestamp".into()),
            form: Form::Time(TimestampForm::UnixEpoch),
            in_binary: false,
            operational: true,
            text: TextSyntax::Other,
            equality: Some(Sameness::Bytes),
            ordering: true,
            substring: None,
        }
    }

    proptest! {
        /// Whether a server compares points in time or their texts, and however fine its own are.
        #[test]
        fn no_time_is_missed(millis in 0..4_000_000_000_000_i64, apart in -2500..2500_i64, digits in 0..6_usize) {
            let text = write_time(millis).unwrap();
            let (second, _) = text.split_at(14);
            let fraction = format!("{:06}", (millis % 1000) * 1000 + 7);
            let stored = if digits == 0 { format!("{second}Z") } else { format!("{second}.{}Z", &fraction[..digits]) };
            let is = parse_time(&stored).unwrap();
            let wanted = is + apart;
            for comparison in
                [Comparison::GreaterOrEqual, Comparison::Greater, Comparison::LessOrEqual, Comparison::Less]
            {
                let meets = match comparison {
                    Comparison::GreaterOrEqual => is >= wanted,
                    Comparison::Greater => is > wanted,
                    Comparison::LessOrEqual => is <= wanted,
                    Comparison::Less => is < wanted,
                };
                let translated = compare(&time(), "modifyTimestamp", comparison, &Value::Integer(wanted)).unwrap();
                prop_assert!(!translated.exact);
                let (by_text, by_time) = match translated.filter.unwrap() {
                    Filter::GreaterOrEqual(_, bound) => {
                        let bound = String::from_utf8(bound).unwrap();
                        (stored >= bound, is >= parse_time(&bound).unwrap())
                    }
                    Filter::LessOrEqual(_, bound) => {
                        let bound = String::from_utf8(bound).unwrap();
                        // The server's own may be later than the millisecond that we read.
                        (stored <= bound, is < parse_time(&bound).unwrap())
                    }
                    other => panic!("{other}"),
                };
                prop_assert!(!meets || (by_text && by_time), "{stored} {comparison:?} {wanted}");
            }
        }
    }
}
