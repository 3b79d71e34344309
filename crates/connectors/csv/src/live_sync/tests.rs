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

use super::disk::Step;
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
        Store::new(Arc::new(self.config.clone()), self.state(), Held::default()).with_memory(self.memory)
    }

    fn token(&self) -> Token {
        Position::At(self.store().now(None, &mut Sight::default()).unwrap().id).to_token()
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

fn texts(said: &Said) -> Vec<&str> {
    said.iter().map(|(text, _)| text.as_str()).collect()
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
fn a_row_that_cannot_be_read_is_no_deletion_and_is_told_at_last_so_that_it_is_in_nobodys_way() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\nc;Cid\n");
    let before = subject.token();
    subject.write(b"uid;name\na;Ann\nb;\xFF\nc;Carl\n");
    let said = subject.changes(&before);
    let bad = "InvalidData: row 3: bytes that are not UTF-8; is 'encoding' right?";
    assert_eq!(texts(&said), ["c: name=Carl", bad, "end"]);
    let (stopped, went_on) = (said[0].1.as_ref().unwrap(), said[2].1.as_ref().unwrap());
    // As long as the file is as it is, whoever stops is told again, and whoever goes on is not.
    assert_eq!(subject.texts(stopped), [bad, "end"]);
    assert_eq!(subject.texts(went_on), ["end"]);
    // In another file it is told again, and once it is good, nobody hears of it.
    subject.write(b"uid;name\na;Anna\nb;\xFF\nc;Carl\n");
    assert_eq!(subject.texts(went_on), ["a: name=Anna", bad, "end"]);
    subject.write("uid;name\na;Ann\nb;Bea\nc;Carl\n");
    assert_eq!(subject.texts(stopped), ["b: name=Bea", "end"]);
    assert_eq!(subject.texts(went_on), ["b: name=Bea", "end"]);
    // Gone is gone, though.
    subject.write("uid;name\na;Ann\nc;Carl\n");
    assert_eq!(subject.texts(stopped), ["b is gone", "end"]);
    assert_eq!(subject.texts(went_on), ["b is gone", "end"]);
}

#[test]
fn a_row_that_may_be_anybodys_keeps_objects_from_being_found_gone() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\nc;Cid\n");
    let before = subject.token();
    subject.write("uid;name\na;Anna\nb\nd;Dan\n;Eve\n");
    let said = subject.changes(&before);
    let bad = ["InvalidData: row 3: 1 field where the header has 2", "InvalidData: row 5: no value in the unique column 'uid'"];
    assert_eq!(texts(&said), ["a: name=Anna", "d: name=Dan", bad[0], bad[1], "end"]);
    assert_eq!(subject.changes(said[0].1.as_ref().unwrap()), said[1..]);
    assert_eq!(subject.changes(&before), said);
    let end = said[4].1.clone().unwrap();
    assert_eq!(subject.texts(&end), ["end"]);
    subject.write("uid;name;mail\na;Anna;\nb\n");
    assert_eq!(subject.texts(&end), [bad[0].replace("has 2", "has 3").as_str(), "end"]);
    subject.write("uid;name\na;Anna\nb;Bob\nd;Dan\n");
    assert_eq!(subject.texts(&end), ["c is gone", "end"]);
}

#[test]
fn what_was_doubtful_and_is_missed_beside_a_row_that_may_be_anybodys_is_found_gone_later() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    subject.write(b"uid;name\na;Ann\nb;\xFF\n");
    let said = subject.changes(&before);
    subject.write("uid;name\na;Ann\nbad\n");
    let said = subject.changes(said[1].1.as_ref().unwrap());
    assert_eq!(texts(&said), ["InvalidData: row 3: 1 field where the header has 2", "end"]);
    subject.write("uid;name\na;Ann\n");
    assert_eq!(subject.texts(said[1].1.as_ref().unwrap()), ["b is gone", "end"]);
}

