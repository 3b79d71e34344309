//! `cargo xtask bench async`: changes from the queues of real brokers, against a bare consumer that only acknowledges.
//!
//! The accounts are there beforehand, imported from a file. Every event changes one of them, and at the end each account and its person
//! must be what the last event about it says: a run that lost one is no measurement, and fails. Both sides read the same number of the
//! same messages, one after the other, under the same settings.
//!
//! The engine listens until nothing arrives any more, and the time that it waits for that is not counted.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rusqlite::{Connection, OpenFlags};
use tidelock_servers::{Nats, PASSWORD, RabbitMq, USER};

use super::broker::{self, Broker};
use super::data;
use super::measure::{self, Cost, percentile};
use super::report::{self, Judged, Row, Target};
use crate::shell;

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many events; the jobs' accounts are half as many.
    #[arg(long, default_value_t = 200_000)]
    pub(crate) objects: u64,
    /// One job only: rabbitmq, nats or latency.
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// How long nothing arrives before the engine ends. It is taken off the engine's time.
const IDLE: Duration = Duration::from_secs(1);

/// How many messages may be on their way to a consumer that has not acknowledged them.
pub(super) const PREFETCH: u16 = 200;

/// How often a bare consumer is run until it does not stand still.
const ATTEMPTS: usize = 4;

/// How many events a second the latency is measured at, and how many of them.
const RATE: u64 = 100;
const TIMED: u64 = 3000;
/// Events before those, so that connections and caches are as they will be.
const WARM_UP: u64 = 100;

const CONFIGURATION: &str = "http://midpoint.evolveum.com/xml/ns/public/connector/builtin-1/bundle/com.evolveum.midpoint.provisioning.ucf.impl.builtin.async.update/AsyncUpdateConnector";

/// Measures, prints the table, and writes the figures if asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.objects < 2 || options.common.runs == 0 {
        bail!("a benchmark takes at least two events and one run");
    }
    crate::servers::brokers::need()?;
    let wanted = |job: &str| options.job.as_deref().is_none_or(|only| only == job);
    let binary = super::binary(options.common.binary.as_deref())?;
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.common.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => temporary.path().to_path_buf(),
    };
    let bench = Bench::prepare(folder, &binary, options.objects)?;
    let mut rows = Vec::new();
    if wanted("rabbitmq") || wanted("latency") {
        let server = RabbitMq::start()?;
        let broker = Broker::rabbitmq(server.url(), server.port())?;
        if wanted("rabbitmq") {
            let target = Target { by: Judged::SecondsRatio, must: 2.0, aim: 1.2 };
            rows.push(bench.throughput("rabbitmq", target, &broker, options.common.runs)?);
        }
        if wanted("latency") {
            rows.push(bench.latency(&broker, options.common.runs)?);
        }
    }
    if wanted("nats") {
        let server = Nats::start()?;
        let broker = Broker::nats(server.url(), server.port())?;
        let target = Target { by: Judged::SecondsRatio, must: 6.0, aim: 3.0 };
        rows.push(bench.throughput("nats", target, &broker, options.common.runs)?);
    }
    if rows.is_empty() {
        bail!("the jobs are rabbitmq, nats and latency");
    }
    report::publish("async", &rows, options.common.runs, options.common.json.as_deref(), options.common.enforce)
}

/// Everything that the runs start from.
struct Bench {
    folder: PathBuf,
    binary: PathBuf,
    events: u64,
    accounts: u64,
}

impl Bench {
    /// Imports the accounts that the events are about: two events for each, on average.
    fn prepare(folder: PathBuf, binary: &Path, events: u64) -> Result<Self> {
        if !binary.is_file() {
            bail!("there is no binary {}: build it with `cargo build --package tidelock`", binary.display());
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // A copy, so that a build in the meantime does not change what is measured.
        let measured = folder.join("tidelock-measured");
        fs::copy(binary, &measured).with_context(|| format!("cannot copy {}", binary.display()))?;
        let bench = Self { folder, binary: measured, events, accounts: events / 2 };
        eprintln!("importing {} accounts", bench.accounts);
        let home = bench.folder.join("seed");
        super::make_empty(&home)?;
        let mut out = BufWriter::new(File::create(home.join("accounts.csv"))?);
        data::write_accounts(&mut out, bench.accounts, 0)?;
        out.flush()?;
        for name in ["resource.xml", "import.xml"] {
            fs::copy(shell::root().join("bench/definitions").join(name), home.join(name))
                .with_context(|| format!("cannot copy bench/definitions/{name}"))?;
        }
        fs::write(home.join("listen.xml"), LISTEN)?;
        for arguments in [&["apply", "resource.xml"][..], &["run", "import.xml"]] {
            shell::output(bench.tidelock(&home).args(["--quiet", "--format", "json"]).args(arguments)).map(drop)?;
        }
        Ok(bench)
    }

    /// How long the engine and a bare consumer take for all events, alternately.
    fn throughput(&self, job: &'static str, target: Target, broker: &Broker, runs: usize) -> Result<Row> {
        let (mut engine, mut baseline) = (Vec::new(), Vec::new());
        let expected = self.expected()?;
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: {job}");
            baseline.push(self.bare(broker, run)?);

            let queue = broker.fill(&format!("engine-{run}"), (0..self.events).map(|nth| self.message(nth)))?;
            let home = self.fresh_home(broker, &queue)?;
            engine.push(self.listen(&home, IDLE)?);
            check(&home, &expected).with_context(|| format!("after {job}"))?;
            broker.remove(&queue)?;
        }
        Ok(Row::new(job, self.events, target, &engine).against("a bare consumer", &baseline))
    }

