//! Documents made out of the catalog: what others need to know of the actions. Pure functions.

mod callers;
mod hcl;

pub mod genesys;
pub mod openapi;
pub mod page;
pub mod terraform;

/// A document, ready to be written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The name of its file.
    pub name: String,
    /// Its text, with a newline at the end.
    pub text: String,
}

/// Where callers find the actions.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Scheme and host, such as `https://holdline.example.com`, without a slash at its end.
    pub origin: &'a str,
    /// What stands before the action's name in the path, such as `/data-action`.
    pub base_path: &'a str,
    /// Whether who connects must show a certificate.
    pub asks_for_certificates: bool,
}

impl Site<'_> {
    /// The path of an action.
    fn path(&self, action: &str) -> String {
        format!("{}/{action}", self.base_path.trim_end_matches('/'))
    }
}

/// A sentence for people about what the configuration says nothing of: its name as words.
fn described(description: &str, name: &str) -> String {
    if !description.trim().is_empty() {
        return description.to_owned();
    }
    let words = name.replace(['_', '-'], " ");
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// JSON as people read it, with a newline at the end.
fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}
