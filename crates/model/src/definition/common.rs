//! What resources, tasks and queries share: references, filters, queries.

use crate::definition::leaf::{ItemPathText, qname_text};
use crate::definition::table::{At, Content, Reading, definition, names, plain_content};
use crate::diagnostic::Place;
use crate::document::{Attribute, Node, resolve_reporting};
use crate::name::{QName, ns};
use crate::oid::Oid;

/// A reference to an object as a definition has it: by OID, or by a filter that is resolved when the definition is stored.
///
/// Equality leaves places out.
#[derive(Clone, Debug, Default)]
pub struct ObjectRef {
    /// The OID.
    pub oid: Option<Oid>,
    /// The type of the object: `c:ResourceType`.
    pub target_type: Option<QName>,
    /// How the two are related.
    pub relation: Option<QName>,
    /// The condition to find the object by.
    pub filter: Option<Node>,
    /// Where it begins.
    pub place: Place,
    /// Attributes that are kept as they are.
    pub rest_attributes: Vec<Attribute>,
    /// What is kept as it is: description, resolution time and the like.
    pub rest: Vec<Node>,
}

/// A filter that has not been parsed: a clause in XML (or its JSON form), or a `text` child with the query language.
///
/// Equality leaves places out.
#[derive(Clone, Debug)]
pub struct FilterSource {
    /// The element that holds the filter.
    pub node: Node,
    /// Where it begins.
    pub place: Place,
}

definition! {
    /// A query: what to look for, and in what portions and order.
    pub struct Query in [ns::QUERY] {
        items {
            /// The condition.
            filter = "filter": Option<FilterSource>,
            /// Order and portion.
            paging = "paging": Option<Paging>,
        }
        kept ["description"]
    }
}

definition! {
    /// The order and the portion of a query's result.
    pub struct Paging in [ns::QUERY] {
        items {
            /// The item to sort by.
            order_by = "orderBy": Option<At<ItemPathText>>,
            /// The direction.
            order_direction = "orderDirection": Option<At<OrderDirection>>,
            /// How many objects are left out at the beginning.
            offset = "offset": Option<At<i64>>,
            /// The most objects that are wanted.
            max_size = "maxSize": Option<At<i64>>,
        }
        kept ["cookie", "groupBy"]
    }
}

names! {
    /// A direction of sorting.
    pub enum OrderDirection: "a direction of sorting" {
        /// Small ones first.
        Ascending = "ascending",
        /// Large ones first.
        Descending = "descending",
    }
}

names! {
    /// The outcome of an operation.
    pub enum OperationStatus: "a status" {
        /// Done.
        Success = "success",
        /// Done, with something to look at.
        Warning = "warning",
        /// Done in part.
        PartialError = "partial_error",
        /// Failed.
        FatalError = "fatal_error",
        /// Failed, and dealt with.
        HandledError = "handled_error",
        /// There was nothing to do.
        NotApplicable = "not_applicable",
        /// Not done yet.
        InProgress = "in_progress",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

plain_content!(Query, Paging);

impl PartialEq for FilterSource {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl FilterSource {
    /// The filter in a node.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { place: node.place.clone(), node }
    }
}

impl Content for FilterSource {
    fn read(node: &Node, _reading: &mut Reading) -> Option<Self> {
        Some(Self::new(node.clone()))
    }

    fn write(&self, _name: &QName) -> Node {
        self.node.clone()
    }
}

impl ObjectRef {
    /// A reference by OID.
    #[must_use]
    pub fn to(oid: Oid, target_type: Option<QName>) -> Self {
        Self { oid: Some(oid), target_type, ..Self::default() }
    }
}

impl PartialEq for ObjectRef {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid
            && self.target_type == other.target_type
            && self.relation == other.relation
            && self.filter == other.filter
            && crate::definition::table::same_rest(&self.rest_attributes, &other.rest_attributes, &self.rest, &other.rest)
    }
}

impl Content for ObjectRef {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let mut read = Self { place: node.place.clone(), ..Self::default() };
        let mut set = |local: &str, value: &str, scope, place, reading: &mut Reading| {
            let value = value.trim();
            let mut found = Vec::new();
            match local {
                "oid" => read.oid = (!value.is_empty()).then(|| Oid::new(value)),
                "type" => read.target_type = resolve_reporting(value, scope, place, &mut found),
                "relation" => read.relation = resolve_reporting(value, scope, place, &mut found),
                _ => return false,
            }
            reading.extend(found);
            true
        };
        let mut rest_attributes = Vec::new();
        for attribute in &node.attributes {
            let plain = attribute.name.namespace().is_none();
            if !(plain && set(attribute.name.local(), &attribute.value, &node.scope, &attribute.place, reading)) {
                rest_attributes.push(attribute.clone());
            }
        }
        let (mut filter, mut rest) = (None, Vec::new());
        for child in &node.children {
            if child.children.is_empty() && set(child.local(), child.text(), &child.scope, &child.place, reading) {
                continue;
            }
            match child.local() {
                "filter" if filter.is_none() => filter = Some(child.clone()),
                _ => rest.push(child.clone()),
            }
        }
        Some(Self { filter, rest, rest_attributes, ..read })
    }

    fn write(&self, name: &QName) -> Node {
        let mut node = Node::new(name.clone());
        let names = [("type", &self.target_type), ("relation", &self.relation)];
        if let Some(oid) = &self.oid {
            node.set_attribute("oid", oid.to_string());
        }
        for (attribute, value) in names {
            if let Some(value) = value {
                node.set_attribute(attribute, qname_text(value));
            }
        }
        node.attributes.extend_from_slice(&self.rest_attributes);
        node.children.extend(self.filter.clone());
        node.children.extend_from_slice(&self.rest);
        node
    }
}
