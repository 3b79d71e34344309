//! What the engine did to each account, in order: written by the database itself, within the engine's own transactions.
//!
//! Final states hide what happened on the way: a change that is applied twice leaves the same account behind. So a trigger on the engine's
//! table notes each time that an account was synchronized. A note is durable exactly if the effect is. This reads private tables, which
//! change without notice; where they do, this file has to follow.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;

use crate::Home;

/// One time that an account was synchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its attribute `seq` from then on.
    pub seq: Option<i64>,
    /// Whether it was marked dead.
    pub dead: bool,
}

/// Begins to note, in a repository that exists.
pub fn install(home: &Home) {
    let note = "BEGIN
        INSERT INTO test_note (identifier, seq, dead)
            SELECT identifier, CAST(attributes ->> '$.seq' AS INTEGER), dead FROM shadow WHERE id = NEW.id;
      END";
    connect(home)
        .execute_batch(&format!(
            "CREATE TABLE test_note (id INTEGER PRIMARY KEY, identifier TEXT NOT NULL, seq INTEGER, dead INTEGER NOT NULL);
             CREATE TRIGGER test_insert AFTER INSERT ON shadow_seen {note};
             CREATE TRIGGER test_update AFTER UPDATE OF run ON shadow_seen {note};"
        ))
        .unwrap();
}

/// All notes, oldest first, by the account's identifier.
#[must_use]
pub fn notes(home: &Home) -> BTreeMap<String, Vec<Note>> {
    let db = connect(home);
    let mut select = db.prepare("SELECT identifier, seq, dead FROM test_note ORDER BY id").unwrap();
    let rows = select.query_map((), |row| Ok((row.get(0)?, Note { seq: row.get(1)?, dead: row.get(2)? }))).unwrap();
    let mut notes: BTreeMap<String, Vec<Note>> = BTreeMap::new();
    for row in rows {
        let (identifier, note): (String, Note) = row.unwrap();
        notes.entry(identifier).or_default().push(note);
    }
    notes
}

/// How many notes there are.
#[must_use]
pub fn count(home: &Home) -> usize {
    let count: u32 = connect(home).query_row("SELECT count(*) FROM test_note", (), |row| row.get(0)).unwrap();
    count.try_into().unwrap()
}

fn connect(home: &Home) -> Connection {
    let db = Connection::open(home.path("tidelock.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db
}
