//! Objects that a search has found.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidelock_model::Oid;
use tidelock_model::object::{Exclusion, Shadow, Situation};
use tidelock_repo::{Error, Fingerprint, FocusKey, IndexedItem, KnownShadow, ShadowKey, ShadowRef, StoredShadow};
use tidelock_resolver::cached;
use tidelock_resolver::classify::{Classification, classify};
use tidelock_resolver::correlate::Correlation;
use tidelock_resolver::exclusion::{Excluded, exclusion};
use tidelock_resolver::object_set::FailedSelection;
use tidelock_resolver::policy::TypePolicy;
use tidelock_resolver::reaction::react;
use tidelock_resolver::situation::situation;
use uuid::Uuid;

use crate::error::Category;
use crate::part::Part;
use crate::source::{FoundObject, Item, MadeFrom};
use crate::statistics::{Outcome, Passage};
use crate::synchronize::correlation::{Candidates, Sought};
use crate::synchronize::overlay::{Candidate, Overlay};
use crate::synchronize::reaction::{self, Owner, Subject};
use crate::synchronize::writer::{Anchor, ShadowDraft, Writer, passage};
use crate::synchronize::{Circumstances, Cut, Decided, ItemError, missed};

/// What the first look says of an item.
enum Look<'i> {
    /// It could not be read. Its shadow, if it is known, and whether it was met before in this run: what is said of it since then
    /// is kept.
    Failed { shadow: Option<ShadowKey>, met: bool },
    /// It is not one of those that failed, which alone are meant.
    NotMeant,
    /// It is as it was when it was last synchronized. What is stored of it, where that had to be read all the same.
    Unchanged(ShadowKey, Option<&'i StoredShadow>),
    /// It was met before in this run; with the same content, or with another. Its shadow, unless that was in this very chunk.
    Repeated { same: bool, shadow: Option<ShadowKey> },
    /// It has to be decided.
    Decide(Box<Open<'i>>),
    /// The object is that of an item before it in the chunk, of this place: what it is now depends on what becomes of that.
    Again(usize),
    /// It is gone. Its shadow, once it is loaded, and those that its owner has.
    Bury(ShadowKey, Option<Box<StoredShadow>>, Vec<StoredShadow>),
    /// It is gone, and nobody knew it.
    Unknown,
}

/// An object that has to be decided.
struct Open<'i> {
    known: Option<(ShadowKey, Option<Fingerprint>)>,
    stored: Option<Cow<'i, StoredShadow>>,
    type_: Option<usize>,
    excluded: Option<Excluded>,
    /// Which of the sought it is; or why its owner cannot be sought. None if it need not be.
    sought: Option<Result<usize, ItemError>>,
}

