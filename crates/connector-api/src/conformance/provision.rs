//! Clauses on changing objects.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidelock_model::object::{ObjectClass, ResourceObject};
use tidelock_model::value::{Items, Value, Values};

use super::reading::{UNKNOWN, is_kind};
use super::{Fixture, Outcome, Violation, ensure};
use crate::{AddRequest, ErrorKind, Modification, ModifyRequest, Password, Provision};

/// An identifier that could be one, and is none.
const MISSING: &str = "00000000-0000-4000-8000-000000000000";

/// What the suite may do to a resource that can be changed.
pub struct Sample {
    class: Arc<str>,
    draft: Box<dyn Fn(usize) -> Items + Send + Sync>,
    rename: Box<dyn Fn(usize) -> String + Send + Sync>,
    single: Arc<str>,
    multi: Arc<str>,
    passwords: bool,
    next: AtomicUsize,
}

impl Sample {
    /// Objects of a class that may be created: the attributes of the n-th, which must not be there yet, and another name that
    /// it may get. `single` is an attribute of one text and `multi` one of several, neither of them in the attributes given;
    /// both may be set to anything.
    pub fn new(
        class: &str,
        draft: impl Fn(usize) -> Items + Send + Sync + 'static,
        rename: impl Fn(usize) -> String + Send + Sync + 'static,
        single: &str,
        multi: &str,
    ) -> Self {
        Self {
            class: class.into(),
            draft: Box::new(draft),
            rename: Box::new(rename),
            single: single.into(),
            multi: multi.into(),
            passwords: false,
            next: AtomicUsize::new(0),
        }
    }

    /// Objects of the class have passwords.
    #[must_use]
    pub fn with_passwords(mut self) -> Self {
        self.passwords = true;
        self
    }
}

/// An object that was added is there, with its attributes.
pub(super) async fn an_added_object_is_found_with_its_attributes(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let (_, attributes) = subject.draft();
    let identifier = subject.provision.add(subject.request(attributes.clone())).await?;
    let object = subject.read(&identifier).await?;
    for (name, values) in attributes.iter() {
        let found = object.attributes.get(name);
        let rule = subject.class.attribute(name).map(|attribute| attribute.matching_rule).unwrap_or_default();
        let has = |value: &Value| {
            let text = |value: &Value| value.to_text().map(|text| rule.normalize(&text).into_owned());
            found.iter().any(|other| other == value || text(other) == text(value))
        };
        ensure!(values.iter().all(has), "an added object lacks a value of '{name}' that it was given");
    }
    Ok(())
}

/// An object of a name that is taken is not added, and the one that has the name stays as it is.
pub(super) async fn adding_an_object_that_exists_is_refused(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let (_, attributes) = subject.draft();
    let identifier = subject.provision.add(subject.request(attributes.clone())).await?;
    let before = subject.read(&identifier).await?;
    let mut other = attributes;
    other.set(Arc::clone(&subject.sample.single), texts(&["other"]));
    let again = subject.provision.add(subject.request(other)).await;
    is_kind(again, ErrorKind::AlreadyExists, "adding an object that exists")?;
    ensure!(subject.read(&identifier).await? == before, "the object that exists is changed by adding it again");
    Ok(())
}

/// Values can be added; those that are there already are no error.
pub(super) async fn values_are_added_to_those_there_are(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    subject.modify(&identifier, vec![subject.add(&["one", "two"])]).await?;
    subject.has(&identifier, &["one", "two"]).await?;
    subject.modify(&identifier, vec![subject.add(&["two", "three"])]).await?;
    subject.has(&identifier, &["one", "two", "three"]).await
}

/// Values can be removed; those that are not there are no error.
pub(super) async fn values_are_removed_and_the_others_stay(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    subject.modify(&identifier, vec![subject.add(&["one", "two", "three"])]).await?;
    subject.modify(&identifier, vec![subject.remove(&["two"])]).await?;
    subject.has(&identifier, &["one", "three"]).await?;
    subject.modify(&identifier, vec![subject.remove(&["two", "three"])]).await?;
    subject.has(&identifier, &["one"]).await
}

