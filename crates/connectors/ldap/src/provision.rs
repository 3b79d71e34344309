//! Changing entries.

use std::sync::Arc;

use tidelock_connector_api::{
    AddRequest, Error, ErrorKind, Modification, ModifyRequest, Password, Provision, Result, async_trait,
};
use tidelock_model::{Items, Value};

use crate::ber::{Writer, tag};
use crate::client::Pool;
use crate::config::When;
use crate::connector::Ldap;
use crate::dn::Dn;
use crate::error::{code, not_ldap};
use crate::filter::Filter;
use crate::lookup::filter_of;
use crate::message::{Control, Message, Modify, ModifyKind, Outcome, RawEntry, Request, Scope, Search, oid};
use crate::schema::{Attribute, DN, Directory, EntryClass};
use crate::search::{class_filter, entries, first_entry};

/// How often a modification is made anew because the entry changed meanwhile.
const ATTEMPTS: usize = 3;

#[async_trait]
impl Provision for Ldap {
    async fn add(&self, request: AddRequest) -> Result<Box<str>> {
        let directory = self.directory().await?;
        let class = directory.class(&request.class)?;
        let Some(Value::String(name)) = request.attributes.first(DN) else {
            return Err(Error::invalid_data("an entry to be added has no 'dn'"));
        };
        let dn = parse(name)?;
        let mut attributes = new_attributes(class, &dn, &request.attributes)?;
        let password_attribute = &self.config().password_attribute;
        // The server hashes it, and applies its policies, where it can be told that it is one.
        let told = request.password.as_ref().filter(|_| directory.root.has_extension(oid::PASSWORD_MODIFY));
        if let Some(password) = request.password.as_ref().filter(|_| told.is_none()) {
            attributes.push((password_attribute.to_string(), vec![password.reveal().as_bytes().to_vec()]));
        }
        let identifier = &class.identifier().name;
        let mut controls = Vec::new();
        if directory.root.has_control(oid::POST_READ) {
            controls.push(Control::post_read(&[identifier]));
        }
        let text = dn.to_text();
        let answer = write(&self.pool, &Request::Add { dn: text.clone(), attributes }, &controls).await?;
        outcome(&self.pool, &answer)?.check("cannot add the entry")?;
        if let Some(password) = told
            && let Err(error) = self.tell_password(&text, password).await
        {
            // An entry without its password would be half of what was asked for.
            let taken_back = write(&self.pool, &Request::Delete { dn: text }, &[]).await.is_ok();
            tracing::debug!(taken_back, "an entry was added, and its password refused");
            return Err(error);
        }
        if class.is_identified_by_name() {
            return Ok(class.spelled(text).into());
        }
        match added(class, &answer) {
            Some(identifier) => Ok(identifier),
            None => self.identifier_of(class, &text).await,
        }
    }

    async fn modify(&self, request: ModifyRequest) -> Result<()> {
        let directory = self.directory().await?;
        let class = directory.class(&request.class)?;
        for modification in &request.modifications {
            check(class, modification)?;
        }
        let dn = self.name_of(class, &request.identifier).await?;
        let mut controls = Vec::new();
        if !request.only_if.is_empty() {
            let condition = condition(class, &request.only_if)?;
            if directory.root.has_control(oid::ASSERTION) {
                controls.push(Control::assertion(&condition));
            } else if !self.holds(&dn, condition).await? {
                return Err(Error::new(ErrorKind::Conflict, "the entry is not as it was expected to be"));
            }
        }
        match self.config().permissive_modify {
            When::Always => controls.push(Control::new(oid::PERMISSIVE_MODIFY, true)),
            // Some servers understand it without saying so.
            When::Auto => controls.push(Control::new(oid::PERMISSIVE_MODIFY, false)),
            When::Never => {}
        }
        let mut modifications = request.modifications;
        for _ in 0..ATTEMPTS {
            let changes: Vec<_> = modifications.iter().filter_map(|modification| change(class, modification)).collect();
            if changes.is_empty() {
                return Ok(());
            }
            let answer = write(&self.pool, &Request::Modify { dn: dn.clone(), changes }, &controls).await?;
            let outcome = outcome(&self.pool, &answer)?;
            if !matches!(outcome.code, code::VALUE_EXISTS | code::NO_SUCH_ATTRIBUTE) {
                return outcome.check("cannot modify the entry");
            }
            // Some of it is so already: leave that out.
            modifications = self.needed(class, &dn, modifications).await?;
        }
        Err(Error::new(ErrorKind::Conflict, "the entry is changed by others all the time"))
    }

