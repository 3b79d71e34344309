//! OpenLDAP's slapd.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::process::{Home, free_ports};
use crate::{PASSWORD, Program};

/// What its log says once its ports are its own. It listens a moment later.
const READY: &str = "slapd starting";

/// A slapd with one database, whose suffix is [`Slapd::SUFFIX`].
pub struct Slapd {
    home: Home,
    port: u16,
    tls_port: Option<u16>,
}

/// How a slapd is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SlapdSetup {
    /// Lines of the configuration before the database.
    pub global: String,
    /// Lines of the configuration of the database.
    pub database: String,
    /// Whether it offers content synchronization (RFC 4533).
    pub syncprov: bool,
    /// How many changes it keeps in mind.
    pub session_log: u32,
    /// A folder with `ca.pem`, `server.pem` and `server.key`; without one, nothing is encrypted.
    pub certificates: Option<PathBuf>,
    /// Whether what it has said to be done is on the disk. That takes its time, so only measurements ask for it.
    pub durable: bool,
    /// Whether it begins without a single entry: one that replicates another gets them from there.
    pub bare: bool,
}

impl Default for SlapdSetup {
    fn default() -> Self {
        let (global, database) = (String::new(), String::new());
        Self { global, database, syncprov: true, session_log: 10_000, certificates: None, durable: false, bare: false }
    }
}

impl Slapd {
    /// The name of everything.
    pub const SUFFIX: &'static str = "dc=example,dc=org";

    /// Who may do everything, without limits. The password is [`PASSWORD`].
    pub const ADMIN: &'static str = "cn=admin,dc=example,dc=org";

    /// Who may read, within limits. The password is [`PASSWORD`].
    pub const READER: &'static str = "cn=reader,dc=example,dc=org";

