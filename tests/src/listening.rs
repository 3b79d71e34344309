//! Listening to a queue through the binary: a resource that is nothing but the queue, the task that listens to it, and a run of that
//! which goes on until it is stopped, or ends by itself.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::brokers::{Message, Queue, SCHEMA};
use crate::live::{self, Accounts, account};
use crate::{Answer, Home, Value};

/// How long nothing arrives before a run is to end.
const IDLE: &str = "0.7";

/// The longest that anything may take that should take a moment.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a run that listens writes what it has to say.
const SAID: &str = "listening.log";

/// A folder with a resource that is nothing but the queue, and the task that listens to it.
#[must_use]
pub fn listener(queue: &Queue, more: &str) -> Home {
    let home = Home::new();
    connect(&home, &queue.connection(&format!("{SCHEMA}{more}")));
    home
}

/// The same in a folder that there is, however the resource is reached.
pub fn connect(home: &Home, connection: &str) {
    home.write("resource.xml", live::resource(connection));
    home.write("listen.xml", live::task("Listen", "asynchronousUpdate", "", " ", ""));
    let _ = home.tidelock(["apply", "resource.xml"]).expect_exit(0);
    let _ = home.tidelock(["apply", "listen.xml"]).expect_exit(0);
}

/// Listens until nothing arrives any more.
#[must_use]
pub fn run(home: &Home) -> Answer {
    home.json(["run", "listen.xml", "--until-idle", IDLE])
}

/// How many objects were a success, a failure, passed over.
#[must_use]
pub fn progress(run: &Value) -> [u64; 3] {
    ["success", "failure", "skip"].map(|outcome| run["progress"][outcome].as_u64().unwrap())
}

/// Messages with these bodies, called `m0`, `m1` and so on.
#[must_use]
pub fn messages(bodies: &[String]) -> Vec<Message> {
    bodies.iter().enumerate().map(|(nth, body)| (format!("m{nth}"), body.clone())).collect()
}

/// Accounts whose logins are their ids, with the `seq` of each.
#[must_use]
pub fn file(ids: &[(&str, u64)]) -> Accounts {
    ids.iter().map(|&(id, seq)| account(id, seq)).collect()
}

/// Waits until something holds.
///
/// # Panics
/// It does not come to hold.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what} does not come to pass");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A run that listens.
pub struct Listening<'a> {
    home: &'a Home,
    child: Child,
}

impl<'a> Listening<'a> {
    /// Starts to listen, until stopped.
    #[must_use]
    pub fn start(home: &'a Home) -> Self {
        Self::start_with(home, &[])
    }

    /// Starts to listen, with more arguments.
    #[must_use]
    pub fn start_with(home: &'a Home, more: &[&str]) -> Self {
        let mut command = home.command(["--format", "json", "run", "listen.xml"]);
        let said = File::create(home.path(SAID)).unwrap();
        let child = command.args(more).stdout(Stdio::piped()).stderr(said).spawn().unwrap();
        Self { home, child }
    }

    /// Waits until it says this on standard error.
    ///
    /// # Panics
    /// It does not say so.
    pub fn says(&self, words: &str) {
        let began = Instant::now();
        while !self.home.read(SAID).contains(words) {
            assert!(began.elapsed() < PATIENCE, "it does not say {words:?}, but {}", self.home.read(SAID));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it as Ctrl-C does: its exit status and its report.
    #[must_use]
    pub fn interrupt(self, signal: &str) -> (Option<i32>, Value) {
        let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        self.end()
    }

    /// Waits until it ends by itself: its exit status and its report.
    #[must_use]
    pub fn end(mut self) -> (Option<i32>, Value) {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), serde_json::from_str(&text).unwrap())
    }
}