#[test]
fn objects_of_another_position_are_not_forgotten_over_a_row_that_may_be_anybodys() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let one = subject.token();
    subject.write("uid;name\na;Ann\nc;Cid\n");
    let other = subject.token();
    subject.write("uid;name\na;Ann\nbad\n");
    let [one, other] = [one, other].map(|before| subject.changes(&before).pop().unwrap().1.unwrap());
    subject.write("uid;name\na;Ann\n");
    assert_eq!(subject.texts(&one), ["b is gone", "end"]);
    assert_eq!(subject.texts(&other), ["c is gone", "end"]);
}

#[test]
fn an_identifier_that_comes_twice_is_an_error_unless_both_rows_say_the_same() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    subject.write("uid;name\nb;Bob\na;Ann\na;Anna\nb;Bob\na;A.\n");
    let said = subject.changes(&before);
    assert_eq!(texts(&said), ["InvalidData: row 4: the same identifier as in row 3, and other content", "end"]);
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
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, damaged).unwrap();
        subject.write(format!("uid;name\na;{at}\n"));
        assert_eq!(kind(&subject), ErrorKind::TokenExpired, "byte {at} is another one");
    }
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
fn nobody_clears_away_what_another_one_uses_or_has_just_given_a_token_of() {
    let subject = Subject::new("uid;name\na;Ann\n");
    let [mine, other] = [subject.store(), subject.store()];
    let give_out = || {
        let snapshot = mine.now(None, &mut Sight::default()).unwrap();
        mine.hold(&snapshot);
        Position::At(snapshot.id.clone())
    };
    // A token is given out, and not stored yet.
    let first = give_out();
    other.retain(&[]).unwrap();
    assert_eq!(subject.texts(&first.to_token()), ["end"]);
    // A snapshot is being written.
    let being_written = disk::create(&subject.state().join("18-being-written.tmp")).unwrap();
    other.retain(std::slice::from_ref(&first)).unwrap();
    assert_eq!(subject.snapshots(), 2);
    drop(being_written);
    // The next token is stored, so the first one is needed no more.
    subject.write("uid;name\na;Anna\n");
    mine.retain(&[give_out()]).unwrap();
    assert_eq!(subject.snapshots(), 1);
    drop(mine);
    other.retain(&[]).unwrap();
    assert_eq!(subject.snapshots(), 0);
}

#[test]
fn a_token_that_names_a_row_which_was_not_there_is_expired() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    subject.write("uid;name\na;Anna\nb;Bea\n");
    let mut forged = subject.changes(&before).remove(0).1.unwrap().as_bytes().to_vec();
    forged.push(b'x');
    let kinds = || subject.events(&Token::new(forged.clone())).into_iter().map(|event| event.unwrap_err().kind());
    assert!(kinds().eq([ErrorKind::TokenExpired]));
    subject.write("uid;name\na;Anne\nb;Bea\n");
    assert!(kinds().eq([ErrorKind::TokenExpired]));
}

#[test]
fn waiting_for_a_file_that_can_be_read_takes_no_more_and_more_room() {
    let subject = Subject::new("uid;name\na;Ann\nb;Bob\n");
    let before = subject.token();
    subject.write("uid;name\na;Anna\nb;Bea\n");
    let within = subject.changes(&before).remove(0).1.unwrap();
    for attempt in 0..5 {
        subject.write(format!("uid;name\na;Anna\nb;\"{attempt}"));
        assert!(subject.texts(&within)[0].starts_with("Unreachable"));
    }
    assert_eq!(subject.snapshots(), 3, "both, and what is known of the file");
}

/// What the folder was like after each step that was done to it.
type Images = std::rc::Rc<std::cell::RefCell<Vec<(Step, TempDir)>>>;

/// Does something to a folder, and takes an image of it after each step. What lies in memory only would be lost if the machine went
/// down, so of a file that is being written an image has nothing but its name.
fn images<T>(folder: &std::path::Path, work: impl FnOnce() -> T) -> (T, Vec<(Step, TempDir)>) {
    let images = Images::default();
    let (folder, taken) = (folder.to_owned(), images.clone());
    let watcher = move |step| {
        let image = TempDir::new()?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let copy = image.path().join(path.file_name().unwrap());
            if path.extension().is_some_and(|ending| ending == "tmp") {
                fs::write(copy, "")?;
            } else {
                fs::copy(path, copy)?;
            }
        }
        taken.borrow_mut().push((step, image));
        Ok(())
    };
    let done = disk::watch(watcher, work);
    (done, images.take())
}

