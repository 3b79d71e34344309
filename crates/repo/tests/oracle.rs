//! Random histories: the SQLite repository answers as the one in memory does, also after it was opened again.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;
use tidelock_model::object::{Focus, FocusType, MatchingRule, Shadow};
use tidelock_model::{Oid, Timestamp};
use tidelock_repo::conformance::build::{
    self, create, failure, fingerprint, hr, items, object, result, retry, seen, shadow, token, user, users_by,
};
use tidelock_repo::{
    Batch, ErrorKind, FocusChange, FocusKey, FocusRef, IndexedItem, Memory, Mode, NewTrigger, ObjectKey, ObjectType,
    OperationStatus, Remaining, Repo, ResultFilter, ShadowChange, ShadowFilter, ShadowKey, ShadowRef, Sqlite, StoredFocus,
    StoredShadow, StoredTrigger, SyncLevel, TokenChange, TokenKey, TriggerChange,
};

/// A step; numbers choose among what there is, or what there might be.
#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<(u8, u8, u8)>, Vec<(u8, u8, u8)>),
    Commit {
        expected: Vec<(u8, bool)>,
        foci: Vec<FocusStep>,
        shadows: Vec<ShadowStep>,
        seen: Vec<(u8, u8, bool)>,
        results: Vec<(u8, u8)>,
        live: Live,
    },
    Index(u8),
    Reopen,
}

/// What live runs write.
#[derive(Clone, Debug)]
struct Live {
    /// To add: at which shadow, of which task, due when. To remove: which of those there are, by number.
    triggers: Vec<(Option<(u8, u8)>, u8)>,
    marks: Vec<(u8, Option<u32>)>,
    /// Of which resource and object set, and which.
    token: Option<(u8, u8, Option<u8>)>,
}

#[derive(Clone, Debug)]
enum FocusStep {
    Create { oid: u8, name: u8, mail: u8 },
    Update { which: u8, name: u8, mail: u8, stale: bool },
    Delete { which: u8, stale: bool },
}

#[derive(Clone, Debug)]
struct ShadowStep {
    which: Option<u8>,
    identifier: u8,
    owner: Option<(bool, u8)>,
    dead: bool,
    print: Option<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let seldom = || prop::bool::weighted(0.03);
    let focus = prop_oneof![
        4 => (any::<u8>(), 0..12u8, 0..4u8).prop_map(|(oid, name, mail)| FocusStep::Create { oid, name, mail }),
        3 => (any::<u8>(), 0..12u8, 0..4u8, seldom()).prop_map(|(which, name, mail, stale)| FocusStep::Update { which, name, mail, stale }),
        1 => (any::<u8>(), seldom()).prop_map(|(which, stale)| FocusStep::Delete { which, stale }),
    ];
    let shadow = (
        prop::option::of(any::<u8>()),
        0..24u8,
        prop::option::of((any::<bool>(), any::<u8>())),
        prop::bool::weighted(0.2),
        prop::option::of(any::<u8>()),
    )
        .prop_map(|(which, identifier, owner, dead, print)| ShadowStep { which, identifier, owner, dead, print });

    let apply = (prop::collection::vec((0..3u8, 0..4u8, 0..3u8), 0..3), prop::collection::vec((0..3u8, 0..6u8, 0..4u8), 0..3))
        .prop_map(|(objects, foci)| Step::Apply(objects, foci));
    let live = (
        prop::collection::vec((prop::option::weighted(0.8, (any::<u8>(), 0..2u8)), 0..4u8), 0..3),
        prop::collection::vec((0..6u8, prop::option::of(0..3u32)), 0..3),
        prop::option::of((0..2u8, 0..2u8, prop::option::weighted(0.9, 0..3u8))),
    )
        .prop_map(|(triggers, marks, token)| Live { triggers, marks, token });
    let commit = (
        prop::collection::vec((any::<u8>(), seldom()), 0..2),
        prop::collection::vec(focus, 0..4),
        prop::collection::vec(shadow, 0..4),
        prop::collection::vec((any::<u8>(), 0..4u8, any::<bool>()), 0..4),
        prop::collection::vec((any::<u8>(), 0..3u8), 0..6),
        live,
    )
        .prop_map(|(expected, foci, shadows, seen, results, live)| Step::Commit {
            expected,
            foci,
            shadows,
            seen,
            results,
            live,
        });
    prop::collection::vec(
        prop_oneof![2 => apply, 12 => commit, 1 => (0..3u8).prop_map(Step::Index), 1 => Just(Step::Reopen)],
        1..40,
    )
}

