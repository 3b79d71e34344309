//! Coordinates and the rest.

use expect_test::{Expect, expect};
use tidelock_model::Place;

use super::{filter, line};
use crate::filter::{print, split};

fn check(query: &str, expected: &Expect) {
    let said = match split(&filter(query), &Place::default()) {
        Err(error) => line(&error),
        Ok(split) => {
            let found = split.coordinates;
            let mut said = String::new();
            said += &found.resource.map(|oid| format!("resource={} ", oid.value)).unwrap_or_default();
            said += &found.kind.map(|kind| format!("kind={} ", kind.value)).unwrap_or_default();
            said += &found.intent.map(|intent| format!("intent={} ", intent.value)).unwrap_or_default();
            said += &found.object_class.map(|class| format!("class={} ", class.value)).unwrap_or_default();
            format!("{said}| {}", print(&split.on_resource))
        }
    };
    expected.assert_eq(said.trim_end());
}

#[test]
fn coordinates_are_dug_out_of_conjunctions() {
    check(
        "resourceRef matches (oid = 'r') and kind = 'account' and intent = 'x' and attributes/a = 1",
        &expect!["resource=r kind=account intent=x | attributes/a = 1"],
    );
    check(
        "attributes/a = 1 and (resourceRef matches (oid = 'r') and (objectClass = ri:person and attributes/b = 2))",
        &expect!["resource=r class=ri:person | attributes/a = 1 and attributes/b = 2"],
    );
    check("objectClass = 'ri:person' and auxiliaryObjectClass = ri:extra", &expect!["class=ri:person | . all"]);
    check(". type ShadowType and kind = 'account'", &expect!["kind=account | . all"]);
    check("attributes/a = 1 or attributes/b = 2", &expect!["| attributes/a = 1 or attributes/b = 2"]);
    check(
        "not (attributes/a = 1) and activation/administrativeStatus = 'enabled' and . all",
        &expect![[r#"| attributes/a != 1 and activation/administrativeStatus = "enabled""#]],
    );
}

#[test]
fn the_first_clause_counts() {
    check("kind = 'account' and (kind = 'generic' and intent = 'a') and intent = 'b'", &expect!["kind=account intent=a | . all"]);
}

#[test]
fn what_the_resource_cannot_answer_is_named() {
    check(
        "kind = 'account' and dead = true",
        &expect![
            "1:22 [off-resource-condition] 'dead' is nothing that the resource knows, so it cannot be part of a search there | such a search takes conditions on attributes/… and activation/…, joined by 'and' with resourceRef, kind, intent and objectClass"
        ],
    );
    check(
        "kind = 'account' or intent = 'x'",
        &expect![
            "1:1 [off-resource-condition] 'kind' says where to search, so it cannot stand under 'or' or 'not' | join it to the other conditions by 'and'"
        ],
    );
    check(
        "not (kind = 'account')",
        &expect![
            "1:6 [off-resource-condition] 'kind' says where to search, so it cannot stand under 'or' or 'not' | join it to the other conditions by 'and'"
        ],
    );
    check(
        "attributes/a = 1 or name = 'x'",
        &expect![
            "1:21 [off-resource-condition] 'name' is nothing that the resource knows, so it cannot be part of a search there | such a search takes conditions on attributes/… and activation/…, joined by 'and' with resourceRef, kind, intent and objectClass"
        ],
    );
    check(
        "kind = ('account', 'generic')",
        &expect![
            "1:1 [several-values] 'kind' has several values, and there must be one | a search is for one resource and one type or class"
        ],
    );
    check(
        "resourceRef matches (oid = ('a', 'b'))",
        &expect![
            "1:1 [several-values] 'resourceRef' has several values, and there must be one | a search is for one resource and one type or class"
        ],
    );
    check(
        "resourceRef matches (targetType = ResourceType)",
        &expect!["1:1 [bad-value] 'resourceRef' must equal one value here | write resourceRef matches (oid = '…')"],
    );
    check(
        "resourceRef not exists",
        &expect![
            "1:1 [off-resource-condition] 'resourceRef' says where to search, so it cannot stand under 'or' or 'not' | join it to the other conditions by 'and'"
        ],
    );
    check(
        "kind = 'acount'",
        &expect![
            "1:1 [bad-value] 'acount' is not a kind; kinds are account, entitlement, generic, association and work | did you mean 'account'?"
        ],
    );
    check(
        "kind = account",
        &expect!["1:1 [bad-value] 'kind' must equal one value here | put the value into quotes: kind = 'account'"],
    );
    check(
        "kind contains 'acc'",
        &expect!["1:1 [bad-value] 'kind' must equal one value here | write kind = …, alone or joined by 'and'"],
    );
    check(
        "intent exists",
        &expect!["1:1 [bad-value] 'intent' must equal one value here | write intent = …, alone or joined by 'and'"],
    );
    check(
        ". inOid 'x'",
        &expect![
            "1:1 [off-resource-condition] 'inOid' is nothing that the resource knows, so it cannot be part of a search there | such a search takes conditions on attributes/… and activation/…, joined by 'and' with resourceRef, kind, intent and objectClass"
        ],
    );
}
