//! Filters as documents have them: one element per clause, or `text` with the query language, at any level.

use tidelock_model::definition::{FilterSource, nearest};
use tidelock_model::document::Node;
use tidelock_model::filter::{
    Comparison, ExistsClause, Filter, FilterExpression, FullTextClause, FuzzyClause, InOidClause, ItemPath, Literal, NotAPath,
    Operand, Operator, OrgClause, OrgPosition, OwnerClause, RefClause, RefValue, SubstringClause, TypeClause, ValueClause,
    WrittenAt,
};
use tidelock_model::name::ns;
use tidelock_model::{Diagnostic, Oid, Place, QName};

use super::names::{check_matching_rule, holds_names};
use super::parse::lexical::is_number;
use super::{MAX_DEPTH, SYNTAX, nested, parse};

/// Reads the filter of a definition.
///
/// # Errors
/// As [`from_node`].
pub fn read(source: &FilterSource) -> Result<Filter, Diagnostic> {
    from_node(&source.node)
}

/// Reads the filter that an element holds: one clause, or `text` with the query language.
///
/// # Errors
/// `query-syntax` where it holds anything else; `undeclared-prefix`, `unknown-matching-rule` and `bad-value`.
pub fn from_node(node: &Node) -> Result<Filter, Diagnostic> {
    holder(node, 0)
}

/// Elements that may stand beside the clause and say nothing about it.
const ASIDE: [&str; 3] = ["description", "documentation", "condition"];

const CLAUSES: [(&str, &[&str]); 20] = [
    ("all", &[]),
    ("none", &[]),
    ("undefined", &[]),
    ("text", &[]),
    ("and", &[]),
    ("or", &[]),
    ("not", &[]),
    ("equal", COMPARISON),
    ("anyIn", COMPARISON),
    ("greater", COMPARISON),
    ("greaterOrEqual", COMPARISON),
    ("less", COMPARISON),
    ("lessOrEqual", COMPARISON),
    ("substring", &["path", "value", "expression", "anchorStart", "anchorEnd", "matching"]),
    ("fuzzyStringMatch", &["path", "value", "expression", "method", "matching"]),
    ("ref", &["path", "value", "expression", "filter"]),
    ("org", &["isRoot", "orgRef", "scope", "path"]),
    ("type", &["type", "filter"]),
    ("exists", &["path", "filter"]),
    ("fullText", &["value", "expression"]),
];
const MORE_CLAUSES: [(&str, &[&str]); 3] = [
    ("inOid", &["value", "expression", "considerOwner"]),
    ("ownedBy", &["type", "path", "filter"]),
    ("referencedBy", &["type", "path", "relation", "filter"]),
];
const COMPARISON: &[&str] = &["path", "value", "rightHandSidePath", "expression", "matching"];

fn holder(node: &Node, depth: usize) -> Result<Filter, Diagnostic> {
    let mut clauses = node.children.iter().filter(|child| !ASIDE.contains(&child.local()));
    let Some(first) = clauses.next() else {
        let error = syntax(&node.place, format!("'{}' holds no filter", node.local()));
        return Err(if node.text().trim().is_empty() {
            error.with_help("put one clause into it, such as equal, or text")
        } else {
            error.with_help("put the query into an element 'text'")
        });
    };
    if let Some(second) = clauses.next() {
        let error = syntax(&second.place, format!("'{}' holds several clauses, and there must be one", node.local()));
        return Err(match first.local() {
            // What JSON and YAML have as a list are elements of one name.
            same @ ("and" | "or") if second.local() == same => error.with_help(format!(
                "put all clauses into one '{same}'; in JSON and YAML it holds no list but an object, such as \"{same}\": {{ \"equal\": [ … ], \"substring\": [ … ] }}"
            )),
            _ => error.with_help("join them with 'and' or 'or'"),
        });
    }
    clause(first, depth)
}

fn known_parts(name: &str) -> Option<&'static [&'static str]> {
    CLAUSES.iter().chain(&MORE_CLAUSES).find(|(known, _)| *known == name).map(|(_, parts)| *parts)
}

