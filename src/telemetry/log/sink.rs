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

/// Lines that may wait for the thread: about two seconds of a busy service.
pub(super) const LINES: usize = 8_192;
/// Bytes of a page that is not worth waiting for more.
const PAGE: usize = 64 * 1024;
/// How long lines that keep coming wait for each other.
const GATHER: Duration = Duration::from_millis(50);
/// How long the last lines may take to be written.
const END: Duration = Duration::from_secs(1);

/// Where lines go. Dropping it writes what is waiting, for at most a second.
pub struct Sink {
    desk: Arc<Desk>,
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
        let desk = Arc::new(Desk::default());
        let writer = Arc::clone(&desk);
        let started =
            thread::Builder::new().name("log".into()).spawn(move || writer.write_until_closed(out));
        if started.is_err() {
            // A process that may have no thread says nothing, and counts what it does not say.
            desk.pages().stage = Stage::Ended;
        }
        Self { desk }
    }

    /// Lines lost: too many were waiting, the output refused them, or they came after the end.
    pub fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is waiting, for at most a second; what comes later is lost.
    pub fn close(&self) {
        let mut pages = self.desk.pages();
        if pages.stage == Stage::Open {
            pages.stage = Stage::Closing;
        }
        self.desk.come.notify_one();
        let closing = |pages: &mut Pages| pages.stage != Stage::Ended;
        let ended = self.desk.ended.wait_timeout_while(pages, END, closing);
        // A thread whose output hangs is left behind, and not waited for again.
        ended.unwrap_or_else(PoisonError::into_inner).0.stage = Stage::Ended;
    }

    /// The way in, for the layer.
    pub(super) fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.desk))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

/// The way into a sink.
pub(super) struct Entrance(Arc<Desk>);

impl Entrance {
    /// Takes one line, its end included, or drops it; never waits for the output.
    pub(super) fn put(&self, line: &[u8]) {
        self.0.put(line);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// What waits is still written.
    Closing,
    Ended,
}

/// What is between those who log and the thread.
#[derive(Default)]
struct Desk {
    pages: Mutex<Pages>,
    /// There is something to write.
    come: Condvar,
    /// The thread has ended.
    ended: Condvar,
    dropped: AtomicU64,
}

struct Pages {
    /// What waits to be written.
    page: Vec<u8>,
    /// Lines that wait or are being written.
    lines: usize,
    /// The thread sleeps until a line comes.
    idle: bool,
    stage: Stage,
}

impl Default for Pages {
    fn default() -> Self {
        Self { page: Vec::with_capacity(PAGE), lines: 0, idle: false, stage: Stage::Open }
    }
}

impl Desk {
    fn put(&self, line: &[u8]) {
        let mut pages = self.pages();
        if pages.lines >= LINES || pages.stage == Stage::Ended {
            drop(pages);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = pages.page.len();
        pages.page.extend_from_slice(line);
        pages.lines += 1;
        let wakes = pages.idle || (before < PAGE && pages.page.len() >= PAGE);
        pages.idle = false;
        drop(pages);
        if wakes {
            self.come.notify_one();
        }
    }

    fn write_until_closed(&self, mut out: impl io::Write) {
        let mut writing = Vec::with_capacity(PAGE);
        while let Some(lines) = self.turn_page(&mut writing) {
            if out.write_all(&writing).and_then(|()| out.flush()).is_err() {
                self.dropped.fetch_add(lines as u64, Ordering::Relaxed);
            }
            writing.clear();
            // After a jam there is no need for so large a page.
            writing.shrink_to(PAGE);
            self.pages().lines -= lines;
        }
        self.pages().stage = Stage::Ended;
        self.ended.notify_all();
    }

    /// Waits until there is something to write, and takes it; gives how many lines it is. Nothing: it
    /// is closed, and all is written.
    fn turn_page(&self, writing: &mut Vec<u8>) -> Option<usize> {
        let few = |pages: &mut Pages| pages.page.len() < PAGE && pages.stage == Stage::Open;
        let gathered = self.come.wait_timeout_while(self.pages(), GATHER, few);
        let (mut pages, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        // While lines keep coming it is the clock that wakes the thread, not they; one that comes after
        // a silence is written at once.
        if pages.page.is_empty() {
            pages.idle = true;
            let idle = |pages: &mut Pages| pages.page.is_empty() && pages.stage == Stage::Open;
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
            sink.entrance().put(format!("{line}\n").as_bytes());
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
}
