//! The connector itself.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tidelock_connector_api::{
    AsyncUpdates, Connector, Error, Finding, ListeningStatus, ObjectStream, OnFailure, Result, SearchRequest, async_trait,
};
use tidelock_messages::Decoder;
use tidelock_model::Diagnostic;
use tidelock_model::object::Schema;

use crate::capabilities;
use crate::config::NatsConfig;

/// A source of changes: a stream of NATS JetStream.
pub struct Nats {
    pub(crate) config: Arc<NatsConfig>,
    pub(crate) decoder: Decoder,
    pub(crate) on_failure: OnFailure,
    pub(crate) status: Arc<ListeningStatus>,
    warnings: Vec<Diagnostic>,
}

impl Nats {
    /// A connector with this configuration. The decoder knows the object classes.
    #[must_use]
    pub fn new(config: NatsConfig, decoder: Decoder, on_failure: OnFailure) -> Self {
        Self { config: Arc::new(config), decoder, on_failure, status: Arc::default(), warnings: Vec::new() }
    }

    pub(crate) fn with_warnings(mut self, warnings: Vec<Diagnostic>) -> Self {
        self.warnings = warnings;
        self
    }

    /// What is doubtful about the configuration.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &NatsConfig {
        &self.config
    }
}

#[async_trait]
impl Connector for Nats {
    /// The object classes that the definition has: a stream cannot say.
    async fn schema(&self) -> Result<Schema> {
        Ok(Schema::clone(self.decoder.schema()))
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        let stream = &self.config.stream;
        let message = format!(
            "'{}' cannot be searched: the stream '{stream}' only brings changes; objects are read by a resource's own connector",
            request.class
        );
        stream::iter([Err(Error::unsupported(message))]).boxed()
    }

    fn can_read(&self) -> bool {
        false
    }

    /// Connects, and looks at the stream, its consumer, and the subject of dead letters, without taking or making anything.
    async fn test(&self) -> Result<()> {
        capabilities::look(&self.config).await.map(drop)
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        Some(self)
    }

    async fn capabilities(&self) -> Result<Vec<Finding>> {
        capabilities::findings(self).await
    }
}
