//! OpenLDAP's slapd.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::directory::{Directory, READER, SUFFIX, Site, common_entries, succeed};
use crate::process::{Home, started};
use crate::{PASSWORD, Program};

/// What its log says once its ports are its own. It listens a moment later.
const READY: &str = "slapd starting";

/// A slapd with one database, whose suffix is [`Slapd::SUFFIX`].
pub struct Slapd {
    site: Site,
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
    /// A file with more entries in LDIF: those that are too many to be kept in memory.
    pub entries: Option<PathBuf>,
    /// Whether it begins without a single entry: one that replicates another gets them from there.
    pub bare: bool,
}

impl Default for SlapdSetup {
    fn default() -> Self {
        let (global, database) = (String::new(), String::new());
        let (certificates, entries) = (None, None);
        Self { global, database, syncprov: true, session_log: 10_000, certificates, durable: false, entries, bare: false }
    }
}

impl Slapd {
    /// The name of everything.
    pub const SUFFIX: &'static str = SUFFIX;

    /// Who may do everything, without limits. The password is [`PASSWORD`].
    pub const ADMIN: &'static str = "cn=admin,dc=example,dc=org";

    /// Who may read, within limits. The password is [`PASSWORD`].
    pub const READER: &'static str = READER;

    /// Starts one with the entries that every test has (the suffix, `ou=people`, `ou=groups` and the reader) and those given in
    /// LDIF.
    ///
    /// # Errors
    /// It is not installed, does not take the entries, or does not start.
    pub fn start(setup: &SlapdSetup, ldif: &str) -> Result<Self> {
        started(Program::Slapd, || Self::start_once(setup, ldif))
    }

    fn start_once(setup: &SlapdSetup, ldif: &str) -> Result<Self> {
        let home = Home::new("slapd")?;
        let configuration = home.folder().join("slapd.conf");
        fs::create_dir(home.folder().join("data"))?;
        fs::write(&configuration, configured(home.folder(), setup)?)?;
        if !setup.bare {
            let entries = home.folder().join("entries.ldif");
            fs::write(&entries, common_entries("") + ldif)?;
            for file in [&entries].into_iter().chain(&setup.entries) {
                let mut slapadd = Program::SlapAdd.command()?;
                succeed(slapadd.args(["-q", "-w", "-f"]).arg(&configuration).arg("-l").arg(file))?;
            }
            fs::remove_file(&entries)?;
        }
        let mut slapd = Self { site: Site::new(home, setup.certificates.as_deref())? };
        slapd.run()?;
        Ok(slapd)
    }
}

impl Directory for Slapd {
    /// Its folder has `slapd.conf`, `data`, `log`.
    fn site(&self) -> &Site {
        &self.site
    }

    fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    fn admin(&self) -> &'static str {
        Self::ADMIN
    }

    fn run(&mut self) -> Result<()> {
        let mut urls = self.url();
        if let Some(port) = self.tls_port() {
            write!(urls, " ldaps://127.0.0.1:{port}/")?;
        }
        let mut command = Program::Slapd.command()?;
        command.args(["-d", "none", "-h", &urls, "-f"]).arg(self.folder().join("slapd.conf"));
        let Site { home, port, .. } = &mut self.site;
        home.start(&mut command, READY)?;
        home.wait_for_port(*port)
    }
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
