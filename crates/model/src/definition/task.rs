//! Task definitions.

use crate::definition::activity::Activity;
use crate::definition::common::ObjectRef;
use crate::definition::cron;
use crate::definition::table::{At, Content, Reading, definition, names};
use crate::diagnostic::Diagnostic;
use crate::document::Node;
use crate::name::{QName, ns};
use crate::oid::Oid;
use crate::time::Timestamp;

definition! {
    /// A task: an activity, and when it runs.
    pub struct Task in [ns::COMMON] {
        attributes {
            /// The OID.
            oid = "oid": Option<At<Oid>>,
        }
        items {
            /// The name.
            name = "name": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// Whose it is.
            owner_ref = "ownerRef": Option<ObjectRef>,
            /// Whether it may run.
            execution_state = "executionState" | "executionStatus": Option<At<ExecutionState>>,
            /// What it does, as definitions before activities said it.
            handler_uri = "handlerUri": Option<At<String>>,
            /// What it works on, as definitions before activities said it.
            object_ref = "objectRef": Option<ObjectRef>,
            /// Items of an extension, as definitions before activities used them.
            extension = "extension": Option<Node>,
            /// What it does.
            activity = "activity": Option<Activity>,
            /// When it runs.
            schedule = "schedule": Option<Schedule>,
        }
        kept [
            "documentation", "metadata", "fetchResult", "operationExecution", "subtype", "assignment", "parentOrgRef",
            "roleMembershipRef", "delegatedRef", "roleInfluenceRef", "archetypeRef", "tenantRef", "iteration", "iterationToken",
            "diagnosticInformation", "indestructible", "policySituation", "policyException", "policyStatement", "effectiveMarkRef",
            "trigger", "taskIdentifier", "requesterRef", "channel", "parent", "subtaskRef", "dependent", "dependentTaskRef",
            "waitingReason", "stateBeforeSuspend", "schedulingState", "schedulingStateBeforeSuspend", "executionConstraints",
            "executionEnvironment", "node", "nodeAsObserved", "category", "otherHandlersUriStack", "result", "resultStatus",
            "lastRunStartTimestamp", "lastRunFinishTimestamp", "completionTimestamp", "progress", "operationStats",
            "activityState", "affectedObjects", "workState", "workManagement", "errorHandlingStrategy", "binding", "recurrence",
            "threadStopAction", "cleanupAfterCompletion", "autoArchive", "persistentConditions", "modelOperationContext",
            "expectedTotal", "stalledSince", "nextRunStartTimestamp", "nextRetryTimestamp", "unpauseAction", "taskRunIdentifier",
            "triggeredPolicyRule", "activation", "credentials", "lifecycle", "executionGroup", "actionsExecutedInformation", "reporting",
        ]
    }
}

names! {
    /// Whether a task may run.
    pub enum ExecutionState: "an execution state" {
        /// It runs when its time comes.
        Runnable = "runnable",
        /// It waits for others.
        Waiting = "waiting",
        /// Somebody, or an error, has stopped it.
        Suspended = "suspended",
        /// It is done.
        Closed = "closed",
        /// It runs at the moment.
        Running = "running",
    }
}

definition! {
    /// When a task runs.
    pub struct Schedule in [ns::COMMON] {
        items {
            /// Once, or again and again. Where this is absent, an interval or a pattern means again and again.
            recurrence = "recurrence": Option<At<Recurrence>>,
            /// Whether the task stays in memory between its runs.
            binding = "binding": Option<At<Binding>>,
            /// Seconds from start to start.
            interval = "interval": Option<At<i64>>,
            /// A pattern of times, in Quartz's notation.
            cron_like_pattern = "cronLikePattern": Option<At<String>>,
            /// It does not start before.
            earliest_start_time = "earliestStartTime": Option<At<Timestamp>>,
            /// It does not start after.
            latest_start_time = "latestStartTime": Option<At<Timestamp>>,
            /// What happens after a missed start.
            misfire_action = "misfireAction": Option<At<MisfireAction>>,
        }
        kept ["latestFinishTime", "description", "documentation"]
    }
}

names! {
    /// Whether a task runs once.
    pub enum Recurrence: "a recurrence" {
        /// Once.
        Single = "single",
        /// Again and again.
        Recurring = "recurring",
    }
}

names! {
    /// Whether a task stays in memory between its runs.
    pub enum Binding: "a binding" {
        /// It stays.
        Tight = "tight",
        /// It does not.
        Loose = "loose",
    }
}

names! {
    /// What happens after a missed start.
    pub enum MisfireAction: "a misfire action" {
        /// The task runs as soon as it can.
        ExecuteImmediately = "executeImmediately",
        /// It waits for the next time.
        Reschedule = "reschedule",
    }
}

impl Content for Schedule {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        let read = Self::read_items(node, reading);
        if let Some(pattern) = &read.cron_like_pattern
            && let Err(wrong) = cron::check(pattern)
        {
            reading.report(
                Diagnostic::error("bad-value", &pattern.place, format!("cronLikePattern: {wrong}"))
                    .with_help("write a pattern such as '0 30 2 * * ?': every night at half past two"),
            );
        }
        Some(read)
    }

    fn write(&self, name: &QName) -> Node {
        self.write_items(name)
    }
}

impl Task {
    pub(crate) fn read(node: &Node, reading: &mut Reading) -> Self {
        Self::read_items(node, reading)
    }

    pub(crate) fn write(&self) -> Node {
        self.write_items(&QName::common("task"))
    }
}

impl Schedule {
    /// Whether the task runs again and again: as it says, else if there is an interval or a pattern.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        match &self.recurrence {
            Some(recurrence) => recurrence.value == Recurrence::Recurring,
            None => self.interval.is_some() || self.cron_like_pattern.is_some(),
        }
    }
}
