//! From what a resource says has changed to what can be synchronized: whole objects, and those that are gone.
//!
//! Changes stay in their order. Those of one object are decided one after the other, each seeing what the ones before it did.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidelock_connector_api::{Change, ChangeKind, Error, ErrorKind, Modification};
use tidelock_model::object::{Exclusion, ObjectClass, ResourceObject};
use tidelock_repo::{KnownShadow, ShadowKey, StoredShadow};
use tidelock_resolver::cached;

use crate::ahead::Snapshot;
use crate::error::Category;
use crate::part::Part;
use crate::source::{self, FailedItem, FoundObject, GoneObject, Item, MadeFrom};

/// A change that a resource has told of, checked as far as it goes without asking anybody.
#[derive(Clone)]
pub(crate) enum Incoming {
    /// All is known.
    Ready(Item),
    /// Attributes of the object have changed. What is stored of it, if that was read ahead.
    Delta(Subject, Vec<Modification>, Option<Box<Snapshot>>),
    /// Something about the object has changed.
    Notification(Subject),
    /// The object of this identifier is gone; nobody says of which class it was.
    Gone(Box<str>),
}

impl Incoming {
    /// Forgets what was read ahead.
    pub(crate) fn forget(&mut self) {
        if let Self::Delta(_, _, snapshot) = self {
            *snapshot = None;
        }
    }
}

/// The object that a change is about.
#[derive(Clone)]
pub(crate) struct Subject {
    class: Arc<ObjectClass>,
    /// The primary identifier, as the resource spells it.
    identifier: Box<str>,
    normalized: Box<str>,
}

/// Checks a change.
pub(crate) fn take(part: &Part, change: Change) -> Incoming {
    let Change { class, identifier, kind } = change;
    let class = match &kind {
        ChangeKind::Full(object) => Some(Arc::clone(&object.class)),
        _ => class.or_else(|| part.set.class.as_ref().map(|class| Arc::clone(&class.name))),
    };
    if let (Some(wanted), Some(class)) = (&part.set.class, &class)
        && wanted.name != *class
    {
        return Incoming::Ready(Item::PassedOver(Exclusion::NotApplicableForTask));
    }
    if let ChangeKind::Full(object) = kind {
        return Incoming::Ready(source::admit(part, object));
    }
    if identifier.is_empty() {
        return failed("a change", None, Category::Schema, "the change does not say which object it is about");
    }
    let known = class.as_ref().and_then(|class| part.policy.schema.class(class));
    match (kind, known) {
        (ChangeKind::Deleted(_), Some(class)) => {
            let identifier = class.normalize_identifier(&identifier).into();
            Incoming::Ready(Item::Gone(GoneObject { class: Arc::clone(&class.name), identifier }))
        }
        // Of a class that the schema does not have nobody is known.
        (ChangeKind::Deleted(_), None) if class.is_some() => {
            Incoming::Ready(Item::PassedOver(Exclusion::SynchronizationNotNeeded))
        }
        (ChangeKind::Deleted(_), None) => Incoming::Gone(identifier),
        (ChangeKind::Delta(modifications), Some(class)) => Incoming::Delta(Subject::new(class, identifier), modifications, None),
        (ChangeKind::Notification, Some(class)) => Incoming::Notification(Subject::new(class, identifier)),
        (_, None) => {
            let message = match class {
                Some(_) => "the change is about an object of a class that the schema does not have",
                None => "the change does not say of which class its object is",
            };
            failed(&identifier, None, Category::Schema, message)
        }
        (ChangeKind::Full(_), Some(_)) => Incoming::Ready(Item::PassedOver(Exclusion::SynchronizationNotNeeded)),
    }
}

/// A change that cannot be read.
pub(crate) fn unreadable(part: &Part, error: &Error) -> Incoming {
    failed(&source::unreadable(error), source::identity(part, error), error.kind().into(), error.full_message())
}

/// A failure that stands for a change.
pub(crate) fn failed(
    object: &str,
    identity: Option<(Arc<str>, Box<str>)>,
    category: Category,
    message: impl Into<String>,
) -> Incoming {
    Incoming::Ready(Item::Failed(FailedItem { object: object.to_owned(), category, message: message.into(), identity }))
}

/// How many changes are taken over at once. Those of one object can be decided one after the other within a chunk, as long as nothing
/// has to be found out between them. Where that turns out to be so, changes are taken for a while only up to the first object that
/// comes again.
#[derive(Default)]
pub(crate) struct Stride {
    apart: usize,
}

