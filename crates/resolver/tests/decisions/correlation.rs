//! Whose an object is.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tidelock_model::Items;
use tidelock_resolver::channel::Channel;
use tidelock_resolver::correlate::{
    Correlation, CorrelationPolicy, Correlator, ItemSource, Rule, RuleItem, Tier, Verdict, indexed_items, rule_matches,
    search_key,
};
use tidelock_resolver::mapping::pre_focus;

use crate::support::{indented, items, object, policy};

const ATTRIBUTES: &str = "
attribute:
  - ref: ri:number
    inbound: { target: { path: $focus/personalNumber }, use: all }
  - ref: ri:given
    inbound: { target: { path: $focus/givenName }, use: all }
  - ref: ri:family
    inbound: { target: { path: familyName }, use: all }
  - ref: ri:mail
    inbound: { target: { path: emailAddress }, use: correlation }
";

fn yaml(correlation: &str) -> String {
    format!(
        "schemaHandling:\n  objectType:\n    - delineation: {{ objectClass: ri:account }}\n{}      correlation:\n{}",
        indented(ATTRIBUTES, 6),
        indented(correlation, 8)
    )
}

/// What becomes of objects among foci, both one a line; says as well how many tiers were asked.
fn check(correlation: &str, foci: &str, objects: &str, expected: Expect) {
    let policy = policy(&yaml(correlation));
    let type_ = &policy.types[0];
    let lines = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>();
    let foci: Vec<Items> = lines(foci).iter().map(|line| items(line)).collect();
    let mut text = String::new();
    for line in lines(objects) {
        let object = object(&line);
        let pre_focus = pre_focus(type_, &object, Channel::Import).unwrap();
        let mut correlator = Correlator::new(&type_.correlation);
        let mut asked = 0;
        for tier in &type_.correlation.tiers {
            asked += 1;
            for rule in &tier.rules {
                let found: Vec<usize> = match search_key(rule, &pre_focus, &object) {
                    Ok(Some(_)) => (0..foci.len()).filter(|i| rule_matches(rule, &pre_focus, &object, &foci[*i])).collect(),
                    Ok(None) => Vec::new(),
                    Err(error) => {
                        text += &format!("{} failed: {error}\n", object.identifier);
                        Vec::new()
                    }
                };
                correlator.matched(rule, found);
            }
            if correlator.end_of_tier() == Verdict::Decided {
                break;
            }
        }
        let name = |index: &usize| foci[*index].first("name").unwrap().as_str().unwrap();
        let outcome = match correlator.finish() {
            Correlation::Owner(index) => format!("owner {}", name(&index)),
            Correlation::None => "nobody".to_owned(),
            Correlation::Uncertain(options) => format!("uncertain {}", options.iter().map(name).collect::<Vec<_>>().join(" ")),
        };
        text += &format!("{} {outcome} ({asked})\n", object.identifier);
    }
    expected.assert_eq(&text);
}

