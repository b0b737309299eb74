//! The running service: wires the parts, starts the listeners, stops in order.
//!
//! `serve`, `demo`, tests and benchmarks all start it here; nothing of it hangs on a process.

mod fixed;
mod reload;

use std::{
    fmt, io,
    net::{self, SocketAddr},
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use tokio::runtime::Handle;
use tracing::Instrument;

use crate::{
    background::Background,
    catalog::Catalog,
    chance::Chance,
    client::{ClientError, Transport},
    pipeline::{Parts, Pipeline, cache::Room},
    server::{
        admin::{self, Desk, DeskParts, token::Token},
        in_force::{InForce, Served},
        lifecycle::{Lifecycle, Phase},
        listener::{self, ConnectionLimits, Tls},
        operations::Operations,
        public::{self, DataPlane},
    },
    settings::Settings,
    telemetry::{
        Telemetry,
        metrics::Registry,
        recent::{self, Recent},
        reloads::ReloadMeters,
        spans::Attribute,
        trail::Tracer,
        vitals,
        work::{self, Work},
    },
    time::{self, Wall},
};

use reload::Running;
pub use reload::{Cause, Next, Reader, Reloader, Taken};

/// How often what is of no use any more is forgotten.
const SWEEP: Duration = Duration::from_secs(10);
/// How late a forced log level may fall back.
const LEVEL_TIME: Duration = Duration::from_secs(1);
/// How long the operator's listener may take to end.
const OPERATIONS_GRACE: Duration = Duration::from_secs(1);

/// What the service runs in: the process's own things, or a test's stand-ins.
pub struct Surroundings {
    /// Log and traces; `None` where somebody else keeps them.
    pub telemetry: Option<Arc<Telemetry>>,
    /// Who reads the configuration anew; `None`: there is nothing to read.
    pub reader: Option<Reader>,
    /// The operations' thread, where somebody has started it already.
    pub operations: Option<Operations>,
    /// How exchanges with the outside are carried out.
    pub transport: Transport,
    /// Where wall time comes from.
    pub wall: Wall,
    /// Where randomness comes from.
    pub chance: Chance,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            telemetry: None,
            reader: None,
            operations: None,
            transport: Transport::Network,
            wall: Wall::System,
            chance: Chance::Random,
        }
    }
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be bound.
    #[error("could not listen on {address} ({what}): {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What for, by its key in the configuration.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The operations' thread could not be started.
    #[error("could not start the operations thread: {0}")]
    Operations(io::Error),
    /// No HTTP client could be built.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The running service.
#[derive(Debug)]
pub struct Proxy {
    lifecycle: Lifecycle,
    background: Background,
    operations: Operations,
    desk: Arc<Desk>,
    reloader: Reloader,
    tls: Option<Tls>,
    addresses: Addresses,
}

/// Where a running service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The data plane.
    pub public: SocketAddr,
    /// Probes and metrics.
    pub probes: SocketAddr,
    /// The operator.
    pub admin: SocketAddr,
}

/// How the service stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Calls and tasks that were still under way when their time was up.
    pub cut: usize,
}

impl Proxy {
    /// Starts the service: wires the parts, binds all listeners, then is ready.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(
        catalog: Catalog,
        settings: Settings,
        around: Surroundings,
    ) -> Result<Self, StartError> {
        let start = async {
            let proxy = Self::begin(catalog, settings, around)?;
            work::tell(Attribute::Result, "ready");
            Ok(proxy)
        };
        start.instrument(Work::Start.span()).await
    }

    fn begin(
        catalog: Catalog,
        settings: Settings,
        mut around: Surroundings,
    ) -> Result<Self, StartError> {
        let operations = match around.operations.take() {
            Some(operations) => operations,
            None => Operations::start().map_err(StartError::Operations)?,
        };
        let (background, lifecycle) = (Background::new(), Lifecycle::new());
        let (listen, limits) = (settings.server.listen, ConnectionLimits::of(&settings.server));
        let apart = (settings.probes, settings.admin.listen);
        let runtime = operations.runtime().clone();
        let tasks = (&background, &lifecycle);
        let (desk, reloader, tls) =
            Work::Wire.attempt(|| wire(catalog, settings, around, runtime, tasks))?;

        let ((probes, admin), public) = Work::Listen.attempt(|| {
            let apart = listen_apart(&operations, &desk, apart)?;
            let public = listener::bind(listen);
            let public = public.map_err(|error| no_listener(listen, "server.listen", error))?;
            Ok::<_, StartError>((apart, public))
        })?;
        let addresses = Addresses { public: public.local_addr().unwrap_or(listen), probes, admin };
        let (routes, over) = (desk.data_plane.routes(), tls.clone());
        let (life, tasks) = (lifecycle.clone(), background.clone());
        let connections = Arc::clone(&desk.connections);
        background.finish(async move {
            let routes = |_| routes.clone();
            listener::serve(public, over, routes, limits, life, &tasks, connections).await;
        });
        let in_force = desk.in_force.clone();
        operations.every(SWEEP, move || in_force.now().pipeline.sweep());
        if let Some(telemetry) = desk.telemetry.clone() {
            operations.every(LEVEL_TIME, move || telemetry.level().keep_time());
        }
        background.until_stopped(vitals::watch_lag(&desk.registry));
        lifecycle.set(Phase::Ready);
        Ok(Self { lifecycle, background, operations, desk, reloader, tls, addresses })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The TLS of the data plane, where it has one: new connections follow what is put there.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What operators look at.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Reads the configuration anew and puts it in force, as [`Reloader::reload`] does.
    ///
    /// # Errors
    /// Every problem, one line each; then all stays as it was.
    pub async fn reload(&self, cause: Cause) -> Result<Vec<String>, Vec<String>> {
        self.reloader.reload(cause).await
    }

    /// Who puts configurations in force, for those who watch what it is read from.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Stops: not ready, a pause in which balancers notice, no more connections, the calls under
    /// way, the last spans, and last the listeners for operators.
    pub async fn stop(self) -> Stopped {
        // Ends before the last spans are sent, for it is one of them.
        let cut = self.drain().instrument(Work::Stop.span()).await;
        if let Some(telemetry) = self.desk.telemetry.clone() {
            // Before the operations: over gRPC the spans go out on their runtime.
            let _ = tokio::task::spawn_blocking(move || telemetry.flush()).await;
        }
        self.operations.stop(OPERATIONS_GRACE).await;
        tracing::info!(cut, "stopped");
        Stopped { cut }
    }

    /// Lets go of the calls. Returns how many calls and tasks did not end in their time.
    async fn drain(&self) -> usize {
        let drain = self.desk.in_force.now().settings.drain;
        self.lifecycle.set(Phase::Draining);
        tracing::info!(delay_ms = drain.delay.as_millis() as u64, "draining");
        tokio::time::sleep(drain.delay).instrument(Work::Pause.span()).await;
        self.lifecycle.set(Phase::Closing);
        let calls = async {
            let cut = self.background.stop(drain.timeout).await;
            work::tell(Attribute::Cut, cut);
            cut
        };
        let cut = calls.instrument(Work::Calls.span()).await;
        self.lifecycle.set(Phase::Stopped);
        cut
    }
}

