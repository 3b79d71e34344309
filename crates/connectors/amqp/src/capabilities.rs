//! What the queue can do for us, found out by looking at it.

use tidelock_connector_api::{Finding, Listening, OnFailure, Result};

use crate::async_updates::Shared;
use crate::client::Session;
use crate::config::{DeadLetterTarget, Identity};

/// Everything that is worth knowing before listening.
pub(crate) async fn findings(shared: &Shared) -> Result<Vec<Finding>> {
    let broker = &shared.broker;
    let config = broker.config();
    let session = Session::open(broker).await?;
    let queue = session.inspect(broker, &config.queue).await?;
    session.close().await;
    let ours = u32::from(shared.status() == Listening::Alive);
    let others = queue.consumers.saturating_sub(ours);
    let mut findings = vec![
        match config.trust {
            Some(_) => Finding::new("encryption", "TLS"),
            None => Finding::new("encryption", "none"),
        },
        Finding::new("queue", format!("'{}', where {} messages wait", config.queue, queue.messages)),
        match (others, config.exclusive) {
            (0, true) => Finding::new("order of changes", "kept: nobody else consumes, and nobody else may while we do"),
            (0, false) => Finding::new("order of changes", "kept as long as nobody else consumes (exclusiveConsumer is false)"),
            (others, _) => {
                Finding::new("order of changes", format!("in danger: {others} others consume from the queue")).doubtful()
            }
        },
        match config.identity {
            Identity::MessageId => Finding::new(
                "repeated messages",
                "recognized where publishers set message-id; others may be applied again after a failure",
            ),
            Identity::None => Finding::new("repeated messages", "not recognized: they may be applied again after a failure"),
        },
    ];
    findings.push(match &config.dead_letters {
        Some(DeadLetterTarget { exchange, routing_key: Some(queue) }) if exchange.is_empty() => {
            Finding::new("rejected messages", format!("go to the queue '{queue}', with the reason"))
        }
        Some(target) => Finding::new("rejected messages", format!("go to the exchange '{}', with the reason", target.exchange)),
        None => {
            let finding = Finding::new("rejected messages", "are dropped, unless the queue has a dead-letter policy of its own");
            // Nothing is rejected otherwise.
            if shared.on_failure == OnFailure::Skip { finding.doubtful() } else { finding }
        }
    });
    Ok(findings)
}
