//! The connector's configuration: its options, and how they are read from a resource definition.

mod properties;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidelock_connector_api::{Error, Result};
use tidelock_model::definition::ConnectorConfiguration;
use tidelock_model::{Diagnostic, Diagnostics};

pub use self::properties::BUNDLE_NAMESPACE;
use crate::connector::Ldap;
use crate::filter::Filter;

/// Everything that can be configured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LdapConfig {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Servers with the same entries, by host and port, for when that one cannot be reached.
    pub replicas: Vec<(String, u16)>,
    /// How long another server is preferred once one could not be reached.
    pub switch_back: Duration,
    /// Whether the system sees to it that connections over which nothing goes are still there.
    pub keep_alive: bool,
    /// How the connection is encrypted.
    pub security: Security,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Who we are; none is anonymous.
    pub bind: Option<Bind>,
    /// The entry below which everything is that concerns us.
    pub base_context: String,
    /// How far below it searches reach.
    pub scope: SearchScope,
    /// What becomes of parts of the directory that are on other servers.
    pub referrals: Referrals,
    /// How results are asked for.
    pub paging: Paging,
    /// How many entries a page has.
    pub page_size: u32,
    /// The attribute that identifies an entry for its whole life; `dn` is its name.
    pub identifier: Arc<str>,
    /// Operational attributes that are read as well.
    pub operational_attributes: Vec<Arc<str>>,
    /// The object classes that the schema is limited to; empty for all.
    pub classes: Vec<Arc<str>>,
    /// What entries must meet besides, everywhere.
    pub(crate) additional_filter: Option<Filter>,
    /// How points in time are given.
    pub timestamps: TimestampForm,
    /// The attribute of passwords, which is never read.
    pub password_attribute: Arc<str>,
    /// How changes are found.
    pub synchronization: SynchronizationStrategy,
    /// The entry below which changes are looked for, where it is not the base context.
    pub synchronization_base: Option<String>,
    /// Whose changes are left out.
    pub ignored_modifiers: Vec<Box<str>>,
    /// How often the entries that are left are compared, where the server does not tell what was deleted.
    pub comparison_interval: Duration,
    /// Whether modifications are made so that what is so already is no error.
    pub permissive_modify: When,
    /// Whether an entry is deleted with everything below it.
    pub tree_delete: When,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the server may take to accept a request.
    pub write_timeout: Duration,
    /// How long a search may be silent.
    pub read_timeout: Duration,
    /// How long it is tried to have the connection back over which changes are pushed.
    pub reconnect_timeout: Duration,
    /// How often something is tried that changes nothing.
    pub attempts: u32,
    /// Whether a kept connection is tried out each time.
    pub check_alive: bool,
    /// Whether a class without a single entry is a complete answer.
    pub allow_empty: bool,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// From its first byte on: LDAPS.
    Tls,
    /// From an agreement at its beginning on.
    StartTls,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities that the system trusts.
    System,
    /// Those of the authorities in a PEM file.
    Authority(PathBuf),
    /// Everybody's.
    Anybody,
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct Bind {
    /// The distinguished name.
    pub name: String,
    /// Where the password is.
    pub password: PasswordSource,
}

/// Where a password is. The `Debug` form does not show it.
#[derive(Clone)]
pub enum PasswordSource {
    /// Here.
    Text(Box<str>),
    /// In a file; a line break at its end does not count. Read with every connection.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

/// How far below the base context searches reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchScope {
    /// To everything below it, and itself.
    Sub,
    /// To what is directly below it.
    One,
}

/// What becomes of parts of the directory that are on other servers. They are not read in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrals {
    /// They are passed over: a search that meets one is incomplete, and what is said to be missing may be there.
    Ignore,
    /// To meet one is an error.
    Throw,
}

/// How results are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// In pages, where the server offers that.
    Auto,
    /// All at once.
    None,
    /// In pages.
    Simple,
}