fn indexed() -> [IndexedItem; 3] {
    [
        users_by(&["mail"], MatchingRule::StringIgnoreCase),
        users_by(&["name"], MatchingRule::Exact),
        IndexedItem { focus_type: FocusType::Role, ..users_by(&["mail"], MatchingRule::Exact) },
    ]
}

fn pick<T>(from: &[T], number: u8) -> Option<&T> {
    (!from.is_empty()).then(|| &from[usize::from(number) % from.len()])
}

/// All that there is, with handles, in order.
struct Content {
    foci: Vec<StoredFocus>,
    shadows: Vec<StoredShadow>,
    triggers: Vec<StoredTrigger>,
}

async fn content(repo: &dyn Repo) -> Content {
    let mut foci = Vec::new();
    for focus_type in FocusType::ALL {
        foci.extend(repo.foci(focus_type, None, 1000).await.unwrap());
    }
    let shadows = repo.shadows(&ShadowFilter { dead: true, ..ShadowFilter::default() }, None, 1000).await.unwrap();
    let triggers = repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 1000).await.unwrap();
    Content { foci, shadows, triggers }
}

fn focus_of(oid: &str, name: u8, mail: u8, version: u64) -> Focus {
    // Every fourth is a role, every eleventh has no name.
    let focus_type = if oid.len().is_multiple_of(4) { FocusType::Role } else { FocusType::User };
    let mail = format!("Mail{mail}");
    let name = format!("n{name}");
    let texts: &[(&str, &str)] = if name == "n11" { &[("mail", &mail)] } else { &[("name", &name), ("mail", &mail)] };
    Focus { oid: Oid::new(oid), focus_type, version, content: items(texts) }
}

fn shadow_of(step: &ShadowStep, oid: Oid) -> Shadow {
    let identifier = format!("i{}", step.identifier % 8);
    let class = if step.identifier < 16 { "account" } else { "group" };
    Shadow { oid, class: class.into(), dead: step.dead, ..shadow(&identifier) }
}

