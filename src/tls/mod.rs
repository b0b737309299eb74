//! Certificates and keys as they stand in PEM files, and what rustls makes of them. A key is never
//! shown, and nothing can switch off that the other side is verified.

mod validity;

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    Error, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use secrecy::SecretString;

pub use validity::Validity;

/// The one version of HTTP that is spoken over our TLS.
const ALPN: &[u8] = b"http/1.1";

/// Why a certificate or key cannot be used: the end of a sentence that begins with its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is none in it.
    #[error("has no certificate in it")]
    NoCertificate,
    /// One of them is broken.
    #[error("has a certificate in it that cannot be read")]
    BrokenCertificate,
    /// There is none in it.
    #[error("has no private key in it")]
    NoKey,
    /// It asks for a password.
    #[error("has a private key in it that is locked with a password")]
    LockedKey,
    /// Broken, or of a kind that rustls does not know.
    #[error("has a private key in it that cannot be read")]
    BrokenKey,
    /// It belongs to another certificate.
    #[error("is not the key of the certificate beside it")]
    OtherKey,
}

/// Who one side is: a certificate with its intermediates, and its key. Clones are the same one.
#[derive(Clone)]
pub struct Identity(Arc<Papers>);

struct Papers {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    validity: Validity,
}

impl Identity {
    /// Reads a chain, the own certificate first, and its key; both PEM.
    ///
    /// # Errors
    /// [`Unusable`], of which those about a key are about the second file.
    pub fn of_pem(chain: &[u8], key: &[u8]) -> Result<Self, Unusable> {
        let (chain, validity) = chain_of_pem(chain)?;
        let key = key_of_pem(key)?;
        certified(chain.clone(), &key)?;
        Ok(Self(Arc::new(Papers { chain, key, validity })))
    }

    /// When all of its certificates hold.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The certificate that says who it is, in DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        &self.0.chain[0]
    }

    /// Chain and key as one PEM text without anything else.
    pub(crate) fn to_pem(&self) -> SecretString {
        let Papers { chain, key, .. } = &*self.0;
        let label = match key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            // PKCS #8, and what a later rustls may add.
            _ => "PRIVATE KEY",
        };
        let section = |label: &str, der: &[u8]| {
            let body = STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
        };
        let chain = chain.iter().map(|der| section("CERTIFICATE", der));
        chain.chain([section(label, key.secret_der())]).collect::<String>().into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.0.chain.len())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.chain == other.0.chain && self.0.key.secret_der() == other.0.key.secret_der()
    }
}

impl Eq for Identity {}

/// Reads a chain and checks each certificate in it; PEM.
///
/// # Errors
/// [`Unusable`].
pub fn chain_of_pem(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, Validity), Unusable> {
    let chain = certificates(pem)?;
    let mut all = chain.iter().map(|der| Validity::of(der).ok_or(Unusable::BrokenCertificate));
    let first = all.next().ok_or(Unusable::NoCertificate)??;
    let validity = all.try_fold(first, |both, one| Ok(both.within(one?)))?;
    Ok((chain, validity))
}

/// Reads a key; PEM.
///
/// # Errors
/// [`Unusable`].
pub fn key_of_pem(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Unusable> {
    let says = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    if says(b"ENCRYPTED PRIVATE KEY") || says(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Unusable::LockedKey);
    }
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        if says(b"PRIVATE KEY-----") { Unusable::BrokenKey } else { Unusable::NoKey }
    })?;
    provider().key_provider.load_private_key(key.clone_key()).map_err(|_| Unusable::BrokenKey)?;
    Ok(key)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|_| Unusable::BrokenCertificate)?;
    if read.is_empty() { Err(Unusable::NoCertificate) } else { Ok(read) }
}

/// The two as rustls wants them, which checks that they belong together.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<CertifiedKey, Unusable> {
    CertifiedKey::from_der(chain, key.clone_key(), &provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => Unusable::OtherKey,
        Error::InvalidCertificate(_) => Unusable::BrokenCertificate,
        _ => Unusable::BrokenKey,
    })
}

/// Whom one side trusts: root certificates. Clones are the same ones.
#[derive(Clone)]
pub struct Roots {
    certificates: Arc<[CertificateDer<'static>]>,
    store: Arc<RootCertStore>,
}

impl Roots {
    /// Reads all certificates of a PEM file.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn of_pem(pem: &[u8]) -> Result<Self, Unusable> {
        let certificates = certificates(pem)?;
        let mut store = RootCertStore::empty();
        for certificate in &certificates {
            store.add(certificate.clone()).map_err(|_| Unusable::BrokenCertificate)?;
        }
        Ok(Self { certificates: certificates.into(), store: Arc::new(store) })
    }

