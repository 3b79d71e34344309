//! The resolution matrix against an independent restatement of the rules.

use proptest::prelude::*;
use tidelock_model::Oid;
use tidelock_model::QName;
use tidelock_model::definition::{At, ObjectRef, ResourceObjectSet};
use tidelock_model::name::ns;
use tidelock_model::object::Kind;
use tidelock_resolver::object_set::{ActivityKind, Profile, Scope, resolve};

use crate::support::typed;

/// `account/default` is the default of its kind, `account/svc` is not; entitlements have a type and no default; generics none.
const TYPES: &str = r#"
    account/default  class=account  default  where ou = "people"
    account/svc      class=account  where ou = "svc"
    entitlement/team class=group
"#;

/// What comes of a set, in the fewest words.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Type(&'static str),
    Class(&'static str),
    Whole,
    Refused(&'static str),
}

/// The rules as the specification tells them, activity by activity.
fn oracle(profile: Profile, activity: ActivityKind, kind: Option<Kind>, intent: Option<&str>, class: Option<&str>) -> Outcome {
    use ActivityKind as A;
    let documented = profile == Profile::Documented;
    if activity == A::ShadowRefresh || (documented && activity == A::AsynchronousUpdate) {
        return Outcome::Whole;
    }
    let resolved = match (kind, intent, class) {
        (None, None, None) => match activity {
            A::LiveSynchronization | A::AsynchronousUpdate => Outcome::Whole,
            A::OperationCompletion if !documented => Outcome::Whole,
            _ => Outcome::Refused("no-object-class"),
        },
        (Some(Kind::Unknown), _, _) | (_, Some("unknown"), _) => Outcome::Refused("reserved-unknown"),
        (None, Some(_), Some(class)) if documented && activity == A::LiveSynchronization => by_class(class),
        (None, Some(_), _) => Outcome::Refused("intent-without-kind"),
        (None, None, Some(class)) => by_class(class),
        (Some(kind), intent, class) => {
            let found = match (kind, intent) {
                (Kind::Account, None | Some("default")) => Ok(("account/default", "account")),
                (Kind::Account, Some("svc")) => Ok(("account/svc", "account")),
                (Kind::Entitlement, Some("team")) => Ok(("entitlement/team", "group")),
                (_, None) => Err("no-default-object-type"),
                (_, Some(_)) => Err("unknown-object-type"),
            };
            match (found, class) {
                (Err(code), _) => Outcome::Refused(code),
                (Ok((_, of_type)), Some(class)) if class != of_type => Outcome::Refused("object-class-mismatch"),
                (Ok((type_, _)), _) => Outcome::Type(type_),
            }
        }
    };
    match resolved {
        Outcome::Refused(code) => Outcome::Refused(code),
        _ if matches!(activity, A::OperationCompletion | A::AsynchronousUpdate) => Outcome::Whole,
        other => other,
    }
}

fn by_class(class: &str) -> Outcome {
    match class {
        "account" => Outcome::Class("account"),
        "group" => Outcome::Class("group"),
        _ => Outcome::Refused("unknown-object-class"),
    }
}

/// The three conditions that are checked again, by the documentation and by midPoint.
fn checked(profile: Profile, activity: ActivityKind) -> (bool, bool) {
    use ActivityKind as A;
    match activity {
        A::Import | A::ShadowReclassification | A::ResourceObjects | A::RemainingShadows => (true, true),
        A::LiveSynchronization => (profile == Profile::Midpoint48, true),
        _ => (false, false),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn the_matrix_agrees_with_the_rules(
        activity in proptest::sample::select(ActivityKind::ALL.to_vec()),
        profile in proptest::sample::select(vec![Profile::Documented, Profile::Midpoint48]),
        kind in proptest::option::of(proptest::sample::select(vec![Kind::Account, Kind::Entitlement, Kind::Generic, Kind::Unknown])),
        intent in proptest::option::of(proptest::sample::select(vec!["default", "svc", "team", "nobody", "unknown"])),
        class in proptest::option::of(proptest::sample::select(vec!["account", "group", "nothing"])),
        qualified in any::<bool>(),
    ) {
        let policy = typed(TYPES);
        let set = ResourceObjectSet {
            resource_ref: Some(ObjectRef::to(Oid::new("r"), None)),
            kind: kind.map(At::nowhere),
            intent: intent.map(|intent| At::nowhere(intent.to_owned())),
            objectclass: class.map(|class| At::nowhere(if qualified { QName::new(ns::RI, class) } else { QName::local_only(class) })),
            ..ResourceObjectSet::default()
        };
        let expected = oracle(profile, activity, kind, intent, class);
        match resolve(activity, &set, &policy, profile) {
            Err(diagnostics) => {
                prop_assert_eq!(Outcome::Refused(diagnostics.last().unwrap().code), expected);
                prop_assert_eq!(diagnostics.iter().filter(|d| d.is_error()).count(), 1);
            }
            Ok(found) => {
                let outcome = match &found.scope {
                    Scope::Type(_) => {
                        let id = found.object_type.as_ref().unwrap().to_string();
                        ["account/default", "account/svc", "entitlement/team"].into_iter().find(|t| *t == id).map(Outcome::Type)
                    }
                    Scope::Class(class) => ["account", "group"].into_iter().find(|c| **c == *class.name).map(Outcome::Class),
                    Scope::Resource => Some(Outcome::Whole),
                };
                prop_assert_eq!(outcome, Some(expected));
                let (types_checked, class_checked) = checked(profile, activity);
                let ignores_intent = kind.is_none();
                prop_assert_eq!(found.post_filter.kind, kind.filter(|_| types_checked));
                prop_assert_eq!(
                    found.post_filter.intent.as_ref().map(|i| i.as_str()),
                    intent.filter(|_| types_checked && !ignores_intent)
                );
                prop_assert_eq!(found.post_filter.class.as_deref(), class.filter(|_| class_checked));
                // What is given and has no effect is named.
                let warned = found.diagnostics.iter().any(|d| matches!(d.code, "ignored-item" | "intent-without-kind"));
                let loses = match activity {
                    ActivityKind::AsynchronousUpdate | ActivityKind::ShadowRefresh => {
                        kind.is_some() || intent.is_some() || class.is_some()
                    }
                    ActivityKind::LiveSynchronization => kind.is_none() && intent.is_some(),
                    _ => false,
                };
                prop_assert_eq!(warned, loses);
                let defaulted = kind.is_some() && intent.is_none() && (activity, profile) != (ActivityKind::AsynchronousUpdate, Profile::Documented)
                    && activity != ActivityKind::ShadowRefresh;
                prop_assert_eq!(found.diagnostics.iter().any(|d| d.code == "kind-without-intent"), defaulted);
            }
        }
    }
}
