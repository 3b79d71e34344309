//! The trait that the engine sees.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use tidelock_model::object::{Focus, FocusType, Intent, Kind, MatchingRule, Shadow};
use tidelock_model::{Items, Oid, Timestamp};

use crate::{
    Applied, Batch, InboxEntry, ObjectKey, ObjectType, OperationResult, Result, ResultFilter, StoredObject, StoredToken,
    StoredTrigger, TokenKey, TokenSet, TriggerKey,
};

/// A handle of a stored focus, of use with the repository that gave it, for as long as the focus exists. It never comes to
/// mean another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FocusKey(pub i64);

/// A handle of a stored shadow, of use with the repository that gave it, for as long as the shadow exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShadowKey(pub i64);

/// A digest of what a shadow was made from: the object, the definition, whatever decided. Equal digests: nothing to do.
pub type Fingerprint = [u8; 16];

/// What the first look-up tells of a living shadow: enough to pass over an unchanged object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownShadow {
    /// Its handle.
    pub key: ShadowKey,
    /// The digest stored with it; none if it must be looked at.
    pub fingerprint: Option<Fingerprint>,
    /// The run that last met it; 0 for none.
    pub last_run: u32,
}

/// A shadow as stored, with the focus that owns it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredShadow {
    /// Its handle.
    pub key: ShadowKey,
    /// The shadow.
    pub shadow: Shadow,
    /// Its owner.
    pub owner: Option<StoredFocus>,
}

/// A focus as stored. `focus.version` is its version.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFocus {
    /// Its handle.
    pub key: FocusKey,
    /// The focus.
    pub focus: Focus,
}

/// An item of foci by whose values they are found. Declaring it makes the repository index it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexedItem {
    /// Which foci.
    pub focus_type: FocusType,
    /// The path of item keys from the focus, such as `["extension", "badge"]`. Never empty.
    pub path: Box<[Arc<str>]>,
    /// Which values count as the same.
    pub rule: MatchingRule,
}

/// Which shadows are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowFilter {
    /// Those of a resource.
    pub resource: Option<Oid>,
    /// Those of an object class.
    pub class: Option<Arc<str>>,
    /// Those whose kind is this one.
    pub kind: Option<Kind>,
    /// Those whose intent is this one.
    pub intent: Option<Intent>,
    /// Dead ones as well.
    pub dead: bool,
}

/// Which of a shadow's two timestamps is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncLevel {
    /// `synchronized`.
    Basic,
    /// `fully_synchronized`.
    Full,
}

/// The living shadows that a reconciliation has not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Among which shadows; `dead` is of no effect.
    pub filter: ShadowFilter,
    /// The timestamp that decides.
    pub level: SyncLevel,
    /// Those whose timestamp is this or earlier, or missing.
    pub until: Timestamp,
    /// Those that have such a result, if this is given.
    pub results: Option<ResultFilter>,
}