/// How points in time are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampForm {
    /// As points in time.
    Native,
    /// As milliseconds since 1970.
    UnixEpoch,
    /// As the text that the server gives.
    Text,
}

/// How changes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynchronizationStrategy {
    /// As the server allows best.
    Auto,
    /// Not at all.
    None,
    /// By content synchronization (RFC 4533).
    Syncrepl,
    /// By the time stamps of entries.
    ModifyTimestamp,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Where the server says that it can.
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

impl LdapConfig {
    /// The defaults, for a server without encryption and a base context.
    pub fn new(host: impl Into<String>, port: u16, base_context: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(10);
        Self {
            host: host.into(),
            port,
            replicas: Vec::new(),
            switch_back: timeout,
            keep_alive: false,
            security: Security::None,
            trust: Trust::System,
            bind: None,
            base_context: base_context.into(),
            scope: SearchScope::Sub,
            referrals: Referrals::Ignore,
            paging: Paging::Auto,
            // A page is a round trip: with 100, midPoint's default, a large directory takes half as long again.
            page_size: 1000,
            identifier: "entryUUID".into(),
            operational_attributes: Vec::new(),
            classes: Vec::new(),
            additional_filter: None,
            timestamps: TimestampForm::Native,
            password_attribute: "userPassword".into(),
            synchronization: SynchronizationStrategy::Auto,
            synchronization_base: None,
            ignored_modifiers: Vec::new(),
            comparison_interval: Duration::from_secs(3600),
            permissive_modify: When::Auto,
            tree_delete: When::Never,
            timeout,
            connect_timeout: timeout,
            write_timeout: timeout,
            read_timeout: Duration::from_secs(60),
            reconnect_timeout: Duration::from_secs(600),
            attempts: 3,
            check_alive: false,
            allow_empty: false,
        }
    }

    /// The server and its port, for people.
    #[must_use]
    pub fn server(&self) -> String {
        shown(&self.host, self.port)
    }

    /// All servers, by host and port, the preferred one first.
    pub(crate) fn servers(&self) -> impl ExactSizeIterator<Item = (&str, u16)> {
        let all: Vec<_> =
            std::iter::once((&*self.host, self.port)).chain(self.replicas.iter().map(|(host, port)| (&**host, *port))).collect();
        all.into_iter()
    }

    /// The entry below which changes are looked for.
    #[must_use]
    pub fn synchronized(&self) -> &str {
        self.synchronization_base.as_deref().unwrap_or(&self.base_context)
    }
}

/// Opens the connector that a definition configures. Relative file paths are relative to `base`, the definition's folder.
///
/// Nothing is connected yet: a server that does not answer is noticed by [`tidelock_connector_api::Connector::test`].
///
/// # Errors
/// Everything that is wrong with the configuration, each with its place and cure. What is merely doubtful comes with the
/// connector, as its [`Ldap::warnings`].
pub fn open(configuration: &ConnectorConfiguration, base: &Path) -> Result<Ldap, Diagnostics> {
    match read::read(configuration, base) {
        (config, diagnostics) if !diagnostics.iter().any(Diagnostic::is_error) => {
            Ok(Ldap::new(config).with_warnings(diagnostics))
        }
        (_, diagnostics) => Err(diagnostics),
    }
}

/// A server and its port, for people.
pub(crate) fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl PasswordSource {
    /// The password.
    pub(crate) fn read(&self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text.to_string()),
            Self::File(path) => {
                let read = fs::read_to_string(path);
                let shown = path.display();
                let text =
                    read.map_err(|error| Error::config(format!("cannot read the password's file {shown}")).with_source(error))?;
                Ok(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            Self::Variable(name) => std::env::var(name)
                .map_err(|_| Error::config(format!("the environment variable '{name}' with the password is not set"))),
        }
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Variable(name) => write!(f, "Variable({name})"),
        }
    }
}
