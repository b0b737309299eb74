//! How a person tells a fake what to do: `crm=status:503:50%` on the command line, and
//! `{"crm": {"latency": "300ms", "status": 503, "share": 0.5}}` over HTTP.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::{Map, Value, json};

use super::fault::{self, FORMS, Fault, Latency, Rule, Standing};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The customer API.
    Crm,
    /// The token authority.
    Genesys,
}

impl Which {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "crm" => Some(Self::Crm),
            "genesys" => Some(Self::Genesys),
            _ => None,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crm => "crm",
            Self::Genesys => "genesys",
        })
    }
}

/// One `--fault`: `crm=down`, `crm=latency:800ms`, `crm=status:503:50%`, `genesys=hang`. Several for
/// one fake add up: a latency without a share is for every request, whatever else befalls it.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultFlag {
    /// Whom it is about.
    pub which: Which,
    change: Change,
}

#[derive(Debug, Clone, PartialEq)]
enum Change {
    Ok,
    Down,
    Late(Duration),
    Some { fault: Fault, share: f64 },
}

impl FaultFlag {
    /// Where `before` leads with this flag.
    pub fn apply(&self, before: Standing) -> Standing {
        let rule = match before {
            Standing::Up(rule) => rule,
            Standing::Down => Rule::default(),
        };
        match &self.change {
            Change::Ok => Standing::ok(),
            Change::Down => Standing::Down,
            Change::Late(fixed) => Standing::Up(Rule {
                latency: Some(Latency { fixed: *fixed, jitter: Duration::ZERO }),
                ..rule
            }),
            Change::Some { fault, share } => {
                Standing::Up(Rule { fault: fault.clone(), share: *share, ..rule })
            }
        }
    }
}

impl FromStr for FaultFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (which, change) = text
            .split_once('=')
            .ok_or("write FAKE=FAULT, such as crm=down or crm=status:503:50%")?;
        let which = Which::parse(which).ok_or("the fakes are crm and genesys")?;
        Ok(Self { which, change: change_of(change)? })
    }
}

fn change_of(text: &str) -> Result<Change, String> {
    match text {
        "ok" => return Ok(Change::Ok),
        "down" => return Ok(Change::Down),
        _ => {}
    }
    let (text, share) = split_share(text)?;
    match (Fault::parse(text).map_err(|e| e.replace("one of ok,", "one of ok, down,"))?, share) {
        (Fault::Latency(fixed), None) => Ok(Change::Late(fixed)),
        (fault, share) => Ok(Change::Some { fault, share: share.unwrap_or(1.0) }),
    }
}

/// `status:503:50%` is `status:503` for half of the requests. An address or a body may end in `%`
/// without meaning a share.
fn split_share(text: &str) -> Result<(&str, Option<f64>), String> {
    if text.starts_with("redirect:") || text.starts_with("body:") {
        return Ok((text, None));
    }
    let Some((fault, percent)) = text.strip_suffix('%').and_then(|text| text.rsplit_once(':'))
    else {
        return Ok((text, None));
    };
    let percent: Option<f64> = percent.parse().ok().filter(|p| (0.0..=100.0).contains(p));
    let percent = percent.ok_or("not a share; write 50%, from 0% to 100%")?;
    Ok((fault, Some(percent / 100.0)))
}

/// What a `POST /faults` asks of one fake.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Stand(Standing),
    Script(Vec<Fault>),
}

/// Reads the body of a `POST /faults`; an error is a sentence that names the field.
pub(super) fn orders(body: &[u8]) -> Result<Vec<(Which, Order)>, String> {
    const SHAPE: &str = r#"write an object such as {"crm": "down"}"#;

    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Err(format!("the body: not a JSON object; {SHAPE}"));
    };
    if fields.is_empty() {
        return Err(format!("the body: empty; {SHAPE}"));
    }
    fields
        .iter()
        .map(|(key, value)| {
            let which = Which::parse(key)
                .ok_or_else(|| format!("{}: the fakes are crm and genesys", name_of(key)))?;
            order(which, value).map(|order| (which, order))
        })
        .collect()
}

