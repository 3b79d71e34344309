//! Clauses on tasks and runs, and on copies for previews.

use std::sync::Arc;

use tidelock_model::Oid;
use tidelock_model::object::{FocusType, MatchingRule};

use super::build::{
    add, hr, known, marks, names, object, retry, shadow, store_linked, store_users, the_shadow, tokens, user, users_by,
};
use crate::{Batch, ErrorKind, ObjectType, Repo, ShadowFilter, ShadowRef};

pub async fn the_state_of_a_task_is_the_last_one_stored(repo: Arc<dyn Repo>) {
    let (one, two) = (Oid::new("0188f3a2-7b1c-7def-8123-456789abcdef"), Oid::new("two"));
    assert_eq!(repo.task_state(&one).await.unwrap(), None);
    for (task, state) in [(&one, "1"), (&two, "x"), (&one, "2"), (&one, "")] {
        repo.commit(Batch { task_state: Some((task.clone(), state.to_owned())), ..Batch::default() }).await.unwrap();
        assert_eq!(repo.task_state(task).await.unwrap().as_deref(), Some(state));
    }
    assert_eq!(repo.task_state(&two).await.unwrap().as_deref(), Some("x"));
}

pub async fn runs_are_numbered_upwards(repo: Arc<dyn Repo>) {
    let mut last = 0;
    for _ in 0..10 {
        let run = repo.next_run().await.unwrap();
        assert!(run > last);
        last = run;
    }
}

pub async fn one_run_at_a_time(repo: Arc<dyn Repo>) {
    let guard = repo.lock_for_run().await.unwrap();
    let refused = repo.lock_for_run().await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(refused.help().is_some());
    drop(guard);
    let guard = repo.lock_for_run().await.unwrap();
    // What is not a run goes on.
    store_users(&*repo, &[user("ann", &[])]).await;
    drop(guard);
}

pub async fn a_copy_has_everything_and_shares_nothing(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    repo.apply(vec![object("task", Some("t"), "t", "1")], vec![]).await.unwrap();
    store_linked(&*repo, user("ann", &[("mail", "a")]), shadow("a")).await;
    let live = |key, value: &str| Batch {
        triggers: vec![add(ShadowRef::Stored(key), retry("t", 1))],
        inbox: marks(&[(value, None)]).inbox,
        token: tokens("set", value, 1).token,
        ..Batch::default()
    };
    let live_of = async |repo: &dyn Repo| {
        let triggers = repo.triggers(the_shadow(repo, "a").await.key).await.unwrap();
        (repo.tokens_of(&hr()).await.unwrap(), repo.inbox(&hr()).await.unwrap(), triggers)
    };
    repo.commit(live(the_shadow(&*repo, "a").await.key, "1")).await.unwrap();
    repo.commit(Batch { task_state: Some((Oid::new("t"), "1".to_owned())), ..Batch::default() }).await.unwrap();
    let run = repo.next_run().await.unwrap();

    let copy = repo.scratch().await.unwrap();
    assert_eq!(the_shadow(&*copy, "a").await, the_shadow(&*repo, "a").await);
    assert_eq!(known(&*copy, "a").await, known(&*repo, "a").await);
    assert_eq!(names(&copy.find(&mail, vec!["a".into()], 9).await.unwrap()[0]), ["ann"]);
    let before = live_of(&*repo).await;
    assert_eq!(live_of(&*copy).await, before);
    assert_eq!(copy.task_state(&Oid::new("t")).await.unwrap().as_deref(), Some("1"));
    assert_eq!(copy.objects(&ObjectType::new("task")).await.unwrap().len(), 1);
    assert!(copy.next_run().await.unwrap() > run);

    store_linked(&*copy, user("bob", &[("mail", "a")]), shadow("b")).await;
    copy.commit(live(the_shadow(&*copy, "a").await.key, "2")).await.unwrap();
    assert_eq!(live_of(&*repo).await, before);
    store_users(&*repo, &[user("eve", &[])]).await;
    let twice = copy.scratch().await.unwrap();
    for (there, users, shadows) in
        [(&copy, vec!["ann", "bob"], 2), (&twice, vec!["ann", "bob"], 2), (&repo, vec!["ann", "eve"], 1)]
    {
        assert_eq!(names(&there.foci(FocusType::User, None, 9).await.unwrap()), users);
        assert_eq!(there.count_shadows(&ShadowFilter::default()).await.unwrap(), shadows);
    }
    drop(copy);
    assert_eq!(twice.count_shadows(&ShadowFilter::default()).await.unwrap(), 2);
}

pub async fn a_copy_has_its_own_right_to_run(repo: Arc<dyn Repo>) {
    let guard = repo.lock_for_run().await.unwrap();
    let copy = repo.scratch().await.unwrap();
    let of_copy = copy.lock_for_run().await.unwrap();
    assert_eq!(copy.lock_for_run().await.err().unwrap().kind(), ErrorKind::Locked);
    drop((guard, of_copy));
}
