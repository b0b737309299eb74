//! A real HAProxy before two services. It is told to repair nothing: no retry, no other server for a call
//! that failed, so that what the services lose, callers lose.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use holdline::time;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::installed::installed;

/// How often it asks whether a service is ready. One answer is enough, either way.
pub(crate) const CHECK: Duration = Duration::from_millis(200);

/// How long it may take to say what is asked of it here.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ports that the system gives to nobody by itself lie below those that it gives to clients, and above those of
/// well-known services.
const LEAST_PORT: u16 = 10_000;

/// A server as HAProxy counts it: what must stay 0.
const WRONGS: [&str; 9] =
    ["econ", "eresp", "ereq", "wretr", "wredis", "hrsp_4xx", "hrsp_5xx", "cli_abrt", "srv_abrt"];

/// A running HAProxy. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Balancer {
    child: Child,
    folder: TempDir,
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
}

/// Where the program is, if this machine has it.
pub(crate) fn program() -> Option<PathBuf> {
    installed("haproxy")
}

/// A port that is free and stays so while nobody listens there: clients are not given it.
///
/// # Errors
/// None is found.
pub(crate) fn port() -> io::Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let clients: Option<u16> = range.split_whitespace().next().and_then(|it| it.parse().ok());
    let above = clients.filter(|above| *above > LEAST_PORT);
    let above = above.ok_or_else(|| {
        io::Error::other(format!("clients are given all ports from {LEAST_PORT} on: {range}"))
    })?;
    (0..1_000)
        .map(|_| fastrand::u16(LEAST_PORT..above))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| io::Error::other("no port is free"))
}

impl Balancer {
    /// Starts one before these: a name each, where it takes calls, and where it is probed.
    ///
    /// # Errors
    /// It cannot be started, or what it is told is not understood: then with what it wrote.
    pub(crate) async fn start(
        program: &Path,
        servers: &[(&str, SocketAddr, SocketAddr)],
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let address = SocketAddr::from(([127, 0, 0, 1], port()?));
        fs::write(path("haproxy.cfg"), configuration(address, &path("stats"), servers))?;
        let errors = fs::File::create(path("errors"))?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(path("haproxy.cfg")).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(errors).spawn()?;
        let mut balancer = Self { child, folder, address };
        for (name, ..) in servers {
            if let Err(error) = balancer.until(name, "UP").await {
                let _ = balancer.child.kill();
                let said = fs::read_to_string(balancer.folder.path().join("errors"))?;
                return Err(io::Error::other(format!("{error}; it says:\n{said}")));
            }
        }
        Ok(balancer)
    }

    /// Waits until a health check has found that of this server: `UP`, `DOWN`.
    ///
    /// # Errors
    /// It does not in time.
    pub(crate) async fn until(&self, server: &str, wanted: &str) -> io::Result<()> {
        let last = time::now() + PATIENCE;
        loop {
            // It may not listen yet.
            let stats = self.stats().await.unwrap_or_default();
            // Before the first check it takes everybody for well.
            let is = |row: &Row| row.of("status") == wanted && !row.of("check_status").is_empty();
            if stats.iter().any(|row| row.of("svname") == server && is(row)) {
                return Ok(());
            }
            if time::now() > last {
                let text = format!("HAProxy does not find {server} {wanted}: {stats:?}");
                return Err(io::Error::other(text));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// All that it counts as gone wrong, by what it was, since it runs; and how many requests each server
    /// was given.
    ///
    /// # Errors
    /// It does not say.
    pub(crate) async fn counts(
        &self,
        servers: &[&str],
    ) -> io::Result<(Vec<(String, u64)>, Vec<u64>)> {
        let stats = self.stats().await?;
        let wrongs = stats.iter().flat_map(|row| {
            let place = format!("{}/{}", row.of("pxname"), row.of("svname"));
            WRONGS.map(|wrong| (format!("{place} {wrong}"), row.number(wrong)))
        });
        let wrongs = wrongs.filter(|(_, count)| *count > 0).collect();
        let given = |name: &&str| {
            let mut rows = stats.iter().filter(|row| row.of("svname") == *name);
            rows.next().map_or(0, |row| row.number("hrsp_2xx"))
        };
        Ok((wrongs, servers.iter().map(given).collect()))
    }

    async fn stats(&self) -> io::Result<Vec<Row>> {
        let mut socket = UnixStream::connect(self.folder.path().join("stats")).await?;
        socket.write_all(b"show stat\n").await?;
        let mut text = String::new();
        socket.read_to_string(&mut text).await?;
        let mut lines = text.lines();
        let names = lines.next().unwrap_or_default().trim_start_matches("# ");
        let row = |line: &str| {
            let pairs = names.split(',').zip(line.split(','));
            Row(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        };
        Ok(lines.filter(|line| !line.is_empty()).map(row).collect())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of its table.
#[derive(Debug, Clone, Default)]
struct Row(Vec<(String, String)>);

impl Row {
    fn of(&self, column: &str) -> &str {
        self.0.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value)
    }

    fn number(&self, column: &str) -> u64 {
        self.of(column).parse().unwrap_or_default()
    }
}

fn configuration(
    address: SocketAddr,
    stats: &Path,
    servers: &[(&str, SocketAddr, SocketAddr)],
) -> String {
    let servers = servers.iter().map(|(name, calls, probes)| {
        format!("    server {name} {calls} check addr {} port {}\n", probes.ip(), probes.port())
    });
    format!(
        "global
    stats socket {} level user
    maxconn 4000
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 1m
    timeout server 1m
    # What it asks may be late where the machine is busy, and is not unwell for it.
    timeout check 5s
frontend calls
    bind {address}
    default_backend holdline
backend holdline
    balance roundrobin
    option httpchk GET /readyz
    default-server inter {}ms fall 1 rise 1
{}",
        stats.display(),
        CHECK.as_millis(),
        servers.collect::<String>()
    )
}
