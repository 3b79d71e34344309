//! The part of a resource's tree that an object type is limited to.

use std::sync::Arc;

use tidelock_model::Place;
use tidelock_model::object::{MatchingRule, ObjectClass, ResourceObject};

/// A container object, by its distinguished name, and how far below it an object type reaches.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseContext {
    /// Where it is defined.
    pub place: Place,
    /// The container, where the definition tells its name; none if the container would have to be searched for.
    pub base: Option<DistinguishedName>,
    /// How far it reaches.
    pub scope: HierarchyScope,
    /// What it means for classification.
    pub classification: ClassificationUse,
    /// The attribute of the type's class that has the objects' own distinguished names.
    pub identifier: Option<Arc<str>>,
}

/// How far below a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HierarchyScope {
    /// The container itself and everything below.
    #[default]
    Sub,
    /// The objects directly below.
    One,
}

/// Whether an object must be inside of the container to be of the type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClassificationUse {
    /// It must, and an object that cannot be judged is not of the type.
    Required,
    /// It must, where that can be judged.
    #[default]
    IfApplicable,
    /// It need not.
    Ignored,
}

/// A distinguished name, ready to be compared. Names that differ only in how they are written are equal.
#[derive(Clone, Debug)]
pub struct DistinguishedName {
    /// From the nearest to the root, in normal form.
    parts: Vec<Box<str>>,
    written: Box<str>,
}

impl BaseContext {
    /// Whether an object is within reach; none if that cannot be judged.
    #[must_use]
    pub fn contains(&self, object: &ResourceObject) -> Option<bool> {
        let base = self.base.as_ref()?;
        let name = object.attributes.first(self.identifier.as_ref()?)?.as_str()?;
        let name = DistinguishedName::parse(name)?;
        Some(match self.scope {
            HierarchyScope::Sub => name.is_within(base),
            HierarchyScope::One => name.is_within(base) && name.parts.len() == base.parts.len() + 1,
        })
    }

    /// Whether a search that is limited to it may find an object: one that cannot be judged is outside.
    #[must_use]
    pub fn admits(&self, object: &ResourceObject) -> bool {
        self.contains(object).unwrap_or(false)
    }

    /// Whether classification may take an object for one of the type.
    #[must_use]
    pub fn allows_type(&self, object: &ResourceObject) -> bool {
        match self.classification {
            ClassificationUse::Ignored => true,
            ClassificationUse::IfApplicable => self.contains(object).unwrap_or(true),
            ClassificationUse::Required => self.contains(object).unwrap_or(false),
        }
    }

    /// The identifier of a class that is a distinguished name.
    #[must_use]
    pub fn identifier_of(class: &ObjectClass) -> Option<Arc<str>> {
        [&class.primary_identifier, &class.naming_attribute]
            .into_iter()
            .find(|name| class.attribute(name).is_some_and(|a| a.matching_rule == MatchingRule::DistinguishedName))
            .cloned()
    }
}

impl DistinguishedName {
    /// Reads a distinguished name; none if the text is not one. The empty name is that of the root.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let normal = MatchingRule::DistinguishedName.normalize(text);
        let parts = if normal.is_empty() { Vec::new() } else { split(&normal, ',').map(relative).collect::<Option<_>>()? };
        Some(Self { parts, written: text.into() })
    }

    /// Whether it is the other name, or below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.parts.ends_with(&other.parts)
    }

    /// The name in normal form.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.parts.join(",")
    }

    /// The name as it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl PartialEq for DistinguishedName {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for DistinguishedName {}

/// One part of a name. Its own parts mean the same in every order.
fn relative(text: &str) -> Option<Box<str>> {
    let mut parts: Vec<&str> = split(text, '+').collect();
    let legal = |part: &&str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains('\\'));
    if !parts.iter().all(legal) {
        return None;
    }
    parts.sort_unstable();
    Some(parts.join("+").into())
}

/// The pieces between separators that no backslash stands before.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let here = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        here
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn within(name: &str, base: &str) -> bool {
        DistinguishedName::parse(name).unwrap().is_within(&DistinguishedName::parse(base).unwrap())
    }

    #[test]
    fn containment_is_by_parts_and_not_by_letters() {
        assert!(within("uid=ann, OU=People,dc=example", "ou=people,DC=Example"));
        assert!(within("ou=people,dc=example", "ou=people,dc=example"));
        assert!(within("uid=ann,dc=example", ""));
        assert!(!within("uid=ann,ou=morepeople,dc=example", "people,dc=example".replace("people", "ou=people").as_str()));
        assert!(!within("cn=a\\,ou=people,dc=example", "ou=people,dc=example"));
    }

    #[test]
    fn the_parts_of_a_part_may_be_in_any_order() {
        assert!(within("uid=1+cn=ann,dc=example", "CN=Ann+UID=1,dc=example"));
    }

    #[test]
    fn a_text_without_names_and_values_is_no_distinguished_name() {
        for text in ["people", "=x", "ou=a,,dc=b", "ou=a,dc"] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
    }
}