/// The same subject, with another folder of snapshots.
fn with_state(subject: &Subject, image: &std::path::Path) -> Subject {
    let copy = Subject { memory: subject.memory, ..Subject::new(&fs::read_to_string(&subject.config.path).unwrap()) };
    fs::create_dir_all(copy.state()).unwrap();
    for entry in fs::read_dir(image).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.state().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

fn leftovers(subject: &Subject) -> usize {
    let names = fs::read_dir(subject.state()).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|ending| ending == "tmp")).count()
}

#[test]
fn a_process_may_end_after_any_step() {
    let mut subject = Subject::new("uid;name\nc;Cid\na;Ann\nd;Dan\nb;Bob\n");
    subject.memory = 1;
    let before = subject.token();
    let next = "uid;name\nb;Bea\na;Ann\ne;Eve\nx\nd;Dan\n";
    subject.write(next);
    let (said, taken) = images(&subject.state(), || subject.changes(&before));
    let told = ["b: name=Bea", "e: name=Eve", "InvalidData: row 5: 1 field where the header has 2", "end"];
    assert_eq!(texts(&said), told);
    let steps: Vec<Step> = taken.iter().map(|(step, _)| *step).collect();
    assert!(steps.len() > 10, "{steps:?}");
    assert!(steps.ends_with(&[Step::Written, Step::Synced, Step::Renamed, Step::FolderSynced]), "{steps:?}");
    let last = "uid;name\na;Anna\nb;Bea\nd;Dan\n";
    for (step, image) in &taken {
        // The file is still the same, or yet another one.
        let again = with_state(&subject, image.path());
        assert_eq!(again.texts(&before), told, "after {step:?}");
        assert_eq!(leftovers(&again), 0, "after {step:?}");
        let later = with_state(&subject, image.path());
        later.write(last);
        assert_eq!(later.texts(&before), ["a: name=Anna", "b: name=Bea", "c is gone", "end"], "after {step:?}");
    }

    // The same in the middle of a comparison, when the file is another one by then.
    let within = said[0].1.clone().unwrap();
    subject.write(last);
    let told = ["a: name=Anna", "c is gone", "end"];
    let (said, taken) = images(&subject.state(), || subject.texts(&within));
    assert_eq!(said, told);
    for (step, image) in &taken {
        let again = with_state(&subject, image.path());
        assert_eq!(again.texts(&within), told, "after {step:?}");
    }

    // And while what is needed no more is cleared away.
    let end = subject.changes(&within).pop().unwrap().1.unwrap();
    let kept = [Position::of_token(&end).unwrap()];
    let (cleared, taken) = images(&subject.state(), || subject.store().retain(&kept));
    cleared.unwrap();
    assert!(taken.len() >= 3 && taken.iter().all(|(step, _)| *step == Step::Removed));
    subject.write(next);
    for (_, image) in &taken {
        assert_eq!(with_state(&subject, image.path()).texts(&end)[0], "a: name=Ann");
    }
}

#[test]
fn whatever_fails_moves_nothing() {
    let mut subject = Subject::new("uid;name\nc;Cid\na;Ann\nd;Dan\nb;Bob\n");
    subject.memory = 1;
    let before = subject.token();
    subject.write("uid;name\nb;Bea\na;Ann\ne;Eve\nd;Dan\n");
    for failing in 0.. {
        let mut step = 0;
        let watcher = move |_| {
            step += 1;
            if step > failing { Err(std::io::Error::other("the disk is full")) } else { Ok(()) }
        };
        let said = disk::watch(watcher, || subject.texts(&before));
        if said.len() > 1 {
            assert!(failing > 5);
            break;
        }
        assert!(said[0].starts_with("Unreachable: cannot "), "{said:?}");
    }
    assert_eq!(subject.texts(&before), ["b: name=Bea", "c is gone", "e: name=Eve", "end"]);
    assert_eq!(leftovers(&subject), 0);
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
    #![proptest_config(ProptestConfig::with_cases(48))]

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
