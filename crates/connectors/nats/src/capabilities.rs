//! What can be said of a stream for those who set a resource up.

use async_nats::jetstream::consumer;
use async_nats::jetstream::stream::{self, RetentionPolicy};
use tidelock_connector_api::{Finding, OnFailure, Result};

use crate::attach::{self, check_consumer, consumer, stream};
use crate::client::{Answer, Session};
use crate::config::{Begin, NatsConfig};
use crate::connector::Nats;
use crate::dead_letters;

/// What there is.
pub(crate) struct Seen {
    version: String,
    stream: stream::Info,
    consumer: Option<consumer::Info>,
}

/// Looks at everything, and holds that it can be used.
pub(crate) async fn look(config: &NatsConfig) -> Result<Seen> {
    let session = Session::open(config).await?;
    let stream = stream(&session, config).await?;
    let consumer = match consumer(&session, config).await? {
        Answer::Given(info) => Some(info),
        Answer::Missing(_) => None,
    };
    let mut filters = config.filters.clone();
    if let Some(info) = &consumer {
        filters = attach::filters(&info.config);
        check_consumer(config, &info.config, &filters)?;
    }
    if let Some(target) = &config.dead_letters {
        dead_letters::check(&session, config, target, &filters).await?;
    }
    Ok(Seen { version: session.client.server_info().version, stream, consumer })
}

pub(crate) async fn findings(nats: &Nats) -> Result<Vec<Finding>> {
    let config = nats.config();
    let Seen { version, stream, consumer } = look(config).await?;
    let retention = match stream.config.retention {
        RetentionPolicy::Limits => "until a limit is reached: messages that were not taken by then are lost",
        RetentionPolicy::Interest => "until everybody has acknowledged them",
        RetentionPolicy::WorkQueue => "until they are acknowledged",
    };
    let mut findings = vec![
        Finding::new("server", format!("NATS {version}")),
        Finding::new("messages in the stream", stream.state.messages.to_string()),
        Finding::new("how long messages are kept", retention),
    ];
    findings.push(match &consumer {
        Some(info) => {
            let found = format!("{} to come, {} not acknowledged", info.num_pending, info.num_ack_pending);
            let finding = Finding::new("consumer", found);
            if info.num_waiting > 0 { finding.doubtful() } else { finding }
        }
        None => Finding::new(
            "consumer",
            match config.begin {
                Begin::All => "none yet: it is made, and begins with the first message",
                Begin::New => "none yet: it is made, and begins with the next message",
            },
        ),
    });
    if let Some(info) = consumer.filter(|info| info.num_waiting > 0) {
        let found = format!("{} requests wait for messages: whoever else listens takes messages away from us", info.num_waiting);
        findings.push(Finding::new("others who listen", found).doubtful());
    }
    findings.push(match (&config.dead_letters, nats.on_failure) {
        (Some(target), _) => Finding::new("dead letters", format!("to '{target}'")),
        (None, OnFailure::Skip) if stream.config.retention != RetentionPolicy::Limits => {
            Finding::new("dead letters", "nowhere: what is rejected is lost").doubtful()
        }
        (None, _) => Finding::new("dead letters", "nowhere"),
    });
    Ok(findings)
}
