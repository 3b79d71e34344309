//! Resource definitions.

use std::fmt;

use crate::definition::common::ObjectRef;
use crate::definition::leaf::Duration;
use crate::definition::legacy::LegacySynchronization;
use crate::definition::object_type::SchemaHandling;
use crate::definition::table::{At, Content, Item, MAX_ITEMS, Reading, definition, names, plain_content, shorten};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::{Attribute, Node};
use crate::name::{QName, ns};
use crate::oid::Oid;

definition! {
    /// A resource: how to reach it, what is on it, and what to do with that.
    pub struct Resource in [ns::COMMON] {
        attributes {
            /// The OID.
            oid = "oid": Option<At<Oid>>,
        }
        items {
            /// The name.
            name = "name": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// Whether it is switched to maintenance.
            administrative_operational_state = "administrativeOperationalState": Option<AdministrativeOperationalState>,
            /// Whether others only inherit from it.
            abstract_ = "abstract": Option<At<bool>>,
            /// Whether it is meant to be copied.
            template = "template": Option<At<bool>>,
            /// The resource it inherits from.
            super_ = "super": Option<SuperResource>,
            /// The connector.
            connector_ref = "connectorRef": Option<ObjectRef>,
            /// How the connector reaches it.
            connector_configuration = "connectorConfiguration": Option<ConnectorConfiguration>,
            /// Connectors that take over some of what the resource can do.
            additional_connectors = "additionalConnector": Vec<AdditionalConnector>,
            /// Object classes and types, and what happens to them.
            schema_handling = "schemaHandling": Option<SchemaHandling>,
            /// What it can do.
            capabilities = "capabilities": Option<Capabilities>,
            /// What shadows keep of its objects.
            caching = "caching": Option<Caching>,
            /// The older form of the types' synchronization.
            synchronization = "synchronization": Option<LegacySynchronization>,
        }
        kept [
            "documentation", "extension", "metadata", "fetchResult", "operationExecution", "operationalState",
            "operationalStateHistory", "schema", "projection", "consistency", "cacheInvalidationTimestamp", "business",
            "lifecycle", "policyStatement", "policySituation", "policyException", "effectiveMarkRef", "trigger", "subtype",
            "assignment", "parentOrgRef", "roleMembershipRef", "delegatedRef", "roleInfluenceRef", "archetypeRef", "tenantRef",
            "iteration", "iterationToken", "diagnosticInformation", "indestructible", "namespace", "connector", "mappingsEvaluation",
            "triggeredPolicyRule", "activation", "credentials",
        ]
        unsupported ["scripts"]
    }
}

