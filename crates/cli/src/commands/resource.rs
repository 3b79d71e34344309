//! `resource`: a look at a resource itself.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use serde_json::json;
use tidelock_activities::{Connectors, OpenError, ResourceEntry};
use tidelock_connector_api::{Completeness, Connector, Error, ErrorKind, Finding, Found, SearchRequest};
use tidelock_model::definition::Resource as Definition;
use tidelock_model::document::Scope;
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ObjectClass, ResourceObject, Schema, ValueType};
use tidelock_model::{Diagnostics, Oid, Place, Timestamp, Value};
use tidelock_resolver::classify::{Classification, classify};
use tidelock_resolver::compile;
use tidelock_resolver::filter::{Purpose, bind};
use tidelock_resolver::policy::ResourcePolicy;

use crate::args::{Resource, Search};
use crate::commands::{apply, argument_place, filter};
use crate::config::Session;
use crate::definitions::{self, Argument};
use crate::failure::{Exit, Failure};
use crate::output::json::{self, List};
use crate::output::table::Table;
use crate::output::text::{clean, count};
use crate::output::{BAD, DOUBTFUL, FAINT, GOOD, Paint, STRONG};
use crate::registry::Registry;
use crate::repository;
use crate::validate::{self, Tasks};

/// How many unreadable objects are told one by one.
const TOLD_FAILURES: u64 = 10;
/// How many attributes are shown to people side by side.
const COLUMNS: usize = 8;

pub(super) async fn resource(session: &Session, action: &Resource) -> Result<Exit, Failure> {
    match action {
        Resource::Test { resource } => test(session, &find(session, resource).await?).await,
        Resource::Schema { resource } => schema(session, &find(session, resource).await?).await,
        Resource::Search(arguments) => search(session, &find(session, &arguments.resource).await?, arguments).await,
    }
}

/// A resource whose connector is open.
struct Opened {
    definition: Definition,
    oid: Option<Oid>,
    connector: Arc<dyn Connector>,
}

impl Opened {
    fn name(&self) -> &str {
        self.definition.name.as_ref().map_or("", |name| name.as_str())
    }

    /// Where findings about the way to the resource are put.
    fn place(&self) -> &Place {
        self.definition.connector_configuration.as_ref().map_or(&self.definition.place, |configuration| &configuration.place)
    }

    async fn schema(&self) -> Result<Schema, Failure> {
        self.connector.schema().await.map_err(|error| Failure::resource(&error, self.place()))
    }
}

/// Finds the resource that an argument means, and opens its connector. A file is applied.
async fn find(session: &Session, argument: &str) -> Result<Opened, Failure> {
    let look = repository::look(session)?;
    let (definition, oid, origin, found): (_, _, _, Diagnostics) =
        match definitions::find::<Definition>(session, &*look, argument).await? {
            Argument::Given(definition, given) => {
                let found = validate::refuse_errors(validate::validate(session, &look, &given, Tasks::Prepared).await?)?;
                drop(look);
                let repo = repository::open(session)?;
                let applied = apply::store(session, &*repo, &given).await?;
                let at = given
                    .objects
                    .iter()
                    .position(|o| matches!(o.definition, tidelock_model::definition::Definition::Resource(_)));
                let (oid, origin) = match at {
                    Some(at) => (applied.get(at).map(|a| a.oid.clone()), Some(given.objects[at].origin_text())),
                    None => (None, None),
                };
                // That it cannot be reached will be said again, as the outcome.
                (*definition, oid, origin, found.into_iter().filter(|d| d.code != "resource-not-reachable").collect())
            }
            Argument::Stored(definition, stored) => (*definition, Some(stored.oid), stored.origin, Vec::new()),
        };
    session.output.findings_beside(&found);
    let mut definition = definition;
    if let Some(oid) = &oid {
        definition.oid.get_or_insert_with(|| oid.clone().into());
    }
    let entry = ResourceEntry { definition, origin };
    let opened = Registry::new(session).open(&entry).await;
    let definition = entry.definition;
    match opened {
        Ok((connector, _)) => Ok(Opened { definition, oid, connector }),
        Err(OpenError::Definition(found)) => Err(Failure::definition(found)),
        Err(OpenError::Connector(error)) => Err(Failure::resource(&error, &definition.place)),
    }
}

