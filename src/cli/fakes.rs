//! `fakes`: the outside world of the demo alone, a fake CRM and a fake Genesys Cloud, for a service that
//! runs elsewhere; what the demo shares with it.

use std::net::SocketAddr;

use anyhow::Context;

use crate::{
    cli::{
        FakesArgs, OutsideArgs, out, reached_at,
        serve::{self, Signals},
        traffic::{self, TOKEN},
    },
    demo::{
        World, WorldSettings,
        crm::CrmSettings,
        genesys::{Claims, GenesysSettings, Strangers},
    },
};

/// Runs until SIGTERM or SIGINT.
pub(super) fn run(args: &FakesArgs) -> anyhow::Result<()> {
    serve::runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let world = world(&args.outside, args.crm, args.genesys).await?;
        out::line(lines_to_try(args, &world))?;
        traffic::until(&mut signals, &args.outside, args.target.as_str()).await?;
        world.stop().await;
        Ok(())
    })
}

/// The fakes, with the faults that the command line asks for.
pub(super) async fn world(
    args: &OutsideArgs,
    crm: SocketAddr,
    genesys: SocketAddr,
) -> anyhow::Result<World> {
    let claims = Claims {
        organization: Some("00000000-0000-0000-0000-00000000demo".to_owned()),
        client: Some("demo-client".to_owned()),
        expires: None,
    };
    let world = World::start(WorldSettings {
        crm_listen: crm,
        crm: CrmSettings { customers: args.customers, ..Default::default() },
        genesys_listen: genesys,
        genesys: GenesysSettings { strangers: Strangers::Welcome(claims), ..Default::default() },
        control_listen: args.faults,
    })
    .await?;
    world.apply(&args.fault).await.context("could not set the fault")?;
    Ok(world)
}

/// The command that asks the service at `origin` for a customer, as a flow does.
pub(super) fn ask(origin: &str, customer: u64) -> String {
    format!(
        "curl -s {origin}/data-action/customer-lookup -H 'X-Genesys-Auth-Token: {TOKEN}' \
         -H 'Content-Type: application/json' -d '{{\"data\": {{\"customer_id\": {customer}}}}}'"
    )
}

fn lines_to_try(args: &FakesArgs, world: &World) -> String {
    let customers = args.outside.customers;
    let listening =
        [world.crm.site.address(), world.genesys.site.address(), world.control_address()];
    let [crm, genesys, faults] = listening.map(|address| format!("http://{}", reached_at(address)));
    let open = if listening.iter().all(|address| address.ip().is_loopback()) {
        ""
    } else {
        "They listen beyond this machine and ask for no token: whoever reaches them may break them.\n"
    };
    let target = args.target.as_str();
    let ask = ask(target, 1);
    format!(
        r#"A fake CRM ({customers} customers) and a fake Genesys Cloud are running, for a service at {target}.
{open}
Run it with them, in another terminal:
  EXTERNAL_API_BASE={crm} GENESYS_API_BASE={genesys} holdline serve

Look up a customer, as a flow does:
  {ask}

Break the CRM, and mend it:
  curl -s {faults}/faults -d '{{"crm": "down"}}'
  curl -s {faults}/faults -d '{{"crm": "ok"}}'

See how they behave, and what they have counted:
  curl -s {faults}/faults

Ctrl-C ends it."#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_on_all_addresses_is_reached_on_loopback() {
        for (listening, reached) in [
            ("0.0.0.0:9902", "127.0.0.1:9902"),
            ("[::]:9902", "[::1]:9902"),
            ("10.0.0.1:9902", "10.0.0.1:9902"),
        ] {
            assert_eq!(reached_at(listening.parse().unwrap()).to_string(), reached);
        }
    }
}
