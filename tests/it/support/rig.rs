//! The whole pipeline on a scripted world, in virtual time: built from a configuration's text, asked
//! through calls, looked at through answers, trails, metrics and what the world saw.
//!
//! Dice are loaded to the middle unless a test says otherwise: jitter around one is exactly one, and
//! a random part of a ceiling is half of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use holdline::{
    background::Background,
    chance::Chance,
    client::Transport,
    config::{self, Loaded},
    pipeline::{
        Parts, Pipeline,
        cache::{Manner, Room},
        operate::Purge,
        upstream::Condition,
    },
    server::{
        in_force::{InForce, Served},
        lifecycle::{Lifecycle, Phase},
        public::DataPlane,
    },
    telemetry::{
        meters::PurgeMeters,
        metrics::Registry,
        propagation::TraceContext,
        trail::{Tracer, Trail},
    },
    time::{self, Instant, Wall},
};

use super::{
    ask::Ask,
    scripted::{System, World},
};

/// What the wall clock shows at the start: 2025-01-01 00:00:00 UTC.
pub(crate) const START: u64 = 1_735_689_600;

/// What a test writes into the configuration: the lines and keys behind those that are always there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Keys of `server`.
    pub(crate) server: &'a [&'a str],
    /// Further keys of the caller `genesys`, each `key: value` on a line.
    pub(crate) genesys: &'a [&'a str],
    /// Further callers, each on a line.
    pub(crate) callers: &'a [&'a str],
    /// Entries below `limits`.
    pub(crate) limits: &'a [&'a str],
    /// Further keys of the upstream `crm`.
    pub(crate) crm: &'a [&'a str],
    /// What proves the caller of `lookup`.
    pub(crate) caller: &'a str,
    /// Further keys of the action `lookup`.
    pub(crate) lookup: &'a [&'a str],
    /// Keys of its `cache`; none: it is not cached.
    pub(crate) cache: &'a [&'a str],
    /// Keys of `request` of the action `update`, which is not safe.
    pub(crate) update: &'a [&'a str],
    /// The whole memory for answers, and the room for one.
    pub(crate) room: Room,
    /// The dice.
    pub(crate) chance: Chance,
}

impl Setup<'static> {
    /// Nothing of that: open to anybody, not cached, every default.
    pub(crate) const PLAIN: Self = Self {
        server: &[],
        genesys: &[],
        callers: &[],
        limits: &[],
        crm: &[],
        caller: "none",
        lookup: &[],
        cache: &[],
        update: &["method: POST", "path: /users"],
        room: Room { memory: 64 << 20, max_entry: 256 << 10 },
        chance: Chance::Loaded(0.5),
    };
}

impl Setup<'_> {
    /// The configuration.
    pub(crate) fn yaml(&self) -> String {
        let keys = |indent: usize, keys: &[&str]| -> String {
            keys.iter().map(|key| format!("{:indent$}{key}\n", "")).collect()
        };
        let headed = |indent: usize, head: &str, inside: &[&str]| match inside {
            [] => String::new(),
            inside => format!("{:indent$}{head}:\n{}", "", keys(indent + 2, inside)),
        };
        format!(
            "version: 1\n\
             {}\
             callers:\n\
             \x20 genesys:\n\
             \x20   type: introspection\n\
             \x20   url: https://authority.test/introspect\n{}\
             \x20 portal: {{type: api_key, keys: {{web: web-key, app: app-key}}}}\n{}\
             {}\
             upstreams:\n\
             \x20 crm:\n\
             \x20   base_url: https://crm.test/v2\n{}\
             actions:\n\
             \x20 lookup:\n\
             \x20   caller: {}\n\
             \x20   input: {{id: {{type: integer, required: true}}, lang: {{type: string}}}}\n\
             \x20   request: {{upstream: crm, path: '/users/{{id}}{{?lang}}'}}\n\
             \x20   output: {{name: {{type: string, from: $.name}}}}\n{}{}\
             \x20 update:\n\
             \x20   caller: none\n\
             \x20   input: {{id: {{type: integer, required: true}}}}\n\
             \x20   request:\n\
             \x20     upstream: crm\n{}\
             \x20   output: {{done: {{type: boolean, value: true}}}}\n",
            headed(0, "server", self.server),
            keys(4, self.genesys),
            keys(2, self.callers),
            headed(0, "limits", self.limits),
            keys(4, self.crm),
            self.caller,
            keys(4, self.lookup),
            headed(4, "cache", self.cache),
            keys(6, self.update),
        )
    }

    /// The pipeline of it.
    pub(crate) fn rig(&self) -> Rig {
        Rig::of(&self.yaml(), self.room, self.chance)
    }
}

