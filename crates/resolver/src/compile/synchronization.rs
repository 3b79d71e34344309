//! What is done about the objects of a type: reactions, in their present and in their legacy form.

use tidelock_model::definition::{
    self, ActionKind, LegacyAction, LegacyReaction, ObjectSynchronization, ObjectTypeDefinition, nearest,
};
use tidelock_model::object::Situation;
use tidelock_model::{Diagnostic, Diagnostics};

use crate::compile::correlation::last_if_none;
use crate::compile::names;
use crate::reaction::{Action, Reaction, SynchronizationPolicy};

/// The policy of a type: its own, else that of a legacy definition; none if there is neither.
pub(super) fn compile(
    type_: &ObjectTypeDefinition,
    legacy: Option<&ObjectSynchronization>,
    visible: bool,
    diagnostics: &mut Diagnostics,
) -> Option<SynchronizationPolicy> {
    let own = type_.synchronization.as_ref();
    if let Some(condition) = legacy.and_then(|legacy| legacy.condition.as_ref()) {
        diagnostics.push(names::refused(
            "a classification condition",
            &condition.place,
            "say the same with a 'filter' in the type's 'delineation'",
        ));
    }
    let (place, visible, enabled) = match (own, legacy) {
        (Some(own), _) => (&own.place, visible && names::is_visible(own.lifecycle_state.as_ref()), true),
        (None, Some(legacy)) => (&legacy.place, visible, legacy.enabled.as_ref().is_none_or(|enabled| enabled.value)),
        (None, None) => {
            diagnostics.push(
                Diagnostic::info(
                    "no-synchronization",
                    &type_.place,
                    format!("{} has no 'synchronization': its objects are passed over", type_.type_id()),
                )
                .with_help("add 'synchronization' with reactions if they should not be"),
            );
            return None;
        }
    };
    let mut ordered = match own.map(|own| &own.reaction).filter(|reactions| !reactions.is_empty()) {
        Some(reactions) => {
            if let Some(reaction) = legacy.and_then(|legacy| legacy.reaction.first()) {
                diagnostics.push(
                    Diagnostic::warning(
                        "ignored-item",
                        &reaction.place,
                        format!("the reactions here are ignored, as {} has its own", type_.type_id()),
                    )
                    .with_help("remove this 'objectSynchronization'"),
                );
            }
            let in_force = reactions.iter().filter(|reaction| names::is_visible(reaction.lifecycle_state.as_ref()));
            in_force.map(|reaction| (order(reaction.order.as_ref()), present(reaction, diagnostics))).collect::<Vec<_>>()
        }
        None => legacy
            .iter()
            .flat_map(|legacy| &legacy.reaction)
            .map(|reaction| (order(reaction.order.as_ref()), former(reaction, diagnostics)))
            .collect(),
    };
    ordered.sort_by(|(a, _), (b, _)| last_if_none(*a, *b));
    let reactions: Vec<Reaction> = ordered.into_iter().map(|(_, reaction)| reaction).collect();
    warn_of_overridden(&reactions, diagnostics);
    Some(SynchronizationPolicy { place: place.clone(), visible, enabled, reactions })
}

fn order(order: Option<&definition::At<i64>>) -> Option<i64> {
    order.map(|order| order.value)
}

fn present(reaction: &definition::Reaction, diagnostics: &mut Diagnostics) -> Reaction {
    if let Some(condition) = &reaction.condition {
        diagnostics.push(refused_condition(condition));
    }
    let mut actions: Vec<_> = reaction.actions.iter().collect();
    actions.sort_by(|a, b| last_if_none(order(a.order.as_ref()), order(b.order.as_ref())));
    Reaction {
        name: reaction.name.as_ref().map(|name| name.value.as_str().into()),
        place: reaction.place.clone(),
        situations: reaction.situation.iter().map(|situation| situation.value).collect(),
        channels: (!reaction.channel.is_empty()).then(|| names::channels(&reaction.channel, diagnostics)),
        actions: actions.into_iter().map(|action| Action { kind: action.kind, place: action.place.clone() }).collect(),
    }
}

