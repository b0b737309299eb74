//! The program under test as a process, with its log in a file: nobody has to read along.

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use holdline::time;
use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// What the program may see of this process's environment.
const KEPT: [&str; 4] = ["PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Starts a program that sees a file of ours in the place of `/etc/hosts`.
const WITH_HOSTS: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;

/// A running service. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    folder: TempDir,
    /// Where it takes calls.
    pub(crate) calls: SocketAddr,
    /// Where it is probed and scraped.
    pub(crate) probes: SocketAddr,
    /// Where an operator asks.
    pub(crate) admin: SocketAddr,
    /// How long it took to be ready.
    pub(crate) took: Duration,
}

/// What becomes of the log of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Log {
    /// It is in a file.
    #[default]
    Kept,
    /// It goes into a pipe, of which nobody reads more than that it is ready.
    Unread,
}

/// Bytes of memory, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Held now.
    pub(crate) now: f64,
    /// The most that was held since the peak was last forgotten.
    pub(crate) most: f64,
}

impl Service {
    /// Starts that build of the program over this configuration and waits until it is ready. With
    /// `hosts`, its names are looked up there; what [`Self::rewrite_hosts`] writes later counts at once.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time: then with what it wrote.
    pub(crate) async fn start(
        program: &Path,
        yaml: &str,
        hosts: Option<&str>,
        log: Log,
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        fs::write(path("holdline.yaml"), yaml)?;
        let mut command = match hosts {
            None => Command::new(program),
            Some(hosts) => {
                fs::write(path("hosts"), hosts)?;
                let mut command = Command::new("unshare");
                command.args(["--mount", "--map-root-user", "sh", "-c", WITH_HOSTS]);
                command.arg(path("hosts")).arg(program);
                command
            }
        };
        command.args(["serve", "--config"]).arg(path("holdline.yaml"));
        let kept = KEPT.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        command.env_clear().envs(kept).stdin(Stdio::null());
        let file = File::create(path("log"))?;
        command.stderr(File::create(path("errors"))?);
        let began = time::now();
        let mut child = match log {
            Log::Kept => command.stdout(file).spawn()?,
            Log::Unread => {
                let mut child = command.stdout(Stdio::piped()).spawn()?;
                let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
                thread::spawn(move || read_until_ready(pipe, file));
                child
            }
        };
        let ready = ready(&mut child, &path("log")).await;
        let took = began.elapsed();
        let Some(ready) = ready else {
            let _ = child.kill();
            let _ = child.wait();
            let said = fs::read_to_string(path("errors"))? + &fs::read_to_string(path("log"))?;
            return Err(io::Error::other(format!("it did not become ready:\n{said}")));
        };
        let address = |key: &str| {
            let text = ready[key].as_str().unwrap_or_default();
            text.parse().map_err(|_| io::Error::other(format!("`{key}` is no address: {ready}")))
        };
        let (calls, probes, admin) = (address("calls")?, address("probes")?, address("admin")?);
        Ok(Self { child, folder, calls, probes, admin, took })
    }

    /// Writes another configuration. Whoever reads it meanwhile finds one of the two, whole.
    pub(crate) fn rewrite(&self, yaml: &str) -> io::Result<()> {
        let path = |name: &str| self.folder.path().join(name);
        fs::write(path("next.yaml"), yaml)?;
        fs::rename(path("next.yaml"), path("holdline.yaml"))
    }

    /// Changes what names stand for.
    pub(crate) fn rewrite_hosts(&self, hosts: &str) -> io::Result<()> {
        fs::write(self.folder.path().join("hosts"), hosts)
    }

    /// How much memory it holds.
    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(self.proc("status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
            kib.unwrap_or_default() / 1024.0
        };
        Memory { now: field("VmRSS:"), most: field("VmHWM:") }
    }

    /// From now on [`Memory::most`] begins anew.
    pub(crate) fn forget_peak(&self) {
        // Where the kernel refuses, the peak since the start stands, which is only stricter.
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// Seconds of processor time that it has had.
    pub(crate) fn worked(&self) -> f64 {
        worked(&self.child.id().to_string())
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    /// Asks it to end, as an orchestrator does.
    ///
    /// # Errors
    /// There is no program `kill`.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().map(|_| ())
    }

    /// Its exit code, if it ends within this time by itself.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(crate) async fn ended(&mut self, within: Duration) -> io::Result<Option<i32>> {
        let last = time::now() + within;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if time::now() > last {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The last line of its log.
    pub(crate) fn last_line(&self) -> String {
        self.log().lines().last().unwrap_or_default().to_owned()
    }
}

/// Copies what the service says until it is ready; keeps the pipe open and reads no more of it.
fn read_until_ready(pipe: ChildStdout, mut file: File) {
    let mut lines = BufReader::new(pipe);
    let mut line = String::new();
    while !line.contains(r#""message":"ready""#) {
        line.clear();
        let copied = lines.read_line(&mut line).and_then(|_| file.write_all(line.as_bytes()));
        if copied.is_err() || line.is_empty() {
            return;
        }
    }
    loop {
        thread::park();
    }
}

/// Seconds of processor time that a process has had: a number, or `self`.
pub(crate) fn worked(process: &str) -> f64 {
    /// Ticks a second, on every Linux that there is.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold blanks, user and system time are the 12th and 13th field.
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The line that says where it listens, as soon as it is there.
async fn ready(child: &mut Child, log: &PathBuf) -> Option<Value> {
    let last = time::now() + START;
    while time::now() < last && child.try_wait().ok()?.is_none() {
        let text = fs::read_to_string(log).ok()?;
        let line = text.lines().find(|line| line.contains(r#""message":"ready""#));
        // What is half written is no JSON yet.
        if let Some(Ok(line)) = line.map(serde_json::from_str) {
            return Some(line);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