/// The batch of a step, in the handles of a repository with this content. `nth` makes OIDs that are seldom the same.
fn batch(step: &Step, there: &Content, nth: usize) -> Batch {
    let Step::Commit { expected, foci, shadows, seen: marks, results, live } = step else { return Batch::default() };
    let mut batch = Batch::default();
    for (which, stale) in expected {
        if let Some(focus) = pick(&there.foci, *which) {
            batch.expected.push((focus.key, focus.focus.version + u64::from(*stale)));
        }
    }
    for change in foci {
        batch.foci.push(match change {
            FocusStep::Create { oid, name, mail } => {
                // Lengths differ, hence types; seldom the same one twice.
                FocusChange::Create(focus_of(
                    &"f".repeat(usize::from(oid % 16) + 1).replace('f', &format!("f{}", oid % 97)),
                    *name,
                    *mail,
                    1,
                ))
            }
            FocusStep::Update { which, name, mail, stale } => match pick(&there.foci, *which) {
                None => continue,
                Some(StoredFocus { key, focus }) => {
                    let content = focus_of("", *name, *mail, 1).content;
                    let expected = focus.version + u64::from(*stale);
                    // What the version expected holds: an earlier change of this batch may have made it.
                    let earlier = batch.foci.iter().rev().find_map(|change| match change {
                        FocusChange::Update { key: of, focus, .. } if of == key && focus.version == expected => {
                            Some(&focus.content)
                        }
                        _ => None,
                    });
                    let before = earlier.unwrap_or(&focus.content).clone();
                    FocusChange::Update {
                        key: *key,
                        expected,
                        before,
                        focus: Focus { version: expected + 1, content, ..focus.clone() },
                    }
                }
            },
            FocusStep::Delete { which, stale } => match pick(&there.foci, *which) {
                None => continue,
                Some(focus) => FocusChange::Delete { key: focus.key, version: focus.focus.version + u64::from(*stale) },
            },
        });
    }
    for (at, step) in shadows.iter().enumerate() {
        let old = step.which.and_then(|which| pick(&there.shadows, which));
        let oid = old.map_or_else(|| Oid::new(&format!("s{nth}-{at}")), |old| old.shadow.oid.clone());
        let owner = match step.owner {
            None => None,
            Some((true, which)) => {
                let created: Vec<_> =
                    (0..batch.foci.len()).filter(|at| matches!(batch.foci[*at], FocusChange::Create(_))).collect();
                pick(&created, which).map(|at| FocusRef::New(*at))
            }
            Some((false, which)) => pick(&there.foci, which).map(|focus| FocusRef::Stored(focus.key)),
        };
        batch.shadows.push(ShadowChange {
            key: old.map(|old| old.key),
            owner,
            fingerprint: step.print.map(fingerprint),
            ..create(shadow_of(step, oid), None)
        });
    }
    let known = there.shadows.len() + batch.shadows.len();
    let shadow_ref = |which: u8| match usize::from(which).checked_rem(known)? {
        at if at < there.shadows.len() => Some(ShadowRef::Stored(there.shadows[at].key)),
        at => Some(ShadowRef::New(at - there.shadows.len())),
    };
    batch.seen = marks
        .iter()
        .filter_map(|(which, at, fully)| Some(seen(shadow_ref(*which)?, u32::from(*at), i64::from(*at), *fully)))
        .collect();
    batch.results = results
        .iter()
        .enumerate()
        .filter_map(|(at, (which, task))| {
            // A third of them fail.
            let made = if which.is_multiple_of(3) { failure } else { result };
            Some(made(shadow_ref(*which)?, &format!("t{task}"), (nth * 10 + at) as i64))
        })
        .collect();
    for (added, number) in &live.triggers {
        let change = match added {
            Some((which, task)) => {
                let Some(shadow) = shadow_ref(*which) else { continue };
                TriggerChange::Add(NewTrigger { shadow, retry: retry(&format!("t{task}"), i64::from(*number)) })
            }
            None => match pick(&there.triggers, *number) {
                None => continue,
                Some(trigger) => TriggerChange::Remove(trigger.key),
            },
        };
        batch.triggers.push(change);
    }
    let messages: Vec<_> = live.marks.iter().map(|(message, changes)| (format!("m{message}"), *changes)).collect();
    batch.inbox = build::marks(&messages.iter().map(|(message, changes)| (&**message, *changes)).collect::<Vec<_>>()).inbox;
    batch.token = live.token.map(|(resource, set, value)| {
        // Steps by fours are those of a run; every third run is somebody's hand.
        let run = (nth / 4 % 3) as u32;
        let token = TokenChange { run, ..token(&set.to_string(), "", nth as i64) };
        let resource = if resource == 0 { hr() } else { Oid::new("other") };
        TokenChange { key: TokenKey { resource, ..token.key }, value: value.map(|value| [value].into()), ..token }
    });
    batch.task_state = Some((Oid::new("t"), nth.to_string()));
    batch
}