    /// How long a bare consumer takes. One that stood still is no measure, and is run again.
    fn bare(&self, broker: &Broker, run: usize) -> Result<Cost> {
        let mut attempt = 1;
        loop {
            let queue = broker.fill(&format!("bare-{run}-{attempt}"), (0..self.events).map(|nth| self.message(nth)))?;
            let cost = broker.consume(&queue, self.events);
            broker.remove(&queue)?;
            match cost {
                Err(error) if attempt < ATTEMPTS => eprintln!("once more: {error:#}"),
                cost => return cost,
            }
            attempt += 1;
        }
    }

    /// How long one event takes from the moment at which it is sent until its effect can be read, where there are not many of them.
    fn latency(&self, broker: &Broker, runs: usize) -> Result<Row> {
        let timed = TIMED.min(self.accounts).max(1);
        let warm_up = WARM_UP.min(self.accounts);
        let (mut costs, mut middle, mut late) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=runs {
            eprintln!("run {run} of {runs}: latency, {timed} events, {RATE} a second");
            let queue = broker.fill(&format!("latency-{run}"), std::iter::empty())?;
            let home = self.fresh_home(broker, &queue)?;
            let (cost, mut took) = thread::scope(|scope| -> Result<(Cost, Vec<f64>)> {
                let engine = scope.spawn(|| self.listen(&home, Duration::from_secs(5)));
                let took = self.send_and_watch(broker, &queue, &home, warm_up, timed);
                let cost = engine.join().map_err(|_| anyhow::anyhow!("whoever waits for the engine panicked"))?;
                Ok((cost?, took?))
            })?;
            took.sort_by(f64::total_cmp);
            middle.extend(percentile(&took, 50));
            late.extend(percentile(&took, 99));
            costs.push(cost);
            broker.remove(&queue)?;
        }
        let target = Target { by: Judged::P99, must: 30.0, aim: 10.0 };
        Ok(Row::new("latency", timed, target, &costs).with("p50_ms", middle).with("p99_ms", late))
    }

    /// Sends events one by one, and looks into the repository until the effect of each is there: milliseconds for each, the first ones left
    /// out. What is looked at is committed, so that nobody can see it earlier.
    fn send_and_watch(&self, broker: &Broker, queue: &str, home: &Path, warm_up: u64, timed: u64) -> Result<Vec<f64>> {
        let database = Connection::open_with_flags(home.join("tidelock.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        database.busy_timeout(Duration::from_secs(5))?;
        let mut look =
            database.prepare("SELECT 1 FROM shadow WHERE identifier = ?1 AND dead = 0 AND attributes ->> '$.department' = ?2")?;
        let (mut sent, mut underway, mut took) = (0, VecDeque::new(), Vec::new());
        let pace = Duration::from_nanos(1_000_000_000 / RATE);
        let mut next = Instant::now();
        let mut moved = Instant::now();
        let mut seen = 0_i64;
        while sent < warm_up + timed || !underway.is_empty() {
            if sent < warm_up + timed && Instant::now() >= next {
                let uid = uid(sent % self.accounts);
                let department = format!("L{sent}");
                let body = message(&uid, &[("department", &department)]);
                // Until the engine listens, events would wait for that.
                if sent == warm_up && !underway.is_empty() {
                    next = Instant::now() + pace;
                } else {
                    underway.push_back((sent, uid, department, Instant::now()));
                    broker.send(queue, sent, &body)?;
                    sent += 1;
                    next = (next + pace).max(Instant::now() - pace);
                }
            }
            // It costs next to nothing as long as nobody has written.
            let version: i64 = database.pragma_query_value(None, "data_version", |row| row.get(0))?;
            if version != seen {
                seen = version;
                let now = Instant::now();
                let before = underway.len();
                let mut kept = VecDeque::with_capacity(before);
                for (nth, uid, department, at) in underway {
                    if look.exists((&uid, &department))? {
                        if nth >= warm_up {
                            took.push(now.duration_since(at).as_secs_f64() * 1000.0);
                        }
                    } else {
                        kept.push_back((nth, uid, department, at));
                    }
                }
                if kept.len() < before {
                    moved = now;
                }
                underway = kept;
            }
            if !underway.is_empty() && moved.elapsed() > Duration::from_secs(60) {
                bail!("{} events have had no effect for a minute", underway.len());
            }
            if underway.is_empty() {
                moved = Instant::now();
            }
            thread::sleep(Duration::from_micros(300));
        }
        Ok(took)
    }

    /// Runs the engine until nothing arrives any more; the time that it waits for that is not counted.
    fn listen(&self, home: &Path, idle: Duration) -> Result<Cost> {
        let seconds = idle.as_secs().to_string();
        let arguments = ["--format", "json", "--quiet", "run", "listen.xml", "--until-idle", &seconds];
        let cost = measure::run(self.tidelock(home).args(arguments)).context("the engine")?;
        Ok(Cost { wall: cost.wall.saturating_sub(idle), ..cost })
    }

    /// A copy of the repository with the accounts, whose resource also has this queue.
    fn fresh_home(&self, broker: &Broker, queue: &str) -> Result<PathBuf> {
        let home = self.folder.join("engine");
        super::make_empty(&home)?;
        for entry in fs::read_dir(self.folder.join("seed"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), home.join(entry.file_name()))?;
            }
        }
        let resource = fs::read_to_string(home.join("resource.xml"))?;
        let connector = format!(
            "<additionalConnector><name>Changes</name><connectorConfiguration><icfc:configurationProperties xmlns=\"{CONFIGURATION}\">\n\
             <sources>{}</sources><unknownAttributes>ignore</unknownAttributes>\n\
             </icfc:configurationProperties></connectorConfiguration></additionalConnector>\n<schemaHandling>",
            broker.source(queue, USER, PASSWORD)
        );
        fs::write(home.join("resource.xml"), resource.replacen("<schemaHandling>", &connector, 1))?;
        shell::output(self.tidelock(&home).args(["--quiet", "--format", "json", "apply", "resource.xml", "listen.xml"]))
            .map(drop)?;
        Ok(home)
    }

