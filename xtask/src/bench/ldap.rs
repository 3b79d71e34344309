//! `cargo xtask bench ldap`: a private slapd read, imported, followed and listened to.
//!
//! Each job has the baseline that an administrator would hold against it: OpenLDAP's own `ldapsearch`, and its own replication into a
//! second server.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rusqlite::{Connection, OpenFlags};
use tidelock_servers::{Directory as _, PASSWORD, Program, Slapd, SlapdSetup};

use super::data;
use super::measure::{self, Cost, percentile};
use super::report::{self, Judged, Row, Target};
use crate::{metadata, servers, shell};

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many entries the directory has.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) objects: u64,
    /// One job only: read, import, syncrepl-1-percent or persist-latency.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Measure our side of read and import only: the replication of a million entries takes half an hour.
    #[arg(long)]
    pub(crate) no_baseline: bool,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

const CLASS: &str = "inetOrgPerson";

/// The attributes that the connector asks for, so that the baseline asks for no more.
const ASKED: [&str; 2] = ["*", "entryUUID"];

/// How many modifications a second the latency is measured at, and how many of them.
const RATE: u64 = 400;
const TIMED: u64 = 4000;
/// Modifications before those, so that connections and caches are as they will be.
const WARM_UP: u64 = 400;

/// What every modification must have had its effect after, in milliseconds.
const BEHIND: f64 = 1000.0;

/// After how long without any effect it is given up to wait for one.
const LATEST: Duration = Duration::from_secs(30);

/// Measures, prints the table, and writes the figures if asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.objects < 100 || options.common.runs == 0 {
        bail!("a benchmark takes at least a hundred entries and one run");
    }
    servers::brokers::need()?;
    let wanted = |job: &str| options.job.as_deref().is_none_or(|only| only == job);
    let binary = super::binary(options.common.binary.as_deref())?;
    let connector = match &options.common.binary {
        // One that was built like it, and beside it.
        Some(_) => binary.with_file_name("examples").join("measure"),
        None => {
            let example = ["build", "--release", "--locked", "--package", "tidelock-ldap", "--example", "measure"];
            shell::run(&mut shell::cargo(example))?;
            metadata::read()?.target_directory.join("release/examples/measure")
        }
    };
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.common.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => temporary.path().to_path_buf(),
    };
    let bench = Bench::prepare(folder, &binary, &connector, options)?;
    let mut rows = Vec::new();
    if wanted("read") {
        rows.push(bench.read(options.common.runs)?);
    }
    if wanted("import") {
        rows.push(bench.import(options.common.runs)?);
    }
    if wanted("syncrepl-1-percent") {
        rows.push(bench.refresh(options.common.runs)?);
    }
    if wanted("persist-latency") {
        rows.push(bench.latency(options.common.runs)?);
    }
    if rows.is_empty() {
        bail!("the jobs are read, import, syncrepl-1-percent and persist-latency");
    }
    report::publish("ldap", &rows, options.common.runs, options.common.json.as_deref(), options.common.enforce)
}

/// The server, and the programs to be measured.
struct Bench {
    folder: PathBuf,
    binary: PathBuf,
    connector: PathBuf,
    server: Slapd,
    entries: u64,
    baseline: bool,
}

impl Bench {
    fn prepare(folder: PathBuf, binary: &Path, connector: &Path, options: &Options) -> Result<Self> {
        let entries = options.objects;
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Copies, so that a build in the meantime does not change what is measured.
        let copy = |from: &Path, name: &str| -> Result<PathBuf> {
            let to = folder.join(name);
            fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            Ok(to)
        };
        let (binary, connector) = (copy(binary, "tidelock-measured")?, copy(connector, "connector-measured")?);
        eprintln!("filling a directory with {entries} entries");
        let ldif = folder.join("people.ldif");
        let mut file = BufWriter::new(File::create(&ldif)?);
        data::write_people(&mut file, entries, Slapd::SUFFIX)?;
        file.flush()?;
        let mut setup = SlapdSetup::default();
        // More than one percent of anything that is measured here.
        setup.session_log = 100_000;
        setup.entries = Some(ldif.clone());
        let server = Slapd::start(&setup, "")?;
        fs::remove_file(&ldif)?;
        Ok(Self { folder, binary, connector, server, entries, baseline: !options.no_baseline })
    }