    async fn rename(&self, class: &str, identifier: &str, name: &str) -> Result<()> {
        let directory = self.directory().await?;
        let class = directory.class(class)?;
        let old = self.name_of(class, identifier).await?;
        let new = parse(name)?;
        let (Some(rdn), Some(above)) = (new.rdn(), new.parent()) else {
            return Err(Error::invalid_data("an entry cannot be renamed to the root"));
        };
        let schema = &class.subschema;
        let moved = Dn::parse(&old).and_then(|old| old.parent()).is_none_or(|from| from.normal(schema) != above.normal(schema));
        let request = Request::Rename { dn: old, rdn: rdn.to_text(), superior: moved.then(|| above.to_text()) };
        let answer = write(&self.pool, &request, &[]).await?;
        outcome(&self.pool, &answer)?.check("cannot rename the entry")
    }

    async fn delete(&self, class: &str, identifier: &str) -> Result<()> {
        let directory = self.directory().await?;
        let dn = self.name_of(directory.class(class)?, identifier).await?;
        let tree = match self.config().tree_delete {
            When::Always => true,
            When::Auto => directory.root.has_control(oid::TREE_DELETE),
            When::Never => false,
        };
        let controls: Vec<_> = tree.then(|| Control::new(oid::TREE_DELETE, true)).into_iter().collect();
        let answer = write(&self.pool, &Request::Delete { dn }, &controls).await?;
        outcome(&self.pool, &answer)?.check("cannot delete the entry")
    }

    async fn set_password(&self, class: &str, identifier: &str, password: &Password) -> Result<()> {
        let directory = self.directory().await?;
        let class = directory.class(class)?;
        if !has_password(&directory, class, &self.config().password_attribute) {
            return Err(Error::unsupported(format!("entries of class '{}' have no password", class.name)));
        }
        let dn = self.name_of(class, identifier).await?;
        if directory.root.has_extension(oid::PASSWORD_MODIFY) {
            return self.tell_password(&dn, password).await;
        }
        let values = vec![password.reveal().as_bytes().to_vec()];
        let attribute = self.config().password_attribute.to_string();
        let request = Request::Modify { dn, changes: vec![Modify { kind: ModifyKind::Replace, attribute, values }] };
        let answer = write(&self.pool, &request, &[]).await?;
        outcome(&self.pool, &answer)?.check("cannot set the password")
    }
}

impl Ldap {
    /// Tells the server a password as such, which hashes it and applies its policies.
    async fn tell_password(&self, dn: &str, password: &Password) -> Result<()> {
        let request = Request::Extended { oid: oid::PASSWORD_MODIFY, value: Some(password_value(dn, password)) };
        let answer = write(&self.pool, &request, &[]).await?;
        let outcome = outcome(&self.pool, &answer)?;
        if outcome.code == code::CONFIDENTIALITY {
            let message =
                "the server sets passwords over encrypted connections only; set 'connectionSecurity' to ssl or starttls";
            return Err(Error::config(format!("cannot set the password: {message}")));
        }
        outcome.check("cannot set the password")
    }

    /// The distinguished name of an object.
    async fn name_of(&self, class: &EntryClass, identifier: &str) -> Result<String> {
        let config = self.config();
        let search = if class.is_identified_by_name() {
            let mut search = Search::entry(class.spelled(identifier.to_owned()), &["1.1"]);
            search.filter = class_filter(config, class);
            search
        } else {
            Search {
                base: config.base_context.clone(),
                scope: Scope::Sub,
                filter: class_filter(config, class).and(filter_of(class, identifier).ok_or_else(Error::not_found)?),
                attributes: vec!["1.1".to_owned()],
                size_limit: 0,
            }
        };
        let (found, all) = entries(&self.pool, &Request::Search(search), &[]).await?;
        match found.as_slice() {
            [one] => {
                let entry = one.entry().map_err(|_| not_ldap(&config.server()))?;
                String::from_utf8(entry.dn.to_vec()).map_err(|_| Error::invalid_data("the entry's name is not text in UTF-8"))
            }
            [] if all => Err(Error::not_found()),
            [] => Err(Error::unreachable("the entry cannot be looked for: a part of the directory is out of reach")),
            _ => Err(Error::invalid_data("several entries have the same identifier")),
        }
    }

