//! The benchmark's figures: as a table for people, as JSON for machines.

use serde_json::{Value, json};

use super::import::{Job, Measured};
use super::measure::{Cost, median};

/// What a job must reach, and what it aims for, as multiples of the baseline's CPU time.
struct Target {
    cpu_ratio: f64,
    aim: f64,
}

/// Most memory a job may take, and what it aims for, in megabytes.
const MEMORY_TARGET: (f64, f64) = (150.0, 80.0);

/// The medians of one job.
pub(super) struct Row {
    job: Job,
    objects: u64,
    engine: Figures,
    baseline: Figures,
}

struct Figures {
    seconds: f64,
    cpu_seconds: f64,
    peak_mb: f64,
    written_mb: Option<f64>,
}

/// The medians of all jobs.
pub(super) fn rows(objects: u64, measured: &[Measured]) -> Vec<Row> {
    measured
        .iter()
        .map(|m| Row { job: m.job, objects, engine: Figures::of(&m.engine), baseline: Figures::of(&m.baseline) })
        .collect()
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
    for row in rows {
        let target = row.job.target();
        cells.push(vec![
            row.job.name().to_owned(),
            row.objects.to_string(),
            format!("{:.2}", row.engine.seconds),
            format!("{:.0}", row.per_second()),
            format!("{:.2}", row.engine.cpu_seconds),
            format!("{:.0}", row.engine.peak_mb),
            row.engine.written_mb.map_or_else(|| "?".to_owned(), |mb| format!("{mb:.0}")),
            format!("{:.2}", row.baseline.seconds),
            format!("{:.2}", row.baseline.cpu_seconds),
            format!("{:.2}", row.seconds_ratio()),
            format!("{:.2}", row.cpu_ratio()),
            format!("{} ({})", target.cpu_ratio, target.aim),
            row.verdict().to_owned(),
        ]);
    }
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
    table += &format!(
        "Medians. The baseline is the expert's SQL script. Peak memory: at most {} MB, aiming for {} MB.\n",
        MEMORY_TARGET.0, MEMORY_TARGET.1
    );
    table
}

/// The contract's JSON document.
pub(super) fn json(name: &str, rows: &[Row]) -> String {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "job": row.job.name(),
                "objects": row.objects,
                "seconds": round(row.engine.seconds),
                "cpu_seconds": round(row.engine.cpu_seconds),
                "peak_rss_mb": round(row.engine.peak_mb),
                "per_second": row.per_second().round(),
                "written_mb": row.engine.written_mb.map(round),
                "baseline": "expert SQL script",
                "baseline_seconds": round(row.baseline.seconds),
                "baseline_cpu_seconds": round(row.baseline.cpu_seconds),
                "baseline_peak_rss_mb": round(row.baseline.peak_mb),
                "baseline_written_mb": row.baseline.written_mb.map(round),
                "seconds_ratio": round(row.seconds_ratio()),
                "cpu_ratio": round(row.cpu_ratio()),
                "cpu_ratio_target": row.job.target().cpu_ratio,
                "peak_rss_mb_target": MEMORY_TARGET.0,
                "target_met": row.target_met(),
            })
        })
        .collect();
    format!("{:#}\n", json!({ "name": name, "rows": rows }))
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

impl Row {
    /// Whether the job took no more CPU time and memory than it may.
    pub(super) fn target_met(&self) -> bool {
        self.cpu_ratio() <= self.job.target().cpu_ratio && self.engine.peak_mb <= MEMORY_TARGET.0
    }

    fn verdict(&self) -> &'static str {
        if !self.target_met() {
            "MISSED"
        } else if self.cpu_ratio() <= self.job.target().aim && self.engine.peak_mb <= MEMORY_TARGET.1 {
            "as aimed for"
        } else {
            "reached"
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn per_second(&self) -> f64 {
        self.objects as f64 / self.engine.seconds.max(f64::EPSILON)
    }

    fn seconds_ratio(&self) -> f64 {
        self.engine.seconds / self.baseline.seconds.max(f64::EPSILON)
    }

    fn cpu_ratio(&self) -> f64 {
        self.engine.cpu_seconds / self.baseline.cpu_seconds.max(f64::EPSILON)
    }
}

impl Job {
    const fn target(self) -> Target {
        match self {
            Self::FirstImport => Target { cpu_ratio: 4.0, aim: 2.0 },
            Self::Unchanged => Target { cpu_ratio: 2.0, aim: 1.0 },
            Self::ReconcileOnePercent => Target { cpu_ratio: 3.0, aim: 1.5 },
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
        let measured = [Measured {
            job: Job::Unchanged,
            engine: vec![cost(900, 900, 60), cost(300, 200, 50), cost(100, 100, 40)],
            baseline: vec![cost(100, 100, 10), cost(150, 100, 10), cost(900, 900, 10)],
        }];
        let rows = rows(30_000, &measured);
        expect![[r"
            job        objects  seconds  objects/s  CPU s  peak MB  written MB  baseline s  baseline CPU s  ratio  CPU ratio  must (aim)
            unchanged    30000     0.30     100000   0.20       50           0        0.15            0.10   2.00       2.00       2 (1)  reached
            Medians. The baseline is the expert's SQL script. Peak memory: at most 150 MB, aiming for 80 MB.
        "]]
        .assert_eq(&table(&rows));
        let document: Value = serde_json::from_str(&json("import", &rows)).unwrap_or_default();
        assert_eq!(document["rows"][0]["cpu_ratio"], 2.0);
        assert_eq!(document["rows"][0]["job"], "unchanged");
    }
}
