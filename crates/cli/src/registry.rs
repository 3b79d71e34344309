//! The connectors there are, and which of them a resource means.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidelock_activities::{Connectors, OpenError, ResourceEntry};
use tidelock_connector_api::{Connector, Listening, async_trait};
use tidelock_messages::SourceKind;
use tidelock_model::definition::{AdditionalConnector, ConfiguredCapabilities, ConnectorConfiguration, ObjectRef, Resource};
use tidelock_model::document::Node;
use tidelock_model::object::{ObjectClass, Schema, ValueType};
use tidelock_model::{Diagnostic, Diagnostics, Oid, Place, QName};

use crate::additional::Pushed;
use crate::config::Session;

/// Opens connectors by what resource definitions say of them.
pub(crate) struct Registry {
    /// The folder to which relative paths refer in definitions that come from no file.
    home: PathBuf,
    /// The folder in which connectors keep what belongs to the repository.
    state: PathBuf,
    /// Sources of changes that are open.
    sources: Mutex<Vec<Weak<dyn Connector>>>,
}

/// A kind of connector.
struct Known {
    /// What people call it.
    name: &'static str,
    /// The namespace of its configuration properties. Its last part is the connector's type.
    namespace: &'static str,
    open: fn(&ConnectorConfiguration, &Surroundings<'_>) -> Opened,
}

/// What a connector may need besides its configuration.
struct Surroundings<'a> {
    /// Relative paths in the definition refer to this folder.
    base: PathBuf,
    /// A folder for what it has to remember of the resource. It need not exist. None for a resource that has no OID yet.
    state: Option<PathBuf>,
    /// The resource's element `schema`, for connectors that cannot ask anybody.
    schema: Option<&'a Node>,
    /// What the main connector says the resource has, for an additional one that cannot ask anybody.
    of_main: Option<Schema>,
}

/// A connector with the warnings of its configuration, or everything that is wrong with that.
type Opened = Result<(Arc<dyn Connector>, Diagnostics), Diagnostics>;

/// Every connector of this program. A new one is a line here.
const KNOWN: &[Known] = &[
    Known { name: "CSV", namespace: tidelock_csv::BUNDLE_NAMESPACE, open: csv },
    Known { name: "LDAP", namespace: tidelock_ldap::BUNDLE_NAMESPACE, open: ldap },
    Known { name: "messages of AMQP or NATS", namespace: tidelock_messages::BUNDLE_NAMESPACE, open: messages },
];

impl Registry {
    pub(crate) fn new(session: &Session) -> Self {
        Self::at(session.home.clone(), session.database.with_extension("state"))
    }

    fn at(home: PathBuf, state: PathBuf) -> Self {
        Self { home, state, sources: Mutex::default() }
    }

    /// How the connections to the sources of changes that are open are, one for each.
    pub(crate) fn listening(&self) -> Vec<Listening> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|source| source.strong_count() > 0);
        sources.iter().filter_map(|source| Some(source.upgrade()?.async_updates()?.status())).collect()
    }

    fn surroundings<'a>(&self, resource: &'a ResourceEntry) -> Surroundings<'a> {
        let base = resource.origin.as_deref().and_then(|origin| Path::new(origin).parent()).unwrap_or(&self.home);
        let oid = resource.definition.oid.as_ref().map(|oid| &oid.value);
        Surroundings {
            base: base.to_owned(),
            state: oid.map(|oid| self.state.join(folder_name(oid))),
            schema: resource.definition.rest.iter().find(|node| node.local() == "schema"),
            of_main: None,
        }
    }
}

#[async_trait]
impl Connectors for Registry {
    async fn open(&self, resource: &ResourceEntry) -> Result<(Arc<dyn Connector>, Diagnostics), OpenError> {
        let definition = &resource.definition;
        let mut surroundings = self.surroundings(resource);
        let (main, mut warnings) = open(&Way::of(definition), &surroundings).map_err(OpenError::Definition)?;
        let mut connector = main;
        if !definition.additional_connectors.is_empty() {
            if surroundings.schema.is_none() {
                surroundings.of_main = Some(connector.schema().await.map_err(OpenError::Connector)?);
            }
            if let Some(source) = pushing(definition, &surroundings, &mut warnings).map_err(OpenError::Definition)? {
                connector = Arc::new(Pushed { main: connector, source });
            }
        }
        if connector.async_updates().is_some() {
            self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connector));
        }
        Ok((connector, warnings))
    }
}