definition! {
    /// Whether a resource may be used at the moment.
    pub struct AdministrativeOperationalState in [ns::COMMON] {
        items {
            /// The administrator's word.
            administrative_availability_status = "administrativeAvailabilityStatus": Option<At<AdministrativeAvailability>>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// An administrator's word on a resource's availability.
    pub enum AdministrativeAvailability: "an administrative availability" {
        /// It is left alone for now.
        Maintenance = "maintenance",
        /// It is used.
        Operational = "operational",
    }
}

definition! {
    /// What a resource inherits from.
    pub struct SuperResource in [ns::COMMON] {
        items {
            /// The resource.
            resource_ref = "resourceRef": Option<ObjectRef>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A connector that takes over some of what a resource can do.
    pub struct AdditionalConnector in [ns::COMMON] {
        items {
            /// What people call it.
            name = "name": Option<At<String>>,
            /// The connector.
            connector_ref = "connectorRef": Option<ObjectRef>,
            /// How the connector reaches the resource.
            connector_configuration = "connectorConfiguration": Option<ConnectorConfiguration>,
            /// What it is to do.
            capabilities = "capabilities": Option<Capabilities>,
        }
        kept ["description", "documentation"]
    }
}

/// How a connector reaches its resource.
///
/// Equality leaves places out. The `Debug` form shows no values, as some are secret.
#[derive(Clone, Debug, Default)]
pub struct ConnectorConfiguration {
    /// Where it begins.
    pub place: Place,
    /// The namespace-qualified name of the container that holds the properties, where there is one.
    pub container: Option<QName>,
    /// The properties, in their order. Names may occur once each.
    pub properties: Vec<Property>,
    /// Attributes that are kept as they are.
    pub rest_attributes: Vec<Attribute>,
    /// What is kept as it is: pool, timeouts, result handlers.
    pub rest: Vec<Node>,
}

/// One property of a connector's configuration.
///
/// The `Debug` form shows no values, as some are secret.
#[derive(Clone)]
pub struct Property {
    /// What it is called, in the connector's namespace.
    pub name: QName,
    /// The values, as text.
    pub values: Vec<At<String>>,
    /// The names of constants whose values are meant, for whoever knows constants.
    pub constants: Vec<At<String>>,
    /// Where it begins.
    pub place: Place,
    nodes: Vec<Node>,
}

definition! {
    /// What a resource can do: as its connector says, and as the administrator corrects.
    pub struct Capabilities in [ns::COMMON] {
        items {
            /// What the connector says.
            native = "native": Option<Node>,
            /// What the administrator says: each capability replaces the native one as a whole.
            configured = "configured": Option<ConfiguredCapabilities>,
        }
        kept ["cachingMetadata"]
    }
}

definition! {
    /// Capabilities as an administrator configures them.
    pub struct ConfiguredCapabilities in [ns::CAP] {
        items {
            /// Reading.
            read = "read": Option<ReadCapability>,
            /// Changes since a token.
            live_sync = "liveSync": Option<LiveSyncCapability>,
            /// Changes that the resource sends.
            async_update = "asyncUpdate": Option<Capability>,
            /// Creating objects.
            create = "create": Option<Capability>,
            /// Changing objects.
            update = "update": Option<Capability>,
            /// Deleting objects.
            delete = "delete": Option<Capability>,
            /// Counting objects.
            count_objects = "countObjects": Option<Capability>,
            /// Searching in pages.
            paged_search = "pagedSearch": Option<Capability>,
        }
        kept [
            "schema", "discoverConfiguration", "testConnection", "activation", "credentials", "script",
            "auxiliaryObjectClasses", "runAs", "references", "behavior", "addRemoveAttributeValues", "addAttributeValues",
        ]
    }
}

definition! {
    /// A capability of which only the presence matters here.
    pub struct Capability in [ns::CAP] {
        items {
            /// Whether it counts as present.
            enabled = "enabled": Option<At<bool>>,
        }
        kept [
            "manual", "delta", "addRemoveAttributeValues", "attributeContentRequirement", "simulate", "defaultSortField",
            "defaultSortDirection",
        ]
    }
}

definition! {
    /// The capability to read objects.
    pub struct ReadCapability in [ns::CAP] {
        items {
            /// Whether it counts as present.
            enabled = "enabled": Option<At<bool>>,
            /// Whether reading means reading what the shadows keep.
            caching_only = "cachingOnly": Option<At<bool>>,
        }
        kept ["returnDefaultAttributesOption"]
    }
}

definition! {
    /// The capability to tell changes since a token.
    pub struct LiveSyncCapability in [ns::CAP] {
        items {
            /// Whether it counts as present.
            enabled = "enabled": Option<At<bool>>,
            /// The administrator's promise that a change's token stands for exactly the changes up to it.
            precise_token_value = "preciseTokenValue": Option<At<bool>>,
        }
    }
}

definition! {
    /// What shadows keep of the objects they stand for.
    pub struct Caching in [ns::COMMON] {
        items {
            /// Whether anything is kept at all.
            caching_strategy = "cachingStrategy": Option<At<CachingStrategy>>,
            /// Which parts are kept.
            scope = "scope": Option<CachingScope>,
            /// How long what is kept may be used.
            time_to_live = "timeToLive": Option<At<Duration>>,
        }
        kept ["defaultCacheUse", "retentionPeriod", "description"]
    }
}

names! {
    /// Whether shadows keep more than identifiers.
    pub enum CachingStrategy: "a caching strategy" {
        /// Identifiers only.
        None = "none",
        /// What happens to be read.
        Passive = "passive",
    }
}

definition! {
    /// Which parts of objects shadows keep.
    pub struct CachingScope in [ns::COMMON] {
        items {
            /// Which attributes.
            attributes = "attributes": Option<At<CachedAttributes>>,
        }
        kept ["associations", "activation", "auxiliaryObjectClasses", "credentials"]
    }
}

names! {
    /// Which attributes shadows keep.
    pub enum CachedAttributes: "a scope of caching" {
        /// None but the identifiers.
        None = "none",
        /// Those that `schemaHandling` mentions.
        Defined = "defined",
        /// Those that have mappings.
        Mapped = "mapped",
        /// All.
        All = "all",
    }
}

plain_content!(
    AdditionalConnector,
    AdministrativeOperationalState,
    SuperResource,
    Capabilities,
    ConfiguredCapabilities,
    Capability,
    ReadCapability,
    LiveSyncCapability,
    Caching,
    CachingScope,
);

impl Resource {
    pub(crate) fn read(node: &Node, reading: &mut Reading) -> Self {
        Self::read_items(node, reading)
    }

    pub(crate) fn write(&self) -> Node {
        self.write_items(&QName::common("resource"))
    }

    /// The `schema` element, where there is one: the object classes, for connectors that cannot tell them.
    #[must_use]
    pub fn schema(&self) -> Option<&Node> {
        self.rest.iter().find(|node| node.local() == "schema")
    }
}

impl Property {
    /// A property with its values.
    #[must_use]
    pub fn new(name: QName, values: Vec<At<String>>) -> Self {
        let nodes = values.iter().map(|value| value.write(&name)).collect();
        Self {
            place: values.first().map(|value| value.place.clone()).unwrap_or_default(),
            name,
            values,
            constants: Vec::new(),
            nodes,
        }
    }

    /// The first value, where there is one.
    #[must_use]
    pub fn value(&self) -> Option<&At<String>> {
        self.values.first()
    }

    /// The elements themselves, for properties that are structured.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

impl ConnectorConfiguration {
    /// The property of this local name.
    #[must_use]
    pub fn property(&self, local: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name.local() == local)
    }
}

impl PartialEq for ConnectorConfiguration {
    fn eq(&self, other: &Self) -> bool {
        self.container == other.container
            && self.properties == other.properties
            && crate::definition::table::same_rest(&self.rest_attributes, &other.rest_attributes, &self.rest, &other.rest)
    }
}

impl PartialEq for Property {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.values == other.values && self.nodes == other.nodes
    }
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} values)", self.name, self.values.len())
    }
}

