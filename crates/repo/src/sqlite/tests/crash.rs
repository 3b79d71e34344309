//! What a crash leaves: the log cut off anywhere.

use tidelock_model::object::FocusType;
use tidelock_model::{Oid, Timestamp};

use super::{cuts, folder, opened, run};
use crate::conformance::build::{changed, create, hr, marks, retry, seen, shadow, the_user, tokens, user, values};
use crate::{
    Batch, FocusChange, FocusRef, InboxEntry, Mode, NewTrigger, ObjectKey, Repo, ShadowFilter, ShadowRef, Sqlite, TriggerChange,
};

const COMMITS: u64 = 12;

/// A commit as a live run makes it, which shows in every part that its number has been reached.
async fn commit(repo: &Sqlite, number: u64) {
    let text = number.to_string();
    let foci = match number {
        1 => vec![FocusChange::Create(user("ann", &[]))],
        _ => {
            let ann = the_user(repo, "ann").await;
            let (before, focus) = (ann.focus.content.clone(), changed(&ann.focus, &[("mail", &text)]));
            vec![FocusChange::Update { key: ann.key, expected: number - 1, before, focus }]
        }
    };
    let owner = matches!(foci[0], FocusChange::Create(_)).then_some(FocusRef::New(0));
    let due: Vec<_> = repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 9).await.unwrap();
    let mut triggers: Vec<_> = due.iter().map(|trigger| TriggerChange::Remove(trigger.key)).collect();
    triggers.push(TriggerChange::Add(NewTrigger { shadow: ShadowRef::New(0), retry: retry("t", number as i64) }));
    let batch = Batch {
        foci,
        shadows: vec![create(shadow(&text), owner)],
        seen: vec![seen(ShadowRef::New(0), 1, 1, true)],
        triggers,
        inbox: marks(&[("same", Some(number as u32)), (&text, None)]).inbox,
        token: tokens("set", &text, 1).token,
        task_state: Some((Oid::new("t"), text.clone())),
        ..Batch::default()
    };
    repo.commit(batch).await.unwrap();
}

/// The number of the last commit, on which all parts agree.
async fn reached(repo: &Sqlite) -> u64 {
    let ann = repo.focus(FocusType::User, &ObjectKey::Name("ann".to_owned())).await.unwrap();
    let number = ann.map_or(0, |ann| ann.focus.version);
    assert_eq!(repo.count_shadows(&ShadowFilter::default()).await.unwrap(), number);
    let due = repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 9).await.unwrap();
    let due: Vec<_> = due.iter().map(|trigger| trigger.key.at.as_millis() as u64).collect();
    let inbox = repo.inbox(&hr()).await.unwrap();
    let tokens = values(&repo.tokens_of(&hr()).await.unwrap());
    let state = repo.task_state(&Oid::new("t")).await.unwrap();
    let text = number.to_string();
    if number == 0 {
        assert!(due.is_empty() && inbox.is_empty() && tokens.is_empty() && state.is_none());
        return 0;
    }
    assert_eq!((due, state.as_deref(), &tokens[0]), (vec![number], Some(&*text), &text));
    assert_eq!(inbox[0], InboxEntry::settled(&*text));
    assert_eq!(inbox[1], InboxEntry { message: "same".into(), changes: number as u32 });
    assert_eq!(inbox.len() as u64, number + 1);
    number
}

#[test]
fn effect_token_inbox_and_triggers_agree_wherever_a_crash_cuts() {
    let (_folder, path) = folder();
    // What making the tables left in the log is moved to its place.
    drop(opened(&path, Mode::ReadWrite).unwrap());
    let repo = opened(&path, Mode::ReadWrite).unwrap();
    for number in 1..=COMMITS {
        run(commit(&repo, number));
    }
    let mut met = Vec::new();
    cuts(&path, |path| {
        let repo = opened(path, Mode::ReadWrite).unwrap();
        let number = run(reached(&repo));
        met.push(number);
        // And it goes on from there.
        run(commit(&repo, number + 1));
        assert_eq!(run(reached(&repo)), number + 1);
    });
    assert!(met.is_sorted(), "{met:?}");
    met.dedup();
    assert_eq!(met, (0..=COMMITS).collect::<Vec<_>>());
}
