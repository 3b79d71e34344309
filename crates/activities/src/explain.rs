//! Saying what a task would do.

use serde::Serialize;
use tidelock_model::{Diagnostic, Diagnostics};

use crate::prepare::Prepared;

/// Which objects an activity would process, and why. Its JSON form is the command line's contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The activity, such as `import`.
    pub activity: String,
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
    prepared.explanation()
}
