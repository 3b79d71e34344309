//! A connector without a system behind it, for tests.
//!
//! A [`Memory`] is a handle: its clones share the objects, so that a test changes the resource while an engine works with
//! it. It remembers what changed, and can give that as live synchronization, as pushed messages, or as both. [`Faults`] make
//! it fail as real resources do, each time in the same way.
//!
//! ```
//! use tidelock_connector_api::memory::Memory;
//! use tidelock_model::object::Schema;
//!
//! let resource = Memory::new(Schema::default().with_class("account", "login", &["mail"]));
//! resource.put("account", "ann", &[("mail", "ann@example.com")])?;
//! assert!(resource.get("account", "ann").is_some());
//! # Ok::<(), tidelock_connector_api::Error>(())
//! ```

mod connector;
mod faults;
mod provision;
mod queue;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidelock_model::object::{ResourceObject, Schema};
use tidelock_model::value::{Items, Value, Values};

pub use self::faults::{Call, Delay, Faults};
use self::state::State;
use crate::{Change, Error, MessageId, OnFailure, Result, TokenPrecision};

/// A resource in memory. Clones share it.
#[derive(Clone)]
pub struct Memory {
    options: Arc<Options>,
    state: Arc<Mutex<State>>,
}

/// What a resource in memory can do. It starts with nothing but what every connector must.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Whether filters are honoured; else the engine filters.
    pub filters: bool,
    /// Whether changes can be asked for, and what the tokens can express.
    pub live_sync: Option<TokenPrecision>,
    /// Whether the changes of all classes can be asked for at once.
    pub all_classes: bool,
    /// Whether every change is pushed as a message as well.
    pub async_updates: bool,
    /// Whether objects can be changed through the connector.
    pub provision: bool,
    /// What a message comes to whose changes cannot be applied.
    pub on_failure: OnFailure,
    /// What a change says of its object.
    pub change_style: ChangeStyle,
    /// What the tokens are marked with: those of a resource of another name are not known here.
    pub name: String,
}

/// What a change says of an object that was added or modified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ChangeStyle {
    /// The whole object.
    #[default]
    Full,
    /// The attributes that have changed; a new object whole.
    Delta,
    /// That it has changed.
    Notification,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filters: false,
            live_sync: None,
            all_classes: true,
            async_updates: false,
            on_failure: OnFailure::Stop,
            provision: false,
            change_style: ChangeStyle::Full,
            name: "memory".to_owned(),
        }
    }
}

impl Options {
    /// The same with filters.
    #[must_use]
    pub fn with_filters(mut self) -> Self {
        self.filters = true;
        self
    }

    /// The same with live synchronization.
    #[must_use]
    pub fn with_live_sync(mut self, precision: TokenPrecision) -> Self {
        self.live_sync = Some(precision);
        self
    }

    /// The same with tokens for single classes only.
    #[must_use]
    pub fn with_single_classes(mut self) -> Self {
        self.all_classes = false;
        self
    }

    /// The same with pushed messages.
    #[must_use]
    pub fn with_async_updates(mut self) -> Self {
        self.async_updates = true;
        self
    }

    /// The same with objects that can be changed through the connector.
    #[must_use]
    pub fn with_provision(mut self) -> Self {
        self.provision = true;
        self
    }

    /// The same with another end for messages whose changes cannot be applied.
    #[must_use]
    pub fn with_on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// The same with changes of another style.
    #[must_use]
    pub fn with_change_style(mut self, style: ChangeStyle) -> Self {
        self.change_style = style;
        self
    }

