//! The life of one container: start, watch, cut off, remove.

use std::time::Duration;

use bollard::{
    errors::Error,
    models::NetworkDisconnectRequest,
    query_parameters::{LogsOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::{Engine, SandboxError};
use crate::domain::task_id::TaskId;

/// A container of ours. Dropping it does nothing: call [`Container::remove`], which may be repeated.
#[derive(Debug)]
pub(crate) struct Container {
    pub(super) engine: Engine,
    pub(super) name: String,
    pub(super) network: Option<String>,
}

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i64),
    /// The kernel ended it because the container's memory was used up.
    OutOfMemory,
    /// Somebody killed it or removed the container.
    Killed,
    /// The Docker daemon was stopped, and took the container with it.
    DockerRestarted,
}

/// After a wait that the daemon ended without a word.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Between two tries while the daemon is away: from the first, doubling, to the second.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A daemon that stops closes its door before it ends its containers; one that stays answers sooner than that.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// 128 + SIGKILL, as shells and Docker count.
pub(super) const KILLED: i64 = 137;
/// 128 + SIGTERM: how a daemon that stops asks containers to end.
const TERMINATED: i64 = 143;

impl Container {
    pub(super) fn new(engine: Engine, name: String, network: Option<String>) -> Self {
        Self { engine, name, network }
    }

    pub(crate) async fn start(&self) -> Result<(), SandboxError> {
        let client = self.engine.client().await?;
        client.start_container(&self.name, None).await.map_err(|error| self.engine.error("start the container", &error))
    }

    /// Waits for the main process to end, also while the daemon is away: a container may outlive it. Has no limit of
    /// its own; drop it to stop waiting.
    pub(crate) async fn wait(&self) -> Result<Exit, SandboxError> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            match self.wait_for_exit().await {
                Ok(exit @ (Exit::Killed | Exit::Code(TERMINATED))) => {
                    let was_away = pause > SHORTEST_PAUSE || self.engine.is_away().await;
                    return Ok(if was_away || self.is_older_than_daemon().await {
                        Exit::DockerRestarted
                    } else {
                        exit
                    });
                }
                Err(SandboxError::Unavailable { cause, .. }) => {
                    tracing::warn!(cause, "Docker is away; the container may run on");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                outcome => return outcome,
            }
        }
    }

    async fn wait_for_exit(&self) -> Result<Exit, SandboxError> {
        let client = self.engine.client().await?;
        loop {
            let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
            let code = match client.wait_container(&self.name, Some(options)).next().await {
                Some(Ok(response)) => response.status_code,
                Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
                Some(Err(error)) if SandboxError::is_not_found(&error) => return Ok(Exit::Killed),
                Some(Err(Error::RequestTimeoutError)) | None => {
                    tokio::time::sleep(ASK_AGAIN).await;
                    continue;
                }
                Some(Err(error)) => return Err(self.engine.error("wait for the container", &error)),
            };
            if code != KILLED {
                return Ok(Exit::Code(code));
            }
            return Ok(self.ended().await?.unwrap_or(Exit::Killed));
        }
    }

    /// Whether the daemon was started after the container. It does not say when it was started, but it makes its default
    /// bridge anew each time it begins without containers.
    async fn is_older_than_daemon(&self) -> bool {
        let Ok(client) = self.engine.client().await else { return false };
        let (container, bridge) =
            tokio::join!(client.inspect_container(&self.name, None), client.inspect_network("bridge", None));
        let started = container.ok().and_then(|found| found.state?.started_at);
        let made = bridge.ok().and_then(|found| found.created);
        let when = |text: Option<String>| text?.parse::<Timestamp>().ok();
        matches!((when(started), when(made)), (Some(started), Some(made)) if made > started)
    }

    /// How the main process ended, if it has.
    pub(super) async fn ended(&self) -> Result<Option<Exit>, SandboxError> {
        let client = self.engine.client().await?;
        let state = match client.inspect_container(&self.name, None).await {
            Ok(inspected) => inspected.state.unwrap_or_default(),
            Err(error) if SandboxError::is_not_found(&error) => return Ok(Some(Exit::Killed)),
            Err(error) => return Err(self.engine.error("inspect the container", &error)),
        };
        Ok(match (state.running, state.oom_killed, state.exit_code) {
            (Some(true), ..) => None,
            (_, Some(true), _) => Some(Exit::OutOfMemory),
            (_, _, None | Some(KILLED)) => Some(Exit::Killed),
            (_, _, Some(code)) => Some(Exit::Code(code)),
        })
    }

    /// Takes the network away and proves by the daemon's own word that none is left. What a look from inside says is
    /// in the report of [`Container::settle`].
    pub(super) async fn cut_network(&self) -> Result<(), SandboxError> {
        let Some(network) = &self.network else { return Ok(()) };
        let client = self.engine.client().await?;
        let not_cut = |action, error: &Error| match self.engine.error(action, error) {
            away @ SandboxError::Unavailable { .. } => away,
            refused => SandboxError::NetworkNotCut(refused.to_string()),
        };
        let request = NetworkDisconnectRequest { container: self.name.clone(), force: Some(true) };
        let disconnected = client.disconnect_network(network, request).await;
        disconnected.map_err(|error| not_cut("disconnect the network", &error))?;
        let inspected = client.inspect_container(&self.name, None).await;
        let inspected = inspected.map_err(|error| not_cut("inspect the container", &error))?;
        let left = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        if left.is_empty() {
            Ok(())
        } else {
            let names: Vec<_> = left.into_keys().collect();
            Err(SandboxError::NetworkNotCut(format!("still connected to {}", names.join(", "))))
        }
    }

    /// The end of what the main process wrote to its standard streams, for saying why it died.
    pub(crate) async fn last_words(&self) -> String {
        let Ok(client) = self.engine.client().await else { return String::new() };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail("20").build();
        let mut lines = client.logs(&self.name, Some(options));
        let mut words = String::new();
        while let Some(Ok(line)) = lines.next().await {
            words.push_str(&String::from_utf8_lossy(&line.into_bytes()));
        }
        words.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(2000).collect()
    }

    /// Removes the container, running or not, and its network. Nothing there is fine.
    pub(crate) async fn remove(&self) -> Result<(), SandboxError> {
        self.engine.remove_container(&self.name).await?;
        match &self.network {
            Some(network) => self.engine.remove_network(network).await,
            None => Ok(()),
        }
    }
}

