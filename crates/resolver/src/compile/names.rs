//! Reading the small texts of definitions: lifecycle states, channels, matching rules, paths.

use std::sync::Arc;

use tidelock_model::definition::{At, ItemPathText, nearest};
use tidelock_model::filter::{ItemPath, PathStep};
use tidelock_model::object::{AttributeDefinition, FocusType, MatchingRule, ObjectClass, Schema};
use tidelock_model::{Diagnostic, Diagnostics, Place, QName};

use crate::channel::{Channel, ChannelLimit};
use crate::focus_items::{self, Target};

/// Whether production sees what has this lifecycle state.
pub(super) fn is_visible(lifecycle: Option<&At<String>>) -> bool {
    lifecycle.is_none_or(|state| matches!(state.trim(), "" | "active" | "deprecated"))
}

pub(super) fn channel_limit(only: &[At<String>], except: &[At<String>], diagnostics: &mut Diagnostics) -> ChannelLimit {
    let known = channels(only, diagnostics);
    let unknown_only = known.is_empty() && !only.is_empty();
    ChannelLimit { only: known, except: channels(except, diagnostics), unknown_only }
}

/// The channels that we know; a warning for others.
pub(super) fn channels(uris: &[At<String>], diagnostics: &mut Diagnostics) -> Vec<Channel> {
    let mut channels = Vec::with_capacity(uris.len());
    for uri in uris {
        match Channel::from_uri(uri) {
            Some(channel) => channels.push(channel),
            None => {
                let fragment = uri.rsplit(['#', '/']).next().unwrap_or_default();
                let warning = Diagnostic::warning("unknown-channel", &uri.place, "no change comes by this channel".to_owned());
                diagnostics.push(match nearest(fragment, Channel::ALL.map(Channel::as_str)) {
                    Some(near) => warning.with_help(format!("did you mean '{}'?", near)),
                    None => warning.with_help(format!("channels are {}", Channel::ALL.map(Channel::as_str).join(", "))),
                });
            }
        }
    }
    channels
}

pub(super) fn matching_rule(name: &At<QName>) -> Result<MatchingRule, Diagnostic> {
    MatchingRule::from_name(name.local()).ok_or_else(|| {
        Diagnostic::error("not-supported", &name.place, format!("the matching rule '{}' is not supported", name.local()))
            .with_help("use default, stringIgnoreCase, distinguishedName, uuid or one of the polyString rules")
    })
}

pub(crate) fn path(text: &At<ItemPathText>) -> Result<ItemPath, Diagnostic> {
    ItemPath::parse_in(&text.text, &text.scope).map_err(|error| {
        Diagnostic::error("bad-value", &text.place, format!("this is no item path: {error}"))
            .with_help("write names joined by slashes, such as attributes/ri:uid or $focus/givenName")
    })
}

/// The path of an item of the focus: `$focus/givenName`, or `givenName` alone.
pub(super) fn focus_path(text: &At<ItemPathText>) -> Result<Box<[Arc<str>]>, Diagnostic> {
    let path = path(text)?;
    if let Some(variable) = &path.variable
        && !matches!(variable.local(), "focus" | "user" | "immutable")
    {
        return Err(Diagnostic::error(
            "bad-value",
            &text.place,
            format!("'${}' is not the focus, and an item of the focus is needed here", variable.local()),
        )
        .with_help("write $focus/… or the name of the item alone"));
    }
    match path.keys() {
        Some(keys) if !keys.is_empty() => Ok(keys),
        _ => Err(Diagnostic::error("not-supported", &text.place, "only plain names can be used in this path")
            .with_help("write names joined by slashes, such as $focus/activation/administrativeStatus")),
    }
}

/// What an item of the focus is; a warning if midPoint's schema has no such item.
pub(super) fn focus_item(focus_type: FocusType, keys: &[Arc<str>], place: &Place, diagnostics: &mut Diagnostics) -> Target {
    let target = focus_items::target(focus_type, keys);
    if target == Target::Unknown {
        let last = keys.last().map(|key| &**key).unwrap_or_default();
        let warning = Diagnostic::warning("unknown-item", place, format!("{focus_type} has no item '{}'", keys.join("/")));
        diagnostics.push(match nearest(last, focus_items::known_names(focus_type, keys)) {
            Some(near) => warning.with_help(format!("did you mean '{near}'?")),
            None => warning.with_help("put items of your own into the extension: $focus/extension/…"),
        });
    }
    target
}

/// The attribute that a path means: `attributes/ri:uid`, `$projection/attributes/ri:uid` or `ri:uid` alone.
pub(crate) fn attribute_name(path: &ItemPath) -> Option<&QName> {
    let object = path.variable.as_ref().is_none_or(|v| matches!(v.local(), "projection" | "account" | "shadow" | "source"));
    match path.steps.as_slice() {
        [PathStep::Name(name)] if path.variable.is_none() => Some(name),
        [PathStep::Name(container), PathStep::Name(name)] if object && container.local() == "attributes" => Some(name),
        _ => None,
    }
}

pub(crate) fn attribute<'a>(class: &'a ObjectClass, name: &QName, place: &Place) -> Result<&'a AttributeDefinition, Diagnostic> {
    class.attribute_named(name).ok_or_else(|| {
        let error =
            Diagnostic::error("unknown-attribute", place, format!("the object class '{}' has no attribute '{name}'", class.name));
        let known = || class.attributes.iter().map(|attribute| &*attribute.name);
        match nearest(name.local(), known()) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help(format!("its attributes are {}", known().take(20).collect::<Vec<_>>().join(", "))),
        }
    })
}

pub(crate) fn class<'a>(schema: &'a Schema, name: &At<QName>) -> Result<&'a Arc<ObjectClass>, Diagnostic> {
    schema.class_named(name).ok_or_else(|| {
        let error =
            Diagnostic::error("unknown-object-class", &name.place, format!("the resource has no object class '{}'", name.value));
        let known = || schema.classes.iter().map(|class| &*class.name);
        match nearest(name.local(), known()) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help(format!("its object classes are {}", known().take(20).collect::<Vec<_>>().join(", "))),
        }
    })
}

pub(super) fn focus_type(name: &At<QName>) -> Result<FocusType, Diagnostic> {
    name.local().parse().map_err(|error: tidelock_model::object::focus::NotAFocusType| {
        let known = FocusType::ALL.map(FocusType::type_name);
        let diagnostic = Diagnostic::error("bad-value", &name.place, error.to_string());
        match nearest(name.local(), known) {
            Some(near) => diagnostic.with_help(format!("did you mean '{near}'?")),
            None => diagnostic.with_help("name one of these; a special sort of person is a UserType as well"),
        }
    })
}

/// The error for something that midPoint does and we do not, where going on without it would do the wrong thing.
pub(crate) fn refused(what: &str, place: &Place, cure: &str) -> Diagnostic {
    Diagnostic::error("not-supported", place, format!("{what} is not supported yet, and without it the result would be wrong"))
        .with_help(cure)
}
