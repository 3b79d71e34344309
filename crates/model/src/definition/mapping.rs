//! Attributes, mappings and expressions.

use crate::definition::correlation::ItemSearch;
use crate::definition::leaf::ItemPathText;
use crate::definition::object_type::EvaluationPhase;
use crate::definition::table::{At, Content, Reading, definition, names, plain_content, same_rest};
use crate::diagnostic::Place;
use crate::document::{Attribute, Node};
use crate::name::{QName, ns};

definition! {
    /// What is said about one attribute of an object type.
    pub struct AttributeItem in [ns::COMMON] {
        items {
            /// The attribute.
            ref_ = "ref": Option<At<ItemPathText>>,
            /// What people call it.
            display_name = "displayName": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// When two of its values are the same.
            matching_rule = "matchingRule": Option<At<QName>>,
            /// Whether values that nobody gave are left alone.
            tolerant = "tolerant": Option<At<bool>>,
            /// Whether shadows keep it.
            cached = "cached": Option<At<bool>>,
            /// Whether it identifies objects besides the primary identifier.
            secondary_identifier = "secondaryIdentifier": Option<At<bool>>,
            /// Owners are found by it.
            correlator = "correlator": Option<AttributeCorrelator>,
            /// What it gives to the focus.
            inbound = "inbound": Vec<Mapping>,
        }
        kept [
            "description", "documentation", "changeApplicationMode", "limitations", "tolerantValuePattern",
            "intolerantValuePattern", "exclusiveStrong", "modificationPriority", "readReplaceMode", "volatilityTrigger",
            "displayNameAttribute", "fetchStrategy", "storageStrategy", "outbound", "displayOrder", "emphasized", "help",
            "matchingRuleQName", "access", "deprecated", "volatility", "processing",
        ]
    }
}

definition! {
    /// Makes an attribute one that owners are found by.
    pub struct AttributeCorrelator in [ns::COMMON] {
        items {
            /// How the item is compared.
            search = "search": Option<ItemSearch>,
            /// The focus item it is compared with, where the inbound mapping does not tell.
            focus_item = "focusItem": Option<At<ItemPathText>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A mapping from a resource object to its focus.
    pub struct Mapping in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// Whether it takes part.
            enabled = "enabled": Option<At<bool>>,
            /// Whether values it no longer gives are removed.
            authoritative = "authoritative": Option<At<bool>>,
            /// How it stands against values that are there.
            strength = "strength": Option<At<Strength>>,
            /// The only channels it takes part in.
            channel = "channel": Vec<At<String>>,
            /// The channels it takes no part in.
            except_channel = "exceptChannel": Vec<At<String>>,
            /// What it reads besides the attribute.
            source = "source": Vec<MappingSource>,
            /// How the value is made; as it is, where this is absent.
            expression = "expression": Option<Expression>,
            /// The focus item it gives to.
            target = "target": Option<MappingTarget>,
            /// An expression that must hold.
            condition = "condition": Option<Node>,
            /// When it is evaluated.
            evaluation_phases = "evaluationPhases": Option<EvaluationPhases>,
            /// What it is evaluated for: a shorter way to say when.
            use_ = "use": Option<At<MappingUse>>,
        }
        kept [
            "documentation", "mappingAlias", "trace", "dependency", "exclusive", "order", "metadataMapping",
            "ignoreMetadataProcessing", "extension",
        ]
        unsupported ["timeFrom", "timeTo"]
    }
}

names! {
    /// How a mapping stands against values that are there already.
    pub enum Strength: "a strength" {
        /// It gives where there is no value.
        Weak = "weak",
        /// It gives when its source changes.
        Normal = "normal",
        /// It always gives.
        Strong = "strong",
    }
}

names! {
    /// What an inbound mapping is evaluated for.
    pub enum MappingUse: "a use of a mapping" {
        /// To fill the focus.
        Synchronization = "synchronization",
        /// To find the owner.
        Correlation = "correlation",
        /// Both.
        All = "all",
    }
}

definition! {
    /// What a mapping reads.
    pub struct MappingSource in [ns::COMMON] {
        items {
            /// The variable it becomes.
            name = "name": Option<At<String>>,
            /// The item.
            path = "path": Option<At<ItemPathText>>,
        }
        kept ["description", "documentation", "set"]
    }
}

definition! {
    /// What a mapping gives to.
    pub struct MappingTarget in [ns::COMMON] {
        items {
            /// The item.
            path = "path": Option<At<ItemPathText>>,
        }
        kept ["description", "documentation", "set", "name"]
    }
}

