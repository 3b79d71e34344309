//! Repositories of older versions.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tidelock_model::object::{FocusType, MatchingRule, Situation};
use tidelock_model::{Oid, Timestamp};

use super::{check_refused, cuts, folder, open, opened, refusal, run};
use crate::conformance::build::{
    failure, fingerprint, hr, known, marks, result, retry, the_shadow, the_user, tokens, users_by, values,
};
use crate::{Batch, ErrorKind, Mode, NewTrigger, ObjectKey, ObjectType, Repo, ShadowFilter, ShadowRef, TriggerChange};

const VERSION_1: &str = include_str!("version-1.sql");

fn make_version_1(path: &Path) {
    Connection::open(path).unwrap().execute_batch(VERSION_1).unwrap();
}

/// Everything of version 1 is there.
fn check_content(path: &Path, mode: Mode) {
    let repo = opened(path, mode).unwrap();
    let task = run(repo.object(&ObjectType::new("task"), &ObjectKey::Name("import".to_owned()))).unwrap().unwrap();
    assert_eq!(task.oid, Some(Oid::new("0188f3a2-7b1c-7def-8123-456789abcdef")));
    assert_eq!((task.text.as_str(), task.origin.as_deref()), ("<task/>", Some("/etc/tasks.xml")));
    let ann = run(the_user(&repo, "ann"));
    assert_eq!((ann.focus.version, ann.focus.oid.clone()), (3, Oid::new("user-ann")));
    let mail = users_by(&["mail"], MatchingRule::StringIgnoreCase);
    assert_eq!(run(repo.find(&mail, vec!["ann@example.org".into()], 9)).unwrap(), [vec![ann.clone()]]);
    let a = run(the_shadow(&repo, "a"));
    assert_eq!((a.owner, a.shadow.situation, a.shadow.dead), (Some(ann), Some(Situation::Linked), false));
    let stamps = (a.shadow.synchronized, a.shadow.fully_synchronized);
    assert_eq!(stamps, (Some(Timestamp::from_millis(7)), Some(Timestamp::from_millis(6))));
    let known = run(known(&repo, "a")).unwrap();
    assert_eq!((known.fingerprint, known.last_run), (Some(fingerprint(1)), 41));
    let stored = ShadowRef::Stored(a.key);
    assert_eq!(run(repo.results(a.key)).unwrap(), [result(stored, "t", 7), failure(stored, "t", 6)]);
    assert!(run(the_shadow(&repo, "b")).shadow.dead);
    assert_eq!(run(repo.count_shadows(&ShadowFilter { dead: true, ..ShadowFilter::default() })).unwrap(), 2);
    assert_eq!(run(repo.task_state(&Oid::new("t"))).unwrap().as_deref(), Some("state"));
    assert_eq!(run(repo.foci(FocusType::User, None, 9)).unwrap().len(), 1);
}

/// What is new since can be used, and the counters of version 1 go on.
fn check_new(path: &Path) {
    let repo = opened(path, Mode::ReadWrite).unwrap();
    assert_eq!(run(repo.next_run()).unwrap(), 42);
    let a = run(the_shadow(&repo, "a")).key;
    let batch = Batch {
        triggers: vec![TriggerChange::Add(NewTrigger { shadow: ShadowRef::Stored(a), retry: retry("t", 1) })],
        inbox: marks(&[("m", None)]).inbox,
        ..tokens("set", "1", 1)
    };
    run(repo.commit(batch)).unwrap();
    drop(repo);
    let repo = opened(path, Mode::ReadOnly).unwrap();
    assert_eq!(run(repo.triggers(a)).unwrap()[0].retry, retry("t", 1));
    assert_eq!(run(repo.inbox(&hr())).unwrap().len(), 1);
    assert_eq!(values(&run(repo.tokens_of(&hr())).unwrap()), ["1"]);
}

