//! The items of a configuration, read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidelock_connector_api::OnFailure;
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::document::Node;
use tidelock_model::name::ns;
use tidelock_model::object::Schema;
use tidelock_model::{Diagnostic, Diagnostics, Place};

use super::settings::shorten;
use super::{BUNDLE_NAMESPACE, Configuration, Settings, Source, SourceKind, Text};
use crate::decoder::{
    ChangeWord, Column, Decoder, MappedAttribute, Mapping, MessageFormat, Path as MessagePath, Quantity, Table,
    UnknownAttributes, Word,
};
use crate::schema;

/// What every connector's configuration may have besides its own items.
const OF_ANY_CONNECTOR: [&str; 6] = [
    "configurationProperties",
    "connectorPoolConfiguration",
    "legacySchema",
    "producerBufferSize",
    "resultsHandlerConfiguration",
    "timeouts",
];

const FORMATS: &[(&str, MessageFormat)] = &[
    ("auto", MessageFormat::Auto),
    ("ucfChange", MessageFormat::UcfChange),
    ("json", MessageFormat::Json),
    ("debezium", MessageFormat::Debezium),
    ("mapping", MessageFormat::Mapping),
];

const UNITS: &[(&str, Option<Quantity>)] = &[
    ("days", Some(Quantity::Days)),
    ("seconds", Some(Quantity::Seconds)),
    ("milliseconds", Some(Quantity::Milliseconds)),
    ("microseconds", Some(Quantity::Microseconds)),
    ("nanoseconds", Some(Quantity::Nanoseconds)),
];

#[derive(Clone, Copy)]
enum FailureAction {
    Stop,
    Skip,
    Retry,
}

/// The items of a configuration, whether they are in a container of their own or not.
pub(super) fn items(configuration: &ConnectorConfiguration) -> impl Iterator<Item = &Node> {
    let rest = configuration.rest.iter().filter(|node| !OF_ANY_CONNECTOR.contains(&node.local()));
    configuration.properties.iter().flat_map(|property| property.nodes()).chain(rest)
}

