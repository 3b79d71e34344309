//! Entries into objects.

use std::sync::Arc;

use tidelock_connector_api::{About, Error};
use tidelock_model::object::ResourceObject;
use tidelock_model::{Items, Value, Values};

use crate::ber::Malformed;
use crate::message::RawEntry;
use crate::schema::EntryClass;

/// Reads the entries of a class. Keeps in mind which attribute each spelling means.
pub(crate) struct EntryReader {
    class: Arc<EntryClass>,
    spellings: Vec<(Box<[u8]>, Meaning)>,
    /// Where in `spellings` the next attribute probably is: servers send attributes in an order of their own, but always in it.
    guess: usize,
}

/// What came of an entry.
pub(crate) enum Read {
    /// An object.
    Object(ResourceObject),
    /// An object of which some attributes are there in pieces, each a piece of its own.
    Partial(ResourceObject, Vec<Range>),
    /// An entry of a class that is derived from the one that is asked for.
    Derived,
    /// An entry that cannot be made an object.
    Failed(Error),
}

/// A piece of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The attribute, by its place in the class.
    pub(crate) at: usize,
    /// The number of its first value.
    pub(crate) from: u64,
    /// The number of the value after it; none where it is the last piece.
    pub(crate) next: Option<u64>,
}

#[derive(Clone, Copy)]
enum Meaning {
    /// The attribute at this place in the class.
    Attribute(usize),
    /// Nothing that the class has.
    Nothing,
}

/// The first value of a range, and the one after it if there are more.
type Bounds = (u64, Option<u64>);

/// Spellings beyond this number are looked up each time: a server must not fill our memory with them.
const MAX_SPELLINGS: usize = 2000;

impl EntryReader {
    pub(crate) fn new(class: Arc<EntryClass>) -> Self {
        Self { class, spellings: Vec::new(), guess: 0 }
    }

    pub(crate) fn class(&self) -> &Arc<EntryClass> {
        &self.class
    }

    /// Makes an object of an entry.
    ///
    /// # Errors
    /// Bytes that are no entry; nothing can be read after them.
    pub(crate) fn read(&mut self, mut entry: RawEntry<'_>) -> Result<Read, Malformed> {
        let class = Arc::clone(&self.class);
        let Ok(dn) = std::str::from_utf8(entry.dn) else {
            return Ok(Read::Failed(Error::invalid_data("an entry: its name is not text in UTF-8")));
        };
        let dn: Box<str> = class.spelled(dn.to_owned()).into();
        let mut found: Vec<(usize, Values)> = Vec::with_capacity(class.attributes.len().min(32));
        let mut ranges = Vec::new();
        let mut wrong = None;
        while let Some((description, mut raw)) = entry.attribute()? {
            let (at, range) = match self.meaning(description) {
                Some(meaning) => meaning,
                None => continue,
            };
            let attribute = &class.attributes[at];
            let mut values = Values::new();
            while let Some(bytes) = raw.next()? {
                match class.read(attribute, bytes) {
                    Ok(value) => values.push(value),
                    Err(expected) => wrong = Some((at, expected)),
                }
            }
            if class.has_derived() && attribute.name.eq_ignore_ascii_case("objectClass") {
                let mut texts = values.iter().filter_map(Value::as_str);
                if texts.any(|value| class.is_derived(value)) {
                    return Ok(Read::Derived);
                }
            }
            ranges.extend(range.map(|(from, next)| Range { at, from, next }));
            match found.iter_mut().find(|(known, _)| *known == at) {
                Some((_, known)) => known.extend(values),
                None => found.push((at, values)),
            }
        }
        let name_at = class.position(crate::schema::DN);
        if let Some(at) = name_at {
            found.push((at, Values::from_iter([Value::String(dn.clone())])));
        }
        found.sort_unstable_by_key(|(at, _)| *at);
        // The identifier is the class's first attribute.
        let identifier = match found.first() {
            Some((0, values)) => match values.as_slice() {
                [one] => one.to_text().map(|text| text.into_owned()),
                _ => None,
            },
            _ => None,
        };
        let Some(identifier) = identifier.filter(|identifier| !identifier.is_empty()) else {
            let attribute = &class.identifier().name;
            let message = format!(
                "{dn}: the entry shows no '{attribute}', which identifies entries; may the name that is bound with read it?"
            );
            return Ok(Read::Failed(Error::invalid_data(message)));
        };
        if let Some((at, expected)) = wrong {
            let message = format!("{dn}: a value of '{}' is not {expected}", class.attributes[at].name);
            return Ok(Read::Failed(Error::invalid_data(message).about(About::Object(identifier.into()))));
        }
        let mut attributes = Items::with_capacity(found.len());
        for (at, values) in found {
            attributes.push(Arc::clone(&class.attributes[at].name), values);
        }
        let object = ResourceObject::new(Arc::clone(&class.name), identifier, attributes).with_origin(dn);
        Ok(if ranges.is_empty() { Read::Object(object) } else { Read::Partial(object, ranges) })
    }

    /// Which attribute a description means, and its range, if it has one.
    fn meaning(&mut self, description: &[u8]) -> Option<(usize, Option<Bounds>)> {
        let known = self.spellings.get(self.guess).filter(|(spelling, _)| **spelling == *description).map(|_| self.guess);
        let known = known.or_else(|| self.spellings.iter().position(|(spelling, _)| **spelling == *description));
        if let Some(at) = known {
            self.guess = (at + 1) % self.spellings.len();
            return match self.spellings[at].1 {
                Meaning::Attribute(at) => Some((at, None)),
                Meaning::Nothing => None,
            };
        }
        let (meaning, range) = self.look_up(description);
        // A range is different for almost every entry that has one.
        if range.is_none() && self.spellings.len() < MAX_SPELLINGS {
            self.spellings.push((description.into(), meaning));
        }
        match meaning {
            Meaning::Attribute(at) => Some((at, range)),
            Meaning::Nothing => None,
        }
    }

    fn look_up(&self, description: &[u8]) -> (Meaning, Option<Bounds>) {
        let Ok(description) = std::str::from_utf8(description) else { return (Meaning::Nothing, None) };
        let mut parts = description.split(';');
        let name = parts.next().unwrap_or_default();
        let mut range = None;
        for option in parts {
            if option.eq_ignore_ascii_case("binary") {
                continue;
            }
            match option.get(..6).filter(|start| start.eq_ignore_ascii_case("range=")).and_then(|_| option[6..].split_once('-')) {
                Some((first, last)) => range = Some(bounds(first, last)),
                // Values in a language, and the like: they belong to an attribute of their own, which no class declares.
                None => return (Meaning::Nothing, None),
            }
        }
        match self.class.position(name) {
            Some(at) => (Meaning::Attribute(at), range),
            None => (Meaning::Nothing, None),
        }
    }
}

/// The bounds of a range. One that cannot be understood begins nowhere, so that nothing goes on with it.
fn bounds(first: &str, last: &str) -> Bounds {
    let next = if last == "*" { Ok(None) } else { last.parse::<u64>().map(|last| last.checked_add(1)) };
    match (first.parse(), next) {
        (Ok(first), Ok(next)) => (first, next),
        _ => (u64::MAX, None),
    }
}
