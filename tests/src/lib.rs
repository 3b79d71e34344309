//! What the end-to-end tests share: a folder to work in, the real binary, and its answers.
//!
//! Nothing of the engine is used here: what a test shared with its subject it could not test. Everything panics rather than returning
//! errors, since whatever goes wrong here fails the test.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod accounts;
pub mod audit;
pub mod brokers;
pub mod kill;
pub mod listening;
pub mod live;
pub mod random;
pub mod snapshot;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of its own: definitions, data files and the repository lie in it, and go with it.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
}

/// What a finished command answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit status; none if a signal ended it.
    pub exit: Option<i32>,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
    /// The command, to be shown where it did something unexpected.
    pub command: String,
}

/// The checkout's root folder.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary under test: `TIDELOCK_BIN`, or the one that cargo built into the folder this test was built into.
///
/// # Panics
/// It is not there: cargo builds no other package's binary for a test.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TIDELOCK_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().find(|folder| folder.ends_with("deps")).and_then(Path::parent).unwrap();
    let binary = profile.join(format!("tidelock{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "there is no {}: build it with `cargo build --package tidelock`, or run the tests with `cargo xtask test`",
        binary.display()
    );
    binary
}

impl Home {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("tidelock-test").tempdir().unwrap() }
    }

    /// A folder with the example company's files.
    #[must_use]
    pub fn with_example() -> Self {
        let home = Self::new();
        for name in ["hr.csv", "import.xml", "reconcile.yaml", "users.json"] {
            fs::copy(root().join("examples/hr").join(name), home.path(name)).unwrap();
        }
        home
    }

    /// A file or folder in it.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads a text file.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Replaces a text that a file has exactly once.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(old).count(), 1, "{name} has {old:?} not exactly once");
        self.write(name, text.replacen(old, new, 1));
    }

    /// A command in this folder, ready to be started.
    #[must_use]
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("TIDELOCK_REPO")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn tidelock<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let mut command = self.command(arguments);
        let shown = command.get_args().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let output = command.output().unwrap();
        Answer {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            command: format!("tidelock {shown}"),
        }
    }

    /// Runs a command with `--format json`.
    pub fn json<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Answer {
        let mut all: Vec<std::ffi::OsString> = vec!["--format".into(), "json".into()];
        all.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self.tidelock(all)
    }

    /// Starts a command whose output nobody reads.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Objects of a type that `get` gives.
    pub fn get(&self, object_type: &str) -> Vec<Value> {
        let answer = self.json(["get", object_type]).expect_exit(0);
        answer.json().as_array().unwrap_or_else(|| panic!("get {object_type} printed no list")).clone()
    }

    /// The one object of a type with a name.
    ///
    /// # Panics
    /// There is none.
    pub fn named(&self, object_type: &str, name: &str) -> Value {
        let all = self.get(object_type);
        all.iter().find(|object| object["name"] == name).unwrap_or_else(|| panic!("no {name} among the {object_type}")).clone()
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Answer {
    /// Fails the test, showing everything, unless the exit status is this one.
    #[must_use]
    pub fn expect_exit(self, exit: i32) -> Self {
        assert_eq!(self.exit, Some(exit), "{self}");
        self
    }

    /// The one JSON document on standard output.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("not one JSON document ({err}): {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { exit, stdout, stderr, command } = self;
        write!(f, "`{command}` ended with {exit:?}\n--- standard output\n{stdout}\n--- standard error\n{stderr}")
    }
}
