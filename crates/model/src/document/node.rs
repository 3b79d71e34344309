//! The tree itself.

use std::fmt;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::scope::Scope;
use crate::name::{QName, ns};

/// One element of a document, with everything in it.
///
/// Two nodes are equal if name, attributes, text and children are: places and scopes do not count. An element name without a
/// namespace is one of the common namespace. The `Debug` form shows no text, as that may be secret.
#[derive(Clone)]
pub struct Node {
    /// What it is called.
    pub name: QName,
    /// Where it begins.
    pub place: Place,
    /// The prefixes that its text may use.
    pub scope: Arc<Scope>,
    /// `oid`, `type`, `relation`, `id`, `xsi:type` and the like. JSON and YAML keys of that meaning are here as well.
    pub attributes: Vec<Attribute>,
    /// The text, as it stands in the file; none where there is none or only an empty one. Beside children, space does not count.
    pub text: Option<Box<str>>,
    /// Whether the text was, or is to be, written as a number or a truth value rather than a string. Not part of equality.
    pub literal: bool,
    /// The elements within, in their order.
    pub children: Vec<Node>,
}

/// An attribute of a node.
#[derive(Clone)]
pub struct Attribute {
    /// What it is called; mostly without a namespace.
    pub name: QName,
    /// Its value.
    pub value: Box<str>,
    /// Where it begins.
    pub place: Place,
}

impl Node {
    /// An empty node that stands nowhere.
    #[must_use]
    pub fn new(name: QName) -> Self {
        Self {
            name,
            place: Place::default(),
            scope: Scope::well_known(),
            attributes: Vec::new(),
            text: None,
            literal: false,
            children: Vec::new(),
        }
    }

    /// A node that holds a text, with well-known prefixes in force.
    #[must_use]
    pub fn leaf(name: QName, text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        Self { text: (!text.is_empty()).then_some(text), ..Self::new(name) }
    }

    /// The name without its namespace.
    #[must_use]
    pub fn local(&self) -> &str {
        self.name.local()
    }

    /// The text, or an empty one.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }

    /// The attribute of this local name that has no namespace.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name.namespace().is_none() && a.name.local() == local)
    }

    /// The value of such an attribute.
    #[must_use]
    pub fn attribute_value(&self, local: &str) -> Option<&str> {
        self.attribute(local).map(|a| &*a.value)
    }

    /// Sets an attribute without namespace.
    pub fn set_attribute(&mut self, local: &str, value: impl Into<Box<str>>) {
        self.attributes.retain(|a| a.name.namespace().is_some() || a.name.local() != local);
        self.attributes.push(Attribute { name: QName::local_only(local), value: value.into(), place: Place::default() });
    }

    /// The `xsi:type` attribute.
    #[must_use]
    pub fn type_attribute(&self) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.name.local() == "type" && a.name.namespace() == Some(ns::XSI))
    }

    /// The declared type (`xsi:type`, `@type`, a YAML tag), where there is one that can be resolved.
    #[must_use]
    pub fn declared_type(&self) -> Option<QName> {
        self.type_attribute().and_then(|a| self.scope.resolve(&a.value).ok())
    }

    /// The first child of this local name, whatever its namespace.
    #[must_use]
    pub fn child(&self, local: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.local() == local)
    }

    /// The children of this local name, whatever their namespaces.
    pub fn children_named<'a>(&'a self, local: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.local() == local)
    }

    /// The text as a qualified name.
    ///
    /// # Errors
    /// `undeclared-prefix` (in XML only: elsewhere the whole text is the name), `bad-value` where there is no text.
    pub fn qname(&self) -> Result<QName, Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        match self.qname_reporting(&mut diagnostics) {
            Some(name) => Ok(name),
            None => Err(diagnostics),
        }
    }

    /// The text as a qualified name; what is to be said about it, warnings too, goes to `diagnostics`. None if that has an error.
    pub fn qname_reporting(&self, diagnostics: &mut Diagnostics) -> Option<QName> {
        resolve_reporting(self.text(), &self.scope, &self.place, diagnostics)
    }

    /// How many nodes there are, this one included.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children.iter().map(Self::count).sum::<usize>()
    }
}

/// A name in a text or an attribute value; see [`Node::qname_reporting`].
pub(crate) fn resolve_reporting(text: &str, scope: &Scope, place: &Place, diagnostics: &mut Diagnostics) -> Option<QName> {
    if text.trim().is_empty() {
        diagnostics.push(
            Diagnostic::error("bad-value", place, "a qualified name is expected here, and there is nothing")
                .with_help("write a name, such as ri:AccountObjectClass, or remove the item"),
        );
        return None;
    }
    match scope.resolve(text) {
        Ok(name) => Some(name),
        Err(undeclared) => {
            diagnostics.push(undeclared.at(place, scope));
            scope.is_lenient().then(|| QName::local_only(text.trim()))
        }
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.text == other.text
            && same_attributes(&self.attributes, &other.attributes)
            && self.children == other.children
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

/// The order of attributes means nothing. Their number is bounded, so the comparison may be the simple one.
pub(crate) fn same_attributes(a: &[Attribute], b: &[Attribute]) -> bool {
    a.len() == b.len() && a.iter().all(|attribute| b.contains(attribute))
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.name, self.place.line, self.place.column)?;
        if !self.children.is_empty() {
            f.debug_list().entries(&self.children).finish()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.name)
    }
}
