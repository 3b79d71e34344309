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

use futures::FutureExt;
use proptest::prelude::*;
use support::brittle::{Brittle, Kill};
use support::{CLASS, World, listening, live_sync, reconciliation};
use tidelock_activities::{Engine, Options, RunStatus};
use tidelock_connector_api::memory::{self, Call, ChangeStyle, Faults};
use tidelock_connector_api::{ErrorKind, OnFailure, TokenPrecision};
use tidelock_model::object::FocusType;
use tidelock_repo::{Repo, ShadowFilter};
use tokio_util::sync::CancellationToken;

/// People who are there while their accounts are, with what their accounts say.
const RESOURCE: &str = r#"
<resource oid="hr" xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3"
          xmlns:ri="http://midpoint.evolveum.com/xml/ns/public/resource/instance-3">
  <name>HR</name>
  <schemaHandling>
    <objectType>
      <kind>account</kind><intent>default</intent><default>true</default>
      <delineation><objectClass>ri:AccountObjectClass</objectClass></delineation>
      <focus><type>UserType</type></focus>
      <attribute><ref>ri:uid</ref><inbound><target><path>name</path></target></inbound></attribute>
      <attribute><ref>ri:mail</ref><inbound><target><path>emailAddress</path></target><use>all</use></inbound></attribute>
      <attribute><ref>ri:unit</ref><inbound><target><path>organizationalUnit</path></target></inbound></attribute>
      <correlation><correlators><items><item><ref>name</ref></item></items></correlators></correlation>
      <synchronization>
        <reaction><situation>linked</situation><actions><synchronize/></actions></reaction>
        <reaction><situation>unlinked</situation><actions><link/></actions></reaction>
        <reaction><situation>unmatched</situation><actions><addFocus/></actions></reaction>
        <reaction><situation>deleted</situation><actions><deleteFocus/></actions></reaction>
      </synchronization>
    </objectType>
    CACHING
  </schemaHandling>
</resource>"#;

const CACHING: &str = "<caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>";

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

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Nothing,
    /// The so-manieth item of the source is an error.
    Item(usize, bool),
    /// A call fails.
    Call(Call, u64, bool),
    /// An object cannot be read, and is told of as such.
    Unreadable(u8),
    /// Changes of different objects come in another order, where they may.
    Reordered(u64),
    /// Messages about an object come twice.
    Repeated(u8),
    /// The source breaks off after so many items, and does not say so.
    Truncated(usize),
    /// The items of the source come one after the other, with some time between them.
    Delayed(u64),
    /// The process is killed at a commit.
    Killed(i64, Kill),
    /// The process is killed after so many steps.
    Dropped(u8),
    /// Somebody stops it after so many steps.
    Stopped(u8),
}

fn fate() -> impl Strategy<Value = Fate> {
    let call = prop_oneof![
        Just(Call::Changes),
        Just(Call::CurrentToken),
        Just(Call::GetMany),
        Just(Call::Deliveries),
        Just(Call::Acknowledge),
        Just(Call::Schema),
        Just(Call::Search),
    ];
    prop_oneof![
        2 => Just(Fate::Nothing),
        2 => (1..12usize, any::<bool>()).prop_map(|(number, for_good)| Fate::Item(number, for_good)),
        2 => (call, 1..4u64, any::<bool>()).prop_map(|(call, number, for_good)| Fate::Call(call, number, for_good)),
        1 => (0..6u8).prop_map(Fate::Unreadable),
        1 => any::<u64>().prop_map(Fate::Reordered),
        1 => (0..6u8).prop_map(Fate::Repeated),
        1 => (0..12usize).prop_map(Fate::Truncated),
        1 => (1..30u64).prop_map(Fate::Delayed),
        4 => (0..8i64, any::<bool>()).prop_map(|(commits, before)| Fate::Killed(commits, if before { Kill::Before } else { Kill::After })),
        3 => (0..60u8).prop_map(Fate::Dropped),
        1 => (0..60u8).prop_map(Fate::Stopped),
    ]
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
        let kind = |for_good| if for_good { ErrorKind::Denied } else { ErrorKind::Unreachable };
        let cancel = CancellationToken::new();
        let mut engine = self.world.engine.clone();
        let mut steps = u8::MAX;
        match fate {
            Fate::Nothing => {}
            Fate::Item(number, for_good) => self.world.resource.set_faults(Faults::new().fail_item(number, kind(for_good))),
            Fate::Call(call, number, for_good) => {
                self.world.resource.set_faults(Faults::new().fail_call(call, number, kind(for_good)));
            }
            Fate::Unreadable(uid) => self.world.resource.set_faults(Faults::new().unreadable(&format!("p{uid}"))),
            Fate::Reordered(seed) => self.world.resource.set_faults(Faults::new().reordered(seed)),
            Fate::Repeated(uid) => self.world.resource.set_faults(Faults::new().repeated(&format!("p{uid}"))),
            Fate::Truncated(items) => self.world.resource.set_faults(Faults::new().end_changes_after(items)),
            Fate::Delayed(millis) => {
                let wait = move || tokio::time::sleep(Duration::from_millis(millis)).boxed();
                self.world.resource.set_faults(Faults::new().delayed(wait));
            }
            Fate::Killed(commits, kill) => engine.repo = Arc::new(Brittle::new(engine.repo, commits, kill)),
            Fate::Dropped(after) | Fate::Stopped(after) => steps = after,
        }
        let mut run = Box::pin(self.run(&engine, cancel.clone()));
        if steps < u8::MAX {
            for _ in 0..steps {
                if futures::poll!(&mut run).is_ready() {
                    self.world.resource.set_faults(Faults::new());
                    return;
                }
                tokio::task::yield_now().await;
            }
            if matches!(fate, Fate::Dropped(_)) {
                return;
            }
            cancel.cancel();
        }
        run.await;
        self.world.resource.set_faults(Faults::new());
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
        let mut users = self.world.engine.repo.foci(FocusType::User, None, 1000).await.unwrap();
        users.sort_by(|a, b| a.focus.name().cmp(b.focus.name()));
        let mut shown = String::new();
        for user in users {
            let text = |item: &str| user.focus.content.first(item).and_then(|value| value.as_str().map(str::to_owned));
            let version = if with_versions { format!(" v{}", user.focus.version) } else { String::new() };
            let unit = text("organizationalUnit").map(|unit| format!(" unit={unit}")).unwrap_or_default();
            let mail = text("emailAddress").unwrap_or_default();
            writeln!(shown, "{}{version} mail={mail}{unit}", user.focus.name()).unwrap();
        }
        shown
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
