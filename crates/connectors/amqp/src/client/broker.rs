//! Connections to the configured broker.

use std::sync::{Arc, Mutex, PoisonError};

use async_rs::{Runtime, Tokio, util::RuntimeParts};
use lapin::tcp::AsyncTcpStream;
use lapin::types::ShortString;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use tidelock_connector_api::{Error, Result};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stream::{self, Scissors, Streams};
use crate::config::{AmqpConfig, Trust};
use crate::error::{Step, explain};

/// The configured broker, and what is needed to connect to it.
pub(crate) struct Broker {
    config: Arc<AmqpConfig>,
    tls: OnceCell<TlsConnector>,
}

/// A connection, and the means to end it at once.
pub(super) struct Line {
    pub(super) connection: Connection,
    pub(super) scissors: Scissors,
}

impl Broker {
    pub(crate) fn new(config: AmqpConfig) -> Self {
        Self { config: Arc::new(config), tls: OnceCell::new() }
    }

    pub(crate) fn config(&self) -> &Arc<AmqpConfig> {
        &self.config
    }

    /// Connects, and says who we are.
    ///
    /// # Errors
    /// `Unreachable` and `Throttled` may pass; everything else stays until somebody changes something.
    pub(super) async fn connect(&self) -> Result<Line> {
        let config = &self.config;
        let password = config.password.read()?;
        let tls = match &config.trust {
            Some(trust) => Some(self.tls.get_or_try_init(|| async { connector(trust) }).await?),
            None => None,
        };
        let limit = config.connect_timeout;
        let silent = || Error::unreachable(format!("{} does not answer within {} s", config.server(), limit.as_secs_f32()));
        let (stream, scissors) = timeout(limit, stream::open(config, tls)).await.map_err(|_| silent())??;
        let ready = Arc::new(Mutex::new(Some(stream)));
        let tokio = Tokio::current();
        let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), Streams(tokio)));
        let connecting = Connection::connector(
            uri(config, password),
            runtime,
            async move |_, _| {
                let stream = ready.lock().unwrap_or_else(PoisonError::into_inner).take();
                // It is asked for once: whether a connection is tried again is decided by us.
                stream.map(AsyncTcpStream::Plain).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected).into())
            },
            ConnectionProperties::default().with_connection_name("tidelock".into()),
        );
        match timeout(limit, connecting).await {
            Ok(Ok(connection)) => Ok(Line { connection, scissors }),
            Ok(Err(error)) => Err(explain(&error, Step::Connect, config)),
            Err(_) => {
                // Whoever still waits for the broker's answer sees the end of the connection.
                scissors.cut();
                Err(silent())
            }
        }
    }
}

/// What encrypts connections.
fn connector(trust: &Trust) -> Result<TlsConnector> {
    Ok(TlsConnector::from(Arc::new(trust.client()?.with_no_client_auth())))
}

/// A name out of the configuration, where its length has been checked.
pub(crate) fn name(text: &str) -> Result<ShortString> {
    ShortString::try_new(text).map_err(|error| Error::config("a name in the configuration is too long").with_source(error))
}

fn uri(config: &AmqpConfig, password: String) -> AMQPUri {
    let heartbeat = u16::try_from(config.heartbeat.as_secs()).unwrap_or(u16::MAX).max(1);
    AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: config.username.clone(), password },
            host: config.host.clone(),
            port: config.port,
        },
        vhost: config.virtual_host.clone(),
        query: AMQPQueryString { heartbeat: Some(heartbeat), ..AMQPQueryString::default() },
    }
}
