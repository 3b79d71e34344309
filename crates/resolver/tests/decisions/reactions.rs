//! What is done about a situation.

use expect_test::{Expect, expect};
use tidelock_model::object::{Exclusion, Situation};
use tidelock_resolver::channel::Channel;
use tidelock_resolver::exclusion::{Excluded, exclusion};
use tidelock_resolver::policy::ResourcePolicy;
use tidelock_resolver::reaction::react;

use crate::support::{indented, object, policy};

const TYPE: &str = "schemaHandling:\n  objectType:\n    - delineation: { objectClass: ri:account }\n";

fn with_reactions(yaml: &str) -> ResourcePolicy {
    policy(&format!("{TYPE}      synchronization:\n        reaction:\n{}", indented(yaml, 10)))
}

/// The reaction in every situation, by import and by live synchronization.
fn check(policy: &ResourcePolicy, expected: Expect) {
    let synchronization = policy.types[0].synchronization.as_ref().unwrap();
    let mut text = String::new();
    for situation in Situation::ALL {
        text += situation.as_str();
        for channel in [Channel::Import, Channel::LiveSync] {
            let reaction = react(synchronization, situation, channel);
            let actions = reaction.map_or("none".to_owned(), |reaction| {
                let kinds: Vec<&str> = reaction.actions.iter().map(|action| action.kind.as_str()).collect();
                if kinds.is_empty() { "nothing".to_owned() } else { kinds.join("+") }
            });
            text += &format!("  {channel}:{actions}");
        }
        text += "\n";
    }
    expected.assert_eq(&text);
}

