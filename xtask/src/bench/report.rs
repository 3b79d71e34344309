//! The benchmark's figures: as a table for people, as JSON for machines.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::measure::{Cost, median};

/// What a job is judged by: one of its figures must be reached, and another is aimed for. Less is better.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) by: Judged,
    pub(super) must: f64,
    pub(super) aim: f64,
}

/// By what a job is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// CPU time, as a multiple of the baseline's.
    CpuRatio,
    /// Time on the clock, as a multiple of the baseline's.
    SecondsRatio,
    /// What 99 of 100 events do not exceed, in milliseconds: the row's figure `p99_ms`.
    P99,
}

/// Most memory a job may take, and what it aims for, in megabytes.
const MEMORY_TARGET: (f64, f64) = (150.0, 80.0);

/// The medians of one job.
pub(super) struct Row {
    job: &'static str,
    objects: u64,
    target: Target,
    engine: Figures,
    /// What the baseline is called, and what it takes.
    baseline: Option<(&'static str, Figures)>,
    /// Figures of this job alone: `p50_ms`.
    more: Vec<(&'static str, f64)>,
    /// What some of these must not exceed.
    limits: Vec<(&'static str, f64)>,
}

struct Figures {
    seconds: f64,
    cpu_seconds: f64,
    peak_mb: f64,
    written_mb: Option<f64>,
}

impl Row {
    /// What some runs of a job cost the engine.
    pub(super) fn new(job: &'static str, objects: u64, target: Target, engine: &[Cost]) -> Self {
        Self { job, objects, target, engine: Figures::of(engine), baseline: None, more: Vec::new(), limits: Vec::new() }
    }

    /// The same, with what the job cost a baseline of this name.
    pub(super) fn against(mut self, name: &'static str, baseline: &[Cost]) -> Self {
        self.baseline = Some((name, Figures::of(baseline)));
        self
    }

    /// The same, with a figure of its own: the median of these, one for each run.
    pub(super) fn with(mut self, name: &'static str, figures: impl IntoIterator<Item = f64>) -> Self {
        self.more.extend(median(figures).map(|figure| (name, figure)));
        self
    }

    /// The same, with a figure that no run may have higher than this: the highest.
    pub(super) fn at_most(mut self, name: &'static str, limit: f64, figures: impl IntoIterator<Item = f64>) -> Self {
        self.more.extend(figures.into_iter().max_by(f64::total_cmp).map(|figure| (name, figure)));
        self.limits.push((name, limit));
        self
    }

    /// Whether the job took no more time and memory than it may. Without a baseline there is nothing to hold its time against.
    pub(super) fn target_met(&self) -> bool {
        let in_time = match self.judged() {
            Some(figure) => figure <= self.target.must,
            None => self.baseline.is_none() && self.target.by != Judged::P99,
        };
        let within = |(name, limit): &(&str, f64)| self.figure(name).is_some_and(|figure| figure <= *limit);
        in_time && self.limits.iter().all(within) && self.engine.peak_mb <= MEMORY_TARGET.0
    }

    fn verdict(&self) -> &'static str {
        if !self.target_met() {
            "MISSED"
        } else if self.judged().is_none_or(|figure| figure <= self.target.aim) && self.engine.peak_mb <= MEMORY_TARGET.1 {
            "as aimed for"
        } else {
            "reached"
        }
    }

    /// The figure that the job is judged by.
    fn judged(&self) -> Option<f64> {
        match self.target.by {
            Judged::CpuRatio => self.cpu_ratio(),
            Judged::SecondsRatio => self.seconds_ratio(),
            Judged::P99 => self.figure("p99_ms"),
        }
    }

    fn figure(&self, wanted: &str) -> Option<f64> {
        self.more.iter().find(|(name, _)| *name == wanted).map(|(_, figure)| *figure)
    }

    #[allow(clippy::cast_precision_loss)]
    fn per_second(&self) -> f64 {
        self.objects as f64 / self.engine.seconds.max(f64::EPSILON)
    }

    fn seconds_ratio(&self) -> Option<f64> {
        self.baseline.as_ref().map(|(_, baseline)| self.engine.seconds / baseline.seconds.max(f64::EPSILON))
    }

    fn cpu_ratio(&self) -> Option<f64> {
        // A baseline without CPU time is one whose CPU time was not measured.
        let (_, baseline) = self.baseline.as_ref().filter(|(_, baseline)| baseline.cpu_seconds > 0.0)?;
        Some(self.engine.cpu_seconds / baseline.cpu_seconds)
    }

    fn cells(&self) -> Vec<String> {
        let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"));
        let baseline = self.baseline.as_ref().map(|(_, baseline)| baseline);
        let of = if self.judged().is_none() { "memory alone: " } else { "" };
        let mut verdict = format!("{of}{}", self.verdict());
        for (name, figure) in &self.more {
            verdict += &format!("; {name} {figure:.2}");
        }
        for (name, limit) in &self.limits {
            verdict += &format!("; {name} at most {limit}");
        }
        vec![
            self.job.to_owned(),
            self.objects.to_string(),
            format!("{:.2}", self.engine.seconds),
            format!("{:.0}", self.per_second()),
            format!("{:.2}", self.engine.cpu_seconds),
            format!("{:.0}", self.engine.peak_mb),
            self.engine.written_mb.map_or_else(|| "?".to_owned(), |mb| format!("{mb:.0}")),
            figure(baseline.map(|baseline| baseline.seconds)),
            figure(baseline.map(|baseline| baseline.cpu_seconds)),
            figure(self.seconds_ratio()),
            figure(self.cpu_ratio()),
            format!("{} {} ({})", self.target.by.name(), self.target.must, self.target.aim),
            verdict,
        ]
    }

    fn json(&self) -> Value {
        let baseline = self.baseline.as_ref().map(|(_, baseline)| baseline);
        let mut row = json!({
            "job": self.job,
            "objects": self.objects,
            "seconds": round(self.engine.seconds),
            "cpu_seconds": round(self.engine.cpu_seconds),
            "peak_rss_mb": round(self.engine.peak_mb),
            "per_second": self.per_second().round(),
            "written_mb": self.engine.written_mb.map(round),
            "baseline": self.baseline.as_ref().map(|(name, _)| *name),
            "baseline_seconds": baseline.map(|baseline| round(baseline.seconds)),
            "baseline_cpu_seconds": baseline.map(|baseline| round(baseline.cpu_seconds)),
            "baseline_peak_rss_mb": baseline.map(|baseline| round(baseline.peak_mb)),
            "baseline_written_mb": baseline.and_then(|baseline| baseline.written_mb).map(round),
            "seconds_ratio": self.seconds_ratio().map(round),
            "cpu_ratio": self.cpu_ratio().map(round),
            "judged_by": self.target.by.name(),
            "target": self.target.must,
            "aim": self.target.aim,
            "peak_rss_mb_target": MEMORY_TARGET.0,
            "target_met": self.target_met(),
        });
        for (name, figure) in &self.more {
            row[*name] = json!(round(*figure));
        }
        for (name, limit) in &self.limits {
            row[format!("{name}_target")] = json!(limit);
        }
        row
    }
}

impl Judged {
    const fn name(self) -> &'static str {
        match self {
            Self::CpuRatio => "cpu_ratio",
            Self::SecondsRatio => "seconds_ratio",
            Self::P99 => "p99_ms",
        }
    }
}

/// The table.
pub(super) fn table(rows: &[Row]) -> String {
    let header = [
        "job",
        "objects",
        "seconds",
        "objects/s",
        "CPU s",
        "peak MB",
        "written MB",
        "baseline s",
        "baseline CPU s",
        "ratio",
        "CPU ratio",
        "must (aim)",
        "",
    ];
    let mut cells: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(Row::cells));
    let widths: Vec<usize> =
        (0..header.len()).map(|column| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()).collect();
    let mut table = String::new();
    for line in &cells {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell =
                if column == 0 || column + 1 == line.len() { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            text += &cell;
            text += "  ";
        }
        table += text.trim_end();
        table.push('\n');
    }
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row.baseline.as_ref().map(|(name, _)| *name)).collect();
    names.dedup();
    let baseline = if names.is_empty() { String::new() } else { format!(" The baseline: {}.", names.join(", ")) };
    table += &format!("Medians.{baseline} Peak memory: at most {} MB, aiming for {} MB.\n", MEMORY_TARGET.0, MEMORY_TARGET.1);
    table
}

