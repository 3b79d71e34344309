//! The resolution matrix: what each activity makes of kind, intent and object class, in both profiles.
//!
//! Everything in which activities and profiles differ is in [`MATRIX`]; the code around it asks no activity's name. The
//! documentation, `object-sets.md`, is made from it.

use tidelock_model::definition::QueryApplication;

use crate::object_set::{ActivityKind, Profile};

/// What becomes of a combination of kind, intent and object class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The type of this kind and intent.
    Exact,
    /// The type that is the default for the kind.
    Default,
    /// The whole class.
    Class,
    /// The whole class; the intent is ignored, with a warning.
    ClassOnly,
    /// All classes of the resource.
    Whole,
    /// What the query says, and nothing without a query that says it.
    Query,
    /// Refused: an intent needs a kind.
    NoKind,
    /// Refused: a class is needed, whatever a query says.
    NoClass,
    /// Not looked at; whatever is given is ignored, with a warning.
    Ignored,
}

/// Which objects are offered to an activity, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A search on the resource, narrowed by the type's delineation.
    Search,
    /// What has changed on the resource, asked for or sent; or what waits for its time.
    Changes,
    /// Shadows of the resource that have something pending.
    Pending,
    /// Shadows of the resolved class, with the given kind and intent.
    ResolvedShadows,
    /// Shadows with just the given class, kind and intent.
    LiteralShadows,
}

/// What is checked of each object before it is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Kind, intent and class as given, of classified objects. Others pass, and are excluded for want of a type.
    Classified,
    /// Kind, intent and class as given, of all objects.
    All,
    /// The class as given.
    ClassOnly,
    /// Nothing.
    Nothing,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryUse {
    /// It is used; this is how, where the object set does not say.
    Used(QueryApplication),
    /// This part of an activity has a query of its own, and the configured one matters to another part: append, by default.
    Own,
    /// It would be used, and we do not: a warning says so.
    Missing,
    /// It is ignored, with a warning.
    Ignored,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionUse {
    /// It is used.
    Used,
    /// Of search options, `noFetch` is used; others are ignored, with a warning.
    NoFetchOnly,
    /// It has an effect in midPoint: a warning says that it has none here.
    Missing,
    /// This part of an activity ignores it, though another part does not.
    Passed,
    /// It is ignored, with a warning.
    Ignored,
}

/// One line of the matrix.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) profile: Profile,
    pub(crate) activity: ActivityKind,
    /// By what is given, in the order of [`Given`].
    pub(crate) cells: [Cell; 8],
    /// Whether kind, intent and class select anything once they are resolved.
    pub(crate) selects: bool,
    pub(crate) source: Source,
    pub(crate) check: Check,
    pub(crate) query: QueryUse,
    pub(crate) search_options: OptionUse,
    pub(crate) failed_objects: OptionUse,
}

/// Which of kind (K), intent (I) and object class (O) are given: the rows of the specification, from 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    KindIntentClass,
    KindIntent,
    KindClass,
    Kind,
    IntentClass,
    Intent,
    Class,
    Nothing,
}

use ActivityKind::{
    AsynchronousUpdate, Import, LiveSynchronization, OperationCompletion, RemainingShadows, ResourceObjects, ShadowCleanup,
    ShadowReclassification, ShadowRefresh, TriggerScan,
};
use Cell::{Class, ClassOnly, Default, Exact, Ignored, NoClass, NoKind, Query, Whole};
use Check::{All, Classified, Nothing};
use Profile::{Documented, Midpoint48};
use Source::{Changes, LiteralShadows, Pending, ResolvedShadows, Search};

const REPLACE: QueryUse = QueryUse::Used(QueryApplication::Replace);
const APPEND: QueryUse = QueryUse::Used(QueryApplication::Append);
const OWN: QueryUse = QueryUse::Own;
const NO_USE: QueryUse = QueryUse::Missing;
const DROPPED: QueryUse = QueryUse::Ignored;
const USED: OptionUse = OptionUse::Used;
const NO_FETCH: OptionUse = OptionUse::NoFetchOnly;
const MISSING: OptionUse = OptionUse::Missing;
const PASSED: OptionUse = OptionUse::Passed;
const IGNORED: OptionUse = OptionUse::Ignored;