    /// A full read through the connector, values typed, against `ldapsearch` with the same pages.
    fn read(&self, runs: usize) -> Result<Row> {
        let (mut engine, mut baseline) = (Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: read");
            let filter = format!("(objectClass={CLASS})");
            if self.baseline {
                baseline.push(measure::run(self.ldapsearch()?.args(["-E", "pr=1000/noprompt", &filter]).args(ASKED))?);
            }
            engine.push(measure::run(&mut self.connector("read", &[CLASS]))?);
        }
        let target = Target { by: Judged::CpuRatio, must: 2.0, aim: 1.3 };
        let row = Row::new("read", self.entries, target, &engine);
        Ok(if self.baseline { row.against("ldapsearch, in pages of 1000", &baseline) } else { row })
    }

    /// An import of everything, against the same entries' replication into an empty slapd.
    fn import(&self, runs: usize) -> Result<Row> {
        let (mut engine, mut baseline) = (Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: import");
            let home = self.fresh_home()?;
            engine.push(self.run_task(&home, &["run", "import.xml"])?);
            let people: u64 = self.count(&home)?;
            ensure!(people == self.entries, "{people} people were imported, and there are {} entries", self.entries);
            if self.baseline {
                eprintln!("run {run} of {runs}: replication");
                baseline.push(self.replicate()?);
            }
        }
        let target = Target { by: Judged::SecondsRatio, must: 0.1, aim: 0.04 };
        let row = Row::new("import", self.entries, target, &engine);
        Ok(if self.baseline { row.against("replication into a second slapd", &baseline) } else { row })
    }

