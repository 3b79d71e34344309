//! A definition and a message as text, and what is made of them as text.

use std::fmt::Write as _;
use std::path::Path;

use tidelock_connector_api::{Change, ChangeKind, Modification};
use tidelock_messages::{BUNDLE_NAMESPACE, Configuration, Decoder, read};
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::Format;
use tidelock_model::value::Values;
use tidelock_model::{Diagnostic, Diagnostics};

/// Object classes as midPoint's resources declare them.
pub(crate) const XSD: &str = r#"<schema><definition>
<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:ra="http://midpoint.evolveum.com/xml/ns/public/resource/annotation-3"
    xmlns:a="http://prism.evolveum.com/xml/ns/public/annotation-3" targetNamespace="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
  <xsd:complexType name="AccountObjectClass">
    <xsd:annotation><xsd:appinfo>
      <ra:resourceObject/><ra:identifier>icfs:uid</ra:identifier><ra:secondaryIdentifier>icfs:name</ra:secondaryIdentifier>
      <ra:displayNameAttribute>icfs:name</ra:displayNameAttribute><ra:default/>
    </xsd:appinfo></xsd:annotation>
    <xsd:sequence>
      <xsd:element ref="icfs:uid"/>
      <xsd:element ref="icfs:name" minOccurs="0"/>
      <xsd:element name="mail" type="xsd:string" minOccurs="0" maxOccurs="unbounded">
        <xsd:annotation><xsd:appinfo><a:matchingRule>mr:stringIgnoreCase</a:matchingRule></xsd:appinfo></xsd:annotation>
      </xsd:element>
      <xsd:element name="number" type="xsd:int" minOccurs="0"/>
      <xsd:element name="active" type="xsd:boolean" minOccurs="0"/>
      <xsd:element name="since" type="xsd:dateTime" minOccurs="0"/>
      <xsd:element name="photo" type="xsd:base64Binary" minOccurs="0"/>
    </xsd:sequence>
  </xsd:complexType>
</xsd:schema></definition></schema>"#;

/// The same classes in our own form, in the configuration.
pub(crate) const OWN: &str =
    "<conf:schema><class><name>person</name><identifier>id</identifier><nameAttribute>login</nameAttribute>
<attribute><name>id</name></attribute><attribute><name>login</name></attribute>
<attribute><name>mail</name><multiValued>true</multiValued><matchingRule>stringIgnoreCase</matchingRule></attribute>
<attribute><name>number</name><type>integer</type></attribute><attribute><name>salary</name></attribute>
<attribute><name>active</name><type>boolean</type></attribute><attribute><name>since</name><type>dateTime</type></attribute>
<attribute><name>photo</name><type>binary</type></attribute></class>
<class><name>team</name><identifier>key</identifier><attribute><name>key</name><type>integer</type></attribute>
<attribute><name>title</name><required>true</required></attribute></class></conf:schema>";

/// A source that nobody connects to.
pub(crate) const SOURCE: &str = "<conf:sources><amqp091><uri>amqp://localhost</uri></amqp091></conf:sources>";

/// What a resource of these parts comes to.
pub(crate) fn configure(configuration: &str, schema: &str) -> Result<(Configuration, Diagnostics), Diagnostics> {
    let text = format!(
        r#"<resource xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" xmlns:conf="{BUNDLE_NAMESPACE}"
xmlns:icfs="http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/resource-schema-3"
xmlns:mr="http://prism.evolveum.com/xml/ns/public/matching-rule-3"><name>queue</name><connectorConfiguration>
{configuration}
</connectorConfiguration>{schema}</resource>"#
    );
    let (definitions, diagnostics) = read_file(text.as_bytes(), None, Format::Xml);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { panic!("no resource") };
    let configuration = resource.connector_configuration.as_ref().expect("there is one in the text");
    read(configuration, resource.schema(), Path::new("/definitions"))
}

/// The decoder of a configuration without errors or warnings.
pub(crate) fn decoder(configuration: &str, schema: &str) -> Decoder {
    let (configuration, diagnostics) =
        configure(&format!("{SOURCE}{configuration}"), schema).expect("the configuration is right");
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    configuration.decoder
}

/// The changes of a message, or what is wrong with it, a line each.
pub(crate) fn shown(decoder: &Decoder, body: &[u8], content_type: Option<&str>) -> String {
    match decoder.changes(body, content_type) {
        Ok(changes) => changes.iter().map(show).collect(),
        Err(error) => format!("{:?}: {}\n", error.kind(), error.full_message()),
    }
}

pub(crate) fn show(change: &Change) -> String {
    let mut text = format!("{} {}", change.class.as_deref().unwrap_or("?"), change.identifier);
    match &change.kind {
        ChangeKind::Full(object) => {
            assert_eq!(Some(&object.class), change.class.as_ref());
            assert_eq!(object.identifier, change.identifier);
            text += " full";
            object.attributes.iter().for_each(|(name, values)| add(&mut text, name, "=", values));
        }
        ChangeKind::Delta(modifications) => {
            text += " delta";
            for modification in modifications {
                let (sign, values) = match modification {
                    Modification::Replace(_, values) => ("=", values),
                    Modification::Add(_, values) => ("+=", values),
                    Modification::Remove(_, values) => ("-=", values),
                };
                add(&mut text, modification.attribute(), sign, values);
            }
        }
        ChangeKind::Deleted(was) => {
            text += " deleted";
            was.iter().flat_map(|was| was.iter()).for_each(|(name, values)| add(&mut text, name, "=", values));
        }
        ChangeKind::Notification => text += " notification",
    }
    text + "\n"
}

fn add(text: &mut String, name: &str, sign: &str, values: &Values) {
    let values: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    write!(text, " {name}{sign}{}", values.join(",")).expect("texts take everything");
}

pub(crate) fn show_diagnostics(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|found| {
            let help = found.help.as_deref().unwrap_or("NO CURE");
            format!("{} {:?} {}: {} ({help})\n", found.place.line, found.severity, found.code, found.message)
        })
        .collect()
}
