//! The work of `cargo xtask bench resolver`: one kind of decision, as often as asked, and nothing else that costs.
//!
//! `decisions classify|parse-filter|evaluate-filter COUNT` prints how many of the answers were yes, so that two runs can be seen
//! to have done the same work.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::{Format, Scope};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, ResourceObject, Schema, ValueType};
use tidelock_model::{Items, Place, Value};
use tidelock_resolver::classify::{Classification, classify};
use tidelock_resolver::compile::compile;
use tidelock_resolver::filter::{Purpose, bind, parse};
use tidelock_resolver::policy::ResourcePolicy;

/// How many object types the resource has.
const TYPES: usize = 20;

/// How many different objects there are.
const OBJECTS: usize = 1000;

/// Filters as tasks and object types have them.
const FILTERS: [&str; 8] = [
    r#"attributes/ri:uid startsWith "a""#,
    r#"attributes/ri:ou = "people" and attributes/ri:employmentType = "contractor""#,
    r#"resourceRef matches (oid = "b0a4c7de-3c1f-4d0e-9f61-5d6f7a0c1e01") and kind = "account" and intent = "default""#,
    r#"attributes/ri:mail endsWith[stringIgnoreCase] "@example.com" and not (attributes/ri:status = "inactive")"#,
    r#"attributes/ri:department = ("Sales", "Marketing", "Purchasing") or attributes/ri:manager exists"#,
    r#"attributes/ri:dn endsWith[distinguishedName] "ou=people,dc=example,dc=com" and attributes/ri:level >= 3"#,
    r#"givenName = "Ann" and familyName =[polyStringNorm] "lee" and activation/administrativeStatus = "enabled""#,
    r#"assignment/targetRef matches (oid = "00000000-0000-0000-0000-000000000004" and relation = manager)"#,
];

/// A filter of five clauses of different kinds, all of which have to be looked at for the objects here.
const FIVE_CLAUSES: &str = r#"attributes/ri:ou != "none"
    and attributes/ri:mail endsWith "@example.com"
    and attributes/ri:level > 1
    and attributes/ri:status = ("active", "leave", "new")
    and attributes/ri:description contains "the office""#;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [job, count] = &*arguments else { return Err("usage: decisions classify|parse-filter|evaluate-filter COUNT".into()) };
    let count: usize = count.parse()?;
    let yes = match job.as_str() {
        "classify" => {
            let (policy, objects) = (policy()?, objects());
            repeat(count, &objects, |object| classify(&policy, object, None, Classification::Forced).is_some())
        }
        "parse-filter" => {
            let (place, scope) = (Place::default(), Scope::well_known());
            repeat(count, &FILTERS, |text| parse(text, &place, &scope).is_ok())
        }
        "evaluate-filter" => {
            let filter = parse(FIVE_CLAUSES, &Place::default(), &Scope::well_known()).map_err(|error| error.to_string())?;
            let filter = bind(&filter, &person(), &Place::default(), Purpose::Search).map_err(|error| error.to_string())?;
            if !matches!(&filter, BoundFilter::And(clauses) if clauses.len() == 5) {
                return Err("the filter has not five clauses".into());
            }
            repeat(count, &objects(), |object| filter.matches(&object.attributes))
        }
        other => return Err(format!("there is no job '{other}'").into()),
    };
    if yes != count {
        return Err(format!("only {yes} of {count} answers were yes").into());
    }
    println!("{yes}");
    Ok(())
}

/// Asks `count` times, about one after the other, and counts the answers that are yes.
fn repeat<T>(count: usize, all: &[T], mut ask: impl FnMut(&T) -> bool) -> usize {
    (0..count).filter(|at| black_box(ask(black_box(&all[at % all.len()])))).count()
}

fn person() -> ObjectClass {
    let mut class = ObjectClass::new("person", "uid");
    for name in ["dn", "givenName", "familyName", "mail", "ou", "employmentType", "status", "description"] {
        class.attributes.push(AttributeDefinition::text(name));
    }
    class.attributes.push(AttributeDefinition { value_type: ValueType::Integer, ..AttributeDefinition::text("level") });
    for (name, rule) in [("dn", MatchingRule::DistinguishedName), ("mail", MatchingRule::StringIgnoreCase)] {
        if let Some(attribute) = class.attributes.iter_mut().find(|attribute| &*attribute.name == name) {
            attribute.matching_rule = rule;
        }
    }
    class
}

/// A resource whose types are told apart by filters, of two clauses or one.
fn policy() -> Result<ResourcePolicy, Box<dyn Error>> {
    let mut yaml = "resource:\n  name: R\n  schemaHandling:\n    objectType:\n".to_owned();
    for number in 0..TYPES {
        let filter = match number % 4 {
            0 => format!("attributes/ri:ou = 'unit {number}'"),
            1 => format!("attributes/ri:ou = 'unit {number}' and attributes/ri:status != 'gone'"),
            2 => format!("attributes/ri:ou =[stringIgnoreCase] 'Unit {number}'"),
            _ => format!("attributes/ri:ou = 'unit {number}' and attributes/ri:mail endsWith '@example.com'"),
        };
        write!(
            yaml,
            "    - kind: account\n      intent: type-{number}\n      delineation:\n        objectClass: ri:person\n        filter:\n          - text: \"{filter}\"\n"
        )?;
    }
    let (definitions, read) = read_file(yaml.as_bytes(), None, Format::Yaml);
    let Some(Definition::Resource(resource)) = definitions.first() else { return Err(format!("{read:?}").into()) };
    let mut schema = Schema::default();
    schema.classes.push(Arc::new(person()));
    let (policy, found) = compile(resource, &schema);
    policy.filter(|policy| policy.types.len() == TYPES).ok_or_else(|| format!("{read:?} {found:?}").into())
}

/// Objects that are spread over all types.
fn objects() -> Vec<ResourceObject> {
    let object = |number: usize| {
        let mut items = Items::new();
        let mut set = |name: &str, value: Value| items.set(name, [value].into_iter().collect());
        set("uid", Value::string(format!("u{number:06}")));
        set("dn", Value::string(format!("uid=u{number:06},ou=people,dc=example,dc=com")));
        set("givenName", Value::string(["Ann", "Zoë", "Lee", "Max"][number % 4]));
        set("familyName", Value::string(format!("Person{number}")));
        set("mail", Value::string(format!("u{number:06}@example.com")));
        set("ou", Value::string(format!("unit {}", number * 7 % TYPES)));
        set("employmentType", Value::string("employee"));
        set("status", Value::string(["active", "leave", "new"][number % 3]));
        set("description", Value::string("somebody who works in the office on most days"));
        set("level", Value::Integer(2 + i64::try_from(number % 5).unwrap_or_default()));
        ResourceObject::new("person", format!("u{number:06}"), items)
    };
    (0..OBJECTS).map(object).collect()
}
