//! The four forms in which an action may talk: two envelopes, two ways to tell a failure.

use serde_json::{Value, json};

use super::client::Answer;

/// How one of the actions of [`super::proxy::Setup`] talks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Whether inputs and outputs stand below `data`.
    enveloped: bool,
    /// Whether a failure is a 200 that says so.
    by_outcome: bool,
}

impl Form {
    /// The tutorial's: below `data`, failures by status.
    pub(crate) const TUTORIAL: Self = Self { enveloped: true, by_outcome: false };
    /// Below `data`, failures by outcome.
    pub(crate) const OUTCOME: Self = Self { enveloped: true, by_outcome: true };
    /// Flat, failures by status.
    pub(crate) const FLAT: Self = Self { enveloped: false, by_outcome: false };
    /// Flat, failures by outcome.
    pub(crate) const FLAT_OUTCOME: Self = Self { enveloped: false, by_outcome: true };

    /// All four.
    pub(crate) const ALL: [Self; 4] =
        [Self::TUTORIAL, Self::OUTCOME, Self::FLAT, Self::FLAT_OUTCOME];
    /// Both envelopes, failures by status.
    pub(crate) const BY_STATUS: [Self; 2] = [Self::TUTORIAL, Self::FLAT];

    /// The action that talks so.
    pub(crate) fn action(self) -> &'static str {
        match (self.enveloped, self.by_outcome) {
            (true, false) => "lookup",
            (true, true) => "lookup-outcome",
            (false, false) => "lookup-flat",
            (false, true) => "lookup-flat-outcome",
        }
    }

    /// Its keys in the configuration.
    pub(crate) fn keys(self) -> [(&'static str, &'static str); 2] {
        [
            ("envelope", if self.enveloped { "data" } else { "flat" }),
            ("failures", if self.by_outcome { "outcome" } else { "status" }),
        ]
    }

    /// Whether a failure is a 200 that says so.
    pub(crate) fn is_by_outcome(self) -> bool {
        self.by_outcome
    }

    /// A body with these inputs.
    pub(crate) fn wrap(self, inputs: Value) -> Value {
        if self.enveloped { json!({ "data": inputs }) } else { inputs }
    }

    /// The text of a body whose inputs are this text, which need not be JSON.
    pub(crate) fn wrap_text(self, inputs: &str) -> String {
        if self.enveloped { format!("{{\"data\":{inputs}}}") } else { inputs.to_owned() }
    }

    /// The outputs of a 200.
    #[track_caller]
    pub(crate) fn outputs(self, answer: &Answer) -> Value {
        assert_eq!(answer.status, 200, "{self:?}: {answer:?}");
        let mut body = answer.json();
        if !self.enveloped {
            return body;
        }
        let members = body.as_object_mut().expect("checked on arrival");
        let data = members.remove("data").unwrap_or_else(|| panic!("no `data` in {answer:?}"));
        assert!(members.is_empty(), "more than `data` in {answer:?}");
        data
    }

    /// Asserts an answer with exactly these outputs, got just now.
    #[track_caller]
    pub(crate) fn answered(self, answer: &Answer, outputs: &Value) {
        let said = self.outputs(answer);
        let expected = self.told(outputs.clone(), "ok", 200);
        assert_eq!(said, expected, "{self:?}");
    }

    /// Asserts a 200 with exactly these outputs, kept for a while. Returns whether it says that it
    /// is stale, which only a form by outcome can.
    #[track_caller]
    pub(crate) fn kept(self, answer: &Answer, outputs: &Value) -> bool {
        let mut said = self.outputs(answer);
        if !self.by_outcome {
            assert_eq!(&said, outputs, "{self:?}");
            return false;
        }
        let members = said.as_object_mut().expect("outputs are an object");
        members.remove("age_seconds");
        let stale = members.remove("stale") == Some(json!(true));
        let outcome = members.remove("outcome");
        assert_eq!(outcome, Some(json!(if stale { "stale" } else { "ok" })), "{answer:?}");
        assert_eq!(members.remove("status_code"), Some(json!(200)), "{answer:?}");
        assert_eq!(&said, outputs, "{self:?}");
        stale
    }

    /// Asserts a failure: by its status, or as a 200 with every output at its default.
    #[track_caller]
    pub(crate) fn failed(self, answer: &Answer, status: u16, code: &str, detail: &str) {
        if !self.by_outcome {
            return answer.failed(status, code, detail);
        }
        let defaults = json!({
            "full_name": "Unknown User",
            "email": "unknown@example.com",
            "phone": "000-000-0000",
            "is_premium_member": false,
        });
        assert_eq!(self.outputs(answer), self.told(defaults, code, status), "{self:?}");
        if matches!(status, 429 | 503) {
            answer.retry_after();
        }
    }

    /// `outputs` as this form tells them with this outcome.
    fn told(self, mut outputs: Value, outcome: &str, status: u16) -> Value {
        if self.by_outcome {
            outputs["outcome"] = json!(outcome);
            outputs["status_code"] = json!(status);
            outputs["stale"] = json!(false);
            outputs["age_seconds"] = json!(0);
        }
        outputs
    }
}

/// The outputs for a customer's record, by the rules of the tutorial.
pub(crate) fn outputs_of(customer: &Value) -> Value {
    let or = |key: &str, default: &str| match &customer[key] {
        Value::Null => json!(default),
        found => found.clone(),
    };
    json!({
        "full_name": or("name", "Unknown User"),
        "email": or("email", "unknown@example.com"),
        "phone": or("phone", "000-000-0000"),
        "is_premium_member": false,
    })
}
