//! The thread that writes lines. Whoever logs puts a line on a page and goes on; the thread writes the
//! page at once, or where lines keep coming a moment later, with all that have come meanwhile. To wake
//! it for each of them would cost more than to make it.

use std::{
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tracing::Level;

/// Lines that may wait for the thread: about two seconds of a busy service.
pub(super) const LINES: usize = 8_192;
/// Bytes that may wait for the thread: a flood of long lines is no reason to take the machine's memory.
const BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a page that is not worth waiting for more.
const PAGE: usize = 64 * 1024;
/// Bytes that a page has room for from the start: it goes on growing until the thread has come.
const ROOM: usize = 4 * PAGE;
/// How long lines that keep coming wait for each other.
const GATHER: Duration = Duration::from_millis(50);
/// How long an output that is full is left alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is asked again while it takes nothing: for a second.
const TRIES: u32 = 200;
/// How long the last lines may take to be written.
const END: Duration = Duration::from_secs(1);

/// The levels of lines.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// Where lines go. Dropping it writes what is waiting, for at most a second.
pub struct Sink {
    queue: Arc<Queue>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

impl Sink {
    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self::to(io::stdout())
    }

    /// Writes to `out`, which is flushed after each page.
    pub fn to<W: io::Write + Send + 'static>(out: W) -> Self {
        let queue = Arc::new(Queue::default());
        let writer = Arc::clone(&queue);
        let started =
            thread::Builder::new().name("log".into()).spawn(move || writer.write_until_closed(out));
        if started.is_err() {
            // A process that may have no thread says nothing, and counts what it does not say.
            queue.pages().phase = Phase::Ended;
        }
        Self { queue }
    }

    /// Lines so far, by their level; those that were lost are among them.
    pub fn written(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let levels = LEVELS.iter().zip(&self.queue.written);
        levels.map(|((word, _), lines)| (*word, lines.load(Ordering::Relaxed)))
    }

    /// Lines lost: too many were waiting, the output refused them, or they came after the end.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is waiting, for at most a second; what comes later is lost.
    pub fn close(&self) {
        let mut pages = self.queue.pages();
        if pages.phase == Phase::Open {
            pages.phase = Phase::Closing;
        }
        self.queue.come.notify_one();
        let closing = |pages: &mut Pages| pages.phase != Phase::Ended;
        let ended = self.queue.ended.wait_timeout_while(pages, END, closing);
        // A thread whose output hangs is left behind, and not waited for again.
        ended.unwrap_or_else(PoisonError::into_inner).0.phase = Phase::Ended;
    }

    /// The way in, for those who make lines.
    pub(super) fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.queue))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

/// The way into a sink.
#[derive(Clone)]
pub(super) struct Entrance(Arc<Queue>);