definition! {
    /// When a mapping is evaluated, besides or except the default.
    pub struct EvaluationPhases in [ns::COMMON] {
        items {
            /// Phases besides the default.
            include = "include": Vec<At<EvaluationPhase>>,
            /// Phases to be left out.
            exclude = "exclude": Vec<At<EvaluationPhase>>,
        }
        kept ["description", "documentation"]
    }
}

/// How a value is made.
///
/// Equality leaves places out.
#[derive(Clone, Debug, Default)]
pub struct Expression {
    /// Where it begins.
    pub place: Place,
    /// What makes the value. None is the same as [`Evaluator::AsIs`].
    pub evaluators: Vec<Evaluator>,
    /// Attributes that are kept as they are.
    pub rest_attributes: Vec<Attribute>,
    /// What is kept as it is: description, variables and the like.
    pub rest: Vec<Node>,
}

/// What makes a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Evaluator {
    /// Takes the source's value.
    AsIs(Node),
    /// Takes the value of an item.
    Path(At<ItemPathText>),
    /// Gives values: one node each.
    Value(Vec<Node>),
    /// Gives a constant of the configuration.
    Const(At<String>),
    /// Runs a script.
    Script(Box<Script>),
    /// Gives nothing, and so removes.
    Null(Node),
    /// Anything else.
    Other {
        /// The element's name.
        name: String,
        /// The element.
        node: Node,
    },
}

definition! {
    /// A script.
    pub struct Script in [ns::COMMON] {
        items {
            /// The language, as URI or by its short name.
            language = "language": Option<At<String>>,
            /// The program.
            code = "code": Option<At<String>>,
        }
        kept [
            "description", "documentation", "returnType", "relativityMode", "includeNullInputs", "condition", "objectVariableMode",
            "valueVariableMode", "allowEmptyValues", "trace",
        ]
    }
}

plain_content!(AttributeItem, AttributeCorrelator, Mapping, MappingSource, MappingTarget, EvaluationPhases, Script);

impl Script {
    /// The program, or an empty one.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_ref().map_or("", |code| code.as_str())
    }
}

impl Expression {
    /// What is beside the evaluators in an expression.
    const KEPT: &'static [&'static str] = &[
        "description",
        "documentation",
        "trace",
        "variable",
        "allowEmptyValues",
        "returnMultiplicity",
        "queryInterpretationOfNoValue",
        "extension",
        "runAsRef",
        "privileges",
        "allowEmptyValues",
        "name",
        "parameter",
    ];
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.evaluators == other.evaluators && same_rest(&self.rest_attributes, &other.rest_attributes, &self.rest, &other.rest)
    }
}

impl Content for Expression {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let mut read = Self { place: node.place.clone(), rest_attributes: node.attributes.clone(), ..Self::default() };
        for child in &node.children {
            let evaluator = match child.local() {
                local if Self::KEPT.contains(&local) => {
                    read.rest.push(child.clone());
                    continue;
                }
                "asIs" => Evaluator::AsIs(child.clone()),
                "null" => Evaluator::Null(child.clone()),
                "path" => match At::<ItemPathText>::read(child, reading) {
                    Some(path) => Evaluator::Path(path),
                    None => continue,
                },
                "const" if child.children.is_empty() => {
                    Evaluator::Const(At { value: child.text().to_owned(), place: child.place.clone() })
                }
                "script" => match Script::read(child, reading) {
                    Some(script) => Evaluator::Script(Box::new(script)),
                    None => continue,
                },
                "value" => {
                    let earlier = read.evaluators.iter_mut().find_map(|e| match e {
                        Evaluator::Value(values) => Some(values),
                        _ => None,
                    });
                    match earlier {
                        Some(values) => {
                            values.push(child.clone());
                            continue;
                        }
                        None => Evaluator::Value(vec![child.clone()]),
                    }
                }
                local => Evaluator::Other { name: local.to_owned(), node: child.clone() },
            };
            read.evaluators.push(evaluator);
        }
        Some(read)
    }

    fn write(&self, name: &QName) -> Node {
        let mut node = Node::new(name.clone());
        node.attributes.clone_from(&self.rest_attributes);
        for evaluator in &self.evaluators {
            match evaluator {
                Evaluator::AsIs(kept) | Evaluator::Null(kept) | Evaluator::Other { node: kept, .. } => {
                    node.children.push(kept.clone());
                }
                Evaluator::Path(path) => node.children.push(path.write(&QName::common("path"))),
                Evaluator::Value(values) => node.children.extend_from_slice(values),
                Evaluator::Const(name) => node.children.push(name.write(&QName::common("const"))),
                Evaluator::Script(script) => node.children.push(Content::write(&**script, &QName::common("script"))),
            }
        }
        node.children.extend_from_slice(&self.rest);
        node
    }
}
