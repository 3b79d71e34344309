//! Which objects belong to a type.

use std::sync::Arc;

use tidelock_model::definition::{
    self, BaseContextUse, Delineation, FilterSource, ObjectPattern, ObjectTypeDefinition, SearchHierarchyScope,
};
use tidelock_model::filter::{BoundFilter, Condition, Filter, Literal, Operand, Operator};
use tidelock_model::object::{MatchingRule, ObjectClass, Schema};
use tidelock_model::{Diagnostic, Diagnostics, Value};

use crate::base_context::{BaseContext, ClassificationUse, DistinguishedName, HierarchyScope};
use crate::compile::{mappings, names};
use crate::filter::{self, Purpose};

/// The mark of objects that nobody may touch.
const PROTECTED_MARK: &str = "00000000-0000-0000-0000-000000000800";

/// The class of a type's objects, with the attributes that auxiliary classes add, and the matching rules that the type sets.
pub(super) fn class(
    type_: &ObjectTypeDefinition,
    schema: &Schema,
    diagnostics: &mut Diagnostics,
) -> Result<Arc<ObjectClass>, Diagnostic> {
    let delineation = type_.delineation.as_ref();
    let Some(name) = delineation.and_then(|delineation| delineation.object_class.as_ref()).or(type_.object_class.as_ref()) else {
        return Err(Diagnostic::error("no-object-class", &type_.place, format!("{} has no object class", type_.type_id()))
            .with_help("add 'delineation' with 'objectClass'"));
    };
    let structural = names::class(schema, name)?;
    let mut class = Arc::clone(structural);
    for auxiliary in delineation.iter().flat_map(|delineation| &delineation.auxiliary_object_class) {
        let auxiliary = match names::class(schema, auxiliary) {
            Ok(auxiliary) => auxiliary,
            Err(error) => {
                diagnostics.push(error);
                continue;
            }
        };
        for attribute in &auxiliary.attributes {
            if class.attribute(&attribute.name).is_none() {
                Arc::make_mut(&mut class).attributes.push(attribute.clone());
            }
        }
    }
    for item in &type_.attribute {
        let Some(rule) = &item.matching_rule else { continue };
        // What is wrong with the item itself is found with its mappings.
        let Ok(attribute) = mappings::attribute_of(item, structural) else { continue };
        let wanted = match names::matching_rule(rule) {
            Ok(wanted) => wanted,
            Err(error) => {
                diagnostics.push(error);
                continue;
            }
        };
        if attribute.matching_rule == wanted {
            continue;
        }
        if attribute.name == class.primary_identifier {
            diagnostics.push(
                Diagnostic::warning(
                    "not-supported",
                    &rule.place,
                    "the matching rule of the primary identifier is the resource's own; this one has no effect",
                )
                .with_help("configure it at the connector"),
            );
            continue;
        }
        let name = Arc::clone(&attribute.name);
        if let Some(attribute) = Arc::make_mut(&mut class).attributes.iter_mut().find(|attribute| attribute.name == name) {
            attribute.matching_rule = wanted;
        }
    }
    Ok(class)
}

/// The condition for classification, and that for searches.
pub(super) fn filters(
    delineation: &Delineation,
    class: &ObjectClass,
    diagnostics: &mut Diagnostics,
) -> (BoundFilter, BoundFilter) {
    let (mut in_memory, mut search) = (BoundFilter::All, BoundFilter::All);
    for source in &delineation.filter {
        match both(source, class) {
            Ok((here, there)) => {
                in_memory = in_memory.and(here);
                search = search.and(there);
            }
            Err(error) => diagnostics.push(error),
        }
    }
    if let Some(condition) = &delineation.classification_condition {
        diagnostics.push(names::refused(
            "a classification condition",
            &condition.place,
            "say the same with 'filter', such as attributes/ri:ou = 'people'",
        ));
    }
    (in_memory, search)
}

fn both(source: &FilterSource, class: &ObjectClass) -> Result<(BoundFilter, BoundFilter), Diagnostic> {
    let filter = filter::read(source)?;
    Ok((
        filter::bind(&filter, class, &source.place, Purpose::InMemory)?,
        filter::bind(&filter, class, &source.place, Purpose::Search)?,
    ))
}

