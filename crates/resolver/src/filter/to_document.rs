//! Filters written as documents have them.

use std::sync::Arc;

use tidelock_model::QName;
use tidelock_model::document::{Attribute, Format, Node, Scope, write};
use tidelock_model::filter::path::is_identifier;
use tidelock_model::filter::{
    Comparison, ExistsClause, Filter, FilterExpression, FuzzyMethod, ItemPath, Literal, Operand, Operator, OrgPosition,
    OwnerClause, RefClause, RefValue,
};
use tidelock_model::name::ns;

use super::names::{holds_names, is_reference};
use super::print;

/// Items that have values with items within; midPoint's `exists` is for these only.
const CONTAINERS: [&str; 21] = [
    "activation",
    "activity",
    "assignment",
    "association",
    "associations",
    "attributes",
    "case",
    "correlation",
    "credentials",
    "extension",
    "inducement",
    "metadata",
    "operationExecution",
    "password",
    "pendingOperation",
    "policyStatement",
    "processMetadata",
    "storageMetadata",
    "trigger",
    "triggers",
    "workItem",
];

/// Writes a filter as an element `filter` of the query namespace. What has no form of its own there stands in a `text`.
#[must_use]
pub fn to_node(filter: &Filter) -> Node {
    let mut writer = Writer { bindings: Vec::new() };
    let mut node = element("filter");
    node.children.push(writer.clause(filter));
    if !writer.bindings.is_empty() {
        let scope = Scope::nested(&Scope::well_known(), writer.bindings);
        set_scope(&mut node, &scope);
    }
    node
}

/// Writes a filter as XML: an element `q:filter` with the declarations that it needs.
#[must_use]
pub fn to_xml(filter: &Filter) -> String {
    let document = write(&[to_node(filter)], Format::Xml);
    let element = document.find("?>").map_or(document.as_str(), |end| &document[end + 2..]);
    element.trim().to_owned()
}

struct Writer {
    /// Prefixes for namespaces that have no well-known one.
    bindings: Vec<(Arc<str>, Arc<str>)>,
}

impl Writer {
    fn clause(&mut self, filter: &Filter) -> Node {
        match filter {
            Filter::All => element("all"),
            Filter::None => element("none"),
            Filter::Undefined => element("undefined"),
            Filter::And(parts) => match parts.as_slice() {
                [] => element("all"),
                [Filter::Type(clause), rest @ ..] if !rest.is_empty() && !matches!(rest, [Filter::And(_)]) => {
                    let mut node = element("type");
                    node.children.push(leaf("type", name_text(&clause.type_name)));
                    node.children.push(match rest {
                        [filter] => self.holder(filter),
                        parts => with(element("filter"), [self.joined("and", parts)]),
                    });
                    node
                }
                parts => self.joined("and", parts),
            },
            Filter::Or(parts) if parts.is_empty() => element("none"),
            Filter::Or(parts) => self.joined("or", parts),
            Filter::Not(part) => match &**part {
                Filter::Exists(ExistsClause { path, filter: None, .. }) if !is_container(path) => self.absent(path),
                part => with(element("not"), [self.clause(part)]),
            },
            Filter::Value(clause) => {
                if has_no_element(&clause.operand) || (holds_names(&clause.path) && !are_names(&clause.operand)) {
                    return leaf("text", print(filter));
                }
                let absent = matches!(&clause.operand, Operand::Values(values) if values.is_empty());
                let name = match clause.operator {
                    Operator::Equal if absent && is_reference(&clause.path) => "ref",
                    Operator::Equal => "equal",
                    Operator::AnyIn => "anyIn",
                    Operator::Order(Comparison::Less) => "less",
                    Operator::Order(Comparison::LessOrEqual) => "lessOrEqual",
                    Operator::Order(Comparison::Greater) => "greater",
                    Operator::Order(Comparison::GreaterOrEqual) => "greaterOrEqual",
                };
                let mut node = self.on_path(name, &clause.path, clause.matching.as_ref());
                self.operand(&mut node, &clause.operand, holds_names(&clause.path));
                node
            }
            Filter::Substring(clause) => {
                if has_no_element(&clause.operand) {
                    return leaf("text", print(filter));
                }
                let mut node = self.on_path("substring", &clause.path, clause.matching.as_ref());
                self.operand(&mut node, &clause.operand, false);
                for (name, anchored) in [("anchorStart", clause.at_start), ("anchorEnd", clause.at_end)] {
                    if anchored {
                        node.children.push(literal_leaf(name, "true"));
                    }
                }
                node
            }
            Filter::Fuzzy(clause) => {
                if has_no_element(&clause.operand) {
                    return leaf("text", print(filter));
                }
                let (name, limit) = match clause.method {
                    FuzzyMethod::Levenshtein(limit) => ("levenshtein", limit.to_string()),
                    FuzzyMethod::Similarity(limit) => ("similarity", limit.to_string()),
                };
                let mut node = self.on_path("fuzzyStringMatch", &clause.path, None);
                self.operand(&mut node, &clause.operand, false);
                let limits = [literal_leaf("threshold", &limit), literal_leaf("inclusive", &clause.inclusive.to_string())];
                node.children.push(with(element("method"), [with(element(name), limits)]));
                node
            }
            Filter::Exists(clause) => match &clause.filter {
                Some(filter) => {
                    let mut node = self.on_path("exists", &clause.path, None);
                    node.children.push(self.holder(filter));
                    node
                }
                None if is_container(&clause.path) => self.on_path("exists", &clause.path, None),
                None => with(element("not"), [self.absent(&clause.path)]),
            },
            Filter::Ref(clause) => self.reference(filter, clause),
            Filter::OwnedBy(clause) => self.owner("ownedBy", clause),
            Filter::ReferencedBy(clause) => self.owner("referencedBy", clause),
            Filter::Org(clause) => {
                let (oid, scope) = match &clause.position {
                    OrgPosition::Root => return with(element("org"), [literal_leaf("isRoot", "true")]),
                    OrgPosition::Subtree(oid) => (oid, "SUBTREE"),
                    OrgPosition::OneLevel(oid) => (oid, "ONE_LEVEL"),
                    OrgPosition::Ancestors(oid) => (oid, "ANCESTORS"),
                };
                let mut org = element("orgRef");
                org.set_attribute("oid", oid.to_string());
                with(element("org"), [org, leaf("scope", scope.to_owned())])
            }
            Filter::InOid(clause) => {
                if matches!(clause.expression, Some(FilterExpression::Placeholder(_))) {
                    return leaf("text", print(filter));
                }
                let mut node = element("inOid");
                node.children.extend(clause.oids.iter().map(|oid| leaf("value", oid.to_string())));
                node.children.extend(clause.expression.as_ref().map(expression));
                if clause.of_owner {
                    node.children.push(literal_leaf("considerOwner", "true"));
                }
                node
            }
            Filter::FullText(clause) => {
                if has_no_element(&clause.operand) {
                    return leaf("text", print(filter));
                }
                let mut node = element("fullText");
                self.operand(&mut node, &clause.operand, false);
                node
            }
            Filter::Type(clause) => with(element("type"), [leaf("type", name_text(&clause.type_name))]),
        }
    }

