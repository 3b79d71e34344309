//! A private slapd, and what the tests' directories hold.
//!
//! What tests change behind the connector's back goes through OpenLDAP's own tools.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use tidelock_ldap::{Bind, Ldap, LdapConfig, PasswordSource};
use tidelock_servers::{Directory as _, SlapdSetup};

pub use tidelock_servers::PASSWORD;

pub mod proxy;
pub mod reading;

/// The name of everything.
pub const SUFFIX: &str = tidelock_servers::Slapd::SUFFIX;

/// Who may do everything, without limits.
pub const ADMIN: &str = tidelock_servers::Slapd::ADMIN;

/// Who may read, within limits.
pub const READER: &str = tidelock_servers::Slapd::READER;

/// A running server.
pub struct Slapd(tidelock_servers::Slapd);

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
        let mut common = SlapdSetup::default();
        common.global = setup.global.to_owned();
        common.database = setup.database.to_owned();
        common.syncprov = setup.syncprov;
        common.session_log = setup.session_log;
        common.certificates = Some(certificate(""));
        Self(tidelock_servers::Slapd::start(&common, ldif).unwrap())
    }

    /// Starts the process again, at the port it had.
    pub fn run(&mut self) {
        self.0.run().unwrap();
    }

    /// Ends the process, as if the power had failed.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Ends the process in order.
    pub fn stop(&mut self) {
        self.0.stop().unwrap();
    }

    /// Starts the process again, with more lines in the configuration of its database.
    pub fn configure(&mut self, lines: &str) {
        self.edit(|configuration| {
            let at = configuration.find("\ndirectory ").unwrap() + 1;
            format!("{}{lines}{}", &configuration[..at], &configuration[at..])
        });
    }

    /// Starts the process again, with a database of another name in place of the one it had.
    pub fn detach(&mut self) {
        self.edit(|configuration| configuration.replace(SUFFIX, "dc=other"));
    }

    fn edit(&mut self, edit: impl FnOnce(String) -> String) {
        self.stop();
        let file = self.folder().join("slapd.conf");
        let configuration = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, edit(configuration)).unwrap();
        self.run();
    }

    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The port at which everything is encrypted.
    pub fn tls_port(&self) -> u16 {
        self.0.tls_port().unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.0.folder()
    }

    /// A configuration that reads as the reader.
    pub fn config(&self) -> LdapConfig {
        config(self.port())
    }

    /// A connector that reads as the reader.
    pub fn connector(&self) -> Ldap {
        Ldap::new(self.config())
    }

    /// Adds entries.
    pub fn add(&self, ldif: &str) {
        self.0.add(ldif).unwrap();
    }

    /// Changes entries, each by a change record.
    pub fn modify(&self, ldif: &str) {
        self.0.modify(ldif).unwrap();
    }

    /// Deletes an entry.
    pub fn delete(&self, dn: &str) {
        self.0.delete(dn).unwrap();
    }

    /// What OpenLDAP's own search prints.
    pub fn search(&self, arguments: &[&str]) -> String {
        self.0.search(arguments).unwrap()
    }

    /// The value of an attribute of an entry, as OpenLDAP's own search prints it.
    pub fn value(&self, dn: &str, attribute: &str) -> Option<String> {
        self.0.value(dn, attribute).unwrap()
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