async fn take(repo: &dyn Repo, step: &Step, nth: usize) -> Result<String, ErrorKind> {
    match step {
        Step::Apply(objects, foci) => {
            let oid = |prefix: &str, number: u8| (number > 0).then(|| format!("{prefix}{number}"));
            let objects = objects
                .iter()
                .map(|(number, name, text)| object("task", oid("o", *number).as_deref(), &format!("n{name}"), &text.to_string()))
                .collect();
            let foci = foci
                .iter()
                .map(|(number, name, mail)| {
                    let name = format!("n{name}");
                    (oid("a", *number).map(|oid| Oid::new(&oid)), user(&name, &[("mail", &format!("Mail{mail}"))]))
                })
                .collect();
            // New OIDs are drawn; what became of each must be the same.
            let applied = repo.apply(objects, foci).await.map_err(|err| err.kind())?;
            Ok(format!("{:?}", applied.iter().map(|(_, what)| what).collect::<Vec<_>>()))
        }
        Step::Commit { .. } => {
            let batch = batch(step, &content(repo).await, nth);
            repo.commit(batch).await.map(|()| String::new()).map_err(|err| err.kind())
        }
        Step::Index(which) => {
            let item = &indexed()[usize::from(*which)];
            repo.ensure_indexed(std::slice::from_ref(item)).await.map(|()| String::new()).map_err(|err| err.kind())
        }
        Step::Reopen => Ok(String::new()),
    }
}

