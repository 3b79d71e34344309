//! What the repository holds, and how a batch changes it: as plain as can be, and as slow as that makes it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use tidelock_model::object::{Focus, FocusType, Shadow};
use tidelock_model::{Items, Oid};
use uuid::Uuid;

use crate::{
    Applied, Batch, Error, ErrorKind, Fingerprint, FocusChange, FocusRef, INBOX_KEPT, InboxEntry, InboxMarks, IndexedItem,
    NewTrigger, OperationResult, Result, Retry, ShadowChange, ShadowKey, ShadowRef, StoredObject, StoredToken, StoredTrigger,
    TOKENS_KEPT, TokenChange, TokenKey, TriggerChange, TriggerKey,
};

/// All that is stored. A change is made to a copy, which then takes the place of the whole: so it is all or nothing.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<i64, StoredObject>,
    pub(super) foci: BTreeMap<i64, Arc<Focus>>,
    pub(super) shadows: BTreeMap<i64, Arc<Row>>,
    pub(super) tasks: BTreeMap<Oid, String>,
    pub(super) triggers: BTreeMap<TriggerKey, StoredTrigger>,
    /// The marks of each commit.
    pub(super) inbox: BTreeMap<Oid, Vec<Arc<[InboxEntry]>>>,
    /// In the order of their first tokens; newest first.
    pub(super) tokens: Vec<(TokenKey, Vec<StoredToken>)>,
    pub(super) indexed: Vec<IndexedItem>,
    pub(super) last_run: u32,
    /// The greatest number that an object, focus, shadow or trigger has had.
    last: i64,
}

/// A shadow. In `shadow` there is no owner: it is looked up when it is read.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) shadow: Shadow,
    pub(super) focus: Option<i64>,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) run: u32,
    /// Newest first.
    pub(super) results: Vec<OperationResult>,
}

/// The values that no two may have.
#[derive(Default)]
struct Taken {
    focus_oids: HashSet<Oid>,
    names: HashSet<(FocusType, String)>,
    shadow_oids: HashSet<Oid>,
    identifiers: HashSet<(Oid, Arc<str>, Box<str>)>,
}

impl Taken {
    fn of(state: &State, batch: &Batch) -> Self {
        let mut taken = Self::default();
        if !batch.foci.is_empty() {
            for focus in state.foci.values() {
                taken.focus_oids.insert(focus.oid.clone());
                taken.names.insert((focus.focus_type, focus.name().to_owned()));
            }
        }
        if !batch.shadows.is_empty() {
            for row in state.shadows.values() {
                taken.shadow_oids.insert(row.shadow.oid.clone());
                if !row.shadow.dead {
                    taken.identifiers.insert(identity(&row.shadow));
                }
            }
        }
        taken
    }

    fn add_focus(&mut self, focus: &Focus) -> Result<()> {
        let named = focus.name().is_empty() || self.names.insert((focus.focus_type, focus.name().to_owned()));
        if !named {
            return Err(duplicate("a focus of the same type has this name already"));
        }
        if !self.focus_oids.insert(focus.oid.clone()) {
            return Err(duplicate("a focus has this OID already"));
        }
        Ok(())
    }

    fn remove_focus(&mut self, focus: &Focus) {
        self.names.remove(&(focus.focus_type, focus.name().to_owned()));
        self.focus_oids.remove(&focus.oid);
    }

    fn add_shadow(&mut self, shadow: &Shadow) -> Result<()> {
        if !shadow.dead && !self.identifiers.insert(identity(shadow)) {
            return Err(duplicate("a living shadow of the same resource and object class has this identifier already"));
        }
        if !self.shadow_oids.insert(shadow.oid.clone()) {
            return Err(duplicate("a shadow has this OID already"));
        }
        Ok(())
    }

    fn remove_shadow(&mut self, shadow: &Shadow) {
        self.shadow_oids.remove(&shadow.oid);
        if !shadow.dead {
            self.identifiers.remove(&identity(shadow));
        }
    }
}

fn identity(shadow: &Shadow) -> (Oid, Arc<str>, Box<str>) {
    (shadow.resource.clone(), Arc::clone(&shadow.class), shadow.identifier.clone())
}

