//! Saying what a task would do.

use serde::Serialize;
use tidelock_model::definition::{OperationStatus, ResourceObjectSet, Work};
use tidelock_model::filter::BoundFilter;
use tidelock_model::name::ns;
use tidelock_model::{Diagnostic, Diagnostics};
use tidelock_resolver::object_set::{self, ActivityKind, FailedObjects, ObjectSet, Profile, Scope, ShadowScope};
use tidelock_resolver::policy::ResourcePolicy;

use crate::part;
use crate::plan::Outline;
use crate::prepare::{Prepared, Reach, Step, StepScope};
use crate::report::Mode;
use crate::trigger_scan::Scan;

/// Which objects an activity would process, and why. Its JSON form is the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The activity, such as `import`.
    pub activity: String,
    /// Where it is among the activities of the task; none for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The rules it was resolved by.
    pub profile: String,
    /// How it is run; none for what consists of other activities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether it is left out.
    #[serde(skip_serializing_if = "is_false")]
    pub skipped: bool,
    /// The resource.
    pub resource: Named,
    /// What the task says.
    pub given: Given,
    /// `type`, `class` or `resource`.
    pub scope: Option<String>,
    /// The object type found.
    pub object_type: Option<TypeName>,
    /// The object class found.
    pub object_class: Option<ClassName>,
    /// Why it is these objects, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What the shadows are like that are gone through, in activities that do not begin on the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadows: Option<Given>,
    /// For how long a shadow was not met that a cleanup is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Whether objects are taken as the repository knows them.
    #[serde(skip_serializing_if = "is_false")]
    pub no_fetch: bool,
    /// Which outcomes of earlier runs are asked for, where only failed objects are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_objects: Option<Failed>,
    /// The query that kind, intent and object class stand for.
    pub base_query: Option<String>,
    /// The query in effect.
    pub query: Option<String>,
    /// How the task's own query applies.
    pub query_application: Option<String>,
    /// The paging in effect.
    pub paging: Option<serde_json::Value>,
    /// What each object found is checked against.
    pub post_filter: Given,
    /// How the resource itself is asked.
    pub native: Option<String>,
    /// Whether the resource cannot check the condition, and every object is held against it here.
    #[serde(skip_serializing_if = "is_false")]
    pub filtered_here: bool,
    /// Items of the task that this activity ignores.
    pub ignored: Vec<String>,
    /// Everything found about the definitions.
    pub diagnostics: Diagnostics,
    /// Why the set cannot be resolved.
    pub error: Option<Diagnostic>,
    /// The parts of a composite activity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<Explanation>,
}

/// An object with its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Named {
    /// Its OID.
    pub oid: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// Coordinates of resource objects, as given.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Given {
    /// The kind.
    pub kind: Option<String>,
    /// The intent.
    pub intent: Option<String>,
    /// The object class.
    pub objectclass: Option<String>,
}

/// Which objects count as failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The outcomes.
    pub status: Vec<String>,
    /// The tasks; none for the task itself.
    pub tasks: Vec<String>,
    /// Not before.
    pub time_from: Option<String>,
    /// Not after.
    pub time_to: Option<String>,
}

/// An object type.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TypeName {
    /// The kind.
    pub kind: String,
    /// The intent.
    pub intent: String,
}

/// An object class.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassName {
    /// The namespace.
    pub namespace: String,
    /// The local name.
    pub name: String,
}

/// Says what a prepared task would process, without touching the resource's data.
#[must_use]
pub fn explain(prepared: &Prepared) -> Explanation {
    of_activity(prepared, &prepared.outline)
}

/// Says what a work that asks no resource for its schema would process, such as a refresh of shadows.
#[must_use]
pub fn explain_alone(work: &Work, profile: Profile, diagnostics: Diagnostics) -> Explanation {
    let defined = work.objects.clone().unwrap_or_default();
    let mut known = Explanation {
        activity: work.kind.as_str().to_owned(),
        profile: profile.as_str().to_owned(),
        resource: Named {
            oid: defined.resource_ref.as_ref().and_then(|reference| reference.oid.as_ref()).map(ToString::to_string),
            name: None,
        },
        given: given(&defined),
        diagnostics,
        ..Explanation::default()
    };
    let activity = ActivityKind::ShadowRefresh;
    match object_set::resolve(activity, &defined, &ResourcePolicy::default(), profile) {
        Ok(set) => {
            known.diagnostics.extend(set.diagnostics.iter().cloned());
            of_set(known, activity, &defined, &set)
        }
        Err(found) => {
            known.error = found.iter().find(|d| d.is_error()).cloned();
            known.diagnostics.extend(found);
            known
        }
    }
}