#[test]
fn each_situation_has_its_reaction() {
    let policy = with_reactions(
        "
        - situation: [linked]
          actions: { synchronize: {} }
        - situation: [deleted]
          actions: { deleteFocus: {} }
        - situation: unmatched
          actions: { addFocus: {} }
        - situation: unlinked
          actions: { link: {} }
        ",
    );
    check(
        &policy,
        expect![[r#"
            linked  import:synchronize  liveSync:synchronize
            unlinked  import:link  liveSync:link
            unmatched  import:addFocus  liveSync:addFocus
            disputed  import:none  liveSync:none
            deleted  import:deleteFocus  liveSync:deleteFocus
        "#]],
    );
}

#[test]
fn the_first_reaction_for_the_channel_wins_and_then_the_last_for_all() {
    let policy = with_reactions(
        "
        - situation: linked
          actions: { unlink: {} }
        - situation: linked
          channel: http://midpoint.evolveum.com/xml/ns/public/common/channels-3#liveSync
          actions: { synchronize: {} }
        - situation: linked
          channel: ['http://midpoint.evolveum.com/xml/ns/public/provisioning/channels-3#liveSync']
          actions: { deleteFocus: {} }
        - situation: linked
          actions: { inactivateFocus: {} }
        ",
    );
    check(
        &policy,
        expect![[r#"
            linked  import:inactivateFocus  liveSync:synchronize
            unlinked  import:none  liveSync:none
            unmatched  import:none  liveSync:none
            disputed  import:none  liveSync:none
            deleted  import:none  liveSync:none
        "#]],
    );
}

#[test]
fn order_goes_before_position_and_reactions_not_in_force_are_passed_over() {
    let policy = with_reactions(
        "
        - situation: linked
          order: 20
          actions: { synchronize: {} }
        - situation: linked
          order: 10
          actions: { unlink: {} }
        - situation: linked
          lifecycleState: draft
          actions: { deleteFocus: {} }
        ",
    );
    check(
        &policy,
        expect![[r#"
            linked  import:synchronize  liveSync:synchronize
            unlinked  import:none  liveSync:none
            unmatched  import:none  liveSync:none
            disputed  import:none  liveSync:none
            deleted  import:none  liveSync:none
        "#]],
    );
}

#[test]
fn no_situation_means_every_and_actions_run_in_their_order() {
    let policy = with_reactions(
        "
        - actions:
            synchronize: { order: 2 }
            link: { order: 1 }
            unlink: {}
        ",
    );
    check(
        &policy,
        expect![[r#"
            linked  import:link+synchronize+unlink  liveSync:link+synchronize+unlink
            unlinked  import:link+synchronize+unlink  liveSync:link+synchronize+unlink
            unmatched  import:link+synchronize+unlink  liveSync:link+synchronize+unlink
            disputed  import:link+synchronize+unlink  liveSync:link+synchronize+unlink
            deleted  import:link+synchronize+unlink  liveSync:link+synchronize+unlink
        "#]],
    );
}

#[test]
fn legacy_reactions_mean_what_their_uris_say() {
    let legacy = "
synchronization:
  objectSynchronization:
    - reaction:
        - situation: linked
          synchronize: true
        - situation: deleted
          synchronize: true
          action: { handlerUri: 'http://midpoint.evolveum.com/xml/ns/public/model/action-3#unlink' }
        - situation: unlinked
          action: { handlerUri: 'http://midpoint.evolveum.com/xml/ns/public/model/action-3#linkAccount' }
        - situation: unmatched
          synchronize: false
          action: { handlerUri: 'http://midpoint.evolveum.com/xml/ns/public/model/action-3#addFocus' }
        - situation: disputed
";
    check(
        &policy(&format!("{TYPE}{legacy}")),
        expect![[r#"
            linked  import:synchronize  liveSync:synchronize
            unlinked  import:link  liveSync:link
            unmatched  import:nothing  liveSync:nothing
            disputed  import:nothing  liveSync:nothing
            deleted  import:unlink  liveSync:unlink
        "#]],
    );
}

#[test]
fn the_reactions_of_the_type_hide_those_of_the_legacy_definition() {
    let legacy = "
synchronization:
  objectSynchronization:
    - enabled: false
      reaction:
        - situation: linked
          synchronize: true
";
    let own = "      synchronization:\n        reaction:\n          - situation: deleted\n            actions: { unlink: {} }\n";
    let policy = policy(&format!("{TYPE}{own}{legacy}"));
    assert!(policy.types[0].synchronization.as_ref().unwrap().enabled, "a type's own synchronization is always on");
    check(
        &policy,
        expect![[r#"
            linked  import:none  liveSync:none
            unlinked  import:none  liveSync:none
            unmatched  import:none  liveSync:none
            disputed  import:none  liveSync:none
            deleted  import:unlink  liveSync:unlink
        "#]],
    );
}

fn excluded(yaml: &str, line: &str) -> Option<Excluded> {
    let policy = policy(yaml);
    exclusion(policy.types.first(), Some(&object(line)))
}

#[test]
fn objects_are_passed_over_for_the_first_reason_that_holds() {
    let some = |reason, full| Some(Excluded { reason, full });
    let on = "      synchronization: { reaction: [] }\n";
    let protected = "      protected: { filter: { text: 'uid = \"root\"' } }\n";
    assert_eq!(exclusion(None, None), some(Exclusion::NoSynchronizationPolicy, true));
    assert_eq!(excluded(TYPE, "account uid=1"), some(Exclusion::NoSynchronizationPolicy, true));
    assert_eq!(excluded(&format!("{TYPE}{on}"), "account uid=1"), None);
    assert_eq!(
        excluded(&format!("lifecycleState: proposed\n{TYPE}{on}{protected}"), "account uid=root"),
        some(Exclusion::NoSynchronizationPolicy, false)
    );
    assert_eq!(
        excluded(&format!("{TYPE}{on}      lifecycleState: draft\n"), "account uid=1"),
        some(Exclusion::NoSynchronizationPolicy, false)
    );
    let off = "synchronization:\n  objectSynchronization: { enabled: false }\n";
    assert_eq!(excluded(&format!("{TYPE}{protected}{off}"), "account uid=root"), some(Exclusion::SynchronizationDisabled, true));
    assert_eq!(excluded(&format!("{TYPE}{on}{protected}"), "account uid=root"), some(Exclusion::Protected, true));
    assert_eq!(excluded(&format!("{TYPE}{on}{protected}"), "account uid=ann"), None);
}
