//! The end: a rolling update loses no call, and nothing holds the process longer than it was allowed.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::join, stream::FuturesUnordered};
use holdline::{
    demo::{
        crm::{CrmSettings, FakeCrm},
        fault::{Fault, Latency, Standing},
    },
    time,
};
use reqwest::header::CONNECTION;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Interval, timeout},
};

use crate::support::{
    eventually,
    issuer::Issuer,
    papers::Papers,
    program::{Ended, Program},
    service::{Outside, Service, TOKEN_HEADER, Wish},
};

/// Calls that the load makes a second.
const RATE: u64 = 500;
/// Calls under way at once at most: on a machine that is too busy for the rate, calls come more slowly
/// and do not pile up until they are shed for their number.
const MOST_AT_ONCE: usize = 16;
/// Calls that the load may make in all.
const MOST_CALLS: u64 = 10_000;
/// Answers during the drain that ask for the connection to be closed, before the load goes away.
const DRAINED: u64 = 100;

/// A CRM whose every answer takes this long.
async fn slow_crm(takes: Duration) -> FakeCrm {
    let latency = Latency { fixed: takes, ..Latency::NONE };
    let settings = CrmSettings { latency, ..CrmSettings::default() };
    FakeCrm::start(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.unwrap()
}

/// What came of the load.
#[derive(Debug, Default)]
struct Load {
    /// Whether a balancer still sends calls here.
    in_rotation: AtomicBool,
    answered: AtomicU64,
    asked_to_close: AtomicU64,
    failed: Mutex<Vec<String>>,
}

impl Load {
    /// Calls at an even rate, whether or not the calls before have been answered.
    async fn run(&self, service: &Service) {
        let mut calls = FuturesUnordered::new();
        let mut beat = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
        for customer in (1..=500).cycle().take(MOST_CALLS as usize) {
            while !is_due(&mut beat, &mut calls).await {}
            if calls.len() >= MOST_AT_ONCE {
                calls.next().await;
            }
            if !self.in_rotation.load(Relaxed) {
                break;
            }
            calls.push(self.call(service, customer));
        }
        calls.collect::<()>().await;
    }

    async fn call(&self, service: &Service, customer: u64) {
        match service.call("customer-lookup", customer).send().await {
            Ok(response) if response.status() == 200 => {
                let closes = response.headers().get(CONNECTION);
                if closes.is_some_and(|value| value == "close") {
                    self.asked_to_close.fetch_add(1, Relaxed);
                }
                if let Err(error) = response.bytes().await {
                    self.failed.lock().unwrap().push(error.to_string());
                }
                self.answered.fetch_add(1, Relaxed);
            }
            other => self.failed.lock().unwrap().push(format!("{other:?}")),
        }
    }
}

/// Waits for the next beat or the end of a call; whether it was the beat.
async fn is_due(
    beat: &mut Interval,
    calls: &mut FuturesUnordered<impl Future<Output = ()>>,
) -> bool {
    tokio::select! {
        biased;
        _ = beat.tick() => true,
        Some(()) = calls.next() => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_told_to_end_under_load_loses_no_call() {
    let outside = Outside::start().await;
    let slow = slow_crm(Duration::from_millis(3_500)).await;
    let yaml = outside.yaml(&Wish {
        server: "drain: {delay: 3s, timeout: 10s}",
        upstream: "concurrency: {limit: 200}, timeouts: {attempt: 4s}",
        action: "",
        more: "
  slow-lookup:
    caller: genesys
    input: {customer_id: {type: integer, required: true}}
    request: {upstream: slow, method: GET, path: '/users/{customer_id}'}
    output: {full_name: {type: string, from: $.name}}",
        ..Wish::default()
    });
    let slow_upstream = format!(
        "upstreams:\n  slow: {{base_url: \"{}\", timeouts: {{attempt: 4s}}}}",
        slow.site.url()
    );
    let service = Service::start(&yaml.replace("upstreams:", &slow_upstream), &[]).await;
    let load = Load { in_rotation: AtomicBool::new(true), ..Load::default() };

    let calling = load.run(&service);
    let ending = async {
        eventually("a load", async || (load.answered.load(Relaxed) > RATE).then_some(())).await;
        let slow_call = service.call("slow-lookup", 1).send();
        let ending = async {
            slow.site.until(|counts| counts.in_flight == 1).await;
            service.program.signal("TERM");
            // A balancer asks for readiness, and takes a moment to act on it.
            eventually("readiness goes", async || {
                (service.get(service.probes, "/readyz").await == (503, "draining\n".to_owned()))
                    .then_some(())
            })
            .await;
            assert_eq!(service.get(service.probes, "/livez").await.0, 200);
            assert_eq!(service.metric("holdline_draining").await, Some(1.0));
            let asked = || load.asked_to_close.load(Relaxed);
            eventually("answers that ask to close", async || (asked() > DRAINED).then_some(()))
                .await;
            load.in_rotation.store(false, Relaxed);
        };
        let (slow_answer, ()) = join(slow_call, ending).await;
        slow_answer.unwrap()
    };
    let ((), slow_answer) = join(calling, ending).await;

    assert_eq!(*load.failed.lock().unwrap(), [""; 0], "{load:?}");
    assert_eq!(slow_answer.status(), 200, "under way when the listener closed");
    let ended = service.program.ended().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{}", ended.err);
    let last = ended.out.lines().last().unwrap();
    assert!(last.contains(r#""message":"stopped","cut":0"#), "{last}");
    let logged = ended.out.matches(r#""message":"call ended""#).count() as u64;
    assert_eq!(logged, load.answered.load(Relaxed) + 1, "one line a call");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let wish = Wish { server: "drain: {delay: 60s, timeout: 60s}", ..Wish::default() };
        let service = Service::start(&Outside::start().await.yaml(&wish), &[]).await;
        service.program.signal(first);
        service.program.line(|line| line.contains(r#""message":"draining""#)).await;
        let began = time::now();
        service.program.signal(second);
        let ended = service.program.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_signal_as_soon_as_the_service_is_ready_is_an_orderly_end() {
    let yaml = Outside::start().await.yaml(&Wish::default());
    for _ in 0..5 {
        let ended = Service::start(&yaml, &[]).await.terminated().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains(r#""message":"stopped""#), "{ended:?}");
    }
}

async fn end_within(service: Service, at_most: Duration) -> Ended {
    let began = time::now();
    let ended = service.terminated().await;
    assert!(began.elapsed() < at_most, "{:?}: {ended:?}", began.elapsed());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[tokio::test]
pub(crate) async fn an_upstream_that_hangs_holds_the_end_no_longer_than_the_drain_may_take() {
    let outside = Outside::start().await;
    let service = Service::start(
        &outside.yaml(&Wish {
            server: "drain: {delay: 0s, timeout: 1s}",
            upstream: "timeouts: {attempt: 30s}",
            action: "    timeout: 31s",
            ..Wish::default()
        }),
        &[],
    )
    .await;
    outside.crm.site.set(Standing::every(Fault::Hang)).await.unwrap();
    let call = service.call("customer-lookup", 1).send();
    let ending = async {
        outside.crm.site.until(|counts| counts.in_flight == 1).await;
        end_within(service, Duration::from_millis(3_500)).await
    };
    let (call, ended) = join(call, ending).await;
    assert!(call.is_err(), "there was nothing to answer");
    assert!(ended.out.contains("stopped with calls under way"), "{ended:?}");
}

#[tokio::test]
pub(crate) async fn connections_that_say_nothing_do_not_hold_the_end() {
    let service = Service::start(&Outside::start().await.yaml(&Wish::default()), &[]).await;
    let mut half = Vec::new();
    for said in ["", "POST /data-action/customer-lookup HTTP/1.1\r\nHost: a\r\n"] {
        for address in [service.calls, service.probes, service.admin] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            half.push(stream);
        }
    }
    // One that was served, and rests.
    assert_eq!(service.status("customer-lookup", 1).await, 200);
    end_within(service, Duration::from_secs(3)).await;
    for mut stream in half {
        assert!(matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_)), "it is closed");
    }
}

/// Connections of each kind that only hold the service up.
const HOSTILE: usize = 40;
/// The time that such a client has of everything, and far more than the end may take.
const FOR_LONG: &str = "header_timeout: 60s, body_timeout: 60s, write_timeout: 60s, \
    handshake_timeout: 60s, drain: {delay: 0s, timeout: 60s}";

/// As many connections, all of which have said this.
async fn connections(service: &Service, said: &[u8]) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..HOSTILE {
        let mut stream = TcpStream::connect(service.calls).await.unwrap();
        stream.write_all(said).await.unwrap();
        all.push(stream);
    }
    all
}

/// One that asks and asks and takes no answer, until nothing is taken of what it asks any more.
async fn deaf(service: &Service) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(service.calls).await.unwrap();
    let piece = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    while timeout(Duration::from_millis(500), stream.write_all(piece.as_bytes())).await.is_ok() {}
    stream
}

/// A byte of a head to each, again and again.
async fn trickle(heads: &mut [TcpStream]) {
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    loop {
        beat.tick().await;
        for head in &mut *heads {
            // It is closed sooner or later.
            let _ = head.write_all(b"a").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hold_the_service_up_do_not_delay_the_end() {
    let outside = Outside::start().await;
    let wish = Wish { server: FOR_LONG, ..Wish::default() };
    let service = Service::start(&outside.yaml(&wish), &[]).await;
    let head = "POST /data-action/customer-lookup HTTP/1.1\r\nHost: a\r\n";
    let body = format!("{head}{TOKEN_HEADER}: good\r\nContent-Length: 100\r\n\r\n{{\"data\"");
    let mut all = connections(&service, b"").await;
    all.extend(connections(&service, head.as_bytes()).await);
    all.extend(connections(&service, body.as_bytes()).await);
    let mut heads = connections(&service, format!("{head}X-Slow: ").as_bytes()).await;
    for _ in 0..3 {
        all.push(deaf(&service).await);
    }
    tokio::select! {
        ended = end_within(service, Duration::from_secs(20)) => {
            assert!(ended.out.contains(r#""message":"stopped","cut":0"#), "{}", ended.err);
        }
        () = trickle(&mut heads) => {}
    }
}

#[tokio::test]
async fn handshakes_that_stand_still_do_not_delay_the_end() {
    let papers = Papers::new();
    let identity = papers.identity("server", &Issuer::new().issue(&["127.0.0.1"]));
    let server = format!("{FOR_LONG}, tls: {{{identity}}}");
    let wish = Wish { server: &server, ..Wish::default() };
    let service = Service::start(&Outside::start().await.yaml(&wish), &[]).await;
    let mut all = connections(&service, b"").await;
    // The first bytes of a ClientHello of 512.
    all.extend(connections(&service, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await);
    let ended = end_within(service, Duration::from_secs(20)).await;
    assert!(ended.out.contains(r#""message":"stopped","cut":0"#), "{}", ended.err);
}

#[tokio::test]
async fn a_signal_while_the_configuration_is_read_is_an_orderly_end() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("holdline.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo is a program").success());
        let yaml = Outside::start().await.yaml(&Wish::default());
        let program = Program::start(&["serve", "--config", pipe.to_str().unwrap()], &[]);
        // Opens as soon as the program does, and then the program waits for what is written.
        let writing = tokio::task::spawn_blocking(move || std::fs::File::create(pipe).unwrap());
        let mut writing = writing.await.unwrap();
        program.signal(signal);
        std::io::Write::write_all(&mut writing, yaml.as_bytes()).unwrap();
        drop(writing);
        let ended = program.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains(r#""message":"stopped","cut":0"#), "{ended:?}");
    }
}

#[tokio::test]
async fn two_signals_end_it_while_the_configuration_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("holdline.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is a program").success());
    let program = Program::start(&["serve", "--config", pipe.to_str().unwrap()], &[]);
    let writing = tokio::task::spawn_blocking(move || std::fs::File::create(pipe).unwrap());
    let writing = writing.await.unwrap();
    program.signal("TERM");
    program.signal("INT");
    let ended = program.ended().await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    drop(writing);
}
