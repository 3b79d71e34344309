//! A filter on shadows, taken apart: which objects of which resource, and what the resource itself can tell.

use tidelock_model::definition::{At, nearest};
use tidelock_model::filter::{Filter, ItemPath, Literal, Operand, Operator, PathStep, ValueClause};
use tidelock_model::name::ns;
use tidelock_model::object::Kind;
use tidelock_model::{Diagnostic, Oid, Place, QName};

use super::bind::{is_common, place_of};
use super::names::only_name;
use super::print::name_of;

/// Where objects are, and of what type they are, as far as a filter says.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Coordinates {
    /// The resource (`resourceRef`).
    pub resource: Option<At<Oid>>,
    /// The kind.
    pub kind: Option<At<Kind>>,
    /// The intent.
    pub intent: Option<At<Box<str>>>,
    /// The object class.
    pub object_class: Option<At<QName>>,
}

/// A filter on shadows in its two parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Which resource and type.
    pub coordinates: Coordinates,
    /// What remains for the resource: conditions on `attributes/…` and `activation/…`; [`Filter::All`] if there are none.
    pub on_resource: Filter,
}

/// Takes a filter on shadows apart.
///
/// Coordinates are looked for in the conjunction and the conjunctions within it, from left to right; the first clause for each of
/// them counts, later ones do not. Clauses under OR and NOT are no coordinates.
///
/// # Errors
/// `several-values` and `bad-value` for coordinates that are not one value; `off-resource-condition` for any other condition that
/// the resource cannot answer.
pub fn split(filter: &Filter, place: &Place) -> Result<Split, Diagnostic> {
    let mut split = Split { coordinates: Coordinates::default(), on_resource: Filter::All };
    let mut rest = Vec::new();
    descend(filter, place, &mut split.coordinates, &mut rest)?;
    split.on_resource = match rest.len() {
        0 => Filter::All,
        1 => rest.remove(0),
        _ => Filter::And(rest),
    };
    Ok(split)
}

fn descend(filter: &Filter, place: &Place, coordinates: &mut Coordinates, rest: &mut Vec<Filter>) -> Result<(), Diagnostic> {
    match filter {
        Filter::And(parts) => return parts.iter().try_for_each(|part| descend(part, place, coordinates, rest)),
        Filter::All | Filter::Undefined | Filter::Type(_) => return Ok(()),
        _ => {}
    }
    if is_on_resource(filter) {
        rest.push(filter.clone());
        return Ok(());
    }
    let here = place_of(filter, place);
    let name = filter.path().and_then(coordinate_name);
    match (filter, name) {
        (Filter::Ref(clause), Some("resourceRef")) => {
            let oid = match clause.values.as_slice() {
                [value] if clause.target.is_none() && clause.expression.is_none() => value.oid.clone(),
                [_, _, ..] => return Err(several("resourceRef", here)),
                _ => None,
            };
            let oid = oid.ok_or_else(|| not_one("resourceRef", here, "write resourceRef matches (oid = '…')"))?;
            set(&mut coordinates.resource, oid, here);
        }
        (Filter::Value(clause), Some("kind")) => {
            let text = one_text("kind", clause, here)?;
            let kind = text.parse::<Kind>().map_err(|error| {
                let near = nearest(&text, Kind::ALL.map(Kind::as_str));
                let diagnostic = Diagnostic::error("bad-value", here, error.to_string());
                match near {
                    Some(near) => diagnostic.with_help(format!("did you mean '{near}'?")),
                    None => diagnostic,
                }
            })?;
            set(&mut coordinates.kind, kind, here);
        }
        (Filter::Value(clause), Some("intent")) => {
            let text = one_text("intent", clause, here)?;
            set(&mut coordinates.intent, text, here);
        }
        (Filter::Value(clause), Some("objectClass")) => {
            let class = one_name("objectClass", clause, here)?;
            set(&mut coordinates.object_class, class, here);
        }
        // It says what attributes there may be, not which objects are meant.
        (Filter::Value(ValueClause { operator: Operator::Equal, .. }), Some("auxiliaryObjectClass")) => {}
        (_, Some(name)) => return Err(not_one(name, here, &format!("write {name} = …, alone or joined by 'and'"))),
        (_, None) => return Err(off_resource(filter, place)),
    }
    Ok(())
}

