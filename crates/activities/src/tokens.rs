//! Whose a token is, and how tokens are shown to people.

use tidelock_connector_api::AsyncUpdates;
use tidelock_model::Diagnostic;
use tidelock_model::definition::{At, ResourceObjectSet, Work, WorkKind, base64};
use tidelock_repo::{Repo, StoredToken, TokenKey};
use tidelock_resolver::object_set::{ActivityKind, ObjectSet, Scope};

use crate::prepare::Target;
use crate::report::Mode;

/// What the text of a token begins with where the token is no text.
const BASE64: &str = "base64:";

/// The position of whoever pulls the changes of all classes.
const ALL_CLASSES: &str = "all classes";

/// The position of whoever is told of changes.
const ALL_PUSHED: &str = "all pushed";

/// What was once the position of both.
const ALL: &str = "all";

/// How far an activity has taken over the changes of a resource: whose token says it.
///
/// Object sets that are spelt differently and come to the same have the same position. So have a live synchronization and an
/// asynchronous update of all objects where the connector has one token for both; else each has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose the token is.
    pub key: TokenKey,
    /// Whose it may be as long as this one was never stored, and never reset; the nearest first.
    earlier: Vec<Earlier>,
}

/// An object set whose token does for another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) key: TokenKey,
    pub(crate) why: Why,
}

/// Why the token of one object set does for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is the same set: once, sets were told apart by the words of their definitions.
    Respelt,
    /// The same; but what was pulled and what was pushed went by that one alike.
    Mixed,
    /// It has all objects of the other set, so that nothing was passed over by it.
    Wider,
}

/// What is stored of a position.
#[derive(Debug)]
pub(crate) struct Held<'p> {
    /// The token, and those before it, newest first.
    pub(crate) tokens: Vec<StoredToken>,
    /// Whose they are, if they are another object set's.
    pub(crate) of: Option<&'p Earlier>,
    /// The object sets with tokens that do not help one that was never followed before.
    pub(crate) others: Vec<Box<str>>,
}

/// How an activity follows the changes of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Following {
    /// Whose token it moves.
    pub(crate) position: Position,
    /// Whether it moves the token, in the mode in which it is run.
    pub(crate) moves: bool,
    /// The most changes of a run.
    pub(crate) most: Option<u64>,
}

/// What a definition says of how changes are followed.
pub(crate) struct Pace {
    moves: bool,
    most: Option<u64>,
}

/// The text of a token, for people and reports: the token itself where it can be printed, else `base64:` and its bytes.
#[must_use]
pub fn token_text(token: &[u8]) -> String {
    match std::str::from_utf8(token) {
        Ok(text) if !text.is_empty() && !text.starts_with(BASE64) && text.chars().all(is_printable) => text.to_owned(),
        _ => {
            let mut text = BASE64.to_owned();
            base64::encode(token, &mut text);
            text
        }
    }
}

/// The token of a text; none where `base64:` does not stand before base64.
#[must_use]
pub fn token_of_text(text: &str) -> Option<Box<[u8]>> {
    match text.strip_prefix(BASE64) {
        Some(bytes) => base64::decode(bytes),
        None => Some(text.as_bytes().into()),
    }
}

impl Position {
    /// The position of an activity that follows this set, which came to that.
    pub(crate) fn new(activity: ActivityKind, given: &ResourceObjectSet, set: &ObjectSet, target: &Target) -> Self {
        let key = |text: String| TokenKey { resource: target.oid.clone(), set: text.into() };
        let pushes = target.connector.async_updates();
        let shares = pushes.is_some_and(AsyncUpdates::continues_live_sync);
        if activity == ActivityKind::AsynchronousUpdate {
            let all = if shares { ALL_CLASSES } else { ALL_PUSHED };
            return Self { key: key(all.into()), earlier: vec![Earlier { key: key(ALL.into()), why: Why::Mixed }] };
        }
        let Some(class) = &set.class else {
            let why = if pushes.is_some() && !shares { Why::Mixed } else { Why::Respelt };
            return Self { key: key(ALL_CLASSES.into()), earlier: vec![Earlier { key: key(ALL.into()), why }] };
        };

        let kind = given.kind.as_ref().map(|kind| format!("kind={}", kind.value));
        let written = given.intent.as_ref().map(|intent| format!("intent={}", intent.value));
        let objectclass = given.objectclass.as_ref().map(|class| format!("objectclass={}", class.value.local()));
        let class = format!("class={}", class.name);
        // Without a kind, the intent means nothing.
        let intent = written.clone().filter(|_| kind.is_some());
        let is_default = matches!(set.scope, Scope::Type(at) if target.policy.types.get(at).is_some_and(|t| t.default_for_kind));
        let mut position = Self { key: key(words([Some(&class), kind.as_ref(), intent.as_ref()])), earlier: Vec::new() };
        let mut or = |why, text: String| position.earlier.push(Earlier { key: key(text), why });
        or(Why::Respelt, words([kind.as_ref(), written.as_ref(), objectclass.as_ref()]));
        if intent.is_some() {
            or(Why::Wider, words([Some(&class), kind.as_ref()]));
            // Which class a kind alone stood for was not written down.
            if is_default {
                or(Why::Wider, words([kind.as_ref(), objectclass.as_ref()]));
                or(Why::Wider, words([kind.as_ref()]));
            }
        }
        if kind.is_some() {
            or(Why::Wider, class.clone());
            or(Why::Wider, format!("object{class}"));
        }
        position.earlier.dedup();
        position
    }