fn order(which: Which, value: &Value) -> Result<Order, String> {
    let at = |field: String| move |problem: String| format!("{field}: {problem}");
    match value {
        Value::String(text) => {
            let change = change_of(text).map_err(at(which.to_string()))?;
            Ok(Order::Stand(FaultFlag { which, change }.apply(Standing::ok())))
        }
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(place, item)| {
                let text = item.as_str().ok_or_else(|| "not a text such as status:503".to_owned());
                text.and_then(Fault::parse).map_err(at(format!("{which}[{place}]")))
            })
            .collect::<Result<_, _>>()
            .map(Order::Script),
        Value::Object(fields) => rule(which, fields).map(|rule| Order::Stand(Standing::Up(rule))),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            Err(format!("{which}: write a text, a list or an object; {FORMS}"))
        }
    }
}

fn rule(which: Which, fields: &Map<String, Value>) -> Result<Rule, String> {
    let mut rule = Rule::default();
    let (mut status, mut retry_after, mut latency) = (None, None, None::<Latency>);
    for (key, value) in fields {
        let at = |problem: &str| format!("{which}.{}: {problem}", name_of(key));
        let text = || value.as_str().ok_or_else(|| at("not a text"));
        match key.as_str() {
            "latency" => {
                latency.get_or_insert_default().fixed =
                    fault::duration(text()?).map_err(|e| at(&e))?;
            }
            "jitter" => {
                latency.get_or_insert_default().jitter =
                    fault::duration(text()?).map_err(|e| at(&e))?;
            }
            "retry_after" => {
                retry_after = Some(fault::whole_seconds(text()?).map_err(|e| at(&e))?);
            }
            "fault" => rule.fault = Fault::parse(text()?).map_err(|e| at(&e))?,
            "status" => {
                let code = value.as_u64().filter(|code| (200..=599).contains(code));
                let code = code.and_then(|code| u16::try_from(code).ok());
                status = Some(code.ok_or_else(|| at("write a number from 200 to 599"))?);
            }
            "share" => {
                let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
                rule.share = share.ok_or_else(|| at("write a number from 0 to 1"))?;
            }
            _ => {
                const KNOWN: &str = "latency, jitter, status, retry_after, fault, share";
                return Err(at(&format!("no such field; there are {KNOWN}")));
            }
        }
    }
    rule.latency = latency;
    match (status, retry_after) {
        (Some(_), _) if rule.fault != Fault::Ok => {
            Err(format!("{which}.status: write status or fault, not both"))
        }
        (None, Some(_)) => Err(format!("{which}.retry_after: goes with status only")),
        (Some(code), retry_after) => {
            Ok(Rule { fault: Fault::Status { code, retry_after }, ..rule })
        }
        (None, None) => Ok(rule),
    }
}

/// A key as an error may show it: what looks like a name, cut short; anything else by its kind.
fn name_of(key: &str) -> &str {
    let named = key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if named && !key.is_empty() { key } else { "a key" }
}

