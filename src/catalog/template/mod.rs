//! Request templates: how validated inputs become a method, an address, headers and a body. A value
//! can never leave its place.

mod body;
mod header;
mod text;
mod url;

use std::{fmt, sync::Arc};

use ::url::Url;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};

pub use self::{body::BodyTemplate, header::HeaderTemplate, url::UrlTemplate};
use crate::catalog::contract::{Inputs, Problem};

/// A template as written, refused: what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTemplate(pub String);

/// How an upstream is asked.
#[derive(Debug)]
pub struct RequestTemplate {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub url: UrlTemplate,
    /// Headers.
    pub headers: Vec<(HeaderName, HeaderTemplate)>,
    /// The body, if there is one.
    pub body: Option<BodyTemplate>,
}

/// Where an input stands in a request, as far as that narrows which texts it may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// In the path: neither `.` nor `..`.
    pub path: bool,
    /// Alone between two slashes: not empty either.
    pub whole_segment: bool,
    /// In path or query: at most [`Places::MAX_ADDRESS`] bytes, without control characters.
    pub address: bool,
    /// In a header: at most [`Places::MAX_HEADER`] bytes of visible ASCII, without a space at its
    /// ends.
    pub header: bool,
}

impl Places {
    /// Bytes of a value in an address.
    pub const MAX_ADDRESS: usize = url::MAX_VALUE;
    /// Bytes of a value in a header.
    pub const MAX_HEADER: usize = header::MAX_VALUE;
}

/// A request, ready to be sent. Its `Debug` shows whom it goes to, never for whom.
pub struct Rendered {
    /// The HTTP method.
    pub method: Method,
    /// The whole address.
    pub url: Url,
    /// Headers out of the template.
    pub headers: HeaderMap,
    /// The body, as JSON.
    pub body: Option<Bytes>,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("method", &self.method)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl RequestTemplate {
    /// What makes these inputs unfit for this request: a path value that is empty, `.` or `..`, has
    /// control characters or more than 256 bytes; a header value that is not visible ASCII. Asked
    /// when a call is validated, so that the caller is told.
    pub fn refuse(&self, inputs: &Inputs) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.url.refuse(inputs, &mut problems);
        self.refuse_in_headers(inputs, &mut problems);
        problems
    }

    /// Where the input of that name stands.
    pub fn places(&self, input: &str) -> Places {
        let header = self.headers.iter().any(|(_, template)| template.names().contains(&input));
        Places {
            path: self.url.path_names().any(|name| name == input),
            whole_segment: self.url.is_segment(input),
            address: self.url.names().contains(&input),
            header,
        }
    }

    fn refuse_in_headers(&self, inputs: &Inputs, problems: &mut Vec<Problem>) {
        for (_, template) in &self.headers {
            template.refuse(inputs, problems);
        }
    }

    /// The request for `inputs` against `base`.
    ///
    /// # Errors
    /// The same problems as [`Self::refuse`], or the result left the template's origin or number of
    /// path segments.
    pub fn render(&self, base: &Url, inputs: &Inputs) -> Result<Rendered, Problem> {
        let url = self.url.render(base, inputs)?;
        let mut problems = Vec::new();
        self.refuse_in_headers(inputs, &mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        for (name, template) in &self.headers {
            if let Some(value) = template.render(inputs) {
                headers.append(name, value);
            }
        }
        let body = self.body.as_ref().and_then(|body| body.render(inputs));
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ok(Rendered { method: self.method.clone(), url, headers, body })
    }
}

/// Adds a problem once, however often its name stands in the template.
fn note(problems: &mut Vec<Problem>, field: &Arc<str>, what: &str) {
    if !problems.iter().any(|known| known.field == *field && known.what == what) {
        problems.push(Problem::new(field, what));
    }
}

#[cfg(test)]
mod tests;
