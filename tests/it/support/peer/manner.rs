//! How the peer works when it works, and what it does to a request when it does not.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use holdline::time;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

/// What it says when all is well.
const BODY: &str = r#"{"id":1,"name":"Leanne Graham","email":"Sincere@april.biz","phone":"1-770-736-8031 x56442"}"#;

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// It is answered with this status; the header, if any, in whole seconds.
    Status { code: u16, retry_after: Option<u64> },
    /// The connection is reset when the head has come: the body is never read.
    ResetUnread,
    /// The connection is reset before a byte of the response.
    ResetBeforeHead,
    /// The connection is reset after the head and half of the body.
    ResetAfterHead,
    /// The connection is closed in order before a byte of the response.
    Close,
    /// Nothing is said, and the connection stays.
    Silence,
    /// One byte of the body per interval.
    Slow(Duration),
    /// The connection is closed in order after half of the body.
    Truncate,
    /// A body without an end, some megabytes a second.
    Endless,
    /// What is said is no HTTP.
    Garbage,
}

/// How it works when it works.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    /// How long each answer takes.
    pub(crate) latency: Duration,
    /// Which share of the requests meets which fault.
    pub(crate) faults: Vec<(f64, Fault)>,
    /// How much it can do at once; absent: anything.
    pub(crate) capacity: Option<Capacity>,
}

impl Manner {
    /// This fault for every request.
    pub(crate) fn always(fault: Fault) -> Self {
        Self { faults: vec![(1.0, fault)], ..Self::default() }
    }

    /// A share of the requests fails, in equal parts as 503, by a reset and by a closed connection.
    pub(crate) fn failing(share: f64) -> Self {
        let unavailable = Fault::Status { code: 503, retry_after: None };
        let kinds = [unavailable, Fault::ResetBeforeHead, Fault::Close];
        Self { faults: kinds.map(|fault| (share / 3.0, fault)).into(), ..Self::default() }
    }

    /// Well, but this late.
    pub(crate) fn late(latency: Duration) -> Self {
        Self { latency, ..Self::default() }
    }
}

/// A system that works on so many requests at once, the others in a line, first come first served.
/// Work is not given up when the client leaves: it seldom is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Requests worked on at once.
    pub(crate) at_once: usize,
    /// How long each takes.
    pub(crate) takes: Duration,
    /// Requests that may wait; beyond, 503.
    pub(crate) line: usize,
}

/// Who meets a fault: lots out of an urn, so that the share is kept exactly in every few hundred
/// requests and only the places are chance. Dice would make each run a matter of luck.
#[derive(Debug)]
pub(super) struct Lots {
    dice: fastrand::Rng,
    urn: Vec<Option<Fault>>,
}

impl Lots {
    /// A full urn has as many.
    const ALL: usize = 300;

    /// An empty urn.
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: fastrand::Rng::with_seed(seed), urn: Vec::new() }
    }

    /// Throws away what is left, for another manner.
    pub(super) fn mix(&mut self) {
        self.urn.clear();
    }

    /// What befalls the next request.
    pub(super) fn draw(&mut self, manner: &Manner) -> Option<Fault> {
        if self.urn.is_empty() {
            for (share, fault) in &manner.faults {
                let lots = (share * Self::ALL as f64).round() as usize;
                self.urn.extend(std::iter::repeat_n(Some(*fault), lots));
            }
            self.urn.resize(Self::ALL, None);
            self.dice.shuffle(&mut self.urn);
        }
        self.urn.pop().flatten()
    }
}

/// A manner, and who is at work by it.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) manner: Manner,
    workers: Semaphore,
    waiting: AtomicUsize,
}

impl Rules {
    pub(super) fn new(manner: Manner) -> Arc<Self> {
        let workers = Semaphore::new(manner.capacity.map_or(0, |capacity| capacity.at_once));
        Arc::new(Self { manner, workers, waiting: AtomicUsize::new(0) })
    }
}

/// What becomes of the connection.
pub(super) enum Next {
    Keep,
    Close,
    Reset,
}

/// Says what is to be said, when its turn has come.
pub(super) async fn answer(stream: &mut TcpStream, rules: &Rules) -> io::Result<Next> {
    if let Some(Capacity { takes, line, .. }) = rules.manner.capacity {
        if rules.waiting.fetch_add(1, Relaxed) >= line {
            rules.waiting.fetch_sub(1, Relaxed);
            return spoil(stream, Fault::Status { code: 503, retry_after: None }).await;
        }
        let turn = rules.workers.acquire().await;
        rules.waiting.fetch_sub(1, Relaxed);
        tokio::time::sleep_until(time::now() + takes).await;
        drop(turn);
    }
    stream.write_all(format!("{}{BODY}", head(200, "", BODY.len())).as_bytes()).await?;
    Ok(Next::Keep)
}

fn head(code: u16, more: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {code} So\r\nContent-Type: application/json\r\n{more}\
         Content-Length: {length}\r\n\r\n"
    )
}

/// Says nothing until the client leaves.
pub(super) async fn silence(stream: &mut TcpStream) -> Next {
    let mut ignored = [0; 256];
    while stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
    Next::Close
}

/// Answers as the fault has it.
pub(super) async fn spoil(stream: &mut TcpStream, fault: Fault) -> io::Result<Next> {
    let half = || format!("{}{}", head(200, "", BODY.len()), &BODY[..BODY.len() / 2]);
    match fault {
        Fault::Status { code, retry_after } => {
            let more = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n"));
            let more = more.unwrap_or_default();
            stream.write_all(format!("{}{{}}", head(code, &more, 2)).as_bytes()).await?;
            return Ok(Next::Keep);
        }
        Fault::ResetUnread | Fault::ResetBeforeHead => return Ok(Next::Reset),
        Fault::Close => {}
        Fault::ResetAfterHead => {
            stream.write_all(half().as_bytes()).await?;
            return Ok(Next::Reset);
        }
        Fault::Truncate => stream.write_all(half().as_bytes()).await?,
        Fault::Silence => return Ok(silence(stream).await),
        Fault::Slow(interval) => {
            stream.write_all(head(200, "", BODY.len()).as_bytes()).await?;
            for byte in BODY.bytes() {
                tokio::time::sleep(interval).await;
                stream.write_all(&[byte]).await?;
            }
            return Ok(Next::Keep);
        }
        Fault::Endless => {
            let open = "HTTP/1.1 200 So\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"name\":\"\r\n";
            stream.write_all(open.as_bytes()).await?;
            let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
            loop {
                stream.write_all(chunk.as_bytes()).await?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Fault::Garbage => stream.write_all(b"220 mail.example.com ESMTP ready\r\n").await?,
    }
    Ok(Next::Close)
}
