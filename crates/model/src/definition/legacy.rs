//! `synchronization` at the resource: the form that object types' own synchronization has replaced.

use crate::definition::common::FilterSource;
use crate::definition::table::{At, definition, plain_content};
use crate::document::Node;
use crate::name::{QName, ns};
use crate::object::{Intent, Kind, Situation};

definition! {
    /// Synchronization settings at the resource, one for each object type.
    pub struct LegacySynchronization in [ns::COMMON] {
        items {
            /// The settings.
            object_synchronization = "objectSynchronization": Vec<ObjectSynchronization>,
            /// An expression that classifies objects before all else.
            object_synchronization_sorter = "objectSynchronizationSorter": Option<Node>,
        }
        kept ["description", "documentation"]
        unsupported ["objectSynchronizationSorter"]
    }
}

definition! {
    /// The synchronization settings of one object type.
    pub struct ObjectSynchronization in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// The object classes.
            object_class = "objectClass": Vec<At<QName>>,
            /// The kind; `account` where it is absent.
            kind = "kind": Option<At<Kind>>,
            /// The intent; `default` where it is absent.
            intent = "intent": Option<At<Intent>>,
            /// The type of focus; `UserType` where it is absent.
            focus_type = "focusType": Option<At<QName>>,
            /// Whether it takes part; it does where this is absent.
            enabled = "enabled": Option<At<bool>>,
            /// An expression that classifies objects.
            condition = "condition": Option<Node>,
            /// Filters that find the owner; one suffices.
            correlation = "correlation": Vec<FilterSource>,
            /// An expression that confirms an owner.
            confirmation = "confirmation": Option<Node>,
            /// Whether the focus is compared as a whole.
            reconcile = "reconcile": Option<At<bool>>,
            /// The reactions, of which at most one is chosen.
            reaction = "reaction": Vec<LegacyReaction>,
        }
        kept ["description", "documentation", "opportunistic", "limitPropagation", "correlationDefinition"]
        unsupported ["objectTemplateRef", "synchronizationSorter"]
    }
}

definition! {
    /// What happens in a situation.
    pub struct LegacyReaction in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// Small ones first, none last.
            order = "order": Option<At<i64>>,
            /// The situation.
            situation = "situation": Vec<At<Situation>>,
            /// The only channels it is for.
            channel = "channel": Vec<At<String>>,
            /// An expression that must hold.
            condition = "condition": Option<Node>,
            /// Whether focus and object are brought in step.
            synchronize = "synchronize": Option<At<bool>>,
            /// Whether the focus is compared as a whole.
            reconcile = "reconcile": Option<At<bool>>,
            /// What is done.
            action = "action": Vec<LegacyAction>,
        }
        kept ["description", "documentation", "limitPropagation", "legacySynchronizationOff"]
        unsupported ["objectTemplateRef"]
    }
}

definition! {
    /// One thing that is done, named by a URI.
    pub struct LegacyAction in [ns::COMMON] {
        attributes {
            /// The URI, in definitions from long ago.
            ref_ = "ref": Option<At<String>>,
        }
        items {
            /// The URI.
            handler_uri = "handlerUri": Option<At<String>>,
            /// Before or after the focus is brought in step.
            order = "order": Option<At<String>>,
        }
        kept ["name", "description", "documentation", "parameters"]
    }
}

plain_content!(LegacySynchronization, ObjectSynchronization, LegacyReaction, LegacyAction);

impl LegacyAction {
    /// The URI that says what is done, wherever it stands.
    #[must_use]
    pub fn uri(&self) -> Option<&At<String>> {
        self.handler_uri.as_ref().or(self.ref_.as_ref())
    }
}
