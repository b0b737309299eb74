//! The same over TLS: who may speak, how long a handshake may take, and that it is replaced while it
//! runs. [`Client::rest`] wants a farewell: over TLS an end without one is an error.

use rustls::{
    ClientConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::{
    server::lifecycle::LAST_WORD,
    telemetry::metrics::Registry,
    tls::{
        Identity, Roots, ServerTls,
        issuer::{Issued, Issuer},
    },
};

const HOST: &str = "holdline.example";

fn identity(issued: &Issued) -> Identity {
    Identity::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).unwrap()
}

/// What a listener shows that `issuer` has signed, to clients that `clients` have.
fn shown(issuer: &Issuer, clients: Option<&Issuer>) -> ServerTls {
    let clients = clients.map(|clients| Roots::of_pem(clients.pem.as_bytes()).unwrap());
    ServerTls::new(identity(&issuer.issue(&[HOST])), clients).unwrap()
}

/// A caller's side of TLS.
#[derive(Clone)]
struct Caller {
    trusts: String,
    shows: Option<(String, String)>,
    version: &'static SupportedProtocolVersion,
    alpn: Vec<Vec<u8>>,
}

impl Caller {
    fn trusting(issuer: &Issuer) -> Self {
        let trusts = issuer.pem.clone();
        Self { trusts, shows: None, version: &TLS13, alpn: Vec::new() }
    }

    fn showing(self, issued: Issued) -> Self {
        Self { shows: Some((issued.chain, issued.key)), ..self }
    }

    async fn try_connect(&self, site: &Site) -> io::Result<Client<TlsStream<TcpStream>>> {
        self.try_shake(site.connect().await.0).await
    }

    async fn try_shake(&self, socket: TcpStream) -> io::Result<Client<TlsStream<TcpStream>>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.clone();
        let name = ServerName::try_from(HOST).unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, socket);
        timeout(BOUND, shaken).await.unwrap().map(Client)
    }

    async fn connect(&self, site: &Site) -> Client<TlsStream<TcpStream>> {
        self.try_connect(site).await.unwrap()
    }

    /// Why a request of this caller is not answered. In TLS 1.3 a client learns only behind its own
    /// side of the handshake that it is refused.
    async fn refusal(&self, site: &Site) -> String {
        let error = match self.try_connect(site).await {
            Err(error) => error,
            Ok(mut client) => {
                client.send(GET).await;
                timeout(BOUND, client.0.read_u8()).await.unwrap().unwrap_err()
            }
        };
        error.to_string()
    }
}

/// A listener over TLS, and what it counts.
struct Guarded {
    site: Site,
    tls: Tls,
    registry: Arc<Registry>,
}

impl Guarded {
    async fn start(tls: &ServerTls, patience: Duration, limits: ConnectionLimits) -> Self {
        let registry = Registry::new();
        let tls = Tls::new(tls, patience, &registry);
        Self { site: Site::over(Some(tls.clone()), limits).await, tls, registry }
    }

    /// Waits until so many handshakes are counted, then stops it.
    async fn stop(self, expected: &[(&str, u64)]) {
        for (result, times) in expected {
            let labels = format!("{{result=\"{result}\"}}");
            let series = format!("holdline_tls_handshakes_total{labels} {times}\n");
            let counted = async {
                while !self.registry.render().contains(&series) {
                    tokio::task::yield_now().await;
                }
            };
            assert!(timeout(BOUND, counted).await.is_ok(), "{series}");
        }
        self.site.stop().await;
    }
}

async fn works(caller: &Caller, site: &Site) {
    let mut client = caller.connect(site).await;
    client.send(GET).await;
    assert!(client.answer().await.ends_with("ok"));
}

#[tokio::test]
async fn calls_are_answered_over_tls_1_2_and_1_3_as_http_1_1() {
    let issuer = Issuer::new();
    let guarded = Guarded::start(&shown(&issuer, None), LONG, limits()).await;
    for version in [&TLS12, &TLS13] {
        for alpn in [vec![], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
            let caller = Caller { version, alpn, ..Caller::trusting(&issuer) };
            let mut client = caller.connect(&guarded.site).await;
            let spoken = client.0.get_ref().1.alpn_protocol();
            assert_eq!(spoken.is_some(), !caller.alpn.is_empty());
            assert!(spoken.is_none_or(|spoken| spoken == b"http/1.1"));
            for _ in 0..2 {
                client.send(GET).await;
                assert!(client.answer().await.ends_with("ok"));
            }
        }
    }
    let alone = Caller { alpn: vec![b"h2".to_vec()], ..Caller::trusting(&issuer) };
    let refused = alone.refusal(&guarded.site).await;
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    guarded.stop(&[("ok", 4), ("error", 1)]).await;
}

