//! `/hooks/{forge}`: a forge tells what happened there, and a task begins when somebody asks for one. `docs/webhooks.md` says
//! how.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{AppState, body, error::WebError, extract::BaseUrl, submit};
use crate::{
    config::{Forge, Webhook},
    domain::{
        excerpt::head_and_tail,
        limits::LimitsWish,
        person::PersonId,
        source::Source,
        task::{Instruction, MAX_INSTRUCTION_BYTES, Mode, NewTask},
        task_id::TaskId,
        trigger::{Asked, Trigger},
    },
    forge::{self, Headers, NotAsked},
};

/// Forges send whole issues with whole repositories and people around them.
const MAX_BYTES: usize = 1024 * 1024;

impl Headers for HeaderMap {
    fn header(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

/// A forge that gets an error shows it to the owner of its webhook; what merely asks for nothing is none.
pub(super) async fn post(
    State(state): State<AppState>,
    Path(name): Path<String>,
    base: BaseUrl,
    request: Request,
) -> Result<Response, WebError> {
    let config = state.config.clone();
    let known = config.forges.named(&name).and_then(|forge| Some((forge, forge.webhook.as_ref()?)));
    let (settings, webhook) = known.ok_or(WebError::NotFound)?;
    let headers = request.headers().clone();
    let body = body::of(request, MAX_BYTES).await?;
    let asked = match judge(settings, webhook, &headers, &body) {
        Ok(asked) => asked,
        Err(error) => {
            let status = match &error {
                NotAsked::NoSecret(_) => StatusCode::SERVICE_UNAVAILABLE,
                NotAsked::Unsigned => StatusCode::UNAUTHORIZED,
                NotAsked::Unreadable(_) => StatusCode::BAD_REQUEST,
                NotAsked::Nothing(_) => StatusCode::OK,
            };
            return Ok((status, Json(json!({ "message": error.to_string() }))).into_response());
        }
    };
    let Asked { repository, issue, person, key, instruction } = asked;
    let trigger = Trigger { forge: name, repository: repository.clone(), issue, person, key };
    if let Some(id) = state.db.task_of_trigger(trigger.clone()).await? {
        return Ok(begun(StatusCode::OK, &id, &base));
    }
    let instruction = head_and_tail(&instruction, MAX_INSTRUCTION_BYTES).into_owned();
    let new = NewTask {
        owner: PersonId::OWNER,
        source: Source::Git { git_url: repository, git_ref: None },
        instruction: Instruction::try_from(instruction).map_err(|error| WebError::Malformed(error.to_string()))?,
        mode: Mode::Pr,
        model: None,
        image: None,
        limits: LimitsWish::default(),
        allow_hosts: Vec::new(),
        checks: Vec::new(),
        trigger: Some(trigger),
    };
    let task = submit::queue(&state, new, None).await?;
    Ok(begun(StatusCode::CREATED, &task.id, &base))
}

fn judge(settings: &Forge, webhook: &Webhook, headers: &HeaderMap, body: &[u8]) -> Result<Asked, NotAsked> {
    forge::verify(settings.kind, webhook, headers, body)?;
    let asked = forge::asked(settings, &webhook.label, headers, body)?;
    // Names of people mean the same in whatever case they are written.
    if webhook.people.iter().any(|person| person.eq_ignore_ascii_case(&asked.person)) {
        Ok(asked)
    } else {
        Err(NotAsked::Nothing("who asked is not among [forge] webhook_people"))
    }
}

fn begun(status: StatusCode, id: &TaskId, base: &BaseUrl) -> Response {
    (status, Json(json!({ "task": id.as_str(), "url": format!("{}/tasks/{id}", base.0) }))).into_response()
}