    /// What has changed since a position, where that is one percent, against `ldapsearch` since the same one. The whole run of the engine,
    /// with its effects, is a figure beside it.
    fn refresh(&self, runs: usize) -> Result<Row> {
        let home = self.fresh_home()?;
        self.run_task(&home, &["run", "import.xml"])?;
        // The first run takes the position, and nothing else.
        self.run_task(&home, &["run", "live.xml"])?;
        let changed = (self.entries / 100).max(1);
        let (mut connector, mut baseline, mut whole) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: syncrepl-1-percent");
            let token = self.folder.join("token");
            let file = token.display().to_string();
            shell::output(&mut self.connector("token", &[CLASS, &file]))?;
            let position = self.server.value(Slapd::SUFFIX, "contextCSN")?.context("slapd has no contextCSN")?;
            self.modify_some(changed, run)?;

            let since = format!("!sync=ro/rid=000,csn={position}");
            let filter = format!("(objectClass={CLASS})");
            baseline.push(measure::run(self.ldapsearch()?.args(["-E", &since, &filter]).args(ASKED))?);
            let said = shell::output(&mut self.connector("changes", &[CLASS, &file]))?;
            ensure!(said.trim() == format!("{changed} changes, 0 present"), "the connector says: {said}");
            connector.push(measure::run(&mut self.connector("changes", &[CLASS, &file]))?);
            whole.push(self.run_task(&home, &["run", "live.xml"])?.cpu.as_secs_f64());
            let like = format!("r{run}-%");
            let effective: u64 = self.query(
                &home,
                "SELECT count(*) FROM focus WHERE coalesce(content ->> '$.description[0]', content ->> '$.description') LIKE ?1",
                &like,
            )?;
            ensure!(effective == changed, "{effective} changes had their effect, of {changed}");
        }
        let target = Target { by: Judged::CpuRatio, must: 2.0, aim: 1.2 };
        let row = Row::new("syncrepl-1-percent", changed, target, &connector);
        Ok(row.against("ldapsearch -E sync=ro", &baseline).with("engine_cpu_seconds", whole))
    }

    /// From the server's answer to a modification until its effect can be read from the repository.
    fn latency(&self, runs: usize) -> Result<Row> {
        let home = self.fresh_home()?;
        self.run_task(&home, &["run", "import.xml"])?;
        let timed = TIMED.min(self.entries / 2);
        let warm_up = WARM_UP.min(self.entries / 10);
        let (mut costs, mut middle, mut late, mut behind) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: persist-latency, {timed} modifications, {RATE} a second");
            let (cost, mut took) = thread::scope(|scope| -> Result<(Cost, Vec<f64>)> {
                let listener = scope.spawn(|| self.run_task(&home, &["run", "listen.xml", "--until-idle", "3"]));
                // Nobody says when it listens. What it hears first tells, and does not count.
                thread::sleep(Duration::from_secs(1));
                let took = self.modify_and_watch(&home, warm_up + timed);
                let cost = listener.join().map_err(|_| anyhow!("whoever waits for the engine panicked"))?;
                Ok((cost?, took?))
            })?;
            took.drain(..usize::try_from(warm_up)?);
            took.sort_by(f64::total_cmp);
            middle.extend(percentile(&took, 50));
            late.extend(percentile(&took, 99));
            behind.extend(took.last().copied());
            costs.push(cost);
            self.modify_some(1, run)?;
        }
        let target = Target { by: Judged::P99, must: 50.0, aim: 15.0 };
        Ok(Row::new("persist-latency", timed, target, &costs).with("p50_ms", middle).with("p99_ms", late).at_most(
            "latest_ms",
            BEHIND,
            behind,
        ))
    }

    /// Milliseconds from each answer to its effect, in the order of the modifications.
    fn modify_and_watch(&self, home: &Path, count: u64) -> Result<Vec<f64>> {
        let mut command = self.connector("modify", &[CLASS, &count.to_string(), &RATE.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("no pipe")?;
        let (send, answers) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(answer) = Answer::read(&line) {
                    // Whoever watches has given up: nobody needs the rest.
                    let _ = send.send(answer);
                }
            }
        });
        let took = watch(home, &answers);
        if took.is_err() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        let _ = reader.join();
        let took = took?;
        ensure!(status.success(), "the modifications failed: {status}");
        ensure!(took.len() as u64 == count, "{} of {count} modifications had their effect", took.len());
        Ok(took)
    }

    /// Gives some entries another description, one that no run before gave them.
    fn modify_some(&self, count: u64, run: usize) -> Result<()> {
        let mut changes = String::new();
        for row in 0..count {
            let dn = data::person_dn(row * (self.entries / count), Slapd::SUFFIX);
            write!(changes, "dn: {dn}\nchangetype: modify\nreplace: description\ndescription: r{run}-{row}\n\n")?;
        }
        self.server.modify(&changes)
    }

    /// How long an empty slapd takes until it has everything. Its CPU time is that of the server, not of a program, and left out.
    fn replicate(&self) -> Result<Cost> {
        let mut setup = SlapdSetup::default();
        setup.bare = true;
        setup.syncprov = false;
        // As the repository is.
        setup.durable = true;
        setup.database = format!(
            "syncrepl rid=1 provider={} type=refreshAndPersist retry=\"1 +\" searchbase=\"{}\" schemachecking=off \
             bindmethod=simple binddn=\"{}\" credentials={PASSWORD}\n",
            self.server.url(),
            Slapd::SUFFIX,
            Slapd::ADMIN
        );
        let position = self.server.value(Slapd::SUFFIX, "contextCSN")?;
        let began = Instant::now();
        let second = Slapd::start(&setup, "")?;
        // It takes over the position when it has all that came before.
        while second.value(Slapd::SUFFIX, "contextCSN").ok().flatten() != position {
            let patience = Duration::from_secs(3600 * self.entries.div_ceil(100_000));
            ensure!(began.elapsed() < patience, "the second slapd does not come to an end");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(Cost { wall: began.elapsed(), cpu: Duration::ZERO, peak_memory: 0, written: None })
    }

    /// An empty repository with the definitions.
    fn fresh_home(&self) -> Result<PathBuf> {
        let home = self.folder.join("engine");
        super::make_empty(&home)?;
        let port = self.server.port().to_string();
        for name in ["resource.xml", "import.xml", "live.xml", "listen.xml"] {
            let definition = shell::root().join("bench/definitions/ldap").join(name);
            let text = fs::read_to_string(&definition).with_context(|| format!("cannot read {}", definition.display()))?;
            let mut file = BufWriter::new(File::create(home.join(name))?);
            file.write_all(text.replace("@PORT@", &port).replace("@PASSWORD@", PASSWORD).as_bytes())?;
            file.flush()?;
        }
        shell::output(self.tidelock(&home).args(["--quiet", "apply", "resource.xml"]))?;
        Ok(home)
    }

    fn run_task(&self, home: &Path, arguments: &[&str]) -> Result<Cost> {
        measure::run(self.tidelock(home).args(["--format", "json", "--quiet"]).args(arguments))
            .with_context(|| format!("tidelock {}", arguments.join(" ")))
    }

    fn count(&self, home: &Path) -> Result<u64> {
        self.query(home, "SELECT count(*) FROM shadow WHERE focus IS NOT NULL AND dead = ?1", "0")
    }

    fn query(&self, home: &Path, sql: &str, argument: &str) -> Result<u64> {
        let database = Connection::open(home.join("tidelock.db"))?;
        let count: i64 = database.query_row(sql, [argument], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    }

    fn tidelock(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(home).env_remove("TIDELOCK_REPO").arg("--home").arg(home);
        command
    }

    fn connector(&self, job: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.connector);
        let port = self.server.port().to_string();
        command.args([job, &port, Slapd::SUFFIX, Slapd::ADMIN, PASSWORD]).args(arguments);
        command
    }

    fn ldapsearch(&self) -> Result<Command> {
        let mut command = self.server.command(Program::LdapSearch)?;
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", Slapd::SUFFIX]);
        Ok(command)
    }
}

