//! Where the values of a mapping come from.

use tidelock_model::definition::{Evaluator, Expression, Script};
use tidelock_model::document::Node;
use tidelock_model::name::ns;
use tidelock_model::object::{AttributeDefinition, ObjectClass};
use tidelock_model::{Diagnostic, Place, Timestamp, Value, Values};

use crate::compile::names;
use crate::mapping::MappingSource;

/// What an expression reads, given the attribute that it is at.
pub(super) fn source(
    expression: Option<&Expression>,
    attribute: &AttributeDefinition,
    class: &ObjectClass,
) -> Result<MappingSource, Diagnostic> {
    let as_is = || Ok(MappingSource::Attribute(attribute.name.clone()));
    let Some(expression) = expression else { return as_is() };
    let evaluator = match expression.evaluators.as_slice() {
        [] => return as_is(),
        [evaluator] => evaluator,
        _ => {
            return Err(Diagnostic::error(
                "several-values",
                &expression.place,
                "an expression has one evaluator, and here are several",
            )
            .with_help("leave one, or make several mappings"));
        }
    };
    match evaluator {
        Evaluator::AsIs(_) => as_is(),
        Evaluator::Null(_) => Ok(MappingSource::Constant(Values::new())),
        Evaluator::Path(text) => {
            let path = names::path(text)?;
            let input = path.variable.as_ref().is_some_and(|v| v.local() == "input") && path.steps.is_empty();
            if input {
                return as_is();
            }
            let name = names::attribute_name(&path).ok_or_else(|| {
                names::refused(
                    "a path to anything but an attribute of the object",
                    &text.place,
                    "write $projection/attributes/… and the name of the attribute",
                )
            })?;
            names::attribute(class, name, &text.place).map(|found| MappingSource::Attribute(found.name.clone()))
        }
        Evaluator::Value(nodes) => nodes.iter().map(constant).collect::<Result<_, _>>().map(MappingSource::Constant),
        Evaluator::Const(name) => {
            Err(names::refused("a constant of the system configuration", &name.place, "write the value itself, in 'value'"))
        }
        Evaluator::Script(script) => Err(unsupported_script(script)),
        Evaluator::Other { name, node } => {
            Err(names::refused(&format!("the evaluator '{}'", shortened(name)), &node.place, "use asIs, path or value"))
        }
    }
}

/// The error for a script, with the equivalent where the script is simple enough to have one.
pub(super) fn unsupported_script(script: &Script) -> Diagnostic {
    let place = script.code.as_ref().map_or(&script.place, |code| &code.place);
    let language = script.language.as_ref().map(|language| language.value.as_str());
    unsupported(language, script.code(), place)
}

/// The same for a script that is not read as one.
pub(super) fn unsupported_script_node(node: &Node) -> Diagnostic {
    let language = node.child("language").map(Node::text);
    unsupported(language, node.child("code").map(Node::text).unwrap_or_default(), &node.place)
}

pub(super) fn unsupported(language: Option<&str>, code: &str, place: &Place) -> Diagnostic {
    let error = Diagnostic::error(
        "unsupported-script-language",
        place,
        format!("scripts in {} are not supported", language_name(language)),
    );
    // Velocity prints what it is given: a name alone stands for itself there.
    let computes = !language.is_some_and(|language| language.trim().to_ascii_lowercase().ends_with("velocity"));
    match Some(code).filter(|_| computes).and_then(equivalent) {
        Some(equivalent) => error.with_help(format!("the script is the same as {equivalent}")),
        None => error.with_help("use asIs, path or value, or let the resource give the value ready-made"),
    }
}

pub(crate) fn language_name(language: Option<&str>) -> String {
    let text = language.unwrap_or_default().trim();
    let name = text.rsplit(['#', '/']).next().unwrap_or_default();
    match name.to_ascii_lowercase().as_str() {
        // Definitions that name no language mean Groovy.
        "" | "groovy" => "Groovy".to_owned(),
        "ecmascript" | "javascript" => "ECMAScript".to_owned(),
        "python" => "Python".to_owned(),
        "velocity" => "Velocity".to_owned(),
        "xpath" => "XPath".to_owned(),
        _ => format!("'{}'", shortened(name)),
    }
}

/// What a script does that only returns something.
fn equivalent(code: &str) -> Option<String> {
    let code = code.trim().trim_end_matches(';').trim_end();
    let code = code.strip_prefix("return").filter(|rest| rest.starts_with([' ', '\'', '"'])).unwrap_or(code).trim();
    let is_name = |text: &str| {
        text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    if is_name(code)
        && !matches!(code, "true" | "false" | "null" | "return" | "focus" | "user" | "projection" | "shadow" | "account")
    {
        return Some("<asIs/>, where the variable is the attribute itself".to_owned());
    }
    match code {
        "null" => return Some("<null/>".to_owned()),
        "true" | "false" => return Some(format!("<value>{code}</value>")),
        _ => {}
    }
    let quote = code.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = code.strip_prefix(quote)?.strip_suffix(quote)?;
    let plain = !inner.contains([quote, '\\', '$', '\n', '<', '&']) && inner.chars().count() <= 60;
    plain.then(|| format!("<value>{inner}</value>"))
}

/// A value as a definition gives it, of the type that it names.
fn constant(node: &Node) -> Result<Value, Diagnostic> {
    if let Some(child) = node.children.first() {
        return Err(names::refused("a structured value", &child.place, "give a simple value"));
    }
    let text = node.text();
    let declared = node.declared_type().filter(|name| name.namespace().is_none_or(|n| n == ns::XSD));
    let bad = |what: &str| Diagnostic::error("bad-value", &node.place, format!("this value is not {what}"));
    let trimmed = text.trim();
    Ok(match declared.as_ref().map(|name| name.local()) {
        Some("int" | "integer" | "long" | "short") => Value::Integer(trimmed.parse().map_err(|_| bad("a whole number"))?),
        Some("double" | "float" | "decimal") => Value::Float(trimmed.parse().map_err(|_| bad("a number"))?),
        Some("boolean") => match trimmed {
            "true" | "1" => Value::Boolean(true),
            "false" | "0" => Value::Boolean(false),
            _ => return Err(bad("true or false")),
        },
        Some("dateTime") => Value::DateTime(Timestamp::parse(trimmed).map_err(|_| bad("a date and time"))?),
        _ => Value::string(text),
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::equivalent;

    #[test]
    fn a_script_that_only_returns_something_has_an_equivalent() {
        let as_is = Some("<asIs/>, where the variable is the attribute itself".to_owned());
        assert_eq!(equivalent("input"), as_is);
        assert_eq!(equivalent(" return input; "), as_is);
        assert_eq!(equivalent("'enabled'"), Some("<value>enabled</value>".to_owned()));
        assert_eq!(equivalent("return \"a b\""), Some("<value>a b</value>".to_owned()));
        assert_eq!(equivalent("null"), Some("<null/>".to_owned()));
    }

    #[test]
    fn a_script_that_computes_has_none() {
        for code in ["input + 'x'", "'a' + 'b'", "\"${input}\"", "basic.norm(input)", "user", "", "return", "'"] {
            assert_eq!(equivalent(code), None, "{code}");
        }
    }
}
