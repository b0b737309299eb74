//! Bytes on a bare connection, for requests that no well-bred client would make.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{client::Answer, in_time};

/// A connection to the data plane.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    /// What came and belongs to no answer yet.
    ahead: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let socket = in_time("a connection", TcpStream::connect(address)).await;
        Self { socket: socket.expect("the service accepts"), ahead: Vec::new() }
    }

    /// Sends these bytes, whatever they are.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = in_time("sending", self.socket.write_all(bytes.as_ref())).await;
        sent.expect("the service reads");
    }

    /// Sends `piece` again and again until the service takes no more of it or answers, then reads
    /// the answer.
    pub(crate) async fn flood(&mut self, piece: &[u8]) -> Answer {
        let (mut read, mut write) = self.socket.split();
        let mut early = [0; 1];
        let flood = async { while write.write_all(piece).await.is_ok() {} };
        let begun = in_time("an answer to a flood", async {
            tokio::select! {
                begun = read.read(&mut early) => begun,
                () = flood => read.read(&mut early).await,
            }
        });
        let length = begun.await.expect("an answer comes before the end");
        self.ahead.extend_from_slice(&early[..length]);
        self.answer().await
    }

    /// The next answer; it must have come whole.
    pub(crate) async fn answer(&mut self) -> Answer {
        in_time("an answer", self.read_answer()).await
    }

    /// Whether the service closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let more = in_time("the end of a connection", self.socket.read_buf(&mut self.ahead)).await;
        self.ahead.is_empty() && more.unwrap_or(0) == 0
    }

    /// The next response, whatever it says: status, headers, body.
    pub(crate) async fn response(&mut self) -> (u16, HeaderMap, Bytes) {
        in_time("a response", self.read_response()).await
    }

    async fn read_answer(&mut self) -> Answer {
        let (status, headers, body) = self.read_response().await;
        Answer::checked(status, headers, body)
    }

    async fn read_response(&mut self) -> (u16, HeaderMap, Bytes) {
        let head = loop {
            if let Some(end) = self.ahead.windows(4).position(|w| w == b"\r\n\r\n") {
                break self.ahead.drain(..end + 4).collect::<Vec<_>>();
            }
            self.more().await;
        };
        let head = String::from_utf8(head).expect("a head is ASCII");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status.and_then(|code| code.parse().ok()).expect("a status line");
        let headers: HeaderMap = lines.map(header).collect();
        let length = headers.get("content-length").expect("every answer says its length");
        let length: usize = length.to_str().unwrap_or_default().parse().expect("a length");
        while self.ahead.len() < length {
            self.more().await;
        }
        (status, headers, self.ahead.drain(..length).collect::<Vec<_>>().into())
    }

    async fn more(&mut self) {
        let read = self.socket.read_buf(&mut self.ahead).await.expect("the service answers");
        assert!(read > 0, "closed in the middle of an answer");
    }
}

fn header(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").expect("a header line");
    (name.parse().expect("a name"), value.parse().expect("a value"))
}
