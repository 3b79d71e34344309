//! What kind, intent and class mean on a resource.

use std::sync::Arc;

use tidelock_model::definition::{At, nearest};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{Intent, Kind, ObjectClass, TypeId};
use tidelock_model::{Diagnostic, Diagnostics, QName};

use crate::base_context::BaseContext;
use crate::compile::names;
use crate::matrix::Given;
use crate::object_set::{Scope, ShadowScope};
use crate::policy::ResourcePolicy;

/// Kind, intent and class as they are written, in a set or in a query.
#[derive(Clone, Debug, Default)]
pub(super) struct Coordinates {
    pub(super) kind: Option<At<Kind>>,
    pub(super) intent: Option<At<String>>,
    pub(super) class: Option<At<QName>>,
}

/// What they mean.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub(super) scope: Scope,
    pub(super) class: Option<Arc<ObjectClass>>,
}

impl Resolved {
    pub(super) const fn whole() -> Self {
        Self { scope: Scope::Resource, class: None }
    }
}

impl Coordinates {
    pub(super) fn which(&self) -> Given {
        Given::new(self.kind.is_some(), self.intent.is_some(), self.class.is_some())
    }

    /// The value `unknown` is for objects that could not be classified, and cannot be asked for.
    pub(super) fn reject_unknown(&self) -> Result<(), Diagnostic> {
        let kind = self.kind.as_ref().filter(|kind| kind.value == Kind::Unknown).map(|kind| ("kind", &kind.place));
        let intent = self.intent.as_ref().filter(|i| i.value == Intent::UNKNOWN).map(|intent| ("intent", &intent.place));
        match kind.or(intent) {
            None => Ok(()),
            Some((item, place)) => Err(Diagnostic::error(
                "reserved-unknown",
                place,
                format!("the {item} 'unknown' is reserved for objects without a type"),
            )
            .with_help(format!("name the {item} of an object type"))),
        }
    }

    pub(super) fn shadows(&self) -> ShadowScope {
        ShadowScope {
            class: self.class.as_ref().map(|class| Arc::clone(class.local_arc())),
            kind: self.kind.as_ref().map(|kind| kind.value),
            intent: self.intent.as_ref().and_then(|intent| Intent::new(intent)),
        }
    }
}

/// What coordinates mean to a search: it looks at the kind before the class, and at the intent only beside a kind.
pub(super) fn resolve(
    policy: &ResourcePolicy,
    given: &Coordinates,
    diagnostics: &mut Diagnostics,
) -> Result<Resolved, Diagnostic> {
    let found = match (&given.kind, &given.intent) {
        (Some(_), Some(_)) => of_kind_and_intent(policy, given, diagnostics)?,
        (Some(_), None) => of_kind(policy, given, diagnostics)?,
        (None, _) => of_class(policy, given)?,
    };
    Ok(found.unwrap_or_else(Resolved::whole))
}