/// What a definition says of a connector.
struct Way<'a> {
    reference: Option<&'a ObjectRef>,
    configuration: Option<&'a ConnectorConfiguration>,
    place: &'a Place,
}

impl<'a> Way<'a> {
    fn of(resource: &'a Resource) -> Self {
        let Resource { connector_ref, connector_configuration, place, .. } = resource;
        Self { reference: connector_ref.as_ref(), configuration: connector_configuration.as_ref(), place }
    }

    fn of_additional(additional: &'a AdditionalConnector) -> Self {
        let AdditionalConnector { connector_ref, connector_configuration, place, .. } = additional;
        Self { reference: connector_ref.as_ref(), configuration: connector_configuration.as_ref(), place }
    }
}

fn open(way: &Way<'_>, surroundings: &Surroundings<'_>) -> Opened {
    let known = choose(way).map_err(|error| vec![*error])?;
    // Without a configuration it is the connector that knows what is missing, and at which place.
    let empty = ConnectorConfiguration { place: way.place.clone(), ..ConnectorConfiguration::default() };
    (known.open)(way.configuration.unwrap_or(&empty), surroundings)
}

/// The additional connector that pushes changes: the one whose configured capabilities say so, else the first one that can.
/// Whatever else additional connectors are to do is warned of.
fn pushing(
    resource: &Resource,
    surroundings: &Surroundings<'_>,
    warnings: &mut Diagnostics,
) -> Result<Option<Arc<dyn Connector>>, Diagnostics> {
    let configured = |additional: &AdditionalConnector| {
        let capability = additional.capabilities.as_ref()?.configured.as_ref()?.async_update.as_ref()?;
        Some(capability.enabled.as_ref().is_none_or(|enabled| enabled.value))
    };
    let asked = resource.additional_connectors.iter().position(|additional| configured(additional) == Some(true));
    let mut source: Option<Arc<dyn Connector>> = None;
    for (at, additional) in resource.additional_connectors.iter().enumerate() {
        let capabilities = additional.capabilities.as_ref().and_then(|capabilities| capabilities.configured.as_ref());
        warnings.extend(capabilities.into_iter().flat_map(left_to_the_main_one));
        let wanted = asked.is_none_or(|asked| asked == at) && configured(additional) != Some(false) && source.is_none();
        if !wanted {
            warnings.push(idle(additional));
            continue;
        }
        let way = Way::of_additional(additional);
        if asked.is_none() && choose(&way).is_err() {
            warnings.push(idle(additional));
            continue;
        }
        let (connector, found) = open(&way, surroundings)?;
        if connector.async_updates().is_some() {
            warnings.extend(found);
            source = Some(connector);
        } else {
            warnings.push(idle(additional));
        }
    }
    Ok(source)
}

/// Words on capabilities that an additional connector is to have and does not get.
fn left_to_the_main_one(capabilities: &ConfiguredCapabilities) -> Diagnostics {
    let ConfiguredCapabilities { read, live_sync, create, update, delete, count_objects, .. } = capabilities;
    let mut places = vec![("read", read.as_ref().map(|it| &it.place)), ("liveSync", live_sync.as_ref().map(|it| &it.place))];
    let others = [("create", create), ("update", update), ("delete", delete), ("countObjects", count_objects)];
    places.extend(others.map(|(name, it)| (name, it.as_ref().map(|it| &it.place))));
    let found = places.into_iter().filter_map(|(name, place)| {
        let message = format!("'{name}' is left to the main connector: an additional one can push changes, and nothing else");
        let help = format!("remove '{name}' from the capabilities of the additional connector");
        Some(Diagnostic::warning("not-supported", place?, message).with_help(help))
    });
    found.collect()
}

