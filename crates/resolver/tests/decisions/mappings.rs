//! How attributes become items of the owner.

use std::borrow::Cow;
use std::sync::Arc;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tidelock_model::{Items, Timestamp, Value};
use tidelock_resolver::channel::Channel;
use tidelock_resolver::mapping::inbound;
use tidelock_resolver::policy::ResourcePolicy;

use crate::support::{indented, items, policy, words};

fn mapped(attributes: &str) -> ResourcePolicy {
    policy(&format!(
        "schemaHandling:\n  objectType:\n    - delineation: {{ objectClass: ri:account }}\n      attribute:\n{}",
        indented(attributes, 8)
    ))
}

/// Each line: `old | new | focus` (old may be missing), by import.
fn check(attributes: &str, lines: &str, expected: Expect) {
    let policy = mapped(attributes);
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split('|').collect();
        let (old, new, focus) = match parts.as_slice() {
            [old, new, focus] => (Some(items(old)), items(new), items(focus)),
            [new, focus] => (None, items(new), items(focus)),
            _ => panic!("{line}"),
        };
        text += &match inbound(&policy.types[0], old.as_ref(), &new, &focus, Channel::Import) {
            Ok(Cow::Borrowed(_)) => "unchanged\n".to_owned(),
            Ok(Cow::Owned(content)) => format!("{}\n", words(&content)),
            Err(error) => format!("error: {}\n", error.message),
        };
    }
    expected.assert_eq(&text);
}

const NAME: &str = "- { ref: ri:uid, inbound: { target: { path: $focus/name } } }\n";

