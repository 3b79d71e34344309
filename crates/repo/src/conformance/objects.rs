//! Clauses on definitions and foci that a user applies.

use std::sync::Arc;

use tidelock_model::Oid;
use tidelock_model::object::{FocusType, MatchingRule};

use super::build::{fingerprint, known, object, shadow, store_linked, the_shadow, the_user, user, users_by};
use crate::{Applied, ErrorKind, ObjectKey, ObjectType, Repo};

fn by_name(name: &str) -> ObjectKey {
    ObjectKey::Name(name.to_owned())
}

pub async fn applying_says_what_became_of_each_in_order(repo: Arc<dyn Repo>) {
    repo.apply(vec![object("task", Some("t1"), "one", "1"), object("task", Some("t2"), "two", "2")], vec![]).await.unwrap();
    let applied = repo
        .apply(
            vec![
                object("task", Some("t1"), "one", "1"),
                object("task", Some("t2"), "two", "2b"),
                object("task", Some("t3"), "three", "3"),
            ],
            vec![(Some(Oid::new("u1")), user("ann", &[]))],
        )
        .await
        .unwrap();
    let expected = [("t1", Applied::Unchanged), ("t2", Applied::Updated), ("t3", Applied::Created), ("u1", Applied::Created)];
    assert_eq!(applied, expected.map(|(oid, what)| (Oid::new(oid), what)));
}

pub async fn applying_the_same_again_is_unchanged(repo: Arc<dyn Repo>) {
    let objects = vec![object("resource", None, "hr", "<resource/>"), object("task", Some("t"), "t", "x")];
    let foci = vec![(None, user("ann", &[("mail", "a@x")])), (Some(Oid::new("u2")), user("bob", &[]))];
    let first = repo.apply(objects.clone(), foci.clone()).await.unwrap();
    let again = repo.apply(objects, foci).await.unwrap();
    assert!(first.iter().all(|(_, what)| *what == Applied::Created));
    assert!(again.iter().all(|(_, what)| *what == Applied::Unchanged));
    assert!(first.iter().zip(&again).all(|(a, b)| a.0 == b.0));
    assert_eq!(the_user(&*repo, "ann").await.focus.version, 1);
}

pub async fn an_object_without_an_oid_is_known_by_type_and_name(repo: Arc<dyn Repo>) {
    let first = repo.apply(vec![object("task", None, "a", "1"), object("resource", None, "a", "r")], vec![]).await.unwrap();
    assert_ne!(first[0].0, first[1].0);
    let second = repo.apply(vec![object("task", None, "a", "2")], vec![]).await.unwrap();
    assert_eq!(second, [(first[0].0.clone(), Applied::Updated)]);
    let stored = repo.object(&ObjectType::new("task"), &by_name("a")).await.unwrap().unwrap();
    assert_eq!((stored.text.as_str(), stored.oid.as_ref()), ("2", Some(&first[0].0)));
}

pub async fn an_object_with_an_oid_can_be_renamed(repo: Arc<dyn Repo>) {
    repo.apply(vec![object("task", Some("t"), "old", "1")], vec![(Some(Oid::new("u")), user("old", &[]))]).await.unwrap();
    let applied =
        repo.apply(vec![object("task", Some("t"), "new", "1")], vec![(Some(Oid::new("u")), user("new", &[]))]).await.unwrap();
    assert!(applied.iter().all(|(_, what)| *what == Applied::Updated));
    assert!(repo.object(&ObjectType::new("task"), &by_name("old")).await.unwrap().is_none());
    assert!(repo.object(&ObjectType::new("task"), &by_name("new")).await.unwrap().is_some());
    assert!(repo.focus(FocusType::User, &by_name("old")).await.unwrap().is_none());
    assert_eq!(the_user(&*repo, "new").await.focus.oid, Oid::new("u"));
}

