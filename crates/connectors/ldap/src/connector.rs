//! The connector itself.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tidelock_connector_api::{
    AsyncUpdates, Connector, Finding, ListeningStatus, LiveSync, ObjectStream, Provision, Result, SearchRequest, async_trait,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ResourceObject, Schema};
use tidelock_model::{Diagnostic, Diagnostics};

use crate::async_updates::Settled;
use crate::client::Pool;
use crate::config::{LdapConfig, SynchronizationStrategy};
use crate::message::Scope;
use crate::schema::Directory;
use crate::translate::translate;
use crate::{capabilities, live_sync, lookup, search};

/// An LDAP directory as a resource.
#[derive(Clone)]
pub struct Ldap {
    pub(crate) pool: Arc<Pool>,
    /// What was learned of the directory last.
    directory: Arc<RwLock<Option<Arc<Directory>>>>,
    /// How far what was pushed is settled.
    pub(crate) settled: Arc<Settled>,
    /// How the connection is over which changes are pushed.
    pub(crate) listening: Arc<ListeningStatus>,
    warnings: Diagnostics,
}

impl Ldap {
    /// A connector for a configuration. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(config: LdapConfig) -> Self {
        Self {
            pool: Arc::new(Pool::new(Arc::new(config))),
            directory: Arc::default(),
            settled: Arc::default(),
            listening: Arc::default(),
            warnings: Vec::new(),
        }
    }

    /// What was noticed in the definition that does not keep it from being used.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &LdapConfig {
        self.pool.config()
    }

    pub(crate) fn with_warnings(mut self, warnings: Diagnostics) -> Self {
        self.warnings = warnings;
        self
    }

    /// What is known of the directory; asked for where it was not yet.
    pub(crate) async fn directory(&self) -> Result<Arc<Directory>> {
        match self.known() {
            Some(directory) => Ok(directory),
            None => self.discover().await,
        }
    }

    /// Asks the directory what it is.
    pub(crate) async fn discover(&self) -> Result<Arc<Directory>> {
        let directory = Arc::new(Directory::read(&self.pool).await?);
        self.pool.learn(&directory.subschema);
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&directory));
        Ok(directory)
    }

    pub(crate) fn known(&self) -> Option<Arc<Directory>> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Connector for Ldap {
    async fn schema(&self) -> Result<Schema> {
        self.discover().await.map(|directory| directory.schema.clone())
    }

    /// Entries of a class derived from the one asked for are not of it, and are passed over.
    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        search::stream(&self.pool, self.directory(), request)
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        let directory = self.directory().await?;
        lookup::get_many(&self.pool, &directory, class, identifiers).await
    }

    /// Until the schema was read once, nothing is known of what the server can compare.
    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        if *filter == BoundFilter::All {
            return true;
        }
        let directory = self.known();
        let class = directory.as_ref().and_then(|directory| directory.class(class).ok());
        class.is_some_and(|class| translate(class, filter).complete)
    }

    fn native_query(&self, request: &SearchRequest) -> Option<String> {
        let directory = self.known()?;
        let search = search::plan(self.config(), directory.class(&request.class).ok()?, request);
        let scope = match search.scope {
            Scope::Base => "base",
            Scope::One => "one",
            Scope::Sub => "sub",
        };
        Some(format!("search {} below '{}' (scope {scope}) for {}", self.config().server(), search.base, search.filter))
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        (self.config().synchronization != SynchronizationStrategy::None).then_some(self)
    }

    /// Content synchronization only: it takes a server that speaks of its own accord. As long as it is not known which server it is,
    /// it may be one that does; then a listener is told that it does not.
    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        let strategy = self.config().synchronization;
        let possible = matches!(strategy, SynchronizationStrategy::Auto | SynchronizationStrategy::Syncrepl);
        let is_389 = self.known().is_some_and(|directory| directory.root.is_389());
        (possible && live_sync::is_by_uuid(self) && !is_389).then_some(self)
    }

    fn provision(&self) -> Option<&dyn Provision> {
        Some(self)
    }

    async fn capabilities(&self) -> Result<Vec<Finding>> {
        capabilities::measure(self).await
    }
}

/// Without what is secret.
impl fmt::Debug for Ldap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ldap({})", self.config().server())
    }
}
