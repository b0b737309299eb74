//! Patience with the other end of a connection: how long it may take to ask, to rest and to take an
//! answer.
//!
//! hyper has one timer for "no head yet" and "nothing asked after the last answer", and none for a
//! client that takes nothing. A balancer needs the second to be long, an attacker deserves the
//! first to be short, so the three are told apart here, between the socket and hyper.
//!
//! ```text
//! accepted --header--> served --(no clock)--> answer done --idle--> first byte --header--> ...
//!                      any write without progress: write
//! ```

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::{
    server::{framing::Framing, lifecycle::LAST_WORD},
    time::{Instant, now},
};

/// How long the other end of a connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From accept (over TLS from the end of the handshake), later from the first byte of a request,
    /// to the end of its head.
    pub header: Duration,
    /// From the end of an answer to the first byte of the next request.
    pub idle: Duration,
    /// How long it may take nothing of an answer.
    pub write: Duration,
}

/// Whose turn it is on a connection: the client's, to send a head, or ours, to answer. Known to the
/// socket's side ([`TimedIo`]) and to the one who answers; all of it happens within the
/// connection's own task, so relaxed ordering is enough. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn(Arc<Marks>);

#[derive(Debug)]
struct Marks {
    serving: AtomicBool,
    unsent: AtomicBool,
    /// Whether the connection is to end: who takes nothing is not waited for much longer.
    hurried: AtomicBool,
    /// Requests that came to be answered.
    asked: AtomicU64,
    /// Heads that arrived whole, and the first that must not be answered, as [`Framing`] saw them.
    heads: AtomicU64,
    faulty: AtomicU64,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            serving: AtomicBool::new(false),
            unsent: AtomicBool::new(false),
            hurried: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            faulty: AtomicU64::new(u64::MAX),
        }
    }
}

/// How the head of a request was framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadFraming {
    /// One length at most, and begun where the message before it ended.
    Clear,
    /// It gives two lengths, or nobody can tell where it began.
    Ambiguous,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The head of a request is complete; it is our turn until the guard is dropped, which says
    /// that the answer is done. To be called once for each request, in their order.
    pub(crate) fn head_complete(&self) -> (HeadFraming, Serving) {
        let marks = &self.0;
        let index = self.asked();
        // Nobody writes it but here, and all of that in one task.
        marks.asked.store(index + 1, Ordering::Relaxed);
        marks.serving.store(true, Ordering::Relaxed);
        let clear = index < marks.heads.load(Ordering::Relaxed)
            && index < marks.faulty.load(Ordering::Relaxed);
        let framing = if clear { HeadFraming::Clear } else { HeadFraming::Ambiguous };
        (framing, Serving(self.clone()))
    }

    /// Whether nothing is lost when the connection is dropped now: no request is being answered and
    /// no answer is still on its way out.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.is_serving() && !self.0.unsent.load(Ordering::Relaxed)
    }

    /// From now on a client that takes nothing of an answer has [`LAST_WORD`] at the most.
    pub(crate) fn hurry(&self) {
        self.0.hurried.store(true, Ordering::Relaxed);
    }

    fn is_serving(&self) -> bool {
        self.0.serving.load(Ordering::Relaxed)
    }

    fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    fn saw(&self, framing: &Framing) {
        self.0.heads.store(framing.heads(), Ordering::Relaxed);
        self.0.faulty.store(framing.faulty().unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A request is being answered, until this is dropped.
#[derive(Debug)]
#[must_use = "dropping it says that the answer is done"]
pub(crate) struct Serving(Turn);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.serving.store(false, Ordering::Relaxed);
    }
}

/// A socket that fails with [`io::ErrorKind::TimedOut`] when [`Patience`] is over.
#[derive(Debug)]
pub(crate) struct TimedIo<S> {
    socket: S,
    patience: Patience,
    turn: Turn,
    framing: Framing,
    wait: Wait,
    wait_alarm: Alarm,
    /// When a write that makes no progress fails.
    stalled_until: Option<Instant>,
    write_alarm: Alarm,
}