pub async fn names_can_change_hands_in_one_application(repo: Arc<dyn Repo>) {
    let (one, two) = (Some(Oid::new("u1")), Some(Oid::new("u2")));
    repo.apply(
        vec![object("task", Some("t1"), "a", "1"), object("task", Some("t2"), "b", "2")],
        vec![(one.clone(), user("a", &[])), (two.clone(), user("b", &[]))],
    )
    .await
    .unwrap();
    repo.apply(
        vec![object("task", Some("t1"), "b", "1"), object("task", Some("t2"), "a", "2")],
        vec![(one, user("b", &[])), (two, user("a", &[]))],
    )
    .await
    .unwrap();
    let stored = repo.object(&ObjectType::new("task"), &by_name("a")).await.unwrap().unwrap();
    assert_eq!(stored.oid, Some(Oid::new("t2")));
    assert_eq!(the_user(&*repo, "b").await.focus.oid, Oid::new("u1"));
    // A name that its owner gives up is free for an object that is known by it.
    let applied = repo.apply(vec![object("task", Some("t1"), "c", "1"), object("task", None, "b", "3")], vec![]).await.unwrap();
    assert_eq!((applied[0].1, applied[1].1), (Applied::Updated, Applied::Created));
}

pub async fn a_name_that_is_taken_is_a_duplicate_and_nothing_is_stored(repo: Arc<dyn Repo>) {
    repo.apply(vec![object("task", Some("t1"), "a", "1")], vec![(Some(Oid::new("u1")), user("ann", &[]))]).await.unwrap();
    let objects = vec![object("task", Some("t0"), "z", "0"), object("task", Some("t2"), "a", "2")];
    assert_eq!(repo.apply(objects, vec![]).await.unwrap_err().kind(), ErrorKind::Duplicate);
    assert!(repo.object(&ObjectType::new("task"), &ObjectKey::Oid(Oid::new("t0"))).await.unwrap().is_none());
    let foci = vec![(Some(Oid::new("u2")), user("ann", &[]))];
    let both = repo.apply(vec![object("task", Some("t0"), "z", "0")], foci).await;
    assert_eq!(both.unwrap_err().kind(), ErrorKind::Duplicate);
    assert!(repo.object(&ObjectType::new("task"), &by_name("z")).await.unwrap().is_none());
}

pub async fn the_same_object_twice_is_a_duplicate(repo: Arc<dyn Repo>) {
    for (first, second) in [(Some("t"), Some("t")), (None, None), (Some("t"), None)] {
        let objects = vec![object("task", first, "a", "1"), object("task", second, "a", "2")];
        assert_eq!(repo.apply(objects, vec![]).await.unwrap_err().kind(), ErrorKind::Duplicate);
        let foci = vec![(first.map(Oid::new), user("ann", &[])), (second.map(Oid::new), user("ann", &[("mail", "m")]))];
        assert_eq!(repo.apply(vec![], foci).await.unwrap_err().kind(), ErrorKind::Duplicate);
    }
    assert!(repo.objects(&ObjectType::new("task")).await.unwrap().is_empty());
}

pub async fn an_oid_of_another_type_is_a_duplicate(repo: Arc<dyn Repo>) {
    repo.apply(vec![object("task", Some("x"), "a", "1")], vec![(Some(Oid::new("y")), user("ann", &[]))]).await.unwrap();
    let another = repo.apply(vec![object("resource", Some("x"), "a", "1")], vec![]).await;
    assert_eq!(another.unwrap_err().kind(), ErrorKind::Duplicate);
    let focus_oid = repo.apply(vec![object("resource", Some("y"), "b", "1")], vec![]).await;
    assert_eq!(focus_oid.unwrap_err().kind(), ErrorKind::Duplicate);
    let object_oid = repo.apply(vec![], vec![(Some(Oid::new("x")), user("bob", &[]))]).await;
    assert_eq!(object_oid.unwrap_err().kind(), ErrorKind::Duplicate);
    let both_new = repo.apply(vec![object("task", Some("z"), "z", "1")], vec![(Some(Oid::new("z")), user("z", &[]))]).await;
    assert_eq!(both_new.unwrap_err().kind(), ErrorKind::Duplicate);
}