/// A modification that the server has made.
struct Answer {
    number: u64,
    identifier: String,
    at: SystemTime,
}

impl Answer {
    /// Reads what the connector's `modify` prints of it.
    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let (number, identifier, micros) = (parts.next()?, parts.next()?, parts.next()?);
        let at = UNIX_EPOCH + Duration::from_micros(micros.parse().ok()?);
        Some(Self { number: number.parse().ok()?, identifier: identifier.to_owned(), at })
    }
}

/// Looks into the repository until each modification has had its effect there. What can be read there is committed.
fn watch(home: &Path, answers: &Receiver<Answer>) -> Result<Vec<f64>> {
    let database = Connection::open_with_flags(home.join("tidelock.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    database.busy_timeout(Duration::from_secs(5))?;
    let mut look = database.prepare(
        "SELECT 1 FROM shadow s JOIN focus f ON f.id = s.focus WHERE s.identifier = ?1 AND s.dead = 0
         AND coalesce(f.content ->> '$.description[0]', f.content ->> '$.description') = ?2",
    )?;
    let (mut underway, mut took, mut moved) = (VecDeque::<Answer>::new(), Vec::new(), Instant::now());
    loop {
        let ended = loop {
            match answers.try_recv() {
                Ok(answer) => underway.push_back(answer),
                Err(mpsc::TryRecvError::Empty) => break false,
                Err(mpsc::TryRecvError::Disconnected) => break true,
            }
        };
        // Changes come in the order in which they were made: if the first has no effect yet, neither have the others.
        while let Some(answer) = underway.front() {
            if !look.exists((&answer.identifier, format!("m{}", answer.number)))? {
                break;
            }
            let late = SystemTime::now().duration_since(answer.at).unwrap_or_default();
            took.push(late.as_secs_f64() * 1000.0);
            underway.pop_front();
            moved = Instant::now();
        }
        if underway.is_empty() {
            if ended {
                return Ok(took);
            }
            moved = Instant::now();
        }
        ensure!(moved.elapsed() < LATEST, "{} modifications have had no effect for {LATEST:?}", underway.len());
        thread::sleep(Duration::from_micros(300));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_is_printed() {
        let answer = Answer::read("7 0a-1b 1500000").map(|answer| (answer.number, answer.identifier, answer.at));
        assert_eq!(answer, Some((7, "0a-1b".to_owned(), UNIX_EPOCH + Duration::from_micros(1_500_000))));
        assert!(Answer::read("7 0a-1b").is_none());
    }
}