fn clause(node: &Node, depth: usize) -> Result<Filter, Diagnostic> {
    if depth >= MAX_DEPTH {
        return Err(syntax(&node.place, format!("clauses are nested more than {MAX_DEPTH} deep"))
            .with_help("say it with fewer levels: an 'and' can hold any number of clauses"));
    }
    let Some(parts) = known_parts(node.local()) else {
        let error = syntax(&node.place, format!("there is no clause '{}'", node.local()));
        let known = CLAUSES.iter().chain(&MORE_CLAUSES).map(|(name, _)| *name);
        return Err(match nearest(node.local(), known) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help("clauses are equal, substring, greater, ref, and, or, not and others, or text"),
        });
    };
    if !matches!(node.local(), "and" | "or" | "not")
        && let Some(odd) = node.children.iter().find(|child| !parts.contains(&child.local()) && !ASIDE.contains(&child.local()))
    {
        let error = syntax(&odd.place, format!("the clause '{}' has no '{}'", node.local(), odd.local()));
        return Err(match nearest(odd.local(), parts.iter().copied()) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None if parts.is_empty() => error.with_help("it has nothing in it"),
            None => error.with_help(format!("it has {}", parts.join(", "))),
        });
    }
    let place = WrittenAt(node.place.clone());
    let comparison = |operator| value_clause(node, operator);
    match node.local() {
        "all" => Ok(Filter::All),
        "none" => Ok(Filter::None),
        "undefined" => Ok(Filter::Undefined),
        "text" => text(node),
        "and" => joined(node, depth).map(Filter::And),
        "or" => joined(node, depth).map(Filter::Or),
        "not" => match <[Filter; 1]>::try_from(joined(node, depth)?) {
            Ok([part]) => Ok(Filter::Not(Box::new(part))),
            Err(_) => Err(syntax(&node.place, "'not' holds several clauses, and there must be one")
                .with_help("join them with 'and' or 'or'")),
        },
        "equal" => comparison(Operator::Equal),
        "anyIn" => comparison(Operator::AnyIn),
        "greater" => comparison(Operator::Order(Comparison::Greater)),
        "greaterOrEqual" => comparison(Operator::Order(Comparison::GreaterOrEqual)),
        "less" => comparison(Operator::Order(Comparison::Less)),
        "lessOrEqual" => comparison(Operator::Order(Comparison::LessOrEqual)),
        "substring" => substring(node),
        "fuzzyStringMatch" => fuzzy(node),
        "ref" => reference(node, depth),
        "ownedBy" => owner(node, depth).map(Filter::OwnedBy),
        "referencedBy" => owner(node, depth).map(Filter::ReferencedBy),
        "org" => org(node),
        "inOid" => in_oid(node),
        "fullText" => match operand(node, false)? {
            Operand::Values(values) if values.is_empty() => Err(syntax(&node.place, "'fullText' needs a value")),
            operand => Ok(Filter::FullText(FullTextClause { operand, place })),
        },
        "type" => {
            let type_name = node.child("type").ok_or_else(|| missing(node, "type"))?;
            let this = Filter::Type(TypeClause { type_name: qname(type_name)?, place });
            Ok(match sub_filter(node, depth)? {
                None => this,
                Some(filter) => this.and(*filter),
            })
        }
        _ => Ok(Filter::Exists(ExistsClause { path: path(node)?, filter: sub_filter(node, depth)?, place })),
    }
}

fn joined(node: &Node, depth: usize) -> Result<Vec<Filter>, Diagnostic> {
    let children = node.children.iter().filter(|child| !ASIDE.contains(&child.local()));
    let parts = children.map(|child| clause(child, depth + 1)).collect::<Result<Vec<_>, _>>()?;
    if parts.is_empty() {
        return Err(syntax(&node.place, format!("'{}' holds no clause", node.local())).with_help("put clauses into it"));
    }
    refuse_lists(node)?;
    Ok(parts)
}

/// In JSON and YAML a list means as many elements of one name, so `"or": [A, B]` comes as an 'or' of A beside an 'or' of B.
/// Whoever writes it means something else.
fn refuse_lists(node: &Node) -> Result<(), Diagnostic> {
    if !node.scope.is_lenient() {
        return Ok(());
    }
    for name in ["and", "or"] {
        let is_single = |child: &&Node| {
            child.local() == name && child.children.iter().filter(|part| !ASIDE.contains(&part.local())).count() == 1
        };
        if let Some(second) = node.children.iter().filter(is_single).nth(1) {
            return Err(syntax(&second.place, format!("'{name}' is given as a list of clauses")).with_help(format!(
                "in JSON and YAML it holds no list but an object, such as \"{name}\": {{ \"equal\": [ … ], \"substring\": [ … ] }}"
            )));
        }
    }
    Ok(())
}