async fn test(session: &Session, resource: &Opened) -> Result<Exit, Failure> {
    let output = &session.output;
    let connector = &*resource.connector;
    let measured = Timestamp::from_millis(now());
    let tested = connector.test().await;
    let findings = if tested.is_ok() { findings(connector).await } else { Vec::new() };
    // Which facets there are may depend on what was learned just now.
    let facets = [("liveSync", connector.live_sync().is_some()), ("asyncUpdate", connector.async_updates().is_some())];
    let failure = tested.err().map(|error| Failure::resource(&error, resource.place()));
    if output.is_json() {
        let mut capabilities = json!({ "read": true });
        for (name, offered) in facets {
            capabilities[name] = offered.into();
        }
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "subject": finding.subject, "found": finding.found, "doubtful": finding.doubtful }))
            .collect();
        output.document(&json!({
            "ok": failure.is_none(),
            "resource": { "oid": resource.oid.as_ref().map(ToString::to_string), "name": resource.name() },
            "capabilities": capabilities,
            "measured": measured.to_string(),
            "findings": findings,
            "error": failure.as_ref().map(|failure| &failure.error),
        }))?;
        return Ok(failure.map_or(Exit::Done, |failure| failure.exit));
    }
    let paint = output.paint();
    let name = clean(resource.name());
    match failure {
        None => {
            let mut text = format!("{} can be reached: {}\n", paint.text(STRONG, name), paint.text(GOOD, "yes"));
            text.push_str("  read         yes\n");
            for (name, offered) in facets {
                text.push_str(&format!("  {name:<12} {}\n", if offered { "yes" } else { "no" }));
            }
            if !findings.is_empty() {
                text.push_str(&card(&findings, measured, paint));
            }
            output.say(&text)?;
            Ok(Exit::Done)
        }
        Some(failure) => {
            output.say(&format!("{} can be reached: {}", paint.text(STRONG, name), paint.text(BAD, "no")))?;
            Err(failure)
        }
    }
}

/// What the resource really does; that it does not let itself be measured is a finding, too.
async fn findings(connector: &dyn Connector) -> Vec<Finding> {
    connector.capabilities().await.unwrap_or_else(|error| {
        let told = format!("cannot be found out: {}", error.full_message());
        vec![Finding::new("capabilities", told).doubtful()]
    })
}

/// The findings for people, dated: servers and their limits change. What stands in the way of something is marked.
fn card(findings: &[Finding], measured: Timestamp, paint: Paint) -> String {
    let mut text = format!("\n  Measured at {measured}\n");
    let widest = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or_default();
    for finding in findings {
        let subject = clean(&finding.subject);
        let gap = " ".repeat(widest - finding.subject.chars().count());
        let mark = if finding.doubtful { paint.text(DOUBTFUL, "!") } else { " ".to_owned() };
        text.push_str(&format!("{mark} {subject}{gap}  {}\n", clean(&finding.found)));
    }
    text
}

/// The clock. It dates the card, and nothing else.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

async fn schema(session: &Session, resource: &Opened) -> Result<Exit, Failure> {
    let schema = resource.schema().await?;
    let output = &session.output;
    if output.is_json() {
        let classes: Vec<_> = schema.classes.iter().map(|class| class_json(class)).collect();
        output.document(&json!({
            "resource": { "oid": resource.oid.as_ref().map(ToString::to_string), "name": resource.name() },
            "objectClasses": classes,
        }))?;
        return Ok(Exit::Done);
    }
    let paint = output.paint();
    for (at, class) in schema.classes.iter().enumerate() {
        let of = match (class.default_account, class.auxiliary) {
            (true, _) => "  (accounts)",
            (_, true) => "  (auxiliary)",
            _ => "",
        };
        let gap = if at > 0 { "\n" } else { "" };
        output.say(&format!("{gap}{}{}", paint.text(STRONG, clean(&class.name)), paint.text(FAINT, of)))?;
        let mut table = Table::new(output.results(), paint, ["ATTRIBUTE", "TYPE", "VALUES", "REQUIRED", "NOTE"]);
        for attribute in &class.attributes {
            let mut notes = Vec::new();
            if attribute.name == class.primary_identifier {
                notes.push("primary identifier");
            }
            if attribute.name == class.naming_attribute {
                notes.push("name");
            }
            table.row([
                &*attribute.name,
                type_name(attribute.value_type),
                if attribute.multi_valued { "many" } else { "one" },
                if attribute.required { "yes" } else { "" },
                &notes.join(", "),
            ])?;
        }
        table.finish()?;
    }
    Ok(Exit::Done)
}

async fn search(session: &Session, resource: &Opened, arguments: &Search) -> Result<Exit, Failure> {
    let schema = resource.schema().await?;
    let class = class(&schema, arguments.class.as_deref())?;
    let wanted = match &arguments.query {
        Some(text) => filter(session, "--query", text)
            .and_then(|filter| bind(&filter, class, &argument_place("--query"), Purpose::Search))
            .map_err(Failure::of_definition)?,
        None => BoundFilter::All,
    };
    // What the resource cannot filter by is filtered here.
    let supported = resource.connector.supports(&class.name, &wanted);
    let request = SearchRequest::new(Arc::clone(&class.name));
    let (request, rest) = if supported { (request.with_filter(wanted), BoundFilter::All) } else { (request, wanted) };
    let (policy, _) = compile::compile(&resource.definition, &schema);

    let mut objects = Objects::new(session, class, resource.oid.as_ref(), policy);
    let mut stream = resource.connector.search(request);
    let (mut failed, mut left, mut verdict) = (0_u64, arguments.limit.unwrap_or(u64::MAX), None);
    while left > 0 {
        match stream.next().await {
            Some(Ok(Found::Object(object))) => {
                if rest.matches(&object.attributes) {
                    objects.print(&object)?;
                    left -= 1;
                }
            }
            Some(Ok(Found::End(end))) => {
                verdict = Some(end);
                break;
            }
            Some(Err(error)) if error.kind() == ErrorKind::InvalidData => {
                failed += 1;
                if failed <= TOLD_FAILURES {
                    session.output.aside(&clean(&error.full_message()));
                }
            }
            Some(Err(error)) => return Err(Failure::resource(&error, resource.place())),
            None => break,
        }
    }
    drop(stream);
    let stopped = left == 0;
    objects.finish()?;
    if failed > TOLD_FAILURES {
        session.output.aside(&format!("… and {} more", count(failed - TOLD_FAILURES, "unreadable object", "unreadable objects")));
    }
    match verdict {
        Some(Completeness::Complete) => {}
        Some(Completeness::Incomplete { message, .. }) => session.output.aside(&format!("not all objects were read: {message}")),
        None if stopped => {}
        None => return Err(Failure::resource(&Error::new(ErrorKind::Unexpected, "the search broke off"), resource.place())),
    }
    Ok(if failed > 0 { Exit::Partial } else { Exit::Done })
}

