//! Whose a token is, and how tokens are shown to people.

use tidelock_model::Diagnostic;
use tidelock_model::definition::{Activity, At, ResourceObjectSet, Task, Work, WorkKind, base64};
use tidelock_repo::TokenKey;
use tidelock_resolver::object_set;

use crate::error::RunError;
use crate::report::Mode;

/// What the text of a token begins with where the token is no text.
const BASE64: &str = "base64:";

/// How an activity follows the changes of a resource.
#[derive(Clone, Debug)]
pub(crate) struct Following {
    /// Whose token it moves.
    pub(crate) key: TokenKey,
    /// Whether it moves the token, in the mode in which it is run.
    pub(crate) moves: bool,
    /// The most changes of a run.
    pub(crate) most: Option<u64>,
}

/// Whose tokens a task moves: of each of its live synchronizations and asynchronous updates, in their order; none of a task that
/// has neither. Nothing is looked up.
///
/// # Errors
/// [`RunError::Definition`] where an object set names no resource.
pub fn token_keys(task: &Task) -> Result<Vec<TokenKey>, RunError> {
    let modern = task.modern();
    let task = modern.as_ref().map_or(task, |modern| &modern.task);
    let mut keys = Vec::new();
    if let Some(activity) = &task.activity {
        collect(activity, &mut keys).map_err(|error| RunError::definition(vec![error]))?;
    }
    Ok(keys)
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

impl Following {
    /// How this work, run in this mode, follows changes; none if it does not.
    ///
    /// # Errors
    /// Numbers that mean nothing.
    pub(crate) fn new(work: &Work, set: &ResourceObjectSet, mode: Mode) -> Result<Option<Self>, Diagnostic> {
        if !moves_token(work) {
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
        Ok(Some(Self { key: token_key(&work.kind, set)?, moves, most: most.filter(|most| *most > 0) }))
    }
}

/// Whose token the changes of an object set move. Equal for two activities that are for the same changes.
fn token_key(kind: &WorkKind, set: &ResourceObjectSet) -> Result<TokenKey, Diagnostic> {
    let resource = object_set::resource_oid(set)?.clone();
    let mut text = Vec::new();
    // Of an asynchronous update, the resource alone says what comes.
    if *kind == WorkKind::LiveSynchronization {
        text.extend(set.kind.as_ref().map(|kind| format!("kind={}", kind.value)));
        text.extend(set.intent.as_ref().map(|intent| format!("intent={}", intent.value)));
        text.extend(set.objectclass.as_ref().map(|class| format!("objectclass={}", class.value.local())));
    }
    Ok(TokenKey { resource, set: if text.is_empty() { "all".into() } else { text.join(" ").into() } })
}

fn collect(activity: &Activity, keys: &mut Vec<TokenKey>) -> Result<(), Diagnostic> {
    // Documents are nested to a bounded depth, and so are activities.
    for part in activity.composition.iter().flat_map(|composition| &composition.activity) {
        collect(part, keys)?;
    }
    let Some(work) = activity.work.as_ref().filter(|work| moves_token(work)) else { return Ok(()) };
    let set = work.objects.as_ref().ok_or_else(|| object_set::no_resource(&work.place))?;
    let key = token_key(&work.kind, set)?;
    if !keys.contains(&key) {
        keys.push(key);
    }
    Ok(())
}

/// Whether a character shows, and does nothing else: nothing that moves the cursor or turns the direction of writing.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

fn moves_token(work: &Work) -> bool {
    matches!(work.kind, WorkKind::LiveSynchronization | WorkKind::AsynchronousUpdate)
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
