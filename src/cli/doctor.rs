//! `atelier doctor`: what is missing on this machine, and how to mend it.

use std::{io::Write, process::ExitCode};

use clap::Args;

use super::{ConfigArgs, TASK_FAILED, block_on};
use crate::{
    app::running_server,
    config::{Config, EngineCheck, Forge, ProviderKind},
    host,
    sandbox::Engine,
};

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// One line of the report.
struct Finding {
    what: &'static str,
    state: State,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Works, but a person should know.
    Notice,
    Missing,
}

pub(crate) fn run(arguments: &DoctorArgs) -> ExitCode {
    block_on(examine(arguments))
}

async fn examine(arguments: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = arguments.config.load()?;
    let mut findings = vec![server(&config), data_dir(&config), kernel()];
    findings.extend(docker(&config).await);
    for program in ["git", "rm", "du"] {
        findings.push(program_on_path(program).await);
    }
    findings.extend(models(&config));
    findings.extend(config.forges.iter().map(forge));
    let mut out = std::io::stdout();
    for Finding { what, state, text } in &findings {
        let mark = match state {
            State::Good => "ok     ",
            State::Notice => "notice ",
            State::Missing => "MISSING",
        };
        writeln!(out, "{mark}  {what:<10} {text}")?;
    }
    let missing = findings.iter().any(|finding| finding.state == State::Missing);
    Ok(if missing { ExitCode::from(TASK_FAILED) } else { ExitCode::SUCCESS })
}

fn server(config: &Config) -> Finding {
    let text = match running_server(&config.data_dir) {
        Some(address) => format!("runs on {address}"),
        None => "does not run on this data directory; `atelier serve` starts it".to_owned(),
    };
    Finding { what: "server", state: State::Good, text }
}

fn data_dir(config: &Config) -> Finding {
    let path = config.data_dir.display();
    let finding = |state, text| Finding { what: "data_dir", state, text };
    let existing = config.data_dir.ancestors().find(|path| path.exists());
    let Some(existing) = existing else { return finding(State::Missing, format!("{path} has no parent directory")) };
    if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        return finding(
            State::Missing,
            format!("{path} cannot be written; run as its owner or choose another data_dir"),
        );
    }
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free_gib = stat.f_bavail * stat.f_frsize / (1 << 30);
            let state = if free_gib < 5 { State::Notice } else { State::Good };
            finding(state, format!("{path}, {free_gib} GiB free"))
        }
        Err(error) => finding(State::Missing, format!("{path}: {error}")),
    }
}

fn kernel() -> Finding {
    let (state, text) = match host::kernel() {
        Ok(release) => (State::Good, release),
        Err(problem) => (State::Missing, problem),
    };
    Finding { what: "kernel", state, text }
}

fn forge(forge: &Forge) -> Finding {
    let (api, variable) = (&forge.api, &forge.token.variable);
    let (state, text) = match forge.token.token {
        Some(_) => (State::Good, format!("{api}, with the token in ${variable}")),
        None => (State::Notice, format!("{api}: set ${variable} to open pull requests there")),
    };
    Finding { what: "forge", state, text }
}

async fn docker(config: &Config) -> Vec<Finding> {
    let engine = Engine::new(config.sandbox.clone(), "doctor".to_owned(), std::path::PathBuf::new());
    let finding = |what, state, text| Finding { what, state, text };
    let facts = match engine.facts().await {
        Ok(facts) => facts,
        Err(error) => return vec![finding("docker", State::Missing, error.to_string())],
    };
    let minor = facts.api_version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok()).unwrap_or(0);
    let daemon = if minor >= 41 {
        finding(
            "docker",
            State::Good,
            format!("{} (API {}), kernel {}", facts.version, facts.api_version, facts.kernel),
        )
    } else {
        finding(
            "docker",
            State::Missing,
            format!("{} is too old; Docker Engine 20.10 (API 1.41) or newer is needed", facts.version),
        )
    };
    let runc = finding("runc", State::Good, facts.runc.clone().unwrap_or_else(|| "not used".to_owned()));
    let old = match config.sandbox.engine_check {
        EngineCheck::Warn => State::Notice,
        EngineCheck::Strict => State::Missing,
    };
    let warnings = facts.warnings().into_iter().map(|text| finding("docker", old, text)).collect::<Vec<_>>();
    let image = &config.sandbox.image;
    let image = match engine.has_image(image).await {
        Ok(true) => finding("image", State::Good, image.clone()),
        Ok(false) => finding(
            "image",
            State::Missing,
            format!("{image} is not here; `./dev/demo` builds the default one, `docker pull` fetches others"),
        ),
        Err(error) => finding("image", State::Missing, error.to_string()),
    };
    [daemon, runc].into_iter().chain(warnings).chain([image]).collect()
}

async fn program_on_path(program: &'static str) -> Finding {
    let output =
        tokio::process::Command::new(program).arg("--version").stdin(std::process::Stdio::null()).output().await;
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned();
            Finding { what: program, state: State::Good, text }
        }
        Err(error) => Finding {
            what: program,
            state: State::Missing,
            text: format!("{error}; install it (apt-get install {program})"),
        },
    }
}

fn models(config: &Config) -> Vec<Finding> {
    let default = config.agent.model.provider();
    let provider = |(name, provider): (&String, &crate::config::Provider)| {
        let is_default = name == default;
        let state = |without_key| match without_key {
            false => State::Good,
            true if is_default => State::Missing,
            true => State::Notice,
        };
        let suffix = if is_default { format!(" (default model {})", config.agent.model) } else { String::new() };
        let (state, text) = match (provider.kind, &provider.api_key_env, &provider.api_key) {
            (ProviderKind::Scripted, ..) => (State::Good, "plays files, needs no key".to_owned()),
            (_, None, _) => (State::Good, "needs no key".to_owned()),
            (_, Some(variable), Some(_)) => (state(false), format!("key from ${variable}")),
            (_, Some(variable), None) => (state(true), format!("no key; set ${variable} to use it")),
        };
        Finding { what: "model", state, text: format!("{name}: {text}{suffix}") }
    };
    let mut findings: Vec<_> = config.llm.providers.iter().map(provider).collect();
    if !config.llm.providers.contains_key(default) {
        let text = format!("[agent] model names the provider {default:?}, which is not in [llm.providers]");
        findings.push(Finding { what: "model", state: State::Missing, text });
    }
    findings
}
