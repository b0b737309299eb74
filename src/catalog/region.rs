//! The regions of Genesys Cloud and their hosts. Complete as of November 2026 (the region map of
//! the CX as Code provider, v1.84.1). An unknown region is an error: a fallback would send a token
//! to a foreign region.

/// AWS region and domain; the API is at `https://api.<domain>`.
pub const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
];

/// The base address of the API of `region`, such as `https://api.mypurecloud.ie`.
pub fn api_base(region: &str) -> Option<String> {
    let (_, domain) = REGIONS.iter().find(|(name, _)| *name == region)?;
    Some(format!("https://api.{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_has_a_host_of_its_own_and_unknown_ones_have_none() {
        let hosts: std::collections::BTreeSet<_> =
            REGIONS.iter().filter_map(|(name, _)| api_base(name)).collect();
        assert_eq!(hosts.len(), 18);
        assert_eq!(api_base("eu-west-1").as_deref(), Some("https://api.mypurecloud.ie"));
        assert_eq!(api_base("eu-west-9"), None);
    }
}