pub async fn an_object_is_found_by_oid_and_by_name_within_its_type(repo: Arc<dyn Repo>) {
    let uuid = "0188f3a2-7b1c-7def-8123-456789abcdef";
    repo.apply(vec![object("task", Some(uuid), "a", "text")], vec![]).await.unwrap();
    let task = ObjectType::new("task");
    for key in [ObjectKey::Oid(Oid::new(uuid)), by_name("a")] {
        let stored = repo.object(&task, &key).await.unwrap().unwrap();
        assert_eq!(stored, object("task", Some(uuid), "a", "text"));
        assert!(repo.object(&ObjectType::new("resource"), &key).await.unwrap().is_none());
    }
    assert!(repo.object(&task, &ObjectKey::Oid(Oid::new(&uuid.to_uppercase()))).await.unwrap().is_none());
    assert!(repo.object(&task, &by_name("b")).await.unwrap().is_none());
}

pub async fn a_new_origin_is_kept_and_is_no_change(repo: Arc<dyn Repo>) {
    let mut definition = object("resource", Some("r"), "hr", "text");
    repo.apply(vec![definition.clone()], vec![]).await.unwrap();
    definition.origin = Some("/etc/hr.xml".to_owned());
    let applied = repo.apply(vec![definition.clone()], vec![]).await.unwrap();
    assert_eq!(applied[0].1, Applied::Unchanged);
    assert_eq!(repo.objects(&ObjectType::new("resource")).await.unwrap(), [definition]);
}

pub async fn objects_come_in_the_order_of_their_creation(repo: Arc<dyn Repo>) {
    for name in ["c", "a", "b"] {
        repo.apply(vec![object("task", None, name, "1"), object("resource", None, name, "1")], vec![]).await.unwrap();
    }
    repo.apply(vec![object("task", None, "c", "2")], vec![]).await.unwrap();
    let tasks = repo.objects(&ObjectType::new("task")).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
}

pub async fn an_applied_focus_replaces_the_content_and_its_version_grows(repo: Arc<dyn Repo>) {
    let oid = Oid::new("u");
    repo.apply(vec![], vec![(Some(oid.clone()), user("ann", &[("mail", "a@x")]))]).await.unwrap();
    assert_eq!(the_user(&*repo, "ann").await.focus.version, 1);
    repo.apply(vec![], vec![(None, user("ann", &[("title", "Dr")]))]).await.unwrap();
    let stored = the_user(&*repo, "ann").await.focus;
    assert_eq!((stored.oid, stored.version), (oid, 2));
    assert_eq!(stored.content, user("ann", &[("title", "Dr")]).content);
}

pub async fn an_applied_focus_keeps_its_shadows_which_lose_their_fingerprints(repo: Arc<dyn Repo>) {
    store_linked(&*repo, user("ann", &[]), shadow("1")).await;
    let applied = repo.apply(vec![], vec![(None, user("ann", &[("title", "Dr")]))]).await.unwrap();
    assert_eq!(applied, [(Oid::new("user-ann"), Applied::Updated)]);
    assert_eq!(known(&*repo, "1").await.unwrap().fingerprint, None);
    assert_eq!(the_shadow(&*repo, "1").await.shadow.owner, Some(Oid::new("user-ann")));
}

pub async fn an_applied_focus_is_found_by_its_indexed_items(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    repo.apply(vec![], vec![(None, user("ann", &[("mail", "old")]))]).await.unwrap();
    assert_eq!(repo.find(&mail, vec!["old".into()], 9).await.unwrap()[0].len(), 1);
    repo.apply(vec![], vec![(None, user("ann", &[("mail", "new")]))]).await.unwrap();
    let found = repo.find(&mail, vec!["old".into(), "new".into()], 9).await.unwrap();
    assert_eq!((found[0].len(), found[1].len()), (0, 1));
}

pub async fn an_updated_definition_leaves_fingerprints_alone(repo: Arc<dyn Repo>) {
    repo.apply(vec![object("resource", Some("r"), "hr", "1")], vec![]).await.unwrap();
    store_linked(&*repo, user("ann", &[]), shadow("1")).await;
    repo.apply(vec![object("resource", Some("r"), "hr", "2"), object("objectTemplate", None, "t", "1")], vec![]).await.unwrap();
    assert_eq!(known(&*repo, "1").await.unwrap().fingerprint, Some(fingerprint(1)));
}
