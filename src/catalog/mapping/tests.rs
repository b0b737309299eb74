//! What a reply becomes, and what it can never become.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const USER: &str = r##"{
  "id": 1,
  "name": "Leanne Graham",
  "username": "Bret",
  "email": "Sincere@april.biz",
  "address": {
    "street": "Kulas Light",
    "suite": "Apt. 556",
    "city": "Gwenborough",
    "zipcode": "92998-3874",
    "geo": {"lat": "-37.3159", "lng": "81.1496"}
  },
  "phone": "1-770-736-8031 x56442",
  "website": "hildegard.org",
  "company": {
    "name": "Romaguera-Crona",
    "catchPhrase": "Multi-layered client-server neural-net",
    "bs": "harness real-time e-markets"
  }
}"##;

fn output(name: &str, form: impl Into<Form>, source: Source, keywords: &Value) -> Output {
    Output {
        name: name.into(),
        form: form.into(),
        source,
        description: String::new(),
        keywords: keywords.as_object().unwrap().clone(),
    }
}

fn from(path: &str, default: Option<Value>) -> Source {
    Source::Reply { from: JsonPath::parse(path).unwrap(), default }
}

fn tutorial() -> Mapping {
    let text = |name, path, default: &str| {
        output(name, Kind::String, from(path, Some(json!(default))), &json!({}))
    };
    Mapping::new(vec![
        text("full_name", "$.name", "Unknown User"),
        text("email", "$.email", "unknown@example.com"),
        text("phone", "$.phone", "000-000-0000"),
        output("is_premium_member", Kind::Boolean, Source::Fixed(json!(false)), &json!({})),
    ])
    .unwrap()
}

/// What a mapping of one output, `v`, makes of a reply.
fn apply(
    form: impl Into<Form>,
    path: &str,
    keywords: &Value,
    reply: &str,
) -> Result<String, MappingError> {
    let mapping = Mapping::new(vec![output("v", form, from(path, None), keywords)]).unwrap();
    mapping.apply(reply.as_bytes()).map(|answer| text(&answer))
}

fn text(answer: &Enveloped) -> String {
    String::from_utf8(answer.flat().to_vec()).unwrap()
}

#[test]
fn the_tutorials_answer_is_kept_to_the_byte() {
    assert_eq!(
        text(&tutorial().apply(USER.as_bytes()).unwrap()),
        r#"{"full_name":"Leanne Graham","email":"Sincere@april.biz","phone":"1-770-736-8031 x56442","is_premium_member":false}"#
    );
}

#[test]
fn a_default_stands_in_for_what_is_missing_or_null() {
    for reply in ["{}", r#"{"name":null,"email":null,"phone":null}"#, r#"{"Name":"x"}"#] {
        let answer = tutorial().apply(reply.as_bytes()).unwrap();
        assert_eq!(Some(&answer), tutorial().defaults().as_ref(), "{reply}");
        assert_eq!(
            text(&answer),
            r#"{"full_name":"Unknown User","email":"unknown@example.com","phone":"000-000-0000","is_premium_member":false}"#
        );
    }
}

#[test]
fn what_is_missing_or_null_without_a_default_is_an_error() {
    for reply in ["{}", r#"{"a":null}"#, r#"{"a":[]}"#, r#"{"a":[null,1]}"#] {
        for path in ["$.a[0]", "$.a[*]"] {
            assert_eq!(
                apply(Kind::Integer, path, &json!({}), reply),
                Err(MappingError::Missing("v".into())),
                "{reply}"
            );
        }
    }
    let mapping = Mapping::new(vec![output("v", Kind::String, from("$.a", None), &json!({}))]);
    assert_eq!(mapping.unwrap().defaults(), None);
}

