//! Reading the file into a snapshot.

use std::borrow::Cow;
use std::path::PathBuf;

use tidelock_connector_api::{About, Completeness, Error, Result};

use crate::live_sync::snapshot::{Standing, Writer, write_fields};
use crate::live_sync::sort::Sorter;
use crate::live_sync::store::{Store, cannot_write};
use crate::reader::{Row, Rows};
use crate::schema::identifier_rule;

/// How many rows are read before looking whether anybody still waits for them.
const STRETCH: u64 = 8192;

/// What was read.
pub(crate) struct Taken {
    /// The snapshot, not yet at its place.
    pub(crate) writer: Writer,
    /// Whether there were rows of which nobody can say which objects they stand for: one that is missed may be one of them.
    pub(crate) has_strangers: bool,
}

/// Reads the file into a snapshot. `temporary` gives places for it, one after the other.
///
/// # Errors
/// The file cannot be read, or is not to be believed; the snapshot cannot be written.
pub(crate) fn take(store: &Store, temporary: &dyn Fn() -> PathBuf) -> Result<Taken> {
    let config = &*store.config;
    let mut rows = Rows::open_digesting(config)?;
    let columns = rows.columns();
    let header = store.header(columns.names.iter().map(ToString::to_string).collect());
    let create = || Writer::create(temporary(), header.clone());
    let mut sorter = Sorter::new(store.folder(), &create, store.memory());
    let rule = identifier_rule(config);
    let plain = columns.password.is_none() && !config.trim;
    let (mut has_strangers, mut count) = (false, 0_u64);
    while let Some(row) = rows.next()? {
        match row {
            Row::Good { identifier, text, record } => {
                let key = rule.normalize(identifier);
                sorter.push(key.as_bytes(), record.row, Standing::Good, |into| {
                    let fields = (0..record.fields).map(|at| record.field(text, at));
                    if plain {
                        write_fields(into, fields);
                    } else {
                        // A password is never kept.
                        let kept = |(at, field)| if Some(at) == columns.password { "" } else { config.value(field) };
                        write_fields(into, fields.enumerate().map(kept));
                    }
                })
            }
            Row::Bad(number, error) => {
                let (standing, key) = match error.what() {
                    About::Object(identifier) => (Standing::Doubtful, rule.normalize(identifier)),
                    About::NoObject => (Standing::Nobody, Cow::default()),
                    About::Anything => (Standing::Stranger, Cow::default()),
                };
                has_strangers |= standing == Standing::Stranger;
                let message = error.to_string();
                sorter.push(key.as_bytes(), number, standing, |into| into.extend_from_slice(message.as_bytes()))
            }
        }
        .map_err(cannot_write)?;
        count += 1;
        if count.is_multiple_of(STRETCH) && !store.is_wanted() {
            return Err(Error::unreachable("nobody waits for the changes any more"));
        }
    }
    if let Completeness::Incomplete { message, .. } = rows.verdict() {
        return Err(Error::unreachable(format!("{} cannot be compared with what it was: {message}", config.path.display())));
    }
    let mut writer = sorter.finish().map_err(cannot_write)?;
    if let Some(digest) = rows.digest() {
        writer.taken_of(digest);
    }
    Ok(Taken { writer, has_strangers })
}