/// Decides about objects, in order, until one needs those before it to be committed first.
pub(crate) async fn decide(part: &Part, given: Circumstances<'_>, items: &[Item]) -> Result<Decided, Error> {
    let Circumstances { indexed, refused, tally, anew } = given;
    let mut looks = look(part, items, anew).await?;
    load(part, items, &mut looks).await?;
    let mut sought = seek(part, indexed, items, &mut looks);
    let mut candidates = Candidates::new(indexed);
    candidates.ask(part, &mut sought).await?;
    let shared = shared(part, &looks, &candidates).await?;

    let mut writer = Writer::new(part, Overlay::new(indexed), tally);
    for look in &looks {
        if let Look::Again(first) = look
            && let Some(stored) = looks[*first].stored()
        {
            writer.watch(stored.key);
        }
    }
    for (at, (item, look)) in items.iter().zip(&looks).enumerate() {
        if part.errors.retries() && look.is_met_in_chunk() {
            // Its shadow has to be there before a failure can be tried again.
            return Ok(writer.finish(at));
        }
        writer.turn_to(at);
        match (item, look) {
            (item, Look::Again(first)) => {
                let first = looks[*first].stored();
                if let Err(Cut) = again(&mut writer, item, first, (&sought, &candidates), refused) {
                    return Ok(writer.finish(at));
                }
            }
            (Item::Object(FoundObject { made_from: Some(_), .. }), look) if look.is_disturbed(&writer, &shared) => {
                return Ok(writer.finish(at));
            }
            (Item::Object(found), Look::Decide(open)) => {
                let mut one = One { writer: &mut writer, found, open, refused };
                if let Err(Cut) = one.decide(&sought, &candidates) {
                    return Ok(writer.finish(at));
                }
            }
            (Item::Object(found), Look::Unchanged(key, stored)) => {
                if shared.get(key).is_some_and(|owner| writer.overlay.touches(*owner)) {
                    // Its owner is another one by now, so that this object is not unchanged any longer.
                    return Ok(writer.finish(at));
                }
                if let Some(stored) = stored {
                    writer.leave(stored, found.fingerprint);
                }
                unchanged(&mut writer, *key);
            }
            (Item::Object(_), Look::Repeated { same: true, .. }) => writer.pass_over(Exclusion::Synchronized),
            (Item::PassedOver(reason), _) => writer.pass_over(*reason),
            // What is said again is nothing else.
            (Item::Again(..), _) => return Ok(writer.finish(at)),
            (_, Look::NotMeant) => writer.pass_over(Exclusion::NotApplicableForTask),
            (Item::Gone(_), Look::Bury(_, Some(stored), siblings)) => {
                if let Err(Cut) = bury(&mut writer, stored, siblings, refused) {
                    return Ok(writer.finish(at));
                }
            }
            (Item::Gone(_), _) => writer.pass_over(Exclusion::SynchronizationNotNeeded),
            (Item::Object(found), look) => {
                let error = ItemError::new(
                    Category::Schema,
                    "the identifier comes more than once, with different content; the first was taken",
                );
                let anchor = look.shadow().map_or(Anchor::Nothing, |key| Anchor::Shadow(ShadowRef::Stored(key)));
                writer.failure(found.display(), Passage::default(), &error, anchor);
            }
            (Item::Failed(failed), look) => {
                let error = ItemError::new(failed.category, failed.message.clone());
                if let Look::Failed { shadow: Some(key), met: false } = look {
                    writer.result(ShadowRef::Stored(*key), Some(&error));
                }
                let anchor = match (look.shadow(), &failed.identity) {
                    (Some(key), _) => Anchor::Shadow(ShadowRef::Stored(key)),
                    (None, Some((class, identifier))) => Anchor::New(class, identifier),
                    (None, None) => Anchor::Nothing,
                };
                writer.failure(failed.object.clone(), Passage::default(), &error, anchor);
            }
        }
        if writer.is_stopped() {
            return Ok(writer.finish(at + 1));
        }
    }
    Ok(writer.finish(items.len()))
}

/// An object is as it was when it was last synchronized.
fn unchanged(writer: &mut Writer<'_>, key: ShadowKey) {
    writer.seen(ShadowRef::Stored(key), true);
    let linked = Some(Situation::Linked);
    writer.statistics.passed(passage(linked, linked, linked), Outcome::Success);
}

