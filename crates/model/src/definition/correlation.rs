//! How the owner of a resource object is found.

use crate::definition::leaf::ItemPathText;
use crate::definition::table::{At, definition, plain_content};
use crate::document::Node;
use crate::name::{QName, ns};

definition! {
    /// How the owner of a resource object is found.
    pub struct Correlation in [ns::COMMON] {
        items {
            /// The rules that propose owners.
            correlators = "correlators": Option<Correlators>,
            /// How sure one must be.
            thresholds = "thresholds": Option<Thresholds>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
        }
        kept ["description", "documentation", "extension", "cases", "name", "displayName"]
    }
}

definition! {
    /// The rules that propose owners. Only `items` rules are run.
    pub struct Correlators in [ns::COMMON] {
        items {
            /// Rules that compare items.
            items = "items": Vec<ItemsCorrelator>,
            /// How sums of confidences are scaled.
            scaling = "scaling": Option<Node>,
        }
        kept ["none", "extension", "description", "documentation", "use", "name", "displayName"]
        unsupported ["filter", "expression", "idMatch", "composite", "scaling"]
    }
}

definition! {
    /// A rule by which an owner agrees with the object in all of some items.
    pub struct ItemsCorrelator in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// What people call it.
            display_name = "displayName": Option<At<String>>,
            /// What people should know about it.
            description = "description": Option<At<String>>,
            /// Whether it takes part.
            enabled = "enabled": Option<At<bool>>,
            /// `active`, `proposed` and the like.
            lifecycle_state = "lifecycleState": Option<At<String>>,
            /// The items.
            item = "item": Vec<CorrelationItem>,
            /// How it is combined with other rules.
            composition = "composition": Option<CorrelatorComposition>,
            /// How sure a match is.
            confidence = "confidence": Option<Node>,
        }
        kept ["documentation", "extension", "displayOrder", "use"]
        unsupported ["super", "confidence"]
    }
}

definition! {
    /// One item that an owner agrees in.
    pub struct CorrelationItem in [ns::COMMON] {
        items {
            /// What it is called.
            name = "name": Option<At<String>>,
            /// The focus item.
            ref_ = "ref": Option<At<ItemPathText>>,
            /// How it is compared.
            search = "search": Option<ItemSearch>,
        }
        kept ["description", "documentation", "displayName"]
        unsupported ["path", "source"]
    }
}

definition! {
    /// How an item is compared.
    pub struct ItemSearch in [ns::COMMON] {
        items {
            /// The index of normalized values to be used.
            index = "index": Option<At<String>>,
            /// When two values are the same.
            matching_rule = "matchingRule": Option<At<QName>>,
            /// When two values are near enough.
            fuzzy = "fuzzy": Option<FuzzySearch>,
            /// How sure a match is.
            confidence = "confidence": Option<Node>,
        }
        kept ["description", "documentation"]
        unsupported ["confidence"]
    }
}

definition! {
    /// When two values are near enough.
    pub struct FuzzySearch in [ns::COMMON] {
        items {
            /// So few letters differ.
            levenshtein = "levenshtein": Option<FuzzyThreshold>,
            /// So large a part of the trigrams is the same.
            similarity = "similarity": Option<FuzzyThreshold>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// A bound of nearness.
    pub struct FuzzyThreshold in [ns::COMMON] {
        items {
            /// The bound.
            threshold = "threshold": Option<At<f64>>,
            /// Whether the bound itself is near enough; it is where this is absent.
            inclusive = "inclusive": Option<At<bool>>,
        }
    }
}

definition! {
    /// How a rule is combined with others.
    pub struct CorrelatorComposition in [ns::COMMON] {
        items {
            /// Tiers are tried one after the other, until one gives a sure answer. Rules without come last.
            tier = "tier": Option<At<i64>>,
            /// The order within a tier.
            order = "order": Option<At<i64>>,
            /// What its confidence is multiplied by.
            weight = "weight": Option<At<f64>>,
            /// Rules whose match of the same candidate makes this one's not count.
            ignore_if_matched_by = "ignoreIfMatchedBy": Vec<At<String>>,
        }
        kept ["description", "documentation"]
    }
}

definition! {
    /// How sure one must be of an owner. Both bounds belong to what is sure enough.
    pub struct Thresholds in [ns::COMMON] {
        items {
            /// From here on a single candidate is the owner.
            definite = "definite": Option<At<f64>>,
            /// From here on somebody is a candidate.
            candidate = "candidate": Option<At<f64>>,
        }
        kept ["description", "documentation"]
    }
}

plain_content!(
    Correlation,
    Correlators,
    ItemsCorrelator,
    CorrelationItem,
    ItemSearch,
    FuzzySearch,
    FuzzyThreshold,
    CorrelatorComposition,
    Thresholds,
);
