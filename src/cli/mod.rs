//! The command line; the only code that sees both configuration and service.
#![expect(clippy::print_stderr, reason = "this is where people are told")]

mod call;
mod check;
mod container;
mod demo;
mod dry_run;
mod explain;
mod export;
mod fakes;
mod inputs;
mod load;
mod out;
mod probe;
mod reload;
mod serve;
mod traffic;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use http::HeaderName;
use secrecy::SecretString;

use crate::{
    client,
    demo::{crm::CrmSettings, notation::FaultFlag},
};

use traffic::rate::Rate;

/// Keeps a phone call moving when the system behind it is slow, failing or gone.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    ///
    /// Without a file it runs the tutorial's own action, steered by GENESYS_REGION, GENESYS_ORG_ID,
    /// GENESYS_API_BASE and EXTERNAL_API_BASE.
    Serve(ConfigArgs),
    /// Run the service with a fake CRM and a fake Genesys Cloud inside, ready to be called
    Demo(DemoArgs),
    /// Run the demo's fake CRM and fake Genesys Cloud alone, for a service that runs elsewhere
    ///
    /// What they answer is made up, and none of them asks who is there: whoever reaches --faults may
    /// break them. So they are on loopback unless told otherwise; where they must listen on more, as
    /// in a container, let nobody else in (publish their ports on 127.0.0.1 alone). Never give them
    /// to a service that answers real callers: they find every token but `bad-token` good.
    Fakes(FakesArgs),
    /// Say everything that is wrong with a configuration; exit with 1 if anything is
    Check(CheckArgs),
    /// Say in plain words what holds for one action, and what a call costs at worst
    Explain(ExplainArgs),
    /// Show the request that a call would send, its cache key, and what a reply would become
    DryRun(DryRunArgs),
    /// Make one call, here or to a running service, and show what each stage did
    Call(CallArgs),
    /// Write documents made out of the configuration: OpenAPI, the Genesys side, its schema
    Export(ExportArgs),
    /// Ask a running service whether it is alive; exit with 1 if it is not
    Probe(ProbeArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    /// The configuration, YAML; without it, the tutorial's action
    #[arg(short, long, value_name = "FILE", env = "HOLDLINE_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Take warnings for problems
    #[arg(long)]
    strict: bool,
    /// How it is told
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: check::Format,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The action, by its name in the configuration
    action: String,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Args)]
struct DryRunArgs {
    /// The action, by its name in the configuration
    action: String,
    /// Inputs: key=value, or key:=JSON
    #[arg(value_name = "KEY=VALUE", conflicts_with = "input")]
    inputs: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// The inputs as a JSON object; -: standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What the upstream would say
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CallArgs {
    /// The action
    action: String,
    /// Inputs: key=value, or key:=JSON
    #[arg(value_name = "KEY=VALUE")]
    inputs: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Call a running service, such as http://127.0.0.1:8080/data-action; without it, the call is made
    /// in this process. With -c, the configuration says how it is called
    #[arg(long, value_name = "URL")]
    url: Option<call::Service>,
    /// What proves the caller: a token or key. Without it, a key that the configuration knows
    #[arg(long, value_name = "TOKEN", env = "HOLDLINE_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// The header for the token; without it, that of the action's caller, and X-Genesys-Auth-Token
    /// with --url and without -c
    #[arg(long, value_name = "NAME")]
    header: Option<HeaderName>,
    /// The action at --url takes its inputs flat, not below `data`
    #[arg(long, requires = "url")]
    flat: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// What to write
    kind: export::Kind,
    #[command(flatten)]
    config: ConfigArgs,
    /// The folder for the files, made where it is missing; without it, standard output
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Where callers reach the service, such as `https://holdline.example.com`
    #[arg(long, value_name = "URL")]
    url: Option<export::Origin>,
}

#[derive(Debug, Args)]
struct ProbeArgs {
    /// Ask whether it may be sent calls, not only whether it lives
    #[arg(long)]
    ready: bool,
    /// Where it answers probes: an address or a name, and a port. `0.0.0.0` and `[::]` mean loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090", env = "HOLDLINE_PROBES")]
    address: probe::Address,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Where the service takes calls
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where it answers probes and scrapes
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    probes: SocketAddr,
    /// Where it answers its operator
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    #[command(flatten)]
    outside: OutsideArgs,
    /// Log one line a call (silent otherwise, but for warnings)
    #[arg(long)]
    log: bool,
}

#[derive(Debug, Args)]
struct FakesArgs {
    /// Where the fake CRM answers
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9903")]
    crm: SocketAddr,
    /// Where the fake Genesys Cloud checks tokens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9904")]
    genesys: SocketAddr,
    #[command(flatten)]
    outside: OutsideArgs,
    /// The service that they are for, which --traffic calls
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    target: export::Origin,
}

// What `demo` and `fakes` share.
#[derive(Debug, Args)]
struct OutsideArgs {
    /// Where the fakes are told to misbehave; it asks for no token: let nobody else reach it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9902")]
    faults: SocketAddr,
    /// Call the service all the time, such as 200/s
    #[arg(long, value_name = "RATE")]
    traffic: Option<Rate>,
    /// How many customers the fake CRM knows
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = CrmSettings::default().customers,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000)
    )]
    customers: u64,
    /// Begin with a fault, such as crm=latency:800ms, crm=status:503:50%, crm=down, genesys=hang
    #[arg(long, value_name = "FAULT")]
    fault: Vec<FaultFlag>,
}

/// Where this machine reaches who listens there: nobody is reached at "all addresses" (`0.0.0.0`, `[::]`), but on
/// loopback.
fn reached_at(mut listening: SocketAddr) -> SocketAddr {
    match listening.ip() {
        ip if !ip.is_unspecified() => {}
        IpAddr::V4(_) => listening.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => listening.set_ip(Ipv6Addr::LOCALHOST.into()),
    }
    listening
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    client::install_tls();
    let result = match Cli::parse().command {
        Command::Call(args) => call::run(&args),
        Command::DryRun(args) => dry_run::run(&args),
        Command::Serve(args) => serve::run(args.config.as_deref()).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Fakes(args) => fakes::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Check(args) => check::run(args.config.config.as_deref(), args.strict, args.format),
        Command::Explain(args) => explain::run(&args.action, args.config.config.as_deref()),
        Command::Export(args) => {
            let (file, folder) = (args.config.config.as_deref(), args.output.as_deref());
            export::run(args.kind, file, folder, args.url.as_ref()).map(|()| ExitCode::SUCCESS)
        }
        Command::Probe(args) => probe::run(&args.address, args.ready),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdline: {error:#}");
            ExitCode::FAILURE
        }
    }
}
