//! A folder of definitions as a deployment of some size has it: resources, their tasks, and people, in all three formats.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// One of so many files is a resource; tasks and people share the rest.
const FILES_PER_RESOURCE: usize = 20;

const COMMON: &str = "http://midpoint.evolveum.com/xml/ns/public/common/common-3";
const CSV: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/com.evolveum.polygon.connector-csv/com.evolveum.polygon.connector.csv.CsvConnector";

/// The attributes that the resources' files have beside the identifier, and the items of people that they become.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("employeeNumber", "employeeNumber"),
    ("givenName", "givenName"),
    ("familyName", "familyName"),
    ("mail", "emailAddress"),
    ("department", "organizationalUnit"),
    ("title", "title"),
    ("phone", "telephoneNumber"),
    ("city", "locality"),
];

/// Writes so many definition files into a new folder, beside the CSV files that the resources read. All of them are right.
///
/// # Errors
///
/// A file cannot be written.
pub(super) fn write(folder: &Path, files: usize) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for number in 0..files {
        let resource = number / FILES_PER_RESOURCE * FILES_PER_RESOURCE;
        let (name, text) = match number % FILES_PER_RESOURCE {
            0 => {
                write_file(&folder.join(format!("accounts-{number:04}.csv")), &accounts())?;
                (format!("resource-{number:04}.xml"), resource_xml(number))
            }
            at if at % 3 == 0 => (format!("user-{number:04}.json"), user_json(number)),
            at if at % 3 == 1 => (format!("task-{number:04}.xml"), task_xml(number, resource)),
            at if at % 2 == 0 => (format!("task-{number:04}.yaml"), task_yaml(number, resource)),
            _ => (format!("task-{number:04}.json"), task_json(number, resource)),
        };
        write_file(&folder.join(name), &text)?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn accounts() -> String {
    let names: Vec<&str> = ATTRIBUTES.iter().map(|(attribute, _)| *attribute).collect();
    format!("uid,{},ou,groups\nann,7,Ann,Lee,ann@example.com,Sales,Clerk,1234,Oslo,staff,a;b\n", names.join(","))
}

fn oid(number: usize) -> String {
    format!("5d3c8a10-7f00-4c00-8000-{number:012}")
}

/// A resource with three object types, eight mappings each.
fn resource_xml(number: usize) -> String {
    let mut types = String::new();
    for (intent, ou) in [("default", "staff"), ("contractor", "external"), ("service", "svc")] {
        let mut attributes = "<attribute><ref>ri:uid</ref><inbound><strength>weak</strength><target><path>name</path></target></inbound></attribute>\n".to_owned();
        for (attribute, item) in ATTRIBUTES {
            let all = if item == "employeeNumber" { "<use>all</use>" } else { "" };
            attributes += &format!(
                "      <attribute>\n        <ref>ri:{attribute}</ref>\n        <inbound><target><path>{item}</path></target>{all}</inbound>\n      </attribute>\n"
            );
        }
        let default = if intent == "default" { "<default>true</default>" } else { "" };
        let reaction = |situation: &str, action: &str| {
            format!("        <reaction><situation>{situation}</situation><actions><{action}/></actions></reaction>\n")
        };
        let reactions = [("linked", "synchronize"), ("unlinked", "link"), ("unmatched", "addFocus"), ("deleted", "unlink")];
        let reactions: String = reactions.iter().map(|(situation, action)| reaction(situation, action)).collect();
        types += &format!(
            r#"    <objectType>
      <kind>account</kind>
      <intent>{intent}</intent>
      {default}
      <delineation>
        <objectClass>ri:AccountObjectClass</objectClass>
        <filter><q:text>attributes/ri:ou = "{ou}" and attributes/ri:mail contains "@"</q:text></filter>
      </delineation>
      <focus><type>UserType</type></focus>
      {attributes}
      <correlation><correlators>
        <items><item><ref>employeeNumber</ref></item></items>
      </correlators></correlation>
      <synchronization>
{reactions}      </synchronization>
    </objectType>
"#
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<resource xmlns="{COMMON}" xmlns:c="{COMMON}" oid="{oid}"
          xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3"
          xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3"
          xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
  <name>Accounts {number}</name>
  <connectorRef type="c:ConnectorType">
    <filter><q:equal><q:path>connectorType</q:path><q:value>com.evolveum.polygon.connector.csv.CsvConnector</q:value></q:equal></filter>
  </connectorRef>
  <connectorConfiguration>
    <icfc:configurationProperties xmlns:csv="{CSV}">
      <csv:filePath>accounts-{number:04}.csv</csv:filePath>
      <csv:fieldDelimiter>,</csv:fieldDelimiter>
      <csv:uniqueAttribute>uid</csv:uniqueAttribute>
      <csv:multivalueDelimiter>;</csv:multivalueDelimiter>
      <csv:multivalueAttributes>groups</csv:multivalueAttributes>
    </icfc:configurationProperties>
  </connectorConfiguration>
  <schemaHandling>
{types}  </schemaHandling>
</resource>
"#,
        oid = oid(number)
    )
}

fn task_xml(number: usize, resource: usize) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<task xmlns="{COMMON}" xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3" oid="{oid}">
  <name>Import {number}</name>
  <executionState>runnable</executionState>
  <activity>
    <work>
      <import>
        <resourceObjects>
          <resourceRef oid="{resource}" type="ResourceType"/>
          <kind>account</kind>
          <intent>contractor</intent>
          <query>
            <q:filter><q:text>attributes/uid startsWith "a" and attributes/department = ("Sales", "Purchasing")</q:text></q:filter>
            <q:paging><q:maxSize>1000</q:maxSize></q:paging>
          </query>
          <queryApplication>append</queryApplication>
        </resourceObjects>
      </import>
    </work>
  </activity>
</task>
"#,
        oid = oid(number),
        resource = oid(resource)
    )
}

