//! The schema of `callers`, each by its type.

use serde_json::{Value as Json, json};

use super::keys::{Keys, by_type, filled, open};
use crate::{
    catalog::{caller::Algorithm, region::REGIONS},
    config::spelling::Spelling,
};

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
    let kind = json!({"const": word});
    let about = "The header in which the proof comes.";
    Keys::new().need("type", &kind, "How the proof is checked.").usually(
        "header",
        Spelling::Header,
        header,
        about,
    )
}

fn clients(keys: Keys) -> Keys {
    keys.may("clients", &filled(Spelling::Text), "Only these OAuth clients; without it, any.")
}

fn org(keys: Keys) -> Keys {
    keys.may("org", Spelling::Text, "Only this organisation; without it, any that is vouched for.")
}

fn claims(org: Option<&str>, client: &str, expires: Option<&str>) -> Json {
    let whose = "Where it says the organisation.";
    let keys = match org {
        Some(path) => Keys::new().usually("org", Spelling::JsonPath, path, whose),
        None => Keys::new().may("org", Spelling::JsonPath, whose),
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

/// How long it may take to learn what a token is worth, and how long that holds.
fn verdicts(keys: Keys, ttl: &str, outlive: bool) -> Keys {
    let most = 10_000_000;
    let cache = Keys::new()
        .usually(
            "ttl",
            Spelling::Span,
            ttl,
            "How long a token stays proven, never past its own expiry.",
        )
        .usually("refused_ttl", Spelling::Duration, "10s", "How long a token stays refused.")
        .usually(
            "capacity",
            Spelling::Count(1, most),
            100_000,
            "Tokens that are remembered as proven.",
        )
        .usually(
            "refused_capacity",
            Spelling::Count(1, most),
            10_000,
            "Tokens that are remembered as refused.",
        );
    let cache = match outlive {
        true => cache.usually(
            "stale_on_outage",
            Spelling::Duration,
            "0s",
            "How long past ttl a token stays proven while the authority is down.",
        ),
        false => cache,
    };
    keys.usually("timeout", Spelling::Span, "2s", "How long the authority may take.")
        .inside("cache", cache.end("How long verdicts are remembered."))
}

/// What all that ask an authority have in common.
fn asking(keys: Keys, ttl: &str) -> Keys {
    verdicts(keys, ttl, true).usually(
        "max_concurrent",
        Spelling::Count(1, 10_000),
        16,
        "Questions to the authority at once.",
    )
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
    asking(keys.inside("claims", claims), "1h")
        .end("A token that Genesys Cloud introspects, as in the tutorial.")
}

fn rfc7662() -> Json {
    let keys = typed("rfc7662", "Authorization")
        .need("url", Spelling::Url, "The whole address of the introspection endpoint.")
        .need("client_id", Spelling::Text, "As whom Holdline asks.")
        .need("client_secret", Spelling::Secret, "The secret that proves it.");
    let claims = claims(None, "$.client_id", Some("$.exp"));
    asking(clients(org(keys)).inside("claims", claims), "1h")
        .end("A token that an authority of RFC 7662 introspects.")
}

fn tokens_me() -> Json {
    let keys = clients(org(place(typed("tokens_me", "Authorization"), "/api/v2/tokens/me")));
    let claims = claims(Some("$.organization.id"), "$.OAuthClient.id", None);
    asking(keys.inside("claims", claims), "5m")
        .end("A token of real Genesys Cloud, which is asked what it knows of it.")
}

fn jwt() -> Json {
    let algorithms = Spelling::choice(Algorithm::ALL.iter().map(|(word, _)| *word));
    let mut audience = filled(Spelling::Text);
    audience["type"] = json!(["string", "number", "boolean", "array"]);
    let keys = typed("jwt", "Authorization")
        .need("jwks", Spelling::Url, "Where the keys are that sign tokens.")
        .need("issuer", Spelling::Text, "Who must have issued a token.")
        .need(
            "audience",
            &audience,
            "For whom a token must be made, or a list of which any will do.",
        )
        .usually(
            "algorithms",
            &filled(algorithms),
            json!(["RS256", "ES256"]),
            "How a token may be signed.",
        )
        .inside("claims", claims(None, "$.client_id", None));
    verdicts(clients(org(keys)), "1h", false).end("A signed token that is checked here.")
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
        .end("A user and a password.")
}

fn issued() -> Json {
    let path = json!({"type": "string", "pattern": crate::config::spelling::or_expansion(PATH)});
    typed("issued", "Authorization")
        .usually("path", &path, "/oauth/token", "Where tokens are asked for.")
        .inside("clients", secrets("One secret for each client, by the client's id."))
        .require("clients")
        .usually("ttl", Spelling::Duration, "1h", "How long a token holds, from 1m to 48h.")
        .need("key", Spelling::Secret, "What signs tokens; the same in every replica.")
        .end("A token that Holdline itself issues for User Defined (OAuth).")
}
