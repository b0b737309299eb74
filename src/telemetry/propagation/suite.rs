//! The cases of the W3C's own test suite, by its names: what a call comes with, and what a request that
//! we send on has then. A checker that shares nothing with the code under test holds whatever goes on.

use proptest::prelude::{Strategy, any, prop_assert, prop_oneof, proptest};

use super::*;
use crate::{
    chance::Chance,
    telemetry::{metrics::Registry, trail::Tracer},
    time,
};

const TRACE: &str = "12345678901234567890123456789012";
const OTHER: &str = "12345678901234567890123456789011";
const SPAN: &str = "1234567890123456";

/// What goes on, of a call with these header lines. `None`: nothing.
fn sent_on(lines: &[(&str, &[u8])], trusted: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    let read = TraceContext::read(&headers);
    let tracer = Tracer::new(&Registry::new(), Some(0.5), trusted, "/{action}", Chance::Random);
    let call = tracer.begin(time::now(), read.as_ref(), "POST");
    let flight = call.flight();
    let mut sent = HeaderMap::new();
    flight.context().child(0xabc).write(&mut sent);
    sent
}

/// Trace id, flags and state of what goes on, checked in every byte.
fn checked(sent: &HeaderMap) -> (String, u8, Option<String>) {
    let mut parents = sent.get_all("traceparent").iter();
    let parent = parents.next().expect("always there").to_str().unwrap().to_owned();
    assert_eq!(parents.next(), None, "one");
    let parts: Vec<&str> = parent.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { panic!("four parts: {parent}") };
    assert_eq!((version, trace.len(), span.len(), flags.len()), ("00", 32, 16, 2), "{parent}");
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!([trace, span, flags].iter().all(|part| part.chars().all(is_hex)), "{parent}");
    assert!(trace.contains(|c| c != '0') && span.contains(|c| c != '0'), "{parent}");
    let flags = u8::from_str_radix(flags, 16).unwrap();
    assert!(flags <= 3, "flags that nobody knows: {parent}");
    let states: Vec<_> = sent.get_all("tracestate").iter().collect();
    assert!(states.len() <= 1, "{states:?}");
    let state = states.first().map(|state| state.to_str().unwrap().to_owned());
    state.iter().for_each(|state| state_is_valid(state));
    (trace.into(), flags, state)
}

/// By the grammar of the recommendation, written out as regular expressions would be.
fn state_is_valid(state: &str) {
    let members: Vec<&str> = state.split(',').collect();
    assert!((1..=32).contains(&members.len()), "{state}");
    let mut keys = std::collections::HashSet::new();
    for member in members {
        let (key, value) = member.split_once('=').expect(state);
        assert!(keys.insert(key), "twice: {state}");
        let (simple, system) = match key.split_once('@') {
            Some((tenant, system)) => (tenant, Some(system)),
            None => (key, None),
        };
        let longest = if system.is_some() { 241 } else { 256 };
        assert!((1..=longest).contains(&simple.len()), "{key}");
        assert!(
            simple.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()),
            "{key}"
        );
        if let Some(system) = system {
            assert!((1..=14).contains(&system.len()), "{key}");
            assert!(system.starts_with(|c: char| c.is_ascii_lowercase()), "{key}");
        }
        let of_keys = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || ['_', '-', '*', '/'].contains(&c)
        };
        assert!(simple.chars().chain(system.unwrap_or("").chars()).all(of_keys), "{key}");
        assert!((1..=256).contains(&value.len()) && !value.ends_with(' '), "{value}");
        let of_values = |c: char| (' '..='~').contains(&c) && c != ',' && c != '=';
        assert!(value.chars().all(of_values), "{value}");
    }
}

type Lines<'a> = &'a [(&'a str, &'a [u8])];

fn parent(text: &str) -> String {
    text.replace("{t}", TRACE).replace("{s}", SPAN)
}

