//! Values of messages as values of attributes.

use tidelock_connector_api::Result;
use tidelock_model::Timestamp;
use tidelock_model::definition::base64;
use tidelock_model::object::{AttributeDefinition, ValueType};
use tidelock_model::value::{Value, Values};

use super::tree::{TEXT, Tree, get};
use super::{invalid, shown};

/// What a number stands for that is not simply a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Days since 1970-01-01.
    Days,
    /// Seconds since 1970-01-01T00:00:00Z.
    Seconds,
    /// Milliseconds since then.
    Milliseconds,
    /// Microseconds since then.
    Microseconds,
    /// Nanoseconds since then.
    Nanoseconds,
    /// A decimal number in base64: the bytes of a whole number, highest first, with this many digits behind the point.
    Decimal(u32),
}

/// Floats from here on do not say every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The most digits behind the point that a decimal number has.
pub(super) const MAX_SCALE: u32 = 1000;
/// The most bytes of a decimal number.
const MAX_DECIMAL: usize = 128;

/// The values of an attribute; none for null and for an empty list.
pub(super) fn values(
    tree: &Tree<'_>,
    attribute: &AttributeDefinition,
    quantity: Option<Quantity>,
    place: &str,
) -> Result<Values> {
    let one = |tree: &Tree<'_>| {
        value(tree, attribute.value_type, quantity)
            .map_err(|reason| invalid(place, format!("'{}' {reason}", shown(&attribute.name))))
    };
    let values: Values = match tree {
        Tree::Null => Values::new(),
        Tree::List(items) => items.iter().filter(|item| **item != Tree::Null).map(one).collect::<Result<_>>()?,
        single => Values::from_iter([one(single)?]),
    };
    single_where_it_must(&values, attribute, place)?;
    Ok(values)
}

/// Holds the number of values against the attribute.
pub(super) fn single_where_it_must(values: &Values, attribute: &AttributeDefinition, place: &str) -> Result<()> {
    if values.len() > 1 && !attribute.multi_valued {
        let reason = format!("'{}' takes one value, and has {}", shown(&attribute.name), values.len());
        return Err(invalid(place, reason));
    }
    Ok(())
}

/// One value; the reason where it is not of the type.
fn value(tree: &Tree<'_>, value_type: ValueType, quantity: Option<Quantity>) -> Result<Value, String> {
    match (tree, quantity) {
        (Tree::Map(map), _) => match get(map, TEXT) {
            Some(text) if map.iter().all(|(name, _)| name.starts_with(['@', '#'])) => value(text, value_type, quantity),
            _ => Err("has a structured value, and takes simple ones".to_owned()),
        },
        (Tree::List(_), _) => Err("has a list within its list of values".to_owned()),
        (Tree::Null, _) => Err("has no value".to_owned()),
        (Tree::Text(text), Some(Quantity::Decimal(scale))) => {
            let decimal = base64::decode(text).and_then(|bytes| decimal(&bytes, scale));
            of_text(&decimal.ok_or("has no decimal number in base64")?, value_type)
        }
        (tree, Some(Quantity::Decimal(_))) => value(tree, value_type, None),
        (Tree::Text(text), Some(quantity)) => match text.trim().parse() {
            Ok(number) => of_time(number, quantity, value_type),
            // What the mapping calls a number may come as a text, as with other serializers.
            Err(_) => of_text(text, value_type),
        },
        (Tree::Integer(number), Some(quantity)) => of_time(*number, quantity, value_type),
        (Tree::Text(text), None) => of_text(text, value_type),
        (tree, _) => of_literal(tree, value_type),
    }
}

/// A text as a value.
pub(super) fn of_text(text: &str, value_type: ValueType) -> Result<Value, String> {
    let trimmed = text.trim();
    Ok(match value_type {
        ValueType::String => Value::string(text),
        ValueType::Integer => Value::Integer(trimmed.parse().map_err(|_| "takes whole numbers, and has something else")?),
        ValueType::Float => {
            let number: f64 = trimmed.parse().map_err(|_| "takes numbers, and has something else")?;
            if !number.is_finite() {
                return Err("has a number that is not finite".to_owned());
            }
            Value::Float(number)
        }
        ValueType::Boolean => match trimmed {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => return Err("takes true or false, and has something else".to_owned()),
        },
        ValueType::DateTime => {
            Value::DateTime(Timestamp::parse(trimmed).map_err(|_| "takes dates with times, and has something else")?)
        }
        ValueType::Binary => Value::Binary(base64::decode(trimmed).ok_or("takes bytes in base64, and has something else")?),
    })
}

