//! Lines of YAML that tests put together.

/// Lines of one section of the configuration, each a key with its value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines(pub(crate) Vec<(String, String)>);

impl Lines {
    pub(crate) fn of<const N: usize>(lines: [&str; N]) -> Self {
        lines.into_iter().fold(Self::default(), |all, line| all.with(line))
    }

    /// Puts in `line`, in the place of the one with the same key.
    pub(crate) fn with(mut self, line: &str) -> Self {
        let (key, value) = line.split_once(':').expect("a line is `key: value`");
        self.0.retain(|(known, _)| known != key);
        self.0.push((key.to_owned(), value.trim().to_owned()));
        self
    }

    pub(crate) fn text(&self, indent: &str) -> String {
        self.0.iter().map(|(key, value)| format!("{indent}{key}: {value}\n")).collect()
    }
}