impl Stride {
    /// How many of these changes, from the first: at least one of some, and at most so many.
    pub(crate) fn of<'c>(&self, part: &Part, changes: impl IntoIterator<Item = &'c Incoming>, most: usize) -> usize {
        let mut met: HashMap<(&str, Cow<'_, str>), bool> = HashMap::new();
        let mut count = 0;
        for change in changes.into_iter().take(most) {
            // Whether all about the object is in the change and in what is stored.
            let (tells, identity) = match change {
                Incoming::Ready(item) => {
                    let identity = item.identity().map(|(class, id)| (&**class, Cow::Borrowed(id)));
                    (matches!(item, Item::Object(_)), identity)
                }
                Incoming::Delta(subject, ..) => (true, Some(subject.key())),
                Incoming::Notification(subject) => (false, Some(subject.key())),
                // It may be of any class.
                Incoming::Gone(identifier) => {
                    let mut classes = part.policy.schema.classes.iter();
                    if !classes.all(|class| met.insert((&class.name, class.normalize_identifier(identifier)), false).is_none()) {
                        break;
                    }
                    (false, None)
                }
            };
            if let Some(identity) = identity
                && let Some(told) = met.insert(identity, tells)
                && !(told && tells && self.apart == 0)
            {
                break;
            }
            count += 1;
        }
        count.max(1)
    }

    /// So many changes were taken, and so many of them could be decided.
    pub(crate) fn learn(&mut self, part: &Part, taken: usize, settled: usize) {
        self.apart = if settled < taken { part.chunk } else { self.apart.saturating_sub(settled) };
    }
}

