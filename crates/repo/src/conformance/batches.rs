//! Clauses on writing batches.

use std::sync::Arc;

use tidelock_model::object::{Focus, FocusType, Shadow, Situation};
use tidelock_model::{Oid, Timestamp};

use super::build::{
    NO_FOCUS, NO_SHADOW, add, change, changed, create, failure, fingerprint, hr, items, known, marks, of_foci, of_shadows,
    result, retry, seen, shadow, store_linked, store_users, the_shadow, the_user, tokens, user,
};
use crate::{
    Batch, ErrorKind, FocusChange, FocusRef, ObjectKey, Repo, ShadowChange, ShadowFilter, ShadowKey, ShadowRef, StoredFocus,
    TriggerChange,
};

fn update(stored: &StoredFocus, focus: Focus) -> FocusChange {
    FocusChange::Update { key: stored.key, expected: stored.focus.version, before: stored.focus.content.clone(), focus }
}

fn of_retry(shadow: ShadowRef) -> TriggerChange {
    add(shadow, retry("t", 1))
}

async fn refused(repo: &dyn Repo, batch: Batch) -> ErrorKind {
    repo.commit(batch).await.unwrap_err().kind()
}

async fn shadow_count(repo: &dyn Repo) -> u64 {
    repo.count_shadows(&ShadowFilter { dead: true, ..ShadowFilter::default() }).await.unwrap()
}

pub async fn a_batch_is_stored_whole_or_not_at_all(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    let (ann, a) = (the_user(&*repo, "ann").await, the_shadow(&*repo, "a").await);
    let whole = |last: Shadow| Batch {
        foci: vec![update(&ann, changed(&ann.focus, &[("mail", "new")])), FocusChange::Create(user("bob", &[]))],
        shadows: vec![
            change(&a, Shadow { situation: Some(Situation::Disputed), ..a.shadow.clone() }),
            create(shadow("b"), Some(FocusRef::New(1))),
            create(last, None),
        ],
        seen: vec![seen(ShadowRef::Stored(a.key), 7, 70, true), seen(ShadowRef::New(1), 7, 71, true)],
        results: vec![result(ShadowRef::Stored(a.key), "t", 1), result(ShadowRef::New(1), "t", 2)],
        triggers: vec![ShadowRef::Stored(a.key), ShadowRef::New(1)].into_iter().map(of_retry).collect(),
        inbox: marks(&[("m", None)]).inbox,
        token: tokens("set", "1", 1).token,
        task_state: Some((Oid::new("t"), "state".to_owned())),
        ..Batch::default()
    };
    let of_live = async || {
        let due = repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 9).await.unwrap();
        (due.len(), repo.inbox(&hr()).await.unwrap().len(), repo.tokens_of(&hr()).await.unwrap().len())
    };
    let well = || whole(Shadow { class: "never met before".into(), ..shadow("c") });
    // The same class and identifier as that of another: the last one spoils it for all. So does a trigger for nobody.
    let taken = whole(Shadow { oid: Oid::new("x"), ..shadow("b") });
    let mut astray = well();
    astray.triggers.push(of_retry(ShadowRef::Stored(NO_SHADOW)));
    for (spoiled, kind) in [(taken, ErrorKind::Duplicate), (astray, ErrorKind::Conflict)] {
        assert_eq!(refused(&*repo, spoiled).await, kind);
        assert_eq!(the_user(&*repo, "ann").await, ann);
        assert_eq!(the_shadow(&*repo, "a").await, a);
        assert!(repo.focus(FocusType::User, &ObjectKey::Name("bob".to_owned())).await.unwrap().is_none());
        assert_eq!(shadow_count(&*repo).await, 1);
        assert_eq!(known(&*repo, "a").await.unwrap().last_run, 0);
        assert!(repo.results(a.key).await.unwrap().is_empty());
        assert_eq!(of_live().await, (0, 0, 0));
        assert_eq!(repo.task_state(&Oid::new("t")).await.unwrap(), None);
    }

    repo.commit(well()).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await.focus.version, 2);
    assert_eq!(the_shadow(&*repo, "a").await.shadow.situation, Some(Situation::Disputed));
    assert_eq!(the_shadow(&*repo, "b").await.owner, Some(the_user(&*repo, "bob").await));
    assert_eq!(known(&*repo, "a").await.unwrap().last_run, 7);
    assert_eq!(known(&*repo, "b").await.unwrap().last_run, 7);
    assert_eq!(repo.results(the_shadow(&*repo, "b").await.key).await.unwrap().len(), 1);
    assert_eq!(of_live().await, (2, 1, 1));
    assert_eq!(repo.task_state(&Oid::new("t")).await.unwrap().as_deref(), Some("state"));
    repo.commit(Batch::default()).await.unwrap();
}

