//! Clauses on reading shadows.

use std::sync::Arc;

use tidelock_model::object::{Intent, Kind, Shadow, Situation, TypeId};
use tidelock_model::{Oid, Timestamp};

use super::build::{
    NO_FOCUS, NO_SHADOW, create, failure, fingerprint, hr, identifiers, items, known, names, of_shadows, result, seen, shadow,
    store_linked, store_users, the_shadow, the_user, user,
};
use crate::{
    Batch, FocusRef, KnownShadow, ObjectKey, OperationResult, OperationStatus, Remaining, Repo, ResultFilter, ShadowFilter,
    ShadowKey, ShadowRef, StoredShadow, SyncLevel,
};

fn account(intent: &str) -> Option<TypeId> {
    Some(TypeId { kind: Kind::Account, intent: Intent::new(intent).unwrap() })
}

fn dead(identifier: &str, oid: &str) -> Shadow {
    Shadow { oid: Oid::new(oid), dead: true, ..shadow(identifier) }
}

async fn store(repo: &dyn Repo, shadows: impl IntoIterator<Item = Shadow>) {
    repo.commit(of_shadows(shadows.into_iter().map(|shadow| create(shadow, None)).collect())).await.unwrap();
}

pub async fn a_shadow_comes_back_as_it_was_stored(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[])]).await;
    let owner = the_user(&*repo, "ann").await;
    let situations = Situation::ALL.map(Some).into_iter().chain([None]);
    for (at, situation) in situations.enumerate() {
        let kind = [Kind::Account, Kind::Entitlement, Kind::Generic, Kind::Association, Kind::Work, Kind::Unknown][at];
        let oid = if at % 2 == 0 { format!("0188f3a2-7b1c-7def-8123-45678900000{at}") } else { format!("Text {at}") };
        let mut stored = Shadow {
            oid: Oid::new(&oid),
            identifier: format!("cn=Ž \0{at},ou=x").into(),
            name: "'; DROP TABLE shadow; --".into(),
            class: "group of names".into(),
            resource: Oid::new("The Resource"),
            object_type: Some(TypeId { kind, intent: Intent::new("ünusual").unwrap() }),
            situation,
            dead: at == 4,
            attributes: items(&[("urn:x#a", "Ž"), ("b", "")]),
            ..shadow("")
        };
        // Who owns it and when it was seen is not the shadow's to say.
        let said = Shadow {
            owner: Some(Oid::new("nobody")),
            synchronized: Some(Timestamp::from_millis(1)),
            fully_synchronized: Some(Timestamp::from_millis(2)),
            ..stored.clone()
        };
        repo.commit(of_shadows(vec![create(said, Some(FocusRef::Stored(owner.key)))])).await.unwrap();
        stored.owner = Some(owner.focus.oid.clone());
        let read = repo.shadow(&ObjectKey::Oid(stored.oid.clone())).await.unwrap().unwrap();
        assert_eq!(read.shadow, stored);
        assert_eq!(read.owner.as_ref(), Some(&owner));
        assert_eq!(repo.load(&[read.key]).await.unwrap(), [Some(read)]);
    }
    store(&*repo, [Shadow { object_type: None, ..shadow("plain") }]).await;
    let read = the_shadow(&*repo, "plain").await;
    assert_eq!((read.shadow, read.owner), (Shadow { object_type: None, ..shadow("plain") }, None));
    assert!(repo.shadow(&ObjectKey::Oid(Oid::new("absent"))).await.unwrap().is_none());
    assert!(repo.shadow(&ObjectKey::Name("absent".to_owned())).await.unwrap().is_none());
}

pub async fn a_look_up_answers_in_the_order_asked(repo: Arc<dyn Repo>) {
    store(&*repo, ["a", "b", "c"].map(shadow)).await;
    let asked: Vec<Box<str>> = ["c", "absent", "a", "c", "", "A"].map(Into::into).to_vec();
    let found = repo.look_up(&hr(), "account", asked).await.unwrap();
    let expected = |key| Some(KnownShadow { key, fingerprint: Some(fingerprint(1)), last_run: 0 });
    let (a, c) = (the_shadow(&*repo, "a").await.key, the_shadow(&*repo, "c").await.key);
    assert_eq!(found, [expected(c), None, expected(a), expected(c), None, None]);
    assert!(repo.look_up(&hr(), "account", vec![]).await.unwrap().is_empty());
}

