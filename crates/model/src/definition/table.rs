//! The machinery of typed definitions: one table per type says its items once, and reading, writing and the detection of
//! unknown items all follow it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::definition::nearest::nearest;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::document::Node;
use crate::name::{QName, ns};

/// A value with its own place, for findings that are made later. Equality is that of the value.
#[derive(Clone, Default)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

/// The most differently named items of one open container. They are found by going through them.
pub(crate) const MAX_ITEMS: usize = 1000;

/// What a reading has found so far.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    diagnostics: Diagnostics,
    errors: usize,
}

/// What a table knows by name.
pub(crate) struct Table {
    /// The namespaces that its items may be in; the common one, and none, always may. The first is written.
    pub(crate) namespaces: &'static [&'static str],
    pub(crate) items: &'static [&'static str],
    /// Of others' concern: kept without a word.
    pub(crate) kept: &'static [&'static str],
    /// Changes what an activity does, and we do not run it yet: kept, with a warning.
    pub(crate) unsupported: &'static [&'static str],
}

/// A value that one node holds.
pub(crate) trait Content: Sized {
    /// Reads it; what is wrong goes to the reading, and none is returned if nothing can be made of the node.
    fn read(node: &Node, reading: &mut Reading) -> Option<Self>;
    fn write(&self, name: &QName) -> Node;
}

/// The values of one item: an option or a list of contents.
pub(crate) trait Item: Default {
    /// Takes in one more node that has the item's name.
    fn absorb(&mut self, node: &Node, reading: &mut Reading);
    fn emit(&self, name: &QName, into: &mut Vec<Node>);
}

