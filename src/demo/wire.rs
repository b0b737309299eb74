//! HTTP/1.1 on a bare connection: enough of it to be a correct server, and near enough to the bytes
//! to be a wrong one on purpose.

use std::{fmt, io};

use bytes::Bytes;
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a request head; a fake needs no more, and a runaway client shall not fill memory.
const MAX_HEAD: u64 = 64 * 1024;

/// Bytes of a request body.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// The type of nearly every body here.
pub(super) const JSON: &str = "application/json; charset=utf-8";

/// What a client asked for.
#[derive(Clone, Default)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The target as sent: the path and the query, nothing decoded.
    pub target: String,
    /// Header names and values in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, or as much of it as came.
    pub body: Bytes,
    /// Whether the body came whole.
    pub body_complete: bool,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Shows header names only: values may be credentials.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("body_complete", &self.body_complete)
            .finish()
    }
}

/// What the server says.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers beside those that frame the body.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A JSON body under a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, JSON, body.to_string())
    }

    /// A body of the given type under a status.
    pub fn text(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: body.into() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Why no request could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The client closed the connection between two requests.
    #[error("the connection ended")]
    Ended,
    /// The client went away in the middle; what had come of the request, if its head was complete.
    #[error("the client left in the middle of a request")]
    Broken(Box<Request>),
    /// Not HTTP/1.1, or more than is taken.
    #[error("{0}")]
    Refused(&'static str),
    /// The connection failed.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

/// Reads the next head: everything but the body.
///
/// # Errors
/// [`Unreadable`]: the connection ended or failed, or what came is not HTTP/1.
pub(super) async fn read_head(
    from: &mut (impl AsyncBufRead + Unpin),
) -> Result<Request, Unreadable> {
    let mut left = MAX_HEAD;
    let mut first = line(from, &mut left).await?.ok_or(Unreadable::Ended)?;
    if first.is_empty() {
        // RFC 9112, 2.2: an empty line before a request is to be ignored.
        first = line(from, &mut left).await?.ok_or(Unreadable::Ended)?;
    }
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Unreadable::Refused("not a request line"));
    };
    let mut keep_alive = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(Unreadable::Refused("not HTTP/1.1")),
    };
    let mut headers = Vec::new();
    loop {
        let text = line(from, &mut left).await?.ok_or(Unreadable::Ended)?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or(Unreadable::Refused("not a header"))?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "connection" && value.eq_ignore_ascii_case("close") {
            keep_alive = false;
        }
        headers.push((name, value));
    }
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        keep_alive,
        ..Request::default()
    })
}

/// Reads the body that the head announces into `request`.
///
/// # Errors
/// [`Unreadable`]: the client left before the end of it, or it is too large or wrongly framed.
pub(super) async fn read_body(
    from: &mut (impl AsyncBufRead + Unpin),
    mut request: Request,
) -> Result<Request, Unreadable> {
    let mut body = Vec::new();
    let complete = if request.header("transfer-encoding").is_some() {
        read_chunks(from, &mut body).await?
    } else {
        let length = match request.header("content-length") {
            None => 0,
            Some(text) => text.parse().map_err(|_| Unreadable::Refused("not a length"))?,
        };
        read_exactly(from, &mut body, length).await?
    };
    request.body = body.into();
    request.body_complete = complete;
    if complete { Ok(request) } else { Err(Unreadable::Broken(Box::new(request))) }
}

/// `false`: the client left first.
async fn read_exactly(
    from: &mut (impl AsyncBufRead + Unpin),
    body: &mut Vec<u8>,
    length: usize,
) -> Result<bool, Unreadable> {
    if length > MAX_BODY - body.len() {
        return Err(Unreadable::Refused("the body is too large"));
    }
    let wanted = body.len() + length;
    // A failed read is a client that left, too: what came before it is still worth recording.
    let _ = from.take(length as u64).read_to_end(body).await;
    Ok(body.len() == wanted)
}

