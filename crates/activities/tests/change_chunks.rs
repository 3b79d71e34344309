//! The property that guards the data path, for changes: whatever the chunk and the number of workers, everything ends as if each
//! change had been taken over alone, in order. Changes may be repeated, come in any form, and lie.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::brittle::Brittle;
use support::{ALL, CLASS, RESOURCE, World, activity, listening, live_sync, reconciliation, summary, work};
use tidelock_activities::{Mode, Options, RunStatus};
use tidelock_connector_api::memory::{self, ChangeStyle, Faults};
use tidelock_connector_api::{Change, ChangeKind, Modification, OnFailure, TokenPrecision};
use tidelock_model::object::ResourceObject;
use tidelock_model::{Items, Timestamp, Value, Values};
use tidelock_repo::Repo;
use tokio_util::sync::CancellationToken;

/// What happens on the resource, to the repository, or on the way between them.
#[derive(Clone, Debug)]
enum Event {
    Put {
        uid: u8,
        number: Option<u8>,
        mail: Option<u8>,
        contractor: bool,
    },
    Remove(u8),
    User {
        name: u8,
        number: Option<u8>,
        mail: Option<u8>,
    },
    /// A message, of changes that need not be true.
    Publish(Vec<Told>),
    Live {
        ignore: bool,
        unreadable: Option<u8>,
        dry: bool,
    },
    Listen {
        ignore: bool,
        unreadable: Option<u8>,
        dry: bool,
    },
    Reconcile,
}

#[derive(Clone, Debug)]
struct Told {
    uid: u8,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Full { number: Option<u8>, mail: u8, contractor: bool },
    Mail(u8),
    NumberToo(u8),
    Gone { with_class: bool },
    Notification,
    OfAnUnknownClass,
}

impl Told {
    fn change(&self) -> Change {
        // Identifiers that differ in case are different here; the schema says so.
        let identifier = format!("p{}", self.uid);
        let text = |value: String| Values::from_iter([Value::string(value)]);
        let mut class = Some(CLASS.into());
        let kind = match &self.what {
            What::Full { number, mail, contractor } => {
                let mut items: Items = [("uid".into(), text(identifier.clone()))].into_iter().collect();
                if let Some(number) = number {
                    items.set("number", text(number.to_string()));
                }
                items.set("mail", text(format!("m{mail}@x")));
                if *contractor {
                    items.set("kind", text("contractor".to_owned()));
                }
                ChangeKind::Full(ResourceObject::new(CLASS, &*identifier, items))
            }
            What::Mail(mail) => ChangeKind::Delta(vec![Modification::Replace("mail".into(), text(format!("m{mail}@x")))]),
            What::NumberToo(number) => ChangeKind::Delta(vec![
                Modification::Replace("number".into(), Values::new()),
                Modification::Add("number".into(), text(number.to_string())),
            ]),
            What::Gone { with_class } => {
                class = class.filter(|_| *with_class);
                ChangeKind::Deleted(None)
            }
            What::Notification => ChangeKind::Notification,
            What::OfAnUnknownClass => {
                class = Some("nothing".into());
                ChangeKind::Notification
            }
        };
        Change { class, identifier: identifier.into(), kind }
    }
}

fn told() -> impl Strategy<Value = Told> {
    let what = prop_oneof![
        3 => (proptest::option::of(0..4u8), 0..4u8, proptest::bool::weighted(0.2))
            .prop_map(|(number, mail, contractor)| What::Full { number, mail, contractor }),
        2 => (0..4u8).prop_map(What::Mail),
        1 => (0..4u8).prop_map(What::NumberToo),
        2 => any::<bool>().prop_map(|with_class| What::Gone { with_class }),
        2 => Just(What::Notification),
        1 => Just(What::OfAnUnknownClass),
    ];
    (0..8u8, what).prop_map(|(uid, what)| Told { uid, what })
}

fn event() -> impl Strategy<Value = Event> {
    let few = || proptest::option::of(0..4u8);
    let run = || (proptest::bool::weighted(0.8), proptest::option::weighted(0.3, 0..8u8), proptest::bool::weighted(0.1));
    prop_oneof![
        6 => (0..8u8, few(), few(), proptest::bool::weighted(0.2))
            .prop_map(|(uid, number, mail, contractor)| Event::Put { uid, number, mail, contractor }),
        3 => (0..8u8).prop_map(Event::Remove),
        2 => (0..6u8, few(), few()).prop_map(|(name, number, mail)| Event::User { name, number, mail }),
        3 => proptest::collection::vec(told(), 0..6).prop_map(Event::Publish),
        2 => run().prop_map(|(ignore, unreadable, dry)| Event::Live { ignore, unreadable, dry }),
        2 => run().prop_map(|(ignore, unreadable, dry)| Event::Listen { ignore, unreadable, dry }),
        1 => Just(Event::Reconcile),
    ]
}

