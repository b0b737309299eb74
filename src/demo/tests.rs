//! The fakes as a client on a bare socket sees them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{chance::Chance, time};

use super::{
    World, WorldSettings,
    crm::{CrmSettings, FakeCrm},
    fault::{Fault, Latency, Standing},
    genesys::{Claims, FakeGenesys, GenesysSettings},
    gzip,
    notation::FaultFlag,
    record::Counts,
};

/// Nothing here takes longer, except by a mistake.
const PATIENCE: Duration = Duration::from_secs(10);

async fn crm() -> FakeCrm {
    let settings = CrmSettings { chance: Chance::Loaded(0.0), ..CrmSettings::default() };
    FakeCrm::start("127.0.0.1:0".parse().unwrap(), settings).await.unwrap()
}

async fn connect(crm: &FakeCrm) -> std::io::Result<TcpStream> {
    TcpStream::connect(crm.site.address()).await
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let text = format!("GET {path} HTTP/1.1\r\nHost: crm\r\nX-Probe: 1\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// One request on a connection of its own, read to the end of it: what came, and whether the end was
/// a reset.
async fn exchange(crm: &FakeCrm) -> (Vec<u8>, bool) {
    let mut stream = connect(crm).await.unwrap();
    let text = "GET /users/1 HTTP/1.1\r\nConnection: close\r\n\r\n";
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("no end came") {
            Ok(0) => return (bytes, false),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(_) => return (bytes, true),
        }
    }
}

fn parts(bytes: &[u8]) -> (String, Vec<u8>) {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("no end of the head");
    (String::from_utf8(bytes[..at].to_vec()).unwrap(), bytes[at + 4..].to_vec())
}

fn announced(head: &str) -> usize {
    let line = head.lines().find(|line| line.starts_with("Content-Length: ")).unwrap();
    line["Content-Length: ".len()..].parse().unwrap()
}

async fn with(fault: Fault) -> (Vec<u8>, bool) {
    let crm = crm().await;
    crm.site.script([fault]);
    let seen = exchange(&crm).await;
    crm.site.stop().await;
    seen
}

#[tokio::test]
async fn a_healthy_fake_answers_many_requests_on_one_connection() {
    let crm = crm().await;
    let mut stream = connect(&crm).await.unwrap();
    for _ in 0..3 {
        ask(&mut stream, "/users/1?full=1").await;
        let mut bytes = vec![0; 16 * 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        let (head, body) = parts(&bytes[..count]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/json"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["name"], "Leanne Graham");
    }
    let Counts { connections, requests, bodies, max_in_flight, .. } = crm.site.counts();
    assert_eq!((connections, requests, bodies, max_in_flight), (1, 3, 3, 1));
    assert_eq!(crm.site.requests_for("/users/1"), 3);
    let seen = crm.site.seen();
    assert_eq!(seen[2].request.header("x-probe"), Some("1"));
    assert_eq!((seen[2].connection, seen[2].request.target.as_str()), (1, "/users/1?full=1"));
    crm.site.stop().await;
}

#[tokio::test]
async fn a_status_may_say_when_to_come_back() {
    let (bytes, _) = with(Fault::Status { code: 503, retry_after: Some(2) }).await;
    let (head, _) = parts(&bytes);
    assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
    assert!(head.contains("Retry-After: 2\r\n"), "{head}");
    let (bytes, _) = with(Fault::status(204)).await;
    assert!(!parts(&bytes).0.contains("Content-Length"));
}

#[tokio::test]
async fn a_close_and_a_reset_before_the_head_are_told_apart() {
    assert_eq!(with(Fault::Close).await, (vec![], false));
    assert_eq!(with(Fault::Reset).await, (vec![], true));
}

#[tokio::test]
async fn half_a_body_ends_in_order_or_with_a_reset() {
    for (fault, expected) in [(Fault::Truncate, false), (Fault::ResetMidBody, true)] {
        let (bytes, reset) = with(fault).await;
        let (head, body) = parts(&bytes);
        assert_eq!(body.len(), announced(&head) / 2);
        assert_eq!(reset, expected);
    }
}

#[tokio::test]
async fn a_dripped_body_takes_an_interval_for_each_byte() {
    let crm = crm().await;
    crm.write(1, json!({"n": 1}));
    crm.site.script([Fault::Drip(Duration::from_millis(3))]);
    let before = time::now();
    let (bytes, _) = exchange(&crm).await;
    assert_eq!(parts(&bytes).1, br#"{"n":1}"#);
    assert!(before.elapsed() >= Duration::from_millis(7 * 3));
    crm.site.stop().await;
}

#[tokio::test]
async fn bodies_that_are_no_customer_come_under_200() {
    let (bytes, _) = with(Fault::Garbage).await;
    assert!(bytes.starts_with(b"220 mail"));
    let (bytes, _) = with(Fault::Html).await;
    assert!(parts(&bytes).0.contains("Content-Type: text/html"));
    let (bytes, _) = with(Fault::Empty).await;
    assert_eq!(announced(&parts(&bytes).0), 0);
    let (bytes, _) = with(Fault::Deep).await;
    assert_eq!(parts(&bytes).1.iter().filter(|byte| **byte == b'[').count(), 100_000);
    let (bytes, _) = with(Fault::Body("[1".into())).await;
    assert_eq!(parts(&bytes).1, b"[1");
    let (bytes, _) = with(Fault::WrongTypes).await;
    assert_eq!(serde_json::from_slice::<Value>(&parts(&bytes).1).unwrap()["name"], 13);
    let (bytes, _) = with(Fault::DuplicateKeys).await;
    assert!(String::from_utf8(parts(&bytes).1).unwrap().ends_with(r#","company":null}"#));
    let (bytes, _) = with(Fault::Redirect("http://127.0.0.1:1/".into())).await;
    let (head, _) = parts(&bytes);
    assert!(head.starts_with("HTTP/1.1 302") && head.contains("Location: http://127.0.0.1:1/\r\n"));
}

#[tokio::test]
async fn an_endless_body_ends_when_the_client_leaves() {
    let crm = crm().await;
    crm.site.script([Fault::Endless]);
    let mut stream = connect(&crm).await.unwrap();
    ask(&mut stream, "/users/1").await;
    let mut bytes = vec![0; 1024 * 1024];
    stream.read_exact(&mut bytes).await.unwrap();
    assert!(parts(&bytes).0.contains("Transfer-Encoding: chunked"));
    assert_eq!(crm.site.counts().in_flight, 1);
    drop(stream);
    let counts = crm.site.until(|counts| counts.in_flight == 0 && counts.open == 0).await;
    assert_eq!(counts.left, 1);
    crm.site.stop().await;
}

#[tokio::test]
async fn a_gzip_bomb_says_what_it_is() {
    let (bytes, _) = with(Fault::GzipBomb).await;
    let (head, body) = parts(&bytes);
    assert!(head.contains("Content-Encoding: gzip\r\n"), "{head}");
    assert_eq!((announced(&head), &body[..]), (body.len(), &gzip::bomb()[..]));
}

#[tokio::test]
async fn a_hung_request_is_in_flight_until_its_client_leaves() {
    let crm = crm().await;
    crm.site.set(Standing::every(Fault::Hang)).await.unwrap();
    let (mut first, mut second) = (connect(&crm).await.unwrap(), connect(&crm).await.unwrap());
    ask(&mut first, "/users/1").await;
    ask(&mut second, "/users/2").await;
    crm.site.until(|counts| counts.in_flight == 2).await;
    drop((first, second));
    let counts = crm.site.until(|counts| counts.in_flight == 0).await;
    assert_eq!((counts.max_in_flight, counts.left), (2, 2));
    crm.site.stop().await;
}

#[tokio::test]
async fn a_fake_that_is_down_refuses_and_comes_back_on_its_port() {
    let crm = crm().await;
    let mut idle = connect(&crm).await.unwrap();
    crm.site.until(|counts| counts.open == 1).await;
    for _ in 0..3 {
        crm.site.set(Standing::Down).await.unwrap();
        let refused = connect(&crm).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        crm.site.set(Standing::ok()).await.unwrap();
        assert!(exchange(&crm).await.0.starts_with(b"HTTP/1.1 200"));
    }
    let error = idle.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    crm.site.stop().await;
}

#[tokio::test]
async fn a_late_answer_is_late() {
    let crm = crm().await;
    crm.site.set_usual_latency(Latency { fixed: Duration::from_millis(15), ..Latency::NONE });
    crm.site.script([Fault::Ok, Fault::Latency(Duration::from_millis(15))]);
    for expected in [15, 30] {
        let before = time::now();
        exchange(&crm).await;
        assert!(before.elapsed() >= Duration::from_millis(expected));
    }
    crm.site.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_body_is_recorded() {
    let crm = crm().await;
    let mut stream = connect(&crm).await.unwrap();
    stream.write_all(b"POST /tickets HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"a").await.unwrap();
    drop(stream);
    let counts = crm.site.until(|counts| counts.left == 1).await;
    assert_eq!((counts.requests, counts.bodies), (1, 0));
    assert!(!crm.site.seen()[0].request.body_complete);
    crm.site.stop().await;
}

/// A small client: status and JSON.
async fn call(url: &str, request: &str, body: &str) -> (u16, Value) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!(
        "{request} HTTP/1.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Authorization: Bearer t\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let (head, body) = parts(&bytes);
    (head[9..12].parse().unwrap(), serde_json::from_slice(&body).unwrap())
}

async fn world() -> World {
    let free = "127.0.0.1:0".parse().unwrap();
    let settings = WorldSettings {
        crm_listen: free,
        crm: CrmSettings { chance: Chance::Loaded(0.4), ..CrmSettings::default() },
        genesys_listen: free,
        genesys: GenesysSettings::default(),
        control_listen: free,
    };
    World::start(settings).await.unwrap()
}

#[tokio::test]
async fn the_control_changes_both_fakes_and_shows_them() {
    let world = world().await;
    let control = world.control_url();
    let order = r#"{"crm": {"latency": "1ms", "status": 503, "share": 0.5}, "genesys": "down"}"#;
    let (status, shown) = call(&control, "POST /faults", order).await;
    assert_eq!(status, 200);
    let rule = json!({"latency": "1ms", "fault": "status:503", "share": 0.5});
    assert_eq!((&shown["crm"]["standing"], &shown["genesys"]["standing"]), (&rule, &json!("down")));
    assert_eq!(call(&world.crm.site.url(), "GET /users/1", "").await.0, 503);
    assert!(TcpStream::connect(world.genesys.site.address()).await.is_err());

    let orders = r#"{"crm": "ok", "genesys": "ok"}"#;
    assert_eq!(call(&control, "POST /faults", orders).await.0, 200);
    assert_eq!(call(&control, "POST /faults", r#"{"crm": ["status:418"]}"#).await.0, 200);
    assert_eq!(call(&world.crm.site.url(), "GET /users/1", "").await.0, 418);
    assert_eq!(call(&world.crm.site.url(), "GET /users/1", "").await.0, 200);
    let (_, shown) = call(&control, "GET /faults", "").await;
    assert_eq!((&shown["crm"]["standing"], &shown["crm"]["requests"]), (&json!("ok"), &json!(3)));
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_order_changes_nothing_and_is_told_which_field() {
    let world = world().await;
    let order = r#"{"genesys": "down", "crm": {"latency": "soon"}}"#;
    let (status, said) = call(&world.control_url(), "POST /faults", order).await;
    let expected = json!({"detail": "crm.latency: not a duration; write 300ms or 2s"});
    assert_eq!((status, said), (400, expected));
    assert_eq!(world.genesys.site.standing(), Standing::ok());
    assert_eq!(call(&world.control_url(), "PUT /faults", "").await.0, 405);
    assert_eq!(call(&world.control_url(), "GET /", "").await.0, 404);
    world.stop().await;
}

#[tokio::test]
async fn flags_of_the_command_line_apply_in_order() {
    let world = world().await;
    let flags: Vec<FaultFlag> = ["crm=latency:1ms", "crm=status:500", "genesys=down"]
        .map(|flag| flag.parse().unwrap())
        .into();
    world.apply(&flags).await.unwrap();
    assert_eq!(call(&world.crm.site.url(), "GET /users/1", "").await.0, 500);
    assert_eq!(world.genesys.site.standing(), Standing::Down);
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_inactive_from_then_on() {
    let address = "127.0.0.1:0".parse().unwrap();
    let genesys = FakeGenesys::start(address, GenesysSettings::default()).await.unwrap();
    let url = genesys.site.url();
    let introspect = || call(&url, "POST /api/v2/oauth2/introspect", r#"{"token": "t"}"#);
    assert_eq!(introspect().await, (200, json!({"active": false})));
    genesys.know("t", Claims::default());
    assert_eq!(introspect().await, (200, json!({"active": true})));
    genesys.revoke("t");
    assert_eq!(introspect().await, (200, json!({"active": false})));
    assert_eq!(genesys.introspections(), 3);
    genesys.site.stop().await;
}