pub async fn a_stale_version_is_a_conflict_and_changes_nothing(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let old = the_user(&*repo, "ann").await;
    repo.commit(of_foci(vec![update(&old, changed(&old.focus, &[("mail", "1")]))])).await.unwrap();
    let new = the_user(&*repo, "ann").await;
    let stale = [
        update(&old, changed(&old.focus, &[("mail", "2")])),
        FocusChange::Delete { key: old.key, version: old.focus.version },
        FocusChange::Delete { key: old.key, version: 9 },
        FocusChange::Update { key: NO_FOCUS, expected: 1, before: old.focus.content.clone(), focus: changed(&old.focus, &[]) },
        FocusChange::Delete { key: NO_FOCUS, version: 1 },
    ];
    for change in stale {
        let batch = of_foci(vec![FocusChange::Create(user("bob", &[])), change]);
        assert_eq!(refused(&*repo, batch).await, ErrorKind::Conflict);
        assert_eq!(repo.foci(FocusType::User, None, 9).await.unwrap(), std::slice::from_ref(&new));
    }
}

pub async fn an_expectation_that_fails_is_a_conflict(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let ann = the_user(&*repo, "ann").await;
    let expecting = |key, version| Batch { expected: vec![(key, version)], ..of_shadows(vec![create(shadow("a"), None)]) };
    assert_eq!(refused(&*repo, expecting(ann.key, 2)).await, ErrorKind::Conflict);
    assert_eq!(refused(&*repo, expecting(NO_FOCUS, 1)).await, ErrorKind::Conflict);
    assert_eq!(shadow_count(&*repo).await, 0);
    repo.commit(expecting(ann.key, 1)).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await, ann);
}

pub async fn a_focus_is_stored_with_the_version_it_names(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[Focus { version: 4, ..user("ann", &[]) }]).await;
    let ann = the_user(&*repo, "ann").await;
    assert_eq!(ann.focus.version, 4);
    repo.commit(of_foci(vec![update(&ann, Focus { version: 9, ..ann.focus.clone() })])).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await.focus.version, 9);
}

pub async fn a_version_that_does_not_grow_is_refused(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let ann = the_user(&*repo, "ann").await;
    let impossible = [
        FocusChange::Create(Focus { version: 0, ..user("bob", &[]) }),
        update(&ann, ann.focus.clone()),
        update(&ann, Focus { oid: Oid::new("another"), version: 2, ..ann.focus.clone() }),
        update(&ann, Focus { focus_type: FocusType::Role, version: 2, ..ann.focus.clone() }),
    ];
    for change in impossible {
        assert_eq!(refused(&*repo, of_foci(vec![change])).await, ErrorKind::Corrupt);
    }
}

pub async fn a_taken_name_of_a_focus_is_a_duplicate(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[]), user("bob", &[])]).await;
    let namesake = Focus { oid: Oid::new("x"), ..user("ann", &[]) };
    assert_eq!(refused(&*repo, of_foci(vec![FocusChange::Create(namesake.clone())])).await, ErrorKind::Duplicate);
    let bob = the_user(&*repo, "bob").await;
    let renamed = Focus { content: items(&[("name", "ann")]), version: 2, ..bob.focus.clone() };
    assert_eq!(refused(&*repo, of_foci(vec![update(&bob, renamed)])).await, ErrorKind::Duplicate);
    let twins = ["1", "2"].map(|oid| FocusChange::Create(Focus { oid: Oid::new(oid), ..user("eve", &[]) }));
    assert_eq!(refused(&*repo, of_foci(twins.to_vec())).await, ErrorKind::Duplicate);
    // A name is one of its type; who has none is nobody's namesake.
    store_users(&*repo, &[Focus { focus_type: FocusType::Role, ..namesake }]).await;
    let nameless = ["3", "4"].map(|oid| Focus { oid: Oid::new(oid), content: items(&[("mail", "m")]), ..user("", &[]) });
    store_users(&*repo, &nameless).await;
    assert!(repo.focus(FocusType::User, &ObjectKey::Name(String::new())).await.unwrap().is_none());
}

