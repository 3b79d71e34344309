//! `schemaHandling`: object types and where they begin and end.

use crate::definition::common::{FilterSource, ObjectRef};
use crate::definition::correlation::Correlation;
use crate::definition::leaf::ItemPathText;
use crate::definition::mapping::{AttributeItem, Mapping};
use crate::definition::resource::{Caching, ConfiguredCapabilities};
use crate::definition::synchronization::Synchronization;
use crate::definition::table::{At, definition, names, plain_content};
use crate::document::Node;
use crate::name::{QName, ns};
use crate::object::{Intent, Kind, TypeId};

definition! {
    /// What is said about a resource's object classes and types.
    pub struct SchemaHandling in [ns::COMMON] {
        items {
            /// What holds for whole object classes. Kind and intent are absent there.
            object_class = "objectClass": Vec<ObjectTypeDefinition>,
            /// The object types.
            object_type = "objectType": Vec<ObjectTypeDefinition>,
        }
        kept ["description", "documentation", "complexAttributeType", "lifecycleState"]
        unsupported ["associationType"]
    }
}

definition! {
    /// An object type: which objects belong to it, and what happens to them.
    pub struct ObjectTypeDefinition in [ns::COMMON] {
        items {
            /// The kind; `account` where it is absent.
            kind = "kind": Option<At<Kind>>,
            /// The intent; `default` where it is absent.
            intent = "intent": Option<At<Intent>>,
            /// What people call it.
            display_name = "displayName": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// Whether other types only inherit from it.
            abstract_ = "abstract": Option<At<bool>>,
            /// The type it inherits from.
            super_ = "super": Option<SuperType>,
            /// Whether it is the default both for its kind and for its class.
            default = "default": Option<At<bool>>,
            /// Whether it is the type of tasks that name its kind alone.
            default_for_kind = "defaultForKind": Option<At<bool>>,
            /// Whether it is the type of tasks that name its class alone.
            default_for_object_class = "defaultForObjectClass": Option<At<bool>>,
            /// The object class, at its older place.
            object_class = "objectClass" | "ref": Option<At<QName>>,
            /// The auxiliary object classes, at their older place.
            auxiliary_object_class = "auxiliaryObjectClass": Vec<At<QName>>,
            /// Which objects belong to it.
            delineation = "delineation": Option<Delineation>,
            /// Where its objects are, at its older place.
            base_context = "baseContext": Option<BaseContext>,
            /// How deep below that, at its older place.
            search_hierarchy_scope = "searchHierarchyScope": Option<At<SearchHierarchyScope>>,
            /// What its objects belong to.
            focus = "focus": Option<FocusSpecification>,
            /// What is said about single attributes.
            attribute = "attribute": Vec<AttributeItem>,
            /// Activation, of which the inbound mappings matter here.
            activation = "activation": Option<Activation>,
            /// How owners are found.
            correlation = "correlation": Option<Correlation>,
            /// What happens in which situation.
            synchronization = "synchronization": Option<Synchronization>,
            /// When inbound mappings are evaluated unless they say otherwise.
            mappings_evaluation = "mappingsEvaluation": Option<MappingsEvaluation>,
            /// What shadows keep of its objects.
            caching = "caching": Option<Caching>,
            /// Capabilities that differ from the resource's.
            configured_capabilities = "configuredCapabilities": Option<ConfiguredCapabilities>,
            /// Patterns of objects that nobody may touch, at their older place. One match suffices.
            protected = "protected": Vec<ObjectPattern>,
            /// Marks that objects get by patterns.
            marking = "marking": Vec<Marking>,
        }
        kept [
            "documentation", "dependency", "iteration", "credentials", "behavior", "lifecycle", "securityPolicyRef", "volatility",
            "projection", "provenance", "defaultOperationPolicy", "policySituation", "assignmentPolicy", "displayOrder",
            "limitations", "namingAttribute", "identifier", "secondaryIdentifier", "descriptionAttribute", "displayNameAttribute",
        ]
        unsupported ["auxiliaryObjectClassMappings", "multiplicity", "association"]
    }
}

definition! {
    /// The type that another inherits from.
    pub struct SuperType in [ns::COMMON] {
        items {
            /// Its kind.
            kind = "kind": Option<At<Kind>>,
            /// Its intent.
            intent = "intent": Option<At<Intent>>,
        }
        kept ["description", "documentation", "resourceRef", "objectClassName"]
    }
}

