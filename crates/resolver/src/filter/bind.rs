//! Filters bound to an object class: every item an attribute of it, every value of the attribute's type.

use tidelock_model::definition::nearest;
use tidelock_model::filter::{
    BoundFilter, Condition, ExistsClause, Filter, FilterExpression, ItemPath, Literal, Operand, Operator, PathStep,
    SubstringClause, ValueClause,
};
use tidelock_model::name::ns;
use tidelock_model::object::{AttributeDefinition, MatchingRule, ObjectClass, ValueType};
use tidelock_model::{Diagnostic, Place, QName, Timestamp, Value};

use super::print::name_of;
use crate::compile::expression::language_name;

/// What a bound filter is for, which decides how texts are compared where the filter itself does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To be answered by the resource: by the attribute's own matching rule. Other items to compare with are refused.
    Search,
    /// To be evaluated here, as classification does: by their characters. A comparison with another item never holds.
    InMemory,
}

/// Binds a filter to an object class. Items are written `attributes/ri:uid`, or `uid` alone.
///
/// `place` is where errors are put for filters that were not written anywhere.
///
/// # Errors
/// `unknown-attribute`; `bad-value` for values that are not of the attribute's type; `several-values` where there must be one;
/// `unsupported-filter` for what is about no attribute, or is not known yet.
pub fn bind(filter: &Filter, class: &ObjectClass, place: &Place, purpose: Purpose) -> Result<BoundFilter, Diagnostic> {
    let binder = Binder { class, place, purpose };
    Ok(binder.filter(filter)?.unwrap_or(BoundFilter::All))
}

struct Binder<'a> {
    class: &'a ObjectClass,
    place: &'a Place,
    purpose: Purpose,
}

