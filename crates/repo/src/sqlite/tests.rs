//! Tests of what only a file can suffer, and of how statements are planned.
#![allow(clippy::unwrap_used)]

mod crash;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tidelock_model::object::{FocusType, MatchingRule};
use tidelock_model::{Value, Values};

use super::{Mode, Sqlite, commit, open, read, results, triggers};
use crate::conformance::build::{
    add, create, hr, known, object, retry, shadow, store_linked, store_users, token, user, users_by,
};
use crate::{Batch, Error, ErrorKind, INBOX_KEPT, InboxEntry, InboxMarks, ObjectKey, Repo, ShadowRef};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidelock.db");
    (folder, path)
}

fn opened(path: &Path, mode: Mode) -> Result<Sqlite, Error> {
    Sqlite::open_waiting(path, mode, Duration::from_millis(20))
}

fn refusal(path: &Path, mode: Mode) -> Error {
    opened(path, mode).err().expect("it is refused")
}

/// Refused in both modes, with this kind, naming the file and a cure, and leaving all files as they are.
fn check_refused(path: &Path, kind: ErrorKind) {
    let files = || {
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).ok())).collect();
        files.sort();
        files
    };
    let before = files();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let err = refusal(path, mode);
        assert_eq!(err.kind(), kind, "{err}");
        assert!(err.to_string().contains("tidelock.db"), "{err}");
        assert!(err.help().is_some());
    }
    assert!(files() == before, "a file has changed");
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Checks copies of a repository that is open, as crashes leave it: its log cut off between any two pages, and within them.
fn cuts(path: &Path, mut check: impl FnMut(&Path)) {
    const HEADER: usize = 32;
    let (file, log) = (fs::read(path).unwrap(), fs::read(path.with_extension("db-wal")).unwrap());
    assert!(log.len() > HEADER, "there is a log to cut");
    // The log's header says how large pages are.
    let frame = 24 + u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let ends = (HEADER..=log.len()).step_by(frame).flat_map(|end| [end.saturating_sub(7), end]);
    for end in [0, 20].into_iter().chain(ends) {
        let (_folder, copy) = folder();
        fs::write(&copy, &file).unwrap();
        fs::write(copy.with_extension("db-wal"), &log[..end]).unwrap();
        check(&copy);
    }
}

#[test]
fn a_text_file_is_not_ours() {
    for text in ["", "x"].map(|more| format!("uid,name\n{}{more}", "1,ann\n".repeat(40))) {
        let (_folder, path) = folder();
        fs::write(&path, text).unwrap();
        check_refused(&path, ErrorKind::NotOurs);
    }
    let (_folder, path) = folder();
    fs::write(&path, "x").unwrap();
    check_refused(&path, ErrorKind::NotOurs);
}

#[test]
fn a_database_of_another_program_is_not_ours() {
    for sql in ["CREATE TABLE t (x)", "PRAGMA application_id = 7", "PRAGMA application_id = 7; CREATE TABLE t (x)"] {
        let (_folder, path) = folder();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        check_refused(&path, ErrorKind::NotOurs);
    }
}

#[test]
fn a_database_whose_tables_are_still_in_its_log_is_not_ours() {
    let (_folder, path) = folder();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
    check_refused(&path, ErrorKind::NotOurs);
}

#[test]
fn an_empty_file_and_an_empty_database_become_repositories() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    assert_eq!(refusal(&path, Mode::ReadOnly).kind(), ErrorKind::Storage);
    opened(&path, Mode::ReadWrite).unwrap();

    let (_folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); DROP TABLE t; VACUUM").unwrap();
    assert_eq!(refusal(&path, Mode::ReadOnly).kind(), ErrorKind::Storage);
    opened(&path, Mode::ReadWrite).unwrap();
    opened(&path, Mode::ReadOnly).unwrap();
}

#[test]
fn a_newer_repository_is_left_alone() {
    let (_folder, path) = folder();
    drop(opened(&path, Mode::ReadWrite).unwrap());
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    check_refused(&path, ErrorKind::Newer);
}

#[test]
fn a_truncated_repository_is_damaged() {
    let (_folder, path) = folder();
    drop(opened(&path, Mode::ReadWrite).unwrap());
    let whole = fs::read(&path).unwrap();
    for (length, kind) in [(whole.len() / 2, ErrorKind::Corrupt), (4096, ErrorKind::Corrupt), (50, ErrorKind::NotOurs)] {
        fs::write(&path, &whole[..length]).unwrap();
        let err = refusal(&path, Mode::ReadWrite);
        assert_eq!(err.kind(), kind, "{length}: {err}");
        assert!(err.help().is_some());
    }
}

