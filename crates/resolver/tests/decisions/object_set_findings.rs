//! What is said of object sets, beyond whether they resolve.

use std::sync::Arc;

use expect_test::{Expect, expect};
use tidelock_model::object::{Intent, Kind};
use tidelock_resolver::object_set::{ActivityKind, FailedSelection, PostFilter, Profile, resolve};
use tidelock_resolver::policy::ResourcePolicy;

use crate::support::{object_set, policy, shown, typed};

const TYPES: &str = r#"
    account/default  class=account  default  where attributes/ri:ou = "people"
    account/service  class=account  where attributes/ri:ou = "svc"
    entitlement/team class=group
"#;

fn findings(activity: ActivityKind, policy: &ResourcePolicy, set: &str) -> String {
    let (set, read) = object_set(&format!("resourceRef: {{ oid: r }}\n{set}"));
    assert!(!read.iter().any(|diagnostic| diagnostic.is_error()), "the fixture is sound");
    match resolve(activity, &set, policy, Profile::Documented) {
        Ok(set) => shown(&set.diagnostics),
        Err(diagnostics) => shown(&diagnostics),
    }
}

fn check(activity: ActivityKind, set: &str, expected: Expect) {
    expected.assert_eq(&findings(activity, &typed(TYPES), set));
}

/// The same resource, which knows itself what its ordinary accounts are.
fn with_default_accounts(mut policy: ResourcePolicy) -> ResourcePolicy {
    let mut schema = (*policy.schema).clone();
    Arc::make_mut(&mut schema.classes[0]).default_account = true;
    policy.schema = schema.into();
    policy
}

#[test]
fn a_wrong_intent_is_compared_with_those_of_its_kind_first() {
    check(
        ActivityKind::Import,
        "kind: entitlement\nintent: defaul",
        expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type entitlement/defaul
            did you mean entitlement/team?
    "#]],
    );
    check(
        ActivityKind::Import,
        "kind: entitlement\nintent: service",
        expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type entitlement/service
            object types are account/default, account/service, entitlement/team
    "#]],
    );
}

#[test]
fn without_object_types_a_class_is_to_be_named() {
    let untyped = policy("description: no types");
    expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type account/staff
            the resource defines no object types; name an 'objectclass' instead
    "#]]
    .assert_eq(&findings(ActivityKind::Import, &untyped, "kind: account\nintent: staff"));
}

#[test]
fn of_many_types_some_are_listed() {
    let with = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("account/t{n:02} class=account where ou = \"{n}\"")).collect();
        findings(ActivityKind::Import, &typed(&lines.join("\n")), "kind: generic\nintent: elsewhere")
    };
    expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type generic/elsewhere
            object types are account/t00, account/t01, account/t02, account/t03, account/t04, account/t05, account/t06, account/t07, account/t08, account/t09, account/t10, account/t11
    "#]].assert_eq(&with(12));
    expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type generic/elsewhere
            object types are account/t00, account/t01, account/t02, account/t03, account/t04, account/t05, account/t06, account/t07, account/t08, account/t09, account/t10, account/t11 and 2 more
    "#]].assert_eq(&with(14));
}

