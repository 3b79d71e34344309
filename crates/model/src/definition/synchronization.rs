//! What happens in which situation.

use crate::definition::common::ObjectRef;
use crate::definition::nearest::nearest;
use crate::definition::table::{At, Item, Reading, definition, names, plain_content, shorten};
use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::name::{QName, ns};
use crate::object::Situation;

definition! {
    /// What happens to the objects of a type. Its presence switches synchronization on.
    pub struct Synchronization in [ns::COMMON] {
        items {
            /// The reactions, of which at most one is chosen.
            reaction = "reaction": Vec<Reaction>,
            /// Options of all actions that do not say otherwise.
            default_settings = "defaultSettings": Option<DefaultSettings>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// Options of actions.
    pub struct DefaultSettings in [ns::COMMON] {
        items {
            /// Whether the focus is compared as a whole.
            reconcile = "reconcile": Option<At<bool>>,
        }
        kept ["description", "documentation", "reconcileAll", "limitPropagation", "opportunistic", "executeOptions"]
        unsupported ["objectTemplateRef"]
    }
}

definition! {
    /// What happens in a situation.
    pub struct Reaction in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// Small ones first, none last.
            order = "order": Option<At<i64>>,
            /// The situations; none means every.
            situation = "situation": Vec<At<Situation>>,
            /// The only channels it is for.
            channel = "channel": Vec<At<String>>,
            /// An expression that must hold.
            condition = "condition": Option<Node>,
            /// What is done.
            actions = "actions": Vec<Action>,
        }
        kept ["displayName", "description", "documentation", "legacySynchronizationOff"]
    }
}

definition! {
    /// One thing that is done.
    pub struct Action in [ns::COMMON] {
        extra {
            /// What: the element's name.
            kind: ActionKind,
        }
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// Small ones first, none last.
            order = "order": Option<At<i64>>,
            /// Whether the focus is compared as a whole.
            reconcile = "reconcile": Option<At<bool>>,
            /// The template that shapes the focus.
            object_template_ref = "objectTemplateRef": Option<ObjectRef>,
        }
        kept [
            "displayName", "description", "documentation", "reconcileAll", "limitPropagation", "executeOptions", "synchronize",
            "lifecycleState", "channel",
        ]
        unsupported ["objectTemplateRef"]
    }
}

names! {
    /// What an action does.
    pub enum ActionKind: "an action" {
        /// Brings focus and object in step.
        Synchronize = "synchronize",
        /// Makes the focus that was found the owner.
        Link = "link",
        /// Parts them.
        Unlink = "unlink",
        /// Makes a new focus.
        AddFocus = "addFocus",
        /// Deletes the owner.
        DeleteFocus = "deleteFocus",
        /// Disables the owner.
        InactivateFocus = "inactivateFocus",
        /// Deletes the object.
        DeleteResourceObject = "deleteResourceObject",
        /// Disables the object.
        InactivateResourceObject = "inactivateResourceObject",
        /// Asks somebody who the owner is.
        CreateCorrelationCase = "createCorrelationCase",
    }
}

plain_content!(Synchronization, DefaultSettings, Reaction);

impl Default for ActionKind {
    /// What most actions are.
    fn default() -> Self {
        Self::Synchronize
    }
}

/// The actions are the children of one container, each named after what it does.
impl Item for Vec<Action> {
    fn absorb(&mut self, container: &Node, reading: &mut Reading) {
        for node in &container.children {
            match ActionKind::from_name(node.local()) {
                Some(kind) => self.push(Action { kind, ..Action::read_items(node, reading) }),
                None if matches!(node.local(), "description" | "documentation") => {}
                None => reading.report(unknown_action(node)),
            }
        }
    }

    fn emit(&self, name: &QName, into: &mut Vec<Node>) {
        if self.is_empty() {
            return;
        }
        let mut container = Node::new(name.clone());
        container.children = self.iter().map(|action| action.write_items(&Action::TABLE.name(action.kind.as_str()))).collect();
        into.push(container);
    }
}

/// Names from older definitions, or from documentation, and what they are called now.
const FORMER_ACTIONS: &[(&str, &str)] = &[
    ("addUser", "addFocus"),
    ("modifyUser", "synchronize"),
    ("deleteUser", "deleteFocus"),
    ("disableUser", "inactivateFocus"),
    ("linkAccount", "link"),
    ("unlinkAccount", "unlink"),
    ("deleteAccount", "deleteResourceObject"),
    ("disableAccount", "inactivateResourceObject"),
    ("deleteShadow", "deleteResourceObject"),
    ("inactivateShadow", "inactivateResourceObject"),
];

fn unknown_action(node: &Node) -> Diagnostic {
    let names = || ActionKind::ALL.iter().map(|kind| kind.as_str());
    let former = FORMER_ACTIONS.iter().find(|(former, _)| *former == node.local()).map(|(_, now)| *now);
    let help = match former.or_else(|| nearest(node.local(), names())) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("actions are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::error("unknown-action", &node.place, format!("'{}' is not an action", shorten(node.local()))).with_help(help)
}