impl Content for ConnectorConfiguration {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let mut read = Self { place: node.place.clone(), rest_attributes: node.attributes.clone(), ..Self::default() };
        for child in &node.children {
            if child.local() == "configurationProperties" && read.container.is_none() {
                read.container = Some(child.name.clone());
                read.properties.absorb(child, reading);
            } else {
                read.rest.push(child.clone());
            }
        }
        Some(read)
    }

    fn write(&self, name: &QName) -> Node {
        let mut node = Node::new(name.clone());
        node.attributes.clone_from(&self.rest_attributes);
        let container = self.container.clone().unwrap_or_else(|| QName::new(ns::ICFC, "configurationProperties"));
        if self.container.is_some() || !self.properties.is_empty() {
            self.properties.emit(&container, &mut node.children);
        }
        node.children.extend_from_slice(&self.rest);
        node
    }
}

/// The properties are the children of one container.
impl Item for Vec<Property> {
    fn absorb(&mut self, container: &Node, reading: &mut Reading) {
        for node in &container.children {
            let at = match self.iter().position(|property| property.name == node.name) {
                Some(at) => at,
                None if self.len() >= MAX_ITEMS => {
                    let message = format!("more than {MAX_ITEMS} configuration properties");
                    reading.report(Diagnostic::error("bad-value", &node.place, message).with_help("no connector has so many"));
                    return;
                }
                None => {
                    let property = Property::new(node.name.clone(), Vec::new());
                    self.push(Property { place: node.place.clone(), ..property });
                    self.len() - 1
                }
            };
            read_property(node, &mut self[at], reading);
        }
    }

    fn emit(&self, name: &QName, into: &mut Vec<Node>) {
        let mut container = Node::new(name.clone());
        container.children = self.iter().flat_map(|property| property.nodes.iter().cloned()).collect();
        into.push(container);
    }
}

/// Adds a node's values to its property: a text, a protected string in the clear, or an expression with values or constants.
fn read_property(node: &Node, property: &mut Property, reading: &mut Reading) {
    let at = |leaf: &Node| At { value: leaf.text().to_owned(), place: leaf.place.clone() };
    property.nodes.push(node.clone());
    if node.children.is_empty() {
        property.values.push(at(node));
        return;
    }
    if let Some(clear) = node.child("clearValue") {
        property.values.push(at(clear));
        return;
    }
    let before = property.values.len() + property.constants.len();
    for evaluator in node.children_named("expression").flat_map(|expression| &expression.children) {
        match evaluator.local() {
            "const" if evaluator.children.is_empty() => property.constants.push(at(evaluator)),
            "value" if evaluator.children.is_empty() => property.values.push(at(evaluator)),
            "value" => property.values.extend(evaluator.child("clearValue").map(at)),
            _ => {}
        }
    }
    // The connectors that midPoint itself brings have structured properties.
    if node.name.namespace().is_some_and(|namespace| namespace.contains("/connector/builtin-1/")) {
        return;
    }
    let name = shorten(node.local());
    let (message, help) = if node.child("encryptedData").is_some() {
        (format!("the value of '{name}' is encrypted with a key that is not ours"), "enter the value again, in the clear")
    } else if property.values.len() + property.constants.len() > before {
        match property.constants.last() {
            None => return,
            Some(constant) => {
                let message = format!("'{name}' is to be the constant '{}', and constants are not known here", shorten(constant));
                (message, "write the value itself, or an expression with a value")
            }
        }
    } else {
        (format!("'{name}' has no value that can be understood"), "write a text, a clearValue, or an expression with values")
    };
    reading.report(Diagnostic::warning("not-supported", &node.place, message).with_help(help));
}
