//! `/settings`: what the server runs with and on, what waits, what today cost. Nothing is changed here: that is the file's.
//! Who is not the owner sees what concerns their own tasks.

mod machine;
mod survey;
mod trial;

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::Timestamp;

use super::{figures, page};
use crate::{
    config::{Config, ListedSetting, Origin, Provider, ProviderKind},
    db::{Presence, TaskFilter},
    domain::{person::Scope, task::Status, task_id::TaskId},
    web::{AppState, error::WebError, owners::Owners, viewer::Viewer, waiting::Look},
};
use survey::Survey;
use trial::Trial;

pub(in crate::web) use survey::Surveys;
pub(in crate::web) use trial::{Trials, post as try_provider};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    today: Vec<Fact>,
    running: u64,
    max_running: Fact,
    waiting: Vec<Waiter>,
    /// Of those that wait, what is not shown.
    more_waiting: usize,
    limits: Vec<ListedSetting>,
    server: Option<ServerView>,
}

/// What is the owner's to see.
struct ServerView {
    machine: Vec<Fact>,
    disk: Vec<Fact>,
    providers: Vec<ProviderView>,
    people: Vec<Presence>,
    sections: Vec<Section>,
    /// When the machine was looked at; the script of the page looks again until it was.
    looked_at: Option<Timestamp>,
}

/// One line.
struct Fact {
    what: String,
    tone: Tone,
    text: String,
    /// Of a setting.
    origin: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Good,
    Bad,
    None,
}

struct Waiter {
    id: TaskId,
    title: String,
    owner: Option<String>,
    place: u64,
    why: String,
}

struct ProviderView {
    name: String,
    fact: Fact,
    /// What a trial asks unless told otherwise.
    model: String,
    trial: Option<Trial>,
    can_be_tried: bool,
}

struct Section {
    /// As it stands in the file.
    heading: String,
    settings: Vec<ListedSetting>,
    /// How many are not as they were shipped.
    own: usize,
}

#[derive(Clone, Copy)]
struct Settings<'a>(&'a [ListedSetting]);

const MAX_WAITING: usize = 50;
/// What bounds one task.
const LIMITS: [(&str, &str); 10] = [
    ("agent", "max_steps"),
    ("agent", "max_tokens"),
    ("agent", "max_cost_usd"),
    ("agent", "setup_timeout_s"),
    ("agent", "task_timeout_s"),
    ("sandbox", "memory_mb"),
    ("sandbox", "cpus"),
    ("sandbox", "pids"),
    ("sandbox", "disk_mb"),
    ("queue", "max_queued_per_person"),
];

pub(in crate::web) async fn get(State(state): State<AppState>, viewer: Viewer) -> Result<Response, WebError> {
    let settings = Settings(&state.config.listed);
    let look = Look::now(&state).await?;
    let owners = Owners::seen_by(&state, viewer.scope()).await?;
    let limit = u32::try_from(state.config.queue.max_queued).unwrap_or(u32::MAX);
    let filter = TaskFilter { status: Some(Status::Queued), ..TaskFilter::new(viewer.scope(), limit) };
    let mut tasks = state.db.tasks(filter).await?;
    tasks.sort_by_cached_key(|task| look.waiting(task).position);
    let more_waiting = tasks.len().saturating_sub(MAX_WAITING);
    let waiting = tasks.into_iter().take(MAX_WAITING).map(|task| {
        let waiting = look.waiting(&task);
        Waiter {
            title: task.instruction.title().to_owned(),
            owner: owners.of(&task),
            place: waiting.position,
            why: waiting.message(),
            id: task.id,
        }
    });
    let limits = LIMITS.iter().filter_map(|(section, name)| settings.get(section, name).cloned());
    let max_running = Fact::new(tr!("Side by side"), Tone::Good, state.config.queue.max_running.to_string());
    page(&SettingsPage {
        today: today(&state, settings, viewer.scope()).await?,
        running: look.running(),
        max_running: max_running.from(settings.origin("queue", "max_running")),
        waiting: waiting.collect(),
        more_waiting,
        limits: limits.collect(),
        server: if viewer.person.is_owner() { Some(ServerView::of(&state, settings).await?) } else { None },
    })
}

