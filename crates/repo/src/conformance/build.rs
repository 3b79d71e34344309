//! Small objects for tests of repositories.

use std::sync::Arc;

use tidelock_model::object::{Focus, FocusType, Intent, Kind, MatchingRule, Shadow, Situation, TypeId};
use tidelock_model::{Items, Oid, Timestamp, Value, Values};

use crate::{
    Batch, Fingerprint, FocusChange, FocusKey, FocusRef, InboxEntry, InboxMarks, IndexedItem, KnownShadow, NewTrigger, ObjectKey,
    ObjectType, OperationResult, OperationStatus, Repo, Retry, SeenMark, ShadowChange, ShadowKey, ShadowRef, StoredFocus,
    StoredObject, StoredShadow, StoredToken, TokenChange, TokenKey, TriggerChange,
};

/// The resource of [`shadow`].
#[must_use]
pub fn hr() -> Oid {
    Oid::new("11111111-1111-4111-8111-111111111111")
}

/// Items with one text each.
#[must_use]
pub fn items(texts: &[(&str, &str)]) -> Items {
    texts.iter().map(|(key, text)| (Arc::from(*key), Values::from_iter([Value::from(*text)]))).collect()
}

/// A user of this name, version 1, with more items.
#[must_use]
pub fn user(name: &str, more: &[(&str, &str)]) -> Focus {
    let texts: Vec<_> = [("name", name)].iter().chain(more).copied().collect();
    Focus { oid: Oid::new(&format!("user-{name}")), focus_type: FocusType::User, version: 1, content: items(&texts) }
}

/// The next version of a focus, with other items beside its name.
#[must_use]
pub fn changed(focus: &Focus, more: &[(&str, &str)]) -> Focus {
    let texts: Vec<_> = [("name", focus.name())].iter().chain(more).copied().collect();
    Focus { version: focus.version + 1, content: items(&texts), ..focus.clone() }
}

/// A living account of [`hr`].
#[must_use]
pub fn shadow(identifier: &str) -> Shadow {
    Shadow {
        oid: Oid::new(&format!("shadow-{identifier}")),
        resource: hr(),
        class: "account".into(),
        identifier: identifier.into(),
        name: identifier.into(),
        object_type: Some(TypeId { kind: Kind::Account, intent: Intent::default_intent() }),
        attributes: items(&[("id", identifier)]),
        situation: Some(Situation::Linked),
        owner: None,
        dead: false,
        synchronized: None,
        fully_synchronized: None,
    }
}

/// A definition.
#[must_use]
pub fn object(object_type: &str, oid: Option<&str>, name: &str, text: &str) -> StoredObject {
    StoredObject {
        object_type: ObjectType::new(object_type),
        oid: oid.map(Oid::new),
        name: name.to_owned(),
        text: text.to_owned(),
        origin: None,
    }
}

/// The creation of a shadow with a fingerprint.
#[must_use]
pub fn create(shadow: Shadow, owner: Option<FocusRef>) -> ShadowChange {
    ShadowChange { key: None, shadow, owner, fingerprint: Some(fingerprint(1)) }
}

/// The change of a stored shadow, which keeps its owner.
#[must_use]
pub fn change(stored: &StoredShadow, shadow: Shadow) -> ShadowChange {
    let owner = stored.owner.as_ref().map(|owner| FocusRef::Stored(owner.key));
    ShadowChange { key: Some(stored.key), shadow, owner, fingerprint: Some(fingerprint(1)) }
}

/// A fingerprint.
#[must_use]
pub fn fingerprint(seed: u8) -> Fingerprint {
    [seed; 16]
}

/// The mark of a run at a time.
#[must_use]
pub fn seen(shadow: ShadowRef, run: u32, at: i64, fully: bool) -> SeenMark {
    SeenMark { shadow, run, at: Timestamp::from_millis(at), fully }
}

/// A result of a task at a time.
#[must_use]
pub fn result(shadow: ShadowRef, task: &str, at: i64) -> OperationResult {
    OperationResult {
        shadow,
        task: Oid::new(task),
        activity: "resourceObjects".into(),
        at: Timestamp::from_millis(at),
        status: OperationStatus::Success,
        message: None,
    }
}

/// A failure of a task at a time.
#[must_use]
pub fn failure(shadow: ShadowRef, task: &str, at: i64) -> OperationResult {
    OperationResult { status: OperationStatus::FatalError, message: Some("no".into()), ..result(shadow, task, at) }
}

/// The token of an object set of [`hr`], at a time.
#[must_use]
pub fn token(set: &str, value: &str, at: i64) -> TokenChange {
    let key = TokenKey { resource: hr(), set: set.into() };
    TokenChange { key, value: Some(value.as_bytes().into()), at: Timestamp::from_millis(at), run: 0 }
}

