//! Our own plain form: an object, or a list of such objects, with `class`, `id`, `change` and `attributes`.

use std::sync::Arc;

use tidelock_connector_api::{Change, Modification, Result};
use tidelock_model::object::ObjectClass;
use tidelock_model::value::Items;

use super::tree::{Map, Tree, get, unknown};
use super::typed::{single_where_it_must, values};
use super::{Decoder, MAX_CHANGES, invalid, object, too_many};

const ITEMS: [&str; 4] = ["class", "id", "change", "attributes"];
const CHANGES: &str = "full, delta, deleted and notification";

/// The changes of a message.
pub(super) fn changes(decoder: &Decoder, tree: &Tree<'_>) -> Result<Vec<Change>> {
    match tree {
        Tree::List(list) if list.len() > MAX_CHANGES => Err(too_many()),
        Tree::List(list) => list.iter().enumerate().map(|(at, one)| change(decoder, one, &format!("/{at}"))).collect(),
        one => change(decoder, one, "/").map(|one| vec![one]),
    }
}

fn change(decoder: &Decoder, tree: &Tree<'_>, place: &str) -> Result<Change> {
    let map = tree.map(place)?;
    if let Some((name, _)) = map.iter().find(|(name, _)| !ITEMS.contains(&&**name)) {
        return Err(unknown(place, name, &ITEMS));
    }
    let at = |name: &str| format!("{}/{name}", place.trim_end_matches('/'));
    let needed = |name: &str| get(map, name).ok_or_else(|| invalid(place, format!("'{name}' is missing")));
    let class = decoder.class(needed("class")?.text(&at("class"))?, &at("class"))?;
    let identifier = match get(map, "id") {
        None => None,
        Some(id) => Some(object::identifier(id, class, None, &at("id"))?),
    };
    let must = |identifier: Option<_>| identifier.ok_or_else(|| invalid(place, "'id' is missing"));
    let attributes = || needed("attributes")?.map(&at("attributes"));
    let place_of_attributes = at("attributes");
    match needed("change")?.text(&at("change"))? {
        "full" => {
            let items = items(decoder, class, attributes()?, &place_of_attributes)?;
            object::full(class, identifier, items, &place_of_attributes)
        }
        "delta" => {
            let identifier = must(identifier)?;
            let modifications = modifications(decoder, class, attributes()?, &place_of_attributes)?;
            object::delta(class, &identifier, modifications, &place_of_attributes)
        }
        "deleted" => {
            let was = match get(map, "attributes") {
                None | Some(Tree::Null) => None,
                Some(was) => Some(items(decoder, class, was.map(&place_of_attributes)?, &place_of_attributes)?),
            };
            let among = was.as_ref().and_then(|was| was.first(&class.primary_identifier));
            let identifier = object::settle(class, identifier, among, place)?;
            object::deleted(class, &identifier, was, place)
        }
        "notification" => match get(map, "attributes") {
            None => object::notification(class, &must(identifier)?, place),
            Some(_) => Err(invalid(&place_of_attributes, "a notification brings no attributes: they are read")),
        },
        _ => Err(invalid(&at("change"), format!("this is no change; changes are {CHANGES}"))),
    }
}

fn items(decoder: &Decoder, class: &ObjectClass, map: &Map<'_>, place: &str) -> Result<Items> {
    let mut items = Items::with_capacity(map.len());
    for (name, value) in map {
        let Some(attribute) = decoder.attribute(class, name, place)? else { continue };
        items.push(Arc::clone(&attribute.name), values(value, attribute, None, place)?);
    }
    Ok(items)
}

/// New values stand as they are; values that came and went, as an object of `add` and `remove`.
fn modifications(decoder: &Decoder, class: &ObjectClass, map: &Map<'_>, place: &str) -> Result<Vec<Modification>> {
    let mut modifications = Vec::with_capacity(map.len());
    for (name, value) in map {
        let Some(attribute) = decoder.attribute(class, name, place)? else { continue };
        let Tree::Map(relative) = value else {
            let values = values(value, attribute, None, place)?;
            modifications.push(Modification::Replace(Arc::clone(&attribute.name), values));
            continue;
        };
        if let Some((name, _)) = relative.iter().find(|(name, _)| !matches!(&**name, "add" | "remove")) {
            return Err(unknown(place, name, &["add", "remove"]));
        }
        // A value that takes the place of another: first the other must go.
        let any = tidelock_model::object::AttributeDefinition { multi_valued: true, ..attribute.clone() };
        for (name, make) in [("remove", Modification::Remove as fn(_, _) -> _), ("add", Modification::Add as fn(_, _) -> _)] {
            let Some(value) = get(relative, name) else { continue };
            let values = values(value, &any, None, place)?;
            if name == "add" {
                single_where_it_must(&values, attribute, place)?;
            }
            if !values.is_empty() {
                modifications.push(make(Arc::clone(&attribute.name), values));
            }
        }
    }
    Ok(modifications)
}
