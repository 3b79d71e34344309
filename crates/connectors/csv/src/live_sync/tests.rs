#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use futures::executor::block_on;
use proptest::prelude::*;
use tempfile::TempDir;
use tidelock_connector_api::{ChangeKind, ChangesRequest, Connector, ErrorKind, Result, SyncEvent, Token};

use super::*;
use crate::{CsvConfig, MultiValue, Splitter};

/// A file with the folder of its snapshots.
struct Subject {
    folder: TempDir,
    config: CsvConfig,
    memory: usize,
}

/// What a stream of changes said: each with its token where it has one.
type Said = Vec<(String, Option<Token>)>;

impl Subject {
    fn new(content: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = CsvConfig::new(folder.path().join("hr.csv"), "uid");
        let subject = Self { folder, config, memory: 24 << 20 };
        subject.write(content);
        subject
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.config.path, content).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn store(&self) -> Store {
        Store::new(Arc::new(self.config.clone()), self.state()).with_memory(self.memory)
    }

    fn token(&self) -> Token {
        Position::At(self.store().current().unwrap().id).to_token()
    }

    fn events(&self, after: &Token) -> Vec<Result<SyncEvent>> {
        let (sender, mut receiver) = mpsc::channel(1000);
        let mut events = Events::new(sender);
        if let Err(error) = follow(&self.store(), after, &mut events) {
            events.push(Err(error));
        }
        events.send();
        drop(events);
        let mut all = Vec::new();
        while let Some(portion) = receiver.blocking_recv() {
            all.extend(portion);
        }
        all
    }

    fn changes(&self, after: &Token) -> Said {
        self.events(after).into_iter().map(show).collect()
    }

    fn texts(&self, after: &Token) -> Vec<String> {
        self.changes(after).into_iter().map(|(text, _)| text).collect()
    }

    fn snapshots(&self) -> usize {
        fs::read_dir(self.state()).map_or(0, Iterator::count)
    }
}

fn show(event: Result<SyncEvent>) -> (String, Option<Token>) {
    match event {
        Ok(SyncEvent::Change(change, token)) => {
            let text = match change.kind {
                ChangeKind::Full(object) => {
                    let values = object.attributes.iter().filter(|(name, _)| &***name != "uid");
                    let values = values.map(|(name, values)| {
                        let values: Vec<_> = values.iter().filter_map(|value| value.as_str()).collect();
                        format!(" {name}={}", values.join("|"))
                    });
                    format!("{}:{}", change.identifier, values.collect::<String>())
                }
                ChangeKind::Deleted(_) => format!("{} is gone", change.identifier),
                kind => format!("{kind:?}"),
            };
            (text, token)
        }
        Ok(SyncEvent::End(token)) => ("end".to_owned(), Some(token)),
        Ok(SyncEvent::Present(_)) => ("present".to_owned(), None),
        Err(error) => (format!("{:?}: {error}", error.kind()), None),
    }
}

#[test]
fn additions_changes_and_deletions_are_told_in_the_order_of_identifiers() {
    let subject = Subject::new("uid;name\nd;Dan\na;Ann\nc;Cid\nb;Bob\n");
    let before = subject.token();
    subject.write("uid;name\nb;Bea\ne;Eve\nd;Dan\na;Ann\n");
    let said = subject.changes(&before);
    let texts: Vec<_> = said.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["b: name=Bea", "c is gone", "e: name=Eve", "end"]);
    assert_eq!(subject.texts(said[3].1.as_ref().unwrap()), ["end"]);
    assert_eq!(subject.texts(said[0].1.as_ref().unwrap()), ["c is gone", "e: name=Eve", "end"]);
}

#[test]
fn a_deletion_tells_what_there_was() {
    let subject = Subject::new("uid;name;mail\na;Ann;ann@x\nb;Bob;\n");
    let before = subject.token();
    subject.write("uid;name;mail\nb;Bob;\n");
    let event = subject.events(&before).remove(0).unwrap();
    let SyncEvent::Change(change, _) = event else { panic!("{event:?}") };
    let ChangeKind::Deleted(Some(attributes)) = change.kind else { panic!("{change:?}") };
    assert_eq!(attributes.first("mail").and_then(|value| value.as_str()), Some("ann@x"));
}

