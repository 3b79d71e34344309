//! Which form a message has.

use tidelock_connector_api::{Change, Error, Result};
use tidelock_model::document::Format;

use super::tree::{Tree, get, json, nodes, of_nodes};
use super::{Decoder, MessageFormat, debezium, mapping, plain, ucf};

/// The changes of a message, by the form that is configured, or that it has.
pub(super) fn changes(decoder: &Decoder, body: &[u8], notation: Format) -> Result<Vec<Change>> {
    let debezium = decoder.format == MessageFormat::Debezium || !decoder.tables.is_empty();
    if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" {
        // A tombstone: what follows a deletion, for those that keep only the last event of each key.
        return if debezium { Ok(Vec::new()) } else { Err(Error::invalid_data("the message is empty")) };
    }
    let format = match decoder.format {
        MessageFormat::Auto if decoder.mapping.is_some() => MessageFormat::Mapping,
        format => format,
    };
    match (format, notation) {
        (MessageFormat::UcfChange, notation) => ucf::changes(decoder, &nodes(body, notation)?, notation),
        (MessageFormat::Json, _) => plain::changes(decoder, &json(body)?),
        (MessageFormat::Debezium, _) => debezium::changes(decoder, &json(body)?),
        (MessageFormat::Mapping, Format::Json) => mapping::changes(decoder, &json(body)?),
        (MessageFormat::Mapping, notation) => {
            let nodes = nodes(body, notation)?;
            mapping::changes(decoder, &of_nodes(&nodes, notation))
        }
        (MessageFormat::Auto, Format::Json) => {
            let tree = json(body)?;
            match recognize(&tree) {
                MessageFormat::UcfChange => ucf::changes(decoder, &nodes(body, notation)?, notation),
                MessageFormat::Debezium => debezium::changes(decoder, &tree),
                _ => plain::changes(decoder, &tree),
            }
        }
        (MessageFormat::Auto, notation) => {
            let nodes = nodes(body, notation)?;
            if nodes.iter().any(|node| node.local() == ucf::ROOT) {
                return ucf::changes(decoder, &nodes, notation);
            }
            let message = "the message is neither a 'ucfChange' nor JSON: a 'mapping' must say what it means";
            Err(Error::invalid_data(message))
        }
    }
}

/// The form of a JSON message, by the names in it.
fn recognize(tree: &Tree<'_>) -> MessageFormat {
    let map = match tree {
        Tree::Map(map) => map,
        Tree::List(list) => match list.first() {
            Some(Tree::Map(map)) => map,
            _ => return MessageFormat::Json,
        },
        _ => return MessageFormat::Json,
    };
    let has = |name: &str| get(map, name).is_some();
    if has(ucf::ROOT) || has("objectClass") {
        MessageFormat::UcfChange
    } else if has("payload") || (has("op") && (has("before") || has("after") || has("source"))) {
        MessageFormat::Debezium
    } else {
        MessageFormat::Json
    }
}