/// The first one counts.
fn set<T>(coordinate: &mut Option<At<T>>, value: T, place: &Place) {
    if coordinate.is_none() {
        *coordinate = Some(At { value, place: place.clone() });
    }
}

/// Whether every clause is about attributes or activation.
fn is_on_resource(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().all(is_on_resource),
        Filter::Not(part) => is_on_resource(part),
        Filter::All | Filter::None | Filter::Undefined => true,
        other => other.path().is_some_and(|path| {
            path.variable.is_none()
                && path.steps.len() > 1
                && path.first_name().is_some_and(|name| is_common(name, "attributes") || is_common(name, "activation"))
        }),
    }
}

/// What keeps a condition from being put to the resource: its first clause about anything else.
fn off_resource(filter: &Filter, place: &Place) -> Diagnostic {
    if let Filter::And(parts) | Filter::Or(parts) = filter
        && let Some(part) = parts.iter().find(|part| !is_on_resource(part))
    {
        return off_resource(part, place);
    }
    if let Filter::Not(part) = filter {
        return off_resource(part, place);
    }
    let here = place_of(filter, place);
    if let Some(name) = filter.path().and_then(coordinate_name) {
        return Diagnostic::error(
            "off-resource-condition",
            here,
            format!("'{name}' says where to search, so it cannot stand under 'or' or 'not'"),
        )
        .with_help("join it to the other conditions by 'and'");
    }
    let name = name_of(filter);
    Diagnostic::error(
        "off-resource-condition",
        here,
        format!("'{name}' is nothing that the resource knows, so it cannot be part of a search there"),
    )
    .with_help(
        "such a search takes conditions on attributes/… and activation/…, joined by 'and' with resourceRef, kind, intent and objectClass",
    )
}

fn coordinate_name(path: &ItemPath) -> Option<&'static str> {
    let name = match (&path.variable, path.steps.as_slice()) {
        (None, [PathStep::Name(name)]) => name,
        _ => return None,
    };
    ["resourceRef", "kind", "intent", "objectClass", "auxiliaryObjectClass"].into_iter().find(|known| is_common(name, known))
}

fn one_literal<'a>(name: &str, clause: &'a ValueClause, place: &Place) -> Result<&'a Literal, Diagnostic> {
    match (&clause.operand, clause.operator) {
        (Operand::Values(values), Operator::Equal) => match values.as_slice() {
            [value] => Ok(value),
            [] => Err(not_one(name, place, &format!("write {name} = and a value"))),
            _ => Err(several(name, place)),
        },
        _ => Err(not_one(name, place, &format!("write {name} = and a value"))),
    }
}

fn one_text(name: &str, clause: &ValueClause, place: &Place) -> Result<Box<str>, Diagnostic> {
    // A word without quotes reads as a path to another item; here it can only be meant as the value.
    if let (Operand::Path(path), Operator::Equal) = (&clause.operand, clause.operator)
        && let Some(word) = only_name(path)
    {
        return Err(not_one(name, place, &format!("put the value into quotes: {name} = '{}'", word.local())));
    }
    Ok(one_literal(name, clause, place)?.text().into())
}

/// A name, or the same as text: in its URI form, with a well-known prefix, or bare.
fn one_name(name: &str, clause: &ValueClause, place: &Place) -> Result<QName, Diagnostic> {
    if let (Operand::Path(path), Operator::Equal) = (&clause.operand, clause.operator)
        && let Some(word) = only_name(path)
    {
        return Ok(word.clone());
    }
    Ok(match one_literal(name, clause, place)? {
        Literal::QName(name) => name.clone(),
        literal => {
            let text = literal.text();
            let prefixed = text.split_once(':').and_then(|(prefix, local)| Some(QName::new(ns::of_prefix(prefix)?, local)));
            prefixed.unwrap_or_else(|| QName::from_uri(&text))
        }
    })
}

fn several(name: &str, place: &Place) -> Diagnostic {
    Diagnostic::error("several-values", place, format!("'{name}' has several values, and there must be one"))
        .with_help("a search is for one resource and one type or class")
}

fn not_one(name: &str, place: &Place, help: &str) -> Diagnostic {
    Diagnostic::error("bad-value", place, format!("'{name}' must equal one value here")).with_help(help)
}
