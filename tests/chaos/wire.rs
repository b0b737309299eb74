//! The client's side of HTTP/1.1: one kept connection, as cheap as a caller can be.

use std::{io, net::SocketAddr};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection to the service.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    ahead: BytesMut,
}

/// A response that came whole.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    head: String,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// Nobody accepts.
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        // A client that leaves thousands of connections behind would run out of ports: what is
        // closed here leaves no trace.
        stream.set_zero_linger()?;
        Ok(Self { stream, ahead: BytesMut::with_capacity(2_048) })
    }

    /// Sends a request and reads the response to it.
    ///
    /// # Errors
    /// The connection ended first, or what came is no response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.stream.write_all(request).await?;
        let end = loop {
            if let Some(end) = self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head = self.ahead.split_to(end);
        let head = String::from_utf8(head.to_vec()).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut reply = Reply { head, body: Bytes::new() };
        let length = reply.header("content-length").and_then(|text| text.parse().ok());
        let length: usize = length.ok_or(io::ErrorKind::InvalidData)?;
        while self.ahead.len() < length {
            self.more().await?;
        }
        reply.body = self.ahead.split_to(length).freeze();
        Ok(reply)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.ahead).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Reply {
    /// The status code; 0 where the line is none.
    pub(crate) fn status(&self) -> u16 {
        self.head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// A header by its name in lower case, as this service writes them.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.split("\r\n").filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether the connection ends with it.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

/// One request on a connection of its own: `GET`, or `POST` with a JSON body.
///
/// # Errors
/// No whole response came.
pub(crate) async fn once(to: SocketAddr, path: &str, json: Option<&str>) -> io::Result<Reply> {
    let request = match json {
        None => format!("GET {path} HTTP/1.1\r\nHost: chaos\r\n\r\n"),
        Some(body) => post(path, "", body),
    };
    Line::open(to).await?.exchange(request.as_bytes()).await
}

/// A `POST`; `more` are header lines, each with its end.
pub(crate) fn post(path: &str, more: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: chaos\r\nContent-Type: application/json\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
