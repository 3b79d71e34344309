//! `cargo xtask bench import`: an account file into a repository that knows half of the people.
//!
//! Both sides start from the same identities, read the same file, and must end with the same accounts, situations, people and
//! memberships: a run that does other work is no measurement, and fails.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::measure::{self, Cost};
use super::report::{Judged, Target};
use super::{baseline, content, data, report};
use crate::{metadata, shell};

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many accounts the file has.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) objects: u64,
    #[command(flatten)]
    pub(crate) common: super::Common,
}

/// The three jobs, in the order in which one follows from the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    FirstImport,
    Unchanged,
    ReconcileOnePercent,
}

/// What one job cost each side, run by run.
pub(super) struct Measured {
    pub(super) job: Job,
    pub(super) engine: Vec<Cost>,
    pub(super) baseline: Vec<Cost>,
}

/// How many identities one definition file holds: the seed of a million does not fit into one.
const IDENTITIES_PER_FILE: usize = 20_000;

/// Measures, prints the table, and writes the figures if asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    shell::need_sqlite3()?;
    if options.objects == 0 || options.common.runs == 0 {
        bail!("a benchmark takes at least one object and one run");
    }
    let binary = super::binary(options.common.binary.as_deref())?;
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.common.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => temporary.path().to_path_buf(),
    };
    let bench = Bench::prepare(folder, binary, options.objects)?;
    let measured = bench.measure(options.common.runs)?;
    let rows: Vec<report::Row> = measured
        .iter()
        .map(|measured| {
            let job = measured.job;
            let row = report::Row::new(job.name(), options.objects, job.target(), &measured.engine);
            row.against("expert SQL script", &measured.baseline)
        })
        .collect();
    report::publish("import", &rows, options.common.runs, options.common.json.as_deref(), options.common.enforce)
}

/// The benchmark in small, over the unoptimized binary: the contents must agree, the figures mean nothing.
pub(crate) fn smoke() -> Result<()> {
    let binary = metadata::read()?.target_directory.join("debug").join("tidelock");
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    eprintln!("benchmark in small: 3000 accounts, the engine against the baseline");
    Bench::prepare(temporary.path().to_path_buf(), binary, 3000)?.measure(1)?;
    eprintln!("benchmark in small: accounts, situations, people and memberships agree after all three jobs");
    Ok(())
}

/// The data, and both sides' repositories with the identities known beforehand.
struct Bench {
    folder: PathBuf,
    binary: PathBuf,
}

