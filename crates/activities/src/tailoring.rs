//! How an activity is run, as it says itself and as an activity around it changes that.

use tidelock_model::Place;
use tidelock_model::definition::{
    Activity, ActivityTailoring, At, ConfigurationToUse, ControlFlow, Distribution, ExecutionMode, ProcessingOption,
    TailoringMode,
};

/// How an activity is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) mode: Option<At<ExecutionMode>>,
    pub(crate) configuration: Option<ConfigurationToUse>,
    pub(crate) control_flow: Option<ControlFlow>,
    pub(crate) distribution: Option<Distribution>,
}

impl Settings {
    /// What an activity says of itself.
    pub(crate) fn of(activity: &Activity) -> Self {
        let execution = activity.execution.as_ref();
        Self {
            mode: execution.and_then(|execution| execution.mode.clone()).or_else(|| activity.execution_mode.clone()),
            configuration: execution.and_then(|execution| execution.configuration_to_use.clone()),
            control_flow: activity.control_flow.clone(),
            distribution: activity.distribution.clone(),
        }
    }

    /// Leaves the activity out, until something says otherwise.
    pub(crate) fn skip(&mut self, place: &Place) {
        self.control_flow.get_or_insert_default().processing_option =
            Some(At { value: ProcessingOption::Skip, place: place.clone() });
    }

    /// Applies what the activity around says about a part.
    ///
    /// `is_preview`: a part that is left out by default stays so until a change names a processing option. midPoint would
    /// run it after any change of its control flow.
    pub(crate) fn tailor(&mut self, around: &Activity, part: &str, is_preview: bool) {
        let changes = around.tailoring.iter().flat_map(|tailoring| &tailoring.change);
        let meant = |change: &&ActivityTailoring| change.reference.is_empty() || change.reference.iter().any(|r| r.value == part);
        for change in changes.filter(meant) {
            self.apply(change, is_preview);
        }
    }

    /// Whether the activity is left out.
    pub(crate) fn is_skipped(&self) -> bool {
        let option = self.control_flow.as_ref().and_then(|flow| flow.processing_option.as_ref());
        option.is_some_and(|option| option.value == ProcessingOption::Skip)
    }

    /// How many workers are asked for.
    pub(crate) fn workers(&self) -> usize {
        let workers = self.distribution.as_ref().and_then(|distribution| distribution.worker_threads.as_ref());
        workers.and_then(|workers| usize::try_from(workers.value).ok()).unwrap_or_default()
    }

    fn apply(&mut self, change: &ActivityTailoring, is_preview: bool) {
        if let Some(mode) = &change.execution_mode {
            self.mode = Some(mode.clone());
        }
        if let Some(execution) = &change.execution {
            self.mode = execution.mode.clone().or_else(|| change.execution_mode.clone());
            self.configuration.clone_from(&execution.configuration_to_use);
        }
        if let Some(flow) = &change.control_flow {
            let option = self.control_flow.as_ref().and_then(|flow| flow.processing_option.clone());
            if is_specified_only(flow.tailoring_mode.as_ref()) {
                let own = self.control_flow.get_or_insert_default();
                overwrite(&mut own.processing_option, &flow.processing_option);
                overwrite(&mut own.error_handling, &flow.error_handling);
            } else {
                self.control_flow = Some(flow.clone());
            }
            if is_preview && let Some(own) = &mut self.control_flow {
                own.processing_option = own.processing_option.take().or(option);
            }
        }
        if let Some(distribution) = &change.distribution {
            if is_specified_only(distribution.tailoring_mode.as_ref()) {
                let own = self.distribution.get_or_insert_default();
                overwrite(&mut own.worker_threads, &distribution.worker_threads);
            } else {
                self.distribution = Some(distribution.clone());
            }
        }
    }
}

/// The default is to take the place of all that is there.
fn is_specified_only(mode: Option<&At<TailoringMode>>) -> bool {
    mode.is_some_and(|mode| mode.value == TailoringMode::OverwriteSpecified)
}

fn overwrite<T: Clone>(own: &mut Option<T>, new: &Option<T>) {
    if new.is_some() {
        own.clone_from(new);
    }
}
