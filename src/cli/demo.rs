//! `atelier demo`: the sample repository, a real container, and a model: a play without a key, a real one with one.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{
    ConfigArgs, block_on,
    run::run_task,
    say, say_login_link,
    server::{Listen, Server},
    submission::Submission,
};
use crate::{config, telemetry};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// PROVIDER/model-id; else the configured one: of the provider whose key is set, else the scripted play
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// End after the task instead of serving on
    #[arg(long)]
    pub(crate) once: bool,
}

/// The sample repository, as it lies in `examples/leap-year`.
const SAMPLE: &[(&str, &str)] = &[
    ("AGENTS.md", include_str!("../../examples/leap-year/AGENTS.md")),
    ("README.md", include_str!("../../examples/leap-year/README.md")),
    ("setup.sh", include_str!("../../examples/leap-year/setup.sh")),
    ("calendar_tools/__init__.py", include_str!("../../examples/leap-year/calendar_tools/__init__.py")),
    ("calendar_tools/leap.py", include_str!("../../examples/leap-year/calendar_tools/leap.py")),
    ("tests/requirements.txt", include_str!("../../examples/leap-year/tests/requirements.txt")),
    ("tests/test_leap.py", include_str!("../../examples/leap-year/tests/test_leap.py")),
];

const INSTRUCTION: &str = "The tests fail. Find out why, mend the code, and make sure that all tests pass.";

pub(crate) fn run(arguments: DemoArgs) -> ExitCode {
    telemetry::start(&config::log_filter("warn"), config::LogFormat::Text);
    block_on(demo(arguments))
}

async fn demo(arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let model = match arguments.model {
        Some(model) => model,
        None => arguments.config.load()?.agent.model.to_string(),
    };
    let folder = tempfile::tempdir().context("temporary folder")?;
    let sample = folder.path().join("leap-year");
    unpack_sample(&sample).context("sample repository")?;
    let listen = if arguments.once { Listen::AnyPort } else { Listen::AsConfigured };
    let server = Server::connect(&arguments.config, listen).await?;
    say(&format!("The sample repository examples/leap-year has a failing test. Model: {model}"));
    let task = Submission {
        repo: sample.display().to_string(),
        task: INSTRUCTION.to_owned(),
        git_ref: None,
        mode: None,
        pr: false,
        model: Some(model),
        image: None,
        checks: Vec::new(),
    };
    let outcome = run_task(&server, &task).await;
    let done = match outcome {
        Ok(done) if !arguments.once => done,
        outcome => {
            server.close().await?;
            return Ok(outcome?.code);
        }
    };
    let link = server.client.login_link(&format!("/tasks/{}", done.id));
    if server.is_own() {
        say_login_link("\nThe server stays, Ctrl-C ends it. This link logs you in and shows the task:\n", &link);
    } else {
        say_login_link("\nThis link logs you in and shows the task:\n", &link);
    }
    server.stay().await?;
    Ok(done.code)
}

fn unpack_sample(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    for (name, text) in SAMPLE {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, text)?;
        let mode = if path.extension().is_some_and(|extension| extension == "sh") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
