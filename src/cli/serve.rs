//! `atelier serve`: the server, until a signal.

use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, block_on, complain, say, say_login_link};
use crate::{
    app::App,
    config::{self, Config},
    telemetry,
};

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

pub(crate) fn run(arguments: &ServeArgs) -> ExitCode {
    let config = match arguments.config.load() {
        Ok(config) => config,
        Err(error) => return complain(error),
    };
    #[cfg(debug_assertions)]
    if let Some(file) = config::clock_file() {
        crate::wall_clock::shifted::follow(file);
    }
    telemetry::start(&config::log_filter("info"), config.server.log_format);
    block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let app = App::build(config).await?;
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
