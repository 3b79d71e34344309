//! What a resource in memory holds.

use std::collections::HashMap;
use std::sync::Arc;

use tidelock_model::object::{ObjectClass, ResourceObject, Schema};
use tidelock_model::value::Values;

use super::queue::Queue;
use super::{Call, ChangeStyle, Faults, Options};
use crate::{Change, ChangeKind, Error, Modification, Result, Token};

pub(super) struct State {
    pub(super) schema: Schema,
    /// In the order of adding; removed ones leave a gap.
    objects: Vec<Option<Arc<ResourceObject>>>,
    /// Class and normalized identifier, to a place in `objects`.
    places: HashMap<(Box<str>, Box<str>), usize>,
    /// The changes; a token is how many there were.
    history: Vec<Change>,
    /// Tokens below this are no longer known.
    forgotten: usize,
    pub(super) queue: Queue,
    pub(super) faults: Faults,
    calls: HashMap<Call, u64>,
}

impl State {
    pub(super) fn new(schema: Schema) -> Self {
        Self {
            schema,
            objects: Vec::new(),
            places: HashMap::new(),
            history: Vec::new(),
            forgotten: 0,
            queue: Queue::default(),
            faults: Faults::default(),
            calls: HashMap::new(),
        }
    }

    pub(super) fn class(&self, name: &str) -> Result<&Arc<ObjectClass>> {
        self.schema.class(name).ok_or_else(|| Error::unsupported(format!("there is no object class '{name}'")))
    }

    pub(super) fn get(&self, class: &str, identifier: &str) -> Option<&Arc<ResourceObject>> {
        let class = self.schema.class(class)?;
        let place = self.places.get(&key(class, identifier))?;
        self.objects.get(*place)?.as_ref()
    }

    pub(super) fn objects<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Arc<ResourceObject>> {
        self.all_objects().filter(move |object| *object.class == *class)
    }

    pub(super) fn all_objects(&self) -> impl Iterator<Item = &Arc<ResourceObject>> {
        self.objects.iter().flatten()
    }

    /// Adds or replaces an object.
    pub(super) fn put(&mut self, object: ResourceObject, options: &Options) -> Result<()> {
        let class = Arc::clone(self.class(&object.class)?);
        let primary = object.attributes.first(&class.primary_identifier).and_then(|value| value.as_str());
        if primary != Some(&*object.identifier) || object.identifier.is_empty() {
            return Err(Error::invalid_data(format!(
                "the object lacks its identifier, the attribute '{}'",
                class.primary_identifier
            )));
        }
        let key = key(&class, &object.identifier);
        let object = Arc::new(object);
        let earlier = match self.places.get(&key) {
            Some(place) => self.objects[*place].replace(Arc::clone(&object)),
            None => {
                self.places.insert(key, self.objects.len());
                self.objects.push(Some(Arc::clone(&object)));
                None
            }
        };
        let kind = match (options.change_style, earlier) {
            (ChangeStyle::Notification, _) => ChangeKind::Notification,
            (ChangeStyle::Delta, Some(earlier)) => ChangeKind::Delta(delta(&earlier, &object)),
            _ => ChangeKind::Full((*object).clone()),
        };
        self.record(&object, kind, options);
        Ok(())
    }

    pub(super) fn remove(&mut self, class: &str, identifier: &str, options: &Options) -> Result<()> {
        let class = Arc::clone(self.class(class)?);
        let place = self.places.remove(&key(&class, identifier)).ok_or_else(Error::not_found)?;
        let object = self.objects[place].take().ok_or_else(Error::not_found)?;
        let attributes = (options.change_style != ChangeStyle::Notification).then(|| object.attributes.clone());
        self.record(&object, ChangeKind::Deleted(attributes), options);
        Ok(())
    }

    fn record(&mut self, object: &ResourceObject, kind: ChangeKind, options: &Options) {
        let change = Change { class: Some(Arc::clone(&object.class)), identifier: object.identifier.clone(), kind };
        if options.async_updates {
            self.queue.publish(Ok(vec![change.clone()]));
        }
        self.history.push(change);
    }

    pub(super) fn current(&self) -> usize {
        self.history.len()
    }

    /// The changes after a position, each with the position behind it.
    pub(super) fn changes(&self, after: usize) -> impl Iterator<Item = (usize, &Change)> {
        self.history.iter().enumerate().skip(after).map(|(at, change)| (at + 1, change))
    }

    pub(super) fn forget_history(&mut self) {
        self.forgotten = self.history.len() + 1;
        // The moment itself must get a token that is told from those before.
        let marker = Change { class: None, identifier: "".into(), kind: ChangeKind::Notification };
        self.history.push(marker);
    }

    /// The token of a position.
    pub(super) fn token(options: &Options, position: usize) -> Token {
        Token::new(format!("{}/{position}", options.name).into_bytes())
    }

    /// The position of a token, if it is one of ours and still known.
    pub(super) fn position(&self, options: &Options, token: &Token) -> Result<usize> {
        let expired = || Error::new(crate::ErrorKind::TokenExpired, "the token is not known");
        let text = std::str::from_utf8(token.as_bytes()).map_err(|_| expired())?;
        let number = text.strip_prefix(options.name.as_str()).and_then(|rest| rest.strip_prefix('/')).ok_or_else(expired)?;
        let position = number.parse().map_err(|_| expired())?;
        // Only the one way in which a token is written is one that was issued.
        let issued = number == usize::to_string(&position) && (self.forgotten..=self.history.len()).contains(&position);
        issued.then_some(position).ok_or_else(expired)
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.calls.clear();
    }

    pub(super) fn calls(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }

    /// Counts a call; it may be one that fails.
    pub(super) fn call(&mut self, call: Call) -> Result<()> {
        let number = self.calls.entry(call).or_default();
        *number += 1;
        match self.faults.of_call(call, *number) {
            Some(kind) => Err(Error::new(kind, format!("call {number} of {call:?} fails, as it was told to"))),
            None => Ok(()),
        }
    }
}

fn key(class: &ObjectClass, identifier: &str) -> (Box<str>, Box<str>) {
    (Box::from(&*class.name), class.normalize_identifier(identifier).into())
}

/// What makes the one object of the other.
fn delta(before: &ResourceObject, after: &ResourceObject) -> Vec<Modification> {
    let changed = after.attributes.iter().filter(|(name, values)| before.attributes.get(name) != values.as_slice());
    let removed = before.attributes.iter().filter(|(name, _)| after.attributes.get(name).is_empty());
    changed
        .map(|(name, values)| Modification::Replace(Arc::clone(name), values.clone()))
        .chain(removed.map(|(name, _)| Modification::Replace(Arc::clone(name), Values::new())))
        .collect()
}