#[rustfmt::skip]
static MATRIX: [Rules; 20] = [
    //                                             K I O    K I –    K – O    K – –    – I O      – I –    – – O    – – –
    line(Documented, Import,                      [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       REPLACE, USED,     USED   ),
    line(Midpoint48, Import,                      [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       REPLACE, USED,     USED   ),
    line(Documented, ShadowReclassification,      [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       REPLACE, USED,     USED   ),
    line(Midpoint48, ShadowReclassification,      [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       REPLACE, USED,     USED   ),
    line(Documented, OperationCompletion,         [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], false, Pending,         Nothing,          OWN,     PASSED,   USED   ),
    line(Midpoint48, OperationCompletion,         [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Whole  ], false, Pending,         Nothing,          OWN,     PASSED,   USED   ),
    line(Documented, ResourceObjects,             [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       APPEND,  NO_FETCH, USED   ),
    line(Midpoint48, ResourceObjects,             [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  Search,          Classified,       APPEND,  NO_FETCH, USED   ),
    line(Documented, RemainingShadows,            [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   NoClass], true,  ResolvedShadows, All,              OWN,     PASSED,   USED   ),
    line(Midpoint48, RemainingShadows,            [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   NoClass], true,  ResolvedShadows, All,              OWN,     PASSED,   USED   ),
    line(Documented, LiveSynchronization,         [Exact,   Exact,   Default, Default, ClassOnly, NoKind,  Class,   Whole  ], true,  Changes,         Check::ClassOnly, DROPPED, IGNORED,  IGNORED),
    line(Midpoint48, LiveSynchronization,         [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Whole  ], true,  Changes,         All,              DROPPED, IGNORED,  IGNORED),
    line(Documented, AsynchronousUpdate,          [Ignored, Ignored, Ignored, Ignored, Ignored,   Ignored, Ignored, Whole  ], false, Changes,         Nothing,          DROPPED, IGNORED,  IGNORED),
    line(Midpoint48, AsynchronousUpdate,          [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Whole  ], false, Changes,         Nothing,          DROPPED, IGNORED,  IGNORED),
    line(Documented, ShadowCleanup,               [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  LiteralShadows,  Nothing,          APPEND,  USED,     USED   ),
    line(Midpoint48, ShadowCleanup,               [Exact,   Exact,   Default, Default, NoKind,    NoKind,  Class,   Query  ], true,  LiteralShadows,  Nothing,          APPEND,  USED,     USED   ),
    line(Documented, ShadowRefresh,               [Ignored, Ignored, Ignored, Ignored, Ignored,   Ignored, Ignored, Whole  ], false, Pending,         Nothing,          NO_USE,  IGNORED,  MISSING),
    line(Midpoint48, ShadowRefresh,               [Ignored, Ignored, Ignored, Ignored, Ignored,   Ignored, Ignored, Whole  ], false, Pending,         Nothing,          NO_USE,  IGNORED,  MISSING),
    line(Documented, TriggerScan,                 [Ignored, Ignored, Ignored, Ignored, Ignored,   Ignored, Ignored, Whole  ], false, Changes,         Nothing,          NO_USE,  IGNORED,  IGNORED),
    line(Midpoint48, TriggerScan,                 [Ignored, Ignored, Ignored, Ignored, Ignored,   Ignored, Ignored, Whole  ], false, Changes,         Nothing,          NO_USE,  IGNORED,  IGNORED),
];

/// The line for an activity under a profile.
pub(crate) fn rules(profile: Profile, activity: ActivityKind) -> &'static Rules {
    let line = MATRIX.iter().find(|rules| rules.profile == profile && rules.activity == activity);
    // A test goes through all of them; were one missing nevertheless, the first is as strict as any.
    line.unwrap_or(&MATRIX[0])
}

impl Rules {
    pub(crate) fn cell(&self, given: Given) -> Cell {
        self.cells[given as usize]
    }
}

impl Given {
    pub(crate) const fn new(kind: bool, intent: bool, class: bool) -> Self {
        match (kind, intent, class) {
            (true, true, true) => Self::KindIntentClass,
            (true, true, false) => Self::KindIntent,
            (true, false, true) => Self::KindClass,
            (true, false, false) => Self::Kind,
            (false, true, true) => Self::IntentClass,
            (false, true, false) => Self::Intent,
            (false, false, true) => Self::Class,
            (false, false, false) => Self::Nothing,
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "the columns of a table")]
const fn line(
    profile: Profile,
    activity: ActivityKind,
    cells: [Cell; 8],
    selects: bool,
    source: Source,
    check: Check,
    query: QueryUse,
    search_options: OptionUse,
    failed_objects: OptionUse,
) -> Rules {
    Rules { profile, activity, cells, selects, source, check, query, search_options, failed_objects }
}

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod tests;
