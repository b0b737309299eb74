//! The program itself, as a process: its arguments, what it writes, and how it ends.
#![expect(clippy::unwrap_used, reason = "where this fails, the test has failed")]

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::eventually;

/// What the program may see of this process's environment: where to find programs and certificates.
const KEPT: [&str; 5] = ["PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "LLVM_PROFILE_FILE"];

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    out: Page,
    err: Page,
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit code; none where a signal killed it.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) out: String,
    /// What it wrote to standard error.
    pub(crate) err: String,
}

/// Lines as they come.
#[derive(Debug, Clone, Default)]
struct Page(Arc<Mutex<Written>>);

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Page {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let page = Self::default();
        let writing = page.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                writing.0.lock().unwrap().lines.push(line);
            }
            writing.0.lock().unwrap().ended = true;
        });
        page
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap().ended
    }
}

impl Program {
    /// Starts `holdline` with these arguments and, of variables, with these alone.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdline"));
        command.args(args);
        Self::spawn(command, env)
    }

    /// Starts another program of this machine.
    pub(crate) fn spawn(mut command: Command, env: &[(&str, &str)]) -> Self {
        let kept = KEPT.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        command.env_clear().envs(kept).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program is there");
        let out = Page::of(child.stdout.take().unwrap());
        let err = Page::of(child.stderr.take().unwrap());
        Self { child, out, err }
    }

    /// Runs `holdline` to its end.
    pub(crate) async fn run(args: &[&str], env: &[(&str, &str)]) -> Ended {
        Self::start(args, env).ended().await
    }

    /// What it has written to standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// What it has written to standard error so far.
    pub(crate) fn err(&self) -> String {
        self.err.text()
    }

    /// The first line of standard output for which `wanted` holds, as soon as it is there. Panics
    /// where the program ends without it.
    pub(crate) async fn line(&self, wanted: impl Fn(&str) -> bool) -> String {
        eventually(format_args!("a line of {self:?}"), async || {
            let ended = self.out.ended();
            let text = self.out.text();
            let found = text.lines().find(|line| wanted(line)).map(str::to_owned);
            assert!(found.is_some() || !ended, "it ended without that line: {self:?}");
            found
        })
        .await
    }

    /// Sends it a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let (signal, id) = (format!("-{name}"), self.child.id().to_string());
        let sent = Command::new("kill").args([signal, id]).status();
        assert!(sent.expect("kill is a program").success(), "{self:?}");
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = eventually("the end of the program", || {
            let ended = self.out.ended() && self.err.ended();
            let status = self.child.try_wait().expect("it is our own child");
            async move { status.filter(|_| ended) }
        })
        .await;
        Ended { code: status.code(), out: self.out(), err: self.err() }
    }

    /// Ends it as an orchestrator does, and waits.
    pub(crate) async fn terminated(self) -> Ended {
        self.signal("TERM");
        self.ended().await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `program` is on this machine. Where it is not, a test says so and passes, except where
/// everything must be there.
pub(crate) fn there_is(program: &str) -> bool {
    let found = is_in_path(program);
    if !found {
        missing(program);
    }
    found
}

/// Whether `program` is in a folder of `PATH`.
pub(crate) fn is_in_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Where the program of that name is that `tests/prerequisites.sh` has got from PyPI. Where it is
/// not, as above.
pub(crate) fn from_pypi(program: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is below target");
    let path = target.join("python/bin").join(program);
    if path.is_file() {
        return Some(path);
    }
    missing(program);
    None
}

fn missing(program: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "{program} is not on this machine");
    skipped(&format!("{program} is not on this machine"));
}

/// Says that a test is not run here, and why; past the harness, which keeps what a test prints that passes.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED: {why}");
}
