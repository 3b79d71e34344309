//! Fixtures as text: resources, types, objects.

use std::sync::Arc;

use tidelock_model::definition::{Definition, Resource, ResourceObjectSet, Task, read_file};
use tidelock_model::document::Format;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, ResourceObject, Schema};
use tidelock_model::{Diagnostics, Items, Value};
use tidelock_resolver::compile::compile;
use tidelock_resolver::policy::ResourcePolicy;

/// Two classes of text attributes: `account` with several values in `groups`, and `group`; and `entry`, a directory's.
pub(crate) fn schema() -> Schema {
    let mut schema = Schema::default()
        .with_class("account", "uid", &["login", "ou", "mail", "given", "family", "number", "status", "groups"])
        .with_class("group", "gid", &["cn"]);
    let account = Arc::make_mut(&mut schema.classes[0]);
    account.attributes.iter_mut().find(|a| &*a.name == "groups").unwrap().multi_valued = true;
    account.attributes.iter_mut().find(|a| &*a.name == "mail").unwrap().matching_rule = MatchingRule::StringIgnoreCase;
    let mut entry = ObjectClass::new("entry", "entryUUID");
    let mut dn = AttributeDefinition::text("dn");
    dn.matching_rule = MatchingRule::DistinguishedName;
    entry.naming_attribute = dn.name.clone();
    entry.attributes.push(dn);
    schema.classes.push(Arc::new(entry));
    schema
}

/// A resource whose definition is this YAML.
pub(crate) fn resource(yaml: &str) -> (Resource, Diagnostics) {
    let text = format!("resource:\n  name: R\n{}", indented(yaml, 2));
    let (definitions, diagnostics) = read_file(text.as_bytes(), None, Format::Yaml);
    match definitions.into_iter().next() {
        Some(Definition::Resource(resource)) => (*resource, diagnostics),
        other => panic!("no resource but {other:?}: {diagnostics:?}\n{text}"),
    }
}

/// The policy of a resource, which must be free of errors.
pub(crate) fn policy(yaml: &str) -> ResourcePolicy {
    let (resource, read) = resource(yaml);
    let (policy, found) = compile(&resource, &schema());
    policy.unwrap_or_else(|| panic!("{}", shown(&[read, found].concat())))
}

/// The policy of a resource with the types of lines such as `account/svc class=account order=1 where ou = "svc"`.
pub(crate) fn typed(lines: &str) -> ResourcePolicy {
    policy(&types(lines))
}

/// The YAML of such types.
pub(crate) fn types(lines: &str) -> String {
    let mut yaml = "schemaHandling:\n  objectType:\n".to_owned();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (words, filter) = match line.split_once(" where ") {
            Some((words, filter)) => (words, Some(filter)),
            None => (line, None),
        };
        let mut delineation = String::new();
        let mut words = words.split_whitespace();
        let (kind, intent) = words.next().unwrap().split_once('/').unwrap();
        yaml += &format!("    - kind: {kind}\n      intent: {intent}\n");
        for word in words {
            match word.split_once('=') {
                Some(("class", class)) => delineation += &format!("        objectClass: ri:{class}\n"),
                Some(("order", order)) => delineation += &format!("        classificationOrder: {order}\n"),
                Some((item, value)) => yaml += &format!("      {item}: {value}\n"),
                None => yaml += &format!("      {word}: true\n"),
            }
        }
        if let Some(filter) = filter {
            delineation += &format!("        filter:\n          - text: {filter:?}\n");
        }
        yaml += &format!("      delineation:\n{delineation}");
    }
    yaml
}

/// An object of a line such as `account uid=7 ou=svc groups=a,b`.
pub(crate) fn object(line: &str) -> ResourceObject {
    let mut words = line.split_whitespace();
    let class = words.next().unwrap();
    let attributes = items(&words.collect::<Vec<_>>().join(" "));
    let identifier = attributes.iter().next().and_then(|(_, values)| values.first()?.to_text()).unwrap_or_default().into_owned();
    ResourceObject::new(class, identifier, attributes)
}

/// Items of words such as `name=ann activation/administrativeStatus=enabled organization=a,b`. Only in `dn` a comma is a comma.
pub(crate) fn items(words: &str) -> Items {
    let mut items = Items::new();
    for (path, value) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
        let path: Vec<Arc<str>> = path.split('/').map(Arc::from).collect();
        let values: Vec<&str> = if &*path[0] == "dn" { vec![value] } else { value.split(',').collect() };
        items.set_at_path(&path, values.into_iter().filter(|v| !v.is_empty()).map(Value::from).collect());
    }
    items
}

/// The same words again.
pub(crate) fn words(items: &Items) -> String {
    let mut words = Vec::new();
    for (key, values) in items.iter() {
        let texts: Vec<String> = values.iter().filter_map(|value| value.to_text().map(std::borrow::Cow::into_owned)).collect();
        if !texts.is_empty() {
            words.push(format!("{key}={}", texts.join(",")));
        }
        for value in values {
            if let Value::Container(inner) = value {
                words.extend(self::words(inner).split_whitespace().map(|word| format!("{key}/{word}")));
            }
        }
    }
    words.join(" ")
}

/// The object set of a task whose work is this YAML.
pub(crate) fn object_set(yaml: &str) -> (ResourceObjectSet, Diagnostics) {
    let text = format!(
        "task:\n  name: T\n  activity:\n    work:\n      import:\n        resourceObjects:\n          description: x\n{}",
        indented(yaml, 10)
    );
    let (definitions, diagnostics) = read_file(text.as_bytes(), None, Format::Yaml);
    match definitions.into_iter().next() {
        Some(Definition::Task(task)) => (set_of(*task), diagnostics),
        other => panic!("no task but {other:?}: {diagnostics:?}\n{text}"),
    }
}

fn set_of(task: Task) -> ResourceObjectSet {
    task.activity.unwrap().work.unwrap().objects.unwrap()
}

/// Diagnostics, one a line, with the cure in the next.
pub(crate) fn shown(diagnostics: &[tidelock_model::Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text += &format!("{diagnostic}\n");
        if let Some(help) = &diagnostic.help {
            text += &format!("    {help}\n");
        }
    }
    text
}

pub(crate) fn indented(text: &str, by: usize) -> String {
    let lines = text.lines().skip_while(|line| line.trim().is_empty());
    let margin = text.lines().filter(|l| !l.trim().is_empty()).map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
    lines.map(|line| format!("{}{}\n", " ".repeat(by), line.get(margin..).unwrap_or_default())).collect()
}
