//! Clauses on triggers: retries that shadows wait for.

use std::sync::Arc;

use tidelock_model::object::Shadow;
use tidelock_model::{Oid, Timestamp};

use super::build::{NO_SHADOW, add, change, create, known, of_shadows, of_triggers, retry, shadow, the_shadow};
use crate::{Batch, ErrorKind, NewTrigger, Repo, Retry, ShadowKey, ShadowRef, StoredTrigger, TriggerChange, TriggerKey};

/// Stores shadows, and gives their handles.
async fn shadows<const N: usize>(repo: &dyn Repo, names: [&str; N]) -> [ShadowKey; N] {
    repo.commit(of_shadows(names.iter().map(|name| create(shadow(name), None)).collect())).await.unwrap();
    let mut keys = [NO_SHADOW; N];
    for (key, name) in keys.iter_mut().zip(names) {
        *key = known(repo, name).await.unwrap().key;
    }
    keys
}

async fn commit(repo: &dyn Repo, triggers: impl IntoIterator<Item = TriggerChange>) {
    repo.commit(of_triggers(triggers)).await.unwrap();
}

async fn due(repo: &dyn Repo, until: i64) -> Vec<StoredTrigger> {
    repo.due_triggers(Timestamp::from_millis(until), None, 1000).await.unwrap()
}

/// Task and time of each.
fn shown(triggers: &[StoredTrigger]) -> String {
    let texts = triggers.iter().map(|trigger| format!("{}@{}", trigger.retry.task, trigger.retry.at.as_millis()));
    texts.collect::<Vec<_>>().join(" ")
}

pub async fn a_trigger_comes_back_as_it_was_stored(repo: Arc<dyn Repo>) {
    let [key] = shadows(&*repo, ["a"]).await;
    let plain = retry("0188f3a2-7b1c-7def-8123-456789abcdef", 5);
    let extreme = Retry {
        at: Timestamp::from_millis(i64::MIN),
        attempt: u32::MAX,
        interval_millis: i64::MAX,
        limit: Some(u32::MAX),
        task: Oid::new("'Ž\0"),
        activity: "a/b 'Ž\0".into(),
    };
    let least = Retry {
        at: Timestamp::from_millis(i64::MAX),
        attempt: 0,
        interval_millis: i64::MIN,
        limit: Some(0),
        activity: "".into(),
        ..plain.clone()
    };
    let said = [extreme, plain, least];
    commit(&*repo, said.iter().map(|retry| add(ShadowRef::Stored(key), retry.clone()))).await;
    let stored = repo.triggers(key).await.unwrap();
    assert_eq!(stored.iter().map(|trigger| &trigger.retry).collect::<Vec<_>>(), said.iter().collect::<Vec<_>>());
    assert!(stored.iter().all(|trigger| trigger.shadow == key && trigger.key.at == trigger.retry.at));
    assert_eq!(due(&*repo, i64::MAX).await, stored);
    assert_eq!(shown(&due(&*repo, i64::MIN).await), "'Ž\0@-9223372036854775808");
}

pub async fn triggers_are_of_their_shadows(repo: Arc<dyn Repo>) {
    let [a, b, c] = shadows(&*repo, ["a", "b", "c"]).await;
    let (of_a, of_b) = (ShadowRef::Stored(a), ShadowRef::Stored(b));
    commit(&*repo, [add(of_a, retry("t1", 3)), add(of_b, retry("t1", 1)), add(of_a, retry("t2", 2)), add(of_a, retry("t3", 3))])
        .await;
    assert_eq!(shown(&repo.triggers(a).await.unwrap()), "t2@2 t1@3 t3@3");
    assert_eq!(shown(&repo.triggers(b).await.unwrap()), "t1@1");
    for none in [c, NO_SHADOW] {
        assert!(repo.triggers(none).await.unwrap().is_empty());
    }
    // One of a shadow that the batch itself creates.
    let batch = Batch { triggers: vec![add(ShadowRef::New(1), retry("t", 4))], ..of_shadows(vec![]) };
    let created = ["d", "e"].map(|name| create(shadow(name), None)).to_vec();
    repo.commit(Batch { shadows: created, ..batch }).await.unwrap();
    let e = the_shadow(&*repo, "e").await.key;
    assert_eq!(shown(&repo.triggers(e).await.unwrap()), "t@4");
}

