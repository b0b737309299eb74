//! `demo`: the service with a fake CRM and a fake Genesys Cloud inside, ready to be called. No
//! network, no configuration; prints the lines to try.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::anyhow;

use crate::{
    cli::{
        DemoArgs, fakes, out,
        serve::{self, Running, Signals},
        traffic,
    },
    config::{self, Loaded},
    demo::World,
    proxy::Addresses,
    settings::{LogFormat, LogLevel},
    telemetry::log::Sink,
};

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let runtime = serve::runtime()?;
    let telemetry = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let world = fakes::world(&args.outside, anywhere, anywhere).await?;
        let Running { proxy, telemetry } =
            serve::start(configure(args, &world)?, sink(), None).await?;
        let addresses = proxy.addresses();
        out::line(lines_to_try(&addresses, &world, args.outside.customers))?;
        let target = format!("http://{}", addresses.public);
        traffic::until(&mut signals, &args.outside, &target).await?;
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

fn lines_to_try(addresses: &Addresses, world: &World, customers: u64) -> String {
    let Addresses { public, probes, admin } = addresses;
    let faults = world.control_url();
    let origin = format!("http://{public}");
    let (one, two) = (fakes::ask(&origin, 1), fakes::ask(&origin, 2));
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