fn task_yaml(number: usize, resource: usize) -> String {
    format!(
        r#""@ns": {COMMON}
task:
  oid: {oid}
  name: Reconciliation {number}
  executionState: runnable
  activity:
    work:
      reconciliation:
        resourceObjects:
          resourceRef: {{ oid: {resource}, type: ResourceType }}
          kind: account
          intent: service
"#,
        oid = oid(number),
        resource = oid(resource)
    )
}

fn task_json(number: usize, resource: usize) -> String {
    format!(
        r#"{{ "@ns": "{COMMON}",
  "task": {{ "oid": "{oid}", "name": "Reconciliation {number}", "executionState": "runnable",
    "activity": {{ "work": {{ "reconciliation": {{ "resourceObjects": {{
      "resourceRef": {{ "oid": "{resource}", "type": "ResourceType" }},
      "objectclass": "ri:AccountObjectClass",
      "query": {{ "filter": {{ "text": "attributes/ou = \"staff\"" }} }} }} }} }} }} }} }}
"#,
        oid = oid(number),
        resource = oid(resource)
    )
}

fn user_json(number: usize) -> String {
    format!(
        r#"{{ "@ns": "{COMMON}",
  "user": {{ "oid": "{oid}", "name": "person{number}", "employeeNumber": "{number}", "givenName": "Ann",
    "familyName": "Person {number}", "emailAddress": "person{number}@example.com", "organizationalUnit": "Sales" }} }}
"#,
        oid = oid(number)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn there_are_as_many_definitions_as_asked_for_in_all_formats() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 100).unwrap();
        let count = |ending: &str| {
            let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.ends_with(ending)).count()
        };
        let (xml, yaml, json) = (count(".xml"), count(".yaml"), count(".json"));
        assert_eq!(xml + yaml + json, 100);
        assert!(xml > 20 && yaml > 10 && json > 20, "{xml} {yaml} {json}");
        assert_eq!(count(".csv"), 100 / FILES_PER_RESOURCE);
    }
}
