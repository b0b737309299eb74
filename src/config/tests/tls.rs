//! Certificates and keys out of files, and the proxy before an upstream.

use std::fs;

use tempfile::TempDir;

use super::{GOOD, accepted, good_but, no_env, problems, refused, warnings};
use crate::{
    config::{Loaded, parse},
    tls::issuer::Issuer,
};

/// Files of one issuer, with the values that name them.
struct Papers {
    folder: TempDir,
    issuer: Issuer,
}

impl Papers {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new() }
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The members that name a certificate and its key.
    fn identity(&self) -> String {
        let issued = self.issuer.issue(&["a.example"]);
        let certificate = self.put("tls.crt", &issued.chain);
        format!("certificate: {certificate}, key: {}", self.put("tls.key", &issued.key))
    }

    fn ca(&self) -> String {
        self.put("ca.crt", &self.issuer.pem)
    }
}

fn server(members: &str) -> String {
    good_but("  max_body: 256KiB", &format!("  tls: {{{members}}}"))
}

fn upstream(lines: &str) -> String {
    good_but("    timeouts: {", &format!("{lines}\n    timeouts: {{"))
}

/// What is wrong with the value at `path`, folder and places left out.
fn told(papers: &Papers, yaml: &str, path: &str) -> Vec<String> {
    let folder = papers.folder.path().display().to_string();
    let report = refused(yaml);
    let of_path = report.problems().iter().map(|problem| {
        assert!(problem.path.starts_with(path) && problem.line > 0, "{problem}");
        let behind = problem.path[path.len()..].trim_start_matches('.');
        format!("{behind}: {}; {}", problem.what, problem.instead).replace(&folder, "")
    });
    of_path.collect()
}

#[test]
fn what_is_written_reaches_the_settings_and_the_catalog() {
    let Loaded { catalog, settings, .. } = accepted(GOOD);
    assert_eq!((settings.server.tls, settings.server.handshake_timeout.as_secs()), (None, 3));
    assert_eq!(catalog.upstreams["crm"].way, crate::catalog::upstream::Way::default());

    let papers = Papers::new();
    let plain = server(&papers.identity());
    let Loaded { settings, .. } = accepted(&plain);
    assert_eq!(warnings(&plain), [""; 0]);
    let mutual = server(&format!("{}, client_ca: {}", papers.identity(), papers.ca()));
    assert_ne!(settings.server.tls, accepted(&mutual).settings.server.tls);
    assert_eq!(
        accepted(&mutual).settings.server.tls,
        accepted(&mutual).settings.server.tls,
        "the same files, the same TLS"
    );

    let members = format!("ca: {}, {}", papers.ca(), papers.identity());
    let yaml = upstream(&format!("    tls: {{{members}}}\n    proxy: http://egress:3128"));
    let way = &accepted(&yaml).catalog.upstreams["crm"].way;
    assert!(way.roots.is_some() && way.identity.is_some());
    assert_eq!(way.proxy.as_ref().unwrap().as_str(), "http://egress:3128/");
}

#[test]
fn a_certificate_that_is_issued_anew_is_another() {
    let papers = Papers::new();
    let yaml = server(&papers.identity());
    let before = accepted(&yaml).settings.server.tls;
    papers.identity();
    assert_ne!(accepted(&yaml).settings.server.tls, before);
}

#[test]
fn a_certificate_and_its_key_stand_together() {
    let papers = Papers::new();
    let identity = papers.identity();
    let (certificate, key) = identity.split_once(", ").unwrap();
    const PEM: &str = "write the path of a PEM file";
    assert_eq!(
        told(&papers, &server(certificate), "server.tls"),
        [format!("key: is missing; {PEM}")]
    );
    assert_eq!(
        told(&papers, &server(key), "server.tls"),
        [format!("certificate: is missing; {PEM}")]
    );
    assert_eq!(
        told(&papers, &server(&format!("client_ca: {}", papers.ca())), "server.tls"),
        [format!("certificate: is missing; {PEM}, or remove tls")]
    );
    assert_eq!(
        told(&papers, &upstream(&format!("    tls: {{{key}}}")), "upstreams.crm.tls"),
        [format!("certificate: is missing; {PEM}")]
    );
    assert_eq!(
        told(&papers, &server("key: /nowhere, clientca: x"), "server.tls"),
        [
            format!("certificate: is missing; {PEM}"),
            "key: the file /nowhere cannot be read (entity not found); mend the path or the file"
                .into(),
            "clientca: is not a key here; write `client_ca`".into(),
        ]
    );
}