/// All that can be observed, with places for handles, and without OIDs that were drawn.
async fn observe(repo: &dyn Repo) -> Vec<String> {
    let there = content(repo).await;
    let focus_at = |key: FocusKey| there.foci.iter().position(|focus| focus.key == key);
    let shadow_at = |key: ShadowKey| there.shadows.iter().position(|shadow| shadow.key == key);
    let drawn = |oid: &Oid| if oid.as_uuid().is_some() { "drawn".to_owned() } else { oid.to_string() };
    let focus_text = |stored: &StoredFocus| {
        let focus = &stored.focus;
        format!("#{:?} {} {} v{} {:?}", focus_at(stored.key), drawn(&focus.oid), focus.focus_type, focus.version, focus.content)
    };
    let shadow_text = |stored: &StoredShadow| {
        let owner = stored.shadow.owner.as_ref().map(drawn);
        let shadow = Shadow { owner: None, ..stored.shadow.clone() };
        format!("#{:?} {shadow:?} of {owner:?} {:?}", shadow_at(stored.key), stored.owner.as_ref().map(focus_text))
    };
    let mut seen = Vec::new();
    seen.extend(there.foci.iter().map(focus_text));
    seen.extend(there.shadows.iter().map(shadow_text));
    for object in repo.objects(&ObjectType::new("task")).await.unwrap() {
        seen.push(format!("{:?} {} {}", object.oid.as_ref().map(drawn), object.name, object.text));
    }
    let identifiers: Vec<Box<str>> = (0..9).chain(0..2).map(|at| format!("i{at}").into()).collect();
    for class in ["account", "group", "absent"] {
        for known in repo.look_up(&hr(), class, identifiers.clone()).await.unwrap() {
            seen.push(format!("{:?}", known.map(|known| (shadow_at(known.key), known.fingerprint, known.last_run))));
        }
    }
    let mut keys: Vec<_> = there.shadows.iter().map(|shadow| shadow.key).rev().collect();
    keys.push(ShadowKey(i64::MAX));
    seen.extend(repo.load(&keys).await.unwrap().iter().map(|loaded| format!("{:?}", loaded.as_ref().map(shadow_text))));
    let keys: Vec<_> = there.foci.iter().map(|focus| focus.key).rev().collect();
    for projections in repo.projections(&keys).await.unwrap() {
        seen.push(format!("{:?}", projections.iter().map(shadow_text).collect::<Vec<_>>()));
    }
    let keys: Vec<_> = there.shadows.iter().map(|shadow| shadow.key).collect();
    for (shadow, results) in there.shadows.iter().zip(repo.results_of(&keys).await.unwrap()) {
        for result in results {
            seen.push(format!("{} {} {:?}", result.task, result.at, result.shadow == ShadowRef::Stored(shadow.key)));
        }
    }
    let trigger_text = |trigger: &StoredTrigger| format!("{:?} {:?}", shadow_at(trigger.shadow), trigger.retry);
    seen.extend(there.triggers.iter().map(trigger_text));
    for (at, trigger) in there.triggers.iter().enumerate() {
        let until = Timestamp::from_millis(at as i64 % 4);
        let page = repo.due_triggers(until, Some(trigger.key), 2).await.unwrap();
        seen.extend(page.iter().map(trigger_text));
        seen.extend(repo.triggers(trigger.shadow).await.unwrap().iter().map(trigger_text));
    }
    for resource in [hr(), Oid::new("other")] {
        seen.push(format!("{:?}", repo.inbox(&resource).await.unwrap()));
        seen.push(format!("{:?}", repo.tokens_of(&resource).await.unwrap()));
        seen.push(format!("{:?}", repo.token_sets(&resource).await.unwrap()));
        for set in ["0", "1"] {
            let key = TokenKey { resource: resource.clone(), set: set.into() };
            seen.push(format!("{:?}", repo.tokens(&key).await.unwrap()));
        }
    }
    for item in indexed() {
        let values = ["mail1", "Mail1", "mail2", "n1", "n11", "mail1"].map(Into::into).to_vec();
        match repo.find(&item, values, 2).await {
            Ok(found) => seen.extend(found.iter().map(|foci| format!("{:?}", foci.iter().map(focus_text).collect::<Vec<_>>()))),
            Err(err) => seen.push(format!("{:?}", err.kind())),
        }
    }
    for level in [SyncLevel::Basic, SyncLevel::Full] {
        let filter = ShadowFilter { class: Some("account".into()), ..ShadowFilter::default() };
        let which = Remaining { filter, level, until: Timestamp::from_millis(1), results: None };
        seen.extend(repo.remaining(&which, None, 5).await.unwrap().iter().map(shadow_text));
    }
    let failed = ResultFilter {
        tasks: vec![Oid::new("t0"), Oid::new("t2")],
        statuses: vec![OperationStatus::FatalError],
        from: Some(Timestamp::from_millis(12)),
        to: None,
    };
    let keys: Vec<_> = there.shadows.iter().map(|shadow| shadow.key).collect();
    seen.push(format!("{:?}", repo.have_results(&keys, &failed).await.unwrap()));
    let which = Remaining { results: Some(failed), ..Remaining::all(ShadowFilter::default()) };
    seen.extend(repo.remaining(&which, None, 5).await.unwrap().iter().map(shadow_text));
    for name in ["n0", "n1", "i1", "i2"] {
        let key = ObjectKey::Name(name.to_owned());
        seen.push(format!("{:?}", repo.focus(FocusType::User, &key).await.unwrap().as_ref().map(focus_text)));
        seen.push(format!("{:?}", repo.shadow(&key).await.unwrap().as_ref().map(shadow_text)));
    }
    seen.push(format!("{:?}", repo.task_state(&Oid::new("t")).await.unwrap()));
    seen.push(repo.count_shadows(&ShadowFilter::default()).await.unwrap().to_string());
    seen
}

fn is_refused(outcome: &Result<String, ErrorKind>) -> bool {
    matches!(outcome, Err(ErrorKind::Conflict | ErrorKind::Duplicate))
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Mode::ReadWrite).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sqlite_answers_as_memory_does(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("tidelock.db");
            let (memory, mut sqlite) = (Memory::new(), open(&path));
            for (nth, step) in steps.iter().enumerate() {
                if matches!(step, Step::Reopen) {
                    drop(sqlite);
                    sqlite = open(&path);
                }
                let (expected, actual) = (take(&memory, step, nth).await, take(&sqlite, step, nth).await);
                // Where a batch is refused for several reasons, which one is told is left open.
                if !(is_refused(&expected) && is_refused(&actual)) {
                    prop_assert_eq!(expected, actual, "at step {}", nth);
                }
                prop_assert_eq!(observe(&memory).await, observe(&sqlite).await, "after step {}", nth);
            }
            let copy = sqlite.scratch().await.unwrap();
            prop_assert_eq!(observe(&memory).await, observe(&*copy).await);
            Ok(())
        })?;
    }
}