/// The part of the resource's tree that a type is limited to.
pub(super) fn base_context(
    delineation: &Delineation,
    class: &ObjectClass,
    schema: &Schema,
) -> Result<Option<BaseContext>, Diagnostic> {
    let Some(base) = &delineation.base_context else { return Ok(None) };
    if let Some(reference) = &base.shadow_ref {
        return Err(names::refused(
            "a base context given by a shadow",
            &reference.place,
            "give 'objectClass' and a 'filter' on the distinguished name instead",
        ));
    }
    let name = match (&base.object_class, &base.filter) {
        (Some(object_class), Some(source)) => name_in(source, names::class(schema, object_class)?)?,
        _ => None,
    };
    Ok(Some(BaseContext {
        place: base.place.clone(),
        base: name,
        scope: match delineation.search_hierarchy_scope.as_ref().map(|scope| scope.value) {
            Some(SearchHierarchyScope::One) => HierarchyScope::One,
            Some(SearchHierarchyScope::Sub) | None => HierarchyScope::Sub,
        },
        classification: match delineation.base_context_classification_use.as_ref().map(|use_| use_.value) {
            Some(BaseContextUse::Required) => ClassificationUse::Required,
            Some(BaseContextUse::Ignored) => ClassificationUse::Ignored,
            Some(BaseContextUse::IfApplicable) | None => ClassificationUse::IfApplicable,
        },
        identifier: BaseContext::identifier_of(class),
    }))
}

/// The distinguished name that a filter asks for, if that is all it does.
fn name_in(source: &FilterSource, class: &ObjectClass) -> Result<Option<DistinguishedName>, Diagnostic> {
    let filter = filter::read(source)?;
    // What is wrong with it is wrong whether or not it can be evaluated here.
    filter::bind(&filter, class, &source.place, Purpose::Search)?;
    let Filter::Value(clause) = &filter else { return Ok(None) };
    let (Operator::Equal, Operand::Values(values)) = (clause.operator, &clause.operand) else { return Ok(None) };
    let attribute = names::attribute_name(&clause.path).and_then(|name| class.attribute_named(name));
    let is_dn = attribute.is_some_and(|attribute| attribute.matching_rule == MatchingRule::DistinguishedName);
    Ok(match values.as_slice() {
        [Literal::String(text)] if is_dn => DistinguishedName::parse(text),
        _ => None,
    })
}

/// The objects of a type that synchronization must not touch.
pub(super) fn protected(type_: &ObjectTypeDefinition, class: &ObjectClass, diagnostics: &mut Diagnostics) -> BoundFilter {
    let mut patterns: Vec<&ObjectPattern> = type_.protected.iter().collect();
    for marking in &type_.marking {
        let mark = marking.mark_ref.as_ref().and_then(|reference| reference.oid.as_ref());
        if mark.is_some_and(|oid| oid.to_string() == PROTECTED_MARK) {
            patterns.extend(&marking.pattern);
        } else {
            diagnostics.push(
                Diagnostic::warning(
                    "not-supported",
                    &marking.place,
                    "only the mark 'Protected' is supported yet; this one has no effect",
                )
                .with_help(format!("remove the marking, or refer to the mark {PROTECTED_MARK}")),
            );
        }
    }
    let mut any = Vec::new();
    for pattern in patterns {
        match matched(pattern, class) {
            Ok(filter) => any.extend(filter),
            Err(error) => diagnostics.push(error),
        }
    }
    match any.len() {
        0 => BoundFilter::None,
        1 => any.remove(0),
        _ => BoundFilter::Or(any),
    }
}

fn matched(pattern: &definition::ObjectPattern, class: &ObjectClass) -> Result<Option<BoundFilter>, Diagnostic> {
    if let Some(source) = &pattern.filter {
        let filter = filter::read(source)?;
        return filter::bind(&filter, class, &source.place, Purpose::InMemory).map(Some);
    }
    let equals = |attribute: &Arc<str>, text: &str| {
        let rule = class.attribute(attribute).map_or(MatchingRule::Exact, |a| a.matching_rule);
        let condition = Condition::AnyOf(vec![Value::string(&*rule.normalize(text))]);
        BoundFilter::Attribute { name: Arc::clone(attribute), rule, condition }
    };
    Ok(match (&pattern.name, &pattern.uid) {
        (Some(name), _) => Some(equals(&class.naming_attribute, name)),
        (None, Some(uid)) => Some(equals(&class.primary_identifier, uid)),
        (None, None) => None,
    })
}
