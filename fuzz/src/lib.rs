//! What must hold for any input. Each function panics if it does not; the fuzz targets only call them.

pub mod messages;

use std::sync::Arc;

use tidelock_model::definition::{Activity, Definition, ResourceObjectSet, read_file, write};
use tidelock_model::document::{Format, Node, Scope};
use tidelock_model::filter::Filter;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, ResourceObject, Schema, ValueType};
use tidelock_model::{Diagnostic, Diagnostics, Items, Place, Value};
use tidelock_resolver::channel::Channel;
use tidelock_resolver::classify::{Classification, classify};
use tidelock_resolver::compile::compile;
use tidelock_resolver::exclusion::exclusion;
use tidelock_resolver::filter::{self, Evaluator, Purpose};
use tidelock_resolver::mapping;
use tidelock_resolver::object_set::{ActivityKind, Profile, resolve as resolve_set};
use tidelock_resolver::policy::ResourcePolicy;

/// Everything that a file is read into without an error is read again from what is written of it, in each format.
pub fn definitions(bytes: &[u8], format: Format) {
    let (definitions, found) = read_file(bytes, Some("f"), format);
    places(&found, bytes);
    if found.iter().any(Diagnostic::is_error) {
        return;
    }
    for format in [Format::Xml, Format::Yaml, Format::Json] {
        let written = write(&definitions, format);
        let (again, found) = read_file(written.as_bytes(), None, format);
        let wrong: Vec<_> = found.iter().filter(|d| d.is_error()).collect();
        assert!(wrong.is_empty(), "{format:?} cannot be read again: {wrong:?}\n{written}");
        // Formats with keys keep the order of items of one name only; no other means anything.
        let (was, is) = (in_order(&definitions), in_order(&again));
        assert!(was == is, "{format:?} reads as something else:\n{written}\n{was:?}\n{is:?}");
    }
}

fn in_order(definitions: &[Definition]) -> Vec<Node> {
    fn sort(node: &mut Node) {
        node.children.iter_mut().for_each(sort);
        node.children.sort_by(|a, b| a.name.cmp(&b.name));
    }
    let mut nodes: Vec<Node> = definitions.iter().map(Definition::to_node).collect();
    nodes.iter_mut().for_each(sort);
    nodes
}

/// A filter that can be read is printed as something that reads the same, and nothing done with it panics.
pub fn filter(text: &str) {
    let scope = Scope::well_known();
    let parsed = match filter::parse(text, &Place { file: None, line: 1, column: 1 }, &scope) {
        Ok(parsed) => parsed,
        Err(error) => {
            let lines = text.lines().count().max(1) + 1;
            assert!(error.place.line as usize <= lines, "{error} is outside of the text");
            return;
        }
    };
    let printed = filter::print(&parsed);
    let again = filter::parse(&printed, &Place::default(), &scope);
    assert_eq!(again.as_ref(), Ok(&parsed), "{printed}");
    // Documents have one form for some clauses where the text has two: what comes back means the same, and then stays.
    let from_node = |node: Node| filter::from_node(&node).unwrap_or_else(|error| panic!("{error}\n{}", filter::to_xml(&parsed)));
    let kept = from_node(filter::to_node(&parsed));
    assert_eq!(from_node(filter::to_node(&kept)), kept, "{}", filter::to_xml(&parsed));

    let objects = objects();
    let answers = |filter: &Filter| {
        let evaluator = Evaluator::new(filter).ok()?;
        Some(objects.each_ref().map(|object| evaluator.matches(&object.attributes)))
    };
    if let (Some(answers), Some(of_kept)) = (answers(&parsed), answers(&kept)) {
        assert_eq!(answers, of_kept, "{}", filter::to_xml(&parsed));
    }
    for purpose in [Purpose::Search, Purpose::InMemory] {
        if let Ok(bound) = filter::bind(&parsed, &person(), &Place::default(), purpose) {
            for object in &objects {
                let _ = bound.matches(&object.attributes);
            }
        }
    }
    let _ = filter::split(&parsed, &Place::default());
}

/// A file's resources are compiled, its tasks' object sets resolved against each of them, and objects classified and mapped.
///
/// The first byte tells the format.
pub fn resolve(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let format = [Format::Yaml, Format::Xml, Format::Json][usize::from(*first) % 3];
    let (definitions, found) = read_file(bytes, Some("f"), format);
    places(&found, bytes);
    let mut policies = Vec::new();
    for definition in &definitions {
        if let Definition::Resource(resource) = definition {
            let (policy, found) = compile(resource, &schema());
            places(&found, bytes);
            policies.extend(policy.filter(|_| !found.iter().any(Diagnostic::is_error)));
        }
    }
    policies.iter().for_each(decide);
    if policies.is_empty() {
        policies.push(plain());
    }
    for definition in &definitions {
        if let Definition::Task(task) = definition {
            let mut sets = Vec::new();
            object_sets(task.activity.as_ref(), &mut sets);
            for set in sets {
                policies.iter().for_each(|policy| resolve_everywhere(set, policy, bytes));
            }
        }
    }
}

fn object_sets<'a>(activity: Option<&'a Activity>, sets: &mut Vec<&'a ResourceObjectSet>) {
    let Some(activity) = activity else { return };
    sets.extend(activity.work.iter().filter_map(|work| work.objects.as_ref()));
    for part in activity.composition.iter().flat_map(|composition| &composition.activity) {
        object_sets(Some(part), sets);
    }
}

