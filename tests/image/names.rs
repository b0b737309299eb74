//! Names as a cluster has them: a DNS server on loopback, found by `/etc/resolv.conf`, knows whole ones
//! alone, and the search domains there complete what a configuration says.

use std::{collections::BTreeSet, fs, io, net::SocketAddr};

use tokio::net::UdpSocket;

use crate::{
    container::{Container, Order},
    form::Claim,
    image::Image,
    world::fakes,
};

/// Where it is asked: an address of loopback that no other server has.
const SERVER: ([u8; 4], u16) = ([127, 53, 0, 1], 53);
/// As a kubelet writes it.
const FOUND_BY: &str = "search default.svc.cluster.local svc.cluster.local cluster.local\n\
                        nameserver 127.53.0.1\noptions ndots:5\n";
/// The names that it knows. Both are this machine's.
const KNOWN: [&str; 2] = ["crm.default.svc.cluster.local", "genesys.identity.svc.cluster.local"];

/// A call whose upstream and authority have names that only a DNS server knows.
///
/// # Errors
/// There is no such server, since others have its address or this is not root; or the call does not start.
pub(crate) async fn completed(image: &Image) -> io::Result<Vec<Claim>> {
    let (crm, genesys) = fakes().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("resolv.conf");
    fs::write(&file, FOUND_BY)?;
    let upstream = format!("http://crm:{}", crm.site.address().port());
    let authority = format!("http://genesys.identity:{}", genesys.site.address().port());
    let order = Order {
        args: &["call", "customer-lookup", "customer_id=1", "--token", "a-token"],
        env: &[("EXTERNAL_API_BASE", &upstream), ("GENESYS_API_BASE", &authority)],
        mounts: &[(&file, "/etc/resolv.conf")],
    };
    let server = UdpSocket::bind(SocketAddr::from(SERVER)).await?;
    let mut asked = BTreeSet::new();
    let mut container = Container::start(image, &order)?;
    let code = tokio::select! {
        failed = serve(&server, &mut asked) => return Err(failed),
        code = container.ended() => code?,
    };
    let [out, err] = container.wrote();
    crm.site.stop().await;
    genesys.site.stop().await;
    let whole = KNOWN.iter().all(|name| asked.contains(*name));
    let good = code == Some(0) && out.contains("Leanne Graham") && whole;
    let said = if good { String::new() } else { format!(": {code:?} {out}{err}") };
    let text = format!("a name that only DNS knows is completed and called; asked were {asked:?}");
    Ok(vec![Claim::new(good, text + &said)])
}

/// Answers until it cannot, and notes the names.
async fn serve(server: &UdpSocket, asked: &mut BTreeSet<String>) -> io::Error {
    let mut message = [0; 512];
    loop {
        let answered = async {
            let (long, from) = server.recv_from(&mut message).await?;
            if let Some((name, answer)) = answer(&message[..long]) {
                asked.insert(name);
                server.send_to(&answer, from).await?;
            }
            io::Result::Ok(())
        };
        if let Err(error) = answered.await {
            return error;
        }
    }
}

/// The name that is asked for, and what is answered: an address of version 4, nothing of version 6, or that
/// there is no such name. RFC 1035, 4.1.
fn answer(question: &[u8]) -> Option<(String, Vec<u8>)> {
    const HEAD: usize = 12;
    const ADDRESS: [u8; 2] = [0, 1];
    let (mut labels, mut at) = (Vec::new(), HEAD);
    loop {
        let long = usize::from(*question.get(at)?);
        at += 1;
        if long == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + long)?).to_ascii_lowercase());
        at += long;
    }
    let (name, kind, end) = (labels.join("."), question.get(at..at + 2)?, at + 4);
    let known = KNOWN.contains(&name.as_str());
    let has_it = known && kind == ADDRESS;
    let mut answer = question.get(..2)?.to_vec();
    // An answer with authority, recursion asked for and had; then that all is well or that the name is not.
    answer.extend([0x85, if known { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(has_it), 0, 0, 0, 0]);
    answer.extend(question.get(HEAD..end)?);
    if has_it {
        // The name of the question, an address of the internet, for a minute, of four bytes.
        answer.extend([0xc0, HEAD as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some((name, answer))
}
