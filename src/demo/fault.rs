//! What can go wrong with a system behind a network, one name each, and how it is written:
//! `status:503`, `latency:800ms`, `hang`. [`Fault`] is about one request; [`Standing`] is how a fake
//! behaves until it is told otherwise.

use std::{fmt, str::FromStr, time::Duration};

use humantime::format_duration;

use crate::chance::Chance;

/// How one request is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// Properly.
    #[default]
    Ok,
    /// Properly, this much later.
    Latency(Duration),
    /// With this status and a short JSON body.
    Status {
        /// 200 to 599.
        code: u16,
        /// The `Retry-After` header, in whole seconds.
        retry_after: Option<u64>,
    },
    /// Never; the connection stays open.
    Hang,
    /// By closing the connection in order, without a byte.
    Close,
    /// By a TCP reset, without a byte.
    Reset,
    /// By a TCP reset after half of the body.
    ResetMidBody,
    /// By closing in order after half of the body that was announced.
    Truncate,
    /// Properly, but one byte of the body per interval.
    Drip(Duration),
    /// With bytes that are no HTTP.
    Garbage,
    /// 200 with a web page.
    Html,
    /// 200 with an empty body that claims to be JSON.
    Empty,
    /// 200 with JSON that never ends, in chunks.
    Endless,
    /// 200 with a little gzip that becomes 16 MiB of JSON.
    GzipBomb,
    /// 200 with 100,000 lists inside one another.
    Deep,
    /// 302 to this address.
    Redirect(String),
    /// Properly, but each field's value has another type.
    WrongTypes,
    /// Properly, but each key a second time with null.
    DuplicateKeys,
    /// 200 with exactly this, said to be JSON.
    Body(String),
}

/// The names without a parameter.
const PLAIN: [(&str, Fault); 14] = [
    ("ok", Fault::Ok),
    ("hang", Fault::Hang),
    ("close", Fault::Close),
    ("reset", Fault::Reset),
    ("reset-mid-body", Fault::ResetMidBody),
    ("truncate", Fault::Truncate),
    ("garbage", Fault::Garbage),
    ("html", Fault::Html),
    ("empty", Fault::Empty),
    ("endless", Fault::Endless),
    ("gzip-bomb", Fault::GzipBomb),
    ("deep", Fault::Deep),
    ("wrong-types", Fault::WrongTypes),
    ("duplicate-keys", Fault::DuplicateKeys),
];

/// Every form a fault is written in, for error messages and `--help`.
pub const FORMS: &str = "ok, latency:800ms, status:503, hang, close, reset, reset-mid-body, \
    truncate, drip:100ms, garbage, html, empty, endless, gzip-bomb, deep, redirect:URL, \
    wrong-types, duplicate-keys, body:JSON";

impl Fault {
    /// This status, without a `Retry-After`.
    pub fn status(code: u16) -> Self {
        Self::Status { code, retry_after: None }
    }

    /// Reads a fault as it is written: `status:503`, `latency:800ms`, `hang`.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        if let Some((_, fault)) = PLAIN.iter().find(|(known, _)| *known == name) {
            return match rest {
                None => Ok(fault.clone()),
                Some(_) => Err(format!("`{name}` takes nothing after it")),
            };
        }
        match (name, rest) {
            ("latency", Some(rest)) => Ok(Self::Latency(duration(rest)?)),
            ("drip", Some(rest)) => Ok(Self::Drip(duration(rest)?)),
            ("redirect", Some(rest)) if printable(rest) => Ok(Self::Redirect(rest.to_owned())),
            ("body", Some(rest)) => Ok(Self::Body(rest.to_owned())),
            ("status", Some(rest)) => {
                let (code, retry_after) = match rest.split_once(":retry-after=") {
                    Some((code, after)) => (code, Some(whole_seconds(after)?)),
                    None => (rest, None),
                };
                Ok(Self::Status { code: status_code(code)?, retry_after })
            }
            ("latency" | "drip", None) => Err(format!("`{name}` needs a duration: {name}:800ms")),
            ("status", None) => Err("`status` needs a code: status:503".into()),
            ("redirect", _) => Err("`redirect` needs an address: redirect:http://…".into()),
            ("body", None) => Err("`body` needs a text: body:{\"name\":null}".into()),
            _ => Err(format!("no such fault; write one of {FORMS}")),
        }
    }
}

/// Without control characters, so that it stays one header.
fn printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).ok();
    let bounded = parsed.filter(|duration| *duration <= Duration::from_secs(3600));
    bounded.ok_or_else(|| "not a duration; write 300ms or 2s".into())
}

pub(super) fn whole_seconds(text: &str) -> Result<u64, String> {
    let duration =
        humantime::parse_duration(text).map_err(|_| "not a duration; write 2s".to_owned())?;
    if duration.subsec_nanos() != 0 {
        return Err("Retry-After counts whole seconds; write 2s".into());
    }
    Ok(duration.as_secs())
}

