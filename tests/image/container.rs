//! A container of the image, by runc alone, as strict as Kubernetes' `restricted`: a read-only root, no
//! capability, the image's own user, so much memory. It shares the network of this machine, so that
//! its loopback can be called.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use holdline::time;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    image::{self, Image, said},
    installed::installed,
};

/// The memory that a container may have.
pub(crate) const LIMIT: u64 = 64 << 20;

/// How long it may take to end.
const END: Duration = Duration::from_secs(60);

/// What a container is to do.
#[derive(Debug, Default)]
pub(crate) struct Order<'a> {
    /// Arguments of the program; none: those of the image.
    pub(crate) args: &'a [&'a str],
    /// Variables beside those of the image.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// Files or folders of this machine, and where they are within.
    pub(crate) mounts: &'a [(&'a Path, &'a str)],
}

/// A running container. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Container {
    id: String,
    folder: TempDir,
    child: Child,
    cgroup: Option<Cgroup>,
}

/// Where its memory is counted.
#[derive(Debug, Clone)]
enum Cgroup {
    V1(PathBuf),
    V2(PathBuf),
}

/// What its memory came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// The most it had, in bytes; pages of files count too.
    pub(crate) most: u64,
    /// Of that which it has now, what is no file's and cannot be had back.
    pub(crate) anonymous: u64,
    /// How often it met the limit, and something was taken back.
    pub(crate) met: u64,
    /// Processes that were killed for want of it.
    pub(crate) killed: u64,
}

impl Container {
    /// Starts one.
    ///
    /// # Errors
    /// There is no runc, or it refuses.
    pub(crate) fn start(image: &Image, order: &Order<'_>) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = format!("holdline-image-{:08x}-{number}", fastrand::u32(..));
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("hosts"), "127.0.0.1 localhost\n")?;
        said(command().arg("spec").current_dir(folder.path()))?;
        let file = folder.path().join("config.json");
        let mut spec: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let hosts = (folder.path().join("hosts"), "/etc/hosts");
        tighten(&mut spec, image, order, &id);
        mount(&mut spec, &hosts.0, hosts.1);
        order.mounts.iter().for_each(|(from, to)| mount(&mut spec, from, to));
        fs::write(file, spec.to_string())?;
        let mut command = runc_here();
        command.args(["run", "--bundle"]).arg(folder.path()).arg(&id).stdin(Stdio::null());
        command.stdout(File::create(folder.path().join("out"))?);
        command.stderr(File::create(folder.path().join("err"))?);
        Ok(Self { child: command.spawn()?, id, folder, cgroup: None })
    }

    /// Runs a program within: its exit code.
    ///
    /// # Errors
    /// There is no runc.
    pub(crate) fn within(&self, args: &[&str]) -> io::Result<Option<i32>> {
        let mut command = runc_here();
        command.arg("exec").arg(&self.id).args(args).stdout(Stdio::null());
        Ok(command.status()?.code())
    }

    /// The number of its first process, as long as it runs.
    pub(crate) fn pid(&self) -> Option<u64> {
        let state = said(runc_here().args(["state", &self.id])).ok()?;
        let state: Value = serde_json::from_str(&state).ok()?;
        state["pid"].as_u64().filter(|_| state["status"] == "running")
    }

    /// What its memory came to so far.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn memory(&mut self) -> io::Result<Memory> {
        if self.cgroup.is_none() {
            let pid = self.pid().ok_or_else(|| io::Error::other("it does not run"))?;
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
            self.cgroup = Cgroup::of(&groups);
        }
        let cgroup = self.cgroup.as_ref();
        cgroup.ok_or_else(|| io::Error::other("it has no memory cgroup"))?.memory()
    }

    /// Asks it to end, as an orchestrator does: its exit code, if it ends in time.
    ///
    /// # Errors
    /// There is no runc.
    pub(crate) async fn terminated(&mut self) -> io::Result<Option<i32>> {
        said(runc_here().args(["kill", &self.id, "TERM"]))?;
        self.ended().await
    }

    /// Its exit code, if it ends in time by itself.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub(crate) async fn ended(&mut self) -> io::Result<Option<i32>> {
        let last = time::now() + END;
        while time::now() < last {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(None)
    }

    /// What it wrote to standard output and to standard error.
    pub(crate) fn wrote(&self) -> [String; 2] {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["out", "err"].map(read)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // One that has ended is gone already.
        let _ = said(runc_here().args(["delete", "--force", &self.id]));
        // Nothing to wait for, unless that was refused.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cgroup {
    fn of(groups: &str) -> Option<Self> {
        let path = |begin: &str| {
            let mut lines = groups.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find_map(|(_, rest)| rest.strip_prefix(begin));
            found.map(|path| path.trim_start_matches('/').to_owned())
        };
        // Where both are, memory belongs to version 1.
        let first = path("memory:").map(|it| Self::V1(Path::new("/sys/fs/cgroup/memory").join(it)));
        first.or_else(|| path(":").map(|it| Self::V2(Path::new("/sys/fs/cgroup").join(it))))
    }

    fn memory(&self) -> io::Result<Memory> {
        let (Self::V1(folder) | Self::V2(folder)) = self;
        let number = |name: &str| {
            let text = fs::read_to_string(folder.join(name))?;
            text.trim().parse::<u64>().map_err(io::Error::other)
        };
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(folder.join(file))?;
            let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
            let found = pairs.find_map(|(key, value)| (key == name).then(|| value.parse().ok())?);
            found.ok_or_else(|| io::Error::other(format!("{file} has no {name}")))
        };
        Ok(match self {
            Self::V1(_) => Memory {
                most: number("memory.max_usage_in_bytes")?,
                anonymous: field("memory.stat", "rss")?,
                met: number("memory.failcnt")?,
                killed: field("memory.oom_control", "oom_kill")?,
            },
            Self::V2(_) => Memory {
                most: number("memory.peak").or_else(|_| number("memory.current"))?,
                anonymous: field("memory.stat", "anon")?,
                met: field("memory.events", "max")?,
                killed: field("memory.events", "oom_kill")?,
            },
        })
    }
}

