//! What variables and files hold, which is never told: it may be a secret at a wrong place.

use crate::config::{nearest::write_one_of, node::Content, section::Value, values::shown};

impl<'n> Value<'n> {
    /// Whether what a variable or a file holds is in it. That may be a secret at a wrong place, so neither
    /// it nor a guess from it is told.
    pub(super) fn is_from_outside(&self) -> bool {
        matches!(self.content(), Content::Scalar(scalar) if !scalar.sources.is_empty())
    }

    /// The same of anything in it, however deep.
    pub(super) fn holds_outside(&self) -> bool {
        holds_outside(self.content())
    }

    /// `part` of its text in a sentence; the whole as it is written where it is from outside.
    pub(super) fn shown(&self, part: &str) -> String {
        self.written_outside().map_or_else(|| shown(part), shown)
    }

    /// As it is written, where it is from outside.
    pub(super) fn written_outside(&self) -> Option<&'n str> {
        match self.content() {
            Content::Scalar(scalar) if !scalar.sources.is_empty() => scalar.written.as_deref(),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) | Content::Broken => None,
        }
    }

    /// `write ...` with the one of `known` nearest to `part` of its text, or with all of them.
    pub(super) fn one_of<'k>(
        &self,
        part: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) -> String {
        write_one_of(if self.is_from_outside() { "" } else { part }, known)
    }
}

fn holds_outside(content: &Content) -> bool {
    match content {
        Content::Scalar(scalar) => !scalar.sources.is_empty(),
        Content::List(items) => items.iter().any(|item| holds_outside(&item.content)),
        Content::Map(entries) => entries.iter().any(|(_, node)| holds_outside(&node.content)),
        Content::Broken => false,
    }
}
