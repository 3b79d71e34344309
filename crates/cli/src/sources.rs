//! The texts that findings refer to, kept so that they can be shown with the line in question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts by the name that places give to their file. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<Box<str>, Arc<str>>>>);

impl Sources {
    /// Keeps a text. Bytes that are no text are shown as replacement characters.
    pub(crate) fn add(&self, name: &str, content: &[u8]) {
        // A byte order mark is no character of the first line.
        let content = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content);
        self.lock().insert(name.into(), String::from_utf8_lossy(content).into());
    }

    /// The line with this number, counted from 1, without its end.
    pub(crate) fn line(&self, name: &str, number: u32) -> Option<String> {
        let text = Arc::clone(self.lock().get(name)?);
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        text.lines().nth(index).map(str::to_owned)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