    fn joined(&mut self, name: &str, parts: &[Filter]) -> Node {
        let parts: Vec<_> = parts.iter().map(|part| self.clause(part)).collect();
        with(element(name), parts)
    }

    fn holder(&mut self, filter: &Filter) -> Node {
        with(element("filter"), [self.clause(filter)])
    }

    fn on_path(&mut self, name: &str, path: &ItemPath, matching: Option<&QName>) -> Node {
        let mut node = with(element(name), [self.path("path", path)]);
        node.children.extend(matching.map(|rule| leaf("matching", name_text(rule))));
        node
    }

    /// A comparison with no value: the item is absent.
    fn absent(&mut self, path: &ItemPath) -> Node {
        self.on_path(if is_reference(path) { "ref" } else { "equal" }, path, None)
    }

    fn reference(&mut self, filter: &Filter, clause: &RefClause) -> Node {
        if matches!(clause.expression, Some(FilterExpression::Placeholder(_))) {
            return leaf("text", print(filter));
        }
        let mut node = self.on_path("ref", &clause.path, None);
        node.children.extend(clause.values.iter().map(ref_value));
        node.children.extend(clause.expression.as_ref().map(expression));
        if let Some(target) = &clause.target {
            node.children.push(self.holder(target));
        }
        node
    }

    fn owner(&mut self, name: &str, clause: &OwnerClause) -> Node {
        let mut node = element(name);
        node.children.extend(clause.owner_type.as_ref().map(|name| leaf("type", name_text(name))));
        node.children.extend(clause.path.as_ref().map(|path| self.path("path", path)));
        node.children.extend(clause.relation.as_ref().map(|name| leaf("relation", name_text(name))));
        if let Some(filter) = &clause.filter {
            node.children.push(self.holder(filter));
        }
        node
    }

    fn operand(&mut self, node: &mut Node, operand: &Operand, names: bool) {
        match operand {
            Operand::Values(values) => node.children.extend(values.iter().map(|value| literal(value, names))),
            Operand::Path(path) if path.variable.is_none() => node.children.push(self.path("rightHandSidePath", path)),
            Operand::Path(path) => {
                let mut evaluator = self.path("path", path);
                evaluator.name = QName::common("path");
                node.children.push(with(Node::new(QName::common("expression")), [evaluator]));
            }
            Operand::Expression(other) => node.children.push(expression(other)),
        }
    }

