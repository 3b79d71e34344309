//! Tasks as midPoint 4.3 and earlier had them: a handler, and items in an extension. They stand for an activity.

use crate::definition::activity::{Activity, WorkKind};
use crate::definition::common::ObjectRef;
use crate::definition::file::Definition;
use crate::definition::table::{Content, Reading, shorten};
use crate::definition::task::Task;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::{self, Format, Node};
use crate::name::{QName, ns};

/// A task that was written in the form of midPoint 4.3, in the form of today.
#[derive(Clone, Debug)]
pub struct ModernTask {
    /// The task with an activity; what has become part of that is gone elsewhere.
    pub task: Task,
    /// What is to be said: that the form is an old one, and which items mean nothing any longer.
    pub diagnostics: Diagnostics,
}

/// What each handler did. The URIs end alike.
const HANDLERS: [(&str, WorkKind); 8] = [
    ("model/synchronization/task/import/handler-3", WorkKind::Import),
    ("model/synchronization/task/reconciliation/handler-3", WorkKind::Reconciliation),
    ("model/synchronization/task/partitioned-reconciliation/handler-3", WorkKind::Reconciliation),
    ("model/synchronization/task/live-sync/handler-3", WorkKind::LiveSynchronization),
    ("model/synchronization/task/async-update/handler-3", WorkKind::AsynchronousUpdate),
    ("model/synchronization/task/delete-not-updated-shadow/handler-3", WorkKind::ShadowCleanup),
    ("model/shadowRefresh/handler-3", WorkKind::ShadowRefresh),
    ("model/trigger/scanner/handler-3", WorkKind::TriggerScan),
];

const HANDLER_NAMESPACE: &str = "http://midpoint.evolveum.com/xml/ns/public/";

/// Items of an extension that are items of an object set today, with their names there.
const SET_ITEMS: [(&str, &str); 6] = [
    ("kind", "kind"),
    ("intent", "intent"),
    ("objectclass", "objectclass"),
    ("objectQuery", "query"),
    ("searchOptions", "searchOptions"),
    ("failedObjectsSelector", "failedObjectsSelector"),
];

/// Items of an extension that are items of a work today, with their names there and the work.
const WORK_ITEMS: [(&str, &str, WorkKind); 3] = [
    ("liveSyncBatchSize", "batchSize", WorkKind::LiveSynchronization),
    ("updateLiveSyncTokenInDryRun", "updateLiveSyncTokenInDryRun", WorkKind::LiveSynchronization),
    ("notUpdatedShadowsDuration", "interval", WorkKind::ShadowCleanup),
];

impl Task {
    /// The task in the form of today, if it is one without an activity whose handler is a known one of midPoint 4.3.
    #[must_use]
    pub fn modern(&self) -> Option<ModernTask> {
        let handler = self.handler_uri.as_ref().filter(|_| self.activity.is_none())?;
        let path = handler.value.strip_prefix(HANDLER_NAMESPACE)?;
        let (_, kind) = HANDLERS.iter().find(|(known, _)| *known == path)?;
        let mut reading = Reading::default();
        let mut found = Diagnostics::new();
        let node = Conversion { task: self, kind, place: &handler.place }.activity(&mut found);
        let activity = Activity::read(&node, &mut reading);
        let task = Self {
            handler_uri: None,
            object_ref: None,
            extension: None,
            activity,
            rest: self.rest.iter().filter(|node| node.local() != "errorHandlingStrategy").cloned().collect(),
            ..self.clone()
        };
        let message = "the task is in the form of midPoint 4.3, which later versions of midPoint do not know".to_owned();
        let said = Diagnostic::info("legacy-task", &handler.place, message)
            .with_help(format!("write it as\n{}", shown(&task, handler.place.file.as_deref()).trim_end()));
        let mut diagnostics = vec![said];
        diagnostics.extend(found);
        diagnostics.extend(reading.finish());
        Some(ModernTask { task, diagnostics })
    }
}

