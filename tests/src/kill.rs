//! Killing the real binary while it works, and starting it again.

use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::{Answer, Home};

/// How often a run is killed: often in the long run, for which `TIDELOCK_LONG` is set, and a few times else.
#[must_use]
pub fn kills(few: u32, many: u32) -> u32 {
    if tidelock_servers::is_long_run() { many } else { few }
}

/// What became of a run that was to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was killed while it went.
    Killed,
    /// It had ended before the blow, with this exit status.
    Ended(i32),
}

/// Starts a command, and kills it after a while.
///
/// # Panics
/// It ended by a signal that we did not send.
#[must_use]
pub fn start_and_kill(home: &Home, arguments: &[&str], after: Duration) -> Fate {
    let mut child = home.start(arguments);
    thread::sleep(after);
    child.kill().unwrap();
    match child.wait().unwrap().code() {
        None => Fate::Killed,
        Some(exit) => Fate::Ended(exit),
    }
}

/// Moments for a blow: mostly spread evenly over a run of this duration, and sometimes right at its start, where locks are taken, files
/// opened and what was left behind is cleared away.
#[must_use]
pub fn moment(random: &mut Random, duration: Duration) -> Duration {
    let part = random.next();
    if random.below(5) == 0 { duration.mul_f64(part / 10.0) } else { duration.mul_f64(part * 1.1) }
}

/// Runs a command to its end, and says how long it took.
#[must_use]
pub fn timed(home: &Home, arguments: &[&str]) -> (Duration, Answer) {
    let started = Instant::now();
    let answer = home.json(arguments);
    (started.elapsed(), answer)
}
