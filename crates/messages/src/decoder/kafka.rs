//! The schema part of events, as Kafka Connect has it: what the numbers and bytes of a row mean.

use super::tree::{Map, Tree, get};
use super::typed::{MAX_SCALE, Quantity};

/// The descriptions of a row's fields; none where the event has no schema part.
pub(super) fn fields<'t, 'a>(root: &'t Map<'a>, part: &str) -> Option<&'t [Tree<'a>]> {
    let Some(Tree::Map(schema)) = get(root, "schema") else { return None };
    let Some(Tree::List(parts)) = get(schema, "fields") else { return None };
    let row = parts.iter().find(|field| text(field, "field") == Some(part))?;
    match row {
        Tree::Map(row) => match get(row, "fields") {
            Some(Tree::List(fields)) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// The name of the schema of the whole event.
pub(super) fn event_name<'t>(root: &'t Map<'_>) -> Option<&'t str> {
    get(root, "schema").and_then(|schema| text(schema, "name"))
}

/// What the values of a field are, by its description.
pub(super) fn quantity(fields: &[Tree<'_>], name: &str) -> Option<Quantity> {
    let field = fields.iter().find(|field| text(field, "field") == Some(name))?;
    Some(match text(field, "name")? {
        "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Quantity::Days,
        "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => Quantity::Milliseconds,
        "io.debezium.time.MicroTimestamp" => Quantity::Microseconds,
        "io.debezium.time.NanoTimestamp" => Quantity::Nanoseconds,
        "org.apache.kafka.connect.data.Decimal" => Quantity::Decimal(scale(field)?),
        _ => return None,
    })
}

/// The scale of a decimal: among its parameters, and there as a text.
fn scale(field: &Tree<'_>) -> Option<u32> {
    let Tree::Map(field) = field else { return None };
    let Some(Tree::Map(parameters)) = get(field, "parameters") else { return None };
    let scale = match get(parameters, "scale")? {
        Tree::Text(text) => text.parse().ok()?,
        Tree::Integer(number) => u32::try_from(*number).ok()?,
        _ => return None,
    };
    (scale <= MAX_SCALE).then_some(scale)
}

/// A decimal that brings its own scale: its text in base64, and that scale.
pub(super) fn variable_decimal<'t, 'a>(value: &'t Tree<'a>) -> Option<(&'t Tree<'a>, u32)> {
    let Tree::Map(map) = value else { return None };
    match (map.len(), get(map, "scale")?, get(map, "value")?) {
        (2, Tree::Integer(scale), bytes) => Some((bytes, u32::try_from(*scale).ok().filter(|scale| *scale <= MAX_SCALE)?)),
        _ => None,
    }
}

fn text<'t>(field: &'t Tree<'_>, name: &str) -> Option<&'t str> {
    match field {
        Tree::Map(map) => match get(map, name)? {
            Tree::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
