//! NATS with JetStream.

use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow};

use crate::process::{Home, free_ports, started};
use crate::{PASSWORD, Program, USER};

/// The environment variable with the address of a running NATS server: `nats://user:password@host:port`, of one who may do
/// everything.
pub const NATS: &str = "TIDELOCK_TEST_NATS";

/// What its log says once connections are accepted.
const READY: &str = "Server is ready";

/// A NATS server with JetStream, its streams in files.
pub struct Nats {
    url: String,
    own: Option<Own>,
}

/// What a server is to the one who started it.
struct Own {
    home: Home,
    port: u16,
    arguments: Vec<String>,
}

impl Nats {
    /// Starts one, for the caller alone.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further arguments.
    ///
    /// # Errors
    /// As with [`Nats::start`].
    pub fn start_with(arguments: &[&str]) -> Result<Self> {
        started(Program::NatsServer, || Self::start_once(arguments))
    }

    /// The one that all tests share: the one that the environment tells of, or one of this process.
    ///
    /// # Errors
    /// As with [`Nats::start`].
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Nats, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match std::env::var(NATS) {
            Ok(url) => Ok(Self { url, own: None }),
            Err(_) => Self::start().map_err(|error| format!("{error:#}")),
        });
        shared.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// Its address: `nats://admin:sesame@127.0.0.1:4222`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        port.unwrap_or(4222)
    }

    /// What [`Nats::shared`] of other processes reads, to find this one.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![(NATS, self.url.clone())]
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It is not ours, or cannot be ended.
    pub fn stop(&mut self) -> Result<()> {
        self.own()?.home.stop()
    }

    /// Ends it at once, as if the power had failed.
    ///
    /// # Errors
    /// It is not ours, or cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.own()?.home.kill()
    }

    /// Starts it again after [`Nats::stop`] or [`Nats::kill`], at the same port with the same data.
    ///
    /// # Errors
    /// It is not ours, runs, or does not start.
    pub fn run(&mut self) -> Result<()> {
        self.own()?.run()
    }

    /// Holds it: it answers nothing, and its connections stay.
    ///
    /// # Errors
    /// It is not ours, or does not run.
    pub fn suspend(&mut self) -> Result<()> {
        self.own()?.home.suspend()
    }

    /// Lets it go on after [`Nats::suspend`].
    ///
    /// # Errors
    /// It is not ours, or does not run.
    pub fn resume(&mut self) -> Result<()> {
        self.own()?.home.resume()
    }

    fn own(&mut self) -> Result<&mut Own> {
        self.own.as_mut().context("this NATS server was started by another process: it is not ours to touch")
    }

    fn start_once(arguments: &[&str]) -> Result<Self> {
        let home = Home::new("nats")?;
        let [port] = free_ports()?;
        let mut own = Own { home, port, arguments: arguments.iter().map(ToString::to_string).collect() };
        own.run()?;
        Ok(Self { url: format!("nats://{USER}:{PASSWORD}@127.0.0.1:{port}"), own: Some(own) })
    }
}

impl Own {
    fn run(&mut self) -> Result<()> {
        let mut command = Program::NatsServer.command()?;
        command.args(["--addr", "127.0.0.1", "--port", &self.port.to_string(), "--jetstream", "--store_dir"]);
        command.arg(self.home.folder().join("data")).args(["--user", USER, "--pass", PASSWORD]);
        command.args(&self.arguments);
        self.home.start(&mut command, READY)
    }
}