#[test]
fn a_parent_goes_on_or_a_new_trace_begins() {
    for (case, line, goes_on) in [
        ("traceparent_version_0x00", "00-{t}-{s}-01", true),
        ("traceparent_version_0x00 too long", "00-{t}-{s}-01.", false),
        ("traceparent_version_0x00 with more", "00-{t}-{s}-01-what-the-future-will-be-like", false),
        ("traceparent_version_0xcc", "cc-{t}-{s}-01", true),
        ("traceparent_version_0xcc with more", "cc-{t}-{s}-01-what-the-future-will-be-like", true),
        ("traceparent_version_0xcc no dash", "cc-{t}-{s}-01.what-the-future-will-be-like", false),
        ("traceparent_version_0xff", "ff-{t}-{s}-01", false),
        ("traceparent_version_illegal_characters", ".0-{t}-{s}-01", false),
        ("traceparent_version_too_long", "000-{t}-{s}-01", false),
        ("traceparent_version_too_short", "0-{t}-{s}-01", false),
        ("traceparent_trace_id_all_zero", "00-00000000000000000000000000000000-{s}-01", false),
        ("traceparent_trace_id_illegal", "00-.2345678901234567890123456789012-{s}-01", false),
        ("traceparent_trace_id_upper_case", "00-1234567890123456789012345678901A-{s}-01", false),
        ("traceparent_trace_id_too_long", "00-{t}3-{s}-01", false),
        ("traceparent_trace_id_too_short", "00-1234567890123456789012345678901-{s}-01", false),
        ("traceparent_parent_id_all_zero", "00-{t}-0000000000000000-01", false),
        ("traceparent_parent_id_illegal_characters", "00-{t}-.234567890123456-01", false),
        ("traceparent_parent_id_too_long", "00-{t}-{s}7-01", false),
        ("traceparent_parent_id_too_short", "00-{t}-123456789012345-01", false),
        ("traceparent_trace_flags_illegal_characters", "00-{t}-{s}-.0", false),
        ("traceparent_trace_flags_too_long", "00-{t}-{s}-001", false),
        ("traceparent_trace_flags_too_short", "00-{t}-{s}-1", false),
        ("traceparent_ows_handling", " \t00-{t}-{s}-01\t ", true),
    ] {
        let line = parent(line);
        let lines: Lines<'_> = &[("traceparent", line.as_bytes()), ("tracestate", b"foo=1")];
        let (trace, _, state) = checked(&sent_on(lines, true));
        assert_eq!(trace == TRACE, goes_on, "{case}");
        assert_eq!(state.as_deref(), goes_on.then_some("foo=1"), "{case}");
    }
}

#[test]
fn of_several_parents_none_goes_on() {
    let (one, other) = (parent("00-{t}-{s}-01"), format!("00-{OTHER}-{SPAN}-01"));
    for lines in [[&one, &other], [&one, &one]] {
        let lines = lines.map(|line| ("traceparent", line.as_bytes()));
        let (trace, ..) = checked(&sent_on(&lines, true));
        assert!(trace != TRACE && trace != OTHER, "traceparent_duplicated");
    }
    for name in ["traceparent", "TraceParent", "TRACEPARENT"] {
        let (trace, ..) = checked(&sent_on(&[(name, one.as_bytes())], true));
        assert_eq!(trace, TRACE, "traceparent_header_name_valid_casing");
    }
    for name in ["trace-parent", "trace.parent"] {
        let (trace, ..) = checked(&sent_on(&[(name, one.as_bytes())], true));
        assert_ne!(trace, TRACE, "traceparent_header_name");
    }
}

/// Every character that may stand in a key, and in a value.
const ALL: &str = "0123456789abcdefghijklmnopqrstuvwxyz_-*/=\" !#$%&'()*+-./:;<>?@[\\]^_`{|}~";

