//! What is wrong with a configuration, where, and what to write instead.

use std::{
    cell::{Ref, RefCell},
    collections::HashSet,
    fmt,
    path::Path,
    sync::Arc,
};

use crate::config::{asked::Asked, node::Place, sources::Sources};

/// One thing that is wrong. Never a part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 where it is about the file as a whole.
    pub column: usize,
    /// The path in the YAML, such as `actions.customer-lookup.cache.ttl`; empty for the file itself.
    pub path: String,
    /// What is wrong, as the end of a sentence that begins with the path: `must be a duration`.
    pub what: String,
    /// What to do about it, as an order: `write 250ms, 2s, 5m or 1h`. Empty where nothing can be
    /// said.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.instead.is_empty() {
            write!(f, "; {}", self.instead)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Its `Display` is the
/// text for people, one line for each problem and a count at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    sources: Sources,
}

impl Report {
    /// What must be mended; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What would have been accepted, but is better changed.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The files in which it is to be mended, as they were read.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        f.write_str(&count(self.problems.len(), "problem"))?;
        if !self.warnings.is_empty() {
            write!(f, ", {}", count(self.warnings.len(), "warning"))?;
        }
        Ok(())
    }
}

/// What was found so far. Shared by all who read one file, so that nobody has to stop at the first.
#[derive(Debug)]
pub(super) struct Findings {
    file: Arc<str>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    sources: RefCell<Sources>,
    /// What readers asked for.
    pub(super) asked: Asked,
}

impl Findings {
    pub(super) fn of(file: &str) -> Self {
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        let (sources, asked) = (RefCell::default(), Asked::default());
        Self { file: file.into(), problems, warnings, sources, asked }
    }

    /// Reads a file of at most `most` bytes that is a part of the configuration, and notes it among
    /// its sources. Every file is read here, so that a change of it is seen. The error is the end of
    /// a sentence that begins with the file.
    pub(super) fn read_file(&self, path: &Path, most: u64) -> Result<Vec<u8>, String> {
        self.sources.borrow_mut().read(path, most)
    }

    /// The files that were read so far.
    pub(super) fn sources(&self) -> Ref<'_, Sources> {
        self.sources.borrow()
    }

    /// Whether nothing has been refused yet.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    fn problem(&self, place: Place, path: &str, what: String, instead: String) -> Problem {
        let Place { line, column } = place;
        Problem { file: Arc::clone(&self.file), line, column, path: path.to_owned(), what, instead }
    }

    pub(super) fn refuse(
        &self,
        place: Place,
        path: &str,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let problem = self.problem(place, path, what.into(), instead.into());
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn warn(
        &self,
        place: Place,
        path: &str,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let problem = self.problem(place, path, what.into(), instead.into());
        self.warnings.borrow_mut().push(problem);
    }

    /// `read` where nothing is wrong, with the warnings and the files that were read; the report
    /// otherwise. A reader that has nothing to give must have said why.
    pub(super) fn conclude<T>(self, read: Option<T>) -> Result<(T, Vec<Problem>, Sources), Report> {
        let mut problems = in_order(self.problems.into_inner());
        let warnings = in_order(self.warnings.into_inner());
        let sources = self.sources.into_inner();
        match read {
            Some(read) if problems.is_empty() => Ok((read, warnings, sources)),
            _ => {
                if problems.is_empty() {
                    let what = "could not be read, and the reason is lost".to_owned();
                    let (path, instead) = (String::new(), String::new());
                    let file = self.file;
                    problems.push(Problem { file, line: 0, column: 0, path, what, instead });
                }
                Err(Report { problems, warnings, sources })
            }
        }
    }
}

/// In the order of the file, each once: a part that is looked into twice says it twice.
fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let mut told = HashSet::new();
    problems.retain(|problem| told.insert(problem.clone()));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_in_the_order_of_the_file_and_counts() {
        let findings = Findings::of("holdline.yaml");
        let at = |line, column| Place { line, column };
        findings.refuse(at(12, 7), "actions.x.timeout", "must be a duration", "write 2s");
        findings.refuse(at(0, 0), "", "cannot be read", "");
        findings.refuse(at(3, 1), "servr", "is not a key here", "write `server`");
        findings.warn(at(4, 2), "upstreams.crm", "is plain", "");
        let report = findings.conclude(Some(())).unwrap_err();
        assert_eq!(
            report.to_string(),
            "holdline.yaml: cannot be read\n\
             holdline.yaml:3:1 servr: is not a key here; write `server`\n\
             holdline.yaml:12:7 actions.x.timeout: must be a duration; write 2s\n\
             warning: holdline.yaml:4:2 upstreams.crm: is plain\n\
             3 problems, 1 warning"
        );
    }

    #[test]
    fn nothing_wrong_is_no_report() {
        assert!(Findings::of("x").conclude(Some(1)).is_ok());
        assert!(Findings::of("x").conclude(None::<()>).is_err());
    }
}
