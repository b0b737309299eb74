//! Tokens that are issued here: what User Defined (OAuth) of Genesys Cloud fetches, and shows with
//! each call.
//!
//! A token is what it says (when it was issued, when it ends, for whom) and a signature under that,
//! the scheme's name and the client's secret. So it is checked without a table, by any replica that
//! has the key, no scheme takes the token of another, and a new secret ends the tokens that the old
//! one has fetched. What has to be remembered is only who is cut off: for all and for each client the
//! instant up to which tokens do not hold.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    catalog::{
        caller::{Issued, Proof, Scheme},
        name::Name,
        policy::QuotaPolicy,
    },
    fingerprint::{Fields, SigningKey, same_secret},
    mechanism::quota::Quota,
    pipeline::authenticate::{Caller, How, Identified, Surroundings, Unproven, basic},
    telemetry::{meters::Words, metrics::TOKEN_REQUESTS},
    time::{self, Wall},
};

use basic::Shown;

/// What a token begins with. Another form will begin otherwise.
pub(super) const FORM: &str = "hl1.";
/// What is signed besides the token's own fields, so that the key signs nothing else by accident.
const PURPOSE: &[u8] = b"holdline.token.1";
/// Characters of a token: one with the longest name that a head can carry.
const LONGEST: usize = 4096;
/// Wrong secrets for one client: so many at once, then one each period. A short secret that is right
/// waits with them, or it would be found; fetched beside a few wrong ones it still passes.
const GUESSES: QuotaPolicy = QuotaPolicy {
    period: Duration::from_millis(100),
    burst: NonZeroU32::new(50).expect("fifty is not zero"),
};
/// Characters of a secret that nobody finds by trying, however fast.
const LONG: usize = 16;
/// What a request for a token comes to.
const RESULTS: &[&str] =
    &["issued", "invalid_client", "throttled", "invalid_request", "unavailable"];
/// No token holds longer than the configuration allows, so that nothing older has to be remembered.
const OLDEST: Duration = Duration::from_secs(48 * 3600);

/// Bytes of the name of a client that can be cut off although nobody has that name now.
const LONGEST_NAME: usize = 256;
/// How many such are remembered.
const MOST_NAMES: usize = 10_000;

/// The instants up to which tokens do not hold, in milliseconds since 1970.
#[derive(Debug, Clone, Default)]
struct CutOff {
    /// Anybody's.
    all: u64,
    /// A client's, where that is later. The client need not be configured: it may be again.
    named: BTreeMap<Arc<str>, u64>,
}

impl CutOff {
    /// Up to when those of `client` do not hold.
    fn of(&self, client: &str) -> u64 {
        self.named.get(client).copied().unwrap_or_default().max(self.all)
    }
}

/// Issues tokens, and knows them again.
#[derive(Debug)]
pub struct Issuer {
    scheme: Arc<Scheme>,
    key: SigningKey,
    cut_off: Arc<ArcSwap<CutOff>>,
    /// One for each client, in their order, and one for all names that nobody has.
    guesses: Vec<Arc<Quota>>,
    requests: Words,
    wall: Wall,
}

/// A token that was issued.
#[derive(Debug)]
pub struct Grant {
    /// The token.
    pub token: SecretString,
    /// How long it holds.
    pub lasts: Duration,
}

/// Why none was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There is no such client, or the secret is not its own.
    Wrong,
    /// So many wrong secrets were shown that this one, right or wrong, is not told of.
    Throttled {
        /// After how long the next is.
        retry_after: Duration,
    },
}

impl Issuer {
    /// Prepares the tokens of `scheme`.
    pub(super) fn new(scheme: &Arc<Scheme>, around: &Surroundings<'_>) -> Self {
        let policy = policy_of(scheme);
        let now = time::now();
        let guesses = (0..=policy.clients.len()).map(|_| Quota::new(GUESSES, now));
        Self {
            key: SigningKey::new(policy.key.expose_secret().as_bytes()),
            cut_off: Arc::default(),
            guesses: guesses.collect(),
            requests: Words::new(RESULTS, |result| {
                around.registry.counter(&TOKEN_REQUESTS, &[scheme.name.as_str(), result])
            }),
            wall: around.wall,
            scheme: Arc::clone(scheme),
        }
    }

    /// The scheme's name.
    pub fn name(&self) -> &Name {
        &self.scheme.name
    }

    /// The path at which clients fetch tokens.
    pub fn path(&self) -> &str {
        &policy_of(&self.scheme).path
    }

    /// Counts a request for a token by the word for what it came to.
    pub fn count(&self, result: &str) {
        self.requests.count(result);
    }