#[test]
fn damage_met_later_is_said() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    run(store_linked(&repo, user("ann", &[]), shadow("a")));
    drop(repo);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8192..].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let damaged =
        opened(&path, Mode::ReadWrite).and_then(|repo| run(repo.focus(FocusType::User, &ObjectKey::Name("ann".into()))));
    assert_eq!(damaged.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_folder_or_a_missing_folder_is_refused() {
    let (folder, path) = folder();
    fs::create_dir(&path).unwrap();
    check_refused(&path, ErrorKind::Storage);
    let nowhere = folder.path().join("absent").join("tidelock.db");
    assert_eq!(refusal(&nowhere, Mode::ReadWrite).kind(), ErrorKind::Storage);
    assert_eq!(refusal(&nowhere, Mode::ReadOnly).kind(), ErrorKind::Storage);
    let below_a_file = folder.path().join("file").join("tidelock.db");
    fs::write(folder.path().join("file"), "x").unwrap();
    assert_eq!(refusal(&below_a_file, Mode::ReadWrite).kind(), ErrorKind::Storage);
}

#[cfg(target_os = "linux")]
#[test]
fn where_nothing_can_be_written_is_said() {
    // Not even the superuser makes files there.
    let err = refusal(Path::new("/proc/tidelock.db"), Mode::ReadWrite);
    assert_eq!(err.kind(), ErrorKind::Storage);
    assert!(err.to_string().contains("/proc/tidelock.db") && err.help().is_some());
}

#[test]
fn reading_makes_no_repository() {
    let (folder, path) = folder();
    assert_eq!(refusal(&path, Mode::ReadOnly).kind(), ErrorKind::Storage);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    run(store_linked(&repo, user("ann", &[("mail", "a")]), shadow("a")));
    let run_before = run(repo.next_run()).unwrap();
    drop(repo);
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        let repo = opened(&path, mode).unwrap();
        assert!(run(known(&repo, "a")).is_some());
        assert!(run(repo.focus(FocusType::User, &ObjectKey::Name("ann".into()))).unwrap().is_some());
    }
    assert!(run(opened(&path, Mode::ReadWrite).unwrap().next_run()).unwrap() > run_before);
}

#[test]
fn a_closed_repository_is_one_file() {
    let (folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    run(store_linked(&repo, user("ann", &[]), shadow("a")));
    drop(repo);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_reader_reads_while_another_process_writes_and_writes_nothing() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let reader = opened(&path, Mode::ReadOnly).unwrap();
    run(store_linked(&repo, user("ann", &[]), shadow("a")));
    assert!(run(known(&reader, "a")).is_some());
    let refused = run(reader.apply(vec![object("task", None, "t", "1")], vec![])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Storage);
    assert!(refused.help().is_some());
}

#[test]
fn an_index_that_another_connection_declares_is_kept_up() {
    let (_folder, path) = folder();
    let (one, two) = (opened(&path, Mode::ReadWrite).unwrap(), opened(&path, Mode::ReadWrite).unwrap());
    run(store_linked(&one, user("ann", &[("mail", "a")]), shadow("a")));
    let mail = users_by(&["mail"], MatchingRule::Exact);
    run(two.ensure_indexed(std::slice::from_ref(&mail))).unwrap();
    run(store_linked(&one, user("bob", &[("mail", "a")]), shadow("b")));
    assert_eq!(run(two.find(&mail, vec!["a".into()], 9)).unwrap()[0].len(), 2);
    assert_eq!(run(one.find(&mail, vec!["a".into()], 9)).unwrap()[0].len(), 2);
}

#[test]
fn a_repository_held_by_another_connection_is_locked() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let err = run(repo.next_run()).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Locked);
    assert!(err.help().is_some() && err.to_string().contains("tidelock.db"));
    other.execute_batch("ROLLBACK").unwrap();
    run(repo.next_run()).unwrap();
    drop(repo);
    // Kept to itself, also from readers.
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (x)").unwrap();
    for mode in [Mode::ReadWrite, Mode::ReadOnly] {
        assert_eq!(refusal(&path, mode).kind(), ErrorKind::Locked);
    }
}

#[test]
fn two_openings_of_one_file_share_the_right_to_run() {
    let (folder, path) = folder();
    let one = opened(&path, Mode::ReadWrite).unwrap();
    let other_way = folder.path().join(".").join("tidelock.db");
    let two = opened(&other_way, Mode::ReadWrite).unwrap();
    let guard = run(one.lock_for_run()).unwrap();
    let refused = run(two.lock_for_run()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(refused.help().is_some());
    drop(guard);
    run(two.lock_for_run()).unwrap();
}

#[test]
fn many_may_open_a_new_repository_at_once() {
    for _ in 0..4 {
        let (_folder, path) = folder();
        std::thread::scope(|scope| {
            let openings: Vec<_> = (0..8).map(|_| scope.spawn(|| Sqlite::open(&path, Mode::ReadWrite).map(drop))).collect();
            for opening in openings {
                opening.join().unwrap().unwrap();
            }
        });
        opened(&path, Mode::ReadOnly).unwrap();
    }
}

#[test]
fn a_panic_at_work_is_an_error_and_the_repository_lives_on() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let broken: Result<(), Error> = run(repo.write("break", |db| {
        let _transaction = db.connection.transaction()?;
        panic!("as expected")
    }));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Corrupt);
    run(store_linked(&repo, user("ann", &[]), shadow("a")));
}