fn schema(path: &Path) -> Vec<(String, Option<String>)> {
    let db = Connection::open(path).unwrap();
    let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_repository_of_version_1_is_brought_up_to_date_with_everything_in_it() {
    let (_folder, path) = folder();
    make_version_1(&path);
    check_content(&path, Mode::ReadWrite);
    check_content(&path, Mode::ReadOnly);
    check_new(&path);
    let (_folder, new) = folder();
    drop(opened(&new, Mode::ReadWrite).unwrap());
    assert_eq!(schema(&path), schema(&new));
}

#[test]
fn a_repository_of_version_1_is_not_changed_by_reading() {
    let (_folder, path) = folder();
    make_version_1(&path);
    let before = fs::read(&path).unwrap();
    check_content(&path, Mode::ReadOnly);
    let repo = opened(&path, Mode::ReadOnly).unwrap();
    // What it lacks is empty, there as in a copy for a preview.
    for repo in [&*run(repo.scratch()).unwrap(), &repo] {
        assert!(run(repo.inbox(&hr())).unwrap().is_empty() && run(repo.tokens_of(&hr())).unwrap().is_empty());
        assert!(run(repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 9)).unwrap().is_empty());
    }
    assert_eq!(run(repo.commit(tokens("set", "1", 1))).unwrap_err().kind(), ErrorKind::Storage);
    drop(repo);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(version(&path), 1);
}

fn version(path: &Path) -> i64 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[test]
fn an_upgrade_that_breaks_off_leaves_version_1() {
    let (_folder, path) = folder();
    make_version_1(&path);
    let old = schema(&path);
    let upgraded = opened(&path, Mode::ReadWrite).unwrap();
    let new = schema(&path);
    assert_ne!(old, new);
    let mut versions = Vec::new();
    cuts(&path, |path| {
        let version = version(path);
        assert_eq!(schema(path), if version == 1 { old.clone() } else { new.clone() });
        versions.push(version);
    });
    drop(upgraded);
    assert!(versions.is_sorted(), "{versions:?}");
    versions.dedup();
    assert_eq!(versions, [1, open::newest()]);
}

#[test]
fn an_upgrade_that_fails_leaves_version_1() {
    let (_folder, path) = folder();
    make_version_1(&path);
    // In the way of one of the tables that version 2 brings.
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE retry (x)").unwrap();
    let before = schema(&path);
    let refused = refusal(&path, Mode::ReadWrite);
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.help().is_some());
    assert_eq!((version(&path), schema(&path)), (1, before));
    Connection::open(&path).unwrap().execute_batch("DROP TABLE retry").unwrap();
    check_content(&path, Mode::ReadWrite);
    check_new(&path);
}

#[test]
fn a_repository_of_a_version_to_come_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    make_version_1(&path);
    let next = open::newest() + 1;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", next).unwrap();
    check_refused(&path, ErrorKind::Newer);
    let refused = refusal(&path, Mode::ReadWrite);
    assert!(refused.to_string().contains("written by a newer version of Tidelock"), "{refused}");
    // Also while it is still in the log alone that it is newer.
    let (_folder, path) = folder();
    make_version_1(&path);
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", next).unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        assert_eq!(refusal(&path, mode).kind(), ErrorKind::Newer);
    }
    drop(other);
    assert_eq!(version(&path), next);
}

#[test]
fn an_upgrade_that_breaks_off_is_made_up_for() {
    let (_folder, path) = folder();
    make_version_1(&path);
    let upgraded = opened(&path, Mode::ReadWrite).unwrap();
    cuts(&path, |path| {
        check_content(path, Mode::ReadWrite);
        check_new(path);
    });
    drop(upgraded);
}

#[test]
fn many_may_open_an_older_repository_at_once() {
    let (_folder, path) = folder();
    make_version_1(&path);
    std::thread::scope(|scope| {
        let openings: Vec<_> = (0..8).map(|_| scope.spawn(|| super::Sqlite::open(&path, Mode::ReadWrite).map(drop))).collect();
        for opening in openings {
            opening.join().unwrap().unwrap();
        }
    });
    check_content(&path, Mode::ReadOnly);
}
