//! Follows the bytes that arrive on a connection from request head to request head.
//!
//! hyper takes `Transfer-Encoding` over `Content-Length` when a request has both, and removes one
//! of them before anybody sees it. Two parties that choose differently cut the stream at different
//! places, which is what request smuggling lives on, so such a request has to be refused, and only
//! the bytes show it. This looks on and changes nothing; what it cannot follow counts as faulty.

/// Bytes of one line. hyper's own limits on heads, trailers and chunk extensions are met before.
const LONGEST_LINE: usize = 64 * 1024;

/// What has been seen of a connection's incoming bytes.
#[derive(Debug)]
pub(crate) struct Framing {
    part: Part,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    head: Head,
    heads: u64,
    faulty: Option<u64>,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    /// This many bytes of a body with a length.
    Sized(u64),
    /// The line before a chunk.
    ChunkSize,
    /// This many bytes of a chunk and the line end behind it.
    Chunk(u64),
    Trailers,
    /// Whatever follows is not understood.
    Lost,
}

/// What has been seen of the present head.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    length: Option<u64>,
    encoded: bool,
}

/// The bytes cannot be followed; hyper refuses them too, or we do.
struct Unreadable;

impl Framing {
    pub(crate) fn new() -> Self {
        Self { part: Part::Head, line: Vec::new(), head: Head::default(), heads: 0, faulty: None }
    }

    /// How many heads have arrived whole.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// The first head (counted from 0) that must not be answered: it has both lengths, or its
    /// beginning could not be found.
    pub(crate) fn faulty(&self) -> Option<u64> {
        self.faulty
    }

    /// Whether a head has begun and not ended. Empty lines before a head do not begin it.
    pub(crate) fn inside_head(&self) -> bool {
        self.part == Part::Head && (self.head.begun || self.line.iter().any(|b| *b != b'\r'))
    }

    /// Takes the next bytes of the connection, cut anywhere.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.part {
                Part::Lost => return,
                Part::Sized(left) => self.skip(left, bytes, Part::Sized, Part::Head),
                Part::Chunk(left) => self.skip(left, bytes, Part::Chunk, Part::ChunkSize),
                Part::Head | Part::ChunkSize | Part::Trailers => self.take_line(bytes),
            };
        }
    }

    fn skip<'a>(
        &mut self,
        left: u64,
        bytes: &'a [u8],
        same: fn(u64) -> Part,
        then: Part,
    ) -> &'a [u8] {
        let here = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left - here as u64;
        self.part = if left == 0 { then } else { same(left) };
        &bytes[here..]
    }

    /// Reads up to the next line end and returns what is behind it.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            if self.line.len() + bytes.len() > LONGEST_LINE {
                self.lose();
            } else {
                self.line.extend_from_slice(bytes);
            }
            return &[];
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        let understood = if self.line.is_empty() {
            self.line_ended(line)
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.line_ended(&whole)
        };
        if understood.is_err() {
            self.lose();
        }
        rest
    }

    /// `line` is without its `\n`. hyper takes a bare `\n` as a line end in heads, nowhere else.
    fn line_ended(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        let whole = line.strip_suffix(b"\r");
        match self.part {
            Part::Head => self.head_line(whole.unwrap_or(line))?,
            Part::ChunkSize => {
                self.part = match chunk_size(whole.ok_or(Unreadable)?)? {
                    0 => Part::Trailers,
                    size => Part::Chunk(size.checked_add(2).ok_or(Unreadable)?),
                }
            }
            Part::Trailers if whole.ok_or(Unreadable)?.is_empty() => self.part = Part::Head,
            Part::Trailers | Part::Sized(_) | Part::Chunk(_) | Part::Lost => {}
        }
        Ok(())
    }

    fn head_line(&mut self, line: &[u8]) -> Result<(), Unreadable> {
        // Each name is compared with those that begin like it alone.
        match line.first() {
            None if self.head.begun => {
                self.head_ended();
                return Ok(());
            }
            None => return Ok(()),
            Some(b'c' | b'C') => {
                if let Some(value) = value_of(line, b"content-length") {
                    let length = digits(value, 10)?;
                    if self.head.length.replace(length).is_some_and(|before| before != length) {
                        return Err(Unreadable);
                    }
                }
            }
            // Any but `chunked` at the end is refused by hyper.
            Some(b't' | b'T') => {
                self.head.encoded |= value_of(line, b"transfer-encoding").is_some()
            }
            Some(_) => {}
        }
        self.head.begun = true;
        Ok(())
    }

    fn head_ended(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.part = match (head.length, head.encoded) {
            (Some(_), true) => return self.lose_whole_head(),
            (None, true) => Part::ChunkSize,
            (None | Some(0), false) => Part::Head,
            (Some(length), false) => Part::Sized(length),
        };
        self.heads += 1;
    }

    fn lose_whole_head(&mut self) {
        self.lose();
        self.heads += 1;
    }

    fn lose(&mut self) {
        self.part = Part::Lost;
        self.line = Vec::new();
        self.faulty.get_or_insert(self.heads);
    }
}