impl Binder<'_> {
    /// The bound form; none for what says nothing.
    fn filter(&self, filter: &Filter) -> Result<Option<BoundFilter>, Diagnostic> {
        let bound = match filter {
            Filter::Undefined => return Ok(None),
            Filter::All => BoundFilter::All,
            Filter::None => BoundFilter::None,
            Filter::And(parts) | Filter::Or(parts) => {
                let and = matches!(filter, Filter::And(_));
                let mut bound = Vec::with_capacity(parts.len());
                for part in parts {
                    bound.extend(self.filter(part)?);
                }
                match bound.len() {
                    // Parts that all say nothing say nothing together; no parts at all are another matter.
                    0 if !parts.is_empty() => return Ok(None),
                    0 if and => BoundFilter::All,
                    0 => BoundFilter::None,
                    1 => return Ok(bound.pop()),
                    _ if and => BoundFilter::And(bound),
                    _ => BoundFilter::Or(bound),
                }
            }
            Filter::Not(part) => match self.filter(part)? {
                None => return Ok(None),
                Some(part) => BoundFilter::Not(Box::new(part)),
            },
            Filter::Value(clause) => self.value(filter, clause)?,
            Filter::Substring(clause) => self.substring(filter, clause)?,
            Filter::Exists(ExistsClause { path, filter: None, .. }) => {
                self.condition(self.attribute(filter, path)?, MatchingRule::Exact, Condition::Present)
            }
            Filter::Type(clause) if clause.type_name.local() == "ShadowType" => BoundFilter::All,
            _ => {
                let name = name_of(filter);
                return Err(self.unsupported(
                    filter,
                    format!("a resource cannot be asked for '{name}' like this"),
                    "use comparisons of attributes, contains, startsWith, endsWith and exists",
                ));
            }
        };
        Ok(Some(bound))
    }

    fn value(&self, filter: &Filter, clause: &ValueClause) -> Result<BoundFilter, Diagnostic> {
        let attribute = self.attribute(filter, &clause.path)?;
        let rule = self.rule(filter, clause.matching.as_ref(), attribute)?;
        let values = match &clause.operand {
            Operand::Values(values) => values,
            Operand::Path(path) if path.variable.is_none() && self.purpose == Purpose::InMemory => return Ok(BoundFilter::None),
            Operand::Path(path) if path.variable.is_none() => {
                return Err(self.unsupported(
                    filter,
                    format!("'{}' is compared with another item, which a resource cannot do", clause.path),
                    "compare with a value; texts go into quotes",
                ));
            }
            operand => return Err(self.not_evaluated(filter, &clause.path, operand)),
        };
        let condition = match (clause.operator, values.as_slice()) {
            (Operator::Equal, []) => {
                return Ok(BoundFilter::Not(Box::new(self.condition(attribute, rule, Condition::Present))));
            }
            (Operator::AnyIn, []) => return Ok(BoundFilter::None),
            (Operator::Equal | Operator::AnyIn, values) => {
                let typed = values.iter().map(|value| self.typed(filter, value, attribute, rule));
                Condition::AnyOf(typed.collect::<Result<_, _>>()?)
            }
            (Operator::Order(comparison), [value]) => {
                if matches!(attribute.value_type, ValueType::Boolean | ValueType::Binary) {
                    return Err(self
                        .error("bad-value", filter, format!("the values of '{}' have no order", attribute.name))
                        .with_help("compare them with = or !="));
                }
                if let Some(rule) = &clause.matching
                    && !has_order(rule)
                {
                    return Err(self.unsupported(
                        filter,
                        format!("the matching rule '{}' knows no order", rule.local()),
                        "use the rule default, stringIgnoreCase or one of the polyString rules",
                    ));
                }
                Condition::Compare(comparison, self.typed(filter, value, attribute, rule)?)
            }
            (Operator::Order(_), values) => {
                let message = format!("'{}' is compared with {} values, and there must be one", clause.path, values.len());
                return Err(self.error("several-values", filter, message).with_help("only = and anyIn take several values"));
            }
        };
        Ok(self.condition(attribute, rule, condition))
    }

    fn substring(&self, filter: &Filter, clause: &SubstringClause) -> Result<BoundFilter, Diagnostic> {
        let attribute = self.attribute(filter, &clause.path)?;
        let rule = self.rule(filter, clause.matching.as_ref(), attribute)?;
        let value = match &clause.operand {
            Operand::Values(values) => match values.as_slice() {
                [value] => value,
                values => {
                    let message = format!("'{}' is searched for {} texts, and there must be one", clause.path, values.len());
                    return Err(self.error("several-values", filter, message).with_help("join several conditions with 'or'"));
                }
            },
            operand => return Err(self.not_evaluated(filter, &clause.path, operand)),
        };
        if attribute.value_type != ValueType::String {
            let message = format!("the values of '{}' are no texts, so they contain none", attribute.name);
            return Err(self.error("bad-value", filter, message).with_help("compare them with =, < or >"));
        }
        let text = rule.normalize(&value.text()).into();
        Ok(self.condition(attribute, rule, Condition::Substring { text, at_start: clause.at_start, at_end: clause.at_end }))
    }

    fn condition(&self, attribute: &AttributeDefinition, rule: MatchingRule, condition: Condition) -> BoundFilter {
        BoundFilter::Attribute { name: attribute.name.clone(), rule, condition }
    }

    fn attribute(&self, filter: &Filter, path: &ItemPath) -> Result<&AttributeDefinition, Diagnostic> {
        let Some(name) = attribute_of(path) else {
            return Err(self.unsupported(
                filter,
                format!("'{path}' is no attribute, and only attributes are on the resource"),
                "write attributes/ri:… for an attribute of the resource",
            ));
        };
        self.class.attribute_named(name).ok_or_else(|| {
            let local = name.local();
            let message = format!("the object class '{}' has no attribute '{}'", self.class.name, written(name));
            let error = self.error("unknown-attribute", filter, message);
            let known = || self.class.attributes.iter().map(|attribute| &*attribute.name);
            if self.class.attribute(local).is_some() {
                return error
                    .with_help(format!("attributes of a resource are in the namespace 'ri': write attributes/ri:{local}"));
            }
            match nearest(local, known()) {
                Some(near) => error.with_help(format!("did you mean '{near}'?")),
                None => error.with_help(format!("its attributes are {}", known().take(20).collect::<Vec<_>>().join(", "))),
            }
        })
    }

    fn rule(
        &self,
        filter: &Filter,
        written: Option<&QName>,
        attribute: &AttributeDefinition,
    ) -> Result<MatchingRule, Diagnostic> {
        match (written, self.purpose) {
            (Some(rule), _) => MatchingRule::from_name(rule.local()).ok_or_else(|| {
                self.unsupported(
                    filter,
                    format!("the matching rule '{}' is not supported", rule.local()),
                    "use default, stringIgnoreCase, distinguishedName, uuid or one of the polyString rules",
                )
            }),
            (None, Purpose::Search) => Ok(attribute.matching_rule),
            (None, Purpose::InMemory) => Ok(MatchingRule::Exact),
        }
    }

    /// The value with the attribute's type, texts in their normal form.
    fn typed(
        &self,
        filter: &Filter,
        literal: &Literal,
        attribute: &AttributeDefinition,
        rule: MatchingRule,
    ) -> Result<Value, Diagnostic> {
        let text = literal.text();
        let trimmed = text.trim();
        let (value, needed) = match attribute.value_type {
            ValueType::String => return Ok(Value::string(&*rule.normalize(&text))),
            ValueType::Integer => (trimmed.parse().ok().map(Value::Integer), "a whole number"),
            ValueType::Float => (trimmed.parse().ok().filter(|f: &f64| f.is_finite()).map(Value::Float), "a number"),
            ValueType::Boolean => (boolean(trimmed).map(Value::Boolean), "true or false"),
            ValueType::DateTime => {
                (Timestamp::parse(trimmed).ok().map(Value::DateTime), "a date and time such as 2026-01-31T12:00:00Z")
            }
            ValueType::Binary => (base64(trimmed).map(|bytes| Value::Binary(bytes.into())), "bytes in base64"),
        };
        value.ok_or_else(|| {
            let message = format!("the value that '{}' is compared with is not {needed}", attribute.name);
            self.error("bad-value", filter, message).with_help(format!("write {needed}"))
        })
    }

    fn not_evaluated(&self, filter: &Filter, path: &ItemPath, operand: &Operand) -> Diagnostic {
        if let Operand::Expression(FilterExpression::Script { language, .. }) = operand {
            let language = language_name(language.as_deref());
            let message = format!("'{path}' is compared with the value of a script, and scripts in {language} are not supported");
            return self.error("unsupported-script-language", filter, message).with_help("write the value itself");
        }
        self.unsupported(
            filter,
            format!("the value that '{path}' is compared with is an expression, which is not evaluated here"),
            "write the value itself",
        )
    }

    fn unsupported(&self, filter: &Filter, message: String, help: &str) -> Diagnostic {
        self.error("unsupported-filter", filter, message).with_help(help)
    }

    fn error(&self, code: &'static str, filter: &Filter, message: String) -> Diagnostic {
        Diagnostic::error(code, place_of(filter, self.place), message)
    }
}

