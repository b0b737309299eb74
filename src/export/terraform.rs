//! The Genesys side as CX as Code: one integration and its credential for each scheme, one data action
//! for each action. Secrets are variables; none is written.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use crate::{
    catalog::{Catalog, action::Action, caller::Scheme},
    export::{
        Document, Site,
        callers::{self, Asked, Filled},
        genesys,
        hcl::{Block, Expression, text},
    },
};

/// What the name of the integration is for actions that anybody may call. No scheme has this name.
const OPEN: &str = "none";

/// `holdline.tf`, and `variables.tf` with what differs between environments.
///
/// `is_placed` says whether the site's origin is known; where it is not, Terraform asks for it.
///
/// # Errors
/// A sentence for each output that Genesys Cloud cannot have.
pub fn files(
    catalog: &Catalog,
    site: Site<'_>,
    is_placed: bool,
) -> Result<Vec<Document>, Vec<String>> {
    genesys::structure::check(catalog)?;
    let mut used: BTreeMap<&str, Option<&Scheme>> = BTreeMap::new();
    for action in catalog.actions.values() {
        let scheme = callers::for_genesys(catalog, action);
        used.insert(label(scheme), scheme);
    }
    let mut blocks = vec![provider(), Block::new("provider", &["genesyscloud"])];
    for scheme in used.values() {
        blocks.extend(integration(*scheme, site));
    }
    blocks.extend(catalog.actions.values().map(|action| data_action(catalog, action, site)));
    let mut variables = vec![address(site, is_placed)];
    variables.extend(used.values().flatten().flat_map(|scheme| asked_for(scheme)));
    Ok(vec![
        Document { name: "holdline.tf".to_owned(), text: page(&blocks) },
        Document { name: "variables.tf".to_owned(), text: page(&variables) },
    ])
}

fn page(blocks: &[Block]) -> String {
    blocks.iter().map(Block::text).collect::<Vec<_>>().join("\n")
}

/// The name of a scheme among resources. Names of ours are identifiers of HCL as they stand, and stay
/// so whatever else is added: a resource that changed its name would be made anew, with a new id.
fn label(scheme: Option<&Scheme>) -> &str {
    scheme.map_or(OPEN, |scheme| scheme.name.as_str())
}

fn provider() -> Block {
    let source = vec![
        ("source".to_owned(), Expression::of("mypurecloud/genesyscloud")),
        ("version".to_owned(), Expression::of("~> 1.84")),
    ];
    let required =
        Block::new("required_providers", &[]).with("genesyscloud", Expression::Object(source));
    Block::new("terraform", &[]).and(required)
}

/// The integration of a scheme, with its credential, and what fetches its tokens.
fn integration(scheme: Option<&Scheme>, site: Site<'_>) -> Vec<Block> {
    let label = label(scheme);
    let name = if scheme.is_some() { format!("Holdline {label}") } else { "Holdline".to_owned() };
    // Genesys Cloud shows its certificate only where it is told to, and by whom it is signed.
    let properties = match site.asks_for_certificates {
        true => json!({"clientCertificateAuthority": "Genesys Cloud"}),
        false => json!({}),
    };
    let mut config = Block::new("config", &[])
        .with("name", Expression::of(&name))
        .with("properties", Expression::Json(properties))
        .with("advanced", Expression::Json(json!({})));
    let mut blocks = Vec::new();
    if let Some(scheme) = scheme {
        let id = format!("genesyscloud_integration_credential.{label}.id");
        // Always under this key, whatever the type.
        let credentials = vec![("basicAuth".to_owned(), Expression::Hcl(id))];
        config = config.with("credentials", Expression::Object(credentials));
        blocks.push(credential(scheme, &name));
    }
    blocks.push(
        Block::new("resource", &["genesyscloud_integration", label])
            .with("integration_type", Expression::of("custom-rest-actions"))
            .with("intended_state", Expression::of("ENABLED"))
            .and(config),
    );
    let fetching = scheme.filter(|scheme| callers::credential(scheme).fetches);
    blocks.extend(fetching.map(|_| token_action(label, &name)));
    blocks
}

fn credential(scheme: &Scheme, name: &str) -> Block {
    let credential = callers::credential(scheme);
    let fields = credential.fields.iter().map(|held| {
        let value = match &held.filled {
            Filled::Asked(asked) => Expression::Hcl(format!("var.{}", variable(scheme, asked))),
            Filled::Ours(path) => here(path),
        };
        (held.key.to_owned(), value)
    });
    Block::new("resource", &["genesyscloud_integration_credential", scheme.name.as_str()])
        .with("name", Expression::of(name))
        .with("credential_type_name", Expression::of(credential.kind))
        .with("fields", Expression::Object(fields.collect()))
}

