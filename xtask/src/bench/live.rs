//! `cargo xtask bench live`: what has changed in an account file, and its effects, against `sort` and `comm` over the same two files.
//!
//! The accounts are there beforehand. Each run finds the other one of two revisions of the file, so the changes are made and taken back
//! by turns; after each, every account must be what its row says.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags};

use super::data;
use super::measure;
use super::report::{self, Judged, Row, Target};
use crate::shell;

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many accounts the file has.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) objects: u64,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

const REVISIONS: [&str; 2] = ["accounts.r0.csv", "accounts.r1.csv"];

/// Lines of the first file that are not in the second, and the other way round.
const BASELINE: &str = "sort $0 > $2/old && sort $1 > $2/new && comm -3 $2/old $2/new > $2/changes";

/// Measures, prints the table, and writes the figures if asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.objects == 0 || options.common.runs == 0 {
        bail!("a benchmark takes at least one object and one run");
    }
    let binary = super::binary(options.common.binary.as_deref())?;
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.common.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => temporary.path().to_path_buf(),
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // A copy, so that a build in the meantime does not change what is measured.
    let measured = folder.join("tidelock-measured");
    fs::copy(&binary, &measured).with_context(|| format!("cannot copy {}", binary.display()))?;
    let bench = Bench { folder, binary: measured };
    bench.prepare(options.objects)?;
    let row = bench.measure(options.objects, options.common.runs)?;
    report::publish("live", &[row], options.common.runs, options.common.json.as_deref(), options.common.enforce)
}

struct Bench {
    folder: PathBuf,
    binary: PathBuf,
}

impl Bench {
    /// Imports the first revision, and takes the position.
    fn prepare(&self, objects: u64) -> Result<()> {
        for (revision, name) in REVISIONS.iter().enumerate() {
            let mut out = BufWriter::new(File::create(self.folder.join(name))?);
            data::write_accounts(&mut out, objects, revision as u64)?;
            out.flush()?;
        }
        let home = self.home();
        super::make_empty(&home)?;
        for name in ["resource.xml", "import.xml", "live.xml"] {
            fs::copy(shell::root().join("bench/definitions").join(name), home.join(name))
                .with_context(|| format!("cannot copy bench/definitions/{name}"))?;
        }
        eprintln!("importing {objects} accounts");
        self.put(REVISIONS[0])?;
        for arguments in [["apply", "resource.xml"], ["run", "import.xml"], ["run", "live.xml"]] {
            shell::output(self.tidelock().args(arguments))?;
        }
        Ok(())
    }

    fn measure(&self, objects: u64, runs: usize) -> Result<Row> {
        let (mut engine, mut baseline) = (Vec::new(), Vec::new());
        let scratch = self.folder.join("scratch");
        for run in 0..runs {
            eprintln!("run {} of {runs}: csv-live-1-percent", run + 1);
            let (old, new) = (REVISIONS[run % 2], REVISIONS[(run + 1) % 2]);
            super::make_empty(&scratch)?;
            let mut command = Command::new("sh");
            command.env("LC_ALL", "C").args(["-c", BASELINE]).args([
                self.folder.join(old),
                self.folder.join(new),
                scratch.clone(),
            ]);
            baseline.push(measure::run(&mut command)?);
            self.put(new)?;
            engine.push(measure::run(self.tidelock().args(["run", "live.xml"])).context("the engine")?);
            self.check(&self.folder.join(new)).with_context(|| format!("after run {}", run + 1))?;
        }
        let target = Target { by: Judged::CpuRatio, must: 3.0, aim: 1.5 };
        Ok(Row::new("csv-live-1-percent", objects, target, &engine).against("sort and comm", &baseline))
    }

    /// Fails unless the living accounts are those of a file, each in its department. The rows of the file are in the order of their
    /// identifiers, so nothing has to be kept in memory here, which would count as memory of the programs that are started later.
    fn check(&self, file: &Path) -> Result<()> {
        let database = Connection::open_with_flags(self.home().join("tidelock.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT identifier, attributes ->> '$.department' FROM shadow WHERE dead = 0 ORDER BY class, identifier";
        let mut select = database.prepare(sql)?;
        let mut known = select.query(())?;
        for line in BufReader::new(File::open(file)?).lines().skip(1) {
            let line = line?;
            let (uid, department) = uid_and_department(&line).with_context(|| format!("a row that is none: {line}"))?;
            let Some(account) = known.next()? else { bail!("{uid} is missing, and whatever follows") };
            let account: (String, Option<String>) = (account.get(0)?, account.get(1)?);
            let expected = (uid.to_owned(), Some(department.to_owned()));
            ensure!(account == expected, "there is {account:?}, where {expected:?} should be");
        }
        ensure!(known.next()?.is_none(), "there are accounts that the file does not have");
        Ok(())
    }

    fn put(&self, revision: &str) -> Result<()> {
        let next = self.home().join("accounts.next");
        fs::copy(self.folder.join(revision), &next)?;
        Ok(fs::rename(next, self.home().join("accounts.csv"))?)
    }

    fn home(&self) -> PathBuf {
        self.folder.join("engine")
    }

    fn tidelock(&self) -> Command {
        let home = self.home();
        let mut command = Command::new(&self.binary);
        command.current_dir(&home).env_remove("TIDELOCK_REPO").arg("--home").arg(&home).args(["--quiet", "--format", "json"]);
        command
    }
}

/// The first and the sixth column of a row; only the sixth may be in quotes.
fn uid_and_department(line: &str) -> Option<(&str, &str)> {
    let mut columns = line.splitn(6, ',');
    let uid = columns.next()?;
    let rest = columns.nth(4)?;
    let department = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(',').next()?,
    };
    Some((uid, department))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_are_written() {
        let rows = [
            ("u1,E1,A,B,m,D1 IT,active,", ("u1", "D1 IT")),
            ("u2,E2,A,B,m,\"D2 Sales, APAC\",leave,g", ("u2", "D2 Sales, APAC")),
        ];
        for (row, expected) in rows {
            assert_eq!(uid_and_department(row), Some(expected));
        }
    }
}