#[test]
fn files_that_cannot_be_used_are_told_each_by_itself() {
    let papers = Papers::new();
    let issued = papers.issuer.issue(&["a.example"]);
    let other = papers.put("other.key", &papers.issuer.issue(&["a.example"]).key);
    papers.identity();
    let path = |name: &str| papers.folder.path().join(name).display().to_string();
    let (crt, key) = (path("tls.crt"), path("tls.key"));
    papers.put("empty", "");
    let locked = papers.put("locked", &issued.key.replace(" PRIVATE", " ENCRYPTED PRIVATE"));
    let cut = papers.put("cut", &issued.chain[..issued.chain.len() / 2]);
    let huge = papers.put("huge", &"x".repeat((1 << 20) + 1));
    const CERTIFICATES: &str = "name a PEM file of certificates, whole from BEGIN to END";
    const KEY: &str =
        "name a PEM file with an RSA, ECDSA or Ed25519 key (PKCS #8, PKCS #1 or SEC 1)";
    const PATH: &str = "write its path from the root, such as /etc/holdline/tls.pem";
    const MEND: &str = "mend the path or the file";
    for (certificate, key, expected) in [
        (&*crt, &*other, vec!["key: is not the key of the certificate beside it; name the two that belong together".to_owned()]),
        (&key, &crt, vec![
            format!("certificate: the file /tls.key has no certificate in it; {CERTIFICATES}"),
            format!("key: the file /tls.crt has no private key in it; {KEY}"),
        ]),
        (&cut, &locked, vec![
            format!("certificate: the file /cut has a certificate in it that cannot be read; {CERTIFICATES}"),
            "key: the file /locked has a private key in it that is locked with a password; name one without a password (openssl pkey -in KEY -out FILE)".to_owned(),
        ]),
        ("tls.crt", "/nowhere", vec![
            format!("certificate: names a file by a relative path; {PATH}"),
            format!("key: the file /nowhere cannot be read (entity not found); {MEND}"),
        ]),
        (&huge, "/dev/zero", vec![
            format!("certificate: the file /huge is no plain file of at most 1024 KiB; {MEND}"),
            format!("key: the file /dev/zero is no plain file of at most 1024 KiB; {MEND}"),
        ]),
        ("[]", "\"-----BEGIN PRIVATE KEY-----\"", vec![
            format!("certificate: must be the path of a PEM file; {PATH}"),
            format!("key: is the content of a file, not its path; {PATH}"),
        ]),
        (&crt, &format!("\"${{file:{key}}}\""), vec![
            format!("key: is the content of a file, not its path (from the file /tls.key); {PATH}"),
        ]),
    ] {
        let members = format!("certificate: {certificate}, key: {key}");
        assert_eq!(told(&papers, &server(&members), "server.tls"), expected);
        let yaml = upstream(&format!("    tls: {{{members}}}"));
        assert_eq!(told(&papers, &yaml, "upstreams.crm.tls"), expected);
    }
    let empty = path("empty");
    assert_eq!(
        told(&papers, &upstream(&format!("    tls: {{ca: {empty}}}")), "upstreams.crm.tls"),
        [format!("ca: the file /empty has no certificate in it; {CERTIFICATES}")]
    );
    assert_eq!(
        told(&papers, &server(&format!("{}, client_ca: {empty}", papers.identity())), "server.tls"),
        [format!("client_ca: the file /empty has no certificate in it; {CERTIFICATES}")]
    );
}

#[test]
fn a_certificate_that_does_not_hold_now_is_a_warning() {
    let papers = Papers::new();
    for (years, what) in [
        (2000..=2020, "expired on 2020-01-01; renew it: the other side refuses it"),
        (2090..=2099, "does not hold before 2090-01-01; look at the clock, or issue it anew"),
    ] {
        let issued = papers.issuer.issue_for(&["a.example"], years);
        let certificate = papers.put("tls.crt", &issued.chain);
        let members =
            format!("certificate: {certificate}, key: {}", papers.put("tls.key", &issued.key));
        let told = warnings(&server(&members));
        assert_eq!(told, [format!("4:22 server.tls.certificate: {what}")]);
    }
}

#[test]
fn what_can_have_no_effect_is_told() {
    let papers = Papers::new();
    let tls = format!("    tls: {{ca: {}}}", papers.ca());
    let yaml = upstream(&tls).replace("https://crm.example.com/v2", "http://crm/v2");
    assert_eq!(
        told(&papers, &yaml, "upstreams.crm.tls"),
        [": means nothing: base_url is plain http; write https:// in base_url, or remove it"]
    );
    let yaml = good_but("  max_body: 256KiB", "  handshake_timeout: 7s");
    assert_eq!(accepted(&yaml).settings.server.handshake_timeout.as_secs(), 7);
    assert_eq!(
        warnings(&yaml),
        ["4:22 server.handshake_timeout: means nothing without tls; remove it, or write tls"]
    );
}

#[test]
fn a_proxy_is_an_address_and_nothing_else() {
    const INSTEAD: &str = "write it like http://egress:3128";
    for (proxy, what) in [
        ("egress:3128", "must be an address that begins with http://"),
        ("https://egress:3128", "must be an address that begins with http://"),
        ("socks5://egress:1080", "must be an address that begins with http://"),
        ("http://egress:3128/path", "has more than a host and a port"),
        ("http://egress:3128/?a", "has more than a host and a port"),
        ("[]", "must be the address of an HTTP proxy"),
    ] {
        let found = problems("    timeouts: {", &format!("    proxy: {proxy}\n    timeouts: {{"));
        assert_eq!(found, [format!("28:12 upstreams.crm.proxy: {what}; {INSTEAD}")], "{proxy}");
    }
    let yaml = upstream("    proxy: http://me:hush@egress:3128");
    let report = parse("f", &yaml, &no_env).unwrap_err().to_string();
    assert!(report.contains("has a user or password in it"), "{report}");
    assert!(!report.contains("hush"), "{report}");
}