    /// Starts one with the entries that every test has (the suffix, `ou=people`, `ou=groups` and the reader) and those given in
    /// LDIF.
    ///
    /// # Errors
    /// It is not installed, does not take the entries, or does not start.
    pub fn start(setup: &SlapdSetup, ldif: &str) -> Result<Self> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::start_once(setup, ldif) {
                // Somebody else may have taken a port meanwhile.
                Err(_) if attempts < 3 && Program::Slapd.path().is_some() => {}
                started => return started,
            }
        }
    }

    fn start_once(setup: &SlapdSetup, ldif: &str) -> Result<Self> {
        let home = Home::new("slapd")?;
        let configuration = home.folder().join("slapd.conf");
        fs::create_dir(home.folder().join("data"))?;
        fs::write(&configuration, configured(home.folder(), setup)?)?;
        if !setup.bare {
            let entries = home.folder().join("entries.ldif");
            fs::write(&entries, common_entries() + ldif)?;
            let mut slapadd = Program::SlapAdd.command()?;
            succeed(slapadd.args(["-q", "-w", "-f"]).arg(&configuration).arg("-l").arg(&entries))?;
            fs::remove_file(&entries)?;
        }
        let [port, tls_port] = free_ports()?;
        let tls_port = setup.certificates.is_some().then_some(tls_port);
        let mut slapd = Self { home, port, tls_port };
        slapd.run()?;
        Ok(slapd)
    }

    /// Starts it again after [`Slapd::stop`] or [`Slapd::kill`], at the same port with the same data.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub fn run(&mut self) -> Result<()> {
        let mut urls = self.url();
        if let Some(port) = self.tls_port {
            write!(urls, " ldaps://127.0.0.1:{port}/")?;
        }
        let mut command = Program::Slapd.command()?;
        command.args(["-d", "none", "-h", &urls, "-f"]).arg(self.home.folder().join("slapd.conf"));
        self.home.start(&mut command, READY)?;
        self.home.wait_for_port(self.port)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn stop(&mut self) -> Result<()> {
        self.home.stop()
    }

    /// Ends it at once, as if the power had failed.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.home.kill()
    }

    /// Holds it: it answers nothing, and its connections stay.
    ///
    /// # Errors
    /// It does not run.
    pub fn suspend(&self) -> Result<()> {
        self.home.suspend()
    }

    /// Lets it go on after [`Slapd::suspend`].
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&self) -> Result<()> {
        self.home.resume()
    }

    /// Its address: `ldap://127.0.0.1:389/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/", self.port)
    }

    /// The port at which nothing is encrypted, unless that is asked for.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port at which everything is encrypted; none without certificates.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls_port
    }

    /// Its folder: `slapd.conf`, `data`, `log`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// Adds entries.
    ///
    /// # Errors
    /// It does not take them.
    pub fn add(&self, ldif: &str) -> Result<()> {
        self.fed(Program::LdapAdd, &[], ldif)
    }

    /// Changes entries, each by a change record.
    ///
    /// # Errors
    /// It does not take the changes.
    pub fn modify(&self, ldif: &str) -> Result<()> {
        self.fed(Program::LdapModify, &[], ldif)
    }

    /// Deletes an entry.
    ///
    /// # Errors
    /// It does not delete it.
    pub fn delete(&self, dn: &str) -> Result<()> {
        self.fed(Program::LdapDelete, &[dn], "")
    }

    /// What OpenLDAP's own search prints: entries as LDIF, each value on a line.
    ///
    /// # Errors
    /// The search fails.
    pub fn search(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(Program::LdapSearch)?;
        command.args(["-LLL", "-o", "ldif-wrap=no", "-b", Self::SUFFIX]).args(arguments);
        Ok(String::from_utf8(succeed(&mut command)?)?)
    }

    /// The value of an attribute of an entry, as OpenLDAP's own search prints it.
    ///
    /// # Errors
    /// The search fails: there is no such entry.
    pub fn value(&self, dn: &str, attribute: &str) -> Result<Option<String>> {
        let printed = self.search(&["-b", dn, "-s", "base", "(objectClass=*)", attribute])?;
        let start = format!("{attribute}: ");
        Ok(printed.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned))
    }

    /// One of OpenLDAP's tools, told where this server is and that it speaks for the administrator.
    ///
    /// # Errors
    /// It is not installed.
    pub fn command(&self, tool: Program) -> Result<Command> {
        let mut command = tool.command()?;
        command.args(["-x", "-H", &self.url(), "-D", Self::ADMIN, "-w", PASSWORD]);
        Ok(command)
    }

    fn fed(&self, tool: Program, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = self.command(tool)?;
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut pipe = child.stdin.take().context("no pipe")?;
        // A tool that fails does not read to the end; its own words say more than the broken pipe.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{tool}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

fn common_entries() -> String {
    let (suffix, reader) = (Slapd::SUFFIX, Slapd::READER);
    format!(
        "dn: {suffix}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
         dn: ou=people,{suffix}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{suffix}\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: {reader}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n\n"
    )
}

fn configured(folder: &Path, setup: &SlapdSetup) -> Result<String> {
    let folder = folder.display();
    let mut text = String::new();
    for schema in ["core", "cosine", "inetorgperson", "nis"] {
        writeln!(text, "include /etc/ldap/schema/{schema}.schema")?;
    }
    writeln!(text, "pidfile {folder}/pid\nargsfile {folder}/args")?;
    writeln!(text, "modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov")?;
    if let Some(certificates) = &setup.certificates {
        let certificates = certificates.display();
        writeln!(text, "TLSCACertificateFile {certificates}/ca.pem\nTLSCertificateFile {certificates}/server.pem")?;
        writeln!(text, "TLSCertificateKeyFile {certificates}/server.key")?;
    }
    let (suffix, admin) = (Slapd::SUFFIX, Slapd::ADMIN);
    writeln!(
        text,
        "sizelimit unlimited\n{}\ndatabase mdb\nsuffix {suffix}\nrootdn {admin}\nrootpw {PASSWORD}\ndirectory {folder}/data\n\
         maxsize 4294967296\n{}index objectClass,entryUUID,entryCSN,uid eq\n{}",
        setup.global,
        if setup.durable { "" } else { "envflags nosync\n" },
        setup.database,
    )?;
    if setup.syncprov {
        // Without a checkpoint, a slapd that is killed goes back to an older position, and loses deletions for good.
        writeln!(text, "overlay syncprov\nsyncprov-checkpoint 1 1\nsyncprov-sessionlog {}", setup.session_log)?;
    }
    Ok(text)
}

fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}