/// What the client is waited for, and how long.
#[derive(Debug, Clone, Copy)]
struct Wait {
    what: Awaited,
    /// How many requests had been asked when it began; another number means another wait.
    asked: u64,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Head,
    FirstByte,
}

impl<S> TimedIo<S> {
    /// The head of the first request is waited for from now on.
    pub(crate) fn new(socket: S, patience: Patience, turn: Turn) -> Self {
        let wait = Wait { what: Awaited::Head, asked: 0, until: now() + patience.header };
        Self {
            socket,
            patience,
            turn,
            framing: Framing::new(),
            wait,
            wait_alarm: Alarm::default(),
            stalled_until: None,
            write_alarm: Alarm::default(),
        }
    }

    /// Notes bytes that arrived. The clock of a head starts with its first byte, not when somebody
    /// next finds nothing to read.
    fn arrived(&mut self, bytes: &[u8]) {
        self.framing.follow(bytes);
        self.turn.saw(&self.framing);
        if self.framing.inside_head() && !self.turn.is_serving() {
            self.renew_wait();
        }
    }

    /// Begins another wait if what is waited for is no longer the same.
    fn renew_wait(&mut self) {
        let asked = self.turn.asked();
        // The first head is timed from accept, begun or not.
        let head = asked == 0 || self.framing.inside_head() || self.framing.heads() > asked;
        let (what, limit) = if head {
            (Awaited::Head, self.patience.header)
        } else {
            (Awaited::FirstByte, self.patience.idle)
        };
        if (what, asked) != (self.wait.what, self.wait.asked) {
            self.wait = Wait { what, asked, until: now() + limit };
        }
    }