    /// The same with another mark on its tokens.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl Memory {
    /// A resource without objects that can do nothing special.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self::with_options(schema, Options::default())
    }

    /// A resource without objects.
    #[must_use]
    pub fn with_options(schema: Schema, options: Options) -> Self {
        Self { options: Arc::new(options), state: Arc::new(Mutex::new(State::new(schema))) }
    }

    /// Adds an object, and remembers the change.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for an unknown class, [`crate::ErrorKind::InvalidData`] where the attributes lack
    /// the identifier, [`crate::ErrorKind::AlreadyExists`] where there is an object of this identifier.
    pub fn insert(&self, object: ResourceObject) -> Result<()> {
        let mut state = self.lock();
        if state.get(&object.class, &object.identifier).is_some() {
            return Err(Error::new(crate::ErrorKind::AlreadyExists, "there is an object of this identifier"));
        }
        state.put(object, &self.options)
    }

    /// Sets attributes of an object (no values remove one), and remembers the change.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where there is no such object.
    pub fn update<'a>(&self, class: &str, identifier: &str, changes: impl IntoIterator<Item = (&'a str, Values)>) -> Result<()> {
        let mut state = self.lock();
        let mut object = state.get(class, identifier).map(|object| (**object).clone()).ok_or_else(Error::not_found)?;
        for (name, values) in changes {
            object.attributes.set(name, values);
        }
        state.put(object, &self.options)
    }

    /// Adds an object of text attributes, or makes an existing one into it, and remembers the change. The identifier need
    /// not be among the attributes; a name given several times has several values.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for an unknown class.
    pub fn put(&self, class: &str, identifier: &str, attributes: &[(&str, &str)]) -> Result<()> {
        let mut state = self.lock();
        let primary = Arc::clone(&state.class(class)?.primary_identifier);
        let mut items = Items::with_capacity(attributes.len() + 1);
        items.set(primary, Values::from_iter([Value::from(identifier)]));
        for (name, value) in attributes {
            let mut values = Values::from(items.get(name));
            if !values.contains(&Value::from(*value)) {
                values.push(Value::from(*value));
            }
            items.set(*name, values);
        }
        state.put(ResourceObject::new(class, identifier, items), &self.options)
    }

    /// Removes an object, and remembers the change.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] where there is no such object.
    pub fn remove(&self, class: &str, identifier: &str) -> Result<()> {
        self.lock().remove(class, identifier, &self.options)
    }

    /// An object as it is now.
    #[must_use]
    pub fn get(&self, class: &str, identifier: &str) -> Option<ResourceObject> {
        self.lock().get(class, identifier).map(|object| (**object).clone())
    }

    /// The objects of a class, in the order in which they were added.
    #[must_use]
    pub fn objects(&self, class: &str) -> Vec<ResourceObject> {
        self.lock().objects(class).map(|object| (**object).clone()).collect()
    }

    /// Forgets the changes so far: tokens from before are expired.
    pub fn forget_history(&self) {
        self.lock().forget_history();
    }

    /// Fails in these ways from now on, in place of those set before. Calls are counted anew.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().set_faults(faults);
    }

    /// How often a method has been called since the faults were set.
    #[must_use]
    pub fn calls(&self, call: Call) -> u64 {
        self.lock().calls(call)
    }

    /// Pushes a message: changes that need not be true, or an error for one that cannot be read.
    pub fn publish(&self, changes: Result<Vec<Change>>) -> MessageId {
        self.lock().queue.publish(changes)
    }

    /// Forgets the messages about deletions that nobody has, and pushes one that says which objects are left instead.
    pub fn forget_deletions(&self) -> MessageId {
        let state = &mut *self.lock();
        let left = state.all_objects().map(|object| object.identifier.clone()).collect();
        let token = State::token(&self.options, state.current());
        state.queue.forget_deletions((left, token))
    }

    /// Ends the streams of messages, once what is there has been delivered. New listeners find an end as well.
    pub fn close(&self) {
        self.lock().queue.close();
    }

    /// How many messages are neither acknowledged nor rejected.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.lock().queue.unsettled()
    }

    /// The messages that were rejected, with the reasons.
    #[must_use]
    pub fn rejected(&self) -> Vec<(MessageId, String)> {
        self.lock().queue.rejected().to_vec()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
