//! A certificate authority of a test's own. What it issues exists in memory only.

use std::ops::RangeInclusive;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, PEM: what trusts it holds this.
    pub(crate) pem: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    /// One that nobody trusts yet.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key can be made");
        // Authorities are told apart by their names.
        let name = format!("authority of {:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, name);
        let own = params.self_signed(&key).expect("an authority can be made");
        Self { pem: own.pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names or addresses that holds now.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for(names, 2000..=2099)
    }

    /// A certificate that holds from the first day of the one year to the first of the other.
    pub(crate) fn issue_for(&self, names: &[&str], years: RangeInclusive<i32>) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("these are names");
        params.not_before = date_time_ymd(*years.start(), 1, 1);
        params.not_after = date_time_ymd(*years.end(), 1, 1);
        let key = KeyPair::generate().expect("a key can be made");
        let issued = params.signed_by(&key, &self.issuer).expect("it can be signed");
        Issued { chain: issued.pem(), key: key.serialize_pem() }
    }
}
