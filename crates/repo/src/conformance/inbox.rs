//! Clauses on the inbox: which messages have been taken over.

use std::sync::Arc;

use tidelock_model::Oid;

use super::build::{hr, marks};
use crate::{Batch, INBOX_KEPT, InboxEntry, InboxMarks, Repo};

async fn mark(repo: &dyn Repo, marks: Batch) {
    repo.commit(marks).await.unwrap();
}

/// A mark on a message of another resource.
fn elsewhere() -> InboxMarks {
    InboxMarks { resource: Oid::new("other"), messages: vec![InboxEntry { message: "a".into(), changes: 7 }] }
}

fn batch(marks: InboxMarks) -> Batch {
    Batch { inbox: Some(marks), ..Batch::default() }
}

/// The marks of [`hr`]: a message, with the number of its changes unless it is settled.
async fn inbox(repo: &dyn Repo) -> String {
    let entries = repo.inbox(&hr()).await.unwrap();
    let texts = entries.iter().map(|entry| match entry.is_settled() {
        true => entry.message.to_string(),
        false => format!("{}:{}", entry.message, entry.changes),
    });
    texts.collect::<Vec<_>>().join(" ")
}

pub async fn marks_come_newest_first(repo: Arc<dyn Repo>) {
    assert_eq!(inbox(&*repo).await, "");
    mark(&*repo, marks(&[("a", None), ("b", Some(0)), ("c", Some(3))])).await;
    mark(&*repo, marks(&[("e", None), ("d", Some(InboxEntry::ALL - 1))])).await;
    assert_eq!(inbox(&*repo).await, "d:4294967294 e c:3 b:0 a");
    mark(&*repo, marks(&[])).await;
    assert_eq!(inbox(&*repo).await, "d:4294967294 e c:3 b:0 a");
}

pub async fn a_later_mark_of_a_message_supersedes_those_before_it(repo: Arc<dyn Repo>) {
    mark(&*repo, marks(&[("a", Some(1)), ("b", Some(1)), ("a", Some(2))])).await;
    assert_eq!(inbox(&*repo).await, "a:2 b:1");
    mark(&*repo, marks(&[("b", None)])).await;
    assert_eq!(inbox(&*repo).await, "b a:2");
    // Whatever they say.
    mark(&*repo, marks(&[("a", None), ("b", Some(1)), ("a", Some(0))])).await;
    assert_eq!(inbox(&*repo).await, "a:0 b:1");
}

pub async fn messages_are_told_apart_by_resource_and_by_their_whole_text(repo: Arc<dyn Repo>) {
    let texts = ["", " ", "a", "A", "a\0", "[\"a\",1]", "'; DROP TABLE inbox; --", "Ž", "\u{10ffff}", "\\\"\n"];
    let said: Vec<_> = texts.iter().map(|text| (*text, None)).collect();
    mark(&*repo, marks(&said)).await;
    let other = elsewhere();
    mark(&*repo, batch(other.clone())).await;
    let mut entries = repo.inbox(&hr()).await.unwrap();
    entries.reverse();
    assert_eq!(entries, marks(&said).inbox.unwrap().messages);
    assert_eq!(repo.inbox(&other.resource).await.unwrap(), other.messages);
    assert!(repo.inbox(&Oid::new("absent")).await.unwrap().is_empty());
}

pub async fn the_last_marks_of_a_resource_are_kept_and_older_ones_forgotten(repo: Arc<dyn Repo>) {
    const BATCH: usize = 7_001;
    assert_eq!(INBOX_KEPT, 100_000);
    let other = elsewhere();
    mark(&*repo, batch(other.clone())).await;
    let mut said = 0;
    while said < INBOX_KEPT + 3 * BATCH {
        // The last one of each batch is marked twice, which counts as two.
        let numbers = (said..said + BATCH - 1).chain([said + BATCH - 2]);
        let messages = numbers.map(|number| InboxEntry::settled(number.to_string())).collect();
        mark(&*repo, batch(InboxMarks { resource: hr(), messages })).await;
        said += BATCH;
    }
    let entries = repo.inbox(&hr()).await.unwrap();
    let oldest = said - INBOX_KEPT;
    let marked = |at: usize| at % BATCH != BATCH - 1;
    let expected = (oldest..said).rev().filter(|at| marked(*at)).map(|at| InboxEntry::settled(at.to_string()));
    assert!(entries.into_iter().eq(expected));
    assert_eq!(repo.inbox(&other.resource).await.unwrap(), other.messages);
}
