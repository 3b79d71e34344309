//! Activities: what a task does, to which objects, and how.

use crate::definition::common::{ObjectRef, OperationStatus, Query};
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
            execution = "execution": Option<Execution>,
            /// What it does about errors, and more.
            control_flow = "controlFlow": Option<ControlFlow>,
            /// How many work on it.
            distribution = "distribution": Option<Distribution>,
            /// What it reports, kept.
            reporting = "reporting": Option<Node>,
            /// Rules that stop it, kept.
            policies = "policies": Option<Node>,
        }
        kept ["documentation", "executionModeDefinition"]
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
            /// The objects: `resourceObjects`, `updatedResourceObjects` or `shadows`.
            objects = "resourceObjects" | "updatedResourceObjects" | "shadows": Option<ResourceObjectSet>,
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

names! {
    /// How an activity is executed.
    pub enum ExecutionMode: "an execution mode" {
        /// For real.
        Full = "full",
        /// All effects are shown, none is made.
        Preview = "preview",
        /// Shadows are maintained, other effects are shown.
        ShadowManagementPreview = "shadowManagementPreview",
        /// Situations are determined, nobody reacts.
        DryRun = "dryRun",
        /// Objects are listed, none is processed.
        None = "none",
        /// Buckets are listed.
        BucketAnalysis = "bucketAnalysis",
    }
}

definition! {
    /// How an activity is executed.
    pub struct Execution in [ns::COMMON] {
        items {
            /// For real, or not.
            mode = "mode": Option<At<ExecutionMode>>,
            /// Which parts of definitions take part.
            configuration_to_use = "configurationToUse": Option<ConfigurationToUse>,
        }
        kept ["description", "documentation", "createSimulationResult"]
    }
}