#[test]
fn one_match_is_the_owner_and_several_are_uncertain() {
    check(
        "correlators: { items: { item: { ref: personalNumber } } }",
        "
        name=ann personalNumber=1
        name=bob personalNumber=2
        name=rob personalNumber=2
        ",
        "
        account uid=a number=1
        account uid=b number=2
        account uid=c number=3
        account uid=d
        ",
        expect![[r#"
            a owner ann (1)
            b uncertain bob rob (1)
            c nobody (1)
            d nobody (1)
        "#]],
    );
}

#[test]
fn all_items_of_a_rule_must_agree_and_a_missing_value_agrees_with_nobody() {
    check(
        "correlators: { items: { item: [ { ref: givenName }, { ref: familyName, search: { matchingRule: stringIgnoreCase } } ] } }",
        "
        name=ann givenName=Ann familyName=Lee
        name=bob givenName=Bob
        ",
        "
        account uid=a given=Ann family=LEE
        account uid=b given=ann family=Lee
        account uid=c given=Bob
        ",
        expect![[r#"
            a owner ann (1)
            b nobody (1)
            c nobody (1)
        "#]],
    );
}

#[test]
fn a_tier_that_decides_ends_the_search() {
    check(
        "
        correlators:
          items:
            - name: by-name
              item: { ref: familyName }
              composition: { tier: 2, weight: 0.5 }
            - name: by-number
              item: { ref: personalNumber }
              composition: { tier: 1 }
        ",
        "
        name=ann personalNumber=1 familyName=Lee
        name=zoe personalNumber=2 familyName=Lee
        ",
        "
        account uid=a number=1 family=Lee
        account uid=b number=9 family=Lee
        account uid=c number=9 family=Roy
        ",
        expect![[r#"
            a owner ann (1)
            b uncertain ann zoe (2)
            c nobody (2)
        "#]],
    );
}

#[test]
fn confidences_add_up_and_a_single_candidate_below_definite_is_uncertain() {
    let rules = "
        correlators:
          items:
            - { name: given, item: { ref: givenName }, composition: { weight: 0.7 } }
            - { name: family, item: { ref: familyName }, composition: { weight: 0.1 } }
            - { name: mail, item: { ref: emailAddress }, composition: { weight: 0.2 } }
    ";
    let foci = "
        name=ann givenName=Ann familyName=Lee emailAddress=ann@x
        name=eve givenName=Eve familyName=Lee
    ";
    let objects = "
        account uid=a given=Ann family=Lee mail=ann@x
        account uid=b given=Ann
        account uid=c given=Eve family=Lee mail=ann@x
        account uid=d family=Lee
    ";
    check(
        rules,
        foci,
        objects,
        expect![[r#"
            a owner ann (1)
            b uncertain ann (1)
            c uncertain eve ann (1)
            d uncertain ann eve (1)
        "#]],
    );
    check(
        &format!("{}thresholds: {{ definite: 0.7, candidate: 0.3 }}\n", indented(rules, 0)),
        foci,
        objects,
        expect![[r#"
            a owner ann (1)
            b owner ann (1)
            c owner eve (1)
            d nobody (1)
        "#]],
    );
}

#[test]
fn a_rule_counts_for_nothing_where_one_it_yields_to_has_matched() {
    check(
        "
        correlators:
          items:
            - { name: loose, item: { ref: familyName }, composition: { weight: 0.5, ignoreIfMatchedBy: strict } }
            - { name: strict, item: [ { ref: familyName }, { ref: givenName } ], composition: { weight: 0.6 } }
        ",
        "
        name=ann givenName=Ann familyName=Lee
        name=eve givenName=Eve familyName=Lee
        ",
        "account uid=a given=Ann family=Lee",
        expect![[r#"
            a uncertain ann eve (1)
        "#]],
    );
}

#[test]
fn several_values_to_compare_with_are_an_error() {
    check(
        "correlators: { items: { item: { ref: personalNumber } } }",
        "name=ann personalNumber=1",
        "account uid=a number=",
        expect![[r#"
            a nobody (1)
        "#]],
    );
    let rule = Rule {
        name: "r".into(),
        place: Default::default(),
        weight: 1.0,
        ignore_if_matched_by: Vec::new(),
        items: vec![RuleItem {
            place: Default::default(),
            path: ["subtype".into()].into(),
            rule: Default::default(),
            source: ItemSource::PreFocus,
        }],
    };
    let two = items("subtype=a,b");
    assert!(search_key(&rule, &two, &object("account uid=1")).is_err());
    assert!(!rule_matches(&rule, &two, &object("account uid=1"), &two));
}

#[test]
fn legacy_filters_are_rules() {
    let legacy = "
synchronization:
  objectSynchronization:
    correlation:
      - text: 'personalNumber = $projection/attributes/ri:number'
      - text: 'givenName = $account/attributes/given and familyName =[polyStringNorm] $shadow/attributes/ri:family'
";
    let types = crate::support::types("account/default class=account");
    let policy = policy(&format!("{types}{legacy}"));
    let rules = &policy.types[0].correlation.tiers[0].rules;
    let object = object("account uid=1 number=7 given=Ann family=O'Lee");
    let nothing = Items::new();
    assert_eq!(search_key(&rules[0], &nothing, &object), Ok(Some((0, "7".into()))));
    assert!(rule_matches(&rules[1], &nothing, &object, &items("givenName=Ann familyName=olee")));
    assert!(!rule_matches(&rules[1], &nothing, &object, &items("givenName=ann familyName=olee")));
    let indexed: Vec<String> =
        indexed_items(&policy).iter().map(|(t, path, rule)| format!("{t} {} {rule:?}", path.join("/"))).collect();
    assert_eq!(indexed, ["UserType personalNumber Exact", "UserType givenName Exact"]);
}

#[test]
fn a_value_that_a_rule_makes_nothing_of_is_no_value() {
    let policy = policy(&yaml("correlators: { items: { item: { ref: familyName, search: { matchingRule: polyStringNorm } } } }"));
    let type_ = &policy.types[0];
    let object = object("account uid=1 family=---");
    let pre_focus = pre_focus(type_, &object, Channel::Import).unwrap();
    assert_eq!(search_key(&type_.correlation.tiers[0].rules[0], &pre_focus, &object), Ok(None));
}

#[test]
fn the_repository_is_asked_by_the_first_item_of_a_rule() {
    let policy = policy(&yaml("correlators: { items: { item: [ { ref: familyName }, { ref: givenName } ] } }"));
    let type_ = &policy.types[0];
    let rule = &type_.correlation.tiers[0].rules[0];
    let key = |object: &str| {
        let object = crate::support::object(object);
        search_key(rule, &pre_focus(type_, &object, Channel::Import).unwrap(), &object)
    };
    assert_eq!(key("account uid=1 given=Ann family=Lee"), Ok(Some((0, "Lee".into()))));
    assert_eq!(key("account uid=1 family=Lee"), Ok(None), "there is nothing to compare the second item with");
}

prop_compose! {
    fn any_policy()(
        weights in proptest::collection::vec(proptest::collection::vec(0..=10u8, 1..4), 1..4),
        definite in 1..=10u8,
        candidate in 0..=10u8,
    ) -> CorrelationPolicy {
        let mut number = 0;
        let mut rule = |weight: u8| {
            number += 1;
            Rule {
                name: number.to_string().into(),
                place: Default::default(),
                weight: f64::from(weight) / 10.0,
                ignore_if_matched_by: Vec::new(),
                items: Vec::new(),
            }
        };
        CorrelationPolicy {
            place: Default::default(),
            tiers: weights.into_iter().map(|tier| Tier { rules: tier.into_iter().map(&mut rule).collect() }).collect(),
            definite: f64::from(definite) / 10.0,
            candidate: f64::from(candidate) / 10.0,
        }
    }
}

proptest! {
    /// The oracle counts in tenths, so that nothing is lost to rounding.
    #[test]
    fn the_outcome_agrees_with_sums_in_whole_numbers(policy in any_policy(), matches in proptest::collection::vec(any::<u8>(), 9)) {
        let tenths = |number: f64| (number * 10.0).round() as u32;
        let mut correlator = Correlator::new(&policy);
        let mut sums: std::collections::BTreeMap<u32, u32> = Default::default();
        let mut number = 0;
        let mut expected = None;
        for tier in &policy.tiers {
            for rule in &tier.rules {
                let found: Vec<u32> = (0..4).filter(|bit| matches[number % matches.len()] & (1 << bit) != 0).collect();
                number += 1;
                for key in &found {
                    let sum = sums.entry(*key).or_default();
                    *sum = (*sum + tenths(rule.weight)).min(10);
                }
                correlator.matched(rule, found);
            }
            let certain: Vec<u32> = sums.iter().filter(|(_, sum)| **sum >= tenths(policy.definite)).map(|(key, _)| *key).collect();
            let decided = correlator.end_of_tier() == Verdict::Decided;
            prop_assert_eq!(decided, certain.len() == 1);
            if decided {
                expected = Some(Correlation::Owner(certain[0]));
                break;
            }
        }
        let outcome = correlator.finish();
        match expected {
            Some(expected) => prop_assert_eq!(outcome, expected),
            None => {
                let options = sums.values().filter(|sum| **sum >= tenths(policy.candidate)).count();
                match outcome {
                    Correlation::Owner(_) => prop_assert!(false, "nobody is certain"),
                    Correlation::None => prop_assert_eq!(options, 0),
                    Correlation::Uncertain(found) => {
                        prop_assert_eq!(found.len(), options);
                        prop_assert!(found.windows(2).all(|pair| sums[&pair[0]] >= sums[&pair[1]]));
                    }
                }
            }
        }
    }
}