pub async fn a_name_given_up_earlier_in_the_batch_is_free(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[]), user("bob", &[])]).await;
    let (ann, bob) = (the_user(&*repo, "ann").await, the_user(&*repo, "bob").await);
    let renamed = |stored: &StoredFocus, name| Focus { content: items(&[("name", name)]), version: 2, ..stored.focus.clone() };
    let give_up = update(&ann, renamed(&ann, "eve"));
    let take = update(&bob, renamed(&bob, "ann"));
    assert_eq!(refused(&*repo, of_foci(vec![take.clone(), give_up.clone()])).await, ErrorKind::Duplicate);
    repo.commit(of_foci(vec![give_up, take])).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await.focus.oid, bob.focus.oid);
    assert_eq!(the_user(&*repo, "eve").await.focus.oid, ann.focus.oid);
}

pub async fn a_taken_oid_is_a_duplicate(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    let focus = Focus { oid: Oid::new("user-ann"), ..user("bob", &[]) };
    assert_eq!(refused(&*repo, of_foci(vec![FocusChange::Create(focus)])).await, ErrorKind::Duplicate);
    let other = Shadow { oid: Oid::new("shadow-a"), ..shadow("b") };
    assert_eq!(refused(&*repo, of_shadows(vec![create(other, None)])).await, ErrorKind::Duplicate);
}

pub async fn a_taken_identifier_is_a_duplicate(repo: Arc<dyn Repo>) {
    repo.commit(of_shadows(["a", "b"].map(|id| create(shadow(id), None)).to_vec())).await.unwrap();
    let same = Shadow { oid: Oid::new("x"), ..shadow("a") };
    assert_eq!(refused(&*repo, of_shadows(vec![create(same.clone(), None)])).await, ErrorKind::Duplicate);
    let b = the_shadow(&*repo, "b").await;
    let renamed = Shadow { identifier: "a".into(), ..b.shadow.clone() };
    assert_eq!(refused(&*repo, of_shadows(vec![change(&b, renamed)])).await, ErrorKind::Duplicate);
    let elsewhere = Shadow { resource: Oid::new("other"), ..same.clone() };
    let of_other_class = Shadow { class: "group".into(), oid: Oid::new("y"), ..same };
    repo.commit(of_shadows(vec![create(elsewhere, None), create(of_other_class, None)])).await.unwrap();
}

pub async fn the_dead_do_not_hold_their_identifier(repo: Arc<dyn Repo>) {
    repo.commit(of_shadows(vec![create(shadow("a"), None)])).await.unwrap();
    let old = the_shadow(&*repo, "a").await;
    let died = change(&old, Shadow { dead: true, situation: Some(Situation::Deleted), ..old.shadow.clone() });
    let born = create(Shadow { oid: Oid::new("new"), ..shadow("a") }, None);
    assert_eq!(refused(&*repo, of_shadows(vec![born.clone(), died.clone()])).await, ErrorKind::Duplicate);
    repo.commit(of_shadows(vec![died, born])).await.unwrap();
    assert_eq!(the_shadow(&*repo, "a").await.shadow.oid, Oid::new("new"));
    assert!(repo.load(&[old.key]).await.unwrap()[0].as_ref().unwrap().shadow.dead);
    let revived = repo.load(&[old.key]).await.unwrap().remove(0).unwrap();
    let again = change(&revived, Shadow { dead: false, ..revived.shadow.clone() });
    assert_eq!(refused(&*repo, of_shadows(vec![again])).await, ErrorKind::Duplicate);
}

pub async fn a_changed_focus_makes_its_shadows_be_looked_at(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[]), user("bob", &[])]).await;
    let (ann, bob) = (the_user(&*repo, "ann").await, the_user(&*repo, "bob").await);
    let owned = |id, owner: &StoredFocus| create(shadow(id), Some(FocusRef::Stored(owner.key)));
    repo.commit(of_shadows(vec![owned("a1", &ann), owned("a2", &ann), owned("b", &bob)])).await.unwrap();
    let a2 = the_shadow(&*repo, "a2").await;
    let batch = Batch {
        foci: vec![update(&ann, changed(&ann.focus, &[("mail", "m")]))],
        shadows: vec![ShadowChange { fingerprint: Some(fingerprint(2)), ..change(&a2, a2.shadow.clone()) }],
        ..Batch::default()
    };
    repo.commit(batch).await.unwrap();
    let fingerprints = [known(&*repo, "a1").await, known(&*repo, "a2").await, known(&*repo, "b").await];
    let fingerprints = fingerprints.map(|known| known.unwrap().fingerprint);
    assert_eq!(fingerprints, [None, Some(fingerprint(2)), Some(fingerprint(1))]);
}