    /// The identifier of an entry that was just added.
    async fn identifier_of(&self, class: &EntryClass, dn: &str) -> Result<Box<str>> {
        let attribute = class.identifier();
        let request = Request::Search(Search::entry(dn, &[&attribute.name]));
        let unknown = || Error::new(ErrorKind::OutcomeUnknown, "the entry was added, and its identifier cannot be read");
        let message = first_entry(&self.pool, &request).await.map_err(|error| unknown().with_source(error))?;
        let message = message.ok_or_else(unknown)?;
        let entry = message.entry().map_err(|_| unknown())?;
        identifier_in(class, entry).ok_or_else(unknown)
    }

    /// Whether an entry meets a filter.
    async fn holds(&self, dn: &str, filter: Filter) -> Result<bool> {
        let search = Search { filter, ..Search::entry(dn, &["1.1"]) };
        Ok(first_entry(&self.pool, &Request::Search(search)).await?.is_some())
    }

    /// What of some modifications is not so already. Asks value by value: an attribute may have more of them than can be read.
    async fn needed(&self, class: &EntryClass, dn: &str, modifications: Vec<Modification>) -> Result<Vec<Modification>> {
        let mut needed = Vec::new();
        for modification in modifications {
            let (name, values, add) = match &modification {
                Modification::Add(name, values) => (name, values, true),
                Modification::Remove(name, values) => (name, values, false),
                Modification::Replace(..) => {
                    needed.push(modification);
                    continue;
                }
            };
            let attribute = attribute(class, name)?;
            if attribute.equality.is_none() {
                needed.push(modification);
                continue;
            }
            let mut left = tidelock_model::Values::new();
            for value in values {
                let bytes = bytes(attribute, value)?;
                let there = self.holds(dn, Filter::Equal(written_as(attribute), bytes)).await?;
                if there != add {
                    left.push(value.clone());
                }
            }
            if !left.is_empty() {
                let name = Arc::clone(name);
                needed.push(if add { Modification::Add(name, left) } else { Modification::Remove(name, left) });
            }
        }
        Ok(needed)
    }
}

/// Sends a change and waits for its result. A connection that breaks in between leaves open whether it was made.
async fn write(pool: &Arc<Pool>, request: &Request, controls: &[Control]) -> Result<Message> {
    let mut lease = pool.lease().await?;
    lease.call(request, controls).await.map_err(|error| {
        let message = "the connection broke before the server said whether the change was made";
        Error::new(ErrorKind::OutcomeUnknown, message).with_source(error)
    })
}

fn outcome(pool: &Pool, answer: &Message) -> Result<Outcome> {
    answer.outcome().map_err(|_| not_ldap(&pool.config().server()))
}

fn parse(name: &str) -> Result<Dn> {
    Dn::parse(name).filter(|dn| dn.rdn().is_some()).ok_or_else(|| Error::invalid_data("'dn' is not a distinguished name"))
}

/// The attributes of a new entry, as they are sent.
fn new_attributes(class: &EntryClass, dn: &Dn, attributes: &Items) -> Result<Vec<(String, Vec<Vec<u8>>)>> {
    let mut written: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for (name, values) in attributes.iter() {
        if &**name == DN || **name == *class.identifier().name {
            continue;
        }
        let attribute = attribute(class, name)?;
        let values: Result<_> = values.iter().map(|value| bytes(attribute, value)).collect();
        written.push((written_as(attribute), values?));
    }
    let has = |written: &[(String, Vec<Vec<u8>>)], name: &str| written.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !has(&written, "objectClass") {
        written.push(("objectClass".to_owned(), class.lineage.iter().map(|name| name.clone().into_bytes()).collect()));
    }
    // The values that name the entry are values of it.
    for (name, value) in dn.rdn().into_iter().flat_map(|rdn| rdn.pairs()) {
        let known = class.attribute(name).map_or(name.as_str(), |attribute| &attribute.name).to_owned();
        if !has(&written, &known) {
            written.push((known, vec![value.clone()]));
        }
    }
    Ok(written)
}