impl State {
    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    /// The state with a batch written to it.
    pub(super) fn with_batch(&self, batch: Batch) -> Result<Self> {
        let mut state = self.clone();
        let mut taken = Taken::of(self, &batch);
        for (key, version) in &batch.expected {
            if state.foci.get(&key.0).is_none_or(|focus| focus.version != *version) {
                return Err(focus_changed());
            }
        }
        let mut foci = Vec::new();
        for change in batch.foci {
            foci.push(state.change_focus(change, &mut taken)?);
        }
        let mut shadows = Vec::new();
        for change in batch.shadows {
            shadows.push(state.change_shadow(change, &foci, &mut taken)?);
        }
        let id_of = |shadow: ShadowRef| match shadow {
            ShadowRef::Stored(key) => Ok(key.0),
            ShadowRef::New(at) => {
                shadows.get(at).copied().ok_or_else(|| misuse("a batch refers to a shadow that it does not have"))
            }
        };
        for mark in batch.seen {
            let row = state.row(id_of(mark.shadow)?)?;
            row.run = mark.run;
            row.shadow.synchronized = Some(mark.at);
            if mark.fully {
                row.shadow.fully_synchronized = Some(mark.at);
            }
        }
        for result in batch.results {
            let row = state.row(id_of(result.shadow)?)?;
            row.results.insert(0, result.clone());
            if result.status.is_failure() {
                row.fingerprint = None;
            }
            let mut of_task = 0;
            row.results.retain(|kept| {
                of_task += usize::from(kept.task == result.task);
                kept.task != result.task || of_task <= 3
            });
            row.results.truncate(5);
        }
        for change in batch.triggers {
            match change {
                TriggerChange::Remove(key) => {
                    state.triggers.remove(&key);
                }
                TriggerChange::Add(NewTrigger { shadow, retry }) => {
                    let id = id_of(shadow)?;
                    state.row(id)?;
                    state.add_trigger(ShadowKey(id), retry);
                }
            }
        }
        if let Some(marks) = batch.inbox {
            state.mark_messages(marks);
        }
        if let Some(change) = batch.token {
            state.change_token(change);
        }
        if let Some((task, task_state)) = batch.task_state {
            state.tasks.insert(task, task_state);
        }
        Ok(state)
    }

    fn row(&mut self, id: i64) -> Result<&mut Row> {
        self.shadows.get_mut(&id).map(Arc::make_mut).ok_or_else(|| conflict("a shadow has been deleted"))
    }

    /// Gives the number of a focus that was created.
    fn change_focus(&mut self, change: FocusChange, taken: &mut Taken) -> Result<Option<i64>> {
        match change {
            FocusChange::Create(focus) => {
                if focus.version == 0 {
                    return Err(misuse("a focus was to be stored with an impossible version"));
                }
                taken.add_focus(&focus)?;
                let id = self.next();
                self.foci.insert(id, Arc::new(focus));
                Ok(Some(id))
            }
            FocusChange::Update { key, expected, focus, .. } => {
                let old = self.foci.get(&key.0).filter(|old| old.version == expected).ok_or_else(focus_changed)?;
                if old.oid != focus.oid || old.focus_type != focus.focus_type || focus.version <= old.version {
                    return Err(misuse("a focus was to change its OID, its type, or not its version"));
                }
                taken.remove_focus(old);
                taken.add_focus(&focus)?;
                self.foci.insert(key.0, Arc::new(focus));
                self.forget_fingerprints(key.0);
                Ok(None)
            }
            FocusChange::Delete { key, version } => {
                let old = self.foci.get(&key.0).filter(|old| old.version == version).ok_or_else(focus_changed)?;
                taken.remove_focus(old);
                self.foci.remove(&key.0);
                self.forget_fingerprints(key.0);
                for row in self.shadows.values_mut().filter(|row| row.focus == Some(key.0)) {
                    Arc::make_mut(row).focus = None;
                }
                Ok(None)
            }
        }
    }

    fn forget_fingerprints(&mut self, focus: i64) {
        for row in self.shadows.values_mut().filter(|row| row.focus == Some(focus)) {
            Arc::make_mut(row).fingerprint = None;
        }
    }

