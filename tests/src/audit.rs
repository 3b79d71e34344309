//! What the engine did to each account, in order: written by the database itself, within the engine's own transactions.
//!
//! Final states hide what happened on the way: a change that is applied twice leaves the same account behind. So a trigger on the engine's
//! lists of results notes each time that an account was synchronized. A note is durable exactly if the effect is. Changes of one account that
//! are committed together leave a note each, and all of these tell of the state in the end. This reads private tables, which change without
//! notice; where they do, this file has to follow.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;

use crate::Home;

/// One time that an account was synchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its attribute `seq` after the commit; none of a dead one.
    pub seq: Option<i64>,
    /// Whether it was marked dead.
    pub dead: bool,
}

/// Begins to note, in a repository that exists.
pub fn install(home: &Home) {
    // The first of the results of a shadow has the number of all that there have been.
    let note = |before: &str| {
        format!(
            "BEGIN
               INSERT INTO test_note (identifier, seq, dead)
                 SELECT identifier, CASE WHEN dead = 0 THEN CAST(attributes ->> '$.seq' AS INTEGER) END, dead
                 FROM shadow CROSS JOIN test_number
                 WHERE id = NEW.id AND nr <= coalesce(NEW.results ->> '$[0][0]', 0) - coalesce({before} ->> '$[0][0]', 0);
             END"
        )
    };
    connect(home)
        .execute_batch(&format!(
            "CREATE TABLE test_note (id INTEGER PRIMARY KEY, identifier TEXT NOT NULL, seq INTEGER, dead INTEGER NOT NULL);
             CREATE TABLE test_number (nr INTEGER PRIMARY KEY);
             INSERT INTO test_number
               WITH RECURSIVE number (nr) AS (SELECT 1 UNION ALL SELECT nr + 1 FROM number LIMIT 1000) SELECT nr FROM number;
             CREATE TRIGGER test_insert AFTER INSERT ON shadow_seen {};
             CREATE TRIGGER test_update AFTER UPDATE OF results ON shadow_seen {};",
            note("NULL"),
            note("OLD.results"),
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

/// Whether an account went through just these steps, each once and in their order. Several changes that were committed together all look
/// like the last of them; a deletion stands alone.
#[must_use]
pub fn are_steps(notes: &[Note], steps: &[Note]) -> bool {
    let mut reached = 0;
    let mut fits = |(at, note): (usize, &Note)| {
        let together = steps[at..].iter().take_while(|step| !step.dead && !note.dead).count().max(1);
        let found = steps[at..at + together].iter().position(|step| step == note).map(|further| at + further);
        let in_order = found.is_some_and(|found| found >= reached);
        reached = found.unwrap_or(reached);
        in_order
    };
    notes.len() == steps.len() && notes.iter().enumerate().all(&mut fits) && notes.last() == steps.last()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<Note> {
        text.split_whitespace().map(|one| Note { seq: one.parse().ok(), dead: one == "-" }).collect()
    }

    #[test]
    fn changes_of_one_commit_look_like_the_last_of_them() {
        for (notes, expected, fits) in [
            ("1 2 3", "1 2 3", true),
            ("1 3 3", "1 2 3", true),
            ("3 3 3", "1 2 3", true),
            ("1 - 2", "1 - 2", true),
            ("1 2", "1 2 3", false),
            ("1 2 2", "1 2 3", false),
            ("1 2 3 3", "1 2 3", false),
            ("1 1 3", "1 2 3", false),
            ("3 2 3", "1 2 3", false),
            ("2 - 2", "1 - 2", false),
            ("- - 2", "1 - 2", false),
        ] {
            assert_eq!(are_steps(&steps(notes), &steps(expected)), fits, "{notes} of {expected}");
        }
    }
}