/// The value of the header line `line` if its name is `name`, in whatever case.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (own, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    own.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn chunk_size(line: &[u8]) -> Result<u64, Unreadable> {
    let end = line.iter().position(|b| matches!(b, b';' | b' ' | b'\t')).unwrap_or(line.len());
    digits(&line[..end], 16)
}

/// A number without sign, blanks or anything else that `from_str_radix` would let pass.
fn digits(text: &[u8], radix: u32) -> Result<u64, Unreadable> {
    if text.is_empty() {
        return Err(Unreadable);
    }
    text.iter()
        .try_fold(0_u64, |sum, byte| {
            let digit = char::from(*byte).to_digit(radix)?;
            sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
        })
        .ok_or(Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::{
        collection::vec,
        prelude::{any, proptest},
    };

    use super::*;

    /// Heads, first faulty head, and whether it stands inside a head, after `bytes`.
    fn after(bytes: &[u8]) -> (u64, Option<u64>, bool) {
        let mut framing = Framing::new();
        framing.follow(bytes);
        (framing.heads(), framing.faulty(), framing.inside_head())
    }

    const SIZED: &str =
        "POST / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  5 \r\n\r\nTransfer-Encoding"; // 5 of them
    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;x=y\r\n\r\n\r\n\r\r\nA\r\nContent-Le\r\n0\r\nTransfer-Encoding: x\r\n\r\n";

    #[test]
    fn a_body_is_not_read_as_a_head() {
        assert_eq!(after(&SIZED.as_bytes()[..SIZED.len() - 12]), (1, None, false));
        assert_eq!(after(CHUNKED.as_bytes()), (1, None, false));
        assert_eq!(after(format!("{CHUNKED}{CHUNKED}G").as_bytes()), (2, None, true));
    }

    #[test]
    fn a_head_with_both_lengths_is_faulty_in_either_order() {
        for lengths in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\nX: y\r\ncontent-length: 3",
            "Transfer-Encoding: chunked\nContent-Length: nonsense",
        ] {
            let second = format!("{CHUNKED}POST / HTTP/1.1\r\n{lengths}\r\n\r\n");
            assert_eq!(after(second.as_bytes()).1, Some(1), "{lengths}");
        }
    }

    #[test]
    fn what_cannot_be_followed_makes_the_next_head_faulty() {
        for body in ["x\r\n", "\r\n", "+5\r\n", "5\n", "ffffffffffffffffff\r\n", "0\r\nA: b\n"] {
            let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
            assert_eq!(after(bytes.as_bytes()), (1, Some(1), false), "{body:?}");
        }
        for length in ["5\r\nContent-Length: 6", "-1", "5, 5", "", "99999999999999999999"] {
            let bytes = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(after(bytes.as_bytes()), (0, Some(0), false), "{length:?}");
        }
        assert_eq!(after(&[b'a'; LONGEST_LINE + 1]), (0, Some(0), false));
    }

    #[test]
    fn empty_lines_before_a_head_do_not_begin_it() {
        assert_eq!(after(b"\r\n\r\n\n\r"), (0, None, false));
        assert_eq!(after(b"\r\nG"), (0, None, true));
        assert_eq!(after(b"GET / HTTP/1.1\r\n"), (0, None, true));
        assert_eq!(after(b"\nGET / HTTP/1.1\nHost: a\n\n"), (1, None, false));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_bytes_are_cut(cuts in vec(1_usize..40, 1..60)) {
            let all = format!("{CHUNKED}{}{CHUNKED}POST /", &SIZED[..SIZED.len() - 12]);
            let mut framing = Framing::new();
            let mut rest = all.as_bytes();
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                framing.follow(now);
                rest = later;
            }
            let seen = (framing.heads(), framing.faulty(), framing.inside_head());
            assert_eq!(seen, after(all.as_bytes()));
            assert_eq!(framing.heads(), 3);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300), chunked in any::<bool>()) {
            let mut framing = Framing::new();
            if chunked {
                framing.follow(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
            }
            framing.follow(&bytes);
        }
    }
}
