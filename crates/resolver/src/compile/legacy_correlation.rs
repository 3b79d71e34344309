//! Legacy correlation filters, such as `employeeNumber = $projection/attributes/ri:uid`, made into rules.

use tidelock_model::definition::{FilterSource, ObjectSynchronization};
use tidelock_model::document::Node;
use tidelock_model::filter::tree::FilterExpression;
use tidelock_model::filter::{Filter, ItemPath, Operand, Operator, PathStep};
use tidelock_model::object::{FocusType, MatchingRule, ObjectClass};
use tidelock_model::{Diagnostic, Diagnostics, Place};

use crate::compile::correlation::{Ranked, mappable};
use crate::compile::{expression, names};
use crate::correlate::{ItemSource, Rule, RuleItem};
use crate::filter;

/// One rule for each filter: an owner that any of them finds is a candidate.
pub(super) fn rules(
    legacy: &ObjectSynchronization,
    class: &ObjectClass,
    focus_type: FocusType,
    diagnostics: &mut Diagnostics,
) -> Vec<Ranked> {
    if let Some(confirmation) = &legacy.confirmation {
        diagnostics.push(names::refused("a confirmation expression", &confirmation.place, "make the correlation unambiguous"));
    }
    let mut rules = Vec::new();
    for (index, source) in legacy.correlation.iter().enumerate() {
        match items(source, class, focus_type, diagnostics) {
            Ok(items) => rules.push(Ranked {
                rule: Rule {
                    name: format!("correlation {}", index + 1).into(),
                    place: source.place.clone(),
                    weight: 1.0,
                    ignore_if_matched_by: Vec::new(),
                    items,
                },
                tier: None,
                order: None,
                ignore: Vec::new(),
                composed: false,
            }),
            Err(error) => diagnostics.push(error),
        }
    }
    rules
}

fn items(
    source: &FilterSource,
    class: &ObjectClass,
    focus_type: FocusType,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<RuleItem>, Diagnostic> {
    if let Some(condition) = source.node.child("condition") {
        return Err(names::refused("a condition of a correlation filter", &condition.place, "remove the condition"));
    }
    let filter = filter::read(source)?;
    let mut clauses = Vec::new();
    conjuncts(&filter, &mut clauses);
    if clauses.is_empty() {
        return Err(shape(&source.place));
    }
    clauses.into_iter().map(|clause| item(clause, source, class, focus_type, diagnostics)).collect()
}

fn conjuncts<'a>(filter: &'a Filter, clauses: &mut Vec<&'a Filter>) {
    match filter {
        Filter::And(parts) => parts.iter().for_each(|part| conjuncts(part, clauses)),
        Filter::Undefined => {}
        clause => clauses.push(clause),
    }
}

fn item(
    clause: &Filter,
    source: &FilterSource,
    class: &ObjectClass,
    focus_type: FocusType,
    diagnostics: &mut Diagnostics,
) -> Result<RuleItem, Diagnostic> {
    let place = clause.place().filter(|place| place.line > 0).unwrap_or(&source.place);
    let Filter::Value(value) = clause else { return Err(shape(place)) };
    if value.operator != Operator::Equal {
        return Err(shape(place));
    }
    let from_focus = value.path.variable.as_ref().is_none_or(|v| matches!(v.local(), "focus" | "user"));
    let path = value.path.keys().filter(|keys| from_focus && !keys.is_empty()).ok_or_else(|| shape(place))?;
    mappable(focus_type, &path, place, diagnostics)?;
    let rule = match &value.matching {
        None => MatchingRule::Exact,
        Some(name) => names::matching_rule(&tidelock_model::definition::At { value: name.clone(), place: place.clone() })?,
    };
    let source = match &value.operand {
        Operand::Path(path) => attribute(path, class, place)?,
        Operand::Expression(FilterExpression::Element(node)) => in_expression(node, class)?,
        Operand::Expression(FilterExpression::Script { language, code }) => {
            return Err(expression::unsupported(language.as_deref(), code, place));
        }
        Operand::Expression(_) | Operand::Values(_) => return Err(shape(place)),
    };
    Ok(RuleItem { place: place.clone(), path, rule, source })
}

/// The path, or the script, in an expression element.
fn in_expression(node: &Node, class: &ObjectClass) -> Result<ItemSource, Diagnostic> {
    if let Some(text) = node.child("path") {
        let path = ItemPath::parse_in(text.text(), &text.scope).map_err(|error| {
            Diagnostic::error("bad-value", &text.place, format!("this is no item path: {error}"))
                .with_help("write $projection/attributes/… and the name of the attribute")
        })?;
        return attribute(&path, class, &text.place);
    }
    match node.child("script") {
        Some(script) => Err(expression::unsupported_script_node(script)),
        None => Err(shape(&node.place)),
    }
}

fn attribute(path: &ItemPath, class: &ObjectClass, place: &Place) -> Result<ItemSource, Diagnostic> {
    // The name of an object stands beside its attributes.
    if let (Some(variable), [PathStep::Name(name)]) = (&path.variable, path.steps.as_slice())
        && name.local() == "name"
        && matches!(variable.local(), "projection" | "account" | "shadow")
    {
        return Ok(ItemSource::Attribute(class.naming_attribute.clone()));
    }
    let name = path.variable.as_ref().and_then(|_| names::attribute_name(path)).ok_or_else(|| shape(place))?;
    names::attribute(class, name, place).map(|attribute| ItemSource::Attribute(attribute.name.clone()))
}

fn shape(place: &Place) -> Diagnostic {
    names::refused(
        "a correlation filter of this form",
        place,
        "compare items of the focus with attributes: employeeNumber = $projection/attributes/ri:uid, joined by 'and'",
    )
}
