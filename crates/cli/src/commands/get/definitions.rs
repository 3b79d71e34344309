//! Resources and tasks: stored definitions.

use std::collections::HashMap;

use serde_json::Value as Json;
use tidelock_model::definition::{self, Definition};
use tidelock_model::document::Format;
use tidelock_model::value::Values;
use tidelock_model::{Items, Oid, Value};
use tidelock_repo::{Error, ErrorKind, ObjectType, Repo, StoredObject};

use super::{Printer, Which, failed};
use crate::config::Session;
use crate::definitions::parse_stored;
use crate::failure::Failure;
use crate::output::json;

pub(super) async fn get(session: &Session, repo: &dyn Repo, element: &'static str, which: &Which<'_>) -> Result<u64, Failure> {
    let failed = failed(session);
    let object_type = ObjectType::new(element);
    let header: &[&str] = match element {
        "task" => &["NAME", "ACTIVITY", "RESOURCE", "FILE", "OID"],
        _ => &["NAME", "OBJECT TYPES", "FILE", "OID"],
    };
    let mut printer = Printer::new(session, header);
    let mut stored = Vec::new();
    match which.key {
        Some(key) => {
            for key in Which::keys(key) {
                stored.extend(repo.object(&object_type, &key).await.map_err(&failed)?);
                if !stored.is_empty() {
                    break;
                }
            }
        }
        None => stored = repo.objects(&object_type).await.map_err(&failed)?,
    }
    let resources: HashMap<_, _> = match printer.is_json() {
        true => HashMap::new(),
        false => {
            let stored = repo.objects(&ObjectType::new("resource")).await.map_err(&failed)?;
            stored.into_iter().filter_map(|resource| Some((resource.oid?, resource.name))).collect()
        }
    };
    let mut left = which.limit;
    for object in &stored {
        if left == 0 {
            break;
        }
        let (definition, _) = parse_stored(object, &session.sources).map_err(&failed)?;
        let type_name = if element == "task" { "TaskType" } else { "ResourceType" };
        if which.evaluator.is_some() && !which.admits(&items(&definition), object.oid.as_ref(), type_name) {
            continue;
        }
        left -= 1;
        let text = definition::write(std::slice::from_ref(&definition), Format::Json);
        let document: Json = serde_json::from_str(&text).map_err(|_| {
            failed(Error::new(ErrorKind::Corrupt, format!("the stored {element} '{}' has no JSON form", object.name)))
        })?;
        printer.print(|| json::definition(object.oid.as_ref(), type_name, document), || row(object, &definition, &resources))?;
    }
    printer.finish()
}

/// What a query can ask about: plain items at the top.
fn items(definition: &Definition) -> Items {
    let node = definition.to_node();
    let mut items = Items::new();
    for child in node.children.iter().filter(|child| child.children.is_empty()) {
        if let Some(text) = &child.text {
            let mut values: Values = items.get(child.local()).into();
            values.push(Value::string(text.trim()));
            items.set(child.local(), values);
        }
    }
    items
}

fn row(object: &StoredObject, definition: &Definition, resources: &HashMap<Oid, String>) -> Vec<String> {
    let mut row = vec![object.name.clone()];
    match definition {
        Definition::Task(task) => {
            let work = task.activity.as_ref().and_then(|activity| activity.work.as_ref());
            let resource = work.and_then(|work| work.objects.as_ref()?.resource_ref.as_ref()?.oid.clone());
            row.push(work.map(|work| work.kind.as_str().to_owned()).unwrap_or_default());
            row.push(resource.map(|oid| resources.get(&oid).cloned().unwrap_or_else(|| oid.to_string())).unwrap_or_default());
        }
        Definition::Resource(resource) => {
            let types = resource.schema_handling.iter().flat_map(|handling| &handling.object_type);
            row.push(types.map(|object_type| object_type.type_id().to_string()).collect::<Vec<_>>().join(", "));
        }
        Definition::Focus(_) | Definition::Other(_) => row.push(String::new()),
    }
    row.push(object.origin.clone().unwrap_or_default());
    row.push(object.oid.as_ref().map(ToString::to_string).unwrap_or_default());
    row
}