/// An object that an item before it in the chunk is about, and left linked to whom it was linked to. Everything else is for after the
/// commit to find out.
fn again(
    writer: &mut Writer<'_>,
    item: &Item,
    first: Option<&StoredShadow>,
    (sought, candidates): (&[Sought<'_>], &Candidates<'_>),
    refused: Option<&ItemError>,
) -> Result<(), Cut> {
    let part = writer.part;
    let first = first.ok_or(Cut)?;
    let owner = first.owner.as_ref().ok_or(Cut)?;
    let (written, fingerprint) = writer.written(first.key, owner.key).ok_or(Cut)?;
    let shadow = Shadow { owner: first.shadow.owner.clone(), ..written.clone() };
    let stored = StoredShadow { key: first.key, shadow, owner: Some(owner.clone()) };
    let made;
    let found = match item {
        Item::Object(found) => found,
        Item::Again(subject, modifications) => {
            made = subject.apply(part, modifications, &stored).filter(|_| fingerprint.is_some()).ok_or(Cut)?;
            &made
        }
        _ => return Err(Cut),
    };
    let known = KnownShadow { key: first.key, fingerprint, last_run: part.run };
    match recognize(part, found, &known) {
        Look::Unchanged(key, _) => unchanged(writer, key),
        Look::Decide(mut open) => {
            open.stored = Some(Cow::Owned(stored));
            open.assess(part, found);
            One { writer, found, open: &open, refused }.decide(sought, candidates)?;
        }
        _ => return Err(Cut),
    }
    Ok(())
}

/// The shadow of a gone object dies.
fn bury(
    writer: &mut Writer<'_>,
    stored: &StoredShadow,
    siblings: &[StoredShadow],
    refused: Option<&ItemError>,
) -> Result<(), Cut> {
    if let Some(owner) = &stored.owner
        && (writer.overlay.current(owner).is_none() || writer.concerns(owner.key))
    {
        // Whose it is, or what else the owner has, is another thing by now.
        return Err(Cut);
    }
    if !writer.part.set.post_filter.admits(&stored.shadow.class, stored.shadow.object_type.as_ref()) {
        writer.pass_over(Exclusion::NotApplicableForTask);
        return Ok(());
    }
    let has_other = siblings.iter().any(|other| missed::is_alike(stored, other));
    missed::bury(writer, stored, has_other, refused);
    Ok(())
}

/// The first look at a chunk: one question to the repository for each object class in it.
async fn look<'i>(part: &Part, items: &'i [Item], anew: bool) -> Result<Vec<Look<'i>>, Error> {
    let mut looks: Vec<Look<'i>> = Vec::with_capacity(items.len());
    let mut first: HashMap<(&str, &str), (usize, Option<&Fingerprint>)> = HashMap::with_capacity(items.len());
    let mut asked: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        match item {
            Item::Object(found) => match first.entry((&found.object.class, &found.identifier)) {
                Entry::Vacant(entry) => {
                    entry.insert((at, Some(&found.fingerprint)));
                    match found.made_from.as_deref().filter(|_| !anew) {
                        Some(made_from) => looks.push(made(part, found, made_from)),
                        None => {
                            asked.entry(&found.object.class).or_default().push(at);
                            looks.push(Look::Decide(Box::new(Open::unknown())));
                        }
                    }
                }
                Entry::Occupied(entry) if part.meets_once() => {
                    let same = entry.get().1 == Some(&found.fingerprint);
                    looks.push(Look::Repeated { same, shadow: None });
                }
                Entry::Occupied(entry) => looks.push(Look::Again(entry.get().0)),
            },
            Item::Again(subject, _) => {
                let (class, identifier) = subject.identity();
                looks.push(first.get(&(&**class, identifier)).map_or(Look::NotMeant, |(at, _)| Look::Again(*at)));
            }
            Item::Failed(failed) => {
                // What is said of an object that was met before in this run is kept, whatever comes under its name.
                let met =
                    failed.identity.as_ref().is_some_and(|(class, identifier)| first.contains_key(&(&**class, &**identifier)));
                looks.push(Look::Failed { shadow: None, met });
                if let Some((class, _)) = failed.identity.as_ref().filter(|_| !met) {
                    asked.entry(class).or_default().push(at);
                }
            }
            Item::Gone(gone) => {
                looks.push(Look::Unknown);
                asked.entry(&gone.class).or_default().push(at);
            }
            Item::PassedOver(_) => looks.push(Look::NotMeant),
        }
        if !part.meets_once()
            && let Some((class, identifier)) = item.identity()
        {
            // A change that turned out to be another one than it seemed.
            first.entry((class, identifier)).or_insert((at, None));
        }
    }
    let mut keys = vec![None; items.len()];
    for (class, asked) in asked {
        let identifiers = asked.iter().filter_map(|&at| items[at].identity().map(|(_, identifier)| identifier.into())).collect();
        let known = part.engine.repo.look_up(&part.resource, class, identifiers).await?;
        for (at, known) in asked.into_iter().zip(known) {
            let Some(known) = known else { continue };
            keys[at] = Some(known.key);
            match &items[at] {
                Item::Object(found) => looks[at] = recognize(part, found, &known),
                Item::Failed(_) => {
                    let met = known.last_run == part.run && part.meets_once();
                    looks[at] = Look::Failed { shadow: Some(known.key), met };
                }
                Item::Gone(_) => looks[at] = Look::Bury(known.key, None, Vec::new()),
                Item::PassedOver(_) | Item::Again(..) => {}
            }
        }
    }
    select(part, items, &keys, &mut looks).await?;
    Ok(looks)
}

