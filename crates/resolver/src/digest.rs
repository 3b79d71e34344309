//! Digests of values and policies that are the same in every run, on every machine and for every place in a file.

use std::sync::Arc;

use siphasher::sip128::SipHasher13;
use tidelock_model::filter::{BoundFilter, Condition};
use tidelock_model::object::{ObjectClass, Schema};
use tidelock_model::{Items, Value, Values};

use crate::base_context::BaseContext;
use crate::channel::ChannelLimit;
use crate::correlate::{CorrelationPolicy, ItemSource, Rule, RuleItem};
use crate::mapping::{InboundMapping, MappingSource};
use crate::policy::TypePolicy;
use crate::reaction::{Action, Reaction, SynchronizationPolicy};

/// A digest in the making. Everything written says its own length, so that no two sequences look the same.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    key: u128,
    // One pass over all of it costs less than half of what feeding the hash function piece by piece does.
    written: Vec<u8>,
}

impl Digest {
    pub(crate) fn new(key: u128) -> Self {
        Self { key, written: Vec::with_capacity(512) }
    }

    pub(crate) fn finish(&self) -> u128 {
        SipHasher13::new_with_keys(self.key as u64, (self.key >> 64) as u64).hash(&self.written).as_u128()
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.written.extend_from_slice(&number.to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.written.extend_from_slice(bytes);
    }

    pub(crate) fn flag(&mut self, flag: bool) {
        self.number(u64::from(flag));
    }

    pub(crate) fn list<T>(&mut self, list: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.number(list.len() as u64);
        list.iter().for_each(|item| write(self, item));
    }

    fn option<T>(&mut self, option: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(option.is_some());
        if let Some(value) = option {
            write(self, value);
        }
    }

    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.number(1);
                self.text(text);
            }
            Value::Integer(number) => {
                self.number(2);
                self.number(*number as u64);
            }
            Value::Float(number) => {
                self.number(3);
                self.number(number.to_bits());
            }
            Value::Boolean(flag) => self.number(4 + (u64::from(*flag) << 8)),
            Value::DateTime(time) => {
                self.number(5);
                self.number(time.as_millis() as u64);
            }
            Value::Binary(bytes) => {
                self.number(6);
                self.bytes(bytes);
            }
            Value::QName(name) => {
                self.number(7);
                self.text(&name.to_uri());
            }
            Value::Reference(reference) => {
                self.number(8);
                self.text(&reference.oid.to_string());
                for name in [&reference.target_type, &reference.relation] {
                    self.option(name.as_ref(), |digest, name| digest.text(&name.to_uri()));
                }
            }
            Value::Container(items) => {
                self.number(9);
                self.items(items);
            }
        }
    }

    /// Values in whatever order.
    pub(crate) fn values(&mut self, values: &[Value]) {
        self.number(values.len() as u64);
        match values {
            [value] => self.value(value),
            _ => {
                // Sums do not depend on the order, and unlike exclusive ors they notice repetitions.
                let sum = values.iter().fold(0u128, |sum, value| {
                    let mut digest = Self::new(0);
                    digest.value(value);
                    sum.wrapping_add(digest.finish())
                });
                self.written.extend_from_slice(&sum.to_le_bytes());
            }
        }
    }

    /// Items in whatever order.
    pub(crate) fn items(&mut self, items: &Items) {
        let sum = items.iter().fold(0u128, |sum, (name, values): (&Arc<str>, &Values)| {
            let mut digest = Self::new(0);
            digest.text(name);
            digest.values(values);
            sum.wrapping_add(digest.finish())
        });
        self.number(items.len() as u64);
        self.written.extend_from_slice(&sum.to_le_bytes());
    }

    pub(crate) fn schema(&mut self, schema: &Schema) {
        self.list(&schema.classes, |digest, class| digest.class(class));
    }

    fn class(&mut self, class: &ObjectClass) {
        let ObjectClass { name, attributes, primary_identifier, naming_attribute, default_account, auxiliary } = class;
        self.text(name);
        self.text(primary_identifier);
        self.text(naming_attribute);
        self.flag(*default_account);
        self.flag(*auxiliary);
        self.list(attributes, |digest, attribute| {
            digest.text(&attribute.name);
            digest.number(attribute.value_type as u64);
            digest.flag(attribute.multi_valued);
            digest.flag(attribute.required);
            digest.text(attribute.matching_rule.as_str());
        });
    }

    fn filter(&mut self, filter: &BoundFilter) {
        match filter {
            BoundFilter::All => self.number(1),
            BoundFilter::None => self.number(2),
            BoundFilter::And(parts) => {
                self.number(3);
                self.list(parts, Self::filter);
            }
            BoundFilter::Or(parts) => {
                self.number(4);
                self.list(parts, Self::filter);
            }
            BoundFilter::Not(part) => {
                self.number(5);
                self.filter(part);
            }
            BoundFilter::Attribute { name, rule, condition } => {
                self.number(6);
                self.text(name);
                self.text(rule.as_str());
                self.condition(condition);
            }
        }
    }

    fn condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Present => self.number(1),
            Condition::AnyOf(values) => {
                self.number(2);
                self.values(values);
            }
            Condition::Compare(comparison, value) => {
                self.number(3);
                self.number(*comparison as u64);
                self.value(value);
            }
            Condition::Substring { text, at_start, at_end } => {
                self.number(4);
                self.text(text);
                self.flag(*at_start);
                self.flag(*at_end);
            }
        }
    }

    fn base_context(&mut self, base: &BaseContext) {
        let BaseContext { place: _, base, scope, classification, identifier } = base;
        self.option(base.as_ref(), |digest, base| digest.text(&base.to_text()));
        self.number(*scope as u64);
        self.number(*classification as u64);
        self.option(identifier.as_ref(), |digest, name| digest.text(name));
    }

    fn channels(&mut self, channels: &ChannelLimit) {
        let ChannelLimit { only, except, unknown_only } = channels;
        self.list(only, |digest, channel| digest.text(channel.as_str()));
        self.list(except, |digest, channel| digest.text(channel.as_str()));
        self.flag(*unknown_only);
    }

    fn mapping(&mut self, mapping: &InboundMapping) {
        let InboundMapping {
            name: _,
            place: _,
            source,
            target,
            target_type,
            multi_valued,
            range,
            strength,
            before_correlation,
            clockwork,
            channels,
        } = mapping;
        match source {
            MappingSource::Attribute(name) => {
                self.number(1);
                self.text(name);
            }
            MappingSource::Constant(values) => {
                self.number(2);
                self.list(values, Self::value);
            }
        }
        self.list(target, |digest, key| digest.text(key));
        self.number(*target_type as u64);
        self.flag(*multi_valued);
        self.number(*range as u64);
        self.text(strength.as_str());
        self.flag(*before_correlation);
        self.flag(*clockwork);
        self.channels(channels);
    }

    fn synchronization(&mut self, policy: &SynchronizationPolicy) {
        let SynchronizationPolicy { place: _, visible, enabled, reactions } = policy;
        self.flag(*visible);
        self.flag(*enabled);
        self.list(reactions, |digest, reaction| {
            let Reaction { name: _, place: _, situations, channels, actions } = reaction;
            digest.list(situations, |digest, situation| digest.text(situation.as_str()));
            digest.option(channels.as_ref(), |digest, channels| {
                digest.list(channels, |digest, channel| digest.text(channel.as_str()));
            });
            digest.list(actions, |digest, action| {
                let Action { kind, place: _ } = action;
                digest.text(kind.as_str());
            });
        });
    }

    fn correlation(&mut self, policy: &CorrelationPolicy) {
        let CorrelationPolicy { place: _, tiers, definite, candidate } = policy;
        self.number(definite.to_bits());
        self.number(candidate.to_bits());
        self.list(tiers, |digest, tier| {
            digest.list(&tier.rules, |digest, rule| {
                let Rule { name, place: _, weight, ignore_if_matched_by, items } = rule;
                digest.text(name);
                digest.number(weight.to_bits());
                digest.list(ignore_if_matched_by, |digest, name| digest.text(name));
                digest.list(items, |digest, item| {
                    let RuleItem { place: _, path, rule, source } = item;
                    digest.list(path, |digest, key| digest.text(key));
                    digest.text(rule.as_str());
                    digest.option(
                        match source {
                            ItemSource::PreFocus => None,
                            ItemSource::Attribute(name) => Some(name),
                        },
                        |digest, name| digest.text(name),
                    );
                });
            });
        });
    }
}

/// The digest of everything in a type's policy that decides. Naming every field makes the compiler ask about new ones.
pub(crate) fn of_type(type_: &TypePolicy) -> u64 {
    let TypePolicy {
        id,
        class,
        display_name: _,
        focus_type,
        place: _,
        visible,
        default_for_kind: _,
        default_for_class,
        legacy,
        delineation,
        base_context,
        order,
        search_filter: _,
        protected,
        synchronization,
        correlation,
        inbound,
        stored,
        digest: _,
    } = type_;
    let mut digest = Digest::new(0);
    digest.text(id.kind.as_str());
    digest.text(id.intent.as_str());
    digest.text(&class.name);
    digest.text(focus_type.type_name());
    digest.flag(*visible);
    digest.flag(*default_for_class);
    digest.flag(*legacy);
    digest.filter(delineation);
    digest.option(base_context.as_ref(), Digest::base_context);
    digest.option(order.as_ref(), |digest, order| digest.number(*order as u64));
    digest.filter(protected);
    digest.option(synchronization.as_ref(), Digest::synchronization);
    digest.correlation(correlation);
    digest.list(inbound, Digest::mapping);
    digest.list(stored, |digest, name| digest.text(name));
    digest.finish() as u64
}
