//! What the program needs of an image that holds next to nothing: names that resolve, and roots by which
//! strangers are told from friends.

use std::{fs, io, net::SocketAddr, time::Duration};

use holdline::{
    demo::{
        crm::{CrmSettings, FakeCrm},
        genesys::{Claims, FakeGenesys, GenesysSettings, Strangers},
    },
    time,
};

use crate::{
    container::{Container, Order},
    form::Claim,
    front::Front,
    image::Image,
    issuer::Issuer,
    wire::{self, Line, Reply},
};

/// Where the image has its roots.
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";

/// How long a container may take to be ready.
const START: Duration = Duration::from_secs(30);

/// Addresses on loopback that nobody uses now.
///
/// # Errors
/// There are none.
pub(crate) fn free<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut held = Vec::new();
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for address in &mut addresses {
        let listener = std::net::TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}

/// A CRM, and a Genesys Cloud to which every token is good.
///
/// # Errors
/// There is no address for them.
pub(crate) async fn fakes() -> io::Result<(FakeCrm, FakeGenesys)> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let strangers = Strangers::Welcome(Claims::default());
    let genesys = GenesysSettings { strangers, ..Default::default() };
    let genesys = FakeGenesys::start(anywhere, genesys).await?;
    Ok((FakeCrm::start(anywhere, CrmSettings::default()).await?, genesys))
}

/// How long it takes until it may be called.
///
/// # Errors
/// It ends before, or takes too long: then with what it wrote.
pub(crate) async fn ready(container: &mut Container, probes: SocketAddr) -> io::Result<Duration> {
    let began = time::now();
    while began.elapsed() < START {
        let probed = wire::once(probes, "/readyz", None).await;
        if probed.is_ok_and(|reply| reply.status() == 200) {
            return Ok(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(io::Error::other(format!("it did not become ready: {:?}", container.wrote())))
}

/// A call of the tutorial's action about this customer.
///
/// # Errors
/// No answer came.
pub(crate) async fn look_up(line: &mut Line, customer: u64) -> io::Result<Reply> {
    let body = format!(r#"{{"data":{{"customer_id":{customer}}}}}"#);
    let token = "X-Genesys-Auth-Token: a-token\r\n";
    line.exchange(wire::post("/data-action/customer-lookup", token, &body).as_bytes()).await
}

/// `serve` as the image has it, its upstream behind TLS at `localhost`: it is called where the roots
/// hold whoever signed for it, and refused where they do not.
///
/// # Errors
/// It does not start.
pub(crate) async fn strangers_and_friends(image: &Image) -> io::Result<Vec<Claim>> {
    let (crm, genesys) = fakes().await?;
    let issuer = Issuer::new();
    let front = Front::tls(crm.site.address(), &issuer.issue(&["localhost"]), None).await;
    let (upstream, authority) = (front.address.port(), genesys.site.address().port());

    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("bundle.crt");
    let roots = fs::read_to_string(image.root.join(ROOTS))?;
    let count = roots.matches("-----BEGIN CERTIFICATE-----").count();
    let mut claims = vec![Claim::new(count > 100, format!("it trusts {count} public roots"))];
    let inside = format!("/{ROOTS}");
    for trusted in [true, false] {
        fs::write(&bundle, if trusted { format!("{roots}{}", issuer.pem) } else { roots.clone() })?;
        let [calls, probes, admin] = free()?;
        let addresses = [calls, probes, admin].map(|it| it.to_string());
        let [listen, probing, operator] = addresses.each_ref().map(String::as_str);
        let (crm, genesys) =
            (format!("https://localhost:{upstream}"), format!("http://localhost:{authority}"));
        let env = [
            ("HOLDLINE_LISTEN", listen),
            ("HOLDLINE_PROBES", probing),
            ("HOLDLINE_ADMIN", operator),
            ("EXTERNAL_API_BASE", &crm),
            ("GENESYS_API_BASE", &genesys),
        ];
        let order = Order { env: &env, mounts: &[(&bundle, &inside)], ..Order::default() };
        let mut container = Container::start(image, &order)?;
        let took = ready(&mut container, probes).await?;
        let reply = look_up(&mut Line::open(calls).await?, 1).await?;
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        let status = reply.status();
        claims.push(if trusted {
            let known = status == 200 && body.contains("Leanne Graham");
            Claim::new(known, format!("localhost resolves, a friend is called over TLS: {status}"))
        } else {
            Claim::new(status == 502, format!("a stranger is not: {status} {body}"))
        });
        let healthy = container.within(&["/holdline", "probe", "--ready"])?;
        let ended = container.terminated().await?;
        let [out, err] = container.wrote();
        let quiet = err.is_empty() && !out.contains("CA certificates");
        claims.push(Claim::new(
            healthy == Some(0) && ended == Some(0) && quiet,
            format!(
                "serve is ready after {} ms, its HEALTHCHECK ends with {healthy:?}, it with \
                 {ended:?} {err}",
                took.as_millis()
            ),
        ));
    }
    front.stop().await;
    crm.site.stop().await;
    genesys.site.stop().await;
    Ok(claims)
}
