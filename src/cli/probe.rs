//! `probe`: asks a running service whether it is alive, or ready. For health checks in an image that
//! has no shell: one request by hand over std's sockets, no runtime, no TLS.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    process::ExitCode,
    str::FromStr,
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::cli::{out, reached_at};

/// How long all of it may take, finding the name's addresses included.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who is asked: an address or a name, and a port. Where a service listens on all addresses
/// (`0.0.0.0`, `[::]`), it is asked on loopback, so that one variable says both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// As it stands in a URL: IPv6 in brackets.
    host: String,
    port: u16,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "write HOST:PORT, such as 127.0.0.1:9090 or holdline:9090";
        if let Ok(address) = text.parse::<SocketAddr>() {
            let asked = reached_at(address).ip();
            let host = if asked.is_ipv6() { format!("[{asked}]") } else { asked.to_string() };
            return Ok(Self { host, port: address.port() });
        }
        let (host, port) = text.rsplit_once(':').ok_or(WRONG)?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(named) {
            return Err(WRONG);
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| WRONG)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Asks; 0 for yes.
pub(super) fn run(address: &Address, ready: bool) -> anyhow::Result<ExitCode> {
    let path = if ready { "/readyz" } else { "/livez" };
    Ok(match ask_in_time(address, path) {
        Ok(200) => {
            out::line(format_args!("{address}{path}: yes"))?;
            ExitCode::SUCCESS
        }
        Ok(status) => {
            eprintln!("{address}{path}: no ({status})");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{address}{path}: no answer ({error})");
            ExitCode::FAILURE
        }
    })
}

/// On a thread of its own, which nobody waits for any longer than this: the system's resolver knows
/// no time-out of ours, and a peer may send a byte at a time.
fn ask_in_time(address: &Address, path: &'static str) -> io::Result<u16> {
    let (tell, told) = mpsc::sync_channel(1);
    let address = address.clone();
    thread::Builder::new().name("probe".into()).spawn(move || tell.send(ask(&address, path)))?;
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Asks all of its addresses.
fn ask(address: &Address, path: &str) -> io::Result<u16> {
    let found: Vec<_> = address.to_string().to_socket_addrs()?.collect();
    ask_each(&found, address, path)
}

/// In turn, each for its part of the time, until one says yes: a headless Service names those that are not
/// ready too. Else what the last said that said anything.
fn ask_each(found: &[SocketAddr], host: &Address, path: &str) -> io::Result<u16> {
    let share = PATIENCE / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
    let mut no = Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    for one in found {
        match ask_one(*one, host, path, share) {
            Ok(200) => return Ok(200),
            Err(_) if no.is_ok() => {}
            other => no = other,
        }
    }
    no
}

fn ask_one(to: SocketAddr, host: &Address, path: &str, patience: Duration) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    // The status stands in the first bytes, which come at once or not at all.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_as_it_is_and_all_addresses_mean_loopback() {
        for (written, asked) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9091", "[::1]:9091"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("localhost:9090", "localhost:9090"),
            ("holdline-0.holdline_headless.ns.svc.cluster.local:1", {
                "holdline-0.holdline_headless.ns.svc.cluster.local:1"
            }),
        ] {
            assert_eq!(written.parse::<Address>().unwrap().to_string(), asked);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in [
            "",
            "here",
            ":9090",
            "here:",
            "here:http",
            "here:65536",
            "http://here:9090",
            "here:9090/livez",
            "::1:9090",
            "a b:1",
            "here\r\n:1",
        ] {
            let refused = text.parse::<Address>().unwrap_err();
            assert!(refused.contains("holdline:9090"), "{text}: {refused}");
        }
    }

    /// Where one asks and is told this status.
    fn says(status: u16) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of it first: closed with bytes unread, the connection would be reset.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            write!(stream, "HTTP/1.1 {status} It\r\n\r\n").unwrap();
        });
        address
    }

    #[test]
    fn of_several_addresses_one_yes_is_yes_and_else_the_last_no_counts() {
        let host: Address = "holdline:9090".parse().unwrap();
        let ask = |found: &[SocketAddr]| ask_each(found, &host, "/readyz");
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(ask(&[says(503), nobody, says(200)]).unwrap(), 200);
        assert_eq!(ask(&[nobody, says(404), says(503), nobody]).unwrap(), 503);
        assert_eq!(ask(&[nobody]).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(ask(&[]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