#[test]
fn the_first_match_counts() {
    let reply = r#"{"a":[{"k":"x","v":1},{"k":"y","v":2},{"k":"y","v":3.5}]}"#;
    for (path, wanted) in [
        ("$.a[*].v", "1"),
        ("$.a[?@.k=='y'].v", "2"),
        ("$.a[-1].v", "3.5"),
        ("$..v", "1"),
        ("$['a'][1]['v']", "2"),
    ] {
        assert_eq!(
            apply(Kind::Number, path, &json!({}), reply),
            Ok(format!(r#"{{"v":{wanted}}}"#)),
            "{path}"
        );
    }
}

#[test]
fn types_are_never_converted() {
    let values = [
        ("\"1\"", Kind::String),
        ("1", Kind::Integer),
        ("1.5", Kind::Number),
        ("true", Kind::Boolean),
    ];
    for kind in [Kind::String, Kind::Integer, Kind::Number, Kind::Boolean] {
        for (value, of) in values {
            let reply = format!(r#"{{"v":{value}}}"#);
            let mapped = apply(kind, "$.v", &json!({}), &reply);
            if kind == of || (kind == Kind::Number && of == Kind::Integer) {
                assert_eq!(mapped, Ok(reply));
            } else {
                assert_eq!(mapped, Err(MappingError::WrongType("v".into())), "{kind:?} {value}");
            }
        }
        for value in ["[]", "{}", "[1]"] {
            let mapped = apply(kind, "$.v", &json!({}), &format!(r#"{{"v":{value}}}"#));
            assert_eq!(mapped, Err(MappingError::WrongType("v".into())), "{kind:?} {value}");
        }
    }
}

#[test]
fn integers_are_exact_or_refused() {
    for (value, wanted) in [
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9007199254740993", "9007199254740993"),
        ("42.0", "42"),
        ("4.2e1", "42"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("9007199254740993.0", "9007199254740993"),
    ] {
        assert_eq!(
            apply(
                Kind::Integer,
                "$.a.b[1]",
                &json!({}),
                &format!(r#"{{"a":{{"x":1,"b":[0,{value},2]}}}}"#)
            ),
            Ok(format!(r#"{{"v":{wanted}}}"#)),
            "{value}"
        );
    }
    for value in [
        "18446744073709551616",
        "-9223372036854775809",
        "1e20",
        "4.2",
        "1.0000000000000000000001",
        "4503599627370496.3",
        "9007199254740991.4",
    ] {
        assert_eq!(
            apply(Kind::Integer, "$.v", &json!({}), &format!(r#"{{"v":{value}}}"#)),
            Err(MappingError::WrongType("v".into())),
            "{value}"
        );
    }
}

#[test]
fn numbers_go_out_as_they_came_in() {
    for value in [
        "0",
        "12.50",
        "1e2",
        "1E-7",
        "-0.0",
        "0.1000000000000000055511151231257827",
        "123456789012345678901234567890",
        "18446744073709551615",
    ] {
        let reply = format!(r#"{{"v":{value}}}"#);
        assert_eq!(apply(Kind::Number, "$.v", &json!({}), &reply), Ok(reply));
    }
}

#[test]
fn strings_go_out_as_raw_utf_8() {
    assert_eq!(
        apply(Kind::String, "$.v", &json!({}), r#"{"v":"\u00e9\ud83d\ude00\"\\\/\u0007\n"}"#),
        Ok("{\"v\":\"\u{e9}\u{1f600}\\\"\\\\/\\u0007\\n\"}".to_owned())
    );
}

#[test]
fn what_breaks_the_contract_is_refused() {
    for (kind, keywords, good, bad) in [
        (Kind::Integer, json!({"minimum": 1}), "1", "0"),
        (
            Kind::Integer,
            json!({"maximum": 9_007_199_254_740_992_u64}),
            "9007199254740992.0",
            "9007199254740993.0",
        ),
        (Kind::Number, json!({"exclusiveMaximum": 2}), "1.5", "2.0"),
        (Kind::String, json!({"maxLength": 3}), "\"abc\"", "\"abcd\""),
        (Kind::String, json!({"enum": ["a"]}), "\"a\"", "\"b\""),
        (Kind::Boolean, json!({"const": true}), "true", "false"),
    ] {
        assert!(apply(kind, "$.v", &keywords, &format!(r#"{{"v":{good}}}"#)).is_ok(), "{keywords}");
        assert_eq!(
            apply(kind, "$.v", &keywords, &format!(r#"{{"v":{bad}}}"#)),
            Err(MappingError::Contract("v".into())),
            "{keywords}"
        );
    }
}

#[test]
fn defaults_and_fixed_values_must_satisfy_their_own_contract() {
    let wrong = Mapping::new(vec![
        output("a", Kind::String, from("$.a", Some(json!(1))), &json!({})),
        output("b", Kind::Integer, Source::Fixed(json!(0)), &json!({"minimum": 1})),
        output("c", Kind::Boolean, from("$.c", Some(Value::Null)), &json!({})),
        output("d", Kind::Integer, from("$.d", Some(json!(1.0))), &json!({})),
        output("e", Kind::String, from("$.e", Some(json!("ok"))), &json!({"minLength": 1})),
        output("f", Kind::String, from("$.f", None), &json!({"minLenght": 1})),
        output("e", Kind::String, from("$.e", None), &json!({})),
    ])
    .unwrap_err();
    let wrong: Vec<_> = wrong.iter().map(|(name, what)| format!("{name} {what}")).collect();
    assert_eq!(
        wrong,
        [
            "a default must be a string",
            "b value must be at least 1",
            "c default must be true or false",
            "d default must be an integer within 64 bits",
            "f minLenght is no JSON Schema keyword for a single value",
            "e is named twice",
        ]
    );
}

#[test]
fn a_fallback_is_put_in_order_and_filled_up_with_defaults() {
    let object = json!({"is_premium_member": true, "full_name": "Nobody"});
    assert_eq!(
        text(&tutorial().check(object.as_object().unwrap()).unwrap()),
        r#"{"full_name":"Nobody","email":"unknown@example.com","phone":"000-000-0000","is_premium_member":true}"#
    );
}

#[test]
fn a_fallback_that_breaks_the_contract_is_told_all_of_it() {
    let mapping = Mapping::new(vec![
        output("a", Kind::String, from("$.a", None), &json!({"minLength": 2})),
        output("b", Kind::Integer, from("$.b", None), &json!({})),
        output("c", Kind::Integer, from("$.c", Some(json!(1))), &json!({})),
    ])
    .unwrap();
    let object = json!({"a": "x", "c": null, "d": 1});
    assert_eq!(
        mapping.check(object.as_object().unwrap()).unwrap_err(),
        [
            "d is not an output",
            "a must have at least 2 characters",
            "b is required: it has no default",
            "c must be an integer within 64 bits",
        ]
    );
}

#[test]
fn an_array_or_object_comes_as_it_was_written_without_its_white_space() {
    let reply = r#"{"ids": [ 1, 123456789012345678901234567890, 1.10,
        "a \\\" b\\" ], "o": { "deep": [ [ ] , { "k" : null } ] } }"#;
    let wanted = r#"{"v":[1,123456789012345678901234567890,1.10,"a \\\" b\\"]}"#;
    assert_eq!(apply(Form::Array, "$.ids", &json!({}), reply), Ok(wanted.to_owned()));
    let wanted = r#"{"v":{"deep":[[],{"k":null}]}}"#;
    assert_eq!(apply(Form::Object, "$.o", &json!({}), reply), Ok(wanted.to_owned()));
    for (form, path) in [(Form::Array, "$.o"), (Form::Object, "$.ids"), (Form::Array, "$.ids[0]")] {
        let wrong = Err(MappingError::WrongType("v".into()));
        assert_eq!(apply(form, path, &json!({}), reply), wrong, "{path}");
    }
    // The first match is the output, not a list of all.
    assert_eq!(apply(Kind::Integer, "$.ids[*]", &json!({}), reply), Ok(r#"{"v":1}"#.to_owned()));
}

#[test]
fn an_array_is_held_to_its_contract() {
    let keywords = json!({"items": {"type": "integer", "minimum": 1}, "maxItems": 2});
    let apply = |reply| apply(Form::Array, "$.v", &keywords, reply);
    assert_eq!(apply(r#"{"v":[1,2]}"#), Ok(r#"{"v":[1,2]}"#.to_owned()));
    for reply in [r#"{"v":[1,2,3]}"#, r#"{"v":[0]}"#, r#"{"v":["1"]}"#] {
        assert_eq!(apply(reply), Err(MappingError::Contract("v".into())), "{reply}");
    }
    let keywords = json!({"properties": {"id": {"type": "string"}}, "required": ["id"]});
    let object = output("v", Form::Object, Source::Fixed(json!({"id": 1})), &keywords);
    let told = Mapping::new(vec![object]).unwrap_err();
    assert_eq!(told[0].1, "value must satisfy the schema keyword type");
}

#[test]
fn keywords_of_arrays_and_objects_are_for_them() {
    let refused = |form: Form, keywords| {
        let refused = Mapping::new(vec![output("v", form, from("$.v", None), &keywords)]);
        refused.unwrap_err().into_iter().map(|(_, what)| what).collect::<Vec<_>>()
    };
    let single = "items is no JSON Schema keyword for a single value";
    assert_eq!(refused(Kind::String.into(), json!({"items": {}})), [single]);
    let told = "minItems is for arrays, not for type object";
    assert_eq!(refused(Form::Object, json!({"minItems": 1})), [told]);
    let told = "minmum is no JSON Schema keyword here";
    assert_eq!(refused(Form::Array, json!({"items": {"minmum": 1}})), [told]);
    let told = "$ref is no JSON Schema keyword here";
    assert_eq!(refused(Form::Object, json!({"properties": {"a": {"$ref": "#"}}})), [told]);
}

#[test]
fn the_root_may_be_an_array_where_an_output_looks_into_one() {
    let list = r#"[{"name":"a","main":false},{"name":"b","main":true}]"#;
    for (path, wanted) in [
        ("$[0].name", "a"),
        ("$[-1].name", "b"),
        ("$[*].name", "a"),
        ("$[?@.main==true].name", "b"),
    ] {
        let wanted = Ok(format!(r#"{{"v":"{wanted}"}}"#));
        assert_eq!(apply(Kind::String, path, &json!({}), list), wanted, "{path}");
    }
    assert_eq!(apply(Form::Array, "$", &json!({}), list), Ok(format!(r#"{{"v":{list}}}"#)));
    for path in ["$.name", "$['name']", "$..name"] {
        let refused = Err(MappingError::NotAnObject);
        assert_eq!(apply(Kind::String, path, &json!({}), list), refused, "{path}");
    }
    assert_eq!(apply(Kind::String, "$[0].name", &json!({}), "1"), Err(MappingError::NotAnObject));
}

#[test]
fn a_mapping_without_outputs_gives_an_empty_object() {
    let mapping = Mapping::new(Vec::new()).unwrap();
    assert_eq!(text(&mapping.apply(b"{\"a\":1}").unwrap()), "{}");
    assert_eq!(text(&mapping.defaults().unwrap()), "{}");
}

proptest! {
    #[test]
    fn a_string_comes_through_as_it_is(name in any::<String>(), other in any::<String>()) {
        let reply = json!({"x": other, "name": name}).to_string();
        let answer: Value = serde_json::from_slice(tutorial().apply(reply.as_bytes()).unwrap().flat()).unwrap();
        prop_assert_eq!(&answer["full_name"], &json!(name));
        prop_assert_eq!(answer.as_object().unwrap().len(), 4);
    }

    #[test]
    fn any_bytes_are_mapped_or_refused(reply in any::<Vec<u8>>()) {
        let _ = tutorial().apply(&reply);
    }

    #[test]
    fn an_integral_float_is_the_integer_of_its_digits(integer in i128::from(i64::MIN)..=i128::from(u64::MAX)) {
        let mapped = apply(Kind::Integer, "$.v", &json!({}), &format!(r#"{{"v":{integer}.0}}"#));
        prop_assert_eq!(mapped, Ok(format!(r#"{{"v":{integer}}}"#)));
    }
}
