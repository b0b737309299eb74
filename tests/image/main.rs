//! `make image`: the image that `deploy/build-image.sh` has built, looked at and run for real, by runc, as
//! strictly as Kubernetes runs it. Prints claims with what was measured; exits with 1 where one does not
//! hold.
//!
//! ```text
//! form       what an image must be    image      one of buildah's, opened
//! container  one of runc's            examples   those of `deploy/`, checked
//! world      names and roots          names      those that only DNS knows
//! small      64 MiB, and no more
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program for a terminal")]

#[path = "../it/support/front.rs"]
#[expect(dead_code, reason = "there is more that the tests ask of it")]
mod front;
#[path = "../chaos/installed.rs"]
mod installed;
#[path = "../it/support/issuer.rs"]
mod issuer;
#[path = "../chaos/scrape.rs"]
#[expect(dead_code, reason = "there is more that `make chaos` asks of it")]
mod scrape;
#[path = "../chaos/wire.rs"]
#[expect(dead_code, reason = "there is more that `make chaos` asks of it")]
mod wire;

mod container;
mod examples;
mod form;
mod image;
mod names;
mod small;
mod world;

use std::{
    env,
    fmt::Display,
    fs,
    future::Future,
    io,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use clap::Parser;
use flate2::read::ZlibDecoder;
use serde_json::Value;

use form::{Binary, Claim};
use image::Image;

/// How long one thing may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks at the image, and runs it.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long calls go on when the cache is full, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// What `work` brings, if that takes no longer than anything may.
async fn in_time<T>(what: impl Display, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(why) = missing() {
        eprintln!("SKIPPED: the image: {why}");
        if is_gate() {
            eprintln!("error: with CI=true nothing is skipped");
            return ExitCode::FAILURE;
        }
        return ExitCode::SUCCESS;
    }
    match run(&arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("BROKEN  {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing may be left out.
fn is_gate() -> bool {
    env::var("CI").as_deref() == Ok("true")
}

/// Why the image cannot be run here, if so.
fn missing() -> Option<&'static str> {
    if image::said(Command::new("buildah").arg("--version")).is_err() {
        Some("buildah is not on this machine")
    } else if container::runc().is_none() {
        Some("runc is not on this machine")
    } else if !image::folder().join("storage").exists() {
        Some("it has not been built: `make image` does")
    } else {
        None
    }
}

/// Whether all claims hold.
async fn run(arguments: &Arguments) -> io::Result<bool> {
    container::sweep()?;
    let image = Image::open()?;
    let mut claims = Vec::new();
    let mut tell = |more: Vec<Claim>| {
        more.iter().for_each(|claim| println!("{claim}"));
        claims.extend(more);
    };
    tell(form::account(&image.config, env!("CARGO_PKG_VERSION"), is_gate()));
    tell(form::content(&image.entries()?));
    tell(binary(&image.root.join("holdline"))?);
    tell(examples::checked(&image).await?);
    tell(world::strangers_and_friends(&image).await?);
    tell(names::completed(&image).await?);
    tell(small::holds(&image, Duration::from_secs(arguments.seconds)).await?);
    Ok(claims.iter().all(|claim| claim.holds))
}

/// What holds for the binary, and for the bill of its materials.
fn binary(file: &Path) -> io::Result<Vec<Claim>> {
    let bytes = fs::read(file)?;
    let strange = || io::Error::other("the binary is not one of 64 bits");
    let binary = Binary::read(&bytes).ok_or_else(strange)?;
    let list = binary.dependencies.ok_or_else(|| io::Error::other("it carries no .dep-v0"))?;
    let list: Value = serde_json::from_reader(ZlibDecoder::new(list))?;
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bill = format!("dist/holdline-{}-{arch}.cdx.json", env!("CARGO_PKG_VERSION"));
    let bill: Value = serde_json::from_slice(&fs::read(root.join(bill))?)?;
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    Ok(vec![
        Claim::new(!binary.interpreter, "the binary is static: it asks for no loader"),
        Claim::new(binary.symbols, "its functions have names, for backtraces"),
        form::bills(&form::linked(&list), &form::billed(&bill), &lock),
    ])
}
