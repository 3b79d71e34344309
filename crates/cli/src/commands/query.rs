//! `query`: parses a filter and prints it in its normal form.

use serde_json::json;
use tidelock_model::object::FocusType;
use tidelock_resolver::filter::{print, to_xml};

use crate::commands::filter;
use crate::config::Session;
use crate::failure::{Exit, Failure};
use crate::output::STRONG;

/// The types of objects that a query may be for, beside foci.
const OTHER_TYPES: &[&str] = &["ShadowType", "ResourceType", "TaskType", "ObjectType", "FocusType", "AssignmentHolderType"];

pub(super) fn query(session: &Session, text: &str, object_type: Option<&str>) -> Result<Exit, Failure> {
    let output = &session.output;
    if let Some(name) = object_type {
        let local = name.strip_prefix("c:").unwrap_or(name);
        if local.parse::<FocusType>().is_err() && !OTHER_TYPES.contains(&local) {
            let known: Vec<_> = FocusType::ALL.iter().map(|t| t.type_name()).chain(OTHER_TYPES.iter().copied()).collect();
            return Err(Failure::usage(format!("'{name}' is not a type of object"), format!("types are {}", known.join(", "))));
        }
    }
    match filter(session, "TEXT", text) {
        Ok(filter) => {
            let (text, xml) = (print(&filter), to_xml(&filter));
            if output.is_json() {
                output.document(&json!({ "ok": true, "text": text, "xml": xml }))?;
            } else {
                let paint = output.paint();
                output.say(&format!("{}\n\n{}", paint.text(STRONG, text), xml.trim_end()))?;
            }
            Ok(Exit::Done)
        }
        Err(error) if output.is_json() => {
            output.document(&json!({ "ok": false, "diagnostics": [error] }))?;
            Ok(Exit::Definition)
        }
        Err(error) => Err(Failure::of_definition(error)),
    }
}
