//! Connections that are made, told to whoever counts them: a layer beneath reqwest's pool, which itself
//! tells nothing.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tower::{Layer, Service};

use crate::time::{self, Instant};

/// Is told of each new connection whether there is one. What nobody waited for any longer is not told.
#[derive(Clone)]
pub struct OnConnect(Arc<dyn Fn(bool) + Send + Sync>);

impl OnConnect {
    /// Told by `tell`.
    pub fn new(tell: impl Fn(bool) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for OnConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnConnect(..)")
    }
}

/// Tells of the connections that `S` makes, each of which is given up after `timeout`.
#[derive(Debug, Clone)]
pub(super) struct Told<S> {
    inner: S,
    timeout: Duration,
    tell: OnConnect,
}

/// Puts [`Told`] around.
#[derive(Debug, Clone)]
pub(super) struct Telling {
    pub(super) timeout: Duration,
    pub(super) tell: OnConnect,
}

impl<S> Layer<S> for Telling {
    type Service = Told<S>;

    fn layer(&self, inner: S) -> Told<S> {
        Told { inner, timeout: self.timeout, tell: self.tell.clone() }
    }
}

impl<S, R> Service<R> for Told<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let given_up = time::now() + self.timeout;
        let mut end = End { given_up, tell: Some(self.tell.clone()) };
        let connecting = self.inner.call(to);
        Box::pin(async move {
            let result = connecting.await;
            end.tell(result.is_ok());
            result
        })
    }
}

/// The end of making one connection. The time-out is around us: all that is seen of it is that nobody
/// waits any more.
struct End {
    given_up: Instant,
    tell: Option<OnConnect>,
}

impl End {
    fn tell(&mut self, connected: bool) {
        if let Some(OnConnect(tell)) = self.tell.take() {
            tell(connected);
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if time::now() >= self.given_up {
            self.tell(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_connection_is_told_once_and_one_that_nobody_waits_for_is_not() {
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let told = Arc::clone(&counts);
        let tell = OnConnect::new(move |connected| {
            told[usize::from(connected)].fetch_add(1, Ordering::Relaxed);
        });
        let layer = Telling { timeout: Duration::from_secs(2), tell };
        let counted = || [0, 1].map(|at| counts[at].load(Ordering::Relaxed));

        let made = layer.layer(service_fn(|()| future::ready(Ok::<_, ()>(()))));
        assert!(made.oneshot(()).await.is_ok());
        assert_eq!(counted(), [0, 1]);
        let refused = layer.layer(service_fn(|()| future::ready(Err::<(), _>(()))));
        assert!(refused.oneshot(()).await.is_err());
        assert_eq!(counted(), [1, 1]);

        for (waited, expected) in [(1_999, [1, 1]), (2_000, [2, 1])] {
            let silent = layer.layer(service_fn(|()| future::pending::<Result<(), ()>>()));
            let patience = Duration::from_millis(waited);
            assert!(tokio::time::timeout(patience, silent.oneshot(())).await.is_err());
            assert_eq!(counted(), expected, "{waited}");
        }
    }
}