fn task_of(plain: String, kind: &str, set: &str, ignore: bool) -> String {
    if !ignore {
        return plain;
    }
    activity(&format!(
        "{}<controlFlow><errorHandling><entry><reaction><ignore/></reaction></entry></errorHandling></controlFlow>",
        work(kind, set, "")
    ))
}

async fn play(events: &[Event], setting: &Setting, options: &Options) -> String {
    let memory = memory::Options::default()
        .with_live_sync(if setting.precise { TokenPrecision::PerChange } else { TokenPrecision::EndOfRun })
        .with_async_updates()
        .with_on_failure(if setting.skips { OnFailure::Skip } else { OnFailure::Stop })
        .with_change_style(setting.style);
    let caching = "</schemaHandling><caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>";
    let definition = if setting.cached { RESOURCE.replace("</schemaHandling>", caching) } else { RESOURCE.to_owned() };
    let world = World::of(&definition, Arc::new(tidelock_repo::memory::Memory::new()), memory);
    let mut history = String::new();
    world.run(&live_sync(), options).await;
    for event in events {
        match event {
            Event::Put { uid, number, mail, contractor } => {
                let mut attributes = String::new();
                if let Some(number) = number {
                    attributes += &format!(" number={number}");
                }
                if let Some(mail) = mail {
                    attributes += &format!(" mail=m{mail}@x");
                }
                if *contractor {
                    attributes += " kind=contractor";
                }
                world.put(&format!("p{uid}"), &attributes);
            }
            Event::Remove(uid) => {
                // Removing what is not there is no event.
                let _ = world.resource.remove(CLASS, &format!("p{uid}"));
            }
            Event::User { name, number, mail } => {
                let mut items = String::new();
                if let Some(number) = number {
                    items += &format!("employeeNumber={number} ");
                }
                if let Some(mail) = mail {
                    items += &format!("emailAddress=m{mail}@x");
                }
                let _ = world.try_user(&format!("p{}", name * 3), &items).await;
            }
            Event::Publish(told) => drop(world.resource.publish(Ok(told.iter().map(Told::change).collect()))),
            Event::Live { ignore, unreadable, dry } | Event::Listen { ignore, unreadable, dry } => {
                if let Some(uid) = unreadable {
                    world.resource.set_faults(Faults::new().unreadable(&format!("p{uid}")));
                }
                let task = match event {
                    Event::Live { .. } => task_of(live_sync(), "liveSynchronization", ALL, *ignore),
                    _ => task_of(listening(), "asynchronousUpdate", "", *ignore),
                };
                let mode = dry.then_some(Mode::DryRun);
                let report = world.run(&task, &Options { mode, ..options.clone() }).await;
                world.resource.set_faults(Faults::new());
                history += &summary(&report);
                history += &format!("{:?}\n", world.token("class=AccountObjectClass").await);
                history += &format!("{} {:?}\n", world.resource.unsettled(), world.resource.rejected());
                history += &world.dump().await;
            }
            Event::Reconcile => {
                world.run(&reconciliation(), options).await;
                history += &world.dump().await;
            }
        }
    }
    world.run(&live_sync(), options).await;
    world.run(&listening(), options).await;
    history + &world.dump().await
}

#[derive(Clone, Debug)]
struct Setting {
    precise: bool,
    skips: bool,
    style: ChangeStyle,
    cached: bool,
}