/// The name of the variable for a field.
fn variable(scheme: &Scheme, asked: &Asked) -> String {
    format!("{}_{}", scheme.name, asked.ending)
}

/// The address of a path of ours.
fn here(path: &str) -> Expression {
    let path = text(path);
    Expression::Hcl(format!("\"${{var.holdline_url}}{}", path.trim_start_matches('"')))
}

/// The action that Genesys Cloud makes with an integration of that credential, to fetch its token.
fn token_action(label: &str, name: &str) -> Block {
    let basic = "Basic $encoding.base64(\"${credentials.clientId}:${credentials.clientSecret}\")";
    let headers = vec![
        ("Authorization".to_owned(), Expression::of(basic)),
        ("Content-Type".to_owned(), Expression::of("application/x-www-form-urlencoded")),
    ];
    let request = Block::new("config_request", &[])
        .with("request_url_template", Expression::of("${credentials.loginUrl}"))
        .with("request_type", Expression::of("POST"))
        .with("request_template", Expression::of("grant_type=client_credentials"))
        .with("headers", Expression::Object(headers));
    let response =
        Block::new("config_response", &[]).with("success_template", Expression::of("${rawResult}"));
    Block::new("resource", &["genesyscloud_integration_custom_auth_action", label])
        .with("integration_id", Expression::Hcl(format!("genesyscloud_integration.{label}.id")))
        .with("name", Expression::of(format!("{name}: token")))
        .and(request)
        .and(response)
}

fn data_action(catalog: &Catalog, action: &Action, site: Site<'_>) -> Block {
    let name = action.name.as_str();
    let label = label(callers::for_genesys(catalog, action));
    let exchange = genesys::exchange(catalog, action);
    let headers = exchange.headers.into_iter().map(|(name, value)| (name, Expression::Text(value)));
    let translations = exchange
        .translations
        .iter()
        .map(|(name, path)| ((*name).to_owned(), Expression::of(*path)));
    let request = Block::new("config_request", &[])
        .with("request_url_template", here(&site.path(name)))
        .with("request_type", Expression::of("POST"))
        .with("request_template", Expression::of(exchange.request))
        .with("headers", Expression::Object(headers.collect()));
    let response = Block::new("config_response", &[])
        .with("translation_map", Expression::Object(translations.collect()))
        .with("translation_map_defaults", Expression::Object(Vec::new()))
        .with("success_template", Expression::of(exchange.success));
    Block::new("resource", &["genesyscloud_integration_action", name])
        .with("name", Expression::of(name))
        .with("category", Expression::of("Holdline"))
        .with("integration_id", Expression::Hcl(format!("genesyscloud_integration.{label}.id")))
        .with("secure", Expression::Hcl("false".to_owned()))
        .with("config_timeout_seconds", Expression::Hcl(timeout(action).to_string()))
        .with("contract_input", Expression::Json(genesys::input(action)))
        .with("contract_output", Expression::Json(genesys::output(action)))
        .and(request)
        .and(response)
}

/// The time-out there, in the whole seconds that Genesys Cloud knows: what is written, else the next
/// second above ours.
fn timeout(action: &Action) -> u64 {
    let above = Duration::from_secs(action.timeout.as_secs() + 1);
    let theirs = action.genesys_timeout.unwrap_or(above);
    let seconds = theirs.as_secs() + u64::from(theirs.subsec_nanos() > 0);
    seconds.clamp(1, 60)
}

fn address(site: Site<'_>, is_placed: bool) -> Block {
    let what = "Where Genesys Cloud calls Holdline, such as https://holdline.example.com";
    let variable = Block::new("variable", &["holdline_url"])
        .with("description", Expression::of(what))
        .with("type", Expression::Hcl("string".to_owned()));
    if is_placed { variable.with("default", Expression::of(site.origin)) } else { variable }
}

/// The variables of a scheme.
fn asked_for(scheme: &Scheme) -> Vec<Block> {
    let declared = |asked: Asked| {
        let mut block = Block::new("variable", &[&variable(scheme, &asked)])
            .with("description", Expression::of(asked.description))
            .with("type", Expression::Hcl("string".to_owned()));
        if asked.secret {
            block = block.with("sensitive", Expression::Hcl("true".to_owned()));
        }
        match asked.default {
            Some(default) => block.with("default", Expression::Text(default)),
            None => block,
        }
    };
    let fields = callers::credential(scheme).fields.into_iter();
    let asked = fields.filter_map(|held| match held.filled {
        Filled::Asked(asked) => Some(asked),
        Filled::Ours(_) => None,
    });
    asked.map(declared).collect()
}