/// Where runc is, if this machine has it.
pub(crate) fn runc() -> Option<PathBuf> {
    installed("runc")
}

/// Runs it.
fn command() -> Command {
    Command::new(runc().unwrap_or_else(|| "runc".into()))
}

/// It knows these containers alone, and those of earlier runs too.
fn runc_here() -> Command {
    let mut command = command();
    command.arg("--root").arg(image::folder().join("runc"));
    command
}

/// Ends what a run that was killed has left running.
///
/// # Errors
/// There is no runc, or it refuses.
pub(crate) fn sweep() -> io::Result<()> {
    for left in said(runc_here().args(["list", "--quiet"]))?.lines() {
        said(runc_here().args(["delete", "--force", left]))?;
    }
    Ok(())
}

/// Makes runc's own proposal as strict as it can be.
fn tighten(spec: &mut Value, image: &Image, order: &Order<'_>, id: &str) {
    let config = &image.config;
    let user = config["User"].as_str().unwrap_or_default();
    let user = user.split(':').map(|number| number.parse::<u32>().unwrap_or_default());
    let user: Vec<u32> = user.collect();
    let none: [&str; 0] = [];
    let sets = ["bounding", "effective", "inheritable", "permitted", "ambient"];
    let own = config["Cmd"].as_array().into_iter().flatten().cloned();
    let asked = order.args.iter().map(|it| json!(it));
    let args: Vec<Value> = if order.args.is_empty() { own.collect() } else { asked.collect() };
    let entrypoint = config["Entrypoint"].as_array().into_iter().flatten().cloned();
    let more = order.env.iter().map(|(name, value)| json!(format!("{name}={value}")));
    let env = config["Env"].as_array().into_iter().flatten().cloned();
    let process = &mut spec["process"];
    process["terminal"] = json!(false);
    process["user"] = json!({"uid": user.first(), "gid": user.get(1)});
    process["args"] = entrypoint.chain(args).collect();
    process["env"] = env.chain(more).collect();
    process["capabilities"] = sets.iter().map(|set| ((*set).to_owned(), json!(none))).collect();
    process["noNewPrivileges"] = json!(true);
    // Far fewer than the kernel allows; still more than connections need here.
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 4096, "hard": 4096}]);
    spec["root"] = json!({"path": image.root, "readonly": true});
    if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|it| it["type"] != "network");
    }
    let mut memory = json!({"limit": LIMIT});
    // Without it, a machine that swaps would give it more.
    let swap = ["memory/memory.memsw.limit_in_bytes", "cgroup.controllers"];
    if swap.iter().any(|file| Path::new("/sys/fs/cgroup").join(file).exists()) {
        memory["swap"] = json!(LIMIT);
    }
    spec["linux"]["resources"]["memory"] = memory;
    spec["linux"]["cgroupsPath"] = json!(format!("/{id}"));
}

fn mount(spec: &mut Value, from: &Path, to: &str) {
    let options = ["bind", "ro", "nosuid", "nodev"];
    let mount = json!({"type": "bind", "source": from, "destination": to, "options": options});
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        mounts.push(mount);
    }
}