/// What a person used, or all of them together beside the limits of the day.
async fn today(state: &AppState, settings: Settings<'_>, scope: Scope) -> Result<Vec<Fact>, WebError> {
    let used = state.db.usage_today(scope).await?;
    let limits = state.config.agent.day_limits;
    let is_all = scope == Scope::All;
    let of = |used: String, limit: Option<String>| match limit.filter(|_| is_all) {
        Some(limit) => tr!("{used} of {limit}", used = used, limit = limit),
        None => used,
    };
    let cost = of(format!("${:.2}", used.cost_usd), limits.max_cost_usd.map(|limit| format!("${limit:.2}")));
    let tokens = of(figures::count(used.tokens()), limits.max_tokens.map(figures::count));
    let reached = limits.reached(&used);
    let tone = if is_all && reached.is_some() { Tone::Bad } else { Tone::Good };
    let mut facts = vec![Fact::new(tr!("Cost"), tone, cost), Fact::new(tr!("Tokens"), tone, tokens)];
    if is_all {
        for (fact, name) in facts.iter_mut().zip(["max_cost_usd_per_day", "max_tokens_per_day"]) {
            fact.origin = settings.origin("agent", name);
        }
    }
    if used.unpriced_tokens > 0 {
        let text = tr!("{tokens} of them without a price", tokens = figures::count(used.unpriced_tokens));
        facts.push(Fact::new("", Tone::None, text));
    }
    Ok(facts)
}

impl ServerView {
    async fn of(state: &AppState, settings: Settings<'_>) -> Result<Self, WebError> {
        let survey: Option<Arc<Survey>> = state.surveys.latest(state);
        let survey = survey.as_deref();
        let config = &state.config;
        let providers = config.llm.providers.iter();
        Ok(Self {
            machine: machine::machine(state, settings, survey),
            disk: machine::disk(state, settings, survey),
            providers: providers.map(|(name, provider)| ProviderView::of(state, name, provider)).collect(),
            people: state.db.presence().await?,
            sections: sections(&config.listed),
            looked_at: survey.map(|survey| survey.at),
        })
    }
}

impl ProviderView {
    fn of(state: &AppState, name: &str, provider: &Provider) -> Self {
        let config = &state.config;
        let can_be_tried =
            provider.kind != ProviderKind::Scripted && (provider.api_key_env.is_none() || provider.api_key.is_some());
        let fact = provider_fact(name, provider, config.agent.model.provider());
        let refused = state.vitals.models.refused().into_iter().find(|refused| refused.asked.provider() == name);
        let fact = match refused {
            Some(refused) => Fact::new(name, Tone::Bad, refused.reason),
            None => fact,
        };
        let (model, trial) = (model_of(config, name), state.trials.of(name));
        Self { name: name.to_owned(), fact, model, trial, can_be_tried }
    }
}

/// A model that is known of a provider: the agent's, or one with a price.
fn model_of(config: &Config, provider: &str) -> String {
    let agent = &config.agent;
    let configured = [Some(&agent.model), agent.fallback_model.as_ref(), agent.critique_model.as_ref()];
    let mut known = configured.into_iter().flatten().chain(config.llm.prices.keys());
    known.find(|model| model.provider() == provider).map(|model| model.id().to_owned()).unwrap_or_default()
}

/// Of a trial, in the words of the page.
fn outcome(trial: &Trial) -> String {
    match &trial.outcome {
        Ok(usage) => tr!(
            "{model} answered after {time}: {read} tokens in, {written} out, {cost}",
            model = trial.model,
            time = figures::milliseconds(u64::try_from(trial.took.as_millis()).unwrap_or(u64::MAX)),
            read = figures::count(usage.input_tokens),
            written = figures::count(usage.output_tokens),
            cost = figures::cost(*usage)
        ),
        Err(error) => tr!("{model}: {error}", model = trial.model, error = error),
    }
}

impl Settings<'_> {
    fn get(&self, section: &str, name: &str) -> Option<&ListedSetting> {
        self.0.iter().find(|setting| setting.section == section && setting.name == name)
    }

    fn origin(&self, section: &str, name: &str) -> Option<String> {
        self.get(section, name).map(|setting| format!("[{section}] {name} · {}", origin(&setting.origin)))
    }
}

impl Fact {
    fn new(what: &str, tone: Tone, text: String) -> Self {
        Self { what: what.to_owned(), tone, text, origin: None }
    }

    fn from(self, origin: Option<String>) -> Self {
        Self { origin, ..self }
    }
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "tone-good",
            Self::Bad => "tone-bad",
            Self::None => "tone-none",
        }
    }
}

fn provider_fact(name: &str, provider: &Provider, default: &str) -> Fact {
    let (tone, text) = match (provider.kind, &provider.api_key_env, &provider.api_key) {
        (ProviderKind::Scripted, ..) => (Tone::Good, tr!("plays files, needs no key").to_owned()),
        (_, None, _) => (Tone::Good, tr!("needs no key").to_owned()),
        (_, Some(variable), Some(_)) => (Tone::Good, tr!("has a key, from ${variable}", variable = variable)),
        (_, Some(variable), None) if name == default => {
            (Tone::Bad, tr!("no key; set ${variable} and start again", variable = variable))
        }
        (_, Some(variable), None) => (Tone::None, tr!("no key; ${variable} would hold it", variable = variable)),
    };
    Fact::new(name, tone, text)
}

/// Names a provider in the address of the page.
fn anchor(provider: &str) -> String {
    format!("provider-{}", url::form_urlencoded::byte_serialize(provider.as_bytes()).collect::<String>())
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