pub async fn a_look_up_keeps_resources_and_classes_apart(repo: Arc<dyn Repo>) {
    let other = Oid::new("other");
    let variants = [
        shadow("a"),
        Shadow { oid: Oid::new("2"), class: "group".into(), ..shadow("a") },
        Shadow { oid: Oid::new("3"), resource: other.clone(), ..shadow("a") },
    ];
    store(&*repo, variants).await;
    for (resource, class, oid) in [(hr(), "account", "shadow-a"), (hr(), "group", "2"), (other.clone(), "account", "3")] {
        let found = repo.look_up(&resource, class, vec!["a".into()]).await.unwrap().remove(0).unwrap();
        let loaded = repo.load(&[found.key]).await.unwrap().remove(0).unwrap();
        assert_eq!(loaded.shadow.oid, Oid::new(oid));
    }
    assert_eq!(repo.look_up(&other, "group", vec!["a".into()]).await.unwrap(), [None]);
    assert_eq!(repo.look_up(&Oid::new("absent"), "account", vec!["a".into()]).await.unwrap(), [None]);
}

pub async fn a_look_up_passes_over_the_dead(repo: Arc<dyn Repo>) {
    store(&*repo, [dead("a", "old"), shadow("a"), dead("a", "older"), dead("b", "gone")]).await;
    let found = known(&*repo, "a").await.unwrap();
    assert_eq!(found.key, repo.shadow(&ObjectKey::Oid(Oid::new("shadow-a"))).await.unwrap().unwrap().key);
    assert_eq!(known(&*repo, "b").await, None);
}

pub async fn loading_answers_in_the_order_asked_with_owners(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    store(&*repo, [shadow("b")]).await;
    let (a, b) = (the_shadow(&*repo, "a").await, the_shadow(&*repo, "b").await);
    let loaded = repo.load(&[b.key, NO_SHADOW, a.key, b.key]).await.unwrap();
    assert_eq!(loaded, [Some(b.clone()), None, Some(a.clone()), Some(b)]);
    assert_eq!(a.owner, Some(the_user(&*repo, "ann").await));
    assert_eq!(a.shadow.owner, Some(Oid::new("user-ann")));
    assert!(repo.load(&[]).await.unwrap().is_empty());
}

pub async fn projections_are_the_living_shadows_of_each_focus(repo: Arc<dyn Repo>) {
    store_users(&*repo, &["ann", "bob", "eve"].map(|name| user(name, &[]))).await;
    let (ann, bob, eve) =
        (the_user(&*repo, "ann").await.key, the_user(&*repo, "bob").await.key, the_user(&*repo, "eve").await.key);
    let owned = |shadow, owner| create(shadow, Some(FocusRef::Stored(owner)));
    let shadows = vec![owned(shadow("b1"), bob), owned(shadow("a1"), ann), owned(dead("a2", "x"), ann), owned(shadow("b0"), bob)];
    repo.commit(of_shadows(shadows)).await.unwrap();
    let found = repo.projections(&[bob, eve, ann, NO_FOCUS, bob]).await.unwrap();
    let found_ids: Vec<_> = found.iter().map(|shadows| identifiers(shadows)).collect();
    assert_eq!(found_ids, [vec!["b1", "b0"], vec![], vec!["a1"], vec![], vec!["b1", "b0"]]);
    assert_eq!(found[2][0].shadow.owner, Some(Oid::new("user-ann")));
    assert_eq!(found[2][0].owner, None);
}

/// Seven shadows that differ in what filters tell apart.
async fn store_various(repo: &dyn Repo) {
    let various = [
        shadow("a"),
        Shadow { object_type: account("admin"), ..shadow("b") },
        Shadow { object_type: None, ..shadow("c") },
        Shadow {
            class: "group".into(),
            object_type: Some(TypeId { kind: Kind::Entitlement, intent: Intent::default_intent() }),
            ..shadow("d")
        },
        Shadow { resource: Oid::new("other"), ..shadow("e") },
        dead("f", "dead-f"),
        Shadow { resource: Oid::new("other"), class: "group".into(), dead: true, ..shadow("g") },
    ];
    store(repo, various).await;
}