/// A word on an additional connector that does nothing.
fn idle(additional: &AdditionalConnector) -> Diagnostic {
    let named = additional.name.as_ref().map(|name| format!(" '{}'", name.chars().take(60).collect::<String>()));
    let message = format!("the additional connector{} has no effect", named.unwrap_or_default());
    Diagnostic::warning("not-supported", &additional.place, message).with_help(
        "of additional connectors the one is used that can push changes, or whose configured capabilities have 'asyncUpdate'; \
         remove it if the resource does not depend on it",
    )
}

/// The connector that is meant: by the namespace of its configuration, else by the type that the reference asks for.
fn choose(way: &Way<'_>) -> Result<&'static Known, Box<Diagnostic>> {
    let mut asked = Vec::new();
    let mut place = way.place;
    if let Some(configuration) = way.configuration {
        let container = configuration.container.as_ref().into_iter().chain(configuration.properties.iter().map(|p| &p.name));
        for namespace in container.filter_map(|name| name.namespace()) {
            if let Some(known) = KNOWN.iter().find(|known| known.namespace == namespace) {
                return Ok(known);
            }
            if is_bundle(namespace) && !asked.contains(&kind(namespace)) {
                asked.push(kind(namespace));
                place = &configuration.place;
            }
        }
    }
    if let Some(reference) = way.reference {
        let mut texts = Vec::new();
        for node in reference.filter.iter().chain(&reference.rest) {
            gather(node, &mut texts);
        }
        if let Some(known) = KNOWN.iter().find(|known| texts.iter().any(|text| text.contains(kind(known.namespace)))) {
            return Ok(known);
        }
        place = &reference.place;
    }
    let message = match asked.first() {
        Some(asked) => format!("there is no connector '{}' in this version", asked.chars().take(120).collect::<String>()),
        None => "it is not said which connector reaches this resource".to_owned(),
    };
    let known: Vec<_> = KNOWN.iter().map(|known| format!("{} ({})", known.name, known.namespace)).collect();
    Err(Box::new(Diagnostic::error("unknown-connector", place, message).with_help(format!(
        "put the configuration properties into the namespace of one of the connectors: {}",
        known.join(", ")
    ))))
}

/// The name of a folder for an object: its OID, which is a UUID wherever nobody is up to something.
fn folder_name(oid: &Oid) -> String {
    let mut name = String::new();
    for byte in oid.to_string().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    name
}

/// Whether a namespace is one of connector bundles.
fn is_bundle(namespace: &str) -> bool {
    namespace.contains("/connector/icf-1/bundle/") || namespace.contains("/connector/builtin-1/bundle/")
}

/// The connector's type: the last part of its namespace.
fn kind(namespace: &str) -> &str {
    namespace.rsplit('/').next().unwrap_or(namespace)
}

/// All texts within a node. The filter of a reference is a condition on `connectorType`, in any of its notations.
fn gather<'a>(node: &'a Node, texts: &mut Vec<&'a str>) {
    texts.extend(node.text.as_deref());
    for child in &node.children {
        gather(child, texts);
    }
}

fn csv(configuration: &ConnectorConfiguration, surroundings: &Surroundings<'_>) -> Opened {
    let mut connector = tidelock_csv::open(configuration, &surroundings.base)?;
    if let Some(state) = &surroundings.state {
        connector = connector.with_state_folder(state);
    }
    let warnings = connector.warnings().to_vec();
    Ok((Arc::new(connector), warnings))
}

fn ldap(configuration: &ConnectorConfiguration, surroundings: &Surroundings<'_>) -> Opened {
    let connector = tidelock_ldap::open(configuration, &surroundings.base)?;
    let warnings = connector.warnings().to_vec();
    Ok((Arc::new(connector), warnings))
}