/// A query in the text language. Only the element's place is known, so the error says as well where in the text it is.
fn text(node: &Node) -> Result<Filter, Diagnostic> {
    parse(node.text(), &node.place, &node.scope).map_err(|diagnostic| {
        let Err(Diagnostic { place: Place { line, column, .. }, message, .. }) =
            parse(node.text(), &Place::default(), &node.scope)
        else {
            return diagnostic;
        };
        if line == 0 {
            // It is about the query as a whole.
            return diagnostic;
        }
        let message = format!("{message} (line {line}, column {column} of the query)");
        let place = if line > 1 { diagnostic.place } else { node.place.clone() };
        Diagnostic { message, place, ..diagnostic }
    })
}

fn value_clause(node: &Node, operator: Operator) -> Result<Filter, Diagnostic> {
    let path = path(node)?;
    let operand = operand(node, holds_names(&path))?;
    if let (Operator::Order(_), Operand::Values(values)) = (operator, &operand)
        && values.len() != 1
    {
        return Err(syntax(&node.place, format!("'{}' has {} values, and there must be one", node.local(), values.len())));
    }
    Ok(Filter::Value(ValueClause { path, operator, operand, matching: matching(node)?, place: WrittenAt(node.place.clone()) }))
}

fn substring(node: &Node) -> Result<Filter, Diagnostic> {
    let (path, operand, matching) = (path(node)?, operand(node, false)?, matching(node)?);
    if matches!(&operand, Operand::Values(values) if values.len() != 1) {
        return Err(syntax(&node.place, "'substring' needs one value"));
    }
    let (at_start, at_end) = (flag(node, "anchorStart", false)?, flag(node, "anchorEnd", false)?);
    let place = WrittenAt(node.place.clone());
    Ok(if at_start && at_end {
        // Bound at both ends it is the whole text.
        Filter::Value(ValueClause { path, operator: Operator::Equal, operand, matching, place })
    } else {
        Filter::Substring(SubstringClause { path, operand, at_start, at_end, matching, place })
    })
}

fn fuzzy(node: &Node) -> Result<Filter, Diagnostic> {
    let operand = operand(node, false)?;
    if matches!(&operand, Operand::Values(values) if values.len() != 1) {
        return Err(syntax(&node.place, "'fuzzyStringMatch' needs one value"));
    }
    let holder = node.child("method").ok_or_else(|| missing(node, "method"))?;
    let (method, levenshtein) = match (holder.child("levenshtein"), holder.child("similarity")) {
        (Some(method), None) => (method, true),
        (None, Some(method)) => (method, false),
        _ => return Err(syntax(&holder.place, "the method is either 'levenshtein' or 'similarity'")),
    };
    let threshold = method.child("threshold").ok_or_else(|| missing(method, "threshold"))?;
    let inclusive = flag(method, "inclusive", true)?;
    let method = nested::fuzzy_method(levenshtein, threshold.text().trim())
        .map_err(|message| Diagnostic::error("bad-value", &threshold.place, message))?;
    Ok(Filter::Fuzzy(FuzzyClause { path: path(node)?, operand, method, inclusive, place: WrittenAt(node.place.clone()) }))
}

fn reference(node: &Node, depth: usize) -> Result<Filter, Diagnostic> {
    let path = path(node)?;
    let values = node.children_named("value").map(ref_value).collect::<Result<Vec<_>, _>>()?;
    let (target, place) = (sub_filter(node, depth)?, WrittenAt(node.place.clone()));
    let expression = match node.child("expression") {
        None => None,
        Some(expression) => match read_expression(expression)? {
            Operand::Expression(expression) => Some(expression),
            _ => Some(FilterExpression::Element(Box::new(expression.clone()))),
        },
    };
    if values.is_empty() && target.is_none() && expression.is_none() {
        // The reference is absent, which is a matter of any item.
        let operand = Operand::Values(Vec::new());
        return Ok(Filter::Value(ValueClause { path, operator: Operator::Equal, operand, matching: None, place }));
    }
    Ok(Filter::Ref(RefClause { path, values, expression, target, place }))
}

fn ref_value(node: &Node) -> Result<RefValue, Diagnostic> {
    let name = |local: &str| match (node.attribute(local), node.child(local)) {
        (Some(attribute), _) => match node.scope.resolve(&attribute.value) {
            Ok(name) => Ok(Some(name)),
            Err(_) if node.scope.is_lenient() => Ok(Some(QName::local_only(attribute.value.trim()))),
            Err(undeclared) => Err(undeclared.at(&attribute.place, &node.scope)),
        },
        (None, Some(child)) => qname(child).map(Some),
        (None, None) => Ok(None),
    };
    let oid =
        node.attribute_value("oid").or_else(|| node.child("oid").map(Node::text)).map(str::trim).filter(|oid| !oid.is_empty());
    let value = RefValue { oid: oid.map(Oid::new), target_type: name("type")?, relation: name("relation")? };
    if value == RefValue::default() {
        return Err(Diagnostic::error("bad-value", &node.place, "a reference needs an oid, a type or a relation")
            .with_help("write <value oid=\"…\" type=\"…\"/>"));
    }
    Ok(value)
}

