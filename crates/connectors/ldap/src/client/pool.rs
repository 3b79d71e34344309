//! Connections that are kept for the next operation.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tidelock_connector_api::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::tls;
use crate::config::{LdapConfig, Security};
use crate::error::{not_ldap, silent};
use crate::message::{Control, Message, Request, Search};
use crate::subschema::Subschema;

/// How many connections there are at most at the same time, those of listeners aside.
const MAX_CONNECTIONS: usize = 16;

/// How long an unused connection is kept. Firewalls forget connections after a few minutes of silence.
const MAX_IDLE: Duration = Duration::from_secs(120);

/// After how much silence a connection is tried out before it is relied upon.
const TRUSTED_IDLE: Duration = Duration::from_secs(15);

/// The connections to a server.
pub(crate) struct Pool {
    config: Arc<LdapConfig>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    permits: Arc<Semaphore>,
    tls: OnceCell<TlsConnector>,
    /// Which server could be reached last, by its place among them, and since when it has not been the first one.
    preferred: Mutex<(usize, Option<Instant>)>,
    /// How names are compared.
    schema: RwLock<Arc<Subschema>>,
}

/// A connection in use. Dropped in the middle of an operation, it gives the operation up.
pub(crate) struct Lease {
    connection: Option<Connection>,
    /// The operation that is under way.
    under_way: Option<i32>,
    pool: Arc<Pool>,
    permit: Option<OwnedSemaphorePermit>,
    /// It comes from the pool: the server may have forgotten it.
    used_before: bool,
}

impl Pool {
    pub(crate) fn new(config: Arc<LdapConfig>) -> Self {
        Self {
            config,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            tls: OnceCell::new(),
            preferred: Mutex::default(),
            schema: RwLock::default(),
        }
    }

    pub(crate) fn config(&self) -> &Arc<LdapConfig> {
        &self.config
    }

