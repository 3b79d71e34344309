//! What a repository holds, without what differs from run to run: generated ids and times.

use std::collections::BTreeMap;

use crate::{Home, Value};

/// Items that say when something happened, or how often, rather than what is.
const PASSING: &[&str] = &["oid", "version", "operationExecution", "metadata", "origin"];

/// All people, accounts, and so on, sorted, one line each; references by the name of what they point at.
#[must_use]
pub fn of(home: &Home) -> Vec<String> {
    let mut objects = Vec::new();
    for object_type in ["users", "roles", "orgs", "services", "shadows"] {
        objects.extend(home.get(object_type));
    }
    let names: BTreeMap<String, String> = objects
        .iter()
        .filter_map(|object| {
            let kind = object["type"].as_str()?;
            let name = object["primaryIdentifierValue"].as_str().or(object["name"].as_str())?;
            Some((object["oid"].as_str()?.to_owned(), format!("{kind} {name}")))
        })
        .collect();
    let mut lines: Vec<String> = objects.iter().map(|object| lasting(object, &names).to_string()).collect();
    lines.sort();
    lines
}

/// Fails, showing the first differences, unless two repositories hold the same.
///
/// # Panics
/// They differ.
pub fn assert_same(one: &[String], other: &[String]) {
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|line| b.binary_search(line).is_err()).take(3).cloned().collect()
    };
    assert!(
        one == other,
        "the repositories differ: {} and {} objects\nonly in the first: {:#?}\nonly in the second: {:#?}",
        one.len(),
        other.len(),
        only(one, other),
        only(other, one)
    );
}

fn lasting(value: &Value, names: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("oid").and_then(Value::as_str).and_then(|oid| names.get(oid))
                && !members.contains_key("name")
            {
                return Value::String(format!("-> {name}"));
            }
            let members = members.iter().filter(|(key, _)| !PASSING.contains(&key.as_str()) && !key.ends_with("Timestamp"));
            // Sorted, since order of items means nothing.
            let sorted: BTreeMap<&String, Value> = members.map(|(key, value)| (key, lasting(value, names))).collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| lasting(value, names)).collect()),
        value => value.clone(),
    }
}