/// Reads what a resource definition says of its messages: its connector configuration, and the object classes in its `schema`
/// element, where the configuration does not have them. Relative file paths are relative to `base`.
///
/// # Errors
/// Everything that is wrong, each with its place and cure. What is merely doubtful comes with the configuration.
pub fn read(
    configuration: &ConnectorConfiguration,
    schema: Option<&Node>,
    base: &Path,
) -> Result<(Configuration, Diagnostics), Diagnostics> {
    let mut root = Node::new(tidelock_model::QName::common("connectorConfiguration"));
    root.place = configuration.place.clone();
    let mut diagnostics = Vec::new();
    for node in items(configuration) {
        match node.name.namespace() {
            None | Some(BUNDLE_NAMESPACE | ns::COMMON | ns::ICFC) => root.children.push(node.clone()),
            Some(_) => {
                let message =
                    format!("the item '{}' is of another namespace than this connector's, and is ignored", node.local());
                let warning = Diagnostic::warning("ignored-item", &node.place, message);
                diagnostics.push(warning.with_help(format!("put it into the namespace {BUNDLE_NAMESPACE}")));
            }
        }
    }
    let mut settings = Settings::new("the connector of messages", &root, base);
    let source = source(&mut settings, base);
    let on_failure = on_failure(&mut settings);
    transform(&mut settings);
    if let Some(node) = settings.node("processTracingConfiguration") {
        let warning = Diagnostic::warning("not-supported", &node.place, "messages are not traced: this has no effect");
        settings.report(warning.with_help("remove 'processTracingConfiguration'"));
    }
    let own_schema = settings.node("schema");
    let schema = classes(&mut settings, own_schema, schema, base);
    let decoder = decoder(&mut settings, &schema, base);
    diagnostics.extend(settings.finish());
    match (source, diagnostics.iter().any(Diagnostic::is_error)) {
        (Some(source), false) => Ok((Configuration { source, on_failure, schema, decoder }, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// The one source.
fn source(settings: &mut Settings<'_>, base: &Path) -> Option<Source> {
    const HELP: &str = "give one of amqp091 and nats, as in <sources><amqp091>…</amqp091></sources>";
    let Some(sources) = settings.node("sources") else {
        let place = settings.place();
        settings.report(Diagnostic::error("missing-property", place, "it is not said where messages come from").with_help(HELP));
        return None;
    };
    let mut inner = Settings::new("'sources'", sources, base);
    let mut found = Vec::new();
    for node in &sources.children {
        match SourceKind::ALL.into_iter().find(|kind| kind.as_str() == node.local()) {
            Some(kind) => found.push(Source { kind, node: node.clone() }),
            None => {
                let message = match node.local() {
                    "jms" => "messages of JMS are not read".to_owned(),
                    "other" => "sources that are classes of another program are not known here".to_owned(),
                    other => format!("'{}' is no source of messages that is known", shorten(other)),
                };
                inner.report(Diagnostic::error("unsupported-source", &node.place, message).with_help(HELP));
            }
        }
    }
    inner.needless(&["amqp091", "nats", "jms", "other"]);
    for second in found.iter().skip(1) {
        let error = Diagnostic::error("several-values", &second.node.place, "there is more than one source of messages");
        inner.report(error.with_help("make a resource of each source"));
    }
    if sources.children.is_empty() {
        inner.report(Diagnostic::error("missing-property", &sources.place, "there is no source of messages").with_help(HELP));
    }
    // Whatever is no source has its error already.
    for diagnostic in inner.finish().into_iter().filter(|found| found.code != "unknown-property") {
        settings.report(diagnostic);
    }
    found.into_iter().next()
}

fn on_failure(settings: &mut Settings<'_>) -> OnFailure {
    let action = settings.choice(
        "errorHandlingAction",
        FailureAction::Stop,
        &[("stopProcessing", FailureAction::Stop), ("skipUpdate", FailureAction::Skip), ("retry", FailureAction::Retry)],
    );
    let first = settings.duration("retryInterval", Duration::from_secs(1));
    let limit = settings.number("retryLimit", 5, 1..=1000) as u32;
    match action {
        FailureAction::Stop => OnFailure::Stop,
        FailureAction::Skip => OnFailure::Skip,
        FailureAction::Retry => OnFailure::Retry { first, limit },
    }
}

/// An expression that makes changes of messages: whatever it is, it is none that we run.
fn transform(settings: &mut Settings<'_>) {
    const HELP: &str = "say with 'mapping' where a message has its parts, or send messages in a form that is read as it is";
    let Some(node) = settings.node("transformExpression") else { return };
    let script = node.child("script");
    let language = script.map(|script| script.child("language").map(Node::text).unwrap_or_default().trim());
    let (code, message, place) = match (language, script) {
        (Some(language), Some(script)) => {
            let name = language.rsplit(['#', '/']).next().unwrap_or_default();
            let name = if name.is_empty() { "Groovy" } else { name };
            let message = format!("messages are transformed by a script in {}, and scripts are not supported", shorten(name));
            ("unsupported-script-language", message, &script.place)
        }
        _ => ("not-supported", "messages are transformed by an expression, which is not supported".to_owned(), &node.place),
    };
    settings.report(Diagnostic::error(code, place, message).with_help(HELP));
}

fn classes(settings: &mut Settings<'_>, own: Option<&Node>, definition: Option<&Node>, base: &Path) -> Arc<Schema> {
    let read = match (own, definition) {
        (Some(own), _) => schema::from_configuration(own, base),
        (None, Some(definition)) => schema::from_xsd(definition),
        (None, None) => {
            let message = "it is not said which object classes the messages are about";
            let error = Diagnostic::error("missing-property", settings.place(), message);
            Err(vec![error.with_help(
                "declare them with 'schema' in the configuration, or with an XML Schema in the resource's own 'schema' element",
            )])
        }
    };
    match read {
        Ok((schema, diagnostics)) => {
            for diagnostic in diagnostics {
                settings.report(diagnostic);
            }
            Arc::new(schema)
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                settings.report(diagnostic);
            }
            Arc::default()
        }
    }
}

fn decoder(settings: &mut Settings<'_>, schema: &Arc<Schema>, base: &Path) -> Decoder {
    let format = settings.choice("format", MessageFormat::Auto, FORMATS);
    let place = settings.node("format").map_or(settings.place(), |node| &node.place);
    let unknown = settings.choice(
        "unknownAttributes",
        UnknownAttributes::Error,
        &[("error", UnknownAttributes::Error), ("ignore", UnknownAttributes::Ignore)],
    );
    let mut decoder = Decoder::new(Arc::clone(schema)).with_format(format).with_unknown_attributes(unknown);
    if let Some(node) = settings.node("tables") {
        decoder = decoder.with_tables(tables(settings, node, schema, base));
    }
    match settings.node("mapping") {
        Some(node) => match mapping(settings, node, schema, base) {
            Some(mapping) => decoder.with_mapping(mapping),
            None => decoder,
        },
        None if format == MessageFormat::Mapping => {
            let error = Diagnostic::error("missing-property", place, "the format is a mapping, and there is none");
            settings.report(error.with_help("say with 'mapping' where messages have their parts"));
            decoder
        }
        None => decoder,
    }
}

fn tables(settings: &mut Settings<'_>, node: &Node, schema: &Schema, base: &Path) -> Vec<Table> {
    let mut outer = Settings::new("'tables'", node, base);
    let mut tables: Vec<Table> = Vec::new();
    let mut found = Vec::new();
    for node in outer.nodes("table") {
        let mut inner = Settings::new("a table", node, base);
        // `name` is a comment elsewhere; here it is an item.
        let name = inner.required("name", "name the table, alone or as in public.person");
        let class = inner.text("class").or(name);
        let mut table = Table { name: name.map_or("", |name| name.text).into(), class: "".into(), columns: Vec::new() };
        if let Some(class) = class {
            check_class(&mut inner, schema, class);
            table.class = class.text.into();
        }
        let columns: Vec<&Node> = inner.nodes("column").collect();
        for node in columns {
            let mut column = Settings::new("a column", node, base);
            let name = column.required("name", "name the column");
            let attribute = column.text("attribute").or(name);
            let quantity = quantity(&mut column);
            if let (Some(name), Some(attribute)) = (name, attribute) {
                check_attribute(&mut column, schema, &table.class, attribute);
                table.columns.push(Column { name: name.text.into(), attribute: attribute.text.into(), quantity });
            }
            found.extend(column.finish());
        }
        if tables.iter().any(|earlier| earlier.name == table.name) {
            inner.bad(&node.place, format!("the table '{}' is there twice", shorten(&table.name)), "keep one of them");
        }
        found.extend(inner.finish());
        tables.push(table);
    }
    found.extend(outer.finish());
    for diagnostic in found {
        settings.report(diagnostic);
    }
    tables
}

fn mapping(settings: &mut Settings<'_>, node: &Node, schema: &Schema, base: &Path) -> Option<Mapping> {
    let mut inner = Settings::new("the mapping", node, base);
    let each = path(&mut inner, "each");
    let class = word(&mut inner, "class", base, &mut |settings, text| {
        check_class(settings, schema, text);
        Some(Arc::from(text.text))
    });
    let change = word(&mut inner, "change", base, &mut |settings, text| {
        let found = ChangeWord::ALL.iter().find(|(name, _)| *name == text.text).map(|(_, word)| *word);
        if found.is_none() {
            let names: Vec<_> = ChangeWord::ALL.iter().map(|(name, _)| *name).collect();
            let message = format!("'{}' is no change", shorten(text.text));
            settings.bad(text.place, message, format!("write one of {}", names.join(", ")));
        }
        found
    });
    let identifier = path(&mut inner, "identifierPath");
    let attributes = path(&mut inner, "attributesPath");
    let mut attribute = Vec::new();
    let mut found = Vec::new();
    let only_class = match &class {
        Some(Word::Always(class)) => Some(Arc::clone(class)),
        _ => None,
    };
    for node in inner.nodes("attribute") {
        let mut one = Settings::new("a mapped attribute", node, base);
        let name = one.required("name", "name the attribute");
        let way = match one.required("path", "say where messages have it") {
            Some(_) => path(&mut one, "path"),
            None => None,
        };
        let quantity = quantity(&mut one);
        if let (Some(name), Some(path)) = (name, way) {
            if let Some(class) = &only_class {
                check_attribute(&mut one, schema, class, name);
            }
            attribute.push(MappedAttribute { name: name.text.into(), path, quantity });
        }
        found.extend(one.finish());
    }
    let missing = |name: &str| Diagnostic::error("missing-property", &node.place, format!("the mapping needs '{name}'"));
    if class.is_none() {
        found.push(missing("class").with_help("name the object class with 'class', or say with 'classPath' where messages do"));
    }
    if change.is_none() {
        let help = "say what messages tell with 'change' (full, delta, …), or with 'changePath' where they say it themselves";
        found.push(missing("change").with_help(help));
    }
    if identifier.is_none() {
        found.push(missing("identifierPath").with_help("say where messages have the identifier of the object"));
    }
    found.extend(inner.finish());
    // An item with an error of its own is not missing as well.
    let mut others: Vec<Place> = Vec::new();
    for diagnostic in found {
        if others.contains(&diagnostic.place) && diagnostic.code == "missing-property" && diagnostic.place != node.place {
            continue;
        }
        others.push(diagnostic.place.clone());
        settings.report(diagnostic);
    }
    Some(Mapping { each, class: class?, change: change?, identifier: identifier?, attributes, attribute })
}

/// `NAME`, or `NAMEPath` with as many `NAMEValue` as there are, each with `value` and `NAME`.
fn word<T: Clone>(
    settings: &mut Settings<'_>,
    name: &'static str,
    base: &Path,
    read: &mut dyn FnMut(&mut Settings<'_>, Text<'_>) -> Option<T>,
) -> Option<Word<T>> {
    let (path_name, value_name) = (format!("{name}Path"), format!("{name}Value"));
    let always = settings.text(name);
    let way = path(settings, &path_name);
    let nodes: Vec<&Node> = settings.nodes(&value_name).collect();
    if let (Some(always), Some(_)) = (always, &way) {
        settings.bad(always.place, format!("there are both '{name}' and '{path_name}'"), "keep one of them");
    }
    if let (None, Some(first)) = (&way, nodes.first()) {
        settings.bad(&first.place, format!("'{value_name}' needs '{path_name}'"), "say where messages have the value");
    }
    let mut values = Vec::new();
    for node in nodes {
        let mut inner = Settings::new("a value of the mapping", node, base);
        let value = inner.required("value", "write the value as messages have it");
        let meant = inner.required(name, "say what the value means");
        let meant = meant.and_then(|meant| read(&mut inner, meant));
        if let (Some(value), Some(meant)) = (value, meant) {
            if values.iter().any(|(known, _): &(Box<str>, T)| **known == *value.text) {
                inner.bad(value.place, "this value is there twice", "keep one of them");
            }
            values.push((value.text.into(), meant));
        }
        for diagnostic in inner.finish() {
            settings.report(diagnostic);
        }
    }
    match (always, way) {
        (_, Some(path)) => Some(Word::Said { path, values }),
        (Some(always), None) => read(settings, always).map(Word::Always),
        (None, None) => None,
    }
}

fn path(settings: &mut Settings<'_>, name: &str) -> Option<MessagePath> {
    let text = settings.text(name)?;
    let path = MessagePath::new(text.text);
    if path.is_none() {
        let message = format!("'{}' is no path", shorten(text.text));
        settings.bad(text.place, message, "write names with slashes between them, as in data/person/id");
    }
    path
}

fn quantity(settings: &mut Settings<'_>) -> Option<Quantity> {
    let unit = settings.choice("unit", None, UNITS);
    let scale = settings.text("decimalScale").is_some().then(|| settings.number("decimalScale", 0, 0..=1000) as u32);
    unit.or(scale.map(Quantity::Decimal))
}

fn check_class(settings: &mut Settings<'_>, schema: &Schema, class: Text<'_>) {
    if schema.class(class.text).is_none() && !schema.classes.is_empty() {
        let names: Vec<_> = schema.classes.iter().map(|class| &*class.name).collect();
        let message = format!("there is no object class '{}'", shorten(class.text));
        settings.bad(class.place, message, format!("the object classes are {}", names.join(", ")));
    }
}

fn check_attribute(settings: &mut Settings<'_>, schema: &Schema, class: &str, attribute: Text<'_>) {
    let Some(class) = schema.class(class) else { return };
    if class.attribute(attribute.text).is_none() {
        let names: Vec<_> = class.attributes.iter().map(|attribute| &*attribute.name).collect();
        let message = format!("the object class '{}' has no attribute '{}'", class.name, shorten(attribute.text));
        settings.bad(attribute.place, message, format!("its attributes are {}", names.join(", ")));
    }
}