/// The contract's JSON document.
pub(super) fn json(name: &str, rows: &[Row]) -> String {
    format!("{:#}\n", json!({ "name": name, "rows": rows.iter().map(Row::json).collect::<Vec<_>>() }))
}

/// Prints the table, writes the figures where that is asked for, and fails where a target must be met and is not.
pub(super) fn publish(name: &str, rows: &[Row], runs: usize, file: Option<&Path>, enforce: bool) -> Result<()> {
    print!("{}", table(rows));
    if runs < 3 {
        println!("Fewer than three runs: these figures are not a measurement.");
    }
    if let Some(path) = file {
        std::fs::write(path, json(name, rows)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if enforce && !rows.iter().all(Row::target_met) {
        bail!("a target was missed");
    }
    Ok(())
}

impl Figures {
    fn of(costs: &[Cost]) -> Self {
        Self {
            seconds: median(costs.iter().map(|cost| cost.wall.as_secs_f64())).unwrap_or_default(),
            cpu_seconds: median(costs.iter().map(|cost| cost.cpu.as_secs_f64())).unwrap_or_default(),
            peak_mb: megabytes(median(costs.iter().map(|cost| cost.peak_memory)).unwrap_or_default()),
            written_mb: median(costs.iter().filter_map(|cost| cost.written)).map(megabytes),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

fn round(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    fn cost(wall: u64, cpu: u64, mb: u64) -> Cost {
        Cost {
            wall: Duration::from_millis(wall),
            cpu: Duration::from_millis(cpu),
            peak_memory: mb * 1_000_000,
            written: Some(mb),
        }
    }

    #[test]
    fn ratios_are_those_of_the_medians() {
        let engine = [cost(900, 900, 60), cost(300, 200, 50), cost(100, 100, 40)];
        let baseline = [cost(100, 100, 10), cost(150, 100, 10), cost(900, 900, 10)];
        let cpu = Target { by: Judged::CpuRatio, must: 2.0, aim: 1.0 };
        let late = Target { by: Judged::P99, must: 50.0, aim: 15.0 };
        let rows = [
            Row::new("unchanged", 30_000, cpu, &engine).against("expert SQL script", &baseline),
            Row::new("latency", 100, late, &engine).with("p50_ms", [1.0, 2.0, 9.0]).with("p99_ms", [10.0, 60.0, 55.0]),
        ];
        expect![[r#"
            job        objects  seconds  objects/s  CPU s  peak MB  written MB  baseline s  baseline CPU s  ratio  CPU ratio       must (aim)
            unchanged    30000     0.30     100000   0.20       50           0        0.15            0.10   2.00       2.00  cpu_ratio 2 (1)  reached
            latency        100     0.30        333   0.20       50           0           -               -      -          -   p99_ms 50 (15)  MISSED; p50_ms 2.00; p99_ms 55.00
            Medians. The baseline: expert SQL script. Peak memory: at most 150 MB, aiming for 80 MB.
        "#]].assert_eq(&table(&rows));
        let document: Value = serde_json::from_str(&json("import", &rows)).unwrap_or_default();
        assert_eq!(document["rows"][0]["cpu_ratio"], 2.0);
        assert_eq!(document["rows"][0]["job"], "unchanged");
        assert_eq!(document["rows"][1]["cpu_ratio"], Value::Null);
        assert_eq!(document["rows"][1]["p99_ms"], 55.0);
    }

    #[test]
    fn one_late_run_is_one_too_many() {
        let late = Target { by: Judged::P99, must: 50.0, aim: 15.0 };
        let row =
            |latest| Row::new("latency", 1, late, &[cost(1, 1, 1)]).with("p99_ms", [10.0]).at_most("latest_ms", 1000.0, latest);
        assert!(row([20.0, 999.0, 30.0]).target_met());
        assert!(!row([20.0, 1001.0, 30.0]).target_met());
        assert_eq!(row([20.0, 1001.0, 30.0]).json()["latest_ms"], 1001.0);
    }

    #[test]
    fn without_a_baseline_only_memory_is_judged() {
        let cpu = Target { by: Judged::CpuRatio, must: 2.0, aim: 1.0 };
        assert!(Row::new("read", 1, cpu, &[cost(1, 1, 100)]).target_met());
        assert!(!Row::new("read", 1, cpu, &[cost(1, 1, 200)]).target_met());
    }
}