    fn tidelock(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(home).env_remove("TIDELOCK_REPO").arg("--home").arg(home);
        command
    }

    /// The event of a number: an account moves to a department.
    fn message(&self, nth: u64) -> Vec<u8> {
        let account = data::mix(nth, 50) % self.accounts;
        message(&uid(account), &[("department", &data::department(data::mix(nth, 51)))])
    }

    /// The department of each account once all events have had their effect.
    fn expected(&self) -> Result<BTreeMap<String, String>> {
        let mut expected: BTreeMap<String, String> = (0..self.accounts).map(|row| (uid(row), data::department_of(row))).collect();
        for nth in 0..self.events {
            expected.insert(uid(data::mix(nth, 50) % self.accounts), data::department(data::mix(nth, 51)));
        }
        Ok(expected)
    }
}

/// One change of one account in the plain JSON form, padded to exactly 500 bytes by an attribute that nobody wants.
fn message(uid: &str, attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{{\"class\":\"AccountObjectClass\",\"id\":\"{uid}\",\"change\":\"delta\",\"attributes\":{{");
    for (name, value) in attributes {
        text.push_str(&format!("\"{name}\":\"{value}\","));
    }
    text.push_str("\"padding\":\"");
    while text.len() < broker::MESSAGE_BYTES - 3 {
        text.push('x');
    }
    text.push_str("\"}}");
    text.into_bytes()
}

fn uid(row: u64) -> String {
    format!("u{row:08}")
}

/// Fails unless every account, and the person it belongs to, are in the department that they should be in.
fn check(home: &Path, expected: &BTreeMap<String, String>) -> Result<()> {
    let database = Connection::open(home.join("tidelock.db"))?;
    let mut select = database.prepare(
        "SELECT s.identifier, s.attributes ->> '$.department', coalesce(f.content ->> '$.organizationalUnit[0]', f.content ->> '$.organizationalUnit')
         FROM shadow s JOIN focus f ON f.id = s.focus WHERE s.dead = 0",
    )?;
    let mut rows = select.query(())?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (uid, account, person): (String, Option<String>, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let department = expected.get(&uid);
        if account.as_ref() != department || person.as_ref() != department {
            bail!("{uid} should be in {department:?}; the account is in {account:?}, the person in {person:?}");
        }
        count += 1;
    }
    if count != expected.len() {
        bail!("there are {count} accounts with a person, and {} were expected", expected.len());
    }
    Ok(())
}

const LISTEN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<task xmlns="http://midpoint.evolveum.com/xml/ns/public/common/common-3" oid="b0a4c7de-3c1f-4d0e-9f61-5d6f7a0c1e04">
    <name>Listen to changes</name>
    <activity>
        <work>
            <asynchronousUpdate>
                <resourceObjects>
                    <resourceRef oid="b0a4c7de-3c1f-4d0e-9f61-5d6f7a0c1e01" type="ResourceType"/>
                </resourceObjects>
            </asynchronousUpdate>
        </work>
    </activity>
</task>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_size_whatever_it_says() {
        for department in ["L1", "D130 Sales, APAC"] {
            let message = message(&uid(7), &[("department", department)]);
            assert_eq!(message.len(), broker::MESSAGE_BYTES);
            assert!(serde_json::from_slice::<serde_json::Value>(&message).is_ok());
        }
    }
}
