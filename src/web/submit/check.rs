//! Whether a submission can become a task: every field is judged, so that one answer names all that is wrong.

use super::{FieldError, GitSource, Submission, Upload};
use crate::{
    config::{Config, UnknownPrice},
    domain::{
        check::{CheckCommand, MAX_CHECKS},
        host_pattern::HostPattern,
        limits::LimitsWish,
        model_name::ModelName,
        person::PersonId,
        source::{RepoUrl, Source},
        task::{Instruction, Mode, NewTask},
    },
    pipeline::publisher::forge_of,
};

const MAX_IMAGE_BYTES: usize = 255;
const MAX_HOSTS: usize = 100;
const MAX_STEPS: u32 = 10_000;
const MAX_TIMEOUT_S: u64 = 7 * 24 * 3600;

pub(super) fn check(
    owner: PersonId,
    submission: Submission,
    upload: Option<&Upload>,
    config: &Config,
) -> Result<NewTask, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut note = |error: FieldError| errors.push(error);

    let source = source(submission.source, upload, config).map_err(&mut note);
    let instruction = Instruction::try_from(submission.task).map_err(|error| note(FieldError::new("task", &error)));
    let mode = submission.mode.map_or(Ok(Mode::default()), |text| mode(&text)).map_err(&mut note);
    let model = submission.model.map(|text| model(&text, config)).transpose().map_err(&mut note);
    let image = submission.image.map(|text| image(text, config)).transpose().map_err(&mut note);
    if config.llm.unknown_price == UnknownPrice::Refuse {
        let chosen = model.as_ref().ok().map(|model| model.as_ref().unwrap_or(&config.agent.model));
        let asked = chosen.into_iter().chain(&config.agent.critique_model);
        for unknown in asked.filter_map(|model| config.llm.unknown_price_of(model)) {
            note(FieldError::new("model", &unknown));
        }
    }
    if let (Ok(Mode::Pr), Ok(source)) = (&mode, &source)
        && let Err(message) = forge_of(config, source)
    {
        note(FieldError::new("mode", &message));
    }
    let checks = checks(submission.checks).map_err(&mut note);
    for error in limits(&submission.limits) {
        note(error);
    }
    match (source, instruction, mode, model, image, checks) {
        (Ok(source), Ok(instruction), Ok(mode), Ok(model), Ok(image), Ok(checks)) if errors.is_empty() => {
            let (limits, allow_hosts) = (submission.limits, Vec::new());
            let trigger = None;
            Ok(NewTask { owner, source, instruction, mode, model, image, limits, allow_hosts, checks, trigger })
        }
        _ => Err(errors),
    }
}

fn checks(given: Vec<String>) -> Result<Vec<CheckCommand>, FieldError> {
    if given.len() > MAX_CHECKS {
        return Err(FieldError::new(
            "checks",
            &format!("a task may have {MAX_CHECKS} of them; put more into a script"),
        ));
    }
    let checks = given.into_iter().map(CheckCommand::try_from).collect::<Result<_, _>>();
    checks.map_err(|error| FieldError::new("checks", &error))
}

fn source(git: Option<GitSource>, upload: Option<&Upload>, config: &Config) -> Result<Source, FieldError> {
    match (git, upload) {
        (Some(git), None) => git_source(git, config),
        (None, Some(upload)) => Ok(Source::Archive { name: upload.name.clone(), bytes: upload.bytes }),
        (Some(_), Some(_)) => Err(FieldError::new("source", "give either a Git URL or an archive, not both")),
        (None, None) => Err(FieldError::new("source", "give a Git URL or upload a zip archive")),
    }
}

/// Whether a repository may be fetched from there.
pub(in crate::web) fn check_url(text: &str, config: &Config) -> Result<RepoUrl, FieldError> {
    let git_url: RepoUrl = text.parse().map_err(|error| FieldError::new("git_url", &error))?;
    config
        .source
        .address_policy
        .check_url(&git_url)
        .map_err(|error| FieldError { kind: "address_not_allowed".to_owned(), ..FieldError::new("git_url", &error) })?;
    Ok(git_url)
}

fn git_source(git: GitSource, config: &Config) -> Result<Source, FieldError> {
    let git_url = check_url(&git.git_url, config)?;
    let git_ref = git.git_ref.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose();
    let git_ref = git_ref.map_err(|error| FieldError::new("git_ref", &error))?;
    Ok(Source::Git { git_url, git_ref })
}

fn mode(text: &str) -> Result<Mode, FieldError> {
    match text {
        "modify" => Ok(Mode::Modify),
        "analyze" => Ok(Mode::Analyze),
        "pr" => Ok(Mode::Pr),
        other => Err(FieldError::new("mode", &format!("unknown mode {other:?}, use modify, pr or analyze"))),
    }
}

