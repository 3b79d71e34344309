//! The words that queries are made of: named filters, matching rules, items that hold names.

use tidelock_model::QName;
use tidelock_model::definition::nearest;
use tidelock_model::filter::{Comparison, ItemPath, Operator, PathStep};
use tidelock_model::name::ns;

/// What may stand between a path and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// An item's value compared.
    Value(Operator),
    NotEqual,
    Substring {
        at_start: bool,
        at_end: bool,
    },
    Levenshtein,
    Similarity,
    Matches,
    Exists,
    Type,
    IsRoot,
    InOrg,
    InOid,
    OwnedByOid,
    FullText,
    OwnedBy,
    ReferencedBy,
    All,
    None,
    Undefined,
}

/// Every named filter. `all`, `none` and `undefined` are ours: midPoint has them in documents only.
const VERBS: [(&str, Verb); 25] = [
    ("equal", Verb::Value(Operator::Equal)),
    ("notEqual", Verb::NotEqual),
    ("less", Verb::Value(Operator::Order(Comparison::Less))),
    ("lessOrEqual", Verb::Value(Operator::Order(Comparison::LessOrEqual))),
    ("greater", Verb::Value(Operator::Order(Comparison::Greater))),
    ("greaterOrEqual", Verb::Value(Operator::Order(Comparison::GreaterOrEqual))),
    ("contains", Verb::Substring { at_start: false, at_end: false }),
    ("startsWith", Verb::Substring { at_start: true, at_end: false }),
    ("endsWith", Verb::Substring { at_start: false, at_end: true }),
    ("levenshtein", Verb::Levenshtein),
    ("similarity", Verb::Similarity),
    ("matches", Verb::Matches),
    ("exists", Verb::Exists),
    ("anyIn", Verb::Value(Operator::AnyIn)),
    ("type", Verb::Type),
    ("isRoot", Verb::IsRoot),
    ("inOrg", Verb::InOrg),
    ("inOid", Verb::InOid),
    ("ownedByOid", Verb::OwnedByOid),
    ("fullText", Verb::FullText),
    ("ownedBy", Verb::OwnedBy),
    ("referencedBy", Verb::ReferencedBy),
    ("all", Verb::All),
    ("none", Verb::None),
    ("undefined", Verb::Undefined),
];

/// The matching rules that a filter may name.
pub(super) const MATCHING_RULES: [&str; 12] = [
    "default",
    "stringIgnoreCase",
    "distinguishedName",
    "exchangeEmailAddresses",
    "uuid",
    "xml",
    "polyStringStrict",
    "polyStringOrig",
    "polyStringNorm",
    "strictIgnoreCase",
    "origIgnoreCase",
    "normIgnoreCase",
];

impl Verb {
    pub(super) fn named(name: &str) -> Option<Self> {
        VERBS.iter().find(|(known, _)| *known == name).map(|(_, verb)| *verb)
    }

    /// Whether a matching rule, or a scope, may stand behind it in brackets.
    pub(super) const fn takes_brackets(self) -> bool {
        matches!(self, Self::Value(_) | Self::NotEqual | Self::Substring { .. } | Self::InOrg)
    }

    /// Whether it is about the object itself.
    pub(super) const fn of_the_object(self) -> bool {
        matches!(
            self,
            Self::Type
                | Self::IsRoot
                | Self::InOrg
                | Self::InOid
                | Self::OwnedByOid
                | Self::FullText
                | Self::OwnedBy
                | Self::ReferencedBy
                | Self::All
                | Self::None
                | Self::Undefined
        )
    }
}

/// What is likely meant by a word that is no named filter.
pub(super) fn verb_help(word: &str) -> Option<String> {
    let other = match word.to_ascii_lowercase().as_str() {
        "is" | "isnull" | "null" => "for items without a value write 'not exists'",
        "like" | "ilike" | "includes" => "use contains, startsWith or endsWith",
        "in" => "use anyIn, or = and the values in brackets",
        "eq" => "use =",
        "ne" => "use !=",
        "lt" | "gt" | "le" | "ge" => "use <, >, <= or >=",
        "present" | "pr" => "use exists",
        "substring" => "use contains, startsWith or endsWith",
        _ => return nearest(word, VERBS.iter().map(|(name, _)| *name)).map(|near| format!("did you mean '{near}'?")),
    };
    Some(other.to_owned())
}

/// Whether a name is that of a matching rule; else what may be meant.
pub(super) fn check_matching_rule(name: &QName) -> Result<(), String> {
    if MATCHING_RULES.contains(&name.local()) && name.namespace().is_none_or(|n| n == ns::MATCHING_RULE) {
        return Ok(());
    }
    Err(match nearest(name.local(), MATCHING_RULES) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("matching rules are {}", MATCHING_RULES.join(", ")),
    })
}

/// Whether the values of the item are names, so that one without quotes is no path to another item.
pub(super) fn holds_names(path: &ItemPath) -> bool {
    path.is(&["objectClass"]) || path.is(&["auxiliaryObjectClass"])
}

/// The only name that a path is made of.
pub(super) fn only_name(path: &ItemPath) -> Option<&QName> {
    match (&path.variable, path.steps.as_slice()) {
        (None, [PathStep::Name(name)]) => Some(name),
        _ => None,
    }
}

/// Whether an item's name says that it is a reference.
pub(super) fn is_reference(path: &ItemPath) -> bool {
    path.last_name().is_some_and(|name| name.local().ends_with("Ref"))
}