fn former(reaction: &LegacyReaction, diagnostics: &mut Diagnostics) -> Reaction {
    if let Some(condition) = &reaction.condition {
        diagnostics.push(refused_condition(condition));
    }
    let mut actions = Vec::new();
    if reaction.synchronize.as_ref().is_none_or(|flag| flag.value) {
        for action in &reaction.action {
            match former_action(action) {
                Ok(kind) => actions.push(Action { kind, place: action.place.clone() }),
                Err(error) => diagnostics.push(error),
            }
        }
        if actions.is_empty() && reaction.action.is_empty() && reaction.synchronize.is_some() {
            actions.push(Action { kind: ActionKind::Synchronize, place: reaction.place.clone() });
        }
    }
    Reaction {
        name: reaction.name.as_ref().map(|name| name.value.as_str().into()),
        place: reaction.place.clone(),
        situations: reaction.situation.iter().map(|situation| situation.value).collect(),
        channels: (!reaction.channel.is_empty()).then(|| names::channels(&reaction.channel, diagnostics)),
        actions,
    }
}

/// The actions of former days, by the last part of their URIs.
const FORMER_ACTIONS: [(&str, ActionKind); 16] = [
    ("synchronize", ActionKind::Synchronize),
    ("modifyUser", ActionKind::Synchronize),
    ("link", ActionKind::Link),
    ("linkAccount", ActionKind::Link),
    ("unlink", ActionKind::Unlink),
    ("unlinkAccount", ActionKind::Unlink),
    ("addFocus", ActionKind::AddFocus),
    ("addUser", ActionKind::AddFocus),
    ("deleteFocus", ActionKind::DeleteFocus),
    ("deleteUser", ActionKind::DeleteFocus),
    ("inactivateFocus", ActionKind::InactivateFocus),
    ("disableUser", ActionKind::InactivateFocus),
    ("deleteShadow", ActionKind::DeleteResourceObject),
    ("deleteAccount", ActionKind::DeleteResourceObject),
    ("inactivateShadow", ActionKind::InactivateResourceObject),
    ("disableAccount", ActionKind::InactivateResourceObject),
];

fn former_action(action: &LegacyAction) -> Result<ActionKind, Diagnostic> {
    let Some(uri) = action.uri() else {
        return Err(Diagnostic::error("unknown-action", &action.place, "the action does not say what is to be done")
            .with_help("add 'handlerUri', such as http://midpoint.evolveum.com/xml/ns/public/model/action-3#link"));
    };
    let fragment = uri.trim().rsplit('#').next().unwrap_or_default();
    FORMER_ACTIONS.iter().find(|(name, _)| *name == fragment).map(|(_, kind)| *kind).ok_or_else(|| {
        let shown: String = fragment.chars().take(40).collect();
        let error = Diagnostic::error("unknown-action", &uri.place, format!("'{shown}' is not an action"));
        match nearest(fragment, FORMER_ACTIONS.map(|(name, _)| name)) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help(format!("actions are {}", FORMER_ACTIONS.map(|(name, _)| name).join(", "))),
        }
    })
}

fn refused_condition(condition: &tidelock_model::document::Node) -> Diagnostic {
    names::refused("the condition of a reaction", &condition.place, "remove the condition, or the reaction")
}

/// Of reactions that name no channel the last one is taken: earlier ones for the same situation are there in vain.
fn warn_of_overridden(reactions: &[Reaction], diagnostics: &mut Diagnostics) {
    let covers =
        |reaction: &Reaction, situation: &Situation| reaction.situations.is_empty() || reaction.situations.contains(situation);
    for (index, reaction) in reactions.iter().enumerate().filter(|(_, reaction)| reaction.channels.is_none()) {
        let later = || reactions.iter().skip(index + 1).filter(|later| later.channels.is_none());
        for situation in Situation::ALL.iter().filter(|situation| covers(reaction, situation)) {
            if let Some(winner) = later().rfind(|later| covers(later, situation)) {
                diagnostics.push(
                    Diagnostic::warning(
                        "overridden-reaction",
                        &reaction.place,
                        format!(
                            "in the situation '{situation}' the reaction in line {} is taken instead of this one",
                            winner.place.line
                        ),
                    )
                    .with_help("leave one reaction for the situation, or limit one to a channel"),
                );
            }
        }
    }
}