/// The task as text, in the notation of its file.
fn shown(task: &Task, file: Option<&str>) -> String {
    let format = file.and_then(Format::of_path).unwrap_or(Format::Xml);
    document::write(&[Definition::Task(Box::new(task.clone())).to_node()], format)
}

struct Conversion<'a> {
    task: &'a Task,
    kind: &'a WorkKind,
    place: &'a Place,
}

impl Conversion<'_> {
    fn activity(&self, found: &mut Diagnostics) -> Node {
        let items = self.task.extension.as_ref().map_or(&[][..], |extension| &extension.children);
        let mut set = self.container(self.kind.objects_item());
        let mut work = self.container(self.kind.as_str());
        let mut activity = self.container("activity");
        let mut later = Vec::new();
        if let Some(resource) = &self.task.object_ref {
            set.children.push(reference(resource));
        }
        for item in items {
            if let Some((_, name)) = SET_ITEMS.iter().find(|(old, _)| *old == item.local()) {
                set.children.push(renamed(item, name));
            } else if let Some((_, name, _)) = WORK_ITEMS.iter().find(|(old, _, kind)| *old == item.local() && kind == self.kind)
            {
                work.children.push(renamed(item, name));
            } else if let Some(node) = self.elsewhere(item) {
                later.extend(node);
            } else if item.local() != "syncToken" {
                let message = format!("'{}' means nothing to this task", shorten(item.local()));
                found.push(Diagnostic::warning("ignored-item", &item.place, message).with_help("remove it"));
            }
        }
        if let Some(strategy) = self.task.rest.iter().find(|node| node.local() == "errorHandlingStrategy") {
            later.push(self.around("controlFlow", renamed(strategy, "errorHandling")));
        }
        // Triggers need not be those of one resource.
        if *self.kind != WorkKind::TriggerScan || !set.children.is_empty() {
            work.children.insert(0, set);
        }
        activity.children.push(self.around("work", work));
        activity.children.extend(later);
        activity
    }

    /// What an item has become outside of the work; none if it is unknown.
    fn elsewhere(&self, item: &Node) -> Option<Option<Node>> {
        let is_on = || matches!(item.text().trim(), "true" | "1");
        Some(match (item.local(), self.kind) {
            ("dryRun", _) => is_on().then(|| self.around("execution", at(item, "mode", "dryRun"))),
            ("workerThreads", _) => Some(self.around("distribution", renamed(item, "workerThreads"))),
            ("finishOperationsOnly", WorkKind::Reconciliation) => is_on().then(|| {
                let mut change = self.container("change");
                change.children.push(at(item, "reference", "resourceObjects"));
                change.children.push(at(item, "reference", "remainingShadows"));
                change.children.push(self.around("controlFlow", at(item, "processingOption", "skip")));
                self.around("tailoring", change)
            }),
            ("retryLiveSyncErrors", WorkKind::LiveSynchronization) => (!is_on()).then(|| {
                let reaction = self.around("reaction", at(item, "ignore", ""));
                self.around("controlFlow", self.around("errorHandling", self.around("entry", reaction)))
            }),
            _ => return None,
        })
    }

    fn container(&self, name: &str) -> Node {
        Node { place: self.place.clone(), ..Node::new(QName::common(name)) }
    }

    fn around(&self, name: &str, inner: Node) -> Node {
        Node { children: vec![inner], ..self.container(name) }
    }
}

/// The same content under another name; a declared type is that of the old item.
fn renamed(node: &Node, name: &str) -> Node {
    let mut node = Node { name: QName::common(name), ..node.clone() };
    node.attributes.retain(|attribute| attribute.name.namespace() != Some(ns::XSI));
    node
}

/// A text that an item stands for.
fn at(item: &Node, name: &str, text: &str) -> Node {
    Node { place: item.place.clone(), ..Node::leaf(QName::common(name), text) }
}

fn reference(resource: &ObjectRef) -> Node {
    Node { place: resource.place.clone(), ..resource.write(&QName::common("resourceRef")) }
}
