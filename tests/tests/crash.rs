//! Live synchronization killed at random moments and started again: no change is lost, none is applied twice, and those of an object are
//! applied in their order. `TIDELOCK_LONG=1` makes the long run of it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

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

    let (mut killed, kills) = (0, kill::kills(8, 200));
    while killed < kills {
        history.change(&mut random);
        live::write(&home, &history.accounts);
        // Sometimes the file changes again before the run got to its end.
        let blows = 1 + random.below(4);
        for _ in 0..blows {
            match kill::start_and_kill(&home, &RUN, kill::moment(&mut random, duration)) {
                Fate::Killed => killed += 1,
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
}

/// The accounts, and what they become.
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