/// The pipeline and the world around it. Clones are the same, and calls that were made of one end on
/// its pipeline.
#[derive(Clone)]
pub(crate) struct Rig {
    /// The pipeline.
    pub(crate) pipeline: Arc<Pipeline>,
    registry: Arc<Registry>,
    world: Arc<World>,
    background: Background,
    tracer: Tracer,
    purges: Arc<PurgeMeters>,
    began: Instant,
    /// The configuration, and what is not in it.
    yaml: Arc<str>,
    beside: (Room, Chance),
}

impl Rig {
    /// The pipeline of a configuration.
    pub(crate) fn of(yaml: &str, room: Room, chance: Chance) -> Self {
        let loaded = load(yaml);
        let began = time::now();
        let (registry, background) = (Registry::new(), Background::new());
        let world = Arc::new(World::new(began));
        let per_org = loaded.settings.server.max_in_flight_per_org;
        let beside = (room, chance);
        let parts = parts((&registry, &background, &world), began, per_org, beside);
        let pipeline = Pipeline::new(loaded.catalog, &parts).expect("a pipeline");
        let tracer = Tracer::new(&registry, None, true, "/data-action/{action}", chance);
        let purges = PurgeMeters::new(&registry);
        let yaml = yaml.into();
        Self { pipeline, registry, world, background, tracer, purges, began, yaml, beside }
    }

    /// What is in force after a reload: the same configuration, but for these texts in it.
    pub(crate) fn reload(&self, edits: &[(&str, &str)]) -> Self {
        self.reload_while(edits, || ())
    }

    /// The same, and that happens between what is built and what is put in force.
    pub(crate) fn reload_while(&self, edits: &[(&str, &str)], meanwhile: impl FnOnce()) -> Self {
        let yaml = edits.iter().fold(self.yaml.to_string(), |yaml, (from, to)| {
            assert!(yaml.contains(from), "{from} is not in\n{yaml}");
            yaml.replacen(from, to, 1)
        });
        self.replaced(&yaml, meanwhile)
    }

    /// What is in force after a reload of that configuration.
    pub(crate) fn reload_whole(&self, yaml: &str) -> Self {
        self.replaced(yaml, || ())
    }

    fn replaced(&self, yaml: &str, meanwhile: impl FnOnce()) -> Self {
        let loaded = load(yaml);
        let per_org = loaded.settings.server.max_in_flight_per_org;
        let around = (&self.registry, &self.background, &self.world);
        let parts = parts(around, self.began, per_org, self.beside);
        let pipeline = self.pipeline.succeed(loaded.catalog, &parts).expect("a pipeline");
        meanwhile();
        self.pipeline.retire(&pipeline);
        Self { pipeline, yaml: yaml.into(), ..self.clone() }
    }

    /// The data plane before the pipeline, ready for calls, and what it stands in.
    pub(crate) fn data_plane(&self) -> (Arc<DataPlane>, Lifecycle) {
        let (settings, lifecycle) = (load(&self.yaml).settings, Lifecycle::new());
        lifecycle.set(Phase::Ready);
        let served = Served::new(Arc::clone(&self.pipeline), &settings, &self.registry);
        let tracer = self.tracer.clone();
        (DataPlane::new(InForce::new(served), lifecycle.clone(), tracer), lifecycle)
    }

    /// The token authority.
    pub(crate) fn authority(&self) -> &System {
        &self.world.authority
    }

    /// Whoever issues tokens to us.
    pub(crate) fn issuer(&self) -> &System {
        &self.world.issuer
    }

    /// The upstream.
    pub(crate) fn upstream(&self) -> &System {
        &self.world.upstream
    }

    /// A call to `lookup` about customer 1, with the token `good`.
    pub(crate) fn lookup(&self) -> Ask {
        self.ask("lookup")
    }

