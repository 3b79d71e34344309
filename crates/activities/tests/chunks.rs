//! The property that guards the data path: whatever the chunk and the workers, the repository ends as if every object had
//! been processed alone, in order.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use proptest::prelude::*;
use support::{ALL, World, activity, import, reconciliation, summary, task, work};
use tidelock_activities::{Mode, Options};

/// What happens on the resource, or to the repository, between runs. Few numbers, names and addresses, so that they meet.
#[derive(Clone, Debug)]
enum Event {
    Put {
        uid: u8,
        number: Option<u8>,
        mail: Option<u8>,
        unit: u8,
        contractor: bool,
    },
    Remove(u8),
    User {
        name: u8,
        number: Option<u8>,
        mail: Option<u8>,
    },
    Import,
    Reconcile,
    Reclassify,
    CleanUp {
        dry: bool,
    },
    /// Objects that failed are tried again, by each way to find them.
    Retry {
        filter: bool,
    },
    /// A reconciliation that stops at a failure.
    UntilFailure {
        most: u8,
    },
    Unread,
}

fn event() -> impl Strategy<Value = Event> {
    let few = || proptest::option::of(0..4u8);
    prop_oneof![
        6 => (0..12u8, few(), few(), 0..3u8, proptest::bool::weighted(0.2))
            .prop_map(|(uid, number, mail, unit, contractor)| Event::Put { uid, number, mail, unit, contractor }),
        2 => (0..12u8).prop_map(Event::Remove),
        2 => (0..6u8, few(), few()).prop_map(|(name, number, mail)| Event::User { name, number, mail }),
        1 => Just(Event::Import),
        1 => Just(Event::Reconcile),
        1 => prop_oneof![
            Just(Event::Reclassify),
            any::<bool>().prop_map(|dry| Event::CleanUp { dry }),
            any::<bool>().prop_map(|filter| Event::Retry { filter }),
            (1..3u8).prop_map(|most| Event::UntilFailure { most }),
            Just(Event::Unread),
        ],
    ]
}

fn task_of(event: &Event) -> String {
    match event {
        Event::Reclassify => task("shadowReclassification", ALL),
        Event::CleanUp { .. } => activity(&work("shadowCleanup", ALL, "<interval>PT0S</interval>")),
        Event::Retry { filter } => {
            let method = if *filter { "<selectionMethod>filterAfterRetrieval</selectionMethod>" } else { "" };
            task("reconciliation", &format!("{ALL}<failedObjectsSelector>{method}</failedObjectsSelector>"))
        }
        Event::UntilFailure { most } => activity(&format!(
            "{}<controlFlow><errorHandling><entry><reaction><stopAfter>{most}</stopAfter></reaction></entry></errorHandling></controlFlow>",
            work("reconciliation", ALL, "")
        )),
        _ => {
            let options = "<searchOptions><option><options><noFetch>true</noFetch></options></option></searchOptions>";
            task("import", &format!("{ALL}{options}"))
        }
    }
}

async fn play(events: &[Event], options: &Options) -> String {
    let world = World::new();
    let mut history = String::new();
    for event in events {
        match event {
            Event::Put { uid, number, mail, unit, contractor } => {
                let mut attributes = format!("unit=u{unit}");
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
                let _ = world.resource.remove(support::CLASS, &format!("p{uid}"));
            }
            Event::User { name, number, mail } => {
                let mut items = String::new();
                if let Some(number) = number {
                    items += &format!("employeeNumber={number} ");
                }
                if let Some(mail) = mail {
                    items += &format!("emailAddress=m{mail}@x");
                }
                // Some users have names that accounts want, too.
                let _ = world.try_user(&format!("p{}", name * 3), &items).await;
            }
            Event::Import => {
                world.run(&import(), options).await;
                history += &world.dump().await;
            }
            Event::Reconcile => {
                world.run(&reconciliation(), options).await;
                history += &world.dump().await;
            }
            other => {
                let task = task_of(other);
                let mode = matches!(other, Event::CleanUp { dry: true }).then_some(Mode::DryRun);
                let report = world.run(&task, &Options { mode, ..options.clone() }).await;
                history += &summary(&report);
                history += &world.dump().await;
            }
        }
    }
    world.run(&reconciliation(), options).await;
    history + &world.dump().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_chunk_and_the_workers_do_not_show_in_the_result(
        events in proptest::collection::vec(event(), 1..40),
        chunk in 2..40usize,
        workers in 0..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let one_by_one = Options { chunk: Some(1), workers: Some(0), ..Options::default() };
        let in_chunks = Options { chunk: Some(chunk), workers: Some(workers), ..Options::default() };
        let (expected, got) = runtime.block_on(async { (play(&events, &one_by_one).await, play(&events, &in_chunks).await) });
        prop_assert_eq!(expected, got);
    }
}