#[test]
fn accounts_of_whatever_type_are_hardly_meant_where_there_are_types() {
    let typed_accounts = with_default_accounts(typed("account/staff class=account"));
    expect![[r#"
        -:9:11: warning[kind-without-intent]: no object type is the default for the kind 'account', so the objects of the class 'account' are meant, of whatever type
            name 'intent' as one of these types has it: account/staff
    "#]].assert_eq(&findings(ActivityKind::Import, &typed_accounts, "kind: account"));
    expect![[r#"
        -:10:11: warning[default-account-class]: the resource has no object type account/default, so the objects of the class 'account' are meant, of whatever type
            name 'intent' as one of these types has it: account/staff
    "#]].assert_eq(&findings(ActivityKind::Import, &typed_accounts, "kind: account\nintent: default"));
    let others = with_default_accounts(typed("entitlement/team class=group"));
    assert_eq!(findings(ActivityKind::Import, &others, "kind: account"), "", "there are no types of accounts");
}

#[test]
fn a_whole_class_is_searched_as_its_own_definition_says() {
    let classes = policy(
        "schemaHandling:
  objectClass:
    - delineation: { objectClass: ri:group, filter: { text: 'cn = \"x\"' } }
    - delineation: { objectClass: ri:account, filter: { text: 'ou = \"people\"' } }
",
    );
    let search = |class: &str| {
        let (set, _) = object_set(&format!("resourceRef: {{ oid: r }}\nobjectclass: ri:{class}"));
        format!("{:?}", resolve(ActivityKind::Import, &set, &classes, Profile::Documented).unwrap().search)
    };
    assert!(search("group").contains("\"cn\""));
    assert!(search("account").contains("\"ou\""));
}

#[test]
fn what_is_gone_cannot_be_found_by_a_query() {
    let query = "queryApplication: replace\nquery: { filter: { text: 'resourceRef matches (oid = \"r\") and objectClass = ri:account' } }";
    check(
        ActivityKind::RemainingShadows,
        query,
        expect![[r#"
        -:6:9: error[no-object-class]: reconciliation needs the class beside the query as well: what is gone cannot be found by a query
            say it in the object set, too: 'kind' and 'intent', or 'objectclass'
    "#]],
    );
    check(
        ActivityKind::RemainingShadows,
        "queryApplication: replace",
        expect![[r#"
        -:6:9: error[no-object-class]: reconciliation needs to know the class of the objects, and nothing here tells it
            add 'kind' and 'intent' of an object type, or 'objectclass'
    "#]],
    );
}

#[test]
fn items_of_other_object_sets_are_reported() {
    let foreign = "type: ShadowType\nobjectRef: { oid: s }\nuseRepositoryDirectly: true\narchetypeRef: { oid: a }";
    check(
        ActivityKind::Import,
        &format!("kind: account\nintent: service\n{foreign}"),
        expect![[r#"
        -:11:11: warning[ignored-item]: 'type' is ignored by import
            remove 'type'
        -:14:11: warning[ignored-item]: 'archetypeRef' is ignored by import
            remove 'archetypeRef'
        -:12:11: warning[ignored-item]: 'objectRef' is ignored by import
            remove 'objectRef'
        -:13:11: warning[ignored-item]: 'useRepositoryDirectly' is ignored by import
            remove 'useRepositoryDirectly'
    "#]],
    );
    check(ActivityKind::ShadowRefresh, foreign, expect![[r#""#]]);
}

#[test]
fn a_query_that_is_not_understood_does_not_mean_everything() {
    let set = |query: &str| format!("kind: account\nintent: service\nqueryApplication: append\nquery: {query}");
    check(
        ActivityKind::Import,
        &set("{ 'urn:other#filter': { text: 'uid = \"1\"' } }"),
        expect![[r#"
        -:12:20: error[query-syntax]: what is in the query is not understood, and without it all objects would be meant
            a query has a 'filter' and a 'paging', in the namespace http://prism.evolveum.com/xml/ns/public/query-3
    "#]],
    );
    check(ActivityKind::Import, &set("{ description: all of them }"), expect![[r#""#]]);
}

#[test]
fn an_order_is_told_where_it_stands() {
    let set = |paging: &str| format!("kind: account\nintent: service\nquery: {{ paging: {{ {paging} }} }}");
    check(
        ActivityKind::ResourceObjects,
        &set("orderBy: attributes/ri:uid, maxSize: 10"),
        expect![[r#"
        -:11:30: warning[not-supported]: 'orderBy' is not supported yet: objects come in the order of the resource, and 'maxSize' counts in that order
            remove 'orderBy'; say in the filter which objects are wanted
    "#]],
    );
    check(
        ActivityKind::ResourceObjects,
        &set("orderBy: attributes/ri:uid"),
        expect![[r#"
        -:11:30: warning[not-supported]: 'orderBy' is not supported yet: objects come in the order of the resource
            remove 'orderBy'; say in the filter which objects are wanted
    "#]],
    );
}

#[test]
fn an_order_has_a_direction() {
    let descending = ["ascending", "descending"].map(|direction| {
        let yaml = "resourceRef: { oid: r }\nkind: account\nintent: service\n";
        let (set, _) = object_set(&format!("{yaml}query: {{ paging: {{ orderDirection: {direction} }} }}"));
        resolve(ActivityKind::ResourceObjects, &set, &typed(TYPES), Profile::Documented).unwrap().paging.unwrap().descending
    });
    assert_eq!(descending, [false, true]);
}

#[test]
fn options_that_are_off_are_not_worth_a_word() {
    let options =
        |options: &str| format!("kind: account\nintent: service\nsearchOptions: {{ option: {{ options: {{ {options} }} }} }}");
    check(ActivityKind::Import, &options("noFetch: false, raw: false, readOnly: 0"), expect![[r#""#]]);
    check(
        ActivityKind::Import,
        &options("noFetch: 'no'"),
        expect![[r#"
        -:11:49: error[bad-value]: 'noFetch' is neither true nor false
            write true or false
    "#]],
    );
}

#[test]
fn failed_objects_can_be_fetched_or_sought_where_objects_are_not_read() {
    let selection = |activity, more: &str| {
        let (set, _) = object_set(&format!("resourceRef: {{ oid: r }}\nkind: account\nintent: service\n{more}"));
        resolve(activity, &set, &typed(TYPES), Profile::Documented).map(|set| set.failed.unwrap().selection)
    };
    let no_fetch = "searchOptions: { option: { options: { noFetch: true } } }";
    let fetch = "failedObjectsSelector: { selectionMethod: fetchFailedObjects }";
    let narrow = "failedObjectsSelector: { selectionMethod: narrowQuery }";
    assert_eq!(selection(ActivityKind::Import, fetch), Ok(FailedSelection::Fetch));
    assert_eq!(selection(ActivityKind::Import, &format!("{no_fetch}\n{fetch}")), Ok(FailedSelection::Fetch));
    assert_eq!(selection(ActivityKind::Import, &format!("{no_fetch}\n{narrow}")), Ok(FailedSelection::Narrow));
    assert_eq!(selection(ActivityKind::ShadowCleanup, fetch), Ok(FailedSelection::Narrow));
}

#[test]
fn an_object_without_a_type_has_neither_kind_nor_intent() {
    let kind = PostFilter { kind: Some(Kind::Account), ..PostFilter::default() };
    let intent = PostFilter { intent: Intent::new("service"), ..PostFilter::default() };
    assert!(!kind.admits("account", None));
    assert!(!intent.admits("account", None));
    assert!(PostFilter::default().admits("account", None));
}

#[test]
fn profiles_have_their_names() {
    assert_eq!([Profile::Documented, Profile::Midpoint48].map(|profile| profile.to_string()), ["documented", "midpoint-4.8"]);
}
