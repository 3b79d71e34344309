//! Qualified names and the namespaces that midPoint's definitions use.

use std::fmt;
use std::sync::Arc;

/// Namespaces of midPoint's definitions, and the prefixes that are usable without declaration in JSON, YAML and queries.
pub mod ns {
    /// Objects, tasks, resources: the default namespace of definitions (`c`).
    pub const COMMON: &str = "http://midpoint.evolveum.com/xml/ns/public/common/common-3";
    /// Content of `query` (`q`).
    pub const QUERY: &str = "http://prism.evolveum.com/xml/ns/public/query-3";
    /// Basic types such as item paths and raw values (`t`).
    pub const TYPES: &str = "http://prism.evolveum.com/xml/ns/public/types-3";
    /// Schema annotations (`a`).
    pub const ANNOTATION: &str = "http://prism.evolveum.com/xml/ns/public/annotation-3";
    /// Object classes and attributes of a resource instance (`ri`).
    pub const RI: &str = "http://midpoint.evolveum.com/xml/ns/public/resource/instance-3";
    /// The identifier and naming attributes every connector has (`icfs`).
    pub const ICFS: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/resource-schema-3";
    /// Connector configuration containers (`icfc`).
    pub const ICFC: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/icf-1/connector-schema-3";
    /// Resource schema annotations (`ra`).
    pub const RA: &str = "http://midpoint.evolveum.com/xml/ns/public/resource/annotation-3";
    /// Resource capabilities (`cap`).
    pub const CAP: &str = "http://midpoint.evolveum.com/xml/ns/public/resource/capabilities-3";
    /// Task extension items of midPoint itself (`mext`).
    pub const MEXT: &str = "http://midpoint.evolveum.com/xml/ns/public/model/extension-3";
    /// Relations between objects (`org`).
    pub const ORG: &str = "http://midpoint.evolveum.com/xml/ns/public/common/org-3";
    /// Bulk actions (`s`).
    pub const SCRIPTING: &str = "http://midpoint.evolveum.com/xml/ns/public/model/scripting-3";
    /// Matching rules (`mr`).
    pub const MATCHING_RULE: &str = "http://prism.evolveum.com/xml/ns/public/matching-rule-3";
    /// XML Schema instance (`xsi`).
    pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
    /// XML Schema types (`xsd`).
    pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";

    const PREFIXES: &[(&str, &str)] = &[
        ("c", COMMON),
        ("q", QUERY),
        ("t", TYPES),
        ("a", ANNOTATION),
        ("ri", RI),
        ("icfs", ICFS),
        ("icfc", ICFC),
        ("ra", RA),
        ("cap", CAP),
        ("mext", MEXT),
        ("org", ORG),
        ("s", SCRIPTING),
        ("mr", MATCHING_RULE),
        ("xsi", XSI),
        ("xsd", XSD),
    ];

    /// The namespace of a well-known prefix.
    #[must_use]
    pub fn of_prefix(prefix: &str) -> Option<&'static str> {
        PREFIXES.iter().find(|(p, _)| *p == prefix).map(|(_, uri)| *uri)
    }

    /// The well-known prefix of a namespace.
    #[must_use]
    pub fn prefix_of(namespace: &str) -> Option<&'static str> {
        PREFIXES.iter().find(|(_, uri)| *uri == namespace).map(|(prefix, _)| *prefix)
    }
}

/// A name with an optional namespace.
///
/// Equality is exact; [`QName::matches`] is midPoint's lenient comparison. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QName {
    namespace: Option<Arc<str>>,
    local: Arc<str>,
}

impl QName {
    /// A name in a namespace; an empty namespace is none.
    pub fn new(namespace: impl AsRef<str>, local: impl Into<Arc<str>>) -> Self {
        let namespace = namespace.as_ref();
        Self { namespace: (!namespace.is_empty()).then(|| namespace.into()), local: local.into() }
    }

    /// A name whose parts are shared already; for readers that meet the same names again and again.
    #[must_use]
    pub const fn from_shared(namespace: Option<Arc<str>>, local: Arc<str>) -> Self {
        Self { namespace, local }
    }

    /// A name without a namespace.
    pub fn local_only(local: impl Into<Arc<str>>) -> Self {
        Self { namespace: None, local: local.into() }
    }

    /// A name of the common namespace.
    pub fn common(local: impl Into<Arc<str>>) -> Self {
        Self::new(ns::COMMON, local)
    }

    /// The namespace, if there is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The part after the prefix.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part after the prefix, shared.
    #[must_use]
    pub fn local_arc(&self) -> &Arc<str> {
        &self.local
    }

    /// Compares leniently: where either side lacks a namespace, only the local parts count (case-sensitively).
    #[must_use]
    pub fn matches(&self, other: &QName) -> bool {
        self.local == other.local
            && match (&self.namespace, &other.namespace) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }

    /// Reads `namespace#local`, or a bare local name. The text is taken as it is; prefixes are the caller's business.
    #[must_use]
    pub fn from_uri(text: &str) -> Self {
        match text.rsplit_once('#') {
            Some((namespace, local)) if !local.is_empty() => Self::new(namespace, local),
            _ => Self::local_only(text),
        }
    }

    /// Writes `namespace#local`, or the bare local name.
    #[must_use]
    pub fn to_uri(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}#{}", self.local),
            None => self.local.to_string(),
        }
    }

    /// Writes `prefix:local` where the namespace has a well-known prefix, else the URI form. Common names get no prefix.
    #[must_use]
    pub fn to_short(&self) -> String {
        match self.namespace() {
            None | Some(ns::COMMON) => self.local.to_string(),
            Some(namespace) => match ns::prefix_of(namespace) {
                Some(prefix) => format!("{prefix}:{}", self.local),
                None => self.to_uri(),
            },
        }
    }
}

impl fmt::Display for QName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_short())
    }
}

impl fmt::Debug for QName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_uri())
    }
}
