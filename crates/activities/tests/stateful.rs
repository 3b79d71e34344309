//! The promise of convergence as a state machine: after every run to which nothing happened, everybody is as their account is.
//!
//! `convergence.rs` follows a resource in one way, and looks at the end how often a change was applied. Here one resource is pulled from,
//! listened to and reconciled in any order, and what is expected is known, and held, after each step. Stories are few unless
//! `PROPTEST_CASES` or `TIDELOCK_LONG` asks for more.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use support::following::{CACHING, Fate, RESOURCE, fate, people};
use support::{CLASS, World, listening, live_sync, reconciliation};
use tidelock_activities::{Options, RunStatus};
use tidelock_connector_api::TokenPrecision;
use tidelock_connector_api::memory::{self, ChangeStyle};
use tidelock_repo::memory::Memory;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// How many stories are told.
fn cases() -> u32 {
    let long = std::env::var_os("TIDELOCK_LONG").is_some_and(|long| long != "0");
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None if long => 20_000,
        None => 400,
    }
}

/// What an account says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    mail: u8,
    unit: Option<u8>,
}

/// The accounts on the resource, and what is known of those who follow them.
#[derive(Clone, Debug)]
struct Reference {
    setting: Setting,
    accounts: BTreeMap<u8, Account>,
    /// What happens to the next run.
    fate: Option<Fate>,
    /// Who may have put an account back to what it was, and not gone on from there: only they, or a reconciliation, put that right.
    behind: Vec<Way>,
    /// Whether a reconciliation was begun: the next one completes it, and does not read again what that one has read.
    begun: bool,
    /// Whether the last run leaves everybody as their account is.
    right: bool,
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    precision: TokenPrecision,
    style: ChangeStyle,
    cached: bool,
    chunk: usize,
    workers: usize,
}

/// How changes are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Pulled,
    Pushed,
    Reconciled,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Account),
    Remove(u8),
    /// Something will happen to the next run.
    Inject(Fate),
    Run(Way),
    /// The process ends, and another one begins.
    Restart,
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let precision = prop_oneof![Just(TokenPrecision::PerChange), Just(TokenPrecision::EndOfRun)];
        let style =
            prop_oneof![2 => Just(ChangeStyle::Full), 1 => Just(ChangeStyle::Delta), 1 => Just(ChangeStyle::Notification)];
        let chunk = prop_oneof![Just(1), Just(2), Just(3), Just(1000)];
        (precision, style, any::<bool>(), chunk, 0..5usize)
            .prop_map(|(precision, style, cached, chunk, workers)| Self {
                setting: Setting { precision, style, cached, chunk, workers },
                accounts: BTreeMap::new(),
                fate: None,
                behind: Vec::new(),
                begun: false,
                right: true,
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let account = (0..4u8, proptest::option::of(0..3u8)).prop_map(|(mail, unit)| Account { mail, unit });
        let mut ways = vec![(2, Just(Way::Pulled)), (2, Just(Way::Pushed)), (1, Just(Way::Reconciled))];
        // Whoever was disturbed goes on soon, before others put right what went wrong.
        ways.extend(state.behind.iter().map(|way| (5, Just(*way))));
        let run = Union::new_weighted(ways).prop_map(Step::Run).boxed();
        let mut steps = vec![
            (6, (0..4u8, account).prop_map(|(uid, account)| Step::Put(uid, account)).boxed()),
            (1, Just(Step::Restart).boxed()),
        ];
        let uids: Vec<u8> = state.accounts.keys().copied().collect();
        let mut fates = vec![(2, fate().boxed())];
        if !uids.is_empty() {
            steps.push((2, select(uids.clone()).prop_map(Step::Remove).boxed()));
            fates.push((1, select(uids).prop_map(Fate::Unreadable).boxed()));
        }
        match state.fate {
            None => steps.extend([(3, run), (3, Union::new_weighted(fates).prop_map(Step::Inject).boxed())]),
            Some(_) => steps.push((6, run)),
        }
        Union::new_weighted(steps).boxed()
    }

    /// What shrinking has to observe.
    fn preconditions(state: &Self, step: &Step) -> bool {
        match step {
            Step::Remove(uid) => state.accounts.contains_key(uid),
            Step::Inject(_) => state.fate.is_none(),
            Step::Put(..) | Step::Run(_) | Step::Restart => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Put(uid, account) => drop(state.accounts.insert(*uid, account.clone())),
            Step::Remove(uid) => drop(state.accounts.remove(uid)),
            Step::Inject(fate) => state.fate = Some(*fate),
            Step::Run(way) => {
                let undisturbed = matches!(state.fate.take(), None | Some(Fate::Nothing));
                match way {
                    Way::Reconciled => {
                        state.right = undisturbed && !state.begun;
                        state.begun = !undisturbed;
                        if state.right {
                            state.behind.clear();
                        }
                    }
                    Way::Pulled | Way::Pushed => {
                        state.behind.retain(|other| other != way);
                        state.behind.extend((!undisturbed).then_some(*way));
                        state.right = state.behind.is_empty();
                    }
                }
            }
            Step::Restart => {}
        }
        state
    }
}

