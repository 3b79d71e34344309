//! What is left rather than what went: resources that have forgotten which objects were deleted, and tell which exist.
//!
//! Whom they name is marked, in the repository, so that it does not matter how many there are. Of whom nothing was heard by the end
//! is looked after as a reconciliation does: nobody is believed to be gone whom a read still finds. Who is found is taken over as they are
//! now, since the resource has told nothing of what became of them.

use std::sync::Arc;

use tidelock_model::Timestamp;
use tidelock_repo::{Batch, Remaining, SeenMark, ShadowFilter, ShadowRef, SyncLevel};

use crate::error::RunError;
use crate::part::Part;
use crate::report::Mode;
use crate::run::{End, Run};
use crate::shadows::{self, Left};

/// Who has been heard of since a source began to tell what has changed.
pub(crate) struct Presence {
    /// Marks of them are later than this, and all others are not.
    since: Timestamp,
    /// Whether the source accounts for every object, beside telling what has changed.
    is_whole: bool,
}

impl Presence {
    /// A source begins to tell. What it told before is taken over already.
    pub(crate) fn begin(part: &Part) -> Self {
        Self { since: part.mark_off(), is_whole: false }
    }

    /// Whether the source says which objects are left.
    pub(crate) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// These exist, and have not changed: their shadows are marked.
    pub(crate) async fn note(&mut self, run: &mut Run<'_>, part: &Part, identifiers: &[Box<str>]) -> Result<(), RunError> {
        self.is_whole = true;
        if part.mode == Mode::None {
            return Ok(());
        }
        let classes = part.policy.schema.classes.iter();
        for class in classes.filter(|class| part.set.class.as_ref().is_none_or(|wanted| wanted.name == class.name)) {
            for some in identifiers.chunks(part.chunk) {
                let normalized = some.iter().map(|identifier| class.normalize_identifier(identifier).into()).collect();
                let known = run.engine.repo.look_up(&part.resource, &class.name, normalized).await?;
                let at = part.now();
                let mark = |key| SeenMark { shadow: ShadowRef::Stored(key), run: part.run, at, fully: false };
                let seen: Vec<SeenMark> = known.into_iter().flatten().map(|known| mark(known.key)).collect();
                if !seen.is_empty() {
                    run.commit_alone(part, Batch { seen, ..Batch::default() }).await?;
                }
            }
        }
        Ok(())
    }

    /// The source has told everything: if it accounts for every object, those are looked after that nothing was heard of.
    pub(crate) async fn end(&self, run: &mut Run<'_>, part: &Arc<Part>) -> Result<End, RunError> {
        if !self.is_whole {
            return Ok(End::Complete);
        }
        let filter = ShadowFilter {
            resource: Some(part.resource.clone()),
            class: part.set.class.as_ref().map(|class| Arc::clone(&class.name)),
            kind: part.set.post_filter.kind,
            intent: part.set.post_filter.intent.clone(),
            dead: false,
        };
        let unheard = Remaining { filter, level: SyncLevel::Basic, until: self.since, results: None };
        shadows::go_through(run, part, &unheard, Left::TakenOver).await
    }
}