fn model(text: &str, config: &Config) -> Result<ModelName, FieldError> {
    let model: ModelName = text.parse().map_err(|error| FieldError::new("model", &error))?;
    if config.llm.providers.contains_key(model.provider()) {
        return Ok(model);
    }
    let known: Vec<&str> = config.llm.providers.keys().map(String::as_str).collect();
    let message = format!("unknown provider {:?}; configured are {}", model.provider(), known.join(", "));
    Err(FieldError::new("model", &message))
}

/// The shape of an image reference; whether there is such an image, Docker says.
fn image(text: String, config: &Config) -> Result<String, FieldError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.len() <= MAX_IMAGE_BYTES && text.chars().all(is_allowed) {
        allowed(&text, config).map(|()| text)
    } else {
        Err(FieldError::new("image", "not an image name: write it like debian:bookworm-slim"))
    }
}

/// Also asked when a task is started again: the list may have changed.
pub(super) fn allowed(image: &str, config: &Config) -> Result<(), FieldError> {
    if config.sandbox.allows_image(image) {
        return Ok(());
    }
    let own = &config.sandbox.image;
    let message = format!(
        "{image} may not be used here; leave the image out to use {own}, or have it put on [sandbox] allowed_images"
    );
    Err(FieldError { kind: "image_not_allowed".to_owned(), ..FieldError::new("image", &message) })
}

/// The hosts of a task with more of them.
pub(super) fn more_hosts(
    mut known: Vec<HostPattern>,
    more: &[String],
    config: &Config,
) -> Result<Vec<HostPattern>, FieldError> {
    let wrong = |message: &dyn ToString| FieldError::new("allow_hosts", &message.to_string());
    if !more.is_empty() && !config.sandbox.has_proxy() {
        return Err(wrong(
            &"nothing goes through a proxy here; set [sandbox] setup_network or agent_network to \"proxied\"",
        ));
    }
    for text in more {
        let pattern: HostPattern = text.trim().parse().map_err(|error| wrong(&error))?;
        if !known.contains(&pattern) {
            known.push(pattern);
        }
    }
    if known.len() > MAX_HOSTS {
        return Err(wrong(&format!(
            "a task may have {MAX_HOSTS} of them; put hosts that all tasks need on [sandbox] proxy_allow"
        )));
    }
    Ok(known)
}

pub(super) fn limits(wish: &LimitsWish) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut require = |ok: bool, field: &str, range: String| {
        if !ok {
            errors.push(FieldError::new(field, &format!("must be {range}")));
        }
    };
    let steps_ok = wish.max_steps.is_none_or(|steps| (1..=MAX_STEPS).contains(&steps));
    require(steps_ok, "max_steps", format!("between 1 and {MAX_STEPS}"));
    require(wish.max_tokens.is_none_or(|tokens| tokens >= 1), "max_tokens", "at least 1".to_owned());
    let cost_ok = wish.max_cost_usd.is_none_or(|cost| cost.is_finite() && cost >= 0.0);
    require(cost_ok, "max_cost_usd", "0 or more dollars".to_owned());
    for (field, wished) in [("setup_timeout_s", wish.setup_timeout_s), ("task_timeout_s", wish.task_timeout_s)] {
        let ok = wished.is_none_or(|seconds| (1..=MAX_TIMEOUT_S).contains(&seconds));
        require(ok, field, format!("between 1 and {MAX_TIMEOUT_S} seconds"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(json: &str) -> Vec<String> {
        let config = crate::config::load(None, toml::Table::new()).unwrap();
        let errors = check(PersonId::OWNER, serde_json::from_str(json).unwrap(), None, &config).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_answer_names_everything_that_is_wrong() {
        let errors = errors(
            r#"{"source": {"git_url": "file:///etc"}, "task": " ", "mode": "guess", "model": "nobody/x",
                "image": "-evil", "limits": {"max_steps": 0, "task_timeout_s": 9999999}}"#,
        );
        insta::assert_snapshot!(errors.join("\n"), @r#"
        git_url: only https:// (and http:// to hosts in [source] allow_private_hosts) can be fetched, not file:
        task: say what is to be done
        mode: unknown mode "guess", use modify, pr or analyze
        model: unknown provider "nobody"; configured are anthropic, deepseek, ollama, openai, scripted
        image: not an image name: write it like debian:bookworm-slim
        max_steps: must be between 1 and 10000
        task_timeout_s: must be between 1 and 604800 seconds
        "#);
    }

    #[test]
    fn a_pull_request_needs_a_forge() {
        for source in
            [r#"{"git_url": "https://example.org/team/tool"}"#, r#"{"git_url": "https://github.com/team/tool/wiki"}"#]
        {
            let errors = errors(&format!(r#"{{"source": {source}, "task": "Go.", "mode": "pr"}}"#));
            assert!(errors.len() == 1 && errors[0].starts_with("mode: No forge is configured for"), "{errors:?}");
            assert!(errors[0].contains("[forge.NAME]"), "{errors:?}");
        }
    }
}
