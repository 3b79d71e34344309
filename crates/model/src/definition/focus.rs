//! Focus objects as definitions.

use crate::definition::content;
use crate::definition::table::{At, Reading};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::Node;
use crate::name::QName;
use crate::object::FocusType;
use crate::oid::Oid;
use crate::value::{Items, Value};

/// A person, role, organization or service as a definition has it.
///
/// Equality leaves the place out.
#[derive(Clone, Debug)]
pub struct FocusObject {
    /// Where it begins.
    pub place: Place,
    /// The OID.
    pub oid: Option<At<Oid>>,
    /// What it is.
    pub focus_type: FocusType,
    /// Everything else, as [`crate::object::Focus`] has it.
    pub content: Items,
}

impl FocusObject {
    /// The `name` item, where there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.content.first("name").and_then(Value::as_str)
    }

    pub(crate) fn read(node: &Node, focus_type: FocusType, reading: &mut Reading) -> Self {
        let oid = node.attribute("oid").filter(|oid| !oid.value.trim().is_empty());
        let mut content = content::read_items(node, 0, reading);
        if let Some(link) = node.child("linkRef") {
            content.set("linkRef", smallvec::SmallVec::new());
            reading.report(
                Diagnostic::warning("not-supported", &link.place, "links are not read from definitions; they have no effect")
                    .with_help("remove 'linkRef': synchronization makes the links"),
            );
        }
        if let Some(second) = node.children_named("name").nth(1) {
            reading.report(
                Diagnostic::error("several-values", &second.place, "'name' is given more than once")
                    .with_help("it has a single value: leave one"),
            );
        }
        Self {
            place: node.place.clone(),
            oid: oid.map(|oid| At { value: Oid::new(oid.value.trim()), place: oid.place.clone() }),
            focus_type,
            content,
        }
    }

    pub(crate) fn write(&self) -> Node {
        let mut node = Node::new(QName::common(self.focus_type.element_name()));
        if let Some(oid) = &self.oid {
            node.set_attribute("oid", oid.to_string());
        }
        content::write_items(&self.content, &mut node);
        node
    }
}

impl PartialEq for FocusObject {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid && self.focus_type == other.focus_type && self.content == other.content
    }
}
