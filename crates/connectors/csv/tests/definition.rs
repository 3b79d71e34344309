//! From a definition to a connector.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use expect_test::{Expect, expect};
use tidelock_connector_api::{Connector, SearchRequest};
use tidelock_csv::{BUNDLE_NAMESPACE, OBJECT_CLASS};
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::Format;

/// A resource with these properties, `csv` being the connector's prefix.
fn check(properties: &str, expected: Expect) {
    let text = format!(
        r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" oid="10000000-0000-0000-0000-000000000001"
  xmlns:icfc="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3" xmlns:csv="{BUNDLE_NAMESPACE}">
<name>HR</name>
<connectorConfiguration><icfc:configurationProperties>
{properties}
</icfc:configurationProperties></connectorConfiguration></resource>"#
    );
    let (definitions, diagnostics) = read_file(text.as_bytes(), Some("hr.xml"), Format::Xml);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let Some(Definition::Resource(resource)) = definitions.first() else { panic!("no resource") };
    let shown = match tidelock_csv::open(resource.connector_configuration.as_ref().unwrap(), Path::new("/data")) {
        Ok(csv) => {
            let query = csv.native_query(&SearchRequest::new(OBJECT_CLASS)).unwrap();
            format!("{}: {query}\n{}", csv.path().display(), csv.warnings().iter().map(|w| format!("{w}\n")).collect::<String>())
        }
        Err(diagnostics) => diagnostics.iter().map(|d| format!("{d}\n")).collect(),
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_resource_definition_opens_its_file() {
    check(
        "<csv:filePath>hr.csv</csv:filePath>\n<csv:fieldDelimiter>\t</csv:fieldDelimiter>\n<csv:quote></csv:quote>\n\
         <csv:uniqueAttribute>uid</csv:uniqueAttribute>\n<csv:tmpFolder>/tmp</csv:tmpFolder>",
        expect![[r#"
            /data/hr.csv: read every row of hr.csv
            hr.xml:9:1: warning[not-supported]: the property 'tmpFolder' is not used: snapshots for live synchronization are kept with the repository
        "#]],
    );
}

#[test]
fn errors_have_the_place_of_their_property() {
    check(
        "<csv:filePath>hr.csv</csv:filePath>\n  <csv:fieldDelimiter>||</csv:fieldDelimiter>\n<csv:uniqueAtribute>uid</csv:uniqueAtribute>",
        expect![[r#"
            hr.xml:7:1: error[unknown-property]: the CSV connector has no configuration property 'uniqueAtribute'
            hr.xml:4:1: error[missing-property]: the CSV connector needs the property 'uniqueAttribute'
            hr.xml:6:3: error[bad-value]: 'fieldDelimiter' has more than one character
        "#]],
    );
}
