//! The promise of live synchronization and of listening: whatever happens to a run, no change is lost, and none is applied twice.
//!
//! Changes, runs, faults of the resource, and deaths of the process come in any order. At the end everything must be as it would be
//! had every change been taken over once; and a reconciliation of a repository that knows nothing must come to the same.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::following::{CACHING, Fate, RESOURCE, fate, people};
use support::{CLASS, World, listening, live_sync, reconciliation};
use tidelock_activities::{Engine, Options, RunStatus};
use tidelock_connector_api::memory::{self, ChangeStyle};
use tidelock_connector_api::{OnFailure, TokenPrecision};
use tidelock_repo::{Repo, ShadowFilter};
use tokio_util::sync::CancellationToken;

/// How changes arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Precise,
    AtTheEnd,
    Pushed,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Put {
        uid: u8,
        mail: u8,
        unit: Option<u8>,
    },
    Remove(u8),
    /// The resource forgets deletions that it has not told of, and tells who is left instead.
    Forget,
    Run(Fate),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..6u8, 0..4u8, proptest::option::of(0..3u8)).prop_map(|(uid, mail, unit)| Event::Put { uid, mail, unit }),
        2 => (0..6u8).prop_map(Event::Remove),
        1 => Just(Event::Forget),
        3 => fate().prop_map(Event::Run),
    ]
}

#[derive(Clone, Debug)]
struct Setting {
    way: Way,
    style: ChangeStyle,
    cached: bool,
    chunk: usize,
    workers: usize,
    on_failure: OnFailure,
}

fn setting() -> impl Strategy<Value = Setting> {
    let way = prop_oneof![Just(Way::Precise), Just(Way::AtTheEnd), Just(Way::Pushed)];
    let style = prop_oneof![2 => Just(ChangeStyle::Full), 1 => Just(ChangeStyle::Delta), 1 => Just(ChangeStyle::Notification)];
    let on_failure = prop_oneof![
        3 => Just(OnFailure::Stop),
        1 => Just(OnFailure::Retry { first: Duration::from_millis(1), limit: 1 })
    ];
    let chunk = prop_oneof![Just(1), Just(2), Just(3), Just(1000)];
    (way, style, any::<bool>(), chunk, 0..5usize, on_failure)
        .prop_map(|(way, style, cached, chunk, workers, on_failure)| Setting { way, style, cached, chunk, workers, on_failure })
}

/// What an account says, and how often its owner has changed since it was made.
type People = BTreeMap<String, (String, u64)>;

struct Story {
    world: World,
    setting: Setting,
    options: Options,
    expected: People,
    /// Whether deletions were forgotten: nobody can say then who went and came again.
    forgot: bool,
}

impl Story {
    async fn begin(setting: Setting) -> Self {
        let mut options = memory::Options::default().with_change_style(setting.style).with_on_failure(setting.on_failure);
        options = match setting.way {
            Way::Precise => options.with_live_sync(TokenPrecision::PerChange),
            Way::AtTheEnd => options.with_live_sync(TokenPrecision::EndOfRun),
            Way::Pushed => options.with_async_updates(),
        };
        let definition = RESOURCE.replace("CACHING", if setting.cached { CACHING } else { "" });
        let world = World::of(&definition, Arc::new(tidelock_repo::memory::Memory::new()), options);
        let options = Options { chunk: Some(setting.chunk), workers: Some(setting.workers), ..Options::default() };
        let story = Self { world, setting, options, expected: People::new(), forgot: false };
        // From here on, everything is followed.
        story.run(&story.world.engine, CancellationToken::new()).await;
        story
    }

    fn task(&self) -> String {
        if self.setting.way == Way::Pushed { listening() } else { live_sync() }
    }

    async fn run(&self, engine: &Engine, cancel: CancellationToken) -> Option<RunStatus> {
        let run = self.world.try_run_on(engine, &self.task(), &self.options, cancel).await;
        run.ok().map(|report| report.run_status)
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Put { uid, mail, unit } => {
                let uid = format!("p{uid}");
                let mut attributes = format!("mail=m{mail}@x");
                if let Some(unit) = unit {
                    attributes += &format!(" unit=u{unit}");
                }
                self.world.put(&uid, &attributes);
                let version = match self.expected.get(&uid) {
                    None => 1,
                    Some((before, version)) if *before == attributes => *version,
                    Some((_, version)) => version + 1,
                };
                self.expected.insert(uid, (attributes, version));
            }
            Event::Remove(uid) => {
                let uid = format!("p{uid}");
                if self.world.resource.remove(CLASS, &uid).is_ok() {
                    self.expected.remove(&uid);
                }
            }
            Event::Forget if self.setting.way == Way::Pushed => {
                self.world.resource.forget_deletions();
                self.forgot = true;
            }
            Event::Forget => {}
            Event::Run(fate) => self.suffer(fate).await,
        }
    }

    async fn suffer(&self, fate: Fate) {
        fate.befall(&self.world, async |engine, cancel| _ = self.run(&engine, cancel).await).await;
    }

    /// Runs until everything is taken over.
    async fn catch_up(&self) {
        assert_eq!(self.run(&self.world.engine, CancellationToken::new()).await, Some(RunStatus::Finished));
        assert_eq!(self.world.resource.unsettled(), 0);
    }

    /// Whether everybody who is there is as their account is, which has been applied change by change.
    async fn check(&self) {
        let mut expected = String::new();
        // Where all of a run is taken over again, or the object itself is read, there is no telling how often it changed.
        let counts = self.setting.style == ChangeStyle::Full && self.setting.way != Way::AtTheEnd && !self.forgot;
        for (uid, (attributes, version)) in &self.expected {
            let version = if counts { format!(" v{version}") } else { String::new() };
            writeln!(expected, "{uid}{version} {attributes}").unwrap();
        }
        assert_eq!(self.people(counts).await, expected);
    }

    async fn people(&self, with_versions: bool) -> String {
        people(&*self.world.engine.repo, with_versions).await
    }

    /// The living shadows, and the foci, without what only their history tells.
    async fn state(&self) -> String {
        let mut shown = self.people(false).await;
        let mut shadows = self.world.engine.repo.shadows(&ShadowFilter::default(), None, 1000).await.unwrap();
        shadows.sort_by(|a, b| a.shadow.identifier.cmp(&b.shadow.identifier));
        for stored in shadows {
            let situation = stored.shadow.situation.map(|situation| situation.to_string());
            let owned = stored.shadow.owner.is_some();
            let attributes = serde_json::to_string(&stored.shadow.attributes).unwrap();
            writeln!(shown, "{} {situation:?} {owned} {attributes}", stored.shadow.identifier).unwrap();
        }
        shown
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_lost_and_none_is_applied_twice(
        setting in setting(),
        events in proptest::collection::vec(event(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut story = Story::begin(setting).await;
            for event in events {
                story.happen(event).await;
            }
            story.catch_up().await;
            story.check().await;

            let followed = story.state().await;
            story.world.run(&reconciliation(), &story.options).await;
            assert_eq!(story.state().await, followed, "there is nothing left for a reconciliation");
            story.world.engine.repo = Arc::new(tidelock_repo::memory::Memory::new()) as Arc<dyn Repo>;
            story.world.run(&reconciliation(), &story.options).await;
            assert_eq!(story.state().await, followed, "a reconciliation from nothing comes to the same");
        });
    }
}
