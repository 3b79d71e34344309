//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tidelock_activities::{NoProgress, Progress};
use tidelock_connector_api::Listening;

use crate::output::{Output, text};

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How often it is looked how sources of changes are.
const LOOK: Duration = Duration::from_millis(250);

/// How often, until each has been there once: one that is lost soon after is lost all the same.
const FIRST_LOOK: Duration = Duration::from_millis(20);

/// What shows progress here and now.
pub(crate) fn shown(output: &Output) -> Arc<dyn Progress> {
    if output.is_quiet() {
        Arc::new(NoProgress)
    } else if io::stderr().is_terminal() {
        Arc::new(Bar { output: output.clone(), bar: Mutex::default() })
    } else {
        Arc::new(Lines { output: output.clone(), part: Mutex::new(Part::new("", None)) })
    }
}

/// Tells when the connection to a source of changes is lost, and when it is there again; without end.
pub(crate) async fn sources(output: Output, statuses: impl Fn() -> Vec<Listening>) {
    let mut known: Vec<Connection> = Vec::new();
    loop {
        let statuses = statuses();
        known.resize(statuses.len(), Connection::default());
        for (connection, status) in known.iter_mut().zip(statuses) {
            if let Some(line) = connection.is_now(status) {
                output.progress(line);
            }
        }
        let is_new = known.iter().any(|connection| matches!(connection, Connection::New));
        tokio::time::sleep(if is_new { FIRST_LOOK } else { LOOK }).await;
    }
}

/// What is known of the connection to a source of changes.
#[derive(Clone, Copy, Default)]
enum Connection {
    /// It is being made for the first time, or nobody listens.
    #[default]
    New,
    Alive,
    Lost,
}

impl Connection {
    /// What is said of a change, where anything is.
    fn is_now(&mut self, status: Listening) -> Option<&'static str> {
        match (*self, status) {
            (Self::New, Listening::Alive) => {
                *self = Self::Alive;
                None
            }
            (Self::Alive, Listening::Reconnecting) => {
                *self = Self::Lost;
                Some("the connection to the source of changes is lost; trying to have it back")
            }
            (Self::Lost, Listening::Alive) => {
                *self = Self::Alive;
                Some("the source of changes is connected again")
            }
            _ => None,
        }
    }
}

/// A bar on a terminal. It goes when it is dropped.
struct Bar {
    output: Output,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress for Bar {
    fn begin(&self, path: &str, expected: Option<u64>) {
        let bar = match expected.filter(|&expected| expected > 0) {
            Some(expected) => ProgressBar::new(expected).with_style(style("{prefix}{wide_bar} {done}  {rate}  {left}", true)),
            None => ProgressBar::no_length().with_style(style("{prefix}{spinner} {done}  {rate}  {elapsed} so far", false)),
        };
        let bar = self.output.bars().add(bar);
        bar.set_prefix(if path.is_empty() { String::new() } else { format!("{path} ") });
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Some(before) = lock(&self.bar).replace(bar) {
            before.finish_and_clear();
        }
    }

    fn advance(&self, done: u64) {
        if let Some(bar) = &*lock(&self.bar) {
            // What was expected may have been an estimate.
            if bar.length().is_some_and(|expected| expected < done) {
                bar.set_length(done);
            }
            bar.set_position(done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = lock(&self.bar).take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str, total: bool) -> ProgressStyle {
    // The template is a constant; were it wrong, a plain bar would do.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━╌")
        .with_key("done", move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = match state.len().filter(|_| total) {
                Some(len) => write!(to, "{} of about {}", text::number(state.pos()), text::number(len)),
                None => write!(to, "{}", text::count(state.pos(), "object", "objects")),
            };
        })
        .with_key("rate", |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = write!(to, "{}", rate(state.per_sec()));
        })
        .with_key("left", |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = write!(to, "ETA {}", clock(state.eta()));
        })
}

/// A line now and then.
struct Lines {
    output: Output,
    part: Mutex<Part>,
}

struct Part {
    path: String,
    expected: Option<u64>,
    begun: Instant,
    said: Instant,
}

impl Part {
    fn new(path: &str, expected: Option<u64>) -> Self {
        let now = Instant::now();
        Self { path: path.to_owned(), expected, begun: now, said: now }
    }

    fn line(&self, done: u64, seconds: f64) -> String {
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = if seconds > 0.0 { done as f64 / seconds } else { 0.0 };
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let of = self.expected.map(|n| format!(" of about {}", text::number(n.max(done)))).unwrap_or_default();
        format!("{path}{}{of}, {}", text::count(done, "object", "objects"), rate(per_second))
    }
}

impl Progress for Lines {
    fn begin(&self, path: &str, expected: Option<u64>) {
        *lock(&self.part) = Part::new(path, expected);
    }

    fn advance(&self, done: u64) {
        let mut part = lock(&self.part);
        if part.said.elapsed() >= EVERY {
            part.said = Instant::now();
            let line = part.line(done, part.begun.elapsed().as_secs_f64());
            drop(part);
            self.output.progress(&line);
        }
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 9.95 {
        return format!("{per_second:.1}/s");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive, and the cast saturates")]
    let whole = per_second.round() as u64;
    format!("{}/s", text::number(whole))
}

fn clock(left: Duration) -> String {
    let seconds = left.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        _ => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_of_when_it_is_lost_and_when_it_is_back() {
        use Listening::{Alive, Down, Reconnecting};
        let mut connection = Connection::default();
        let told =
            [Down, Reconnecting, Alive, Alive, Reconnecting, Reconnecting, Alive, Down].map(|status| connection.is_now(status));
        assert_eq!(told.map(|line| line.is_some()), [false, false, false, false, true, false, true, false]);
    }

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        assert_eq!(Part::new("", Some(5000)).line(1200, 2.0), "1,200 objects of about 5,000, 600/s");
        assert_eq!(Part::new("resourceObjects", None).line(1, 2.0), "resourceObjects: 1 object, 0.5/s");
        assert_eq!(clock(Duration::from_secs(3725)), "1:02 h");
    }
}