    /// Each of them, in DER.
    pub(crate) fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(|certificate| &**certificate)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots")
            .field("certificates", &self.certificates.len())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for Roots {}

/// A listener's side of TLS, at least 1.2, ready for handshakes. Clones are the same one.
#[derive(Clone)]
pub struct ServerTls {
    identity: Identity,
    clients: Option<Roots>,
    config: Arc<ServerConfig>,
}

impl ServerTls {
    /// Whether who connects must show a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.clients.is_some()
    }

    /// One that shows `identity`. With `clients`, who connects must show a certificate that one of
    /// these roots has signed.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn new(identity: Identity, clients: Option<Roots>) -> Result<Self, Unusable> {
        let key = certified(identity.0.chain.clone(), &identity.0.key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3");
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let roots = Arc::clone(&clients.store);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
                let verifier = verifier.build().map_err(|_| Unusable::NoCertificate)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        if clients.is_some() {
            // A resumed session is not asked for its certificate again, which may have expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { identity, clients, config: Arc::new(config) })
    }

    /// Who the listener is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whose certificate a client must show; `None`: nobody's.
    pub(crate) fn clients(&self) -> Option<&Roots> {
        self.clients.as_ref()
    }

    /// What handshakes are made with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("identity", &self.identity)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity && self.clients == other.clients
    }
}

impl Eq for ServerTls {}

/// The one TLS implementation of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

#[cfg(test)]
#[path = "../../tests/it/support/issuer.rs"]
pub(crate) mod issuer;

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{issuer::Issuer, *};

    #[test]
    fn a_certificate_is_used_with_its_own_key_alone() {
        let issuer = Issuer::new();
        let (ours, other) = (issuer.issue(&["a.example"]), issuer.issue(&["a.example"]));
        let identity = Identity::of_pem(ours.chain.as_bytes(), ours.key.as_bytes()).unwrap();
        let mixed = Identity::of_pem(ours.chain.as_bytes(), other.key.as_bytes());
        assert_eq!(mixed.unwrap_err(), Unusable::OtherKey);
        assert_ne!(
            Identity::of_pem(other.chain.as_bytes(), other.key.as_bytes()).unwrap(),
            identity
        );
        let again = Identity::of_pem(ours.chain.as_bytes(), ours.key.as_bytes()).unwrap();
        assert_eq!(again, identity);
    }

    #[test]
    fn what_a_file_lacks_is_told() {
        let issued = Issuer::new().issue(&["a.example"]);
        let chain = |pem: &str| chain_of_pem(pem.as_bytes()).map(drop).unwrap_err();
        assert_eq!(chain(""), Unusable::NoCertificate);
        assert_eq!(chain(&issued.key), Unusable::NoCertificate);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(chain(broken), Unusable::BrokenCertificate);
        assert_eq!(chain(&(issued.chain.clone() + broken)), Unusable::BrokenCertificate);
        assert_eq!(Roots::of_pem(broken.as_bytes()), Err(Unusable::BrokenCertificate));
        assert_eq!(Roots::of_pem(b""), Err(Unusable::NoCertificate));
        let key = |pem: &str| key_of_pem(pem.as_bytes()).map(drop).unwrap_err();
        assert_eq!(key(&issued.chain), Unusable::NoKey);
        assert_eq!(key(&broken.replace("CERTIFICATE", "PRIVATE KEY")), Unusable::BrokenKey);
        assert_eq!(key(&issued.key.replace(" PRIV", " ENCRYPTED PRIV")), Unusable::LockedKey);
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let issued = Issuer::new().issue(&["a.example"]);
        let identity = Identity::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).unwrap();
        let tls = ServerTls::new(identity, None).unwrap();
        assert_eq!(
            format!("{tls:?}"),
            "ServerTls { identity: Identity { certificates: 1, .. }, clients: None, .. }"
        );
    }

    #[test]
    fn an_identity_written_out_reads_as_the_same() {
        let issued = Issuer::new().issue(&["a.example"]);
        let identity = Identity::of_pem(issued.chain.as_bytes(), issued.key.as_bytes()).unwrap();
        let pem = identity.to_pem();
        let pem = pem.expose_secret().as_bytes();
        assert_eq!(Identity::of_pem(pem, pem).unwrap(), identity);
    }

    #[test]
    fn a_chain_holds_while_all_of_it_does() {
        let issuer = Issuer::new();
        let [long, short] = [1990..=2060, 2000..=2030].map(|years| {
            let issued = issuer.issue_for(&["a.example"], years);
            chain_of_pem(issued.chain.as_bytes()).unwrap().1
        });
        let both = issuer.issue_for(&["a.example"], 1990..=2060).chain
            + &issuer.issue_for(&["a.example"], 2000..=2030).chain;
        assert_eq!(chain_of_pem(both.as_bytes()).unwrap().1, short);
        assert_eq!(long.within(short), short);
    }
}
