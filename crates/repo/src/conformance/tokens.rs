//! Clauses on tokens of object sets.

use std::sync::Arc;

use tidelock_model::{Oid, Timestamp};

use super::build::{hr, token};
use crate::{Batch, Repo, StoredToken, TOKENS_KEPT, TokenChange, TokenKey};

fn key(resource: &Oid, set: &str) -> TokenKey {
    TokenKey { resource: resource.clone(), set: set.into() }
}

async fn store(repo: &dyn Repo, token: TokenChange) {
    repo.commit(Batch { token: Some(token), ..Batch::default() }).await.unwrap();
}

fn shown(tokens: &[StoredToken]) -> String {
    let texts = tokens.iter().map(|token| format!("{}@{}", String::from_utf8_lossy(&token.value), token.at.as_millis()));
    texts.collect::<Vec<_>>().join(" ")
}

/// The tokens of an object set of [`hr`].
async fn tokens(repo: &dyn Repo, set: &str) -> String {
    shown(&repo.tokens(&key(&hr(), set)).await.unwrap())
}

pub async fn a_token_comes_back_as_it_was_stored(repo: Arc<dyn Repo>) {
    let values: [&[u8]; 4] = [b"", b"\0\xff\0", b"text", &[7; 100_000]];
    let resources = [hr(), Oid::new("The Resource")];
    for resource in &resources {
        for (at, value) in values.into_iter().enumerate() {
            let set = format!("'Ž\0{at}");
            let at = Timestamp::from_millis(i64::MIN + at as i64);
            store(&*repo, TokenChange { key: key(resource, &set), value: Some(value.into()), at, run: 7 }).await;
            assert_eq!(repo.tokens(&key(resource, &set)).await.unwrap(), [StoredToken { value: value.into(), at, run: 7 }]);
        }
        assert!(repo.tokens(&key(resource, "'Ž")).await.unwrap().is_empty());
    }
    assert_eq!(repo.tokens_of(&resources[1]).await.unwrap().len(), values.len());
}

pub async fn tokens_come_newest_first_five_of_an_object_set(repo: Arc<dyn Repo>) {
    assert_eq!(TOKENS_KEPT, 5);
    assert_eq!(tokens(&*repo, "a").await, "");
    for at in 1..=5 {
        store(&*repo, token("a", &format!("t{at}"), at)).await;
    }
    assert_eq!(tokens(&*repo, "a").await, "t5@5 t4@4 t3@3 t2@2 t1@1");
    store(&*repo, token("a", "t6", 6)).await;
    // By the order in which they came, whatever the clock says.
    store(&*repo, token("a", "t7", 0)).await;
    assert_eq!(tokens(&*repo, "a").await, "t7@0 t6@6 t5@5 t4@4 t3@3");
    // The other object sets keep their own.
    store(&*repo, token("b", "x", 8)).await;
    assert_eq!(tokens(&*repo, "b").await, "x@8");
    assert_eq!(tokens(&*repo, "a").await, "t7@0 t6@6 t5@5 t4@4 t3@3");
}

pub async fn a_run_leaves_one_token_behind(repo: Arc<dyn Repo>) {
    let of_run = |run, value: &str, at| TokenChange { run, ..token("a", value, at) };
    for change in [of_run(1, "a", 1), of_run(1, "b", 2), of_run(2, "c", 3), of_run(2, "c", 4), of_run(2, "d", 5)] {
        store(&*repo, change).await;
    }
    assert_eq!(tokens(&*repo, "a").await, "d@5 b@2");
    // What is set by hand is of no run.
    store(&*repo, token("a", "e", 6)).await;
    store(&*repo, token("a", "f", 7)).await;
    store(&*repo, of_run(2, "g", 8)).await;
    assert_eq!(tokens(&*repo, "a").await, "g@8 f@7 e@6 d@5 b@2");
}

pub async fn a_token_that_equals_the_newest_changes_nothing(repo: Arc<dyn Repo>) {
    for (value, at) in [("one", 1), ("one", 2), ("two", 3), ("two", 4), ("two", 5), ("one", 6), ("one", 7)] {
        store(&*repo, token("a", value, at)).await;
    }
    assert_eq!(tokens(&*repo, "a").await, "one@6 two@3 one@1");
}

pub async fn a_reset_takes_all_tokens_of_its_object_set_and_no_others(repo: Arc<dyn Repo>) {
    let reset = |set: &str| TokenChange { value: None, ..token(set, "", 9) };
    // One that was never there is nothing to forget.
    store(&*repo, reset("a")).await;
    assert_eq!(tokens(&*repo, "a").await, "");
    let elsewhere = TokenChange { key: key(&Oid::new("other"), "a"), ..token("a", "o", 1) };
    for change in [token("a", "one", 1), token("b", "one", 2), elsewhere.clone(), token("a", "two", 3)] {
        store(&*repo, change).await;
    }
    store(&*repo, reset("a")).await;
    assert_eq!(tokens(&*repo, "a").await, "");
    assert_eq!(tokens(&*repo, "b").await, "one@2");
    assert_eq!(shown(&repo.tokens(&elsewhere.key).await.unwrap()), "o@1");
    assert_eq!(shown(&repo.tokens_of(&hr()).await.unwrap()), "one@2");
    store(&*repo, reset("a")).await;
    // What it was before is no longer its newest.
    store(&*repo, token("a", "two", 10)).await;
    assert_eq!(tokens(&*repo, "a").await, "two@10");
}

pub async fn the_tokens_of_a_resource_are_those_of_all_its_object_sets(repo: Arc<dyn Repo>) {
    assert!(repo.tokens_of(&hr()).await.unwrap().is_empty());
    let elsewhere = TokenChange { key: key(&Oid::new("other"), "b"), ..token("b", "o", 1) };
    for change in [token("b", "b1", 1), token("a", "a1", 2), elsewhere, token("b", "b2", 3), token("c", "c1", 4)] {
        store(&*repo, change).await;
    }
    assert_eq!(shown(&repo.tokens_of(&hr()).await.unwrap()), "b2@3 b1@1 a1@2 c1@4");
    assert_eq!(shown(&repo.tokens_of(&Oid::new("other")).await.unwrap()), "o@1");
    // An object set that starts anew keeps its place.
    store(&*repo, TokenChange { value: None, ..token("b", "", 5) }).await;
    store(&*repo, token("b", "b3", 6)).await;
    assert_eq!(shown(&repo.tokens_of(&hr()).await.unwrap()), "b3@6 a1@2 c1@4");
}

pub async fn an_object_set_is_known_by_its_token_and_when_it_was_reset(repo: Arc<dyn Repo>) {
    let sets = async |resource: &Oid| {
        let sets = repo.token_sets(resource).await.unwrap();
        sets.iter().map(|known| format!("{}{}", known.set, if known.has_token { "" } else { "-" })).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(sets(&hr()).await, "");
    let elsewhere = TokenChange { key: key(&Oid::new("other"), "b"), ..token("b", "o", 1) };
    // A reset is remembered, also that of a token which was never there.
    let never = TokenChange { value: None, ..token("c", "", 5) };
    for change in [token("b", "b1", 1), token("a", "a1", 2), elsewhere, token("b", "b2", 3), never] {
        store(&*repo, change).await;
    }
    assert_eq!(sets(&hr()).await, "b a c-");
    assert_eq!(sets(&Oid::new("other")).await, "b");
    store(&*repo, TokenChange { value: None, ..token("b", "", 5) }).await;
    store(&*repo, token("c", "c1", 6)).await;
    assert_eq!(sets(&hr()).await, "b- a c");
}
