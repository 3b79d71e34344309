//! A resource with more than one connector: who of them does what.

use std::sync::Arc;

use tidelock_connector_api::{
    AsyncUpdates, Connector, Error, Finding, LiveSync, ObjectStream, Provision, Result, SearchRequest, async_trait,
};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::{ResourceObject, Schema};

/// Everything from the main connector, and the changes that are pushed from another one. So a source that tells no more than *which*
/// objects have changed serves a resource that is read in another way.
pub(crate) struct Pushed {
    /// Knows and reads the objects.
    pub(crate) main: Arc<dyn Connector>,
    /// Pushes their changes.
    pub(crate) source: Arc<dyn Connector>,
}

#[async_trait]
impl Connector for Pushed {
    async fn schema(&self) -> Result<Schema> {
        self.main.schema().await
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        self.main.search(request)
    }

    fn can_read(&self) -> bool {
        self.main.can_read()
    }

    async fn test(&self) -> Result<()> {
        self.main.test().await?;
        let tested = self.source.test().await;
        tested.map_err(|error| Error::new(error.kind(), "the additional connector").with_source(error))
    }

    async fn get_many(&self, class: &str, identifiers: &[&str]) -> Result<Vec<Result<Option<ResourceObject>>>> {
        self.main.get_many(class, identifiers).await
    }

    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        self.main.supports(class, filter)
    }

    fn native_query(&self, request: &SearchRequest) -> Option<String> {
        self.main.native_query(request)
    }

    async fn count(&self, request: &SearchRequest) -> Result<Option<u64>> {
        self.main.count(request).await
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        self.main.live_sync()
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        self.source.async_updates()
    }

    fn provision(&self) -> Option<&dyn Provision> {
        self.main.provision()
    }

    async fn capabilities(&self) -> Result<Vec<Finding>> {
        let mut findings = self.main.capabilities().await?;
        findings.extend(self.source.capabilities().await?);
        Ok(findings)
    }
}
