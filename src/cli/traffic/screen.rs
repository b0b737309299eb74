//! One line of text that changes: in its place on a terminal, now and then in a file.

use std::{
    io::{self, Write},
    time::Duration,
};

/// How often the line on a terminal is written anew.
const REFRESH: Duration = Duration::from_millis(250);

/// How often a line is written where there is no terminal.
const REPORT: Duration = Duration::from_secs(10);

/// Where the status line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// A terminal: one line that stays in its place, clipped to `width` columns where it is known.
    Terminal {
        /// Columns, if known; the terminal clips by itself if not.
        width: Option<usize>,
    },
    /// A file or a pipe: a line every ten seconds.
    Plain,
}

/// Whether the cursor stays on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stay,
    Newline,
}

/// Writes the status line again and again; ends only when `out` takes no more.
pub(super) async fn show(
    out: &mut (impl Write + Send),
    screen: Screen,
    line: impl Fn() -> String,
) -> io::Result<()> {
    let (every, end) = match screen {
        Screen::Terminal { .. } => (REFRESH, End::Stay),
        Screen::Plain => (REPORT, End::Newline),
    };
    loop {
        tokio::time::sleep(every).await;
        write_line(out, screen, &line(), end)?;
    }
}

pub(super) fn write_line(
    out: &mut impl Write,
    screen: Screen,
    line: &str,
    end: End,
) -> io::Result<()> {
    let newline = if end == End::Newline { "\n" } else { "" };
    let text = match screen {
        Screen::Plain => format!("{line}\n"),
        // Over the old line and only then cleared behind: no flicker. `?7l` keeps a line that is
        // too long from wrapping, `?7h` ends that.
        Screen::Terminal { width } => {
            let clipped: String = line.chars().take(width.unwrap_or(usize::MAX)).collect();
            format!("\r\x1b[?7l{clipped}\x1b[K\x1b[?7h{newline}")
        }
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_line_is_clipped_and_stays_in_its_place() {
        let mut out = Vec::new();
        let screen = Screen::Terminal { width: Some(5) };
        write_line(&mut out, screen, "200/s  200 1", End::Stay).unwrap();
        assert_eq!(out, b"\r\x1b[?7l200/s\x1b[K\x1b[?7h");
        out.clear();
        write_line(&mut out, Screen::Plain, "200/s  200 1", End::Newline).unwrap();
        assert_eq!(out, b"200/s  200 1\n");
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_terminal_a_line_comes_every_ten_seconds() {
        let mut out = Vec::new();
        let lines = show(&mut out, Screen::Plain, || "line".into());
        let _ = tokio::time::timeout(Duration::from_secs(35), lines).await;
        assert_eq!(out, b"line\nline\nline\n");
    }
}
