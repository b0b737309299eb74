//! The cases of the official test suite as tables, and properties.

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const SPAN: &str = "1234567890123456";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

fn read_parent(line: &str) -> Option<TraceContext> {
    TraceContext::read(&headers(&[("traceparent", line)]))
}

fn read_state(lines: &[&str]) -> Option<String> {
    let parent = format!("00-{TRACE}-{SPAN}-00");
    let mut all = vec![("traceparent", parent.as_str())];
    all.extend(lines.iter().map(|line| ("tracestate", *line)));
    let read = TraceContext::read(&headers(&all)).expect("the parent is well formed");
    assert_eq!(format!("{:032x}", read.trace_id()), TRACE, "a bad state leaves the parent");
    read.state().map(str::to_owned)
}

#[test]
fn a_well_formed_parent_is_read_to_the_bit() {
    let read = read_parent(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
    assert_eq!(read.trace_id(), 0x1234_5678_9012_3456_7890_1234_5678_9012);
    assert_eq!(read.span_id(), 0x1234_5678_9012_3456);
    assert!(read.is_sampled());
    assert_eq!(read.state(), None);
    assert_eq!(read.traceparent(), format!("00-{TRACE}-{SPAN}-01"));
}

#[test]
fn a_parent_is_taken_exactly_or_not_at_all() {
    for good in [
        "00-{t}-{s}-01",
        "00-{t}-{s}-00",
        " 00-{t}-{s}-01",
        "\t00-{t}-{s}-01",
        "00-{t}-{s}-01 ",
        "00-{t}-{s}-01\t",
        "\t 00-{t}-{s}-01 \t",
        "cc-{t}-{s}-01",
        "cc-{t}-{s}-01-what-the-future-will-be-like",
        "01-{t}-{s}-01-",
        "fe-{t}-{s}-01",
    ] {
        let line = good.replace("{t}", TRACE).replace("{s}", SPAN);
        assert!(read_parent(&line).is_some(), "{good}");
    }
    for bad in [
        "",
        " ",
        "00",
        "00-{t}-{s}",
        "00-{t}-{s}-",
        "00-{t}-{s}-1",
        "00-{t}-{s}-001",
        "00-{t}-{s}-.0",
        "00-{t}-{s}-0.",
        "00-{t}-{s}-0A",
        "00-{t}-{s}-01.",
        "00-{t}-{s}-01-",
        "00-{t}-{s}-01-what-the-future-will-be-like",
        "cc-{t}-{s}-01.what-the-future-will-be-like",
        "cc-{t}-{s}-011",
        "ff-{t}-{s}-01",
        ".0-{t}-{s}-01",
        "0.-{t}-{s}-01",
        "0-{t}-{s}-01",
        "000-{t}-{s}-01",
        "0000-{t}-{s}-01",
        "CC-{t}-{s}-01",
        "00_{t}-{s}-01",
        "00-{t}_{s}-01",
        "00-{t}-{s}_01",
        "00-00000000000000000000000000000000-{s}-01",
        "00-.2345678901234567890123456789012-{s}-01",
        "00-1234567890123456789012345678901.-{s}-01",
        "00-123456789012345678901234567890123-{s}-01",
        "00-1234567890123456789012345678901-{s}-01",
        "00-1234567890123456789012345678901A-{s}-01",
        "00-{t}-0000000000000000-01",
        "00-{t}-.234567890123456-01",
        "00-{t}-123456789012345.-01",
        "00-{t}-12345678901234567-01",
        "00-{t}-123456789012345-01",
        "00-{t}-+123456789012345-01",
        "00-{t}-{s}-01, 00-{t}-{s}-01",
        "é0-{t}-{s}-01",
    ] {
        let line = bad.replace("{t}", TRACE).replace("{s}", SPAN);
        assert_eq!(read_parent(&line), None, "{bad}");
    }
}

#[test]
fn two_parents_are_none_even_when_they_agree() {
    let line = format!("00-{TRACE}-{SPAN}-01");
    let twice = [("traceparent", line.as_str()), ("traceparent", line.as_str())];
    assert_eq!(TraceContext::read(&headers(&twice)), None);
}

#[test]
fn a_state_without_a_parent_means_nothing() {
    assert_eq!(TraceContext::read(&headers(&[("tracestate", "foo=1")])), None);
    assert_eq!(TraceContext::read(&HeaderMap::new()), None);
}

#[test]
fn only_the_flags_we_know_go_on() {
    for (sent, kept) in [("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00")] {
        let read = read_parent(&format!("00-{TRACE}-{SPAN}-{sent}")).unwrap();
        assert_eq!(read.traceparent(), format!("00-{TRACE}-{SPAN}-{kept}"));
    }
}

#[test]
fn a_later_version_goes_on_as_ours() {
    let read = read_parent(&format!("cc-{TRACE}-{SPAN}-01-more")).unwrap();
    assert_eq!(read.traceparent(), format!("00-{TRACE}-{SPAN}-01"));
}

#[test]
fn lines_of_a_state_are_joined_in_order() {
    let cases: [(&[&str], Option<&str>); 12] = [
        (&[], None),
        (&[""], None),
        (&[" ", "\t", ","], None),
        (&["foo=1,bar=2"], Some("foo=1,bar=2")),
        (&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], Some("foo=1,bar=2,rojo=1,congo=2,baz=3")),
        (&["foo=1", ""], Some("foo=1")),
        (&["", "foo=1"], Some("foo=1")),
        (&["foo=1,,bar=2,"], Some("foo=1,bar=2")),
        (&["foo=1 \t , \t bar=2, \t baz=3"], Some("foo=1,bar=2,baz=3")),
        (&["foo=1\t \t,\t \tbar=2"], Some("foo=1,bar=2")),
        (&["\t foo=1 \t"], Some("foo=1")),
        (&["foo= 1"], Some("foo= 1")),
    ];
    for (lines, expected) in cases {
        assert_eq!(read_state(lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn of_members_with_the_same_key_the_first_stays() {
    for lines in [&["foo=1,foo=1"][..], &["foo=1,foo=2"], &["foo=1", "foo=1"], &["foo=1", "foo=2"]]
    {
        assert_eq!(read_state(lines).as_deref(), Some("foo=1"), "{lines:?}");
    }
    assert_eq!(read_state(&["a=1,b=2", "a=3,c=4"]).as_deref(), Some("a=1,b=2,c=4"));
}

#[test]
fn every_legal_character_goes_on() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String =
        (' '..='~').filter(|c| *c != ',' && *c != '=').collect::<String>().trim().to_owned();
    for key in [key.to_owned(), format!("{key}@a-z0-9_-*/")] {
        let member = format!("{key}= {value}");
        assert_eq!(read_state(&[&member]), Some(member));
    }
}

#[test]
fn one_bad_member_drops_the_whole_state() {
    for bad in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "foo@1bar=1",
        "_foo=1",
        "=1",
        "foo",
        "foo=",
        "foo=bar=baz",
        "foo=é",
        "foo=a\tb",
        "f\too=1",
    ] {
        assert_eq!(read_state(&["bar=2", bad]), None, "{bad}");
        assert_eq!(read_state(&[bad, "bar=2"]), None, "{bad}");
    }
}

#[test]
fn keys_and_values_are_as_long_as_they_may_be_and_no_longer() {
    let (z, t, v) = ("z".repeat(256), "t".repeat(241), "v".repeat(14));
    for good in [format!("{z}=1"), format!("{t}@{v}=1"), format!("k={z}")] {
        assert_eq!(read_state(&["foo=1", &good]), Some(format!("foo=1,{good}")));
    }
    for bad in [format!("{z}z=1"), format!("{t}t@v=1"), format!("t@{v}v=1"), format!("k={z}z")] {
        assert_eq!(read_state(&["foo=1", &bad]), None, "{bad}");
    }
}

#[test]
fn a_state_has_32_members_and_no_more() {
    let member = |n: usize| format!("bar{n:02}={n:02}");
    let thirty: Vec<String> = (1..=30).map(member).collect();
    let thirty = thirty.join(",");
    let all = read_state(&[&thirty, "", "bar31=31,bar32=32"]).unwrap();
    assert_eq!(all.split(',').count(), 32);
    assert_eq!(read_state(&[&thirty, "bar31=31,bar32=32,bar33=33"]), None);
    assert_eq!(read_state(&[&thirty, "bar01=1,bar02=2,bar03=3"]), None, "twins count");
}

#[test]
fn a_state_that_is_not_text_is_left_out() {
    let parent = format!("00-{TRACE}-{SPAN}-00");
    let mut lines = headers(&[("traceparent", &parent), ("tracestate", "foo=1")]);
    lines.append("tracestate", HeaderValue::from_bytes(b"bar=\xff").unwrap());
    assert_eq!(TraceContext::read(&lines).unwrap().state(), None);
}

#[test]
fn writing_replaces_what_was_there() {
    let old = [("traceparent", "old"), ("tracestate", "a=1"), ("tracestate", "b=2")];
    let mut sent = headers(&old);
    TraceContext::unsampled(1, 2).write(&mut sent);
    let expected =
        headers(&[("traceparent", "00-00000000000000000000000000000001-0000000000000002-02")]);
    assert_eq!(sent, expected);
}

#[test]
fn a_child_is_of_the_same_trace_and_recorded_where_that_is() {
    let parent = format!("00-{TRACE}-{SPAN}-03");
    let caller = TraceContext::read(&headers(&[("traceparent", &parent), ("tracestate", "a=1")]));
    let child = caller.unwrap().child(0xab);
    assert_eq!(child.traceparent(), format!("00-{TRACE}-00000000000000ab-03"));
    assert_eq!(child.state(), Some("a=1"));
    let unsampled = child.clone().sampled(false);
    assert_eq!(unsampled.traceparent(), format!("00-{TRACE}-00000000000000ab-02"));
    assert_eq!(unsampled.sampled(true), child);
}

#[test]
fn opentelemetry_sees_the_same_context_as_remote() {
    let parent = format!("00-{TRACE}-{SPAN}-03");
    let caller =
        TraceContext::read(&headers(&[("traceparent", &parent), ("tracestate", "a@b=1,c= 2")]))
            .unwrap();
    let theirs = caller.to_otel();
    assert!(theirs.is_remote() && theirs.is_valid() && theirs.is_sampled());
    assert_eq!(theirs.trace_id().to_string(), TRACE);
    assert_eq!(theirs.span_id().to_string(), SPAN);
    assert_eq!(theirs.trace_flags().to_u8(), 0x03);
    assert_eq!(theirs.trace_state().header(), "a@b=1,c= 2");
}

proptest! {
    #[test]
    fn reading_never_panics(
        parents in proptest::collection::vec("[0-9a-f.-]{0,60}|\\PC{0,60}", 0..3),
        states in proptest::collection::vec("[a-z@=, \t]{0,40}|\\PC{0,60}", 0..4),
    ) {
        let mut headers = HeaderMap::new();
        for (name, lines) in [(&TRACEPARENT, parents), (&TRACESTATE, states)] {
            for line in lines {
                if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
                    headers.append(name, value);
                }
            }
        }
        let _ = TraceContext::read(&headers);
    }

    #[test]
    fn bytes_around_the_right_length_never_panic(line in proptest::collection::vec(any::<u8>(), 50..60)) {
        let _ = parent(&line);
    }

    #[test]
    fn what_is_written_is_read_again(
        trace_id in 1..=u128::MAX,
        span_id in 1..=u64::MAX,
        flags in 0..4_u8,
        keys in proptest::collection::hash_set("[a-z0-9][a-z0-9_*/-]{0,20}(@[a-z][a-z0-9]{0,13})?", 0..32),
        value in "[!-+--<>-~]( ?[!-+--<>-~]){0,20}",
    ) {
        let keys: Vec<String> = keys.into_iter().map(|key| format!("{key}={value}")).collect();
        let state = (!keys.is_empty()).then(|| keys.join(","));
        let context = TraceContext { trace_id, span_id, flags, state };
        let mut headers = HeaderMap::new();
        context.write(&mut headers);
        prop_assert_eq!(TraceContext::read(&headers), Some(context));
    }
}
