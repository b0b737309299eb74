//! `serve`, `check` and `probe` from the command line: what they say and with which code they end.

use std::{fs, net::TcpListener};

use holdline::{catalog::region::REGIONS, demo::genesys::Claims};
use serde_json::json;

use crate::support::{
    eventually,
    program::Program,
    service::{Outside, Service, TOKEN_HEADER, Wish, client},
};

/// A configuration in a folder of its own, which goes when it is dropped.
fn written(yaml: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holdline.yaml");
    fs::write(&file, yaml).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (folder, path)
}

/// An address that was free a moment ago.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn without_a_file_serve_is_steered_by_variables() {
    let ports = [free(), free(), free()];
    let outside = Outside::start().await;
    let org = |id: &str| Claims { organization: Some(id.to_owned()), ..Claims::default() };
    outside.genesys.know("ours", org("org-1"));
    outside.genesys.know("theirs", org("org-2"));
    let (crm, genesys) = (outside.crm.site.url(), outside.genesys.site.url());
    let env = [
        ("EXTERNAL_API_BASE", &*crm),
        ("GENESYS_API_BASE", &*genesys),
        ("GENESYS_ORG_ID", "org-1"),
        ("GENESYS_REGION", "eu-west-1"),
        ("HOLDLINE_LISTEN", &*ports[0]),
        ("HOLDLINE_PROBES", &*ports[1]),
        ("HOLDLINE_ADMIN", &*ports[2]),
    ];
    let program = Program::start(&["serve"], &env);
    let ready = program.line(|line| line.contains(r#""message":"ready""#)).await;
    for port in &ports {
        assert!(ready.contains(port), "{ready}");
    }

    let client = client();
    let call = async |token: &str| {
        let response = client
            .post(format!("http://{}/data-action/customer-lookup", ports[0]))
            .header(TOKEN_HEADER, token)
            .json(&json!({"data": {"customer_id": 1}}))
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let expected = r#"{"data":{"full_name":"Leanne Graham","email":"Sincere@april.biz","phone":"1-770-736-8031 x56442","is_premium_member":false}}"#;
    assert_eq!(call("ours").await, (200, expected.to_owned()));
    assert_eq!(call("theirs").await.0, 403, "another organisation's token");
    assert_eq!(outside.crm.site.requests_for("/users/1"), 1);
    for ready in [&["probe"][..], &["probe", "--ready"]] {
        let code = Program::run(ready, &[("HOLDLINE_PROBES", &*ports[1])]).await.code;
        assert_eq!(code, Some(0));
    }
    // The first asks for an orderly end, which takes five seconds by default.
    program.signal("TERM");
    program.line(|line| line.contains(r#""message":"draining""#)).await;
    let ended = program.terminated().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn an_unknown_region_ends_serve_and_check_with_the_list_of_the_eighteen() {
    assert_eq!(REGIONS.len(), 18);
    for command in ["serve", "check"] {
        let ended = Program::run(&[command], &[("GENESYS_REGION", "mars-1")]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("is no region of Genesys Cloud"), "{ended:?}");
        assert!(!ended.err.contains("mars-1"), "what a variable holds is not told: {ended:?}");
        for (region, _) in REGIONS {
            assert!(ended.err.contains(&format!("`{region}`")), "{region}: {ended:?}");
        }
        assert_eq!(ended.out, "", "problems go to standard error");
    }
}

#[tokio::test]
pub(crate) async fn a_port_in_use_is_said_with_the_key_and_the_address() {
    let outside = Outside::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["server", "probes", "admin"] {
        let before = format!("{key}: {{listen: \"127.0.0.1:0\"");
        let yaml = outside.yaml(&Wish::default());
        let (_folder, file) =
            written(&yaml.replace(&before, &format!("{key}: {{listen: \"{address}\"")));
        let ended = Program::run(&["serve", "-c", &file], &[]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let expected = format!(
            "holdline: could not listen on {address} ({key}.listen): Address already in use"
        );
        assert!(ended.err.starts_with(&expected), "{ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "one sentence: {ended:?}");
        assert!(!ended.out.contains(r#""message":"ready""#), "{ended:?}");
    }
}

#[tokio::test]
async fn check_says_how_many_actions_a_good_file_has() {
    let (_folder, file) = written(&Outside::start().await.yaml(&Wish::default()));
    for (args, env) in [
        (vec!["check", "-c", &*file], vec![]),
        (vec!["check", "--strict", "--config", &*file], vec![]),
        (vec!["check"], vec![("HOLDLINE_CONFIG", &*file)]),
    ] {
        let ended = Program::run(&args, &env).await;
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{args:?}: {ended:?}");
        assert_eq!(ended.out, format!("{file}: 1 action, 0 warnings\n"));
    }
    let ended = Program::run(&["check"], &[]).await;
    assert_eq!(ended.out, "the built-in action: 1 action, 0 warnings\n", "{ended:?}");
}

#[tokio::test]
async fn check_names_every_problem_with_its_place_and_what_to_write() {
    let yaml = Outside::start().await.yaml(&Wish {
        server: "drain: {delay: soon}",
        upstream: "retry: {atempts: 2}",
        ..Wish::default()
    });
    let (_folder, file) = written(&yaml);
    for command in ["check", "serve"] {
        let ended = Program::run(&[command, "-c", &file], &[]).await;
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
        let problems: Vec<_> = ended.err.lines().filter(|line| line.starts_with(&file)).collect();
        let [delay, attempt] = problems[..] else { panic!("two: {ended:?}") };
        assert!(delay.starts_with(&format!("{file}:2:")), "{delay}");
        assert!(delay.contains("server.drain.delay: must be a duration; write "), "{delay}");
        assert!(attempt.starts_with(&format!("{file}:11:")), "{attempt}");
        assert!(attempt.contains("upstreams.crm.retry.atempts"), "{attempt}");
        assert!(attempt.contains("attempts`"), "what was meant: {attempt}");
        assert_eq!(ended.err.lines().last(), Some("2 problems"), "{ended:?}");
    }
}

#[tokio::test]
async fn check_says_that_a_file_cannot_be_read() {
    for (file, why) in [("/nowhere/holdline.yaml", "cannot be read"), ("/", "cannot be read")] {
        let ended = Program::run(&["check", "-c", file], &[]).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.starts_with(&format!("{file}: {why}")), "{ended:?}");
    }
}

#[tokio::test]
async fn a_warning_fails_a_strict_check_alone() {
    let yaml = Outside::start().await.yaml(&Wish::default());
    let crm = yaml.lines().find(|line| line.starts_with("  crm:")).unwrap();
    let (_folder, file) = written(&yaml.replace(crm, "  crm: {base_url: http://crm.example.com}"));
    let ended = Program::run(&["check", "-c", &file], &[]).await;
    assert_eq!((ended.code, &*ended.out), (Some(0), &*format!("{file}: 1 action, 1 warning\n")));
    assert!(ended.err.starts_with(&format!("warning: {file}:11:")), "{ended:?}");
    assert!(ended.err.contains("upstreams.crm.base_url: is plain http to a public host"));
    let strict = Program::run(&["check", "--strict", "-c", &file], &[]).await;
    assert_eq!((strict.code, strict.err), (Some(1), ended.err));
}

#[tokio::test]
async fn probe_tells_whether_a_service_lives_and_whether_it_is_ready() {
    let wish = Wish { server: "drain: {delay: 20s, timeout: 5s}", ..Wish::default() };
    let service = Service::start(&Outside::start().await.yaml(&wish), &[]).await;
    let probes = service.probes.to_string();
    let (alive, ready) =
        (["probe", "--address", &probes], ["probe", "--ready", "--address", &probes]);
    for (args, path) in [(&alive[..], "livez"), (&ready, "readyz")] {
        let ended = Program::run(args, &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.out, format!("{probes}/{path}: yes\n"));
    }
    let ended = Program::run(&["probe"], &[("HOLDLINE_PROBES", &probes)]).await;
    assert_eq!(ended.code, Some(0), "by its variable: {ended:?}");
    // A name may have several addresses, of which one answers. All addresses mean loopback.
    let port = service.probes.port();
    for (asked, told) in [("localhost", "localhost"), ("0.0.0.0", "127.0.0.1")] {
        let asked = format!("{asked}:{port}");
        let ended = Program::run(&["probe"], &[("HOLDLINE_PROBES", &asked)]).await;
        assert_eq!(ended.out, format!("{told}:{port}/livez: yes\n"), "{ended:?}");
    }

    service.program.signal("TERM");
    eventually("not ready", async || {
        let ended = Program::run(&ready, &[]).await;
        (ended.code == Some(1)).then_some(ended.err)
    })
    .await;
    let ended = Program::run(&ready, &[]).await;
    assert_eq!(ended.err, format!("{probes}/readyz: no (503)\n"));
    assert_eq!(Program::run(&alive, &[]).await.code, Some(0), "it lives while it drains");
    assert_eq!(service.terminated().await.code, Some(0));
}

#[tokio::test]
async fn probe_says_that_nobody_answers() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ended = Program::run(&["probe", "--address", &free], &[]).await;
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
    assert!(ended.err.starts_with(&format!("{free}/livez: no answer (")), "{ended:?}");
    // Somebody listens and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let ended = Program::run(&["probe", "--ready", "--address", &address], &[]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // Nobody has this name (RFC 6761).
    let ended = Program::run(&["probe", "--address", "holdline.invalid:9090"], &[]).await;
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
    assert!(ended.err.starts_with("holdline.invalid:9090/livez: no answer ("), "{ended:?}");
}

#[tokio::test]
async fn help_says_what_each_command_does_and_takes() {
    let help = Program::run(&["--help"], &[]).await;
    assert_eq!((help.code, &*help.err), (Some(0), ""));
    for command in ["serve", "demo", "check", "explain", "probe"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{}", help.out);
    }
    for (command, said) in [
        (
            "serve",
            &["--config <FILE>", "HOLDLINE_CONFIG", "GENESYS_REGION", "EXTERNAL_API_BASE"][..],
        ),
        ("check", &["--config <FILE>", "--strict", "--format <FORMAT>"]),
        ("probe", &["--ready", "--address <ADDRESS>", "127.0.0.1:9090", "HOLDLINE_PROBES"]),
        ("demo", &["--listen", "--probes", "--admin", "--faults", "--traffic", "--fault", "--log"]),
    ] {
        let ended = Program::run(&[command, "--help"], &[]).await;
        assert_eq!(ended.code, Some(0));
        for part in said {
            assert!(ended.out.contains(part), "{command}: {part}: {}", ended.out);
        }
    }
    let version = Program::run(&["--version"], &[]).await;
    assert_eq!(version.out, concat!("holdline ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_two_and_the_usage() {
    for args in
        [&[][..], &["srve"], &["probe", "--address", "here"], &["demo", "--fault", "crm=dwn"]]
    {
        let ended = Program::run(args, &[]).await;
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{args:?}: {ended:?}");
        assert!(ended.err.contains("--help"), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is_one() {
    use std::process::{Command, Stdio};
    let run = |args: &[&str], out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdline"));
        let ended = command.args(args).env_remove("HOLDLINE_CONFIG").stdout(out).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    for args in [
        &["export", "openapi"][..],
        &["export", "schema"],
        &["explain", "customer-lookup"],
        &["dry-run", "customer-lookup", "customer_id=1"],
        &["check"],
        &["check", "--format", "json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run(args, writer.into()), (Some(0), String::new()), "{args:?}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, told) = run(args, full.into());
        assert_eq!(code, Some(1), "{args:?}: {told}");
        assert!(told.starts_with("holdline: could not write to standard output: "), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
