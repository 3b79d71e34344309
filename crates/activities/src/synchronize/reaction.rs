//! Carrying out a reaction: what becomes of the focus.

use std::borrow::Cow;

use tidelock_model::object::{Focus, FocusType};
use tidelock_model::{Items, Oid, Value, Values};
use tidelock_repo::StoredFocus;
use tidelock_resolver::mapping;
use tidelock_resolver::policy::TypePolicy;
use tidelock_resolver::reaction::{Action, ActionKind};
use uuid::Uuid;

use crate::error::Category;
use crate::statistics::Act;
use crate::synchronize::ItemError;
use crate::synchronize::overlay::Candidate;
use crate::synchronize::writer::Writer;

/// The object that a reaction is to.
pub(crate) struct Subject<'s> {
    pub(crate) type_: &'s TypePolicy,
    /// Its attributes; none of a gone object.
    pub(crate) attributes: Option<&'s Items>,
    /// The attributes with which it was synchronized before, if a focus owned it then.
    pub(crate) old_attributes: Option<&'s Items>,
}

/// A focus that a reaction is about.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'s> {
    /// As it was loaded.
    Stored(&'s StoredFocus),
    /// One that this chunk has made or changed, by its position.
    Pending(usize),
}

/// Carries out the actions of a reaction, and says whose the object is afterwards. Where one action fails, none has happened.
///
/// `owner` owns the object by now; `correlated` should.
pub(crate) fn carry_out<'s>(
    writer: &mut Writer<'_>,
    subject: &Subject<'_>,
    actions: &[Action],
    owner: Option<Owner<'s>>,
    correlated: Option<Owner<'s>>,
) -> Result<Option<Candidate>, ItemError> {
    // Actions work on a draft, so that nothing is left of those before one that fails.
    let mut owner = owner;
    let mut content: Option<Items> = None;
    let mut created = false;
    let mut deleted = false;
    for action in actions {
        match action.kind {
            ActionKind::Synchronize => {}
            ActionKind::Link => {
                owner = owner.or(correlated);
                if owner.is_none() && !created {
                    return Err(ItemError::new(Category::Application, "there is no correlated owner to link to"));
                }
            }
            ActionKind::AddFocus => {
                if subject.attributes.is_none() {
                    return Err(ItemError::new(Category::Application, "a focus cannot be made from an object that is gone"));
                }
                if owner.is_none() && !created {
                    created = true;
                    content = Some(Items::new());
                }
            }
            // The link ends with the shadow's life, not before.
            ActionKind::Unlink => continue,
            ActionKind::DeleteFocus => {
                deleted = owner.is_some() || created;
                continue;
            }
            ActionKind::InactivateFocus => {
                if let Some(mut items) = draft(writer, owner, content.take(), created) {
                    items.set_at_path(&["activation", "administrativeStatus"], Values::from_iter([Value::from("disabled")]));
                    content = Some(items);
                }
                continue;
            }
            _ => {
                let message = format!("the action '{}' is not supported yet ({})", action.kind.as_str(), action.place);
                return Err(ItemError::new(Category::Unsupported, message));
            }
        }
        if let (Some(attributes), Some(items)) = (subject.attributes, draft(writer, owner, content.take(), created)) {
            let mapped = mapping::inbound(subject.type_, subject.old_attributes, attributes, &items, writer.part.channel)
                .map(|mapped| match mapped {
                    Cow::Borrowed(_) => None,
                    Cow::Owned(changed) => Some(changed),
                })
                .map_err(|error| ItemError::new(Category::Schema, error.to_string()))?;
            content = Some(mapped.unwrap_or(items));
        }
    }
    apply(writer, subject.type_.focus_type, owner, content, created, deleted)
}

/// The content that actions go on with: what earlier ones left, else what the focus has.
fn draft(writer: &Writer<'_>, owner: Option<Owner<'_>>, content: Option<Items>, created: bool) -> Option<Items> {
    if content.is_some() {
        return content;
    }
    match owner {
        Some(owner) => focus(writer, owner).map(|focus| focus.content.clone()),
        None => created.then(Items::new),
    }
}

/// A focus as it is by now.
pub(crate) fn focus<'w>(writer: &'w Writer<'_>, owner: Owner<'w>) -> Option<&'w Focus> {
    match owner {
        Owner::Stored(stored) => writer.overlay.current(stored),
        Owner::Pending(at) => writer.overlay.pending(at),
    }
}

fn apply(
    writer: &mut Writer<'_>,
    focus_type: FocusType,
    owner: Option<Owner<'_>>,
    content: Option<Items>,
    created: bool,
    deleted: bool,
) -> Result<Option<Candidate>, ItemError> {
    let Some(owner) = owner else {
        let Some(content) = content.filter(|_| created && !deleted) else { return Ok(None) };
        writer.statistics.acted_on_focus(focus_type, Act::Add);
        let oid = Oid::from_uuid(Uuid::now_v7());
        return Ok(Some(writer.overlay.create(Focus { oid, focus_type, version: 1, content })));
    };
    let focus_type = focus(writer, owner).map_or(focus_type, |focus| focus.focus_type);
    if deleted {
        return match owner {
            Owner::Stored(stored) => {
                writer.statistics.acted_on_focus(focus_type, Act::Delete);
                writer.overlay.delete(stored);
                Ok(None)
            }
            Owner::Pending(at) if writer.overlay.delete_pending(at) => {
                writer.statistics.acted_on_focus(focus_type, Act::Delete);
                Ok(None)
            }
            Owner::Pending(_) => Err(ItemError::new(Category::Application, "a focus cannot be made and deleted at once")),
        };
    }
    if let Some(content) = content.filter(|content| focus(writer, owner).is_none_or(|focus| focus.content != *content)) {
        writer.statistics.acted_on_focus(focus_type, Act::Modify);
        match owner {
            Owner::Stored(stored) => writer.overlay.update(stored, content),
            Owner::Pending(at) => writer.overlay.update_pending(at, content),
        }
    }
    Ok(Some(match owner {
        Owner::Stored(stored) => Candidate::Stored(stored.key),
        Owner::Pending(at) => writer.overlay.candidate(at),
    }))
}
