//! HTTP clients towards the outside: the one place that builds one, the one reader of its errors.
//!
//! What reqwest does by default and must not do here is set on purpose in `Client::build`: it follows
//! redirects with our headers, honours proxy variables of the environment, speaks HTTP/2 where it is
//! offered, repeats some refusals by itself and has no time-outs.

mod connects;

use std::{
    error::Error as StdError,
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header::RETRY_AFTER};
use reqwest::{Certificate, Proxy, Request, Response, redirect, tls::Version};
use rustls::AlertDescription;
use secrecy::ExposeSecret as _;

use crate::{
    catalog::upstream::{Pool, Way},
    time::Wall,
};

pub use connects::OnConnect;
use connects::Telling;

/// How exchanges are carried out.
#[derive(Clone, Default)]
pub enum Transport {
    /// Over the network.
    #[default]
    Network,
    /// By a script, without a socket: for policies in virtual time, the demo's dry parts and
    /// benchmarks.
    Scripted(Arc<dyn Script>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "Network",
            Self::Scripted(_) => "Scripted",
        })
    }
}

/// Answers requests in place of the network.
#[async_trait]
pub trait Script: Send + Sync {
    /// What comes back for `request`.
    async fn exchange(&self, request: Request) -> Result<http::Response<Bytes>, WireError>;
}

/// Why an exchange on the wire gave no reply. Never holds an address: ours carry customers' ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Its time was up.
    #[error("timed out")]
    Timeout,
    /// No connection, or none in time: nothing was sent.
    #[error("could not connect")]
    Connect,
    /// The host's name has no address: nothing was sent.
    #[error("could not look up the host")]
    Dns,
    /// The TLS handshake failed: the other side has seen nothing of the request.
    #[error("TLS handshake failed")]
    Tls,
    /// The connection broke before the whole reply was there.
    #[error("connection broke")]
    Reset,
    /// What came is not HTTP, or cannot be decoded.
    #[error("reply is malformed")]
    Protocol,
    /// The reply is longer than allowed.
    #[error("reply is too large")]
    BodyTooLarge,
}

impl WireError {
    /// The word for it in `error_type`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::BodyTooLarge => "body_too_large",
        }
    }

    /// Whether the other side provably has not seen the request.
    pub fn never_sent(self) -> bool {
        matches!(self, Self::Connect | Self::Dns | Self::Tls)
    }

    /// What a reqwest error means.
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_dns() {
            Self::Dns
        } else if error.is_connect() {
            if has_source(error, |inner| inner.is::<rustls::Error>()) {
                Self::Tls
            } else {
                Self::Connect
            }
        } else if has_source(error, is_refusal_of_certificate) {
            Self::Tls
        } else if error.is_timeout() {
            Self::Timeout
        } else if has_source(error, is_parse_error)
            || (error.is_decode() && !has_source(error, is_broken_connection))
        {
            Self::Protocol
        } else {
            Self::Reset
        }
    }
}

/// Whether the other side did not take the certificate that we showed, or missed one. In TLS 1.3 our
/// side of a handshake ends before the other has looked at it, so this comes in place of a reply;
/// but who refuses so has read nothing of what followed.
fn is_refusal_of_certificate(error: &(dyn StdError + 'static)) -> bool {
    use AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
    )
}

fn is_parse_error(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// Whether a connection ended before its time. Within a body reqwest calls that, too, an error in
/// decoding; what hyper itself cannot decode there is an [`io::Error`] about the bytes.
fn is_broken_connection(error: &(dyn StdError + 'static)) -> bool {
    let Some(error) = error.downcast_ref::<hyper::Error>() else { return false };
    let about_bytes = |io: &io::Error| {
        matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
    };
    let below = error.source().and_then(|inner| inner.downcast_ref::<io::Error>());
    error.is_incomplete_message() || below.is_some_and(|io| !about_bytes(io))
}

/// Whether `found` holds for any error below `error`, also for one that an [`io::Error`] wraps: those
/// it leaves out among its sources, and they stand in each other.
fn has_source(error: &dyn StdError, found: impl Fn(&(dyn StdError + 'static)) -> bool) -> bool {
    let mut next = error.source();
    while let Some(inner) = next {
        if found(inner) {
            return true;
        }
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}

/// The innermost error: reqwest's own only say that something could not be built.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn StdError = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// What a system asks in `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// To be left alone for so long.
    For(Duration),
    /// To be left alone until that date.
    Until(SystemTime),
}

impl RetryAfter {
    /// What `headers` ask; `None` where they ask nothing that can be read.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
            // More than fits is as good as for ever.
            let seconds = text.parse::<u32>().unwrap_or(u32::MAX);
            return Some(Self::For(Duration::from_secs(seconds.into())));
        }
        httpdate::parse_http_date(text).ok().map(Self::Until)
    }

    /// For how long that is from now on.
    pub fn wait(self, wall: Wall) -> Duration {
        match self {
            Self::For(wait) => wait,
            Self::Until(date) => date.duration_since(wall.system_time()).unwrap_or_default(),
        }
    }
}

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not set up TLS: {0}; the machine needs CA certificates \
     (Debian: ca-certificates; or SSL_CERT_FILE names a bundle)"
)]
pub struct ClientError(String);

/// A client for one system.
#[derive(Debug, Clone)]
pub struct Client {
    network: reqwest::Client,
    transport: Transport,
}