fn filters() -> Vec<(ShadowFilter, &'static [&'static str])> {
    let all = ShadowFilter::default;
    vec![
        (all(), &["a", "b", "c", "d", "e"]),
        (ShadowFilter { dead: true, ..all() }, &["a", "b", "c", "d", "e", "f", "g"]),
        (ShadowFilter { resource: Some(hr()), ..all() }, &["a", "b", "c", "d"]),
        (ShadowFilter { resource: Some(hr()), class: Some("account".into()), ..all() }, &["a", "b", "c"]),
        (ShadowFilter { class: Some("group".into()), dead: true, ..all() }, &["d", "g"]),
        (ShadowFilter { kind: Some(Kind::Account), ..all() }, &["a", "b", "e"]),
        (ShadowFilter { intent: Some(Intent::default_intent()), ..all() }, &["a", "d", "e"]),
        (ShadowFilter { kind: Some(Kind::Account), intent: Intent::new("admin"), ..all() }, &["b"]),
        (ShadowFilter { kind: Some(Kind::Entitlement), intent: Intent::new("admin"), ..all() }, &[]),
        (ShadowFilter { resource: Some(Oid::new("absent")), dead: true, ..all() }, &[]),
        (ShadowFilter { class: Some("absent".into()), dead: true, ..all() }, &[]),
    ]
}

pub async fn shadows_are_listed_by_filter_and_page_by_page(repo: Arc<dyn Repo>) {
    store_various(&*repo).await;
    for (filter, expected) in filters() {
        let listed = repo.shadows(&filter, None, 100).await.unwrap();
        assert_eq!(identifiers(&listed), expected, "{filter:?}");
        let mut paged: Vec<StoredShadow> = Vec::new();
        loop {
            let page = repo.shadows(&filter, paged.last().map(|shadow| shadow.key), 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 2);
            paged.extend(page);
        }
        assert_eq!(paged, listed);
    }
    assert!(repo.shadows(&ShadowFilter::default(), None, 0).await.unwrap().is_empty());
    store_linked(&*repo, user("ann", &[]), shadow("z")).await;
    let last = repo.shadows(&ShadowFilter::default(), None, 100).await.unwrap().pop().unwrap();
    assert_eq!((last.shadow.owner, last.owner), (Some(Oid::new("user-ann")), None));
}

pub async fn shadows_are_counted_by_filter(repo: Arc<dyn Repo>) {
    assert_eq!(repo.count_shadows(&ShadowFilter::default()).await.unwrap(), 0);
    store_various(&*repo).await;
    for (filter, expected) in filters() {
        assert_eq!(repo.count_shadows(&filter).await.unwrap(), expected.len() as u64, "{filter:?}");
    }
}

pub async fn of_shadows_of_one_name_the_youngest_living_one_is_meant(repo: Arc<dyn Repo>) {
    let named = |shadow| Shadow { name: "n".into(), ..shadow };
    store(&*repo, [named(dead("a", "1"))]).await;
    assert_eq!(the_shadow(&*repo, "n").await.shadow.oid, Oid::new("1"));
    store(&*repo, [named(shadow("b")), named(shadow("c")), named(dead("d", "2"))]).await;
    assert_eq!(&*the_shadow(&*repo, "n").await.shadow.identifier, "c");
    assert!(repo.shadow(&ObjectKey::Oid(Oid::new("1"))).await.unwrap().unwrap().shadow.dead);
}

async fn remaining(repo: &dyn Repo, level: SyncLevel, until: i64, filter: &ShadowFilter) -> Vec<StoredShadow> {
    let which = Remaining { filter: filter.clone(), level, until: Timestamp::from_millis(until), results: None };
    repo.remaining(&which, None, 100).await.unwrap()
}

