//! The configurations of `deploy/examples`, checked within the image: it can read what is mounted, as
//! nobody in particular, and needs nothing else.

use std::{fs, io, path::Path};

use crate::{
    container::{Container, Order},
    form::Claim,
    image::Image,
    issuer::Issuer,
};

/// Where an example looks for its secrets and certificates.
const HOUSE: &str = "/etc/holdline";
/// What examples ask of their surroundings.
const ASKED: [(&str, &str); 2] = [("GENESYS_ORG_ID", "an-org"), ("GENESYS_CLIENT_ID", "a-client")];

/// Checks all of them.
///
/// # Errors
/// There is no runc.
pub(crate) async fn checked(image: &Image) -> io::Result<Vec<Claim>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let files = fs::read_dir(&examples)?.map(|file| Ok(file?.file_name().display().to_string()));
    let mut names: Vec<String> = files.collect::<io::Result<_>>()?;
    names.retain(|name| name.ends_with(".yaml"));
    names.sort();
    let mut claims = vec![Claim::new(!names.is_empty(), format!("{} examples", names.len()))];
    for name in &names {
        let folder = tempfile::tempdir()?;
        let house = folder.path().join("house");
        furnish(&house, &fs::read_to_string(examples.join(name))?)?;
        let path = format!("/examples/{name}");
        let order = Order {
            args: &["check", "--config", &path],
            env: &ASKED,
            mounts: &[(&examples, "/examples"), (&house, HOUSE)],
        };
        let mut container = Container::start(image, &order)?;
        let code = container.ended().await?;
        let [out, err] = container.wrote();
        let said = if code == Some(0) { String::new() } else { format!(": {out}{err}") };
        claims.push(Claim::new(code == Some(0), format!("check {name} ends with {code:?}{said}")));
    }
    Ok(claims)
}

/// Writes every file below [`HOUSE`] that the text names: secrets, certificates of one issuer and keys.
fn furnish(house: &Path, text: &str) -> io::Result<()> {
    let issuer = Issuer::new();
    let issued = issuer.issue(&["localhost"]);
    for rest in text.split(&format!("{HOUSE}/")).skip(1) {
        let named = |c: char| c.is_ascii_alphanumeric() || "-./".contains(c);
        let name = rest.split(|c| !named(c)).next().unwrap_or_default();
        let content = match name.strip_suffix(".pem") {
            None => format!("{name}-a-secret-that-is-long-enough-for-all-that-want-one"),
            Some(stem) if stem.ends_with("-ca") => issuer.pem.clone(),
            Some(stem) if stem.ends_with("-key") => issued.key.clone(),
            Some(_) => issued.chain.clone(),
        };
        let file = house.join(name);
        fs::create_dir_all(file.parent().unwrap_or(house))?;
        fs::write(file, content)?;
    }
    Ok(())
}