fn of_activity(prepared: &Prepared, outline: &Outline) -> Explanation {
    let path = Some(outline.path.clone()).filter(|path| !path.is_empty());
    if outline.parts.is_empty() {
        let step = prepared.steps.iter().find(|step| *step.path == outline.path);
        return Explanation { path, ..step.map(|step| of_step(prepared, step)).unwrap_or_default() };
    }
    // Documents are nested to a bounded depth, and so are activities.
    let parts: Vec<Explanation> = outline.parts.iter().map(|part| of_activity(prepared, part)).collect();
    // What people ask about is which objects of the resource are meant.
    let main = match outline.activity.as_str() {
        "reconciliation" => parts.iter().rfind(|part| part.activity == "resourceObjects").cloned(),
        _ => None,
    };
    let main = main.unwrap_or_else(|| Explanation {
        profile: prepared.profile.as_str().to_owned(),
        diagnostics: prepared.diagnostics().clone(),
        ..Explanation::default()
    });
    let skipped = parts.iter().all(|part| part.skipped);
    Explanation { activity: outline.activity.clone(), path, mode: None, skipped, activities: parts, ..main }
}

fn of_step(prepared: &Prepared, step: &Step) -> Explanation {
    let known = Explanation {
        activity: step.activity.as_str().to_owned(),
        profile: prepared.profile.as_str().to_owned(),
        mode: Some(step.mode),
        skipped: step.skipped,
        interval: step.interval.as_ref().map(ToString::to_string),
        resource: Named {
            oid: step.given.resource_ref.as_ref().and_then(|reference| reference.oid.as_ref()).map(ToString::to_string),
            name: None,
        },
        given: given(&step.given),
        diagnostics: prepared.diagnostics().clone(),
        ..Explanation::default()
    };
    match &step.reach {
        Reach::Resource(Ok(scope)) => of_scope(known, step, scope),
        Reach::Due(scan) => of_scan(known, step, scan),
        Reach::Resource(Err(unusable)) => Explanation { error: Some(unusable.error.clone()), ..known },
    }
}

/// What a scan of triggers is for: what is due, and what its set names.
fn of_scan(known: Explanation, step: &Step, scan: &Scan) -> Explanation {
    let named = scan.resources.first().filter(|_| step.given.resource_ref.is_some()).map(|(_, scope)| scope);
    let known = match named {
        Some(Ok(scope)) => Explanation { resource: named_resource(scope), ..known },
        Some(Err(unusable)) => Explanation { error: Some(unusable.error.clone()), ..known },
        None => known,
    };
    of_set(known, step.activity, &step.given, &scan.set)
}

fn of_scope(known: Explanation, step: &Step, scope: &StepScope) -> Explanation {
    let set = &scope.set;
    let (native, filtered_here) = native(step, scope).unzip();
    Explanation {
        resource: named_resource(scope),
        native: native.flatten(),
        filtered_here: filtered_here.unwrap_or_default(),
        ..of_set(known, step.activity, &step.given, set)
    }
}

fn named_resource(scope: &StepScope) -> Named {
    let target = &scope.target;
    Named { oid: Some(target.oid.to_string()), name: target.resource.name.as_ref().map(|name| name.value.clone()) }
}

