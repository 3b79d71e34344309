//! Activities: what a task does, to which objects, and how.

use crate::definition::common::{ObjectRef, OperationStatus, Query};
use crate::definition::execution::{ControlFlow, Distribution, Execution, ExecutionMode, Tailoring};
use crate::definition::leaf::Duration;
use crate::definition::nearest::nearest;
use crate::definition::table::{At, Content, Item, Reading, definition, names, plain_content, shorten};
use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::name::{QName, ns};
use crate::object::Kind;
use crate::time::Timestamp;

definition! {
    /// What a task does: one work, or a composition of activities.
    pub struct Activity in [ns::COMMON] {
        items {
            /// What it is called among its siblings.
            identifier = "identifier": Option<At<String>>,
            /// What people call it.
            display_name = "displayName": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// Small ones first, none last.
            order = "order": Option<At<i64>>,
            /// The work.
            work = "work": Option<Work>,
            /// The activities it consists of.
            composition = "composition": Option<Composition>,
            /// Changes to the parts of a work that has parts.
            tailoring = "tailoring": Option<Tailoring>,
            /// How it is executed, at its older place.
            execution_mode = "executionMode": Option<At<ExecutionMode>>,
            /// How it is executed.
            execution = "execution" | "executionModeDefinition": Option<Execution>,
            /// What it does about errors, and more.
            control_flow = "controlFlow": Option<ControlFlow>,
            /// How many work on it.
            distribution = "distribution": Option<Distribution>,
            /// What it reports, kept.
            reporting = "reporting": Option<Node>,
            /// Rules that stop it, kept.
            policies = "policies": Option<Node>,
        }
        kept ["documentation"]
        unsupported ["policies"]
    }
}

