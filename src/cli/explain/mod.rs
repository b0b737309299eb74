//! `explain`: what the configuration means for one action, in plain words, and what a call of it
//! costs at worst. The numbers are those of `catalog::worst_case`.

mod answers;
mod page;
mod upstream;
mod words;

use std::{path::Path, process::ExitCode};

use crate::{
    catalog::{
        Catalog,
        action::{Action, Envelope},
        caller::{Admission, Jwt, Proof, Scheme},
        limit::{Limit, LimitKey},
        policy::CachePolicy,
        upstream::Upstream,
        worst_case::{self, Fetch},
    },
    cli::{load, out},
    settings::ServerSettings,
};

use page::Page;
use words::{count, list, rate, span};

pub(super) use words::host;

/// Explains the action of that name; 1 where the configuration is wrong or has no such action.
pub(super) fn run(name: &str, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (catalog, server) = match load::load(file) {
        Ok(loaded) => (loaded.catalog, loaded.settings.server),
        Err(report) => {
            eprintln!("{report}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let action = load::action(&catalog, name)?;
    out::whole(&explained(&catalog, &server, action))?;
    Ok(ExitCode::SUCCESS)
}

/// What is explained, and its upstream.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    catalog: &'a Catalog,
    server: &'a ServerSettings,
    action: &'a Action,
    upstream: &'a Upstream,
    fetch: Fetch<'a>,
}

fn explained(catalog: &Catalog, server: &ServerSettings, action: &Action) -> String {
    let upstream = &catalog.upstreams[action.upstream.as_str()];
    let view = View { catalog, server, action, upstream, fetch: Fetch::of(action, upstream) };
    let mut page = Page::default();
    in_short(&view, &mut page);
    the_call(&view, &mut page);
    upstream::explain(&view, &mut page);
    upstream::when_it_is_broken(&view, &mut page);
    answers::kept(&view, &mut page);
    answers::none(&view, &mut page);
    page.text().to_owned()
}

fn in_short(view: &View<'_>, page: &mut Page) {
    let View { action, upstream, fetch, .. } = view;
    match &*action.description {
        "" => page.paragraph(action.name.as_str()),
        description => page.paragraph(&format!("{}: {description}", action.name)),
    }
    let mut text = format!(
        "In short: a call is answered within {}, whatever happens, and costs {} at most {}.",
        span(fetch.patience),
        upstream.name,
        count(fetch.most_attempts(), "attempt"),
    );
    let stale =
        |cache: &&CachePolicy| !cache.stale_while_revalidate.max(cache.stale_if_error).is_zero();
    if let Some(cache) = action.cache.as_ref().filter(stale) {
        text.push_str(&format!(
            " While {} is down, an answer of up to {} ago may stand in.",
            upstream.name,
            span(worst_case::oldest(cache)),
        ));
    }
    page.heading(&text);
}

fn the_call(view: &View<'_>, page: &mut Page) {
    let View { catalog, server, action, fetch, .. } = view;
    page.heading("THE CALL");
    let schemes = action.callers.iter().filter_map(|name| catalog.callers.get(name.as_str()));
    let mut who: Vec<String> = schemes.map(|scheme| proof(scheme)).collect();
    if who.is_empty() {
        who.push("Anybody: no proof is asked for.".to_owned());
    }
    page.row("Who may call", &who.join(" Or else: "));
    let limits = action.limits.iter().filter_map(|name| catalog.limits.get(name.as_str()));
    let limits: Vec<String> = limits.map(|known| limit(known)).collect();
    let limits = limits.join(" ");
    page.row("Limits", if limits.is_empty() { "None." } else { &limits });
    let of_one = match server.max_in_flight_per_org {
        0 => String::new(),
        most => format!(", {most} of one organisation"),
    };
    let most = server.max_in_flight;
    let under_way = format!("At most {most} calls of all actions{of_one}; more are shed with 503.");
    page.row("Under way", &under_way);
    page.row(
        "Time",
        &format!(
            "{}: the timeout of {}, less {} for the way of the answer. A caller's X-Deadline-Ms \
             can only shorten it.",
            span(fetch.patience),
            span(action.timeout),
            span(action.timeout - fetch.patience),
        ),
    );
    let envelope = match action.envelope {
        Envelope::Data => "{\"data\": {...}} around inputs and outputs.",
        Envelope::Flat => "Flat objects, as Genesys Cloud sends and reads them.",
    };
    page.row("Envelope", envelope);
}

fn proof(scheme: &Scheme) -> String {
    let (name, header) = (&scheme.name, &scheme.header_text);
    match &scheme.proof {
        Proof::ApiKey(keys) => {
            format!("Who shows {} of `{name}` in {header}.", one_of(keys.len(), "key"))
        }
        Proof::Basic(users) => {
            let user = one_of(users.len(), "user");
            format!("Who shows, by Basic in {header}, that they are {user} of `{name}`.")
        }
        Proof::Issued(issued) => {
            let (client, path) = (one_of(issued.clients.len(), "client"), &issued.path);
            let ttl = span(issued.ttl);
            format!(
                "Who shows a token in {header} that {client} of `{name}` has fetched here, at \
                 {path}, in the last {ttl}."
            )
        }
        Proof::Jwt(jwt) => signed(scheme, jwt),
        Proof::Introspection(authority) => {
            let host = host(&authority.url);
            let only = admitted(&authority.admission);
            let verdicts = &authority.verdicts;
            format!(
                "Who shows a token in {header} that {host} finds active{only} (`{name}`). Its \
                 word holds for {}, a refusal for {}; asking takes at most {} of the call's time.",
                span(verdicts.ttl),
                span(verdicts.refused_ttl),
                span(authority.timeout),
            )
        }
    }
}

fn signed(scheme: &Scheme, jwt: &Jwt) -> String {
    let (name, header) = (&scheme.name, &scheme.header_text);
    let audiences: Vec<&str> = jwt.audiences.iter().map(String::as_str).collect();
    format!(
        "Who shows in {header} a token that {} has signed for {}{} (`{name}`). Fetching the keys \
         that prove it takes at most {} of a call's time; nobody is asked about a token.",
        jwt.issuer,
        list(&audiences, "or"),
        admitted(&jwt.admission),
        span(jwt.timeout),
    )
}

/// Whose tokens alone are taken; nothing where all are.
fn admitted(admission: &Admission) -> String {
    match (&admission.org, &*admission.clients) {
        (None, []) => String::new(),
        (Some(_), []) => ", of one organisation".to_owned(),
        (org, clients) => {
            let clients = count(clients.len() as u32, "OAuth client");
            let org = if org.is_some() { " of one organisation" } else { "" };
            format!(", of {clients}{org}")
        }
    }
}

fn one_of(number: usize, what: &str) -> String {
    match number {
        1 => format!("the {what}"),
        several => format!("one of the {several} {what}s"),
    }
}

fn limit(limit: &Limit) -> String {
    let (calls, whose) = (rate(limit.period, "calls"), counted_together(&limit.key));
    let only = if limit.enforce { "" } else { " (only counted)" };
    format!("{}: {calls} for {whose}, {} at once{only}.", limit.name, limit.burst)
}

/// Whose calls are counted together: one number for all parts of the key, not one for each part.
fn counted_together(key: &[LimitKey]) -> String {
    let parts = key.iter().filter_map(|part| match part {
        LimitKey::Input(name) => Some(name.as_str()),
        LimitKey::Action => Some("action"),
        LimitKey::Caller => Some("caller"),
        LimitKey::All | LimitKey::Org => None,
    });
    let parts: Vec<&str> = parts.collect();
    // An input and a caller are always meant within their organisation.
    let within = key.iter().any(|part| matches!(part, LimitKey::Org | LimitKey::Input(_)));
    match (&*parts, within) {
        ([], false) => "all calls together".to_owned(),
        ([], true) => "each organisation".to_owned(),
        ([only], false) => format!("each {only}"),
        ([only], true) => format!("each {only} of an organisation"),
        (several, false) => format!("each combination of {}", list(several, "and")),
        (several, true) => {
            format!("each combination of {} within an organisation", list(several, "and"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_what_is_alike_in_all_parts_of_its_key() {
        let input = |name: &str| LimitKey::Input(name.to_owned());
        for (key, whose) in [
            (vec![LimitKey::All], "all calls together"),
            (vec![LimitKey::Org], "each organisation"),
            (vec![LimitKey::Caller], "each caller"),
            (vec![LimitKey::Org, LimitKey::Caller], "each caller of an organisation"),
            (vec![input("id")], "each id of an organisation"),
            (vec![LimitKey::Org, input("id")], "each id of an organisation"),
            (vec![LimitKey::Caller, LimitKey::Action], "each combination of caller and action"),
            (
                vec![LimitKey::Org, LimitKey::Caller, input("id")],
                "each combination of caller and id within an organisation",
            ),
        ] {
            assert_eq!(counted_together(&key), whose);
        }
    }
}
