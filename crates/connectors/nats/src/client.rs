//! Connections to the server.

mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, ServerError};
use serde::de::DeserializeOwned;
use tidelock_connector_api::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::config::{Login, NatsConfig};
use crate::error::{answered, connecting, unanswered};

/// How often the server is asked whether it is still there. It is taken for lost after the third time without an answer.
const PING: Duration = Duration::from_secs(5);

/// What a request says that has nothing to say: `{}`.
const NOTHING: BTreeMap<&str, &str> = BTreeMap::new();

/// A connection. It is not made anew when it breaks: another one takes its place, which knows what there is to be caught up with.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) jetstream: Context,
    broken: watch::Receiver<bool>,
    refused: Arc<Mutex<Option<String>>>,
}

impl Session {
    /// Connects. Secrets and certificates are read each time: they may have been renewed.
    pub(crate) async fn open(config: &NatsConfig) -> Result<Self> {
        let (lost, broken) = watch::channel(false);
        let refused = Arc::new(Mutex::new(None));
        let note = Arc::clone(&refused);
        let options = login(ConnectOptions::new(), &config.login)?;
        let options = tls::encrypt(options, config)?
            .name("tidelock")
            .connection_timeout(config.connect_timeout)
            .request_timeout(Some(config.request_timeout))
            .ping_interval(PING)
            .max_reconnects(config.servers.len().max(1))
            .reconnect_delay_callback(|_| Duration::ZERO)
            .event_callback(move |event| {
                match event {
                    Event::Disconnected | Event::Closed => drop(lost.send(true)),
                    Event::ServerError(ServerError::Other(text))
                        if text.to_ascii_lowercase().contains("permissions violation") =>
                    {
                        *note.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
                    }
                    Event::SlowConsumer(_) => tracing::warn!("messages arrive faster than they are taken"),
                    _ => {}
                }
                std::future::ready(())
            });
        let client = options.connect(&config.servers[..]).await.map_err(|error| connecting(error, config))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(config.request_timeout);
        Ok(Self { client, jetstream, broken, refused })
    }

    /// What waits until the connection breaks.
    pub(crate) fn broken(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut broken = self.broken.clone();
        async move {
            // That nobody is left to say so says it as well.
            drop(broken.wait_for(|broken| *broken).await);
        }
    }

    /// Asks JetStream for something: `STREAM.INFO.orders`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, subject: String, what: &str, config: &NatsConfig) -> Result<Answer<T>> {
        match self.jetstream.request::<_, _, Response<T>>(subject, &NOTHING).await {
            Ok(Response::Ok(answer)) => Ok(Answer::Given(answer)),
            Ok(Response::Err { error }) if error.code() == 404 => Ok(Answer::Missing(answered(&error, what, config))),
            Ok(Response::Err { error }) => Err(answered(&error, what, config)),
            Err(error) => Err(self.silence(error, what, config)),
        }
    }

    /// The error for a request that has no answer: where rights are missing, the server only says so beside.
    pub(crate) fn silence(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
        what: &str,
        config: &NatsConfig,
    ) -> Error {
        match self.refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(text) => Error::new(ErrorKind::Denied, format!("{what}: the rights do not suffice: {text}")),
            None => unanswered(error, what, config),
        }
    }
}

/// An answer of JetStream.
pub(crate) enum Answer<T> {
    Given(T),
    /// What was asked for does not exist.
    Missing(Error),
}

impl<T> Answer<T> {
    /// What must exist.
    pub(crate) fn given(self) -> Result<T> {
        match self {
            Self::Given(answer) => Ok(answer),
            Self::Missing(error) => Err(error),
        }
    }
}

fn login(options: ConnectOptions, login: &Login) -> Result<ConnectOptions> {
    Ok(match login {
        Login::None => options,
        Login::Password(user, password) => options.user_and_password(user.clone(), password.read()?),
        Login::Token(token) => options.token(token.read()?),
        Login::NKey(seed) => options.nkey(seed.read()?.trim().to_owned()),
        // The cause may quote what it could not read.
        Login::Credentials(credentials) => options
            .credentials(&credentials.read()?)
            .map_err(|_| Error::config("the credentials are not a JWT and a seed, as a credentials file has them"))?,
    })
}
