//! Values, and the named, multi-valued items that objects are made of.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::name::QName;
use crate::oid::Oid;
use crate::time::Timestamp;

/// One value of an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; a PolyString is kept as its original text.
    String(Box<str>),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A point in time.
    DateTime(Timestamp),
    /// Bytes.
    Binary(Box<[u8]>),
    /// A qualified name.
    QName(QName),
    /// A reference to another object.
    Reference(Box<Reference>),
    /// A structured value.
    Container(Box<Items>),
}

/// The values of one item, in their order.
pub type Values = SmallVec<[Value; 1]>;

/// A reference to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The object's identity.
    pub oid: Oid,
    /// The object's type, such as `ResourceType`, where it is said.
    pub target_type: Option<QName>,
    /// How the two are related; none is midPoint's default relation.
    pub relation: Option<QName>,
}

/// Named items in order, each with its values: the attributes of a resource object, the content of a focus.
///
/// A key is the item's local name; an item of a namespace other than the common one (an extension item) has
/// `namespace#local`. An item is present only while it has values.
///
/// A clone shares what it was made from, and costs nothing until one of the two is changed.
#[derive(Clone, Default)]
pub struct Items(Option<Arc<Vec<Entry>>>);

/// An item: its key and its values.
type Entry = (Arc<str>, Values);

impl Value {
    /// A text value.
    pub fn string(text: impl Into<Box<str>>) -> Self {
        Self::String(text.into())
    }

    /// The text, where the value is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as text, as a key or a message shows it. Containers have none.
    #[must_use]
    pub fn to_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        use std::borrow::Cow;
        Some(match self {
            Self::String(text) => Cow::Borrowed(text),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Float(number) => Cow::Owned(number.to_string()),
            Self::Boolean(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Self::DateTime(timestamp) => Cow::Owned(timestamp.to_string()),
            Self::Binary(bytes) => Cow::Owned(bytes.iter().map(|b| format!("{b:02x}")).collect()),
            Self::QName(name) => Cow::Owned(name.to_uri()),
            Self::Reference(reference) => Cow::Owned(reference.oid.to_string()),
            Self::Container(_) => return None,
        })
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl Items {
    /// No items.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// No items, with room for some.
    #[must_use]
    pub fn with_capacity(items: usize) -> Self {
        Self(Some(Arc::new(Vec::with_capacity(items))))
    }

    /// The values of an item by its exact key; none if it is absent.
    #[must_use]
    pub fn get(&self, key: &str) -> &[Value] {
        self.all().iter().find(|(name, _)| &**name == key).map_or(&[], |(_, values)| values)
    }

    /// The first value of an item by its exact key.
    #[must_use]
    pub fn first(&self, key: &str) -> Option<&Value> {
        self.get(key).first()
    }

    /// The values of an item by a name that may lack its namespace (see [`QName::matches`]).
    #[must_use]
    pub fn get_matching(&self, name: &QName) -> &[Value] {
        self.all().iter().find(|(key, _)| key_matches(key, name)).map_or(&[], |(_, values)| values)
    }

    /// The key under which an item of this name is stored here, or would be.
    #[must_use]
    pub fn key_of(&self, name: &QName) -> Arc<str> {
        self.all().iter().find(|(key, _)| key_matches(key, name)).map_or_else(|| key_for(name), |(key, _)| Arc::clone(key))
    }

    /// All values at the end of a path of keys, through every value of the containers on the way.
    pub fn at_path<'a>(&'a self, path: &[impl AsRef<str>]) -> Vec<&'a Value> {
        let Some((last, containers)) = path.split_last() else { return Vec::new() };
        let mut here = vec![self];
        for key in containers {
            here = here
                .into_iter()
                .flat_map(|items| items.get(key.as_ref()))
                .filter_map(|value| match value {
                    Value::Container(items) => Some(&**items),
                    _ => None,
                })
                .collect();
        }
        here.into_iter().flat_map(|items| items.get(last.as_ref())).collect()
    }

    /// Sets the values at the end of a path of keys, making single-valued containers on the way; no values remove the
    /// item. Containers that become empty go with it. A path through something that is no container changes nothing.
    pub fn set_at_path(&mut self, path: &[impl AsRef<str>], values: Values) {
        match path {
            [] => {}
            [key] => self.set(key.as_ref(), values),
            [key, rest @ ..] => {
                let mut inner = match self.first(key.as_ref()) {
                    None => Items::new(),
                    Some(Value::Container(items)) => (**items).clone(),
                    Some(_) => return,
                };
                inner.set_at_path(rest, values);
                let emptied =
                    if inner.is_empty() { Values::new() } else { Values::from_iter([Value::Container(Box::new(inner))]) };
                self.set(key.as_ref(), emptied);
            }
        }
    }

    /// Sets the values of an item; no values remove it. Keeps the place of an item that exists.
    pub fn set(&mut self, key: impl Into<Arc<str>> + AsRef<str>, values: Values) {
        let at = self.all().iter().position(|(name, _)| &**name == key.as_ref());
        match (at, values.is_empty()) {
            (Some(at), true) => drop(self.own().remove(at)),
            (Some(at), false) => self.own()[at].1 = values,
            (None, true) => {}
            (None, false) => self.own().push((key.into(), values)),
        }
    }

    /// Adds an item that is known to be absent; for building objects quickly.
    pub fn push(&mut self, key: Arc<str>, values: Values) {
        debug_assert!(self.get(&key).is_empty(), "the item is already there");
        if !values.is_empty() {
            self.own().push((key, values));
        }
    }

    /// The values of an item, to be changed in place. The caller leaves at least one.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Values> {
        let at = self.all().iter().position(|(name, _)| &**name == key)?;
        self.own().get_mut(at).map(|(_, values)| values)
    }

    /// All items, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Values)> {
        self.all().iter().map(|(name, values)| (name, values))
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    fn all(&self) -> &[Entry] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// All items, to be changed: no longer shared with anybody.
    fn own(&mut self) -> &mut Vec<Entry> {
        Arc::make_mut(self.0.get_or_insert_default())
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.all(), other.all()) || self.all() == other.all()
    }
}

impl fmt::Debug for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(Arc<str>, Values)> for Items {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Values)>>(items: I) -> Self {
        let mut all = Self::new();
        for (key, values) in items {
            all.set(key, values);
        }
        all
    }
}

/// The key for an item of this name: see [`Items`].
#[must_use]
pub fn key_for(name: &QName) -> Arc<str> {
    match name.namespace() {
        None | Some(crate::name::ns::COMMON) => Arc::clone(name.local_arc()),
        Some(_) => name.to_uri().into(),
    }
}

fn key_matches(key: &str, name: &QName) -> bool {
    match key.rsplit_once('#') {
        None => key == name.local(),
        Some((namespace, local)) => local == name.local() && name.namespace().is_none_or(|n| n == namespace),
    }
}
