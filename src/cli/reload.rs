//! Where the service's configuration comes from while it runs: it is read anew, compared with what
//! is in force, and its files are watched.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::task::spawn_blocking;

use crate::{
    cli::{container, load},
    config::{Loaded, outline::Outline, problem::Problem, sources::Watch},
    proxy::{Next, Reader, Taken},
};

/// Between two looks at the files. A change is taken at the second look that sees it.
const LOOK: Duration = Duration::from_secs(1);
/// Changes that are told one by one.
const MOST_TOLD: usize = 200;

/// The configuration of a running service: where it stands, and what is known of it.
#[derive(Debug)]
pub(super) struct Origin {
    /// `None`: the built-in one.
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// What is in force. One that was refused never stands here: the next is compared with what
    /// holds.
    in_force: Arc<Outline>,
    /// The files as they were read last, whatever came of it: one that was refused is not read again
    /// until something in it is different.
    watch: Watch,
}

impl Origin {
    /// That of the first configuration, which was read out of `file`.
    pub(super) fn new(file: Option<&Path>, loaded: &Loaded) -> Arc<Self> {
        let file = file.map(Path::to_owned);
        let watch = Watch::new(loaded.sources.clone());
        let known = Known { in_force: Arc::clone(&loaded.outline), watch };
        Arc::new(Self { file, known: Mutex::new(known) })
    }

    /// Reads it as often as it is asked.
    pub(super) fn reader(self: &Arc<Self>) -> Reader {
        let origin = Arc::clone(self);
        Arc::new(move || origin.read())
    }

    /// Waits until one of its files has changed, and the change is finished.
    pub(super) async fn changed(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let sources = self.known().watch.sources().clone();
            // A disk may be slow to answer.
            let Ok(now) = spawn_blocking(move || sources.look()).await else { continue };
            if self.known().watch.saw(now) {
                return;
            }
        }
    }

    fn read(self: &Arc<Self>) -> Result<Next, Vec<String>> {
        let file = self.file.as_deref();
        if let Some(file) = file.filter(|file| fs::metadata(file).is_ok_and(|it| !it.is_file())) {
            let told = format!("{}: is no plain file, which cannot be read again", file.display());
            return Err(vec![told]);
        }
        let loaded = load::load(file).map_err(|report| {
            self.known().watch.follow(report.sources().clone());
            lines(report.problems())
        })?;
        let Loaded { catalog, mut settings, warnings, outline, sources } = loaded;
        settings.cache.memory = container::cache_memory(settings.cache.memory);
        let mut known = self.known();
        known.watch.follow(sources);
        let changes = told(&known.in_force.changes_to(&outline));
        let origin = Arc::clone(self);
        let taken = Taken::new(move || origin.known().in_force = outline);
        Ok(Next { catalog, settings, changes, warnings: lines(&warnings), taken })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// One line each, and how many more there are.
fn told(changes: &[impl ToString]) -> Vec<String> {
    let mut lines: Vec<_> = changes.iter().take(MOST_TOLD).map(ToString::to_string).collect();
    if changes.len() > MOST_TOLD {
        lines.push(format!("and {} more", changes.len() - MOST_TOLD));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An origin over a file with the built-in action and that description.
    struct Written {
        file: tempfile::NamedTempFile,
        origin: Arc<Origin>,
    }

    impl Written {
        fn new(description: &str) -> Self {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), yaml(description)).unwrap();
            let loaded = load::load(Some(file.path())).unwrap();
            let origin = Origin::new(Some(file.path()), &loaded);
            Self { file, origin }
        }

        fn write(&self, text: &str) {
            fs::write(self.file.path(), text).unwrap();
        }

        fn read(&self) -> Result<Next, Vec<String>> {
            (self.origin.reader())()
        }
    }

    fn yaml(description: &str) -> String {
        format!(
            "actions:
  a:
    description: {description}
    caller: none
    request: {{upstream: u, path: /x}}
    output: {{n: {{type: string, from: $.n, default: n}}}}
upstreams: {{u: {{base_url: 'https://u.example.com'}}}}
"
        )
    }

    #[test]
    fn what_is_read_is_compared_with_what_is_in_force() {
        let written = Written::new("one");
        assert_eq!(written.read().unwrap().changes, [""; 0]);
        written.write(&yaml("two"));
        let change = "actions.a.description: one -> two";
        assert_eq!(written.read().unwrap().changes, [change]);
        assert_eq!(written.read().unwrap().changes, [change], "it was never taken");
        written.read().unwrap().taken.tell();
        assert_eq!(written.read().unwrap().changes, [""; 0]);
        written.write("actions: {}");
        let problems = written.read().unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("has no action"), "{problems:?}");
        written.write(&yaml("three"));
        assert_eq!(written.read().unwrap().changes, ["actions.a.description: two -> three"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_is_not_read_again_until_it_is_different() {
        let written = Written::new("one");
        let changed =
            async || tokio::time::timeout(5 * LOOK, written.origin.changed()).await.is_ok();
        assert!(!changed().await);
        written.write("actions: {}");
        assert!(changed().await, "nobody has read it");
        written.read().unwrap_err();
        assert!(!changed().await, "it was read, and refused");
        written.write(&yaml("one"));
        assert!(changed().await, "it is mended");
    }

    #[test]
    fn what_is_no_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load::load(None).unwrap();
        let problems = Origin::new(Some(folder.path()), &loaded).read().unwrap_err();
        assert!(problems[0].ends_with("is no plain file, which cannot be read again"));
    }

    #[test]
    fn of_very_many_changes_some_are_told_and_the_rest_counted() {
        let changes: Vec<_> = (0..MOST_TOLD + 5).collect();
        let told = told(&changes);
        assert_eq!((told.len(), &*told[MOST_TOLD]), (MOST_TOLD + 1, "and 5 more"));
        assert_eq!(super::told(&changes[..3]), ["0", "1", "2"]);
    }
}