/// Leaves out what has not failed, where failed objects alone are meant.
async fn select(part: &Part, items: &[Item], keys: &[Option<ShadowKey>], looks: &mut [Look<'_>]) -> Result<(), Error> {
    let Some(results) = part.results.as_ref().filter(|_| part.selects(FailedSelection::Filter)) else { return Ok(()) };
    let known: Vec<ShadowKey> = keys.iter().flatten().copied().collect();
    let mut meant = part.engine.repo.have_results(&known, results).await?.into_iter();
    for (key, look) in keys.iter().zip(looks.iter_mut()) {
        let is_meant = key.is_some() && meant.next().unwrap_or_default();
        if !is_meant && !matches!(look, Look::Repeated { .. }) {
            *look = Look::NotMeant;
        }
    }
    // What comes again is no more meant than it was at first.
    let mut left_out = HashSet::new();
    for (item, look) in items.iter().zip(looks) {
        let Item::Object(found) = item else { continue };
        let identity = (&found.object.class, &found.identifier);
        match look {
            Look::NotMeant => drop(left_out.insert(identity)),
            Look::Repeated { .. } if left_out.contains(&identity) => *look = Look::NotMeant,
            _ => {}
        }
    }
    Ok(())
}

/// What is known of an object that was made from what is stored.
fn made<'i>(part: &Part, found: &FoundObject, made_from: &'i MadeFrom) -> Look<'i> {
    let mut look = recognize(part, found, &made_from.snapshot.known);
    match &mut look {
        Look::Decide(open) => open.stored = Some(Cow::Borrowed(&made_from.snapshot.stored)),
        Look::Unchanged(_, stored) => *stored = Some(&made_from.snapshot.stored),
        _ => {}
    }
    look
}

fn recognize<'i>(part: &Part, found: &FoundObject, known: &KnownShadow) -> Look<'i> {
    let same = known.fingerprint == Some(found.fingerprint);
    if known.last_run == part.run && part.meets_once() {
        Look::Repeated { same, shadow: Some(known.key) }
    } else if same && part.classification() == Classification::Keep {
        Look::Unchanged(known.key, None)
    } else {
        Look::Decide(Box::new(Open { known: Some((known.key, known.fingerprint)), ..Open::unknown() }))
    }
}

/// Loads what is stored of the objects to be decided, and says what they are.
async fn load(part: &Part, items: &[Item], looks: &mut [Look<'_>]) -> Result<(), Error> {
    let keys: Vec<ShadowKey> = looks.iter().filter_map(Look::to_load).collect();
    let mut stored = if keys.is_empty() { Vec::new() } else { part.engine.repo.load(&keys).await? }.into_iter();
    for (item, look) in items.iter().zip(&mut *looks) {
        let loaded = if look.to_load().is_some() { stored.next().flatten() } else { None };
        match (look, item) {
            (Look::Bury(_, shadow, _), _) => *shadow = loaded.map(Box::new),
            (Look::Decide(open), Item::Object(found)) => {
                open.stored = open.stored.take().or(loaded.map(Cow::Owned));
                open.assess(part, found);
            }
            _ => {}
        }
    }
    load_siblings(part, looks).await
}

/// Loads what the owners of gone objects have besides.
async fn load_siblings(part: &Part, looks: &mut [Look<'_>]) -> Result<(), Error> {
    let owners: Vec<FocusKey> = looks.iter().filter_map(Look::bereaved).collect();
    if owners.is_empty() {
        return Ok(());
    }
    let mut projections = part.engine.repo.projections(&owners).await?.into_iter();
    for look in looks.iter_mut().filter(|look| look.bereaved().is_some()) {
        if let Look::Bury(_, _, siblings) = look {
            *siblings = projections.next().unwrap_or_default();
        }
    }
    Ok(())
}

/// The unchanged objects whose owners may be changed by others of the chunk, with these owners.
async fn shared(part: &Part, looks: &[Look<'_>], candidates: &Candidates<'_>) -> Result<HashMap<ShadowKey, FocusKey>, Error> {
    if !looks.iter().any(|look| matches!(look, Look::Unchanged(_, None))) {
        return Ok(HashMap::new());
    }
    let owners = looks.iter().filter_map(|look| Some(look.stored()?.owner.as_ref()?.key));
    let bereaved = looks.iter().filter_map(Look::bereaved);
    let mut foci: Vec<FocusKey> = owners.chain(bereaved).chain(candidates.all()).collect();
    foci.sort_unstable();
    foci.dedup();
    if foci.is_empty() {
        return Ok(HashMap::new());
    }
    let projections = part.engine.repo.projections(&foci).await?;
    let pairs = foci.iter().zip(projections).flat_map(|(focus, shadows)| shadows.into_iter().map(|stored| (stored.key, *focus)));
    Ok(pairs.collect())
}

/// Prepares the search for the owners of those that have none.
fn seek<'a>(part: &'a Part, indexed: &[IndexedItem], items: &'a [Item], looks: &mut [Look<'_>]) -> Vec<Sought<'a>> {
    let mut all = Vec::new();
    for (item, look) in items.iter().zip(looks) {
        let (Item::Object(found), Look::Decide(open)) = (item, look) else { continue };
        let owned = open.stored.as_ref().is_some_and(|stored| stored.owner.is_some());
        let Some(type_) = open.type_.filter(|_| !owned && open.excluded.is_none()) else { continue };
        open.sought = Some(Sought::new(part, indexed, &part.policy.types[type_], &found.object).map(|sought| {
            all.push(sought);
            all.len() - 1
        }));
    }
    all
}