    /// By what the server's schema says of names; as long as that is not known, case does not count in them, and all else does.
    pub(crate) fn schema(&self) -> Arc<Subschema> {
        Arc::clone(&self.schema.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn learn(&self, schema: &Arc<Subschema>) {
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(schema);
    }

    /// A connection that is bound and to all appearances works: a kept one, or a new one.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let limit = self.config.timeout;
        let permit = timeout(limit, Arc::clone(&self.permits).acquire_owned()).await.map_err(|_| {
            let message = format!("all {MAX_CONNECTIONS} connections to {} are in use", self.config.server());
            Error::new(ErrorKind::Throttled, message)
        })?;
        // The semaphore is never closed.
        let permit = permit.ok();
        while let Some((mut connection, since)) = self.unused() {
            let idle = since.elapsed();
            if idle > MAX_IDLE || !connection.seems_alive().await {
                continue;
            }
            if (self.config.check_alive || idle > TRUSTED_IDLE) && self.probe(&mut connection).await.is_err() {
                continue;
            }
            return Ok(self.leased(connection, permit, true));
        }
        Ok(self.leased(self.connect().await?, permit, false))
    }

    /// A new connection that does not count among those of the pool: for those who keep it for long.
    pub(crate) async fn lease_apart(self: &Arc<Self>) -> Result<Lease> {
        Ok(self.leased(self.connect().await?, None, false))
    }

    /// Sends a request that changes nothing, and waits for its answer. Where a kept connection turns out to be dead, or the
    /// server cannot be reached for a moment, it is tried again.
    pub(crate) async fn ask(self: &Arc<Self>, request: &Request, controls: &[Control]) -> Result<Message> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut lease = match self.lease().await {
                Ok(lease) => lease,
                Err(error) if attempts < self.config.attempts && is_passing(&error) => {
                    tokio::time::sleep(backoff(attempts)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match lease.call(request, controls).await {
                Err(error) if is_passing(&error) && (lease.used_before || attempts < self.config.attempts) => {
                    if !lease.used_before {
                        tokio::time::sleep(backoff(attempts)).await;
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Connects and binds, to the first server that can be reached. One that was found so is asked first for a while.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let servers: Vec<_> = self.config.servers().collect();
        let first = {
            let mut preferred = self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
            if preferred.1.is_some_and(|since| since.elapsed() >= self.config.switch_back) {
                *preferred = (0, None);
            }
            preferred.0
        };
        let mut missed = None;
        for at in (first..servers.len()).chain(0..first) {
            match self.connect_to(servers[at]).await {
                Ok(connection) => {
                    let mut preferred = self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
                    if preferred.0 != at {
                        *preferred = (at, (at > 0).then(Instant::now));
                    }
                    return Ok(connection);
                }
                Err(error) if is_passing(&error) && servers.len() > 1 => {
                    tracing::warn!(error = error.full_message(), "a server cannot be reached; another one is tried");
                    missed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(missed.unwrap_or_else(|| Error::config("there is no server")))
    }

    async fn connect_to(&self, server: (&str, u16)) -> Result<Connection> {
        let config = &self.config;
        let tls = match config.security {
            Security::None => None,
            Security::Tls | Security::StartTls => {
                Some(self.tls.get_or_try_init(|| async { tls::connector(&config.trust) }).await?)
            }
        };
        let mut connection = Connection::open(config, server, tls).await?;
        if let Some(bind) = &config.bind {
            let password = bind.password.read()?;
            if password.is_empty() {
                // Such a bind succeeds, and is anonymous (RFC 4513, 5.1.2).
                return Err(Error::config("the password to bind with is empty; set 'bindPassword'"));
            }
            let request = Request::Bind { name: bind.name.clone(), password };
            let answer = connection.call(&request, &[], config.timeout).await?;
            let outcome = answer.outcome().map_err(|_| not_ldap(connection.server()))?;
            outcome.check(&format!("cannot bind to {} as '{}'", connection.server(), bind.name))?;
        }
        Ok(connection)
    }

    async fn probe(&self, connection: &mut Connection) -> Result<()> {
        let request = Request::Search(Search::entry("", &["1.1"]));
        connection.call(&request, &[], self.config.timeout).await.map(drop)
    }

    fn leased(self: &Arc<Self>, connection: Connection, permit: Option<OwnedSemaphorePermit>, used_before: bool) -> Lease {
        Lease { connection: Some(connection), under_way: None, pool: Arc::clone(self), permit, used_before }
    }

    fn unused(&self) -> Option<(Connection, Instant)> {
        self.lock().pop()
    }

    fn keep(&self, connection: Connection) {
        self.lock().push((connection, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        // A list of connections is whole after every step.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Begins an operation of which answers come one by one.
    pub(crate) async fn begin(&mut self, request: &Request, controls: &[Control]) -> Result<()> {
        let id = self.connection()?.send(request, controls).await.inspect_err(|_| self.give_up())?;
        self.under_way = Some(id);
        Ok(())
    }

    /// The next answer to the operation that was begun. Waits no longer than `patience`; for ever without one.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(crate) async fn next(&mut self, patience: Option<Duration>) -> Result<Message> {
        let id = self.under_way.ok_or_else(|| Error::new(ErrorKind::Unexpected, "no operation is under way"))?;
        let received = self.connection()?.receive(id, patience).await;
        received.inspect_err(|_| self.give_up())
    }

    /// The next answer, if it has been received already.
    pub(crate) fn next_at_hand(&mut self) -> Result<Option<Message>> {
        let Some(id) = self.under_way else { return Ok(None) };
        let taken = self.connection()?.take(id);
        taken.inspect_err(|_| self.give_up())
    }

    /// The operation that was begun has ended.
    pub(crate) fn ended(&mut self) {
        self.under_way = None;
    }

    /// Sends a request and waits for the answer that ends it.
    pub(crate) async fn call(&mut self, request: &Request, controls: &[Control]) -> Result<Message> {
        let patience = self.pool.config.timeout;
        self.begin(request, controls).await?;
        let Some(id) = self.under_way else { return Err(silent(self.server(), patience)) };
        let answer = self.connection()?.answer(id, request, patience).await;
        match answer {
            Ok(answer) => {
                self.ended();
                Ok(answer)
            }
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    /// Sends a request besides the operation that is under way, to see whether the server still answers. What it answers is
    /// passed over when it comes.
    pub(crate) async fn knock(&mut self) -> Result<()> {
        let request = Request::Search(Search::entry("", &["1.1"]));
        self.connection()?.send(&request, &[]).await.map(drop)
    }

    /// When something came from the server last.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        self.connection.as_ref().map(Connection::last_heard)
    }

    /// The server, for messages.
    pub(crate) fn server(&self) -> &str {
        self.connection.as_ref().map_or("the server", Connection::server)
    }

    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| Error::unreachable("the connection is broken"))
    }

    /// The connection is of no use any more.
    fn give_up(&mut self) {
        self.connection = None;
        self.under_way = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let permit = mem::take(&mut self.permit);
        let pooled = permit.is_some();
        match (self.under_way, Handle::try_current()) {
            (None, _) if pooled => self.pool.keep(connection),
            (Some(id), Ok(runtime)) if pooled => {
                let pool = Arc::clone(&self.pool);
                runtime.spawn(async move {
                    if connection.abandon(id).await.is_ok() {
                        pool.keep(connection);
                    }
                    drop(permit);
                });
            }
            (_, Ok(runtime)) => drop(runtime.spawn(connection.close())),
            // Without a runtime nothing can be sent; the server sees the end of the connection.
            (_, Err(_)) => {}
        }
    }
}

/// Whether it may be otherwise in a moment.
pub(crate) fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Throttled)
}

/// How long to wait after so many attempts.
pub(crate) fn backoff(attempts: u32) -> Duration {
    Duration::from_millis(100 << attempts.min(6))
}