definition! {
    /// Which objects belong to a type.
    pub struct Delineation in [ns::COMMON] {
        items {
            /// Their object class.
            object_class = "objectClass": Option<At<QName>>,
            /// Their auxiliary classes, which do not decide whether an object belongs to the type.
            auxiliary_object_class = "auxiliaryObjectClass": Vec<At<QName>>,
            /// Where they are.
            base_context = "baseContext": Option<BaseContext>,
            /// How deep below that.
            search_hierarchy_scope = "searchHierarchyScope": Option<At<SearchHierarchyScope>>,
            /// What holds for them: every one of these.
            filter = "filter": Vec<FilterSource>,
            /// An expression that holds for them.
            classification_condition = "classificationCondition": Option<Node>,
            /// Types with an order are tried first, small ones before large ones.
            classification_order = "classificationOrder": Option<At<i64>>,
            /// Whether their place matters when they are classified.
            base_context_classification_use = "baseContextClassificationUse": Option<At<BaseContextUse>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// Where the objects of a type are: below an object that a filter finds.
    pub struct BaseContext in [ns::COMMON] {
        items {
            /// That object's class.
            object_class = "objectClass": Option<At<QName>>,
            /// The filter that finds it.
            filter = "filter": Option<FilterSource>,
            /// Its shadow, instead of class and filter.
            shadow_ref = "shadowRef": Option<ObjectRef>,
        }
        kept ["description", "documentation", "resolutionStrategy", "resolutionFrequency"]
    }
}

names! {
    /// How deep a search goes.
    pub enum SearchHierarchyScope: "a search scope" {
        /// All levels below.
        Sub = "sub",
        /// One level below.
        One = "one",
    }
}

names! {
    /// What an object's place means for its classification.
    pub enum BaseContextUse: "a use of the base context" {
        /// It must be below the base context, provably.
        Required = "required",
        /// It must be below it, where that can be told.
        IfApplicable = "ifApplicable",
        /// Nothing.
        Ignored = "ignored",
    }
}

definition! {
    /// What the objects of a type belong to.
    pub struct FocusSpecification in [ns::COMMON] {
        items {
            /// The type of focus; `UserType` where it is absent.
            type_ = "type": Option<At<QName>>,
            /// The archetype that the focus gets.
            archetype_ref = "archetypeRef": Option<ObjectRef>,
        }
        kept ["description", "documentation", "assignmentSubtype"]
    }
}

definition! {
    /// The activation of a type's objects.
    pub struct Activation in [ns::COMMON] {
        items {
            /// Whether they are enabled.
            administrative_status = "administrativeStatus": Option<BidirectionalMapping>,
            /// From when they are valid.
            valid_from = "validFrom": Option<BidirectionalMapping>,
            /// Until when they are valid.
            valid_to = "validTo": Option<BidirectionalMapping>,
            /// Whether they are locked.
            lockout_status = "lockoutStatus": Option<BidirectionalMapping>,
            /// Whether they exist.
            existence = "existence": Option<BidirectionalMapping>,
        }
        kept ["disableInsteadOfDelete", "delayedDelete", "preProvision", "description", "documentation"]
    }
}

definition! {
    /// Mappings in both directions, of which only the inbound ones are used here.
    pub struct BidirectionalMapping in [ns::COMMON] {
        items {
            /// The inbound mappings.
            inbound = "inbound": Vec<Mapping>,
        }
        kept ["outbound", "fetchStrategy", "description", "documentation", "lifecycleState"]
    }
}

definition! {
    /// When mappings are evaluated unless they say otherwise.
    pub struct MappingsEvaluation in [ns::COMMON] {
        items {
            /// Inbound mappings.
            inbound = "inbound": Option<InboundMappingsEvaluation>,
        }
        kept ["description", "documentation", "outbound"]
    }
}

definition! {
    /// When inbound mappings are evaluated unless they say otherwise.
    pub struct InboundMappingsEvaluation in [ns::COMMON] {
        items {
            /// The phases.
            default_evaluation_phases = "defaultEvaluationPhases": Option<DefaultEvaluationPhases>,
        }
        kept ["description", "documentation", "enabled"]
    }
}

definition! {
    /// Phases of evaluation.
    pub struct DefaultEvaluationPhases in [ns::COMMON] {
        items {
            /// The phases.
            phase = "phase": Vec<At<EvaluationPhase>>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// When an inbound mapping is evaluated.
    pub enum EvaluationPhase: "an evaluation phase" {
        /// With the reaction.
        Clockwork = "clockwork",
        /// Before an owner is sought, to have something to seek by.
        BeforeCorrelation = "beforeCorrelation",
    }
}

definition! {
    /// A pattern of objects.
    pub struct ObjectPattern in [ns::COMMON] {
        items {
            /// What holds for them.
            filter = "filter": Option<FilterSource>,
            /// Their name, in definitions from long ago.
            name = "name": Option<At<String>>,
            /// Their identifier, in definitions from long ago.
            uid = "uid": Option<At<String>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A mark that objects get by patterns.
    pub struct Marking in [ns::COMMON] {
        items {
            /// The mark.
            mark_ref = "markRef": Option<ObjectRef>,
            /// Whether the mark follows the pattern all the time, or is given once.
            application_time = "applicationTime": Option<At<MarkApplication>>,
            /// The patterns. One match suffices.
            pattern = "pattern": Vec<ObjectPattern>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// When a mark is given by its pattern.
    pub enum MarkApplication: "an application time" {
        /// Whenever it matters.
        Always = "always",
        /// When the object is classified.
        Classification = "classification",
    }
}

plain_content!(
    SchemaHandling,
    ObjectTypeDefinition,
    SuperType,
    Delineation,
    BaseContext,
    FocusSpecification,
    Activation,
    BidirectionalMapping,
    MappingsEvaluation,
    InboundMappingsEvaluation,
    DefaultEvaluationPhases,
    ObjectPattern,
    Marking,
);

impl ObjectTypeDefinition {
    /// The type's name: kind and intent, `account` and `default` where they are absent.
    #[must_use]
    pub fn type_id(&self) -> TypeId {
        TypeId {
            kind: self.kind.as_ref().map_or(Kind::Account, |kind| kind.value),
            intent: self.intent.as_ref().map_or_else(Intent::default_intent, |intent| intent.value.clone()),
        }
    }

    /// What its correlators refer to: the attributes' items with this path.
    #[must_use]
    pub fn attribute_with(&self, path: &ItemPathText) -> Option<&AttributeItem> {
        self.attribute.iter().find(|item| item.ref_.as_ref().is_some_and(|r| r.value == *path))
    }
}
