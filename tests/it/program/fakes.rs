//! `fakes`: the outside world in a process of its own, for a service that may have been there first.

use std::net::TcpListener;

use serde_json::Value;

use super::{
    cli::free,
    demo::{commands, parsed, sh},
};
use crate::support::{
    eventually,
    program::{Program, there_is},
    service::client,
};

/// Fakes on these ports, and the lines that they printed.
async fn fakes(args: &[&str]) -> (Program, Vec<String>) {
    let program = Program::start(&[&["fakes"], args].concat(), &[]);
    program.line(|line| line == "Ctrl-C ends it.").await;
    let lines = program.out().lines().map(str::to_owned).collect();
    (program, lines)
}

#[tokio::test]
async fn a_service_that_was_there_first_is_called_and_served_by_the_fakes_that_come_later() {
    if !there_is("curl") {
        return;
    }
    let [calls, probes, admin, crm, genesys] = [free(), free(), free(), free(), free()];
    let (crm_url, genesys_url) = (format!("http://{crm}"), format!("http://{genesys}"));
    let env = [
        ("EXTERNAL_API_BASE", &*crm_url),
        ("GENESYS_API_BASE", &*genesys_url),
        ("HOLDLINE_LISTEN", &*calls),
        ("HOLDLINE_PROBES", &*probes),
        ("HOLDLINE_ADMIN", &*admin),
    ];
    let service = Program::start(&["serve"], &env);
    service.line(|line| line.contains(r#""message":"ready""#)).await;
    let url = format!("http://{calls}/data-action/customer-lookup");
    let body = r#"{"data": {"customer_id": 1}}"#;
    let call = client().post(&url).header("X-Genesys-Auth-Token", "t").body(body);
    let call = call.header("Content-Type", "application/json").send().await.unwrap();
    assert_eq!(call.status(), 503, "nobody can check the token yet");

    let target = format!("http://{calls}");
    let (program, lines) = fakes(&[
        "--crm",
        &crm,
        "--genesys",
        &genesys,
        "--faults",
        "127.0.0.1:0",
        "--traffic",
        "50/s",
        "--target",
        &target,
    ])
    .await;
    let [serve, look_up, down, ok, shown] = commands(&lines)[..] else {
        panic!("five lines to try: {lines:?}")
    };
    let variables = format!("EXTERNAL_API_BASE={crm_url} GENESYS_API_BASE={genesys_url}");
    assert_eq!(serve, format!("{variables} holdline serve"));
    assert!(!program.out().contains("ask for no token"), "they are on loopback: {lines:?}");

    eventually("an answer", async || {
        let answer = parsed(&sh(look_up).await);
        (answer["data"]["full_name"] == "Leanne Graham").then_some(())
    })
    .await;
    eventually("traffic at the CRM", async || {
        (parsed(&sh(shown).await)["crm"]["requests"].as_u64()? >= 20).then_some(())
    })
    .await;
    assert_eq!(parsed(&sh(down).await)["crm"]["standing"], "down");
    assert_eq!(parsed(&sh(ok).await)["crm"]["standing"], "ok");

    let ended = program.terminated().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
    let status = ended.out.lines().last().unwrap();
    assert!(status.starts_with("50/s  200 "), "{status}");
}

#[tokio::test]
async fn fakes_that_listen_beyond_this_machine_say_that_they_ask_for_no_token() {
    let (program, lines) = fakes(&[
        "--crm=127.0.0.1:0",
        "--genesys=127.0.0.1:0",
        "--faults=0.0.0.0:0",
        "--fault=crm=down",
    ])
    .await;
    assert!(lines[1].ends_with("ask for no token: whoever reaches them may break them."));
    let shown = commands(&lines)[4].strip_prefix("curl -s ").unwrap();
    assert!(shown.starts_with("http://127.0.0.1:"), "where it is reached from here: {shown}");
    let shown: Value = client().get(shown).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["crm"]["standing"], "down");
    program.signal("INT");
    let ended = program.ended().await;
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{ended:?}");
}

#[tokio::test]
async fn an_address_in_use_is_said_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for flag in ["--crm", "--genesys", "--faults"] {
        let mut args = vec!["fakes".to_owned()];
        for other in ["--crm", "--genesys", "--faults"] {
            let here = if other == flag { address.to_string() } else { "127.0.0.1:0".to_owned() };
            args.push(format!("{other}={here}"));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ended = Program::run(&args, &[]).await;
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
        let expected = format!("holdline: could not listen on {address} ({flag}): Address already");
        assert!(ended.err.starts_with(&expected), "{ended:?}");
    }
}
