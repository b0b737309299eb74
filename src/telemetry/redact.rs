//! What a panic may say: where it happened, never what it held. A payload can quote a customer's
//! value, so it goes neither to the log nor to standard error.

use std::{
    io::Write,
    panic,
    sync::atomic::{AtomicU64, Ordering},
};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Replaces the process's panic hook: each panic is counted and logged as an error with its place
/// alone.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let (file, line) = panic.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
        if tracing::dispatcher::has_been_set() {
            tracing::error!(location = %format_args!("{file}:{line}"), "panicked");
        } else {
            // Before there is a log: dying in silence would help nobody.
            let _ = writeln!(std::io::stderr(), "panicked at {file}:{line}");
        }
    }));
}

/// Panics in this process since the hook was installed.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::*;
    use crate::{
        settings::{LogFormat, LogLevel},
        telemetry::log::{Sink, layer},
        time::Wall,
    };

    #[derive(Clone, Default)]
    struct Page(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_counted_and_its_place_logged_without_what_it_held() {
        let page = Page::default();
        let sink = Sink::to(page.clone());
        let (lines, _level) = layer(LogFormat::Json, LogLevel::Error, &sink, Wall::System);
        let usual = panic::take_hook();
        install_panic_hook();
        let before = panics();
        tracing::subscriber::with_default(registry().with(lines), || {
            let secret = "customer 4711";
            assert!(panic::catch_unwind(|| panic!("cannot read {secret}")).is_err());
        });
        panic::set_hook(usual);
        drop(sink);

        assert!(panics() > before);
        let page = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(page.trim_end()).unwrap();
        assert_eq!(line["message"], "panicked");
        assert!(line["location"].as_str().unwrap().contains("redact.rs:"), "{page}");
        assert!(!page.contains("4711") && !page.contains("cannot read"), "{page}");
    }
}