/// The object class that is meant; without a word, that of accounts, or the only one.
fn class<'a>(schema: &'a Schema, name: Option<&str>) -> Result<&'a ObjectClass, Failure> {
    let structural = || schema.classes.iter().filter(|class| !class.auxiliary);
    let names = || structural().map(|class| &*class.name).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            let named = Scope::well_known().resolve(name).ok().and_then(|qname| schema.class_named(&qname));
            named.or_else(|| schema.class(name)).map(|class| &**class).ok_or_else(|| {
                Failure::usage(format!("the resource has no object class '{name}'"), format!("its classes are {}", names()))
            })
        }
        None => {
            let only = || structural().next().filter(|_| structural().count() == 1);
            structural().find(|class| class.default_account).or_else(only).map(|class| &**class).ok_or_else(|| {
                Failure::usage("the resource has several object classes", format!("choose one with --class: {}", names()))
            })
        }
    }
}

/// Where the objects found are printed to.
struct Objects<'a> {
    printer: Printer,
    class: &'a ObjectClass,
    resource: Option<&'a Oid>,
    policy: Option<ResourcePolicy>,
}

enum Printer {
    Json(List<std::io::BufWriter<std::io::StdoutLock<'static>>>),
    Human(Table<std::io::BufWriter<std::io::StdoutLock<'static>>>),
}

impl<'a> Objects<'a> {
    fn new(session: &Session, class: &'a ObjectClass, resource: Option<&'a Oid>, policy: Option<ResourcePolicy>) -> Self {
        let output = &session.output;
        let printer = if output.is_json() {
            Printer::Json(List::new(output.results()))
        } else {
            let attributes = class.attributes.iter().take(COLUMNS).map(|attribute| attribute.name.to_string());
            let header: Vec<String> = ["KIND/INTENT".to_owned()].into_iter().chain(attributes).collect();
            Printer::Human(Table::new(output.results(), output.paint(), header))
        };
        Self { printer, class, resource, policy }
    }

    fn print(&mut self, object: &ResourceObject) -> Result<(), Failure> {
        let object_type = self.policy.as_ref().and_then(|policy| {
            let at = classify(policy, object, None, Classification::Forced)?;
            policy.types.get(at).map(|object_type| &object_type.id)
        });
        match &mut self.printer {
            Printer::Json(list) => {
                let name = object.attributes.first(&self.class.naming_attribute);
                let items = json::resource_object_items(object, self.resource, name, object_type);
                list.push(&json::resource_object(&items))?;
            }
            Printer::Human(table) => {
                let mut row = vec![object_type.map_or_else(|| "unknown".to_owned(), ToString::to_string)];
                row.extend(self.class.attributes.iter().take(COLUMNS).map(|attribute| {
                    let values = object.attributes.get(&attribute.name);
                    values.iter().filter_map(Value::to_text).collect::<Vec<_>>().join(", ")
                }));
                table.row(row)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<u64, Failure> {
        Ok(match self.printer {
            Printer::Json(list) => list.finish()?,
            Printer::Human(table) => table.finish()?,
        })
    }
}

fn class_json(class: &ObjectClass) -> serde_json::Value {
    let attributes: Vec<_> = class
        .attributes
        .iter()
        .map(|attribute| {
            json!({
                "name": &*attribute.name,
                "type": type_name(attribute.value_type),
                "multiValued": attribute.multi_valued,
                "required": attribute.required,
                "matchingRule": attribute.matching_rule.as_str(),
            })
        })
        .collect();
    json!({
        "name": &*class.name,
        "primaryIdentifier": &*class.primary_identifier,
        "namingAttribute": &*class.naming_attribute,
        "default": class.default_account,
        "auxiliary": class.auxiliary,
        "attributes": attributes,
    })
}

fn type_name(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::String => "string",
        ValueType::Integer => "integer",
        ValueType::Float => "float",
        ValueType::Boolean => "boolean",
        ValueType::DateTime => "dateTime",
        ValueType::Binary => "binary",
    }
}
