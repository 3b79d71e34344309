//! What directory servers have in common: how they are told what to do.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::{Home, free_ports};
use crate::{PASSWORD, Program};

/// The name of everything in every directory.
pub(crate) const SUFFIX: &str = "dc=example,dc=org";

/// Who may read, within limits, in every directory.
pub(crate) const READER: &str = "cn=reader,dc=example,dc=org";

/// Where a directory server is: the folder and process that are its own, and its ports.
pub struct Site {
    pub(crate) home: Home,
    pub(crate) port: u16,
    pub(crate) tls_port: Option<u16>,
}

impl Site {
    /// A site in this folder. There is a port for encryption where there are certificates.
    pub(crate) fn new(home: Home, certificates: Option<&Path>) -> Result<Self> {
        let [port, tls_port] = free_ports()?;
        Ok(Self { home, port, tls_port: certificates.map(|_| tls_port) })
    }
}

/// A private directory server. It has the suffix, `ou=people`, `ou=groups` and the reader, and is changed by OpenLDAP's own tools.
pub trait Directory {
    /// Where it is.
    fn site(&self) -> &Site;

    /// The same, to be changed.
    fn site_mut(&mut self) -> &mut Site;

    /// Who may do everything, without limits. The password is [`PASSWORD`].
    fn admin(&self) -> &'static str;

    /// Starts it again after [`Directory::stop`] or [`Directory::kill`], at the same port with the same data.
    ///
    /// # Errors
    /// It runs, or does not start.
    fn run(&mut self) -> Result<()>;

    /// The port at which nothing is encrypted, unless that is asked for.
    fn port(&self) -> u16 {
        self.site().port
    }

    /// The port at which everything is encrypted; none without certificates.
    fn tls_port(&self) -> Option<u16> {
        self.site().tls_port
    }

    /// Its folder, in which it has everything.
    fn folder(&self) -> &Path {
        self.site().home.folder()
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It cannot be ended.
    fn stop(&mut self) -> Result<()> {
        self.site_mut().home.stop()
    }

    /// Ends it at once, as if the power had failed.
    ///
    /// # Errors
    /// It cannot be ended.
    fn kill(&mut self) -> Result<()> {
        self.site_mut().home.kill()
    }

    /// Holds it: it answers nothing, and its connections stay.
    ///
    /// # Errors
    /// It does not run.
    fn suspend(&self) -> Result<()> {
        self.site().home.suspend()
    }

    /// Lets it go on after [`Directory::suspend`].
    ///
    /// # Errors
    /// It does not run.
    fn resume(&self) -> Result<()> {
        self.site().home.resume()
    }

    /// Its address: `ldap://127.0.0.1:389/`.
    fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/", self.port())
    }

    /// Adds entries.
    ///
    /// # Errors
    /// It does not take them.
    fn add(&self, ldif: &str) -> Result<()> {
        fed(self.command(Program::LdapAdd)?, ldif)
    }

    /// Changes entries, each by a change record.
    ///
    /// # Errors
    /// It does not take the changes.
    fn modify(&self, ldif: &str) -> Result<()> {
        fed(self.command(Program::LdapModify)?, ldif)
    }

    /// Deletes an entry.
    ///
    /// # Errors
    /// It does not delete it.
    fn delete(&self, dn: &str) -> Result<()> {
        let mut command = self.command(Program::LdapDelete)?;
        command.arg(dn);
        fed(command, "")
    }

    /// What OpenLDAP's own search prints: entries as LDIF, each value on a line.
    ///
    /// # Errors
    /// The search fails.
    fn search(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(Program::LdapSearch)?;
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX]).args(arguments);
        Ok(String::from_utf8(succeed(&mut command)?)?)
    }

    /// The value of an attribute of an entry, as OpenLDAP's own search prints it.
    ///
    /// # Errors
    /// The search fails: there is no such entry.
    fn value(&self, dn: &str, attribute: &str) -> Result<Option<String>> {
        let printed = self.search(&["-b", dn, "-s", "base", "(objectClass=*)", attribute])?;
        let start = format!("{attribute}: ");
        Ok(printed.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned))
    }

    /// One of OpenLDAP's tools, told where this server is and that it speaks for the administrator.
    ///
    /// # Errors
    /// It is not installed.
    fn command(&self, tool: Program) -> Result<Command> {
        let mut command = tool.command()?;
        command.args(["-x", "-H", &self.url(), "-D", self.admin(), "-w", PASSWORD]);
        Ok(command)
    }
}

/// The entries that every test has. `suffix` are more lines of the first one.
pub(crate) fn common_entries(suffix: &str) -> String {
    format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n{suffix}\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n\n"
    )
}

/// Runs a command to its end, and gives what it prints.
pub(crate) fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

fn fed(mut command: Command, input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut pipe = child.stdin.take().context("no pipe")?;
    // A tool that fails does not read to the end; its own words say more than the broken pipe.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