fn resolve_everywhere(set: &ResourceObjectSet, policy: &ResourcePolicy, bytes: &[u8]) {
    for profile in [Profile::Documented, Profile::Midpoint48] {
        for activity in ActivityKind::ALL {
            match resolve_set(activity, set, policy, profile) {
                Ok(resolved) => {
                    places(&resolved.diagnostics, bytes);
                    assert!(!resolved.diagnostics.iter().any(Diagnostic::is_error), "{:?}", resolved.diagnostics);
                    // What is asked for is in the query language.
                    for query in [Some(&resolved.base_query), resolved.query.as_ref()].into_iter().flatten() {
                        let read = filter::parse(query, &Place::default(), &Scope::well_known());
                        assert!(read.is_ok(), "{query}: {read:?}");
                    }
                    for object in objects() {
                        let _ = resolved.search.matches(&object.attributes);
                        let _ = resolved.post_filter.admits(&object.class, policy.types.first().map(|type_| &type_.id));
                    }
                }
                Err(found) => {
                    places(&found, bytes);
                    assert_eq!(found.iter().filter(|d| d.is_error()).count(), 1, "{found:?}");
                }
            }
        }
    }
}

fn decide(policy: &ResourcePolicy) {
    for object in objects() {
        let found = classify(policy, &object, None, Classification::Keep);
        assert_eq!(found, classify(policy, &object, None, Classification::Forced));
        let type_ = found.map(|index| &policy.types[index]);
        let _ = exclusion(type_, Some(&object));
        let _ = policy.stored(found, &object);
        if let Some(type_) = type_ {
            assert_eq!(classify(policy, &object, Some(&type_.id), Classification::Keep), found);
            let _ = mapping::pre_focus(type_, &object, Channel::Import);
            let focus = Items::new();
            if let Ok(once) = mapping::inbound(type_, None, &object.attributes, &focus, Channel::Import) {
                let once = once.into_owned();
                let twice = mapping::inbound(type_, Some(&object.attributes), &object.attributes, &once, Channel::Import);
                assert_eq!(twice.as_deref(), Ok(&once), "the same again changes something");
            }
        }
    }
}

/// Every finding says something, and stands within the text.
fn places(found: &Diagnostics, bytes: &[u8]) {
    let lines = 2 + bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    for diagnostic in found {
        assert!(!diagnostic.message.is_empty() && !diagnostic.code.is_empty());
        assert!(diagnostic.place.line as usize <= lines, "{diagnostic} is outside of the text");
        assert!(diagnostic.message.len() < 4000, "a message of {} bytes", diagnostic.message.len());
    }
}

fn person() -> ObjectClass {
    let mut class = ObjectClass::new("person", "uid");
    let attributes = [
        ("dn", ValueType::String, MatchingRule::DistinguishedName),
        ("mail", ValueType::String, MatchingRule::StringIgnoreCase),
        ("ou", ValueType::String, MatchingRule::Exact),
        ("level", ValueType::Integer, MatchingRule::Exact),
        ("rate", ValueType::Float, MatchingRule::Exact),
        ("active", ValueType::Boolean, MatchingRule::Exact),
        ("since", ValueType::DateTime, MatchingRule::Exact),
        ("photo", ValueType::Binary, MatchingRule::Exact),
    ];
    for (name, value_type, matching_rule) in attributes {
        class.attributes.push(AttributeDefinition { value_type, matching_rule, ..AttributeDefinition::text(name) });
    }
    class.attributes.push(AttributeDefinition { multi_valued: true, ..AttributeDefinition::text("groups") });
    class
}

fn schema() -> Schema {
    let mut schema = Schema::default().with_class("group", "gid", &["cn"]);
    let mut person = person();
    person.default_account = true;
    schema.classes.insert(0, Arc::new(person));
    schema
}

fn objects() -> [ResourceObject; 3] {
    let object = |class: &str, items: &[(&str, Value)]| {
        let items: Items = items.iter().map(|(name, value)| ((*name).into(), [value.clone()].into_iter().collect())).collect();
        ResourceObject::new(class, "1", items)
    };
    [
        object(
            "person",
            &[
                ("uid", Value::string("ann")),
                ("dn", Value::string("uid=ann,ou=People,dc=x")),
                ("mail", Value::string("Ann@x")),
                ("ou", Value::string("people")),
                ("level", Value::Integer(5)),
                ("groups", Value::string("a")),
            ],
        ),
        object("person", &[("uid", Value::string("é")), ("dn", Value::string("nonsense")), ("ou", Value::string(""))]),
        object("group", &[("gid", Value::string("g")), ("cn", Value::string("staff"))]),
    ]
}

/// A policy for tasks without a resource beside them.
fn plain() -> ResourcePolicy {
    let yaml = "
resource:
  name: R
  schemaHandling:
    objectType:
      - { kind: account, intent: default, default: true, delineation: { objectClass: ri:person } }
      - { kind: entitlement, intent: team, delineation: { objectClass: ri:group, filter: { text: 'attributes/ri:cn = \"x\"' } } }
";
    let (definitions, _) = read_file(yaml.as_bytes(), None, Format::Yaml);
    match definitions.first() {
        Some(Definition::Resource(resource)) => compile(resource, &schema()).0.expect("it compiles"),
        _ => unreachable!("it is a resource"),
    }
}