definition! {
    /// The activities that an activity consists of.
    pub struct Composition in [ns::COMMON] {
        items {
            /// The activities.
            activity = "activity": Vec<Activity>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// What is done, and to which objects. Its place is that of the element that says what.
    pub struct Work in [ns::COMMON] {
        extra {
            /// What is done: the element's name.
            kind: WorkKind,
        }
        items {
            /// The objects: `resourceObjects`, `updatedResourceObjects`, `shadows` or `objects`.
            objects = "resourceObjects" | "updatedResourceObjects" | "shadows" | "objects": Option<ResourceObjectSet>,
            /// The most changes that one run of live synchronization takes.
            batch_size = "batchSize": Option<At<i64>>,
            /// Whether a dry run moves the token of live synchronization.
            update_live_sync_token_in_dry_run = "updateLiveSyncTokenInDryRun": Option<At<bool>>,
            /// Whether a preview moves the token of live synchronization.
            update_live_sync_token_in_preview_mode = "updateLiveSyncTokenInPreviewMode": Option<At<bool>>,
            /// How old shadows are that a cleanup is for.
            interval = "interval": Option<At<Duration>>,
        }
        kept ["description", "documentation", "extension"]
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum WorkKind {
    /// Everything on the resource is taken for new.
    #[default]
    Import,
    /// Resource and repository are compared.
    Reconciliation,
    /// Changes since the last time are taken over.
    LiveSynchronization,
    /// Changes are taken over as the resource sends them.
    AsynchronousUpdate,
    /// Shadows of objects that are gone are removed.
    ShadowCleanup,
    /// Shadows are classified anew.
    ShadowReclassification,
    /// Pending operations of shadows are carried on.
    ShadowRefresh,
    /// What failed and is due is tried again.
    TriggerScan,
    /// Something that is not an object synchronization.
    Other(String),
}

definition! {
    /// The objects that an activity is for.
    pub struct ResourceObjectSet in [ns::COMMON] {
        items {
            /// The resource.
            resource_ref = "resourceRef": Option<ObjectRef>,
            /// The kind.
            kind = "kind": Option<At<Kind>>,
            /// The intent.
            intent = "intent": Option<At<String>>,
            /// The object class.
            objectclass = "objectclass": Option<At<QName>>,
            /// A query that narrows or replaces the above.
            query = "query": Option<Query>,
            /// Which of the two.
            query_application = "queryApplication": Option<At<QueryApplication>>,
            /// Options of the search.
            search_options = "searchOptions": Option<Node>,
            /// Only objects that failed earlier.
            failed_objects_selector = "failedObjectsSelector": Option<FailedObjectsSelector>,
        }
        kept ["description", "documentation", "type", "archetypeRef", "objectRef", "useRepositoryDirectly"]
    }
}

names! {
    /// How a query and the rest of an object set go together.
    pub enum QueryApplication: "a query application" {
        /// Both hold.
        Append = "append",
        /// The query alone holds.
        Replace = "replace",
    }
}

definition! {
    /// Only objects that failed earlier.
    pub struct FailedObjectsSelector in [ns::COMMON] {
        items {
            /// The outcomes that count as failures.
            status = "status": Vec<At<OperationStatus>>,
            /// The tasks in which they failed.
            task_ref = "taskRef": Vec<ObjectRef>,
            /// They failed not before.
            time_from = "timeFrom": Option<At<Timestamp>>,
            /// They failed not after.
            time_to = "timeTo": Option<At<Timestamp>>,
            /// How they are found.
            selection_method = "selectionMethod": Option<At<SelectionMethod>>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// How failed objects are found.
    pub enum SelectionMethod: "a selection method" {
        /// As suits the activity.
        Default = "default",
        /// The query is narrowed.
        NarrowQuery = "narrowQuery",
        /// Their shadows are sought, and each object is read.
        FetchFailedObjects = "fetchFailedObjects",
        /// All are read, and the others passed over.
        FilterAfterRetrieval = "filterAfterRetrieval",
    }
}

plain_content!(Composition, ResourceObjectSet, FailedObjectsSelector);

impl WorkKind {
    /// The synchronizations and their kin.
    pub const KNOWN: [Self; 8] = [
        Self::Import,
        Self::Reconciliation,
        Self::LiveSynchronization,
        Self::AsynchronousUpdate,
        Self::ShadowCleanup,
        Self::ShadowReclassification,
        Self::ShadowRefresh,
        Self::TriggerScan,
    ];

    /// The name in definitions and reports.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Import => "import",
            Self::Reconciliation => "reconciliation",
            Self::LiveSynchronization => "liveSynchronization",
            Self::AsynchronousUpdate => "asynchronousUpdate",
            Self::ShadowCleanup => "shadowCleanup",
            Self::ShadowReclassification => "shadowReclassification",
            Self::ShadowRefresh => "shadowRefresh",
            Self::TriggerScan => "triggerScan",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|kind| kind.as_str() == name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The item that holds the objects.
    pub(crate) const fn objects_item(&self) -> &'static str {
        match self {
            Self::AsynchronousUpdate => "updatedResourceObjects",
            Self::ShadowCleanup | Self::ShadowRefresh => "shadows",
            Self::TriggerScan => "objects",
            _ => "resourceObjects",
        }
    }
}

impl std::fmt::Display for WorkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Content for Activity {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let read = Self::read_items(node, reading);
        // A work that is there and could not be read has had its finding.
        if read.work.is_none() && read.composition.is_none() && node.child("work").is_none() {
            reading.report(
                Diagnostic::error("no-work", &node.place, "the activity has neither work nor composition")
                    .with_help("add 'work' with what is to be done, such as an 'import'"),
            );
        }
        Some(read)
    }

    fn write(&self, name: &QName) -> Node {
        self.write_items(name)
    }
}

/// The element in a `work` says what is done; it holds the items.
impl Item for Option<Work> {
    fn absorb(&mut self, container: &Node, reading: &mut Reading) {
        let mut works = container.children.iter().filter(|child| !matches!(child.local(), "description" | "documentation"));
        let Some(node) = works.next() else {
            reading.report(
                Diagnostic::error("no-work", &container.place, "the work does not say what is to be done")
                    .with_help("name it, such as 'import' or 'reconciliation'"),
            );
            return;
        };
        for other in works {
            reading.report(
                Diagnostic::error(
                    "ambiguous-work",
                    &other.place,
                    format!("there is a second work, '{}', beside '{}'", shorten(other.local()), shorten(node.local())),
                )
                .with_help("leave one, or put several activities into a composition"),
            );
        }
        if self.is_some() {
            reading.report(
                Diagnostic::error("ambiguous-work", &container.place, "the activity has a second work")
                    .with_help("leave one, or put several activities into a composition"),
            );
            return;
        }
        *self = Some(read_work(node, reading));
    }

    fn emit(&self, name: &QName, into: &mut Vec<Node>) {
        let Some(work) = self else { return };
        let mut node = work.write_items(&Work::TABLE.name(work.kind.as_str()));
        for child in &mut node.children {
            if child.local() == "resourceObjects" {
                child.name = Work::TABLE.name(work.kind.objects_item());
            }
        }
        let mut container = Node::new(name.clone());
        container.children.push(node);
        into.push(container);
    }
}

fn read_work(node: &Node, reading: &mut Reading) -> Work {
    let kind = WorkKind::from_name(node.local());
    if let WorkKind::Other(name) = &kind {
        // What is in there is none of our business, unless it is ours and misspelt.
        if let Some(near) = nearest(name, WorkKind::KNOWN.iter().map(WorkKind::as_str).collect::<Vec<_>>()) {
            reading.report(
                Diagnostic::warning("unknown-item", &node.place, format!("'{}' is no work that is known here", shorten(name)))
                    .with_help(format!("did you mean '{near}'?")),
            );
        }
        return Work {
            kind,
            place: node.place.clone(),
            rest_attributes: node.attributes.clone(),
            rest: node.children.clone(),
            ..Work::default()
        };
    }
    for child in &node.children {
        let local = child.local();
        if matches!(local, "resourceObjects" | "updatedResourceObjects" | "shadows" | "objects") && local != kind.objects_item() {
            reading.report(
                Diagnostic::warning(
                    "unknown-item",
                    &child.place,
                    format!("'{kind}' has no item '{local}'; it is read as '{}'", kind.objects_item()),
                )
                .with_help(format!("did you mean '{}'?", kind.objects_item())),
            );
        }
    }
    Work { kind, ..Work::read_items(node, reading) }
}
