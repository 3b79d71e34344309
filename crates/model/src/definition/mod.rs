//! Typed definitions: resources, tasks and focus objects, read from the document tree and written back to it.
//!
//! Every type has one table of its items, from which reading, writing and the detection of unknown items follow. What
//! midPoint knows and Tidelock does not use is kept in `rest` and written back. Nothing here decides what a definition means:
//! that is the resolver's.

pub mod base64;

mod activity;
mod common;
mod content;
mod content_json;
mod correlation;
mod cron;
mod execution;
mod file;
mod focus;
mod leaf;
mod legacy;
mod legacy_task;
mod mapping;
mod nearest;
mod object_type;
mod resource;
mod synchronization;
mod table;
mod task;

pub use activity::{
    Activity, Composition, FailedObjectsSelector, QueryApplication, ResourceObjectSet, SelectionMethod, Work, WorkKind,
};
pub use common::{FilterSource, ObjectRef, OperationStatus, OrderDirection, Paging, Query};
pub use content_json::{content_from_json, content_from_json_str, content_to_json, content_to_json_string};
pub use correlation::{
    Correlation, CorrelationItem, CorrelatorComposition, Correlators, FuzzySearch, FuzzyThreshold, ItemSearch, ItemsCorrelator,
    Thresholds,
};
pub use execution::{
    ActivityTailoring, ConfigurationToUse, ControlFlow, Distribution, ErrorCategory, ErrorHandling, ErrorHandlingEntry,
    ErrorReaction, ErrorSituation, Execution, ExecutionMode, NoItems, PredefinedConfiguration, ProcessingOption, RetryLater,
    Tailoring, TailoringMode,
};
pub use file::{Definition, OtherObject, read_file, write};
pub use focus::FocusObject;
pub use leaf::{Duration, ItemPathText};
pub use legacy::{LegacyAction, LegacyReaction, LegacySynchronization, ObjectSynchronization};
pub use legacy_task::ModernTask;
pub use mapping::{
    AttributeCorrelator, AttributeItem, EvaluationPhases, Evaluator, Expression, Mapping, MappingSource, MappingTarget,
    MappingUse, Script, Strength,
};
pub use nearest::nearest;
pub use object_type::{
    Activation, BaseContext, BaseContextUse, BidirectionalMapping, DefaultEvaluationPhases, Delineation, EvaluationPhase,
    FocusSpecification, InboundMappingsEvaluation, MappingsEvaluation, MarkApplication, Marking, ObjectPattern,
    ObjectTypeDefinition, SchemaHandling, SearchHierarchyScope, SuperType,
};
pub use resource::{
    AdditionalConnector, AdministrativeAvailability, AdministrativeOperationalState, CachedAttributes, Caching, CachingScope,
    CachingStrategy, Capabilities, Capability, ConfiguredCapabilities, ConnectorConfiguration, LiveSyncCapability, Property,
    ReadCapability, Resource, SuperResource,
};
pub use synchronization::{Action, ActionKind, DefaultSettings, Reaction, Synchronization};
pub use table::At;
pub use task::{Binding, ExecutionState, MisfireAction, Recurrence, Schedule, Task};