definition! {
    /// Which parts of definitions take part.
    pub struct ConfigurationToUse in [ns::COMMON] {
        items {
            /// Which set.
            predefined = "predefined": Option<At<PredefinedConfiguration>>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// Which parts of definitions take part, by their lifecycle states.
    pub enum PredefinedConfiguration: "a configuration" {
        /// Those in use.
        Production = "production",
        /// Those proposed.
        Development = "development",
    }
}

definition! {
    /// Changes to the parts of a work that has parts.
    pub struct Tailoring in [ns::COMMON] {
        items {
            /// The changes.
            change = "change": Vec<ActivityTailoring>,
        }
        kept ["description", "documentation"]
        unsupported ["insertBefore", "insertAfter"]
    }
}

definition! {
    /// A change to some parts of a work.
    pub struct ActivityTailoring in [ns::COMMON] {
        items {
            /// The parts by their identifiers; none means all.
            reference = "reference": Vec<At<String>>,
            /// How they are executed, at its older place.
            execution_mode = "executionMode": Option<At<ExecutionMode>>,
            /// How they are executed.
            execution = "execution": Option<Execution>,
            /// What they do about errors, and more.
            control_flow = "controlFlow": Option<ControlFlow>,
            /// How many work on them.
            distribution = "distribution": Option<Distribution>,
            /// What they report, kept.
            reporting = "reporting": Option<Node>,
        }
        kept ["description", "documentation"]
        unsupported ["policies"]
    }
}

names! {
    /// What a tailored container does to the one it meets.
    pub enum TailoringMode: "a tailoring mode" {
        /// It takes its place.
        Overwrite = "overwrite",
        /// Each of its items takes the place of that item.
        OverwriteSpecified = "overwriteSpecified",
    }
}

definition! {
    /// What an activity does about errors, and more.
    pub struct ControlFlow in [ns::COMMON] {
        items {
            /// How it meets what it meets, where it is part of a tailoring.
            tailoring_mode = "tailoringMode": Option<At<TailoringMode>>,
            /// Whether it runs at all.
            processing_option = "processingOption": Option<At<ProcessingOption>>,
            /// What it does about errors.
            error_handling = "errorHandling": Option<ErrorHandling>,
        }
        kept ["description", "documentation", "parallelExecution"]
        unsupported ["bucketProcessingCondition", "itemProcessingCondition"]
    }
}

names! {
    /// Whether an activity runs at all.
    pub enum ProcessingOption: "a processing option" {
        /// As usual.
        Automatic = "automatic",
        /// It is left out.
        Skip = "skip",
        /// It runs.
        Process = "process",
    }
}

definition! {
    /// What an activity does about errors: the first entry that matches says it.
    pub struct ErrorHandling in [ns::COMMON] {
        items {
            /// The entries.
            entry = "entry": Vec<ErrorHandlingEntry>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// What an activity does about some errors.
    pub struct ErrorHandlingEntry in [ns::COMMON] {
        items {
            /// Small ones first, none last.
            order = "order": Option<At<i64>>,
            /// Which errors; all, where this is absent.
            situation = "situation": Option<ErrorSituation>,
            /// What is done; the activity stops, where this is absent.
            reaction = "reaction": Option<ErrorReaction>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A set of errors. Both lists must agree; an empty one agrees to everything.
    pub struct ErrorSituation in [ns::COMMON] {
        items {
            /// By their gravity.
            status = "status": Vec<At<OperationStatus>>,
            /// By their cause.
            error_category = "errorCategory": Vec<At<ErrorCategory>>,
        }
        kept ["description", "documentation"]
    }
}

names! {
    /// The cause of an error.
    pub enum ErrorCategory: "an error category" {
        /// Communication.
        Network = "network",
        /// Rights.
        Security = "security",
        /// A policy.
        Policy = "policy",
        /// A bound on the number of changes.
        PolicyThreshold = "policyThreshold",
        /// An object that was there already, or was not there.
        Application = "application",
        /// Data of a wrong form.
        Schema = "schema",
        /// A wrong definition.
        Configuration = "configuration",
        /// Something that cannot be done.
        Unsupported = "unsupported",
        /// Anything else.
        Generic = "generic",
    }
}

definition! {
    /// What is done about an error. If several are given, `ignore` goes before `stop`, and that before `retryLater`.
    pub struct ErrorReaction in [ns::COMMON] {
        items {
            /// Nothing.
            ignore = "ignore": Option<NoItems>,
            /// The activity stops.
            stop = "stop": Option<NoItems>,
            /// The object is tried again later.
            retry_later = "retryLater": Option<RetryLater>,
            /// After so many matches the activity stops in any case.
            stop_after = "stopAfter": Option<At<i64>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A container whose presence says all.
    pub struct NoItems in [ns::COMMON] {
        items {}
        kept ["description", "documentation"]
    }
}

definition! {
    /// How an object is tried again.
    pub struct RetryLater in [ns::COMMON] {
        items {
            /// The time until the first try; 30 minutes where it is absent.
            initial_interval = "initialInterval": Option<At<Duration>>,
            /// The time between tries; 6 hours where it is absent.
            next_interval = "nextInterval": Option<At<Duration>>,
            /// The most tries; without end where it is absent.
            retry_limit = "retryLimit": Option<At<i64>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// How many work on an activity.
    pub struct Distribution in [ns::COMMON] {
        items {
            /// How it meets what it meets, where it is part of a tailoring.
            tailoring_mode = "tailoringMode": Option<At<TailoringMode>>,
            /// Threads within the process; none means one.
            worker_threads = "workerThreads": Option<At<i64>>,
            /// How the objects are divided, kept.
            buckets = "buckets": Option<Node>,
        }
        kept ["description", "documentation"]
        unsupported ["buckets", "workers", "subtask", "subtasks", "autoScaling"]
    }
}

plain_content!(
    Composition,
    ResourceObjectSet,
    FailedObjectsSelector,
    Execution,
    Tailoring,
    ActivityTailoring,
    ControlFlow,
    ErrorHandling,
    ErrorHandlingEntry,
    ErrorSituation,
    ErrorReaction,
    NoItems,
    RetryLater,
    Distribution,
);

impl WorkKind {
    /// The synchronizations and their kin.
    pub const KNOWN: [Self; 7] = [
        Self::Import,
        Self::Reconciliation,
        Self::LiveSynchronization,
        Self::AsynchronousUpdate,
        Self::ShadowCleanup,
        Self::ShadowReclassification,
        Self::ShadowRefresh,
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
            Self::Other(name) => name,
        }
    }

    fn from_name(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|kind| kind.as_str() == name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The item that holds the objects.
    const fn objects_item(&self) -> &'static str {
        match self {
            Self::AsynchronousUpdate => "updatedResourceObjects",
            Self::ShadowCleanup | Self::ShadowRefresh => "shadows",
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
                    .with_help("add a work, such as <work><import>…</import></work>"),
            );
        }
        Some(read)
    }

    fn write(&self, name: &QName) -> Node {
        self.write_items(name)
    }
}

impl Content for ConfigurationToUse {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let mut read = Self::read_items(node, reading);
        if node.children.is_empty() && node.text.is_some() {
            // Said without the container around it.
            read.predefined = At::read(node, reading);
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
                    .with_help("name it, such as <import> or <reconciliation>"),
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
        if matches!(local, "resourceObjects" | "updatedResourceObjects" | "shadows") && local != kind.objects_item() {
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
