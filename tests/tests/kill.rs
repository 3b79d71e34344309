//! The real binary killed at random moments and started again, until it is done: nothing is lost, and nothing happens twice.
#![allow(clippy::unwrap_used)]

use std::thread;
use std::time::{Duration, Instant};

use tidelock_tests::random::Random;
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
    let halfway = kill_until_enough(&disturbed, "import.xml", duration, KILLS);
    assert!(halfway >= 3, "only {halfway} kills hit the middle of the work");
    let _ = run(&disturbed, "import.xml");
    snapshot::assert_same(&snapshot::of(&undisturbed), &snapshot::of(&disturbed));

    // The same for a reconciliation, which also has to believe in deletions.
    accounts::write(&undisturbed, ROWS, true);
    accounts::write(&disturbed, ROWS, true);
    let (duration, _) = run(&undisturbed, "reconcile.xml");
    let _ = kill_until_enough(&disturbed, "reconcile.xml", duration, KILLS / 2);
    let _ = run(&disturbed, "reconcile.xml");
    let end = snapshot::of(&undisturbed);
    snapshot::assert_same(&end, &snapshot::of(&disturbed));

    let _ = run(&disturbed, "reconcile.xml");
    snapshot::assert_same(&end, &snapshot::of(&disturbed));
}

/// Small chunks, so that a run has many moments at which it may be hit.
fn arguments(task: &str) -> [&str; 4] {
    ["run", task, "--chunk", "250"]
}

/// Runs a task to its end: how long it took, and its report.
fn run(home: &Home, task: &str) -> (Duration, Value) {
    let started = Instant::now();
    let report = home.json(arguments(task)).expect_exit(0).json();
    (started.elapsed(), report)
}

/// Starts a task and kills it, at moments spread over its first part, until it has been killed so often. Says how often some but not
/// all accounts were known after the blow.
fn kill_until_enough(home: &Home, task: &str, duration: Duration, kills: u32) -> u32 {
    let mut random = Random::new();
    let (mut killed, mut halfway, mut finished) = (0, 0, 0);
    while killed < kills {
        let mut child = home.start(arguments(task));
        // A run goes on where the last one was hit, so a quarter of the time is enough to reach the end in the end.
        thread::sleep(duration.mul_f64(random.next() / 4.0));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        match status.code() {
            None => {
                killed += 1;
                halfway += u32::from(knows(home, 0) && !knows(home, ROWS - 1));
            }
            // It was done before the blow; the next one begins anew, over what is there.
            Some(0) => finished += 1,
            Some(_) => panic!("started again after a kill, the run failed: {status} ({})", random.seed),
        }
        assert!(finished < 10 * kills, "the runs end before they can be killed");
    }
    halfway
}

/// Whether the account of a row has arrived.
fn knows(home: &Home, row: usize) -> bool {
    home.json(["get", "shadows", &accounts::uid(row)]).json() != Value::Array(Vec::new())
}