/// Holds the right to run; dropping it gives it back. It goes with the process, however that ends.
pub struct RunGuard(#[allow(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

/// Where everything that must outlive a run is kept.
///
/// Every method is atomic. Methods may be called concurrently; what a call that returned has written is seen by every
/// later call. Lists come in a stable order (that of creation) unless said otherwise.
#[async_trait]
pub trait Repo: Send + Sync {
    // ---- objects -----------------------------------------------------------------------------------------------------

    /// Stores definitions and foci: by OID, or by type and name where there is none. Gives what became of each, in order, with its OID.
    ///
    /// * All of them are stored, or none.
    /// * An OID goes before a name: what one object has by its OID, no other has by its name. Names may change hands.
    /// * Applying the same again is [`Applied::Unchanged`] for each.
    /// * An applied focus replaces the content of the stored one, whose version grows; its shadows keep their links and
    ///   lose their fingerprints.
    /// * A resource or object template that was created or updated leaves the fingerprints alone: the definition is part of them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Duplicate`] where two objects of a type would have the same name, or two objects the same OID.
    async fn apply(&self, objects: Vec<StoredObject>, foci: Vec<(Option<Oid>, Focus)>) -> Result<Vec<(Oid, Applied)>>;

    /// One definition, by type and key.
    ///
    /// # Errors
    /// Storage failures.
    async fn object(&self, object_type: &ObjectType, key: &ObjectKey) -> Result<Option<StoredObject>>;

    /// All definitions of a type.
    ///
    /// # Errors
    /// Storage failures.
    async fn objects(&self, object_type: &ObjectType) -> Result<Vec<StoredObject>>;

    /// One focus, by type and key.
    ///
    /// # Errors
    /// Storage failures.
    async fn focus(&self, focus_type: FocusType, key: &ObjectKey) -> Result<Option<StoredFocus>>;

    /// Foci of a type after a handle, at most `limit` of them.
    ///
    /// # Errors
    /// Storage failures.
    async fn foci(&self, focus_type: FocusType, after: Option<FocusKey>, limit: usize) -> Result<Vec<StoredFocus>>;

    /// One shadow, dead or alive, by OID or name; of several of one name a living one, the youngest.
    ///
    /// # Errors
    /// Storage failures.
    async fn shadow(&self, key: &ObjectKey) -> Result<Option<StoredShadow>>;

    /// Shadows after a handle, at most `limit` of them. Owners come with their OID and without content that was not needed:
    /// `StoredShadow::owner` is none here, `shadow.owner` says whose it is.
    ///
    /// # Errors
    /// Storage failures.
    async fn shadows(&self, filter: &ShadowFilter, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>>;

    /// How many shadows there are.
    ///
    /// # Errors
    /// Storage failures.
    async fn count_shadows(&self, filter: &ShadowFilter) -> Result<u64>;

    /// The living shadows of each of these foci. `StoredShadow::owner` is none here: the caller has it.
    ///
    /// # Errors
    /// Storage failures.
    async fn projections(&self, foci: &[FocusKey]) -> Result<Vec<Vec<StoredShadow>>>;

    /// The results kept with a shadow, newest first.
    ///
    /// # Errors
    /// Storage failures.
    async fn results(&self, shadow: ShadowKey) -> Result<Vec<OperationResult>>;

    /// The results kept with each of these shadows, newest first; in the order asked, nothing for a shadow that is gone.
    ///
    /// # Errors
    /// Storage failures.
    async fn results_of(&self, shadows: &[ShadowKey]) -> Result<Vec<Vec<OperationResult>>>;

    /// The triggers of a shadow, in the order of their keys.
    ///
    /// # Errors
    /// Storage failures.
    async fn triggers(&self, shadow: ShadowKey) -> Result<Vec<StoredTrigger>>;

    // ---- the data path -----------------------------------------------------------------------------------------------

    /// The living shadow of each (normalized) identifier, or none; in the order asked. The first look of every chunk.
    ///
    /// # Errors
    /// Storage failures.
    async fn look_up(&self, resource: &Oid, class: &str, identifiers: Vec<Box<str>>) -> Result<Vec<Option<KnownShadow>>>;

    /// The shadows with these handles, with their owners; in the order asked, none for one that is gone.
    ///
    /// # Errors
    /// Storage failures.
    async fn load(&self, shadows: &[ShadowKey]) -> Result<Vec<Option<StoredShadow>>>;

    /// The living shadow of each (normalized) identifier, with its owner, or none; in the order asked. What [`Repo::look_up`] and
    /// [`Repo::load`] say, as it was at some time after the call, and beside whatever is being written.
    ///
    /// # Errors
    /// Storage failures.
    async fn read_ahead(
        &self,
        resource: &Oid,
        class: &str,
        identifiers: Vec<Box<str>>,
    ) -> Result<Vec<Option<(KnownShadow, StoredShadow)>>> {
        let known = self.look_up(resource, class, identifiers).await?;
        let keys: Vec<ShadowKey> = known.iter().flatten().map(|known| known.key).collect();
        let stored = if keys.is_empty() { Vec::new() } else { self.load(&keys).await? };
        Ok(together(known, stored))
    }

    /// Makes sure that these items are indexed, those of foci that exist already included.
    ///
    /// # Errors
    /// Storage failures.
    async fn ensure_indexed(&self, items: &[IndexedItem]) -> Result<()>;

    /// The foci that have a value of an indexed item, for each of these (normalized) values; at most `limit` for each.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] where the item was never declared with [`Repo::ensure_indexed`].
    async fn find(&self, item: &IndexedItem, values: Vec<Box<str>>, limit: usize) -> Result<Vec<Vec<StoredFocus>>>;

    /// Whether each of these shadows has a result that is meant; in the order asked, no for a shadow that is gone.
    ///
    /// # Errors
    /// Storage failures.
    async fn have_results(&self, shadows: &[ShadowKey], which: &ResultFilter) -> Result<Vec<bool>>;

    /// Living shadows that a run has not met, after a handle, at most `limit`, with their owners.
    ///
    /// # Errors
    /// Storage failures.
    async fn remaining(&self, which: &Remaining, after: Option<ShadowKey>, limit: usize) -> Result<Vec<StoredShadow>>;

    /// The token of an object set, and those that runs before the last one left: newest first, at most [`crate::TOKENS_KEPT`].
    /// Empty: there is none, or it was reset.
    ///
    /// # Errors
    /// Storage failures.
    async fn tokens(&self, key: &TokenKey) -> Result<Vec<StoredToken>>;

    /// The tokens of all object sets of a resource, those before the newest ones included: what may be resumed from. Object
    /// sets in the order of their first tokens, each newest first.
    ///
    /// # Errors
    /// Storage failures.
    async fn tokens_of(&self, resource: &Oid) -> Result<Vec<StoredToken>>;

    /// The object sets of a resource that have a token, or were reset, in the order in which they became known.
    ///
    /// # Errors
    /// Storage failures.
    async fn token_sets(&self, resource: &Oid) -> Result<Vec<TokenSet>>;

    /// Which messages of a resource have been taken over: of each message the last mark, newest first, among the last
    /// [`crate::INBOX_KEPT`] marks. This is long: read once, and kept up by the reader.
    ///
    /// # Errors
    /// Storage failures.
    async fn inbox(&self, resource: &Oid) -> Result<Vec<InboxEntry>>;

    /// Triggers due at a time or before, in the order of their keys, after a key, at most `limit`. The key need not be that
    /// of a trigger which is still there.
    ///
    /// # Errors
    /// Storage failures.
    async fn due_triggers(&self, until: Timestamp, after: Option<TriggerKey>, limit: usize) -> Result<Vec<StoredTrigger>>;

    /// Writes a batch.
    ///
    /// * All of it is stored, durably, or nothing.
    /// * A focus whose version is not the one named is [`crate::ErrorKind::Conflict`].
    /// * A name of a focus type, or an identifier among the living shadows of a resource and class, that is taken is
    ///   [`crate::ErrorKind::Duplicate`].
    /// * A focus without a name is nobody's namesake.
    /// * A shadow that is to be changed or marked, or a focus that is to own one, and is not there, is a conflict too.
    /// * The link of a shadow is what the batch says; its fingerprint too, even where the batch changes its owner.
    /// * A result that is a failure makes its shadow lose its fingerprint, whatever else the batch says: the next run looks at
    ///   the object again.
    /// * A trigger is kept with its shadow, also when that dies, until it is removed or its place is taken. One for a shadow
    ///   that is not there is a conflict.
    /// * A trigger takes the place of the one that its shadow has of the same task and activity, under a new key.
    /// * Removing a trigger that is gone changes nothing.
    /// * A later mark of a message supersedes those before it.
    /// * A token that equals the newest of its object set changes nothing.
    /// * A token takes the place of the newest of its object set where both are of one run.
    /// * Resetting a token takes those before it along, and touches no other object set.
    ///
    /// # Errors
    /// As the clauses say, and storage failures. [`crate::ErrorKind::Corrupt`] where the batch is none: a place in it that
    /// does not exist, a version that does not grow, a focus that changes its OID or type.
    async fn commit(&self, batch: Batch) -> Result<()>;

    // ---- tasks -------------------------------------------------------------------------------------------------------

    /// The state of a task, as the last [`Batch::task_state`] left it.
    ///
    /// # Errors
    /// Storage failures.
    async fn task_state(&self, task: &Oid) -> Result<Option<String>>;

    /// A number for a new run: greater than every one given before, also after a crash.
    ///
    /// # Errors
    /// Storage failures.
    async fn next_run(&self) -> Result<u32>;

    /// A copy that shares nothing with this repository and is gone when it is dropped: for previews.
    ///
    /// * What is written to the copy does not show here, and the other way round.
    ///
    /// # Errors
    /// Storage failures.
    async fn scratch(&self) -> Result<Arc<dyn Repo>>;

    /// Takes the right to run activities on this repository, which one process has at a time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Locked`] while another has it.
    async fn lock_for_run(&self) -> Result<RunGuard>;
}

impl RunGuard {
    /// A guard that drops this when it is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl Remaining {
    /// All living shadows of a filter.
    #[must_use]
    pub fn all(filter: ShadowFilter) -> Self {
        Self { filter, level: SyncLevel::Basic, until: Timestamp::from_millis(i64::MAX), results: None }
    }
}

/// What was found of shadows, with what was loaded of those that were found.
pub(crate) fn together(
    known: Vec<Option<KnownShadow>>,
    stored: Vec<Option<StoredShadow>>,
) -> Vec<Option<(KnownShadow, StoredShadow)>> {
    let mut stored = stored.into_iter();
    known.into_iter().map(|known| known.and_then(|known| Some((known, stored.next()??)))).collect()
}

impl IndexedItem {
    /// The normalized texts under which a focus with this content is found.
    #[must_use]
    pub fn keys(&self, content: &Items) -> Vec<Box<str>> {
        let mut keys: Vec<Box<str>> = content
            .at_path(&self.path)
            .into_iter()
            .filter_map(|value| value.to_text())
            .map(|text| self.rule.normalize(&text).into())
            .collect();
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
        keys
    }
}

impl ShadowFilter {
    /// Whether a shadow is meant.
    #[must_use]
    pub fn matches(&self, shadow: &Shadow) -> bool {
        (self.dead || !shadow.dead)
            && self.resource.as_ref().is_none_or(|resource| *resource == shadow.resource)
            && self.class.as_ref().is_none_or(|class| *class == shadow.class)
            && self.kind.is_none_or(|kind| shadow.object_type.as_ref().is_some_and(|t| t.kind == kind))
            && self.intent.as_ref().is_none_or(|intent| shadow.object_type.as_ref().is_some_and(|t| t.intent == *intent))
    }
}
