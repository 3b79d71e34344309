//! How attributes of an object become items of its owner.

use std::borrow::Cow;
use std::sync::Arc;

use tidelock_model::object::ResourceObject;
use tidelock_model::{Items, Place, Timestamp, Value, Values};

use crate::channel::{Channel, ChannelLimit};
use crate::focus_items::ItemType;
use crate::policy::TypePolicy;

pub use tidelock_model::definition::Strength;

/// One mapping from the resource to the focus.
#[derive(Clone, Debug, PartialEq)]
pub struct InboundMapping {
    /// What its author calls it.
    pub name: Option<Box<str>>,
    /// Where it is defined.
    pub place: Place,
    /// Where values come from.
    pub source: MappingSource,
    /// The path of keys in the focus that they go to.
    pub target: Box<[Arc<str>]>,
    /// What the target's values are.
    pub target_type: ItemType,
    /// Whether the target has several values.
    pub multi_valued: bool,
    /// Which values of a multi-valued target are the mapping's own.
    pub range: Range,
    /// How it stands to other mappings, and to what is there.
    pub strength: Strength,
    /// Whether it is evaluated before correlation.
    pub before_correlation: bool,
    /// Whether it is evaluated for synchronization.
    pub clockwork: bool,
    /// The channels that it is for.
    pub channels: ChannelLimit,
}

/// Where the values of a mapping come from.
#[derive(Clone, Debug, PartialEq)]
pub enum MappingSource {
    /// From an attribute, as they are.
    Attribute(Arc<str>),
    /// From the definition.
    Constant(Values),
}

/// Which values of a multi-valued target a mapping may take away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Range {
    /// Those that it gave before.
    #[default]
    Own,
    /// All.
    All,
    /// None.
    None,
}

/// Why mappings cannot be applied to an object. No value is in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({place})")]
pub struct MappingError {
    /// What is wrong.
    pub message: String,
    /// The mapping.
    pub place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    BeforeCorrelation,
    Clockwork,
}

/// The content of a focus after the mappings of a type. It is the content given, where nothing changes.
///
/// `old` is what the shadow had been synchronized with, as far as that is known: values of multi-valued items that came from it
/// and are gone now are taken away. Values that stay keep their places.
///
/// # Errors
/// Several values for a single-valued item, a value that the item cannot have, a focus left without a name.
pub fn inbound<'a>(
    type_: &TypePolicy,
    old: Option<&Items>,
    new: &Items,
    focus: &'a Items,
    channel: Channel,
) -> Result<Cow<'a, Items>, MappingError> {
    let content = apply(&type_.inbound, Phase::Clockwork, old, new, focus, channel)?;
    match content.first("name") {
        Some(name) if name.as_str().is_none_or(|name| !name.trim().is_empty()) => Ok(content),
        _ => {
            let mapping = type_.inbound.iter().find(|mapping| matches!(&*mapping.target, [key] if &**key == "name"));
            Err(MappingError {
                message: match mapping {
                    Some(_) => "the mapping gives no name, and a focus must have one".to_owned(),
                    None => format!("{} has no mapping to 'name', and a focus must have one", type_.id),
                },
                place: mapping.map_or(&type_.place, |mapping| &mapping.place).clone(),
            })
        }
    }
}

/// What the mappings before correlation make of an object: the items by which its owner can be found.
///
/// # Errors
/// Several values for a single-valued item, or a value that the item cannot have.
pub fn pre_focus(type_: &TypePolicy, object: &ResourceObject, channel: Channel) -> Result<Items, MappingError> {
    let empty = Items::new();
    apply(&type_.inbound, Phase::BeforeCorrelation, None, &object.attributes, &empty, channel).map(Cow::into_owned)
}

/// Applies the mappings of a phase, target by target. Mappings to one target stand together.
fn apply<'a>(
    mappings: &[InboundMapping],
    phase: Phase,
    old: Option<&Items>,
    new: &Items,
    focus: &'a Items,
    channel: Channel,
) -> Result<Cow<'a, Items>, MappingError> {
    let mut content = Cow::Borrowed(focus);
    for group in mappings.chunk_by(|a, b| a.target == b.target) {
        let Some(first) = group.first() else { continue };
        let current = values_at(&content, &first.target);
        let changed = if first.multi_valued {
            several(group, phase, old, new, current, channel)?
        } else {
            single(group, phase, new, current, channel)?
        };
        if let Some(values) = changed {
            content.to_mut().set_at_path(&first.target, values);
        }
    }
    Ok(content)
}

/// The new values of a single-valued item, if they differ from the current ones.
fn single(
    group: &[InboundMapping],
    phase: Phase,
    new: &Items,
    current: &[Value],
    channel: Channel,
) -> Result<Option<Values>, MappingError> {
    let active = |strength| group.iter().filter(move |m| m.strength == strength && m.is_active(phase, channel));
    let mut decided = false;
    let mut result: Option<Cow<'_, Value>> = None;
    for strength in [Strength::Strong, Strength::Normal] {
        if result.is_some() {
            break;
        }
        for mapping in active(strength) {
            // A mapping that takes nothing away leaves an item alone that it has no value for.
            decided |= mapping.range != Range::None;
            mapping.give(new, &mut result)?;
        }
    }
    decided |= result.is_some();
    if result.is_none() && (decided || current.is_empty()) {
        for mapping in active(Strength::Weak) {
            decided = true;
            mapping.give(new, &mut result)?;
        }
    }
    if !decided || matches!((&result, current), (None, [])) {
        return Ok(None);
    }
    Ok(match result {
        Some(value) if matches!(current, [is] if *is == *value) => None,
        Some(value) => Some(Values::from_iter([value.into_owned()])),
        None => Some(Values::new()),
    })
}

