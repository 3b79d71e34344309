//! Changing the objects of a resource.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tidelock_model::object::{MatchingRule, ObjectClass};
use tidelock_model::value::{Items, Value, Values};

use crate::Result;

/// The ability to change objects.
///
/// * An error of kind [`crate::ErrorKind::OutcomeUnknown`] means that the change may or may not have been made; every other
///   error means that it was not.
/// * An unknown class is [`crate::ErrorKind::Unsupported`]; an object that does not exist is [`crate::ErrorKind::NotFound`].
///
/// # Cancellation
/// Dropping a future leaves the outcome unknown.
#[async_trait]
pub trait Provision: Send + Sync {
    /// Creates an object and returns its primary identifier.
    ///
    /// * An object of that name that exists already is [`crate::ErrorKind::AlreadyExists`], and stays as it is.
    /// * A search afterwards gives the object with these attributes.
    ///
    /// # Errors
    /// Whatever stands in the way.
    async fn add(&self, request: AddRequest) -> Result<Box<str>>;

    /// Changes attributes of an object: all modifications, or none.
    ///
    /// * Adding a value that is there, or removing one that is not, is no error.
    /// * A condition that does not hold is [`crate::ErrorKind::Conflict`], and nothing is changed.
    ///
    /// # Errors
    /// Whatever stands in the way.
    async fn modify(&self, request: ModifyRequest) -> Result<()>;

    /// Gives an object another name: another value of its naming attribute.
    ///
    /// * The primary identifier stays, unless it is the name itself.
    ///
    /// # Errors
    /// Whatever stands in the way.
    async fn rename(&self, class: &str, identifier: &str, name: &str) -> Result<()>;

    /// Deletes an object.
    ///
    /// # Errors
    /// Whatever stands in the way.
    async fn delete(&self, class: &str, identifier: &str) -> Result<()>;

    /// Sets the password of an object.
    ///
    /// # Errors
    /// Whatever stands in the way; [`crate::ErrorKind::Unsupported`] where objects of the class have none.
    async fn set_password(&self, class: &str, identifier: &str, password: &Password) -> Result<()>;
}

/// An object to be created.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddRequest {
    /// The object class, as the schema names it.
    pub class: Arc<str>,
    /// Its attributes, the naming attribute among them.
    pub attributes: Items,
    /// Its password, where it gets one.
    pub password: Option<Password>,
}

/// A change of an object's attributes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModifyRequest {
    /// The object class, as the schema names it.
    pub class: Arc<str>,
    /// The primary identifier of the object.
    pub identifier: Box<str>,
    /// What is to change.
    pub modifications: Vec<Modification>,
    /// Values that the object must have for anything to be changed: each attribute, each of its values here.
    pub only_if: Items,
}

/// A change of one attribute: one that is to be made, or one that a resource tells of. Relative ones say only what differs: a
/// large attribute is never sent as a whole for a small change.
#[derive(Clone, Debug, PartialEq)]
pub enum Modification {
    /// These values are added.
    Add(Arc<str>, Values),
    /// These values are removed.
    Remove(Arc<str>, Values),
    /// The attribute has these values from now on, and no others; none removes it.
    Replace(Arc<str>, Values),
}

/// A password. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl AddRequest {
    /// An object of a class with its attributes.
    pub fn new(class: impl Into<Arc<str>>, attributes: Items) -> Self {
        Self { class: class.into(), attributes, password: None }
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(mut self, password: Password) -> Self {
        self.password = Some(password);
        self
    }
}

impl ModifyRequest {
    /// Modifications of an object.
    pub fn new(class: impl Into<Arc<str>>, identifier: impl Into<Box<str>>, modifications: Vec<Modification>) -> Self {
        Self { class: class.into(), identifier: identifier.into(), modifications, only_if: Items::new() }
    }

    /// The same, made only if the object has these values.
    #[must_use]
    pub fn only_if(mut self, values: Items) -> Self {
        self.only_if = values;
        self
    }
}

impl Modification {
    /// The attribute that is changed.
    #[must_use]
    pub fn attribute(&self) -> &Arc<str> {
        match self {
            Self::Add(name, _) | Self::Remove(name, _) | Self::Replace(name, _) => name,
        }
    }

    /// Makes the change to the attributes of an object of a class. Values are the same where the attribute's matching rule says
    /// so; adding one that is there, or removing one that is not, changes nothing.
    pub fn apply(&self, attributes: &mut Items, class: &ObjectClass) {
        let name = self.attribute();
        let rule = class.attribute(name).map_or(MatchingRule::Exact, |attribute| attribute.matching_rule);
        let mut now: Values = match self {
            Self::Replace(..) => Values::new(),
            Self::Add(..) | Self::Remove(..) => attributes.get(name).iter().cloned().collect(),
        };
        match self {
            Self::Replace(_, values) => now.clone_from(values),
            Self::Add(_, values) => {
                for value in values {
                    if !now.iter().any(|there| same(there, value, rule)) {
                        now.push(value.clone());
                    }
                }
            }
            Self::Remove(_, values) => now.retain(|there| !values.iter().any(|value| same(there, value, rule))),
        }
        attributes.set(Arc::clone(name), now);
    }
}

fn same(a: &Value, b: &Value, rule: MatchingRule) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a == b || rule.normalize(a) == rule.normalize(b),
        (a, b) => a == b,
    }
}

impl Password {
    /// A password of this text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidelock_model::object::AttributeDefinition;

    use super::*;

    fn values(texts: &[&str]) -> Values {
        texts.iter().map(|text| Value::from(*text)).collect()
    }

    #[test]
    fn values_are_told_apart_by_the_matching_rule_of_their_attribute() {
        let mut class = ObjectClass::new("account", "id");
        let mail = AttributeDefinition { matching_rule: MatchingRule::StringIgnoreCase, ..AttributeDefinition::text("mail") };
        class.attributes.extend([mail, AttributeDefinition::text("title")]);
        let mut attributes: Items = [(Arc::from("mail"), values(&["Ann@x"]))].into_iter().collect();
        for (modification, expected) in [
            (Modification::Add("mail".into(), values(&["ann@X", "b@x", "B@x"])), &["Ann@x", "b@x"][..]),
            (Modification::Remove("mail".into(), values(&["ANN@x", "absent"])), &["b@x"]),
            (Modification::Replace("mail".into(), values(&["c@x"])), &["c@x"]),
            (Modification::Remove("mail".into(), values(&["c@x"])), &[]),
            (Modification::Add("mail".into(), values(&["d@x"])), &["d@x"]),
        ] {
            modification.apply(&mut attributes, &class);
            assert_eq!(attributes.get("mail"), &*values(expected), "{modification:?}");
        }
        Modification::Add("title".into(), values(&["Dr", "dr"])).apply(&mut attributes, &class);
        assert_eq!(attributes.get("title").len(), 2);
        Modification::Replace("title".into(), values(&[])).apply(&mut attributes, &class);
        assert!(attributes.get("title").is_empty());
    }
}