/// The type of exactly this kind and intent, whose class must be the one given, if one is; none where kind or intent is missing.
pub(super) fn of_kind_and_intent(
    policy: &ResourcePolicy,
    given: &Coordinates,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Resolved>, Diagnostic> {
    let (Some(kind), Some(intent)) = (&given.kind, &given.intent) else { return Ok(None) };
    let resolved = exact(policy, kind, intent, diagnostics)?;
    of_the_class(policy, resolved, given).map(Some)
}

/// The type that is the default for the kind, whose class must be the one given, if one is; none where there is no kind.
pub(super) fn of_kind(
    policy: &ResourcePolicy,
    given: &Coordinates,
    diagnostics: &mut Diagnostics,
) -> Result<Option<Resolved>, Diagnostic> {
    let Some(kind) = &given.kind else { return Ok(None) };
    let resolved = default(policy, kind, diagnostics)?;
    of_the_class(policy, resolved, given).map(Some)
}

/// The class, whatever types it has; none where none is given.
pub(super) fn of_class(policy: &ResourcePolicy, given: &Coordinates) -> Result<Option<Resolved>, Diagnostic> {
    let Some(class) = &given.class else { return Ok(None) };
    let class = Arc::clone(names::class(&policy.schema, class)?);
    Ok(Some(Resolved { scope: Scope::Class(Arc::clone(&class)), class: Some(class) }))
}

/// Refuses a class that is not the one of the type found.
fn of_the_class(policy: &ResourcePolicy, resolved: Resolved, given: &Coordinates) -> Result<Resolved, Diagnostic> {
    let (Some(wanted), Some(class)) = (&given.class, &resolved.class) else { return Ok(resolved) };
    if policy.schema.class_named(wanted).is_some_and(|named| named.name == class.name) {
        return Ok(resolved);
    }
    let what = match &resolved.scope {
        Scope::Type(index) => policy.types.get(*index).map(|type_| type_.id.to_string()),
        _ => None,
    };
    let what = what.as_deref().unwrap_or("the default account");
    let message = format!("the object class is '{}', but that of {what} is '{}'", wanted.value, class.name);
    Err(Diagnostic::error("object-class-mismatch", &wanted.place, message)
        .with_help("remove 'objectclass': kind and intent tell the class"))
}

/// What the definition of a type, or of a whole class, adds to every search.
pub(super) fn delineation(
    policy: &ResourcePolicy,
    resolved: &Resolved,
) -> Result<(BoundFilter, Option<BaseContext>), Diagnostic> {
    let (filter, base_context) = match &resolved.scope {
        Scope::Type(index) => match policy.types.get(*index) {
            Some(type_) => (type_.search_filter.clone(), type_.base_context.clone()),
            None => (BoundFilter::None, None),
        },
        Scope::Class(class) => match policy.classes.iter().find(|policy| policy.class.name == class.name) {
            Some(class) => (class.search_filter.clone(), class.base_context.clone()),
            None => (BoundFilter::All, None),
        },
        Scope::Resource => (BoundFilter::All, None),
    };
    match base_context {
        // Without its bounds the search would find objects that are none of the task's business.
        Some(base) if base.base.is_none() || base.identifier.is_none() => Err(names::refused(
            "a base context that is not given by its distinguished name",
            &base.place,
            "give 'objectClass' and a 'filter' that compares the distinguished name with one value",
        )),
        base_context => Ok((filter, base_context)),
    }
}

fn exact(
    policy: &ResourcePolicy,
    kind: &At<Kind>,
    intent: &At<String>,
    diagnostics: &mut Diagnostics,
) -> Result<Resolved, Diagnostic> {
    let Some(wanted) = Intent::new(intent) else {
        return Err(Diagnostic::error("unknown-object-type", &intent.place, "an intent cannot be empty")
            .with_help("name the intent of an object type, or remove 'intent'"));
    };
    let id = TypeId { kind: kind.value, intent: wanted };
    if let Some(index) = policy.type_of(&id) {
        return Ok(of_type(policy, index));
    }
    if intent.value == Intent::DEFAULT
        && let Some(class) = default_account(policy, kind)?
    {
        let message = format!("the resource has no object type {id}");
        warn_of_default_class(policy, &class, "default-account-class", intent, message, diagnostics);
        return Ok(class);
    }
    let types = || policy.types.iter().map(|type_| type_.id.to_string());
    let known: Vec<String> = types().collect();
    let same_kind = policy.types.iter().filter(|t| t.id.kind == kind.value).map(|t| t.id.intent.as_str());
    let near = nearest(intent, same_kind).map(|intent| format!("{}/{intent}", kind.value));
    let near = near.or_else(|| nearest(&id.to_string(), known.iter().map(String::as_str)).map(ToOwned::to_owned));
    let help = match near {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "the resource defines no object types; name an 'objectclass' instead".to_owned(),
        None => format!("object types are {}", listed(&known)),
    };
    Err(Diagnostic::error("unknown-object-type", &intent.place, format!("the resource has no object type {id}")).with_help(help))
}

fn default(policy: &ResourcePolicy, kind: &At<Kind>, diagnostics: &mut Diagnostics) -> Result<Resolved, Diagnostic> {
    if let Some(index) = policy.types.iter().position(|type_| type_.id.kind == kind.value && type_.default_for_kind) {
        let id = policy.types.get(index).map(|type_| &type_.id);
        if let Some(id) = id {
            diagnostics.push(
                Diagnostic::warning(
                    "kind-without-intent",
                    &kind.place,
                    format!("without 'intent' the default type of the kind is meant, which is {id}"),
                )
                .with_help(format!("add 'intent' with the value '{}'", id.intent)),
            );
        }
        return Ok(of_type(policy, index));
    }
    if let Some(class) = default_account(policy, kind)? {
        let message = "no object type is the default for the kind 'account'".to_owned();
        warn_of_default_class(policy, &class, "kind-without-intent", kind, message, diagnostics);
        return Ok(class);
    }
    let intents: Vec<String> =
        policy.types.iter().filter(|t| t.id.kind == kind.value).map(|t| format!("'{}'", t.id.intent)).collect();
    let message = format!("no object type is the default for the kind '{}'", kind.value);
    let help = match &*intents {
        [] => "the resource defines no object type of that kind".to_owned(),
        [only] => format!("add 'intent' with the value {only}, or 'defaultForKind' to that type"),
        several => format!("add 'intent' with one of {}, or 'defaultForKind' to one of these types", listed(several)),
    };
    Err(Diagnostic::error("no-default-object-type", &kind.place, message).with_help(help))
}

/// The class that the resource itself says is that of ordinary accounts. Of use where no type is defined.
fn default_account(policy: &ResourcePolicy, kind: &At<Kind>) -> Result<Option<Resolved>, Diagnostic> {
    if kind.value != Kind::Account {
        return Ok(None);
    }
    let mut classes = policy.schema.classes.iter().filter(|class| class.default_account);
    match (classes.next(), classes.next()) {
        (None, _) => Ok(None),
        (Some(class), None) => Ok(Some(Resolved { scope: Scope::Class(Arc::clone(class)), class: Some(Arc::clone(class)) })),
        (Some(_), Some(_)) => Err(Diagnostic::error(
            "several-default-object-types",
            &kind.place,
            "the resource has several default classes for accounts, and no object type says which is meant",
        )
        .with_help("define an object type, or name an 'objectclass'")),
    }
}

/// Where there are types, the class as a whole is hardly what somebody wants who does not name it.
fn warn_of_default_class<T>(
    policy: &ResourcePolicy,
    resolved: &Resolved,
    code: &'static str,
    at: &At<T>,
    why: String,
    diagnostics: &mut Diagnostics,
) {
    let types: Vec<_> = policy.types.iter().filter(|type_| type_.id.kind == Kind::Account).map(|t| t.id.to_string()).collect();
    if types.is_empty() {
        return;
    }
    let class = resolved.class.as_ref().map_or("", |class| &class.name);
    diagnostics.push(
        Diagnostic::warning(code, &at.place, format!("{why}, so the objects of the class '{class}' are meant, of whatever type"))
            .with_help(format!("name 'intent' as one of these types has it: {}", listed(&types))),
    );
}

fn of_type(policy: &ResourcePolicy, index: usize) -> Resolved {
    Resolved { scope: Scope::Type(index), class: policy.types.get(index).map(|type_| Arc::clone(&type_.class)) }
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 12;
    match names.len() {
        n if n > MOST => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
        _ => names.join(", "),
    }
}