pub async fn a_deleted_focus_leaves_its_shadows(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    let key = the_user(&*repo, "ann").await.key;
    repo.commit(of_foci(vec![FocusChange::Delete { key, version: 1 }])).await.unwrap();
    let left = the_shadow(&*repo, "a").await;
    assert_eq!((left.owner, left.shadow), (None, shadow("a")));
    assert_eq!(known(&*repo, "a").await.unwrap().fingerprint, None);
    assert!(repo.focus(FocusType::User, &ObjectKey::Name("ann".to_owned())).await.unwrap().is_none());
    store_users(&*repo, &[user("ann", &[])]).await;
}

pub async fn a_handle_of_a_deleted_focus_never_means_another(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let ann = the_user(&*repo, "ann").await;
    repo.commit(of_foci(vec![FocusChange::Delete { key: ann.key, version: 1 }])).await.unwrap();
    store_users(&*repo, &[user("ann", &[])]).await;
    repo.apply(vec![], vec![(None, user("bob", &[]))]).await.unwrap();
    assert_ne!(the_user(&*repo, "ann").await.key, ann.key);
    let stale = Batch { expected: vec![(ann.key, 1)], ..Batch::default() };
    assert_eq!(refused(&*repo, stale).await, ErrorKind::Conflict);
}

pub async fn an_owner_that_has_gone_is_a_conflict(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    let (ann, a) = (the_user(&*repo, "ann").await, the_shadow(&*repo, "a").await);
    let gone = Some(FocusRef::Stored(NO_FOCUS));
    assert_eq!(refused(&*repo, of_shadows(vec![create(shadow("b"), gone)])).await, ErrorKind::Conflict);
    let change_owner = ShadowChange { owner: gone, ..change(&a, a.shadow.clone()) };
    assert_eq!(refused(&*repo, of_shadows(vec![change_owner])).await, ErrorKind::Conflict);
    let in_this_batch = Batch {
        foci: vec![FocusChange::Delete { key: ann.key, version: 1 }],
        shadows: vec![create(shadow("b"), Some(FocusRef::Stored(ann.key)))],
        ..Batch::default()
    };
    assert_eq!(refused(&*repo, in_this_batch).await, ErrorKind::Conflict);
    assert_eq!(the_shadow(&*repo, "a").await, a);
}

pub async fn link_and_fingerprint_are_what_the_batch_says(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[]), user("bob", &[])]).await;
    repo.commit(of_shadows(vec![create(shadow("a"), None)])).await.unwrap();
    let (ann, bob) = (the_user(&*repo, "ann").await, the_user(&*repo, "bob").await);
    let steps = [(Some(&ann), Some(2)), (Some(&bob), Some(3)), (Some(&bob), None), (None, Some(4)), (None, None)];
    for (owner, print) in steps {
        let a = the_shadow(&*repo, "a").await;
        let fingerprint = print.map(fingerprint);
        let owner_ref = owner.map(|owner| FocusRef::Stored(owner.key));
        repo.commit(of_shadows(vec![ShadowChange { owner: owner_ref, fingerprint, ..change(&a, a.shadow.clone()) }]))
            .await
            .unwrap();
        assert_eq!(the_shadow(&*repo, "a").await.owner.as_ref(), owner);
        assert_eq!(known(&*repo, "a").await.unwrap().fingerprint, fingerprint);
    }
}

pub async fn a_shadow_that_never_was_is_a_conflict(repo: Arc<dyn Repo>) {
    let absent = ShadowChange { key: Some(NO_SHADOW), ..create(shadow("a"), None) };
    assert_eq!(refused(&*repo, of_shadows(vec![absent])).await, ErrorKind::Conflict);
    let mark = Batch { seen: vec![seen(ShadowRef::Stored(NO_SHADOW), 1, 1, true)], ..Batch::default() };
    assert_eq!(refused(&*repo, mark).await, ErrorKind::Conflict);
    let kept = Batch { results: vec![result(ShadowRef::Stored(NO_SHADOW), "t", 1)], ..Batch::default() };
    assert_eq!(refused(&*repo, kept).await, ErrorKind::Conflict);
}