fn owner(node: &Node, depth: usize) -> Result<OwnerClause, Diagnostic> {
    Ok(OwnerClause {
        owner_type: node.child("type").map(qname).transpose()?,
        path: node.child("path").map(item_path).transpose()?,
        relation: node.child("relation").map(qname).transpose()?,
        filter: sub_filter(node, depth)?,
        place: WrittenAt(node.place.clone()),
    })
}

fn org(node: &Node) -> Result<Filter, Diagnostic> {
    let place = WrittenAt(node.place.clone());
    if flag(node, "isRoot", false)? {
        return Ok(Filter::Org(OrgClause { position: OrgPosition::Root, place }));
    }
    let org = node.child("orgRef").ok_or_else(|| missing(node, "orgRef"))?;
    let oid =
        org.attribute_value("oid").or_else(|| org.child("oid").map(Node::text)).map(str::trim).filter(|oid| !oid.is_empty());
    let oid = oid.ok_or_else(|| missing(org, "oid"))?;
    let scope = org.child("scope").or_else(|| node.child("scope"));
    let position =
        nested::org_position(scope.map_or("SUBTREE", |scope| scope.text().trim()), Oid::new(oid)).ok_or_else(|| {
            let place = scope.map_or(&node.place, |scope| &scope.place);
            Diagnostic::error("bad-value", place, "this is no scope").with_help("scopes are SUBTREE, ONE_LEVEL and ANCESTORS")
        })?;
    Ok(Filter::Org(OrgClause { position, place }))
}

fn in_oid(node: &Node) -> Result<Filter, Diagnostic> {
    let expression = match node.child("expression").map(read_expression).transpose()? {
        None => None,
        Some(Operand::Expression(expression)) => Some(expression),
        Some(_) => node.child("expression").map(|node| FilterExpression::Element(Box::new(node.clone()))),
    };
    Ok(Filter::InOid(InOidClause {
        oids: node.children_named("value").map(identifier).collect::<Result<_, _>>()?,
        expression,
        of_owner: flag(node, "considerOwner", false)?,
        place: WrittenAt(node.place.clone()),
    }))
}

fn identifier(value: &Node) -> Result<Oid, Diagnostic> {
    nested::oid(value.text())
        .map_err(|problem| Diagnostic::error("bad-value", &value.place, problem.message).with_help(problem.help))
}

fn sub_filter(node: &Node, depth: usize) -> Result<Option<Box<Filter>>, Diagnostic> {
    node.child("filter").map(|filter| holder(filter, depth + 1).map(Box::new)).transpose()
}

fn path(node: &Node) -> Result<ItemPath, Diagnostic> {
    item_path(node.child("path").ok_or_else(|| missing(node, "path"))?)
}

fn item_path(node: &Node) -> Result<ItemPath, Diagnostic> {
    ItemPath::parse_in(node.text(), &node.scope).map_err(|NotAPath { kind, .. }| {
        use tidelock_model::filter::path::NotAPathKind;
        match &kind {
            NotAPathKind::UndeclaredPrefix(prefix) => {
                let error = Diagnostic::error("undeclared-prefix", &node.place, kind.to_string());
                error.with_help(format!("add xmlns:{prefix}=\"{}\"", ns::of_prefix(prefix).unwrap_or("…")))
            }
            _ => Diagnostic::error("bad-value", &node.place, kind.to_string())
                .with_help("write a path such as attributes/ri:uid, without operators or quotes"),
        }
    })
}

fn matching(node: &Node) -> Result<Option<QName>, Diagnostic> {
    let Some(matching) = node.child("matching") else { return Ok(None) };
    let name = qname(matching)?;
    match check_matching_rule(&name) {
        Ok(()) => Ok(Some(name)),
        Err(help) => {
            Err(Diagnostic::error("unknown-matching-rule", &matching.place, format!("there is no matching rule '{name}'"))
                .with_help(help))
        }
    }
}

