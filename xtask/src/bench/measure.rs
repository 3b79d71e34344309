//! What one run of a program costs: time on the clock, CPU time, peak memory, bytes written.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use wait4::Wait4 as _;

/// The cost of one run, the program's own children included.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    /// Bytes of memory at the worst moment. It has a floor of a few megabytes: what xtask itself had when it started the program.
    pub(super) peak_memory: u64,
    /// Bytes handed to the storage, where the system tells.
    pub(super) written: Option<u64>,
}

/// Runs a program to its end; its standard output is dropped unless the command says otherwise.
///
/// # Errors
///
/// It could not be started, or it failed.
pub(super) fn run(command: &mut Command) -> Result<Cost> {
    let program = command.get_program().to_string_lossy().into_owned();
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().with_context(|| format!("cannot start {program}"))?;
    // Its bytes can be read after its end, but only before it is waited for in earnest.
    let pid = Pid::from_child(&child);
    while let Err(err) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        if err != rustix::io::Errno::INTR {
            return Err(err).with_context(|| format!("cannot wait for {program}"));
        }
    }
    let wall = started.elapsed();
    let written = bytes_written(pid);
    let end = child.wait4().with_context(|| format!("cannot wait for {program}"))?;
    if !end.status.success() {
        bail!("{program} failed: {}", end.status);
    }
    Ok(Cost { wall, cpu: end.rusage.utime + end.rusage.stime, peak_memory: end.rusage.maxrss, written })
}

fn bytes_written(pid: Pid) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/io", pid.as_raw_nonzero())).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?;
    line.trim().parse().ok()
}

/// The middle value; of an even number of them, the upper of the two in the middle.
pub(super) fn median<T: PartialOrd + Copy>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.get(values.len() / 2).copied()
}

/// The value that so many of a hundred values, sorted, do not exceed.
pub(super) fn percentile(sorted: &[f64], part: usize) -> Option<f64> {
    sorted.get((sorted.len() * part).div_ceil(100).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([3, 1, 2]), Some(2));
        assert_eq!(median([5.0]), Some(5.0));
        assert_eq!(median(Vec::<u64>::new()), None);
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!((percentile(&values, 50), percentile(&values, 99)), (Some(100.0), Some(198.0)));
        assert_eq!(percentile(&[3.0], 99), Some(3.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_failing_program_is_an_error() {
        assert!(run(&mut Command::new("false")).is_err());
        assert!(run(&mut Command::new("true")).unwrap().peak_memory > 0);
    }
}