fn status_code(text: &str) -> Result<u16, String> {
    let code = text.parse().ok().filter(|code| (200..=599).contains(code));
    code.ok_or_else(|| "not a status; write a number from 200 to 599".into())
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// As it is written.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PLAIN.iter().find(|(_, fault)| fault == self) {
            return f.write_str(name);
        }
        match self {
            Self::Latency(by) => write!(f, "latency:{}", compact(*by)),
            Self::Drip(interval) => write!(f, "drip:{}", compact(*interval)),
            Self::Status { code, retry_after: None } => write!(f, "status:{code}"),
            Self::Status { code, retry_after: Some(seconds) } => {
                write!(f, "status:{code}:retry-after={seconds}s")
            }
            Self::Redirect(to) => write!(f, "redirect:{to}"),
            Self::Body(text) => write!(f, "body:{text}"),
            plain => unreachable!("{plain:?} is one of the plain names"),
        }
    }
}

/// `1m 30s` as `1m30s`: without blanks it survives a shell.
pub(super) fn compact(duration: Duration) -> String {
    format_duration(duration).to_string().replace(' ', "")
}

/// A delay: a fixed part and, on top, anything up to the jitter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// What each request waits.
    pub fixed: Duration,
    /// The most that chance adds.
    pub jitter: Duration,
}

impl Latency {
    /// No delay.
    pub const NONE: Self = Self { fixed: Duration::ZERO, jitter: Duration::ZERO };

    /// The delay of one request.
    pub fn sample(self, chance: Chance) -> Duration {
        if self.jitter.is_zero() {
            return self.fixed;
        }
        self.fixed + self.jitter.mul_f64(chance.roll())
    }
}

/// How a fake behaves until it is told otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Its listener is open.
    Up(Rule),
    /// Its listener is closed and its connections are reset: clients are refused.
    Down,
}

/// What an open fake does with requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The delay before each answer, right or wrong; absent: the fake's usual one.
    pub latency: Option<Latency>,
    /// What befalls a share of the requests.
    pub fault: Fault,
    /// That share, 0 to 1; the others are answered properly.
    pub share: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Self { latency: None, fault: Fault::Ok, share: 1.0 }
    }
}

impl Standing {
    /// Everything in order, at the usual latency.
    pub fn ok() -> Self {
        Self::Up(Rule::default())
    }

    /// This fault for every request.
    pub fn every(fault: Fault) -> Self {
        Self::some(fault, 1.0)
    }

    /// This fault for a share of the requests, 0 to 1.
    pub fn some(fault: Fault, share: f64) -> Self {
        Self::Up(Rule { fault, share, latency: None })
    }

    /// Everything in order, this late.
    pub fn late(fixed: Duration) -> Self {
        let latency = Some(Latency { fixed, jitter: Duration::ZERO });
        Self::Up(Rule { latency, ..Rule::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_fault() -> impl Strategy<Value = Fault> {
        let millis = (1..100_000u64).prop_map(Duration::from_millis);
        let retry_after = proptest::option::of(0..10_000u64);
        prop_oneof![
            (0..PLAIN.len()).prop_map(|place| PLAIN[place].1.clone()),
            millis.clone().prop_map(Fault::Latency),
            millis.prop_map(Fault::Drip),
            (200..=599u16, retry_after)
                .prop_map(|(code, retry_after)| Fault::Status { code, retry_after }),
            "[!-~]{1,40}".prop_map(Fault::Redirect),
            any::<String>().prop_map(Fault::Body),
        ]
    }

    proptest! {
        #[test]
        fn a_fault_reads_back_as_it_was_written(fault in any_fault()) {
            prop_assert_eq!(Fault::parse(&fault.to_string()), Ok(fault));
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in any::<String>()) {
            let _ = Fault::parse(&text);
        }
    }

    #[test]
    fn a_mistake_is_answered_with_what_to_write() {
        let refused = |text| Fault::parse(text).unwrap_err();
        assert!(refused("slwo").contains("no such fault; write one of ok, latency:800ms"));
        assert_eq!(refused("latency"), "`latency` needs a duration: latency:800ms");
        assert_eq!(refused("latency:fast"), "not a duration; write 300ms or 2s");
        assert_eq!(refused("status:99"), "not a status; write a number from 200 to 599");
        assert_eq!(
            refused("status:429:retry-after=1500ms"),
            "Retry-After counts whole seconds; write 2s"
        );
        assert_eq!(refused("hang:1s"), "`hang` takes nothing after it");
    }

    #[test]
    fn jitter_comes_on_top_of_the_fixed_part() {
        let latency =
            Latency { fixed: Duration::from_millis(40), jitter: Duration::from_millis(20) };
        assert_eq!(latency.sample(Chance::Loaded(0.0)), Duration::from_millis(40));
        assert_eq!(latency.sample(Chance::Loaded(0.5)), Duration::from_millis(50));
    }
}
