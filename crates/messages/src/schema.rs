//! The object classes that messages are about. Nothing tells them but the definition.

use std::path::Path;
use std::sync::Arc;

use tidelock_model::document::Node;
use tidelock_model::name::ns;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, Schema, ValueType};
use tidelock_model::{Diagnostic, Diagnostics};

use crate::Settings;
use crate::config::shorten;

type Read = Result<(Schema, Diagnostics), Diagnostics>;

/// Reads our own form: `class` elements with `name`, `identifier`, `nameAttribute`, `defaultAccount` and `attribute`s, each
/// with `name`, `type`, `multiValued`, `required` and `matchingRule`.
///
/// # Errors
/// Everything that is wrong, each with its place and cure.
pub fn from_configuration(node: &Node, base: &Path) -> Read {
    let mut settings = Settings::new("'schema'", node, base);
    let mut builder = Builder::default();
    for node in settings.nodes("class") {
        let class = own_class(node, base, &mut builder.diagnostics);
        builder.add(class, node);
    }
    builder.diagnostics.extend(settings.finish());
    builder.finish(node)
}

/// Reads midPoint's form: complex types of an XML Schema, with annotations that say which elements identify and name objects.
/// The node is the resource's `schema` element, its `definition`, or the XML Schema itself.
///
/// # Errors
/// Everything that is wrong, each with its place and cure.
pub fn from_xsd(node: &Node) -> Read {
    let mut builder = Builder::default();
    let xsd = node.child("definition").unwrap_or(node);
    let xsd = xsd.child("schema").unwrap_or(xsd);
    for node in xsd.children_named("complexType") {
        if let Some(class) = xsd_class(node, &mut builder.diagnostics) {
            builder.add(class, node);
        }
    }
    builder.finish(node)
}

#[derive(Default)]
struct Builder {
    schema: Schema,
    diagnostics: Diagnostics,
}

impl Builder {
    fn add(&mut self, class: ObjectClass, node: &Node) {
        if !class.name.is_empty() && self.schema.class(&class.name).is_some() {
            let error = Diagnostic::error("duplicate", &node.place, format!("the object class '{}' is there twice", class.name));
            self.diagnostics.push(error.with_help("keep one of them"));
            return;
        }
        self.schema.classes.push(Arc::new(class));
    }

    fn finish(mut self, node: &Node) -> Read {
        if self.schema.classes.iter().all(|class| class.auxiliary) && !self.diagnostics.iter().any(Diagnostic::is_error) {
            let error = Diagnostic::error("missing-property", &node.place, "the schema has no object class");
            self.diagnostics.push(error.with_help("declare a class, with the attribute that identifies its objects"));
        }
        if self.diagnostics.iter().any(Diagnostic::is_error) {
            Err(self.diagnostics)
        } else {
            Ok((self.schema, self.diagnostics))
        }
    }
}

fn own_class(node: &Node, base: &Path, diagnostics: &mut Diagnostics) -> ObjectClass {
    let mut settings = Settings::new("an object class", node, base);
    let name = settings.required("name", "name the object class");
    let identifier = settings.required("identifier", "name the attribute that identifies an object for its whole life");
    let naming = settings.text("nameAttribute");
    let mut class = ObjectClass::new(name.map_or("", |name| name.text), identifier.map_or("", |identifier| identifier.text));
    class.attributes.clear();
    class.default_account = settings.flag("defaultAccount", false);
    let nodes: Vec<&Node> = settings.nodes("attribute").collect();
    for node in nodes {
        let mut inner = Settings::new("an attribute", node, base);
        let Some(name) = inner.required("name", "name the attribute") else {
            diagnostics.extend(inner.finish());
            continue;
        };
        let mut attribute = AttributeDefinition::text(name.text);
        if let Some(given) = inner.text("type") {
            match own_type(given.text) {
                Some(value_type) => attribute.value_type = value_type,
                None => inner.bad(
                    given.place,
                    format!("'{}' is no type of values", shorten(given.text)),
                    "write one of string, integer, float, boolean, dateTime, binary",
                ),
            }
        }
        attribute.multi_valued = inner.flag("multiValued", false);
        attribute.required = inner.flag("required", false);
        if let Some(given) = inner.text("matchingRule") {
            match MatchingRule::from_name(given.text.rsplit([':', '#']).next().unwrap_or_default()) {
                Some(rule) => attribute.matching_rule = rule,
                None => inner.bad(
                    given.place,
                    format!("'{}' is no matching rule", shorten(given.text)),
                    "write one of default, stringIgnoreCase, distinguishedName, uuid, polyStringNorm",
                ),
            }
        }
        if class.attribute(&attribute.name).is_some() {
            inner.bad(&node.place, format!("the attribute '{}' is there twice", shorten(&attribute.name)), "keep one of them");
        } else {
            class.attributes.push(attribute);
        }
        diagnostics.extend(inner.finish());
    }
    if let Some(identifier) = identifier {
        // An identifier that is declared no further is a text.
        if class.attribute(identifier.text).is_none() {
            class.attributes.insert(0, AttributeDefinition::text(identifier.text));
        }
        identify(&mut class, identifier.text, &mut |message, help| settings.bad(identifier.place, message, help));
    }
    if let Some(naming) = naming {
        match class.attribute(naming.text) {
            Some(attribute) => class.naming_attribute = Arc::clone(&attribute.name),
            None => settings.bad(
                naming.place,
                format!("'{}' names objects, and is no attribute", shorten(naming.text)),
                "declare it as an attribute",
            ),
        }
    }
    diagnostics.extend(settings.finish());
    class
}

