//! What is known of the items of foci: their types, and how many values they have.

use std::sync::Arc;

use tidelock_model::object::FocusType;

/// What the values of an item are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ItemType {
    /// Text: any simple value becomes its text.
    Text,
    /// A point in time.
    DateTime,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Bytes.
    Binary,
    /// `enabled`, `disabled` or `archived`.
    ActivationStatus,
    /// Whatever comes.
    Any,
}

/// What mappings may do with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Set its values.
    Item { item_type: ItemType, multi_valued: bool },
    /// The schema has no such item, and it is taken for a single-valued one.
    Unknown,
    /// It is structured, or a reference, or a secret: a plain value cannot be mapped to it.
    Unmappable,
}

use ItemType::{ActivationStatus, Binary, Boolean, DateTime, Integer, Text};

/// Single-valued items of every focus.
const FOCUS: &[(&str, ItemType)] = &[
    ("name", Text),
    ("description", Text),
    ("documentation", Text),
    ("lifecycleState", Text),
    ("costCenter", Text),
    ("locality", Text),
    ("preferredLanguage", Text),
    ("locale", Text),
    ("timezone", Text),
    ("emailAddress", Text),
    ("telephoneNumber", Text),
    ("jpegPhoto", Binary),
    ("policySituation", Text),
];

const USER: &[(&str, ItemType)] = &[
    ("fullName", Text),
    ("givenName", Text),
    ("familyName", Text),
    ("additionalName", Text),
    ("nickName", Text),
    ("honorificPrefix", Text),
    ("honorificSuffix", Text),
    ("title", Text),
    ("personalNumber", Text),
    ("employeeNumber", Text),
];

/// Items of roles, organizations and services.
const ABSTRACT_ROLE: &[(&str, ItemType)] = &[
    ("displayName", Text),
    ("identifier", Text),
    ("riskLevel", Text),
    ("requestable", Boolean),
    ("delegable", Boolean),
    ("displayOrder", Integer),
    ("url", Text),
    ("tenant", Boolean),
];

/// Items with several values. A list, not a schema: the same for all types, as no name is single-valued anywhere.
const MULTI_VALUED: &[(&str, ItemType)] = &[
    ("subtype", Text),
    ("employeeType", Text),
    ("organization", Text),
    ("organizationalUnit", Text),
    ("mailDomain", Text),
    ("orgType", Text),
    ("roleType", Text),
    ("serviceType", Text),
];

const ACTIVATION: &[(&str, ItemType)] =
    &[("administrativeStatus", ActivationStatus), ("validFrom", DateTime), ("validTo", DateTime), ("lockoutStatus", Text)];

/// Structures, references and what is computed: not for plain values.
const UNMAPPABLE: &[&str] = &[
    "activation",
    "extension",
    "credentials",
    "assignment",
    "inducement",
    "linkRef",
    "personaRef",
    "parentOrgRef",
    "roleMembershipRef",
    "delegatedRef",
    "archetypeRef",
    "tenantRef",
    "metadata",
    "trigger",
    "operationExecution",
    "iteration",
    "iterationToken",
    "identities",
    "behavior",
];

/// What mappings may do with the item at a path of a focus of this type.
pub(crate) fn target(focus_type: FocusType, path: &[Arc<str>]) -> Target {
    let find = |tables: &[&[(&str, ItemType)]], name: &str| {
        tables.iter().flat_map(|table| table.iter()).find(|(known, _)| *known == name).map(|(_, item_type)| *item_type)
    };
    let single = |item_type| Target::Item { item_type, multi_valued: false };
    let own = if focus_type == FocusType::User { USER } else { ABSTRACT_ROLE };
    match path {
        [name] => match find(&[FOCUS, own], name) {
            Some(item_type) => single(item_type),
            None => match find(&[MULTI_VALUED], name) {
                Some(item_type) => Target::Item { item_type, multi_valued: true },
                None if UNMAPPABLE.contains(&&**name) => Target::Unmappable,
                None => Target::Unknown,
            },
        },
        [container, name] if &**container == "activation" => match find(&[ACTIVATION], name) {
            Some(item_type) => single(item_type),
            None => Target::Unknown,
        },
        [container, _] if &**container == "extension" => single(ItemType::Any),
        _ => Target::Unmappable,
    }
}

/// The names that the first step of a path can be, for suggestions.
pub(crate) fn known_names(focus_type: FocusType, path: &[Arc<str>]) -> impl Iterator<Item = &'static str> {
    let own = if focus_type == FocusType::User { USER } else { ABSTRACT_ROLE };
    let tables: &[&'static [(&'static str, ItemType)]] =
        if path.len() == 1 { &[FOCUS, own, MULTI_VALUED] } else { &[ACTIVATION] };
    tables.iter().flat_map(|table| table.iter()).map(|(name, _)| *name).collect::<Vec<_>>().into_iter()
}
