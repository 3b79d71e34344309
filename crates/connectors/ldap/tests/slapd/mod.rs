//! A private slapd: own configuration, own data, a free port, gone with the value.
//!
//! What tests change behind the connector's back goes through OpenLDAP's own tools.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource};

pub mod proxy;
pub mod reading;

/// The name of everything.
pub const SUFFIX: &str = "dc=example,dc=org";

/// Who may do everything, without limits.
pub const ADMIN: &str = "cn=admin,dc=example,dc=org";

/// Who may read, within limits.
pub const READER: &str = "cn=reader,dc=example,dc=org";

/// The password of both.
pub const PASSWORD: &str = "sesame";

/// A running server.
pub struct Slapd {
    folder: TempDir,
    port: u16,
    tls_port: u16,
    child: Option<Child>,
}

/// How a server is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The lines of the configuration before the database.
    pub global: &'static str,
    /// The lines of the configuration of the database.
    pub database: &'static str,
    /// Whether it offers content synchronization.
    pub syncprov: bool,
    /// How many changes it keeps in mind.
    pub session_log: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self { global: "", database: "", syncprov: true, session_log: 10_000 }
    }
}

impl Slapd {
    /// A server with the entries that every test has: the suffix, `ou=people`, `ou=groups` and the reader.
    pub fn start() -> Self {
        Self::with(Setup::default(), "")
    }

    /// A server that is set up otherwise, with more entries.
    pub fn with(setup: Setup, ldif: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("slapd.conf"), configuration(folder.path(), setup)).unwrap();
        let mut entries = format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
             dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n\
             dn: ou=groups,{SUFFIX}\nobjectClass: organizationalUnit\nou: groups\n\n\
             dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: reader\nuserPassword: {PASSWORD}\n\n"
        );
        entries.push_str(ldif);
        let file = folder.path().join("entries.ldif");
        fs::write(&file, entries).unwrap();
        let mut slapadd = tool("slapadd");
        let added = slapadd.arg("-q").arg("-w").arg("-f").arg(folder.path().join("slapd.conf")).arg("-l").arg(&file);
        succeed(added, "slapadd");
        let mut server = Self { folder, port: 0, tls_port: 0, child: None };
        server.run();
        server
    }

    /// Starts the process, at the port it had, or a free one.
    pub fn run(&mut self) {
        for _ in 0..10 {
            if self.port == 0 {
                // Both at the same time, so that they are not the same.
                let free = [0, 0].map(|_: u8| TcpListener::bind("127.0.0.1:0").unwrap());
                [self.port, self.tls_port] = free.map(|listener| listener.local_addr().unwrap().port());
            }
            let url = format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.port, self.tls_port);
            let mut command = tool("slapd");
            command.args(["-d", "0", "-h", &url, "-f"]).arg(self.folder.path().join("slapd.conf"));
            let log = fs::File::create(self.folder.path().join("log")).unwrap();
            let mut child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
            let patience = Instant::now() + Duration::from_secs(20);
            while Instant::now() < patience {
                if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && child.try_wait().unwrap().is_none() {
                    self.child = Some(child);
                    return;
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            // Somebody else may have taken the port.
            let _ = child.kill();
            let _ = child.wait();
            self.port = 0;
        }
        panic!("slapd does not start: {}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
    }

    /// Ends the process, as if the power had failed.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends the process in order.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port at which everything is encrypted.
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration that reads as the reader.
    pub fn config(&self) -> LdapConfig {
        config(self.port)
    }

    /// A connector that reads as the reader.
    pub fn connector(&self) -> Ldap {
        Ldap::new(self.config())
    }

    /// Adds entries.
    pub fn add(&self, ldif: &str) {
        self.tool_with_input("ldapadd", &[], ldif);
    }

    /// Changes entries, each by a change record.
    pub fn modify(&self, ldif: &str) {
        self.tool_with_input("ldapmodify", &[], ldif);
    }

    /// Deletes an entry.
    pub fn delete(&self, dn: &str) {
        self.tool_with_input("ldapdelete", &[dn], "");
    }

    /// What OpenLDAP's own search prints.
    pub fn search(&self, arguments: &[&str]) -> String {
        let mut command = tool("ldapsearch");
        command.args(["-LLL", "-o", "ldif-wrap=no", "-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD, "-b", SUFFIX]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "ldapsearch: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The value of an attribute of an entry, as OpenLDAP's own search prints it.
    pub fn value(&self, dn: &str, attribute: &str) -> Option<String> {
        let printed = self.search(&["-b", dn, "-s", "base", "(objectClass=*)", attribute]);
        let start = format!("{attribute}: ");
        printed.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}/", self.port)
    }

    fn tool_with_input(&self, name: &str, arguments: &[&str], input: &str) {
        let mut command = tool(name);
        command.args(["-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A configuration that reads as the reader, at a port of this machine.
pub fn config(port: u16) -> LdapConfig {
    let mut config = LdapConfig::new("127.0.0.1", port, SUFFIX);
    config.bind = Some(Bind { name: READER.to_owned(), password: PasswordSource::Text(PASSWORD.into()) });
    config.classes = vec!["inetOrgPerson".into(), "groupOfNames".into()];
    config
}

/// People in LDIF.
pub fn people(numbers: std::ops::Range<usize>) -> String {
    let mut ldif = String::new();
    for number in numbers {
        write!(
            ldif,
            "dn: uid=u{number},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: u{number}\ncn: Person {number}\nsn: {number}\n\
             givenName: Given\nmail: u{number}@example.org\nemployeeNumber: {number}\ndescription: of number {number}\n\n"
        )
        .unwrap();
    }
    ldif
}

/// A group in LDIF.
pub fn group(name: &str, members: impl IntoIterator<Item = usize>) -> String {
    let mut ldif = format!("dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n");
    for number in members {
        writeln!(ldif, "member: uid=u{number},ou=people,{SUFFIX}").unwrap();
    }
    ldif.push('\n');
    ldif
}

/// A file of the tests' certificates.
pub fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn configuration(folder: &Path, setup: Setup) -> String {
    let folder = folder.display();
    let mut text = String::new();
    for schema in ["core", "cosine", "inetorgperson", "nis"] {
        writeln!(text, "include /etc/ldap/schema/{schema}.schema").unwrap();
    }
    let (authority, server, key) = (certificate("ca.pem"), certificate("server.pem"), certificate("server.key"));
    writeln!(
        text,
        "pidfile {folder}/pid\nargsfile {folder}/args\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload syncprov\n\
         TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\nsizelimit unlimited\n{}\n\
         database mdb\nsuffix {SUFFIX}\nrootdn {ADMIN}\nrootpw {PASSWORD}\ndirectory {folder}/data\nmaxsize 4294967296\n\
         envflags nosync\nindex objectClass,entryUUID,entryCSN,uid eq\n{}",
        authority.display(),
        server.display(),
        key.display(),
        setup.global,
        setup.database,
    )
    .unwrap();
    if setup.syncprov {
        // Without a checkpoint, a slapd that is killed goes back to an older position, and loses deletions for good.
        writeln!(text, "overlay syncprov\nsyncprov-checkpoint 1 1\nsyncprov-sessionlog {}", setup.session_log).unwrap();
    }
    text
}

/// One of OpenLDAP's programs. Debian has some of them where only root looks.
fn tool(name: &str) -> Command {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    Command::new(found.unwrap_or_else(|| {
        panic!("{name} is not installed, and these tests need it: install slapd and ldap-utils, as `cargo xtask test` does")
    }))
}

fn succeed(command: &mut Command, name: &str) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}