    /// The token, and those before it, newest first; none where the activity has not begun, or the token was reset.
    ///
    /// # Errors
    /// Failures of the repository.
    pub async fn tokens(&self, repo: &dyn Repo) -> Result<Vec<StoredToken>, tidelock_repo::Error> {
        Ok(self.held(repo).await?.tokens)
    }

    pub(crate) async fn held(&self, repo: &dyn Repo) -> Result<Held<'_>, tidelock_repo::Error> {
        let mut held = Held { tokens: repo.tokens(&self.key).await?, of: None, others: Vec::new() };
        if !held.tokens.is_empty() {
            return Ok(held);
        }
        let sets = repo.token_sets(&self.key.resource).await?;
        // One that was reset begins anew, whatever others have.
        if sets.iter().any(|known| known.set == self.key.set) {
            return Ok(held);
        }
        let has_token = |earlier: &&Earlier| sets.iter().any(|known| known.has_token && known.set == earlier.key.set);
        match self.earlier.iter().find(has_token) {
            Some(earlier) => (held.tokens, held.of) = (repo.tokens(&earlier.key).await?, Some(earlier)),
            None => {
                let followed = sets.into_iter().filter(|known| known.has_token && &*known.set != ALL_PUSHED);
                held.others = followed.map(|known| known.set).collect();
            }
        }
        Ok(held)
    }
}

impl Pace {
    /// How this work, run in this mode, follows changes; none if it does not.
    ///
    /// # Errors
    /// Numbers that mean nothing.
    pub(crate) fn new(work: &Work, mode: Mode) -> Result<Option<Self>, Diagnostic> {
        if !matches!(work.kind, WorkKind::LiveSynchronization | WorkKind::AsynchronousUpdate) {
            return Ok(None);
        }
        let is_set = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|flag| flag.value);
        let moves = match mode {
            Mode::Full => true,
            Mode::DryRun => is_set(&work.update_live_sync_token_in_dry_run),
            Mode::Preview => is_set(&work.update_live_sync_token_in_preview_mode),
            Mode::None => false,
        };
        let most = match work.batch_size.as_ref().filter(|_| work.kind == WorkKind::LiveSynchronization) {
            None => None,
            Some(size) => Some(u64::try_from(size.value).map_err(|_| {
                Diagnostic::error("bad-value", &size.place, "'batchSize' is negative")
                    .with_help("say how many changes one run takes at most; 0, or no 'batchSize', is no limit")
            })?),
        };
        Ok(Some(Self { moves, most: most.filter(|most| *most > 0) }))
    }

    /// The same, from this position on.
    pub(crate) fn from(self, position: Position) -> Following {
        Following { position, moves: self.moves, most: self.most }
    }
}

fn words<const N: usize>(words: [Option<&String>; N]) -> String {
    words.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether a character shows, and does nothing else: nothing that moves the cursor or turns the direction of writing.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_that_is_text_is_shown_as_it_is() {
        for (token, text) in [
            (&b"hr/17"[..], "hr/17"),
            (b"", "base64:"),
            ("J\u{e1}n 7".as_bytes(), "J\u{e1}n 7"),
            ("a\u{202e}b".as_bytes(), "base64:YeKArmI="),
            (b"a\nb", "base64:YQpi"),
            (b"base64:", "base64:YmFzZTY0Og=="),
            (&[0xff, 0xfe], "base64://4="),
        ] {
            assert_eq!(token_text(token), text);
        }
        assert_eq!(token_of_text("base64:?"), None);
    }

    proptest! {
        #[test]
        fn a_token_that_was_shown_can_be_set(token: Vec<u8>) {
            prop_assert_eq!(token_of_text(&token_text(&token)), Some(token.into_boxed_slice()));
        }
    }
}
