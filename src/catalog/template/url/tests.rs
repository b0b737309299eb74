//! Addresses: what values become, and what they can never do.

use proptest::prelude::*;

use super::*;
use crate::catalog::template::tests::{inputs, typed};

fn upstream() -> Url {
    Url::parse("https://crm.example:8443/api/v1").unwrap()
}

fn render(template: &str, given: &[(&str, &str)]) -> Result<String, String> {
    let url = UrlTemplate::parse(template).unwrap().render(&upstream(), &inputs(given));
    url.map(|url| url.as_str().strip_prefix("https://crm.example:8443/api/v1").unwrap().to_owned())
        .map_err(|problem| format!("{} {}", problem.field, problem.what))
}

#[test]
fn expressions_expand_by_rfc_6570() {
    let given = &[
        ("a", "Hello World!"),
        ("b", "50%"),
        ("e", ""),
        ("u", "\u{e9}/\u{1f600}"),
        ("s", "~-._x'()*"),
    ];
    for (template, wanted) in [
        ("/", "/"),
        ("/users/{a}", "/users/Hello%20World%21"),
        ("/{a}/x/{b}/", "/Hello%20World%21/x/50%25/"),
        ("/{b}-{b}.json", "/50%25-50%25.json"),
        ("/x{e}", "/x"),
        ("/{u}", "/%C3%A9%2F%F0%9F%98%80"),
        ("/{s}", "/~-._x%27%28%29%2A"),
        ("/x{?a}", "/x?a=Hello%20World%21"),
        ("/x{?a,e,b}", "/x?a=Hello%20World%21&e=&b=50%25"),
        ("/x{?none,b,other}", "/x?b=50%25"),
        ("/x{?none}", "/x"),
        ("/x?fixed=1{&b,none}", "/x?fixed=1&b=50%25"),
        ("/x?fixed=1{&none}{&b}", "/x?fixed=1&b=50%25"),
        ("/x?q={b}&r={none}&s={e}", "/x?q=50%25&r=&s="),
        ("/x?q='a'", "/x?q=%27a%27"),
        ("/'a';b=c,d@e:f!$&()*+", "/'a';b=c,d@e:f!$&()*+"),
        ("/a//b", "/a//b"),
        ("/%41\u{e9}", "/%41%C3%A9"),
        ("/.a/..b/...", "/.a/..b/..."),
        ("/x?a=/../{b}", "/x?a=/../50%25"),
    ] {
        assert_eq!(render(template, given), Ok(wanted.to_owned()), "{template}");
    }
}

#[test]
fn values_of_every_type_have_a_text() {
    let template = UrlTemplate::parse("/{id}/{rate}/{vip}{?none}").unwrap();
    let url = template.render(&upstream(), &typed()).unwrap();
    assert_eq!(url.path(), "/api/v1/9007199254740993/2.5/true");
    assert_eq!(url.query(), None);
}

#[test]
fn the_base_keeps_its_path_with_or_without_a_slash() {
    for (base, wanted) in [
        ("https://h.example", "https://h.example/users/1"),
        ("https://h.example/", "https://h.example/users/1"),
        ("https://h.example/api", "https://h.example/api/users/1"),
        ("https://h.example/api/", "https://h.example/api/users/1"),
        ("http://[::1]:8080/a/b/", "http://[::1]:8080/a/b/users/1"),
        ("http://user:pw@h.example/a", "http://user:pw@h.example/a/users/1"),
        ("http://h.example/a?x=1#y", "http://h.example/a/users/1"),
    ] {
        let template = UrlTemplate::parse("/users/{a}").unwrap();
        let url = template.render(&Url::parse(base).unwrap(), &inputs(&[("a", "1")])).unwrap();
        assert_eq!(url.as_str(), wanted);
    }
}

#[test]
fn names_are_listed_in_their_order() {
    let template = UrlTemplate::parse("/{a}/x-{b}?q={c}{&d,e}").unwrap();
    assert_eq!(template.names(), ["a", "b", "c", "d", "e"]);
    assert_eq!(template.text(), "/{a}/x-{b}?q={c}{&d,e}");
}