/// A standing rule as it is written over HTTP.
pub(super) fn show(standing: &Standing) -> Value {
    let rule = match standing {
        Standing::Down => return json!("down"),
        Standing::Up(rule) if *rule == Rule::default() => return json!("ok"),
        Standing::Up(rule) => rule,
    };
    let mut shown = Map::new();
    if let Some(latency) = rule.latency {
        shown.insert("latency".into(), fault::compact(latency.fixed).into());
        if !latency.jitter.is_zero() {
            shown.insert("jitter".into(), fault::compact(latency.jitter).into());
        }
    }
    if rule.fault != Fault::Ok {
        shown.insert("fault".into(), rule.fault.to_string().into());
        shown.insert("share".into(), rule.share.into());
    }
    Value::Object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(flags: &[&str]) -> Standing {
        flags
            .iter()
            .fold(Standing::ok(), |before, flag| flag.parse::<FaultFlag>().unwrap().apply(before))
    }

    #[test]
    fn flags_for_one_fake_add_up() {
        let late = Some(Latency { fixed: Duration::from_millis(800), jitter: Duration::ZERO });
        let both = Rule { latency: late, fault: Fault::status(503), share: 0.5 };
        assert_eq!(standing(&["crm=latency:800ms", "crm=status:503:50%"]), Standing::Up(both));
        assert_eq!(standing(&["crm=hang", "crm=down"]), Standing::Down);
        assert_eq!(standing(&["crm=down", "crm=ok"]), Standing::ok());
    }

    #[test]
    fn a_latency_with_a_share_befalls_only_that_share() {
        let slow = Fault::Latency(Duration::from_secs(2));
        assert_eq!(standing(&["crm=latency:2s:10%"]), Standing::some(slow, 0.1));
        let limited = Fault::Status { code: 429, retry_after: Some(2) };
        let flags = ["genesys=status:429:retry-after=2s:25%"];
        assert_eq!(standing(&flags), Standing::some(limited, 0.25));
        let away = Fault::Redirect("http://127.0.0.1:1/50%".into());
        assert_eq!(standing(&["crm=redirect:http://127.0.0.1:1/50%"]), Standing::every(away));
    }

    #[test]
    fn a_flag_that_cannot_be_read_says_what_to_write() {
        let refused = |text: &str| text.parse::<FaultFlag>().unwrap_err();
        assert!(refused("down").contains("crm=down or crm=status:503:50%"));
        assert_eq!(refused("pbx=down"), "the fakes are crm and genesys");
        assert_eq!(refused("crm=status:503:150%"), "not a share; write 50%, from 0% to 100%");
        assert!(refused("crm=dwon").contains("write one of ok, down, latency:800ms"));
    }

    #[test]
    fn an_order_over_http_states_the_whole_rule() {
        let body =
            br#"{"crm": {"latency": "300ms", "status": 503, "share": 0.5}, "genesys": "down"}"#;
        let late = Some(Latency { fixed: Duration::from_millis(300), jitter: Duration::ZERO });
        let rule = Rule { latency: late, fault: Fault::status(503), share: 0.5 };
        let expected = vec![
            (Which::Crm, Order::Stand(Standing::Up(rule))),
            (Which::Genesys, Order::Stand(Standing::Down)),
        ];
        assert_eq!(orders(body), Ok(expected));
        let script = orders(br#"{"crm": ["status:500", "ok"]}"#).unwrap();
        let faults = vec![Fault::status(500), Fault::Ok];
        assert_eq!(script, [(Which::Crm, Order::Script(faults))]);
    }

    #[test]
    fn a_mistake_over_http_is_named_by_its_field() {
        let check = |body: &str, expected: &str| {
            let said = orders(body.as_bytes()).unwrap_err();
            assert!(said.starts_with(expected), "{body}: {said}");
        };
        check("[]", "the body: not a JSON object");
        check("{}", "the body: empty");
        check(r#"{"pbx": "ok"}"#, "pbx: the fakes are crm and genesys");
        check(r#"{"<b>": "ok"}"#, "a key: the fakes are");
        check(r#"{"crm": 5}"#, "crm: write a text, a list or an object");
        check(r#"{"crm": "dwon"}"#, "crm: no such fault");
        check(r#"{"crm": ["ok", 5]}"#, "crm[1]: not a text");
        check(r#"{"crm": {"latency": 300}}"#, "crm.latency: not a text");
        check(r#"{"crm": {"latency": "soon"}}"#, "crm.latency: not a duration; write 300ms");
        check(r#"{"crm": {"status": 99}}"#, "crm.status: write a number from 200 to 599");
        check(r#"{"crm": {"share": 2}}"#, "crm.share: write a number from 0 to 1");
        check(r#"{"crm": {"retry_after": "2s"}}"#, "crm.retry_after: goes with status only");
        check(r#"{"crm": {"status": 500, "fault": "hang"}}"#, "crm.status: write status or fault");
        check(r#"{"crm": {"latncy": "1s"}}"#, "crm.latncy: no such field; there are latency");
    }

    #[test]
    fn what_is_shown_can_be_sent_back() {
        for text in [r#""down""#, r#""ok""#, r#"{"latency":"1m30s","jitter":"5ms"}"#] {
            let body = format!(r#"{{"crm":{text}}}"#);
            let [(_, Order::Stand(standing))] = &orders(body.as_bytes()).unwrap()[..] else {
                panic!("{text}")
            };
            assert_eq!(show(standing).to_string(), text);
        }
    }
}