pub async fn due_triggers_come_page_by_page_in_the_order_of_their_keys(repo: Arc<dyn Repo>) {
    let keys = shadows(&*repo, ["a", "b", "c", "d", "e", "f", "g"]).await;
    let added = keys.iter().zip([30, 10, 20, 20, 40, 20, 10]);
    commit(&*repo, added.map(|(key, at)| add(ShadowRef::Stored(*key), retry("t", at)))).await;
    let all = due(&*repo, i64::MAX).await;
    let [a, b, c, d, e, f, g] = keys;
    // Those of one time by age.
    assert_eq!(all.iter().map(|trigger| trigger.shadow).collect::<Vec<_>>(), [b, g, c, d, f, a, e]);
    assert!(all.is_sorted_by_key(|trigger| trigger.key));
    assert_eq!(due(&*repo, 9).await, []);
    assert_eq!(due(&*repo, 20).await, all[..5], "the time itself is among them");
    assert!(repo.due_triggers(Timestamp::from_millis(50), None, 0).await.unwrap().is_empty());

    let until = Timestamp::from_millis(30);
    for size in 1..=7 {
        let (mut met, mut after) = (Vec::new(), None);
        loop {
            let page = repo.due_triggers(until, after, size).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            assert!(page.len() <= size);
            met.extend(page);
        }
        assert_eq!(met, all[..6], "pages of {size}");
    }
    let beyond = Some(all[6].key);
    assert!(repo.due_triggers(until, beyond, 9).await.unwrap().is_empty(), "after one that is not due");
}