pub async fn seen_marks_set_what_they_say(repo: Arc<dyn Repo>) {
    let shadows = (0..100).map(|at| create(shadow(&format!("s{at}")), None)).collect();
    repo.commit(Batch { seen: vec![seen(ShadowRef::New(7), 1, 10, false)], ..of_shadows(shadows) }).await.unwrap();
    let keys: Vec<ShadowKey> =
        repo.shadows(&ShadowFilter::default(), None, 1000).await.unwrap().iter().map(|shadow| shadow.key).collect();
    let marks = keys.iter().skip(1).map(|key| seen(ShadowRef::Stored(*key), 2, 20, true)).collect();
    repo.commit(Batch { seen: marks, ..Batch::default() }).await.unwrap();
    repo.commit(Batch { seen: vec![seen(ShadowRef::Stored(keys[7]), 3, 30, false)], ..Batch::default() }).await.unwrap();
    let at = |millis| Some(Timestamp::from_millis(millis));
    for (place, run, synchronized, fully) in
        [(0, 0, None, None), (1, 2, at(20), at(20)), (7, 3, at(30), at(20)), (99, 2, at(20), at(20))]
    {
        let stored = the_shadow(&*repo, &format!("s{place}")).await.shadow;
        assert_eq!((stored.synchronized, stored.fully_synchronized), (synchronized, fully));
        let known = known(&*repo, &format!("s{place}")).await.unwrap();
        assert_eq!((known.last_run, known.fingerprint), (run, Some(fingerprint(1))));
    }
}

pub async fn the_last_of_several_marks_counts(repo: Arc<dyn Repo>) {
    let of = |shadow: ShadowRef| vec![seen(shadow, 1, 10, true), seen(shadow, 2, 20, false), seen(shadow, 2, 15, false)];
    repo.commit(Batch { seen: of(ShadowRef::New(0)), ..of_shadows(vec![create(shadow("a"), None), create(shadow("b"), None)]) })
        .await
        .unwrap();
    let b = the_shadow(&*repo, "b").await;
    // A shadow that the batch changes can be named by its place as well.
    repo.commit(Batch { seen: of(ShadowRef::New(0)), ..of_shadows(vec![change(&b, b.shadow.clone())]) }).await.unwrap();
    for name in ["a", "b"] {
        let stored = the_shadow(&*repo, name).await.shadow;
        assert_eq!(stored.synchronized, Some(Timestamp::from_millis(15)));
        assert_eq!(stored.fully_synchronized, Some(Timestamp::from_millis(10)));
        assert_eq!(known(&*repo, name).await.unwrap().last_run, 2);
    }
}

pub async fn results_are_kept_newest_first_five_of_a_shadow_three_of_a_task(repo: Arc<dyn Repo>) {
    let mut first = result(ShadowRef::New(0), "t1", 0);
    (first.message, first.status, first.activity) = (Some("cannot".into()), crate::OperationStatus::FatalError, "".into());
    repo.commit(Batch { results: vec![first.clone()], ..of_shadows(vec![create(shadow("a"), None)]) }).await.unwrap();
    let key = the_shadow(&*repo, "a").await.key;
    first.shadow = ShadowRef::Stored(key);
    assert_eq!(repo.results(key).await.unwrap(), [first]);
    let kept = async |task: &str, at| {
        let batch = Batch { results: vec![result(ShadowRef::Stored(key), task, at)], ..Batch::default() };
        repo.commit(batch).await.unwrap();
        let results = repo.results(key).await.unwrap();
        results.iter().map(|result| format!("{}@{}", result.task, result.at.as_millis())).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept("t1", 1).await, "t1@1 t1@0");
    assert_eq!(kept("t1", 2).await, "t1@2 t1@1 t1@0");
    assert_eq!(kept("t1", 3).await, "t1@3 t1@2 t1@1");
    assert_eq!(kept("t2", 4).await, "t2@4 t1@3 t1@2 t1@1");
    assert_eq!(kept("t3", 5).await, "t3@5 t2@4 t1@3 t1@2 t1@1");
    assert_eq!(kept("t3", 6).await, "t3@6 t3@5 t2@4 t1@3 t1@2");
    assert_eq!(kept("t1", 7).await, "t1@7 t3@6 t3@5 t2@4 t1@3");
    let many = (10..30).map(|at| result(ShadowRef::Stored(key), "t4", at)).collect();
    repo.commit(Batch { results: many, ..Batch::default() }).await.unwrap();
    assert_eq!(kept("t4", 30).await, "t4@30 t4@29 t4@28 t1@7 t3@6");
    assert!(repo.results(NO_SHADOW).await.unwrap().is_empty());
}

