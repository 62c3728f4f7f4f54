//! A failed call, told so that a person can act and without the key.

use std::time::Duration;

use genai::webc;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;

use super::super::{LlmError, Request};
use super::HostedSettings;
use crate::{domain::usage::Usage, redact, wall_clock};

const SHOWN_CHARS: usize = 500;

pub(super) fn of(settings: &HostedSettings, request: &Request<'_>, error: genai::Error) -> LlmError {
    let name = &settings.name;
    match error {
        genai::Error::WebModelCall { webc_error, .. } => match webc_error {
            webc::Error::ResponseFailedStatus { status, body, headers } => {
                let said = said_by_provider(&body);
                by_status(settings, request, status.as_u16(), Some(&headers), &said)
            }
            webc::Error::ResponseFailedNotJson { content_type, body } => bad(format!(
                "{name} answered with {} instead of JSON ({}); check base_url",
                if content_type.is_empty() { "an unnamed format" } else { &content_type },
                said_by_provider(&body)
            )),
            webc::Error::ResponseFailedInvalidJson { cause, .. } => {
                bad(format!("{name} answered with broken JSON: {}", redact::mask(&cause)))
            }
            webc::Error::Reqwest(error) => transport(settings, "the server's own relay", error),
            webc::Error::JsonValueExt(error) => bad(format!("{name} answered with unexpected JSON: {error}")),
        },
        genai::Error::ChatResponseGeneration { cause, response_body, .. } => {
            inside_answer(settings, request, &response_body)
                .unwrap_or_else(|| bad(format!("{name} answered with JSON that is no answer: {}", shown(&cause))))
        }
        other => LlmError::Refused {
            status: None,
            message: format!("the request to {name} could not be made: {}", shown(&other.to_string())),
        },
    }
}

/// Some gateways answer `200 OK` with an error inside.
pub(super) fn inside_answer(settings: &HostedSettings, request: &Request<'_>, body: &Value) -> Option<LlmError> {
    let error = body.get("error").filter(|error| !error.is_null())?;
    let said = said_by_provider(&body.to_string());
    let code = error["code"].as_u64().and_then(|code| u16::try_from(code).ok()).filter(|code| *code >= 400);
    // Ollama says so when a model that had begun to answer broke down.
    if error.is_string() {
        return Some(unavailable(format!("{} could not go on: {said}", settings.name)));
    }
    Some(match (code, error["type"].as_str()) {
        (Some(status), _) => by_status(settings, request, status, None, &said),
        (
            None,
            Some(
                "overloaded_error"
                | "rate_limit_error"
                | "api_error"
                | "timeout_error"
                | "server_error"
                | "rate_limit_exceeded",
            ),
        ) => unavailable(format!("{} cannot answer now: {said}", settings.name)),
        (None, _) => {
            LlmError::Refused { status: None, message: format!("{} refused the request: {said}", settings.name) }
        }
    })
}

pub(super) fn key_missing(settings: &HostedSettings) -> LlmError {
    let message = format!("{} needs an API key: {}", settings.name, where_the_key_is(settings));
    LlmError::Refused { status: None, message }
}

fn by_status(
    settings: &HostedSettings,
    request: &Request<'_>,
    status: u16,
    headers: Option<&HeaderMap>,
    said: &str,
) -> LlmError {
    let name = &settings.name;
    let refused = |message: String| LlmError::Refused { status: Some(status), message };
    match status {
        300..=399 => {
            let to = headers.and_then(|headers| headers.get(LOCATION)).and_then(|to| to.to_str().ok()).unwrap_or("");
            let to = shown(to);
            refused(format!("redirect refused: {name} answered {status} to {to:?}; set base_url to the final address"))
        }
        401 | 403 => {
            refused(format!("{name} did not accept the API key ({status}: {said}): {}", where_the_key_is(settings)))
        }
        404 => refused(format!(
            "{name} does not know the model {:?} or the address ({said}): check the model's name and base_url",
            request.model_id
        )),
        413 => refused(format!("the conversation has become too large for {name} ({said}): give it a smaller task")),
        // OpenAI uses 429 also for an empty account, where waiting does not help.
        429 if said.contains("insufficient_quota") || said.contains("exceeded your current quota") => {
            refused(format!("the account at {name} is used up ({said}): top it up or use another provider"))
        }
        408 | 409 | 425 | 429 | 500.. => LlmError::Unavailable {
            message: format!("{name} cannot answer now ({status}: {said}): try again later"),
            retry_after: headers.and_then(retry_after),
            usage: Usage::default(),
        },
        _ => refused(format!("{name} refused the request ({status}: {said})")),
    }
}

fn where_the_key_is(settings: &HostedSettings) -> String {
    match &settings.api_key_env {
        Some(variable) => format!("check the environment variable {variable} and restart the server"),
        None => format!("name its environment variable in api_key_env of [llm.providers.{}]", settings.name),
    }
}

pub(super) fn transport(settings: &HostedSettings, base_url: &str, error: reqwest::Error) -> LlmError {
    let name = &settings.name;
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let cause = shown(&innermost.to_string());
    unavailable(if error.is_connect() {
        format!("{name} is out of reach at {base_url} ({cause}): check base_url and the network")
    } else {
        format!("the answer of {name} broke off ({cause})")
    })
}

/// The sentence a provider put into its error body; each has a place of its own for it.
fn said_by_provider(body: &str) -> String {
    let json = serde_json::from_str::<Value>(body).unwrap_or_default();
    let places = ["/error/message", "/0/error/message", "/error", "/message", "/detail"];
    let sentence = places.iter().find_map(|place| json.pointer(place)?.as_str());
    match sentence {
        Some(sentence) => shown(sentence),
        None if body.trim().is_empty() => "no reason given".to_owned(),
        None if body.trim_start().starts_with('<') => "an HTML page".to_owned(),
        None => shown(body),
    }
}

/// Masked before it is cut, or half a key could stay.
fn shown(text: &str) -> String {
    let text = redact::mask(text.trim());
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// RFC 9110, section 10.2.3: seconds or a date. OpenAI and Anthropic send milliseconds beside it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let after = text("retry-after")?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(after).ok()?.timestamp();
    // By the clock of whoever sent it: ours may be set otherwise.
    let sent = text("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let sent = sent.map_or_else(wall_clock::now, |sent| sent.timestamp());
    Some(Duration::try_from(date.duration_since(sent)).unwrap_or_default())
}

pub(super) fn unavailable(message: String) -> LlmError {
    LlmError::Unavailable { message, retry_after: None, usage: Usage::default() }
}

pub(super) fn bad(message: String) -> LlmError {
    LlmError::BadOutput { message, usage: Usage::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_form_of_retry_after_is_understood() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = wait("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT").unwrap();
        assert!(later > Duration::from_hours(365 * 24), "{later:?}");
        assert_eq!(wait("retry-after", "soon"), None);
    }

    #[test]
    fn f24_a_date_to_retry_after_counts_from_the_clock_of_whoever_sent_it() {
        for (sent, after, seconds) in [("07:28:00", "07:28:30", 30), ("07:28:00", "07:27:00", 0)] {
            let mut headers = HeaderMap::new();
            headers.insert("date", format!("Wed, 21 Oct 2015 {sent} GMT").parse().unwrap());
            headers.insert("retry-after", format!("Wed, 21 Oct 2015 {after} GMT").parse().unwrap());
            assert_eq!(retry_after(&headers), Some(Duration::from_secs(seconds)));
        }
    }
}
