//! A resource definition made ready for deciding.

use std::sync::Arc;

use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{FocusType, ObjectClass, ResourceObject, Schema, TypeId};
use tidelock_model::{Items, Place};

use crate::base_context::BaseContext;
use crate::correlate::CorrelationPolicy;
use crate::mapping::InboundMapping;
use crate::reaction::SynchronizationPolicy;

/// Everything a resource definition says about its objects, checked against the resource's schema. Compiled once per run.
#[derive(Clone, Debug, Default)]
pub struct ResourcePolicy {
    /// The object types that objects can have, in the order of the definition. Abstract ones have done their part already.
    pub types: Vec<TypePolicy>,
    /// What is said about whole classes.
    pub classes: Vec<ClassPolicy>,
    /// The resource's schema.
    pub schema: Arc<Schema>,
    /// Which attributes are kept with shadows.
    pub caching: AttributeCaching,
}

/// What is decided by an object type.
#[derive(Clone, Debug)]
pub struct TypePolicy {
    /// Kind and intent.
    pub id: TypeId,
    /// The object class of its objects.
    pub class: Arc<ObjectClass>,
    /// What people call the type.
    pub display_name: Option<Box<str>>,
    /// What the owners of its objects are.
    pub focus_type: FocusType,
    /// Where it is defined.
    pub place: Place,
    /// Whether its lifecycle state makes it effective. An object already of a type that is not stays what it is, and is not
    /// synchronized; new ones are not classified so.
    pub visible: bool,
    /// Whether it is meant where only its kind is given.
    pub default_for_kind: bool,
    /// Whether it is meant where only its class is given, and wins where several types match.
    pub default_for_class: bool,
    /// Whether a legacy `objectSynchronization` belongs to it, which decides between types that match equally.
    pub legacy: bool,
    /// Which objects of the class it has, by the rules of classification.
    pub delineation: BoundFilter,
    /// The part of the resource that its objects are in.
    pub base_context: Option<BaseContext>,
    /// When it is tried, among the types that say so; they come before those that do not.
    pub order: Option<i64>,
    /// Which objects of the class it has, as a resource is asked for them.
    pub search_filter: BoundFilter,
    /// Objects that synchronization must not touch.
    pub protected: BoundFilter,
    /// What is done about its objects.
    pub synchronization: Option<SynchronizationPolicy>,
    /// How owners are found.
    pub correlation: CorrelationPolicy,
    /// How attributes become items of the focus. Mappings to one target stand together.
    pub inbound: Vec<InboundMapping>,
    /// The attributes that are kept with a shadow of the type, in the order of the schema.
    pub stored: Vec<Arc<str>>,
    /// A digest of everything here that decides. It is the same in every run, and for every place in a file.
    pub digest: u64,
}

/// What is said about a whole object class.
#[derive(Clone, Debug)]
pub struct ClassPolicy {
    /// The class.
    pub class: Arc<ObjectClass>,
    /// Which of its objects a resource is asked for.
    pub search_filter: BoundFilter,
    /// The part of the resource that they are in.
    pub base_context: Option<BaseContext>,
}

/// Which attributes are kept with shadows, beside the identifiers and what mappings to multi-valued items need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttributeCaching {
    /// No others.
    #[default]
    Identifiers,
    /// Those that the object type refines.
    Defined,
    /// Those that inbound mappings read.
    Mapped,
    /// All.
    All,
}

impl TypePolicy {
    /// When the type has its turn in classification: types with an order first, then the default of the class, then types with
    /// legacy settings, then others.
    pub(crate) fn turn(&self) -> (bool, i64, u8) {
        let rank = match (self.order.is_some(), self.default_for_class, self.legacy) {
            (true, _, _) | (false, true, _) => 0,
            (false, false, true) => 1,
            (false, false, false) => 2,
        };
        (self.order.is_none(), self.order.unwrap_or_default(), rank)
    }
}

impl ResourcePolicy {
    /// The type of this kind and intent.
    #[must_use]
    pub fn type_of(&self, id: &TypeId) -> Option<usize> {
        self.types.iter().position(|type_| type_.id == *id)
    }

    /// The attributes of an object that are kept with its shadow, given the index of its type.
    #[must_use]
    pub fn stored(&self, type_: Option<usize>, object: &ResourceObject) -> Items {
        let class = self.schema.class(&object.class);
        let identifiers: Vec<Arc<str>>;
        let names = match type_.and_then(|index| self.types.get(index)) {
            Some(type_) => &type_.stored,
            None => {
                let of_class = class.into_iter().flat_map(|class| [&class.primary_identifier, &class.naming_attribute]);
                identifiers = of_class.cloned().collect();
                &identifiers
            }
        };
        let mut others = object.attributes.iter().map(|(name, _)| name).peekable();
        for name in names {
            others.next_if(|other| *other == name);
        }
        if others.peek().is_none() {
            // All of them, in their order.
            return object.attributes.clone();
        }
        let mut items = Items::new();
        for name in names {
            items.set(Arc::clone(name), object.attributes.get(name).into());
        }
        items
    }
}