/// Finds out what became of the objects, which all differ: by what is kept of them, else on the resource, with one question for
/// each class.
///
/// The inner error is the resource's, where it cannot be asked.
pub(crate) async fn resolve(part: &Part, changes: Vec<Incoming>) -> Result<Result<Vec<Item>, Error>, tidelock_repo::Error> {
    let mut changes = changes;
    let mut known = known(part, &mut changes).await?;
    let mut items: Vec<Option<Item>> = Vec::with_capacity(changes.len());
    let mut asked: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    let mut open: HashMap<usize, (Subject, Vec<Modification>)> = HashMap::new();
    let mut enough: HashMap<usize, bool> = HashMap::new();
    let mut lost: Vec<(usize, Box<str>)> = Vec::new();
    for (at, change) in changes.into_iter().enumerate() {
        if known.again.contains(&at)
            && let Incoming::Delta(subject, modifications, _) = change
        {
            items.push(Some(Item::Again(subject, modifications)));
            continue;
        }
        let (subject, modifications) = match change {
            Incoming::Ready(item) => {
                items.push(Some(item));
                continue;
            }
            Incoming::Gone(identifier) => {
                items.push(None);
                lost.push((at, identifier));
                continue;
            }
            Incoming::Delta(subject, modifications, _) => (subject, modifications),
            Incoming::Notification(subject) => (subject, Vec::new()),
        };
        let snapshot = known.stored.remove(&at);
        let is_enough = snapshot.as_ref().is_some_and(|snapshot| {
            if snapshot.object.is_some() {
                return true;
            }
            snapshot.known.fingerprint.is_some()
                && keeps_enough(part, &snapshot.stored, &mut enough)
                && !subject.is_renamed_by(&modifications)
        });
        items.push(match snapshot {
            Some(snapshot) if is_enough => Some(changed(part, subject, modifications, snapshot)),
            snapshot => {
                known.stored.extend(snapshot.map(|snapshot| (at, snapshot)));
                asked.entry(Arc::clone(&subject.class.name)).or_default().push(at);
                open.insert(at, (subject, modifications));
                None
            }
        });
    }
    for (at, item) in gone(part, &lost).await? {
        items[at] = Some(item);
    }
    for (class, asked) in asked {
        let subjects: Vec<&str> = asked.iter().filter_map(|at| open.get(at)).map(|(subject, _)| &*subject.identifier).collect();
        let read = match part.connector.get_many(&class, &subjects).await {
            Ok(read) if read.len() == subjects.len() => read.into_iter().map(Some).collect(),
            Ok(_) => {
                let message = "the connector answered for another number of objects than it was asked for";
                return Ok(Err(Error::new(ErrorKind::Unexpected, message)));
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => subjects.iter().map(|_| None).collect::<Vec<_>>(),
            Err(error) => return Ok(Err(error)),
        };
        for (at, read) in asked.into_iter().zip(read) {
            let Some((subject, modifications)) = open.remove(&at) else { continue };
            items[at] = Some(match read {
                Some(read) => found(part, subject, read),
                None => unread(part, subject, modifications, known.stored.remove(&at)),
            });
        }
    }
    // Every change has become an item by now.
    Ok(Ok(items.into_iter().flatten().collect()))
}

/// Changes again, from this one on, that have become items and were not processed: what was made of them by what was stored may be
/// another thing by now.
pub(crate) fn again(items: Vec<Item>, from: usize) -> impl DoubleEndedIterator<Item = Incoming> + ExactSizeIterator {
    items.into_iter().skip(from).map(|item| match item {
        Item::Object(FoundObject { made_from: Some(made_from), .. }) => {
            let MadeFrom { subject, modifications, snapshot } = *made_from;
            Incoming::Delta(subject, modifications, Some(snapshot))
        }
        Item::Again(subject, modifications) => Incoming::Delta(subject, modifications, None),
        item => Incoming::Ready(item),
    })
}

/// What is known of the objects of which changes say only a part, by the positions of the changes.
#[derive(Default)]
struct Known {
    /// What is stored of them.
    stored: HashMap<usize, Box<Snapshot>>,
    /// Those whose object comes before them.
    again: HashSet<usize>,
}

/// Takes what was read ahead, if it still holds, and reads the rest.
async fn known(part: &Part, changes: &mut [Incoming]) -> Result<Known, tidelock_repo::Error> {
    let mut known = Known::default();
    for (at, change) in changes.iter_mut().enumerate() {
        if let Incoming::Delta(_, _, snapshot) = change {
            known.stored.extend(snapshot.take().filter(|snapshot| snapshot.holds(&part.commits)).map(|found| (at, found)));
        }
    }
    let mut asked: BTreeMap<&Arc<str>, Vec<(usize, &Subject)>> = BTreeMap::new();
    let mut met: HashSet<(&str, &str)> = HashSet::new();
    for (at, change) in changes.iter().enumerate() {
        match change {
            Incoming::Ready(item) => met.extend(item.identity().map(|(class, identifier)| (&**class, identifier))),
            Incoming::Delta(subject, ..) if met.insert((&subject.class.name, &subject.normalized)) => {
                if !known.stored.contains_key(&at) {
                    asked.entry(&subject.class.name).or_default().push((at, subject));
                }
            }
            Incoming::Delta(..) => drop(known.again.insert(at)),
            Incoming::Notification(_) | Incoming::Gone(_) => {}
        }
    }
    let since = part.commits.count();
    let mut found: Vec<(usize, KnownShadow)> = Vec::new();
    for (class, asked) in asked {
        let identifiers = asked.iter().map(|(_, subject)| subject.normalized.clone()).collect();
        let looked_up = part.engine.repo.look_up(&part.resource, class, identifiers).await?;
        found.extend(asked.iter().zip(looked_up).filter_map(|((at, _), known)| Some((*at, known?))));
    }
    if !found.is_empty() {
        let keys: Vec<ShadowKey> = found.iter().map(|(_, known)| known.key).collect();
        let stored = part.engine.repo.load(&keys).await?;
        let snapshots = found.into_iter().zip(stored).filter_map(|((at, known), stored)| {
            let stored = stored?;
            Some((at, Box::new(Snapshot { known, stored, since, object: None })))
        });
        known.stored.extend(snapshots);
    }
    Ok(known)
}

/// Whether a shadow keeps whatever matters to synchronizing its object.
fn keeps_enough(part: &Part, stored: &StoredShadow, known: &mut HashMap<usize, bool>) -> bool {
    let type_ = stored.shadow.object_type.as_ref().and_then(|id| part.policy.type_of(id));
    type_.is_some_and(|at| *known.entry(at).or_insert_with(|| cached::missing(&part.policy.types[at]).is_empty()))
}

/// The object of a shadow, changed.
fn changed(part: &Part, subject: Subject, modifications: Vec<Modification>, mut snapshot: Box<Snapshot>) -> Item {
    let item = match snapshot.object.take() {
        Some(made) => Item::Object(made),
        None => subject.with(part, &modifications, &snapshot.stored),
    };
    match item {
        Item::Object(found) => {
            let made_from = Some(Box::new(MadeFrom { subject, modifications, snapshot }));
            Item::Object(FoundObject { made_from, ..found })
        }
        item => item,
    }
}

/// What a read has said.
fn found(part: &Part, subject: Subject, read: Result<Option<ResourceObject>, Error>) -> Item {
    match read {
        Ok(Some(object)) => source::admit(part, object),
        Ok(None) => Item::Gone(GoneObject { class: Arc::clone(&subject.class.name), identifier: subject.normalized }),
        Err(error) => Item::Failed(FailedItem {
            object: subject.identifier.to_string(),
            category: error.kind().into(),
            message: format!("the object could not be read: {}", error.full_message()),
            identity: Some((Arc::clone(&subject.class.name), subject.normalized)),
        }),
    }
}

/// What is known of an object where the resource cannot be read: its shadow has to do.
fn unread(part: &Part, subject: Subject, modifications: Vec<Modification>, snapshot: Option<Box<Snapshot>>) -> Item {
    match snapshot {
        Some(snapshot) if !modifications.is_empty() && !subject.is_renamed_by(&modifications) => {
            changed(part, subject, modifications, snapshot)
        }
        _ => Item::Failed(FailedItem {
            object: subject.identifier.to_string(),
            category: Category::Unsupported,
            message: "the change does not say all about the object, and the resource cannot be read".to_owned(),
            identity: Some((Arc::clone(&subject.class.name), subject.normalized)),
        }),
    }
}

/// Objects that are gone, of whichever class, by the positions of the changes.
async fn gone(part: &Part, lost: &[(usize, Box<str>)]) -> Result<Vec<(usize, Item)>, tidelock_repo::Error> {
    let mut known: Vec<Vec<GoneObject>> = lost.iter().map(|_| Vec::new()).collect();
    if !lost.is_empty() {
        for class in &part.policy.schema.classes {
            let normalized: Vec<Box<str>> = lost.iter().map(|(_, id)| class.normalize_identifier(id).into()).collect();
            let found = part.engine.repo.look_up(&part.resource, &class.name, normalized.clone()).await?;
            for ((known, identifier), found) in known.iter_mut().zip(normalized).zip(found) {
                if found.is_some() {
                    known.push(GoneObject { class: Arc::clone(&class.name), identifier });
                }
            }
        }
    }
    let item = |identifier: &str, mut known: Vec<GoneObject>| match (known.pop(), known.is_empty()) {
        (None, _) => Item::PassedOver(Exclusion::SynchronizationNotNeeded),
        (Some(gone), true) => Item::Gone(gone),
        (Some(_), false) => Item::Failed(FailedItem {
            object: identifier.to_owned(),
            category: Category::Schema,
            message: "an object is gone, and there are several of its identifier, in different classes".to_owned(),
            identity: None,
        }),
    };
    Ok(lost.iter().zip(known).map(|((at, identifier), known)| (*at, item(identifier, known))).collect())
}

impl Subject {
    fn new(class: &Arc<ObjectClass>, identifier: Box<str>) -> Self {
        let normalized = class.normalize_identifier(&identifier).into();
        Self { class: Arc::clone(class), identifier, normalized }
    }

    /// The class and the normalized identifier.
    pub(crate) fn identity(&self) -> (&Arc<str>, &str) {
        (&self.class.name, &self.normalized)
    }

    fn key(&self) -> (&str, Cow<'_, str>) {
        (&self.class.name, Cow::Borrowed(&*self.normalized))
    }

    /// The object with these changes, if all that matters about it is kept with its shadow.
    pub(crate) fn apply(&self, part: &Part, modifications: &[Modification], stored: &StoredShadow) -> Option<FoundObject> {
        if self.is_renamed_by(modifications) || !keeps_enough(part, stored, &mut HashMap::new()) {
            return None;
        }
        match self.with(part, modifications, stored) {
            Item::Object(found) => Some(found),
            _ => None,
        }
    }

    fn with(&self, part: &Part, modifications: &[Modification], stored: &StoredShadow) -> Item {
        let mut attributes = stored.shadow.attributes.clone();
        for modification in modifications {
            modification.apply(&mut attributes, &self.class);
        }
        let (class, identifier) = (Arc::clone(&self.class.name), self.identifier.clone());
        source::admit(part, ResourceObject { class, identifier, attributes, origin: None })
    }

    /// Whether the identifier itself is said to be another one, which then nobody but the resource can tell.
    fn is_renamed_by(&self, modifications: &[Modification]) -> bool {
        modifications.iter().any(|one| **one.attribute() == *self.class.primary_identifier)
    }
}
