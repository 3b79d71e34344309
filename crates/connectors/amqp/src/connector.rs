//! The connector itself.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tidelock_connector_api::{
    AsyncUpdates, Connector, Error, Finding, ObjectStream, OnFailure, Result, SearchRequest, async_trait,
};
use tidelock_messages::Decoder;
use tidelock_model::Diagnostic;
use tidelock_model::object::Schema;

use crate::async_updates::Shared;
use crate::capabilities;
use crate::client::{Broker, Session};
use crate::config::AmqpConfig;

/// A source of changes: a queue of a message broker.
pub struct Amqp {
    pub(crate) shared: Arc<Shared>,
    warnings: Vec<Diagnostic>,
}

impl Amqp {
    /// A connector with this configuration. The decoder knows the object classes.
    #[must_use]
    pub fn new(config: AmqpConfig, decoder: Decoder, on_failure: OnFailure) -> Self {
        Self { shared: Arc::new(Shared::new(Broker::new(config), decoder, on_failure)), warnings: Vec::new() }
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
    pub fn config(&self) -> &AmqpConfig {
        self.shared.broker.config()
    }
}

#[async_trait]
impl Connector for Amqp {
    /// The object classes that the definition has: a queue cannot say.
    async fn schema(&self) -> Result<Schema> {
        Ok(Schema::clone(self.shared.decoder.schema()))
    }

    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        let queue = &self.config().queue;
        let message = format!(
            "'{}' cannot be searched: the queue '{queue}' only brings changes; objects are read by a resource's own connector",
            request.class
        );
        stream::iter([Err(Error::unsupported(message))]).boxed()
    }

    fn can_read(&self) -> bool {
        false
    }

    /// Connects, and looks at the queue without taking anything from it, and at the target of dead letters.
    async fn test(&self) -> Result<()> {
        let broker = &self.shared.broker;
        let session = Session::open(broker).await?;
        session.inspect(broker, &broker.config().queue).await?;
        if let Some(target) = &broker.config().dead_letters {
            match (target.exchange.as_str(), &target.routing_key) {
                ("", Some(queue)) => session.inspect(broker, queue).await.map(drop)?,
                (exchange, _) => session.inspect_exchange(broker, exchange).await?,
            }
        }
        session.close().await;
        Ok(())
    }

    fn async_updates(&self) -> Option<&dyn AsyncUpdates> {
        Some(self)
    }

    async fn capabilities(&self) -> Result<Vec<Finding>> {
        capabilities::findings(&self.shared).await
    }
}
