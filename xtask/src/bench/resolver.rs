//! `cargo xtask bench resolver`: how fast decisions are, and how long the check of a folder of definitions takes.
//!
//! There is no baseline: these figures have targets of their own. Each job is one run of a program that does nothing else, a small
//! one of the resolver's for single decisions and the real `tidelock check` for a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::definitions;
use super::measure::{self, Cost, median};
use crate::{metadata, shell};

/// What to measure, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: super::Common,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Classify,
    ParseFilter,
    EvaluateFilter,
    CheckFiles,
}

/// The medians of one job.
struct Row {
    job: Job,
    seconds: f64,
    cpu_seconds: f64,
    peak_mb: f64,
}

/// Measures, prints the table, and writes the figures if asked to.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.common.runs == 0 {
        bail!("a benchmark takes at least one run");
    }
    let (decisions, tidelock) = release_builds(options.common.binary.as_deref())?;
    let temporary = tempfile::Builder::new().prefix("tidelock-bench").tempdir().context("cannot make a temporary folder")?;
    let folder = match &options.common.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => temporary.path().to_path_buf(),
    };
    let given = folder.join("definitions");
    definitions::write(&given, Job::CheckFiles.operations())?;

    let mut costs: Vec<(Job, Vec<Cost>)> = Job::ALL.into_iter().map(|job| (job, Vec::new())).collect();
    for run in 0..options.common.runs {
        eprintln!("run {} of {}", run + 1, options.common.runs);
        for (job, costs) in &mut costs {
            let mut command = match job {
                Job::CheckFiles => check(&tidelock, &folder, &given),
                _ => {
                    let mut command = Command::new(&decisions);
                    command.arg(job.name()).arg(job.operations().to_string());
                    command
                }
            };
            costs.push(measure::run(&mut command).with_context(|| format!("the job {}", job.name()))?);
        }
    }
    let rows: Vec<Row> = costs.iter().map(|(job, costs)| Row::of(*job, costs)).collect();
    print!("{}", table(&rows));
    if options.common.runs < 3 {
        println!("Fewer than three runs: these figures are not a measurement.");
    }
    if let Some(path) = &options.common.json {
        fs::write(path, document(&rows)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if options.common.enforce && rows.iter().any(|row| !row.target_met()) {
        bail!("a target was missed");
    }
    Ok(())
}

fn release_builds(binary: Option<&Path>) -> Result<(PathBuf, PathBuf)> {
    let release = ["build", "--release", "--locked", "--package"];
    shell::run(shell::cargo(release).args(["tidelock-resolver", "--example", "decisions"]))?;
    if binary.is_none() {
        shell::run(shell::cargo(release).arg("tidelock"))?;
    }
    let folder = metadata::read()?.target_directory.join("release");
    let tidelock = binary.map_or_else(|| Ok(folder.join("tidelock")), std::path::absolute)?;
    Ok((folder.join("examples").join("decisions"), tidelock))
}

fn check(tidelock: &Path, home: &Path, given: &Path) -> Command {
    let mut command = Command::new(tidelock);
    command.current_dir(home).env_remove("TIDELOCK_REPO").arg("--home").arg(home);
    command.args(["--format", "json", "--quiet", "check"]).arg(given);
    command
}

impl Job {
    const ALL: [Self; 4] = [Self::Classify, Self::ParseFilter, Self::EvaluateFilter, Self::CheckFiles];

    /// Its name in the figures: part of the contract.
    const fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::ParseFilter => "parse-filter",
            Self::EvaluateFilter => "evaluate-filter",
            Self::CheckFiles => "check-1000-files",
        }
    }

    /// How often one run does it: long enough for the start of a program not to count.
    const fn operations(self) -> usize {
        match self {
            Self::Classify => 3_000_000,
            Self::ParseFilter => 1_000_000,
            Self::EvaluateFilter => 10_000_000,
            Self::CheckFiles => 1000,
        }
    }
}

