//! Listening while commits take their time: wherever it is killed, stopped or ended by a failure, what is stored is what the messages up to
//! the token make of it, and no message after it is acknowledged.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use support::brittle::{Brittle, Kill};
use support::scripted::Scripted;
use support::{CLASS, RESOURCE, World, activity, listening, reconciliation, work};
use tidelock_activities::{Options, RunStatus};
use tidelock_connector_api::{Change, ChangeKind, Error, Modification};
use tidelock_model::{Value, Values};
use tidelock_repo::memory::Memory;
use tokio_util::sync::CancellationToken;

/// What a message says of accounts: their mail address, or, of those that have one owner in common, their number.
type Message = Vec<(u8, bool, u8)>;

fn message() -> impl Strategy<Value = Message> {
    let change = (0..5u8, proptest::bool::weighted(0.8), 0..4u8);
    prop_oneof![9 => proptest::collection::vec(change.clone(), 1..2), 1 => proptest::collection::vec(change, 0..4)]
}

fn change((uid, is_mail, value): (u8, bool, u8)) -> Change {
    let (attribute, value) = if is_mail { ("mail", format!("m{value}@x")) } else { ("number", value.to_string()) };
    let modification = Modification::Replace(attribute.into(), Values::from_iter([Value::string(value)]));
    Change { class: Some(CLASS.into()), identifier: format!("p{uid}").into(), kind: ChangeKind::Delta(vec![modification]) }
}

/// What ends a run.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Killed(i64, Kill),
    Cancelled(u64),
    /// The message of this place cannot be read.
    Failed(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => (0..12i64, prop_oneof![Just(Kill::Before), Just(Kill::After)]).prop_map(|(commits, kill)| Fate::Killed(commits, kill)),
        2 => (0..80u64).prop_map(Fate::Cancelled),
        1 => (1..25usize).prop_map(Fate::Failed),
    ]
}

struct Story {
    world: World,
    source: Arc<Scripted>,
}

impl Story {
    async fn begin(messages: &[Message]) -> Self {
        let caching = "</schemaHandling><caching><cachingStrategy>passive</cachingStrategy><scope><attributes>all</attributes></scope></caching>";
        let definition = RESOURCE.replace("</schemaHandling>", caching);
        let resource = World::new().resource;
        let source = Arc::new(Scripted::new(resource.clone()));
        let world = World::around(&definition, Arc::new(Memory::new()), resource, source.clone());
        for uid in 0..5 {
            world.put(&format!("p{uid}"), &format!("number={} mail=m1{uid}@x", 10 + uid % 4));
        }
        world.run(&reconciliation(), &Options::default()).await;
        *source.pushed.lock().unwrap() = messages.iter().map(|message| message.iter().copied().map(change).collect()).collect();
        Self { world, source }
    }

    /// The number of the message up to which everything is done.
    async fn token(&self) -> usize {
        self.world.token("all pushed").await.map_or(0, |token| token.parse().unwrap())
    }

    /// Has a run suffer its fate, while each commit takes some time.
    async fn suffer(&self, fate: Fate, refused: &[bool], options: &Options) {
        let repo = Arc::clone(&self.world.engine.repo);
        let (commits, kill) = if let Fate::Killed(commits, kill) = fate { (commits, kill) } else { (i64::MAX, Kill::Before) };
        let brittle = Brittle::new(repo, commits, kill).slowly(Duration::from_millis(5));
        brittle.refuse(refused.iter().copied());
        let mut engine = self.world.engine.clone();
        engine.repo = Arc::new(brittle);
        let cancel = CancellationToken::new();
        match fate {
            Fate::Killed(..) => {}
            Fate::Failed(number) => drop(self.source.shaped.lock().unwrap().insert(number, |mut delivery| {
                delivery.changes = Err(Error::invalid_data("it is no message"));
                Ok(delivery)
            })),
            Fate::Cancelled(millis) => {
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    cancel.cancel();
                });
            }
        }
        let ended = self.world.try_run_on(&engine, &listening(), options, cancel).await;
        if let Fate::Failed(number) = fate
            && number <= self.source.pushed.lock().unwrap().len()
        {
            assert_eq!(ended.unwrap().run_status, RunStatus::PermanentError);
        }
    }
}

