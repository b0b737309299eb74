//! The schema of `callers`, each by its type.

use serde_json::{Value as Json, json};

use super::keys::{Keys, by_type, filled, open};
use crate::{catalog::region::REGIONS, config::spelling::Spelling};

const PATH: &str = "^/[^\\s?#\\\\]*$";

/// `caller`, and one for each type; `limit`, which is small.
pub(super) fn definitions() -> impl Iterator<Item = (String, Json)> {
    let types = [
        ("introspection", introspection()),
        ("rfc7662", rfc7662()),
        ("tokens_me", tokens_me()),
        ("jwt", jwt()),
        ("api_key", api_key()),
        ("basic", basic()),
        ("issued", issued()),
    ];
    let about = "One way to prove who is calling.";
    by_type("caller", about, &types).into_iter().chain([("limit".to_owned(), super::limit())])
}

fn typed(word: &str, header: &str) -> Keys {
    Keys::new().need("type", &json!({"const": word}), "How the proof is checked.").usually(
        "header",
        Spelling::Header,
        header,
        "The header in which the proof comes.",
    )
}

fn clients(keys: Keys) -> Keys {
    keys.may("clients", &filled(Spelling::Text), "Only these OAuth clients; without it, any.")
}

fn org(keys: Keys) -> Keys {
    keys.may("org", Spelling::Text, "Only this organisation; without it, any that is vouched for.")
}

/// Where the proof says what it says; `None`: nowhere that is known.
fn claims(org: Option<&str>, client: &str, expires: Option<&str>) -> Json {
    let about = "Where it says the organisation.";
    let keys = match org {
        Some(path) => Keys::new().usually("org", Spelling::JsonPath, path, about),
        None => Keys::new().may("org", Spelling::JsonPath, about),
    };
    let keys =
        keys.usually("client", Spelling::JsonPath, client, "Where it says the OAuth client.");
    let keys = match expires {
        Some(path) => {
            keys.usually("expires", Spelling::JsonPath, path, "Where it says until when.")
        }
        None => keys,
    };
    keys.end("Where the proof says what it says.")
}

/// What all that ask an authority have in common.
fn asking(keys: Keys, ttl: Option<&str>) -> Keys {
    let most = Spelling::Count(1, 10_000);
    keys.usually("timeout", Spelling::Span, "2s", "How long the authority may take.")
        .usually("max_concurrent", most, 16, "Questions to the authority at once.")
        .inside("cache", verdicts(ttl, true))
}

/// How long verdicts are remembered: `ttl` usually, or as the answer has it. Only where an authority is
/// asked can one outlive its outage.
fn verdicts(ttl: Option<&str>, outlive: bool) -> Json {
    let many = || Spelling::Count(1, 10_000_000);
    let about = "How long a token stays proven, never past its own expiry.";
    let depends = "How long a token stays proven, never past its own expiry; without it 1h, or 5m \
                   where the answer does not say when the token ends.";
    let keys = match ttl {
        Some(ttl) => Keys::new().usually("ttl", Spelling::Span, ttl, about),
        None => Keys::new().may("ttl", Spelling::Span, depends),
    };
    let keys = keys
        .usually("refused_ttl", Spelling::Duration, "10s", "How long a token stays refused.")
        .usually("capacity", many(), 100_000, "Tokens that are remembered as proven.")
        .usually("refused_capacity", many(), 10_000, "Tokens that are remembered as refused.");
    let about = "How long past ttl a token stays proven while the authority is down.";
    let keys = match outlive {
        true => keys.usually("stale_on_outage", Spelling::Duration, "0s", about),
        false => keys,
    };
    keys.end("How long verdicts are remembered.")
}

fn region(keys: Keys) -> Keys {
    let regions = Spelling::choice(REGIONS.iter().map(|(name, _)| *name));
    keys.usually("region", regions, "us-east-1", "The region of the Genesys Cloud organisation.")
}

fn place(keys: Keys, default: &str) -> Keys {
    let path = json!({"type": "string", "pattern": crate::config::spelling::or_expansion(PATH)});
    region(keys)
        .may("api_base", Spelling::Url, "The authority's address, instead of that of the region.")
        .usually("path", &path, default, "The path at that address.")
        .may("url", Spelling::Url, "The whole address, instead of region or api_base and path.")
}

fn introspection() -> Json {
    let keys = typed("introspection", "X-Genesys-Auth-Token");
    let keys = clients(org(place(keys, "/api/v2/oauth2/introspect")));
    let claims = claims(Some("$.organization.id"), "$.client_id", Some("$.exp"));
    asking(keys.inside("claims", claims), Some("1h"))
        .end("A token that Genesys Cloud introspects, as in the tutorial.")
}

fn rfc7662() -> Json {
    let keys = typed("rfc7662", "Authorization")
        .need("url", Spelling::Url, "The whole address of the introspection endpoint.")
        .need("client_id", Spelling::Text, "As whom Holdline asks.")
        .need("client_secret", Spelling::Secret, "The secret that proves it.");
    let claims = claims(None, "$.client_id", Some("$.exp"));
    asking(clients(org(keys)).inside("claims", claims), None)
        .end("A token that an authority of RFC 7662 introspects.")
}

fn tokens_me() -> Json {
    let keys = clients(org(place(typed("tokens_me", "Authorization"), "/api/v2/tokens/me")));
    let claims = claims(Some("$.organization.id"), "$.OAuthClient.id", None);
    asking(keys.inside("claims", claims), Some("5m"))
        .end("A token of real Genesys Cloud, which is asked what it knows of it.")
}

fn jwt() -> Json {
    let algorithms = Spelling::choice([
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ]);
    let audience = json!({"anyOf": [Spelling::Text.schema(), filled(Spelling::Text)]});
    let keys = typed("jwt", "Authorization")
        .need("jwks", Spelling::Url, "Where the keys are that sign tokens.")
        .need("issuer", Spelling::Text, "Who must have issued a token.")
        .need("audience", &audience, "For whom a token must be made: one of these.")
        .usually(
            "algorithms",
            &filled(algorithms),
            json!(["RS256", "ES256"]),
            "How a token may be signed.",
        )
        .usually("timeout", Spelling::Span, "2s", "How long fetching the keys may take.")
        .inside("claims", claims(None, "$.client_id", None))
        .inside("cache", verdicts(Some("1h"), false));
    clients(org(keys)).end("A signed token that is checked here.")
}

fn secrets(description: &str) -> Json {
    let mut secrets = open(Spelling::Secret.schema(), json!({"minLength": 1}), description);
    secrets["minProperties"] = json!(1);
    secrets
}

fn api_key() -> Json {
    typed("api_key", "X-Api-Key")
        .inside("keys", secrets("One key for each caller, by the caller's name."))
        .require("keys")
        .end("A key that is known here.")
}

fn basic() -> Json {
    typed("basic", "Authorization")
        .inside("users", secrets("One password for each user, by the user's name."))
        .require("users")
        .end("A user and a password, in Authorization.")
}

fn issued() -> Json {
    let path = json!({"type": "string", "pattern": crate::config::spelling::or_expansion(PATH)});
    typed("issued", "Authorization")
        .usually("path", &path, "/oauth/token", "Where tokens are asked for.")
        .inside("clients", secrets("One secret for each client, by the client's id."))
        .require("clients")
        .usually("ttl", Spelling::Duration, "1h", "How long a token holds, from 1m to 48h.")
        .need(
            "key",
            Spelling::Secret,
            "What signs tokens, at least 32 characters; the same in every replica.",
        )
        .end("A token that Holdline itself issues for User Defined (OAuth).")
}
