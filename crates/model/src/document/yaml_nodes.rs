//! What JSON and YAML values are as nodes: keys are elements, and the meta keys (`@ns`, `@type`, …) what XML has attributes for.

use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::node::{Attribute, Node, resolve_reporting};
use crate::document::scope::Scope;
use crate::document::text::syntax;
use crate::document::yaml::{Content, Key, Yaml, place};
use crate::name::{QName, ns};

type Found<T> = Result<T, Diagnostic>;

/// What is in force around a value.
#[derive(Clone)]
struct Around {
    scope: Arc<Scope>,
    /// The namespace of keys without prefix, where `@ns` says it.
    namespace: Option<Arc<str>>,
}

/// The objects of a file's documents.
pub(super) fn objects(documents: &[Rc<Yaml>], file: Option<&Arc<str>>) -> Result<(Vec<Node>, Diagnostics), Diagnostic> {
    let mut nodes = Nodes { file, diagnostics: Vec::new() };
    let mut holder = Node::new(QName::local_only(""));
    let around = Around { scope: Scope::well_known(), namespace: None };
    let mut any = false;
    for document in documents {
        nodes.roots(document, &mut holder, &around)?;
        any |= !matches!(document.content, Content::Null);
    }
    if !any {
        return Err(syntax(&place(file, 1, 1), "the document is empty", "give it an object, such as a task or a resource"));
    }
    Ok((holder.children, nodes.diagnostics))
}

/// The namespace of a key without prefix, by the element around it: a little of the schema, for the parts of definitions that
/// are not in the common namespace.
pub(super) fn inherited_namespace(parent: &QName) -> &'static str {
    match (parent.namespace(), parent.local()) {
        (Some(ns::QUERY), _) | (Some(ns::COMMON), "query" | "filter") => ns::QUERY,
        (Some(ns::COMMON), "configured" | "native" | "configuredCapabilities") | (Some(ns::CAP), _) => ns::CAP,
        (Some(ns::COMMON), "connectorConfiguration") => ns::ICFC,
        (Some(ns::ICFC), container) if container != "configurationProperties" => ns::ICFC,
        _ => ns::COMMON,
    }
}

/// Whether `type` and `relation` in a map are those of a reference, which XML has as attributes.
pub(super) fn is_reference(name: &str, has_oid: bool, is_object: bool) -> bool {
    !is_object && (has_oid || name.ends_with("Ref"))
}

struct Nodes<'f> {
    file: Option<&'f Arc<str>>,
    diagnostics: Diagnostics,
}