fn messages(configuration: &ConnectorConfiguration, surroundings: &Surroundings<'_>) -> Opened {
    let mut configuration = configuration.clone();
    let has_classes = |name: &str| configuration.properties.iter().any(|property| property.name.local() == name);
    if let Some(schema) = &surroundings.of_main
        && !has_classes("schema")
    {
        configuration.rest.push(classes(schema, &configuration.place));
    }
    let Surroundings { base, schema, .. } = surroundings;
    match SourceKind::of(&configuration) {
        // Where there is none that is known, either of the connectors says so.
        Some(SourceKind::Amqp091) | None => {
            let connector = tidelock_amqp::open(&configuration, *schema, base)?;
            let warnings = connector.warnings().to_vec();
            Ok((Arc::new(connector), warnings))
        }
        Some(SourceKind::Nats) => {
            let connector = tidelock_nats::open(&configuration, *schema, base)?;
            let warnings = connector.warnings().to_vec();
            Ok((Arc::new(connector), warnings))
        }
    }
}

/// Object classes, as the configuration of sources of messages has them.
fn classes(schema: &Schema, place: &Place) -> Node {
    let node = |name: &str| Node { place: place.clone(), ..Node::new(QName::new(tidelock_messages::BUNDLE_NAMESPACE, name)) };
    let item = |name: &str, text: &str| Node { text: Some(text.into()), ..node(name) };
    let class = |class: &ObjectClass| {
        let mut children = vec![
            item("name", &class.name),
            item("identifier", &class.primary_identifier),
            item("nameAttribute", &class.naming_attribute),
            item("defaultAccount", if class.default_account { "true" } else { "false" }),
        ];
        children.extend(class.attributes.iter().map(|attribute| {
            let value_type = match attribute.value_type {
                ValueType::String => "string",
                ValueType::Integer => "integer",
                ValueType::Float => "float",
                ValueType::Boolean => "boolean",
                ValueType::DateTime => "dateTime",
                ValueType::Binary => "binary",
            };
            let multi_valued = if attribute.multi_valued { "true" } else { "false" };
            let matching_rule = attribute.matching_rule.as_str();
            let items = [
                ("name", &*attribute.name),
                ("type", value_type),
                ("multiValued", multi_valued),
                ("matchingRule", matching_rule),
            ];
            Node { children: items.map(|(name, text)| item(name, text)).into(), ..node("attribute") }
        }));
        Node { children, ..node("class") }
    };
    let classes = schema.classes.iter().filter(|class| !class.auxiliary);
    Node { children: classes.map(|it| class(it)).collect(), ..node("schema") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidelock_model::definition::{Definition, read_file};
    use tidelock_model::document::Format;

    use super::*;

    fn resource(content: &str) -> Resource {
        let text = format!(
            r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
                         xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3"
                         xmlns:cap="http://midpoint.evolveum.com/xml/ns/public/resource/capabilities-3"
                         xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3"><name>r</name>{content}</resource>"#
        );
        let (definitions, _) = read_file(text.as_bytes(), Some("r.xml"), Format::Xml);
        let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
        *resource
    }

    fn chosen(content: &str) -> Result<&'static str, Box<Diagnostic>> {
        choose(&Way::of(&resource(content))).map(|known| known.name)
    }

    #[test]
    fn a_connector_is_known_by_the_namespace_of_its_properties() {
        let properties = format!(
            r#"<connectorConfiguration><icfc:configurationProperties xmlns:p="{}"><p:filePath>x.csv</p:filePath>
               </icfc:configurationProperties></connectorConfiguration>"#,
            tidelock_csv::BUNDLE_NAMESPACE
        );
        assert_eq!(chosen(&properties).unwrap(), "CSV");
    }

    #[test]
    fn a_connector_is_known_by_the_type_that_is_asked_for() {
        for filter in [
            "<q:equal><q:path>connectorType</q:path><q:value>com.evolveum.polygon.connector.csv.CsvConnector</q:value></q:equal>",
            "<q:text>connectorType = \"com.evolveum.polygon.connector.csv.CsvConnector\"</q:text>",
        ] {
            assert_eq!(chosen(&format!("<connectorRef><filter>{filter}</filter></connectorRef>")).unwrap(), "CSV");
        }
    }

    #[test]
    fn an_oid_that_is_no_uuid_stays_within_its_folder() {
        assert_eq!(folder_name(&Oid::new("5f0a1f1e-52c8-4b7c-9d6e-3a1d0c7b8e02")), "5f0a1f1e-52c8-4b7c-9d6e-3a1d0c7b8e02");
        assert_eq!(folder_name(&Oid::new("../x")), "_2e_2e_2fx");
    }

    #[test]
    fn an_unknown_connector_is_named_together_with_those_there_are() {
        let error = chosen(
            r#"<connectorConfiguration><icfc:configurationProperties
               xmlns:p="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/org.example/org.example.Ftp">
               <p:host>x</p:host></icfc:configurationProperties></connectorConfiguration>"#,
        )
        .unwrap_err();
        assert_eq!((error.code, error.place.line), ("unknown-connector", 4));
        assert!(error.message.contains("org.example.Ftp"), "{}", error.message);
        assert!(error.help.unwrap().contains("CSV"));
        assert_eq!(chosen("").unwrap_err().code, "unknown-connector");
    }

    /// An additional connector that reads a queue; `capabilities` are its configured ones.
    fn queue(name: &str, capabilities: &str) -> String {
        format!(
            "<additionalConnector><name>{name}</name><connectorConfiguration><icfc:configurationProperties xmlns=\"{}\">\
             <sources><amqp091><uri>amqp://127.0.0.1</uri><queue>q</queue><username>u</username><password>p</password></amqp091></sources>\
             </icfc:configurationProperties></connectorConfiguration>\
             <capabilities><configured>{capabilities}</configured></capabilities></additionalConnector>",
            tidelock_messages::BUNDLE_NAMESPACE
        )
    }

    /// Whether a resource with a file and these additional connectors pushes changes, and the warnings.
    async fn opened(additional: &str) -> Result<(bool, Vec<String>), OpenError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.csv"), "uid,mail\n").unwrap();
        let main = format!(
            r#"<connectorConfiguration><icfc:configurationProperties xmlns:p="{}"><p:filePath>x.csv</p:filePath>
               <p:fieldDelimiter>,</p:fieldDelimiter><p:uniqueAttribute>uid</p:uniqueAttribute>
               </icfc:configurationProperties></connectorConfiguration>"#,
            tidelock_csv::BUNDLE_NAMESPACE
        );
        let registry = Registry::at(folder.path().to_owned(), folder.path().join("state"));
        let definition = resource(&format!("{additional}{main}"));
        let (connector, warnings) = registry.open(&ResourceEntry { definition, origin: None }).await?;
        assert_eq!(connector.schema().await.unwrap().classes.len(), 1);
        assert!(connector.can_read(), "whoever pushes the changes, the main one reads");
        Ok((connector.async_updates().is_some(), warnings.into_iter().map(|warning| warning.message).collect()))
    }

    #[tokio::test]
    async fn an_additional_connector_pushes_the_changes_of_a_resource_that_the_main_one_reads() {
        assert_eq!(opened("").await.unwrap(), (false, vec![]));
        // It knows the object classes of the main one.
        assert_eq!(opened(&queue("a", "")).await.unwrap(), (true, vec![]));
        let idle = |name: &str| format!("the additional connector '{name}' has no effect");
        let off = "<cap:asyncUpdate><cap:enabled>false</cap:enabled></cap:asyncUpdate>";
        assert_eq!(opened(&queue("a", off)).await.unwrap(), (false, vec![idle("a")]));
        let two = queue("a", "") + &queue("b", "<cap:asyncUpdate/>");
        assert_eq!(opened(&two).await.unwrap(), (true, vec![idle("a")]));
        let unknown =
            "<additionalConnector><name>a</name><connectorRef oid=\"x\" type=\"c:ConnectorType\"/></additionalConnector>";
        assert_eq!(opened(unknown).await.unwrap(), (false, vec![idle("a")]));
    }

    #[tokio::test]
    async fn what_else_an_additional_connector_is_to_do_is_left_to_the_main_one() {
        let (pushes, warnings) = opened(&queue("a", "<cap:read/><cap:asyncUpdate/>")).await.unwrap();
        assert!(pushes);
        assert!(warnings.iter().any(|warning| warning.starts_with("'read' is left to the main connector")), "{warnings:?}");
        let wrong = queue("a", "").replace("<queue>q</queue>", "");
        assert!(matches!(opened(&wrong).await, Err(OpenError::Definition(_))));
    }
}
