//! Clauses on reading and finding foci.

use std::sync::Arc;

use tidelock_model::object::{Focus, FocusType, MatchingRule};
use tidelock_model::{Items, Oid, QName, Reference, Timestamp, Value, Values};

use super::build::{changed, names, of_foci, store_users, the_user, user, users_by};
use crate::{ErrorKind, FocusChange, ObjectKey, Repo};

pub async fn a_focus_comes_back_as_it_was_stored(repo: Arc<dyn Repo>) {
    let inner: Items = [("administrativeStatus".into(), Values::from_iter([Value::from("enabled")]))].into_iter().collect();
    let reference = Reference { oid: Oid::new("R"), target_type: Some(QName::common("RoleType")), relation: None };
    let mut content: Items = [
        Value::from("ann \0 Žofia '\"\\ \u{1f980}"),
        Value::Integer(i64::MIN),
        Value::Float(0.1),
        Value::Boolean(false),
        Value::DateTime(Timestamp::from_millis(1_764_000_000_123)),
        Value::Binary([0, 255].into()),
        Value::QName(QName::new("urn:x", "y")),
        Value::Reference(Box::new(reference)),
        Value::Container(Box::new(inner)),
    ]
    .into_iter()
    .enumerate()
    .map(|(at, value)| (format!("urn:x#item{at}").into(), Values::from_iter([value.clone(), value])))
    .collect();
    content.set("name", Values::from_iter([Value::from("it's")]));
    for (at, focus_type) in FocusType::ALL.into_iter().enumerate() {
        let oid = if at % 2 == 0 { "0188f3a2-7b1c-7def-8123-45678900000" } else { "Some Text " };
        let focus = Focus { oid: Oid::new(&format!("{oid}{at}")), focus_type, version: 1, content: content.clone() };
        store_users(&*repo, std::slice::from_ref(&focus)).await;
        for key in [ObjectKey::Name("it's".to_owned()), ObjectKey::Oid(focus.oid.clone())] {
            assert_eq!(repo.focus(focus_type, &key).await.unwrap().unwrap().focus, focus);
        }
    }
    assert!(repo.focus(FocusType::User, &ObjectKey::Oid(Oid::new("absent"))).await.unwrap().is_none());
    assert!(repo.focus(FocusType::User, &ObjectKey::Name("IT'S".to_owned())).await.unwrap().is_none());
}

pub async fn foci_come_page_by_page_in_the_order_of_their_creation(repo: Arc<dyn Repo>) {
    store_users(&*repo, &["e", "b", "d"].map(|name| user(name, &[]))).await;
    store_users(&*repo, &[Focus { focus_type: FocusType::Role, ..user("role", &[]) }, user("a", &[]), user("c", &[])]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = repo.foci(FocusType::User, after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        seen.extend(page);
    }
    assert_eq!(names(&seen), ["e", "b", "d", "a", "c"]);
    assert!(repo.foci(FocusType::User, None, 0).await.unwrap().is_empty());
}

pub async fn finding_needs_a_declared_item(repo: Arc<dyn Repo>) {
    let declared = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(&[declared]).await.unwrap();
    let other_rule = users_by(&["mail"], MatchingRule::StringIgnoreCase);
    assert_eq!(repo.find(&other_rule, vec!["x".into()], 1).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

pub async fn found_foci_come_in_the_order_asked_and_no_more_than_wanted(repo: Arc<dyn Repo>) {
    let title = users_by(&["title"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&title)).await.unwrap();
    store_users(&*repo, &[user("c", &[("title", "x")]), user("b", &[("title", "y")]), user("a", &[("title", "x")])]).await;
    let found = repo.find(&title, ["y", "z", "x", "y"].map(Into::into).to_vec(), 2).await.unwrap();
    assert_eq!(found.iter().map(|foci| names(foci)).collect::<Vec<_>>(), [vec!["b"], vec![], vec!["c", "a"], vec!["b"]]);
    let found = repo.find(&title, ["x", "y"].map(Into::into).to_vec(), 1).await.unwrap();
    assert_eq!(found.iter().map(|foci| names(foci)).collect::<Vec<_>>(), [["c"], ["b"]]);
    let found = repo.find(&title, ["x", "y"].map(Into::into).to_vec(), 0).await.unwrap();
    assert_eq!(found, [vec![], vec![]]);
    assert!(repo.find(&title, vec![], 1).await.unwrap().is_empty());
}

pub async fn foci_from_before_the_declaration_are_found(repo: Arc<dyn Repo>) {
    store_users(&*repo, &[user("ann", &[("mail", "a")]), user("bob", &[])]).await;
    let mail = users_by(&["mail"], MatchingRule::Exact);
    for _ in 0..2 {
        repo.ensure_indexed(&[mail.clone(), users_by(&["name"], MatchingRule::Exact)]).await.unwrap();
    }
    assert_eq!(names(&repo.find(&mail, vec!["a".into()], 9).await.unwrap()[0]), ["ann"]);
}

pub async fn values_count_as_the_same_by_the_rule(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::StringIgnoreCase);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    store_users(&*repo, &[user("ann", &[("mail", "Ann@X")])]).await;
    let found = repo.find(&mail, vec!["ann@x".into(), "Ann@X".into()], 9).await.unwrap();
    assert_eq!((found[0].len(), found[1].len()), (1, 0), "values asked for are normalized already");
}

pub async fn every_value_of_an_item_in_every_container_is_found(repo: Arc<dyn Repo>) {
    let badge = users_by(&["extension", "badge"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&badge)).await.unwrap();
    let mut ann = user("ann", &[]);
    let badges: Values = [Value::Integer(7), Value::from("8"), Value::from("8")].into_iter().collect();
    let container = |values: Values| Value::Container(Box::new([("badge".into(), values)].into_iter().collect()));
    ann.content.set("extension", [container(badges), container([Value::from("9")].into_iter().collect())].into_iter().collect());
    store_users(&*repo, &[ann]).await;
    let found = repo.find(&badge, ["7", "8", "9", "badge"].map(Into::into).to_vec(), 9).await.unwrap();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 0]);
}