fn of_literal(tree: &Tree<'_>, value_type: ValueType) -> Result<Value, String> {
    Ok(match (value_type, tree) {
        (ValueType::String, Tree::Integer(number)) => Value::string(number.to_string()),
        (ValueType::String, Tree::Unsigned(number)) => Value::string(number.to_string()),
        (ValueType::String, Tree::Boolean(flag)) => Value::string(if *flag { "true" } else { "false" }),
        (ValueType::String, Tree::Float(number)) if number.abs() < EXACT => Value::string(number.to_string()),
        (ValueType::String, Tree::Float(_)) => {
            return Err("has a number too large to be kept as it is: it must be written as a text".to_owned());
        }
        (ValueType::Integer, Tree::Integer(number)) => Value::Integer(*number),
        (ValueType::Integer, Tree::Float(number)) if number.fract() == 0.0 && number.abs() < EXACT => {
            Value::Integer(*number as i64)
        }
        (ValueType::Integer, _) => return Err("takes whole numbers, and has something else".to_owned()),
        (ValueType::Float, Tree::Integer(number)) => Value::Float(*number as f64),
        (ValueType::Float, Tree::Unsigned(number)) => Value::Float(*number as f64),
        (ValueType::Float, Tree::Float(number)) => Value::Float(*number),
        (ValueType::Float, _) => return Err("takes numbers, and has something else".to_owned()),
        (ValueType::Boolean, Tree::Boolean(flag)) => Value::Boolean(*flag),
        (ValueType::Boolean, Tree::Integer(0)) => Value::Boolean(false),
        (ValueType::Boolean, Tree::Integer(1)) => Value::Boolean(true),
        (ValueType::Boolean, _) => return Err("takes true or false, and has something else".to_owned()),
        (ValueType::DateTime, _) => {
            return Err("takes dates with times, and has a number of which it is not said what it counts".to_owned());
        }
        (ValueType::Binary, _) => return Err("takes bytes in base64, and has something else".to_owned()),
        (ValueType::String, _) => return Err("takes texts, and has something else".to_owned()),
    })
}

/// A number that counts from 1970.
fn of_time(number: i64, quantity: Quantity, value_type: ValueType) -> Result<Value, String> {
    const DAY: i64 = 86_400_000;
    let millis = match quantity {
        Quantity::Days => number.checked_mul(DAY),
        Quantity::Seconds => number.checked_mul(1000),
        Quantity::Milliseconds => Some(number),
        Quantity::Microseconds => Some(number.div_euclid(1000)),
        Quantity::Nanoseconds => Some(number.div_euclid(1_000_000)),
        Quantity::Decimal(_) => None,
    };
    let moment = Timestamp::from_millis(millis.ok_or("has a date out of range")?);
    // What has no written form is no date.
    let text = moment.to_string();
    if Timestamp::parse(&text) != Ok(moment) {
        return Err("has a date out of range".to_owned());
    }
    Ok(match value_type {
        ValueType::DateTime => Value::DateTime(moment),
        ValueType::String if quantity == Quantity::Days => Value::string(text.split('T').next().unwrap_or(&text)),
        ValueType::String => Value::string(text),
        _ => of_literal(&Tree::Integer(number), value_type)?,
    })
}

/// The text of a decimal number whose bytes, highest first, are a whole number in two's complement.
fn decimal(bytes: &[u8], scale: u32) -> Option<String> {
    if bytes.is_empty() || bytes.len() > MAX_DECIMAL || scale > MAX_SCALE {
        return None;
    }
    let negative = bytes[0] & 0x80 != 0;
    let mut magnitude: Vec<u8> = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (inverse, overflow) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (inverse, overflow);
        }
    }
    // Division by ten, digit by digit, until nothing is left.
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in &mut magnitude {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 10) as u8;
            rest = value % 10;
        }
        digits.push(b'0' + rest as u8);
    }
    let scale = scale as usize;
    while digits.len() <= scale {
        digits.push(b'0');
    }
    let mut text = String::with_capacity(digits.len() + 2);
    if negative {
        text.push('-');
    }
    for (at, digit) in digits.iter().enumerate().rev() {
        text.push(char::from(*digit));
        if at == scale && scale > 0 {
            text.push('.');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn decimals_are_read_from_their_bytes() {
        for (number, scale, text) in [
            (0i128, 0, "0"),
            (0, 2, "0.00"),
            (5, 0, "5"),
            (12345, 2, "123.45"),
            (-12345, 2, "-123.45"),
            (-1, 3, "-0.001"),
            (i128::MAX, 0, "170141183460469231731687303715884105727"),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(decimal(&number.to_be_bytes(), scale).unwrap(), text);
        }
        assert_eq!(decimal(&[0x30, 0x39], 2).unwrap(), "123.45");
        assert_eq!(decimal(&[], 2), None);
        assert_eq!(decimal(&[1; MAX_DECIMAL + 1], 2), None);
    }

    #[test]
    fn numbers_that_count_from_1970_become_dates() {
        let date = |number, quantity| of_time(number, quantity, ValueType::String).unwrap();
        assert_eq!(date(19_000, Quantity::Days), Value::from("2022-01-08"));
        assert_eq!(date(-1, Quantity::Days), Value::from("1969-12-31"));
        assert_eq!(date(1_641_600_000, Quantity::Seconds), Value::from("2022-01-08T00:00:00.000Z"));
        assert_eq!(date(-1, Quantity::Microseconds), Value::from("1969-12-31T23:59:59.999Z"));
        assert_eq!(of_time(5, Quantity::Nanoseconds, ValueType::Integer).unwrap(), Value::Integer(5));
        assert!(of_time(i64::MAX, Quantity::Days, ValueType::DateTime).is_err());
        assert!(of_time(i64::MAX, Quantity::Milliseconds, ValueType::DateTime).is_err());
    }
}