async fn read_chunks(
    from: &mut (impl AsyncBufRead + Unpin),
    body: &mut Vec<u8>,
) -> Result<bool, Unreadable> {
    let mut left = MAX_HEAD + 2 * MAX_BODY as u64;
    loop {
        let Some(text) = line(from, &mut left).await? else {
            return Ok(false);
        };
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| Unreadable::Refused("not the size of a chunk"))?;
        if size == 0 {
            break;
        }
        if !read_exactly(from, body, size).await? || line(from, &mut left).await?.is_none() {
            return Ok(false);
        }
    }
    loop {
        match line(from, &mut left).await? {
            None => return Ok(false),
            Some(trailer) if trailer.is_empty() => return Ok(true),
            Some(_) => {}
        }
    }
}

/// One line without its end; `None` when the connection ends first.
async fn line(
    from: &mut (impl AsyncBufRead + Unpin),
    left: &mut u64,
) -> Result<Option<String>, Unreadable> {
    let mut bytes = Vec::new();
    from.take(*left).read_until(b'\n', &mut bytes).await?;
    *left -= bytes.len() as u64;
    if bytes.pop() != Some(b'\n') {
        return if *left == 0 { Err(Unreadable::Refused("too long")) } else { Ok(None) };
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map(Some).map_err(|_| Unreadable::Refused("not UTF-8"))
}

/// The status line and headers of `response`, with the framing given.
pub(super) fn head(response: &Response, framing: &str, keep_alive: bool) -> String {
    use fmt::Write;

    let reason = http::StatusCode::from_u16(response.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", response.status);
    for (name, value) in &response.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !framing.is_empty() {
        let _ = write!(head, "{framing}\r\n");
    }
    if !keep_alive {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head
}

/// Writes a whole, correct response.
///
/// # Errors
/// The client has left.
pub(super) async fn write_response(
    to: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    response: &Response,
) -> io::Result<()> {
    let bodiless = matches!(response.status, 100..=199 | 204 | 304);
    let framing =
        if bodiless { String::new() } else { format!("Content-Length: {}", response.body.len()) };
    let mut bytes = head(response, &framing, request.keep_alive).into_bytes();
    if !bodiless && request.method != "HEAD" {
        bytes.extend_from_slice(&response.body);
    }
    to.write_all(&bytes).await?;
    to.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    async fn read(text: &str) -> Result<Request, Unreadable> {
        let mut from = BufReader::new(text.as_bytes());
        let head = read_head(&mut from).await?;
        read_body(&mut from, head).await
    }

    #[tokio::test]
    async fn a_body_is_read_by_its_length_or_by_its_chunks() {
        let plain =
            read("POST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhellorest").await.unwrap();
        assert_eq!((plain.path(), plain.target.as_str()), ("/a", "/a?b=c"));
        assert_eq!((&plain.body[..], plain.body_complete), (&b"hello"[..], true));

        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: t\r\n\r\n";
        assert_eq!(&read(chunked).await.unwrap().body[..], b"hello");
    }

    #[tokio::test]
    async fn a_client_that_leaves_in_the_middle_is_told_from_one_that_has_finished() {
        assert!(matches!(read("").await, Err(Unreadable::Ended)));
        let cut = read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhel").await;
        let Err(Unreadable::Broken(request)) = cut else { panic!("{cut:?}") };
        assert_eq!((&request.body[..], request.body_complete), (&b"hel"[..], false));
        assert!(matches!(read("nonsense\r\n\r\n").await, Err(Unreadable::Refused(_))));
    }

    #[tokio::test]
    async fn a_connection_is_kept_unless_the_client_says_otherwise() {
        assert!(read("GET / HTTP/1.1\r\n\r\n").await.unwrap().keep_alive);
        assert!(!read("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").await.unwrap().keep_alive);
        assert!(!read("GET / HTTP/1.0\r\n\r\n").await.unwrap().keep_alive);
    }

    #[test]
    fn a_request_shown_for_debugging_keeps_its_credentials_to_itself() {
        let headers = vec![("authorization".to_owned(), "Bearer s3cret".to_owned())];
        let shown = format!("{:?}", Request { headers, ..Request::default() });
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
    }
}
