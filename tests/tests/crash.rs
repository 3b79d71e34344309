//! Live synchronization and listening, killed at random moments and started again: no change is lost, none is applied twice, and those of
//! an object are applied in their order. `TIDELOCK_LONG=1` makes the long run of it; `TIDELOCK_SEED` repeats the choices of one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidelock_servers::{Nats, RabbitMq};
use tidelock_tests::audit::Note;
use tidelock_tests::brokers::{self, Message, Queue};
use tidelock_tests::kill::{self, Fate};
use tidelock_tests::live::{self, Account, Accounts, account, known, people};
use tidelock_tests::random::Random;
use tidelock_tests::{Home, audit};

const ACCOUNTS: usize = 400;

/// Small chunks, so that a run has many moments at which it may be hit.
const RUN: [&str; 4] = ["run", "live.xml", "--chunk", "10"];

#[test]
fn a_file_s_changes_are_applied_once_and_in_order_however_often_the_run_is_killed() {
    let home = Home::new();
    let mut random = Random::new();
    let mut history = History { accounts: (0..ACCOUNTS).map(|row| account(&id(row), 0)).collect(), next: ACCOUNTS, seq: 0 };
    live::prepare_csv(&home, &history.accounts);
    let _ = home.tidelock(["run", "import.xml"]).expect_exit(0);
    // The first token is taken under fire as well.
    for after in [0, 5, 20, 40, 80] {
        let _ = kill::start_and_kill(&home, &RUN, Duration::from_millis(after));
    }
    let _ = home.json(RUN).expect_exit(0);
    audit::install(&home);

    history.change(&mut random);
    live::write(&home, &history.accounts);
    let (mut duration, answer) = kill::timed(&home, &RUN);
    let _ = answer.expect_exit(0);
    check(&home, &history, &random);

    let (mut killed, mut halfway, kills) = (0, 0, kill::kills(8, 200));
    while killed < kills {
        history.change(&mut random);
        live::write(&home, &history.accounts);
        // Sometimes the file changes again before the run got to its end.
        let blows = 1 + random.below(4);
        for _ in 0..blows {
            let before = audit::count(&home);
            match kill::start_and_kill(&home, &RUN, kill::moment(&mut random, duration)) {
                Fate::Killed => {
                    killed += 1;
                    halfway += u32::from(audit::count(&home) > before && known(&home) != history.accounts);
                }
                Fate::Ended(0) => {}
                Fate::Ended(exit) => panic!("started again after a kill, the run ended with {exit} (seed {})", random.seed),
            }
        }
        if random.below(3) > 0 {
            let (took, answer) = kill::timed(&home, &RUN);
            let _ = answer.expect_exit(0);
            duration = (duration + took) / 2;
            check(&home, &history, &random);
        }
    }
    let _ = home.json(RUN).expect_exit(0);
    check(&home, &history, &random);
    assert!(kills < 20 || halfway >= kills / 20, "only {halfway} of {killed} kills hit the middle of the work");
}

/// The accounts of a file, and what they become.
struct History {
    accounts: Accounts,
    next: usize,
    seq: u64,
}

impl History {
    /// Some accounts change, some go, some come.
    fn change(&mut self, random: &mut Random) {
        self.seq += 1;
        let ids: Vec<String> = self.accounts.keys().cloned().collect();
        for id in ids {
            match random.below(20) {
                0..4 => drop(self.accounts.insert(id.clone(), Account { seq: self.seq, login: id })),
                4 => drop(self.accounts.remove(&id)),
                _ => {}
            }
        }
        while self.accounts.len() < ACCOUNTS {
            self.accounts.extend([account(&id(self.next), self.seq)]);
            self.next += 1;
        }
    }
}

fn id(row: usize) -> String {
    format!("a{row:05}")
}

/// The repository is as the file, and got there by each step once.
fn check(home: &Home, history: &History, random: &Random) {
    let seed = random.seed;
    assert_eq!(known(home), history.accounts, "the accounts (seed {seed})");
    assert_eq!(people(home), history.accounts, "the people (seed {seed})");
    for (id, notes) in audit::notes(home) {
        let seqs: Vec<_> = notes.iter().filter(|note| !note.dead).map(|note| note.seq).collect();
        assert!(seqs.is_sorted_by(|one, next| one < next), "{id} was changed twice, or out of order: {notes:?} (seed {seed})");
        let deaths = notes.iter().filter(|note| note.dead).count();
        let died = !history.accounts.contains_key(&id);
        assert_eq!(deaths, usize::from(died), "{id}: {notes:?} (seed {seed})");
    }
}

#[test]
fn messages_of_rabbitmq_are_applied_once_and_in_order_however_often_the_run_is_killed() {
    listen(&Queue::rabbitmq(RabbitMq::shared().unwrap()));
}

#[test]
fn messages_of_nats_are_applied_once_and_in_order_however_often_the_run_is_killed() {
    listen(&Queue::nats(Nats::shared().unwrap()));
}

/// How many messages are put into the queue at once, and how many wait there at most.
const MESSAGES: usize = 150;
const MOST_WAITING: u64 = 600;

const LISTEN: [&str; 6] = ["run", "listen.xml", "--chunk", "20", "--until-idle", "0.5"];