impl Engine {
    async fn is_away(&self) -> bool {
        !matches!(tokio::time::timeout(KNOCK_TIMEOUT, self.facts()).await, Ok(Ok(_)))
    }

    /// The container of a task, if it runs and has no network: one whose agent may go on working.
    pub(crate) async fn running(&self, task_id: &TaskId) -> Result<Option<Container>, SandboxError> {
        let name = self.name_of(task_id);
        let inspected = match self.client().await?.inspect_container(&name, None).await {
            Ok(inspected) => inspected,
            Err(error) if SandboxError::is_not_found(&error) => return Ok(None),
            Err(error) => return Err(self.error("inspect the container", &error)),
        };
        let runs = inspected.state.is_some_and(|state| state.running == Some(true));
        let networks = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let is_cut_off = networks.keys().all(|network| network == "none");
        Ok((runs && is_cut_off).then(|| Container::new(self.clone(), name, None)))
    }

    /// Removes whatever there is of a task: container and network. Nothing there is fine.
    pub(crate) async fn discard(&self, task_id: &TaskId) -> Result<(), SandboxError> {
        let name = self.name_of(task_id);
        self.remove_container(&name).await?;
        self.remove_network(&name).await
    }

    pub(super) async fn remove_container(&self, name: &str) -> Result<(), SandboxError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.client().await?.remove_container(name, Some(options)).await {
            // 409: somebody else is removing it at this moment.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(self.error("remove the container", &error)),
        }
    }

    pub(super) async fn remove_network(&self, name: &str) -> Result<(), SandboxError> {
        match self.client().await?.remove_network(name).await {
            Ok(()) => Ok(()),
            Err(error) if SandboxError::is_not_found(&error) => Ok(()),
            Err(error) => Err(self.error("remove the network", &error)),
        }
    }
}