    /// Gives the number of the shadow.
    fn change_shadow(&mut self, change: ShadowChange, foci: &[Option<i64>], taken: &mut Taken) -> Result<i64> {
        let ShadowChange { key, mut shadow, owner, fingerprint } = change;
        let focus = match owner {
            None => None,
            Some(FocusRef::Stored(key)) => Some(key.0),
            Some(FocusRef::New(at)) => {
                Some(foci.get(at).copied().flatten().ok_or_else(|| misuse("a batch refers to a focus that it does not create"))?)
            }
        };
        let old = match key {
            Some(key) => {
                let row = self.shadows.get(&key.0).ok_or_else(|| conflict("a shadow has been deleted"))?;
                taken.remove_shadow(&row.shadow);
                Some((key.0, Arc::clone(row)))
            }
            None => None,
        };
        taken.add_shadow(&shadow)?;
        if focus.is_some_and(|id| !self.foci.contains_key(&id)) {
            return Err(conflict("an object that this one refers to has gone"));
        }
        shadow.owner = None;
        shadow.synchronized = old.as_ref().and_then(|(_, row)| row.shadow.synchronized);
        shadow.fully_synchronized = old.as_ref().and_then(|(_, row)| row.shadow.fully_synchronized);
        let (run, results) = old.as_ref().map(|(_, row)| (row.run, row.results.clone())).unwrap_or_default();
        let id = old.map_or_else(|| self.next(), |(id, _)| id);
        self.shadows.insert(id, Arc::new(Row { shadow, focus, fingerprint, run, results }));
        Ok(id)
    }

    fn add_trigger(&mut self, shadow: ShadowKey, retry: Retry) {
        self.triggers
            .retain(|_, old| old.shadow != shadow || old.retry.task != retry.task || old.retry.activity != retry.activity);
        let key = TriggerKey { at: retry.at, number: self.next() };
        self.triggers.insert(key, StoredTrigger { key, shadow, retry });
    }

    fn mark_messages(&mut self, marks: InboxMarks) {
        if marks.messages.is_empty() {
            return;
        }
        let commits = self.inbox.entry(marks.resource).or_default();
        commits.push(marks.messages.into());
        let mut kept = 0;
        let first = commits.iter().rposition(|marks| {
            kept += marks.len();
            kept >= INBOX_KEPT
        });
        commits.drain(..first.unwrap_or_default());
    }

    fn change_token(&mut self, change: TokenChange) {
        let TokenChange { key, value, at, run } = change;
        let known = self.tokens.iter_mut().find(|(known, _)| *known == key).map(|(_, tokens)| tokens);
        match (known, value) {
            (None, None) => self.tokens.push((key, Vec::new())),
            (Some(tokens), None) => tokens.clear(),
            (Some(tokens), Some(value)) => {
                if tokens.first().is_some_and(|newest| newest.value == value) {
                    return;
                }
                if run != 0 && tokens.first().is_some_and(|newest| newest.run == run) {
                    tokens.remove(0);
                }
                tokens.insert(0, StoredToken { value, at, run });
                tokens.truncate(TOKENS_KEPT);
            }
            (None, Some(value)) => self.tokens.push((key, vec![StoredToken { value, at, run }])),
        }
    }

    /// The state with definitions and foci stored, and what became of each.
    pub(super) fn with_objects(
        &self,
        objects: Vec<StoredObject>,
        foci: Vec<(Option<Oid>, Focus)>,
    ) -> Result<(Self, Vec<(Oid, Applied)>)> {
        let mut state = self.clone();
        let mut applied = Vec::new();
        // What has an OID is meant by no name.
        let mut claimed = HashSet::new();
        for oid in objects.iter().filter_map(|object| object.oid.as_ref()).chain(foci.iter().filter_map(|(oid, _)| oid.as_ref()))
        {
            if !claimed.insert(oid.clone()) {
                return Err(duplicate("two of the objects have the same OID"));
            }
        }
        for object in objects {
            applied.push(state.apply_object(self, object, &claimed)?);
        }
        for (oid, focus) in foci {
            applied.push(state.apply_focus(self, oid, focus, &claimed)?);
        }
        let mut names = HashSet::new();
        if !state.objects.values().all(|object| names.insert((object.object_type.as_str(), object.name.as_str()))) {
            return Err(duplicate("an object of the same type has this name already"));
        }
        let mut names = HashSet::new();
        if !state.foci.values().all(|focus| focus.name().is_empty() || names.insert((focus.focus_type, focus.name()))) {
            return Err(duplicate("a focus of the same type has this name already"));
        }
        let mut targets = HashSet::new();
        if !applied.iter().all(|(oid, _)| targets.insert(oid)) {
            return Err(duplicate("two of the objects have the same type and name"));
        }
        Ok((state, applied))
    }

