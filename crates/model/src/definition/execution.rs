//! How an activity is executed: for real or not, by how many, and what happens after errors.

use crate::definition::common::OperationStatus;
use crate::definition::leaf::Duration;
use crate::definition::table::{At, Content, Reading, definition, names, plain_content};
use crate::document::Node;
use crate::name::{QName, ns};

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