/// The identifier in the answer to an addition, where the server has put it there.
fn added(class: &EntryClass, answer: &Message) -> Option<Box<str>> {
    let value = answer.control(oid::POST_READ).ok()??;
    identifier_in(class, RawEntry::of_read_control(value).ok()?)
}

fn identifier_in(class: &EntryClass, entry: RawEntry<'_>) -> Option<Box<str>> {
    let attribute = class.identifier();
    let values = entry.values_of(&attribute.name).ok()?;
    let value = attribute.form.read(values.first()?).ok()?;
    value.to_text().map(|text| text.into_owned().into())
}

fn attribute<'c>(class: &'c EntryClass, name: &str) -> Result<&'c Attribute> {
    class.attribute(name).ok_or_else(|| Error::invalid_data(format!("class '{}' has no attribute '{name}'", class.name)))
}

/// Whether a modification is one that can be made.
fn check(class: &EntryClass, modification: &Modification) -> Result<()> {
    let name = modification.attribute();
    if &**name == DN || **name == *class.identifier().name {
        return Err(Error::invalid_data(format!("'{name}' is not modified; an entry is renamed")));
    }
    let attribute = attribute(class, name)?;
    let (Modification::Add(_, values) | Modification::Remove(_, values) | Modification::Replace(_, values)) = modification;
    values.iter().try_for_each(|value| bytes(attribute, value).map(drop))
}

/// A modification as it is sent; none where there is nothing to be done.
fn change(class: &EntryClass, modification: &Modification) -> Option<Modify> {
    let (kind, name, values) = match modification {
        Modification::Add(_, values) | Modification::Remove(_, values) if values.is_empty() => return None,
        Modification::Add(name, values) => (ModifyKind::Add, name, values),
        Modification::Remove(name, values) => (ModifyKind::Delete, name, values),
        Modification::Replace(name, values) => (ModifyKind::Replace, name, values),
    };
    let attribute = class.attribute(name)?;
    let values = values.iter().filter_map(|value| attribute.form.write(value)).collect();
    Some(Modify { kind, attribute: written_as(attribute), values })
}

/// What an entry must meet to have these values.
fn condition(class: &EntryClass, values: &Items) -> Result<Filter> {
    let mut parts = Vec::new();
    for (name, values) in values.iter() {
        let attribute = attribute(class, name)?;
        let Some(asked_as) = attribute.asked_as.as_ref().filter(|_| attribute.equality.is_some()) else {
            return Err(Error::unsupported(format!("the server cannot compare values of '{name}'")));
        };
        for value in values {
            parts.push(Filter::equal(asked_as, bytes(attribute, value)?));
        }
    }
    Ok(Filter::And(parts))
}

fn bytes(attribute: &Attribute, value: &Value) -> Result<Vec<u8>> {
    let wrong = || Error::invalid_data(format!("a value of '{}' is of another type than the schema says", attribute.name));
    attribute.form.write(value).ok_or_else(wrong)
}

/// What an attribute is called when it is sent: certificates are only in their binary form (RFC 4523).
fn written_as(attribute: &Attribute) -> String {
    if attribute.in_binary { format!("{};binary", attribute.name) } else { attribute.name.to_string() }
}

/// Whether entries of a class may have the attribute of passwords, by their own class or by another.
fn has_password(directory: &Directory, class: &EntryClass, attribute: &str) -> bool {
    let known = directory.subschema.class(&class.name);
    known.is_some_and(|class| directory.subschema.attributes(class).iter().any(|(found, _)| found.is_called(attribute)))
}

/// The value of the request that sets a password (RFC 3062, 2).
fn password_value(dn: &str, password: &Password) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.sequence(|value| {
        value.primitive(tag::context(0), dn.as_bytes());
        value.primitive(tag::context(2), password.reveal().as_bytes());
    });
    writer.into_bytes()
}
