//! `probe`: asks a running service whether it is alive, or ready. For health checks in an image that
//! has no shell: one request by hand over std's sockets, no runtime, no TLS.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use crate::cli::out;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks; 0 for yes.
pub(super) fn run(address: SocketAddr, ready: bool) -> anyhow::Result<ExitCode> {
    let path = if ready { "/readyz" } else { "/livez" };
    Ok(match ask(address, path) {
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

fn ask(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    // The status stands in the first bytes, which come at once or not at all.
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is not HTTP"))
}
