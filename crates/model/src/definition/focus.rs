//! Focus objects as definitions.

use crate::definition::content;
use crate::definition::nearest::nearest;
use crate::definition::table::{At, Reading, shorten};
use crate::diagnostic::{Diagnostic, Place};
use crate::document::Node;
use crate::name::{QName, ns};
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
        for child in node.children.iter().filter(|child| child.name.namespace().is_none_or(|n| n == ns::COMMON)) {
            if !is_known(focus_type, child.local())
                && let Some(near) = nearest(child.local(), items(focus_type))
            {
                let (what, item) = (focus_type.element_name(), shorten(child.local()));
                let message = format!("'{what}' has no item '{item}' in midPoint; it is kept as it is");
                reading.report(
                    Diagnostic::warning("unknown-item", &child.place, message).with_help(format!("did you mean '{near}'?")),
                );
            }
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

/// What every focus has, so that slips of the pen are noticed. Other items are kept without a word.
const EVERY: &[&str] = &[
    "name",
    "description",
    "documentation",
    "subtype",
    "fetchResult",
    "extension",
    "parentOrg",
    "parentOrgRef",
    "trigger",
    "metadata",
    "tenantRef",
    "lifecycleState",
    "operationExecution",
    "lensContext",
    "policySituation",
    "policyException",
    "policyStatement",
    "diagnosticInformation",
    "indestructible",
    "effectiveMarkRef",
    "effectiveOperationPolicy",
    "assignment",
    "iteration",
    "iterationToken",
    "archetypeRef",
    "roleMembershipRef",
    "delegatedRef",
    "roleInfluenceRef",
    "linkRef",
    "personaRef",
    "activation",
    "jpegPhoto",
    "costCenter",
    "locality",
    "preferredLanguage",
    "locale",
    "timezone",
    "emailAddress",
    "telephoneNumber",
    "credentials",
    "behavior",
    "lifecycle",
    "identities",
    "triggeredPolicyRule",
    "operationalState",
    "safeOperation",
];

const USERS: &[&str] = &[
    "fullName",
    "givenName",
    "familyName",
    "additionalName",
    "nickName",
    "honorificPrefix",
    "honorificSuffix",
    "title",
    "personalNumber",
    "employeeNumber",
    "employeeType",
    "organization",
    "organizationalUnit",
    "adminGuiConfiguration",
    "result",
];

const ROLES: &[&str] = &[
    "displayName",
    "identifier",
    "inducement",
    "authorization",
    "requestable",
    "delegable",
    "idempotence",
    "riskLevel",
    "condition",
    "policyConstraints",
    "exclusion",
    "adminGuiConfiguration",
    "dataProtection",
    "autoassign",
    "roleType",
    "orgType",
    "serviceType",
    "tenant",
    "mailDomain",
    "displayOrder",
    "passwordPolicyRef",
    "securityPolicyRef",
    "defaultObjectPolicyConfiguration",
    "url",
    "approverRef",
    "approverExpression",
    "approvalSchema",
    "approvalProcess",
    "automaticallyApproved",
    "membership",
    "type",
    "inducedEntitlements",
    "roleAnalysis",
    "ownerRef",
];

fn items(focus_type: FocusType) -> impl Iterator<Item = &'static str> {
    let own = if focus_type == FocusType::User { USERS } else { ROLES };
    EVERY.iter().chain(own).copied()
}

fn is_known(focus_type: FocusType, name: &str) -> bool {
    // References have too many names to be told from slips.
    name.ends_with("Ref") || items(focus_type).any(|item| item == name)
}

impl PartialEq for FocusObject {
    fn eq(&self, other: &Self) -> bool {
        self.oid == other.oid && self.focus_type == other.focus_type && self.content == other.content
    }
}
