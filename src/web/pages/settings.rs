//! `/settings`: what the server runs with, and what it runs on. Nothing is changed here: that is the file's.

use std::time::Duration;

use askama::Template;
use axum::{extract::State, response::Response};
use tokio::time::timeout;

use super::{figures, page};
use crate::{
    config::{ListedSetting, Origin, Provider, ProviderKind},
    host,
    web::{AppState, error::WebError},
};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    machine: Vec<Fact>,
    providers: Vec<Fact>,
    sections: Vec<Section>,
}

/// One line about the machine or a provider.
struct Fact {
    what: String,
    tone: &'static str,
    text: String,
}

struct Section {
    /// As it stands in the file.
    heading: String,
    settings: Vec<ListedSetting>,
    /// How many are not as they were shipped.
    own: usize,
}

const ENGINE_PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::web) async fn get(State(state): State<AppState>) -> Result<Response, WebError> {
    let config = &state.config;
    let default = config.agent.model.provider();
    let providers =
        config.llm.providers.iter().map(|(name, provider)| provider_fact(name, provider, default)).collect();
    page(&SettingsPage { machine: machine(&state).await, providers, sections: sections(&config.listed) })
}

async fn machine(state: &AppState) -> Vec<Fact> {
    let fact = |what: &str, tone, text: String| Fact { what: what.to_owned(), tone, text };
    let mut facts = Vec::new();
    match timeout(ENGINE_PATIENCE, state.vitals.engine.facts()).await {
        Ok(Ok(engine)) => {
            facts.push(fact("Docker Engine", "good", format!("{} (API {})", engine.version, engine.api_version)));
            let runc = engine.runc.clone().unwrap_or_else(|| tr!("not used").to_owned());
            facts.push(fact("runc", "good", runc));
            facts.extend(engine.warnings().into_iter().map(|text| fact(tr!("Update"), "bad", text)));
        }
        Ok(Err(error)) => facts.push(fact("Docker Engine", "bad", error.to_string())),
        Err(_) => {
            let text = tr!("no answer within {n} s; `atelier doctor` looks closer", n = ENGINE_PATIENCE.as_secs());
            facts.push(fact("Docker Engine", "bad", text));
        }
    }
    facts.push(match host::kernel() {
        Ok(release) => fact(tr!("Kernel"), "good", release),
        Err(problem) => fact(tr!("Kernel"), "bad", problem),
    });
    if let Ok(space) = host::disk_space(state.data_dir.path()) {
        let reserve = state.config.queue.disk_reserve(space);
        let text =
            tr!("{free} free of {total}", free = figures::bytes(space.free), total = figures::bytes(space.total));
        facts.push(if space.free > reserve {
            fact(tr!("Disk"), "good", text)
        } else {
            fact(
                tr!("Disk"),
                "bad",
                tr!(
                    "{space}; no task starts below {reserve}: make room",
                    space = text,
                    reserve = figures::bytes(reserve)
                ),
            )
        });
    }
    facts
}

fn provider_fact(name: &str, provider: &Provider, default: &str) -> Fact {
    let (tone, text) = match (provider.kind, &provider.api_key_env, &provider.api_key) {
        (ProviderKind::Scripted, ..) => ("good", tr!("plays files, needs no key").to_owned()),
        (_, None, _) => ("good", tr!("needs no key").to_owned()),
        (_, Some(variable), Some(_)) => ("good", tr!("has a key, from ${variable}", variable = variable)),
        (_, Some(variable), None) if name == default => {
            ("bad", tr!("no key; set ${variable} and start again", variable = variable))
        }
        (_, Some(variable), None) => ("none", tr!("no key; ${variable} would hold it", variable = variable)),
    };
    Fact { what: name.to_owned(), tone, text }
}

fn sections(listed: &[ListedSetting]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for setting in listed {
        let heading =
            if setting.section.is_empty() { tr!("General").to_owned() } else { format!("[{}]", setting.section) };
        if sections.last().is_none_or(|last| last.heading != heading) {
            sections.push(Section { heading, settings: Vec::new(), own: 0 });
        }
        if let Some(section) = sections.last_mut() {
            section.own += usize::from(setting.origin != Origin::Default);
            section.settings.push(setting.clone());
        }
    }
    sections
}

/// In the words of the page.
fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Default => tr!("default").to_owned(),
        Origin::File => tr!("file").to_owned(),
        Origin::CommandLine => tr!("command line").to_owned(),
        Origin::Environment(variable) => format!("${variable}"),
    }
}
