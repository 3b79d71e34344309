//! Definitions that nobody would write: they give diagnostics, and never a panic.

use proptest::prelude::*;
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::Format;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::classify::{Classification, classify};
use tidelock_resolver::compile::compile;
use tidelock_resolver::fingerprint::{fingerprint, salt};
use tidelock_resolver::mapping::{inbound, pre_focus};
use tidelock_resolver::object_set::{ActivityKind, Profile, resolve};

use crate::support::{object, object_set, schema};

const FULL: &str = r#"
resource:
  name: R
  schemaHandling:
    objectType:
      - kind: account
        intent: base
        abstract: true
        delineation: { objectClass: ri:account, filter: { text: 'ou = "a"' } }
      - super: { kind: account, intent: base }
        default: true
        attribute:
          - ref: ri:uid
            correlator: {}
            inbound: { target: { path: $focus/name }, strength: strong }
          - ref: attributes/ri:groups
            inbound: { target: { path: organization, set: { predefined: all } }, use: all }
          - ref: ri:ou
            inbound: { target: { path: costCenter }, expression: { value: x } }
        correlation:
          correlators:
            items:
              - { name: a, item: { ref: name }, composition: { tier: 1, weight: 0.5 } }
              - { name: b, item: { ref: costCenter }, composition: { tier: 2, ignoreIfMatchedBy: a } }
          thresholds: { definite: 0.9, candidate: 0.1 }
        synchronization:
          reaction:
            - { situation: [linked, unlinked], channel: import, actions: { synchronize: {} } }
            - { situation: unmatched, actions: { addFocus: {} } }
  synchronization:
    objectSynchronization:
      - { intent: default, correlation: { text: 'name = $projection/attributes/ri:uid' } }
"#;

const TOKENS: &[&str] = &[
    "account",
    "default",
    "base",
    "ri:",
    "ri:account",
    "ri:uid",
    "$focus/",
    "name",
    "{}",
    "[]",
    "true",
    "-1",
    "1e999",
    "unknown",
    "'",
    "\"",
    ":",
    " ",
    "\n",
    "attributes/",
    "super",
    "$projection/attributes/ri:uid",
    "9223372036854775807",
    "null",
    "#",
    "@",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_definition_makes_a_decision_panic(
        cuts in proptest::collection::vec((0..FULL.len(), 0..12usize, 0..TOKENS.len()), 1..5),
    ) {
        let mut text = FULL.to_owned();
        for (at, length, token) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, TOKENS[token]);
            }
        }
        let (definitions, _) = read_file(text.as_bytes(), None, Format::Yaml);
        for definition in definitions {
            let Definition::Resource(resource) = definition else { continue };
            let (policy, diagnostics) = compile(&resource, &schema());
            prop_assert_eq!(policy.is_none(), diagnostics.iter().any(|d| d.is_error()));
            let Some(policy) = policy else { continue };
            let object = object("account uid=1 ou=a groups=x,y");
            let type_ = classify(&policy, &object, None, Classification::Keep);
            let _ = fingerprint(&object, &salt(&policy, Channel::Import));
            let _ = policy.stored(type_, &object);
            if let Some(type_) = type_.map(|index| &policy.types[index]) {
                let _ = pre_focus(type_, &object, Channel::Import);
                let _ = inbound(type_, None, &object.attributes, &Default::default(), Channel::Import);
            }
            let (set, _) = object_set("resourceRef: { oid: r }\nkind: account");
            for activity in ActivityKind::ALL {
                let _ = resolve(activity, &set, &policy, Profile::Documented);
            }
        }
    }
}

#[test]
fn a_chain_of_a_thousand_types_is_refused() {
    let mut yaml = "resource:\n  name: R\n  schemaHandling:\n    objectType:\n".to_owned();
    for number in 0..1000 {
        yaml += &format!("      - intent: t{number}\n        super: {{ kind: account, intent: t{} }}\n", number + 1);
    }
    yaml += "      - intent: t1000\n        delineation: { objectClass: ri:account }\n";
    let (definitions, _) = read_file(yaml.as_bytes(), None, Format::Yaml);
    let Some(Definition::Resource(resource)) = definitions.first() else { panic!("no resource") };
    let (policy, diagnostics) = compile(resource, &schema());
    assert!(policy.is_none());
    assert!(diagnostics.iter().any(|diagnostic| diagnostic.code == "cyclic-super"));
}

#[test]
fn thousands_of_wrong_types_are_answered_at_once() {
    let types = |line: &dyn Fn(usize) -> String| (0..3000).map(line).collect::<String>();
    let head = "schemaHandling:\n  objectType:\n";
    let unknown_super = |n| format!("    - {{ intent: t{n}, super: {{ intent: x{n} }} }}\n");
    let unknown_class = |n| format!("    - {{ intent: t{n}, delineation: {{ objectClass: ri:acount{n} }} }}\n");
    let attributes: String = (0..3000).map(|n| format!("        - {{ ref: ri:mial{n} }}\n")).collect();
    for yaml in [
        format!("{head}{}", types(&unknown_super)),
        format!("{head}{}", types(&unknown_class)),
        format!("{head}    - intent: t\n      delineation: {{ objectClass: ri:account }}\n      attribute:\n{attributes}"),
    ] {
        let (resource, _) = crate::support::resource(&yaml);
        let (policy, diagnostics) = compile(&resource, &schema());
        assert!(policy.is_none());
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        assert_eq!(errors, 1000);
    }
}
