//! A declarative mapping from messages of any form to changes.

use std::sync::Arc;

use tidelock_connector_api::{Change, Modification, Result};
use tidelock_model::object::ObjectClass;
use tidelock_model::value::{Items, Values};

use super::tree::{Map, TEXT, Tree, get};
use super::typed::{Quantity, values};
use super::{Decoder, MAX_CHANGES, invalid, object, shown, too_many};

/// What messages of a form of their own mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The way to the changes, where a message may bring several; all other paths begin there.
    pub each: Option<Path>,
    /// The object class.
    pub class: Word<Arc<str>>,
    /// What the message says.
    pub change: Word<ChangeWord>,
    /// The way to the identifier.
    pub identifier: Path,
    /// The way to a part whose members are attributes of their names, where there is one.
    pub attributes: Option<Path>,
    /// Attributes one by one.
    pub attribute: Vec<MappedAttribute>,
}

/// Something that is the same for every message, or that a message says by a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<T> {
    /// It is always this.
    Always(T),
    /// The message says it.
    Said {
        /// The way to the value.
        path: Path,
        /// What values mean; the value itself is meant where there are none.
        values: Vec<(Box<str>, T)>,
    },
}

/// What a message can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeWord {
    /// The object is now this.
    Full,
    /// These attributes of the object are now this.
    Delta,
    /// The object is gone.
    Deleted,
    /// Something about the object has changed.
    Notification,
    /// Nothing that is of interest.
    Nothing,
}

/// An attribute that a message has somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedAttribute {
    /// The attribute's name.
    pub name: Arc<str>,
    /// The way to its values.
    pub path: Path,
    /// What its numbers mean.
    pub quantity: Option<Quantity>,
}

/// A way through a message: names, with slashes between them. An XML attribute is `@name`. In a name, `~1` is a slash and `~0`
/// a tilde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Box<str>>);

impl ChangeWord {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 5] = [
        ("full", Self::Full),
        ("delta", Self::Delta),
        ("deleted", Self::Deleted),
        ("notification", Self::Notification),
        ("nothing", Self::Nothing),
    ];
}

impl Path {
    /// The most steps of a path.
    const MAX_STEPS: usize = 64;

