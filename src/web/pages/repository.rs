//! `POST /new/repository`: what is to be said of a Git URL while it is typed: whether it can be taken, and its branches and tags.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Form, Json, extract::State};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    domain::{person::PersonId, source::RepoUrl},
    git::{CloneLimits, RemoteRefs, list_refs},
    web::{AppState, error::WebError, submit::check_url, viewer::Viewer},
};

#[derive(Debug, Deserialize)]
pub(in crate::web) struct RepositoryForm {
    git_url: String,
    /// `yes`: ask the server of the repository too.
    refs: Option<String>,
}

#[derive(Debug, Default, Serialize)]
pub(in crate::web) struct RepositoryAnswer {
    /// Why the URL is refused; none when it would be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Why nothing is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    refs: Vec<String>,
}

/// The questions to servers of repositories: few at a time, few a minute for each person, and none twice in a row.
#[derive(Debug, Clone)]
pub(in crate::web) struct Lookups {
    permits: Arc<Semaphore>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    asked: HashMap<PersonId, VecDeque<Instant>>,
    /// By URL.
    known: HashMap<String, (Instant, RemoteRefs)>,
}

const AT_A_TIME: usize = 2;
const A_MINUTE: usize = 20;
const MINUTE: Duration = Duration::from_mins(1);
const MAX_KNOWN: usize = 100;

impl Default for Lookups {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_A_TIME)), memory: Arc::default() }
    }
}

pub(in crate::web) async fn post(
    State(state): State<AppState>,
    viewer: Viewer,
    Form(form): Form<RepositoryForm>,
) -> Result<Json<RepositoryAnswer>, WebError> {
    let url = match check_url(form.git_url.trim(), &state.config) {
        Ok(url) => url,
        Err(error) => return Ok(Json(RepositoryAnswer { error: Some(error.message), ..Default::default() })),
    };
    if form.refs.as_deref() != Some("yes") {
        return Ok(Json(RepositoryAnswer::default()));
    }
    Ok(Json(match refs(&state, viewer.id(), &url).await {
        Ok(refs) => RepositoryAnswer {
            default: refs.default.map(|name| name.to_string()),
            refs: refs.names.iter().map(ToString::to_string).collect(),
            ..Default::default()
        },
        Err(remark) => RepositoryAnswer { remark: Some(remark), ..Default::default() },
    }))
}

async fn refs(state: &AppState, person: PersonId, url: &RepoUrl) -> Result<RemoteRefs, String> {
    let lookups = &state.lookups;
    if let Some(known) = lookups.known(url) {
        return Ok(known);
    }
    if !lookups.may_ask(person) {
        return Err(tr!("Branches and tags are not looked up so often; wait a minute.").to_owned());
    }
    let _permit = lookups.permits.acquire().await.map_err(|error| error.to_string())?;
    let source = &state.config.source;
    let token = source.tokens.of(url);
    match list_refs(url, token, &source.address_policy, &CloneLimits::from(source)).await {
        Ok(refs) => {
            lookups.keep(url, refs.clone());
            Ok(refs)
        }
        Err(error) => Err(error.to_string()),
    }
}

impl Lookups {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, url: &RepoUrl) -> Option<RemoteRefs> {
        let memory = self.memory();
        memory.known.get(url.as_str()).filter(|(at, _)| at.elapsed() < MINUTE).map(|(_, refs)| refs.clone())
    }

    fn keep(&self, url: &RepoUrl, refs: RemoteRefs) {
        let mut memory = self.memory();
        memory.known.retain(|_, (at, _)| at.elapsed() < MINUTE);
        if memory.known.len() < MAX_KNOWN {
            memory.known.insert(url.to_string(), (Instant::now(), refs));
        }
    }

    fn may_ask(&self, person: PersonId) -> bool {
        let mut memory = self.memory();
        let asked = memory.asked.entry(person).or_default();
        asked.retain(|at| at.elapsed() < MINUTE);
        let may = asked.len() < A_MINUTE;
        if may {
            asked.push_back(Instant::now());
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_without_end() {
        let lookups = Lookups::default();
        let (anna, bob) = (PersonId(1), PersonId(2));
        assert_eq!((0..100).filter(|_| lookups.may_ask(anna)).count(), A_MINUTE);
        assert!(lookups.may_ask(bob));
        tokio::time::advance(MINUTE).await;
        assert!(lookups.may_ask(anna));
    }
}