pub async fn a_changed_focus_is_found_by_its_new_values_only(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    store_users(&*repo, &[user("ann", &[("mail", "old")])]).await;
    for (from, to) in [("old", "new"), ("new", "new"), ("new", "old")] {
        let stored = the_user(&*repo, "ann").await;
        let expected = stored.focus.version;
        let focus = changed(&stored.focus, &[("mail", to), ("title", from)]);
        let before = stored.focus.content.clone();
        repo.commit(of_foci(vec![FocusChange::Update { key: stored.key, expected, before, focus }])).await.unwrap();
        let found = repo.find(&mail, vec![from.into(), to.into()], 9).await.unwrap();
        assert_eq!(found[0].len(), usize::from(from == to));
        assert_eq!(names(&found[1]), ["ann"]);
        assert_eq!(found[1][0].focus.version, expected + 1);
    }
}

pub async fn a_deleted_focus_is_not_found(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    store_users(&*repo, &[user("ann", &[("mail", "a")]), user("bob", &[("mail", "a")])]).await;
    let key = the_user(&*repo, "ann").await.key;
    repo.commit(of_foci(vec![FocusChange::Delete { key, version: 1 }])).await.unwrap();
    assert_eq!(names(&repo.find(&mail, vec!["a".into()], 9).await.unwrap()[0]), ["bob"]);
    assert_eq!(names(&repo.foci(FocusType::User, None, 9).await.unwrap()), ["bob"]);
}

pub async fn an_item_is_indexed_for_its_focus_type_alone(repo: Arc<dyn Repo>) {
    let mail = users_by(&["mail"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&mail)).await.unwrap();
    store_users(&*repo, &[Focus { focus_type: FocusType::Org, ..user("org", &[("mail", "a")]) }]).await;
    assert!(repo.find(&mail, vec!["a".into()], 9).await.unwrap()[0].is_empty());
}

pub async fn a_value_that_many_have_hides_no_other(repo: Arc<dyn Repo>) {
    let title = users_by(&["title"], MatchingRule::Exact);
    repo.ensure_indexed(std::slice::from_ref(&title)).await.unwrap();
    let users: Vec<_> =
        (0..300).map(|at| user(&format!("u{at}"), &[("title", if at % 3 == 0 { "rare" } else { "common" })])).collect();
    store_users(&*repo, &users).await;
    let asked = ["common", "rare", "absent", "common", "rare"].map(Into::into).to_vec();
    let found = repo.find(&title, asked, 2).await.unwrap();
    let expected = [vec!["u1", "u2"], vec!["u0", "u3"], vec![], vec!["u1", "u2"], vec!["u0", "u3"]];
    assert_eq!(found.iter().map(|foci| names(foci)).collect::<Vec<_>>(), expected);
}