#[test]
fn a_file_that_changes_while_it_is_caught_up_with_loses_nothing() {
    let subject = Subject::new("uid;n\na;1\nb;1\nc;1\nd;1\n");
    let before = subject.token();
    subject.write("uid;n\na;2\nb;2\nc;1\ne;2\n");
    let said = subject.changes(&before);
    assert_eq!(
        said.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(),
        ["a: n=2", "b: n=2", "d is gone", "e: n=2", "end"]
    );
    // Resumed after `b`, when the file is another one again: what was told of a and b is known, nothing else is.
    subject.write("uid;n\na;2\nb;3\nc;1\nd;1\n");
    assert_eq!(subject.texts(said[1].1.as_ref().unwrap()), ["b: n=3", "end"]);
    subject.write("uid;n\nc;4\nd;1\n");
    let said = subject.changes(said[1].1.as_ref().unwrap());
    assert_eq!(said.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a is gone", "b is gone", "c: n=4", "end"]);
    assert_eq!(subject.texts(said[1].1.as_ref().unwrap()), ["c: n=4", "end"]);
}

#[test]
fn a_row_that_cannot_be_read_is_no_deletion_and_is_told_until_it_is_good() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\nc;Cid\n");
    let before = subject.token();
    subject.write(b"uid;name\na;Ann\nb;\xFF\nc;Carl\n");
    let said = subject.changes(&before);
    assert_eq!(
        said.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(),
        ["InvalidData: row 3: bytes that are not UTF-8; is 'encoding' right?", "c: name=Carl", "end"]
    );
    // Whoever stops at it, and whoever goes on: once it is good, it comes.
    subject.write("uid;name\na;Ann\nb;Bob\nc;Carl\n");
    assert_eq!(subject.texts(said[2].1.as_ref().unwrap()), ["b: name=Bob", "end"]);
    assert_eq!(subject.texts(&before), ["c: name=Carl", "end"]);
    // Gone is gone, though.
    subject.write("uid;name\na;Ann\nc;Carl\n");
    assert_eq!(subject.texts(said[2].1.as_ref().unwrap()), ["b is gone", "end"]);
}

#[test]
fn a_row_that_may_be_anybodys_keeps_objects_from_being_found_gone() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\nc;Cid\n");
    let before = subject.token();
    subject.write("uid;name\na;Anna\nb\nd;Dan\n");
    let said = subject.changes(&before);
    let texts = |said: &Said| said.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&said), ["InvalidData: row 3: 1 field where the header has 2", "a: name=Anna", "d: name=Dan", "end"]);
    let end = said[3].1.clone().unwrap();
    // As long as the row is there, it is told.
    let again = subject.changes(&end);
    assert_eq!(texts(&again), ["InvalidData: row 3: 1 field where the header has 2", "end"]);
    subject.write("uid;name\na;Anna\nb;Bob\nd;Dan\n");
    assert_eq!(subject.texts(&end), ["c is gone", "end"]);
}

#[test]
fn an_identifier_that_comes_twice_is_an_error_unless_both_rows_say_the_same() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    subject.write("uid;name\nb;Bob\na;Ann\na;Anna\nb;Bob\n");
    let said = subject.changes(&before);
    let texts: Vec<_> = said.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["InvalidData: row 3: another row has the same identifier, and other content", "end"]);
    subject.write("uid;name\nb;Bob\na;Ann\n");
    assert_eq!(subject.texts(said[1].1.as_ref().unwrap()), ["a: name=Ann", "end"]);
}