/// A replaced attribute has the new values and no others; none are left of one that is replaced by nothing.
pub(super) async fn a_replaced_attribute_has_the_new_values_only(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    let (single, multi) = (&subject.sample.single, &subject.sample.multi);
    let replace = |name: &Arc<str>, values: &[&str]| Modification::Replace(Arc::clone(name), texts(values));
    subject.modify(&identifier, vec![subject.add(&["one", "two"]), replace(single, &["first"])]).await?;
    subject.modify(&identifier, vec![replace(multi, &["three"]), replace(single, &["second"])]).await?;
    subject.has(&identifier, &["three"]).await?;
    let object = subject.read(&identifier).await?;
    ensure!(*object.attributes.get(single) == *texts(&["second"]), "'{single}' was replaced, and has not its new value");
    subject.modify(&identifier, vec![replace(multi, &[]), replace(single, &[])]).await?;
    let object = subject.read(&identifier).await?;
    let empty = object.attributes.get(single).is_empty() && object.attributes.get(multi).is_empty();
    ensure!(empty, "attributes that were replaced by nothing have values still");
    Ok(())
}

/// Where one modification is refused, none is made.
pub(super) async fn modifications_are_made_together_or_not_at_all(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    let impossible = Modification::Replace(UNKNOWN.into(), texts(&["x"]));
    let result = subject.modify(&identifier, vec![subject.add(&["one"]), impossible]).await;
    ensure!(result.is_err(), "an attribute is modified that the class does not have");
    subject.has(&identifier, &[]).await
}

/// A modification whose condition does not hold is a conflict.
pub(super) async fn a_condition_that_does_not_hold_is_a_conflict(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    subject.modify(&identifier, vec![subject.add(&["one"])]).await?;
    let only_if = |value: &str| {
        let mut condition = Items::new();
        condition.set(Arc::clone(&subject.sample.multi), texts(&[value]));
        let class = Arc::clone(&subject.class.name);
        ModifyRequest::new(class, identifier.clone(), vec![subject.add(&["two"])]).only_if(condition)
    };
    let refused = subject.provision.modify(only_if("three")).await;
    is_kind(refused, ErrorKind::Conflict, "a modification whose condition does not hold")?;
    subject.has(&identifier, &["one"]).await?;
    subject.provision.modify(only_if("one")).await?;
    subject.has(&identifier, &["one", "two"]).await
}

/// An object that is renamed is the same object, unless its name is its identity.
pub(super) async fn a_renamed_object_is_the_same_object(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let class = &subject.class;
    let (number, attributes) = subject.draft();
    let identifier = subject.provision.add(subject.request(attributes)).await?;
    subject.modify(&identifier, vec![subject.add(&["one"])]).await?;
    let name = (subject.sample.rename)(number);
    subject.provision.rename(&class.name, &identifier, &name).await?;
    let by_name = class.primary_identifier == class.naming_attribute;
    let now = if by_name { name.as_str() } else { &*identifier };
    subject.has(now, &["one"]).await?;
    let object = subject.read(now).await?;
    let named = object.attributes.first(&class.naming_attribute).and_then(Value::to_text);
    let rule = class.attribute(&class.naming_attribute).map(|attribute| attribute.matching_rule).unwrap_or_default();
    let is_named = named.is_some_and(|found| rule.normalize(&found) == rule.normalize(&name));
    ensure!(is_named, "a renamed object has not its new name");
    if by_name {
        ensure!(subject.find(&identifier).await?.is_none(), "a renamed object is found under its old name still");
    }
    Ok(())
}

/// An object that was deleted is gone.
pub(super) async fn a_deleted_object_is_gone(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let (kept, gone) = (subject.added().await?, subject.added().await?);
    subject.provision.delete(&subject.class.name, &gone).await?;
    ensure!(subject.find(&gone).await?.is_none(), "an object is there after it was deleted");
    ensure!(subject.find(&kept).await?.is_some(), "an object is gone after another one was deleted");
    Ok(())
}

/// An object that does not exist can be neither modified nor renamed nor deleted.
pub(super) async fn changing_a_missing_object_is_not_found(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let (class, provision) = (&subject.class.name, subject.provision);
    let name = (subject.sample.rename)(subject.draft().0);
    is_kind(subject.modify(MISSING, vec![subject.add(&["one"])]).await, ErrorKind::NotFound, "modifying a missing object")?;
    is_kind(provision.rename(class, MISSING, &name).await, ErrorKind::NotFound, "renaming a missing object")?;
    is_kind(provision.delete(class, MISSING).await, ErrorKind::NotFound, "deleting a missing object")
}