impl Look<'_> {
    /// What is stored of an object, if that was read.
    fn stored(&self) -> Option<&StoredShadow> {
        match self {
            Self::Decide(open) => open.stored.as_deref(),
            Self::Unchanged(_, stored) => *stored,
            _ => None,
        }
    }

    /// The shadow of an object that cannot be decided.
    fn shadow(&self) -> Option<ShadowKey> {
        match self {
            Self::Failed { shadow, .. } | Self::Repeated { shadow, .. } => *shadow,
            _ => None,
        }
    }

    /// Whether this cannot be decided, and an object before it in the chunk has the same identifier.
    fn is_met_in_chunk(&self) -> bool {
        matches!(self, Self::Failed { shadow: None, met: true } | Self::Repeated { same: false, shadow: None })
    }

    /// Whether the owner's fingerprints are gone by now, after which an object has to be read to be known.
    fn is_disturbed(&self, writer: &Writer<'_>, shared: &HashMap<ShadowKey, FocusKey>) -> bool {
        let owner = match self {
            Self::Decide(open) => open.stored.as_ref().and_then(|stored| stored.owner.as_ref()).map(|owner| owner.key),
            Self::Unchanged(_, Some(stored)) => stored.owner.as_ref().map(|owner| owner.key),
            Self::Unchanged(key, None) => shared.get(key).copied(),
            _ => None,
        };
        owner.is_some_and(|owner| writer.overlay.touches(owner))
    }

    /// The shadow that has to be loaded.
    fn to_load(&self) -> Option<ShadowKey> {
        match self {
            Self::Decide(open) if open.stored.is_none() => Some(open.known?.0),
            Self::Bury(key, ..) => Some(*key),
            _ => None,
        }
    }

    /// Who has lost a gone object.
    fn bereaved(&self) -> Option<FocusKey> {
        match self {
            Self::Bury(_, stored, _) => Some(stored.as_ref()?.owner.as_ref()?.key),
            _ => None,
        }
    }
}

impl Open<'_> {
    fn unknown() -> Self {
        Self { known: None, stored: None, type_: None, excluded: None, sought: None }
    }

    /// Says what an object is, by what is stored of it.
    fn assess(&mut self, part: &Part, found: &FoundObject) {
        let object = &found.object;
        let current = self.stored.as_ref().and_then(|stored| stored.shadow.object_type.as_ref());
        let is_typed = current.is_some_and(|id| part.policy.type_of(id).is_some());
        self.type_ = if part.set.no_fetch && !is_typed && !cached::can_classify(&part.policy, &object.class) {
            // What its type depends on is not known here.
            None
        } else {
            classify(&part.policy, object, current, part.classification())
        };
        let type_ = self.type_.map(|at| &part.policy.types[at]);
        self.excluded = if part.set.post_filter.admits(&object.class, type_.map(|type_| &type_.id)) {
            exclusion(type_, Some(object))
        } else {
            Some(Excluded { reason: Exclusion::NotApplicableForTask, full: false })
        };
    }
}

/// One object that is being decided.
struct One<'o, 'w, 'p> {
    writer: &'o mut Writer<'p>,
    found: &'o FoundObject,
    open: &'o Open<'o>,
    refused: Option<&'w ItemError>,
}