    /// A token for the client that one of `shown` proves; several are readings of the same.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn grant(&self, shown: &[Shown]) -> Result<Grant, Denied> {
        let policy = policy_of(&self.scheme);
        let found = shown.iter().fold(None, |found, shown| {
            let owner = basic::owner(&policy.clients, shown).zip(Some(shown));
            if owner.is_some() { owner } else { found }
        });
        let client = match found {
            // It was not found by trying: who has it waits for nobody who tries.
            Some((client, shown)) if shown.secret.chars().count() >= LONG => client,
            other => {
                let guess = self.guesses[self.line_of(shown)].take(time::now(), Duration::ZERO, 0);
                let guess =
                    guess.map_err(|used| Denied::Throttled { retry_after: used.retry_after })?;
                // Given back where the secret is right.
                let Some((client, _)) = other else {
                    guess.spend();
                    return Err(Denied::Wrong);
                };
                client
            }
        };
        let issued = self.now().max(self.cut_off(client).saturating_add(1));
        let expires = issued + millis(policy.ttl);
        Ok(Grant { token: self.write(client, issued, expires).into(), lasts: policy.ttl })
    }

    /// In which line a guess stands: that of the client it names, or the last.
    fn line_of(&self, shown: &[Shown]) -> usize {
        let clients = &policy_of(&self.scheme).clients;
        clients.iter().enumerate().fold(clients.len(), |line, (at, known)| {
            let named = shown.iter().fold(false, |it, shown| {
                it | same_secret(known.client.as_bytes(), shown.client.as_bytes())
            });
            if named { at } else { line }
        })
    }

    /// Who the bearer of `token` is.
    pub(super) fn identify(&self, token: &str) -> Result<Identified, (Unproven, How)> {
        let void = |result| (Unproven::Void { result }, How::Local);
        let policy = policy_of(&self.scheme);
        let Some((issued, expires, client, signature)) = read(token) else {
            return Err(void("malformed"));
        };
        let Some(client) = std::str::from_utf8(&client).ok().filter(|client| {
            self.key.has_signed(&self.fields(client, issued, expires), &signature)
        }) else {
            return Err(void("invalid"));
        };
        // A time to live that was shortened holds for what was issued before, too.
        let expires = expires.min(issued.saturating_add(millis(policy.ttl)));
        if self.now() >= expires {
            return Err(void("expired"));
        }
        if issued <= self.cut_off(client) {
            return Err(void("revoked"));
        }
        let caller = Caller { org: self.scheme.name.shared(), client: client.into() };
        Ok(Identified { caller: Arc::new(caller), how: How::Local })
    }

    /// From now on no token holds that was issued to that client, or to any, before. Returns how many
    /// clients that are; who is not configured now is not counted, but is cut off as well.
    pub(super) fn cut(&self, only: Option<&str>) -> u64 {
        let (now, clients) = (self.now(), &policy_of(&self.scheme).clients);
        let meant = clients.iter().filter(|known| only.is_none_or(|only| known.client == only));
        let meant = meant.count() as u64;
        self.cut_off.rcu(|before| {
            let mut after = CutOff::clone(before);
            after.named.retain(|_, until| now.saturating_sub(*until) < millis(OLDEST));
            // What was issued since the last time, perhaps in this very millisecond, is one later.
            match only {
                None => {
                    let last = after.named.values().fold(after.all, |last, until| last.max(*until));
                    after = CutOff { all: now.max(last + 1), named: BTreeMap::new() };
                }
                Some(client) => {
                    let known = meant > 0 || after.named.contains_key(client);
                    let fits = client.len() <= LONGEST_NAME && after.named.len() < MOST_NAMES;
                    if known || fits {
                        let until = now.max(after.of(client) + 1);
                        after.named.insert(client.into(), until);
                    }
                }
            }
            after
        });
        meant
    }

    /// The same for the client to whom `token` was issued, if it holds.
    pub(super) fn cut_bearer(&self, token: &str) -> u64 {
        self.identify(token).map_or(0, |bearer| self.cut(Some(bearer.caller.client())))
    }

    /// Cuts off who was cut off by `other`, and from now on with it: for an issuer that takes its
    /// place.
    #[must_use]
    pub fn in_place_of(mut self, other: &Self) -> Self {
        self.cut_off = Arc::clone(&other.cut_off);
        self
    }

    fn cut_off(&self, client: &str) -> u64 {
        self.cut_off.load().of(client)
    }

    fn write(&self, client: &str, issued: u64, expires: u64) -> String {
        let signature = self.key.sign(&self.fields(client, issued, expires));
        let times = [issued.to_be_bytes(), expires.to_be_bytes()].concat();
        let bytes = [&times[..], client.as_bytes(), &signature].concat();
        format!("{FORM}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What is signed: length-prefixed, so that nothing moves from one field to the next. Nothing is
    /// ever signed for a client that is not configured, as one without a secret.
    fn fields(&self, client: &str, issued: u64, expires: u64) -> Fields {
        let clients = &policy_of(&self.scheme).clients;
        let known = clients.iter().find(|known| known.client == client);
        let secret = known.map(|known| known.secret.expose_secret().as_bytes());
        let mut fields = Fields::new();
        fields
            .push(PURPOSE)
            .push(self.scheme.name.as_str().as_bytes())
            .push(&issued.to_be_bytes())
            .push(&expires.to_be_bytes())
            .push(client.as_bytes())
            .push_option(secret);
        fields
    }

    fn now(&self) -> u64 {
        millis(self.wall.since_epoch())
    }
}

/// A token taken apart: issued, expires, the client's name, the signature. Nothing of it is true
/// before the signature is.
fn read(token: &str) -> Option<(u64, u64, Vec<u8>, [u8; SigningKey::SIGNATURE])> {
    if token.len() > LONGEST {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(FORM)?).ok()?;
    let (issued, rest) = bytes.split_first_chunk()?;
    let (expires, rest) = rest.split_first_chunk()?;
    let (client, signature) = rest.split_last_chunk()?;
    Some((u64::from_be_bytes(*issued), u64::from_be_bytes(*expires), client.to_vec(), *signature))
}

fn policy_of(scheme: &Scheme) -> &Issued {
    match &scheme.proof {
        Proof::Issued(policy) => policy,
        Proof::Introspection(_) | Proof::Jwt(_) | Proof::ApiKey(_) | Proof::Basic(_) => {
            unreachable!("an issuer is made for tokens that are issued here only")
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