#[test]
fn columns_that_come_go_and_change_places_are_compared_by_their_names() {
    let subject = Subject::new("uid;name;team\na;Ann;x\nb;Bob;\n");
    let before = subject.token();
    subject.write("team;uid;name\nx;a;Ann\n;b;Bob\n");
    assert_eq!(subject.texts(&before), ["end"]);
    subject.write("uid;name;mail\na;Ann;\nb;Bob;bob@x\n");
    let said = subject.changes(&before);
    assert_eq!(said.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["a: name=Ann", "b: name=Bob mail=bob@x", "end"]);
    // What was not told is not forgotten when the file changes once more.
    subject.write("uid;name;mail\na;Anna;\nb;Bob;bob@x\n");
    assert_eq!(subject.texts(&before), ["a: name=Anna", "b: name=Bob mail=bob@x", "end"]);
    assert_eq!(subject.texts(said[0].1.as_ref().unwrap()), ["a: name=Anna", "b: name=Bob mail=bob@x", "end"]);
}

#[test]
fn a_file_that_is_not_whole_moves_nothing() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    for (content, expected) in
        [("uid;name\n", "has no rows"), ("", "is empty"), ("uid;name\na;Ann\nb;\"Bo", "seems to end within")]
    {
        subject.write(content);
        let said = subject.texts(&before);
        assert!(said.last().unwrap().contains(expected) && said.last().unwrap().starts_with("Unreachable"), "{said:?}");
    }
    fs::remove_file(&subject.config.path).unwrap();
    assert!(subject.texts(&before).last().unwrap().starts_with("Unreachable"));
    subject.write("uid;name\na;Ann\nb;Bea\n");
    assert_eq!(subject.texts(&before), ["b: name=Bea", "end"]);
}

#[test]
fn a_snapshot_that_is_missing_damaged_or_of_other_settings_expires_its_tokens() {
    let mut subject = Subject::new("uid;name\na;Ann\n");
    let token = subject.token();
    let kind = |subject: &Subject| subject.events(&token).pop().unwrap().unwrap_err().kind();
    let path = fs::read_dir(subject.state()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    for length in [0, 10, 40, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        subject.write(format!("uid;name\na;{length}\n"));
        assert_eq!(kind(&subject), ErrorKind::TokenExpired, "{length} bytes are left");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(subject.texts(&token), ["a: name=39", "end"].map(|text| text.replace("39", &(whole.len() - 1).to_string())));
    subject.config.ignore_identifier_case = true;
    assert_eq!(kind(&subject), ErrorKind::TokenExpired);
    subject.config.ignore_identifier_case = false;
    fs::remove_file(&path).unwrap();
    assert_eq!(kind(&subject), ErrorKind::TokenExpired);
}

#[test]
fn snapshots_that_no_token_needs_are_cleared_away() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let first = subject.token();
    subject.write("uid;name\na;Anna\nb;Bea\n");
    let said = subject.changes(&first);
    fs::write(subject.state().join("17-left.tmp"), "x").unwrap();
    fs::write(subject.state().join("notes.txt"), "not ours").unwrap();
    let retain = |tokens: &[&Token]| {
        let positions: Vec<_> = tokens.iter().map(|token| Position::of_token(token).unwrap()).collect();
        subject.store().retain(&positions).unwrap();
    };
    retain(&[said[0].1.as_ref().unwrap()]);
    assert_eq!(subject.snapshots(), 3, "both, and what is not ours");
    retain(&[said[2].1.as_ref().unwrap()]);
    assert_eq!(subject.snapshots(), 2);
    assert_eq!(subject.texts(said[2].1.as_ref().unwrap()), ["end"]);
    assert!(subject.texts(&first)[0].starts_with("TokenExpired"));
}

#[test]
fn a_password_is_in_no_snapshot() {
    let mut subject = Subject::new("uid;pwd\na;sesame-opens\nb;x\n");
    subject.config.password_attribute = Some("pwd".into());
    let before = subject.token();
    subject.write("uid;pwd\na;sesame-closes\nb;x\nc;sesame\n");
    assert_eq!(subject.texts(&before), ["c:", "end"]);
    for entry in fs::read_dir(subject.state()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"sesame"));
    }
}

#[test]
fn a_connector_without_a_folder_offers_no_live_synchronization() {
    let subject = Subject::new("uid;name\na;Ann\n");
    assert!(Csv::new(subject.config.clone()).live_sync().is_none());
    let connector = Csv::new(subject.config.clone()).with_state_folder(subject.state());
    let live = connector.live_sync().unwrap();
    let token = block_on(live.current_token(None)).unwrap();
    let events: Vec<_> = block_on(live.changes(ChangesRequest::new(token)).collect());
    assert!(matches!(events.as_slice(), [Ok(SyncEvent::End(_))]), "{events:?}");
}

