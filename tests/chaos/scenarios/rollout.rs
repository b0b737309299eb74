//! Rolling restarts: two services behind a real HAProxy that repairs nothing, one after the other told to
//! end and started anew, again and again, while calls come. Nobody notices.

use std::{
    env, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::try_join;
use holdline::time::{self, Instant};

use crate::{
    Form, Scenario,
    balancer::{self, Balancer, CHECK},
    bed::{PROGRAM, Wish},
    load::{Ask, Callers},
    peer::{Peer, manner::Manner},
    report::{Report, Row},
    service::{self, Log, Service},
    tally::Tally,
};

/// Calls a second.
const RATE: f64 = 500.0;
/// Restarts in the short form, and in the whole one.
const RESTARTS: [usize; 2] = [20, 40];
/// How long the upstream takes: longer than the delay, so that calls are under way when the listener closes.
const LATE: Duration = Duration::from_millis(1_200);
/// How long a service that ends still takes calls: five looks of the balancer.
const DELAY: Duration = Duration::from_secs(1);
/// From SIGTERM to the exit: the delay, the last answers, and what a busy machine adds.
const END: Duration = Duration::from_secs(4);
/// Both of them.
const NAMES: [&str; 2] = ["a", "b"];
/// The longest that calls may come: the last restart ends it.
const LONGEST: Duration = Duration::from_secs(600);

/// Absent where there is no HAProxy, which is told loudly, and with `CI=true` is a claim that does not hold.
pub(super) fn scenario() -> Option<Scenario> {
    let about = "20 rolling restarts behind HAProxy under 500 calls/s: no call fails";
    let program = balancer::program();
    if program.is_none() && env::var("CI").as_deref() != Ok("true") {
        return None;
    }
    Some(Scenario::new("rollout", about, move |form| Box::pin(run(form, program.clone()))).alone())
}

/// One of the two: always on the same ports.
struct Replica {
    name: &'static str,
    wish: Wish,
    peer: SocketAddr,
    service: Service,
    /// Seconds of processor time of those that have ended.
    worked: f64,
}

/// What a restart was like.
struct Restart {
    took: Duration,
    /// Whether it ended in order, and what it said last.
    in_order: bool,
    last: String,
    /// Calls that it answered after SIGTERM.
    answered: usize,
    /// How long the new one took to be ready.
    ready: Duration,
}

impl Replica {
    async fn start(name: &'static str, peer: SocketAddr) -> io::Result<Self> {
        let wish = Wish {
            server: "drain: {delay: 1s, timeout: 10s}",
            // The whole load from the first instant: not the time to find out what the upstream takes.
            upstream: "concurrency: {limit: 400}",
            cache: "ttl: 1h",
            ports: [balancer::port()?, balancer::port()?, balancer::port()?],
            ..Wish::default()
        };
        let service = Service::start(Path::new(PROGRAM), &wish.yaml(peer), None, Log::Kept).await?;
        Ok(Self { name, wish, peer, service, worked: 0.0 })
    }

    async fn restart(&mut self, balancer: &Balancer) -> io::Result<Restart> {
        self.worked += self.service.worked();
        let before = self.service.log().lines().count();
        let told = time::now();
        self.service.terminate()?;
        let code = self.service.ended(END * 5).await?;
        let took = told.elapsed();
        let (log, last) = (self.service.log(), self.service.last_line());
        let answers = log.lines().skip(before).filter(|line| line.contains(r#""outcome":"ok""#));
        let in_order = code == Some(0) && last.contains(r#""message":"stopped","cut":0"#);
        let answered = answers.count();
        balancer.until(self.name, "DOWN").await?;
        self.service =
            Service::start(Path::new(PROGRAM), &self.wish.yaml(self.peer), None, Log::Kept).await?;
        let ready = self.service.took;
        balancer.until(self.name, "UP").await?;
        Ok(Restart { took, in_order, last: format!("exit code {code:?}; {last}"), answered, ready })
    }
}

/// Of five calls one waits for the upstream, one changes something there, and three are answered at once.
fn mixed(place: u64, dice: &mut fastrand::Rng) -> Ask {
    let action = ["lookup", "known", "known", "change", "known"][(place % 5) as usize];
    Ask { action, customer: dice.u64(1..=200) }
}

async fn run(form: Form, program: Option<PathBuf>) -> io::Result<Report> {
    let program = program.ok_or_else(|| io::Error::other("there is no HAProxy on this machine"))?;
    let peer = Peer::start(([127, 0, 0, 1], 0).into(), form.seed).await?;
    peer.behave(Manner::late(LATE));
    let starts = NAMES.map(|name| Replica::start(name, peer.address()));
    let mut replicas = Vec::new();
    for start in starts {
        replicas.push(start.await?);
    }
    let servers = [0, 1].map(|place| {
        let Replica { name, service, .. } = &replicas[place];
        (*name, service.calls, service.probes)
    });
    let balancer = Balancer::start(&program, &servers).await?;
    let mut callers = Callers::new(balancer.address, form.seed);
    callers.apart = Some(7);
    let (began, worked) = (time::now(), service::worked("self"));

    let calls = async { io::Result::Ok(callers.call(RATE, LONGEST, mixed).await) };
    let script = async {
        let restarts = roll(form, &mut replicas, &balancer).await;
        callers.out_of_rotation.cancel();
        restarts.map(|restarts| (restarts, began.elapsed()))
    };
    let (tally, (restarts, scripted)) = try_join(calls, script).await?;

    let lasted = began.elapsed().as_secs_f64();
    let mut report = Report::default();
    let service = &replicas[0].service;
    let memory = service.memory();
    let here = service::worked("self") - worked;
    let there: f64 = replicas.iter().map(|one| one.worked + one.service.worked()).sum();
    report.row(Row {
        memory: [memory.now, memory.most, memory.now],
        cores: [there / lasted, here / lasted],
        ..Row::of("rollout", &tally)
    });
    let (answered, all) = (tally.answered(), tally.len());
    report.claim(answered == all, format!("{answered} of {all} answered; wanted all"));
    last_to_the_end(&tally, began, scripted, &mut report);
    judge(&restarts, &mut report);
    let (wrongs, given) = balancer.counts(&NAMES).await?;
    report.claim(
        wrongs.is_empty(),
        format!(
            "HAProxy counts {wrongs:?} of retries, redispatches, errors and aborts; wanted none"
        ),
    );
    let least = all as u64 / 4;
    report.claim(
        given.iter().all(|given| *given >= least),
        format!("both were given calls: {given:?}; wanted {least} each at least"),
    );
    for mut replica in replicas {
        replica.service.terminate()?;
        replica.service.ended(END * 5).await?;
    }
    Ok(report)
}

/// Restarts one after the other.
async fn roll(
    form: Form,
    replicas: &mut [Replica],
    balancer: &Balancer,
) -> io::Result<Vec<Restart>> {
    let mut restarts = Vec::new();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for round in 0..form.either(RESTARTS) {
        let turn = round % replicas.len();
        restarts.push(replicas[turn].restart(balancer).await?);
    }
    tokio::time::sleep(CHECK * 5).await;
    Ok(restarts)
}

/// Holds that calls came all the while, which took so long.
fn last_to_the_end(tally: &Tally, began: Instant, took: Duration, report: &mut Report) {
    let (all, wanted) = (tally.len(), 0.95 * RATE * took.as_secs_f64());
    report.claim(
        all as f64 >= wanted,
        format!("{all} calls came until the last restart was over; wanted {wanted:.0}"),
    );
    let last = tally.last_due().map_or(Duration::ZERO, |due| due.saturating_duration_since(began));
    report.claim(
        last + CHECK >= took,
        format!("they came for {last:.1?} of {took:.1?}; wanted all of it"),
    );
}

fn judge(restarts: &[Restart], report: &mut Report) {
    let all = restarts.len();
    let in_order = restarts.iter().filter(|restart| restart.in_order).count();
    let wrong = restarts.iter().find(|restart| !restart.in_order);
    let wrong = wrong.map_or_else(String::new, |restart| format!("; one: {}", restart.last));
    report.claim(
        in_order == all,
        format!("{in_order} of {all} ended with exit code 0 and nothing cut; wanted all{wrong}"),
    );
    let took = restarts.iter().map(|restart| restart.took).max().unwrap_or_default();
    report.claim(
        (DELAY..=END).contains(&took),
        format!(
            "{took:.2?} from SIGTERM to the exit at most, {DELAY:?} of it the delay; wanted {END:?}"
        ),
    );
    let answered = restarts.iter().map(|restart| restart.answered).min().unwrap_or_default();
    report.claim(
        answered >= 10,
        format!("each answered {answered} calls at least after SIGTERM; wanted 10"),
    );
    let ready = restarts.iter().map(|restart| restart.ready).max().unwrap_or_default();
    report.claim(true, format!("each was ready again after {ready:.2?} at most"));
}
