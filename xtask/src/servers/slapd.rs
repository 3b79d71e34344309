//! OpenLDAP's server, which the LDAP connector's tests start for themselves.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// The programs that the tests call, each in the folders where systems have it.
const PROGRAMS: &[&str] = &["slapd", "slapadd", "ldapadd", "ldapmodify", "ldapdelete", "ldapsearch"];

/// Sees to it that slapd and OpenLDAP's tools are there.
///
/// # Errors
///
/// They are missing, and this is no Debian where we may install them.
pub(crate) fn need() -> Result<()> {
    let Some(missing) = missing() else { return Ok(()) };
    if !shell::works(Command::new("apt-get").arg("--version")) || !rustix::process::geteuid().is_root() {
        bail!("the LDAP connector's tests need {missing}: install the packages `slapd` and `ldap-utils`, then run this again");
    }
    shell::run(Command::new("apt-get").args(["update", "-qq"]))?;
    // The package would start a server of its own, unless the system seems to be in single-user mode.
    let quietly = [("DEBIAN_FRONTEND", "noninteractive"), ("RUNLEVEL", "1")];
    shell::run(
        Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends", "slapd", "ldap-utils"]).envs(quietly),
    )?;
    match self::missing() {
        Some(missing) => bail!("slapd and ldap-utils were installed, and {missing} is still missing"),
        None => Ok(()),
    }
}

/// The first program that is not there.
fn missing() -> Option<&'static str> {
    const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec"];
    PROGRAMS.iter().copied().find(|program| !FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists()))
}