/// Nothing can be changed in a class that does not exist.
pub(super) async fn changing_an_unknown_class_is_unsupported(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let provision = subject.provision;
    let added = provision.add(AddRequest::new(UNKNOWN, subject.draft().1)).await;
    is_kind(added, ErrorKind::Unsupported, "adding to an unknown class")?;
    let modified = provision.modify(ModifyRequest::new(UNKNOWN, MISSING, vec![subject.add(&["one"])])).await;
    is_kind(modified, ErrorKind::Unsupported, "modifying in an unknown class")?;
    is_kind(provision.delete(UNKNOWN, MISSING).await, ErrorKind::Unsupported, "deleting from an unknown class")
}

/// Objects that have passwords get them; for others it is said that they have none.
pub(super) async fn a_password_is_set_where_there_are_passwords(fixture: &Fixture) -> Outcome {
    let Some(subject) = Subject::new(fixture).await? else { return Ok(()) };
    let identifier = subject.added().await?;
    let set = subject.provision.set_password(&subject.class.name, &identifier, &Password::new("Correct-Horse-7")).await;
    if !subject.sample.passwords {
        return is_kind(set, ErrorKind::Unsupported, "setting a password where there are none");
    }
    set?;
    let missing = subject.provision.set_password(&subject.class.name, MISSING, &Password::new("Correct-Horse-7")).await;
    is_kind(missing, ErrorKind::NotFound, "setting the password of a missing object")
}

/// The facet under test, with what it may be tested by.
struct Subject<'a> {
    fixture: &'a Fixture,
    provision: &'a dyn Provision,
    sample: &'a Sample,
    class: Arc<ObjectClass>,
}

impl<'a> Subject<'a> {
    /// The facet, if the connector is to have it.
    async fn new(fixture: &'a Fixture) -> Result<Option<Self>, Violation> {
        let Some((provision, sample)) = fixture.provision()? else { return Ok(None) };
        let schema = fixture.connector().schema().await?;
        let class = schema.class(&sample.class).map(Arc::clone);
        let class = class.ok_or_else(|| Violation::from(format!("the fixture's class '{}' does not exist", sample.class)))?;
        Ok(Some(Self { fixture, provision, sample, class }))
    }

    /// The attributes of an object that is not there yet, and its number.
    fn draft(&self) -> (usize, Items) {
        let number = self.sample.next.fetch_add(1, Ordering::Relaxed);
        (number, (self.sample.draft)(number))
    }

    fn request(&self, attributes: Items) -> AddRequest {
        AddRequest::new(Arc::clone(&self.class.name), attributes)
    }

    /// A new object; its identifier.
    async fn added(&self) -> Result<Box<str>, Violation> {
        Ok(self.provision.add(self.request(self.draft().1)).await?)
    }

    fn add(&self, values: &[&str]) -> Modification {
        Modification::Add(Arc::clone(&self.sample.multi), texts(values))
    }

    fn remove(&self, values: &[&str]) -> Modification {
        Modification::Remove(Arc::clone(&self.sample.multi), texts(values))
    }

    async fn modify(&self, identifier: &str, modifications: Vec<Modification>) -> crate::Result<()> {
        self.provision.modify(ModifyRequest::new(Arc::clone(&self.class.name), identifier, modifications)).await
    }

    async fn find(&self, identifier: &str) -> Result<Option<ResourceObject>, Violation> {
        let mut found = self.fixture.connector().get_many(&self.class.name, &[identifier]).await?;
        ensure!(found.len() == 1, "the connector answers for {} objects, asked for one", found.len());
        Ok(found.remove(0)?)
    }

    async fn read(&self, identifier: &str) -> Result<ResourceObject, Violation> {
        let found = self.find(identifier).await?;
        found.ok_or_else(|| Violation::from("an object is not found that was added or renamed".to_owned()))
    }

    /// Whether the attribute of several values has these, in any order.
    async fn has(&self, identifier: &str, expected: &[&str]) -> Outcome {
        let object = self.read(identifier).await?;
        let name = &self.sample.multi;
        let mut found: Vec<_> = object.attributes.get(name).iter().filter_map(Value::as_str).collect();
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        ensure!(found == expected, "'{name}' has the values {found:?}, where {expected:?} are to be");
        Ok(())
    }
}

fn texts(values: &[&str]) -> Values {
    values.iter().map(|value| Value::from(*value)).collect()
}