impl One<'_, '_, '_> {
    fn decide(&mut self, sought: &[Sought<'_>], candidates: &Candidates<'_>) -> Result<(), Cut> {
        let part = self.writer.part;
        let stored = self.open.stored.as_deref();
        let before = stored.and_then(|stored| stored.shadow.situation);
        let owner = stored.and_then(|stored| stored.owner.as_ref());
        if owner.is_some_and(|owner| self.writer.overlay.current(owner).is_none()) {
            // An object before this one has the owner deleted, so whose this one is has to be found out.
            return Err(Cut);
        }
        if let Some(excluded) = self.open.excluded {
            self.pass_over(before, excluded);
            return Ok(());
        }
        let Some(type_) = self.open.type_.map(|at| &part.policy.types[at]) else { return Ok(()) };

        let correlation = match &self.open.sought {
            None => None,
            Some(Err(error)) => Some(Err(error.clone())),
            Some(Ok(at)) => Some(sought[*at].owner(candidates, &self.writer.overlay)?),
        };
        let found = situation(false, owner.is_some(), correlation.as_ref().and_then(|correlation| correlation.as_ref().ok()));
        if let Some(Err(error)) = &correlation {
            self.settle(Way { before, found, after: found, owner: None }, Some(error), true);
            return Ok(());
        }
        let own = owner.map(|owner| Candidate::Stored(owner.key));
        let owner = owner.map(Owner::Stored);
        if !self.reacts(type_) {
            self.settle(Way { before, found, after: found, owner: own }, None, true);
            return Ok(());
        }
        let reaction = type_.synchronization.as_ref().and_then(|synchronization| react(synchronization, found, part.channel));
        let Some(reaction) = reaction else {
            self.settle(Way { before, found, after: found, owner: own }, None, false);
            return Ok(());
        };
        let correlated = match &correlation {
            Some(Ok(Correlation::Owner(candidate))) => self.loaded(*candidate, sought, candidates),
            _ => None,
        };
        let outcome = match self.refused {
            Some(error) => Err(error.clone()),
            None => self.react(type_, &reaction.actions, owner, correlated),
        };
        match outcome {
            Ok(new_owner) => {
                let after = if new_owner.is_some() { Situation::Linked } else { found };
                self.settle(Way { before, found, after, owner: new_owner }, None, true);
            }
            Err(error) => self.settle(Way { before, found, after: found, owner: own }, Some(&error), true),
        }
        Ok(())
    }

    /// Whether anything is done about situations: not in a dry run, nor where too little of the object is known.
    fn reacts(&self, type_: &TypePolicy) -> bool {
        let part = self.writer.part;
        !part.is_dry() && (!part.set.no_fetch || cached::missing(type_).is_empty())
    }

    /// A candidate as it is by now, or as it was loaded.
    fn loaded<'c>(&self, candidate: Candidate, sought: &[Sought<'_>], candidates: &'c Candidates<'_>) -> Option<Owner<'c>> {
        if let Some(at) = self.writer.overlay.position(candidate) {
            return Some(Owner::Pending(at));
        }
        match (candidate, &self.open.sought) {
            (Candidate::Stored(key), Some(Ok(at))) => candidates.stored(&sought[*at], key).map(Owner::Stored),
            _ => None,
        }
    }

    fn react(
        &mut self,
        type_: &TypePolicy,
        actions: &[tidelock_resolver::reaction::Action],
        owner: Option<Owner<'_>>,
        correlated: Option<Owner<'_>>,
    ) -> Result<Option<Candidate>, ItemError> {
        if let Some(focus) = owner.and_then(|owner| reaction::focus(self.writer, owner))
            && focus.focus_type != type_.focus_type
        {
            let message = format!("the owner is a {}, but {} belongs to a {}", focus.focus_type, type_.id, type_.focus_type);
            return Err(ItemError::new(Category::Schema, message));
        }
        let old = self.open.stored.as_ref().filter(|stored| stored.owner.is_some()).map(|stored| &stored.shadow.attributes);
        let subject = Subject { type_, attributes: Some(&self.found.object.attributes), old_attributes: old };
        reaction::carry_out(self.writer, &subject, actions, owner, correlated)
    }

    /// Writes and counts an object that is passed over. Its situation is not touched.
    fn pass_over(&mut self, before: Option<Situation>, excluded: Excluded) {
        let owner = self.open.stored.as_ref().and_then(|stored| stored.owner.as_ref()).map(|owner| Candidate::Stored(owner.key));
        let shadow = self.write(before, owner, None, true);
        if excluded.reason != Exclusion::NotApplicableForTask {
            self.writer.seen(shadow, excluded.full);
        }
        let way = Passage { before, found: None, after: None, exclusion: Some(excluded.reason) };
        self.writer.statistics.passed(way, Outcome::Skip);
    }

    /// Writes and counts an object that was decided. `reacted` is false where there was nothing to do.
    fn settle(&mut self, way: Way, error: Option<&ItemError>, reacted: bool) {
        let part = self.writer.part;
        let dry = self.open.type_.is_some_and(|at| !self.reacts(&part.policy.types[at]));
        let done = error.is_none() && reacted && !dry && way.after == Situation::Linked;
        let fingerprint = match self.open.known {
            _ if done => Some(self.found.fingerprint),
            // Nothing was done, and nothing has become wrong.
            Some((_, old)) if dry && error.is_none() && way.before == Some(way.after) && !self.writer.is_changed(way.owner) => {
                old
            }
            _ => None,
        };
        // What an owner got from the object is known by the attributes kept. A reaction that did not run leaves them alone.
        let keep = (error.is_some() || dry || !reacted) && way.owner.is_some();
        let shadow = self.write(Some(way.after), way.owner, fingerprint, !keep);
        // Of an object that was not read, and not reacted to, all is still to be done.
        self.writer.seen(shadow, error.is_none() && (!dry || part.is_dry()));
        if let (Some(owner), Some(_)) = (self.open.stored.as_ref().and_then(|stored| stored.owner.as_ref()), fingerprint) {
            self.writer.expect(owner.key, owner.focus.version);
        }
        let passage = passage(way.before, Some(way.found), Some(way.after));
        match error {
            Some(error) => {
                self.writer.result(shadow, Some(error));
                self.writer.failure(self.found.display(), passage, error, Anchor::Shadow(shadow));
            }
            None if reacted => {
                // What was only looked at has not succeeded: an earlier failure stands.
                if !dry {
                    self.writer.result(shadow, None);
                }
                self.writer.statistics.passed(passage, Outcome::Success);
            }
            None => self.writer.statistics.passed(passage, Outcome::Skip),
        }
    }

    /// Writes the shadow as the object is now.
    fn write(
        &mut self,
        situation: Option<Situation>,
        owner: Option<Candidate>,
        fingerprint: Option<Fingerprint>,
        attributes: bool,
    ) -> tidelock_repo::ShadowRef {
        let part = self.writer.part;
        let object = &self.found.object;
        let stored = self.open.stored.as_deref();
        let class = part.policy.schema.class(&object.class);
        let name = class
            .and_then(|class| object.attributes.first(&class.naming_attribute))
            .and_then(|value| value.to_text().map(|text| text.into_owned().into_boxed_str()))
            .unwrap_or_else(|| object.identifier.clone());
        let attributes = match stored {
            Some(stored) if !attributes => stored.shadow.attributes.clone(),
            _ => part.policy.stored(self.open.type_, object),
        };
        let shadow = Shadow {
            oid: stored.map_or_else(|| Oid::from_uuid(Uuid::now_v7()), |stored| stored.shadow.oid.clone()),
            resource: part.resource.clone(),
            class: Arc::clone(&object.class),
            identifier: self.found.identifier.clone(),
            name,
            object_type: self.open.type_.map(|at| part.policy.types[at].id.clone()),
            attributes,
            situation,
            owner: None,
            dead: false,
            synchronized: None,
            fully_synchronized: None,
        };
        let stored = match (self.open.known, stored) {
            (Some((key, fingerprint)), Some(stored)) => Some((key, &stored.shadow, fingerprint)),
            _ => None,
        };
        self.writer.shadow(ShadowDraft { stored, shadow, owner, fingerprint })
    }
}

/// Where an object came from and where it got to.
struct Way {
    before: Option<Situation>,
    found: Situation,
    after: Situation,
    owner: Option<Candidate>,
}