impl Entrance {
    /// Takes one line, its end included, or drops it; never waits for the output.
    pub(super) fn put(&self, line: &[u8], level: Level) {
        let written = LEVELS.iter().position(|(_, known)| *known == level);
        if let Some(written) = written {
            self.0.written[written].fetch_add(1, Ordering::Relaxed);
        }
        self.0.put(line);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// What waits is still written.
    Closing,
    Ended,
}

/// What is between those who log and the thread.
#[derive(Default)]
struct Queue {
    pages: Mutex<Pages>,
    /// There is something to write.
    come: Condvar,
    /// The thread has ended.
    ended: Condvar,
    dropped: AtomicU64,
    /// Lines of each of [`LEVELS`].
    written: [AtomicU64; 5],
}

struct Pages {
    /// What waits to be written.
    page: Vec<u8>,
    /// Lines that wait or are being written.
    lines: usize,
    /// Bytes of these.
    bytes: usize,
    /// The thread sleeps until a line comes.
    idle: bool,
    phase: Phase,
}

impl Default for Pages {
    fn default() -> Self {
        let page = Vec::with_capacity(ROOM);
        Self { page, lines: 0, bytes: 0, idle: false, phase: Phase::Open }
    }
}

impl Queue {
    fn put(&self, line: &[u8]) {
        let mut pages = self.pages();
        let is_full = pages.lines >= LINES || pages.bytes + line.len() > BYTES;
        if is_full || pages.phase == Phase::Ended {
            drop(pages);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = pages.page.len();
        pages.page.extend_from_slice(line);
        pages.lines += 1;
        pages.bytes += line.len();
        let wakes = pages.idle || (before < PAGE && pages.page.len() >= PAGE);
        pages.idle = false;
        drop(pages);
        if wakes {
            self.come.notify_one();
        }
    }

    fn write_until_closed(&self, out: impl io::Write) {
        let mut output = Output { out, is_torn: false };
        let mut writing = Vec::with_capacity(ROOM);
        while let Some(lines) = self.turn_page(&mut writing) {
            self.dropped.fetch_add(output.write(&writing), Ordering::Relaxed);
            let bytes = writing.len();
            writing.clear();
            // After a jam there is no need for so large a page.
            writing.shrink_to(ROOM);
            let mut pages = self.pages();
            pages.lines -= lines;
            pages.bytes -= bytes;
        }
        self.pages().phase = Phase::Ended;
        self.ended.notify_all();
    }

    /// Waits until there is something to write, and takes it; gives how many lines it is. Nothing: it
    /// is closed, and all is written.
    fn turn_page(&self, writing: &mut Vec<u8>) -> Option<usize> {
        let few = |pages: &mut Pages| pages.page.len() < PAGE && pages.phase == Phase::Open;
        let gathered = self.come.wait_timeout_while(self.pages(), GATHER, few);
        let (mut pages, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        // While lines keep coming it is the clock that wakes the thread, not they; one that comes after
        // a silence is written at once.
        if pages.page.is_empty() {
            pages.idle = true;
            let idle = |pages: &mut Pages| pages.page.is_empty() && pages.phase == Phase::Open;
            let come = self.come.wait_while(pages, idle);
            pages = come.unwrap_or_else(PoisonError::into_inner);
        }
        if pages.page.is_empty() {
            return None;
        }
        std::mem::swap(&mut pages.page, writing);
        Some(pages.lines)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the thread writes.
struct Output<W> {
    out: W,
    /// The last line that went out has no end.
    is_torn: bool,
}

impl<W: io::Write> Output<W> {
    /// Writes a page, as far as it is taken; gives how many lines of it did not go out whole.
    fn write(&mut self, page: &[u8]) -> u64 {
        // What is left of a line must not spoil the next one.
        if self.is_torn && self.put(b"\n") == 0 {
            return ends(page);
        }
        let taken = self.put(page);
        // A buffer that cannot be emptied now is emptied before it takes more.
        let _ = self.out.flush();
        ends(&page[taken..])
    }

    /// Gives how many bytes were taken.
    fn put(&mut self, bytes: &[u8]) -> usize {
        let (mut taken, mut tries) = (0, 0);
        while taken < bytes.len() {
            match self.out.write(&bytes[taken..]) {
                Ok(0) => break,
                Ok(more) => (taken, tries) = (taken + more, 0),
                Err(failed) if failed.kind() == io::ErrorKind::Interrupted => {}
                // Standard output is shared: another process may have made it one that never waits.
                Err(failed) if failed.kind() == io::ErrorKind::WouldBlock && tries < TRIES => {
                    tries += 1;
                    #[expect(clippy::disallowed_methods, reason = "no call runs on this thread")]
                    thread::sleep(PAUSE);
                }
                Err(_) => break,
            }
        }
        if let Some(last) = bytes[..taken].last() {
            self.is_torn = *last != b'\n';
        }
        taken
    }
}

/// How many lines end in `bytes`.
fn ends(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::mpsc};

    use super::*;
    use crate::time;

    /// An output that takes nothing until its gate is dropped.
    struct Stuck(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(sink: &Sink, lines: std::ops::Range<usize>) {
        for line in lines {
            sink.entrance().put(format!("{line}\n").as_bytes(), Level::INFO);
        }
    }

    #[test]
    fn lines_are_written_whole_and_in_order_and_the_last_before_the_end() {
        let (gate, wait) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink::to(Stuck(wait, Arc::clone(&written)));
        drop(gate);
        put(&sink, 0..5_000);
        drop(sink);
        let expected: String = (0..5_000).map(|line| format!("{line}\n")).collect();
        assert!(*written.lock().unwrap() == expected.as_bytes(), "not what was put in");
    }

    #[test]
    fn what_waits_and_what_is_being_written_have_one_bound() {
        let (gate, wait) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink::to(Stuck(wait, Arc::clone(&written)));
        put(&sink, 0..LINES + 7);
        assert_eq!(sink.dropped(), 7);
        drop(gate);
        drop(sink);
        let written = written.lock().unwrap().clone();
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), LINES);
    }

    #[test]
    fn an_output_that_hangs_for_good_delays_the_end_by_a_second_at_most() {
        let (_gate, wait) = mpsc::channel();
        let sink = Sink::to(Stuck(wait, Arc::default()));
        put(&sink, 0..1);
        let began = time::now();
        drop(sink);
        assert!((END..END * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[test]
    fn what_the_output_refuses_and_what_comes_after_the_end_is_counted() {
        struct Refusing;
        impl Write for Refusing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let sink = Sink::to(Refusing);
        put(&sink, 0..3);
        sink.close();
        assert_eq!(sink.dropped(), 3);
        put(&sink, 0..1);
        assert_eq!(sink.dropped(), 4);
    }

    /// An output that does one thing after the other, and takes all in the end.
    struct Moody(Vec<Result<usize, io::ErrorKind>>, Vec<u8>);

    impl Write for Moody {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let most = if self.0.is_empty() { bytes.len() } else { self.0.remove(0)? };
            self.1.write(&bytes[..most.min(bytes.len())])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn moody(moods: &[Result<usize, io::ErrorKind>]) -> Output<Moody> {
        Output { out: Moody(moods.to_vec(), Vec::new()), is_torn: false }
    }

    #[test]
    fn an_output_that_is_full_for_a_moment_gets_the_rest_later() {
        let full = Err(io::ErrorKind::WouldBlock);
        let mut output = moody(&[Ok(10), full, Err(io::ErrorKind::Interrupted), Ok(1), full]);
        assert_eq!(output.write(b"the first\nthe second\nthe third\n"), 0);
        assert_eq!(output.out.1, b"the first\nthe second\nthe third\n");
    }

    #[test]
    fn of_a_page_that_breaks_off_only_the_rest_is_lost_and_the_next_begins_a_new_line() {
        let no_room = Err(io::ErrorKind::StorageFull);
        let mut output = moody(&[Ok(14), no_room, no_room]);
        assert_eq!(output.write(b"the first\nthe second\nthe third\n"), 2);
        assert_eq!(output.write(b"the fourth\nthe fifth\n"), 2, "there is still no room");
        assert_eq!(output.write(b"the sixth\n"), 0);
        assert_eq!(output.write(b"the seventh\n"), 0);
        assert_eq!(output.out.1, b"the first\nthe \nthe sixth\nthe seventh\n");
    }

    #[test]
    fn long_lines_are_bound_by_their_bytes() {
        let (gate, wait) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink::to(Stuck(wait, Arc::clone(&written)));
        let mut line = vec![b'x'; 16 * 1024];
        line[16 * 1024 - 1] = b'\n';
        for _ in 0..BYTES / line.len() + 7 {
            sink.entrance().put(&line, Level::INFO);
        }
        assert_eq!(sink.dropped(), 7);
        drop(gate);
        drop(sink);
        assert_eq!(written.lock().unwrap().len(), BYTES);
    }

    #[test]
    fn what_was_written_makes_room_for_as_much() {
        let queue = Queue::default();
        let line = vec![b'\n'; BYTES];
        for _ in 0..2 {
            queue.put(&line);
            queue.pages().phase = Phase::Closing;
            queue.write_until_closed(io::sink());
            queue.pages().phase = Phase::Open;
        }
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_full_page_is_as_large_as_an_empty_one() {
        let (queue, mut writing) = (Queue::default(), Vec::with_capacity(ROOM));
        let room = |queue: &Queue| queue.pages().page.capacity();
        let before = room(&queue);
        while queue.pages().page.len() < PAGE {
            queue.put(&[b'\n'; 999]);
        }
        assert_eq!(room(&queue), before);
        queue.turn_page(&mut writing);
        writing.clear();
        writing.shrink_to(ROOM);
        assert_eq!((writing.capacity(), room(&queue)), (before, before));
    }
}