fn setting() -> impl Strategy<Value = Setting> {
    let style = prop_oneof![Just(ChangeStyle::Full), Just(ChangeStyle::Delta), Just(ChangeStyle::Notification)];
    (any::<bool>(), any::<bool>(), style, any::<bool>()).prop_map(|(precise, skips, style, cached)| Setting {
        precise,
        skips,
        style,
        cached,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_chunk_nor_workers_show_in_what_becomes_of_changes(
        setting in setting(),
        events in proptest::collection::vec(event(), 1..40),
        chunk in 2..40usize,
        workers in 0..5usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let one_by_one = Options { chunk: Some(1), ..Options::default() };
        let in_chunks = Options { chunk: Some(chunk), workers: Some(workers), ..Options::default() };
        let (expected, got) =
            runtime.block_on(async { (play(&events, &setting, &one_by_one).await, play(&events, &setting, &in_chunks).await) });
        prop_assert_eq!(expected, got);
    }
}

/// Messages of which most say only what has changed, about accounts of which several have one owner.
fn messages() -> impl Strategy<Value = Vec<Vec<Told>>> {
    let what = prop_oneof![
        8 => (0..4u8).prop_map(What::Mail),
        4 => (0..3u8).prop_map(What::NumberToo),
        1 => (proptest::option::of(0..3u8), 0..4u8, Just(false))
            .prop_map(|(number, mail, contractor)| What::Full { number, mail, contractor }),
        1 => any::<bool>().prop_map(|with_class| What::Gone { with_class }),
    ];
    let told = (0..5u8, what).prop_map(|(uid, what)| Told { uid, what });
    let message = prop_oneof![9 => proptest::collection::vec(told.clone(), 1..2), 1 => proptest::collection::vec(told, 0..4)];
    proptest::collection::vec(message, 1..25)
}

/// What may happen to messages, and makes no difference.
#[derive(Clone, Debug)]
struct Disturbance {
    /// Those about this account come twice.
    repeated: Option<u8>,
    /// They come one after the other, with so many milliseconds between them.
    apart: Option<u64>,
    /// These commits are refused at first.
    refused: Vec<bool>,
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    let refused = proptest::collection::vec(proptest::bool::weighted(0.3), 0..20).prop_map(|mut refused| {
        // One object is not refused as often as it is tried.
        refused.iter_mut().enumerate().filter(|(at, _)| at % 3 != 1).for_each(|(_, refused)| *refused = false);
        refused
    });
    (proptest::option::of(0..5u8), proptest::option::of(1..9u64), refused).prop_map(|(repeated, apart, refused)| Disturbance {
        repeated,
        apart,
        refused,
    })
}

/// What becomes of failures.
#[derive(Clone, Debug)]
struct Failing {
    unreadable: Option<u8>,
    on_failure: OnFailure,
    reaction: Option<&'static str>,
}

fn failing() -> impl Strategy<Value = Failing> {
    let retry = OnFailure::Retry { first: Duration::from_millis(1), limit: 1 };
    let on_failure = prop_oneof![Just(OnFailure::Skip), Just(OnFailure::Stop), Just(retry)];
    let reaction = prop_oneof![2 => Just(None), 1 => Just(Some("<ignore/>")), 1 => Just(Some("<retryLater/>"))];
    (proptest::option::of(0..5u8), on_failure, reaction).prop_map(|(unreadable, on_failure, reaction)| Failing {
        unreadable,
        on_failure,
        reaction,
    })
}

/// Has messages taken over that come one after the other, or, with a disturbance, all at once.
async fn listen(messages: &[Vec<Told>], failing: &Failing, disturbance: Option<&Disturbance>, options: &Options) -> String {
    let caching = "</schemaHandling><caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>";
    let definition = RESOURCE.replace("</schemaHandling>", caching);
    let memory = memory::Options::default().with_async_updates().with_on_failure(failing.on_failure);
    let repo = Arc::new(tidelock_repo::memory::Memory::new());
    let world = World::of(&definition, repo.clone(), memory);
    for uid in 0..5 {
        world.put(&format!("p{uid}"), &format!("number={} mail=m1{uid}@x", 10 + uid % 4));
    }
    world.run(&reconciliation(), options).await;
    let task = match failing.reaction {
        None => listening(),
        Some(reaction) => activity(&format!(
            "{}<controlFlow><errorHandling><entry><reaction>{reaction}</reaction></entry></errorHandling></controlFlow>",
            work("asynchronousUpdate", "", "")
        )),
    };
    let mut faults = Faults::new();
    if let Some(uid) = failing.unreadable {
        faults = faults.unreadable(&format!("p{uid}"));
    }
    let mut engine = world.engine.clone();
    if let Some(Disturbance { repeated, apart, refused }) = disturbance {
        let slow = Brittle::slow(repo.clone(), Duration::from_millis(5));
        slow.refuse(refused.iter().copied());
        engine.repo = Arc::new(slow);
        if let Some(uid) = repeated {
            faults = faults.repeated(&format!("p{uid}"));
        }
        if let Some(millis) = *apart {
            faults = faults.delayed(move || Box::pin(tokio::time::sleep(Duration::from_millis(millis))));
        }
    }
    world.resource.set_faults(faults);
    let mut goes_on = disturbance.is_none();
    for message in messages {
        drop(world.resource.publish(Ok(message.iter().map(Told::change).collect())));
        if goes_on {
            goes_on = world.run(&task, options).await.run_status == RunStatus::Finished;
        }
    }
    if disturbance.is_some() {
        world.try_run_on(&engine, &task, options, CancellationToken::new()).await.unwrap();
    }
    let mut tries = Vec::new();
    for trigger in repo.due_triggers(Timestamp::from_millis(i64::MAX), None, 100).await.unwrap() {
        let shadow = repo.load(&[trigger.shadow]).await.unwrap().remove(0).unwrap().shadow;
        tries.push(shadow.identifier);
    }
    tries.sort();
    format!("{} {:?} {tries:?} {}", world.resource.unsettled(), world.resource.rejected(), world.dump().await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is decided while messages before it are being committed is decided as if they had been.
    #[test]
    fn messages_may_come_while_others_are_being_committed(
        messages in messages(),
        failing in failing(),
        disturbance in disturbance(),
        chunk in 1..6usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let options = Options { chunk: Some(chunk), ..Options::default() };
        let (expected, got) = runtime.block_on(async {
            (listen(&messages, &failing, None, &options).await, listen(&messages, &failing, Some(&disturbance), &options).await)
        });
        prop_assert_eq!(expected, got);
    }
}
