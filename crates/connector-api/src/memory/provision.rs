//! Changing a resource in memory as an engine does.

use std::sync::Arc;

use tidelock_model::object::{ObjectClass, ResourceObject};
use tidelock_model::value::{Items, Value, Values};

use super::Memory;
use crate::{AddRequest, Error, ErrorKind, Modification, ModifyRequest, Password, Provision, Result, async_trait};

#[async_trait]
impl Provision for Memory {
    async fn add(&self, request: AddRequest) -> Result<Box<str>> {
        let class = Arc::clone(self.lock().class(&request.class)?);
        let identifier: Box<str> = text_of(&request.attributes, &class.primary_identifier)
            .ok_or_else(|| Error::invalid_data(format!("the object lacks its identifier, '{}'", class.primary_identifier)))?
            .into();
        check(&class, &request.attributes)?;
        self.insert(ResourceObject::new(Arc::clone(&class.name), identifier.clone(), request.attributes))?;
        Ok(identifier)
    }

    async fn modify(&self, request: ModifyRequest) -> Result<()> {
        let mut state = self.lock();
        let class = Arc::clone(state.class(&request.class)?);
        let found = state.get(&request.class, &request.identifier).ok_or_else(Error::not_found)?;
        let has = |(name, values): (&Arc<str>, &Values)| values.iter().all(|value| found.attributes.get(name).contains(value));
        if !request.only_if.iter().all(has) {
            return Err(Error::new(ErrorKind::Conflict, "the object is not as it was expected to be"));
        }
        let mut object = (**found).clone();
        for modification in &request.modifications {
            if *modification.attribute() == class.primary_identifier {
                return Err(Error::invalid_data("the identifier is not modified; an object is renamed"));
            }
            apply(&mut object.attributes, modification);
        }
        check(&class, &object.attributes)?;
        state.put(object, &self.options)
    }

    /// The identifier is the name here: what was known by the old one is gone.
    async fn rename(&self, class: &str, identifier: &str, name: &str) -> Result<()> {
        let mut state = self.lock();
        let primary = Arc::clone(&state.class(class)?.primary_identifier);
        let mut object = (**state.get(class, identifier).ok_or_else(Error::not_found)?).clone();
        if state.get(class, name).is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is an object of this name"));
        }
        object.identifier = name.into();
        object.attributes.set(primary, Values::from_iter([Value::from(name)]));
        state.remove(class, identifier, &self.options)?;
        state.put(object, &self.options)
    }

    async fn delete(&self, class: &str, identifier: &str) -> Result<()> {
        let mut state = self.lock();
        state.class(class)?;
        state.remove(class, identifier, &self.options)
    }

    async fn set_password(&self, class: &str, _identifier: &str, _password: &Password) -> Result<()> {
        self.lock().class(class)?;
        Err(Error::unsupported("objects in memory have no passwords"))
    }
}

fn text_of<'a>(attributes: &'a Items, name: &str) -> Option<&'a str> {
    attributes.first(name).and_then(Value::as_str)
}

fn apply(attributes: &mut Items, modification: &Modification) {
    let name = modification.attribute();
    let old = attributes.get(name).iter();
    let new: Values = match modification {
        Modification::Add(_, added) => {
            let kept: Vec<_> = old.cloned().collect();
            let fresh: Vec<_> = added.iter().filter(|value| !kept.contains(value)).cloned().collect();
            kept.into_iter().chain(fresh).collect()
        }
        Modification::Remove(_, removed) => old.filter(|value| !removed.contains(value)).cloned().collect(),
        Modification::Replace(_, values) => values.clone(),
    };
    attributes.set(Arc::clone(name), new);
}

fn check(class: &ObjectClass, attributes: &Items) -> Result<()> {
    for (name, values) in attributes.iter() {
        let attribute = class.attribute(name);
        let attribute = attribute.ok_or_else(|| Error::invalid_data(format!("there is no attribute '{name}'")))?;
        if values.len() > 1 && !attribute.multi_valued {
            return Err(Error::invalid_data(format!("'{name}' has one value at most")));
        }
    }
    Ok(())
}
