//! Dashboards as pictures: Grafana's own panels in a page, the page in a browser without a window.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use holdline::time;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::verdict::Answered;

/// How long the browser, or the bundler, may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Pixels: the width of a picture, and what one line of the grid takes, its gap among it.
const WIDTH: u64 = 1_920;
const LINE: u64 = 38;
/// Pixels above the grid, and below.
const HEAD: u64 = 56;
const FOOT: u64 = 16;

/// The pictures that README.md shows: the dashboard, and how many lines of its grid.
const SHOWN: [(&str, u64); 2] = [("holdline-overview", 22), ("holdline-upstreams", 30)];
/// Their size, as a part of the whole.
const SMALL: &str = "0.6";

/// Makes one script of the page, and pictures of it.
#[derive(Debug)]
pub(crate) struct Easel {
    folder: PathBuf,
    bundler: Child,
    /// Where the pictures for README.md go, if they are wanted.
    screenshots: Option<PathBuf>,
}

/// What became of a panel in the page.
#[derive(Debug, Deserialize)]
pub(crate) struct Drawn {
    /// Its title.
    pub(crate) title: String,
    /// `ok`, `empty`, or what is wrong.
    pub(crate) state: String,
}

/// Where everything is written that this program makes.
pub(crate) fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("it is below target").join("observe")
}

/// What is missing on this machine for drawing, if anything is.
pub(crate) fn missing() -> Option<&'static str> {
    if !folder().join("node/made-from.json").is_file() {
        return Some("Grafana's panels, which tests/prerequisites.sh gets from npm");
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).any(|folder| folder.join("chromium").is_file());
    (!there).then_some("chromium")
}

impl Easel {
    /// Begins to make the script; it takes seconds.
    ///
    /// # Errors
    /// The bundler is not there.
    pub(crate) fn begin(screenshots: Option<PathBuf>) -> io::Result<Self> {
        let folder = folder();
        fs::create_dir_all(folder.join("page"))?;
        let node = folder.join("node/node_modules");
        let mut command = Command::new(node.join(".bin/esbuild"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/observe/draw/page.jsx"));
        command.args(["--bundle", "--format=iife", "--log-level=error", "--loader:.svg=dataurl"]);
        // Fonts of an editor that is not shown.
        command.arg("--loader:.ttf=empty");
        command.args(["--define:process.env.NODE_ENV=\"production\"", "--define:global=window"]);
        command.arg(format!("--outfile={}", folder.join("page/page.js").display()));
        let bundler = command.env("NODE_PATH", node).stdin(Stdio::null()).spawn()?;
        Ok(Self { folder, bundler, screenshots })
    }

    /// Waits until the script is made.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn ready(&mut self) -> io::Result<()> {
        ended(&mut self.bundler, "esbuild").await
    }

    /// Draws a dashboard to the file of that name, and tells what became of each panel.
    ///
    /// # Errors
    /// The browser does not draw.
    pub(crate) async fn draw(&self, answered: &Answered, name: &str) -> io::Result<Vec<Drawn>> {
        let page = self.folder.join("page");
        let (script, html) = (page.join(format!("{name}.js")), page.join(format!("{name}.html")));
        fs::write(script, format!("window.board = {};\n", content(answered)))?;
        fs::write(&html, HTML.replace("NAME", name))?;
        let height = HEAD + answered.board.lines() * LINE + FOOT;
        let picture = self.folder.join(format!("{name}.png"));
        let dom = self.browse(&html, height, "1", &picture).await?;
        let shown = SHOWN.iter().find(|(uid, _)| *uid == answered.board.uid);
        // Of an outage, not of what comes after it.
        let wanted = self.screenshots.as_ref().filter(|_| !name.ends_with("-after"));
        if let (Some(folder), Some((uid, lines))) = (wanted, shown) {
            fs::create_dir_all(folder)?;
            let picture = folder.join(format!("{uid}.png"));
            self.browse(&html, HEAD + lines * LINE, SMALL, &picture).await?;
        }
        let told = dom.split_once("id=\"told\"").and_then(|(_, rest)| rest.split_once('>'));
        let told = told.and_then(|(_, rest)| rest.split_once("</pre>"));
        let told = told.map(|(told, _)| told.replace("&lt;", "<").replace("&gt;", ">"));
        let told = told.ok_or_else(|| io::Error::other(format!("{name}: the page broke off")))?;
        Ok(serde_json::from_str(&told.replace("&amp;", "&"))?)
    }

    /// Has a page drawn, and tells what it has become.
    async fn browse(
        &self,
        page: &Path,
        height: u64,
        scale: &str,
        picture: &Path,
    ) -> io::Result<String> {
        let (browser, out) = (tempfile::tempdir()?, page.with_extension("dom"));
        let mut command = Command::new("chromium");
        command.args(FLAGS).arg(format!("--user-data-dir={}", browser.path().display()));
        command.arg(format!("--window-size={WIDTH},{height}"));
        command.arg(format!("--force-device-scale-factor={scale}"));
        command.arg(format!("--screenshot={}", picture.display()));
        command.arg(format!("file://{}", page.display()));
        command.stdin(Stdio::null()).stdout(fs::File::create(&out)?);
        command.stderr(fs::File::create(page.with_extension("log"))?);
        ended(&mut command.spawn()?, "chromium").await?;
        fs::read_to_string(out)
    }
}

const HTML: &str = "<!doctype html><meta charset=utf-8><title>NAME</title>\
<link rel=stylesheet href=page.css><body><div id=root></div>\
<pre id=\"told\" hidden></pre><script src=\"NAME.js\"></script><script src=\"page.js\"></script>";

/// No window, no network of its own, nothing kept. Time in the page goes on only while it works.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
    "--virtual-time-budget=15000",
    "--dump-dom",
];

/// What the page is told.
fn content(answered: &Answered) -> Value {
    let board = &answered.board;
    let panels = board.panels.iter().zip(&answered.results).map(|(panel, results)| {
        let targets = panel.targets.iter().zip(results);
        let targets: Vec<Value> = targets
            .map(|(target, result)| json!({"target": target.json, "letter": target.letter, "result": result}))
            .collect();
        json!({"title": panel.title, "kind": panel.kind, "place": panel.place,
               "panel": panel.json, "targets": targets})
    });
    let panels: Vec<Value> = panels.collect();
    let marks = board.marks.iter().zip(&answered.marks);
    let marks: Vec<Value> =
        marks.map(|(mark, result)| json!({"color": mark.color, "result": result})).collect();
    let span = &board.span;
    json!({"title": board.title, "uid": board.uid, "panels": panels, "marks": marks,
           "span": {"start": span.start, "end": span.end, "step": span.step}})
}

/// Waits for the end of a program; one that does not come to it is ended.
async fn ended(child: &mut Child, name: &str) -> io::Result<()> {
    let last = time::now() + PATIENCE;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("{name}: {status}"))),
            None if time::now() > last => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("{name} took too long")));
            }
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Drop for Easel {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = self.bundler.kill();
        let _ = self.bundler.wait();
    }
}
