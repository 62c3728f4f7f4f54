//! The address of a provider, from what people write into `base_url`.

use url::Url;

use super::HostedKind;

/// Always with a slash at the end, since genai puts the name of the call behind it. `Err` is for people.
pub(super) fn base_url(kind: HostedKind, given: Option<&str>) -> Result<String, String> {
    let Some(given) = given else { return Ok(usual(kind).to_owned()) };
    let mut url =
        Url::parse(given).map_err(|error| format!("{given:?} is no address ({error}); write https://host/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(format!("{given:?} is no web address; write https://host/v1"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "it holds a user or a password; put the key into an environment variable and name that in api_key_env"
                .to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{given:?} has a `?` or `#`; write only the address, such as https://host/v1"));
    }
    let path = versioned(kind, url.path().trim_end_matches('/'));
    url.set_path(&format!("{path}/"));
    Ok(url.into())
}

fn usual(kind: HostedKind) -> &'static str {
    match kind {
        HostedKind::OpenAi | HostedKind::OpenAiResponses => "https://api.openai.com/v1/",
        HostedKind::Anthropic => "https://api.anthropic.com/v1/",
        HostedKind::DeepSeek => "https://api.deepseek.com/v1/",
        HostedKind::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
        HostedKind::Ollama => "http://localhost:11434/",
    }
}

/// Documentation names the base, the base without the version (Anthropic, Ollama) or the whole call: all three work.
fn versioned(kind: HostedKind, path: &str) -> String {
    let without = |path: &str, end: &str| path.strip_suffix(end).unwrap_or(path).to_owned();
    match kind {
        HostedKind::OpenAi | HostedKind::OpenAiResponses | HostedKind::DeepSeek => {
            let path = without(&without(path, "/chat/completions"), "/responses");
            if path.is_empty() { "/v1".to_owned() } else { path }
        }
        HostedKind::Anthropic => format!("{}/v1", without(&without(path, "/messages"), "/v1")),
        HostedKind::Gemini if path.is_empty() => "/v1beta".to_owned(),
        HostedKind::Gemini => path.to_owned(),
        HostedKind::Ollama => without(&without(&without(path, "/chat"), "/api"), "/v1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_way_to_write_it_reaches_the_same_place() {
        use HostedKind::{Anthropic, DeepSeek, Gemini, Ollama, OpenAi, OpenAiResponses};
        for (kind, given, meant) in [
            (OpenAi, "https://host/v1", "https://host/v1/"),
            (OpenAi, "https://host/v1/", "https://host/v1/"),
            (OpenAi, "https://host", "https://host/v1/"),
            (OpenAiResponses, "https://host/v1/responses", "https://host/v1/"),
            (OpenAi, "http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1/"),
            (OpenAi, "https://host/api/paas/v4", "https://host/api/paas/v4/"),
            (DeepSeek, "https://api.deepseek.com", "https://api.deepseek.com/v1/"),
            (Anthropic, "https://api.anthropic.com", "https://api.anthropic.com/v1/"),
            (Anthropic, "https://host/proxy/v1/messages", "https://host/proxy/v1/"),
            (Gemini, "https://host/", "https://host/v1beta/"),
            (Ollama, "http://gpu:11434/v1", "http://gpu:11434/"),
            (Ollama, "http://gpu:11434/api/chat", "http://gpu:11434/"),
        ] {
            assert_eq!(base_url(kind, Some(given)).as_deref(), Ok(meant), "{given}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        for (given, reason) in [
            ("api.openai.com/v1", "no address"),
            ("ftp://host/v1", "no web address"),
            ("https://user:pw@host/v1", "api_key_env"),
            ("https://host/v1?key=1", "only the address"),
        ] {
            let error = base_url(HostedKind::OpenAi, Some(given)).unwrap_err();
            assert!(error.contains(reason), "{given}: {error}");
        }
    }
}