fn listen(queue: &Queue) {
    let home = Home::new();
    let mut random = Random::new();
    let mut producer = Producer::default();
    home.write("resource.xml", live::resource(&queue.connection(brokers::SCHEMA)));
    home.write("listen.xml", live::task("Listen", "asynchronousUpdate", "", " ", ""));
    let _ = home.tidelock(["apply", "resource.xml"]).expect_exit(0);
    audit::install(&home);
    queue.publish(producer.produce(&mut random));
    let (duration, answer) = kill::timed(&home, &LISTEN);
    let _ = answer.expect_exit(0);
    producer.check(&home, &random);

    let (mut killed, mut halfway, kills) = (0, 0, kill::kills(8, 200));
    while killed < kills {
        if queue.waiting() < MOST_WAITING {
            queue.publish(producer.produce(&mut random));
        }
        let before = audit::count(&home);
        match kill::start_and_kill(&home, &LISTEN, kill::moment(&mut random, duration)) {
            Fate::Killed => {
                killed += 1;
                let after = audit::count(&home);
                halfway += u32::from(after > before && after < producer.changes);
            }
            Fate::Ended(0) => {}
            Fate::Ended(exit) => panic!("started again after a kill, the run ended with {exit} (seed {})", random.seed),
        }
    }
    let began = Instant::now();
    while audit::count(&home) < producer.changes && began.elapsed() < Duration::from_secs(60) {
        // The broker may need a while to notice that the last listener is dead.
        let _ = home.json(LISTEN).expect_exit(0);
    }
    producer.check(&home, &random);
    assert!(kills < 20 || halfway >= kills / 20, "only {halfway} of {killed} kills hit the middle of the work");
    // What is applied is acknowledged, and what is acknowledged does not come again.
    let report = home.json(LISTEN).expect_exit(0).json();
    assert_eq!(report["progress"]["success"], 0, "{report:#}");
    assert_eq!(queue.waiting(), 0);
}

/// Whoever sends the messages, with what should come of them.
#[derive(Default)]
struct Producer {
    /// Of each account, what happened to it.
    expected: BTreeMap<String, Vec<Step>>,
    seq: u64,
    messages: u64,
    /// How many changes there are in all messages.
    changes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Changed(u64),
    Deleted,
}

impl Producer {
    /// The next messages. Most bring one change; some bring two of one account, so that a part of a message can be applied; some none.
    fn produce(&mut self, random: &mut Random) -> Vec<Message> {
        (0..MESSAGES).map(|_| self.message(random)).collect()
    }

    fn message(&mut self, random: &mut Random) -> Message {
        self.messages += 1;
        let id = id(random.below(40));
        let body = match random.below(12) {
            0 => "[]".to_owned(),
            1 | 2 => format!("[{},{}]", self.change(&id, random), self.change(&id, random)),
            _ => self.change(&id, random),
        };
        (format!("message-{}", self.messages), body)
    }

    fn change(&mut self, id: &str, random: &mut Random) -> String {
        self.changes += 1;
        self.seq += 1;
        let steps = self.expected.entry(id.to_owned()).or_default();
        let alive = steps.last().is_some_and(|last| *last != Step::Deleted);
        if alive && random.below(10) == 0 {
            steps.push(Step::Deleted);
            return brokers::deleted(id);
        }
        steps.push(Step::Changed(self.seq));
        if alive && random.below(4) > 0 { brokers::delta(id, self.seq) } else { brokers::full(id, self.seq) }
    }

    /// Each account went through each step once, and is what the last one made of it.
    fn check(&self, home: &Home, random: &Random) {
        let seed = random.seed;
        let step = |note: &Note| match note {
            Note { dead: true, .. } => Step::Deleted,
            Note { seq, .. } => Step::Changed(seq.and_then(|seq| seq.try_into().ok()).unwrap_or_default()),
        };
        let note = |step: &Step| match step {
            Step::Deleted => Note { seq: None, dead: true },
            Step::Changed(seq) => Note { seq: i64::try_from(*seq).ok(), dead: false },
        };
        let notes = audit::notes(home);
        for (id, expected) in &self.expected {
            let notes = notes.get(id).map(Vec::as_slice).unwrap_or_default();
            let applied: Vec<Step> = notes.iter().map(step).collect();
            let same = applied.iter().zip(expected).take_while(|(one, other)| one == other).count();
            let near = |steps: &[Step]| steps[same.saturating_sub(3)..steps.len().min(same + 4)].to_vec();
            assert!(
                audit::are_steps(notes, &expected.iter().map(note).collect::<Vec<_>>()),
                "{id} went through {} steps rather than {}, and around the first that differs through {:?} rather than {:?} (seed {seed})",
                applied.len(),
                expected.len(),
                near(&applied),
                near(expected)
            );
        }
        assert_eq!(notes.len(), self.expected.len());
        let last = self.expected.iter().filter_map(|(id, steps)| match steps.last() {
            Some(Step::Changed(seq)) => Some(account(id, *seq)),
            _ => None,
        });
        let last: Accounts = last.collect();
        assert_eq!(known(home), last, "the accounts (seed {seed})");
        assert_eq!(people(home), last, "the people (seed {seed})");
    }
}
