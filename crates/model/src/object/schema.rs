//! What a resource says of its objects: classes and attributes.

use std::borrow::Cow;
use std::sync::Arc;

use crate::name::{QName, ns};

/// The object classes of a resource.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Schema {
    /// The classes, in the resource's order. Names are unique.
    pub classes: Vec<Arc<ObjectClass>>,
}

/// One object class.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectClass {
    /// The name, as the resource (and `ri:…` in definitions) has it.
    pub name: Arc<str>,
    /// The attributes, in the resource's order. Names are unique.
    pub attributes: Vec<AttributeDefinition>,
    /// The attribute that identifies an object for its whole life.
    pub primary_identifier: Arc<str>,
    /// The attribute that people call the object by (`icfs:name`); often the primary identifier itself.
    pub naming_attribute: Arc<str>,
    /// Whether `kind=account` without any object type means this class.
    pub default_account: bool,
    /// Whether it only ever adds to a structural class.
    pub auxiliary: bool,
}

/// One attribute of an object class.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeDefinition {
    /// The name, as the resource (and `ri:…` in definitions) has it.
    pub name: Arc<str>,
    /// What its values are.
    pub value_type: ValueType,
    /// Whether there can be several values.
    pub multi_valued: bool,
    /// Whether every object has it.
    pub required: bool,
    /// When two values are the same.
    pub matching_rule: MatchingRule,
}

/// The type of attribute values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Float,
    /// True or false.
    Boolean,
    /// A point in time.
    DateTime,
    /// Bytes.
    Binary,
}

/// When two texts count as the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MatchingRule {
    /// The same characters.
    #[default]
    Exact,
    /// The same but for upper and lower case.
    StringIgnoreCase,
    /// The same distinguished name, however it is spelled.
    DistinguishedName,
    /// The same UUID, however it is spelled.
    Uuid,
    /// The same letters and digits: midPoint's normal form of PolyStrings.
    PolyStringNorm,
}

impl Schema {
    /// The class with this exact name.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Arc<ObjectClass>> {
        self.classes.iter().find(|class| &*class.name == name)
    }

    /// The class that a definition means: `ri:name`, or the bare name. A name of another namespace is no class.
    #[must_use]
    pub fn class_named(&self, name: &QName) -> Option<&Arc<ObjectClass>> {
        name.namespace().is_none_or(|n| n == ns::RI).then(|| self.class(name.local())).flatten()
    }

    /// The same schema with one more class of text attributes, the first of them being the primary identifier where
    /// `identifier` is not among them. For small connectors and tests.
    #[must_use]
    pub fn with_class(mut self, name: &str, identifier: &str, attributes: &[&str]) -> Self {
        let mut class = ObjectClass::new(name, identifier);
        for attribute in attributes {
            if class.attribute(attribute).is_none() {
                class.attributes.push(AttributeDefinition::text(*attribute));
            }
        }
        self.classes.push(Arc::new(class));
        self
    }
}

impl ObjectClass {
    /// A class that has only its primary identifier, which also names its objects.
    #[must_use]
    pub fn new(name: &str, identifier: &str) -> Self {
        let mut primary = AttributeDefinition::text(identifier);
        primary.required = true;
        Self {
            name: name.into(),
            primary_identifier: Arc::clone(&primary.name),
            naming_attribute: Arc::clone(&primary.name),
            attributes: vec![primary],
            default_account: false,
            auxiliary: false,
        }
    }