impl Bench {
    fn prepare(folder: PathBuf, binary: PathBuf, objects: u64) -> Result<Self> {
        if !binary.is_file() {
            bail!("there is no binary {}: build it with `cargo build --package tidelock`", binary.display());
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // A copy, so that a build in the meantime does not change what is measured.
        let measured = folder.join("tidelock-measured");
        fs::copy(&binary, &measured).with_context(|| format!("cannot copy {}", binary.display()))?;
        let bench = Self { folder, binary: measured };
        for (name, revision) in [("accounts.csv", 0), ("accounts.r1.csv", 1)] {
            let mut out = BufWriter::new(File::create(bench.folder.join(name))?);
            data::write_accounts(&mut out, objects, revision)?;
            out.flush()?;
        }
        let mut out = BufWriter::new(File::create(bench.folder.join("seed.csv"))?);
        data::write_seed(&mut out, objects)?;
        out.flush()?;

        baseline::seed(&bench.folder.join("baseline.seed.db"), &bench.folder.join("seed.csv"))?;
        bench.seed_engine(objects)?;
        Ok(bench)
    }

    /// Gives the engine's repository the identities, as definition files.
    fn seed_engine(&self, objects: u64) -> Result<()> {
        let home = self.folder.join("seed");
        super::make_empty(&home)?;
        let mut files: Vec<PathBuf> = Vec::new();
        let mut out: Option<BufWriter<File>> = None;
        let mut count = 0;
        data::for_each_identity(objects, |identity| {
            if count % IDENTITIES_PER_FILE == 0 {
                if let Some(mut full) = out.take() {
                    full.write_all(b"</objects>\n")?;
                    full.flush()?;
                }
                let path = home.join(format!("people-{}.xml", files.len()));
                let mut file = BufWriter::new(File::create(&path)?);
                file.write_all(b"<objects xmlns=\"http://midpoint.evolveum.com/xml/ns/public/common/common-3\">\n")?;
                files.push(path);
                out = Some(file);
            }
            count += 1;
            let out = out.as_mut().ok_or(std::io::ErrorKind::NotFound)?;
            write!(out, "<user><name>{}</name>", identity.name)?;
            if !identity.employee_number.is_empty() {
                write!(out, "<employeeNumber>{}</employeeNumber>", identity.employee_number)?;
            }
            let data::Identity { given_name, family_name, mail, .. } = identity;
            writeln!(
                out,
                "<givenName>{given_name}</givenName><familyName>{family_name}</familyName><emailAddress>{mail}</emailAddress></user>"
            )
        })?;
        if let Some(mut last) = out {
            last.write_all(b"</objects>\n")?;
            last.flush()?;
        }
        self.definitions(&home)?;
        // Only so that the resource can be looked at; each run gets its own.
        fs::copy(self.folder.join("accounts.csv"), home.join("accounts.csv"))?;
        self.tidelock(&home, "apply", ["resource.xml"])?;
        for file in files {
            self.tidelock(&home, "apply", [&file])?;
            fs::remove_file(&file)?;
        }
        Ok(())
    }

    fn definitions(&self, home: &Path) -> Result<()> {
        for name in ["resource.xml", "import.xml", "reconcile.xml"] {
            fs::copy(shell::root().join("bench/definitions").join(name), home.join(name))
                .with_context(|| format!("cannot copy bench/definitions/{name}"))?;
        }
        Ok(())
    }

    /// Does all jobs `runs` times, the two sides alternately, comparing the contents after every one of the first run's jobs.
    fn measure(&self, runs: usize) -> Result<Vec<Measured>> {
        let mut measured: Vec<Measured> =
            Job::ALL.into_iter().map(|job| Measured { job, engine: Vec::new(), baseline: Vec::new() }).collect();
        for run in 0..runs {
            let home = self.folder.join("engine");
            self.fresh_home(&home)?;
            let database = self.folder.join("baseline.db");
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(self.folder.join(format!("baseline.db{suffix}")));
            }
            fs::copy(self.folder.join("baseline.seed.db"), &database)?;

            for measured in &mut measured {
                let job = measured.job;
                eprintln!("run {} of {runs}: {}", run + 1, job.name());
                fs::copy(self.folder.join(job.accounts()), home.join("accounts.csv"))?;
                measured.baseline.push(baseline::run(&database, &self.folder.join(job.accounts()))?);
                measured.engine.push(
                    measure::run(self.command(&home).args(["--format", "json", "--quiet", "run", job.task()]))
                        .with_context(|| format!("the engine's {}", job.name()))?,
                );
                if run == 0 {
                    content::agree(&database, &home.join("tidelock.db")).with_context(|| format!("after {}", job.name()))?;
                }
            }
        }
        Ok(measured)
    }

    /// A copy of the seeded repository, with the definitions stored from where they now lie.
    fn fresh_home(&self, home: &Path) -> Result<()> {
        super::make_empty(home)?;
        let seed = self.folder.join("seed");
        for entry in fs::read_dir(&seed)? {
            let entry = entry?;
            fs::copy(entry.path(), home.join(entry.file_name()))?;
        }
        self.tidelock(home, "apply", ["resource.xml"])
    }

    fn tidelock<A: AsRef<std::ffi::OsStr>>(
        &self,
        home: &Path,
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<()> {
        shell::output(self.command(home).arg("--quiet").arg(command).args(arguments)).map(drop)
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(home).env_remove("TIDELOCK_REPO").arg("--home").arg(home);
        command
    }
}

impl Job {
    pub(super) const ALL: [Self; 3] = [Self::FirstImport, Self::Unchanged, Self::ReconcileOnePercent];

    /// Its name in the figures: part of the contract.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FirstImport => "first-import",
            Self::Unchanged => "unchanged",
            Self::ReconcileOnePercent => "reconcile-1-percent",
        }
    }

    /// Multiples of the baseline's CPU time.
    const fn target(self) -> Target {
        let (must, aim) = match self {
            Self::FirstImport => (4.0, 2.0),
            Self::Unchanged => (2.0, 1.0),
            Self::ReconcileOnePercent => (3.0, 1.5),
        };
        Target { by: Judged::CpuRatio, must, aim }
    }

    const fn accounts(self) -> &'static str {
        match self {
            Self::FirstImport | Self::Unchanged => "accounts.csv",
            Self::ReconcileOnePercent => "accounts.r1.csv",
        }
    }

    const fn task(self) -> &'static str {
        match self {
            Self::FirstImport | Self::Unchanged => "import.xml",
            Self::ReconcileOnePercent => "reconcile.xml",
        }
    }
}
