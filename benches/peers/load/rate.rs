//! Calls that leave on a fixed schedule, whatever the server does meanwhile.
//!
//!   rate ADDRESS PER-SECOND SECONDS known|new CUSTOMERS|FIRST CONNECTIONS
//!
//! `known` is any of customers 1 to CUSTOMERS, `new` a new one each time, from FIRST on. Each connection is a
//! thread with its own phase of the schedule. Prints one line of JSON; times in microseconds, from the write, or
//! from when the call was due where the answer before it came later than that.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HEAD: &str = "POST /data-action/customer-lookup HTTP/1.1\r\nHost: 127.0.0.1\r\n\
Content-Type: application/json\r\nX-Genesys-Auth-Token: good-token-0123456789abcdef\r\n";

#[derive(Clone)]
struct Plan {
    addr: String,
    qps: f64,
    seconds: f64,
    new: bool,
    customers: u64,
    connections: u64,
}

#[derive(Default)]
struct Seen {
    took: Vec<u32>,
    bad: u64,
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

/// Reads one response; its status.
fn response(stream: &mut TcpStream, buf: &mut Vec<u8>) -> std::io::Result<u16> {
    buf.clear();
    let mut chunk = [0u8; 4096];
    loop {
        let got = stream.read(&mut chunk)?;
        if got == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buf.extend_from_slice(&chunk[..got]);
        let Some(end) = find(buf, b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buf[..end]).to_ascii_lowercase();
        let length = head
            .split("\r\n")
            .find_map(|l| l.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let whole = match length {
            Some(n) => buf.len() >= end + 4 + n,
            None => buf.ends_with(b"0\r\n\r\n"), // chunked
        };
        if whole {
            return Ok(head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0));
        }
    }
}

fn connect(addr: &str) -> std::io::Result<TcpStream> {
    let s = TcpStream::connect(addr)?;
    s.set_nodelay(true)?;
    s.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(s)
}

fn micros(d: Duration) -> u32 {
    d.as_micros().min(u32::MAX as u128) as u32
}

fn run(plan: &Plan, k: u64, start: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut buf = Vec::with_capacity(8192);
    let mut stream = connect(&plan.addr).ok();
    let total = (plan.qps * plan.seconds) as u64;
    let mut i = k;
    while i < total {
        let id = if plan.new {
            plan.customers + i
        } else {
            i.wrapping_mul(2_654_435_761) % plan.customers + 1
        };
        let body = format!("{{\"data\":{{\"customer_id\":{id}}}}}");
        let req = format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
        let due = start + Duration::from_secs_f64(i as f64 / plan.qps);
        let is_late = Instant::now() > due;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stream.is_none() {
            stream = connect(&plan.addr).ok();
        }
        let sent = Instant::now();
        let got = stream
            .as_mut()
            .ok_or(std::io::ErrorKind::NotConnected.into())
            .and_then(|s| s.write_all(req.as_bytes()).and_then(|()| response(s, &mut buf)));
        let now = Instant::now();
        match got {
            Ok(200) => {}
            Ok(_) => seen.bad += 1,
            Err(_) => {
                seen.bad += 1;
                stream = None;
            }
        }
        seen.took.push(micros(now - if is_late { due } else { sent }));
        i += plan.connections;
    }
    seen
}

fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    if a.len() != 6 {
        eprintln!("usage: rate ADDRESS PER-SECOND SECONDS known|new CUSTOMERS|FIRST CONNECTIONS");
        std::process::exit(2);
    }
    let number = |i: usize| a[i].parse::<f64>().expect("a number");
    let plan = Plan {
        addr: a[0].clone(),
        qps: number(1),
        seconds: number(2),
        new: a[3] == "new",
        customers: number(4) as u64,
        connections: number(5) as u64,
    };
    let start = Instant::now() + Duration::from_millis(100);
    let threads: Vec<_> = (0..plan.connections)
        .map(|k| {
            let plan = plan.clone();
            std::thread::spawn(move || run(&plan, k, start))
        })
        .collect();
    let mut all = Seen::default();
    for thread in threads {
        let seen = thread.join().expect("a thread");
        all.took.extend(seen.took);
        all.bad += seen.bad;
    }
    let seconds = start.elapsed().as_secs_f64();
    all.took.sort_unstable();
    let at =
        |share: f64| all.took.get((all.took.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!(
        "{{\"calls\":{},\"seconds\":{seconds:.3},\"p50\":{},\"p99\":{},\"bad\":{}}}",
        all.took.len(),
        at(0.5),
        at(0.99),
        all.bad
    );
}
