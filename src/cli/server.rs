//! The server a command talks to: the one that runs on the data directory, or one started for the command.

use std::path::PathBuf;

use anyhow::Context;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, client::Client};
use crate::app::{App, running_server};

/// A server to talk to.
pub(super) struct Server {
    pub(super) client: Client,
    own: Option<OwnServer>,
    listen: Listen,
    logs: PathBuf,
}

struct OwnServer {
    work: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

/// Where a server of our own listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen {
    /// As configured, for people to come to.
    AsConfigured,
    /// On any free port: it lives as long as the command.
    AnyPort,
}

impl Server {
    /// Finds the running server or starts one.
    pub(super) async fn connect(arguments: &ConfigArgs, listen: Listen) -> anyhow::Result<Self> {
        let mut config = arguments.load()?;
        let logs = config.data_dir.join("logs");
        if let Some(running) = running_server(&config.data_dir) {
            let token = std::fs::read_to_string(config.data_dir.join("admin-token")).context("admin token")?;
            let url = config.server.public_url.clone().unwrap_or_else(|| format!("http://{running}"));
            let client = Client::new(format!("http://{running}"), url, SecretString::from(token.trim()))?;
            return Ok(Self { client, own: None, listen, logs });
        }
        if listen == Listen::AnyPort {
            config.server.bind.set_port(0);
            config.server.public_url = None;
        }
        let app = App::build(config).await?;
        // A server for other people waits for Docker; a command says at once that it cannot.
        app.require_docker().await?;
        let client = Client::new(format!("http://{}", app.address), app.url(), app.admin_token.clone())?;
        let shutdown = CancellationToken::new();
        let own = OwnServer { work: app.start(shutdown.clone()), shutdown };
        Ok(Self { client, own: Some(own), listen, logs })
    }

    /// Where a task can be looked at when the command is over.
    pub(super) fn place(&self, id: &str) -> String {
        if self.is_own() && self.listen == Listen::AnyPort {
            format!("logs in {}", self.logs.join(id).display())
        } else {
            self.client.page(&format!("/tasks/{id}"))
        }
    }

    /// Whether this command started the server.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Until somebody stops the server.
    pub(super) async fn stay(self) -> anyhow::Result<()> {
        let Some(own) = self.own else { return Ok(()) };
        tokio::spawn(super::serve::stop_on_signal(own.shutdown.clone()));
        own.work.await?
    }

    /// Ends a server of our own, waiting for it to tidy up.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Some(own) = self.own else { return Ok(()) };
        own.shutdown.cancel();
        own.work.await?
    }
}
