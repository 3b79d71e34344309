//! OpenLDAP's server, which the LDAP connector's tests start for themselves.

use std::path::Path;

use anyhow::Result;

use super::packages;

/// The programs that the tests call, each in the folders where systems have it.
const PROGRAMS: &[&str] = &["slapd", "slapadd", "ldapadd", "ldapmodify", "ldapdelete", "ldapsearch"];

/// Sees to it that slapd and OpenLDAP's tools are there.
///
/// # Errors
///
/// They are missing, and this is no Debian where we may install them.
pub(crate) fn need() -> Result<()> {
    packages::need("the LDAP connector's tests", &["slapd", "ldap-utils"], || missing().map(str::to_owned))
}

/// The first program that is not there.
fn missing() -> Option<&'static str> {
    const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec"];
    PROGRAMS.iter().copied().find(|program| !FOLDERS.iter().any(|folder| Path::new(folder).join(program).exists()))
}