#[test]
fn hostile_path_values_stay_in_their_segment() {
    for (value, wanted) in [
        ("%2e%2e", "%252e%252e"),
        ("%2E", "%252E"),
        ("..;", "..%3B"),
        ("...", "..."),
        (".. ", "..%20"),
        ("../admin", "..%2Fadmin"),
        ("/../admin", "%2F..%2Fadmin"),
        ("a/b", "a%2Fb"),
        ("/", "%2F"),
        ("//evil.example", "%2F%2Fevil.example"),
        ("\\", "%5C"),
        ("..\\admin", "..%5Cadmin"),
        ("1?x=", "1%3Fx%3D"),
        ("1&x=2", "1%26x%3D2"),
        ("1#", "1%23"),
        ("1;a=b", "1%3Ba%3Db"),
        ("@evil.example", "%40evil.example"),
        (":80", "%3A80"),
        ("http://evil.example/", "http%3A%2F%2Fevil.example%2F"),
        ("{b}", "%7Bb%7D"),
        ("%", "%25"),
        ("%00", "%2500"),
        ("%2f", "%252f"),
        ("%0d%0a", "%250d%250a"),
        (" ", "%20"),
        ("+", "%2B"),
        ("\u{ff0e}\u{ff0e}", "%EF%BC%8E%EF%BC%8E"),
        ("\u{2024}\u{2024}", "%E2%80%A4%E2%80%A4"),
        ("\u{2215}", "%E2%88%95"),
        ("\u{202e}1", "%E2%80%AE1"),
        ("\u{feff}..", "%EF%BB%BF.."),
        ("e\u{301}", "e%CC%81"),
        ("\u{1f600}", "%F0%9F%98%80"),
        ("'", "%27"),
        ("\"", "%22"),
        ("<>", "%3C%3E"),
        ("|", "%7C"),
        ("*", "%2A"),
    ] {
        let path = render("/customers/{a}/orders", &[("a", value)]);
        assert_eq!(path, Ok(format!("/customers/{wanted}/orders")), "{value:?}");
        let query = render("/customers{?a}", &[("a", value)]);
        assert_eq!(query, Ok(format!("/customers?a={wanted}")), "{value:?}");
    }
}

#[test]
fn path_values_that_no_encoding_makes_safe_are_refused() {
    let long = "x".repeat(257);
    for (value, wanted) in [
        ("", "a must not be empty in the path"),
        (".", "a must not be . or .. in the path"),
        ("..", "a must not be . or .. in the path"),
        ("1\t2", "a must not have control characters"),
        ("1\n2", "a must not have control characters"),
        ("1\r2", "a must not have control characters"),
        (".\t.", "a must not have control characters"),
        ("1\u{0}2", "a must not have control characters"),
        ("\x1b", "a must not have control characters"),
        ("\x7f", "a must not have control characters"),
        ("\u{85}", "a must not have control characters"),
        (&long, "a must have at most 256 bytes in an address"),
        (&"\u{e9}".repeat(129), "a must have at most 256 bytes in an address"),
    ] {
        assert_eq!(render("/c/{a}/o", &[("a", value)]), Err(wanted.to_owned()), "{value:?}");
    }
    assert!(render("/{a}", &[("a", &"x".repeat(256))]).is_ok());
    assert_eq!(render("/{a}", &[]), Err("a is required by the path".to_owned()));
}

#[test]
fn query_values_may_be_empty_or_dots_but_no_control_characters() {
    assert_eq!(render("/x{?a}", &[("a", "..")]), Ok("/x?a=..".to_owned()));
    assert_eq!(render("/x?a={a}", &[("a", "")]), Ok("/x?a=".to_owned()));
    for template in ["/x{?a}", "/x?q={a}", "/x?q=1{&a}"] {
        for value in ["1\t2", "1\n2", "\0", &"x".repeat(257)] {
            assert!(render(template, &[("a", value)]).is_err(), "{template} {value:?}");
        }
    }
}

