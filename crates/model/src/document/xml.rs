//! Reading XML.
//!
//! The events are quick-xml's, which is lax in places: names, attributes, namespaces, characters and what surrounds the root are
//! checked here. Document types are refused, so there are no entities but the five of XML itself, and nothing expands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::node::{Attribute, Node};
use crate::document::scope::{Scope, XML_NAMESPACE};
use crate::document::text::{
    MAX_ATTRIBUTES, MAX_DEPTH, MAX_NODES, Places, first_forbidden, is_allowed, is_ncname, plain_name, syntax, too_many,
};
use crate::name::{QName, ns};

const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";
/// The most declarations of namespaces in force at one place.
const MAX_BINDINGS: usize = 512;

type Found<T> = Result<T, Diagnostic>;

/// Reads a document; returns its root.
pub(super) fn read(text: &str, file: Option<&Arc<str>>) -> Result<(Node, Diagnostics), Diagnostic> {
    let mut places = Places::new(text.as_bytes(), file.cloned());
    if let Some(at) = first_forbidden(text) {
        return Err(syntax(&places.at(at), "a control character, which XML does not allow", "remove it"));
    }
    let mut events = Reader::from_str(text);
    events.config_mut().check_comments = true;
    let mut document =
        Document { text, places, open: Vec::new(), root: None, diagnostics: Vec::new(), names: HashMap::new(), nodes: 0 };
    loop {
        let start = usize::try_from(events.buffer_position()).unwrap_or(text.len());
        let event = match events.read_event() {
            Ok(event) => event,
            Err(error) => {
                let at = usize::try_from(events.error_position()).unwrap_or(start);
                return Err(syntax(
                    &document.places.at(at),
                    error.to_string(),
                    "the document is not well-formed: correct it here",
                ));
            }
        };
        match event {
            Event::Start(tag) => document.start(start, &tag, tag.name().as_ref().len())?,
            Event::Empty(tag) => {
                document.start(start, &tag, tag.name().as_ref().len())?;
                document.end();
            }
            Event::End(_) => document.end(),
            Event::Text(raw) => {
                if let Some(at) = raw.find("]]>") {
                    return Err(syntax(&document.places.at(start + at), "']]>' in text", "write ]]&gt;"));
                }
                document.text(start, &raw.xml10_content())?;
            }
            Event::CData(raw) => {
                if document.open.is_empty() {
                    return Err(syntax(&document.places.at(start), "text outside of the root element", "remove it"));
                }
                document.text(start, &raw.xml10_content())?;
            }
            Event::GeneralRef(reference) => {
                let Some(value) = referenced(&reference) else { return Err(document.unknown_reference(start, &reference)) };
                if document.open.is_empty() {
                    return Err(syntax(&document.places.at(start), "text outside of the root element", "remove it"));
                }
                document.text(start, value.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(declaration) => document.declaration(start, &declaration)?,
            Event::PI(instruction) => {
                let target = instruction.target();
                if !is_ncname(&target.replace(':', "_")) || target.eq_ignore_ascii_case("xml") {
                    let message = "a processing instruction with a name that is not allowed";
                    return Err(syntax(
                        &document.places.at(start),
                        message,
                        "remove it; an XML declaration stands at the very beginning",
                    ));
                }
            }
            Event::DocType(_) => {
                let help = "remove the document type declaration; entities are not needed, and never read from outside";
                return Err(syntax(&document.places.at(start), "document types are not allowed", help));
            }
            Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    document.finish()
}

struct Document<'a> {
    text: &'a str,
    places: Places<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    diagnostics: Diagnostics,
    /// The same few names and namespaces, again and again.
    names: HashMap<&'a str, Arc<str>>,
    /// How many elements and attributes there are so far.
    nodes: usize,
}

struct Open {
    node: Node,
    text: String,
}

/// An attribute as it stands in its tag.
struct Raw<'a> {
    prefix: &'a str,
    local: &'a str,
    value: Cow<'a, str>,
    offset: usize,
}

impl<'a> Document<'a> {
    fn start(&mut self, offset: usize, tag: &str, name_length: usize) -> Found<()> {
        let place = self.places.at(offset);
        if self.open.is_empty() && self.root.is_some() {
            return Err(syntax(&place, "a second root element", "put several objects into one 'objects' element"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(syntax(&place, format!("elements are nested deeper than {MAX_DEPTH}"), "flatten the document"));
        }
        // The reader lends the tag for a moment only; the same text stands in the document, and lives as long as that.
        let tag = self.text.get(offset + 1..offset + 1 + tag.len()).unwrap_or_default();
        let (name, attributes) = tag.split_at_checked(name_length).unwrap_or((tag, ""));
        let (prefix, local) = self.split_name(name, offset + 1)?;
        let raw = self.attributes(attributes, offset + 1 + name.len())?;

        self.nodes += 1 + raw.len();
        if self.nodes > MAX_NODES {
            return Err(too_many(&place));
        }
        let around = self.open.last().map_or_else(Scope::xml, |open| Arc::clone(&open.node.scope));
        let scope = self.declarations(&raw, around)?;
        let namespace = match scope.lookup_shared(prefix) {
            Some(namespace) => Some(Arc::clone(namespace)),
            None if prefix.is_empty() => None,
            None => return Err(self.undeclared(prefix, name, offset)),
        };
        if namespace.is_none() && self.open.is_empty() {
            self.diagnostics.push(
                Diagnostic::info(
                    "no-namespace",
                    &place,
                    format!("'{name}' has no namespace; it is read as if in the common one"),
                )
                .with_help(format!("add xmlns=\"{}\"", ns::COMMON)),
            );
        }
        let namespace = namespace.unwrap_or_else(|| self.share(ns::COMMON));
        let local = self.local_name(local);
        let mut node = Node::new(QName::from_shared(Some(namespace), local));
        node.place = place;
        for attribute in raw.into_iter().filter(|a| a.prefix != "xmlns" && !(a.prefix.is_empty() && a.local == "xmlns")) {
            let attribute = self.attribute(attribute, &scope)?;
            node.attributes.push(attribute);
        }
        if let Some(double) = repeated(&node.attributes) {
            let message = format!("the attribute '{}' is given twice", double.name);
            return Err(syntax(&double.place, message, "leave one"));
        }
        node.scope = scope;
        self.open.push(Open { node, text: String::new() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(Open { mut node, text }) = self.open.pop() else { return };
        let between_children = !node.children.is_empty() && text.trim().is_empty();
        if !text.is_empty() && !between_children {
            node.text = Some(text.into());
        }
        match self.open.last_mut() {
            Some(parent) => parent.node.children.push(node),
            None => self.root = Some(node),
        }
    }

    fn text(&mut self, offset: usize, text: &str) -> Found<()> {
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None => {
                if let Some(at) = text.find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
                    let (message, help) = match self.root {
                        Some(_) => ("text after the root element", "remove it"),
                        None => ("text before the root element", "remove it, or use another format's file ending"),
                    };
                    return Err(syntax(&self.places.at(offset + at), message, help));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Node, Diagnostics), Diagnostic> {
        if let Some(open) = self.open.pop() {
            let message = format!("the element '{}' is never closed", open.node.local());
            return Err(syntax(&open.node.place, message, format!("add </{}>", open.node.local())));
        }
        match self.root {
            Some(root) => Ok((root, self.diagnostics)),
            None => Err(syntax(&self.places.at(self.text.len()), "the document has no element", "give it a root element")),
        }
    }

    /// The XML declaration: at the very beginning, with a version, perhaps an encoding, perhaps `standalone`.
    fn declaration(&mut self, offset: usize, content: &str) -> Found<()> {
        let place = self.places.at(offset);
        if offset != 0 {
            return Err(syntax(
                &place,
                "an XML declaration that is not at the very beginning",
                "remove what is before it, or it",
            ));
        }
        let inner = self.text.get(offset + 2..offset + 2 + content.len()).unwrap_or_default();
        let attributes = self.attributes(inner.get(3..).unwrap_or_default(), offset + 5)?;
        let mut expected = ["version", "encoding", "standalone"].into_iter();
        for attribute in &attributes {
            if !attribute.prefix.is_empty() || !expected.any(|name| name == attribute.local) {
                let message = format!("'{}' does not belong here in an XML declaration", attribute.local);
                return Err(syntax(
                    &self.places.at(attribute.offset),
                    message,
                    "write <?xml version=\"1.0\" encoding=\"UTF-8\"?>",
                ));
            }
            let value = &*attribute.value;
            let fine = match attribute.local {
                "version" => value.strip_prefix("1.").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())),
                "encoding" => ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|known| value.eq_ignore_ascii_case(known)),
                _ => matches!(value, "yes" | "no"),
            };
            if !fine {
                let shown: String = value.chars().take(40).collect();
                let help = match attribute.local {
                    "encoding" => "save the file as UTF-8, and say encoding=\"UTF-8\"; other encodings are not read",
                    "version" => "write version=\"1.0\"",
                    _ => "write yes or no",
                };
                let message = format!("the {} '{shown}' is not supported", attribute.local);
                return Err(syntax(&self.places.at(attribute.offset), message, help));
            }
        }
        match attributes.first() {
            Some(first) if first.local == "version" => Ok(()),
            _ => Err(syntax(&place, "an XML declaration without a version", "write <?xml version=\"1.0\" encoding=\"UTF-8\"?>")),
        }
    }

    /// The attributes in a tag, references replaced.
    fn attributes(&mut self, text: &'a str, offset: usize) -> Found<Vec<Raw<'a>>> {
        let mut found: Vec<Raw<'a>> = Vec::new();
        let mut rest = text;
        loop {
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let at = offset + text.len() - trimmed.len();
            if trimmed.is_empty() {
                return Ok(found);
            }
            if trimmed.len() == rest.len() {
                return Err(syntax(&self.places.at(at), "space is missing before an attribute", "put a space here"));
            }
            if found.len() >= MAX_ATTRIBUTES {
                let message = format!("an element has more than {MAX_ATTRIBUTES} attributes");
                return Err(syntax(&self.places.at(at), message, "use child elements"));
            }
            let name_end = trimmed.find([' ', '\t', '\n', '\r', '=', '"', '\'']).unwrap_or(trimmed.len());
            let (name, after) = trimmed.split_at(name_end);
            let (prefix, local) = self.split_name(name, at)?;
            let space = [' ', '\t', '\n', '\r'];
            let value = after.trim_start_matches(space).strip_prefix('=').map(|value| value.trim_start_matches(space));
            let quoted = value.and_then(|value| {
                let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
                value[1..].split_once(quote)
            });
            let Some((value, after)) = quoted else {
                let message = format!("the attribute '{local}' has no value in quotes");
                return Err(syntax(&self.places.at(at), message, format!("write {name}=\"…\"")));
            };
            if value.contains('<') {
                return Err(syntax(&self.places.at(at), format!("'<' in the value of '{local}'"), "write &lt;"));
            }
            let value = self.attribute_value(value, offset + text.len() - after.len() - 1 - value.len())?;
            found.push(Raw { prefix, local, value, offset: at });
            rest = after;
        }
    }

    /// Replaces references, and line ends and tabs by spaces, as XML asks for in attribute values.
    fn attribute_value(&mut self, raw: &'a str, offset: usize) -> Found<Cow<'a, str>> {
        if !raw.contains(['&', '\t', '\n', '\r']) {
            return Ok(Cow::Borrowed(raw));
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
            value.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix('&') {
                let place = offset + raw.len() - rest.len();
                let Some((reference, after)) = after.split_once(';') else {
                    return Err(syntax(&self.places.at(place), "'&' without ';'", "write &amp; for the character itself"));
                };
                value.push(referenced(reference).ok_or_else(|| self.unknown_reference(place, reference))?);
                rest = after;
            } else {
                value.push(' ');
                rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
            }
        }
        value.push_str(rest);
        Ok(Cow::Owned(value))
    }

    /// The scope of an element that has these attributes.
    fn declarations(&mut self, attributes: &[Raw<'a>], around: Arc<Scope>) -> Found<Arc<Scope>> {
        let mut bindings: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for attribute in attributes {
            let prefix = match (attribute.prefix, attribute.local) {
                ("xmlns", prefix) => prefix,
                ("", "xmlns") => "",
                _ => continue,
            };
            let uri = &*attribute.value;
            let refused = match (prefix, uri) {
                ("xmlns", _) | (_, XMLNS_NAMESPACE) => Some("the namespace of 'xmlns' cannot be declared"),
                ("xml", XML_NAMESPACE) => None,
                ("xml", _) | (_, XML_NAMESPACE) => Some("the prefix 'xml' and its namespace belong together"),
                (prefix, "") if !prefix.is_empty() => Some("a prefix cannot stand for no namespace"),
                _ => None,
            };
            if let Some(message) = refused {
                return Err(syntax(&self.places.at(attribute.offset), message, "remove the declaration"));
            }
            if bindings.iter().any(|(bound, _)| &**bound == prefix) {
                let message = format!("the prefix '{prefix}' is declared twice");
                return Err(syntax(&self.places.at(attribute.offset), message, "leave one declaration"));
            }
            let uri = match &attribute.value {
                Cow::Borrowed(uri) => self.share(uri),
                Cow::Owned(uri) => uri.as_str().into(),
            };
            bindings.push((self.share(prefix), uri));
        }
        if bindings.is_empty() {
            return Ok(around);
        }
        if around.size() + bindings.len() > MAX_BINDINGS {
            let offset = attributes.first().map_or(0, |a| a.offset);
            let message = format!("more than {MAX_BINDINGS} namespaces are declared around here");
            return Err(syntax(&self.places.at(offset), message, "declare each namespace once, at the root"));
        }
        Ok(Scope::nested(&around, bindings))
    }

    fn attribute(&mut self, raw: Raw<'a>, scope: &Scope) -> Found<Attribute> {
        let namespace = match raw.prefix {
            "" => None,
            prefix => match scope.lookup_shared(prefix) {
                Some(namespace) => Some(Arc::clone(namespace)),
                None => return Err(self.undeclared(prefix, raw.local, raw.offset)),
            },
        };
        let place = self.places.at(raw.offset);
        let name = QName::from_shared(namespace, self.local_name(raw.local));
        let mut value: Box<str> = raw.value.into();
        if name.local() == "type" && name.namespace() == Some(ns::XSI) {
            // In the one form that means the same wherever the node goes.
            value = scope.resolve(&value).map_err(|undeclared| undeclared.at(&place, scope))?.to_uri().into();
        }
        Ok(Attribute { name, value, place })
    }

    fn split_name(&mut self, name: &'a str, offset: usize) -> Found<(&'a str, &'a str)> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if is_ncname(local) && (prefix.is_empty() != name.contains(':')) && (prefix.is_empty() || is_ncname(prefix)) {
            return Ok((prefix, local));
        }
        let shown: String = name.chars().take(40).collect();
        Err(syntax(
            &self.places.at(offset),
            format!("'{shown}' is not a name"),
            "names begin with a letter, and have letters, digits, '-', '_' and '.'",
        ))
    }

    fn undeclared(&mut self, prefix: &str, name: &str, offset: usize) -> Diagnostic {
        let place = self.places.at(offset);
        let message = format!("the prefix '{prefix}' of '{name}' is not declared here");
        Diagnostic::error("undeclared-prefix", &place, message)
            .with_help(format!("add xmlns:{prefix}=\"{}\"", ns::of_prefix(prefix).unwrap_or("…")))
    }

    fn unknown_reference(&mut self, offset: usize, reference: &str) -> Diagnostic {
        let shown: String = reference.chars().take(40).collect();
        let (message, help) = match reference.strip_prefix('#') {
            Some(_) => (format!("'&{shown};' is no character that XML allows"), "remove it"),
            None => (
                format!("'&{shown};' stands for nothing here"),
                "only &lt; &gt; &amp; &quot; &apos; and characters by number are known; write &amp; for the character itself",
            ),
        };
        syntax(&self.places.at(offset), message, help)
    }

    fn local_name(&mut self, text: &'a str) -> Arc<str> {
        match plain_name(text) {
            Cow::Borrowed(plain) => self.share(plain),
            Cow::Owned(plain) => plain.into(),
        }
    }

    fn share(&mut self, text: &'a str) -> Arc<str> {
        Arc::clone(self.names.entry(text).or_insert_with(|| text.into()))
    }
}

/// The character that `&…;` stands for.
fn referenced(reference: &str) -> Option<char> {
    let number = match reference.strip_prefix('#') {
        None => {
            return Some(match reference {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "quot" => '"',
                "apos" => '\'',
                _ => return None,
            });
        }
        Some(number) => number,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|c| is_allowed(*c))
}

/// The second of two attributes of the same name.
fn repeated(attributes: &[Attribute]) -> Option<&Attribute> {
    if attributes.len() < 16 {
        return attributes.iter().enumerate().find(|(at, a)| attributes[..*at].iter().any(|b| b.name == a.name)).map(|(_, a)| a);
    }
    let mut seen = std::collections::HashSet::new();
    attributes.iter().find(|attribute| !seen.insert(&attribute.name))
}