/// What is stored once messages are taken over one after the other.
async fn taken(messages: &[Message]) -> String {
    let story = Story::begin(messages).await;
    story.world.run(&listening(), &Options { chunk: Some(1), ..Options::default() }).await;
    story.world.dump().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_stored_is_what_the_messages_up_to_the_token_make_of_it(
        messages in proptest::collection::vec(message(), 1..25),
        fate in fate(),
        mut refused in proptest::collection::vec(proptest::bool::weighted(0.2), 0..12),
        chunk in 1..6usize,
    ) {
        // One object is not refused as often as it is tried.
        refused.iter_mut().enumerate().filter(|(at, _)| at % 3 != 1).for_each(|(_, refused)| *refused = false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let options = Options { chunk: Some(chunk), ..Options::default() };
        runtime.block_on(async {
            let story = Story::begin(&messages).await;
            story.suffer(fate, &refused, &options).await;
            let token = story.token().await;
            let acknowledged = story.source.acknowledged.lock().unwrap().iter().copied().max().unwrap_or_default();
            assert!(acknowledged <= token, "{acknowledged} was acknowledged, and {token} is the token");
            if let Fate::Failed(number) = fate {
                assert_eq!(token, messages.len().min(number - 1));
            }
            // A message of which a part is taken over, or a failure, shows in the results.
            let inbox = story.world.engine.repo.inbox(&tidelock_model::Oid::new("hr")).await.unwrap();
            if inbox.iter().all(|entry| entry.is_settled()) {
                assert_eq!(story.world.dump().await, taken(&messages[..token]).await);
            }

            story.source.shaped.lock().unwrap().clear();
            story.world.run(&listening(), &options).await;
            assert_eq!((story.token().await, story.world.dump().await), (messages.len(), taken(&messages).await));
        });
    }
}

/// What a message fails at that is being committed counts with what is decided meanwhile.
#[tokio::test(start_paused = true)]
async fn failures_under_way_count() {
    let messages: Vec<Message> = (0..12).map(|at| vec![(at % 5, true, at % 4)]).collect();
    for chunk in 1..6 {
        let story = Story::begin(&messages).await;
        for number in [1, 8] {
            story.source.shaped.lock().unwrap().insert(number, |mut delivery| {
                delivery.changes = Err(Error::invalid_data("it is no message"));
                Ok(delivery)
            });
        }
        let after = "<controlFlow><errorHandling><entry><reaction><ignore/><stopAfter>2</stopAfter></reaction></entry></errorHandling></controlFlow>";
        let task = activity(&format!("{}{after}", work("asynchronousUpdate", "", "")));
        let mut engine = story.world.engine.clone();
        engine.repo = Arc::new(Brittle::slow(engine.repo, Duration::from_millis(5)));
        let options = Options { chunk: Some(chunk), ..Options::default() };
        let report = story.world.try_run_on(&engine, &task, &options, CancellationToken::new()).await.unwrap();
        assert_eq!((report.run_status, report.progress.failure), (RunStatus::PermanentError, 2), "{chunk}");
        assert_eq!(story.token().await, 7, "{chunk}");
    }
}

/// What is decided ahead is decided by what is stored once the commit has ended: else that would be refused, and have to be made again.
#[tokio::test(start_paused = true)]
async fn nothing_is_committed_in_vain() {
    // The same account again and again; two that have one owner; and all of them.
    for accounts in [&[1][..], &[0, 4], &[0, 1, 2, 3, 4]] {
        let messages: Vec<Message> = (0..20).zip(accounts.iter().cycle()).map(|(at, uid)| vec![(*uid, true, at)]).collect();
        let story = Story::begin(&messages).await;
        let slow = Arc::new(Brittle::slow(Arc::clone(&story.world.engine.repo), Duration::from_millis(5)));
        let mut engine = story.world.engine.clone();
        engine.repo = slow.clone();
        let options = Options { chunk: Some(1), ..Options::default() };
        story.world.try_run_on(&engine, &listening(), &options, CancellationToken::new()).await.unwrap();
        assert_eq!((story.token().await, slow.asked()), (20, 20), "{accounts:?}");
    }
}
