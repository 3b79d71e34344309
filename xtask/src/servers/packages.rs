//! Installing what tests need, where we may.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Sees to it that Debian's packages are there whose programs some tests call. Their servers are not started.
///
/// # Errors
///
/// A program is missing, and this is no Debian where we may install it.
pub(super) fn need(who: &str, packages: &[&str], missing: impl Fn() -> Option<String>) -> Result<()> {
    let Some(program) = missing() else { return Ok(()) };
    let names = packages.join(" and ");
    if !shell::works(Command::new("apt-get").arg("--version")) || !rustix::process::geteuid().is_root() {
        bail!("{who} need {program}: install {names} (so Debian calls the packages), then run this again");
    }
    shell::run(Command::new("apt-get").args(["update", "-qq"]))?;
    // The packages would start servers of their own, unless the system seems to be in single-user mode; or to systemd, off.
    let quietly = [("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1"), ("SYSTEMD_OFFLINE", "1")];
    let mut install = Command::new("apt-get");
    shell::run(install.args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages).envs(quietly))?;
    match missing() {
        Some(program) => bail!("{names} were installed, and {program} is still missing"),
        None => Ok(()),
    }
}