/// What a resolved set says by itself.
fn of_set(known: Explanation, activity: ActivityKind, defined: &ResourceObjectSet, set: &ObjectSet) -> Explanation {
    Explanation {
        scope: Some(
            match set.scope {
                Scope::Type(_) => "type",
                Scope::Class(_) => "class",
                Scope::Resource => "resource",
            }
            .to_owned(),
        ),
        object_type: set.object_type.as_ref().map(|id| TypeName { kind: id.kind.to_string(), intent: id.intent.to_string() }),
        object_class: set.class.as_ref().map(|class| ClassName { namespace: ns::RI.to_owned(), name: class.name.to_string() }),
        because: because(defined, set),
        shadows: goes_through_shadows(activity).then(|| shadows(&set.shadow_filter)),
        no_fetch: set.no_fetch,
        failed_objects: set.failed.as_ref().map(failed),
        base_query: Some(set.base_query.clone()).filter(|query| !matches!(&**query, "" | ". all")),
        query: set.query.clone(),
        query_application: set.query_application.map(|application| application.as_str().to_owned()),
        paging: set.paging.as_ref().map(|paging| {
            serde_json::json!({
                "orderBy": paging.order_by.as_deref(), "descending": paging.descending,
                "offset": paging.offset, "maxSize": paging.max_size,
            })
        }),
        post_filter: Given {
            kind: set.post_filter.kind.map(|kind| kind.to_string()),
            intent: set.post_filter.intent.as_ref().map(ToString::to_string),
            objectclass: set.post_filter.class.as_ref().map(ToString::to_string),
        },
        ignored: set.ignored.iter().map(|&item| item.to_owned()).collect(),
        ..known
    }
}

/// Why it is this type, or this class.
fn because(defined: &ResourceObjectSet, set: &ObjectSet) -> Option<String> {
    let given = given(defined);
    let class = set.class.as_ref()?;
    Some(match (&set.object_type, &given.kind, &given.intent) {
        (Some(id), Some(kind), Some(intent)) if *kind == id.kind.to_string() && intent == id.intent.as_str() => {
            "kind and intent say so; the class is that of the type".to_owned()
        }
        (Some(id), Some(kind), None) if *kind == id.kind.to_string() => {
            format!("of the kind '{kind}', this type is the default; the class is that of the type")
        }
        (None, Some(kind), _) if set.post_filter.class.is_none() => {
            format!("the resource says that this is its class of ordinary objects of the kind '{kind}'")
        }
        (None, None, _) if given.objectclass.as_deref() == Some(&*class.name) => {
            "'objectclass' says so; objects of every type of the class are meant".to_owned()
        }
        _ => "the query says so".to_owned(),
    })
}

const fn goes_through_shadows(activity: ActivityKind) -> bool {
    use ActivityKind::{OperationCompletion, RemainingShadows, ShadowCleanup, ShadowRefresh, TriggerScan};
    matches!(activity, OperationCompletion | RemainingShadows | ShadowCleanup | ShadowRefresh | TriggerScan)
}

fn shadows(scope: &ShadowScope) -> Given {
    Given {
        kind: scope.kind.map(|kind| kind.to_string()),
        intent: scope.intent.as_ref().map(ToString::to_string),
        objectclass: scope.class.as_ref().map(ToString::to_string),
    }
}

fn failed(failed: &FailedObjects) -> Failed {
    Failed {
        status: failed.statuses.iter().map(|status: &OperationStatus| status.as_str().to_owned()).collect(),
        tasks: failed.tasks.iter().map(ToString::to_string).collect(),
        time_from: failed.from.map(|time| time.to_string()),
        time_to: failed.to.map(|time| time.to_string()),
    }
}

/// How the resource is asked, where it is searched; and whether that leaves the condition to us.
fn native(step: &Step, scope: &StepScope) -> Option<(Option<String>, bool)> {
    let StepScope { target, set } = scope;
    let searches =
        matches!(step.activity, ActivityKind::Import | ActivityKind::ShadowReclassification | ActivityKind::ResourceObjects);
    let class = set.class.as_ref().filter(|_| searches && !set.no_fetch)?;
    let (asked, residual) = part::divide(&*target.connector, set);
    let request = part::request(set, class).with_filter(asked);
    Some((target.connector.native_query(&request), residual != BoundFilter::All))
}

fn given(set: &ResourceObjectSet) -> Given {
    Given {
        kind: set.kind.as_ref().map(|kind| kind.value.to_string()),
        intent: set.intent.as_ref().map(|intent| intent.value.clone()),
        objectclass: set.objectclass.as_ref().map(|class| class.value.local().to_owned()),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
