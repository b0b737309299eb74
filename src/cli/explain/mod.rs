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
        caller::{Proof, Scheme},
        limit::{Limit, LimitKey},
        name::Name,
        upstream::Upstream,
        worst_case::{self, Fetch},
    },
    cli::load,
    config::nearest::by_distance,
    settings::ServerSettings,
};

use page::Page;
use words::{count, list, rate, span};

/// Explains the action of that name; 1 where the configuration is wrong or has no such action.
pub(super) fn run(name: &str, file: Option<&Path>) -> ExitCode {
    let (catalog, server) = match load::load(file) {
        Ok(loaded) => (loaded.catalog, loaded.settings.server),
        Err(report) => {
            eprintln!("{report}");
            return ExitCode::FAILURE;
        }
    };
    let Some(action) = catalog.action(name) else {
        let known = by_distance(name, catalog.actions.keys().map(Name::as_str));
        let known: Vec<String> = known.iter().map(|(_, known)| format!("`{known}`")).collect();
        eprintln!("holdline: there is no action of that name; there are: {}", known.join(", "));
        return ExitCode::FAILURE;
    };
    print!("{}", explained(&catalog, &server, action));
    ExitCode::SUCCESS
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
    let attempts = fetch.most_attempts() * if upstream::hedged(view) { 2 } else { 1 };
    let mut text = format!(
        "In short: a call is answered within {}, whatever happens, and costs {} at most {}.",
        span(fetch.patience),
        upstream.name,
        count(attempts, "attempt"),
    );
    if let Some(cache) = &action.cache {
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
            let keys = match keys.len() {
                1 => "the key".to_owned(),
                several => format!("one of the {several} keys"),
            };
            format!("Who shows {keys} of `{name}` in {header}.")
        }
        Proof::Introspection(authority) => {
            let host = authority.url.host_str().unwrap_or_default();
            let only = match (&authority.org, &*authority.clients) {
                (None, []) => String::new(),
                (Some(_), []) => ", of one organisation".to_owned(),
                (org, clients) => {
                    let clients = count(clients.len() as u32, "OAuth client");
                    let org = if org.is_some() { " of one organisation" } else { "" };
                    format!(", of {clients}{org}")
                }
            };
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

fn limit(limit: &Limit) -> String {
    let whose: Vec<String> = limit
        .key
        .iter()
        .map(|part| match part {
            LimitKey::All => "all calls together".to_owned(),
            LimitKey::Org => "each organisation".to_owned(),
            LimitKey::Caller => "each caller".to_owned(),
            LimitKey::Action => "each action".to_owned(),
            LimitKey::Input(name) => format!("each {name} of an organisation"),
        })
        .collect();
    let (calls, whose) = (rate(limit.period, "calls"), list(&whose, "and"));
    let only = if limit.enforce { "" } else { " (only counted)" };
    format!("{}: {calls} for {whose}, {} at once{only}.", limit.name, limit.burst)
}