    /// Reads a path; none if a name in it is empty, or it is too long. `.` and `/` are where the path begins.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('/').unwrap_or(text);
        if matches!(text, "" | ".") {
            return Some(Self(Vec::new()));
        }
        let steps: Vec<Box<str>> = text.split('/').map(|step| step.replace("~1", "/").replace("~0", "~").into()).collect();
        (steps.len() <= Self::MAX_STEPS && steps.iter().all(|step| !step.is_empty())).then_some(Self(steps))
    }

    /// Everything at the end of the path. Lists on the way are gone through; one at the end stays a list.
    fn find<'t, 'a>(&self, from: &'t Tree<'a>) -> Vec<&'t Tree<'a>> {
        let mut here = vec![from];
        for step in &self.0 {
            let mut next = Vec::new();
            for tree in here {
                match tree {
                    Tree::List(items) => {
                        next.extend(items.iter().filter_map(|item| as_map(item)).filter_map(|map| get(map, step)));
                    }
                    tree => next.extend(as_map(tree).and_then(|map| get(map, step))),
                }
            }
            here = next;
        }
        here
    }

    /// The one simple value at the end of the path, as text; an error where there are several.
    fn text(&self, from: &Tree<'_>, place: &str) -> Result<Option<String>> {
        let found = self.find(from);
        let single = |tree: &Tree<'_>| match tree {
            Tree::Text(text) => Some(text.trim().to_owned()),
            Tree::Integer(number) => Some(number.to_string()),
            Tree::Boolean(flag) => Some(flag.to_string()),
            Tree::Map(map) => match get(map, TEXT) {
                Some(Tree::Text(text)) => Some(text.trim().to_owned()),
                _ => None,
            },
            _ => None,
        };
        match found.as_slice() {
            [] | [Tree::Null] => Ok(None),
            [one] => single(one).map(Some).ok_or_else(|| self.wrong(place, "there is no simple value")),
            _ => Err(self.wrong(place, "there are several values, where one is expected")),
        }
    }

    fn wrong(&self, place: &str, reason: &str) -> tidelock_connector_api::Error {
        invalid(&format!("{place}{self}"), reason)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

fn as_map<'t, 'a>(tree: &'t Tree<'a>) -> Option<&'t Map<'a>> {
    match tree {
        Tree::Map(map) => Some(map),
        _ => None,
    }
}

impl Mapping {
    /// The paths to what is no attribute.
    fn other_paths(&self) -> impl Iterator<Item = &Path> {
        let class = match &self.class {
            Word::Said { path, .. } => Some(path),
            Word::Always(_) => None,
        };
        let change = match &self.change {
            Word::Said { path, .. } => Some(path),
            Word::Always(_) => None,
        };
        [Some(&self.identifier), class, change].into_iter().flatten()
    }
}

/// The changes of a message.
pub(super) fn changes(decoder: &Decoder, tree: &Tree<'_>) -> Result<Vec<Change>> {
    let Some(mapping) = &decoder.mapping else {
        return Err(invalid("/", "there is no mapping that says what the message means"));
    };
    let found = match &mapping.each {
        None => vec![tree],
        Some(path) => path.find(tree),
    };
    let each: Vec<&Tree<'_>> = found
        .into_iter()
        .flat_map(|tree| match tree {
            Tree::List(items) => items.iter().collect(),
            one => vec![one],
        })
        .take(MAX_CHANGES + 1)
        .collect();
    if each.len() > MAX_CHANGES {
        return Err(too_many());
    }
    let mut changes = Vec::with_capacity(each.len());
    let begin = mapping.each.as_ref().map(ToString::to_string);
    for (at, one) in each.iter().enumerate() {
        let place = begin.as_ref().map(|path| format!("{path}[{at}]")).unwrap_or_default();
        changes.extend(change(decoder, mapping, one, &place)?);
    }
    Ok(changes)
}

fn change(decoder: &Decoder, mapping: &Mapping, tree: &Tree<'_>, place: &str) -> Result<Option<Change>> {
    let word = match &mapping.change {
        Word::Always(word) => *word,
        Word::Said { path, values } => {
            let said = path.text(tree, place)?.ok_or_else(|| path.wrong(place, "what has changed is not said"))?;
            let meant = match values.is_empty() {
                true => ChangeWord::ALL.iter().find(|(name, _)| *name == said).map(|(_, word)| *word),
                false => values.iter().find(|(value, _)| **value == *said).map(|(_, word)| *word),
            };
            meant.ok_or_else(|| path.wrong(place, "this value is not among those that the mapping knows"))?
        }
    };
    if word == ChangeWord::Nothing {
        return Ok(None);
    }
    let class = match &mapping.class {
        Word::Always(class) => decoder.class(class, place)?,
        Word::Said { path, values } => {
            let said = path.text(tree, place)?.ok_or_else(|| path.wrong(place, "the object class is not said"))?;
            let place = format!("{place}{path}");
            match values.is_empty() {
                true => decoder.class(&said, &place)?,
                false => match values.iter().find(|(value, _)| **value == *said) {
                    Some((_, class)) => decoder.class(class, &place)?,
                    None => return Err(invalid(&place, "this value is not among those that the mapping knows")),
                },
            }
        }
    };
    let place_of_identifier = format!("{place}{}", mapping.identifier);
    let found = mapping.identifier.find(tree);
    let identifier = match found.as_slice() {
        [] => return Err(invalid(&place_of_identifier, "the identifier is missing")),
        [one] => object::identifier(one, class, None, &place_of_identifier)?,
        _ => return Err(invalid(&place_of_identifier, "there are several identifiers")),
    };
    let place = if place.is_empty() { "/" } else { place };
    Ok(Some(match word {
        ChangeWord::Deleted => object::deleted(class, &identifier, None, place)?,
        ChangeWord::Notification => object::notification(class, &identifier, place)?,
        ChangeWord::Full => {
            let mut items = Items::new();
            for (name, values) in attributes(decoder, mapping, class, tree, place)? {
                items.set(name, values);
            }
            object::full(class, Some(identifier), items, place)?
        }
        ChangeWord::Delta => {
            let found = attributes(decoder, mapping, class, tree, place)?;
            let modifications = found.into_iter().map(|(name, values)| Modification::Replace(name, values)).collect();
            object::delta(class, &identifier, modifications, place)?
        }
        ChangeWord::Nothing => return Ok(None),
    }))
}

/// The attributes that a message mentions; one without values is mentioned to have none.
fn attributes(
    decoder: &Decoder,
    mapping: &Mapping,
    class: &ObjectClass,
    tree: &Tree<'_>,
    place: &str,
) -> Result<Vec<(Arc<str>, Values)>> {
    let begin = place.trim_end_matches('/');
    let mut read: Vec<(Arc<str>, Values)> = Vec::new();
    for mapped in &mapping.attribute {
        let place = format!("{begin}{}", mapped.path);
        let Some(attribute) = class.attribute(&mapped.name) else {
            let reason = format!("the object class '{}' has no attribute '{}'", shown(&class.name), shown(&mapped.name));
            return Err(invalid(&place, reason));
        };
        let found = mapped.path.find(tree);
        let found = match found.as_slice() {
            [] => continue,
            [one] => values(one, attribute, mapped.quantity, &place)?,
            several => {
                let all = several.iter().flat_map(|tree| match tree {
                    Tree::List(items) => items.clone(),
                    one => vec![(*one).clone()],
                });
                values(&Tree::List(all.collect()), attribute, mapped.quantity, &place)?
            }
        };
        read.push((Arc::clone(&attribute.name), found));
    }
    let Some(path) = &mapping.attributes else { return Ok(read) };
    let place = format!("{begin}{path}");
    let found = path.find(tree);
    let map = match found.as_slice() {
        [] | [Tree::Null] => return Ok(read),
        [Tree::Map(map)] => map,
        _ => return Err(invalid(&place, "one object with attributes is expected here")),
    };
    for (name, value) in map {
        // What is mapped by itself is not meant again by being there.
        if mapping.attribute.iter().any(|mapped| *mapped.name == **name || is_below(path, &mapped.path, name)) {
            continue;
        }
        if class.attribute(name).is_none() && mapping.other_paths().any(|other| is_below(path, other, name)) {
            continue;
        }
        let place = format!("{place}/{}", shown(name));
        if let Some(attribute) = decoder.attribute(class, name, &place)? {
            read.push((Arc::clone(&attribute.name), values(value, attribute, None, &place)?));
        }
    }
    Ok(read)
}

/// Whether a path leads through a member of the part at another path.
fn is_below(part: &Path, path: &Path, name: &str) -> bool {
    path.0.len() > part.0.len() && path.0.starts_with(&part.0) && *path.0[part.0.len()] == *name
}
