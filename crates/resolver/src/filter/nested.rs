//! What the language leaves to be told by the look of a clause: sub-filters that are really conditions on references, on the
//! sides of a PolyString, or on owners.

use tidelock_model::filter::{
    ExistsClause, Filter, FuzzyMethod, ItemPath, Literal, Operand, Operator, OrgPosition, OwnerClause, PathStep, RefClause,
    RefValue, ValueClause, WrittenAt,
};
use tidelock_model::{Oid, QName};

use super::names::{is_reference, only_name};
use super::parse::clause::is_pseudo;

/// What is wrong with a sub-filter, and the cure.
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) help: String,
}

fn problem(message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem { message: message.into(), help: help.into() }
}

const REFERENCE_HELP: &str =
    "a reference matches (oid = '…' and targetType = … and relation = … and @ matches (…)), or some of these";

/// `path matches (body)`: by its look a condition on a reference, on a PolyString, or on the values of a container.
pub(super) fn matches(path: ItemPath, body: Filter, place: WrittenAt) -> Result<Filter, Problem> {
    let parts: &[Filter] = match &body {
        Filter::And(parts) => parts,
        single => std::slice::from_ref(single),
    };
    if !matches!(path.steps.last(), None | Some(PathStep::Dereference)) {
        let says_reference = |part: &Filter| matches!(reference_part(part), Some(Part::Oid | Part::Type | Part::Target));
        if is_reference(&path) || (parts.iter().any(says_reference) && parts.iter().all(|part| reference_part(part).is_some())) {
            let parts = match body {
                Filter::And(parts) => parts,
                single => vec![single],
            };
            return reference(path, parts, place).map(Filter::Ref);
        }
        if parts.iter().all(|part| side_of(part).is_some()) {
            return Ok(match body {
                Filter::And(parts) => Filter::And(parts.into_iter().map(|part| on_side(part, &path)).collect()),
                single => on_side(single, &path),
            });
        }
    }
    Ok(Filter::Exists(ExistsClause { path, filter: Some(Box::new(body)), place }))
}

/// The parts of a condition on a reference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Oid,
    Type,
    Relation,
    Target,
}

fn reference_part(part: &Filter) -> Option<Part> {
    match part {
        Filter::Value(clause) if clause.matching.is_none() && clause.path.is(&["oid"]) => match clause.operator {
            Operator::Equal | Operator::AnyIn => Some(Part::Oid),
            Operator::Order(_) => None,
        },
        Filter::Value(clause) if clause.matching.is_none() && clause.operator == Operator::Equal => {
            match only_name(&clause.path)?.local() {
                "targetType" => Some(Part::Type),
                "relation" => Some(Part::Relation),
                _ => None,
            }
        }
        Filter::Exists(clause) if clause.filter.is_some() => {
            let target = clause.path.is(&["target"]) || clause.path.steps == [PathStep::Dereference];
            (target && clause.path.variable.is_none()).then_some(Part::Target)
        }
        _ => None,
    }
}

fn reference(path: ItemPath, parts: Vec<Filter>, place: WrittenAt) -> Result<RefClause, Problem> {
    let mut reference = RefClause { path, values: Vec::new(), expression: None, target: None, place };
    let mut shared = RefValue::default();
    let mut oids = Vec::new();
    let mut seen = Vec::new();
    for part in parts {
        let Some(kind) = reference_part(&part) else {
            return Err(problem("this is no condition on a reference", REFERENCE_HELP));
        };
        if seen.contains(&kind) {
            return Err(problem("a condition on a reference says each thing once", REFERENCE_HELP));
        }
        seen.push(kind);
        match (kind, part) {
            (Part::Oid, Filter::Value(clause)) => match clause.operand {
                Operand::Values(values) if !values.is_empty() => {
                    for value in values {
                        match value {
                            Literal::String(text) => oids.push(oid(&text)?),
                            _ => return Err(problem("identifiers of objects are texts", "put them into quotes")),
                        }
                    }
                }
                Operand::Expression(expression) => reference.expression = Some(expression),
                _ => return Err(problem("identifiers of objects are texts", "put them into quotes")),
            },
            (Part::Type, Filter::Value(clause)) => shared.target_type = Some(name_in(&clause)?),
            (Part::Relation, Filter::Value(clause)) => shared.relation = Some(name_in(&clause)?),
            (_, Filter::Exists(clause)) => reference.target = clause.filter,
            _ => {}
        }
    }
    if oids.is_empty() {
        if shared != RefValue::default() {
            reference.values.push(shared);
        }
    } else {
        reference.values = oids.into_iter().map(|oid| RefValue { oid: Some(oid), ..shared.clone() }).collect();
    }
    Ok(reference)
}

