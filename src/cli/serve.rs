//! `atelier serve`: the server, until a signal.

use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, block_on, say, say_login_link};
use crate::{app::App, config, telemetry};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

pub(crate) fn run(arguments: &ServeArgs) -> ExitCode {
    telemetry::start(&config::log_filter("info"));
    block_on(serve(arguments))
}

async fn serve(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    let app = App::build(arguments.config.load()?).await?;
    say(&format!("Atelier listens on {}", app.url()));
    if app.admin_token_is_new {
        let link = format!("{}/login?token={}", app.url(), app.admin_token.expose_secret());
        say_login_link("Log in once with ", &link);
    } else {
        say(&format!("The login token is in {}/admin-token", app.config.data_dir.display()));
    }
    if app.config.agent.model.provider() == "scripted" {
        say("The model only plays a file. To have one think, set the key of a provider (`atelier doctor` names them).");
    }
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone()));
    app.run(shutdown).await?;
    Ok(ExitCode::SUCCESS)
}

/// The first signal stops calmly, the second at once.
pub(super) async fn stop_on_signal(shutdown: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    for calls in 1.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if calls > 1 {
            std::process::exit(130);
        }
        shutdown.cancel();
    }
}
