//! Processes that end with us, and their folders.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use crate::Program;

/// How long a server may take to start, or to stop. Generous: the machine may be busy with a build.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the watchdog runs. It reads the number of the process group that is to end with us, another one after a restart, and
/// an empty line after a stop. The end of its input is our end.
const WATCHDOG: &str = r#"
group=
while read -r line; do group=$line; done
if [ -n "$group" ]; then kill -s KILL -- "-$group"; fi
rm -rf -- "$@" || { sleep 1; rm -rf -- "$@"; }
"#;

/// A folder for a server, and the process group that runs in it. Both end with the value, and with our process.
pub(crate) struct Home {
    folder: PathBuf,
    running: Option<Child>,
    watchdog: Child,
    to_watchdog: Option<ChildStdin>,
}

impl Home {
    /// A new folder, with nothing running in it.
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::littering(name, |_| None)
    }

    /// The same, for a server that leaves a file elsewhere if it is killed. The folder says which, as no other one has its name.
    pub(crate) fn littering(name: &str, litter: impl Fn(&Path) -> Option<PathBuf>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("tidelock-{name}-")).tempdir()?.keep();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&folder)
            .args(litter(&folder))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends us, such as Ctrl-C, must not end the watchdog before.
            .process_group(0)
            .spawn();
        let mut watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                let _ = fs::remove_dir_all(&folder);
                return Err(anyhow!(error).context("cannot start sh"));
            }
        };
        let to_watchdog = watchdog.stdin.take();
        Ok(Self { folder, running: None, watchdog, to_watchdog })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a process, and waits until its log says that it is ready.
    pub(crate) fn start(&mut self, command: &mut Command, ready: &str) -> Result<()> {
        if self.running.is_some() {
            bail!("the server runs already");
        }
        let path = self.folder.join("log");
        let log = File::create(&path)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child =
            command.current_dir(&self.folder).spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        self.tell(&child.id().to_string())?;
        let child = self.running.insert(child);
        let patience = Instant::now() + PATIENCE;
        loop {
            if fs::read(&path)?.windows(ready.len()).any(|window| window == ready.as_bytes()) {
                return Ok(());
            }
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > patience {
                self.kill()?;
                let log = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                let how = ended.map_or_else(|| format!("not ready after {PATIENCE:?}"), |status| status.to_string());
                bail!("{:?} does not start ({how}):\n{log}", command.get_program());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until somebody listens at a port of this machine.
    pub(crate) fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let patience = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > patience {
                self.kill()?;
                bail!("nobody listens at port {port} after {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the process in order, and waits for its end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(child) = &mut self.running else { return Ok(()) };
        kill_process(pid(child)?, Signal::TERM)?;
        let patience = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(20));
        }
        self.kill()
    }

    /// Ends the process group at once, as if the power had failed.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        // Ended in part is ended: the group may be gone, or only the leader.
        let _ = kill_process_group(pid(&child)?, Signal::KILL);
        child.wait()?;
        self.tell("")
    }

    /// Holds the process group, so that it answers nothing and keeps its connections. Once this returns, its leader stands still.
    pub(crate) fn suspend(&self) -> Result<()> {
        let leader = self.signal(Signal::STOP)?;
        // A signal is under way for a moment, and a process of many threads stops one by one.
        waitid(WaitId::Pid(leader), WaitIdOptions::STOPPED)?;
        Ok(())
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT).map(drop)
    }

    fn signal(&self, signal: Signal) -> Result<Pid> {
        let leader = pid(self.running.as_ref().context("the server does not run")?)?;
        kill_process_group(leader, signal)?;
        Ok(leader)
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let pipe = self.to_watchdog.as_mut().context("the watchdog is gone")?;
        writeln!(pipe, "{line}").context("the watchdog is gone")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.kill();
        // The watchdog clears away the folder, and ends.
        self.to_watchdog = None;
        let _ = self.watchdog.wait();
    }
}

/// A server that is started, three times at most: somebody else may take its ports before it does.
pub(crate) fn started<T>(program: Program, start: impl Fn() -> Result<T>) -> Result<T> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match start() {
            Err(_) if attempts < 3 && program.path().is_some() => {}
            started => return started,
        }
    }
}

/// Ports of this machine that nobody listens at.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All at the same time, so that they are different.
    let mut listeners = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

fn pid(child: &Child) -> Result<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process without a number")
}