impl Nodes<'_> {
    /// The roots in a document: a map of them, or a list of such maps.
    fn roots(&mut self, value: &Yaml, holder: &mut Node, around: &Around) -> Found<()> {
        match &value.content {
            Content::Null => Ok(()),
            Content::Map(entries) => self.root(value, entries, holder, around),
            Content::List(items) => items.iter().try_for_each(|item| match &item.content {
                Content::Map(entries) => self.root(item, entries, holder, around),
                Content::Null => Ok(()),
                _ => Err(self.no_object(item)),
            }),
            Content::Scalar { .. } => Err(self.no_object(value)),
        }
    }

    /// A map of objects; or one object that says itself what it is, by its type or its element.
    fn root(&mut self, value: &Yaml, entries: &[(Key, Rc<Yaml>)], holder: &mut Node, around: &Around) -> Found<()> {
        let says = |(key, value): &(Key, Rc<Yaml>)| {
            matches!(&*key.text, "@type" | "@element") && matches!(value.content, Content::Scalar { .. })
        };
        if value.tag.is_none() && !entries.iter().any(says) {
            return self.entries(entries, holder, around, 0);
        }
        let at = entries.first().map_or((value.line, value.column), |(key, _)| (key.line, key.column));
        let around = self.declarations(entries, around)?;
        self.single(QName::common("object"), value, place(self.file, at.0, at.1), holder, &around, 0)
    }

    fn no_object(&self, value: &Yaml) -> Diagnostic {
        syntax(
            &place(self.file, value.line, value.column),
            "an object is expected here",
            "write a map, such as { \"task\": { … } }",
        )
    }

    fn entries(&mut self, entries: &[(Key, Rc<Yaml>)], node: &mut Node, around: &Around, depth: usize) -> Found<()> {
        let around = &self.declarations(entries, around)?;
        node.scope = Arc::clone(&around.scope);
        let has_oid = entries.iter().any(|(key, value)| &*key.text == "oid" && matches!(value.content, Content::Scalar { .. }));
        let reference = is_reference(node.local(), has_oid, depth <= 1);
        for (key, value) in entries {
            let at = place(self.file, key.line, key.column);
            match (&*key.text, &value.content) {
                (_, Content::Null) | ("@ns" | "@context" | "@element" | "@item", _) => {}
                ("@value", Content::Scalar { text, literal }) => {
                    node.text = (!text.is_empty()).then(|| text.clone());
                    node.literal = *literal;
                }
                ("@value", Content::Map(entries)) => self.entries(entries, node, around, depth)?,
                ("@value", Content::List(_)) => {
                    return Err(syntax(&at, "a list as '@value'", "make a list of maps with one '@value' each"));
                }
                ("@metadata", _) => self.value(QName::common("_metadata"), value, at, node, around, depth)?,
                ("@type", Content::Scalar { text, .. }) => self.set_type(node, text, &around.scope, at),
                ("@id", Content::Scalar { text, .. }) => node.attributes.push(attribute("id", text, at)),
                (text, Content::Scalar { text: value, .. }) if text.starts_with("@attr:") => {
                    node.attributes.push(Attribute { name: QName::from_uri(&text[6..]), value: value.clone(), place: at });
                }
                // A key in full, `namespace#local`, may begin with anything.
                (text, _) if text.starts_with('@') && !text.contains('#') => {
                    let shown: String = text.chars().take(40).collect();
                    self.diagnostics.push(
                        Diagnostic::warning("unknown-item", &at, format!("the meta key '{shown}' is not known; it is ignored"))
                            .with_help("known are @ns, @context, @type, @value, @id, @element and @metadata"),
                    );
                }
                ("version", Content::Scalar { text, .. }) if depth == 1 => node.attributes.push(attribute("version", text, at)),
                ("oid", Content::Scalar { text, .. }) if depth > 0 => node.attributes.push(attribute("oid", text, at)),
                (name @ ("type" | "relation"), Content::Scalar { text, .. }) if reference => {
                    node.attributes.push(attribute(name, text, at));
                }
                _ => {
                    let name = self.key_name(key, node, around)?;
                    self.value(name, value, at, node, around, depth)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a value to its parent, as one node or, a list, as several. A node begins where its key does, in a list where it does itself.
    fn value(&mut self, name: QName, value: &Yaml, at: Place, parent: &mut Node, around: &Around, depth: usize) -> Found<()> {
        let Content::List(items) = &value.content else { return self.single(name, value, at, parent, around, depth) };
        for item in items {
            let at = place(self.file, item.line, item.column);
            if let Content::List(_) = item.content {
                return Err(syntax(&at, format!("a list within the list of '{name}'"), "put its values into the outer list"));
            }
            self.single(name.clone(), item, at, parent, around, depth)?;
        }
        Ok(())
    }

    fn single(&mut self, name: QName, value: &Yaml, at: Place, parent: &mut Node, around: &Around, depth: usize) -> Found<()> {
        let mut node = Node::new(name);
        node.place = at;
        node.scope = Arc::clone(&around.scope);
        if let Some(tag) = &value.tag {
            let at = node.place.clone();
            self.set_type(&mut node, tag, &around.scope, at);
        }
        match &value.content {
            Content::Null | Content::List(_) => return Ok(()),
            Content::Scalar { text, literal } => {
                node.text = (!text.is_empty()).then(|| text.clone());
                node.literal = *literal;
            }
            Content::Map(entries) => {
                let element = entries.iter().find(|(key, _)| matches!(&*key.text, "@element" | "@item"));
                if let Some((_, Yaml { content: Content::Scalar { text, .. }, line, column, .. })) =
                    element.map(|(key, value)| (key, &**value))
                {
                    let key = Key { text: text.clone(), line: *line, column: *column };
                    node.name = self.key_name(&key, parent, around)?;
                }
                // The objects in a list of objects are no deeper than objects that stand alone.
                let depth = if depth == 1 && parent.local() == "objects" { 1 } else { depth + 1 };
                self.entries(entries, &mut node, around, depth)?;
            }
        }
        parent.children.push(node);
        Ok(())
    }

    /// What `@ns` and `@context` declare.
    fn declarations(&mut self, entries: &[(Key, Rc<Yaml>)], around: &Around) -> Found<Around> {
        let mut around = around.clone();
        for (key, value) in entries {
            match (&*key.text, &value.content) {
                ("@ns", Content::Scalar { text, .. }) => around.namespace = Some((&**text).into()),
                ("@context", Content::Map(prefixes)) => {
                    let mut bindings = Vec::new();
                    for (prefix, uri) in prefixes {
                        let Content::Scalar { text: uri, .. } = &uri.content else {
                            let at = place(self.file, prefix.line, prefix.column);
                            return Err(syntax(
                                &at,
                                "a prefix in '@context' stands for one namespace",
                                "write \"prefix\": \"namespace\"",
                            ));
                        };
                        if prefix.text.is_empty() || &*prefix.text == "@ns" || &*prefix.text == "@vocab" {
                            around.namespace = Some((&**uri).into());
                        } else {
                            bindings.push(((&*prefix.text).into(), (&**uri).into()));
                        }
                    }
                    if around.scope.size() + bindings.len() > 512 {
                        let at = place(self.file, key.line, key.column);
                        return Err(syntax(&at, "too many prefixes are declared around here", "declare each prefix once"));
                    }
                    around.scope = Scope::nested(&around.scope, bindings);
                }
                ("@ns" | "@context", Content::Null) => {}
                ("@ns" | "@context", _) => {
                    let at = place(self.file, key.line, key.column);
                    return Err(syntax(
                        &at,
                        format!("'{}' has a value of the wrong form", key.text),
                        "@ns is a text, @context a map of prefixes",
                    ));
                }
                _ => {}
            }
        }
        Ok(around)
    }

    fn key_name(&mut self, key: &Key, parent: &Node, around: &Around) -> Found<QName> {
        let text = key.text.trim();
        let at = || place(self.file, key.line, key.column);
        if text.is_empty() || text.ends_with('#') {
            return Err(syntax(&at(), "a key without a name", "name the item, or remove it"));
        }
        // A namespace is taken to the letter.
        if let Some((namespace, local)) = key.text.rsplit_once('#') {
            let namespace = if namespace.is_empty() { ns::COMMON } else { namespace };
            return Ok(QName::new(namespace, local.trim()));
        }
        if text.contains('/') {
            return Ok(QName::common(text));
        }
        if !text.contains(':') {
            return Ok(match &around.namespace {
                Some(namespace) if &**namespace != ns::COMMON => QName::new(&**namespace, text),
                _ => QName::new(inherited_namespace(&parent.name), text),
            });
        }
        Ok(match around.scope.resolve(text) {
            Ok(name) if name.local().trim() != name.local() => {
                QName::new(name.namespace().unwrap_or_default(), name.local().trim())
            }
            Ok(name) => name,
            Err(undeclared) => {
                self.diagnostics.push(undeclared.at(&at(), &around.scope));
                QName::common(text)
            }
        })
    }

    fn set_type(&mut self, node: &mut Node, text: &str, scope: &Scope, at: Place) {
        if let Some(name) = resolve_reporting(text, scope, &at, &mut self.diagnostics) {
            let value = name.to_uri().into();
            node.attributes.retain(|a| a.name.namespace() != Some(ns::XSI) || a.name.local() != "type");
            node.attributes.push(Attribute { name: QName::new(ns::XSI, "type"), value, place: at });
        }
    }
}

fn attribute(name: &str, value: &str, place: Place) -> Attribute {
    Attribute { name: QName::local_only(name), value: value.into(), place }
}