impl Row {
    fn of(job: Job, costs: &[Cost]) -> Self {
        let seconds = |of: fn(&Cost) -> std::time::Duration| median(costs.iter().map(|cost| of(cost).as_secs_f64()));
        #[allow(clippy::cast_precision_loss)]
        let peak_mb = median(costs.iter().map(|cost| cost.peak_memory)).unwrap_or_default() as f64 / 1_000_000.0;
        Self {
            job,
            seconds: seconds(|cost| cost.wall).unwrap_or_default(),
            cpu_seconds: seconds(|cost| cost.cpu).unwrap_or_default(),
            peak_mb,
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn operations(&self) -> f64 {
        self.job.operations() as f64
    }

    /// What one core does in a second.
    fn per_second(&self) -> f64 {
        self.operations() / self.cpu_seconds.max(f64::EPSILON)
    }

    /// What one costs a core, in nanoseconds.
    fn nanoseconds(&self) -> f64 {
        self.cpu_seconds * 1e9 / self.operations()
    }

    /// Single decisions are judged by their CPU time, which other work on the machine does not touch; the check by the clock.
    fn target_met(&self) -> bool {
        match self.job {
            Job::Classify => self.per_second() >= 1_000_000.0,
            Job::ParseFilter => self.nanoseconds() <= 5000.0,
            Job::EvaluateFilter => self.nanoseconds() <= 300.0,
            Job::CheckFiles => self.seconds <= 1.0,
        }
    }

    fn figure(&self) -> String {
        match self.job {
            Job::Classify => format!("{:.0} objects/s", self.per_second()),
            Job::ParseFilter => format!("{:.2} µs", self.nanoseconds() / 1000.0),
            Job::EvaluateFilter => format!("{:.0} ns", self.nanoseconds()),
            Job::CheckFiles => format!("{:.2} s", self.seconds),
        }
    }

    const fn target(&self) -> &'static str {
        match self.job {
            Job::Classify => "at least 1000000 objects/s",
            Job::ParseFilter => "at most 5 µs",
            Job::EvaluateFilter => "at most 300 ns",
            Job::CheckFiles => "at most 1 s",
        }
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = format!("{:<17}{:>20}  {:<28}{:>9}{:>9}{:>9}\n", "job", "figure", "must", "seconds", "CPU s", "peak MB");
    for row in rows {
        let verdict = if row.target_met() { "reached" } else { "MISSED" };
        table += &format!(
            "{:<17}{:>20}  {:<28}{:>9.2}{:>9.2}{:>9.0}  {verdict}\n",
            row.job.name(),
            row.figure(),
            row.target(),
            row.seconds,
            row.cpu_seconds,
            row.peak_mb
        );
    }
    table + "Medians, on one core; the check may use all.\n"
}

/// The contract's JSON document.
fn document(rows: &[Row]) -> String {
    let round = |figure: f64| (figure * 1000.0).round() / 1000.0;
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "job": row.job.name(),
                "objects": row.job.operations(),
                "seconds": round(row.seconds),
                "cpu_seconds": round(row.cpu_seconds),
                "peak_rss_mb": round(row.peak_mb),
                "per_second": row.per_second().round(),
                "microseconds": round(row.nanoseconds() / 1000.0),
                "target": row.target(),
                "target_met": row.target_met(),
                "baseline": null,
                "baseline_seconds": null,
                "baseline_cpu_seconds": null,
                "seconds_ratio": null,
                "cpu_ratio": null,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "name": "resolver", "rows": rows }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    #[test]
    fn decisions_are_judged_by_cpu_time_and_checks_by_the_clock() {
        let cost = |wall, cpu| Cost {
            wall: Duration::from_millis(wall),
            cpu: Duration::from_millis(cpu),
            peak_memory: 20_000_000,
            written: None,
        };
        let rows = [
            Row::of(Job::Classify, &[cost(9000, 1500), cost(9000, 1600), cost(9000, 1)]),
            Row::of(Job::EvaluateFilter, &[cost(5000, 4000)]),
            Row::of(Job::CheckFiles, &[cost(900, 1200)]),
        ];
        expect![[r#"
            job                            figure  must                          seconds    CPU s  peak MB
            classify            2000000 objects/s  at least 1000000 objects/s       9.00     1.50       20  reached
            evaluate-filter                400 ns  at most 300 ns                   5.00     4.00       20  MISSED
            check-1000-files               0.90 s  at most 1 s                      0.90     1.20       20  reached
            Medians, on one core; the check may use all.
        "#]]
        .assert_eq(&table(&rows));
        let document: Value = serde_json::from_str(&document(&rows)).unwrap_or_default();
        assert_eq!(document["rows"][2]["job"], "check-1000-files");
        assert_eq!(document["rows"][0]["per_second"], 2_000_000.0);
    }
}