#[test]
fn the_log_does_not_grow_without_bound() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let long = "x".repeat(100_000);
    for batch in 0..80 {
        let users: Vec<_> = (0..30).map(|at| user(&format!("u{batch}-{at}"), &[("description", &long)])).collect();
        run(store_users(&repo, &users));
    }
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    // Of 240 MB, as much as the writer leaves to whoever works beside it, at the worst.
    let log = length(&path.with_extension("db-wal"));
    assert!(log < 144 << 20, "{log}");
    assert!(length(&path) > 60 << 20, "much is in its place");
    drop(repo);
    assert!(length(&path) > 200 << 20, "all is in its place");
}

/// The plan of a statement: no table is read through, and the array leads.
fn check_plan(sql: &str) {
    let plan = plan(sql);
    assert!(plan[0].starts_with("SCAN a VIRTUAL TABLE"), "{plan:?}");
    assert!(plan[1..].iter().all(|step| !step.starts_with("SCAN")), "{plan:?}");
}

fn plan(sql: &str) -> Vec<String> {
    let (_folder, path) = folder();
    let (db, _) = open::open(&path, Mode::ReadWrite, Duration::ZERO).unwrap();
    let connection = db.unwrap().0.connection;
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for at in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut plan: Vec<String> = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push(row.get(3).unwrap());
    }
    plan
}

#[test]
fn what_could_not_be_read_again_is_not_stored() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let nested = |levels: usize| {
        let mut ann = user("ann", &[]);
        let mut inner = ann.content.clone();
        for _ in 0..levels {
            let container = Value::Container(Box::new(inner));
            inner = [("c".into(), Values::from_iter([container, Value::from("x")]))].into_iter().collect();
        }
        ann.content.set("c", Values::from_iter([Value::Container(Box::new(inner))]));
        ann
    };
    assert_eq!(run(repo.apply(vec![], vec![(None, nested(200))])).unwrap_err().kind(), ErrorKind::Corrupt);
    run(repo.apply(vec![], vec![(None, nested(55))])).unwrap();
    let stored = run(repo.focus(FocusType::User, &ObjectKey::Name("ann".into()))).unwrap().unwrap();
    assert_eq!(stored.focus.content, nested(55).content);
}

#[test]
fn no_statement_of_the_data_path_reads_a_table_through() {
    check_plan(read::LOOK_UP);
    check_plan(read::FIND);
    check_plan(&read::load_sql());
    check_plan(&read::read_ahead_sql());
    check_plan(&read::projections_sql());
    check_plan(results::OF);
    check_plan(commit::SHADOWS_OF);
    check_plan(results::KEPT);
}

#[test]
fn due_triggers_are_read_in_the_order_of_an_index() {
    // Two parts, merged: those of the time that a page begins in, then the later ones.
    let plan = plan(triggers::DUE);
    let searches: Vec<_> = plan.iter().filter_map(|step| step.strip_prefix("SEARCH retry USING INDEX retry_at ")).collect();
    assert_eq!(searches, ["(at=? AND rowid>?)", "(at>? AND at<?)"], "{plan:?}");
    assert!(plan.iter().all(|step| !step.contains("TEMP B-TREE") && !step.starts_with("SCAN")), "{plan:?}");
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_commit_costs_the_inbox_one_row_and_old_rows_go() {
    const BATCH: usize = 1_000;
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let rows = || number(&path, "SELECT count(*) FROM inbox") as usize;
    for nth in 1..=INBOX_KEPT / BATCH + 20 {
        let messages = (0..BATCH).map(|at| InboxEntry::settled(format!("{nth}-{at}"))).collect();
        run(repo.commit(Batch { inbox: Some(InboxMarks { resource: hr(), messages }), ..Batch::default() })).unwrap();
        // Two more: old ones go in bundles.
        assert!(rows() == nth || (INBOX_KEPT / BATCH..=INBOX_KEPT / BATCH + 2).contains(&rows()), "{} after {nth}", rows());
    }
    run(repo.commit(Batch { inbox: Some(InboxMarks { resource: hr(), messages: vec![] }), ..Batch::default() })).unwrap();
    assert!(rows() <= INBOX_KEPT / BATCH + 2);
}

#[test]
fn a_batch_without_tokens_messages_and_triggers_touches_none_of_their_tables() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("DROP TABLE token; DROP TABLE object_set; DROP TABLE inbox; DROP TABLE retry").unwrap();
    run(store_linked(&repo, user("ann", &[]), shadow("a")));
    assert!(run(repo.commit(Batch { token: Some(token("set", "1", 1)), ..Batch::default() })).is_err());
}

#[test]
fn triggers_go_with_their_shadow() {
    let (_folder, path) = folder();
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    let triggers = vec![add(ShadowRef::New(0), retry("t", 1)), add(ShadowRef::New(1), retry("t", 1))];
    let shadows = ["a", "b"].map(|name| create(shadow(name), None)).to_vec();
    run(repo.commit(Batch { shadows, triggers, ..Batch::default() })).unwrap();
    run(repo.write("delete a shadow", |db| Ok(db.connection.execute("DELETE FROM shadow WHERE identifier = 'a'", [])?))).unwrap();
    assert_eq!(number(&path, "SELECT count(*) FROM retry"), 1);
}
