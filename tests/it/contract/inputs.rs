//! Integers on their way from a body to the upstream: one customer however it is written, and to the
//! last digit the one that was meant.

use serde_json::json;

use crate::support::{
    form::{Form, outputs_of},
    proxy::Setup,
};

#[tokio::test]
async fn a_customer_is_the_same_one_however_the_number_is_written() {
    let proxy = Setup::new().action("cache: {ttl: 60s}").start().await;
    let outputs = proxy.outputs(42);
    for form in Form::ALL {
        for text in ["42", "\"42\"", "42.0", "42.000", "4.2e1", "420E-1", " 42 "] {
            let answer = proxy.ask_text(form, &format!("{{\"customer_id\":{text}}}")).send().await;
            form.kept(&answer, &outputs);
        }
    }
    assert_eq!(proxy.crm.site.requests_for("/users/42"), 4, "one for each action");
    assert_eq!(proxy.crm.site.counts().requests, 4);
    proxy.stop().await;
}

#[tokio::test]
async fn large_integers_arrive_to_the_last_digit() {
    let proxy = Setup::new().start().await;
    let written = [
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("9007199254740993", 9_007_199_254_740_993),
        ("\"9007199254740993\"", 9_007_199_254_740_993),
        ("9223372036854775807", i64::MAX as u64),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551615.0", u64::MAX),
        ("1.8446744073709551615e19", u64::MAX),
    ];
    for (text, customer) in written {
        let record = json!({"name": customer.to_string()});
        proxy.crm.write(customer, record.clone());
        for form in Form::ALL {
            let answer = proxy.ask_text(form, &format!("{{\"customer_id\":{text}}}")).send().await;
            form.answered(&answer, &outputs_of(&record));
        }
    }
    proxy.stop().await;
}

#[tokio::test]
async fn the_least_integer_is_asked_for_as_it_is() {
    let proxy = Setup::new().start().await;
    for text in ["-9223372036854775808", "-9.223372036854775808e18", "\"-9223372036854775808\""] {
        let ask = proxy.ask_text(Form::TUTORIAL, &format!("{{\"customer_id\":{text}}}"));
        ask.send().await.failed(404, "not_found", "External API failed: 404");
    }
    assert_eq!(proxy.crm.site.requests_for("/users/-9223372036854775808"), 3);
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_no_integer_within_64_bits_is_refused_and_nobody_asked() {
    let proxy = Setup::new().start().await;
    let refused = [
        "\"abc\"",
        "\"\"",
        "\" 42\"",
        "\"+42\"",
        "\"042\"",
        "\"42.0\"",
        "\"4e1\"",
        "\"٤٢\"",
        "4.2",
        "1e-1",
        "true",
        "false",
        "[42]",
        "{}",
        "[]",
        "18446744073709551616",
        "1e20",
        "1e400",
        "1e999999999999",
        "18446744073709551615.5",
        "-9223372036854775809",
        "\"18446744073709551616\"",
    ];
    for form in Form::ALL {
        for text in refused {
            let answer = proxy.ask_text(form, &format!("{{\"customer_id\":{text}}}")).send().await;
            let detail = "Invalid input format: customer_id must be an integer within 64 bits";
            form.failed(&answer, 400, "bad_request", detail);
        }
        let null = proxy.ask_text(form, "{\"customer_id\":null}").send().await;
        let detail = "Invalid input format: customer_id must not be null";
        form.failed(&null, 400, "bad_request", detail);
    }
    assert_eq!(proxy.crm.site.counts().requests, 0);
    proxy.stop().await;
}

#[tokio::test]
async fn inputs_that_the_action_does_not_know_make_no_difference() {
    let proxy = Setup::new().action("cache: {ttl: 60s}").start().await;
    for form in Form::ALL {
        for more in ["", ",\"other\":1", ",\"customer_ID\":7", ",\"a\":1,\"a\":2"] {
            let ask = proxy.ask_text(form, &format!("{{\"customer_id\":1{more}}}"));
            form.kept(&ask.send().await, &proxy.outputs(1));
        }
    }
    assert_eq!(proxy.crm.site.counts().requests, 4, "one for each action");
    proxy.stop().await;
}
