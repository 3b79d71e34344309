//! What is done about a situation.

use tidelock_model::Place;
use tidelock_model::object::Situation;

use crate::channel::Channel;

/// What a type's definition says about synchronizing its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct SynchronizationPolicy {
    /// Where it is defined.
    pub place: Place,
    /// Whether its lifecycle state, and its resource's, make it effective.
    pub visible: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// The reactions that are in force, in the order in which they are asked.
    pub reactions: Vec<Reaction>,
}

/// What to do in some situations.
#[derive(Clone, Debug, PartialEq)]
pub struct Reaction {
    /// What its author calls it.
    pub name: Option<Box<str>>,
    /// Where it is defined.
    pub place: Place,
    /// The situations that it is for; empty for all.
    pub situations: Vec<Situation>,
    /// The channels that it is for; none for all. Those that we do not know are left out, so an empty list is no channel.
    pub channels: Option<Vec<Channel>>,
    /// What to do, in order.
    pub actions: Vec<Action>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What.
    pub kind: ActionKind,
    /// Where it is defined.
    pub place: Place,
}

pub use tidelock_model::definition::ActionKind;

/// The one reaction to a situation of an object that came by a channel; none if nothing is to be done.
///
/// The first reaction that names the channel is taken; failing that, the last one that names none.
#[must_use]
pub fn react(policy: &SynchronizationPolicy, situation: Situation, channel: Channel) -> Option<&Reaction> {
    let mut remembered = None;
    for reaction in &policy.reactions {
        if !reaction.situations.is_empty() && !reaction.situations.contains(&situation) {
            continue;
        }
        match &reaction.channels {
            Some(channels) if channels.contains(&channel) => return Some(reaction),
            Some(_) => {}
            None => remembered = Some(reaction),
        }
    }
    remembered
}