fn operand(node: &Node, names: bool) -> Result<Operand, Diagnostic> {
    let (value, path, expression) = (node.child("value"), node.child("rightHandSidePath"), node.child("expression"));
    if [value, path, expression].iter().flatten().count() > 1 {
        return Err(syntax(&node.place, format!("'{}' compares with several things", node.local()))
            .with_help("give it values, or a rightHandSidePath, or an expression"));
    }
    match (path, expression) {
        (Some(path), _) => item_path(path).map(Operand::Path),
        (None, Some(expression)) => read_expression(expression),
        (None, None) => {
            node.children_named("value").map(|value| literal(value, names)).collect::<Result<_, _>>().map(Operand::Values)
        }
    }
}

fn literal(node: &Node, names: bool) -> Result<Literal, Diagnostic> {
    let declared = node.declared_type();
    let declared = declared.as_ref().filter(|name| name.namespace().is_none_or(|n| n == ns::XSD)).map(QName::local);
    let text = match node.child("orig") {
        // A PolyString is its original text.
        Some(orig) => orig.text(),
        None if node.children.is_empty() => node.text(),
        None => {
            return Err(Diagnostic::error("bad-value", &node.place, "a filter compares with simple values only")
                .with_help("compare the items within, or use 'exists' with a filter"));
        }
    };
    let trimmed = text.trim();
    let plain = declared.is_none() && node.literal;
    Ok(match declared {
        _ if names || declared == Some("QName") => Literal::QName(qname(node)?),
        Some("boolean") if matches!(trimmed, "true" | "1") => Literal::Boolean(true),
        Some("boolean") if matches!(trimmed, "false" | "0") => Literal::Boolean(false),
        None if plain && trimmed == "true" => Literal::Boolean(true),
        None if plain && trimmed == "false" => Literal::Boolean(false),
        Some("int" | "integer" | "long" | "short" | "byte" | "decimal" | "double" | "float") if is_number(trimmed) => {
            Literal::Number(trimmed.into())
        }
        None if plain && is_number(trimmed) => Literal::Number(trimmed.into()),
        _ => Literal::String(text.into()),
    })
}

/// What an expression says, where the query language can say it as well.
fn read_expression(node: &Node) -> Result<Operand, Diagnostic> {
    let other = || Operand::Expression(FilterExpression::Element(Box::new(node.clone())));
    let mut evaluators = node.children.iter().filter(|child| child.local() != "description");
    let (Some(evaluator), more) = (evaluators.next(), evaluators.next()) else { return Ok(other()) };
    let simple = evaluator.children.is_empty() && more.is_none();
    Ok(match evaluator.local() {
        "path" if simple => Operand::Path(item_path(evaluator)?),
        "const" if simple => Operand::Expression(FilterExpression::Constant(evaluator.text().trim().into())),
        "value" if node.children.iter().all(|child| child.local() == "value") => {
            let values = node.children.iter().map(|value| literal(value, false));
            Operand::Values(values.collect::<Result<_, _>>()?)
        }
        "script" if more.is_none() => match script(evaluator) {
            Some(script) => Operand::Expression(script),
            None => other(),
        },
        _ => other(),
    })
}

fn script(node: &Node) -> Option<FilterExpression> {
    let code = node.child("code")?;
    if node.children.iter().any(|child| !matches!(child.local(), "code" | "language" | "description")) {
        return None;
    }
    let language = match node.child("language") {
        None => None,
        Some(language) => {
            let name = language.text().trim();
            let name = name.rsplit_once('#').map_or(name, |(_, name)| name).to_lowercase();
            Some(name.into_boxed_str()).filter(|name| tidelock_model::filter::path::is_identifier(name)).map(Some)?
        }
    };
    Some(FilterExpression::Script { language, code: code.text().into() })
}

fn flag(node: &Node, name: &str, default: bool) -> Result<bool, Diagnostic> {
    match node.child(name) {
        None => Ok(default),
        Some(flag) => super::bind::boolean(flag.text().trim()).ok_or_else(|| {
            Diagnostic::error("bad-value", &flag.place, format!("'{name}' is neither true nor false"))
                .with_help("write true or false")
        }),
    }
}

fn qname(node: &Node) -> Result<QName, Diagnostic> {
    node.qname().map_err(|diagnostics| {
        let first = diagnostics.into_iter().find(Diagnostic::is_error);
        first.unwrap_or_else(|| Diagnostic::error("bad-value", &node.place, "a qualified name is expected here"))
    })
}

fn missing(node: &Node, part: &str) -> Diagnostic {
    syntax(&node.place, format!("'{}' needs '{part}'", node.local()))
}

fn syntax(place: &Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(SYNTAX, place, message)
}