impl Reference {
    /// The people that there are to be.
    fn people(&self) -> String {
        let mut people = String::new();
        for (uid, Account { mail, unit }) in &self.accounts {
            let unit = unit.map(|unit| format!(" unit=u{unit}")).unwrap_or_default();
            writeln!(people, "p{uid} mail=m{mail}@x{unit}").unwrap();
        }
        people
    }
}

/// The engine, with a resource and a repository in memory.
struct Tidelock {
    runtime: Runtime,
    world: World,
    definition: String,
    options: Options,
    /// What happens to the next run.
    fate: Fate,
}

impl Tidelock {
    fn run(&mut self, way: Way) -> Option<RunStatus> {
        let Self { runtime, world, options, fate, .. } = self;
        let task = match way {
            Way::Pulled => live_sync(),
            Way::Pushed => listening(),
            Way::Reconciled => reconciliation(),
        };
        let status = std::cell::Cell::new(None);
        let run = async |engine, cancel: CancellationToken| {
            let run = world.try_run_on(&engine, &task, options, cancel).await;
            status.set(run.ok().map(|report| report.run_status));
        };
        runtime.block_on(std::mem::replace(fate, Fate::Nothing).befall(world, run));
        status.get()
    }
}

struct Convergence;

impl StateMachineTest for Convergence {
    type SystemUnderTest = Tidelock;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> Tidelock {
        let Setting { precision, style, cached, chunk, workers } = reference.setting;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let definition = RESOURCE.replace("CACHING", if cached { CACHING } else { "" });
        let told = memory::Options::default().with_live_sync(precision).with_async_updates().with_change_style(style);
        let world = World::of(&definition, Arc::new(Memory::new()), told);
        let options = Options { chunk: Some(chunk), workers: Some(workers), ..Options::default() };
        let mut tidelock = Tidelock { runtime, world, definition, options, fate: Fate::Nothing };
        // From here on, everything is followed.
        assert_eq!([Way::Pulled, Way::Pushed].map(|way| tidelock.run(way)), [Some(RunStatus::Finished); 2]);
        tidelock
    }

    fn apply(mut tidelock: Tidelock, reference: &Reference, step: Step) -> Tidelock {
        match step {
            Step::Put(uid, Account { mail, unit }) => {
                let unit = unit.map(|unit| format!(" unit=u{unit}")).unwrap_or_default();
                tidelock.world.put(&format!("p{uid}"), &format!("mail=m{mail}@x{unit}"));
            }
            Step::Remove(uid) => tidelock.world.resource.remove(CLASS, &format!("p{uid}")).unwrap(),
            Step::Inject(fate) => tidelock.fate = fate,
            Step::Restart => {
                let World { engine, resource, .. } = &tidelock.world;
                let (repo, clock, resource) = (Arc::clone(&engine.repo), Arc::clone(&engine.clock), resource.clone());
                tidelock.world = World::around(&tidelock.definition, repo, resource.clone(), Arc::new(resource));
                tidelock.world.engine.clock = clock;
            }
            Step::Run(way) => {
                let undisturbed = matches!(tidelock.fate, Fate::Nothing);
                let status = tidelock.run(way);
                if undisturbed {
                    assert_eq!(status, Some(RunStatus::Finished));
                    assert!(way != Way::Pushed || tidelock.world.resource.unsettled() == 0);
                    if reference.right {
                        let found = tidelock.runtime.block_on(people(&*tidelock.world.engine.repo, false));
                        assert_eq!(found, reference.people());
                    }
                }
            }
        }
        tidelock
    }

    /// Whatever happened, a reconciliation puts everything right, and whoever follows from there on keeps it so.
    fn teardown(mut tidelock: Tidelock, reference: Reference) {
        tidelock.fate = Fate::Nothing;
        // To complete one that was begun.
        tidelock.run(Way::Reconciled);
        for way in [Way::Reconciled, Way::Pulled, Way::Pushed] {
            assert_eq!(tidelock.run(way), Some(RunStatus::Finished));
            let found = tidelock.runtime.block_on(people(&*tidelock.world.engine.repo, false));
            assert_eq!(found, reference.people(), "{way:?}");
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_every_undisturbed_run_everybody_is_as_their_account_is(sequential 1..60 => Convergence);
}
