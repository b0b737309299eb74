//! Certificates and keys that a value names by the path of a PEM file.

use crate::{
    config::{
        expand,
        section::{Section, Value},
    },
    time::Wall,
    tls::{Identity, Roots, ServerTls, Unusable, Validity, chain_of_pem, key_of_pem},
};

/// Bytes of one of these files: bundles of roots are long.
const LARGEST: u64 = 1 << 20;

/// `server.tls`.
pub(super) fn server(section: &Section<'_>) -> Option<ServerTls> {
    let identity = identity(section);
    if let Some(None) = identity {
        section.missing("certificate", "write the path of a PEM file, or remove tls");
    }
    let clients = section.optional("client_ca", roots);
    section.finish()?;
    let (identity, clients) = (identity??, clients?);
    let tls = ServerTls::new(identity, clients);
    if let Err(error) = &tls {
        section.refuse(error.to_string(), instead(*error));
    }
    tls.ok()
}

/// `upstreams.NAME.tls`: whom the upstream must be signed by, and who we are to it.
pub(super) fn upstream(section: &Section<'_>) -> Option<(Option<Roots>, Option<Identity>)> {
    let roots = section.optional("ca", roots);
    let identity = identity(section);
    section.finish()?;
    Some((roots?, identity?))
}

/// `certificate` and `key`, or neither.
fn identity(section: &Section<'_>) -> Option<Option<Identity>> {
    let written = [section.value("certificate"), section.value("key")];
    let (certificate, key) = match &written {
        [None, None] => return Some(None),
        [Some(certificate), Some(key)] => (certificate, key),
        [certificate, _] => {
            let lacks = if certificate.is_some() { "key" } else { "certificate" };
            section.missing(lacks, "write the path of a PEM file");
            // What is wrong with the one that is written is told too.
            if let [Some(certificate), _] = &written {
                read(certificate, chain_of_pem);
            }
            if let [_, Some(key)] = &written {
                read(key, key_of_pem);
            }
            return None;
        }
    };
    // Each by itself first: what is wrong with the one hides nothing of the other.
    let chain =
        read(certificate, |pem| chain_of_pem(pem).map(|(_, validity)| (pem.to_vec(), validity)));
    let key_pem = read(key, |pem| key_of_pem(pem).map(|_| pem.to_vec()));
    let ((chain, validity), key_pem) = (chain?, key_pem?);
    match Identity::of_pem(&chain, &key_pem) {
        Ok(identity) => {
            warn_of_time(certificate, validity);
            Some(Some(identity))
        }
        Err(error) => {
            key.refuse(error.to_string(), instead(error));
            None
        }
    }
}

/// A file of root certificates.
fn roots(value: &Value<'_>) -> Option<Roots> {
    read(value, Roots::of_pem)
}

/// What `reader` makes of the file whose path the value is.
fn read<T>(value: &Value<'_>, reader: impl FnOnce(&[u8]) -> Result<T, Unusable>) -> Option<T> {
    const PATH: &str = "write its path from the root, such as /etc/holdline/tls.pem";
    let scalar = value.scalar("must be the path of a PEM file", PATH)?;
    if scalar.secret.get() || scalar.text.contains("-----BEGIN") {
        value.refuse("is the content of a file, not its path", PATH);
        return None;
    }
    let path = &scalar.text;
    let named = format!("the file {path}");
    let shown = format!("the file {}", value.written_outside().unwrap_or(path));
    let bytes = match expand::file(path, LARGEST, PATH, value.findings()) {
        Ok(bytes) => bytes,
        Err(wrong) => {
            value.refuse(wrong.what.replacen(&named, &shown, 1), wrong.instead);
            return None;
        }
    };
    match reader(&bytes) {
        Ok(read) => Some(read),
        Err(error) => {
            value.refuse(format!("{shown} {error}"), instead(error));
            None
        }
    }
}

fn instead(error: Unusable) -> &'static str {
    match error {
        Unusable::NoCertificate | Unusable::BrokenCertificate => {
            "name a PEM file of certificates, whole from BEGIN to END"
        }
        Unusable::NoKey | Unusable::BrokenKey => {
            "name a PEM file with an RSA, ECDSA or Ed25519 key (PKCS #8, PKCS #1 or SEC 1)"
        }
        Unusable::LockedKey => "name one without a password (openssl pkey -in KEY -out FILE)",
        Unusable::OtherKey => "name the two that belong together",
    }
}

/// A certificate that does not hold now is a warning: the clock may be wrong, and a service that
/// does not start helps nobody.
fn warn_of_time(value: &Value<'_>, validity: Validity) {
    let now = Wall::System.since_epoch();
    let day = |at: std::time::Duration| {
        let at = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string();
        at.split('T').next().unwrap_or_default().to_owned()
    };
    if now > validity.ends {
        let what = format!("expired on {}", day(validity.ends));
        value.warn(what, "renew it: the other side refuses it");
    } else if now < validity.begins {
        let what = format!("does not hold before {}", day(validity.begins));
        value.warn(what, "look at the clock, or issue it anew");
    }
}
