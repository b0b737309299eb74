//! `demo`: the service with a fake CRM and a fake Genesys Cloud inside, ready to be called. No
//! network, no configuration; prints the lines to try.

use std::{
    io::{self, IsTerminal},
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::upstream::Pool,
    chance::Chance,
    cli::{
        DemoArgs, out,
        serve::{self, Running, Signals},
        traffic::{Traffic, TrafficSettings, screen::Screen},
    },
    client::{Client, Transport},
    config::{self, Loaded},
    demo::{
        World, WorldSettings,
        crm::CrmSettings,
        genesys::{Claims, GenesysSettings, Strangers},
    },
    proxy::Addresses,
    settings::{LogFormat, LogLevel},
    telemetry::log::Sink,
};

/// The token of the lines to try. The fake takes any but `bad-token`.
const TOKEN: &str = "demo-token";

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let runtime = serve::runtime()?;
    let telemetry = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let world = world(args).await?;
        let Running { proxy, telemetry } =
            serve::start(configure(args, &world)?, sink(), None).await?;
        let addresses = proxy.addresses();
        out::line(lines_to_try(&addresses, &world, args.customers))?;
        let stop = CancellationToken::new();
        let mut traffic = pin!(drive(args, addresses.public, stop.clone()));
        tokio::select! {
            () = signals.next() => {
                stop.cancel();
                // Its last line is still to come.
                traffic.await?;
            }
            ended = &mut traffic => ended?,
        }
        tokio::select! {
            _ = proxy.stop() => {}
            // Whoever asks twice does not want to wait.
            () = signals.next() => {}
        }
        world.stop().await;
        anyhow::Ok(telemetry)
    })?;
    telemetry.close_log();
    Ok(())
}

/// Log lines go to standard error, beside the status line.
fn sink() -> Sink {
    Sink::to(io::stderr())
}

async fn world(args: &DemoArgs) -> anyhow::Result<World> {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let claims = Claims {
        organization: Some("00000000-0000-0000-0000-00000000demo".to_owned()),
        client: Some("demo-client".to_owned()),
        expires: None,
    };
    let world = World::start(WorldSettings {
        crm_listen: anywhere,
        crm: CrmSettings { customers: args.customers, ..Default::default() },
        genesys_listen: anywhere,
        genesys: GenesysSettings { strangers: Strangers::Welcome(claims), ..Default::default() },
        control_listen: args.faults,
    })
    .await
    .with_context(|| format!("could not listen on {} (--faults)", args.faults))?;
    world.apply(&args.fault).await.context("could not set the fault")?;
    Ok(world)
}

/// The built-in configuration with the fakes for the outside.
fn configure(args: &DemoArgs, world: &World) -> anyhow::Result<Loaded> {
    let env = |name: &str| match name {
        "EXTERNAL_API_BASE" => Some(world.crm.site.url()),
        "GENESYS_API_BASE" => Some(world.genesys.site.url()),
        _ => None,
    };
    let mut loaded = config::builtin(&env).map_err(|report| anyhow!("{report}"))?;
    let settings = &mut loaded.settings;
    settings.server.listen = args.listen;
    settings.server.drain.delay = Duration::ZERO;
    settings.probes = args.probes;
    settings.admin.listen = args.admin;
    if !args.admin.ip().is_loopback() {
        return Err(anyhow!("--admin {} is not on loopback: the demo has no token", args.admin));
    }
    settings.telemetry.log_format = LogFormat::Text;
    // Each call that fails is a warning, and calls are made to fail here.
    settings.telemetry.log_level = if args.log { LogLevel::Info } else { LogLevel::Error };
    // So that the status line, and whoever looks, can tell what the cache does.
    for action in loaded.catalog.actions.values_mut() {
        if let Some(action) = Arc::get_mut(action) {
            action.debug_headers = true;
        }
    }
    Ok(loaded)
}

/// Calls the service as `--traffic` says, until `stop`.
async fn drive(args: &DemoArgs, public: SocketAddr, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(rate) = args.traffic else {
        stop.cancelled().await;
        return Ok(());
    };
    let pool = Pool { idle: 256, idle_timeout: Duration::from_secs(4) };
    let client = Client::new(Duration::from_secs(1), pool, &Transport::Network)?;
    let target = format!("http://{public}/data-action/customer-lookup");
    let settings = TrafficSettings {
        target: target.parse().context("the address makes no URL")?,
        header: "X-Genesys-Auth-Token".to_owned(),
        token: TOKEN.to_owned().into(),
        rate,
        customers: args.customers,
        chance: Chance::Random,
    };
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let screen =
        if io::stdout().is_terminal() { Screen::Terminal { width } } else { Screen::Plain };
    let traffic = Traffic::new(client.network().clone(), settings);
    traffic.run(stop, &mut io::stdout(), screen).await.context("could not write the status line")
}

fn lines_to_try(addresses: &Addresses, world: &World, customers: u64) -> String {
    let Addresses { public, probes, admin } = addresses;
    let faults = world.control_url();
    let ask = |customer: u64| {
        format!(
            "curl -s http://{public}/data-action/customer-lookup -H 'X-Genesys-Auth-Token: {TOKEN}' \
             -H 'Content-Type: application/json' -d '{{\"data\": {{\"customer_id\": {customer}}}}}'"
        )
    };
    let (one, two) = (ask(1), ask(2));
    format!(
        r#"Holdline is running, with a fake CRM ({customers} customers) and a fake Genesys Cloud inside.

Look up a customer, as a flow does (again: answered from the cache):
  {one}

Break the CRM. Customer 1 is still answered; customer 2, of whom nothing is known, cannot be:
  curl -s {faults}/faults -d '{{"crm": "down"}}'
  {one}
  {two}

Mend it (for ten seconds only a part of the calls is let through, so that it is not overrun):
  curl -s {faults}/faults -d '{{"crm": "ok"}}'

Look inside:
  curl -s http://{admin}/info
  curl -s http://{admin}/explain
  curl -s http://{probes}/metrics | grep '^holdline_'
  curl -s http://{admin}/cache/purge -d '{{"customer": 1}}'

Ctrl-C ends it."#
    )
}
