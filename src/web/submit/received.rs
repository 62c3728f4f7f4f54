//! The fields of a form as they were typed, and the file that came with them.

use std::collections::BTreeSet;

use axum::extract::{Multipart, multipart::Field};
use serde::de::DeserializeOwned;

use super::{FieldError, GitSource, Submission, Upload};
use crate::{
    domain::limits::LimitsWish,
    web::{AppState, error::WebError},
};

/// What was read of a form; after an error it still holds what came before.
#[derive(Debug, Default)]
pub(in crate::web) struct Received {
    pub(in crate::web) typed: Typed,
    pub(in crate::web) upload: Option<Upload>,
    /// Of the file that came, also when it is gone.
    pub(in crate::web) archive_name: Option<String>,
    seen: BTreeSet<String>,
}

/// The text fields, word for word: a form that is refused shows them again.
#[derive(Debug, Default, Clone)]
pub(in crate::web) struct Typed {
    pub(in crate::web) task: String,
    pub(in crate::web) mode: String,
    pub(in crate::web) model: String,
    pub(in crate::web) image: String,
    pub(in crate::web) git_url: String,
    pub(in crate::web) git_ref: String,
    /// All limits as one JSON object: what a program sends.
    pub(in crate::web) limits: String,
    pub(in crate::web) max_steps: String,
    pub(in crate::web) max_tokens: String,
    pub(in crate::web) max_cost_usd: String,
    pub(in crate::web) setup_timeout_s: String,
    pub(in crate::web) task_timeout_s: String,
    /// One a line.
    pub(in crate::web) checks: String,
}

/// Room for an instruction of the greatest length in any encoding of a form.
const MAX_FIELD_BYTES: usize = 256 * 1024;

impl Received {
    /// Reads the form to its end; the file goes to disk as it comes.
    pub(in crate::web) async fn read(&mut self, state: &AppState, mut form: Multipart) -> Result<(), WebError> {
        while let Some(field) = form.next_field().await? {
            let name = field.name().unwrap_or_default().to_owned();
            if !self.seen.insert(name.clone()) {
                return Err(invalid(FieldError::new(name, "is given more than once")));
            }
            if name == "archive" {
                self.read_archive(state, field).await?;
                continue;
            }
            let text = read_text(&name, field).await?;
            match self.typed.field(&name) {
                Some(place) => *place = text,
                None => return Err(invalid(FieldError::new(&name, &format!("unknown field `{name}`")))),
            }
        }
        Ok(())
    }

    async fn read_archive(&mut self, state: &AppState, field: Field<'_>) -> Result<(), WebError> {
        let has_name = field.file_name().is_some_and(|name| !name.is_empty());
        let upload = Upload::receive(state, field).await?;
        // A browser sends a file field that was left empty as a nameless file of no bytes.
        self.upload = (has_name || upload.bytes > 0).then_some(upload);
        self.archive_name = self.upload.as_ref().map(|upload| upload.name.clone());
        Ok(())
    }
}

impl Typed {
    fn field(&mut self, name: &str) -> Option<&mut String> {
        Some(match name.trim_start_matches("source.").trim_start_matches("limits.") {
            "task" => &mut self.task,
            "mode" => &mut self.mode,
            "model" => &mut self.model,
            "image" => &mut self.image,
            "git_url" => &mut self.git_url,
            "git_ref" => &mut self.git_ref,
            "limits" => &mut self.limits,
            "max_steps" => &mut self.max_steps,
            "max_tokens" => &mut self.max_tokens,
            "max_cost_usd" => &mut self.max_cost_usd,
            "setup_timeout_s" => &mut self.setup_timeout_s,
            "task_timeout_s" => &mut self.task_timeout_s,
            "checks" => &mut self.checks,
            _ => return None,
        })
    }

    /// Without what is typed into a URL before the host: a password is shown to nobody, not even to who typed it.
    pub(in crate::web) fn without_passwords(mut self) -> Self {
        let after_scheme = self.git_url.find("://").map_or(0, |at| at + "://".len());
        if let Some((login, _)) = self.git_url[after_scheme..].rsplit_once('@')
            && (login.contains(':') || !login.contains('/'))
        {
            let end = after_scheme + login.len() + '@'.len_utf8();
            self.git_url.replace_range(after_scheme..end, "");
        }
        self
    }

    /// The same as JSON would have said it; a field left empty was not given.
    pub(in crate::web) fn submission(&self) -> Result<Submission, WebError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let source = match (given(&self.git_url), given(&self.git_ref)) {
            (Some(git_url), git_ref) => Some(GitSource { git_url, git_ref }),
            (None, None) => None,
            (None, Some(_)) => return Err(invalid(FieldError::new("git_ref", "belongs to a Git URL; give that too"))),
        };
        Ok(Submission {
            source,
            task: self.task.clone(),
            mode: given(&self.mode),
            model: given(&self.model),
            image: given(&self.image),
            limits: self.limits()?,
            checks: self.checks.lines().filter_map(given).collect(),
        })
    }

    fn limits(&self) -> Result<LimitsWish, WebError> {
        let mut errors = Vec::new();
        let whole: Option<LimitsWish> = number("limits", &self.limits, "a JSON object of limits", &mut errors);
        let whole = whole.unwrap_or_default();
        let count = "a whole number";
        let limits = LimitsWish {
            max_steps: number("max_steps", &self.max_steps, count, &mut errors).or(whole.max_steps),
            max_tokens: number("max_tokens", &self.max_tokens, count, &mut errors).or(whole.max_tokens),
            max_cost_usd: number("max_cost_usd", &self.max_cost_usd, "a number of dollars", &mut errors)
                .or(whole.max_cost_usd),
            setup_timeout_s: number("setup_timeout_s", &self.setup_timeout_s, count, &mut errors)
                .or(whole.setup_timeout_s),
            task_timeout_s: number("task_timeout_s", &self.task_timeout_s, count, &mut errors).or(whole.task_timeout_s),
        };
        if errors.is_empty() { Ok(limits) } else { Err(WebError::Invalid { fields: errors }) }
    }
}

fn number<T: DeserializeOwned>(field: &str, text: &str, what: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    if text.trim().is_empty() {
        return None;
    }
    let parsed = serde_json::from_str(text.trim());
    if parsed.is_err() {
        errors.push(FieldError::new(field, &format!("must be {what}")));
    }
    parsed.ok()
}

async fn read_text(name: &str, mut field: Field<'_>) -> Result<String, WebError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_FIELD_BYTES {
            return Err(invalid(FieldError::new(name, "is too long")));
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(FieldError::new(name, "is not UTF-8 text")))
}

fn invalid(error: FieldError) -> WebError {
    WebError::Invalid { fields: vec![error] }
}