/// Makes an attribute the primary identifier.
fn identify(class: &mut ObjectClass, name: &str, bad: &mut dyn FnMut(String, &'static str)) {
    let Some(attribute) = class.attributes.iter_mut().find(|attribute| *attribute.name == *name) else { return };
    if attribute.multi_valued {
        bad(format!("'{}' identifies objects, and may have several values", shorten(name)), "make it single-valued");
    }
    if !matches!(attribute.value_type, ValueType::String | ValueType::Integer) {
        bad(format!("'{}' identifies objects, and is neither a text nor a whole number", shorten(name)), "make it a string");
    }
    attribute.required = true;
    class.primary_identifier = Arc::clone(&attribute.name);
    class.naming_attribute = Arc::clone(&attribute.name);
}

/// A type in our own form: our own names, and those of XML Schema.
fn own_type(text: &str) -> Option<ValueType> {
    Some(match text.rsplit([':', '#']).next().unwrap_or_default() {
        "integer" => ValueType::Integer,
        "binary" => ValueType::Binary,
        name => xsd_type(name)?,
    })
}

fn xsd_type(local: &str) -> Option<ValueType> {
    Some(match local {
        "string" | "normalizedString" | "token" | "anyURI" | "language" | "NCName" | "Name" | "ID" => ValueType::String,
        "int" | "integer" | "long" | "short" | "byte" | "unsignedInt" | "unsignedLong" | "unsignedShort" | "unsignedByte"
        | "nonNegativeInteger" | "positiveInteger" | "negativeInteger" | "nonPositiveInteger" => ValueType::Integer,
        "float" | "double" => ValueType::Float,
        "boolean" => ValueType::Boolean,
        "dateTime" | "date" => ValueType::DateTime,
        "base64Binary" => ValueType::Binary,
        // Texts keep every digit of them.
        "decimal" | "PolyStringType" | "duration" | "QName" | "time" => ValueType::String,
        _ => return None,
    })
}

/// A complex type that is an object class; others describe parts of attributes.
fn xsd_class(node: &Node, diagnostics: &mut Diagnostics) -> Option<ObjectClass> {
    let info = |node: &'_ Node| -> Vec<Node> {
        let annotations = node.children_named("annotation").flat_map(|annotation| annotation.children_named("appinfo"));
        annotations.flat_map(|info| info.children.iter().cloned()).collect()
    };
    let annotations = info(node);
    let annotation = |name: &str| annotations.iter().find(|found| found.local() == name);
    let name = node.attribute_value("name").unwrap_or_default().trim();
    if annotation("resourceObject").is_none() && annotation("identifier").is_none() {
        return None;
    }
    if name.is_empty() {
        let error = Diagnostic::error("missing-property", &node.place, "an object class has no name");
        diagnostics.push(error.with_help("give the complex type a name"));
        return None;
    }
    let mut class = ObjectClass::new(name, "");
    class.attributes.clear();
    let truth = |found: Option<&Node>| found.is_some_and(|node| !matches!(node.text().trim(), "false" | "0"));
    class.default_account = truth(annotation("default")) || name == "AccountObjectClass";
    class.auxiliary = truth(annotation("auxiliary"));
    for element in elements(node) {
        let attribute = xsd_attribute(element, &info(element), diagnostics);
        let Some(attribute) = attribute else { continue };
        if class.attribute(&attribute.name).is_some() {
            let message = format!("the attribute '{}' of '{name}' is there twice", shorten(&attribute.name));
            diagnostics.push(Diagnostic::error("duplicate", &element.place, message).with_help("keep one of them"));
        } else {
            class.attributes.push(attribute);
        }
    }
    let attribute_of = |annotation: Option<&Node>, class: &ObjectClass, diagnostics: &mut Diagnostics| {
        let node = annotation?;
        let local = local(node.text());
        match class.attribute(local) {
            Some(attribute) => Some(Arc::clone(&attribute.name)),
            None => {
                let message = format!("'{}', which '{}' names, is no attribute of '{name}'", shorten(local), node.local());
                diagnostics.push(Diagnostic::error("bad-value", &node.place, message).with_help("name one of its elements"));
                None
            }
        }
    };
    match annotation("identifier") {
        None if class.auxiliary => {}
        None => {
            let error = Diagnostic::error("missing-property", &node.place, format!("nothing identifies objects of '{name}'"));
            diagnostics.push(error.with_help("annotate the complex type with ra:identifier"));
        }
        found => {
            if let Some(identifier) = attribute_of(found, &class, diagnostics) {
                let place = found.map_or(&node.place, |found| &found.place);
                identify(&mut class, &identifier, &mut |message, help| {
                    diagnostics.push(Diagnostic::error("bad-value", place, message).with_help(help));
                });
            }
        }
    }
    // What objects are called: the naming attribute, else the one that is shown, else the first other identifier.
    let naming = annotation("namingAttribute").or(annotation("displayNameAttribute")).or(annotation("secondaryIdentifier"));
    if let Some(naming) = attribute_of(naming, &class, diagnostics) {
        class.naming_attribute = naming;
    }
    Some(class)
}