    /// The attribute with this exact name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttributeDefinition> {
        self.attributes.iter().find(|attribute| &*attribute.name == name)
    }

    /// The attribute that a definition means: `ri:name`, the bare name, `icfs:name` or `icfs:uid`.
    ///
    /// A bare `name` or `uid` is the identifier only where the class has no attribute that is called so.
    #[must_use]
    pub fn attribute_named(&self, name: &QName) -> Option<&AttributeDefinition> {
        let special = || match name.local() {
            "name" => self.attribute(&self.naming_attribute),
            "uid" => self.attribute(&self.primary_identifier),
            _ => None,
        };
        match name.namespace() {
            Some(ns::ICFS) => special(),
            Some(ns::RI) => self.attribute(name.local()),
            None => self.attribute(name.local()).or_else(special),
            Some(_) => None,
        }
    }

    /// The form in which a value of the primary identifier is stored and compared.
    #[must_use]
    pub fn normalize_identifier<'a>(&self, identifier: &'a str) -> Cow<'a, str> {
        let rule = self.attribute(&self.primary_identifier).map_or(MatchingRule::Exact, |a| a.matching_rule);
        rule.normalize(identifier)
    }
}

impl AttributeDefinition {
    /// A single-valued, optional text attribute.
    pub fn text(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            value_type: ValueType::String,
            multi_valued: false,
            required: false,
            matching_rule: MatchingRule::Exact,
        }
    }
}

impl MatchingRule {
    /// The rule's local name in midPoint's matching-rule namespace.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "default",
            Self::StringIgnoreCase => "stringIgnoreCase",
            Self::DistinguishedName => "distinguishedName",
            Self::Uuid => "uuid",
            Self::PolyStringNorm => "polyStringNorm",
        }
    }

    /// The rule that a definition means by this local name. Rules that differ only for PolyStrings are one here.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "default" | "xml" | "polyStringStrict" | "polyStringOrig" => Self::Exact,
            "stringIgnoreCase" | "strictIgnoreCase" | "origIgnoreCase" => Self::StringIgnoreCase,
            "polyStringNorm" | "normIgnoreCase" => Self::PolyStringNorm,
            "distinguishedName" => Self::DistinguishedName,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// The normal form of a text: two texts are the same value if and only if their normal forms are equal.
    #[must_use]
    pub fn normalize<'a>(self, text: &'a str) -> Cow<'a, str> {
        match self {
            Self::Exact => Cow::Borrowed(text),
            Self::StringIgnoreCase | Self::Uuid => {
                if text.chars().any(char::is_uppercase) {
                    Cow::Owned(text.to_lowercase())
                } else {
                    Cow::Borrowed(text)
                }
            }
            Self::DistinguishedName => Cow::Owned(normalize_dn(text)),
            Self::PolyStringNorm => Cow::Owned(
                text.chars()
                    .filter(|c| c.is_alphanumeric() || *c == ' ')
                    .flat_map(char::to_lowercase)
                    .collect::<String>()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
        }
    }
}

/// Lower case, and no spaces around the separators. What stands behind a backslash is part of its value.
fn normalize_dn(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    // Up to where spaces count, whether a separator was last, and whether a backslash was.
    let (mut kept, mut fresh, mut escaped) = (0, true, false);
    let tidy = |normal: &mut String, kept: usize| normal.truncate(normal.trim_end().len().max(kept));
    for c in text.trim_start().chars() {
        match c {
            _ if escaped => {
                normal.extend(c.to_lowercase());
                (kept, fresh, escaped) = (normal.len(), false, false);
            }
            ',' | '=' | '+' => {
                tidy(&mut normal, kept);
                normal.push(c);
                (kept, fresh) = (normal.len(), true);
            }
            ' ' if fresh => {}
            _ => {
                normal.extend(c.to_lowercase());
                (fresh, escaped) = (false, c == '\\');
            }
        }
    }
    tidy(&mut normal, kept);
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_in_a_name_counts() {
        let normal = |text: &str| MatchingRule::DistinguishedName.normalize(text).into_owned();
        assert_eq!(normal(" CN = A  b , ou= C+x =y \n"), "cn=a  b,ou=c+x=y");
        assert_eq!(normal("cn=a\\ ,ou=b\\ "), "cn=a\\ ,ou=b\\ ");
        assert_eq!(normal("cn=a\\= b\\, c"), "cn=a\\= b\\, c");
        for text in ["cn=a\\ ,ou=b", "cn=a\\= \\\\ ,x", " a , \\"] {
            assert_eq!(normal(&normal(text)), normal(text));
        }
    }
}
