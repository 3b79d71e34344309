//! Writing XML.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::document::node::Node;
use crate::document::scope::XML_NAMESPACE;
use crate::document::text::{escaped_name, is_allowed};
use crate::document::write::{Prefixes, is_type, name_text};
use crate::name::{QName, ns};

/// It needs no declaration, and allows none.
const XML_PREFIX: &str = "xml";

pub(super) fn write(objects: &[Node]) -> String {
    let prefixes = Prefixes::of(objects);
    let mut writer = Writer { names: BTreeMap::new(), prefixes, out: String::new() };
    objects.iter().for_each(|object| writer.collect(object));

    let mut declarations = vec![("xmlns".to_owned(), ns::COMMON.to_owned())];
    let mut declared: BTreeMap<&str, &str> = writer.names.iter().map(|(uri, prefix)| (prefix.as_str(), uri.as_str())).collect();
    declared.remove(XML_PREFIX);
    for (prefix, uri) in &writer.prefixes.hoisted {
        declared.insert(prefix, uri);
    }
    declarations.extend(declared.into_iter().map(|(prefix, uri)| (format!("xmlns:{prefix}"), uri.to_owned())));

    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    match objects {
        [object] => writer.element(object, &declarations, 0),
        _ => {
            let mut list = Node::new(QName::common("objects"));
            list.children = objects.to_vec();
            writer.element(&list, &declarations, 0);
        }
    }
    writer.out.push('\n');
    writer.out
}

struct Writer {
    /// The prefix that element and attribute names of a namespace get.
    names: BTreeMap<String, String>,
    prefixes: Prefixes,
    out: String,
}

impl Writer {
    /// Gives a prefix to every namespace that names are in, other than the common one.
    fn collect(&mut self, node: &Node) {
        if let Some(namespace) = node.name.namespace().filter(|n| *n != ns::COMMON) {
            self.name_namespace(namespace);
        }
        for attribute in &node.attributes {
            if let Some(namespace) = attribute.name.namespace() {
                self.name_namespace(namespace);
            }
            if is_type(attribute)
                && let Some(namespace) = QName::from_uri(&attribute.value).namespace()
            {
                self.name_namespace(namespace);
            }
        }
        node.children.iter().for_each(|child| self.collect(child));
    }

    fn name_namespace(&mut self, namespace: &str) {
        if self.names.contains_key(namespace) {
            return;
        }
        if namespace == XML_NAMESPACE {
            self.names.insert(namespace.to_owned(), XML_PREFIX.to_owned());
            return;
        }
        let free =
            |prefix: &str| self.prefixes.is_free_for(prefix, namespace) && !self.names.values().any(|taken| taken == prefix);
        let hoisted = self.prefixes.hoisted.iter().find(|(_, uri)| *uri == namespace).map(|(prefix, _)| prefix.as_str());
        let prefix = ns::prefix_of(namespace)
            .into_iter()
            .chain(hoisted)
            .find(|prefix| free(prefix))
            .map(str::to_owned)
            .or_else(|| (1..).map(|n| format!("ns{n}")).find(|prefix| free(prefix)));
        if let Some(prefix) = prefix {
            self.names.insert(namespace.to_owned(), prefix);
        }
    }

    fn element(&mut self, node: &Node, declarations: &[(String, String)], depth: usize) {
        let name = match node.name.namespace() {
            None | Some(ns::COMMON) => escaped_name(node.local()),
            Some(namespace) => self.prefixed(namespace, node.local()),
        };
        self.out.push('<');
        self.out.push_str(&name);
        for (attribute, value) in declarations {
            self.attribute(attribute, value);
        }
        for (prefix, uri) in self.prefixes.local(node) {
            self.attribute(&format!("xmlns:{prefix}"), &uri);
        }
        for attribute in &node.attributes {
            let name = match attribute.name.namespace() {
                None => escaped_name(attribute.name.local()),
                Some(namespace) => self.prefixed(namespace, attribute.name.local()),
            };
            if is_type(attribute) {
                let prefix_of = |namespace: &str| self.names.get(namespace).map(String::as_str);
                let value = name_text(&QName::from_uri(&attribute.value), prefix_of);
                self.attribute(&name, &value);
            } else {
                self.attribute(&name, &attribute.value);
            }
        }
        if node.children.is_empty() && node.text.is_none() {
            self.out.push_str("/>");
            return;
        }
        self.out.push('>');
        if let Some(text) = &node.text {
            self.text(text);
        }
        for child in &node.children {
            // Beside text, space would count.
            if node.text.is_none() {
                self.new_line(depth + 1);
            }
            self.element(child, &[], depth + 1);
        }
        if node.text.is_none() {
            self.new_line(depth);
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
    }

    fn prefixed<'n>(&self, namespace: &str, local: &'n str) -> Cow<'n, str> {
        match self.names.get(namespace) {
            Some(prefix) => format!("{prefix}:{}", escaped_name(local)).into(),
            None => escaped_name(local),
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' => self.out.push_str("&quot;"),
                '\n' | '\t' => self.out.push_str(if c == '\n' { "&#10;" } else { "&#9;" }),
                _ => self.character(c),
            }
        }
        self.out.push('"');
    }

    fn text(&mut self, text: &str) {
        let block = text.contains('\n') && text.contains(['<', '&']);
        if block && !text.contains("]]>") && !text.contains('\r') && text.chars().all(is_allowed) {
            self.out.push_str("<![CDATA[");
            self.out.push_str(text);
            self.out.push_str("]]>");
        } else {
            text.chars().for_each(|c| self.character(c));
        }
    }

    fn character(&mut self, c: char) {
        match c {
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '&' => self.out.push_str("&amp;"),
            '\r' => self.out.push_str("&#13;"),
            c if is_allowed(c) => self.out.push(c),
            // XML has no way to say it, escaped or not; readers here never let it in.
            _ => self.out.push('\u{FFFD}'),
        }
    }

    fn new_line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", depth));
    }
}
