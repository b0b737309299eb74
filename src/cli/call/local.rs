//! A call through a pipeline of this process: nothing is listened to, all else is real.

use std::{sync::Arc, time::Duration};

use crate::{
    background::Background,
    catalog::action::Failures,
    chance::Chance,
    cli::{
        CallArgs,
        call::{Called, headers, outcome, proof, waterfall::Bar},
        inputs, load,
    },
    client::Transport,
    config::Loaded,
    pipeline::{Parts, Pipeline, cache::Room},
    server::{
        in_force::{InForce, Served},
        lifecycle::{Lifecycle, Phase},
        public::{self, DataPlane},
        rehearsal::Rehearsed,
    },
    telemetry::{metrics::Registry, trail::Tracer},
    time::Wall,
};

/// How long what the call set off may take after its answer.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// Calls.
pub(super) async fn call(args: &CallArgs) -> anyhow::Result<Called> {
    let file = args.config.config.as_deref();
    let loaded = load::valid(file)?;
    let action = Arc::clone(load::action(&loaded.catalog, &args.action)?);
    let body = inputs::body(action.envelope, inputs::pairs(&args.inputs, Some(&action))?);
    let given = args.token.as_ref().map(|token| (args.header.as_ref(), token));
    let background = Background::new();
    let (pipeline, plane) = plane(loaded, &background)?;
    let proof = proof::of(&pipeline, &action, given);
    let headers = headers(proof.as_ref().map(|(name, secret)| (name, secret)))?;
    let called = plane.rehearse(&args.action, headers, body.to_string().into()).await;
    background.stop(GRACE).await;
    let Rehearsed { status, headers, body, why, trail } = called;
    let outcome = match action.failures {
        Failures::Outcome => outcome(&body, action.envelope),
        Failures::Status => None,
    };
    let began = trail.began();
    let bars: Vec<Bar> = trail
        .steps()
        .iter()
        .map(|step| Bar {
            stage: step.stage.as_str().to_owned(),
            decision: step.decision.to_owned(),
            began: Some(step.began.saturating_duration_since(began)),
            took: step.took,
        })
        .collect();
    let ends = bars.iter().map(|bar| bar.began.unwrap_or_default() + bar.took);
    let took = ends.max().unwrap_or_default();
    Ok(Called { status, headers, body: body.into(), outcome, why, took, bars })
}

/// The pipeline of that configuration, and the data plane before it, without a listener.
pub(super) fn plane(
    loaded: Loaded,
    background: &Background,
) -> anyhow::Result<(Arc<Pipeline>, Arc<DataPlane>)> {
    let Loaded { catalog, settings, .. } = loaded;
    let registry = Registry::switched_off();
    let parts = Parts {
        registry: Arc::clone(&registry),
        background: background.clone(),
        transport: Transport::Network,
        wall: Wall::System,
        chance: Chance::Random,
        room: Room { memory: settings.cache.memory, max_entry: settings.cache.max_entry },
        max_in_flight_per_org: settings.server.max_in_flight_per_org,
    };
    let pipeline = Pipeline::new(catalog, &parts)?;
    let route = public::route(&settings.server);
    let tracer = Tracer::new(&registry, None, false, &route, Chance::Random);
    let served = Served::new(Arc::clone(&pipeline), &settings, &registry);
    let lifecycle = Lifecycle::new();
    lifecycle.set(Phase::Ready);
    Ok((pipeline, DataPlane::new(InForce::new(served), lifecycle, tracer)))
}