/// A batch that moves the token of an object set of [`hr`].
#[must_use]
pub fn tokens(set: &str, value: &str, at: i64) -> Batch {
    Batch { token: Some(token(set, value, at)), ..Batch::default() }
}

/// The values of tokens that are texts.
#[must_use]
pub fn values(tokens: &[StoredToken]) -> Vec<String> {
    tokens.iter().map(|token| String::from_utf8_lossy(&token.value).into_owned()).collect()
}

/// A batch that marks messages of [`hr`]: none for all changes.
#[must_use]
pub fn marks(messages: &[(&str, Option<u32>)]) -> Batch {
    let entry = |(message, changes): &(&str, Option<u32>)| InboxEntry {
        message: (*message).into(),
        changes: changes.unwrap_or(InboxEntry::ALL),
    };
    let marks = InboxMarks { resource: hr(), messages: messages.iter().map(entry).collect() };
    Batch { inbox: Some(marks), ..Batch::default() }
}

/// The first retry of a task, at a time.
#[must_use]
pub fn retry(task: &str, at: i64) -> Retry {
    Retry {
        at: Timestamp::from_millis(at),
        attempt: 1,
        interval_millis: 60_000,
        limit: Some(3),
        task: Oid::new(task),
        activity: "resourceObjects".into(),
    }
}

/// The addition of a trigger.
#[must_use]
pub fn add(shadow: ShadowRef, retry: Retry) -> TriggerChange {
    TriggerChange::Add(NewTrigger { shadow, retry })
}

/// A batch of triggers.
#[must_use]
pub fn of_triggers(triggers: impl IntoIterator<Item = TriggerChange>) -> Batch {
    Batch { triggers: triggers.into_iter().collect(), ..Batch::default() }
}

/// Users by an item of theirs.
#[must_use]
pub fn users_by(path: &[&str], rule: MatchingRule) -> IndexedItem {
    IndexedItem { focus_type: FocusType::User, path: path.iter().map(|key| Arc::from(*key)).collect(), rule }
}

/// A batch of foci.
#[must_use]
pub fn of_foci(foci: Vec<FocusChange>) -> Batch {
    Batch { foci, ..Batch::default() }
}

/// A batch of shadows.
#[must_use]
pub fn of_shadows(shadows: Vec<ShadowChange>) -> Batch {
    Batch { shadows, ..Batch::default() }
}

/// Stores new users.
///
/// # Panics
/// Where the repository refuses.
pub async fn store_users(repo: &dyn Repo, users: &[Focus]) {
    repo.commit(of_foci(users.iter().cloned().map(FocusChange::Create).collect())).await.unwrap();
}

/// Stores a user, and a shadow that it owns.
///
/// # Panics
/// Where the repository refuses.
pub async fn store_linked(repo: &dyn Repo, user: Focus, shadow: Shadow) {
    let batch = Batch {
        foci: vec![FocusChange::Create(user)],
        shadows: vec![create(shadow, Some(FocusRef::New(0)))],
        ..Batch::default()
    };
    repo.commit(batch).await.unwrap();
}

/// The user of a name.
///
/// # Panics
/// Where there is none.
pub async fn the_user(repo: &dyn Repo, name: &str) -> StoredFocus {
    repo.focus(FocusType::User, &ObjectKey::Name(name.to_owned())).await.unwrap().expect("the user is stored")
}

/// The shadow of a name.
///
/// # Panics
/// Where there is none.
pub async fn the_shadow(repo: &dyn Repo, name: &str) -> StoredShadow {
    repo.shadow(&ObjectKey::Name(name.to_owned())).await.unwrap().expect("the shadow is stored")
}

/// What a look-up says of an account of [`hr`].
///
/// # Panics
/// Where it fails.
pub async fn known(repo: &dyn Repo, identifier: &str) -> Option<KnownShadow> {
    repo.look_up(&hr(), "account", vec![identifier.into()]).await.unwrap().remove(0)
}

/// The names of users.
#[must_use]
pub fn names(foci: &[StoredFocus]) -> Vec<&str> {
    foci.iter().map(|focus| focus.focus.name()).collect()
}

/// The identifiers of shadows.
#[must_use]
pub fn identifiers(shadows: &[StoredShadow]) -> Vec<&str> {
    shadows.iter().map(|shadow| &*shadow.shadow.identifier).collect()
}

/// A handle that no shadow has.
pub const NO_SHADOW: ShadowKey = ShadowKey(i64::MAX - 1);

/// A handle that no focus has.
pub const NO_FOCUS: FocusKey = FocusKey(i64::MAX - 1);