/// Rows: identifier, and what they say.
type Rows = Vec<(u8, u8)>;

fn file(rows: &Rows) -> String {
    let rows: String = rows.iter().map(|(id, value)| format!("u{id};{}\n", "v".repeat(usize::from(*value) % 7 + 1))).collect();
    format!("uid;value\n{rows}")
}

/// What the last one of the states of a file says, by a comparison that a child could make.
fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let keys: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter_map(|key| match (old.get(key), new.get(key)) {
            (old, Some(new)) if old != Some(new) => Some(format!("{key}: value={new}")),
            (Some(_), None) => Some(format!("{key} is gone")),
            _ => None,
        })
        .collect()
}

fn state(rows: &Rows) -> BTreeMap<String, String> {
    rows.iter().map(|(id, value)| (format!("u{id}"), "v".repeat(usize::from(*value) % 7 + 1))).collect()
}

/// Different identifiers, in any order.
fn rows() -> impl Strategy<Value = Rows> {
    proptest::collection::btree_map(0..40_u8, 0..4_u8, 1..30)
        .prop_flat_map(|rows| Just(rows.into_iter().collect::<Vec<_>>()).prop_shuffle())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn changes_are_the_differences_and_every_token_gives_the_rest(old in rows(), new in rows(), memory in 1..400_usize) {
        let mut subject = Subject::new(&file(&old));
        subject.memory = memory;
        let before = subject.token();
        subject.write(file(&new));
        let said = subject.changes(&before);
        let mut expected = differences(&state(&old), &state(&new));
        expected.push("end".to_owned());
        let texts: Vec<String> = said.iter().map(|(text, _)| text.clone()).collect();
        prop_assert_eq!(&texts, &expected);
        for (at, (_, token)) in said.iter().enumerate() {
            let rest = &expected[(at + 1).min(expected.len() - 1)..];
            prop_assert_eq!(subject.texts(token.as_ref().unwrap()), rest);
        }
    }

    #[test]
    fn whoever_stops_anywhere_and_finds_another_file_ends_with_what_is_there(
        files in proptest::collection::vec(rows(), 2..6),
        stops in proptest::collection::vec(0..12_usize, 5),
        memory in 1..400_usize,
    ) {
        let mut subject = Subject::new(&file(&files[0]));
        subject.memory = memory;
        let mut token = subject.token();
        let mut known = state(&files[0]);
        for (rows, stop) in files[1..].iter().chain(files.last()).zip(stops.iter().chain(std::iter::repeat(&usize::MAX))) {
            subject.write(file(rows));
            let last = std::ptr::eq(rows, files.last().unwrap());
            for (text, position) in subject.changes(&token).into_iter().take(if last { usize::MAX } else { *stop }) {
                if let Some(gone) = text.strip_suffix(" is gone") {
                    prop_assert!(known.remove(gone).is_some(), "{gone} is gone that was not there");
                } else if let Some((key, value)) = text.split_once(": value=") {
                    let earlier = known.insert(key.to_owned(), value.to_owned());
                    prop_assert!(earlier.as_deref() != Some(value), "{key} is told twice");
                }
                token = position.unwrap();
            }
            subject.store().retain(&[Position::of_token(&token).unwrap()]).unwrap();
            prop_assert!(subject.snapshots() <= 2);
        }
        prop_assert_eq!(known, state(files.last().unwrap()));
    }
}

#[test]
fn a_row_of_several_lines_and_several_values_is_as_a_search_gives_it() {
    let mut subject = Subject::new("uid;note;groups\na;x;\n");
    subject.config.multi_value = Some(MultiValue { splitter: Splitter::new(",").unwrap(), columns: Some(vec!["groups".into()]) });
    let before = subject.token();
    subject.write("uid;note;groups\na;\"one\n\"\"two\"\";\";x,y\n");
    assert_eq!(subject.texts(&before), ["a: note=one\n\"two\"; groups=x|y", "end"]);
}