    /// Ready with an error when the client was waited for too long. Nothing is timed while a
    /// request is served, nor while an answer is still on its way out: that has the write clock.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.turn.is_at_rest() {
            return Poll::Pending;
        }
        self.renew_wait();
        self.wait_alarm.poll(self.wait.until, cx).map(|()| match self.wait.what {
            Awaited::Head => timed_out("the head of a request took too long"),
            Awaited::FirstByte => timed_out("no further request came"),
        })
    }

    /// Takes the outcome of a write, flush or shutdown; one that stays pending becomes an error.
    fn watch_write<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stalled_until.take().is_some() {
                self.turn.0.unsent.store(false, Ordering::Relaxed);
            }
            return outcome;
        }
        let until = self.stalled_until.get_or_insert_with(|| now() + self.patience.write);
        if self.turn.0.hurried.load(Ordering::Relaxed) {
            *until = (*until).min(now() + LAST_WORD);
        }
        let until = *until;
        self.turn.0.unsent.store(true, Ordering::Relaxed);
        ready!(self.write_alarm.poll(until, cx));
        Poll::Ready(Err(timed_out("the client takes nothing of the answer")))
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedIo<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut this.socket).poll_read(cx, buf) {
            this.arrived(&buf.filled()[before..]);
            return Poll::Ready(outcome);
        }
        this.poll_wait(cx).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.watch_write(outcome, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_write_vectored(cx, bufs);
        this.watch_write(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_flush(cx);
        let outcome = this.watch_write(outcome, cx);
        // hyper ends each round with a flush but does not always read again after an answer:
        // without this, nobody would wake for the idle clock.
        if let (Poll::Ready(Ok(())), Poll::Ready(error)) = (&outcome, this.poll_wait(cx)) {
            return Poll::Ready(Err(error));
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.watch_write(outcome, cx)
    }
}

/// A timer that follows a moving instant. Instants mostly move away before they come; it then
/// wakes at the old one and sleeps on, so a busy connection does not touch the timer each time.
#[derive(Debug, Default)]
struct Alarm(Option<Armed>);

#[derive(Debug)]
struct Armed {
    sleep: Pin<Box<Sleep>>,
    /// Whom it wakes.
    wakes: Waker,
}

impl Alarm {
    fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let Armed { sleep, wakes } = self.0.get_or_insert_with(|| Armed {
            sleep: Box::pin(tokio::time::sleep_until(due)),
            wakes: Waker::noop().clone(),
        });
        if sleep.deadline() > due {
            sleep.as_mut().reset(due);
        } else if wakes.will_wake(cx.waker()) && !sleep.is_elapsed() {
            // It is set, and wakes early enough.
            return Poll::Pending;
        }
        wakes.clone_from(cx.waker());
        loop {
            // Whatever else this task has done in this turn: a timer that refuses to be looked at is not
            // set, and nobody would look again.
            ready!(pin!(tokio::task::unconstrained(sleep.as_mut())).poll(cx));
            if sleep.deadline() >= due {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{mem, task::Wake};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::sleep,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(5),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(10),
    };
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connection() -> (TimedIo<DuplexStream>, DuplexStream, Turn) {
        let (ours, theirs) = duplex(64);
        let turn = Turn::new();
        (TimedIo::new(ours, PATIENCE, turn.clone()), theirs, turn)
    }

    /// Reads until it fails; says how and how long after `start`.
    async fn failure(io: &mut TimedIo<DuplexStream>, start: Instant) -> (io::ErrorKind, Duration) {
        let mut buffer = [0; 64];
        loop {
            match io.read(&mut buffer).await {
                Ok(0) => return (io::ErrorKind::UnexpectedEof, now() - start),
                Ok(_) => {}
                Err(error) => return (error.kind(), now() - start),
            }
        }
    }

    /// One request sent, read and answered.
    async fn exchange(io: &mut TimedIo<DuplexStream>, client: &mut DuplexStream, turn: &Turn) {
        client.write_all(REQUEST).await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(io.read(&mut buffer).await.unwrap(), REQUEST.len());
        let (framing, serving) = turn.head_complete();
        assert_eq!(framing, HeadFraming::Clear);
        drop(serving);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_dropped_when_its_first_head_is_due() {
        let (mut io, _client, _) = connection();
        assert_eq!(failure(&mut io, now()).await, (io::ErrorKind::TimedOut, PATIENCE.header));
    }

    #[tokio::test(start_paused = true)]
    async fn dribbling_a_head_does_not_prolong_its_time() {
        let (mut io, mut client, turn) = connection();
        exchange(&mut io, &mut client, &turn).await;
        let start = now();
        let dribble = async {
            for byte in REQUEST {
                sleep(SECOND).await;
                client.write_all(&[*byte]).await.unwrap();
            }
        };
        let failed = tokio::select! {
            failed = failure(&mut io, start) => failed,
            () = dribble => unreachable!("the head is longer than its time"),
        };
        assert_eq!(failed, (io::ErrorKind::TimedOut, SECOND + PATIENCE.header));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_nothing_more_is_dropped_when_idle_for_long() {
        let (mut io, mut client, turn) = connection();
        for _ in 0..3 {
            exchange(&mut io, &mut client, &turn).await;
            sleep(SECOND).await;
        }
        exchange(&mut io, &mut client, &turn).await;
        assert_eq!(failure(&mut io, now()).await, (io::ErrorKind::TimedOut, PATIENCE.idle));
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_begins_a_new_idle_time() {
        let (mut io, mut client, turn) = connection();
        for _ in 0..4 {
            exchange(&mut io, &mut client, &turn).await;
            let early = tokio::time::timeout(PATIENCE.idle - SECOND, io.read_u8()).await;
            assert!(early.is_err(), "still open");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_hurried_while_a_request_is_served() {
        let (mut io, mut client, turn) = connection();
        client.write_all(REQUEST).await.unwrap();
        io.read_exact(&mut [0; REQUEST.len()]).await.unwrap();
        let (_, serving) = turn.head_complete();
        assert!(tokio::time::timeout(3600 * SECOND, io.read_u8()).await.is_err());
        drop(serving);
        let rest = now();
        assert_eq!(failure(&mut io, rest).await, (io::ErrorKind::TimedOut, PATIENCE.idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_begun_behind_a_body_is_due_after_the_answer_like_any_head() {
        let (mut io, mut client, turn) = connection();
        client.write_all(REQUEST).await.unwrap();
        client.write_all(b"GET / HT").await.unwrap();
        io.read_exact(&mut [0; REQUEST.len() + 8]).await.unwrap();
        drop(turn.head_complete());
        assert_eq!(failure(&mut io, now()).await, (io::ErrorKind::TimedOut, PATIENCE.header));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_fails_the_write() {
        let (mut io, _client, turn) = connection();
        let start = now();
        let error = io.write_all(&[0; 65]).await.unwrap_err();
        assert_eq!((error.kind(), now() - start), (io::ErrorKind::TimedOut, PATIENCE.write));
        assert!(!turn.is_at_rest());
    }

    #[tokio::test(start_paused = true)]
    async fn each_byte_taken_gives_the_write_its_whole_time_again() {
        let (mut io, mut client, turn) = connection();
        let start = now();
        let slow = async {
            for _ in 0..3 {
                sleep(9 * SECOND).await;
                client.read_u8().await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            wrote = io.write_all(&[0; 70]) => wrote.unwrap_err(),
            () = slow => unreachable!("it reads no more, for ever"),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(now() - start, 27 * SECOND + PATIENCE.write);
        assert!(!turn.is_at_rest());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_gets_through_late_leaves_the_connection_at_rest() {
        let (mut io, mut client, turn) = connection();
        let late = async {
            sleep(9 * SECOND).await;
            client.read_exact(&mut [0; 65]).await.unwrap();
        };
        let (wrote, ()) = tokio::join!(io.write_all(&[0; 65]), late);
        wrote.unwrap();
        assert!(turn.is_at_rest());
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_is_set_when_its_task_has_no_turn_left_rings_all_the_same() {
        /// What a task may do in one turn, as tokio counts it.
        const TURN: usize = 128;
        for spent in [0, TURN - 1, TURN, 2 * TURN] {
            let mut alarm = Alarm::default();
            let due = now() + SECOND;
            let mut left = spent;
            let rings = std::future::poll_fn(|cx| {
                for _ in 0..mem::take(&mut left) {
                    let _ = pin!(tokio::task::consume_budget()).poll(cx);
                }
                alarm.poll(due, cx)
            });
            let rang = tokio::time::timeout(2 * SECOND, rings).await;
            assert!(rang.is_ok() && now() == due, "after {spent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_alone_keeps_the_idle_clock_awake() {
        let (mut io, mut client, turn) = connection();
        exchange(&mut io, &mut client, &turn).await;
        let start = now();
        let failed = std::future::poll_fn(|cx| match Pin::new(&mut io).poll_flush(cx) {
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(error),
        });
        let error = tokio::time::timeout(2 * PATIENCE.idle, failed).await.expect("it wakes");
        assert_eq!((error.kind(), now() - start), (io::ErrorKind::TimedOut, PATIENCE.idle));
    }

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_wakes_who_looked_last_however_often_it_was_looked_at() {
        let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
        let mut alarm = Alarm::default();
        let due = now() + SECOND;
        for bell in [0, 0, 1, 1] {
            let waker = Waker::from(Arc::clone(&bells[bell]));
            assert!(alarm.poll(due, &mut Context::from_waker(&waker)).is_pending());
        }
        tokio::time::advance(2 * SECOND).await;
        tokio::task::yield_now().await;
        assert_eq!(bells.each_ref().map(|bell| bell.0.load(Ordering::Relaxed)), [false, true]);
        let waker = Waker::from(Arc::clone(&bells[1]));
        let cx = &mut Context::from_waker(&waker);
        // It has moved on meanwhile, and is set anew.
        assert!(alarm.poll(due + 2 * SECOND, cx).is_pending());
        assert!(alarm.poll(due, cx).is_ready());
    }

    #[test]
    fn a_request_nobody_saw_arrive_is_ambiguous() {
        let turn = Turn::new();
        assert_eq!(turn.head_complete().0, HeadFraming::Ambiguous);
    }
}