    /// A call to any action, about customer 1, with the token `good`.
    pub(crate) fn ask(&self, action: &str) -> Ask {
        let action = self.pipeline.catalog().action(action).expect("a known action");
        Ask::new(self.clone(), Arc::clone(action)).token("good").id(1)
    }

    /// The trail of a call that begins now.
    pub(super) fn trail(&self, trace: Option<&TraceContext>) -> Trail {
        self.tracer.begin(time::now(), trace, "POST")
    }

    /// Milliseconds since the start.
    pub(crate) fn now(&self) -> u128 {
        time::now().saturating_duration_since(self.began).as_millis()
    }

    /// Waits until so many milliseconds after the start, with everything due before done.
    pub(crate) async fn until(&self, ms: u64) {
        tokio::time::sleep_until(self.began + Duration::from_millis(ms)).await;
        self.settle().await;
    }

    /// Waits until so long after the start, and not a turn longer.
    pub(crate) async fn wait_until(&self, time: Duration) {
        tokio::time::sleep_until(self.began + time).await;
    }

    /// Waits until every task that can run without time passing has run.
    pub(crate) async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// How the upstream stands.
    pub(crate) fn condition(&self) -> Condition<'_> {
        self.pipeline.upstreams().next().expect("there is one upstream")
    }

    /// How many tasks outlive their calls at the moment.
    pub(crate) fn tasks(&self) -> usize {
        self.background.len()
    }

    /// Where tasks run that outlive their calls.
    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// Forgets the requests that came so far.
    pub(crate) fn forget(&self) {
        self.authority().forget();
        self.issuer().forget();
        self.upstream().forget();
    }

    /// Removes answers.
    pub(crate) fn purge(&self, purge: &Purge) -> u64 {
        self.purge_by(purge, Manner::Hard)
    }

    /// Removes answers, or marks them stale.
    pub(crate) fn purge_by(&self, purge: &Purge, manner: Manner) -> u64 {
        self.pipeline.purge(purge, manner, &self.purges)
    }

    /// The value of one series, named as it is rendered, such as `name{label="value"}`.
    #[track_caller]
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.scrape();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}")).parse().expect("a number")
    }

    /// What a scrape shows of the pipeline.
    pub(crate) fn scrape(&self) -> String {
        let mut scrape = self.registry.scrape();
        self.pipeline.observe(&mut scrape);
        scrape.render()
    }

    /// Every gauge by its series, as a scrape sees them. Points in time are left out.
    pub(crate) fn gauges(&self) -> BTreeMap<String, f64> {
        let text = self.scrape();
        let names =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"));
        let names: BTreeSet<_> =
            names.filter(|name| !name.ends_with("_timestamp_seconds")).collect();
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            names.contains(name).then(|| (series.to_owned(), value.parse().expect("a number")))
        });
        series.collect()
    }

    /// How many series a scrape shows, of all kinds.
    pub(crate) fn series(&self) -> usize {
        let text = self.registry.render();
        text.lines().filter(|line| line.starts_with(|c: char| c.is_alphabetic())).count()
    }

    /// The series of that metric that are not zero, each by its labels.
    pub(crate) fn counts(&self, metric: &str) -> BTreeMap<String, u64> {
        let text = self.registry.render();
        let series = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(metric)?.strip_prefix('{')?.split_once("} ")?;
            let value: f64 = value.parse().expect("a number");
            (value > 0.0).then(|| (labels.replace('"', ""), value as u64))
        });
        series.collect()
    }
}

fn load(yaml: &str) -> Loaded {
    config::parse("test", yaml, &|_| None).unwrap_or_else(|report| panic!("{report}\n{yaml}"))
}

fn parts(
    (registry, background, world): (&Arc<Registry>, &Background, &Arc<World>),
    began: Instant,
    max_in_flight_per_org: usize,
    (room, chance): (Room, Chance),
) -> Parts {
    Parts {
        registry: Arc::clone(registry),
        background: background.clone(),
        transport: Transport::Scripted(Arc::clone(world) as _),
        wall: Wall::Anchored { shown: START, at: began },
        chance,
        room,
        max_in_flight_per_org,
    }
}
