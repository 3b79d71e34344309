//! The change events of Debezium: a row of a mapped table, before and after.

use std::sync::Arc;

use tidelock_connector_api::{Change, Modification, Result};
use tidelock_model::object::{AttributeDefinition, ObjectClass};
use tidelock_model::value::{Items, Value};

use super::tree::{Map, Tree, get};
use super::typed::{Quantity, values};
use super::{Column, Decoder, Table, invalid, kafka, object, shown};

/// What stands for a value that the database did not tell, as it has not changed.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// Events that are about no row.
const NO_ROWS: [&str; 3] = ["Heartbeat", "TransactionMetadataValue", "SchemaChangeValue"];

/// A row as attributes.
struct Row {
    items: Items,
    /// Whether values are missing that the object has.
    partial: bool,
}

/// The changes of a message: one event, or a list of them.
pub(super) fn changes(decoder: &Decoder, tree: &Tree<'_>) -> Result<Vec<Change>> {
    match tree {
        Tree::List(list) => {
            let mut changes = Vec::new();
            for (at, event) in list.iter().enumerate() {
                changes.extend(event_changes(decoder, event, &format!("/{at}"))?);
            }
            Ok(changes)
        }
        event => event_changes(decoder, event, ""),
    }
}

fn event_changes(decoder: &Decoder, event: &Tree<'_>, place: &str) -> Result<Vec<Change>> {
    if *event == Tree::Null {
        return Ok(Vec::new());
    }
    let root = event.map(if place.is_empty() { "/" } else { place })?;
    if kafka::event_name(root).is_some_and(|name| NO_ROWS.iter().any(|no_row| name.ends_with(no_row))) {
        return Ok(Vec::new());
    }
    let (payload, place) = match get(root, "payload") {
        Some(Tree::Null) => return Ok(Vec::new()),
        Some(payload) => {
            let place = format!("{place}/payload");
            (payload.map(&place)?, place)
        }
        None => (root, place.to_owned()),
    };
    let at = |name: &str| format!("{place}/{name}");
    let Some(op) = get(payload, "op") else { return Err(invalid(&at("op"), "'op' is missing: this is no change event")) };
    let op = op.text(&at("op"))?;
    match op {
        // A message that the application put into the log itself.
        "m" => return Ok(Vec::new()),
        "t" => {
            let reason = "the table was emptied at once: a reconciliation must find out which objects are gone";
            return Err(invalid(&at("op"), reason));
        }
        "c" | "r" | "u" | "d" => {}
        _ => return Err(invalid(&at("op"), "'op' is none of c, r, u, d and t")),
    }
    let (class, columns) = table(decoder, payload, &at("source"))?;
    let row = |part: &str| -> Result<Option<Row>> {
        match get(payload, part) {
            None | Some(Tree::Null) => Ok(None),
            Some(row) => {
                let place = at(part);
                let fields = kafka::fields(root, part);
                read_row(decoder, class, columns, fields, row.map(&place)?, &place).map(Some)
            }
        }
    };
    let identifier = |row: &Row| row.items.first(&class.primary_identifier).cloned();
    let before = row("before")?;
    if op == "d" {
        let before = before.ok_or_else(|| invalid(&at("before"), "the event does not say which row was deleted"))?;
        let identifier = object::settle(class, identifier(&before), None, &at("before"))?;
        return Ok(vec![object::deleted(class, &identifier, Some(before.items), &at("before"))?]);
    }
    let after = row("after")?.ok_or_else(|| invalid(&at("after"), "'after' is missing"))?;
    let now = object::settle(class, identifier(&after), None, &at("after"))?;
    let mut changes = Vec::with_capacity(1);
    // With the identifier, the object is another one.
    if let Some(before) = before
        && let Some(earlier) = identifier(&before)
        && !object::same_identifier(class, &earlier, &now)
    {
        changes.push(object::deleted(class, &earlier, Some(before.items), &at("before"))?);
    }
    changes.push(match after.partial {
        false => object::full(class, Some(now), after.items, &at("after"))?,
        true => partial(class, &now, &after.items, &at("after"))?,
    });
    Ok(changes)
}

/// What is known of an object whose other values have not changed.
fn partial(class: &Arc<ObjectClass>, identifier: &Value, items: &Items, place: &str) -> Result<Change> {
    let known = items.iter().map(|(name, values)| Modification::Replace(Arc::clone(name), values.clone()));
    object::delta(class, identifier, known.collect(), place)
}

/// The class of the event's table, and what is said of its columns.
fn table<'d>(decoder: &'d Decoder, payload: &Map<'_>, place: &str) -> Result<(&'d Arc<ObjectClass>, &'d [Column])> {
    let source =
        get(payload, "source").ok_or_else(|| invalid(place, "'source' is missing: the table is not known"))?.map(place)?;
    let part = |name: &str| match get(source, name) {
        Some(Tree::Text(text)) if !text.is_empty() => Some(&**text),
        _ => None,
    };
    let name = part("table").ok_or_else(|| invalid(place, "'table' is missing"))?;
    if decoder.tables.is_empty() {
        return Ok((decoder.class(name, place)?, &[]));
    }
    let (schema, database) = (part("schema"), part("db"));
    let mut names = Vec::with_capacity(4);
    if let (Some(database), Some(schema)) = (database, schema) {
        names.push(format!("{database}.{schema}.{name}"));
    }
    names.extend(schema.or(database).map(|qualifier| format!("{qualifier}.{name}")));
    names.extend(schema.and(database).map(|database| format!("{database}.{name}")));
    names.push(name.to_owned());
    let found: Option<&Table> = names.iter().find_map(|name| decoder.tables.iter().find(|table| *table.name == **name));
    let found = found.ok_or_else(|| invalid(place, format!("the table '{}' is not configured", shown(&names[0]))))?;
    Ok((decoder.class(&found.class, place)?, &found.columns))
}

fn read_row(
    decoder: &Decoder,
    class: &ObjectClass,
    columns: &[Column],
    fields: Option<&[Tree<'_>]>,
    row: &Map<'_>,
    place: &str,
) -> Result<Row> {
    let mut read = Row { items: Items::with_capacity(row.len().min(class.attributes.len())), partial: false };
    for (name, value) in row {
        let column = columns.iter().find(|column| *column.name == **name);
        let attribute = column.map_or(&**name, |column| &*column.attribute);
        let place = format!("{place}/{}", shown(name));
        let Some(attribute) = decoder.attribute(class, attribute, &place)? else { continue };
        if matches!(value, Tree::Text(text) if text == UNAVAILABLE) {
            read.partial = true;
            continue;
        }
        if !read.items.get(&attribute.name).is_empty() {
            return Err(invalid(&place, format!("two columns are the attribute '{}'", shown(&attribute.name))));
        }
        let told = column.and_then(|column| column.quantity);
        let quantity = told.or_else(|| fields.and_then(|fields| kafka::quantity(fields, name)));
        read.items.push(Arc::clone(&attribute.name), cell(value, attribute, quantity, &place)?);
    }
    Ok(read)
}

fn cell(
    value: &Tree<'_>,
    attribute: &AttributeDefinition,
    quantity: Option<Quantity>,
    place: &str,
) -> Result<tidelock_model::value::Values> {
    match kafka::variable_decimal(value) {
        Some((bytes, scale)) => values(bytes, attribute, Some(Quantity::Decimal(scale)), place),
        None => values(value, attribute, quantity, place),
    }
}
