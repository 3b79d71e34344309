//! What is needed to follow the changes of a resource in a property: people, and what can happen to a run.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;
use tidelock_activities::Engine;
use tidelock_connector_api::memory::{Call, Faults};
use tidelock_connector_api::{ErrorKind, IncompleteReason};
use tidelock_model::object::FocusType;
use tidelock_repo::Repo;
use tokio_util::sync::CancellationToken;

use super::World;
use super::brittle::{Brittle, Kill};

/// People who are there while their accounts are, with what their accounts say.
pub const RESOURCE: &str = r#"
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

/// What stands for `CACHING` in it where shadows are to have all attributes.
pub const CACHING: &str =
    "<caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>";

/// What happens to a run.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
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
    /// A search ends after so many objects, with a word that these are not all, or without.
    Cut(usize, bool),
    /// The items of the source come one after the other, with some time between them.
    Delayed(u64),
    /// The process is killed at a commit.
    Killed(i64, Kill),
    /// The process is killed after so many steps.
    Dropped(u8),
    /// Somebody stops it after so many steps.
    Stopped(u8),
}

/// Any of them.
pub fn fate() -> impl Strategy<Value = Fate> {
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
        1 => (0..6usize, any::<bool>()).prop_map(|(objects, said)| Fate::Cut(objects, said)),
        1 => (1..30u64).prop_map(Fate::Delayed),
        4 => (0..8i64, any::<bool>()).prop_map(|(commits, before)| Fate::Killed(commits, if before { Kill::Before } else { Kill::After })),
        3 => (0..60u8).prop_map(Fate::Dropped),
        1 => (0..60u8).prop_map(Fate::Stopped),
    ]
}

impl Fate {
    /// A run that this happens to. Afterwards the resource is in order again.
    pub async fn befall(self, world: &World, run: impl AsyncFn(Engine, CancellationToken)) {
        let kind = |for_good| if for_good { ErrorKind::Denied } else { ErrorKind::Unreachable };
        let cancel = CancellationToken::new();
        let mut engine = world.engine.clone();
        let mut steps = u8::MAX;
        match self {
            Self::Nothing => {}
            Self::Item(number, for_good) => world.resource.set_faults(Faults::new().fail_item(number, kind(for_good))),
            Self::Call(call, number, for_good) => {
                world.resource.set_faults(Faults::new().fail_call(call, number, kind(for_good)));
            }
            Self::Unreadable(uid) => world.resource.set_faults(Faults::new().unreadable(&format!("p{uid}"))),
            Self::Reordered(seed) => world.resource.set_faults(Faults::new().reordered(seed)),
            Self::Repeated(uid) => world.resource.set_faults(Faults::new().repeated(&format!("p{uid}"))),
            Self::Truncated(items) => world.resource.set_faults(Faults::new().end_changes_after(items)),
            Self::Cut(objects, said) => {
                let reason = said.then_some(IncompleteReason::Limit);
                world.resource.set_faults(Faults::new().end_search_after(objects, reason));
            }
            Self::Delayed(millis) => {
                let wait = move || tokio::time::sleep(Duration::from_millis(millis)).boxed();
                world.resource.set_faults(Faults::new().delayed(wait));
            }
            Self::Killed(commits, kill) => engine.repo = Arc::new(Brittle::new(engine.repo, commits, kill)),
            Self::Dropped(after) | Self::Stopped(after) => steps = after,
        }
        let mut run = Box::pin(run(engine, cancel.clone()));
        if steps < u8::MAX {
            for _ in 0..steps {
                if futures::poll!(&mut run).is_ready() {
                    world.resource.set_faults(Faults::new());
                    return;
                }
                tokio::task::yield_now().await;
            }
            if matches!(self, Self::Dropped(_)) {
                return;
            }
            cancel.cancel();
        }
        run.await;
        world.resource.set_faults(Faults::new());
    }
}

/// Everybody who is there, with what is known of them.
pub async fn people(repo: &dyn Repo, with_versions: bool) -> String {
    let mut users = repo.foci(FocusType::User, None, 1000).await.unwrap();
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
