//! Object sets, resolved.

use expect_test::{Expect, expect};
use tidelock_resolver::object_set::{ActivityKind, ObjectSet, Profile, Scope, resolve};

use crate::support::{object_set, policy, shown, typed};

const TYPES: &str = r#"
    account/default  class=account  default  where attributes/ri:ou = "people"
    account/service  class=account  where attributes/ri:ou = "svc"
    entitlement/team class=group
"#;

fn described(set: &ObjectSet) -> String {
    let scope = match &set.scope {
        Scope::Type(_) => "type",
        Scope::Class(_) => "class",
        Scope::Resource => "resource",
    };
    let mut text = format!(
        "{scope} {} {}\nbase   {}\n",
        set.object_type.as_ref().map_or("-".to_owned(), ToString::to_string),
        set.class.as_ref().map_or("-", |class| &class.name),
        set.base_query
    );
    if let Some(query) = &set.query {
        text += &format!("query  {query}\n");
    }
    if let Some(application) = set.query_application {
        text += &format!("apply  {application}\n");
    }
    if let Some(paging) = &set.paging {
        text += &format!("paging {paging:?}\n");
    }
    if set.search != tidelock_model::filter::BoundFilter::All {
        text += &format!("search {:?}\n", set.search);
    }
    let filter = &set.post_filter;
    text += &format!(
        "check  {} {} {}\n",
        filter.kind.map_or("-", |kind| kind.as_str()),
        filter.intent.as_ref().map_or("-", |intent| intent.as_str()),
        filter.class.as_deref().unwrap_or("-")
    );
    let shadows = &set.shadow_filter;
    if shadows != &Default::default() {
        text += &format!(
            "shadow {} {} {}\n",
            shadows.kind.map_or("-", |kind| kind.as_str()),
            shadows.intent.as_ref().map_or("-", |intent| intent.as_str()),
            shadows.class.as_deref().unwrap_or("-")
        );
    }
    if set.no_fetch || set.failed.is_some() {
        text += &format!("cached {:?} where {:?}\n", set.cached.shadows, set.cached.conditions);
        text += &format!("noFetch {} failed {:?}\n", set.no_fetch, set.failed);
    }
    if !set.ignored.is_empty() {
        text += &format!("ignored {}\n", set.ignored.join(" "));
    }
    text + &shown(&set.diagnostics)
}

fn check_in(profile: Profile, activity: ActivityKind, set: &str, expected: Expect) {
    let (set, read) = object_set(set);
    assert_eq!(read, [], "the fixture is sound");
    let text = match resolve(activity, &set, &typed(TYPES), profile) {
        Ok(set) => described(&set),
        Err(diagnostics) => shown(&diagnostics),
    };
    expected.assert_eq(&text);
}

fn check(activity: ActivityKind, set: &str, expected: Expect) {
    check_in(Profile::Documented, activity, set, expected);
}

