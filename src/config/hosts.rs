//! Which hosts are reached without leaving the house: plain http to any other is worth a warning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::config::section::Value;

/// Warns of an address by which tokens or customers travel in the clear.
pub(super) fn warn_of_plain_http(value: &Value<'_>, url: &Url) {
    if url.scheme() == "http" && is_public(url) {
        value.warn(
            "is plain http to a public host: everybody on the way can read it",
            "write https://",
        );
    }
}

fn is_public(url: &Url) -> bool {
    match url.host() {
        None => false,
        Some(Host::Domain(name)) => is_public_name(name),
        Some(Host::Ipv4(ip)) => is_public_v4(ip),
        Some(Host::Ipv6(ip)) => is_public_v6(ip),
    }
}

fn is_public_name(name: &str) -> bool {
    const INSIDE: [&str; 4] = [".local", ".internal", ".svc", ".localhost"];
    let name = name.trim_end_matches('.');
    name.contains('.') && !INSIDE.iter().any(|end| name.ends_with(end))
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    // 100.64.0.0/10: what carriers and clusters share.
    let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || shared)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => {
            let inside = ip.is_unique_local() || ip.is_unicast_link_local();
            !(ip.is_loopback() || ip.is_unspecified() || inside)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_private_and_cluster_local_hosts_are_not_public() {
        for (url, public) in [
            ("http://localhost:8080", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:1", false),
            ("http://10.1.2.3", false),
            ("http://172.16.0.1", false),
            ("http://192.168.1.1", false),
            ("http://100.64.0.1", false),
            ("http://[fd00::1]", false),
            ("http://[::ffff:10.0.0.1]", false),
            ("http://crm", false),
            ("http://crm.default.svc", false),
            ("http://crm.default.svc.cluster.local", false),
            ("http://crm.internal", false),
            ("http://crm.example.com", true),
            ("http://8.8.8.8", true),
            ("http://100.128.0.1", true),
            ("http://[2001:db8::1]", true),
            ("http://local.example", true),
        ] {
            assert_eq!(is_public(&Url::parse(url).unwrap()), public, "{url}");
        }
    }
}
