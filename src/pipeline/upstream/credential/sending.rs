//! A request sets out with our credential in it, and once more where a token was not taken.

use std::sync::Arc;

use http::{Extensions, StatusCode};
use reqwest::{Request, Response};

use crate::{
    pipeline::upstream::{
        Lane,
        credential::{
            Header, Login,
            tokens::{Fetched, Tokens},
        },
        errand::Errand,
        error::{AttemptError, UpstreamError},
        retry,
    },
    time,
};

/// What came out of the chain.
type Sent = reqwest_middleware::Result<Response>;

impl Lane {
    /// Sends it with our credential.
    pub(in super::super) async fn send(
        &self,
        request: Request,
        errand: &Errand,
    ) -> Result<Response, UpstreamError> {
        match &self.login {
            Login::None => self.send_down(request, errand).await.map_err(failed),
            Login::Fixed(header) => {
                self.send_down(with(request, header), errand).await.map_err(failed)
            }
            Login::Issued(tokens) => self.send_with_token(tokens, request, errand).await,
        }
    }

    /// Sends it down the chain, unless there is no time left in which it could be answered.
    async fn send_down(&self, request: Request, errand: &Errand) -> Sent {
        self.in_time(errand).map_err(AttemptError::into_chain)?;
        let mut extensions = Extensions::new();
        extensions.insert(errand.clone());
        self.client.execute_with_extensions(request, &mut extensions).await
    }

    /// The same with a token that is issued to us. One that the upstream does not take (401) is
    /// dropped, and the request goes down the chain once more with another. That is no repeat of
    /// something that failed: a 401 says that nothing was done (RFC 9110, 15.5.2), so it holds for
    /// what changes something too. To a token that this very call has waited for, a 401 says
    /// something about us: another would be no better.
    async fn send_with_token(
        &self,
        tokens: &Arc<Tokens>,
        request: Request,
        errand: &Errand,
    ) -> Result<Response, UpstreamError> {
        if tokens.is_missing() {
            self.in_time(errand)?;
            self.would_pass()?;
        }
        let (token, fetched) = tokens.token(errand).await?;
        let again = request.try_clone().expect("a body of bytes can be cloned");
        let sent = self.send_down(with(request, token.header()), errand).await;
        let refused =
            sent.as_ref().is_ok_and(|response| response.status() == StatusCode::UNAUTHORIZED);
        if !refused || fetched == Fetched::Now || !tokens.not_taken(&token) {
            return sent.map_err(failed);
        }
        // Where no other is to be had in time, what the upstream said is told.
        let Ok((token, _)) = tokens.token(errand).await else {
            return sent.map_err(failed);
        };
        let last = self.send_down(with(again, token.header()), errand).await;
        retry::told(last, Some(sent)).map_err(failed)
    }

    fn in_time(&self, errand: &Errand) -> Result<(), AttemptError> {
        let least = retry::least(self.upstream.timeouts.attempt, &self.links.latency);
        if errand.left() < least { Err(AttemptError::CutShort) } else { Ok(()) }
    }

    /// Whether the breaker would let anything pass: nobody waits for a token who would be refused
    /// when it is there.
    fn would_pass(&self) -> Result<(), UpstreamError> {
        let (breaker, now) = (&self.links.breaker, time::now());
        if !breaker.state(now).refuses_all() {
            return Ok(());
        }
        // In such a state it gives no pass, so none is taken from anybody.
        breaker.admit(now).map(drop).map_err(|refused| {
            self.links.meters.short_circuited.increment(1);
            UpstreamError::BreakerOpen { retry_after: refused.retry_after }
        })
    }
}

/// What a failure in the chain comes to.
fn failed(error: reqwest_middleware::Error) -> UpstreamError {
    AttemptError::of(&error).into()
}

/// The request with a credential in it, whatever stood there before.
fn with(mut request: Request, credential: &Header) -> Request {
    credential.write(request.headers_mut());
    request
}
