//! The programs that are needed, and where systems have them.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

/// A program of another project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Program {
    /// Starts RabbitMQ. Not Debian's wrapper, which insists on being root or RabbitMQ's own user.
    RabbitMqServer,
    /// Commands a RabbitMQ.
    RabbitMqControl,
    /// Is a NATS server.
    NatsServer,
    /// Is OpenLDAP's server.
    Slapd,
    /// Fills a slapd's database.
    SlapAdd,
    /// Adds entries to a directory.
    LdapAdd,
    /// Modifies entries.
    LdapModify,
    /// Deletes entries.
    LdapDelete,
    /// Searches a directory.
    LdapSearch,
    /// Is 389 Directory Server.
    NsSlapd,
    /// Keeps certificates as 389 Directory Server wants them.
    CertUtil,
    /// Puts a key beside them.
    Pk12Util,
    /// Packs a key and its certificate for that.
    OpenSsl,
}

impl Program {
    /// Those that every run of the tests needs.
    pub const ALL: &[Self] = &[
        Self::RabbitMqServer,
        Self::RabbitMqControl,
        Self::NatsServer,
        Self::Slapd,
        Self::SlapAdd,
        Self::LdapAdd,
        Self::LdapModify,
        Self::LdapDelete,
        Self::LdapSearch,
    ];

    /// Those that the long run needs besides.
    pub const LONG_RUN: &[Self] = &[Self::NsSlapd, Self::CertUtil, Self::Pk12Util, Self::OpenSsl];

    /// Its file, if it is there.
    #[must_use]
    pub fn path(self) -> Option<PathBuf> {
        let searched = std::env::var_os("PATH").unwrap_or_default();
        let searched: Vec<PathBuf> = std::env::split_paths(&searched).collect();
        let folders = self.folders().iter().map(PathBuf::from).chain(searched);
        folders.map(|folder| folder.join(self.file())).find(|path| path.is_file())
    }

    /// The package that brings it, by its name in Debian.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::RabbitMqServer | Self::RabbitMqControl => "rabbitmq-server",
            Self::NatsServer => "nats-server",
            Self::Slapd | Self::SlapAdd => "slapd",
            Self::LdapAdd | Self::LdapModify | Self::LdapDelete | Self::LdapSearch => "ldap-utils",
            Self::NsSlapd => "389-ds-base",
            Self::CertUtil | Self::Pk12Util => "libnss3-tools",
            Self::OpenSsl => "openssl",
        }
    }

    pub(crate) fn command(self) -> Result<Command> {
        let path = self.path().with_context(|| {
            let package = self.package();
            format!("{self} is not installed, and the tests need it: install the package `{package}`, as `cargo xtask test` does")
        })?;
        Ok(Command::new(path))
    }

    const fn file(self) -> &'static str {
        match self {
            Self::RabbitMqServer => "rabbitmq-server",
            Self::RabbitMqControl => "rabbitmqctl",
            Self::NatsServer => "nats-server",
            Self::Slapd => "slapd",
            Self::SlapAdd => "slapadd",
            Self::LdapAdd => "ldapadd",
            Self::LdapModify => "ldapmodify",
            Self::LdapDelete => "ldapdelete",
            Self::LdapSearch => "ldapsearch",
            Self::NsSlapd => "ns-slapd",
            Self::CertUtil => "certutil",
            Self::Pk12Util => "pk12util",
            Self::OpenSsl => "openssl",
        }
    }

    /// Where it is looked for before the folders of `PATH`.
    const fn folders(self) -> &'static [&'static str] {
        match self {
            Self::RabbitMqServer | Self::RabbitMqControl => &[
                "/usr/lib/rabbitmq/bin",
                "/opt/rabbitmq/sbin",
                "/opt/homebrew/opt/rabbitmq/sbin",
                "/usr/local/opt/rabbitmq/sbin",
            ],
            // Debian has some of them where only root looks.
            Self::Slapd | Self::SlapAdd | Self::LdapAdd | Self::LdapModify | Self::LdapDelete | Self::LdapSearch => {
                &["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec"]
            }
            Self::NatsServer => &["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"],
            Self::NsSlapd | Self::CertUtil | Self::Pk12Util | Self::OpenSsl => {
                &["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file())
    }
}
