//! What an image must be by its own account, its files and its binary. Pure: what is read is handed in.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

/// Bytes that an image may have, all layers unpacked: a node pulls it when a replica is needed at once.
pub(crate) const MOST: u64 = 25 << 20;

/// A sentence with what was measured, and whether it is as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Whether it is.
    pub(crate) holds: bool,
    /// The sentence.
    pub(crate) text: String,
}

impl Claim {
    /// One that holds or not.
    pub(crate) fn new(holds: bool, text: impl Into<String>) -> Self {
        Self { holds, text: text.into() }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.holds { "holds  " } else { "BROKEN " }, self.text)
    }
}

/// A file or folder of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path, from the root.
    pub(crate) path: String,
    /// The bits of its mode that say who may do what.
    pub(crate) mode: u32,
    /// Whose it is.
    pub(crate) owner: u32,
    /// Its bytes; 0 for a folder.
    pub(crate) bytes: u64,
}

/// What its account says: Docker's `config`. One that is to be taken `is_traced` to its revision.
pub(crate) fn account(config: &Value, version: &str, is_traced: bool) -> Vec<Claim> {
    let is = |name: &str, wanted: Value| {
        let found = &config[name];
        Claim::new(*found == wanted, format!("{name} is {found}; wanted {wanted}"))
    };
    let label = |name: &str| {
        let label = &config["Labels"][format!("org.opencontainers.image.{name}")];
        label.as_str().unwrap_or_default()
    };
    let labels = ["title", "description", "licenses", "version", "revision", "created", "source"];
    let empty: Vec<_> = labels.iter().filter(|name| label(name).is_empty()).collect();
    let traced = !is_traced || label("revision") != "unknown";
    let named = label("version") == version && empty.is_empty() && traced;
    let roots = json!("SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt");
    let variables = config["Env"].as_array().map_or(&[][..], Vec::as_slice);
    vec![
        is("User", json!("65532:65532")),
        is("Entrypoint", json!(["/holdline"])),
        is("Cmd", json!(["serve"])),
        is("StopSignal", json!("SIGTERM")),
        is("ExposedPorts", json!({"8080/tcp": {}, "9090/tcp": {}})),
        Claim::new(
            config["Healthcheck"]["Test"] == json!(["CMD", "/holdline", "probe", "--ready"]),
            format!("HEALTHCHECK asks by the program itself: {}", config["Healthcheck"]["Test"]),
        ),
        Claim::new(variables.contains(&roots), "SSL_CERT_FILE names the roots of the image"),
        Claim::new(
            named,
            format!(
                "{} labels, version {} of {}, revision {}; missing: {empty:?}",
                labels.len() - empty.len(),
                label("version"),
                version,
                label("revision")
            ),
        ),
    ]
}

/// What is in it, and how much of it.
pub(crate) fn content(entries: &[Entry]) -> Vec<Claim> {
    let wanted =
        ["/etc", "/etc/ssl", "/etc/ssl/certs", "/etc/ssl/certs/ca-certificates.crt", "/holdline"];
    let paths: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
    // What the program runs as must not be able to change it.
    let loose = |entry: &&Entry| entry.owner != 0 || entry.mode & 0o022 != 0;
    let loose: Vec<_> = entries.iter().filter(loose).map(|entry| &entry.path).collect();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    vec![
        Claim::new(
            paths == wanted.into(),
            format!("the binary and the roots are all that is in it, no shell: {paths:?}"),
        ),
        Claim::new(loose.is_empty(), format!("only root may change what is in it; not {loose:?}")),
        Claim::new(
            (1..=MOST).contains(&bytes),
            format!("it has {:.1} MiB unpacked; at most {:.0}", mib(bytes), mib(MOST)),
        ),
    ]
}

/// What an ELF binary needs to be loaded, and what it carries.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Binary<'a> {
    /// Whether it asks for a loader of the system.
    pub(crate) interpreter: bool,
    /// The list of dependencies, as cargo-auditable packs it.
    pub(crate) dependencies: Option<&'a [u8]>,
    /// Whether functions have their names.
    pub(crate) symbols: bool,
}

impl<'a> Binary<'a> {
    /// Reads one of 64 bits whose lowest bytes come first; none where it is another.
    pub(crate) fn read(file: &'a [u8]) -> Option<Self> {
        const INTERPRETER: u64 = 3;
        if file.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let number = |at: usize, bytes: usize| {
            let read = file.get(at..at.checked_add(bytes)?)?.iter().rev();
            Some(read.fold(0, |number: u64, byte| number << 8 | u64::from(*byte)))
        };
        let place = |at: usize, bytes: usize| usize::try_from(number(at, bytes)?).ok();
        // Where a table begins, how long a row of it is and how many there are.
        let rows = |table: usize, form: usize| {
            let (start, long, count) = (place(table, 8)?, place(form, 2)?, place(form + 2, 2)?);
            let starts = (0..count).map(move |row| start.saturating_add(row.saturating_mul(long)));
            Some(starts.collect::<Vec<_>>())
        };
        let segments = rows(0x20, 0x36)?;
        let interpreter = segments.iter().any(|row| number(*row, 4) == Some(INTERPRETER));
        let sections = rows(0x28, 0x3a)?;
        let names = place(*sections.get(place(0x3e, 2)?)? + 0x18, 8)?;
        let section = |name: &str| {
            sections.iter().find_map(|row| {
                let from = names.checked_add(place(*row, 4)?)?;
                let found = file.get(from..)?.split(|byte| *byte == 0).next()?;
                let (start, long) = (place(row + 0x18, 8)?, place(row + 0x20, 8)?);
                (found == name.as_bytes()).then(|| file.get(start..start.checked_add(long)?))?
            })
        };
        let symbols = section(".symtab").is_some();
        Some(Self { interpreter, dependencies: section(".dep-v0"), symbols })
    }
}

/// Names and versions of crates.
pub(crate) type Crates = BTreeSet<(String, String)>;

fn named(list: &Value) -> Crates {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = list.as_array().into_iter().flatten();
    list.map(|it| (text(&it["name"]), text(&it["version"]))).collect()
}

/// What is linked, by the list in the binary: what only helped to build it, and itself, left out.
pub(crate) fn linked(list: &Value) -> Crates {
    let packages = list["packages"].as_array().into_iter().flatten();
    let in_it = |it: &&Value| it["kind"] != "build" && it["root"] != true;
    named(&packages.filter(in_it).cloned().collect())
}

/// What the bill of materials names.
pub(crate) fn billed(bill: &Value) -> Crates {
    named(&bill["components"])
}

/// That both name the same crates, and each of them as Cargo.lock has it.
pub(crate) fn bills(linked: &Crates, billed: &Crates, lock: &str) -> Claim {
    let locked = |(name, version): &&(String, String)| {
        lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"))
    };
    let strange: Vec<_> = linked.iter().filter(|it| !locked(it)).collect();
    let unbilled: Vec<_> = linked.difference(billed).collect();
    Claim::new(
        linked.len() > 100 && strange.is_empty() && unbilled.is_empty(),
        format!(
            "the binary names its {} crates, the bill of materials {}; not in the bill: \
             {unbilled:?}, not in Cargo.lock: {strange:?}",
            linked.len(),
            billed.len()
        ),
    )
}
