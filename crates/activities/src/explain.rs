//! Saying what a task would do.

use std::sync::Arc;

use serde::Serialize;
use tidelock_model::definition::ResourceObjectSet;
use tidelock_model::name::ns;
use tidelock_model::{Diagnostic, Diagnostics};
use tidelock_resolver::object_set::{ActivityKind, ObjectSet, Scope};

use crate::plan::Outline;
use crate::prepare::{Prepared, Step, StepScope};

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
        "reconciliation" => parts.iter().find(|part| part.activity == "resourceObjects").cloned(),
        _ => None,
    };
    let main = main.unwrap_or_else(|| Explanation {
        profile: prepared.profile.as_str().to_owned(),
        diagnostics: prepared.diagnostics().clone(),
        ..Explanation::default()
    });
    Explanation { activity: outline.activity.clone(), path, activities: parts, ..main }
}

fn of_step(prepared: &Prepared, step: &Step) -> Explanation {
    let known = Explanation {
        activity: step.activity.as_str().to_owned(),
        profile: prepared.profile.as_str().to_owned(),
        resource: Named {
            oid: step.given.resource_ref.as_ref().and_then(|reference| reference.oid.as_ref()).map(ToString::to_string),
            name: None,
        },
        given: given(&step.given),
        diagnostics: prepared.diagnostics().clone(),
        ..Explanation::default()
    };
    match &step.scope {
        Ok(scope) => of_scope(known, step, scope),
        Err(unusable) => Explanation { error: Some(unusable.error.clone()), ..known },
    }
}

fn of_scope(known: Explanation, step: &Step, scope: &StepScope) -> Explanation {
    let StepScope { target, set } = scope;
    Explanation {
        resource: Named { oid: Some(target.oid.to_string()), name: target.resource.name.as_ref().map(|name| name.value.clone()) },
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
        base_query: Some(set.base_query.clone()).filter(|query| !query.is_empty()),
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
        native: native(step, scope, set),
        ignored: set.ignored.iter().map(|&item| item.to_owned()).collect(),
        ..known
    }
}

/// How the resource is asked, where it is searched.
fn native(step: &Step, scope: &StepScope, set: &ObjectSet) -> Option<String> {
    let searches =
        matches!(step.activity, ActivityKind::Import | ActivityKind::ShadowReclassification | ActivityKind::ResourceObjects);
    let class = set.class.as_ref().filter(|_| searches && !set.no_fetch)?;
    let request = crate::part::request(set, class).with_filter(set.search.clone());
    scope.target.connector.native_query(&request)
}

fn given(set: &ResourceObjectSet) -> Given {
    Given {
        kind: set.kind.as_ref().map(|kind| kind.value.to_string()),
        intent: set.intent.as_ref().map(|intent| intent.value.clone()),
        objectclass: set.objectclass.as_ref().map(|class| class.value.local().to_owned()),
    }
}
