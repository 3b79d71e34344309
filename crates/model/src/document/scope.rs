//! Which prefixes mean which namespaces, at one place of a document.

use std::sync::{Arc, LazyLock};

use crate::diagnostic::{Diagnostic, Place};
use crate::name::{QName, ns};

/// The namespace that the prefix `xml` is always bound to.
pub(crate) const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";

/// The prefixes in force at a place, innermost first.
///
/// In XML only declared prefixes mean something, and any other is an error. In JSON and YAML the well-known ones
/// ([`ns::of_prefix`]) need no declaration, and a text with an unknown prefix is a name as it stands.
#[derive(Debug)]
pub struct Scope {
    parent: Option<Arc<Scope>>,
    bindings: Vec<(Arc<str>, Arc<str>)>,
    lenient: bool,
}

/// A prefix that means nothing where it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the prefix '{prefix}' of '{text}' is not declared here")]
pub struct UndeclaredPrefix {
    /// The prefix.
    pub prefix: String,
    /// The whole name, shortened if it is long.
    pub text: String,
}

static XML: LazyLock<Arc<Scope>> =
    LazyLock::new(|| Arc::new(Scope { parent: None, bindings: vec![("xml".into(), XML_NAMESPACE.into())], lenient: false }));
static WELL_KNOWN: LazyLock<Arc<Scope>> = LazyLock::new(|| Arc::new(Scope { parent: None, bindings: Vec::new(), lenient: true }));

impl Scope {
    /// The scope around an XML document.
    #[must_use]
    pub fn xml() -> Arc<Self> {
        Arc::clone(&XML)
    }

    /// The scope around a JSON or YAML document, and of what has no document at all.
    #[must_use]
    pub fn well_known() -> Arc<Self> {
        Arc::clone(&WELL_KNOWN)
    }

    /// A scope with more bindings inside this one. The empty prefix is the default namespace of element names.
    #[must_use]
    pub fn nested(parent: &Arc<Self>, bindings: Vec<(Arc<str>, Arc<str>)>) -> Arc<Self> {
        Arc::new(Self { parent: Some(Arc::clone(parent)), bindings, lenient: parent.lenient })
    }

    /// The namespace that a prefix stands for.
    #[must_use]
    pub fn lookup(&self, prefix: &str) -> Option<&str> {
        let mut scope = self;
        loop {
            if let Some((_, uri)) = scope.bindings.iter().rev().find(|(bound, _)| &**bound == prefix) {
                return (!uri.is_empty()).then_some(&**uri);
            }
            match &scope.parent {
                Some(parent) => scope = parent,
                None => return if scope.lenient { ns::of_prefix(prefix) } else { None },
            }
        }
    }

    /// Like [`Scope::lookup`], for readers that share the text.
    pub(crate) fn lookup_shared(&self, prefix: &str) -> Option<&Arc<str>> {
        let mut scope = self;
        loop {
            if let Some((_, uri)) = scope.bindings.iter().rev().find(|(bound, _)| &**bound == prefix) {
                return (!uri.is_empty()).then_some(uri);
            }
            scope = scope.parent.as_deref()?;
        }
    }

    /// Whether unknown prefixes are tolerated: everywhere but in XML.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// How many bindings are in force, shadowed ones included.
    pub(crate) fn size(&self) -> usize {
        let mut scope = self;
        let mut size = scope.bindings.len();
        while let Some(parent) = &scope.parent {
            scope = parent;
            size += scope.bindings.len();
        }
        size
    }

    /// Reads a name in content: `prefix:local`, `namespace#local`, or a bare local name, which has **no** namespace, whatever
    /// the default namespace is.
    ///
    /// # Errors
    /// [`UndeclaredPrefix`]; it is up to the caller whether that is an error, or the whole text the name.
    pub fn resolve(&self, text: &str) -> Result<QName, UndeclaredPrefix> {
        let text = text.trim();
        if text.contains(['/', '#']) {
            return Ok(QName::from_uri(text));
        }
        match text.split_once(':') {
            None => Ok(QName::local_only(text)),
            Some((prefix, local)) if !local.is_empty() => match self.lookup(prefix) {
                Some(namespace) if !prefix.is_empty() => Ok(QName::new(namespace, local)),
                _ => Err(undeclared(prefix, text)),
            },
            Some((prefix, _)) => Err(undeclared(prefix, text)),
        }
    }
}

impl UndeclaredPrefix {
    /// The finding at a place: an error in XML, a warning elsewhere.
    #[must_use]
    pub fn at(&self, place: &Place, scope: &Scope) -> Diagnostic {
        let namespace = ns::of_prefix(&self.prefix);
        if scope.lenient {
            Diagnostic::warning(
                "undeclared-prefix",
                place,
                format!("{self}, so '{}' is taken as a name without namespace", self.text),
            )
            .with_help("use one of the well-known prefixes, declare it under '@context', or write namespace#name")
        } else {
            Diagnostic::error("undeclared-prefix", place, self.to_string()).with_help(format!(
                "add xmlns:{}=\"{}\"",
                self.prefix,
                namespace.unwrap_or("…")
            ))
        }
    }
}

fn undeclared(prefix: &str, text: &str) -> UndeclaredPrefix {
    UndeclaredPrefix { prefix: prefix.chars().take(40).collect(), text: text.chars().take(80).collect() }
}