#[tokio::test]
async fn what_is_no_tls_or_too_old_a_tls_is_closed() {
    // A ClientHello of TLS 1.1: version, random, no session, two suites, no compression.
    let hello = [&[3, 2][..], &[7; 32], &[0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]].concat();
    let message = [&[1, 0, 0, hello.len() as u8][..], &hello].concat();
    let record = [&[22, 3, 1, 0, message.len() as u8][..], &message].concat();

    let issuer = Issuer::new();
    let guarded = Guarded::start(&shown(&issuer, None), LONG, limits()).await;
    for bytes in [GET.as_bytes(), &record] {
        let mut client = guarded.site.connect().await;
        client.0.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        timeout(BOUND, client.0.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert_eq!(answer.first(), Some(&21), "an alert: {answer:?}");
        assert!(answer.len() < 10, "and nothing else: {answer:?}");
    }
    drop(guarded.site.connect().await);
    works(&Caller::trusting(&issuer), &guarded.site).await;
    guarded.stop(&[("error", 2), ("closed", 1), ("ok", 1)]).await;
}

#[tokio::test]
async fn a_stalled_handshake_is_cut_in_its_time_and_delays_nobody() {
    let issuer = Issuer::new();
    let guarded = Guarded::start(&shown(&issuer, None), SHORT, limits()).await;
    let mut silent = guarded.site.connect().await;
    let mut half = guarded.site.connect().await;
    half.send("\u{16}\u{3}\u{1}").await;
    works(&Caller::trusting(&issuer), &guarded.site).await;
    for client in [&mut silent, &mut half] {
        assert_eq!(client.rest().await, "");
    }
    guarded.stop(&[("timeout", 2), ("ok", 1)]).await;
}

#[tokio::test]
async fn a_handshake_holds_a_place_among_the_connections_and_gives_it_back() {
    let issuer = Issuer::new();
    let one = ConnectionLimits { max_connections: 1, ..limits() };
    let guarded = Guarded::start(&shown(&issuer, None), LONG, one).await;
    let silent = guarded.site.connect().await;
    let caller = Caller::trusting(&issuer);
    {
        let waiting = caller.connect(&guarded.site);
        tokio::pin!(waiting);
        assert!(timeout(SHORT, waiting.as_mut()).await.is_err(), "there is no place");
        drop(silent);
        let mut client = waiting.await;
        client.send(GET).await;
        assert!(client.answer().await.ends_with("ok"));
    }
    guarded.stop(&[("closed", 1), ("ok", 1)]).await;
}

#[tokio::test]
async fn where_clients_must_show_a_certificate_only_those_of_their_issuer_are_heard() {
    let (ours, theirs, strangers) = (Issuer::new(), Issuer::new(), Issuer::new());
    let guarded = Guarded::start(&shown(&ours, Some(&theirs)), LONG, limits()).await;
    for version in [&TLS12, &TLS13] {
        let caller = || Caller { version, ..Caller::trusting(&ours) };
        let region = "dataactions.prod-euw1.eu-west-1.mypurecloud.com";
        works(&caller().showing(theirs.issue(&[region])), &guarded.site).await;
        let refused = caller().refusal(&guarded.site).await;
        assert!(refused.contains("CertificateRequired"), "{refused}");
        let stranger = caller().showing(strangers.issue(&[region]));
        let refused = stranger.refusal(&guarded.site).await;
        assert!(refused.contains("UnknownCA"), "{refused}");
        let late = caller().showing(theirs.issue_for(&[region], 2000..=2020));
        let refused = late.refusal(&guarded.site).await;
        assert!(refused.contains("CertificateExpired"), "{refused}");
    }
    guarded.stop(&[("ok", 2), ("no_certificate", 2), ("bad_certificate", 4)]).await;
}

#[tokio::test]
async fn a_session_does_not_save_a_client_from_showing_its_certificate() {
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    let guarded = Guarded::start(&shown(&ours, Some(&theirs)), LONG, limits()).await;
    let caller = Caller::trusting(&ours).showing(theirs.issue(&["a.example"]));
    let mut client = caller.connect(&guarded.site).await;
    client.send(GET).await;
    client.answer().await;
    assert_eq!(client.0.get_ref().1.tls13_tickets_received(), 0);
    drop(client);
    guarded.stop(&[("ok", 1)]).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_are_open() {
    let (before, after) = (Issuer::new(), Issuer::new());
    let guarded = Guarded::start(&shown(&before, None), LONG, limits()).await;
    let mut kept = Caller::trusting(&before).connect(&guarded.site).await;
    guarded.tls.put(&shown(&after, None), LONG);
    works(&Caller::trusting(&after), &guarded.site).await;
    let refused = Caller::trusting(&before).refusal(&guarded.site).await;
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    kept.send(GET).await;
    assert!(kept.answer().await.ends_with("ok"));

    guarded.tls.put(&shown(&after, Some(&before)), SHORT);
    Caller::trusting(&after).refusal(&guarded.site).await;
    works(&Caller::trusting(&after).showing(before.issue(&[HOST])), &guarded.site).await;
    assert_eq!(guarded.site.connect().await.rest().await, "", "its time is put too");
    guarded.stop(&[("ok", 3), ("error", 1), ("no_certificate", 1), ("timeout", 1)]).await;
}

#[tokio::test]
async fn connections_end_once_clients_must_show_another_certificate() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let guarded = Guarded::start(&shown(&issuer, None), LONG, limits()).await;
    let (site, caller) = (&guarded.site, Caller::trusting(&issuer));
    let mut idle = caller.connect(site).await;
    idle.send(GET).await;
    idle.answer().await;
    let mut asking = caller.connect(site).await;
    asking.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    site.entered.notified().await;
    guarded.tls.put(&shown(&issuer, None), LONG);
    idle.send(GET).await;
    assert!(idle.answer().await.ends_with("ok"), "our own certificate ends nothing");

    guarded.tls.put(&shown(&issuer, Some(&other)), LONG);
    assert_eq!(idle.rest().await, "");
    asking.send(GET).await;
    site.leave.notify_one();
    let answer = asking.rest().await;
    assert_closing(&answer, "200");
    assert!(answer.ends_with("done"), "what is asked behind it is not answered: {answer}");
    works(&caller.showing(other.issue(&[HOST])), site).await;
    guarded.stop(&[("ok", 3)]).await;
}

#[tokio::test]
async fn the_end_of_a_certificate_is_told() {
    let issuer = Issuer::new();
    let registry = Registry::new();
    let until = |year| {
        let issued = issuer.issue_for(&[HOST], 2000..=year);
        ServerTls::new(identity(&issued), None).unwrap()
    };
    let tls = Tls::new(&until(2030), LONG, &registry);
    assert_eq!(tls.certificate_ends().as_secs(), 1_893_456_000);
    tls.put(&until(2040), LONG);
    assert_eq!(tls.certificate_ends().as_secs(), 2_208_988_800);
}

#[tokio::test]
async fn who_is_slow_behind_the_handshake_is_cut_as_without_tls() {
    let issuer = Issuer::new();
    let patience = patience(|patience| patience.header = SHORT);
    let guarded = Guarded::start(&shown(&issuer, None), LONG, patience).await;
    let mut half = Caller::trusting(&issuer).connect(&guarded.site).await;
    half.send("GET /ok HTTP/1.1\r\nHo").await;
    let cut = timeout(BOUND, half.0.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    guarded.stop(&[("ok", 1)]).await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_cut_as_without_tls() {
    let issuer = Issuer::new();
    let patience = patience(|patience| patience.write = SHORT);
    let guarded = Guarded::start(&shown(&issuer, None), LONG, patience).await;
    let mut greedy = Caller::trusting(&issuer).connect(&guarded.site).await;
    greedy.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let gone = async {
        while guarded.site.connections.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, gone).await.expect("its connection is dropped");
    drop(greedy);
    guarded.stop(&[("ok", 1)]).await;
}

#[tokio::test]
async fn closing_says_farewell_to_who_rests_finishes_who_has_asked_and_cuts_stalled_handshakes() {
    let issuer = Issuer::new();
    let guarded = Guarded::start(&shown(&issuer, None), LONG, limits()).await;
    let (site, caller) = (&guarded.site, Caller::trusting(&issuer));
    let mut shaking = site.connect().await;
    let mut idle = caller.connect(site).await;
    idle.send(GET).await;
    idle.answer().await;
    let mut slow = caller.connect(site).await;
    slow.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
    site.entered.notified().await;
    let mut big = caller.connect(site).await;
    big.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(timeout(BOUND, big.0.read_u8()).await.unwrap().unwrap(), b'H');

    let began = now();
    site.lifecycle.set(Phase::Closing);
    assert_eq!(idle.rest().await, "");
    site.leave.notify_one();
    let answer = slow.rest().await;
    assert_closing(&answer, "200");
    assert!(answer.ends_with("done"), "{answer}");
    let answer = big.rest().await;
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 64 << 20);
    assert_eq!(shaking.rest().await, "");
    let took = began.elapsed();
    assert!((LAST_WORD..LAST_WORD * 2).contains(&took), "{took:?}");
    guarded.stop(&[("ok", 3), ("timeout", 0)]).await;
}

#[tokio::test]
async fn closing_shakes_hands_with_who_waits_in_the_queue_and_answers_them() {
    let issuer = Issuer::new();
    let guarded = Guarded::start(&shown(&issuer, None), LONG, limits()).await;
    let (site, caller) = (&guarded.site, Caller::trusting(&issuer));
    // This thread drives the listener too: as long as nothing is awaited, nobody accepts.
    let queued: Vec<_> = (0..20).map(|_| site.connect_unseen("")).collect();
    site.lifecycle.set(Phase::Closing);
    let calls = queued.into_iter().map(async |queued| {
        let mut client = caller.try_shake(queued).await.unwrap();
        client.send(GET).await;
        client.rest().await
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_closing(&answer, "200");
    }
    guarded.stop(&[("ok", 20)]).await;
}