pub async fn what_remains_is_what_was_not_met(repo: Arc<dyn Repo>) {
    let others = Shadow { resource: Oid::new("other"), ..shadow("other") };
    let batch = Batch {
        shadows: ["never", "early", "partly", "late"]
            .map(shadow)
            .into_iter()
            .chain([dead("dead", "d"), others])
            .map(|s| create(s, None))
            .collect(),
        seen: vec![
            seen(ShadowRef::New(1), 1, 100, true),
            seen(ShadowRef::New(2), 1, 100, true),
            seen(ShadowRef::New(2), 2, 201, false),
            seen(ShadowRef::New(3), 2, 201, true),
        ],
        ..Batch::default()
    };
    repo.commit(batch).await.unwrap();
    let filter = ShadowFilter { resource: Some(hr()), dead: true, ..ShadowFilter::default() };
    let of = |level, until| remaining(&*repo, level, until, &filter);
    assert_eq!(identifiers(&of(SyncLevel::Basic, 200).await), ["never", "early"]);
    assert_eq!(identifiers(&of(SyncLevel::Full, 200).await), ["never", "early", "partly"]);
    assert_eq!(identifiers(&of(SyncLevel::Full, 99).await), ["never"]);
    assert_eq!(identifiers(&of(SyncLevel::Full, 100).await), ["never", "early", "partly"], "the end is among them");
    assert_eq!(identifiers(&of(SyncLevel::Basic, 201).await), ["never", "early", "partly", "late"]);
    let everywhere = remaining(&*repo, SyncLevel::Full, 99, &ShadowFilter::default()).await;
    assert_eq!(identifiers(&everywhere), ["never", "other"]);
}

pub async fn what_remains_comes_page_by_page_with_owners(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("a")).await;
    store(&*repo, ["c", "b", "e", "d"].map(shadow)).await;
    let which =
        Remaining { filter: ShadowFilter::default(), level: SyncLevel::Full, until: Timestamp::from_millis(1), results: None };
    let (mut all, mut after): (Vec<StoredShadow>, Option<ShadowKey>) = (Vec::new(), None);
    loop {
        let page = repo.remaining(&which, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        // Meanwhile one after another is dealt with.
        let marks = page.iter().map(|shadow| seen(ShadowRef::Stored(shadow.key), 1, 2, true)).collect();
        repo.commit(Batch { seen: marks, ..Batch::default() }).await.unwrap();
        all.extend(page);
    }
    assert_eq!(identifiers(&all), ["a", "c", "b", "e", "d"]);
    let owner = all[0].owner.clone().unwrap();
    assert_eq!(names(&[owner]), ["ann"]);
    assert_eq!(all[1].owner, None);
}

/// The identifiers of those of the first shadows that have a result that is meant.
async fn selected(repo: &dyn Repo, which: &ResultFilter) -> Vec<Box<str>> {
    let there = repo.shadows(&ShadowFilter { dead: true, ..ShadowFilter::default() }, None, 100).await.unwrap();
    let mut keys: Vec<ShadowKey> = there.iter().map(|stored| stored.key).collect();
    keys.push(NO_SHADOW);
    let meant = repo.have_results(&keys, which).await.unwrap();
    assert_eq!((meant.len(), meant.last()), (keys.len(), Some(&false)));
    there.iter().zip(meant).filter(|(_, meant)| *meant).map(|(stored, _)| stored.shadow.identifier.clone()).collect()
}

fn failures_of(tasks: &[&str]) -> ResultFilter {
    let tasks = tasks.iter().map(|task| Oid::new(task)).collect();
    ResultFilter { tasks, statuses: vec![OperationStatus::FatalError], from: None, to: None }
}

async fn keep(repo: &dyn Repo, results: Vec<OperationResult>) {
    repo.commit(Batch { results, ..Batch::default() }).await.unwrap();
}

pub async fn results_of_several_shadows_come_in_the_order_asked(repo: Arc<dyn Repo>) {
    store(&*repo, ["a", "b", "c"].map(shadow)).await;
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(the_shadow(&*repo, name).await.key);
    }
    let of = |at: usize| ShadowRef::Stored(keys[at]);
    let (a1, a2, c) = (result(of(0), "t", 1), failure(of(0), "u", 2), result(of(2), "t", 3));
    keep(&*repo, vec![a1.clone(), c.clone(), a2.clone()]).await;
    let asked = [keys[2], NO_SHADOW, keys[0], keys[1], keys[2]];
    let expected = [vec![c.clone()], vec![], vec![a2, a1], vec![], vec![c]];
    assert_eq!(repo.results_of(&asked).await.unwrap(), expected);
    assert!(repo.results_of(&[]).await.unwrap().is_empty());
}

