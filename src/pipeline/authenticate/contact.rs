//! The way to one authority: questions in turn, within their time, under a breaker, and none while
//! it asks to be left alone.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::Request;

use crate::{
    catalog::{
        caller::Scheme,
        policy::{BreakerPolicy, ConcurrencyLimit, ConcurrencyPolicy},
        upstream::Pool,
    },
    client::{Client, ClientError, WireError},
    mechanism::{
        breaker::{Breaker, Change, FailureKind, Verdict},
        not_before::{Because, NotBefore},
        permit::{Permits, Urgency},
    },
    pipeline::authenticate::Surroundings,
    telemetry::{
        attempts::Ended,
        exchange::{Peer, Target, UnderWay},
        stage::Stage,
        trail::Trail,
    },
    time::{self, Deadline},
};

/// How long a question waits for its turn: beyond, the authority is taken to be too slow.
const MAX_QUEUE: Duration = Duration::from_millis(100);
/// What a caller is told to wait where nothing better is known.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// A reply, read to its end.
pub(super) type Reply = http::Response<Bytes>;

/// The way to one authority.
#[derive(Debug)]
pub(super) struct Contact {
    client: Client,
    permits: Permits,
    breaker: Arc<Breaker>,
    held: NotBefore,
    timeout: Duration,
    max_answer: usize,
    /// Whom it asks, and the word for what.
    asked: (Peer, &'static str),
}

/// How an authority is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// Questions under way at once.
    pub(super) max_concurrent: u32,
    /// Bytes of an answer that are read.
    pub(super) max_answer: usize,
}

impl Contact {
    /// Prepares the way to the authority of `scheme`. `asked` is whom, and in a word for what.
    pub(super) fn new(
        scheme: &Scheme,
        asked: (Peer, &'static str),
        manner: Manner,
        around: &Surroundings<'_>,
    ) -> Result<Self, ClientError> {
        let Manner { timeout, max_concurrent, max_answer } = manner;
        // Its idle connections are closed before a server's usual five seconds of keep-alive.
        let pool = Pool { idle: 16, idle_timeout: Duration::from_secs(4) };
        let breaker = BreakerPolicy {
            enabled: true,
            failure_ratio: 0.5,
            min_attempts: 20,
            window: Duration::from_secs(10),
            run: 7,
            connect_run: 5,
            open_first: Duration::from_secs(2),
            open_max: Duration::from_secs(60),
            close_after: 1,
            ramp: Duration::ZERO,
            slow: None,
            lease: timeout + Duration::from_secs(1),
        };
        let caller = scheme.name.clone();
        let told = move |change: Change| {
            tracing::warn!(
                caller = caller.as_str(),
                from = change.from.as_str(),
                to = change.to.as_str(),
                "breaker of the token authority changed"
            );
        };
        let limit = ConcurrencyLimit::Fixed(max_concurrent);
        Ok(Self {
            client: Client::new(timeout, pool, &around.transport)?,
            permits: Permits::new(ConcurrencyPolicy { limit, wait: MAX_QUEUE }),
            breaker: Breaker::new(breaker, around.chance, Box::new(told)),
            held: NotBefore::default(),
            timeout,
            max_answer,
            asked,
        })
    }

    /// Asks, and tells the breaker what `health` makes of the reply. In place of a reply: after how
    /// long it may be worth asking again.
    pub(super) async fn ask(
        &self,
        question: impl Fn() -> Request + Sync,
        health: impl Fn(&Reply) -> Verdict + Sync,
        trail: &Trail,
    ) -> Result<Reply, Duration> {
        let held = self.held.left(time::now());
        if !held.is_zero() {
            return Err(held);
        }
        let pass = self.breaker.admit(time::now()).map_err(|refused| refused.retry_after)?;
        let Ok(_permit) = self.permits.acquire(Urgency::Interactive, MAX_QUEUE).await else {
            return Err(RETRY_AFTER);
        };
        let reply = self.exchange(question, trail).await;
        let verdict = match &reply {
            Ok(reply) => health(reply),
            Err(error) if error.never_sent() => Verdict::Failure(FailureKind::Connect),
            Err(WireError::BodyTooLarge) => Verdict::None,
            Err(_) => Verdict::Failure(FailureKind::Other),
        };
        pass.settle(time::now(), verdict);
        reply.map_err(|_| RETRY_AFTER)
    }

    /// It asks to be left alone for `wait`. For how long it is: at most five minutes.
    pub(super) fn hold(&self, wait: Duration) -> Duration {
        self.held.set(time::now(), wait, Because::TooMany);
        self.held.left(time::now())
    }

    /// One exchange; repeated at once where the connection broke under it, which an idle one may do.
    async fn exchange(
        &self,
        question: impl Fn() -> Request,
        trail: &Trail,
    ) -> Result<Reply, WireError> {
        let ends = Deadline::after(time::now(), self.timeout);
        match self.once(question(), 0, ends, trail).await {
            Err(WireError::Reset | WireError::Connect) => {
                self.once(question(), 1, ends, trail).await
            }
            other => other,
        }
    }

    async fn once(
        &self,
        question: Request,
        resent: u32,
        ends: Deadline,
        trail: &Trail,
    ) -> Result<Reply, WireError> {
        let (peer, what) = (&self.asked.0, Target::Word(self.asked.1));
        let (within, method) = (Stage::Authenticate, question.method());
        let mut under_way = UnderWay::begin(trail, within, method, (peer, what), resent);
        let exchange = self.client.exchange(question, self.max_answer);
        let exchanged = tokio::time::timeout_at(ends.instant(), exchange).await;
        let reply = exchanged.unwrap_or(Err(WireError::Timeout));
        under_way.end(match &reply {
            Ok(reply) => Ended::Status(reply.status().as_u16()),
            Err(error) => Ended::Error(error.label()),
        });
        reply
    }
}