#[test]
fn values_that_make_a_dot_segment_only_together_are_refused() {
    for (template, given) in [
        ("/.{a}", &[("a", "."), ("b", "")]),
        ("/.{a}", &[("a", ""), ("b", "")]),
        ("/{a}.", &[("a", ""), ("b", "")]),
        ("/%2e{a}", &[("a", ""), ("b", "")]),
        ("/%2E{a}/x", &[("a", ""), ("b", "")]),
        ("/{a}{b}", &[("a", ".."), ("b", "")]),
        ("/{a}{b}", &[("a", "."), ("b", ".")]),
        ("/{a}{b}", &[("a", ""), ("b", "")]),
        ("/{a}%2e{b}", &[("a", ""), ("b", "")]),
    ] {
        assert!(render(template, given).is_err(), "{template} {given:?}");
    }
    assert_eq!(render("/.{a}", &[("a", "x")]), Ok("/.x".to_owned()));
    assert_eq!(render("/{a}{b}", &[("a", "..."), ("b", "")]), Ok("/...".to_owned()));
}

#[test]
fn templates_in_which_a_value_could_leave_its_place_are_refused() {
    for (template, wanted) in [
        ("", "must begin with a /"),
        ("users", "must begin with a /"),
        ("{a}", "must begin with a /"),
        ("https://evil.example/", "must begin with a /"),
        ("?a=1", "must begin with a /"),
        ("//evil.example/x", "must not begin with //"),
        ("/a#b", "must not have a #"),
        ("/a?b#c", "must not have a #"),
        ("/a b", "write %20"),
        ("/a\tb", "control characters"),
        ("/a\nb", "control characters"),
        ("/a\u{85}b", "control characters"),
        ("/a\\b", "write %5C"),
        ("/a\"b", "write %22"),
        ("/a|b", "write %7C"),
        ("/a%2", "write %25"),
        ("/a%zz", "write %25"),
        ("/a%\u{e9}", "write %25"),
        ("/..", "write the path it leads to"),
        ("/a/../b", "write the path it leads to"),
        ("/a/./b", "write the path it leads to"),
        ("/a/%2e%2E/b", "write the path it leads to"),
        ("/a/.%2e?x", "write the path it leads to"),
        ("/{+a}", "write {name}"),
        ("/{#a}", "write {name} or {?name}"),
        ("/x{.a}", "write .{name}"),
        ("/x{/a}", "write /{name}"),
        ("/x{;a}", "write ;name={name}"),
        ("/{=a}", "RFC 6570 reserves"),
        ("/{!a}", "RFC 6570 reserves"),
        ("/{|a}", "RFC 6570 reserves"),
        ("/{a,b}", "write {a},{b}"),
        ("/{a*}", "single values"),
        ("/{a:3}", "single values"),
        ("/x{?a*}", "single values"),
        ("/x{?a,b:3}", "single values"),
        ("/{}", "input's name"),
        ("/{a b}", "input's name"),
        ("/{a{b}}", "input's name"),
        ("/{?}", "input's name"),
        ("/x{?a,}", "input's name"),
        ("/x{?a..b}", "input's name"),
        ("/x{?a,,b}", "input's name"),
        ("/{a", "without its }"),
        ("/a}", "without its {"),
        ("/x{&a}", "write {?..}"),
        ("/x?b=1{?a}", "write {&..}"),
        ("/x{?a}{?b}", "fixed parameters first"),
        ("/x{?a}{&b}", "fixed parameters first"),
        ("/x{?a}&b=1", "fixed parameters first"),
        ("/x{?a}/y", "fixed parameters first"),
    ] {
        let refused = UrlTemplate::parse(template).expect_err(template).to_string();
        assert!(refused.contains(wanted), "{template}: {refused}");
    }
}

#[test]
fn a_base_that_is_no_hierarchical_address_never_renders() {
    for base in ["mailto:a@b.example", "data:text/plain,x"] {
        let template = UrlTemplate::parse("/{a}").unwrap();
        let base = Url::parse(base).unwrap();
        assert!(template.render(&base, &inputs(&[("a", "1")])).is_err(), "{base}");
    }
}