/// What comes and what goes on, by name of the case.
type Case = (&'static str, Vec<String>, Option<String>);

/// States that are well formed, if strange.
fn strange() -> Vec<Case> {
    let all = ALL;
    vec![
        (
            "tracestate_included_traceparent_included",
            vec!["foo=1,bar=2".into()],
            Some("foo=1,bar=2".into()),
        ),
        ("tracestate_empty_header", vec!["foo=1".into(), String::new()], Some("foo=1".into())),
        (
            "tracestate_empty_header first",
            vec![String::new(), "foo=1".into()],
            Some("foo=1".into()),
        ),
        ("tracestate_empty_header alone", vec![String::new()], None),
        ("empty members", vec![",foo=1,,bar=2,".into()], Some("foo=1,bar=2".into())),
        (
            "tracestate_multiple_headers_different_keys",
            vec!["foo=1,bar=2".into(), "rojo=1,congo=2".into(), "baz=3".into()],
            Some("foo=1,bar=2,rojo=1,congo=2,baz=3".into()),
        ),
        ("tracestate_duplicated_keys", vec!["foo=1,foo=2".into()], Some("foo=1".into())),
        (
            "tracestate_duplicated_keys in lines",
            vec!["foo=1".into(), "foo=2".into()],
            Some("foo=1".into()),
        ),
        ("tracestate_all_allowed_characters", vec![all.into()], Some(all.into())),
        (
            "tracestate_ows_handling",
            vec!["foo=1 \t , \t bar=2, \t baz=3".into()],
            Some("foo=1,bar=2,baz=3".into()),
        ),
        ("tracestate_ows_handling around", vec![" \tfoo=1\t ".into()], Some("foo=1".into())),
    ]
}

/// States that break a rule, or just do not.
fn broken() -> Vec<Case> {
    let z = |number: usize| "z".repeat(number);
    let many = |number: usize| {
        (1..=number).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",")
    };
    let long_vendor =
        |tenant: usize, vendor: usize| format!("{}@{}=1", "t".repeat(tenant), "v".repeat(vendor));
    vec![
        ("tracestate_key_illegal_characters blank", vec!["foo =1".into()], None),
        ("tracestate_key_illegal_characters case", vec!["FOO=1".into()], None),
        ("tracestate_key_illegal_characters dot", vec!["foo.bar=1".into()], None),
        ("tracestate_key_illegal_vendor_format end", vec!["foo@=1,bar=2".into()], None),
        ("tracestate_key_illegal_vendor_format begin", vec!["@foo=1,bar=2".into()], None),
        ("tracestate_key_illegal_vendor_format two", vec!["foo@@bar=1,bar=2".into()], None),
        ("tracestate_key_illegal_vendor_format three", vec!["foo@bar@baz=1,bar=2".into()], None),
        ("tracestate_member_count_limit", vec![many(32)], Some(many(32))),
        ("tracestate_member_count_limit over", vec![many(33)], None),
        (
            "tracestate_key_length_limit",
            vec![format!("{}=1", z(256))],
            Some(format!("{}=1", z(256))),
        ),
        ("tracestate_key_length_limit over", vec![format!("{}=1,foo=1", z(257))], None),
        (
            "tracestate_key_length_limit vendor",
            vec![long_vendor(241, 14)],
            Some(long_vendor(241, 14)),
        ),
        ("tracestate_key_length_limit tenant over", vec![long_vendor(242, 1)], None),
        ("tracestate_key_length_limit system over", vec![long_vendor(1, 15)], None),
        ("a value's length limit", vec![format!("k={}", z(256))], Some(format!("k={}", z(256)))),
        ("a value's length limit over", vec![format!("k={}", z(257))], None),
        ("tracestate_value_illegal_characters", vec!["foo=bar=baz".into()], None),
        ("tracestate_value_illegal_characters none", vec!["foo=,bar=3".into()], None),
    ]
}

#[test]
fn a_state_goes_on_whole_or_not_at_all() {
    let parent = parent("00-{t}-{s}-00");
    for (case, states, expected) in strange().into_iter().chain(broken()) {
        let mut lines = vec![("traceparent", parent.as_bytes())];
        lines.extend(states.iter().map(|state| ("tracestate", state.as_bytes())));
        let (trace, _, state) = checked(&sent_on(&lines, true));
        assert_eq!((&*trace, state), (TRACE, expected), "{case}");
    }
    let (_, _, state) = checked(&sent_on(&[("tracestate", b"foo=1")], true));
    assert_eq!(state, None, "tracestate_included_traceparent_missing");
}

#[test]
fn the_random_flag_is_kept_and_set_on_a_trace_that_begins_here() {
    for (sent, kept) in [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3)] {
        let line = parent(&format!("00-{{t}}-{{s}}-{sent}"));
        let (_, flags, _) = checked(&sent_on(&[("traceparent", line.as_bytes())], true));
        assert_eq!(flags, kept, "propagates_random_flag, and the caller's choice to record");
    }
    let (_, flags, _) = checked(&sent_on(&[], true));
    assert_eq!(flags & RANDOM, RANDOM);
}

proptest! {
    /// The lines of strangers are as wild as a header line may be; those of the tame nearly right.
    #[test]
    fn whatever_comes_what_goes_on_is_valid(
        parents in proptest::collection::vec(line("[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-x)?"), 0..3),
        states in proptest::collection::vec(line("([a-z0-9_*/@-]{0,6}=[ -~]{0,5},?[ \t]?){0,36}"), 0..4),
        trusted in any::<bool>(),
    ) {
        let parents = parents.iter().map(|line| ("traceparent", &**line));
        let states = states.iter().map(|line| ("tracestate", &**line));
        let lines: Vec<_> = parents.chain(states).collect();
        let (trace, _, state) = checked(&sent_on(&lines, trusted));
        if !trusted {
            let theirs = |(_, line): &(&str, &[u8])| line.windows(32).any(|part| part == trace.as_bytes());
            prop_assert!(!lines.iter().any(theirs), "a stranger's trace goes on");
            prop_assert!(state.is_none(), "a stranger's state goes on");
        }
    }
}

/// Lines of that form, and any bytes that a header may hold.
fn line(form: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..80);
    let allowed = |bytes: Vec<u8>| {
        let is_allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 127);
        bytes.into_iter().filter(is_allowed).collect::<Vec<_>>()
    };
    prop_oneof![4 => form.prop_map(String::into_bytes), 1 => any_bytes.prop_map(allowed)]
}