    fn apply_object(&mut self, before: &Self, mut object: StoredObject, claimed: &HashSet<Oid>) -> Result<(Oid, Applied)> {
        let target = match &object.oid {
            Some(oid) => before.objects.iter().find(|(_, stored)| stored.oid.as_ref() == Some(oid)),
            None => before
                .objects
                .iter()
                .find(|(_, stored)| stored.object_type == object.object_type && stored.name == object.name)
                .filter(|(_, stored)| stored.oid.as_ref().is_none_or(|oid| !claimed.contains(oid))),
        };
        let foreign = object.oid.as_ref().is_some_and(|oid| before.foci.values().any(|focus| focus.oid == *oid));
        if foreign || target.is_some_and(|(_, stored)| stored.object_type != object.object_type) {
            return Err(duplicate("an object of another type has this OID already"));
        }
        let (id, oid, outcome) = match target {
            None => (self.next(), object.oid.clone().unwrap_or_else(new_oid), Applied::Created),
            Some((id, stored)) => {
                let same = stored.name == object.name && stored.text == object.text;
                let oid = stored.oid.clone().unwrap_or_else(new_oid);
                (*id, oid, if same { Applied::Unchanged } else { Applied::Updated })
            }
        };
        object.oid = Some(oid.clone());
        self.objects.insert(id, object);
        Ok((oid, outcome))
    }

    fn apply_focus(
        &mut self,
        before: &Self,
        oid: Option<Oid>,
        mut focus: Focus,
        claimed: &HashSet<Oid>,
    ) -> Result<(Oid, Applied)> {
        let target = match &oid {
            Some(oid) => before.foci.iter().find(|(_, stored)| stored.oid == *oid),
            None => before
                .foci
                .iter()
                .find(|(_, stored)| {
                    !focus.name().is_empty() && stored.focus_type == focus.focus_type && stored.name() == focus.name()
                })
                .filter(|(_, stored)| !claimed.contains(&stored.oid)),
        };
        let foreign = oid.as_ref().is_some_and(|oid| before.objects.values().any(|object| object.oid.as_ref() == Some(oid)));
        if foreign || target.is_some_and(|(_, stored)| stored.focus_type != focus.focus_type) {
            return Err(duplicate("an object of another type has this OID already"));
        }
        let Some((id, stored)) = target else {
            focus.oid = oid.unwrap_or_else(new_oid);
            focus.version = 1;
            let oid = focus.oid.clone();
            let id = self.next();
            self.foci.insert(id, Arc::new(focus));
            return Ok((oid, Applied::Created));
        };
        let oid = stored.oid.clone();
        if as_text(&stored.content) == as_text(&focus.content) {
            return Ok((oid, Applied::Unchanged));
        }
        focus.oid = oid.clone();
        focus.version = stored.version + 1;
        self.foci.insert(*id, Arc::new(focus));
        self.forget_fingerprints(*id);
        Ok((oid, Applied::Updated))
    }
}

/// The form in which content is compared: a number that is none equals itself.
fn as_text(items: &Items) -> String {
    serde_json::to_string(items).unwrap_or_default()
}

fn new_oid() -> Oid {
    Oid::from_uuid(Uuid::new_v4())
}

fn duplicate(message: &str) -> Error {
    Error::new(ErrorKind::Duplicate, message)
}

fn conflict(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("{what} since it was read"))
}

fn focus_changed() -> Error {
    conflict("a focus has been changed or deleted")
}

fn misuse(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what}: this is a bug in Tidelock"))
}