/// Any text, with those that have hurt somebody before among them.
fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[./\\\\%?#;&=@:\t\n\r\0 25eEfF]{0,6}",
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
    ];
    (piece.clone(), piece).prop_map(|(a, b)| a + &b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn an_address_keeps_origin_and_segments_and_gives_the_values_back(a in value(), b in value()) {
        for text in ["/{a}/x/{b}", "/x-{a}/.{b}/y", "/%2e{a}{?b}", "/x?q={a}{&b}"] {
            let template = UrlTemplate::parse(text).unwrap();
            let inputs = inputs(&[("a", &a), ("b", &b)]);
            let mut problems = Vec::new();
            template.expand(&inputs, &mut problems);
            let mut refused = Vec::new();
            template.refuse(&inputs, &mut refused);
            prop_assert_eq!(&refused, &problems);
            let rendered = template.render(&upstream(), &inputs);
            // Whatever can be refused is refused before: the proof has nothing left to find.
            prop_assert_eq!(rendered.is_ok(), problems.is_empty());
            let Ok(url) = rendered else { continue };
            prop_assert_eq!(url.origin(), upstream().origin());
            prop_assert_eq!(url.fragment(), None);
            // Whoever reads it anew reads the same.
            prop_assert_eq!(Url::parse(url.as_str()), Ok(url.clone()));
            let path = text.split(['?']).next().unwrap().trim_end_matches('{');
            prop_assert_eq!(slashes(url.path()), 2 + slashes(path));
            prop_assert!(url.path().starts_with("/api/v1/"));
        }
        if let Ok(path) = render("/{a}/{b}", &[("a", &a), ("b", &b)]) {
            let back: Vec<_> = path[1..].split('/').map(decode).collect();
            prop_assert_eq!(back, [a.clone(), b.clone()]);
        }
        if let Ok(path) = render("/x{?a,b}", &[("a", &a), ("b", &b)]) {
            let url = Url::parse(&format!("http://h{path}")).unwrap();
            let pairs: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(pairs, [a, b]);
        }
    }

    #[test]
    fn what_is_refused_is_what_cannot_be_expanded(
        text in "/[{}?&%.2eab/]{0,16}", a in "[.%2e\u{e9}\n]{0,3}", b in "[.%2ea ]{0,3}", left_out in any::<bool>(),
    ) {
        let texts = ["/{a}", "/.{a}{b}", "/%2e{a}/{b}.", "/x{?a,b}", "/{b}?q={a}", "/{c}", &text];
        for text in texts {
            let Ok(template) = UrlTemplate::parse(text) else { continue };
            let all = [("a", &*a), ("b", &*b)];
            let inputs = inputs(if left_out { &all[..1] } else { &all });
            let (mut expanded, mut refused) = (Vec::new(), Vec::new());
            template.expand(&inputs, &mut expanded);
            template.refuse(&inputs, &mut refused);
            prop_assert_eq!(refused, expanded, "{} {:?} {:?}", text, &a, &b);
        }
        for text in ["/{id}", "/.{rate}{vip}", "/{none}", "/x{?none,id,rate}"] {
            let template = UrlTemplate::parse(text).unwrap();
            let (mut expanded, mut refused) = (Vec::new(), Vec::new());
            template.expand(&typed(), &mut expanded);
            template.refuse(&typed(), &mut refused);
            prop_assert_eq!(refused, expanded, "{}", text);
        }
    }

    #[test]
    fn any_template_parses_or_is_refused_and_never_panics(text in "[/{}?&#%.,+:*a-c \u{e9}]{0,24}") {
        if let Ok(template) = UrlTemplate::parse(&text) {
            let all = [("a", "1"), ("b", "."), ("c", "\u{e9}/")];
            let _ = template.render(&upstream(), &inputs(&all));
            // With harmless values, what parses can be rendered.
            let given: Vec<_> = template.names().into_iter().map(|name| (name, "x1")).collect();
            let mut given = given;
            given.sort_unstable();
            given.dedup();
            let url = template.render(&upstream(), &inputs(&given));
            prop_assert!(url.is_ok(), "{}", text);
            let url = url.unwrap();
            prop_assert_eq!(Url::parse(url.as_str()), Ok(url), "{}", text);
        }
    }
}

fn decode(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let code = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(code, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