impl Client {
    /// A client that gives up connecting after `connect` and keeps connections as `pool` says. How
    /// long an exchange may take is its caller's to say.
    ///
    /// # Errors
    /// [`ClientError`] where there are no CA certificates to trust.
    pub fn new(connect: Duration, pool: Pool, transport: &Transport) -> Result<Self, ClientError> {
        Self::along(&Way::default(), connect, pool, transport)
    }

    /// The same, along `way`.
    ///
    /// # Errors
    /// [`ClientError`] where there are no CA certificates to trust.
    pub fn along(
        way: &Way,
        connect: Duration,
        pool: Pool,
        transport: &Transport,
    ) -> Result<Self, ClientError> {
        Self::build(way, connect, pool, transport, None)
    }

    /// The same, and tells of each new connection.
    ///
    /// # Errors
    /// [`ClientError`] where there are no CA certificates to trust.
    pub fn telling(
        way: &Way,
        connect: Duration,
        pool: Pool,
        transport: &Transport,
        tell: OnConnect,
    ) -> Result<Self, ClientError> {
        Self::build(way, connect, pool, transport, Some(tell))
    }

    fn build(
        way: &Way,
        connect: Duration,
        pool: Pool,
        transport: &Transport,
        tell: Option<OnConnect>,
    ) -> Result<Self, ClientError> {
        install_tls();
        let wrong = |error: reqwest::Error| ClientError(cause(&error.without_url()));
        #[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
        let mut network = reqwest::Client::builder()
            .user_agent(concat!("holdline/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .tls_version_min(Version::TLS_1_2)
            .retry(reqwest::retry::never())
            // Over HTTP/2 all attempts share one connection, and one that died in silence takes
            // them all with it; over HTTP/1.1 the next attempt has another.
            .http1_only()
            .gzip(true)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .tcp_user_timeout(Duration::from_secs(5))
            .pool_max_idle_per_host(pool.idle)
            .pool_idle_timeout(pool.idle_timeout);
        if let Some(roots) = &way.roots {
            let certificates: Result<Vec<_>, _> = roots.ders().map(Certificate::from_der).collect();
            network = network.tls_certs_only(certificates.map_err(wrong)?);
        }
        if let Some(identity) = &way.identity {
            let pem = identity.to_pem();
            let identity = reqwest::Identity::from_pem(pem.expose_secret().as_bytes());
            network = network.identity(identity.map_err(wrong)?);
        }
        if let Some(proxy) = &way.proxy {
            network = network.proxy(Proxy::all(proxy.clone()).map_err(wrong)?);
        }
        if let Some(tell) = tell {
            network = network.connector_layer(Telling { timeout: connect, tell });
        }
        let network = network.build().map_err(wrong)?;
        Ok(Self { network, transport: transport.clone() })
    }

    /// The reqwest client underneath, for a chain of middlewares.
    pub fn network(&self) -> &reqwest::Client {
        &self.network
    }

    /// How exchanges are carried out.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// One exchange: head and body, at most `cap` bytes of it after decompression.
    ///
    /// # Errors
    /// [`WireError`] where no whole reply came.
    pub async fn exchange(
        &self,
        request: Request,
        cap: usize,
    ) -> Result<http::Response<Bytes>, WireError> {
        let mut response = match &self.transport {
            Transport::Network => {
                self.network.execute(request).await.map_err(|error| WireError::of(&error))?
            }
            Transport::Scripted(script) => script.exchange(request).await?.into(),
        };
        let mut whole = http::Response::new(read_body(&mut response, cap).await?);
        *whole.status_mut() = response.status();
        *whole.version_mut() = response.version();
        std::mem::swap(whole.headers_mut(), response.headers_mut());
        Ok(whole)
    }
}

/// A body that was read and travels on with its head.
#[derive(Clone)]
struct Whole(Bytes);

/// Reads a response to its end, at most `cap` bytes after decompression, and keeps its body with it
/// for [`body_of`]. Of an error, whose body nobody reads, the head alone is kept: its status is what
/// counts.
///
/// # Errors
/// [`WireError::BodyTooLarge`] beyond `cap`, and whatever breaks the connection.
pub async fn read(mut response: Response, cap: usize) -> Result<Response, WireError> {
    let body = read_body(&mut response, cap).await?;
    if !response.status().is_success() {
        // What may be unread goes at once, and its connection with it.
        return Ok(http::Response::from(response).map(|_| Bytes::new()).into());
    }
    response.extensions_mut().insert(Whole(body));
    Ok(response)
}

/// The body of a success that was [`read`]; there is one, once.
pub fn body_of(response: &mut Response) -> Option<Bytes> {
    response.extensions_mut().remove().map(|Whole(body)| body)
}

/// The body, at most `cap` bytes of it. What is longer is left out of an error. One that comes at once
/// is not copied.
async fn read_body(response: &mut Response, cap: usize) -> Result<Bytes, WireError> {
    let wanted = response.status().is_success();
    if wanted && response.content_length().is_some_and(|length| length > cap as u64) {
        return Err(WireError::BodyTooLarge);
    }
    let (mut first, mut body) = (Bytes::new(), BytesMut::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| WireError::of(&error))? {
        if first.len() + body.len() + chunk.len() > cap {
            if wanted {
                return Err(WireError::BodyTooLarge);
            }
            break;
        }
        if first.is_empty() && body.is_empty() {
            first = chunk;
        } else {
            body.extend_from_slice(&std::mem::take(&mut first));
            body.extend_from_slice(&chunk);
        }
    }
    Ok(if body.is_empty() { first } else { body.freeze() })
}

/// Chooses the one TLS implementation of this process; later calls change nothing.
pub fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