impl<T> At<T> {
    /// A value that stands nowhere.
    pub fn nowhere(value: T) -> Self {
        Self { value, place: Place::default() }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for At<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> From<T> for At<T> {
    fn from(value: T) -> Self {
        Self::nowhere(value)
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Debug> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Reading {
    /// The most findings of a kind (errors, others) that are kept: a file made of nonsense must not cost memory without end.
    const MOST: usize = 1000;

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        let others = self.diagnostics.len() - self.errors;
        let room = if diagnostic.is_error() { self.errors < Self::MOST } else { others < Self::MOST };
        if room {
            self.errors += usize::from(diagnostic.is_error());
            self.diagnostics.push(diagnostic);
        }
    }

    pub(crate) fn extend(&mut self, diagnostics: Diagnostics) {
        for diagnostic in diagnostics {
            self.report(diagnostic);
        }
    }

    pub(crate) fn finish(self) -> Diagnostics {
        self.diagnostics
    }

    /// A child that its parent's table does not read.
    pub(crate) fn other(&mut self, parent: &Node, child: &Node, table: &Table, rest: &mut Vec<Node>) {
        let local = child.local();
        if table.accepts(child) && table.unsupported.contains(&local) {
            self.not_supported(parent, child);
        } else if !(table.accepts(child) && table.kept.contains(&local)) {
            self.unknown(parent, child, table);
        }
        rest.push(child.clone());
    }

    /// Text among elements, which nobody reads.
    pub(crate) fn stray_text(&mut self, node: &Node) {
        if !node.children.is_empty() && !node.text().trim().is_empty() {
            let message = format!("'{}' holds items, and the text among them is ignored", shorten(node.local()));
            let found = Diagnostic::warning("stray-text", &node.place, message);
            self.report(found.with_help("remove the text, or make a comment of it"));
        }
    }

    pub(crate) fn not_supported(&mut self, parent: &Node, child: &Node) {
        let (parent, local) = (parent.local(), child.local());
        self.report(
            Diagnostic::warning(
                "not-supported",
                &child.place,
                format!("'{local}' in '{parent}' is not supported yet; it has no effect"),
            )
            .with_help(format!("remove '{local}' if the definition does not depend on it")),
        );
    }

    fn unknown(&mut self, parent: &Node, child: &Node, table: &Table) {
        if self.diagnostics.len() - self.errors >= Self::MOST {
            return;
        }
        let known = table.items.iter().chain(table.kept).chain(table.unsupported).copied();
        let found = Diagnostic::warning(
            "unknown-item",
            &child.place,
            format!("'{}' has no item '{}'; it is ignored", shorten(parent.local()), shorten(&child.name.to_short())),
        );
        self.report(match nearest(child.local(), known) {
            Some(name) if table.accepts(child) => found.with_help(format!("did you mean '{name}'?")),
            // Often the default namespace of what is within is declared one element too early.
            Some(name) if name == child.local() => {
                let namespace = table.namespaces.first().copied().unwrap_or(ns::COMMON);
                found.with_help(format!("'{name}' is in the namespace {namespace}; declare another for what is within it only"))
            }
            _ => found,
        });
    }
}

impl Table {
    /// Whether a node's namespace is one that items of this table may have.
    pub(crate) fn accepts(&self, node: &Node) -> bool {
        node.name.namespace().is_none_or(|n| n == ns::COMMON || self.namespaces.contains(&n))
    }

    /// The name under which an item is written.
    pub(crate) fn name(&self, item: &str) -> QName {
        QName::new(self.namespaces.first().copied().unwrap_or(ns::COMMON), item)
    }
}

impl<T: Content> Item for Option<T> {
    fn absorb(&mut self, node: &Node, reading: &mut Reading) {
        if self.is_some() {
            reading.report(
                Diagnostic::error("several-values", &node.place, format!("'{}' is given more than once", shorten(node.local())))
                    .with_help("it has a single value: leave one"),
            );
        } else {
            *self = T::read(node, reading);
        }
    }

    fn emit(&self, name: &QName, into: &mut Vec<Node>) {
        into.extend(self.iter().map(|value| value.write(name)));
    }
}

impl<T: Content> Item for Vec<T> {
    fn absorb(&mut self, node: &Node, reading: &mut Reading) {
        self.extend(T::read(node, reading));
    }

    fn emit(&self, name: &QName, into: &mut Vec<Node>) {
        into.extend(self.iter().map(|value| value.write(name)));
    }
}

impl<T: Content> Content for Box<T> {
    fn read(node: &Node, reading: &mut Reading) -> Option<Self> {
        T::read(node, reading).map(Box::new)
    }

    fn write(&self, name: &QName) -> Node {
        T::write(self, name)
    }
}

/// Kept as it is.
impl Content for Node {
    fn read(node: &Node, _reading: &mut Reading) -> Option<Self> {
        Some(node.clone())
    }

    fn write(&self, _name: &QName) -> Node {
        self.clone()
    }
}

/// A text short enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().nth(MOST).is_none() {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

/// Declares a typed container from its table.
///
/// `in [namespaces]`, then the groups, of which only `items` is needed: `attributes` (read from attributes, or from children of
/// that name), `extra` (fields that the table does not read), `items`, `kept`, `unsupported` (see [`Table`]; an item may be
/// in `unsupported` as well). Every field is named here once. Adds `place`, `rest_attributes` and `rest`.
macro_rules! definition {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in [$($ns:expr),+] {
            $(attributes { $($(#[$ameta:meta])* $afield:ident = $aitem:literal : $atype:ty,)* })?
            $(extra { $($(#[$xmeta:meta])* $xfield:ident : $xtype:ty,)* })?
            items { $($(#[$fmeta:meta])* $field:ident = $item:literal $(| $alias:literal)* : $type:ty,)* }
            $(kept [$($kept:literal),* $(,)?])?
            $(unsupported [$($unsupported:literal),* $(,)?])?
        }
    ) => {
        $(#[$meta])*
        ///
        /// Equality leaves places out.
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            /// Where it begins.
            pub place: $crate::diagnostic::Place,
            $($($(#[$ameta])* pub $afield: $atype,)*)?
            $($($(#[$xmeta])* pub $xfield: $xtype,)*)?
            $($(#[$fmeta])* pub $field: $type,)*
            /// Attributes that are kept as they are, such as a container's `id`.
            pub rest_attributes: Vec<$crate::document::Attribute>,
            /// What is kept as it is: unknown, of others' concern, or not supported yet.
            pub rest: Vec<$crate::document::Node>,
        }

        impl $name {
            #[allow(dead_code, reason = "not every table is asked for by name")]
            pub(crate) const TABLE: $crate::definition::table::Table = $crate::definition::table::Table {
                namespaces: &[$($ns),+],
                items: &[$($($aitem,)*)? $($item, $($alias,)*)*],
                kept: &[$($($kept,)*)?],
                unsupported: &[$($($unsupported,)*)?],
            };

            fn read_items(node: &$crate::document::Node, reading: &mut $crate::definition::table::Reading) -> Self {
                #[allow(unused_imports, reason = "a table may have no items")]
                use $crate::definition::table::Item as _;
                let mut read = Self { place: node.place.clone(), ..Self::default() };
                reading.stray_text(node);
                for attribute in &node.attributes {
                    let leaf = || {
                        let mut leaf = $crate::document::Node::leaf(attribute.name.clone(), attribute.value.clone());
                        leaf.place = attribute.place.clone();
                        leaf.scope = std::sync::Arc::clone(&node.scope);
                        leaf
                    };
                    #[allow(clippy::match_single_binding, reason = "a table may have no attributes")]
                    match attribute.name.local() {
                        $($($aitem if attribute.name.namespace().is_none() => read.$afield.absorb(&leaf(), reading),)*)?
                        _ => {
                            let _ = leaf;
                            read.rest_attributes.push(attribute.clone());
                        }
                    }
                }
                for child in &node.children {
                    if Self::TABLE.accepts(child) {
                        #[allow(clippy::match_single_binding, reason = "a table may have no items")]
                        match child.local() {
                            $($($aitem => { read.$afield.absorb(child, reading); continue; })*)?
                            $($item $(| $alias)* => {
                                if Self::TABLE.unsupported.contains(&child.local()) {
                                    reading.not_supported(node, child);
                                }
                                read.$field.absorb(child, reading);
                                continue;
                            })*
                            _ => {}
                        }
                    }
                    reading.other(node, child, &Self::TABLE, &mut read.rest);
                }
                read
            }

            fn write_items(&self, name: &$crate::name::QName) -> $crate::document::Node {
                #[allow(unused_imports, reason = "a table may have no items")]
                use $crate::definition::table::Item as _;
                let mut node = $crate::document::Node::new(name.clone());
                $($({
                    let mut leaves = Vec::new();
                    self.$afield.emit(&Self::TABLE.name($aitem), &mut leaves);
                    for leaf in leaves {
                        node.set_attribute($aitem, leaf.text());
                    }
                })*)?
                node.attributes.extend_from_slice(&self.rest_attributes);
                $(self.$field.emit(&Self::TABLE.name($item), &mut node.children);)*
                node.children.extend_from_slice(&self.rest);
                node
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $($(self.$afield == other.$afield &&)*)?
                $($(self.$xfield == other.$xfield &&)*)?
                $(self.$field == other.$field &&)*
                $crate::definition::table::same_rest(self.rest_attributes.as_slice(), &other.rest_attributes, &self.rest, &other.rest)
            }
        }
    };
}

/// Makes containers the content of items, read and written by their tables alone.
macro_rules! plain_content {
    ($($name:ident),+ $(,)?) => {$(
        impl $crate::definition::table::Content for $name {
            fn read(node: &$crate::document::Node, reading: &mut $crate::definition::table::Reading) -> Option<Self> {
                Some(Self::read_items(node, reading))
            }

            fn write(&self, name: &$crate::name::QName) -> $crate::document::Node {
                self.write_items(name)
            }
        }
    )+};
}

/// Declares an enumeration whose values have names in definitions.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $what:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in definitions.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::definition::leaf::Leaf for $name {
            fn parse(text: &str) -> Result<Self, $crate::definition::leaf::Refused> {
                Self::from_name(text)
                    .ok_or_else(|| $crate::definition::leaf::Refused::one_of($what, text, Self::ALL.iter().map(|v| v.as_str())))
            }

            fn to_text(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}

pub(crate) use {definition, names, plain_content};

/// Whether what two containers keep is the same.
pub(crate) fn same_rest(
    a: &[crate::document::Attribute],
    b: &[crate::document::Attribute],
    rest: &[Node],
    other_rest: &[Node],
) -> bool {
    crate::document::same_attributes(a, b) && rest == other_rest
}