/// The elements of a complex type: in a sequence, and within extensions of other types.
fn elements(node: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    for child in &node.children {
        match child.local() {
            "element" => found.push(child),
            "sequence" | "all" | "complexContent" | "extension" | "choice" => found.extend(elements(child)),
            _ => {}
        }
    }
    found
}

fn xsd_attribute(element: &Node, annotations: &[Node], diagnostics: &mut Diagnostics) -> Option<AttributeDefinition> {
    let name = element.attribute_value("name").or(element.attribute_value("ref")).map(local).unwrap_or_default();
    if name.is_empty() {
        let error = Diagnostic::error("missing-property", &element.place, "an element has neither a name nor a reference");
        diagnostics.push(error.with_help("name the attribute"));
        return None;
    }
    let mut attribute = AttributeDefinition::text(name);
    let occurs = |name: &str| element.attribute_value(name).map(str::trim);
    attribute.required = !matches!(occurs("minOccurs"), Some("0"));
    attribute.multi_valued = !matches!(occurs("maxOccurs"), None | Some("0" | "1"));
    if let Some(given) = element.attribute("type") {
        match xsd_type(local(&given.value)) {
            Some(value_type) => attribute.value_type = value_type,
            None => {
                let message = format!("'{}' is no type of values that is known", shorten(&given.value));
                let error = Diagnostic::error("bad-value", &given.place, message);
                let help = "types are xsd:string, xsd:int, xsd:long, xsd:double, xsd:boolean, xsd:dateTime and xsd:base64Binary";
                diagnostics.push(error.with_help(help));
            }
        }
    }
    let rule = annotations.iter().find(|found| found.local() == "matchingRule");
    if let Some(rule) = rule {
        match MatchingRule::from_name(local(rule.text())) {
            Some(known) => attribute.matching_rule = known,
            None => {
                let message = format!("'{}' is no matching rule that is known", shorten(rule.text().trim()));
                let warning = Diagnostic::warning("not-supported", &rule.place, message);
                diagnostics
                    .push(warning.with_help(format!("rules are those of {}: stringIgnoreCase and so on", ns::MATCHING_RULE)));
            }
        }
    }
    Some(attribute)
}

/// The name without a prefix or a namespace.
fn local(text: &str) -> &str {
    let text = text.trim();
    text.rsplit([':', '#', '}']).next().unwrap_or(text)
}