/// The new values of a multi-valued item, if they differ from the current ones.
fn several(
    group: &[InboundMapping],
    phase: Phase,
    old: Option<&Items>,
    new: &Items,
    current: &[Value],
    channel: Channel,
) -> Result<Option<Values>, MappingError> {
    let mut given: Vec<Cow<'_, Value>> = Vec::new();
    let mut before: Vec<Cow<'_, Value>> = Vec::new();
    let mut all = false;
    for mapping in group.iter().filter(|m| m.strength != Strength::Weak && m.is_active(phase, channel)) {
        mapping.collect(new, &mut given)?;
        match mapping.range {
            Range::All => all = true,
            Range::Own => {
                if let Some(old) = old {
                    // What cannot be read of the past was not given then either.
                    let _ = mapping.collect(old, &mut before);
                }
            }
            Range::None => {}
        }
    }
    let goes = |value: &Value| !holds(&given, value) && (all || holds(&before, value));
    let nothing_left = current.iter().all(goes) && given.is_empty();
    if nothing_left {
        for mapping in group.iter().filter(|m| m.strength == Strength::Weak && m.is_active(phase, channel)) {
            mapping.collect(new, &mut given)?;
        }
    }
    let goes = |value: &Value| !holds(&given, value) && (all || holds(&before, value));
    let comes = |value: &Value| !current.contains(value);
    if !current.iter().any(goes) && !given.iter().any(|value| comes(value)) {
        return Ok(None);
    }
    let kept = current.iter().filter(|value| !goes(value)).cloned();
    let added = given.iter().filter(|value| comes(value)).map(|value| Value::clone(value));
    Ok(Some(kept.chain(added).collect()))
}

fn holds(values: &[Cow<'_, Value>], value: &Value) -> bool {
    values.iter().any(|held| **held == *value)
}

/// The values at the end of a path whose containers have one value each.
fn values_at<'a>(mut items: &'a Items, path: &[Arc<str>]) -> &'a [Value] {
    let Some((last, containers)) = path.split_last() else { return &[] };
    for key in containers {
        match items.first(key) {
            Some(Value::Container(inner)) => items = inner,
            _ => return &[],
        }
    }
    items.get(last)
}

impl InboundMapping {
    /// The target as a definition would have it.
    #[must_use]
    pub fn target_text(&self) -> String {
        self.target.join("/")
    }

    fn is_active(&self, phase: Phase, channel: Channel) -> bool {
        (match phase {
            Phase::BeforeCorrelation => self.before_correlation,
            Phase::Clockwork => self.clockwork,
        }) && self.channels.admits(channel)
    }

    fn source<'a>(&'a self, attributes: &'a Items) -> &'a [Value] {
        match &self.source {
            MappingSource::Attribute(name) => attributes.get(name),
            MappingSource::Constant(values) => values,
        }
    }

    /// Gives the mapping's value to a single-valued item, which must not have another one already.
    fn give<'a>(&'a self, attributes: &'a Items, result: &mut Option<Cow<'a, Value>>) -> Result<(), MappingError> {
        for value in self.source(attributes) {
            let value = self.convert(value)?;
            match result {
                None => *result = Some(value),
                Some(other) if *other == value => {}
                Some(_) => {
                    return Err(self.error(format!("'{}' has a single value, and mappings give it several", self.target_text())));
                }
            }
        }
        Ok(())
    }

    /// Adds the mapping's values to those of a multi-valued item.
    fn collect<'a>(&'a self, attributes: &'a Items, values: &mut Vec<Cow<'a, Value>>) -> Result<(), MappingError> {
        for value in self.source(attributes) {
            let value = self.convert(value)?;
            if !holds(values, &value) {
                values.push(value);
            }
        }
        Ok(())
    }

    /// A value as the target has it.
    fn convert<'a>(&self, value: &'a Value) -> Result<Cow<'a, Value>, MappingError> {
        let text = || value.to_text().ok_or_else(|| self.unfit("a simple value"));
        Ok(match (self.target_type, value) {
            (ItemType::Any, _)
            | (ItemType::Text, Value::String(_))
            | (ItemType::DateTime, Value::DateTime(_))
            | (ItemType::Integer, Value::Integer(_))
            | (ItemType::Boolean, Value::Boolean(_))
            | (ItemType::Binary, Value::Binary(_)) => Cow::Borrowed(value),
            (ItemType::Text, Value::Binary(_)) => return Err(self.unfit("a text")),
            (ItemType::Text, _) => Cow::Owned(Value::string(text()?)),
            (ItemType::DateTime, _) => {
                Timestamp::parse(&text()?).map(|t| Cow::Owned(Value::DateTime(t))).map_err(|_| self.unfit("a date and time"))?
            }
            (ItemType::Integer, _) => {
                text()?.trim().parse().map(|n| Cow::Owned(Value::Integer(n))).map_err(|_| self.unfit("a whole number"))?
            }
            (ItemType::Boolean, _) => match &*text()? {
                "true" | "1" => Cow::Owned(Value::Boolean(true)),
                "false" | "0" => Cow::Owned(Value::Boolean(false)),
                _ => return Err(self.unfit("true or false")),
            },
            (ItemType::Binary, _) => return Err(self.unfit("bytes")),
            (ItemType::ActivationStatus, Value::String(status)) if matches!(&**status, "enabled" | "disabled" | "archived") => {
                Cow::Borrowed(value)
            }
            (ItemType::ActivationStatus, _) => return Err(self.unfit("one of enabled, disabled and archived")),
        })
    }

    fn unfit(&self, expected: &str) -> MappingError {
        self.error(format!("'{}' must be {expected}, and the value given is not", self.target_text()))
    }

    fn error(&self, message: String) -> MappingError {
        MappingError { message, place: self.place.clone() }
    }
}
