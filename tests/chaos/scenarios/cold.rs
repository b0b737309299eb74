//! Nobody else is there when the service starts: no collector, no token authority, no issuer of keys or
//! tokens, no upstream. It is ready all the same, at once, and tells callers what is wrong.

use std::{
    io,
    net::{SocketAddr, TcpListener as Listener},
    path::Path,
    time::Duration,
};

use holdline::time;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    Form, Scenario,
    bed::PROGRAM,
    load::{KEY, KEY_HEADER},
    report::Report,
    service::{Log, Service},
    wire::{self, Line},
};

/// How long the start may take.
const START: Duration = Duration::from_secs(1);
/// The timeout of all actions.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a busy machine adds to it.
const MORE: Duration = Duration::from_millis(500);
/// From SIGTERM to the exit: a question to an issuer of tokens has five seconds, whoever waits for it, and
/// the last spans have one and a half.
const END: Duration = Duration::from_secs(8);
/// A token of the right form, whose key only the issuer has.
const JWT: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.\
    eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlIiwiYXVkIjoiaG9sZGxpbmUiLCJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl";

/// How somebody is not there.
#[derive(Debug, Clone, Copy)]
enum Absence {
    /// Connections are refused.
    Refused,
    /// Connections are taken, and nothing is ever said.
    Silent,
    /// Nobody even takes a connection: packets go nowhere.
    Hole,
}

/// What keeps an absence up.
#[derive(Debug)]
enum Kept {
    Nothing,
    Listener { _listener: Listener },
    Full { _listener: TcpListener, _queue: Vec<TcpStream> },
}

impl Absence {
    /// Nobody, at an address.
    async fn begin(self) -> io::Result<(SocketAddr, Kept)> {
        match self {
            Self::Refused => {
                let address = ([127, 0, 0, 1], crate::balancer::port()?).into();
                Ok((address, Kept::Nothing))
            }
            Self::Silent => {
                // Its queue takes them; nobody looks there.
                let listener = Listener::bind("127.0.0.1:0")?;
                Ok((listener.local_addr()?, Kept::Listener { _listener: listener }))
            }
            Self::Hole => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(([127, 0, 0, 1], 0).into())?;
                let listener = socket.listen(1)?;
                let (address, mut queue) = (listener.local_addr()?, Vec::new());
                // A queue that is full takes no packet more.
                while let Ok(stream) = timeout(MORE, TcpStream::connect(address)).await {
                    queue.push(stream?);
                }
                Ok((address, Kept::Full { _listener: listener, _queue: queue }))
            }
        }
    }
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let about =
        "collector, authorities and upstream are all dead when it starts: it is ready in a second";
    let scenario = |name, absence| {
        Scenario::new(name, about, move |_: Form| Box::pin(run(name, absence))).alone()
    };
    vec![
        scenario("cold-refused", Absence::Refused),
        scenario("cold-silent", Absence::Silent),
        scenario("cold-hole", Absence::Hole),
    ]
}

/// Three actions, as many ways to ask somebody who is not there.
fn yaml(nobody: SocketAddr) -> String {
    let action = |name: &str, caller: &str| {
        format!(
            r#"  {name}:
    caller: {caller}
    timeout: {}ms
    input: {{customer_id: {{type: integer, required: true}}}}
    request: {{upstream: crm, path: "/users/{{customer_id}}"}}
    output: {{name: {{type: string, from: $.name}}}}
"#,
            TIMEOUT.as_millis()
        )
    };
    format!(
        r#"version: 1
server: {{listen: "127.0.0.1:0", drain: {{delay: 0s, timeout: 10s}}}}
probes: {{listen: "127.0.0.1:0"}}
admin: {{listen: "127.0.0.1:0"}}
telemetry: {{traces: {{endpoint: "http://{nobody}", sample_ratio: 1.0}}}}
callers:
  genesys: {{type: introspection, timeout: 400ms, api_base: "http://{nobody}"}}
  idp: {{type: jwt, timeout: 400ms, header: Authorization, jwks: "http://{nobody}/jwks", issuer: "https://idp.example", audience: holdline, algorithms: [RS256], claims: {{client: $.azp}}}}
  desk: {{type: api_key, keys: {{chaos: {KEY}}}}}
upstreams:
  crm: {{base_url: "http://{nobody}", timeouts: {{connect: 200ms, attempt: 400ms}}, auth: {{type: oauth2, token_url: "http://{nobody}/token", client_id: holdline, client_secret: a-secret-of-this-test}}}}
actions:
{}{}{}"#,
        action("by-token", "genesys"),
        action("by-jwt", "idp"),
        action("by-key", "desk"),
    )
}

async fn run(name: &str, absence: Absence) -> io::Result<Report> {
    let (nobody, kept) = absence.begin().await?;
    let mut service = Service::start(Path::new(PROGRAM), &yaml(nobody), None, Log::Kept).await?;
    let mut report = Report::default();
    let ready = wire::once(service.probes, "/readyz", None).await?.status();
    report.claim(
        service.took <= START && ready == 200,
        format!("{name}: ready after {:.2?}, {ready}; wanted {START:?}, 200", service.took),
    );
    let calls = [
        ("by-token", "X-Genesys-Auth-Token: good\r\n".to_owned(), &[503][..]),
        ("by-jwt", format!("Authorization: Bearer {JWT}\r\n"), &[503]),
        ("by-key", format!("{KEY_HEADER}: {KEY}\r\n"), &[502, 504]),
    ];
    for (action, proof, wanted) in calls {
        let path = format!("/data-action/{action}");
        let request = wire::post(&path, &proof, r#"{"data":{"customer_id":1}}"#);
        let began = time::now();
        let reply = Line::open(service.calls).await?.exchange(request.as_bytes()).await?;
        let (took, status) = (began.elapsed(), reply.status());
        let body = String::from_utf8_lossy(&reply.body);
        report.claim(
            wanted.contains(&status) && took <= TIMEOUT + MORE,
            format!(
                "{name}: {action} answered {status} after {took:.2?}: {body}; wanted {wanted:?}"
            ),
        );
    }
    let told = time::now();
    service.terminate()?;
    let (code, took) = (service.ended(END * 5).await?, told.elapsed());
    report.claim(
        code == Some(0) && took <= END,
        format!("{name}: exit code {code:?} after {took:.2?}; wanted 0 within {END:?}"),
    );
    drop(kept);
    Ok(report)
}