#[test]
fn a_single_value_follows_the_attribute() {
    check(
        &format!("{NAME}- {{ ref: ri:given, inbound: {{ target: {{ path: givenName }} }} }}"),
        "
        uid=1 given=Ann  |
        uid=1 given=Ann  | name=1 givenName=Eve fullName=x
        uid=1            | name=1 givenName=Eve fullName=x
        uid=1 given=Ann  | fullName=x givenName=Ann name=1
        uid=1            | name=1
        ",
        expect![[r#"
            name=1 givenName=Ann
            name=1 givenName=Ann fullName=x
            name=1 fullName=x
            unchanged
            unchanged
        "#]],
    );
}

#[test]
fn a_name_never_becomes_empty() {
    check(
        NAME,
        "
        given=Ann | name=1
        uid=1     | name=2
        ",
        expect![[r#"
            error: the mapping gives no name, and a focus must have one
            name=1
        "#]],
    );
    check(
        "- { ref: ri:given, inbound: { target: { path: givenName } } }",
        "uid=1 given=Ann |",
        expect![[r#"
            error: account/default has no mapping to 'name', and a focus must have one
        "#]],
    );
}

#[test]
fn weak_gives_where_nothing_is_and_strong_beats_normal() {
    check(
        &format!(
            "{NAME}- ref: ri:given
  inbound: {{ target: {{ path: nickName }}, strength: weak }}
- ref: ri:login
  inbound: {{ target: {{ path: title }} }}
- ref: ri:ou
  inbound: {{ target: {{ path: title }}, strength: strong }}
- ref: ri:status
  inbound: {{ target: {{ path: title }}, strength: weak }}
"
        ),
        "
        uid=1 given=Ann           | name=1
        uid=1 given=Ann           | name=1 nickName=Nan
        uid=1                     | name=1 nickName=Nan
        uid=1 login=n ou=s status=w | name=1 title=x
        uid=1 login=n status=w    | name=1 title=x
        uid=1 status=w            | name=1 title=x
        uid=1                     | name=1 title=x
        ",
        expect![[r#"
            name=1 nickName=Ann
            unchanged
            unchanged
            name=1 title=s
            name=1 title=n
            name=1 title=w
            name=1
        "#]],
    );
}

#[test]
fn several_values_do_not_go_into_a_single_valued_item() {
    check(
        &format!(
            "{NAME}- ref: ri:groups
  inbound: {{ target: {{ path: title }} }}
- ref: ri:given
  inbound: {{ target: {{ path: nickName }}, strength: strong }}
- ref: ri:login
  inbound: {{ target: {{ path: nickName }}, strength: strong }}
"
        ),
        "
        uid=1 groups=a,b          | name=1
        uid=1 groups=a            | name=1
        uid=1 given=x login=y     | name=1
        uid=1 given=x login=x     | name=1
        ",
        expect![[r#"
            error: 'title' has a single value, and mappings give it several
            name=1 title=a
            error: 'nickName' has a single value, and mappings give it several
            name=1 nickName=x
        "#]],
    );
}

#[test]
fn of_several_values_only_those_that_came_from_here_go() {
    check(
        &format!("{NAME}- {{ ref: ri:groups, inbound: {{ target: {{ path: organization }} }} }}"),
        "
        uid=1 groups=a,b | uid=1 groups=b,c | name=1 organization=x,a,b
        uid=1 groups=a,b | uid=1 groups=b,a | name=1 organization=a,x,b
        uid=1 groups=a   | uid=1            | name=1 organization=a
        uid=1 groups=b,c | name=1 organization=x,a,b
        uid=1 groups=a,a | name=1
        ",
        expect![[r#"
            name=1 organization=x,b,c
            unchanged
            name=1
            name=1 organization=x,a,b,c
            name=1 organization=a
        "#]],
    );
}

#[test]
fn a_set_of_all_values_makes_the_item_the_mappings_own() {
    check(
        &format!(
            "{NAME}- {{ ref: ri:groups, inbound: {{ target: {{ path: organization, set: {{ predefined: all }} }} }} }}
- {{ ref: ri:ou, inbound: {{ target: {{ path: subtype, set: {{ predefined: none }} }} }} }}"
        ),
        "
        uid=1 groups=b,c | name=1 organization=x,b
        uid=1 groups=b,c | name=1 organization=c,b
        uid=1            | name=1 organization=c,b
        uid=1 ou=a | uid=1 ou=b | name=1 subtype=a
        ",
        expect![[r#"
            name=1 organization=b,c
            unchanged
            name=1
            name=1 subtype=a,b
        "#]],
    );
}

#[test]
fn the_status_is_one_of_three() {
    check(
        &format!("{NAME}- {{ ref: ri:status, inbound: {{ target: {{ path: $focus/activation/administrativeStatus }} }} }}"),
        "
        uid=1 status=disabled | name=1
        uid=1 status=disabled | name=1 activation/administrativeStatus=disabled
        uid=1                 | name=1 activation/administrativeStatus=disabled
        uid=1 status=off      | name=1
        ",
        expect![[r#"
            name=1 activation/administrativeStatus=disabled
            unchanged
            name=1
            error: 'activation/administrativeStatus' must be one of enabled, disabled and archived, and the value given is not
        "#]],
    );
}

#[test]
fn constants_paths_and_channels_are_honoured() {
    check(
        &format!(
            "{NAME}- ref: ri:ou
  inbound:
    - {{ target: {{ path: costCenter }}, expression: {{ value: 'CC1' }} }}
    - {{ target: {{ path: extension/badge }}, expression: {{ path: $projection/attributes/ri:number }} }}
    - {{ target: {{ path: title }}, channel: 'http://midpoint.evolveum.com/xml/ns/public/common/channels-3#liveSync' }}
    - {{ target: {{ path: nickName }}, exceptChannel: 'http://midpoint.evolveum.com/xml/ns/public/common/channels-3#liveSync' }}
    - {{ target: {{ path: locality }}, lifecycleState: draft }}
"
        ),
        "uid=1 ou=o number=9 | name=1",
        expect![[r#"
            name=1 costCenter=CC1 extension/badge=9 nickName=o
        "#]],
    );
}

#[test]
fn a_mapping_without_authority_takes_nothing_away() {
    check(
        &format!("{NAME}- {{ ref: ri:given, inbound: {{ target: {{ path: givenName }}, authoritative: false }} }}"),
        "
        uid=1           | name=1 givenName=Eve
        uid=1 given=Ann | name=1 givenName=Eve
        ",
        expect![[r#"
            unchanged
            name=1 givenName=Ann
        "#]],
    );
}

#[test]
fn a_mapping_for_correlation_alone_changes_no_focus() {
    check(
        &format!("{NAME}- {{ ref: ri:given, inbound: {{ target: {{ path: givenName }}, use: correlation }} }}"),
        "uid=1 given=Ann | name=1 givenName=Eve",
        expect![[r#"
            unchanged
        "#]],
    );
}

#[test]
fn weak_mappings_fill_an_item_of_several_values_that_is_left_empty() {
    check(
        &format!(
            "{NAME}- ref: ri:groups
  inbound: {{ target: {{ path: organization }} }}
- ref: ri:ou
  inbound:
    - {{ target: {{ path: organization }}, strength: weak }}
    - {{ target: {{ path: organization }}, strength: weak, use: correlation, expression: {{ value: never }} }}
- ref: ri:status
  inbound:
    - {{ target: {{ path: organization }}, channel: liveSync }}
    - {{ target: {{ path: organization }}, strength: weak, channel: liveSync }}
"
        ),
        "
        uid=1 ou=w               | name=1
        uid=1 ou=w               | name=1 organization=x
        uid=1 groups=a ou=w      | name=1
        uid=1 groups=a ou=w      | name=1 organization=x
        uid=1 groups=a           | uid=1 ou=w | name=1 organization=a
        uid=1 groups=a           | uid=1 ou=w | name=1 organization=a,x
        uid=1 groups=a           | uid=1 ou=a | name=1 organization=a
        uid=1 status=l           | name=1
        ",
        expect![[r#"
            name=1 organization=w
            unchanged
            name=1 organization=a
            name=1 organization=x,a
            name=1 organization=w
            name=1 organization=x
            unchanged
            unchanged
        "#]],
    );
}

#[test]
fn a_name_of_spaces_is_none() {
    let policy = mapped(NAME);
    let named = |name: &str| {
        let mut new = Items::new();
        new.set("uid", [Value::from(name)].into_iter().collect());
        inbound(&policy.types[0], None, &new, &items("name=1"), Channel::Import).map(|content| words(&content))
    };
    assert!(named(" \t").is_err());
    assert!(named("2").is_ok());
}

#[test]
fn values_become_what_the_item_holds() {
    let into = |target: &str, value: Value| {
        let policy = mapped(&format!("{NAME}- {{ ref: ri:given, inbound: {{ target: {{ path: {target} }} }} }}"));
        let mut new = items("uid=1");
        new.set("given", [value].into_iter().collect());
        match inbound(&policy.types[0], None, &new, &items("name=1"), Channel::Import) {
            Ok(content) => {
                let path: Vec<Arc<str>> = target.split('/').map(Arc::from).collect();
                format!("{:?}", content.at_path(&path).first().copied().unwrap())
            }
            Err(error) => error.message,
        }
    };
    let text = |text: &str| Value::from(text);
    let rows = [
        ("title", text("a")),
        ("title", Value::Integer(7)),
        ("title", Value::Boolean(true)),
        ("title", Value::Binary(vec![1, 2].into())),
        ("activation/validTo", text("2026-03-01T00:00:00Z")),
        ("activation/validTo", Value::DateTime(Timestamp::from_millis(0))),
        ("activation/validTo", text("2026-02-30T00:00:00Z")),
        ("activation/validTo", Value::Binary(vec![1].into())),
        ("activation/administrativeStatus", text("archived")),
        ("activation/administrativeStatus", text("enabled")),
        ("activation/administrativeStatus", Value::Boolean(true)),
        ("jpegPhoto", Value::Binary(vec![1, 2].into())),
        ("jpegPhoto", text("AQI=")),
        ("extension/own", Value::Integer(7)),
    ];
    let shown: String = rows.into_iter().map(|(target, value)| format!("{target}: {}\n", into(target, value))).collect();
    expect![[r#"
        title: String("a")
        title: String("7")
        title: String("true")
        title: 'title' must be a text, and the value given is not
        activation/validTo: DateTime(Timestamp(1772323200000))
        activation/validTo: DateTime(Timestamp(0))
        activation/validTo: 'activation/validTo' must be a date and time, and the value given is not
        activation/validTo: 'activation/validTo' must be a date and time, and the value given is not
        activation/administrativeStatus: String("archived")
        activation/administrativeStatus: String("enabled")
        activation/administrativeStatus: 'activation/administrativeStatus' must be one of enabled, disabled and archived, and the value given is not
        jpegPhoto: Binary([1, 2])
        jpegPhoto: 'jpegPhoto' must be bytes, and the value given is not
        extension/own: Integer(7)
    "#]].assert_eq(&shown);
}

#[test]
fn numbers_and_truth_values_are_read_from_text() {
    let into = |target: &str, text: &str| {
        let policy = policy(&format!(
            "schemaHandling:\n  objectType:\n    - delineation: {{ objectClass: ri:account }}\n      focus: {{ type: RoleType }}\n      attribute:\n        {NAME}        - {{ ref: ri:given, inbound: {{ target: {{ path: {target} }} }} }}"
        ));
        let mut new = items("uid=1");
        new.set("given", [Value::from(text)].into_iter().collect());
        match inbound(&policy.types[0], None, &new, &items("name=1"), Channel::Import) {
            Ok(content) => format!("{:?}", content.first(target).unwrap()),
            Err(error) => error.message,
        }
    };
    let rows = [
        ("displayOrder", " 12 "),
        ("displayOrder", "twelve"),
        ("requestable", "true"),
        ("requestable", "1"),
        ("requestable", "false"),
        ("requestable", "0"),
        ("requestable", "yes"),
    ];
    let shown: String = rows.into_iter().map(|(target, text)| format!("{target} {text:?}: {}\n", into(target, text))).collect();
    expect![[r#"
        displayOrder " 12 ": Integer(12)
        displayOrder "twelve": 'displayOrder' must be a whole number, and the value given is not
        requestable "true": Boolean(true)
        requestable "1": Boolean(true)
        requestable "false": Boolean(false)
        requestable "0": Boolean(false)
        requestable "yes": 'requestable' must be true or false, and the value given is not
    "#]]
    .assert_eq(&shown);
}

proptest! {
    #[test]
    fn applying_mappings_twice_is_applying_them_once(
        uid in "[a-z]{1,3}", given in "[a-c]{0,2}", groups in "[a-d](,[a-d]){0,3}", old in "[a-d](,[a-d]){0,3}", organization in "[a-f](,[a-f]){0,3}",
    ) {
        let policy = mapped(&format!(
            "{NAME}- {{ ref: ri:given, inbound: {{ target: {{ path: givenName }} }} }}
- {{ ref: ri:groups, inbound: {{ target: {{ path: organization }} }} }}
- {{ ref: ri:groups, inbound: {{ target: {{ path: subtype, set: {{ predefined: all }} }} }} }}"
        ));
        let new = items(&format!("uid={uid} given={given} groups={groups}"));
        let old = items(&format!("groups={old}"));
        let mut focus = items(&format!("organization={organization}"));
        // Values are a set.
        let distinct: std::collections::BTreeSet<_> = focus.get("organization").iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        focus.set("organization", distinct.iter().map(|v| v.as_str().into()).collect());
        let once = inbound(&policy.types[0], Some(&old), &new, &focus, Channel::Import).unwrap().into_owned();
        let twice = inbound(&policy.types[0], Some(&old), &new, &once, Channel::Import).unwrap();
        prop_assert!(matches!(twice, Cow::Borrowed(_)));
        let held: std::collections::BTreeSet<&str> = once.get("organization").iter().filter_map(|v| v.as_str()).collect();
        let groups: std::collections::BTreeSet<&str> = new.get("groups").iter().filter_map(|v| v.as_str()).collect();
        let before: std::collections::BTreeSet<&str> = old.get("groups").iter().filter_map(|v| v.as_str()).collect();
        let naive: std::collections::BTreeSet<&str> =
            distinct.iter().map(String::as_str).filter(|v| !before.contains(v)).chain(groups.iter().copied()).collect();
        prop_assert_eq!(held, naive);
    }
}
