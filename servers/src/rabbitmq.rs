//! RabbitMQ.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::process::{Home, free_ports, started};
use crate::{PASSWORD, Program, USER};

/// The environment variable with the address of a running RabbitMQ: `amqp://user:password@host:port`, of one who may do
/// everything.
pub const RABBITMQ: &str = "TIDELOCK_TEST_RABBITMQ";

/// The environment variable with the folder of that RabbitMQ, which [`RabbitMq::control`] needs.
pub const RABBITMQ_FOLDER: &str = "TIDELOCK_TEST_RABBITMQ_FOLDER";

/// The node's name. Nobody else is asked about it, so that it need not be ours alone.
const NODE: &str = "rabbit@localhost";

/// What its log says once connections are accepted.
const READY: &str = "startup complete";

/// A RabbitMQ, with AMQP 0-9-1 and no plugin.
pub struct RabbitMq {
    url: String,
    folder: Option<PathBuf>,
    own: Option<Own>,
}

/// What a server is to the one who started it.
struct Own {
    home: Home,
    port: u16,
    node_port: u16,
}

impl RabbitMq {
    /// Starts one, for the caller alone.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with further lines of configuration, such as `listeners.ssl.1 = 127.0.0.1:5671`.
    ///
    /// # Errors
    /// As with [`RabbitMq::start`].
    pub fn start_with(configuration: &[&str]) -> Result<Self> {
        started(Program::RabbitMqServer, || Self::start_once(configuration))
    }

    /// The one that all tests share: the one that the environment tells of, or one of this process.
    ///
    /// # Errors
    /// As with [`RabbitMq::start`].
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<RabbitMq, String>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match std::env::var(RABBITMQ) {
            Ok(url) => Ok(Self { url, folder: std::env::var_os(RABBITMQ_FOLDER).map(PathBuf::from), own: None }),
            Err(_) => Self::start().map_err(|error| format!("{error:#}")),
        });
        shared.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// Its address, without a virtual host: `amqp://admin:sesame@127.0.0.1:5672`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok());
        port.unwrap_or(5672)
    }

    /// What [`RabbitMq::shared`] of other processes reads, to find this one.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let folder = self.folder.as_ref().map(|folder| (RABBITMQ_FOLDER, folder.display().to_string()));
        [(RABBITMQ, self.url.clone())].into_iter().chain(folder).collect()
    }

    /// Runs a command of `rabbitmqctl`, such as `["close_all_connections", "because"]`, and gives what it prints. It takes a
    /// second.
    ///
    /// # Errors
    /// What the command says.
    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let folder = self.folder.as_ref().with_context(|| format!("{RABBITMQ_FOLDER} does not say where the server is"))?;
        let node_port = fs::read_to_string(folder.join("node-port"))?;
        let mut command = Program::RabbitMqControl.command()?;
        let distribution = format!("-start_epmd false -erl_epmd_port {node_port} -dist_listen false");
        // For every Erlang that is started: rabbitmqctl itself starts another one, to have an epmd.
        set_environment(&mut command, folder).env("ERL_FLAGS", distribution);
        let output = command.arg("--quiet").args(arguments).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("rabbitmqctl {} failed ({}): {said}", arguments.join(" "), output.status);
        }
        Ok(String::from_utf8(output.stdout)?)
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

    /// Starts it again after [`RabbitMq::stop`] or [`RabbitMq::kill`], at the same port with the same data.
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

    /// Lets it go on after [`RabbitMq::suspend`].
    ///
    /// # Errors
    /// It is not ours, or does not run.
    pub fn resume(&mut self) -> Result<()> {
        self.own()?.home.resume()
    }

    fn own(&mut self) -> Result<&mut Own> {
        self.own.as_mut().context("this RabbitMQ was started by another process: it is not ours to touch")
    }

    fn start_once(configuration: &[&str]) -> Result<Self> {
        let home = Home::new("rabbitmq")?;
        let [port, node_port] = free_ports()?;
        let folder = home.folder().to_owned();
        prepare(&folder, port, node_port, configuration)?;
        let mut own = Own { home, port, node_port };
        own.run()?;
        let url = format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}", own.port);
        Ok(Self { url, folder: Some(folder), own: Some(own) })
    }
}

impl Own {
    fn run(&mut self) -> Result<()> {
        let mut command = Program::RabbitMqServer.command()?;
        // Without epmd, the daemon that tells of nodes and outlives them: whoever asks for the node knows its port. RabbitMQ
        // would insist on one, were the distribution not up before it starts.
        let distribution = format!(
            "-sname {NODE} -start_epmd false -erl_epmd_port {} -kernel inet_dist_use_interface {{127,0,0,1}}",
            self.node_port
        );
        set_environment(&mut command, self.home.folder())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", distribution)
            // It looks for epmd every minute, and would start it by starting another Erlang.
            .env("ERL_FLAGS", "-start_epmd false");
        self.home.start(&mut command, READY)
    }
}

/// Writes what the server reads.
fn prepare(folder: &Path, port: u16, node_port: u16, configuration: &[&str]) -> Result<()> {
    fs::write(
        folder.join("rabbitmq.conf"),
        format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\n\
             log.file = false\nlog.console = true\nlog.console.level = info\ndisk_free_limit.absolute = 50MB\n{}\n",
            configuration.join("\n")
        ),
    )?;
    fs::write(folder.join("enabled_plugins"), "[].")?;
    // Instead of the system's own, which could say anything.
    fs::write(folder.join("environment"), "")?;
    fs::write(folder.join("node-port"), node_port.to_string())?;
    // Whoever knows the cookie can run programs as we.
    let cookie = folder.join(".erlang.cookie");
    let random = [(); 2].map(|()| RandomState::new().build_hasher().finish());
    fs::write(&cookie, format!("{:016x}{:016x}", random[0], random[1]))?;
    fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
    Ok(())
}

fn set_environment<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("RABBITMQ_")) {
        command.env_remove(name);
    }
    command
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", NODE)
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("logs"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", folder.join("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("enabled_plugins"))
        .env("RABBITMQ_CONF_ENV_FILE", folder.join("environment"))
        // Erlang's own variables would reach the node too.
        .env_remove("ERL_FLAGS")
        .env_remove("ERL_EPMD_PORT")
        .env_remove("ERL_AFLAGS")
        .env_remove("ERL_ZFLAGS")
        .env_remove("ERL_LIBS")
}