pub async fn a_failure_makes_its_shadow_be_looked_at(repo: Arc<dyn Repo>) {
    let results = vec![failure(ShadowRef::New(0), "t", 1), result(ShadowRef::New(1), "t", 1)];
    let shadows = ["a", "b", "c"].map(|name| create(shadow(name), None)).to_vec();
    repo.commit(Batch { results, ..of_shadows(shadows) }).await.unwrap();
    assert_eq!(known(&*repo, "a").await.unwrap().fingerprint, None);
    assert_eq!(known(&*repo, "b").await.unwrap().fingerprint, Some(fingerprint(1)));
    let c = ShadowRef::Stored(known(&*repo, "c").await.unwrap().key);
    repo.commit(Batch { results: vec![failure(c, "t", 2)], ..Batch::default() }).await.unwrap();
    assert_eq!(known(&*repo, "c").await.unwrap().fingerprint, None);
}

pub async fn a_reference_to_nothing_in_the_batch_is_refused(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let ann = the_user(&*repo, "ann").await;
    let owned = |foci| Batch { foci, ..of_shadows(vec![create(shadow("a"), Some(FocusRef::New(0)))]) };
    assert_eq!(refused(&*repo, owned(vec![])).await, ErrorKind::Corrupt);
    assert_eq!(refused(&*repo, owned(vec![update(&ann, changed(&ann.focus, &[]))])).await, ErrorKind::Corrupt);
    let mark = Batch { seen: vec![seen(ShadowRef::New(0), 1, 1, true)], ..Batch::default() };
    assert_eq!(refused(&*repo, mark).await, ErrorKind::Corrupt);
    let kept = Batch { results: vec![result(ShadowRef::New(0), "t", 1)], ..Batch::default() };
    assert_eq!(refused(&*repo, kept).await, ErrorKind::Corrupt);
}

pub async fn changes_take_effect_in_order(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let ann = the_user(&*repo, "ann").await;
    let second = changed(&ann.focus, &[("mail", "2")]);
    let third = changed(&second, &[("mail", "3")]);
    let foci = vec![
        update(&ann, second.clone()),
        FocusChange::Update { key: ann.key, expected: 2, before: second.content, focus: third.clone() },
        FocusChange::Create(user("bob", &[])),
    ];
    let shadows = vec![create(shadow("a"), Some(FocusRef::New(2))), create(shadow("b"), Some(FocusRef::Stored(ann.key)))];
    repo.commit(Batch { foci, shadows, ..Batch::default() }).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await.focus, third);
    assert_eq!(the_shadow(&*repo, "a").await.shadow.owner, Some(Oid::new("user-bob")));
    assert_eq!(the_shadow(&*repo, "b").await.shadow.owner, Some(Oid::new("user-ann")));
    let ann = the_user(&*repo, "ann").await;
    let delete = FocusChange::Delete { key: ann.key, version: 3 };
    repo.commit(of_foci(vec![delete, FocusChange::Create(user("ann", &[]))])).await.unwrap();
    assert_ne!(the_user(&*repo, "ann").await.key, ann.key);
}

pub async fn concurrent_batches_are_all_stored(repo: Arc<dyn Repo>) {
    let work: Vec<_> = (0..20)
        .map(|at| {
            let repo = Arc::clone(&repo);
            tokio::spawn(async move {
                store_linked(&*repo, user(&format!("u{at}"), &[]), shadow(&format!("s{at}"))).await;
                // What a call that returned has written is seen at once.
                assert!(known(&*repo, &format!("s{at}")).await.is_some());
                assert_eq!(the_user(&*repo, &format!("u{at}")).await.focus.version, 1);
            })
        })
        .collect();
    for done in work {
        done.await.unwrap();
    }
    assert_eq!(shadow_count(&*repo).await, 20);
    // Of several who change the same, one wins.
    let old = the_user(&*repo, "u0").await;
    let (mut won, mut lost) = (0, 0);
    for at in 0..5 {
        let focus = changed(&old.focus, &[("mail", &at.to_string())]);
        match repo.commit(of_foci(vec![update(&old, focus)])).await {
            Ok(()) => won += 1,
            Err(err) => lost += usize::from(err.kind() == ErrorKind::Conflict),
        }
    }
    assert_eq!((won, lost), (1, 4));
}
