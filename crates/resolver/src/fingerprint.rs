//! Fingerprints: whether an object needs to be looked at again.

use std::sync::Arc;

use tidelock_model::object::{ObjectClass, ResourceObject};

use crate::channel::Channel;
use crate::digest::Digest;
use crate::policy::ResourcePolicy;

/// The part of a fingerprint that does not depend on the object. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Salt {
    key: u128,
    /// The resource's classes, each with the attributes that auxiliary classes add for some type.
    classes: Arc<[Arc<ObjectClass>]>,
}

/// Counts the changes of this crate after which the same policy and the same object may give another result.
const DECISIONS: u64 = 1;

/// The salt of a policy: another one whenever anything changes that decides. The channel counts only where a mapping or a
/// reaction depends on it.
#[must_use]
pub fn salt(policy: &ResourcePolicy, channel: Channel) -> Salt {
    let mut digest = Digest::new(0);
    digest.number(DECISIONS);
    digest.schema(&policy.schema);
    digest.number(policy.caching as u64);
    digest.list(&policy.types, |digest, type_| digest.number(type_.digest));
    if depends_on_channel(policy) {
        digest.text(channel.as_str());
    }
    Salt { key: digest.finish(), classes: classes(policy) }
}

/// The fingerprint of an object: equal if and only if, for all practical purposes, the object, and whatever decides about it,
/// are the same. The order of attributes, and of an attribute's values, does not count, nor do attributes outside of the
/// schema. The same in every run and on every machine.
#[must_use]
pub fn fingerprint(object: &ResourceObject, salt: &Salt) -> [u8; 16] {
    let mut digest = Digest::new(salt.key);
    digest.text(&object.class);
    digest.text(&object.identifier);
    match salt.classes.iter().find(|class| class.name == object.class) {
        Some(class) => {
            // Objects mostly have their attributes in the order of the schema: the next one is looked at first.
            let mut next = object.attributes.iter().peekable();
            for (number, attribute) in (0u64..).zip(&class.attributes) {
                let values = match next.next_if(|(name, _)| ***name == *attribute.name) {
                    Some((_, values)) => values.as_slice(),
                    None => object.attributes.get(&attribute.name),
                };
                if !values.is_empty() {
                    digest.number(number);
                    digest.values(values);
                }
            }
        }
        None => digest.items(&object.attributes),
    }
    digest.finish().to_le_bytes()
}

impl Salt {
    /// The same salt for a purpose of its own, such as a mode of execution.
    #[must_use]
    pub fn with(&self, purpose: &str) -> Self {
        let mut digest = Digest::new(self.key);
        digest.text(purpose);
        Self { key: digest.finish(), classes: Arc::clone(&self.classes) }
    }
}

fn classes(policy: &ResourcePolicy) -> Arc<[Arc<ObjectClass>]> {
    let mut classes = policy.schema.classes.clone();
    for class in &mut classes {
        let name = Arc::clone(&class.name);
        for attribute in policy.types.iter().filter(|t| t.class.name == name).flat_map(|t| &t.class.attributes) {
            if class.attribute(&attribute.name).is_none() {
                Arc::make_mut(class).attributes.push(attribute.clone());
            }
        }
    }
    classes.into()
}

fn depends_on_channel(policy: &ResourcePolicy) -> bool {
    policy.types.iter().any(|type_| {
        let reactions = type_.synchronization.iter().flat_map(|synchronization| &synchronization.reactions);
        type_.inbound.iter().any(|mapping| !mapping.channels.is_all()) || reactions.into_iter().any(|r| r.channels.is_some())
    })
}
