//! The real binary killed at random moments and started again, until it is done: nothing is lost, and nothing happens twice.
#![allow(clippy::unwrap_used)]

use std::hash::{BuildHasher, RandomState};
use std::thread;
use std::time::{Duration, Instant};

use tidelock_tests::{Home, Value, accounts, snapshot};

const ROWS: usize = 20_000;

/// Kills that hit a run that was still going.
const KILLS: u32 = 20;

#[test]
fn an_import_killed_at_random_moments_ends_as_one_that_was_not() {
    let undisturbed = Home::new();
    accounts::prepare(&undisturbed, ROWS);
    let disturbed = Home::new();
    accounts::prepare(&disturbed, ROWS);

    let (duration, _) = run(&undisturbed, "import.xml");
    kill_until_enough(&disturbed, "import.xml", duration, KILLS);
    let (_, last) = run(&disturbed, "import.xml");
    let added = last["activities"][0]["actions"]["user"]["add"].as_u64().unwrap();
    assert!(added < ROWS as u64 / 2, "the killed runs left nothing behind, so the last one did it all: {added} people added");
    snapshot::assert_same(&snapshot::of(&undisturbed), &snapshot::of(&disturbed));

    // The same for a reconciliation, which also has to believe in deletions.
    accounts::write(&undisturbed, ROWS, true);
    accounts::write(&disturbed, ROWS, true);
    let (duration, _) = run(&undisturbed, "reconcile.xml");
    kill_until_enough(&disturbed, "reconcile.xml", duration, KILLS / 2);
    let _ = run(&disturbed, "reconcile.xml");
    let end = snapshot::of(&undisturbed);
    snapshot::assert_same(&end, &snapshot::of(&disturbed));

    let _ = run(&disturbed, "reconcile.xml");
    snapshot::assert_same(&end, &snapshot::of(&disturbed));
}

/// Runs a task to its end: how long it took, and its report.
fn run(home: &Home, task: &str) -> (Duration, Value) {
    let started = Instant::now();
    let report = home.json(["run", task]).expect_exit(0).json();
    (started.elapsed(), report)
}

/// Starts a task and kills it, at moments spread over what is left of it, until it has been killed so often.
fn kill_until_enough(home: &Home, task: &str, duration: Duration, kills: u32) {
    let mut random = Random::new();
    let mut killed = 0;
    let mut finished = 0;
    while killed < kills {
        let mut child = home.start(["run", task]);
        // On average all runs together do about as much as one that nobody disturbs: some of the kills hit the end.
        thread::sleep(duration.mul_f64(random.next() * 2.0 / f64::from(kills)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        match status.code() {
            None => killed += 1,
            // It was done before the blow; the next one begins anew, over what is there.
            Some(0) => finished += 1,
            Some(_) => panic!("started again after a kill, the run failed: {status} ({})", random.seed),
        }
        assert!(finished < 10 * kills, "the runs end before they can be killed");
    }
}

/// Numbers between 0 and 1.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Self {
        let seed = RandomState::new().hash_one(0) | 1;
        Self { seed, state: seed }
    }

    /// The next number, by xorshift.
    #[allow(clippy::cast_precision_loss)]
    fn next(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }
}