/// Puts the parts together: registry, pipeline, data plane, the desk that looks at them all, and who
/// replaces what is in force.
fn wire(
    catalog: Catalog,
    settings: Settings,
    around: Surroundings,
    runtime: Handle,
    (background, lifecycle): (&Background, &Lifecycle),
) -> Result<(Arc<Desk>, Reloader, Option<Tls>), StartError> {
    let registry =
        if settings.telemetry.metrics { Registry::new() } else { Registry::switched_off() };
    let parts = Parts {
        registry: Arc::clone(&registry),
        background: background.clone(),
        transport: around.transport,
        wall: around.wall,
        chance: around.chance,
        room: Room { memory: settings.cache.memory, max_entry: settings.cache.max_entry },
        max_in_flight_per_org: settings.server.max_in_flight_per_org,
    };
    let pipeline = Pipeline::new(catalog, &parts)?;
    let ratio = around.telemetry.as_ref().and_then(|telemetry| telemetry.sample_ratio());
    let trust = settings.server.trust_trace_context;
    let sender = around.telemetry.as_ref().and_then(|telemetry| telemetry.sender(around.wall));
    let recent = Recent::new(recent::CALLS);
    let tracer =
        Tracer::new(&registry, ratio, trust, &public::route(&settings.server), around.chance)
            .sending(sender)
            .logging(around.telemetry.as_ref().map(|telemetry| telemetry.calls()))
            .over_tls(settings.server.tls.is_some())
            .remembering(Arc::clone(&recent));
    let in_force = InForce::new(Served::new(pipeline, &settings, &registry));
    let data_plane = DataPlane::new(in_force.clone(), lifecycle.clone(), tracer);
    let token = Token::new(settings.admin.token.clone());
    let tls = tls_of(&settings, &registry);
    let reloader = Reloader::new(Running {
        reader: around.reader,
        now: Mutex::new((parts, settings)),
        in_force: in_force.clone(),
        data_plane: Arc::clone(&data_plane),
        token: token.clone(),
        tls: tls.clone(),
        telemetry: around.telemetry.clone(),
        meters: ReloadMeters::new(&registry, around.wall),
        runtime,
    });
    let desk = Desk::new(DeskParts {
        in_force,
        reload: Arc::new(reloader.clone()),
        token,
        data_plane,
        lifecycle: lifecycle.clone(),
        registry,
        recent,
        telemetry: around.telemetry,
        connections: Arc::<AtomicUsize>::default(),
        tls: tls.clone(),
        runtime: Handle::current(),
        started: time::now(),
        wall: around.wall,
    });
    Ok((desk, reloader, tls))
}

/// The TLS of the data plane, where it has one.
fn tls_of(settings: &Settings, registry: &Arc<Registry>) -> Option<Tls> {
    let server = &settings.server;
    server.tls.as_ref().map(|tls| Tls::new(tls, server.handshake_timeout, registry))
}

/// Starts the listeners that are not for calls, on a runtime of their own, at the addresses for probes
/// and for the operator.
fn listen_apart(
    operations: &Operations,
    desk: &Arc<Desk>,
    (probes, operator): (SocketAddr, SocketAddr),
) -> Result<(SocketAddr, SocketAddr), StartError> {
    let start = |address, what, routes| {
        let listener = net::TcpListener::bind(address);
        let started = listener.and_then(|listener| {
            let bound = listener.local_addr()?;
            operations.serve(listener, routes)?;
            Ok(bound)
        });
        started.map_err(|error| no_listener(address, what, error))
    };
    Ok((
        start(probes, "probes.listen", admin::probe_routes(desk))?,
        start(operator, "admin.listen", admin::operator_routes(desk))?,
    ))
}

fn no_listener(address: SocketAddr, what: &'static str, error: io::Error) -> StartError {
    StartError::Listen { address, what, error }
}