pub async fn results_are_found_by_task_status_and_time(repo: Arc<dyn Repo>) {
    const UUID: &str = "0188f3a2-7b1c-7def-8123-456789000000";
    store(&*repo, ["a", "b", "c", "d"].map(shadow)).await;
    assert!(repo.have_results(&[], &failures_of(&["t"])).await.unwrap().is_empty());
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(ShadowRef::Stored(the_shadow(&*repo, name).await.key));
    }
    keep(&*repo, vec![failure(keys[0], "t", 10), failure(keys[1], UUID, 20), result(keys[2], "t", 30)]).await;
    let all = failures_of(&["t", UUID]);
    let cases: [(ResultFilter, &[&str]); 10] = [
        (all.clone(), &["a", "b"]),
        (failures_of(&["t"]), &["a"]),
        (failures_of(&[UUID]), &["b"]),
        (failures_of(&["absent"]), &[]),
        (failures_of(&[]), &[]),
        (ResultFilter { statuses: OperationStatus::ALL.to_vec(), ..all.clone() }, &["a", "b", "c"]),
        (ResultFilter { statuses: vec![], ..all.clone() }, &[]),
        (ResultFilter { from: Some(Timestamp::from_millis(20)), ..all.clone() }, &["b"]),
        (ResultFilter { to: Some(Timestamp::from_millis(10)), ..all.clone() }, &["a"]),
        (ResultFilter { from: Some(Timestamp::from_millis(11)), to: Some(Timestamp::from_millis(19)), ..all }, &[]),
    ];
    for (which, expected) in cases {
        assert_eq!(selected(&*repo, &which).await.iter().map(|i| &**i).collect::<Vec<_>>(), expected, "{which:?}");
    }
}

pub async fn a_superseded_result_is_not_found(repo: Arc<dyn Repo>) {
    store(&*repo, ["same task", "other task", "other failure", "other activity", "reversed"].map(shadow)).await;
    let mut keys = Vec::new();
    for name in ["same task", "other task", "other failure", "other activity", "reversed"] {
        keys.push(ShadowRef::Stored(the_shadow(&*repo, name).await.key));
    }
    keep(&*repo, keys[..4].iter().map(|key| failure(*key, "t", 10)).chain([result(keys[4], "t", 10)]).collect()).await;
    let elsewhere = OperationResult { activity: "elsewhere".into(), ..failure(keys[3], "t", 11) };
    let later =
        vec![result(keys[0], "t", 11), result(keys[1], "u", 11), failure(keys[2], "u", 11), elsewhere, failure(keys[4], "t", 11)];
    keep(&*repo, later).await;
    assert_eq!(
        *selected(&*repo, &failures_of(&["t"])).await,
        ["other failure".into(), "other activity".into(), "reversed".into()]
    );
    let old = ResultFilter { to: Some(Timestamp::from_millis(10)), ..failures_of(&["t"]) };
    assert_eq!(*selected(&*repo, &old).await, ["other failure".into(), "other activity".into()]);
    let successes = ResultFilter { statuses: vec![OperationStatus::Success], ..failures_of(&["t", "u"]) };
    assert_eq!(*selected(&*repo, &successes).await, ["same task".into(), "other task".into()]);
}

pub async fn what_remains_can_be_narrowed_by_results(repo: Arc<dyn Repo>) {
    store(&*repo, [shadow("a"), shadow("b"), dead("c", "c"), shadow("d")]).await;
    for name in ["b", "c", "d"] {
        keep(&*repo, vec![failure(ShadowRef::Stored(the_shadow(&*repo, name).await.key), "t", 10)]).await;
    }
    let all = Remaining::all(ShadowFilter::default());
    assert_eq!(identifiers(&repo.remaining(&all, None, 100).await.unwrap()), ["a", "b", "d"]);
    let failed = Remaining { results: Some(failures_of(&["t"])), ..all };
    let page = repo.remaining(&failed, None, 1).await.unwrap();
    assert_eq!(identifiers(&page), ["b"]);
    assert_eq!(identifiers(&repo.remaining(&failed, Some(page[0].key), 100).await.unwrap()), ["d"]);
}
