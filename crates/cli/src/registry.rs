//! The connectors there are, and which of them a resource means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelock_activities::{Connectors, OpenError, ResourceEntry};
use tidelock_connector_api::{Connector, async_trait};
use tidelock_model::definition::{ConnectorConfiguration, Resource};
use tidelock_model::document::Node;
use tidelock_model::{Diagnostic, Diagnostics};

/// Opens connectors by what resource definitions say of them.
pub(crate) struct Registry {
    /// The folder to which relative paths refer in definitions that come from no file.
    home: PathBuf,
}

/// A kind of connector.
struct Known {
    /// What people call it.
    name: &'static str,
    /// The namespace of its configuration properties. Its last part is the connector's type.
    namespace: &'static str,
    open: fn(&ConnectorConfiguration, &Path) -> Opened,
}

/// A connector with the warnings of its configuration, or everything that is wrong with that.
type Opened = Result<(Arc<dyn Connector>, Diagnostics), Diagnostics>;

/// Every connector of this program. A new one is a line here.
const KNOWN: &[Known] = &[
    Known { name: "CSV", namespace: tidelock_csv::BUNDLE_NAMESPACE, open: csv },
    Known { name: "LDAP", namespace: tidelock_ldap::BUNDLE_NAMESPACE, open: ldap },
];

impl Registry {
    pub(crate) fn new(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }
}

#[async_trait]
impl Connectors for Registry {
    async fn open(&self, resource: &ResourceEntry) -> Result<(Arc<dyn Connector>, Diagnostics), OpenError> {
        let definition = &resource.definition;
        let known = choose(definition).map_err(|error| OpenError::Definition(vec![*error]))?;
        let base = resource.origin.as_deref().and_then(|origin| Path::new(origin).parent()).unwrap_or(&self.home);
        // Without a configuration it is the connector that knows what is missing, and at which place.
        let empty = ConnectorConfiguration { place: definition.place.clone(), ..ConnectorConfiguration::default() };
        let configuration = definition.connector_configuration.as_ref().unwrap_or(&empty);
        (known.open)(configuration, base).map_err(OpenError::Definition)
    }
}

/// The connector that a resource means: by the namespace of its configuration, else by the type that its `connectorRef` asks for.
fn choose(resource: &Resource) -> Result<&'static Known, Box<Diagnostic>> {
    let mut asked = Vec::new();
    let mut place = &resource.place;
    if let Some(configuration) = &resource.connector_configuration {
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
    if let Some(reference) = &resource.connector_ref {
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

/// Whether a namespace is one of connector bundles.
fn is_bundle(namespace: &str) -> bool {
    namespace.contains("/connector/icf-1/bundle/")
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

fn csv(configuration: &ConnectorConfiguration, base: &Path) -> Opened {
    let connector = tidelock_csv::open(configuration, base)?;
    let warnings = connector.warnings().to_vec();
    Ok((Arc::new(connector), warnings))
}

fn ldap(configuration: &ConnectorConfiguration, base: &Path) -> Opened {
    let connector = tidelock_ldap::open(configuration, base)?;
    let warnings = connector.warnings().to_vec();
    Ok((Arc::new(connector), warnings))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tidelock_model::definition::{Definition, read_file};
    use tidelock_model::document::Format;

    use super::*;

    fn chosen(content: &str) -> Result<&'static str, Box<Diagnostic>> {
        let text = format!(
            r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
                         xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3"
                         xmlns:q="http://prism.evolveum.com/xml/ns/public/query-3"><name>r</name>{content}</resource>"#
        );
        let (definitions, _) = read_file(text.as_bytes(), Some("r.xml"), Format::Xml);
        let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
        choose(&resource).map(|known| known.name)
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
    fn an_unknown_connector_is_named_together_with_those_there_are() {
        let error = chosen(
            r#"<connectorConfiguration><icfc:configurationProperties
               xmlns:p="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/bundle/org.example/org.example.Ftp">
               <p:host>x</p:host></icfc:configurationProperties></connectorConfiguration>"#,
        )
        .unwrap_err();
        assert_eq!((error.code, error.place.line), ("unknown-connector", 3));
        assert!(error.message.contains("org.example.Ftp"), "{}", error.message);
        assert!(error.help.unwrap().contains("CSV"));
        assert_eq!(chosen("").unwrap_err().code, "unknown-connector");
    }
}
