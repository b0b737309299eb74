//! Documents made out of the catalog: what others need to know of the actions. Pure functions.

/// A document, ready to be written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The name of its file.
    pub name: String,
    /// Its text, with a newline at the end.
    pub text: String,
}