/// The name that a clause compares with: `relation = manager`, or the same in quotes.
fn name_in(clause: &ValueClause) -> Result<QName, Problem> {
    let name = match &clause.operand {
        Operand::Path(path) => only_name(path).cloned(),
        Operand::Values(values) => match values.as_slice() {
            [Literal::QName(name)] => Some(name.clone()),
            [Literal::String(text)] if !text.is_empty() => Some(QName::from_uri(text)),
            _ => None,
        },
        Operand::Expression(_) => None,
    };
    name.ok_or_else(|| problem(format!("'{}' needs one name", clause.path), "write a name without quotes, such as UserType"))
}

/// The matching rule that looks at one side of a PolyString, where the clause names a side.
fn side_of(part: &Filter) -> Option<&'static str> {
    let (path, matching) = match part {
        Filter::Not(part) => return side_of(part),
        Filter::Value(clause) => (&clause.path, &clause.matching),
        Filter::Substring(clause) => (&clause.path, &clause.matching),
        _ => return None,
    };
    match only_name(path)?.local() {
        _ if matching.is_some() => None,
        "orig" => Some("polyStringOrig"),
        "norm" => Some("polyStringNorm"),
        _ => None,
    }
}

/// The condition on one side of a PolyString, as a condition on the whole with a matching rule.
fn on_side(part: Filter, outer: &ItemPath) -> Filter {
    let rule = side_of(&part).map(QName::local_only);
    match part {
        Filter::Not(part) => on_side(*part, outer).negated(),
        Filter::Value(clause) => Filter::Value(ValueClause { path: outer.clone(), matching: rule, ..clause }),
        Filter::Substring(mut clause) => {
            clause.path = outer.clone();
            clause.matching = rule;
            Filter::Substring(clause)
        }
        other => other,
    }
}

/// The clause, where it is one about `@type` and the like.
pub(super) fn pseudo_item(part: &Filter) -> Option<&ValueClause> {
    match part {
        Filter::Value(clause) if clause.operator == Operator::Equal && clause.matching.is_none() && is_pseudo(&clause.path) => {
            Some(clause)
        }
        _ => None,
    }
}

/// Whether some clause is about `@type` and the like. Sub-filters in brackets were refused such clauses already.
pub(super) fn has_pseudo_item(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(has_pseudo_item),
        Filter::Not(part) => has_pseudo_item(part),
        other => other.path().is_some_and(is_pseudo),
    }
}

pub(super) fn set_pseudo_item(owner: &mut OwnerClause, item: &ValueClause, relation_allowed: bool) -> Result<(), Problem> {
    let name = only_name(&item.path).map_or("", QName::local);
    let twice = || problem(format!("'{name}' is said twice"), "say it once");
    match name {
        "@type" => match owner.owner_type.replace(name_in(item)?) {
            None => Ok(()),
            Some(_) => Err(twice()),
        },
        "@relation" if relation_allowed => match owner.relation.replace(name_in(item)?) {
            None => Ok(()),
            Some(_) => Err(twice()),
        },
        "@path" => match (&item.operand, &owner.path) {
            (Operand::Path(path), None) => {
                owner.path = Some(path.clone());
                Ok(())
            }
            (_, Some(_)) => Err(twice()),
            _ => Err(problem("'@path' needs a path", "write it without quotes: @path = linkRef")),
        },
        _ => Err(problem(
            format!("there is no '{name}' here"),
            if relation_allowed { "there are @type, @path and @relation" } else { "there are @type and @path" },
        )),
    }
}

/// The method and limit of a fuzzy filter; else what is wrong with the limit.
pub(super) fn fuzzy_method(levenshtein: bool, limit: &str) -> Result<FuzzyMethod, &'static str> {
    if levenshtein {
        limit.parse().map(FuzzyMethod::Levenshtein).map_err(|_| "the limit of 'levenshtein' is a whole number of characters")
    } else {
        limit
            .parse()
            .ok()
            .filter(|threshold| (0.0..=1.0).contains(threshold))
            .map(FuzzyMethod::Similarity)
            .ok_or("the limit of 'similarity' is a number from 0 to 1")
    }
}

/// The identifier of an object. Spaces around it mean nothing, as in documents.
pub(super) fn oid(text: &str) -> Result<Oid, Problem> {
    match text.trim() {
        "" => Err(problem("the identifier of an object cannot be empty", "name an object, or leave the condition out")),
        text => Ok(Oid::new(text)),
    }
}

/// A position relative to an organization, by the name of the scope.
pub(super) fn org_position(scope: &str, oid: Oid) -> Option<OrgPosition> {
    match scope {
        "SUBTREE" => Some(OrgPosition::Subtree(oid)),
        "ONE_LEVEL" => Some(OrgPosition::OneLevel(oid)),
        "ANCESTORS" => Some(OrgPosition::Ancestors(oid)),
        _ => None,
    }
}
