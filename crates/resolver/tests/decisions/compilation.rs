//! What is wrong with resource definitions, and what is made of right ones.

use expect_test::{Expect, expect};
use tidelock_resolver::compile::compile;

use crate::support::{indented, policy, resource, schema, shown, types};

/// The diagnostics for a resource definition.
fn check(yaml: &str, expected: Expect) {
    let (resource, read) = resource(yaml);
    let (policy, found) = compile(&resource, &schema());
    assert_eq!(policy.is_none(), found.iter().any(|diagnostic| diagnostic.is_error()));
    expected.assert_eq(&shown(&[read, found].concat()));
}

/// The diagnostics for an object type, synchronized and of the class `account` unless it says otherwise.
fn check_type(yaml: &str, expected: Expect) {
    let class = if yaml.contains("delineation") { "" } else { "      delineation: { objectClass: ri:account }\n" };
    let head = format!("schemaHandling:\n  objectType:\n    - intent: default\n{class}      synchronization: {{}}\n");
    check(&format!("{head}{}", indented(yaml, 6)), expected);
}

#[test]
fn names_that_are_not_there_are_reported_with_the_nearest() {
    check_type(
        "delineation: { objectClass: ri:acount }",
        expect![[r#"
        -:7:24: error[unknown-object-class]: the resource has no object class 'ri:acount'
            did you mean 'account'?
    "#]],
    );
    check_type(
        "attribute: { ref: ri:gven, inbound: { target: { path: givenName } } }",
        expect![[r#"
        -:8:22: error[unknown-attribute]: the object class 'account' has no attribute 'ri:gven'
            did you mean 'given'?
    "#]],
    );
    check_type(
        "attribute: { ref: ri:given, inbound: { target: { path: $focus/gvenName } } }",
        expect![[r#"
        -:8:58: warning[unknown-item]: UserType has no item 'gvenName'
            did you mean 'givenName'?
    "#]],
    );
    check_type(
        "focus: { type: UsrType }",
        expect![[r#"
        -:8:18: error[bad-value]: 'UsrType' is not a focus type; focus types are UserType, RoleType, OrgType and ServiceType
            did you mean 'UserType'?
    "#]],
    );
    check_type(
        "delineation: { objectClass: ri:account, filter: { text: 'attributes/ri:oou = \"x\"' } }",
        expect![[r#"
        -:7:59: error[unknown-attribute]: the object class 'account' has no attribute 'ri:oou'
            did you mean 'ou'?
    "#]],
    );
    check_type(
        "super: { kind: account, intent: defalt }",
        expect![[r#"
        -:8:9: error[unknown-object-type]: account/default inherits from account/defalt, which is not defined
            did you mean account/default?
    "#]],
    );
}

#[test]
fn a_type_needs_a_class() {
    check(
        "schemaHandling: { objectType: { intent: x } }",
        expect![[r#"
        -:3:21: error[no-object-class]: account/x has no object class
            add 'delineation' with 'objectClass'
    "#]],
    );
}

#[test]
fn types_are_defined_once_and_have_one_default() {
    check(
        &types("account/a class=account default\naccount/a class=account"),
        expect![[r#"
        -:10:9: error[duplicate-object-type]: account/a is defined a second time; the first is in line 5
            give one of them another intent
        -:5:9: info[no-synchronization]: account/a has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
    "#]],
    );
    check(
        &types("account/a class=account default\naccount/b class=account defaultForKind order=1"),
        expect![[r#"
            -:5:9: info[no-synchronization]: account/a has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
            -:10:9: info[no-synchronization]: account/b has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
            -:12:9: error[several-default-object-types]: account/b is another default for the kind 'account'
                leave one type of the kind as its default
        "#]],
    );
    check(
        &types("account/a class=account defaultForObjectClass\ngeneric/b class=account default order=1"),
        expect![[r#"
            -:5:9: info[no-synchronization]: account/a has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
            -:10:9: info[no-synchronization]: generic/b has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
            -:12:9: error[several-default-object-types]: generic/b is another default for the object class 'account'
                leave one type of the class as its default
        "#]],
    );
    check(
        &types("account/a class=account default\naccount/b class=account default lifecycleState=draft"),
        expect![[r#"
            -:5:9: info[no-synchronization]: account/a has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
            -:13:9: info[not-in-use]: account/b is in the lifecycle state 'draft', so nothing is synchronized by it
                change the state to 'active' when it is to be used
            -:10:9: info[no-synchronization]: account/b has no 'synchronization': its objects are passed over
                add 'synchronization' with reactions if they should not be
        "#]],
    );
}

#[test]
fn a_type_that_no_object_reaches_is_reported() {
    check(
        &types("account/a class=account\naccount/b class=account where ou = \"x\""),
        expect![[r#"
        -:5:9: info[no-synchronization]: account/a has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
        -:9:9: info[no-synchronization]: account/b has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
        -:9:9: warning[unreachable-object-type]: no object is ever classified as account/b, because account/a takes all objects of 'account'
            add a 'filter' to the delineation of account/a, or a smaller 'classificationOrder' to this one
    "#]],
    );
}

#[test]
fn inheritance_in_a_circle_is_refused() {
    check(
        "
schemaHandling:
  objectType:
    - intent: a
      super: { intent: b }
    - intent: b
      super: { intent: a }
",
        expect![[r#"
            -:8:9: error[cyclic-super]: account/a inherits from itself
                remove one of the 'super' items
        "#]],
    );
}

#[test]
fn the_reserved_kind_is_refused() {
    check(
        &types("unknown/a class=account"),
        expect![[r#"
        -:5:9: error[reserved-unknown]: the kind 'unknown' is reserved for objects without a type
            give the object type another kind
        -:5:9: info[no-synchronization]: unknown/a has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
    "#]],
    );
    check(
        &types("account/unknown class=account"),
        expect![[r#"
        -:6:9: error[reserved-unknown]: the intent 'unknown' is reserved for objects without a type
            give the object type another intent
        -:5:9: info[no-synchronization]: account/unknown has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
    "#]],
    );
}

#[test]
fn scripts_are_refused_with_their_equivalent() {
    let mapping = |code: &str| {
        format!("attribute: {{ ref: ri:given, inbound: {{ target: {{ path: givenName }}, expression: {{ script: {code} }} }} }}")
    };
    check_type(
        &mapping("{ code: input }"),
        expect![[r#"
        -:8:101: error[unsupported-script-language]: scripts in Groovy are not supported
            the script is the same as <asIs/>, where the variable is the attribute itself
    "#]],
    );
    check_type(
        &mapping("{ code: \"'enabled'\" }"),
        expect![[r#"
        -:8:101: error[unsupported-script-language]: scripts in Groovy are not supported
            the script is the same as <value>enabled</value>
    "#]],
    );
    check_type(
        &mapping("{ language: 'http://midpoint.evolveum.com/xml/ns/public/expression/language#python', code: input + 1 }"),
        expect![[r#"
            -:8:184: error[unsupported-script-language]: scripts in Python are not supported
                use asIs, path or value, or let the resource give the value ready-made
        "#]],
    );
}

#[test]
fn what_would_be_done_wrongly_is_refused() {
    check_type(
        "attribute: { ref: ri:given, inbound: { target: { path: givenName }, condition: { script: { code: 'true' } } } }",
        expect![[r#"
            -:8:77: error[not-supported]: the condition of a mapping is not supported yet, and without it the result would be wrong
                remove the condition, or the mapping
        "#]],
    );
    check_type(
        "attribute: { ref: ri:given, inbound: { target: { path: credentials/password/value } } }",
        expect![[r#"
        -:8:58: error[not-supported]: a mapping to 'credentials/password/value' is not supported yet, and without it the result would be wrong
            map to an item that has plain values, such as $focus/givenName
    "#]],
    );
    check_type(
        "attribute: { ref: ri:given, inbound: { target: { path: givenName }, expression: { const: x } } }",
        expect![[r#"
            -:8:91: error[not-supported]: a constant of the system configuration is not supported yet, and without it the result would be wrong
                write the value itself, in 'value'
        "#]],
    );
    check_type(
        "attribute: { ref: ri:given, inbound: { target: { path: givenName }, expression: { generate: {} } } }",
        expect![[r#"
        -:8:91: error[not-supported]: the evaluator 'generate' is not supported yet, and without it the result would be wrong
            use asIs, path or value
    "#]],
    );
    check_type(
        "attribute: { ref: ri:given, inbound: { strength: weak } }",
        expect![[r#"
        -:8:37: error[no-target]: the mapping does not say where its values go
            add 'target' with a 'path' such as $focus/givenName
    "#]],
    );
    check_type(
        "delineation: { objectClass: ri:account, classificationCondition: { script: { code: x } } }",
        expect![[r#"
        -:7:49: error[not-supported]: a classification condition is not supported yet, and without it the result would be wrong
            say the same with 'filter', such as attributes/ri:ou = 'people'
    "#]],
    );
    check_type(
        "synchronization: {}".replace("synchronization: {}", "correlation: { correlators: { filter: {} } }").as_str(),
        expect![[r#"
        -:8:39: warning[not-supported]: 'filter' in 'correlators' is not supported yet; it has no effect
            remove 'filter' if the definition does not depend on it
        -:8:39: error[not-supported]: the correlator 'filter' is not supported yet, and without it the result would be wrong
            use 'items'
    "#]],
    );
}

#[test]
fn correlation_is_checked() {
    check_type(
        "correlation: { correlators: { items: { item: { ref: personalNumber } } } }",
        expect![[r#"
            -:8:48: warning[correlation-item-unmapped]: no mapping gives 'personalNumber' before correlation, so no owner can be found by it
                say 'all' in 'use' of the inbound mapping to 'personalNumber'
        "#]],
    );
    check_type(
        "correlation: { correlators: { items: { item: { ref: name, search: { fuzzy: { levenshtein: { threshold: 2 } } } } } } }",
        expect![[r#"
            -:8:77: error[not-supported]: a fuzzy search for owners is not supported yet, and without it the result would be wrong
                compare exactly, or by a matching rule
        "#]],
    );
    check_type(
        "
        correlation:
          thresholds: { definite: 2 }
          correlators:
            items:
              - { name: a, item: { ref: name }, composition: { tier: 1, ignoreIfMatchedBy: b } }
              - { name: b, item: { ref: name }, composition: { tier: 2, ignoreIfMatchedBy: aa } }
              - { name: b }
        attribute: { ref: ri:uid, inbound: { target: { path: name }, use: all } }
        ",
        expect![[r#"
            -:9:25: error[bad-value]: 2 is no confidence
                give a number from 0 to 1
            -:14:17: error[bad-value]: the correlator compares nothing
                add 'item' with a 'ref' to an item of the focus
            -:12:73: error[unevaluated-correlator]: the correlator referred to is asked later, so its matches are not known yet
                give it a smaller tier or order
            -:13:73: error[unknown-correlator]: there is no correlator of this name
                did you mean 'a'?
        "#]],
    );
    check_type(
        "attribute: { ref: ri:uid, correlator: {} }",
        expect![[r#"
        -:8:35: error[bad-value]: 'uid' finds owners, and it is not clear by which item of theirs
            add 'focusItem', or leave the attribute just one inbound mapping
    "#]],
    );
}

#[test]
fn reactions_are_checked() {
    let reactions = |yaml: &str| {
        format!(
            "schemaHandling:\n  objectType:\n    - delineation: {{ objectClass: ri:account }}\n      synchronization:\n        reaction:\n{}",
            indented(yaml, 10)
        )
    };
    check(
        &reactions(
            "
            - situation: linked
              actions: { synchronize: {} }
            - situation: linked
              actions: { unlink: {} }
            - situation: deleted
              channel: liveSink
              condition: { script: { code: x } }
            ",
        ),
        expect![[r#"
            -:14:15: error[not-supported]: the condition of a reaction is not supported yet, and without it the result would be wrong
                remove the condition, or the reaction
            -:13:15: warning[unknown-channel]: no change comes by this channel
                did you mean 'liveSync'?
            -:8:15: warning[overridden-reaction]: in the situation 'linked' the reaction in line 10 is taken instead of this one
                leave one reaction for the situation, or limit one to a channel
        "#]],
    );
}

#[test]
fn legacy_definitions_are_checked() {
    let legacy = |yaml: &str| {
        format!("{}synchronization:\n  objectSynchronization:\n{}", types("account/default class=account"), indented(yaml, 4))
    };
    check(
        &legacy("- { intent: other, reaction: { situation: linked } }"),
        expect![[r#"
        -:5:9: info[no-synchronization]: account/default has no 'synchronization': its objects are passed over
            add 'synchronization' with reactions if they should not be
        -:11:9: warning[unused-synchronization]: there is no object type account/other, so this has no effect
            define the object type in 'schemaHandling', or remove this 'objectSynchronization'
    "#]],
    );
    check(
        &legacy("- { correlation: { text: 'name = \"x\"' } }"),
        expect![[r#"
        -:11:26: error[not-supported]: a correlation filter of this form is not supported yet, and without it the result would be wrong
            compare items of the focus with attributes: employeeNumber = $projection/attributes/ri:uid, joined by 'and'
    "#]],
    );
    check(
        &legacy("- { correlation: { text: 'name = $projection/attributes/ri:udi' } }"),
        expect![[r#"
        -:11:26: error[unknown-attribute]: the object class 'account' has no attribute 'ri:udi'
            did you mean 'uid'?
    "#]],
    );
    check(
        &legacy("- { condition: { script: { code: x } }, confirmation: { script: { code: x } } }"),
        expect![[r#"
        -:11:47: error[not-supported]: a confirmation expression is not supported yet, and without it the result would be wrong
            make the correlation unambiguous
        -:11:11: error[not-supported]: a classification condition is not supported yet, and without it the result would be wrong
            say the same with a 'filter' in the type's 'delineation'
    "#]],
    );
    check(
        &legacy("- { reaction: { situation: linked, action: { handlerUri: '…/action-3#lnk' } } }"),
        expect![[r#"
        -:11:52: error[unknown-action]: 'lnk' is not an action
            did you mean 'link'?
    "#]],
    );
}

#[test]
fn the_legacy_xml_form_of_correlation_is_understood() {
    let xml = r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
  xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3" xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
  <name>R</name>
  <schemaHandling><objectType><objectClass>ri:account</objectClass></objectType></schemaHandling>
  <synchronization><objectSynchronization><correlation>
    <q:equal><q:path>personalNumber</q:path><expression><path>$account/attributes/ri:number</path></expression></q:equal>
  </correlation></objectSynchronization></synchronization>
</resource>"#;
    let (definitions, read) = tidelock_model::definition::read_file(xml.as_bytes(), None, tidelock_model::document::Format::Xml);
    let Some(tidelock_model::definition::Definition::Resource(resource)) = definitions.first() else { panic!("{read:?}") };
    let (policy, found) = compile(resource, &schema());
    let policy = policy.unwrap_or_else(|| panic!("{}", shown(&found)));
    let rule = &policy.types[0].correlation.tiers[0].rules[0];
    assert_eq!(&*rule.items[0].path[0], "personalNumber");
    assert_eq!(rule.items[0].source, tidelock_resolver::correlate::ItemSource::Attribute("number".into()));
}

#[test]
fn a_type_inherits_all_but_what_is_its_own() {
    let policy = policy(
        "
schemaHandling:
  objectType:
    - intent: base
      abstract: true
      default: true
      delineation: { objectClass: ri:account, filter: { text: 'ou = \"a\"' } }
      focus: { type: RoleType }
      attribute:
        - ref: ri:uid
          inbound: { name: n, target: { path: name } }
        - ref: ri:given
          inbound: { target: { path: description } }
    - intent: child
      super: { intent: base }
      delineation: { filter: { text: 'given exists' } }
      attribute:
        - ref: attributes/ri:uid
          inbound: { name: n, target: { path: name }, strength: strong }
        - ref: ri:ou
          inbound: { target: { path: locality } }
",
    );
    let [child] = policy.types.as_slice() else { panic!("one type") };
    assert!(!child.default_for_kind, "being a default is not inherited");
    assert_eq!(child.focus_type.type_name(), "RoleType");
    let mappings: Vec<String> = child.inbound.iter().map(|m| format!("{} {}", m.target_text(), m.strength)).collect();
    assert_eq!(mappings, ["name strong", "description normal", "locality normal"]);
    assert!(child.claims(&crate::support::object("account uid=1 ou=a given=x")));
    assert!(!child.claims(&crate::support::object("account uid=1 given=x")));
    assert!(!child.claims(&crate::support::object("account uid=1 ou=a")));
}

#[test]
fn shadows_keep_identifiers_and_what_is_asked_for_and_needed() {
    let stored = |yaml: &str| {
        let policy = policy(yaml);
        policy.types[0].stored.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ")
    };
    let base = types("account/default class=account");
    assert_eq!(stored(&base), "uid");
    let attributes =
        "      attribute:\n        - ref: ri:mail\n        - { ref: ri:groups, inbound: { target: { path: organization } } }\n";
    assert_eq!(stored(&format!("{base}{attributes}")), "uid groups");
    let passive = "caching: { cachingStrategy: passive }\n";
    assert_eq!(stored(&format!("{passive}{base}{attributes}")), "uid mail groups");
    let all = "caching: { cachingStrategy: passive, scope: { attributes: all } }\n";
    assert_eq!(stored(&format!("{all}{base}")), "uid login ou mail given family number status groups");
}

#[test]
fn a_type_may_compare_an_attribute_its_own_way() {
    let policy = policy(
        "
schemaHandling:
  objectType:
    - delineation: { objectClass: ri:account, filter: { text: 'login = \"ANN\"' } }
      attribute: { ref: ri:login, matchingRule: mr:stringIgnoreCase }
",
    );
    let ann = crate::support::object("account uid=1 login=ann").attributes;
    assert!(policy.types[0].search_filter.matches(&ann), "a search goes by the rule of the attribute");
    assert!(!policy.types[0].delineation.matches(&ann), "classification goes by that of the filter alone");
}

#[test]
fn what_is_said_of_an_attribute_twice_is_noticed() {
    check_type(
        "
attribute:
  - { ref: ri:mail, inbound: { target: { path: emailAddress } } }
  - { ref: mail, tolerant: false }
  - { ref: ri:number, inbound: { target: { path: employeeNumber } } }
",
        expect![[r#"
            -:10:13: warning[duplicate-attribute]: there is an 'attribute' for 'mail' already; what both say is taken together
                say everything about an attribute in one place
        "#]],
    );
}

#[test]
fn outbound_mappings_are_told_of_once() {
    let outbound = "
attribute:
  - { ref: ri:mail, outbound: { source: { path: emailAddress } } }
";
    check_type(
        outbound,
        expect![[r#"
            -:9:29: info[not-supported]: outbound mappings are not evaluated by this version: there is one
                nothing needs to be done: objects are taken from the resource, and not given to it
        "#]],
    );
    check_type(
        &format!("{outbound}credentials: {{ password: {{ outbound: {{}} }} }}\n"),
        expect![[r#"
            -:9:29: info[not-supported]: outbound mappings are not evaluated by this version: there are 2, the first of them here
                nothing needs to be done: objects are taken from the resource, and not given to it
        "#]],
    );
    check_type(
        &format!(
            "{outbound}credentials: {{ password: {{ outbound: {{}} }} }}\nactivation: {{ existence: {{ outbound: {{}} }}, validTo: {{ outbound: {{}} }} }}\n"
        ),
        expect![[r#"
            -:9:29: info[not-supported]: outbound mappings are not evaluated by this version: there are 4, the first of them here
                nothing needs to be done: objects are taken from the resource, and not given to it
        "#]],
    );
    check_type("credentials: { password: { inbound: {} } }", expect![[r#""#]]);
}

#[test]
fn of_what_inherits_from_a_circle_nothing_more_is_said() {
    check(
        "
schemaHandling:
  objectType:
    - intent: before
      super: { intent: a }
    - intent: a
      super: { intent: b }
    - intent: b
      super: { intent: a }
    - intent: own
      super: { intent: own }
",
        expect![[r#"
            -:10:9: error[cyclic-super]: account/a inherits from itself
                remove one of the 'super' items
            -:12:9: error[cyclic-super]: account/own inherits from itself
                remove one of the 'super' items
        "#]],
    );
}