    fn path(&mut self, name: &str, path: &ItemPath) -> Node {
        let mut text = String::new();
        let bindings = &mut self.bindings;
        let mut prefix_of = |namespace: &str| match ns::prefix_of(namespace) {
            Some(prefix) => Some(Arc::from(prefix)),
            None => Some(match bindings.iter().find(|(_, uri)| **uri == *namespace) {
                Some((prefix, _)) => Arc::clone(prefix),
                None => {
                    let prefix: Arc<str> = format!("ns{}", bindings.len() + 1).into();
                    bindings.push((Arc::clone(&prefix), namespace.into()));
                    prefix
                }
            }),
        };
        // Writing to a `String` does not fail.
        let _ = path.write(&mut text, &mut prefix_of);
        leaf(name, text)
    }
}

/// Whether an item has values with items within, by its name.
fn is_container(path: &ItemPath) -> bool {
    path.last_name().is_some_and(|name| CONTAINERS.contains(&name.local()))
}

fn expression(expression: &FilterExpression) -> Node {
    let common = |name: &str, text: &str| Node::leaf(QName::common(name), text);
    let evaluator = match expression {
        FilterExpression::Element(node) => return (**node).clone(),
        FilterExpression::Constant(name) => common("const", name),
        FilterExpression::Script { language, code } => {
            let mut script = Node::new(QName::common("script"));
            script.children.extend(language.as_ref().map(|language| common("language", language)));
            script.children.push(common("code", code));
            script
        }
        // Written as text; see `has_no_element`.
        FilterExpression::Placeholder(_) => return Node::new(QName::common("expression")),
    };
    with(Node::new(QName::common("expression")), [evaluator])
}

fn has_no_element(operand: &Operand) -> bool {
    matches!(operand, Operand::Expression(FilterExpression::Placeholder(_)))
}

/// Whether an element can hold the operand where names are compared: a text there is read as a name.
fn are_names(operand: &Operand) -> bool {
    let is_name = |literal: &Literal| match literal {
        Literal::QName(_) => true,
        Literal::String(text) => !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control()),
        Literal::Boolean(_) | Literal::Number(_) => false,
    };
    !matches!(operand, Operand::Values(values) if !values.iter().all(is_name))
}

fn literal(literal: &Literal, names: bool) -> Node {
    let mut node = match literal {
        Literal::QName(name) => leaf("value", name_text(name)),
        other => leaf("value", other.text().into_owned()),
    };
    let type_name = match literal {
        Literal::QName(_) if !names => "QName",
        Literal::Boolean(_) => "boolean",
        Literal::Number(number) if number.contains(['e', 'E']) => "double",
        Literal::Number(number) if number.contains('.') => "decimal",
        Literal::Number(_) => "integer",
        Literal::String(_) | Literal::QName(_) => return node,
    };
    node.literal = !matches!(literal, Literal::QName(_));
    let value = QName::new(ns::XSD, type_name).to_uri().into();
    node.attributes.push(Attribute { name: QName::new(ns::XSI, "type"), value, place: node.place.clone() });
    node
}

fn ref_value(value: &RefValue) -> Node {
    let mut node = element("value");
    if let Some(oid) = &value.oid {
        node.set_attribute("oid", oid.to_string());
    }
    for (attribute, name) in [("type", &value.target_type), ("relation", &value.relation)] {
        if let Some(name) = name {
            node.set_attribute(attribute, name_text(name));
        }
    }
    node
}

/// A name as it stands in content.
fn name_text(name: &QName) -> String {
    match name.namespace().and_then(ns::prefix_of) {
        Some(prefix) if is_identifier(name.local()) => format!("{prefix}:{}", name.local()),
        // XML would look for the declaration of a prefix that is none.
        None if name.namespace().is_none() && name.local().contains(':') && !name.local().contains(['/', '#']) => {
            format!("#{}", name.local())
        }
        _ => name.to_uri(),
    }
}

fn element(name: &str) -> Node {
    Node::new(QName::new(ns::QUERY, name))
}

fn leaf(name: &str, text: String) -> Node {
    Node::leaf(QName::new(ns::QUERY, name), text)
}

/// A number or a truth value, as JSON and YAML have them.
fn literal_leaf(name: &str, text: &str) -> Node {
    Node { literal: true, ..leaf(name, text.to_owned()) }
}

fn with(mut node: Node, children: impl IntoIterator<Item = Node>) -> Node {
    node.children.extend(children);
    node
}

/// Puts the prefixes in force everywhere but in expressions that came from a document with their own.
fn set_scope(node: &mut Node, scope: &Arc<Scope>) {
    if node.name.local() == "expression" && node.children.iter().any(|child| child.local() != "path") {
        return;
    }
    node.scope = Arc::clone(scope);
    node.children.iter_mut().for_each(|child| set_scope(child, scope));
}