/// A name as a path has it.
fn written(name: &QName) -> String {
    ItemPath::item(name.clone()).to_string()
}

/// Where a filter was written, if it was.
pub(super) fn place_of<'a>(filter: &'a Filter, otherwise: &'a Place) -> &'a Place {
    filter.place().filter(|place| place.line > 0).unwrap_or(otherwise)
}

/// The name of the attribute that a path leads to: `attributes/x` or `x`.
pub(super) fn attribute_of(path: &ItemPath) -> Option<&QName> {
    match (&path.variable, path.steps.as_slice()) {
        (None, [PathStep::Name(name)]) => Some(name),
        (None, [PathStep::Name(container), PathStep::Name(name)]) if is_common(container, "attributes") => Some(name),
        _ => None,
    }
}

/// Whether a name is this one of the common namespace, or of none.
pub(super) fn is_common(name: &QName, local: &str) -> bool {
    name.local() == local && name.namespace().is_none_or(|n| n == ns::COMMON)
}

/// Whether a matching rule that a filter names also puts values in order.
pub(super) fn has_order(rule: &QName) -> bool {
    matches!(rule.local(), "default" | "stringIgnoreCase") || rule.local().starts_with("polyString")
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The bytes that a base64 text means; line ends in it do not count.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let content = digits.strip_suffix(b"==").or_else(|| digits.strip_suffix(b"=")).unwrap_or(&digits);
    let mut bytes = Vec::with_capacity(content.len() / 4 * 3 + 2);
    for group in content.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        // A group of four says three bytes, one of three two, one of two one; a single digit says nothing.
        let whole = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(whole.to_be_bytes().get(1..group.len()).filter(|said| !said.is_empty())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("AP8Q").as_deref(), Some(&[0, 255, 16][..]));
        assert_eq!(base64("Zm9v\nYg==").as_deref(), Some(&b"foob"[..]));
        assert_eq!(base64("").as_deref(), Some(&[][..]));
        for wrong in ["A", "A===", "AB=C", "ABC", "AB*D", "===="] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }
}
