//! The options of a set: how its objects are read, and which of them are left out because they did not fail.

use tidelock_model::definition::{FailedObjectsSelector, OperationStatus, SelectionMethod, nearest};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Oid, Timestamp};

use crate::matrix::{OptionUse, Source};
use crate::object_set::{FailedObjects, FailedSelection, Resolution};

/// Options that ask for something that is done anyway here, or that there is no difference in.
const WITHOUT_EFFECT: [&str; 11] = [
    "doNotDiscovery",
    "noDiscovery",
    "readOnly",
    "allowNotFound",
    "distinct",
    "attachDiagData",
    "resolveNames",
    "iterationMethod",
    "iterationPageSize",
    "errorReportingMethod",
    "tolerateRawData",
];

/// Options that would make a difference.
const NOT_SUPPORTED: [&str; 10] = [
    "raw",
    "retrieve",
    "resolve",
    "relationalValueSearchQuery",
    "pointInTimeType",
    "staleness",
    "forceRefresh",
    "forceRetry",
    "definitionProcessing",
    "executionPhase",
];

impl Resolution<'_> {
    /// Whether objects are taken from what the repository knows of them.
    pub(super) fn no_fetch(&mut self) -> Result<bool, Diagnostic> {
        let Some(node) = &self.set.search_options else { return Ok(false) };
        if !matches!(self.rules.search_options, OptionUse::Used | OptionUse::NoFetchOnly) {
            return Ok(false);
        }
        let mut no_fetch = false;
        for option in &node.children {
            match option.local() {
                "option" => no_fetch |= self.search_option(option)?,
                _ => self.unknown(node, option, &["option"]),
            }
        }
        Ok(no_fetch)
    }

    fn search_option(&mut self, option: &Node) -> Result<bool, Diagnostic> {
        let selector = option.child("selector").and_then(|selector| selector.child("path"));
        if let Some(path) = selector.filter(|path| !matches!(path.text().trim(), "" | "." | "/")) {
            self.lack_option("an option for single items", path);
            return Ok(false);
        }
        let mut no_fetch = false;
        for value in option.children_named("options").flat_map(|options| &options.children) {
            let is_off = matches!(value.text().trim(), "false" | "0");
            match value.local() {
                "noFetch" => {
                    no_fetch = match value.text().trim() {
                        "true" | "1" => true,
                        _ if is_off => false,
                        _ => {
                            return Err(Diagnostic::error("bad-value", &value.place, "'noFetch' is neither true nor false")
                                .with_help("write true or false"));
                        }
                    };
                }
                _ if is_off => {}
                name if WITHOUT_EFFECT.contains(&name) => self.ignore_option(value),
                name if NOT_SUPPORTED.contains(&name) && self.rules.search_options == OptionUse::NoFetchOnly => {
                    self.ignore_option(value);
                }
                name if NOT_SUPPORTED.contains(&name) => self.lack_option(&format!("'{name}'"), value),
                _ => {
                    let known: Vec<&str> = ["noFetch"].into_iter().chain(WITHOUT_EFFECT).chain(NOT_SUPPORTED).collect();
                    self.unknown(option, value, &known);
                }
            }
        }
        Ok(no_fetch)
    }

    fn ignore_option(&mut self, option: &Node) {
        let message = format!("the search option '{}' makes no difference to {}", option.local(), self.rules.activity);
        self.diagnostics
            .push(Diagnostic::warning("ignored-item", &option.place, message).with_help(format!("remove '{}'", option.local())));
    }

    fn lack_option(&mut self, what: &str, at: &Node) {
        self.diagnostics.push(
            Diagnostic::warning("not-supported", &at.place, format!("{what} is not supported yet; it has no effect"))
                .with_help("of search options, 'noFetch' is supported"),
        );
    }

    fn unknown(&mut self, parent: &Node, node: &Node, known: &[&str]) {
        let name: String = node.local().chars().take(60).collect();
        let message = format!("'{}' has no item '{name}'; it is ignored", parent.local());
        let warning = Diagnostic::warning("unknown-item", &node.place, message);
        self.diagnostics.push(match nearest(node.local(), known.iter().copied()) {
            Some(near) => warning.with_help(format!("did you mean '{near}'?")),
            None => warning,
        });
    }

    /// Which objects are left out because they did not fail.
    pub(super) fn failed_objects(&self, no_fetch: bool) -> Result<Option<FailedObjects>, Diagnostic> {
        let Some(selector) = &self.set.failed_objects_selector else { return Ok(None) };
        if self.rules.failed_objects != OptionUse::Used {
            return Ok(None);
        }
        let mut tasks: Vec<Oid> = Vec::with_capacity(selector.task_ref.len());
        for reference in &selector.task_ref {
            let Some(oid) = &reference.oid else {
                return Err(Diagnostic::error("bad-value", &reference.place, "'taskRef' has no OID")
                    .with_help("give the OID of the task in which objects failed, or leave 'taskRef' out for this task"));
            };
            tasks.push(oid.clone());
        }
        let statuses = match &*selector.status {
            [] => vec![OperationStatus::FatalError, OperationStatus::PartialError],
            some => some.iter().map(|status| status.value).collect(),
        };
        let time = |time: &Option<tidelock_model::definition::At<Timestamp>>| time.as_ref().map(|time| time.value);
        let selection = self.selection(selector, no_fetch)?;
        Ok(Some(FailedObjects { selection, statuses, tasks, from: time(&selector.time_from), to: time(&selector.time_to) }))
    }

    fn selection(&self, selector: &FailedObjectsSelector, no_fetch: bool) -> Result<FailedSelection, Diagnostic> {
        let method = selector.selection_method.as_ref();
        let searches = self.rules.source == Source::Search;
        Ok(match (method.map_or(SelectionMethod::Default, |method| method.value), searches) {
            (SelectionMethod::FilterAfterRetrieval, _) => FailedSelection::Filter,
            (SelectionMethod::FetchFailedObjects, true) => FailedSelection::Fetch,
            (SelectionMethod::Default, true) if !no_fetch => FailedSelection::Fetch,
            (SelectionMethod::NarrowQuery, true) if !no_fetch => {
                let place = method.map_or(&selector.place, |method| &method.place);
                return Err(Diagnostic::error(
                    "bad-value",
                    place,
                    format!(
                        "'narrowQuery' is for searches in the repository, and {} searches on the resource",
                        self.rules.activity
                    ),
                )
                .with_help("leave 'selectionMethod' out, or choose fetchFailedObjects or filterAfterRetrieval"));
            }
            // Each of these objects is read one by one in any case.
            _ => FailedSelection::Narrow,
        })
    }
}