#[test]
fn a_type_is_searched_by_its_delineation() {
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: account\nintent: service",
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  replace
        search Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }
        check  account service -
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: account",
        expect![[r#"
        type account/default account
        base   resourceRef matches (oid = "r") and kind = "account"
        query  resourceRef matches (oid = "r") and kind = "account"
        apply  replace
        search Attribute { name: "ou", rule: Exact, condition: AnyOf([String("people")]) }
        check  account - -
        -:9:11: warning[kind-without-intent]: without 'intent' the default type of the kind is meant, which is account/default
            add 'intent' with the value 'default'
    "#]],
    );
    check(
        ActivityKind::ResourceObjects,
        "resourceRef: { oid: r }\nobjectclass: ri:account",
        expect![[r#"
        class - account
        base   resourceRef matches (oid = "r") and objectClass = ri:account
        query  resourceRef matches (oid = "r") and objectClass = ri:account
        apply  append
        check  - - account
    "#]],
    );
}

#[test]
fn the_parts_of_a_reconciliation_have_their_own_sets() {
    check(
        ActivityKind::OperationCompletion,
        "resourceRef: { oid: r }\nkind: account\nintent: service",
        expect![[r#"
        resource - -
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  resourceRef matches (oid = "r") and pendingOperation exists
        check  - - -
        ignored kind intent
    "#]],
    );
    check(
        ActivityKind::RemainingShadows,
        "resourceRef: { oid: r }\nkind: account",
        expect![[r#"
        type account/default account
        base   resourceRef matches (oid = "r") and kind = "account"
        query  resourceRef matches (oid = "r") and kind = "account" and objectClass = ri:account
        check  account - -
        shadow account - account
        -:9:11: warning[kind-without-intent]: without 'intent' the default type of the kind is meant, which is account/default
            add 'intent' with the value 'default'
    "#]],
    );
}

#[test]
fn what_is_wrong_is_said_with_its_cure() {
    check(
        ActivityKind::Import,
        "kind: account",
        expect![[r#"
        -:6:9: error[no-resource]: the object set names no resource
            add 'resourceRef' with the OID of a resource
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { type: ResourceType }\nkind: account",
        expect![[r#"
            -:8:11: error[no-resource]: 'resourceRef' has no OID
                give the OID of the resource in 'oid'
        "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }",
        expect![[r#"
        -:6:9: error[no-object-class]: import needs to know the class of the objects, and nothing here tells it
            add 'kind' and 'intent' of an object type, or 'objectclass'
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nintent: default",
        expect![[r#"
        -:9:11: error[intent-without-kind]: 'intent' means nothing without 'kind'
            add 'kind', or remove 'intent'
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nintent: default\nobjectclass: ri:account",
        expect![[r#"
        -:9:11: error[intent-without-kind]: 'intent' means nothing without 'kind'
            add 'kind', or remove 'intent'
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: account\nintent: servce",
        expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type account/servce
            did you mean account/service?
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: entitlement",
        expect![[r#"
        -:9:11: error[no-default-object-type]: no object type is the default for the kind 'entitlement'
            add 'intent' with the value 'team', or 'defaultForKind' to that type
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: account\nobjectclass: ri:group",
        expect![[r#"
        -:9:11: warning[kind-without-intent]: without 'intent' the default type of the kind is meant, which is account/default
            add 'intent' with the value 'default'
        -:10:11: error[object-class-mismatch]: the object class is 'ri:group', but that of account/default is 'account'
            remove 'objectclass': kind and intent tell the class
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nobjectclass: ri:acount",
        expect![[r#"
        -:9:11: error[unknown-object-class]: the resource has no object class 'ri:acount'
            did you mean 'account'?
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: unknown",
        expect![[r#"
        -:9:11: error[reserved-unknown]: the kind 'unknown' is reserved for objects without a type
            name the kind of an object type
    "#]],
    );
}

#[test]
fn live_synchronization_takes_changes_of_the_class() {
    let intent = "resourceRef: { oid: r }\nintent: default\nobjectclass: ri:account";
    check(
        ActivityKind::LiveSynchronization,
        intent,
        expect![[r#"
        class - account
        base   resourceRef matches (oid = "r") and objectClass = ri:account
        check  - - account
        ignored intent
        -:9:11: warning[intent-without-kind]: 'intent' is ignored without 'kind': liveSynchronization takes the whole class
            remove 'intent', or add 'kind'
    "#]],
    );
    check_in(
        Profile::Midpoint48,
        ActivityKind::LiveSynchronization,
        intent,
        expect![[r#"
        -:9:11: error[intent-without-kind]: 'intent' means nothing without 'kind'
            add 'kind', or remove 'intent'
    "#]],
    );
    check(
        ActivityKind::LiveSynchronization,
        "resourceRef: { oid: r }",
        expect![[r#"
        resource - -
        base   resourceRef matches (oid = "r")
        check  - - -
    "#]],
    );
    let all = "resourceRef: { oid: r }\nkind: account\nintent: service\nobjectclass: account";
    check(
        ActivityKind::LiveSynchronization,
        all,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service" and objectClass = account
        check  - - account
    "#]],
    );
    check_in(
        Profile::Midpoint48,
        ActivityKind::LiveSynchronization,
        all,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service" and objectClass = account
        check  account service account
    "#]],
    );
}

#[test]
fn an_asynchronous_update_takes_everything() {
    let set = "resourceRef: { oid: r }\nkind: unknown\nquery: { filter: { text: 'nonsense((' } }\nsearchOptions: {}";
    check(
        ActivityKind::AsynchronousUpdate,
        set,
        expect![[r#"
        resource - -
        base   resourceRef matches (oid = "r")
        check  - - -
        ignored query searchOptions kind
        -:10:11: warning[ignored-item]: 'query' is ignored by asynchronousUpdate
            remove 'query'
        -:11:11: warning[ignored-item]: 'searchOptions' is ignored by asynchronousUpdate
            remove 'searchOptions'
        -:9:11: warning[ignored-item]: 'kind' is ignored by asynchronousUpdate
            remove 'kind'
    "#]],
    );
    let set = "resourceRef: { oid: r }\nkind: account\nintent: nobody";
    check_in(
        Profile::Midpoint48,
        ActivityKind::AsynchronousUpdate,
        set,
        expect![[r#"
        -:10:11: error[unknown-object-type]: the resource has no object type account/nobody
            object types are account/default, account/service, entitlement/team
    "#]],
    );
}

#[test]
fn queries_are_added_or_replace() {
    let text = |text: &str| format!("query: {{ filter: {{ text: {text:?} }} }}\n");
    let set = "resourceRef: { oid: r }\nkind: account\nintent: service\n";
    let attribute = text("attributes/ri:mail startsWith \"A\"");
    check(
        ActivityKind::ResourceObjects,
        &format!("{set}{attribute}"),
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  attributes/ri:mail startsWith "A" and resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  append
        search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }, Attribute { name: "mail", rule: StringIgnoreCase, condition: Substring { text: "a", at_start: true, at_end: false } }])
        check  account service -
    "#]],
    );
    check(
        ActivityKind::Import,
        &format!("{set}{attribute}"),
        expect![[r#"
            -:11:20: error[query-without-coordinates]: the query, which replaces kind, intent and class unless 'queryApplication' says otherwise, must say which resource, and which kind or object class it is about
                say 'append' in 'queryApplication', or begin the query with: resourceRef matches (oid = '…') and kind = '…' and intent = '…'
        "#]],
    );
    check(
        ActivityKind::Import,
        &format!("{set}queryApplication: append\nquery: {{ paging: {{ maxSize: 10, orderBy: attributes/ri:uid }} }}"),
        expect![[r#"
            type account/service account
            base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
            query  resourceRef matches (oid = "r") and kind = "account" and intent = "service"
            apply  append
            paging Paging { order_by: Some("uid"), descending: false, offset: 0, max_size: Some(10) }
            search Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }
            check  account service -
            -:12:43: warning[not-supported]: 'orderBy' is not supported yet: objects come in the order of the resource, and 'maxSize' counts in that order
                remove 'orderBy'; say in the filter which objects are wanted
        "#]],
    );
    let complete =
        text("resourceRef matches (oid = \"r\") and kind = \"account\" and intent = \"default\" and attributes/uid = \"1\"");
    check(
        ActivityKind::Import,
        &format!("{set}{complete}"),
        expect![[r#"
            type account/default account
            base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
            query  resourceRef matches (oid = "r") and kind = "account" and intent = "default" and attributes/uid = "1"
            apply  replace
            search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("people")]) }, Attribute { name: "uid", rule: Exact, condition: AnyOf([String("1")]) }])
            check  account service -
            -:11:87: warning[contradicting-query]: the query asks for objects of intent 'default', and of what is found only objects of intent 'service' are processed
                say the same in the query and in 'intent', or leave one of them out
        "#]],
    );
    check(
        ActivityKind::Import,
        &format!("resourceRef: {{ oid: r }}\n{complete}"),
        expect![[r#"
        type account/default account
        base   resourceRef matches (oid = "r")
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "default" and attributes/uid = "1"
        apply  replace
        search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("people")]) }, Attribute { name: "uid", rule: Exact, condition: AnyOf([String("1")]) }])
        check  - - -
    "#]],
    );
    check(
        ActivityKind::Import,
        &format!("resourceRef: {{ oid: other }}\n{complete}"),
        expect![[r#"
        -:9:30: error[not-supported]: the query is about another resource than 'resourceRef'
            refer to the same resource in both
    "#]],
    );
    let other_type = text("intent = \"default\" and attributes/uid = \"1\"");
    check(
        ActivityKind::ResourceObjects,
        &format!("{set}{other_type}"),
        expect![[r#"
            type account/default account
            base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
            query  intent = "default" and attributes/uid = "1" and resourceRef matches (oid = "r") and kind = "account" and intent = "service"
            apply  append
            search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("people")]) }, Attribute { name: "uid", rule: Exact, condition: AnyOf([String("1")]) }])
            check  account service -
            -:11:30: warning[contradicting-query]: the query asks for objects of intent 'default', and of what is found only objects of intent 'service' are processed
                say the same in the query and in 'intent', or leave one of them out
        "#]],
    );
    check(
        ActivityKind::ResourceObjects,
        &format!("{set}{}", text("attributes/ri:mial = \"x\"")),
        expect![[r#"
        -:11:30: error[unknown-attribute]: the object class 'account' has no attribute 'ri:mial'
            did you mean 'mail'?
    "#]],
    );
    check(
        ActivityKind::ResourceObjects,
        &format!("{set}{}", text("dead = true")),
        expect![[r#"
        -:11:30: error[off-resource-condition]: 'dead' is nothing that the resource knows, so it cannot be part of a search there
            such a search takes conditions on attributes/… and activation/…, joined by 'and' with resourceRef, kind, intent and objectClass
    "#]],
    );
}

#[test]
fn a_cleanup_goes_through_the_shadows_that_are_named() {
    check(
        ActivityKind::ShadowCleanup,
        "resourceRef: { oid: r }\nkind: account",
        expect![[r#"
            type account/default account
            base   resourceRef matches (oid = "r") and kind = "account"
            query  resourceRef matches (oid = "r") and kind = "account"
            apply  append
            check  - - -
            shadow account - -
            -:9:11: warning[kind-without-intent]: without 'intent' shadows of every intent of the kind are meant
                add 'intent' if those of one object type are meant
        "#]],
    );
    check(
        ActivityKind::ShadowCleanup,
        "resourceRef: { oid: r }\nkind: account\nquery: { filter: { text: 'intent = \"service\"' } }",
        expect![[r#"
            type account/service account
            base   resourceRef matches (oid = "r") and kind = "account"
            query  intent = "service" and resourceRef matches (oid = "r") and kind = "account"
            apply  append
            check  - - -
            shadow account service -
            -:9:11: warning[kind-without-intent]: without 'intent' shadows of every intent of the kind are meant
                add 'intent' if those of one object type are meant
        "#]],
    );
    check(
        ActivityKind::ShadowCleanup,
        "resourceRef: { oid: r }\nkind: account\nquery: { filter: { text: 'attributes/uid = \"1\"' } }",
        expect![[r#"
            -:9:11: warning[kind-without-intent]: without 'intent' shadows of every intent of the kind are meant
                add 'intent' if those of one object type are meant
            -:10:20: error[not-supported]: a query on shadows with more than kind, intent and class is not supported yet, and without it the result would be wrong
                ask for kind, intent and objectClass only
        "#]],
    );
}

#[test]
fn a_search_stays_inside_of_the_base_context() {
    let resolved = |filter: &str| {
        let policy = policy(&format!(
            "schemaHandling:
  objectType:
    - intent: people
      delineation:
        objectClass: ri:entry
        baseContext: {{ objectClass: ri:entry, filter: {{ text: '{filter}' }} }}
        baseContextClassificationUse: ignored
        searchHierarchyScope: one
"
        ));
        let (set, _) = object_set("resourceRef: { oid: r }\nkind: account\nintent: people");
        resolve(ActivityKind::Import, &set, &policy, Profile::Documented)
    };
    let base = resolved("attributes/dn = \"ou=people,dc=x\"").unwrap().base_context.unwrap();
    let admits = |dn: &str| base.admits(&crate::support::object(&format!("entry entryUUID=1 dn={dn}")));
    assert!(admits("uid=ann,OU=people,dc=x"));
    assert!(!admits("uid=ann,ou=a,ou=people,dc=x"));
    assert!(!admits("ou=people,dc=x"));
    assert!(!admits("nonsense"));
    expect![[r#"
        -:8:11: error[not-supported]: a base context that is not given by its distinguished name is not supported yet, and without it the result would be wrong
            give 'objectClass' and a 'filter' that compares the distinguished name with one value
    "#]].assert_eq(&shown(&resolved("attributes/entryUUID = \"1\"").unwrap_err()));
}

#[test]
fn accounts_need_no_type_where_the_resource_knows_its_accounts() {
    let mut policy = policy("description: no types");
    let mut schema = (*policy.schema).clone();
    std::sync::Arc::make_mut(&mut schema.classes[0]).default_account = true;
    policy.schema = schema.clone().into();
    let scope = |policy: &_, set: &str| {
        let (set, _) = object_set(set);
        match resolve(ActivityKind::Import, &set, policy, Profile::Documented) {
            Ok(set) => described(&set),
            Err(diagnostics) => diagnostics.last().unwrap().code.to_owned(),
        }
    };
    let default = "resourceRef: { oid: r }\nkind: account\nintent: default";
    expect![[r#"
        class - account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "default"
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "default"
        apply  replace
        check  account default -
    "#]]
    .assert_eq(&scope(&policy, default));
    assert_eq!(scope(&policy, "resourceRef: { oid: r }\nkind: account\nintent: other"), "unknown-object-type");
    assert_eq!(scope(&policy, "resourceRef: { oid: r }\nkind: generic"), "no-default-object-type");
    std::sync::Arc::make_mut(&mut schema.classes[1]).default_account = true;
    policy.schema = schema.into();
    assert_eq!(scope(&policy, default), "several-default-object-types");
}

#[test]
fn unclassified_objects_pass_where_they_will_be_excluded_anyway() {
    let (set, _) = object_set("resourceRef: { oid: r }\nkind: account\nintent: service\nobjectclass: ri:account");
    let policy = typed(TYPES);
    let service = &policy.types[1].id;
    let other = &policy.types[0].id;
    let admits = |activity, profile, class: &str, type_| {
        resolve(activity, &set, &policy, profile).unwrap().post_filter.admits(class, type_)
    };
    for profile in [Profile::Documented, Profile::Midpoint48] {
        for activity in [ActivityKind::Import, ActivityKind::ResourceObjects, ActivityKind::RemainingShadows] {
            assert!(admits(activity, profile, "account", Some(service)));
            assert!(!admits(activity, profile, "account", Some(other)));
            assert!(!admits(activity, profile, "group", Some(service)));
        }
        assert!(admits(ActivityKind::Import, profile, "account", None));
        assert!(!admits(ActivityKind::RemainingShadows, profile, "account", None));
        assert!(admits(ActivityKind::AsynchronousUpdate, profile, "group", Some(other)));
    }
    assert!(admits(ActivityKind::LiveSynchronization, Profile::Documented, "account", Some(other)));
    assert!(admits(ActivityKind::LiveSynchronization, Profile::Documented, "account", None));
    assert!(!admits(ActivityKind::LiveSynchronization, Profile::Midpoint48, "account", Some(other)));
    assert!(!admits(ActivityKind::LiveSynchronization, Profile::Midpoint48, "account", None));
}

#[test]
fn search_options_are_used_or_reported_one_by_one() {
    let set = "resourceRef: { oid: r }\nkind: account\nintent: service\nsearchOptions:\n  option:\n    - options: { noFetch: true, readOnly: true, raw: true, staleness: 5, forceRetry: false, noFetsch: true }\n    - selector: { path: credentials }\n      options: { retrieve: include }";
    check(
        ActivityKind::Import,
        set,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  replace
        search Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }
        check  account service -
        cached ShadowScope { class: None, kind: Some(Account), intent: Some(Intent("service")) } where All
        noFetch true failed None
        -:13:43: warning[ignored-item]: the search option 'readOnly' makes no difference to import
            remove 'readOnly'
        -:13:59: warning[not-supported]: 'raw' is not supported yet; it has no effect
            of search options, 'noFetch' is supported
        -:13:70: warning[not-supported]: 'staleness' is not supported yet; it has no effect
            of search options, 'noFetch' is supported
        -:13:103: warning[unknown-item]: 'option' has no item 'noFetsch'; it is ignored
            did you mean 'noFetch'?
        -:14:29: warning[not-supported]: an option for single items is not supported yet; it has no effect
            of search options, 'noFetch' is supported
    "#]],
    );
    check(
        ActivityKind::ResourceObjects,
        set,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  append
        search Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }
        check  account service -
        cached ShadowScope { class: None, kind: Some(Account), intent: Some(Intent("service")) } where All
        noFetch true failed None
        -:13:43: warning[ignored-item]: the search option 'readOnly' makes no difference to reconciliation
            remove 'readOnly'
        -:13:59: warning[ignored-item]: the search option 'raw' makes no difference to reconciliation
            remove 'raw'
        -:13:70: warning[ignored-item]: the search option 'staleness' makes no difference to reconciliation
            remove 'staleness'
        -:13:103: warning[unknown-item]: 'option' has no item 'noFetsch'; it is ignored
            did you mean 'noFetch'?
        -:14:29: warning[not-supported]: an option for single items is not supported yet; it has no effect
            of search options, 'noFetch' is supported
    "#]],
    );
    check(
        ActivityKind::LiveSynchronization,
        set,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        check  - - -
        ignored searchOptions
        -:11:11: warning[ignored-item]: 'searchOptions' is ignored by liveSynchronization
            remove 'searchOptions'
    "#]],
    );
    check(
        ActivityKind::Import,
        "resourceRef: { oid: r }\nkind: account\nintent: service\nsearchOptions: { option: { options: { noFetch: perhaps } } }",
        expect![[r#"
            -:11:49: error[bad-value]: 'noFetch' is neither true nor false
                write true or false
        "#]],
    );
}

#[test]
fn failed_objects_are_selected_as_suits_the_activity() {
    let set = |more: &str| {
        format!(
            "resourceRef: {{ oid: r }}\nkind: account\nintent: service\nquery: {{ filter: {{ text: 'attributes/ou = \"x\"' }} }}\nqueryApplication: append\nfailedObjectsSelector: {{ {more} }}"
        )
    };
    let plain = set("status: [fatal_error]");
    check(
        ActivityKind::Import,
        &plain,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  attributes/ou = "x" and resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  append
        search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }, Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }])
        check  account service -
        cached ShadowScope { class: None, kind: Some(Account), intent: Some(Intent("service")) } where Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }
        noFetch false failed Some(FailedObjects { selection: Fetch, statuses: [FatalError], tasks: [], from: None, to: None })
    "#]],
    );
    check(
        ActivityKind::RemainingShadows,
        &plain,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  resourceRef matches (oid = "r") and kind = "account" and intent = "service" and objectClass = ri:account
        check  account service -
        shadow account service account
        cached ShadowScope { class: None, kind: None, intent: None } where All
        noFetch false failed Some(FailedObjects { selection: Narrow, statuses: [FatalError], tasks: [], from: None, to: None })
        ignored query
    "#]],
    );
    let unread = plain + "\nsearchOptions: { option: { options: { noFetch: true } } }";
    check(
        ActivityKind::Import,
        &unread,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  attributes/ou = "x" and resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  append
        search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }, Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }])
        check  account service -
        cached ShadowScope { class: None, kind: Some(Account), intent: Some(Intent("service")) } where Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }
        noFetch true failed Some(FailedObjects { selection: Narrow, statuses: [FatalError], tasks: [], from: None, to: None })
    "#]],
    );
    let other = set(
        "selectionMethod: filterAfterRetrieval, taskRef: { oid: t, type: TaskType }, timeFrom: '2026-01-01T00:00:00Z', timeTo: '2026-02-01T00:00:00Z'",
    );
    check(
        ActivityKind::ResourceObjects,
        &other,
        expect![[r#"
        type account/service account
        base   resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        query  attributes/ou = "x" and resourceRef matches (oid = "r") and kind = "account" and intent = "service"
        apply  append
        search And([Attribute { name: "ou", rule: Exact, condition: AnyOf([String("svc")]) }, Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }])
        check  account service -
        cached ShadowScope { class: None, kind: Some(Account), intent: Some(Intent("service")) } where Attribute { name: "ou", rule: Exact, condition: AnyOf([String("x")]) }
        noFetch false failed Some(FailedObjects { selection: Filter, statuses: [FatalError, PartialError], tasks: [t], from: Some(Timestamp(1767225600000)), to: Some(Timestamp(1769904000000)) })
    "#]],
    );
    check(
        ActivityKind::Import,
        &set("selectionMethod: narrowQuery"),
        expect![[r#"
        -:13:36: error[bad-value]: 'narrowQuery' is for searches in the repository, and import searches on the resource
            leave 'selectionMethod' out, or choose fetchFailedObjects or filterAfterRetrieval
    "#]],
    );
    check(
        ActivityKind::Import,
        &set("taskRef: { type: TaskType }"),
        expect![[r#"
        -:13:36: error[bad-value]: 'taskRef' has no OID
            give the OID of the task in which objects failed, or leave 'taskRef' out for this task
    "#]],
    );
}