pub async fn triggers_are_gone_through_while_they_go(repo: Arc<dyn Repo>) {
    let keys = shadows(&*repo, ["a", "b", "c", "d", "e"]).await;
    commit(&*repo, keys.iter().map(|key| add(ShadowRef::Stored(*key), retry("t", 7)))).await;
    let (mut met, mut after) = (Vec::new(), None);
    loop {
        let page = repo.due_triggers(Timestamp::from_millis(7), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        // Each is dealt with: it goes, or is to come later.
        let later = page.iter().map(|trigger| add(ShadowRef::Stored(trigger.shadow), retry("t", 8)));
        let changes = later.chain([TriggerChange::Remove(last.key)]);
        commit(&*repo, changes.collect::<Vec<_>>()).await;
        met.extend(page.iter().map(|trigger| trigger.shadow));
    }
    assert_eq!(met, keys);
    assert_eq!(due(&*repo, 8).await.len(), keys.len());
}

pub async fn a_trigger_takes_the_place_of_that_of_its_task_and_activity(repo: Arc<dyn Repo>) {
    let [a, b] = shadows(&*repo, ["a", "b"]).await;
    let (of_a, of_b) = (ShadowRef::Stored(a), ShadowRef::Stored(b));
    let elsewhere = |at| Retry { activity: "elsewhere".into(), ..retry("t", at) };
    commit(&*repo, [add(of_a, retry("t", 1)), add(of_b, retry("t", 2)), add(of_a, retry("u", 3)), add(of_a, elsewhere(4))]).await;
    let before = due(&*repo, 9).await;
    commit(&*repo, [add(of_a, Retry { attempt: 2, limit: None, ..retry("t", 1) })]).await;
    let after = due(&*repo, 9).await;
    // Under a new key, even where it is of the same time.
    assert_ne!(after[0].key, before[0].key);
    assert_eq!((after[0].shadow, after[0].retry.attempt, after[0].retry.limit), (a, 2, None));
    assert_eq!(after[1..], before[1..]);
    // Who holds the old key does not mean the new one.
    commit(&*repo, [TriggerChange::Remove(before[0].key)]).await;
    assert_eq!(due(&*repo, 9).await, after);
}

pub async fn a_trigger_is_removed_by_its_key(repo: Arc<dyn Repo>) {
    let [a, b] = shadows(&*repo, ["a", "b"]).await;
    let (of_a, of_b) = (ShadowRef::Stored(a), ShadowRef::Stored(b));
    commit(&*repo, [add(of_a, retry("t", 1)), add(of_b, retry("t", 1)), add(of_a, retry("u", 2))]).await;
    let all = due(&*repo, 9).await;
    commit(&*repo, [TriggerChange::Remove(all[0].key)]).await;
    assert_eq!(due(&*repo, 9).await, all[1..]);
    // Gone already, never there, of another time: nothing changes.
    let elsewhere = TriggerKey { at: Timestamp::from_millis(7), ..all[1].key };
    let never = TriggerKey { number: i64::MAX, ..all[1].key };
    commit(&*repo, [all[0].key, elsewhere, never].map(TriggerChange::Remove)).await;
    assert_eq!(due(&*repo, 9).await, all[1..]);
    // No key comes to mean another trigger.
    commit(&*repo, [all[1].key, all[2].key].map(TriggerChange::Remove)).await;
    assert_eq!(due(&*repo, 9).await, []);
    commit(&*repo, [add(of_a, retry("u", 2))]).await;
    let new = due(&*repo, 9).await;
    assert!(all.iter().all(|old| old.key != new[0].key));
}

pub async fn triggers_change_in_the_order_of_the_batch(repo: Arc<dyn Repo>) {
    let [a] = shadows(&*repo, ["a"]).await;
    let of_a = ShadowRef::Stored(a);
    commit(&*repo, [add(of_a, retry("t", 1)), add(of_a, retry("t", 2))]).await;
    let stored = due(&*repo, 9).await;
    assert_eq!(shown(&stored), "t@2", "the last of several counts");
    commit(&*repo, [add(of_a, retry("t", 3)), TriggerChange::Remove(stored[0].key)]).await;
    let stored = due(&*repo, 9).await;
    assert_eq!(shown(&stored), "t@3");
    commit(&*repo, [TriggerChange::Remove(stored[0].key), add(of_a, retry("t", 3))]).await;
    assert_eq!(shown(&due(&*repo, 9).await), "t@3");
}

pub async fn a_trigger_for_a_shadow_that_is_not_there_is_refused(repo: Arc<dyn Repo>) {
    let [a] = shadows(&*repo, ["a"]).await;
    let nowhere = NewTrigger { shadow: ShadowRef::Stored(NO_SHADOW), retry: retry("t", 1) };
    let batch = of_triggers([add(ShadowRef::Stored(a), retry("t", 1)), TriggerChange::Add(nowhere)]);
    assert_eq!(repo.commit(batch).await.unwrap_err().kind(), ErrorKind::Conflict);
    let batch = of_triggers([add(ShadowRef::New(0), retry("t", 1))]);
    assert_eq!(repo.commit(batch).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(due(&*repo, 9).await, []);
}

pub async fn a_trigger_stays_with_a_shadow_that_dies(repo: Arc<dyn Repo>) {
    let [a] = shadows(&*repo, ["a"]).await;
    commit(&*repo, [add(ShadowRef::Stored(a), retry("t", 1))]).await;
    let before = due(&*repo, 9).await;
    let stored = the_shadow(&*repo, "a").await;
    let dead = Shadow { dead: true, ..stored.shadow.clone() };
    repo.commit(of_shadows(vec![change(&stored, dead)])).await.unwrap();
    assert_eq!(repo.triggers(a).await.unwrap(), before);
    assert_eq!(due(&*repo, 9).await, before);
}
