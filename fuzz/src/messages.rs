//! What must hold for any message.

use std::path::Path;
use std::sync::LazyLock;

use tidelock_connector_api::{ChangeKind, Modification};
use tidelock_messages::{Decoder, MessageFormat, read};
use tidelock_model::definition::{Definition, read_file};
use tidelock_model::document::Format;
use tidelock_model::object::{AttributeDefinition, ObjectClass, ValueType};
use tidelock_model::{Items, Value};

/// One with everything that can be configured, but for the mapping.
static PLAIN: LazyLock<Decoder> = LazyLock::new(|| {
    decoder(
        "<tables><table><name>person</name><column><name>hired</name><attribute>since</attribute><unit>days</unit></column></table></tables>",
    )
});

/// One with a mapping.
static MAPPED: LazyLock<Decoder> = LazyLock::new(|| {
    decoder(
        "<mapping><each>a</each><classPath>c</classPath><changePath>o</changePath><identifierPath>i</identifierPath>
         <attributesPath>b</attributesPath><attribute><name>mail</name><path>b/c</path></attribute></mapping>",
    )
});

fn decoder(items: &str) -> Decoder {
    let text = format!(
        "<resource xmlns='http://midpoint.evolveum.com/xml/ns/public/common/common-3'><connectorConfiguration>
         <sources><nats/></sources>{items}<schema><class><name>person</name><identifier>id</identifier>
         <attribute><name>mail</name><multiValued>true</multiValued></attribute><attribute><name>level</name><type>integer</type></attribute>
         <attribute><name>rate</name><type>float</type></attribute><attribute><name>active</name><type>boolean</type></attribute>
         <attribute><name>since</name><type>dateTime</type></attribute><attribute><name>photo</name><type>binary</type></attribute></class>
         <class><name>team</name><identifier>key</identifier><attribute><name>key</name><type>integer</type></attribute>
         <attribute><name>title</name><required>true</required></attribute></class></schema></connectorConfiguration></resource>"
    );
    let (definitions, _) = read_file(text.as_bytes(), None, Format::Xml);
    let Some(Definition::Resource(resource)) = definitions.into_iter().next() else { unreachable!("it is a resource") };
    let configuration = resource.connector_configuration.as_ref().expect("it is in the text");
    read(configuration, None, Path::new("/")).expect("it is right").0.decoder
}

/// The first byte says how the rest is read. Whatever is read as changes fits the schema.
pub fn messages(bytes: &[u8]) {
    let Some((how, body)) = bytes.split_first() else { return };
    let format = match how % 6 {
        0 => MessageFormat::Auto,
        1 => MessageFormat::UcfChange,
        2 => MessageFormat::Json,
        3 => MessageFormat::Debezium,
        _ => MessageFormat::Mapping,
    };
    let decoder = if format == MessageFormat::Mapping { MAPPED.clone() } else { PLAIN.clone() };
    let content_type = [None, Some("application/json"), Some("text/xml"), Some("application/yaml")][usize::from(how / 6) % 4];
    let Ok(changes) = decoder.clone().with_format(format).changes(body, content_type) else { return };
    for change in changes {
        let class = change.class.as_deref().expect("a message says the class");
        let class = decoder.schema().class(class).expect("the class is in the schema");
        assert!(!change.identifier.is_empty());
        match change.kind {
            ChangeKind::Full(object) => {
                assert!(object.class == class.name && object.identifier == change.identifier);
                let primary = object.attributes.get(&class.primary_identifier);
                assert_eq!(primary.len(), 1);
                assert_eq!(primary[0].to_text().as_deref(), Some(&*change.identifier));
                fit(class, &object.attributes);
                for attribute in class.attributes.iter().filter(|attribute| attribute.required) {
                    assert!(!object.attributes.get(&attribute.name).is_empty(), "{} is missing", attribute.name);
                }
            }
            ChangeKind::Delta(modifications) => {
                for modification in &modifications {
                    let attribute = class.attribute(modification.attribute()).expect("the attribute is in the schema");
                    assert!(attribute.name != class.primary_identifier);
                    let (Modification::Add(_, values) | Modification::Remove(_, values) | Modification::Replace(_, values)) =
                        modification;
                    values.iter().for_each(|value| typed(attribute, value));
                }
                let mut object = Items::new();
                modifications.iter().for_each(|modification| modification.apply(&mut object, class));
            }
            ChangeKind::Deleted(was) => was.iter().for_each(|was| fit(class, was)),
            ChangeKind::Notification => {}
        }
    }
}

fn fit(class: &ObjectClass, items: &Items) {
    for (name, values) in items.iter() {
        let attribute = class.attribute(name).expect("the attribute is in the schema");
        assert!(attribute.multi_valued || values.len() == 1, "{name} has {} values", values.len());
        values.iter().for_each(|value| typed(attribute, value));
    }
}

fn typed(attribute: &AttributeDefinition, value: &Value) {
    let typed = matches!(
        (attribute.value_type, value),
        (ValueType::String, Value::String(_))
            | (ValueType::Integer, Value::Integer(_))
            | (ValueType::Float, Value::Float(_))
            | (ValueType::Boolean, Value::Boolean(_))
            | (ValueType::DateTime, Value::DateTime(_))
            | (ValueType::Binary, Value::Binary(_))
    );
    assert!(typed, "{} has a value of another type", attribute.name);
}
